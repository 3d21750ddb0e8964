//! What `sweeper doctor` found: `sweeper.doctor/1`.

use serde::Serialize;
use std::collections::BTreeSet;
use sweeper_core::model::{CloudId, Tri};

/// The format written.
pub const FORMAT: &str = "sweeper.doctor/1";

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    pub format: &'static str,
    /// Nothing is blind and no right is missing.
    pub healthy: bool,
    pub clouds: Vec<CloudHealth>,
    pub not_seen: Vec<NotSeen>,
    pub state: Keeping,
}

impl Default for Diagnosis {
    fn default() -> Self {
        Self { format: FORMAT, healthy: false, clouds: Vec::new(), not_seen: Vec::new(), state: Keeping::default() }
    }
}

impl Diagnosis {
    pub fn is_healthy(&self) -> bool {
        let looked: Vec<&CloudHealth> = self.clouds.iter().filter(|cloud| !cloud.left_out).collect();
        !looked.is_empty()
            && self.not_seen.is_empty()
            && looked.iter().all(|cloud| {
                let accounts = &cloud.accounts;
                cloud.error.is_none()
                    && cloud.parent_read != Some(false)
                    && !accounts.is_empty()
                    && accounts.iter().all(|account| account.blind.is_none() && account.missing().next().is_none())
            })
    }
}

/// One cloud.
#[derive(Clone, Debug, Serialize)]
pub struct CloudHealth {
    pub cloud: CloudId,
    /// Who the credentials are; `null` where the cloud does not tell.
    pub identity: Option<String>,
    /// Where they come from.
    pub credentials: Option<String>,
    pub identity_error: Option<String>,
    /// Nothing here speaks of the cloud, and nobody asked for it.
    pub left_out: bool,
    /// Why nothing of it can be seen.
    pub error: Option<String>,
    pub fix: Option<String>,
    /// Whether all below the parent is known; `null` where it was not asked for.
    pub parent_read: Option<bool>,
    pub accounts: Vec<AccountRights>,
}

impl CloudHealth {
    pub fn new(cloud: CloudId) -> Self {
        Self {
            cloud,
            identity: None,
            credentials: None,
            identity_error: None,
            left_out: false,
            error: None,
            fix: None,
            parent_read: None,
            accounts: Vec::new(),
        }
    }
}

/// The rights in one account, subscription or project.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AccountRights {
    pub id: String,
    pub name: String,
    pub path: String,
    /// Why nothing of it can be read.
    pub blind: Option<String>,
    /// Why nothing can be there.
    pub none: Option<String>,
    pub note: Option<String>,
    pub permissions: Vec<Right>,
    /// What gives the rights that are missing.
    pub fix: Option<String>,
}

impl AccountRights {
    pub fn missing(&self) -> impl Iterator<Item = &Right> {
        self.permissions.iter().filter(|right| right.held == Some(false))
    }
}

/// One permission.
#[derive(Clone, Debug, Serialize)]
pub struct Right {
    pub permission: String,
    /// `null` where the cloud does not tell and nothing was there to try it on.
    pub held: Tri,
    /// What needs it.
    pub kinds: Vec<String>,
    /// Detectors that are unknown without it.
    pub blinds: Vec<String>,
}

/// What cannot be seen in an account, for one cause.
#[derive(Clone, Debug, Serialize)]
pub struct NotSeen {
    pub cloud: CloudId,
    /// `-` where not even the accounts are known.
    pub account: String,
    pub why: String,
    pub kinds: BTreeSet<String>,
    pub regions: BTreeSet<String>,
}

/// The memory between runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Keeping {
    pub lasts: bool,
    pub place: Option<String>,
    /// How many findings have a clock in it.
    pub clocks: Option<u64>,
    pub note: Option<String>,
}
