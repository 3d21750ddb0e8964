//! The house's own rules: what counts as an owner, which tags say how long something may live, what its accounts are
//! for, what its own code manages, and what is used elsewhere.

use crate::{
    baseline::Baseline, calendar::Calendar, environment::Environments, iac::Iac, in_use::Referrers,
    made_again::MadeAgain, model::CloudId, policy::glob_anycase, slo,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rules that detectors and conditions share. From `sweeper.toml`; the default suits nobody badly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct House {
    /// Tag keys that name an owner, tried in this order; compared without case, `-`, `_`, `:` and spaces.
    pub owner_keys: Vec<String>,
    /// Tag keys that say when something may go, compared like `owner_keys`.
    pub expiry_keys: Vec<String>,
    /// Values that name nobody (`n/a`, `tbd`), compared without case.
    pub placeholders: Vec<String>,
    /// Everybody who may own something; empty: not checked.
    pub owners: Vec<String>,
    /// What an owner's name looks like, `*@example.com`; empty: not checked. An owner in `owners` need not fit.
    pub owner_pattern: String,
    /// Spellings of owners, each with the name it stands for: `alice_example_com = "alice@example.com"`.
    pub aliases: BTreeMap<String, String>,
    /// People who are gone: naming them is naming nobody.
    pub departed: Vec<String>,
    /// Who owns what nobody else does; empty: nobody.
    pub fallback: String,
    /// What accounts are for. The first that fits counts.
    #[serde(rename = "scope")]
    pub scopes: Vec<ScopeRule>,
    /// Tag keys whose presence keeps a resource, compared like `owner_keys`.
    pub protect_keys: Vec<String>,
    /// Tag keys whose value is the date until which the owner keeps a resource.
    pub keep_keys: Vec<String>,
    /// The longest that a keep tag may ask for, days.
    pub max_keep_days: u32,
    /// Nothing younger is acted on, hours.
    pub min_age_hours: u32,
    /// When things are done, and how grace is counted. Not sealed with a survey: freezes are those of the moment.
    #[serde(skip)]
    pub calendar: Calendar,
    /// What is managed elsewhere. Part of the house, so that whoever judges has it, and a survey seals it.
    #[serde(skip_serializing_if = "Iac::is_empty")]
    pub iac: Iac,
    /// What is used where no cloud tells of it; sealed for the same reason.
    #[serde(skip_serializing_if = "Referrers::is_empty")]
    pub referrers: Referrers,
    /// What was deleted and made again before.
    #[serde(skip_serializing_if = "MadeAgain::is_empty")]
    pub made_again: MadeAgain,
    /// How many new orphans an owner may make; part of the house for the same reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slo: Option<slo::Terms>,
    /// From when on findings count as new.
    #[serde(skip_serializing_if = "Baseline::is_none")]
    pub baseline: Baseline,
    /// Leases of ephemeral environments.
    #[serde(skip_serializing_if = "Environments::is_empty")]
    pub environments: Environments,
}

/// What some accounts are for, and who answers for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeRule {
    /// Ids, `aws:111122223333`, `azure:<guid>`, `gcp:<project>`, with `*` for any text.
    pub accounts: Vec<String>,
    #[serde(default)]
    pub class: AccountClass,
    #[serde(default)]
    pub owner: String,
    #[serde(default)]
    pub contact: String,
}

/// What an account is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountClass {
    /// Also what nobody classified.
    #[default]
    Prod,
    Nonprod,
    Sandbox,
    /// Image factory, backup, log archive, network hub: others depend on it in ways that cannot be seen.
    Shared,
}

impl AccountClass {
    pub const NAMES: &'static [&'static str] = &["prod", "nonprod", "sandbox", "shared"];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Prod => "prod",
            Self::Nonprod => "nonprod",
            Self::Sandbox => "sandbox",
            Self::Shared => "shared",
        }
    }
}

impl House {
    /// The rule for an account, if there is one.
    pub fn scope(&self, cloud: CloudId, account: &str) -> Option<&ScopeRule> {
        self.scopes.iter().find(|rule| rule.accounts.iter().any(|pattern| is_account(pattern, cloud, account)))
    }

    /// What an account is for.
    pub fn class(&self, cloud: CloudId, account: &str) -> AccountClass {
        self.scope(cloud, account).map_or(AccountClass::Prod, |rule| rule.class)
    }
}

impl Default for House {
    fn default() -> Self {
        let list = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        Self {
            owner_keys: list(&["owner", "team", "contact", "created-by"]),
            expiry_keys: list(&["expires-on", "expires", "ttl", "lease"]),
            placeholders: list(&["n/a", "na", "tbd", "none", "-", "test", "unknown", "todo", "xxx", "null", "?"]),
            owners: Vec::new(),
            owner_pattern: String::new(),
            aliases: BTreeMap::new(),
            departed: Vec::new(),
            fallback: String::new(),
            scopes: Vec::new(),
            protect_keys: list(&["sweeper-protect"]),
            keep_keys: list(&["sweeper-keep"]),
            max_keep_days: 180,
            min_age_hours: 24,
            calendar: Calendar::default(),
            iac: Iac::default(),
            referrers: Referrers::default(),
            made_again: MadeAgain::default(),
            slo: None,
            baseline: Baseline::default(),
            environments: Environments::default(),
        }
    }
}

/// Whether a pattern such as `aws:1111*` or `*` names an account.
pub fn is_account(pattern: &str, cloud: CloudId, account: &str) -> bool {
    match pattern.split_once(':') {
        Some((own, pattern)) if CloudId::parse(own).is_some() => own == cloud.name() && glob_anycase(pattern, account),
        _ => glob_anycase(pattern, account),
    }
}

/// Whether two tag keys are the same but for case, `-`, `_`, `:` and spaces.
pub fn same_key(a: &str, b: &str) -> bool {
    fn folded(key: &str) -> impl Iterator<Item = u8> {
        key.bytes().filter(|byte| !matches!(byte, b'-' | b'_' | b':' | b' ')).map(|byte| byte.to_ascii_lowercase())
    }
    folded(a).eq(folded(b))
}
