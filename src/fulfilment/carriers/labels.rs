//! Labels: asked for, bought, taken back. Each command locks the package's order first.

use serde::{Deserialize, Serialize};

// What is asked for as it stands in the tables.
pub(super) use super::store::of_package;
use super::{
    model::{Adapter, Bought, Label, LabelCommand, LabelDetails, LabelState, quotes},
    port::{NOTHING_FITS, chosen},
    service::{self, Kept},
    store,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    fulfilment::{
        parcels::{self, Package, PackageState},
        service::{delivery_key, start},
    },
    jobs::{self, Job, NewJob},
    kernel::{
        Actor, Instant,
        ids::{CarrierLabelId, JobId, PackageId},
    },
    orders::OrderDocument,
};

/// The kind of the jobs that buy a label.
pub const BUY: &str = "carriers.buy";
/// The kind of the jobs that have one taken back.
pub const VOID: &str = "carriers.void";

/// The kind of the jobs that ask where a parcel is.
pub const TRACK: &str = "carriers.track";

/// What a job is about.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Task {
    pub label: CarrierLabelId,
}

/// A label about to be asked for.
#[derive(Debug, Clone)]
pub(super) struct NewLabel {
    pub id: CarrierLabelId,
    pub job: JobId,
    /// The account's id or code.
    pub account: String,
    pub service: Option<String>,
    /// What the carrier calls the package, where people know that already.
    pub tracking_number: Option<String>,
}

/// Locks the order of a package that the actor may see, and reads both.
fn locked(tx: &mut Tx, actor: &Actor, id: PackageId) -> Result<(OrderDocument, Package)> {
    let found = parcels::get(tx, actor, id)?;
    let (order, _) = start(tx, actor, found.fulfilment_order_id)?;
    // Read under the lock: what is decided on it stays true.
    Ok((order, parcels::get(tx, actor, id)?))
}

/// Asks a carrier for a label: at once by a table or by hand, else with a job.
///
/// # Errors
/// `not_found`; `state_conflict` when the package has left, the account sleeps, or its table has nothing for it; `duplicate` when the
/// package has a label that stands.
pub(super) fn request(tx: &mut Tx, now: Instant, actor: &Actor, id: PackageId, new: &NewLabel) -> Result<Label> {
    let (order, package) = locked(tx, actor, id)?;
    let Kept { account, .. } = service::by_ref(tx, &new.account)?;
    if package.state != PackageState::Packed {
        return Err(Error::conflict(format!("the package is {}", package.state)));
    }
    if !account.active {
        return Err(Error::conflict("the carrier account is not active").at("/account"));
    }
    let carrier = account.settings.carrier.as_ref().map(ToString::to_string);
    let mut details = LabelDetails { service: new.service.clone(), ..LabelDetails::default() };
    let state = match account.adapter {
        Adapter::Easypost => LabelState::Requested,
        Adapter::Manual => LabelState::Bought,
        Adapter::TableRate => {
            let key = delivery_key(tx, &order, package.fulfilment_order_id)?;
            details = by_table(&account, (&order, key.as_deref()), &package, new.service.as_deref())?;
            LabelState::Bought
        }
    };
    let label = Label {
        id: new.id,
        package_id: id,
        account_id: account.id,
        state,
        carrier,
        tracking_number: new.tracking_number.clone(),
        details,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let there = || Error::problem(Code::Duplicate, "the package has a label: void that first");
    on_duplicate(store::insert_label(tx, &label), there)?;
    if state == LabelState::Requested {
        jobs::enqueue(tx, now, vec![job(BUY, now, new.job, label.id)?])?;
    }
    Ok(label)
}

fn job(kind: &'static str, now: Instant, id: JobId, label: CarrierLabelId) -> Result<NewJob> {
    let job = NewJob::now(kind, now, serde_json::to_value(Task { label })?);
    // Buying and voiding one label go one after another; carriers that hang hold up themselves only.
    Ok(NewJob { id, ..job }.in_order(format!("label:{label}")).in_lane("carriers"))
}

/// What the table says that a package takes.
fn by_table(
    account: &super::model::CarrierAccount,
    (order, key): (&OrderDocument, Option<&str>),
    package: &Package,
    service: Option<&str>,
) -> Result<LabelDetails> {
    let (Some(table), Some(carrier)) = (&account.settings.rates, &account.settings.carrier) else {
        return Err(Error::internal("an account by a table without one"));
    };
    let unknown = |what: &str| Error::conflict(format!("the package has no {what}: its price is not known"));
    let address = order.delivery(key).and_then(|delivery| delivery.address.as_ref());
    let address = address.ok_or_else(|| unknown("address"))?;
    let grams = package.weight_grams.ok_or_else(|| unknown("weight"))?;
    let offered = quotes(table, carrier, (address.country, &address.postcode), grams);
    chosen(offered, service).ok_or_else(|| Error::conflict(NOTHING_FITS).at("/service"))
}

/// A label that the actor may see.
///
/// # Errors
/// `not_found`.
pub(super) fn get(tx: &mut Tx, actor: &Actor, id: CarrierLabelId) -> Result<Label> {
    let missing = || Error::not_found("label");
    let label = store::label(tx, id)?.ok_or_else(missing)?;
    parcels::get(tx, actor, label.package_id).map_err(|_| missing())?;
    Ok(label)
}

/// Has a label taken back.
///
/// # Errors
/// `not_found`; `state_conflict` when it is not bought, or its package has left.
pub(super) fn void(tx: &mut Tx, now: Instant, actor: &Actor, fresh: JobId, id: CarrierLabelId) -> Result<Label> {
    let found = get(tx, actor, id)?;
    let (_, package) = locked(tx, actor, found.package_id)?;
    let label = get(tx, actor, id)?;
    if package.state == PackageState::Shipped {
        return Err(Error::conflict("the package has left with it"));
    }
    let account = service::get(tx, label.account_id)?.account;
    let voiding = advance(tx, now, label, LabelCommand::Void)?;
    match account.adapter {
        adapter if adapter.asks_outside() => {
            jobs::enqueue(tx, now, vec![job(VOID, now, fresh, id)?])?;
            Ok(voiding)
        }
        _ => advance(tx, now, voiding, LabelCommand::Accept),
    }
}

/// Brings a label on by a command.
fn advance(tx: &mut Tx, now: Instant, mut label: Label, command: LabelCommand) -> Result<Label> {
    let seen = label.state;
    label.state = seen.apply(command)?;
    (label.version, label.updated_at) = (label.version + 1, now);
    match store::update_label(tx, &label, seen)? {
        true => Ok(label),
        false => Err(Error::overtaken("the label")),
    }
}

/// Writes down what a carrier gave for a label. False when it is not asked for any more.
/// `ask_at` is when it is looked whether anything was heard of its parcel.
pub(super) fn bought(
    tx: &mut Tx,
    (now, ask_at): (Instant, Option<Instant>),
    id: CarrierLabelId,
    given: &Bought,
) -> Result<bool> {
    let concluded = conclude(tx, now, id, LabelCommand::Buy, |label| {
        label.carrier = Some(given.carrier.clone());
        label.tracking_number.clone_from(&given.tracking_number);
        label.details.clone_from(&given.details);
    })?;
    if concluded {
        store::ask_at(tx, id, ask_at)?;
    }
    Ok(concluded)
}

/// Writes down that a carrier has taken a label back.
pub(super) fn voided(tx: &mut Tx, now: Instant, id: CarrierLabelId) -> Result<bool> {
    conclude(tx, now, id, LabelCommand::Accept, |_| {})
}

/// Writes down that a carrier refuses what it was asked with a job of a kind.
pub(super) fn refused(tx: &mut Tx, now: Instant, id: CarrierLabelId, kind: &str, why: &str) -> Result<bool> {
    let command = if kind == BUY { LabelCommand::Fail } else { LabelCommand::Refuse };
    conclude(tx, now, id, command, |label| label.details.error = Some(why.to_owned()))
}

fn conclude(
    tx: &mut Tx,
    now: Instant,
    id: CarrierLabelId,
    command: LabelCommand,
    change: impl FnOnce(&mut Label),
) -> Result<bool> {
    let Some(mut label) = store::label(tx, id)? else { return Ok(false) };
    // It ended before: whoever did that has done the rest as well.
    if label.state.apply(command).is_err() {
        return Ok(false);
    }
    change(&mut label);
    advance(tx, now, label, command).map(|_| true)
}

/// What giving up a dead job of a label means: the carrier is not asked any more.
///
/// # Errors
/// What the database says.
pub fn discarded(tx: &mut Tx, now: Instant, _: &Actor, job: &Job) -> Result<()> {
    // A job that does not say what it is about has begun nothing.
    let Ok(task) = serde_json::from_value::<Task>(job.payload.clone()) else { return Ok(()) };
    if job.kind == TRACK {
        // Its carrier is asked again in some days.
        return Ok(());
    }
    let why = format!("given up: {}", job.last_error.as_deref().unwrap_or("it was never answered"));
    refused(tx, now, task.label, &job.kind, &why).map(|_| ())
}

/// Whether a package has a label that stands: it is not opened before that is void.
///
/// # Errors
/// What the database says.
pub(in crate::fulfilment) fn stands(tx: &mut Tx, package: PackageId) -> Result<bool> {
    let of = store::of_package(tx, package)?;
    Ok(of.iter().any(|label| !matches!(label.state, LabelState::Failed | LabelState::Voided)))
}

/// Who carries packages, and the number of the first, by their labels.
///
/// # Errors
/// `state_conflict` while a carrier is asked for one of them: what has left could not be named by its answer any more.
pub(in crate::fulfilment) fn named(tx: &mut Tx, packages: &[PackageId]) -> Result<Option<(String, Option<String>)>> {
    if packages.is_empty() {
        return Ok(None);
    }
    if let Some(asked) = store::requested(tx, packages)? {
        let detail = "a carrier is asked for the label of a package: wait for its answer, or give its job up";
        return Err(Error::conflict(detail).with("label_id", asked.to_string()));
    }
    let first = store::bought(tx, packages)?.into_iter().next();
    Ok(first.and_then(|label| Some((label.carrier?, label.tracking_number))))
}
