//! A look that was ended before it had listed everything: what it listed is kept for a while, and the next look of the same
//! schedule goes on from there.
//!
//! Only complete listings are taken over, and of an account and kind of which some part was not seen, none. Nothing else
//! rests on what is kept: where it cannot be read, is of another release or other rules, or is not fresh, everything is
//! listed anew. A survey that goes on is of the instant at which the first of its looks was ended, so that nothing counts as
//! older than was known then; what changes a cloud reads again.

use crate::{
    answers::{Answer, Answers},
    inventory::{Covered, Inventory, Status},
    kind::KindSpec,
    model::Timestamp,
    shard::Listed,
    store::{DeleteOutcome, PutOutcome, Store, StoreError, Version, document},
};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// How long listings are gone on from, seconds after the first of the looks began.
pub const FRESH: i64 = 3600;

/// How much is kept, bytes: what a state in a bucket takes at once, and a small function has room for.
pub const LARGEST: usize = 32 << 20;

const FORMAT: &str = "sweeper.begun/1";
/// How causes begin that say that there was no time.
const CUT: &str = "out of time";

/// What says of a look that it is the one that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Same<'a> {
    pub schedule: &'a str,
    /// The release: others may list otherwise.
    pub tool: &'a str,
    /// A digest of what is looked at and by which rules.
    pub rules: &'a str,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    schedule: String,
    tool: String,
    rules: String,
    began: Timestamp,
    taken_at: Timestamp,
    listings: usize,
}

/// Listings to go on from.
pub struct Begun {
    /// When the first of the looks began.
    pub began: Timestamp,
    /// When it was ended.
    pub taken_at: Timestamp,
    /// How many listings were complete.
    pub listings: usize,
    pub(crate) inventory: Inventory,
}

/// What lies in the state.
pub struct Found {
    version: Version,
    /// `None`: not to be gone on from.
    pub begun: Option<Begun>,
}

fn key(schedule: &str) -> String {
    format!("job/begun/{}", document::part(schedule))
}

/// Whether a look was ended by its time.
pub fn is_cut(inventory: &Inventory, answers: &Answers) -> bool {
    let cut = |why: &str| why.starts_with(CUT);
    let listing = |covered: &Covered| {
        matches!(&covered.status, Status::Blind { why } if cut(why)) || covered.hidden.iter().any(|why| cut(why))
    };
    inventory.coverage().into_iter().any(|(.., covered)| listing(covered))
        || answers.iter().any(|(_, answer)| matches!(answer, Answer::Unseen(why) if cut(why)))
}

/// Whether a listing can be gone on from.
pub(crate) fn is_whole(covered: &Covered) -> bool {
    covered.status == Status::Complete && covered.hidden.is_empty()
}

/// What an earlier look left.
///
/// # Errors
/// A state that cannot be read.
pub fn load(
    store: &dyn Store,
    same: Same<'_>,
    specs: &[&'static KindSpec],
    now: Timestamp,
) -> Result<Option<Found>, StoreError> {
    let Some((bytes, version)) = store.get(&key(same.schedule))? else { return Ok(None) };
    Ok(Some(Found { version, begun: read(&bytes, same, specs, now) }))
}

fn read(bytes: &[u8], same: Same<'_>, specs: &[&'static KindSpec], now: Timestamp) -> Option<Begun> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let head: Head = serde_json::from_slice(bytes.get(..end)?).ok()?;
    let is_same = head.format == FORMAT
        && head.schedule == same.schedule
        && head.tool == same.tool
        && head.rules == same.rules
        && head.began <= head.taken_at
        && head.taken_at <= now
        && now.since(head.began) <= FRESH;
    if !is_same {
        return None;
    }
    let mut rest = serde_json::Deserializer::from_slice(bytes.get(end + 1..)?);
    let inventory = Inventory::read(&mut rest, specs).ok()?;
    rest.end().ok()?;
    Some(Begun { began: head.began, taken_at: head.taken_at, listings: head.listings, inventory })
}

/// Keeps what a look listed that was ended, in place of what it went on from. How many listings that is, and until when the
/// next may go on from them; `None`, where it got no further, holds too much, or somebody else keeps something.
///
/// # Errors
/// A state that cannot be written.
pub fn keep(
    store: &dyn Store,
    same: Same<'_>,
    found: Option<(Version, usize)>,
    (began, taken_at): (Timestamp, Timestamp),
    inventory: &Inventory,
) -> Result<Option<(usize, Timestamp)>, StoreError> {
    let listings = inventory.coverage().into_iter().filter(|(.., covered)| is_whole(covered)).count();
    if listings <= found.map_or(0, |(_, before)| before) {
        return Ok(None);
    }
    let head = Head {
        format: FORMAT.to_owned(),
        schedule: same.schedule.to_owned(),
        tool: same.tool.to_owned(),
        rules: same.rules.to_owned(),
        began,
        taken_at,
        listings,
    };
    let mut out = Bounded(Vec::new());
    let written = serde_json::to_writer(&mut out, &head)
        .map_err(io::Error::from)
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| Ok(serde_json::to_writer(&mut out, &Listed(inventory))?));
    if written.is_err() {
        return Ok(None);
    }
    let expected = found.map(|(version, _)| version);
    Ok(match store.put_if(&key(same.schedule), &out.0, expected)? {
        PutOutcome::Stored(_) => Some((listings, began.plus(FRESH))),
        PutOutcome::Conflict(_) => None,
    })
}

/// Forgets what a look went on from that came to its end.
///
/// # Errors
/// A state that cannot be written.
pub fn forget(store: &dyn Store, schedule: &str, version: Version) -> Result<DeleteOutcome, StoreError> {
    store.delete_if(&key(schedule), version)
}

impl Found {
    /// For [`keep`] and [`forget`].
    pub fn version(&self) -> Version {
        self.version
    }
}

/// Takes no more than is kept.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LARGEST {
            return Err(io::Error::other("too large"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
