//! Runs one query over the bills under a directory, for measuring: `scan QUERY DIR FROM TO [THREADS [print]]`.
//!
//! The days are from FROM up to, but not with, TO.
//!
//! - `risers`: the hundred resources that cost most more in the second half of the days than in the first.
//! - `days`: effective cost by day, account and service; how many sums and their total, or each with `print`.
//! - `daily`: `risers` through the sums of each day.
//! - `delta`: `risers` as the bill's delta asks: usage only, months spread over their days, all amounts, by SKU.

use jiff::civil::Date;
use std::{
    error::Error,
    io::{BufWriter, Write},
    num::NonZeroUsize,
    path::Path,
};
use sweeper_bill::{
    engine::scan,
    export::find,
    focus::Lane,
    partial::Group,
    request::{Key, Measure, Request, Rollup, Spread, Window},
};
use sweeper_core::money::Amount;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [query, directory, from, to, rest @ ..] = arguments.as_slice() else {
        return Err("usage: scan risers|days|daily|delta DIR FROM TO [THREADS [print]]".into());
    };
    let print = rest.get(1).is_some_and(|word| word == "print");
    let threads: NonZeroUsize = rest.first().map_or("2", String::as_str).parse()?;
    let (from, to): (Date, Date) = (from.parse()?, to.parse()?);
    let all = Window { from, to };
    let half = i64::from((to - from).get_days() / 2);
    let middle = from.checked_add(jiff::Span::new().days(half))?;
    let halves = vec![Window { from, to: middle }, Window { from: middle, to }];
    let (keys, windows, measures, lanes, spread) = match query.as_str() {
        "risers" => (vec![Key::Resource], halves, vec![Measure::Effective], vec![], Spread::Start),
        "daily" => (vec![Key::Resource], all.by_day(), vec![Measure::Effective], vec![], Spread::Start),
        "days" => (vec![Key::Account, Key::Service], all.by_day(), vec![Measure::Effective], vec![], Spread::Start),
        "delta" => {
            (vec![Key::Resource, Key::SkuPrice], halves, Measure::OF_SPLIT.to_vec(), vec![Lane::Usage], Spread::Days)
        }
        other => return Err(format!("no query {other}").into()),
    };
    let count = windows.len();
    let rollup = Rollup { keys, attributes: vec![], windows, measures, lanes };
    let sources = find(Path::new(directory))?.sources();
    let partial = scan(sources, &Request { rollups: vec![rollup], spread, ..Request::default() }, threads)?;
    let mut output = BufWriter::new(std::io::stdout().lock());
    if query == "days" {
        let (mut total, mut cells) = (Amount::ZERO, 0);
        for group in partial.groups(0) {
            for (window, day) in all.by_day().iter().enumerate() {
                let amount = group.amount(window, Measure::Effective);
                if amount != Amount::ZERO {
                    if print {
                        writeln!(output, "{},{},{},{}", day.from, group.key(0), group.key(1), amount)?;
                    }
                    total += amount;
                    cells += 1;
                }
            }
        }
        writeln!(output, "{cells} sums, {total} in all")?;
        return Ok(());
    }
    let sums = |group: &Group<'_>| -> (Amount, Amount) {
        let sum = |windows: std::ops::Range<usize>| windows.map(|at| group.amount(at, Measure::Effective)).sum();
        (sum(0..count / 2), sum(count / 2..count))
    };
    let rise = |group: &Group<'_>| {
        let (before, after) = sums(group);
        (!group.key(0).is_empty()).then(|| after - before)
    };
    for group in partial.top(0, 100, rise) {
        let (before, after) = sums(&group);
        let keys: Vec<&str> = group.keys().collect();
        writeln!(output, "{},{before},{after}", keys.join(","))?;
    }
    Ok(())
}
