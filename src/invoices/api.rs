//! Routes of invoices: for staff, and for who has bought.

use actix_web::{
    HttpResponse, get, post,
    web::{self, Bytes},
};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{
    model::{BillKind, Invoice, InvoiceSummary},
    page, pdf, retention,
    service::{self, Correction, Filter, Ids},
    sheet::Sheet,
    xml,
};
use crate::{
    channels::Directory,
    customers::Address,
    db::Tx,
    error::{Error, Result},
    http::{Body, Call, List, Mount, Page, Params, RefPath, Reply},
    kernel::{
        Scope,
        ids::{BillId, LegalEntityId, OrderId},
        text::{Note, Text},
    },
    orders::{self, api::OwnOrderQuery},
};

/// Which invoices are listed.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct InvoiceQuery {
    /// Those of an order, by its id, number or reference.
    #[param(value_type = Option<String>)]
    pub order: Option<Text<200>>,
    /// Those of a number.
    #[param(value_type = Option<String>, example = "RE-2026-000001")]
    pub number: Option<Text<100>>,
    /// Those of a legal entity.
    pub legal_entity_id: Option<LegalEntityId>,
    /// Invoices or credit notes.
    #[param(inline)]
    pub kind: Option<BillKind>,
    /// Issued on this day or later.
    #[param(value_type = Option<String>, example = "2026-11-01")]
    pub from: Option<NaiveDate>,
    /// Issued on this day or earlier.
    #[param(value_type = Option<String>, example = "2026-11-30")]
    pub to: Option<NaiveDate>,
}

/// List invoices
///
/// And credit notes, newest first. As a table for the bookkeeper with `format=csv`.
#[utoipa::path(tag = "answer a customer", params(InvoiceQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<InvoiceSummary>)))]
#[get("/invoices")]
async fn list_invoices(call: Call, query: List<InvoiceQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let (wanted, reader) = (query.filter.clone(), actor.clone());
    let read = move |tx: &mut Tx, after, limit| {
        let order = wanted.order.as_ref().map(|order| orders::find(tx, &reader, order)).transpose()?;
        let filter = Filter {
            order,
            number: wanted.number.as_ref().map(ToString::to_string),
            entity: wanted.legal_entity_id,
            kind: wanted.kind,
            from: wanted.from,
            to: wanted.to,
        };
        service::page(tx, &filter, after, limit)
    };
    let place = |one: &InvoiceSummary| (one.issued_on, one.id);
    query.answer_seen(&call, place, move |one| actor.sees_channel(one.channel_id), read).await
}

async fn found(call: &Call, reference: String) -> Result<Invoice> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    call.read(move |tx| service::find(tx, &actor, &reference)).await
}

/// Read an invoice
///
/// Or a credit note, by its id or number: as it was issued, and since `redacted_at` without what is personal.
#[utoipa::path(tag = "answer a customer", params(("invoice" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = Invoice)))]
#[get("/invoices/{invoice}")]
async fn read_invoice(call: Call, path: RefPath<String>) -> Result<Reply> {
    Reply::ok(&found(&call, path.0).await?)
}

/// Read an invoice as XML
///
/// UBL 2.1 with the meaning of EN 16931, for whoever takes electronic invoices. 410 `invoice_redacted` once what is personal was taken out of
/// it, after `retain_until`; so for the page and the PDF.
#[utoipa::path(tag = "answer a customer", params(("invoice" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = String, content_type = "application/xml", headers(
        ("Content-Security-Policy" = String, description = "Runs nothing and asks nobody, whatever got into it."),
        ("X-Content-Type-Options" = String, description = "`nosniff`.")))))]
#[get("/invoices/{invoice}/xml")]
async fn read_invoice_xml(call: Call, path: RefPath<String>) -> Result<HttpResponse> {
    let invoice = found(&call, path.0).await?;
    Ok(file("application/xml; charset=utf-8", xml::ubl(&retention::unredacted(invoice)?)))
}

/// Read an invoice as a page to print
///
/// In the customer's language, German or English. Print it to have a PDF.
#[utoipa::path(tag = "answer a customer", params(("invoice" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = String, content_type = "text/html", headers(
        ("Content-Security-Policy" = String, description = "Runs nothing and asks nobody, whatever got into it."),
        ("X-Content-Type-Options" = String, description = "`nosniff`.")))))]
#[get("/invoices/{invoice}/html")]
async fn read_invoice_page(call: Call, path: RefPath<String>) -> Result<HttpResponse> {
    let invoice = found(&call, path.0).await?;
    Ok(file("text/html; charset=utf-8", page::page(&Sheet::of(&retention::unredacted(invoice)?))))
}

/// Read an invoice as a PDF
///
/// In the customer's language, German or English. Its letters are those of Latin, Greek and Cyrillic; others are boxes: print the page then.
#[utoipa::path(tag = "answer a customer", params(("invoice" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = [u8], content_type = "application/pdf", headers(
        ("Content-Security-Policy" = String, description = "Runs nothing and asks nobody, whatever got into it."),
        ("X-Content-Type-Options" = String, description = "`nosniff`.")))))]
#[get("/invoices/{invoice}/pdf")]
async fn read_invoice_pdf(call: Call, path: RefPath<String>) -> Result<HttpResponse> {
    let invoice = found(&call, path.0).await?;
    drawn(invoice).await
}

/// The PDF of a document. It is drawn off the threads that serve requests: a long one takes a while.
async fn drawn(invoice: Invoice) -> Result<HttpResponse> {
    let invoice = retention::unredacted(invoice)?;
    let made = web::block(move || pdf::pdf(&Sheet::of(&invoice))).await;
    let bytes = made.map_err(|_| Error::internal("the document was not drawn"))??;
    Ok(file("application/pdf", bytes))
}

/// A document that is no JSON. Whatever got into it, it runs nothing and asks nobody.
fn file(content_type: &str, body: impl Into<Bytes>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.content_type(content_type);
    response.insert_header(("Cache-Control", "no-store")).insert_header(("X-Content-Type-Options", "nosniff"));
    response.insert_header(("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox"));
    response.body(body.into())
}

crate::words! {
    /// What can be asked for of an order.
    pub enum InvoiceWanted {
        /// An invoice over all that is not invoiced yet.
        Invoice = "invoice",
        /// What such an invoice would say: it has no number and is not kept.
        ProForma = "pro_forma",
    }
}

/// What is to be written for an order.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "pro_forma"}))]
pub struct NewInvoice {
    /// `invoice` or `pro_forma`.
    #[schema(inline)]
    pub kind: InvoiceWanted,
}

/// Invoice an order now
///
/// Whatever its channel says: an invoice over all that is not invoiced yet; credit notes for what is cancelled or comes back follow by
/// themselves from then on. Or see with `pro_forma` what it would say.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = NewInvoice,
    security(("token" = ["orders:write"])),
    responses((status = 201, body = Invoice), (status = 200, description = "What an invoice would say", body = Invoice)))]
#[post("/orders/{ref}/invoices")]
async fn invoice_order(call: Call, path: RefPath<String>, body: Body<NewInvoice>) -> Result<Reply> {
    let (actor, now, ids) = (call.allow(Scope::OrdersWrite)?.clone(), call.now, Ids::new());
    let (reference, kind) = (path.0, body.value.kind);
    let directory = call.snapshot::<Directory>().await?;
    call.command(&body.fingerprint, move |tx| match kind {
        InvoiceWanted::ProForma => Reply::ok(&service::pro_forma(tx, (now, &actor), &directory, ids.bill, &reference)?),
        InvoiceWanted::Invoice => {
            let made = service::issue_now(tx, (now, &actor), &directory, ids, &reference)?;
            Ok(Reply::created(&made)?.location(format!("/v1/ops/invoices/{}", made.id)))
        }
    })
    .await
}

/// Why an invoice is written anew, and what is to be right then.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "The company's name was missing", "billing_address": {"name": "Ada Lovelace",
    "company": "Analytical Engines GmbH", "street1": "Invalidenstr. 117", "postcode": "10115", "city": "Berlin", "country": "DE"}}))]
pub struct InvoiceCorrection {
    /// Why: it stands on both documents.
    #[schema(value_type = String, max_length = 500)]
    pub reason: Note<500>,
    /// Who has bought, where that was wrong. Their VAT number stays what it was: the tax follows from it.
    pub billing_address: Option<Address>,
}

/// What has taken an invoice's place.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Corrected {
    /// The credit note over all of it.
    pub credit_note: Invoice,
    /// The invoice that takes its place.
    pub invoice: Invoice,
}

/// Correct an invoice
///
/// What is issued never changes: a credit note takes all of it back, and a new invoice over the same goods and amounts takes its place, with
/// the seller's settings as they are now and the address that is given. Not once other documents are about it.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(BillId), Path)), request_body = InvoiceCorrection,
    security(("token" = ["orders:write"])), responses((status = 201, body = Corrected)))]
#[post("/invoices/{id}/correct")]
async fn correct_invoice(call: Call, path: RefPath<BillId>, body: Body<InvoiceCorrection>) -> Result<Reply> {
    let (actor, now, ids) = (call.allow(Scope::OrdersWrite)?.clone(), call.now, (Ids::new(), Ids::new()));
    let (id, what) = (path.0, body.value.clone());
    let what = Correction { reason: what.reason.to_string(), buyer: what.billing_address };
    let directory = call.snapshot::<Directory>().await?;
    call.command(&body.fingerprint, move |tx| {
        let (credit_note, invoice) = service::correct(tx, (now, &actor), &directory, ids, id, &what)?;
        let location = format!("/v1/ops/invoices/{}", invoice.id);
        Ok(Reply::created(&Corrected { credit_note, invoice })?.location(location))
    })
    .await
}

/// One's invoices of an order, where it is theirs.
async fn own(call: &Call, order: OrderId, token: Option<String>) -> Result<Vec<Invoice>> {
    let order = orders::api::visible(call, order, token).await?;
    call.read(move |tx| service::of_order(tx, order.id)).await
}

/// The invoices of an order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OwnInvoices {
    /// Invoices and credit notes, the oldest first.
    pub items: Vec<Invoice>,
}

/// List the invoices of one's order
///
/// Whoever may read the order may.
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), OwnOrderQuery),
    responses((status = 200, body = OwnInvoices)))]
#[get("/orders/{id}/invoices")]
async fn list_own_invoices(call: Call, path: RefPath<OrderId>, query: Params<OwnOrderQuery>) -> Result<Reply> {
    Reply::ok(&OwnInvoices { items: own(&call, path.0, query.0.token).await? })
}

/// Which invoice of which order.
#[derive(Debug, Clone, Deserialize)]
struct OwnInvoicePath {
    id: OrderId,
    invoice: BillId,
}

/// Read an invoice of one's order as a page to print
///
/// Whoever may read the order may.
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), ("invoice" = inline(BillId), Path), OwnOrderQuery),
    responses((status = 200, body = String, content_type = "text/html")))]
#[get("/orders/{id}/invoices/{invoice}/html")]
async fn read_own_invoice_page(
    call: Call,
    path: RefPath<OwnInvoicePath>,
    query: Params<OwnOrderQuery>,
) -> Result<HttpResponse> {
    let found = own_one(&call, path.0, query.0.token).await?;
    Ok(file("text/html; charset=utf-8", page::page(&Sheet::of(&retention::unredacted(found)?))))
}

/// Read an invoice of one's order as a PDF
///
/// Whoever may read the order may.
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), ("invoice" = inline(BillId), Path), OwnOrderQuery),
    responses((status = 200, body = [u8], content_type = "application/pdf")))]
#[get("/orders/{id}/invoices/{invoice}/pdf")]
async fn read_own_invoice_pdf(
    call: Call,
    path: RefPath<OwnInvoicePath>,
    query: Params<OwnOrderQuery>,
) -> Result<HttpResponse> {
    drawn(own_one(&call, path.0, query.0.token).await?).await
}

/// An invoice of an order that the caller may read.
async fn own_one(call: &Call, path: OwnInvoicePath, token: Option<String>) -> Result<Invoice> {
    let all = own(call, path.id, token).await?;
    all.into_iter().find(|one| one.id == path.invoice).ok_or_else(|| Error::not_found("invoice"))
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_invoices).service(read_invoice).service(read_invoice_xml).service(read_invoice_page);
    config.service(read_invoice_pdf);
    config.service(invoice_order).service(correct_invoice);
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(list_own_invoices).service(read_own_invoice_page).service(read_own_invoice_pdf);
}
