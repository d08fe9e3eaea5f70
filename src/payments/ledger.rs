//! The money ledger: double entry per order, so that its amounts sum to zero at any time.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use super::store;
use crate::{
    db::{Bind, Tx},
    error::{Error, Result},
    kernel::{
        Country, Currency, Instant, Money,
        ids::{ChannelId, LedgerEntryId, OrderId},
    },
    pricing::tax::TaxTreatment,
    stored_value::{GIFT_CARD, STORE_CREDIT},
};

crate::words! {
    /// An account of an order's ledger.
    pub enum Account {
        /// What the customer owes.
        Receivable = "receivable",
        /// What was sold, without tax.
        Revenue = "revenue",
        /// The tax on it.
        Tax = "tax",
        /// Money that came in.
        Captured = "captured",
        /// Money that went back.
        Refunded = "refunded",
        /// What it costs that providers take money and banks take it back.
        Fee = "fee",
        /// What is not asked for any more.
        WriteOff = "write_off",
        /// Money that a bank has taken back and that is fought for.
        Disputed = "disputed",
        /// What banks and providers have kept or taken back of the money that came in.
        Chargeback = "chargeback",
        /// What was paid with gift cards, less what went back onto these and is owed there.
        GiftCard = "gift_card",
        /// What was paid with store credit, less what went back as that.
        StoreCredit = "store_credit",
        /// What was paid too much and is kept for the customer.
        Unapplied = "unapplied",
        /// What providers have promised and is neither taken nor let go.
        Authorised = "authorised",
        /// The other side of that: no money has moved.
        Promised = "promised",
    }
}

impl Account {
    /// The account of what is paid with a gift card or store credit, and goes back onto it; `None` for money of any provider.
    #[must_use]
    pub fn of_stored(provider: &str) -> Option<Self> {
        match provider {
            GIFT_CARD => Some(Self::GiftCard),
            STORE_CREDIT => Some(Self::StoreCredit),
            _ => None,
        }
    }
}

/// What is booked at once: its entries sum to zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// Whose ledger.
    pub order: OrderId,
    /// What is booked: `placed`, `capture:…`. One order has each once.
    pub posting: String,
    /// When it happened.
    pub occurred_at: Instant,
    /// The currency.
    pub currency: Currency,
    /// Minor units per account: plus is debit, minus is credit.
    pub entries: Vec<(Account, i64)>,
}

/// What of a posting is revenue that bears one rate of tax; below zero where it is taken back. Minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The rate as a fraction.
    pub rate: Decimal,
    /// Without tax.
    pub net: i64,
    /// The tax on it.
    pub tax: i64,
}

/// Where and how what a posting sells is taxed. Sums of tax are made of it (Directive 2006/112/EC, Articles 250 and 369g).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sold {
    /// The channel that it was sold in.
    pub channel: ChannelId,
    /// The country that it goes to.
    pub country: Option<Country>,
    /// How it is taxed.
    pub treatment: Option<TaxTreatment>,
    /// What bears which rate. Together they are the posting's revenue and tax. A rate that is named twice is added up.
    pub parts: Vec<Part>,
}

/// Books postings, all with one statement. An account named twice in a posting is added up; nothing is not booked.
///
/// # Errors
/// An internal error for a posting that does not sum to zero; a UNIQUE violation for one that the order has already.
pub fn post(tx: &mut Tx, now: Instant, postings: Vec<Posting>) -> Result<()> {
    let mut rows = Vec::new();
    for posting in &postings {
        entries(now, posting, None, &mut rows)?;
    }
    store::insert_entries(tx, rows)
}

/// Books postings by which no money moves: they are no part of the journal.
///
/// # Errors
/// As [`post`].
pub(super) fn post_beside(tx: &mut Tx, now: Instant, postings: &[Posting]) -> Result<()> {
    let mut rows = Vec::with_capacity(postings.len().saturating_mul(2));
    for posting in postings {
        entries(now, posting, None, &mut rows)?;
    }
    store::insert_beside(tx, rows)
}

/// Books a posting of what is sold or taken back, with where and how it is taxed.
///
/// # Errors
/// As [`post`]; an internal error where the parts are not its revenue and its tax.
pub fn post_sold(tx: &mut Tx, now: Instant, posting: &Posting, sold: &Sold) -> Result<()> {
    let mut rows = Vec::new();
    entries(now, posting, Some(sold), &mut rows)?;
    store::insert_entries(tx, rows)
}

/// Where and how an order was taxed when it was placed, as its ledger has it: what is taken back of it is so too, whatever else is
/// known of the order by then.
///
/// # Errors
/// What the database says.
pub fn taxed_as(tx: &mut Tx, order: OrderId) -> Result<Option<(Option<Country>, Option<TaxTreatment>)>> {
    store::taxed_as(tx, order)
}

/// The next orders, from behind one and up to `limit`, of whose revenue it is not booked where and how it is taxed: a process of an older
/// version has booked it beside newer ones.
///
/// # Errors
/// What the database says.
pub fn undeclared(tx: &mut Tx, after: Option<OrderId>, limit: i64) -> Result<Vec<OrderId>> {
    store::undeclared(tx, after, limit)
}

/// Notes where and how the revenue of an order is taxed, as far as that is not booked. The rate is that of all of it, where it has one.
///
/// # Errors
/// What the database says.
pub fn declare(
    tx: &mut Tx,
    order: OrderId,
    channel: ChannelId,
    (country, treatment, rate): (Option<Country>, Option<TaxTreatment>, Option<Decimal>),
) -> Result<()> {
    let country = country.map(|country| country.for_vat().as_str().to_owned());
    let treatment = treatment.map(|treatment| treatment.as_str().to_owned());
    store::declare(tx, order, channel, [country, treatment, rate.map(|rate| rate.normalize().to_string())])
}

/// A row of a ledger as it was booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was booked.
    pub posting: String,
    /// The account.
    pub account: Account,
    /// Plus is debit, minus is credit.
    pub amount: Money,
    /// When it happened.
    pub occurred_at: Instant,
    /// When it was booked.
    pub recorded_at: Instant,
    /// The place of its posting in the journal, once it has one.
    pub journal_position: Option<i64>,
    /// The rate of the tax on revenue, as a fraction.
    pub rate: Option<String>,
    /// The country whose tax it is.
    pub country: Option<Country>,
}

/// All that was booked of an order, the oldest first, the rows of a posting together.
///
/// # Errors
/// What the database says.
pub fn entries_of(tx: &mut Tx, order: OrderId) -> Result<Vec<Entry>> {
    store::entries(tx, order)
}

/// The balance of each account of an order.
///
/// # Errors
/// What the database says.
pub fn balance(tx: &mut Tx, order: OrderId) -> Result<Vec<(Account, i64)>> {
    store::balance(tx, order)
}

/// The rows of a posting that is balanced. Of what is sold the revenue has one for each rate.
fn entries(now: Instant, posting: &Posting, sold: Option<&Sold>, rows: &mut Vec<Vec<Bind>>) -> Result<()> {
    let mut accounts: BTreeMap<Account, i64> = BTreeMap::new();
    let off = |what: &str| Error::internal(format!("the posting {} of {} {what}", posting.posting, posting.order));
    let overflow = || off("overflows");
    let mut total = 0i128;
    for (account, amount) in &posting.entries {
        total += i128::from(*amount);
        let sum = accounts.entry(*account).or_default();
        *sum = sum.checked_add(*amount).ok_or_else(overflow)?;
    }
    if total != 0 {
        return Err(off(&format!("is off by {total}")));
    }
    let row = |id: LedgerEntryId, account: Account, amount: i64, taxed: [Bind; 5]| {
        let head: [Bind; 8] = [
            id.into(),
            posting.order.into(),
            posting.posting.as_str().into(),
            account.as_str().into(),
            posting.currency.into(),
            amount.into(),
            posting.occurred_at.into(),
            now.into(),
        ];
        head.into_iter().chain(taxed).collect::<Vec<Bind>>()
    };
    let of = |account: Account| accounts.get(&account).copied().unwrap_or_default();
    if let Some(sold) = sold {
        let rates = by_rate(&sold.parts).ok_or_else(overflow)?;
        let sums =
            rates.values().fold((0i128, 0i128), |sum, (net, tax)| (sum.0 - i128::from(*net), sum.1 - i128::from(*tax)));
        if sums != (i128::from(of(Account::Revenue)), i128::from(of(Account::Tax))) {
            return Err(off("is not what it is taxed as"));
        }
        let booked = rates.into_iter().filter(|(_, (net, tax))| (*net, *tax) != (0, 0));
        for (place, (rate, (net, tax))) in booked.enumerate() {
            let id = entry_id(posting.order, &posting.posting, (Account::Revenue, place));
            let (country, treatment) = (sold.country.map(|country| country.for_vat()), sold.treatment);
            let taxed: [Bind; 5] = [
                sold.channel.into(),
                country.map(|country| country.as_str().to_owned()).into(),
                treatment.map(|treatment| treatment.as_str().to_owned()).into(),
                rate.to_string().into(),
                tax.into(),
            ];
            rows.push(row(id, Account::Revenue, -net, taxed));
        }
    }
    let rest =
        accounts.iter().filter(|(account, amount)| **amount != 0 && (sold.is_none() || **account != Account::Revenue));
    rows.extend(rest.map(|(account, amount)| {
        let unknown = || Bind::from(None::<String>);
        let taxed = [Bind::from(None::<ChannelId>), unknown(), unknown(), unknown(), Bind::from(None::<i64>)];
        row(entry_id(posting.order, &posting.posting, (*account, 0)), *account, *amount, taxed)
    }));
    Ok(())
}

/// Net and tax of each rate; `None` where they are too large.
fn by_rate(parts: &[Part]) -> Option<BTreeMap<Decimal, (i64, i64)>> {
    let mut rates: BTreeMap<Decimal, (i64, i64)> = BTreeMap::new();
    for part in parts {
        let sums = rates.entry(part.rate.normalize()).or_default();
        *sums = (sums.0.checked_add(part.net)?, sums.1.checked_add(part.tax)?);
    }
    Some(rates)
}

/// An entry's id follows from what it is, so that the same posting can not be booked twice; and it begins like its
/// order's, so that new entries lie together on disk.
fn entry_id(order: OrderId, posting: &str, (account, place): (Account, usize)) -> LedgerEntryId {
    let mut hash = Sha256::new();
    hash.update(order.bytes());
    hash.update(account.as_str());
    hash.update([0]);
    hash.update(posting);
    // The revenue of a second rate, and so on.
    if place > 0 {
        hash.update([0]);
        hash.update(place.to_be_bytes());
    }
    let hash: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    let (time, rest) = (order.bytes().iter().take(8), hash.iter().take(8));
    id.iter_mut().zip(time.chain(rest)).for_each(|(to, from)| *to = *from);
    LedgerEntryId::from_bytes(id)
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
