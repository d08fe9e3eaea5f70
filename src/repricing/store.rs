//! The only file that touches `price_rules`, `price_proposals` and `price_rule_days`.

use std::collections::HashSet;

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Nullable, Text},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::model::{
    Explanation, PriceRule, PriceRuleState, Proposal, ProposalState, Proposed, RunSummary, Sight, Terms,
};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Tx, UidSql, dialect, insert_many, sql},
    error::Result,
    kernel::{
        Currency, Instant, UnitPrice,
        ids::{ChannelId, PriceListId, PriceProposalId, PriceRuleId, VariantId},
    },
};

/// A row of `price_rules` as the queries of this file read it.
#[derive(Queryable)]
struct RuleRecord {
    id: PriceRuleId,
    code: String,
    name: String,
    state: PriceRuleState,
    list: PriceListId,
    reference: PriceListId,
    list_channel: Option<ChannelId>,
    channel: Option<ChannelId>,
    terms: Doc<Terms>,
    next_run_at: Option<Instant>,
    last_run: Option<Doc<RunSummary>>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
}

#[rustfmt::skip]
type RuleTypes = (
    UidSql, Text, Text, Text, UidSql, UidSql, Nullable<UidSql>, Nullable<UidSql>, DocSql, Nullable<InstantSql>, Nullable<DocSql>,
    BigInt, InstantSql, InstantSql,
);
const RULE: &str = "id, code, name, state, price_list_id, reference_list_id, list_channel_id, channel_id, doc, next_run_at, last_run, \
     version, created_at, updated_at";

fn rule(row: RuleRecord) -> PriceRule {
    PriceRule {
        id: row.id,
        code: row.code,
        name: row.name,
        state: row.state,
        list: row.list,
        reference: row.reference,
        list_channel: row.list_channel,
        channel: row.channel,
        terms: row.terms.0,
        next_run_at: row.next_run_at,
        last_run: row.last_run.map(|Doc(summary)| summary),
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// Conditions joined by AND, with their binds. Which of them there are depends on the request, so the number of texts is small.
struct Where(String, Vec<Bind>);

impl Where {
    fn new() -> Self {
        Self(" WHERE 1 = 1".to_owned(), Vec::new())
    }

    fn and(&mut self, condition: &str, bind: Option<Bind>) {
        if let Some(bind) = bind {
            self.0.push_str(" AND ");
            self.0.push_str(condition);
            self.1.push(bind);
        }
    }
}

/// What there is to a rule that somebody sees, as conditions on its row with that name, each with its list.
fn seen(tx: &Tx, row: &str, sight: Option<&Sight>) -> Vec<(String, Option<Bind>)> {
    let Some(Sight { lists, channels }) = sight else { return Vec::new() };
    let list = dialect::list(tx, &[("seen", Col::Uid)]);
    let lists = || dialect::rows(lists.iter().map(|id| json!([id.hex()])).collect());
    let channels = dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect());
    vec![
        (format!("{row}.price_list_id IN (SELECT seen FROM {list})"), Some(lists())),
        (format!("{row}.reference_list_id IN (SELECT seen FROM {list})"), Some(lists())),
        (format!("({row}.channel_id IS NULL OR {row}.channel_id IN (SELECT seen FROM {list}))"), Some(channels)),
    ]
}

/// Rules that somebody sees, the newest first, from behind one of them.
pub(super) fn page(
    tx: &mut Tx,
    (state, sight): (Option<PriceRuleState>, Option<&Sight>),
    before: Option<PriceRuleId>,
    limit: i64,
) -> Result<Vec<PriceRule>> {
    let mut narrowed = Where::new();
    narrowed.and("state = ?", state.map(|state| state.as_str().into()));
    for (condition, bind) in seen(tx, "price_rules", sight) {
        narrowed.and(&condition, bind);
    }
    narrowed.and("id < ?", before.map(Bind::from));
    let query = sql(format!("SELECT {RULE} FROM price_rules{} ORDER BY id DESC LIMIT ?", narrowed.0));
    let rows = query.bind_all(narrowed.1).bind(limit).load::<RuleTypes, RuleRecord>(tx)?;
    Ok(rows.into_iter().map(rule).collect())
}

/// A rule.
pub(super) fn find(tx: &mut Tx, id: PriceRuleId) -> Result<Option<PriceRule>> {
    let query = sql(format!("SELECT {RULE} FROM price_rules WHERE id = ?"));
    Ok(query.bind(id).first::<RuleTypes, RuleRecord>(tx)?.map(rule))
}

/// The same, locked until the end of the transaction.
pub(super) fn lock(tx: &mut Tx, id: PriceRuleId) -> Result<Option<PriceRule>> {
    let query = sql(format!("SELECT {RULE} FROM price_rules WHERE id = ?{}", dialect::for_update(tx)));
    Ok(query.bind(id).first::<RuleTypes, RuleRecord>(tx)?.map(rule))
}

/// Rules by their ids, locked until the end of the transaction, in the order of these.
pub(super) fn lock_all(tx: &mut Tx, ids: &[PriceRuleId]) -> Result<Vec<PriceRule>> {
    let (list, lock) = (dialect::list(tx, &[("wanted", Col::Uid)]), dialect::for_update(tx));
    let query =
        sql(format!("SELECT {RULE} FROM price_rules WHERE id IN (SELECT wanted FROM {list}) ORDER BY id{lock}"));
    let rows = query.bind(dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect()));
    Ok(rows.load::<RuleTypes, RuleRecord>(tx)?.into_iter().map(rule).collect())
}

/// The active rules whose time has come.
pub(super) fn due(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<PriceRule>> {
    let query = sql(format!(
        "SELECT {RULE} FROM price_rules WHERE state = 'active' AND next_run_at <= ? ORDER BY next_run_at, id LIMIT ?"
    ));
    Ok(query.bind(now).bind(limit).load::<RuleTypes, RuleRecord>(tx)?.into_iter().map(rule).collect())
}

/// Sets when active rules look next, of those that are still due at the time that was seen: whose turn it was.
pub(super) fn take_turns(tx: &mut Tx, rules: &[(&PriceRule, Instant)]) -> Result<HashSet<PriceRuleId>> {
    let columns = [("rule", Col::Uid), ("seen", Col::At), ("becomes", Col::At)];
    let list = dialect::list(tx, &columns);
    let update = sql(format!(
        "UPDATE price_rules SET next_run_at = list.becomes FROM {list} \
         WHERE price_rules.id = list.rule AND price_rules.state = 'active' AND price_rules.next_run_at = list.seen \
         RETURNING price_rules.id"
    ));
    let row = |(rule, next): &(&PriceRule, Instant)| {
        json!([rule.id.hex(), rule.next_run_at.map(Instant::sortable), next.sortable()])
    };
    let rows = dialect::rows(rules.iter().map(row).collect());
    Ok(update.bind(rows).load::<UidSql, PriceRuleId>(tx)?.into_iter().collect())
}

pub(super) fn insert(tx: &mut Tx, rule: &PriceRule) -> Result<()> {
    sql(format!("INSERT INTO price_rules ({RULE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(rule.id)
        .bind(rule.code.as_str())
        .bind(rule.name.as_str())
        .bind(rule.state.as_str())
        .bind(rule.list)
        .bind(rule.reference)
        .bind(rule.list_channel)
        .bind(rule.channel)
        .bind(Json::of(&rule.terms)?)
        .bind(rule.next_run_at)
        .bind(None::<Json>)
        .bind(rule.version)
        .bind(rule.created_at)
        .bind(rule.updated_at)
        .execute(tx)?;
    Ok(())
}

/// Replaces what can change of a rule when it still has the given version. False when it has not.
pub(super) fn update(tx: &mut Tx, rule: &PriceRule, version: i64) -> Result<bool> {
    let update = sql("UPDATE price_rules SET name = ?, state = ?, doc = ?, next_run_at = ?, version = version + 1, \
         updated_at = ? WHERE id = ? AND version = ?")
    .bind(rule.name.as_str())
    .bind(rule.state.as_str())
    .bind(Json::of(&rule.terms)?)
    .bind(rule.next_run_at)
    .bind(rule.updated_at)
    .bind(rule.id)
    .bind(version);
    Ok(update.execute(tx)? == 1)
}

/// Notes what a run came to.
pub(super) fn note_run(tx: &mut Tx, id: PriceRuleId, summary: &RunSummary) -> Result<()> {
    sql("UPDATE price_rules SET last_run = ? WHERE id = ?").bind(Json::of(summary)?).bind(id).execute(tx)?;
    Ok(())
}

/// What is kept in the column `doc` of a proposal.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ProposalDoc {
    currency: Currency,
    explanation: Explanation,
}

#[derive(Queryable)]
struct ProposalRecord {
    id: PriceProposalId,
    rule: PriceRuleId,
    rule_version: i64,
    list: PriceListId,
    variant: VariantId,
    sku: String,
    state: ProposalState,
    from: Option<i64>,
    to: i64,
    doc: Doc<ProposalDoc>,
    decided_by: Option<String>,
    decided_at: Option<Instant>,
    created_at: Instant,
}

#[rustfmt::skip]
type ProposalTypes = (
    UidSql, UidSql, BigInt, UidSql, UidSql, Text, Text, Nullable<BigInt>, BigInt, DocSql, Nullable<Text>, Nullable<InstantSql>, InstantSql,
);
const PROPOSAL: &str = "p.id, p.rule_id, p.rule_version, p.price_list_id, p.variant_id, p.sku, p.state, p.from_amount, p.to_amount, p.doc, \
     p.decided_by, p.decided_at, p.created_at";

fn proposal(row: ProposalRecord) -> Proposal {
    let ProposalDoc { currency, explanation } = row.doc.0;
    let price = |scaled: i64| UnitPrice::from_scaled(scaled, currency);
    Proposal {
        id: row.id,
        rule: row.rule,
        rule_version: row.rule_version,
        list: row.list,
        variant: row.variant,
        sku: row.sku,
        state: row.state,
        proposed: Proposed { from: row.from.map(price), to: price(row.to), explanation },
        decided_by: row.decided_by,
        decided_at: row.decided_at,
        created_at: row.created_at,
    }
}

fn proposals(rows: Vec<ProposalRecord>) -> Vec<Proposal> {
    rows.into_iter().map(proposal).collect()
}

/// Which proposals are asked for; `None` is all.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub state: Option<ProposalState>,
    pub rule: Option<PriceRuleId>,
    pub variant: Option<VariantId>,
    /// Those of rules that somebody sees.
    pub sight: Option<Sight>,
}

/// Proposals, the newest first, from behind one of them.
pub(super) fn proposals_page(
    tx: &mut Tx,
    filter: &Filter,
    before: Option<PriceProposalId>,
    limit: i64,
) -> Result<Vec<Proposal>> {
    let mut narrowed = Where::new();
    // The narrowest leads by an index of its own; the others are looked at row by row.
    let (weak, led) = (dialect::unindexed(tx), filter.variant.is_some() || filter.rule.is_some());
    let state = if led { weak("p.state") } else { "p.state".to_owned() };
    let rule = if filter.variant.is_some() { weak("p.rule_id") } else { "p.rule_id".to_owned() };
    narrowed.and("p.variant_id = ?", filter.variant.map(Bind::from));
    narrowed.and(&format!("{rule} = ?"), filter.rule.map(Bind::from));
    narrowed.and(&format!("{state} = ?"), filter.state.map(|state| state.as_str().into()));
    for (condition, bind) in seen(tx, "r", filter.sight.as_ref()) {
        narrowed.and(&format!("EXISTS (SELECT 1 FROM price_rules AS r WHERE r.id = p.rule_id AND {condition})"), bind);
    }
    narrowed.and("p.id < ?", before.map(Bind::from));
    let query = sql(format!("SELECT {PROPOSAL} FROM price_proposals AS p{} ORDER BY p.id DESC LIMIT ?", narrowed.0));
    Ok(proposals(query.bind_all(narrowed.1).bind(limit).load::<ProposalTypes, ProposalRecord>(tx)?))
}

/// Proposals by their ids, in the order of these, locked where `locked`.
pub(super) fn proposals_by_ids(tx: &mut Tx, ids: &[PriceProposalId], locked: bool) -> Result<Vec<Proposal>> {
    let (list, lock) = (dialect::list(tx, &[("wanted", Col::Uid)]), if locked { dialect::for_update(tx) } else { "" });
    // The list is a subquery of its own: a lock clause reaches into joined subqueries, which must not have any.
    let query = format!(
        "SELECT {PROPOSAL} FROM price_proposals AS p WHERE p.id IN (SELECT wanted FROM {list}) ORDER BY p.id{lock}"
    );
    let rows = dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect());
    Ok(proposals(sql(query).bind(rows).load::<ProposalTypes, ProposalRecord>(tx)?))
}

/// The open proposals of a rule for these articles, locked until the end of the transaction, in the order of their ids.
pub(super) fn open_of(tx: &mut Tx, rule: PriceRuleId, variants: &[VariantId]) -> Result<Vec<Proposal>> {
    let (list, lock) = (dialect::list(tx, &[("wanted", Col::Uid)]), dialect::for_update(tx));
    let query = format!(
        "SELECT {PROPOSAL} FROM price_proposals AS p WHERE p.rule_id = ? AND p.state = 'open' \
         AND p.variant_id IN (SELECT wanted FROM {list}) ORDER BY p.id{lock}"
    );
    let rows = dialect::rows(variants.iter().map(|id| json!([id.hex()])).collect());
    Ok(proposals(sql(query).bind(rule).bind(rows).load::<ProposalTypes, ProposalRecord>(tx)?))
}

/// What somebody has rejected of a version of a rule for these articles: the price, what it should have become, and the reference.
pub(super) fn rejected(
    tx: &mut Tx,
    (rule, version): (PriceRuleId, i64),
    variants: &[VariantId],
) -> Result<HashSet<(VariantId, Option<i64>, i64, i64)>> {
    let (list, weak) = (dialect::list(tx, &[("wanted", Col::Uid)]), dialect::unindexed(tx));
    let query = sql(format!(
        "SELECT p.variant_id, p.from_amount, p.to_amount, p.reference_amount FROM {list} \
         JOIN price_proposals AS p ON p.variant_id = wanted \
         WHERE {} = ? AND {} = 'rejected' AND p.rule_version = ?",
        weak("p.rule_id"),
        weak("p.state")
    ));
    let rows = dialect::rows(variants.iter().map(|id| json!([id.hex()])).collect());
    let found = query.bind(rows).bind(rule).bind(version);
    Ok(found.load::<(UidSql, Nullable<BigInt>, BigInt, BigInt), _>(tx)?.into_iter().collect())
}

/// A proposal about to be written; an applied one with its day.
pub(super) struct NewProposal<'a> {
    pub proposal: &'a Proposal,
    pub day: Option<String>,
}

/// Writes proposals with one statement.
pub(super) fn insert_proposals(tx: &mut Tx, new: &[NewProposal<'_>]) -> Result<()> {
    const COLUMNS: &[(&str, Col)] = &[
        ("id", Col::Uid),
        ("rule_id", Col::Uid),
        ("rule_version", Col::Int),
        ("price_list_id", Col::Uid),
        ("variant_id", Col::Uid),
        ("sku", Col::Text),
        ("state", Col::Text),
        ("from_amount", Col::Int),
        ("to_amount", Col::Int),
        ("reference_amount", Col::Int),
        ("doc", Col::Doc),
        ("day", Col::Text),
        ("decided_by", Col::Text),
        ("decided_at", Col::At),
        ("created_at", Col::At),
    ];
    let row = |NewProposal { proposal, day }: &NewProposal<'_>| -> Result<Vec<Bind>> {
        let Proposed { from, to, explanation } = &proposal.proposed;
        let doc = ProposalDoc { currency: to.currency(), explanation: explanation.clone() };
        Ok(vec![
            proposal.id.into(),
            proposal.rule.into(),
            proposal.rule_version.into(),
            proposal.list.into(),
            proposal.variant.into(),
            proposal.sku.as_str().into(),
            proposal.state.as_str().into(),
            from.map(UnitPrice::scaled).into(),
            to.scaled().into(),
            explanation.reference.scaled().into(),
            Json::of(&doc)?.into(),
            day.clone().into(),
            proposal.decided_by.clone().into(),
            proposal.decided_at.into(),
            proposal.created_at.into(),
        ])
    };
    let rows: Result<Vec<Vec<Bind>>> = new.iter().map(row).collect();
    insert_many(tx, "price_proposals", COLUMNS, rows?).map(|_| ())
}

/// Decides open proposals: what each becomes, and the day on which it is counted where it is applied. How many were open still.
pub(super) fn decide(
    tx: &mut Tx,
    (now, by): (Instant, &str),
    decided: &[(PriceProposalId, ProposalState, Option<String>)],
) -> Result<usize> {
    if decided.is_empty() {
        return Ok(0);
    }
    let list = dialect::list(tx, &[("wanted", Col::Uid), ("becomes", Col::Text), ("on_day", Col::Text)]);
    let update = sql(format!(
        "UPDATE price_proposals SET state = list.becomes, day = list.on_day, decided_by = ?, decided_at = ? FROM {list} \
         WHERE price_proposals.id = list.wanted AND price_proposals.state = 'open'"
    ));
    let row = |(id, state, day): &(PriceProposalId, ProposalState, Option<String>)| json!([id.hex(), state, day]);
    update.bind(by).bind(now).bind(dialect::rows(decided.iter().map(row).collect())).execute(tx)
}

/// Decides all open proposals of a rule that is over.
pub(super) fn outdate_all(tx: &mut Tx, (now, by): (Instant, &str), rule: PriceRuleId) -> Result<usize> {
    sql("UPDATE price_proposals SET state = 'stale', decided_by = ?, decided_at = ? WHERE rule_id = ? AND state = 'open'")
        .bind(by)
        .bind(now)
        .bind(rule)
        .execute(tx)
}

/// A change of a price that is counted: of which price, on which day, and how many there may be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Counted {
    pub list: PriceListId,
    pub variant: VariantId,
    pub day: String,
    pub most: i64,
}

/// Counts changes, each of another price, with one statement; gives those that there may be. The counters are locked in the order
/// of their keys.
pub(super) fn count(tx: &mut Tx, mut changes: Vec<Counted>) -> Result<HashSet<(PriceListId, VariantId)>> {
    if changes.is_empty() {
        return Ok(HashSet::new());
    }
    changes.sort_unstable();
    let columns = [("list_id", Col::Uid), ("variant", Col::Uid), ("on_day", Col::Text), ("allowed", Col::Int)];
    let list = dialect::list(tx, &columns);
    // `WHERE true` lets SQLite tell the ON CONFLICT from a join's ON.
    let query = sql(format!(
        "INSERT INTO price_rule_days (price_list_id, variant_id, day, changes, most) \
         SELECT list_id, variant, on_day, 1, allowed FROM {list} WHERE true ORDER BY ord \
         ON CONFLICT (price_list_id, variant_id, day) DO UPDATE SET changes = price_rule_days.changes + 1, most = excluded.most \
         WHERE price_rule_days.changes < excluded.most RETURNING price_list_id, variant_id"
    ));
    let row = |Counted { list, variant, day, most }: &Counted| json!([list.hex(), variant.hex(), day, most]);
    let rows: Vec<Value> = changes.iter().map(row).collect();
    let granted = query.bind(dialect::rows(rows)).load::<(UidSql, UidSql), (PriceListId, VariantId)>(tx)?;
    Ok(granted.into_iter().collect())
}

/// Drops up to so many proposals that came to nothing before an instant.
pub(super) fn purge_proposals(tx: &mut Tx, before: Instant, limit: i64) -> Result<usize> {
    let delete = sql("DELETE FROM price_proposals WHERE id IN (SELECT id FROM price_proposals \
         WHERE state IN ('rejected', 'superseded', 'stale') AND decided_at < ? ORDER BY decided_at LIMIT ?)");
    delete.bind(before).bind(limit).execute(tx)
}

/// Drops up to so many counters of days before one.
pub(super) fn purge_days(tx: &mut Tx, before: &str, limit: i64) -> Result<usize> {
    let delete = sql("DELETE FROM price_rule_days WHERE (price_list_id, variant_id, day) IN \
         (SELECT price_list_id, variant_id, day FROM price_rule_days WHERE day < ? ORDER BY day LIMIT ?)");
    delete.bind(before).bind(limit).execute(tx)
}
