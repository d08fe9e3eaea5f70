//! The lists of the ops surface: what they have in common beside their filters. Pages, counts, tables.

use std::{future::Future, pin::Pin};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use super::{
    Call, Reply,
    auth::caller,
    body::parse_query,
    paging::{COUNT_CAP, Count, Cursor, Page, fill, limit},
};
use crate::{
    db::Tx,
    error::{Error, Result},
};

crate::words! {
    /// How a list is written.
    pub enum Format {
        /// A document.
        Json = "json",
        /// A table.
        Csv = "csv",
    }
}

/// The query of a list: its own filters, and beside them `limit`, `cursor`, `count` and `format`, which every list of the ops
/// surface takes and whose documentation is added to all of them at once.
#[derive(Debug, Clone)]
pub struct List<T> {
    /// What the list is narrowed to.
    pub filter: T,
    shape: Shape,
}

/// The filters of a list that has none.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct All {}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    limit: Option<i64>,
    cursor: Option<String>,
    count: Option<Count>,
    format: Option<Format>,
}

/// The parameters of a list's shape.
pub(super) const SHAPE: [&str; 4] = ["limit", "cursor", "count", "format"];

impl<T: DeserializeOwned + 'static> FromRequest for List<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            caller(&request).await?;
            let (shape, filter) = parted(request.query_string());
            Ok(Self { filter: parse_query(&filter)?, shape: parse_query(&shape)? })
        })
    }
}

/// What a query says of the shape, and the rest.
fn parted(query: &str) -> (String, String) {
    let is_shape = |pair: &&str| {
        let name = url::form_urlencoded::parse(pair.as_bytes()).next();
        name.is_some_and(|(name, _)| SHAPE.contains(&name.as_ref()))
    };
    let (shape, rest): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_shape);
    (shape.join("&"), rest.join("&"))
}

impl<T> List<T> {
    /// Answers with a page of what `read` gives: up to so many items after a key, in order. Where a count is asked for, `read`
    /// is asked on and on for it.
    ///
    /// # Errors
    /// `invalid_query`, `invalid_cursor`, or what `read` says.
    pub async fn answer<I, K>(
        &self,
        call: &Call,
        key: impl Fn(&I) -> K + Send + 'static,
        read: impl Fn(&mut Tx, Option<K>, i64) -> Result<Vec<I>> + Send + 'static,
    ) -> Result<Reply>
    where
        I: Serialize + ToSchema + Send + 'static,
        K: Serialize + DeserializeOwned + Send + 'static,
    {
        self.answer_seen(call, key, |_| true, read).await
    }

    /// The same of those items that are `seen`: a page is full of these as long as there are any.
    ///
    /// # Errors
    /// As [`List::answer`].
    pub async fn answer_seen<I, K>(
        &self,
        call: &Call,
        key: impl Fn(&I) -> K + Send + 'static,
        seen: impl Fn(&I) -> bool + Send + 'static,
        read: impl Fn(&mut Tx, Option<K>, i64) -> Result<Vec<I>> + Send + 'static,
    ) -> Result<Reply>
    where
        I: Serialize + ToSchema + Send + 'static,
        K: Serialize + DeserializeOwned + Send + 'static,
    {
        let (limit, after, counts) = (limit(self.shape.limit)?, self.after()?, self.shape.count.is_some());
        let page = call.read(move |tx| {
            let items = fill(tx, limit + 1, after, &key, &seen, &read)?;
            let count = if counts { Some(counted(tx, &key, &seen, &read)?) } else { None };
            Ok(Page { count, ..Page::cut(items, limit, key)? })
        });
        self.reply(call, &page.await?)
    }

    /// The same where a page may be short, since looking for what belongs on it is much work: `read` gives up to so many items after a
    /// key, and behind which key the next are, if there may be any. Each call of it is a snapshot of its own, where a count is asked
    /// for as well.
    ///
    /// # Errors
    /// As [`List::answer`].
    pub async fn answer_some<I, K>(
        &self,
        call: &Call,
        read: impl Fn(&mut Tx, Option<K>, i64) -> Result<(Vec<I>, Option<K>)> + Clone + Send + 'static,
    ) -> Result<Reply>
    where
        I: Serialize + ToSchema + Send + 'static,
        K: Serialize + DeserializeOwned + Send + 'static,
    {
        let (limit, after, mut count) = (limit(self.shape.limit)?, self.after()?, None);
        if self.shape.count.is_some() {
            let (mut so_far, mut behind) = (0, None);
            loop {
                let (read, from) = (read.clone(), behind.take());
                let (items, next) = call.read(move |tx| read(tx, from, PIECE)).await?;
                so_far += i64::try_from(items.len()).unwrap_or(COUNT_CAP);
                behind = next;
                if behind.is_none() || so_far >= COUNT_CAP {
                    break;
                }
            }
            count = Some(so_far.min(COUNT_CAP));
        }
        let (items, next) = call.read(move |tx| read(tx, after, limit)).await?;
        let next_cursor = next.map(|next| Cursor(next).encode()).transpose()?;
        self.reply(call, &Page { items, next_cursor, count })
    }

    /// The same where counting has a cheaper way, `count`, which counts no further than [`COUNT_CAP`].
    ///
    /// # Errors
    /// As [`List::answer`], and what `count` says.
    pub async fn answer_counted<I, K>(
        &self,
        call: &Call,
        key: impl Fn(&I) -> K + Send + 'static,
        count: impl Fn(&mut Tx) -> Result<i64> + Send + 'static,
        read: impl Fn(&mut Tx, Option<K>, i64) -> Result<Vec<I>> + Send + 'static,
    ) -> Result<Reply>
    where
        I: Serialize + ToSchema + Send + 'static,
        K: Serialize + DeserializeOwned + Send + 'static,
    {
        let (limit, after, counts) = (limit(self.shape.limit)?, self.after()?, self.shape.count.is_some());
        let page = call.read(move |tx| {
            let items = read(tx, after, limit + 1)?;
            let count = if counts { Some(count(tx)?) } else { None };
            Ok(Page { count, ..Page::cut(items, limit, key)? })
        });
        self.reply(call, &page.await?)
    }

    /// Answers with a page of items that are all at hand, in the order of their keys.
    ///
    /// # Errors
    /// `invalid_query`, `invalid_cursor`.
    pub fn answer_from<I, K>(&self, call: &Call, items: Vec<I>, key: impl Fn(&I) -> K) -> Result<Reply>
    where
        I: Serialize + ToSchema,
        K: Serialize + DeserializeOwned + Ord,
    {
        let (limit, after): (i64, Option<K>) = (limit(self.shape.limit)?, self.after()?);
        let all = i64::try_from(items.len()).unwrap_or(i64::MAX).min(COUNT_CAP);
        let rest = items.into_iter().filter(|item| after.as_ref().is_none_or(|after| key(item) > *after));
        let mut page = Page::cut(rest.collect(), limit, key)?;
        page.count = self.shape.count.map(|_| all);
        self.reply(call, &page)
    }

    fn after<K: DeserializeOwned>(&self) -> Result<Option<K>> {
        Cursor::decode_optional(self.shape.cursor.as_deref())
    }

    fn reply<I: Serialize + ToSchema>(&self, call: &Call, page: &Page<I>) -> Result<Reply> {
        match self.shape.format {
            Some(Format::Csv) => Reply::table(call, page),
            None | Some(Format::Json) => Reply::page(call, page),
        }
    }
}

/// Lists are counted in pieces of so many items.
const PIECE: i64 = 1_000;

/// How many items a list has, counted up to [`COUNT_CAP`] by reading it on and on: `read` gives up to so many after a key.
///
/// # Errors
/// What `read` says.
pub fn count_all<I, K>(
    tx: &mut Tx,
    key: impl Fn(&I) -> K,
    read: impl Fn(&mut Tx, Option<K>, i64) -> Result<Vec<I>>,
) -> Result<i64> {
    counted(tx, &key, &|_| true, &read)
}

/// How many items there are that are seen, counted up to [`COUNT_CAP`].
fn counted<I, K>(
    tx: &mut Tx,
    key: &impl Fn(&I) -> K,
    seen: &impl Fn(&I) -> bool,
    read: &impl Fn(&mut Tx, Option<K>, i64) -> Result<Vec<I>>,
) -> Result<i64> {
    let (mut count, mut after) = (0, None);
    loop {
        let found = read(tx, after, PIECE)?;
        count += i64::try_from(found.iter().filter(|item| seen(item)).count()).unwrap_or(COUNT_CAP);
        let more = i64::try_from(found.len()).is_ok_and(|read| read >= PIECE);
        after = found.last().map(key);
        if !more || count >= COUNT_CAP {
            return Ok(count.min(COUNT_CAP));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_parted_into_shape_and_filters() {
        let parts = |query: &str| parted(query);
        assert_eq!(parts("a=1&limit=3&b=2&format=csv"), ("limit=3&format=csv".to_owned(), "a=1&b=2".to_owned()));
        assert_eq!(parts("%6cimit=3"), ("%6cimit=3".to_owned(), String::new()));
        assert_eq!(parts(""), (String::new(), String::new()));
        assert!(parse_query::<All>("odd=1").is_err() && parse_query::<All>("").is_ok());
        assert!(parse_query::<Shape>("limit=1&limit=2").is_err() && parse_query::<Shape>("count=all").is_err());
    }
}
