//! One error type for the whole house, and one table of the codes that leave it.
//!
//! It knows no transport: [`Code::status`] is a number that `http` puts on the wire as RFC 9457 problem details.
//! What a caller can mend is a [`Problem`]; everything else says nothing about the inside.

use std::fmt;

/// Declares the table: code, word, status, title, what to do.
macro_rules! codes {
    ($($name:ident, $word:literal, $status:literal, $title:literal, $advice:literal;)*) => {
        /// A stable code: clients branch on its word, never on the text beside it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $title] $name,)* }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word that clients branch on.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $word),* } }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 { match self { $(Self::$name => $status),* } }

            /// The title: the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str { match self { $(Self::$name => $title),* } }

            /// What a caller does about it.
            #[must_use]
            pub const fn advice(self) -> &'static str { match self { $(Self::$name => $advice),* } }
        }
    };
}

codes! {
    // The request as such.
    BodyMalformed, "body_malformed", 400, "The body can not be read", "Send a document in UTF-8 of the type that Content-Type names.";
    BodyTooLarge, "body_too_large", 413, "The body is too large", "Send less at once; bulk routes take NDJSON in chunks.";
    MediaTypeUnsupported, "media_type_unsupported", 415, "The media type is not supported", "Send the body as the detail says.";
    ContentEncodingUnsupported, "content_encoding_unsupported", 415, "The content encoding is not supported", "Send the body as it is, without Content-Encoding.";
    UnknownField, "unknown_field", 422, "A field is not known", "Remove the field or correct its name.";
    MissingField, "missing_field", 422, "A field is missing", "Add the field that the pointer names.";
    InvalidValue, "invalid_value", 422, "A value is not allowed", "Correct the value that the pointer names.";
    InvalidQuery, "invalid_query", 400, "A query parameter is not allowed", "Correct the parameter that is named.";
    InvalidPath, "invalid_path", 404, "The path holds no valid id", "Use an id as the API gave it.";
    InvalidHeader, "invalid_header", 400, "A header is not allowed", "Correct the header that is named.";
    InvalidCursor, "invalid_cursor", 400, "The cursor is not valid", "Start again without a cursor, or use one as the API gave it.";
    RouteNotFound, "route_not_found", 404, "There is no such route", "See the OpenAPI documents at /docs.";
    MethodNotAllowed, "method_not_allowed", 405, "The route does not take this method", "See the OpenAPI documents at /docs.";
    RequestTimeout, "request_timeout", 408, "The request came too slowly", "Send it again.";
    RateLimited, "rate_limited", 429, "Too many requests", "Wait as long as Retry-After says.";
    Overloaded, "overloaded", 503, "The server has too much to do", "Wait as long as Retry-After says and try again.";
    OutcomeUnknown, "outcome_unknown", 503, "The connection to the database was lost while it was saving", "Send the same request again with the same Idempotency-Key.";
    Internal, "internal", 500, "Something went wrong on our side", "Try again; tell the operator the request id if it stays.";
    Unavailable, "unavailable", 503, "The service is not ready", "Try again shortly.";
    CarrierSilent, "carrier_silent", 503, "The carrier gave no answer", "Try again shortly; if it stays so, look at the carrier account.";

    // Who is asking.
    Unauthenticated, "unauthenticated", 401, "No valid credential was sent", "Send a valid token or key.";
    TokenExpired, "token_expired", 401, "The token has expired", "Get a new token.";
    ChannelKeyInvalid, "channel_key_invalid", 401, "The publishable key is not valid", "Send Channel-Key with a key of an active channel.";
    ScopeMissing, "scope_missing", 403, "The credential lacks a scope", "Use a credential that has the scope named in the detail.";
    CeilingExceeded, "ceiling_exceeded", 403, "The amount is above what this credential may move", "Ask somebody with a higher ceiling.";
    NotFound, "not_found", 404, "There is no such thing, or it is not yours", "Check the id and the credential.";

    // Doing it again, doing it at once.
    IdempotencyKeyReused, "idempotency_key_reused", 422, "The Idempotency-Key was used for another request", "Use a new key for a new request.";
    IdempotencyInProgress, "idempotency_in_progress", 409, "The first request with this Idempotency-Key is still running", "Wait as long as Retry-After says and send it again.";
    VersionStale, "version_stale", 412, "Somebody changed it meanwhile", "Read it again and repeat the change on the new version.";
    StateConflict, "state_conflict", 409, "Its state does not allow this", "Read it again: `actions` tells what is allowed now.";
    Duplicate, "duplicate", 409, "It exists already", "Use the existing one, or another key.";

    // Channels and catalogue.
    CurrencyNotSold, "currency_not_sold", 422, "The channel does not sell in this currency", "Use one of the currencies in /v1/store/config.";
    CountryNotServed, "country_not_served", 422, "The channel does not deliver to this country", "Use one of the countries in /v1/store/config.";
    LocaleNotServed, "locale_not_served", 422, "The channel does not speak this locale", "Use one of the locales in /v1/store/config.";
    SkuUnknown, "sku_unknown", 422, "There is no such SKU", "Use a SKU of the catalogue; they are case-sensitive.";
    GtinInvalid, "gtin_invalid", 422, "The GTIN's check digit is wrong", "Check the number; GTIN-8, 12, 13 and 14 are taken.";
    BundleInvalid, "bundle_invalid", 422, "No bundle can be made of this", "Name 1 to 50 different variants that are sold and are no bundles; what is a bundle stays one, what is none does not become one.";
    BundleWithoutStock, "bundle_without_stock", 422, "A bundle has no stock of its own", "Name the bundle's components instead.";
    LotRequired, "lot_required", 422, "The goods are tracked by lot", "Say of which lots all the pieces are, and how many of each.";
    SerialsRequired, "serials_required", 422, "The goods are tracked by serial number", "Put them into packages with one serial number for each piece.";
    ImportRowInvalid, "import_row_invalid", 422, "A row of the import is not valid", "Correct the row that is named and send it again.";

    // Carts and checkout.
    CartNotOpen, "cart_not_open", 409, "The cart can not be changed any more", "Start a new cart; a completed one names its order.";
    TooManyLines, "too_many_lines", 422, "The cart has too many lines", "Split it: a cart holds at most 1,000 lines.";
    TooManyDeliveries, "too_many_deliveries", 422, "The cart has too many deliveries", "Split it: a cart has at most 10 deliveries.";
    QuantityInvalid, "quantity_invalid", 422, "The quantity is not allowed", "Send a whole number from 1 to 1,000,000,000.";
    AmountOverflow, "amount_overflow", 422, "The amounts are too large to add up", "Order less at once.";
    PriceMissing, "price_missing", 422, "There is no price for this in the channel's currency", "Set a price, or remove the line.";
    TaxRateMissing, "tax_rate_missing", 422, "There is no tax rate for this", "Set a rate for the country and the tax class; 0 where no tax is due.";
    VatIdRefused, "vat_id_refused", 422, "The VAT number is not valid", "Check the number; leave it out where the customer is no business.";
    ShippingMethodUnavailable, "shipping_method_unavailable", 422, "The shipping method does not serve this cart", "Choose one of the cart's shipping-options.";
    PaymentMethodUnavailable, "payment_method_unavailable", 422, "The payment method is not available for this cart", "Choose one of the cart's payment-options.";
    ContractMinimum, "contract_minimum", 422, "The order is below the minimum of its contract", "Add goods until the minimum of the contract is reached.";
    CartIncomplete, "cart_incomplete", 422, "The cart is not ready to be ordered", "Mend what `problems` names and try again.";
    TotalChanged, "total_changed", 409, "The total is not the expected one", "Show the new total to the customer and send it as expected_total.";
    CheckoutDeclined, "checkout_declined", 422, "The order is not taken", "Order otherwise, or ask the shop: it does not say why.";
    OutOfStock, "out_of_stock", 409, "There is not enough in stock", "Lower the quantity or remove the line that is named.";
    ApprovalRequired, "approval_required", 409, "The order has to be approved first", "Ask for it: POST /v1/store/carts/{id}/approval-requests.";
    ApprovalNotYours, "approval_not_yours", 403, "Somebody else has to approve this", "Ask an approver or an admin of the company who has not ordered it.";
    CompanyRoleMissing, "company_role_missing", 403, "This is for others of the company", "Ask an approver or an admin of the company.";
    SecondPersonNeeded, "second_person_needed", 409, "A second person has to approve this", "Do less at once, or by the command of the API that waits for a second person.";
    CountersignNotYours, "countersign_not_yours", 409, "Somebody else has to decide this", "Ask a second person with the scope of the command: nobody decides what they have asked for themselves.";
    CartMergeForeign, "cart_merge_foreign", 422, "These carts can not be merged", "Merge carts of one channel and currency, both of which are yours.";

    // Promotions and coupons.
    CouponUnknown, "coupon_unknown", 422, "There is no such coupon", "Check the code; case, dashes and blanks do not matter.";
    CouponMistyped, "coupon_mistyped", 422, "The coupon code was mistyped", "Compare it with the code that was given, character by character: one is wrong, or two have changed places.";
    CouponRefused, "coupon_refused", 422, "The coupon can not be used", "Use another: the detail tells why.";
    PromotionExhausted, "promotion_exhausted", 409, "A promotion of the cart is used up", "Begin the checkout again, or change the cart, and show the new total to the customer.";
    PromotionWarnings, "promotion_warnings", 409, "There is something to know before the promotion is activated", "Look at `warnings`; activate with `despite_warnings` when they are meant.";
    GiftCardUnknown, "gift_card_unknown", 422, "There is no such gift card", "Check the code; case, dashes and blanks do not matter.";
    GiftCardRefused, "gift_card_refused", 422, "The gift card or store credit can not be used", "Pay otherwise: the detail tells why.";
    StoredValueShort, "stored_value_short", 409, "There is less on a gift card or store credit than is asked for", "Change the cart to see what is left to pay, and show it to the customer.";
    PaymentMissing, "payment_missing", 422, "It is not said how the rest is paid", "Send `payment`: gift cards and store credit do not pay all of it.";
    CreditExceeded, "credit_exceeded", 409, "The company's credit does not reach", "Pay otherwise, order less, or have the limit raised.";
    LimitBelowUse, "limit_below_use", 422, "More is taken already than the limit allows", "Set a limit of at least what is taken, or pause the promotion.";

    // Orders, payments, fulfilment.
    QuantityExceeded, "quantity_exceeded", 409, "The quantity is more than is left", "Read the order again and use at most what is left.";
    AlreadyClaimed, "already_claimed", 409, "These pieces were claimed before", "See the order's claims: a piece is made good once. What was sent again is another parcel.";
    GiftReturnRefused, "gift_return_refused", 409, "The shop takes no presents back", "Ask the shop: staff can approve it, and `gifts` of the channel's return policy allows it.";
    ReferenceAmbiguous, "reference_ambiguous", 409, "The reference stands for several orders", "Put the system's name before it (`sap:4711`), or use the `id` of one of `candidates`.";
    LineUnknown, "line_unknown", 422, "The order has no such line", "Use a line_no of the order.";
    WarrantyExpired, "warranty_expired", 409, "The warranty has ended", "`ends_at` tells when. Decide it as a matter of goodwill, by a return request.";
    RefundExceeded, "refund_exceeded", 409, "The refund is more than was captured", "Refund at most what is left of the captured amount.";
    DisputeExceeded, "dispute_exceeded", 409, "The dispute is about more than is left of the payment", "Name at most what was captured and is neither given back nor disputed.";
    PaymentIndivisible, "payment_indivisible", 409, "The promise of a payment can not be divided", "Capture it first, by shipping what can leave; or amend the order, and order the rest anew.";
    PaymentNotCapturable, "payment_not_capturable", 409, "The payment can not be captured", "See the payment's state.";
    ProviderUnknown, "provider_unknown", 422, "There is no such payment provider", "Use one of the payment methods in /v1/store/config.";
    WebhookSignatureInvalid, "webhook_signature_invalid", 401, "The signature of the notification is wrong", "Sign with the provider's current secret.";
    HistoryInFuture, "history_in_future", 422, "occurred_at lies in the future", "Send a time in the past, or leave it out.";
    HistoryBeforeAnnouncement, "history_before_announcement", 422, "The time lies before the shipment was announced", "Send a time from `created_at` of the inbound shipment on, or leave it out.";
    HistoryBeforeOrder, "history_before_order", 422, "The time lies before the order", "Send a time from `placed_at` of the order on, or leave it out.";
    WithdrawalPeriodOver, "withdrawal_period_over", 409, "The period for a withdrawal is over", "Ask for a return instead: the shop's own terms may allow more.";
    WithdrawalExempt, "withdrawal_exempt", 409, "Nobody can withdraw from this", "See `exempt`: it says of each line why the law leaves it out.";

    InvoicingMissing, "invoicing_missing", 422, "No invoices can be written yet", "Set `invoicing` of the legal entity first; test channels have none.";

    // Stock.
    CompareFailed, "compare_failed", 409, "It is not what was expected", "Look at it again, and repeat the change with what there is now.";
    StockNegative, "stock_negative", 409, "The level would fall below zero", "Adjust by at most what is on hand.";
    LocationInactive, "location_inactive", 422, "The location is switched off", "Switch it on, or use another.";
    NotCapable, "not_capable", 409, "No location can handle these goods", "Give a location that serves the order the `capabilities` that are named as `missing`, or take other goods.";

    // Feeds, connectors, jobs.
    InvoiceRedacted, "invoice_redacted", 410, "What is personal was taken out of the document", "It did not have to be kept any more: `redacted_at`. `GET /v1/ops/invoices/{id}` tells its number, days, sums and tax.";
    CursorExpired, "cursor_expired", 410, "The cursor is older than the events that are kept", "Load a snapshot and go on from its position.";
    LogEpochChanged, "log_epoch_changed", 409, "The event log was restored from a backup since this cursor was given", "Load a snapshot and go on from its position.";
    StreamParked, "stream_parked", 409, "An earlier event of this stream was set aside", "Replay or skip the event that was set aside first.";
    LeaseLost, "lease_lost", 409, "The lease has passed to somebody else", "Poll again and acknowledge what that answer holds.";
    AdapterUnknown, "adapter_unknown", 422, "There is no such adapter", "Use one that /v1/ops/adapters lists.";
    SettingsInvalid, "settings_invalid", 422, "The settings do not fit the adapter", "See the adapter's settings schema.";
    MappingInvalid, "mapping_invalid", 422, "The mapping can not be read", "Correct the place that the pointer names; see docs/connectors/mapping.md.";
    MappingFailed, "mapping_failed", 422, "A document can not be written by the mapping", "Add what is missing to the order's data or to the connector's mapping, and replay.";
    ResyncRunning, "resync_running", 409, "A run over this connector's far end is at work", "Wait until it has ended; `GET /v1/ops/connectors/{id}/resyncs` and `…/reconciliations` tell how far it is.";
    FarEndNotSearchable, "far_end_not_searchable", 422, "The far end can not be searched", "Send everything again with `mode` `force`; only adapters with the capability `order_search` can look for what is there.";
    AddressForbidden, "address_forbidden", 422, "The address is private and not allowed", "Use a public https address, or allow private ones for this connector.";
    JobNotDead, "job_not_dead", 409, "The job has not failed for good", "Only dead jobs are replayed.";
}

/// A 4xx: what is wrong with the request, where, and what to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    /// What is wrong in this case.
    pub detail: String,
    /// JSON pointer (RFC 6901) to the field, or the name of the parameter or header.
    pub pointer: Option<String>,
    /// More members of the problem document, such as `version` or `available`.
    pub extra: serde_json::Map<String, serde_json::Value>,
    /// Seconds after which another try makes sense.
    pub retry_after: Option<u32>,
}

/// Whatever can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller can mend it.
    #[error("{}: {}", .0.code.as_str(), .0.detail)]
    Problem(Box<Problem>),
    /// The database refused or failed.
    #[error("database: {0}")]
    Database(#[from] diesel::result::Error),
    /// A COMMIT whose connection died: it may or may not have been saved.
    #[error("the outcome of a commit is unknown: {0}")]
    CommitUnknown(String),
    /// The database does not let anybody in: nothing was changed.
    #[error("{0}")]
    Unreachable(String),
    /// A defect of ours, or of the machine.
    #[error("{0}")]
    Internal(String),
}

/// The house's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A problem with a code and what is wrong in this case.
    pub fn problem(code: Code, detail: impl Into<String>) -> Self {
        Self::Problem(Box::new(Problem {
            code,
            detail: detail.into(),
            pointer: None,
            extra: serde_json::Map::new(),
            retry_after: None,
        }))
    }

    /// A value of the body that is not allowed.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::problem(Code::InvalidValue, detail).at(pointer)
    }

    /// Something that is not there, or not the actor's. `what` names its kind: "order".
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::problem(Code::NotFound, format!("there is no such {what}"))
    }

    /// A state that does not allow the command.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::problem(Code::StateConflict, detail)
    }

    /// A defect of ours; the text goes to the log, never to the caller.
    pub fn internal(text: impl fmt::Display) -> Self {
        Self::Internal(text.to_string())
    }

    /// The same with a JSON pointer to the field.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        if let Self::Problem(problem) = &mut self {
            problem.pointer = Some(pointer.into());
        }
        self
    }

    /// The same with one more member in the problem document.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<serde_json::Value>) -> Self {
        if let Self::Problem(problem) = &mut self {
            problem.extra.insert(member.to_owned(), value.into());
        }
        self
    }

    /// The same with a `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        if let Self::Problem(problem) = &mut self {
            problem.retry_after = Some(seconds);
        }
        self
    }

    /// The code that leaves the house.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Problem(problem) => problem.code,
            Self::CommitUnknown(_) => Code::OutcomeUnknown,
            Self::Unreachable(_) => Code::Unavailable,
            Self::Database(_) | Self::Internal(_) => Code::Internal,
        }
    }

    /// Whether a UNIQUE constraint refused the write.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        use diesel::result::{DatabaseErrorKind::UniqueViolation, Error::DatabaseError};
        matches!(self, Self::Database(DatabaseError(UniqueViolation, _)))
    }

    /// Somebody has seen another version than the current one, which it tells.
    #[must_use]
    pub fn stale(what: &str, version: i64) -> Self {
        Self::problem(Code::VersionStale, format!("the {what} is at version {version}")).with("version", version)
    }

    /// What was read has changed before it could be relied on: the whole transaction is run again by
    /// [`crate::db::Db`], with a fresh look.
    #[must_use]
    pub fn overtaken(what: &str) -> Self {
        use diesel::result::{DatabaseErrorKind::SerializationFailure, Error::DatabaseError};
        Self::Database(DatabaseError(SerializationFailure, Box::new(format!("{what} has moved meanwhile"))))
    }

    /// Whether it is [`Error::overtaken`], or a serialisation failure that the database itself has found.
    #[must_use]
    pub fn is_overtaken(&self) -> bool {
        use diesel::result::{DatabaseErrorKind::SerializationFailure, Error::DatabaseError};
        matches!(self, Self::Database(DatabaseError(SerializationFailure, _)))
    }

    /// Whether a CHECK constraint refused the write.
    #[must_use]
    pub fn is_check_violation(&self) -> bool {
        use diesel::result::{DatabaseErrorKind::CheckViolation, Error::DatabaseError};
        matches!(self, Self::Database(DatabaseError(CheckViolation, _)))
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(format!("json: {error}"))
    }
}

/// Turns a UNIQUE violation into a problem, and leaves every other error alone.
///
/// # Errors
/// The given error, or the problem in its place.
pub fn on_duplicate<T>(result: Result<T>, problem: impl FnOnce() -> Error) -> Result<T> {
    result.map_err(|error| if error.is_unique_violation() { problem() } else { error })
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn words_are_unique_and_statuses_are_errors() {
        let mut words: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        words.sort_unstable();
        let count = words.len();
        words.dedup();
        assert_eq!(count, words.len());
        assert!(Code::ALL.iter().all(|code| (400..600).contains(&code.status()) && !code.advice().is_empty()));
    }
}
