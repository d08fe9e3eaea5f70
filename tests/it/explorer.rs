//! The explorer at `/docs/`: it works offline, and its plugin sends the headers that people forget.

use std::{
    io::Read,
    process::{Command, Stdio},
};

use kontor::http::openapi::Surface;

use crate::support::{Shop, block_on, on_both};

/// What stands between a beginning and an end, wherever in a text.
fn between<'a>(text: &'a str, begin: &'a str, end: char) -> impl Iterator<Item = &'a str> {
    text.split(begin).skip(1).filter_map(move |rest| rest.split(end).next())
}

/// What a page loads by itself: scripts, styles, pictures. Links that somebody follows are not among it.
fn loaded(page: &str) -> Vec<String> {
    let tags = page
        .split('<')
        .filter(|tag| ["link ", "script ", "img ", "iframe ", "source "].iter().any(|loads| tag.starts_with(loads)));
    let named = |tag: &str| -> Vec<String> {
        ["src=\"", "href=\""]
            .iter()
            .flat_map(|name| between(tag, name, '"').map(str::to_owned).collect::<Vec<_>>())
            .collect()
    };
    tags.flat_map(named).collect()
}

/// Whether an address leads away from the server.
fn is_outside(address: &str) -> bool {
    let address = address.trim_start_matches(['"', '\'', ' ']);
    address.starts_with("//") || address.contains("://") && !address.starts_with("data:")
}

#[test]
fn the_explorer_loads_nothing_from_elsewhere() {
    block_on(async {
        let app = crate::support::App::on_sqlite(false).await;
        let get = async |path: &str| {
            let answer = app.send("GET", path, &[], None).await;
            assert_eq!(answer.status, 200, "{path}");
            answer
        };
        let (mut seen, mut scripts) = (Vec::new(), 0);
        for page in ["/docs/", "/docs/errors"] {
            let text = get(page).await.text;
            for style in between(&text, "<style>", '<') {
                assert!(!style.contains("@import") && !between(style, "url(", ')').any(is_outside), "{page}");
            }
            seen.extend(loaded(&text));
        }
        assert!(seen.len() >= 5, "{seen:?}");
        for address in seen.iter().filter(|address| !address.starts_with("data:")) {
            assert!(!is_outside(address), "{address} is not of this server");
            let asset = get(&format!("/docs/{address}")).await;
            let kind = asset.header("content-type").unwrap();
            if kind.starts_with("text/css") {
                let outside: Vec<&str> = between(&asset.text, "url(", ')').filter(|url| is_outside(url)).collect();
                assert!(outside.is_empty() && !asset.text.contains("@import"), "{address}: {outside:?}");
            } else {
                assert!(kind.contains("javascript"), "{address} is {kind}");
                scripts += 1;
                // What a script may call an address by, when it loads from there.
                for calls in
                    ["fetch(", "import(", "importScripts(", "EventSource(", "WebSocket(", ".src=", ".open(\"GET\","]
                {
                    let outside = asset.text.split(calls).skip(1).map(|rest| rest.get(..30).unwrap_or(rest));
                    let outside: Vec<&str> = outside
                        .filter(|rest| rest.starts_with(['"', '\'', '`']))
                        .filter(|rest| is_outside(rest))
                        .collect();
                    assert!(outside.is_empty(), "{address}: {calls}{outside:?}");
                }
            }
        }
        assert!(scripts >= 3, "{seen:?}");
        let own = get("/docs/kontor.js").await.text;
        // Swagger UI would have every document looked at by somebody else's validator.
        assert!(own.contains("validatorUrl: null") && !own.contains("://"), "{own}");
        for address in between(&own, "url: \"", '"') {
            get(address).await;
        }
        app.tear_down().await;
    });
}

#[test]
fn a_long_list_is_packed_for_who_takes_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        for number in 0..30 {
            shop.add(&format!("TEE-{number:03}"), "19.90", 0).await;
        }
        let client = reqwest::Client::builder().no_gzip().build().unwrap();
        let get = async |encoding: &str| {
            let request = client.get(format!("{}/v1/ops/variants?limit=200", app.url)).bearer_auth(app.staff());
            let answer = request.header("Accept-Encoding", encoding).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_lowercase());
            let (packed, varies) = (header("content-encoding"), header("vary"));
            (packed, varies, answer.bytes().await.unwrap())
        };
        let (packed, varies, bytes) = get("gzip").await;
        assert_eq!(packed.as_deref(), Some("gzip"));
        assert!(varies.unwrap_or_default().contains("accept-encoding"));
        let (plain, _, whole) = get("identity").await;
        assert_eq!(plain, None);
        assert!(bytes.len() * 3 < whole.len(), "{} of {} bytes", bytes.len(), whole.len());
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, whole);
    });
}

/// What the plugin is tried with: a browser that is none, and a call as Swagger UI makes it. It gives the `If-Match` that was sent.
const BROWSER: &str = r#"
const assert = require("node:assert"), fs = require("node:fs");
const note = { dataset: {}, append() {} };
globalThis.document = { getElementById: () => note, createElement: () => ({}) };
globalThis.window = { location: { href: "http://shop.test/docs/" } };
globalThis.SwaggerUIBundle = Object.assign(() => ({}), { presets: {} });
globalThis.SwaggerUIStandalonePreset = {};
globalThis.crypto = globalThis.crypto || require("node:crypto").webcrypto;
(0, eval)(fs.readFileSync(process.argv[2], "utf8"));
const { requestInterceptor: ask, responseInterceptor: tell } = window.kontor;
for (const file of process.argv.slice(3)) {
  tell({ url: "http://shop.test/openapi/" + file, ok: true, status: 200, headers: {}, obj: JSON.parse(fs.readFileSync(file, "utf8")) });
}
function call(method, path, etag, more) {
  const url = "http://shop.test/v1" + path;
  const request = ask({ method: method, url: url, headers: {}, body: "{}" });
  tell(Object.assign({ url: url, ok: true, status: 200, headers: etag ? { etag: etag } : {} }, more));
  return request.headers["If-Match"];
}
"#;

/// The story: what each call must have been sent with.
const STORY: &str = r#"
// A line is a part of its cart.
const cart = { obj: { id: "cart_1" } };
assert.equal(call("GET", "/store/carts/cart_1", "v1", cart), undefined);
assert.equal(call("PATCH", "/store/carts/cart_1/lines/line_1", "v2", cart), "v1");
assert.equal(call("POST", "/store/carts/cart_1/lines", "v3", cart), "v2");
assert.equal(call("DELETE", "/store/carts/cart_1/lines/line_1", "v4", cart), "v3");
assert.equal(call("POST", "/store/carts/cart_1/complete", "v1", { status: 201, headers: { etag: "v1", location: "/v1/store/orders/order_1" } }), "v4");
// An address is one of its customer, and of nobody else.
assert.equal(call("POST", "/ops/customers", "v1", { status: 201, headers: { etag: "v1", location: "/v1/ops/customers/cust_1" } }), undefined);
assert.equal(call("PATCH", "/ops/customers/cust_2", "v9", { obj: { id: "cust_2" } }), undefined);
assert.equal(call("POST", "/ops/customers/cust_1/addresses", "v2", { obj: { id: "cust_1" } }), "v1");
assert.equal(call("PATCH", "/ops/customers/cust_1/addresses/addr_1", null, { ok: false, status: 412 }), "v2");
assert.equal(call("PATCH", "/ops/customers/cust_1/addresses/addr_1", "v4", { obj: { id: "cust_1" } }), undefined);
assert.equal(call("PATCH", "/ops/customers/cust_1", null, { ok: false, status: 422 }), "v4");
assert.equal(call("PATCH", "/ops/customers/cust_1", "v5", { obj: { id: "cust_1" } }), "v4");
// One's own profile has no id in its path.
assert.equal(call("GET", "/store/me", "v1", { obj: { id: "cust_3" } }), undefined);
assert.equal(call("POST", "/store/me/addresses", "v2", { obj: { id: "cust_3" } }), "v1");
assert.equal(call("PATCH", "/store/me/addresses/addr_2", "v3", { obj: { id: "cust_3" } }), "v2");
assert.equal(call("PATCH", "/store/me", "v4", { obj: { id: "cust_3" } }), undefined);
// Where it is not looked at, it is not sent.
assert.equal(call("GET", "/ops/orders/1001", "v5", { obj: { id: "order_1" } }), undefined);
assert.equal(call("POST", "/ops/orders/1001/cancel", "v6", { obj: { id: "order_1" } }), undefined);
// Sent again as it was, a command has the same key; changed, another.
const key = (body) => ask({ method: "POST", url: "http://shop.test/v1/store/carts", headers: {}, body: body }).headers["Idempotency-Key"];
const first = key("{}");
assert.equal(key("{}"), first);
assert.notEqual(key("{\"email\":null}"), first);
"#;

#[test]
fn the_plugin_sends_the_version_that_was_seen_where_it_is_looked_at() {
    if Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        println!("There is no node: the explorer's plugin was not tried.");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    std::fs::write(place("story.js"), format!("{BROWSER}\n{STORY}")).unwrap();
    let documents = Surface::ALL.map(|surface| {
        let file = place(&format!("{}.json", surface.name()));
        std::fs::write(&file, kontor::api::openapi_text(surface).unwrap()).unwrap();
        file
    });
    let plugin = concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/docs/kontor.js");
    let told = Command::new("node").arg(place("story.js")).arg(plugin).args(documents).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
}
