//! Routes of abandonment: coming back to a cart, and the figures.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::{
    model::{Abandonment, AbandonmentFigures},
    service::{self, Filter},
};
use crate::{
    carts::{self, CartView, Stage},
    channels::Directory,
    db::Tx,
    error::{Code, Error, Result},
    http::{Body, Call, List, Mount, Page, Params, RefPath, Reply},
    kernel::{
        Device, Instant, Moment, Scope,
        ids::{AbandonmentId, CartId, ChannelId},
        text::Text,
    },
};

/// The token of a recovery link.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "Zm9yLWV4YW1wbGUtb25seS0zMi1jaGFy"}))]
pub struct RecoverRequest {
    /// What stands behind `token=` in the link.
    #[schema(value_type = String)]
    pub token: Text<100>,
}

/// A cart that somebody came back to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RecoveredCart {
    /// The cart. `token` opens a guest's: send it as `Cart-Token`.
    #[serde(flatten)]
    pub cart: CartView,
}

/// Come back to a cart
///
/// With the token of the link that `cart.abandoned.v1` carries. The answer is the cart as it is now, and for a guest's
/// the `token` that opens it. A customer's cart opens only for that customer.
#[utoipa::path(tag = "cart", params(("id" = inline(CartId), Path)), request_body = RecoverRequest,
    responses((status = 200, body = RecoveredCart)))]
#[post("/carts/{id}/recover")]
async fn recover_cart(call: Call, path: RefPath<CartId>, body: Body<RecoverRequest>) -> Result<Reply> {
    let (actor, secret, now, id) = (call.actor.clone(), call.state.secret.clone(), call.now, path.0);
    let token = body.token.clone();
    call.command(&body.fingerprint, move |tx| {
        let cart = service::come_back(tx, now, &actor, &secret, id, &token)?;
        let (version, token) = (cart.version, cart.customer.is_none().then(|| carts::cart_token(&secret, id)));
        let view = CartView { token, ..CartView::new(cart, Vec::new()) };
        Ok(Reply::ok(&RecoveredCart { cart: view })?.version(version).secret())
    })
    .await
}

/// Which carts the figures are of.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FiguresQuery {
    /// Carts made from then on; the last 30 days, unless told. A day such as `2026-03-01` is meant from its beginning. Days are
    /// those of the time zone of the channel in `channel`, else of the one that all channels have which you see; where they
    /// have several, a day without a channel is refused.
    #[param(value_type = Option<String>, example = "2026-03-01")]
    pub from: Option<Moment>,
    /// Carts made before then; until now, unless told. A day is meant to its end.
    #[param(value_type = Option<String>, example = "2026-03-31")]
    pub to: Option<Moment>,
    /// Of one channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<ChannelId>,
}

/// For so many days figures are made at once.
const DAYS: i64 = 366;

/// See how carts are abandoned and recovered
///
/// Totals, and rates by device, channel and stage, of carts made in a span of time. Test channels and taken-over
/// history are left out.
#[utoipa::path(tag = "watch the shop", params(FiguresQuery), security(("token" = ["analytics:read"])),
    responses((status = 200, body = AbandonmentFigures)))]
#[get("/abandonment")]
async fn abandonment_figures(call: Call, query: Params<FiguresQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::AnalyticsRead)?.clone();
    let (directory, channel) = (call.snapshot::<Directory>().await?, query.0.channel);
    let (from, to) = directory.span(&actor, channel, ("from", query.0.from), ("to", query.0.to))?;
    let to = to.unwrap_or(call.now);
    let from = from.unwrap_or_else(|| to.plus_seconds(-30 * 86_400));
    if from >= to || to.seconds_since(from) > DAYS * 86_400 {
        let detail = format!("`from` must lie before `to`, by at most {DAYS} days");
        return Err(Error::problem(Code::InvalidQuery, detail).at("from"));
    }
    if channel.is_some_and(|id| !directory.knows(id) || !actor.sees_channel(id)) {
        return Err(Error::not_found("channel").at("channel"));
    }
    let figures = call.read(move |tx| service::figures(tx, &actor, &directory, (from, to), channel)).await?;
    Reply::ok(&figures)
}

/// What the list of abandonments is narrowed to.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AbandonmentQuery {
    /// Of one channel.
    #[param(value_type = Option<String>)]
    pub channel: Option<ChannelId>,
    /// Of one kind of device.
    #[param(inline)]
    pub device: Option<Device>,
    /// Abandoned at one stage.
    #[param(inline)]
    pub stage: Option<Stage>,
    /// Only those that were ordered after all, or only the others.
    pub recovered: Option<bool>,
}

/// List the abandoned carts
///
/// Newest first; nothing in it is personal.
#[utoipa::path(tag = "watch the shop", params(AbandonmentQuery), security(("token" = ["analytics:read"])),
    responses((status = 200, body = Page<Abandonment>)))]
#[get("/abandonments")]
async fn list_abandonments(call: Call, query: List<AbandonmentQuery>) -> Result<Reply> {
    let (actor, wanted) = (call.allow(Scope::AnalyticsRead)?, &query.filter);
    let channels = match wanted.channel {
        Some(channel) if !actor.sees_channel(channel) => return Err(Error::not_found("channel").at("channel")),
        Some(channel) => Some(vec![channel]),
        None => actor.channels().map(<[_]>::to_vec),
    };
    let filter = Filter { channels, device: wanted.device, stage: wanted.stage, recovered: wanted.recovered };
    let read = move |tx: &mut Tx, before: Option<(i64, AbandonmentId)>, limit| {
        service::page(tx, &filter, before.map(|(at, id)| (Instant::from_micros(at), id)), limit)
    };
    query.answer(&call, |one: &Abandonment| (one.abandoned_at.micros(), one.id), read).await
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(recover_cart);
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(abandonment_figures).service(list_abandonments);
}
