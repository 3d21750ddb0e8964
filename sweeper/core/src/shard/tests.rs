//! Shards of a cloud made up here, whose accounts differ in size, against one process that looks at all of it.

mod begun;

use super::*;
use crate::{
    answers::{Answer, Ask, Question},
    calls::{Calls, Limits, Site},
    clock::VirtualClock,
    engine::{self, Inputs, Outcome, Seen},
    facts::{Disk, DiskState},
    house::House,
    inventory::{Draft, Inventory, Listing, Tags},
    kind::{Account, Cloud, CloudError, Fault, Kind, KindSpec, Places, Prices, Universe},
    ledger::{InMemory, Ledger},
    model::{Class, CloudId, Timestamp},
    money::Amount,
    policy::{Known, PolicySet, Problem, Source, load},
    report::Report,
    store::{MemoryStore, Store},
    survey::{self, Quiet, Universes, Wanted},
};
use async_trait::async_trait;
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const NOW: Timestamp = Timestamp(1_795_176_000);

macro_rules! disks {
    ($($name:ident $id:literal $places:ident),*) => { $(
        static $name: KindSpec = KindSpec {
            id: $id,
            cloud: CloudId::Aws,
            class: Class::Disk,
            title: "disk",
            places: Places::$places,
            reads: &[concat!("list:", $id)],
            asks: &["ask:Tags"],
            refers: &[],
            needs: &[],
            out_of_sight: &[],
            advised: "",
            report_only: "",
            acts: &[],
        };
    )* };
}

disks! { HERE "aws.here" Regions, THERE "aws.there" Regions, ONCE "aws.once" Account }

/// Lists as many pages as an account's number says, three disks each.
struct Disks {
    spec: &'static KindSpec,
    denied: BTreeSet<String>,
}

impl Disks {
    fn pages(site: &Site) -> usize {
        let account: usize = site.scope().account.parse().unwrap();
        // Some are large, and one region of them more than others.
        let large = if account.is_multiple_of(7) { 9 } else { 1 };
        1 + large * usize::from(site.scope().region.ends_with('1')) + account % 3
    }
}

#[async_trait]
impl Kind for Disks {
    fn spec(&self) -> &'static KindSpec {
        self.spec
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let op = self.spec.reads[0];
        let denied = self.denied.contains(&site.scope().account);
        for page in 0..Self::pages(site) {
            let answer = || async { if denied { Err(CloudError::new(Fault::Denied, op, "")) } else { Ok(()) } };
            site.read(op, answer).await?;
            for n in 0..3 {
                let disk = Disk {
                    state: if n == 0 { DiskState::Attached } else { DiskState::Available },
                    size_gib: 100,
                    tier: out.sym(if page.is_multiple_of(2) { "gp2" } else { "gp3" }),
                    iops: None,
                    throughput: None,
                    source_snapshot: out.sym(&format!("snap-{page}")),
                    attachments: 0,
                    last_attached: None,
                };
                let name = format!("{}-{page}-{n}\u{1b}[31m", self.spec.id);
                let tags = if n == 1 { Tags::Unread } else { Tags::Read(vec![("owner", "alice"), ("k", &name)]) };
                out.push(Draft { name: &name, tags, created: Some(Timestamp(0)), ..Draft::new(&name, disk) });
            }
        }
        if site.scope().account == "3" && self.spec.places == Places::Account {
            out.blind_in("r-9", "denied somewhere");
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let mut answers = Vec::new();
        for ask in asks {
            site.read("ask:Tags", || async { Ok(()) }).await?;
            assert_eq!(ask.question, Question::Tags);
            let owner = format!("owner of {}", inventory.at(ask.resource).native_id());
            answers
                .push((*ask, Answer::Tags(vec![("owner".to_owned(), owner), ("stack".to_owned(), "web".to_owned())])));
        }
        Ok(answers)
    }
}

struct Made {
    kinds: Vec<Arc<dyn Kind>>,
    accounts: usize,
    /// Accounts that cannot be entered.
    shut: BTreeSet<String>,
}

#[async_trait]
impl Cloud for Made {
    fn id(&self) -> CloudId {
        CloudId::Aws
    }

    fn kinds(&self) -> &[Arc<dyn Kind>] {
        &self.kinds
    }

    fn manager(&self, tags: &[(&str, &str)]) -> String {
        tags.iter().find(|(key, _)| *key == "stack").map_or_else(String::new, |(_, stack)| format!("stack {stack}"))
    }

    async fn universe(&self) -> Result<Universe, CloudError> {
        let account = |n: usize| Account {
            id: n.to_string(),
            name: format!("account {n}"),
            path: String::new(),
            regions: (1..=4).map(|region| format!("r-{region}")).collect(),
            blind: (n == 5).then(|| "denied sts:AssumeRole".to_owned()),
            none: (n == 6).then(|| "account is closed".to_owned()),
        };
        let accounts = (1..=self.accounts).map(account).collect();
        Ok(Universe { accounts, only_what_this_identity_sees: false })
    }

    async fn enter(&self, _: &Universe, accounts: &BTreeSet<String>) -> Result<BTreeMap<String, String>, CloudError> {
        let shut = accounts.intersection(&self.shut);
        Ok(shut.map(|account| (account.clone(), "denied sts:AssumeRole into role x".to_owned())).collect())
    }
}

struct Eight;

impl Prices for Eight {
    fn unit(&self, _: CloudId, _: &str, _: &str) -> Option<Amount> {
        Some(Amount::whole(8))
    }
}

/// A run of some shards, whose processes share nothing but a shelf.
struct World {
    store: Arc<MemoryStore>,
    shelf: InStore,
    run: Run,
    set: PolicySet,
    accounts: usize,
    denied: BTreeSet<String>,
    shut: BTreeSet<String>,
    expected: Expected,
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn calls_at(at: Timestamp) -> Calls {
    Calls::new(Arc::new(VirtualClock::new(at)), Limits { rate: 1000.0, ..Limits::default() })
}

impl World {
    fn new(shards: u32) -> Self {
        let store = Arc::new(MemoryStore::new());
        let policy = "[[policy]]\nname = \"disks\"\nsweep = \"unattached-disk\"\nwhen = 'tag(\"owner\") != \"bob\"'\n";
        let source = Source { path: "rules.toml".to_owned(), text: policy.to_owned() };
        let loaded = load(&[source], &Known { kinds: &[&HERE, &THERE, &ONCE] });
        let set =
            loaded.set.unwrap_or_else(|| panic!("{}", loaded.problems.iter().map(Problem::render).collect::<String>()));
        Self {
            shelf: InStore(Arc::<MemoryStore>::clone(&store)),
            store,
            run: Run {
                id: "nightly 2026".to_owned(),
                shards,
                tool: "sweeper 1".to_owned(),
                rules: "digest".to_owned(),
            },
            set,
            accounts: 23,
            denied: BTreeSet::from(["9".to_owned()]),
            shut: BTreeSet::new(),
            expected: Expected::default(),
        }
    }

    fn clouds(&self) -> Vec<Arc<dyn Cloud>> {
        let kind = |spec| Arc::new(Disks { spec, denied: self.denied.clone() }) as Arc<dyn Kind>;
        let kinds = vec![kind(&HERE), kind(&THERE), kind(&ONCE)];
        vec![Arc::new(Made { kinds, accounts: self.accounts, shut: self.shut.clone() })]
    }

    fn inputs<'a>(&'a self, universes: &'a Universes, calls: &'a Calls, ledger: Option<&'a dyn Ledger>) -> Inputs<'a> {
        Inputs {
            universes,
            calls,
            set: &self.set,
            house: House::default(),
            waivers: Vec::new(),
            accounts: BTreeMap::new(),
            regions: BTreeMap::new(),
            all_kinds: false,
            whole: BTreeSet::from([CloudId::Aws]),
            prices: &Eight,
            billed: None,
            ledger,
            state: None,
            progress: &Quiet,
            now: None,
        }
    }

    fn wanted(&self, universes: &Universes, calls: &Calls) -> Wanted {
        engine::wanted(&self.inputs(universes, calls, None))
    }

    /// One process that looks at everything.
    fn whole(&self, ledger: &dyn Ledger) -> Outcome {
        let calls = calls_at(NOW);
        block(async {
            let universes = survey::universes(self.clouds(), &calls).await;
            engine::run(self.inputs(&universes, &calls, Some(ledger))).await
        })
    }

    /// A process that comes to the run: freezes it, or takes it as it is frozen.
    fn come(&self, calls: &Calls) -> Result<(Frozen, Universes), ShardError> {
        if let Some(list) = frozen(&self.shelf, &self.run)? {
            let universes = list.universes(self.clouds());
            return Ok((list, universes));
        }
        let universes = block(survey::universes(self.clouds(), calls));
        let list = freeze(&self.shelf, &self.run, &universes, &self.wanted(&universes, calls), &self.expected)?;
        Ok((list, universes))
    }

    fn shard_at(&self, shard: u32, attempt: &str, at: Timestamp) -> Result<(Sealing, u64), ShardError> {
        let calls = calls_at(at);
        let (list, universes) = self.come(&calls)?;
        let work = super::list(&self.shelf, (&self.run, shard, attempt), &list, &universes, &calls, &Quiet);
        let sealing = block(work)?;
        Ok((sealing, calls.journal().values().map(|tally| tally.calls).sum()))
    }

    /// Lists a shard; gives how many calls that took.
    fn shard(&self, shard: u32) -> u64 {
        let (sealing, calls) = self.shard_at(shard, &format!("attempt{shard}"), NOW).unwrap();
        assert_eq!(sealing, Sealing::Counts);
        calls
    }

    fn shards(&self) -> Vec<u64> {
        (0..self.run.shards).map(|shard| self.shard(shard)).collect()
    }

    fn gathered(&self, universes: &Universes, now: Timestamp) -> Gathered {
        let list = frozen(&self.shelf, &self.run).unwrap().unwrap();
        gather(&self.shelf, &self.run, &list, universes, now).unwrap()
    }

    fn universes(&self) -> Universes {
        frozen(&self.shelf, &self.run).unwrap().unwrap().universes(self.clouds())
    }

    /// Publishes what is asked; gives how many questions there are.
    fn asks(&self) -> u64 {
        let (universes, calls) = (self.universes(), calls_at(NOW));
        let Gathered { mut survey, cost, .. } = self.gathered(&universes, NOW);
        let asks = engine::asks(&mut survey, &self.inputs(&universes, &calls, None));
        publish(&self.shelf, (&self.run, "merge"), &survey.inventory, &asks, cost.usd).unwrap().questions
    }

    fn answers(&self, shard: u32) -> u64 {
        let calls = calls_at(NOW);
        let asking = Asking::read(&self.shelf, &self.run).unwrap().unwrap();
        let universes = self.universes();
        let attempt = format!("attempt{shard}");
        block(answer(&self.shelf, (&self.run, shard, &attempt), &asking, &universes, &calls, &Quiet)).unwrap();
        calls.journal().values().map(|tally| tally.calls).sum()
    }

    fn merge_at(&self, ledger: &dyn Ledger, now: Timestamp) -> (Outcome, u64) {
        let (universes, calls) = (self.universes(), calls_at(now));
        let Gathered { survey, mut cost, doubt, .. } = self.gathered(&universes, now);
        let specs: Vec<_> = universes.kinds().values().map(|kind| kind.spec()).collect();
        let mut answers = BTreeMap::new();
        if let Some(asking) = Asking::read(&self.shelf, &self.run).unwrap() {
            let given = given(&self.shelf, &self.run, &asking, &survey.inventory, &specs).unwrap();
            cost.add(&given.cost);
            answers = given.answers;
        }
        let seen = Seen { survey, given: answers, cost, doubt, by_others: true };
        let outcome = block(engine::judged(seen, self.inputs(&universes, &calls, Some(ledger))));
        (outcome, calls.journal().values().map(|tally| tally.calls).sum())
    }

    fn merge(&self) -> Outcome {
        self.merge_at(&InMemory::default(), NOW).0
    }

    fn report(&self, outcome: &Outcome) -> String {
        let mut bytes = Vec::new();
        Report::new(outcome.parts(&self.set), "run".to_owned(), "test").write_json(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn keys(&self) -> Vec<String> {
        self.store.list("run/").unwrap()
    }

    /// Replaces bytes under a key, as a bad disk would.
    fn damage(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let (mut bytes, version) = self.store.get(key).unwrap().unwrap();
        change(&mut bytes);
        self.store.put_if(key, &bytes, Some(version)).unwrap();
    }
}

/// Causes of blindness, with how many listings each has.
fn blind(outcome: &Outcome) -> BTreeMap<String, usize> {
    let mut causes = BTreeMap::new();
    for (.., covered) in outcome.sealed.survey.inventory.coverage() {
        if let crate::inventory::Status::Blind { why } = &covered.status {
            *causes.entry(why.clone()).or_default() += 1;
        }
    }
    causes
}

#[test]
fn shards_report_what_one_process_reports() {
    for (shards, staged) in [(1, false), (3, true), (8, false), (8, true), (40, true)] {
        let world = World::new(shards);
        let (alone, together) = (InMemory::default(), InMemory::default());
        let whole = world.whole(&alone);
        assert!(whole.sealed.survey.answers.len() > 100 && whole.sealed.survey.inventory.len() > 1000);
        world.shards();
        if staged {
            assert_eq!(world.asks(), whole.sealed.survey.answers.len() as u64);
            for shard in 0..shards {
                world.answers(shard);
            }
        }
        let (merged, own_calls) = world.merge_at(&together, NOW);
        assert_eq!(world.report(&merged), world.report(&whole), "{shards} shards");
        assert_eq!(alone.load().unwrap(), together.load().unwrap());
        assert_eq!(own_calls == 0, staged, "the merge asks only what nobody has asked");
    }
}

#[test]
fn no_shard_makes_more_than_its_share_of_the_calls() {
    // What listings take is known from the run before, since when some grew.
    let mut world = World::new(8);
    let before = world.whole(&InMemory::default());
    world.expected = Expected::of(&before.sealed.survey.inventory);
    let kept = Arc::clone(&world.store);
    world.expected.remember(kept.as_ref()).unwrap();
    assert_eq!(Expected::load(kept.as_ref()).unwrap(), world.expected);
    world.accounts = 24;
    for calls in [world.shards(), {
        world.asks();
        (0..8).map(|shard| world.answers(shard)).collect()
    }] {
        let (most, all) = (calls.iter().max().unwrap(), calls.iter().sum::<u64>());
        assert!(all > 400, "{calls:?}");
        assert!(most * 8 * 10 <= all * 12, "no more than 1.2 times an eighth: {calls:?}");
    }
}

#[test]
fn every_unit_is_listed_by_one_shard_and_accounts_stay_together() {
    let world = World::new(8);
    world.shards();
    let list = frozen(&world.shelf, &world.run).unwrap().unwrap();
    let mut seen = BTreeSet::new();
    let mut homes: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for unit in &list.units {
        homes.entry(&unit.scope.account).or_default().insert(unit.shard);
        for kind in &unit.kinds {
            assert!(seen.insert((&unit.scope, *kind)), "{unit:?}");
        }
    }
    // 21 accounts that can be read, of 23: two kinds in four regions, and one once.
    assert_eq!(seen.len(), 21 * 9);
    assert!(homes.values().filter(|shards| shards.len() > 1).count() <= 7, "{homes:?}");
}

#[test]
fn a_shard_that_never_came_is_blind_and_heals() {
    let world = World::new(8);
    for shard in (0..8).filter(|shard| *shard != 3) {
        world.shard(shard);
    }
    let merged = world.merge();
    let gaps = world.gathered(&world.universes(), NOW).gaps;
    assert_eq!(gaps, ["shard 3 of 8 never came"]);
    let whole = world.whole(&InMemory::default());
    let more: BTreeMap<String, usize> =
        blind(&merged).into_iter().filter(|(why, _)| !blind(&whole).contains_key(why)).collect();
    let list = frozen(&world.shelf, &world.run).unwrap().unwrap();
    let missing = list.listings(3).values().map(BTreeSet::len).sum::<usize>();
    assert_eq!(more, BTreeMap::from([("shard 3 of 8 never came".to_owned(), missing)]));
    assert!(missing > 10);
    world.shard(3);
    assert_eq!(world.report(&world.merge()), world.report(&whole));
}

#[test]
fn answers_that_never_came_are_unseen_for_that_reason() {
    let world = World::new(4);
    world.shards();
    world.asks();
    for shard in [0, 1, 3] {
        world.answers(shard);
    }
    let (merged, asked) = world.merge_at(&InMemory::default(), NOW);
    let unseen = |(_, answer): &(&Ask, &Answer)| *answer == &Answer::Unseen("shard 2 of 4 never came".to_owned());
    assert!(merged.sealed.survey.answers.iter().filter(unseen).count() > 50);
    assert_eq!(asked, 0, "what a shard was to ask is not asked by the merge");
    world.answers(2);
    assert_eq!(world.report(&world.merge()), world.report(&world.whole(&InMemory::default())));
}

#[test]
fn of_two_attempts_the_first_that_seals_counts_and_nothing_is_overwritten() {
    let mut world = World::new(2);
    world.shard(0);
    world.shard(1);
    let before: BTreeMap<String, Vec<u8>> =
        world.keys().into_iter().map(|key| (key.clone(), world.shelf.read(&key).unwrap().unwrap())).collect();
    // The second sees less.
    world.denied.extend((1..20).map(|n| n.to_string()));
    let (sealing, _) = world.shard_at(1, "later", NOW).unwrap();
    assert_eq!(sealing, Sealing::Late);
    for (key, bytes) in &before {
        assert_eq!(world.shelf.read(key).unwrap().as_ref(), Some(bytes), "{key}");
    }
    world.denied = BTreeSet::from(["9".to_owned()]);
    assert_eq!(world.report(&world.merge()), world.report(&world.whole(&InMemory::default())));
    assert!(is_sealed(&world.shelf, &world.run, Stage::Units, 1).unwrap());
}

#[test]
fn an_attempt_that_died_before_its_seal_is_as_if_it_never_came() {
    let world = World::new(2);
    world.shard(0);
    world.shard(1);
    let seal = world.keys().into_iter().find(|key| key.ends_with("shard-1.seal-1")).unwrap();
    let (_, version) = world.store.get(&seal).unwrap().unwrap();
    world.store.delete_if(&seal, version).unwrap();
    assert!(blind(&world.merge()).contains_key("shard 1 of 2 never came"));
    let (sealing, _) = world.shard_at(1, "again", NOW).unwrap();
    assert_eq!(sealing, Sealing::Counts);
    assert_eq!(world.report(&world.merge()), world.report(&world.whole(&InMemory::default())));
}

#[test]
fn a_damaged_shard_is_refused_with_its_place_and_heals() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 4] = [
        ("shard-1-attempt1.0", |bytes| bytes[40] ^= 1),
        ("shard-1-attempt1.0", |bytes| bytes.truncate(bytes.len() / 2)),
        ("shard-1-attempt1.0", Vec::clear),
        ("shard-1.seal-1", |bytes| bytes.truncate(bytes.len() - 5)),
    ];
    for (name, change) in changes {
        let world = World::new(2);
        world.shards();
        let key = world.keys().into_iter().find(|key| key.ends_with(name)).unwrap();
        world.damage(&key, change);
        let gaps = world.gathered(&world.universes(), NOW).gaps;
        let said = "shard 1 of 2 cannot be used: ";
        assert!(gaps.len() == 1 && gaps[0].starts_with(said) && gaps[0].contains("shard-1"), "{gaps:?}");
        assert!(blind(&world.merge()).contains_key(&gaps[0]));
        assert!(!is_sealed(&world.shelf, &world.run, Stage::Units, 1).unwrap());
        let (sealing, _) = world.shard_at(1, "again", NOW).unwrap();
        assert_eq!(sealing, Sealing::Counts);
        assert_eq!(world.report(&world.merge()), world.report(&world.whole(&InMemory::default())));
    }
}

#[test]
fn every_damage_to_a_shard_is_seen() {
    let mut world = World::new(1);
    world.accounts = 1;
    world.shards();
    let key = world.keys().into_iter().find(|key| key.ends_with("shard-0-attempt0.0")).unwrap();
    let length = world.store.get(&key).unwrap().unwrap().0.len();
    for at in (0..length).step_by(7) {
        world.damage(&key, |bytes| bytes[at] ^= 4);
        assert_eq!(world.gathered(&world.universes(), NOW).gaps.len(), 1, "{at}");
        world.damage(&key, |bytes| bytes[at] ^= 4);
    }
    assert!(world.gathered(&world.universes(), NOW).gaps.is_empty());
}

#[test]
fn another_release_other_rules_and_other_numbers_are_refused() {
    let mut world = World::new(4);
    world.shards();
    let refused = |world: &World| match world.shard_at(0, "x", NOW) {
        Err(error @ ShardError::Other { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    world.run.tool = "sweeper 2".to_owned();
    assert_eq!(refused(&world), "the run `nightly 2026` was begun by sweeper 1, and this process is sweeper 2");
    world.run.tool = "sweeper 1".to_owned();
    world.run.shards = 5;
    assert!(refused(&world).contains("for 4 shards"));
    world.run.shards = 4;
    world.run.rules = "others".to_owned();
    assert!(refused(&world).contains("other policies"));
    world.run.rules = "digest".to_owned();
    let error = world.shard_at(4, "x", NOW).unwrap_err().to_string();
    assert_eq!(error, "there is no shard 4 of 4: they are numbered from 0");
    // A shard that another release sealed, where the list is of this one.
    let seal = world.keys().into_iter().find(|key| key.ends_with("shard-2.seal-1")).unwrap();
    world.damage(&seal, |bytes| {
        *bytes = String::from_utf8(bytes.clone()).unwrap().replace("sweeper 1", "sweeper 0").into_bytes();
    });
    let gaps = world.gathered(&world.universes(), NOW).gaps;
    assert!(gaps.len() == 1 && gaps[0].contains("made by sweeper 0, and this is sweeper 1"), "{gaps:?}");
}

#[test]
fn clocks_that_are_apart_are_not_trusted_and_the_earliest_counts() {
    for (off, word) in [(-3600, "behind"), (7200, "ahead"), (0, ""), (-30, "")] {
        let world = World::new(3);
        world.shard(0);
        world.shard(1);
        world.shard_at(2, "off", NOW.plus(off)).unwrap();
        let gathered = world.gathered(&world.universes(), NOW);
        let doubt = gathered.doubt.clone().unwrap_or_default();
        assert_eq!(doubt.is_empty(), word.is_empty(), "{doubt}");
        assert!(doubt.contains(word), "{doubt}");
        assert!(gathered.survey.taken_at <= NOW.plus(off.min(0) + 1));
        let ledger = InMemory::default();
        let (outcome, _) = world.merge_at(&ledger, NOW);
        // No clock moves by one that nobody trusts.
        assert_eq!(
            outcome.warnings.iter().any(|warning| warning.contains("shard 2 of 3: its clock")),
            !word.is_empty()
        );
        assert_eq!(ledger.load().unwrap().is_empty(), !word.is_empty());
    }
}

#[test]
fn an_account_that_cannot_be_entered_is_blind() {
    let mut world = World::new(8);
    // Somebody else begins the run and can; the others cannot.
    let calls = calls_at(NOW);
    world.come(&calls).unwrap();
    world.shut = BTreeSet::from(["2".to_owned()]);
    world.shards();
    assert_eq!(blind(&world.merge()).get("denied sts:AssumeRole into role x"), Some(&9));
}

#[test]
fn claims_go_round_and_silent_ones_are_taken_over() {
    let world = World::new(3);
    let clock = || Arc::new(VirtualClock::new(NOW));
    let (one, two) = (clock(), clock());
    let (shelf, run) = (&world.shelf, &world.run);
    let mut first = Claims::new(shelf, run, Stage::Units, Arc::<VirtualClock>::clone(&one) as _);
    let mut second = Claims::new(shelf, run, Stage::Units, Arc::<VirtualClock>::clone(&two) as _);
    assert_eq!(first.take().unwrap(), Next::Work(0, 1));
    assert_eq!(second.take().unwrap(), Next::Work(1, 1));
    assert_eq!(first.take().unwrap(), Next::Work(2, 1));
    assert_eq!(second.take().unwrap(), Next::Wait);
    world.shard(1);
    // The first goes on with 2 and says nothing of 0 any more.
    for saying in 2..8 {
        two.advance(RENEW);
        assert!(first.say(2, saying).unwrap());
        let next = second.take().unwrap();
        if next != Next::Wait {
            assert_eq!(next, Next::Work(0, 2));
            assert!(saying > 4, "not before it has been silent for long");
            world.shard(0);
        }
    }
    assert!(is_sealed(shelf, run, Stage::Units, 0).unwrap(), "taken over");
    assert!(!first.say(0, 2).unwrap(), "it has lost it");
    world.shard(2);
    assert_eq!((first.take().unwrap(), second.take().unwrap()), (Next::Done, Next::Done));
}

#[test]
fn names_of_runs_do_not_reach_into_others() {
    for id in ["../../x", "a/b", "", "a\nb"] {
        let mut world = World::new(1);
        world.accounts = 1;
        world.run.id = id.to_owned();
        world.shards();
        assert!(world.keys().iter().all(|key| key.starts_with("run/.") && key.matches('/').count() == 2));
    }
}

proptest! {
    #[test]
    fn a_cut_gives_each_shard_its_share_and_at_most_a_piece_more(
        sizes in prop::collection::vec(1_u64..50, 0..200), shards in 1_u32..40,
    ) {
        let places = units::cut(&sizes, shards);
        prop_assert_eq!(places.len(), sizes.len());
        prop_assert!(places.is_sorted());
        let total: u64 = sizes.iter().sum();
        let most = sizes.iter().max().copied().unwrap_or(0);
        for shard in 0..shards {
            let own: u64 = sizes.iter().zip(&places).filter(|(_, at)| **at == shard).map(|(size, _)| size).sum();
            prop_assert!(own * u64::from(shards) <= total + most * u64::from(shards), "{} of {}", own, total);
        }
    }
}
