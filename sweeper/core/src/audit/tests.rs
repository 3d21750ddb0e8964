use super::*;
use crate::{
    audit::{
        event::VERSION,
        merkle::{Frontier, leaf},
    },
    model::{CloudId, Timestamp},
    money::{Amount, Cost},
    note::Signer,
    store::{MemoryStore, Store as _},
};
use std::sync::Arc;

pub(super) const DEPLOYMENT: &str = "5f0c5f2e-6d0b-4c1e-9f43-0d6a4d3d6a11";
/// 2026-11-20T12:00:00Z.
pub(super) const START: Millis = Millis(1_795_176_000_000);
pub(super) const PLAN: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

pub(super) fn origin() -> Origin {
    Origin::new(DEPLOYMENT, "main")
}

pub(super) fn signer() -> Signer {
    Signer::generate("sweeper.example/audit", &[3; 32]).unwrap()
}

pub(super) fn keys() -> Vec<TrustedKey> {
    vec![TrustedKey::new(signer().verifier().clone())]
}

pub(super) fn later(seconds: i64) -> Millis {
    Millis(START.0 + seconds * 1000)
}

pub(super) fn volume(number: u32) -> Identity {
    Identity {
        kind: "aws.ec2-volume".to_owned(),
        cloud: CloudId::Aws,
        account: "111111111111".to_owned(),
        region: "eu-west-1".to_owned(),
        native_id: format!("vol-{number:017x}"),
        uid: format!("vol-{number:017x}"),
        name: Some(format!("data \"{number}\" \u{202e}<b>")),
        created: Some(Timestamp(1_760_000_000 + i64::from(number))),
    }
}

pub(super) fn intent(number: u32) -> Intent {
    Intent {
        action: "delete".to_owned(),
        resource: volume(number),
        fingerprint: Some("sha256:00ff".to_owned()),
        cascade: vec!["snap-1".to_owned()],
        approved_by: vec!["alice@example.com".to_owned(), "bob@example.com".to_owned()],
        monthly_cost: Some(Cost::list(Amount::parse("8.05").unwrap())),
        token: Some("token-1".to_owned()),
    }
}

pub(super) fn sent() -> Sent {
    Sent { action: "delete".to_owned(), attempt: 1, token: None }
}

pub(super) fn outcome(number: u32, result: OutcomeResult) -> Outcome {
    Outcome {
        action: "delete".to_owned(),
        resource: volume(number),
        result,
        request_id: Some("4f0e-11".to_owned()),
        approved_by: vec!["alice@example.com".to_owned()],
        monthly_cost: Some(Cost::list(Amount::parse("8.05").unwrap())),
        kept: Some("snap-0123".to_owned()),
    }
}

/// Every type of event, and every variant within.
pub(super) fn samples() -> Vec<Event> {
    let text = |text: &str| text.to_owned();
    let cost = || Some(Cost::list(Amount::parse("12.5").unwrap()));
    let day = Some(Timestamp(1_800_000_000));
    let results = [
        OutcomeResult::Confirmed,
        OutcomeResult::AlreadyGone,
        OutcomeResult::Failed { error: text("VolumeInUse: it is attached") },
        OutcomeResult::Unknown { reason: text("no answer") },
        OutcomeResult::Skipped { field: Some(text("state")), reason: text("it is attached again") },
    ];
    let mut events: Vec<Event> = vec![
        Event::new(Config { tool: text("0.1.0"), digest: text("sha256:1"), policies: Some(text("sha256:2")) }),
        Event::new(Lock { change: LockChange::Taken, holder: text("host-1/41") }),
        Event::new(Scan { survey: text("sha256:3"), resources: 12_000, complete: 170, blind: 1 }),
        Event::new(Mark {
            resource: volume(1),
            policy: text("unattached-disks"),
            action: text("delete"),
            eligible: day,
            monthly_cost: cost(),
        }),
        Event::new(Unmark { resource: volume(1), policy: text("unattached-disks"), reason: text("attached") }),
        Event::new(Notice {
            channel: text("slack"),
            to: text("#finops"),
            delivered: true,
            receipt: Some(text("200")),
            resources: 3,
            digest: Some(text("sha256:4")),
        }),
        Event::new(Approve {
            digest: text(PLAN),
            by: vec![text("alice@example.com")],
            standing: Some(text("unattached-disks")),
            count: Some(50),
            monthly_cost: cost(),
            until: day,
            note: text("sha256:5"),
        })
        .of_plan(PLAN),
        Event::new(UseApproval {
            note: text("sha256:5"),
            by: vec![text("alice@example.com")],
            count: 3,
            left: Some(47),
        })
        .of_plan(PLAN),
        Event::new(Trust {
            change: text("key added"),
            key: Some(signer().verifier().to_string()),
            by: Some(text("root")),
        }),
        Event::new(Keep { resource: volume(2), copy: volume(3), verified: true, until: day, monthly_cost: cost() })
            .of_item(PLAN, 2),
        Event::new(Undo { resource: volume(2), of: 17, by: text("alice@example.com"), copy: Some(volume(3)) }),
        Event::new(Skip {
            action: text("delete"),
            resource: volume(4),
            field: Some(text("tags")),
            reason: text("protected"),
        })
        .of_item(PLAN, 4),
        Event::new(Halt { reason: text("unexpected error class"), left: Some(7) }).of_plan(PLAN),
        Event::new(CapStop { cap: text("count"), limit: text("50"), would_be: text("51") }).of_plan(PLAN),
        Event::new(Heartbeat {}),
        Event::new(Floor {
            scope: text("aws:111111111111"),
            kind: text("aws.ec2-instance"),
            old: Some(100),
            new: Some(40),
            by: text("alice"),
        }),
        Event::new(Ledger { change: text("restart"), entries: 12, by: text("alice@host") }),
        Event::new(Environment {
            lease: text("pr-1234"),
            change: text("granted"),
            owner: text("a@example.com"),
            selector: vec![text("env=pr-1234"), text("sweeper-lease=pr-1234")],
            until: day,
            by: text("a@example.com"),
        }),
        Event::new(Except {
            resource: text("aws.ec2-volume:*/vol-0abc*"),
            reason: text("forensics, ticket 4711"),
            until: text("2027-01-31"),
            file: text("policies/keep.toml"),
            by: text("alice@host"),
        }),
        Event::new(Recovered::TornLine { bytes: 17, sha256: text("00") }),
        Event::new(Recovered::UnsignedTail { from: 3, to: 5 }),
        Event::new(Recovered::Item { action: text("delete"), resource: volume(5), seen: text("gone") })
            .of_item(PLAN, 5),
        Event::new(Lock { change: LockChange::Released, holder: text("host-1/41") }),
        Event::new(Lock { change: LockChange::Broken, holder: text("host-1/41") }),
        Event::new(Lock { change: LockChange::Lost, holder: text("host-1/41") }),
    ];
    for (number, result) in (100..).zip(results) {
        events.push(Event::new(intent(number)).of_item(PLAN, number));
        events.push(Event::new(sent()).of_item(PLAN, number));
        events.push(Event::new(outcome(number, result)).of_item(PLAN, number));
    }
    events
}

pub(super) fn config() -> TrailConfig {
    TrailConfig {
        origin: origin(),
        run: "run-1".to_owned(),
        epoch: 4,
        signer: signer(),
        earlier: Vec::new(),
        every: 16,
    }
}

pub(super) fn open(log: &MemoryLog, store: &MemoryStore) -> Result<(Trail, Opened), LogError> {
    Trail::open(Arc::new(log.clone()), Arc::new(store.clone()), config(), later(1000))
}

fn judge(log: &MemoryLog) -> Verdict {
    verify(log, Verify { origin: &origin(), keys: &keys(), known: &[], max_silence: None }).unwrap()
}

fn kinds(verdict: &Verdict) -> Vec<Kind> {
    verdict.problems.iter().map(|damage| damage.kind).collect()
}

/// Chains and signs whatever it is given, as nobody who writes through a trail could.
pub(super) struct Forge {
    pub(super) log: MemoryLog,
    pub(super) tree: Frontier,
    last: merkle::Hash,
    seq: u64,
}

/// An event as a run records it.
pub(super) fn as_recorded(seq: u64, prev: merkle::Hash, ts: Millis, event: Event) -> AuditEvent {
    AuditEvent {
        v: VERSION,
        seq,
        prev,
        ts,
        deployment: DEPLOYMENT.to_owned(),
        epoch: 4,
        run: "run-1".to_owned(),
        plan: event.plan,
        item: event.item,
        body: event.body,
    }
}

impl Forge {
    pub(super) fn new() -> Self {
        let forge = Self { log: MemoryLog::new(), tree: Frontier::default(), last: GENESIS, seq: 0 };
        forge.sign(&signer());
        forge
    }

    pub(super) fn event(&mut self, at: Millis, event: Event, change: impl FnOnce(&mut AuditEvent)) {
        let mut event = as_recorded(self.seq, self.last, at, event);
        change(&mut event);
        let line = event.line().unwrap();
        self.line(line, event.seq);
    }

    /// An event as a text that no type of ours can write.
    fn raw(&mut self, change: impl FnOnce(String) -> String, event: Event) {
        let event = as_recorded(self.seq, self.last, START, event);
        let line = change(String::from_utf8(event.line().unwrap()).unwrap()).into_bytes();
        self.line(line, event.seq);
    }

    fn line(&mut self, line: Vec<u8>, seq: u64) {
        self.log.append(self.tree.size(), std::slice::from_ref(&line)).unwrap();
        self.last = line_hash(&line);
        self.tree.push(leaf(&line));
        self.seq = seq + 1;
    }

    pub(super) fn sign(&self, signer: &Signer) {
        let head = Checkpoint { origin: origin().to_string(), size: self.tree.size(), root: self.tree.root() };
        self.log.put_checkpoint(head.size, head.sign(signer).unwrap().as_bytes()).unwrap();
    }
}

#[test]
fn events_are_read_as_they_were_written() {
    let mut seen = std::collections::BTreeSet::new();
    for (seq, event) in samples().into_iter().enumerate() {
        seen.insert(event.body.name());
        let event = AuditEvent {
            v: VERSION,
            seq: seq as u64,
            prev: [0xab; 32],
            ts: Millis(START.0 + 7),
            deployment: DEPLOYMENT.to_owned(),
            epoch: 1,
            run: "r".to_owned(),
            plan: event.plan,
            item: event.item,
            body: event.body,
        };
        let line = event.line().unwrap();
        assert_eq!(AuditEvent::parse(&line).unwrap(), event);
        let text = String::from_utf8(line).unwrap();
        assert!(!text.contains(['\n', '\u{202e}', '<']), "{text}");
        let start =
            format!("{{\"v\":1,\"seq\":{seq},\"prev\":\"{}\",\"ts\":\"2026-11-20T12:00:00.007Z\"", "ab".repeat(32));
        assert!(text.starts_with(&start), "{text}");
        assert!(text.contains(&format!("\"type\":\"{}\"", event.body.name())), "{text}");
    }
    assert_eq!(seen.len(), Body::NAMES.len());
    assert!(AuditEvent::parse(b"{\"v\":2}").is_err());
}

#[test]
fn a_line_is_bounded_and_what_names_the_resource_is_whole() {
    let event = |body: Body| AuditEvent {
        v: VERSION,
        seq: 0,
        prev: GENESIS,
        ts: START,
        deployment: DEPLOYMENT.to_owned(),
        epoch: 1,
        run: "r".to_owned(),
        plan: Some(PLAN.to_owned()),
        item: Some(1),
        body,
    };
    let mut long = outcome(1, OutcomeResult::Failed { error: "\u{1b}é".repeat(40_000) });
    long.approved_by = vec!["a\u{200b}".repeat(300); 500];
    long.resource.name = Some("\u{7}".repeat(3000));
    let line = event(long.clone().into()).line().unwrap();
    assert!(line.len() < MAX_LINE, "{}", line.len());
    let Body::Outcome(read) = AuditEvent::parse(&line).unwrap().body else { panic!("another type") };
    assert_eq!(read.resource, long.resource);
    let OutcomeResult::Failed { error } = read.result else { panic!("another result") };
    assert!(error.starts_with("\u{1b}é") && error.contains(" more bytes]"), "{error}");
    assert!(read.approved_by.last().is_some_and(|last| last.starts_with("[cut: ")));

    long.resource.native_id = "x".repeat(MAX_LINE);
    assert_eq!(event(long.into()).line(), Err(EventError::TooLong));
    for name in ["", "a b", "a\nb", "a\"b", "ü", &"x".repeat(201)] {
        let odd = AuditEvent { run: name.to_owned(), ..event(Heartbeat {}.into()) };
        assert!(matches!(odd.line(), Err(EventError::NotPlain(_))), "{name:?}");
    }
}

#[test]
fn times_are_read_to_the_letter() {
    assert_eq!(START.to_string(), "2026-11-20T12:00:00.000Z");
    assert_eq!(Millis::parse("2026-11-20T12:00:00.007Z"), Some(Millis(START.0 + 7)));
    for text in [
        "2026-11-20T12:00:00Z",
        "2026-11-20 12:00:00.007Z",
        "2026-11-20T12:00:00.0070Z",
        "2026-11-20T12:00:00+00:00",
        "x",
        "",
    ] {
        assert_eq!(Millis::parse(text), None, "{text}");
    }
}

#[test]
fn what_is_recorded_verifies() {
    let (log, store) = (MemoryLog::new(), MemoryStore::new());
    let (trail, opened) = open(&log, &store).unwrap();
    assert_eq!(opened, Opened { size: 0, unsigned: 0, torn: false });
    let verdict = judge(&log);
    assert!(verdict.is_sound() && verdict.events == 0, "{verdict:?}");
    for (number, event) in (0..).zip(samples()) {
        assert_eq!(trail.record(later(number as i64), event).unwrap(), number);
    }
    let size = samples().len() as u64;
    let verdict = judge(&log);
    // Every sixteenth event was signed over; the rest waits for the end of the run.
    assert_eq!((verdict.events, verdict.signed, verdict.is_sound()), (size, size / 16 * 16, true));
    assert_eq!(kinds(&verdict), [Kind::CheckpointOlder]);
    let head = trail.flush().unwrap();
    let verdict = judge(&log);
    assert_eq!((verdict.signed, verdict.root, &verdict.problems[..]), (size, Some(head.root), &[][..]));
    assert_eq!(verdict.cannot_rule_out.len(), 1, "{:?}", verdict.cannot_rule_out);
    assert!(verdict.cannot_rule_out[0].contains(&format!("truncation after event {}", size - 1)));

    let open_ones: Vec<_> = verdict.open.iter().map(|intent| (intent.item, intent.action.as_str())).collect();
    // The fifth was taken up by a later run, which did not come to its end.
    assert_eq!(open_ones, [(Some(5), "delete"), (Some(103), "delete")]);
    let known = [head];
    let verdict = verify(&log, Verify { origin: &origin(), keys: &keys(), known: &known, max_silence: None }).unwrap();
    assert_eq!(verdict.cannot_rule_out, Vec::<String>::new());
    // Another run goes on.
    drop(trail);
    let (trail, opened) = open(&log, &store).unwrap();
    assert_eq!(opened, Opened { size, unsigned: 0, torn: false });
    trail.record(later(1000), Event::new(Heartbeat {})).unwrap();
    trail.flush().unwrap();
    assert!(judge(&log).problems.is_empty());
}

#[test]
fn a_log_goes_on_where_a_run_was_killed() {
    let (log, store) = (MemoryLog::new(), MemoryStore::new());
    let (trail, _) = open(&log, &store).unwrap();
    for number in 0..20 {
        trail.record(later(number), Event::new(intent(number as u32)).of_item(PLAN, number as u32)).unwrap();
    }
    drop(trail);
    log.with(|contents| contents.segments.get_mut(&0).unwrap().extend_from_slice(b"{\"v\":1,\"se"));
    let verdict = judge(&log);
    assert_eq!(kinds(&verdict), [Kind::CheckpointOlder, Kind::TornLine]);
    assert!(verdict.is_sound());
    let (trail, opened) = open(&MemoryLog::of(log.with(|contents| contents.clone())), &store).unwrap();
    assert_eq!(opened, Opened { size: 20, unsigned: 4, torn: true });
    assert_eq!(trail.checkpoint().size, 22);
}

#[test]
fn a_torn_line_is_cut_and_the_cut_recorded() {
    let (log, store) = (MemoryLog::new(), MemoryStore::new());
    let (trail, _) = open(&log, &store).unwrap();
    trail.record(START, Event::new(Heartbeat {})).unwrap();
    trail.flush().unwrap();
    drop(trail);
    log.with(|contents| contents.segments.get_mut(&0).unwrap().extend_from_slice(b"{\"v\":1}"));
    let (trail, _) = open(&log, &store).unwrap();
    drop(trail);
    let verdict = judge(&log);
    assert_eq!((verdict.events, &verdict.problems[..]), (2, &[][..]));
    let lines = log.with(|contents| contents.segments[&0].clone());
    let last = lines.split(|byte| *byte == b'\n').nth(1).unwrap();
    let sha256 = crate::survey_file::hexadecimal(&line_hash(b"{\"v\":1}"));
    assert_eq!(AuditEvent::parse(last).unwrap().body, Recovered::TornLine { bytes: 7, sha256 }.into());
}

/// A log of 40 events, and the state that remembers it.
fn recorded() -> (MemoryLog, MemoryStore) {
    let (log, store) = (MemoryLog::new(), MemoryStore::new());
    log.with(|contents| contents.stride = 16);
    let (trail, _) = open(&log, &store).unwrap();
    for number in 0..40 {
        trail.record(later(number), Event::new(Heartbeat {})).unwrap();
    }
    trail.flush().unwrap();
    (log, store)
}

#[test]
fn a_log_that_was_put_back_is_not_written_to() {
    let (log, store) = (MemoryLog::new(), MemoryStore::new());
    let (trail, _) = open(&log, &store).unwrap();
    trail.record(START, Event::new(Heartbeat {})).unwrap();
    trail.flush().unwrap();
    let old = log.with(|contents| contents.clone());
    trail.record(START, Event::new(Heartbeat {})).unwrap();
    trail.flush().unwrap();
    drop(trail);
    let back = MemoryLog::of(old.clone());
    assert_eq!(open(&back, &store).err(), Some(LogError::Rollback { expected: 2, found: 1 }));
    assert_eq!(back.with(|contents| contents.clone()), MemoryLog::of(old).with(|contents| contents.clone()));
    // Nor is a new one begun in its place.
    assert!(matches!(open(&MemoryLog::new(), &store), Err(LogError::Damaged(_))));
    // A state that was lost is no obstacle: everything is read.
    assert_eq!(open(&log, &MemoryStore::new()).unwrap().1.size, 2);
}

#[test]
fn a_damaged_end_is_not_written_to() {
    let (log, store) = recorded();
    let whole = log.with(|contents| contents.clone());
    // What is not read again, the segments before the last one, is for `verify`.
    let last = whole.segments[&32].len();
    for at in 0..last {
        let mut contents = whole.clone();
        contents.segments.get_mut(&32).unwrap()[at] ^= 1 << (at % 8);
        let spoilt = MemoryLog::of(contents.clone());
        let error = open(&spoilt, &store).err();
        assert!(
            matches!(error, Some(LogError::Damaged(_) | LogError::Rollback { .. } | LogError::Fenced { .. })),
            "{at}: {error:?}"
        );
        spoilt.with(|after| assert!(after.segments == contents.segments, "{at}"));
        contents.segments.get_mut(&32).unwrap().truncate(at);
        assert!(open(&MemoryLog::of(contents), &store).is_err(), "cut at {at}");
    }
    for at in 0..whole.latest.as_ref().unwrap().len() {
        let mut contents = whole.clone();
        contents.latest.as_mut().unwrap()[at] ^= 1;
        assert!(open(&MemoryLog::of(contents), &store).is_err(), "checkpoint at {at}");
    }
    let head = store.get(HEAD_KEY).unwrap().unwrap();
    for at in 0..head.0.len() {
        let mut bytes = head.0.clone();
        bytes[at] ^= 1;
        let state = MemoryStore::new();
        state.put_if(HEAD_KEY, &bytes, None).unwrap();
        assert!(
            open(&MemoryLog::of(whole.clone()), &state).is_err(),
            "head at {at}: {}",
            String::from_utf8_lossy(&bytes)
        );
    }
}

#[test]
fn after_a_failure_nothing_more_is_recorded() {
    let (log, store) = (MemoryLog::new(), MemoryStore::new());
    let (trail, _) = open(&log, &store).unwrap();
    trail.record(START, Event::new(Heartbeat {})).unwrap();
    log.with(|contents| contents.writable = false);
    assert!(matches!(trail.record(START, Event::new(Heartbeat {})), Err(LogError::Unwritable(_))));
    log.with(|contents| contents.writable = true);
    assert_eq!(trail.record(START, Event::new(Heartbeat {})), Err(LogError::Stopped));
    assert_eq!(trail.flush(), Err(LogError::Stopped));
    // An event that cannot be written is refused before anything is, and stops nobody.
    let (trail, _) = open(&log, &store).unwrap();
    let odd = Event::new(Heartbeat {}).of_plan("a b");
    assert!(matches!(trail.record(START, odd), Err(LogError::Event(_))));
    trail.record(START, Event::new(Heartbeat {})).unwrap();
}

#[test]
fn of_two_writers_one_is_stopped() {
    let (log, store) = (MemoryLog::new(), MemoryStore::new());
    let (one, _) = open(&log, &store).unwrap();
    let (other, _) = open(&log, &store).unwrap();
    one.record(START, Event::new(Heartbeat {})).unwrap();
    assert_eq!(other.record(START, Event::new(Heartbeat {})), Err(LogError::Taken(0)));
    one.flush().unwrap();
    assert!(judge(&log).problems.is_empty());
    // A run whose lease is older than the log's last event.
    let older = TrailConfig { epoch: 3, ..config() };
    let error = Trail::open(Arc::new(log.clone()), Arc::new(store.clone()), older, START).err();
    assert_eq!(error, Some(LogError::Fenced { ours: 3, theirs: 4 }));
}

#[test]
fn a_checkpoint_of_an_earlier_key_is_believed_where_it_is_named() {
    let (log, store) = recorded();
    let next = Signer::generate("sweeper.example/audit", &[4; 32]).unwrap();
    let config = TrailConfig { signer: next.clone(), ..config() };
    let reopen = |config| Trail::open(Arc::new(log.clone()), Arc::new(store.clone()), config, later(50));
    assert!(matches!(reopen(config.clone()), Err(LogError::Damaged(_))));
    let (trail, _) = reopen(TrailConfig { earlier: vec![signer().verifier().clone()], ..config }).unwrap();
    trail.record(later(50), Event::new(Heartbeat {})).unwrap();
    trail.flush().unwrap();
    assert_eq!(kinds(&judge(&log)), [Kind::UnknownKey, Kind::CheckpointOlder, Kind::UnknownKey]);
    let key = |signer: &Signer, from, until, revoked| TrustedKey {
        verifier: signer.verifier().clone(),
        from,
        until,
        revoked,
    };
    let with = |keys: &[TrustedKey]| {
        kinds(&verify(&log, Verify { origin: &origin(), keys, known: &[], max_silence: None }).unwrap())
    };
    let (old, changed) = (signer(), Some(later(45)));
    assert_eq!(with(&[key(&old, None, changed, None), key(&next, changed, None, None)]), []);
    // The new one before its time, the old one after its end or since it was revoked.
    assert_eq!(with(&[key(&old, None, changed, None), key(&next, Some(later(60)), None, None)]), [Kind::KeyPeriod; 2]);
    assert_eq!(with(&[key(&old, None, Some(later(20)), None), key(&next, None, None, None)]), [Kind::KeyPeriod; 2]);
    assert_eq!(with(&[key(&old, None, None, Some(later(39))), key(&next, None, None, None)]), [Kind::RevokedKey]);
}

#[test]
fn what_events_say_is_judged_too() {
    let judge = |work: &dyn Fn(&mut Forge)| {
        let mut forge = Forge::new();
        work(&mut forge);
        forge.sign(&signer());
        let asked = Verify { origin: &origin(), keys: &keys(), known: &[], max_silence: Some(3_600_000) };
        let verdict = verify(&forge.log, asked).unwrap();
        verdict.problems.iter().map(|damage| (damage.kind, damage.seq)).collect::<Vec<_>>()
    };
    let beat = || Event::new(Heartbeat {});
    let same = |_: &mut AuditEvent| {};
    let item = |body: Body| Event::new(body).of_item(PLAN, 1);
    assert_eq!(
        judge(&|forge| {
            forge.event(later(60), beat(), same);
            forge.event(START, beat(), same);
        }),
        []
    );
    assert_eq!(
        judge(&|forge| {
            forge.event(later(61), beat(), same);
            forge.event(START, beat(), same);
            forge.event(later(61), beat(), same);
        }),
        [(Kind::TimeBack, 1)]
    );
    assert_eq!(
        judge(&|forge| {
            forge.event(START, beat(), same);
            forge.event(later(3601), beat(), same);
        }),
        [(Kind::HeartbeatGap, 1)]
    );
    assert_eq!(
        judge(&|forge| {
            forge.event(START, beat(), |event| event.epoch = 5);
            forge.event(START, beat(), |event| event.epoch = 4);
        }),
        [(Kind::EpochBack, 1)]
    );
    assert_eq!(
        judge(&|forge| {
            forge.event(START, beat(), same);
            forge.event(START, beat(), |event| event.seq = 7);
            forge.event(START, beat(), same);
            forge.event(START, beat(), same);
        }),
        [(Kind::SequenceGap, 1)]
    );
    let (confirmed, failed) = (OutcomeResult::Confirmed, OutcomeResult::Failed { error: "no".to_owned() });
    let unknown = OutcomeResult::Unknown { reason: "no answer".to_owned() };
    let trail =
        |bodies: &[Body]| judge(&|forge| bodies.iter().for_each(|body| forge.event(START, item(body.clone()), same)));
    let (begin, send) = (Body::from(intent(1)), Body::from(sent()));
    let end = |result: &OutcomeResult| Body::from(outcome(1, result.clone()));
    // A failure may be tried again; what nobody knows is first resolved; what is done is done.
    assert_eq!(
        trail(&[
            begin.clone(),
            send.clone(),
            end(&failed),
            begin.clone(),
            send.clone(),
            end(&unknown),
            end(&confirmed)
        ]),
        []
    );
    assert_eq!(trail(&[begin.clone(), begin.clone()]), [(Kind::DuplicateIntent, 1)]);
    assert_eq!(trail(&[begin.clone(), end(&unknown), begin.clone()]), [(Kind::DuplicateIntent, 2)]);
    assert_eq!(trail(&[begin.clone(), end(&confirmed), begin.clone()]), [(Kind::DuplicateIntent, 2)]);
    assert_eq!(trail(std::slice::from_ref(&send)), [(Kind::OutcomeWithoutIntent, 0)]);
    assert_eq!(trail(&[end(&confirmed)]), [(Kind::OutcomeWithoutIntent, 0)]);
    assert_eq!(trail(&[begin.clone(), end(&failed), end(&confirmed)]), [(Kind::OutcomeWithoutIntent, 2)]);
    // Another plan is another thing.
    assert_eq!(
        judge(&|forge| {
            forge.event(START, item(begin.clone()), same);
            forge.event(START, Event::new(begin.clone()).of_item("other", 1), same);
            forge.event(START, Event::new(begin.clone()).of_item(PLAN, 2), same);
        }),
        []
    );
}

#[test]
fn a_type_of_a_later_release_is_no_damage() {
    // Whoever writes it knows more; chain and tree hold all the same, and what it means is said not to be known.
    let mut forge = Forge::new();
    let beat = || Event::new(Heartbeat {});
    forge.event(START, beat(), |_| ());
    forge.raw(|line| line.replacen("\"heartbeat\"", "\"tomorrow\",\"weather\":\"fair\"", 1), beat());
    forge.sign(&signer());
    forge.event(later(1), beat(), |_| ());
    forge.sign(&signer());
    let verdict = judge(&forge.log);
    assert!(verdict.is_sound(), "{verdict:?}");
    assert_eq!((verdict.events, verdict.signed), (3, 3));
    assert!(verdict.cannot_rule_out.iter().any(|doubt| doubt.contains("type \"tomorrow\"")), "{verdict:?}");
    // Of a later format nothing is known at all.
    let mut forge = Forge::new();
    forge.raw(|line| line.replacen("\"v\":1", "\"v\":2", 1), beat());
    forge.sign(&signer());
    assert_eq!(kinds(&judge(&forge.log)), [Kind::Newer]);
}

/// `SWEEPER_BLESS=1 cargo test -p sweeper-core schema` writes it.
#[test]
fn the_schema_in_the_repository_is_that_of_the_types() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/audit/audit.schema.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::env::var_os("SWEEPER_BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), text, "SWEEPER_BLESS=1 cargo test -p sweeper-core schema");
}

#[test]
fn the_schema_knows_every_field_that_is_written() {
    let schema = schema();
    for event in samples() {
        let name = event.body.name();
        let own = &schema["$defs"][name];
        let value = serde_json::to_value(&event.body).unwrap();
        let fields: Vec<&String> = value.as_object().unwrap().keys().filter(|key| *key != "type").collect();
        for field in &fields {
            assert!(!own["properties"][field.as_str()].is_null(), "{name}: {field} is not described: {own}");
        }
        for required in own["required"].as_array().unwrap() {
            assert!(fields.iter().any(|field| *required == field.as_str()), "{name}: {required} is not there: {value}");
        }
    }
}
