//! Lists: a page, a cursor to the next, no offsets.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    db::Tx,
    error::{Code, Error, Result},
};

/// The query parameters that the lists of the store and the integration surface take; those of the ops surface take more,
/// see [`super::List`].
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// How many items at most, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<i64>,
    /// Where to go on: `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// `capped` also counts all items, up to 10,000.
    #[param(inline)]
    pub count: Option<Count>,
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

/// The most that a page holds.
const MOST_ITEMS: i64 = 200;

/// A page's size: 50 unless told, 1 to 200.
///
/// # Errors
/// When it is not between 1 and 200.
pub fn limit(limit: Option<i64>) -> Result<i64> {
    limit_within(limit.unwrap_or(50), MOST_ITEMS)
}

/// A page's size where a page holds at most so many.
///
/// # Errors
/// When it is not between 1 and these.
pub fn limit_within(limit: i64, most: i64) -> Result<i64> {
    match (1..=most).contains(&limit) {
        true => Ok(limit),
        false => Err(Error::problem(Code::InvalidQuery, format!("expected 1 to {most}")).at("limit")),
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

/// Up to `wanted` items that are `seen`, after a key: of what `read` gives so many after a key, in order, it is asked for more as
/// long as there is any, so that a page is never short because somebody does not see all of it.
///
/// # Errors
/// What `read` says.
pub fn fill<I, K>(
    tx: &mut Tx,
    wanted: i64,
    mut after: Option<K>,
    key: impl Fn(&I) -> K,
    seen: impl Fn(&I) -> bool,
    read: impl Fn(&mut Tx, Option<K>, i64) -> Result<Vec<I>>,
) -> Result<Vec<I>> {
    let room = usize::try_from(wanted).unwrap_or_default();
    let (mut items, mut step) = (Vec::new(), wanted);
    loop {
        let found = read(tx, after, step)?;
        let more = i64::try_from(found.len()).is_ok_and(|read| read >= step);
        step = step.max(MOST_ITEMS);
        after = found.last().map(&key);
        items.extend(found.into_iter().filter(&seen));
        if !more || items.len() >= room {
            items.truncate(room);
            return Ok(items);
        }
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
        if super::body::holds_nul(&bytes) {
            return Err(wrong());
        }
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

/// The value of a `Link` header that leads from a page to the next: the same request with another cursor.
#[must_use]
pub fn next_link(uri: &actix_web::http::Uri, cursor: &str) -> String {
    let kept = uri.query().unwrap_or_default().split('&');
    let kept: Vec<&str> = kept.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor=")).collect();
    let query = kept.into_iter().map(|pair| format!("{pair}&")).collect::<String>();
    format!("<{}?{query}cursor={cursor}>; rel=\"next\"", uri.path())
}

/// The place after which a list goes on that is ordered by id, or by a folded name and id where names are searched
/// (`named`): the name is empty in the first case.
///
/// # Errors
/// `invalid_cursor` when it is one of the other order.
pub fn named_place<K>(after: Option<(Option<String>, K)>, named: bool) -> Result<Option<(String, K)>> {
    let Some((name, id)) = after else { return Ok(None) };
    let folded = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ');
    if name.is_some() != named || !name.iter().all(folded) {
        return Err(Error::problem(Code::InvalidCursor, "this cursor was not given by this list").at("cursor"));
    }
    Ok(Some((name.unwrap_or_default(), id)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernel::{
        Instant,
        ids::{Id, OrderId},
    };

    /// What a list's key may be made of.
    type Key = (String, i64, Option<String>, Instant, OrderId);

    fn key() -> impl Strategy<Value = Key> {
        // The years 1 to 9999, which is what an instant may be.
        let at = (-62_135_596_800_000_000i64..=253_402_300_799_999_999).prop_map(Instant::from_micros);
        let text = "[^\u{0}]{0,40}";
        (text, any::<i64>(), proptest::option::of(text), at, any::<[u8; 16]>().prop_map(Id::from_bytes))
    }

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written(key in key()) {
            let text = Cursor(key.clone()).encode().unwrap();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
            prop_assert_eq!(Cursor::<Key>::decode(&text).unwrap().0, key);
        }

        #[test]
        fn what_is_no_cursor_is_refused_and_never_more(text in "\\PC{0,80}") {
            if let Err(error) = Cursor::<Key>::decode(&text) {
                prop_assert_eq!(error.code(), Code::InvalidCursor);
            }
        }

        #[test]
        fn a_changed_cursor_is_refused_or_another_key(key in key(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = serde_json::to_vec(&key).unwrap();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            match Cursor::<Key>::decode(&URL_SAFE_NO_PAD.encode(&bytes)) {
                Ok(Cursor(other)) => prop_assert!(!other.0.contains('\0')),
                Err(error) => prop_assert_eq!(error.code(), Code::InvalidCursor),
            }
        }

        #[test]
        fn pages_hold_every_item_once_and_in_order(count in 0usize..60, limit in 1i64..=20) {
            let all: Vec<usize> = (0..count).collect();
            let (mut seen, mut after, mut pages) = (Vec::new(), None::<usize>, 0);
            loop {
                // A list's statement: what comes after the key, one more than the limit.
                let rest = all.iter().copied().filter(|item| after.is_none_or(|after| *item > after));
                let page = Page::cut(rest.take(usize::try_from(limit).unwrap() + 1).collect(), limit, |item| *item).unwrap();
                prop_assert!(page.items.len() <= usize::try_from(limit).unwrap());
                seen.extend(page.items);
                pages += 1;
                match page.next_cursor {
                    Some(cursor) => after = Cursor::decode_optional(Some(&cursor)).unwrap(),
                    None => break,
                }
            }
            prop_assert_eq!(&seen, &all);
            prop_assert!(pages <= count + 1);
        }
    }

    #[test]
    fn a_nul_in_a_cursor_is_refused() {
        let forged = URL_SAFE_NO_PAD.encode(br#"["a\u0000b"]"#);
        assert_eq!(Cursor::<(String,)>::decode(&forged).unwrap_err().code(), Code::InvalidCursor);
    }
}
