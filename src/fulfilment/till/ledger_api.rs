//! Reading the ledger of an order.

use actix_web::get;
use serde::Serialize;

use crate::{
    error::{Error, Result},
    http::{Call, Mount, RefPath, Reply},
    kernel::{Country, Instant, Money, Scope, ids::OrderId},
    orders,
    payments::{
        Account,
        ledger::{self, Entry},
    },
};

/// The money ledger of an order: double entry, so that its accounts sum to zero at any time.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OrderLedger {
    /// The order.
    pub order_id: OrderId,
    /// What each account holds: above zero in debit, below in credit. Accounts that hold nothing are left out.
    pub balances: Vec<LedgerBalance>,
    /// What was booked, the oldest first.
    pub postings: Vec<LedgerPosting>,
}

/// What an account of an order holds.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LedgerBalance {
    /// The account. More may come.
    pub account: Account,
    /// Above zero in debit, below in credit.
    pub amount: Money,
}

/// What was booked at once.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LedgerPosting {
    /// What it follows from, such as `placed` or `capture:…`.
    pub posting: String,
    /// When that happened.
    pub occurred_at: Instant,
    /// When it was booked.
    pub recorded_at: Instant,
    /// Its place in the journal, a few seconds later; none where no money moves by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal_position: Option<i64>,
    /// Its rows, which sum to zero.
    pub entries: Vec<LedgerRow>,
}

/// A row of a posting.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LedgerRow {
    /// The account. More may come.
    pub account: Account,
    /// Above zero in debit, below in credit.
    pub amount: Money,
    /// The rate of the tax on revenue, as a fraction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// The country whose tax it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
}

impl OrderLedger {
    fn of(order_id: OrderId, entries: Vec<Entry>) -> Self {
        let (mut balances, mut postings) = (Vec::<LedgerBalance>::new(), Vec::<LedgerPosting>::new());
        for Entry { posting, account, amount, occurred_at, recorded_at, journal_position, rate, country } in entries {
            match balances.iter_mut().find(|one| one.account == account) {
                Some(one) => {
                    one.amount = Money::from_minor(one.amount.minor() + amount.minor(), amount.currency());
                }
                None => balances.push(LedgerBalance { account, amount }),
            }
            let row = LedgerRow { account, amount, rate, country };
            match postings.last_mut().filter(|last| last.posting == posting) {
                Some(last) => last.entries.push(row),
                None => {
                    let entries = vec![row];
                    postings.push(LedgerPosting { posting, occurred_at, recorded_at, journal_position, entries });
                }
            }
        }
        balances.retain(|one| one.amount.minor() != 0);
        balances.sort_by_key(|one| one.account);
        Self { order_id, balances, postings }
    }
}

/// Read an order's ledger
///
/// What each of its accounts holds, and every posting. What providers promise (`authorised`) is booked a few seconds after.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = OrderLedger)))]
#[get("/orders/{ref}/ledger")]
async fn order_ledger(call: Call, path: RefPath<String>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let found = call.read(move |tx| {
        let id = orders::find(tx, &actor, &path.0)?;
        let order = orders::document(tx, id)?.ok_or_else(|| Error::not_found("order"))?;
        Ok(OrderLedger::of(order.id, ledger::entries_of(tx, order.id)?))
    });
    Reply::ok(&found.await?)
}

/// The routes of the ops surface.
pub(super) fn ops(config: &mut Mount<'_>) {
    config.service(order_ledger);
}
