//! A cloud that does its worst, in this process: four kinds, owners who act at any moment, weather.

use crate::{clock::SimClock, fuse::Fuse, rng::Rng};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use sweeper_core::{
    calls::Site,
    clock::Clock,
    deed::{ActSpec, Deed, DeedKind, Kept, Pen, Permit, Progress, Reversal, Sent, Target, Write},
    facts::{Address, Disk, DiskState, Facts, Vm, VmState},
    inventory::{Draft, Listing, Resource, Tags},
    kind::{Account, Cloud, CloudError, Fault, Kind, KindSpec, Places, Prices, Universe},
    model::{Class, CloudId, Reach, Relation, Timestamp},
    money::{Amount, Cost},
    policy::Keep,
};

/// The account everything is in.
pub const ACCOUNT: &str = "111111111111";
const REGION: &str = "us-east-1";

pub(crate) const fn spec(id: &'static str, class: Class, title: &'static str) -> KindSpec {
    KindSpec {
        id,
        cloud: CloudId::Aws,
        class,
        title,
        places: Places::Regions,
        reads: &["sim:List"],
        asks: &[],
        refers: &[],
        needs: &[],
        out_of_sight: &[],
        advised: "",
        report_only: "",
        acts: &[],
    }
}

const DELETE: Write = Write { permission: "sim:Delete", method: "POST", action: "Delete" };
const STOP: Write = Write { permission: "sim:Stop", method: "POST", action: "Stop" };
const TAG: Write = Write { permission: "sim:Tag", method: "POST", action: "Tag" };
const COPY: Write = Write { permission: "sim:Copy", method: "POST", action: "Copy" };

const DISK_ACTS: &[ActSpec] = &[
    ActSpec {
        deed: DeedKind::Delete,
        writes: &[DELETE],
        reads: &[],
        reversal: Reversal::FromCopy("from its snapshot"),
        keeps: &[Keep::Snapshot],
        takes: &[],
    },
    ActSpec {
        deed: DeedKind::Copy,
        writes: &[COPY],
        reads: &[],
        reversal: Reversal::Undo("removed"),
        keeps: &[],
        takes: &[],
    },
];

/// A disk whose id is never used again.
pub static VOLUME: KindSpec = KindSpec { acts: DISK_ACTS, ..spec("aws.sim-volume", Class::Disk, "volume") };
/// A disk whose id is a name, which anybody may use again.
pub static NAMED: KindSpec = KindSpec { acts: DISK_ACTS, ..spec("aws.sim-named-disk", Class::Disk, "named disk") };
/// A machine.
pub static MACHINE: KindSpec = KindSpec {
    refers: &[(Relation::UsedByVm, Reach::Region)],
    acts: &[
        ActSpec {
            deed: DeedKind::Stop,
            writes: &[STOP],
            reads: &[],
            reversal: Reversal::Undo("it is started again"),
            keeps: &[],
            takes: &[],
        },
        ActSpec {
            deed: DeedKind::Tag,
            writes: &[TAG],
            reads: &[],
            reversal: Reversal::Undo("the tag is removed"),
            keeps: &[],
            takes: &[],
        },
        ActSpec {
            deed: DeedKind::Delete,
            writes: &[DELETE],
            reads: &[],
            reversal: Reversal::OneWay("the machine"),
            keeps: &[],
            takes: &[Class::Disk],
        },
    ],
    ..spec("aws.sim-machine", Class::Vm, "machine")
};
/// An address, whose release is one-way.
pub static ADDRESS: KindSpec = KindSpec {
    refers: &[(Relation::Holds, Reach::Region)],
    acts: &[ActSpec {
        deed: DeedKind::Delete,
        writes: &[DELETE],
        reads: &[],
        reversal: Reversal::OneWay("the address"),
        keeps: &[],
        takes: &[],
    }],
    ..spec("aws.sim-address", Class::Address, "address")
};

/// What the copies of disks are, for tests that bring them along.
#[cfg(test)]
pub(crate) fn snapshot_spec() -> &'static KindSpec {
    static SNAPSHOT: KindSpec = KindSpec {
        acts: &[ActSpec {
            deed: DeedKind::Delete,
            writes: &[DELETE],
            reads: &[],
            reversal: Reversal::OneWay("the snapshot"),
            keeps: &[],
            takes: &[],
        }],
        ..spec("aws.sim-snapshot", Class::Snapshot, "snapshot")
    };
    &SNAPSHOT
}

/// What is really there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    pub kind: &'static str,
    pub id: String,
    pub uid: u64,
    pub created: Timestamp,
    pub tags: BTreeMap<String, String>,
    /// Attached, associated or running.
    pub used: bool,
    /// The cloud's own protection.
    pub locked: bool,
    pub managed: bool,
    /// Ids of what it names as its own.
    pub uses: Vec<String>,
    pub size: u32,
    /// When anybody but the sweeper last changed it.
    pub changed: Duration,
    /// What is under way with it, and when that ends, and whether well.
    pub ending: Option<(DeedKind, Duration, bool)>,
}

impl Thing {
    /// Whether an owner asked for it to be left alone.
    pub fn is_protected(&self) -> bool {
        self.locked || self.tags.contains_key("sweeper-protect")
    }
}

/// What the sweeper did to something, at the moment that the cloud did it.
#[derive(Clone, Debug)]
pub struct Done {
    pub at: Duration,
    pub deed: DeedKind,
    pub kind: &'static str,
    pub uid: u64,
    pub token: String,
    /// The thing at that moment.
    pub was: Thing,
    /// When the sweeper last read it by itself.
    pub read: Option<Duration>,
}

/// How bad the weather is, per mille of calls.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub throttled: u64,
    pub lost_request: u64,
    pub lost_reply: u64,
    pub denied_list: u64,
    pub old_list: u64,
    pub slow: u64,
}

#[derive(Debug)]
struct Truth {
    things: BTreeMap<u64, Thing>,
    /// What was there at earlier times, for lists that are old.
    before: Vec<(Duration, BTreeMap<u64, Thing>)>,
    /// What owners will do, by time.
    events: BTreeMap<(Duration, u64), Event>,
    copies: BTreeMap<String, (u64, Duration, bool)>,
    done: Vec<Done>,
    reads: BTreeMap<u64, Duration>,
    seen: BTreeSet<String>,
    next: u64,
    rng: Rng,
    weather: Weather,
    /// Everything that is begun goes well.
    certain: bool,
    /// Things that the caller has no right to delete.
    denied: BTreeSet<u64>,
    /// Things that somebody makes again as soon as they are gone, under the same name.
    restless: BTreeSet<u64>,
    /// What the next requests to change a thing meet.
    met: BTreeMap<(u64, DeedKind), Vec<Met>>,
    /// How long a change of a thing takes, if not as it comes.
    lasting: BTreeMap<u64, Duration>,
    /// Every request to change something, when it was made.
    asked: Vec<(Duration, DeedKind, u64)>,
    /// Readings of how far a change is.
    looked: u64,
    /// Kinds that are not offered.
    closed: BTreeSet<&'static str>,
}

/// What one request meets, whatever the weather.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// It is told to wait, for so long.
    Busy(Duration),
    /// It never arrives, and nobody says so.
    Lost,
    /// It fails in a way that says that it was not done.
    Refused,
    /// Somebody deletes the thing right before it.
    Gone,
    /// It is done, and after so long the connection breaks without an answer.
    Hangs(Duration),
}

/// What an owner does.
#[derive(Clone, Debug)]
pub enum Event {
    Use(u64),
    Release(u64),
    Protect(u64),
    Unprotect(u64),
    Lock(u64),
    Tag(u64),
    Manage(u64),
    Delete(u64),
    /// Deletes and makes again under the same name, where the id is a name.
    Again(u64),
    New(&'static str),
}

/// The cloud. Clones are the same cloud.
#[derive(Clone)]
pub struct Sim {
    truth: Arc<Mutex<Truth>>,
    pub clock: Arc<SimClock>,
    start: Timestamp,
    /// The run that calls, for its steps.
    pub fuse: Fuse,
}

fn lock(truth: &Mutex<Truth>) -> MutexGuard<'_, Truth> {
    truth.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Truth {
    fn advance(&mut self, now: Duration, start: Timestamp) {
        let mut changed = false;
        while let Some(entry) = self.events.first_entry()
            && entry.key().0 <= now
        {
            let ((at, _), event) = entry.remove_entry();
            self.end(at, start);
            self.happen(event, at, start);
            changed = true;
        }
        self.end(now, start);
        if changed {
            let things = self.things.clone();
            self.before.push((now, things));
            if self.before.len() > 12 {
                self.before.remove(0);
            }
        }
    }

    /// What is under way ends.
    fn end(&mut self, now: Duration, start: Timestamp) {
        let over: Vec<u64> = self
            .things
            .iter()
            .filter(|(_, thing)| thing.ending.is_some_and(|(_, until, _)| until <= now))
            .map(|(uid, _)| *uid)
            .collect();
        for uid in over {
            let Some(thing) = self.things.get_mut(&uid) else { continue };
            match thing.ending.take() {
                Some((DeedKind::Delete, _, true)) => {
                    let gone = self.things.remove(&uid);
                    if let Some(gone) = gone.filter(|_| self.restless.remove(&uid)) {
                        self.next += 1;
                        let created = start.plus(now.as_secs() as i64);
                        let id = if gone.kind == NAMED.id { gone.id.clone() } else { id(gone.kind, self.next) };
                        let again = Thing { id, uid: self.next, created, changed: now, ending: None, ..gone };
                        self.things.insert(again.uid, again);
                    }
                }
                Some((DeedKind::Stop, _, true)) => thing.used = false,
                _ => {}
            }
        }
    }

    fn happen(&mut self, event: Event, at: Duration, start: Timestamp) {
        let touch = |things: &mut BTreeMap<u64, Thing>, uid: u64, change: &dyn Fn(&mut Thing)| {
            if let Some(thing) = things.get_mut(&uid).filter(|thing| thing.ending.is_none()) {
                change(thing);
                thing.changed = at;
            }
        };
        match event {
            Event::Use(uid) => touch(&mut self.things, uid, &|thing| thing.used = true),
            Event::Release(uid) => touch(&mut self.things, uid, &|thing| thing.used = false),
            Event::Protect(uid) => touch(&mut self.things, uid, &|thing| {
                thing.tags.insert("sweeper-protect".to_owned(), "yes".to_owned());
            }),
            Event::Unprotect(uid) => touch(&mut self.things, uid, &|thing| {
                thing.tags.remove("sweeper-protect");
            }),
            Event::Lock(uid) => touch(&mut self.things, uid, &|thing| thing.locked = !thing.locked),
            Event::Tag(uid) => touch(&mut self.things, uid, &|thing| {
                thing.tags.insert("note".to_owned(), format!("{}", at.as_secs()));
            }),
            Event::Manage(uid) => touch(&mut self.things, uid, &|thing| thing.managed = true),
            Event::Delete(uid) => {
                if self.things.get(&uid).is_some_and(|thing| thing.ending.is_none()) {
                    self.things.remove(&uid);
                }
            }
            Event::Again(uid) => {
                if let Some(old) = self.things.get(&uid).cloned().filter(|thing| thing.ending.is_none()) {
                    self.things.remove(&uid);
                    self.next += 1;
                    let id = if old.kind == NAMED.id { old.id } else { format!("id-{}", self.next) };
                    let created = start.plus(at.as_secs() as i64);
                    let new = Thing { uid: self.next, id, created, changed: at, ..old };
                    self.things.insert(new.uid, new);
                }
            }
            Event::New(kind) => {
                self.next += 1;
                let uid = self.next;
                let created = start.plus(at.as_secs() as i64);
                let used = self.rng.often(400);
                let thing = Thing { kind, id: id(kind, uid), uid, created, used, ..empty(at) };
                self.things.insert(uid, thing);
            }
        }
    }
}

fn id(kind: &str, uid: u64) -> String {
    if kind == NAMED.id { format!("name-{uid}") } else { format!("id-{uid}") }
}

fn empty(at: Duration) -> Thing {
    Thing {
        kind: VOLUME.id,
        id: String::new(),
        uid: 0,
        created: Timestamp(0),
        tags: BTreeMap::from([("owner".to_owned(), "team@example.com".to_owned())]),
        used: false,
        locked: false,
        managed: false,
        uses: Vec::new(),
        size: 8,
        changed: at,
        ending: None,
    }
}

impl Sim {
    /// An organisation of a seed, at a time, with what its owners will do in so many days.
    pub fn new(mut rng: Rng, clock: Arc<SimClock>, start: Timestamp, days: u64, weather: Weather) -> Self {
        let mut things = BTreeMap::new();
        let count = rng.between(4, 24);
        for uid in 1..=count {
            let kind = *rng.pick(&[VOLUME.id, VOLUME.id, NAMED.id, MACHINE.id, ADDRESS.id]).unwrap_or(&VOLUME.id);
            let mut tags = BTreeMap::from([("owner".to_owned(), "team@example.com".to_owned())]);
            if rng.often(100) {
                tags.insert("sweeper-protect".to_owned(), String::new());
            }
            let thing = Thing {
                kind,
                id: id(kind, uid),
                uid,
                created: start.plus(-(rng.between(2, 400) as i64) * 86_400),
                tags,
                used: rng.often(if kind == MACHINE.id { 700 } else { 250 }),
                locked: rng.often(60),
                managed: rng.often(60),
                size: rng.between(1, 200) as u32,
                ..empty(Duration::ZERO)
            };
            things.insert(uid, thing);
        }
        let mut events = BTreeMap::new();
        let acts = rng.between(0, 4 * days + count);
        for n in 0..acts {
            let uid = rng.between(1, count + 4);
            let at = Duration::from_millis(rng.below(days * 86_400_000));
            let event = match rng.below(16) {
                0..=2 => Event::Use(uid),
                3 | 4 => Event::Release(uid),
                5 | 6 => Event::Protect(uid),
                7 => Event::Unprotect(uid),
                8 => Event::Lock(uid),
                9 | 10 => Event::Tag(uid),
                11 => Event::Manage(uid),
                12 => Event::Delete(uid),
                13 | 14 => Event::Again(uid),
                _ => Event::New(rng.pick(&[VOLUME.id, NAMED.id, ADDRESS.id]).copied().unwrap_or(VOLUME.id)),
            };
            events.insert((at, n), event);
        }
        let before = vec![(Duration::ZERO, things.clone())];
        let truth = Truth {
            things,
            before,
            events,
            copies: BTreeMap::new(),
            done: Vec::new(),
            reads: BTreeMap::new(),
            seen: BTreeSet::new(),
            next: count,
            rng: rng.fork(),
            weather,
            certain: false,
            denied: BTreeSet::new(),
            restless: BTreeSet::new(),
            met: BTreeMap::new(),
            lasting: BTreeMap::new(),
            asked: Vec::new(),
            looked: 0,
            closed: BTreeSet::new(),
        };
        Self { truth: Arc::new(Mutex::new(truth)), clock, start, fuse: Fuse::default() }
    }

    /// An organisation in which everything unused is old and free, in fine weather, and whose owners do nothing.
    pub fn quiet(mut rng: Rng, clock: Arc<SimClock>, start: Timestamp) -> Self {
        let fine = Weather { throttled: 0, lost_request: 0, lost_reply: 0, denied_list: 0, old_list: 0, slow: 0 };
        let sim = Self::new(rng.fork(), clock, start, 0, fine);
        {
            let mut truth = lock(&sim.truth);
            truth.events.clear();
            truth.certain = true;
            for thing in truth.things.values_mut() {
                thing.locked = false;
                thing.managed = false;
                thing.tags.remove("sweeper-protect");
            }
        }
        sim
    }

    /// A fleet of disks of a kind in fine weather, `unused` of them nobody's, whose owners do nothing.
    pub fn fleet(
        kind: &'static KindSpec,
        rng: Rng,
        clock: Arc<SimClock>,
        start: Timestamp,
        (unused, used): (u64, u64),
    ) -> Self {
        let sim = Self::quiet(rng, clock, start);
        {
            let mut truth = lock(&sim.truth);
            truth.next = unused + used;
            truth.things = (1..=unused + used)
                .map(|uid| {
                    let created = start.plus(-100 * 86_400);
                    let thing = Thing {
                        kind: kind.id,
                        id: id(kind.id, uid),
                        uid,
                        created,
                        used: uid > unused,
                        ..empty(Duration::ZERO)
                    };
                    (uid, thing)
                })
                .collect();
            truth.before = vec![(Duration::ZERO, truth.things.clone())];
        }
        sim
    }

    /// The same cloud, called by a run of its own.
    #[must_use]
    pub fn called_by(&self, fuse: Fuse) -> Self {
        Self { fuse, ..self.clone() }
    }

    /// Owners do something at the worst moment: soon.
    pub fn soon(&self, event: Event, after: Duration) {
        let at = self.clock.mono() + after;
        let mut truth = lock(&self.truth);
        let n = 1_000_000 + truth.events.len() as u64;
        truth.events.insert((at, n), event);
    }

    /// Has something made again under its name as soon as it is gone.
    pub fn make_again(&self, uid: u64) {
        lock(&self.truth).restless.insert(uid);
    }

    /// Says what the next requests to change something meet, one after the other.
    pub fn meets(&self, uid: u64, deed: DeedKind, met: &[Met]) {
        lock(&self.truth).met.insert((uid, deed), met.iter().rev().copied().collect());
    }

    /// Says how long a change of something takes.
    pub fn lasts(&self, uid: u64, time: Duration) {
        lock(&self.truth).lasting.insert(uid, time);
    }

    /// When changes of something were asked for.
    pub fn asked(&self, uid: u64, deed: DeedKind) -> Vec<Duration> {
        lock(&self.truth).asked.iter().filter(|(_, own, of)| (*own, *of) == (deed, uid)).map(|one| one.0).collect()
    }

    /// How often it was read how far a change is.
    pub fn looked(&self) -> u64 {
        lock(&self.truth).looked
    }

    /// A kind is not offered here.
    pub fn close(&self, kind: &'static KindSpec) {
        lock(&self.truth).closed.insert(kind.id);
    }

    /// Changes something, as of long ago.
    pub fn alter(&self, uid: u64, change: impl FnOnce(&mut Thing)) {
        if let Some(thing) = lock(&self.truth).things.get_mut(&uid) {
            change(thing);
        }
    }

    /// Something more is there, of now.
    pub fn bring(&self, kind: &'static KindSpec, change: impl FnOnce(&mut Thing)) -> u64 {
        let now = self.clock.mono();
        let mut truth = lock(&self.truth);
        truth.next += 1;
        let uid = truth.next;
        let created = self.start.plus(now.as_secs() as i64);
        let mut thing = Thing { kind: kind.id, id: id(kind.id, uid), uid, created, ..empty(now) };
        change(&mut thing);
        truth.things.insert(uid, thing);
        uid
    }

    /// Takes away the right to delete something.
    pub fn deny(&self, uid: u64) {
        lock(&self.truth).denied.insert(uid);
    }

    /// What is there now.
    pub fn things(&self) -> BTreeMap<u64, Thing> {
        let mut truth = lock(&self.truth);
        truth.advance(self.clock.mono(), self.start);
        truth.things.clone()
    }

    /// What the sweeper did.
    pub fn done(&self) -> Vec<Done> {
        lock(&self.truth).done.clone()
    }

    /// The weather from now on.
    pub fn weather(&self, weather: Weather) {
        lock(&self.truth).weather = weather;
    }

    /// Takes the time a call takes, in which others act.
    async fn pass(&self) {
        let time = {
            let mut truth = lock(&self.truth);
            let slow = truth.weather.slow;
            if truth.rng.often(slow) { truth.rng.between(1_000, 20_000) } else { truth.rng.between(5, 400) }
        };
        self.clock.sleep_until(self.clock.mono() + Duration::from_millis(time)).await;
        lock(&self.truth).advance(self.clock.mono(), self.start);
    }

    fn struck(&self, op: &'static str, list: bool) -> Result<(), CloudError> {
        let mut truth = lock(&self.truth);
        let weather = truth.weather;
        if truth.rng.often(weather.throttled) {
            return Err(CloudError::new(Fault::Throttled, op, "slow down"));
        }
        if truth.rng.often(weather.lost_request) {
            return Err(CloudError::new(Fault::Transient, op, "connection reset"));
        }
        if list && truth.rng.often(weather.denied_list) {
            return Err(CloudError::new(Fault::Denied, op, "not allowed"));
        }
        Ok(())
    }

    fn push(thing: &Thing, kind: &KindSpec, out: &mut Listing) {
        let facts: Facts = match kind.class {
            Class::Vm => Vm {
                state: if thing.used { VmState::Running } else { VmState::Stopped },
                vm_type: out.sym("t3.micro"),
                image: out.sym(""),
                in_state_since: None,
                spot: false,
                still_billed: false,
            }
            .into(),
            Class::Address => Address {
                associated: thing.used,
                ip: out.sym(""),
                service_managed: false,
                own_pool: false,
                internal: false,
            }
            .into(),
            _ => Disk {
                state: match (&thing.ending, thing.used) {
                    (Some(_), _) => DiskState::Other,
                    (None, true) => DiskState::Attached,
                    (None, false) => DiskState::Available,
                },
                size_gib: thing.size,
                tier: out.sym("gp3"),
                iops: None,
                throughput: None,
                source_snapshot: out.sym(""),
                attachments: u16::from(thing.used),
                last_attached: None,
            }
            .into(),
        };
        let uid = thing.uid.to_string();
        let relation = if kind.class == Class::Vm { Relation::UsedByVm } else { Relation::Holds };
        let tags = thing.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        out.push(Draft {
            uid: &uid,
            created: Some(thing.created),
            tags: Tags::Read(tags),
            protected: if thing.locked { "deletion protection" } else { "" },
            managed_by: if thing.managed { "stack web" } else { "" },
            name: thing.tags.get("Name").map_or("", String::as_str),
            uses: thing.uses.iter().map(|id| (relation, id.as_str())).collect(),
            ..Draft::new(&thing.id, facts)
        });
    }
}

/// One kind of the cloud.
struct Sort(Sim, &'static KindSpec);

#[async_trait]
impl Kind for Sort {
    fn spec(&self) -> &'static KindSpec {
        self.1
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let things = site
            .read("sim:List", || async {
                self.0.pass().await;
                self.0.struck("sim:List", true)?;
                let mut truth = lock(&self.0.truth);
                if truth.closed.contains(self.1.id) {
                    return Err(CloudError::new(Fault::NotOffered, "sim:List", "not here"));
                }
                let old = truth.weather.old_list;
                let now = self.0.clock.mono();
                let stale = truth.rng.often(old);
                // Lists may lag, by a minute at most.
                let lagging =
                    truth.before.iter().rev().find(|(at, _)| now.saturating_sub(*at) <= Duration::from_mins(1));
                let things = match lagging {
                    Some((_, things)) if stale => things,
                    _ => &truth.things,
                };
                Ok(things.values().filter(|thing| thing.kind == self.1.id).cloned().collect::<Vec<Thing>>())
            })
            .await?;
        for thing in &things {
            Sim::push(thing, self.1, out);
        }
        Ok(())
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let found = site
            .read("sim:List", || async {
                self.0.pass().await;
                self.0.struck("sim:List", false)?;
                let mut truth = lock(&self.0.truth);
                let thing = truth
                    .things
                    .values()
                    .find(|thing| thing.kind == self.1.id && thing.id == target.native_id)
                    .cloned();
                if let Some(thing) = &thing {
                    let now = self.0.clock.mono();
                    truth.reads.insert(thing.uid, now);
                }
                Ok(thing)
            })
            .await?;
        if let Some(thing) = found {
            Sim::push(&thing, self.1, out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let permit = pen.permit();
        let (write, deed) = match permit.deed() {
            Deed::Delete => ("sim:Delete", DeedKind::Delete),
            Deed::Stop => ("sim:Stop", DeedKind::Stop),
            Deed::Copy { .. } => ("sim:Copy", DeedKind::Copy),
            _ => return Err(CloudError::new(Fault::Refused, "sim:Delete", "not known")),
        };
        pen.send(write, self.change(write, deed, permit)).await
    }

    async fn progress(&self, site: &Site, permit: &Permit, _: &Sent) -> Result<Progress, CloudError> {
        let target = permit.target();
        site.read("sim:List", || async {
            self.0.pass().await;
            self.0.struck("sim:List", false)?;
            let mut truth = lock(&self.0.truth);
            truth.looked += 1;
            let now = self.0.clock.mono();
            if let Deed::Copy { .. } = permit.deed() {
                return Ok(match truth.copies.get(permit.token()) {
                    None => Progress::Failed("there is no copy".to_owned()),
                    Some((_, until, _)) if *until > now => Progress::Running,
                    Some((_, _, false)) => Progress::Failed("the copy failed".to_owned()),
                    Some((uid, _, true)) => Progress::Done(Some(Kept {
                        kind: "aws.sim-snapshot".to_owned(),
                        native_id: format!("copy-{uid}"),
                        until: None,
                        recipe: BTreeMap::new(),
                    })),
                });
            }
            let thing = truth.things.values().find(|thing| thing.uid.to_string() == target.uid);
            Ok(match (permit.deed(), thing) {
                (Deed::Delete, None) => Progress::Done(None),
                (Deed::Stop, Some(thing)) if !thing.used => Progress::Done(None),
                (Deed::Stop, None) => Progress::Failed("it is gone".to_owned()),
                _ => Progress::Running,
            })
        })
        .await
    }

    fn price(&self, _: Resource<'_>, _: &dyn Prices) -> Cost {
        Cost::list(Amount::whole(10))
    }
}

impl Sort {
    /// What the cloud does when the request arrives. The answer may be lost.
    async fn change(&self, op: &'static str, deed: DeedKind, permit: &Permit) -> Result<Sent, CloudError> {
        self.0.pass().await;
        self.0.struck(op, false)?;
        let hangs = self.meet(op, deed, permit)?;
        let arrived = self.0.fuse.arrival(|| self.arrive(op, deed, permit));
        let outcome = arrived.unwrap_or_else(|| Err(CloudError::new(Fault::Unreachable, op, "the machine is down")));
        let lost = {
            let mut truth = lock(&self.0.truth);
            let lost = truth.weather.lost_reply;
            truth.rng.often(lost)
        };
        self.0.pass().await;
        if let Some(time) = hangs {
            self.0.clock.jump(time);
            return Err(CloudError::new(Fault::Transient, op, "connection reset"));
        }
        if lost { Err(CloudError::new(Fault::Transient, op, "no answer")) } else { outcome }
    }

    /// What this request meets, if somebody said so: how long it hangs, when it is done.
    fn meet(&self, op: &'static str, deed: DeedKind, permit: &Permit) -> Result<Option<Duration>, CloudError> {
        let uid = permit.target().uid.parse().unwrap_or_default();
        let mut truth = lock(&self.0.truth);
        truth.asked.push((self.0.clock.mono(), deed, uid));
        match truth.met.get_mut(&(uid, deed)).and_then(Vec::pop) {
            None => Ok(None),
            Some(Met::Gone) => {
                truth.things.remove(&uid);
                Ok(None)
            }
            Some(Met::Hangs(time)) => Ok(Some(time)),
            Some(Met::Busy(time)) => {
                let retry_after_ms = Some(time.as_millis() as u64);
                Err(CloudError { retry_after_ms, ..CloudError::new(Fault::Throttled, op, "slow down") })
            }
            Some(Met::Lost) => Err(CloudError::new(Fault::Transient, op, "connection reset")),
            Some(Met::Refused) => Err(CloudError::new(Fault::Refused, op, "not like this")),
        }
    }

    fn arrive(&self, op: &'static str, deed: DeedKind, permit: &Permit) -> Result<Sent, CloudError> {
        let mut truth = lock(&self.0.truth);
        let now = self.0.clock.mono();
        let target = permit.target();
        let sent = Sent { request: format!("req-{}", now.as_millis()), handle: String::new() };
        // The cloud goes by the id that the call has, whoever that is by now.
        let found =
            truth.things.values().find(|thing| thing.kind == self.1.id && thing.id == target.native_id).cloned();
        let Some(thing) = found else { return Err(CloudError::new(Fault::NotFound, op, "no such thing")) };
        if deed == DeedKind::Copy {
            if !truth.copies.contains_key(permit.token()) {
                let (slow, well) = (truth.rng.between(1, 900), truth.certain | !truth.rng.often(30));
                let time = truth.lasting.get(&thing.uid).copied().unwrap_or(Duration::from_secs(slow));
                truth.copies.insert(permit.token().to_owned(), (thing.uid, now + time, well));
            }
            return Ok(sent);
        }
        // To stop what is stopped, by an earlier request whose answer was lost, does nothing.
        if deed == DeedKind::Stop && !thing.used {
            return Ok(sent);
        }
        // The same request twice is one.
        if thing.ending.is_some() && truth.seen.contains(permit.token()) {
            return Ok(sent);
        }
        let refused = |why: &str| Err(CloudError::new(Fault::Refused, op, why));
        if truth.denied.contains(&thing.uid) {
            return Err(CloudError::new(Fault::Denied, op, "no right to it"));
        }
        if thing.locked {
            return refused("it is protected against deletion");
        }
        if deed == DeedKind::Delete && thing.used {
            return refused("it is in use");
        }
        if thing.ending.is_some() {
            return refused("it is being changed");
        }
        truth.seen.insert(permit.token().to_owned());
        let read = truth.reads.get(&thing.uid).copied();
        let done = Done {
            at: now,
            deed,
            kind: self.1.id,
            uid: thing.uid,
            token: permit.token().to_owned(),
            was: thing.clone(),
            read,
        };
        truth.done.push(done);
        let at_once = truth.rng.often(500);
        let (slow, well) = (truth.rng.between(1, 120), truth.certain | !truth.rng.often(40));
        let until = match truth.lasting.get(&thing.uid) {
            Some(time) => now + *time,
            None if at_once => now,
            None => now + Duration::from_secs(slow),
        };
        if let Some(thing) = truth.things.get_mut(&thing.uid) {
            thing.ending = Some((deed, until, well));
        }
        truth.end(now, self.0.start);
        Ok(sent)
    }
}

/// The cloud as a plugin.
pub struct Plugin {
    kinds: Vec<Arc<dyn Kind>>,
}

impl Plugin {
    pub fn new(sim: &Sim) -> Self {
        let kinds = [&ADDRESS, &MACHINE, &NAMED, &VOLUME];
        Self { kinds: kinds.into_iter().map(|spec| Arc::new(Sort(sim.clone(), spec)) as Arc<dyn Kind>).collect() }
    }
}

#[async_trait]
impl Cloud for Plugin {
    fn id(&self) -> CloudId {
        CloudId::Aws
    }

    fn kinds(&self) -> &[Arc<dyn Kind>] {
        &self.kinds
    }

    async fn universe(&self) -> Result<Universe, CloudError> {
        Ok(Universe {
            accounts: vec![Account {
                id: ACCOUNT.to_owned(),
                name: "sim".to_owned(),
                path: String::new(),
                regions: vec![REGION.to_owned()],
                blind: None,
                none: None,
            }],
            only_what_this_identity_sees: false,
        })
    }
}
