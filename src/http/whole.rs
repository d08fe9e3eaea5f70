//! Whole lists as files: read in pieces, each a short read of its own, and sent as they are read, so that a million rows take
//! the memory of some thousand.

use std::sync::Arc;

use actix_web::{HttpResponse, web::Bytes};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Call, table};
use crate::{
    db::{Db, Tx},
    error::{Error, Result},
};

crate::words! {
    /// How a file is written.
    pub enum FileFormat {
        /// A heading, then a row for each item, one column for each field.
        Csv = "csv",
        /// A JSON document for each item and line.
        Ndjson = "ndjson",
    }
}

/// What the query of a whole list may hold.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WholeQuery {
    /// `csv` or `ndjson`; where it is left out, what `Accept` names of the two, else `csv`.
    #[param(inline)]
    pub format: Option<FileFormat>,
}

impl WholeQuery {
    fn wanted(&self, call: &Call) -> FileFormat {
        let ndjson = call.header("Accept").is_some_and(|accept| accept.contains("ndjson"));
        self.format.unwrap_or(if ndjson { FileFormat::Ndjson } else { FileFormat::Csv })
    }
}

/// How a list is read: the next items after a place with the place of the last that was looked at, `None` at its end.
type Read<T, K> = Arc<dyn Fn(&mut Tx, Option<K>) -> Result<Option<(K, Vec<T>)>> + Send + Sync>;

/// Where a file is while it is sent.
struct Sending<T, K> {
    db: Db,
    read: Read<T, K>,
    format: FileFormat,
    after: Option<K>,
}

/// Answers with a whole list as a file called so. `read` gives some of its items at a time.
///
/// What is read first is read before the answer begins, so that a refusal is one. What fails later ends the connection
/// without the last chunk of HTTP's chunked encoding (of HTTP/2 the stream without its end): a client that reads to the end is
/// told of it by its library, and has no whole file.
///
/// # Errors
/// What `read` says of the first items.
pub async fn whole<T, K>(
    call: &Call,
    query: &WholeQuery,
    name: &str,
    read: impl Fn(&mut Tx, Option<K>) -> Result<Option<(K, Vec<T>)>> + Send + Sync + 'static,
) -> Result<HttpResponse>
where
    T: Serialize + ToSchema + Send + 'static,
    K: Clone + Send + 'static,
{
    let format = query.wanted(call);
    let mut sending = Sending { db: call.state.db.clone(), read: Arc::new(read), format, after: None };
    let (first, more) = match sending.next().await? {
        Some(items) => (written(&items, format, true)?, true),
        None => (written::<T>(&[], format, true)?, false),
    };
    let rest = stream::unfold(more.then_some(sending), |sending| async {
        let mut sending = sending?;
        match sending.piece().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(sending))),
            Ok(None) => None,
            Err(error) => {
                tracing::error!(%error, "a file broke off");
                Some((Err(error), None))
            }
        }
    });
    let (kind, ending) = match format {
        FileFormat::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
        FileFormat::Ndjson => ("application/x-ndjson; charset=utf-8", "ndjson"),
    };
    let mut response = HttpResponse::Ok();
    response.content_type(kind).insert_header(("Cache-Control", "no-store")).insert_header(("Vary", "Accept"));
    response.insert_header(("Content-Disposition", format!("attachment; filename=\"{name}.{ending}\"")));
    Ok(response.streaming(stream::once(async move { Ok::<_, Error>(first) }).chain(rest)))
}

impl<T: Serialize + ToSchema + Send + 'static, K: Clone + Send + 'static> Sending<T, K> {
    /// The next items; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<T>>> {
        let (read, after) = (self.read.clone(), self.after.take());
        let Some((last, items)) = self.db.read(move |tx| read(tx, after)).await? else { return Ok(None) };
        self.after = Some(last);
        Ok(Some(items))
    }

    /// The next piece of the file.
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        // A stretch of the list without any items is no piece: an empty one would end some readers.
        while let Some(items) = self.next().await? {
            if !items.is_empty() {
                return written(&items, self.format, false).map(Some);
            }
        }
        Ok(None)
    }
}

fn written<T: Serialize + ToSchema>(items: &[T], format: FileFormat, first: bool) -> Result<Bytes> {
    match format {
        FileFormat::Csv => table::write(items, first).map(Bytes::from),
        FileFormat::Ndjson => {
            let mut lines = Vec::new();
            for item in items {
                serde_json::to_writer(&mut lines, item)?;
                lines.push(b'\n');
            }
            Ok(Bytes::from(lines))
        }
    }
}
