//! Commands and queries of promotions.

use std::collections::{BTreeMap, HashSet};

use super::{
    checks::{self, Article},
    compiled::{Compiled, Line},
    forms::{Activation, Checks, NewPromotion, PromotionPatch, Taken, Warning},
    model::{Gift, Promotion, PromotionCommand, PromotionState},
    store,
};
use crate::{
    catalog::{self, VariantStatus},
    channels::PAYMENT_METHODS,
    customers::companies,
    db::{Tx, bump},
    error::{Code, Error, Result, on_duplicate},
    kernel::{
        Actor, Currency, Instant, Quantity,
        ids::{ChannelId, CompanyId, PromotionId, VariantId},
    },
    pricing::{
        model::Buyer,
        quote::Rules,
        rates::{self, Asking, ListKind},
        service::may_change,
    },
    stock,
};

/// So many articles are looked at before a promotion is activated.
const MOST_ARTICLES: usize = 5_000;

/// The promotions that are not over, in the order in which they go.
pub(in crate::pricing) fn current(tx: &mut Tx) -> Result<Vec<Compiled>> {
    Ok(Compiled::in_order(store::current(tx)?))
}

/// A promotion that an actor may see: of their channels, or for all.
///
/// # Errors
/// `not_found`.
pub(super) fn find(tx: &mut Tx, actor: &Actor, id: PromotionId) -> Result<Promotion> {
    let found = store::find(tx, id)?;
    let seen = found.filter(|promotion| promotion.channel.is_none_or(|channel| actor.sees_channel(channel)));
    seen.ok_or_else(|| Error::not_found("promotion"))
}

/// A promotion that an actor may change.
///
/// # Errors
/// `not_found`; `scope_missing` when it is for all channels and the actor is limited to some.
pub(super) fn changeable(tx: &mut Tx, actor: &Actor, id: PromotionId) -> Result<Promotion> {
    let promotion = find(tx, actor, id)?;
    may_change(actor, promotion.channel)?;
    Ok(promotion)
}

/// A page of promotions that an actor may see, the newest first.
pub(super) fn page(
    tx: &mut Tx,
    actor: &Actor,
    state: Option<PromotionState>,
    mut before: Option<PromotionId>,
    limit: i64,
) -> Result<Vec<Promotion>> {
    let wanted = usize::try_from(limit).map_err(Error::internal)?;
    let mut found = Vec::new();
    loop {
        let read = store::page(tx, state, before, limit)?;
        let last = read.len() < wanted;
        before = read.last().map(|promotion| promotion.id);
        found.extend(read.into_iter().filter(|one| one.channel.is_none_or(|channel| actor.sees_channel(channel))));
        if last || found.len() >= wanted {
            found.truncate(wanted);
            return Ok(found);
        }
    }
}

/// How much of a promotion is taken.
pub(super) fn taken(tx: &mut Tx, id: PromotionId) -> Result<Taken> {
    let (uses, units, amount_minor, reserved) = store::taken(tx, id)?;
    Ok(Taken { uses, units, amount_minor, reserved })
}

/// Makes a promotion: a draft.
///
/// # Errors
/// `duplicate` when the code is taken, `not_found` when the channel is not there, `invalid_value`.
pub(super) fn create(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    id: PromotionId,
    new: &NewPromotion,
) -> Result<Promotion> {
    may_change(actor, new.channel_id)?;
    let promotion = new.build(id, now)?;
    check_named(tx, actor, &promotion)?;
    let taken = || {
        let detail = format!("there is a promotion with the code `{}` already", promotion.code);
        Error::problem(Code::Duplicate, detail).at("/code")
    };
    crate::pricing::service::channel_exists(on_duplicate(store::insert(tx, &promotion), taken))?;
    bump::<Rules>(tx)?;
    Ok(promotion)
}

/// That there are the companies and the payment methods that a promotion is for. None is ever removed, so that they are there when it
/// is written.
fn check_named(tx: &mut Tx, actor: &Actor, promotion: &Promotion) -> Result<()> {
    let conditions = &promotion.rule.conditions;
    if let Some(place) = conditions.payment_methods.iter().position(|code| !PAYMENT_METHODS.contains(&&**code)) {
        let detail = format!("expected some of {}", PAYMENT_METHODS.join(", "));
        let unknown = Error::problem(Code::ProviderUnknown, detail);
        return Err(unknown.at(format!("/conditions/payment_methods/{place}")));
    }
    let named = companies::all_named(tx, actor, &conditions.companies);
    named.map_err(|(place, error)| error.at(format!("/conditions/companies/{place}")))
}

/// Changes a promotion. `expected` is the version that the caller has seen.
///
/// # Errors
/// `not_found`; `version_stale`; `state_conflict` when it is over; `limit_below_use`; `invalid_value`.
pub(super) fn update(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    id: PromotionId,
    expected: Option<i64>,
    patch: &PromotionPatch,
) -> Result<Promotion> {
    let mut promotion = changeable(tx, actor, id)?;
    if expected.is_some_and(|expected| expected != promotion.version) {
        return Err(Error::stale("promotion", promotion.version));
    }
    if promotion.state == PromotionState::Ended {
        return Err(Error::conflict("a promotion that is over is not changed any more: make another one"));
    }
    let budget = promotion.rule.limits.budget;
    patch.apply(&mut promotion, now)?;
    if patch.conditions.is_some() {
        check_named(tx, actor, &promotion)?;
    }
    write(tx, &mut promotion)?;
    let currencies = budget.zip(promotion.rule.limits.budget);
    let another_currency = currencies.is_some_and(|(was, is)| was.currency() != is.currency());
    if patch.limits.is_some() && !store::set_limits(tx, &promotion, another_currency)? {
        let taken = taken(tx, id)?;
        let detail = format!(
            "{} uses, {} pieces and {} minor units are taken already: limit it to as much or more, in the same currency, or pause it",
            taken.uses, taken.units, taken.amount_minor
        );
        return Err(Error::problem(Code::LimitBelowUse, detail).at("/limits"));
    }
    Ok(promotion)
}

fn write(tx: &mut Tx, promotion: &mut Promotion) -> Result<()> {
    if !store::update(tx, promotion, promotion.version)? {
        return Err(Error::overtaken("the promotion"));
    }
    promotion.version += 1;
    bump::<Rules>(tx)
}

/// Activates, pauses or ends a promotion. What was asked for already is answered again and changes nothing. `checked` is the
/// version that was looked at before ([`check_first`]).
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn command(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    id: PromotionId,
    command: PromotionCommand,
    checked: Option<i64>,
) -> Result<Promotion> {
    let mut promotion = changeable(tx, actor, id)?;
    let state = promotion.state.apply(command)?;
    if state == promotion.state {
        return Ok(promotion);
    }
    if command == PromotionCommand::Activate && promotion.valid_until.is_some_and(|until| until <= now) {
        return Err(Error::conflict("it is over by its valid_until: change that first"));
    }
    if checked.is_some_and(|checked| checked != promotion.version) {
        return Err(Error::conflict("the promotion was changed while it was checked: read it and activate it again"));
    }
    promotion.state = state;
    promotion.updated_at = now;
    write(tx, &mut promotion)?;
    Ok(promotion)
}

/// Looks at a promotion before it is activated, outside of the transaction that does so; the version that was looked at.
///
/// # Errors
/// `not_found`; `promotion_warnings` with the warnings when these are not accepted.
pub(super) fn check_first(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    rules: &Rules,
    id: PromotionId,
    activation: &Activation,
) -> Result<i64> {
    let promotion = find(tx, actor, id)?;
    let begins = promotion.state != PromotionState::Active && promotion.state.apply(PromotionCommand::Activate).is_ok();
    if begins && !activation.despite_warnings {
        refuse_warnings(&checked(tx, now, (actor, rules), &promotion)?.warnings)?;
    }
    Ok(promotion.version)
}

fn refuse_warnings(warnings: &[Warning]) -> Result<()> {
    let Some(first) = warnings.first() else { return Ok(()) };
    let error = Error::problem(Code::PromotionWarnings, first.detail.clone()).at("/despite_warnings");
    Err(error.with("warnings", serde_json::to_value(warnings)?))
}

/// What is to be known before a promotion is activated.
///
/// # Errors
/// `not_found`.
pub(super) fn checks(tx: &mut Tx, now: Instant, actor: &Actor, rules: &Rules, id: PromotionId) -> Result<Checks> {
    let promotion = find(tx, actor, id)?;
    checked(tx, now, (actor, rules), &promotion)
}

/// Goes through the articles as they are priced in each currency and channel that the promotion can be for and the actor sees.
fn checked(tx: &mut Tx, now: Instant, (actor, rules): (&Actor, &Rules), promotion: &Promotion) -> Result<Checks> {
    let at = promotion.valid_from.map_or(now, |from| from.max(now));
    let (mut after, mut looked_at, mut complete) = (None::<VariantId>, 0, true);
    let ready = Compiled::new(promotion.clone());
    let mut found: BTreeMap<(String, Option<PromotionId>), Warning> = BTreeMap::new();
    let markets = markets(actor, rules, promotion);
    let seen = |other: &&Compiled| other.promotion.channel.is_none_or(|channel| actor.sees_channel(channel));
    let others: Vec<Compiled> = rules.promotions.iter().filter(seen).cloned().collect();
    let (buyers, mut any_goods) = (buyers(promotion), false);
    loop {
        let variants = catalog::after(tx, after, 500)?;
        let Some(last) = variants.last() else { break };
        after = Some(last.id);
        if looked_at >= MOST_ARTICLES {
            complete = false;
            break;
        }
        looked_at += variants.len();
        let ids: Vec<VariantId> = variants.iter().map(|variant| variant.id).collect();
        let prices = crate::pricing::service::prices(tx, &ids)?;
        for (channel, currency) in &markets {
            let asking = |buyer| Asking { channel: *channel, currency: *currency, buyer, at };
            let sold = variants.iter().filter(|variant| variant.status == VariantStatus::Active);
            let articles = sold.filter_map(|variant| {
                let rows = prices.get(&variant.id)?;
                let won = |buyer| rates::winner(&rules.price_lists, rows, asking(buyer), Quantity::ONE);
                let (list, row) =
                    buyers.iter().filter_map(won).min_by(|(_, one), (_, other)| one.price.by_piece(other.price))?;
                let cost = rates::cost(&rules.price_lists, rows, asking(Buyer::ANYBODY));
                let line = Line {
                    line_no: 1,
                    sku: &variant.sku,
                    attributes: &variant.attributes,
                    price: row.price,
                    quantity: 1,
                    subtotal: 0,
                    cost: cost.map(|_| 0),
                    reduced: list.kind == ListKind::Sale,
                    agreed: false,
                };
                Some(Article { line, cost })
            });
            let articles: Vec<Article<'_>> = articles.collect();
            for warning in checks::warnings(&ready, &others, &articles, *currency) {
                any_goods |= warning.code != "no_goods";
                merge(&mut found, warning);
            }
            any_goods |= articles.iter().any(|article| ready.is_for(&article.line));
        }
    }
    if any_goods {
        found.retain(|_, warning| warning.code != "no_goods");
    }
    let looked_at = i64::try_from(looked_at).map_err(Error::internal)?;
    let mut warnings: Vec<Warning> = found.into_values().collect();
    if let Gift::Goods { sku, quantity, .. } = &promotion.rule.gift {
        warnings.extend(checks::gift_warnings(&given(tx, rules, (&markets, at), sku)?, *quantity));
    }
    Ok(Checks { warnings, looked_at, complete })
}

/// What is known of goods that are given: whether they are sold, how many there are, what they cost in each market.
fn given<'a>(
    tx: &mut Tx,
    rules: &Rules,
    (markets, at): (&[(ChannelId, Currency)], Instant),
    sku: &'a str,
) -> Result<checks::Given<'a>> {
    let found = catalog::by_skus(tx, &[sku.to_owned()])?;
    let Some(variant) = found.first().filter(|variant| variant.status == VariantStatus::Active) else {
        return Ok(checks::Given { sku, sold: false, available: None, prices: Vec::new() });
    };
    let rows = crate::pricing::service::prices(tx, &[variant.id])?;
    let rows = rows.get(&variant.id).map(Vec::as_slice).unwrap_or_default();
    let price = |(channel, currency): &(ChannelId, Currency)| {
        let asking = Asking { channel: *channel, currency: *currency, buyer: Buyer::ANYBODY, at };
        let (_, row) = rates::winner(&rules.price_lists, rows, asking, Quantity::ONE)?;
        Some((row.price, rates::cost(&rules.price_lists, rows, asking)))
    };
    let available = match variant.is_limited() {
        true => Some(stock::availability(tx, &[variant.id])?.get(&variant.id).copied().unwrap_or_default()),
        false => None,
    };
    Ok(checks::Given { sku, sold: true, available, prices: markets.iter().filter_map(price).collect() })
}

/// Those whose prices a promotion reduces, as far as these are their own: the customers of the companies or the groups that it is
/// for, else everybody. Of several prices of an article the lowest is looked at, which falls lowest.
fn buyers(promotion: &Promotion) -> Vec<Buyer> {
    let conditions = &promotion.rule.conditions;
    let companies: Vec<Option<CompanyId>> = conditions.companies.iter().copied().map(Some).collect();
    let groups: Vec<Option<String>> = conditions.customer_groups.iter().map(|group| Some(group.to_string())).collect();
    let or_none = |empty: bool| usize::from(empty);
    let companies = companies.iter().copied().chain(std::iter::repeat_n(None, or_none(companies.is_empty())));
    let groups = || groups.iter().cloned().chain(std::iter::repeat_n(None, or_none(groups.is_empty())));
    let of = |company| groups().map(move |group| Buyer { company, group, ..Buyer::default() });
    companies.flat_map(of).collect()
}

/// The channels and currencies that a promotion can be for, as far as there are price lists for them.
fn markets(actor: &Actor, rules: &Rules, promotion: &Promotion) -> Vec<(ChannelId, Currency)> {
    let only = promotion.rule.currency();
    let mut currencies: Vec<Currency> = rules.price_lists.iter().map(|list| list.currency).collect();
    currencies.sort_unstable_by_key(|currency| currency.code());
    currencies.dedup();
    currencies.retain(|currency| only.is_none_or(|only| only == *currency));
    // Where it is for every channel, the lists for all channels tell the prices, and those of their own for each.
    let mut channels: Vec<ChannelId> = match promotion.channel {
        Some(channel) => vec![channel],
        // One that there is not has but the lists for all.
        None => {
            rules.price_lists.iter().filter_map(|list| list.channel).chain([ChannelId::from_bytes([0; 16])]).collect()
        }
    };
    channels.sort_unstable();
    channels.dedup();
    let named = rules.price_lists.iter().filter_map(|list| list.channel).collect::<HashSet<_>>();
    channels.retain(|channel| !named.contains(channel) || actor.sees_channel(*channel));
    channels.into_iter().flat_map(|channel| currencies.iter().map(move |currency| (channel, *currency))).collect()
}

/// One warning of several about the same.
fn merge(found: &mut BTreeMap<(String, Option<PromotionId>), Warning>, warning: Warning) {
    let key = (warning.code.clone(), warning.promotion_id);
    match found.get_mut(&key) {
        None => {
            found.insert(key, warning);
        }
        Some(known) => {
            known.articles += warning.articles;
            known.examples.extend(warning.examples);
            known.examples.sort_by_key(|example| {
                let (price, lowest) = (i128::from(example.price.minor()).max(1), i128::from(example.lowest.minor()));
                lowest * 10_000 / price
            });
            known.examples.truncate(5);
        }
    }
}
