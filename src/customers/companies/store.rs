//! The only file that touches `companies`.

use std::collections::BTreeMap;

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Bool, Text},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::model::Company;
use crate::{
    db::{
        Bind, Col, Doc, DocSql, InstantSql, Json, Tx, UidSql,
        dialect::{self, list},
        sql,
    },
    error::Result,
    kernel::{Instant, VatId, ids::CompanyId, text::fold},
};

/// What is kept in the column `doc`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct CompanyDoc {
    name: String,
    #[serde(default)]
    vat_id: Option<VatId>,
}

/// A row as the queries of this file read it.
#[derive(Queryable)]
struct Record {
    id: CompanyId,
    number: String,
    active: bool,
    doc: Doc<CompanyDoc>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
}

type Types = (UidSql, Text, Bool, DocSql, BigInt, InstantSql, InstantSql);
const READ: &str = "f.id, f.number, f.active, f.doc, f.version, f.created_at, f.updated_at";

impl From<Record> for Company {
    fn from(row: Record) -> Self {
        let Record { id, number, active, doc, version, created_at, updated_at } = row;
        let CompanyDoc { name, vat_id } = doc.0;
        Self { id, number, name, vat_id, active, version, created_at, updated_at }
    }
}

fn companies(rows: Vec<Record>) -> Vec<Company> {
    rows.into_iter().map(Company::from).collect()
}

fn doc(company: &Company) -> Result<Json> {
    Json::of(&CompanyDoc { name: company.name.clone(), vat_id: company.vat_id.clone() })
}

/// A company.
pub(super) fn read(tx: &mut Tx, id: CompanyId) -> Result<Option<Company>> {
    let query = format!("SELECT {READ} FROM companies f WHERE f.id = ?");
    Ok(sql(query).bind(id).first::<Types, Record>(tx)?.map(Company::from))
}

/// The same, locked until the end of the transaction.
pub(super) fn lock(tx: &mut Tx, id: CompanyId) -> Result<Option<Company>> {
    let query = format!("SELECT {READ} FROM companies f WHERE f.id = ?{}", dialect::for_update(tx));
    Ok(sql(query).bind(id).first::<Types, Record>(tx)?.map(Company::from))
}

/// Companies by their ids. Those that are not there are left out.
///
/// # Errors
/// What the database says.
pub fn by_ids(tx: &mut Tx, ids: &[CompanyId]) -> Result<Vec<Company>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let query = format!("SELECT {READ} FROM {} JOIN companies f ON f.id = list.id", list(tx, &[("id", Col::Uid)]));
    let rows = ids.iter().map(|id| json!([id.hex()])).collect();
    Ok(companies(sql(query).bind(dialect::rows(rows)).load::<Types, Record>(tx)?))
}

/// The ids of companies by their numbers.
pub(super) fn by_numbers(tx: &mut Tx, numbers: &[&str]) -> Result<BTreeMap<String, CompanyId>> {
    let source = list(tx, &[("number", Col::Text)]);
    let query = format!("SELECT f.number, f.id FROM {source} JOIN companies f ON f.number = list.number");
    let rows = numbers.iter().map(|number| json!([number])).collect();
    let found = sql(query).bind(dialect::rows(rows)).load::<(Text, UidSql), (String, CompanyId)>(tx)?;
    Ok(found.into_iter().collect())
}

/// Writes a new company.
pub(super) fn insert(tx: &mut Tx, company: &Company) -> Result<()> {
    sql("INSERT INTO companies (id, number, name_folded, active, doc, version, created_at, updated_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(company.id)
    .bind(company.number.as_str())
    .bind(fold(&company.name))
    .bind(company.active)
    .bind(doc(company)?)
    .bind(company.version)
    .bind(company.created_at)
    .bind(company.updated_at)
    .execute(tx)?;
    Ok(())
}

/// Writes a company over the version before it. False when that is not there any more.
pub(super) fn update(tx: &mut Tx, company: &Company) -> Result<bool> {
    let update = sql("UPDATE companies SET name_folded = ?, active = ?, doc = ?, version = ?, updated_at = ? \
                      WHERE id = ? AND version = ?")
    .bind(fold(&company.name))
    .bind(company.active)
    .bind(doc(company)?)
    .bind(company.version)
    .bind(company.updated_at)
    .bind(company.id)
    .bind(company.version - 1);
    Ok(update.execute(tx)? == 1)
}

/// What a list of companies is narrowed by.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub number: Option<String>,
    pub active: Option<bool>,
    /// The beginning of the name, folded.
    pub name: Option<String>,
}

impl Filter {
    /// The conditions and their binds. The text depends on which filters there are, not on what they hold.
    fn conditions(&self) -> (String, Vec<Bind>) {
        let (mut text, mut binds) = (String::from("WHERE true"), Vec::new());
        if let Some(number) = &self.number {
            text.push_str(" AND f.number = ?");
            binds.push(number.clone().into());
        }
        if let Some(active) = self.active {
            text.push_str(" AND f.active = ?");
            binds.push(active.into());
        }
        if let Some(name) = &self.name {
            // A range instead of LIKE, so that the index serves it: `~` comes after every letter and digit.
            text.push_str(" AND f.name_folded >= ? AND f.name_folded < ?");
            binds.extend([name.clone().into(), format!("{name}~").into()]);
        }
        (text, binds)
    }
}

/// A page in the order of the ids, or of the names where they are searched. `after` is the last item of the page before.
pub(super) fn page(
    tx: &mut Tx,
    filter: &Filter,
    after: Option<(String, CompanyId)>,
    limit: i64,
) -> Result<Vec<Company>> {
    let by_name = filter.name.is_some();
    let (mut conditions, binds) = filter.conditions();
    conditions.push_str(match (&after, by_name) {
        (None, _) => "",
        (Some(_), false) => " AND f.id > ?",
        (Some(_), true) => " AND (f.name_folded, f.id) > (?, ?)",
    });
    let order = if by_name { "f.name_folded, f.id" } else { "f.id" };
    let query = format!("SELECT {READ} FROM companies f {conditions} ORDER BY {order} LIMIT ?");
    let mut query = sql(query).bind_all(binds);
    if let Some((name, id)) = after {
        query = if by_name { query.bind(name).bind(id) } else { query.bind(id) };
    }
    Ok(companies(query.bind(limit).load::<Types, Record>(tx)?))
}

/// Companies after one of them, in the order of their ids.
///
/// # Errors
/// What the database says.
pub fn after(tx: &mut Tx, after: Option<CompanyId>, limit: i64) -> Result<Vec<Company>> {
    page(tx, &Filter::default(), after.map(|id| (String::new(), id)), limit)
}
