//! Routes of waiting for goods; and telling those who wait, beside requests.

use std::collections::HashMap;

use actix_web::{delete, get, post};
use serde::{Deserialize, Serialize};

use super::{
    model::{Measure, Waiting, WaitingState},
    service::{self, Filter, Telling, Wanted, Wish},
};
use crate::{
    channels::Directory,
    customers::{self, SignedIn},
    db::{Lane, Tx},
    error::{Code, Error, Result},
    http::{All, Body, Call, List, Mount, Page, Params, RefPath, Reply, State, idempotency::Fingerprint},
    jobs::{Job, Runner, Verdict},
    kernel::{
        Actor, Id, Instant, Scope,
        actor::Identity,
        ids::{BackInStockId, ChannelId, CustomerId, VariantId},
        text::{Email, Sku, Text},
    },
    stock::Locations,
};

/// What somebody wants to be told of.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sku": "MUG-KONTOR", "email": "ada@example.org", "locale": "de-DE", "consent": true}))]
pub struct BackInStockRequest {
    /// What.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// Where they are told. Whoever is signed in leaves it out, and is told at the address of their account.
    #[serde(default)]
    pub email: Option<Email>,
    /// The language of what they are told: one of the channel's.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 35)]
    pub locale: Option<Text<35>>,
    /// That they agree to be told, once: `true`.
    pub consent: bool,
    /// What they were shown when they agreed. It is kept with it.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1000)]
    pub consent_text: Option<Text<1000>>,
}

/// That somebody waits. The same whether they waited already or not.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BackInStockAccepted {
    /// What for.
    pub sku: String,
    /// Always `waiting`.
    pub state: WaitingState,
}

/// What a customer waits or waited for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OwnBackInStock {
    /// Its id.
    pub id: BackInStockId,
    /// What for.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: WaitingState,
    /// Since when.
    pub created_at: Instant,
    /// Until when.
    pub expires_at: Instant,
    /// When they were told.
    pub told_at: Option<Instant>,
}

/// Somebody who waits, as staff see them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BackInStockView {
    /// Its id.
    pub id: BackInStockId,
    /// Where it was asked for.
    pub channel_id: ChannelId,
    /// What for.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: WaitingState,
    /// Who, where they were signed in.
    pub customer_id: Option<CustomerId>,
    /// Where they are told.
    pub email: String,
    /// In which language.
    pub locale: Option<String>,
    /// What they were shown when they agreed to be told.
    pub consent_text: Option<String>,
    /// Since when they wait, and since when they agreed.
    pub created_at: Instant,
    /// Until when.
    pub expires_at: Instant,
    /// When they were told.
    pub told_at: Option<Instant>,
}

/// How many wait for an article.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BackInStockDemand {
    /// The article.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// How many wait.
    pub waiting: i64,
    /// Since when the first does.
    pub since: Instant,
    /// How many pieces can be had now.
    pub available: i64,
}

/// The token that ends a guest's waiting.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EndQuery {
    /// `end_token` of the event that told of it. Whoever is signed in ends what is theirs without it.
    token: Option<String>,
}

/// Which of those who wait are listed.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BackInStockQuery {
    /// For this article.
    pub sku: Option<String>,
    /// In this channel.
    #[param(value_type = Option<String>)]
    pub channel_id: Option<ChannelId>,
    /// Where they stand.
    #[param(inline)]
    pub state: Option<WaitingState>,
}

/// Ask to be told when something is back
///
/// Once, by whatever reads the events `back_in_stock.subscribed.v1` (for a mail that asks whether it was really them) and
/// `back_in_stock.told.v1`: in the order in which they asked, no more at once than there are pieces. Asking again changes nothing, and the
/// answer does not tell whether somebody waits already.
#[utoipa::path(tag = "browse", request_body = BackInStockRequest,
    responses((status = 202, body = BackInStockAccepted)))]
#[post("/back-in-stock")]
async fn ask_to_be_told(call: Call, body: Body<BackInStockRequest>) -> Result<Reply> {
    call.state.limits.check_back_in_stock(call.request())?;
    let shopper = call.shopper()?.clone();
    let directory = call.snapshot::<Directory>().await?;
    let request = body.value.clone();
    if !request.consent {
        return Err(Error::invalid("/consent", "nobody is told who has not agreed: expected true"));
    }
    if let Some(locale) = &request.locale
        && !directory.get(shopper.channel)?.settings.locales.iter().any(|known| **known == **locale)
    {
        let detail = format!("this channel does not speak {locale}");
        return Err(Error::problem(Code::LocaleNotServed, detail).at("/locale"));
    }
    let days = call.state.settings.back_in_stock.expires_days;
    let wish = Wish {
        id: Id::new(),
        channel: shopper.channel,
        sku: request.sku.to_string(),
        email: request.email,
        locale: request.locale.map(Text::into_string),
        consent_text: request.consent_text.map(Text::into_string),
        expires_at: call.now.plus_seconds(86_400 * days),
        fresh: Id::new(),
    };
    let (actor, now, secret) = (call.actor.clone(), call.now, call.state.secret.clone());
    call.command(&body.fingerprint, move |tx| {
        service::wait(tx, (now, &actor, &*secret), shopper.identity.as_ref(), &wish)?;
        Reply::accepted(&BackInStockAccepted { sku: wish.sku.clone(), state: WaitingState::Waiting })
    })
    .await
}

/// Be told no more
///
/// A guest's with the `token` of the event that told of it, which may have ended already; a signed-in customer's without.
#[utoipa::path(tag = "browse", params(("id" = inline(BackInStockId), Path), EndQuery),
    responses((status = 204)))]
#[delete("/back-in-stock/{id}")]
async fn be_told_no_more(call: Call, path: RefPath<BackInStockId>, query: Params<EndQuery>) -> Result<Reply> {
    let (id, shopper) = (path.0, call.shopper()?.clone());
    let missing = || Error::not_found("waiting");
    match (query.0.token, shopper.identity) {
        (Some(token), _) => {
            if !service::ends(&call.state.secret, id, &token) {
                return Err(missing());
            }
            call.command(&Fingerprint::none(), move |tx| {
                service::remove(tx, id, None)?;
                Ok(Reply::no_content())
            })
            .await
        }
        (None, Some(identity)) => {
            call.command(&Fingerprint::none(), move |tx| {
                if service::remove_own(tx, id, &identity)? { Ok(Reply::no_content()) } else { Err(missing()) }
            })
            .await
        }
        (None, None) => Err(missing()),
    }
}

/// List what I wait for
///
/// In this channel, the oldest first; for signed-in customers. What was told stays for a while. What they have asked for as a guest is
/// among it where their sign-in says that the e-mail address is verified.
#[utoipa::path(tag = "my account", security(("channel_key" = [], "token" = [])),
    responses((status = 200, body = Page<OwnBackInStock>)))]
#[get("/me/back-in-stock")]
async fn list_own_waiting(call: Call, query: List<All>) -> Result<Reply> {
    let shopper = call.shopper()?.clone();
    let sign_in = || Error::problem(Code::Unauthenticated, "sign in to see what you wait for");
    let (identity, channel) = (shopper.identity.clone().ok_or_else(sign_in)?, shopper.channel);
    // The list is there all the same: the job of signing in takes over what this could not.
    if let Err(error) = take_over(&call, &identity).await {
        tracing::warn!(%error, "what a guest has asked for could not be taken over");
    }
    let read = move |tx: &mut Tx, after, limit| {
        let Some(own) = customers::find(tx, &identity)? else { return Ok(Vec::new()) };
        let found = service::of_customer(tx, (own, channel), after, limit)?;
        let names = names(tx, &found)?;
        Ok(found.iter().map(|one| own_view(one, &names)).collect())
    };
    query.answer(&call, |one: &OwnBackInStock| one.id, read).await
}

/// Makes theirs what whoever is signed in has asked for as a guest. Nothing is written where there is nothing.
async fn take_over(call: &Call, identity: &Identity) -> Result<()> {
    let Some(verified) = service::verified(Some(identity)) else { return Ok(()) };
    let asked = verified.clone();
    if !call.read(move |tx| service::any_to_take_over(tx, &asked)).await? {
        return Ok(());
    }
    let (actor, now, fresh, identity) = (call.actor.clone(), call.now, Id::new(), identity.clone());
    let take = move |tx: &mut Tx| {
        let customer = customers::find_and_hold(tx, (now, &actor), fresh, &identity)?;
        service::take_over(tx, customer, &verified)
    };
    call.state.db.write(take).await.map(|_| ())
}

type Names = HashMap<VariantId, (String, String)>;

fn names(tx: &mut Tx, found: &[Waiting]) -> Result<Names> {
    service::names(tx, &found.iter().map(|one| one.variant).collect::<Vec<_>>())
}

fn own_view(one: &Waiting, names: &Names) -> OwnBackInStock {
    let (sku, name) = names.get(&one.variant).cloned().unwrap_or_default();
    let Waiting { id, state, created_at, expires_at, told_at, .. } = one.clone();
    OwnBackInStock { id, sku, name, state, created_at, expires_at, told_at }
}

/// List who waits for goods to come back
///
/// The oldest first. Who was told stays for as many days as `retention.back_in_stock_days` says.
#[utoipa::path(tag = "answer a customer", params(BackInStockQuery), security(("token" = ["customers:read"])),
    responses((status = 200, body = Page<BackInStockView>)))]
#[get("/back-in-stock")]
async fn list_waiting(call: Call, query: List<BackInStockQuery>) -> Result<Reply> {
    let (actor, wanted) = (call.allow(Scope::CustomersRead)?.clone(), query.filter.clone());
    let channels = match wanted.channel_id {
        Some(channel) if !actor.sees_channel(channel) => return Err(Error::not_found("channel").at("channel_id")),
        Some(channel) => Some(vec![channel]),
        None => actor.channels().map(<[_]>::to_vec),
    };
    let read = move |tx: &mut Tx, after, limit| {
        let variant = match &wanted.sku {
            None => None,
            Some(sku) => {
                let unknown = || Error::problem(Code::SkuUnknown, format!("there is no SKU `{sku}`")).at("sku");
                let found = crate::catalog::by_skus(tx, std::slice::from_ref(sku))?.pop();
                Some(found.ok_or_else(unknown)?.id)
            }
        };
        let filter = Filter { channels: channels.clone(), variant, state: wanted.state, ..Filter::default() };
        let found = service::page(tx, &filter, after, limit)?;
        let names = names(tx, &found)?;
        Ok(found.iter().map(|one| view(one, &names)).collect())
    };
    query.answer(&call, |one: &BackInStockView| one.id, read).await
}

/// What a customer waits or waited for, or guests with an e-mail address, oldest first, from behind one: for who gets everything that is kept
/// of them.
///
/// # Errors
/// What the database says.
pub fn of_person(
    tx: &mut Tx,
    (customer, guest): (Option<CustomerId>, Option<&Email>),
    after: Option<BackInStockId>,
    limit: i64,
) -> Result<Vec<BackInStockView>> {
    let filter = Filter { customer, guest: guest.map(Email::folded), ..Filter::default() };
    let found = service::page(tx, &filter, after, limit)?;
    let names = names(tx, &found)?;
    Ok(found.iter().map(|one| view(one, &names)).collect())
}

fn view(one: &Waiting, names: &Names) -> BackInStockView {
    let (sku, name) = names.get(&one.variant).cloned().unwrap_or_default();
    let Waiting { id, channel, variant, customer, email, locale, consent_text, state, created_at, expires_at, told_at } =
        one.clone();
    BackInStockView {
        id,
        channel_id: channel,
        variant_id: variant,
        sku,
        name,
        state,
        customer_id: customer,
        email,
        locale,
        consent_text,
        created_at,
        expires_at,
        told_at,
    }
}

/// See what is waited for
///
/// How many wait for each article, in the order of the articles' ids: a figure of what would be bought if it were there. Nothing in it is
/// personal.
#[utoipa::path(tag = "keep stock", security(("token" = ["stock:read"])),
    responses((status = 200, body = Page<BackInStockDemand>)))]
#[get("/back-in-stock/demand")]
async fn list_demand(call: Call, query: List<All>) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::StockRead)?.clone(), call.now);
    let read = move |tx: &mut Tx, after, limit| {
        let found = service::demand(tx, now, actor.channels(), after, limit)?;
        let ids: Vec<VariantId> = found.iter().map(|(id, ..)| *id).collect();
        let mut wanted = service::wanted(tx, &ids)?;
        let row = |(variant_id, waiting, since): (VariantId, i64, Instant)| {
            let Wanted { sku, name, there } = wanted.remove(&variant_id)?;
            Some(BackInStockDemand { variant_id, sku, name, waiting, since, available: there.max(0) })
        };
        Ok(found.into_iter().filter_map(row).collect())
    };
    query.answer(&call, |one: &BackInStockDemand| one.variant_id, read).await
}

/// So many articles are looked at in one read.
const LOOK: i64 = 200;

/// Registers the schedule, and what is done when somebody signs in for the first time.
pub fn work(state: &State, runner: &mut Runner) {
    let own = state.clone();
    runner.handle(customers::SIGNED_IN, move |job| {
        let state = own.clone();
        async move { take_over_later(&state, job).await }
    });
    let state = state.clone();
    runner.every("back-in-stock", 15, move |now| {
        let state = state.clone();
        async move { tell_all(&state, now).await }
    });
}

/// Makes theirs what a customer had asked for as a guest.
async fn take_over_later(state: &State, job: Job) -> Result<Verdict> {
    let signed_in: SignedIn = match serde_json::from_value(job.payload.clone()) {
        Ok(signed_in) => signed_in,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let take = move |tx: &mut Tx| {
        if let Some(email) = signed_in.email(tx)? {
            service::take_over(tx, signed_in.customer, &email)?;
        }
        job.finish(tx)
    };
    state.db.write_in(Lane::Bulk, take).await?;
    Ok(Verdict::Settled)
}

/// Tells those who wait for what is there again. Breaking off loses nothing: each transaction tells some, and notes it.
async fn tell_all(state: &State, now: Instant) -> Result<()> {
    let settings = &state.settings.back_in_stock;
    let measure = Measure { percent: settings.told_percent, wave_hours: settings.wave_hours };
    let directory = state.db.snapshot::<Directory>().await?;
    let locations = state.db.snapshot::<Locations>().await?;
    let mut after = None;
    loop {
        let (known, places) = (directory.clone(), locations.clone());
        let look = move |tx: &mut Tx| {
            let telling = Telling { measure, directory: &known, locations: &places };
            service::due(tx, now, telling, after, LOOK)
        };
        let (due, last) = state.db.read(look).await?;
        for variant in due {
            let mut more = true;
            while more {
                let (secret, known, places) = (state.secret.clone(), directory.clone(), locations.clone());
                let tell = move |tx: &mut Tx| {
                    let telling = Telling { measure, directory: &known, locations: &places };
                    service::tell(tx, (now, &Actor::System("back-in-stock"), &*secret), telling, variant)
                };
                more = state.db.write_in(Lane::Bulk, tell).await?;
            }
        }
        match last {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(ask_to_be_told).service(be_told_no_more).service(list_own_waiting);
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_demand).service(list_waiting);
}
