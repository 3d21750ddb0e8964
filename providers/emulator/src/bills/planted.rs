//! What the organisation file says of the bill, beside what follows from its resources: traffic, commitments, tax and
//! credits, and what moves.
//!
//! | table | key | default | meaning |
//! |---|---|---|---|
//! | `[[bill.usage]]` | `meter` | | one of [`super::meters`] |
//! | | `kind`, `resource` | none | whose it is: the kind and the `id` of a resource, as its entry spells it |
//! | | `account`, `region` | those of the resource; the account's first region | of usage without a resource |
//! | | `a_day` | | units on an ordinary day; of every copy of the resource |
//! | | `week` | 100 each | percent of it on Monday, Tuesday … Sunday |
//! | | `noise` | 2 | days differ by up to so many percent, always the same for the same day |
//! | | `rise` | none | `{ from = "-6d", percent = 900 }`: from that day on, so many percent |
//! | | `monthly` | none | `{ on = "-5d", days = 2, percent = 900 }`: on these days, and on the same days of the months before |
//! | `[[bill.commitment]]` | `id`, `name` | | FOCUS's CommitmentDiscountId, CommitmentDiscountName |
//! | | `kind`, `resource` | | the machines whose hours it covers |
//! | | `off` | | percent below the list price |
//! | | `until` | none | the first day without it |
//! | `[[bill.charge]]` | `account`, `text` | | what else is charged: a charge of no resource |
//! | | `category` | | `Tax` or `Credit` |
//! | | `day` | | the day of the month, 1 to 28 |
//! | | `amount` | | dollars, `"-250.00"` |
//!
//! Times are as those of resources: "-6d" or RFC 3339.

use jiff::Timestamp;
use serde::Deserialize;
use toml::Spanned;

use super::meters::{Meter, keys, meter};
use crate::org::{Account, Resource, parse_time};

/// The `[[bill.…]]` tables as they are written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tables {
    #[serde(default)]
    usage: Vec<Spanned<RawUsage>>,
    #[serde(default)]
    commitment: Vec<Spanned<RawCommitment>>,
    #[serde(default)]
    charge: Vec<Spanned<RawCharge>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUsage {
    meter: String,
    kind: Option<String>,
    resource: Option<String>,
    account: Option<String>,
    region: Option<String>,
    a_day: u32,
    #[serde(default = "even")]
    week: [u32; 7],
    #[serde(default = "noise")]
    noise: u32,
    rise: Option<Rise>,
    monthly: Option<Monthly>,
}

fn even() -> [u32; 7] {
    [100; 7]
}

fn noise() -> u32 {
    2
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCommitment {
    id: String,
    name: String,
    kind: String,
    resource: String,
    off: u32,
    until: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCharge {
    account: String,
    category: String,
    text: String,
    day: i8,
    amount: String,
}

/// More of it from a day on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rise {
    pub(super) from: String,
    pub(super) percent: u32,
}

/// More of it on some days of the month.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Monthly {
    pub(super) on: String,
    pub(super) days: u8,
    pub(super) percent: u32,
}

/// Whose usage it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Kind and id of an entry, as it spells it.
    Resource(String, String),
    /// Account and region.
    Account(String, String),
}

/// Usage that depends on traffic.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    pub(super) meter: &'static Meter,
    pub(super) whose: Whose,
    pub(super) a_day: u32,
    pub(super) week: [u32; 7],
    pub(super) noise: u32,
    pub(super) rise: Option<Rise>,
    pub(super) monthly: Option<Monthly>,
}

/// A promise to pay for hours, for less.
#[derive(Debug, Clone)]
pub(crate) struct Commitment {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) resource: String,
    /// The account of what it covers.
    pub(super) account: String,
    pub(super) off: u32,
    pub(super) until: Option<String>,
}

/// Tax or a credit.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(super) account: String,
    pub(super) category: &'static str,
    pub(super) text: String,
    pub(super) day: i8,
    /// Units of 10⁻¹² dollars.
    pub(super) amount: i128,
}

/// What is planted in the bill.
#[derive(Debug, Clone, Default)]
pub(crate) struct Planted {
    pub(super) usage: Vec<Usage>,
    pub(super) commitments: Vec<Commitment>,
    pub(super) charges: Vec<Charge>,
}

impl Tables {
    /// Holds the tables against the organisation. An error has the byte that its table begins at.
    pub(crate) fn read(self, accounts: &[Account], resources: &[Resource]) -> Result<Planted, (usize, String)> {
        let mut planted = Planted::default();
        for table in self.usage {
            let start = table.span().start;
            planted.usage.push(usage(table.into_inner(), accounts, resources).map_err(|error| (start, error))?);
        }
        for table in self.commitment {
            let start = table.span().start;
            planted.commitments.push(commitment(table.into_inner(), resources).map_err(|error| (start, error))?);
        }
        for table in self.charge {
            let start = table.span().start;
            planted.charges.push(charge(table.into_inner(), accounts).map_err(|error| (start, error))?);
        }
        Ok(planted)
    }
}

fn usage(raw: RawUsage, accounts: &[Account], resources: &[Resource]) -> Result<Usage, String> {
    let known = |id: &str| {
        accounts.iter().find(|account| account.id == id).ok_or_else(|| format!("account {id} has no [[account]]"))
    };
    let (whose, cloud) = match (raw.kind, raw.resource, raw.account) {
        (Some(kind), Some(id), None) if raw.region.is_none() => {
            let cloud = known(&entry(&kind, &id, resources)?.account)?.cloud;
            (Whose::Resource(kind, id), cloud)
        }
        (None, None, Some(id)) => {
            let account = known(&id)?;
            let region = raw.region.or_else(|| account.regions.first().cloned()).unwrap_or_default();
            (Whose::Account(id, region), account.cloud)
        }
        _ => return Err("usage is of kind and resource, or of an account with or without a region".to_owned()),
    };
    let meter = meter(cloud, &raw.meter).ok_or_else(|| {
        format!("there is no meter {:?} in {}; there are {}", raw.meter, cloud.name(), keys(cloud).join(", "))
    })?;
    if raw.noise > 20 {
        return Err("noise is at most 20 percent".to_owned());
    }
    if let Some(rise) = &raw.rise {
        time("rise.from", &rise.from)?;
    }
    if let Some(monthly) = &raw.monthly {
        time("monthly.on", &monthly.on)?;
        if !(1..=7).contains(&monthly.days) {
            return Err("monthly.days is 1 to 7".to_owned());
        }
    }
    Ok(Usage { meter, whose, a_day: raw.a_day, week: raw.week, noise: raw.noise, rise: raw.rise, monthly: raw.monthly })
}

fn commitment(raw: RawCommitment, resources: &[Resource]) -> Result<Commitment, String> {
    let account = entry(&raw.kind, &raw.resource, resources)?.account.clone();
    if !(1..=90).contains(&raw.off) {
        return Err("off is 1 to 90 percent".to_owned());
    }
    if let Some(until) = &raw.until {
        time("until", until)?;
    }
    Ok(Commitment {
        id: raw.id,
        name: raw.name,
        kind: raw.kind,
        resource: raw.resource,
        account,
        off: raw.off,
        until: raw.until,
    })
}

fn charge(raw: RawCharge, accounts: &[Account]) -> Result<Charge, String> {
    if !accounts.iter().any(|account| account.id == raw.account) {
        return Err(format!("account {} has no [[account]]", raw.account));
    }
    let category = match raw.category.as_str() {
        "Tax" => "Tax",
        "Credit" => "Credit",
        other => return Err(format!("category {other:?} is none of Tax, Credit")),
    };
    if !(1..=28).contains(&raw.day) {
        return Err("day is 1 to 28".to_owned());
    }
    let amount = dollars(&raw.amount).ok_or_else(|| format!("amount {:?} is no number of dollars", raw.amount))?;
    Ok(Charge { account: raw.account, category, text: raw.text, day: raw.day, amount })
}

/// The entry of a resource, as it is written.
fn entry<'a>(kind: &str, id: &str, resources: &'a [Resource]) -> Result<&'a Resource, String> {
    let mut found = resources.iter().filter(|resource| resource.kind == kind && resource.id == id);
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(format!("there is no [[resource]] {id:?} of {kind}")),
        _ => Err(format!("there are several [[resource]] {id:?} of {kind}")),
    }
}

fn time(key: &str, text: &str) -> Result<(), String> {
    match parse_time(text, Timestamp::UNIX_EPOCH) {
        Some(_) => Ok(()),
        None => Err(format!("{key} = {text:?} is neither like \"-40d\" nor RFC 3339")),
    }
}

/// Dollars with at most two decimals, in units of 10⁻¹².
fn dollars(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, cents) = digits.split_once('.').unwrap_or((digits, "00"));
    let number = |digits: &str| {
        let good = !digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i128>().ok().filter(|_| good)
    };
    let cents = number(cents).filter(|_| cents.len() == 2)?;
    Some(sign * (number(whole)? * 100 + cents) * 10_000_000_000)
}

#[cfg(test)]
mod tests {
    use crate::Org;

    const HEAD: &str =
        "[[account]]\nid = \"111111111111\"\n[[resource]]\nkind = \"aws.ec2-nat-gateway\"\nid = \"nat-1\"\n";

    fn error(tables: &str) -> String {
        let error = Org::parse(&format!("{HEAD}{tables}")).unwrap_err();
        assert_eq!(error.line, 6, "{error}");
        error.message
    }

    #[test]
    fn mistakes_are_named() {
        let nat = "kind = \"aws.ec2-nat-gateway\"\nresource = \"nat-1\"\n";
        for (tables, said) in [
            (format!("[[bill.usage]]\nmeter = \"nat.gbs\"\n{nat}a_day = 1\n"), "no meter \"nat.gbs\" in aws"),
            ("[[bill.usage]]\nmeter = \"nat.gb\"\na_day = 1\n".to_owned(), "usage is of"),
            (format!("[[bill.usage]]\nmeter = \"nat.gb\"\n{nat}account = \"111111111111\"\na_day = 1\n"), "usage is of"),
            (
                "[[bill.usage]]\nmeter = \"nat.gb\"\nkind = \"aws.ec2-nat-gateway\"\nresource = \"nat-2\"\na_day = 1\n"
                    .to_owned(),
                "no [[resource]] \"nat-2\"",
            ),
            (
                "[[bill.usage]]\nmeter = \"nat.gb\"\naccount = \"222222222222\"\na_day = 1\n".to_owned(),
                "account 222222222222 has no",
            ),
            (
                format!("[[bill.usage]]\nmeter = \"nat.gb\"\n{nat}a_day = 1\nrise = {{ from = \"soon\", percent = 2 }}\n"),
                "rise.from",
            ),
            (
                format!(
                    "[[bill.usage]]\nmeter = \"nat.gb\"\n{nat}a_day = 1\nmonthly = {{ on = \"-5d\", days = 9, percent = 2 }}\n"
                ),
                "monthly.days",
            ),
            (format!("[[bill.commitment]]\nid = \"sp\"\nname = \"sp\"\n{nat}off = 100\n"), "off is"),
            (
                "[[bill.charge]]\naccount = \"111111111111\"\ncategory = \"Fee\"\ntext = \"x\"\nday = 1\namount = \"1\"\n"
                    .to_owned(),
                "none of Tax",
            ),
            (
                "[[bill.charge]]\naccount = \"111111111111\"\ncategory = \"Tax\"\ntext = \"x\"\nday = 1\namount = \"1.5\"\n"
                    .to_owned(),
                "no number of dollars",
            ),
        ] {
            let message = error(&tables);
            assert!(message.contains(said), "{said:?} is not in {message:?}");
        }
        // A key that nobody knows is named where it stands.
        let unknown = Org::parse(&format!("{HEAD}[[bill.usage]]\nmeter = \"nat.gb\"\nday = 1\n")).unwrap_err();
        assert!(unknown.message.contains("day") && unknown.line >= 6, "{unknown}");
    }
}
