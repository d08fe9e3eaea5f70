//! Why a row is left out for its own sake. The mapping's `leave_out` rules add reasons of the shop's own.

/// Declares the table: defect, word, explanation.
macro_rules! defects {
    ($($name:ident, $word:literal, $text:literal;)*) => {
        /// A reason that no mapping can change: the row can not be read, or can not be carried.
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
        }
    };
}

defects! {
    EmptyRow, "empty_row", "The row holds nothing";
    WrongColumns, "wrong_columns", "The row has more or fewer columns than the heading";
    UnclosedQuote, "unclosed_quote", "A quote is not closed, so that several lines were read as one row";
    BadEncoding, "bad_encoding", "The row is not in the encoding that the mapping names";
    BadNumber, "bad_document_number", "The document's number is missing, too long or holds control characters";
    BadSku, "bad_sku", "The SKU is missing, too long or holds control characters";
    BadQuantity, "bad_quantity", "The quantity is not a whole number up to 1,000,000,000";
    ZeroQuantity, "zero_quantity", "The quantity is zero";
    BadPrice, "bad_price", "The price is not a number, or has more than four digits beyond the currency's";
    InexactPrice, "inexact_price", "No price of one piece gives the row's amount to the minor unit";
    TooLarge, "amount_too_large", "The amount is too large";
    BadDate, "bad_date", "The date does not follow the mapping's format";
    BadCustomer, "bad_customer", "The customer's number is too long or holds control characters";
    BadCurrency, "bad_currency", "The currency is not an ISO 4217 code";
    MixedCurrency, "mixed_currency", "The row's currency is not that of its document's first row";
    UnknownCountry, "unknown_country", "The country is not in the mapping, which names no default";
    NegativeQuantity, "negative_quantity", "A negative quantity without a price, in a document that is no cancellation";
    TooManyLines, "too_many_lines", "The document has more than 1,000 lines";
}

impl std::fmt::Display for Defect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
