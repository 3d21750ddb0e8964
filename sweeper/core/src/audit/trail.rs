//! Writing the log.

use super::{
    GENESIS, Log, LogError, MAX_LINE,
    checkpoint::{Checkpoint, Origin},
    event::{AuditEvent, Event, Millis, Recovered, VERSION, parse_hash},
    line_hash,
    merkle::{self, Frontier, Hash},
};
use crate::{
    note::{Signer, Verifier},
    store::{PutOutcome, Store, Version},
    survey_file::hexadecimal,
};
use serde::{Deserialize, Serialize};
use std::{
    io::{BufRead as _, Read as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Under which the head of the log is remembered in the state.
pub const HEAD_KEY: &str = "audit/head";
const HEAD_FORMAT: &str = "sweeper.audit-head/1";

/// What a [`Trail`] writes into every event, and signs with.
#[derive(Clone, Debug)]
pub struct TrailConfig {
    pub origin: Origin,
    pub run: String,
    /// The lease's.
    pub epoch: u64,
    pub signer: Signer,
    /// The keys of before: the newest checkpoint may be signed by one of them.
    pub earlier: Vec<Verifier>,
    /// After how many events without one a checkpoint is signed.
    pub every: u64,
}

/// The log as a run found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// How many events it had.
    pub size: u64,
    /// How many of them no checkpoint covered: a run before did not end.
    pub unsigned: u64,
    /// Whether it ended within a line, which was cut off.
    pub torn: bool,
}

/// The writer of the log. One at a time: the lease, the log and the state each see to that.
pub struct Trail {
    log: Arc<dyn Log>,
    store: Arc<dyn Store>,
    config: TrailConfig,
    tip: Mutex<Tip>,
}

struct Tip {
    tree: Frontier,
    /// The hash of the last line.
    last: Hash,
    /// How many events the newest checkpoint covers.
    signed: u64,
    /// The remembered head's.
    version: Option<Version>,
    broken: bool,
}

/// The head as the state keeps it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    origin: String,
    size: u64,
    root: String,
    /// The hash of the last line.
    last: String,
    /// Of the tree, so that appending never reads what was written.
    peaks: Vec<String>,
}

/// Where reading starts: what is known of the log before it.
struct Start {
    tree: Frontier,
    last: Hash,
}

fn damaged(what: impl Into<String>) -> LogError {
    LogError::Damaged(what.into())
}

impl Head {
    fn read(bytes: &[u8], origin: &str) -> Result<Start, LogError> {
        let head: Self = serde_json::from_slice(bytes).map_err(|_| damaged("its remembered head cannot be read"))?;
        if head.format != HEAD_FORMAT {
            return Err(damaged(format!("its remembered head has the format {}", head.format)));
        }
        if head.origin != origin {
            return Err(damaged(format!("the state remembers the log {}, this is {origin}", head.origin)));
        }
        let start = || {
            let peaks = head.peaks.iter().map(|peak| parse_hash(peak)).collect::<Option<Vec<_>>>()?;
            let tree = Frontier::of(head.size, peaks).filter(|tree| hexadecimal(&tree.root()) == head.root)?;
            Some(Start { tree, last: parse_hash(&head.last)? })
        };
        start().ok_or_else(|| damaged("its remembered head contradicts itself"))
    }

    fn of(origin: &str, tip: &Tip) -> Self {
        Self {
            format: HEAD_FORMAT.to_owned(),
            origin: origin.to_owned(),
            size: tip.tree.size(),
            root: hexadecimal(&tip.tree.root()),
            last: hexadecimal(&tip.last),
            peaks: tip.tree.peaks().iter().map(|peak| hexadecimal(peak)).collect(),
        }
    }
}

/// The head of the log that the state remembers, against which a log that was put back is noticed.
///
/// # Errors
/// [`LogError::Damaged`] when what is remembered cannot be read, or is of another log.
pub fn remembered(store: &dyn Store, origin: &Origin) -> Result<Option<Checkpoint>, LogError> {
    let origin = origin.to_string();
    let Some((bytes, _)) = store.get(HEAD_KEY)? else { return Ok(None) };
    let Start { tree, .. } = Head::read(&bytes, &origin)?;
    Ok(Some(Checkpoint { origin, size: tree.size(), root: tree.root() }))
}

impl Trail {
    /// Opens a log to write, a new one where there is none: reads what was written since the remembered head
    /// (everything, where the state remembers none) and compares it with that head and the newest checkpoint.
    /// An end within a line, which was never acknowledged, is cut off, and the cut recorded.
    ///
    /// # Errors
    /// When the log is not what the state and the checkpoint say, or has seen a later epoch. Then nothing was
    /// changed.
    pub fn open(
        log: Arc<dyn Log>,
        store: Arc<dyn Store>,
        config: TrailConfig,
        now: Millis,
    ) -> Result<(Self, Opened), LogError> {
        let origin = config.origin.to_string();
        let remembered = store.get(HEAD_KEY)?;
        let version = remembered.as_ref().map(|(_, version)| *version);
        let start = match &remembered {
            Some((bytes, _)) => Head::read(bytes, &origin)?,
            None => Start { tree: Frontier::default(), last: GENESIS },
        };
        let Some(newest) = log.latest()? else {
            if remembered.is_some() || !log.segments(0)?.is_empty() {
                return Err(damaged("it has no checkpoint"));
            }
            let tip = Tip { tree: start.tree, last: start.last, signed: 0, version, broken: false };
            let trail = Self { log, store, config, tip: Mutex::new(tip) };
            trail.sign(&mut trail.lock())?;
            return Ok((trail, Opened { size: 0, unsigned: 0, torn: false }));
        };
        let keys: Vec<Verifier> =
            [config.signer.verifier().clone()].into_iter().chain(config.earlier.clone()).collect();
        let (newest, _) = Checkpoint::open(&newest, &keys)
            .map_err(|error| damaged(format!("its newest checkpoint cannot be believed: {error}")))?;
        if newest.origin != origin {
            return Err(damaged(format!("its newest checkpoint is of {}", newest.origin)));
        }
        if newest.size < start.tree.size() {
            return Err(LogError::Rollback { expected: start.tree.size(), found: newest.size });
        }
        let end = read_on(&*log, start, &newest, &config)?;
        let size = end.tree.size();
        let unsigned = size - newest.size;
        let tip = Tip { tree: end.tree, last: end.last, signed: newest.size, version, broken: false };
        let trail = Self { log, store, config, tip: Mutex::new(tip) };
        let mut recovered = Vec::new();
        if let Some(torn) = &end.torn {
            trail.log.cut(torn.segment, torn.keep)?;
            recovered.push(Event::new(Recovered::TornLine { bytes: torn.bytes, sha256: hexadecimal(&torn.hash) }));
        }
        if unsigned > 0 {
            recovered.push(Event::new(Recovered::UnsignedTail { from: newest.size, to: size - 1 }));
        }
        if !recovered.is_empty() {
            trail.record_all(now, &recovered)?;
            trail.flush()?;
        }
        Ok((trail, Opened { size, unsigned, torn: end.torn.is_some() }))
    }

    fn lock(&self) -> MutexGuard<'_, Tip> {
        self.tip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an event and gives its number. It is durable when this returns; after an error nothing may be
    /// done that it was to record, and every later record fails.
    pub fn record(&self, now: Millis, event: Event) -> Result<u64, LogError> {
        self.record_all(now, std::slice::from_ref(&event))
    }

    /// Records several events with one wait for the disk, and gives the number of the first.
    pub fn record_all(&self, now: Millis, events: &[Event]) -> Result<u64, LogError> {
        let mut tip = self.lock();
        if tip.broken {
            return Err(LogError::Stopped);
        }
        let first = tip.tree.size();
        let mut lines = Vec::with_capacity(events.len());
        let (mut tree, mut last) = (tip.tree.clone(), tip.last);
        for event in events {
            let line = AuditEvent {
                v: VERSION,
                seq: tree.size(),
                prev: last,
                ts: now,
                deployment: self.config.origin.deployment.clone(),
                epoch: self.config.epoch,
                run: self.config.run.clone(),
                plan: event.plan.clone(),
                item: event.item,
                body: event.body.clone(),
            }
            .line()?;
            last = line_hash(&line);
            tree.push(merkle::leaf(&line));
            lines.push(line);
        }
        if let Err(error) = self.log.append(first, &lines) {
            tip.broken = true;
            return Err(error);
        }
        tip.tree = tree;
        tip.last = last;
        if tip.tree.size() - tip.signed >= self.config.every.max(1) {
            self.sign(&mut tip)?;
        }
        Ok(first)
    }

    /// Signs a checkpoint over everything recorded and remembers the head in the state: at the end of a run, and
    /// wherever the log must not be shortened unnoticed any more.
    pub fn flush(&self) -> Result<Checkpoint, LogError> {
        let mut tip = self.lock();
        if tip.broken {
            return Err(LogError::Stopped);
        }
        if tip.tree.size() > tip.signed {
            self.sign(&mut tip)?;
        }
        Ok(self.head(&tip))
    }

    /// The head of what was recorded, signed or not: to be shown in notices and metrics, where it can be compared.
    pub fn checkpoint(&self) -> Checkpoint {
        self.head(&self.lock())
    }

    fn head(&self, tip: &Tip) -> Checkpoint {
        Checkpoint { origin: self.config.origin.to_string(), size: tip.tree.size(), root: tip.tree.root() }
    }

    fn sign(&self, tip: &mut Tip) -> Result<(), LogError> {
        let head = self.head(tip);
        let signed = || {
            let note = head.sign(&self.config.signer)?;
            // The log first: a head that is remembered must never be ahead of the checkpoint.
            self.log.put_checkpoint(head.size, note.as_bytes())?;
            let value = serde_json::to_vec(&Head::of(&head.origin, tip))
                .map_err(|error| damaged(format!("its head cannot be written: {error}")))?;
            match self.store.put_if(HEAD_KEY, &value, tip.version)? {
                PutOutcome::Stored(version) => Ok(version),
                PutOutcome::Conflict(_) => Err(LogError::Taken(head.size)),
            }
        };
        match signed() {
            Ok(version) => {
                tip.version = Some(version);
                tip.signed = head.size;
                Ok(())
            }
            Err(error) => {
                tip.broken = true;
                Err(error)
            }
        }
    }
}

struct End {
    tree: Frontier,
    last: Hash,
    torn: Option<Torn>,
}

/// An unfinished line at the end of the log.
struct Torn {
    segment: u64,
    /// Bytes of the segment before it.
    keep: u64,
    bytes: u64,
    hash: Hash,
}

/// What chains a line to the others.
#[derive(Deserialize)]
struct Link<'a> {
    v: u32,
    seq: u64,
    prev: &'a str,
    deployment: &'a str,
    epoch: u64,
}

/// Reads from the last line that is known to the end, demanding that every line follows from the one before.
fn read_on(log: &dyn Log, start: Start, newest: &Checkpoint, config: &TrailConfig) -> Result<End, LogError> {
    let known = start.tree.size();
    let Start { mut tree, last: remembered } = start;
    // Of the segment in which the known part ends everything is read: its last line must be the remembered one.
    let mut last: Option<(u64, Hash)> = (known == 0).then_some((0, GENESIS));
    let mut at_checkpoint = (newest.size == known).then(|| tree.root());
    let mut torn = None;
    for segment in log.segments(known.saturating_sub(1))? {
        if torn.is_some() {
            return Err(damaged(format!("a line before segment {segment} is not whole")));
        }
        let mut reader = log.read(segment)?;
        let mut keep = 0;
        let mut line = Vec::new();
        loop {
            line.clear();
            let unreadable = |error: std::io::Error| LogError::Unreadable(error.to_string());
            let length = (&mut reader).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line).map_err(unreadable)?;
            if length == 0 {
                break;
            }
            if line.pop_if(|byte| *byte == b'\n').is_none() {
                if length > MAX_LINE {
                    return Err(damaged(format!("a line of segment {segment} is too long")));
                }
                torn = Some(Torn { segment, keep, bytes: length as u64, hash: line_hash(&line) });
                break;
            }
            keep += length as u64;
            let (next, before) = last.unwrap_or((segment, GENESIS));
            let link: Link = serde_json::from_slice(&line)
                .map_err(|_| damaged(format!("event {next}, in segment {segment}, cannot be read")))?;
            if link.v != VERSION {
                return Err(damaged(format!("event {next} has format {}: use a newer release", link.v)));
            }
            // The first line of the first segment that is read names a line that is not.
            let follows = last.is_none() && segment > 0 || parse_hash(link.prev) == Some(before);
            if link.seq != next || !follows || link.deployment != config.origin.deployment {
                return Err(damaged(format!(
                    "event {next}, in segment {segment}, does not follow from the one before"
                )));
            }
            if link.epoch > config.epoch {
                return Err(LogError::Fenced { ours: config.epoch, theirs: link.epoch });
            }
            let hash = line_hash(&line);
            last = Some((next + 1, hash));
            if next + 1 == known && hash != remembered {
                return Err(damaged(format!("event {next} is not the one that the state remembers")));
            }
            if next >= known {
                tree.push(merkle::leaf(&line));
                if tree.size() == newest.size {
                    at_checkpoint = Some(tree.root());
                }
            }
        }
    }
    let found = last.map_or(0, |(next, _)| next);
    if found < known.max(newest.size) {
        return Err(LogError::Rollback { expected: known.max(newest.size), found });
    }
    if at_checkpoint != Some(newest.root) {
        return Err(damaged(format!(
            "its first {} events are not those that the newest checkpoint covers",
            newest.size
        )));
    }
    Ok(End { tree, last: last.map_or(GENESIS, |(_, hash)| hash), torn })
}
