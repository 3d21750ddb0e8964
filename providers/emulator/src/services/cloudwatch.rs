//! CloudWatch: `GetMetricData` over the metrics that the organisation file gives to resources.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | any | `metrics` | none | table of metric name = a day's value, or a list of them, newest last |
//! | any | `metrics_gap` | false | the metrics exist but have no datapoints |
//!
//! A value is what a day's `Sum`, `Average`, `Minimum` and `Maximum` all say; a shorter or longer period
//! takes its share of the sum. A single value holds for every day since the resource was made. The last
//! value of a list is that of the last 24 hours, and there is nothing before the first. A metric that
//! is not given has no datapoints, and neither has a query whose dimensions are not exactly those under
//! which the service publishes ([`DIMENSIONS`]): CloudWatch never matches a part of them.
//! `aws.s3-bucket` publishes its `bytes` and `objects` as `BucketSizeBytes` and `NumberOfObjects`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::elb;
use super::item::{Args, Item, answer, refused, stamp, unserved, view};
use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;

/// A namespace, the dimension that names the resource, and the other dimensions that come with it.
type Dimensions = (&'static str, &'static str, &'static [&'static str]);

/// The sets of dimensions under which metrics are published.
#[rustfmt::skip]
pub(crate) const DIMENSIONS: &[Dimensions] = &[
    ("AWS/ApplicationELB", "LoadBalancer", &[]),
    ("AWS/ApplicationELB", "LoadBalancer", &["TargetGroup"]),
    ("AWS/ApplicationELB", "LoadBalancer", &["AvailabilityZone"]),
    ("AWS/DynamoDB", "TableName", &[]),
    ("AWS/EBS", "VolumeId", &[]),
    ("AWS/EC2", "InstanceId", &[]),
    ("AWS/ECS", "ClusterName", &[]),
    ("AWS/ECS", "ServiceName", &["ClusterName"]),
    ("AWS/EFS", "FileSystemId", &[]),
    ("AWS/ELB", "LoadBalancerName", &[]),
    ("AWS/ELB", "LoadBalancerName", &["AvailabilityZone"]),
    ("AWS/GatewayELB", "LoadBalancer", &[]),
    ("AWS/Lambda", "FunctionName", &[]),
    ("AWS/Lambda", "FunctionName", &["Resource"]),
    ("AWS/Logs", "LogGroupName", &[]),
    ("AWS/NATGateway", "NatGatewayId", &[]),
    ("AWS/NetworkELB", "LoadBalancer", &[]),
    ("AWS/NetworkELB", "LoadBalancer", &["TargetGroup"]),
    ("AWS/NetworkELB", "LoadBalancer", &["AvailabilityZone"]),
    ("AWS/PrivateLinkEndpoints", "VPC Endpoint Id", &["Endpoint Type", "Service Name", "VPC Id"]),
    ("AWS/PrivateLinkEndpoints", "VPC Endpoint Id", &["Endpoint Type", "Service Name", "Subnet Id", "VPC Id"]),
    ("AWS/RDS", "DBClusterIdentifier", &[]),
    ("AWS/RDS", "DBInstanceIdentifier", &[]),
    ("AWS/S3", "BucketName", &["StorageType"]),
    ("AWS/TransitGateway", "TransitGateway", &[]),
    ("AWS/TransitGateway", "TransitGatewayAttachment", &["TransitGateway"]),
    ("AWS/VPN", "VpnId", &[]),
];

const MOST_QUERIES: usize = 500;
const MOST_POINTS: usize = 100_800;
const DAY: f64 = 86_400.0;

/// How long the service keeps datapoints of a period.
fn retention(period: f64) -> f64 {
    if period < 60.0 {
        DAY / 8.0
    } else if period < 300.0 {
        15.0 * DAY
    } else if period < 3600.0 {
        63.0 * DAY
    } else {
        455.0 * DAY
    }
}

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    match request.action.as_str() {
        "GetMetricData" => get_metric_data(cloud, request, &Args::of(request)),
        _ => unserved(request),
    }
}

fn invalid(message: impl Into<String>) -> WireError {
    refused(400, "ValidationError", message)
}

/// One query's series.
struct Series {
    id: String,
    label: String,
    points: Vec<(f64, f64)>,
}

fn get_metric_data(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let queries = args.array("MetricDataQueries");
    if queries.is_empty() {
        return Err(invalid("The parameter MetricDataQueries is required."));
    }
    if queries.len() > MOST_QUERIES {
        return Err(invalid(format!(
            "The collection MetricDataQueries must not have a size greater than {MOST_QUERIES}."
        )));
    }
    let start = args.time("StartTime").ok_or_else(|| invalid("The parameter StartTime is required."))?;
    let end = args.time("EndTime").ok_or_else(|| invalid("The parameter EndTime is required."))?;
    if start >= end {
        return Err(invalid("The parameter StartTime must be less than the parameter EndTime."));
    }
    let most = match args.get("MaxDatapoints") {
        None => MOST_POINTS,
        Some(_) => args
            .int("MaxDatapoints")
            .and_then(|most| usize::try_from(most).ok())
            .filter(|most| (1..=MOST_POINTS).contains(most))
            .ok_or_else(|| invalid(format!("The parameter MaxDatapoints must be between 1 and {MOST_POINTS}.")))?,
    };
    let ascending = match args.text("ScanBy") {
        Some("TimestampAscending") => true,
        None | Some("TimestampDescending") => false,
        Some(other) => return Err(invalid(format!("ScanBy {other} is not valid."))),
    };

    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for query in &queries {
        let series = series(cloud, request, query, (start, end))?;
        if !seen.insert(series.id.clone()) {
            return Err(invalid(format!(
                "The values for parameter id in MetricDataQueries are not unique: {}.",
                series.id
            )));
        }
        if query.get("ReturnData").is_none_or(|shown| shown != &Value::Bool(false) && shown != "false") {
            all.push(series);
        }
    }
    if !ascending {
        for series in &mut all {
            series.points.reverse();
        }
    }
    answer_page(cloud, args, &all, most)
}

/// The part of the series that the token points to: at most `most` datapoints, and no more series than
/// the options' page size.
fn answer_page(cloud: &Cloud, args: &Args, all: &[Series], most: usize) -> Result<Reply, WireError> {
    // Every datapoint is one position, and a series without any is one too, so that it is answered once.
    let positions: Vec<(usize, Option<usize>)> = all
        .iter()
        .enumerate()
        .flat_map(|(at, series)| {
            let points = series.points.len();
            let none = (points == 0).then_some((at, None));
            none.into_iter().chain((0..points).map(move |point| (at, Some(point))))
        })
        .collect();
    // Paging first takes the rest with the token, and then as much of it as fits.
    let (rest, _) = crate::page::page(&positions, None, args.text("NextToken"), None)
        .map_err(|_| refused(400, "InvalidNextToken", "The NextToken provided is invalid."))?;
    let fits = most.min(series_cap(cloud, &rest));
    let (shown, token) = crate::page::page(&positions, Some(fits), args.text("NextToken"), None)
        .map_err(|_| refused(400, "InvalidNextToken", "The NextToken provided is invalid."))?;

    let mut results: BTreeMap<usize, (Vec<Value>, Vec<f64>)> = BTreeMap::new();
    for (at, point) in &shown {
        let entry = results.entry(*at).or_default();
        if let Some((time, value)) = point.and_then(|point| all.get(*at)?.points.get(point)) {
            entry.0.push(stamp(*time));
            entry.1.push(*value);
        }
    }
    let cut = match (shown.last(), rest.get(shown.len())) {
        (Some((last, _)), Some((next, _))) if last == next => Some(*last),
        _ => None,
    };
    let results: Vec<Value> = results
        .into_iter()
        .filter_map(|(at, (times, values))| {
            let series = all.get(at)?;
            Some(json!({
                "Id": series.id,
                "Label": series.label,
                "Timestamps": times,
                "Values": values,
                "StatusCode": if cut == Some(at) { "PartialData" } else { "Complete" },
            }))
        })
        .collect();
    answer(json!({ "MetricDataResults": results, "NextToken": token, "Messages": [] }))
}

/// How many of these positions belong to the first series that the options' page size allows.
fn series_cap(cloud: &Cloud, rest: &[(usize, Option<usize>)]) -> usize {
    let (Some(cap), Some((first, _))) = (cloud.page, rest.first()) else { return usize::MAX };
    rest.iter().take_while(|(at, _)| *at < first.saturating_add(cap.max(1))).count()
}

/// The resource of the request's account and region that publishes under a name.
fn publisher<'a>(
    cloud: &'a Cloud,
    request: &Request,
    namespace: &'static str,
    dimension: &'static str,
    value: &str,
) -> Option<Item<'a>> {
    // A load balancer is named by the tail of its ARN, of which the middle is its id.
    let id = match dimension {
        "LoadBalancer" => value.split('/').nth(1).unwrap_or(value),
        _ => value,
    };
    cloud
        .named(id)
        .filter(|item| item.account == request.account && item.region == request.region)
        .map(|item| view(item, cloud))
        .find(|item| names(item).iter().any(|own| own.0 == namespace && own.1 == dimension && own.2 == value))
}

/// The names under which a resource publishes.
fn names(item: &Item) -> Vec<(&'static str, &'static str, String)> {
    let id = || item.id.to_owned();
    match item.kind {
        "aws.lambda-function" => vec![("AWS/Lambda", "FunctionName", id())],
        "aws.logs-group" => vec![("AWS/Logs", "LogGroupName", id())],
        "aws.s3-bucket" => vec![("AWS/S3", "BucketName", id())],
        "aws.rds-instance" => vec![("AWS/RDS", "DBInstanceIdentifier", id())],
        "aws.rds-cluster" => vec![("AWS/RDS", "DBClusterIdentifier", id())],
        "aws.ecs-cluster" => vec![("AWS/ECS", "ClusterName", id())],
        "aws.ecs-service" => vec![("AWS/ECS", "ServiceName", id())],
        "aws.elb-load-balancer" => match item.text_or("type", "application") {
            "classic" => vec![("AWS/ELB", "LoadBalancerName", id())],
            "network" => vec![("AWS/NetworkELB", "LoadBalancer", elb::dimension(item))],
            "gateway" => vec![("AWS/GatewayELB", "LoadBalancer", elb::dimension(item))],
            _ => vec![("AWS/ApplicationELB", "LoadBalancer", elb::dimension(item))],
        },
        _ => {
            // EC2's kinds are told apart by the prefix of their ids.
            let by_prefix: &[(&str, &str, &str)] = &[
                ("i-", "AWS/EC2", "InstanceId"),
                ("vol-", "AWS/EBS", "VolumeId"),
                ("nat-", "AWS/NATGateway", "NatGatewayId"),
                ("vpce-", "AWS/PrivateLinkEndpoints", "VPC Endpoint Id"),
                ("tgw-attach-", "AWS/TransitGateway", "TransitGatewayAttachment"),
                ("tgw-", "AWS/TransitGateway", "TransitGateway"),
                ("vpn-", "AWS/VPN", "VpnId"),
                ("fs-", "AWS/EFS", "FileSystemId"),
            ];
            by_prefix
                .iter()
                .find(|(prefix, _, _)| item.id.starts_with(prefix))
                .and_then(|(_, namespace, dimension)| {
                    DIMENSIONS.iter().find(|known| known.0 == *namespace && known.1 == *dimension)
                })
                .map(|known| (known.0, known.1, id()))
                .into_iter()
                .collect()
        }
    }
}

fn series(cloud: &Cloud, request: &Request, query: &Value, window: (f64, f64)) -> Result<Series, WireError> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let id = text(query, "Id").ok_or_else(|| invalid("The parameter MetricDataQueries.member.Id is required."))?;
    let well_formed =
        id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !well_formed {
        return Err(invalid(format!(
            "The value {id} for parameter MetricDataQueries.member.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
        )));
    }
    if query.get("Expression").is_some_and(|expression| !expression.is_null()) {
        return Err(invalid("The emulator evaluates no metric math expressions."));
    }
    let stat = query
        .get("MetricStat")
        .ok_or_else(|| invalid("Exactly one of the parameters MetricStat and Expression must be given."))?;
    let metric = stat.get("Metric").ok_or_else(|| invalid("The parameter Metric is required."))?;
    let namespace = text(metric, "Namespace").unwrap_or_default();
    let name = text(metric, "MetricName").unwrap_or_default();
    let mut dimensions = BTreeMap::new();
    for dimension in metric.get("Dimensions").and_then(Value::as_array).into_iter().flatten() {
        let (Some(key), Some(value)) = (text(dimension, "Name"), text(dimension, "Value")) else {
            return Err(invalid("A dimension must have a Name and a Value."));
        };
        dimensions.insert(key, value);
    }
    let period = super::item::whole(stat.get("Period"))
        .filter(|period| matches!(*period, 1 | 5 | 10 | 20 | 30) || (*period > 0 && *period % 60 == 0))
        .ok_or_else(|| invalid("Period must be 1, 5, 10, 20, 30 or a multiple of 60."))?;
    let stat = text(stat, "Stat").ok_or_else(|| invalid("The parameter Stat is required."))?;

    let foreign = query.get("AccountId").and_then(Value::as_str).is_some_and(|account| account != request.account);
    let points = if foreign {
        Vec::new()
    } else {
        found(cloud, request, &namespace, &name, &dimensions)
            .map(|(item, days)| points(cloud, &item, &days, window, period as f64, &stat))
            .unwrap_or_default()
    };
    let label = text(query, "Label").unwrap_or(name);
    Ok(Series { id, label, points })
}

/// What a resource says day by day about one metric.
enum Days {
    Always(f64),
    /// Newest last.
    Listed(Vec<f64>),
}

/// The resource that publishes a metric under exactly these dimensions, and what it says.
fn found<'a>(
    cloud: &'a Cloud,
    request: &Request,
    namespace: &str,
    metric: &str,
    dimensions: &BTreeMap<String, String>,
) -> Option<(Item<'a>, Days)> {
    let known = DIMENSIONS.iter().find(|known| {
        known.0 == namespace
            && dimensions.len() == known.2.len() + 1
            && dimensions.contains_key(known.1)
            && known.2.iter().all(|other| dimensions.contains_key(*other))
    })?;
    let value = dimensions.get(known.1)?;
    let item = publisher(cloud, request, known.0, known.1, value)?;
    let matches = dimensions.iter().all(|(name, value)| companion(&item, name, value));
    if !matches || item.flag("metrics_gap") {
        return None;
    }
    if item.kind == "aws.s3-bucket" {
        let storage = dimensions.get("StorageType").map(String::as_str);
        let own = match (metric, storage) {
            ("BucketSizeBytes", Some("StandardStorage")) => item.int("bytes"),
            ("NumberOfObjects", Some("AllStorageTypes")) => item.int("objects"),
            ("BucketSizeBytes" | "NumberOfObjects", _) => return None,
            _ => None,
        };
        // An empty bucket publishes no storage metrics, it does not publish zeroes.
        if let Some(own) = own {
            return (own > 0).then_some((item, Days::Always(own as f64)));
        }
    }
    let given = item.map("metrics");
    let days = match given.get(metric)? {
        Value::Array(values) => Days::Listed(values.iter().filter_map(Value::as_f64).collect()),
        value => Days::Always(value.as_f64()?),
    };
    Some((item, days))
}

/// Whether a dimension that accompanies the resource's own says what the resource says of itself.
fn companion(item: &Item, name: &str, value: &str) -> bool {
    let stated = |key: &str| item.text(key).is_none_or(|own| own == value);
    match name {
        "ClusterName" if item.kind == "aws.ecs-service" => item.text_or("cluster", "default") == value,
        "Resource" => value == item.id || value.starts_with(&format!("{}:", item.id)),
        "VPC Id" => stated("vpc"),
        // The organisation file may say "s3" for "com.amazonaws.<region>.s3".
        "Service Name" => item.text("service").is_none_or(|own| own == value || value.ends_with(&format!(".{own}"))),
        "TransitGateway" => item.id == value || stated("gateway"),
        _ => true,
    }
}

/// The datapoints of a metric in a window: one a period, counted from the window's start.
fn points(
    cloud: &Cloud,
    item: &Item,
    days: &Days,
    (start, end): (f64, f64),
    period: f64,
    stat: &str,
) -> Vec<(f64, f64)> {
    let now = super::item::seconds(cloud.now);
    // The service rounds the start down: to the minute, five minutes past 15 days, the hour past 63.
    let age = now - start;
    let grain = if age > 63.0 * DAY {
        3600.0
    } else if age > 15.0 * DAY {
        300.0
    } else {
        60.0
    };
    let start = (start / grain).floor() * grain;
    let mut all = Vec::new();
    let oldest = item.created.max(now - retention(period));
    // Straight to the first period that can hold anything, however far back the window begins.
    let mut number = ((oldest - start) / period).floor().max(0.0);
    loop {
        let time = start + number * period;
        if time >= end || time >= now || all.len() > MOST_POINTS {
            break;
        }
        number += 1.0;
        if time + period <= oldest {
            continue;
        }
        let value = match days {
            Days::Always(value) => *value,
            Days::Listed(values) => {
                let age = (((now - time) / DAY).ceil() - 1.0).max(0.0) as usize;
                let Some(value) = values.len().checked_sub(age + 1).and_then(|at| values.get(at)) else {
                    continue;
                };
                *value
            }
        };
        let shown = match stat {
            "Sum" => value * period / DAY,
            "SampleCount" => (period / 300.0).max(1.0),
            _ => value,
        };
        all.push((time, shown));
    }
    all
}
