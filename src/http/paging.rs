//! Lists: a page, a cursor to the next, no offsets.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::{Code, Error, Result};

/// The query parameters that every list takes.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// How many items at most, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<i64>,
    /// Where to go on: `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl ListQuery {
    /// The limit, checked.
    ///
    /// # Errors
    /// When it is not between 1 and 200.
    pub fn limit(&self) -> Result<i64> {
        limit(self.limit)
    }
}

/// A page's size: 50 unless told, 1 to 200.
///
/// # Errors
/// When it is not between 1 and 200.
pub fn limit(limit: Option<i64>) -> Result<i64> {
    match limit.unwrap_or(50) {
        limit @ 1..=200 => Ok(limit),
        _ => Err(Error::problem(Code::InvalidQuery, "limit must be between 1 and 200").at("limit")),
    }
}

/// Whether a list is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// Up to [`COUNT_CAP`].
    Capped,
}

/// How far lists are counted.
pub const COUNT_CAP: i64 = 10_000;

/// A page of a list.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Send it as `cursor` to get the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// How many there are in all, counted up to 10,000; only with `count=capped`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
}

impl<T> Page<T> {
    /// A page from up to `limit + 1` items: the one too many tells that there is a next page.
    ///
    /// # Errors
    /// When the key can not be encoded, which would be a defect.
    pub fn cut<K: Serialize>(mut items: Vec<T>, limit: i64, key: impl Fn(&T) -> K) -> Result<Self> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = match items.last() {
            Some(last) if more => Some(Cursor(key(last)).encode()?),
            _ => None,
        };
        Ok(Self { items, next_cursor, count: None })
    }
}

/// An opaque cursor: the key of the last item of the page before.
#[derive(Debug, Clone)]
pub struct Cursor<K>(pub K);

impl<K: Serialize> Cursor<K> {
    /// Its text.
    ///
    /// # Errors
    /// When the key is no JSON, which would be a defect.
    pub fn encode(&self) -> Result<String> {
        Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(&self.0)?))
    }
}

impl<K: DeserializeOwned> Cursor<K> {
    /// The cursor of a text.
    ///
    /// # Errors
    /// `invalid_cursor` when it is none of ours.
    pub fn decode(text: &str) -> Result<Self> {
        let wrong = || Error::problem(Code::InvalidCursor, "this cursor was not given by this list").at("cursor");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        serde_json::from_slice(&bytes).map(Self).map_err(|_| wrong())
    }

    /// The cursor of an optional text.
    ///
    /// # Errors
    /// As [`Cursor::decode`].
    pub fn decode_optional(text: Option<&str>) -> Result<Option<K>> {
        text.map(Self::decode).transpose().map(|cursor| cursor.map(|cursor| cursor.0))
    }
}

/// The place after which a list goes on that is ordered by id, or by a folded name and id where names are searched
/// (`named`): the name is empty in the first case.
///
/// # Errors
/// `invalid_cursor` when it is none of ours, or one of the other order.
pub fn named_cursor<K: DeserializeOwned>(text: Option<&str>, named: bool) -> Result<Option<(String, K)>> {
    let Some((name, id)) = Cursor::<(Option<String>, K)>::decode_optional(text)? else { return Ok(None) };
    let folded = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ');
    if name.is_some() != named || !name.iter().all(folded) {
        return Err(Error::problem(Code::InvalidCursor, "this cursor was not given by this list").at("cursor"));
    }
    Ok(Some((name.unwrap_or_default(), id)))
}
