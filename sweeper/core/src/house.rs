//! The house's own rules: what counts as an owner, and which tags say how long something may live.

use serde::{Deserialize, Serialize};

/// Rules that detectors and conditions share. From `sweeper.toml`; the default suits nobody badly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct House {
    /// Tag keys that name an owner, tried in this order; compared without case, `-`, `_`, `:` and spaces.
    pub owner_keys: Vec<String>,
    /// Tag keys that say when something may go.
    pub expiry_keys: Vec<String>,
}

impl Default for House {
    fn default() -> Self {
        let list = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        Self {
            owner_keys: list(&["owner", "team", "contact", "created-by"]),
            expiry_keys: list(&["expires-on", "expires", "ttl", "lease"]),
        }
    }
}
