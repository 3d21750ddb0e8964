//! `sweeper bill --print-sql`: the sums of a comparison as queries, for a bill that lies in a warehouse.

use super::today;
use crate::{
    config::Config,
    exit::{Exit, Failure},
    output,
};
use sweeper_bill::{
    movement::Question,
    sql::{self, Warehouse, statements},
};

#[derive(Clone, Debug, Default, clap::Args)]
pub struct Query {
    /// Print the same sums as SQL, for a bill in a warehouse; with --explain also those of what moved. Reads nothing
    #[arg(long, value_enum, value_name = "DIALECT", requires = "table", conflicts_with = "focus")]
    pub print_sql: Option<Dialect>,
    /// The warehouse's table: `database.table`, or `project.dataset.table`
    #[arg(long, value_name = "NAME", requires = "print_sql")]
    pub table: Option<String>,
    /// The column that the table is partitioned by, or `none`; `billing_period` for Athena, `_PARTITIONTIME` for BigQuery
    #[arg(long, value_name = "COLUMN", requires = "print_sql")]
    pub partition: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Dialect {
    Athena,
    #[value(name = "bigquery")]
    BigQuery,
    #[value(name = "duckdb", hide = true)]
    DuckDb,
}

pub fn run(args: &super::Args) -> Result<Exit, Failure> {
    let (Some(dialect), Some(table)) = (args.sql.print_sql, &args.sql.table) else {
        return Err(Failure::usage("`--print-sql` needs `--table`"));
    };
    let dialect = match dialect {
        Dialect::Athena => sql::Dialect::Athena,
        Dialect::BigQuery => sql::Dialect::BigQuery,
        Dialect::DuckDb => sql::Dialect::DuckDb,
    };
    let partition = match args.sql.partition.as_deref() {
        None => dialect.partition(),
        Some("none") => None,
        column => column,
    };
    let failed = |error: sql::SqlError| Failure::usage(error.to_string());
    let warehouse = Warehouse::new(dialect, table, partition).map_err(failed)?;
    let lag_days = match args.lag {
        Some(lag) => lag,
        None => Config::find(args.config.as_deref())?.bill.lag,
    };
    let question = Question { today: today(args.now)?, lag_days, by: args.by.into(), compared: args.window.into() };
    let mut queries = statements(&question.days(), &warehouse).map_err(failed)?;
    // Which days can be relied on is known only from the answers to the first queries: here all can.
    if let Some(reasons) = question.reasons_of_whole_days().filter(|_| args.explain) {
        queries.extend(statements(&reasons.lines(), &warehouse).map_err(failed)?);
    }
    output::to(args.output.as_deref(), |out| {
        let window = question.range();
        writeln!(out, "-- `sweeper bill` as of {}: charges from {} up to {}", question.today, window.from, window.to)?;
        for query in &queries {
            writeln!(out, "\n-- {}\n{};", query.title, query.text)?;
        }
        out.flush()
    })
    .map_err(|error| Failure::usage(format!("failed to write the queries: {error}")))?;
    Ok(Exit::Done)
}
