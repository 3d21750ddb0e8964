//! Usage by Azure Monitor's `metrics:getBatch`: up to 50 resources of one region and namespace a call, daily points
//! over whole UTC days.

use crate::{
    arm::{self, Auth, Azure},
    transport::{Request, Service},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use sweeper_core::{
    answers::{Answer, Ask, Question, Usage},
    calls::Site,
    facts::FactsRef,
    inventory::{Inventory, Resource},
    kind::{CloudError, Fault},
    model::{DAY, Timestamp},
};
use url::Url;

pub(crate) const OP: &str = "Microsoft.Insights/metrics/read";
const API: &str = "2024-02-01";

/// Resources a call may name (Azure Monitor, "Metrics Batch").
const MOST: usize = 50;

/// How the series of one ask become one number a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Combine {
    /// The highest of the series.
    Max,
    /// Their sum.
    Sum,
    /// The newest value of each, summed: sizes.
    LatestSum,
}

/// Which of a point's values counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aggregation {
    Maximum,
    Total,
    Average,
}

impl Aggregation {
    const fn name(self) -> &'static str {
        match self {
            Self::Maximum => "maximum",
            Self::Total => "total",
            Self::Average => "average",
        }
    }
}

/// The series that answer one ask.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Measure {
    /// `Microsoft.Compute/virtualMachines`
    pub(crate) namespace: &'static str,
    /// Metric names, all of one aggregation: `Network In Total`.
    pub(crate) metrics: &'static [&'static str],
    pub(crate) aggregation: Aggregation,
    pub(crate) combine: Combine,
    /// The service publishes nothing on days without use, so a complete answer without a point is a zero, for the
    /// days on which the resource existed.
    pub(crate) sparse: bool,
}

struct Wanted {
    ask: Ask,
    id: String,
    created: Option<Timestamp>,
}

/// What one call can tell together: region, measure and window.
type Batch = (String, Measure, u16);

#[derive(Serialize)]
struct Ids<'a> {
    resourceids: Vec<&'a str>,
}

#[derive(Deserialize)]
struct Batched {
    values: Vec<Of>,
}

#[derive(Deserialize)]
struct Of {
    #[serde(alias = "resourceId")]
    resourceid: String,
    value: Vec<Metric>,
}

#[derive(Deserialize)]
struct Metric {
    name: Name,
    #[serde(rename = "errorCode", default)]
    error: Option<String>,
    timeseries: Vec<Series>,
}

#[derive(Deserialize)]
struct Name {
    value: String,
}

#[derive(Deserialize)]
struct Series {
    data: Vec<Point>,
}

#[derive(Deserialize)]
struct Point {
    #[serde(rename = "timeStamp")]
    at: String,
    #[serde(default)]
    maximum: Option<f64>,
    #[serde(default)]
    total: Option<f64>,
    #[serde(default)]
    average: Option<f64>,
}

/// Daily values of one series, by the day's start.
type Days = BTreeMap<i64, f64>;

/// Answers the usage questions among `asks`; `measure` says which series each one is, or `None` when the kind has no
/// such measure (the ask is then left unanswered). A call that fails is the answer to what it would have told.
pub(crate) async fn answer(
    azure: &Azure,
    site: &Site,
    inventory: &Inventory,
    asks: &[Ask],
    measure: impl Fn(Resource<'_>, Question) -> Option<Measure>,
) -> Vec<(Ask, Answer)> {
    let mut batches: BTreeMap<Batch, Vec<Wanted>> = BTreeMap::new();
    for ask in asks {
        let Question::Usage { days, .. } = ask.question else { continue };
        let resource = inventory.at(ask.resource);
        if let Some(measure) = measure(resource, ask.question) {
            let wanted = Wanted { ask: *ask, id: resource.native_id().to_owned(), created: since(resource) };
            batches.entry((resource.region().to_owned(), measure, days)).or_default().push(wanted);
        }
    }
    let mut answers = Vec::new();
    let mut failed: Option<CloudError> = None;
    for ((region, measure, days), wanted) in &batches {
        for part in wanted.chunks(MOST) {
            let told = match &failed {
                Some(error) => Err(error.clone()),
                None => ask(azure, site, region, measure, *days, part).await,
            };
            match told {
                Ok(told) => answers.extend(told),
                Err(error) => {
                    answers.extend(part.iter().map(|one| (one.ask, Answer::Unseen(error.cause()))));
                    // What is denied or out of time here is so for all; a region that fails says nothing of the next.
                    if matches!(
                        error.fault,
                        Fault::Denied | Fault::Unauthenticated | Fault::OutOfTime | Fault::Cancelled
                    ) {
                        failed = Some(error);
                    }
                }
            }
        }
    }
    answers
}

/// Since when a resource is known to have existed. Apps do not tell their creation, but existed when they were last
/// changed.
fn since(resource: Resource<'_>) -> Option<Timestamp> {
    let modified = match resource.facts() {
        FactsRef::Function(function) => function.last_modified,
        _ => None,
    };
    resource.created().or(modified)
}

async fn ask(
    azure: &Azure,
    site: &Site,
    region: &str,
    measure: &Measure,
    days: u16,
    wanted: &[Wanted],
) -> Result<Vec<(Ask, Answer)>, CloudError> {
    let end = site.clock().wall().0.div_euclid(DAY) * DAY;
    let start = end - i64::from(days) * DAY;
    let refused = |said: &str| CloudError::new(Fault::Refused, OP, said);
    if region.is_empty() || !region.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-') {
        return Err(refused("no region is told"));
    }
    let subscription = &site.scope().account;
    let host = azure.transport.hosts().metrics;
    let mut url = Url::parse(&format!("https://{region}{host}/subscriptions/{subscription}/metrics:getBatch"))
        .map_err(|_| refused("not a URL"))?;
    url.query_pairs_mut()
        .append_pair("starttime", &Timestamp(start).to_string())
        .append_pair("endtime", &Timestamp(end).to_string())
        .append_pair("interval", "P1D")
        .append_pair("metricnamespace", measure.namespace)
        .append_pair("metricnames", &measure.metrics.join(","))
        .append_pair("aggregation", measure.aggregation.name())
        .append_pair("api-version", API);
    // A plus is no space to every server.
    let query = url.query().unwrap_or_default().replace('+', "%20");
    url.set_query(Some(&query));
    let body = arm::json(OP, &Ids { resourceids: wanted.iter().map(|one| one.id.as_str()).collect() })?;
    let reply = azure.send(site, OP, Request::post(Service::Monitor, url, body), Auth::Service).await?;
    let told: Batched = arm::parsed(OP, &reply.body)?;
    let told: BTreeMap<String, Of> =
        told.values.into_iter().map(|of| (of.resourceid.to_ascii_lowercase(), of)).collect();
    Ok(wanted
        .iter()
        .map(|one| {
            let answer = match told.get(&one.id.to_ascii_lowercase()) {
                Some(of) => read(of, measure, one.created, start, days),
                // A resource that the answer does not speak of was not read.
                None => Answer::Unseen(format!("{} {OP}", Fault::Malformed.word())),
            };
            (one.ask, answer)
        })
        .collect())
}

/// One resource's series as one answer.
fn read(of: &Of, measure: &Measure, created: Option<Timestamp>, start: i64, days: u16) -> Answer {
    let mut series: Vec<Days> = Vec::new();
    for name in measure.metrics {
        let Some(metric) = of.value.iter().find(|metric| metric.name.value.eq_ignore_ascii_case(name)) else {
            return Answer::Unseen(format!("{} {OP}", Fault::Malformed.word()));
        };
        if metric.error.as_deref().is_some_and(|code| !code.eq_ignore_ascii_case("Success")) {
            return Answer::Unseen(format!("{} {OP}", Fault::Transient.word()));
        }
        let mut values = Days::new();
        for point in metric.timeseries.iter().flat_map(|series| &series.data) {
            let value = match measure.aggregation {
                Aggregation::Maximum => point.maximum,
                Aggregation::Total => point.total,
                Aggregation::Average => point.average,
            };
            let (Some(value), Some(at)) = (value, Timestamp::parse(&point.at)) else { continue };
            let day = at.0.div_euclid(DAY) * DAY;
            let known = values.entry(day).or_insert(0.0);
            *known = if measure.combine == Combine::Max { known.max(value) } else { *known + value };
        }
        series.push(values);
    }
    Answer::Usage(combined(measure, &series, created, start, days))
}

fn combined(measure: &Measure, series: &[Days], created: Option<Timestamp>, start: i64, days: u16) -> Usage {
    if measure.combine == Combine::LatestSum {
        let latest: Vec<f64> = series.iter().filter_map(|days| days.values().next_back().copied()).collect();
        let sum: f64 = latest.iter().sum();
        let covered = if latest.len() < series.len() { 0 } else { days };
        return Usage { max: sum, sum, covered, days, last_above_zero: None };
    }
    let mut usage = Usage { max: 0.0, sum: 0.0, covered: 0, days, last_above_zero: None };
    for day in (0..i64::from(days)).map(|nth| start + nth * DAY) {
        let values: Vec<f64> = series.iter().filter_map(|days| days.get(&day).copied()).collect();
        if values.len() < series.len() && !measure.sparse {
            // A day on which one of several was not measured is a day without data; what was seen still shows use.
            let seen = values.iter().copied().fold(0.0, f64::max);
            usage.max = usage.max.max(seen);
            continue;
        }
        if values.is_empty() {
            usage.covered += u16::from(created.is_some_and(|created| created.0 <= day));
            continue;
        }
        let value = match measure.combine {
            Combine::Max => values.iter().copied().fold(0.0, f64::max),
            Combine::Sum | Combine::LatestSum => values.iter().sum(),
        };
        usage.covered += 1;
        usage.sum += value;
        usage.max = usage.max.max(value);
        if value > 0.0 {
            usage.last_above_zero = Some(Timestamp(day));
        }
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEASURE: Measure = Measure {
        namespace: "Microsoft.Compute/virtualMachines",
        metrics: &["Network In Total", "Network Out Total"],
        aggregation: Aggregation::Total,
        combine: Combine::Sum,
        sparse: false,
    };

    fn of(text: &str) -> Of {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn days_without_data_are_not_covered() {
        let answered = of(r#"{"resourceid":"/x","value":[
            {"name":{"value":"Network In Total"},"errorCode":"Success","timeseries":[{"data":[
                {"timeStamp":"1970-01-01T00:00:00Z","total":5.0},{"timeStamp":"1970-01-02T00:00:00Z"}]}]},
            {"name":{"value":"Network Out Total"},"errorCode":"Success","timeseries":[{"data":[
                {"timeStamp":"1970-01-01T00:00:00Z","total":2.0},{"timeStamp":"1970-01-02T00:00:00Z","total":1.0}]}]}]}"#);
        let Answer::Usage(usage) = read(&answered, &MEASURE, None, 0, 2) else { panic!() };
        assert_eq!((usage.max, usage.sum, usage.covered, usage.days), (7.0, 7.0, 1, 2));
    }

    #[test]
    fn a_failed_series_is_unseen() {
        let answered = of(r#"{"resourceid":"/x","value":[
            {"name":{"value":"Network In Total"},"errorCode":"InternalServerError","timeseries":[]}]}"#);
        assert!(matches!(read(&answered, &MEASURE, None, 0, 2), Answer::Unseen(_)));
        assert!(matches!(read(&of(r#"{"resourceid":"/x","value":[]}"#), &MEASURE, None, 0, 2), Answer::Unseen(_)));
    }

    #[test]
    fn a_sparse_series_is_zero_while_the_resource_existed() {
        let measure = Measure { sparse: true, ..MEASURE };
        let usage = combined(&measure, &[Days::new(), Days::new()], Some(Timestamp(DAY)), 0, 3);
        assert_eq!((usage.covered, usage.max), (2, 0.0));
    }
}
