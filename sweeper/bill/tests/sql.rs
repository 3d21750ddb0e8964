//! Queries for warehouses, as text. What they sum is compared with the engine by `tests/peer/bill_duckdb_test.py`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use jiff::civil::date;
use sweeper_bill::{
    delta::Terms,
    focus::Lane,
    movement::{By, Compared, Question},
    request::{Key, Measure, Request, Rollup, Spread, Window},
    sql::{Dialect, SqlError, Statement, Warehouse, statements},
};

const DIALECTS: [Dialect; 3] = [Dialect::Athena, Dialect::BigQuery, Dialect::DuckDb];

fn question() -> Question {
    Question::new(By::Service, Compared::Week, &Terms::new(date(2026, 10, 20)))
}

fn queries(request: &Request, dialect: Dialect) -> Vec<Statement> {
    let warehouse = Warehouse::new(dialect, "bills.focus", dialect.partition()).unwrap();
    statements(request, &warehouse).unwrap()
}

#[test]
fn only_names_get_into_the_text() {
    for table in [
        "",
        ".",
        "a.",
        "a..b",
        "a.b.c.d",
        "a b",
        "a;b",
        "a\"",
        "a`b",
        "a'b",
        "a\nb",
        "bücher",
        "a/*b",
        &"a".repeat(2000),
    ] {
        for dialect in DIALECTS {
            assert!(matches!(Warehouse::new(dialect, table, None), Err(SqlError::Table(_))), "{table}");
        }
    }
    for column in ["", "a.b", "a\"", "x OR 1=1", "a-b"] {
        assert!(matches!(Warehouse::new(Dialect::Athena, "a", Some(column)), Err(SqlError::Column(_))), "{column}");
    }
    let error = Warehouse::new(Dialect::Athena, "x\u{1b}[31m\"; DROP TABLE y", None).unwrap_err().to_string();
    assert!(!error.contains('\u{1b}') && error.contains("is no name of a table"), "{error}");
    let text = |dialect, table| {
        let warehouse = Warehouse::new(dialect, table, None).unwrap();
        statements(&question().days(), &warehouse).unwrap().remove(0).text
    };
    assert!(text(Dialect::Athena, "bills.focus_1").contains("FROM \"bills\".\"focus_1\"\n"));
    assert!(text(Dialect::BigQuery, "my-project.billing.gcp_0A").contains("FROM `my-project`.`billing`.`gcp_0A`\n"));
}

#[test]
fn partitions_are_read_from_the_month_of_the_first_day() {
    // Sixty days before 20 October: 21 August.
    let filter = |dialect| {
        let text = queries(&question().days(), dialect).remove(0).text;
        text.lines().find(|line| line.trim_start().starts_with("WHERE")).unwrap().trim().to_owned()
    };
    assert_eq!(filter(Dialect::Athena), "WHERE \"billing_period\" >= '2026-08'");
    assert_eq!(filter(Dialect::BigQuery), "WHERE `_PARTITIONTIME` >= '2026-08-01'");
    assert!(!filter(Dialect::DuckDb).contains("2026-08'"));
}

#[test]
fn every_roll_up_has_a_query_and_one_counts_what_is_left_out() {
    for dialect in DIALECTS {
        let found = queries(&question().days(), dialect);
        let titles: Vec<&str> = found.iter().map(|query| query.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "usage by charge day, service, currency",
                "all charges by charge day, lane, currency",
                "rows that are in no sum, and why"
            ]
        );
        for query in &found {
            for part in [
                "WHEN class = 'Correction' THEN 'correction' WHEN class <> '' THEN NULL",
                "WHEN category = 'Usage' AND status = 'Unused' THEN 'commitment'",
                "WHEN category = 'Usage' THEN 'usage'",
                "WHEN category = 'Purchase' THEN 'commitment'",
                "WHEN category = 'Adjustment' THEN 'correction'",
                "WHEN category = 'Credit' THEN 'credit'",
                "WHEN category = 'Tax' THEN 'tax'",
            ] {
                assert!(query.text.contains(part), "{part}: {}", query.text);
            }
            let balance = query.text.chars().fold(0_i64, |depth, char| match char {
                '(' => depth + 1,
                ')' => depth - 1,
                _ => depth,
            });
            assert!(balance == 0 && !query.text.contains(';'), "{}", query.text);
        }
        assert!(found[0].text.contains("charge_day >= DATE '2026-08-21' AND charge_day < DATE '2026-10-21'"));
        assert!(found[0].text.contains("lane IN ('usage')") && found[1].text.contains("COUNT(*) AS row_count"));
    }
    let reasons = question().reasons_of_whole_days().unwrap();
    let found = queries(&reasons.lines(), Dialect::Athena);
    assert_eq!(found[0].title, "usage by first day, account, service, resource, sku price, currency");
    for part in [
        // The four weeks before the last mature week, and that week.
        "WHEN charge_day >= DATE '2026-09-14' AND charge_day < DATE '2026-10-12' THEN DATE '2026-09-14'",
        "WHEN charge_day >= DATE '2026-10-12' AND charge_day < DATE '2026-10-19' THEN DATE '2026-10-12'",
        "CASE WHEN contracted = 0 AND effective <> 0 THEN 1 ELSE 0 END AS contracted_unknown_rows",
    ] {
        assert!(found[0].text.contains(part), "{part}: {}", found[0].text);
    }
}

#[test]
fn any_request_has_queries_and_a_senseless_one_none() {
    let window = Window { from: date(2026, 9, 1), to: date(2026, 9, 8) };
    let other = Window { from: date(2026, 9, 20), to: date(2026, 9, 21) };
    let rollup = Rollup {
        keys: Key::ALL.into_iter().filter(|key| *key != Key::Invoice).collect(),
        attributes: vec![Key::Invoice],
        windows: vec![window, other],
        measures: vec![Measure::List, Measure::ListUnknown, Measure::Rows],
        lanes: vec![Lane::Usage, Lane::Tax],
    };
    let request = Request { rollups: vec![rollup.clone()], spread: Spread::Start, ..Request::default() };
    let text = &queries(&request, Dialect::BigQuery)[0].text;
    for part in [
        "(charge_day >= DATE '2026-09-01' AND charge_day < DATE '2026-09-08' OR charge_day >= DATE '2026-09-20' AND",
        "COALESCE(MIN(NULLIF(invoice, '')), '') AS invoice",
        "lane IN ('usage', 'tax')",
        "1 AS days",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("ChargePeriodEnd"), "{text}");
    let senseless = Request { rollups: vec![Rollup { windows: Vec::new(), ..rollup }], ..Request::default() };
    let warehouse = Warehouse::new(Dialect::Athena, "t", None).unwrap();
    assert!(matches!(statements(&senseless, &warehouse), Err(SqlError::Request(_))));
}
