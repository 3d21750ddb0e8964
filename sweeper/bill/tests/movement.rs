//! From the files of a bill to its story.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use jiff::civil::{Date, date};
use std::{fmt::Write as _, num::NonZeroUsize};
use sweeper_bill::{
    delta::{Outcome, Terms, compare, compare_months},
    evidence::{Cause, Evidence},
    movement::{By, Compared, NONE, daily, explained},
    source::Source,
    split::Part,
};
use sweeper_core::money::Amount;

const HEADER: &str = "BilledCost,EffectiveCost,ListCost,ContractedCost,PricingQuantity,BillingCurrency,ChargeCategory,ChargeClass,\
                      ChargePeriodStart,ChargePeriodEnd,ServiceName,SubAccountId,ResourceId,SkuPriceId,CommitmentDiscountId,\
                      CommitmentDiscountStatus\n";

/// A bill of some days, in one file for each half of them. `rows` tells the charges of a day: resource, whole cost, and
/// the commitment that covers it.
fn files(first: Date, days: i64, rows: impl Fn(Date) -> Vec<(&'static str, i64, &'static str)>) -> Vec<Source> {
    let mut texts = [HEADER.to_owned(), HEADER.to_owned()];
    for (number, day) in first.series(jiff::Span::new().days(1)).take(usize::try_from(days).unwrap()).enumerate() {
        let text = &mut texts[usize::from(number as i64 >= days / 2)];
        for (resource, cost, commitment) in rows(day) {
            // What a commitment covers costs half.
            let (listed, status) = if commitment.is_empty() { (cost, "") } else { (2 * cost, "Used") };
            let next = day.tomorrow().unwrap();
            writeln!(
                text,
                "{cost},{cost},{listed},{listed},{listed},USD,Usage,,{day},{next},Compute,1,{resource},sku,{commitment},{status}"
            )
            .unwrap();
        }
    }
    texts.into_iter().enumerate().map(|(at, text)| Source::memory(format!("{at}.csv"), text.into_bytes())).collect()
}

fn nobody(_: &str, _: &str) -> Option<String> {
    None
}

fn usd(amount: i64) -> Amount {
    Amount::whole(amount)
}

#[test]
fn a_longer_month_is_explained_by_its_days() {
    let weekly = |day: Date| if day.weekday().to_monday_one_offset() > 5 { 400 } else { 1000 };
    let sources = files(date(2026, 2, 1), 59, |day| vec![("i-1", weekly(day), "")]);
    let terms = Terms::new(date(2026, 4, 3));
    let bill = daily(sources.clone(), (By::Service, &nobody), Compared::Month, &terms, NonZeroUsize::MIN).unwrap();
    let report = compare_months(&bill, &terms);
    let total = report.total.unwrap();
    assert_eq!((total.expected, total.actual, total.delta), (usd(25_600), usd(25_600), Amount::ZERO));
    let story = explained(sources.clone(), &bill, Compared::Month, &terms, Evidence::default(), NonZeroUsize::MIN);
    let story = story.unwrap().unwrap();
    assert_eq!((story.expected, story.actual), (usd(23_200), usd(25_600)));
    assert_eq!((story.explained[0].cause, story.explained[0].amount), (Cause::Calendar, usd(2400)));
    assert_eq!(story.unexplained.amount, Amount::ZERO);
    // The first day of the month after, and the bill of March is not whole yet.
    let early = Terms::new(date(2026, 4, 1));
    let bill = daily(sources, (By::Service, &nobody), Compared::Month, &early, NonZeroUsize::MIN).unwrap();
    assert_eq!(compare_months(&bill, &early).outcome, Outcome::NoMatureDays, "January is not in the bill");
}

#[test]
fn a_commitment_that_ended_is_seen_in_the_bill_itself() {
    let monday = date(2026, 10, 12);
    let sources = files(date(2026, 9, 14), 35, |day| {
        let late = day >= monday;
        let mut rows = vec![if late { ("i-1", 200, "") } else { ("i-1", 100, "sp-1") }];
        rows.extend((0..20).map(|_| ("i-2", 10, "")));
        rows
    });
    let terms = Terms::new(date(2026, 10, 20));
    let threads = NonZeroUsize::new(3).unwrap();
    let bill = daily(sources.clone(), (By::Resource, &nobody), Compared::Week, &terms, threads).unwrap();
    let report = compare(&bill, &terms);
    assert_eq!(report.outcome, Outcome::Rise);
    let rows: Vec<(&str, Amount)> = report.groups.iter().map(|group| (group.name.as_str(), group.delta)).collect();
    assert_eq!(rows, [("i-1", usd(700)), ("i-2", Amount::ZERO)]);
    let story = explained(sources, &bill, Compared::Week, &terms, Evidence::default(), threads).unwrap().unwrap();
    let ended = &story.explained[0];
    assert_eq!((ended.cause, ended.amount), (Cause::Commitment, usd(700)));
    assert_eq!(ended.top[0].evidence, ["commitment sp-1 stopped covering anything on 2026-10-12"]);
    assert_eq!((story.unexplained.amount, story.alert.outcome), (Amount::ZERO, Outcome::Quiet));
    assert!(story.parts.iter().any(|part| part.part == Part::Commitment && part.amount == usd(700)));
}

#[test]
fn owners_are_those_of_the_resources_and_the_rest_is_nobodys() {
    let sources = files(date(2026, 9, 14), 35, |_| vec![("i-1", 10, ""), ("i-2", 20, ""), ("", 5, "")]);
    let terms = Terms::new(date(2026, 10, 20));
    let names = |account: &str, resource: &str| (resource == "i-1").then(|| format!("alice of {account}"));
    let bill = daily(sources, (By::Owner, &names), Compared::Week, &terms, NonZeroUsize::MIN).unwrap();
    let report = compare(&bill, &terms);
    let mut rows: Vec<(&str, Amount)> = report.groups.iter().map(|group| (group.name.as_str(), group.actual)).collect();
    rows.sort_unstable();
    assert_eq!(rows, [(NONE, usd(175)), ("alice of 1", usd(70))]);
}

#[test]
fn a_batch_of_last_month_is_not_counted_twice() {
    // On the 14th of each month a batch costs 200 more; the mean of the weeks before has a quarter of that in it, what is
    // expected of a week has not.
    let sources = files(date(2026, 8, 1), 80, |day| {
        let batch = if day.day() == 14 { 220 } else { 20 };
        let mut rows: Vec<_> = (0..20).map(|_| ("i-2", 10, "")).collect();
        rows.push(("db-1", batch, ""));
        rows
    });
    let terms = Terms::new(date(2026, 10, 19));
    let bill = daily(sources.clone(), (By::Service, &nobody), Compared::Week, &terms, NonZeroUsize::MIN).unwrap();
    let story = explained(sources, &bill, Compared::Week, &terms, Evidence::default(), NonZeroUsize::MIN);
    let story = story.unwrap().unwrap();
    let batch = &story.explained[0];
    assert_eq!((batch.cause, batch.amount, batch.lines), (Cause::DayOfMonth, usd(200), 1));
    assert_eq!(story.unexplained.by_resource, []);
    assert_eq!(story.expected + story.explained() + story.unexplained.amount, story.actual);
}
