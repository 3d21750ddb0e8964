//! Quiet hours of a channel: what is no page waits for their end.

use jiff::{ToSpan as _, tz::TimeZone};
use sweeper_core::model::Timestamp;

/// From one time of day to another, in a zone; it may go over midnight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// Minutes since midnight.
    from: i16,
    to: i16,
    zone: TimeZone,
}

impl Quiet {
    /// `20:00-07:00`.
    pub fn parse(text: &str, zone: TimeZone) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let minutes = |text: &str| {
            let (hours, minutes) = text.trim().split_once(':')?;
            let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            let (hours, minutes) = (digits(hours).then(|| hours.parse::<i16>().ok())??, {
                digits(minutes).then(|| minutes.parse::<i16>().ok())??
            });
            (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
        };
        let (from, to) = (minutes(from)?, minutes(to)?);
        (from != to).then_some(Self { from, to, zone })
    }

    /// When they end, where it is quiet at an instant.
    pub fn ends(&self, now: Timestamp) -> Option<Timestamp> {
        let local = jiff::Timestamp::from_second(now.0).ok()?.to_zoned(self.zone.clone());
        let minute = i16::from(local.hour()) * 60 + i16::from(local.minute());
        let over_midnight = self.from > self.to;
        let is_quiet = if over_midnight {
            minute >= self.from || minute < self.to
        } else {
            (self.from..self.to).contains(&minute)
        };
        if !is_quiet {
            return None;
        }
        let date =
            if over_midnight && minute >= self.from { local.date().checked_add(1.day()).ok()? } else { local.date() };
        let ends = date.at((self.to / 60) as i8, (self.to % 60) as i8, 0, 0).to_zoned(self.zone.clone()).ok()?;
        // A clock that is put back may say the same time twice.
        Some(Timestamp(ends.timestamp().as_second().max(now.0 + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn it_is_quiet_over_midnight_in_its_zone() {
        // An hour ahead of UTC in winter.
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let quiet = Quiet::parse("20:00-07:00", zone.clone()).unwrap();
        for (now, ends) in [
            ("2026-11-27T18:59:59Z", None),
            ("2026-11-27T19:00:00Z", Some("2026-11-28T06:00:00Z")),
            ("2026-11-27T23:30:00Z", Some("2026-11-28T06:00:00Z")),
            ("2026-11-28T05:59:59Z", Some("2026-11-28T06:00:00Z")),
            ("2026-11-28T06:00:00Z", None),
            // Over the night in which clocks are put forward.
            ("2027-03-27T22:00:00Z", Some("2027-03-28T05:00:00Z")),
        ] {
            assert_eq!(quiet.ends(at(now)), ends.map(at), "{now}");
        }
        let noon = Quiet::parse("12:00-13:30", TimeZone::UTC).unwrap();
        assert_eq!(noon.ends(at("2026-11-27T13:29:00Z")), Some(at("2026-11-27T13:30:00Z")));
        assert_eq!(noon.ends(at("2026-11-27T13:30:00Z")), None);
        for wrong in ["", "20:00", "20-07", "24:00-07:00", "20:00-20:00", "20:60-07:00", "2000-0700", "+1:00-02:00"] {
            assert_eq!(Quiet::parse(wrong, zone.clone()), None, "{wrong}");
        }
    }
}
