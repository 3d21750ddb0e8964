//! `[leases]`: what leases of ephemeral environments are granted with where the command does not say.

use super::{Reader, Table};
use std::time::Duration;
use sweeper_core::environment::{LENGTH, MISSED, MOST_SKEW, SKEW};

const LEASES: &[&str] = &["max_length", "heartbeat", "missed", "skew"];

/// `[leases]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leases {
    /// How long one may run from its grant, seconds: nobody is granted more.
    pub max_length: i64,
    /// How often a heartbeat is to come, seconds.
    pub heartbeat: Option<i64>,
    /// Heartbeats in a row that may be missing.
    pub missed: u32,
    /// How far clocks may be apart, seconds.
    pub skew: i64,
}

impl Default for Leases {
    fn default() -> Self {
        Self { max_length: LENGTH, heartbeat: None, missed: MISSED, skew: SKEW }
    }
}

impl Reader<'_> {
    pub(super) fn leases(&mut self, top: &Table<'_>) -> Leases {
        let mut leases = Leases::default();
        let Some(table) = self.table(top, "leases") else { return leases };
        self.known(table, LEASES);
        let seconds = |length: Duration| i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
        if let Some(length) = self.length(table, "max_length") {
            leases.max_length = seconds(length);
        }
        leases.heartbeat = self.length(table, "heartbeat").map(seconds);
        leases.missed = self.number(table, "missed").unwrap_or(leases.missed);
        if let (Some(length), Some(value)) = (self.length(table, "skew"), table.get("skew")) {
            leases.skew = seconds(length);
            if leases.skew > MOST_SKEW {
                self.wrong(value, "clocks may be apart by a day at most");
            }
        }
        leases
    }
}
