//! The money ledger: double entry per order, so that its amounts sum to zero at any time.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::store;
use crate::{
    db::{Bind, Tx},
    error::{Error, Result},
    kernel::{
        Currency, Instant,
        ids::{LedgerEntryId, OrderId},
    },
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
        /// What a provider or carrier kept.
        Fee = "fee",
        /// What is not asked for any more.
        WriteOff = "write_off",
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

/// Books postings, all with one statement. An account named twice in a posting is added up; nothing is not booked.
///
/// # Errors
/// An internal error for a posting that does not sum to zero; a UNIQUE violation for one that the order has already.
pub fn post(tx: &mut Tx, now: Instant, postings: Vec<Posting>) -> Result<()> {
    let mut rows = Vec::new();
    for posting in &postings {
        entries(now, posting, &mut rows)?;
    }
    store::insert_entries(tx, rows)
}

/// The balance of each account of an order.
///
/// # Errors
/// What the database says.
pub fn balance(tx: &mut Tx, order: OrderId) -> Result<Vec<(Account, i64)>> {
    store::balance(tx, order)
}

/// The rows of a posting that is balanced.
fn entries(now: Instant, posting: &Posting, rows: &mut Vec<Vec<Bind>>) -> Result<()> {
    let mut accounts: BTreeMap<Account, i64> = BTreeMap::new();
    let overflow = || Error::internal(format!("the posting {} of {} overflows", posting.posting, posting.order));
    let mut total = 0i128;
    for (account, amount) in &posting.entries {
        total += i128::from(*amount);
        let sum = accounts.entry(*account).or_default();
        *sum = sum.checked_add(*amount).ok_or_else(overflow)?;
    }
    if total != 0 {
        return Err(Error::internal(format!("the posting {} of {} is off by {total}", posting.posting, posting.order)));
    }
    rows.extend(accounts.into_iter().filter(|(_, amount)| *amount != 0).map(|(account, amount)| {
        vec![
            entry_id(posting.order, &posting.posting, account).into(),
            posting.order.into(),
            posting.posting.as_str().into(),
            account.as_str().into(),
            posting.currency.into(),
            amount.into(),
            posting.occurred_at.into(),
            now.into(),
        ]
    }));
    Ok(())
}

/// An entry's id follows from what it is, so that the same posting can not be booked twice; and it begins like its
/// order's, so that new entries lie together on disk.
fn entry_id(order: OrderId, posting: &str, account: Account) -> LedgerEntryId {
    let mut hash = Sha256::new();
    hash.update(order.bytes());
    hash.update(account.as_str());
    hash.update([0]);
    hash.update(posting);
    let hash: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    let (time, rest) = (order.bytes().iter().take(8), hash.iter().take(8));
    id.iter_mut().zip(time.chain(rest)).for_each(|(to, from)| *to = *from);
    LedgerEntryId::from_bytes(id)
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
