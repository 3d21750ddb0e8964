//! What `sweeper doctor` found: `sweeper.doctor/1`.

use serde::Serialize;
use std::collections::BTreeSet;
use sweeper_core::{
    in_use::{Outcome, Referrer},
    model::{CloudId, Timestamp, Tri},
};

/// The format written.
pub const FORMAT: &str = "sweeper.doctor/1";

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    pub format: &'static str,
    /// Nothing is blind, no right is missing, and every in-use file can be relied on.
    pub healthy: bool,
    pub clouds: Vec<CloudHealth>,
    pub not_seen: Vec<NotSeen>,
    /// `[[referrers]]`, in the config's order.
    pub in_use: Vec<InUse>,
    pub state: Keeping,
}

impl Default for Diagnosis {
    fn default() -> Self {
        Self {
            format: FORMAT,
            healthy: false,
            clouds: Vec::new(),
            not_seen: Vec::new(),
            in_use: Vec::new(),
            state: Keeping::default(),
        }
    }
}

impl Diagnosis {
    pub fn is_healthy(&self) -> bool {
        let looked: Vec<&CloudHealth> = self.clouds.iter().filter(|cloud| !cloud.left_out).collect();
        !looked.is_empty()
            && self.not_seen.is_empty()
            && self.in_use.iter().all(|file| file.trouble.is_none())
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

/// One in-use file.
#[derive(Clone, Debug, Serialize)]
pub struct InUse {
    pub name: String,
    /// Whose things use what it names; `null` where it cannot be read.
    pub source: Option<String>,
    pub covers: BTreeSet<String>,
    pub written: Option<String>,
    /// Seconds, and how many it may have.
    pub age: Option<i64>,
    pub max_age: i64,
    pub items: Option<u64>,
    /// Why it cannot be relied on.
    pub trouble: Option<String>,
}

impl InUse {
    pub fn of(referrer: &Referrer, now: Timestamp) -> Self {
        let file = match &referrer.outcome {
            Outcome::File(file) => Some(file),
            Outcome::Unreadable(_) => None,
        };
        Self {
            name: referrer.name.clone(),
            source: file.map(|file| file.source().to_owned()),
            covers: file.map(|file| file.covers().clone()).unwrap_or_default(),
            written: file.map(|file| file.written().to_string()),
            age: file.map(|file| now.since(file.written()).max(0)),
            max_age: referrer.max_age,
            items: file.map(|file| file.items().len() as u64),
            trouble: referrer.trouble(now),
        }
    }
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
