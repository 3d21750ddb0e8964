//! When to run: crontab schedules in a time zone.
//!
//! The expression is parsed by the `cron` crate; what the crate reads otherwise than crontab does is put
//! right here. Weekday numbers are crontab's (0 and 7 are Sunday), and where both the day of the month and
//! the weekday are restricted, either is enough. Times are found in the zone's civil time: what falls into
//! the hour that spring skips comes when the clocks have jumped, and what falls into the hour that autumn
//! repeats comes once.

use cron::TimeUnitSpec;
use jiff::{
    ToSpan,
    civil::{Date, DateTime},
    tz::{AmbiguousOffset, TimeZone},
};
use std::{fmt::Write, str::FromStr};
use sweeper_core::model::Timestamp;
use thiserror::Error;

/// The last year that the `cron` crate knows.
const LAST_YEAR: i16 = 2100;

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a schedule: {why}")]
pub struct ScheduleError {
    text: String,
    why: String,
}

/// A recurring time.
#[derive(Clone, Debug)]
pub struct Schedule {
    times: cron::Schedule,
    /// Whether the day of the month or the weekday is enough.
    either_day: bool,
    zone: TimeZone,
    /// Seconds after each scheduled time.
    offset: i64,
}

impl Schedule {
    /// Reads five fields (minute, hour, day of the month, month, weekday) as crontab does; six or seven with
    /// seconds first and a year last, where weekdays must be names, since their numbers mean one day in
    /// crontab and another in Quartz; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. A schedule
    /// that never comes is an error.
    pub fn parse(text: &str, zone: TimeZone) -> Result<Self, ScheduleError> {
        let failed = |why: String| ScheduleError { text: text.to_owned(), why };
        let plain = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other if other.starts_with('@') => {
                return Err(failed("only @hourly, @daily, @weekly, @monthly and @yearly are known".to_owned()));
            }
            other => other,
        };
        let fields: Vec<&str> = plain.split_whitespace().collect();
        let (seconds, day, weekday) = match fields.len() {
            5 => ("0 ", 2, weekdays(fields[4]).map_err(failed)?),
            6 | 7 if fields[5].contains(|letter: char| letter.is_ascii_digit()) => {
                return Err(failed("with seconds, weekdays must be names: MON-FRI".to_owned()));
            }
            6 | 7 => ("", 3, weekdays(fields[5]).map_err(failed)?),
            count => return Err(failed(format!("it has {count} fields, not five, six or seven"))),
        };
        let mut expression = seconds.to_owned();
        for (index, field) in fields.iter().enumerate() {
            let field = if index == day + 2 { weekday.as_str() } else { field };
            // A string takes any text.
            let _ = write!(expression, "{field} ");
        }
        let times = cron::Schedule::from_str(expression.trim_end())
            .map_err(|error| failed(error.to_string().replace('\n', " ").trim().to_owned()))?;
        let restricted = |field: &str| !field.starts_with(['*', '?']);
        let either_day = restricted(fields[day]) && restricted(fields[day + 2]);
        let schedule = Self { times, either_day, zone, offset: 0 };
        if !(1970..=LAST_YEAR).any(|year| schedule.year_has_a_day(year)) {
            return Err(failed("no day is ever like that".to_owned()));
        }
        Ok(schedule)
    }

    /// The same schedule, later by up to `at_most` seconds: always as much for the same seed, so that many
    /// deployments do not start at once and each keeps its interval.
    #[must_use]
    pub fn jittered(mut self, seed: &str, at_most: u32) -> Self {
        // FNV-1a with a finishing step; a deployment keeps its place over releases.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in seed.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        hash = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16;
        self.offset = (hash % (u64::from(at_most) + 1)).cast_signed();
        self
    }

    /// The first time after an instant, and not at it; `None` after the last.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_second(after.0.checked_sub(self.offset)?).ok()?;
        let start = self.zone.to_datetime(after);
        let mut date = start.date();
        while date.year() <= LAST_YEAR {
            if !self.times.years().includes(u32::from(date.year().unsigned_abs())) {
                date = Date::new(date.year() + 1, 1, 1).ok()?;
                continue;
            }
            if self.on(date) {
                let from = if date == start.date() {
                    start
                } else {
                    DateTime::from_parts(date, jiff::civil::time(0, 0, 0, 0))
                };
                if let Some(at) = self.times_of(date, from).find_map(|time| self.instant(time).filter(|at| *at > after))
                {
                    return Some(Timestamp(at.as_second() + self.offset));
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn on(&self, date: Date) -> bool {
        let day = self.times.days_of_month().includes(u32::from(date.day().unsigned_abs()));
        // The crate counts weekdays from Sunday, which is 1.
        let weekday =
            self.times.days_of_week().includes(u32::from(date.weekday().to_sunday_one_offset().unsigned_abs()));
        self.times.months().includes(u32::from(date.month().unsigned_abs()))
            && if self.either_day { day || weekday } else { day && weekday }
    }

    fn year_has_a_day(&self, year: i16) -> bool {
        self.times.years().includes(u32::from(year.unsigned_abs()))
            && Date::new(year, 1, 1)
                .is_ok_and(|first| first.series(1.day()).take(366).any(|day| day.year() == year && self.on(day)))
    }

    /// The civil times of a day, from one on, in order.
    fn times_of(&self, date: Date, from: DateTime) -> impl Iterator<Item = DateTime> + '_ {
        let hours = self.times.hours().iter();
        hours
            .filter(move |hour| *hour >= u32::from(from.hour().unsigned_abs()))
            .flat_map(move |hour| self.times.minutes().iter().map(move |minute| (hour, minute)))
            .filter(move |(hour, minute)| {
                (*hour, *minute) >= (u32::from(from.hour().unsigned_abs()), u32::from(from.minute().unsigned_abs()))
            })
            .flat_map(move |(hour, minute)| self.times.seconds().iter().map(move |second| (hour, minute, second)))
            .filter_map(move |(hour, minute, second)| {
                date.at(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, i8::try_from(second).ok()?, 0).into()
            })
    }

    fn instant(&self, time: DateTime) -> Option<jiff::Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(time);
        match ambiguous.offset() {
            // Skipped: when the clocks have jumped.
            AmbiguousOffset::Gap { .. } => {
                let later = ambiguous.compatible().ok()?;
                self.zone.preceding(later.checked_add(1.second()).ok()?).next().map(|jump| jump.timestamp())
            }
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.compatible().ok(),
        }
    }
}

/// A weekday field of crontab, by names.
fn weekdays(field: &str) -> Result<String, String> {
    let days = days(field)?;
    if days == [true; 7] {
        return Ok("*".to_owned());
    }
    let names: Vec<&str> = WEEKDAYS.iter().zip(days).filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    Ok(names.join(","))
}

/// The days of a weekday field of crontab, from Sunday on: `1-5` is Monday to Friday, and both 0 and 7 are Sunday.
pub fn days(field: &str) -> Result<[bool; 7], String> {
    let mut days = [false; 7];
    for item in field.split(',') {
        let wrong = || format!("`{item}` is not a weekday, a range of weekdays or a step");
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0).ok_or_else(wrong)?),
            None => (item, 1),
        };
        let (first, last) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (0, 6),
            Some((first, last)) => {
                let (first, last) = (weekday(first).ok_or_else(wrong)?, weekday(last).ok_or_else(wrong)?);
                // Of names, Sunday may end a range.
                (first, if last == 0 && first > 0 { 7 } else { last })
            }
            None if step == 1 => weekday(range).map(|day| (day, day)).ok_or_else(wrong)?,
            // Crons differ on whether a step goes on from a single day.
            None => return Err(wrong()),
        };
        if first > last {
            return Err(wrong());
        }
        for day in (first..=last).step_by(step) {
            days[day % 7] = true;
        }
    }
    Ok(days)
}

/// 0 to 7, or by the first three letters of its name.
fn weekday(text: &str) -> Option<usize> {
    match text.parse() {
        Ok(number) if number <= 7 => Some(number),
        Ok(_) => None,
        Err(_) => WEEKDAYS.iter().position(|name| name.eq_ignore_ascii_case(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str, zone: &str) -> Schedule {
        Schedule::parse(text, TimeZone::get(zone).unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// The next times after an instant, as RFC 3339.
    fn next(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let schedule = schedule(text, zone);
        std::iter::successors(schedule.next_after(at(after)), |last| schedule.next_after(*last))
            .take(count)
            .map(|at| at.to_string())
            .collect()
    }

    fn refused(text: &str) -> String {
        Schedule::parse(text, TimeZone::UTC).unwrap_err().to_string()
    }

    #[test]
    fn weekdays_are_those_of_crontab() {
        // 2026-11-20 is a Friday.
        let days = |field: &str| {
            next(&format!("0 6 * * {field}"), "UTC", "2026-11-20T07:00:00Z", 7)
                .iter()
                .map(|at| at[8..10].to_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(days("1-5"), "23 24 25 26 27 30 01");
        assert_eq!(days("MON-FRI"), days("1-5"));
        assert_eq!(days("mon,tue,wed,thu,fri"), days("1-5"));
        assert_eq!(days("0"), "22 29 06 13 20 27 03");
        assert_eq!(days("7"), days("0"));
        assert_eq!(days("sun"), days("0"));
        assert_eq!(days("6,7"), "21 22 28 29 05 06 12");
        assert_eq!(days("5-7"), "21 22 27 28 29 04 05");
        assert_eq!(days("fri-sun"), days("5-7"));
        assert_eq!(days("*/2"), days("0,2,4,6"));
        assert_eq!(days("1-5/2"), days("1,3,5"));
        assert_eq!(days("0-7"), days("*"));
        assert_eq!(days("?"), days("*"));
        for (number, name) in WEEKDAYS.iter().enumerate() {
            assert_eq!(days(&number.to_string()), days(name), "{number}");
        }
    }

    #[test]
    fn five_fields_start_at_the_minute() {
        assert_eq!(
            next("*/20 6-7 * * *", "UTC", "2026-11-20T06:20:00Z", 4),
            ["2026-11-20T06:40:00Z", "2026-11-20T07:00:00Z", "2026-11-20T07:20:00Z", "2026-11-20T07:40:00Z"]
        );
        // After, and not at.
        assert_eq!(next("0 6 * * *", "UTC", "2026-11-20T05:59:59Z", 1), ["2026-11-20T06:00:00Z"]);
        assert_eq!(next("0 6 * * *", "UTC", "2026-11-20T06:00:00Z", 1), ["2026-11-21T06:00:00Z"]);
    }

    #[test]
    fn six_and_seven_fields_have_seconds_and_a_year() {
        assert_eq!(
            next("15,45 30 6 * * MON", "UTC", "2026-11-20T00:00:00Z", 2),
            ["2026-11-23T06:30:15Z", "2026-11-23T06:30:45Z"]
        );
        assert_eq!(
            next("0 0 0 1 1 ? 2028,2030", "UTC", "2026-11-20T00:00:00Z", 5),
            ["2028-01-01T00:00:00Z", "2030-01-01T00:00:00Z"]
        );
        assert!(refused("0 30 6 * * 1-5").contains("weekdays must be names"));
    }

    #[test]
    fn either_day_is_enough_when_both_are_given() {
        assert_eq!(
            next("0 0 13 * 5", "UTC", "2026-11-20T00:00:00Z", 5),
            [
                "2026-11-27T00:00:00Z",
                "2026-12-04T00:00:00Z",
                "2026-12-11T00:00:00Z",
                "2026-12-13T00:00:00Z",
                "2026-12-18T00:00:00Z"
            ]
        );
        // A star with a step restricts, but both must hold, as in crontab.
        assert_eq!(next("0 0 */10 * 5", "UTC", "2026-11-20T00:00:00Z", 1), ["2026-12-11T00:00:00Z"]);
    }

    #[test]
    fn times_are_those_of_the_zone() {
        assert_eq!(
            next("0 6 * * *", "Europe/Berlin", "2026-10-23T12:00:00Z", 3),
            ["2026-10-24T04:00:00Z", "2026-10-25T05:00:00Z", "2026-10-26T05:00:00Z"]
        );
        assert_eq!(next("0 1 * * 1", "Pacific/Auckland", "2026-11-20T00:00:00Z", 1), ["2026-11-22T12:00:00Z"]);
    }

    #[test]
    fn the_hour_that_is_skipped_comes_late_and_the_one_that_is_repeated_once() {
        // Clocks go from 02:00 to 03:00 at 01:00Z, and from 03:00 to 02:00 at 01:00Z.
        assert_eq!(
            next("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3),
            ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        );
        assert_eq!(
            next("*/30 1-3 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3),
            ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]
        );
        assert_eq!(
            next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
        // Asked within the repeated hour.
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1), ["2026-10-26T01:30:00Z"]);
    }

    #[test]
    fn rare_days_are_found() {
        assert_eq!(
            next("0 0 29 2 *", "UTC", "2026-11-20T00:00:00Z", 2),
            ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]
        );
        assert_eq!(next("@yearly", "UTC", "2026-11-20T00:00:00Z", 1), ["2027-01-01T00:00:00Z"]);
        assert_eq!(next("@weekly", "UTC", "2026-11-20T00:00:00Z", 1), ["2026-11-22T00:00:00Z"]);
        assert_eq!(schedule("@daily", "UTC").next_after(at("2100-12-31T12:00:00Z")), None);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "* * * *",
            "1 2 3 4 5 6 7 8",
            "60 * * * *",
            "* 24 * * *",
            "0 0 0 * *",
            "0 0 * 13 *",
            "0 0 * * 8",
            "0 0 * * 5-1",
            "0 0 * * 5/2",
            "0 0 * * */0",
            "0 0 * * monday!",
            "0 0 * * ,",
            "@reboot",
            "@hourly 5",
            "every day",
            "0 6 ? * MON-FRI *",
        ] {
            assert!(refused(text).starts_with(&format!("`{text}` is not a schedule: ")), "{text}");
            assert!(!refused(text).contains('\n'), "{text}");
        }
        assert_eq!(refused("0 0 31 2 *"), "`0 0 31 2 *` is not a schedule: no day is ever like that");
    }

    #[test]
    fn jitter_is_the_same_for_the_same_seed() {
        let plain = schedule("0 6 * * *", "UTC");
        let after = at("2026-11-20T12:00:00Z");
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let one = plain.clone().jittered(&format!("deployment-{seed}"), 600);
            let again = plain.clone().jittered(&format!("deployment-{seed}"), 600);
            let first = one.next_after(after).unwrap();
            assert_eq!(again.next_after(after), Some(first));
            let late = first.since(at("2026-11-21T06:00:00Z"));
            assert!((0..=600).contains(&late), "{late}");
            assert_eq!(one.next_after(first), Some(first.plus(86_400)));
            seen.insert(late);
        }
        assert!(seen.len() > 100, "{}", seen.len());
        assert_eq!(plain.clone().jittered("x", 0).next_after(after), plain.next_after(after));
    }
}
