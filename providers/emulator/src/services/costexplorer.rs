//! Cost Explorer: daily costs from the `[[cost]]` tables (see [`crate::costs`]), filtered, grouped and paged.
//!
//! The management account and its delegates see the costs of every account, the others their own. Filters are of
//! RECORD_TYPE, SERVICE and LINKED_ACCOUNT, with And, Or and Not. Days of the month of the emulated moment are
//! estimated. A page holds so many groups; a day without any has its place on a page as well.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::cloud::{Cloud, texts};
use crate::costs::{Line, date, decimal, lines};
use crate::http::{Reply, WireError};
use crate::org::Vendor;
use crate::request::{Params, Request};
use crate::services::invalid_action;

/// Groups on a page.
const MOST: usize = 2000;

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    match request.action.as_str() {
        "GetCostAndUsage" => cost_and_usage(cloud, request),
        _ => Err(invalid_action(request)),
    }
}

fn invalid(message: impl Into<String>) -> WireError {
    WireError::new(400, "ValidationException", message)
}

/// The usual record type of a charge.
fn word(charge: &str) -> &'static str {
    match charge {
        "commitment" => "SavingsPlanRecurringFee",
        "correction" => "Other",
        "credit" => "Credit",
        "tax" => "Tax",
        _ => "Usage",
    }
}

/// What a line is in a dimension.
fn value<'a>(line: &Line<'a>, dimension: &str) -> Result<&'a str, WireError> {
    Ok(match dimension {
        "LINKED_ACCOUNT" => &line.cost.account,
        "RECORD_TYPE" => line.cost.word(word),
        "SERVICE" => &line.cost.service,
        other => return Err(invalid(format!("The emulator has no dimension {other}."))),
    })
}

/// Whether a line passes a filter.
fn passes(line: &Line<'_>, filter: &Value) -> Result<bool, WireError> {
    let table = filter.as_object().filter(|table| table.len() == 1);
    let Some((name, inner)) = table.and_then(|table| table.iter().next()) else {
        return Err(invalid("Expression does not match its schema: exactly one of its members is expected."));
    };
    let several = || match inner.as_array() {
        Some(all) if all.len() > 1 => Ok(all),
        _ => Err(invalid(format!("{name} takes two expressions or more."))),
    };
    match name.as_str() {
        "And" => several()?.iter().try_fold(true, |held, one| Ok(passes(line, one)? && held)),
        "Or" => several()?.iter().try_fold(false, |held, one| Ok(passes(line, one)? || held)),
        "Not" => Ok(!passes(line, inner)?),
        "Dimensions" => {
            let own = value(line, inner.get("Key").and_then(Value::as_str).unwrap_or_default())?;
            let values = texts(inner.get("Values"));
            if values.is_empty() {
                return Err(invalid("Values must have at least one member."));
            }
            Ok(values.iter().any(|value| value == own))
        }
        other => Err(invalid(format!("The emulator filters by no {other}."))),
    }
}

fn day(period: Option<&Value>, name: &str) -> Result<Date, WireError> {
    let text = period.and_then(|period| period.get(name)).and_then(Value::as_str).unwrap_or_default();
    text.parse().map_err(|_| invalid(format!("{name} date is invalid. Time should be in the format of YYYY-MM-DD.")))
}

fn cost_and_usage(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let Params::Json(body) = &request.params else { return Err(invalid("no body")) };
    let period = body.get("TimePeriod");
    let (first, end) = (day(period, "Start")?, day(period, "End")?);
    if first >= end {
        return Err(invalid("Start date (and hour) should be before end date (and hour)"));
    }
    if body.get("Granularity").and_then(Value::as_str) != Some("DAILY") {
        return Err(invalid("The emulator knows the granularity DAILY."));
    }
    let metrics = texts(body.get("Metrics"));
    if metrics.is_empty() {
        return Err(invalid("Metrics must have at least one member."));
    }
    let groups = body.get("GroupBy").and_then(Value::as_array).cloned().unwrap_or_default();
    if groups.len() > 2 {
        return Err(invalid("You can group by up to two dimensions."));
    }
    let dimensions: Vec<&str> =
        groups.iter().map(|group| group.get("Key").and_then(Value::as_str).unwrap_or_default()).collect();
    let seer = cloud.org().organization.as_ref().is_some_and(|organization| {
        organization.management == request.account || organization.delegated.contains(&request.account)
    });
    let mut sums: BTreeMap<(Date, Vec<&str>), Money> = BTreeMap::new();
    let all =
        lines(cloud, first, end, |account| account.cloud == Vendor::Aws && (seer || account.id == request.account));
    for line in &all {
        let filter = body.get("Filter").filter(|filter| !filter.is_null());
        if !filter.map_or(Ok(true), |filter| passes(line, filter))? {
            continue;
        }
        let keys = dimensions.iter().map(|dimension| value(line, dimension)).collect::<Result<Vec<_>, _>>()?;
        let sum = sums.entry((line.day, keys)).or_insert_with(|| Money::new(&line.cost.currency));
        sum.effective += line.effective;
        sum.billed += line.billed;
    }
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut at = first;
    while at < end {
        let own = sums.range((at, Vec::new())..).take_while(|((day, _), _)| *day == at);
        let before = entries.len();
        entries.extend(own.map(|((day, keys), sum)| (*day, Some((keys.clone(), sum.clone())))));
        if entries.len() == before {
            entries.push((at, None));
        }
        at = at.tomorrow().map_err(|_| invalid("no such day"))?;
    }
    let (shown, next) = cloud
        .page(&entries, Some(MOST), request.text("NextPageToken"))
        .map_err(|_| WireError::new(400, "InvalidNextTokenException", "The pagination token is invalid."))?;
    let open = date(cloud.now).first_of_month();
    let mut results: Vec<Value> = Vec::new();
    for (day, group) in shown {
        let start = day.to_string();
        if results.last().is_none_or(|last| last["TimePeriod"]["Start"] != start.as_str()) {
            let tomorrow = day.tomorrow().map(|day| day.to_string()).unwrap_or_default();
            results.push(json!({
                "TimePeriod": { "Start": start, "End": tomorrow },
                "Total": {},
                "Groups": [],
                "Estimated": day >= open,
            }));
        }
        let Some(((keys, sum), result)) = group.zip(results.last_mut()) else { continue };
        let shown = sum.metrics(&metrics)?;
        if dimensions.is_empty() {
            result["Total"] = shown;
        } else if let Some(groups) = result["Groups"].as_array_mut() {
            groups.push(json!({ "Keys": keys, "Metrics": shown }));
        }
    }
    let mut answer = json!({ "ResultsByTime": results, "DimensionValueAttributes": [] });
    if !groups.is_empty() {
        answer["GroupDefinitions"] = Value::Array(groups);
    }
    if let Some(token) = next {
        answer["NextPageToken"] = json!(token);
    }
    Ok(Reply::Value(answer))
}

/// A day, and a group's names and sum where it has any.
type Entry<'a> = (Date, Option<(Vec<&'a str>, Money)>);

/// A sum. Amounts are in units of 10⁻¹².
#[derive(Clone)]
struct Money {
    currency: String,
    effective: i128,
    billed: i128,
}

impl Money {
    fn new(currency: &str) -> Money {
        Money { currency: currency.to_owned(), effective: 0, billed: 0 }
    }

    fn metrics(&self, names: &[String]) -> Result<Value, WireError> {
        let mut shown = Map::new();
        for name in names {
            let amount = match name.as_str() {
                "AmortizedCost" | "NetAmortizedCost" => self.effective,
                "UnblendedCost" | "NetUnblendedCost" | "BlendedCost" => self.billed,
                other => return Err(invalid(format!("The emulator has no metric {other}."))),
            };
            shown.insert(name.clone(), json!({ "Amount": decimal(amount), "Unit": self.currency }));
        }
        Ok(Value::Object(shown))
    }
}
