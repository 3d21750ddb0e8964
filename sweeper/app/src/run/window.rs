//! The hours in which a schedule may run: `MON-FRI 06:00-20:00`, in the schedule's zone.

use super::schedule::days;
use jiff::{
    ToSpan,
    civil::{Date, Time},
    tz::TimeZone,
};
use sweeper_core::model::Timestamp;

/// Some hours of some days of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    /// From Sunday on.
    days: [bool; 7],
    from: Time,
    /// Not later than `from`: the window ends on the day after. `None`: at midnight.
    to: Option<Time>,
}

/// When a schedule may run: in any of its windows; without one, always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    windows: Vec<Window>,
    zone: TimeZone,
}

impl Windows {
    /// Never closed.
    pub fn always(zone: TimeZone) -> Self {
        Self { windows: Vec::new(), zone }
    }

    /// One more: days by name or number as crontab has them, every day where none is written, then a part of a day, which
    /// may reach over midnight. An error says what is wrong.
    pub fn and(mut self, text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no window: write `MON-FRI 06:00-20:00`, or `22:00-04:00` for every day");
        let mut words = text.split_whitespace();
        let (week, hours) = match (words.next(), words.next(), words.next()) {
            (Some(hours), None, _) => ("*", hours),
            (Some(week), Some(hours), None) => (week, hours),
            _ => return Err(wrong()),
        };
        let days = days(week)?;
        let (from, to) = hours.split_once('-').ok_or_else(wrong)?;
        let from = clock(from).ok_or_else(wrong)?;
        let to = if to == "24:00" { None } else { Some(clock(to).ok_or_else(wrong)?) };
        if to == Some(from) {
            return Err(format!("the window `{text}` ends when it begins: a whole day is `00:00-24:00`"));
        }
        self.windows.push(Window { days, from, to });
        Ok(self)
    }

    /// Whether an instant is in a window.
    pub fn is_open(&self, at: Timestamp) -> bool {
        let Some(now) = self.civil(at) else { return true };
        let (date, time) = (now.date(), now.time());
        let on = |window: &Window, date: Date| window.days[usize::from(date.weekday().to_sunday_zero_offset() as u8)];
        self.windows.is_empty()
            || self.windows.iter().any(|window| match window.to {
                None => on(window, date) && time >= window.from,
                Some(to) if to > window.from => on(window, date) && time >= window.from && time < to,
                // Over midnight: it belongs to the day on which it begins.
                Some(to) => {
                    (on(window, date) && time >= window.from)
                        || (time < to && date.yesterday().is_ok_and(|before| on(window, before)))
                }
            })
    }

    /// When a window next opens, for people to read: what is done is decided by [`Self::is_open`].
    pub fn opens_after(&self, at: Timestamp) -> Option<Timestamp> {
        let today = self.civil(at)?.date();
        let opens = today.series(1.day()).take(9).flat_map(|date| {
            self.windows.iter().filter_map(move |window| {
                let opens = date.to_datetime(window.from).to_zoned(self.zone.clone()).ok()?;
                Some(Timestamp(opens.timestamp().as_second()))
            })
        });
        opens.filter(|opens| *opens > at && self.is_open(*opens)).min()
    }

    fn civil(&self, at: Timestamp) -> Option<jiff::civil::DateTime> {
        Some(self.zone.to_datetime(jiff::Timestamp::from_second(at.0).ok()?))
    }
}

/// `06:00`.
fn clock(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let part = |text: &str| text.parse::<i8>().ok().filter(|_| text.len() == 2 && text.as_bytes()[0] != b'-');
    Time::new(part(hour)?, part(minute)?, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(texts: &[&str], zone: &str) -> Windows {
        texts.iter().fold(Windows::always(TimeZone::get(zone).unwrap()), |known, text| known.and(text).unwrap())
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_window_has_its_days_and_hours() {
        let office = windows(&["MON-FRI 06:00-20:00"], "Europe/Berlin");
        // 2026-11-20 is a Friday, and Berlin an hour ahead.
        for (instant, open) in [
            ("2026-11-20T04:59:59Z", false),
            ("2026-11-20T05:00:00Z", true),
            ("2026-11-20T18:59:59Z", true),
            ("2026-11-20T19:00:00Z", false),
            ("2026-11-21T10:00:00Z", false),
            ("2026-11-23T05:00:00Z", true),
        ] {
            assert_eq!(office.is_open(at(instant)), open, "{instant}");
        }
        assert_eq!(office.opens_after(at("2026-11-20T19:00:00Z")), Some(at("2026-11-23T05:00:00Z")));
        let always = windows(&[], "UTC");
        assert!(always.is_open(at("2026-11-21T10:00:00Z")));
        assert_eq!(always.opens_after(at("2026-11-21T10:00:00Z")), None);
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = windows(&["FRI 22:00-04:00"], "UTC");
        for (instant, open) in [
            ("2026-11-20T03:00:00Z", false),
            ("2026-11-20T22:00:00Z", true),
            ("2026-11-21T03:59:59Z", true),
            ("2026-11-21T04:00:00Z", false),
            ("2026-11-21T22:00:00Z", false),
        ] {
            assert_eq!(night.is_open(at(instant)), open, "{instant}");
        }
        let rest = windows(&["0,6 00:00-24:00", "20:00-24:00"], "UTC");
        assert!(rest.is_open(at("2026-11-22T12:00:00Z")) && rest.is_open(at("2026-11-20T23:59:59Z")));
        assert!(!rest.is_open(at("2026-11-20T12:00:00Z")));
        assert_eq!(rest.opens_after(at("2026-11-20T12:00:00Z")), Some(at("2026-11-20T20:00:00Z")));
    }

    #[test]
    fn clocks_that_are_put_forward_and_back_keep_the_civil_hours() {
        // Berlin: forward at 2026-03-29T01:00Z, back at 2026-10-25T01:00Z.
        let night = windows(&["02:30-05:00"], "Europe/Berlin");
        assert!(!night.is_open(at("2026-03-29T00:59:59Z")));
        assert!(night.is_open(at("2026-03-29T01:00:00Z")), "03:00, when half past two has passed");
        assert!(!night.is_open(at("2026-03-29T03:00:00Z")));
        // Half past two comes twice.
        assert!(night.is_open(at("2026-10-25T00:30:00Z")));
        assert!(!night.is_open(at("2026-10-25T01:10:00Z")), "02:10 again");
        assert!(night.is_open(at("2026-10-25T01:30:00Z")));
        assert_eq!(night.opens_after(at("2026-03-28T12:00:00Z")), Some(at("2026-03-29T01:30:00Z")));
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in [
            "",
            "MON-FRI",
            "6-20",
            "06:00",
            "06:00-20",
            "06:00 - 20:00",
            "06:00-06:00",
            "24:00-06:00",
            "06:00-24:01",
            "-1:00-06:00",
            "MON FRI 06:00-20:00",
            "FRI-MON 06:00-20:00",
            "MONDAY! 06:00-20:00",
        ] {
            assert!(windows(&[], "UTC").and(text).is_err(), "{text}");
        }
    }
}
