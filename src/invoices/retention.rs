//! What becomes of documents that do not have to be kept any more: what is personal is taken out of them, and what proves that numbers have no
//! gaps, and what was taxed, stays.

use super::{model::Invoice, store};
use crate::{
    db::{Lane, Tx},
    error::{Code, Error, Result},
    http::State,
    jobs::Runner,
    kernel::Instant,
};

/// So often it is looked for.
const EVERY_SECONDS: i64 = 86_400;
/// So many are written in one transaction.
const BITE: i64 = 50;
/// So late begins the day anywhere on Earth: a document is kept until its last day has ended there too.
const LATEST_SECONDS: i64 = 12 * 3_600;

/// Registers the schedule.
pub(super) fn work(state: &State, runner: &mut Runner) {
    let db = state.db.clone();
    runner.every("invoices.redact", EVERY_SECONDS, move |now| {
        let db = db.clone();
        async move {
            // Breaking off loses nothing: the next turn finds the rest.
            while db.write_in(Lane::Bulk, move |tx| redact_due(tx, now, BITE)).await? {}
            Ok(())
        }
    });
}

/// Takes what is personal out of up to so many documents whose `retain_until` has ended. Whether there may be more.
fn redact_due(tx: &mut Tx, now: Instant, limit: i64) -> Result<bool> {
    let day = now.plus_seconds(-LATEST_SECONDS).utc().date_naive();
    let due = store::outlived(tx, day, limit)?;
    let more = i64::try_from(due.len()).is_ok_and(|found| found == limit);
    for one in due {
        let left = one.redacted(now);
        if !store::redact(tx, now, day, &left)? {
            return Err(Error::overtaken("an invoice"));
        }
    }
    Ok(more)
}

/// A document that is as it was issued: to be drawn, or written anew.
///
/// # Errors
/// `invoice_redacted`.
pub(super) fn unredacted(found: Invoice) -> Result<Invoice> {
    let Some(at) = found.redacted_at else { return Ok(found) };
    let detail = format!(
        "{} was to be kept until {}; what is personal was taken out of it since",
        found.number.as_deref().unwrap_or_default(),
        found.retain_until
    );
    Err(Error::problem(Code::InvoiceRedacted, detail).with("redacted_at", serde_json::to_value(at)?))
}
