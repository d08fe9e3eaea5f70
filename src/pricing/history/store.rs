//! The only file that touches `price_changes` and `price_list_changes`. Rows are added and read, never changed.

use std::collections::{BTreeSet, HashMap};

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::{
    super::{
        prior::Recorded,
        store::{open_at_epoch, or_epoch},
    },
    lists::{ListChange, PriceListState, RecordedListChange},
    model::{Difference, Key, Place, Price},
    service::By,
};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Instant, Per, Quantity,
        ids::{PriceChangeId, PriceListId, VariantId},
    },
};

/// When the newest changes of these lists were recorded; a list without any is absent.
pub(super) fn last_times(tx: &mut Tx, lists: &BTreeSet<PriceListId>) -> Result<HashMap<PriceListId, Instant>> {
    let source = dialect::list(tx, &[("price_list", Col::Uid)]);
    let query = sql(format!(
        "SELECT price_list, newest FROM (SELECT price_list, \
           (SELECT max(c.changed_at) FROM price_changes AS c WHERE c.price_list_id = list.price_list) AS newest FROM {source}) \
         AS found WHERE newest IS NOT NULL"
    ));
    let rows = dialect::rows(lists.iter().map(|list| json!([list.hex()])).collect());
    Ok(query.bind(rows).load::<(UidSql, InstantSql), (PriceListId, Instant)>(tx)?.into_iter().collect())
}

/// Adds changes with one statement.
pub(super) fn append<'c>(
    tx: &mut Tx,
    by: By<'_>,
    changes: impl Iterator<Item = (PriceChangeId, &'c Difference, Instant)>,
) -> Result<()> {
    let source = dialect::list(
        tx,
        &[
            ("id", Col::Uid),
            ("variant", Col::Uid),
            ("price_list", Col::Uid),
            ("least", Col::Int),
            ("begins", Col::At),
            ("was", Col::Int),
            ("was_until", Col::At),
            ("becomes", Col::Int),
            ("becomes_until", Col::At),
            ("moment", Col::At),
            ("was_per", Col::Int),
            ("becomes_per", Col::Int),
        ],
    );
    let ends = |price: Option<Price>| price.and_then(|price| price.valid_until).map(Instant::sortable);
    let row = |(id, change, at): (PriceChangeId, &Difference, Instant)| {
        let Difference { key, from, to } = change;
        (
            id.hex(),
            key.variant.hex(),
            key.list.hex(),
            key.min_quantity.get(),
            or_epoch(key.valid_from).sortable(),
            from.map(|price| price.amount),
            ends(*from),
            to.map(|price| price.amount),
            ends(*to),
            at.sortable(),
            from.map(|price| price.per),
            to.map(|price| price.per),
        )
    };
    // Text at once, without a value for each cell: an import writes many.
    let rows = Json::of(&changes.map(row).collect::<Vec<_>>())?;
    let statement = sql(format!(
        "INSERT INTO price_changes (id, variant_id, price_list_id, min_quantity, valid_from, from_amount, from_until, \
           to_amount, to_until, changed_at, from_per, to_per, actor, reference) \
         SELECT id, variant, price_list, least, begins, was, was_until, becomes, becomes_until, moment, was_per, becomes_per, ?, ? \
         FROM {source} ORDER BY ord"
    ));
    statement.bind(by.actor.label()).bind(by.reference.map(str::to_owned)).bind(rows).execute(tx)?;
    Ok(())
}

/// Which changes are asked for; `None` is all.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub variant: Option<VariantId>,
    pub list: Option<PriceListId>,
    pub lists: Option<Vec<PriceListId>>,
    pub actor: Option<String>,
    pub from: Option<Instant>,
    pub to: Option<Instant>,
}

impl Filter {
    /// A statement with the conditions after `select`, and `rest` after these. Which conditions there are depends on the
    /// request, so the number of texts is small.
    fn statement(&self, tx: &Tx, select: &str, before: Option<Place>, rest: &str) -> Sql {
        let (mut conditions, mut binds): (Vec<String>, Vec<Bind>) = (Vec::new(), Vec::new());
        // The narrowest leads, each by an index of its own in the order of the list; the others are looked at row by row.
        let (weak, mut led) = (dialect::unindexed(tx), false);
        let wanted: [(&str, Option<Bind>); 3] = [
            ("variant_id", self.variant.map(Bind::from)),
            ("price_list_id", self.list.map(Bind::from)),
            ("actor", self.actor.clone().map(Bind::from)),
        ];
        for (column, bind) in wanted {
            let Some(bind) = bind else { continue };
            let column = if std::mem::replace(&mut led, true) { weak(column) } else { column.to_owned() };
            conditions.push(format!("{column} = ?"));
            binds.push(bind);
        }
        if let Some(lists) = &self.lists {
            let source = dialect::list(tx, &[("seen", Col::Uid)]);
            conditions.push(format!("{} IN (SELECT seen FROM {source})", weak("price_list_id")));
            binds.push(dialect::rows(lists.iter().map(|list| json!([list.hex()])).collect()));
        }
        for (condition, bound) in [("changed_at >= ?", self.from), ("changed_at < ?", self.to)] {
            if let Some(bound) = bound {
                conditions.push(condition.to_owned());
                binds.push(bound.into());
            }
        }
        if let Some((at, seq)) = before {
            conditions.push("(changed_at, seq) < (?, ?)".to_owned());
            binds.extend([Instant::from_micros(at).into(), seq.into()]);
        }
        let clause = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        sql(format!("{select}{clause}{rest}")).bind_all(binds)
    }
}

/// A change as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub seq: i64,
    pub id: PriceChangeId,
    pub change: Difference,
    pub actor: String,
    pub reference: Option<String>,
    pub changed_at: Instant,
}

#[rustfmt::skip]
type Columns = (
    BigInt, UidSql, UidSql, UidSql, BigInt, InstantSql, Nullable<BigInt>, Nullable<InstantSql>, Nullable<BigInt>,
    Nullable<InstantSql>, Text, Nullable<Text>, InstantSql, Nullable<BigInt>, Nullable<BigInt>,
);
#[rustfmt::skip]
type Row = (
    i64, PriceChangeId, VariantId, PriceListId, Quantity, Instant, Option<i64>, Option<Instant>, Option<i64>,
    Option<Instant>, String, Option<String>, Instant, Option<Per>, Option<Per>,
);

/// Changes, the newest first, before a place.
pub(super) fn page(tx: &mut Tx, filter: &Filter, before: Option<Place>, limit: i64) -> Result<Vec<Entry>> {
    let select = "SELECT seq, id, variant_id, price_list_id, min_quantity, valid_from, from_amount, from_until, to_amount, \
                  to_until, actor, reference, changed_at, from_per, to_per FROM price_changes";
    let statement = filter.statement(tx, select, before, " ORDER BY changed_at DESC, seq DESC LIMIT ?").bind(limit);
    Ok(statement.load::<Columns, Row>(tx)?.into_iter().map(entry).collect())
}

fn entry(row: Row) -> Entry {
    let (
        seq,
        id,
        variant,
        list,
        min_quantity,
        valid_from,
        was,
        was_until,
        becomes,
        becomes_until,
        actor,
        reference,
        at,
        was_per,
        becomes_per,
    ) = row;
    let key = Key { variant, list, min_quantity, valid_from: open_at_epoch(valid_from) };
    // What was recorded before prices said what they are for was for one piece.
    let price = |amount: Option<i64>, per: Option<Per>, valid_until| {
        amount.map(|amount| Price { amount, per: per.unwrap_or_default(), valid_until })
    };
    let change =
        Difference { key, from: price(was, was_per, was_until), to: price(becomes, becomes_per, becomes_until) };
    Entry { seq, id, change, actor, reference, changed_at: at }
}

/// The changes of what a single piece of each of these articles costs, since an instant, the newest first.
pub(in crate::pricing) fn of_single_pieces(
    tx: &mut Tx,
    variants: &[VariantId],
    since: Instant,
) -> Result<HashMap<VariantId, Vec<Recorded>>> {
    of_articles(tx, variants, ("c.changed_at >= ? AND c.min_quantity = 1", since))
}

/// The changes of all prices of these articles after an instant, the newest first.
pub(in crate::pricing) fn after(
    tx: &mut Tx,
    variants: &[VariantId],
    at: Instant,
) -> Result<HashMap<VariantId, Vec<Recorded>>> {
    of_articles(tx, variants, ("c.changed_at > ?", at))
}

fn of_articles(
    tx: &mut Tx,
    variants: &[VariantId],
    (which, at): (&'static str, Instant),
) -> Result<HashMap<VariantId, Vec<Recorded>>> {
    let source = dialect::list(tx, &[("variant", Col::Uid)]);
    let query = sql(format!(
        "SELECT c.seq, c.id, c.variant_id, c.price_list_id, c.min_quantity, c.valid_from, c.from_amount, c.from_until, \
           c.to_amount, c.to_until, c.actor, c.reference, c.changed_at, c.from_per, c.to_per \
         FROM {source} JOIN price_changes AS c ON c.variant_id = list.variant \
         WHERE {which} ORDER BY c.changed_at DESC, c.seq DESC"
    ));
    let wanted = dialect::rows(variants.iter().map(|variant| json!([variant.hex()])).collect());
    let mut found: HashMap<VariantId, Vec<Recorded>> = HashMap::with_capacity(variants.len());
    for row in query.bind(wanted).bind(at).load::<Columns, Row>(tx)? {
        let Entry { change, changed_at, .. } = entry(row);
        found.entry(change.key.variant).or_default().push(Recorded { change, at: changed_at });
    }
    Ok(found)
}

/// How many changes there are, counted up to `most`.
pub(super) fn count(tx: &mut Tx, filter: &Filter, most: i64) -> Result<i64> {
    let select = "SELECT count(*) FROM (SELECT 1 FROM price_changes";
    let statement = filter.statement(tx, select, None, " LIMIT ?) AS found").bind(most);
    Ok(statement.first::<BigInt, i64>(tx)?.unwrap_or_default())
}

/// When the newest change of a list itself was recorded.
pub(super) fn last_time_of_list(tx: &mut Tx, list: PriceListId) -> Result<Option<Instant>> {
    let query = sql("SELECT changed_at FROM price_list_changes WHERE price_list_id = ? ORDER BY version DESC LIMIT 1");
    query.bind(list).first::<InstantSql, Instant>(tx)
}

/// Adds a change of a list, by the version that it has since.
pub(super) fn append_list_change(
    tx: &mut Tx,
    by: By<'_>,
    (list, version): (PriceListId, i64),
    (was, became): (Option<Json>, Json),
    at: Instant,
) -> Result<()> {
    sql("INSERT INTO price_list_changes (price_list_id, version, was, became, changed_at, actor, reference) \
         VALUES (?, ?, ?, ?, ?, ?, ?)")
    .bind(list)
    .bind(version)
    .bind(was)
    .bind(became)
    .bind(at)
    .bind(by.actor.label())
    .bind(by.reference.map(str::to_owned))
    .execute(tx)?;
    Ok(())
}

/// The changes of a list, the newest first, before a version.
pub(super) fn list_changes(
    tx: &mut Tx,
    list: PriceListId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<RecordedListChange>> {
    type Columns = (BigInt, Nullable<DocSql>, DocSql, InstantSql, Text, Nullable<Text>);
    type Row = (i64, Option<Doc<PriceListState>>, Doc<PriceListState>, Instant, String, Option<String>);
    let query = sql("SELECT version, was, became, changed_at, actor, reference FROM price_list_changes \
         WHERE price_list_id = ? AND version < ? ORDER BY version DESC LIMIT ?");
    let rows = query.bind(list).bind(before.unwrap_or(i64::MAX)).bind(limit).load::<Columns, Row>(tx)?;
    let change = |(version, was, Doc(to), changed_at, actor, reference): Row| RecordedListChange {
        version,
        from: was.map(|Doc(was)| was),
        to,
        actor,
        reference,
        changed_at,
    };
    Ok(rows.into_iter().map(change).collect())
}

/// The changes of these lists since an instant, the newest first.
pub(in crate::pricing) fn list_changes_since(
    tx: &mut Tx,
    lists: &BTreeSet<PriceListId>,
    since: Instant,
) -> Result<Vec<ListChange>> {
    type Row = (PriceListId, Instant, Option<Doc<PriceListState>>);
    let source = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = sql(format!(
        "SELECT c.price_list_id, c.changed_at, c.was FROM {source} \
         JOIN price_list_changes AS c ON c.price_list_id = list.wanted \
         WHERE c.changed_at >= ? ORDER BY c.changed_at DESC, c.price_list_id, c.version DESC"
    ));
    let wanted = dialect::rows(lists.iter().map(|list| json!([list.hex()])).collect());
    let rows = query.bind(wanted).bind(since).load::<(UidSql, InstantSql, Nullable<DocSql>), Row>(tx)?;
    Ok(rows.into_iter().map(|(list, at, was)| ListChange { list, at, was: was.map(|Doc(was)| was) }).collect())
}
