//! Which lines follow from which, and where that breaks, what was done to them.

use super::{
    super::{
        GENESIS,
        merkle::{self, Frontier, Hash},
    },
    Kind,
};
use crate::survey_file::hexadecimal;

/// How many lines are put aside before the chain is given up and found again.
const WINDOW: usize = 64;
/// How many lines are remembered that are missing or stand where they do not belong.
const REMEMBERED: usize = 1000;

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) segment: u64,
    /// Counted from 1.
    pub(super) line: u64,
}

/// What a line says of itself, where it can be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) seq: u64,
    pub(super) prev: Hash,
    /// Whether it is of this deployment.
    pub(super) own: bool,
}

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) place: Place,
    pub(super) hash: Hash,
    pub(super) facts: Option<Facts>,
}

impl Seen {
    fn own(&self) -> Option<Facts> {
        self.facts.filter(|facts| facts.own)
    }

    fn is_foreign(&self) -> bool {
        self.facts.is_some_and(|facts| !facts.own)
    }
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It follows from the one before, or from the last that was put aside and is found to be genuine.
    Follows,
    /// It does not, and is put aside.
    Aside,
}

/// Something that was done to the lines.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) seq: u64,
    pub(super) last: u64,
    pub(super) place: Option<Place>,
    pub(super) what: String,
}

/// The last line that follows.
#[derive(Clone, Copy)]
struct Tip {
    next: u64,
    hash: Hash,
    place: Option<Place>,
}

/// A line that stands where it does not belong.
struct Displaced {
    hash: Hash,
    seq: u64,
    prev: Hash,
    found: usize,
}

/// A line that should stand somewhere, by its hash.
struct Missing {
    hash: Hash,
    found: usize,
}

pub(super) struct Chain {
    stride: Option<u64>,
    tip: Tip,
    before: Option<Tip>,
    aside: Vec<Seen>,
    /// The bytes of the first line put aside.
    text: Vec<u8>,
    /// Whether the chain was given up and is not found again yet.
    lost: bool,
    tree: Frontier,
    broken: bool,
    displaced: Vec<Displaced>,
    missing: Vec<Missing>,
    pub(super) found: Vec<Found>,
    /// Lines that were read while the chain was lost.
    pub(super) skipped: u64,
}

impl Chain {
    pub(super) fn new(stride: Option<u64>) -> Self {
        Self {
            stride,
            tip: Tip { next: 0, hash: GENESIS, place: None },
            before: None,
            aside: Vec::new(),
            text: Vec::new(),
            lost: false,
            tree: Frontier::default(),
            broken: false,
            displaced: Vec::new(),
            missing: Vec::new(),
            found: Vec::new(),
            skipped: 0,
        }
    }

    /// The number that the next line should have.
    pub(super) fn next(&self) -> u64 {
        self.tip.next
    }

    /// The tree over the lines, as long as none is missing.
    pub(super) fn tree(&self) -> Option<&Frontier> {
        (!self.broken).then_some(&self.tree)
    }

    /// Whether no line is put aside.
    pub(super) fn is_whole(&self) -> bool {
        self.aside.is_empty()
    }

    /// Adds the line that was last said to follow to the tree.
    pub(super) fn grow(&mut self, leaf: Hash) {
        if !self.broken {
            self.tree.push(leaf);
        }
    }

    /// Whether a line would follow.
    pub(super) fn follows(&self, line: &Seen) -> bool {
        line.own().is_some_and(|facts| facts.seq == self.tip.next && facts.prev == self.tip.hash)
    }

    pub(super) fn step(&mut self, line: Seen, text: &[u8]) -> Step {
        if self.follows(&line) {
            if !self.aside.is_empty() {
                let extra = std::mem::take(&mut self.aside);
                self.extra(&extra);
            }
            self.advance(&line);
            return Step::Follows;
        }
        if self.confirms(&line)
            && let Some(genuine) = self.aside.pop()
        {
            let aside = std::mem::take(&mut self.aside);
            self.explain(&aside, &genuine);
            self.advance(&genuine);
            self.advance(&line);
            return Step::Follows;
        }
        if self.aside.is_empty() {
            self.text.clear();
            self.text.extend_from_slice(text);
        }
        self.aside.push(line);
        if self.aside.len() > WINDOW {
            self.give_up();
        }
        Step::Aside
    }

    /// Whether a line follows from the last that was put aside, which is then genuine, unless both are old.
    fn confirms(&self, line: &Seen) -> bool {
        let Some(last) = self.aside.last() else { return false };
        let (Some(facts), Some(earlier)) = (line.own(), last.own()) else { return false };
        let follows = facts.prev == last.hash && earlier.seq.checked_add(1) == Some(facts.seq);
        follows && (earlier.seq >= self.tip.next || self.replaces_tip(earlier))
    }

    /// Whether a line has the place of the tip, as well as the tip.
    fn replaces_tip(&self, facts: Facts) -> bool {
        self.before.is_some_and(|before| facts.seq == before.next && facts.prev == before.hash)
    }

    fn advance(&mut self, line: &Seen) {
        let Some(facts) = line.facts else { return };
        self.before = Some(self.tip);
        self.tip = Tip { next: facts.seq.saturating_add(1), hash: line.hash, place: Some(line.place) };
        self.lost = false;
    }

    fn report(&mut self, kind: Kind, seq: u64, last: u64, place: Option<Place>, what: String) -> usize {
        if !self.lost {
            self.found.push(Found { kind, seq, last, place, what });
        }
        self.found.len().saturating_sub(1)
    }

    fn displace(&mut self, line: &Seen, found: usize) {
        if let Some(facts) = line.own()
            && self.displaced.len() < REMEMBERED
        {
            self.displaced.push(Displaced { hash: line.hash, seq: facts.seq, prev: facts.prev, found });
        }
    }

    fn miss(&mut self, hash: Hash, found: usize) {
        if self.missing.len() < REMEMBERED {
            self.missing.push(Missing { hash, found });
        }
    }

    /// Lines between two that belong together.
    fn extra(&mut self, extra: &[Seen]) {
        let (next, place) = (self.tip.next, extra.first().map(|line| line.place));
        if self.foreign(extra) {
            return;
        }
        let count = extra.len();
        let what = format!("{count} lines stand between events that belong together, before event {next}");
        let found = self.report(Kind::Inserted, next, next, place, what);
        for line in extra {
            self.displace(line, found);
        }
    }

    /// Reports lines of another deployment.
    fn foreign(&mut self, lines: &[Seen]) -> bool {
        let Some(at) = lines.iter().position(Seen::is_foreign) else { return false };
        let count = lines.iter().filter(|line| line.is_foreign()).count() as u64;
        let seq = self.tip.next + at as u64;
        let what = format!("{count} lines are of another deployment");
        self.report(Kind::Foreign, seq, seq + count - 1, Some(lines[at].place), what);
        true
    }

    fn give_up(&mut self) {
        self.broken = true;
        let aside = std::mem::take(&mut self.aside);
        if !self.foreign(&aside) {
            let place = aside.first().map(|line| line.place);
            let what = format!("more than {WINDOW} lines do not belong here");
            self.report(Kind::Edited, self.tip.next, self.tip.next, place, what);
        }
        self.lost = true;
        self.skipped += aside.len() as u64 - 1;
        // The next one may follow from it.
        self.aside.extend(aside.into_iter().last());
    }

    /// Says what was done between the tip and a line that is genuine, from the lines that stand there.
    fn explain(&mut self, aside: &[Seen], genuine: &Seen) {
        self.broken = true;
        let Some(facts) = genuine.facts else { return };
        let (next, end) = (self.tip.next, facts.seq);
        if self.foreign(aside) {
            return;
        }
        if end < next {
            // It has the tip's number, and the chain goes on from it.
            let place = self.tip.place;
            let what = format!("another line with the number {end} stands before event {end}");
            self.report(Kind::Inserted, end, end, place, what);
            return;
        }
        if aside.is_empty() {
            if facts.prev == self.tip.hash {
                let what = format!("the numbers {next} to {} were left out", end - 1);
                self.report(Kind::SequenceGap, next, end - 1, Some(genuine.place), what);
            } else if end == next {
                self.tip_edited(genuine);
            } else {
                self.gap(next, end, facts.prev, genuine);
            }
            return;
        }
        // Back from the genuine line: what it names is genuine too.
        let mut unplaced: Vec<usize> = (0..aside.len()).collect();
        let mut placed = Vec::new();
        let (mut wanted, mut slot) = (facts.prev, end);
        while slot > next {
            let Some(at) = unplaced.iter().position(|at| aside[*at].hash == wanted) else { break };
            let line = unplaced.remove(at);
            placed.push(line);
            wanted = aside[line].facts.map_or(GENESIS, |facts| facts.prev);
            slot -= 1;
        }
        let spare: Vec<&Seen> = unplaced.iter().map(|at| &aside[*at]).collect();
        match (slot - next, spare.first()) {
            (0, Some(first)) => {
                let what = format!("{} lines stand between events that belong together", spare.len());
                let found = self.report(Kind::Inserted, next, end - 1, Some(first.place), what);
                for line in spare {
                    self.displace(line, found);
                }
            }
            (0, None) if placed.is_sorted_by(|a, b| a > b) => self.tip_edited(genuine),
            (0, None) => {
                let what = format!("events {next} to {} stand in another order", end - 1);
                self.report(Kind::Swapped, next, end - 1, Some(aside[0].place), what);
            }
            (_, None) => self.gap(next, slot, wanted, genuine),
            (count, Some(first)) => {
                let said = first.facts.map(|facts| facts.seq).filter(|seq| (next..slot).contains(seq));
                let (seq, last) = match said {
                    Some(seq) if spare.len() == 1 => (seq, seq),
                    _ => (next, next + count - 1),
                };
                let what = format!("event {seq} is not the line that was written");
                let found = self.report(Kind::Edited, seq, last, Some(first.place), what);
                for line in spare {
                    self.displace(line, found);
                }
                self.miss(wanted, found);
            }
        }
    }

    fn tip_edited(&mut self, behind: &Seen) {
        let next = self.tip.next;
        if next == 0 {
            let what = "the first event names one before it: it is the continuation of another log".to_owned();
            self.report(Kind::Foreign, 0, 0, Some(behind.place), what);
        } else {
            let what = format!("event {} is not the line that was written: event {next} names another", next - 1);
            self.report(Kind::Edited, next - 1, next - 1, self.tip.place, what);
        }
    }

    /// Lines are missing before a genuine one, which names the last of them.
    fn gap(&mut self, from: u64, to: u64, wanted: Hash, genuine: &Seen) {
        // A segment that begins where it says, behind a whole one.
        let begins = genuine.place.line == 1 && genuine.place.segment == to;
        let whole = self.stride.is_none_or(|stride| from.is_multiple_of(stride));
        let (kind, what) = if begins && whole {
            (Kind::SegmentMissing, format!("the segments with events {from} to {} are missing", to - 1))
        } else {
            (Kind::Removed, format!("events {from} to {} are missing", to - 1))
        };
        let found = self.report(kind, from, to - 1, Some(genuine.place), what);
        self.miss(wanted, found);
    }

    /// Nothing more comes. `promised` is the size that some head says the log has; `holds` says whether a head
    /// of a size has a root.
    pub(super) fn end(&mut self, promised: u64, holds: &dyn Fn(u64, Hash) -> bool) {
        let mut aside = std::mem::take(&mut self.aside);
        if !aside.is_empty() {
            if self.lost {
                self.skipped += aside.len() as u64;
            } else if !self.foreign(&aside) {
                let next = self.tip.next;
                let genuine = aside.last().and_then(Seen::own).is_some_and(|facts| {
                    facts.seq > next && facts.prev != self.tip.hash && facts.seq < promised.max(next + 2)
                        || facts.seq == next && aside.len() > 1
                });
                if genuine && let Some(line) = aside.pop() {
                    self.explain(&aside, &line);
                    self.advance(&line);
                } else if let [line] = &aside[..] {
                    self.last_line(line, promised, holds);
                } else {
                    self.replaced(&aside, promised);
                }
            }
            self.broken = true;
        }
        self.match_up(promised);
    }

    /// A single line is left, at the end.
    fn last_line(&mut self, line: &Seen, promised: u64, holds: &dyn Fn(u64, Hash) -> bool) {
        let next = self.tip.next;
        match line.own() {
            Some(facts) if self.replaces_tip(facts) && next >= promised => {
                let what = format!("two lines have the number {}", facts.seq);
                self.report(Kind::Inserted, facts.seq, facts.seq, Some(line.place), what);
            }
            // Either it was edited where it names the tip, or the tip was: the head over both tells.
            Some(facts) if facts.seq == next && next > 0 && !self.repaired_holds(facts.prev, holds) => {
                self.tip_edited(line);
            }
            _ => self.replaced(std::slice::from_ref(line), promised),
        }
    }

    /// Whether the line put aside, made to name the tip, gives a root that some head has.
    fn repaired_holds(&self, named: Hash, holds: &dyn Fn(u64, Hash) -> bool) -> bool {
        let (Ok(text), false) = (std::str::from_utf8(&self.text), self.broken) else { return false };
        let repaired = text.replacen(&hexadecimal(&named), &hexadecimal(&self.tip.hash), 1);
        let mut tree = self.tree.clone();
        tree.push(merkle::leaf(repaired.as_bytes()));
        holds(tree.size(), tree.root())
    }

    /// Lines at the end stand for others, or for none.
    fn replaced(&mut self, lines: &[Seen], promised: u64) {
        let next = self.tip.next;
        let place = lines.first().map(|line| line.place);
        let found = if next < promised {
            let last = (next + lines.len() as u64).min(promised) - 1;
            let what = format!("event {next} is not the line that was written");
            self.report(Kind::Edited, next, last, place, what)
        } else {
            let what = format!("{} lines behind the last event do not belong to the log", lines.len());
            self.report(Kind::Inserted, next, next, place, what)
        };
        for line in lines {
            self.displace(line, found);
        }
    }

    /// Lines that are missing in one place and stand in another were moved.
    fn match_up(&mut self, promised: u64) {
        let mut pairs = Vec::new();
        for displaced in &self.displaced {
            pairs.extend(
                self.missing
                    .iter()
                    .filter(|missing| missing.hash == displaced.hash)
                    .map(|missing| (missing.found, displaced.found)),
            );
            // The last of all has none behind it to name it.
            if displaced.seq == self.tip.next && displaced.seq < promised && displaced.prev == self.tip.hash {
                let found = &mut self.found[displaced.found];
                found.last = found.last.max(displaced.seq);
                pairs.push((displaced.found, displaced.found));
            }
        }
        let mut gone = Vec::new();
        for (one, other) in pairs {
            let (first, second) = (one.min(other), one.max(other));
            let (seq, last) = (self.found[second].seq, self.found[second].last);
            let found = &mut self.found[first];
            found.seq = found.seq.min(seq);
            found.last = found.last.max(last);
            found.kind = Kind::Swapped;
            found.what = format!("events {} and {} do not stand where they belong", found.seq, found.last);
            if second != first {
                gone.push(second);
            }
        }
        gone.sort_unstable();
        gone.dedup();
        for at in gone.into_iter().rev() {
            self.found.remove(at);
        }
    }
}
