//! What accounts cost by day: the `[[cost]]` tables of the organisation file, from which Cost Explorer, Cost Management
//! and BigQuery answer.
//!
//! | key | default | meaning |
//! |---|---|---|
//! | `account` | | whose cost it is |
//! | `service` | none | as the cloud's bill names it |
//! | `charge` | "usage" | usage, commitment, correction, credit or tax |
//! | `word` | by `charge` | the cloud's own word for it: a record type, a charge type |
//! | `currency` | "USD" | |
//! | `first` | "-40d" | the first day, "-40d" or "2026-10-01" |
//! | `last` | "-1d" | the last day |
//! | `effective` | | a decimal, what each of the days costs after discounts and commitments |
//! | `billed` | as `effective` | a decimal, what is invoiced for each of them |

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use crate::cloud::Cloud;
use crate::org::{Account, parse_time};

/// One `[[cost]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Whose cost it is.
    pub account: String,
    /// As the cloud's bill names it; empty where the charge has none.
    #[serde(default)]
    pub service: String,
    /// usage, commitment, correction, credit or tax.
    #[serde(default = "usage")]
    pub charge: String,
    /// The cloud's own word for the charge, where it is not the usual one.
    #[serde(default)]
    pub word: Option<String>,
    /// ISO 4217.
    #[serde(default = "usd")]
    pub currency: String,
    /// The first day.
    #[serde(default = "forty_days_ago")]
    pub first: String,
    /// The last day.
    #[serde(default = "yesterday")]
    pub last: String,
    /// A day's cost after discounts and commitments, a decimal.
    pub effective: String,
    /// What is invoiced for a day, a decimal; `None` is the same as `effective`.
    #[serde(default)]
    pub billed: Option<String>,
}

fn usage() -> String {
    "usage".to_owned()
}

fn usd() -> String {
    "USD".to_owned()
}

fn forty_days_ago() -> String {
    "-40d".to_owned()
}

fn yesterday() -> String {
    "-1d".to_owned()
}

const CHARGES: [&str; 5] = ["usage", "commitment", "correction", "credit", "tax"];

impl Cost {
    /// What is wrong with it, if anything is.
    pub(crate) fn refused(&self, accounts: &[Account]) -> Option<String> {
        if !accounts.iter().any(|account| account.id == self.account) {
            return Some(format!("account {} has no [[account]]", self.account));
        }
        if !CHARGES.contains(&self.charge.as_str()) {
            return Some(format!("charge {:?} is none of {}", self.charge, CHARGES.join(", ")));
        }
        for day in [&self.first, &self.last] {
            if parse_time(day, Timestamp::UNIX_EPOCH).is_none() {
                return Some(format!("{day:?} is neither like \"-40d\" nor a date"));
            }
        }
        let amounts = [Some(&self.effective), self.billed.as_ref()];
        let wrong = amounts.into_iter().flatten().find(|amount| pico(amount).is_none());
        wrong.map(|amount| format!("{amount:?} is no decimal of at most twelve places"))
    }

    /// The cloud's own word for the charge, or the usual one.
    pub(crate) fn word(&self, usual: fn(&str) -> &'static str) -> &str {
        self.word.as_deref().unwrap_or_else(|| usual(&self.charge))
    }
}

/// What one day of a cost is. Amounts are in units of 10⁻¹².
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) day: Date,
    pub(crate) cost: &'a Cost,
    pub(crate) effective: i128,
    pub(crate) billed: i128,
}

/// The days of the costs of some accounts, from `first` to before `end`, by day and then in the file's order.
pub(crate) fn lines(cloud: &Cloud, first: Date, end: Date, of: impl Fn(&Account) -> bool) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for cost in &cloud.org().costs {
        if !cloud.account(&cost.account).is_some_and(&of) {
            continue;
        }
        let day = |text: &str| parse_time(text, cloud.now).map(date);
        let (Some(from), Some(last)) = (day(&cost.first), day(&cost.last)) else { continue };
        let effective = pico(&cost.effective).unwrap_or(0);
        let billed = cost.billed.as_deref().map_or(Some(effective), pico).unwrap_or(0);
        let mut day = from.max(first);
        while day <= last && day < end {
            lines.push(Line { day, cost, effective, billed });
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
    }
    lines.sort_by_key(|line| line.day);
    lines
}

/// The day of a moment, UTC.
pub(crate) fn date(at: Timestamp) -> Date {
    at.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// A plain decimal in units of 10⁻¹².
pub(crate) fn pico(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > 12 {
        return None;
    }
    let units: i128 = format!("{whole}{fraction:0<12}").parse().ok()?;
    Some(sign * units)
}

/// Units of 10⁻¹² as a decimal.
pub(crate) fn decimal(pico: i128) -> String {
    let mut text = String::new();
    write_decimal(&mut text, pico);
    text
}

/// Writes units of 10⁻¹² as a decimal.
pub(crate) fn write_decimal(out: &mut String, pico: i128) {
    const ONE: u128 = 1_000_000_000_000;
    let size = pico.unsigned_abs();
    if pico < 0 {
        out.push('-');
    }
    let (whole, rest) = (size / ONE, size % ONE);
    // Amounts of a day are small: as 64 bits they are written faster.
    let _ = match u64::try_from(whole) {
        Ok(whole) => write!(out, "{whole}"),
        Err(_) => write!(out, "{whole}"),
    };
    if rest != 0 {
        let _ = write!(out, ".{:012}", rest as u64);
        out.truncate(out.trim_end_matches('0').len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::org::Org;

    const HEAD: &str = "[[account]]\nid = \"111111111111\"\n";

    #[test]
    fn decimals_are_exact() {
        for text in ["0", "12", "-3.5", "0.000000000001", "8602380.75"] {
            assert_eq!(decimal(pico(text).unwrap()), text);
        }
        for text in ["", ".5", "1e3", "1.2.3", "0.0000000000001", "-", "NaN"] {
            assert_eq!(pico(text), None, "{text}");
        }
    }

    #[test]
    fn each_day_has_its_line() {
        let text = format!(
            "{HEAD}[[cost]]\naccount = \"111111111111\"\nservice = \"S\"\nfirst = \"2026-10-01\"\nlast = \"-2d\"\neffective = \"1.25\"\nbilled = \"0\"\n"
        );
        let cloud = Cloud::new(Org::parse(&text).unwrap(), "2026-10-06T05:00:00Z".parse().unwrap(), None);
        let all = lines(&cloud, "2026-10-02".parse().unwrap(), "2026-11-01".parse().unwrap(), |_| true);
        let days: Vec<String> = all.iter().map(|line| line.day.to_string()).collect();
        assert_eq!(days, ["2026-10-02", "2026-10-03", "2026-10-04"]);
        assert_eq!((all[0].effective, all[0].billed), (1_250_000_000_000, 0));
        assert!(lines(&cloud, "2026-10-02".parse().unwrap(), "2026-11-01".parse().unwrap(), |_| false).is_empty());
    }

    #[test]
    fn mistakes_name_their_line() {
        for (cost, part) in [
            ("account = \"2\"\neffective = \"1\"", "has no [[account]]"),
            ("account = \"111111111111\"\neffective = \"1e3\"", "no decimal"),
            ("account = \"111111111111\"\neffective = \"1\"\ncharge = \"gift\"", "is none of"),
            ("account = \"111111111111\"\neffective = \"1\"\nfirst = \"soon\"", "nor a date"),
        ] {
            let error = Org::parse(&format!("{HEAD}[[cost]]\n{cost}\n")).unwrap_err();
            assert!(error.line == 3 && error.message.contains(part), "{error}");
        }
    }
}
