//! The planned-events file: what people knew would move the bill, written down before.
//!
//! ```toml
//! [[event]]
//! scope  = { accounts = ["111122223333"], services = ["AmazonEC2"] }   # or resources, skus; `*` is any text
//! from   = 2026-11-24
//! until  = 2026-12-01                                                  # the last day
//! reason = "Black Friday, ticket 4711"
//! amount = "1200.00"                                                   # over all its days, in the bill's currency
//! # share = "20%"                                                      # or: of what the scope usually costs
//! ```
//!
//! Without a scope, an end, a reason and either amount or share an event is refused: it would explain anything.
//! `scope = { accounts = ["*"] }` is how to say "the whole bill".

use crate::{
    evidence::Scope,
    expected::{Span, days_between},
};
use jiff::civil::Date;
use serde::Deserialize;
use sweeper_core::money::Amount;
use thiserror::Error;

/// The longest event, days: what lasts longer is how things are.
pub const LONGEST: i64 = 92;

/// What was expected of an event. Below zero: costs were to fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Over all its days.
    Amount(Amount),
    /// Of what the scope usually costs; one is 100 %.
    Share(Amount),
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    pub scope: Scope,
    /// Its first and its last day.
    pub from: Date,
    pub until: Date,
    pub reason: String,
    pub extent: Extent,
}

/// Why a file is not used: each problem with its file and line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", .0.join("\n"))]
pub struct PlannedError(pub Vec<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    event: Vec<toml::Spanned<RawEvent>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvent {
    scope: RawScope,
    from: toml::value::Datetime,
    until: toml::value::Datetime,
    reason: String,
    amount: Option<String>,
    share: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScope {
    #[serde(default)]
    accounts: Vec<String>,
    #[serde(default)]
    services: Vec<String>,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    skus: Vec<String>,
}

impl Planned {
    /// Reads a file; `file` is its name in messages. All problems of its events are told at once.
    pub fn parse(file: &str, text: &str) -> Result<Vec<Self>, PlannedError> {
        let line = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        let raw: RawFile = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(1, |span| line(span.start));
            PlannedError(vec![format!("{file}, line {at}: {}", error.message())])
        })?;
        let (mut events, mut problems) = (Vec::new(), Vec::new());
        for raw in raw.event {
            let at = line(raw.span().start);
            match event(raw.into_inner()) {
                Ok(event) => events.push(event),
                Err(of_event) => {
                    problems.extend(of_event.into_iter().map(|problem| format!("{file}, line {at}: {problem}")));
                }
            }
        }
        if problems.is_empty() { Ok(events) } else { Err(PlannedError(problems)) }
    }

    /// What is expected of it over the days that it shares with a window. `usual` is what its scope usually
    /// costs over the window.
    pub fn over(&self, window: &Span, usual: Amount) -> Amount {
        let shared = days_between(self.from.max(window.first), self.until.min(window.last)) + 1;
        let shared = i128::from(shared.max(0));
        let days = |first, last| i128::from(days_between(first, last) + 1);
        match self.extent {
            Extent::Amount(amount) => amount.scaled(shared, days(self.from, self.until)),
            Extent::Share(share) => usual
                .scaled(shared, days(window.first, window.last))
                .scaled(share.pico() / 1_000_000, Amount::whole(1).pico() / 1_000_000),
        }
    }
}

fn event(raw: RawEvent) -> Result<Planned, Vec<String>> {
    let mut problems = Vec::new();
    let lists = [&raw.scope.accounts, &raw.scope.services, &raw.scope.resources, &raw.scope.skus];
    if lists.iter().all(|list| list.is_empty()) {
        problems.push("an empty scope would explain the whole bill: say `scope = { accounts = [\"*\"] }` if so".into());
    }
    if lists.iter().any(|list| list.iter().any(|text| text.trim().is_empty())) {
        problems.push("an empty text in the scope".to_owned());
    }
    if raw.reason.trim().is_empty() {
        problems.push("no reason is given".to_owned());
    }
    let mut day = |name: &str, raw: &toml::value::Datetime| {
        let date = (raw.time.is_none() && raw.offset.is_none())
            .then_some(raw.date)
            .flatten()
            .and_then(|date| Date::new(date.year as i16, date.month as i8, date.day as i8).ok());
        if date.is_none() {
            problems.push(format!("`{name}` is not a day such as 2026-11-24"));
        }
        date
    };
    let (from, until) = (day("from", &raw.from), day("until", &raw.until));
    if let (Some(from), Some(until)) = (from, until) {
        if until < from {
            problems.push(format!("it ends on {until}, before it begins"));
        } else if days_between(from, until) >= LONGEST {
            problems.push(format!("it lasts longer than {LONGEST} days"));
        }
    }
    let extent = match (&raw.amount, &raw.share) {
        (Some(amount), None) => Amount::parse(amount).map(Extent::Amount),
        (None, Some(share)) => percent(share).map(Extent::Share),
        _ => {
            problems.push("either `amount` or `share` says how much was expected".to_owned());
            None
        }
    };
    match (from, until, extent) {
        (Some(from), Some(until), Some(extent)) if problems.is_empty() => {
            let RawScope { accounts, services, resources, skus } = raw.scope;
            Ok(Planned {
                scope: Scope { accounts, services, resources, skus },
                from,
                until,
                reason: raw.reason,
                extent,
            })
        }
        (_, _, extent) => {
            if extent.is_none() && raw.amount.is_some() != raw.share.is_some() {
                problems.push("`amount` is a number such as \"1200.00\", `share` one such as \"20%\"".to_owned());
            }
            Err(problems)
        }
    }
}

/// `20%` is 0.2. Between −100 % and 10,000 %.
fn percent(text: &str) -> Option<Amount> {
    let share = Amount::parse(text.trim().strip_suffix('%')?)?.scaled(1, 100);
    (share >= Amount::whole(-1) && share <= Amount::whole(100)).then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[[event]]
scope = { services = ["AmazonEC2"], accounts = ["111*"] }
from = 2026-11-20
until = 2026-11-29
reason = "Black Friday"
amount = "1000"

[[event]]
scope = { resources = ["*"] }
from = 2026-11-23
until = 2026-11-23
reason = "tests of the new region"
share = "-12.5%"
"#;

    #[test]
    fn events_are_read_and_spread_over_their_days() {
        let events = Planned::parse("planned.toml", FILE).unwrap();
        let window = Span::whole("2026-11-16".parse().unwrap(), "2026-11-22".parse().unwrap());
        // Three of ten days; and none.
        assert_eq!(events[0].over(&window, Amount::whole(7)), Amount::whole(300));
        assert_eq!(events[1].over(&window, Amount::whole(700)), Amount::ZERO);
        let next = Span::whole("2026-11-23".parse().unwrap(), "2026-11-29".parse().unwrap());
        assert_eq!(events[0].over(&next, Amount::ZERO), Amount::whole(700));
        assert_eq!(events[1].over(&next, Amount::whole(700)).to_string(), "-12.5");
        assert_eq!(Planned::parse("planned.toml", "").unwrap(), []);
    }

    #[test]
    fn each_problem_is_told_with_its_line() {
        let told = |text: &str| Planned::parse("p.toml", text).unwrap_err().to_string();
        let wrong = FILE
            .replace("accounts = [\"111*\"]", "accounts = [\"\"]")
            .replace("\"Black Friday\"", "\" \"")
            .replace("resources = [\"*\"]", "")
            .replace("share = \"-12.5%\"", "");
        assert_eq!(
            told(&wrong).lines().collect::<Vec<_>>(),
            [
                "p.toml, line 2: an empty text in the scope",
                "p.toml, line 2: no reason is given",
                "p.toml, line 9: an empty scope would explain the whole bill: say `scope = { accounts = [\"*\"] }` if so",
                "p.toml, line 9: either `amount` or `share` says how much was expected",
            ]
        );
        for (old, new, problem) in [
            ("until = 2026-11-29", "until = 2026-11-19", "line 2: it ends on 2026-11-19, before it begins"),
            ("until = 2026-11-29", "until = 2027-03-01", "line 2: it lasts longer than 92 days"),
            ("until = 2026-11-29", "until = 12:00:00", "line 2: `until` is not a day such as 2026-11-24"),
            ("\"1000\"", "\"a lot\"", "line 2: `amount` is a number such as \"1200.00\", `share` one such as \"20%\""),
            ("\"-12.5%\"", "\"12.5\"", "line 9: `amount` is a number such as \"1200.00\", `share` one such as \"20%\""),
            (
                "\"-12.5%\"",
                "\"-120%\"",
                "line 9: `amount` is a number such as \"1200.00\", `share` one such as \"20%\"",
            ),
        ] {
            assert_eq!(told(&FILE.replace(old, new)), format!("p.toml, {problem}"));
        }
        assert!(told(&FILE.replace("reason = \"Bl", "raison = \"Bl")).starts_with("p.toml, line 6: unknown field"));
        assert!(told("[[event]\n").starts_with("p.toml, line 1: "));
    }
}
