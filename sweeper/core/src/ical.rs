//! The part of iCalendar (RFC 5545) that freezes and holidays need: events with a start and an end.
//!
//! What is not understood is an error and never left out: an event that repeats (`RRULE`) would otherwise be a freeze
//! that nobody keeps. Whoever reads a file treats an error as a freeze.

use crate::{
    calendar::{end_of_date, instant, start_of_date},
    model::Timestamp,
};
use jiff::{
    civil::{Date, DateTime},
    tz::TimeZone,
};

/// The longest text that is read, bytes.
pub const LARGEST: usize = 4 << 20;
/// The most events that are read.
const MOST: usize = 10_000;
/// Properties of an event that change when it is, and that are not understood here.
const UNSUPPORTED: &[&str] = &["RRULE", "RDATE", "EXDATE", "EXRULE", "RECURRENCE-ID", "DURATION"];

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
    /// The days of one that lasts whole days: the first, and the first after. Its instants are then those of these
    /// days wherever on earth.
    pub days: Option<(Date, Date)>,
    pub summary: String,
}

/// Reads a calendar. `zone` knows time zones by name; times without one are of `local`.
///
/// # Errors
/// With the line, where anything is not understood or the text ends too soon.
pub fn events(text: &str, local: &TimeZone, zone: &dyn Fn(&str) -> Option<TimeZone>) -> Result<Vec<Event>, String> {
    if text.len() > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    let mut events = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut calendars = 0;
    let mut draft = Draft::default();
    for (number, line) in unfolded(text) {
        let at = |why: String| format!("line {number}: {why}");
        let Some(property) = Property::read(&line) else {
            return Err(at("it is no iCalendar property".to_owned()));
        };
        match property.name.as_str() {
            "BEGIN" => {
                let what = property.value.to_ascii_uppercase();
                if open.is_empty() != (what == "VCALENDAR") {
                    return Err(at(format!("`{what}` cannot begin here")));
                }
                calendars += usize::from(open.is_empty());
                if what == "VEVENT" {
                    draft = Draft::default();
                }
                open.push(what);
            }
            "END" => {
                let what = property.value.to_ascii_uppercase();
                if open.pop().as_ref() != Some(&what) {
                    return Err(at(format!("`{what}` ends, and did not begin")));
                }
                if what == "VEVENT" {
                    events.extend(std::mem::take(&mut draft).finished().map_err(at)?);
                    if events.len() > MOST {
                        return Err(at(format!("there are more than {MOST} events")));
                    }
                }
            }
            _ if open.is_empty() => return Err(at("it stands outside of a calendar".to_owned())),
            _ if open.last().is_some_and(|what| what == "VEVENT") => {
                draft.take(&property, local, zone).map_err(at)?;
            }
            // Zones are taken from the machine, by name; alarms and tasks freeze nothing.
            _ => {}
        }
    }
    if calendars == 0 {
        return Err("it is no iCalendar file".to_owned());
    }
    match open.last() {
        Some(what) => Err(format!("`{what}` does not end: the file is cut short")),
        None => Ok(events),
    }
}

/// Lines put together again where they were folded, with the number of their first.
fn unfolded(text: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty()).peekable();
    std::iter::from_fn(move || {
        let (at, line) = lines.next()?;
        let mut whole = line.to_owned();
        while let Some((_, more)) = lines.next_if(|(_, next)| next.starts_with([' ', '\t'])) {
            whole.push_str(&more[1..]);
        }
        Some((at + 1, whole))
    })
}

/// `NAME;PARAMETER=value:value`.
struct Property<'a> {
    name: String,
    parameters: Vec<(String, &'a str)>,
    value: &'a str,
}

impl<'a> Property<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut quoted = false;
        let colon = line.find(|letter| {
            quoted ^= letter == '"';
            letter == ':' && !quoted
        })?;
        let (head, value) = (&line[..colon], line[colon + 1..].trim_end());
        let mut parts = head.split(';');
        let name = parts.next()?.to_ascii_uppercase();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return None;
        }
        let parameters = parts
            .map(|part| part.split_once('=').map(|(key, own)| (key.to_ascii_uppercase(), own.trim_matches('"'))))
            .collect::<Option<Vec<_>>>()?;
        Some(Self { name, parameters, value })
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }
}

/// When an event starts or ends.
#[derive(Clone, Copy)]
enum When {
    Day(Date),
    At(Timestamp),
}

impl When {
    fn read(
        property: &Property<'_>,
        local: &TimeZone,
        zone: &dyn Fn(&str) -> Option<TimeZone>,
    ) -> Result<Self, String> {
        let text = property.value;
        let wrong = || format!("`{text}` is no date or time");
        let digits = |text: &str| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
        let date = |text: &str| {
            let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<i16>().ok();
            let small = |range: std::ops::Range<usize>| i8::try_from(part(range)?).ok();
            Date::new(part(0..4)?, small(4..6)?, small(6..8)?).ok()
        };
        if digits(text) {
            return date(text).map(Self::Day).ok_or_else(wrong);
        }
        let (day, time) = text.split_once('T').filter(|(day, _)| digits(day)).ok_or_else(wrong)?;
        let (time, utc) = time.strip_suffix('Z').map_or((time, false), |time| (time, true));
        if time.len() != 6 || !time.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let part = |range: std::ops::Range<usize>| time.get(range)?.parse::<i8>().ok();
        let at = date(day).and_then(|date| {
            // A leap second is the next second.
            let (hour, minute, second) = (part(0..2)?, part(2..4)?, part(4..6)?.min(59));
            Some(DateTime::from_parts(date, jiff::civil::Time::new(hour, minute, second, 0).ok()?))
        });
        let at = at.ok_or_else(wrong)?;
        let zone = match property.parameter("TZID") {
            _ if utc => TimeZone::UTC,
            Some(name) => zone(name).ok_or_else(|| format!("the time zone `{name}` is not known"))?,
            None => local.clone(),
        };
        instant(&zone, at).map(Self::At).ok_or_else(wrong)
    }
}

/// An event of which not all is read yet.
#[derive(Default)]
struct Draft {
    start: Option<When>,
    end: Option<When>,
    summary: String,
    cancelled: bool,
}

impl Draft {
    fn take(
        &mut self,
        property: &Property<'_>,
        local: &TimeZone,
        zone: &dyn Fn(&str) -> Option<TimeZone>,
    ) -> Result<(), String> {
        match property.name.as_str() {
            "DTSTART" => self.start = Some(When::read(property, local, zone)?),
            "DTEND" => self.end = Some(When::read(property, local, zone)?),
            "SUMMARY" => self.summary = unescaped(property.value),
            "STATUS" => self.cancelled = property.value.eq_ignore_ascii_case("CANCELLED"),
            name if UNSUPPORTED.contains(&name) => {
                return Err(format!("`{name}` is not supported: write out each event with `DTSTART` and `DTEND`"));
            }
            _ => {}
        }
        Ok(())
    }

    fn finished(self) -> Result<Option<Event>, String> {
        if self.cancelled {
            return Ok(None);
        }
        let odd = || "the event does not end after it starts".to_owned();
        let (from, until, days) = match (self.start, self.end) {
            (None, _) => return Err("the event has no `DTSTART`".to_owned()),
            (Some(When::Day(first)), end) => {
                let after = match end {
                    None => first.tomorrow().map_err(|_| odd())?,
                    Some(When::Day(after)) if after > first => after,
                    Some(_) => return Err(odd()),
                };
                let last = after.yesterday().map_err(|_| odd())?;
                let span = start_of_date(first).zip(end_of_date(last)).ok_or_else(odd)?;
                (span.0, span.1, Some((first, after)))
            }
            (Some(When::At(from)), Some(When::At(until))) if until > from => (from, until, None),
            (Some(When::At(_)), None) => return Err("the event has no `DTEND`".to_owned()),
            (Some(When::At(_)), Some(_)) => return Err(odd()),
        };
        let summary = if self.summary.is_empty() { "calendar".to_owned() } else { self.summary };
        Ok(Some(Event { from, until, days, summary }))
    }
}

/// A text value: escapes resolved, on one line.
fn unescaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n' | 'N') => out.push(' '),
                Some(other) => out.push(other),
                None => {}
            },
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn read(text: &str) -> Result<Vec<Event>, String> {
        let zones =
            |name: &str| (name == "Europe/Berlin").then(|| TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
        events(text, &TimeZone::UTC, &zones)
    }

    fn event(lines: &str) -> String {
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n{lines}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn events_are_read() {
        let one = |lines: &str| read(&event(lines)).unwrap().remove(0);
        let day = one(
            "UID:1\r\nDTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261227\r\nSUMMARY:Christmas\\, all\r\n  of it",
        );
        assert_eq!(day.summary, "Christmas, all of it");
        assert_eq!(day.days, Some((date(2026, 12, 24), date(2026, 12, 27))));
        // Wherever on earth.
        assert_eq!((day.from, day.until), (at("2026-12-23T10:00:00Z"), at("2026-12-27T12:00:00Z")));
        assert_eq!(one("DTSTART;VALUE=DATE:20261224").days, Some((date(2026, 12, 24), date(2026, 12, 25))));
        let zoned = one("DTSTART;TZID=\"Europe/Berlin\":20260701T080000\nDTEND:20260701T100000Z");
        assert_eq!((zoned.from, zoned.until), (at("2026-07-01T06:00:00Z"), at("2026-07-01T10:00:00Z")));
        let floating = one("dtstart:20260701T080000\ndtend:20260701T080001");
        assert_eq!((floating.from, floating.summary.as_str()), (at("2026-07-01T08:00:00Z"), "calendar"));
        assert_eq!(read(&event("STATUS:CANCELLED\nDTSTART;VALUE=DATE:20261224")).unwrap(), []);
        // A zone's own rules and an alarm are of no concern.
        let text = "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:x\nBEGIN:STANDARD\nRRULE:FREQ=YEARLY\nEND:STANDARD\nEND:VTIMEZONE\n\
                    BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261224\nBEGIN:VALARM\nDURATION:PT1H\nEND:VALARM\nEND:VEVENT\nEND:VCALENDAR\n";
        assert_eq!(read(text).unwrap().len(), 1);
        assert_eq!(read("BEGIN:VCALENDAR\nEND:VCALENDAR").unwrap(), []);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for (lines, says) in [
            ("DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=YEARLY", "line 5: `RRULE` is not supported"),
            ("DTSTART:20261224T100000Z\nDURATION:PT1H", "`DURATION` is not supported"),
            ("DTSTART:20261224T100000Z", "has no `DTEND`"),
            ("SUMMARY:x", "has no `DTSTART`"),
            ("DTSTART:20261224T100000Z\nDTEND:20261224T100000Z", "does not end after it starts"),
            ("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261224", "does not end after it starts"),
            ("DTSTART;VALUE=DATE:20261224\nDTEND:20261225T100000Z", "does not end after it starts"),
            ("DTSTART;VALUE=DATE:20261324", "`20261324` is no date or time"),
            ("DTSTART:20261224T256000Z\nDTEND:20261225T100000Z", "is no date or time"),
            ("DTSTART;TZID=Mars/Base:20261224T100000\nDTEND:20261225T100000Z", "time zone `Mars/Base` is not known"),
            ("DTSTART;TZID:20261224T100000", "no iCalendar property"),
            ("hello", "line 4: it is no iCalendar property"),
            ("BEGIN:VCALENDAR", "cannot begin here"),
            ("END:VTODO", "ends, and did not begin"),
        ] {
            let error = read(&event(lines)).unwrap_err();
            assert!(error.contains(says), "{lines}: {error}");
        }
        assert!(read("").unwrap_err().contains("no iCalendar file"));
        assert!(read("<html>").unwrap_err().contains("no iCalendar property"));
        assert!(read("X:1").unwrap_err().contains("outside of a calendar"));
        // Cut anywhere, it is never a shorter calendar.
        let text = event("DTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261227\r\nSUMMARY:é");
        let whole = text.trim_end().len();
        for cut in (0..whole).filter(|cut| text.is_char_boundary(*cut)) {
            assert!(read(&text[..cut]).is_err(), "{cut}");
        }
    }
}
