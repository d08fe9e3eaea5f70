//! A cart's price and what stands in its way: found anew at every write.

use std::{collections::HashMap, sync::Arc};

use rust_decimal::Decimal;

use super::{
    bundles::{self, CartComponent},
    business, coupons,
    deliveries::{self, Parcel},
    gifts::{self, Gifts},
    lines::MAX_LINES,
    model::{Cart, Problem, Source},
    quoted, store, stored,
};
use crate::{
    catalog::{self, Attributes, Variant, VariantStatus},
    channels::{Channel, Directory},
    customers::{
        self, Standing,
        companies::{Membership, OrderRules},
    },
    db::Tx,
    error::{Code, Result},
    http::{State, seal::Secret},
    kernel::{
        Country, Instant, Money, Per, PricePer,
        ids::{CartId, ChannelId, CustomerId, PromotionId, VariantId},
        text::Email,
    },
    pricing::{
        self, Article, Consider, Described, LineRequest, PartRequest, QuoteRequest, Rules, Shipped, ShippingOption,
        ShippingRequest, Taxed, contracts,
        model::{Buyer, ShippingTotals, Totals},
        promotions::{self, Detail, Left, Origin, Person, Redeemed, Redeeming, Use},
        rates::{self, Asking, PriceRow},
        tax::{self, Sale},
        vat::CheckedVatId,
    },
    stock::{self, Locations, Market, Selling},
};

/// What pricing needs to know beside the cart: from memory, fixed for the request.
#[derive(Clone)]
pub struct Context {
    /// The cart's channel.
    pub channel: Channel,
    /// The country of the legal entity that sells there.
    pub seller: Country,
    /// What addresses are hashed with.
    pub secret: Arc<Secret>,
    /// Price lists, promotions, taxes, shipping methods.
    pub rules: Arc<Rules>,
    /// Where goods lie, and are picked up.
    pub locations: Arc<Locations>,
    /// The time.
    pub now: Instant,
}

impl Context {
    /// What is known of a channel at this moment.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn of(state: &State, channel: ChannelId, now: Instant) -> Result<Self> {
        let (directory, rules) = (state.db.snapshot::<Directory>().await?, state.db.snapshot::<Rules>().await?);
        let channel = directory.get(channel)?.clone();
        let (seller, secret) = (directory.seller_of(&channel)?, state.secret.clone());
        Ok(Self { seller, secret, channel, rules, locations: state.db.snapshot::<Locations>().await?, now })
    }
}

/// What pricing found out on the way.
#[derive(Debug, Default)]
pub struct Priced {
    /// The variants of the lines.
    pub variants: HashMap<VariantId, Variant>,
    /// What moved since the cart was last priced, for the customer to see.
    pub changes: Vec<Problem>,
    /// Who sells to whom across which border; `None` where the price stands.
    pub(super) sale: Option<Sale>,
    /// The customer's group; `None` where nobody has looked.
    pub(super) group: Option<Option<String>>,
}

/// Prices a cart and finds its problems, with a constant number of statements: variants, what new bundles among them are made of,
/// prices and, where `look_at_stock` is set, availability.
///
/// # Errors
/// What the database says.
pub fn reprice(tx: &mut Tx, context: &Context, cart: &mut Cart, look_at_stock: bool) -> Result<Priced> {
    let variants = variants(tx, cart)?;
    reprice_with(tx, context, cart, variants, look_at_stock)
}

/// What is known of the lines of a cart whose price stands: one statement, and one more where a bundle is made of something else since.
///
/// # Errors
/// What the database says.
pub fn known(tx: &mut Tx, cart: &Cart) -> Result<Priced> {
    let mut variants = variants(tx, cart)?;
    let parts = catalog::with_components(tx, &mut variants)?;
    let variants = variants.into_iter().chain(parts).map(|variant| (variant.id, variant)).collect();
    Ok(Priced { variants, ..Priced::default() })
}

pub(super) fn variants(tx: &mut Tx, cart: &Cart) -> Result<Vec<Variant>> {
    let skus = bundles::skus(cart);
    if skus.is_empty() { Ok(Vec::new()) } else { catalog::by_skus(tx, &skus) }
}

/// [`reprice`] with the variants at hand.
pub(super) fn reprice_with(
    tx: &mut Tx,
    context: &Context,
    cart: &mut Cart,
    mut variants: Vec<Variant>,
    look_at_stock: bool,
) -> Result<Priced> {
    let parts = catalog::with_components(tx, &mut variants)?;
    let mut variants: HashMap<VariantId, Variant> =
        variants.into_iter().chain(parts).map(|variant| (variant.id, variant)).collect();
    deliveries::resolve(context, cart);
    let before = gifts::take_off(cart);
    bundles::explode(cart, &variants);
    let (asked, nothing) = (Asked::read(tx, context, cart, &variants)?, HashMap::new());
    let (gifts, goods) = Gifts::read(tx, context, before, &empty_request(context, cart, (&asked, &nothing)))?;
    let mut ids: Vec<VariantId> = bundles::articles(cart).collect();
    ids.extend(goods.iter().map(|variant| variant.id));
    variants.extend(goods.into_iter().map(|variant| (variant.id, variant)));
    let prices = if ids.is_empty() { HashMap::new() } else { pricing::prices(tx, &ids)? };
    let selling = Selling::of(&context.channel, asked.buyer.group.as_deref(), context.now);
    let pickups = deliveries::pickups(&cart.details);
    let market = Market::of(&context.locations, cart.channel).to(destination(context, cart, true)).or_at(&pickups);
    let there = if gifts.any() { gifts::there_for(tx, cart, &variants, (selling, market))? } else { HashMap::new() };
    let (shipping, further) = shipping(cart, &variants);
    let (lines, gifts_of) = (lines(cart, &variants), gifts.requests(cart, &variants, &there));
    let request = empty_request(context, cart, (&asked, &nothing));
    let request = QuoteRequest { lines, gifts: gifts_of, shipping, further, ..request };
    let left = match request.consider {
        Consider::Nothing => HashMap::new(),
        _ => pricing::left(tx, (context.now, Some(cart.id)), &context.rules, &request, &asked.person)?,
    };
    let quote = pricing::quote(&context.rules, &prices, &QuoteRequest { left: &left, ..request });
    gifts.put_on(cart, &variants, &quote.given);
    bundles::explode(cart, &variants);
    let mut problems = missing(context, cart, &variants);
    problems.extend(business::problems(cart, &asked.rules));
    cart.details.contracts = contracts::noted(context.rules.price_lists.of(cart.channel), &quote.by_contract);
    problems.extend(business::below_minimum(cart, quote.goods_value));
    problems.extend(coupons::problems(cart, &asked.coupons, quote.totals.as_ref()));
    for problem in quote.problems {
        let line = problem.line_no.and_then(|no| cart.details.lines.iter().position(|line| line.line_no == no));
        let pointer = match (line, problem.code) {
            (Some(index), _) => format!("/lines/{index}"),
            // A rate that is missing for no line is that of shipping.
            (None, Code::ShippingMethodUnavailable | Code::TaxRateMissing) => {
                deliveries::pointer_of(cart, problem.delivery.as_deref())
            }
            (None, _) => String::new(),
        };
        problems.push(blocking(problem.code.as_str(), problem.detail, pointer));
    }
    if look_at_stock && !ids.is_empty() {
        let available = stock::availability(tx, ids.iter().filter_map(|id| variants.get(id)), (selling, market))?;
        problems.extend(bundles::short(cart, &variants, &available));
        problems.extend(deliveries::short(tx, (context, cart), &variants, selling)?);
    }
    bundles::weigh(cart, context.rules.price_lists.of(cart.channel), &prices, asking(context, cart, &asked.buyer));
    reduce(tx, context, cart, (&variants, &prices), &asked)?;
    let changes = moved(cart, quote.totals.as_ref());
    cart.details.totals = quote.totals;
    quoted::explain(cart);
    cart.details.needs_approval = business::need(cart, &asked.rules, &asked.member);
    cart.details.paid_with = stored::paid_with(tx, context, cart)?;
    problems.extend(stored::problems(&cart.details.paid_with));
    cart.details.problems = problems;
    Ok(Priced { variants, changes, sale: Some(asked.sale), group: Some(asked.buyer.group) })
}

/// Whose prices are asked for, and when.
fn asking<'b>(context: &Context, cart: &Cart, buyer: &'b Buyer) -> Asking<'b> {
    let at = cart.details.occurred_at.unwrap_or(context.now);
    Asking { channel: context.channel.id, currency: cart.currency, buyer, at }
}

/// Notes beside the lines whose prices are those of a sale what these are reduced from. No statement where none is.
fn reduce(
    tx: &mut Tx,
    context: &Context,
    cart: &mut Cart,
    (variants, prices): (&HashMap<VariantId, Variant>, &HashMap<VariantId, Vec<PriceRow>>),
    asked: &Asked,
) -> Result<()> {
    if !rates::announce_sales(context.rules.price_lists.of(cart.channel)) {
        for line in &mut cart.details.lines {
            (line.prior_price, line.prior_per, line.reduction_percent) = (None, Per::ONE, None);
        }
        return Ok(());
    }
    let by_list = cart.details.lines.iter().filter(|line| line.agreed_price.is_none() && line.gift_of.is_none());
    let article = |line: &super::CartLine| {
        let variant = variants.get(&line.variant_id)?;
        Some(Article {
            variant: line.variant_id,
            rows: prices.get(&line.variant_id).map(Vec::as_slice).unwrap_or_default(),
            perishable: variant.perishes_soon(),
            described: Described { sku: &variant.sku, attributes: &variant.attributes },
        })
    };
    let articles: Vec<Article<'_>> = by_list.filter_map(article).collect();
    let asking = asking(context, cart, &asked.buyer);
    let at = asking.at;
    let settings = &context.channel.settings;
    let found = pricing::reductions(tx, &context.rules, (asking, settings.rounding.strategy), &articles)?;
    let charged = (settings.prices_include_tax, settings.rounding.strategy);
    let taxed = Taxed::new(&context.rules, &asked.sale, at, charged);
    for line in &mut cart.details.lines {
        let own = line.agreed_price.is_none() && line.gift_of.is_none();
        let reduction = found.get(&line.variant_id).filter(|_| own);
        let class = variants.get(&line.variant_id).map(|variant| variant.tax_class.as_str()).unwrap_or_default();
        let shown = reduction.and_then(|reduction| taxed.reduction(class, reduction));
        (line.prior_price, line.prior_per) =
            shown.map_or((None, Per::ONE), |(prior, _)| (Some(prior.price), prior.per));
        line.reduction_percent = shown.and_then(|(_, percent)| percent);
    }
    Ok(())
}

/// The country whose tax and shipping rates apply: where it goes, else where the bill goes, else the channel's first. Of what is not
/// shipped it is where the bill goes: an address that nothing goes to says nothing.
pub(super) fn destination(context: &Context, cart: &Cart, shipped: bool) -> Country {
    let bill = cart.details.billing_address.as_ref().map(|address| address.country);
    let goes = || deliveries::country(&cart.details);
    let known = if shipped { goes().or(bill) } else { bill.or_else(goes) };
    known.or_else(|| context.channel.default_country().ok()).unwrap_or(Country::DEFAULT)
}

/// The country whose tax a cart is charged, of goods or of what is not shipped.
pub(crate) fn taxed_in(context: &Context, cart: &Cart, variants: &HashMap<VariantId, Variant>) -> Country {
    destination(context, cart, is_goods(cart, variants))
}

/// Whether a cart is taxed as goods: what is to come into an empty one is taken to be some.
fn is_goods(cart: &Cart, variants: &HashMap<VariantId, Variant>) -> bool {
    cart.details.lines.is_empty() || needs_shipping(cart, variants)
}

/// Who sells to whom across which border.
fn sale(context: &Context, cart: &Cart, variants: &HashMap<VariantId, Variant>, exempt: bool) -> Sale {
    let shipped = is_goods(cart, variants);
    Sale {
        seller: context.seller,
        destination: destination(context, cart, shipped),
        vat_id: cart.details.vat_id.as_ref().and_then(CheckedVatId::counting).cloned(),
        exempt,
        policy: tax::policy_for(context.channel.settings.tax, shipped),
    }
}

/// The shipping methods that a cart which has just been priced is offered, at what they cost it, or one of its deliveries. `value` is
/// that of the goods.
pub(super) fn shipping_options(
    context: &Context,
    (cart, parcel): (&Cart, Option<&Parcel<'_>>),
    priced: &Priced,
    value: Money,
) -> Vec<ShippingOption> {
    let at = cart.details.occurred_at.unwrap_or(context.now);
    let settings = &context.channel.settings;
    let Some(sale) = &priced.sale else { return Vec::new() };
    let taxed = Taxed::new(&context.rules, sale, at, (settings.prices_include_tax, settings.rounding.strategy));
    let weight = match parcel {
        Some(parcel) => parcel.weight(cart, &priced.variants),
        None => weight(cart, &priced.variants),
    };
    let place = (cart.channel, sale.destination);
    let shipped = shipped((cart, parcel), priced, settings.prices_include_tax);
    pricing::shipping_options(&taxed, place, (weight, &shipped), value, settings.rounding.strategy)
}

/// The lines of a priced cart, or of one of its deliveries, that are shipped, as the tax on shipping asks for them.
fn shipped<'p>(
    (cart, parcel): (&Cart, Option<&Parcel<'_>>),
    priced: &'p Priced,
    prices_include_tax: bool,
) -> Vec<Shipped<'p>> {
    let totals = cart.details.totals.iter().flat_map(|totals| &totals.lines);
    let by_line: HashMap<i32, VariantId> =
        cart.details.lines.iter().map(|line| (line.line_no, line.variant_id)).collect();
    let goods = totals.filter_map(|line| {
        let variant = priced.variants.get(by_line.get(&line.line_no)?).filter(|variant| variant.requires_shipping)?;
        let whole = if prices_include_tax { line.gross } else { line.net }.minor();
        let left = match parcel {
            Some(parcel) => parcel.pieces.iter().find(|piece| piece.line_no == line.line_no)?.share(whole),
            None => whole,
        };
        Some(Shipped { class: &variant.tax_class, rate: line.tax_rate, left })
    });
    goods.collect()
}

/// Whether anything in it is shipped.
pub(super) fn needs_shipping(cart: &Cart, variants: &HashMap<VariantId, Variant>) -> bool {
    cart.details
        .lines
        .iter()
        .any(|line| variants.get(&line.variant_id).is_some_and(|variant| variant.requires_shipping))
}

/// What the goods weigh together.
pub(super) fn weight(cart: &Cart, variants: &HashMap<VariantId, Variant>) -> i64 {
    let weigh = |line: &super::CartLine| {
        variants.get(&line.variant_id).map_or(0, |variant| variant.weight_grams.saturating_mul(line.quantity.get()))
    };
    cart.details.lines.iter().map(weigh).fold(0, i64::saturating_add)
}

/// What prices and promotions ask of a cart beside its lines.
pub(super) struct Asked {
    pub(super) buyer: Buyer,
    member: Membership,
    rules: OrderRules,
    pub(super) coupons: Vec<Redeemed>,
    pub(super) person: Person,
    sale: Sale,
}

impl Asked {
    /// Reads it: no statement as long as the customer is not known and no rule asks.
    pub(super) fn read(
        tx: &mut Tx,
        context: &Context,
        cart: &Cart,
        variants: &HashMap<VariantId, Variant>,
    ) -> Result<Self> {
        let (rules, email) = (&context.rules, cart.details.email.as_ref());
        let standing = match cart.customer {
            Some(customer) => customers::standing(tx, customer)?,
            None => Standing::default(),
        };
        let first_order =
            rules.ask_for_first_orders(cart.channel) && !has_ordered(tx, cart.customer, cart.details.email.as_ref())?;
        Ok(Self {
            buyer: Buyer {
                customer: cart.customer,
                company: standing.company,
                group: standing.group,
                segments: standing.segments,
                first_order,
            },
            member: standing.member,
            rules: standing.rules,
            coupons: promotions::redeemed(tx, redeeming(context, cart), &cart.details.coupons)?,
            person: Person::new(cart.customer, email, &context.secret),
            sale: sale(context, cart, variants, standing.tax_exempt),
        })
    }
}

/// Whether somebody has ordered before: by their account, or by their e-mail address with an account or without.
///
/// # Errors
/// What the database says.
pub fn has_ordered(tx: &mut Tx, customer: Option<CustomerId>, email: Option<&Email>) -> Result<bool> {
    has_ordered_beside(tx, customer, email, None)
}

/// The same, where what was ordered by one cart does not count.
pub(super) fn has_ordered_beside(
    tx: &mut Tx,
    customer: Option<CustomerId>,
    email: Option<&Email>,
    but: Option<CartId>,
) -> Result<bool> {
    let mut accounts = email.map_or(Ok(Vec::new()), |email| customers::with_email(tx, email))?;
    accounts.extend(customer);
    store::has_ordered(tx, &accounts, email, but.unwrap_or(CartId::from_bytes([0; 16])))
}

/// How a cart's coupons are looked at.
pub(super) fn redeeming(context: &Context, cart: &Cart) -> Redeeming {
    Redeeming { now: context.now, at: context.now, cart: Some(cart.id), customer: cart.customer }
}

/// What the cart takes of promotions that are limited, as it was priced last.
#[must_use]
pub(crate) fn uses(context: &Context, cart: &Cart) -> Vec<Use> {
    let person = Person::new(cart.customer, cart.details.email.as_ref(), &context.secret);
    promotions::uses_of(context.rules.promotions.of(cart.channel), cart.details.totals.as_ref(), &person)
}

static NO_ATTRIBUTES: Attributes = Attributes::new();

/// The lines whose prices are asked for.
pub(super) fn lines<'a>(cart: &'a Cart, variants: &'a HashMap<VariantId, Variant>) -> Vec<LineRequest<'a>> {
    let part = |of: &CartComponent| {
        let tax_class = &variants.get(&of.variant_id)?.tax_class;
        Some(PartRequest { variant_id: of.variant_id, tax_class, quantity: of.quantity })
    };
    let line = |line: &'a super::CartLine| {
        let variant = variants.get(&line.variant_id);
        LineRequest {
            line_no: line.line_no,
            variant_id: line.variant_id,
            sku: &line.sku,
            attributes: variant.map_or(&NO_ATTRIBUTES, |variant| &variant.attributes),
            tax_class: variant.map(|variant| variant.tax_class.as_str()).unwrap_or_default(),
            quantity: line.quantity,
            shipped: variant.is_some_and(|variant| variant.requires_shipping),
            price_override: line.agreed(),
            parts: line.components.iter().filter_map(part).collect(),
        }
    };
    cart.details.lines.iter().map(line).collect()
}

/// What is asked for a cart, before anything is in it.
pub(super) fn empty_request<'a>(
    context: &Context,
    cart: &'a Cart,
    (asked, left): (&'a Asked, &'a HashMap<PromotionId, Left>),
) -> QuoteRequest<'a> {
    let settings = &context.channel.settings;
    QuoteRequest {
        channel: context.channel.id,
        currency: cart.currency,
        prices_include_tax: settings.prices_include_tax,
        rounding: settings.rounding,
        country: asked.sale.destination,
        sale: &asked.sale,
        at: cart.details.occurred_at.unwrap_or(context.now),
        buyer: &asked.buyer,
        device: cart.device,
        origin: cart.details.source.as_ref().map(origin),
        payment_method: chosen_payment(context, cart),
        coupons: &asked.coupons,
        left,
        detail: Detail::InQuestion,
        // A history was sold as it was sold.
        consider: if cart.details.occurred_at.is_some() { Consider::Nothing } else { Consider::Active },
        lines: Vec::new(),
        gifts: Vec::new(),
        shipping: None,
        further: Vec::new(),
    }
}

/// The shipping that is asked for, of the first delivery and of further ones.
fn shipping(cart: &Cart, variants: &HashMap<VariantId, Variant>) -> (Option<ShippingRequest>, Vec<ShippingRequest>) {
    if deliveries::several(cart) {
        let mut all = deliveries::requests(cart, variants);
        let further = all.split_off(all.len().min(1));
        return (all.pop(), further);
    }
    let method = cart.details.shipping_method.clone();
    let free = cart.details.free_shipping;
    let whole = |code| ShippingRequest { free, ..ShippingRequest::whole(code, weight(cart, variants)) };
    (method.map(whole), Vec::new())
}

/// The payment method that is chosen, as long as the channel offers it.
fn chosen_payment<'a>(context: &Context, cart: &'a Cart) -> Option<&'a str> {
    cart.details.payment_method.as_deref().filter(|method| context.channel.offers_payment(method).is_ok())
}

/// Whether a cart may cost something else when it is paid by this method and not by the one that is chosen.
#[must_use]
pub(crate) fn pays_otherwise(context: &Context, cart: &Cart, method: &str) -> bool {
    let (chosen, details) = (chosen_payment(context, cart), &cart.details);
    // A history was sold as it was sold.
    chosen != Some(method)
        && details.occurred_at.is_none()
        && context.rules.tell_payments_apart(
            (cart.channel, context.now),
            details.totals.as_ref(),
            (chosen, Some(method)),
        )
}

fn origin(source: &Source) -> Origin {
    let Source { utm_source, utm_medium, utm_campaign, affiliate, .. } = source.clone();
    Origin { utm_source, utm_medium, utm_campaign, affiliate }
}

pub(super) fn blocking(code: &str, detail: impl Into<String>, pointer: impl Into<String>) -> Problem {
    Problem { code: code.to_owned(), detail: detail.into(), pointer: pointer.into(), blocking: true }
}

/// What must be known before it can be ordered, and lines that are not sold any more.
fn missing(context: &Context, cart: &Cart, variants: &HashMap<VariantId, Variant>) -> Vec<Problem> {
    let details = &cart.details;
    let mut problems = Vec::new();
    if details.lines.is_empty() {
        problems.push(blocking("cart_empty", "there is nothing in the cart", "/lines"));
    }
    for (index, line) in details.lines.iter().enumerate() {
        let sold = variants.get(&line.variant_id).is_some_and(|variant| variant.status == VariantStatus::Active);
        if !sold {
            problems.push(blocking(
                "not_sold",
                format!("{} is not sold any more", line.sku),
                format!("/lines/{index}"),
            ));
        }
    }
    problems.extend(bundles::too_many(cart, MAX_LINES));
    if details.email.is_none() {
        problems.push(blocking("email_missing", "an e-mail address is needed", "/email"));
    }
    if let Some(vat_id) = details.vat_id.as_ref().filter(|vat_id| vat_id.counting().is_none()) {
        let detail = format!("the VAT number could not be confirmed by {}: send it again later", vat_id.checked_by);
        problems.push(note("vat_id_unconfirmed", detail, "/vat_id"));
    }
    if let Some(method) = details.payment_method.as_ref().filter(|_| chosen_payment(context, cart).is_none()) {
        let detail = format!("this channel does not offer `{method}` any more: choose another");
        problems.push(note(Code::PaymentMethodUnavailable.as_str(), detail, "/payment_method"));
    }
    let ships = needs_shipping(cart, variants);
    problems.extend(deliveries::misplaced(context, cart, variants));
    let bill = details.billing_address.as_ref().filter(|_| !ships && !details.lines.is_empty());
    if let Some(address) = bill.filter(|bill| !context.channel.settings.countries.contains(&bill.country)) {
        // It decides about the tax of what is not shipped.
        let detail = format!("this channel does not sell to {}", address.country);
        problems.push(blocking(Code::CountryNotServed.as_str(), detail, "/billing_address/country"));
    }
    problems.extend(deliveries::unmoved(context, cart, variants));
    problems
}

/// What is not charged as it was: unit prices, tax rates, the price of the same shipping method.
fn moved(cart: &Cart, totals: Option<&Totals>) -> Vec<Problem> {
    let (Some(before), Some(after)) = (&cart.details.totals, totals) else { return Vec::new() };
    let mut changes = Vec::new();
    // A cart may have a thousand lines: they are not each looked for among a thousand.
    let charged = |totals: &Totals| -> HashMap<i32, (PricePer, Decimal)> {
        totals.lines.iter().map(|line| (line.line_no, (line.price(), line.tax_rate))).collect()
    };
    let (was, is) = (charged(before), charged(after));
    for (index, line) in cart.details.lines.iter().enumerate() {
        let (Some((price, rate)), Some((new_price, new_rate))) = (was.get(&line.line_no), is.get(&line.line_no)) else {
            continue;
        };
        let pointer = format!("/lines/{index}");
        if price.by_piece(*new_price).is_ne() {
            changes.push(note("price_changed", format!("{} was {price} and is {new_price}", line.sku), &pointer));
        }
        if rate != new_rate {
            changes.push(tax_changed(&line.sku, (*rate, *new_rate), &pointer));
        }
    }
    for gone in
        before.promotions.iter().filter(|was| !after.promotions.iter().any(|is| is.promotion_id == was.promotion_id))
    {
        let passed = after.passed_over.iter().find(|passed| passed.promotion_id == gone.promotion_id);
        let why = passed.map_or_else(String::new, |passed| format!(": {}", passed.reason.text));
        changes.push(note(
            "promotion_gone",
            format!("{} does not apply any more{why}", gone.name),
            "/totals/promotions",
        ));
    }
    for is in charged_for(after) {
        let same = |was: &&ShippingTotals| was.code == is.code && was.delivery == is.delivery;
        let Some(was) = charged_for(before).find(same) else { continue };
        let pointer = &deliveries::pointer_of(cart, is.delivery.as_deref());
        if was.subtotal != is.subtotal {
            let detail = format!("{} was {} and is {}", is.code, was.subtotal, is.subtotal);
            changes.push(note("shipping_changed", detail, pointer));
        }
        if was.tax_rate != is.tax_rate {
            changes.push(tax_changed(&is.code, (was.tax_rate, is.tax_rate), pointer));
        }
    }
    changes
}

/// The shipping of each delivery.
fn charged_for(totals: &Totals) -> impl Iterator<Item = &ShippingTotals> {
    let one = totals.shipping.as_ref().filter(|_| totals.shipping_parts.is_empty());
    one.into_iter().chain(&totals.shipping_parts)
}

/// Something that the customer should know, and that does not stand in the way.
pub(super) fn note(code: &str, detail: String, pointer: &str) -> Problem {
    Problem { code: code.to_owned(), detail, pointer: pointer.to_owned(), blocking: false }
}

fn tax_changed(what: &str, (was, is): (Decimal, Decimal), pointer: &str) -> Problem {
    let percent = |rate: Decimal| rate.checked_mul(Decimal::ONE_HUNDRED).unwrap_or(rate).normalize();
    let detail = format!("the tax on {what} was {} % and is {} %", percent(was), percent(is));
    note("tax_changed", detail, pointer)
}
