//! Reading policies: TOML with places, checked whole, every problem at once.
//!
//! Under `then = "stop"`, `"delete"` or `"set-retention"` the rules are strict, so that losing any line of a
//! policy is an error or makes it narrower, never wider:
//!
//! - `for`, `grace`, `limit` with its three parts, and `when` (on one line) must be written;
//! - exactly one scope key is written (with two, losing one would widen; the rest of the scope goes into `when`);
//! - `class` goes with `when` alone, not with `sweep`;
//! - `consent`, `approve` and `keep` are at their strictest where they are not written.

use super::{
    Account, Approve, Condition, Consent, DEFAULT_FOR, DEFAULT_GRACE, Except, Keep, Known, Level, Limit, Loaded, Place,
    Policy, PolicySet, Problem, Source, Verb,
    condition::{Context, did_you_mean},
    glob,
    watch::Watched,
};
use crate::{
    detect::{DETECTORS, Detector, Severity, detector},
    kind::KindSpec,
    model::{Class, CloudId},
    money::Amount,
    ttl,
};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, ops::Range};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

mod watch;

const POLICY_KEYS: &[&str] = &[
    "name",
    "sweep",
    "class",
    "clouds",
    "accounts",
    "regions",
    "kinds",
    "when",
    "for",
    "then",
    "keep",
    "grace",
    "consent",
    "approve",
    "limit",
    "accept_unseen",
    "severity",
    "tell",
];
const EXCEPT_KEYS: &[&str] = &["resource", "reason", "until"];
const LIMIT_KEYS: &[&str] = &["count", "share", "monthly_usd"];
const SCOPE_KEYS: &[&str] = &["clouds", "accounts", "regions", "kinds"];
const SEVERITIES: &[&str] = &["info", "ticket", "page"];

/// The bytes of a source that something was written in.
type Span = Range<usize>;

/// Reads policies, checks them, and finds every problem.
pub fn load(sources: &[Source], known: &Known<'_>) -> Loaded {
    let mut problems = Vec::new();
    let mut set = PolicySet { policies: Vec::new(), watches: Vec::new(), excepts: Vec::new(), digest: digest(sources) };
    for source in sources {
        let mut reader = Reader { source, known, problems: Vec::new() };
        reader.source(&mut set);
        let mut own = reader.problems;
        own.sort_by_key(|problem| (problem.at.line, problem.at.column));
        problems.append(&mut own);
    }
    let mut names: BTreeMap<&str, &Place> = BTreeMap::new();
    let policies = set.policies.iter().map(|policy| (&policy.name, &policy.at));
    for (name, at) in policies.chain(set.watches.iter().map(|watch| (&watch.name, &watch.at))) {
        if let Some(first) = names.get(name.as_str()) {
            problems.push(Problem {
                level: Level::Error,
                at: at.clone(),
                message: format!("there is already a policy `{name}`"),
                help: Some(format!("the first is at {}:{}", first.path, first.line)),
            });
        } else {
            names.insert(name, at);
        }
    }
    if set.policies.len() > usize::from(u16::MAX) {
        let at = set.policies[usize::from(u16::MAX)].at.clone();
        problems.push(Problem { level: Level::Error, at, message: "too many policies".to_owned(), help: None });
    }
    let sound = problems.iter().all(|problem| problem.level != Level::Error);
    Loaded { set: sound.then_some(set), problems }
}

fn digest(sources: &[Source]) -> String {
    let mut hash = Sha256::new();
    for source in sources {
        hash.update((source.text.len() as u64).to_be_bytes());
        hash.update(source.text.as_bytes());
    }
    hexadecimal(&hash.finalize())
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

/// What a clock belongs to: see [`Policy::rule`].
fn rule(sweep: Option<&Detector>, when: Option<&str>, strict: bool) -> String {
    let id = sweep.map_or("condition", |detector| detector.spec.id);
    let Some(when) = when else { return id.to_owned() };
    let mut hash = Sha256::new();
    hash.update([u8::from(strict)]);
    hash.update(when.as_bytes());
    [id, "+", &hexadecimal(&hash.finalize())[..12]].concat()
}

struct Reader<'s> {
    source: &'s Source,
    known: &'s Known<'s>,
    problems: Vec<Problem>,
}

type Table<'t> = DeTable<'t>;

fn span_of(table: &Table<'_>, key: &str) -> Option<Span> {
    table.get_key_value(key).map(|(key, _)| key.span())
}

impl Reader<'_> {
    fn place(&self, span: &Span) -> Place {
        let text = &self.source.text;
        let start = text.floor_char_boundary(span.start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let column = text[line_start..start].chars().count() + 1;
        let end = text.ceil_char_boundary(span.end).clamp(start, line_start + line.len().max(start - line_start));
        Place {
            path: self.source.path.clone(),
            line: before.matches('\n').count() + 1,
            column,
            end_column: column + text[start..end].chars().count().max(1),
            text: line.to_owned(),
        }
    }

    fn problem(&mut self, span: &Span, message: impl Into<String>, help: Option<String>) {
        let problem = Problem { level: Level::Error, at: self.place(span), message: message.into(), help };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn source(&mut self, set: &mut PolicySet) {
        let (root, errors) = DeTable::parse_recoverable(&self.source.text);
        if !errors.is_empty() {
            // What could be recovered of a broken file would only give misleading problems.
            for error in errors {
                let span = error.span().unwrap_or(0..0);
                self.problem(&span, format!("not TOML: {}", error.message().replace('\n', ", ")), None);
            }
            return;
        }
        let mut tables: Vec<(Span, bool, &Table<'_>)> = Vec::new();
        for (key, value) in root.get_ref() {
            let is_policy = match key.get_ref().as_ref() {
                "policy" => true,
                "except" => false,
                name => {
                    let name = name.to_owned();
                    let help = did_you_mean(&name, ["policy", "except"])
                        .or_else(|| Some("a policy file has `[[policy]]` and `[[except]]`".to_owned()));
                    self.problem(&key.span(), format!("unknown key `{name}`"), help);
                    continue;
                }
            };
            let items = value.get_ref().as_array();
            let Some(items) = items else {
                let name = key.get_ref().clone();
                self.problem(&key.span(), format!("`{name}` is a list"), Some(format!("write `[[{name}]]`")));
                continue;
            };
            for item in items {
                match item.get_ref().as_table() {
                    Some(table) => tables.push((item.span(), is_policy, table)),
                    None => self.problem(&item.span(), "this is a table", None),
                }
            }
        }
        tables.sort_by_key(|(span, ..)| span.start);
        for (span, is_policy, table) in tables {
            let watched = table.get("sweep").and_then(|value| Watched::parse(value.get_ref().as_str()?));
            if let (true, Some(what)) = (is_policy, watched) {
                set.watches.extend(self.watch(&span, table, what));
            } else if is_policy {
                set.policies.extend(self.policy(&span, table));
            } else {
                set.excepts.extend(self.except(&span, table));
            }
        }
    }

    fn known_keys(&mut self, table: &Table<'_>, keys: &[&'static str]) {
        self.only_keys(table, keys, "known keys", |name| format!("unknown key `{name}`"));
    }

    /// Whether a table has no other keys. `known` introduces them to who meant none of them.
    fn only_keys(&mut self, table: &Table<'_>, keys: &[&'static str], known: &str, wrong: impl Fn(&str) -> String) {
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if !keys.contains(&name) {
                let help =
                    did_you_mean(name, keys.iter().copied()).or_else(|| Some(format!("{known}: {}", keys.join(", "))));
                self.problem(&key.span(), wrong(name), help);
            }
        }
    }

    fn string<'t>(&mut self, key: &str, value: &'t Spanned<DeValue<'_>>) -> Option<&'t str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.problem(&value.span(), format!("`{key}` is a string"), None);
        }
        text
    }

    fn text<'t>(&mut self, table: &'t Table<'_>, key: &str) -> Option<(&'t str, Span)> {
        let value = table.get(key)?;
        let text = self.string(key, value)?;
        if text.trim().is_empty() {
            self.problem(&value.span(), format!("`{key}` is empty"), None);
            return None;
        }
        Some((text, value.span()))
    }

    /// A list of strings; never empty.
    fn list<'t>(&mut self, table: &'t Table<'_>, key: &str) -> Vec<(&'t str, Span)> {
        let Some(value) = table.get(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            let help = value.get_ref().as_str().map(|text| format!("write `{key} = [\"{text}\"]`"));
            self.problem(&value.span(), format!("`{key}` is a list of strings"), help);
            return Vec::new();
        };
        if items.is_empty() {
            let help = "an empty list selects nothing; leave the key out, or name something".to_owned();
            self.problem(&value.span(), format!("`{key}` is empty"), Some(help));
        }
        let mut list = Vec::new();
        for item in items {
            match self.string(key, item) {
                Some("") => self.problem(&item.span(), format!("`{key}` has an empty entry"), None),
                Some(text) => list.push((text, item.span())),
                None => {}
            }
        }
        list
    }

    fn word<T>(
        &mut self,
        table: &Table<'_>,
        key: &str,
        words: &[&'static str],
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let (text, span) = self.text(table, key)?;
        let parsed = parse(text);
        if parsed.is_none() {
            let help =
                did_you_mean(text, words.iter().copied()).or_else(|| Some(format!("one of: {}", words.join(", "))));
            self.problem(&span, format!("unknown {key} `{text}`"), help);
        }
        parsed
    }

    fn length(&mut self, table: &Table<'_>, key: &str) -> Option<i64> {
        let (text, span) = self.text(table, key)?;
        let seconds = ttl::span(text);
        if seconds.is_none() {
            let help = "a whole number of weeks, days, hours or minutes: `14d`, `72h`, `30m`, `2w`".to_owned();
            self.problem(&span, format!("`{text}` is not a length of time"), Some(help));
        }
        seconds
    }

    fn required(&mut self, table: &Table<'_>, at: &Span, keys: &[&str], why: &str, example: impl Fn(&str) -> String) {
        for key in keys {
            if !table.contains_key(*key) {
                self.problem(at, format!("`{key}` is missing{why}"), Some(format!("add `{}`", example(key))));
            }
        }
    }

    fn policy(&mut self, span: &Span, table: &Table<'_>) -> Option<Policy> {
        let before = self.problems.len();
        self.known_keys(table, POLICY_KEYS);
        let head = self.head(span);
        let name = self.text(table, "name").map(|(name, _)| name.to_owned());
        let at = table.get("name").map_or(head.clone(), Spanned::span);
        self.required(table, &head, &["name"], "", |_| "name = \"…\"".to_owned());

        let detectors: Vec<&'static str> =
            DETECTORS.iter().map(|detector| detector.spec.id).chain(Watched::NAMES.iter().copied()).collect();
        let sweep = self.word(table, "sweep", &detectors, detector);
        let classes: Vec<&'static str> =
            Class::ALL.iter().filter(|class| **class != Class::Referrer).map(|class| class.name()).collect();
        let class =
            self.word(table, "class", &classes, |name| Class::parse(name).filter(|class| *class != Class::Referrer));
        let then = self.word(table, "then", Verb::NAMES, Verb::parse).unwrap_or(Verb::Report);
        let clouds = self.clouds(table);
        let accounts = self.accounts(table);
        let regions: Vec<String> = self.list(table, "regions").into_iter().map(|(name, _)| name.to_owned()).collect();
        let kinds = self.kinds(table);
        let severity = self.severity(table);

        let judged = self.classes(table, &head, sweep, class, &clouds, &kinds);
        self.strict(table, &head, then);
        let when = self.when(table, then, &judged);
        let for_ = self.length(table, "for").unwrap_or(DEFAULT_FOR);
        let grace = self.length(table, "grace").unwrap_or(DEFAULT_GRACE);
        let keep = self.keep(table, then, &judged);
        let consent = self.word(table, "consent", Consent::NAMES, Consent::parse).unwrap_or(Consent::Explicit);
        let approve = self.word(table, "approve", Approve::NAMES, Approve::parse).unwrap_or(Approve::TwoPeople);
        let limit = self.limit(table, then);
        let accept_unseen = self.accept_unseen(table);
        let tell = self.list(table, "tell").into_iter().map(|(name, _)| name.to_owned()).collect();

        let policy = Policy {
            name: name?,
            sweep,
            class,
            clouds,
            accounts,
            regions,
            kinds,
            rule: rule(sweep, when.as_ref().map(Condition::text), then.is_strict()),
            when,
            for_,
            then,
            keep,
            grace,
            consent,
            approve,
            limit,
            accept_unseen,
            severity: severity.or(sweep.map(|detector| detector.spec.severity)).unwrap_or(Severity::Info),
            tell,
            at: self.place(&at),
        };
        if self.problems.len() == before {
            self.verb(table, &policy, &judged);
        }
        // A policy with problems still counts for its name.
        Some(policy)
    }

    /// The header of a table: its first line.
    fn head(&self, span: &Span) -> Span {
        let line = self.source.text[span.start..].lines().next().map_or(0, str::len);
        span.start..span.start + line
    }

    fn clouds(&mut self, table: &Table<'_>) -> Vec<CloudId> {
        let mut clouds = Vec::new();
        for (name, span) in self.list(table, "clouds") {
            if let Some(cloud) = CloudId::parse(name) {
                clouds.push(cloud);
                continue;
            }
            let names = CloudId::ALL.map(CloudId::name);
            let help = did_you_mean(name, names).or_else(|| Some(format!("one of: {}", names.join(", "))));
            self.problem(&span, format!("unknown cloud `{name}`"), help);
        }
        clouds
    }

    fn accounts(&mut self, table: &Table<'_>) -> Vec<Account> {
        let mut accounts = Vec::new();
        for (text, span) in self.list(table, "accounts") {
            let (cloud, id) = match text.split_once(':') {
                None => (None, text),
                Some(("ou" | "mg" | "folder" | "tag" | "alias", _)) => {
                    let help = "name the accounts by id, `aws:111122223333`".to_owned();
                    self.problem(&span, format!("the selector `{text}` is not supported yet"), Some(help));
                    continue;
                }
                Some((cloud, id)) => {
                    let Some(known) = CloudId::parse(cloud) else {
                        let help = did_you_mean(cloud, CloudId::ALL.map(CloudId::name)).or_else(|| {
                            Some("an account is `aws:111122223333`, `azure:<guid>` or `gcp:<project>`".to_owned())
                        });
                        self.problem(&span, format!("unknown cloud `{cloud}`"), help);
                        continue;
                    };
                    (Some(known), id)
                }
            };
            if id.is_empty() || id.contains(['*', '?', '/', ' ']) {
                let help = "one id an entry; leave `accounts` out for every account".to_owned();
                self.problem(&span, format!("`{text}` is not an account id"), Some(help));
                continue;
            }
            accounts.push(Account { cloud, id: id.to_owned() });
        }
        accounts
    }

    fn kinds(&mut self, table: &Table<'_>) -> Vec<&'static KindSpec> {
        let known = self.known.kinds;
        let mut kinds = Vec::new();
        for (name, span) in self.list(table, "kinds") {
            match known.iter().find(|kind| kind.id == name) {
                Some(kind) if kind.class == Class::Referrer => {
                    let help = "it is listed because it may use something else".to_owned();
                    self.problem(&span, format!("`{name}` is never judged"), Some(help));
                }
                Some(kind) => kinds.push(*kind),
                None => {
                    let help = did_you_mean(name, known.iter().map(|kind| kind.id));
                    self.problem(&span, format!("unknown kind `{name}`"), help);
                }
            }
        }
        kinds
    }

    /// The classes a policy judges, and whether what it names fits together.
    fn classes(
        &mut self,
        table: &Table<'_>,
        head: &Span,
        sweep: Option<&'static Detector>,
        class: Option<Class>,
        clouds: &[CloudId],
        kinds: &[&'static KindSpec],
    ) -> Vec<Class> {
        if !table.contains_key("sweep") {
            self.required(table, head, &["class", "when"], ", and there is no `sweep`", |key| match key {
                "class" => "sweep = \"unattached-disk\"".to_owned(),
                _ => "when = '…'".to_owned(),
            });
        }
        if let (Some(detector), Some(class)) = (sweep, class)
            && !detector.spec.judges(class)
        {
            let names: Vec<&str> = detector.spec.classes.iter().map(|class| class.name()).collect();
            let span = span_of(table, "class").unwrap_or(head.clone());
            let message = format!("`{}` does not judge the class {}", detector.spec.id, class.name());
            self.problem(&span, message, Some(format!("it judges: {}", names.join(", "))));
        }
        let judges = |own: Class| {
            own != Class::Referrer
                && class.is_none_or(|class| class == own)
                && sweep.is_none_or(|detector| detector.spec.judges(own))
        };
        if let Some(items) = table.get("kinds").and_then(|value| value.get_ref().as_array()) {
            for item in items {
                let Some(kind) = kinds.iter().find(|kind| item.get_ref().as_str() == Some(kind.id)) else { continue };
                if !judges(kind.class) {
                    let message = format!("`{}` is a {}, which this policy does not judge", kind.id, kind.class.name());
                    self.problem(&item.span(), message, None);
                }
                if !clouds.is_empty() && !clouds.contains(&kind.cloud) {
                    let message = format!("`{}` is not in the policy's clouds", kind.id);
                    self.problem(&item.span(), message, None);
                }
            }
        }
        Class::ALL
            .iter()
            .copied()
            .filter(|own| judges(*own))
            .filter(|own| kinds.is_empty() || kinds.iter().any(|kind| kind.class == *own))
            .collect()
    }

    fn strict(&mut self, table: &Table<'_>, head: &Span, then: Verb) {
        if !then.is_strict() {
            return;
        }
        let why = format!(" under `then = \"{}\"`", then.name());
        let keys: &[&str] = if table.contains_key("sweep") || table.contains_key("class") {
            &["when", "for", "grace", "limit"]
        } else {
            &["for", "grace", "limit"]
        };
        self.required(table, head, keys, &why, |key| match key {
            "for" => "for = \"14d\"".to_owned(),
            "grace" => "grace = \"7d\"".to_owned(),
            "when" => "when = 'true'` to act on everything that is found, or narrow it: `when = '…'".to_owned(),
            _ => "limit = { count = 50, share = \"5%\", monthly_usd = 2000 }".to_owned(),
        });
        let scopes: Vec<&str> = SCOPE_KEYS.iter().copied().filter(|key| table.contains_key(*key)).collect();
        match scopes.as_slice() {
            [_] => {}
            [] => {
                let help = "add one of `clouds`, `accounts`, `regions`, `kinds`".to_owned();
                self.problem(head, format!("a scope key is missing{why}"), Some(help));
            }
            [_, others @ ..] => {
                let help = "losing a line must never widen what is acted on: keep one, and say the rest in `when`, \
                            as in `region in [\"eu-west-1\"]`";
                for key in others {
                    let span = span_of(table, key).unwrap_or(head.clone());
                    self.problem(&span, format!("one scope key too many{why}"), Some(help.to_owned()));
                }
            }
        }
        if table.contains_key("sweep")
            && let Some(span) = span_of(table, "class")
        {
            let help = "narrow it with `kinds` instead: without the line `sweep`, `class` alone would select more";
            self.problem(&span, format!("`class` cannot go with `sweep`{why}"), Some(help.to_owned()));
        }
        if let Some(when) = table.get("when")
            && when.get_ref().as_str().is_some()
            && self.source.text[when.span()].contains('\n')
        {
            let help = "losing a line of it must never widen what is acted on".to_owned();
            self.problem(&when.span(), format!("`when` stands on one line{why}"), Some(help));
        }
    }

    fn when(&mut self, table: &Table<'_>, then: Verb, classes: &[Class]) -> Option<Condition> {
        let (text, span) = self.text(table, "when")?;
        if classes.is_empty() {
            return None;
        }
        let context = Context { classes, strict: then.is_strict(), kinds: self.known.kinds };
        match Condition::compile(text, &context) {
            Ok(condition) => Some(condition),
            Err(faults) => {
                let source = self.source.text[span.clone()].to_owned();
                for fault in faults {
                    let (start, end) = (written_at(&source, text, fault.start), written_at(&source, text, fault.end));
                    let span = span.start + start..span.start + end;
                    self.problem(&span, fault.message, fault.help);
                }
                None
            }
        }
    }

    fn keep(&mut self, table: &Table<'_>, then: Verb, classes: &[Class]) -> Keep {
        let snapshots = |class: &Class| matches!(class, Class::Disk | Class::Database);
        let written = self.word(table, "keep", Keep::NAMES, Keep::parse);
        if let (Some(Keep::Snapshot), Some(value)) = (written, table.get("keep")) {
            let lacking: Vec<&str> =
                classes.iter().filter(|class| !snapshots(class)).map(|class| class.name()).collect();
            if !lacking.is_empty() {
                let message = format!("no snapshot can be kept of {}", lacking.join(", "));
                self.problem(&value.span(), message, Some("`definition` keeps enough to make it again".to_owned()));
            }
        }
        match written {
            Some(keep) => keep,
            None if then != Verb::Delete => Keep::None,
            None if !classes.is_empty() && classes.iter().all(snapshots) => Keep::Snapshot,
            None => Keep::Definition,
        }
    }

    fn limit(&mut self, table: &Table<'_>, then: Verb) -> Limit {
        let mut limit = Limit::default();
        let Some(value) = table.get("limit") else { return limit };
        let Some(own) = value.get_ref().as_table() else {
            let help = "write `limit = { count = 50, share = \"5%\", monthly_usd = 2000 }`".to_owned();
            self.problem(&value.span(), "`limit` is a table", Some(help));
            return limit;
        };
        self.known_keys(own, LIMIT_KEYS);
        if then.is_strict() {
            let at = span_of(table, "limit").unwrap_or(value.span());
            self.required(own, &at, LIMIT_KEYS, " in `limit`", |key| match key {
                "count" => "count = 50".to_owned(),
                "share" => "share = \"5%\"".to_owned(),
                _ => "monthly_usd = 2000".to_owned(),
            });
        }
        if let Some(value) = own.get("count") {
            let count = value.get_ref().as_integer().and_then(|number| number.to_string().parse::<u32>().ok());
            match count {
                Some(count) => limit.count = count,
                None => self.problem(&value.span(), "`count` is a whole number from 0", None),
            }
        }
        if let Some(value) = own.get("share") {
            if let Some(share) = value.get_ref().as_str().and_then(share) {
                limit.share = share;
            } else {
                let help = Some("from \"0%\" to \"100%\", as in \"5%\" or \"0.5%\"".to_owned());
                self.problem(&value.span(), "`share` is a percentage", help);
            }
        }
        if let Some(amount) = self.amount(own, "monthly_usd") {
            limit.monthly_usd = amount;
        }
        limit
    }

    fn accept_unseen(&mut self, table: &Table<'_>) -> Vec<String> {
        let known: Vec<&'static str> =
            self.known.kinds.iter().flat_map(|kind| kind.out_of_sight.iter().map(|(_, what)| *what)).collect();
        let mut accepted = Vec::new();
        for (text, span) in self.list(table, "accept_unseen") {
            if known.contains(&text) {
                accepted.push(text.to_owned());
            } else {
                let help = did_you_mean(text, known.iter().copied())
                    .or_else(|| Some("`explain` prints what is out of sight of a finding".to_owned()));
                self.problem(&span, format!("nothing is out of sight as `{text}`"), help);
            }
        }
        accepted
    }

    /// Whether what the policy judges has its verb.
    fn verb(&mut self, table: &Table<'_>, policy: &Policy, classes: &[Class]) {
        let Some(span) = table.get("then").map(Spanned::span) else { return };
        let then = policy.then;
        let lacking: Vec<&str> = classes.iter().filter(|class| !then.fits(**class)).map(|class| class.name()).collect();
        if !lacking.is_empty() {
            let help = if lacking.len() < classes.len() {
                "narrow the policy with `kinds`".to_owned()
            } else {
                "`report` is for everything".to_owned()
            };
            self.problem(&span, format!("`{}` cannot be used on: {}", then.name(), lacking.join(", ")), Some(help));
            return;
        }
        if then == Verb::Report {
            return;
        }
        let judged: Vec<&KindSpec> = self.known.kinds.iter().copied().filter(|kind| policy.judges(kind)).collect();
        let reported: Vec<&&KindSpec> = judged.iter().filter(|kind| !kind.report_only.is_empty()).collect();
        // Named, or nothing else left: the policy could never act. Otherwise each such finding is held.
        let named = !policy.kinds.is_empty();
        if let Some(first) = reported.first()
            && (named || reported.len() == judged.len())
        {
            let message = format!("`{}` is only reported: {}", first.id, first.report_only);
            self.problem(&span, message, Some("write `then = \"report\"`".to_owned()));
        }
    }

    fn except(&mut self, span: &Span, table: &Table<'_>) -> Option<Except> {
        self.known_keys(table, EXCEPT_KEYS);
        let head = self.head(span);
        self.required(table, &head, EXCEPT_KEYS, "", |key| match key {
            "resource" => "resource = \"aws.ec2-volume:*/vol-0abc*\"".to_owned(),
            "reason" => "reason = \"forensics hold, ticket 4711\"".to_owned(),
            _ => "until = 2027-01-31".to_owned(),
        });
        let resource = self.text(table, "resource").filter(|(text, span)| self.is_glob(text, span));
        let reason = self.text(table, "reason");
        let until = self.until(table);
        let ((resource, at), (reason, _), (until, ends)) = (resource?, reason?, until?);
        Some(Except {
            resource: resource.to_owned(),
            reason: reason.trim().to_owned(),
            until,
            ends,
            at: self.place(&at),
        })
    }

    fn is_glob(&mut self, text: &str, span: &Span) -> bool {
        let form =
            Some("`<kind>:<account>/<native id>`, or with `<region>/` before the id; `*` is any text".to_owned());
        let parts = text.split_once(':').and_then(|(kind, rest)| rest.split_once('/').map(|rest| (kind, rest)));
        let Some((kind, (account, native))) = parts else {
            self.problem(span, "not the form of a resource", form);
            return false;
        };
        if kind.is_empty() || account.is_empty() || native.is_empty() || text.contains(char::is_control) {
            self.problem(span, "not the form of a resource", form);
            return false;
        }
        if !self.known.kinds.iter().any(|known| glob(kind, known.id)) {
            let help = did_you_mean(kind, self.known.kinds.iter().map(|kind| kind.id));
            self.problem(span, format!("unknown kind `{kind}`"), help);
            return false;
        }
        true
    }

    fn until(&mut self, table: &Table<'_>) -> Option<(String, crate::model::Timestamp)> {
        let value = table.get("until")?;
        let text = match value.get_ref() {
            DeValue::Datetime(at) => at.to_string(),
            DeValue::String(text) => text.to_string(),
            _ => String::new(),
        };
        let ends = ttl::end_of_date(&text);
        if ends.is_none() {
            self.problem(&value.span(), "`until` is a date", Some("write `until = 2027-01-31`".to_owned()));
        }
        ends.map(|ends| (text, ends))
    }
}

/// `5%` or `0.25%` in hundredths of a percent.
fn share(text: &str) -> Option<u32> {
    let number = Amount::parse(text.strip_suffix('%')?.trim())?;
    let hundredths = number.times(100);
    let whole = hundredths.pico() / Amount::whole(1).pico();
    (Amount::whole(whole as i64) == hundredths && (0..=10_000).contains(&whole)).then_some(whole as u32)
}

/// Where a byte of a string's value was written in its source, which has quotes and may have escapes.
fn written_at(source: &str, value: &str, byte: usize) -> usize {
    let quotes = if source.starts_with("'''") || source.starts_with("\"\"\"") { 3 } else { 1 };
    let newline = match source.get(quotes..) {
        Some(rest) if quotes == 3 && rest.starts_with("\r\n") => 2,
        Some(rest) if quotes == 3 && rest.starts_with('\n') => 1,
        _ => 0,
    };
    let from = quotes + newline;
    let inner = source.get(from..source.len().saturating_sub(quotes)).unwrap_or_default();
    if inner == value {
        return from + byte.min(inner.len());
    }
    // Escapes: each stands for one character, but for a line continuation, which stands for none.
    let (mut at, mut done) = (0, 0);
    while done < byte && at < inner.len() {
        let rest = &inner[at..];
        let letter = rest.chars().next().map_or(1, char::len_utf8);
        if !rest.starts_with('\\') {
            at += letter;
            done += letter;
            continue;
        }
        let digits = match rest.as_bytes().get(1) {
            Some(b'u') => 4,
            Some(b'U') => 8,
            Some(b'x') => 2,
            Some(b'\n' | b'\r' | b' ' | b'\t') => {
                at += 1 + rest[1..].len() - rest[1..].trim_start().len();
                continue;
            }
            _ => 0,
        };
        at += 2 + digits;
        done += value.get(done..).and_then(|value| value.chars().next()).map_or(1, char::len_utf8);
    }
    from + at.min(inner.len())
}
