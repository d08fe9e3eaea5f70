//! The only file that touches `companies` and `company_members`.

use std::collections::BTreeMap;

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    members::Member,
    model::Company,
    terms::{ApprovalRule, CompanyRole, PaymentTerms, PurchaseOrderRule},
};
use crate::{
    customers::Address,
    db::{
        Bind, Col, Doc, DocSql, InstantSql, Json, Tx, UidSql,
        dialect::{self, list},
        sql,
    },
    error::Result,
    kernel::{
        Currency, Instant, Money, VatId,
        ids::{CompanyId, CustomerId},
        text::fold,
    },
};

/// What is kept in the column `doc`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct CompanyDoc {
    name: String,
    #[serde(default)]
    vat_id: Option<VatId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terms: Option<PaymentTerms>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purchase_order: Option<PurchaseOrderRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    approval_rules: Vec<ApprovalRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<Address>,
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
        let CompanyDoc { name, vat_id, terms, purchase_order, approval_rules, addresses } = doc.0;
        Self {
            id,
            number,
            name,
            vat_id,
            active,
            terms,
            purchase_order,
            approval_rules,
            addresses,
            version,
            created_at,
            updated_at,
        }
    }
}

fn companies(rows: Vec<Record>) -> Vec<Company> {
    rows.into_iter().map(Company::from).collect()
}

fn doc(company: &Company) -> Result<Json> {
    let Company { name, vat_id, terms, purchase_order, approval_rules, addresses, .. } = company.clone();
    Json::of(&CompanyDoc { name, vat_id, terms, purchase_order, approval_rules, addresses })
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

/// Companies with a VAT number, as the index `companies_vat_id` has it.
pub(super) fn with_vat_id(tx: &mut Tx, vat_id: &str, limit: i64) -> Result<Vec<Company>> {
    let query = format!(
        "SELECT {READ} FROM companies f WHERE f.doc->>'vat_id' = ? AND f.doc->>'vat_id' IS NOT NULL ORDER BY f.id LIMIT ?"
    );
    Ok(companies(sql(query).bind(vat_id).bind(limit).load::<Types, Record>(tx)?))
}

/// Companies after one of them, in the order of their ids.
///
/// # Errors
/// What the database says.
pub fn after(tx: &mut Tx, after: Option<CompanyId>, limit: i64) -> Result<Vec<Company>> {
    page(tx, &Filter::default(), after.map(|id| (String::new(), id)), limit)
}

/// A row of `company_members`.
type MemberTypes = (UidSql, UidSql, Text, Nullable<BigInt>, Nullable<Text>, BigInt, InstantSql, InstantSql);
type MemberRow = (CustomerId, CompanyId, CompanyRole, Option<i64>, Option<Currency>, i64, Instant, Instant);
const MEMBER: &str =
    "m.customer_id, m.company_id, m.role, m.order_limit, m.currency, m.version, m.created_at, m.updated_at";

fn member(row: MemberRow) -> Member {
    let (customer_id, company_id, role, limit, currency, version, created_at, updated_at) = row;
    let order_limit = limit.zip(currency).map(|(minor, currency)| Money::from_minor(minor, currency));
    Member { customer_id, company_id, role, order_limit, version, created_at, updated_at }
}

/// Says what a customer is to their company, whatever was said before.
pub(super) fn put_member(tx: &mut Tx, new: &Member) -> Result<Option<Member>> {
    let put = "INSERT INTO company_members AS m (customer_id, company_id, role, order_limit, currency, version, created_at, updated_at) \
               VALUES (?, ?, ?, ?, ?, 1, ?, ?) ON CONFLICT (customer_id) DO UPDATE SET company_id = excluded.company_id, \
               role = excluded.role, order_limit = excluded.order_limit, currency = excluded.currency, \
               version = m.version + 1, updated_at = excluded.updated_at \
               RETURNING customer_id, company_id, role, order_limit, currency, version, created_at, updated_at";
    let put = sql(put)
        .bind(new.customer_id)
        .bind(new.company_id)
        .bind(new.role.as_str())
        .bind(new.order_limit.map(Money::minor))
        .bind(new.order_limit.map(|limit| limit.currency().to_string()))
        .bind(new.created_at)
        .bind(new.updated_at);
    Ok(put.first::<MemberTypes, MemberRow>(tx)?.map(member))
}

/// Forgets what a customer was to a company. False when nothing was said.
pub(super) fn drop_member(tx: &mut Tx, company: CompanyId, customer: CustomerId) -> Result<bool> {
    let drop = sql("DELETE FROM company_members WHERE customer_id = ? AND company_id = ?");
    Ok(drop.bind(customer).bind(company).execute(tx)? == 1)
}

/// What a customer is to a company.
pub(super) fn member_of(tx: &mut Tx, company: CompanyId, customer: CustomerId) -> Result<Option<Member>> {
    let query = format!("SELECT {MEMBER} FROM company_members m WHERE m.customer_id = ? AND m.company_id = ?");
    Ok(sql(query).bind(customer).bind(company).first::<MemberTypes, MemberRow>(tx)?.map(member))
}

/// A page of a company's members, in the order of their ids.
pub(super) fn members(tx: &mut Tx, company: CompanyId, after: Option<CustomerId>, limit: i64) -> Result<Vec<Member>> {
    let behind = after.map_or("", |_| " AND m.customer_id > ?");
    let query =
        format!("SELECT {MEMBER} FROM company_members m WHERE m.company_id = ?{behind} ORDER BY m.customer_id LIMIT ?");
    let query = sql(query).bind(company).bind_all(after.map(Bind::from)).bind(limit);
    Ok(query.load::<MemberTypes, MemberRow>(tx)?.into_iter().map(member).collect())
}
