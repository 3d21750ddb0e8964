//! Reading the whole log and naming what is wrong with it, and where.
//!
//! Three things are held against each other: the chain (each line names the hash of the one before), the tree
//! (each checkpoint names a root), and what the events say (numbers, time, epoch, intents and outcomes). One
//! change breaks several of them; what is named is the change, not each of its consequences.
//!
//! Where the chain breaks, lines are put aside until two in a row belong together again. A line that the one
//! behind it names is genuine, so that what is missing and what is too much can be told apart. Memory is
//! bounded: by how many lines may be put aside, and by the plans of the last weeks.

mod chain;
mod pairs;

use super::{
    Log, LogError, MAX_LINE,
    checkpoint::{Checkpoint, CheckpointError, Origin},
    event::{Body, Millis, VERSION, parse_hash},
    line_hash,
    merkle::{self, Hash},
};
use crate::note::{NoteError, Verifier};
use chain::{Chain, Facts, Place, Seen, Step};
use pairs::Pairs;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    io::{BufRead, Read as _},
};

/// How far the time may go back from one event to another, milliseconds: clocks of two machines differ.
const SKEW: i64 = 60_000;
/// How many problems, and how many open intents, are listed. Further ones are counted.
const LISTED: usize = 1000;
/// How many types that are not known are told apart.
const TYPES: usize = 100;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A line is not the one that was written.
    Edited,
    /// Lines are missing between others.
    Removed,
    /// Lines are there that nobody wrote.
    Inserted,
    /// Lines stand in each other's place.
    Swapped,
    /// Lines are missing at the end.
    Truncated,
    /// The chain holds, but not to the checkpoints: lines were changed and all behind them written anew.
    Rewritten,
    /// Two checkpoints were signed of which neither log grew out of the other.
    Fork,
    /// Lines of another deployment.
    Foreign,
    /// A segment is missing.
    SegmentMissing,
    /// A segment has another name than its first line says.
    SegmentRenamed,
    /// A checkpoint that should be there is not.
    CheckpointMissing,
    /// A checkpoint cannot be read.
    CheckpointUnreadable,
    /// A checkpoint is of another log, or not of the size that its name says.
    CheckpointForeign,
    /// The signature of a known key does not hold.
    BadSignature,
    /// No known key signed a checkpoint.
    UnknownKey,
    /// The key was revoked before the events that it signed.
    RevokedKey,
    /// The key was used outside its time.
    KeyPeriod,
    /// The chain holds, but numbers were left out.
    SequenceGap,
    /// The time went back by more than a minute.
    TimeBack,
    /// The epoch went back: two writers at once.
    EpochBack,
    /// The same action on the same item was intended twice.
    DuplicateIntent,
    /// Something was sent or ended that was never intended.
    OutcomeWithoutIntent,
    /// Nothing was recorded for longer than was allowed.
    HeartbeatGap,
    /// An event of a later format.
    Newer,
    /// The last line is not whole, and nothing says that it ever was.
    TornLine,
    /// The newest checkpoint does not cover the last events.
    CheckpointOlder,
}

/// How bad a [`Kind`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As a run leaves it that did not end, or has not ended yet.
    Warning,
    /// The log cannot be relied on.
    Damage,
}

impl Kind {
    /// Its word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Removed => "removed",
            Self::Inserted => "inserted",
            Self::Swapped => "swapped",
            Self::Truncated => "truncated",
            Self::Rewritten => "rewritten",
            Self::Fork => "fork",
            Self::Foreign => "foreign",
            Self::SegmentMissing => "segment-missing",
            Self::SegmentRenamed => "segment-renamed",
            Self::CheckpointMissing => "checkpoint-missing",
            Self::CheckpointUnreadable => "checkpoint-unreadable",
            Self::CheckpointForeign => "checkpoint-foreign",
            Self::BadSignature => "bad-signature",
            Self::UnknownKey => "unknown-key",
            Self::RevokedKey => "revoked-key",
            Self::KeyPeriod => "key-period",
            Self::SequenceGap => "sequence-gap",
            Self::TimeBack => "time-back",
            Self::EpochBack => "epoch-back",
            Self::DuplicateIntent => "duplicate-intent",
            Self::OutcomeWithoutIntent => "outcome-without-intent",
            Self::HeartbeatGap => "heartbeat-gap",
            Self::Newer => "newer",
            Self::TornLine => "torn-line",
            Self::CheckpointOlder => "checkpoint-older",
        }
    }

    pub const fn severity(self) -> Severity {
        match self {
            Self::TornLine | Self::CheckpointOlder => Severity::Warning,
            _ => Severity::Damage,
        }
    }

    /// Whether the lines themselves are not those that were written. What events say is not judged then.
    const fn is_of_lines(self) -> bool {
        matches!(
            self,
            Self::Edited
                | Self::Removed
                | Self::Inserted
                | Self::Swapped
                | Self::Truncated
                | Self::Foreign
                | Self::SegmentMissing
                | Self::SegmentRenamed
                | Self::SequenceGap
        )
    }

    /// Whether it is read out of what the events say.
    const fn is_of_meaning(self) -> bool {
        matches!(
            self,
            Self::TimeBack | Self::EpochBack | Self::DuplicateIntent | Self::OutcomeWithoutIntent | Self::HeartbeatGap
        )
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub kind: Kind,
    /// The number of the event; of a checkpoint, its size.
    pub seq: u64,
    /// The last event concerned.
    pub last: u64,
    /// The segment and the line in it, counted from 1, where it shows.
    pub place: Option<(u64, u64)>,
    /// In a sentence.
    pub what: String,
}

/// An intent whose end is not recorded. Not damage: what became of it is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIntent {
    pub seq: u64,
    pub plan: Option<String>,
    pub item: Option<u32>,
    pub action: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many events were read.
    pub events: u64,
    /// How many of them a checkpoint covers that holds.
    pub signed: u64,
    /// The root over all events; `None` where the lines are not those that were written.
    pub root: Option<Hash>,
    /// By place.
    pub problems: Vec<Damage>,
    /// Problems that are not listed.
    pub more_problems: u64,
    /// By number.
    pub open: Vec<OpenIntent>,
    /// Open intents that are not listed.
    pub more_open: u64,
    /// What nobody can know from this log and these keys, in sentences.
    pub cannot_rule_out: Vec<String>,
}

impl Verdict {
    /// Whether nothing is wrong but what an unfinished run leaves.
    pub fn is_sound(&self) -> bool {
        self.more_problems == 0 && self.problems.iter().all(|damage| damage.kind.severity() == Severity::Warning)
    }
}

/// A key whose checkpoints are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    pub verifier: Verifier,
    /// From and until when it was in use, by the time of the last event that a checkpoint covers.
    pub from: Option<Millis>,
    pub until: Option<Millis>,
    /// Since when nothing is believed that it signed.
    pub revoked: Option<Millis>,
}

impl TrustedKey {
    /// A key in use at all times.
    pub fn new(verifier: Verifier) -> Self {
        Self { verifier, from: None, until: None, revoked: None }
    }
}

/// What a log is held against.
#[derive(Clone, Copy, Debug)]
pub struct Verify<'a> {
    pub origin: &'a Origin,
    pub keys: &'a [TrustedKey],
    /// Checkpoints from elsewhere, whose signatures were verified: the remembered head, a notice, an auditor.
    pub known: &'a [Checkpoint],
    /// The longest time without any event, milliseconds.
    pub max_silence: Option<i64>,
}

/// Reads the whole log.
///
/// # Errors
/// Only when it cannot be read at all: damage is in the verdict.
pub fn verify(log: &dyn Log, asked: Verify<'_>) -> Result<Verdict, LogError> {
    let mut reading = Reading::new(log, asked)?;
    let segments = log.segments(0)?;
    for (at, segment) in segments.iter().enumerate() {
        reading.segment(log, *segment, at + 1 == segments.len())?;
    }
    Ok(reading.end())
}

/// The part of an event that is looked at. Names are plain, so that they are borrowed as they stand.
#[derive(Deserialize)]
struct Header<'a> {
    v: u32,
    seq: u64,
    prev: &'a str,
    ts: &'a str,
    deployment: &'a str,
    epoch: u64,
    plan: Option<&'a str>,
    item: Option<u32>,
    #[serde(rename = "type")]
    kind: &'a str,
    action: Option<&'a str>,
    result: Option<&'a str>,
}

/// A head to compare the tree with.
struct Mark {
    checkpoint: Checkpoint,
    /// Who signed, for the time of the last event it covers; none of a head that is known from elsewhere.
    signers: Vec<usize>,
    from: &'static str,
}

struct Reading<'a> {
    asked: Verify<'a>,
    chain: Chain,
    pairs: Pairs,
    /// By size, those of checkpoints in the log and from elsewhere.
    marks: Vec<Mark>,
    /// How many of them were compared.
    compared: usize,
    matched: Vec<u64>,
    mismatched: Vec<(u64, &'static str)>,
    /// The largest size that some head says the log has.
    promised: u64,
    newest: u64,
    problems: Vec<Damage>,
    more_problems: u64,
    latest_ts: Option<Millis>,
    last_ts: Option<Millis>,
    epoch: u64,
    /// Segments that stand out of order: the first number in each.
    moved: Vec<u64>,
    /// Types that this release does not know, and how many events are of them.
    unknown: BTreeMap<String, u64>,
}

impl<'a> Reading<'a> {
    fn new(log: &dyn Log, asked: Verify<'a>) -> Result<Self, LogError> {
        let mut reading = Self {
            asked,
            chain: Chain::new(log.stride()),
            pairs: Pairs::default(),
            marks: Vec::new(),
            compared: 0,
            matched: Vec::new(),
            mismatched: Vec::new(),
            promised: 0,
            newest: 0,
            problems: Vec::new(),
            more_problems: 0,
            latest_ts: None,
            last_ts: None,
            epoch: 0,
            moved: Vec::new(),
            unknown: BTreeMap::new(),
        };
        for checkpoint in asked.known {
            reading.mark(checkpoint.clone(), Vec::new(), "the checkpoint from elsewhere");
        }
        let sizes = log.checkpoints()?;
        for size in &sizes {
            if let Some(note) = log.checkpoint(*size)? {
                reading.checkpoint(&note, Some(*size));
            }
        }
        match log.latest()? {
            Some(note) => {
                let named = reading.checkpoint(&note, None);
                if let Some(size) = named.filter(|size| !sizes.contains(size)) {
                    let what = "the newest checkpoint is not among those that are kept for ever".to_owned();
                    reading.problem(Kind::CheckpointMissing, size, size, None, what);
                }
            }
            None => {
                reading.problem(Kind::CheckpointMissing, 0, 0, None, "it has no newest checkpoint".to_owned());
            }
        }
        reading.marks.sort_by_key(|mark| mark.checkpoint.size);
        reading.compare();
        Ok(reading)
    }

    fn problem(&mut self, kind: Kind, seq: u64, last: u64, place: Option<Place>, what: String) {
        if self.problems.len() >= LISTED {
            self.more_problems += 1;
            return;
        }
        let place = place.map(|place| (place.segment, place.line));
        self.problems.push(Damage { kind, seq, last, place, what });
    }

    fn mark(&mut self, checkpoint: Checkpoint, signers: Vec<usize>, from: &'static str) {
        self.promised = self.promised.max(checkpoint.size);
        self.marks.push(Mark { checkpoint, signers, from });
    }

    /// Reads a checkpoint of the log, which is kept under its size, or is the newest. Gives the size it says.
    fn checkpoint(&mut self, note: &[u8], size: Option<u64>) -> Option<u64> {
        let keys: Vec<Verifier> = self.asked.keys.iter().map(|key| key.verifier.clone()).collect();
        let from = if size.is_some() { "a checkpoint" } else { "the newest checkpoint" };
        let at = size.unwrap_or_default();
        match Checkpoint::open(note, &keys) {
            Ok((checkpoint, signed)) => {
                let named = checkpoint.size;
                if checkpoint.origin != self.asked.origin.to_string() {
                    let what = format!("{from} is of the log {:?}", checkpoint.origin);
                    self.problem(Kind::CheckpointForeign, at, at, None, what);
                    return Some(named);
                }
                if size.is_some_and(|size| size != named) {
                    let what = format!("the checkpoint under {at} is of size {named}");
                    self.problem(Kind::CheckpointForeign, at, at, None, what);
                }
                let signed = signed.into_iter().filter_map(|key| keys.iter().position(|known| known == key));
                let signers = signed.collect();
                self.newest = self.newest.max(named);
                self.mark(checkpoint, signers, from);
                Some(named)
            }
            Err(error) => {
                let kind = match &error {
                    CheckpointError::Note(NoteError::Unverified) => Kind::UnknownKey,
                    CheckpointError::Note(NoteError::BadSignature(_)) => Kind::BadSignature,
                    _ => Kind::CheckpointUnreadable,
                };
                self.problem(kind, at, at, None, format!("{from} cannot be believed: {error}"));
                None
            }
        }
    }

    fn segment(&mut self, log: &dyn Log, segment: u64, is_last: bool) -> Result<(), LogError> {
        let mut reader = log.read(segment)?;
        let mut buffer = Vec::new();
        let mut number = 0;
        while let Some(line) = read_line(&mut *reader, &mut buffer)? {
            number += 1;
            let place = Place { segment, line: number };
            if let Line::Torn(text) = line
                && is_last
            {
                self.torn(text, place);
                break;
            }
            // Within the log a line without an end is none.
            let text = line.whole();
            let header = text.and_then(|text| serde_json::from_slice::<Header<'_>>(text).ok());
            if number == 1 && !self.begins(segment, header.as_ref(), text) {
                break;
            }
            self.line(text.unwrap_or_default(), header.as_ref(), place);
        }
        Ok(())
    }

    /// Looks at the first line of a segment. Whether its lines are to be read here: those of a segment that
    /// stands out of order would only be one long surprise.
    fn begins(&mut self, segment: u64, header: Option<&Header<'_>>, text: Option<&[u8]>) -> bool {
        let next = self.chain.next();
        let (Some(header), Some(text)) = (header, text) else { return true };
        if segment == next || header.seq == segment && segment > next {
            return true;
        }
        let place = Place { segment, line: 1 };
        if header.seq == segment {
            let what = format!("segment {segment} begins within what was read already");
            self.problem(Kind::Inserted, segment, segment, Some(place), what);
            return false;
        }
        let seen = self.seen(text, Some(header), place);
        let what = format!("segment {segment} begins with event {}", header.seq);
        self.problem(Kind::SegmentRenamed, header.seq, header.seq, Some(place), what);
        let follows = self.chain.follows(&seen);
        if !follows {
            self.moved.push(header.seq);
        }
        follows
    }

    fn seen(&self, text: &[u8], header: Option<&Header<'_>>, place: Place) -> Seen {
        let facts = header.and_then(|header| {
            let own = header.deployment == self.asked.origin.deployment;
            Some(Facts { seq: header.seq, prev: parse_hash(header.prev)?, own })
        });
        Seen { place, hash: line_hash(text), facts }
    }

    fn line(&mut self, text: &[u8], header: Option<&Header<'_>>, place: Place) {
        let seen = self.seen(text, header, place);
        if self.chain.step(seen, text) == Step::Follows {
            self.follows(text, header, place);
        }
    }

    /// A line that follows from the one before.
    fn follows(&mut self, text: &[u8], header: Option<&Header<'_>>, place: Place) {
        let Some(header) = header else { return };
        self.chain.grow(merkle::leaf(text));
        if header.v != VERSION {
            let what = format!("event {} has format {}: use a newer release", header.seq, header.v);
            self.problem(Kind::Newer, header.seq, header.seq, Some(place), what);
            self.compare();
            return;
        }
        if !Body::NAMES.contains(&header.kind) {
            self.unknown(header.kind);
        }
        self.time(header, place);
        if header.epoch < self.epoch {
            let what = format!("event {} is of epoch {}, after epoch {}", header.seq, header.epoch, self.epoch);
            self.problem(Kind::EpochBack, header.seq, header.seq, Some(place), what);
        }
        self.epoch = self.epoch.max(header.epoch);
        if let Some((kind, what)) = self.pairs.event(header, self.last_ts) {
            self.problem(kind, header.seq, header.seq, Some(place), what);
        }
        self.compare();
    }

    /// An event of a type that came with a later release: its line is held against chain and tree as any other, and
    /// what it means is not known here.
    fn unknown(&mut self, kind: &str) {
        if let Some(count) = self.unknown.get_mut(kind) {
            *count += 1;
        } else if self.unknown.len() < TYPES {
            self.unknown.insert(kind.to_owned(), 1);
        }
    }

    fn time(&mut self, header: &Header<'_>, place: Place) {
        let seq = header.seq;
        let Some(at) = Millis::parse(header.ts) else {
            let what = format!("event {seq} has no time that can be read");
            self.problem(Kind::TimeBack, seq, seq, Some(place), what);
            return;
        };
        if let Some(latest) = self.latest_ts
            && at.0 < latest.0.saturating_sub(SKEW)
        {
            let what = format!("event {seq} is of {at}, after one of {latest}");
            self.problem(Kind::TimeBack, seq, seq, Some(place), what);
        }
        if let (Some(last), Some(longest)) = (self.last_ts, self.asked.max_silence)
            && at.0.saturating_sub(last.0) > longest
        {
            let what = format!("nothing was recorded between {last} and {at}");
            self.problem(Kind::HeartbeatGap, seq, seq, Some(place), what);
        }
        self.last_ts = Some(at);
        self.latest_ts = self.latest_ts.max(Some(at));
    }

    /// Compares the tree with the heads of its present size.
    fn compare(&mut self) {
        let Some(size) = self.chain.tree().map(merkle::Frontier::size) else { return };
        while self.marks.get(self.compared).is_some_and(|mark| mark.checkpoint.size <= size) {
            let mark = &self.marks[self.compared];
            self.compared += 1;
            if mark.checkpoint.size < size {
                // Of size 0, or passed while the chain was broken.
                continue;
            }
            if Some(mark.checkpoint.root) != self.chain.tree().map(merkle::Frontier::root) {
                self.mismatched.push((size, mark.from));
                continue;
            }
            self.matched.push(size);
            let (from, signers) = (mark.from, mark.signers.clone());
            if let Some((kind, what)) = self.key_trouble(&signers, from) {
                self.problem(kind, size, size, None, what);
            }
        }
    }

    /// What is wrong with every key that signed, at the time of the last event. One that is right is enough.
    fn key_trouble(&self, signers: &[usize], from: &str) -> Option<(Kind, String)> {
        let at = self.last_ts?;
        let trouble = |key: &TrustedKey| {
            let name = key.verifier.name();
            if let Some(revoked) = key.revoked.filter(|revoked| at >= *revoked) {
                return Some((Kind::RevokedKey, format!("{from} over events of {at} is by {name}, revoked {revoked}")));
            }
            if key.from.is_some_and(|from| at < from) || key.until.is_some_and(|until| at >= until) {
                return Some((Kind::KeyPeriod, format!("{from} over events of {at} is by {name}, not in use then")));
            }
            None
        };
        let found: Vec<_> = signers.iter().map(|key| trouble(&self.asked.keys[*key])).collect();
        if found.iter().any(Option::is_none) { None } else { found.into_iter().next().flatten() }
    }

    /// The log ends without a newline.
    fn torn(&mut self, text: &[u8], place: Place) {
        let next = self.chain.next();
        if next >= self.promised && self.chain.is_whole() {
            let what = format!("the last {} bytes are no whole line: a record that was never acknowledged", text.len());
            self.problem(Kind::TornLine, next, next, Some(place), what);
            return;
        }
        let parsed = serde_json::from_slice::<Header<'_>>(text);
        if parsed.as_ref().err().is_none_or(serde_json::Error::is_eof) {
            // A part of a line, or all of it but its end: the rest is gone, with whatever followed.
            return;
        }
        let seen = self.seen(text, None, place);
        let _ = self.chain.step(seen, text);
    }

    fn end(mut self) -> Verdict {
        let roots: Vec<(u64, Hash)> =
            self.marks.iter().map(|mark| (mark.checkpoint.size, mark.checkpoint.root)).collect();
        self.chain.end(self.promised, &|size, root| roots.contains(&(size, root)));
        let events = self.chain.next();
        for found in std::mem::take(&mut self.chain.found) {
            // What is missing here stands elsewhere, under another name.
            if matches!(found.kind, Kind::SegmentMissing) && self.moved.contains(&found.seq) {
                continue;
            }
            self.problem(found.kind, found.seq, found.last, found.place, found.what);
        }
        let explained = self.moved.contains(&events);
        if events < self.promised
            && !explained
            && !self.problems.iter().any(|problem| problem.last >= events && problem.kind.is_of_lines())
        {
            let what = format!("the log ends after {events} events; a checkpoint covers {}", self.promised);
            self.problem(Kind::Truncated, events, self.promised - 1, None, what);
        }
        self.heads(events);
        let damaged = self.problems.iter().any(|problem| problem.kind.is_of_lines());
        if damaged {
            self.problems.retain(|problem| !problem.kind.is_of_meaning());
        }
        let signed = self.matched.iter().copied().max().unwrap_or_default();
        let mut cannot_rule_out = Vec::new();
        if signed < events && !damaged {
            if self.newest < events {
                let what = format!("the newest checkpoint covers {} of {events} events", self.newest);
                self.problem(Kind::CheckpointOlder, self.newest, events - 1, None, what);
            }
            cannot_rule_out.push(format!("changes to the events from {signed} on, which no checkpoint covers"));
        }
        if self.asked.known.is_empty() {
            cannot_rule_out.push(format!(
                "truncation after event {}: compare with a checkpoint that was kept elsewhere",
                events.saturating_sub(1)
            ));
        }
        if self.chain.skipped > 0 {
            cannot_rule_out.push(format!("further damage in {} lines that could not be placed", self.chain.skipped));
        }
        for (kind, count) in &self.unknown {
            cannot_rule_out.push(format!("what {count} events of type {kind:?} mean: a later release wrote them"));
        }
        self.problems.sort_by_key(|a| (a.seq, a.last, a.kind, a.place));
        self.problems.dedup();
        let (open, more_open) = self.pairs.open(LISTED);
        Verdict {
            events,
            signed,
            root: self.chain.tree().map(merkle::Frontier::root),
            problems: self.problems,
            more_problems: self.more_problems,
            open,
            more_open,
            cannot_rule_out,
        }
    }

    /// Names what it means that roots are not those of the heads, where the lines do not explain it.
    fn heads(&mut self, events: u64) {
        let broken = self.problems.iter().filter(|problem| problem.kind.is_of_lines()).map(|problem| problem.seq).min();
        for (size, from) in std::mem::take(&mut self.mismatched) {
            if broken.is_some_and(|seq| seq < size) {
                continue;
            }
            let good = self.matched.iter().copied().filter(|matched| *matched < size).max().unwrap_or_default();
            if let Some(other) = self.matched.iter().copied().find(|matched| *matched >= size) {
                let what = format!("{from} of size {size} and the checkpoint of size {other} are of different logs");
                self.problem(Kind::Fork, size, size, None, what);
            } else if size == events {
                let what = format!(
                    "{from} of size {size} does not hold: event {} was edited, or those from {good} on and their chain",
                    size - 1
                );
                self.problem(Kind::Edited, good, size - 1, None, what);
            } else {
                let what = format!("{from} of size {size} does not hold: events from {good} on were written anew");
                self.problem(Kind::Rewritten, good, size - 1, None, what);
            }
        }
        // The smallest says it all.
        let mut rewritten =
            self.problems.iter().filter(|problem| problem.kind == Kind::Rewritten).map(|p| p.last).min();
        if let Some(first) = rewritten.take() {
            let follows =
                |problem: &Damage| matches!(problem.kind, Kind::Rewritten | Kind::Edited) && problem.last > first;
            self.problems.retain(|problem| !follows(problem));
        }
    }
}

/// A line as it was read.
enum Line<'a> {
    Whole(&'a [u8]),
    /// Without its newline, at the end.
    Torn(&'a [u8]),
    /// Longer than any that is written.
    TooLong,
}

impl<'a> Line<'a> {
    fn whole(&self) -> Option<&'a [u8]> {
        match self {
            Self::Whole(text) => Some(text),
            Self::Torn(_) | Self::TooLong => None,
        }
    }
}

fn read_line<'b>(mut reader: &mut dyn BufRead, buffer: &'b mut Vec<u8>) -> Result<Option<Line<'b>>, LogError> {
    let unreadable = |error: std::io::Error| LogError::Unreadable(error.to_string());
    buffer.clear();
    let length = (&mut reader).take(MAX_LINE as u64).read_until(b'\n', buffer).map_err(unreadable)?;
    if length == 0 {
        return Ok(None);
    }
    if buffer.last() == Some(&b'\n') {
        buffer.pop();
        return Ok(Some(Line::Whole(buffer)));
    }
    if length < MAX_LINE {
        return Ok(Some(Line::Torn(buffer)));
    }
    loop {
        let part = reader.fill_buf().map_err(unreadable)?;
        let (used, ends) = match part.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (part.len(), part.is_empty()),
        };
        reader.consume(used);
        if ends {
            return Ok(Some(Line::TooLong));
        }
    }
}
