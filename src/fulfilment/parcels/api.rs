//! Routes of packages and serial numbers.

use actix_web::{
    HttpResponse, Responder, get,
    http::header::{self, Header},
    post,
};
use serde::{Deserialize, Serialize};

use super::{
    labels::{self, LabelDocument, PackingSlip},
    manifests,
    model::{Dimensions, Package, PackageCommand},
    page::{self, Paper},
    service::{self, NewLine, NewPackage, SerialDocument},
    traced::{self, LotOfPieces},
};
use crate::{
    error::{Error, Result},
    fulfilment::Fresh,
    http::{All, Body, Call, List, Mount, NoBody, Page, Params, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Action, Id, PricePer, Quantity, Scope,
        ids::{FulfilmentOrderId, PackageId},
        text::{Sku, Text},
    },
    orders::OrderLine,
    stock::Locations,
};

/// A package, and what can be done with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PackageDetail {
    /// It.
    #[serde(flatten)]
    pub package: Package,
    /// What can be done now. It is shipped by its fulfilment order's command.
    pub actions: Vec<Action>,
}

impl From<Package> for PackageDetail {
    fn from(package: Package) -> Self {
        let action = |command: &PackageCommand| Action::of(command.as_str(), package.state.apply(*command).map(|_| ()));
        // It ships and comes back with its shipment.
        let actions = [PackageCommand::Ship, PackageCommand::Unpack].iter().map(action).collect();
        Self { package, actions }
    }
}

/// Pieces that go into a package.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PackageLineRequest {
    /// The order's line.
    pub line_no: i32,
    /// How many.
    pub quantity: Quantity,
    /// Serial numbers of these pieces. One is in one package at a time.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub serials: Vec<Text<100>>,
    /// The lots these pieces are of: each with how many, or its number alone.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub lots: Vec<LotOfPieces>,
}

/// What goes into a package.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"weight_grams": 800, "dimensions": {"length_mm": 300, "width_mm": 200, "height_mm": 100}}))]
pub struct PackageRequest {
    /// Which pieces; all that is left to ship and in no package when absent.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Option<Vec<PackageLineRequest>>,
    /// What it weighs, all in all; what the catalogue says of its pieces when absent.
    #[schema(minimum = 1, maximum = 100_000_000)]
    pub weight_grams: Option<i64>,
    /// How large it is.
    pub dimensions: Option<Dimensions>,
}

impl PackageRequest {
    fn read(&self) -> Result<NewPackage> {
        if self.lines.as_ref().is_some_and(|lines| !(1..=1000).contains(&lines.len())) {
            return Err(Error::invalid("/lines", "expected 1 to 1000 lines, or none at all for everything"));
        }
        if self.weight_grams.is_some_and(|grams| !(1..=100_000_000).contains(&grams)) {
            return Err(Error::invalid("/weight_grams", "expected a number from 1 to 100000000"));
        }
        if let Some(dimensions) = &self.dimensions {
            dimensions.check("/dimensions")?;
        }
        let line = |(place, line): (usize, &PackageLineRequest)| {
            if line.quantity.is_zero() {
                let error = Error::problem(crate::error::Code::QuantityInvalid, "expected at least one piece");
                return Err(error.at(format!("/lines/{place}/quantity")));
            }
            if line.serials.len() > 1000 || line.lots.len() > 100 {
                return Err(Error::invalid(
                    format!("/lines/{place}"),
                    "expected at most 1000 serial numbers and 100 lots",
                ));
            }
            Ok(NewLine {
                line_no: line.line_no,
                quantity: line.quantity.get(),
                serials: line.serials.iter().map(ToString::to_string).collect(),
                lots: traced::lots_of(&line.lots, line.quantity.get(), &format!("/lines/{place}"))?,
            })
        };
        let lines = self.lines.as_ref().map(|lines| lines.iter().enumerate().map(line).collect::<Result<_>>());
        let (weight_grams, dimensions) = (self.weight_grams, self.dimensions);
        Ok(NewPackage { id: Id::new(), lines: lines.transpose()?, weight_grams, dimensions })
    }
}

/// Put pieces into a package
///
/// What is not packed is packed with it. What is in a package leaves with it, and is not cancelled before it is unpacked. Where the
/// location has a `gs1_prefix`, the package gets an SSCC.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = PackageRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 201, body = PackageDetail)))]
#[post("/fulfilment-orders/{id}/packages")]
async fn create_package(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<PackageRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let (id, now, fresh, new) = (path.0, call.now, Fresh::new(), body.read()?);
    let locations = call.snapshot::<Locations>().await?;
    call.command(&body.fingerprint, move |tx| {
        let made = PackageDetail::from(service::create(tx, now, &actor, &fresh, (id, &new), &locations)?);
        let path = format!("/v1/ops/packages/{}", made.package.id);
        Ok(Reply::created(&made)?.version(made.package.version).location(path))
    })
    .await
}

/// List the packages of a fulfilment order
///
/// The oldest first.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = Page<Package>)))]
#[get("/fulfilment-orders/{id}/packages")]
async fn list_packages(call: Call, path: RefPath<FulfilmentOrderId>, query: List<All>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::FulfilmentRead)?.clone());
    let packages = call.read(move |tx| service::of_work(tx, &actor, id)).await?;
    query.answer_from(&call, packages, |package| package.id)
}

/// Read a package
#[utoipa::path(tag = "ship", params(("id" = inline(PackageId), Path)), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = PackageDetail)))]
#[get("/packages/{id}")]
async fn read_package(call: Call, path: RefPath<PackageId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::FulfilmentRead)?.clone());
    let found = PackageDetail::from(call.read(move |tx| service::get(tx, &actor, id)).await?);
    Ok(Reply::ok(&found)?.version(found.package.version))
}

/// Unpack
///
/// Opens a package that has not left: its pieces stay packed and lie beside it, its serial numbers may go into another.
#[utoipa::path(tag = "ship", params(("id" = inline(PackageId), Path)), security(("token" = ["fulfilment:write"])),
    responses((status = 200, body = PackageDetail)))]
#[post("/packages/{id}/unpack")]
async fn unpack(call: Call, path: RefPath<PackageId>, _body: NoBody) -> Result<Reply> {
    let (id, now, actor) = (path.0, call.now, call.allow(Scope::FulfilmentWrite)?.clone());
    call.command(&Fingerprint::none(), move |tx| {
        let opened = PackageDetail::from(service::unpack(tx, now, &actor, id)?);
        Ok(Reply::ok(&opened)?.version(opened.package.version))
    })
    .await
}

/// Read a package's label
///
/// What a label of ours says: where from, where to, the SSCC as text and as the element string of its GS1-128 barcode.
#[utoipa::path(tag = "ship", params(("id" = inline(PackageId), Path)), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = LabelDocument)))]
#[get("/packages/{id}/label")]
async fn read_label(call: Call, path: RefPath<PackageId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::FulfilmentRead)?.clone());
    let locations = call.snapshot::<Locations>().await?;
    let (package, all, (order, key)) = call.read(move |tx| service::around(tx, &actor, id)).await?;
    Reply::ok(&labels::label((&order, key.as_deref()), locations.get(package.location_id)?, &all, &package))
}

crate::words! {
    /// How a packing slip is given.
    pub enum SlipFormat {
        /// A document.
        Json = "json",
        /// A page to print.
        Html = "html",
    }
}

/// How a packing slip is wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SlipQuery {
    /// `html` is a page to print, as `Accept: text/html` asks for too.
    #[param(inline)]
    pub format: Option<SlipFormat>,
    /// On what the page is printed; A4 where it is left out.
    #[param(inline)]
    pub paper: Option<Paper>,
    /// Whether the page tells what a piece costs by its list; it does not where this is left out.
    pub prices: Option<bool>,
}

/// Read a package's packing slip
///
/// What is in it, for whoever opens it: as a document without prices, or as a page to print on A4 or A5 in the customer's language
/// (German or English), with prices where these are asked for and the token may read orders (`orders:read`).
#[utoipa::path(tag = "ship", params(("id" = inline(PackageId), Path), SlipQuery), security(("token" = ["fulfilment:read"])),
    responses((status = 200, content((PackingSlip = "application/json"), (String = "text/html")))))]
#[get("/packages/{id}/packing-slip")]
async fn read_packing_slip(call: Call, path: RefPath<PackageId>, query: Params<SlipQuery>) -> Result<HttpResponse> {
    let (id, actor) = (path.0, call.allow(Scope::FulfilmentRead)?.clone());
    if query.0.prices == Some(true) {
        call.allow(Scope::OrdersRead)?;
    }
    let locations = call.snapshot::<Locations>().await?;
    let (package, all, (order, key)) = call.read(move |tx| service::around(tx, &actor, id)).await?;
    let slip = labels::slip((&order, key.as_deref()), locations.get(package.location_id)?, &all, &package);
    let SlipQuery { format, paper, prices } = query.0;
    let preferred = header::Accept::parse(call.request()).map(|accept: header::Accept| accept.preference());
    let asked = preferred.is_ok_and(|kind| kind.essence_str() == "text/html");
    if format.unwrap_or(if asked { SlipFormat::Html } else { SlipFormat::Json }) == SlipFormat::Json {
        let mut answer = Reply::ok(&slip)?.respond_to(call.request());
        answer.headers_mut().insert(header::VARY, header::HeaderValue::from_static("Accept"));
        return Ok(answer);
    }
    let price = |line_no: i32| order.lines.iter().find(|line| line.line_no == line_no).map(OrderLine::price);
    let shown: Option<&dyn Fn(i32) -> Option<PricePer>> = if prices == Some(true) { Some(&price) } else { None };
    let text = page::page(&slip, package.sscc.as_deref(), paper.unwrap_or(Paper::A4), shown);
    let mut response = HttpResponse::Ok();
    response.content_type("text/html; charset=utf-8").insert_header(("Vary", "Accept"));
    response.insert_header(("Cache-Control", "no-store")).insert_header(("X-Content-Type-Options", "nosniff"));
    // Whatever got into it, it runs nothing and asks nobody.
    response.insert_header(("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox"));
    Ok(response.body(text))
}

/// Which package.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PackageQuery {
    /// Its SSCC.
    pub sscc: String,
}

/// Find a package
///
/// By what was scanned: its SSCC. None, where there is none that the caller may see.
#[utoipa::path(tag = "ship", params(PackageQuery), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = Page<Package>)))]
#[get("/packages")]
async fn find_package(call: Call, query: List<PackageQuery>) -> Result<Reply> {
    let (sscc, actor) = (query.filter.sscc.clone(), call.allow(Scope::FulfilmentRead)?.clone());
    let found = call.read(move |tx| service::by_sscc(tx, &actor, &sscc)).await?;
    query.answer_from(&call, found.into_iter().collect(), |package: &Package| package.id)
}

/// Which serial number.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SerialQuery {
    /// The serial number.
    pub serial: String,
    /// Of one SKU.
    pub sku: Option<String>,
}

/// Find a serial number
///
/// The packages that it is in and has been in, the newest first: to whom it was sent. At locations and of channels that the caller may
/// see.
#[utoipa::path(tag = "ship", params(SerialQuery), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = Page<SerialDocument>)))]
#[get("/serials")]
async fn list_serials(call: Call, query: List<SerialQuery>) -> Result<Reply> {
    let (wanted, actor) = (query.filter.clone(), call.allow(Scope::FulfilmentRead)?.clone());
    let found = call.read(move |tx| service::serials(tx, &actor, &wanted.serial, wanted.sku.as_deref()));
    // The newest first.
    query.answer_from(&call, found.await?, |found| std::cmp::Reverse((found.package.id, found.variant_id)))
}

/// A serial number that has come back.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sku": "TEE-BLACK-M", "serial": "SN-4711"}))]
pub struct SerialReleaseRequest {
    /// The SKU.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// The serial number.
    #[schema(value_type = String)]
    pub serial: Text<100>,
}

/// Let a serial number go
///
/// It has come back: it may be in another package from now on.
#[utoipa::path(tag = "ship", request_body = SerialReleaseRequest, security(("token" = ["fulfilment:write"])),
    responses((status = 200, body = PackageDetail)))]
#[post("/serials/release")]
async fn release_serial(call: Call, body: Body<SerialReleaseRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let (sku, serial) = (body.sku.to_string(), body.serial.to_string());
    call.command(&body.fingerprint, move |tx| {
        Reply::ok(&PackageDetail::from(service::release_serial(tx, &actor, &sku, &serial)?))
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_package).service(list_packages).service(find_package).service(read_package).service(unpack);
    config.service(read_label).service(read_packing_slip).service(list_serials).service(release_serial);
    manifests::api::ops(config);
}
