//! Commands and queries on coupons.

use std::collections::BTreeMap;

use diesel::prelude::Queryable;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

pub(super) use super::store::Of;
use super::{code, store};
use crate::{
    customers,
    db::{Lane, Tx},
    error::{Code, Error, Result, on_duplicate},
    http::State,
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{
        Actor, Id, Instant,
        ids::{CartId, CouponBatchId, CustomerId, JobId, PromotionId},
        text::Text,
    },
    pricing::{
        model::Step,
        promotions::{
            conditions::Redeemed,
            model::{Promotion, PromotionState},
            service as promotions,
        },
    },
};

/// The kind of the jobs that generate codes.
const GENERATE: &str = "pricing.generate-coupons";
/// So many codes are written in one transaction.
const BITE: i64 = 5_000;
/// The largest batch.
pub(super) const MOST: i64 = 1_000_000;

/// A coupon: a code, and how often it can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Coupon {
    /// The code, upper case, without dashes. Customers may type it in any case, with dashes and blanks.
    #[schema(example = "SUMMER20")]
    pub code: String,
    /// The promotion that it is for.
    pub promotion_id: PromotionId,
    /// The batch that it was generated in.
    pub batch_id: Option<CouponBatchId>,
    /// The one customer who can use it; null is everybody.
    pub customer_id: Option<CustomerId>,
    /// Until when it can be used, exclusive.
    pub valid_until: Option<Instant>,
    /// How many orders can use it; null is without end.
    pub max_uses: Option<i64>,
    /// How many have, those that are being paid included; counted where `max_uses` is set.
    pub uses: i64,
    /// Whether staff have blocked it.
    pub blocked: bool,
    /// Since when.
    pub created_at: Instant,
}

/// A coupon about to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "SUMMER-20", "max_uses": 500}))]
pub struct NewCoupon {
    /// The code: ASCII letters and digits; case, dashes, dots and blanks do not matter.
    #[schema(value_type = String, min_length = 1, max_length = 60)]
    pub code: Text<60>,
    /// The one customer who can use it.
    pub customer_id: Option<CustomerId>,
    /// Until when it can be used, exclusive.
    pub valid_until: Option<Instant>,
    /// How many orders can use it; left out, it has no end.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub max_uses: Option<i64>,
}

/// Codes that are generated together: in the background, some thousands a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Queryable, ToSchema)]
#[schema(as = CouponBatch)]
pub struct Batch {
    /// Its id.
    pub id: CouponBatchId,
    /// The promotion that its codes are for.
    pub promotion_id: PromotionId,
    /// What each code begins with.
    pub prefix: String,
    /// How many codes there are to be.
    pub size: i64,
    /// How many there are.
    pub made: i64,
    /// How many orders can use each.
    pub max_uses: i64,
    /// Until when they can be used, exclusive.
    pub valid_until: Option<Instant>,
    /// Since when.
    pub created_at: Instant,
}

/// A batch about to be generated.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"size": 1000, "prefix": "BF"}))]
pub struct NewBatch {
    /// How many codes.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub size: i64,
    /// What each code begins with: up to 10 ASCII letters and digits.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 10)]
    pub prefix: Option<Text<10>>,
    /// How many orders can use each.
    #[serde(default = "once")]
    #[schema(minimum = 1, maximum = 1_000_000_000, default = 1)]
    pub max_uses: i64,
    /// Until when they can be used, exclusive.
    pub valid_until: Option<Instant>,
}

const fn once() -> i64 {
    1
}

fn refuse_ended(promotion: &Promotion) -> Result<()> {
    match promotion.state {
        PromotionState::Ended => Err(Error::conflict("the promotion is over: a coupon of it would be of no use")),
        _ => Ok(()),
    }
}

fn check_uses(uses: Option<i64>) -> Result<()> {
    match uses {
        Some(uses) if !(1..=1_000_000_000).contains(&uses) => {
            Err(Error::invalid("/max_uses", "expected a whole number from 1 to 1000000000"))
        }
        _ => Ok(()),
    }
}

/// Who brings coupons, and when.
#[derive(Debug, Clone, Copy)]
pub struct Redeeming {
    /// The time: reservations that are due by then do not count.
    pub now: Instant,
    /// When it is ordered: the coupon must be valid then.
    pub at: Instant,
    /// The cart: what it holds itself does not count.
    pub cart: Option<CartId>,
    /// The customer: whose own coupons count.
    pub customer: Option<CustomerId>,
}

/// The coupons of a cart by their codes, in the order of the codes, each with why it does not count; codes that nobody knows are
/// absent. One statement, none for no codes.
///
/// # Errors
/// What the database says.
pub fn redeemed(tx: &mut Tx, asking: Redeeming, codes: &[String]) -> Result<Vec<Redeemed>> {
    if codes.is_empty() {
        return Ok(Vec::new());
    }
    let Redeeming { now, at, cart, customer } = asking;
    let found = store::by_codes(tx, (now, cart), codes)?;
    let seen = found.into_iter().filter(|coupon| coupon.customer_id.is_none() || coupon.customer_id == customer);
    Ok(seen
        .map(|coupon| {
            let refused = refusal(&coupon, at);
            Redeemed { code: coupon.code, promotion: coupon.promotion_id, refused }
        })
        .collect())
}

/// That there is no such coupon, as it was typed; and that it was mistyped, where its check character tells. Codes that are there are
/// looked up before: staff may have named one that only looks like a generated one.
#[must_use]
pub fn unknown(typed: &str) -> Error {
    if code::normalised(typed).is_some_and(|code| code::is_mistyped(&code)) {
        let detail = "the code was mistyped: its last character does not fit the ones before it";
        return Error::problem(Code::CouponMistyped, detail);
    }
    Error::problem(Code::CouponUnknown, "there is no such coupon")
}

fn refusal(coupon: &Coupon, now: Instant) -> Option<Step> {
    if coupon.blocked {
        Some(Step::new("coupon_blocked", format!("the coupon {} is blocked", coupon.code)))
    } else if coupon.valid_until.is_some_and(|until| until <= now) {
        Some(Step::new("coupon_expired", format!("the coupon {} has expired", coupon.code)))
    } else if coupon.max_uses.is_some_and(|most| coupon.uses >= most) {
        Some(Step::new("coupon_used_up", format!("the coupon {} has been used", coupon.code)))
    } else {
        None
    }
}

/// Moves the uses of coupons that are limited, all or none. False when one would rise above its limit.
///
/// # Errors
/// What the database says.
pub fn count(tx: &mut Tx, coupons: &BTreeMap<String, i64>, sign: i64) -> Result<bool> {
    if coupons.is_empty() { Ok(true) } else { store::count(tx, coupons, sign) }
}

/// Makes a coupon of a promotion.
///
/// # Errors
/// `not_found`, `invalid_value`, `duplicate`.
pub(super) fn create(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    promotion: PromotionId,
    new: &NewCoupon,
) -> Result<Coupon> {
    let promotion = promotions::changeable(tx, actor, promotion)?;
    refuse_ended(&promotion)?;
    if let Some(customer) = new.customer_id {
        customers::named(tx, actor, customer).map_err(|error| error.at("/customer_id"))?;
    }
    let code = code::normalised(&new.code);
    let code = code.ok_or_else(|| Error::invalid("/code", "expected 1 to 40 ASCII letters and digits"))?;
    check_uses(new.max_uses)?;
    let coupon = Coupon {
        code,
        promotion_id: promotion.id,
        batch_id: None,
        customer_id: new.customer_id,
        valid_until: new.valid_until,
        max_uses: new.max_uses,
        uses: 0,
        blocked: false,
        created_at: now,
    };
    let taken = || Error::problem(Code::Duplicate, format!("there is a coupon {} already", coupon.code)).at("/code");
    on_duplicate(store::insert(tx, &coupon), taken)?;
    Ok(coupon)
}

/// A coupon by its code as somebody writes it.
///
/// # Errors
/// `not_found`.
pub fn find(tx: &mut Tx, now: Instant, actor: &Actor, text: &str) -> Result<Coupon> {
    let missing = || Error::not_found("coupon");
    let code = code::normalised(text).ok_or_else(missing)?;
    let coupon = store::by_codes(tx, (now, None), &[code])?.into_iter().next().ok_or_else(missing)?;
    promotions::find(tx, actor, coupon.promotion_id).map_err(|_| missing())?;
    Ok(coupon)
}

/// Blocks a coupon, or lets it go.
///
/// # Errors
/// `not_found`.
pub(super) fn block(tx: &mut Tx, now: Instant, actor: &Actor, text: &str, blocked: bool) -> Result<Coupon> {
    let coupon = find(tx, now, actor, text)?;
    promotions::changeable(tx, actor, coupon.promotion_id)?;
    store::set_blocked(tx, &coupon.code, blocked)?;
    Ok(Coupon { blocked, ..coupon })
}

/// A page of coupons by their codes.
///
/// # Errors
/// `not_found`.
pub(super) fn page(tx: &mut Tx, actor: &Actor, of: Of, after: Option<String>, limit: i64) -> Result<Vec<Coupon>> {
    match of {
        Of::Promotion(id) => promotions::find(tx, actor, id).map(|_| ())?,
        Of::Batch(id) => batch(tx, actor, id).map(|_| ())?,
    }
    store::page(tx, of, after, limit)
}

/// So many coupons of a file are read at once.
const PIECE: i64 = 2_000;

/// The next coupons for a file of them, with the code to go on from; `None` at its end.
///
/// # Errors
/// `not_found`.
pub(super) fn piece(
    tx: &mut Tx,
    actor: &Actor,
    of: Of,
    after: Option<String>,
) -> Result<Option<(String, Vec<Coupon>)>> {
    let coupons = page(tx, actor, of, after, PIECE)?;
    Ok(coupons.last().map(|last| last.code.clone()).map(|last| (last, coupons)))
}

/// Begins to generate a batch of codes.
///
/// # Errors
/// `not_found`, `invalid_value`.
pub(super) fn create_batch(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (id, job): (CouponBatchId, JobId),
    promotion: PromotionId,
    new: &NewBatch,
) -> Result<Batch> {
    let promotion = promotions::changeable(tx, actor, promotion)?;
    refuse_ended(&promotion)?;
    check_uses(Some(new.max_uses))?;
    if !(1..=MOST).contains(&new.size) {
        return Err(Error::invalid("/size", format!("expected a whole number from 1 to {MOST}")));
    }
    let prefix = match &new.prefix {
        None => String::new(),
        Some(prefix) => code::normalised(prefix)
            .ok_or_else(|| Error::invalid("/prefix", "expected up to 10 ASCII letters and digits"))?,
    };
    let batch = Batch {
        id,
        promotion_id: promotion.id,
        prefix,
        size: new.size,
        made: 0,
        max_uses: new.max_uses,
        valid_until: new.valid_until,
        created_at: now,
    };
    store::insert_batch_head(tx, &batch)?;
    jobs::enqueue(tx, now, vec![generating(job, now, id)])?;
    Ok(batch)
}

fn generating(job: JobId, now: Instant, batch: CouponBatchId) -> NewJob {
    NewJob { id: job, ..NewJob::now(GENERATE, now, json!({ "batch": batch })) }
}

/// A batch.
///
/// # Errors
/// `not_found`.
pub(super) fn batch(tx: &mut Tx, actor: &Actor, id: CouponBatchId) -> Result<Batch> {
    let missing = || Error::not_found("batch of coupons");
    let batch = store::batch(tx, id)?.ok_or_else(missing)?;
    promotions::find(tx, actor, batch.promotion_id).map_err(|_| missing())?;
    Ok(batch)
}

/// A page of a promotion's batches, the oldest first.
///
/// # Errors
/// `not_found`.
pub(super) fn batches(
    tx: &mut Tx,
    actor: &Actor,
    promotion: PromotionId,
    after: Option<CouponBatchId>,
    limit: i64,
) -> Result<Vec<Batch>> {
    promotions::find(tx, actor, promotion)?;
    store::batches(tx, promotion, after, limit)
}

/// What a job that generates codes knows.
#[derive(Deserialize)]
struct Generate {
    batch: CouponBatchId,
}

/// Generates some thousand codes of a batch, and leaves the rest to the next job.
async fn generate(state: State, job: Job) -> Result<Verdict> {
    let Generate { batch: id } = serde_json::from_value(job.payload.clone())?;
    let Some(batch) = state.db.read(move |tx| store::batch(tx, id)).await? else { return Ok(Verdict::Done) };
    let wanted = (batch.size - batch.made).min(BITE);
    let codes: Vec<String> = (0..wanted).map(|_| code::generate(&batch.prefix, &mut rand::rng())).collect();
    let (now, next) = (state.clock.now(), Id::new());
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        let more = store::insert_batch(tx, now, &batch, &codes)?;
        if !store::made(tx, id, batch.made, more)? {
            return Err(Error::internal("somebody else generates the codes of this batch"));
        }
        let made = batch.made + i64::try_from(more).map_err(Error::internal)?;
        if made < batch.size { jobs::enqueue(tx, now, vec![generating(next, now, id)]) } else { Ok(()) }
    });
    written.await?;
    Ok(Verdict::Settled)
}

/// Registers what goes on behind requests.
pub fn work(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(GENERATE, move |job| generate(state.clone(), job));
}
