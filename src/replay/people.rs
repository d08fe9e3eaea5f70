//! The file's customers: made in Kontor before their orders, so that the orders are theirs.

use std::collections::{BTreeSet, HashMap};

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Customer, CustomerNumber, Document, Person, Plan,
    remote::{Remote, escaped},
    setup::Shop,
};
use crate::{
    error::{Error, Result},
    kernel::{Country, ids::CustomerId},
};

/// How long a customer number may be.
const LONGEST: usize = 50;
/// How many customers are sent at once.
const ROWS: usize = 10_000;

/// Kontor's ids of customers, by the file's numbers.
pub(super) type Ids = HashMap<CustomerNumber, CustomerId>;

/// Finds the customers of documents, and makes those that are missing. Those that are there are left as they are: people
/// may have changed them since.
pub(super) async fn customers(
    remote: &Remote,
    plan: &Plan,
    documents: &[Document],
    shop: &Shop,
    parallel: usize,
) -> Result<Ids> {
    let wanted: BTreeSet<&CustomerNumber> =
        documents.iter().filter_map(|document| document.head().customer.as_ref()).collect();
    let mut wanted: Vec<&Customer> = wanted.into_iter().filter_map(|number| plan.customers.get(number)).collect();
    let mut ids = found(remote, &wanted, shop, parallel).await?;
    wanted.retain(|customer| !ids.contains_key(&customer.number));
    let rows: Vec<Value> = wanted.iter().map(|customer| row(customer, shop)).collect();
    for some in rows.chunks(ROWS) {
        remote.rows("/v1/integration/customers", some).await?;
    }
    ids.extend(found(remote, &wanted, shop, parallel).await?);
    match wanted.iter().find(|customer| !ids.contains_key(&customer.number)) {
        None => Ok(ids),
        Some(customer) => Err(Error::internal(format!("the customer {} was made and is not found", customer.number))),
    }
}

async fn found(remote: &Remote, wanted: &[&Customer], shop: &Shop, parallel: usize) -> Result<Ids> {
    /// What is read of a list of customers.
    #[derive(serde::Deserialize)]
    struct Page {
        items: Vec<Item>,
    }
    #[derive(serde::Deserialize)]
    struct Item {
        id: CustomerId,
    }
    let look_up = |customer: &Customer| {
        let (number, path) =
            (customer.number.clone(), format!("/v1/ops/customers?number={}", escaped(&name(shop, &customer.number))));
        async move {
            let page: Page = remote.get(&path).await?.read()?;
            Ok::<_, Error>(page.items.first().map(|item| (number, item.id)))
        }
    };
    let look_ups = wanted.iter().map(|customer| look_up(customer));
    let pairs: Vec<_> = stream::iter(look_ups).buffer_unordered(parallel.max(1)).try_collect().await?;
    Ok(pairs.into_iter().flatten().collect())
}

/// The number that a customer of the file has in Kontor: with the channel's code in front, so that two shops' customers do
/// not meet; of what is too long, the beginning and a hash.
fn name(shop: &Shop, number: &CustomerNumber) -> String {
    let whole = format!("{}:{}", shop.code, &**number);
    if whole.chars().count() <= LONGEST {
        return whole;
    }
    let hash: String = Sha256::digest(&whole).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{}~{hash}", whole.chars().take(LONGEST - 17).collect::<String>())
}

fn row(customer: &Customer, shop: &Shop) -> Value {
    let person = customer.person.as_deref();
    let name_of = person.and_then(|person| person.name.clone());
    let mut row = json!({
        "number": name(shop, &customer.number),
        "name": name_of.unwrap_or_else(|| format!("Customer {}", &*customer.number)),
    });
    if let Value::Object(row) = &mut row {
        row.extend(customer.email.as_ref().map(|email| ("email".to_owned(), json!(email))));
        row.extend(person.and_then(|person| person.phone.as_ref()).map(|phone| ("phone".to_owned(), json!(phone))));
        // A book of addresses holds what a parcel can be sent to.
        let whole =
            person.filter(|person| person.street.is_some() && person.postcode.is_some() && person.city.is_some());
        let address = whole.map(|person| address(Some(person), "", customer.country));
        row.extend(address.map(|address| ("address".to_owned(), address)));
    }
    row
}

/// An address as Kontor takes it. What the file does not know is said to be not known.
pub(super) fn address(person: Option<&Person>, otherwise: &str, country: Country) -> Value {
    let of = |field: fn(&Person) -> &Option<String>| person.and_then(|person| field(person).clone());
    let or = |text: Option<String>, otherwise: &str| text.unwrap_or_else(|| otherwise.to_owned());
    let name = of(|person| &person.name).or_else(|| of(|person| &person.company));
    let mut address = json!({
        "name": or(name, if otherwise.is_empty() { "-" } else { otherwise }),
        "street1": or(of(|person| &person.street), "not known"),
        "postcode": or(of(|person| &person.postcode), "-"),
        "city": or(of(|person| &person.city), "not known"),
        "country": country,
    });
    if let Value::Object(address) = &mut address {
        let more = [
            ("company", of(|person| &person.company)),
            ("region", of(|person| &person.region)),
            ("phone", of(|person| &person.phone)),
        ];
        address.extend(more.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text?)))));
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_of_two_shops_do_not_meet_and_long_numbers_stay_apart() {
        let shop = |code: &str| Shop {
            channel: String::new(),
            code: code.to_owned(),
            returns_to: code.to_owned(),
            used: false,
            prices_include_tax: true,
            taxed_on_top: false,
        };
        let named = |code: &str, number: &str| name(&shop(code), &CustomerNumber::new(number).unwrap());
        assert_eq!(named("laden", "77"), "laden:77");
        let (one, other) = (format!("{}1", "x".repeat(90)), format!("{}2", "x".repeat(90)));
        assert_eq!(named("laden", &one).chars().count(), LONGEST);
        assert_ne!(named("laden", &one), named("laden", &other));
        assert_ne!(named("a", &one), named("b", &one));
    }
}
