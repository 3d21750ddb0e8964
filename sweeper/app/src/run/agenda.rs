//! What is to be done about a schedule at a time: decided from when it last ran, and from nothing else.

use crate::config::{Entry, Outside};
use sweeper_core::model::Timestamp;

/// Times that passed are counted up to this.
const MOST: usize = 1000;
/// A run is overdue when it could have begun this long ago, seconds.
const OVERDUE: i64 = 3600;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its time has come.
    Run {
        /// The first time that passed since it last ran.
        due: Timestamp,
        /// How many have passed since then: one run makes up for all of them.
        passed: usize,
    },
    /// Its time has come outside its windows: it comes when one opens.
    Hold { due: Timestamp, opens: Option<Timestamp> },
    /// Its time has come outside its windows, and it does not run.
    Skip { due: Timestamp },
    /// Its time has not come. `None`: it never will.
    Wait(Option<Timestamp>),
}

/// What is to be done about a schedule that last ran at a time.
pub fn step(entry: &Entry, last: Timestamp, now: Timestamp) -> Step {
    let last = heard(entry, last, now);
    let Some(due) = entry.when.next_after(last) else { return Step::Wait(None) };
    if due > now {
        return Step::Wait(Some(due));
    }
    if entry.windows.is_open(now) {
        let times = std::iter::successors(Some(due), |at| entry.when.next_after(*at));
        return Step::Run { due, passed: times.take_while(|at| *at <= now).take(MOST).count() };
    }
    match entry.outside {
        Outside::Wait => Step::Hold { due, opens: entry.windows.opens_after(now) },
        Outside::Skip => Step::Skip { due },
    }
}

/// When a schedule last ran, as far as that can be believed. A clock that was put back a little leaves times in the
/// future, which must not come twice; one that was wrong by more than an interval must not stop a schedule for years.
pub fn heard(entry: &Entry, last: Timestamp, now: Timestamp) -> Timestamp {
    if last <= now {
        return last;
    }
    let interval = entry.when.next_after(last).map(|next| next.since(last));
    if interval.is_some_and(|interval| last.since(now) > interval) { now } else { last }
}

/// For how long a run has been due that could begin and has not, seconds.
pub fn waits(entry: &Entry, last: Timestamp, now: Timestamp) -> i64 {
    match step(entry, last, now) {
        Step::Run { due, .. } => now.since(due),
        Step::Hold { .. } | Step::Skip { .. } | Step::Wait(_) => 0,
    }
}

/// For how long a run could have begun and has not, beyond what is to be expected, seconds.
pub fn overdue(entry: &Entry, last: Timestamp, now: Timestamp) -> Option<i64> {
    let could = |at: Timestamp| matches!(step(entry, last, at), Step::Run { .. });
    let Step::Run { due, .. } = step(entry, last, now) else { return None };
    could(now.plus(-OVERDUE)).then(|| now.since(due))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    fn entry(text: &str) -> Entry {
        let text = format!("[[schedule]]\n{text}");
        Config::parse("sweeper.toml", &text, Path::new("")).unwrap().schedules.remove(0)
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// The times at which it runs when somebody looks every so many seconds.
    fn runs(entry: &Entry, from: &str, until: &str, every: i64) -> Vec<String> {
        let mut last = at(from);
        let mut now = last;
        let mut all = Vec::new();
        while now <= at(until) {
            match step(entry, last, now) {
                Step::Run { .. } => {
                    all.push(now.to_string());
                    last = now;
                }
                Step::Skip { .. } => last = now,
                _ => {}
            }
            now = now.plus(every);
        }
        all
    }

    #[test]
    fn however_many_times_passed_it_runs_once() {
        let daily = entry("cron = \"0 6 * * *\"");
        let last = at("2026-11-01T06:00:05Z");
        assert_eq!(step(&daily, last, at("2026-11-02T05:59:59Z")), Step::Wait(Some(at("2026-11-02T06:00:00Z"))));
        let back = at("2026-11-20T13:00:00Z");
        assert_eq!(step(&daily, last, back), Step::Run { due: at("2026-11-02T06:00:00Z"), passed: 19 });
        assert_eq!(step(&daily, back, back), Step::Wait(Some(at("2026-11-21T06:00:00Z"))));
        // Of those that came each second for a year, nobody waits until they are counted.
        let busy = entry("cron = \"* * * * * *\"");
        assert_eq!(step(&busy, last, last.plus(31_536_000)), Step::Run { due: last.plus(1), passed: MOST });
        let over = entry("cron = \"0 0 0 1 1 ? 2020\"");
        assert_eq!(step(&over, last, back), Step::Wait(None));
    }

    #[test]
    fn outside_its_windows_it_waits_or_is_skipped() {
        let office = "cron = \"0 */4 * * *\"\nwindows = [\"MON-FRI 06:00-20:00\"]\n";
        // A Friday.
        let (from, until) = ("2026-11-20T17:00:00Z", "2026-11-23T09:00:00Z");
        let waiting = entry(office);
        assert_eq!(
            step(&waiting, at("2026-11-20T16:00:00Z"), at("2026-11-20T20:00:00Z")),
            Step::Hold { due: at("2026-11-20T20:00:00Z"), opens: Some(at("2026-11-23T06:00:00Z")) }
        );
        assert_eq!(runs(&waiting, from, until, 60), ["2026-11-23T06:00:00Z", "2026-11-23T08:00:00Z"]);
        let skipping = entry(&format!("{office}outside = \"skip\"\n"));
        assert_eq!(
            step(&skipping, at("2026-11-20T16:00:00Z"), at("2026-11-20T20:00:00Z")),
            Step::Skip { due: at("2026-11-20T20:00:00Z") }
        );
        assert_eq!(runs(&skipping, from, until, 60), ["2026-11-23T08:00:00Z"]);
    }

    #[test]
    fn a_clock_that_is_put_back_runs_nothing_twice_and_stops_nothing() {
        let daily = entry("cron = \"0 6 * * *\"");
        let ran = at("2026-11-20T06:00:00Z");
        // By two hours: the run at six was today's.
        assert_eq!(step(&daily, ran, ran.plus(-7200)), Step::Wait(Some(at("2026-11-21T06:00:00Z"))));
        // It ran in 2036, which was no more than a wrong clock.
        let wrong = at("2036-01-01T06:00:00Z");
        assert_eq!(heard(&daily, wrong, ran), ran);
        assert_eq!(step(&daily, wrong, ran), Step::Wait(Some(at("2026-11-21T06:00:00Z"))));
        // By an hour, of one that comes each five minutes: it goes on within the next.
        let often = entry("cron = \"*/5 * * * *\"");
        assert_eq!(step(&often, ran, ran.plus(-3600)), Step::Wait(Some(ran.plus(-3300))));
    }

    #[test]
    fn a_clock_that_is_put_forward_makes_up_once() {
        let hourly = entry("cron = \"0 * * * *\"");
        let last = at("2026-11-20T06:00:00Z");
        let jumped = last.plus(3 * 86_400 + 60);
        assert!(matches!(step(&hourly, last, jumped), Step::Run { passed: 72, .. }));
        assert_eq!(step(&hourly, jumped, jumped.plus(1)), Step::Wait(Some(last.plus(3 * 86_400 + 3600))));
    }

    #[test]
    fn summer_time_skips_no_day_and_repeats_none() {
        let daily = entry("cron = \"30 2 * * *\"\nzone = \"Europe/Berlin\"\n");
        assert_eq!(
            runs(&daily, "2026-03-27T12:00:00Z", "2026-03-30T12:00:00Z", 60),
            ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        );
        assert_eq!(
            runs(&daily, "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z", 60),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
        // Its window is of civil hours as well.
        let night = entry("cron = \"0 0 * * *\"\nzone = \"Europe/Berlin\"\nwindows = [\"03:00-04:00\"]\n");
        assert_eq!(
            runs(&night, "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", 60),
            ["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"]
        );
    }

    #[test]
    fn overdue_is_what_could_have_begun_an_hour_ago() {
        let office = entry("cron = \"0 20 * * *\"\nwindows = [\"06:00-18:00\"]\n");
        let last = at("2026-11-20T06:00:00Z");
        assert_eq!(overdue(&office, last, at("2026-11-21T05:00:00Z")), None, "it waits for its window");
        assert_eq!(waits(&office, last, at("2026-11-21T05:00:00Z")), 0);
        assert_eq!(overdue(&office, last, at("2026-11-21T06:30:00Z")), None);
        assert_eq!(waits(&office, last, at("2026-11-21T06:30:00Z")), 10 * 3600 + 1800);
        assert_eq!(overdue(&office, last, at("2026-11-21T07:00:00Z")), Some(11 * 3600));
    }
}
