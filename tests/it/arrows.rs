//! The arrows between the rooms of the house, read from the sources: who may know whom, and no circles.
//! The map itself, with the reasons, is the documentation of `src/lib.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// From the ground up. A room knows those below it; rooms of one floor may know each other as long as there is no circle.
const FLOORS: &[&[&str]] = &[
    &["kernel"],
    &["error"],
    &["config"],
    &["db"],
    &["events", "jobs", "http"],
    &["channels", "catalog", "customers", "pricing", "stock"],
    &["stored_value", "credit", "countersign", "risk", "carts", "payments", "offers"],
    &["orders"],
    &["fulfilment"],
    &["checkout", "returns"],
    &[
        "abandonment",
        "amendments",
        "approvals",
        "back_in_stock",
        "bulk",
        "connectors",
        "exports",
        "imports",
        "invoices",
        "journal",
        "analytics",
        "processes",
        "quotes",
        "recurring",
        "drafts",
        "repricing",
        "templates",
        "warranties",
        "worklists",
    ],
    &["erasure", "people", "whereabouts"],
    &["messages", "journeys", "leads", "affiliates"],
    &["doctor", "api"],
    &["process"],
    &["replay", "seed", "demo", "bench"],
    &["cli"],
];

/// The floors on which slices live.
const SLICES: std::ops::Range<usize> = 5..13;

/// One mention of another room: the file and the path after `crate::`.
struct Mention {
    file: PathBuf,
    path: Vec<String>,
}

impl Mention {
    /// The room the file belongs to.
    fn from(&self) -> String {
        let first = self.file.components().next().unwrap().as_os_str().to_str().unwrap();
        first.trim_end_matches(".rs").to_owned()
    }

    fn to(&self) -> &str {
        &self.path[0]
    }

    fn part(&self) -> &str {
        self.path.get(1).map_or("", String::as_str)
    }

    fn is_in(&self, name: &str) -> bool {
        self.file.file_name().is_some_and(|file| file.to_str() == Some(name))
    }

    /// The slice inside its room that the file belongs to: a part with a life of its own is a slice inside a slice.
    fn tell(&self) -> String {
        format!("src/{} knows crate::{}", self.file.display(), self.path.join("::"))
    }
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

fn is_slice(room: &str) -> bool {
    floor(room).is_some_and(|floor| SLICES.contains(&floor))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file without comments and without what is only compiled for its tests.
fn code(text: &str) -> String {
    let text = match text.find("\n#[cfg(test)]\nmod tests {") {
        Some(end) => &text[..end],
        None => text,
    };
    let lines = text.lines().map(|line| match line.find("//") {
        Some(at) if !line[..at].ends_with(':') => &line[..at],
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Reads the path or tree of paths at the start of `text`: `a::{b::C, d}` is `a::b::C` and `a::d`.
fn paths(text: &str, before: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut at = name.len();
    let mut path = before.to_vec();
    if !name.is_empty() && name != "self" {
        path.push(name);
    }
    if !text[at..].starts_with("::") {
        found.push(path);
        return at;
    }
    at += 2;
    if !text[at..].starts_with('{') {
        return at + paths(&text[at..], &path, found);
    }
    at += 1;
    loop {
        at += text[at..].len() - text[at..].trim_start_matches([' ', '\n', ',', '\t']).len();
        if text[at..].starts_with('}') || text[at..].is_empty() {
            return at + 1;
        }
        let read = paths(&text[at..], &path, found);
        at += read;
        // `as name`, `*` and the like are passed over.
        at += text[at..].find([',', '}']).unwrap_or(0);
    }
}

fn mentions() -> Vec<Mention> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut mentions = Vec::new();
    for path in files {
        let file = path.strip_prefix(&root).unwrap().to_path_buf();
        if path.ends_with("tests.rs") || matches!(file.to_str(), Some("lib.rs" | "main.rs")) {
            continue;
        }
        let code = code(&std::fs::read_to_string(&path).unwrap());
        let above = "super::".repeat(file.components().count());
        // `src/a/mod.rs` is one step nearer to the root than `src/a/b.rs`.
        let above = if path.ends_with("mod.rs") { above.trim_start_matches("super::") } else { above.as_str() };
        assert!(above.is_empty() || !code.contains(above), "src/{} climbs out of its room", file.display());
        for (at, _) in code.match_indices("crate::") {
            let outside = code[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':');
            let rest = &code[at + "crate::".len()..];
            let mut found = Vec::new();
            if outside {
                // A tree at the root has no name of its own.
                match rest.strip_prefix('{') {
                    Some(_) => paths(&format!("self::{rest}"), &[], &mut found),
                    None => paths(rest, &[], &mut found),
                };
            }
            // `crate::words!` is a macro, which knows nobody.
            found.retain(|path| !path.is_empty() && path[0] != "words");
            mentions.extend(found.into_iter().map(|path| Mention { file: file.clone(), path }));
        }
    }
    mentions
}

fn assert_none(what: &str, wrong: impl Iterator<Item = String>) {
    let wrong: BTreeSet<String> = wrong.collect();
    assert!(wrong.is_empty(), "{what}:\n  {}", wrong.into_iter().collect::<Vec<_>>().join("\n  "));
}

#[test]
fn trees_of_uses_are_read_whole() {
    let mut found = Vec::new();
    paths("db::{self, Tx, types::{Bind, Doc as D}}, error::Result", &[], &mut found);
    let found: Vec<String> = found.iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["db", "db::Tx", "db::types::Bind", "db::types::Doc"]);
    assert!(!mentions().is_empty());
}

#[test]
fn every_room_is_on_the_map() {
    let rooms = mentions().into_iter().flat_map(|mention| [mention.from(), mention.to().to_owned()]);
    assert_none("these rooms have no floor in tests/it/arrows.rs", rooms.filter(|room| floor(room).is_none()));
}

#[test]
fn arrows_point_down() {
    let wrong = mentions().into_iter().filter(|mention| floor(mention.to()) > floor(&mention.from()));
    assert_none("these know a room above their own", wrong.map(|mention| mention.tell()));
}

#[test]
fn there_is_no_circle() {
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for mention in mentions() {
        if mention.from() != mention.to() {
            arrows.entry(mention.from()).or_default().insert(mention.to().to_owned());
        }
    }
    // What knows nobody who is left is taken away until nothing can be: the rest is a circle, or stands above one.
    while let Some(free) = arrows.iter().find(|(_, known)| known.iter().all(|room| !arrows.contains_key(room))) {
        let free = free.0.clone();
        arrows.remove(&free);
    }
    assert!(arrows.is_empty(), "a circle: {arrows:?}");
}

#[test]
fn a_slice_never_touches_anothers_store() {
    let foreign = mentions().into_iter().filter(|mention| {
        let other = mention.from() != mention.to() && is_slice(mention.to());
        other && mention.path.iter().any(|part| part == "store")
    });
    assert_none("these reach into another slice's tables", foreign.map(|mention| mention.tell()));
}

/// The sandbox stands for a system outside, and has no commands.
const OUTSIDE: &str = "payments/sandbox/api.rs";

#[test]
fn what_answers_requests_asks_the_service_and_not_the_store() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let wrong = files.into_iter().filter(|file| {
        let here = file.strip_prefix(&root).unwrap();
        let text = code(&std::fs::read_to_string(file).unwrap());
        let asks = text.contains("store::") || text.contains("    store,") || text.contains("service, store");
        here.ends_with("api.rs") && here != Path::new("api.rs") && here != Path::new(OUTSIDE) && asks
    });
    assert_none("these go past their service", wrong.map(|file| file.display().to_string()));
}

#[test]
fn models_and_the_pricing_engine_are_pure() {
    let wrong = mentions().into_iter().filter(|mention| {
        let pure = mention.is_in("model.rs") || mention.file == Path::new("pricing/engine.rs");
        let types = |part: &str| part == "model" || part.starts_with(char::is_uppercase);
        let known = matches!(mention.to(), "kernel" | "error")
            || mention.from() == mention.to() && mention.part() != "store" && mention.part() != "service"
            || (is_slice(mention.to()) || mention.to() == "events") && types(mention.part());
        pure && is_slice(&mention.from()) && !known
    });
    assert_none("these know more than the kernel and each other's types", wrong.map(|mention| mention.tell()));
}

#[test]
fn what_touches_tables_and_what_decides_knows_no_http() {
    let wrong = mentions().into_iter().filter(|mention| {
        let inner = mention.is_in("model.rs") || mention.is_in("store.rs");
        // Keys are kept by `http::credentials`, which is a store itself.
        inner && mention.part() != "credentials" && (mention.to() == "http" || mention.to() == "api")
    });
    assert_none("these know of requests", wrong.map(|mention| mention.tell()));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let inner = files.into_iter().filter(|file| {
        ["model.rs", "store.rs", "service.rs"].iter().any(|name| file.ends_with(name))
            || ["kernel", "db", "events"].iter().any(|room| file.starts_with(root.join(room)))
    });
    let wrong = inner.filter(|file| code(&std::fs::read_to_string(file).unwrap()).contains("actix_web"));
    assert_none("these know the web framework", wrong.map(|file| file.display().to_string()));
}

/// A panic in a request or a job must unwind: it ends that one, gives its connection back with its transaction undone, and
/// leaves the others alone. `panic = "abort"` would end the process with all of them.
#[test]
fn a_panic_unwinds_in_every_profile() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let settings = ["Cargo.toml", ".cargo/config.toml", ".cargo/config"].map(|name| root.join(name));
    let mut profiles = 0;
    for file in settings.iter().filter(|file| file.is_file()) {
        let text = std::fs::read_to_string(file).unwrap();
        let settings: toml::Table = text.parse().unwrap();
        let named = settings.get("profile").and_then(toml::Value::as_table).into_iter().flatten();
        for (name, profile) in named {
            let said = profile.get("panic").and_then(toml::Value::as_str).unwrap_or("unwind");
            assert_eq!(said, "unwind", "{}: profile.{name}", file.display());
            profiles += 1;
        }
        assert!(!text.contains("panic=abort"), "{}: as a flag of the compiler", file.display());
    }
    assert!(profiles >= 2, "Cargo.toml has profiles");
    const { assert!(cfg!(panic = "unwind")) };
}

#[test]
fn only_the_dialect_tells_the_databases_apart() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let allowed = ["db/dialect.rs", "db/dialect/migrations.rs", "db/dialect/opening.rs", "db/conn.rs"];
    let wrong = files.into_iter().filter(|file| {
        let here = file.strip_prefix(&root).unwrap();
        let text = code(&std::fs::read_to_string(file).unwrap());
        !allowed.iter().any(|name| here == Path::new(name))
            && ["Conn::Postgres(", "Conn::Sqlite("].iter().any(|variant| text.contains(variant))
    });
    assert_none("these match on the connection's variant", wrong.map(|file| file.display().to_string()));
}

/// Whose tables are whose: only their room names them, in its `store.rs` or what belongs to that.
const TABLES: &[(&str, &[&str])] = &[
    ("db", &["versions", "number_ranges"]),
    ("events", &["events", "log_state", "log_readers"]),
    ("jobs", &["job_lanes", "jobs", "schedules"]),
    ("http", &["secrets", "idempotency_keys", "credentials"]),
    ("channels", &["legal_entities", "channels"]),
    ("catalog", &["variants"]),
    ("customers", &["customers", "companies", "company_members"]),
    (
        "pricing",
        &[
            "price_lists",
            "prices",
            "price_changes",
            "price_list_changes",
            "tax_rates",
            "shipping_methods",
            "promotions",
            "promotion_runs",
            "promotion_versions",
            "promotion_counters",
            "promotion_uses",
            "coupons",
            "coupon_batches",
        ],
    ),
    ("risk", &["risk_profiles", "risk_assessments", "risk_marks", "risk_entries", "risk_code_tries"]),
    ("stored_value", &["stored_values", "stored_value_entries", "stored_value_holds"]),
    ("credit", &["company_credits", "company_debts", "company_credit_entries"]),
    (
        "stock",
        &[
            "locations",
            "location_loads",
            "sourcing_profiles",
            "stock_levels",
            "stock_movements",
            "reservations",
            "stock_bins",
            "stock_snapshots",
            "stock_backorders",
            "stock_expected",
            "stock_lots",
            "stock_lot_levels",
            "stock_lot_movements",
            "stock_watches",
            "stock_channel_safety",
            "transfers",
            "transfer_lines",
            "stock_counts",
            "stock_count_lines",
        ],
    ),
    ("carts", &["carts"]),
    (
        "payments",
        &[
            "payments",
            "payment_operations",
            "sandbox_payments",
            "sandbox_operations",
            "ledger_entries",
            "disputes",
            "payment_fees",
            "payment_requests",
            "payment_renewals",
            "journal_postings",
            "journal_state",
        ],
    ),
    ("warranties", &["product_registrations"]),
    (
        "returns",
        &["return_policies", "return_requests", "return_request_lines", "withdrawals", "order_claims", "gift_receipts"],
    ),
    (
        "orders",
        &[
            "orders",
            "order_lines",
            "order_contacts",
            "external_refs",
            "order_notes",
            "order_tags",
            "order_attachments",
            "order_confirmations",
        ],
    ),
    (
        "fulfilment",
        &[
            "returns",
            "order_refunds",
            "awaited_refunds",
            "fulfilment_orders",
            "fulfilment_lines",
            "fulfilment_holds",
            "shipments",
            "delivery_promises",
            "delivery_waits",
            "supplier_orders",
            "supplier_invoices",
            "purchase_orders",
            "purchase_order_lines",
            "inbound_shipments",
            "inbound_lines",
            "inbound_units",
            "dock_hubs",
            "dock_demands",
            "dock_matches",
            "dock_tasks",
            "tracking_marks",
            "shipment_claims",
            "parcel_claims",
            "waves",
            "wave_orders",
            "wave_shorts",
            "picked_lots",
            "packages",
            "package_serials",
            "manifests",
            "manifest_shipments",
            "carrier_accounts",
            "carrier_labels",
        ],
    ),
    ("amendments", &["amendments"]),
    ("processes", &["process_decisions"]),
    ("abandonment", &["abandonments"]),
    ("quotes", &["quotes"]),
    ("templates", &["order_templates"]),
    ("drafts", &["drafts"]),
    ("recurring", &["recurring_orders", "recurring_runs"]),
    ("approvals", &["approval_requests", "approval_decisions"]),
    ("bulk", &["bulk_jobs", "bulk_items"]),
    ("countersign", &["countersign_requests", "given_alone"]),
    ("back_in_stock", &["back_in_stock", "back_in_stock_waves"]),
    (
        "connectors",
        &[
            "connectors",
            "connector_breakers",
            "connector_links",
            "connector_mappings",
            "connector_pulls",
            "connector_run_items",
            "connector_runs",
            "dispatch_attempts",
            "dispatches",
        ],
    ),
    ("exports", &["consumers", "consumer_items"]),
    ("imports", &["import_progress", "invoices"]),
    ("invoices", &["invoice_series", "invoice_documents"]),
    ("repricing", &["price_rules", "price_proposals", "price_rule_days"]),
    ("worklists", &["worklist_claims"]),
    ("journal", &["journal_accounts"]),
];

/// Files that name others' tables, with which and why. `*` are all.
const READERS: &[(&str, &[&str], &str)] = &[
    ("doctor.rs", &["*"], "what must hold over the tables, whatever the slices do; it only reads"),
    ("doctor/amendments.rs", &["*"], "as the doctor, of whom it is a part"),
    ("doctor/bundles.rs", &["*"], "as the doctor, of whom it is a part"),
    ("doctor/credit.rs", &["*"], "as the doctor, of whom it is a part"),
    ("doctor/deliveries.rs", &["*"], "as the doctor, of whom it is a part"),
    ("doctor/docks.rs", &["*"], "as the doctor, of whom it is a part"),
    ("doctor/invoices.rs", &["*"], "as the doctor, of whom it is a part"),
    ("doctor/money.rs", &["*"], "as the doctor, of whom it is a part"),
    ("doctor/prices.rs", &["*"], "as the doctor, of whom it is a part"),
    ("doctor/returns.rs", &["*"], "as the doctor, of whom it is a part"),
    ("doctor/risk.rs", &["*"], "as the doctor, of whom it is a part"),
    ("doctor/rules.rs", &["*"], "as the doctor, of whom it is a part"),
    ("doctor/works.rs", &["*"], "as the doctor, of whom it is a part"),
    ("db/dialect.rs", &["events"], "an event's position is the rowid on SQLite, and a column of its own on PostgreSQL"),
    (
        "db/dump.rs",
        &["events", "log_state", "legal_entities", "invoice_series"],
        "a backup copies whole tables; a restored log goes on in a new epoch, and no series of invoices is gone on with",
    ),
    ("pricing/store.rs", &["variants"], "a page of prices in the order of SKUs is not to be had without the join"),
    (
        "cli/bench/levels.rs",
        &["variants", "stock_levels", "stock_movements", "reservations"],
        "a million made-up levels, not booked in",
    ),
    ("cli/bench/orders/fill.rs", &["orders", "order_lines", "external_refs"], "a million made-up orders, not ordered"),
];

/// The tables that a text of SQL names, as far as they are among those that there are.
fn tables_in(code: &str) -> BTreeSet<String> {
    let known = TABLES.iter().flat_map(|(_, tables)| tables.iter().copied());
    // A text goes on in the next line after a backslash.
    let words: Vec<&str> =
        code.split(|c: char| c.is_whitespace() || c == '\\').filter(|word| !word.is_empty()).collect();
    let before = ["FROM", "JOIN", "INTO", "UPDATE", "TABLE"];
    let name =
        |word: &str| word.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned();
    let in_sql =
        words.windows(2).filter(|pair| before.iter().any(|word| pair[0].ends_with(word))).map(|pair| name(pair[1]));
    let calls = ["insert_many(tx, \"", "insert_list(tx, \""];
    let in_calls = calls.iter().flat_map(|call| code.split(call).skip(1).map(name));
    let found: BTreeSet<String> = in_sql.chain(in_calls).collect();
    known.filter(|table| found.contains(*table)).map(str::to_owned).collect()
}

#[test]
fn tables_are_read_out_of_texts() {
    let text =
        "sql(\"UPDATE carts SET x = 1 FROM {list} JOIN \\\n   orders AS o ON true\"); insert_many(tx, \"returns\", x)";
    assert_eq!(tables_in(text).into_iter().collect::<Vec<_>>(), ["carts", "orders", "returns"]);
    assert!(tables_in("FROM cartsome; the orders").is_empty());
}

#[test]
fn each_table_is_named_by_its_own_room_only() {
    let owned: BTreeSet<&str> = TABLES.iter().flat_map(|(_, tables)| tables.iter().copied()).collect();
    let all: BTreeSet<&str> = kontor::db::tables::all().iter().map(|table| table.name).collect();
    assert_eq!(owned, all, "each table of src/db/schema.rs belongs to a room");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut named: BTreeSet<(PathBuf, String)> = BTreeSet::new();
    for path in files {
        let file = path.strip_prefix(&root).unwrap().to_path_buf();
        let tables = tables_in(&code(&std::fs::read_to_string(&path).unwrap()));
        named.extend(tables.into_iter().map(|table| (file.clone(), table)));
    }
    // Through Diesel's own language as well.
    let through_diesel =
        mentions().into_iter().filter(|mention| mention.path.starts_with(&["db".into(), "schema".into()]));
    named.extend(through_diesel.filter_map(|mention| Some((mention.file.clone(), mention.path.get(2)?.clone()))));
    let room = |file: &Path| {
        file.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
    };
    let owns = |file: &Path, table: &str| TABLES.iter().any(|(owner, of)| *owner == room(file) && of.contains(&table));
    let foreign: Vec<_> = named.into_iter().filter(|(file, table)| !owns(file, table)).collect();
    let may = |reader: &(&str, &[&str], &str), file: &Path, table: &str| {
        file == Path::new(reader.0) && (reader.1.contains(&table) || reader.1 == ["*"])
    };
    let wrong = foreign.iter().filter(|(file, table)| !READERS.iter().any(|reader| may(reader, file, table)));
    assert_none(
        "these name another room's table",
        wrong.map(|(file, table)| format!("src/{}: {table}", file.display())),
    );
    for reader in READERS {
        let stale = reader.1.iter().filter(|table| {
            !foreign.iter().any(|(file, named)| file == Path::new(reader.0) && (*table == &"*" || named == *table))
        });
        assert_none("these exceptions are none any more", stale.map(|table| format!("src/{}: {table}", reader.0)));
    }
}
