//! What every operation's documentation has in common is added here, once: problems, headers, credentials.

mod headers;
mod parts;
mod shared;

use utoipa::openapi::{
    self, ContentBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder,
    header::HeaderBuilder,
    path::{Operation, ParameterBuilder, ParameterIn, PathItem},
    schema::{AdditionalProperties, ObjectBuilder, Schema, Type},
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    tag::TagBuilder,
};

pub use self::headers::IfMatch;
use super::ProblemDocument;

/// One of the three documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Storefront front ends.
    Store,
    /// Operations staff.
    Ops,
    /// ERP, CRM, WMS, PIM.
    Integration,
}

impl Surface {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Store, Self::Ops, Self::Integration];

    /// The word in file names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Ops => "ops",
            Self::Integration => "integration",
        }
    }

    /// What its paths begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Store => "/v1/store",
            Self::Ops => "/v1/ops",
            Self::Integration => "/v1/integration",
        }
    }

    /// The surface of a route.
    #[must_use]
    pub fn of(route: &str) -> Option<Self> {
        let within = |surface: &Self| {
            route.strip_prefix(surface.prefix()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        Self::ALL.into_iter().find(within)
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Store => {
                "What a storefront front end uses: configuration, offers, carts, checkout, the customer's own orders. Send the \
                 channel's publishable key as `Channel-Key` with every request; a guest's cart is opened by its `Cart-Token`, a \
                 customer's by the customer's token."
            }
            Self::Ops => {
                "What operations staff use: orders, stock, prices, fulfilment, connectors, work lists. Sign in with a token \
                 that has the scopes each operation names."
            }
            Self::Integration => {
                "What an ERP, CRM, WMS or PIM uses: polling feeds with acknowledgement, write-back, bulk import. Sign in with an \
                 API key or a client's token."
            }
        }
    }
}

/// The jobs that operations are sorted by, in the order in which somebody new meets them, each with its recipe.
const JOBS: &[(&str, &str)] = &[
    ("browse", "What the channel sells in and where, prices, availability: `GET config`, then `POST offers`."),
    (
        "cart",
        "Make a cart with all that is known at once, or step by step; every write answers the priced cart with `problems[]`. One parcel \
         home and one to pick up: `PUT deliveries`.",
    ),
    (
        "check out",
        "`shipping-options` and `payment-options`, choose with `PATCH`, then `complete` with `{\"payment\": {\"method\": \"sandbox\"}}`. \
         Sent again it gives the same order again.",
    ),
    ("my account", "As a customer: one's own data, addresses and consent."),
    ("my orders", "As a customer with the token, as a guest with the `Cart-Token` or by `lookup`."),
    (
        "answer a customer",
        "Find the order (`q` takes a number, a name, an e-mail address, a tracking number), then read `status`: one sentence says \
         where it is. `actions[]` of an order tells what can be done to it now.",
    ),
    (
        "judge risk",
        "`simulate` rules on past checkouts, then `PUT risk/profiles/{channel_id}`. What they hold is among `orders?held=true`: read its \
         `risk`, then release it, or cancel it and say what became of it (`risk/outcome`). `risk/report` tells what each rule was worth.",
    ),
    (
        "ship",
        "List the fulfilment orders, `ship` one (what was not picked and packed is so with it), and `deliver` its shipment.",
    ),
    (
        "drop-ship",
        "A supplier lists their orders, says by when they ship (`acknowledge`) or that they do not (`refuse`), ships, and sends the bill.",
    ),
    (
        "keep stock",
        "Levels are changed by adjustments only; `expected_on_hand` makes one fail when somebody was quicker.",
    ),
    (
        "receive goods",
        "Announce what is expected (`inbound-shipments`, of a purchase order or of none), then `receive` it in parts or whole. A `scan` says \
         what something is and what can be done with it here.",
    ),
    (
        "cross docks",
        "`PATCH docks/{id}` lets goods cross a location's dock. What comes is matched with orders that wait for it; people work off \
         the `tasks`, each ended by a scan.",
    ),
    (
        "watch the shop",
        "The work lists say what waits for a person: `claim` an item, mend it where its link leads. And carts in figures.",
    ),
    (
        "mend a connector",
        "Look at `backlog` of the connector, then at its dead `dispatches`: each tells what the receiver answered. Mend the cause, \
         `test`, and `replay`; or `skip` with a reason.",
    ),
    (
        "set up a shop",
        "Legal entity, channel (its answer holds the publishable key), tax rates, shipping methods, price list, location; then \
         variants, prices and stock.",
    ),
    (
        "plan a sale",
        "Make a promotion, `simulate` a cart with `include_drafts`, look at its `checks`, `activate` it; then coupons, one by one or by \
         the batch. `GET promotions/{id}` tells how much of its limits is taken. Price rules are made, simulated and activated likewise; \
         what they propose is approved at `price-proposals`.",
    ),
    ("poll", "Poll as a named consumer, process in order, `ack`; what can not be processed is set aside with `nack`."),
    ("write back", "Tell what happened elsewhere; each foreign document counts once."),
    (
        "import",
        "NDJSON or CSV, up to 64 MiB at once, stock levels as a list of a thousand; each wrong row is answered with its reason.",
    ),
];

/// Those of the jobs that a document's operations name.
fn tags(paths: &openapi::Paths) -> Vec<openapi::Tag> {
    let names = |item: &PathItem| {
        let all = [&item.get, &item.post, &item.put, &item.patch, &item.delete];
        all.into_iter().flatten().flat_map(|operation| operation.tags.iter().flatten().cloned()).collect::<Vec<_>>()
    };
    let named: std::collections::BTreeSet<String> = paths.paths.values().flat_map(names).collect();
    let known = JOBS.iter().filter(|(name, _)| named.contains(*name));
    known.map(|(name, recipe)| TagBuilder::new().name(*name).description(Some(*recipe)).build()).collect()
}

/// Completes the document of a surface.
#[must_use]
pub fn complete(surface: Surface, collected: OpenApi) -> OpenApi {
    let title = format!("Kontor: {}", surface.name());
    let info =
        InfoBuilder::new().title(title).version(env!("CARGO_PKG_VERSION")).description(Some(surface.description()));
    let mut document = OpenApiBuilder::new().info(info.build()).paths(collected.paths).build();
    let mut components = collected.components.unwrap_or_default();
    components.schemas.insert("ProblemDocument".into(), problem_document());
    let bearer = || SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    components.add_security_scheme("token", bearer());
    if surface == Surface::Store {
        let header = |name: &str| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(name)));
        components.add_security_scheme("channel_key", header("Channel-Key"));
        components.add_security_scheme("cart_token", header("Cart-Token"));
    }
    parts::open(&mut components);
    document.components = Some(components);
    document.tags = Some(tags(&document.paths));
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            complete_operation(surface, path, &method, operation);
        }
    }
    shared::share_refusals(&mut document);
    document
}

/// The schema of problems, which may have members beside the common ones.
fn problem_document() -> RefOr<Schema> {
    let mut schema = <ProblemDocument as utoipa::PartialSchema>::schema();
    if let RefOr::T(Schema::Object(object)) = &mut schema {
        object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(true)));
    }
    schema
}

/// The operations of a path with their methods.
fn operations(item: &mut PathItem) -> Vec<(HttpMethod, &mut Operation)> {
    let slots = [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Put, &mut item.put),
        (HttpMethod::Patch, &mut item.patch),
        (HttpMethod::Delete, &mut item.delete),
    ];
    slots.into_iter().filter_map(|(method, slot)| slot.as_mut().map(|operation| (method, operation))).collect()
}

/// The POSTs that change nothing, or nothing of ours: an `Idempotency-Key` would keep an answer that is old by then.
const UNKEYED: &[&str] = &[
    "/v1/store/availability",
    "/v1/store/offers",
    "/v1/store/orders/lookup",
    "/v1/store/gift-cards/balance",
    "/v1/ops/bulk/cancel/preview",
    "/v1/ops/bulk/release/preview",
    "/v1/ops/bulk/resend/preview",
    "/v1/ops/bulk/resource/preview",
    "/v1/ops/bulk/tag/preview",
    "/v1/ops/connectors/{id}/dry-run",
    "/v1/ops/connectors/{id}/test",
    "/v1/ops/erasure/scan",
    "/v1/ops/gift-cards/lookup",
    "/v1/ops/guests/export",
    "/v1/ops/guests/overview",
    "/v1/ops/pricing/simulate",
    "/v1/ops/price-rules/{id}/simulate",
    "/v1/ops/risk/simulate",
    "/v1/ops/scan",
    "/v1/ops/sourcing/simulate",
];

/// Whether an operation has a header among its parameters.
fn takes_header(operation: &Operation, name: &str) -> bool {
    let named =
        |parameter: &openapi::path::Parameter| parameter.parameter_in == ParameterIn::Header && parameter.name == name;
    operation.parameters.iter().flatten().any(|parameter| matches!(parameter, RefOr::T(it) if named(it)))
}

/// Whether an operation answers with a page of a list.
fn is_list(operation: &Operation) -> bool {
    let Some(RefOr::T(answer)) = operation.responses.responses.get("200") else { return false };
    let Some(RefOr::T(content)) = answer.content.get("application/json") else { return false };
    matches!(&content.schema, Some(RefOr::Ref(schema)) if schema.ref_location.contains("/Page_"))
}

/// What all lists of the ops surface take and give beside their own ([`super::List`]).
fn complete_list(operation: &mut Operation) {
    let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(200));
    let word = |words: &[&str]| ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.to_vec()));
    let described = [
        ("limit", number.default(Some(50.into())), "How many items at most, 1 to 200."),
        ("cursor", ObjectBuilder::new().schema_type(Type::String), "Where to go on: `next_cursor` of the page before."),
        ("count", word(&["capped"]), "`capped` also counts all items, up to 10,000."),
        (
            "format",
            word(&["json", "csv"]),
            "`csv` for a table: one row for each item, one column for each field, `next_cursor` in the header `Next-Cursor` and \
             the count in `Count`. An apostrophe stands before what a spreadsheet would take for a formula.",
        ),
    ];
    for (name, schema, description) in described {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
        let parameter = parameter.description(Some(description)).schema(Some(schema));
        operation.parameters.get_or_insert_default().push(parameter.build().into());
    }
    if let Some(RefOr::T(answer)) = operation.responses.responses.get_mut("200") {
        let text = ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::String))).build();
        answer.content.insert("text/csv".to_owned(), RefOr::T(text));
        for (name, kind, description) in [
            (
                "Next-Cursor",
                Type::String,
                "With `format=csv`: send it as `cursor` to get the next page; absent on the last.",
            ),
            ("Count", Type::Integer, "With `format=csv` and `count=capped`: how many there are in all, up to 10,000."),
        ] {
            let schema = ObjectBuilder::new().schema_type(kind);
            let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description));
            answer.headers.insert(name.to_owned(), header.build().into());
        }
    }
}

fn complete_operation(surface: Surface, path: &str, method: &HttpMethod, operation: &mut Operation) {
    if surface == Surface::Ops && *method == HttpMethod::Get && is_list(operation) {
        complete_list(operation);
    }
    if surface == Surface::Store && operation.security.is_none() {
        let none: [&str; 0] = [];
        let with = |other: &str| SecurityRequirement::new("channel_key", none).add(other, none);
        operation.security =
            Some(vec![SecurityRequirement::new("channel_key", none), with("cart_token"), with("token")]);
    }
    let is_post = *method == HttpMethod::Post;
    let only_asks = *method == HttpMethod::Get || is_post && UNKEYED.contains(&path);
    if !only_asks {
        operation.parameters.get_or_insert_default().push(headers::idempotency_key().into());
    }
    let has_body = operation.request_body.is_some();
    let mut problems = vec![
        ("400", "The request is malformed."),
        ("401", "No valid credential."),
        ("403", "The credential lacks a scope."),
        ("404", "There is no such thing, or it is not yours."),
        ("408", "The request came too slowly."),
        ("429", "Too many requests."),
        ("503", "Too much to do; try again."),
    ];
    examples(operation);
    // An order is named by what several systems call it.
    let by_reference = path.contains("/orders/{ref}") || takes_order(operation);
    if *method != HttpMethod::Get {
        problems.push(("422", "A value is not allowed; `pointer` names it."));
    }
    if !only_asks && by_reference {
        problems.push((
            "409",
            "The state does not allow it, a request with this key is running, or the reference stands for several orders \
             (`reference_ambiguous`).",
        ));
    } else if !only_asks {
        problems.push(("409", "The state does not allow it, or a request with this key is running."));
    } else if by_reference {
        problems.push(("409", "The reference stands for several orders (`reference_ambiguous`)."));
    } else if path.contains("/ops/invoices/{invoice}") {
        problems.push(("409", "Several legal entities have the number (`reference_ambiguous`)."));
    } else if path.ends_with("/integration/journal") {
        problems.push(("409", "The cursor is of another epoch."));
    } else if path.contains("/feeds") || path.contains("/snapshots") {
        problems.push(("409", "The cursor is of another epoch."));
        problems.push(("410", "The cursor is too old."));
    }
    if ["replay", "resync", "reconcile"].iter().any(|word| path.ends_with(&format!("/connectors/{{id}}/{word}"))) {
        problems.push(("410", "The events from there on have been dropped."));
    }
    if path.ends_with("/connectors/{id}/renew-secrets") {
        problems.push(("412", "Somebody changed it, or renewed its secrets too, meanwhile."));
    }
    if has_body {
        problems.push(("413", "The body is too large."));
        problems.push(("415", "The body's media type is not supported."));
    }
    if takes_header(operation, headers::IF_MATCH) {
        problems.push(("412", "Somebody changed it meanwhile (`If-Match`)."));
    }
    for (status, description) in problems {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(description)));
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response {
            if response.description.is_empty() {
                response.description = success(status).to_owned();
            }
            headers::add(path, method, status, response, !only_asks);
        }
    }
}

/// What variables of paths stand for, where it is no id: the first order of a shop, the consumer of the recipes.
const EXAMPLES: [(&str, &str); 2] = [("ref", "1001"), ("consumer", "erp")];

/// Gives the variables of the path that are known by a name an example.
fn examples(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let known = EXAMPLES.iter().find(|(name, _)| *name == parameter.name);
        if let Some((_, example)) = known.filter(|_| parameter.parameter_in == ParameterIn::Path) {
            *parameter = ParameterBuilder::from(parameter.clone()).example(Some((*example).into())).build();
        }
    }
}

/// What a status says of itself; OpenAPI wants each answer described.
fn success(status: &str) -> &'static str {
    match status {
        "201" => "It was made.",
        "202" => "It goes on.",
        "204" => "It is done; there is nothing to tell.",
        _ => "The answer.",
    }
}

/// Whether the query names an order as paths do.
fn takes_order(operation: &Operation) -> bool {
    let named = |parameter: &openapi::path::Parameter| parameter.name == "order";
    operation.parameters.iter().flatten().any(|parameter| matches!(parameter, RefOr::T(it) if named(it)))
}

fn problem(description: &str) -> openapi::Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemDocument"))).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}
