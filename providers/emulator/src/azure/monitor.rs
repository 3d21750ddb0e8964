//! Azure Monitor: the metrics that the organisation file gives to resources, of many at once and of one.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | any | `metrics` | none | table of metric name = a day's value, or a list of them, newest last |
//! | any | `metrics_gap` | false | the metrics exist but have no values |
//!
//! A value is what a day's total, average, minimum and maximum all say; a shorter interval takes its share of the
//! total. A single value holds for every day since the resource was made; there is nothing before the first of a
//! list, nor before the 93 days that metrics are kept. An interval without a value has a time and nothing else,
//! as in the service; a metric that is not given has no series. `metrics:getBatch` is at
//! `<region>.metrics.monitor.azure.com` or on a loopback host, where the region is not looked at.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::arm::{self, type_of};
use super::unauthorised;
use crate::cloud::{Cloud, Item, texts};
use crate::http::{Reply, WireError};
use crate::org::Vendor;
use crate::rest::{Req, Route, is_loopback};

pub(super) const ROUTES: &[Route] = &[
    Route {
        service: "monitor",
        method: "POST",
        path: "/subscriptions/{subscription}/metrics:getBatch",
        action: "MetricsBatch_GetBatch",
        permission: "Microsoft.Insights/metrics/read",
        handle: batch,
    },
    Route {
        service: "Microsoft.Insights",
        method: "GET",
        path: "/subscriptions/{subscription}/resourceGroups/{group}/providers/{resource*}/providers/Microsoft.Insights/metrics",
        action: "Metrics_List",
        permission: "Microsoft.Insights/metrics/read",
        handle: single,
    },
];

const MOST: usize = 50;
const DAY: i64 = 86_400;
const KEPT_DAYS: i64 = 93;

fn invalid(message: impl Into<String>) -> WireError {
    WireError::new(400, "BadRequest", message)
}

/// What is asked of every resource of a call.
struct Asked {
    namespace: String,
    names: Vec<String>,
    aggregations: Vec<String>,
    start: i64,
    end: i64,
    /// Seconds; the whole window at once for "FULL".
    step: i64,
    interval: String,
}

fn time(text: &str) -> Result<i64, WireError> {
    let parsed: Option<Timestamp> = text.parse().ok();
    parsed.map(Timestamp::as_second).ok_or_else(|| invalid(format!("'{text}' is no time.")))
}

impl Asked {
    fn of(cloud: &Cloud, req: &Req) -> Result<Asked, WireError> {
        let list = |name: &str| -> Vec<String> {
            let given = req.param(name).unwrap_or_default();
            given.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let names = list("metricnames");
        if names.is_empty() || names.len() > 20 {
            return Err(invalid("Between 1 and 20 metric names are required."));
        }
        let mut aggregations: Vec<String> = list("aggregation").iter().map(|one| one.to_ascii_lowercase()).collect();
        if aggregations.is_empty() {
            aggregations.push("average".to_owned());
        }
        if let Some(bad) = aggregations
            .iter()
            .find(|one| !matches!(one.as_str(), "average" | "maximum" | "minimum" | "total" | "count"))
        {
            return Err(invalid(format!("'{bad}' is no aggregation.")));
        }
        let now = cloud.now.as_second();
        let span = req.param("timespan").and_then(|span| span.split_once('/'));
        let start = req.param("starttime").or(span.map(|(start, _)| start)).map_or(Ok(now - 3600), time)?;
        let end = req.param("endtime").or(span.map(|(_, end)| end)).map_or(Ok(now), time)?;
        if start >= end {
            return Err(invalid("The start time must be before the end time."));
        }
        let interval = req.param("interval").unwrap_or("PT1M").to_owned();
        let step = match interval.as_str() {
            "PT1M" => 60,
            "PT5M" => 300,
            "PT15M" => 900,
            "PT30M" => 1800,
            "PT1H" => 3600,
            "PT6H" => 21_600,
            "PT12H" => 43_200,
            "P1D" | "PT24H" => DAY,
            "FULL" => end - start,
            other => return Err(invalid(format!("Detected invalid time grain input: {other}."))),
        };
        if (end - start) / step > 20_000 {
            return Err(invalid("The time span has too many intervals."));
        }
        Ok(Asked {
            namespace: req.param("metricnamespace").unwrap_or_default().to_owned(),
            names,
            aggregations,
            start,
            end,
            step,
            interval,
        })
    }
}

fn batch(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let asked = Asked::of(cloud, req)?;
    let body = req.json().ok_or_else(|| invalid("The request body is no JSON."))?;
    let ids = texts(body.get("resourceids").or_else(|| body.get("resourceIds")));
    if ids.is_empty() || ids.len() > MOST {
        return Err(invalid(format!("Between 1 and {MOST} resource ids are required.")));
    }
    if asked.namespace.is_empty() {
        return Err(invalid("The metric namespace is required."));
    }
    let region = if is_loopback(&req.host) { "" } else { req.host.split('.').next().unwrap_or_default() };
    let mut values = Vec::new();
    for id in &ids {
        let item = resource(cloud, req, id)?;
        if !region.is_empty() && item.region != region && region != "global" {
            return Err(invalid(format!("The resource {id} is not in the region {region}.")));
        }
        values.push(json!({
            "starttime": second(asked.start),
            "endtime": second(asked.end),
            "interval": asked.interval,
            "namespace": asked.namespace,
            "resourceregion": item.region,
            "resourceid": id,
            "value": metrics(cloud, &asked, item, id)?,
        }));
    }
    Ok(Reply::Value(json!({ "values": values })))
}

fn single(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let mut asked = Asked::of(cloud, req)?;
    let id = format!("{}/providers/{}", arm::group_id(&req.account, req.label("group")), req.label("resource"));
    let item = resource(cloud, req, &id)?;
    if asked.namespace.is_empty() {
        type_of(&item.kind).map_or("", |known| known.arm).clone_into(&mut asked.namespace);
    }
    Ok(Reply::Value(json!({
        "cost": 0,
        "timespan": format!("{}/{}", second(asked.start), second(asked.end)),
        "interval": asked.interval,
        "namespace": asked.namespace,
        "resourceregion": item.region,
        "value": metrics(cloud, &asked, item, &id)?,
    })))
}

/// The resource with an ARM id that the caller may see.
fn resource<'a>(cloud: &'a Cloud, req: &Req, id: &str) -> Result<&'a Item, WireError> {
    let name = id.rsplit('/').next().unwrap_or_default();
    let subscription = id.split('/').nth(2).unwrap_or_default();
    if !subscription.eq_ignore_ascii_case(&req.account) {
        return Err(invalid(format!("The resource {id} is not in the subscription {}.", req.account)));
    }
    let same = |item: &&Item| {
        item.account == req.account && item.kind.starts_with("azure.") && arm::id(item).eq_ignore_ascii_case(id)
    };
    let account = cloud.org().of(Vendor::Azure).find(|known| known.id == req.account);
    let found = cloud.named(name).find(same).or_else(|| {
        let all = account.map(|account| arm::every(cloud, &account.id)).unwrap_or_default();
        all.into_iter().map(|(_, item)| item).find(same)
    });
    match found {
        Some(item) if arm::sees(cloud, item) => Ok(item),
        Some(_) => Err(unauthorised(req)),
        None => Err(WireError::new(404, "ResourceNotFound", format!("The Resource '{id}' was not found."))),
    }
}

fn second(at: i64) -> String {
    Timestamp::from_second(at).map(|at| at.to_string()).unwrap_or_default()
}

fn metrics(cloud: &Cloud, asked: &Asked, item: &Item, id: &str) -> Result<Vec<Value>, WireError> {
    let own = type_of(&item.kind).map_or("", |known| known.arm).to_ascii_lowercase();
    // A service below a storage account has its own namespace, and the account's id with a service's name.
    if !asked.namespace.to_ascii_lowercase().starts_with(&own) {
        return Err(invalid(format!("The metric namespace {} is not one of {id}.", asked.namespace)));
    }
    let given = item.keys.get("metrics").and_then(Value::as_object);
    let all = asked.names.iter().map(|name| {
        let days =
            given.and_then(|given| given.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, days)| days));
        let series = days.map(|days| json!({ "metadatavalues": [], "data": points(cloud, asked, item, days) }));
        json!({
            "id": format!("{id}/providers/Microsoft.Insights/metrics/{name}"),
            "type": "Microsoft.Insights/metrics",
            "name": { "value": name, "localizedValue": name },
            "displayDescription": "",
            "unit": "Count",
            "timeseries": series.into_iter().collect::<Vec<_>>(),
            "errorCode": "Success",
        })
    });
    Ok(all.collect())
}

fn points(cloud: &Cloud, asked: &Asked, item: &Item, days: &Value) -> Vec<Value> {
    let now = cloud.now.as_second();
    let kept = cloud.now.checked_sub(SignedDuration::from_hours(24 * KEPT_DAYS)).map_or(i64::MIN, Timestamp::as_second);
    let oldest = item.created.as_second().max(kept);
    let mut all = Vec::new();
    let mut at = asked.start;
    while at < asked.end && at < now {
        let mut point = json!({ "timeStamp": second(at) });
        let value = if at + asked.step <= oldest || item.flag("metrics_gap") == Some(true) {
            None
        } else {
            match days {
                Value::Array(values) => {
                    let age = (now - at + DAY - 1) / DAY - 1;
                    usize::try_from(age)
                        .ok()
                        .and_then(|age| values.len().checked_sub(age + 1))
                        .and_then(|index| values.get(index))
                        .and_then(Value::as_f64)
                }
                one => one.as_f64(),
            }
        };
        if let Some(value) = value {
            for name in &asked.aggregations {
                point[name.as_str()] = match name.as_str() {
                    "total" => json!(value * asked.step as f64 / DAY as f64),
                    "count" => json!((asked.step / 60).max(1) as f64),
                    _ => json!(value),
                };
            }
        }
        all.push(point);
        at += asked.step;
    }
    all
}
