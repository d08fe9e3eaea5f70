//! What a change of a large cart costs: one line gets another quantity, and the whole cart is priced anew.

use std::time::Instant as Moment;

use serde_json::Value;

use super::{sale, wire::Wire};
use crate::{
    cli::seed,
    error::{Error, Result},
    process::Process,
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Cart {
    /// How many lines the cart has.
    #[arg(long, default_value_t = 500)]
    lines: usize,
    /// How many promotions are live, of which one applies.
    #[arg(long, default_value_t = 100)]
    promotions: usize,
    /// How many changes are measured.
    #[arg(long, default_value_t = 200)]
    requests: usize,
}

/// So many changes come before those that are measured.
const WARM_UP: usize = 10;

pub(super) async fn run(process: &Process, options: &Cart) -> Result<()> {
    let shop = seed::bench_shop(&process.state, options.lines.max(1)).await?;
    let promotions = seed::bench_promotions(&process.state, options.promotions).await?;
    sale::switch(process, &promotions, "activate").await?;
    println!("cart          {} lines, {} promotions live", options.lines, options.promotions);
    let mut wire = Wire::open(process.address.ok_or_else(|| Error::internal("no address"))?).await?;
    let common = format!("HTTP/1.1\r\nHost: kontor\r\nContent-Type: application/json\r\nChannel-Key: {}\r\n", shop.key);
    let made = Moment::now();
    let head = format!("POST /v1/store/carts {common}Idempotency-Key: {}\r\n", uuid::Uuid::now_v7());
    let (status, answer) = wire.send(&head, &shop.large_cart(options.lines).to_string()).await?;
    if status != 201 {
        return Err(Error::internal(format!("a cart was answered with {status}")));
    }
    println!("made in       {} ms, {} KB told", made.elapsed().as_millis(), answer.len() / 1024);
    let cart: Value = serde_json::from_slice(answer)?;
    let text = |pointer: &str| cart.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let (Some(id), Some(token), Some(line)) = (text("/id"), text("/token"), text("/lines/0/id")) else {
        return Err(Error::internal("a cart without id, token or lines"));
    };
    let head = format!("PATCH /v1/store/carts/{id}/lines/{line} {common}Cart-Token: {token}\r\n");
    let mut micros = Vec::with_capacity(options.requests);
    for number in 0..options.requests + WARM_UP {
        let body = format!("{{\"quantity\": {}}}", 1 + number % 9);
        let begun = Moment::now();
        let (status, _) = wire.send(&head, &body).await?;
        if status != 200 {
            return Err(Error::internal(format!("a change was answered with {status}")));
        }
        if number >= WARM_UP {
            micros.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
    }
    micros.sort_unstable();
    let part = |percent: usize| {
        let found = micros.get((micros.len() * percent / 100).min(micros.len().saturating_sub(1)));
        let micros = found.copied().unwrap_or_default();
        format!("{}.{} ms", micros / 1000, micros % 1000 / 100)
    };
    println!("a change      median {}, p95 {}", part(50), part(95));
    Ok(())
}
