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

/// Tells whether a page of an origin may call the store surface.
pub type Allows = fn(State, String) -> Pin<Box<dyn Future<Output = Result<bool>>>>;

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const SENT: &str =
    "authorization, cart-token, channel-key, content-type, idempotency-key, if-match, x-request-id, traceparent";
const SHOWN: &str =
    "etag, idempotency-replayed, link, location, ratelimit-limit, ratelimit-remaining, retry-after, x-request-id";

/// Around the requests that a browser marks with `Origin`: answers its question beforehand, and lets its page read the
/// answer. A page of an origin that is not allowed gets no permission, which makes the browser keep the answer from it.
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
    let allowed = match (state, origin.to_str()) {
        (Some(state), Ok(text)) => allows(state, text.to_owned()).await?,
        _ => false,
    };
    let asks =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
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
