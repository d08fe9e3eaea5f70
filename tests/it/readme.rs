//! What the documentation repeats from the code is the code's: tables, diagrams, and the tour that a new user walks.
//!
//! Each generated part stands between `<!-- generated: name -->` and `<!-- end: name -->`. A test that fails prints the
//! part as it should be.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use kontor::error::Code;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text between a page's markers.
fn part<'a>(page: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (_, after) = page.split_once(open)?;
    Some(after.split_once(close)?.0.trim())
}

/// Compares a part of a page with what the code says.
#[track_caller]
fn holds(file: &str, name: &str, expected: &str) {
    let text = page(file);
    let found = part(&text, &format!("<!-- generated: {name} -->"), &format!("<!-- end: {name} -->"));
    let found = found.unwrap_or_else(|| panic!("{file} has no part `{name}`"));
    assert!(
        found == expected.trim(),
        "{file}: the part `{name}` is not what the code says. Put this between its markers:\n\n{}\n",
        expected.trim()
    );
}

/// A cell of a table: a bar would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn the_error_table_is_the_codes() {
    let mut table = String::from("| code | status | title | what to do |\n|---|---|---|---|\n");
    for code in Code::ALL {
        let (word, status) = (code.as_str(), code.status());
        let row = format!("| `{word}` | {status} | {} | {} |\n", cell(code.title()), cell(code.advice()));
        table.push_str(&row);
    }
    holds("README.md", "errors", &table);
}

/// The settings as a table: section by section, each with its default and the comment above it.
fn settings_table() -> String {
    let mut table = String::from("| setting | environment | default | what it does |\n|---|---|---|---|\n");
    let (mut section, mut comment, mut above) = (String::new(), String::new(), String::new());
    for line in page("src/config.default.toml").lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment = format!("{comment} {}", text.trim());
        } else if let Some(name) = line.strip_prefix('[') {
            name.trim_end_matches(']').clone_into(&mut section);
            comment.clear();
            above.clear();
        } else if let Some((key, value)) = line.split_once(" = ") {
            // A comment above two keys is the first one's; the second says so.
            let said = if comment.is_empty() { "as above".to_owned() } else { comment.trim().to_owned() };
            comment.clear();
            let variable = format!("KONTOR_{}_{}", section.to_uppercase(), key.to_uppercase());
            let value = if value == "\"\"" { "empty".to_owned() } else { format!("`{}`", value.trim_matches('"')) };
            table.push_str(&format!("| `{section}.{key}` | `{variable}` | {value} | {} |\n", cell(&said)));
        } else {
            comment.clear();
        }
    }
    table
}

#[test]
fn the_configuration_table_is_the_default_file() {
    holds("README.md", "configuration", &settings_table());
}

#[test]
fn the_diagrams_are_the_transition_tables() {
    let diagrams = [
        ("carts", kontor::carts::mermaid()),
        ("payments", kontor::payments::mermaid()),
        ("orders", kontor::orders::mermaid()),
        ("amendments", kontor::amendments::mermaid()),
        ("fulfilment", kontor::fulfilment::mermaid()),
        ("shipments", kontor::fulfilment::shipments_mermaid()),
        ("tracking", kontor::fulfilment::tracking::mermaid()),
        ("claims", kontor::fulfilment::tracking::claims_mermaid()),
        ("waves", kontor::fulfilment::picking::mermaid()),
        ("packages", kontor::fulfilment::parcels::mermaid()),
        ("manifests", kontor::fulfilment::parcels::manifests::mermaid()),
        ("labels", kontor::fulfilment::carriers::mermaid()),
        ("returns", kontor::fulfilment::returns::mermaid()),
        ("return-requests", kontor::returns::requests_mermaid()),
        ("withdrawals", kontor::returns::withdrawals::withdrawals_mermaid()),
        ("exchange-advances", kontor::returns::advances_mermaid()),
        ("order-claims", kontor::returns::claims::order_claims_mermaid()),
        ("supplier-orders", kontor::fulfilment::dropship::supplier_mermaid()),
        ("purchase-orders", kontor::fulfilment::inbound::purchases_mermaid()),
        ("inbound-shipments", kontor::fulfilment::inbound::inbound_mermaid()),
        ("dock-matches", kontor::fulfilment::crossdock::matches_mermaid()),
        ("dock-tasks", kontor::fulfilment::crossdock::tasks_mermaid()),
        ("transfers", kontor::stock::transfers::transfers_mermaid()),
        ("stock-counts", kontor::stock::counts::counts_mermaid()),
        ("operations", kontor::payments::operations_mermaid()),
        ("disputes", kontor::payments::disputes::mermaid()),
        ("payment-requests", kontor::payments::requests::mermaid()),
        ("promotions", kontor::pricing::promotions::mermaid()),
        ("stored-values", kontor::stored_value::mermaid()),
        ("approvals", kontor::approvals::mermaid()),
        ("countersign", kontor::countersign::mermaid()),
        ("quotes", kontor::quotes::mermaid()),
        ("recurring-orders", kontor::recurring::mermaid()),
        ("price-rules", kontor::repricing::mermaid()),
        ("sourcing-profiles", kontor::stock::sourcing::mermaid()),
        ("price-proposals", kontor::repricing::proposals_mermaid()),
        ("lots", kontor::stock::lots::mermaid()),
    ];
    for (name, diagram) in diagrams {
        let page = match name {
            "orders" => "docs/orders.md",
            "approvals" | "quotes" | "recurring-orders" => "docs/business.md",
            "amendments" | "countersign" => "docs/amendments.md",
            "fulfilment" | "shipments" | "tracking" | "claims" => "docs/fulfilment.md",
            _ => "docs/state-machines.md",
        };
        holds(page, name, &format!("```mermaid\n{}\n```", diagram.trim()));
    }
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name)).to_vec();
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    found.extend(docs.filter(|path| path.extension().is_some_and(|end| end == "md")));
    found
}

/// The targets of a page's links, apart from those into the web.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).map(str::to_owned).collect()
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for file in pages() {
        let text = std::fs::read_to_string(&file).unwrap();
        for link in links(&text) {
            let (to, place) = link.split_once('#').unwrap_or((&link, ""));
            let target = if to.is_empty() { file.clone() } else { file.parent().unwrap().join(to) };
            let found = std::fs::read_to_string(&target).ok().or_else(|| target.is_dir().then(String::new));
            let there = found.is_some_and(|text| {
                place.is_empty()
                    || text.lines().any(|line| line.starts_with('#') && anchor(line.trim_matches('#')) == place)
            });
            if !there {
                broken.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_tests_that_hold_a_promise_are_where_the_page_says() {
    let (text, root) = (page("docs/promises.md"), Path::new(env!("CARGO_MANIFEST_DIR")));
    let (mut source, mut seen, mut missing) = (String::new(), 0, Vec::new());
    for quoted in text.split('`').skip(1).step_by(2) {
        if quoted.ends_with(".rs") {
            let file = if quoted.contains("src/") { quoted.to_owned() } else { format!("tests/it/{quoted}") };
            // The page's own explanation names a file that is none.
            source = std::fs::read_to_string(root.join(&file)).unwrap_or_default();
            if source.is_empty() && !quoted.ends_with("file.rs") {
                missing.push(file);
            }
        } else if quoted.matches('_').count() > 2
            && quoted.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            seen += 1;
            if !source.contains(&format!("fn {quoted}(")) {
                missing.push(quoted.to_owned());
            }
        }
    }
    assert!(missing.is_empty() && seen > 80, "{seen} tests, and not there: {missing:#?}");
}

#[test]
fn every_job_has_its_recipe() {
    for surface in kontor::http::openapi::Surface::ALL {
        let document = serde_json::to_value(kontor::api::openapi(surface)).unwrap();
        let known: Vec<&str> =
            document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
        let operations =
            document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
        for tag in operations.filter_map(|operation| operation["tags"].as_array()).flatten() {
            assert!(known.contains(&tag.as_str().unwrap()), "{tag} is no job in http/openapi.rs");
        }
    }
}

#[test]
fn schemas_of_events_say_where_their_parts_are() {
    for schema in kontor::api::event_schemas() {
        let text = schema.text().unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        for reference in text.split("\"$ref\": \"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let found = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            assert!(found.is_some(), "{}: {reference}", schema.kind);
        }
    }
}

#[test]
fn schemas_have_names_of_their_own() {
    // Two slices' types of one name would silently stand for each other in the documents.
    let mut known: BTreeMap<String, serde_json::Value> = BTreeMap::new();
    let documents = kontor::http::openapi::Surface::ALL.into_iter().map(|surface| {
        let document = serde_json::to_value(kontor::api::openapi(surface)).unwrap();
        document["components"]["schemas"].clone()
    });
    let events = kontor::api::event_schemas().into_iter().map(|schema| {
        let document: serde_json::Value = serde_json::from_str(&schema.text().unwrap()).unwrap();
        let parts = document["$defs"].to_string().replace("#/$defs/", "#/components/schemas/");
        serde_json::from_str(&parts).unwrap()
    });
    for schemas in documents.chain(events) {
        for (name, schema) in schemas.as_object().unwrap() {
            let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
            assert_eq!(first, schema, "two schemas are called {name}");
        }
    }
}

#[test]
fn routes_that_the_pages_name_exist() {
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for surface in kontor::http::openapi::Surface::ALL {
        for path in kontor::api::openapi(surface).paths.paths.keys() {
            known.entry(surface.name().to_owned()).or_default().push(path.clone());
        }
    }
    let all: Vec<Vec<String>> =
        known.values().flatten().map(|path| path.split('/').map(str::to_owned).collect()).collect();
    let mut unknown = Vec::new();
    for file in pages() {
        let text = std::fs::read_to_string(&file).unwrap();
        for (at, _) in text.match_indices("/v1/") {
            let end = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '{' | '}' | '$' | '.'));
            let rest = &text[at..];
            let path = rest[..rest.find(end).unwrap_or(rest.len())].trim_end_matches(['.', '/']);
            let steps: Vec<&str> = path.split('/').collect();
            let fits = |known: &Vec<String>| {
                // A page may name a beginning, such as the prefix of a surface.
                known.len() >= steps.len()
                    && known.iter().zip(&steps).all(|(ours, theirs)| ours == theirs || ours.starts_with('{'))
            };
            if !path.starts_with("/v1/webhooks") && !all.iter().any(fits) {
                unknown.push(format!("{}: {path}", file.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

/// A server that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts the program as the README tells, on a free port in a folder of its own, and reads what it prints: its address
/// and the lines to paste.
fn serve_demo(folder: &Path) -> (Server, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kontor"));
    command.args(["serve", "--demo"]).current_dir(folder).env("KONTOR_HTTP_LISTEN", "127.0.0.1:0");
    command.env_remove("DATABASE_URL").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = Server(command.spawn().unwrap());
    let mut printed = BufReader::new(server.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = printed.find_map(|line| line.strip_prefix("Kontor serves ").map(str::to_owned)).unwrap();
    let exports: Vec<String> = printed.filter(|line| line.starts_with("export ")).take(4).collect();
    (server, address, exports.join("\n"))
}

/// The shell lines of the tour, in order.
fn tour() -> String {
    let text = page("README.md");
    let tour = part(&text, "<!-- tour -->", "<!-- end: tour -->").expect("README.md has no tour");
    let blocks = tour.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_tour_leads_from_a_cart_to_a_delivered_order() {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("There is no curl: the tour was not walked.");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_server, address, exports) = serve_demo(folder.path());
    let lines = tour().replace("http://127.0.0.1:8080", &address);
    let script = format!("set -eu\n{exports}\n{lines}\n");
    let mut shell = Command::new("sh");
    shell.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let walked = shell.wait_with_output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&walked.stdout), String::from_utf8_lossy(&walked.stderr));
    assert!(walked.status.success(), "{said}\n{errors}");
    assert!(!said.contains(r#""advice":"#) && errors.is_empty(), "{said}\n{errors}");
    assert!(said.contains(r#""fulfilment_state":"delivered""#), "{said}");
    assert!(said.contains("order.placed.v1") && said.contains("shipment.delivered.v1"), "{said}");
}

/// What a document refers to, wherever in it.
fn references(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(|name| name.as_str()).map(str::to_owned));
            fields.values().for_each(|field| references(field, found));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn documents_refer_to_nothing_that_is_not_in_them_and_describe_each_answer() {
    for surface in kontor::http::openapi::Surface::ALL {
        let document = serde_json::to_value(kontor::api::openapi(surface)).unwrap();
        let mut all = Vec::new();
        references(&document, &mut all);
        assert!(all.len() > 100);
        for name in all {
            let place = name.strip_prefix('#').unwrap();
            assert!(document.pointer(place).is_some(), "{}: {name} is nowhere", surface.name());
        }
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values().filter(|one| one["responses"].is_object()) {
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let answer = answer["$ref"]
                        .as_str()
                        .map_or(answer, |name| &document["components"]["responses"][&name[23..]]);
                    assert!(!answer["description"].as_str().unwrap().is_empty(), "{path} {status}");
                }
            }
        }
    }
}
