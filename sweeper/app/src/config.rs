//! `sweeper.toml`: where and when the sweeper runs, and whose house it is. What is waste, and what is to be
//! done about it, stands in policies.
//!
//! Read with places: every problem is found at once, with its line and a suggestion, and an unknown key is
//! an error.

mod bill;
mod calendar;
mod channel;
mod daemon;
mod leases;
mod measures;
mod prices;
mod referrers;
mod schedule;
mod slo;

pub use bill::{Bill, MOST_LAG};
pub use channel::{By, Channel, Keys};
pub use daemon::Daemon;
pub use leases::Leases;
pub use measures::Measures;
pub use prices::{Prices, place as price_place};
pub use referrers::{At, Referrer};
pub use schedule::{Entry, Outside};

use crate::exit::Failure;
use std::{
    collections::BTreeSet,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};
use sweeper_core::{
    apply::Pace,
    approve::{Key, KeyKind, Role, Trust, ssh},
    calls::Limits,
    caps::Caps,
    house::{AccountClass, House, ScopeRule},
    iac::DEFAULT_MAX_AGE,
    model::{CloudId, Timestamp},
    money::Amount,
    note::Verifier,
    plan::Rules,
    policy::{Level, Place, Problem},
    ttl,
    waiver::Waiver,
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The name looked for in the working directory.
pub const NAME: &str = "sweeper.toml";

/// The role entered in every account of an organisation, unless the config names another.
pub const ROLE: &str = "sweeper-read";

/// What stands in `sweeper.toml`, or its defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names this deployment's state.
    pub deployment: String,
    pub state: Option<String>,
    /// A file or directory of policies.
    pub policies: Option<PathBuf>,
    pub house: House,
    pub waivers: Vec<Waiver>,
    pub iac: Iac,
    /// `[[referrers]]`: what is used elsewhere.
    pub referrers: Vec<Referrer>,
    pub prices: Prices,
    pub limits: Limits,
    /// How long a run may read.
    pub deadline: Option<Duration>,
    pub aws: Aws,
    pub azure: Azure,
    pub gcp: Gcp,
    pub schedules: Vec<Entry>,
    pub daemon: Daemon,
    pub channels: Vec<Channel>,
    pub bill: Bill,
    pub measures: Measures,
    pub leases: Leases,
    pub apply: Apply,
    /// Who may approve what: `[apply]` and every `[[approver]]`.
    pub trust: Trust,
}

/// `[apply]`: whether and how this deployment changes anything.
#[derive(Clone, Debug)]
pub struct Apply {
    pub rules: Rules,
    /// Deeds a minute and account.
    pub rate: u32,
    /// How long a wave is left alone.
    pub soak: Duration,
    pub caps: Caps,
    /// The directory of the audit log.
    pub log: Option<PathBuf>,
    /// The key that signs its heads.
    pub key: Option<PathBuf>,
    /// A program that signs them instead, with its public key.
    pub signer: Option<(Verifier, Vec<String>)>,
    /// While this file is there, nothing is done.
    pub switch: Option<PathBuf>,
}

impl Default for Apply {
    fn default() -> Self {
        let pace = Pace::default();
        Self {
            rules: Rules::default(),
            rate: pace.rate,
            soak: pace.soak,
            caps: Caps::default(),
            log: None,
            key: None,
            signer: None,
            switch: None,
        }
    }
}

/// `[iac]`: where it stands what code manages. Read anew by every run.
#[derive(Clone, Debug)]
pub struct Iac {
    /// As written, and where that is.
    pub indexes: Vec<(String, PathBuf)>,
    /// How old one may be, seconds.
    pub max_age: i64,
    /// What one that cannot be relied on holds. Empty: every cloud.
    pub clouds: BTreeSet<CloudId>,
}

impl Default for Iac {
    fn default() -> Self {
        Self { indexes: Vec::new(), max_age: DEFAULT_MAX_AGE, clouds: BTreeSet::new() }
    }
}

/// `[aws]`.
#[derive(Clone, Debug, Default)]
pub struct Aws {
    /// The whole organisation.
    pub org: bool,
    pub role: Option<String>,
    /// The role that changes are made in; without it, `role`.
    pub delete_role: Option<String>,
    pub external_id: Option<String>,
    pub accounts: BTreeSet<String>,
    pub regions: BTreeSet<String>,
}

/// `[azure]`.
#[derive(Clone, Debug, Default)]
pub struct Azure {
    /// Every subscription below the tenant's root management group.
    pub org: bool,
    /// Every subscription below this management group.
    pub management_group: Option<String>,
    pub subscriptions: BTreeSet<String>,
    pub regions: BTreeSet<String>,
}

/// `[gcp]`.
#[derive(Clone, Debug, Default)]
pub struct Gcp {
    /// Every project below it: `organizations/123` or `folders/456`.
    pub parent: Option<String>,
    pub projects: BTreeSet<String>,
    pub regions: BTreeSet<String>,
    /// The billing export in BigQuery: `project.dataset.table`.
    pub billing_table: Option<String>,
    /// How much of it one query may read, bytes.
    pub billing_bytes: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            deployment: "default".to_owned(),
            state: None,
            policies: None,
            house: House::default(),
            waivers: Vec::new(),
            iac: Iac::default(),
            referrers: Vec::new(),
            prices: Prices::default(),
            limits: Limits::default(),
            deadline: None,
            aws: Aws::default(),
            azure: Azure::default(),
            gcp: Gcp::default(),
            schedules: Vec::new(),
            daemon: Daemon::default(),
            channels: Vec::new(),
            bill: Bill::default(),
            measures: Measures::default(),
            leases: Leases::default(),
            apply: Apply::default(),
            trust: Trust::default(),
        }
    }
}

impl Config {
    /// Whose key a public key is.
    pub fn person_of(&self, verifier: &Verifier) -> Option<String> {
        let own = self.trust.keys.iter().find(|key| matches!(&key.kind, KeyKind::Note(known) if known == verifier));
        own.map(|key| key.person.clone())
    }

    /// Reads the file named, or the one in the working directory, or the defaults.
    pub fn find(named: Option<&Path>) -> Result<Self, Failure> {
        let path = match named {
            Some(path) => path.to_owned(),
            None if Path::new(NAME).is_file() => PathBuf::from(NAME),
            None => return Ok(Self::default()),
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failure::usage(format!("failed to read the config {}: {error}", path.display())))?;
        let beside = path.parent().unwrap_or(Path::new(""));
        Self::parse(&path.display().to_string(), &text, beside)
    }

    /// Reads a text; `path` is for messages, and relative paths are taken from `beside`.
    pub fn parse(path: &str, text: &str, beside: &Path) -> Result<Self, Failure> {
        let mut reader = Reader { path, text, beside, problems: Vec::new() };
        let mut config = Self::default();
        match DeTable::parse(text) {
            Ok(table) => reader.top(table.get_ref(), &mut config),
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                reader.problem(span, error.message().to_owned(), None);
            }
        }
        let mut problems = reader.problems;
        if problems.is_empty() {
            return Ok(config);
        }
        problems.sort_by_key(|problem| (problem.at.line, problem.at.column));
        let count = problems.len();
        let rendered = problems.iter().map(Problem::render).collect();
        let noun = if count == 1 { "problem" } else { "problems" };
        Err(Failure::usage(format!("the config {path} has {count} {noun}")).problems(rendered))
    }
}

type Span = Range<usize>;
type Table<'t> = DeTable<'t>;

struct Reader<'t> {
    path: &'t str,
    text: &'t str,
    beside: &'t Path,
    problems: Vec<Problem>,
}

const TOP: &[&str] = &[
    "deployment",
    "state",
    "policies",
    "house",
    "scope",
    "waiver",
    "iac",
    "referrers",
    "prices",
    "limits",
    "aws",
    "azure",
    "gcp",
    "schedule",
    "daemon",
    "calendar",
    "freeze",
    "channel",
    "bill",
    "measures",
    "slo",
    "leases",
    "apply",
    "approver",
];
const HOUSE: &[&str] = &[
    "owner_keys",
    "expiry_keys",
    "placeholders",
    "owners",
    "owner_pattern",
    "aliases",
    "departed",
    "fallback",
    "protect_keys",
    "keep_keys",
    "max_keep_days",
    "min_age_hours",
];
const SCOPE: &[&str] = &["accounts", "class", "owner", "contact"];
const WAIVER: &[&str] = &["accounts", "regions", "kinds", "reason", "until"];
const IAC: &[&str] = &["index", "max_age", "clouds"];
const LIMITS: &[&str] = &["concurrency", "rate", "burst", "tries", "call_timeout", "deadline", "max_api_usd"];
const AWS: &[&str] = &["org", "role", "delete_role", "external_id", "accounts", "regions"];
const AZURE: &[&str] = &["org", "management_group", "subscriptions", "regions"];
const GCP: &[&str] = &["organization", "folder", "projects", "regions", "billing_table", "billing_bytes"];
const APPLY: &[&str] = &[
    "enabled",
    "rate",
    "soak",
    "limit",
    "log",
    "key",
    "signer_command",
    "public_key",
    "kill_switch",
    "keep_for",
    "max_plan_age",
    "retention_days",
    "tag_key",
    "fence",
    "protected",
    "solo",
];
const CAPS: &[&str] = &["count", "share", "monthly_usd"];
const APPROVER: &[&str] = &["name", "roles", "key", "ssh", "aliases", "from", "until", "revoked"];

impl Reader<'_> {
    fn top(&mut self, table: &Table<'_>, config: &mut Config) {
        self.known(table, TOP);
        if let Some(name) = self.string(table, "deployment") {
            let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
            if name.chars().all(plain) && !name.starts_with('.') {
                config.deployment = name;
            } else if let Some(value) = table.get("deployment") {
                self.problem(value.span(), "`deployment` names a file: letters, digits, `-`, `_` and `.`", None);
            }
        }
        config.state = self.string(table, "state");
        config.policies = self.string(table, "policies").map(|path| self.beside.join(path));
        if let Some(house) = self.table(table, "house") {
            self.house(house, &mut config.house);
        }
        for (_, scope) in self.tables(table, "scope") {
            if let Some(rule) = self.scope(scope) {
                config.house.scopes.push(rule);
            }
        }
        for (span, waiver) in self.tables(table, "waiver") {
            if let Some(waiver) = self.waiver(span, waiver) {
                config.waivers.push(waiver);
            }
        }
        if let Some(iac) = self.table(table, "iac") {
            self.iac(iac, &mut config.iac);
        }
        for (span, referrer) in self.tables(table, "referrers") {
            self.referrer(&span, referrer, &mut config.referrers);
        }
        config.prices = self.prices(table);
        if let Some(limits) = self.table(table, "limits") {
            self.limits(limits, config);
        }
        if let Some(aws) = self.table(table, "aws") {
            self.known(aws, AWS);
            config.aws = Aws {
                org: self.truth(aws, "org").unwrap_or(false),
                role: self.string(aws, "role"),
                delete_role: self.string(aws, "delete_role"),
                external_id: self.string(aws, "external_id"),
                accounts: self.ids(aws, "accounts", CloudId::Aws),
                regions: self.list(aws, "regions").into_iter().collect(),
            };
        }
        if let Some(azure) = self.table(table, "azure") {
            self.known(azure, AZURE);
            config.azure = Azure {
                org: self.truth(azure, "org").unwrap_or(false),
                management_group: self.string(azure, "management_group").map(|group| last(&group).to_owned()),
                subscriptions: self.ids(azure, "subscriptions", CloudId::Azure),
                regions: self.list(azure, "regions").into_iter().collect(),
            };
        }
        if let Some(gcp) = self.table(table, "gcp") {
            self.known(gcp, GCP);
            let organization = self.numbered(gcp, "organization", "organizations/");
            let folder = self.numbered(gcp, "folder", "folders/");
            if let (Some(_), Some(_), Some(value)) = (&organization, &folder, gcp.get("folder")) {
                self.wrong(value, "a folder is in its organisation: name one of `organization` and `folder`");
            }
            config.gcp = Gcp {
                parent: folder.or(organization),
                projects: self.ids(gcp, "projects", CloudId::Gcp),
                regions: self.list(gcp, "regions").into_iter().collect(),
                billing_table: self.string(gcp, "billing_table"),
                billing_bytes: self.number(gcp, "billing_bytes"),
            };
            let whole = |table: &String| table.rsplitn(3, '.').filter(|part| !part.is_empty()).count() == 3;
            if let (Some(table), Some(value)) = (&config.gcp.billing_table, gcp.get("billing_table"))
                && !whole(table)
            {
                self.wrong(value, "a table of BigQuery is named in full: `project.dataset.table`");
            }
        }
        if let Some(bill) = self.table(table, "bill") {
            self.bill(bill, &mut config.bill);
        }
        config.measures = self.measures(table);
        config.house.slo = self.slo(table);
        config.leases = self.leases(table);
        if let Some(apply) = self.table(table, "apply") {
            self.apply(apply, config);
        }
        for (span, approver) in self.tables(table, "approver") {
            self.approver(span, approver, &mut config.trust);
        }
        self.calendar(table, &mut config.house.calendar);
        for (span, channel) in self.tables(table, "channel") {
            self.channel(&span, channel, &mut config.channels);
        }
        for (span, schedule) in self.tables(table, "schedule") {
            self.schedule(&span, schedule, &mut config.schedules);
        }
        if let Some(daemon) = self.table(table, "daemon") {
            self.daemon(daemon, &mut config.daemon);
        }
    }

    fn house(&mut self, table: &Table<'_>, house: &mut House) {
        self.known(table, HOUSE);
        for (key, list) in [
            ("owner_keys", &mut house.owner_keys),
            ("expiry_keys", &mut house.expiry_keys),
            ("placeholders", &mut house.placeholders),
            ("owners", &mut house.owners),
            ("departed", &mut house.departed),
            ("protect_keys", &mut house.protect_keys),
            ("keep_keys", &mut house.keep_keys),
        ] {
            if table.contains_key(key) {
                *list = self.list(table, key);
            }
        }
        if let Some(pattern) = self.string(table, "owner_pattern") {
            house.owner_pattern = pattern;
        }
        if let Some(fallback) = self.string(table, "fallback") {
            house.fallback = fallback;
        }
        if let Some(days) = self.number(table, "max_keep_days") {
            house.max_keep_days = days;
        }
        if let Some(hours) = self.number(table, "min_age_hours") {
            house.min_age_hours = hours;
        }
        if let Some(aliases) = self.table(table, "aliases") {
            for (spelling, value) in aliases {
                match value.get_ref().as_str() {
                    Some(name) => {
                        house.aliases.insert(spelling.get_ref().to_string(), name.to_owned());
                    }
                    None => self.wrong(value, "an alias is a string: the name it stands for"),
                }
            }
        }
    }

    fn scope(&mut self, table: &Table<'_>) -> Option<ScopeRule> {
        self.known(table, SCOPE);
        let class = match self.word(table, "class", AccountClass::NAMES).as_deref() {
            Some("nonprod") => AccountClass::Nonprod,
            Some("sandbox") => AccountClass::Sandbox,
            Some("shared") => AccountClass::Shared,
            _ => AccountClass::Prod,
        };
        let rule = ScopeRule {
            accounts: self.list(table, "accounts"),
            class,
            owner: self.string(table, "owner").unwrap_or_default(),
            contact: self.string(table, "contact").unwrap_or_default(),
        };
        (!rule.accounts.is_empty()).then_some(rule).or_else(|| self.missing(table, "accounts", "scope"))
    }

    fn waiver(&mut self, span: Span, table: &Table<'_>) -> Option<Waiver> {
        self.known(table, WAIVER);
        let before = self.problems.len();
        let accounts = self.list(table, "accounts");
        let regions = self.list(table, "regions");
        let kinds = self.list(table, "kinds");
        let reason = self.string(table, "reason");
        // A date without quotes is a date to TOML, and means the same.
        let written = table.get("until").map(|value| match value.get_ref() {
            DeValue::Datetime(date) => (value.span(), date.to_string()),
            other => (value.span(), other.as_str().unwrap_or_default().to_owned()),
        });
        let until = written.and_then(|(span, text)| {
            if let Some(ends) = ttl::end_of_date(&text) {
                Some((text, ends))
            } else {
                self.problem(span, "`until` is a date", Some("write `until = 2027-01-31`".to_owned()));
                None
            }
        });
        if self.problems.len() > before {
            return None;
        }
        for key in ["accounts", "reason", "until"].into_iter().filter(|key| !table.contains_key(*key)) {
            self.problem(span.clone(), format!("a waiver needs `{key}`"), None);
        }
        let (until, ends) = until?;
        Some(Waiver { accounts, regions, kinds, reason: reason?, until, ends }).filter(|own| !own.accounts.is_empty())
    }

    fn iac(&mut self, table: &Table<'_>, iac: &mut Iac) {
        self.known(table, IAC);
        let indexes = self.list(table, "index");
        iac.indexes = indexes.into_iter().map(|path| (path.clone(), self.beside.join(path))).collect();
        if !table.contains_key("index") {
            let first = table.keys().map(Spanned::span).min_by_key(|span| span.start).unwrap_or(0..0);
            let help = "write `index = [\"iac-index.json\"]`; `sweeper iac-index` makes one".to_owned();
            self.problem(first, "`[iac]` needs `index`", Some(help));
        }
        if let Some(age) = self.length(table, "max_age") {
            iac.max_age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        }
        for name in self.list(table, "clouds") {
            if let Some(cloud) = CloudId::parse(&name) {
                iac.clouds.insert(cloud);
            } else if let Some(value) = table.get("clouds") {
                let known = CloudId::ALL.map(CloudId::name);
                let help = meant(&name, &known).unwrap_or_else(|| format!("one of: {}", known.join(", ")));
                self.problem(value.span(), format!("unknown cloud `{name}`"), Some(help));
            }
        }
    }

    fn limits(&mut self, table: &Table<'_>, config: &mut Config) {
        self.known(table, LIMITS);
        let limits = &mut config.limits;
        if let Some(count) = self.number::<usize>(table, "concurrency") {
            limits.concurrency = count.max(1);
        }
        if let Some(tries) = self.number(table, "tries") {
            limits.tries = tries;
        }
        for (key, limit) in [("rate", &mut limits.rate), ("burst", &mut limits.burst)] {
            let Some(value) = table.get(key) else { continue };
            match Self::decimal(value).and_then(|text| text.parse::<f64>().ok()) {
                Some(number) if number.is_finite() && number >= 0.1 => *limit = number,
                _ => self.wrong(value, format!("`{key}` is a number of calls, at least 0.1")),
            }
        }
        if let Some(span) = self.length(table, "call_timeout") {
            limits.call_timeout = span;
        }
        config.deadline = self.length(table, "deadline");
        if let Some(value) = table.get("max_api_usd") {
            match Self::decimal(value).as_deref().and_then(Amount::parse) {
                Some(amount) if amount >= Amount::ZERO => limits.max_api_usd = amount,
                _ => self.wrong(value, "`max_api_usd` is an amount of US dollars"),
            }
        }
    }

    fn apply(&mut self, table: &Table<'_>, config: &mut Config) {
        self.known(table, APPLY);
        let beside = self.beside.to_owned();
        let path = |text: String| beside.join(text);
        config.trust.may_apply = self.truth(table, "enabled").unwrap_or(false);
        config.trust.solo = self.truth(table, "solo").unwrap_or(false);
        config.trust.protected = self.list(table, "protected");
        let apply = &mut config.apply;
        apply.log = self.string(table, "log").map(&path);
        apply.key = self.string(table, "key").map(&path);
        apply.signer = self.signer(table);
        apply.switch = self.string(table, "kill_switch").map(&path);
        if let Some(rate) = self.number(table, "rate") {
            apply.rate = rate;
        }
        if let Some(soak) = self.length(table, "soak") {
            apply.soak = soak;
        }
        if let Some(keep) = self.length(table, "keep_for") {
            apply.rules.keep_for = keep.as_secs() as i64;
        }
        if let Some(age) = self.length(table, "max_plan_age") {
            apply.rules.max_age = apply.rules.max_age.min(age.as_secs() as i64);
            apply.rules.fresh = apply.rules.fresh.min(age.as_secs() as i64);
        }
        apply.rules.retention_days = self.number(table, "retention_days");
        if let Some(key) = self.string(table, "tag_key") {
            apply.rules.tag_key = key;
        }
        apply.rules.fence = self.truth(table, "fence").unwrap_or(false);
        if let Some(limit) = self.table(table, "limit") {
            self.known(limit, CAPS);
            if let Some(count) = self.number(limit, "count") {
                config.apply.caps.count = count;
            }
            if let Some(value) = limit.get("share") {
                let text = value.get_ref().as_str().and_then(|text| text.strip_suffix('%'));
                match text.and_then(|text| text.trim().parse::<u32>().ok()).filter(|percent| *percent <= 100) {
                    Some(percent) => config.apply.caps.share = percent * 100,
                    None => self.wrong(value, "`share` is a whole percentage, as `5%`"),
                }
            }
            if let Some(value) = limit.get("monthly_usd") {
                match Self::decimal(value).as_deref().and_then(Amount::parse).filter(|amount| *amount >= Amount::ZERO) {
                    Some(amount) => config.apply.caps.monthly = amount,
                    None => self.wrong(value, "`monthly_usd` is an amount of US dollars"),
                }
            }
        }
        config.trust.ceiling = Some(config.apply.caps);
    }

    /// The program that signs the log's heads.
    fn signer(&mut self, table: &Table<'_>) -> Option<(Verifier, Vec<String>)> {
        let words = self.list(table, "signer_command");
        let text = self.string(table, "public_key");
        let (Some(command), Some(key)) = (table.get("signer_command"), table.get("public_key")) else {
            if let Some(value) = table.get("signer_command").or(table.get("public_key")) {
                self.wrong(value, "`signer_command` and `public_key` belong together");
            }
            return None;
        };
        if let Some(value) = table.get("key") {
            self.wrong(value, "the log is signed with `key` or by `signer_command`, not both");
        }
        if words.is_empty() {
            self.wrong(command, "`signer_command` names no program");
        }
        match Verifier::parse(&text?) {
            Ok(verifier) => Some((verifier, words)),
            Err(error) => {
                self.wrong(key, format!("`public_key` is no public key: {error}"));
                None
            }
        }
    }

    fn approver(&mut self, span: Span, table: &Table<'_>, trust: &mut Trust) {
        self.known(table, APPROVER);
        for key in ["name", "roles"].into_iter().filter(|key| !table.contains_key(*key)) {
            self.problem(span.clone(), format!("an approver needs `{key}`"), None);
        }
        let Some(name) = self.string(table, "name") else { return };
        let mut roles = BTreeSet::new();
        for word in self.list(table, "roles") {
            match (Role::parse(&word), table.get("roles")) {
                (Some(role), _) => drop(roles.insert(role)),
                (None, Some(value)) => {
                    let known = Role::NAMES.join(", ");
                    self.wrong(value, format!("`{word}` is no role: {known}"));
                }
                (None, None) => {}
            }
        }
        let mut keys = Vec::new();
        if let (Some(text), Some(value)) = (self.string(table, "key"), table.get("key")) {
            match Verifier::parse(&text) {
                Ok(verifier) => keys.push(KeyKind::Note(verifier)),
                Err(error) => self.wrong(value, format!("`key` is no public key: {error}")),
            }
        }
        if let (Some(line), Some(value)) = (self.string(table, "ssh"), table.get("ssh")) {
            if ssh::blob(&line).is_some() {
                keys.push(KeyKind::Ssh(line));
            } else {
                self.wrong(value, "`ssh` is a public key of OpenSSH, `ssh-ed25519 AAAA…` or a security key's");
            }
        }
        let mut at = |key: &str, default: Timestamp, end: bool| {
            let Some(value) = table.get(key) else { return default };
            let text = match value.get_ref() {
                DeValue::Datetime(date) => date.to_string(),
                other => other.as_str().unwrap_or_default().to_owned(),
            };
            let date = if end { ttl::end_of_date(&text) } else { Timestamp::parse(&format!("{text}T00:00:00Z")) };
            date.or_else(|| Timestamp::parse(&text)).unwrap_or_else(|| {
                self.problem(value.span(), format!("`{key}` is a date"), None);
                default
            })
        };
        let from = at("from", Timestamp(0), false);
        let until = at("until", Timestamp(i64::MAX), true);
        let revoked = self.truth(table, "revoked").unwrap_or(false);
        let aliases = self.list(table, "aliases").into_iter().collect();
        let person = trust.people.entry(name.clone()).or_default();
        // Two entries of one name are one person with two keys.
        person.roles.extend(roles);
        let known: BTreeSet<String> = aliases;
        person.aliases.extend(known);
        trust.keys.extend(keys.into_iter().map(|kind| Key { person: name.clone(), kind, from, until, revoked }));
    }

    // What a value is.

    fn string(&mut self, table: &Table<'_>, key: &str) -> Option<String> {
        let value = table.get(key)?;
        match value.get_ref().as_str() {
            Some("") => self.wrong(value, format!("`{key}` is empty")),
            Some(text) => return Some(text.to_owned()),
            None => self.wrong(value, format!("`{key}` is a string")),
        }
        None
    }

    fn truth(&mut self, table: &Table<'_>, key: &str) -> Option<bool> {
        let value = table.get(key)?;
        let truth = value.get_ref().as_bool();
        if truth.is_none() {
            self.wrong(value, format!("`{key}` is true or false"));
        }
        truth
    }

    fn number<T: std::str::FromStr>(&mut self, table: &Table<'_>, key: &str) -> Option<T> {
        let value = table.get(key)?;
        let number = value.get_ref().as_integer().and_then(|number| number.as_str().parse().ok());
        if number.is_none() {
            self.wrong(value, format!("`{key}` is a whole number"));
        }
        number
    }

    /// The text of a number, or of a number in quotes.
    fn decimal(value: &Spanned<DeValue<'_>>) -> Option<String> {
        match value.get_ref() {
            DeValue::Integer(number) => Some(number.as_str().to_owned()),
            DeValue::Float(number) => Some(number.as_str().to_owned()),
            DeValue::String(text) => Some(text.to_string()),
            _ => None,
        }
    }

    fn length(&mut self, table: &Table<'_>, key: &str) -> Option<Duration> {
        let value = table.get(key)?;
        let text = value.get_ref().as_str().unwrap_or_default();
        let seconds = text
            .strip_suffix('s')
            .map_or_else(|| ttl::span(text), |seconds| seconds.parse::<i64>().ok())
            .and_then(|seconds| u64::try_from(seconds).ok())
            .filter(|seconds| *seconds > 0);
        if seconds.is_none() {
            self.wrong(value, format!("`{key}` is a length of time: `30s`, `20m`, `2h`"));
        }
        seconds.map(Duration::from_secs)
    }

    /// The ids of accounts of a cloud.
    fn ids(&mut self, table: &Table<'_>, key: &str, cloud: CloudId) -> BTreeSet<String> {
        let ids = self.list(table, key);
        let Some(value) = table.get(key) else { return BTreeSet::new() };
        let mut known = BTreeSet::new();
        for (at, id) in ids.iter().enumerate() {
            match account_of(cloud, id) {
                Ok(id) => {
                    known.insert(id);
                }
                Err(error) => {
                    let item = value.get_ref().as_array().and_then(|items| items.get(at)).unwrap_or(value);
                    self.wrong(item, error);
                }
            }
        }
        known
    }

    /// A number with what stands before it in the names of the cloud: `organizations/123`. Both are understood.
    fn numbered(&mut self, table: &Table<'_>, key: &str, before: &str) -> Option<String> {
        let value = table.get(key)?;
        let text = match value.get_ref() {
            DeValue::Integer(number) => number.as_str().to_owned(),
            _ => self.string(table, key)?,
        };
        let number = text.strip_prefix(before).unwrap_or(&text);
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            self.wrong(value, format!("`{key}` is a number: write `{key} = \"123456789012\"`"));
            return None;
        }
        Some(format!("{before}{number}"))
    }

    fn list(&mut self, table: &Table<'_>, key: &str) -> Vec<String> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong(value, format!("`{key}` is a list of strings"));
            return Vec::new();
        };
        let mut list = Vec::new();
        for item in items {
            match item.get_ref().as_str() {
                Some("") => self.wrong(item, format!("`{key}` has an empty entry")),
                Some(text) => list.push(text.to_owned()),
                None => self.wrong(item, format!("`{key}` is a list of strings")),
            }
        }
        if items.is_empty() {
            self.wrong(value, format!("`{key}` is empty, which selects nothing: leave it out, or name something"));
        }
        list
    }

    fn word(&mut self, table: &Table<'_>, key: &str, words: &[&'static str]) -> Option<String> {
        let text = self.string(table, key)?;
        if words.contains(&text.as_str()) {
            return Some(text);
        }
        if let Some(value) = table.get(key) {
            let help = meant(&text, words).unwrap_or_else(|| format!("one of: {}", words.join(", ")));
            self.problem(value.span(), format!("unknown {key} `{text}`"), Some(help));
        }
        None
    }

    fn table<'a, 'b>(&mut self, table: &'a Table<'b>, key: &str) -> Option<&'a Table<'b>> {
        let value = table.get(key)?;
        let inner = value.get_ref().as_table();
        if inner.is_none() {
            self.wrong(value, format!("`{key}` is a table: write `[{key}]`"));
        }
        inner
    }

    fn tables<'a, 'b>(&mut self, table: &'a Table<'b>, key: &str) -> Vec<(Span, &'a Table<'b>)> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong(value, format!("`{key}` is a list of tables: write `[[{key}]]`"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            match item.get_ref().as_table() {
                Some(table) => tables.push((item.span(), table)),
                None => self.wrong(item, "this is a table"),
            }
        }
        tables
    }

    // Problems.

    fn known(&mut self, table: &Table<'_>, keys: &[&'static str]) {
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if !keys.contains(&name) {
                let help = meant(name, keys).unwrap_or_else(|| format!("known keys: {}", keys.join(", ")));
                self.problem(key.span(), format!("unknown key `{name}`"), Some(help));
            }
        }
    }

    fn missing<T>(&mut self, table: &Table<'_>, key: &str, what: &str) -> Option<T> {
        if !table.contains_key(key) {
            let first = table.keys().map(Spanned::span).min_by_key(|span| span.start).unwrap_or(0..0);
            self.problem(first, format!("`[[{what}]]` needs `{key}`"), None);
        }
        None
    }

    fn wrong(&mut self, value: &Spanned<DeValue<'_>>, message: impl Into<String>) {
        self.problem(value.span(), message, None);
    }

    fn problem(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        let at = self.place(&span);
        self.problems.push(Problem { level: Level::Error, at, message: message.into(), help });
    }

    fn place(&self, span: &Span) -> Place {
        let start = floor(self.text, span.start);
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        let column = self.text[line_start..start].chars().count() + 1;
        let end = floor(self.text, span.end.clamp(start, (line_start + line.len()).max(start)));
        Place {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column,
            end_column: column + self.text[start..end].chars().count().max(1),
            text: line.to_owned(),
        }
    }
}

/// The last character boundary not after a byte.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// `did you mean …?`, where one of the words is close.
pub fn meant(word: &str, words: &[&'static str]) -> Option<String> {
    let close = words
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&word.to_ascii_lowercase(), known), known))
        .filter(|(distance, known)| *distance <= 2.max(known.len() / 3));
    close.min_by_key(|(distance, _)| *distance).map(|(_, known)| format!("did you mean `{known}`?"))
}

/// The last part of a path: a management group may be given by its whole id.
fn last(text: &str) -> &str {
    text.trim_end_matches('/').rsplit('/').next().unwrap_or(text)
}

/// The id of an account of a cloud, from `111122223333` or `aws:111122223333`; of a subscription of Azure also from
/// its path. An error says what one looks like.
pub fn account_of(cloud: CloudId, text: &str) -> Result<String, String> {
    let text = text.trim();
    let id = match text.split_once(':') {
        Some((own, id)) if own == cloud.name() => id,
        Some((other, _)) if CloudId::parse(other).is_some() => {
            return Err(format!("`{text}` is not of {}", cloud.name()));
        }
        _ => text,
    };
    match cloud {
        CloudId::Aws if id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()) => Ok(id.to_owned()),
        CloudId::Aws => Err(format!("`{text}` is no AWS account: its id has twelve digits")),
        CloudId::Azure => {
            let id = id.strip_prefix("/subscriptions/").unwrap_or(id);
            let groups = [8, 4, 4, 4, 12];
            let is_guid = id.split('-').count() == groups.len()
                && id
                    .split('-')
                    .zip(groups)
                    .all(|(group, length)| group.len() == length && group.bytes().all(|byte| byte.is_ascii_hexdigit()));
            if is_guid {
                Ok(id.to_ascii_lowercase())
            } else {
                Err(format!(
                    "`{text}` is no Azure subscription: its id is 00000000-0000-0000-0000-000000000000 with other digits"
                ))
            }
        }
        CloudId::Gcp => {
            let id = id.strip_prefix("projects/").unwrap_or(id);
            // Old projects of Workspace domains are `example.com:project`.
            let (domain, name) = id.rsplit_once(':').unwrap_or(("", id));
            let plain = |text: &str, more: &[char]| {
                text.chars()
                    .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || more.contains(&letter))
            };
            let is_id = (4..=30).contains(&name.len())
                && name.starts_with(|letter: char| letter.is_ascii_lowercase())
                && plain(name, &['-'])
                && plain(domain, &['-', '.']);
            if is_id {
                Ok(id.to_owned())
            } else {
                Err(format!(
                    "`{text}` is no GCP project: its id, as `shop-prod-123456`, has small letters, digits and `-`; its number \
                     and its name are something else"
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        match Config::parse("sweeper.toml", text, Path::new("")) {
            Ok(_) => String::new(),
            Err(failure) => failure.problems.concat(),
        }
    }

    #[test]
    fn everything_can_be_written() {
        let text = r#"
deployment = "prod-eu"
state = "sqlite:state.db"
policies = "rules"

[house]
owner_keys = ["team"]
fallback = "platform"
aliases = { alice_example_com = "alice@example.com" }

[[scope]]
accounts = ["aws:111122223333"]
class = "sandbox"
owner = "team-a"

[[waiver]]
accounts = ["aws:222233334444"]
regions = ["eu-west-1"]
reason = "owned by the vendor, ticket 4711"
until = 2027-01-31

[iac]
index = ["iac-index.json", "/var/lib/iac.json"]
max_age = "7d"
clouds = ["aws", "gcp"]

[[referrers]]
file = "in-use/prod.json"

[[referrers]]
name = "nomad"
file = "s3://shop-state/in-use/nomad.json"
max_age = "12h"
clouds = ["aws"]
accounts = ["aws:1111*"]
clusters = ["*-eu"]

[limits]
rate = 5
call_timeout = "30s"
deadline = "20m"
max_api_usd = 0.5

[aws]
org = true
role = "reader"
accounts = ["aws:111122223333"]

[azure]
management_group = "/providers/Microsoft.Management/managementGroups/mg-shop"
subscriptions = ["azure:11111111-1111-1111-1111-11111111AAAA"]
regions = ["westeurope"]

[gcp]
organization = 123456789012
projects = ["shop-prod", "example.com:old-shop"]

[[schedule]]
cron = "0 6 * * MON-FRI"
zone = "Europe/London"
"#;
        let config = Config::parse("sweeper.toml", text, Path::new("/etc/sweeper")).unwrap();
        assert_eq!(config.policies.as_deref(), Some(Path::new("/etc/sweeper/rules")));
        assert_eq!(config.house.scopes[0].class, AccountClass::Sandbox);
        assert_eq!(config.house.aliases["alice_example_com"], "alice@example.com");
        assert_eq!(config.waivers[0].until, "2027-01-31");
        let index = ("iac-index.json".to_owned(), PathBuf::from("/etc/sweeper/iac-index.json"));
        assert_eq!((&config.iac.indexes[0], config.iac.indexes.len()), (&index, 2));
        assert_eq!((config.iac.max_age, config.iac.clouds.len()), (7 * 86_400, 2));
        let [prod, nomad] = &config.referrers[..] else { panic!("{:?}", config.referrers) };
        assert_eq!((prod.name.as_str(), prod.max_age), ("in-use/prod.json", 48 * 3600));
        assert_eq!(prod.at, At::File(PathBuf::from("/etc/sweeper/in-use/prod.json")));
        assert_eq!((nomad.name.as_str(), nomad.max_age, nomad.clouds.len()), ("nomad", 12 * 3600, 1));
        assert!(matches!(&nomad.at, At::Bucket(bucket) if bucket.to_string() == "s3://shop-state/in-use/nomad.json"));
        assert_eq!(config.limits.max_api_usd.to_string(), "0.5");
        assert_eq!(config.deadline, Some(Duration::from_mins(20)));
        assert_eq!(config.schedules[0].name, "0 6 * * MON-FRI");
        assert!(config.aws.org);
        assert_eq!(config.azure.management_group.as_deref(), Some("mg-shop"));
        assert!(config.azure.subscriptions.contains("11111111-1111-1111-1111-11111111aaaa"));
        assert_eq!(config.gcp.parent.as_deref(), Some("organizations/123456789012"));
        assert!(config.gcp.projects.contains("example.com:old-shop"));
    }

    #[test]
    fn ids_are_those_of_their_cloud() {
        let found = problems(
            "[aws]\naccounts = [\"1111\"]\n[azure]\nsubscriptions = [\"shop\"]\nmanagment_group = \"x\"\n[gcp]\n\
             organization = \"acme\"\nprojects = [\"222222222222\", \"azure:x\"]\n",
        );
        for text in [
            "sweeper.toml:2:13",
            "twelve digits",
            "sweeper.toml:4:18",
            "no Azure subscription",
            "did you mean `management_group`?",
            "`organization` is a number",
            "sweeper.toml:8:13",
            "no GCP project",
            "`azure:x` is not of gcp",
        ] {
            assert!(found.contains(text), "{text}: {found}");
        }
        let found = problems("[gcp]\nbilling_table = \"costs.export\"\nbilling_bytes = \"1G\"\n");
        assert!(found.contains("2:17") && found.contains("named in full") && found.contains("whole number"), "{found}");
        let found = problems("[gcp]\norganization = 1\nfolder = \"folders/2\"\n");
        assert!(found.contains("name one of"), "{found}");
    }

    #[test]
    fn every_problem_is_found_with_its_place() {
        let text = "polices = \"x\"\n[limits]\nrate = \"fast\"\n[[waiver]]\naccounts = []\n";
        let found = problems(text);
        assert!(found.contains("sweeper.toml:1:1") && found.contains("did you mean `policies`?"), "{found}");
        assert!(found.contains("sweeper.toml:3:8") && found.contains("`rate` is a number"), "{found}");
        assert!(found.contains("sweeper.toml:5:12") && found.contains("`accounts` is empty"), "{found}");
    }

    #[test]
    fn an_index_is_named_or_nothing_is() {
        for (text, said) in [
            ("[iac]\n", "`[iac]` needs `index`"),
            ("[iac]\nindex = []\n", "`index` is empty"),
            ("[iac]\nindexes = [\"x\"]\n", "did you mean `index`?"),
            ("[iac]\nindex = [\"x\"]\nmax_age = \"long\"\n", "`max_age` is a length of time"),
            ("[iac]\nindex = [\"x\"]\nclouds = [\"azur\"]\n", "did you mean `azure`?"),
            ("[iac]\nindex = \"x\"\n", "`index` is a list of strings"),
        ] {
            let found = problems(text);
            assert!(found.contains(said), "{text}: {found}");
        }
    }

    #[test]
    fn a_file_of_referrers_is_where_it_can_be_read() {
        for (text, said) in [
            ("[[referrers]]\n", "1:1"),
            ("[[referrers]]\nmax_age = \"48h\"\n", "`[[referrers]]` needs `file`"),
            ("[[referrers]]\nfile = \"\"\n", "`file` is empty"),
            ("[[referrers]]\nfiles = \"x\"\n", "did you mean `file`?"),
            ("[[referrers]]\nfile = \"s3://b\"\n", "`s3://b` names no object"),
            ("[[referrers]]\nfile = \"s3:///k\"\n", "names no bucket"),
            ("[[referrers]]\nfile = \"https://h/in-use.json\"\n", "is no place that is read"),
            ("[[referrers]]\nfile = \"x\"\nmax_age = \"long\"\n", "3:11"),
            ("[[referrers]]\nfile = \"x\"\nclouds = [\"azur\"]\n", "did you mean `azure`?"),
            ("[referrers]\nfile = \"x\"\n", "write `[[referrers]]`"),
            ("[[referers]]\nfile = \"x\"\n", "did you mean `referrers`?"),
        ] {
            let found = problems(text);
            assert!(found.contains(said), "{text}: {found}");
        }
    }

    #[test]
    fn a_waiver_without_an_end_is_an_error() {
        let found = problems("[[waiver]]\naccounts = [\"aws:1\"]\nreason = \"x\"\n");
        assert!(found.contains("a waiver needs `until`"), "{found}");
        let found = problems("[[waiver]]\naccounts = [\"aws:1\"]\nreason = \"x\"\nuntil = \"soon\"\n");
        assert!(found.contains("`until` is a date"), "{found}");
    }

    #[test]
    fn odd_texts_are_errors_and_never_panics() {
        for text in
            ["=", "[", "a = \u{1F9DF}", "[house]\naliases = 3", "scope = 1", "[[scope]]\n", "deployment = \"../x\""]
        {
            assert!(!problems(text).is_empty(), "{text}");
        }
    }
}
