//! Renewing the secret: nothing that was made or sealed with a former one is lost.

use std::process::{Command, Stdio};

use diesel::sql_types::{Bool, Nullable, Text};
use kontor::{
    config::Settings,
    db::sql,
    http::State,
    kernel::Clock,
    process::{Process, Roles},
};
use serde_json::{Value, json};

use crate::support::{Answer, App, Cart, Shop, app, on_both};

const FIRST: &str = "the first secret of more than thirty-two bytes";
const SECOND: &str = "the second secret of more than thirty-two bytes";

fn settings(secret: &str, previous: &str) -> Settings {
    let mut settings = app::settings();
    secret.clone_into(&mut settings.auth.secret);
    previous.clone_into(&mut settings.auth.previous_secrets);
    settings
}

/// Another server on the database of a test, with other settings.
struct Server {
    process: Process,
    app: App,
}

impl Server {
    async fn start(app: &App, secret: &str, previous: &str) -> Self {
        let roles = Roles { serve: true, work: false };
        let settings = settings(secret, previous);
        let process = Process::start(app.state.db.clone(), app.clock.clone(), settings, roles).await.unwrap();
        Self { app: app.through(&process), process }
    }

    async fn stop(self) {
        self.process.stop().await;
    }

    fn shop(&self, shop: &Shop) -> Shop {
        Shop { app: self.app.clone(), ..shop.clone() }
    }
}

/// What is made under a secret and has to outlive it.
struct Made {
    shop: Shop,
    cart: Cart,
    connector: String,
    signing: String,
    staff: String,
    kept: Answer,
}

const KEY: &[(&str, &str)] = &[("Idempotency-Key", "made-once")];

async fn api_key(app: &App, staff: &str) -> Answer {
    let key = json!({"name": "ERP", "scopes": ["feeds:read"]});
    let headers = [("Authorization", staff), KEY[0]];
    app.send("POST", "/v1/ops/api-keys", &headers, Some(&key)).await
}

async fn make(shop: &Shop) -> Made {
    let app = &shop.app;
    let connector = json!({"name": "ERP", "adapter": "webhook", "settings": {"url": "http://127.0.0.1:9/"},
        "types": ["customer."]});
    let connector = app.ops("POST", "/connectors", Some(&connector)).await.expect(201);
    let staff = format!("Bearer {}", app.staff());
    Made {
        cart: shop.cart(&[("TEE", 1)]).await,
        connector: connector["id"].as_str().unwrap().to_owned(),
        signing: connector["secrets"]["signing_secret"].as_str().unwrap().to_owned(),
        kept: api_key(app, &staff).await,
        staff,
        shop: shop.clone(),
    }
}

/// The signing secret of the connector, as this state can open it.
async fn opened(state: &State) -> Option<String> {
    let sealed = |tx: &mut kontor::db::Tx| {
        sql("SELECT secret FROM connectors").first::<Nullable<Text>, Option<String>>(tx).map(Option::flatten)
    };
    let sealed = state.db.read(sealed).await.unwrap().unwrap();
    let opened: Value = serde_json::from_str(&state.secret.unseal(&sealed).ok()?).unwrap();
    opened["signing_secret"].as_str().map(str::to_owned)
}

/// Asserts that everything works on a server of another secret.
async fn outlives(server: &Server, made: &Made) {
    let (app, shop) = (&server.app, server.shop(&made.shop));
    let path = format!("/carts/{}", made.cart.id);
    shop.store("GET", &path, Some(&made.cart.token), None).await.expect(200);
    app.send("GET", "/v1/ops/channels", &[("Authorization", &made.staff)], None).await.expect(200);
    assert_eq!(opened(&app.state).await, Some(made.signing.clone()));
    let again = api_key(app, &made.staff).await;
    assert_eq!((again.header("Idempotency-Replayed"), &again.body), (Some("true"), &made.kept.body));
    // The connector is told things, and can be given new secrets.
    let test = format!("/connectors/{}/test", made.connector);
    assert_eq!(app.ops("POST", &test, None).await.expect(200)["ok"], false);
    // New ones are made with the new secret: it alone takes them.
    let fresh = shop.cart(&[("TEE", 1)]).await;
    let alone = kontor::http::seal::Secret::new(app.state.settings.auth.secret.as_bytes());
    assert!(
        alone.is_token("cart", &fresh.id, &fresh.token) && !alone.is_token("cart", &made.cart.id, &made.cart.token)
    );
}

/// Runs `kontor reseal` with these settings; what it says, and whether it has succeeded.
fn reseal(app: &App, secret: &str, previous: &str, options: &[&str]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_kontor"));
    program.args(["reseal", "--database-url", &app.database_url]).args(options).current_dir(folder.path());
    program.env_remove("DATABASE_URL").env("KONTOR_AUTH_SECRET", secret).env("KONTOR_AUTH_PREVIOUS_SECRETS", previous);
    let ran = program.stdin(Stdio::null()).output().unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn a_new_secret_takes_what_the_former_one_made() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        let first = Server::start(&app, FIRST, "").await;
        let made = make(&first.shop(&shop)).await;
        first.stop().await;
        // Without the former secret all of it would be lost.
        let lost = Server::start(&app, SECOND, "").await;
        let path = format!("/carts/{}", made.cart.id);
        lost.shop(&shop).store("GET", &path, Some(&made.cart.token), None).await.problem(404, "not_found");
        let headers = [("Authorization", made.staff.as_str())];
        lost.app.send("GET", "/v1/ops/channels", &headers, None).await.problem(401, "unauthenticated");
        assert_eq!(opened(&lost.app.state).await, None);
        lost.stop().await;
        let second = Server::start(&app, SECOND, FIRST).await;
        outlives(&second, &made).await;
        second.stop().await;

        // Sealed again, while a server runs, it does without the former one. Twice is once.
        let (done, said) = reseal(&app, SECOND, "", &[]);
        assert!(!done && said.contains("ERP") && said.contains("auth.previous_secrets"), "{said}");
        let (done, said) = reseal(&app, SECOND, FIRST, &[]);
        assert!(done && said.contains("1 connectors, 1 stored answers"), "{said}");
        let (done, said) = reseal(&app, SECOND, FIRST, &[]);
        assert!(done && said.contains("0 connectors, 0 stored answers"), "{said}");
        let alone = Server::start(&app, SECOND, "").await;
        assert_eq!(opened(&alone.app.state).await, Some(made.signing.clone()));
        let fresh = format!("Bearer {}", alone.app.staff());
        assert_eq!(api_key(&alone.app, &fresh).await.body, made.kept.body);
        let renew = format!("/connectors/{}/renew-secrets", made.connector);
        alone.app.ops("POST", &renew, None).await.expect(200);
        alone.stop().await;
    });
}

#[test]
fn beginning_to_configure_a_secret_loses_nothing_of_the_databases_own() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 20)]).await;
        // The test's server has no secret but the one that it has made.
        let made = make(&shop).await;
        let own = app.state.secret.clone();
        let configured = Server::start(&app, FIRST, "").await;
        outlives(&configured, &made).await;
        assert!(!own.is_token("cart", &made.cart.id, &configured.app.state.secret.token("cart", &made.cart.id)));
        configured.stop().await;
        // And back again: what was made meanwhile is taken, when the secret is told.
        let back = Server::start(&app, "", FIRST).await;
        back.shop(&shop)
            .store("GET", &format!("/carts/{}", made.cart.id), Some(&made.cart.token), None)
            .await
            .expect(200);
        back.stop().await;

        let (done, said) = reseal(&app, "", FIRST, &["--forget-own"]);
        assert!(!done && said.contains("set auth.secret first"), "{said}");
        let (done, said) = reseal(&app, FIRST, "", &["--forget-own"]);
        assert!(done && said.contains("own secret is forgotten"), "{said}");
        let kept = app.read(|tx| sql("SELECT count(*) > 0 FROM secrets").first::<Bool, bool>(tx)).await;
        assert_eq!(kept, Some(false));
        let alone = Server::start(&app, FIRST, "").await;
        assert_eq!(opened(&alone.app.state).await, Some(made.signing.clone()));
        let path = format!("/carts/{}", made.cart.id);
        alone.shop(&shop).store("GET", &path, Some(&made.cart.token), None).await.problem(404, "not_found");
        alone.stop().await;
    });
}

#[test]
fn a_recovery_link_and_a_token_of_before_are_taken_by_either_neighbour() {
    on_both(|app| async move {
        let state = async |secret: &str, previous: &str| {
            let db = app.state.db.clone();
            State::new(db, Clock::system(), settings(secret, previous)).await.unwrap()
        };
        let (old, told) = (state(FIRST, "").await, state(FIRST, SECOND).await);
        let (new, both) = (state(SECOND, "").await, state(SECOND, &format!("{FIRST} , {SECOND}")).await);
        // First every process is told of the coming secret, then it becomes the one: at no moment is there one that
        // refuses what another has made.
        let link = old.secret.token("recover", "cart_1");
        for knows in [&old, &told, &both] {
            assert!(knows.secret.is_token("recover", "cart_1", &link));
        }
        let fresh = both.secret.token("recover", "cart_1");
        for knows in [&told, &new, &both] {
            assert!(knows.secret.is_token("recover", "cart_1", &fresh));
        }
        assert!(!old.secret.is_token("recover", "cart_1", &fresh));
        let sealed = both.secret.seal("x").unwrap();
        assert!(told.secret.unseal(&sealed).is_ok() && old.secret.unseal(&sealed).is_err());
    });
}
