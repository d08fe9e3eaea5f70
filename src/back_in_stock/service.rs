//! Waiting for goods, and being told of them.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

// What is asked for as it stands in the tables.
pub(super) use super::store::{Filter, demand, of_customer, page};
use super::{
    model::{Measure, Room, Stall, Waiting, WaitingState},
    store,
};
use crate::{
    catalog::{self, StockPolicy, Variant, VariantStatus},
    channels::Directory,
    customers,
    db::Tx,
    error::{Code, Error, Result},
    events::{self, EventSchema, NewEvent, Payload},
    http::seal::Secret,
    kernel::{
        Actor, Id, Instant,
        actor::Identity,
        ids::{BackInStockId, ChannelId, CustomerId, VariantId},
        text::Email,
    },
    stock::{
        Locations, Market, Selling,
        outlook::{self, Shelf},
    },
};

const SUBSCRIBED: &str = "back_in_stock.subscribed.v1";
const TOLD: &str = "back_in_stock.told.v1";
/// What the tokens that end a waiting are derived for: they open nothing else.
const PURPOSE: &str = "back-in-stock";

/// What `back_in_stock.subscribed.v1` and `back_in_stock.told.v1` say. What is personal is gone after an erasure.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct BackInStock<'a> {
    /// Its id.
    id: BackInStockId,
    /// Where it was asked for.
    channel_id: ChannelId,
    /// What is waited for.
    sku: &'a str,
    variant_id: VariantId,
    /// Its name.
    name: &'a str,
    /// Who waits, where they were signed in.
    customer_id: Option<CustomerId>,
    /// The language to write in.
    locale: Option<&'a str>,
    /// Since when they wait, and since when they agreed to be told.
    created_at: Instant,
    /// Until when.
    expires_at: Instant,
    /// When they were told.
    told_at: Option<Instant>,
    /// Where to write to.
    email: Option<&'a str>,
    /// Ends the waiting: `DELETE /v1/store/back-in-stock/{id}?token=…`.
    end_token: Option<String>,
}

/// What is personal in it, at the same places.
#[derive(Debug, Serialize)]
struct Personal<'a> {
    email: &'a str,
    end_token: String,
}

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    [SUBSCRIBED, TOLD].into_iter().map(EventSchema::of::<BackInStock<'_>>).collect()
}

/// Whether a token ends a waiting.
pub(super) fn ends(secret: &Secret, id: BackInStockId, token: &str) -> bool {
    secret.is_token(PURPOSE, &id.to_string(), token)
}

/// Who asks to be told, and of what.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub id: BackInStockId,
    pub channel: ChannelId,
    pub sku: String,
    /// The address of a guest.
    pub email: Option<Email>,
    pub locale: Option<String>,
    pub consent_text: Option<String>,
    pub expires_at: Instant,
    /// The id of a customer who signs in for the first time.
    pub fresh: CustomerId,
}

/// Has somebody wait for an article: the id where they are signed in, and whether they waited already or not. One who waits already goes
/// on as before. Guests are told the same in both cases.
///
/// # Errors
/// `sku_unknown`; `invalid_value` for what is not counted, or an address beside that of the account; `missing_field` where there is none.
pub(super) fn wait(
    tx: &mut Tx,
    (now, actor, secret): (Instant, &Actor, &Secret),
    identity: Option<&Identity>,
    wish: &Wish,
) -> Result<Waiting> {
    let unknown = || Error::problem(Code::SkuUnknown, format!("there is no SKU `{}`", wish.sku)).at("/sku");
    let mut variants = catalog::by_skus(tx, std::slice::from_ref(&wish.sku))?;
    // A bundle is counted where one of its components is.
    catalog::with_components(tx, &mut variants)?;
    let variant = variants.pop().filter(|variant| variant.status == VariantStatus::Active).ok_or_else(unknown)?;
    if variant.stock_policy != StockPolicy::Tracked {
        return Err(Error::invalid("/sku", "its stock is not counted: it can always be had"));
    }
    let customer =
        identity.map(|identity| customers::find_and_hold(tx, (now, actor), wish.fresh, identity)).transpose()?;
    if let (Some(customer), Some(verified)) = (customer, verified(identity)) {
        take_over(tx, customer, &verified)?;
    }
    let email = address(tx, customer, wish.email.as_ref())?;
    let waiting = Waiting {
        id: wish.id,
        channel: wish.channel,
        variant: variant.id,
        customer,
        email: email.as_str().to_owned(),
        locale: wish.locale.clone(),
        consent_text: wish.consent_text.clone(),
        state: WaitingState::Waiting,
        created_at: now,
        expires_at: wish.expires_at,
        told_at: None,
    };
    let expired = store::end_expired(tx, now, &waiting, &email.folded())?;
    forget(tx, &expired)?;
    if store::insert(tx, &waiting, &email.folded())? {
        let event = event(SUBSCRIBED, secret, now, &waiting, &variant, Id::new())?;
        events::append(tx, actor, now, vec![event])?;
    }
    Ok(waiting)
}

/// The e-mail address that whoever is signed in has shown to be theirs.
pub(super) fn verified(identity: Option<&Identity>) -> Option<Email> {
    identity?.verified_email.as_deref().and_then(|email| Email::new(email).ok())
}

/// What guests wait or waited for with an e-mail address that was shown to be somebody's. Only ASCII letters may differ in case: in
/// Unicode there are letters that fold to ASCII ones, and with them mailboxes of strangers.
fn left_by_guests(tx: &mut Tx, verified: &Email) -> Result<Vec<BackInStockId>> {
    let found = store::of_guests(tx, &verified.folded())?;
    let own = found.into_iter().filter(|(_, email)| email.eq_ignore_ascii_case(verified.as_str()));
    Ok(own.map(|(id, _)| id).collect())
}

/// Whether there is anything that [`take_over`] would take. One statement.
///
/// # Errors
/// What the database says.
pub(super) fn any_to_take_over(tx: &mut Tx, verified: &Email) -> Result<bool> {
    Ok(!left_by_guests(tx, verified)?.is_empty())
}

/// Makes what somebody has waited for as a guest theirs, now that they have shown that the e-mail address is theirs: they see it, end it, and
/// are erased with it. The customer is held. One statement, and one more where there is something.
///
/// # Errors
/// What the database says.
pub(super) fn take_over(tx: &mut Tx, customer: CustomerId, verified: &Email) -> Result<usize> {
    let ids = left_by_guests(tx, verified)?;
    if ids.is_empty() { Ok(0) } else { store::take_over(tx, customer, &ids) }
}

/// Where somebody is told: at the address of their account, or the one that they send.
fn address(tx: &mut Tx, customer: Option<CustomerId>, sent: Option<&Email>) -> Result<Email> {
    let account =
        customer.map(|id| customers::by_id(tx, id)).transpose()?.flatten().and_then(|customer| customer.email);
    match (account, sent) {
        (Some(account), Some(sent)) if account.folded() != sent.folded() => {
            Err(Error::invalid("/email", "leave it out: whoever is signed in is told at the address of their account"))
        }
        (Some(account), _) => Ok(account),
        (None, Some(sent)) => Ok(sent.clone()),
        (None, None) => Err(Error::problem(Code::MissingField, "expected an e-mail address to tell").at("/email")),
    }
}

fn event(
    kind: &'static str,
    secret: &Secret,
    now: Instant,
    one: &Waiting,
    variant: &Variant,
    id: crate::kernel::ids::EventId,
) -> Result<NewEvent> {
    let data = BackInStock {
        id: one.id,
        channel_id: one.channel,
        sku: &variant.sku,
        variant_id: one.variant,
        name: &variant.name,
        customer_id: one.customer,
        locale: one.locale.as_deref(),
        created_at: one.created_at,
        expires_at: one.expires_at,
        told_at: one.told_at,
        email: None,
        end_token: None,
    };
    let personal = Personal { email: &one.email, end_token: secret.token(PURPOSE, &one.id.to_string()) };
    Ok(NewEvent {
        // Nobody is told of it before the commit, so a second run may give another.
        id,
        stream: one.id.to_string(),
        aggregate: "back_in_stock",
        aggregate_id: one.id.to_string(),
        aggregate_version: if one.told_at.is_some() { 2 } else { 1 },
        channel: Some(one.channel),
        kind,
        occurred_at: now,
        payload: Payload::with_personal(&data, &personal)?,
        subject: one.customer,
    })
}

/// So many are told in one transaction.
const BITE: i64 = 200;

/// How many are told, and where.
#[derive(Clone, Copy)]
pub(super) struct Telling<'a> {
    pub measure: Measure,
    pub directory: &'a Directory,
    pub locations: &'a Locations,
}

/// Articles, the components of the bundles among them at hand.
struct Articles {
    own: Vec<Variant>,
    parts: Vec<Variant>,
}

impl Articles {
    /// One statement, and one more where there is a bundle; none for none.
    fn read(tx: &mut Tx, ids: &[VariantId]) -> Result<Self> {
        let mut own = if ids.is_empty() { Vec::new() } else { catalog::by_ids(tx, ids)? };
        let parts = catalog::with_components(tx, &mut own)?;
        Ok(Self { own, parts })
    }

    /// What can be had of them. One statement.
    fn shelves(&self, tx: &mut Tx, selling: Selling, market: Market<'_>) -> Result<HashMap<VariantId, Shelf>> {
        outlook::shelves_among(tx, (&self.own, &self.parts), (selling, market))
    }

    /// Some of them.
    fn only(&self, ids: &[VariantId]) -> Self {
        let own = self.own.iter().filter(|variant| ids.contains(&variant.id)).cloned().collect();
        Self { own, parts: self.parts.clone() }
    }
}

impl Telling<'_> {
    /// How many more may be told of articles: in each channel, and in all. A statement for each channel in which somebody waits, and
    /// two more.
    fn rooms(self, tx: &mut Tx, now: Instant, of: &Articles) -> Result<HashMap<VariantId, (Vec<Room>, i64)>> {
        let ids: Vec<VariantId> = of.own.iter().map(|variant| variant.id).collect();
        let (all, found) = (of.shelves(tx, Selling::default(), Market::EVERYWHERE)?, store::stalls(tx, &ids)?);
        let mut sold: BTreeMap<ChannelId, Vec<VariantId>> = BTreeMap::new();
        for (variant, channel, ..) in &found {
            sold.entry(*channel).or_default().push(*variant);
        }
        let mut there: HashMap<(VariantId, ChannelId), i64> = HashMap::new();
        for (channel, variants) in sold {
            // What is not known here yet is at the next look.
            let Ok(known) = self.directory.get(channel) else { continue };
            let shelves =
                of.only(&variants).shelves(tx, Selling::of(known, None, now), Market::of(self.locations, channel))?;
            there.extend(shelves.into_iter().map(|(variant, shelf)| ((variant, channel), shelf.there)));
        }
        let mut stalls: HashMap<VariantId, Vec<Stall>> = HashMap::new();
        for (variant, channel, waits, wave) in found {
            let there = there.get(&(variant, channel)).copied().unwrap_or_default();
            stalls.entry(variant).or_default().push(Stall { channel, waits, wave, there });
        }
        let rooms = stalls.into_iter().map(|(variant, stalls)| {
            let there = all.get(&variant).map_or(0, |shelf| shelf.there);
            (variant, self.measure.rooms(there, &stalls, now))
        });
        Ok(rooms.collect())
    }
}

/// The articles, from behind one, of which more may be told than have been, or fewer than were: up to `limit` are looked at. The last
/// that was looked at, while there may be more.
///
/// # Errors
/// What the database says.
pub(super) fn due(
    tx: &mut Tx,
    now: Instant,
    telling: Telling<'_>,
    after: Option<VariantId>,
    limit: i64,
) -> Result<(Vec<VariantId>, Option<VariantId>)> {
    let mut ids = store::awaited(tx, after, limit)?;
    let last = ids.last().copied().filter(|_| i64::try_from(ids.len()).is_ok_and(|found| found == limit));
    let articles = Articles::read(tx, &ids)?;
    let rooms = telling.rooms(tx, now, &articles)?;
    let moves = |(rooms, _): &(Vec<Room>, i64)| rooms.iter().any(|room| room.more > 0 || room.differs());
    ids.retain(|id| rooms.get(id).is_some_and(moves));
    Ok((ids, last))
}

/// Tells the next of those who wait for an article, as many as there is something for in their channels; whether there may be more to
/// tell. Those who tell of it at once do it one after another.
///
/// # Errors
/// What the database says.
pub(super) fn tell(
    tx: &mut Tx,
    (now, actor, secret): (Instant, &Actor, &Secret),
    telling: Telling<'_>,
    id: VariantId,
) -> Result<bool> {
    store::lock(tx, id)?;
    let mut article = Articles::read(tx, &[id])?;
    let (rooms, left) = telling.rooms(tx, now, &article)?.remove(&id).unwrap_or_default();
    let variant = article.own.pop().filter(|variant| variant.status == VariantStatus::Active);
    let most = if variant.is_some() { left.min(BITE) } else { 0 };
    let next = next(tx, now, id, &rooms, most)?;
    let full = i64::try_from(next.len()).is_ok_and(|count| count == BITE);
    let ids: Vec<BackInStockId> = next.iter().map(|one| one.id).collect();
    // Without those who have ended their waiting meanwhile.
    let told: HashSet<BackInStockId> =
        if ids.is_empty() { HashSet::new() } else { store::told(tx, now, &ids)?.into_iter().collect() };
    let next: Vec<Waiting> = next.into_iter().filter(|one| told.contains(&one.id)).collect();
    for room in &rooms {
        let count = next.iter().filter(|one| one.channel == room.channel).count();
        if count > 0 || room.differs() {
            let told_for = room.told_for + i64::try_from(count).map_err(Error::internal)?;
            store::set_wave(tx, now, (id, room.channel), told_for)?;
        }
    }
    let Some(variant) = variant else { return Ok(false) };
    let told = next.into_iter().map(|one| {
        let one = Waiting { state: WaitingState::Told, told_at: Some(now), ..one };
        event(TOLD, secret, now, &one, &variant, Id::new())
    });
    let told = told.collect::<Result<Vec<_>>>()?;
    if !told.is_empty() {
        events::append(tx, actor, now, told)?;
    }
    Ok(full)
}

/// The first of those who wait for an article, `most` of them, and in each channel no more than may be told there.
fn next(tx: &mut Tx, now: Instant, id: VariantId, rooms: &[Room], most: i64) -> Result<Vec<Waiting>> {
    let mut next = Vec::new();
    for room in rooms.iter().filter(|room| room.more.min(most) > 0) {
        next.extend(store::first(tx, now, (id, room.channel), room.more.min(most))?);
    }
    next.sort_unstable_by_key(|one| one.id);
    next.truncate(usize::try_from(most).map_err(Error::internal)?);
    Ok(next)
}

/// Takes what is personal out of the events of waiting that is there no more: nothing leads an erasure to them any longer.
fn forget(tx: &mut Tx, gone: &[BackInStockId]) -> Result<()> {
    if !gone.is_empty() {
        events::erase(tx, &gone.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Ends somebody's waiting, and forgets who it was: by its id alone, or where it is a customer's. False where there is none such.
///
/// # Errors
/// What the database says.
pub(super) fn remove(tx: &mut Tx, id: BackInStockId, of: Option<CustomerId>) -> Result<bool> {
    let gone = store::remove(tx, id, of)?;
    forget(tx, &gone)?;
    Ok(!gone.is_empty())
}

/// The same of whoever is signed in: theirs, or a guest's with the address that they have shown to be theirs.
///
/// # Errors
/// What the database says.
pub(super) fn remove_own(tx: &mut Tx, id: BackInStockId, identity: &Identity) -> Result<bool> {
    if let Some(own) = customers::find(tx, identity)?
        && remove(tx, id, Some(own))?
    {
        return Ok(true);
    }
    let Some(verified) = verified(Some(identity)) else { return Ok(false) };
    match left_by_guests(tx, &verified)?.contains(&id) {
        true => remove(tx, id, None),
        false => Ok(false),
    }
}

/// Forgets who has waited for too long, and who was told before an instant, in the events too; how many these are, `limit` at most of
/// each.
///
/// # Errors
/// What the database says.
pub fn purge(tx: &mut Tx, now: Instant, told_before: Instant, limit: i64) -> Result<usize> {
    let [expired, told] = store::purge(tx, now, told_before, limit)?;
    forget(tx, &expired)?;
    forget(tx, &told)?;
    Ok(expired.len().max(told.len()))
}

/// Forgets what a customer waits or waited for: the streams of its events, which are erased too by whoever asks.
///
/// # Errors
/// What the database says.
pub fn erase_of_customer(tx: &mut Tx, customer: CustomerId) -> Result<Vec<String>> {
    Ok(store::erase(tx, Some(customer), None)?.iter().map(ToString::to_string).collect())
}

/// The same of guests with an e-mail address.
///
/// # Errors
/// What the database says.
pub fn erase_of_guest(tx: &mut Tx, email: &Email) -> Result<Vec<String>> {
    Ok(store::erase(tx, None, Some(&email.folded()))?.iter().map(ToString::to_string).collect())
}

/// An article that is waited for.
pub(super) struct Wanted {
    pub sku: String,
    pub name: String,
    /// How many pieces of it can be had: less than none where it owes.
    pub there: i64,
}

/// The articles that are waited for, with what is there of each.
pub(super) fn wanted(tx: &mut Tx, ids: &[VariantId]) -> Result<HashMap<VariantId, Wanted>> {
    let articles = Articles::read(tx, ids)?;
    let shelves = articles.shelves(tx, Selling::default(), Market::EVERYWHERE)?;
    let wanted = |Variant { id, sku, name, .. }: Variant| {
        let there = shelves.get(&id).map_or(0, |shelf| shelf.there);
        (id, Wanted { sku, name, there })
    };
    Ok(articles.own.into_iter().map(wanted).collect())
}

/// The SKUs and names of articles.
pub(super) fn names(tx: &mut Tx, ids: &[VariantId]) -> Result<HashMap<VariantId, (String, String)>> {
    let found = catalog::by_ids(tx, ids)?;
    Ok(found.into_iter().map(|variant| (variant.id, (variant.sku, variant.name))).collect())
}
