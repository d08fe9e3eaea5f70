//! Looking through the whole database for words that should be nowhere any more: that an erasure has left nothing.

use std::time::{Duration, Instant as Moment};

use actix_web::post;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    db::{dump, tables},
    error::{Code, Error, Result},
    http::{Body, Call, Cursor, Mount, Reply},
    kernel::{Scope, text::Text},
};

/// For so long one request looks; the next goes on where it was.
const TURN: Duration = Duration::from_secs(3);
/// So many rows are told of in one answer.
const TOLD: usize = 200;
/// A word is at least so long: shorter ones stand everywhere.
const SHORTEST: usize = 4;

/// What is looked for.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"words": ["nobody@example.org"]}))]
pub struct ErasureScanRequest {
    /// Words that tell who somebody is: an e-mail address, a name, a telephone number as it was written. Four characters or more each; case
    /// does not matter.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 20)]
    words: Vec<Text<200>>,
    /// Where to go on: `next_cursor` of the answer before.
    cursor: Option<String>,
}

/// A row in which a word stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ScanHit {
    /// The table.
    table: &'static str,
    /// The column.
    column: &'static str,
    /// The row's key, as a JSON array.
    key: String,
    /// Which of the words: its place in the request, from 0.
    word: usize,
}

/// What was found.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ScanReport {
    /// How many rows were looked at.
    rows: usize,
    /// Where the words stand.
    hits: Vec<ScanHit>,
    /// Send it as `cursor` to go on; absent once all was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Where looking goes on: a table by its name, and the key of the last row that was looked at.
type Place = (String, Option<Vec<Value>>);

/// Look for what an erasure should have taken
///
/// Looks through every table for words, a piece at a time: go on with `next_cursor` until there is none. What is kept sealed (stored answers
/// that hold secrets) can not be looked into: such answers are removed by the erasure's sweep, and by time. What stays on purpose (invoices,
/// words of staff) is found too, and told by table and column. Nothing is written.
#[utoipa::path(tag = "answer a customer", request_body = ErasureScanRequest, security(("token" = ["customers:erase"])),
    responses((status = 200, body = ScanReport)))]
#[post("/erasure/scan")]
async fn scan_for_words(call: Call, body: Body<ErasureScanRequest>) -> Result<Reply> {
    call.allow_everywhere(Scope::CustomersErase)?;
    let words: Vec<String> = body.words.iter().map(|word| word.to_lowercase()).collect();
    if words.is_empty() || words.len() > 20 {
        return Err(Error::invalid("/words", "expected 1 to 20 words"));
    }
    if let Some(place) = words.iter().position(|word| word.chars().count() < SHORTEST) {
        return Err(Error::invalid(format!("/words/{place}"), format!("expected {SHORTEST} characters or more")));
    }
    let from: Option<Place> = Cursor::decode_optional(body.cursor.as_deref())?;
    Reply::ok(&scan(&call, &words, from).await?)
}

async fn scan(call: &Call, words: &[String], from: Option<Place>) -> Result<ScanReport> {
    let begun = Moment::now();
    let (first, mut last) = from.map_or((None, None), |(table, key)| (Some(table), key));
    let mut report = ScanReport { rows: 0, hits: Vec::new(), next_cursor: None };
    let all = tables::all();
    let start = match &first {
        None => Some(0),
        Some(name) => all
            .iter()
            .position(|table| table.name == name && last.as_deref().is_none_or(|key| dump::is_key(table, key))),
    };
    let wrong = || Error::problem(Code::InvalidCursor, "this cursor was not given by this route").at("/cursor");
    let start = start.ok_or_else(wrong)?;
    for table in all.iter().skip(start) {
        loop {
            if begun.elapsed() > TURN || report.hits.len() >= TOLD {
                report.next_cursor = Some(Cursor((table.name.to_owned(), last)).encode()?);
                return Ok(report);
            }
            let behind = last.take();
            let (rows, end) = call.read(move |tx| dump::rows_behind(tx, table, behind.as_deref())).await?;
            report.rows += rows.len();
            for row in &rows {
                report.hits.extend(hits(table, row, words)?);
            }
            if end.is_none() {
                break;
            }
            last = end;
        }
        last = None;
    }
    Ok(report)
}

/// Where words stand in a row.
fn hits(table: &'static tables::Table, row: &str, words: &[String]) -> Result<Vec<ScanHit>> {
    let folded = row.to_lowercase();
    let found: Vec<usize> =
        words.iter().enumerate().filter(|(_, word)| folded.contains(word.as_str())).map(|(place, _)| place).collect();
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<Value> = serde_json::from_str(row)?;
    let key: Vec<&Value> = table.key.iter().filter_map(|name| values.get(table.place(name)?)).collect();
    let key = serde_json::to_string(&key)?;
    let mut hits = Vec::new();
    for (column, value) in table.columns.iter().zip(&values) {
        let text = value.to_string().to_lowercase();
        for word in &found {
            if words.get(*word).is_some_and(|wanted| text.contains(wanted.as_str())) {
                hits.push(ScanHit { table: table.name, column: column.name, key: key.clone(), word: *word });
            }
        }
    }
    Ok(hits)
}

/// The route of the ops surface.
pub(super) fn ops(config: &mut Mount<'_>) {
    config.service(scan_for_words);
}
