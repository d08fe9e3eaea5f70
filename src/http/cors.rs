//! Calls from a browser's page of another origin (CORS), on the store surface only: which origins may is asked of the
//! channels, through a function that is handed in, for HTTP knows no slice.

use std::{future::Future, pin::Pin};

use actix_web::{
    HttpResponse,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        Method,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};

use super::{openapi::Surface, state::State};
use crate::error::Result;

/// Who calls: a page of an origin, with a publishable key, where it sends one.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The page's origin.
    pub origin: String,
    /// Its `Channel-Key`; never there when a browser asks beforehand, for that has no headers of the page's.
    pub channel_key: Option<String>,
}

/// Tells whether a page may read what the store surface answers it.
pub type Allows = fn(State, Visitor) -> Pin<Box<dyn Future<Output = Result<bool>>>>;

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const SENT: &str =
    "authorization, cart-token, channel-key, content-type, idempotency-key, if-match, x-request-id, traceparent";
const SHOWN: &str =
    "etag, idempotency-replayed, link, location, ratelimit-limit, ratelimit-remaining, retry-after, x-request-id";

/// Around the requests that a browser marks with `Origin`: answers its question beforehand, and lets its page read the
/// answer. A page of an origin that is not allowed gets no permission, which makes the browser keep the answer from it; that
/// of one brand gets none for what is answered to another brand's key.
pub(super) async fn around(
    allows: Allows,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if Surface::of(request.path()) != Some(Surface::Store) {
        return next.call(request).await;
    }
    let vary = HeaderValue::from_static("Origin");
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else {
        // An answer that is kept on the way must not be given to a page of an origin.
        let mut response = next.call(request).await?;
        response.headers_mut().append(header::VARY, vary);
        return Ok(response);
    };
    let state = request.app_data::<web::Data<State>>().map(|state| state.get_ref().clone());
    let asks =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let channel_key = request.headers().get("Channel-Key").filter(|_| !asks).and_then(|key| key.to_str().ok());
    let allowed = match (state, origin.to_str()) {
        (Some(state), Ok(text)) => {
            allows(state, Visitor { origin: text.to_owned(), channel_key: channel_key.map(str::to_owned) }).await?
        }
        _ => false,
    };
    let add = |headers: &mut HeaderMap| {
        headers.append(header::VARY, vary);
        if allowed {
            permit(headers, origin, asks);
        }
    };
    let answered =
        if asks { Ok(request.into_response(HttpResponse::NoContent().finish())) } else { next.call(request).await };
    match answered {
        Ok(mut response) => {
            add(response.headers_mut());
            Ok(response)
        }
        // An answer that travels as an error, as that to a request which took too long.
        Err(error) => {
            let mut response = error.error_response();
            add(response.headers_mut());
            Err(InternalError::from_response(error, response).into())
        }
    }
}

fn permit(headers: &mut HeaderMap, origin: HeaderValue, asks: bool) {
    let fixed: &[(HeaderName, &'static str)] = if asks {
        &[
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, SENT),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ]
    } else {
        &[(header::ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN)]
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    for (name, value) in fixed {
        headers.insert(name.clone(), HeaderValue::from_static(value));
    }
}
