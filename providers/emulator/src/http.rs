//! What a service answers with, before it is rendered in the request's protocol.

use jiff::Timestamp;
use serde_json::{Value, json};

/// A service's answer.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// The operation's output, rendered in the protocol the request came in.
    Value(Value),
    /// An answer that no protocol renders: an object's bytes, a redirect, headers without a body.
    Raw { status: u16, content_type: String, headers: Vec<(String, String)>, body: Vec<u8> },
    /// As `Value`, with a status and headers of its own.
    With { status: u16, headers: Vec<(String, String)>, value: Value },
    /// A gRPC answer: one message, without its frame.
    Grpc(Vec<u8>),
}

/// An error, rendered in the protocol the request came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WireError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    /// Headers that come with it, such as Retry-After.
    pub(crate) headers: Vec<(String, String)>,
}

impl WireError {
    pub(crate) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> WireError {
        WireError { status, code: code.into(), message: message.into(), headers: Vec::new() }
    }

    /// The same error with a header.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> WireError {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A time, which each protocol renders in its own way.
pub(crate) fn time(at: Timestamp) -> Value {
    json!({ "$time": at.as_millisecond() as f64 / 1000.0 })
}

/// An RFC 3339 text with milliseconds, for the members that are strings on the wire.
pub(crate) fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
