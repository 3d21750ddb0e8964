//! The bills of the demo's organisation: what is planted in them is told apart, whatever day it is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use std::{collections::BTreeMap, num::NonZeroUsize, sync::LazyLock};
use sweeper_bill::{
    delta::{Outcome, Terms, compare, compare_months},
    evidence::{Cause, Evidence, Happened, InventoryEvent},
    export,
    movement::{By, Compared, daily, explained},
    prices::PriceBook,
    source::Source,
    waterfall::Waterfall,
};
use sweeper_core::{model::CloudId, money::Amount};
use sweeper_emulator::{BillFile, Org, Vendor, demo};

static ORG: LazyLock<Org> = LazyLock::new(|| Org::parse(demo().organisation).unwrap());

/// From Monday to Sunday; some of them near the end of a month.
const TIMES: [&str; 7] = [
    "2027-03-01T00:00:00Z",
    "2028-02-29T12:00:00Z",
    "2026-11-25T09:30:00Z",
    "2026-11-26T23:59:59Z",
    "2027-01-01T03:00:00Z",
    "2027-03-06T12:00:00Z",
    "2026-11-29T17:00:00Z",
];

fn usd(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn at(text: &str) -> (Timestamp, Date) {
    let now: Timestamp = text.parse().unwrap();
    (now, now.to_zoned(TimeZone::UTC).date())
}

fn sources(now: Timestamp) -> Vec<Source> {
    let bills = ORG.bills(now).filter(BillFile::is_table);
    bills.map(|file| Source::memory(file.path, file.text.into_bytes())).collect()
}

/// What a survey says was made in the last days, as the sweeper writes it down.
fn made(now: Timestamp) -> Vec<InventoryEvent> {
    let event = |resource: String, account: &str, days: i64| InventoryEvent {
        resource,
        account: Some(account.to_owned()),
        what: Happened::Made,
        day: now.saturating_sub(jiff::SignedDuration::from_hours(24 * days)).unwrap().to_zoned(TimeZone::UTC).date(),
        source: "survey".to_owned(),
    };
    let mut events = vec![
        event(
            "/subscriptions/a2a2a2a2-0000-4000-8000-000000000001/resourceGroups/erp/providers/Microsoft.Compute/virtualMachines/erp-app-1"
                .to_owned(),
            "a2a2a2a2-0000-4000-8000-000000000001",
            5,
        ),
        event("us-central1-b/instances/warehouse-etl".to_owned(), "shop-data-prod", 4),
    ];
    for number in 1..=6 {
        for sort in ["i", "vol"] {
            events.push(event(format!("{sort}-05a1e0000000a{number:04}"), "222222222222", 6));
        }
    }
    events
}

fn nobody(_: &str, _: &str) -> Option<String> {
    None
}

fn story(now: Timestamp, today: Date, events: Vec<InventoryEvent>) -> (Outcome, Waterfall) {
    let terms = Terms::new(today);
    let sources = sources(now);
    let bill = daily(sources.clone(), (By::Service, &nobody), Compared::Week, &terms, NonZeroUsize::MIN).unwrap();
    assert_eq!(bill.excluded.rows, 0, "{:?}", bill.excluded);
    let evidence = Evidence { events, ..Evidence::default() };
    let story = explained(sources, &bill, Compared::Week, &terms, evidence, NonZeroUsize::MIN).unwrap().unwrap();
    (compare(&bill, &terms).outcome, story)
}

fn amounts(story: &Waterfall) -> BTreeMap<Cause, Amount> {
    story.explained.iter().map(|one| (one.cause, one.amount)).collect()
}

#[test]
fn the_four_changes_are_told_apart_on_any_day() {
    for (weekday, text) in TIMES.iter().enumerate() {
        let (now, today) = at(text);
        assert_eq!(today.weekday().to_monday_zero_offset() as usize, weekday);
        let (outcome, story) = story(now, today, made(now));
        let causes = amounts(&story);
        let between = |amount: Amount, least: &str, most: &str| (usd(least)..=usd(most)).contains(&amount);
        assert_eq!((outcome, story.alert.outcome), (Outcome::Rise, Outcome::Rise), "{text}: {story:#?}");
        // Six machines and their disks since five days, a machine in Azure and one in Google Cloud.
        assert!(between(causes[&Cause::Inventory], "390", "510"), "{text}: {causes:?}");
        let inventory = story.explained.iter().find(|one| one.cause == Cause::Inventory).unwrap();
        assert_eq!(inventory.lines, 14, "{text}: {inventory:#?}");
        assert!(inventory.top.iter().all(|one| one.evidence[0].starts_with("made on ")));
        // Forty machines at 30 % off $0.17, for six of the seven days.
        assert_eq!(causes[&Cause::Commitment], usd("293.76"), "{text}");
        let ended = story.explained.iter().find(|one| one.cause == Cause::Commitment).unwrap();
        assert!(ended.top[0].evidence[0].contains("savingsplan/5a5a5a5a"), "{ended:?}");
        // Two days of 25 times the usual 20 million.
        assert!(between(causes[&Cause::DayOfMonth], "185", "199"), "{text}: {causes:?}");
        let batch = story.explained.iter().find(|one| one.cause == Cause::DayOfMonth).unwrap();
        assert!(batch.top[0].resource.as_deref().unwrap().ends_with(":db:catalogue-writer"));
        // The gateway, and next to nothing else.
        let left = &story.unexplained;
        assert!(
            left.by_resource[0].resource.as_deref().unwrap().ends_with("/nat-0faced0000000000a"),
            "{text}: {left:#?}"
        );
        assert!(between(left.by_resource[0].amount, "780", "1120"), "{text}: {left:#?}");
        let rest = left.amount - left.by_resource[0].amount;
        assert!(between(rest, "-40", "40"), "{text}: {rest} beside the gateway: {left:#?}");
        // It adds up, and nothing else is said to have caused anything worth a word.
        assert_eq!(story.expected + story.explained() + left.amount, story.actual);
        let others: Amount = causes
            .iter()
            .filter(|(cause, _)| !matches!(cause, Cause::Inventory | Cause::Commitment | Cause::DayOfMonth))
            .map(|(_, amount)| *amount)
            .sum();
        assert!(between(others, "-60", "60"), "{text}: {causes:?}");
    }
}

#[test]
fn without_a_survey_new_machines_are_unexplained() {
    let (now, today) = at(TIMES[2]);
    let (with, without) = (story(now, today, made(now)).1, story(now, today, Vec::new()).1);
    let moved = without.unexplained.amount - with.unexplained.amount;
    assert_eq!(moved, amounts(&with)[&Cause::Inventory]);
}

#[test]
fn before_all_that_it_was_quiet_for_weeks() {
    let (now, today) = at(TIMES[2]);
    let sources = sources(now);
    for back in 10..=30 {
        let terms = Terms::new(today.saturating_sub(i64::from(back).days()));
        let bill = daily(sources.clone(), (By::Service, &nobody), Compared::Week, &terms, NonZeroUsize::MIN).unwrap();
        let report = compare(&bill, &terms);
        assert_eq!(report.outcome, Outcome::Quiet, "{back} days ago: {:?}", report.total);
    }
}

#[test]
fn whole_months_are_in_it_and_differ_by_their_days() {
    for text in [TIMES[0], TIMES[2], TIMES[4]] {
        let (now, today) = at(text);
        let terms = Terms::new(today);
        let sources = sources(now);
        let bill = daily(sources.clone(), (By::Service, &nobody), Compared::Month, &terms, NonZeroUsize::MIN).unwrap();
        let report = compare_months(&bill, &terms);
        let (before, after) = (report.baseline.unwrap(), report.window.unwrap());
        let evidence = Evidence { events: made(now), ..Evidence::default() };
        let story = explained(sources, &bill, Compared::Month, &terms, evidence, NonZeroUsize::MIN).unwrap().unwrap();
        assert_eq!(story.expected + story.explained() + story.unexplained.amount, story.actual);
        let calendar = amounts(&story).get(&Cause::Calendar).copied().unwrap_or_default();
        if before.days != after.days {
            assert_eq!(calendar > Amount::ZERO, after.days > before.days, "{text}: {calendar}");
        }
    }
}

#[test]
fn prices_are_those_of_the_book() {
    let book = PriceBook::embedded().unwrap();
    let mut held = 0;
    for BillFile { cloud, text, .. } in ORG.bills(at(TIMES[2]).0).filter(BillFile::is_table) {
        let cloud = match cloud {
            Vendor::Aws => CloudId::Aws,
            Vendor::Azure => CloudId::Azure,
            Vendor::Gcp => CloudId::Gcp,
        };
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let headers = reader.headers().unwrap().clone();
        let place = |name: &str| headers.iter().position(|header| header == name).unwrap();
        let (meter, region, price) = (place("SkuMeter"), place("RegionId"), place("ListUnitPrice"));
        for row in reader.records() {
            let row = row.unwrap();
            if let Some(known) = book.price(cloud, &row[region], &row[meter]) {
                assert_eq!(usd(&row[price]), known.usd, "{cloud:?} {row:?}");
                held += 1;
            }
        }
    }
    assert!(held > 10_000, "{held} rows have a price in the book");
}

#[test]
fn exports_are_found_as_they_lie() {
    let place = std::env::temp_dir().join(format!("sweeper-demo-bills-{}", std::process::id()));
    let (now, today) = at(TIMES[2]);
    for file in ORG.bills(now) {
        let path = place.join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file.text).unwrap();
    }
    let mut files = Vec::new();
    for (cloud, periods) in [("aws", 4), ("azure", 4), ("gcp", 0)] {
        let found = export::find(&place.join(cloud)).unwrap();
        assert_eq!((found.periods.len(), found.files.len()), (periods, 4), "{cloud}");
        assert!(found.unfinished.is_empty() && found.replaced.is_empty());
        files.extend(found.sources());
    }
    let terms = Terms::new(today);
    let read = |sources| daily(sources, (By::Account, &nobody), Compared::Week, &terms, NonZeroUsize::MIN).unwrap();
    assert_eq!(read(files), read(sources(now)));
    std::fs::remove_dir_all(&place).unwrap();
}
