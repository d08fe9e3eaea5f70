//! Every route with every role, as the three documents tell of them: who may, who may not, and that nothing happens then.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kontor::{
    http::{auth::Audience, openapi::Surface, seal::Secret},
    kernel::Scope,
};
use serde_json::{Value, json};

use crate::support::{
    Answer, App, on_both_idle,
    world::{Route, dump, two_sides},
};

/// Somebody who sends a request, and the problem that they get; `None` for those who may.
struct Role {
    who: String,
    headers: Vec<(&'static str, String)>,
    refused: Option<(u16, &'static str)>,
}

fn bearer(token: &str) -> (&'static str, String) {
    ("Authorization", format!("Bearer {token}"))
}

fn role(who: &str, headers: Vec<(&'static str, String)>, refused: Option<(u16, &'static str)>) -> Role {
    Role { who: who.to_owned(), headers, refused }
}

const UNKNOWN: Option<(u16, &str)> = Some((401, "unauthenticated"));
const EXPIRED: Option<(u16, &str)> = Some((401, "token_expired"));
const NO_KEY: Option<(u16, &str)> = Some((401, "channel_key_invalid"));
const NO_SCOPE: Option<(u16, &str)> = Some((403, "scope_missing"));

/// The credentials of everybody.
struct Cast {
    app: App,
    channel_key: String,
    revoked: String,
    keys: Vec<(Option<Scope>, String)>,
}

impl Cast {
    async fn new(app: &App, channel_key: &str) -> Self {
        let make = async |scopes: &[Scope]| {
            let key = json!({"name": "k", "scopes": scopes});
            let made = app.ops("POST", "/api-keys", Some(&key)).await.expect(201);
            (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
        };
        let (id, revoked) = make(Scope::ALL).await;
        app.ops("DELETE", &format!("/api-keys/{id}"), None).await.expect(204);
        let mut keys = vec![(None, make(&[]).await.1)];
        for scope in Scope::ALL {
            keys.push((Some(*scope), make(&[*scope]).await.1));
        }
        Self { app: app.clone(), channel_key: channel_key.to_owned(), revoked, keys }
    }

    fn token(&self, usage: Audience, scopes: &[Scope]) -> String {
        self.app.token(usage, "mallory", scopes)
    }

    /// With all but one scope.
    fn without(&self, usage: Audience, scope: Scope) -> String {
        let others: Vec<Scope> = Scope::ALL.iter().copied().filter(|other| *other != scope).collect();
        self.token(usage, &others)
    }

    fn expired(&self, usage: Audience) -> String {
        let scopes: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        let mut claims = self.app.claims(usage, "mallory", &scopes.join(" "));
        claims.exp = self.app.now().micros() / 1_000_000;
        self.app.state.verifier.issue(claims).unwrap()
    }

    fn api_key(&self, scope: Option<Scope>) -> &str {
        &self.keys.iter().find(|(of, _)| *of == scope).unwrap().1
    }

    /// Right in everything but the signature: of another shop, and none at all.
    fn forged(&self, usage: Audience) -> [String; 2] {
        let token = self.token(usage, Scope::ALL);
        let claims = token.split('.').nth(1).unwrap();
        let header = |alg: &str| URL_SAFE_NO_PAD.encode(json!({"alg": alg, "typ": "JWT"}).to_string());
        let read: kontor::http::auth::Claims =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        let key = jsonwebtoken::EncodingKey::from_secret(&Secret::new(b"another shop").key("jwt"));
        let foreign = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &read, &key).unwrap();
        [foreign, format!("{}.{claims}.", header("none"))]
    }

    fn key(&self) -> (&'static str, String) {
        ("Channel-Key", self.channel_key.clone())
    }

    fn of_store(&self, route: &Route) -> Vec<Role> {
        let (customer, staff) = (self.token(Audience::Customer, &[]), self.token(Audience::Staff, Scope::ALL));
        let client = self.token(Audience::Client, Scope::ALL);
        let any_key = self.api_key(Some(Scope::OrdersWrite));
        let mut roles = vec![
            role("nobody", vec![], NO_KEY),
            role("a customer without a key", vec![bearer(&customer)], NO_KEY),
            role("staff without a key", vec![bearer(&staff)], NO_KEY),
            role("an API key for a channel's", vec![("Channel-Key", any_key.to_owned())], NO_KEY),
            role("staff", vec![self.key(), bearer(&staff)], UNKNOWN),
            role("a client", vec![self.key(), bearer(&client)], UNKNOWN),
            role("an API key", vec![self.key(), bearer(any_key)], UNKNOWN),
            role("too late", vec![self.key(), bearer(&self.expired(Audience::Customer))], EXPIRED),
            role("a customer", vec![self.key(), bearer(&customer)], None),
        ];
        for forged in self.forged(Audience::Customer) {
            roles.push(role("forged", vec![self.key(), bearer(&forged)], UNKNOWN));
        }
        let takes_guests = alternatives(route).iter().any(|all| all.iter().map(String::as_str).eq(["channel_key"]));
        roles.push(role("a guest", vec![self.key()], if takes_guests { None } else { UNKNOWN }));
        roles
    }

    /// Of the ops and the integration surface: `usage` is theirs, everybody else is a stranger.
    fn of_inside(&self, usage: Audience, scope: Scope) -> Vec<Role> {
        let mut roles = vec![
            role("nobody", vec![], UNKNOWN),
            role("a publishable key", vec![self.key()], UNKNOWN),
            role("a publishable key as a token", vec![bearer(&self.channel_key)], UNKNOWN),
            role("a revoked API key", vec![bearer(&self.revoked)], UNKNOWN),
            role("too late", vec![bearer(&self.expired(usage))], EXPIRED),
            role("no scope", vec![bearer(&self.token(usage, &[]))], NO_SCOPE),
            role("all other scopes", vec![bearer(&self.without(usage, scope))], NO_SCOPE),
            role("exactly the scope", vec![bearer(&self.token(usage, &[scope]))], None),
        ];
        for stranger in [Audience::Staff, Audience::Client, Audience::Customer].into_iter().filter(|it| *it != usage) {
            roles.push(role(stranger.as_str(), vec![bearer(&self.token(stranger, Scope::ALL))], UNKNOWN));
        }
        for forged in self.forged(usage) {
            roles.push(role("forged", vec![bearer(&forged)], UNKNOWN));
        }
        let (with, without) = match usage {
            Audience::Client => (None, NO_SCOPE),
            _ => (UNKNOWN, UNKNOWN),
        };
        roles.push(role("an API key with the scope", vec![bearer(self.api_key(Some(scope)))], with));
        roles.push(role("an API key without", vec![bearer(self.api_key(None))], without));
        roles
    }

    fn of(&self, route: &Route) -> Vec<Role> {
        match route.surface {
            Surface::Store => self.of_store(route),
            Surface::Ops => self.of_inside(Audience::Staff, scope_of(route)),
            Surface::Integration => self.of_inside(Audience::Client, scope_of(route)),
        }
    }
}

/// The ways to sign in that a route's document names, each a set of schemes.
fn alternatives(route: &Route) -> Vec<Vec<String>> {
    let all = route.security.as_array().unwrap_or_else(|| panic!("{} {} names no security", route.method, route.path));
    all.iter().map(|one| one.as_object().unwrap().keys().cloned().collect()).collect()
}

/// The one scope that a route inside names.
fn scope_of(route: &Route) -> Scope {
    let named = &route.security[0]["token"];
    let scopes = named.as_array().map(Vec::as_slice).unwrap_or_default();
    let whole = route.security.as_array().is_some_and(|all| all.len() == 1) && scopes.len() == 1;
    assert!(whole, "{} {} must name one scope: {}", route.method, route.path, route.security);
    scopes[0].as_str().unwrap().parse().unwrap()
}

/// The routes; with a body that asks for no more than the scope gives, where the example does.
fn routes() -> Vec<Route> {
    let mut all = Route::all();
    for route in &mut all {
        // Nobody gives what they do not have.
        if route.is("POST", "/api-keys") {
            let key = json!({"name": "k", "scopes": ["keys:write"]});
            route.body = Some(("application/json".to_owned(), key.to_string()));
        }
    }
    assert!(all.len() > 120, "there were more routes than {}", all.len());
    all
}

fn judge(route: &Route, role: &Role, answer: &Answer) -> Option<String> {
    let found = (answer.status, answer.body["code"].as_str().unwrap_or_default());
    let right = match role.refused {
        Some(problem) => found == problem && answer.headers["content-type"] == "application/problem+json",
        None => !matches!(answer.status, 401 | 403) && answer.status < 500,
    };
    // Who lacks a scope is told which: the one that the document names.
    let told = role.refused != NO_SCOPE || answer.body["scope"] == json!(scope_of(route));
    let expected =
        role.refused.map_or("anything but 401 and 403".to_owned(), |(status, code)| format!("{status} {code}"));
    let sent = format!("{} {} by {}", route.method, route.path, role.who);
    (!right || !told).then(|| format!("{sent}: expected {expected}, got {}", answer.text))
}

#[test]
fn every_route_answers_those_who_may_and_nobody_else() {
    on_both_idle(|app| async move {
        let (side, _) = two_sides(&app).await;
        let cast = Cast::new(&app, &side.shop.key).await;
        let routes = routes();
        let before = dump(&app).await;
        let mut wrong = Vec::new();
        // First those who may not: nothing has changed after all of them. Then those who may, who change much.
        for may in [false, true] {
            for route in &routes {
                let path = route.fill(&side.ids);
                for role in cast.of(route).iter().filter(|role| role.refused.is_none() == may) {
                    let headers: Vec<(&str, &str)> =
                        role.headers.iter().map(|(name, it)| (*name, it.as_str())).collect();
                    wrong.extend(judge(route, role, &route.send(&app, &path, &headers).await));
                }
            }
            if !may {
                let after = dump(&app).await;
                let changed: Vec<_> = before.iter().filter(|(table, rows)| after[*table] != **rows).collect();
                assert!(changed.is_empty(), "who may not has changed {changed:#?}");
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    });
}

#[test]
fn the_documents_name_what_each_surface_takes() {
    for route in routes() {
        let name = format!("{} {}", route.method, route.path);
        match route.surface {
            Surface::Store => {
                for way in alternatives(&route) {
                    assert!(way.contains(&"channel_key".to_owned()), "{name} takes {way:?}");
                    let known = |scheme: &String| ["channel_key", "cart_token", "token"].contains(&scheme.as_str());
                    assert!(way.iter().all(known), "{name} takes {way:?}");
                }
                let scopes =
                    route.security.as_array().unwrap().iter().flat_map(|way| way.as_object().unwrap().values());
                assert!(scopes.into_iter().all(|scopes| *scopes == Value::Array(Vec::new())), "{name} names scopes");
            }
            Surface::Ops | Surface::Integration => {
                scope_of(&route);
            }
        }
    }
}

#[test]
fn who_lacks_the_scope_is_told_so_before_what_else_is_wrong() {
    on_both_idle(|app| async move {
        let mut wrong = Vec::new();
        for mut route in routes().into_iter().filter(|route| route.surface != Surface::Store) {
            let usage = if route.surface == Surface::Ops { Audience::Staff } else { Audience::Client };
            let others: Vec<Scope> = Scope::ALL.iter().copied().filter(|scope| *scope != scope_of(&route)).collect();
            let token = format!("Bearer {}", app.token(usage, "mallory", &others));
            let parts = route.path.split('/').map(|part| if part.starts_with('{') { "odd" } else { part });
            let path = parts.collect::<Vec<_>>().join("/") + "?odd=1";
            route.body = route.body.map(|_| ("text/odd".to_owned(), "odd".to_owned()));
            let answer = route.send(&app, &path, &[("Authorization", &token)]).await;
            if (answer.status, answer.body["code"].as_str()) != (403, Some("scope_missing")) {
                wrong.push(format!("{} {path}: {}", route.method, answer.text));
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    });
}

#[test]
fn nobodys_body_is_read_before_it_is_known_whose_it_is() {
    on_both_idle(|app| async move {
        // Wrong in every other way too: the path, the query, the media type, the body.
        for path in
            ["/v1/ops/customers", "/v1/ops/channels/odd", "/v1/ops/orders?odd=1", "/v1/integration/variants?odd=1"]
        {
            for method in ["POST", "GET", "PATCH"] {
                let answer = app.send_text(method, path, &[], Some(("text/odd", "odd".to_owned()))).await;
                assert!(matches!(answer.status, 401 | 405), "{method} {path}: {}", answer.text);
            }
        }
        // However the path is written.
        let staff = format!("Bearer {}", app.staff());
        let headers = [("Authorization", staff.as_str())];
        let feed = app.send("GET", "/v1/%69ntegration/feeds/orders", &headers, None).await;
        assert!(matches!(feed.status, 401 | 404), "{}", feed.text);
        let config = app.send("GET", "/v1/%73tore/config", &headers, None).await;
        assert!(matches!(config.status, 401 | 404), "{}", config.text);
    });
}
