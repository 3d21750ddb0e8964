//! From a finding to a notice that arrived, over a cloud made up here, with services that answer on this machine. Time is
//! the virtual clock's.

use super::{
    By, Digest, Notice, digests, outbox,
    secret::Secret,
    tell::{Came, Seen, Telling},
    webhook::{Place, Webhook},
    wire::Wire,
};
use crate::{config::Channel, engine};
use async_trait::async_trait;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use sweeper_core::{
    baseline,
    calls::{Calls, Limits, Site},
    clock::{Clock as _, VirtualClock},
    deed::{ActSpec, DeedKind, Reversal, Write},
    detect::Severity,
    engine::{Inputs, Outcome},
    facts::{Disk, DiskState},
    house::House,
    inventory::{Draft, Listing, Resource, Tags},
    kind::{Account, Cloud, CloudError, Fault, Kind, KindSpec, Places, Prices, Universe},
    ledger::Ledger as _,
    model::{Class, CloudId, DAY, Timestamp},
    money::{Amount, Cost},
    policy::{Keep, Known, PolicySet, Problem, Source, Told, Watched, load, watch},
    store::MemoryStore,
    survey::{self, Quiet},
};
use sweeper_store::StoreLedger;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    runtime::Runtime,
};

static VOLUME: KindSpec = KindSpec {
    id: "aws.ec2-volume",
    cloud: CloudId::Aws,
    class: Class::Disk,
    title: "EBS volume",
    places: Places::Regions,
    reads: &["ec2:DescribeVolumes"],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[ActSpec {
        deed: DeedKind::Delete,
        writes: &[Write { permission: "test:Delete", method: "POST", action: "Delete" }],
        reads: &[],
        reversal: Reversal::FromCopy("made again from the snapshot"),
        keeps: &[Keep::Snapshot],
        takes: &[],
    }],
};

const POLICY: &str = r#"
[[policy]]
name = "disks"
sweep = "unattached-disk"
clouds = ["aws"]
severity = "ticket"
when = 'size_gib > 0'
for = "1d"
then = "delete"
grace = "2d"
limit = { count = 50, share = "5%", monthly_usd = 2000 }
tell = ["hook"]
"#;

/// A Monday, nine in the morning in London.
fn start() -> Timestamp {
    Timestamp::parse("2026-11-02T09:00:00Z").unwrap()
}

/// Disks that nothing uses, with their owners; and whether they may be listed.
#[derive(Default)]
struct Disks {
    there: Mutex<BTreeMap<String, String>>,
    denied: Mutex<bool>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Kind for Disks {
    fn spec(&self) -> &'static KindSpec {
        &VOLUME
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let denied = *lock(&self.denied);
        site.read("ec2:DescribeVolumes", || async move {
            if denied { Err(CloudError::new(Fault::Denied, "ec2:DescribeVolumes", "")) } else { Ok(()) }
        })
        .await?;
        for (name, owner) in lock(&self.there).iter() {
            let disk = Disk {
                state: DiskState::Available,
                size_gib: 100,
                tier: out.sym("gp3"),
                iops: None,
                throughput: None,
                source_snapshot: out.sym(""),
                attachments: 0,
                last_attached: None,
            };
            let tags = if owner.is_empty() { Vec::new() } else { vec![("owner", owner.as_str())] };
            out.push(Draft {
                name,
                tags: Tags::Read(tags),
                created: Some(Timestamp(0)),
                ..Draft::new(&format!("vol-{}", super::hash(&[name])), disk)
            });
        }
        Ok(())
    }

    fn price(&self, _: Resource<'_>, _: &dyn Prices) -> Cost {
        Cost::list(Amount::whole(8))
    }
}

struct Made(Vec<Arc<dyn Kind>>);

#[async_trait]
impl Cloud for Made {
    fn id(&self) -> CloudId {
        CloudId::Aws
    }

    fn kinds(&self) -> &[Arc<dyn Kind>] {
        &self.0
    }

    fn manager(&self, _: &[(&str, &str)]) -> String {
        String::new()
    }

    async fn universe(&self) -> Result<Universe, CloudError> {
        let account = Account {
            id: "111122223333".to_owned(),
            name: "shop".to_owned(),
            path: String::new(),
            regions: vec!["us-east-1".to_owned()],
            blind: None,
            none: None,
        };
        Ok(Universe { accounts: vec![account], only_what_this_identity_sees: false })
    }
}

struct NoPrices;

impl Prices for NoPrices {
    fn unit(&self, _: CloudId, _: &str, _: &str) -> Option<Amount> {
        None
    }
}

/// A service of this machine that notes what it is sent and answers what it is told: 200 where it is told nothing.
struct Service {
    url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
    /// While it is so, everything is answered with this.
    always: Arc<Mutex<Option<String>>>,
}

#[derive(Clone, Debug)]
struct Request {
    head: String,
    body: Value,
    text: String,
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len())
}

impl Service {
    fn start(runtime: &Runtime) -> Self {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/T123/canary-path", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let always = Arc::new(Mutex::new(None));
        let own = (Arc::clone(&seen), Arc::clone(&answers), Arc::clone(&always));
        runtime.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (seen, answers, always) = own.clone();
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    let (head, length) = loop {
                        let mut piece = [0; 4096];
                        let Ok(read) = stream.read(&mut piece).await else { return };
                        if read == 0 {
                            return;
                        }
                        bytes.extend_from_slice(&piece[..read]);
                        if let Some(end) = bytes.windows(4).position(|own| own == b"\r\n\r\n") {
                            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
                            let length = head.lines().find_map(|line| {
                                let (name, value) = line.split_once(':')?;
                                name.eq_ignore_ascii_case("content-length")
                                    .then(|| value.trim().parse::<usize>().ok())?
                            });
                            break (head, end + 4 + length.unwrap_or(0));
                        }
                    };
                    while bytes.len() < length {
                        let mut piece = [0; 4096];
                        match stream.read(&mut piece).await {
                            Ok(read) if read > 0 => bytes.extend_from_slice(&piece[..read]),
                            _ => return,
                        }
                    }
                    let start = head.len() + 4;
                    let text = String::from_utf8_lossy(&bytes[start..]).into_owned();
                    let request =
                        Request { body: serde_json::from_str(&text).unwrap_or_default(), text, head: head.clone() };
                    lock(&seen).push(request);
                    let said = lock(&always).clone().or_else(|| lock(&answers).pop_front());
                    let said = said.unwrap_or_else(|| answer("200 OK", "", "{}"));
                    let _ = stream.write_all(said.as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { url, seen, answers, always }
    }

    fn seen(&self) -> Vec<Request> {
        std::mem::take(&mut lock(&self.seen))
    }

    fn then(&self, status: &str, headers: &str, body: &str) {
        lock(&self.answers).push_back(answer(status, headers, body));
    }

    fn always(&self, status: Option<&str>) {
        *lock(&self.always) = status.map(|status| answer(status, "", "it is down"));
    }
}

/// A house: disks, policies, channels, a state, and the time.
struct Story {
    runtime: Runtime,
    disks: Arc<Disks>,
    set: PolicySet,
    channels: Vec<Channel>,
    store: MemoryStore,
    clock: Arc<VirtualClock>,
    told: Vec<Told>,
    again: bool,
    place: PathBuf,
}

impl Drop for Story {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.place);
    }
}

impl Story {
    fn new(policies: &str) -> Self {
        static STORIES: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = STORIES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let place = std::env::temp_dir().join(format!("sweeper-story-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        let source = Source { path: "rules.toml".to_owned(), text: policies.to_owned() };
        let loaded = load(&[source], &Known { kinds: &[&VOLUME] });
        let problems = loaded.problems.iter().map(Problem::render).collect::<String>();
        Self {
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
            disks: Arc::default(),
            set: loaded.set.unwrap_or_else(|| panic!("{problems}")),
            channels: Vec::new(),
            store: MemoryStore::new(),
            clock: Arc::new(VirtualClock::new(start())),
            told: Vec::new(),
            again: false,
            place,
        }
    }

    fn service(&self) -> Service {
        Service::start(&self.runtime)
    }

    fn secret(&self, name: &str, value: &str) -> Secret {
        let path = self.place.join(name);
        std::fs::write(&path, value).unwrap();
        Secret::File(path)
    }

    /// A webhook.
    fn hook(&mut self, name: &str, service: &Service) -> &mut Channel {
        let secret = Some(self.secret("hook-secret", "canary-secret"));
        let place = Place::Secret(self.secret(&format!("{name}-url"), &service.url));
        self.channels.push(Channel::new(name, By::Webhook(Webhook { place, secret, headers: BTreeMap::new() })));
        self.channels.last_mut().unwrap()
    }

    fn add(&self, name: &str, owner: &str) {
        lock(&self.disks.there).insert(name.to_owned(), owner.to_owned());
    }

    fn gone(&self, name: &str) {
        lock(&self.disks.there).remove(name);
    }

    fn days(&self, days: i64) {
        self.clock.advance(Duration::from_secs((days * DAY).unsigned_abs()));
    }

    fn hours(&self, hours: u64) {
        self.clock.advance(Duration::from_hours(hours));
    }

    fn look(&self) -> Outcome {
        let clouds: Vec<Arc<dyn Cloud>> = vec![Arc::new(Made(vec![Arc::clone(&self.disks) as Arc<dyn Kind>]))];
        let calls = Calls::new(Arc::clone(&self.clock) as Arc<dyn sweeper_core::clock::Clock>, Limits::default());
        let ledger = StoreLedger::new(Arc::new(self.store.clone()));
        self.runtime.block_on(async {
            let universes = survey::universes(clouds, &calls).await;
            let mut outcome = engine::run_on(
                None,
                Inputs {
                    universes: &universes,
                    calls: &calls,
                    set: &self.set,
                    house: House::default(),
                    waivers: Vec::new(),
                    accounts: BTreeMap::new(),
                    regions: BTreeMap::new(),
                    all_kinds: false,
                    whole: BTreeSet::from([CloudId::Aws]),
                    prices: &NoPrices,
                    billed: None,
                    ledger: Some(&ledger),
                    state: None,
                    progress: &Quiet,
                    now: None,
                },
            )
            .await;
            outcome.told.clone_from(&self.told);
            outcome
        })
    }

    /// A run: what it came to, with the findings of which each owner is told by now.
    fn run(&self) -> (Came, Vec<String>) {
        let outcome = self.look();
        self.telling(&outcome, "run")
    }

    fn telling(&self, outcome: &Outcome, run: &str) -> (Came, Vec<String>) {
        let report = engine::report(outcome, &self.set, run.to_owned(), None);
        let seen = Seen::of(&report);
        let baseline = baseline::load(&self.store).unwrap();
        let digests: Vec<Digest> = digests(outcome, &report, &self.channels, &baseline);
        let ledger = StoreLedger::new(Arc::new(self.store.clone()));
        let wire = Wire::new(Duration::from_secs(5));
        let telling = Telling {
            channels: &self.channels,
            store: &self.store,
            ledger: &ledger,
            clock: self.clock.as_ref(),
            wire: &wire,
            deployment: "default",
            run,
            looked: outcome.sealed.survey.taken_at,
            again: self.again,
        };
        let mut told = Vec::new();
        let came = self.runtime.block_on(async {
            let mut came = telling
                .tell(&digests, &mut |notified| {
                    if !notified.marks.is_empty() {
                        told.push(format!("{} of {}", notified.to, notified.marks.len()));
                    }
                    Ok(None)
                })
                .await
                .unwrap();
            let known = ledger.load().unwrap();
            telling.settle(&digests, &known, &seen, &mut came).await.unwrap();
            came
        });
        (came, told)
    }

    /// Looks on two days, after which owners are to be told.
    fn ripen(&self) {
        for _ in 0..2 {
            let outcome = self.look();
            drop(outcome);
            self.days(1);
        }
    }

    /// How many findings have a mark.
    fn marks(&self) -> usize {
        let ledger = StoreLedger::new(Arc::new(self.store.clone())).load().unwrap();
        ledger.iter().filter(|(_, sighting)| !sighting.told.is_empty()).count()
    }
}

fn names(request: &Request) -> Vec<String> {
    let mut names: Vec<String> = request.body["new"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| item["name"].as_str().unwrap_or_default().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn an_owner_has_one_notice_and_is_not_told_again() {
    let mut story = Story::new(POLICY);
    let service = story.service();
    story.hook("hook", &service);
    for (name, owner) in [("a", "alice"), ("b", "alice"), ("c", "bob"), ("d", "")] {
        story.add(name, owner);
    }
    story.ripen();
    let (came, told) = story.run();
    assert_eq!(
        (came.told, told),
        (3, vec!["alice of 2".to_owned(), "nobody known of 1".to_owned(), "bob of 1".to_owned()])
    );
    let seen = service.seen();
    assert_eq!(seen.iter().map(names).collect::<Vec<_>>(), [vec!["a", "b"], vec!["d"], vec!["c"]]);
    assert!(came.causes.is_empty(), "{:?}", came.causes);
    let first = &seen[0];
    assert_eq!(first.body["to"], "alice");
    assert_eq!(first.body["monthly_usd"], "16");
    assert!(first.head.contains(&format!("idempotency-key: {}", first.body["id"].as_str().unwrap())), "{}", first.head);
    // It is signed, as whoever receives it computes.
    let signature = first.head.lines().find_map(|line| line.strip_prefix("sweeper-signature: ")).unwrap();
    let at = signature.strip_prefix("t=").and_then(|rest| rest.split(',').next()).unwrap().parse().unwrap();
    assert_eq!(super::webhook::signature(b"canary-secret", at, first.text.as_bytes()).unwrap(), signature);
    // Nothing new: nobody is told, and grace runs.
    story.days(1);
    let (came, told) = story.run();
    assert_eq!((came.told, told.len(), service.seen().len(), story.marks()), (0, 0, 0, 4));
    // Another one: its owner has it first, and what he knows after it.
    story.add("e", "alice");
    story.ripen();
    story.run();
    let seen = service.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((names(&seen[0]), seen[0].body["pending_count"].as_u64()), (vec!["e".to_owned()], Some(0)));
}

#[test]
fn a_webhook_that_is_down_for_three_days_loses_nothing() {
    let mut story = Story::new(POLICY);
    let service = story.service();
    story.hook("hook", &service);
    story.add("a", "alice");
    story.ripen();
    service.always(Some("503 Service Unavailable"));
    for day in 0..3 {
        for _ in 0..4 {
            let (came, told) = story.run();
            assert_eq!((came.told, told.len()), (0, 0));
            // It is said each time, and the exit code says it.
            assert!(came.causes.iter().all(|cause| cause.code == 5 && cause.cause.contains("no grace begins")));
            assert_eq!(came.causes.len(), 1, "{:?}", came.causes);
            story.hours(6);
        }
        assert_eq!(story.marks(), 0, "no grace has begun on day {day}");
        story.add(&format!("of-day-{day}"), "alice");
    }
    let tried = service.seen();
    assert!(tried.len() <= 12 * 3, "{}", tried.len());
    service.always(None);
    let (came, told) = story.run();
    assert_eq!((came.told, told), (1, vec!["alice of 3".to_owned()]));
    // One message, of everything that is due by now.
    let seen = service.seen();
    assert_eq!(seen.iter().map(names).collect::<Vec<_>>(), [["a", "of-day-0", "of-day-1"]]);
    let key = StoreLedger::new(Arc::new(story.store.clone())).load().unwrap();
    let told: Vec<Timestamp> = key.iter().flat_map(|(_, sighting)| sighting.told.iter().map(|told| told.at)).collect();
    // Grace begins with the delivery, not with the first try.
    assert!(told.iter().all(|at| story.clock.wall().since(*at) < 60), "{told:?}");
}

#[test]
fn a_service_that_asks_to_wait_is_believed() {
    let mut story = Story::new(POLICY);
    let service = story.service();
    story.hook("hook", &service);
    story.add("a", "alice");
    story.ripen();
    service.then("429 Too Many Requests", "Retry-After: 7\r\n", "slow down");
    let before = story.clock.wall();
    let (came, _) = story.run();
    assert_eq!((came.told, service.seen().len()), (1, 2));
    assert!(story.clock.wall().since(before) >= 7);

    story.add("b", "alice");
    story.ripen();
    service.then("429 Too Many Requests", "Retry-After: 36000\r\n", "come back in ten hours");
    let (came, _) = story.run();
    assert_eq!((came.told, came.causes.len(), service.seen().len()), (0, 1, 1));
    story.hours(9);
    let (came, _) = story.run();
    assert_eq!((came.told, service.seen().len()), (0, 0));
    assert!(came.waits.keys().any(|why| why.contains("after 1 try")), "{:?}", came.waits);
    story.hours(2);
    assert_eq!(story.run().0.told, 1);
}

#[test]
fn a_refusal_is_not_tried_again_at_once_and_names_no_secret() {
    let mut story = Story::new(POLICY);
    let service = story.service();
    story.hook("hook", &service);
    story.add("a", "alice");
    story.ripen();
    service.then("404 Not Found", "", "no service at /T123/canary-path with canary-secret");
    let (came, told) = story.run();
    assert_eq!((came.told, told.len(), service.seen().len(), story.marks()), (0, 0, 1, 0));
    let said = &came.causes[0].cause;
    assert!(said.contains("it answered 404: no service") && !said.contains("canary"), "{said}");
    assert!(!format!("{:?}", story.channels).contains("canary"));
    let kept = outbox::load(&story.store, "hook", "alice").unwrap();
    assert!(kept.trouble.as_ref().unwrap().refused && !format!("{kept:?}").contains("canary"));
    // It waits; whoever mended it does not.
    assert_eq!(story.run().0.told, 0);
    story.again = true;
    assert_eq!(story.run().0.told, 1);
}

#[test]
fn what_one_channel_has_delivered_is_not_sent_there_again() {
    let mut story = Story::new(&POLICY.replace("[\"hook\"]", "[\"hook\", \"other\"]"));
    let (up, down) = (story.service(), story.service());
    story.hook("hook", &up);
    story.hook("other", &down);
    story.add("a", "alice");
    story.ripen();
    down.always(Some("500 No"));
    story.run();
    story.days(1);
    story.run();
    assert_eq!((up.seen().len(), story.marks()), (1, 0));
    down.always(None);
    down.seen();
    story.days(1);
    let (_, told) = story.run();
    assert_eq!((up.seen().len(), down.seen().len(), told), (0, 1, vec!["alice of 1".to_owned()]));
    // What is told is forgotten in the outbox: when it changes it is told anew by both.
    assert!(outbox::load(&story.store, "hook", "alice").unwrap().delivered.is_empty());
}

#[test]
fn a_run_that_died_after_sending_sends_the_same_notice() {
    let mut story = Story::new(POLICY);
    let service = story.service();
    story.hook("hook", &service);
    story.add("a", "alice");
    story.ripen();
    let outcome = story.look();
    // It left, arrived, and nobody wrote so.
    let before = story.store.clone();
    let copy = MemoryStore::new();
    for key in sweeper_core::store::Store::list(&before, "").unwrap() {
        let (bytes, _) = sweeper_core::store::Store::get(&before, &key).unwrap().unwrap();
        sweeper_core::store::Store::put_if(&copy, &key, &bytes, None).unwrap();
    }
    story.telling(&outcome, "r1");
    story.store = copy;
    story.hours(1);
    let outcome = story.look();
    story.telling(&outcome, "r2");
    let ids: BTreeSet<String> = service.seen().iter().map(|seen| seen.body["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    // Two runs at once: one of them sends.
    story.add("b", "alice");
    story.ripen();
    let (one, other) = (story.look(), story.look());
    story.hours(1);
    story.telling(&one, "r3");
    let (came, _) = story.telling(&other, "r4");
    assert_eq!((service.seen().len(), came.told), (1, 0));
    assert!(came.waits.keys().any(|why| why.contains("another one told them")), "{:?}", came.waits);
}

#[test]
fn at_night_only_pages_go_out() {
    let page = POLICY
        .replace("\"disks\"", "\"paged\"")
        .replace("\"ticket\"", "\"page\"")
        .replace("size_gib > 0", "size_gib > 1");
    let mut story = Story::new(&format!("{POLICY}{page}"));
    let service = story.service();
    story.hook("hook", &service).quiet = super::quiet::Quiet::parse("08:00-12:00", jiff::tz::TimeZone::UTC);
    story.add("a", "alice");
    story.ripen();
    let (came, _) = story.run();
    let seen = service.seen();
    assert_eq!((came.told, seen.len(), seen[0].body["new"][0]["policy"].as_str()), (1, 1, Some("paged")));
    assert_eq!(story.run().0.waits.len(), 1);
    story.hours(3);
    story.run();
    assert_eq!(service.seen()[0].body["new"][0]["policy"], "disks");
}

#[test]
fn severities_go_apart_and_what_nobody_takes_starts_no_grace() {
    let mut story = Story::new(&POLICY.replace("[\"hook\"]", "[\"hook\", \"pages\"]"));
    let (tickets, pages) = (story.service(), story.service());
    story.hook("hook", &tickets).severity = BTreeSet::from([Severity::Ticket]);
    story.hook("pages", &pages).severity = BTreeSet::from([Severity::Page]);
    story.add("a", "alice");
    story.ripen();
    story.run();
    assert_eq!((tickets.seen().len(), pages.seen().len(), story.marks()), (1, 0, 1));
    story.channels.remove(0);
    story.add("b", "alice");
    story.ripen();
    story.run();
    assert_eq!((pages.seen().len(), story.marks()), (0, 1));
}

#[test]
fn backlog_pages_nobody() {
    let mut story = Story::new(&POLICY.replace("\"ticket\"", "\"page\""));
    let (tickets, pages) = (story.service(), story.service());
    story.set.policies[0].tell = vec!["hook".to_owned(), "pages".to_owned()];
    story.hook("hook", &tickets);
    story.hook("pages", &pages).severity = BTreeSet::from([Severity::Page]);
    story.add("old", "alice");
    story.ripen();
    let ledger = StoreLedger::new(Arc::new(story.store.clone())).load().unwrap();
    assert_eq!(baseline::set(&story.store, &ledger, &[], story.clock.wall(), "alice"), Ok(vec![1]));
    story.days(1);
    story.add("new", "alice");
    story.ripen();
    let (_, told) = story.run();
    assert_eq!(told, ["alice of 2"]);
    let (tickets, pages) = (tickets.seen(), pages.seen());
    assert_eq!(pages.iter().map(names).collect::<Vec<_>>(), [["new"]]);
    let new = tickets[0].body["new"].as_array().unwrap();
    let flags: Vec<(&str, bool)> =
        new.iter().map(|item| (item["name"].as_str().unwrap(), item["backlog"].as_bool().unwrap())).collect();
    assert_eq!(flags, [("new", false), ("old", true)]);
}

#[test]
fn a_day_has_so_many_notices_the_dearest_first() {
    let mut story = Story::new(POLICY);
    let service = story.service();
    story.hook("hook", &service).per_day = 2;
    for n in 0..5 {
        for own in 0..=n {
            story.add(&format!("{n}-{own}"), &format!("owner-{n}"));
        }
    }
    story.ripen();
    let whose = || service.seen().iter().map(|seen| seen.body["to"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let (came, _) = story.run();
    assert_eq!((whose(), came.waits.values().sum::<u64>()), (vec!["owner-4".to_owned(), "owner-3".to_owned()], 3));
    story.run();
    assert!(whose().is_empty());
    story.days(1);
    story.run();
    assert_eq!(whose(), ["owner-2", "owner-1"]);
}

#[test]
fn more_than_a_message_holds_waits_for_the_next() {
    let mut story = Story::new(POLICY);
    let service = story.service();
    let url = story.secret("slack", &service.url);
    story.channels.push(Channel::new("hook", By::Slack(super::slack::Slack { url })));
    for n in 0..45 {
        story.add(&format!("d{n:02}"), "alice");
    }
    story.ripen();
    let (_, told) = story.run();
    // Only of what was named does grace begin.
    assert_eq!((told, story.marks()), (vec!["alice of 38".to_owned()], 38));
    let seen = service.seen();
    assert!(seen[0].text.contains("7 more wait for the next notice"), "{}", seen[0].text);
    assert!(seen[0].body["blocks"].as_array().unwrap().len() <= 50);
    story.days(1);
    assert_eq!(story.run().1, ["alice of 7"]);
}

#[test]
fn what_is_only_reported_is_told_once_where_that_is_wanted() {
    let policy = "[[policy]]\nname = \"disks\"\nsweep = \"unattached-disk\"\nseverity = \"ticket\"\n";
    let mut story = Story::new(policy);
    let service = story.service();
    story.hook("hook", &service);
    story.add("a", "alice");
    story.run();
    assert_eq!(service.seen().len(), 0);
    story.channels[0].reports = true;
    assert_eq!(story.run().1, ["alice of 1"]);
    assert!(service.seen()[0].text.contains("nothing is done to it"));
    story.days(1);
    story.run();
    assert_eq!(service.seen().len(), 0);
}

fn alert(subject: &str, outcome: watch::Outcome, amount: i64) -> Told {
    Told {
        policy: "budget".to_owned(),
        watch: Watched::Budget,
        severity: Severity::Page,
        outcome,
        subject: subject.to_owned(),
        says: "it will be spent by the 20th".to_owned(),
        amount: Some(Amount::whole(amount)),
        currency: "USD".to_owned(),
    }
}

const BUDGET: &str =
    "[[policy]]\nname = \"budget\"\nsweep = \"budget\"\nmonthly = 100\nseverity = \"page\"\ntell = [\"pd\"]\n";

#[test]
fn an_incident_is_opened_once_and_resolved_when_it_is_over() {
    let mut story = Story::new(&format!("{BUDGET}{}", POLICY.replace("[\"hook\"]", "[\"pd\"]")));
    let service = story.service();
    let key = story.secret("key", "canary-key");
    let url = reqwest::Url::parse(&service.url).unwrap();
    story.channels.push(Channel::new("pd", By::Pagerduty(super::pagerduty::Pagerduty { url, key })));
    story.add("a", "alice");
    story.ripen();
    story.told = vec![alert("team-a", watch::Outcome::Alert, 500)];
    story.run();
    let seen = service.seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    let (budget, disks) = (&seen[0].body, &seen[1].body);
    assert_eq!((&budget["event_action"], &budget["payload"]["severity"]), (&"trigger".into(), &"critical".into()));
    assert_eq!((&budget["routing_key"], &disks["payload"]["severity"]), (&"canary-key".into(), &"warning".into()));
    assert!(budget["payload"]["summary"].as_str().unwrap().contains("budget of team-a, 500.00 USD"), "{budget}");
    // It stands: nobody is told again, until it is ten times as much.
    story.days(1);
    story.run();
    assert_eq!(service.seen().len(), 0);
    story.told = vec![alert("team-a", watch::Outcome::Alert, 5000)];
    story.run();
    let again = service.seen();
    assert_eq!((again.len(), &again[0].body["dedup_key"]), (1, &budget["dedup_key"]));
    // Nobody knows: nothing is resolved, of either.
    story.told = vec![alert("", watch::Outcome::Unknown, 0)];
    *lock(&story.disks.denied) = true;
    story.gone("a");
    story.days(1);
    let (came, _) = story.run();
    assert_eq!((service.seen().len(), came.closed), (0, 0));
    // Now it is known.
    story.told = vec![alert("", watch::Outcome::Quiet, 0)];
    *lock(&story.disks.denied) = false;
    let (came, _) = story.run();
    assert_eq!(came.closed, 2);
    let resolved: BTreeSet<String> = service
        .seen()
        .iter()
        .map(|seen| {
            assert_eq!(seen.body["event_action"], "resolve");
            seen.body["dedup_key"].to_string()
        })
        .collect();
    assert_eq!(resolved, BTreeSet::from([budget["dedup_key"].to_string(), disks["dedup_key"].to_string()]));
    assert_eq!(story.run().0.closed, 0);
    // And when it comes again, somebody is told again.
    story.told = vec![alert("team-a", watch::Outcome::Alert, 5000)];
    story.days(1);
    story.run();
    assert_eq!(service.seen()[0].body["event_action"], "trigger");
}

#[test]
fn a_service_that_never_answers_is_left_and_a_notice_can_be_stopped() {
    let story = Story::new(POLICY);
    let (address, ended) = story.runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (send, ended) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let send = send.clone();
                tokio::spawn(async move {
                    // Reads until the other side goes away, and says nothing.
                    let mut piece = [0; 4096];
                    while stream.read(&mut piece).await.is_ok_and(|read| read > 0) {}
                    let _ = send.send(());
                });
            }
        });
        (address, ended)
    });
    let mut ended = ended;
    let url = story.secret("silent", &format!("http://{address}/x"));
    let smtp = super::smtp::Smtp {
        host: "127.0.0.1".to_owned(),
        port: address.port(),
        secrecy: super::smtp::Secrecy::None,
        from: "a@example.com".parse().unwrap(),
        login: None,
        domains: vec!["example.com".to_owned()],
        ca: None,
    };
    let notice = Notice::samples().remove(0);
    for by in [By::Slack(super::slack::Slack { url }), By::Smtp(smtp)] {
        let channel = Channel::new("silent", by);
        let deliver = |timeout: Duration| {
            let (channel, notice, clock) = (channel.clone(), notice.clone(), Arc::clone(&story.clock));
            async move {
                let wire = Wire::new(timeout);
                super::deliver::deliver(&channel, &notice, &wire, clock.as_ref(), &mut BTreeMap::new()).await
            }
        };
        // Three tries, each of which ends.
        let error = story.runtime.block_on(deliver(Duration::from_millis(200))).unwrap_err();
        assert!(matches!(error, super::wire::Undelivered::Later { .. }), "{error:?}");
        for _ in 0..3 {
            story.runtime.block_on(ended.recv()).unwrap();
        }
        // Stopped, nothing is left that holds on.
        let stopped = story.runtime.block_on(async {
            tokio::time::timeout(Duration::from_millis(200), deliver(Duration::from_hours(1))).await
        });
        assert!(stopped.is_err());
        story.runtime.block_on(ended.recv()).unwrap();
    }
}

#[test]
fn every_resource_is_named_however_long_the_names_are() {
    let mut notice = Notice::samples().remove(0);
    let item = notice.new.remove(0);
    let url = reqwest::Url::parse("https://example.com/").unwrap();
    let token = Secret::File(PathBuf::from("/x"));
    let jira = super::jira::Jira {
        site: url.clone(),
        project: "OPS".to_owned(),
        issue_type: "Task".to_owned(),
        user: None,
        token: token.clone(),
        labels: Vec::new(),
    };
    let github = super::github::Github {
        api: url,
        owner: "o".to_owned(),
        name: "n".to_owned(),
        token: token.clone(),
        labels: Vec::new(),
    };
    for by in [
        By::Slack(super::slack::Slack { url: token.clone() }),
        By::Teams(super::teams::Teams { url: token }),
        By::Jira(jira),
        By::Github(github),
    ] {
        let notifier = by.notifier();
        notice.new = (0..notifier.most())
            .map(|n| super::Item {
                name: Some(format!("{n:03}-{}", "🧟&".repeat(500))),
                resource: format!("aws.ec2-volume:1/r/{n:03}-{}", "<".repeat(1000)),
                keep: "'".repeat(2000),
                evidence: vec![item.evidence[0].clone(); 20],
                ..item.clone()
            })
            .collect();
        let message = super::notifier::Message { notice: &notice, address: None, is_own: false, template: None };
        let shown = notifier.preview(&message).unwrap();
        for n in 0..notifier.most() {
            assert!(shown.contains(&format!("{n:03}-")), "{} names {n}", by.name());
        }
    }
}

#[test]
fn mail_goes_to_nobody_whom_only_a_tag_names() {
    let mut channel = Channel::new(
        "mail",
        By::Smtp(super::smtp::Smtp {
            host: "localhost".to_owned(),
            port: 25,
            secrecy: super::smtp::Secrecy::None,
            from: "a@example.com".parse().unwrap(),
            login: None,
            domains: vec!["example.com".to_owned()],
            ca: None,
        }),
    );
    channel.addresses.insert("team".to_owned(), "team@partner.example".to_owned());
    let mut notice = Notice::samples().remove(0);
    let mut shown = |to: Option<&str>, channel: &Channel| {
        notice.to = to.map(str::to_owned);
        let made = channel.by.notifier().preview(&super::notifier::Message::of(&notice, channel));
        made.map(|shown| shown.lines().find(|line| line.starts_with("To: ")).unwrap().to_owned())
    };
    assert_eq!(shown(Some("alice@example.com"), &channel).unwrap(), "To: alice@example.com");
    assert_eq!(shown(Some("team"), &channel).unwrap(), "To: team@partner.example");
    for to in ["x@evil.example", "x@example.com, y@evil.example", "x@evil.example\nBcc: y@evil.example", "@", "a@b@c"] {
        assert!(shown(Some(to), &channel).unwrap_err().why().contains("none of the domains"), "{to}");
    }
    assert!(shown(None, &channel).unwrap_err().why().contains("no address for nobody known"));
    channel.to = Some("finops@partner.example".to_owned());
    assert_eq!(shown(Some("bob"), &channel).unwrap(), "To: finops@partner.example");
}

#[test]
fn hostile_names_do_nothing_in_any_form() {
    const NAME: &str =
        "<!channel> <https://evil.example|x> `c` [a](https://evil.example) @all\n<script>\u{1b}[31m\u{202e}";
    let mut notice = Notice::samples().remove(0);
    notice.to = Some("x@example.com".to_owned());
    for item in &mut notice.new {
        item.name = Some(NAME.to_owned());
        item.resource = format!("aws.ec2-volume:1/r/{NAME}");
        item.account_name = Some(NAME.to_owned());
        item.policy = NAME.to_owned();
        item.keep = format!("sweeper keep '{NAME}'");
        item.evidence[..].iter_mut().for_each(|one| {
            one.fact = NAME.to_owned();
            one.value = NAME.to_owned();
        });
    }
    notice.text = super::words::text(&notice);
    let file = Secret::File(PathBuf::from("/x"));
    let url = reqwest::Url::parse("https://example.com/").unwrap();
    let all = [
        By::File(super::file::File { directory: PathBuf::from("x") }),
        By::Command(super::command::Command { program: vec!["x".to_owned()], env: BTreeSet::new() }),
        By::Slack(super::slack::Slack { url: file.clone() }),
        By::Teams(super::teams::Teams { url: file.clone() }),
        By::Webhook(Webhook { place: Place::Open(url.clone()), secret: Some(file.clone()), headers: BTreeMap::new() }),
        By::Pagerduty(super::pagerduty::Pagerduty { url: url.clone(), key: file.clone() }),
        By::Smtp(super::smtp::Smtp {
            host: "localhost".to_owned(),
            port: 25,
            secrecy: super::smtp::Secrecy::None,
            from: "a@example.com".parse().unwrap(),
            login: None,
            domains: Vec::new(),
            ca: None,
        }),
        By::Jira(super::jira::Jira {
            site: url.clone(),
            project: "OPS".to_owned(),
            issue_type: "Task".to_owned(),
            user: None,
            token: file.clone(),
            labels: Vec::new(),
        }),
        By::Github(super::github::Github {
            api: url,
            owner: "o".to_owned(),
            name: "n".to_owned(),
            token: file,
            labels: Vec::new(),
        }),
    ];
    assert_eq!(all.iter().map(By::name).collect::<BTreeSet<_>>(), By::NAMES.iter().copied().collect(), "each of them");
    for by in all {
        let message =
            super::notifier::Message { notice: &notice, address: Some("x@example.com"), is_own: false, template: None };
        let shown = by.notifier().preview(&message).unwrap();
        let lines: String = shown.chars().filter(|letter| *letter != '\n').collect();
        assert!(!lines.contains(sweeper_core::inert::is_hostile), "{}: {shown}", by.name());
        match by.name() {
            "slack" => {
                // Within a text of Slack's nothing opens a link or a mention.
                assert!(!shown.contains("<!channel>") && !shown.contains("<https"), "{shown}");
                assert_eq!(
                    shown.matches("\"mrkdwn\",").count(),
                    shown.matches("\"verbatim\": true").count(),
                    "{shown}"
                );
            }
            "github" => {
                let issue: Value = serde_json::from_str(&shown).unwrap();
                let body = issue["body"].as_str().unwrap();
                assert!(!body.contains("@all") && !body.contains("://") && !body.contains("<script"), "{body}");
            }
            "teams" => assert!(!shown.contains("\"TextBlock\""), "{shown}"),
            _ => {}
        }
    }
}
