//! What a storefront shows of many articles at once: price, tiers, availability, in one call.
//!
//! It owns no table: it asks catalogue, pricing and stock one question each, however many articles there are, and
//! never reserves or promises anything.

use std::collections::{BTreeSet, HashMap};

use actix_web::post;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    catalog::{self, BackorderPolicy, StockPolicy, Variant, VariantStatus},
    channels::{Channel, Directory},
    customers::{self, Standing},
    db::Tx,
    error::{Code, Error, Result},
    http::{Body, Call, Mount, Reply},
    kernel::{Country, Currency, Per, PricePer, Quantity, UnitPrice, actor::Identity, ids::VariantId, text::Sku},
    pricing::{
        self, Article, Described, Rules, Taxed,
        model::{Buyer, Step},
        prior::Reduction,
        rates::{self, Asking, PriceRow, PriceTier},
        tax::{self, Sale},
    },
    stock::{self, Locations, Market, outlook::Shelf},
};

/// How many SKUs one call may ask for.
const MAX_SKUS: usize = 200;
/// The highest availability that is disclosed.
const MOST_SHOWN: i64 = 100;

const fn one() -> Quantity {
    Quantity::ONE
}

/// What is asked about.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"skus": ["MUG-KONTOR", "TEE-BLACK-M"], "quantity": 1}))]
pub struct OffersRequest {
    /// The SKUs; each gets its answer in the same place.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 200)]
    pub skus: Vec<Sku>,
    /// The currency; the channel's first where it is left out.
    pub currency: Option<Currency>,
    /// The country of delivery, for the tax; the channel's first where it is left out.
    pub country: Option<Country>,
    /// How many of each: it decides about the tier and `in_stock`.
    #[serde(default = "one")]
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000, default = 1)]
    pub quantity: Quantity,
}

/// What is offered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Offers {
    /// The currency of all prices.
    pub currency: Currency,
    /// The country of delivery that the tax rates are for.
    pub country: Country,
    /// Whether prices include tax.
    pub prices_include_tax: bool,
    /// One per SKU, in the order of the request.
    pub items: Vec<Offer>,
}

/// What is offered of one SKU. Either there is a price or a reason why it is not sold.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Offer {
    /// The SKU as it was asked for.
    pub sku: String,
    /// Its name; absent when there is no such SKU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The price of one unit, or of as many as `per` says, at the quantity asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<UnitPrice>,
    /// How many units the price is for; absent where it is one.
    #[serde(skip_serializing_if = "Per::is_one")]
    pub per: Per,
    /// The price that a single piece is reduced from: the lowest that everybody could buy it at in the 30 days before the reduction
    /// begins, or since 30 days before it was announced (Directive 98/6/EC, Article 6a). Only where the price is one of a `sale` and
    /// lower.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prior_price: Option<UnitPrice>,
    /// How many units the prior price is for; absent where it is one.
    #[serde(skip_serializing_if = "Per::is_one")]
    pub prior_per: Per,
    /// By how many whole per cent a single piece is reduced, cut off; absent below one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 20)]
    pub reduction_percent: Option<i64>,
    /// The prices by quantity, lowest quantity first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<PriceTier>,
    /// The tax rate as a fraction; 0 where nothing is taxed, as for an export.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "0.19")]
    pub tax_rate: Option<Decimal>,
    /// Whether it can be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability: Option<Availability>,
    /// Why it is not sold: `sku_unknown`, `not_sold`, `price_missing` or `tax_rate_missing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Step>,
}

/// Whether an article can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Availability {
    /// Whether the quantity asked for is there.
    pub in_stock: bool,
    /// How many are there, at most 100 are told; absent where stock is not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<i64>,
    /// Whether it is sold even when it is not there, and delivered later.
    pub backorder: bool,
}

impl Availability {
    fn of(variant: &Variant, shelf: Shelf, quantity: Quantity) -> Self {
        let tracked = variant.stock_policy == StockPolicy::Tracked;
        Self {
            in_stock: !tracked || shelf.there >= quantity.get(),
            available: tracked.then_some(shelf.there.clamp(0, MOST_SHOWN)),
            backorder: tracked && (variant.backorder_policy == BackorderPolicy::Allow || shelf.sellable > shelf.there),
        }
    }
}

/// What one answer needs beside the article itself.
struct Asked<'a> {
    rules: &'a Rules,
    asking: Asking<'a>,
    country: Country,
    quantity: Quantity,
    /// How goods are taxed, and how what is not shipped.
    taxed: [Taxed<'a>; 2],
}

impl Asked<'_> {
    fn offer(&self, variant: &Variant, rows: &[PriceRow], reduction: Option<&Reduction>, shelf: Shelf) -> Offer {
        let (lists, currency) = (self.rules.price_lists.of(self.asking.channel), self.asking.currency);
        let ([goods, services], class) = (&self.taxed, variant.tax_class.as_str());
        let taxed = if variant.requires_shipping { goods } else { services };
        let rate = taxed.rate(class).map(|(rate, _)| rate).ok();
        let charged = |price: PricePer| taxed.unit_price(class, price, rate.unwrap_or_default());
        let tier = |tier: PriceTier| {
            let price = charged(PricePer { price: tier.unit_price, per: tier.per })?;
            Some(PriceTier { unit_price: price.price, ..tier })
        };
        let tiers = rates::tiers(lists, rows, self.asking).into_iter().filter_map(tier).collect();
        let named = Offer { name: Some(variant.name.clone()), tiers, ..refused(&variant.sku, "", "") };
        if variant.status != VariantStatus::Active {
            return Offer {
                tiers: Vec::new(),
                reason: Some(Step::new("not_sold", "it is not sold any more")),
                ..named
            };
        }
        // Why each list gives no price is for the merchant to see, not for everybody.
        let won = rates::winner(lists, rows, self.asking, self.quantity);
        let Some(price) = won.and_then(|(_, row)| charged(row.price)) else {
            let text = format!("it has no price in {currency} for {}", self.quantity.get());
            return Offer { reason: Some(Step::new("price_missing", text)), ..named };
        };
        let Some(tax_rate) = rate else {
            let text = format!("it has no tax rate in {}", self.country);
            return Offer { tiers: Vec::new(), reason: Some(Step::new("tax_rate_missing", text)), ..named };
        };
        let shown = reduction.and_then(|reduction| taxed.reduction(class, reduction));
        Offer {
            price: Some(price.price),
            per: price.per,
            prior_price: shown.map(|(prior, _)| prior.price),
            prior_per: shown.map_or(Per::ONE, |(prior, _)| prior.per),
            reduction_percent: shown.and_then(|(_, percent)| percent),
            tax_rate: Some(tax_rate.normalize()),
            availability: Some(Availability::of(variant, shelf, self.quantity)),
            reason: None,
            ..named
        }
    }
}

/// An offer of nothing.
fn refused(sku: &str, code: &str, text: &str) -> Offer {
    Offer {
        sku: sku.to_owned(),
        name: None,
        price: None,
        per: Per::ONE,
        prior_price: None,
        prior_per: Per::ONE,
        reduction_percent: None,
        tiers: Vec::new(),
        tax_rate: None,
        availability: None,
        reason: Some(Step::new(code, text)),
    }
}

fn check(request: &OffersRequest, channel: &Channel) -> Result<(Currency, Country)> {
    if !(1..=MAX_SKUS).contains(&request.skus.len()) {
        return Err(Error::invalid("/skus", format!("expected 1 to {MAX_SKUS} SKUs")));
    }
    if request.quantity.is_zero() {
        let detail = "expected a whole number from 1 to 1000000000";
        return Err(Error::problem(Code::QuantityInvalid, detail).at("/quantity"));
    }
    let country = request.country.map_or_else(|| channel.default_country(), Ok)?;
    if !channel.settings.countries.contains(&country) {
        let detail = format!("this channel does not deliver to {country}");
        return Err(Error::problem(Code::CountryNotServed, detail).at("/country"));
    }
    Ok((channel.currency(request.currency)?, country))
}

fn articles<'a>(variants: &'a [Variant], prices: &'a HashMap<VariantId, Vec<PriceRow>>) -> Vec<Article<'a>> {
    let article = |variant: &'a Variant| Article {
        variant: variant.id,
        rows: prices.get(&variant.id).map(Vec::as_slice).unwrap_or_default(),
        perishable: variant.perishes_soon(),
        described: Described { sku: &variant.sku, attributes: &variant.attributes },
    };
    variants.iter().map(article).collect()
}

/// Who asks: whom prices may be for, and whether they are exempt from tax. No statement where nobody is signed in.
fn buyer(tx: &mut Tx, identity: Option<&Identity>) -> Result<(Buyer, bool)> {
    let customer = identity.map_or(Ok(None), |identity| customers::find(tx, identity))?;
    let Some(customer) = customer else { return Ok((Buyer::default(), false)) };
    let Standing { group, company, segments, tax_exempt, .. } = customers::standing(tx, customer)?;
    Ok((Buyer { customer: Some(customer), company, group, segments, first_order: false }, tax_exempt))
}

/// Ask for prices and availability
///
/// Up to 200 SKUs at once. What is shown is what a cart would charge now, before promotions; it is not reserved. Who is signed in
/// is shown the prices of their own lists, their company's and their group's. Prices have the tax in them that is due in the country,
/// where the channel's include tax.
#[utoipa::path(tag = "browse", request_body = OffersRequest, responses((status = 200, body = Offers)))]
#[post("/offers")]
async fn offers(call: Call, body: Body<OffersRequest>) -> Result<Reply> {
    let shopper = call.shopper()?;
    let directory = call.snapshot::<Directory>().await?;
    let channel = directory.get(shopper.channel)?;
    let (currency, country) = check(&body, channel)?;
    let seller = directory.seller_of(channel)?;
    let (rules, locations) = (call.snapshot::<Rules>().await?, call.snapshot::<Locations>().await?);
    let skus: BTreeSet<String> = body.skus.iter().map(ToString::to_string).collect();
    let (known, at, channel_id, identity) = (rules.clone(), call.now, channel.id, shopper.identity.clone());
    let rounding = channel.settings.rounding.strategy;
    let sells = channel.clone();
    let found = call.read(move |tx| {
        let (buyer, exempt) = buyer(tx, identity.as_ref())?;
        let asking = Asking { channel: channel_id, currency, buyer: &buyer, at };
        let mut variants = catalog::by_skus(tx, &skus.into_iter().collect::<Vec<_>>())?;
        let selling = stock::Selling::of(&sells, buyer.group.as_deref(), at);
        let market = Market::of(&locations, channel_id).to(country);
        let available = stock::outlook::shelves(tx, &mut variants, (selling, market))?;
        let ids: Vec<VariantId> = variants.iter().map(|variant| variant.id).collect();
        let prices = pricing::prices(tx, &ids)?;
        let reductions = pricing::reductions(tx, &known, (asking, rounding), &articles(&variants, &prices))?;
        Ok((variants, prices, reductions, available, (buyer, exempt)))
    });
    let (variants, prices, reductions, available, (buyer, exempt)) = found.await?;
    let variants: HashMap<&str, &Variant> = variants.iter().map(|variant| (variant.sku.as_str(), variant)).collect();
    let asking = Asking { channel: channel.id, currency, buyer: &buyer, at: call.now };
    let sale = |shipped| Sale {
        seller,
        destination: country,
        vat_id: None,
        exempt,
        policy: tax::policy_for(channel.settings.tax, shipped),
    };
    let sales = [true, false].map(sale);
    let charged = (channel.settings.prices_include_tax, channel.settings.rounding.strategy);
    let taxed = sales.each_ref().map(|sale| Taxed::new(&rules, sale, call.now, charged));
    let asked = Asked { rules: &rules, asking, country, quantity: body.quantity, taxed };
    let offer = |sku: &Sku| match variants.get(&**sku) {
        Some(variant) => {
            let rows = prices.get(&variant.id).map(Vec::as_slice).unwrap_or_default();
            asked.offer(
                variant,
                rows,
                reductions.get(&variant.id),
                available.get(&variant.id).copied().unwrap_or_default(),
            )
        }
        None => refused(sku, "sku_unknown", "there is no such SKU"),
    };
    let items = body.skus.iter().map(offer).collect();
    let prices_include_tax = channel.settings.prices_include_tax;
    Reply::ok(&Offers { currency, country, prices_include_tax, items })
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(offers);
}
