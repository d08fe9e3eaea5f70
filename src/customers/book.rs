//! Postal addresses, and a customer's book of them.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::{Country, ids::AddressId, text::Text},
};

/// A postal address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Ada Lovelace", "street1": "Unter den Linden 1", "postcode": "10117", "city": "Berlin", "country": "DE"}))]
pub struct Address {
    /// Who lives or works there.
    pub name: Text<200>,
    /// Their company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub company: Option<Text<200>>,
    /// Street and number.
    pub street1: Text<200>,
    /// Floor, entrance, care of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub street2: Option<Text<200>>,
    /// Postcode.
    pub postcode: Text<20>,
    /// Town or city.
    pub city: Text<100>,
    /// State, province or county.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub region: Option<Text<100>>,
    /// Country.
    pub country: Country,
    /// For the carrier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 40)]
    pub phone: Option<Text<40>>,
}

/// An address in a customer's book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BookEntry {
    /// Its id.
    pub id: AddressId,
    /// The address.
    pub address: Address,
    /// Whether goods go there unless told otherwise. At most one does.
    pub default_shipping: bool,
    /// Whether invoices do. At most one does.
    pub default_billing: bool,
}

/// An address about to be added.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "address": {"name": "Ada Lovelace", "street1": "Invalidenstr. 117", "postcode": "10115", "city": "Berlin", "country": "DE"}
}))]
pub struct NewBookEntry {
    /// The address.
    pub address: Address,
    /// Whether goods go there unless told otherwise; the first one does anyway.
    #[serde(default)]
    pub default_shipping: bool,
    /// Whether invoices do; the first one does anyway.
    #[serde(default)]
    pub default_billing: bool,
}

/// What can be changed about an address in the book; what is absent stays.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"default_shipping": true}))]
pub struct BookChange {
    /// The address, whole.
    pub address: Option<Address>,
    /// Whether goods go there unless told otherwise.
    pub default_shipping: Option<bool>,
    /// Whether invoices do.
    pub default_billing: Option<bool>,
}

/// The most addresses of one customer.
const MOST_ADDRESSES: usize = 100;

/// Adds an address; what it is the default for, no other is.
///
/// # Errors
/// `invalid_value` when the book is full.
pub(super) fn add(book: &mut Vec<BookEntry>, id: AddressId, new: &NewBookEntry) -> Result<()> {
    if book.len() >= MOST_ADDRESSES {
        return Err(Error::invalid("/address", format!("a customer has at most {MOST_ADDRESSES} addresses")));
    }
    let first = book.is_empty();
    let (default_shipping, default_billing) = (new.default_shipping || first, new.default_billing || first);
    book.push(BookEntry { id, address: new.address.clone(), default_shipping, default_billing });
    only_default(book, id);
    Ok(())
}

/// Changes an address.
///
/// # Errors
/// `not_found`.
pub(super) fn change(book: &mut [BookEntry], id: AddressId, change: &BookChange) -> Result<()> {
    let entry = book.iter_mut().find(|entry| entry.id == id).ok_or_else(|| Error::not_found("address"))?;
    if let Some(address) = &change.address {
        entry.address.clone_from(address);
    }
    entry.default_shipping = change.default_shipping.unwrap_or(entry.default_shipping);
    entry.default_billing = change.default_billing.unwrap_or(entry.default_billing);
    only_default(book, id);
    Ok(())
}

/// Removes an address.
///
/// # Errors
/// `not_found`.
pub(super) fn remove(book: &mut Vec<BookEntry>, id: AddressId) -> Result<()> {
    let before = book.len();
    book.retain(|entry| entry.id != id);
    if book.len() == before { Err(Error::not_found("address")) } else { Ok(()) }
}

/// Puts an import's address in the place of the default billing address.
///
/// # Errors
/// `invalid_value` when the book is full.
pub(super) fn replace_main(book: &mut Vec<BookEntry>, fresh: AddressId, address: &Address) -> Result<()> {
    if let Some(entry) = book.iter_mut().find(|entry| entry.default_billing) {
        entry.address.clone_from(address);
        return Ok(());
    }
    let default_shipping = !book.iter().any(|entry| entry.default_shipping);
    add(book, fresh, &NewBookEntry { address: address.clone(), default_shipping, default_billing: true })
}

/// Takes from all others what this address has become the default for.
fn only_default(book: &mut [BookEntry], id: AddressId) {
    let Some((shipping, billing)) =
        book.iter().find(|entry| entry.id == id).map(|entry| (entry.default_shipping, entry.default_billing))
    else {
        return;
    };
    for other in book.iter_mut().filter(|entry| entry.id != id) {
        other.default_shipping &= !shipping;
        other.default_billing &= !billing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(city: &str) -> Address {
        let text = format!(r#"{{"name":"Ada","street1":"Lane 1","postcode":"10117","city":"{city}","country":"DE"}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn one_address_is_the_default() {
        let (mut book, ids) = (Vec::new(), [AddressId::new(), AddressId::new(), AddressId::new()]);
        for (id, default_shipping) in ids.into_iter().zip([false, true, false]) {
            add(&mut book, id, &NewBookEntry { address: address("Berlin"), default_shipping, default_billing: false })
                .unwrap();
        }
        let defaults = |book: &[BookEntry]| {
            let place =
                |f: fn(&BookEntry) -> bool| book.iter().filter(|entry| f(entry)).map(|e| e.id).collect::<Vec<_>>();
            (place(|entry| entry.default_shipping), place(|entry| entry.default_billing))
        };
        assert_eq!(defaults(&book), (vec![ids[1]], vec![ids[0]]));
        let to_last = BookChange { address: None, default_shipping: None, default_billing: Some(true) };
        change(&mut book, ids[2], &to_last).unwrap();
        assert_eq!(defaults(&book), (vec![ids[1]], vec![ids[2]]));
        replace_main(&mut book, AddressId::new(), &address("Bonn")).unwrap();
        assert_eq!((book.len(), &*book[2].address.city), (3, "Bonn"));
        remove(&mut book, ids[2]).unwrap();
        assert!(remove(&mut book, ids[2]).is_err());
        replace_main(&mut book, AddressId::new(), &address("Köln")).unwrap();
        assert_eq!(book.len(), 3);
    }

    #[test]
    fn an_address_survives_its_document() {
        let berlin = address("Berlin");
        let document = serde_json::to_string(&berlin).unwrap();
        assert_eq!(serde_json::from_str::<Address>(&document).unwrap(), berlin);
        assert!(!document.contains("company"));
    }
}
