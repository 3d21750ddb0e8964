//! One history: days of owners and runs, then the questions of the oracle.

use crate::{
    clock::SimClock,
    cloud::{Plugin, Sim, Weather},
    fuse::{Blow, Fuse, FusedLog, FusedStore, Killed},
    oracle::{self, Leave},
    rng::Rng,
};
use async_trait::async_trait;
use futures_util::FutureExt as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use sweeper_core::{
    apply::{self, Applied, Ended, Look, Pace, Stop, World},
    approve::{Against, Items, Key, KeyKind, OneTime, Person, Role, Text, Trust},
    audit::{self, Body, MemoryLog, Millis, Origin, Trail, TrailConfig, TrustedKey, Verify},
    calendar::Calendar,
    calls::{Calls, Limits},
    caps::Caps,
    claims,
    clock::Clock,
    deed::{DeedKind, Target},
    engine::{self, Inputs, Outcome},
    house::House,
    in_use::Referrers,
    kind::{Cloud, KindSpec, Prices},
    lease::Holder,
    ledger::InMemory,
    model::{CloudId, DAY, Timestamp},
    money::Amount,
    note::Signer,
    plan::{self, Order, Plan, Rules},
    policy::{Known, PolicySet, Source, load},
    store::{MemoryStore, Store},
    survey::{self, Quiet},
    waiver::Waiver,
};

/// When every history begins: a Monday.
pub(crate) const START: Timestamp = Timestamp(1_780_876_800);
pub(crate) const DEPLOYMENT: &str = "sim";
const TOOL: &str = "sweeper 0.1.0";

const POLICIES: &str = r#"
[[policy]]
name = "disks"
sweep = "unattached-disk"
when = "true"
for = "2d"
then = "delete"
keep = "snapshot"
grace = "0h"
consent = "objection"
approve = "admin"
limit = { count = 6, share = "100%", monthly_usd = 2000 }
accounts = ["aws:111111111111"]

[[policy]]
name = "addresses"
sweep = "unassociated-address"
when = "true"
for = "1d"
then = "delete"
keep = "none"
grace = "0h"
consent = "objection"
approve = "admin"
limit = { count = 3, share = "100%", monthly_usd = 2000 }
accounts = ["aws:111111111111"]

[[policy]]
name = "machines"
class = "vm"
when = 'state == "running" && !has_tag("note")'
for = "1d"
then = "stop"
grace = "0h"
consent = "objection"
approve = "admin"
limit = { count = 4, share = "100%", monthly_usd = 2000 }
accounts = ["aws:111111111111"]
"#;

/// Every unit of anything costs a nickel.
pub(crate) struct FlatPrices;

impl Prices for FlatPrices {
    fn unit(&self, _: CloudId, _: &str, _: &str) -> Option<Amount> {
        Amount::parse("0.05")
    }
}

/// A seed's parameters.
#[derive(Clone, Copy, Debug)]
pub struct History {
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Story {
    pub lines: Vec<String>,
    pub violations: Vec<String>,
    pub plans: u32,
    pub done: u32,
    pub runs: u32,
    pub killed: u32,
    pub events: u64,
}

pub(crate) struct House_ {
    pub(crate) clock: Arc<SimClock>,
    pub(crate) sim: Sim,
    pub(crate) store: MemoryStore,
    pub(crate) log: MemoryLog,
    ledger: Arc<InMemory>,
    pub(crate) set: Arc<PolicySet>,
    signer: Signer,
    pub(crate) trust: Trust,
    pub(crate) caps: Caps,
    /// When things are done; always, where there is none.
    pub(crate) calendar: Option<Calendar>,
    /// How long waves are left alone, if not as usual.
    pub(crate) soak: Option<Duration>,
    /// Deeds a minute and account, if not as it comes.
    pub(crate) rate: Option<u32>,
    /// What it accepts not to see.
    pub(crate) waivers: Vec<Waiver>,
    /// What is used elsewhere, at the time of asking.
    pub(crate) referrers: Referrers,
    /// It is known that no other run is alive.
    pub(crate) alone: bool,
    /// When somebody pulls the kill switch.
    pub(crate) pulled: Option<Duration>,
    runs: u32,
}

/// What a run sees.
struct Eyes<'h> {
    house: &'h House_,
    sim: Sim,
    calls: Calls,
    /// What owners do while a run goes on.
    mischief: Option<Mutex<Rng>>,
}

#[async_trait]
impl World for Eyes<'_> {
    async fn look(&self) -> Result<Look, String> {
        if let Some(mischief) = &self.mischief {
            let mut rng = mischief.lock().unwrap_or_else(PoisonError::into_inner);
            for _ in 0..rng.below(3) {
                let uid = rng.between(1, 24);
                let after = Duration::from_millis(rng.below(240_000));
                let event = match rng.below(7) {
                    0 => crate::cloud::Event::Use(uid),
                    1 => crate::cloud::Event::Protect(uid),
                    2 => crate::cloud::Event::Again(uid),
                    3 => crate::cloud::Event::Tag(uid),
                    4 => crate::cloud::Event::Delete(uid),
                    5 => crate::cloud::Event::Lock(uid),
                    _ => crate::cloud::Event::Manage(uid),
                };
                self.sim.soon(event, after);
            }
        }
        let outcome = survey(self.house, &self.sim, &self.calls).await;
        Ok(Look { outcome, set: Arc::clone(&self.house.set) })
    }

    fn switch(&self) -> Option<String> {
        let pulled = self.house.pulled.is_some_and(|at| at <= self.house.clock.mono());
        pulled.then(|| "somebody pulled it".to_owned())
    }

    fn closed(&self, target: &Target, now: Timestamp) -> Option<String> {
        self.house.calendar.as_ref()?.may_act(&target.scope(), now).err().map(|why| why.to_string())
    }
}

pub(crate) async fn survey(house: &House_, sim: &Sim, calls: &Calls) -> Outcome {
    let cloud: Arc<dyn Cloud> = Arc::new(Plugin::new(sim));
    let universes = survey::universes(vec![cloud], calls).await;
    let rules = House {
        scopes: vec![sweeper_core::house::ScopeRule {
            accounts: vec!["aws:*".to_owned()],
            class: sweeper_core::house::AccountClass::Nonprod,
            ..Default::default()
        }],
        referrers: house.referrers.clone(),
        ..House::default()
    };
    engine::run(Inputs {
        universes: &universes,
        calls,
        set: &house.set,
        house: rules,
        waivers: house.waivers.clone(),
        accounts: BTreeMap::new(),
        regions: BTreeMap::new(),
        all_kinds: false,
        whole: BTreeSet::new(),
        prices: &FlatPrices,
        billed: None,
        ledger: Some(house.ledger.as_ref()),
        state: Some(&house.store),
        progress: &Quiet,
        now: None,
    })
    .await
}

pub(crate) fn policies(text: &str) -> Result<PolicySet, String> {
    let kinds: &[&'static KindSpec] =
        &[&crate::cloud::ADDRESS, &crate::cloud::MACHINE, &crate::cloud::NAMED, &crate::cloud::VOLUME];
    let source = Source { path: "sim.toml".to_owned(), text: text.to_owned() };
    let loaded = load(&[source], &Known { kinds });
    let said = loaded.problems.iter().map(sweeper_core::policy::Problem::render).collect::<String>();
    loaded.set.ok_or(said)
}

pub(crate) fn calls(clock: &Arc<SimClock>, seed: u64) -> Calls {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
    Calls::new(clock, Limits { seed, ..Limits::default() })
}

impl House_ {
    /// A deployment that trusts Alice; with her key, and one of somebody else.
    pub(crate) fn new(sim: Sim, set: PolicySet, clock: &Arc<SimClock>) -> Result<(Self, Signer, Signer), String> {
        let key = |name: &str, byte: u8| Signer::generate(name, &[byte; 32]).map_err(|error| error.to_string());
        let (signer, admin, stranger) = (key("sweeper/sim", 1)?, key("alice", 2)?, key("mallory", 3)?);
        let mut roots = Trust { may_apply: true, ..Trust::default() };
        trust(&mut roots, "alice", &admin);
        let house = Self {
            clock: Arc::clone(clock),
            sim,
            store: MemoryStore::new(),
            log: MemoryLog::new(),
            ledger: Arc::new(InMemory::default()),
            set: Arc::new(set),
            signer,
            trust: roots,
            caps: Caps::default(),
            calendar: None,
            soak: None,
            rate: None,
            waivers: Vec::new(),
            referrers: Referrers::default(),
            alone: false,
            pulled: None,
            runs: 0,
        };
        Ok((house, admin, stranger))
    }

    pub(crate) fn holder(&mut self) -> Holder {
        self.runs += 1;
        Holder { by: format!("runner {}", self.runs), run: format!("run-{}", self.runs) }
    }
}

/// The words of a plan.
pub(crate) fn order(requester: &str, survey: String, made: Timestamp) -> Order {
    Order {
        deployment: DEPLOYMENT.to_owned(),
        requester: requester.to_owned(),
        tool: TOOL.to_owned(),
        survey,
        made,
        only: BTreeSet::new(),
    }
}

/// Lets a person approve anything, with a key.
pub(crate) fn trust(trust: &mut Trust, name: &str, signer: &Signer) {
    let admin = Person { roles: BTreeSet::from([Role::Admin]), aliases: BTreeSet::new() };
    trust.people.insert(name.to_owned(), admin);
    trust.keys.push(Key {
        person: name.to_owned(),
        kind: KeyKind::Note(signer.verifier().clone()),
        from: Timestamp(0),
        until: Timestamp(i64::MAX),
        revoked: false,
    });
}

/// One run of apply, and whether it died.
pub(crate) async fn run(
    house: &House_,
    holder: Holder,
    plan: &Plan,
    notes: &[Vec<u8>],
    fuse: Fuse,
    mischief: Option<Rng>,
) -> Option<Applied> {
    let now = house.clock.wall();
    let notes = notes.iter().filter_map(|bytes| house.trust.read(bytes, DEPLOYMENT, now).ok()).collect();
    let approved = plan.clone().approve(notes, Against { trust: &house.trust, now });
    with_parts(house, holder, fuse, mischief, async |parts| apply::apply(&approved, parts).await).await
}

/// What one run does with what it works with, and whether it died.
pub(crate) async fn with_parts<R>(
    house: &House_,
    holder: Holder,
    fuse: Fuse,
    mischief: Option<Rng>,
    work: impl AsyncFnOnce(apply::Parts<'_>) -> R,
) -> Option<R> {
    let sim = house.sim.called_by(fuse.clone());
    let seed = mischief.clone().map_or(0, |mut rng| rng.draw());
    let calls = calls(&house.clock, seed);
    let store = FusedStore(house.store.clone(), fuse.clone());
    let shared: Arc<dyn Store> = Arc::new(FusedStore(house.store.clone(), fuse.clone()));
    let log: Arc<dyn audit::Log> = Arc::new(FusedLog(house.log.clone(), fuse));
    let signer = house.signer.clone();
    let clock = Arc::clone(&house.clock);
    let name = holder.run.clone();
    let open = move |epoch: u64| {
        let config = TrailConfig {
            origin: Origin::new(DEPLOYMENT, "main"),
            run: name.clone(),
            epoch,
            signer: signer.clone(),
            earlier: Vec::new(),
            every: 50,
        };
        let now = Millis(clock.wall().0 * 1000);
        Trail::open(Arc::clone(&log), Arc::clone(&shared), config, now).map(|(trail, _)| trail)
    };
    let eyes = Eyes { house, sim: sim.clone(), calls: calls.clone(), mischief: mischief.map(Mutex::new) };
    let plugin = Plugin::new(&sim);
    let kinds = plugin.kinds().iter().map(|kind| (kind.spec().id, Arc::clone(kind))).collect();
    let parts = apply::Parts {
        store: &store,
        trail: &open,
        world: &eyes,
        calls: &calls,
        kinds,
        trust: &house.trust,
        pace: {
            let usual = Pace::default();
            Pace { soak: house.soak.unwrap_or(usual.soak), rate: house.rate.unwrap_or(usual.rate), ..usual }
        },
        caps: house.caps,
        holder,
        deployment: DEPLOYMENT.to_owned(),
        tool: TOOL.to_owned(),
        lease: Duration::from_mins(2),
        alone: house.alone,
    };
    match AssertUnwindSafe(work(parts)).catch_unwind().await {
        Ok(done) => Some(done),
        Err(died) if died.is::<Killed>() => None,
        Err(other) => panic::resume_unwind(other),
    }
}

fn weather(rng: &mut Rng) -> Weather {
    let bad = |rng: &mut Rng| if rng.often(500) { 0 } else { rng.below(120) };
    Weather {
        throttled: bad(rng),
        lost_request: bad(rng),
        lost_reply: bad(rng),
        denied_list: if rng.often(800) { 0 } else { rng.below(200) },
        old_list: bad(rng),
        slow: bad(rng),
    }
}

pub(crate) const FINE: Weather =
    Weather { throttled: 0, lost_request: 0, lost_reply: 0, denied_list: 0, old_list: 0, slow: 0 };

/// Plays a history.
pub fn play(seed: u64) -> Story {
    silence();
    let mut story = Story::default();
    let mut rng = Rng::new(seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(17));
    let set = match policies(POLICIES) {
        Ok(set) => set,
        Err(said) => {
            story.violations.push(format!("bug: the policies of the simulation cannot be read: {said}"));
            return story;
        }
    };
    let clock = SimClock::new(START);
    let days = rng.between(5, 9);
    let skies = weather(&mut rng);
    let sim = Sim::new(rng.fork(), Arc::clone(&clock), START, days + 2, skies);
    let (mut house, admin, stranger) = match House_::new(sim, set, &clock) {
        Ok(made) => made,
        Err(why) => {
            story.violations.push(why);
            return story;
        }
    };
    let mut leaves: Vec<Leave> = Vec::new();
    let mut last: Option<(Plan, Vec<Vec<u8>>)> = None;
    for day in 0..days {
        clock.until(Duration::from_secs(day * DAY as u64 + rng.below(6 * 3600)));
        let at = rng.fork();
        let outcome = clock.run(survey(&house, &house.sim, &calls(&clock, seed)));
        if day < 2 || rng.often(300) {
            continue;
        }
        let order = order("bob", format!("{seed}-{day}"), clock.wall());
        let plan = match plan::draw(outcome.parts(&house.set), &order, &Rules::default(), &FlatPrices) {
            Ok(plan) => plan,
            Err(error) => {
                story.violations.push(format!("the plan cannot be drawn: {error}"));
                continue;
            }
        };
        match plan::write(&plan).map(|bytes| plan::read(&bytes)) {
            Ok(Ok(back)) if back == plan => {}
            other => story.violations.push(format!("the plan does not read back: {other:?}")),
        }
        if plan.actions.is_empty() {
            continue;
        }
        story.plans += 1;
        let (note, leave) = note(&plan, &mut rng, &admin, &stranger, clock.wall());
        story.lines.push(format!(
            "day {day}: {} actions, {} held, {} approved, at most {}",
            plan.actions.len(),
            plan.held.len(),
            leave.numbers.len(),
            leave.count
        ));
        leaves.push(leave);
        let notes = vec![note];
        // Somebody takes his time to press the button.
        clock.jump(Duration::from_secs(rng.below(4 * 3600)));
        let twice = rng.often(150);
        for attempt in 0..rng.between(1, 4) {
            let blow = match rng.below(10) {
                0..=2 => Some(Blow::KillBefore(rng.between(1, 160))),
                3..=5 => Some(Blow::KillAfter(rng.between(1, 160))),
                6 => Some(Blow::Full(rng.between(1, 200))),
                7 => Some(Blow::Pause(rng.between(1, 160))),
                _ => None,
            };
            let mischief = at.clone();
            let first = house.holder();
            let second = house.holder();
            let one = run(&house, first, &plan, &notes, Fuse::new(blow, &clock), Some(mischief.clone()));
            let outcomes = if twice {
                let (a, b) = clock.run(futures_util::future::join(
                    one,
                    run(&house, second, &plan, &notes, Fuse::new(None, &clock), Some(mischief)),
                ));
                vec![a, b]
            } else {
                vec![clock.run(one)]
            };
            for outcome in outcomes {
                story.runs += 1;
                tell(&mut story, attempt, outcome);
            }
            // A dead run's lock runs out.
            clock.jump(Duration::from_secs(rng.between(1, 3600)));
        }
        last = Some((plan, notes));
    }
    // In fine weather an undisturbed run brings what was begun to its end.
    if let Some((plan, notes)) = last {
        house.sim.weather(FINE);
        clock.jump(Duration::from_hours(1));
        let holder = house.holder();
        let outcome = clock.run(run(&house, holder, &plan, &notes, Fuse::new(None, &clock), Some(rng.fork())));
        story.runs += 1;
        tell(&mut story, 9, outcome.clone());
        match outcome {
            None => story.violations.push("a run died that nobody killed".to_owned()),
            Some(applied) if matches!(applied.stopped, Some(Stop::Damaged(_))) => {
                story.violations.push(format!("state or log are damaged: {:?}", applied.stopped));
            }
            Some(applied) => {
                let unknown = applied.ended.values().any(|ended| matches!(ended, Ended::Unknown(_)));
                let stopped = applied.stopped.is_some();
                match claims::open(&house.store, &plan.id) {
                    Ok(open)
                        if !stopped && !unknown && open.iter().any(|claim| claim.state() != claims::State::Intent) =>
                    {
                        story.violations.push(format!("{} claims are open at the end", open.len()));
                    }
                    Ok(_) => {}
                    Err(error) => story.violations.push(error.to_string()),
                }
            }
        }
    }
    judge(&house, &leaves, &mut story);
    story
}

/// Where a disturbed run ended, after an undisturbed one had followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What is left, and whether it is in use.
    pub left: BTreeSet<(&'static str, u64, bool)>,
    /// What `undo` knows of, and whether a copy of it is known.
    pub undoable: BTreeSet<(String, bool)>,
    pub violations: Vec<String>,
    /// Steps of the first run.
    pub steps: u64,
}

/// One organisation in fine weather whose owners do nothing; a run that is struck so, then one that is not.
pub fn disturbed(seed: u64, blow: Option<Blow>) -> Result<Ending, String> {
    silence();
    let set = policies(POLICIES)?;
    let clock = SimClock::new(START);
    let mut rng = Rng::new(seed);
    let sim = Sim::quiet(rng.fork(), Arc::clone(&clock), START);
    let (mut house, admin, _) = House_::new(sim, set, &clock)?;
    let mut outcome = None;
    for day in 0..4_u64 {
        clock.until(Duration::from_secs(day * DAY as u64 + 3600));
        outcome = Some(clock.run(survey(&house, &house.sim, &calls(&clock, seed))));
    }
    let outcome = outcome.ok_or("no survey")?;
    let order = order("bob", format!("{seed}"), clock.wall());
    let plan = plan::draw(outcome.parts(&house.set), &order, &Rules::default(), &FlatPrices)
        .map_err(|error| error.to_string())?;
    let now = clock.wall();
    let text = Text::OneTime(OneTime {
        plan: plan.id.clone(),
        deployment: DEPLOYMENT.to_owned(),
        items: Items::All,
        by: "alice".to_owned(),
        reviewers: BTreeSet::new(),
        count: 50,
        monthly_usd: Amount::whole(500),
        from: now,
        until: now.plus(3 * DAY),
        nonce: "0".repeat(32),
    });
    let leave = leave(&plan, plan.actions.iter().map(|action| action.no).collect(), 50);
    let notes = vec![admin.sign(&text.to_string()).map_err(|error| error.to_string())?.into_bytes()];
    let fuse = Fuse::new(blow, &clock);
    let holder = house.holder();
    let _ = clock.run(run(&house, holder, &plan, &notes, fuse.clone(), None));
    clock.jump(Duration::from_hours(1));
    let holder = house.holder();
    let mut violations = Vec::new();
    match clock.run(run(&house, holder, &plan, &notes, Fuse::new(None, &clock), None)) {
        None => violations.push("a run died that nobody killed".to_owned()),
        Some(applied) => violations.extend(applied.stopped.map(|stop| format!("the second run: {stop:?}"))),
    }
    let mut story = Story { violations, ..Story::default() };
    judge(&house, &[leave], &mut story);
    let left = house.sim.things().into_values().map(|thing| (thing.kind, thing.uid, thing.used)).collect();
    let entries = apply::undo::list(&house.store).map_err(|error| error.to_string())?;
    let undoable = entries.into_iter().map(|entry| (entry.target.id(), entry.kept.is_some())).collect();
    Ok(Ending { left, undoable, violations: story.violations, steps: fuse.steps() })
}

fn tell(story: &mut Story, attempt: u64, outcome: Option<Applied>) {
    match outcome {
        None => {
            story.killed += 1;
            story.lines.push(format!("  run {attempt}: died"));
        }
        Some(applied) => {
            story.done += applied.done() as u32;
            let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
            for ended in applied.ended.values() {
                *counts.entry(ended.name()).or_default() += 1;
            }
            story.lines.push(format!("  run {attempt}: {counts:?} {:?}", applied.stopped));
            for (no, ended) in &applied.ended {
                if let Ended::Failed(why) | Ended::Unknown(why) | Ended::Skipped(why) = ended {
                    story.lines.push(format!("    {no}: {} {why}", ended.name()));
                }
            }
        }
    }
}

/// An approval, mostly a good one, and what it really allows.
fn note(plan: &Plan, rng: &mut Rng, admin: &Signer, stranger: &Signer, now: Timestamp) -> (Vec<u8>, Leave) {
    let all: BTreeSet<u32> = plan.actions.iter().map(|action| action.no).collect();
    let some: BTreeSet<u32> = all.iter().copied().filter(|_| rng.often(800)).collect();
    let (items, mut numbers) = match rng.below(3) {
        0 => (Items::All, all),
        _ if some.is_empty() => (Items::All, all),
        _ => (Items::Some(some.clone()), some),
    };
    let count = rng.between(1, 12) as u32;
    let mut text = OneTime {
        plan: plan.id.clone(),
        deployment: DEPLOYMENT.to_owned(),
        items,
        by: "alice".to_owned(),
        reviewers: BTreeSet::new(),
        count,
        monthly_usd: Amount::whole(500),
        from: now.plus(-60),
        until: now.plus(3 * DAY),
        nonce: format!("{:016x}{:016x}", rng.draw(), rng.draw()),
    };
    let mut signer = admin;
    let mut spoil = None;
    match rng.below(24) {
        0 => text.until = now.plus(-1),
        1 => text.plan = "0".repeat(64),
        2 => signer = stranger,
        3 => "bob".clone_into(&mut text.by),
        4 => spoil = Some(rng.draw()),
        5 => "other".clone_into(&mut text.deployment),
        _ => {}
    }
    let bad = text.until < now
        || text.plan != plan.id
        || !std::ptr::eq(signer, admin)
        || text.by != "alice"
        || spoil.is_some()
        || text.deployment != DEPLOYMENT;
    let mut bytes = signer.sign(&Text::OneTime(text).to_string()).unwrap_or_default().into_bytes();
    if let Some(at) = spoil {
        let at = (at % bytes.len().max(1) as u64) as usize;
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1;
        }
    }
    if bad {
        numbers.clear();
    }
    (bytes, leave(plan, numbers, count))
}

/// What an approval allows.
pub(crate) fn leave(plan: &Plan, numbers: BTreeSet<u32>, count: u32) -> Leave {
    let mut tokens = BTreeMap::new();
    for action in &plan.actions {
        for deed in [action.deed_kind().name(), DeedKind::Copy.name()] {
            tokens.insert(apply::token(&plan.id, action.no, deed), action.no);
        }
    }
    Leave { plan: plan.clone(), numbers, count, tokens }
}

pub(crate) fn judge(house: &House_, leaves: &[Leave], story: &mut Story) {
    let mut intents = BTreeSet::new();
    house.log.with(|contents| {
        for bytes in contents.segments.values() {
            for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                if let Ok(event) = audit::AuditEvent::parse(line) {
                    story.events += 1;
                    if let (Body::Intent(intent), Some(plan)) = (&event.body, &event.plan) {
                        intents.insert((plan.clone(), intent.resource.uid.clone()));
                    }
                }
            }
        }
    });
    let done = house.sim.done();
    story.violations.extend(oracle::violations(&done, leaves, &intents, START.0));
    if story.events > 0 {
        let origin = Origin::new(DEPLOYMENT, "main");
        let keys = [TrustedKey { verifier: house.signer.verifier().clone(), from: None, until: None, revoked: None }];
        let asked = Verify { origin: &origin, keys: &keys, known: &[], max_silence: None };
        match audit::verify(&house.log, asked) {
            Ok(verdict) => {
                for problem in
                    verdict.problems.iter().filter(|problem| problem.kind.severity() == audit::Severity::Damage)
                {
                    story.violations.push(format!("the log does not verify: {problem:?}"));
                }
            }
            Err(error) => story.violations.push(format!("the log cannot be read: {error}")),
        }
    }
}

/// A run that is killed says nothing.
pub(crate) fn silence() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !info.payload().is::<Killed>() {
                loud(info);
            }
        }));
    });
}
