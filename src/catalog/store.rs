//! The only file that touches `variants`.

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    bundles::Component,
    model::{Attributes, BackorderPolicy, StockPolicy, TrackingPolicy, Variant, VariantStatus},
};
use crate::{
    db::{
        Bind, Col, Doc, DocSql, InstantSql, Json, Tx, UidSql,
        dialect::{self, list},
        insert_many, sql,
    },
    error::Result,
    kernel::{Capabilities, Instant, ids::VariantId, text::fold},
};

/// What is kept in the column `doc`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct VariantDoc {
    #[serde(default)]
    attributes: Attributes,
}

/// A row as the queries of this file read it.
#[derive(Queryable)]
struct Record {
    id: VariantId,
    sku: String,
    gtin: Option<String>,
    name: String,
    tax_class: String,
    weight_grams: i64,
    unit_code: String,
    requires_shipping: bool,
    stock_policy: StockPolicy,
    backorder_policy: BackorderPolicy,
    status: VariantStatus,
    doc: Doc<VariantDoc>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
    components: Option<Doc<Vec<Component>>>,
    tracking: TrackingPolicy,
    requires: Option<Doc<Capabilities>>,
}

type Types = (
    UidSql,
    Text,
    Nullable<Text>,
    Text,
    Text,
    BigInt,
    Text,
    Bool,
    Text,
    Text,
    Text,
    DocSql,
    BigInt,
    InstantSql,
    InstantSql,
    Nullable<DocSql>,
    Text,
    Nullable<DocSql>,
);

const READ: &str = "v.id, v.sku, v.gtin, v.name, v.tax_class, v.weight_grams, v.unit_code, v.requires_shipping, \
     v.stock_policy, v.backorder_policy, v.status, v.doc, v.version, v.created_at, v.updated_at, v.components, \
     v.tracking, v.requires";

impl From<Record> for Variant {
    fn from(row: Record) -> Self {
        Self {
            id: row.id,
            sku: row.sku,
            name: row.name,
            gtin: row.gtin,
            tax_class: row.tax_class,
            weight_grams: row.weight_grams,
            unit_code: row.unit_code,
            requires_shipping: row.requires_shipping,
            stock_policy: row.stock_policy,
            backorder_policy: row.backorder_policy,
            tracking: row.tracking,
            requires: row.requires.map(|Doc(requires)| requires).unwrap_or_default(),
            status: row.status,
            components: row.components.map(|Doc(components)| components).unwrap_or_default(),
            attributes: row.doc.0.attributes,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

fn variants(rows: Vec<Record>) -> Vec<Variant> {
    rows.into_iter().map(Variant::from).collect()
}

/// The variants of these SKUs; those that are not there are left out. No SKU must stand in the list twice.
pub(super) fn by_skus(tx: &mut Tx, skus: impl Iterator<Item = String>) -> Result<Vec<Variant>> {
    let query = format!("SELECT {READ} FROM {} JOIN variants v ON v.sku = list.sku", list(tx, &[("sku", Col::Text)]));
    let rows = skus.map(|sku| json!([sku])).collect();
    Ok(variants(sql(query).bind(dialect::rows(rows)).load::<Types, Record>(tx)?))
}

/// The variants whose GTIN is written in one of these ways.
pub(super) fn by_gtin(tx: &mut Tx, spellings: &[String; 4]) -> Result<Vec<Variant>> {
    let query = format!("SELECT {READ} FROM variants v WHERE v.gtin IN (?, ?, ?, ?) ORDER BY v.id");
    let query = sql(query).bind_all(spellings.iter().map(|one| one.as_str().into()));
    Ok(variants(query.load::<Types, Record>(tx)?))
}

/// The same, locked until the end of the transaction, in the order of the SKUs.
pub(super) fn lock_by_skus(tx: &mut Tx, skus: impl Iterator<Item = String>) -> Result<Vec<Variant>> {
    let (source, lock) = (list(tx, &[("sku", Col::Text)]), dialect::for_update(tx));
    let query = format!("SELECT {READ} FROM {source} JOIN variants v ON v.sku = list.sku ORDER BY v.sku{lock}");
    let rows = skus.map(|sku| json!([sku])).collect();
    Ok(variants(sql(query).bind(dialect::rows(rows)).load::<Types, Record>(tx)?))
}

/// The variants with these ids; those that are not there are left out. No id must stand in the list twice.
pub(super) fn by_ids(tx: &mut Tx, ids: impl Iterator<Item = VariantId>) -> Result<Vec<Variant>> {
    let query = format!("SELECT {READ} FROM {} JOIN variants v ON v.id = list.id", list(tx, &[("id", Col::Uid)]));
    let rows = ids.map(|id| json!([id.hex()])).collect();
    Ok(variants(sql(query).bind(dialect::rows(rows)).load::<Types, Record>(tx)?))
}

/// The next variants in the order of their ids.
pub(super) fn after(tx: &mut Tx, after: Option<VariantId>, limit: i64) -> Result<Vec<Variant>> {
    let query = sql(format!("SELECT {READ} FROM variants v WHERE v.id > ? ORDER BY v.id LIMIT ?"));
    let query = query.bind(after.unwrap_or(VariantId::from_bytes([0; 16]))).bind(limit);
    Ok(variants(query.load::<Types, Record>(tx)?))
}

/// The ids of these SKUs. No SKU must stand in the list twice.
pub(super) fn ids_of(tx: &mut Tx, skus: impl Iterator<Item = String>) -> Result<Vec<(String, VariantId)>> {
    let query =
        format!("SELECT v.sku, v.id FROM {} JOIN variants v ON v.sku = list.sku", list(tx, &[("sku", Col::Text)]));
    let rows = skus.map(|sku| json!([sku])).collect();
    sql(query).bind(dialect::rows(rows)).load::<(Text, UidSql), (String, VariantId)>(tx)
}

/// The ids of these SKUs, and whether each is a bundle. No SKU must stand in the list twice.
pub(super) fn ids_and_bundles(
    tx: &mut Tx,
    skus: impl Iterator<Item = String>,
) -> Result<Vec<(String, VariantId, bool)>> {
    let query = format!(
        "SELECT v.sku, v.id, v.components IS NOT NULL FROM {} JOIN variants v ON v.sku = list.sku",
        list(tx, &[("sku", Col::Text)])
    );
    let rows = skus.map(|sku| json!([sku])).collect();
    sql(query).bind(dialect::rows(rows)).load::<(Text, UidSql, Bool), (String, VariantId, bool)>(tx)
}

/// The SKUs of these ids. No id must stand in the list twice.
pub(super) fn skus_of(tx: &mut Tx, ids: impl Iterator<Item = VariantId>) -> Result<Vec<(VariantId, String)>> {
    let query = format!("SELECT v.id, v.sku FROM {} JOIN variants v ON v.id = list.id", list(tx, &[("id", Col::Uid)]));
    let rows = ids.map(|id| json!([id.hex()])).collect();
    sql(query).bind(dialect::rows(rows)).load::<(UidSql, Text), (VariantId, String)>(tx)
}

/// Those of these variants of whose goods something is asked for, and what. No id must stand in the list twice.
pub(super) fn tracking_of(
    tx: &mut Tx,
    ids: impl Iterator<Item = VariantId>,
) -> Result<Vec<(VariantId, TrackingPolicy)>> {
    let query = format!(
        "SELECT v.id, v.tracking FROM {} JOIN variants v ON v.id = list.id WHERE v.tracking <> 'none'",
        list(tx, &[("id", Col::Uid)])
    );
    let rows = ids.map(|id| json!([id.hex()])).collect();
    sql(query).bind(dialect::rows(rows)).load::<(UidSql, Text), (VariantId, TrackingPolicy)>(tx)
}

pub(super) fn read(tx: &mut Tx, id: VariantId) -> Result<Option<Variant>> {
    let query = format!("SELECT {READ} FROM variants v WHERE v.id = ?");
    Ok(sql(query).bind(id).first::<Types, Record>(tx)?.map(Variant::from))
}

/// The same, locked until the end of the transaction.
pub(super) fn lock(tx: &mut Tx, id: VariantId) -> Result<Option<Variant>> {
    let query = format!("SELECT {READ} FROM variants v WHERE v.id = ?{}", dialect::for_update(tx));
    Ok(sql(query).bind(id).first::<Types, Record>(tx)?.map(Variant::from))
}

const COLUMNS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("sku", Col::Text),
    ("gtin", Col::Text),
    ("name", Col::Text),
    ("name_folded", Col::Text),
    ("tax_class", Col::Text),
    ("weight_grams", Col::Int),
    ("unit_code", Col::Text),
    ("requires_shipping", Col::Bool),
    ("stock_policy", Col::Text),
    ("backorder_policy", Col::Text),
    ("status", Col::Text),
    ("doc", Col::Doc),
    ("version", Col::Int),
    ("created_at", Col::At),
    ("updated_at", Col::At),
    ("components", Col::Doc),
    ("tracking", Col::Text),
    ("requires", Col::Doc),
];

/// A variant in the order of [`COLUMNS`].
fn row(variant: &Variant) -> Vec<Bind> {
    vec![
        variant.id.into(),
        variant.sku.as_str().into(),
        variant.gtin.clone().into(),
        variant.name.as_str().into(),
        fold(&variant.name).into(),
        variant.tax_class.as_str().into(),
        variant.weight_grams.into(),
        variant.unit_code.as_str().into(),
        variant.requires_shipping.into(),
        variant.stock_policy.as_str().into(),
        variant.backorder_policy.as_str().into(),
        variant.status.as_str().into(),
        Doc(json!({"attributes": variant.attributes})).into(),
        variant.version.into(),
        variant.created_at.into(),
        variant.updated_at.into(),
        // What is no bundle has none: that is what SQL asks for.
        variant.is_bundle().then(|| Doc(json!(variant.components))).into(),
        variant.tracking.as_str().into(),
        (!variant.requires.is_none()).then(|| Doc(json!(variant.requires))).into(),
    ]
}

pub(super) fn insert(tx: &mut Tx, variant: &Variant) -> Result<()> {
    insert_many(tx, "variants", COLUMNS, vec![row(variant)])?;
    Ok(())
}

/// For so long an import may last.
const IMPORT_SECONDS: i64 = 900;

/// Writes variants that are new (version 1) or follow the version that is there; gives the SKUs of those it could
/// write. The others have changed meanwhile. No SKU must stand in the list twice. Until when one could be promised beyond
/// what there was is noted for the doctor: such a promise is not oversold afterwards. Until this is committed it may be promised
/// so still, which of a long import is a while.
pub(super) fn upsert<'v>(tx: &mut Tx, changed: impl Iterator<Item = &'v Variant>) -> Result<Vec<String>> {
    let names = dialect::names(COLUMNS);
    let statement = format!(
        "INSERT INTO variants ({names}) SELECT {names} FROM {} WHERE true ORDER BY sku ON CONFLICT (sku) DO UPDATE SET \
         gtin = excluded.gtin, name = excluded.name, name_folded = excluded.name_folded, \
         tax_class = excluded.tax_class, weight_grams = excluded.weight_grams, unit_code = excluded.unit_code, \
         requires_shipping = excluded.requires_shipping, stock_policy = excluded.stock_policy, \
         backorder_policy = excluded.backorder_policy, status = excluded.status, doc = excluded.doc, \
         version = excluded.version, updated_at = excluded.updated_at, components = excluded.components, \
         tracking = excluded.tracking, requires = excluded.requires, backorders_until = CASE \
           WHEN variants.backorder_policy = 'allow' AND excluded.backorder_policy = 'deny' THEN ? \
           ELSE variants.backorders_until END \
         WHERE variants.version = excluded.version - 1 RETURNING sku",
        list(tx, COLUMNS)
    );
    let changed: Vec<&Variant> = changed.collect();
    let Some(now) = changed.iter().map(|variant| variant.updated_at).max() else { return Ok(Vec::new()) };
    let rows: Vec<Vec<Bind>> = changed.into_iter().map(row).collect();
    sql(statement).bind(Json::of(&rows)?).bind(now.plus_seconds(IMPORT_SECONDS)).load::<Text, String>(tx)
}

/// What a list of variants is narrowed by.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub sku: Option<String>,
    /// The spellings of a GTIN.
    pub gtin: Option<[String; 4]>,
    /// Beginnings of words of the name, folded.
    pub words: Vec<String>,
    pub status: Option<VariantStatus>,
}

impl Filter {
    /// The conditions and their binds. The text depends on which filters there are, not on what they hold.
    fn conditions(&self) -> (String, Vec<String>) {
        let (mut text, mut binds) = (String::from("WHERE true"), Vec::new());
        if let Some(sku) = &self.sku {
            text.push_str(" AND v.sku = ?");
            binds.push(sku.clone());
        }
        if let Some(spellings) = &self.gtin {
            text.push_str(" AND v.gtin IN (?, ?, ?, ?)");
            binds.extend(spellings.iter().cloned());
        }
        for word in &self.words {
            text.push_str(" AND ' ' || v.name_folded LIKE ?");
            // Folded words hold letters and digits only, so there is nothing to escape.
            binds.push(format!("% {word}%"));
        }
        if let Some(status) = self.status {
            text.push_str(" AND v.status = ?");
            binds.push(status.as_str().to_owned());
        }
        (text, binds)
    }
}

/// A page in the order of the ids, or of the names where they are searched. `after` is the last item of the page before.
pub(super) fn page(
    tx: &mut Tx,
    filter: &Filter,
    after: Option<(String, VariantId)>,
    limit: i64,
) -> Result<Vec<Variant>> {
    let by_name = !filter.words.is_empty();
    let (mut conditions, texts) = filter.conditions();
    conditions.push_str(match (&after, by_name) {
        (None, _) => "",
        (Some(_), false) => " AND v.id > ?",
        (Some(_), true) => " AND (v.name_folded, v.id) > (?, ?)",
    });
    let order = if by_name { "v.name_folded, v.id" } else { "v.id" };
    let query = format!("SELECT {READ} FROM variants v {conditions} ORDER BY {order} LIMIT ?");
    let mut query = texts.into_iter().fold(sql(query), |query, text| query.bind(text));
    if let Some((name, id)) = after {
        query = if by_name { query.bind(name).bind(id) } else { query.bind(id) };
    }
    Ok(variants(query.bind(limit).load::<Types, Record>(tx)?))
}

/// How many there are, counted up to `most`.
pub(super) fn count(tx: &mut Tx, filter: &Filter, most: i64) -> Result<i64> {
    let (conditions, texts) = filter.conditions();
    let query = format!("SELECT count(*) FROM (SELECT 1 FROM variants v {conditions} LIMIT ?) AS found");
    let query = texts.into_iter().fold(sql(query), |query, text| query.bind(text));
    Ok(query.bind(most).first::<BigInt, i64>(tx)?.unwrap_or_default())
}
