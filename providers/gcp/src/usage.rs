//! Usage by Monitoring's `timeSeries.list`: one query a metric for all resources of a kind in a project, aligned to
//! whole UTC days and grouped by the label that names the resource. Joined by immutable id wherever there is one:
//! names are used again.

use crate::{auth::Gcp, fault};
use google_cloud_monitoring_v3::model::{
    Aggregation, TimeInterval, TimeSeries,
    aggregation::{Aligner, Reducer},
    list_time_series_request::TimeSeriesView,
    typed_value::Value,
};
use std::collections::{BTreeMap, BTreeSet};
use sweeper_core::{
    answers::{Answer, Ask, Question, Usage},
    calls::{Pages, Price, Site},
    facts::FactsRef,
    inventory::{Inventory, Resource},
    kind::{CloudError, Fault},
    model::{DAY, Timestamp},
    money::Amount,
};

pub(crate) const OP: &str = "monitoring.timeSeries.list";

/// Points a page may have ("timeSeries.list", Monitoring API v3).
const PAGE: i32 = 100_000;

/// US dollars per thousand read calls beyond the free million a month (Google Cloud Observability pricing).
const PRICE: Price = Price::PerThousand { usd: Amount::from_pico(10_000_000_000), units: 1 };

/// How the points of one day become one, and the series of one resource become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Daily {
    /// The highest.
    Max,
    /// Their sum (deltas).
    Sum,
    /// The newest of the day of each series, summed: sizes.
    Latest,
}

/// One query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    /// `compute.googleapis.com/instance/cpu/utilization`.
    pub(crate) metric: &'static str,
    /// The monitored resource type: `gce_instance`.
    pub(crate) resource: &'static str,
    /// Labels that name the resource, as fields to group by: `resource.label.instance_id`.
    pub(crate) by: &'static [&'static str],
    pub(crate) daily: Daily,
    /// One unit of the measure in units of the metric: 100 for percent of a fraction.
    pub(crate) scale: u16,
    /// What else the filter says: `metric.labels.database != \"cloudsqladmin\"`; empty for nothing.
    pub(crate) only: &'static str,
}

impl Line {
    /// A line to build others from.
    pub(crate) const PLAIN: Self = Self { metric: "", resource: "", by: &[], daily: Daily::Sum, scale: 1, only: "" };
}

/// How the lines of one measure become one number a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Combine {
    Max,
    Sum,
    /// The newest value, whatever its day: sizes.
    LatestSum,
}

/// The queries that answer one ask, and the values of the labels that name its resource.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    pub(crate) lines: &'static [Line],
    /// Of `Line::by`, in that order.
    pub(crate) key: Vec<String>,
    pub(crate) combine: Combine,
    /// The service tells nothing of days without use (requests, executions), so a complete answer without a point is
    /// a zero, for the days on which the resource existed.
    pub(crate) sparse: bool,
}

/// Values by day's start.
type Days = BTreeMap<i64, f64>;
/// By the values of the labels that were grouped by.
type Series = BTreeMap<Vec<String>, Days>;

/// Answers the usage questions among `asks`; `measure` says which lines each one is, or `None` when the kind has no
/// such measure (the ask is then left unanswered). A query that fails is the answer to those that needed it only.
pub(crate) async fn answer(
    gcp: &Gcp,
    site: &Site,
    inventory: &Inventory,
    asks: &[Ask],
    measure: impl Fn(Resource<'_>, Question) -> Option<Measure>,
) -> Vec<(Ask, Answer)> {
    let mut wanted = Vec::new();
    let mut queries: BTreeSet<(u16, &'static Line)> = BTreeSet::new();
    for ask in asks {
        let Question::Usage { days, .. } = ask.question else { continue };
        if let Some(measure) = measure(inventory.at(ask.resource), ask.question) {
            queries.extend(measure.lines.iter().map(|line| (days, line)));
            wanted.push((*ask, days, measure, since(inventory.at(ask.resource))));
        }
    }
    let end = site.clock().wall().0.div_euclid(DAY) * DAY;
    let mut told: BTreeMap<(u16, &'static Line), Result<Series, CloudError>> = BTreeMap::new();
    for (days, line) in queries {
        let series = query(gcp, site, line, end - i64::from(days) * DAY, end).await;
        told.insert((days, line), series);
    }
    let answers = wanted.into_iter().map(|(ask, days, measure, existed)| {
        let mut lines = Vec::new();
        for line in measure.lines {
            match told.get(&(days, line)) {
                Some(Ok(series)) => lines.push(series.get(&measure.key)),
                Some(Err(error)) => return (ask, Answer::Unseen(error.cause())),
                None => return (ask, Answer::Unseen(format!("{} {OP}", Fault::Malformed.word()))),
            }
        }
        (ask, Answer::Usage(combined(&lines, &measure, existed, days, end)))
    });
    answers.collect()
}

async fn query(gcp: &Gcp, site: &Site, line: &Line, start: i64, end: i64) -> Result<Series, CloudError> {
    let client = gcp.metrics(OP).await?;
    let time = |at: i64| wkt::Timestamp::clamp(at, 0);
    let aligner = match line.daily {
        Daily::Max => Aligner::AlignMax,
        Daily::Sum => Aligner::AlignSum,
        Daily::Latest => Aligner::AlignNextOlder,
    };
    let reducer = if line.daily == Daily::Max { Reducer::ReduceMax } else { Reducer::ReduceSum };
    let aggregation = Aggregation::new()
        .set_alignment_period(wkt::Duration::clamp(DAY, 0))
        .set_per_series_aligner(aligner)
        .set_cross_series_reducer(reducer)
        .set_group_by_fields(line.by.iter().copied());
    let interval = TimeInterval::new().set_start_time(time(start)).set_end_time(time(end));
    let mut filter = format!("metric.type = \"{}\" AND resource.type = \"{}\"", line.metric, line.resource);
    if !line.only.is_empty() {
        filter.push_str(" AND ");
        filter.push_str(line.only);
    }
    let name = format!("projects/{}", site.scope().account);
    let mut series = Series::new();
    let mut pages = Pages::new(OP);
    while let Some(token) = pages.next() {
        let page = fault::paid(site, OP, PRICE, || {
            client
                .list_time_series()
                .set_name(&name)
                .set_filter(&filter)
                .set_interval(interval.clone())
                .set_aggregation(aggregation.clone())
                .set_view(TimeSeriesView::Full)
                .set_page_size(PAGE)
                .set_page_token(token.clone().unwrap_or_default())
                .send()
        })
        .await?;
        if !page.execution_errors.is_empty() {
            // Part of the data was not read: what is missing is not zero.
            return Err(CloudError::new(Fault::Transient, OP, "part of the series could not be read"));
        }
        for one in &page.time_series {
            let Some(key) = key(one, line) else {
                return Err(CloudError::new(Fault::Malformed, OP, "a series without the labels that were asked for"));
            };
            gather(one, line, series.entry(key).or_default());
        }
        pages.seen(Some(&page.next_page_token))?;
    }
    Ok(series)
}

/// The values of the labels grouped by.
fn key(series: &TimeSeries, line: &Line) -> Option<Vec<String>> {
    line.by
        .iter()
        .map(|field| {
            let (whose, label) = field.split_once(".label.")?;
            let labels = match whose {
                "resource" => &series.resource.as_ref()?.labels,
                _ => &series.metric.as_ref()?.labels,
            };
            labels.get(label).cloned()
        })
        .collect()
}

fn gather(series: &TimeSeries, line: &Line, days: &mut Days) {
    for point in &series.points {
        // An aligned point ends at the end of its day.
        let Some(end) = point.interval.as_ref().and_then(|interval| interval.end_time.as_ref()) else { continue };
        let value = match point.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::DoubleValue(value)) => *value,
            Some(Value::Int64Value(value)) => *value as f64,
            Some(Value::BoolValue(value)) => f64::from(u8::from(*value)),
            // Distributions are told by their mean and count; only the count is a use.
            Some(Value::DistributionValue(value)) => value.count as f64,
            _ => continue,
        };
        let day = (end.seconds() - 1).div_euclid(DAY) * DAY;
        let value = value * f64::from(line.scale);
        days.entry(day)
            .and_modify(|known| *known = if line.daily == Daily::Max { known.max(value) } else { *known + value })
            .or_insert(value);
    }
}

/// Since when a resource is known to have existed: what does not tell its creation did when it was last changed.
fn since(resource: Resource<'_>) -> Option<Timestamp> {
    let modified = match resource.facts() {
        FactsRef::Function(function) => function.last_modified,
        _ => None,
    };
    resource.created().or(modified)
}

fn combined(lines: &[Option<&Days>], measure: &Measure, existed: Option<Timestamp>, days: u16, end: i64) -> Usage {
    let combine = measure.combine;
    let mut usage = Usage { max: 0.0, sum: 0.0, covered: 0, days, last_above_zero: None };
    if combine == Combine::LatestSum {
        let latest: Vec<f64> = lines.iter().flatten().filter_map(|days| days.values().next_back().copied()).collect();
        let sum: f64 = latest.iter().sum();
        return Usage { max: sum, sum, covered: if latest.is_empty() { 0 } else { days }, ..usage };
    }
    let start = end - i64::from(days) * DAY;
    for day in (0..i64::from(days)).map(|nth| start + nth * DAY) {
        let values: Vec<Option<f64>> = lines.iter().map(|line| line.and_then(|days| days.get(&day).copied())).collect();
        let known: Vec<f64> = values.iter().copied().flatten().collect();
        let value = match combine {
            Combine::Max => known.iter().copied().fold(0.0, f64::max),
            Combine::Sum | Combine::LatestSum => known.iter().sum(),
        };
        // A day of which one part is missing is not known to be quiet.
        let none_is_zero = measure.sparse && existed.is_some_and(|since| since.0 <= day);
        usage.covered += u16::from(none_is_zero || (!known.is_empty() && known.len() == values.len()));
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

    #[test]
    fn missing_data_is_not_zero() {
        let end = 10 * DAY;
        let full: Days = (0..10).map(|day| (day * DAY, 2.0)).collect();
        let part: Days = (0..4).map(|day| (day * DAY, 1.0)).collect();
        let of = |lines: &[Option<&Days>], combine, sparse, since: i64| {
            let measure = Measure { lines: &[], key: Vec::new(), combine, sparse };
            combined(lines, &measure, Some(Timestamp(since)), 10, end)
        };
        let both = of(&[Some(&full), Some(&part)], Combine::Sum, false, 0);
        assert_eq!((both.covered, both.max), (4, 3.0));
        assert_eq!(of(&[None], Combine::Max, false, 0).covered, 0);
        assert_eq!(of(&[Some(&full)], Combine::Max, false, 0).covered, 10);
        // Unless nothing is told where there is nothing to tell, since it came to be.
        assert_eq!(of(&[None], Combine::Sum, true, 0).covered, 10);
        assert_eq!(of(&[None], Combine::Sum, true, 4 * DAY).covered, 6);
        assert_eq!(of(&[Some(&part)], Combine::Sum, true, 0).covered, 10);
    }
}
