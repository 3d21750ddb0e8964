//! Policies that watch, over bills that are written here.

#![expect(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

use jiff::{civil::Date, tz::TimeZone};
use std::{collections::BTreeMap, fmt::Write as _, num::NonZeroUsize};
use sweeper_bill::{
    always_on::Office,
    evidence::{Evidence, Happened, InventoryEvent},
    source::Source,
    watch::{AtHand, judge},
};
use sweeper_core::{
    money::Amount,
    policy::{
        Known, Source as PolicyText, Told, Watch, load,
        watch::{Breakdown, Outcome},
    },
};

const HEADER: &str = "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargeClass,ChargePeriodStart,\
                      ChargePeriodEnd,ServiceName,SubAccountId,ResourceId,CommitmentDiscountId,\
                      CommitmentDiscountStatus,PricingQuantity,PricingUnit,SkuMeter,SkuPriceId,RegionId,ListCost,\
                      ContractedCost,BillingAccountId,ProviderName\n";

/// The day of the run; two days before it everything is mature.
const TODAY: &str = "2026-11-20";

fn today() -> Date {
    TODAY.parse().unwrap()
}

struct Charge<'a> {
    service: &'a str,
    account: &'a str,
    resource: &'a str,
    cost: Amount,
    quantity: Amount,
    unit: &'a str,
    meter: &'a str,
    category: &'a str,
    commitment: &'a str,
}

impl Default for Charge<'_> {
    fn default() -> Self {
        Self {
            service: "Compute",
            account: "111122223333",
            resource: "i-1",
            cost: Amount::whole(10),
            quantity: Amount::whole(24),
            unit: "Hours",
            meter: "",
            category: "Usage",
            commitment: "",
        }
    }
}

/// A bill of 50 days until the last mature one. `charges` takes how many days before it a day is.
fn bill<'a>(charges: impl Fn(i64, Date) -> Vec<Charge<'a>>) -> Source {
    let mut text = HEADER.to_owned();
    let last = today() - jiff::Span::new().days(3);
    for back in (0..50).rev() {
        let day = last - jiff::Span::new().days(back);
        let end = day.tomorrow().unwrap();
        for Charge { service, account, resource, cost, quantity, unit, meter, category, commitment } in
            charges(back, day)
        {
            let status = if category == "Usage" && !commitment.is_empty() { "Used" } else { "" };
            let status = if category == "Unused" { "Unused" } else { status };
            let category = if category == "Unused" { "Usage" } else { category };
            writeln!(
                text,
                "{cost},{cost},USD,{category},,{day}T00:00:00Z,{end}T00:00:00Z,{service},{account},{resource},\
                 {commitment},{status},{quantity},{unit},{meter},sku-{service},eu-west-1,{cost},{cost},1,AWS"
            )
            .unwrap();
        }
    }
    Source::memory("bill.csv", text.into_bytes())
}

fn watches(text: &str) -> Vec<Watch> {
    let source = PolicyText { path: "house.toml".to_owned(), text: text.to_owned() };
    let loaded = load(&[source], &Known { kinds: &[] });
    let problems: String = loaded.problems.iter().map(sweeper_core::policy::Problem::render).collect();
    loaded.set.unwrap_or_else(|| panic!("{problems}")).watches
}

fn told_of(text: &str, sources: Vec<Source>, events: &[InventoryEvent]) -> Vec<Told> {
    let own = |ids: &[&str]| -> BTreeMap<String, String> {
        ids.iter().map(|id| ((*id).to_owned(), "111122223333".to_owned())).collect()
    };
    judge(
        &watches(text),
        &AtHand {
            files: Ok(sources.into()),
            today: today(),
            lag_days: 2,
            threads: NonZeroUsize::MIN,
            owners: &|_, id| id.starts_with("i-").then(|| "search".to_owned()),
            evidence: &|| Evidence { events: events.to_vec(), ..Evidence::default() },
            functions: &own(&["resize"]),
            machines: &own(&["i-1", "i-2"]),
            office: &|_| Office::new(TimeZone::UTC),
            counts: &|by, _| {
                assert_eq!(by, Breakdown::Class);
                let days = |growth: f64| -> BTreeMap<Date, Vec<u64>> {
                    let first = today() - jiff::Span::new().days(20);
                    let count = |day: i32| (100.0 * growth.powi(day)).round() as u64;
                    (0..20).map(|day| (first + jiff::Span::new().days(day), vec![count(day)])).collect()
                };
                Ok(BTreeMap::from([("disk".to_owned(), days(1.08)), ("vm".to_owned(), days(1.0))]))
            },
        },
    )
}

fn one(text: &str, source: Source) -> Told {
    let told = told_of(&format!("[[policy]]\nname = \"one\"\n{text}\n"), vec![source], &[]);
    assert_eq!(told.len(), 1, "{told:?}");
    told.into_iter().next().unwrap()
}

#[test]
fn a_rise_that_nothing_explains_is_told_and_one_that_is_explained_is_not() {
    let rise = |back: i64, _| {
        let cost = Amount::whole(if back < 5 { 300 } else { 100 });
        vec![Charge { cost, resource: "i-9", ..Charge::default() }, Charge::default()]
    };
    let told = one("sweep = \"bill-delta\"\nseverity = \"page\"", bill(rise));
    assert_eq!((told.outcome, told.subject.as_str(), told.currency.as_str()), (Outcome::Alert, "Compute", "USD"));
    assert!(told.amount.unwrap() > Amount::whole(900), "{told:?}");
    assert!(told.says.contains("above all i-9 of Compute in 111122223333"), "{}", told.says);
    let resized = InventoryEvent {
        resource: "i-9".to_owned(),
        account: Some("111122223333".to_owned()),
        what: Happened::Resized,
        day: today() - jiff::Span::new().days(7),
        source: "surveys".to_owned(),
    };
    let policy = "[[policy]]\nname = \"one\"\nsweep = \"bill-delta\"\n";
    let more = |back: i64, _| {
        let (cost, quantity) = if back < 5 { (300, 72) } else { (100, 24) };
        let (cost, quantity) = (Amount::whole(cost), Amount::whole(quantity));
        vec![Charge { cost, quantity, resource: "i-9", ..Charge::default() }, Charge::default()]
    };
    let told = told_of(policy, vec![bill(more)], &[resized]);
    assert_eq!(told[0].outcome, Outcome::Quiet, "{told:?}");
    let quiet = one("sweep = \"bill-delta\"", bill(|_, _| vec![Charge::default()]));
    assert_eq!((quiet.outcome, quiet.amount), (Outcome::Quiet, None));
}

#[test]
fn a_bill_that_is_missing_unreadable_or_old_is_unknown() {
    for what in ["bill-delta", "runaway-function", "always-on", "commitment-unused", "extended-support"] {
        let text = format!("[[policy]]\nname = \"one\"\nsweep = \"{what}\"\n");
        let told = told_of(&text, Vec::new(), &[]);
        assert_eq!(told[0].outcome, Outcome::Unknown);
        assert!(told[0].says.contains("[bill]"), "{}", told[0].says);
        let broken = Source::memory("broken.csv", b"Cost\n1\n".to_vec());
        let told = told_of(&text, vec![broken], &[]);
        assert_eq!(told[0].outcome, Outcome::Unknown);
        assert!(told[0].says.contains("broken.csv"), "{}", told[0].says);
        let old = bill(|back, _| if back < 15 { Vec::new() } else { vec![Charge::default()] });
        let told = told_of(&text, vec![old], &[]);
        assert_eq!((told[0].outcome, told.len()), (Outcome::Unknown, 1), "{what}: {told:?}");
        assert!(told[0].says.contains("may have stopped"), "{}", told[0].says);
        assert_eq!(told[0].amount, None, "missing data never reads as zero");
    }
}

#[test]
fn a_budget_is_told_before_it_is_spent() {
    // Ten a day by the 17th: 170 spent, 300 by the end of November.
    let source = || bill(|_, _| vec![Charge::default()]);
    assert_eq!(one("sweep = \"budget\"\nmonthly = 310", source()).outcome, Outcome::Quiet);
    let ahead = one("sweep = \"budget\"\nmonthly = 250", source());
    assert_eq!((ahead.outcome, ahead.amount), (Outcome::Alert, Some(Amount::whole(50))));
    assert!(ahead.says.starts_with("the month's 250.00 will be spent on 2026-11-2"), "{}", ahead.says);
    let spent = one("sweep = \"budget\"\nmonthly = 100\nowners = [\"search\"]", source());
    assert!(spent.says.starts_with("the month's 100.00 were spent on 2026-11-1"), "{}", spent.says);
    assert_eq!(spent.subject, "search");
    // Another's bill is not one's own.
    assert_eq!(one("sweep = \"budget\"\nmonthly = 100\nowners = [\"shop\"]", source()).outcome, Outcome::Quiet);
    let other = one("sweep = \"budget\"\nmonthly = 100\naccounts = [\"aws:999999999999\"]", source());
    assert_eq!(other.outcome, Outcome::Quiet);
    let own = one("sweep = \"budget\"\nmonthly = 100\naccounts = [\"aws:111122223333\"]", source());
    assert_eq!(own.outcome, Outcome::Alert);
}

#[test]
fn a_function_gone_wild_is_told_and_a_machine_is_no_function() {
    let arn = "arn:aws:lambda:eu-west-1:111122223333:function/Resize";
    let wild = |resource: &'static str| {
        bill(move |back, _| {
            let cost = Amount::whole(if back < 2 { 90 } else { 2 });
            vec![Charge { service: "Lambda", resource, cost, ..Charge::default() }, Charge::default()]
        })
    };
    let told = one("sweep = \"runaway-function\"", wild(arn));
    assert_eq!((told.outcome, told.subject.as_str(), told.amount), (Outcome::Alert, arn, Some(Amount::whole(176))));
    assert!(told.says.contains("cost 90.00 on 2026-11-17, where 2.00 is usual"), "{}", told.says);
    assert_eq!(one("sweep = \"runaway-function\"", wild("i-7")).outcome, Outcome::Quiet);
    assert_eq!(one("sweep = \"runaway-function\"\naccounts = [\"aws:9\"]", wild(arn)).outcome, Outcome::Quiet);
}

#[test]
fn what_runs_day_and_night_is_always_on() {
    // i-1 runs always, i-2 on working days from eight to six, i-3 is production.
    let source = bill(|_, day| {
        let works = day.weekday().to_monday_one_offset() < 6;
        let office = Charge { resource: "i-2", quantity: Amount::whole(10), ..Charge::default() };
        let mut charges = vec![Charge::default(), Charge { resource: "i-3", ..Charge::default() }];
        charges.extend(works.then_some(office));
        charges
    });
    let told = one("sweep = \"always-on\"", source);
    assert_eq!((told.outcome, told.subject.as_str()), (Outcome::Alert, "i-1"));
    // 14 days of 24 hours less ten working days of 13.
    assert!(told.says.contains("all 206 hours"), "{}", told.says);
    assert!(told.amount.unwrap() > Amount::whole(180) && told.amount.unwrap() < Amount::whole(190), "{told:?}");
    // What is charged by the gigabyte does not run.
    let disks = bill(|_, _| vec![Charge { unit: "GB-Mo", ..Charge::default() }]);
    assert_eq!(one("sweep = \"always-on\"", disks).outcome, Outcome::Quiet);
}

#[test]
fn what_is_paid_for_nothing_is_told_by_the_month() {
    let source = bill(|_, _| {
        let commitment = "arn:aws:savingsplans::1:savingsplan/a";
        let unused =
            Charge { category: "Unused", commitment, resource: "", cost: Amount::whole(3), ..Charge::default() };
        let meter = "USE1-ExtendedSupport:Yr1-Yr2:PostgreSQL13";
        let old = Charge { service: "RDS", resource: "db-1", cost: Amount::whole(5), meter, ..Charge::default() };
        vec![Charge { commitment, ..Charge::default() }, unused, old]
    });
    let told = one("sweep = \"commitment-unused\"", source.clone());
    assert_eq!((told.outcome, told.amount), (Outcome::Alert, Some(Amount::whole(3).scaled(730, 24))));
    assert!(told.subject.ends_with("savingsplan/a") && told.says.contains("42.00 of it"), "{told:?}");
    let told = one("sweep = \"extended-support\"", source.clone());
    assert_eq!((told.subject.as_str(), told.amount), ("db-1", Some(Amount::whole(5).scaled(730, 24))));
    assert_eq!(one("sweep = \"extended-support\"\nfloor = 200", source).outcome, Outcome::Quiet);
}

#[test]
fn growth_is_told_by_class_and_needs_no_bill() {
    let told = told_of("[[policy]]\nname = \"one\"\nsweep = \"growth\"\n", Vec::new(), &[]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].outcome, told[0].subject.as_str()), (Outcome::Alert, "disk"));
    let told = told_of("[[policy]]\nname = \"one\"\nsweep = \"growth\"\nshare = \"9%\"\n", Vec::new(), &[]);
    assert_eq!(told[0].outcome, Outcome::Quiet);
}
