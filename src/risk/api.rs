//! Routes of rules, lists, assessments and reports.

use actix_web::{delete, get, patch, post, put};
use serde::Deserialize;

use super::{
    forms::{
        NewRiskEntry, RiskAssessment, RiskDecisions, RiskEntry, RiskEntryPatch, RiskEntryRow, RiskImport, RiskProfile,
        RiskRowRefused, RiskRuleReport, RiskSimulation, SimulateRisk,
    },
    model::{Decision, Listing, Mark, ProfileDocument, RiskOutcome},
    report::Tally,
    service::{self, Filter, Place},
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    http::{
        All, Body, Call, IfMatch, List, Mount, NoBody, Page, RawBody, RefPath, Reply, csv, idempotency::Fingerprint,
        parse_json, parse_value,
    },
    kernel::{
        Id, Instant, Scope,
        ids::{CartId, ChannelId, RiskAssessmentId, RiskEntryId},
    },
};

fn of_profile(profile: &RiskProfile) -> Result<Reply> {
    Ok(Reply::ok(profile)?.version(profile.version))
}

/// List the rules of risk
///
/// The live version of each channel that has rules.
#[utoipa::path(tag = "judge risk", security(("token" = ["risk:read"])), responses((status = 200, body = Page<RiskProfile>)))]
#[get("/risk/profiles")]
async fn list_risk_profiles(call: Call, query: List<All>) -> Result<Reply> {
    let actor = call.allow(Scope::RiskRead)?.clone();
    let all = call.read(move |tx| service::newest(tx, None)).await?;
    let seen = all.into_iter().filter(|profile| actor.sees_channel(profile.channel_id)).collect();
    query.answer_from(&call, seen, |profile: &RiskProfile| profile.channel_id)
}

/// Read a channel's rules of risk
#[utoipa::path(tag = "judge risk", params(("channel_id" = inline(ChannelId), Path)), security(("token" = ["risk:read"])),
    responses((status = 200, body = RiskProfile)))]
#[get("/risk/profiles/{channel_id}")]
async fn read_risk_profile(call: Call, path: RefPath<ChannelId>) -> Result<Reply> {
    let (actor, channel) = (call.allow(Scope::RiskRead)?.clone(), path.0);
    of_profile(&call.read(move |tx| service::profile(tx, &actor, channel)).await?)
}

/// List the versions of a channel's rules of risk
///
/// The newest first. Assessments name the version that they were made by.
#[utoipa::path(tag = "judge risk", params(("channel_id" = inline(ChannelId), Path)), security(("token" = ["risk:read"])),
    responses((status = 200, body = Page<RiskProfile>)))]
#[get("/risk/profiles/{channel_id}/versions")]
async fn list_risk_profile_versions(call: Call, path: RefPath<ChannelId>, query: List<All>) -> Result<Reply> {
    let (actor, channel) = (call.allow(Scope::RiskRead)?.clone(), path.0);
    let read = move |tx: &mut Tx, before, limit| {
        service::profile(tx, &actor, channel)?;
        service::versions(tx, channel, before, limit)
    };
    query.answer(&call, |profile: &RiskProfile| profile.version, read).await
}

/// Set a channel's rules of risk
///
/// The next version, which is live at once: for checkouts that begin from now on. Send the `ETag` you have seen as `If-Match`. What the
/// rules would have come to at past checkouts, `POST /v1/ops/risk/simulate` tells before.
#[utoipa::path(tag = "judge risk", params(("channel_id" = inline(ChannelId), Path), IfMatch), request_body = ProfileDocument,
    security(("token" = ["risk:write"])), responses((status = 200, body = RiskProfile)))]
#[put("/risk/profiles/{channel_id}")]
async fn set_risk_profile(call: Call, path: RefPath<ChannelId>, body: Body<ProfileDocument>) -> Result<Reply> {
    let (actor, expected) = (call.allow(Scope::RiskWrite)?.clone(), call.if_match()?);
    let (channel, now, document) = (path.0, call.now, body.value.clone());
    call.reference_command(&body.fingerprint, move |tx| {
        of_profile(&service::set_profile(tx, (now, &actor), channel, expected, &document)?)
    })
    .await
}

/// What the list of assessments can be narrowed to.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AssessmentQuery {
    /// What was done.
    decision: Option<Decision>,
    /// What became of it.
    outcome: Option<RiskOutcome>,
    /// With so many points or more.
    min_score: Option<i64>,
    /// Of this channel.
    #[param(value_type = Option<String>)]
    channel_id: Option<ChannelId>,
    /// Of this cart.
    #[param(value_type = Option<String>)]
    cart_id: Option<CartId>,
    /// From this time on.
    from: Option<Instant>,
    /// Before this time.
    to: Option<Instant>,
}

/// List what was found at checkouts
///
/// The newest first, those that were refused too.
#[utoipa::path(tag = "judge risk", params(AssessmentQuery), security(("token" = ["risk:read"])),
    responses((status = 200, body = Page<RiskAssessment>)))]
#[get("/risk/assessments")]
async fn list_risk_assessments(call: Call, query: List<AssessmentQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::RiskRead)?.clone();
    let AssessmentQuery { decision, outcome, min_score, channel_id, cart_id, from, to } = query.filter.clone();
    let channels = actor.channels().map(<[ChannelId]>::to_vec);
    let filter = Filter { channels, channel: channel_id, decision, outcome, min_score, cart: cart_id, from, to };
    let read = move |tx: &mut Tx, before, limit| service::page(tx, &filter, before, limit);
    query.answer(&call, |one: &RiskAssessment| -> Place { (one.assessed_at, one.id) }, read).await
}

/// Read what was found at a checkout
#[utoipa::path(tag = "judge risk", params(("id" = inline(RiskAssessmentId), Path)), security(("token" = ["risk:read"])),
    responses((status = 200, body = RiskAssessment)))]
#[get("/risk/assessments/{id}")]
async fn read_risk_assessment(call: Call, path: RefPath<RiskAssessmentId>) -> Result<Reply> {
    let (actor, id) = (call.allow(Scope::RiskRead)?.clone(), path.0);
    Reply::ok(&call.read(move |tx| service::visible(tx, &actor, id)).await?)
}

/// Put somebody on a list
///
/// Who is on `allow` is let through whatever the rules say; who is on `block` is refused, unless something else about them is on
/// `allow`. Lists are for all channels that have rules. Something is on one list at most.
#[utoipa::path(tag = "judge risk", request_body = NewRiskEntry, security(("token" = ["risk:write"])),
    responses((status = 201, body = RiskEntry)))]
#[post("/risk/lists")]
async fn create_risk_entry(call: Call, body: Body<NewRiskEntry>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::RiskWrite)?.clone();
    let (id, now, new, secret) = (Id::new(), call.now, body.value.clone(), call.state.secret.clone());
    call.command(&body.fingerprint, move |tx| {
        let made = service::add_entry(tx, (now, &actor, &secret), id, &new)?;
        Ok(Reply::created(&made)?.version(1).location(format!("/v1/ops/risk/lists/{}", made.id)))
    })
    .await
}

/// What the lists can be narrowed to.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EntryQuery {
    /// The list.
    list: Option<Listing>,
    /// By what they are met.
    kind: Option<Mark>,
}

/// List whom to allow and to block
///
/// The oldest first, those whose time is over too.
#[utoipa::path(tag = "judge risk", params(EntryQuery), security(("token" = ["risk:read"])),
    responses((status = 200, body = Page<RiskEntry>)))]
#[get("/risk/lists")]
async fn list_risk_entries(call: Call, query: List<EntryQuery>) -> Result<Reply> {
    call.allow_everywhere(Scope::RiskRead)?;
    let wanted = query.filter.clone();
    let read = move |tx: &mut Tx, after, limit| service::entries(tx, (wanted.list, wanted.kind), after, limit);
    query.answer(&call, |entry: &RiskEntry| entry.id, read).await
}

/// Read an entry of a list
#[utoipa::path(tag = "judge risk", params(("id" = inline(RiskEntryId), Path)), security(("token" = ["risk:read"])),
    responses((status = 200, body = RiskEntry)))]
#[get("/risk/lists/{id}")]
async fn read_risk_entry(call: Call, path: RefPath<RiskEntryId>) -> Result<Reply> {
    call.allow_everywhere(Scope::RiskRead)?;
    let id = path.0;
    let entry = call.read(move |tx| service::entry(tx, id)).await?;
    Ok(Reply::ok(&entry)?.version(entry.version))
}

/// Change an entry of a list
///
/// Send the `ETag` you have seen as `If-Match`.
#[utoipa::path(tag = "judge risk", params(("id" = inline(RiskEntryId), Path), IfMatch), request_body = RiskEntryPatch,
    security(("token" = ["risk:write"])), responses((status = 200, body = RiskEntry)))]
#[patch("/risk/lists/{id}")]
async fn update_risk_entry(call: Call, path: RefPath<RiskEntryId>, body: Body<RiskEntryPatch>) -> Result<Reply> {
    call.allow_everywhere(Scope::RiskWrite)?;
    let (id, now, expected, patch) = (path.0, call.now, call.if_match()?, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let changed = service::change_entry(tx, now, (id, expected), &patch)?;
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// Take an entry off its list
#[utoipa::path(tag = "judge risk", params(("id" = inline(RiskEntryId), Path)), security(("token" = ["risk:write"])),
    responses((status = 204)))]
#[delete("/risk/lists/{id}")]
async fn delete_risk_entry(call: Call, path: RefPath<RiskEntryId>, _: NoBody) -> Result<Reply> {
    call.allow_everywhere(Scope::RiskWrite)?;
    let id = path.0;
    call.command(&Fingerprint::none(), move |tx| {
        service::remove_entry(tx, id)?;
        Ok(Reply::no_content())
    })
    .await
}

/// The columns of a file of entries.
const COLUMNS: [&str; 5] = ["list", "kind", "value", "reason", "until"];
/// The most rows of a file.
const MOST_ROWS: usize = 10_000;

/// Import lists
///
/// CSV with the columns `list`, `kind`, `value`, `reason` and `until` (which may be left out), or NDJSON with these fields; up to 10,000
/// rows. What is on a list already is changed as the row says; of several rows for the same the last counts. A row that is not valid is
/// answered with its reason and stops no others.
#[utoipa::path(tag = "judge risk", request_body(content((RiskEntryRow = "application/x-ndjson"), (String = "text/csv"))),
    security(("token" = ["risk:write"])), responses((status = 200, body = RiskImport)))]
#[post("/risk/lists/import")]
async fn import_risk_entries(call: Call, body: RawBody) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::RiskWrite)?.clone();
    let sent = match body.media_type.as_str() {
        "text/csv" => rows_of_table(&body.bytes)?,
        "application/x-ndjson" => rows_of_lines(&body.bytes)?,
        _ => {
            let detail = "the body must be application/x-ndjson or text/csv";
            return Err(Error::problem(Code::MediaTypeUnsupported, detail));
        }
    };
    let (now, secret) = (call.now, call.state.secret.clone());
    let (mut rows, mut refused) = (Vec::new(), Vec::new());
    for (row, sent) in (1_i64..).zip(sent) {
        match sent.and_then(|sent| service::importable(&secret, now, Id::new(), &sent)) {
            Ok(entry) => rows.push(entry),
            Err(error) => {
                refused.push(RiskRowRefused { row, code: error.code().as_str().to_owned(), detail: error.to_string() })
            }
        }
    }
    call.command(&body.fingerprint, move |tx| {
        let taken = service::import(tx, now, &actor, &rows)?;
        Reply::ok(&RiskImport { taken, refused: refused.clone() })
    })
    .await
}

fn too_many() -> Error {
    Error::problem(Code::BodyTooLarge, format!("expected at most {MOST_ROWS} rows"))
}

/// The rows of NDJSON.
fn rows_of_lines(bytes: &[u8]) -> Result<Vec<Result<RiskEntryRow>>> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let rows: Vec<Result<RiskEntryRow>> = lines.take(MOST_ROWS + 1).map(parse_json).collect();
    if rows.len() > MOST_ROWS { Err(too_many()) } else { Ok(rows) }
}

/// The rows of a table.
fn rows_of_table(bytes: &[u8]) -> Result<Vec<Result<RiskEntryRow>>> {
    let malformed = |error: ::csv::Error| Error::problem(Code::BodyMalformed, error.to_string());
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ::csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let heading = reader.headers().map_err(malformed)?.clone();
    let unknown = heading.iter().map(str::trim).find(|name| !COLUMNS.contains(name));
    if let Some(unknown) = unknown {
        let detail = format!("there is no column `{unknown}`: expected {}", COLUMNS.join(", "));
        return Err(Error::problem(Code::UnknownField, detail));
    }
    let places = COLUMNS.map(|column| heading.iter().position(|name| name.trim() == column));
    if let Some((column, _)) = COLUMNS.iter().zip(places).take(4).find(|(_, place)| place.is_none()) {
        return Err(Error::problem(Code::MissingField, format!("there is no column `{column}`")));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(malformed)?;
        if rows.len() == MOST_ROWS {
            return Err(too_many());
        }
        let cell = |place: Option<usize>| place.and_then(|place| record.get(place)).unwrap_or_default();
        let cells = COLUMNS.iter().zip(places).map(|(column, place)| (*column, csv::as_written(cell(place)).trim()));
        let filled = cells.filter(|(_, text)| !text.is_empty());
        let row = filled.map(|(column, text)| (column.to_owned(), serde_json::Value::from(text))).collect();
        rows.push(parse_value(&serde_json::Value::Object(row)));
    }
    Ok(rows)
}

/// Which checkouts a report is of.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ReportQuery {
    /// From this time on; the last 90 days where it is left out.
    from: Option<Instant>,
    /// Before this time.
    to: Option<Instant>,
    /// Of this channel.
    #[param(value_type = Option<String>)]
    channel_id: Option<ChannelId>,
}

/// So many are counted in one read.
const PIECE: i64 = 2_000;

/// Counts checkouts, some at a time: no read lasts long.
async fn tally(call: &Call, query: &ReportQuery) -> Result<Tally> {
    let actor = call.allow(Scope::RiskRead)?.clone();
    let from = query.from.unwrap_or_else(|| call.now.plus_seconds(-90 * 86_400));
    let filter = Filter {
        channels: actor.channels().map(<[ChannelId]>::to_vec),
        channel: query.channel_id,
        from: Some(from),
        to: query.to,
        ..Filter::default()
    };
    let (mut tally, mut after): (Tally, Option<Place>) = (Tally::default(), None);
    loop {
        let filter = filter.clone();
        let found = call.read(move |tx| service::judged(tx, &filter, after, PIECE)).await?;
        let more = i64::try_from(found.len()).is_ok_and(|count| count == PIECE);
        after = found.last().map(|(place, ..)| *place);
        found.into_iter().for_each(|(_, decision, fired, outcome)| tally.add(decision, fired, outcome));
        if !more {
            return Ok(tally);
        }
    }
}

/// Report what rules were worth
///
/// Per rule: how often it has fired, at bad and at good checkouts and at those of which nobody has said what became of them; its precision
/// and its recall. What counts is what has become of the orders.
#[utoipa::path(tag = "judge risk", params(ReportQuery), security(("token" = ["risk:read"])),
    responses((status = 200, body = Page<RiskRuleReport>)))]
#[get("/risk/report")]
async fn report_risk_rules(call: Call, query: List<ReportQuery>) -> Result<Reply> {
    let rules = tally(&call, &query.filter).await?.rules();
    query.answer_from(&call, rules, |row: &RiskRuleReport| row.rule.clone())
}

/// Report what was decided
///
/// How many checkouts were let through, held and refused, and what became of them.
#[utoipa::path(tag = "judge risk", params(ReportQuery), security(("token" = ["risk:read"])),
    responses((status = 200, body = Page<RiskDecisions>)))]
#[get("/risk/decisions")]
async fn report_risk_decisions(call: Call, query: List<ReportQuery>) -> Result<Reply> {
    let mut decisions = tally(&call, &query.filter).await?.decisions();
    decisions.sort_by_key(|row| row.decision.as_str());
    query.answer_from(&call, decisions, |row: &RiskDecisions| row.decision.as_str().to_owned())
}

/// Try rules out on past checkouts
///
/// What a draft would have come to, at up to 2,000 checkouts of a channel, the newest first. Nothing is written. Tries and losses are
/// counted as they stood then; whether it was a first order, and how many codes were refused, is known only where a rule had asked for it
/// then, and so is whether a domain gives addresses away. Entries of lists count as they did then.
#[utoipa::path(tag = "judge risk", request_body = SimulateRisk, security(("token" = ["risk:read"])),
    responses((status = 200, body = RiskSimulation)))]
#[post("/risk/simulate")]
async fn simulate_risk(call: Call, body: Body<SimulateRisk>) -> Result<Reply> {
    let (actor, now, wanted) = (call.allow(Scope::RiskRead)?.clone(), call.now, body.value.clone());
    Reply::ok(&call.read(move |tx| service::simulate(tx, &actor, now, &wanted)).await?)
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_risk_profiles).service(list_risk_profile_versions).service(read_risk_profile);
    config.service(set_risk_profile).service(list_risk_assessments).service(read_risk_assessment);
    config.service(import_risk_entries).service(create_risk_entry).service(list_risk_entries);
    config.service(read_risk_entry).service(update_risk_entry).service(delete_risk_entry);
    config.service(report_risk_rules).service(report_risk_decisions).service(simulate_risk);
}
