//! What a run and a daemon measure, under names that stay: for Prometheus, its text files and its Pushgateway, and for
//! OTLP.
//!
//! [`catalogue`] is the one table of names, labels and meanings; `deploy/prometheus/METRICS.md` is written from it.
//! Measuring is pure: [`Measures::of`] sees an outcome and its report, and whoever has a state, a log or a process at
//! hand adds what these say. No label has values without a bound: see [`owners`].

pub mod catalogue;
mod document;
mod export;
mod otlp;
mod owners;
mod process;
mod push;
mod run;
mod state;
mod text;
mod textfile;

pub use document::document;
pub use export::Export;

use crate::render::inert;
use catalogue::Measure;
use std::{cmp::Ordering, collections::BTreeMap};
use sweeper_core::money::Amount;

/// The longest value of a label, in characters: what is longer is cut.
const LONGEST: usize = 100;
/// Values of a label that nothing else bounds (causes, decisions); the rest is [`OTHER`].
const MOST: usize = 100;
/// What is too much to be told apart.
pub const OTHER: &str = "other";

/// What was measured. Money and counts are exact; shares are not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Count(u64),
    Seconds(i64),
    Exact(Amount),
    Share(f64),
}

impl Value {
    /// For forms that know only floating point.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Count(count) => count as f64,
            Self::Seconds(seconds) => seconds as f64,
            Self::Exact(amount) => amount.to_string().parse().unwrap_or(0.0),
            Self::Share(share) if share.is_finite() => share,
            Self::Share(_) => 0.0,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Count(a), Self::Count(b)) => Self::Count(a.saturating_add(b)),
            (Self::Seconds(a), Self::Seconds(b)) => Self::Seconds(a.saturating_add(b)),
            (Self::Exact(a), Self::Exact(b)) => Self::Exact(a + b),
            (a, b) => Self::Share(a.as_f64() + b.as_f64()),
        }
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<Amount> for Value {
    fn from(amount: Amount) -> Self {
        Self::Exact(amount)
    }
}

/// Values by their labels, in the order of the measure's own.
type Series = BTreeMap<Vec<String>, Value>;

/// A measure in the order of names.
#[derive(Clone, Copy, Debug)]
struct Named(&'static Measure);

impl Ord for Named {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.name.cmp(other.0.name)
    }
}

impl PartialOrd for Named {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Named {}

/// Everything that was measured, by name and labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measures {
    all: BTreeMap<Named, Series>,
}

impl Measures {
    /// Adds to what was measured under these labels: two of which the values are the same to a reader are one.
    pub fn add(&mut self, measure: &'static Measure, labels: &[&str], value: impl Into<Value>) {
        let value = value.into();
        let own = self.all.entry(Named(measure)).or_default();
        own.entry(clean(measure, labels)).and_modify(|known| *known = known.and(value)).or_insert(value);
    }

    /// Says what is so now, whatever was said before.
    pub fn set(&mut self, measure: &'static Measure, labels: &[&str], value: impl Into<Value>) {
        self.all.entry(Named(measure)).or_default().insert(clean(measure, labels), value.into());
    }

    /// The least amount that is said of the same.
    fn least(&mut self, measure: &'static Measure, labels: &[&str], amount: Amount) {
        match self.get(measure, labels) {
            Some(Value::Exact(known)) => self.set(measure, labels, known.min(amount)),
            _ => self.set(measure, labels, amount),
        }
    }

    /// The most that is said of the same.
    fn most(&mut self, measure: &'static Measure, labels: &[&str], amount: Amount) {
        match self.get(measure, labels) {
            Some(Value::Exact(known)) => self.set(measure, labels, known.max(amount)),
            _ => self.set(measure, labels, amount),
        }
    }

    /// These, and those of another: where both say something of the same, the other stands.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (measure, series) in other.all {
            self.all.entry(measure).or_default().extend(series);
        }
        self
    }

    /// What was measured under these labels.
    fn get(&self, measure: &'static Measure, labels: &[&str]) -> Option<Value> {
        self.all.get(&Named(measure))?.get(&clean(measure, labels)).copied()
    }

    /// By name and labels.
    fn iter(&self) -> impl Iterator<Item = (&'static Measure, &Series)> {
        self.all.iter().map(|(Named(measure), series)| (*measure, series))
    }
}

/// Values of labels that do nothing to whoever shows them, as many as there are labels.
fn clean(measure: &Measure, labels: &[&str]) -> Vec<String> {
    debug_assert_eq!(measure.labels.len(), labels.len(), "{}", measure.name);
    let value = |at: usize| match labels.get(at).copied() {
        // To Prometheus a label without a value is none.
        None | Some("") => "none".to_owned(),
        Some(text) => {
            let text = inert::line(text);
            match text.char_indices().nth(LONGEST) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text.into_owned(),
            }
        }
    };
    (0..measure.labels.len()).map(value).collect()
}
