//! What adapters' settings have in common: schemas, documents that are read strictly, addresses.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use super::network;
use crate::{
    error::{Code, Error, Result},
    http::parse_value,
};

/// The JSON schema of a type.
#[must_use]
pub fn schema<T: utoipa::PartialSchema>() -> Value {
    // A schema of ours is always JSON.
    serde_json::to_value(T::schema()).unwrap_or_else(|_| json!({"type": "object"}))
}

/// Reads settings or secrets strictly.
///
/// # Errors
/// `settings_invalid`, with the pointer below `root`.
pub fn read<T: DeserializeOwned>(root: &str, document: &Value) -> Result<T> {
    parse_value(document).map_err(|error| match error {
        Error::Problem(problem) => {
            let pointer = format!("{root}{}", problem.pointer.unwrap_or_default());
            Error::problem(Code::SettingsInvalid, problem.detail).at(pointer)
        }
        error => error,
    })
}

/// A setting that is wrong.
#[must_use]
pub fn wrong(field: &str, detail: &str) -> Error {
    Error::problem(Code::SettingsInvalid, detail.to_owned()).at(format!("/settings/{field}"))
}

/// An http or https address, without anything secret in it.
///
/// # Errors
/// `settings_invalid`.
pub fn http_url(text: &str, field: &str) -> Result<Url> {
    if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(wrong(field, "expected a URL without blanks and line breaks"));
    }
    if text.len() > 2000 {
        return Err(wrong(field, "expected at most 2,000 characters"));
    }
    let url = Url::parse(text).map_err(|error| wrong(field, &format!("not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong(field, "expected an http or https address"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(field, "a URL is shown to everybody: give credentials as secrets"));
    }
    Ok(url)
}

/// Whether an address may be reached, as far as it tells.
///
/// # Errors
/// `address_forbidden`.
pub fn is_allowed(url: &Url, allow_private: bool) -> Result<()> {
    if allow_private { Ok(()) } else { network::check_literal(url).map_err(|error| error.at("/settings/url")) }
}
