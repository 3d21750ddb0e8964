//! `[[channel]]`: how owners are told. The deployer's; a policy only names them.
//!
//! No secret stands in it: a key that needs one is written `…_env`, the name of a variable, or `…_file`, a path.

use super::{Reader, Span, Table};
use crate::notify::{escape::Target, quiet::Quiet, secret::Secret, smtp, template::Template, wire};
use jiff::tz::TimeZone;
use reqwest::Url;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};
use sweeper_core::detect::Severity;

pub use crate::notify::By;

/// How many notices a channel carries in 24 hours where the config does not say.
const PER_DAY: u32 = 50;
/// The most that may be said: what was carried is remembered one by one.
const MOST_PER_DAY: u32 = 10_000;
/// What every channel has.
const CHANNEL: &[&str] =
    &["name", "by", "notices_per_day", "severity", "quiet", "zone", "to", "addresses", "template", "reports"];
/// Keys of the two that need no `by`.
const SHORT: &[&str] = &["file", "command"];
/// Keys that somebody may take for the place of a secret.
const SECRETS: &[&str] = &["password", "token", "secret", "key"];
const SEVERITIES: &[&str] = &["info", "ticket", "page"];

/// One `[[channel]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    pub name: String,
    pub by: By,
    pub per_day: u32,
    /// Empty: of every severity.
    pub severity: BTreeSet<Severity>,
    pub quiet: Option<Quiet>,
    /// Who is told where an owner has no address.
    pub to: Option<String>,
    /// Addresses by owner.
    pub addresses: BTreeMap<String, String>,
    pub template: Option<Template>,
    /// Whether it carries what is only reported, of policies that name no channel.
    pub reports: bool,
}

impl Channel {
    /// One without anything that it can do without.
    #[cfg(test)]
    pub fn new(name: &str, by: By) -> Self {
        Self {
            name: name.to_owned(),
            by,
            per_day: PER_DAY,
            severity: BTreeSet::new(),
            quiet: None,
            to: None,
            addresses: BTreeMap::new(),
            template: None,
            reports: false,
        }
    }

    /// Whether something of a severity goes by it.
    pub fn takes(&self, severity: Severity) -> bool {
        self.severity.is_empty() || self.severity.contains(&severity)
    }

    /// The address of an owner: the one written for him, or his name where that may be one, or that of `to`; and whether
    /// it is his name.
    pub fn address<'a>(&'a self, owner: Option<&'a str>) -> Option<(&'a str, bool)> {
        let written = owner.and_then(|owner| self.addresses.get(owner)).map(|address| (address.as_str(), false));
        let own = owner.filter(|owner| owner.contains('@')).map(|owner| (owner, true));
        written.or(own).or(self.to.as_deref().map(|to| (to, false)))
    }
}

/// The keys of one channel, as a notifier reads its own.
pub struct Keys<'k, 'r, 't> {
    reader: &'k mut Reader<'r>,
    table: &'k Table<'t>,
    span: Span,
    name: String,
}

impl Keys<'_, '_, '_> {
    pub fn string(&mut self, key: &str) -> Option<String> {
        self.reader.string(self.table, key)
    }

    /// A text that has to be there.
    pub fn needed(&mut self, key: &str) -> Option<String> {
        if !self.table.contains_key(key) {
            self.problem(format!("the channel `{}` needs `{key}`", self.name), None);
        }
        self.string(key)
    }

    pub fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.string(key).map(|path| self.reader.beside.join(path))
    }

    pub fn list(&mut self, key: &str) -> Vec<String> {
        self.reader.list(self.table, key)
    }

    pub fn word(&mut self, key: &str, words: &[&'static str]) -> Option<String> {
        self.reader.word(self.table, key, words)
    }

    pub fn number<T: std::str::FromStr>(&mut self, key: &str) -> Option<T> {
        self.reader.number(self.table, key)
    }

    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A table of texts.
    pub fn map(&mut self, key: &str) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for (name, value) in self.reader.table(self.table, key).into_iter().flatten() {
            match value.get_ref().as_str().filter(|text| !text.is_empty()) {
                Some(text) => drop(all.insert(name.get_ref().to_string(), text.to_owned())),
                None => self.reader.wrong(value, format!("`{key}` is a table of strings")),
            }
        }
        all
    }

    /// Where a service is. Its text is not repeated: it may hold what is nobody's business.
    pub fn url(&mut self, key: &str) -> Option<Url> {
        let text = self.string(key)?;
        match wire::place(&text) {
            Ok(url) => Some(url),
            Err(error) => {
                self.wrong(key, format!("`{key}`: {error}"));
                None
            }
        }
    }

    /// `<key>_env` or `<key>_file`.
    pub fn secret(&mut self, key: &str) -> Option<Secret> {
        let (env, file) = (format!("{key}_env"), format!("{key}_file"));
        if self.has(&env) && self.has(&file) {
            self.wrong(&file, format!("name one of `{env}` and `{file}`"));
        }
        let variable = self.string(&env);
        if let Some(name) = &variable
            && !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            self.wrong(&env, format!("`{env}` is the name of a variable of the environment, not the secret"));
            return None;
        }
        variable.map(Secret::Env).or_else(|| self.path(&file).map(Secret::File))
    }

    /// A secret that has to be there.
    pub fn needed_secret(&mut self, key: &str) -> Option<Secret> {
        if !self.has(&format!("{key}_env")) && !self.has(&format!("{key}_file")) {
            let message = format!("the channel `{}` needs `{key}_env` or `{key}_file`", self.name);
            self.problem(message, Some("secrets do not stand in the config: name where one is".to_owned()));
        }
        self.secret(key)
    }

    /// A problem of the value of a key.
    pub fn wrong(&mut self, key: &str, message: impl Into<String>) {
        match self.table.get(key) {
            Some(value) => self.reader.wrong(value, message),
            None => self.problem(message, None),
        }
    }

    /// A problem of the channel as a whole.
    pub fn problem(&mut self, message: impl Into<String>, help: Option<String>) {
        self.reader.problem(self.span.clone(), message, help);
    }
}

impl Reader<'_> {
    pub(super) fn channel(&mut self, span: &Span, table: &Table<'_>, channels: &mut Vec<Channel>) {
        let before = self.problems.len();
        self.read_channel(span, table, channels);
        // Whoever writes a secret where its place belongs shall not find it again in an error.
        for problem in self.problems.iter_mut().skip(before) {
            let line: String = problem.at.text.chars().filter(|letter| !letter.is_whitespace()).collect();
            let is_secret = SECRETS.iter().any(|key| line.contains(&format!("{key}=")));
            if is_secret || ["url=", "_env="].iter().any(|key| line.contains(key)) {
                "… = …".clone_into(&mut problem.at.text);
                (problem.at.column, problem.at.end_column) = (1, 6);
            }
        }
    }

    fn read_channel(&mut self, span: &Span, table: &Table<'_>, channels: &mut Vec<Channel>) {
        let by = self.word(table, "by", By::NAMES);
        let short = SHORT.iter().find(|key| table.contains_key(**key)).map(|key| (*key).to_owned());
        let by = by.or_else(|| short.filter(|_| !table.contains_key("by")));
        self.secrets_in(table);
        let own = by.as_deref().map_or_else(
            || By::NAMES.iter().flat_map(|name| By::keys(name)).copied().collect::<Vec<_>>(),
            |by| By::keys(by).to_vec(),
        );
        self.known(table, &[CHANNEL, &own, SECRETS].concat());
        let Some(name) = self.string(table, "name") else {
            if !table.contains_key("name") {
                self.problem(
                    span.clone(),
                    "a channel needs `name`",
                    Some("policies name it: `tell = [\"…\"]`".to_owned()),
                );
            }
            return;
        };
        if name.contains(|letter: char| letter == ',' || letter.is_control()) {
            self.problem(span.clone(), "a channel's name has no commas", None);
        }
        if channels.iter().any(|known| known.name == name) {
            self.problem(span.clone(), format!("there are two channels `{name}`"), None);
        }
        let Some(by) = by else {
            if !table.contains_key("by") {
                let message = format!("the channel `{name}` does not say how notices go out");
                self.problem(span.clone(), message, Some(format!("`by` is one of: {}", By::NAMES.join(", "))));
            }
            return;
        };
        let template = self.template(table, &by);
        let quiet = self.quiet(table);
        let severity = self.severities(table);
        let per_day = self.number(table, "notices_per_day").unwrap_or(PER_DAY);
        if per_day > MOST_PER_DAY
            && let Some(value) = table.get("notices_per_day")
        {
            self.wrong(value, format!("`notices_per_day` is at most {MOST_PER_DAY}"));
        }
        let reports = self.truth(table, "reports").unwrap_or(false);
        let mut keys = Keys { reader: self, table, span: span.clone(), name: name.clone() };
        let (to, addresses) = (keys.string("to"), keys.map("addresses"));
        if let Some(by) = By::read(&by, &mut keys) {
            channels.push(Channel { name, by, per_day, severity, quiet, to, addresses, template, reports });
        }
    }

    /// A secret in the config is an error.
    fn secrets_in(&mut self, table: &Table<'_>) {
        for key in SECRETS {
            if let Some(value) = table.get(*key) {
                let help = format!("write `{key}_env = \"NAME\"` or `{key}_file = \"PATH\"`");
                let message = format!("`{key}` is a secret, which does not stand in a config");
                self.problem(value.span(), message, Some(help));
            }
        }
    }

    fn template(&mut self, table: &Table<'_>, by: &str) -> Option<Template> {
        let file = self.string(table, "template")?;
        let value = table.get("template")?;
        let Some(target) = By::target(by) else {
            self.wrong(value, format!("`{by}` takes no template"));
            return None;
        };
        let target = if by == "smtp" && smtp::is_html(&file) { Target::Html } else { target };
        match Template::read(&self.beside.join(file), target) {
            Ok(template) => Some(template),
            Err(error) => {
                self.wrong(value, error);
                None
            }
        }
    }

    fn quiet(&mut self, table: &Table<'_>) -> Option<Quiet> {
        let zone = match (self.string(table, "zone"), table.get("zone")) {
            (Some(name), Some(value)) => {
                if let Ok(zone) = TimeZone::get(&name) {
                    zone
                } else {
                    self.wrong(value, format!("`{name}` is no time zone"));
                    return None;
                }
            }
            _ => TimeZone::UTC,
        };
        let text = self.string(table, "quiet")?;
        let quiet = Quiet::parse(&text, zone);
        if quiet.is_none()
            && let Some(value) = table.get("quiet")
        {
            self.wrong(value, "`quiet` is from one time of day to another: `20:00-07:00`");
        }
        quiet
    }

    fn severities(&mut self, table: &Table<'_>) -> BTreeSet<Severity> {
        let mut all = BTreeSet::new();
        for word in self.list(table, "severity") {
            let known = [Severity::Info, Severity::Ticket, Severity::Page].into_iter().find(|own| own.name() == word);
            match (known, table.get("severity")) {
                (Some(severity), _) => drop(all.insert(severity)),
                (None, Some(value)) => {
                    let help =
                        super::meant(&word, SEVERITIES).unwrap_or_else(|| format!("one of: {}", SEVERITIES.join(", ")));
                    self.problem(value.span(), format!("unknown severity `{word}`"), Some(help));
                }
                (None, None) => {}
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;

    fn problems(text: &str) -> String {
        match Config::parse("sweeper.toml", text, Path::new("")) {
            Ok(_) => String::new(),
            Err(failure) => failure.problems.concat(),
        }
    }

    const HEAD: &str = "[[channel]]\nname = \"c\"\n";

    #[test]
    fn every_service_can_be_written() {
        for own in [
            "file = \"out\"",
            "command = [\"cat\"]\nenv = [\"X\"]",
            "by = \"slack\"\nurl_env = \"SLACK_WEBHOOK_URL\"",
            "by = \"teams\"\nurl_file = \"/run/secrets/teams\"",
            "by = \"webhook\"\nurl = \"https://example.com/x\"\nsecret_env = \"S\"",
            "by = \"webhook\"\nurl_env = \"U\"\nheaders_env = { Authorization = \"A\" }",
            "by = \"smtp\"\nhost = \"mail.example.com\"\nfrom = \"sweeper@example.com\"\nuser = \"u\"\npassword_env = \"P\"\nto = \"x@example.com\"\naddresses = { alice = \"a@example.com\" }",
            "by = \"smtp\"\nhost = \"127.0.0.1\"\nport = 2525\ntls = \"none\"\nfrom = \"sweeper@example.com\"",
            "by = \"pagerduty\"\nkey_env = \"K\"\nseverity = [\"page\"]",
            "by = \"jira\"\nurl = \"https://acme.atlassian.net\"\nproject = \"OPS\"\nuser = \"b@example.com\"\ntoken_env = \"T\"\nlabels = [\"waste\"]",
            "by = \"github\"\nrepository = \"acme/waste\"\ntoken_file = \"t\"\nnotices_per_day = 3\nquiet = \"20:00-07:00\"\nzone = \"Europe/London\"",
        ] {
            assert_eq!(problems(&format!("{HEAD}{own}\n")), "", "{own}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_no_secret_is_repeated() {
        for (own, said) in [
            ("", "does not say how notices go out"),
            ("by = \"slak\"", "did you mean `slack`?"),
            ("by = \"slack\"", "needs `url_env` or `url_file`"),
            ("by = \"slack\"\nurl = \"https://hooks.slack.com/canary\"", "unknown key `url`"),
            ("by = \"slack\"\nurl_env = \"https://hooks.slack.com/canary\"", "not the secret"),
            ("by = \"slack\"\nurl_env = \"A\"\nurl_file = \"b\"", "name one of"),
            ("by = \"smtp\"\nhost = \"h\"\nfrom = \"a@b.c\"\npassword = \"canary\"", "does not stand in a config"),
            ("by = \"smtp\"\nhost = \"mail.example.com\"\nfrom = \"a@b.c\"\ntls = \"none\"", "this machine only"),
            ("by = \"smtp\"\nhost = \"h\"\nfrom = \"nobody\"", "no address"),
            ("by = \"smtp\"\nhost = \"h\"\nfrom = \"a@b.c\"\nuser = \"u\"", "belong together"),
            ("by = \"webhook\"\nurl = \"https://x.example/\"", "needs `secret_env`"),
            ("by = \"webhook\"\nurl = \"http://x.example/canary\"\nsecret_env = \"S\"", "write https"),
            ("by = \"github\"\nrepository = \"acme\"\ntoken_env = \"T\"", "owner/name"),
            ("by = \"jira\"\nurl = \"https://x.example/\"\nproject = \"a b\"\ntoken_env = \"T\"", "key of a project"),
            ("file = \"x\"\nseverity = [\"pages\"]", "did you mean `page`?"),
            ("file = \"x\"\nquiet = \"8pm\"", "time of day"),
            ("file = \"x\"\nzone = \"Mars\"", "no time zone"),
            ("file = \"x\"\nchanel = 1", "unknown key"),
            ("file = \"x\"\ntemplate = \"/no/such\"", "/no/such"),
            ("by = \"pagerduty\"\nkey_env = \"K\"\ntemplate = \"x\"", "takes no template"),
            ("file = \"x\"\nnotices_per_day = 100000", "at most 10000"),
        ] {
            let found = problems(&format!("{HEAD}{own}\n"));
            assert!(found.contains(said), "{own}: {found}");
            assert!(!found.contains("canary"), "{own}: {found}");
        }
    }
}
