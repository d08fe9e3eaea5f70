//! Routes of what is kept beside orders.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::{
    model::{Attachment, Beside, NoteVisibility, OrderNote},
    service,
};
use crate::{
    error::{Error, Result},
    http::{Body, Call, Mount, NoBody, Params, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Scope,
        ids::{EventId, OrderAttachmentId, OrderId, OrderNoteId},
        text::{Note, Text, WebAddress},
    },
    orders::{self, OrderDocument},
};

/// See what is kept beside an order
///
/// Its notes, its tags, its documents.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = Beside)))]
#[get("/orders/{ref}/notes")]
async fn read_notes(call: Call, path: RefPath<String>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let found = call.read(move |tx| {
        let id = orders::find(tx, &actor, &path.0)?;
        service::beside(tx, id)
    });
    Reply::ok(&found.await?)
}

/// A note.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderNoteRequest, example = json!({"text": "prefers to be called in the evening", "visibility": "staff"}))]
pub struct NoteRequest {
    /// What it says.
    #[schema(value_type = String)]
    pub text: Note<2000>,
    /// Who may read it; staff when left out.
    pub visibility: Option<NoteVisibility>,
}

/// Write a note on an order
///
/// For staff, or for its customer too, who finds it beside the order.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = NoteRequest,
    security(("token" = ["orders:write"])), responses((status = 201, body = Beside)))]
#[post("/orders/{ref}/notes")]
async fn write_note(call: Call, path: RefPath<String>, body: Body<NoteRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (now, event) = (call.now, EventId::new());
    let note = OrderNote {
        id: OrderNoteId::new(),
        visibility: body.visibility.unwrap_or(NoteVisibility::Staff),
        text: body.text.to_string(),
        author: actor.label(),
        created_at: now,
    };
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &path.0)?;
        Reply::created(&service::note(tx, now, &actor, (event, id), &note)?)
    })
    .await
}

/// A document that lies elsewhere.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderAttachmentRequest, example = json!({
    "name": "delivery-note.pdf", "media_type": "application/pdf", "size": 48213, "url": "https://files.example.org/4711.pdf"
}))]
pub struct AttachmentRequest {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Text<200>,
    /// What it is.
    #[schema(value_type = String)]
    pub media_type: Text<100>,
    /// How many bytes it has.
    #[schema(minimum = 0)]
    pub size: i64,
    /// Where it lies.
    #[schema(value_type = String)]
    pub url: WebAddress,
    /// Its SHA-256 in lower-case hex digits.
    #[schema(value_type = Option<String>, pattern = "^[0-9a-f]{64}$")]
    pub sha256: Option<Text<64>>,
}

impl AttachmentRequest {
    fn checked(&self) -> Result<()> {
        if self.size < 0 {
            return Err(Error::invalid("/size", "expected a number of bytes"));
        }
        let mut parts = self.media_type.split('/');
        let word = |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && !part.contains(' '));
        if !(word(parts.next()) && word(parts.next())) {
            return Err(Error::invalid("/media_type", "expected a media type such as application/pdf"));
        }
        let hex =
            |text: &str| text.len() == 64 && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
        match &self.sha256 {
            Some(hash) if !hex(hash) => Err(Error::invalid("/sha256", "expected 64 lower-case hex digits")),
            _ => Ok(()),
        }
    }
}

/// Note a document of an order
///
/// What it is and where it lies: the document itself is not kept here.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = AttachmentRequest,
    security(("token" = ["orders:write"])), responses((status = 201, body = Beside)))]
#[post("/orders/{ref}/attachments")]
async fn attach_document(call: Call, path: RefPath<String>, body: Body<AttachmentRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    body.checked()?;
    let one = Attachment {
        id: OrderAttachmentId::new(),
        name: body.name.to_string(),
        media_type: body.media_type.to_string(),
        size: body.size,
        url: body.url.to_string(),
        sha256: body.sha256.as_ref().map(ToString::to_string),
        author: actor.label(),
        created_at: call.now,
    };
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &path.0)?;
        Reply::created(&service::attach(tx, id, &one)?)
    })
    .await
}

/// Tags to be given and taken off.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderTagsRequest, example = json!({"add": ["vip"], "remove": []}))]
pub struct TagsRequest {
    /// Tags that it is to have.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 20)]
    pub add: Vec<Text<50>>,
    /// Tags that it is not to have.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 20)]
    pub remove: Vec<Text<50>>,
}

/// An order's tags.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OrderTags {
    /// All of them, in their order.
    pub tags: Vec<String>,
}

/// Tag an order
///
/// `GET /v1/ops/orders?tag=…` finds it by them.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = TagsRequest,
    security(("token" = ["orders:write"])), responses((status = 200, body = OrderTags)))]
#[post("/orders/{ref}/tags")]
async fn tag_order(call: Call, path: RefPath<String>, body: Body<TagsRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (now, event) = (call.now, EventId::new());
    let texts = |of: &[Text<50>]| -> Vec<String> { of.iter().map(ToString::to_string).collect() };
    let (add, remove) = (texts(&body.add), texts(&body.remove));
    if add.len() > 20 || remove.len() > 20 {
        return Err(Error::invalid("/add", "expected at most 20 tags"));
    }
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &path.0)?;
        let tags = service::tag(tx, now, &actor, (event, id), (&add, &remove))?;
        Reply::ok(&OrderTags { tags })
    })
    .await
}

/// Have an order's confirmation sent again
///
/// `order.confirmation_requested.v1` tells whoever sends it. Not twice within five minutes.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), security(("token" = ["orders:write"])),
    responses((status = 202, body = OrderDocument)))]
#[post("/orders/{ref}/resend-confirmation")]
async fn resend_confirmation(call: Call, path: RefPath<String>, _: NoBody) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (now, event) = (call.now, EventId::new());
    call.command(&Fingerprint::none(), move |tx| {
        let id = orders::resolve(tx, &actor, &path.0)?;
        let order = service::resend(tx, now, &actor, event, id)?;
        Ok(Reply::accepted(&order)?.version(order.version))
    })
    .await
}

/// Notes that its customer may read.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CustomerNotes {
    /// The oldest first.
    pub notes: Vec<OrderNote>,
}

/// Read the notes on one's order
///
/// What the shop wants its customer to know.
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), orders::api::OwnOrderQuery),
    responses((status = 200, body = CustomerNotes)))]
#[get("/orders/{id}/notes")]
async fn read_own_notes(
    call: Call,
    path: RefPath<OrderId>,
    query: Params<orders::api::OwnOrderQuery>,
) -> Result<Reply> {
    let order = orders::api::visible(&call, path.0, query.0.token).await?;
    let notes = call.read(move |tx| service::for_customer(tx, order.id)).await?;
    Reply::ok(&CustomerNotes { notes })
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(read_notes).service(write_note).service(attach_document).service(tag_order);
    config.service(resend_confirmation);
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(read_own_notes);
}
