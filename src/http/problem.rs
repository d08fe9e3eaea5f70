//! RFC 9457 problem details: the one mapping from [`Error`] to what leaves the house.

use actix_web::{HttpResponse, http::StatusCode, http::header};
use serde_json::{Map, Value, json};

use crate::error::{Code, Error};

impl actix_web::ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        if let Self::Problem(problem) = self
            && let Some(seconds) = problem.retry_after
        {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if self.code().status() == 401 {
            // A publishable key is no token: who lacks it gains nothing by signing in.
            let how = if self.code() == Code::ChannelKeyInvalid { "Channel-Key" } else { "Bearer" };
            response.insert_header((header::WWW_AUTHENTICATE, how));
        }
        if self.code() == Code::ContentEncodingUnsupported {
            // RFC 9110, 15.5.16: the answer tells what would do.
            response.insert_header((header::ACCEPT_ENCODING, "identity"));
        }
        if self.code().status() >= 500 {
            tracing::error!(error = %self, "a request failed");
        }
        response.body(Value::Object(document(self)).to_string())
    }
}

fn document(error: &Error) -> Map<String, Value> {
    let code = error.code();
    let mut document = Map::new();
    if let Error::Problem(problem) = error {
        document.clone_from(&problem.extra);
    }
    // A reference that is resolved against the request: every server serves its own table.
    document.insert("type".into(), json!(format!("/docs/errors#{}", code.as_str())));
    document.insert("title".into(), json!(code.title()));
    document.insert("status".into(), json!(code.status()));
    document.insert("code".into(), json!(code.as_str()));
    document.insert("advice".into(), json!(code.advice()));
    if let Error::Problem(problem) = error {
        document.insert("detail".into(), json!(problem.detail));
        if let Some(pointer) = &problem.pointer {
            document.insert("pointer".into(), json!(pointer));
        }
    } else if code == Code::Internal {
        document.insert("detail".into(), json!("The X-Request-Id of this answer names it in our log."));
    }
    document
}

/// A problem as RFC 9457 describes it. Branch on `code`; the texts may change. Some codes have members of their own beside
/// these: `version_stale` the `version` that there is now, `total_changed` the `total`, `reference_ambiguous` the `candidates`.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "type": "/docs/errors#sku_unknown", "title": "There is no such SKU", "status": 422,
    "code": "sku_unknown", "detail": "there is no SKU `TEE-BLACK-XL`", "pointer": "/lines/0/sku",
    "advice": "Use a SKU of the catalogue; they are case-sensitive."
}))]
pub struct ProblemDocument {
    /// Identifies the kind of problem; points at its documentation.
    pub r#type: String,
    /// The same for every problem of a code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// What is wrong in this case.
    pub detail: Option<String>,
    /// JSON pointer to the field, or the name of the parameter or header.
    pub pointer: Option<String>,
    /// What to do.
    pub advice: String,
}
