//! Typed ids in the TypeID format (`order_01h455vb4pex5vsknk084sn02q`): a prefix that names the kind and a
//! UUIDv7 in Crockford base32, as the TypeID specification 0.3 describes it.
//!
//! `Id<Order>` and `Id<Cart>` are different types, so one can not be passed where the other is meant.

use std::{cmp::Ordering, fmt, hash::Hash, hash::Hasher, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// What an id identifies; gives the prefix of its text form.
pub trait Kind: 'static {
    /// The part before the underscore, lower-case ASCII letters and underscores.
    const PREFIX: &'static str;
}

/// An id of one kind of thing. 128 bits; ordered by time of creation.
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

/// Declares the marker types that stand for the kinds of things Kontor knows.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident, $alias:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}
        impl Kind for $name { const PREFIX: &'static str = $prefix; }
        #[doc = concat!("The id of a `", $prefix, "`.")]
        pub type $alias = Id<$name>;
    )*};
}

kinds! {
    /// A legal entity: who invoices.
    LegalEntity, LegalEntityId = "le";
    /// A sales channel.
    Channel, ChannelId = "chan";
    /// A publishable key or an API key.
    Credential, CredentialId = "key";
    /// A variant: what is sold.
    Variant, VariantId = "var";
    /// A customer.
    Customer, CustomerId = "cust";
    /// A company that customers buy for.
    Company, CompanyId = "company";
    /// A wish to have an order approved.
    ApprovalRequest, ApprovalRequestId = "apr";
    /// An order that staff prepare.
    Draft, DraftId = "draft";
    /// A named list of what is ordered again.
    OrderTemplate, OrderTemplateId = "otpl";
    /// What is ordered again and again.
    Recurring, RecurringId = "rec";
    /// A quote.
    Quote, QuoteId = "quote";
    /// A change of what a company owes on account.
    CreditEntry, CreditEntryId = "centry";
    /// A postal address in a customer's book.
    Address, AddressId = "addr";
    /// Somebody who waits for goods to come back.
    BackInStock, BackInStockId = "bis";
    /// A price list.
    PriceList, PriceListId = "plist";
    /// A change of a price.
    PriceChange, PriceChangeId = "pchg";
    /// A rule that proposes prices.
    PriceRule, PriceRuleId = "prule";
    /// A price that a rule proposes.
    PriceProposal, PriceProposalId = "pprop";
    /// A promotion.
    Promotion, PromotionId = "promo";
    /// A batch of coupon codes.
    CouponBatch, CouponBatchId = "cbatch";
    /// A tax rate.
    TaxRate, TaxRateId = "tax";
    /// A shipping method.
    ShippingMethod, ShippingMethodId = "ship";
    /// A stock location.
    Location, LocationId = "loc";
    /// A version of a sourcing profile.
    SourcingProfile, SourcingProfileId = "sprof";
    /// A stock movement.
    Movement, MovementId = "mov";
    /// A lot of goods.
    Lot, LotId = "lot";
    /// A stock reservation.
    Reservation, ReservationId = "res";
    /// A cart.
    Cart, CartId = "cart";
    /// A line of a cart.
    CartLine, CartLineId = "line";
    /// A payment.
    Payment, PaymentId = "pay";
    /// A capture, void or refund of a payment.
    PaymentOperation, PaymentOperationId = "payop";
    /// A dispute (chargeback) of a payment.
    Dispute, DisputeId = "dispute";
    /// What staff have given back of an order.
    Refund, RefundId = "refund";
    /// Money that is to go onto a stored value once a bank has given it back.
    AwaitedRefund, AwaitedRefundId = "aref";
    /// A gift card, or a customer's store credit.
    StoredValue, StoredValueId = "value";
    /// A change of a stored value.
    StoredValueEntry, StoredValueEntryId = "ventry";
    /// An order.
    Order, OrderId = "order";
    /// A change of a placed order.
    Amendment, AmendmentId = "amend";
    /// A note on an order.
    OrderNote, OrderNoteId = "onote";
    /// A document that belongs to an order.
    OrderAttachment, OrderAttachmentId = "oatt";
    /// Something that is done to many orders.
    BulkJob, BulkJobId = "bulk";
    /// What a second person has to approve.
    CountersignRequest, CountersignRequestId = "csign";
    /// What somebody is asked to pay for a placed order, by a link.
    PaymentRequest, PaymentRequestId = "preq";
    /// An entry of an order's money ledger.
    LedgerEntry, LedgerEntryId = "ledg";
    /// A return (RMA).
    Return, ReturnId = "ret";
    /// A request to send goods back (RMA).
    ReturnRequest, ReturnRequestId = "rma";
    /// A declaration that somebody withdraws from an order.
    Withdrawal, WithdrawalId = "wdr";
    /// A product that its owner has registered.
    Registration, RegistrationId = "preg";
    /// That lines of an order are presents.
    GiftReceipt, GiftReceiptId = "grcpt";
    /// A claim that pieces of an order are lost, damaged, wrong or missing.
    OrderClaim, OrderClaimId = "claim";
    /// A recorded invoice or credit note.
    Invoice, InvoiceId = "inv";
    /// An invoice or credit note of ours.
    Bill, BillId = "bill";
    /// A fulfilment order.
    FulfilmentOrder, FulfilmentOrderId = "fo";
    /// A hold of a fulfilment order.
    Hold, HoldId = "hold";
    /// What was found of the risk of a checkout.
    RiskAssessment, RiskAssessmentId = "risk";
    /// An entry of a list of whom to allow or to block.
    RiskEntry, RiskEntryId = "rlist";
    /// A decision about a step of an order's process.
    ProcessDecision, ProcessDecisionId = "pdec";
    /// An order to a supplier.
    PurchaseOrder, PurchaseOrderId = "po";
    /// A shipment that is expected at a location.
    InboundShipment, InboundShipmentId = "inb";
    /// Goods of an inbound shipment that go to a fulfilment order without being stored.
    DockMatch, DockMatchId = "dmatch";
    /// Something to be done at a dock.
    DockTask, DockTaskId = "dtask";
    /// Goods on their way from one location to another.
    Transfer, TransferId = "trf";
    /// What a channel leaves to others of a variant.
    ChannelSafety, ChannelSafetyId = "chsafe";
    /// A count of what lies at a location.
    StockCount, StockCountId = "count";
    /// A shipment.
    Shipment, ShipmentId = "shpt";
    /// A wave of picking.
    Wave, WaveId = "wave";
    /// A package.
    Package, PackageId = "pkg";
    /// What a carrier fetches at once.
    Manifest, ManifestId = "mfst";
    /// An account with a carrier.
    CarrierAccount, CarrierAccountId = "carrier";
    /// A label bought of a carrier.
    CarrierLabel, CarrierLabelId = "label";
    /// An abandonment of a cart.
    Abandonment, AbandonmentId = "aban";
    /// An event of the log.
    Event, EventId = "evt";
    /// A job of the durable queue.
    Job, JobId = "job";
    /// A configured connector.
    Connector, ConnectorId = "con";
    /// One event to one connector.
    Dispatch, DispatchId = "disp";
    /// A run over what a connector's far end has.
    ConnectorRun, ConnectorRunId = "crun";
    /// A consumer of a polling feed.
    Consumer, ConsumerId = "cons";
    /// A reference to a document in a foreign system.
    ExternalRef, ExternalRefId = "xref";
    /// An item of a work list.
    WorkItem, WorkItemId = "work";
    /// A request, as named in logs and in `X-Request-Id`.
    Request, RequestId = "req";
    /// A stored answer under an `Idempotency-Key`.
    IdempotencyKey, IdempotencyKeyId = "idem";
}

impl<K> Id<K> {
    /// A fresh id (UUIDv7: its first 48 bits are the current time in milliseconds).
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7(), PhantomData)
    }

    /// The id with exactly these 16 bytes, as the database stores them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes), PhantomData)
    }

    /// The first id that can have been made at an instant: those made before are smaller, those made since are not.
    #[must_use]
    pub fn first_at(at: super::Instant) -> Self {
        let millis = u64::try_from(at.micros() / 1000).unwrap_or_default();
        Self(Uuid::from_u128(u128::from(millis) << 80), PhantomData)
    }

    /// The 16 bytes of the id.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id as 32 lower-case hex digits, the form in which lists of ids travel to the database.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.simple().to_string()
    }

    /// The id read from 32 hex digits.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        Uuid::try_parse(hex).ok().map(|uuid| Self(uuid, PhantomData))
    }
}

impl<K> Default for Id<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SUFFIX_LENGTH: usize = 26;

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.as_u128();
        f.write_str(K::PREFIX)?;
        f.write_str("_")?;
        for place in (0..SUFFIX_LENGTH).rev() {
            let digit = ((bits >> (place * 5)) & 31) as usize;
            let letter = ALPHABET.get(digit).copied().unwrap_or(b'0');
            write!(f, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not an id of the kind that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id that starts with `{0}_` and ends in 26 base32 characters")]
pub struct NotAnId(pub &'static str);

impl<K: Kind> FromStr for Id<K> {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let wrong = NotAnId(K::PREFIX);
        let suffix = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')).ok_or(wrong.clone())?;
        // 26 digits hold 130 bits: a first digit over 7 would overflow the 128 of a UUID.
        if suffix.len() != SUFFIX_LENGTH || suffix.as_bytes().first().is_none_or(|first| *first > b'7') {
            return Err(wrong);
        }
        let mut bits = 0u128;
        for byte in suffix.bytes() {
            let digit = ALPHABET.iter().position(|letter| *letter == byte).ok_or(wrong.clone())?;
            bits = (bits << 5) | digit as u128;
        }
        Ok(Self(Uuid::from_u128(bits), PhantomData))
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl<K: Kind> utoipa::PartialSchema for Id<K> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some(format!("^{}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$", K::PREFIX)))
            .examples([serde_json::Value::String(format!("{}_01h455vb4pex5vsknk084sn02q", K::PREFIX))])
            .into()
    }
}

impl<K: Kind> utoipa::ToSchema for Id<K> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("{}_id", K::PREFIX).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_specification_reads_and_writes() {
        let id: Id<Order> = "order_01h455vb4pex5vsknk084sn02q".parse().unwrap();
        assert_eq!(Uuid::from_bytes(*id.bytes()).to_string(), "01890a5d-ac96-774b-bcce-b302099a8057");
        assert_eq!(id.to_string(), "order_01h455vb4pex5vsknk084sn02q");
    }

    #[test]
    fn another_kind_and_an_overflow_are_refused() {
        assert!("cart_01h455vb4pex5vsknk084sn02q".parse::<Id<Order>>().is_err());
        assert!("order_81h455vb4pex5vsknk084sn02q".parse::<Id<Order>>().is_err());
        assert!("order_01H455VB4PEX5VSKNK084SN02Q".parse::<Id<Order>>().is_err());
        assert!("order_".parse::<Id<Order>>().is_err());
    }

    proptest! {
        #[test]
        fn every_id_survives_its_text(bytes: [u8; 16]) {
            let id = Id::<Cart>::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<Id<Cart>>().unwrap(), id);
            prop_assert_eq!(Id::<Cart>::from_hex(&id.hex()).unwrap(), id);
        }
    }
}
