//! What one row of a file says.

use rust_decimal::Decimal;

use super::reason::Defect;
use crate::kernel::{
    Currency, Instant, UnitPrice,
    text::{Email, Sku, Text},
};

/// A document's number: an order's, an invoice's, a credit note's.
pub type Number = Text<100>;
/// A customer's number or name in the other shop.
pub type CustomerNumber = Text<100>;

/// Who lives at the address, as far as the file knows; each text as long as an address takes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// The name.
    pub name: Option<String>,
    /// The company.
    pub company: Option<String>,
    /// Street and number.
    pub street: Option<String>,
    /// The postcode.
    pub postcode: Option<String>,
    /// The town or city.
    pub city: Option<String>,
    /// State, province or county.
    pub region: Option<String>,
    /// The phone number.
    pub phone: Option<String>,
}

/// One row, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The line of the file on which it begins; the heading is line 1.
    pub line: u64,
    /// The document.
    pub number: Number,
    /// The document's kind.
    pub kind: Option<String>,
    /// How far the order has come.
    pub status: Option<String>,
    /// The order that a cancellation takes back, by its number in the file.
    pub original: Option<Number>,
    /// The SKU, in the case the mapping says.
    pub sku: Sku,
    /// The article's name.
    pub description: Option<String>,
    /// The tax class, as the file has it.
    pub tax_class: Option<String>,
    /// Pieces, with the file's sign.
    pub quantity: i64,
    /// The price of one piece, with the file's sign.
    pub price: UnitPrice,
    /// Price × quantity in minor units, rounded as the mapping says, with the sign of the product.
    pub amount: i64,
    /// The same, not rounded; the file's own figure, where it states the amount.
    pub exact: Decimal,
    /// Shipping of the whole order, in minor units.
    pub order_shipping: i64,
    /// What was taken off the whole order, in minor units, never negative.
    pub order_discount: i64,
    /// The currency.
    pub currency: Currency,
    /// When.
    pub at: Instant,
    /// The clock showed that time never or twice on that day.
    pub odd_time: bool,
    /// The customer; none is a guest.
    pub customer: Option<CustomerNumber>,
    /// The country, as the file has it.
    pub country: Option<String>,
    /// The customer's e-mail address.
    pub email: Option<Email>,
    /// There is something in the e-mail column, but no address.
    pub bad_email: bool,
    /// Who lives at the address.
    pub person: Option<Box<Person>>,
}

/// A row that can not be carried over, with as much as could be read of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// The line of the file on which it begins.
    pub line: u64,
    /// What is wrong.
    pub defect: Defect,
    /// The value that is wrong, as an example for the report.
    pub example: String,
    /// The document, when its number can be read.
    pub number: Option<Number>,
    /// The currency: the mapping's, when the row's can not be read.
    pub currency: Currency,
    /// Pieces; 0 when they can not be read.
    pub quantity: i64,
    /// The amount in minor units; 0 when it can not be read.
    pub amount: i64,
}

/// A row of the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Read.
    Row(Box<Row>),
    /// Not carried over.
    Rejected(Rejected),
}
