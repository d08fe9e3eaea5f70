//! The headers that requests and answers carry beside those of the transport.

use utoipa::openapi::{
    HttpMethod, Response,
    header::HeaderBuilder,
    path::{Parameter, ParameterBuilder, ParameterIn},
    schema::{ObjectBuilder, Type},
};

/// The header that guards a change.
pub(super) const IF_MATCH: &str = "If-Match";

/// Stands among the `params` of an operation whose handler asks for [`crate::http::Call::if_match`]: the header and its 412 are
/// documented by it, and where it is missing, the header is not heeded (`tests/it/documented.rs` tries every route).
#[derive(Debug, Clone, Copy)]
pub struct IfMatch;

impl utoipa::IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let told = "The `ETag` you have seen: refused with 412 when somebody has changed it since.";
        vec![header(IF_MATCH, told, ObjectBuilder::new().schema_type(Type::String).examples(["\"v3\""]))]
    }
}

/// The header that makes a command happen once.
pub(super) fn idempotency_key() -> Parameter {
    let told = "Any text that is new for each command. Sent again, it gives the first answer again.";
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
    header("Idempotency-Key", told, text.pattern(Some("^[!-~]+$")))
}

fn header(name: &str, told: &str, schema: ObjectBuilder) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header);
    parameter.description(Some(told)).schema(Some(schema)).build()
}

/// A header's name, type and description.
type Described = (&'static str, Type, &'static str);

const ALWAYS: [Described; 3] = [
    ("X-Request-Id", Type::String, "Names the request in the log: the caller's own when it sent a sane one."),
    ("RateLimit-Limit", Type::Integer, "Requests a minute; absent where they are not limited."),
    ("RateLimit-Remaining", Type::Integer, "How many of them are left now."),
];
const VERSION: Described =
    ("ETag", Type::String, "The version of what is answered, where it has one: send it as `If-Match`.");
const REPLAYED: Described =
    ("Idempotency-Replayed", Type::String, "`true` when this is the first answer to this key once more.");
const PLACE: Described = (
    "Location",
    Type::String,
    "Where what was made, or what goes on, is read; absent where it has no place of its own.",
);
const NEXT: Described = ("Link", Type::String, "`rel=\"next\"`: the next page; absent on the last.");
const WAIT: Described = ("Retry-After", Type::Integer, "Seconds to wait; absent where waiting does not help.");
const SIGN_IN: Described = (
    "WWW-Authenticate",
    Type::String,
    "How to say who asks: `Bearer`; `Channel-Key` where that header is missing or wrong.",
);
const PLAIN: Described = ("Accept-Encoding", Type::String, "`identity`, where the body came packed: send it as it is.");

/// What a whole list is called as a file.
const FILE: Described = ("Content-Disposition", Type::String, "`attachment`, with a name for the file.");

/// What the tables of feeds tell beside their rows.
const OF_FEED: [Described; 4] = [
    ("Kontor-Next-Cursor", Type::String, "`next_cursor` where the answer is a table or lines."),
    ("Kontor-Lease", Type::String, "`lease` where the answer is a table or lines."),
    ("Kontor-Lease-Until", Type::String, "`lease_until` where the answer is a table or lines."),
    ("Kontor-Has-More", Type::String, "`has_more` where the answer is a table or lines."),
];
const OF_JOURNAL: [Described; 2] = [
    ("Kontor-Next-Cursor", Type::String, "`next_cursor` where the answer is a table or lines."),
    ("Kontor-Has-More", Type::String, "`has_more` where the answer is a table or lines."),
];
const OF_SNAPSHOT: [Described; 3] = [
    ("Kontor-Next-Cursor", Type::String, "`next_cursor` where the answer is a table or lines."),
    ("Kontor-Feed-Cursor", Type::String, "`feed_cursor` where the answer is a table or lines."),
    ("Kontor-Has-More", Type::String, "`true` when there is a next page, where the answer is a table or lines."),
];

/// Adds the headers that an answer of this kind may carry; `keyed` is whether the command heeds an `Idempotency-Key`.
pub(super) fn add(path: &str, method: &HttpMethod, status: &str, response: &mut Response, keyed: bool) {
    let mut all = ALWAYS.to_vec();
    let (is_get, is_post) = (*method == HttpMethod::Get, *method == HttpMethod::Post);
    match status {
        "401" => all.push(SIGN_IN),
        "415" => all.push(PLAIN),
        "409" | "429" | "503" => all.push(WAIT),
        _ => {}
    }
    if status.starts_with('2') {
        // What removes a part answers with the whole.
        if *method != HttpMethod::Delete || status == "200" {
            all.push(VERSION);
        }
        if keyed {
            all.push(REPLAYED);
        }
        if is_post && matches!(status, "201" | "202") {
            all.push(PLACE);
        }
        if status == "202" {
            all.push(WAIT);
        }
        if is_get && is_page(response) {
            all.push(NEXT);
        }
        if path.ends_with("/export") {
            all.push(FILE);
        }
        match path {
            "/v1/integration/feeds/{feed}" => all.extend(OF_FEED),
            "/v1/integration/journal" => all.extend(OF_JOURNAL),
            "/v1/integration/snapshots/{feed}" => all.extend(OF_SNAPSHOT),
            _ => {}
        }
    }
    for (name, kind, description) in all {
        let schema = ObjectBuilder::new().schema_type(kind);
        let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description));
        response.headers.entry(name.to_owned()).or_insert_with(|| header.build().into());
    }
}

/// Whether it is a page of a list or of a snapshot.
fn is_page(response: &Response) -> bool {
    use utoipa::openapi::RefOr;
    let Some(RefOr::T(content)) = response.content.get("application/json") else { return false };
    let named = |schema: &str| schema.contains("/Page_") || schema.ends_with("/SnapshotPage");
    matches!(&content.schema, Some(RefOr::Ref(schema)) if named(&schema.ref_location))
}
