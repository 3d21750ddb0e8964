//! When something may be done, and how long a grace lasts: working days, hours, holidays and freezes.
//!
//! Pure: time zones come in as values, and nothing is read here. What could not be read is a freeze.

use crate::{
    house::is_account,
    model::{DAY, Scope, Timestamp},
};
use jiff::{
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};
use std::{collections::BTreeSet, fmt};

/// How long after a freeze no grace ends, seconds: its owners have just come back.
pub const AFTER_FREEZE: i64 = DAY;
/// The most days in a row that are looked at for one to work on; a calendar with a longer gap has none.
const HORIZON: usize = 800;
/// The longest grace that is counted, days.
const LONGEST: i64 = 3660;

/// Names of the days of the week as they are written, from Monday.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A set of days of the week, from Monday.
pub type Week = [bool; 7];

/// The deployer's calendar.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Of every account without its own.
    pub hours: Hours,
    /// Accounts with their own, as in [`crate::house::ScopeRule::accounts`]. The first that fits counts.
    pub places: Vec<(Vec<String>, Hours)>,
    pub freezes: Vec<Freeze>,
    /// Why some of it could not be read, if so: everything is then frozen.
    pub unreadable: Option<String>,
}

/// When people work somewhere, and when things are done there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    pub zone: TimeZone,
    /// Days on which people read notices: Monday to Friday. Grace counts these.
    pub work_days: Week,
    /// Days on which things are done: Monday to Thursday, so that somebody is there on the day after.
    pub act_days: Week,
    /// From when to when things are done, local time, the end excluded: 09:00 to 16:00. [`Time::MAX`] is the end of
    /// the day.
    pub window: (Time, Time),
    /// Days that are no working days, nor days on which things are done.
    pub holidays: BTreeSet<Date>,
}

impl Default for Hours {
    fn default() -> Self {
        Self {
            zone: TimeZone::UTC,
            work_days: [true, true, true, true, true, false, false],
            act_days: [true, true, true, true, false, false, false],
            window: (Time::constant(9, 0, 0, 0), Time::constant(16, 0, 0, 0)),
            holidays: BTreeSet::new(),
        }
    }
}

/// A time in which nothing is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
    /// Accounts, as in [`crate::house::ScopeRule::accounts`]; empty: all of them.
    pub scopes: Vec<String>,
    pub reason: String,
}

impl Freeze {
    fn covers(&self, scope: &Scope) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|pattern| is_account(pattern, scope.cloud, &scope.account))
    }
}

/// The first instant of a date anywhere on earth (UTC+14).
pub fn start_of_date(date: Date) -> Option<Timestamp> {
    instant(&TimeZone::UTC, date.at(0, 0, 0, 0)).map(|midnight| midnight.plus(-14 * 3600))
}

/// The end of a date everywhere on earth (UTC-12).
pub fn end_of_date(date: Date) -> Option<Timestamp> {
    instant(&TimeZone::UTC, date.at(0, 0, 0, 0)).map(|midnight| midnight.plus(DAY + DAY / 2))
}

/// Why nothing may be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    pub reason: String,
    /// The next instant at which it may, where that can be said.
    pub next: Option<Timestamp>,
}

/// With the next opening, where it can be said.
impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.next {
            Some(next) => write!(formatter, "{}; next {next}", self.reason),
            None => formatter.write_str(&self.reason),
        }
    }
}

impl Calendar {
    /// The hours of an account.
    pub fn hours(&self, scope: &Scope) -> &Hours {
        let own = self
            .places
            .iter()
            .find(|(accounts, _)| accounts.iter().any(|pattern| is_account(pattern, scope.cloud, &scope.account)));
        own.map_or(&self.hours, |(_, hours)| hours)
    }

    /// Why an account is frozen, if it is.
    pub fn frozen(&self, scope: &Scope, now: Timestamp) -> Option<String> {
        if let Some(why) = &self.unreadable {
            return Some(format!("frozen: the calendar cannot be read: {why}"));
        }
        let freeze = self.frozen_by(scope, now)?;
        Some(format!("frozen: {}, until {}", freeze.reason, freeze.until))
    }

    /// The freeze that holds longest of those that hold now.
    fn frozen_by(&self, scope: &Scope, now: Timestamp) -> Option<&Freeze> {
        let hold =
            self.freezes.iter().filter(|freeze| freeze.from <= now && now < freeze.until && freeze.covers(scope));
        hold.max_by_key(|freeze| freeze.until)
    }

    /// Whether something may be done in an account now: no freeze, no holiday, within its hours.
    pub fn may_act(&self, scope: &Scope, now: Timestamp) -> Result<(), Why> {
        if let Some(reason) = self.frozen(scope, now) {
            return Err(Why { reason, next: self.next(scope, now) });
        }
        let hours = self.hours(scope);
        if hours.is_open(now) {
            return Ok(());
        }
        let reason = match hours.local(now) {
            Some(local) if hours.holidays.contains(&local.date()) => format!("closed: {} is a holiday", local.date()),
            _ => format!("closed: things are done {}", hours.spoken()),
        };
        Err(Why { reason, next: self.next(scope, now) })
    }

    /// The next instant at which something may be done.
    fn next(&self, scope: &Scope, now: Timestamp) -> Option<Timestamp> {
        if self.unreadable.is_some() {
            return None;
        }
        let hours = self.hours(scope);
        let mut at = now;
        // Each turn ends a freeze or reaches an opening; freezes are finitely many.
        for _ in 0..=self.freezes.len().saturating_mul(2) {
            at = hours.opens(at)?;
            match self.frozen_by(scope, at) {
                None => return Some(at),
                Some(freeze) => at = freeze.until,
            }
        }
        None
    }

    /// When a grace of some seconds ends that began with a notice. Whole days are working days of the account; it
    /// never ends before as many days have passed, nor in a freeze or less than [`AFTER_FREEZE`] after one. `None`
    /// where that cannot be said: the calendar cannot be read, or has no working days.
    pub fn grace_ends(&self, told: Timestamp, grace: i64, scope: &Scope) -> Option<Timestamp> {
        if self.unreadable.is_some() {
            return None;
        }
        let mut end = self.hours(scope).after(told, grace)?.max(told.plus(grace));
        let freezes: Vec<&Freeze> = self.freezes.iter().filter(|freeze| freeze.covers(scope)).collect();
        // One freeze may push it into another.
        while let Some(freeze) =
            freezes.iter().find(|freeze| freeze.from <= end && end < freeze.until.plus(AFTER_FREEZE))
        {
            end = freeze.until.plus(AFTER_FREEZE);
        }
        Some(end)
    }
}

impl Hours {
    fn local(&self, at: Timestamp) -> Option<DateTime> {
        Some(self.zone.to_datetime(jiff::Timestamp::from_second(at.0).ok()?))
    }

    fn is_work_day(&self, date: Date) -> bool {
        self.work_days[index(date)] && !self.holidays.contains(&date)
    }

    fn is_act_day(&self, date: Date) -> bool {
        self.act_days[index(date)] && !self.holidays.contains(&date)
    }

    fn is_open(&self, at: Timestamp) -> bool {
        self.local(at).is_some_and(|local| {
            self.is_act_day(local.date()) && (self.window.0..self.window.1).contains(&local.time())
        })
    }

    /// `at`, or the next instant at which the window opens.
    fn opens(&self, at: Timestamp) -> Option<Timestamp> {
        if self.is_open(at) {
            return Some(at);
        }
        let mut date = self.local(at)?.date();
        for _ in 0..HORIZON {
            if self.is_act_day(date)
                && let Some(start) = instant(&self.zone, date.to_datetime(self.window.0))
                && start > at
                && self.is_open(start)
            {
                return Some(start);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn next_work_day(&self, date: Date) -> Option<Date> {
        let mut date = date;
        for _ in 0..HORIZON {
            date = date.tomorrow().ok()?;
            if self.is_work_day(date) {
                return Some(date);
            }
        }
        None
    }

    /// The instant so many seconds of working days after another. Whole days keep the time of day, whatever the
    /// clocks do in between; a notice on a day off counts from the beginning of the next working day.
    fn after(&self, from: Timestamp, seconds: i64) -> Option<Timestamp> {
        let local = self.local(from)?;
        let (mut date, mut time) = (local.date(), local.time());
        if !self.is_work_day(date) {
            (date, time) = (self.next_work_day(date)?, Time::midnight());
        }
        let days = seconds.max(0) / DAY;
        if days > LONGEST {
            return None;
        }
        for _ in 0..days {
            date = self.next_work_day(date)?;
        }
        let mut at = instant(&self.zone, date.to_datetime(time))?;
        let mut rest = seconds.max(0) % DAY;
        while rest > 0 {
            let left = instant(&self.zone, date.tomorrow().ok()?.to_datetime(Time::midnight()))?.since(at);
            if rest <= left {
                return Some(at.plus(rest));
            }
            rest -= left;
            date = self.next_work_day(date)?;
            at = instant(&self.zone, date.to_datetime(Time::midnight()))?;
        }
        Some(at)
    }

    /// `Mon Tue Wed Thu 09:00-16:00 Europe/Berlin`.
    fn spoken(&self) -> String {
        let days: Vec<&str> = DAYS.iter().zip(self.act_days).filter(|(_, on)| *on).map(|(day, _)| *day).collect();
        let clock = |time: Time| {
            if time == Time::MAX {
                return "24:00".to_owned();
            }
            format!("{:02}:{:02}", time.hour(), time.minute())
        };
        let days = if days.is_empty() { "on no day".to_owned() } else { days.join(" ") };
        let zone = self.zone.iana_name().unwrap_or("local time");
        format!("{days} {}-{} {zone}", clock(self.window.0), clock(self.window.1))
    }
}

fn index(date: Date) -> usize {
    // Monday is 0.
    usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or_default()
}

/// The instant of a local time. One that the clocks leave out comes after, one that they show twice is the earlier.
pub(crate) fn instant(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    Some(Timestamp(zone.to_timestamp(local).ok()?.as_second()))
}

#[cfg(test)]
mod tests;
