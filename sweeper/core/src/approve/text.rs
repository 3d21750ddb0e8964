//! The texts that people sign: fixed lines in a fixed order, so that what is signed can be read aloud.

use crate::{caps::Caps, inert::is_hostile, model::Timestamp, money::Amount};
use std::{collections::BTreeSet, fmt, ops::RangeInclusive};
use thiserror::Error;

const ONE_TIME: &str = "sweeper.approval/1";
const STANDING: &str = "sweeper.standing/1";

/// What is wrong with a text, and on which line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {what}")]
pub struct TextError {
    pub line: usize,
    pub what: String,
}

/// Which actions of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Items {
    All,
    /// Numbers, sorted.
    Some(BTreeSet<u32>),
}

impl Items {
    pub fn has(&self, no: u32) -> bool {
        match self {
            Self::All => true,
            Self::Some(numbers) => numbers.contains(&no),
        }
    }

    /// `all`, or `1-3,7`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let mut numbers = BTreeSet::new();
        for part in text.split(',') {
            let range: Option<RangeInclusive<u32>> = match part.split_once('-') {
                Some((from, to)) => from.parse().ok().zip(to.parse().ok()).map(|(from, to)| from..=to),
                None => part.parse().ok().map(|one| one..=one),
            };
            let range = range.filter(|range| *range.start() > 0 && range.start() <= range.end());
            let range = range.ok_or_else(|| format!("`{part}` is no number of an action, and no range of them"))?;
            if range.end() - range.start() > 100_000 {
                return Err(format!("`{part}` is more than a plan holds"));
            }
            numbers.extend(range);
        }
        Ok(Self::Some(numbers))
    }
}

impl fmt::Display for Items {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Some(numbers) = self else { return formatter.write_str("all") };
        let numbers: Vec<u32> = numbers.iter().copied().collect();
        for (at, run) in numbers.chunk_by(|a, b| a + 1 == *b).enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match run {
                [one] => write!(formatter, "{comma}{one}")?,
                [first, .., last] => write!(formatter, "{comma}{first}-{last}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

/// An approval of one plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneTime {
    pub plan: String,
    pub deployment: String,
    pub items: Items,
    /// The person whose key signs it.
    pub by: String,
    /// Who agreed besides, as the signing machine recorded it (CI: the reviewers of the pull request).
    pub reviewers: BTreeSet<String>,
    /// At most so many actions.
    pub count: u32,
    /// At most so much a month, US dollars.
    pub monthly_usd: Amount,
    pub from: Timestamp,
    pub until: Timestamp,
    /// 32 hexadecimal digits, used for one plan only.
    pub nonce: String,
}

/// An approval of whatever a policy finds, within bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub policy: String,
    /// [`crate::policy::Policy::digest`]: any edit of the policy voids it.
    pub rule: String,
    pub deployment: String,
    /// `aws:111122223333`, `gcp:team-*`; never empty.
    pub scopes: BTreeSet<String>,
    /// [`crate::deed::DeedKind::name`].
    pub deed: String,
    pub by: String,
    pub count_run: u32,
    pub count_week: u32,
    pub usd_run: Amount,
    pub usd_week: Amount,
    pub usd_item: Amount,
    pub from: Timestamp,
    pub until: Timestamp,
    pub nonce: String,
}

impl OneTime {
    /// Its caps. The share is the policy's to say.
    pub fn caps(&self) -> Caps {
        Caps { count: self.count, share: 10_000, monthly: self.monthly_usd }
    }
}

impl Standing {
    pub fn run(&self) -> Caps {
        Caps { count: self.count_run, share: 10_000, monthly: self.usd_run }
    }

    pub fn week(&self) -> Caps {
        Caps { count: self.count_week, share: 10_000, monthly: self.usd_week }
    }
}

/// What a note says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    OneTime(OneTime),
    Standing(Standing),
}

impl Text {
    pub fn deployment(&self) -> &str {
        match self {
            Self::OneTime(text) => &text.deployment,
            Self::Standing(text) => &text.deployment,
        }
    }

    /// Whose approval it says it is.
    pub fn by(&self) -> &str {
        match self {
            Self::OneTime(text) => &text.by,
            Self::Standing(text) => &text.by,
        }
    }

    pub fn period(&self) -> (Timestamp, Timestamp) {
        match self {
            Self::OneTime(text) => (text.from, text.until),
            Self::Standing(text) => (text.from, text.until),
        }
    }

    pub fn nonce(&self) -> &str {
        match self {
            Self::OneTime(text) => &text.nonce,
            Self::Standing(text) => &text.nonce,
        }
    }

    /// Reads the text of a note. Only what [`fmt::Display`] writes is one: nothing more, less or in another order.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let mut lines = Lines { lines: text.lines().collect(), at: 0 };
        let read = match lines.next()? {
            ONE_TIME => Self::OneTime(OneTime {
                plan: lines.hex("plan", 64)?,
                deployment: lines.value("deployment")?.to_owned(),
                items: lines.read("items", Items::parse)?,
                by: lines.value("by")?.to_owned(),
                reviewers: lines.several("reviewer"),
                count: lines.number("count")?,
                monthly_usd: lines.amount("monthly-usd")?,
                from: lines.time("from")?,
                until: lines.time("until")?,
                nonce: lines.hex("nonce", 32)?,
            }),
            STANDING => Self::Standing(Standing {
                policy: lines.value("policy")?.to_owned(),
                rule: lines.hex("rule", 64)?,
                deployment: lines.value("deployment")?.to_owned(),
                scopes: lines.several("scope"),
                deed: lines.value("deed")?.to_owned(),
                by: lines.value("by")?.to_owned(),
                count_run: lines.number("count-run")?,
                count_week: lines.number("count-week")?,
                usd_run: lines.amount("monthly-usd-run")?,
                usd_week: lines.amount("monthly-usd-week")?,
                usd_item: lines.amount("monthly-usd-item")?,
                from: lines.time("from")?,
                until: lines.time("until")?,
                nonce: lines.hex("nonce", 32)?,
            }),
            other => {
                let short: String = other.chars().take(40).collect();
                return Err(TextError { line: 1, what: format!("`{short}` is no approval this release knows") });
            }
        };
        if let Self::Standing(standing) = &read
            && standing.scopes.is_empty()
        {
            return Err(TextError {
                line: 5,
                what: "a standing approval names its scopes: none is not all".to_owned(),
            });
        }
        let again = read.to_string();
        if again != text {
            let same = again.lines().zip(text.lines()).take_while(|(ours, theirs)| ours == theirs).count();
            return Err(TextError { line: same + 1, what: "it is not written as such a text is".to_owned() });
        }
        Ok(read)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneTime(text) => {
                writeln!(out, "{ONE_TIME}\nplan: {}\ndeployment: {}", text.plan, text.deployment)?;
                writeln!(out, "items: {}\nby: {}", text.items, text.by)?;
                for reviewer in &text.reviewers {
                    writeln!(out, "reviewer: {reviewer}")?;
                }
                writeln!(out, "count: {}\nmonthly-usd: {}", text.count, text.monthly_usd)?;
                writeln!(out, "from: {}\nuntil: {}\nnonce: {}", text.from, text.until, text.nonce)
            }
            Self::Standing(text) => {
                writeln!(out, "{STANDING}\npolicy: {}\nrule: {}", text.policy, text.rule)?;
                writeln!(out, "deployment: {}", text.deployment)?;
                for scope in &text.scopes {
                    writeln!(out, "scope: {scope}")?;
                }
                writeln!(out, "deed: {}\nby: {}", text.deed, text.by)?;
                writeln!(out, "count-run: {}\ncount-week: {}", text.count_run, text.count_week)?;
                writeln!(out, "monthly-usd-run: {}\nmonthly-usd-week: {}", text.usd_run, text.usd_week)?;
                writeln!(out, "monthly-usd-item: {}", text.usd_item)?;
                writeln!(out, "from: {}\nuntil: {}\nnonce: {}", text.from, text.until, text.nonce)
            }
        }
    }
}

struct Lines<'t> {
    lines: Vec<&'t str>,
    at: usize,
}

impl<'t> Lines<'t> {
    fn error(&self, what: impl Into<String>) -> TextError {
        TextError { line: self.at.max(1), what: what.into() }
    }

    fn next(&mut self) -> Result<&'t str, TextError> {
        let line = self.lines.get(self.at).copied();
        self.at += 1;
        line.ok_or_else(|| self.error("it ends early"))
    }

    fn value(&mut self, key: &str) -> Result<&'t str, TextError> {
        let line = self.next()?;
        let value = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(": "));
        let value = value.ok_or_else(|| self.error(format!("`{key}: …` belongs here")))?;
        // What looks like another name, or cannot be seen, is none.
        if value.is_empty() || value != value.trim() || value.chars().any(is_hostile) {
            return Err(self.error(format!("`{key}` has no value that can be read aloud")));
        }
        Ok(value)
    }

    fn read<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<T, TextError> {
        let value = self.value(key)?;
        read(value).map_err(|what| self.error(what))
    }

    fn several(&mut self, key: &str) -> BTreeSet<String> {
        let mut values = BTreeSet::new();
        while let Some(line) = self.lines.get(self.at)
            && line.strip_prefix(key).is_some_and(|rest| rest.starts_with(": "))
            && let Ok(value) = self.value(key)
        {
            values.insert(value.to_owned());
        }
        values
    }

    fn hex(&mut self, key: &str, digits: usize) -> Result<String, TextError> {
        self.read(key, |text| {
            let fits = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if fits { Ok(text.to_owned()) } else { Err(format!("`{key}` is {digits} hexadecimal digits")) }
        })
    }

    fn number(&mut self, key: &str) -> Result<u32, TextError> {
        self.read(key, |text| text.parse().map_err(|_| format!("`{key}` is a number")))
    }

    fn amount(&mut self, key: &str) -> Result<Amount, TextError> {
        self.read(key, |text| {
            let amount = Amount::parse(text).filter(|amount| *amount >= Amount::ZERO);
            amount.ok_or_else(|| format!("`{key}` is an amount of US dollars"))
        })
    }

    fn time(&mut self, key: &str) -> Result<Timestamp, TextError> {
        self.read(key, |text| Timestamp::parse(text).ok_or_else(|| format!("`{key}` is an instant with a zone")))
    }
}
