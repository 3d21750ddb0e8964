//! What a house accepts not to see, where, why and until when.

use crate::{
    kind::KindSpec,
    model::{Scope, Timestamp},
    policy::glob,
};
use serde::{Deserialize, Serialize};

/// One `[[waiver]]` of `sweeper.toml`. A blind place it covers does not change the exit code, and verdicts
/// that rest on it say so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// `aws:111122223333`, with `*` for any text. Never empty.
    pub accounts: Vec<String>,
    /// Empty: every region.
    pub regions: Vec<String>,
    /// Kind ids, with `*`. Empty: every kind.
    pub kinds: Vec<String>,
    pub reason: String,
    /// The last day it holds, `2027-01-31`.
    pub until: String,
    /// The end of that day anywhere on earth.
    pub ends: Timestamp,
}

impl Waiver {
    /// Whether it speaks of a kind in a scope, now.
    pub fn covers(&self, kind: &KindSpec, scope: &Scope, now: Timestamp) -> bool {
        let account = format!("{}:{}", scope.cloud.name(), scope.account);
        now < self.ends
            && self.accounts.iter().any(|own| glob(own, &account) || glob(own, &scope.account))
            && (self.regions.is_empty() || self.regions.iter().any(|own| glob(own, &scope.region)))
            && (self.kinds.is_empty() || self.kinds.iter().any(|own| glob(own, kind.id)))
    }
}
