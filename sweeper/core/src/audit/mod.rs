//! The log of what was intended, done and decided, which nobody can quietly change.
//!
//! ```text
//! audit/<log id>/seg/<first number>.jsonl     one event a line, each naming the SHA-256 of the line before
//! audit/<log id>/checkpoint/<size>            signed heads of the Merkle tree over the lines, never changed
//! audit/<log id>/latest                       the newest of them
//! ```
//!
//! Hashes are of the exact bytes of a line, without its newline. The chain of `prev` can be followed with ten
//! lines of a script; the tree (RFC 6962) gives proofs, and heads that can be kept elsewhere: whoever holds
//! one notices when the log behind it is another. [`Trail`] writes, [`verify()`] reads and names what is wrong and
//! where, a [`Log`] keeps the bytes.

mod checkpoint;
mod event;
pub mod export;
mod log;
pub mod merkle;
mod schema;
#[cfg(test)]
mod tamper;
#[cfg(test)]
mod tests;
mod trail;
mod verify;

pub use checkpoint::{Checkpoint, CheckpointError, Origin};
pub use event::{
    Approve, AuditEvent, Body, CapStop, Config, Environment, Event, EventError, Except, Floor, Halt, Heartbeat,
    Identity, Intent, Keep, Ledger, Lock, LockChange, MAX_LINE, Mark, Millis, Notice, Outcome, OutcomeResult,
    Recovered, Scan, Sent, Skip, Trust, Undo, Unmark, UseApproval,
};
#[cfg(any(test, feature = "conformance"))]
pub use log::conformance;
pub use log::{Contents, Log, LogError, MemoryLog, SEGMENT};
pub use schema::schema;
pub use trail::{HEAD_KEY, Opened, Trail, TrailConfig, remembered};
pub use verify::{Damage, Kind, OpenIntent, Severity, TrustedKey, Verdict, Verify, verify};

/// What the first line names as the line before it.
pub const GENESIS: merkle::Hash = [0; 32];

/// The SHA-256 of a text, hexadecimal, as events carry it.
pub fn digest(text: &str) -> String {
    crate::survey_file::hexadecimal(&line_hash(text.as_bytes()))
}

/// The hash by which the next line names this one: SHA-256 of its bytes, without the newline.
pub fn line_hash(line: &[u8]) -> merkle::Hash {
    use sha2::Digest as _;
    sha2::Sha256::digest(line).into()
}
