//! Why a row is left out for its own sake. The mapping's `leave_out` rules add reasons of the shop's own.

/// Declares the table: defect, word, explanation, and which keys of the mapping may be wrong.
macro_rules! defects {
    ($($name:ident, $word:literal, $text:literal, $keys:literal;)*) => {
        /// A reason that no rule of the mapping gives: the row can not be read, or can not be carried.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Defect { $(#[doc = $text] $name,)* }

        impl Defect {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word in reports.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $word),* } }

            /// What it means.
            #[must_use]
            pub const fn text(self) -> &'static str { match self { $(Self::$name => $text),* } }

            /// The keys of the mapping to look at when many rows have it; empty where it is the file's fault alone.
            #[must_use]
            pub const fn keys(self) -> &'static str { match self { $(Self::$name => $keys),* } }
        }
    };
}

defects! {
    EmptyRow, "empty_row", "The row holds nothing", "";
    WrongColumns, "wrong_columns", "The row has more or fewer columns than the heading", "`file.delimiter`, `file.quote`";
    UnclosedQuote, "unclosed_quote", "A quote is not closed, so that several lines were read as one row", "`file.quote` (\"\" for none)";
    BadEncoding, "bad_encoding", "The row is not in the encoding that the mapping names", "`file.encoding`";
    BadNumber, "bad_document_number", "The document's number is missing, too long or holds control characters",
        "`columns.number`; `file.fill_down`, where it stands on the first row of a document only";
    BadSku, "bad_sku", "The SKU is missing, too long or holds control characters", "`columns.sku`; or a `leave_out` rule";
    BadQuantity, "bad_quantity", "The quantity is not a whole number up to 1,000,000,000", "`columns.quantity`, `file.decimal_comma`";
    ZeroQuantity, "zero_quantity", "The quantity is zero", "a `leave_out` rule with `quantity = \"zero\"` gives it a name";
    BadPrice, "bad_price", "The price or amount is not a number",
        "`columns.unit_price` or `columns.line_amount`, `file.decimal_comma`";
    BadDiscount, "bad_discount", "The discount is not a number, or takes more than there is",
        "`columns.line_discount`, `columns.line_discount_percent`, `columns.order_discount`";
    BadShipping, "bad_shipping", "The order's shipping is not a number", "`columns.order_shipping`";
    InexactPrice, "inexact_price", "No price of one piece gives the row's amount to the minor unit", "`rounding`, `currency`";
    TooLarge, "amount_too_large", "The amount is too large", "`file.decimal_comma`, `currency`";
    BadDate, "bad_date", "The date does not follow the mapping's format", "`date.format`, `columns.date`, `columns.time`";
    BadCustomer, "bad_customer", "The customer's number is too long or holds control characters", "`columns.customer`";
    BadOriginal, "bad_original", "The number of the original order is too long or holds control characters", "`columns.original`";
    BadCurrency, "bad_currency", "The currency is not an ISO 4217 code", "`columns.currency`, `currency`";
    MixedCurrency, "mixed_currency", "The row's currency is not that of its document's first row", "`columns.currency`, `columns.number`, `numbers_restart`";
    UnknownCountry, "unknown_country", "The country is not in the mapping, which names no default", "`countries.names`, `countries.default`";
    NegativeQuantity, "negative_quantity", "A negative quantity without a price, in a document that is no cancellation",
        "`cancellation`; or a `leave_out` rule";
    TooManyLines, "too_many_lines", "The document has more than 1,000 lines", "`columns.number`, `numbers_restart`";
}

impl std::fmt::Display for Defect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
