//! The only file that touches `risk_profiles`, `risk_assessments`, `risk_marks`, `risk_entries` and `risk_code_tries`.

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Nullable, Text},
};
use serde_json::json;

use super::{
    forms::{RiskAssessment, RiskEntry, RiskProfile, Stored},
    known_by::Named,
    model::{Assessment, Decision, Listing, Mark, ProfileDocument, RiskOutcome},
};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Tx, UidSql, dialect, insert_many, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{CartId, ChannelId, OrderId, RiskAssessmentId, RiskEntryId},
    },
};

type ProfileTypes = (UidSql, BigInt, DocSql, Text, InstantSql);
type ProfileRow = (ChannelId, i64, Doc<ProfileDocument>, String, Instant);
const PROFILE: &str = "channel_id, version, doc, made_by, created_at";

fn profile((channel_id, version, Doc(document), made_by, created_at): ProfileRow) -> RiskProfile {
    RiskProfile { channel_id, version, document, made_by, created_at }
}

/// The newest version of each channel's rules, or of one channel's.
pub(super) fn newest(tx: &mut Tx, channel: Option<ChannelId>) -> Result<Vec<RiskProfile>> {
    let narrowed = channel.map_or("", |_| " AND p.channel_id = ?");
    let query = format!(
        "SELECT {PROFILE} FROM risk_profiles AS p WHERE NOT EXISTS (SELECT 1 FROM risk_profiles AS n \
         WHERE n.channel_id = p.channel_id AND n.version > p.version){narrowed} ORDER BY channel_id"
    );
    let rows = sql(query).bind_all(channel.map(Bind::from)).load::<ProfileTypes, ProfileRow>(tx)?;
    Ok(rows.into_iter().map(profile).collect())
}

/// Versions of a channel's rules, the newest first, before one of them.
pub(super) fn versions(tx: &mut Tx, channel: ChannelId, before: Option<i64>, limit: i64) -> Result<Vec<RiskProfile>> {
    let query = format!(
        "SELECT {PROFILE} FROM risk_profiles WHERE channel_id = ? AND version < ? ORDER BY version DESC LIMIT ?"
    );
    let query = sql(query).bind(channel).bind(before.unwrap_or(i64::MAX)).bind(limit);
    Ok(query.load::<ProfileTypes, ProfileRow>(tx)?.into_iter().map(profile).collect())
}

/// Writes a version down; the key refuses one that is there.
pub(super) fn insert_profile(tx: &mut Tx, made: &RiskProfile) -> Result<()> {
    sql("INSERT INTO risk_profiles (channel_id, version, doc, made_by, created_at) VALUES (?, ?, ?, ?, ?)")
        .bind(made.channel_id)
        .bind(made.version)
        .bind(Json::of(&made.document)?)
        .bind(made.made_by.as_str())
        .bind(made.created_at)
        .execute(tx)?;
    Ok(())
}

/// What is asked about a shopper: rows of place, mark, hash and since when tries are counted; of place, mark and hash for losses; of mark
/// and hash for lists.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub tries: Vec<(i64, Mark, String, Instant)>,
    pub losses: Vec<(i64, Mark, String)>,
    pub lists: Vec<(Mark, String)>,
    pub cart: Option<CartId>,
}

/// What was found: how often, by place; by which places something was lost; the entries; how many codes were refused.
#[derive(Debug, Default)]
pub(super) struct Answered {
    pub tries: Vec<(i64, i64)>,
    pub losses: Vec<i64>,
    pub lists: Vec<(Listing, Mark, RiskEntryId)>,
    pub codes: i64,
}

/// All that is asked about a shopper: one statement.
pub(super) fn known(tx: &mut Tx, now: Instant, asked: &Asked) -> Result<Answered> {
    const ROW: &[(&str, Col)] =
        &[("place", Col::Int), ("mark_kind", Col::Text), ("mark_hash", Col::Text), ("since", Col::At)];
    let (counted, lost, listed) = (
        dialect::list(tx, ROW),
        dialect::list(tx, ROW.get(..3).unwrap_or_default()),
        dialect::list(tx, ROW.get(..3).unwrap_or_default()),
    );
    // The entries first: by them PostgreSQL knows what the last column is.
    let query = format!(
        "SELECT e.list, list.place, CAST(1 AS BIGINT), e.id FROM {listed} JOIN risk_entries AS e \
           ON e.kind = list.mark_kind AND e.hash = list.mark_hash WHERE e.until_at IS NULL OR e.until_at > ? \
         UNION ALL SELECT 'tries', list.place, count(*), NULL FROM {counted} JOIN risk_marks AS m \
           ON m.kind = list.mark_kind AND m.hash = list.mark_hash AND m.marked_at > list.since GROUP BY list.place \
         UNION ALL SELECT 'losses', list.place, count(*), NULL FROM {lost} JOIN risk_marks AS m \
           ON m.kind = list.mark_kind AND m.hash = list.mark_hash AND m.lost_at IS NOT NULL GROUP BY list.place \
         UNION ALL SELECT 'codes', CAST(0 AS BIGINT), tries, NULL FROM risk_code_tries WHERE cart_id = ?"
    );
    let kinds: Vec<Mark> = asked.lists.iter().map(|(mark, _)| *mark).collect();
    let lists = (0_i64..).zip(&asked.lists).map(|(place, (mark, hash))| json!([place, mark, hash])).collect();
    let tries = asked.tries.iter().map(|(place, mark, hash, since)| json!([place, mark, hash, since.sortable()]));
    let losses = asked.losses.iter().map(|(place, mark, hash)| json!([place, mark, hash])).collect();
    let query = sql(query).bind(dialect::rows(lists)).bind(now).bind(dialect::rows(tries.collect()));
    let query = query.bind(dialect::rows(losses)).bind(asked.cart);
    type Row = (String, i64, i64, Option<RiskEntryId>);
    let mut answered = Answered::default();
    for (what, place, count, entry) in query.load::<(Text, BigInt, BigInt, Nullable<UidSql>), Row>(tx)? {
        match (what.as_str(), entry) {
            ("tries", _) => answered.tries.push((place, count)),
            ("losses", _) => answered.losses.push(place),
            ("codes", _) => answered.codes = count,
            (list, Some(entry)) => {
                let kind = usize::try_from(place).ok().and_then(|place| kinds.get(place)).copied();
                answered.lists.extend(list.parse().ok().zip(kind).map(|(list, kind)| (list, kind, entry)));
            }
            _ => {}
        }
    }
    Ok(answered)
}

/// Writes down what was found at a checkout.
pub(super) fn insert(
    tx: &mut Tx,
    now: Instant,
    (id, channel, cart): (RiskAssessmentId, ChannelId, CartId),
    (found, version, stored): (&Assessment, i64, &Stored),
    marks: &[(Mark, String)],
) -> Result<()> {
    sql("INSERT INTO risk_assessments (id, channel_id, cart_id, decision, score, profile_version, doc, fired, assessed_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(id)
    .bind(channel)
    .bind(cart)
    .bind(found.decision.as_str())
    .bind(found.score)
    .bind(version)
    .bind(Json::of(stored)?)
    .bind(Json::of(&found.fired())?)
    .bind(now)
    .execute(tx)?;
    const MARK: &[(&str, Col)] = &[
        ("assessment_id", Col::Uid),
        ("kind", Col::Text),
        ("hash", Col::Text),
        ("cart_id", Col::Uid),
        ("marked_at", Col::At),
    ];
    let row = |(mark, hash): &(Mark, String)| -> Vec<Bind> {
        vec![id.into(), mark.as_str().into(), hash.as_str().into(), cart.into(), now.into()]
    };
    insert_many(tx, "risk_marks", MARK, marks.iter().map(row).collect())?;
    Ok(())
}

/// Notes which order came of what was found.
pub(super) fn link(tx: &mut Tx, id: RiskAssessmentId, order: OrderId) -> Result<bool> {
    let update = "UPDATE risk_assessments SET order_id = ? WHERE id = ? AND order_id IS NULL AND decision <> 'decline'";
    Ok(sql(update).bind(order).bind(id).execute(tx)? == 1)
}

#[derive(Queryable)]
struct AssessmentRow {
    id: RiskAssessmentId,
    channel_id: ChannelId,
    cart_id: CartId,
    order_id: Option<OrderId>,
    decision: Decision,
    score: i64,
    profile_version: i64,
    doc: Doc<Stored>,
    outcome: Option<RiskOutcome>,
    judged_at: Option<Instant>,
    judged_by: Option<String>,
    note: Option<String>,
    assessed_at: Instant,
}

#[rustfmt::skip]
type AssessmentTypes = (
    UidSql, UidSql, UidSql, Nullable<UidSql>, Text, BigInt, BigInt, DocSql, Nullable<Text>, Nullable<InstantSql>, Nullable<Text>,
    Nullable<Text>, InstantSql,
);
const ASSESSMENT: &str = "id, channel_id, cart_id, order_id, decision, score, profile_version, doc, outcome, judged_at, judged_by, note, \
                          assessed_at";

impl From<AssessmentRow> for RiskAssessment {
    fn from(row: AssessmentRow) -> Self {
        let Stored { by, trace, facts } = row.doc.0;
        Self {
            id: row.id,
            channel_id: row.channel_id,
            cart_id: row.cart_id,
            order_id: row.order_id,
            profile_version: row.profile_version,
            found: Assessment { decision: row.decision, score: row.score, by, trace },
            facts,
            outcome: row.outcome,
            judged_at: row.judged_at,
            judged_by: row.judged_by,
            note: row.note,
            assessed_at: row.assessed_at,
        }
    }
}

/// What was found, by its id.
pub(super) fn find(tx: &mut Tx, id: RiskAssessmentId) -> Result<Option<RiskAssessment>> {
    let query = sql(format!("SELECT {ASSESSMENT} FROM risk_assessments WHERE id = ?")).bind(id);
    Ok(query.first::<AssessmentTypes, AssessmentRow>(tx)?.map(RiskAssessment::from))
}

/// What was found of an order.
pub(super) fn of_order(tx: &mut Tx, order: OrderId) -> Result<Option<RiskAssessment>> {
    let query = sql(format!("SELECT {ASSESSMENT} FROM risk_assessments WHERE order_id = ?")).bind(order);
    Ok(query.first::<AssessmentTypes, AssessmentRow>(tx)?.map(RiskAssessment::from))
}

/// What was found at carts, behind one of them, in the order of their ids.
pub(super) fn of_carts(
    tx: &mut Tx,
    carts: &[CartId],
    after: Option<RiskAssessmentId>,
    limit: i64,
) -> Result<Vec<RiskAssessment>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT {ASSESSMENT} FROM risk_assessments WHERE cart_id IN (SELECT wanted FROM {list}) AND id > ? ORDER BY id LIMIT ?"
    );
    let wanted = dialect::rows(carts.iter().map(|id| json!([id.hex()])).collect());
    let after = after.unwrap_or(RiskAssessmentId::from_bytes([0; 16]));
    let rows = sql(query).bind(wanted).bind(after).bind(limit).load::<AssessmentTypes, AssessmentRow>(tx)?;
    Ok(rows.into_iter().map(RiskAssessment::from).collect())
}

/// What assessments are looked for by.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub channels: Option<Vec<ChannelId>>,
    pub channel: Option<ChannelId>,
    pub decision: Option<Decision>,
    pub outcome: Option<RiskOutcome>,
    pub min_score: Option<i64>,
    pub cart: Option<CartId>,
    pub from: Option<Instant>,
    pub to: Option<Instant>,
}

impl Filter {
    fn conditions(&self, tx: &Tx) -> (String, Vec<Bind>) {
        let list = dialect::list(tx, &[("seen", Col::Uid)]);
        let seen = self.channels.as_ref().map(|ids| dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect()));
        let narrowed: [(String, Option<Bind>); 8] = [
            (format!(" AND channel_id IN (SELECT seen FROM {list})"), seen),
            (" AND channel_id = ?".into(), self.channel.map(Bind::from)),
            (" AND decision = ?".into(), self.decision.map(|one| one.as_str().into())),
            (" AND outcome = ?".into(), self.outcome.map(|one| one.as_str().into())),
            (" AND score >= ?".into(), self.min_score.map(Bind::from)),
            (" AND cart_id = ?".into(), self.cart.map(Bind::from)),
            (" AND assessed_at >= ?".into(), self.from.map(Bind::from)),
            (" AND assessed_at < ?".into(), self.to.map(Bind::from)),
        ];
        let (mut conditions, mut binds) = (String::from("1 = 1"), Vec::new());
        for (condition, bind) in narrowed.into_iter().filter_map(|(condition, bind)| Some((condition, bind?))) {
            conditions.push_str(&condition);
            binds.push(bind);
        }
        (conditions, binds)
    }
}

/// Where a list of assessments goes on.
pub(super) type Place = (Instant, RiskAssessmentId);

/// What was found, the newest first, before a place.
pub(super) fn page(tx: &mut Tx, filter: &Filter, before: Option<Place>, limit: i64) -> Result<Vec<RiskAssessment>> {
    let (mut conditions, mut binds) = filter.conditions(tx);
    if let Some((at, id)) = before {
        conditions.push_str(" AND (assessed_at, id) < (?, ?)");
        binds.extend([at.into(), id.into()]);
    }
    let query = format!(
        "SELECT {ASSESSMENT} FROM risk_assessments WHERE {conditions} ORDER BY assessed_at DESC, id DESC LIMIT ?"
    );
    let rows = sql(query).bind_all(binds).bind(limit).load::<AssessmentTypes, AssessmentRow>(tx)?;
    Ok(rows.into_iter().map(RiskAssessment::from).collect())
}

/// What a report needs of a checkout.
pub(super) type Judged = (Place, Decision, Vec<String>, Option<RiskOutcome>);

/// What a report needs, oldest first, behind a place.
pub(super) fn judged(tx: &mut Tx, filter: &Filter, after: Option<Place>, limit: i64) -> Result<Vec<Judged>> {
    let (mut conditions, mut binds) = filter.conditions(tx);
    if let Some((at, id)) = after {
        conditions.push_str(" AND (assessed_at, id) > (?, ?)");
        binds.extend([at.into(), id.into()]);
    }
    let query = format!(
        "SELECT assessed_at, id, decision, fired, outcome FROM risk_assessments WHERE {conditions} \
         ORDER BY assessed_at, id LIMIT ?"
    );
    type Row = (Instant, RiskAssessmentId, Decision, Doc<Vec<String>>, Option<RiskOutcome>);
    let query = sql(query).bind_all(binds).bind(limit);
    let rows = query.load::<(InstantSql, UidSql, Text, DocSql, Nullable<Text>), Row>(tx)?;
    Ok(rows.into_iter().map(|(at, id, decision, Doc(fired), outcome)| ((at, id), decision, fired, outcome)).collect())
}

/// How often what past checkouts were known by had tried before, within so many minutes; and, where that is left out, whether something
/// had been lost by it before: rows of place, assessment, kind, since when and when. The places with their counts, one statement.
pub(super) fn tries_then(
    tx: &mut Tx,
    rows: &[(i64, RiskAssessmentId, Mark, Option<Instant>, Instant)],
) -> Result<Vec<(i64, i64)>> {
    const ROW: &[(&str, Col)] = &[
        ("place", Col::Int),
        ("assessment", Col::Uid),
        ("mark_kind", Col::Text),
        ("since", Col::At),
        ("then_at", Col::At),
    ];
    let list = dialect::list(tx, ROW);
    let query = format!(
        "SELECT list.place, count(*) FROM {list} JOIN risk_marks AS own ON own.assessment_id = list.assessment \
         AND own.kind = list.mark_kind JOIN risk_marks AS m ON m.kind = own.kind AND m.hash = own.hash \
         AND ((list.since IS NOT NULL AND m.marked_at > list.since AND m.marked_at < list.then_at) \
           OR (list.since IS NULL AND m.lost_at < list.then_at)) GROUP BY list.place"
    );
    let row = |(place, id, mark, since, at): &(i64, RiskAssessmentId, Mark, Option<Instant>, Instant)| {
        json!([place, id.hex(), mark, since.map(Instant::sortable), at.sortable()])
    };
    sql(query).bind(dialect::rows(rows.iter().map(row).collect())).load::<(BigInt, BigInt), (i64, i64)>(tx)
}

/// Says what became of an order; only where nobody has said so, if that is asked. The assessment, where there is one.
pub(super) fn judge(
    tx: &mut Tx,
    now: Instant,
    order: OrderId,
    (outcome, by, note): (RiskOutcome, &str, Option<&str>),
    only_unjudged: bool,
) -> Result<Option<RiskAssessmentId>> {
    let unjudged = if only_unjudged { " AND outcome IS NULL" } else { "" };
    let update = format!(
        "UPDATE risk_assessments SET outcome = ?, judged_at = ?, judged_by = ?, note = ? WHERE order_id = ?{unjudged} \
         RETURNING id"
    );
    let update = sql(update).bind(outcome.as_str()).bind(now).bind(by).bind(note.map(str::to_owned)).bind(order);
    update.first::<UidSql, RiskAssessmentId>(tx)
}

/// Says what became of an order where nobody has said so, or, of what is bad, where it was thought to be well.
pub(super) fn learn(
    tx: &mut Tx,
    now: Instant,
    order: OrderId,
    (outcome, by, note): (RiskOutcome, &str, &str),
) -> Result<Option<RiskAssessmentId>> {
    let before = if outcome.is_bad() { "(outcome IS NULL OR outcome = 'legitimate')" } else { "outcome IS NULL" };
    let update = format!(
        "UPDATE risk_assessments SET outcome = ?, judged_at = ?, judged_by = ?, note = ? WHERE order_id = ? AND {before} RETURNING id"
    );
    let update = sql(update).bind(outcome.as_str()).bind(now).bind(by).bind(note).bind(order);
    update.first::<UidSql, RiskAssessmentId>(tx)
}

/// Notes that something was lost by what a shopper is known by, or that it was not.
pub(super) fn set_lost(tx: &mut Tx, id: RiskAssessmentId, at: Option<Instant>) -> Result<()> {
    sql("UPDATE risk_marks SET lost_at = ? WHERE assessment_id = ?").bind(at).bind(id).execute(tx)?;
    Ok(())
}

/// Counts a code that was refused at a cart.
pub(super) fn count_code(tx: &mut Tx, now: Instant, cart: CartId) -> Result<()> {
    sql("INSERT INTO risk_code_tries (cart_id, tries, tried_at) VALUES (?, 1, ?) ON CONFLICT (cart_id) DO UPDATE SET \
         tries = risk_code_tries.tries + 1, tried_at = excluded.tried_at")
    .bind(cart)
    .bind(now)
    .execute(tx)?;
    Ok(())
}

/// Forgets what shoppers of carts were known by, and words about them.
pub(super) fn erase(tx: &mut Tx, carts: &[CartId]) -> Result<()> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let rows = || dialect::rows(carts.iter().map(|id| json!([id.hex()])).collect());
    for statement in [
        format!("DELETE FROM risk_marks WHERE cart_id IN (SELECT wanted FROM {list})"),
        format!("DELETE FROM risk_code_tries WHERE cart_id IN (SELECT wanted FROM {list})"),
        format!(
            "UPDATE risk_assessments SET note = NULL WHERE note IS NOT NULL AND cart_id IN (SELECT wanted FROM {list})"
        ),
    ] {
        sql(statement).bind(rows()).execute(tx)?;
    }
    Ok(())
}

/// Drops up to so many assessments of a channel that are older; how many.
pub(super) fn purge(tx: &mut Tx, channel: ChannelId, before: Instant, limit: i64) -> Result<usize> {
    let old =
        "SELECT id FROM risk_assessments WHERE channel_id = ? AND assessed_at < ? ORDER BY assessed_at, id LIMIT ?";
    let ids = sql(old).bind(channel).bind(before).bind(limit).load::<UidSql, RiskAssessmentId>(tx)?;
    if ids.is_empty() {
        return Ok(0);
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let rows = || dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect());
    sql(format!("DELETE FROM risk_marks WHERE assessment_id IN (SELECT wanted FROM {list})"))
        .bind(rows())
        .execute(tx)?;
    sql(format!("DELETE FROM risk_assessments WHERE id IN (SELECT wanted FROM {list})")).bind(rows()).execute(tx)
}

/// Drops the counts of codes of carts at which nobody has tried any since.
pub(super) fn purge_codes(tx: &mut Tx, before: Instant) -> Result<usize> {
    sql("DELETE FROM risk_code_tries WHERE tried_at < ?").bind(before).execute(tx)
}

/// How checkouts of those who are known by these hashes were decided upon, and what became of them: one statement.
pub(super) fn figures(tx: &mut Tx, known: &[(Mark, String)]) -> Result<Vec<(Decision, Option<RiskOutcome>, i64)>> {
    let list = dialect::list(tx, &[("mark_kind", Col::Text), ("mark_hash", Col::Text)]);
    let query = format!(
        "SELECT a.decision, a.outcome, count(*) FROM risk_assessments AS a WHERE a.id IN (SELECT m.assessment_id FROM {list} \
         JOIN risk_marks AS m ON m.kind = list.mark_kind AND m.hash = list.mark_hash) \
         GROUP BY a.decision, a.outcome ORDER BY a.decision, a.outcome"
    );
    let rows = dialect::rows(known.iter().map(|(mark, hash)| json!([mark, hash])).collect());
    let query = sql(query).bind(rows);
    query.load::<(Text, Nullable<Text>, BigInt), (Decision, Option<RiskOutcome>, i64)>(tx)
}

/// What a shopper of an assessment is known by, of a kind: the hash.
pub(super) fn mark_of(tx: &mut Tx, id: RiskAssessmentId, kind: Mark) -> Result<Option<String>> {
    let query = sql("SELECT hash FROM risk_marks WHERE assessment_id = ? AND kind = ?");
    query.bind(id).bind(kind.as_str()).first::<Text, String>(tx)
}

type EntryTypes = (UidSql, Text, Text, Text, Text, Nullable<InstantSql>, Text, InstantSql, BigInt);
type EntryRow = (RiskEntryId, Listing, Mark, String, String, Option<Instant>, String, Instant, i64);
const ENTRY: &str = "id, list, kind, hint, reason, until_at, made_by, created_at, version";

fn entry((id, list, kind, hint, reason, until, made_by, created_at, version): EntryRow) -> RiskEntry {
    RiskEntry { id, list, kind, hint, reason, until, made_by, created_at, version }
}

/// Writes an entry down; the key refuses a second one for the same.
pub(super) fn insert_entry(tx: &mut Tx, made: &RiskEntry, hash: &str) -> Result<()> {
    sql("INSERT INTO risk_entries (id, list, kind, hash, hint, reason, until_at, made_by, created_at, version) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(made.id)
    .bind(made.list.as_str())
    .bind(made.kind.as_str())
    .bind(hash)
    .bind(made.hint.as_str())
    .bind(made.reason.as_str())
    .bind(made.until)
    .bind(made.made_by.as_str())
    .bind(made.created_at)
    .bind(made.version)
    .execute(tx)?;
    Ok(())
}

/// A row of an import.
#[derive(Debug, Clone)]
pub(super) struct ImportedEntry {
    pub id: RiskEntryId,
    pub list: Listing,
    pub kind: Mark,
    pub named: Named,
    pub reason: String,
    pub until: Option<Instant>,
}

/// Writes entries down, each kind and hash once; those that are there are changed.
pub(super) fn import(tx: &mut Tx, now: Instant, by: &str, rows: &[ImportedEntry]) -> Result<()> {
    const ROW: &[(&str, Col)] = &[
        ("fresh", Col::Uid),
        ("on_list", Col::Text),
        ("mark_kind", Col::Text),
        ("mark_hash", Col::Text),
        ("shown", Col::Text),
        ("why", Col::Text),
        ("ends", Col::At),
    ];
    let list = dialect::list(tx, ROW);
    let query = format!(
        "INSERT INTO risk_entries (id, list, kind, hash, hint, reason, until_at, made_by, created_at, version) \
         SELECT fresh, on_list, mark_kind, mark_hash, shown, why, ends, ?, ?, 1 FROM {list} WHERE true \
         ORDER BY mark_kind, mark_hash ON CONFLICT (kind, hash) DO UPDATE SET list = excluded.list, reason = excluded.reason, \
         until_at = excluded.until_at, version = risk_entries.version + 1"
    );
    let row = |one: &ImportedEntry| {
        let ImportedEntry { id, list, kind, named, reason, until } = one;
        json!([id.hex(), list, kind, named.hash, named.hint, reason, until.map(Instant::sortable)])
    };
    sql(query).bind(by).bind(now).bind(dialect::rows(rows.iter().map(row).collect())).execute(tx)?;
    Ok(())
}

pub(super) fn find_entry(tx: &mut Tx, id: RiskEntryId) -> Result<Option<RiskEntry>> {
    let query = sql(format!("SELECT {ENTRY} FROM risk_entries WHERE id = ?")).bind(id);
    Ok(query.first::<EntryTypes, EntryRow>(tx)?.map(entry))
}

/// Entries, the oldest first, behind one of them.
pub(super) fn entries(
    tx: &mut Tx,
    (list, kind): (Option<Listing>, Option<Mark>),
    after: Option<RiskEntryId>,
    limit: i64,
) -> Result<Vec<RiskEntry>> {
    let narrowed: [(&str, Option<Bind>); 3] = [
        (" AND list = ?", list.map(|list| list.as_str().into())),
        (" AND kind = ?", kind.map(|kind| kind.as_str().into())),
        (" AND id > ?", after.map(Bind::from)),
    ];
    let (mut conditions, mut binds) = (String::from("1 = 1"), Vec::new());
    for (condition, bind) in narrowed.into_iter().filter_map(|(condition, bind)| Some((condition, bind?))) {
        conditions.push_str(condition);
        binds.push(bind);
    }
    let query = sql(format!("SELECT {ENTRY} FROM risk_entries WHERE {conditions} ORDER BY id LIMIT ?"));
    let rows = query.bind_all(binds).bind(limit).load::<EntryTypes, EntryRow>(tx)?;
    Ok(rows.into_iter().map(entry).collect())
}

/// Replaces what can change of an entry that still has the given version. False when it has not.
pub(super) fn update_entry(tx: &mut Tx, changed: &RiskEntry, version: i64) -> Result<bool> {
    let update = sql(
        "UPDATE risk_entries SET list = ?, reason = ?, until_at = ?, version = version + 1 WHERE id = ? AND version = ?",
    );
    let update = update.bind(changed.list.as_str()).bind(changed.reason.as_str()).bind(changed.until);
    Ok(update.bind(changed.id).bind(version).execute(tx)? == 1)
}

pub(super) fn delete_entry(tx: &mut Tx, id: RiskEntryId) -> Result<bool> {
    Ok(sql("DELETE FROM risk_entries WHERE id = ?").bind(id).execute(tx)? == 1)
}
