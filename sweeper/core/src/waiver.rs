//! What a house accepts not to see, where, why and until when.

use crate::{
    inventory::is_within,
    kind::KindSpec,
    model::{Scope, Timestamp},
    policy::{glob, glob_anycase},
};
use serde::{Deserialize, Serialize};

/// One `[[waiver]]` of `sweeper.toml`. A blind place it covers does not change the exit code, and verdicts
/// that rest on it say so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// `aws:111122223333`, `azure:<guid>`, `gcp:<project>`, with `*` for any text. Never empty.
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
            && self.accounts.iter().any(|own| glob_anycase(own, &account) || glob_anycase(own, &scope.account))
            && (self.regions.is_empty()
                || self.regions.iter().any(|own| glob(own, &scope.region) || is_within(&scope.region, own)))
            && (self.kinds.is_empty() || self.kinds.iter().any(|own| glob(own, kind.id)))
    }
}
