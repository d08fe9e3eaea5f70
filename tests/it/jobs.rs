//! The one durable queue: order, leases, retries, dead letters, schedules.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
};

use diesel::sql_types::{BigInt, Text};
use kontor::{
    db::{Db, InstantSql, sql},
    error::Code,
    http::auth::Audience,
    jobs::{self, NewJob, Runner, Verdict},
    kernel::{Clock, Instant, Scope},
};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::support::{app::START, eventually, on_both, on_both_bare, on_both_idle};

const LEASE: i64 = 60;

fn clock() -> Clock {
    Clock::controlled(START.parse().unwrap())
}

fn runner(db: &Db, clock: &Clock) -> Runner {
    Runner::new(db.clone(), clock.clone(), 4, LEASE)
}

async fn enqueue(db: &Db, now: Instant, jobs: Vec<NewJob>) {
    db.write(move |tx| jobs::enqueue(tx, now, jobs.clone())).await.unwrap();
}

fn job(now: Instant, name: &str) -> NewJob {
    NewJob::now("note", now, json!(name))
}

/// Runs every `note` job by writing its name down; names in `fails` are to be tried again.
fn noting(runner: &mut Runner, fails: &'static [&'static str]) -> Arc<Mutex<Vec<String>>> {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let noted = notes.clone();
    runner.handle("note", move |job| {
        let name = job.payload.as_str().unwrap().to_owned();
        noted.lock().unwrap().push(name.clone());
        async move {
            if fails.contains(&name.as_str()) && job.attempt == 1 {
                return Ok(Verdict::Retry { error: "not yet".into(), after_seconds: None });
            }
            Ok(Verdict::Done)
        }
    });
    notes
}

#[test]
fn jobs_of_one_key_run_in_order_and_others_pass_them() {
    on_both_bare(|bare| async move {
        let (clock, db) = (clock(), &bare.db);
        let mut runner = runner(db, &clock);
        let notes = noting(&mut runner, &["a1"]);
        let now = clock.now();
        let jobs = ["a1", "a2", "b1"].map(|name| job(now, name).in_order(name.split_at(1).0));
        enqueue(db, now, jobs.into_iter().chain([job(now, "free")]).collect()).await;
        runner.drain().await.unwrap();
        let mut ran = std::mem::take(&mut *notes.lock().unwrap());
        ran.sort();
        assert_eq!(ran, ["a1", "b1", "free"]);
        // What waits behind another is not due, however long it has waited.
        assert_eq!(db.read(move |tx| jobs::lag_seconds(tx, now)).await.unwrap(), 0);
        clock.advance_seconds(10);
        runner.drain().await.unwrap();
        assert_eq!(*notes.lock().unwrap(), ["a1", "a2"]);
        assert_eq!(db.read(jobs::counts).await.unwrap(), (0, 0));
    });
}

#[test]
fn a_stalled_worker_is_taken_over_and_its_late_result_refused() {
    on_both_bare(|bare| async move {
        let (clock, db) = (clock(), &bare.db);
        db.write(|tx| sql("CREATE TABLE results (worker TEXT)").execute(tx)).await.unwrap();
        enqueue(db, clock.now(), vec![NewJob::now("work", clock.now(), json!({}))]).await;
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let refused = Arc::new(AtomicBool::new(false));
        let worker = |name: &'static str, stalls: bool| {
            let mut runner = runner(db, &clock);
            let (db, begun, go_on, refused) = (db.clone(), begun.clone(), go_on.clone(), refused.clone());
            runner.handle("work", move |job| {
                let (db, begun, go_on, refused) = (db.clone(), begun.clone(), go_on.clone(), refused.clone());
                async move {
                    if stalls {
                        begun.notify_one();
                        go_on.notified().await;
                    }
                    let write = db.write(move |tx| {
                        sql("INSERT INTO results (worker) VALUES (?)").bind(name).execute(tx)?;
                        job.finish(tx)
                    });
                    if let Err(error) = write.await {
                        refused.store(error.code() == Code::LeaseLost, SeqCst);
                        return Err(error);
                    }
                    Ok(Verdict::Settled)
                }
            });
            runner
        };
        let stalled = worker("stalled", true);
        let stalled = tokio::spawn(async move { stalled.drain().await });
        begun.notified().await;
        let second = worker("second", false);
        assert_eq!(second.drain().await.unwrap(), 0, "the lease still holds");
        clock.advance_seconds(LEASE + 1);
        assert_eq!(second.drain().await.unwrap(), 1);
        go_on.notify_one();
        stalled.await.unwrap().unwrap();
        assert!(refused.load(SeqCst));
        let results = db.read(|tx| sql("SELECT worker FROM results").load::<Text, String>(tx)).await.unwrap();
        assert_eq!(results, ["second"]);
    });
}

#[test]
fn a_stalled_worker_of_before_a_replay_is_refused_too() {
    on_both_bare(|bare| async move {
        let (clock, db) = (clock(), &bare.db);
        let seen: Arc<Mutex<Vec<jobs::Job>>> = Arc::default();
        let mut runner = runner(db, &clock);
        let kept = seen.clone();
        runner.handle("work", move |job| {
            kept.lock().unwrap().push(job);
            async { Ok(Verdict::Dead { error: "wrong address".into() }) }
        });
        enqueue(db, clock.now(), vec![NewJob::now("work", clock.now(), json!({}))]).await;
        runner.drain().await.unwrap();
        let (first, now) = (seen.lock().unwrap()[0].clone(), clock.now());
        let id = first.id;
        db.write(move |tx| jobs::replay(tx, now, id)).await.unwrap();
        let late = first.clone();
        runner.drain().await.unwrap();
        assert_eq!(db.write(move |tx| late.finish(tx)).await.unwrap_err().code(), Code::LeaseLost);
        let attempts: Vec<i64> = seen.lock().unwrap().iter().map(|job| job.attempt).collect();
        assert_eq!(attempts, [1, 2]);
    });
}

/// After so long a job that no program knows is taken to be buried.
const A_DAY: i64 = 86_401;

#[test]
fn jobs_that_a_newer_program_knows_are_left_to_it() {
    on_both_bare(|bare| async move {
        let (clock, db) = (clock(), &bare.db);
        let (mut old, mut new) = (runner(db, &clock), runner(db, &clock));
        noting(&mut old, &[]);
        let notes = noting(&mut new, &[]);
        let ran = notes.clone();
        new.handle("newer", move |_| {
            ran.lock().unwrap().push("newer".to_owned());
            async { Ok(Verdict::Done) }
        });
        let now = clock.now();
        let behind = NewJob::now("note", now, json!("behind")).in_order("a");
        enqueue(db, now, vec![NewJob::now("newer", now, json!({})).in_order("a"), behind, job(now, "free")]).await;
        assert_eq!(old.drain().await.unwrap(), 1, "only what it knows, and nothing behind what it does not");
        assert_eq!(db.read(move |tx| jobs::lag_seconds(tx, now.plus_seconds(7))).await.unwrap(), 7);
        assert_eq!(new.drain().await.unwrap(), 2);
        assert_eq!(*notes.lock().unwrap(), ["newer", "behind"]);
        // What nobody knows is not left for ever: people see it among the dead.
        enqueue(db, now, vec![NewJob::now("unheard-of", now, json!({}))]).await;
        assert_eq!((old.drain().await.unwrap(), new.drain().await.unwrap()), (0, 0));
        clock.advance_seconds(A_DAY);
        assert_eq!(old.drain().await.unwrap(), 1);
        let dead = db.read(|tx| jobs::dead(tx, None, 10)).await.unwrap();
        assert!(dead[0].last_error.as_deref().unwrap().contains("unheard-of"), "{dead:?}");
    });
}

#[test]
fn a_turn_that_lasts_or_panics_stops_nothing_else() {
    on_both_bare(|bare| async move {
        let (clock, db) = (clock(), &bare.db);
        let mut runner = runner(db, &clock).patient_for(std::time::Duration::ZERO);
        let notes = noting(&mut runner, &[]);
        let (lasting, quick, broken) =
            (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let count = lasting.clone();
        runner.every("lasts", 60, move |_| {
            count.fetch_add(1, SeqCst);
            std::future::pending()
        });
        let count = broken.clone();
        runner.every("panics", 60, move |_| {
            count.fetch_add(1, SeqCst);
            async { panic!("a defect in a scheduled task") }
        });
        let count = quick.clone();
        runner.every("quick", 60, move |_| {
            count.fetch_add(1, SeqCst);
            async { Ok(()) }
        });
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(runner.run(stopped));
        for turn in 1..=3 {
            eventually("each had its turn", || async { quick.load(SeqCst) >= turn && broken.load(SeqCst) >= turn })
                .await;
            let now = clock.now();
            enqueue(db, now, vec![job(now, &format!("job {turn}"))]).await;
            eventually("and the job ran", || async { notes.lock().unwrap().len() >= turn as usize }).await;
            clock.advance_seconds(61);
        }
        assert_eq!(lasting.load(SeqCst), 1, "a turn in hand is not begun again");
        stop.send_replace(true);
        // It does not wait for ever for what lasts.
        tokio::time::timeout(std::time::Duration::from_secs(10), running).await.unwrap().unwrap();
    });
}

async fn due(db: &Db) -> Option<Instant> {
    let query = "SELECT run_at FROM jobs WHERE state = 'ready'";
    db.read(move |tx| sql(query).first::<InstantSql, Instant>(tx)).await.unwrap()
}

#[test]
fn retries_come_later_each_time_and_end_as_a_dead_letter() {
    on_both_bare(|bare| async move {
        let (clock, db) = (clock(), &bare.db);
        let mut runner = runner(db, &clock);
        runner.handle("fail", |job| async move {
            if job.attempt == 2 {
                panic!("a defect in a handler");
            }
            Ok(Verdict::Retry { error: format!("failure {}", job.attempt), after_seconds: None })
        });
        let failing = NewJob { max_attempts: 4, ..NewJob::now("fail", clock.now(), json!({})) };
        enqueue(db, clock.now(), vec![failing]).await;
        for expected in [5, 10, 20] {
            assert_eq!(runner.drain().await.unwrap(), 1);
            let wait = due(db).await.unwrap().seconds_since(clock.now());
            assert!((expected * 4 / 5..=expected * 6 / 5).contains(&wait), "{wait} s instead of about {expected}");
            clock.advance_seconds(wait + 1);
        }
        runner.drain().await.unwrap();
        let dead = db.read(|tx| jobs::dead(tx, None, 10)).await.unwrap();
        assert_eq!((dead.len(), dead[0].last_error.as_deref()), (1, Some("failure 4")));
        // Replayed, it begins with short delays again.
        let (id, now) = (dead[0].id, clock.now());
        db.write(move |tx| jobs::replay(tx, now, id)).await.unwrap();
        runner.drain().await.unwrap();
        assert!(due(db).await.unwrap().seconds_since(now) <= 6);
    });
}

#[test]
fn a_job_that_kills_its_workers_is_dead_in_the_end() {
    on_both_bare(|bare| async move {
        let (clock, db) = (clock(), &bare.db);
        let ran = Arc::new(AtomicU32::new(0));
        let mut runner = runner(db, &clock);
        let counted = ran.clone();
        runner.handle("die", move |_| {
            counted.fetch_add(1, SeqCst);
            // The answer that a killed worker gives: none. The lease stays as it is.
            async { Ok(Verdict::Settled) }
        });
        let deadly = NewJob { max_attempts: 3, ..NewJob::now("die", clock.now(), json!({})) };
        enqueue(db, clock.now(), vec![deadly]).await;
        for _ in 0..6 {
            runner.drain().await.unwrap();
            clock.advance_seconds(LEASE + 1);
        }
        assert_eq!((ran.load(SeqCst), db.read(jobs::counts).await.unwrap()), (3, (0, 1)));
    });
}

#[test]
fn operators_see_replay_and_discard_dead_letters() {
    on_both(|app| async move {
        let now = app.now();
        enqueue(&app.state.db, now, vec![NewJob::now("nobody_knows_this", now, json!({"a": 1}))]).await;
        app.clock.advance_seconds(A_DAY);
        let dead = || async { app.ops("GET", "/jobs/dead", None).await.expect(200)["items"].clone() };
        let attempt = |wanted: i64| {
            let dead = &dead;
            move || async move { dead().await[0]["attempt"] == wanted }
        };
        eventually("the job is dead", attempt(1)).await;
        let shown = dead().await[0].clone();
        assert!(shown["last_error"].as_str().unwrap().contains("nobody_knows_this"), "{shown}");
        let id = shown["id"].as_str().unwrap();
        app.ops("POST", &format!("/jobs/{id}/replay"), None).await.expect(204);
        app.clock.advance_seconds(A_DAY);
        eventually("the job is dead again", attempt(2)).await;
        app.ops("POST", &format!("/jobs/{id}/discard"), None).await.expect(204);
        assert_eq!(dead().await, json!([]));
        app.ops("POST", &format!("/jobs/{id}/replay"), None).await.problem(404, "not_found");
        let later = NewJob { run_at: app.now().plus_seconds(3600), ..NewJob::now("nobody_knows_this", now, json!({})) };
        let id = later.id;
        enqueue(&app.state.db, now, vec![later]).await;
        app.ops("POST", &format!("/jobs/{id}/replay"), None).await.problem(409, "job_not_dead");
        app.ops("POST", &format!("/jobs/{id}/discard"), None).await.problem(409, "job_not_dead");
    });
}

#[test]
fn operators_see_what_is_in_the_queue_and_where_each_job_stands() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let now = app.now();
        let planned = |name: &str| NewJob { run_at: now.plus_seconds(3600), ..job(now, name) };
        let other = NewJob::now("other", now, json!({})).in_order("k").in_lane("slow");
        let all =
            vec![job(now, "ready"), planned("later"), planned("retrying"), job(now, "leased"), job(now, "dead"), other];
        let ids: Vec<String> = all.iter().map(|job| job.id.to_string()).collect();
        enqueue(&app.state.db, now, all).await;
        let named = |name: &str| format!("CAST(payload AS TEXT) = '\"{name}\"'");
        for (change, name) in [
            ("last_error = 'no answer', attempt = 3", "retrying"),
            ("state = 'leased', attempt = 1, lease_until = run_at", "leased"),
            ("state = 'dead', attempt = 12, last_error = 'x'", "dead"),
        ] {
            let update = format!("UPDATE jobs SET {change} WHERE {}", named(name));
            assert_eq!(app.state.db.write(move |tx| sql(update.clone()).execute(tx)).await.unwrap(), 1, "{name}");
        }
        let list = async |query: &str| app.ops("GET", &format!("/jobs{query}"), None).await.expect(200);
        let of = |page: &Value| -> Vec<String> {
            page["items"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
        };
        let whole = list("?count=capped").await;
        assert_eq!((of(&whole), &whole["count"]), (ids.clone(), &json!(6)));
        let states = whole["items"].as_array().unwrap().iter().map(|job| job["state"].as_str().unwrap());
        assert_eq!(states.collect::<Vec<_>>(), ["ready", "later", "retrying", "leased", "dead", "ready"]);
        let retrying = &whole["items"][2];
        assert_eq!(
            (&retrying["kind"], &retrying["attempt"], &retrying["last_error"], &retrying["run_at"]),
            (&json!("note"), &json!(3), &json!("no answer"), &json!(now.plus_seconds(3600)))
        );
        assert_eq!((&whole["items"][3]["lease_until"], &retrying["lease_until"]), (&json!(now), &Value::Null));
        assert_eq!((&whole["items"][5]["ordering_key"], &whole["items"][5]["lane"]), (&json!("k"), &json!("slow")));
        for (state, place) in [("later", 1), ("retrying", 2), ("leased", 3), ("dead", 4)] {
            assert_eq!(of(&list(&format!("?state={state}")).await), [ids[place].clone()], "{state}");
        }
        assert_eq!(of(&list("?state=ready&kind=note").await), [ids[0].clone()]);
        assert_eq!(of(&list("?kind=other").await), [ids[5].clone()]);
        assert!(of(&list("?kind=nothing").await).is_empty());
        // A page goes on where it ended, though the job there is done by now; and what was planned is due by then.
        let first = list("?limit=2").await;
        assert_eq!(of(&first), ids[..2]);
        let done = ids[1].parse().unwrap();
        app.state.db.write(move |tx| jobs::cancel(tx, done)).await.unwrap();
        let rest = list(&format!("?limit=200&cursor={}", first["next_cursor"].as_str().unwrap())).await;
        assert_eq!((of(&rest), &rest["next_cursor"]), (ids[2..].to_vec(), &Value::Null));
        app.ops("GET", "/jobs?state=waiting", None).await.problem(400, "invalid_query");
        let none = format!("Bearer {}", app.token(Audience::Staff, "eve", &[Scope::OrdersRead]));
        app.send("GET", "/v1/ops/jobs", &[("Authorization", &none)], None).await.problem(403, "scope_missing");
        let mut claims = app.claims(Audience::Staff, "eve", "connectors:read");
        claims.channels = Some(vec![kontor::kernel::ids::ChannelId::new()]);
        let limited = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let seen = app.send("GET", "/v1/ops/jobs", &[("Authorization", &limited)], None).await.expect(200);
        assert_eq!(seen["items"], json!([]));
    });
}

#[test]
fn a_turn_is_taken_once_by_however_many_processes() {
    on_both_bare(|bare| async move {
        let (clock, db) = (clock(), &bare.db);
        let turns = Arc::new(AtomicU32::new(0));
        let (stop, stopped) = watch::channel(false);
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let mut runner = runner(db, &clock);
                let turns = turns.clone();
                runner.every("rounds", 60, move |_| {
                    turns.fetch_add(1, SeqCst);
                    async { Ok(()) }
                });
                tokio::spawn(runner.run(stopped.clone()))
            })
            .collect();
        for turn in 1..=5 {
            eventually("the turn is taken", || async { turns.load(SeqCst) >= turn }).await;
            clock.advance_seconds(61);
        }
        eventually("the last turn is taken", || async { turns.load(SeqCst) >= 6 }).await;
        stop.send_replace(true);
        for worker in workers {
            worker.await.unwrap();
        }
        assert_eq!(turns.load(SeqCst), 6);
    });
}

#[test]
fn several_workers_share_the_queue_and_run_each_job_once() {
    on_both_bare(|bare| async move {
        let (clock, db) = (clock(), &bare.db);
        let notes: Arc<Mutex<Vec<String>>> = Arc::default();
        let (stop, stopped) = watch::channel(false);
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let mut runner = runner(db, &clock);
                let notes = notes.clone();
                runner.handle("note", move |job| {
                    notes.lock().unwrap().push(job.payload.as_str().unwrap().to_owned());
                    async { Ok(Verdict::Done) }
                });
                tokio::spawn(runner.run(stopped.clone()))
            })
            .collect();
        let now = clock.now();
        for round in 0..5 {
            let jobs =
                (0..20).map(|n| job(now, &format!("{}-{round:02}-{n:02}", n % 4)).in_order(format!("{}", n % 4)));
            enqueue(db, now, jobs.collect()).await;
        }
        eventually("the queue is empty", || async { db.read(jobs::counts).await.unwrap() == (0, 0) }).await;
        stop.send_replace(true);
        for worker in workers {
            worker.await.unwrap();
        }
        {
            let notes = notes.lock().unwrap();
            assert_eq!(notes.len(), 100);
            for key in 0..4 {
                let of_key: Vec<_> = notes.iter().filter(|note| note.starts_with(&format!("{key}-"))).collect();
                assert!(of_key.is_sorted(), "{of_key:?}");
            }
        }
        let left = db.read(|tx| sql("SELECT count(*) FROM jobs").first::<BigInt, i64>(tx)).await.unwrap();
        assert_eq!(left, Some(0));
    });
}
