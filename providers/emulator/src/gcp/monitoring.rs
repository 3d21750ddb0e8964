//! Cloud Monitoring v3 `timeSeries.list`: filter, alignment, reduction by labels, pages.
//!
//! What a resource says of a metric is in its key `metrics`, by the metric's type with or without its host: a
//! number for every day, or a list of days of which the last one is today. Of what counts events (`…_count`) it is
//! a day's sum, of all else the value at any time. A resource says nothing of the time before it was, and nothing
//! at all with `metrics_gap`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::compute::router_id;
use super::serverless::of_service;
use super::shape::uid;
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::rest::{Req, Route};

const DAY: i64 = 86_400;

/// The largest page, in points.
const PAGE: usize = 100_000;

/// How many points one series can have: a year of hours.
const MOST: i64 = 9_000;

/// How deep a filter may nest.
const DEPTH: usize = 20;

#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    Route { service: "monitoring", method: "GET", path: "/v3/projects/{project}/timeSeries", action: "monitoring.projects.timeSeries.list", permission: "monitoring.timeSeries.list", handle: list },
];

type Labels = BTreeMap<String, String>;

/// A series: whose it is, of what, and its points by their ends in seconds, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
struct Series {
    resource: String,
    resource_labels: Labels,
    metric: String,
    metric_labels: Labels,
    delta: bool,
    whole: bool,
    points: Vec<(i64, f64)>,
}

fn bad(what: impl Into<String>) -> WireError {
    WireError::new(400, "INVALID_ARGUMENT", what)
}

// What a filter says: terms joined by AND, OR, NOT and parentheses.

#[derive(Debug, PartialEq)]
enum Filter {
    Term { field: String, not: bool, test: Test },
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
}

#[derive(Debug, PartialEq)]
enum Test {
    Is(String),
    StartsWith(String),
    EndsWith(String),
    Has(String),
    OneOf(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        match first {
            ' ' | '\t' | '\n' => {}
            '"' | '\'' => {
                let mut value = String::new();
                loop {
                    match rest.next()? {
                        '\\' => value.push(rest.next()?),
                        end if end == first => break,
                        other => value.push(other),
                    }
                }
                tokens.push(Token::Text(value));
            }
            '(' | ')' | '=' | '!' | ',' | ':' | '-' => tokens.push(Token::Sign(first)),
            _ => {
                let mut word = String::from(first);
                while let Some(next) =
                    rest.next_if(|next| next.is_alphanumeric() || matches!(next, '_' | '.' | '/' | '-'))
                {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Some(tokens)
}

/// A reader of a filter's tokens.
struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn takes(&mut self, wanted: &Token) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    fn word(&mut self, wanted: &str) -> bool {
        self.takes(&Token::Word(wanted.to_owned()))
    }

    // OR binds stronger than AND in Monitoring's filters.
    fn all(&mut self, depth: usize) -> Option<Filter> {
        let mut parts = vec![self.any(depth)?];
        while !matches!(self.peek(), None | Some(Token::Sign(')'))) {
            self.word("AND");
            parts.push(self.any(depth)?);
        }
        Some(Filter::All(parts))
    }

    fn any(&mut self, depth: usize) -> Option<Filter> {
        let mut parts = vec![self.term(depth)?];
        while self.word("OR") {
            parts.push(self.term(depth)?);
        }
        Some(Filter::Any(parts))
    }

    fn term(&mut self, depth: usize) -> Option<Filter> {
        let depth = depth.checked_sub(1)?;
        if self.word("NOT") || self.takes(&Token::Sign('-')) {
            return Some(Filter::Not(Box::new(self.term(depth)?)));
        }
        if self.takes(&Token::Sign('(')) {
            let inner = self.all(depth)?;
            return self.takes(&Token::Sign(')')).then_some(inner);
        }
        let Some(Token::Word(field)) = self.next() else { return None };
        let field = field.replacen(".label.", ".labels.", 1);
        let not = self.takes(&Token::Sign('!'));
        let Some(Token::Sign(sign @ ('=' | ':'))) = self.next() else { return None };
        let test = match self.next()? {
            Token::Text(text) if sign == ':' => Test::Has(text),
            Token::Text(text) => Test::Is(text),
            Token::Word(call) if self.peek() == Some(&Token::Sign('(')) => self.call(&call)?,
            Token::Word(word) => Test::Is(word),
            Token::Sign(_) => return None,
        };
        Some(Filter::Term { field, not, test })
    }

    fn call(&mut self, name: &str) -> Option<Test> {
        self.next();
        let mut given = Vec::new();
        loop {
            let Some(Token::Text(text)) = self.next() else { return None };
            given.push(text);
            match self.next()? {
                Token::Sign(',') => {}
                Token::Sign(')') => break,
                _ => return None,
            }
        }
        match (name, given.as_slice()) {
            ("one_of", _) => Some(Test::OneOf(given)),
            ("starts_with", [start]) => Some(Test::StartsWith(start.clone())),
            ("ends_with", [end]) => Some(Test::EndsWith(end.clone())),
            ("has_substring", [part]) => Some(Test::Has(part.clone())),
            _ => None,
        }
    }
}

fn parsed(text: &str) -> Result<Filter, WireError> {
    let wrong = || bad(format!("Field filter had an invalid value of {text:?}."));
    let mut reader = Reader { tokens: tokens(text).ok_or_else(wrong)?, at: 0 };
    let filter = reader.all(DEPTH).ok_or_else(wrong)?;
    if reader.peek().is_some() { Err(wrong()) } else { Ok(filter) }
}

impl Filter {
    fn fits(&self, series: &Series) -> bool {
        match self {
            Filter::All(parts) => parts.iter().all(|part| part.fits(series)),
            Filter::Any(parts) => parts.iter().any(|part| part.fits(series)),
            Filter::Not(part) => !part.fits(series),
            Filter::Term { field, not, test } => {
                let own = series.field(field).unwrap_or_default();
                let good = match test {
                    Test::Is(text) => own == text,
                    Test::StartsWith(start) => own.starts_with(start.as_str()),
                    Test::EndsWith(end) => own.ends_with(end.as_str()),
                    Test::Has(part) => own.contains(part.as_str()),
                    Test::OneOf(texts) => texts.iter().any(|text| own == text),
                };
                good != *not
            }
        }
    }

    /// The metric type that the filter is for.
    fn metric(&self) -> Option<&str> {
        match self {
            Filter::Term { field, not: false, test: Test::Is(metric) } if field == "metric.type" => Some(metric),
            Filter::All(parts) => parts.iter().find_map(Filter::metric),
            // A choice of metrics is none.
            Filter::Any(parts) if parts.len() == 1 => parts.first().and_then(Filter::metric),
            _ => None,
        }
    }
}

impl Series {
    fn field(&self, name: &str) -> Option<&str> {
        match name {
            "metric.type" => Some(&self.metric),
            "resource.type" => Some(&self.resource),
            _ => {
                let (own, name) = if let Some(name) = name.strip_prefix("resource.labels.") {
                    (&self.resource_labels, name)
                } else {
                    (&self.metric_labels, name.strip_prefix("metric.labels.")?)
                };
                own.get(name).map(String::as_str)
            }
        }
    }
}

/// The kinds of monitored resources that a resource publishes as, with their labels.
fn publishes(cloud: &Cloud, item: &Item) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let id = || item.id.clone();
    let place = || item.region.clone();
    match item.kind.as_str() {
        "gcp.compute-instance" => vec![("gce_instance", vec![("instance_id", uid(item)), ("zone", place())])],
        "gcp.cloud-nat" => {
            let router = router_id(cloud, item);
            vec![("nat_gateway", vec![("region", place()), ("router_id", router), ("gateway_name", id())])]
        }
        "gcp.compute-forwarding-rule" => [
            "https_lb_rule",
            "http_external_regional_lb_rule",
            "internal_http_lb_rule",
            "internal_network_lb_rule",
            "internal_tcp_lb_rule",
            "internal_udp_lb_rule",
            "network_lb_rule",
            "tcp_lb_rule",
            "udp_lb_rule",
            "tcp_ssl_proxy_rule",
        ]
        .into_iter()
        .map(|kind| {
            let last =
                |key: &str| item.text(key).and_then(|text| text.rsplit('/').next()).unwrap_or_default().to_owned();
            let labels = vec![
                ("region", place()),
                ("forwarding_rule_name", id()),
                ("target_proxy_name", last("target")),
                ("backend_target_name", last("backend_service")),
                ("load_balancer_name", last("backend_service")),
            ];
            (kind, labels)
        })
        .collect(),
        "gcp.storage-bucket" => vec![("gcs_bucket", vec![("bucket_name", id()), ("location", place())])],
        "gcp.function" => {
            let service = item.text("service").and_then(|text| text.rsplit('/').next()).unwrap_or(&item.id);
            vec![("cloud_function", vec![("function_name", id()), ("region", place())]), run_labels(service, "", item)]
        }
        "gcp.run-service" => vec![run_labels(&item.id, item.text("latest").unwrap_or_default(), item)],
        "gcp.run-revision" => vec![run_labels(of_service(item), &item.id, item)],
        "gcp.run-job" => vec![("cloud_run_job", vec![("job_name", id()), ("location", place())])],
        "gcp.sql-instance" => vec![(
            "cloudsql_database",
            vec![("database_id", format!("{}:{}", item.account, item.id)), ("region", place())],
        )],
        "gcp.gke-cluster" => vec![("k8s_cluster", vec![("cluster_name", id()), ("location", place())])],
        _ => Vec::new(),
    }
}

fn run_labels(service: &str, revision: &str, item: &Item) -> (&'static str, Vec<(&'static str, String)>) {
    let revision = if revision.is_empty() { format!("{service}-00001-abc") } else { revision.to_owned() };
    let labels = vec![
        ("service_name", service.to_owned()),
        ("configuration_name", service.to_owned()),
        ("revision_name", revision),
        ("location", item.region.clone()),
    ];
    ("cloud_run_revision", labels)
}

/// What a resource says day by day about one metric.
enum Days {
    Always(f64),
    /// Newest last.
    Listed(Vec<f64>),
}

fn days(item: &Item, metric: &str) -> Option<Days> {
    if item.flag("metrics_gap") == Some(true) {
        return None;
    }
    if item.kind == "gcp.storage-bucket" {
        let own = match metric {
            "storage.googleapis.com/storage/object_count" => item.int("objects"),
            "storage.googleapis.com/storage/total_bytes" => item.int("bytes"),
            _ => None,
        };
        if let Some(own) = own {
            return Some(Days::Always(own as f64));
        }
    }
    let metrics = item.keys.get("metrics")?;
    let said = |metric: &str| {
        metrics.get(metric).or_else(|| metrics.get(metric.split_once('/').map_or(metric, |(_, tail)| tail)))
    };
    // What a function of the second generation executes are the requests of the service it runs as.
    let second = item.kind == "gcp.function" && item.int("gen") != Some(1);
    let other = match metric {
        "run.googleapis.com/request_count" if second => Some("cloudfunctions.googleapis.com/function/execution_count"),
        "cloudfunctions.googleapis.com/function/execution_count" if second => Some("run.googleapis.com/request_count"),
        _ => None,
    };
    match said(metric).or_else(|| said(other?))? {
        Value::Array(values) => Some(Days::Listed(values.iter().filter_map(Value::as_f64).collect())),
        value => value.as_f64().map(Days::Always),
    }
}

impl Days {
    /// The value of the day that a time is in, by its distance from now.
    fn at(&self, now: i64, time: i64) -> Option<f64> {
        match self {
            Days::Always(value) => Some(*value),
            Days::Listed(values) => {
                let age = usize::try_from((now - time).max(0) / DAY).ok()?;
                values.len().checked_sub(age + 1).and_then(|at| values.get(at)).copied()
            }
        }
    }
}

/// The metric labels of a metric on a resource.
fn metric_labels(item: &Item, metric: &str) -> Labels {
    let pair = match metric {
        _ if metric.starts_with("storage.googleapis.com/storage/") => {
            ("storage_class", item.text_or("class", "REGIONAL"))
        }
        _ if metric.starts_with("compute.googleapis.com/instance/") => ("instance_name", item.id.clone()),
        _ if metric.ends_with("/postgresql/num_backends") => ("database", "app".to_owned()),
        _ if metric.starts_with("run.googleapis.com/request_count") => ("response_code", "200".to_owned()),
        _ if metric.ends_with("/function/execution_count") => ("status", "ok".to_owned()),
        _ => return Labels::new(),
    };
    Labels::from([(pair.0.to_owned(), pair.1)])
}

/// Whether a metric counts events, so that its points are sums, and whether its values are whole.
fn sort(metric: &str) -> (bool, bool) {
    // Counts of things that are there are no events.
    let standing = ["storage/object_count", "nat/allocated_ports", "nat/port_usage", "nat/open_connections"];
    let standing = standing.iter().any(|known| metric.ends_with(known));
    let delta = metric.ends_with("_count") && !standing;
    let whole = delta
        || standing
        || ["connections", "num_backends", "total_bytes", "bytes_used"].iter().any(|end| metric.ends_with(end));
    (delta, whole)
}

/// An enumeration's value, by its name or by its number.
fn named(text: Option<&str>, names: &[(&str, &'static str)]) -> Result<&'static str, WireError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(names[0].1) };
    let found = names.iter().find(|(number, name)| *number == text || *name == text);
    found.map(|found| found.1).ok_or_else(|| bad(format!("Invalid value {text:?}.")))
}

const ALIGNERS: &[(&str, &str)] = &[
    ("0", "ALIGN_NONE"),
    ("1", "ALIGN_DELTA"),
    ("2", "ALIGN_RATE"),
    ("4", "ALIGN_NEXT_OLDER"),
    ("10", "ALIGN_MIN"),
    ("11", "ALIGN_MAX"),
    ("12", "ALIGN_MEAN"),
    ("13", "ALIGN_COUNT"),
    ("14", "ALIGN_SUM"),
];

const REDUCERS: &[(&str, &str)] = &[
    ("0", "REDUCE_NONE"),
    ("1", "REDUCE_MEAN"),
    ("2", "REDUCE_MIN"),
    ("3", "REDUCE_MAX"),
    ("4", "REDUCE_SUM"),
    ("6", "REDUCE_COUNT"),
];

/// What a call asks for beside its filter.
struct Window {
    start: i64,
    end: i64,
    aligner: &'static str,
    period: i64,
    reducer: &'static str,
    by: Vec<String>,
}

fn window(req: &Req) -> Result<Window, WireError> {
    let time = |name: &str| -> Result<Option<i64>, WireError> {
        let wrong = || bad(format!("Field {name} had an invalid value."));
        req.param(name).map(|text| text.parse::<Timestamp>().map(Timestamp::as_second).map_err(|_| wrong())).transpose()
    };
    let end =
        time("interval.endTime")?.ok_or_else(|| bad("Field interval.endTime had an invalid value: it is required."))?;
    let start = time("interval.startTime")?.unwrap_or(end);
    if start > end {
        return Err(bad("Field interval.start_time had an invalid value: it is after the end."));
    }
    let aligner = named(req.param("aggregation.perSeriesAligner"), ALIGNERS)?;
    let reducer = named(req.param("aggregation.crossSeriesReducer"), REDUCERS)?;
    let period = req.param("aggregation.alignmentPeriod").and_then(|text| text.strip_suffix('s')?.parse::<f64>().ok());
    let period = match (aligner, period) {
        // Unaligned points are an hour apart here.
        ("ALIGN_NONE", _) => 3600,
        (_, Some(period)) if period >= 60.0 => period as i64,
        _ => {
            return Err(bad("Field aggregation.alignmentPeriod had an invalid value: it must be at least 60 seconds."));
        }
    };
    if aligner == "ALIGN_NONE" && reducer != "REDUCE_NONE" {
        return Err(bad("A reducer takes an aligner other than ALIGN_NONE."));
    }
    if (end - start) / period > MOST {
        return Err(bad("The interval has too many points."));
    }
    let by = req.all("aggregation.groupByFields").map(|field| field.replacen(".label.", ".labels.", 1)).collect();
    Ok(Window { start, end, aligner, period, reducer, by })
}

/// The points of a series in a window, aligned.
fn points(cloud: &Cloud, item: &Item, days: &Days, delta: bool, window: &Window) -> Result<Vec<(i64, f64)>, WireError> {
    let (now, created) = (cloud.now.as_second(), item.created.as_second());
    let samples = (window.period as f64 / 3600.0).max(1.0);
    let share = window.period as f64 / DAY as f64;
    let mut points = Vec::new();
    let mut end = window.end;
    while end > window.start {
        let start = end - window.period;
        // The value of the day that the period ends in.
        let value = (end <= now && end > created).then(|| days.at(now, end - 1)).flatten();
        if let Some(value) = value {
            let value = match (window.aligner, delta) {
                ("ALIGN_NEXT_OLDER" | "ALIGN_MIN" | "ALIGN_MAX" | "ALIGN_MEAN", false) => value,
                ("ALIGN_MIN" | "ALIGN_MAX" | "ALIGN_MEAN", true) => value * share / samples,
                ("ALIGN_SUM", false) => value * samples,
                ("ALIGN_SUM" | "ALIGN_DELTA", true) => value * share,
                ("ALIGN_RATE", true) => value / DAY as f64,
                ("ALIGN_COUNT", _) => samples,
                ("ALIGN_NONE", true) => value / 24.0,
                ("ALIGN_NONE", false) => value,
                (aligner, _) => {
                    return Err(bad(format!("The aligner {aligner} cannot be applied to metrics with this kind.")));
                }
            };
            points.push((end, value));
        }
        end = start;
    }
    Ok(points)
}

/// The series of a metric in a project that a filter lets through.
fn series(cloud: &Cloud, req: &Req, filter: &Filter, metric: &str, window: &Window) -> Result<Vec<Series>, WireError> {
    let (delta, whole) = sort(metric);
    let mut all = Vec::new();
    for kind in super::kinds() {
        for item in cloud.list_account(&req.account, kind.kind) {
            let Some(days) = days(item, metric).filter(|_| !req.is_lost(&item.region)) else { continue };
            for (resource, labels) in publishes(cloud, item) {
                let mut one = Series {
                    resource: resource.to_owned(),
                    resource_labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                    metric: metric.to_owned(),
                    metric_labels: metric_labels(item, metric),
                    delta,
                    whole,
                    points: Vec::new(),
                };
                one.resource_labels.insert("project_id".to_owned(), item.account.clone());
                if filter.fits(&one) {
                    one.points = points(cloud, item, &days, delta, window)?;
                    one.delta &= window.aligner != "ALIGN_RATE";
                    one.whole &= !matches!(window.aligner, "ALIGN_RATE" | "ALIGN_MEAN");
                    all.push(one);
                }
            }
        }
    }
    // A series without a point in the window is no series.
    all.retain(|one| !one.points.is_empty());
    Ok(all)
}

/// One series for each combination of the labels to group by.
fn reduced(all: Vec<Series>, window: &Window) -> Vec<Series> {
    if window.reducer == "REDUCE_NONE" {
        return all;
    }
    let mut groups: BTreeMap<Vec<Option<String>>, Vec<Series>> = BTreeMap::new();
    for one in all {
        let key = std::iter::once(Some(one.resource.clone()))
            .chain(window.by.iter().map(|field| one.field(field).map(str::to_owned)))
            .collect();
        groups.entry(key).or_default().push(one);
    }
    groups.into_values().filter_map(|group| joined(&group, window)).collect()
}

fn joined(group: &[Series], window: &Window) -> Option<Series> {
    let first = group.first()?;
    let kept = |labels: &Labels, start: &str| -> Labels {
        let kept = labels.iter().filter(|(name, _)| {
            (start == "resource.labels." && *name == "project_id")
                || window.by.iter().any(|field| field.strip_prefix(start) == Some(name.as_str()))
        });
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let mut times: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (end, value) in group.iter().flat_map(|one| &one.points) {
        times.entry(*end).or_default().push(*value);
    }
    let one = |values: &[f64]| match window.reducer {
        "REDUCE_MEAN" => values.iter().sum::<f64>() / values.len() as f64,
        "REDUCE_MIN" => values.iter().copied().fold(f64::INFINITY, f64::min),
        "REDUCE_MAX" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "REDUCE_COUNT" => values.len() as f64,
        _ => values.iter().sum(),
    };
    Some(Series {
        resource_labels: kept(&first.resource_labels, "resource.labels."),
        metric_labels: kept(&first.metric_labels, "metric.labels."),
        points: times.iter().rev().map(|(end, values)| (*end, one(values))).collect(),
        ..first.clone()
    })
}

/// The part of a series' JSON that is not its points.
fn head(one: &Series, whole: bool) -> Value {
    json!({
        "metric": { "type": one.metric, "labels": one.metric_labels },
        "resource": { "type": one.resource, "labels": one.resource_labels },
        "metricKind": if one.delta { "DELTA" } else { "GAUGE" },
        "valueType": if whole { "INT64" } else { "DOUBLE" },
    })
}

fn point(one: &Series, at: usize, whole: bool, period: i64) -> Option<Value> {
    let (end, value) = *one.points.get(at)?;
    let time = |at: i64| {
        let at = Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH);
        at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    };
    // A point of a gauge has no extent until it is aligned to one.
    let start = if one.delta { end - period } else { end };
    let value = if whole { json!({ "int64Value": format!("{value:.0}") }) } else { json!({ "doubleValue": value }) };
    Some(json!({ "interval": { "startTime": time(start), "endTime": time(end) }, "value": value }))
}

fn list(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let filter = parsed(req.param("filter").unwrap_or_default())?;
    let metric = filter.metric().ok_or_else(|| bad("The filter must specify a single metric type."))?;
    let window = window(req)?;
    let all = reduced(series(cloud, req, &filter, metric, &window)?, &window);
    let headers = named(req.param("view"), &[("0", "FULL"), ("1", "HEADERS")])? == "HEADERS";
    let most = match req.param("pageSize") {
        None | Some("" | "0") => PAGE,
        Some(text) => text.parse::<usize>().map_err(|_| bad("Field page_size had an invalid value."))?.min(PAGE),
    };
    // A page is of so many points, or of so many series with headers alone. The options' cap is of series.
    let positions: Vec<(usize, usize)> = all
        .iter()
        .enumerate()
        .flat_map(|(at, one)| (0..if headers { 1 } else { one.points.len() }).map(move |point| (at, point)))
        .collect();
    let token = req.param("pageToken");
    let wrong = |_| bad("Field page_token had an invalid value.");
    let (rest, _) = crate::page::page(&positions, None, token, None).map_err(wrong)?;
    let first = rest.first().map_or(0, |(at, _)| *at);
    let cap = cloud.page.map_or(usize::MAX, |cap| first.saturating_add(cap.max(1)));
    let fits = rest.iter().take_while(|(at, _)| *at < cap).count().min(most);
    let (part, next) = crate::page::page(&positions, Some(fits), token, None).map_err(wrong)?;
    let mut shown: Vec<(usize, Value)> = Vec::new();
    for (at, nth) in part {
        let Some(one) = all.get(at) else { continue };
        let whole = one.whole && one.points.iter().all(|(_, value)| value.fract() == 0.0);
        if shown.last().is_none_or(|(last, _)| *last != at) {
            shown.push((at, head(one, whole)));
        }
        if let (false, Some((_, series)), Some(point)) =
            (headers, shown.last_mut(), point(one, nth, whole, window.period))
        {
            match &mut series["points"] {
                Value::Array(points) => points.push(point),
                other => *other = json!([point]),
            }
        }
    }
    let shown: Vec<Value> = shown.into_iter().map(|(_, series)| series).collect();
    // What could not be read is told as an error of the query too, which older clients know.
    let errors: Vec<Value> = req
        .lost
        .iter()
        .map(|place| json!({ "code": 14, "message": format!("The data of {place} could not be read.") }))
        .collect();
    Ok(Reply::Value(super::shape::lean(json!({
        "timeSeries": shown,
        "nextPageToken": next,
        "executionErrors": errors,
        "unreachable": req.lost,
    }))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one() -> Series {
        let labels = |name: &str, value: &str| Labels::from([(name.to_owned(), value.to_owned())]);
        Series {
            resource: "gce_instance".to_owned(),
            resource_labels: labels("zone", "us-central1-a"),
            metric: "a.googleapis.com/b".to_owned(),
            metric_labels: labels("database", "app \"x\""),
            points: vec![(200, 1.0), (100, 2.0)],
            ..Series::default()
        }
    }

    #[test]
    fn filters() {
        for (text, fits) in [
            (r#"metric.type="a.googleapis.com/b""#, true),
            (r#"metric.type = "a.googleapis.com/b" AND resource.type = "gcs_bucket""#, false),
            (r#"metric.type = "a.googleapis.com/b" resource.label.zone = "us-central1-a""#, true),
            (r#"metric.type = "a.googleapis.com/b" AND resource.labels.zone != "us-central1-a""#, false),
            (r#"metric.type = "a.googleapis.com/b" AND metric.labels.database = "app \"x\"""#, true),
            (r#"metric.type = "a.googleapis.com/b" AND NOT metric.labels.database = has_substring("x")"#, false),
            (r#"metric.type = "a.googleapis.com/b" AND resource.labels.zone = one_of("x", "us-central1-a")"#, true),
            (
                r#"metric.type = "a.googleapis.com/b" AND (resource.labels.zone = "x" OR resource.labels.zone = starts_with("us"))"#,
                true,
            ),
            (r#"metric.type = "a.googleapis.com/b" AND resource.labels.none = "x""#, false),
        ] {
            let filter = parsed(text).unwrap();
            assert_eq!((filter.metric(), filter.fits(&one())), (Some("a.googleapis.com/b"), fits), "{text}");
        }
        let deep = format!("{}a = \"b\"{}", "(".repeat(5000), ")".repeat(5000));
        for wrong in ["", "a", "a =", "a = \"b", "a = \"b\")", "= \"b\"", "a = f(\"b\")", "a = one_of(", "(", &deep] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parsed("resource.type = \"x\"").unwrap().metric(), None);
        assert_eq!(parsed("metric.type = \"x\" OR metric.type = \"y\"").unwrap().metric(), None);
    }

    #[test]
    fn series_are_joined_by_labels() {
        let window = |reducer, by: &[&str]| Window {
            start: 0,
            end: 200,
            aligner: "ALIGN_SUM",
            period: 100,
            reducer,
            by: by.iter().map(|field| (*field).to_owned()).collect(),
        };
        let mut other = one();
        other.metric_labels.insert("database".to_owned(), "more".to_owned());
        other.points = vec![(200, 5.0)];
        let all = vec![one(), other];
        let sums = reduced(all.clone(), &window("REDUCE_SUM", &["resource.labels.zone"]));
        assert_eq!(sums.len(), 1);
        assert_eq!((&sums[0].points, sums[0].metric_labels.len()), (&vec![(200, 6.0), (100, 2.0)], 0));
        assert_eq!(reduced(all.clone(), &window("REDUCE_MAX", &["metric.labels.database"])).len(), 2);
        assert_eq!(reduced(all.clone(), &window("REDUCE_MAX", &[]))[0].points, [(200, 5.0), (100, 2.0)]);
        assert_eq!(reduced(all.clone(), &window("REDUCE_NONE", &[])), all);
    }
}
