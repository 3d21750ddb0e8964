//! Changes, expectations and growth whose answers follow by hand: D of the delta, E of the expectation, G of growth.
//! Each comes with further cases of other numbers.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use jiff::{
    ToSpan,
    civil::{Date, date},
};
use std::collections::BTreeMap;
use sweeper_bill::{
    alert::Outcome,
    evidence::{Cause, Evidence, Happened, InventoryEvent, PriceChange, PriceMove, Scope},
    expected::{Expectation, MatureDays, Span, Terms},
    focus::Lane,
    growth::{Growth, GrowthOutcome, GrowthTerms},
    split::{Entry, Key, Line, Measures, Part, resource_id, split},
    waterfall::{Change, LaneChange, Waterfall},
};
use sweeper_core::money::Amount;

fn usd(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn plus(day: Date, days: i64) -> Date {
    day.checked_add(days.days()).unwrap()
}

/// A Monday.
const FIRST: Date = date(2026, 8, 3);

fn key(resource: &str, sku: &str) -> Key {
    let resource = Some(resource_id(resource).into());
    Key { account: "111122223333".into(), service: "Compute".into(), resource, sku: sku.into() }
}

/// A quantity, and its list, contracted and effective price.
type At<'a> = (&'a str, &'a str, &'a str, &'a str);

fn measures(at: At<'_>) -> Measures {
    let thousandths = |quantity: &str| usd(quantity).pico() / 1_000_000_000;
    let cost = |price: &str| usd(price).scaled(thousandths(at.0), 1000);
    Measures {
        effective: cost(at.3),
        contracted: Some(cost(at.2)),
        list: Some(cost(at.1)),
        quantity: usd(at.0),
        priced: None,
    }
}

fn told(lines: &[Line]) -> Vec<String> {
    for line in lines {
        assert_eq!(line.parts.sum(), line.delta());
    }
    lines.iter().flat_map(|line| line.parts.each()).map(|(part, amount)| format!("{part:?} {amount}")).collect()
}

#[test]
fn d_prices_and_quantities() {
    let p10 = |quantity: &'static str| (quantity, ".10", ".10", ".10");
    let p12 = |quantity: &'static str| (quantity, ".12", ".12", ".12");
    let table: [(&str, At<'_>, At<'_>, &str, &[&str]); 14] = [
        ("D1", p10("100"), p10("120"), "2", &["Quantity 2"]),
        ("D2", p10("100"), p12("100"), "2", &["List 2"]),
        ("D3", p10("100"), p12("120"), "4.4", &["Quantity 2.2", "List 2.2"]),
        ("D4", ("720", ".096", ".096", ".06"), ("720", ".096", ".096", ".096"), "25.92", &["Commitment 25.92"]),
        (
            "D4b",
            ("720", ".10", ".093", ".093"),
            ("792", ".09", ".0837", ".0837"),
            "-0.6696",
            &["Quantity 6.3612", "List -7.56", "Negotiated 0.5292"],
        ),
        // Others. A third less at 0.075.
        ("D1'", ("90", ".075", ".075", ".075"), ("60", ".075", ".075", ".075"), "-2.25", &["Quantity -2.25"]),
        // The list price stays; what was agreed is 5 %, then 20 %.
        ("D2'", ("500", ".40", ".38", ".38"), ("500", ".40", ".32", ".32"), "-30", &["Negotiated -30"]),
        // ½(.10+.06)·50 = 4 and ½(100+150)·(−.04) = −5.
        ("D3'", p10("100"), ("150", ".06", ".06", ".06"), "-1", &["Quantity 4", "List -5"]),
        // A commitment begins: half price on the same hours.
        ("D4'", ("336", ".50", ".45", ".45"), ("336", ".50", ".45", ".225"), "-75.6", &["Commitment -75.6"]),
        // Everything at once: q 10→30, l 1→2, c 0.9→1.5, e 0.8→0.6. ½·1.4·20; 20·(1); 20·(−.4); 20·(−.8).
        (
            "D4b'",
            ("10", "1", ".9", ".8"),
            ("30", "2", "1.5", ".6"),
            "10",
            &["Quantity 14", "List 20", "Negotiated -8", "Commitment -16"],
        ),
        // A free tier ends.
        ("D5'", ("1000", ".2", ".2", "0"), ("1000", ".2", ".2", ".2"), "200", &["Commitment 200"]),
        // Unknown list and contracted prices, as of Azure reservations.
        ("D5''", ("100", "0", "0", ".05"), ("100", "0", "0", ".06"), "1", &["PriceUnattributed 1"]),
        ("D5'''", ("0", ".1", ".1", ".1"), ("25", ".1", ".1", ".1"), "2.5", &["Quantity 2.5"]),
        ("nothing", p10("100"), p10("100"), "0", &[]),
    ];
    for (name, before, after, delta, parts) in table {
        let (before, after) = (measures(before), measures(after));
        assert_eq!((after.effective - before.effective).to_string(), delta, "{name}");
        let lines = split([Entry { key: key("i-1", "sku"), before: Some(before), after: Some(after) }]);
        assert_eq!(told(&lines), parts, "{name}");
    }
}

#[test]
fn d4_a_plan_that_expired_is_explained_by_its_end() {
    let (before, after) = (measures(("720", ".096", ".096", ".06")), measures(("720", ".096", ".096", ".096")));
    let usage = split([Entry { key: key("i-1", "sku"), before: Some(before), after: Some(after) }]);
    let window = Span::whole(date(2026, 11, 1), date(2026, 11, 30));
    let baseline = Span::whole(date(2026, 10, 2), date(2026, 10, 31));
    let ended = PriceChange {
        scope: Scope::default(),
        moved: PriceMove::CommitmentExpired,
        day: date(2026, 11, 1),
        most: None,
        words: "savings plan ended".to_owned(),
    };
    let evidence = Evidence { prices: vec![ended], ..Evidence::default() };
    let found = Waterfall::of(&months(baseline, window, before.effective, after.effective, &usage, &evidence));
    assert_eq!((found.delta, found.unexplained.amount), (usd("25.92"), Amount::ZERO));
    assert_eq!((found.explained[0].cause, found.explained[0].amount), (Cause::Commitment, usd("25.92")));
    let found = Waterfall::of(&months(baseline, window, before.effective, after.effective, &usage, &NOTHING));
    assert_eq!(found.unexplained.amount, usd("25.92"));
}

static NOTHING: Evidence = Evidence {
    events: Vec::new(),
    prices: Vec::new(),
    planned: Vec::new(),
    drivers: Vec::new(),
    histories: BTreeMap::new(),
};

fn months<'a>(
    baseline: Span,
    window: Span,
    expected: Amount,
    actual: Amount,
    usage: &'a [Line],
    evidence: &'a Evidence,
) -> Change<'a> {
    Change {
        currency: "USD",
        baseline,
        window,
        expected,
        actual,
        calendar: Amount::ZERO,
        usage,
        monthly: &[],
        unused: &[],
        lanes: &[],
        days: &[],
        floor: Amount::ZERO,
        learning: false,
        evidence,
    }
}

fn weekly(day: Date) -> i64 {
    if day.weekday().to_monday_one_offset() > 5 { 400 } else { 1000 }
}

#[test]
fn d6_d7_the_calendar_explains_itself() {
    let february = Span::whole(date(2026, 2, 1), date(2026, 2, 28));
    let march = Span::whole(date(2026, 3, 1), date(2026, 3, 31));
    let april = Span::whole(date(2026, 4, 1), date(2026, 4, 30));
    type Cost = fn(Date) -> i64;
    let table: [(&str, Span, Span, Cost, i64, i64, &str); 4] = [
        ("D6", february, march, |_| 10, 280, 310, "0.107143"),
        ("D7", february, march, weekly, 23_200, 25_600, "0.103448"),
        ("D6'", march, april, |_| 25, 775, 750, "-0.032258"),
        ("D7'", march, april, weekly, 25_600, 25_200, "-0.015625"),
    ];
    for (name, before, after, cost, expected, actual, share) in table {
        let sum = |span: Span| span.each().map(cost).sum::<i64>();
        assert_eq!((sum(before), sum(after)), (expected, actual), "{name}");
        let costs: BTreeMap<Date, Amount> =
            before.each().chain(after.each()).map(|day| (day, Amount::whole(cost(day)))).collect();
        let (expected, actual) = (Amount::whole(expected), Amount::whole(actual));
        let all = |effective: Amount| Measures {
            effective,
            contracted: Some(effective),
            list: Some(effective),
            quantity: effective,
            priced: None,
        };
        // Lines start from the month scaled by what the calendar makes of it.
        let (numerator, denominator) = Change::month_scale((before, after), &costs);
        let entry = Entry {
            key: key("i-1", "sku"),
            before: Some(all(expected).scaled(numerator, denominator)),
            after: Some(all(actual)),
        };
        let usage = split([entry]);
        let found = Waterfall::of(&Change::of_month("USD", (before, after), &costs, &usage, &NOTHING));
        assert_eq!((found.delta, found.share), (actual - expected, Some(usd(share))), "{name}");
        assert_eq!(found.unexplained.amount, Amount::ZERO, "{name}");
        assert_eq!((found.explained[0].cause, found.explained[0].amount), (Cause::Calendar, found.delta), "{name}");
        assert_eq!(found.alert.outcome, Outcome::Quiet, "{name}");
    }
}

/// 35 days of a daily cost, and the comparison two days later.
fn weeks(cost: impl Fn(i64, Date) -> Amount) -> (MatureDays, Expectation) {
    let costs: BTreeMap<Date, Amount> =
        (0..35).map(|index| (plus(FIRST, index), cost(index, plus(FIRST, index)))).collect();
    let rows = costs.keys().map(|day| (*day, 100)).collect();
    let days = MatureDays::of(&rows, &Terms::new(plus(FIRST, 36)));
    let found = Expectation::of(&costs, &days);
    (days, found)
}

#[test]
fn d8_d9_other_lanes_stand_beside() {
    let (days, found) = weeks(|_, _| Amount::whole(24));
    let lanes = [
        LaneChange::of(Lane::Credit, Amount::whole(-500), Amount::ZERO),
        LaneChange::of(Lane::Commitment, Amount::ZERO, Amount::whole(8760)),
    ];
    let change = Change::of_week("USD", &days, &found, &[], &NOTHING, Amount::whole(25)).unwrap();
    let found = Waterfall::of(&Change { lanes: &lanes, ..change });
    // D8: the credit of last month is 500 more in its lane. D9: a year bought for 8,760 costs 24 a day as before.
    assert_eq!((found.lanes[0].delta, found.lanes[1].delta), (Amount::whole(500), Amount::whole(8760)));
    assert_eq!(
        (found.delta, found.unexplained.amount, found.alert.outcome),
        (Amount::ZERO, Amount::ZERO, Outcome::Quiet)
    );
}

#[test]
fn d10_a_day_that_is_not_loaded_is_left_out() {
    for (share, last) in [(60, 34), (89, 34), (90, 35), (100, 35)] {
        let rows: BTreeMap<Date, u64> =
            (0..36).map(|index| (plus(FIRST, index), if index == 35 { share } else { 100 })).collect();
        let costs: BTreeMap<Date, Amount> =
            rows.iter().map(|(day, rows)| (*day, Amount::whole(*rows as i64))).collect();
        let days = MatureDays::of(&rows, &Terms::new(plus(FIRST, 37)));
        assert_eq!(days.window.unwrap().last, plus(FIRST, last), "{share}");
        let delta = Expectation::of(&costs, &days).delta();
        assert_eq!(delta, if last == 35 { Amount::whole(share as i64 - 100) } else { Amount::ZERO });
        // By the lag alone.
        let days = MatureDays::of(&rows, &Terms::new(plus(FIRST, 36)));
        assert_eq!((days.window.unwrap().last, days.thin.len()), (plus(FIRST, 34), 0));
    }
}

#[test]
fn d11_a_gateway_with_three_times_the_traffic_is_no_alert_and_with_four_it_is() {
    // Gigabytes a day at 0.045, of an expected 1,000 a day.
    let table = [
        ("D11", 1000, 3000, "90", "0.09", Outcome::Quiet),
        ("D11", 1000, 4000, "135", "0.135", Outcome::Rise),
        ("D11'", 2000, 4222, "99.99", "0.09999", Outcome::Quiet),
        ("D11'", 2000, 4223, "100.035", "0.100035", Outcome::Rise),
        ("D11'", 4000, 1000, "-135", "-0.135", Outcome::Fall),
    ];
    for (name, before, after, delta, share, outcome) in table {
        let traffic = |gigabytes: i64| usd("0.045").times(gigabytes);
        let rest = Amount::whole(1000) - traffic(before);
        let (days, found) = weeks(|index, _| rest + traffic(if index < 28 { before } else { after }));
        let week = |gigabytes: i64| measures((&(gigabytes * 7).to_string(), ".045", ".045", ".045"));
        let machines = measures(("168", "1", "1", "1"));
        let usage = split([
            Entry { key: key("nat-1", "NatGateway-Bytes"), before: Some(week(before)), after: Some(week(after)) },
            Entry { key: key("i-1", "m5"), before: Some(machines), after: Some(machines) },
        ]);
        let change = Change::of_week("USD", &days, &found, &usage, &NOTHING, Amount::whole(25)).unwrap();
        let found = Waterfall::of(&change);
        assert_eq!(found.expected, Amount::whole(7000), "{name}");
        assert_eq!(found.unexplained.amount, usd(delta).times(7), "{name}");
        assert_eq!((found.share, found.alert.outcome), (Some(usd(share)), outcome), "{name} {after}");
        assert_eq!(found.unexplained.by_resource[0].resource.as_deref(), Some("nat-1"));
        assert_eq!((found.parts.len(), found.parts[0].part), (1, Part::Quantity));
    }
}

/// One week with four changes: traffic that nobody knows of, new machines, a commitment that ended, and the batch of the
/// first of the month.
#[test]
fn four_changes_are_told_apart() {
    let window = Span::whole(plus(FIRST, 28), plus(FIRST, 34));
    let first_of_month = date(2026, 9, 1);
    assert!(window.holds(first_of_month));
    let history: BTreeMap<Date, Amount> = Span::whole(date(2026, 7, 1), window.last)
        .each()
        .map(|day| (day, Amount::whole(if day.day() == 1 { 600 } else { 20 })))
        .collect();
    let (days, batch) = weeks(|index, _| history[&plus(FIRST, index)]);
    assert_eq!((batch.expected, batch.actual), (Amount::whole(140), Amount::whole(720)));
    // The other costs a day: 100 of traffic, 60 under the commitment.
    let (_, found) = weeks(|index, _| {
        let rest = if index < 28 { 100 + 60 } else { 190 + 96 + 50 };
        Amount::whole(rest) + history[&plus(FIRST, index)]
    });
    let (numerator, denominator) = days.scale();
    let entry = |resource: &str, before: Option<At<'_>>, after: At<'_>| Entry {
        key: key(resource, "sku"),
        // 28 days become 7.
        before: before.map(|at| measures(at).scaled(numerator, denominator)),
        after: Some(measures(after)),
    };
    let usage = split([
        entry("nat-1", Some(("2800", "1", "1", "1")), ("1330", "1", "1", "1")),
        entry("i-new", None, ("350", "1", "1", "1")),
        entry("db-1", Some(("28000", ".096", ".096", ".06")), ("7000", ".096", ".096", ".096")),
        entry("batch-1", Some(("560", "1", "1", "1")), ("720", "1", "1", "1")).from_expected(batch.expected),
    ]);
    let scope = Scope { resources: vec!["db-*".to_owned()], ..Scope::default() };
    let evidence = Evidence {
        events: vec![InventoryEvent {
            resource: "i-new".to_owned(),
            account: None,
            what: Happened::Made,
            day: window.first,
            source: "survey".to_owned(),
        }],
        prices: vec![PriceChange {
            scope,
            moved: PriceMove::CommitmentExpired,
            day: window.first,
            most: None,
            words: "reservation ri-7 ended".to_owned(),
        }],
        histories: BTreeMap::from([("batch-1".into(), history)]),
        ..Evidence::default()
    };
    let change = Change::of_week("USD", &days, &found, &usage, &evidence, Amount::whole(25)).unwrap();
    let found = Waterfall::of(&change);
    let told: Vec<(Cause, String, Option<&str>)> = found
        .explained
        .iter()
        .map(|cause| (cause.cause, cause.amount.to_string(), cause.top[0].resource.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            (Cause::DayOfMonth, "580".to_owned(), Some("batch-1")),
            (Cause::Inventory, "350".to_owned(), Some("i-new")),
            (Cause::Commitment, "252".to_owned(), Some("db-1")),
        ]
    );
    assert_eq!(found.explained[0].top[0].evidence, ["as on 2026-08-01 (580.00 above)"]);
    assert_eq!((found.unexplained.amount, found.unexplained.trend), (Amount::whole(630), Amount::ZERO));
    assert_eq!(found.unexplained.by_resource[0].resource.as_deref(), Some("nat-1"));
    assert_eq!((found.expected, found.delta), (Amount::whole(7 * 180), Amount::whole(580 + 350 + 252 + 630)));
    assert_eq!(found.alert.outcome, Outcome::Rise);
}

#[test]
fn d12_an_id_of_azure_that_changes_case_is_the_same() {
    let ids = [
        "/subscriptions/0A/resourceGroups/Web/providers/Microsoft.Compute/disks/Data",
        "/Subscriptions/0a/ResourceGroups/WEB/providers/microsoft.compute/disks/data",
    ];
    for (one, other) in [(ids[0], ids[1]), (ids[1], ids[0])] {
        let same = Some(measures(("24", ".1", ".1", ".1")));
        let lines = split([
            Entry { key: key(one, "P10"), before: same, after: None },
            Entry { key: key(other, "P10"), before: None, after: same },
        ]);
        assert_eq!(lines, []);
    }
}

#[test]
fn e_what_is_expected() {
    let expected = |cost: &dyn Fn(i64, Date) -> Amount| {
        let (_, found) = weeks(cost);
        found.days.iter().map(|day| day.expected.to_string()).collect::<Vec<_>>().join(" ")
    };
    let pattern = "1000 1000 1000 1000 1000 400 400";
    assert_eq!(expected(&|_, day| Amount::whole(weekly(day))), pattern, "E1");
    for odd in 0..28 {
        let cost = |index: i64, day: Date| Amount::whole(weekly(day) * if index == odd { 5 } else { 1 });
        assert_eq!(expected(&cost), pattern, "E2, day {odd}");
        let missing = |index: i64, day: Date| Amount::whole(if index == odd { 0 } else { weekly(day) });
        assert_eq!(expected(&missing), pattern, "E2', day {odd}");
    }
    // E3: one percent a day; and E3': a half down.
    for (name, factor, expected, actual) in [("E3", (101, 100), 7755.4, 7856.4), ("E3'", (995, 1000), 4963.0, 4988.0)] {
        let cost = |index: i64, day: Date| {
            (0..index).fold(Amount::whole(weekly(day)), |cost, _| cost.scaled(factor.0, factor.1))
        };
        let (_, found) = weeks(cost);
        let units = |amount: Amount| amount.pico() as f64 / 1e12;
        let truth: f64 = (28..35)
            .map(|index| weekly(plus(FIRST, index)) as f64 * (factor.0 as f64 / factor.1 as f64).powi(index as i32))
            .sum();
        assert!((units(found.actual) - truth).abs() < 1e-6, "{name}");
        assert!((units(found.expected) - expected).abs() < if name == "E3" { 0.1 } else { 50.0 }, "{name} {found:?}");
        assert!((units(found.actual) - actual).abs() < if name == "E3" { 0.1 } else { 50.0 }, "{name} {found:?}");
        assert!((units(found.delta()) / units(found.expected)).abs() < 0.02, "{name}");
    }
}

/// Six weeks of counts, from a Monday. `count` takes the days that are left after the day and the weekday's factor.
fn growth(count: &dyn Fn(i32, f64) -> f64) -> Growth {
    let counts = (0..42).map(|index| {
        let day = plus(FIRST, index);
        let weekday = if day.weekday().to_monday_one_offset() > 5 { 0.4 } else { 1.0 };
        (day, vec![(1e6 * count(41 - index as i32, weekday)).round() as u64])
    });
    Growth::of(&counts.collect(), &GrowthTerms::default(), false)
}

#[test]
fn g_growth_and_level_shifts() {
    use GrowthOutcome::{Growing, Quiet};
    // Days before the end, and the factor of the weekday.
    type Count = fn(i32, f64) -> f64;
    let table: [(&str, Count, f64, f64, GrowthOutcome, usize); 16] = [
        ("G1", |_, _| 1.0, 0.0, 0.0, Quiet, 0),
        ("G2", |left, _| 1.05_f64.powi(-left), 5.0, 5.0, Quiet, 0),
        ("G3", |left, _| 1.06_f64.powi(-left), 6.0, 6.0, Growing, 0),
        ("G4", |_, weekday| weekday, 0.0, 0.0, Quiet, 0),
        ("G5", |left, weekday| weekday * 1.06_f64.powi(-left), 6.0, 6.0, Growing, 0),
        ("G6", |left, _| if left == 2 { 3.0 } else { 1.0 }, 0.0, 0.0, Quiet, 0),
        ("G7", |left, _| if left < 5 { 1.4 } else { 1.0 }, 0.0, 0.0, Quiet, 1),
        ("G9b", |left, _| 1.08_f64.powi((5 - left).max(0)), 8.0, 8.0, Growing, 0),
        ("G11", |left, _| if left < 3 { 1.4 } else { 1.0 }, 8.78, 0.0, Quiet, 1),
        // Others.
        ("G3'", |left, _| 1.12_f64.powi(-left), 12.0, 12.0, Growing, 0),
        ("G3''", |left, _| 0.94_f64.powi(-left), -6.0, -6.0, Quiet, 0),
        ("G5'", |left, weekday| weekday * 1.04_f64.powi(-left), 4.0, 4.0, Quiet, 0),
        ("G6'", |left, _| if left == 4 { 0.2 } else { 1.0 }, 0.0, 0.0, Quiet, 0),
        // ln 2 over 4 days: 18.92 %.
        ("G11'", |left, _| if left < 3 { 2.0 } else { 1.0 }, 18.92, 0.0, Quiet, 1),
        ("G7'", |left, weekday| weekday * if left < 5 { 1.4 } else { 1.0 }, 0.0, 0.0, Quiet, 1),
        // The fourth day of a ramp: four of the five differences, and two of six points not on it yet.
        ("G9'", |left, _| 1.10_f64.powi((4 - left).max(0)), 10.0, 10.0, Growing, 0),
    ];
    for (name, count, slope, steps, outcome, shifts) in table {
        let found = growth(&count);
        assert!((found.slope * 100.0 - slope).abs() < 0.006, "{name}: {found:?}");
        assert!((found.steps * 100.0 - steps).abs() < 0.006, "{name}: {found:?}");
        assert_eq!((found.outcome, found.shifts.len()), (outcome, shifts), "{name}: {found:?}");
    }
}

#[test]
fn g12_g13_noise_of_two_percent() {
    let mut shifts = 0;
    for seed in 1..=200_u64 {
        // Sums of four uniform numbers, scaled to a deviation of 2 %.
        let mut state = seed;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / (1_u64 << 24) as f64 - 0.5
        };
        let noise: Vec<f64> =
            (0..42).map(|_| 0.02 * (uniform() + uniform() + uniform() + uniform()) * 3_f64.sqrt()).collect();
        let flat = growth(&|left, _| noise[left as usize].exp());
        assert_eq!(flat.outcome, GrowthOutcome::Quiet, "seed {seed}: {flat:?}");
        shifts += flat.shifts.len();
        let growing = growth(&|left, _| 1.07_f64.powi(-left) * noise[left as usize].exp());
        assert!(growing.slope > 0.03 && growing.steps > 0.03, "seed {seed}: {growing:?}");
        assert!(growing.slope < 0.12 && growing.steps < 0.12, "seed {seed}: {growing:?}");
    }
    // Five MAD are 3.4 deviations: now and then chance is taken for a step, on the day itself.
    assert!(shifts <= 2, "{shifts} level shifts in 200 series of noise");
}
