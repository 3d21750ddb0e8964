//! Usage by `GetMetricData`: up to 500 series a call, daily points over whole UTC days.

use crate::{auth::Aws, fault};
use aws_sdk_cloudwatch::types::{Dimension, Metric as Series, MetricDataQuery, MetricStat, ScanBy, StatusCode};
use std::collections::BTreeMap;
use sweeper_core::{
    answers::{Answer, Ask, Question, Usage},
    calls::{Pages, Price, Site},
    facts::FactsRef,
    inventory::{Inventory, Resource},
    kind::CloudError,
    model::{DAY, Timestamp},
    money::Amount,
};

pub(crate) const OP: &str = "cloudwatch:GetMetricData";

/// Queries a call may carry (CloudWatch API reference, GetMetricData).
const MOST: usize = 500;

/// US dollars per thousand metrics asked (CloudWatch pricing page, us-east-1, GetMetricData).
fn price(metrics: usize) -> Price {
    Price::PerThousand { usd: Amount::from_pico(10_000_000_000), units: metrics as u64 }
}

/// How the series of one ask become one number a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Combine {
    /// The highest of the series.
    Max,
    /// Their sum.
    Sum,
    /// The newest value of each, summed: sizes, which are published once a day.
    LatestSum,
}

/// One series: `(namespace, metric, dimensions, statistic)`.
pub(crate) type Line = (&'static str, &'static str, Vec<(&'static str, String)>, &'static str);

/// The series that answer one ask.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    pub(crate) series: Vec<Line>,
    pub(crate) combine: Combine,
    /// The service publishes nothing on days without use (Lambda Invocations, ALB RequestCount), so a
    /// complete answer without a point is a zero, for the days on which the resource existed.
    pub(crate) sparse: bool,
}

struct Wanted {
    ask: Ask,
    days: u16,
    measure: Measure,
    created: Option<Timestamp>,
}

/// Answers the usage questions among `asks`; `measure` says which series each one is, or `None` when the
/// kind has no such measure (the ask is then left unanswered). A call that fails is the answer to all that it
/// and the calls after it would have told, and takes nothing from what is known already.
pub(crate) async fn answer(
    aws: &Aws,
    site: &Site,
    inventory: &Inventory,
    asks: &[Ask],
    measure: impl Fn(Resource<'_>, Question) -> Option<Measure>,
) -> Vec<(Ask, Answer)> {
    let mut by_days: BTreeMap<u16, Vec<Wanted>> = BTreeMap::new();
    for ask in asks {
        let Question::Usage { days, .. } = ask.question else { continue };
        let resource = inventory.at(ask.resource);
        if let Some(measure) = measure(resource, ask.question) {
            by_days.entry(days).or_default().push(Wanted { ask: *ask, days, measure, created: since(resource) });
        }
    }
    let mut batches: Vec<Vec<&Wanted>> = Vec::new();
    for wanted in by_days.values() {
        // Full, so that each window begins a batch of its own: a call has one.
        let mut series = MOST + 1;
        for one in wanted {
            series += one.measure.series.len();
            match batches.last_mut() {
                Some(batch) if series <= MOST => batch.push(one),
                _ => {
                    series = one.measure.series.len();
                    batches.push(vec![one]);
                }
            }
        }
    }
    let mut answers = Vec::new();
    let mut failed: Option<CloudError> = None;
    for batch in &batches {
        if failed.is_none() {
            failed = ask(aws, site, batch, &mut answers).await.err();
        }
        if let Some(error) = &failed {
            answers.extend(batch.iter().map(|one| (one.ask, Answer::Unseen(error.cause()))));
        }
    }
    answers
}

/// Since when a resource is known to have existed. Functions do not tell their creation, but existed when
/// they were last changed.
fn since(resource: Resource<'_>) -> Option<Timestamp> {
    let modified = match resource.facts() {
        FactsRef::Function(function) => function.last_modified,
        _ => None,
    };
    resource.created().or(modified)
}

/// Daily values of one series, by the day's start.
type Days = BTreeMap<i64, f64>;

async fn ask(aws: &Aws, site: &Site, batch: &[&Wanted], answers: &mut Vec<(Ask, Answer)>) -> Result<(), CloudError> {
    let Some(days) = batch.first().map(|one| i64::from(one.days)) else { return Ok(()) };
    let end = site.clock().wall().0.div_euclid(DAY) * DAY;
    let start = end - days * DAY;
    let mut queries = Vec::new();
    for (at, one) in batch.iter().enumerate() {
        for (nth, (namespace, metric, dimensions, stat)) in one.measure.series.iter().enumerate() {
            let dimensions =
                dimensions.iter().map(|(name, value)| Dimension::builder().name(*name).value(value).build()).collect();
            let series =
                Series::builder().namespace(*namespace).metric_name(*metric).set_dimensions(Some(dimensions)).build();
            let stat = MetricStat::builder().metric(series).period(DAY as i32).stat(*stat).build();
            queries.push(
                MetricDataQuery::builder().id(format!("m{at}_{nth}")).metric_stat(stat).return_data(true).build(),
            );
        }
    }
    let cloudwatch = aws.cloudwatch(site.scope());
    let time = aws_smithy_types::DateTime::from_secs;
    let mut points: BTreeMap<String, Days> = BTreeMap::new();
    let mut failed: BTreeMap<String, String> = BTreeMap::new();
    let mut pages = Pages::new(OP);
    while let Some(token) = pages.next() {
        let page = fault::paid(site, OP, price(queries.len()), || {
            cloudwatch
                .get_metric_data()
                .set_metric_data_queries(Some(queries.clone()))
                .start_time(time(start))
                .end_time(time(end))
                .scan_by(ScanBy::TimestampAscending)
                .set_next_token(token.clone())
                .send()
        })
        .await?;
        for result in page.metric_data_results() {
            let Some(id) = result.id() else { continue };
            if let Some(StatusCode::InternalError | StatusCode::Forbidden) = result.status_code() {
                failed.insert(id.to_owned(), format!("failing: {OP}"));
            } else {
                let days = points.entry(id.to_owned()).or_default();
                for (at, value) in result.timestamps().iter().zip(result.values()) {
                    days.insert(at.secs().div_euclid(DAY) * DAY, *value);
                }
            }
        }
        pages.seen(page.next_token())?;
    }
    for (at, one) in batch.iter().enumerate() {
        let ids: Vec<String> = (0..one.measure.series.len()).map(|nth| format!("m{at}_{nth}")).collect();
        if let Some(cause) = ids.iter().find_map(|id| failed.get(id)) {
            answers.push((one.ask, Answer::Unseen(cause.clone())));
        } else if ids.iter().any(|id| !points.contains_key(id)) {
            // A series the answer does not speak of was not read.
            answers.push((one.ask, Answer::Unseen(format!("malformed answer of {OP}"))));
        } else {
            let series: Vec<&Days> = ids.iter().filter_map(|id| points.get(id)).collect();
            answers.push((one.ask, Answer::Usage(combined(one, &series, start))));
        }
    }
    Ok(())
}

fn combined(one: &Wanted, series: &[&Days], start: i64) -> Usage {
    if one.measure.combine == Combine::LatestSum {
        let latest: Vec<f64> = series.iter().filter_map(|days| days.values().next_back().copied()).collect();
        let sum: f64 = latest.iter().sum();
        let covered = if latest.is_empty() { 0 } else { one.days };
        return Usage { max: sum, sum, covered, days: one.days, last_above_zero: None };
    }
    let mut usage = Usage { max: 0.0, sum: 0.0, covered: 0, days: one.days, last_above_zero: None };
    for day in (0..i64::from(one.days)).map(|nth| start + nth * DAY) {
        let values: Vec<f64> = series.iter().filter_map(|days| days.get(&day).copied()).collect();
        let existed = one.created.is_some_and(|created| created.0 <= day);
        let value = match one.measure.combine {
            _ if values.is_empty() => {
                usage.covered += u16::from(one.measure.sparse && existed);
                continue;
            }
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
