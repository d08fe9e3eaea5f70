//! The only file that touches `customers`.

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Nullable, Text},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    book::BookEntry,
    companies::{CompanyRole, Membership, OrderRules},
    model::{Consent, Customer, Login, Standing},
};
use crate::{
    db::{
        Bind, Col, Doc, DocSql, InstantSql, Tx, UidSql,
        dialect::{self, list},
        sql,
    },
    error::Result,
    kernel::{
        Currency, Instant, Money,
        actor::Identity,
        ids::{CompanyId, CustomerId},
        text::{Email, fold, phone_digits},
    },
};

/// What is kept in the column `doc`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct CustomerDoc {
    email: Option<Email>,
    name: Option<String>,
    phone: Option<String>,
    #[serde(default)]
    consent: Consent,
    #[serde(default)]
    addresses: Vec<BookEntry>,
    #[serde(default)]
    segments: Vec<String>,
    #[serde(default)]
    tax_exempt: bool,
    #[serde(default)]
    erased_at: Option<Instant>,
}

/// A row as the queries of this file read it.
#[derive(Queryable)]
struct Record {
    id: CustomerId,
    number: String,
    issuer: Option<String>,
    subject: Option<String>,
    customer_group: Option<String>,
    company_id: Option<CompanyId>,
    doc: Doc<CustomerDoc>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
}

#[rustfmt::skip]
type Types =
    (UidSql, Text, Nullable<Text>, Nullable<Text>, Nullable<Text>, Nullable<UidSql>, DocSql, BigInt, InstantSql, InstantSql);

const READ: &str =
    "c.id, c.number, c.issuer, c.subject, c.customer_group, c.company_id, c.doc, c.version, c.created_at, c.updated_at";

impl From<Record> for Customer {
    fn from(row: Record) -> Self {
        let doc = row.doc.0;
        Self {
            id: row.id,
            number: row.number,
            email: doc.email,
            name: doc.name,
            phone: doc.phone,
            group: row.customer_group,
            company_id: row.company_id,
            segments: doc.segments,
            tax_exempt: doc.tax_exempt,
            consent: doc.consent,
            addresses: doc.addresses,
            login: row.issuer.zip(row.subject).map(|(issuer, subject)| Login { issuer, subject }),
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            erased_at: doc.erased_at,
        }
    }
}

fn customers(rows: Vec<Record>) -> Vec<Customer> {
    rows.into_iter().map(Customer::from).collect()
}

/// Whether there is a customer with this id.
pub(super) fn exists(tx: &mut Tx, id: CustomerId) -> Result<bool> {
    let query = sql("SELECT id FROM customers WHERE id = ?").bind(id);
    Ok(query.first::<UidSql, CustomerId>(tx)?.is_some())
}

pub(super) fn read(tx: &mut Tx, id: CustomerId) -> Result<Option<Customer>> {
    let query = format!("SELECT {READ} FROM customers c WHERE c.id = ?");
    Ok(sql(query).bind(id).first::<Types, Record>(tx)?.map(Customer::from))
}

/// Customers by their ids. Those that are not there are left out.
///
/// # Errors
/// What the database says.
pub fn by_ids(tx: &mut Tx, ids: &[CustomerId]) -> Result<Vec<Customer>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let query = format!("SELECT {READ} FROM {} JOIN customers c ON c.id = list.id", list(tx, &[("id", Col::Uid)]));
    let rows = ids.iter().map(|id| json!([id.hex()])).collect();
    Ok(customers(sql(query).bind(dialect::rows(rows)).load::<Types, Record>(tx)?))
}

/// Customers after one of them, in the order of their ids.
///
/// # Errors
/// What the database says.
pub fn after(tx: &mut Tx, after: Option<CustomerId>, limit: i64) -> Result<Vec<Customer>> {
    page(tx, &Filter::default(), after.map(|id| (String::new(), id)), limit)
}

/// What prices and taxes ask of a customer.
pub(super) fn standing(tx: &mut Tx, id: CustomerId) -> Result<Option<Standing>> {
    type Rules = Option<Doc<OrderRules>>;
    type Types =
        (Nullable<Text>, Nullable<UidSql>, DocSql, Nullable<DocSql>, Nullable<Text>, Nullable<BigInt>, Nullable<Text>);
    type Row = (
        Option<String>,
        Option<CompanyId>,
        Doc<CustomerDoc>,
        Rules,
        Option<CompanyRole>,
        Option<i64>,
        Option<Currency>,
    );
    let query = "SELECT c.customer_group, f.id, c.doc, f.doc, m.role, m.order_limit, m.currency FROM customers c \
                 LEFT JOIN companies f ON f.id = c.company_id AND f.active \
                 LEFT JOIN company_members m ON m.customer_id = c.id AND m.company_id = f.id WHERE c.id = ?";
    let found = sql(query).bind(id).first::<Types, Row>(tx)?;
    Ok(found.map(|(group, company, Doc(doc), rules, role, limit, currency)| {
        let CustomerDoc { segments, tax_exempt, .. } = doc;
        let order_limit = limit.zip(currency).map(|(minor, currency)| Money::from_minor(minor, currency));
        let member = Membership { role: role.unwrap_or(CompanyRole::Buyer), order_limit };
        let rules = rules.map(|Doc(rules)| rules).unwrap_or_default();
        Standing { group, company, member, rules, segments, tax_exempt }
    }))
}

/// The same, locked until the end of the transaction.
pub(super) fn lock(tx: &mut Tx, id: CustomerId) -> Result<Option<Customer>> {
    let query = format!("SELECT {READ} FROM customers c WHERE c.id = ?{}", dialect::for_update(tx));
    Ok(sql(query).bind(id).first::<Types, Record>(tx)?.map(Customer::from))
}

/// Holds a customer until the end of the transaction, beside others who do, against those who lock them; with a sign-in, only
/// while it is theirs. False when there is none.
pub(super) fn hold(tx: &mut Tx, id: CustomerId, identity: Option<&Identity>) -> Result<bool> {
    let login = if identity.is_some() { " AND issuer = ? AND subject = ?" } else { "" };
    let query = sql(format!("SELECT id FROM customers WHERE id = ?{login}{}", dialect::for_key_share(tx))).bind(id);
    let query = match identity {
        Some(identity) => query.bind(identity.issuer.as_str()).bind(identity.subject.as_str()),
        None => query,
    };
    Ok(query.first::<UidSql, CustomerId>(tx)?.is_some())
}

/// Whose sign-in this is.
pub(super) fn id_by_login(tx: &mut Tx, identity: &Identity) -> Result<Option<CustomerId>> {
    sql("SELECT id FROM customers WHERE issuer = ? AND subject = ?")
        .bind(identity.issuer.as_str())
        .bind(identity.subject.as_str())
        .first::<UidSql, CustomerId>(tx)
}

/// The customer whose sign-in this is.
pub(super) fn by_login(tx: &mut Tx, identity: &Identity) -> Result<Option<Customer>> {
    let query = format!("SELECT {READ} FROM customers c WHERE c.issuer = ? AND c.subject = ?");
    let query = sql(query).bind(identity.issuer.as_str()).bind(identity.subject.as_str());
    Ok(query.first::<Types, Record>(tx)?.map(Customer::from))
}

/// Customers with this e-mail address and no sign-in, at most `limit` of them.
pub(super) fn unlinked_by_email(tx: &mut Tx, email: &Email, limit: i64) -> Result<Vec<Customer>> {
    let query = format!("SELECT {READ} FROM customers c WHERE c.email_folded = ? AND c.issuer IS NULL LIMIT ?");
    Ok(customers(sql(query).bind(email.folded()).bind(limit).load::<Types, Record>(tx)?))
}

/// Gives a customer a sign-in. False when they have got one, or another address, meanwhile.
pub(super) fn link(tx: &mut Tx, now: Instant, customer: &Customer, identity: &Identity) -> Result<bool> {
    let update = sql("UPDATE customers SET issuer = ?, subject = ?, version = version + 1, updated_at = ? \
         WHERE id = ? AND version = ? AND issuer IS NULL")
    .bind(identity.issuer.as_str())
    .bind(identity.subject.as_str())
    .bind(now)
    .bind(customer.id)
    .bind(customer.version);
    Ok(update.execute(tx)? == 1)
}

const COLUMNS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("number", Col::Text),
    ("issuer", Col::Text),
    ("subject", Col::Text),
    ("email_folded", Col::Text),
    ("name_folded", Col::Text),
    ("customer_group", Col::Text),
    ("company_id", Col::Uid),
    ("doc", Col::Doc),
    ("version", Col::Int),
    ("created_at", Col::At),
    ("updated_at", Col::At),
];

/// What is kept of a customer in the column `doc`; the phone number also as it is looked for.
fn doc(customer: &Customer) -> Value {
    let Customer { email, name, phone, consent, addresses, segments, tax_exempt, erased_at, .. } = customer;
    json!({ "email": email, "name": name, "phone": phone, "phone_digits": phone.as_deref().map(phone_digits),
        "consent": consent, "addresses": addresses, "segments": segments, "tax_exempt": tax_exempt, "erased_at": erased_at })
}

/// Up to so many customers who are not found by their phone number yet: processes of older versions have written them.
pub(super) fn without_phone_digits(tx: &mut Tx, after: Option<CustomerId>, limit: i64) -> Result<Vec<Customer>> {
    let after = after.unwrap_or(CustomerId::from_bytes([0; 16]));
    // As the index `customers_phone` has it.
    let query = format!(
        "SELECT {READ} FROM customers c WHERE c.doc->>'phone_digits' IS NULL AND c.doc->>'phone' IS NOT NULL AND c.id > ? \
         ORDER BY c.id LIMIT ?"
    );
    Ok(customers(sql(query).bind(after).bind(limit).load::<Types, Record>(tx)?))
}

/// Writes by which phone number a customer is found, where nobody has changed them since; that is no change of theirs.
pub(super) fn note_phone(tx: &mut Tx, customer: &Customer) -> Result<()> {
    let update = sql("UPDATE customers SET doc = ? WHERE id = ? AND version = ?");
    update.bind(Doc(doc(customer))).bind(customer.id).bind(customer.version).execute(tx).map(|_| ())
}

/// A customer in the order of [`COLUMNS`].
fn row(customer: &Customer) -> Value {
    let Customer { email, name, login, .. } = customer;
    json!([
        customer.id.hex(),
        customer.number,
        login.as_ref().map(|login| &login.issuer),
        login.as_ref().map(|login| &login.subject),
        email.as_ref().map(Email::folded),
        fold(name.as_deref().unwrap_or_default()),
        customer.group,
        customer.company_id.map(|company| company.hex()),
        doc(customer),
        customer.version,
        customer.created_at.sortable(),
        customer.updated_at.sortable(),
    ])
}

/// Inserts a customer. False when the number is taken or somebody else has the sign-in.
pub(super) fn insert(tx: &mut Tx, customer: &Customer) -> Result<bool> {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    let source = list(tx, COLUMNS);
    let insert =
        format!("INSERT INTO customers ({names}) SELECT {names} FROM {source} WHERE true ON CONFLICT DO NOTHING");
    Ok(sql(insert).bind(dialect::rows(vec![row(customer)])).execute(tx)? == 1)
}

/// The customers with these numbers; those that are not there are left out. No number must stand in the list twice.
pub(super) fn by_numbers(tx: &mut Tx, numbers: impl Iterator<Item = String>, locked: bool) -> Result<Vec<Customer>> {
    let (source, lock) = (list(tx, &[("number", Col::Text)]), if locked { dialect::for_update(tx) } else { "" });
    let query =
        format!("SELECT {READ} FROM {source} JOIN customers c ON c.number = list.number ORDER BY c.number{lock}");
    let rows = numbers.map(|number| json!([number])).collect();
    Ok(customers(sql(query).bind(dialect::rows(rows)).load::<Types, Record>(tx)?))
}

/// Writes customers that are new (version 1) or follow the version that is there; gives the numbers of those it could
/// write. The others have changed meanwhile. No number must stand in the list twice. Sign-ins are left alone.
pub(super) fn upsert<'c>(tx: &mut Tx, changed: impl Iterator<Item = &'c Customer>) -> Result<Vec<String>> {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    let statement = format!(
        "INSERT INTO customers ({names}) SELECT {names} FROM {} WHERE true ORDER BY number \
         ON CONFLICT (number) DO UPDATE SET email_folded = excluded.email_folded, name_folded = excluded.name_folded, \
         customer_group = excluded.customer_group, company_id = excluded.company_id, doc = excluded.doc, version = excluded.version, \
         updated_at = excluded.updated_at WHERE customers.version = excluded.version - 1 RETURNING number",
        list(tx, COLUMNS)
    );
    sql(statement).bind(dialect::rows(changed.map(row).collect())).load::<Text, String>(tx)
}

/// Writes a customer who was erased over the version that was locked: without a sign-in, too.
pub(super) fn erase(tx: &mut Tx, erased: &Customer) -> Result<()> {
    sql("UPDATE customers SET issuer = NULL, subject = NULL WHERE id = ?").bind(erased.id).execute(tx)?;
    upsert(tx, std::iter::once(erased)).map(|_| ())
}

/// The customers with an e-mail address.
///
/// # Errors
/// What the database says.
pub fn with_email(tx: &mut Tx, email: &Email) -> Result<Vec<CustomerId>> {
    sql("SELECT id FROM customers WHERE email_folded = ? ORDER BY id")
        .bind(email.folded())
        .load::<UidSql, CustomerId>(tx)
}

/// What a list of customers is narrowed by.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub number: Option<String>,
    pub email: Option<Email>,
    pub group: Option<String>,
    pub company: Option<CompanyId>,
    /// Their own phone number, as its digits are looked for.
    pub phone: Option<String>,
    /// The beginning of the name, folded.
    pub name: Option<String>,
}

impl Filter {
    /// The conditions and their binds. The text depends on which filters there are, not on what they hold.
    fn conditions(&self) -> (String, Vec<Bind>) {
        let (mut text, mut binds) = (String::from("WHERE true"), Vec::new());
        if let Some(number) = &self.number {
            text.push_str(" AND c.number = ?");
            binds.push(number.clone().into());
        }
        if let Some(email) = &self.email {
            text.push_str(" AND c.email_folded = ?");
            binds.push(email.folded().into());
        }
        if let Some(group) = &self.group {
            text.push_str(" AND c.customer_group = ?");
            binds.push(group.clone().into());
        }
        if let Some(company) = self.company {
            text.push_str(" AND c.company_id = ?");
            binds.push(company.into());
        }
        if let Some(phone) = &self.phone {
            text.push_str(" AND c.doc->>'phone_digits' = ? AND c.doc->>'phone' IS NOT NULL");
            binds.push(phone.clone().into());
        }
        if let Some(name) = &self.name {
            // A range instead of LIKE, so that the index serves it: `~` comes after every letter and digit.
            text.push_str(" AND c.name_folded >= ? AND c.name_folded < ?");
            binds.extend([name.clone().into(), format!("{name}~").into()]);
        }
        (text, binds)
    }
}

/// A page in the order of the ids, or of the names where they are searched. `after` is the last item of the page before.
pub(super) fn page(
    tx: &mut Tx,
    filter: &Filter,
    after: Option<(String, CustomerId)>,
    limit: i64,
) -> Result<Vec<Customer>> {
    let by_name = filter.name.is_some();
    let (mut conditions, binds) = filter.conditions();
    conditions.push_str(match (&after, by_name) {
        (None, _) => "",
        (Some(_), false) => " AND c.id > ?",
        (Some(_), true) => " AND (c.name_folded, c.id) > (?, ?)",
    });
    let order = if by_name { "c.name_folded, c.id" } else { "c.id" };
    let query = format!("SELECT {READ} FROM customers c {conditions} ORDER BY {order} LIMIT ?");
    let mut query = sql(query).bind_all(binds);
    if let Some((name, id)) = after {
        query = if by_name { query.bind(name).bind(id) } else { query.bind(id) };
    }
    Ok(customers(query.bind(limit).load::<Types, Record>(tx)?))
}

/// How many there are, counted up to `most`.
pub(super) fn count(tx: &mut Tx, filter: &Filter, most: i64) -> Result<i64> {
    let (conditions, binds) = filter.conditions();
    let query = format!("SELECT count(*) FROM (SELECT 1 FROM customers c {conditions} LIMIT ?) AS found");
    Ok(sql(query).bind_all(binds).bind(most).first::<BigInt, i64>(tx)?.unwrap_or_default())
}
