//! Policies: what a house wants found, and what it wants done about it.
//!
//! ```text
//! load       texts -> PolicySet, or every problem at once with its place and a suggestion
//! wanted     the kinds that must be listed for these policies to be judged
//! evaluate   PolicySet x View -> rows (which resource, which policy) and the questions still open
//! detail     one row -> its evidence
//! decide     row x detail x ledger x owner x cost -> what is to be done, or why not
//! ```
//!
//! Everything here is pure and synchronous; time is an argument.

pub mod condition;
mod decide;
mod evaluate;
mod parse;
pub mod vocabulary;

#[cfg(test)]
mod grace_tests;
#[cfg(test)]
mod in_use_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vocabulary_tests;

pub use condition::Condition;
pub(crate) use decide::kept;
pub use decide::{Act, Decision, IN_GRACE, NOT_TOLD, decide, grace};
pub use evaluate::{Detail, Evaluation, Row, RowVerdict, detail, evaluate, unmatched};
pub use parse::load;

use crate::{
    detect::{Detector, Severity},
    inventory::{Resource, is_within},
    kind::KindSpec,
    model::{Class, CloudId, DAY, Relation, Timestamp},
    money::{Amount, Cost},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A file of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As people know it; only ever printed.
    pub path: String,
    pub text: String,
}

/// What this build knows, for checks and suggestions.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub kinds: &'a [&'static KindSpec],
}

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The policies still hold.
    Warning,
    /// Nothing can be decided with these policies.
    Error,
}

/// Where something stands in a source. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub path: String,
    pub line: usize,
    pub column: usize,
    /// One past the last character; on the same line.
    pub end_column: usize,
    /// The whole source line.
    pub text: String,
}

/// Something wrong with the policies, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub level: Level,
    pub at: Place,
    /// A lower-case fragment.
    pub message: String,
    pub help: Option<String>,
}

impl Problem {
    /// For people: the message, the source line and a caret, and the help. Ends with a newline. What a
    /// terminal could take for a command is shown as `\u{fffd}`.
    pub fn render(&self) -> String {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let gutter = self.at.line.to_string();
        let blank = " ".repeat(gutter.len());
        let carets = "^".repeat(self.at.end_column.saturating_sub(self.at.column).max(1));
        let mut text = format!(
            "{level}: {}\n{blank}--> {}:{}:{}\n{blank} |\n{gutter} | {}\n{blank} | {}{carets}\n",
            inert(&self.message),
            inert(&self.at.path),
            self.at.line,
            self.at.column,
            inert(&self.at.text),
            " ".repeat(self.at.column.saturating_sub(1)),
        );
        if let Some(help) = &self.help {
            text.push_str(&[&blank, " = help: ", &inert(help), "\n"].concat());
        }
        text
    }
}

/// One line without control characters, so that the caret stays under its place.
fn inert(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\t' => ' ',
            letter if letter.is_control() => '\u{fffd}',
            letter => letter,
        })
        .collect()
}

/// What [`load`] came to. `set` is there exactly when no problem is an error.
pub struct Loaded {
    pub set: Option<PolicySet>,
    /// In the order of sources and lines.
    pub problems: Vec<Problem>,
}

/// All policies and exceptions of a house.
pub struct PolicySet {
    /// In the order of sources and lines.
    pub policies: Vec<Policy>,
    /// Those that watch, likewise.
    pub watches: Vec<Watch>,
    pub excepts: Vec<Except>,
    /// SHA-256, hexadecimal, of every source's text in their order.
    pub digest: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            pub const NAMES: &'static [&'static str] = &[$($text),*];

            /// Its word in policies and reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// By its word.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

// Below the macro it uses.
pub mod quota;
pub mod watch;

pub use watch::{Told, Watch, Watched};

words! {
    /// What a policy wants done.
    Verb {
        Report "report",
        Tag "tag",
        Stop "stop",
        Delete "delete",
        /// Of log groups. Strict like `delete`: what is older than the new retention is gone.
        SetRetention "set-retention",
    }
}

impl Verb {
    /// Whether the strict rules hold: what such a verb does cannot simply be undone.
    pub const fn is_strict(self) -> bool {
        matches!(self, Self::Stop | Self::Delete | Self::SetRetention)
    }

    /// Whether resources of a class have it at all. Containers of other things are never deleted.
    pub const fn fits(self, class: Class) -> bool {
        match self {
            Self::Report => true,
            Self::Tag => !matches!(class, Class::Artifact | Class::FunctionVersion | Class::Upload | Class::Referrer),
            Self::Stop => matches!(class, Class::Vm | Class::Database),
            Self::Delete => !matches!(class, Class::Registry | Class::Bucket | Class::Cluster | Class::Referrer),
            Self::SetRetention => matches!(class, Class::LogGroup),
        }
    }
}

words! {
    /// The copy that is made before something is deleted.
    Keep {
        /// None: the deletion is then one-way.
        None "none",
        /// A snapshot of the disk, or the database's final snapshot.
        Snapshot "snapshot",
        /// The definition, enough to make the same again (addresses excepted).
        Definition "definition",
    }
}

words! {
    /// How the owner agrees.
    Consent {
        /// Told, and did not object within the grace.
        Objection "objection",
        /// Said yes.
        Explicit "explicit",
    }
}

words! {
    /// Who must approve a plan, least first.
    Approve { Standing "standing", Owner "owner", Admin "admin", TwoPeople "two-people" }
}

/// How much one run may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Resources. Zero means none.
    pub count: u32,
    /// Hundredths of a percent of the resources the policy judges.
    pub share: u32,
    /// Sum of the monthly costs.
    pub monthly_usd: Amount,
}

impl Default for Limit {
    fn default() -> Self {
        Self { count: 50, share: 500, monthly_usd: Amount::whole(2000) }
    }
}

/// The default of `for`, seconds.
pub const DEFAULT_FOR: i64 = 14 * DAY;
/// The default of `grace`, seconds.
pub const DEFAULT_GRACE: i64 = 7 * DAY;

/// One `[[policy]]`.
pub struct Policy {
    pub name: String,
    pub sweep: Option<&'static Detector>,
    pub class: Option<Class>,
    /// Empty: every cloud, account, region, kind. A list that is written is never empty.
    pub clouds: Vec<CloudId>,
    pub accounts: Vec<Account>,
    pub regions: Vec<String>,
    pub kinds: Vec<&'static KindSpec>,
    pub when: Option<Condition>,
    /// How long it must have held before anything is done, seconds.
    pub for_: i64,
    pub then: Verb,
    pub keep: Keep,
    /// How long the owner has after being told, seconds.
    pub grace: i64,
    pub consent: Consent,
    pub approve: Approve,
    pub limit: Limit,
    /// Referrers nobody can list from here that the policy's author accepts not to see.
    pub accept_unseen: Vec<String>,
    pub severity: Severity,
    pub tell: Vec<String>,
    /// Of its name.
    pub at: Place,
    /// What its clock runs on: the detector, with a digest of the condition if it has one. Policies that
    /// share it share the clock.
    pub rule: String,
}

/// An account of a policy's scope: `aws:111122223333`, or the id alone in any cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub cloud: Option<CloudId>,
    pub id: String,
}

impl Account {
    /// Whether it is this account. Ids match without case.
    pub fn is(&self, cloud: CloudId, id: &str) -> bool {
        self.cloud.is_none_or(|own| own == cloud) && self.id.eq_ignore_ascii_case(id)
    }
}

impl Policy {
    /// What findings are filed under: the detector's id, or `condition`.
    pub fn detector(&self) -> &'static str {
        self.sweep.map_or("condition", |detector| detector.spec.id)
    }

    /// SHA-256, hexadecimal, of everything that it says. An approval of one wording is none of another.
    pub fn digest(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        let clouds: Vec<&str> = self.clouds.iter().map(|cloud| cloud.name()).collect();
        let accounts: Vec<String> = self
            .accounts
            .iter()
            .map(|own| format!("{}:{}", own.cloud.map_or("*", CloudId::name), own.id.to_ascii_lowercase()))
            .collect();
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.id).collect();
        let limit = (self.limit.count, self.limit.share, self.limit.monthly_usd.pico());
        // Debug forms quote texts, so that no two policies have one text.
        let _ = write!(
            text,
            "{:?}",
            (
                (&self.name, self.detector(), self.class.map(Class::name), clouds, accounts, &self.regions, kinds),
                (self.when.as_ref().map(Condition::text), self.for_, self.then.name(), self.keep.name(), self.grace),
                (self.consent.name(), self.approve.name(), limit, &self.accept_unseen, &self.tell),
            )
        );
        crate::plan::sha256(text.as_bytes())
    }

    /// Whether it judges resources of a kind.
    pub fn judges(&self, kind: &KindSpec) -> bool {
        kind.class != Class::Referrer
            && self.class.is_none_or(|class| class == kind.class)
            && self.sweep.is_none_or(|detector| detector.spec.judges(kind.class))
            && (self.clouds.is_empty() || self.clouds.contains(&kind.cloud))
            && (self.kinds.is_empty() || self.kinds.iter().any(|own| own.id == kind.id))
            && (self.accounts.is_empty()
                || self.accounts.iter().any(|account| account.cloud.is_none_or(|cloud| cloud == kind.cloud)))
    }

    /// Whether it judges what is in an account.
    pub fn covers(&self, cloud: CloudId, account: &str) -> bool {
        self.accounts.is_empty() || self.accounts.iter().any(|own| own.is(cloud, account))
    }

    /// Whether it judges what is in a region or zone. A zone belongs to its region.
    pub fn covers_region(&self, region: &str) -> bool {
        self.regions.is_empty() || self.regions.iter().any(|own| is_within(region, own))
    }
}

/// One `[[except]]`: what nothing is done about, why, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Except {
    /// `<kind>:<account>/<native id>` or `<kind>:<account>/<region>/<native id>`, with `*` for any text.
    pub resource: String,
    pub reason: String,
    /// The date as written, and the end of that day anywhere on earth.
    pub until: String,
    pub ends: Timestamp,
    pub at: Place,
}

impl Except {
    /// Whether it still holds.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.ends
    }

    /// Whether it speaks of a resource. In a glob without a region the first `/` after the account ends the
    /// account, and the rest is the native id, whatever the region.
    pub fn covers(&self, resource: &Resource<'_>) -> bool {
        let Some((kind, rest)) = self.resource.split_once(':') else { return false };
        let Some((account, rest)) = rest.split_once('/') else { return false };
        if !glob(kind, resource.kind().id) || !glob_anycase(account, resource.account()) {
            return false;
        }
        let is_it = |pattern: &str| {
            let own = resource.native_id();
            let fits = |own: &str| {
                if resource.cloud().ignores_case() { glob_anycase(pattern, own) } else { glob(pattern, own) }
            };
            // Ids that are paths begin with the `/` that has just ended what stands before them.
            fits(own) || own.strip_prefix('/').is_some_and(fits)
        };
        let is_there = |region: &str| glob(region, resource.region()) || is_within(resource.region(), region);
        is_it(rest) || rest.split_once('/').is_some_and(|(region, native)| is_there(region) && is_it(native))
    }
}

/// [`glob`] without regard to the case of ASCII letters: ids of accounts in any cloud, and all ids of some.
pub fn glob_anycase(pattern: &str, text: &str) -> bool {
    glob(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
}

/// Whether a text fits a pattern in which `*` stands for any text, also none. Case counts.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut from) = (0, 0);
    // Where the last star stands, and how much of the text it has eaten: backtracking to the last star
    // alone is enough, and keeps this linear in pattern x text.
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(from) {
            Some(b'*') => {
                star = Some((from, at));
                from += 1;
            }
            Some(letter) if *letter == text[at] => {
                from += 1;
                at += 1;
            }
            _ => match star {
                Some((position, eaten)) => {
                    star = Some((position, eaten + 1));
                    from = position + 1;
                    at = eaten + 1;
                }
                None => return false,
            },
        }
    }
    pattern[from..].iter().all(|letter| *letter == b'*')
}

/// What resources cost. The bill, the price book or a test knows.
pub trait Costs {
    fn monthly(&self, resource: Resource<'_>) -> Cost;
}

/// Knows no price.
pub struct NoCosts;

impl Costs for NoCosts {
    fn monthly(&self, _: Resource<'_>) -> Cost {
        Cost::unknown()
    }
}

/// The kinds that must be listed to judge these policies: those judged, those that may refer to them by a
/// relation that a detector or a condition asks about, those that sources are looked up in, and what these
/// need themselves.
pub fn wanted(set: &PolicySet, kinds: &[&'static KindSpec]) -> BTreeSet<&'static str> {
    let mut wanted = BTreeSet::new();
    for policy in &set.policies {
        let judged: Vec<&KindSpec> = kinds.iter().copied().filter(|kind| policy.judges(kind)).collect();
        let clouds: BTreeSet<CloudId> = judged.iter().map(|kind| kind.cloud).collect();
        let mut relations: BTreeSet<Relation> = BTreeSet::new();
        let mut sources: BTreeSet<Class> = BTreeSet::new();
        if let Some(detector) = policy.sweep {
            relations.extend(detector.spec.relations);
            sources.extend(detector.spec.sources);
        }
        if let Some(when) = &policy.when {
            for field in when.fields() {
                relations.extend(field.relations);
                sources.extend(field.sources);
            }
        }
        wanted.extend(judged.iter().map(|kind| kind.id));
        wanted.extend(
            kinds
                .iter()
                .filter(|kind| clouds.contains(&kind.cloud))
                .filter(|kind| {
                    sources.contains(&kind.class)
                        || kind.refers.iter().any(|(relation, _)| relations.contains(relation))
                })
                .map(|kind| kind.id),
        );
    }
    for watch in &set.watches {
        let is_in = |kind: &&&'static KindSpec| watch.clouds.is_empty() || watch.clouds.contains(&kind.cloud);
        let is_watched = |kind: &&&'static KindSpec| match watch.what {
            Watched::OverQuota => quota::is_of(watch, kind),
            what => what.classes().contains(&kind.class),
        };
        let watched = kinds.iter().filter(is_in).filter(is_watched);
        wanted.extend(watched.map(|kind| kind.id));
    }
    loop {
        let needed: Vec<&'static str> = kinds
            .iter()
            .filter(|kind| wanted.contains(kind.id))
            .flat_map(|kind| kind.needs.iter().copied())
            .filter(|id| !wanted.contains(id))
            .collect();
        if needed.is_empty() {
            return wanted;
        }
        wanted.extend(needed);
    }
}
