//! Routes of the journal.

use actix_web::{HttpResponse, get, put};
use serde::Deserialize;

use super::{
    model::{JournalAccounts, JournalEntry, JournalPage, JournalSum},
    service::{self, Asked},
};
use crate::{
    channels::Directory,
    error::{Code, Error, Result},
    exports::Format,
    http::{Body, Call, List, Mount, Page, Params, RefPath, Reply, csv, paging},
    kernel::{Actor, Moment, Scope, ids::LegalEntityId},
};

/// What is read.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JournalQuery {
    /// `next_cursor` of the answer before; from the beginning when absent.
    pub after: Option<String>,
    /// How many entries at most, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<i64>,
    /// `json`, `ndjson` or `csv`. As `csv` each row of an entry is one; what else a page holds stands in headers.
    #[param(inline)]
    pub format: Option<Format>,
    /// Whether entries of test channels are among them.
    pub include_test: Option<bool>,
}

/// Read the journal
///
/// The postings of all orders' money ledgers as journal entries, each once and in an order that never changes: remember `next_cursor`, and
/// send it as `after`. A posting is in the journal a few seconds after it was booked. Accounts have the numbers that were set for their
/// legal entity (`/v1/ops/legal-entities/{id}/journal-accounts`) at the time of reading.
#[utoipa::path(tag = "poll", params(JournalQuery), security(("token" = ["feeds:read"])),
    responses((status = 200,
        content((JournalPage = "application/json"), (String = "application/x-ndjson"), (String = "text/csv")))))]
#[get("/journal")]
async fn read_journal(call: Call, query: Params<JournalQuery>) -> Result<HttpResponse> {
    let (actor, query) = (call.allow(Scope::FeedsRead)?.clone(), query.0);
    let limit = paging::limit(query.limit)?;
    let directory = call.snapshot::<Directory>().await?;
    let asked = Asked { actor, directory, include_test: query.include_test.unwrap_or(false) };
    let page = call.read(move |tx| service::page(tx, &asked, query.after.as_deref(), limit)).await?;
    response(&page, query.format.unwrap_or(Format::Json))
}

fn response(page: &JournalPage, format: Format) -> Result<HttpResponse> {
    let mut response = HttpResponse::Ok();
    response.insert_header(("Cache-Control", "no-store"));
    if format != Format::Json {
        response.insert_header(("Kontor-Next-Cursor", page.next_cursor.as_str()));
        response.insert_header(("Kontor-Has-More", page.has_more.to_string()));
    }
    match format {
        Format::Json => Ok(response.json(page)),
        Format::Ndjson => {
            let lines: serde_json::Result<Vec<String>> = page.items.iter().map(serde_json::to_string).collect();
            let text = lines?.into_iter().map(|line| line + "\n").collect::<String>();
            Ok(response.content_type("application/x-ndjson; charset=utf-8").body(text))
        }
        Format::Csv => {
            let text = csv::write(Some(COLUMNS), page.items.iter().flat_map(cells))?;
            Ok(response.content_type("text/csv; charset=utf-8; header=present").body(text))
        }
    }
}

const COLUMNS: &[&str] = &[
    "position",
    "id",
    "date",
    "posting",
    "order_number",
    "legal_entity_id",
    "channel_id",
    "currency",
    "account",
    "number",
    "debit",
    "credit",
    "rate",
    "country",
    "treatment",
];

fn cells(entry: &JournalEntry) -> Vec<Vec<String>> {
    let amount =
        |money: Option<crate::kernel::Money>| money.map(|money| money.decimal().to_string()).unwrap_or_default();
    let row = |line: &super::JournalLine| {
        vec![
            entry.position.to_string(),
            entry.id.clone(),
            entry.date.to_string(),
            entry.posting.clone(),
            entry.order_number.clone(),
            entry.legal_entity_id.to_string(),
            entry.channel_id.to_string(),
            entry.currency.to_string(),
            line.account.to_string(),
            line.number.clone().unwrap_or_default(),
            amount(line.debit),
            amount(line.credit),
            line.rate.clone().unwrap_or_default(),
            line.country.map(|country| country.as_str().to_owned()).unwrap_or_default(),
            line.treatment.map(|treatment| treatment.to_string()).unwrap_or_default(),
        ]
    };
    entry.lines.iter().map(row).collect()
}

/// Which period.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JournalSummaryQuery {
    /// From this day or instant on; from 31 days ago where neither is given.
    #[param(value_type = Option<String>, example = "2026-11-01")]
    pub from: Option<Moment>,
    /// Until this day, which is in it, or this instant, which is not.
    #[param(value_type = Option<String>, example = "2026-11-30")]
    pub to: Option<Moment>,
    /// Of one legal entity. Days are those of its books; of all together those in UTC.
    pub legal_entity_id: Option<LegalEntityId>,
}

/// Sums of the journal
///
/// What each account has taken and given in a period, by legal entity, and of revenue by country and rate. Debits and credits of a legal
/// entity in a currency are the same.
#[utoipa::path(tag = "watch the shop", params(JournalSummaryQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<JournalSum>)))]
#[get("/journal/summary")]
async fn list_journal_sums(call: Call, query: List<JournalSummaryQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let (wanted, directory) = (query.filter.clone(), call.snapshot::<Directory>().await?);
    let (asked, now) = (Asked { actor, directory, include_test: false }, call.now);
    let sums = call.read(move |tx| {
        let zone = match wanted.legal_entity_id {
            Some(id) => {
                let entity = crate::channels::entity(tx, id)?;
                entity.ok_or_else(|| Error::not_found("legal entity"))?.time_zone.0
            }
            None => chrono_tz::Tz::UTC,
        };
        let span = match (wanted.from, wanted.to) {
            (Some(from), Some(to)) => (from.begins(zone), to.ends(zone)),
            (None, None) => (now.plus_seconds(-31 * 86_400), now.plus_seconds(1)),
            _ => return Err(Error::problem(Code::InvalidQuery, "give both of `from` and `to`").at("from")),
        };
        if span.0 >= span.1 {
            return Err(Error::problem(Code::InvalidQuery, "expected an end behind `from`").at("to"));
        }
        service::summary(tx, &asked, span, wanted.legal_entity_id)
    });
    let mut sums = sums.await?;
    sums.sort_by_cached_key(place);
    query.answer_from(&call, sums, place)
}

/// The place of a sum among the others.
fn place(sum: &JournalSum) -> String {
    let country = sum.country.map(|country| country.as_str().to_owned()).unwrap_or_default();
    let rate = sum.rate.as_deref().unwrap_or_default();
    format!("{}/{}/{country}/{rate}/{}", sum.legal_entity_id, sum.account, sum.debit.currency().code())
}

/// Who is limited to channels sees who stands behind these.
fn sees(actor: &Actor, directory: &Directory, id: LegalEntityId) -> Result<()> {
    let mut own = directory.iter().filter(|channel| channel.legal_entity_id == id);
    match actor.channels().is_none() || own.any(|channel| actor.sees_channel(channel.id)) {
        true => Ok(()),
        false => Err(Error::not_found("legal entity")),
    }
}

/// Read the numbers of accounts
///
/// That a legal entity's bookkeeping has for ours.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(LegalEntityId), Path)), security(("token" = ["settings:read"])),
    responses((status = 200, body = JournalAccounts)))]
#[get("/legal-entities/{id}/journal-accounts")]
async fn read_journal_accounts(call: Call, path: RefPath<LegalEntityId>) -> Result<Reply> {
    let actor = call.allow(Scope::SettingsRead)?.clone();
    sees(&actor, &*call.snapshot::<Directory>().await?, path.0)?;
    Reply::ok(&call.read(move |tx| service::accounts(tx, path.0)).await?)
}

/// Set the numbers of accounts
///
/// All of them at once. What is read of the journal from then on has the new ones.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(LegalEntityId), Path)), request_body = JournalAccounts,
    security(("token" = ["settings:write"])), responses((status = 200, body = JournalAccounts)))]
#[put("/legal-entities/{id}/journal-accounts")]
async fn set_journal_accounts(call: Call, path: RefPath<LegalEntityId>, body: Body<JournalAccounts>) -> Result<Reply> {
    let actor = call.allow(Scope::SettingsWrite)?.clone();
    sees(&actor, &*call.snapshot::<Directory>().await?, path.0)?;
    // It may stand behind other channels too.
    call.allow_everywhere(Scope::SettingsWrite)?;
    let (id, now, new) = (path.0, call.now, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        service::set_accounts(tx, now, id, &new)?;
        Reply::ok(&new)
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_journal_sums).service(read_journal_accounts).service(set_journal_accounts);
}

/// The routes of the integration surface.
pub fn integration(config: &mut Mount<'_>) {
    config.service(read_journal);
}
