//! Routes of variants.

use actix_web::{get, patch, post};
use serde::Deserialize;

use super::{
    model::{Gtin, NewVariant, Variant, VariantChange, VariantStatus},
    service::{self, Filter},
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    http::{Body, Call, IfMatch, List, Mount, Page, RefPath, Reply, paging},
    kernel::{Id, Scope, ids::VariantId, text::fold},
};

/// Make a variant
///
/// Many at once: `POST /v1/integration/variants`.
#[utoipa::path(tag = "set up a shop", request_body = NewVariant, security(("token" = ["catalog:write"])),
    responses((status = 201, body = Variant)))]
#[post("/variants")]
async fn create_variant(call: Call, body: Body<NewVariant>) -> Result<Reply> {
    call.allow_everywhere(Scope::CatalogWrite)?;
    let (id, now, new) = (Id::new(), call.now, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let made = service::create(tx, now, id, &new)?;
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/ops/variants/{}", made.id)))
    })
    .await
}

/// What a list of variants is narrowed by.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct VariantQuery {
    /// Exactly this SKU.
    sku: Option<String>,
    /// This GTIN, in any of its lengths.
    gtin: Option<String>,
    /// Words of the name, or their beginnings; umlauts and accents do not matter.
    #[param(max_length = 200)]
    q: Option<String>,
    /// Only these.
    status: Option<VariantStatus>,
}

impl VariantQuery {
    fn filter(&self) -> Result<Filter> {
        let odd = |detail: &str, name: &str| Error::problem(Code::InvalidQuery, detail.to_owned()).at(name);
        if self.q.as_deref().is_some_and(|q| q.chars().count() > LONGEST_QUERY) {
            return Err(odd("q is longer than 200 characters", "q"));
        }
        let words: Vec<String> =
            fold(self.q.as_deref().unwrap_or_default()).split_whitespace().map(str::to_owned).collect();
        if self.q.is_some() && !(1..=MOST_WORDS).contains(&words.len()) {
            return Err(odd("q needs one to eight words with letters or digits", "q"));
        }
        if self.sku.as_deref().is_some_and(|sku| sku.contains('\0')) {
            return Err(odd("sku holds a NUL character", "sku"));
        }
        let gtin =
            self.gtin.as_deref().map(str::parse::<Gtin>).transpose().map_err(|_| odd("gtin is no GTIN", "gtin"))?;
        let sku = self.sku.as_deref().map(|sku| sku.trim().to_owned());
        Ok(Filter { sku, gtin: gtin.map(|gtin| gtin.spellings()), words, status: self.status })
    }
}

const MOST_WORDS: usize = 8;
/// How many characters a search for words may have.
const LONGEST_QUERY: usize = 200;

/// List variants
///
/// In the order in which they were made; with `q` in the order of their names.
#[utoipa::path(tag = "set up a shop", params(VariantQuery), security(("token" = ["catalog:read"])),
    responses((status = 200, body = Page<Variant>)))]
#[get("/variants")]
async fn list_variants(call: Call, query: List<VariantQuery>) -> Result<Reply> {
    call.allow(Scope::CatalogRead)?;
    let filter = query.filter.filter()?;
    let (named, counted) = (!filter.words.is_empty(), filter.clone());
    let key = move |last: &Variant| (named.then(|| fold(&last.name)), last.id);
    let count = move |tx: &mut Tx| service::count(tx, &counted, paging::COUNT_CAP);
    let read = move |tx: &mut Tx, after, limit| service::page(tx, &filter, paging::named_place(after, named)?, limit);
    query.answer_counted(&call, key, count, read).await
}

/// Read a variant
#[utoipa::path(tag = "set up a shop", params(("id" = inline(VariantId), Path)), security(("token" = ["catalog:read"])),
    responses((status = 200, body = Variant)))]
#[get("/variants/{id}")]
async fn read_variant(call: Call, path: RefPath<VariantId>) -> Result<Reply> {
    call.allow(Scope::CatalogRead)?;
    let id = path.0;
    let variant = call.read(move |tx| service::read(tx, id)).await?.ok_or_else(|| Error::not_found("variant"))?;
    Ok(Reply::ok(&variant)?.version(variant.version))
}

/// Change a variant
///
/// Send the `ETag` you have seen as `If-Match`. The SKU stays; archive a variant whose SKU is wrong and make another.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(VariantId), Path), IfMatch), request_body = VariantChange,
    security(("token" = ["catalog:write"])), responses((status = 200, body = Variant)))]
#[patch("/variants/{id}")]
async fn update_variant(call: Call, path: RefPath<VariantId>, body: Body<VariantChange>) -> Result<Reply> {
    call.allow_everywhere(Scope::CatalogWrite)?;
    let (id, now, expected, change) = (path.0, call.now, call.if_match()?, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let changed = service::update(tx, now, id, expected, &change)?;
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_variant).service(list_variants).service(read_variant).service(update_variant);
}
