//! Leases of ephemeral environments: until when what was made for a branch, a demo or a test is needed.
//!
//! A lease says which resources it covers (those tagged `sweeper-lease = <id>`, and those that carry every tag of its
//! selector), whose they are and until when. It ends when it is released, when its time is over, or when heartbeats that
//! were agreed stay away. What a live lease covers is held; what a lease covered that ended is `expired`. A lease that
//! cannot be read holds everything: what is not known to have ended may be in use.
//!
//! *Drift* is tolerated as each lease states it: so many heartbeats in a row may be missing, and clocks may be apart by
//! so much, which is waited for beyond every end but a release. A heartbeat that comes late, before the time is over,
//! finds the lease live again: whoever sends it is there. Times only move forward, whoever's clock is behind.
//!
//! Leases are kept in 16 documents by the digest of their id, so that a look reads few, and none grows without bound.

use crate::{
    detect::View,
    house::{is_account, same_key},
    inventory::{Resource, is_within},
    model::{DAY, Timestamp},
    store::{
        Store, StoreError,
        document::{self, Document, Next},
    },
    ttl,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// The tag by which a resource itself names its lease.
pub const TAG: &str = "sweeper-lease";
/// The longest that a lease may run from its grant where nobody says, seconds.
pub const LENGTH: i64 = 14 * DAY;
/// Heartbeats in a row that may be missing where nobody says.
pub const MISSED: u32 = 3;
/// How far clocks may be apart where nobody says, seconds.
pub const SKEW: i64 = 300;
/// The shortest time between heartbeats that may be agreed, seconds.
pub const LEAST_HEARTBEAT: i64 = 10;
/// How far apart clocks may be said to be, seconds, at most.
pub const MOST_SKEW: i64 = DAY;
/// How long one that ended is remembered, seconds: that long what it covered is found by it.
pub const MEMORY: i64 = 90 * DAY;
/// Tags of a selector, and accounts or regions that a lease names, at most.
const MOST_TAGS: usize = 8;
const MOST_PLACES: usize = 50;
/// The longest text of a lease, bytes: as long as the longest value of a tag.
const LONGEST: usize = 256;
/// Leases in one document, at most.
const MOST_EACH: usize = 128;
const PLACES: &str = "environments/";
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A lease, without what proves that somebody may speak for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Small letters, digits and `-`, at most 63: fit for the tags and labels of every cloud.
    pub id: String,
    pub owner: String,
    /// All of these, besides the tag that names the lease. Empty: only that tag.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// `aws:111122223333`, `gcp:*`; empty: everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<String>,
    /// Regions, with their zones; empty: everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    pub granted: Timestamp,
    /// When it ends unless renewed.
    pub until: Timestamp,
    /// How long it may run from its grant, whoever renews it, seconds.
    pub max_length: i64,
    /// How often a heartbeat is to come, seconds; without one, none is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<i64>,
    /// Heartbeats in a row that may be missing.
    pub missed: u32,
    /// How far clocks may be apart, seconds.
    pub skew: i64,
    /// When the last heartbeat came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beat: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Timestamp>,
}

/// Why a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Released,
    /// Its time is over.
    RanOut,
    /// Heartbeats stayed away.
    Silent,
}

impl Ended {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::RanOut => "ran out",
            Self::Silent => "silent",
        }
    }
}

/// Whether a lease holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Until then, if nobody renews it and no heartbeat comes.
    Live(Timestamp),
    /// Since then.
    Ended(Timestamp, Ended),
}

impl Environment {
    /// When it ends, as things stand, and why. Without the tolerance for clocks.
    fn end(&self) -> (Timestamp, Ended) {
        if let Some(at) = self.released {
            return (at, Ended::Released);
        }
        let silent = self.heartbeat.map(|every| {
            let last = self.beat.unwrap_or(self.granted);
            last.plus(every.saturating_mul(i64::from(self.missed).saturating_add(1)))
        });
        match silent.filter(|silent| *silent < self.until) {
            Some(silent) => (silent, Ended::Silent),
            None => (self.until, Ended::RanOut),
        }
    }

    /// Whether it holds now.
    pub fn standing(&self, now: Timestamp) -> Standing {
        let (end, why) = self.end();
        let over = why == Ended::Released || now > end.plus(self.skew);
        if over { Standing::Ended(end, why) } else { Standing::Live(end) }
    }

    /// The latest that it may be renewed to.
    pub fn latest(&self) -> Timestamp {
        self.granted.plus(self.max_length)
    }

    /// Whether it covers a resource with these tags, and whether the resource itself names it.
    fn covers(&self, resource: Resource<'_>, tags: &[(&str, &str)]) -> Option<ByName> {
        let is_in = |list: &[String], fits: &dyn Fn(&String) -> bool| list.is_empty() || list.iter().any(fits);
        if !is_in(&self.accounts, &|own| is_account(own, resource.cloud(), resource.account()))
            || !is_in(&self.regions, &|own| is_within(resource.region(), own))
        {
            return None;
        }
        let has = |key: &str, value: &str| tags.iter().any(|(own, is)| same_key(own, key) && *is == value);
        if has(TAG, &self.id) {
            return Some(ByName(true));
        }
        let all = !self.tags.is_empty() && self.tags.iter().all(|(key, value)| has(key, value));
        all.then_some(ByName(false))
    }

    /// Its selector as people write it.
    pub fn selector(&self) -> Vec<String> {
        let tags = self.tags.iter().map(|(key, value)| format!("{key}={value}"));
        let own = [format!("{TAG}={}", self.id)];
        tags.chain(own).chain(self.accounts.iter().cloned()).chain(self.regions.iter().cloned()).collect()
    }

    /// What is wrong with it as it is asked for.
    fn problem(&self, now: Timestamp) -> Option<String> {
        let short = |text: &String| !text.trim().is_empty() && text.len() <= LONGEST;
        if !is_id(&self.id) {
            return Some(format!("`{}` is no id: small letters, digits and `-`, at most 63", self.id));
        }
        if !short(&self.owner) {
            return Some(format!("its owner is empty, or longer than {LONGEST} bytes"));
        }
        if self.tags.len() > MOST_TAGS || !self.tags.iter().all(|(key, value)| short(key) && short(value)) {
            return Some(format!("a selector is at most {MOST_TAGS} tags, each `key=value` with neither empty"));
        }
        let places = [&self.accounts, &self.regions];
        if places.iter().any(|list| list.len() > MOST_PLACES || !list.iter().all(short)) {
            return Some(format!("a lease names at most {MOST_PLACES} accounts and as many regions"));
        }
        if self.heartbeat.is_some_and(|every| every < LEAST_HEARTBEAT || every > self.max_length) {
            return Some(format!("heartbeats come every {LEAST_HEARTBEAT} seconds at most, and more often than never"));
        }
        if !(0..=MOST_SKEW).contains(&self.skew) {
            return Some(format!("clocks may be apart by up to {}", ttl::spoken(MOST_SKEW)));
        }
        (self.until <= now).then(|| "its end is over already".to_owned())
    }
}

/// Whether a resource names its lease itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByName(pub bool);

/// Whether a text may be a lease's id.
pub fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-') && !text.ends_with('-')
}

/// What whoever has a token proves that with: its SHA-256, which is all that is kept of it.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proof([u8; 32]);

impl std::fmt::Debug for Proof {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Proof(…)")
    }
}

impl Proof {
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether it is the same, told in the same time wherever they differ.
    fn is(&self, other: &Self) -> bool {
        let apart = self.0.iter().zip(&other.0).fold(0, |apart, (own, other)| apart | (own ^ other));
        std::hint::black_box(apart) == 0
    }
}

/// A lease as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    lease: Environment,
    proof: Proof,
}

/// One of the documents: leases by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Shelf(BTreeMap<String, Kept>);

impl Document for Shelf {
    const FORMAT: &'static str = "sweeper.environments";
}

impl Shelf {
    /// Forgets what ended long ago.
    fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, kept| match kept.lease.standing(now) {
            Standing::Live(_) => true,
            Standing::Ended(at, _) => now.since(at) < MEMORY,
        });
    }
}

fn place(id: &str) -> String {
    let digest = crate::plan::sha256(id.as_bytes());
    format!("{PLACES}{}", digest.get(..1).unwrap_or("0"))
}

/// Why a lease cannot be had, or changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EnvironmentError {
    /// None has this id, or its token is another: which of the two is not said.
    #[error("there is no such lease")]
    NotThere,
    #[error("there is a lease `{0}` already, which holds until {1}")]
    Exists(String, Timestamp),
    #[error("too many leases are kept: release some")]
    TooMany,
    #[error("it may not run longer than {0} from its grant, until {1}")]
    TooLong(String, Timestamp),
    #[error("it ended {0}: {1}")]
    Over(Timestamp, &'static str),
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Outcome<T> = Result<T, EnvironmentError>;

/// Grants a lease to whoever has the token of the proof.
pub fn grant(store: &dyn Store, lease: &Environment, proof: Proof, now: Timestamp) -> Outcome<()> {
    if let Some(problem) = lease.problem(now) {
        return Err(EnvironmentError::Invalid(problem));
    }
    if lease.until > lease.latest() {
        return Err(EnvironmentError::TooLong(ttl::spoken(lease.max_length), lease.latest()));
    }
    document::update(store, &place(&lease.id), |known: Option<Shelf>| {
        let mut shelf = known.unwrap_or_default();
        shelf.forget(now);
        if let Some(Standing::Live(until)) = shelf.0.get(&lease.id).map(|kept| kept.lease.standing(now)) {
            return Ok(Next::Keep(Err(EnvironmentError::Exists(lease.id.clone(), until))));
        }
        if shelf.0.len() >= MOST_EACH && !shelf.0.contains_key(&lease.id) {
            return Ok(Next::Keep(Err(EnvironmentError::TooMany)));
        }
        shelf.0.insert(lease.id.clone(), Kept { lease: lease.clone(), proof });
        Ok(Next::Write(shelf, Ok(())))
    })?
}

/// Who asks for a change.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// Somebody who may write the state.
    House,
    /// Somebody who shows a token.
    Bearer(&'a Proof),
}

/// Changes a lease that is there. Whether there is none, or the token is another, looks the same from outside.
fn change(
    store: &dyn Store,
    id: &str,
    by: By<'_>,
    now: Timestamp,
    mut with: impl FnMut(&mut Environment, &mut Proof) -> Outcome<()>,
) -> Outcome<Environment> {
    // Compared with where there is none, so that both take the same steps.
    let nobody = Proof::of("");
    document::update(store, &place(id), |known: Option<Shelf>| {
        let mut shelf = known.unwrap_or_default();
        let kept = shelf.0.get_mut(id);
        let proof = kept.as_ref().map_or(&nobody, |kept| &kept.proof);
        let allowed = match by {
            By::House => true,
            By::Bearer(shown) => proof.is(shown),
        };
        let Some(kept) = kept.filter(|_| allowed) else { return Ok(Next::Keep(Err(EnvironmentError::NotThere))) };
        let before = kept.clone();
        if let Err(error) = with(&mut kept.lease, &mut kept.proof) {
            return Ok(Next::Keep(Err(error)));
        }
        let lease = kept.lease.clone();
        if *kept == before {
            return Ok(Next::Keep(Ok(lease)));
        }
        shelf.forget(now);
        Ok(Next::Write(shelf, Ok(lease)))
    })?
}

/// Lets a lease run until then; it may have run out meanwhile, and not been released.
pub fn renew(store: &dyn Store, id: &str, until: Timestamp, now: Timestamp) -> Outcome<Environment> {
    change(store, id, By::House, now, |lease, _| {
        if let Some(at) = lease.released {
            return Err(EnvironmentError::Over(at, Ended::Released.name()));
        }
        if until > lease.latest() {
            return Err(EnvironmentError::TooLong(ttl::spoken(lease.max_length), lease.latest()));
        }
        if until <= now {
            return Err(EnvironmentError::Invalid("its end is over already".to_owned()));
        }
        lease.until = until;
        // Whoever renews it is there.
        lease.beat = lease.beat.max(lease.heartbeat.map(|_| now));
        Ok(())
    })
}

/// Gives a lease another token; the one before is none any more.
pub fn rotate(store: &dyn Store, id: &str, new: Proof, now: Timestamp) -> Outcome<Environment> {
    change(store, id, By::House, now, |_, proof| {
        *proof = new;
        Ok(())
    })
}

/// Ends a lease now. One that was released stays as it is.
pub fn release(store: &dyn Store, id: &str, by: By<'_>, now: Timestamp) -> Outcome<Environment> {
    change(store, id, by, now, |lease, _| {
        lease.released = lease.released.or(Some(now));
        Ok(())
    })
}

/// Notes that an environment is alive. One whose time is over, or that was released, stays ended. Heartbeats that come
/// sooner than a quarter of what was agreed are heard and not written.
pub fn beat(store: &dyn Store, id: &str, by: By<'_>, now: Timestamp) -> Outcome<Environment> {
    change(store, id, by, now, |lease, _| {
        if let Some(at) = lease.released {
            return Err(EnvironmentError::Over(at, Ended::Released.name()));
        }
        if now > lease.until.plus(lease.skew) {
            return Err(EnvironmentError::Over(lease.until, Ended::RanOut.name()));
        }
        let soon = lease.heartbeat.unwrap_or(60) / 4;
        if lease.beat.is_none_or(|last| now.since(last) >= soon) {
            lease.beat = lease.beat.max(Some(now));
        }
        Ok(())
    })
}

/// What is known of leases: part of the house, so that whoever judges has it, and a survey seals it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Sealed", into = "Sealed")]
pub struct Environments {
    leases: Vec<Environment>,
    /// Why some are not known.
    unread: Vec<String>,
    /// By a value that what they cover must carry: of the first tag of their selector, and their id.
    by_value: BTreeMap<String, Vec<u32>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    leases: Vec<Environment>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unread: Vec<String>,
}

impl From<Sealed> for Environments {
    fn from(sealed: Sealed) -> Self {
        Self::new(sealed.leases, sealed.unread)
    }
}

impl From<Environments> for Sealed {
    fn from(known: Environments) -> Self {
        Self { leases: known.leases, unread: known.unread }
    }
}

impl Environments {
    /// Of leases in the order of their ids, and why others are not known.
    pub fn new(mut leases: Vec<Environment>, unread: Vec<String>) -> Self {
        leases.sort_by(|one, other| one.id.cmp(&other.id));
        let mut by_value: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (at, lease) in (0_u32..).zip(&leases) {
            let first = lease.tags.values().next().filter(|value| **value != lease.id);
            for value in [Some(&lease.id), first].into_iter().flatten() {
                by_value.entry(value.clone()).or_default().push(at);
            }
        }
        Self { leases, unread, by_value }
    }

    /// Where none can be read.
    pub fn unread(why: impl Into<String>) -> Self {
        Self::new(Vec::new(), vec![why.into()])
    }

    pub fn is_empty(&self) -> bool {
        self.leases.is_empty() && self.unread.is_empty()
    }

    /// All that are known, by id.
    pub fn leases(&self) -> &[Environment] {
        &self.leases
    }

    /// Why some are not known, if that is so.
    pub fn trouble(&self) -> Option<&str> {
        self.unread.first().map(String::as_str)
    }

    /// Those that cover a resource with these tags, by id.
    pub fn covering(&self, resource: Resource<'_>, tags: &[(&str, &str)]) -> Vec<(&Environment, ByName)> {
        if self.leases.is_empty() {
            return Vec::new();
        }
        let values = tags.iter().filter_map(|(_, value)| self.by_value.get(*value)).flatten();
        let places: BTreeSet<u32> = values.copied().collect();
        let leases = places.into_iter().filter_map(|at| self.leases.get(at as usize));
        leases.filter_map(|lease| Some((lease, lease.covers(resource, tags)?))).collect()
    }

    /// Whether a lease of this id is known.
    pub fn knows(&self, id: &str) -> bool {
        self.leases.binary_search_by(|lease| lease.id.as_str().cmp(id)).is_ok()
    }

    /// Why a resource is left alone: it is leased, or whether it is cannot be told.
    pub(crate) fn hold<'a>(&self, view: &View<'a>, resource: Resource<'a>) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let tags = view.tags(resource).ok()?;
        let live = self.covering(resource, &tags).into_iter().find_map(|(lease, _)| match lease.standing(view.now) {
            Standing::Live(end) => Some(format!("leased: until {end}, `{}` of {}", lease.id, lease.owner)),
            Standing::Ended(..) => None,
        });
        live.or_else(|| self.trouble().map(|why| format!("leases not readable: {why}")))
    }
}

/// All leases that are remembered; what cannot be read is said, and hides no other.
pub fn load(store: &dyn Store) -> Environments {
    let mut leases = Vec::new();
    let mut unread = Vec::new();
    let keys = match store.list(PLACES) {
        Ok(keys) => keys,
        Err(error) => return Environments::unread(error.to_string()),
    };
    // None but ours is looked at, so that however many keys there are, few are read.
    for key in DIGITS.iter().map(|digit| format!("{PLACES}{}", char::from(*digit))) {
        if !keys.contains(&key) {
            continue;
        }
        match document::read::<Shelf>(store, &key) {
            Ok(shelf) => leases.extend(shelf.into_iter().flat_map(|(shelf, _)| shelf.0).map(|(_, kept)| kept.lease)),
            Err(error) => unread.push(error.to_string()),
        }
    }
    Environments::new(leases, unread)
}

#[cfg(test)]
mod tests;
