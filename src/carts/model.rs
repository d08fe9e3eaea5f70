//! What a cart is.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    bundles::CartComponent,
    deliveries,
    delivery::{Delivery, FurtherDelivery, PickUp},
};
use crate::{
    customers::{Address, ApprovalNeed},
    error::{Code, Error, Result},
    kernel::{
        Action, Currency, Device, Instant, Money, Per, PricePer, Quantity, UnitPrice,
        ids::{
            ApprovalRequestId, CartId, CartLineId, ChannelId, CustomerId, OrderId, PromotionId, QuoteId, StoredValueId,
            VariantId,
        },
        text::{Email, Text},
    },
    pricing::{
        CheckedVatId, Contract,
        model::{Step, Totals},
    },
    stored_value::ValueUse,
};

crate::words! {
    /// Where a cart stands.
    pub enum CartState {
        /// It can be changed.
        Open = "open",
        /// Its prices are frozen and its stock is reserved; a change thaws it.
        Frozen = "frozen",
        /// It is being paid.
        Completing = "completing",
        /// It has become an order.
        Completed = "completed",
        /// It has gone into another cart.
        Merged = "merged",
        /// It was left alone for too long.
        Expired = "expired",
    }
}

crate::words! {
    /// What happens to a cart.
    pub enum CartCommand {
        /// Its lines, addresses and choices change.
        Edit = "edit",
        /// Its prices are frozen and its stock reserved.
        Freeze = "freeze",
        /// Paying begins.
        Claim = "claim",
        /// Paying came to nothing.
        Reopen = "reopen",
        /// It becomes an order.
        Complete = "complete",
        /// It goes into another cart.
        Merge = "merge",
        /// It has been left alone for too long.
        Expire = "expire",
    }
}

impl CartState {
    /// The transition table.
    ///
    /// | | edit | freeze | claim | reopen | complete | merge | expire |
    /// |---|---|---|---|---|---|---|---|
    /// | open | open | frozen | completing | – | – | merged | expired |
    /// | frozen | open | frozen | completing | – | – | merged | expired |
    /// | completing | – | – | completing | open | completed | – | – |
    /// | completed, merged, expired | – | – | – | – | – | – | – |
    ///
    /// # Errors
    /// `cart_not_open`.
    pub fn apply(self, command: CartCommand) -> Result<Self> {
        use CartCommand as C;
        match (self, command) {
            (Self::Open | Self::Frozen, C::Edit) => Ok(Self::Open),
            (Self::Open | Self::Frozen, C::Freeze) => Ok(Self::Frozen),
            (Self::Open | Self::Frozen | Self::Completing, C::Claim) => Ok(Self::Completing),
            (Self::Completing, C::Reopen) => Ok(Self::Open),
            (Self::Completing, C::Complete) => Ok(Self::Completed),
            (Self::Open | Self::Frozen, C::Merge) => Ok(Self::Merged),
            (Self::Open | Self::Frozen, C::Expire) => Ok(Self::Expired),
            _ => Err(Error::problem(Code::CartNotOpen, format!("the cart is {self}")).with("state", self.as_str())),
        }
    }
}

crate::words! {
    /// What somebody can do with a cart, by the names of the routes.
    pub enum CartAction {
        /// Change its lines, addresses and choices.
        Edit = "edit",
        /// Begin the checkout.
        Checkout = "checkout",
        /// Pay and order it.
        Complete = "complete",
        /// Merge it with another.
        Merge = "merge",
        /// End an attempt to pay that has no answer.
        GiveUpPayment = "give_up_payment",
    }
}

impl CartAction {
    /// What shoppers can do.
    pub const OF_SHOPPERS: &[Self] = &[Self::Edit, Self::Checkout, Self::Complete, Self::Merge];
    /// What staff can do.
    pub const OF_STAFF: &[Self] = &[Self::Edit, Self::Complete, Self::GiveUpPayment];

    /// The command of the transition table that it begins with.
    const fn command(self) -> CartCommand {
        match self {
            Self::Edit => CartCommand::Edit,
            Self::Checkout => CartCommand::Freeze,
            Self::Complete => CartCommand::Claim,
            Self::Merge => CartCommand::Merge,
            Self::GiveUpPayment => CartCommand::Reopen,
        }
    }
}

/// The transition table as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> open\n");
    for from in CartState::ALL {
        for command in CartCommand::ALL {
            if let Ok(to) = from.apply(*command) {
                text.push_str(&format!("    {from} --> {to}: {command}\n"));
            }
        }
    }
    text
}

crate::words! {
    /// How far a cart has come.
    pub enum Stage {
        /// It has lines.
        Cart = "cart",
        /// An e-mail address is known.
        Contact = "contact",
        /// It is known where it goes.
        Shipping = "shipping",
        /// Its checkout was begun.
        Checkout = "checkout",
        /// Paying was begun.
        Payment = "payment",
    }
}

/// Where a visitor came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"utm_source": "newsletter", "utm_campaign": "spring"}))]
pub struct Source {
    /// `utm_source`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm_source: Option<Text<200>>,
    /// `utm_medium`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm_medium: Option<Text<200>>,
    /// `utm_campaign`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm_campaign: Option<Text<200>>,
    /// `utm_term`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm_term: Option<Text<200>>,
    /// `utm_content`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utm_content: Option<Text<200>>,
    /// The page that linked to the shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer: Option<Text<500>>,
    /// The affiliate's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affiliate: Option<Text<100>>,
}

/// A line of a cart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CartLine {
    /// Its id.
    pub id: CartLineId,
    /// Its number, which never changes and is the order line's too.
    pub line_no: i32,
    /// What.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// How many.
    pub quantity: Quantity,
    /// A price that was agreed instead of the list's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agreed_price: Option<UnitPrice>,
    /// How many units the agreed price is for; absent where it is one.
    #[serde(skip_serializing_if = "Per::is_one", default)]
    pub agreed_per: Per,
    /// The price that a single piece is reduced from, where its price is one of a `sale` and lower: the lowest of the 30 days
    /// before the reduction begins, or since 30 days before it was announced (Directive 98/6/EC, Article 6a).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub prior_price: Option<UnitPrice>,
    /// How many units the prior price is for; absent where it is one.
    #[serde(skip_serializing_if = "Per::is_one", default)]
    pub prior_per: Per,
    /// By how many whole per cent a single piece is reduced, cut off.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reduction_percent: Option<i64>,
    /// The promotion that gives it: the line comes, goes and is counted with that. Its quantity can not be changed; who removes it
    /// does without it. Leave it out where lines are sent back whole.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gift_of: Option<PromotionId>,
    /// What a bundle is made of, as it was when the line was last priced: these are reserved and shipped. Absent where it is none.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub components: Vec<CartComponent>,
    /// Free data of the storefront.
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
}

impl CartLine {
    /// Whether two lines are the same but for their quantity, so that they can be summed.
    #[must_use]
    pub fn is_like(&self, variant: VariantId, agreed: Option<PricePer>, metadata: &Map<String, Value>) -> bool {
        self.variant_id == variant && self.agreed() == agreed && self.metadata == *metadata
    }

    /// The price that was agreed, with the units that it is for.
    #[must_use]
    pub fn agreed(&self) -> Option<PricePer> {
        self.agreed_price.map(|price| PricePer { price, per: self.agreed_per })
    }
}

/// Something that stands between a cart and its order, or that the customer should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// A stable code: `address_missing`, `out_of_stock`, `price_changed`, …
    pub code: String,
    /// What is wrong.
    pub detail: String,
    /// JSON pointer into the cart.
    pub pointer: String,
    /// Whether the cart can not be ordered because of it.
    pub blocking: bool,
}

/// Why the last attempt to pay a cart came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LastDecline {
    /// The reason as a stable word, such as `insufficient_funds`. More words may come.
    #[schema(example = "insufficient_funds")]
    pub code: String,
    /// Whether another try, perhaps with another instrument, makes sense.
    pub retryable: bool,
    /// When.
    pub at: Instant,
}

/// That others of the company have approved a cart, as it stood then: a change of it undoes that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = CartApproved)]
pub struct Approved {
    /// What was approved.
    pub request_id: ApprovalRequestId,
    /// At which total; at another one it does not count.
    pub total: Money,
    /// When.
    pub at: Instant,
    /// Up to which debt of the company the shop lets it be ordered on account, above the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_up_to: Option<Money>,
}

/// What is kept of a cart beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CartDetails {
    /// Its lines.
    pub lines: Vec<CartLine>,
    /// The next line number.
    pub next_line_no: i32,
    /// Who orders.
    pub email: Option<Email>,
    /// Whether they agreed to messages about their cart.
    #[serde(default)]
    pub marketing_consent: bool,
    /// Who pays.
    pub billing_address: Option<Address>,
    /// Where it goes.
    pub shipping_address: Option<Address>,
    /// The code of the shipping method.
    pub shipping_method: Option<String>,
    /// Where it is picked up, by its method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pickup: Option<PickUp>,
    /// The key of its first delivery, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_key: Option<String>,
    /// Its deliveries beside the first, which has whatever these do not name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<FurtherDelivery>,
    /// The payment method that is chosen: promotions may ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
    /// The company's own number of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_order: Option<String>,
    /// Who has to approve it before it is ordered, as it was priced last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_approval: Option<ApprovalNeed>,
    /// That it was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// The contracts whose prices it has, as it was priced last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contracts: Vec<Contract>,
    /// The codes of its coupons, as they are looked up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<String>,
    /// The gift cards that pay it, in the order in which they do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gift_cards: Vec<StoredValueId>,
    /// Whether the customer's store credit pays what gift cards leave.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub store_credit: bool,
    /// What these pay, as far as was known when it was priced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paid_with: Vec<ValueUse>,
    /// The VAT number of a business, as it was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<CheckedVatId>,
    /// The language of messages.
    pub locale: Option<String>,
    /// Where they came from.
    pub source: Option<Source>,
    /// Free data of the storefront.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// The price.
    pub totals: Option<Totals>,
    /// What stands in the way.
    #[serde(default)]
    pub problems: Vec<Problem>,
    /// Until when prices and stock are kept, after a checkout was begun.
    #[serde(default)]
    pub frozen_until: Option<Instant>,
    /// Why the last attempt to pay came to nothing, until the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_decline: Option<LastDecline>,
    /// When it was really ordered, where a history is taken over.
    #[serde(default)]
    pub occurred_at: Option<Instant>,
    /// What a foreign system calls the order that it becomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<ForeignOrder>,
    /// The quote that it is of: its lines and prices are that one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<QuoteId>,
    /// Whether it was made of something else, so that nobody shops in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unattended: bool,
    /// Whether the shop bears its shipping: it is what goods are exchanged for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub free_shipping: bool,
    /// Whether the order that it becomes is paid only once it is known what has come back for it; what is in it, and where it goes, stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaits_return: bool,
    /// Promotions whose gifts its buyer does without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declined_gifts: Vec<PromotionId>,
    /// The carts that went into it, and those that had gone into them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<CartId>,
}

/// An order's name in a foreign system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"system": "old-shop", "value": "489434"}))]
pub struct ForeignOrder {
    /// The system.
    #[schema(value_type = String, min_length = 1, max_length = 50)]
    pub system: Text<50>,
    /// The order's number there.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub value: Text<200>,
}

/// A cart.
#[derive(Debug, Clone)]
pub struct Cart {
    /// Its id.
    pub id: CartId,
    /// Where.
    pub channel: ChannelId,
    /// Whose, when they are signed in.
    pub customer: Option<CustomerId>,
    /// Where it stands.
    pub state: CartState,
    /// Rises with every change.
    pub version: i64,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// What the storefront runs on.
    pub device: Device,
    /// How far it has come.
    pub stage: Stage,
    /// The order it has become.
    pub order: Option<OrderId>,
    /// When something was last done to it.
    pub active_at: Instant,
    /// When it expires.
    pub expires_at: Instant,
    /// Since when.
    pub created_at: Instant,
    /// The rest.
    pub details: CartDetails,
}

impl Cart {
    /// The total in minor units, 0 while nothing can be priced.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.details.totals.as_ref().map_or(0, |totals| totals.total.minor())
    }

    /// What is left of the total for the payment method, in minor units.
    #[must_use]
    pub fn due(&self) -> i64 {
        self.total() - self.details.paid_with.iter().map(|one| one.amount.minor()).sum::<i64>()
    }

    /// How far it has come by what is known of it.
    #[must_use]
    pub fn stage_by_content(&self) -> Stage {
        let details = &self.details;
        match () {
            () if details.shipping_address.is_some() => Stage::Shipping,
            () if details.email.is_some() => Stage::Contact,
            () => Stage::Cart,
        }
    }

    /// Which of these actions the cart takes now, by its transition table and by what was found wrong with it when it was
    /// last priced.
    #[must_use]
    pub fn possible(&self, actions: &[CartAction]) -> Vec<Action> {
        let orders = |action: CartAction| matches!(action, CartAction::Checkout | CartAction::Complete);
        let taken = |action: CartAction| {
            self.state.apply(action.command())?;
            // What is being paid has been looked at before.
            if orders(action) && self.state != CartState::Completing { refuse_incomplete(self) } else { Ok(()) }
        };
        actions.iter().map(|action| Action::of(action.as_str(), taken(*action))).collect()
    }

    /// Its deliveries, the first in front, though that may have nothing.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        deliveries::shown(&self.details, false)
    }

    /// Those of its deliveries that have anything: an order gets these.
    #[must_use]
    pub fn placed_deliveries(&self) -> Vec<Delivery> {
        deliveries::shown(&self.details, true)
    }

    /// The number of a line from its id.
    ///
    /// # Errors
    /// `not_found`.
    pub fn line_index(&self, id: CartLineId) -> Result<usize> {
        self.details.lines.iter().position(|line| line.id == id).ok_or_else(|| Error::not_found("cart line"))
    }
}

/// A cart with blocking problems can not be ordered.
///
/// # Errors
/// `cart_incomplete`, with all of them; `contract_minimum` where nothing else is missing than goods up to that.
pub(crate) fn refuse_incomplete(cart: &Cart) -> Result<()> {
    let blocking: Vec<&Problem> = cart.details.problems.iter().filter(|problem| problem.blocking).collect();
    match blocking.first() {
        None => Ok(()),
        Some(first) => {
            let problems = serde_json::to_value(&blocking)?;
            let minimum = Code::ContractMinimum;
            let only = blocking.iter().all(|problem| problem.code == minimum.as_str());
            let code = if only { minimum } else { Code::CartIncomplete };
            Err(Error::problem(code, first.detail.clone()).at(first.pointer.clone()).with("problems", problems))
        }
    }
}

/// How many carts of a kind there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CartFigures {
    /// Where.
    pub channel: ChannelId,
    /// What the storefronts run on.
    pub device: Device,
    /// How far they came.
    pub stage: Stage,
    /// How many have lines.
    pub carts: i64,
    /// How many of those became orders.
    pub ordered: i64,
}

/// A cart as the API shows it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CartView {
    /// Its id.
    pub id: CartId,
    /// The secret that opens a guest's cart: send it as `Cart-Token`. Only in the answer that made the cart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Where.
    pub channel_id: ChannelId,
    /// Whose, when they are signed in.
    pub customer_id: Option<CustomerId>,
    /// Where it stands.
    pub state: CartState,
    /// Rises with every change.
    pub version: i64,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// What the storefront runs on.
    pub device: Device,
    /// How far it has come.
    pub stage: Stage,
    /// The order it has become.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Who orders.
    pub email: Option<Email>,
    /// Whether they agreed to messages about their cart.
    pub marketing_consent: bool,
    /// Who pays.
    pub billing_address: Option<Address>,
    /// The VAT number of a business, as it was checked; `totals.tax_treatment` tells whether it changes the tax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<CheckedVatId>,
    /// Where it goes: one entry, until `PUT …/deliveries` makes it several.
    pub deliveries: Vec<Delivery>,
    /// Its lines.
    pub lines: Vec<CartLine>,
    /// The payment method that is chosen, for promotions that ask for it; completing names its own.
    pub payment_method: Option<String>,
    /// The company's own number of the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purchase_order: Option<String>,
    /// Who of the company has to approve it before it is ordered: completing it answers `approval_required` until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs_approval: Option<ApprovalNeed>,
    /// The quote that it is of: its lines can not be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote_id: Option<QuoteId>,
    /// That it was approved; a change undoes that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// The contracts whose prices it has, with what is agreed beside these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contracts: Vec<Contract>,
    /// The promotions whose gifts its buyer does without.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub declined_gifts: Vec<PromotionId>,
    /// The codes of its coupons, whether they count or not: `totals.promotions` tells what they take off, and `problems` why one does
    /// not (`coupon_not_applied`).
    pub coupons: Vec<String>,
    /// The price; absent while nothing can be priced.
    pub totals: Option<Totals>,
    /// What it costs.
    pub total: Money,
    /// Whether the customer's store credit pays what gift cards leave.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub store_credit: bool,
    /// What gift cards and store credit pay of it when it is completed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paid_with: Vec<ValueUse>,
    /// What they leave for the payment method.
    pub due: Money,
    /// What stands in the way, or should be shown.
    pub problems: Vec<Problem>,
    /// What the last change moved that the customer may not expect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Problem>,
    /// The language of messages.
    pub locale: Option<String>,
    /// Where they came from.
    pub source: Option<Source>,
    /// Free data of the storefront.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// Until when prices and stock are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen_until: Option<Instant>,
    /// Why the last attempt to pay came to nothing, until the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_decline: Option<LastDecline>,
    /// What whoever asks can do with it now, or why not: `edit`, `checkout`, `complete`, `merge` in a storefront, `edit`,
    /// `complete`, `give_up_payment` for staff. A `completed` cart that is completed again gives its order all the same.
    pub actions: Vec<Action>,
    /// When it expires.
    pub expires_at: Instant,
    /// Since when.
    pub created_at: Instant,
}

/// Without what is the merchant's own affair.
fn public(mut totals: Totals) -> Totals {
    for line in &mut totals.lines {
        let price = line.price();
        Step::keep_public(&mut line.explanation, Some(price));
    }
    for shipping in totals.shipping.iter_mut().chain(&mut totals.shipping_parts) {
        Step::keep_public(&mut shipping.explanation, None);
    }
    Step::keep_public(&mut totals.explanation, None);
    totals.keep_public();
    totals
}

impl CartView {
    /// The view of a cart with what a change moved, as a shopper may see it.
    #[must_use]
    pub fn new(cart: Cart, changes: Vec<Problem>) -> Self {
        let actions = cart.possible(CartAction::OF_SHOPPERS);
        let mut whole = Self::for_staff(cart, changes);
        Contract::keep_public(&mut whole.contracts);
        Self { totals: whole.totals.map(public), actions, ..whole }
    }

    /// The same with all that explains its price, as staff see it.
    #[must_use]
    pub fn for_staff(cart: Cart, changes: Vec<Problem>) -> Self {
        let (deliveries, actions) = (cart.deliveries(), cart.possible(CartAction::OF_STAFF));
        let (total, due) = (cart.total(), cart.due());
        // A cart may have a thousand lines: it is shown as it is, and not copied.
        let details = cart.details;
        Self {
            id: cart.id,
            token: None,
            channel_id: cart.channel,
            customer_id: cart.customer,
            state: cart.state,
            version: cart.version,
            currency: cart.currency,
            device: cart.device,
            stage: cart.stage,
            order_id: cart.order,
            deliveries,
            total: Money::from_minor(total, cart.currency),
            store_credit: details.store_credit,
            paid_with: details.paid_with,
            due: Money::from_minor(due, cart.currency),
            email: details.email,
            marketing_consent: details.marketing_consent,
            billing_address: details.billing_address,
            vat_id: details.vat_id,
            lines: details.lines,
            payment_method: details.payment_method,
            purchase_order: details.purchase_order,
            needs_approval: details.needs_approval,
            approved: details.approved,
            contracts: details.contracts,
            quote_id: details.quote,
            declined_gifts: details.declined_gifts,
            coupons: details.coupons,
            totals: details.totals,
            problems: details.problems,
            changes,
            locale: details.locale,
            source: details.source,
            metadata: details.metadata,
            frozen_until: details.frozen_until,
            last_decline: details.last_decline,
            actions,
            expires_at: cart.expires_at,
            created_at: cart.created_at,
        }
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
