//! The order as a document: what the API answers, what events carry, what is kept in the row.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    access::{OrderLink, OrderLinks},
    bundle::{BundlePart, OrderBundle},
    holds::OrderHold,
    model::{self, FulfilmentStatus, LineMove, MoneyCounts, OrderState, PaymentStatus, Quantities},
};
use crate::{
    carts::{Delivery, Source},
    channels::Invoicing,
    customers::Address,
    db::Json,
    error::{Error, Result},
    events::Payload,
    kernel::{
        Country, Currency, Device, Instant, Money, Per, PricePer, Quantity, UnitPrice,
        ids::{CartId, ChannelId, CustomerId, OrderId, VariantId},
        text::neutral_key,
    },
    payments::PaymentView,
    pricing::{
        contracts::Contract,
        model::{AppliedPromotion, PassedOver, ShippingTotals, Step, TaxTotal, Totals},
        tax::TaxTreatment,
        vat::CheckedVatId,
    },
};

/// What is kept of an order beside its columns: everything that was addressed and priced, as it was.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrderDetails {
    /// The customer's e-mail address.
    pub email: Option<String>,
    /// The language of messages.
    pub locale: Option<String>,
    /// Where it came from.
    pub source: Option<Source>,
    /// What it was ordered with.
    pub device: Device,
    /// Who pays.
    pub billing_address: Option<Address>,
    /// The VAT number of a business, as it was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<CheckedVatId>,
    /// Where it goes.
    pub deliveries: Vec<Delivery>,
    /// For so many days goods of lots must still keep when they leave; left out, until they end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_shelf_life_days: Option<i64>,
    /// The company's own number of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_order: Option<String>,
    /// The contracts whose prices it was placed at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contracts: Vec<Contract>,
    /// The method of payment.
    pub payment_method: String,
    /// How it is invoiced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoicing: Option<Invoicing>,
    /// The price, without the lines.
    pub totals: Totals,
    /// The bundles that were sold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundles: Vec<OrderBundle>,
    /// Free data of the storefront.
    pub metadata: Map<String, Value>,
}

/// What is kept of a line beside its columns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LineDetails {
    /// The name under which it was sold.
    pub name: String,
    /// The unit of its quantity (UN/ECE Rec 20).
    pub unit_code: String,
    /// Whether it is shipped.
    pub requires_shipping: bool,
    /// Weight of one unit.
    pub weight_grams: i64,
    /// Its tax class.
    pub tax_class: String,
    /// The rate it was taxed at.
    pub tax_rate: rust_decimal::Decimal,
    /// How many units its price is for.
    #[serde(default, skip_serializing_if = "Per::is_one")]
    pub per: Per,
    /// Unit price times quantity, by the units that the price is for, before discount.
    pub subtotal: Money,
    /// What was taken off.
    pub discount: Money,
    /// How the price came about.
    pub explanation: Vec<Step>,
    /// The bundle that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundlePart>,
    /// Free data of the storefront.
    pub metadata: Map<String, Value>,
}

/// A line of an order.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct OrderLine {
    /// Its number, which never changes.
    pub line_no: i32,
    /// What was sold.
    pub variant_id: VariantId,
    /// Its SKU at that time.
    pub sku: String,
    /// Its name at that time.
    pub name: String,
    /// The quantities.
    #[serde(flatten)]
    pub quantities: Quantities,
    /// The unit of the quantities (UN/ECE Rec 20).
    pub unit_code: String,
    /// Whether it leaves through a fulfilment order: shipped, or handed over where it is counted and not shipped.
    pub requires_shipping: bool,
    /// The price of one unit, or of as many as `per` says.
    pub unit_price: UnitPrice,
    /// How many units the price is for; absent where it is one.
    #[serde(skip_serializing_if = "Per::is_one")]
    pub per: Per,
    /// Unit price times quantity, by the units that the price is for, before discount.
    pub subtotal: Money,
    /// What was taken off.
    pub discount: Money,
    /// Without tax, after discount.
    pub net: Money,
    /// The tax.
    pub tax: Money,
    /// With tax.
    pub gross: Money,
    /// What has been given back of it.
    pub refunded: Money,
    /// How much of that was given away as goodwill, beside returns: it stays sold; absent where nothing was.
    #[serde(skip_serializing_if = "is_nothing")]
    pub goodwill: Money,
    /// The rate it was taxed at.
    #[schema(value_type = String, example = "0.19")]
    pub tax_rate: rust_decimal::Decimal,
    /// How the price came about.
    pub explanation: Vec<Step>,
    /// The bundle that it is a part of: of `bundles` the one with this `line_no`. Absent where it was sold by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundlePart>,
    /// Free data of the storefront.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// Weight of one unit.
    #[serde(skip)]
    pub weight_grams: i64,
    /// Its tax class.
    #[serde(skip)]
    pub tax_class: String,
}

impl OrderLine {
    /// Its price with the units that it is for.
    #[must_use]
    pub const fn price(&self) -> PricePer {
        PricePer { price: self.unit_price, per: self.per }
    }
}

/// What a foreign system calls the order or a document of it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq, utoipa::ToSchema)]
pub struct ExternalRef {
    /// The system: `sap`, `dhl`.
    pub system: String,
    /// What it names: `order`, `tracking`, `shipment`, `invoice`.
    pub kind: String,
    /// Its value there.
    pub value: String,
}

/// What can be done now, or why not.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
// Names of schemas are one space for all slices.
#[schema(as = OrderAction)]
pub struct Action {
    /// The command.
    pub command: model::Command,
    /// Whether it is allowed now.
    pub allowed: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// An order, whole.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct OrderDocument {
    /// Its id.
    pub id: OrderId,
    /// The number that people use.
    pub number: String,
    /// Where it was sold.
    pub channel_id: ChannelId,
    /// Whose it is, when they are known.
    pub customer_id: Option<CustomerId>,
    /// The cart it was.
    pub cart_id: Option<CartId>,
    /// Whether it still moves.
    pub state: OrderState,
    /// Where the money stands.
    pub payment_state: PaymentStatus,
    /// Where the goods stand.
    pub fulfilment_state: FulfilmentStatus,
    /// Whether it is of a test channel.
    pub test: bool,
    /// Rises with every event of the order.
    pub version: i64,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// When it was ordered.
    pub placed_at: Instant,
    /// When it was recorded here.
    pub recorded_at: Instant,
    /// The customer's e-mail address.
    pub email: Option<String>,
    /// The language of messages.
    pub locale: Option<String>,
    /// What it was ordered with.
    pub device: Device,
    /// Where it came from.
    pub source: Option<Source>,
    /// Who pays.
    pub billing_address: Option<Address>,
    /// The VAT number of a business, as it was checked: the evidence for what was not taxed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<CheckedVatId>,
    /// Where it goes.
    pub deliveries: Vec<Delivery>,
    /// For so many days goods of lots must still keep when they leave; left out, until they end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_shelf_life_days: Option<i64>,
    /// Its lines: what was sold by itself, and what bundles are made of.
    pub lines: Vec<OrderLine>,
    /// The bundles that were sold as one: each with its price, and with the numbers of the lines that it is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bundles: Vec<OrderBundle>,
    /// The price of shipping; of several deliveries all of it: each tells its own.
    pub shipping: Option<ShippingTotals>,
    /// The tax by rate.
    pub taxes: Vec<TaxTotal>,
    /// How it is taxed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_treatment: Option<TaxTreatment>,
    /// Whether the unit prices include tax.
    pub prices_include_tax: bool,
    /// All lines before discount.
    pub subtotal: Money,
    /// What was taken off.
    pub discount: Money,
    /// Without tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
    /// What it costs.
    pub total: Money,
    /// The company's own number of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purchase_order: Option<String>,
    /// The contracts whose prices it was placed at, with what was agreed beside these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contracts: Vec<Contract>,
    /// The payment term that follows from its contracts, the shortest of them: on account it is paid within so many days from the day
    /// of the order. Absent where no contract says one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net_days: Option<i64>,
    /// The method of payment.
    pub payment_method: String,
    /// When it is invoiced, and by whom; absent where nobody does here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoicing: Option<Invoicing>,
    /// Its payments.
    pub payments: Vec<PaymentView>,
    /// What foreign systems call it.
    pub external_refs: Vec<ExternalRef>,
    /// How the total came about.
    pub explanation: Vec<Step>,
    /// The promotions that apply, in the order in which they do; their amounts are in `discount` of the lines and of shipping. What
    /// they take off a bundle they tell by the bundle's `line_no`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub promotions: Vec<AppliedPromotion>,
    /// The promotions that were in question and do not apply, each with the first condition that did not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// The version of the rules (price lists, promotions, tax and shipping rates) that it was priced by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules_version: Option<i64>,
    /// Free data of the storefront.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// What it, or a line of it, is held for: each has to end. Not told to shoppers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<OrderHold>,
    /// What of the price of shipping was taken back with returns; absent where nothing was.
    #[serde(skip_serializing_if = "is_nothing")]
    pub shipping_credited: Money,
    /// What of it was given away as goodwill beside; absent where nothing was.
    #[serde(skip_serializing_if = "is_nothing")]
    pub shipping_goodwill: Money,
    /// What staff can do now, or why not. Empty on the store surface: shoppers have no commands on orders.
    pub actions: Vec<Action>,
    /// Opens it without signing in; told to its shopper only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<OrderLink>,
}

fn is_nothing(amount: &Money) -> bool {
    amount.minor() == 0
}

impl OrderDocument {
    /// The order as its shopper sees it: without what providers and other systems call it, without the prices that they
    /// did not get, and without the commands of staff, of which shoppers have none; with a link that opens it again.
    #[must_use]
    pub fn for_shopper(&self, links: &OrderLinks, now: Instant) -> Self {
        let mut shown = self.clone();
        shown.link = Some(links.link(now, self.id));
        (shown.external_refs, shown.actions, shown.holds) = (Vec::new(), Vec::new(), Vec::new());
        Step::keep_public(&mut shown.explanation, None);
        shown.passed_over.retain(|passed| passed.coupon.is_some());
        shown.rules_version = None;
        Contract::keep_public(&mut shown.contracts);
        for line in &mut shown.lines {
            let price = line.price();
            Step::keep_public(&mut line.explanation, Some(price));
        }
        for bundle in &mut shown.bundles {
            let price = PricePer { price: bundle.unit_price, per: bundle.per };
            Step::keep_public(&mut bundle.explanation, Some(price));
        }
        if let Some(shipping) = &mut shown.shipping {
            Step::keep_public(&mut shipping.explanation, None);
        }
        for payment in &mut shown.payments {
            payment.provider_ref = None;
        }
        shown
    }

    /// One of its deliveries by its key; the first where none is named.
    #[must_use]
    pub fn delivery(&self, key: Option<&str>) -> Option<&Delivery> {
        let named = key.and_then(|key| self.deliveries.iter().find(|one| one.key.as_deref() == Some(key)));
        named.or_else(|| self.deliveries.first())
    }

    /// Pieces of lots that end before this do not leave with it at an instant.
    #[must_use]
    pub fn keeps_until(&self, leaves_at: Instant) -> Option<Instant> {
        self.min_shelf_life_days.map(|days| leaves_at.plus_seconds(86_400 * days))
    }

    /// A line by its number.
    ///
    /// # Errors
    /// `line_unknown`.
    pub fn line(&self, line_no: i32) -> Result<&OrderLine> {
        let unknown = || Error::problem(crate::error::Code::LineUnknown, format!("there is no line {line_no}"));
        self.lines.iter().find(|line| line.line_no == line_no).ok_or_else(unknown)
    }

    /// That what is told to have happened to the order at a time can have: nothing leaves, arrives, is cancelled or comes back
    /// before it was ordered. `pointer` is where the time stands in the request.
    ///
    /// # Errors
    /// `history_before_order`, with the order's `placed_at`.
    pub fn check_time(&self, at: Option<Instant>, pointer: &str) -> Result<()> {
        match at {
            Some(at) if at < self.placed_at => {
                let detail = format!("the order was placed at {}", self.placed_at);
                let problem = Error::problem(crate::error::Code::HistoryBeforeOrder, detail);
                Err(problem.at(pointer).with("placed_at", self.placed_at.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Makes moves on the document, as the store makes them on the rows.
    ///
    /// # Errors
    /// `line_unknown`, `quantity_exceeded`.
    pub fn apply(&mut self, moves: &[LineMove]) -> Result<()> {
        for step in moves {
            self.line(step.line_no)?;
            for line in self.lines.iter_mut().filter(|line| line.line_no == step.line_no) {
                step.apply(&mut line.quantities)?;
                line.refunded = Money::from_minor(line.refunded.minor() + step.refunded, self.currency);
                line.goodwill = Money::from_minor(line.goodwill.minor() + step.goodwill, self.currency);
            }
        }
        Ok(())
    }

    /// What is due for all that was not cancelled, in minor units: the shares of the cancelled pieces are taken off each
    /// line, and shipping is due unless nothing is left.
    #[must_use]
    pub fn due(&self) -> i64 {
        let lines: i64 =
            self.lines.iter().map(|line| line.gross_of(line.quantities.quantity - line.quantities.cancelled)).sum();
        let anything = self.lines.iter().any(|line| line.quantities.cancelled < line.quantities.quantity);
        let shipping = self.shipping.as_ref().map_or(0, |shipping| shipping.gross.minor());
        if anything { lines + shipping } else { 0 }
    }

    /// Where it goes, or where the bill does of what is not shipped: the country that its tax is decided by.
    #[must_use]
    pub fn destination(&self) -> Option<Country> {
        let goes = || self.deliveries.iter().find_map(Delivery::country);
        let bill = self.billing_address.as_ref().map(|address| address.country);
        let shipped = self.lines.iter().any(|line| line.requires_shipping);
        if shipped { goes().or(bill) } else { bill.or_else(goes) }
    }

    /// What was taken back of its lines and shipping, or given away for them, and is not owed any more, in minor units.
    #[must_use]
    pub fn credited(&self) -> i64 {
        let lines: i64 = self.lines.iter().map(|line| line.refunded.minor()).sum();
        lines + self.shipping_credited.minor() + self.shipping_goodwill.minor()
    }

    /// What the money states are derived from.
    #[must_use]
    pub fn money(&self) -> MoneyCounts {
        use crate::payments::PaymentState as P;
        let sum = |amount: fn(&PaymentView) -> i64| self.payments.iter().map(amount).sum::<i64>();
        MoneyCounts {
            due: self.due() - self.credited() - sum(|payment| payment.written_off.map_or(0, |off| off.minor())),
            authorised: self
                .payments
                .iter()
                .filter(|p| matches!(p.state, P::Authorised | P::Captured))
                .map(|p| p.amount.minor())
                .sum(),
            captured: sum(|payment| payment.captured.minor()),
            refunded: sum(|payment| payment.refunded.minor()),
            voided: self.payments.iter().any(|payment| payment.state == P::Voided),
        }
    }

    /// Derives the states anew and the actions with them.
    pub fn settle(&mut self) {
        let lines: Vec<_> = self.lines.iter().map(|line| (line.quantities, line.requires_shipping)).collect();
        let statuses = model::derive(&lines, self.money());
        (self.state, self.payment_state, self.fulfilment_state) =
            (statuses.state, statuses.payment, statuses.fulfilment);
        self.actions = self.possible();
    }

    fn possible(&self) -> Vec<Action> {
        let any = |test: fn(&OrderLine) -> bool| self.lines.iter().any(test);
        let refundable: i64 = self.payments.iter().map(|payment| payment.refundable.minor()).sum();
        let reason = |command: model::Command| -> Option<String> {
            use model::Command as C;
            if let Err(Error::Problem(problem)) = self.state.apply(command) {
                return Some(problem.detail);
            }
            // All that is open would be cancelled: a line that is held keeps it from that.
            let lines: Vec<i32> = match command {
                C::Cancel => self.lines.iter().filter(|l| l.quantities.open() > 0).map(|l| l.line_no).collect(),
                _ => Vec::new(),
            };
            if let Err(Error::Problem(problem)) = self.free_for(command, &lines, None) {
                return Some(problem.detail);
            }
            let missing = match command {
                C::Ship if !any(|l| l.requires_shipping && l.quantities.open() > 0) => "nothing is left to ship",
                C::Deliver if !any(|l| l.quantities.delivered < l.quantities.shipped) => "nothing is on its way",
                C::Cancel if !any(|l| l.quantities.open() > 0) => "nothing is left to cancel",
                C::Return if !any(|l| l.returnable() > 0) => "nothing is there to come back",
                C::Refund if refundable == 0 => "nothing is left to give back",
                C::Dispute if refundable == 0 => "nothing was taken that could be disputed",
                _ => return None,
            };
            Some(missing.to_owned())
        };
        let action = |command: &model::Command| {
            let reason = reason(*command);
            Action { command: *command, allowed: reason.is_none(), reason }
        };
        model::Command::ALL.iter().map(action).collect()
    }
}

/// Where an order and its copies in events hold what is personal.
#[derive(Debug, Serialize)]
struct Personal {
    email: Option<String>,
    billing_address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vat_id: Option<CheckedVatId>,
    deliveries: Vec<PersonalDelivery>,
    /// The key of the delivery that is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<String>,
    /// What a storefront notes may be a card's text as well as a campaign's name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<PersonalLine>,
}

#[derive(Debug, Serialize)]
struct PersonalLine {
    #[serde(skip_serializing_if = "Map::is_empty")]
    metadata: Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct PersonalDelivery {
    /// A shopper may have put a name there.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    address: Option<Address>,
}

impl OrderDocument {
    /// What an event says that carries this order whole: `document` writes the order without what is personal.
    ///
    /// # Errors
    /// When it can not be written as JSON, which would be a defect.
    pub fn payload(&mut self, document: impl FnOnce(&Self) -> Result<Json>) -> Result<Payload> {
        self.payload_of(None, document)
    }

    /// The same of an event that tells of one of its deliveries, by its place, and has that one's key as `delivery`: `document` takes it
    /// from the order, where a neutral one stands in its place.
    ///
    /// # Errors
    /// When it can not be written as JSON, which would be a defect.
    pub fn payload_of(
        &mut self,
        delivery: Option<usize>,
        document: impl FnOnce(&Self) -> Result<Json>,
    ) -> Result<Payload> {
        let meant = delivery.and_then(|number| self.deliveries.get(number)?.key.clone());
        let deliveries = self.deliveries.iter_mut().enumerate().map(|(number, delivery)| {
            let key = delivery.key.as_mut().map(|key| std::mem::replace(key, neutral_key(number)));
            PersonalDelivery { key, address: delivery.address.take() }
        });
        let noted = self.lines.iter().any(|line| !line.metadata.is_empty());
        let lines = self.lines.iter_mut().filter(|_| noted);
        let personal = Personal {
            email: self.email.take(),
            billing_address: self.billing_address.take(),
            vat_id: self.vat_id.take(),
            deliveries: deliveries.collect(),
            delivery: meant,
            metadata: std::mem::take(&mut self.metadata),
            lines: lines.map(|line| PersonalLine { metadata: std::mem::take(&mut line.metadata) }).collect(),
        };
        let written = document(self).and_then(|data| Ok(Payload { data, personal: Some(Json::of(&personal)?) }));
        (self.email, self.billing_address) = (personal.email, personal.billing_address);
        self.vat_id = personal.vat_id;
        for (delivery, PersonalDelivery { key, address }) in self.deliveries.iter_mut().zip(personal.deliveries) {
            (delivery.key, delivery.address) = (key, address);
        }
        self.metadata = personal.metadata;
        for (line, PersonalLine { metadata }) in self.lines.iter_mut().zip(personal.lines) {
            line.metadata = metadata;
        }
        written
    }
}

impl OrderLine {
    /// How many can come back: those that have left, and nobody has asked to take back or claimed; of what is never shipped, all that was
    /// not cancelled.
    #[must_use]
    pub const fn returnable(&self) -> i64 {
        self.given() - self.quantities.returned - self.quantities.coming_back - self.quantities.claimed
    }

    /// How many the customer was given.
    #[must_use]
    pub const fn given(&self) -> i64 {
        if self.requires_shipping {
            self.quantities.shipped
        } else {
            self.quantities.quantity - self.quantities.cancelled
        }
    }

    /// The price of those, in minor units: no more can be credited for what comes back.
    #[must_use]
    pub fn creditable(&self) -> i64 {
        self.gross_of(self.given())
    }

    /// The share of the first `pieces` in the line's gross amount, in minor units.
    #[must_use]
    pub fn gross_of(&self, pieces: i64) -> i64 {
        crate::pricing::engine::share(self.gross.minor(), 0, pieces, self.quantities.quantity)
    }
}

/// A line as it is placed.
#[derive(Debug, Clone)]
pub struct PlacedLine {
    /// What was sold.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// How many.
    pub quantity: Quantity,
    /// How many are set aside at a location.
    pub allocated: i64,
    /// The line's number.
    pub line_no: i32,
    /// The rest.
    pub details: LineDetails,
}
