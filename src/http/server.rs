//! The server: sockets, what happens around every request, a graceful end.

use std::{
    net::TcpListener,
    sync::{Arc, LazyLock},
    time::Instant as Moment,
};

use actix_web::{
    App, HttpMessage, HttpRequest, HttpResponse, HttpServer,
    body::{BoxBody, MessageBody},
    dev::{Server, ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        Method,
        header::{HeaderName, HeaderValue},
    },
    middleware::{Compress, Next, from_fn},
    web,
};
use tracing::Instrument;

use super::{call::RequestName, cors, limits::Remaining, state::State, trace::Trace};
use crate::{
    error::{Code, Error, Result},
    kernel::{Id, ids},
};

/// Which methods each path template takes.
pub type RouteTable = Vec<(actix_web::dev::ResourceDef, Vec<String>)>;

/// The same for 405 answers and late ones, made when the first of these is given: it takes long, and a process that just
/// started has something better to do.
pub type Routes = Arc<LazyLock<RouteTable>>;

/// Starts serving on a socket that is already bound. `configure` mounts the routes, `allows` tells whose pages may call.
///
/// # Errors
/// When the socket can not be used.
pub fn serve(
    listener: TcpListener,
    state: State,
    routes: Routes,
    allows: cors::Allows,
    configure: impl Fn(&mut web::ServiceConfig) + Send + Clone + 'static,
) -> Result<Server> {
    let settings = state.settings.clone();
    let build = move || {
        App::new()
            .app_data(web::Data::new(state.clone()))
            .app_data(web::Data::new(routes.clone()))
            .wrap(Compress::default())
            .wrap(from_fn(around))
            .wrap(from_fn(move |request: ServiceRequest, next: Next<BoxBody>| cors::around(allows, request, next)))
            .configure(configure.clone())
            .default_service(web::to(no_route))
    };
    let mut server = HttpServer::new(build)
        .keep_alive(std::time::Duration::from_secs(75))
        .shutdown_timeout(settings.http.shutdown_seconds)
        .disable_signals();
    if settings.http.workers > 0 {
        server = server.workers(settings.http.workers);
    }
    let server = server.listen(listener).map_err(|error| Error::internal(format!("can not serve: {error}")))?;
    Ok(server.run())
}

/// 404, or 405 with `Allow` where the path takes other methods.
async fn no_route(request: HttpRequest) -> Result<HttpResponse> {
    let routes = request.app_data::<web::Data<Routes>>();
    let known = routes.and_then(|routes| routes.iter().find(|(path, _)| path.is_match(request.path())));
    match known {
        Some((_, methods)) => {
            let error = Error::problem(Code::MethodNotAllowed, format!("this route takes {}", methods.join(", ")));
            let mut response = actix_web::ResponseError::error_response(&error);
            let allow = HeaderValue::from_str(&methods.join(", ")).map_err(Error::internal)?;
            response.headers_mut().insert(HeaderName::from_static("allow"), allow);
            Ok(response)
        }
        None => Err(Error::problem(Code::RouteNotFound, "there is no such route")),
    }
}

/// Around every request: its id, its trace, its time limit, its figures.
async fn around(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let start = Moment::now();
    let state = request.app_data::<web::Data<State>>().map(|state| state.get_ref().clone());
    let Some(state) = state else { return Err(Error::internal("no state").into()) };
    let id = request_id(&request);
    request.extensions_mut().insert(RequestName(id.clone()));
    let path = request.path().to_owned();
    let routes = request.app_data::<web::Data<Routes>>().map(|routes| routes.get_ref().clone());
    let method = request.method().clone();
    // What hands items out under a lease is no asking: HEAD would take what nobody sees.
    let hands_out = request.path().contains("/feeds/") && request.query_string().contains("consumer=");
    if method == Method::HEAD && !hands_out {
        // Whatever answers GET answers HEAD (RFC 9110, 9.3.2): the connection knows that no body goes out.
        request.head_mut().method = Method::GET;
    }
    let trace = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let trace = trace.and_then(Trace::parse).unwrap_or_default();
    let span = tracing::info_span!("request", id, %trace, %method, path);
    let limit = std::time::Duration::from_secs(state.settings.http.request_timeout_seconds);
    let limit = if is_bulk(&request) { limit.max(BULK_TIME) } else { limit };
    let answered = tokio::time::timeout(limit, trace.run(next.call(request))).instrument(span.clone()).await;
    let Ok(answered) = answered else {
        let route = routes.as_ref().and_then(|routes| routes.iter().find(|(route, _)| route.is_match(&path)));
        let route = route.and_then(|(route, _)| route.pattern()).unwrap_or("unmatched");
        return Err(late(&state, &id, &method, route, start, &span));
    };
    let mut response = answered?.map_into_boxed_body();
    if let Some(problem) = response.response().error().and_then(as_problem) {
        response = response.into_response(problem);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    let left = response.request().extensions().get::<Remaining>().copied();
    if let Some(left) = left {
        response.headers_mut().insert(HeaderName::from_static("ratelimit-limit"), left.limit.into());
        response.headers_mut().insert(HeaderName::from_static("ratelimit-remaining"), left.remaining.into());
    }
    let route = response.request().match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    let status = response.status().as_u16();
    state.metrics.answered(&method, &route, status, start.elapsed());
    let _in_span = span.enter();
    let ms = start.elapsed().as_millis();
    // One line for each request; those of whoever watches the process are of no interest.
    if path.starts_with("/health/") || path == "/metrics" {
        tracing::debug!(status, ms, "answered");
    } else {
        tracing::info!(status, ms, "answered");
    }
    Ok(response)
}

/// The answer to a request that took too long. The request must not be cloned before it is routed, so it has gone with what
/// was dropped: the answer travels as an error, with all the headers of another one.
fn late(
    state: &State,
    id: &str,
    method: &Method,
    route: &str,
    start: Moment,
    span: &tracing::Span,
) -> actix_web::Error {
    let error = Error::problem(Code::Overloaded, "the request took too long").retry_after(5);
    let mut response = actix_web::ResponseError::error_response(&error);
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    let status = response.status().as_u16();
    state.metrics.answered(method, route, status, start.elapsed());
    let _in_span = span.enter();
    tracing::warn!(status, ms = start.elapsed().as_millis(), "given up: it took too long");
    InternalError::from_response(error, response).into()
}

/// How long a bulk import may take: 64 MiB want their time to arrive, and then to be applied.
const BULK_TIME: std::time::Duration = std::time::Duration::from_secs(900);

/// Whether the request brings a file of rows.
fn is_bulk(request: &ServiceRequest) -> bool {
    let media_type = request.headers().get(actix_web::http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let of_rows = |media_type: &str| media_type.contains("ndjson") || media_type.starts_with("text/csv");
    request.path().starts_with("/v1/integration/") && media_type.is_some_and(of_rows)
}

/// The caller's request id when it is a sane one, else a new one.
fn request_id(request: &ServiceRequest) -> String {
    let given = request.headers().get("X-Request-Id").and_then(|value| value.to_str().ok());
    let sane = |id: &&str| (1..=100).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    given.filter(sane).map_or_else(|| Id::<ids::Request>::new().to_string(), str::to_owned)
}

/// The framework's own errors as problem documents; `None` for ours, which are problems already.
fn as_problem(error: &actix_web::Error) -> Option<HttpResponse> {
    if error.as_error::<Error>().is_some() {
        return None;
    }
    let code = match error.as_response_error().status_code().as_u16() {
        404 => Code::RouteNotFound,
        405 => Code::MethodNotAllowed,
        408 => Code::RequestTimeout,
        413 => Code::BodyTooLarge,
        415 => Code::MediaTypeUnsupported,
        400..500 => Code::BodyMalformed,
        // What went wrong inside is for the log.
        _ => return Some(actix_web::ResponseError::error_response(&Error::internal(error))),
    };
    Some(actix_web::ResponseError::error_response(&Error::problem(code, error.to_string())))
}
