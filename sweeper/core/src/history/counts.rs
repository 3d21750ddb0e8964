//! How many resources there were, run by run: what the growth of a class, an account or an owner is judged by.
//!
//! A number is only as good as the look behind it. Beside each stands how many listings it was summed of, and one that
//! rests on fewer than the days before had says nothing: a region that could not be read, or was not asked for, would
//! be a fall, and its return growth.

use super::{account, short};
use crate::{
    house::House,
    inventory::{Inventory, Status},
    model::{Class, CloudId, DAY, Timestamp},
    owner,
    policy::watch::Breakdown,
    store::{
        Store, StoreError,
        document::{self, Document, Next},
    },
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// How long numbers are kept, seconds: growth looks at 56 days.
const KEPT: i64 = 60 * DAY;
/// Numbers of a day that are kept.
const A_DAY: usize = 4;
/// How long a listing that was there once is waited for, seconds.
const WAITED: i64 = 7 * DAY;
/// Accounts by class, and by owner, of which numbers are kept; the largest.
const CLASSES: usize = 4000;
const OWNERS: usize = 2000;

const KEY: &str = "history/counts";

/// One number: when, how many, and of how many listings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Counted(Timestamp, u64, u64);

/// Numbers by a name and an account, the earliest first.
type Series = BTreeMap<String, BTreeMap<String, Vec<Counted>>>;

/// All numbers that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    classes: Series,
    owners: Series,
}

impl Document for Counts {
    const FORMAT: &'static str = "sweeper.history-counts";
}

/// What one look counts: name, account, how many, of how many listings.
type Looked = Vec<(String, String, u64, u64)>;

/// Resources by class and account, where anything was listed. What is there only because it may refer to something is
/// not counted.
fn of_classes(inventory: &Inventory) -> Looked {
    let mut sums: BTreeMap<(&str, CloudId, &str), (u64, u64)> = BTreeMap::new();
    for (kind, scope, covered) in inventory.coverage() {
        let seen = matches!(covered.status, Status::Complete | Status::None { .. });
        if seen && kind.class != Class::Referrer {
            let sum = sums.entry((kind.class.name(), scope.cloud, &scope.account)).or_default();
            *sum = (sum.0 + u64::from(covered.resources), sum.1 + 1);
        }
    }
    let looked =
        sums.into_iter().map(|((class, cloud, id), (count, of))| (class.to_owned(), account(cloud, id), count, of));
    looked.collect()
}

/// Resources by owner and account, of listings that carry tags: others are asked for tags only where something is
/// found, and would count differently each time.
fn of_owners(inventory: &Inventory, house: &House) -> Looked {
    let mut listings: BTreeMap<(CloudId, &str), u64> = BTreeMap::new();
    for (kind, scope, covered) in inventory.coverage() {
        let seen = matches!(covered.status, Status::Complete | Status::None { .. });
        if seen && kind.class != Class::Referrer {
            *listings.entry((scope.cloud, &scope.account)).or_default() += 1;
        }
    }
    let mut sums: BTreeMap<(String, CloudId, &str), u64> = BTreeMap::new();
    let mut tags: Vec<(&str, &str)> = Vec::new();
    for resource in inventory.resources().filter(|resource| resource.kind().class != Class::Referrer) {
        let Some(listed) = resource.listed_tags() else { continue };
        tags.clear();
        tags.extend(listed.iter().map(|(key, value)| (inventory.text(*key), inventory.text(*value))));
        if let Some(name) = owner::among(house, resource, &tags).name {
            *sums.entry((short(&name), resource.cloud(), resource.account())).or_default() += 1;
        }
    }
    let of = |cloud, id| listings.get(&(cloud, id)).copied().unwrap_or(0);
    let looked = sums.into_iter().map(|((name, cloud, id), count)| (name, account(cloud, id), count, of(cloud, id)));
    looked.collect()
}

/// Puts the numbers of a look to those that are kept, and forgets what is old or too much.
fn add(series: &mut Series, looked: &Looked, at: Timestamp, most: usize) {
    for (name, account, count, of) in looked {
        let numbers = series.entry(name.clone()).or_default().entry(account.clone()).or_default();
        let place = numbers.partition_point(|number| number.0 < at);
        if numbers.get(place).is_some_and(|number| number.0 == at) {
            numbers.remove(place);
        }
        numbers.insert(place, Counted(at, *count, *of));
        let day = at.0.div_euclid(DAY);
        let today: Vec<usize> = (0..numbers.len()).filter(|at| numbers[*at].0.0.div_euclid(DAY) == day).collect();
        if let [.., before, _] = today.as_slice()
            && today.len() > A_DAY
        {
            numbers.remove(*before);
        }
    }
    for accounts in series.values_mut() {
        for numbers in accounts.values_mut() {
            numbers.retain(|number| at.since(number.0) < KEPT);
        }
        accounts.retain(|_, numbers| !numbers.is_empty());
    }
    let all = series.iter().flat_map(|(name, accounts)| {
        accounts.iter().map(move |(account, numbers)| (numbers.last().map_or(0, |last| last.1), name, account))
    });
    let mut all: Vec<(u64, &String, &String)> = all.collect();
    if all.len() > most {
        all.sort_by_key(|(count, name, account)| (Reverse(*count), *name, *account));
        let small: BTreeSet<(String, String)> =
            all.split_off(most).into_iter().map(|(_, name, account)| (name.clone(), account.clone())).collect();
        for (name, account) in small {
            series.get_mut(&name).map(|accounts| accounts.remove(&account));
        }
    }
    series.retain(|_, accounts| !accounts.is_empty());
}

/// Remembers how many resources a look found.
pub fn remember(store: &dyn Store, inventory: &Inventory, house: &House, at: Timestamp) -> Result<(), StoreError> {
    let (classes, owners) = (of_classes(inventory), of_owners(inventory, house));
    document::update(store, KEY, |known: Option<Counts>| {
        let mut counts = known.unwrap_or_default();
        add(&mut counts.classes, &classes, at, CLASSES);
        add(&mut counts.owners, &owners, at, OWNERS);
        Ok(Next::Write(counts, ()))
    })
}

/// How many resources the looks of each day found, by class, account (`aws:111122223333`) or owner, in the accounts
/// that are covered. Days without a look that saw as much as the days before are left out. Nothing is kept by any
/// other breakdown.
pub fn counts(
    store: &dyn Store,
    by: Breakdown,
    covers: &dyn Fn(CloudId, &str) -> bool,
) -> Result<BTreeMap<String, BTreeMap<Date, Vec<u64>>>, StoreError> {
    let counts = document::read::<Counts>(store, KEY)?.map(|(counts, _)| counts).unwrap_or_default();
    let is_covered = |key: &str| {
        let (cloud, id) = key.split_once(':').unwrap_or((key, ""));
        CloudId::parse(cloud).is_some_and(|cloud| covers(cloud, id))
    };
    let series = match by {
        Breakdown::Class | Breakdown::Account => &counts.classes,
        Breakdown::Owner => &counts.owners,
        Breakdown::Service | Breakdown::Region => return Ok(BTreeMap::new()),
    };
    let mut named: BTreeMap<&str, Vec<&[Counted]>> = BTreeMap::new();
    for (name, accounts) in series {
        for (account, numbers) in accounts.iter().filter(|(account, _)| is_covered(account)) {
            let name = if by == Breakdown::Account { account } else { name };
            named.entry(name).or_default().push(numbers);
        }
    }
    Ok(named.into_iter().map(|(name, parts)| (name.to_owned(), days(&parts))).collect())
}

/// The sums of several series: of those looks that saw all of each that the week before had.
fn days(parts: &[&[Counted]]) -> BTreeMap<Date, Vec<u64>> {
    let times: BTreeSet<Timestamp> = parts.iter().flat_map(|part| part.iter().map(|number| number.0)).collect();
    let mut days: BTreeMap<Date, Vec<u64>> = BTreeMap::new();
    for at in times {
        let sum = parts.iter().try_fold(0_u64, |sum, part| {
            let place = part.partition_point(|number| number.0 < at);
            let week = part[..place].iter().rev().take_while(|number| at.since(number.0) < WAITED);
            let needed = week.map(|number| number.2).max();
            match part.get(place).filter(|number| number.0 == at) {
                Some(number) if number.2 >= needed.unwrap_or(0) => Some(sum.saturating_add(number.1)),
                None if needed.is_none() => Some(sum),
                _ => None,
            }
        });
        if let Some(sum) = sum
            && let Some(day) = at.day()
        {
            days.entry(day).or_default().push(sum);
        }
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Disk, DiskState},
        inventory::{Draft, InventoryBuilder, Listing, Tags},
        model::Scope,
        store::MemoryStore,
        testing::{DISK, KINDS, NOW, ago},
    };

    fn at(region: &str) -> Scope {
        Scope::new(CloudId::Aws, "111111111111", region)
    }

    fn disk(listing: &Listing) -> Disk {
        Disk {
            state: DiskState::Available,
            size_gib: 100,
            tier: listing.sym("gp3"),
            iops: None,
            throughput: None,
            source_snapshot: listing.sym(""),
            attachments: 0,
            last_attached: None,
        }
    }

    /// Disks by region, with an owner; `None` could not be listed.
    fn inventory(disks: &[(&str, Option<usize>)], owner: &str) -> Inventory {
        let mut builder = InventoryBuilder::new(KINDS);
        for (region, count) in disks {
            let mut listing = builder.listing(&DISK, &at(region));
            let Some(count) = count else {
                builder.mark(&DISK, &at(region), Status::Blind { why: "denied".to_owned() }, 1);
                continue;
            };
            for number in 0..*count {
                let tags = Tags::Read(vec![("owner", owner)]);
                listing.push(Draft { tags, ..Draft::new(&format!("vol-{number}"), disk(&listing)) });
            }
            builder.complete(listing, 1);
        }
        builder.build()
    }

    fn remembered(store: &MemoryStore, disks: &[(&str, Option<usize>)], at: Timestamp) {
        remember(store, &inventory(disks, "alice"), &House::default(), at).unwrap();
    }

    fn numbers(store: &MemoryStore, by: Breakdown, name: &str) -> Vec<(String, Vec<u64>)> {
        let all = counts(store, by, &|_, _| true).unwrap().remove(name).unwrap_or_default();
        all.into_iter().map(|(day, counts)| (day.to_string(), counts)).collect()
    }

    #[test]
    fn a_day_has_what_its_looks_found() {
        let store = MemoryStore::new();
        remembered(&store, &[("a", Some(3)), ("b", Some(1))], ago(2));
        remembered(&store, &[("a", Some(4)), ("b", Some(1))], ago(1));
        remembered(&store, &[("a", Some(4)), ("b", Some(2))], ago(1).plus(60));
        let expected = [("2026-11-18".to_owned(), vec![4]), ("2026-11-19".to_owned(), vec![5, 6])];
        for (by, name) in
            [(Breakdown::Class, "disk"), (Breakdown::Account, "aws:111111111111"), (Breakdown::Owner, "alice")]
        {
            assert_eq!(numbers(&store, by, name), expected, "{by:?}");
        }
        assert!(counts(&store, Breakdown::Class, &|_, account| account != "111111111111").unwrap().is_empty());
        assert!(counts(&store, Breakdown::Service, &|_, _| true).unwrap().is_empty());
        // The same look again is the same look.
        remembered(&store, &[("a", Some(4)), ("b", Some(2))], ago(1).plus(60));
        assert_eq!(numbers(&store, Breakdown::Class, "disk"), expected);
    }

    #[test]
    fn what_was_not_seen_is_no_fall_and_its_return_no_growth() {
        let store = MemoryStore::new();
        remembered(&store, &[("a", Some(3)), ("b", Some(9))], ago(9));
        // One region that cannot be read, one that was not asked for.
        remembered(&store, &[("a", Some(3)), ("b", None)], ago(8));
        remembered(&store, &[("a", Some(3))], ago(7));
        remembered(&store, &[("a", Some(3)), ("b", Some(9))], ago(6));
        let days: Vec<u64> = numbers(&store, Breakdown::Class, "disk").into_iter().flat_map(|(_, all)| all).collect();
        assert_eq!(days, [12, 12]);
        assert_eq!(numbers(&store, Breakdown::Owner, "alice").len(), 2);
        // Gone for a week, it is no longer waited for.
        remembered(&store, &[("a", Some(4))], ago(0).plus(DAY));
        assert_eq!(numbers(&store, Breakdown::Class, "disk").last().unwrap().1, [4]);
    }

    #[test]
    fn it_is_bounded() {
        let store = MemoryStore::new();
        for minute in 0..10 {
            remembered(&store, &[("a", Some(minute))], NOW.plus(minute as i64 * 60));
        }
        assert_eq!(numbers(&store, Breakdown::Class, "disk")[0].1, [0, 1, 2, 9]);
        for day in 1..100 {
            remembered(&store, &[("a", Some(1))], NOW.plus(day * DAY));
        }
        assert_eq!(numbers(&store, Breakdown::Class, "disk").len(), 60);
        let mut series = Series::new();
        let looked: Looked = (0..50).map(|number| ("disk".to_owned(), format!("aws:{number}"), number, 1)).collect();
        add(&mut series, &looked, NOW, 20);
        let kept: Vec<&String> = series["disk"].keys().collect();
        assert_eq!(kept.len(), 20);
        assert!(kept.iter().all(|account| account["aws:".len()..].parse::<u64>().unwrap() >= 30), "{kept:?}");
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_stays() {
        for (bytes, newer) in [
            (&br#"{"format":"sweeper.history-counts/2","body":{}}"#[..], true),
            (br#"{"format":"sweeper.history-counts/1","body":{"classes":{}"#, false),
            (br#"{"format":"sweeper.history-counts/1","body":{"classes":{},"owners":{},"x":1}}"#, false),
        ] {
            let store = MemoryStore::new();
            store.put_if(KEY, bytes, None).unwrap();
            let error = remember(&store, &inventory(&[], ""), &House::default(), NOW).unwrap_err();
            assert_eq!(matches!(error, StoreError::Newer { .. }), newer, "{error}");
            assert_eq!(matches!(error, StoreError::Damaged(_)), !newer, "{error}");
            assert!(counts(&store, Breakdown::Class, &|_, _| true).is_err());
            assert_eq!(store.get(KEY).unwrap().unwrap().0, bytes);
        }
    }
}
