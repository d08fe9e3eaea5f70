//! Commands and queries of companies.

use std::collections::BTreeMap;

// What is asked for as it stands in the table.
pub(super) use super::store::{Filter, page, read};
use super::{
    model::{Company, CompanyChange, NewCompany},
    store, told,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    kernel::{
        Actor, Instant, Scope, VatId,
        ids::{CompanyId, EventId},
        text::fold,
    },
};

/// There is no such company.
#[must_use]
pub fn unknown() -> Error {
    Error::not_found("company")
}

/// That there is such a company.
///
/// # Errors
/// `not_found`.
pub fn require(tx: &mut Tx, id: CompanyId) -> Result<()> {
    store::read(tx, id)?.map(|_| ()).ok_or_else(unknown)
}

/// That there are all these companies, and the actor may name them: one statement, none where there are none.
///
/// # Errors
/// `scope_missing` without `customers:read`; the place of the first that there is not, and `not_found`.
pub fn all_named(tx: &mut Tx, actor: &Actor, ids: &[CompanyId]) -> Result<(), (usize, Error)> {
    if ids.is_empty() {
        return Ok(());
    }
    if !actor.holds(Scope::CustomersRead) {
        let detail = format!("naming a company needs the scope `{}`", Scope::CustomersRead);
        let refused = Error::problem(Code::ScopeMissing, detail).with("scope", Scope::CustomersRead.as_str());
        return Err((0, refused));
    }
    let known = store::by_ids(tx, ids).map_err(|error| (0, error))?;
    match ids.iter().position(|id| !known.iter().any(|company| company.id == *id)) {
        Some(place) => Err((place, unknown())),
        None => Ok(()),
    }
}

/// Up to so many companies that have this id, number or VAT number, or whose name begins so.
///
/// # Errors
/// What the database says.
pub fn looked_for(tx: &mut Tx, text: &str, limit: i64) -> Result<Vec<Company>> {
    if let Ok(id) = text.parse() {
        return Ok(store::read(tx, id)?.into_iter().collect());
    }
    let numbered = store::Filter { number: Some(text.to_owned()), ..store::Filter::default() };
    let mut found = store::page(tx, &numbered, None, limit)?;
    if let Ok(vat_id) = text.parse::<VatId>() {
        found.extend(store::with_vat_id(tx, &vat_id.to_string(), limit)?);
    }
    let name = fold(text);
    if found.is_empty() && !name.is_empty() && !text.contains('@') {
        let named = store::Filter { name: Some(name), ..store::Filter::default() };
        found = store::page(tx, &named, None, limit)?;
    }
    found.dedup_by_key(|company| company.id);
    Ok(found)
}

/// The company, where it is active: what was agreed with one that is not counts no more.
///
/// # Errors
/// What the database says.
pub fn active(tx: &mut Tx, id: CompanyId) -> Result<Option<CompanyId>> {
    Ok(store::read(tx, id)?.filter(|company| company.active).map(|company| company.id))
}

/// A company.
///
/// # Errors
/// What the database says.
pub fn get(tx: &mut Tx, id: CompanyId) -> Result<Option<Company>> {
    store::read(tx, id)
}

/// The companies with these numbers, by them, in one statement. Those that are not there are left out.
pub fn by_numbers(tx: &mut Tx, numbers: &[&str]) -> Result<BTreeMap<String, CompanyId>> {
    store::by_numbers(tx, numbers)
}

/// Makes a company.
///
/// # Errors
/// `duplicate` when the number is taken; `invalid_value`.
pub(super) fn create(
    tx: &mut Tx,
    by: (Instant, &Actor),
    (id, event): (CompanyId, EventId),
    new: &NewCompany,
) -> Result<Company> {
    let company = new.build(id, by.0)?;
    on_duplicate(store::insert(tx, &company), || {
        let detail = format!("there is a company with the number `{}` already", company.number);
        Error::problem(Code::Duplicate, detail).at("/number")
    })?;
    told::tell(tx, by, event, told::CREATED, &company)?;
    Ok(company)
}

/// Changes a company. `expected` is the version that the caller has seen. A change that changes nothing is none.
///
/// # Errors
/// `not_found`; `version_stale` when it has changed since; `invalid_value`.
pub(super) fn update(
    tx: &mut Tx,
    by: (Instant, &Actor),
    (id, event): (CompanyId, EventId),
    expected: Option<i64>,
    change: &CompanyChange,
) -> Result<Company> {
    let known = store::lock(tx, id)?.ok_or_else(unknown)?;
    if expected.is_some_and(|seen| seen != known.version) {
        return Err(Error::stale("company", known.version));
    }
    let mut changed = known.clone();
    change.apply(&mut changed)?;
    if changed == known {
        return Ok(known);
    }
    (changed.version, changed.updated_at) = (known.version + 1, by.0);
    if !store::update(tx, &changed)? {
        return Err(Error::overtaken("the company"));
    }
    told::tell(tx, by, event, told::UPDATED, &changed)?;
    Ok(changed)
}
