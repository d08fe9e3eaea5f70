//! Routes of accounts with carriers, of their labels, and of what they tell.

use actix_web::{HttpRequest, get, patch, post, web};
use serde::Deserialize;
use serde_json::json;

use super::{
    labels::{self, NewLabel},
    model::{AccountSecrets, AccountSettings, Adapter, CarrierAccount, Label, Quote},
    port::{self, Parcel, Trouble},
    service::{self, Change, NewAccount},
    webhook,
};
use crate::{
    error::{Code, Error, Result},
    http::{
        All, Body, Call, IfMatch, List, Mount, NoBody, Page, RefPath, Reply, State, idempotency::Fingerprint,
        network::Network, small_body,
    },
    jobs,
    kernel::{
        Country, Id, Scope,
        ids::{CarrierAccountId, CarrierLabelId, PackageId},
        text::Text,
    },
    stock::Locations,
};

/// An account with a carrier.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "dhl", "adapter": "manual", "settings": {"carrier": "DHL"}}))]
pub struct AccountRequest {
    /// A short unique name.
    #[schema(value_type = String)]
    pub code: Text<50>,
    /// How the carrier is asked.
    #[schema(inline)]
    pub adapter: Adapter,
    /// What its adapter needs to know.
    #[serde(default)]
    pub settings: AccountSettings,
    /// Its secrets, where its adapter needs any. They are kept sealed and never shown.
    pub secrets: Option<AccountSecrets>,
}

fn sealed(call: &Call, secrets: Option<&AccountSecrets>) -> Result<Option<String>> {
    let text = secrets.map(serde_json::to_string).transpose()?;
    text.map(|text| call.state.secret.seal(&text)).transpose()
}

/// Make a carrier account
#[utoipa::path(tag = "mend a connector", request_body = AccountRequest, security(("token" = ["connectors:write"])),
    responses((status = 201, body = CarrierAccount)))]
#[post("/carrier-accounts")]
async fn create_carrier_account(call: Call, body: Body<AccountRequest>) -> Result<Reply> {
    unlimited(&call, Scope::ConnectorsWrite)?;
    let new = NewAccount {
        id: Id::new(),
        code: body.code.to_string(),
        adapter: body.adapter,
        settings: body.settings.clone(),
        sealed: sealed(&call, body.secrets.as_ref())?,
    };
    let (now, allow_private) = (call.now, call.state.settings.webhooks.allow_private);
    call.command(&body.fingerprint, move |tx| {
        let made = service::create(tx, now, &new, allow_private)?;
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/ops/carrier-accounts/{}", made.id)))
    })
    .await
}

/// Carriers are everybody's: who is limited to channels or locations only uses them.
fn unlimited(call: &Call, scope: Scope) -> Result<()> {
    match call.allow(scope)?.is_limited() {
        false => Ok(()),
        true => {
            let detail = "carriers serve all channels and locations, and the credential is limited to some";
            Err(Error::problem(Code::ScopeMissing, detail))
        }
    }
}

/// List the carrier accounts
#[utoipa::path(tag = "ship", security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = Page<CarrierAccount>)))]
#[get("/carrier-accounts")]
async fn list_carrier_accounts(call: Call, query: List<All>) -> Result<Reply> {
    call.allow(Scope::FulfilmentRead)?;
    let found = call.read(service::accounts).await?;
    query.answer_from(&call, found.into_iter().map(|kept| kept.account).collect(), |account| account.id)
}

/// Read a carrier account
#[utoipa::path(tag = "ship", params(("id" = inline(CarrierAccountId), Path)), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = CarrierAccount)))]
#[get("/carrier-accounts/{id}")]
async fn read_carrier_account(call: Call, path: RefPath<CarrierAccountId>) -> Result<Reply> {
    call.allow(Scope::FulfilmentRead)?;
    let id = path.0;
    let account = call.read(move |tx| service::get(tx, id)).await?.account;
    Ok(Reply::ok(&account)?.version(account.version))
}

/// What changes of an account; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"active": true}))]
pub struct AccountPatch {
    /// Whether labels are bought with it.
    pub active: Option<bool>,
    /// All that its adapter needs to know.
    pub settings: Option<AccountSettings>,
    /// New secrets instead of the old ones.
    pub secrets: Option<AccountSecrets>,
}

/// Change a carrier account
///
/// Send the `ETag` you have seen as `If-Match`.
#[utoipa::path(tag = "mend a connector", params(("id" = inline(CarrierAccountId), Path), IfMatch), request_body = AccountPatch,
    security(("token" = ["connectors:write"])), responses((status = 200, body = CarrierAccount)))]
#[patch("/carrier-accounts/{id}")]
async fn update_carrier_account(
    call: Call,
    path: RefPath<CarrierAccountId>,
    body: Body<AccountPatch>,
) -> Result<Reply> {
    unlimited(&call, Scope::ConnectorsWrite)?;
    let sealed = sealed(&call, body.secrets.as_ref())?;
    let change = Change { active: body.active, settings: body.settings.clone(), sealed };
    let (id, now, expected) = (path.0, call.now, call.if_match()?);
    let allow_private = call.state.settings.webhooks.allow_private;
    call.command(&body.fingerprint, move |tx| {
        let changed = service::update(tx, now, (id, expected), &change, allow_private)?;
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// What is to be carried where.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RateQuery {
    /// The country.
    #[param(value_type = String)]
    pub country: Country,
    /// The postcode.
    pub postcode: Option<String>,
    /// What it weighs.
    pub weight_grams: i64,
    /// Where it leaves, by a location's code or id; from the first one, unless told.
    pub location: Option<String>,
}

/// See what a carrier takes
///
/// The cheapest first; nothing for where or what it does not carry, and nothing where it is not asked (`manual`). A table says it at
/// once; other carriers are asked.
#[utoipa::path(tag = "ship", params(("id" = inline(CarrierAccountId), Path), RateQuery), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = Page<Quote>)))]
#[get("/carrier-accounts/{id}/rates")]
async fn list_carrier_rates(call: Call, path: RefPath<CarrierAccountId>, query: List<RateQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentRead)?.clone();
    let (id, wanted) = (path.0, query.filter.clone());
    if wanted.weight_grams < 0 {
        return Err(Error::problem(Code::InvalidQuery, "expected a weight that is not below zero").at("weight_grams"));
    }
    let locations = call.snapshot::<Locations>().await?;
    let place = match &wanted.location {
        None => locations.active().find(|location| actor.sees_location(location.id)),
        Some(reference) => locations.by_ref(reference).filter(|location| actor.sees_location(location.id)),
    };
    let place = place.ok_or_else(|| Error::not_found("location").at("location"))?;
    let parcel = Parcel {
        from: (place.name.clone(), place.country, place.site.address.clone()),
        country: wanted.country,
        postcode: wanted.postcode.clone().unwrap_or_default(),
        grams: wanted.weight_grams,
    };
    let kept = call.read(move |tx| service::get(tx, id)).await?;
    // Nothing is held while the carrier thinks.
    let carrier = port::of(&call.state, &Network::new(&call.state)?, &kept)?;
    let found = carrier.rates(&parcel).await.map_err(|trouble| match trouble {
        Trouble::Refused(why) => Error::conflict(format!("the carrier refuses: {why}")),
        Trouble::NoAnswer(_) => Error::problem(Code::CarrierSilent, "the carrier gave no answer"),
    })?;
    query.answer_from(&call, found, |quote| (quote.price.minor(), quote.service.clone()))
}

/// Which label.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"account": "dhl", "tracking_number": "00340434161094042557"}))]
pub struct CarrierLabelRequest {
    /// The account, by id or code.
    #[schema(value_type = String)]
    pub account: Text<60>,
    /// The service; the cheapest when absent.
    #[schema(value_type = Option<String>)]
    pub service: Option<Text<40>>,
    /// What the carrier calls the package, where its own program has said that: for accounts that are asked by hand or by a table.
    #[schema(value_type = Option<String>)]
    pub tracking_number: Option<Text<100>>,
}

/// Get a carrier's label for a package
///
/// At once by hand or by a table; else the carrier is asked in the background, and the label tells when it is `bought` or why it
/// `failed`. A package has one label at a time; it gives its shipment the carrier and the number.
#[utoipa::path(tag = "ship", params(("id" = inline(PackageId), Path)), request_body = CarrierLabelRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 201, body = Label)))]
#[post("/packages/{id}/carrier-labels")]
async fn create_carrier_label(call: Call, path: RefPath<PackageId>, body: Body<CarrierLabelRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let new = NewLabel {
        id: Id::new(),
        job: Id::new(),
        account: body.account.to_string(),
        service: body.service.as_ref().map(ToString::to_string),
        tracking_number: body.tracking_number.as_ref().map(ToString::to_string),
    };
    let (id, now) = (path.0, call.now);
    call.command(&body.fingerprint, move |tx| {
        let made = labels::request(tx, now, &actor, id, &new)?;
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/ops/carrier-labels/{}", made.id)))
    })
    .await
}

/// List a package's carrier labels
///
/// The oldest first.
#[utoipa::path(tag = "ship", params(("id" = inline(PackageId), Path)), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = Page<Label>)))]
#[get("/packages/{id}/carrier-labels")]
async fn list_carrier_labels(call: Call, path: RefPath<PackageId>, query: List<All>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::FulfilmentRead)?.clone());
    let found = call.read(move |tx| {
        crate::fulfilment::parcels::get(tx, &actor, id)?;
        labels::of_package(tx, id)
    });
    query.answer_from(&call, found.await?, |label| label.id)
}

/// Read a carrier label
#[utoipa::path(tag = "ship", params(("id" = inline(CarrierLabelId), Path)), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = Label)))]
#[get("/carrier-labels/{id}")]
async fn read_carrier_label(call: Call, path: RefPath<CarrierLabelId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::FulfilmentRead)?.clone());
    let label = call.read(move |tx| labels::get(tx, &actor, id)).await?;
    Ok(Reply::ok(&label)?.version(label.version))
}

/// Void a carrier label
///
/// Before its package has left. The carrier is asked in the background where there is one to ask.
#[utoipa::path(tag = "ship", params(("id" = inline(CarrierLabelId), Path)), security(("token" = ["fulfilment:write"])),
    responses((status = 200, body = Label)))]
#[post("/carrier-labels/{id}/void")]
async fn void_carrier_label(call: Call, path: RefPath<CarrierLabelId>, _body: NoBody) -> Result<Reply> {
    let (id, now, actor, job) = (path.0, call.now, call.allow(Scope::FulfilmentWrite)?.clone(), Id::new());
    call.command(&Fingerprint::none(), move |tx| {
        let label = labels::void(tx, now, &actor, job, id)?;
        Ok(Reply::ok(&label)?.version(label.version))
    })
    .await
}

/// Where carriers tell of parcels.
pub const WEBHOOKS: &str = "/v1/webhooks/carriers/{account}";

/// The largest notification.
const BODY_LIMIT: usize = 256 << 10;

/// Takes what a carrier tells: verified, written down as a job, and answered at once.
#[post("/v1/webhooks/carriers/{account}")]
async fn notify(
    request: HttpRequest,
    account: web::Path<String>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<Reply> {
    let missing = || Error::not_found("carrier account");
    let id: CarrierAccountId = account.parse().map_err(|_| missing())?;
    let kept = state.db.read(move |tx| service::get(tx, id)).await?;
    let body = small_body(&state, payload, BODY_LIMIT).await?;
    let signature = request.headers().get("x-hmac-signature").and_then(|value| value.to_str().ok());
    let now = state.clock.now();
    if let Some(job) = webhook::job(&state, now, &kept, (signature.unwrap_or_default(), &body))? {
        match state.db.write(move |tx| jobs::enqueue(tx, now, vec![job.clone()])).await {
            // The same message is waiting to be worked on already.
            Err(error) if error.is_unique_violation() => {}
            other => other?,
        }
    }
    Reply::accepted(&json!({"status": "accepted"}))
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_carrier_account).service(list_carrier_accounts).service(read_carrier_account);
    config.service(update_carrier_account).service(list_carrier_rates);
    config.service(create_carrier_label).service(list_carrier_labels);
    config.service(read_carrier_label).service(void_carrier_label);
}

/// The routes that belong to no surface.
pub fn webhooks(config: &mut web::ServiceConfig) {
    config.service(notify);
}
