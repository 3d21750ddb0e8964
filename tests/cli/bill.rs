//! Bills: what the last week cost, by what, and why.

use super::Place;
use jiff::civil::{Date, date};
use std::{fmt::Write as _, fs};

const HEADER: &str = "BilledCost,EffectiveCost,ListCost,ContractedCost,PricingQuantity,BillingCurrency,ChargeCategory,ChargeClass,\
                      ChargePeriodStart,ChargePeriodEnd,ServiceName,SubAccountId,BillingAccountId,ProviderName,RegionId,\
                      ResourceId,SkuPriceId,CommitmentDiscountId,CommitmentDiscountStatus\n";

/// A row of usage: list and contracted price 10 % and 5 % above what a unit costs without a commitment.
struct Row<'a> {
    day: Date,
    service: &'a str,
    account: &'a str,
    resource: &'a str,
    quantity: i64,
    /// Hundredths a unit.
    price: i64,
    commitment: &'a str,
}

fn rows(text: &mut String, row: &Row<'_>) {
    let Row { day, service, account, resource, quantity, price, commitment } = row;
    let next = day.tomorrow().unwrap();
    let cents = |hundredths: i64| format!("{}.{:02}", hundredths / 100, hundredths % 100);
    let (cost, listed) = (cents(quantity * price), cents(quantity * 110));
    let status = if commitment.is_empty() { "" } else { "Used" };
    // Twenty rows a day are those of a loaded day.
    writeln!(
        text,
        "{cost},{cost},{listed},{listed},{quantity},USD,Usage,,{day}T00:00:00Z,{next}T00:00:00Z,{service},{account},payer,AWS,eu-west-1,{resource},{service}-sku,{commitment},{status}"
    )
    .unwrap();
}

/// From 10 September to 18 October: quiet, but in the last week a new machine costs 60 a day, another lost its
/// commitment (40 a day more), and a gateway's traffic trebled (70 a day more), which nobody has said.
fn bill() -> String {
    let mut text = HEADER.to_owned();
    for day in date(2026, 9, 10).series(jiff::Span::new().days(1)).take(39) {
        let late = day > date(2026, 10, 11);
        let machines: Vec<String> = (0..20).map(|index| format!("i-{index:04}")).collect();
        let mut row = |service, account, resource, quantity, price, commitment| {
            rows(&mut text, &Row { day, service, account, resource, quantity, price, commitment });
        };
        for machine in &machines {
            row("Compute", "111111111111", machine, 20, 100, "");
        }
        if late {
            row("Compute", "111111111111", "i-new", 60, 100, "");
        }
        row("Compute", "222222222222", "i-plan", 100, if late { 100 } else { 60 }, if late { "" } else { "sp-0a1" });
        row("Network", "222222222222", "nat-1", if late { 105 } else { 35 }, 100, "");
    }
    text
}

const NOW: [&str; 2] = ["--now", "2026-10-20T12:00:00Z"];

fn run(place: &Place, more: &[&str]) -> String {
    let mut arguments = vec!["bill", "--focus", "bill.csv"];
    arguments.extend(NOW);
    arguments.extend(more);
    place.run(&arguments).ended(0).to_owned()
}

#[test]
fn a_rise_is_broken_down_and_told() {
    let place = Place::new();
    fs::write(place.path("bill.csv"), bill()).unwrap();
    let text = run(&place, &[]);
    for part in ["rise: 2026-10-12 to 2026-10-18, USD", "Compute", "Network", "+1190.00", "▇███", "an alert needs"]
    {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let accounts = run(&place, &["--by", "account"]);
    assert!(
        accounts.contains("111111111111") && accounts.contains("+420.00") && accounts.contains("+770.00"),
        "{accounts}"
    );
    let sheet = run(&place, &["--by", "resource", "--format", "csv"]);
    assert!(sheet.starts_with("name,expected,actual,delta,billed,currency\n"), "{sheet}");
    assert!(sheet.contains("nat-1,245,735,490,,USD"), "{sheet}");
    assert!(run(&place, &["--by", "region"]).contains("eu-west-1"));
}

#[test]
fn why_it_rose_is_told_apart_and_adds_up() {
    let place = Place::new();
    fs::write(place.path("bill.csv"), bill()).unwrap();
    fs::write(
        place.path("planned.toml"),
        "[[event]]\nscope = { resources = [\"i-new\"] }\nfrom = 2026-10-12\nuntil = 2026-10-25\nreason = \"load test\"\namount = \"840\"\n",
    )
    .unwrap();
    let text = run(&place, &["--explain", "--planned", "planned.toml"]);
    for part in [
        "3465.00  expected",
        "+280.00  a commitment ended or was bought",
        "commitment sp-0a1 stopped covering anything on 2026-10-12",
        "+420.00  planned",
        "load test",
        "+490.00  unexplained",
        "nat-1: quantity",
        "4655.00  actual",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let json: serde_json::Value = serde_json::from_str(&run(&place, &["--explain", "--format", "json"])).unwrap();
    let story = &json["waterfall"];
    let pico = |value: &serde_json::Value| {
        let text = value.as_str().unwrap();
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let fraction: i128 = format!("{fraction:0<12}").parse().unwrap();
        let whole: i128 = whole.parse().unwrap();
        whole * 1_000_000_000_000 + if text.starts_with('-') { -fraction } else { fraction }
    };
    let explained: i128 = story["explained"].as_array().unwrap().iter().map(|part| pico(&part["amount"])).sum();
    assert_eq!(pico(&story["expected"]) + explained + pico(&story["unexplained"]["amount"]), pico(&story["actual"]));
    // Without the plan the new machine has no evidence.
    assert!(pico(&story["unexplained"]["amount"]) > 900 * 1_000_000_000_000, "{story}");
}

#[test]
fn what_is_wrong_is_named_and_nothing_is_half_read() {
    let place = Place::new();
    let whole = bill();
    fs::write(place.path("bill.csv"), &whole).unwrap();
    fs::write(place.path("cut.csv"), whole.replacen("EffectiveCost", "Effective", 1)).unwrap();
    place.run(&["bill", "--focus", "cut.csv"]).failed(2, &["cut.csv", "EffectiveCost"]);
    place.run(&["bill", "--focus", "nowhere"]).failed(2, &["failed to read the bill", "nowhere"]);
    fs::write(place.path("euro.csv"), whole.replace(",USD,", ",EUR,")).unwrap();
    place.run(&["bill", "--focus", "bill.csv", "euro.csv", NOW[0], NOW[1]]).failed(2, &["EUR", "USD"]);
    place.run(&["bill", "--focus", "bill.csv", "--by", "owner"]).failed(2, &["whose a resource is", "--survey"]);
    place.run(&["bill", "--focus", "bill.csv", "--floor", "some"]).failed(2, &["--floor"]);
    fs::write(
        place.path("planned.toml"),
        "[[event]]\nscope = {}\nfrom = 2026-10-12\nuntil = 2026-10-13\nreason = \"x\"\namount = \"1\"\n",
    )
    .unwrap();
    place
        .run(&["bill", "--focus", "bill.csv", "--explain", "--planned", "planned.toml"])
        .failed(2, &["planned.toml, line 1", "empty scope"]);
    // A row that is no number is left out and named; the rest is compared.
    fs::write(place.path("bill.csv"), whole.replacen("20.00,20.00", "20.00,NaN", 1)).unwrap();
    let ran = place.run(&["bill", "--focus", "bill.csv", NOW[0], NOW[1]]);
    ran.ended(0);
    assert!(
        format!("{ran:?}").contains("1 rows of the bill were left out") && format!("{ran:?}").contains("line 2"),
        "{ran:?}"
    );
}

#[test]
fn an_export_is_read_by_its_manifest() {
    let place = Place::new();
    let data = place.path("export/data/BILLING_PERIOD=2026-10");
    let metadata = place.path("export/metadata/BILLING_PERIOD=2026-10");
    fs::create_dir_all(&data).unwrap();
    fs::create_dir_all(&metadata).unwrap();
    fs::write(data.join("focus-00001.csv"), bill()).unwrap();
    fs::write(metadata.join("focus-Manifest.json"), r#"{"dataFiles": ["s3://bills/export/data/BILLING_PERIOD=2026-10/focus-00001.csv", "s3://bills/export/data/BILLING_PERIOD=2026-10/focus-00002.csv"]}"#).unwrap();
    let arguments = ["bill", "--focus", "export", NOW[0], NOW[1]];
    place.run(&arguments).failed(2, &["focus-00002.csv", "half written"]);
    fs::write(
        metadata.join("focus-Manifest.json"),
        r#"{"dataFiles": ["s3://bills/export/data/BILLING_PERIOD=2026-10/focus-00001.csv"]}"#,
    )
    .unwrap();
    assert!(place.run(&arguments).ended(0).contains("rise: 2026-10-12 to 2026-10-18"));
}

/// The bill of [`bill`] in two files, by accounts.
fn halves(place: &Place) {
    let text = bill();
    let (header, rows) = text.split_once('\n').unwrap();
    for (name, account) in [("one.csv", "111111111111"), ("two.csv", "222222222222")] {
        let own = rows.lines().filter(|row| row.contains(account)).fold(String::new(), |all, row| all + row + "\n");
        fs::write(place.path(name), format!("{header}\n{own}")).unwrap();
    }
}

#[test]
fn a_bill_is_summed_apart_and_merged_to_the_same_bytes() {
    let place = Place::new();
    halves(&place);
    let direct = |more: &[&str]| {
        let mut arguments = vec!["bill", "--focus", "one.csv", "two.csv", "--format", "json", NOW[0], NOW[1]];
        arguments.extend(more);
        place.run(&arguments).ended(0).to_owned()
    };
    let partial = |file: &str, output: &str, more: &[&str]| {
        let mut arguments = vec!["bill", "partial", file, "-o", output];
        arguments.extend(more);
        place.run(&arguments)
    };
    for (file, output) in [("one.csv", "one.partial"), ("two.csv", "two.partial")] {
        assert_eq!(partial(file, output, &NOW).ended(0), "");
        partial(file, &format!("month-{output}"), &["--window", "month", NOW[0], NOW[1]]).ended(0);
    }
    let merge = |more: &[&str]| {
        let mut arguments = vec!["bill", "merge", "two.partial", "one.partial"];
        arguments.extend(more);
        place.run(&arguments)
    };
    assert_eq!(merge(&["--format", "json", "--files", "2"]).ended(0), direct(&[]));
    assert!(merge(&[]).ended(0).contains("rise: 2026-10-12 to 2026-10-18, USD"));
    // The second round, from the partials themselves or from what they were merged into.
    merge(&["--explain"]).failed(2, &["one.csv: no partial says why", "--explain PARTIAL"]);
    merge(&["--format", "partial", "-o", "all.partial"]).ended(0);
    partial("one.csv", "one.why", &["--explain", "one.partial", "two.partial"]).ended(0);
    partial("two.csv", "two.why", &["--explain", "all.partial"]).ended(0);
    let told = merge(&["one.why", "two.why", "--explain", "--format", "json"]);
    assert_eq!(told.ended(0), direct(&["--explain"]));
    assert!(told.out.contains("waterfall"), "{told:?}");

    merge(&["--files", "3"]).failed(2, &["of 2 files, not 3"]);
    merge(&["all.partial"]).failed(2, &["all.partial: ", "counted twice"]);
    merge(&["month-one.partial"]).failed(2, &["month-one.partial: it was asked for another comparison", "a month"]);
    merge(&["one.csv"]).failed(2, &["one.csv: it is no partial"]);
    merge(&["nowhere"]).failed(2, &["nowhere: "]);
    partial("nowhere.csv", "x.partial", &NOW).failed(2, &["nowhere.csv"]);
    partial("one.csv", "x.partial", &["--explain", "one.partial", "--by", "region"]).failed(2, &["--by"]);
    assert!(!place.names().iter().any(|name| name.contains("x.partial")), "{:?}", place.names());
}

#[test]
fn the_same_sums_are_printed_for_a_warehouse() {
    let place = Place::new();
    let print = |more: &[&str]| {
        let mut arguments = vec!["bill", "--print-sql"];
        arguments.extend(more);
        arguments.extend(NOW);
        place.run(&arguments)
    };
    let athena = print(&["athena", "--table", "bills.focus", "--by", "account"]);
    for part in
        ["FROM \"bills\".\"focus\"", "\"billing_period\" >= '2026-08'", "usage by charge day, account", "in no sum"]
    {
        assert!(athena.ended(0).contains(part), "{part}: {}", athena.out);
    }
    let google = print(&["bigquery", "--table", "p-1.billing.gcp", "--partition", "none", "--explain"]);
    assert!(google.ended(0).contains("FROM `p-1`.`billing`.`gcp`") && !google.out.contains("_PARTITIONTIME"));
    assert!(google.out.contains("account, service, resource, sku price"), "{}", google.out);
    print(&["athena", "--table", "x\"; DROP TABLE y"]).failed(2, &["is no name of a table"]);
    print(&["athena"]).failed(2, &["--table"]);
    place.run(&["bill"]).failed(2, &["--focus"]);
}
