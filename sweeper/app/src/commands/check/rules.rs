//! What is asked of a planned resource.

use super::terraform::{Planned, Tags};
use sweeper_core::{
    detect::Severity,
    environment::{self, is_id},
    house::{House, same_key},
    model::{DAY, Timestamp},
    owner,
    policy::{Policy, PolicySet, Watched},
    ttl::{self, Until},
};

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    pub id: &'static str,
    /// What is wrong where it is found.
    pub title: &'static str,
    pub help: &'static str,
}

macro_rules! rules {
    ($($name:ident $id:literal $title:literal $help:literal;)*) => {
        $(pub static $name: Rule = Rule { id: $id, title: $title, help: $help };)*

        /// Every rule, by its id.
        pub static RULES: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    EXPIRED "expired" "Its end is over already, or cannot be read"
        "Write `expires-on = \"2027-01-31\"`, or `ttl = \"14d\"`, which counts from creation.";
    MISSING_EXPIRY "missing-expiry" "Nothing says until when it is needed"
        "Add the tag `expires-on`, a date; `never` is an answer, too.";
    MISSING_OWNER "missing-owner" "Nobody owns it"
        "Add the tag `owner` with somebody whom the house knows.";
    MISSING_TAG "missing-tag" "A tag is missing that every resource must have"
        "Add the tag.";
    MISSPELT_TAG "misspelt-tag" "A tag is nearly one that sweeper reads"
        "Spell it `sweeper-protect`, `sweeper-keep` or `sweeper-lease`; case, `-`, `_` and `:` do not matter.";
    OVER_QUOTA "over-quota" "There will be more than a quota allows"
        "Plan less, take something away, or have the quota in the policies raised.";
    WRONG_KEEP "wrong-keep" "A tag that keeps it does not say until when"
        "Write `sweeper-keep = \"2027-01-31\"`, within what the house allows.";
}

/// What is said of a planned resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Found,
    /// Only known after apply, or by what a plan does not tell.
    Unknown,
}

impl Verdict {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing that is wrong with a planned resource, or may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub rule: &'static Rule,
    /// The policy that asks; empty where the command does.
    pub policy: String,
    pub severity: Severity,
    pub verdict: Verdict,
    pub address: String,
    pub of: String,
    pub kind: &'static str,
    /// One sentence, without its end.
    pub says: String,
}

/// By what is judged.
pub struct Asked<'a> {
    pub set: &'a PolicySet,
    pub house: &'a House,
    pub now: Timestamp,
    /// Keys that must be there.
    pub tags: &'a [String],
    /// Whether an end must be there.
    pub expiry: bool,
}

/// Whether any policy asks for owners or ends, or sets a quota.
pub fn asks(set: &PolicySet) -> bool {
    set.policies.iter().any(|policy| ["missing-owner", "expired"].contains(&swept(policy)))
        || set.watches.iter().any(|watch| watch.what == Watched::OverQuota)
}

fn swept(policy: &Policy) -> &'static str {
    policy.sweep.map_or("", |detector| detector.spec.id)
}

/// Judges a planned resource by every rule.
pub fn judge(asked: &Asked<'_>, planned: &Planned) -> Vec<Finding> {
    let mut findings = Vec::new();
    let tags = &planned.tags;
    for policy in asked.set.policies.iter().filter(|policy| covers(policy, planned)) {
        let (rule, said) = match swept(policy) {
            "missing-owner" => (&MISSING_OWNER, owned(asked.house, tags)),
            "expired" => (&EXPIRED, ends(asked, tags)),
            _ => continue,
        };
        let Some((mut verdict, mut says)) = said else { continue };
        // A plan does not tell what the policy's scope and condition ask.
        let open = [
            ("accounts", !policy.accounts.is_empty()),
            ("regions", !policy.regions.is_empty()),
            ("condition", policy.when.is_some()),
        ];
        let open: Vec<&str> = open.into_iter().filter(|(_, is)| *is).map(|(what, _)| what).collect();
        if !open.is_empty() {
            verdict = Verdict::Unknown;
            says = format!("{says}, if `{}` is of it: a plan does not tell its {}", policy.name, open.join(" and "));
        }
        findings.push(finding(planned, rule, &policy.name, policy.severity, (verdict, says)));
    }
    if asked.expiry && !has(tags, &asked.house.expiry_keys) {
        let keys = &asked.house.expiry_keys;
        let said = missing(tags, keys, &format!("nothing says until when it is needed: add the tag `{}`", first(keys)));
        findings.push(finding(planned, &MISSING_EXPIRY, "", Severity::Ticket, said));
    }
    for key in asked.tags.iter().filter(|key| !has(tags, std::slice::from_ref(*key))) {
        let said = missing(tags, std::slice::from_ref(key), &format!("the tag `{key}` is missing"));
        findings.push(finding(planned, &MISSING_TAG, "", Severity::Ticket, said));
    }
    for (rule, says) in spelt(asked, tags) {
        findings.push(finding(planned, rule, "", Severity::Ticket, (Verdict::Found, says)));
    }
    findings
}

fn finding(
    planned: &Planned,
    rule: &'static Rule,
    policy: &str,
    severity: Severity,
    (verdict, says): (Verdict, String),
) -> Finding {
    let (address, of) = (planned.address.clone(), planned.of.clone());
    Finding { rule, policy: policy.to_owned(), severity, verdict, address, of, kind: planned.kind, says }
}

/// Whether a policy may judge it, as far as a plan tells.
fn covers(policy: &Policy, planned: &Planned) -> bool {
    policy.class.is_none_or(|class| class == planned.class)
        && policy.sweep.is_none_or(|detector| detector.spec.judges(planned.class))
        && (policy.clouds.is_empty() || policy.clouds.contains(&planned.cloud))
        && (policy.kinds.is_empty() || policy.kinds.iter().any(|own| own.id == planned.kind))
        && (policy.accounts.is_empty()
            || policy.accounts.iter().any(|own| own.cloud.is_none_or(|cloud| cloud == planned.cloud)))
}

type Said = Option<(Verdict, String)>;

/// Tags of certain keys, in the order of the keys.
fn of<'a>(tags: &'a Tags, keys: &'a [String]) -> impl Iterator<Item = (&'a String, Option<&'a str>)> {
    keys.iter().flat_map(move |wanted| {
        tags.known.iter().filter(move |(key, _)| same_key(wanted, key)).map(|(key, value)| (key, value.as_deref()))
    })
}

fn has(tags: &Tags, keys: &[String]) -> bool {
    of(tags, keys).next().is_some()
}

fn first(keys: &[String]) -> &str {
    keys.first().map_or("", String::as_str)
}

/// A value as it may be shown.
fn shown(tags: &Tags, key: &str, value: &str) -> String {
    if tags.sensitive.contains(key) { "(sensitive)".to_owned() } else { format!("{value:?}") }
}

/// What is not there, with what is nearly it; where more may come, that is not known.
fn missing(tags: &Tags, keys: &[String], says: &str) -> (Verdict, String) {
    if tags.more {
        return (Verdict::Unknown, format!("{says}, unless a tag that is only known after apply is it"));
    }
    let near = tags.known.keys().find(|key| keys.iter().any(|wanted| is_near(key, wanted)));
    match near {
        Some(near) => (Verdict::Found, format!("{says}; `{near}` is nearly it")),
        None => (Verdict::Found, says.to_owned()),
    }
}

/// Whether a key was probably meant to be another: one letter is wrong, missing, too many, or two are turned round.
fn is_near(key: &str, wanted: &str) -> bool {
    let (key, wanted) = (folded(key), folded(wanted));
    wanted.len() >= 5 && key != wanted && strsim::damerau_levenshtein(&key, &wanted) == 1
}

fn folded(key: &str) -> String {
    key.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whose it will be.
fn owned(house: &House, tags: &Tags) -> Said {
    let mut wrong = Vec::new();
    let mut open = None;
    for (key, value) in of(tags, &house.owner_keys) {
        match value.map(|value| (value, owner::valid(house, value))) {
            Some((_, Ok(_))) => return None,
            Some((value, Err(why))) => wrong.push(format!("`{key}` is {}, {why}", shown(tags, key, value))),
            None => open = open.or(Some(key)),
        }
    }
    if let Some(key) = open {
        return Some((Verdict::Unknown, format!("whose it will be is only known after apply, by the tag `{key}`")));
    }
    if wrong.is_empty() {
        let says = format!("nobody owns it: add the tag `{}`", first(&house.owner_keys));
        return Some(missing(tags, &house.owner_keys, &says));
    }
    let verdict = if tags.more { Verdict::Unknown } else { Verdict::Found };
    Some((verdict, format!("nobody owns it: {}", wrong.join("; "))))
}

/// Until when it will be needed, where anything says so. As of what exists, the latest end counts.
fn ends(asked: &Asked<'_>, tags: &Tags) -> Said {
    let mut over = None;
    let mut open = None;
    for (key, value) in of(tags, &asked.house.expiry_keys) {
        let Some(value) = value else {
            open = open.or(Some(key));
            continue;
        };
        let show = || shown(tags, key, value);
        // It will be made now, as far as anybody knows.
        match ttl::until(value, Some(asked.now)) {
            Until::Never => return None,
            Until::At(end) if end > asked.now => return None,
            Until::At(_) => over = over.or(Some(format!("its end is over already: `{key}` is {}", show()))),
            Until::Ambiguous => {
                return Some((
                    Verdict::Found,
                    format!("`{key}` is {}, which may be two days: write 2027-01-31", show()),
                ));
            }
            Until::Unreadable | Until::NoCreation => {
                return Some((Verdict::Found, format!("`{key}` is {}, which is no date", show())));
            }
        }
    }
    if let Some(key) = open {
        return Some((Verdict::Unknown, format!("its end is only known after apply, by the tag `{key}`")));
    }
    let verdict = if tags.more { Verdict::Unknown } else { Verdict::Found };
    over.map(|says| (verdict, says))
}

/// Tags that sweeper itself reads: spelt right, with values that it understands.
fn spelt(asked: &Asked<'_>, tags: &Tags) -> Vec<(&'static Rule, String)> {
    let house = asked.house;
    let own = || house.protect_keys.iter().chain(&house.keep_keys).map(String::as_str).chain([environment::TAG]);
    let mut said = Vec::new();
    for (key, value) in &tags.known {
        let is = |keys: &[String]| keys.iter().any(|own| same_key(own, key));
        if is(&house.keep_keys) {
            said.extend(
                value.as_deref().and_then(|value| keeps(asked, tags, key, value)).map(|says| (&WRONG_KEEP, says)),
            );
        } else if same_key(key, environment::TAG) {
            let wrong = value.as_deref().filter(|value| !is_id(value));
            said.extend(wrong.map(|value| {
                (&MISSPELT_TAG, format!("`{key}` is {}, which is no lease's id", shown(tags, key, value)))
            }));
        } else if !own().any(|own| same_key(own, key)) {
            let folded = folded(key);
            let near = own().find(|own| is_near(key, own) || folded.starts_with("sweeper") && is_close(&folded, own));
            said.extend(
                near.map(|near| (&MISSPELT_TAG, format!("the tag `{key}` does nothing: did you mean `{near}`?"))),
            );
        }
    }
    said
}

/// Of tags that begin as ours do, more may be wrong.
fn is_close(folded_key: &str, own: &str) -> bool {
    let own = folded(own);
    own.starts_with("sweeper") && strsim::damerau_levenshtein(folded_key, &own) <= 3
}

/// What is wrong with a tag that keeps.
fn keeps(asked: &Asked<'_>, tags: &Tags, key: &str, value: &str) -> Option<String> {
    let most = i64::from(asked.house.max_keep_days) * DAY;
    let shown = shown(tags, key, value);
    match ttl::until(value, Some(asked.now)) {
        Until::At(end) if end <= asked.now => Some(format!("`{key}` is {shown}, which is over already")),
        Until::At(end) if end.since(asked.now) > most + 2 * DAY => {
            Some(format!("`{key}` is {shown}, longer than the {} that the house allows", ttl::spoken(most)))
        }
        Until::At(_) => None,
        _ => Some(format!("`{key}` is {shown}, which is no date: it keeps, and nobody knows until when")),
    }
}
