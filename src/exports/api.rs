//! Routes of the feeds.

use actix_web::{HttpResponse, delete, get, post};
use serde::Deserialize;

use super::{
    consumers::{self, Acknowledged, ConsumerView, Named, OwnedConsumer, ParkedItem},
    format::{self, Format},
    model::{Feed, FeedPage, ItemRef, ItemState, View},
    poll::{self, Request, Wish},
    snapshot::{self, SnapshotPage},
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    http::{
        All, Body, Call, Cursor, List, ListQuery, Mount, Page, Params, RefPath, Reply, count_all,
        idempotency::Fingerprint, paging, paging::Count,
    },
    kernel::{
        Scope,
        ids::{ConsumerId, CredentialId},
        patch::present,
        text::{Note, Text},
    },
};

/// What is polled.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FeedQuery {
    /// Without a consumer: `next_cursor` of the answer before, `oldest` (the default) or `latest`.
    pub after: Option<String>,
    /// Poll as this named consumer: its cursor is kept here, and each item must be acknowledged.
    #[param(max_length = 100)]
    pub consumer: Option<String>,
    /// Where a new consumer begins: `oldest` (the default), `latest`, or a cursor.
    pub start: Option<String>,
    /// For how many seconds the items are the consumer's alone, 5 to 3600; 60 unless told.
    #[param(minimum = 5, maximum = 3600)]
    pub lease_seconds: Option<i64>,
    /// For a consumer: how often an item is handed out without an answer before it is set aside by itself, 1 to 1000; 20
    /// unless told. From half of that on it is handed out alone.
    #[param(minimum = 1, maximum = 1000)]
    pub max_attempts: Option<i64>,
    /// How many items at most, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<i64>,
    /// Beginnings of types with commas between, which narrow the feed. A consumer keeps to its own.
    #[param(example = "order.placed,payment.")]
    pub types: Option<String>,
    /// `at_event`: the document as it was then. `current`: the newest of the order, fulfilment order, shipment, return, stock
    /// level or abandonment that the event tells of; the event's own for other types.
    #[param(inline)]
    pub view: Option<View>,
    /// `json`, `ndjson` or `csv`; `Accept` with `application/x-ndjson` or `text/csv` does too.
    #[param(inline)]
    pub format: Option<Format>,
    /// Whether events of test channels are among them.
    pub include_test: Option<bool>,
    /// When there is nothing yet, wait so many seconds for something, at most 20.
    #[param(minimum = 0, maximum = 20, default = 0)]
    pub wait: Option<u64>,
}

fn refuse(parameter: &str, detail: &str) -> Error {
    Error::problem(Code::InvalidQuery, detail).at(parameter)
}

/// The name of a consumer, checked.
fn consumer_name(name: &str) -> Result<String> {
    let wrong = |error: crate::kernel::text::NotAText| refuse("consumer", &error.0);
    <Text<100>>::new(name).map(Text::into_string).map_err(wrong)
}

/// Poll a feed
///
/// Events in order: everything that happened to one order comes in the order in which it happened. Without `consumer` you
/// keep the cursor: send `next_cursor` as `after`. With `consumer` we keep it: acknowledge every item (`ack`) before
/// `lease_until`, or set it aside (`nack`); what you do neither with is handed out again. Events may come more than once:
/// remember their ids. What tells of customers needs the scope `customers:read` too: without it `all` leaves it out.
///
/// The feed `stock` tells what lies on hand and what is kept back: counts, goods in and out, returns into stock, safety stock. What
/// carts and orders set aside is no event of it; the level as it is now, with what can be sold, is in `view=current` and in the
/// snapshot.
#[utoipa::path(tag = "poll", params(("feed" = inline(Feed), Path), FeedQuery), security(("token" = ["feeds:read"])),
    responses((status = 200,
        content((FeedPage = "application/json"), (String = "application/x-ndjson"), (String = "text/csv")))))]
#[get("/feeds/{feed}")]
async fn poll_feed(call: Call, path: RefPath<String>, query: Params<FeedQuery>) -> Result<HttpResponse> {
    let (actor, query) = (call.allow(Scope::FeedsRead)?.clone(), query.0);
    let feed = feed(&path.0)?;
    if feed == Feed::Customers {
        call.allow(Scope::CustomersRead)?;
    }
    let types = feed.types(query.types.as_deref())?;
    let mut wish = Wish::new(&call, &actor, feed, types, query.include_test.unwrap_or(false)).await?;
    wish.limit = paging::limit(query.limit)?;
    wish.view = query.view.unwrap_or(View::AtEvent);
    let wait = query.wait.unwrap_or(0);
    if wait > 20 {
        return Err(refuse("wait", "expected at most 20 seconds"));
    }
    let (db, clock) = (call.state.db.clone(), call.state.clock.clone());
    let page = match &query.consumer {
        None if query.start.is_some() || query.lease_seconds.is_some() || query.max_attempts.is_some() => {
            return Err(refuse("consumer", "`start`, `lease_seconds` and `max_attempts` are for consumers"));
        }
        None => {
            let ask = || {
                let (db, wish, after) = (db.clone(), wish.clone(), query.after.clone());
                async move { db.read(move |tx| poll::after(tx, &wish, after.as_deref())).await }
            };
            poll::wait(&call.state.db, wait, ask).await?
        }
        Some(_) if query.after.is_some() => {
            return Err(refuse("after", "a consumer has its own cursor; `start` tells where a new one begins"));
        }
        Some(name) => {
            let (name, start) = (consumer_name(name)?, query.start.clone());
            let (lease_seconds, max_attempts) = patience(&query)?;
            let ask = || {
                let (wish, name, start, now) = (wish.clone(), name.clone(), start.clone(), clock.now());
                let (db, request) = (db.clone(), Request { wish, name, start, lease_seconds, max_attempts, now });
                async move { poll::lease(&db, &request).await }
            };
            poll::wait(&call.state.db, wait, ask).await?
        }
    };
    format::response(&page, format::wanted(&call, query.format))
}

/// For how long a consumer's items are its own, and how often.
fn patience(query: &FeedQuery) -> Result<(i64, i64)> {
    let (lease_seconds, max_attempts) = (query.lease_seconds.unwrap_or(60), query.max_attempts.unwrap_or(20));
    if !(5..=3600).contains(&lease_seconds) {
        return Err(refuse("lease_seconds", "expected 5 to 3600 seconds"));
    }
    if !(1..=1000).contains(&max_attempts) {
        return Err(refuse("max_attempts", "expected 1 to 1000"));
    }
    Ok((lease_seconds, max_attempts))
}

fn feed(word: &str) -> Result<Feed> {
    word.parse().map_err(|_| Error::not_found("feed"))
}

fn named(call: &Call, word: &str, name: &str) -> Result<Named> {
    let actor = call.allow(Scope::FeedsRead)?.clone();
    Ok(Named { actor, feed: feed(word)?, name: consumer_name(name)?, now: call.now })
}

/// Which items are done.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"consumer": "erp", "lease": "lease_1", "items": [17, 18]}))]
pub struct Ack {
    /// The consumer's name.
    pub consumer: Text<100>,
    /// The lease under which they were handed out: `lease` of that answer.
    pub lease: Text<100>,
    /// Positions or event ids; absent: all of the lease.
    #[schema(max_items = 200)]
    pub items: Option<Vec<ItemRef>>,
}

/// Which items are set aside.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"consumer": "erp", "lease": "lease_1", "items": [17], "reason": "unknown article A-1"}))]
pub struct Nack {
    /// The consumer's name.
    pub consumer: Text<100>,
    /// The lease under which they were handed out: `lease` of that answer.
    pub lease: Text<100>,
    /// Positions or event ids.
    #[schema(min_items = 1, max_items = 200)]
    pub items: Vec<ItemRef>,
    /// Why, for whoever mends it.
    pub reason: Note<500>,
}

fn check_items(items: Option<&[ItemRef]>) -> Result<()> {
    match items.map(<[ItemRef]>::len) {
        None | Some(1..=200) => Ok(()),
        Some(_) => Err(Error::invalid("/items", "expected 1 to 200 items")),
    }
}

/// Acknowledge items
///
/// They are done and not handed out again. Each item has its own outcome; when all of them have passed to somebody else
/// the answer is 409 `lease_lost`.
#[utoipa::path(tag = "poll", params(("feed" = inline(Feed), Path)), request_body = Ack,
    security(("token" = ["feeds:read"])),
    responses((status = 200, body = Acknowledged)))]
#[post("/feeds/{feed}/ack")]
async fn ack(call: Call, path: RefPath<String>, body: Body<Ack>) -> Result<Reply> {
    let (named, ack) = (named(&call, &path.0, &body.consumer)?, body.value.clone());
    check_items(ack.items.as_deref())?;
    call.command(&body.fingerprint, move |tx| {
        Reply::ok(&consumers::acknowledge(tx, &named, &ack.lease, ack.items.as_deref(), None)?)
    })
    .await
}

/// Set items aside
///
/// A set-aside item parks its stream: later events of the same order wait until it is replayed or skipped, all others
/// flow. `taken_back` names items of the same lease that wait now: do not process them.
#[utoipa::path(tag = "poll", params(("feed" = inline(Feed), Path)), request_body = Nack,
    security(("token" = ["feeds:read"])),
    responses((status = 200, body = Acknowledged)))]
#[post("/feeds/{feed}/nack")]
async fn nack(call: Call, path: RefPath<String>, body: Body<Nack>) -> Result<Reply> {
    let (named, nack) = (named(&call, &path.0, &body.consumer)?, body.value.clone());
    check_items(Some(&nack.items))?;
    call.command(&body.fingerprint, move |tx| {
        Reply::ok(&consumers::acknowledge(tx, &named, &nack.lease, Some(&nack.items), Some(&nack.reason))?)
    })
    .await
}

/// List the consumers of a feed
///
/// Yours, with how far each has come and what it has out.
#[utoipa::path(tag = "poll", params(("feed" = inline(Feed), Path), ListQuery), security(("token" = ["feeds:read"])),
    responses((status = 200, body = Page<ConsumerView>)))]
#[get("/feeds/{feed}/consumers")]
async fn list_consumers(call: Call, path: RefPath<String>, query: Params<ListQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::FeedsRead)?.clone();
    let (feed, limit) = (feed(&path.0)?, query.0.limit()?);
    let after: Option<String> = Cursor::decode_optional(query.0.cursor.as_deref())?;
    let named = Named { actor, feed, name: after.unwrap_or_default(), now: call.now };
    let counts = query.0.count.is_some();
    let (items, count) = call
        .read(move |tx| {
            let whole = |tx: &mut Tx, after: Option<String>, limit| {
                consumers::list(tx, &Named { name: after.unwrap_or_default(), ..named.clone() }, limit)
            };
            let name = |consumer: &ConsumerView| consumer.name.clone();
            let count = counts.then(|| count_all(tx, name, whole)).transpose()?;
            Ok((consumers::list(tx, &named, limit + 1)?, count))
        })
        .await?;
    let page = Page::cut(items, limit, |consumer| consumer.name.clone())?;
    Reply::page(&call, &Page { count, ..page })
}

/// Where a consumer goes on.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"to": "latest"}))]
pub struct Seek {
    /// `oldest`, `latest`, or a cursor of this feed.
    pub to: Text<300>,
    /// What it reads from now on: beginnings of types with commas between; `null` is all of the feed. Left out, it reads
    /// what it has read.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 1000)]
    pub types: Option<Option<Text<1000>>>,
    /// Whether it reads events of test channels from now on; left out, as before.
    pub include_test: Option<bool>,
}

/// Set a consumer to another place
///
/// What it has out or has set aside is forgotten. The way on after `cursor_expired` and `log_epoch_changed`.
#[utoipa::path(tag = "poll", params(("feed" = inline(Feed), Path), ("consumer" = String, Path)), request_body = Seek,
    security(("token" = ["feeds:read"])), responses((status = 200, body = ConsumerView)))]
#[post("/feeds/{feed}/consumers/{consumer}/seek")]
async fn seek_consumer(call: Call, path: RefPath<(String, String)>, body: Body<Seek>) -> Result<Reply> {
    let (named, seek) = (named(&call, &path.0.0, &path.0.1)?, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let types = seek.types.as_ref().map(Option::as_deref);
        Reply::ok(&consumers::seek(tx, &named, &seek.to, types, seek.include_test)?)
    })
    .await
}

/// Remove a consumer
#[utoipa::path(tag = "poll", params(("feed" = inline(Feed), Path), ("consumer" = String, Path)),
    security(("token" = ["feeds:read"])),
    responses((status = 204)))]
#[delete("/feeds/{feed}/consumers/{consumer}")]
async fn delete_consumer(call: Call, path: RefPath<(String, String)>) -> Result<Reply> {
    let named = named(&call, &path.0.0, &path.0.1)?;
    call.command(&Fingerprint::none(), move |tx| {
        consumers::delete(tx, &named)?;
        Ok(Reply::no_content())
    })
    .await
}

/// Which items are listed.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ParkedQuery {
    /// The consumer's name.
    #[param(min_length = 1, max_length = 100)]
    pub consumer: String,
    /// `parked` (the default), or `skipped` for those that were given up.
    #[param(inline)]
    pub state: Option<ItemState>,
    /// How many at most, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<i64>,
    /// Where to go on: `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// `capped` also counts all items, up to 10,000.
    #[param(inline)]
    pub count: Option<Count>,
}

/// List the items set aside
///
/// With their reasons and how many events wait behind each.
#[utoipa::path(tag = "poll", params(("feed" = inline(Feed), Path), ParkedQuery), security(("token" = ["feeds:read"])),
    responses((status = 200, body = Page<ParkedItem>)))]
#[get("/feeds/{feed}/parked")]
async fn list_parked(call: Call, path: RefPath<String>, query: Params<ParkedQuery>) -> Result<Reply> {
    let named = named(&call, &path.0, &query.0.consumer)?;
    let (limit, state) = (paging::limit(query.0.limit)?, query.0.state.unwrap_or(ItemState::Parked));
    if !matches!(state, ItemState::Parked | ItemState::Skipped) {
        return Err(refuse("state", "expected parked or skipped"));
    }
    let after: Option<i64> = Cursor::decode_optional(query.0.cursor.as_deref())?;
    let counts = query.0.count.is_some();
    let (items, count) = call
        .read(move |tx| {
            let read = |tx: &mut Tx, after: Option<i64>, limit| {
                consumers::parked(tx, &named, state, after.unwrap_or(0), limit)
            };
            let count = counts.then(|| consumers::count_parked(tx, &named, state, paging::COUNT_CAP)).transpose()?;
            Ok((read(tx, after, limit + 1)?, count))
        })
        .await?;
    let page = Page::cut(items, limit, |item| item.position)?;
    Reply::page(&call, &Page { count, ..page })
}

/// Which consumer's item is released.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"consumer": "erp"}))]
pub struct ReplayParked {
    /// The consumer's name.
    pub consumer: Text<100>,
}

/// Replay an item set aside
///
/// It is handed out again, then what waited behind it, in order.
#[utoipa::path(tag = "poll", params(("feed" = inline(Feed), Path), ("position" = i64, Path)),
    request_body = ReplayParked,
    security(("token" = ["feeds:read"])), responses((status = 204)))]
#[post("/feeds/{feed}/parked/{position}/replay")]
async fn replay_parked(call: Call, path: RefPath<(String, i64)>, body: Body<ReplayParked>) -> Result<Reply> {
    let (named, position) = (named(&call, &path.0.0, &body.consumer)?, path.0.1);
    call.command(&body.fingerprint, move |tx| {
        consumers::release(tx, &named, position, None)?;
        Ok(Reply::no_content())
    })
    .await
}

/// Which consumer's item is given up, and why.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"consumer": "erp", "reason": "entered by hand"}))]
pub struct SkipParked {
    /// The consumer's name.
    pub consumer: Text<100>,
    /// It is kept with the item.
    pub reason: Note<500>,
}

/// Skip an item set aside
///
/// It is not handed out again; what waited behind it is, in order.
#[utoipa::path(tag = "poll", params(("feed" = inline(Feed), Path), ("position" = i64, Path)), request_body = SkipParked,
    security(("token" = ["feeds:read"])), responses((status = 204)))]
#[post("/feeds/{feed}/parked/{position}/skip")]
async fn skip_parked(call: Call, path: RefPath<(String, i64)>, body: Body<SkipParked>) -> Result<Reply> {
    let (named, position, reason) = (named(&call, &path.0.0, &body.consumer)?, path.0.1, body.value.reason.clone());
    call.command(&body.fingerprint, move |tx| {
        consumers::release(tx, &named, position, Some(&reason))?;
        Ok(Reply::no_content())
    })
    .await
}

/// What a snapshot is asked for.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SnapshotQuery {
    /// How many items at most, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<i64>,
    /// Where to go on: `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// `json`, `ndjson` or `csv`; `Accept` with `application/x-ndjson` or `text/csv` does too.
    #[param(inline)]
    pub format: Option<Format>,
    /// Whether what belongs to test channels is among them. The same on every page.
    pub include_test: Option<bool>,
}

/// Read a snapshot
///
/// Everything that the feed tells of, as it is now, page by page: where a copy begins, and the way on after
/// `cursor_expired` and `log_epoch_changed`. When all pages are taken, poll the feed from `feed_cursor`: both together are
/// complete. Of an aggregate's events, those up to a row's `aggregate_version` are in its document already. Customers need
/// the scope `customers:read` too.
#[utoipa::path(tag = "poll", params(("feed" = inline(Feed), Path), SnapshotQuery), security(("token" = ["feeds:read"])),
    responses((status = 200,
        content((SnapshotPage = "application/json"), (String = "application/x-ndjson"), (String = "text/csv")))))]
#[get("/snapshots/{feed}")]
async fn read_snapshot(call: Call, path: RefPath<String>, query: Params<SnapshotQuery>) -> Result<HttpResponse> {
    let (feed, query) = (feed(&path.0)?, query.0);
    let mut actor = call.allow(Scope::FeedsRead)?;
    if feed == Feed::Customers {
        actor = call.allow(Scope::CustomersRead)?;
    }
    let filter = poll::filter(&call, actor, Vec::new(), query.include_test.unwrap_or(false)).await?;
    let wish = snapshot::Wish { actor: actor.clone(), feed, filter, limit: paging::limit(query.limit)? };
    let page = call.read(move |tx| snapshot::page(tx, &wish, query.cursor.as_deref())).await?;
    let mut response = format::response(&page, format::wanted(&call, query.format))?;
    if let Some(link) =
        page.next_cursor.as_deref().and_then(|next| paging::next_link(call.request().uri(), next).parse().ok())
    {
        response.headers_mut().insert(actix_web::http::header::LINK, link);
    }
    Ok(response)
}

/// List the consumers of feeds
///
/// Those of all clients, with whose each is, how far it has come and what it has out.
#[utoipa::path(tag = "mend a connector", security(("token" = ["connectors:read"])),
    responses((status = 200, body = Page<OwnedConsumer>)))]
#[get("/consumers")]
async fn list_all_consumers(call: Call, query: List<All>) -> Result<Reply> {
    let actor = call.allow(Scope::ConnectorsRead)?.clone();
    let read = move |tx: &mut Tx, after, limit| consumers::page(tx, &actor, after, limit);
    query.answer(&call, |one: &OwnedConsumer| one.consumer.id, read).await
}

/// To whom a consumer is handed over.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"api_key": "key_01h455vb4pex5vsknk084sn02q"}))]
pub struct HandOver {
    /// The API key that polls as it from now on, by its id: `id` of the answer that made it.
    pub api_key: CredentialId,
}

/// Hand a consumer over to another API key
///
/// As when a key is renewed: the consumer goes on where it stood, with what it has out and has set aside. The key needs the scope
/// `feeds:read`, the same channels and locations as the client whose it was, and no consumer of that name yet. Let the former key
/// stop first: polling on, it would begin a new consumer of that name.
#[utoipa::path(tag = "mend a connector", params(("consumer_id" = inline(ConsumerId), Path)), request_body = HandOver,
    security(("token" = ["connectors:write"])), responses((status = 200, body = OwnedConsumer)))]
#[post("/consumers/{consumer_id}/hand-over")]
async fn hand_over_consumer(call: Call, path: RefPath<ConsumerId>, body: Body<HandOver>) -> Result<Reply> {
    let (actor, id, now) = (call.allow(Scope::ConnectorsWrite)?.clone(), path.0, call.now);
    let to = body.value.api_key;
    call.command(&body.fingerprint, move |tx| Reply::ok(&consumers::hand_over(tx, &actor, now, id, to)?)).await
}

/// Remove a consumer of any client
///
/// What it has out or has set aside goes with it. Whoever still polls as it begins a new one.
#[utoipa::path(tag = "mend a connector", params(("consumer_id" = inline(ConsumerId), Path)),
    security(("token" = ["connectors:write"])),
    responses((status = 204)))]
#[delete("/consumers/{consumer_id}")]
async fn delete_any_consumer(call: Call, path: RefPath<ConsumerId>) -> Result<Reply> {
    let (actor, id, now) = (call.allow(Scope::ConnectorsWrite)?.clone(), path.0, call.now);
    call.command(&Fingerprint::none(), move |tx| {
        consumers::delete_any(tx, &actor, now, id)?;
        Ok(Reply::no_content())
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_all_consumers).service(hand_over_consumer).service(delete_any_consumer);
}

/// The routes of the integration surface.
pub fn integration(config: &mut Mount<'_>) {
    config.service(read_snapshot);
    config.service(poll_feed).service(ack).service(nack).service(list_consumers).service(seek_consumer);
    config.service(delete_consumer).service(list_parked).service(replay_parked).service(skip_parked);
}
