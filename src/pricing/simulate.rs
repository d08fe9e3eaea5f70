//! What a cart would cost: any cart, at any instant, as any customer, by the rules as they are or with drafts in them.

use std::collections::HashMap;

use actix_web::{post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    history,
    model::{Buyer, Step, Totals},
    promotions::{self, Basket, Detail, Left, Origin, Person, Redeemed, Redeeming, code},
    quote::{
        Consider, GiftGoods, GiftRequest, LineRequest, PartRequest, QuoteProblem, QuoteRequest, Rules, ShippingRequest,
        quote,
    },
    service,
    tax::{Sale, policy_for},
};
use crate::{
    catalog::{self, Component, Variant, VariantStatus},
    channels::{Channel, Directory},
    customers::{self, Standing, companies},
    db::Tx,
    error::{Code, Error, Result},
    http::{Body, Call, Mount, Reply, seal::Secret},
    kernel::{
        Actor, Country, Currency, Device, Instant, Money, Per, PricePer, Quantity, Scope, UnitPrice, VatId,
        ids::{CartId, ChannelId, CompanyId, CustomerId, PromotionId, VariantId},
        text::{Email, Sku, Text},
    },
    stock::{self, Locations, Market},
};

/// How many lines and coupons a simulation takes.
const MOST_LINES: usize = 1_000;
const MOST_COUPONS: usize = 10;

const fn one() -> Quantity {
    Quantity::ONE
}

/// A line of a simulated cart.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SimulatedLine {
    /// What.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    sku: Sku,
    /// How many.
    #[serde(default = "one")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000, default = 1)]
    quantity: Quantity,
    /// A price that is agreed instead of the list's.
    unit_price: Option<UnitPrice>,
    /// How many pieces that price is for.
    #[serde(default)]
    per: Per,
}

/// A cart to be priced, and for whom, where and when.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "channel_id": "chan_01h455vb4pex5vsknk084sn02q", "at": "2030-11-29T00:00:00Z",
    "lines": [{"sku": "MUG-KONTOR", "quantity": 3}], "shipping_method": "standard", "include_drafts": true
}))]
struct Simulation {
    /// The channel.
    channel_id: ChannelId,
    /// One of its currencies; its first where it is left out.
    currency: Option<Currency>,
    /// Where it goes; the channel's first country where it is left out.
    country: Option<Country>,
    /// When; now where it is left out. Where it is past, prices are those of then; lists, promotions, tax and shipping are as they are
    /// now.
    at: Option<Instant>,
    /// What the storefront runs on.
    device: Option<Device>,
    /// The customer: their group, company and segments, and what they have used already, count. Needs `customers:read`.
    customer_id: Option<CustomerId>,
    /// The e-mail address of a guest: what they have used already counts. Needs `customers:read`.
    email: Option<Email>,
    /// A group, instead of the customer's.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    customer_group: Option<Text<50>>,
    /// A company, instead of the customer's. Needs `customers:read`.
    company_id: Option<CompanyId>,
    /// Segments, instead of the customer's.
    #[schema(value_type = Option<Vec<String>>, max_items = 50)]
    segments: Option<Vec<Text<50>>>,
    /// The payment method that is chosen: one of the channel's.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    payment_method: Option<Text<50>>,
    /// Whether it is their first order. Left out, it is looked up for the customer or the e-mail address; without any it is not.
    first_order: Option<bool>,
    /// The VAT number of a business; its check digits must be right.
    #[schema(value_type = Option<VatId>)]
    vat_id: Option<VatId>,
    /// Where they come from.
    source: Option<Origin>,
    /// The codes of coupons.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 10)]
    coupons: Vec<Text<60>>,
    /// What is in it.
    #[schema(min_items = 1, max_items = 1000)]
    lines: Vec<SimulatedLine>,
    /// The code of a shipping method.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    shipping_method: Option<Text<50>>,
    /// Whether promotions that are drafts or paused are looked at as if they were active.
    #[serde(default)]
    include_drafts: bool,
}

/// What could not be priced.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct SimulationProblem {
    /// The number of the line it is about; null is shipping or the whole.
    line_no: Option<i32>,
    /// A code of the table of errors.
    code: String,
    /// The same for people.
    detail: String,
    /// What was looked at and passed over.
    because: Vec<Step>,
}

impl From<QuoteProblem> for SimulationProblem {
    fn from(problem: QuoteProblem) -> Self {
        let QuoteProblem { line_no, code, detail, because, .. } = problem;
        Self { line_no, code: code.as_str().to_owned(), detail, because }
    }
}

/// What it would cost, and why.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Simulated {
    /// The instant that it was priced at.
    at: Instant,
    /// As of when the prices in lists are: `at` where that is past, by their history; else now, with what is planned in them.
    prices_as_of: Instant,
    /// The totals with all that explains them; `passed_over` names every promotion that does not apply. Null where the amounts do
    /// not add up.
    totals: Option<Totals>,
    /// What the goods cost after promotions: shipping rates go by it.
    goods_value: Money,
    /// What could not be priced.
    problems: Vec<SimulationProblem>,
}

/// What is read for a simulation.
struct Known {
    variants: HashMap<String, Variant>,
    /// What bundles among them are made of, by its SKU.
    parts: HashMap<String, Variant>,
    prices: HashMap<VariantId, Vec<super::rates::PriceRow>>,
    buyer: Buyer,
    exempt: bool,
    coupons: Vec<Redeemed>,
    person: Person,
}

impl Simulation {
    fn check(&self, channel: &Channel) -> Result<(Currency, Country)> {
        if !(1..=MOST_LINES).contains(&self.lines.len()) {
            return Err(Error::invalid("/lines", format!("expected 1 to {MOST_LINES} lines")));
        }
        if self.coupons.len() > MOST_COUPONS {
            return Err(Error::invalid("/coupons", format!("expected at most {MOST_COUPONS} coupons")));
        }
        for (place, line) in self.lines.iter().enumerate() {
            if line.quantity.is_zero() {
                let error = Error::problem(Code::QuantityInvalid, "expected a whole number from 1 to 1000000000");
                return Err(error.at(format!("/lines/{place}/quantity")));
            }
            if line.unit_price.is_none() && !line.per.is_one() {
                let detail = "only beside a `unit_price`: it is for so many pieces";
                return Err(Error::invalid(format!("/lines/{place}/per"), detail));
            }
            if line.unit_price.is_some_and(|price| price.scaled() < 0) {
                return Err(Error::invalid(format!("/lines/{place}/unit_price"), "expected a price of 0 or more"));
            }
        }
        if let Some(method) = &self.payment_method {
            channel.offers_payment(method).map_err(|error| error.at("/payment_method"))?;
        }
        let country = self.country.map_or_else(|| channel.default_country(), Ok)?;
        if !channel.settings.countries.contains(&country) {
            let detail = format!("this channel does not deliver to {country}");
            return Err(Error::problem(Code::CountryNotServed, detail).at("/country"));
        }
        Ok((channel.currency(self.currency)?, country))
    }

    fn read(
        &self,
        tx: &mut Tx,
        (actor, rules, secret, ordered): Asked<'_>,
        (now, at): (Instant, Instant),
    ) -> Result<Known> {
        let skus: Vec<String> = self.lines.iter().map(|line| line.sku.to_string()).collect();
        let mut variants = catalog::by_skus(tx, &skus)?;
        let parts = catalog::with_components(tx, &mut variants)?;
        let by_sku = |all: Vec<Variant>| -> HashMap<String, Variant> {
            all.into_iter().map(|variant| (variant.sku.clone(), variant)).collect()
        };
        let (variants, parts) = (by_sku(variants), by_sku(parts));
        if let Some(place) = skus.iter().position(|sku| !variants.contains_key(sku)) {
            let sku = self.lines.get(place).map(|line| line.sku.to_string()).unwrap_or_default();
            let unknown = Error::problem(Code::SkuUnknown, format!("there is no SKU `{sku}`"));
            return Err(unknown.at(format!("/lines/{place}/sku")));
        }
        let ids: Vec<VariantId> = variants.values().chain(parts.values()).map(|variant| variant.id).collect();
        let standing = match self.customer_id {
            None => Standing::default(),
            Some(customer) => {
                let customer = customers::named(tx, actor, customer).map_err(|error| error.at("/customer_id"))?;
                customers::standing(tx, customer)?
            }
        };
        let exempt = standing.tax_exempt;
        Ok(Known {
            prices: prices(tx, rules, &ids, (now, at))?,
            variants,
            parts,
            coupons: self.redeemed(tx, (actor, rules), (now, at))?,
            buyer: self.buyer(tx, actor, standing, ordered)?,
            person: Person::new(self.customer_id, self.email.as_ref(), secret),
            exempt,
        })
    }

    /// Who buys: as the customer stands, but for what is said instead.
    fn buyer(&self, tx: &mut Tx, actor: &Actor, standing: Standing, Ordered(ordered): Ordered) -> Result<Buyer> {
        let known = self.customer_id.is_some() || self.email.is_some();
        let first_order = match self.first_order {
            Some(stated) => stated,
            None => known && !ordered(tx, self.customer_id, self.email.as_ref())?,
        };
        let company = match self.company_id {
            None => standing.company,
            Some(company) => {
                companies::all_named(tx, actor, &[company]).map_err(|(_, error)| error.at("/company_id"))?;
                companies::active(tx, company)?
            }
        };
        Ok(Buyer {
            customer: self.customer_id,
            company,
            group: self.customer_group.as_ref().map(ToString::to_string).or(standing.group),
            segments: self.segments.as_deref().map_or(Ok(standing.segments), customers::segments_of)?,
            first_order,
        })
    }

    fn redeemed(
        &self,
        tx: &mut Tx,
        (actor, rules): (&Actor, &Rules),
        (now, at): (Instant, Instant),
    ) -> Result<Vec<Redeemed>> {
        let unknown = |place: usize| {
            let typed = self.coupons.get(place).map(|text| &**text).unwrap_or_default();
            promotions::unknown_coupon(typed).at(format!("/coupons/{place}"))
        };
        let codes: Result<Vec<String>> = self
            .coupons
            .iter()
            .enumerate()
            .map(|(place, text)| code::normalised(text).ok_or_else(|| unknown(place)))
            .collect();
        let codes = codes?;
        let asking = Redeeming { now, at, cart: None, customer: self.customer_id };
        let mut found = promotions::redeemed(tx, asking, &codes)?;
        found.retain(|coupon| rules.sees_promotion(actor, coupon.promotion));
        match codes.iter().position(|code| !found.iter().any(|known| known.code == *code)) {
            Some(place) => Err(unknown(place)),
            None => Ok(found),
        }
    }

    fn lines<'a>(&'a self, known: &'a Known) -> Vec<LineRequest<'a>> {
        let Known { variants, parts, .. } = known;
        let part = |of: &Component| {
            let part = parts.get(&*of.sku).or_else(|| variants.get(&*of.sku))?;
            Some(PartRequest { variant_id: part.id, tax_class: &part.tax_class, quantity: of.quantity.get() })
        };
        let line = |(line_no, line): (i32, &'a SimulatedLine)| {
            let variant = variants.get(&*line.sku)?;
            Some(LineRequest {
                line_no,
                variant_id: variant.id,
                sku: &variant.sku,
                attributes: &variant.attributes,
                tax_class: &variant.tax_class,
                quantity: line.quantity,
                shipped: variant.requires_shipping,
                price_override: line.unit_price.map(|price| PricePer { price, per: line.per }),
                parts: variant.components.iter().filter_map(part).collect(),
            })
        };
        (1..).zip(&self.lines).filter_map(line).collect()
    }

    /// What the goods weigh together.
    fn weight(&self, variants: &HashMap<String, Variant>) -> i64 {
        let weigh = |line: &SimulatedLine| {
            variants.get(&*line.sku).map_or(0, |one| one.weight_grams.saturating_mul(line.quantity.get()))
        };
        self.lines.iter().map(weigh).fold(0, i64::saturating_add)
    }
}

/// Whether a customer, or somebody with this e-mail address, has ordered before: asked of whoever knows orders.
#[derive(Clone, Copy)]
pub struct Ordered(pub fn(&mut Tx, Option<CustomerId>, Option<&Email>) -> Result<bool>);

/// Who simulates, by which rules, and whom is asked.
type Asked<'a> = (&'a Actor, &'a Rules, &'a Secret, Ordered);

/// The prices of articles: those of now with what is planned, or those of a past instant.
fn prices(
    tx: &mut Tx,
    rules: &Rules,
    variants: &[VariantId],
    (now, at): (Instant, Instant),
) -> Result<HashMap<VariantId, Vec<super::rates::PriceRow>>> {
    let mut prices = service::prices(tx, variants)?;
    if at < now && !variants.is_empty() {
        history::prices_at(tx, (&mut prices, &rules.price_lists), variants, at)?;
    }
    Ok(prices)
}

/// What promotions may give.
struct Goods {
    wanted: Vec<(PromotionId, String)>,
    variants: HashMap<String, Variant>,
    prices: HashMap<VariantId, Vec<super::rates::PriceRow>>,
    available: HashMap<VariantId, i64>,
}

impl Goods {
    /// Reads it: no statement where no promotion gives goods, else three.
    fn read(
        tx: &mut Tx,
        rules: &Rules,
        (channel, locations, request): (&Channel, &Locations, &QuoteRequest<'_>),
        now: Instant,
    ) -> Result<Self> {
        let gives = rules.give_goods(request);
        let wanted = if gives { rules.goods_in_question(request) } else { Vec::new() };
        let skus: Vec<String> = wanted.iter().map(|(_, sku)| sku.clone()).collect();
        let mut found = if skus.is_empty() { Vec::new() } else { catalog::by_skus(tx, &skus)? };
        let selling = stock::Selling::of(channel, request.buyer.group.as_deref(), request.at);
        let market = Market::of(locations, channel.id).to(request.country);
        let shelves = stock::outlook::shelves(tx, &mut found, (selling, market))?;
        let ids: Vec<VariantId> = found.iter().map(|variant| variant.id).collect();
        Ok(Self {
            wanted,
            variants: found.into_iter().map(|variant| (variant.sku.clone(), variant)).collect(),
            prices: if ids.is_empty() { HashMap::new() } else { prices(tx, rules, &ids, (now, request.at))? },
            available: shelves.into_iter().map(|(id, shelf)| (id, shelf.sellable)).collect(),
        })
    }

    /// What may be given beside these lines.
    fn requests<'a>(&'a self, lines: &[LineRequest<'_>]) -> Vec<GiftRequest<'a>> {
        let first = lines.iter().map(|line| line.line_no).max().unwrap_or_default().saturating_add(1);
        let request = |(line_no, (promotion, sku)): (i32, &'a (PromotionId, String))| {
            let sold = self.variants.get(sku).filter(|variant| variant.status == VariantStatus::Active);
            let taken = |id: VariantId| {
                lines.iter().filter(|line| line.variant_id == id).map(|line| line.quantity.get()).sum::<i64>()
            };
            let goods = |variant: &'a Variant| {
                let there = self.available.get(&variant.id).copied().unwrap_or_default();
                let available = if variant.is_limited() { there - taken(variant.id) } else { i64::MAX };
                GiftGoods::of(variant, line_no, available)
            };
            GiftRequest { promotion: *promotion, goods: sold.map(goods).ok_or_else(|| GiftGoods::not_sold(sku)) }
        };
        (first..).zip(&self.wanted).map(request).collect()
    }
}

/// Prices the cart; what is left of limited promotions is read as it is now.
fn simulate(
    tx: &mut Tx,
    (actor, rules, secret, ordered): Asked<'_>,
    (channel, seller, locations): (&Channel, Country, &Locations),
    asked: &Simulation,
    (now, at): (Instant, Instant),
) -> Result<Simulated> {
    let (currency, country) = asked.check(channel)?;
    let known = asked.read(tx, (actor, rules, secret, ordered), (now, at))?;
    let consider = if asked.include_drafts { Consider::DraftsToo } else { Consider::Active };
    let nothing = HashMap::new();
    let sale = Sale {
        seller,
        destination: country,
        vat_id: asked.vat_id.clone(),
        exempt: known.exempt,
        policy: policy_for(channel.settings.tax, known.variants.values().any(|variant| variant.requires_shipping)),
    };
    let request = QuoteRequest {
        channel: channel.id,
        currency,
        prices_include_tax: channel.settings.prices_include_tax,
        rounding: channel.settings.rounding,
        country,
        sale: &sale,
        at,
        buyer: &known.buyer,
        device: asked.device.unwrap_or(Device::Desktop),
        origin: asked.source.clone(),
        payment_method: asked.payment_method.as_deref(),
        coupons: &known.coupons,
        left: &nothing,
        detail: Detail::All,
        consider,
        lines: asked.lines(&known),
        gifts: Vec::new(),
        shipping: asked
            .shipping_method
            .as_ref()
            .map(|code| ShippingRequest::whole(code.to_string(), asked.weight(&known.variants))),
        further: Vec::new(),
    };
    let left = left(tx, (now, None), rules, &request, &known.person)?;
    let goods = Goods::read(tx, rules, (channel, locations, &request), now)?;
    let mut prices = known.prices.clone();
    prices.extend(goods.prices.clone());
    let request = QuoteRequest { left: &left, gifts: goods.requests(&request.lines), ..request };
    let mut quote = quote(rules, &prices, &request);
    if let Some(totals) = &mut quote.totals {
        totals.passed_over.retain(|passed| rules.sees_promotion(actor, passed.promotion_id));
    }
    let problems = quote.problems.into_iter().map(SimulationProblem::from).collect();
    Ok(Simulated { at, prices_as_of: at.min(now), totals: quote.totals, goods_value: quote.goods_value, problems })
}

/// What is left of the limited promotions that are in question for what is to be priced, what the cart holds itself included. No statement where there are none.
///
/// # Errors
/// What the database says.
pub fn left(
    tx: &mut Tx,
    (now, cart): (Instant, Option<CartId>),
    rules: &Rules,
    request: &QuoteRequest<'_>,
    person: &Person,
) -> Result<HashMap<PromotionId, Left>> {
    let basket = Basket {
        channel: request.channel,
        currency: request.currency,
        rounding: request.rounding.strategy,
        at: request.at,
        country: request.country,
        device: request.device,
        buyer: request.buyer,
        origin: request.origin.as_ref(),
        payment_method: request.payment_method,
        coupons: request.coupons,
        left: request.left,
        lines: Vec::new(),
        gifts: HashMap::new(),
        with_drafts: request.consider == Consider::DraftsToo,
    };
    promotions::left(tx, (now, cart), rules.promotions.of(request.channel), &basket, person)
}

/// Simulate a cart
///
/// What it would cost, at any instant, as any customer, by the rules as they are now or with drafts of promotions in them; and why:
/// which list gives each price, which promotions apply with what on which line, and of every other the first condition that does not
/// hold. Nothing is kept, and nothing is reserved.
#[utoipa::path(tag = "plan a sale", request_body = Simulation, security(("token" = ["prices:read"])),
    responses((status = 200, body = Simulated)))]
#[post("/pricing/simulate")]
async fn simulate_cart(call: Call, body: Body<Simulation>) -> Result<Reply> {
    let (actor, now, asked) = (call.allow(Scope::PricesRead)?.clone(), call.now, body.value.clone());
    if asked.email.is_some() && !actor.holds(Scope::CustomersRead) {
        let detail = format!("what somebody has used needs the scope `{}`", Scope::CustomersRead);
        return Err(Error::problem(Code::ScopeMissing, detail).at("/email"));
    }
    if !actor.sees_channel(asked.channel_id) {
        return Err(Error::not_found("channel").at("/channel_id"));
    }
    let directory = call.snapshot::<Directory>().await?;
    let channel = directory.get(asked.channel_id).map_err(|error| error.at("/channel_id"))?.clone();
    let (rules, seller) = (call.snapshot::<Rules>().await?, directory.seller_of(&channel)?);
    let (at, locations) = (asked.at.unwrap_or(now), call.snapshot::<Locations>().await?);
    let secret = call.state.secret.clone();
    let ordered = call.request().app_data::<web::Data<Ordered>>().map(|ordered| ***ordered);
    let ordered = ordered.ok_or_else(|| Error::internal("nobody knows who has ordered"))?;
    let read = move |tx: &mut Tx| {
        let asks: Asked<'_> = (&actor, &rules, &secret, ordered);
        simulate(tx, asks, (&channel, seller, &locations), &asked, (now, at))
    };
    Reply::ok(&call.read(read).await?)
}

/// The routes of the ops surface.
pub(super) fn ops(config: &mut Mount<'_>) {
    config.service(simulate_cart);
}
