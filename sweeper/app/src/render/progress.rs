//! How far a run is: a bar for a person, log lines for a machine.

use super::summary::{counted, dollars};
use crate::{log, render::inert};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::{Mutex, PoisonError};
use sweeper_core::{inventory::Status, kind::KindSpec, model::Scope, money::Amount, survey::Progress};

/// Calls a listing takes on average, in quarters: most are one page, and the questions come on top.
const QUARTER_CALLS_A_LISTING: u64 = 5;
/// Metrics asked for a listing of a kind that asks any: only what passes every free test is asked about.
const METRICS_A_LISTING: i64 = 20;
/// US dollars a thousand metrics (CloudWatch `GetMetricData`, <https://aws.amazon.com/cloudwatch/pricing/>).
const THOUSAND_METRICS: &str = "0.01";

/// Shows progress on standard error.
pub struct Board {
    bar: Mutex<Option<ProgressBar>>,
    /// Of the kinds that will be listed: how many there are, and how many ask for metrics.
    kinds: u64,
    asking: u64,
    watched: bool,
}

impl Board {
    /// For a run over some kinds.
    pub fn new(kinds: &[&'static KindSpec]) -> Self {
        let asking = kinds.iter().filter(|kind| kind.asks.iter().any(|ask| ask.contains("Metric"))).count();
        Self { bar: Mutex::default(), kinds: kinds.len() as u64, asking: asking as u64, watched: log::is_watched() }
    }

    fn with(&self, work: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            work(bar);
        }
    }

    fn start(&self, length: usize, what: &'static str) {
        if !self.watched {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(length as u64), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {wide_msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    /// Takes the bar off the screen.
    pub fn clear(&self) {
        self.with(ProgressBar::finish_and_clear);
    }

    /// `1 account, 17 regions, ~430 calls, ~$0.02`.
    fn estimate(&self, accounts: usize, regions: usize, listings: usize) -> String {
        let listings = listings as u64;
        let calls = listings * QUARTER_CALLS_A_LISTING / 4 + accounts as u64;
        let metrics = (listings * self.asking / self.kinds.max(1)).cast_signed() * METRICS_A_LISTING;
        let price = Amount::parse(THOUSAND_METRICS).unwrap_or_default();
        format!(
            "{}, {}, ~{}, ~{}",
            counted(accounts as u64, "account"),
            counted(regions as u64, "region"),
            counted(calls, "call"),
            dollars(price.scaled(i128::from(metrics), 1000))
        )
    }
}

impl Progress for Board {
    fn planned(&self, accounts: usize, regions: usize, listings: usize) {
        log::say(&self.estimate(accounts, regions, listings));
        self.start(listings, "listing");
    }

    fn listed(&self, kind: &str, scope: &Scope, status: &Status, resources: u32) {
        self.with(|bar| {
            bar.set_message(inert::cut(&format!("{kind} {scope}"), 60));
            bar.inc(1);
        });
        if self.watched {
            return;
        }
        let scope = scope.to_string();
        if let Status::Blind { why } = status {
            tracing::warn!(kind, scope = %inert::line(&scope), why = %inert::line(why), "not listed");
        } else {
            tracing::debug!(kind, scope = %inert::line(&scope), resources, "listed");
        }
    }

    fn asking(&self, questions: usize) {
        self.clear();
        self.start(questions, "asking");
        if !self.watched {
            tracing::info!(questions, "asking");
        }
    }

    fn answered(&self, questions: usize) {
        self.with(|bar| bar.inc(questions as u64));
    }
}
