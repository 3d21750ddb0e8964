//! Taking shards where nobody hands out numbers: a process claims one, says again and again that it is at it, and
//! another takes it over when that falls silent.
//!
//! Silence is measured by the clock of whoever waits, from when it first saw the claim as it is, so that no two clocks
//! need to agree. A claim only saves work: two processes at one shard are no harm, since the first seal counts.

use super::{Run, ShardError, Shelf, Stage, is_sealed};
use crate::clock::Clock;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How often a claim is said again.
pub const RENEW: Duration = Duration::from_secs(20);
/// A claim that was not said again for so long is free.
const SILENT: Duration = Duration::from_secs(90);

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// This is ours: a shard, and which saying of its claim it is.
    Work(u32, u32),
    /// Others are at what is left.
    Wait,
    /// Nothing is left.
    Done,
}

/// The claims of a run as one process sees them.
pub struct Claims<'a> {
    shelf: &'a dyn Shelf,
    run: &'a Run,
    stage: Stage,
    clock: Arc<dyn Clock>,
    /// Which saying of each claim was last seen, and since when.
    seen: BTreeMap<u32, (u32, Duration)>,
    /// Shards that are known to be sealed.
    sealed: Vec<bool>,
}

impl<'a> Claims<'a> {
    pub fn new(shelf: &'a dyn Shelf, run: &'a Run, stage: Stage, clock: Arc<dyn Clock>) -> Self {
        let sealed = vec![false; run.shards as usize];
        Self { shelf, run, stage, clock, seen: BTreeMap::new(), sealed }
    }

    fn key(&self, shard: u32, saying: u32) -> String {
        self.run.key(&format!("claim-{}-{shard}.{saying}", self.stage))
    }

    /// The last saying of each claim.
    fn sayings(&self) -> Result<BTreeMap<u32, u32>, ShardError> {
        let prefix = self.run.key(&format!("claim-{}-", self.stage));
        let mut sayings = BTreeMap::new();
        for key in self.shelf.list(&prefix)? {
            let Some((shard, saying)) = key.strip_prefix(&prefix).and_then(|rest| rest.split_once('.')) else {
                continue;
            };
            if let (Ok(shard), Ok(saying)) = (shard.parse::<u32>(), saying.parse::<u32>()) {
                let last = sayings.entry(shard).or_insert(saying);
                *last = saying.max(*last);
            }
        }
        Ok(sayings)
    }

    /// Claims what is free.
    pub fn take(&mut self) -> Result<Next, ShardError> {
        let sayings = self.sayings()?;
        let now = self.clock.mono();
        let mut left = false;
        for shard in 0..self.run.shards {
            let done = self.sealed[shard as usize] || is_sealed(self.shelf, self.run, self.stage, shard)?;
            self.sealed[shard as usize] = done;
            if done {
                continue;
            }
            left = true;
            let saying = sayings.get(&shard).copied();
            let free = match saying {
                None => true,
                Some(saying) => {
                    let seen = self.seen.entry(shard).or_insert((saying, now));
                    if seen.0 != saying {
                        *seen = (saying, now);
                    }
                    now.saturating_sub(seen.1) >= SILENT
                }
            };
            let next = saying.unwrap_or(0) + 1;
            if free && self.say(shard, next)? {
                return Ok(Next::Work(shard, next));
            }
        }
        Ok(if left { Next::Wait } else { Next::Done })
    }

    /// Says a claim again. `false`: another has taken it over.
    pub fn say(&self, shard: u32, saying: u32) -> Result<bool, ShardError> {
        Ok(self.shelf.create(&self.key(shard, saying), b"{}")?)
    }
}
