//! What policies that watch are judged by: the bill's exports, the survey at hand, and the calendar.

use crate::{
    commands::bill::{self, threads},
    config, log,
};
use std::collections::BTreeMap;
use sweeper_bill::{
    always_on::Office,
    cache::Files,
    costs::Charged,
    evidence::Evidence,
    expected::Terms,
    rates,
    watch::{AtHand, judge as judged, short},
};
use sweeper_core::{
    engine::Outcome,
    history::counts::counts,
    house::{AccountClass, House},
    model::{Class, CloudId, Scope, Timestamp},
    policy::{Told, Watch, Watched},
    store::Store,
};

/// Which policies are not judged for want of a bill. The shipped ones wait for one in silence.
pub fn unjudged(watches: &[Watch], bill: &config::Bill) -> Option<String> {
    let waiting = watches.iter().filter(|watch| watch.what.needs_bill() && !watch.at.path.starts_with("shipped:"));
    let waiting: Vec<&str> = waiting.map(|watch| watch.name.as_str()).collect();
    (bill.focus.is_empty() && !waiting.is_empty()).then(|| {
        let names = waiting.join(", ");
        format!(
            "not judged, since there is no bill: {names}; `[bill] focus = [\"…\"]` in sweeper.toml names its export"
        )
    })
}

/// What the bill says that single resources cost, where one is configured. Where it cannot be told, findings carry list
/// prices, and a note says why.
pub fn charged(bill: &config::Bill, now: Timestamp, notes: &mut Vec<String>) -> Option<Charged> {
    if bill.focus.is_empty() {
        return None;
    }
    let terms = Terms { today: now.day()?, lag_days: bill.lag, floor_a_day: bill.floor };
    let read = |files: Files| Charged::read(files, &terms, threads()).map_err(|error| error.to_string());
    let why = match files(bill).and_then(read) {
        Ok(Some(charged)) => {
            if !charged.rates().is_empty() {
                notes.push(format!("what the bill says is converted: {}", rates::said(charged.rates())));
            }
            return Some(charged);
        }
        Ok(None) => "the bill has no whole day of the last week".to_owned(),
        Err(why) => why,
    };
    notes.push(format!("what the bill says of single resources is not known, so list prices stand: {why}"));
    None
}

/// The files of the bill, none where none is configured; what was found in closed months is kept where `sweeper bill`
/// keeps it. Found anew before and after a look: an export may be written while that takes its time.
fn files(bill: &config::Bill) -> Result<Files, String> {
    if bill.focus.is_empty() {
        return Ok(Files::default());
    }
    let found = bill::files::find(&bill.focus, bill::files::Cache::default().open());
    found.map(|files| files.at(bill.rates.clone())).map_err(|failure| failure.message)
}

/// Judges what watches: all, or where no bill is configured, what needs none. A bill that cannot be read is told of as
/// unknown.
pub fn judge(watches: &[Watch], bill: &config::Bill, outcome: &Outcome, store: Option<&dyn Store>) -> Vec<Told> {
    let is_wanted =
        |watch: &&Watch| watch.what != Watched::OverQuota && (!bill.focus.is_empty() || !watch.what.needs_bill());
    let watches: Vec<Watch> = watches.iter().filter(is_wanted).cloned().collect();
    if watches.is_empty() {
        return Vec::new();
    }
    let sealed = &outcome.sealed;
    let Some(today) = outcome.now.day() else { return Vec::new() };
    let owners = bill::owners(&[sealed]);
    let mut functions = BTreeMap::new();
    let mut machines = BTreeMap::new();
    let house = &sealed.house;
    for resource in sealed.survey.inventory.resources() {
        let own = || (short(resource.native_id()), resource.account().to_owned());
        let is_prod =
            || matches!(house.class(resource.cloud(), resource.account()), AccountClass::Prod | AccountClass::Shared);
        match resource.kind().class {
            Class::Function => functions.extend([own()]),
            Class::Vm | Class::Database if !is_prod() => machines.extend([own()]),
            _ => {}
        }
    }
    let planned = match bill::planned(bill.planned.as_deref()) {
        Ok(planned) => planned,
        Err(failure) => {
            log::warn(&failure.message);
            Vec::new()
        }
    };
    judged(
        &watches,
        &AtHand {
            files: files(bill),
            today,
            lag_days: bill.lag,
            threads: threads(),
            owners: &|_, id| owners.get(&short(id)).cloned(),
            evidence: &|| Evidence { events: bill::events(&[sealed]), planned: planned.clone(), ..Evidence::default() },
            functions: &functions,
            machines: &machines,
            office: &|account| office(house, account),
            counts: &|by, watch| {
                let store = store.ok_or("there is no state that remembers how many there were")?;
                counts(store, by, &|cloud, account| watch.covers(Some(cloud), account))
                    .map_err(|error| error.to_string())
            },
        },
    )
}

/// When people work in an account, which is of whichever cloud has it in the calendar.
fn office(house: &House, account: &str) -> Office {
    let calendar = &house.calendar;
    let mut scopes = CloudId::ALL.into_iter().map(|cloud| Scope::new(cloud, account, Scope::GLOBAL));
    let own = scopes.find(|scope| *calendar.hours(scope) != calendar.hours).map(|scope| calendar.hours(&scope));
    let hours = own.unwrap_or(&calendar.hours);
    Office { days: hours.work_days, holidays: hours.holidays.clone(), ..Office::new(hours.zone.clone()) }
}
