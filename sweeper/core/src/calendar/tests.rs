use super::*;
use crate::model::CloudId;
use proptest::prelude::*;

/// Central European time, without a time zone database.
fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn scope() -> Scope {
    Scope::new(CloudId::Aws, "111122223333", "eu-west-1")
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn calendar() -> Calendar {
    Calendar { hours: Hours { zone: berlin(), ..Hours::default() }, ..Calendar::default() }
}

fn freeze(from: &str, until: &str, scopes: &[&str]) -> Freeze {
    Freeze {
        from: at(from),
        until: at(until),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        reason: "year end".to_owned(),
    }
}

#[test]
fn things_are_done_in_the_hours_of_the_account() {
    let mut calendar = calendar();
    let open = |calendar: &Calendar, now: &str| calendar.may_act(&scope(), at(now)).is_ok();
    // Monday 2026-11-02: nine in the morning there is eight in UTC.
    assert!(!open(&calendar, "2026-11-02T07:59:59Z"));
    assert!(open(&calendar, "2026-11-02T08:00:00Z"));
    assert!(open(&calendar, "2026-11-02T14:59:59Z"));
    assert!(!open(&calendar, "2026-11-02T15:00:00Z"));
    // In summer seven.
    assert!(open(&calendar, "2026-07-06T07:00:00Z"));
    // Friday, and the weekend.
    let why = calendar.may_act(&scope(), at("2026-11-06T10:00:00Z")).unwrap_err();
    assert_eq!(why.reason, "closed: things are done mon tue wed thu 09:00-16:00 local time");
    assert_eq!(why.next, Some(at("2026-11-09T08:00:00Z")));
    // A holiday.
    calendar.hours.holidays.insert(jiff::civil::date(2026, 11, 9));
    let why = calendar.may_act(&scope(), at("2026-11-09T10:00:00Z")).unwrap_err();
    assert_eq!((why.reason.as_str(), why.next), ("closed: 2026-11-09 is a holiday", Some(at("2026-11-10T08:00:00Z"))));
    // An account elsewhere.
    let west = Hours { zone: TimeZone::posix("PST8PDT,M3.2.0,M11.1.0").unwrap(), ..Hours::default() };
    calendar.places.push((vec!["aws:4444*".to_owned()], west));
    let there = Scope::new(CloudId::Aws, "444455556666", "us-west-2");
    assert!(calendar.may_act(&there, at("2026-11-09T18:00:00Z")).is_ok());
    assert!(calendar.may_act(&there, at("2026-11-10T08:00:00Z")).is_err());
    // A calendar with no such day never opens.
    calendar.hours.act_days = [false; 7];
    assert_eq!(calendar.may_act(&scope(), at("2026-11-10T10:00:00Z")).unwrap_err().next, None);
}

#[test]
fn a_freeze_holds_where_it_says_and_what_cannot_be_read_holds_everywhere() {
    let mut calendar = calendar();
    calendar.freezes.push(freeze("2026-12-14T00:00:00Z", "2026-12-16T00:00:00Z", &["aws:1111*"]));
    calendar.freezes.push(freeze("2026-12-15T00:00:00Z", "2026-12-22T09:00:00Z", &[]));
    let now = at("2026-12-15T10:00:00Z");
    assert_eq!(calendar.frozen(&scope(), now).unwrap(), "frozen: year end, until 2026-12-22T09:00:00Z");
    let why = calendar.may_act(&scope(), now).unwrap_err();
    assert_eq!(why.next, Some(at("2026-12-22T09:00:00Z")));
    let other = Scope::new(CloudId::Gcp, "shop", "europe-west1");
    assert_eq!(calendar.frozen(&other, at("2026-12-14T10:00:00Z")), None);
    assert!(calendar.frozen(&scope(), at("2026-12-14T10:00:00Z")).is_some());
    // Its end is not in it.
    assert_eq!(calendar.frozen(&scope(), at("2026-12-22T09:00:00Z")), None);
    calendar.unreadable = Some("freezes.ics: no such file".to_owned());
    assert_eq!(
        calendar.may_act(&other, at("2026-12-01T10:00:00Z")).unwrap_err(),
        Why { reason: "frozen: the calendar cannot be read: freezes.ics: no such file".to_owned(), next: None }
    );
    assert_eq!(calendar.grace_ends(now, DAY, &scope()), None);
}

#[test]
fn grace_counts_working_days() {
    let mut calendar = calendar();
    let ends = |calendar: &Calendar, told: &str, grace: i64| {
        calendar.grace_ends(at(told), grace, &scope()).unwrap().to_string()
    };
    // Monday at eleven and seven working days: Wednesday of the next week.
    assert_eq!(ends(&calendar, "2026-11-02T10:00:00Z", 7 * DAY), "2026-11-11T10:00:00Z");
    // Friday evening and one day: Monday evening.
    assert_eq!(ends(&calendar, "2026-11-06T18:00:00Z", DAY), "2026-11-09T18:00:00Z");
    // On a Saturday it begins with Monday, which is 23:00 UTC of Sunday.
    assert_eq!(ends(&calendar, "2026-11-07T10:00:00Z", DAY), "2026-11-09T23:00:00Z");
    // Hours are of working days as well.
    assert_eq!(ends(&calendar, "2026-11-06T20:00:00Z", 4 * 3600), "2026-11-09T00:00:00Z");
    calendar.hours.holidays.insert(jiff::civil::date(2026, 11, 9));
    assert_eq!(ends(&calendar, "2026-11-06T18:00:00Z", DAY), "2026-11-10T18:00:00Z");
    // The clocks go back on 2026-10-25 and forward on 2027-03-28: the time of day stays.
    assert_eq!(ends(&calendar, "2026-10-23T10:00:00Z", DAY), "2026-10-26T11:00:00Z");
    assert_eq!(ends(&calendar, "2027-03-26T10:00:00Z", DAY), "2027-03-29T09:00:00Z");
    // A local time that is left out comes after, and a day is never shorter than a day.
    calendar.hours.work_days = [true; 7];
    assert_eq!(ends(&calendar, "2027-03-27T01:30:00Z", DAY), "2027-03-28T01:30:00Z");
    assert_eq!(ends(&calendar, "2027-03-27T10:00:00Z", DAY), "2027-03-28T10:00:00Z");
    // It does not end in a freeze, nor within a day after.
    calendar.freezes.push(freeze("2026-11-10T00:00:00Z", "2026-11-12T00:00:00Z", &[]));
    assert_eq!(ends(&calendar, "2026-11-05T10:00:00Z", 6 * DAY), "2026-11-13T00:00:00Z");
    assert_eq!(ends(&calendar, "2026-11-11T10:00:00Z", DAY), "2026-11-13T00:00:00Z");
    calendar.freezes.push(freeze("2026-11-12T12:00:00Z", "2026-11-20T00:00:00Z", &["aws:*"]));
    assert_eq!(ends(&calendar, "2026-11-05T10:00:00Z", 6 * DAY), "2026-11-21T00:00:00Z");
    // Without working days it does not end.
    calendar.hours.work_days = [false; 7];
    assert_eq!(calendar.grace_ends(at("2026-11-05T10:00:00Z"), DAY, &scope()), None);
}

fn calendars() -> impl Strategy<Value = Calendar> {
    let freezes = prop::collection::vec((0..200_i64, 1..400_i64), 0..4);
    let holidays = prop::collection::btree_set(0..60_i32, 0..6);
    (any::<bool>(), freezes, holidays).prop_map(|(utc, freezes, holidays)| {
        let mut calendar = calendar();
        if utc {
            calendar.hours.zone = TimeZone::UTC;
        }
        let start = jiff::civil::date(2026, 10, 1);
        calendar.hours.holidays =
            holidays.into_iter().map(|days| start.checked_add(jiff::Span::new().days(days)).unwrap()).collect();
        calendar.freezes = freezes
            .into_iter()
            .map(|(from, long)| {
                let from = at("2026-10-01T00:00:00Z").plus(from * 3 * 3600);
                Freeze { from, until: from.plus(long * 3600), scopes: vec![], reason: "f".to_owned() }
            })
            .collect();
        calendar
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a simple reading of the rules: hour by hour.
    #[test]
    fn no_grace_is_shorter_than_it_says(calendar in calendars(), told in 0..1000_i64, days in 1..12_i64, more in 0..72_i64) {
        let told = at("2026-10-01T00:00:00Z").plus(told * 3600 + 77);
        let grace = days * DAY;
        let end = calendar.grace_ends(told, grace, &scope()).unwrap();
        prop_assert!(end >= told.plus(grace));
        // As many working days have begun, and it is of the account's zone.
        let hours = &calendar.hours;
        let mut date = hours.local(told).unwrap().date();
        let last = hours.local(end).unwrap().date();
        let mut begun = 0;
        while date < last {
            date = date.tomorrow().unwrap();
            begun += i64::from(hours.is_work_day(date));
        }
        prop_assert!(begun >= days, "{begun} of {days} days");
        for freeze in &calendar.freezes {
            prop_assert!(end < freeze.from || end >= freeze.until.plus(AFTER_FREEZE));
        }
        // More grace never ends sooner, and neither does a calendar with more days off.
        let longer = calendar.grace_ends(told, grace + more * 3600, &scope()).unwrap();
        prop_assert!(longer >= end, "{longer} {end}");
        let mut fuller = calendar.clone();
        fuller.hours.holidays.insert(hours.local(told.plus(more * 3600)).unwrap().date());
        prop_assert!(fuller.grace_ends(told, grace, &scope()).unwrap() >= end);
        fuller.freezes.push(Freeze { from: told, until: end.plus(1), scopes: vec![], reason: "f".to_owned() });
        prop_assert!(fuller.grace_ends(told, grace, &scope()).unwrap() > end);
    }

    /// What may be done next may be done then, and not a moment before.
    #[test]
    fn the_next_opening_is_the_first(calendar in calendars(), now in 0..4000_i64) {
        let now = at("2026-10-01T00:00:00Z").plus(now * 900);
        let next = match calendar.may_act(&scope(), now) {
            Ok(()) => now,
            Err(why) => why.next.unwrap(),
        };
        prop_assert!(calendar.may_act(&scope(), next).is_ok());
        let mut earlier = now;
        while earlier < next {
            prop_assert!(calendar.may_act(&scope(), earlier).is_err(), "{earlier}");
            earlier = earlier.plus(900);
        }
    }
}
