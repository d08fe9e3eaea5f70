//! A receiver of webhooks that fails, is slow, asks for patience, hangs up.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
};

use serde_json::Value;

use super::eventually;

/// A request that the receiver got.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method and the path.
    pub head: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// `stream/number` of the event.
    pub fn name(&self) -> String {
        let body = self.json();
        format!("{}/{}", body["partitionkey"].as_str().unwrap_or(""), body["data"]["n"])
    }
}

/// What the receiver does with a request.
pub enum Deed {
    /// A status, and more headers.
    Answer(u16, &'static str),
    /// A status and a body.
    Say(u16, String),
    HangUp,
    /// Answers 200 when the gate opens.
    Wait(Arc<Gate>),
}

#[derive(Default)]
pub struct Gate(Mutex<bool>, Condvar);

impl Gate {
    pub fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    pub fn is_open(&self) -> bool {
        *self.0.lock().unwrap()
    }

    pub fn wait(&self) {
        let mut open = self.0.lock().unwrap();
        while !*open {
            open = self.1.wait(open).unwrap();
        }
    }
}

/// A server that writes down what it gets.
#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    pub log: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    /// `deed` is asked with the request and how often this event has come before.
    pub fn start(deed: impl Fn(&Received, usize) -> Deed + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (log, deed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(deed));
        let receiver = Self { url, log: log.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, deed) = (log.clone(), deed.clone());
                std::thread::spawn(move || serve(stream, &log, &*deed));
            }
        });
        receiver
    }

    pub fn names(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().map(Received::name).collect()
    }

    pub async fn got(&self, count: usize) {
        eventually(&format!("{count} requests"), || async { self.log.lock().unwrap().len() >= count }).await;
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Received>>, deed: &dyn Fn(&Received, usize) -> Deed) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let (head, mut headers) = (line.trim_end().to_owned(), Vec::new());
    loop {
        line.clear();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    // A sender that is killed breaks off.
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let received = Received { head, headers, body: String::from_utf8(body).unwrap() };
    let before = {
        let mut log = log.lock().unwrap();
        let id = received.header("webhook-id").to_owned();
        let before = log.iter().filter(|known| known.header("webhook-id") == id).count();
        log.push(received.clone());
        before
    };
    let (status, extra, body) = match deed(&received, before) {
        Deed::HangUp => return,
        Deed::Answer(status, extra) => (status, extra, "seen".to_owned()),
        Deed::Say(status, body) => (status, "", body),
        Deed::Wait(gate) => {
            gate.wait();
            (200, "", "seen".to_owned())
        }
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{extra}\r\n");
    let text = head + &body;
    drop(stream.write_all(text.as_bytes()));
}
