//! A summary of each run, for trends: waste by owner and detector, what is held and why, and how much was seen.
//!
//! A document a month. Of the month that runs, the last 30 runs are kept and before them one a day; of those before,
//! one a day, for 400 days.

use super::short;
use crate::{
    model::{DAY, Timestamp},
    money::Amount,
    report::{OwnerOf, Report, Seen, Sum, Verdict},
    store::{
        Store, StoreError,
        document::{self, Document, Next},
    },
};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// How long summaries are kept at least, seconds: a month is forgotten as one.
pub const KEPT: i64 = 400 * DAY;
/// Runs of which all are kept; of those before, one a day.
const LAST: usize = 30;
/// Owners that are told apart, and pairs of owner and detector: the dearest.
const OWNERS: usize = 200;
const PAIRS: usize = 1000;
/// Sorts of reason that are told apart.
const REASONS: usize = 64;

/// Detectors that those others are told apart by.
const DETECTORS: usize = 200;
/// What is too much to be told apart.
const OTHERS: &str = "others";

const PLACES: &str = "history/run/";

/// Whose waste it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    Owner(String),
    /// Nobody's, as far as tags and the house say.
    Nobody,
    /// The tags could not be read.
    Unknown,
    /// Of those that are too many to be told apart.
    Others,
}

impl Whose {
    fn of(owner: &OwnerOf) -> Self {
        match &owner.name {
            Some(name) => Self::Owner(short(name)),
            None if owner.from == "unknown" => Self::Unknown,
            None => Self::Nobody,
        }
    }

    /// The owner, or a word for why there is none.
    pub fn name(&self) -> &str {
        match self {
            Self::Owner(name) => name,
            Self::Nobody => "nobody",
            Self::Unknown => "unknown",
            Self::Others => OTHERS,
        }
    }
}

/// What one owner wastes by one detector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waste {
    pub owner: Whose,
    /// The detector, or the policy where it has none.
    pub detector: String,
    pub sum: Sum,
}

/// How many listings were complete, not there, waived and blind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listings {
    pub complete: u64,
    pub none: u64,
    pub waived: u64,
    pub blind: u64,
}

impl Listings {
    /// How wide the look was.
    pub const fn all(self) -> u64 {
        self.complete + self.none + self.waived + self.blind
    }
}

/// What a run came to. Money is US dollars a month, and what was found sums up to the figures of its report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    pub taken_at: Timestamp,
    /// Of the policies: [`crate::policy::PolicySet::digest`].
    pub policies: String,
    pub listings: Listings,
    /// All that was found, each resource once.
    pub found: Sum,
    /// The same by owner and detector, dearest first.
    pub waste: Vec<Waste>,
    /// The same by what becomes of it (`report`, a verb, or the sort of reason for holding), and `unknown`, which is
    /// in no other figure.
    pub reasons: BTreeMap<String, Sum>,
    /// What of it was judged with a waiver in place of a look.
    pub assuming: Sum,
}

/// Puts together what two sums are of.
fn join(sum: &mut Sum, other: &Sum) {
    sum.resources += other.resources;
    sum.firm += other.firm;
    sum.up_to += other.up_to;
    sum.unpriced += other.unpriced;
}

impl Summary {
    pub fn of(report: &Report<'_>) -> Self {
        let mut found = Sum::default();
        let mut assuming = Sum::default();
        let mut pairs: BTreeMap<(Whose, &str), Sum> = BTreeMap::new();
        for glance in report.glances().filter(|glance| glance.counted && glance.verdict == Verdict::Found) {
            let detector = glance.policy.sweep.map_or(glance.policy.name.as_str(), |detector| detector.spec.id);
            pairs.entry((Whose::of(glance.owner), detector)).or_default().add(glance.saving);
            found.add(glance.saving);
            if glance.assuming {
                assuming.add(glance.saving);
            }
        }
        let mut listings = Listings::default();
        for covered in report.coverage() {
            *match covered.status {
                Seen::Complete => &mut listings.complete,
                Seen::None => &mut listings.none,
                Seen::Waived => &mut listings.waived,
                Seen::Blind => &mut listings.blind,
            } += 1;
        }
        let mut reasons: BTreeMap<String, Sum> = BTreeMap::new();
        for (at, (reason, sum)) in report.totals().by_reason.iter().enumerate() {
            let name = if at < REASONS { short(reason) } else { OTHERS.to_owned() };
            join(reasons.entry(name).or_default(), sum);
        }
        Self {
            taken_at: report.survey().taken_at,
            policies: report.parts().set.digest.clone(),
            listings,
            found,
            waste: dearest(pairs),
            reasons,
            assuming,
        }
    }

    fn day(&self) -> i64 {
        self.taken_at.0.div_euclid(DAY)
    }
}

/// The dearest owners, and the dearest pairs of theirs, by themselves; the rest as one, by detector.
fn dearest(pairs: BTreeMap<(Whose, &str), Sum>) -> Vec<Waste> {
    let mut owners: BTreeMap<&Whose, Amount> = BTreeMap::new();
    for ((owner, _), sum) in &pairs {
        *owners.entry(owner).or_default() += sum.most();
    }
    let mut owners: Vec<(&Whose, Amount)> = owners.into_iter().collect();
    owners.sort_by_key(|(owner, most)| (Reverse(*most), *owner));
    let apart: BTreeSet<Whose> = owners.into_iter().take(OWNERS).map(|(owner, _)| owner.clone()).collect();
    let mut all: Vec<((Whose, &str), Sum)> = pairs.into_iter().collect();
    // The sort keeps the order of names among equals.
    all.sort_by_key(|((owner, _), sum)| (!apart.contains(owner), Reverse((sum.most(), sum.resources))));
    let own = all.iter().take_while(|((owner, _), _)| apart.contains(owner)).count().min(PAIRS);
    let mut others: BTreeMap<&str, Sum> = BTreeMap::new();
    for ((_, detector), sum) in &all[own..] {
        let name = if others.len() < DETECTORS || others.contains_key(detector) { detector } else { OTHERS };
        join(others.entry(name).or_default(), sum);
    }
    all.truncate(own);
    let waste = |owner: Whose, detector: &str, sum: Sum| Waste { owner, detector: short(detector), sum };
    let own = all.into_iter().map(|((owner, detector), sum)| waste(owner, detector, sum));
    own.chain(others.into_iter().map(|(detector, sum)| waste(Whose::Others, detector, sum))).collect()
}

/// The runs of a month, the earliest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Month {
    runs: Vec<Summary>,
}

impl Document for Month {
    const FORMAT: &'static str = "sweeper.history-runs";
}

/// Where the runs of a month are kept: `history/run/2026-11`.
fn place(at: Timestamp) -> String {
    format!("{PLACES}{}", at.date().chars().take(7).collect::<String>())
}

impl Month {
    /// Leaves one run a day, of all but the last so many.
    fn thin(&mut self, last: usize) {
        let old = self.runs.len().saturating_sub(last);
        let kept: BTreeSet<Timestamp> = daily(&self.runs[..old]).into_iter().map(|run| run.taken_at).collect();
        let recent: BTreeSet<Timestamp> = self.runs[old..].iter().map(|run| run.taken_at).collect();
        self.runs.retain(|run| kept.contains(&run.taken_at) || recent.contains(&run.taken_at));
    }
}

/// Of each day the run that looked at most; of several, the last.
fn daily(runs: &[Summary]) -> Vec<&Summary> {
    let mut days: BTreeMap<i64, &Summary> = BTreeMap::new();
    for run in runs {
        let day = days.entry(run.day()).or_insert(run);
        if (run.listings.all(), run.taken_at) >= (day.listings.all(), day.taken_at) {
            *day = run;
        }
    }
    days.into_values().collect()
}

/// Remembers a run, and forgets what is old.
pub fn remember(store: &dyn Store, run: &Summary) -> Result<(), StoreError> {
    let key = place(run.taken_at);
    let is_new = document::update(store, &key, |known: Option<Month>| {
        let is_new = known.is_none();
        let mut month = known.unwrap_or_default();
        month.runs.retain(|other| other.taken_at != run.taken_at);
        let at = month.runs.partition_point(|other| other.taken_at < run.taken_at);
        month.runs.insert(at, run.clone());
        month.thin(LAST);
        Ok(Next::Write(month, is_new))
    })?;
    // A month has begun: those before are done.
    if is_new {
        for other in store.list(PLACES)?.into_iter().filter(|other| *other < key) {
            end(store, &other, run.taken_at)?;
        }
    }
    Ok(())
}

/// Thins a month that is over, or forgets it.
fn end(store: &dyn Store, key: &str, now: Timestamp) -> Result<(), StoreError> {
    let Some((month, version)) = document::read::<Month>(store, key)? else { return Ok(()) };
    if month.runs.iter().all(|run| now.since(run.taken_at) > KEPT) {
        // Whoever wrote it in between has a reason.
        store.delete_if(key, version)?;
        return Ok(());
    }
    document::update(store, key, |known: Option<Month>| {
        let before = known.unwrap_or_default();
        let mut after = before.clone();
        after.thin(0);
        Ok(if after == before { Next::Keep(()) } else { Next::Write(after, ()) })
    })
}

/// Every run that is remembered since then, the earliest first.
pub fn runs(store: &dyn Store, from: Timestamp) -> Result<Vec<Summary>, StoreError> {
    let first = place(from);
    let mut runs = Vec::new();
    for key in store.list(PLACES)?.into_iter().filter(|key| *key >= first) {
        if let Some((month, _)) = document::read::<Month>(store, &key)? {
            runs.extend(month.runs.into_iter().filter(|run| run.taken_at >= from));
        }
    }
    Ok(runs)
}

/// Runs that can be held against each other, one a day, and how many days are left out because what was looked at is
/// less than half of what the widest looked at: a run of one account is no fall of all others.
pub fn comparable(runs: &[Summary]) -> (Vec<&Summary>, usize) {
    let mut daily = daily(runs);
    let widest = daily.iter().map(|run| run.listings.all()).max().unwrap_or(0);
    let before = daily.len();
    daily.retain(|run| run.listings.all().saturating_mul(2) >= widest);
    let left_out = before - daily.len();
    (daily, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        history::LONGEST,
        store::MemoryStore,
        testing::{NOW, ago},
    };

    fn sum(dollars: i64) -> Sum {
        Sum { resources: 1, firm: Amount::whole(dollars), ..Sum::default() }
    }

    fn run(taken_at: Timestamp, dollars: i64, listings: u64) -> Summary {
        Summary {
            taken_at,
            policies: "d".to_owned(),
            listings: Listings { complete: listings, ..Listings::default() },
            found: sum(dollars),
            waste: vec![Waste { owner: Whose::Nobody, detector: "unattached-disk".to_owned(), sum: sum(dollars) }],
            reasons: BTreeMap::from([("report".to_owned(), sum(dollars))]),
            assuming: Sum::default(),
        }
    }

    fn firm(runs: &[&Summary]) -> Vec<Amount> {
        runs.iter().map(|run| run.found.firm).collect()
    }

    #[test]
    fn runs_come_back_and_a_day_is_its_widest() {
        let store = MemoryStore::new();
        // Across the end of a month, and not in their order.
        for (days, dollars, listings) in [(25, 1, 4), (0, 5, 4), (1, 3, 4), (20, 2, 4)] {
            remember(&store, &run(ago(days), dollars, listings)).unwrap();
        }
        remember(&store, &run(ago(1).plus(60), 4, 1)).unwrap();
        remember(&store, &run(ago(3), 9, 1)).unwrap();
        let all = runs(&store, ago(400)).unwrap();
        assert_eq!(all.len(), 6);
        assert!(all.windows(2).all(|pair| pair[0].taken_at < pair[1].taken_at));
        let (days, left_out) = comparable(&all);
        assert_eq!((firm(&days), left_out), ([1, 2, 3, 5].map(Amount::whole).to_vec(), 1));
        assert_eq!(runs(&store, ago(2)).unwrap().len(), 3);
        // The same run again is the same run.
        remember(&store, &run(ago(0), 6, 4)).unwrap();
        assert_eq!(runs(&store, ago(2)).unwrap().last().unwrap().found.firm, Amount::whole(6));
    }

    #[test]
    fn it_is_bounded() {
        let store = MemoryStore::new();
        // 100 runs a day for two days, then one a day for two years.
        for minute in 0..200 {
            remember(&store, &run(NOW.plus(minute * 864), minute, 4)).unwrap();
        }
        // The last of the third day, and one of each.
        assert_eq!(runs(&store, NOW).unwrap().len(), 30 + 3);
        for day in 3..730 {
            remember(&store, &run(NOW.plus(day * DAY), day, 4)).unwrap();
        }
        let all = runs(&store, NOW).unwrap();
        // A month is forgotten as one, when the next begins.
        assert!((400..=400 + 62).contains(&all.len()), "{}", all.len());
        assert!(store.list(PLACES).unwrap().len() <= 16);
    }

    #[test]
    fn owners_beyond_the_dearest_are_one() {
        let names: Vec<String> = (0..400).map(|number| format!("owner-{number:03}")).collect();
        let pairs: BTreeMap<(Whose, &str), Sum> = names
            .iter()
            .enumerate()
            .flat_map(|(at, name)| {
                ["a", "b", "c", "d", "e", "f"].map(|detector| {
                    ((Whose::of(&OwnerOf { name: Some(name.clone()), from: String::new() }), detector), sum(at as i64))
                })
            })
            .collect();
        let total: Amount = pairs.values().map(|sum| sum.firm).sum();
        let waste = dearest(pairs);
        assert_eq!(waste.len(), PAIRS + 6);
        assert_eq!(waste[0].owner.name(), "owner-399");
        assert_eq!(waste.iter().map(|waste| waste.sum.firm).sum::<Amount>(), total);
        assert_eq!(waste.iter().map(|waste| waste.sum.resources).sum::<u64>(), 2400);
        let long = OwnerOf { name: Some("é".repeat(1000)), from: String::new() };
        assert!(Whose::of(&long).name().len() <= LONGEST);
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_stays() {
        let key = place(NOW);
        for (bytes, newer) in [
            (&br#"{"format":"sweeper.history-runs/2","body":{}}"#[..], true),
            (br#"{"format":"sweeper.history-runs/1","body":{"runs":[{}]}}"#, false),
        ] {
            let store = MemoryStore::new();
            store.put_if(&key, bytes, None).unwrap();
            let error = remember(&store, &run(NOW, 1, 1)).unwrap_err();
            assert_eq!(matches!(error, StoreError::Newer { .. }), newer, "{error}");
            assert_eq!(matches!(&error, StoreError::Damaged(what) if what.contains(&key)), !newer, "{error}");
            assert!(runs(&store, ago(1)).is_err());
            assert_eq!(store.get(&key).unwrap().unwrap().0, bytes);
        }
    }
}
