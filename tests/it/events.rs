//! The ordered log: positions in the order of commits, whatever the interleaving.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use diesel::sql_types::BigInt;
use futures::future::join_all;
use kontor::{
    db::{Db, sql},
    events::{self, NewEvent, Payload},
    kernel::{Actor, Clock, Id, Instant},
};
use serde_json::json;

use crate::support::{app::START, on_both_bare};

const STREAMS: usize = 3;
const WRITERS: usize = 8;
const ROUNDS: usize = 25;

fn event(stream: &str, version: i64, now: Instant, id: Id<kontor::kernel::ids::Event>) -> NewEvent {
    NewEvent {
        id,
        stream: stream.to_owned(),
        aggregate: "thing",
        aggregate_id: stream.to_owned(),
        aggregate_version: version,
        channel: None,
        kind: "thing.changed.v1",
        occurred_at: now,
        payload: Payload::of(&json!({"version": version})).unwrap(),
        subject: None,
    }
}

/// Changes a thing and tells of it, with a pause between the telling and the commit in every other transaction.
async fn change(db: &Db, stream: String, now: Instant, pause: u64) {
    let id = Id::new();
    let write = db.write(move |tx| {
        let bump = "UPDATE things SET version = version + 1 WHERE name = ? RETURNING version";
        let version = sql(bump).bind(stream.as_str()).first::<BigInt, i64>(tx)?.unwrap();
        events::append(tx, &Actor::System("test"), now, vec![event(&stream, version, now, id)])?;
        #[allow(
            clippy::disallowed_methods,
            reason = "the pause is what is tested: commits in another order than appends"
        )]
        std::thread::sleep(Duration::from_millis(pause));
        Ok(())
    });
    write.await.unwrap();
}

#[test]
fn a_polling_reader_sees_each_event_once_and_each_stream_in_order() {
    on_both_bare(|bare| async move {
        let (db, now) = (&bare.db, Clock::controlled(START.parse().unwrap()).now());
        db.write(|tx| {
            sql("CREATE TABLE things (name TEXT PRIMARY KEY, version BIGINT NOT NULL)").execute(tx)?;
            for stream in 0..STREAMS {
                sql("INSERT INTO things (name, version) VALUES (?, 0)").bind(format!("s{stream}")).execute(tx)?;
            }
            Ok(())
        })
        .await
        .unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let numbering = |_| {
            let (db, done) = (db.clone(), done.clone());
            tokio::spawn(async move {
                while !done.load(SeqCst) {
                    db.write(events::number).await.unwrap();
                    tokio::task::yield_now().await;
                }
                db.write(events::number).await.unwrap();
            })
        };
        let numbering: Vec<_> = (0..2).map(numbering).collect();
        let reader = tokio::spawn({
            let (db, done) = (db.clone(), done.clone());
            async move {
                let (mut after, mut seen) = (0, Vec::new());
                loop {
                    let finished = done.load(SeqCst) && seen.len() == WRITERS * ROUNDS;
                    let (events, end) = db.read(move |tx| events::read_after(tx, after, &[], 7)).await.unwrap();
                    after = end;
                    if finished && events.is_empty() {
                        return seen;
                    }
                    seen.extend(events);
                }
            }
        });
        let writer = |writer: usize| async move {
            for round in 0..ROUNDS {
                let pause = if bare_pause(writer, round) { 3 } else { 0 };
                change(db, format!("s{}", (writer + round) % STREAMS), now, pause).await;
            }
        };
        join_all((0..WRITERS).map(writer)).await;
        done.store(true, SeqCst);
        for task in numbering {
            task.await.unwrap();
        }
        let seen = tokio::time::timeout(Duration::from_secs(20), reader).await.expect("events were skipped").unwrap();
        let ids: BTreeSet<String> = seen.iter().map(|event| event.id.to_string()).collect();
        assert_eq!((seen.len(), ids.len()), (WRITERS * ROUNDS, WRITERS * ROUNDS));
        assert!(seen.is_sorted_by(|a, b| a.position < b.position));
        let mut versions: BTreeMap<String, i64> = BTreeMap::new();
        for event in &seen {
            let before = versions.insert(event.stream.clone(), event.aggregate_version).unwrap_or(0);
            assert_eq!(event.aggregate_version, before + 1, "{} is out of order", event.stream);
        }
    });
}

const fn bare_pause(writer: usize, round: usize) -> bool {
    (writer + round).is_multiple_of(2)
}

#[test]
fn nothing_is_read_before_its_predecessor_of_another_transaction() {
    on_both_bare(|bare| async move {
        if !bare.is_postgres() {
            return;
        }
        let (db, now) = (bare.db.clone(), Clock::controlled(START.parse().unwrap()).now());
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (begun, released) = (std::sync::Mutex::new(Some(begun)), std::sync::Mutex::new(released));
        let (first, second) = (Id::new(), Id::new());
        // The first draws its number and commits after the second.
        let slow = tokio::spawn({
            let db = db.clone();
            async move {
                let write = db.write(move |tx| {
                    events::append(tx, &Actor::System("test"), now, vec![event("slow", 1, now, first)])?;
                    if let Some(begun) = begun.lock().unwrap().take() {
                        begun.send(()).unwrap();
                    }
                    released.lock().unwrap().recv_timeout(Duration::from_secs(20)).ok();
                    Ok(())
                });
                write.await.unwrap();
            }
        });
        has_begun.await.unwrap();
        db.write(move |tx| events::append(tx, &Actor::System("test"), now, vec![event("fast", 1, now, second)]))
            .await
            .unwrap();
        db.write(events::number).await.unwrap();
        let (seen, cursor) = db.read(|tx| events::read_after(tx, 0, &[], 10)).await.unwrap();
        assert_eq!(seen.iter().map(|event| event.stream.as_str()).collect::<Vec<_>>(), ["fast"]);
        release.send(()).unwrap();
        slow.await.unwrap();
        db.write(events::number).await.unwrap();
        let (seen, _) = db.read(move |tx| events::read_after(tx, cursor, &[], 10)).await.unwrap();
        assert_eq!(seen.iter().map(|event| event.stream.as_str()).collect::<Vec<_>>(), ["slow"]);
    });
}
