//! The baseline: from when on a house counts. What was first found until then is its backlog; alerts and objectives
//! count only what is new since.
//!
//! It is an instant, of everything or of single policies, and no list: the ledger's clocks say since when something has
//! been found. What was mended and comes back has a new clock, and is new.

use crate::{
    ledger::LedgerSlice,
    model::Timestamp,
    policy::Policy,
    store::{
        Store, StoreError,
        document::{self, Document, Next},
    },
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const KEY: &str = "baseline";
/// Policies that may have one of their own.
const MOST: usize = 1_000;

/// One instant, and who drew the line there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub at: Timestamp,
    pub by: String,
    /// Clocks that ran then: the backlog.
    pub findings: u64,
}

/// From when on a house counts; nothing is backlog where no line was drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Of every policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<Line>,
    /// Of single ones, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<String, Line>,
    /// Why it is not known, where that is so.
    #[serde(skip)]
    pub trouble: Option<String>,
}

impl Document for Baseline {
    const FORMAT: &'static str = "sweeper.baseline";
}

impl Baseline {
    /// Whether no line was drawn.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The last line that was drawn.
    pub fn last(&self) -> Option<Timestamp> {
        self.all.iter().chain(self.policies.values()).map(|line| line.at).max()
    }

    /// The later of a policy's own line and that of all.
    pub fn since(&self, policy: &str) -> Option<Timestamp> {
        let own = self.policies.get(policy).map(|line| line.at);
        own.max(self.all.as_ref().map(|line| line.at))
    }

    /// Whether something that a policy has found since an instant is backlog. What is not known is new.
    pub fn is_backlog(&self, policy: &str, first_found: Option<Timestamp>) -> bool {
        self.since(policy).zip(first_found).is_some_and(|(line, first)| first <= line)
    }
}

/// The baseline of a house; none was drawn where there is no document.
pub fn load(store: &dyn Store) -> Result<Baseline, StoreError> {
    Ok(document::read::<Baseline>(store, KEY)?.map(|(baseline, _)| baseline).unwrap_or_default())
}

/// Draws the line: of everything, or of some policies. Gives the backlog of each, in the order of `policies`.
pub fn set(
    store: &dyn Store,
    ledger: &LedgerSlice,
    policies: &[&Policy],
    at: Timestamp,
    by: &str,
) -> Result<Vec<u64>, StoreError> {
    let of =
        |rule: Option<&str>| ledger.iter().filter(|(key, _)| rule.is_none_or(|rule| key.rule() == rule)).count() as u64;
    let line = |findings: u64| Line { at, by: by.to_owned(), findings };
    let counts: Vec<u64> =
        if policies.is_empty() { vec![of(None)] } else { policies.iter().map(|own| of(Some(&own.rule))).collect() };
    document::update(store, KEY, |known: Option<Baseline>| {
        let mut baseline = known.unwrap_or_default();
        if policies.is_empty() {
            // One line for all: those drawn earlier for single policies lie behind it.
            baseline = Baseline { all: Some(line(counts[0])), ..Baseline::default() };
        }
        for (policy, count) in policies.iter().zip(&counts) {
            baseline.policies.insert(policy.name.clone(), line(*count));
        }
        if baseline.policies.len() > MOST {
            return Err(StoreError::Failed(format!("more than {MOST} policies have a baseline of their own")));
        }
        Ok(Next::Write(baseline, ()))
    })?;
    Ok(counts)
}

/// Takes every line away. Whether there was one.
pub fn clear(store: &dyn Store) -> Result<bool, StoreError> {
    document::update(store, KEY, |known: Option<Baseline>| {
        let was = known.is_some_and(|known| known != Baseline::default());
        Ok(if was { Next::Write(Baseline::default(), true) } else { Next::Keep(false) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::{LedgerKey, Sighting, State},
        store::MemoryStore,
    };

    #[test]
    fn what_was_there_is_backlog_and_what_comes_back_is_new() {
        let store = MemoryStore::new();
        let clock = |rule: &str, uid: &str, first: i64| {
            let sighting = Sighting {
                first_found: Timestamp(first),
                observed: 0,
                last_seen: Timestamp(first),
                last_state: State::Found,
                complete_sightings: 1,
                counted_at: Timestamp(first),
                region: "r".into(),
                told: Box::default(),
            };
            (LedgerKey::of(rule, "aws.ec2-volume", "1", uid, None), sighting)
        };
        let ledger = LedgerSlice::from_iter([clock("a", "1", 10), clock("a", "2", 20), clock("b", "1", 20)]);
        assert_eq!(load(&store), Ok(Baseline::default()));
        assert!(!load(&store).unwrap().is_backlog("p", Some(Timestamp(1))));
        assert_eq!(clear(&store), Ok(false));
        assert_eq!(set(&store, &ledger, &[], Timestamp(20), "alice"), Ok(vec![3]));
        let baseline = load(&store).unwrap();
        for (first, backlog) in [(Some(10), true), (Some(20), true), (Some(21), false), (None, false)] {
            assert_eq!(baseline.is_backlog("p", first.map(Timestamp)), backlog, "{first:?}");
        }
        assert_eq!(clear(&store), Ok(true));
        assert!(!load(&store).unwrap().is_backlog("p", Some(Timestamp(10))));
    }

    #[test]
    fn a_policy_has_its_own_and_the_later_counts() {
        let line = |at: i64| Line { at: Timestamp(at), by: "alice".to_owned(), findings: 0 };
        let mut baseline = Baseline {
            policies: BTreeMap::from([("p".to_owned(), line(30)), ("q".to_owned(), line(5))]),
            ..Baseline::default()
        };
        assert!(baseline.is_backlog("p", Some(Timestamp(30))) && !baseline.is_backlog("o", Some(Timestamp(1))));
        baseline.all = Some(line(20));
        assert_eq!(baseline.since("p"), Some(Timestamp(30)));
        assert_eq!(baseline.since("q"), Some(Timestamp(20)));
        assert_eq!(baseline.since("o"), Some(Timestamp(20)));
    }
}
