//! What runs through nights and weekends while nobody is there: hours, and what they cost. Report only.
//!
//! Hours are counted in the office's own time zone, so that a day of 23 or 25 hours is one. Idle is what runs outside
//! working hours and does nothing then; times of use (from metrics) are not idle, whenever they are.

use jiff::{
    civil::{Date, Time},
    tz::TimeZone,
};
use serde::Serialize;
use std::collections::BTreeSet;
use sweeper_core::{
    model::{DAY, Timestamp},
    money::{Amount, HOURS_A_MONTH},
};

/// Fewer days than a week say nothing of weekends.
pub const LEAST_DAYS: i64 = 7;
/// What runs for this much of the time that nobody is there runs always: 90 %.
const ALWAYS: (i64, i64) = (9, 10);
/// The longest time looked at, days.
const LONGEST: i64 = 400;
const HOUR: i128 = 3600;

/// When people work with what is not production.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Office {
    pub zone: TimeZone,
    /// From Monday on.
    pub days: [bool; 7],
    /// Local times; `until` is excluded, and [`Time::MAX`] is the end of the day.
    pub from: Time,
    pub until: Time,
    pub holidays: BTreeSet<Date>,
}

impl Office {
    /// Monday to Friday, 07:00 to 20:00.
    pub fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            days: [true, true, true, true, true, false, false],
            from: Time::constant(7, 0, 0, 0),
            until: Time::constant(20, 0, 0, 0),
            holidays: BTreeSet::new(),
        }
    }

    fn works(&self, day: Date) -> bool {
        let weekday = usize::try_from(day.weekday().to_monday_zero_offset()).unwrap_or(0);
        self.days[weekday] && !self.holidays.contains(&day)
    }

    fn at(&self, day: Date, time: Time) -> Option<i64> {
        Some(self.zone.to_timestamp(day.to_datetime(time)).ok()?.as_second())
    }

    /// A day's seconds: where it begins and ends, and where work does, if it does.
    fn day(&self, day: Date) -> Option<(Piece, Option<Piece>)> {
        let whole = (self.at(day, Time::midnight())?, self.at(day.tomorrow().ok()?, Time::midnight())?);
        if !self.works(day) {
            return Some((whole, None));
        }
        let until = if self.until == Time::MAX { whole.1 } else { self.at(day, self.until)? };
        let from = self.at(day, self.from)?;
        Some((whole, (from < until).then_some((from, until))))
    }
}

/// From one instant to another, the end excluded.
pub type Interval = (Timestamp, Timestamp);

/// The same in seconds since 1970.
type Piece = (i64, i64);

/// What was seen of one resource.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What was looked at. The rest is not known.
    pub observed: Interval,
    /// When it ran and was paid for.
    pub running: &'a [Interval],
    /// When it did something, by its metrics.
    pub busy: &'a [Interval],
    /// What an hour of running costs, and stopping would save: without its disks.
    pub hourly: Amount,
}

/// What nights and weekends cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AlwaysOn {
    /// Seconds.
    pub observed: i64,
    pub running: i64,
    /// Seconds of running outside working hours and not busy: in the nights of working days, and on other days.
    pub idle_nights: i64,
    pub idle_days_off: i64,
    /// Of busy outside working hours.
    pub busy_off_hours: i64,
    /// Whether it ran, idle, for 90 % of the time that nobody was there, over a week or more.
    pub always: bool,
    /// What the idle seconds cost.
    pub cost: Amount,
    /// At the same rate, in a month of 730 hours.
    pub monthly_cost: Amount,
}

impl AlwaysOn {
    /// `None` when the time looked at is empty, longer than 400 days, or beyond the calendar.
    pub fn of(seen: &Seen<'_>, office: &Office) -> Option<Self> {
        let (start, end) = (seen.observed.0.0, seen.observed.1.0);
        let observed = end.checked_sub(start).filter(|seconds| (1..=LONGEST * DAY).contains(seconds))?;
        let running = merged(seen.running, (start, end));
        let busy = common(&merged(seen.busy, (start, end)), &running);
        let (mut off, mut off_busy) = (0, 0);
        let (mut nights, mut days_off) = (0, 0);
        let local = |at: i64| Some(office.zone.to_datetime(jiff::Timestamp::from_second(at).ok()?).date());
        let (mut day, last) = (local(start)?, local(end - 1)?);
        while day <= last {
            let (whole, work) = office.day(day)?;
            let pieces = match work {
                Some((from, until)) => vec![(whole.0, from), (until, whole.1)],
                None => vec![whole],
            };
            let seconds = |of: &[Piece]| -> i64 { length(&common(of, &pieces)) };
            let idle = seconds(&running) - seconds(&busy);
            *(if work.is_some() { &mut nights } else { &mut days_off }) += idle;
            off += seconds(&[(start, end)]);
            off_busy += seconds(&busy);
            day = day.tomorrow().ok()?;
        }
        let idle = nights + days_off;
        let cost = seen.hourly.scaled(i128::from(idle), HOUR);
        Some(Self {
            observed,
            running: length(&running),
            idle_nights: nights,
            idle_days_off: days_off,
            busy_off_hours: off_busy,
            always: observed >= LEAST_DAYS * DAY && off > 0 && idle * ALWAYS.1 >= off * ALWAYS.0,
            cost,
            monthly_cost: cost.scaled(i128::from(HOURS_A_MONTH) * HOUR, i128::from(observed)),
        })
    }
}

/// In order, without overlaps, inside `bounds`.
fn merged(intervals: &[Interval], bounds: Piece) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = intervals
        .iter()
        .map(|(from, until)| (from.0.max(bounds.0), until.0.min(bounds.1)))
        .filter(|(from, until)| from < until)
        .collect();
    pieces.sort_unstable();
    let mut found: Vec<Piece> = Vec::new();
    for (from, until) in pieces {
        match found.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => found.push((from, until)),
        }
    }
    found
}

/// What two lists of pieces, each without overlaps, have in common.
fn common(one: &[Piece], other: &[Piece]) -> Vec<Piece> {
    let mut found = Vec::new();
    for (from, until) in one {
        found.extend(
            other
                .iter()
                .map(|piece| ((*from).max(piece.0), (*until).min(piece.1)))
                .filter(|(from, until)| from < until),
        );
    }
    found.sort_unstable();
    found
}

fn length(pieces: &[Piece]) -> i64 {
    pieces.iter().map(|(from, until)| until - from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: i64 = 3600;

    /// Central European time, without a time zone database.
    fn office() -> Office {
        Office::new(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap())
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// Monday 16 November 2026 to the end of Sunday 22, local.
    fn week() -> Interval {
        (at("2026-11-15T23:00:00Z"), at("2026-11-22T23:00:00Z"))
    }

    fn seen(running: &[Interval], busy: &[Interval]) -> AlwaysOn {
        let seen = Seen { observed: week(), running, busy, hourly: Amount::parse("0.096").unwrap() };
        AlwaysOn::of(&seen, &office()).unwrap()
    }

    #[test]
    fn a_week_has_103_hours_that_nobody_works_in() {
        let found = seen(&[week()], &[]);
        assert_eq!((found.idle_nights, found.idle_days_off), (5 * 11 * H, 48 * H));
        assert_eq!((found.running, found.observed, found.always), (168 * H, 168 * H, true));
        // 103 hours at 0.096; 103 of 168 in a month of 730.
        assert_eq!((found.cost.to_string(), found.monthly_cost.cents()), ("9.888".to_owned(), "42.97".to_owned()));
    }

    #[test]
    fn what_is_stopped_at_night_is_not_idle() {
        let days: Vec<Interval> = (16..=20)
            .map(|day| (at(&format!("2026-11-{day}T06:00:00Z")), at(&format!("2026-11-{day}T19:00:00Z"))))
            .collect();
        let found = seen(&days, &[]);
        assert_eq!((found.cost, found.always, found.running), (Amount::ZERO, false, 65 * H));
        // An hour too long each day, told twice.
        let longer: Vec<Interval> = days.iter().chain(&days).map(|(from, until)| (*from, until.plus(H))).collect();
        assert_eq!((seen(&longer, &[]).idle_nights, seen(&longer, &[]).running), (5 * H, 70 * H));
        // One inside another, and one beyond what was looked at.
        let (start, end) = week();
        let nested = [(start, end.plus(H)), (start.plus(H), start.plus(2 * H)), (start.plus(-H), start)];
        assert_eq!((seen(&nested, &[]).running, seen(&[(end, start)], &[]).running), (168 * H, 0));
    }

    #[test]
    fn what_is_used_at_night_is_not_idle() {
        // Nightly tests, 22:00 to 04:00 local, and an hour of work by day, which changes nothing.
        let nights: Vec<Interval> = (16..=22)
            .map(|day| at(&format!("2026-11-{day}T21:00:00Z")))
            .map(|from| (from, from.plus(6 * H)))
            .chain([(at("2026-11-17T10:00:00Z"), at("2026-11-17T11:00:00Z"))])
            .collect();
        let found = seen(&[week()], &nights);
        // Six of seven nights are whole; of the last two hours are in the week.
        assert_eq!(found.busy_off_hours, 38 * H);
        assert_eq!(found.idle_nights + found.idle_days_off, (103 - 38) * H);
        assert!(!found.always);
        // Busy while it did not run is not believed.
        assert_eq!(seen(&[], &nights).busy_off_hours, 0);
    }

    #[test]
    fn a_day_of_25_hours_is_one() {
        // Sunday 25 October 2026: the clocks go back.
        let observed = (at("2026-10-24T22:00:00Z"), at("2026-10-25T23:00:00Z"));
        let seen = Seen { observed, running: &[observed], busy: &[], hourly: Amount::whole(1) };
        let found = AlwaysOn::of(&seen, &office()).unwrap();
        assert_eq!((found.idle_days_off, found.cost, found.always), (25 * H, Amount::whole(25), false));
    }

    #[test]
    fn holidays_zones_and_night_shifts() {
        let mut shut = office();
        shut.holidays.insert(jiff::civil::date(2026, 11, 18));
        let running = [week()];
        let seen = Seen { observed: week(), running: &running, busy: &[], hourly: Amount::whole(1) };
        assert_eq!(AlwaysOn::of(&seen, &shut).unwrap().cost, Amount::whole(103 + 13));
        let round = Office { from: Time::midnight(), until: Time::MAX, ..office() };
        assert_eq!(AlwaysOn::of(&seen, &round).unwrap().cost, Amount::whole(48));
        // The same instants are other hours in Tokyo: from Monday 08:00 on, 12 + 4 × 13 + 1 of them with people.
        let tokyo = Office::new(TimeZone::posix("JST-9").unwrap());
        let there = AlwaysOn::of(&seen, &tokyo).unwrap();
        assert_eq!((there.running, there.cost), (168 * H, Amount::whole(168 - 65)));
    }

    #[test]
    fn an_empty_or_endless_time_says_nothing() {
        let of = |observed: Interval| {
            AlwaysOn::of(&Seen { observed, running: &[], busy: &[], hourly: Amount::whole(1) }, &office())
        };
        assert_eq!(of((week().0, week().0)), None);
        assert_eq!(of((week().1, week().0)), None);
        assert_eq!(of((week().0, week().0.plus(401 * DAY))), None);
        assert_eq!(of((Timestamp(i64::MIN), Timestamp(i64::MAX))), None);
    }
}
