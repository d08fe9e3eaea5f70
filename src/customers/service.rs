//! Commands on customers, and the way from a sign-in to its customer.

use std::{
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
};

use diesel::Connection;
use serde::{Deserialize, Serialize};

// What is asked for as it stands in the tables.
pub(super) use super::store::{Filter, by_login, count, page, read};
use super::{
    book::{self, BookChange, NewBookEntry},
    companies,
    model::{Customer, CustomerChange, CustomerRow, Login, NewCustomer, Standing},
    store, told,
};
use crate::{
    db::{
        Tx,
        merge::{self, Merge, Merged},
        number_in,
    },
    error::{Code, Error, Result},
    http::seal,
    jobs::{self, NewJob},
    kernel::{
        Actor, Instant, Scope,
        actor::Identity,
        ids::{AddressId, CompanyId, CustomerId},
        text::{Email, Text},
    },
};

/// When, and who does it: what the log is told with.
pub type By<'a> = (Instant, &'a Actor);

/// The name of the number range.
pub(super) const NUMBERS: &str = "customers";

/// A customer number of our own making. The letter keeps it apart from the numbers that imports bring.
#[must_use]
pub fn number(of_range: i64) -> String {
    format!("C{of_range}")
}

/// Whose sign-in this is, when it has been seen before.
///
/// # Errors
/// What the database says.
pub fn find(tx: &mut Tx, identity: &Identity) -> Result<Option<CustomerId>> {
    store::id_by_login(tx, identity)
}

/// A customer by id.
///
/// # Errors
/// What the database says.
pub fn by_id(tx: &mut Tx, id: CustomerId) -> Result<Option<Customer>> {
    store::read(tx, id)
}

/// What prices and taxes ask of a customer; nothing special where there is none.
///
/// # Errors
/// What the database says.
pub fn standing(tx: &mut Tx, id: CustomerId) -> Result<Standing> {
    Ok(store::standing(tx, id)?.unwrap_or_default())
}

/// A customer whom the actor names, when there is one and the actor may know.
///
/// # Errors
/// `scope_missing` without `customers:read`; `not_found`.
pub fn named(tx: &mut Tx, actor: &Actor, id: CustomerId) -> Result<CustomerId> {
    if !actor.holds(Scope::CustomersRead) {
        let detail = format!("naming a customer needs the scope `{}`", Scope::CustomersRead);
        return Err(Error::problem(Code::ScopeMissing, detail).with("scope", Scope::CustomersRead.as_str()));
    }
    require(tx, id).map(|()| id)
}

/// That there is such a customer.
///
/// # Errors
/// `not_found`.
pub fn require(tx: &mut Tx, id: CustomerId) -> Result<()> {
    if store::exists(tx, id)? { Ok(()) } else { Err(Error::not_found("customer")) }
}

/// Holds a customer while something becomes theirs: of this and their erasure, which locks them, one waits for the other and
/// sees what it has done.
///
/// # Errors
/// `not_found`.
pub fn hold(tx: &mut Tx, id: CustomerId) -> Result<()> {
    if store::hold(tx, id, None)? { Ok(()) } else { Err(Error::not_found("customer")) }
}

/// Locks a customer until the end of the transaction: nothing becomes theirs meanwhile.
///
/// # Errors
/// `not_found`.
pub fn lock(tx: &mut Tx, id: CustomerId) -> Result<()> {
    store::lock(tx, id)?.map(|_| ()).ok_or_else(|| Error::not_found("customer"))
}

/// [`find_or_link`], and the customer is held: not one who was erased a moment ago.
///
/// # Errors
/// What the database says.
pub fn find_and_hold(tx: &mut Tx, by: By<'_>, fresh: CustomerId, identity: &Identity) -> Result<CustomerId> {
    for _ in 0..ROUNDS {
        let id = find_or_link(tx, by, fresh, identity)?.id;
        if store::hold(tx, id, Some(identity))? {
            return Ok(id);
        }
    }
    Err(Error::problem(Code::Overloaded, "this customer is being changed elsewhere").retry_after(1))
}

/// How often a first sign-in looks again when another was faster.
const ROUNDS: usize = 8;

/// The customer of a sign-in. At its first use it is linked to the one customer without a sign-in who has exactly the
/// verified e-mail address, else a customer is made with the id `fresh`. However many first uses there are at once, they
/// all get the same customer.
///
/// # Errors
/// What the database says.
pub fn find_or_link(tx: &mut Tx, (now, actor): By<'_>, fresh: CustomerId, identity: &Identity) -> Result<Customer> {
    let verified = identity.verified_email.as_deref().and_then(|email| Email::new(email).ok());
    for _ in 0..ROUNDS {
        if let Some(customer) = store::by_login(tx, identity)? {
            return Ok(customer);
        }
        if let Some(customer) = linkable(tx, verified.as_ref())? {
            // In a savepoint: when another first use has just made a customer for this sign-in, only the link is undone.
            match tx.transaction(|tx| store::link(tx, now, &customer, identity)) {
                Ok(true) => {
                    let linked = linked(customer, now, identity);
                    told::tell(tx, (now, actor), [(told::LINKED, &linked)])?;
                    tell_signed_in(tx, now, linked.id, verified.as_ref())?;
                    return Ok(linked);
                }
                Ok(false) => continue,
                Err(error) if error.is_unique_violation() => continue,
                Err(error) => return Err(error),
            }
        }
        let mut customer = Customer::blank(fresh, number(number_in(tx, NUMBERS)?), now);
        customer.email.clone_from(&verified);
        customer.login = Some(login(identity));
        if store::insert(tx, &customer)? {
            told::tell(tx, (now, actor), [(told::CREATED, &customer)])?;
            tell_signed_in(tx, now, customer.id, verified.as_ref())?;
            return Ok(customer);
        }
        // Either the sign-in has a customer now, or an import has brought this number: look again.
    }
    Err(Error::problem(Code::Overloaded, "this sign-in is being set up elsewhere").retry_after(1))
}

/// The kind of the job by which is told that a sign-in was used for the first time whose e-mail address is verified: what a guest has left
/// with that address can be taken over. Its payload is [`SignedIn`].
pub const SIGNED_IN: &str = "customers.signed_in";
/// Whoever has just signed in is served first.
const SIGNED_IN_SECONDS: i64 = 2;

/// A customer whose sign-in was used for the first time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignedIn {
    /// Who.
    pub customer: CustomerId,
    /// A hash of the verified address: the job itself is not to tell it.
    email: String,
}

impl SignedIn {
    fn new(customer: CustomerId, email: &Email) -> Self {
        Self { customer, email: hashed(email) }
    }

    /// The verified address, as long as it is the customer's; who was erased meanwhile has none. They are held.
    ///
    /// # Errors
    /// What the database says.
    pub fn email(&self, tx: &mut Tx) -> Result<Option<Email>> {
        if !store::hold(tx, self.customer, None)? {
            return Ok(None);
        }
        let email = by_id(tx, self.customer)?.and_then(|customer| customer.email);
        Ok(email.filter(|email| hashed(email) == self.email))
    }
}

fn hashed(email: &Email) -> String {
    seal::sha256_hex(email.as_str().to_ascii_lowercase().as_bytes())
}

fn tell_signed_in(tx: &mut Tx, now: Instant, customer: CustomerId, verified: Option<&Email>) -> Result<()> {
    let Some(email) = verified else { return Ok(()) };
    let task = serde_json::to_value(SignedIn::new(customer, email))?;
    let told = NewJob { run_at: now.plus_seconds(SIGNED_IN_SECONDS), ..NewJob::now(SIGNED_IN, now, task) };
    jobs::enqueue(tx, now, vec![told])
}

fn login(identity: &Identity) -> Login {
    Login { issuer: identity.issuer.clone(), subject: identity.subject.clone() }
}

fn linked(customer: Customer, now: Instant, identity: &Identity) -> Customer {
    Customer { login: Some(login(identity)), version: customer.version + 1, updated_at: now, ..customer }
}

/// The customer whom a verified address points to without doubt. Only ASCII letters may differ in case: in Unicode there
/// are letters that fold to ASCII ones, and with them mailboxes of strangers. Where two have the address, neither is meant.
fn linkable(tx: &mut Tx, verified: Option<&Email>) -> Result<Option<Customer>> {
    let Some(verified) = verified else { return Ok(None) };
    let mut found = store::unlinked_by_email(tx, verified, 2)?;
    let same = |email: &Email| email.as_str().eq_ignore_ascii_case(verified.as_str());
    Ok(match (found.pop(), found.is_empty()) {
        (Some(customer), true) if customer.email.as_ref().is_some_and(same) => Some(customer),
        _ => None,
    })
}

/// How many numbers are tried where imports have brought ours.
const NUMBERS_TRIED: usize = 64;

/// Makes a customer. `number` is what they get where the request names none.
///
/// # Errors
/// `duplicate` when the number that the request names is taken; `not_found` for a company; `invalid_value`.
pub fn create(
    tx: &mut Tx,
    by: By<'_>,
    ids: (CustomerId, AddressId),
    number: &str,
    new: &NewCustomer,
) -> Result<Customer> {
    require_company(tx, new.company_id)?;
    let mut customer = new.build(ids.0, ids.1, new.number.as_deref().unwrap_or(number).to_owned(), by.0)?;
    if store::insert(tx, &customer)? {
        told::tell(tx, by, [(told::CREATED, &customer)])?;
        return Ok(customer);
    }
    if let Some(number) = &new.number {
        let detail = format!("there is a customer with the number `{number}` already");
        return Err(Error::problem(Code::Duplicate, detail).at("/number"));
    }
    for _ in 0..NUMBERS_TRIED {
        customer.number = self::number(number_in(tx, NUMBERS)?);
        if store::insert(tx, &customer)? {
            told::tell(tx, by, [(told::CREATED, &customer)])?;
            return Ok(customer);
        }
    }
    Err(Error::internal("imports have brought the customer numbers that come next"))
}

/// That there is the company that a customer is to buy for. None is ever removed, so that it is there when the customer is written.
fn require_company(tx: &mut Tx, company: Option<CompanyId>) -> Result<()> {
    company.map_or(Ok(()), |id| companies::require(tx, id).map_err(|error| error.at("/company_id")))
}

/// Changes a customer. `expected` is the version that the caller has seen.
///
/// # Errors
/// `not_found`, for a company too; `version_stale` when they have changed since; `invalid_value`.
pub fn update(
    tx: &mut Tx,
    by: By<'_>,
    id: CustomerId,
    expected: Option<i64>,
    change: &CustomerChange,
) -> Result<Customer> {
    require_company(tx, change.company_id.flatten())?;
    edit(tx, by, id, expected, |customer| change.apply(customer, by.0))
}

/// Adds an address to a customer's book.
///
/// # Errors
/// `not_found`; `version_stale`; `invalid_value` when the book is full.
pub fn add_address(
    tx: &mut Tx,
    by: By<'_>,
    id: CustomerId,
    expected: Option<i64>,
    fresh: AddressId,
    new: &NewBookEntry,
) -> Result<Customer> {
    edit(tx, by, id, expected, |customer| book::add(&mut customer.addresses, fresh, new))
}

/// Changes an address in a customer's book.
///
/// # Errors
/// `not_found` for the customer or the address; `version_stale`.
pub fn change_address(
    tx: &mut Tx,
    by: By<'_>,
    id: CustomerId,
    expected: Option<i64>,
    address: AddressId,
    change: &BookChange,
) -> Result<Customer> {
    edit(tx, by, id, expected, |customer| book::change(&mut customer.addresses, address, change))
}

/// Removes an address from a customer's book.
///
/// # Errors
/// `not_found` for the customer or the address; `version_stale`.
pub fn remove_address(
    tx: &mut Tx,
    by: By<'_>,
    id: CustomerId,
    expected: Option<i64>,
    address: AddressId,
) -> Result<Customer> {
    edit(tx, by, id, expected, |customer| book::remove(&mut customer.addresses, address))
}

fn edit(
    tx: &mut Tx,
    by: By<'_>,
    id: CustomerId,
    expected: Option<i64>,
    change: impl FnOnce(&mut Customer) -> Result<()>,
) -> Result<Customer> {
    let known = store::lock(tx, id)?.ok_or_else(|| Error::not_found("customer"))?;
    if expected.is_some_and(|seen| seen != known.version) {
        return Err(Error::stale("customer", known.version));
    }
    let mut changed = known.clone();
    change(&mut changed)?;
    if changed == known {
        return Ok(known);
    }
    changed.version = known.version + 1;
    changed.updated_at = by.0;
    if store::upsert(tx, std::iter::once(&changed))?.is_empty() {
        return Err(Error::overtaken("the customer"));
    }
    told::tell(tx, by, [(told::UPDATED, &changed)])?;
    Ok(changed)
}

/// Erases a customer: their number stays, and that they were erased. Somebody who was erased before and has got nothing
/// since stays as they are.
///
/// # Errors
/// `not_found`.
pub fn erase(tx: &mut Tx, by: By<'_>, id: CustomerId) -> Result<Customer> {
    let known = store::lock(tx, id)?.ok_or_else(|| Error::not_found("customer"))?;
    let erased = known.erased();
    if known.erased_at.is_some() && erased == known {
        return Ok(known);
    }
    let erased_at = known.erased_at.or(Some(by.0));
    let erased = Customer { version: known.version + 1, updated_at: by.0, erased_at, ..erased };
    store::erase(tx, &erased)?;
    told::tell(tx, by, [(told::ERASED, &erased)])?;
    Ok(erased)
}

/// A row of an import, with the ids that it takes where its number is new.
pub type ImportRow = ((CustomerId, AddressId), CustomerRow);

/// A row of an import with the company that it names.
struct Resolved<'r> {
    fresh: (CustomerId, AddressId),
    row: &'r CustomerRow,
    company: Option<Named>,
}

/// What the number of a company in a row stands for.
#[derive(Clone, Copy)]
enum Named {
    /// This one, or none.
    Is(Option<CompanyId>),
    /// There is no such company.
    Unknown,
}

/// Rows with the companies that they name: one statement, none where no row names any. None is ever removed, so that they are there
/// when the customers are written.
fn resolved<'r>(tx: &mut Tx, rows: &'r [ImportRow]) -> Result<Vec<Resolved<'r>>> {
    let numbers: BTreeSet<&str> = rows.iter().filter_map(|(_, row)| row.company_number.as_ref()?.as_deref()).collect();
    let numbers: Vec<&str> = numbers.into_iter().collect();
    let known = if numbers.is_empty() { BTreeMap::new() } else { companies::by_numbers(tx, &numbers)? };
    let named = |number: &Option<Text<50>>| match number {
        None => Named::Is(None),
        Some(number) => known.get(&**number).map_or(Named::Unknown, |id| Named::Is(Some(*id))),
    };
    let resolve =
        |(fresh, row): &'r ImportRow| Resolved { fresh: *fresh, row, company: row.company_number.as_ref().map(named) };
    Ok(rows.iter().map(resolve).collect())
}

struct Customers<'r>(PhantomData<&'r CustomerRow>);

impl<'r> Merge for Customers<'r> {
    type Row = Resolved<'r>;
    type Record = Customer;

    fn key_of<'k>(row: &'k Resolved<'r>) -> &'k str {
        &row.row.number
    }

    fn key(customer: &Customer) -> &str {
        &customer.number
    }

    fn version(customer: &Customer) -> i64 {
        customer.version
    }

    fn lay(row: &Resolved<'r>, before: Option<&Customer>, now: Instant) -> Result<Customer> {
        let company = match row.company {
            None => None,
            Some(Named::Is(company)) => Some(company),
            Some(Named::Unknown) => return Err(companies::unknown().at("/company_number")),
        };
        row.row.onto(before, row.fresh, company, now)
    }

    fn stamp(customer: Customer, version: i64, now: Instant) -> Customer {
        Customer { version, updated_at: now, ..customer }
    }

    fn read(tx: &mut Tx, keys: &BTreeSet<&str>, locked: bool) -> Result<Vec<Customer>> {
        store::by_numbers(tx, keys.iter().map(|number| (*number).to_owned()), locked)
    }

    fn write<'c>(tx: &mut Tx, customers: impl Iterator<Item = &'c Customer>) -> Result<Vec<String>> {
        store::upsert(tx, customers)
    }
}

/// Applies rows of an import; see [`merge::merge`]. The log is told of those that are new or changed.
///
/// # Errors
/// What the database says. What is wrong with a row is that row's outcome.
pub fn import(
    tx: &mut Tx,
    by: By<'_>,
    rows: &[ImportRow],
    rehearsed: Option<&BTreeMap<String, Customer>>,
) -> Result<Merged<Customer>> {
    let rows = resolved(tx, rows)?;
    let merged = merge::merge::<Customers<'_>>(tx, by.0, &rows, rehearsed)?;
    if rehearsed.is_none() {
        told::tell_merged(tx, by, merged.1.values())?;
    }
    Ok(merged)
}

/// Up to so many customers whose own phone number this is.
///
/// # Errors
/// What the database says.
pub fn with_phone(tx: &mut Tx, phone: &str, limit: i64) -> Result<Vec<Customer>> {
    let phone = Some(crate::kernel::text::phone_digits(phone)).filter(|digits| !digits.is_empty());
    if phone.is_none() {
        return Ok(Vec::new());
    }
    store::page(tx, &Filter { phone, ..Filter::default() }, None, limit)
}

/// Up to so many customers who have this number or e-mail address, or whose name begins so.
///
/// # Errors
/// What the database says.
pub fn looked_for(tx: &mut Tx, text: &str, limit: i64) -> Result<Vec<Customer>> {
    let (text, name) = (text.trim(), crate::kernel::text::fold(text));
    let mut found = match Email::new(text) {
        Ok(email) => store::page(tx, &Filter { email: Some(email), ..Filter::default() }, None, limit)?,
        Err(_) => store::page(tx, &Filter { number: Some(text.to_owned()), ..Filter::default() }, None, limit)?,
    };
    if found.is_empty() && !name.is_empty() && !text.contains('@') {
        found = store::page(tx, &Filter { name: Some(name), ..Filter::default() }, None, limit)?;
    }
    Ok(found)
}
