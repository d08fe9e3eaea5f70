//! A page of a feed as JSON or CSV.

use actix_web::HttpResponse;

use super::model::FeedPage;
use crate::{
    error::{Code, Error, Result},
    http::Call,
};

crate::words! {
    /// How a page is written.
    pub enum Format {
        /// One JSON document.
        Json = "json",
        /// Rows of text; cursor and lease stand in the headers `Kontor-Next-Cursor` and `Kontor-Lease`.
        Csv = "csv",
    }
}

/// The format that a parameter or else the `Accept` header asks for.
pub(super) fn wanted(call: &Call, format: Option<Format>) -> Format {
    let accepts_csv = call.header("Accept").is_some_and(|accept| accept.contains("text/csv"));
    format.unwrap_or(if accepts_csv { Format::Csv } else { Format::Json })
}

/// The answer that carries a page.
pub(super) fn response(page: &FeedPage, format: Format) -> Result<HttpResponse> {
    let mut response = HttpResponse::Ok();
    response.insert_header(("Cache-Control", "no-store")).insert_header(("Vary", "Accept"));
    if format == Format::Json {
        return Ok(response.json(page));
    }
    let flags = [
        ("Kontor-Next-Cursor", page.next_cursor.clone()),
        ("Kontor-Lease", page.lease.clone()),
        ("Kontor-Lease-Until", page.lease_until.map(|until| until.to_string())),
        ("Kontor-Has-More", Some(page.has_more.to_string())),
    ];
    for (name, value) in flags.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))) {
        response.insert_header((name, value));
    }
    Ok(response.content_type("text/csv; charset=utf-8; header=present").body(csv(page)?))
}

/// Flat columns, and the document as JSON in the last.
fn csv(page: &FeedPage) -> Result<Vec<u8>> {
    let broken = |error: csv::Error| Error::problem(Code::Internal, error.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["position", "id", "type", "time", "stream", "aggregate_id", "channel", "data"];
    writer.write_record(header).map_err(broken)?;
    for item in &page.items {
        let event = &item.event;
        let channel = event.channel_id.map(|channel| channel.to_string()).unwrap_or_default();
        let row = [
            event.position.to_string(),
            event.id.to_string(),
            event.kind.clone(),
            event.occurred_at.to_string(),
            event.stream.clone(),
            event.aggregate_id.clone(),
            channel,
            event.data.to_string(),
        ];
        writer.write_record(row).map_err(broken)?;
    }
    writer.into_inner().map_err(Error::internal)
}
