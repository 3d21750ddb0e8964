//! `[calendar]`, `[[calendar.scope]]` and `[[freeze]]`: when things are done, and when not.
//!
//! A calendar file that cannot be read is no problem of the config: everything is frozen until it can be.

use super::{Reader, Span, Table};
use jiff::{
    civil::{Date, Time},
    tz::TimeZone,
};
use std::{fs::File, io::Read as _, path::Path};
use sweeper_core::{
    calendar::{Calendar, DAYS, Freeze, Hours, Week, end_of_date, start_of_date},
    ical::{self, Event},
    model::Timestamp,
};
use toml::{Spanned, de::DeValue};

const CALENDAR: &[&str] = &["zone", "work_days", "act_days", "hours", "holidays", "holidays_file", "scope"];
const PLACE: &[&str] = &["accounts", "zone", "work_days", "act_days", "hours", "holidays", "holidays_file"];
const FREEZE: &[&str] = &["from", "until", "scopes", "reason", "file"];

impl Reader<'_> {
    pub(super) fn calendar(&mut self, table: &Table<'_>, calendar: &mut Calendar) {
        if let Some(own) = self.table(table, "calendar") {
            self.known(own, CALENDAR);
            self.hours(own, &mut calendar.hours, &mut calendar.unreadable);
            for (_, place) in self.tables(own, "scope") {
                self.known(place, PLACE);
                let mut hours = calendar.hours.clone();
                self.hours(place, &mut hours, &mut calendar.unreadable);
                let accounts = self.list(place, "accounts");
                if place.contains_key("accounts") {
                    calendar.places.push((accounts, hours));
                } else {
                    self.missing::<()>(place, "accounts", "calendar.scope");
                }
            }
        }
        for (span, freeze) in self.tables(table, "freeze") {
            self.freeze(span, freeze, calendar);
        }
    }

    /// What is not written stays as it is.
    fn hours(&mut self, table: &Table<'_>, hours: &mut Hours, unreadable: &mut Option<String>) {
        if let (Some(name), Some(value)) = (self.string(table, "zone"), table.get("zone")) {
            match TimeZone::get(&name) {
                Ok(zone) => hours.zone = zone,
                Err(_) => self.wrong(value, format!("`{name}` is no time zone")),
            }
        }
        for (key, week) in [("work_days", &mut hours.work_days), ("act_days", &mut hours.act_days)] {
            if table.contains_key(key) {
                self.week(table, key, week);
            }
        }
        if let (Some(text), Some(value)) = (self.string(table, "hours"), table.get("hours")) {
            let window = text.split_once('-').and_then(|(from, to)| clock(from).zip(clock(to)));
            match window.filter(|(from, to)| from < to) {
                Some(window) => hours.window = window,
                None => self.wrong(value, "`hours` is a part of a day: `09:00-16:00`"),
            }
        }
        if let Some(value) = table.get("holidays") {
            let Some(items) = value.get_ref().as_array() else {
                return self.wrong(value, "`holidays` is a list of dates: `[2026-12-25]`");
            };
            for item in items {
                match day(&written(item)) {
                    Some(date) => {
                        hours.holidays.insert(date);
                    }
                    None => self.wrong(item, "a holiday is a date: `2026-12-25`"),
                }
            }
        }
        if let Some(path) = self.string(table, "holidays_file") {
            match events(&self.beside.join(&path), &hours.zone).and_then(|events| days_of(&events)) {
                Ok(dates) => hours.holidays.extend(dates),
                Err(why) => *unreadable = Some(format!("{path}: {why}")),
            }
        }
    }

    fn week(&mut self, table: &Table<'_>, key: &str, week: &mut Week) {
        *week = Week::default();
        for name in self.list(table, key) {
            if let Some(day) = DAYS.iter().position(|day| *day == name) {
                week[day] = true;
            } else if let Some(value) = table.get(key) {
                self.problem(value.span(), format!("`{name}` is no day"), Some(format!("one of: {}", DAYS.join(", "))));
            }
        }
    }

    fn freeze(&mut self, span: Span, table: &Table<'_>, calendar: &mut Calendar) {
        self.known(table, FREEZE);
        let before = self.problems.len();
        let scopes = self.list(table, "scopes");
        let reason = self.string(table, "reason");
        if let Some(path) = self.string(table, "file") {
            for key in ["from", "until"] {
                if let Some(value) = table.get(key) {
                    self.wrong(value, format!("a freeze with `file` has no `{key}`"));
                }
            }
            let zone = calendar.hours.zone.clone();
            match events(&self.beside.join(&path), &zone) {
                Ok(events) => calendar.freezes.extend(events.into_iter().map(|event| Freeze {
                    from: event.from,
                    until: event.until,
                    scopes: scopes.clone(),
                    reason: reason.clone().unwrap_or(event.summary),
                })),
                Err(why) => calendar.unreadable = Some(format!("{path}: {why}")),
            }
            return;
        }
        let from = self.instant(table, "from", start_of_date);
        let until = self.instant(table, "until", end_of_date);
        if self.problems.len() > before {
            return;
        }
        for key in ["from", "until", "reason"].into_iter().filter(|key| !table.contains_key(*key)) {
            let help = "or `file = \"freezes.ics\"`, whose every event is a freeze".to_owned();
            self.problem(span.clone(), format!("a freeze needs `{key}`"), Some(help));
        }
        let (Some(from), Some(until), Some(reason)) = (from, until, reason) else { return };
        if until <= from {
            self.problem(span, "the freeze ends before it begins", None);
            return;
        }
        calendar.freezes.push(Freeze { from, until, scopes, reason });
    }

    /// A date, wherever on earth, or an instant with its zone.
    fn instant(
        &mut self,
        table: &Table<'_>,
        key: &str,
        of_date: impl Fn(Date) -> Option<Timestamp>,
    ) -> Option<Timestamp> {
        let value = table.get(key)?;
        let text = written(value);
        let at = day(&text).and_then(of_date).or_else(|| Timestamp::parse(&text));
        if at.is_none() {
            let help = "write `2026-12-24`, or `2026-12-24T18:00:00+01:00`".to_owned();
            self.problem(value.span(), format!("`{key}` is a date, or a time with its zone"), Some(help));
        }
        at
    }
}

/// A date or a text, as it is written.
fn written(value: &Spanned<DeValue<'_>>) -> String {
    match value.get_ref() {
        DeValue::Datetime(at) => at.to_string(),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}

fn day(text: &str) -> Option<Date> {
    text.parse().ok().filter(|_| text.len() == 10)
}

/// `09:00`; `24:00` is the end of the day.
fn clock(text: &str) -> Option<Time> {
    if text.trim() == "24:00" {
        return Some(Time::MAX);
    }
    let (hour, minute) = text.trim().split_once(':')?;
    let part = |text: &str| text.parse::<i8>().ok().filter(|_| text.len() == 2);
    Time::new(part(hour)?, part(minute)?, 0, 0).ok()
}

fn events(path: &Path, zone: &TimeZone) -> Result<Vec<Event>, String> {
    let mut bytes = Vec::new();
    let limit = ical::LARGEST as u64 + 1;
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is no UTF-8 text".to_owned())?;
    ical::events(&text, zone, &|name| TimeZone::get(name).ok())
}

/// Every day of events that last whole days.
fn days_of(events: &[Event]) -> Result<Vec<Date>, String> {
    let mut dates = Vec::new();
    for event in events {
        let Some((mut date, after)) = event.days else {
            return Err(format!("`{}` does not last whole days, as a holiday does", event.summary));
        };
        while date < after {
            dates.push(date);
            date = date.tomorrow().map_err(|error| error.to_string())?;
        }
    }
    Ok(dates)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::{fs, path::Path};
    use sweeper_core::model::{CloudId, Scope, Timestamp};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn read(text: &str, beside: &Path) -> Config {
        Config::parse("sweeper.toml", text, beside).unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    #[test]
    fn calendars_and_freezes_are_read() {
        let text = "[calendar]\nzone = \"Europe/Berlin\"\nholidays = [2026-12-25]\nhours = \"00:00-24:00\"\n\
                    [[calendar.scope]]\naccounts = [\"gcp:*\"]\nzone = \"America/New_York\"\nact_days = [\"sat\"]\n\
                    [[freeze]]\nfrom = 2026-12-20\nuntil = 2027-01-03\nscopes = [\"aws:*\"]\nreason = \"year end\"\n";
        let calendar = read(text, Path::new("")).house.calendar;
        let aws = Scope::new(CloudId::Aws, "111122223333", "eu-west-1");
        let gcp = Scope::new(CloudId::Gcp, "shop", "us-east1");
        // A Monday at night.
        assert!(calendar.may_act(&aws, at("2026-11-02T22:30:00Z")).is_ok());
        assert!(calendar.may_act(&gcp, at("2026-11-02T22:30:00Z")).is_err());
        assert!(calendar.may_act(&gcp, at("2026-11-07T22:30:00Z")).is_ok());
        // Dates hold wherever on earth.
        assert!(calendar.frozen(&aws, at("2026-12-19T10:00:00Z")).is_some());
        assert!(calendar.frozen(&aws, at("2027-01-04T11:59:59Z")).is_some());
        assert!(calendar.frozen(&aws, at("2027-01-04T12:00:00Z")).is_none());
        assert!(calendar.frozen(&gcp, at("2026-12-25T10:00:00Z")).is_none());
    }

    #[test]
    fn a_calendar_file_that_cannot_be_read_freezes_everything() {
        let beside = std::env::temp_dir().join(format!("sweeper-calendar-{}", std::process::id()));
        fs::create_dir_all(&beside).unwrap();
        let scope = Scope::new(CloudId::Aws, "111122223333", "eu-west-1");
        let frozen = |ics: Option<&str>| {
            match ics {
                Some(ics) => fs::write(beside.join("f.ics"), ics).unwrap(),
                None => drop(fs::remove_file(beside.join("f.ics"))),
            }
            let calendar = read("[[freeze]]\nfile = \"f.ics\"\n", &beside).house.calendar;
            calendar.frozen(&scope, at("2026-12-24T10:00:00Z"))
        };
        let event = |lines: &str| format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n");
        assert!(frozen(None).unwrap().starts_with("frozen: the calendar cannot be read: f.ics: "));
        let christmas = event("DTSTART;VALUE=DATE:20261224\nSUMMARY:Christmas");
        assert_eq!(frozen(Some(&christmas)).unwrap(), "frozen: Christmas, until 2026-12-25T12:00:00Z");
        assert_eq!(frozen(Some(&event("DTSTART;VALUE=DATE:20260624"))), None);
        assert!(frozen(Some(&event("DTSTART;VALUE=DATE:20260624\nRRULE:FREQ=DAILY"))).unwrap().contains("`RRULE`"));
        fs::remove_dir_all(&beside).unwrap();
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for text in [
            "[calendar]\nzone = \"Mars/Base\"\n",
            "[calendar]\nhours = \"16:00-09:00\"\n",
            "[calendar]\nact_days = [\"monday\"]\n",
            "[calendar]\nholidays = [\"christmas\"]\n",
            "[[calendar.scope]]\nzone = \"UTC\"\n",
            "[[freeze]]\nfrom = 2026-12-20\n",
            "[[freeze]]\nfrom = 2026-12-20\nuntil = 2026-12-01\nreason = \"x\"\n",
            "[[freeze]]\nfrom = 2026-12-20T10:00:00\nuntil = 2026-12-21\nreason = \"x\"\n",
            "[[freeze]]\nfile = \"f.ics\"\nfrom = 2026-12-20\n",
            "[[freeze]]\nfrom = 2026-12-20\nuntil = 2026-12-21\nreason = \"x\"\nscopes = []\n",
            "[[channel]]\nname = \"a\"\n",
            "[[channel]]\nfile = \"out\"\n",
            "[[channel]]\nname = \"a,b\"\nfile = \"out\"\n",
            "[[channel]]\nname = \"a\"\nfile = \"out\"\ncommand = [\"mail\"]\n",
            "[[channel]]\nname = \"a\"\nfile = \"out\"\n[[channel]]\nname = \"a\"\nfile = \"out\"\n",
        ] {
            assert!(Config::parse("sweeper.toml", text, Path::new("")).is_err(), "{text}");
        }
    }
}
