//! The only file that touches `carrier_accounts` and `carrier_labels`.

use std::collections::HashSet;

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use serde_json::json;

use super::model::{AccountSettings, Adapter, CarrierAccount, Label, LabelDetails, LabelState};
use crate::{
    db::{Col, Doc, DocSql, InstantSql, Sql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{CarrierAccountId, CarrierLabelId, OrderId, PackageId},
        text::squeeze,
    },
};

/// An account with its secrets, sealed.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub account: CarrierAccount,
    pub sealed: Option<String>,
}

#[derive(Queryable)]
struct AccountRow {
    id: CarrierAccountId,
    code: String,
    adapter: Adapter,
    active: bool,
    doc: Doc<AccountSettings>,
    secrets: Option<String>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
}

type AccountColumns = (UidSql, Text, Text, Bool, DocSql, Nullable<Text>, BigInt, InstantSql, InstantSql);
const ACCOUNT: &str = "id, code, adapter, active, doc, secrets, version, created_at, updated_at";

fn accounts_of(tx: &mut Tx, query: Sql) -> Result<Vec<Kept>> {
    let kept = |row: AccountRow| Kept {
        account: CarrierAccount {
            id: row.id,
            code: row.code,
            adapter: row.adapter,
            active: row.active,
            settings: row.doc.0,
            has_secrets: row.secrets.is_some(),
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        },
        sealed: row.secrets,
    };
    Ok(query.load::<AccountColumns, AccountRow>(tx)?.into_iter().map(kept).collect())
}

/// Writes a new account. A UNIQUE violation when its code is taken.
pub(super) fn insert_account(tx: &mut Tx, kept: &Kept) -> Result<()> {
    let account = &kept.account;
    sql(format!("INSERT INTO carrier_accounts ({ACCOUNT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(account.id)
        .bind(account.code.as_str())
        .bind(account.adapter.as_str())
        .bind(account.active)
        .bind(Doc(serde_json::to_value(&account.settings)?))
        .bind(kept.sealed.clone())
        .bind(account.version)
        .bind(account.created_at)
        .bind(account.updated_at)
        .execute(tx)?;
    Ok(())
}

/// Writes an account at the version after the one it had. False when it has changed since.
pub(super) fn update_account(tx: &mut Tx, kept: &Kept) -> Result<bool> {
    let account = &kept.account;
    let update =
        sql("UPDATE carrier_accounts SET active = ?, doc = ?, secrets = ?, version = version + 1, updated_at = ? \
         WHERE id = ? AND version = ?")
        .bind(account.active)
        .bind(Doc(serde_json::to_value(&account.settings)?))
        .bind(kept.sealed.clone())
        .bind(account.updated_at)
        .bind(account.id)
        .bind(account.version - 1);
    Ok(update.execute(tx)? == 1)
}

pub(super) fn account(tx: &mut Tx, id: CarrierAccountId) -> Result<Option<Kept>> {
    Ok(accounts_of(tx, sql(format!("SELECT {ACCOUNT} FROM carrier_accounts WHERE id = ?")).bind(id))?.pop())
}

pub(super) fn account_by_code(tx: &mut Tx, code: &str) -> Result<Option<Kept>> {
    Ok(accounts_of(tx, sql(format!("SELECT {ACCOUNT} FROM carrier_accounts WHERE code = ?")).bind(code))?.pop())
}

/// All accounts: there are few.
pub(super) fn accounts(tx: &mut Tx) -> Result<Vec<Kept>> {
    accounts_of(tx, sql(format!("SELECT {ACCOUNT} FROM carrier_accounts ORDER BY id")))
}

#[derive(Queryable)]
struct LabelRow {
    id: CarrierLabelId,
    package_id: PackageId,
    account_id: CarrierAccountId,
    state: LabelState,
    carrier: Option<String>,
    tracking_number: Option<String>,
    doc: Doc<LabelDetails>,
    version: i64,
    created_at: Instant,
    updated_at: Instant,
}

type LabelColumns =
    (UidSql, UidSql, UidSql, Text, Nullable<Text>, Nullable<Text>, DocSql, BigInt, InstantSql, InstantSql);
const LABEL: &str = "id, package_id, account_id, state, carrier, tracking_number, doc, version, created_at, updated_at";

fn labels_of(tx: &mut Tx, query: Sql) -> Result<Vec<Label>> {
    let label = |row: LabelRow| Label {
        id: row.id,
        package_id: row.package_id,
        account_id: row.account_id,
        state: row.state,
        carrier: row.carrier,
        tracking_number: row.tracking_number,
        details: row.doc.0,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    Ok(query.load::<LabelColumns, LabelRow>(tx)?.into_iter().map(label).collect())
}

/// Writes a new label. A UNIQUE violation when the package has one that stands.
pub(super) fn insert_label(tx: &mut Tx, label: &Label) -> Result<()> {
    sql("INSERT INTO carrier_labels (id, package_id, account_id, state, carrier, tracking_number, tracking_folded, doc, version, \
         created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(label.id)
    .bind(label.package_id)
    .bind(label.account_id)
    .bind(label.state.as_str())
    .bind(label.carrier.clone())
    .bind(label.tracking_number.clone())
    .bind(label.tracking_number.as_deref().map(squeeze))
    .bind(Doc(serde_json::to_value(&label.details)?))
    .bind(label.version)
    .bind(label.created_at)
    .bind(label.updated_at)
    .execute(tx)?;
    Ok(())
}

/// Writes a label that was seen in a state, at the version after the one it had. False when it has changed since.
pub(super) fn update_label(tx: &mut Tx, label: &Label, seen: LabelState) -> Result<bool> {
    let update =
        sql("UPDATE carrier_labels SET state = ?, carrier = ?, tracking_number = ?, tracking_folded = ?, doc = ?, \
         version = version + 1, updated_at = ? WHERE id = ? AND state = ? AND version = ?")
        .bind(label.state.as_str())
        .bind(label.carrier.clone())
        .bind(label.tracking_number.clone())
        .bind(label.tracking_number.as_deref().map(squeeze))
        .bind(Doc(serde_json::to_value(&label.details)?))
        .bind(label.updated_at)
        .bind(label.id)
        .bind(seen.as_str())
        .bind(label.version - 1);
    Ok(update.execute(tx)? == 1)
}

/// The labels of packages of an order.
pub(in crate::fulfilment) fn labels_of_order(tx: &mut Tx, order: OrderId) -> Result<Vec<CarrierLabelId>> {
    let query = "SELECT l.id FROM packages AS p JOIN carrier_labels AS l ON l.package_id = p.id WHERE p.order_id = ? ORDER BY l.id";
    sql(query).bind(order).load::<UidSql, CarrierLabelId>(tx)
}

/// Which orders labels are of.
pub(in crate::fulfilment) fn orders_of_labels(
    tx: &mut Tx,
    labels: &[CarrierLabelId],
) -> Result<Vec<(CarrierLabelId, OrderId)>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT l.id, p.order_id FROM {list} JOIN carrier_labels AS l ON l.id = wanted JOIN packages AS p ON p.id = l.package_id"
    );
    let wanted = dialect::rows(labels.iter().map(|id| serde_json::json!([id.hex()])).collect());
    sql(query).bind(wanted).load::<(UidSql, UidSql), (CarrierLabelId, OrderId)>(tx)
}

/// A label.
pub(super) fn label(tx: &mut Tx, id: CarrierLabelId) -> Result<Option<Label>> {
    Ok(labels_of(tx, sql(format!("SELECT {LABEL} FROM carrier_labels WHERE id = ?")).bind(id))?.pop())
}

/// The labels of a package, the oldest first.
pub(super) fn of_package(tx: &mut Tx, package: PackageId) -> Result<Vec<Label>> {
    labels_of(tx, sql(format!("SELECT {LABEL} FROM carrier_labels WHERE package_id = ? ORDER BY id")).bind(package))
}

/// The labels of packages that can be printed, in the order of the packages.
pub(super) fn bought(tx: &mut Tx, packages: &[PackageId]) -> Result<Vec<Label>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT {LABEL} FROM carrier_labels WHERE state = 'bought' AND package_id IN (SELECT wanted FROM {list}) ORDER BY package_id"
    );
    labels_of(tx, sql(query).bind(dialect::rows(packages.iter().map(|id| json!([id.hex()])).collect())))
}

/// A label of packages for which its carrier is asked.
pub(super) fn requested(tx: &mut Tx, packages: &[PackageId]) -> Result<Option<CarrierLabelId>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT id FROM carrier_labels WHERE state = 'requested' AND package_id IN (SELECT wanted FROM {list}) ORDER BY id LIMIT 1"
    );
    let wanted = dialect::rows(packages.iter().map(|id| json!([id.hex()])).collect());
    sql(query).bind(wanted).first::<UidSql, CarrierLabelId>(tx)
}

/// Whether a label with this tracking number was bought with an account.
pub(super) fn has_number(tx: &mut Tx, account: CarrierAccountId, number: &str) -> Result<bool> {
    let query =
        sql("SELECT id FROM carrier_labels WHERE account_id = ? AND tracking_folded = ? AND state = 'bought' LIMIT 1");
    Ok(query.bind(account).bind(squeeze(number)).first::<UidSql, CarrierLabelId>(tx)?.is_some())
}

/// Sets when it is looked whether anything was heard of the parcel of a label; `None` is never.
pub(super) fn ask_at(tx: &mut Tx, id: CarrierLabelId, at: Option<Instant>) -> Result<()> {
    sql("UPDATE carrier_labels SET ask_at = ? WHERE id = ?").bind(at).bind(id).execute(tx).map(|_| ())
}

/// Labels of which it is due to look whether anything was heard of their parcels.
pub(super) fn silent(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<Label>> {
    let query = format!(
        "SELECT {LABEL} FROM carrier_labels WHERE state = 'bought' AND ask_at <= ? ORDER BY ask_at, id LIMIT ?"
    );
    labels_of(tx, sql(query).bind(now).bind(limit))
}

/// Notes when labels that were due are looked at next. Those of them that nobody else has looked at meanwhile. One statement.
pub(super) fn ask_again(
    tx: &mut Tx,
    now: Instant,
    next: &[(CarrierLabelId, Option<Instant>)],
) -> Result<HashSet<CarrierLabelId>> {
    let (list, lock) = (dialect::list(tx, &[("label", Col::Uid), ("then_at", Col::At)]), dialect::for_update(tx));
    // Locked in the order of their ids, so that two who look at once wait for each other in no circle.
    let update = format!(
        "WITH wanted AS (SELECT label, then_at FROM {list}), \
         due AS (SELECT id FROM carrier_labels WHERE id IN (SELECT label FROM wanted) AND ask_at <= ? ORDER BY id{lock}) \
         UPDATE carrier_labels SET ask_at = (SELECT then_at FROM wanted WHERE label = carrier_labels.id) \
         WHERE id IN (SELECT id FROM due) RETURNING id"
    );
    let rows = next.iter().map(|(id, at)| json!([id.hex(), at.map(Instant::sortable)])).collect();
    let found = sql(update).bind(dialect::rows(rows)).bind(now).load::<UidSql, CarrierLabelId>(tx)?;
    Ok(found.into_iter().collect())
}
