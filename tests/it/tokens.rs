//! Tokens of an identity provider: whose they are, how long, signed by what, and how often the provider is asked.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kontor::{config::Settings, http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{Answer, App, Folder, Site, on_both_set};

const ISSUER: &str = "https://id.example.org";
const SHOP_ISSUER: &str = "https://login.example.org";

// Keys of these tests and of nothing else.
const ED: &[u8] = include_bytes!("keys/ed25519.pem");
const ED_NEXT: &[u8] = include_bytes!("keys/ed25519-next.pem");
const EC: &[u8] = include_bytes!("keys/p256.pem");
const RSA: &[u8] = include_bytes!("keys/rsa.pem");
const MODULUS: &str = "xZR8m9KV29FZjvGu6v8jNE5i9qEvQPOMLgGj_obkjoPNgoSmI77V7ln_wbZVM6VGBkdI0cv5U7NRbalGvwt7kZYysoHu7TtBd4JvNY0L4h-DbLEOYgdBrTGzvVHC2lfKOyFS9N33VeTohTZuqyJRBRorx840-Jot4ugyaCHVbbyPXgoP2Muys-ZKuRkWXfLN9SHdOBPTUnu7M8dV3v7vE260dQthFwO7yrzSPmO-Lhe-UedanSPgfR4PLkV7MtXZswP0FZ-e7O78-eUOdBjafoUkkeH2RbP5BNOVqi5_-bxNmyPfxPg_72yS_yyjAOsyuJSIc9_5BsAC4U2bOX-JxQ";
const SHARED: &str = "a secret that somebody has put among the public keys";

fn ed(id: &str, x: &str) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": x, "use": "sig", "alg": "EdDSA"})
}

/// The key set as the provider lists it at first.
fn listed() -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    json!({"keys": [
        {"kty": "new", "kid": "not understood"},
        {"kty": "RSA", "kid": "sealing", "use": "enc", "n": MODULUS, "e": "AQAB"},
        {"kty": "oct", "kid": "shared", "k": URL_SAFE_NO_PAD.encode(SHARED)},
        {"kty": "RSA", "kid": "rsa", "n": MODULUS, "e": "AQAB"},
        {"kty": "EC", "kid": "ec", "crv": "P-256", "use": "sig",
            "x": "a08iSYj2JVDUCQ4IkRovFUw1UFjUQbqk1Vo-SVRCzEY", "y": "ais8Cj_nclGFUMHHFXEitow_EbDM1B_yM6Qr2jjgZyE"},
        ed("ed", "aXiUAKFswvYdQRsJP8JcNDz4arn7SKXM7TKNPwXSSS4"),
    ]})
}

/// An identity provider, as far as its key set goes.
#[derive(Clone)]
struct Provider {
    url: String,
    /// What it answers; `None` is that it fails.
    answer: Arc<Mutex<Option<Value>>>,
    asked: Arc<AtomicUsize>,
}

impl Provider {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let provider = Self { url, answer: Arc::default(), asked: Arc::default() };
        let served = provider.clone();
        std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| served.serve(stream)));
        provider
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap_or(0) > 2 {
            line.clear();
        }
        self.asked.fetch_add(1, SeqCst);
        let answer = self.answer.lock().unwrap().as_ref().map(Value::to_string);
        let status = if answer.is_some() { "200 OK" } else { "503 Service Unavailable" };
        let body = answer.unwrap_or_default();
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        // Whoever has gone meanwhile needs no answer.
        drop(stream.write_all(format!("{head}{body}").as_bytes()));
    }

    /// Sets what it answers, and forgets how often it was asked.
    fn lists(&self, keys: Option<Value>) {
        *self.answer.lock().unwrap() = keys;
        self.asked.store(0, SeqCst);
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    /// For staff, clients and customers alike.
    fn of_all(&self) -> impl Fn(&mut Settings) {
        let url = self.url.clone();
        move |settings| {
            settings.auth.jwks_url.clone_from(&url);
            ISSUER.clone_into(&mut settings.auth.issuer);
        }
    }
}

fn claims(app: &App) -> Value {
    let exp = app.now().plus_seconds(3600).micros() / 1_000_000;
    let scopes: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    json!({"iss": ISSUER, "sub": "ada", "aud": "kontor", "exp": exp, "use": "staff", "scope": scopes.join(" ")})
}

fn sign(algorithm: Algorithm, id: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let header = Header { kid: id.map(str::to_owned), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn by_ed(claims: &Value) -> String {
    sign(Algorithm::EdDSA, Some("ed"), &EncodingKey::from_ed_pem(ED).unwrap(), claims)
}

async fn ask(app: &App, token: &str) -> Answer {
    app.send("GET", "/v1/ops/adapters", &[("Authorization", &format!("Bearer {token}"))], None).await
}

#[test]
fn only_the_providers_keys_sign_and_each_with_its_own_algorithm() {
    let provider = Provider::start();
    on_both_set(provider.of_all(), |app| {
        let provider = provider.clone();
        async move {
            provider.lists(Some(listed()));
            let claims = claims(&app);
            let (rsa, ec, ed) = (
                EncodingKey::from_rsa_pem(RSA).unwrap(),
                EncodingKey::from_ec_pem(EC).unwrap(),
                EncodingKey::from_ed_pem(ED).unwrap(),
            );
            for token in [
                sign(Algorithm::RS256, Some("rsa"), &rsa, &claims),
                sign(Algorithm::ES256, Some("ec"), &ec, &claims),
                sign(Algorithm::EdDSA, Some("ed"), &ed, &claims),
                // Without an id, the key that the algorithm is of.
                sign(Algorithm::ES256, None, &ec, &claims),
            ] {
                ask(&app, &token).await.expect(200);
            }
            // Secrets that are none: the shop's, the text of a public key, one listed among the keys.
            let own = EncodingKey::from_secret(&app.state.secret.key("jwt"));
            let public = EncodingKey::from_secret(MODULUS.as_bytes());
            let shared = EncodingKey::from_secret(SHARED.as_bytes());
            for (what, token) in [
                ("our own", sign(Algorithm::HS256, None, &own, &claims)),
                ("our own by a key's name", sign(Algorithm::HS256, Some("rsa"), &own, &claims)),
                ("a public key as a secret", sign(Algorithm::HS256, Some("rsa"), &public, &claims)),
                ("a listed secret", sign(Algorithm::HS256, Some("shared"), &shared, &claims)),
                ("a key for sealing", sign(Algorithm::RS256, Some("sealing"), &rsa, &claims)),
                ("another algorithm of the same key", sign(Algorithm::RS512, Some("rsa"), &rsa, &claims)),
                ("another key's name", sign(Algorithm::EdDSA, Some("ec"), &ed, &claims)),
                (
                    "another key",
                    sign(Algorithm::EdDSA, Some("ed"), &EncodingKey::from_ed_pem(ED_NEXT).unwrap(), &claims),
                ),
            ] {
                let answer = ask(&app, &token).await;
                assert_eq!((answer.status, &answer.body["code"]), (401, &json!("unauthenticated")), "{what}");
            }
            let header =
                Header { crit: Some(vec!["exp".to_owned()]), kid: Some("ed".into()), ..Header::new(Algorithm::EdDSA) };
            let critical = jsonwebtoken::encode(&header, &claims, &ed).unwrap();
            ask(&app, &critical).await.problem(401, "unauthenticated");
            assert!(app.state.verifier.issue(app.claims(Audience::Staff, "ada", "")).is_err());
        }
    });
}

#[test]
fn a_token_is_for_us_now_and_says_whose_it_is() {
    let provider = Provider::start();
    on_both_set(provider.of_all(), |app| {
        let provider = provider.clone();
        async move {
            provider.lists(Some(listed()));
            let now = app.now().micros() / 1_000_000;
            let with = |field: &str, value: Value| {
                let mut claims = claims(&app);
                claims[field] = value;
                if claims[field].is_null() {
                    claims.as_object_mut().unwrap().remove(field);
                }
                by_ed(&claims)
            };
            for (field, value) in
                [("aud", json!(["other", "kontor"])), ("nbf", json!(now + 30)), ("exp", json!(now + 1))]
            {
                assert_eq!(ask(&app, &with(field, value)).await.status, 200, "{field}");
            }
            for (field, value) in [
                ("iss", json!("https://evil.example.org")),
                ("iss", json!("kontor")),
                ("iss", Value::Null),
                ("aud", json!("another")),
                ("aud", json!([])),
                ("aud", Value::Null),
                ("exp", Value::Null),
                ("exp", json!("soon")),
                ("nbf", json!(now + 61)),
                ("nbf", json!("later")),
                ("sub", Value::Null),
                ("sub", json!("")),
                ("use", json!("client")),
                ("use", json!("customer")),
                // Customers' tokens come from the same issuer: what does not say whose it is may be one of theirs.
                ("use", Value::Null),
            ] {
                let answer = ask(&app, &with(field, value.clone())).await;
                let found = (answer.status, answer.body["code"].as_str());
                assert_eq!(found, (401, Some("unauthenticated")), "{field}: {value}");
            }
            ask(&app, &with("exp", json!(now))).await.problem(401, "token_expired");
            ask(&app, "no.token").await.problem(401, "unauthenticated");
            ask(&app, &with("scope", json!("unheard:of orders:read"))).await.problem(403, "scope_missing");
            // The clock decides.
            let later = with("nbf", json!(now + 600));
            ask(&app, &later).await.problem(401, "unauthenticated");
            app.clock.advance_seconds(600);
            ask(&app, &later).await.expect(200);
            app.clock.advance_seconds(3000);
            ask(&app, &later).await.problem(401, "token_expired");
        }
    });
}

#[test]
fn customers_of_another_issuer_are_told_apart_by_it() {
    let (staff, shop) = (Provider::start(), Provider::start());
    let separate = |settings: &mut Settings| {
        staff.of_all()(settings);
        settings.auth.customer_jwks_url.clone_from(&shop.url);
        SHOP_ISSUER.clone_into(&mut settings.auth.customer_issuer);
    };
    on_both_set(separate, |app| {
        staff.lists(Some(listed()));
        shop.lists(Some(json!({"keys": [ed("ed", "nYbwnoCBxB2CUCSKbmx3vhoUzWlZ0_JIcyrQZinls4E")]})));
        async move {
            let mut unmarked = claims(&app);
            unmarked.as_object_mut().unwrap().remove("use");
            ask(&app, &by_ed(&unmarked)).await.expect(200);
            // Signed by the one, in the name of the one or the other.
            let next = EncodingKey::from_ed_pem(ED_NEXT).unwrap();
            for issuer in [ISSUER, SHOP_ISSUER] {
                unmarked["iss"] = json!(issuer);
                let token = sign(Algorithm::EdDSA, Some("ed"), &next, &unmarked);
                ask(&app, &token).await.problem(401, "unauthenticated");
            }
        }
    });
}

/// A token that names a key.
fn named(app: &App, id: &str, key: &[u8]) -> String {
    sign(Algorithm::EdDSA, Some(id), &EncodingKey::from_ed_pem(key).unwrap(), &claims(app))
}

#[test]
fn the_provider_is_asked_for_an_unknown_key_once_a_minute_at_most() {
    let provider = Provider::start();
    on_both_set(provider.of_all(), |app| {
        let provider = provider.clone();
        async move {
            provider.lists(Some(listed()));
            let known = named(&app, "ed", ED);
            // Many at once before anything is known: one asks for all of them.
            let all = join_all((0..20).map(|_| ask(&app, &known))).await;
            assert!(all.iter().all(|answer| answer.status == 200));
            assert_eq!(provider.asked(), 1);
            let strangers: Vec<String> = (0..20).map(|turn| named(&app, &format!("made-up-{turn}"), ED)).collect();
            let refused = async || {
                for answer in join_all(strangers.iter().map(|token| ask(&app, token))).await {
                    answer.problem(401, "unauthenticated");
                }
            };
            refused().await;
            assert_eq!(provider.asked(), 1);
            app.clock.advance_seconds(59);
            refused().await;
            assert_eq!(provider.asked(), 1);
            app.clock.advance_seconds(1);
            refused().await;
            assert_eq!(provider.asked(), 2);
            // A new key is known a minute after the last look; tokens of the known ones need none.
            let mut more = listed();
            more["keys"].as_array_mut().unwrap().push(ed("next", "nYbwnoCBxB2CUCSKbmx3vhoUzWlZ0_JIcyrQZinls4E"));
            provider.lists(Some(more));
            let next = named(&app, "next", ED_NEXT);
            ask(&app, &next).await.problem(401, "unauthenticated");
            app.clock.advance_seconds(60);
            ask(&app, &next).await.expect(200);
            ask(&app, &known).await.expect(200);
            assert_eq!(provider.asked(), 1);
            // A key that is not listed any more is not taken any more, five minutes later at most.
            provider.lists(Some(json!({"keys": []})));
            app.clock.advance_seconds(299);
            ask(&app, &next).await.expect(200);
            app.clock.advance_seconds(1);
            ask(&app, &next).await.problem(401, "unauthenticated");
        }
    });
}

#[test]
fn a_provider_that_does_not_answer_locks_nobody_out_at_once() {
    let provider = Provider::start();
    on_both_set(provider.of_all(), |app| {
        let provider = provider.clone();
        async move {
            // Down from the start: nobody can be known, and it is left in peace.
            provider.lists(None);
            let known = named(&app, "ed", ED);
            for _ in 0..5 {
                let answer = ask(&app, &known).await;
                assert!(answer.header("Retry-After").is_some());
                answer.problem(503, "unavailable");
            }
            assert_eq!(provider.asked(), 1);
            provider.lists(Some(listed()));
            app.clock.advance_seconds(5);
            ask(&app, &known).await.expect(200);
            // Down later: what is known holds for an hour, and it is asked once a minute.
            provider.lists(None);
            for _ in 0..55 {
                app.clock.advance_seconds(60);
                ask(&app, &known).await.expect(200);
                ask(&app, &known).await.expect(200);
            }
            assert!((50..=55).contains(&provider.asked()), "{}", provider.asked());
            let late = || {
                let mut claims = claims(&app);
                claims["exp"] = json!(app.now().plus_seconds(36_000).micros() / 1_000_000);
                by_ed(&claims)
            };
            app.clock.advance_seconds(360);
            ask(&app, &late()).await.problem(503, "unavailable");
            provider.lists(Some(listed()));
            app.clock.advance_seconds(60);
            ask(&app, &late()).await.expect(200);
        }
    });
}

#[test]
fn a_server_that_others_reach_does_not_start_on_development_tokens() {
    let folder = std::sync::Arc::new(Folder::new());
    let site = Site { database_url: folder.path().join("kontor.db").display().to_string(), folder };
    let open = [("KONTOR_HTTP_LISTEN", "0.0.0.0:0"), ("KONTOR_HTTP_PUBLIC_URL", "http://127.0.0.1:9")];
    let refused = site.run_with(&["serve"], &open);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("auth.jwks_url"), "{said}");
    assert!(!std::path::Path::new(&site.database_url).exists(), "it has touched nothing");
    // Said to be meant, it serves.
    let settings = [open[0], open[1], ("KONTOR_AUTH_DEVELOPMENT_TOKENS", "true")];
    drop(site.serve(&settings));
}
