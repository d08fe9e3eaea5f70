//! The database layer under trouble: the writer thread and its groups on SQLite, retries and lost connections on PostgreSQL.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use diesel::sql_types::BigInt;
use futures::future::join_all;
use kontor::{
    db::{Db, Lane, Options, sql},
    error::{Code, Error},
};

use crate::support::{Bare, block_on, eventually, on_both_bare};

async fn scratch(db: &Db) {
    for table in [
        "CREATE TABLE scratch (id BIGINT PRIMARY KEY, text TEXT)",
        "CREATE TABLE parents (id BIGINT PRIMARY KEY)",
        "CREATE TABLE children (id BIGINT PRIMARY KEY, parent BIGINT REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)",
    ] {
        db.write(move |tx| sql(table).execute(tx)).await.unwrap();
    }
}

async fn insert(db: &Db, id: i64) -> Result<usize, Error> {
    db.write(move |tx| sql("INSERT INTO scratch (id) VALUES (?)").bind(id).execute(tx)).await
}

async fn ids(db: &Db) -> Vec<i64> {
    db.read(|tx| sql("SELECT id FROM scratch ORDER BY id").load::<BigInt, i64>(tx)).await.unwrap()
}

/// Holds the writer thread inside a write until the sender is used, so that what is sent meanwhile forms one group.
async fn hold(db: &Db) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (release, released) = mpsc::channel::<()>();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (released, begun) = (Mutex::new(released), Mutex::new(Some(begun)));
    let db = db.clone();
    let held = tokio::spawn(async move {
        let write = db.write(move |_| {
            if let Some(begun) = begun.lock().unwrap().take() {
                begun.send(()).unwrap();
            }
            released.lock().unwrap().recv_timeout(Duration::from_secs(20)).ok();
            Ok(())
        });
        write.await.unwrap();
    });
    has_begun.await.unwrap();
    (release, held)
}

/// Waits until so many writes stand behind the one that is held.
async fn queued(db: &Db, count: usize) {
    eventually("the writes are queued", || async { db.writes_waiting() == count }).await;
}

#[test]
fn a_panicking_write_costs_its_neighbours_nothing() {
    on_both_bare(|bare| async move {
        let db = &bare.db;
        scratch(db).await;
        let held = if bare.is_postgres() { None } else { Some(hold(db).await) };
        let neighbours = join_all((0..6).map(|id| insert(db, id)));
        let panicking = db.write(|tx| {
            sql("INSERT INTO scratch (id) VALUES (100)").execute(tx)?;
            if true {
                panic!("a defect in a handler");
            }
            Ok(())
        });
        let later = join_all((6..12).map(|id| insert(db, id)));
        let release = async {
            if let Some((release, _)) = &held {
                queued(db, 13).await;
                release.send(()).unwrap();
            }
        };
        let (before, panicked, after, ()) = tokio::join!(neighbours, panicking, later, release);
        assert!(before.iter().chain(&after).all(Result::is_ok), "{before:?} {after:?}");
        assert_eq!(panicked.unwrap_err().code(), Code::Internal);
        assert_eq!(ids(db).await, (0..12).collect::<Vec<_>>());
        insert(db, 200).await.unwrap();
    });
}

#[test]
fn a_commit_that_fails_is_told_to_its_own_caller_only() {
    on_both_bare(|bare| async move {
        let db = &bare.db;
        scratch(db).await;
        let held = if bare.is_postgres() { None } else { Some(hold(db).await) };
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        let orphan = db.write(move |tx| {
            counted.fetch_add(1, SeqCst);
            sql("INSERT INTO children (id, parent) VALUES (1, 404)").execute(tx)
        });
        let neighbours = join_all((0..8).map(|id| insert(db, id)));
        let release = async {
            if let Some((release, _)) = &held {
                queued(db, 9).await;
                release.send(()).unwrap();
            }
        };
        let (orphan, neighbours, ()) = tokio::join!(orphan, neighbours, release);
        assert!(matches!(orphan, Err(Error::Database(_))), "{orphan:?}");
        assert!(neighbours.iter().all(Result::is_ok), "{neighbours:?}");
        assert_eq!(ids(db).await, (0..8).collect::<Vec<_>>());
        let children = db.read(|tx| sql("SELECT count(*) FROM children").first::<BigInt, i64>(tx)).await.unwrap();
        assert_eq!(children, Some(0));
        // With the group, then alone; PostgreSQL knows only alone.
        assert_eq!(runs.load(SeqCst), if bare.is_postgres() { 1 } else { 2 });
    });
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    block_on(async {
        let first = Bare::sqlite(|options| options);
        scratch(&first.db).await;
        let pages = |db: Db| async move {
            db.read(|tx| sql("SELECT page_count FROM pragma_page_count").first::<BigInt, i64>(tx))
                .await
                .unwrap()
                .unwrap()
        };
        let limit = u32::try_from(pages(first.db.clone()).await + 64).unwrap();
        let db = Db::open(Options { max_pages: Some(limit), ..Options::new(first.url.clone()) }).unwrap();
        let big = |id: i64| {
            let db = db.clone();
            async move {
                let text = "x".repeat(20_000);
                let insert = "INSERT INTO scratch (id, text) VALUES (?, ?)";
                let wrote = db.write(move |tx| sql(insert).bind(id).bind(text.as_str()).execute(tx)).await;
                (id, wrote)
            }
        };
        let answers = join_all((0..40).map(big)).await;
        let (kept, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(_, wrote)| wrote.is_ok());
        assert!(!kept.is_empty() && !refused.is_empty());
        for (_, refused) in refused {
            let refused = refused.unwrap_err();
            assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        }
        assert_eq!(ids(&db).await, kept.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        // Room is made, and it goes on.
        db.write(|tx| sql("DELETE FROM scratch WHERE id % 2 = 0").execute(tx)).await.unwrap();
        assert!(big(1000).await.1.is_ok());
        let sound = db.read(|tx| {
            sql("SELECT integrity_check FROM pragma_integrity_check").first::<diesel::sql_types::Text, String>(tx)
        });
        assert_eq!(sound.await.unwrap().as_deref(), Some("ok"));
    });
}

#[test]
fn a_full_queue_says_come_again() {
    block_on(async {
        let bare = Bare::sqlite(|options| Options { queue: 2, ..options });
        let db = &bare.db;
        scratch(db).await;
        let (release, held) = hold(db).await;
        let many = join_all((0..6).map(|id| insert(db, id)));
        let release = async {
            queued(db, 2).await;
            release.send(()).unwrap();
        };
        let (answers, ()) = tokio::join!(many, release);
        held.await.unwrap();
        let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert_eq!((answers.len() - refused.len(), refused.len()), (2, 4));
        for error in refused {
            assert_eq!(error.code(), Code::Overloaded);
            assert!(matches!(error, Error::Problem(problem) if problem.retry_after.is_some()));
        }
        assert_eq!(ids(db).await.len(), 2);
    });
}

#[test]
fn a_write_that_nobody_waits_for_is_not_run() {
    block_on(async {
        let bare = Bare::sqlite(|options| options);
        let db = &bare.db;
        scratch(db).await;
        let (release, held) = hold(db).await;
        {
            let mut gone = Box::pin(insert(db, 1));
            // Polled once, which queues it, then dropped as a request that has timed out is.
            assert!(futures::poll!(gone.as_mut()).is_pending());
        }
        let waiting = tokio::spawn({
            let db = db.clone();
            async move { insert(&db, 2).await }
        });
        release.send(()).unwrap();
        held.await.unwrap();
        waiting.await.unwrap().unwrap();
        assert_eq!(ids(db).await, [2]);
    });
}

#[test]
fn somebody_waiting_goes_before_bulk_and_bulk_is_not_starved() {
    block_on(async {
        let bare = Bare::sqlite(|options| options);
        let db = &bare.db;
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |lane: Lane| {
            let (db, order) = (db.clone(), order.clone());
            async move {
                let noted = db.write_in(lane, move |_| {
                    order.lock().unwrap().push(lane);
                    Ok(())
                });
                noted.await.unwrap();
            }
        };
        let (release, held) = hold(db).await;
        let bulk = join_all((0..3).map(|_| note(Lane::Bulk)));
        let interactive = join_all((0..900).map(|_| note(Lane::Interactive)));
        let release = async {
            queued(db, 903).await;
            release.send(()).unwrap();
        };
        tokio::join!(bulk, interactive, release);
        held.await.unwrap();
        let order = order.lock().unwrap();
        let first = order.iter().position(|lane| *lane == Lane::Bulk).unwrap();
        assert!((1..900).contains(&first), "the first bulk write came at {first}");
        assert_eq!(order[0], Lane::Interactive);
        assert_eq!(order.len(), 903);
    });
}

#[test]
fn a_bulk_import_beside_buyers() {
    on_both_bare(|bare| async move {
        let db = &bare.db;
        scratch(db).await;
        let import = |import: i64| {
            let db = db.clone();
            async move {
                for bite in 0..10 {
                    let row = |row: i64| vec![(import * 1_000_000 + bite * 1000 + row).into(), "x".into()];
                    let rows: Vec<Vec<kontor::db::Bind>> = (0..300).map(row).collect();
                    let columns = [("id", kontor::db::Col::Int), ("text", kontor::db::Col::Text)];
                    let write = db
                        .write_in(Lane::Bulk, move |tx| kontor::db::insert_many(tx, "scratch", &columns, rows.clone()));
                    assert_eq!(write.await.unwrap(), 300);
                }
            }
        };
        let buyer = |buyer: i64| {
            let db = db.clone();
            async move {
                for turn in 0..40 {
                    insert(&db, -(buyer * 100 + turn) - 1).await.unwrap();
                }
            }
        };
        tokio::join!(join_all((1..3).map(import)), join_all((0..4).map(buyer)));
        assert_eq!(ids(db).await.len(), 2 * 10 * 300 + 4 * 40);
    });
}

#[test]
fn the_log_beside_the_file_stays_small() {
    block_on(async {
        let bare = Bare::sqlite(|options| options);
        scratch(&bare.db).await;
        let wal = format!("{}-wal", bare.url);
        let size = || std::fs::metadata(&wal).map_or(0, |file| file.len());
        let mut largest = 0;
        // Some hundred megabytes: many times what the log may hold before it begins anew.
        for id in 0..1500 {
            let text = "x".repeat(100_000);
            let insert = "INSERT INTO scratch (id, text) VALUES (?, ?)";
            bare.db.write(move |tx| sql(insert).bind(id).bind(text.as_str()).execute(tx)).await.unwrap();
            largest = largest.max(size());
        }
        // It begins anew at 16 MiB, looked at once in 64 groups, and while one batch is copied another may come in.
        assert!(largest < 48 << 20, "the log grew to {largest} bytes");
    });
}

#[test]
fn hot_statements_are_prepared_once() {
    let one = |options: Options| Options { connections: 1, ..options };
    let bares = [Some(Bare::sqlite(one)), Bare::postgres(one)];
    for bare in bares.into_iter().flatten() {
        block_on(async move {
            let db = &bare.db;
            scratch(db).await;
            insert(db, 0).await.unwrap();
            let before = db.stats();
            for id in 1..30 {
                insert(db, id).await.unwrap();
            }
            let after = db.stats();
            assert_eq!(after.prepared, before.prepared);
            assert_eq!(after.statements - before.statements, 29);
        });
    }
}

/// A bare PostgreSQL database with a scratch table of two rows; `None` where there is none.
async fn two_rows() -> Option<Bare> {
    let bare = Bare::postgres(|options| options)?;
    scratch(&bare.db).await;
    insert(&bare.db, 1).await.unwrap();
    insert(&bare.db, 2).await.unwrap();
    Some(bare)
}

/// Two transactions wait for each other's rows: one of them is run again, and both end well.
pub async fn a_deadlock(db: &Db) {
    scratch(db).await;
    insert(db, 1).await.unwrap();
    insert(db, 2).await.unwrap();
    let met = Arc::new(AtomicUsize::new(0));
    let crosswise = |first: i64, second: i64| {
        let (db, met) = (db.clone(), met.clone());
        async move {
            let update = "UPDATE scratch SET text = coalesce(text, '') || 'x' WHERE id = ?";
            let write = db.write(move |tx| {
                sql(update).bind(first).execute(tx)?;
                // Each waits until the other holds its first row too; a later run finds that both have met.
                met.fetch_add(1, SeqCst);
                let begun = std::time::Instant::now();
                while met.load(SeqCst) < 2 && begun.elapsed() < Duration::from_secs(10) {
                    std::thread::yield_now();
                }
                sql(update).bind(second).execute(tx)
            });
            write.await
        }
    };
    let (one, other) = tokio::join!(crosswise(1, 2), crosswise(2, 1));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    assert!(db.stats().retries >= 1);
    let texts = db.read(|tx| sql("SELECT text FROM scratch ORDER BY id").load::<diesel::sql_types::Text, String>(tx));
    assert_eq!(texts.await.unwrap(), ["xx", "xx"]);
}

#[test]
fn a_deadlock_is_run_again() {
    block_on(async {
        let Some(bare) = Bare::postgres(|options| options) else { return };
        a_deadlock(&bare.db).await;
    });
}

#[test]
fn a_serialisation_failure_is_run_again() {
    block_on(async {
        let Some(bare) = two_rows().await else { return };
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        let write = bare.db.write(move |tx| {
            sql("INSERT INTO scratch (id) VALUES (3)").execute(tx)?;
            if counted.fetch_add(1, SeqCst) < 2 {
                sql("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$").execute(tx)?;
            }
            Ok(())
        });
        write.await.unwrap();
        assert_eq!((runs.load(SeqCst), bare.db.stats().retries), (3, 2));
        assert_eq!(ids(&bare.db).await, [1, 2, 3]);
    });
}

#[test]
fn a_commit_whose_connection_died_is_unknown_and_not_run_again() {
    block_on(async {
        let Some(bare) = two_rows().await else { return };
        for statement in [
            "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
            "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON parents DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION die()",
        ] {
            bare.db.write(move |tx| sql(statement).execute(tx)).await.unwrap();
        }
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        let write = bare.db.write(move |tx| {
            counted.fetch_add(1, SeqCst);
            sql("INSERT INTO parents (id) VALUES (1)").execute(tx)
        });
        let error = write.await.unwrap_err();
        assert!(matches!(error, Error::CommitUnknown(_)), "{error:?}");
        assert_eq!((error.code(), runs.load(SeqCst)), (Code::OutcomeUnknown, 1));
        insert(&bare.db, 3).await.unwrap();
    });
}

#[test]
fn a_connection_lost_before_the_commit_saves_nothing_and_is_told_as_such() {
    block_on(async {
        let Some(bare) = two_rows().await else { return };
        let write = bare.db.write(|tx| {
            sql("INSERT INTO scratch (id) VALUES (3)").execute(tx)?;
            sql("SELECT pg_terminate_backend(pg_backend_pid())").load::<diesel::sql_types::Bool, bool>(tx)
        });
        assert_eq!(write.await.unwrap_err().code(), Code::Unavailable);
        assert_eq!(ids(&bare.db).await, [1, 2]);
    });
}

#[test]
fn connections_that_broke_while_idle_are_replaced_unheard() {
    block_on(async {
        let Some(bare) = two_rows().await else { return };
        // Several connections lie idle, then the server drops them all, as when it is started anew.
        join_all((10..20).map(|id| insert(&bare.db, id))).await;
        let other = Db::open(Options { connections: 1, ..Options::new(bare.url.clone()) }).unwrap();
        let killed = other.read(|tx| {
            let others = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
                          WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
            sql(others).first::<BigInt, i64>(tx)
        });
        assert!(killed.await.unwrap() >= Some(1));
        for id in 30..40 {
            insert(&bare.db, id).await.unwrap();
        }
    });
}

#[test]
fn a_read_that_lasts_is_counted_on_sqlite() {
    on_both_bare(|bare| async move {
        let lasting = bare.db.read(|_| {
            let begun = std::time::Instant::now();
            while begun.elapsed() < Duration::from_millis(1050) {
                std::thread::yield_now();
            }
            Ok(())
        });
        lasting.await.unwrap();
        bare.db.read(|_| Ok(())).await.unwrap();
        assert_eq!(bare.db.stats().slow_reads, if bare.is_postgres() { 0 } else { 1 });
    });
}

/// The lines of our sources that hold one of these texts, without the files that may.
fn lines_with(texts: &[&str], may: &[&str]) -> Vec<String> {
    fn files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    files(&root, &mut sources);
    let mut lines = Vec::new();
    for path in sources {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let held =
            text.lines().filter(|line| !line.trim_start().starts_with("//") && texts.iter().any(|t| line.contains(t)));
        if !may.contains(&name.as_str()) {
            lines.extend(held.map(|line| format!("{name}: {}", line.trim())));
        }
    }
    lines
}

const DIALECT: &[&str] = &["db/dialect.rs", "db/dialect/migrations.rs", "db/dialect/opening.rs"];

#[test]
fn the_dialect_alone_tells_the_databases_apart() {
    let none: [String; 0] = [];
    assert_eq!(lines_with(&["Conn::Postgres", "Conn::Sqlite"], DIALECT), none);
    // How many connections, a writer or none: what the database layer itself is made of, and what a report prints.
    let may = [DIALECT, &["db/mod.rs", "cli/bench/mod.rs"]].concat();
    assert_eq!(lines_with(&["Variant::Postgres", "Variant::Sqlite"], &may), none);
}

#[test]
fn nothing_is_prepared_anew_each_time_it_runs() {
    // Diesel keeps none of these: neither a list as `eq_any` on SQLite, nor its own UPDATE, DELETE and raw statements.
    let uncached = [".eq_any(", "diesel::update(", "diesel::delete(", "diesel::sql_query(", "dsl::sql("];
    let none: [String; 0] = [];
    assert_eq!(lines_with(&uncached, &[]), none);
}
