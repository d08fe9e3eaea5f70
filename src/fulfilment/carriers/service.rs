//! Commands on accounts with carriers.

// What is asked for as it stands in the tables.
pub(super) use super::store::{Kept, accounts};
use super::{
    easypost,
    model::{AccountSecrets, AccountSettings, Adapter, CarrierAccount},
    store,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    http::seal::Secret,
    kernel::{Instant, ids::CarrierAccountId, stored},
};

/// An account about to be made.
#[derive(Debug, Clone)]
pub(super) struct NewAccount {
    pub id: CarrierAccountId,
    pub code: String,
    pub adapter: Adapter,
    pub settings: AccountSettings,
    /// Its secrets, sealed.
    pub sealed: Option<String>,
}

fn check(account: &CarrierAccount, allow_private: bool) -> Result<()> {
    account.check()?;
    match account.adapter {
        Adapter::Easypost => easypost::base(account.settings.base_url.as_deref(), allow_private).map(|_| ()),
        Adapter::Manual | Adapter::TableRate => Ok(()),
    }
}

/// Makes an account.
///
/// # Errors
/// `duplicate` when the code is taken; what is wrong with its settings.
pub(super) fn create(tx: &mut Tx, now: Instant, new: &NewAccount, allow_private: bool) -> Result<CarrierAccount> {
    let account = CarrierAccount {
        id: new.id,
        code: new.code.clone(),
        adapter: new.adapter,
        active: true,
        settings: new.settings.clone(),
        has_secrets: new.sealed.is_some(),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    check(&account, allow_private)?;
    let kept = Kept { account, sealed: new.sealed.clone() };
    let taken = || Error::problem(Code::Duplicate, "there is a carrier account with this code").at("/code");
    on_duplicate(store::insert_account(tx, &kept), taken)?;
    Ok(kept.account)
}

/// What changes of an account.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    pub active: Option<bool>,
    pub settings: Option<AccountSettings>,
    /// New secrets, sealed.
    pub sealed: Option<String>,
}

/// An account.
///
/// # Errors
/// `not_found`.
pub(super) fn get(tx: &mut Tx, id: CarrierAccountId) -> Result<Kept> {
    store::account(tx, id)?.ok_or_else(|| Error::not_found("carrier account"))
}

/// The account of an id or a code.
///
/// # Errors
/// `not_found`.
pub(super) fn by_ref(tx: &mut Tx, reference: &str) -> Result<Kept> {
    let found = match reference.parse() {
        Ok(id) => store::account(tx, id)?,
        Err(_) => store::account_by_code(tx, reference)?,
    };
    found.ok_or_else(|| Error::not_found("carrier account").at("/account"))
}

/// Changes an account. `expected` is the version that the caller has seen.
///
/// # Errors
/// `not_found`, `version_stale`; what is wrong with its settings.
pub(super) fn update(
    tx: &mut Tx,
    now: Instant,
    (id, expected): (CarrierAccountId, Option<i64>),
    change: &Change,
    allow_private: bool,
) -> Result<CarrierAccount> {
    let Kept { mut account, sealed } = get(tx, id)?;
    if expected.is_some_and(|expected| expected != account.version) {
        return Err(Error::stale("carrier account", account.version));
    }
    account.active = change.active.unwrap_or(account.active);
    if let Some(settings) = &change.settings {
        account.settings = settings.clone();
    }
    let sealed = change.sealed.clone().or(sealed);
    account.has_secrets = sealed.is_some();
    check(&account, allow_private)?;
    (account.version, account.updated_at) = (account.version + 1, now);
    let kept = Kept { account, sealed };
    match store::update_account(tx, &kept)? {
        true => Ok(kept.account),
        false => Err(Error::overtaken("the carrier account")),
    }
}

/// An account's secrets, opened.
///
/// # Errors
/// When no secret of ours opens them.
pub(super) fn unseal(secret: &Secret, kept: &Kept) -> Result<Option<AccountSecrets>> {
    let Some(sealed) = kept.sealed.as_deref() else { return Ok(None) };
    let opened: serde_json::Value = serde_json::from_str(&secret.unseal(sealed)?)?;
    Ok(Some(stored::from_value(&opened)?))
}

/// Seals the secrets of all accounts again that are sealed under a former secret. Gives how many, and the codes of those that no secret
/// opens: they stay as they are.
///
/// # Errors
/// `version_stale` when one was changed meanwhile: then nothing has happened.
pub fn seal_again(tx: &mut Tx, now: Instant, secret: &Secret) -> Result<(usize, Vec<String>)> {
    let (mut count, mut lost) = (0, Vec::new());
    for mut kept in store::accounts(tx)? {
        match kept.sealed.as_deref().map(|sealed| secret.reseal(sealed)) {
            Some(Ok(Some(sealed))) => {
                kept.sealed = Some(sealed);
                (kept.account.version, kept.account.updated_at) = (kept.account.version + 1, now);
                if !store::update_account(tx, &kept)? {
                    return Err(Error::problem(Code::VersionStale, "the carrier account has changed meanwhile"));
                }
                count += 1;
            }
            Some(Err(_)) => lost.push(kept.account.code),
            Some(Ok(None)) | None => {}
        }
    }
    Ok((count, lost))
}
