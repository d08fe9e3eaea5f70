//! W3C trace context: what a request belongs to, from the caller through this process to the systems that it asks.
//!
//! A request goes on in its caller's trace; without one it begins its own. A job's trace is named by the job, so that all its
//! tries are one. Whatever is sent to others meanwhile carries the trace on.

use std::{fmt, future::Future};

use crate::kernel::Id;

/// A trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    id: [u8; 16],
    flags: u8,
}

tokio::task_local! {
    static CURRENT: Trace;
}

impl Trace {
    /// The trace of a `traceparent` header; `None` when it is not one that W3C describes.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, id, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let sane = hex(version, 2) && version != "ff" && hex(id, 32) && hex(span, 16) && hex(flags, 2);
        // A later version may say more behind; this one does not.
        let whole = version != "00" || parts.next().is_none();
        let (id, span) = (u128::from_str_radix(id, 16).ok()?, u64::from_str_radix(span, 16).ok()?);
        let flags = u8::from_str_radix(flags, 16).ok()?;
        (sane && whole && id != 0 && span != 0).then_some(Self { id: id.to_be_bytes(), flags: flags & 1 })
    }

    /// A trace of its own.
    #[must_use]
    pub fn new() -> Self {
        Self { id: rand::random::<u128>().max(1).to_be_bytes(), flags: 0 }
    }

    /// The trace that something with an id is: the same each time it is taken up.
    #[must_use]
    pub const fn of<K>(id: Id<K>) -> Self {
        Self { id: *id.bytes(), flags: 0 }
    }

    /// Runs something in this trace.
    pub fn run<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    /// The `traceparent` of a request that is made now: a step of its own in the current trace.
    #[must_use]
    pub fn traceparent() -> String {
        let trace = CURRENT.try_with(|trace| *trace).unwrap_or_else(|_| Self::new());
        format!("00-{trace}-{:016x}-{:02x}", rand::random::<u64>().max(1), trace.flags)
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

/// The trace's id, as logs and headers write it.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::Trace;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[tokio::test]
    async fn what_is_sent_meanwhile_goes_on_in_the_trace() {
        let trace = Trace::parse(GIVEN).unwrap();
        assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let (one, other) = trace.run(async { (Trace::traceparent(), Trace::traceparent()) }).await;
        assert!(one.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && one.ends_with("-01"));
        assert_eq!((one != other, one != GIVEN), (true, true), "each step is its own");
        assert_eq!(Trace::parse(&one), Some(trace));
        assert!(Trace::parse(&Trace::traceparent()).is_some(), "outside any trace a new one begins");
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Trace::parse(wrong), None, "{wrong}");
        }
        assert!(Trace::parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").is_some());
    }
}
