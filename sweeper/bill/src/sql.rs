//! A request as SQL, for bills that lie in a warehouse: the sums that [`crate::engine::scan`] would find, from the same
//! definition, where the bill is.
//!
//! What is read, and how:
//!
//! - Columns may be text, doubles or decimals, and times text, dates or timestamps; text is UTC, as FOCUS demands. Every
//!   amount goes through its text, so a double is the shortest decimal that reads back as it, and digits beyond the
//!   twelfth decimal are rounded half away from zero: as [`crate::exact`] does it. Sums are of whole units of 10⁻¹² and
//!   equal the engine's. (A warehouse that writes a double with more digits than it needs differs by its last place.)
//! - Lanes, spread over days, ids of Azure, and unknown list and contracted costs are as in [`crate::row`].
//! - A row that the engine leaves out and names is in no sum; a statement of its own counts such rows. An amount or time
//!   that cannot be read fails the query instead.
//! - Currencies are never added: each has rows of its own, where the engine refuses a second one.
//! - Only partitions from the month of the first day on are read. Usage that was billed in an earlier month, and is
//!   spread over days from then on, is not seen; there is no upper end, since corrections come in later months.
//!
//! Sources: Athena engine version 3 (Trino), "Functions and operators"; BigQuery, "`GoogleSQL` reference"; both as of
//! 2026. The tests run the third dialect, which is `DuckDB`'s and differs in a few words.

use crate::{
    focus::Lane,
    request::{Key, Measure, Request, RequestError, Rollup, Spread, Window},
    row::{CATEGORIES, CORRECTION, Cost, MOST_DAYS_A_ROW, Needs, ONE_DAY_MILLIS, UNUSED, Word, shortened},
};
use jiff::civil::Date;
use std::fmt::Write as _;
use thiserror::Error;

/// Longer than any name of a table.
const LONGEST_NAME: usize = 1024;

/// The SQL of a warehouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Athena,
    BigQuery,
    /// For tests.
    DuckDb,
}

impl Dialect {
    /// The column that an export's table is partitioned by: that of AWS Data Exports is a month, `2026-09`; Google's
    /// tables are partitioned by the time a row came in.
    pub const fn partition(self) -> Option<&'static str> {
        match self {
            Self::Athena => Some("billing_period"),
            Self::BigQuery => Some("_PARTITIONTIME"),
            Self::DuckDb => None,
        }
    }

    fn quoted(self, name: &str) -> String {
        match self {
            Self::BigQuery => format!("`{name}`"),
            Self::Athena | Self::DuckDb => format!("\"{name}\""),
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::BigQuery => "STRING",
            Self::Athena | Self::DuckDb => "VARCHAR",
        }
    }

    /// The type of a time without a zone, and the word before a literal of it.
    const fn time(self) -> &'static str {
        match self {
            Self::BigQuery => "DATETIME",
            Self::Athena | Self::DuckDb => "TIMESTAMP",
        }
    }

    /// The whole units of 10⁻¹² of a number's text.
    fn units(self, text: &str) -> String {
        match self {
            Self::Athena => {
                format!(
                    "CAST(CAST({text} AS DECIMAL(38, 12)) * CAST(1000000000000 AS DECIMAL(13, 0)) AS DECIMAL(38, 0))"
                )
            }
            Self::BigQuery => format!("ROUND(PARSE_BIGNUMERIC({text}), 12) * 1000000000000"),
            Self::DuckDb => format!("CAST(CAST({text} AS DECIMAL(38, 12)) * 1000000000000 AS HUGEINT)"),
        }
    }

    /// An amount, from a sum of its units.
    fn amount(self, sum: &str) -> String {
        match self {
            Self::Athena => format!("CAST({sum} AS DECIMAL(38, 0)) * CAST('0.000000000001' AS DECIMAL(12, 12))"),
            Self::BigQuery => format!("{sum} / 1000000000000"),
            Self::DuckDb => format!("CAST({sum} AS DECIMAL(38, 0)) * CAST(0.000000000001 AS DECIMAL(12, 12))"),
        }
    }

    /// A whole number over one that it is a multiple of.
    fn divided(self, number: &str, by: &str) -> String {
        match self {
            Self::Athena => format!("CAST({number} / {by} AS DECIMAL(38, 0))"),
            Self::BigQuery => format!("{number} / {by}"),
            Self::DuckDb => format!("{number} // {by}"),
        }
    }

    fn seconds(self, from: &str, to: &str) -> String {
        match self {
            Self::BigQuery => format!("DATETIME_DIFF({to}, {from}, SECOND)"),
            Self::Athena | Self::DuckDb => format!("DATE_DIFF('second', {from}, {to})"),
        }
    }

    /// How many days a period goes over whose end is exclusive.
    fn days(self, from: &str, to: &str) -> String {
        match self {
            Self::Athena => {
                format!("DATE_DIFF('day', CAST({from} AS DATE), CAST({to} - INTERVAL '1' SECOND AS DATE)) + 1")
            }
            Self::DuckDb => {
                format!("DATE_DIFF('day', CAST({from} AS DATE), CAST({to} - INTERVAL 1 SECOND AS DATE)) + 1")
            }
            Self::BigQuery => {
                format!("DATE_DIFF(CAST(DATETIME_SUB({to}, INTERVAL 1 SECOND) AS DATE), CAST({from} AS DATE), DAY) + 1")
            }
        }
    }

    /// From a row one for each number below `count`, which is called `part`.
    fn each(self, count: &str) -> String {
        match self {
            Self::Athena => format!("CROSS JOIN UNNEST(SEQUENCE(0, {count} - 1)) AS numbers (part)"),
            Self::BigQuery => format!("CROSS JOIN UNNEST(GENERATE_ARRAY(0, {count} - 1)) AS part"),
            Self::DuckDb => format!("CROSS JOIN UNNEST(GENERATE_SERIES(0, {count} - 1)) AS numbers (part)"),
        }
    }

    fn later(self, day: &str, days: &str) -> String {
        match self {
            Self::Athena => format!("DATE_ADD('day', {days}, {day})"),
            Self::BigQuery => format!("DATE_ADD({day}, INTERVAL {days} DAY)"),
            Self::DuckDb => format!("{day} + CAST({days} AS INTEGER)"),
        }
    }
}

/// Why there is no SQL.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SqlError {
    #[error("`{0}` is no name of a table: up to three parts with dots between, of letters, digits, `_` and `-`")]
    Table(String),
    #[error("`{0}` is no name of a column: letters, digits and `_`")]
    Column(String),
    #[error("{0}")]
    Request(#[from] RequestError),
}

/// Where a bill lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warehouse {
    dialect: Dialect,
    /// Quoted.
    table: String,
    /// Quoted.
    partition: Option<String>,
}

impl Warehouse {
    /// `table` is `database.table` for Athena, `project.dataset.table` for BigQuery. `partition` is the column that its
    /// partitions are by; `None` reads all of it.
    ///
    /// # Errors
    /// Names that no warehouse has, so that nothing but a name gets into the text.
    pub fn new(dialect: Dialect, table: &str, partition: Option<&str>) -> Result<Self, SqlError> {
        let good = |name: &str, more: &[u8]| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        let parts: Vec<&str> = table.split('.').collect();
        if parts.len() > 3 || table.len() > LONGEST_NAME || !parts.iter().all(|part| good(part, b"_-")) {
            return Err(SqlError::Table(shortened(table)));
        }
        if let Some(column) = partition.filter(|column| column.len() > LONGEST_NAME || !good(column, b"_")) {
            return Err(SqlError::Column(shortened(column)));
        }
        let table: Vec<String> = parts.iter().map(|part| dialect.quoted(part)).collect();
        let partition = partition.map(|column| dialect.quoted(column));
        Ok(Self { dialect, table: table.join("."), partition })
    }
}

/// One query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it answers, in a line.
    pub title: String,
    /// Without a semicolon.
    pub text: String,
}

/// The queries of a request: one a roll-up, in order, and one that counts the rows that are in none of their sums.
///
/// # Errors
/// A request without an answer.
pub fn statements(request: &Request, warehouse: &Warehouse) -> Result<Vec<Statement>, SqlError> {
    let needs = Needs::of(request)?;
    let query = Query { warehouse, dialect: warehouse.dialect, needs: &needs, request };
    let mut statements: Vec<Statement> = request.rollups.iter().map(|rollup| query.rollup(rollup)).collect();
    statements.push(Statement {
        title: "rows that are in no sum, and why".to_owned(),
        text: format!(
            "{}\nSELECT problem, COUNT(*) AS row_count\nFROM periods\nWHERE problem IS NOT NULL\nGROUP BY problem\n\
             ORDER BY problem",
            query.charges()
        ),
    });
    Ok(statements)
}

struct Query<'a> {
    warehouse: &'a Warehouse,
    dialect: Dialect,
    needs: &'a Needs,
    request: &'a Request,
}

/// The name of a key's column in the answer.
const fn key_name(key: Key) -> &'static str {
    match key {
        Key::Resource => "resource",
        Key::ResourceName => "resource_name",
        Key::ResourceType => "resource_type",
        Key::SkuPrice => "sku_price",
        Key::Sku => "sku",
        Key::SkuMeter => "sku_meter",
        Key::Service => "service",
        Key::Account => "account",
        Key::AccountName => "account_name",
        Key::BillingAccount => "billing_account",
        Key::Region => "region",
        Key::Provider => "provider",
        Key::Commitment => "commitment",
        Key::PricingUnit => "pricing_unit",
        Key::Invoice => "invoice",
        Key::Lane => "lane",
    }
}

const fn measure_name(measure: Measure) -> &'static str {
    match measure {
        Measure::Billed => "billed_cost",
        Measure::Effective => "effective_cost",
        Measure::Contracted => "contracted_cost",
        Measure::List => "list_cost",
        Measure::Quantity => "pricing_quantity",
        Measure::Rows => "row_count",
        Measure::ContractedUnknown => "contracted_unknown_rows",
        Measure::ListUnknown => "list_unknown_rows",
    }
}

/// The name of an amount's units within the query.
const fn cost_name(cost: Cost) -> &'static str {
    match cost {
        Cost::Effective => "effective",
        Cost::Billed => "billed",
        Cost::Contracted => "contracted",
        Cost::List => "list",
        Cost::Quantity => "quantity",
    }
}

/// The date of a day's number.
fn date_of(day: i32) -> Date {
    jiff::civil::date(1970, 1, 1).saturating_add(jiff::Span::new().days(day))
}

/// Which lane a charge is in: null where the engine would leave it out.
fn lane() -> String {
    let lane = |lane: Lane| format!("'{}'", lane.name());
    let mut text = "CASE".to_owned();
    let _ = write!(text, " WHEN class = '{CORRECTION}' THEN {}", lane(Lane::Correction));
    text.push_str(" WHEN class <> '' THEN NULL");
    for (category, of) in CATEGORIES {
        if of == Lane::Usage {
            let unused = lane(Lane::Commitment);
            let _ = write!(text, " WHEN category = '{category}' AND status = '{UNUSED}' THEN {unused}");
        }
        let _ = write!(text, " WHEN category = '{category}' THEN {}", lane(of));
    }
    text + " END"
}

impl Query<'_> {
    /// The text of a column, null where it stands for that.
    fn written(&self, column: &str) -> String {
        let column = self.dialect.quoted(column);
        let text = format!("TRIM(CAST({column} AS {}))", self.dialect.text());
        format!("CASE WHEN LOWER({text}) NOT IN ('', 'null') THEN {text} END AS {column}")
    }

    fn time(&self, column: &str) -> String {
        let (column, time) = (self.dialect.quoted(column), self.dialect.time());
        format!("CAST(REPLACE(SUBSTR({column}, 1, 19), 'T', ' ') AS {time})")
    }

    /// A name, empty where there is none.
    fn name(&self, column: &str, is_id: bool) -> String {
        let column = self.dialect.quoted(column);
        if is_id {
            return format!(
                "COALESCE(CASE WHEN {column} LIKE '/%' AND {column} NOT LIKE '//%' THEN LOWER({column}) ELSE {column} END, '')"
            );
        }
        format!("COALESCE({column}, '')")
    }

    fn midnight(&self, day: i32) -> String {
        format!("{} '{} 00:00:00'", self.dialect.time(), date_of(day))
    }

    /// The units of an amount.
    fn amount(&self, cost: Cost) -> String {
        let units = self.dialect.units(&self.dialect.quoted(cost.column()));
        match cost.null() {
            Some(_) => format!("COALESCE({units}, 0)"),
            None => units,
        }
    }

    fn is_spread(&self) -> bool {
        self.request.spread == Spread::Days
    }

    /// The charges that matter, and what is wrong with those that are left out.
    fn charges(&self) -> String {
        let Self { warehouse, dialect, needs, .. } = self;
        let mut read = vec!["ChargePeriodStart"];
        let mut columns = vec![format!("{} AS started", self.time("ChargePeriodStart"))];
        if self.is_spread() {
            read.push("ChargePeriodEnd");
            columns.push(format!("{} AS ended", self.time("ChargePeriodEnd")));
        }
        let mut words = vec![(Word::Currency, "currency")];
        if needs.lanes {
            words.extend([(Word::Category, "category"), (Word::Class, "class"), (Word::Status, "status")]);
        }
        for (word, name) in words {
            read.push(word.column());
            columns.push(format!("{} AS {name}", self.name(word.column(), false)));
        }
        for key in &needs.keys {
            let column = key.columns().first().copied().unwrap_or_default();
            read.push(column);
            columns.push(format!("{} AS {}", self.name(column, key.is_id()), key_name(*key)));
        }
        for cost in &needs.amounts {
            read.push(cost.column());
            columns.push(format!("{} AS {}", self.amount(*cost), cost_name(*cost)));
        }
        let read: Vec<String> = read.into_iter().map(|column| self.written(column)).collect();
        let first = date_of(needs.first).first_of_month();
        let partition = warehouse.partition.as_ref().map_or_else(String::new, |column| {
            let from =
                if *dialect == Dialect::BigQuery { first.to_string() } else { first.to_string()[..7].to_owned() };
            format!("\n  WHERE {column} >= '{from}'")
        });
        let (from, to) = (self.midnight(needs.first), self.midnight(needs.end));
        let mut problems = vec!["WHEN started IS NULL THEN 'ChargePeriodStart is null'".to_owned()];
        let (mut days, mut reach) =
            ("1".to_owned(), format!("started IS NULL OR started < {to} AND started >= {from}"));
        if self.is_spread() {
            reach =
                format!("started IS NULL OR ended IS NULL OR started < {to} AND (started >= {from} OR ended > {from})");
            let all = dialect.days("started", "ended");
            let long = format!("{} > {}", dialect.seconds("started", "ended"), ONE_DAY_MILLIS / 1000);
            problems.push("WHEN ended IS NULL THEN 'ChargePeriodEnd is null'".to_owned());
            problems.push("WHEN ended < started THEN 'ChargePeriodEnd is before ChargePeriodStart'".to_owned());
            problems.push(format!(
                "WHEN {long} AND {all} > {MOST_DAYS_A_ROW} THEN 'a period of more than {MOST_DAYS_A_ROW} days'"
            ));
            days = format!("CASE WHEN lane = '{}' AND {long} THEN {all} ELSE 1 END", Lane::Usage.name());
        }
        for cost in needs.amounts.iter().filter(|cost| cost.null().is_none()) {
            problems.push(format!("WHEN {} IS NULL THEN '{} is null'", cost_name(*cost), cost.column()));
        }
        let (mut judged, mut lanes) = (String::new(), "charges".to_owned());
        if needs.lanes {
            judged = format!(",\nlanes AS (\n  SELECT charges.*,\n    {} AS lane\n  FROM charges\n)", lane());
            "lanes".clone_into(&mut lanes);
            problems.push("WHEN lane IS NULL THEN 'unknown ChargeCategory or ChargeClass'".to_owned());
        }
        problems.push("WHEN currency = '' THEN 'no BillingCurrency'".to_owned());
        format!(
            "WITH written AS (\n  SELECT\n    {}\n  FROM {}{partition}\n),\ncharges AS (\n  SELECT\n    {}\n  FROM written\n){judged},\nperiods AS (\n  SELECT {lanes}.*,\n    \
             {days} AS days,\n    CASE\n      {}\n    END AS problem\n  FROM {lanes}\n  WHERE {reach}\n)",
            read.join(",\n    "),
            warehouse.table,
            columns.join(",\n    "),
            problems.join("\n      "),
        )
    }

    fn rollup(&self, rollup: &Rollup) -> Statement {
        let dialect = self.dialect;
        let mut parts =
            vec![format!("{} AS charge_day", dialect.later("CAST(started AS DATE)", "part")), "currency".to_owned()];
        if self.needs.lanes {
            parts.push("lane".to_owned());
        }
        parts.extend(self.needs.keys.iter().map(|key| key_name(*key).to_owned()));
        for cost in &self.needs.amounts {
            // The parts of all days are exactly the whole: what is left over goes to the first days.
            let units = cost_name(*cost);
            let rest = format!("MOD({units}, days)");
            let even = dialect.divided(&format!("({units} - {rest})"), "days");
            parts.push(format!("{even} + CASE WHEN part < ABS({rest}) THEN SIGN({units}) ELSE 0 END AS {units}"));
        }
        let unknown = |cost: Cost| format!("{} = 0 AND effective <> 0", cost_name(cost));
        for (measure, cost) in [(Measure::ContractedUnknown, Cost::Contracted), (Measure::ListUnknown, Cost::List)] {
            if rollup.measures.contains(&measure) {
                parts.push(format!("CASE WHEN {} THEN 1 ELSE 0 END AS {}", unknown(cost), measure_name(measure)));
            }
        }
        let (day, name) = moment(&rollup.windows);
        let mut names = vec![name.to_owned()];
        names.extend(rollup.keys.iter().map(|key| key_name(*key).to_owned()));
        names.push("currency".to_owned());
        let mut columns = vec![if day == name { day.clone() } else { format!("{day} AS {name}") }];
        columns.extend(names.iter().skip(1).cloned());
        // The smallest that any row has.
        columns.extend(
            rollup
                .attributes
                .iter()
                .map(|key| format!("COALESCE(MIN(NULLIF({}, '')), '') AS {}", key_name(*key), key_name(*key))),
        );
        columns.extend(rollup.measures.iter().map(|measure| {
            let name = measure_name(*measure);
            let units = match measure {
                Measure::Billed => Cost::Billed,
                Measure::Effective => Cost::Effective,
                Measure::Contracted => Cost::Contracted,
                Measure::List => Cost::List,
                Measure::Quantity => Cost::Quantity,
                Measure::Rows => return format!("COUNT(*) AS {name}"),
                Measure::ContractedUnknown | Measure::ListUnknown => return format!("SUM({name}) AS {name}"),
            };
            format!("{} AS {name}", dialect.amount(&format!("SUM({})", cost_name(units))))
        }));
        let mut wanted = vec![days_of(&rollup.windows)];
        if !rollup.lanes.is_empty() {
            let lanes: Vec<String> = rollup.lanes.iter().map(|lane| format!("'{}'", lane.name())).collect();
            wanted.push(format!("lane IN ({})", lanes.join(", ")));
        }
        let numbers: Vec<String> = (1..=names.len()).map(|number| number.to_string()).collect();
        let text = format!(
            "{},\nparts AS (\n  SELECT\n    {}\n  FROM periods\n  {}\n  WHERE problem IS NULL\n)\nSELECT\n  {}\nFROM parts\n\
             WHERE {}\nGROUP BY {numbers}\nORDER BY {numbers}",
            self.charges(),
            parts.join(",\n    "),
            dialect.each("days"),
            columns.join(",\n  "),
            wanted.join("\n  AND "),
            numbers = numbers.join(", "),
        );
        let lanes: Vec<&str> = rollup.lanes.iter().map(|lane| lane.name()).collect();
        let whose = if lanes.is_empty() { "all charges".to_owned() } else { lanes.join(", ") };
        Statement { title: format!("{whose} by {}", names.join(", ").replace('_', " ")), text }
    }
}

/// The windows as conditions on a day, neighbours as one.
fn days_of(windows: &[Window]) -> String {
    let mut sorted = windows.to_vec();
    sorted.sort_unstable();
    let mut spans: Vec<Window> = Vec::new();
    for window in sorted {
        match spans.last_mut() {
            Some(last) if last.to == window.from => last.to = window.to,
            _ => spans.push(window),
        }
    }
    let spans: Vec<String> = spans.into_iter().map(within).collect();
    if let [span] = spans.as_slice() { span.clone() } else { format!("({})", spans.join(" OR ")) }
}

fn within(window: Window) -> String {
    format!("charge_day >= DATE '{}' AND charge_day < DATE '{}'", window.from, window.to)
}

/// What tells the windows apart, and its name: the day, or the first day of a longer one.
fn moment(windows: &[Window]) -> (String, &'static str) {
    if windows.iter().all(|window| window.from.tomorrow().is_ok_and(|next| next == window.to)) {
        return ("charge_day".to_owned(), "charge_day");
    }
    let mut text = "CASE".to_owned();
    for window in windows {
        let _ = write!(text, " WHEN {} THEN DATE '{}'", within(*window), window.from);
    }
    (text + " END", "first_day")
}
