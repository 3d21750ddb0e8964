//! Where the lines of the log lie.

use super::event::EventError;
use crate::{note::NoteError, store::StoreError};
use std::{
    collections::BTreeMap,
    io::{BufRead, Cursor},
    sync::{Arc, Mutex, PoisonError},
};
use thiserror::Error;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

/// How many lines a segment has, where lines are appended to files: segments begin at its multiples.
pub const SEGMENT: u64 = 4096;

/// Why the log could not be written or believed. Whoever records must stop: no further call to a cloud.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// The place may not be written or is full, or it is not known whether the last writing lasted.
    #[error("the audit log cannot be written: {0}")]
    Unwritable(String),
    /// It could not be read.
    #[error("the audit log cannot be read: {0}")]
    Unreadable(String),
    /// What is there is not what was written.
    #[error("the audit log is damaged: {0}")]
    Damaged(String),
    /// It is shorter, or another, than the state remembers or a checkpoint says.
    #[error("the audit log was put back: it should have {expected} events and has {found}")]
    Rollback { expected: u64, found: u64 },
    /// The events from this number on were written by somebody else.
    #[error("somebody else wrote event {0} of the audit log")]
    Taken(u64),
    /// The log has events of a later lease: this run has lost its own.
    #[error("the audit log is at epoch {theirs}, this run has {ours}")]
    Fenced { ours: u64, theirs: u64 },
    /// Another process has it open.
    #[error("the audit log is in use by another process: {0}")]
    Busy(String),
    /// An earlier record failed; nothing more is recorded.
    #[error("an earlier event could not be recorded")]
    Stopped,
    #[error("an event cannot be recorded: {0}")]
    Event(#[from] EventError),
    #[error("the audit log's head cannot be kept: {0}")]
    State(#[from] StoreError),
    #[error("the audit log's head cannot be signed: {0}")]
    Note(#[from] NoteError),
}

/// The bytes of one log: lines in segments, each named by the number of its first line, and checkpoints.
///
/// Nothing that is written is ever changed. A file is appended to until the next multiple of [`SEGMENT`]; where
/// objects can only be created, each [`Log::append`] is a segment of its own. Both are created only where nothing
/// of that name is, so that of two writers of one number one fails.
pub trait Log: Send + Sync {
    /// Appends whole lines, given without newlines, of which the first has this number. They are durable when
    /// it returns; after an error nobody knows which of them are.
    ///
    /// # Errors
    /// [`LogError::Taken`] when the log does not end before that number.
    fn append(&self, first: u64, lines: &[Vec<u8>]) -> Result<(), LogError>;

    /// The names of the segments, ascending, beginning with the last that is not above `from`.
    fn segments(&self, from: u64) -> Result<Vec<u64>, LogError>;

    /// A segment, to be read from its beginning.
    fn read(&self, segment: u64) -> Result<Box<dyn BufRead + '_>, LogError>;

    /// Cuts the last segment to its first `keep` bytes: only ever for a line that was not wholly written.
    fn cut(&self, segment: u64, keep: u64) -> Result<(), LogError>;

    /// How many lines a segment has at most, where that is fixed: then a gap that begins at a multiple of it is
    /// a missing segment.
    fn stride(&self) -> Option<u64>;

    /// The sizes of all checkpoints, ascending.
    fn checkpoints(&self) -> Result<Vec<u64>, LogError>;

    fn checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>, LogError>;

    /// The newest checkpoint, found without listing them.
    fn latest(&self) -> Result<Option<Vec<u8>>, LogError>;

    /// Keeps a checkpoint, and makes it the newest. The same again is no error.
    ///
    /// # Errors
    /// [`LogError::Taken`] when another of this size is there.
    fn put_checkpoint(&self, size: u64, note: &[u8]) -> Result<(), LogError>;
}

/// A log that ends with the process: for tests and simulations. Clones are handles on the same log.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    shared: Arc<Mutex<Contents>>,
}

/// What a [`MemoryLog`] holds, for those who want to see or spoil it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    pub segments: BTreeMap<u64, Vec<u8>>,
    pub checkpoints: BTreeMap<u64, Vec<u8>>,
    pub latest: Option<Vec<u8>>,
    /// How many lines a segment has at most.
    pub stride: u64,
    /// Whether it can be written, as a full disk cannot.
    pub writable: bool,
    /// The number of the next line, which is counted and not read.
    size: u64,
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            segments: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            latest: None,
            stride: SEGMENT,
            writable: true,
            size: 0,
        }
    }
}

impl MemoryLog {
    pub fn new() -> Self {
        Self::default()
    }

    /// A log of what another held; its size is counted anew.
    pub fn of(mut contents: Contents) -> Self {
        contents.size = match contents.segments.last_key_value() {
            Some((first, bytes)) => first + bytes.split_inclusive(|byte| *byte == b'\n').count() as u64,
            None => 0,
        };
        Self { shared: Arc::new(Mutex::new(contents)) }
    }

    /// Looks at what it holds, or changes it behind the log's back.
    pub fn with<T>(&self, work: impl FnOnce(&mut Contents) -> T) -> T {
        work(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn writing<T>(&self, work: impl FnOnce(&mut Contents) -> Result<T, LogError>) -> Result<T, LogError> {
        self.with(|contents| {
            if contents.writable { work(contents) } else { Err(LogError::Unwritable("no space left".to_owned())) }
        })
    }
}

impl Log for MemoryLog {
    fn append(&self, first: u64, lines: &[Vec<u8>]) -> Result<(), LogError> {
        self.writing(|contents| {
            if first != contents.size {
                return Err(LogError::Taken(first));
            }
            for line in lines {
                let segment = contents.size - contents.size % contents.stride;
                let bytes = contents.segments.entry(segment).or_default();
                bytes.extend_from_slice(line);
                bytes.push(b'\n');
                contents.size += 1;
            }
            Ok(())
        })
    }

    fn segments(&self, from: u64) -> Result<Vec<u64>, LogError> {
        Ok(self.with(|contents| {
            let holding = contents.segments.range(..=from).next_back().map_or(0, |(first, _)| *first);
            contents.segments.range(holding..).map(|(first, _)| *first).collect()
        }))
    }

    fn read(&self, segment: u64) -> Result<Box<dyn BufRead + '_>, LogError> {
        let bytes = self.with(|contents| contents.segments.get(&segment).cloned());
        let bytes = bytes.ok_or_else(|| LogError::Unreadable(format!("there is no segment {segment}")))?;
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn cut(&self, segment: u64, keep: u64) -> Result<(), LogError> {
        self.writing(|contents| {
            if let Some(bytes) = contents.segments.get_mut(&segment) {
                bytes.truncate(keep as usize);
                let whole = bytes.split_inclusive(|byte| *byte == b'\n').count() as u64;
                contents.size = segment + whole;
            }
            Ok(())
        })
    }

    fn stride(&self) -> Option<u64> {
        Some(self.with(|contents| contents.stride))
    }

    fn checkpoints(&self) -> Result<Vec<u64>, LogError> {
        Ok(self.with(|contents| contents.checkpoints.keys().copied().collect()))
    }

    fn checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.with(|contents| contents.checkpoints.get(&size).cloned()))
    }

    fn latest(&self) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.with(|contents| contents.latest.clone()))
    }

    fn put_checkpoint(&self, size: u64, note: &[u8]) -> Result<(), LogError> {
        self.writing(|contents| {
            if contents.checkpoints.entry(size).or_insert_with(|| note.to_vec()) != note {
                return Err(LogError::Taken(size));
            }
            contents.latest = Some(note.to_vec());
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_conforms() {
        conformance::all(|| {
            let log = MemoryLog::new();
            move || Box::new(log.clone())
        });
    }
}
