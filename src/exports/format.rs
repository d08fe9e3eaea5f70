//! A page of a feed or a snapshot as JSON, NDJSON or CSV.

use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;

use super::{
    model::{FeedItem, FeedPage},
    snapshot::{SnapshotPage, SnapshotRow},
};
use crate::{
    error::Result,
    http::{Call, csv},
};

crate::words! {
    /// How a page is written.
    pub enum Format {
        /// One JSON document.
        Json = "json",
        /// A JSON document per item and line; what else a page holds stands in headers.
        Ndjson = "ndjson",
        /// Rows of text; what else a page holds stands in headers.
        Csv = "csv",
    }
}

/// The format that a parameter or else the `Accept` header asks for.
pub(super) fn wanted(call: &Call, format: Option<Format>) -> Format {
    let accepts = |media: &str| call.header("Accept").is_some_and(|accept| accept.contains(media));
    let accepted = match () {
        () if accepts("application/x-ndjson") || accepts("application/ndjson") => Format::Ndjson,
        () if accepts("text/csv") => Format::Csv,
        () => Format::Json,
    };
    format.unwrap_or(accepted)
}

/// What is written as a table.
pub(super) trait Table: Serialize {
    /// A row.
    type Row: Serialize;
    /// The names of the columns.
    const COLUMNS: &'static [&'static str];
    /// The rows.
    fn rows(&self) -> &[Self::Row];
    /// The texts of a row, one for each column.
    fn cells(row: &Self::Row) -> Vec<String>;
    /// What is not in the rows: names of headers with their values.
    fn beside(&self) -> Vec<(&'static str, Option<String>)>;
}

/// The answer that carries a page.
pub(super) fn response<T: Table>(page: &T, format: Format) -> Result<HttpResponse> {
    let mut response = HttpResponse::Ok();
    response.insert_header(("Cache-Control", "no-store")).insert_header(("Vary", "Accept"));
    match format {
        Format::Json => Ok(response.json(page)),
        Format::Ndjson => {
            let lines: serde_json::Result<Vec<String>> = page.rows().iter().map(serde_json::to_string).collect();
            let text = lines?.into_iter().map(|line| line + "\n").collect::<String>();
            Ok(beside(&mut response, page).content_type("application/x-ndjson; charset=utf-8").body(text))
        }
        Format::Csv => {
            // The document as JSON is the last cell.
            let text = csv::write(Some(T::COLUMNS), page.rows().iter().map(T::cells))?;
            Ok(beside(&mut response, page).content_type("text/csv; charset=utf-8; header=present").body(text))
        }
    }
}

fn beside<'r, T: Table>(response: &'r mut HttpResponseBuilder, page: &T) -> &'r mut HttpResponseBuilder {
    for (name, value) in page.beside() {
        if let Some(value) = value {
            response.insert_header((name, value));
        }
    }
    response
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

impl Table for FeedPage {
    type Row = FeedItem;
    const COLUMNS: &'static [&'static str] = &[
        "position",
        "id",
        "type",
        "time",
        "stream",
        "aggregate_id",
        "aggregate_version",
        "channel",
        "attempt",
        "data",
    ];

    fn rows(&self) -> &[FeedItem] {
        &self.items
    }

    fn cells(FeedItem { event, attempt }: &FeedItem) -> Vec<String> {
        vec![
            event.position.to_string(),
            event.id.to_string(),
            event.kind.clone(),
            event.occurred_at.to_string(),
            event.stream.clone(),
            event.aggregate_id.clone(),
            event.aggregate_version.to_string(),
            text(event.channel_id),
            text(*attempt),
            event.data.to_string(),
        ]
    }

    fn beside(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("Kontor-Next-Cursor", self.next_cursor.clone()),
            ("Kontor-Lease", self.lease.clone()),
            ("Kontor-Lease-Until", self.lease_until.map(|until| until.to_string())),
            ("Kontor-Has-More", Some(self.has_more.to_string())),
        ]
    }
}

impl Table for SnapshotPage {
    type Row = SnapshotRow;
    const COLUMNS: &'static [&'static str] =
        &["kind", "id", "stream", "aggregate_id", "aggregate_version", "channel", "data"];

    fn rows(&self) -> &[SnapshotRow] {
        &self.items
    }

    fn cells(row: &SnapshotRow) -> Vec<String> {
        vec![
            row.kind.to_string(),
            row.id.clone(),
            row.stream.clone(),
            row.aggregate_id.clone(),
            row.aggregate_version.to_string(),
            text(row.channel_id),
            row.data.to_string(),
        ]
    }

    fn beside(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("Kontor-Next-Cursor", self.next_cursor.clone()),
            ("Kontor-Feed-Cursor", Some(self.feed_cursor.clone())),
            ("Kontor-Has-More", Some(self.next_cursor.is_some().to_string())),
        ]
    }
}
