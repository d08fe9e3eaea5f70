//! The floor: the same carts and checkouts by the same number of clients, through `Db::write`, without HTTP.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant as Moment},
};

use super::{super::seed::BenchShop, Checkout, Run, between};
use crate::{
    carts, checkout,
    error::{Error, Result},
    http::{State, idempotency::Fingerprint, idempotency::Key},
    kernel::{Actor, actor::Shopper},
};

pub(super) async fn run(state: &State, shop: &BenchShop, options: &Checkout) -> Result<Run> {
    let before = state.db.stats();
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Moment::now();
    let clients = (0..options.clients).map(|client| {
        let (state, shop, stop, method) = (state.clone(), shop.clone(), stop.clone(), options.method.clone());
        tokio::spawn(async move { client_loop(state, shop, &method, client as u64, &stop).await })
    });
    let clients: Vec<_> = clients.collect();
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    stop.store(true, Ordering::SeqCst);
    let mut latencies = Vec::new();
    for client in clients {
        latencies.extend(client.await.map_err(Error::internal)??);
    }
    latencies.sort_unstable();
    Ok(Run { latencies, elapsed: begun.elapsed(), reading: between(before, state.db.stats()), failures: 0 })
}

async fn client_loop(state: State, shop: BenchShop, method: &str, client: u64, stop: &AtomicBool) -> Result<Vec<u64>> {
    let (mut latencies, mut dice) = (Vec::new(), client + 1);
    while !stop.load(Ordering::Relaxed) {
        let request = serde_json::from_value(shop.cart(&mut dice))?;
        let begun = Moment::now();
        let key = |what: &str| {
            let text = format!("floor-{what}-{client}-{}", latencies.len());
            Some(Key::new("floor", what, &text, Fingerprint::none(), state.clock.now()))
        };
        let guest = Actor::Shopper(Shopper { channel: shop.channel, identity: None, cart_token: None });
        let (cart, token) = carts::api::create_for(&state, guest, shop.channel, request, key("cart")).await?;
        let guest = Actor::Shopper(Shopper { channel: shop.channel, identity: None, cart_token: Some(token) });
        let request = serde_json::from_value(serde_json::json!({"payment": {"method": method}}))?;
        let reply = checkout::complete_for(&state, (guest, None), shop.channel, cart, request, key("complete")).await?;
        if reply.status() != 201 {
            return Err(Error::internal(format!("a checkout failed: {:?}", reply.body())));
        }
        latencies.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(latencies)
}
