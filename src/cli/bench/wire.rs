//! A small HTTP/1.1 client with one kept connection: cheap, so that the server is what is measured.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant as Moment,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::super::seed::BenchShop;
use crate::error::{Error, Result};

/// A kept connection.
pub(super) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.map_err(Error::internal)?;
        stream.set_nodelay(true).map_err(Error::internal)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16_384) })
    }

    /// Sends a request and reads its answer: the status and the body.
    pub(super) async fn send(&mut self, head: &str, body: &str) -> Result<(u16, &[u8])> {
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        self.stream.write_all(request.as_bytes()).await.map_err(Error::internal)?;
        self.buffer.clear();
        let broken = || Error::internal("the server's answer can not be read");
        let (status, start, length) = loop {
            if self.stream.read_buf(&mut self.buffer).await.map_err(Error::internal)? == 0 {
                return Err(Error::internal("the server closed the connection"));
            }
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(self.buffer.get(..end).unwrap_or_default()).to_lowercase();
                let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                break (status, end + 4, length.and_then(|length| length.trim().parse().ok()).unwrap_or(0usize));
            }
        };
        while self.buffer.len() < start + length {
            if self.stream.read_buf(&mut self.buffer).await.map_err(Error::internal)? == 0 {
                return Err(broken());
            }
        }
        Ok((status, self.buffer.get(start..start + length).unwrap_or_default()))
    }
}

/// One GET on a new connection.
pub(super) async fn get(address: SocketAddr, path: &str) -> Result<u16> {
    let mut wire = Wire::open(address).await?;
    Ok(wire.send(&format!("GET {path} HTTP/1.1\r\nHost: kontor\r\n"), "").await?.0)
}

/// Completes checkouts one after another until told to stop. Gives the latencies in microseconds and the failures.
pub(super) async fn client(
    address: SocketAddr,
    shop: &BenchShop,
    method: &str,
    client: u64,
    stop: &AtomicBool,
) -> Result<(Vec<u64>, usize)> {
    let mut wire = Wire::open(address).await?;
    let (mut latencies, mut failures, mut dice) = (Vec::new(), 0, client + 1);
    let common = format!("HTTP/1.1\r\nHost: kontor\r\nContent-Type: application/json\r\nChannel-Key: {}\r\n", shop.key);
    let payment = serde_json::json!({"payment": {"method": method}}).to_string();
    // Of this run alone: a second one over the same shop would be given the first one's stored answers.
    let run = uuid::Uuid::now_v7();
    while !stop.load(Ordering::Relaxed) {
        let body = shop.cart(&mut dice).to_string();
        let begun = Moment::now();
        let head = format!("POST /v1/store/carts {common}Idempotency-Key: {run}-c{client}-{}\r\n", latencies.len());
        let (status, answer) = wire.send(&head, &body).await?;
        if status != 201 {
            failures += 1;
            continue;
        }
        let cart: Value = serde_json::from_slice(answer)?;
        let (Some(id), Some(token)) =
            (cart.get("id").and_then(Value::as_str), cart.get("token").and_then(Value::as_str))
        else {
            return Err(Error::internal("a cart without id and token"));
        };
        let head = format!(
            "POST /v1/store/carts/{id}/complete {common}Cart-Token: {token}\r\nIdempotency-Key: {run}-o{client}-{}\r\n",
            latencies.len()
        );
        let (status, answer) = wire.send(&head, &payment).await?;
        if status == 201 {
            latencies.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        } else {
            tracing::warn!(status, answer = %String::from_utf8_lossy(answer), "a checkout failed");
            failures += 1;
        }
    }
    Ok((latencies, failures))
}
