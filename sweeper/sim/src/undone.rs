//! Deeds that are taken back: a machine that was stopped, and one that lies in the cloud's bin.

use crate::{cloud::spec, fuse::Fuse, history::with_parts, refusals::Stage};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use sweeper_core::{
    apply::{
        Ended, Stop,
        undo::{self, Entry},
    },
    audit::Body,
    calls::Site,
    clock::Clock as _,
    deed::{ActSpec, Deed, DeedKind, Kept, Pen, Permit, Progress, Reversal, Sent, Target, Write},
    facts::{Vm, VmState},
    inventory::{Draft, Listing, Tags},
    kind::{CloudError, Fault, Kind, KindSpec},
    model::{Class, CloudId, Timestamp},
    money::{Amount, Basis},
    observe::Fields,
    plan::Risk,
    report::MonthlyCost,
};

const START: Write = Write { permission: "sim:Start", method: "POST", action: "Start" };
const RESTORE: Write = Write { permission: "sim:Restore", method: "POST", action: "Restore" };

const fn act(deed: DeedKind, writes: &'static [Write]) -> ActSpec {
    ActSpec { deed, writes, reads: &[], reversal: Reversal::Undo("again"), keeps: &[], takes: &[] }
}

static SERVER: KindSpec = KindSpec {
    acts: &[act(DeedKind::Start, &[START]), act(DeedKind::Restore, &[RESTORE])],
    ..spec("aws.sim-server", Class::Vm, "server")
};

/// What there is of the one server, and what was asked.
struct Rack {
    /// Null when it is not there.
    state: Option<VmState>,
    asked: u32,
    /// What answers the next request, which is done all the same if it is `true`.
    error: Option<(Fault, bool)>,
    unreadable: bool,
}

#[derive(Clone)]
struct Servers(Arc<Mutex<Rack>>);

impl Servers {
    fn new(state: Option<VmState>) -> Self {
        Self(Arc::new(Mutex::new(Rack { state, asked: 0, error: None, unreadable: false })))
    }

    fn seen(&self) -> (Option<VmState>, u32) {
        let rack = self.rack();
        (rack.state, rack.asked)
    }

    fn rack(&self) -> MutexGuard<'_, Rack> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Kind for Servers {
    fn spec(&self) -> &'static KindSpec {
        &SERVER
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let state = site
            .read("sim:List", || async {
                let rack = self.rack();
                if rack.unreadable {
                    return Err(CloudError::new(Fault::Denied, "sim:List", "no"));
                }
                Ok(rack.state)
            })
            .await?;
        if let Some(state) = state {
            let (vm_type, image) = (out.sym("t3.micro"), out.sym(""));
            let vm = Vm { state, vm_type, image, in_state_since: None, spot: false, still_billed: false };
            out.push(Draft { tags: Tags::Read(Vec::new()), ..Draft::new("srv-1", vm) });
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let op = if *pen.permit().deed() == Deed::Start { "sim:Start" } else { "sim:Restore" };
        pen.send(op, async {
            let mut rack = self.rack();
            rack.asked += 1;
            let error = rack.error.take();
            if error.is_none_or(|(_, done)| done) {
                rack.state = Some(VmState::Running);
            }
            match error {
                Some((fault, _)) => Err(CloudError::new(fault, op, "no answer")),
                None => Ok(Sent { request: "req-1".to_owned(), handle: String::new() }),
            }
        })
        .await
    }

    async fn progress(&self, _: &Site, permit: &Permit, _: &Sent) -> Result<Progress, CloudError> {
        let made =
            Kept { kind: SERVER.id.to_owned(), native_id: "srv-2".to_owned(), until: None, recipe: BTreeMap::new() };
        Ok(match (permit.deed(), self.rack().state) {
            (_, None) => Progress::Running,
            (Deed::Restore { .. }, Some(_)) => Progress::Done(Some(made)),
            // Accepted is not running.
            (_, Some(_)) => Progress::Done(None),
        })
    }
}

fn entry(deed: Deed, risk: Risk) -> Entry {
    Entry {
        format: "sweeper.undo/1".to_owned(),
        id: "0123456789ab-1".to_owned(),
        plan: "0123456789ab".repeat(4),
        no: 1,
        policy: "servers".to_owned(),
        target: Target {
            kind: SERVER.id.to_owned(),
            cloud: CloudId::Aws,
            account: "111111111111".to_owned(),
            region: "us-east-1".to_owned(),
            listed_in: "us-east-1".to_owned(),
            native_id: "srv-1".to_owned(),
            uid: "srv-1".to_owned(),
            name: String::new(),
            created: None,
        },
        deed,
        was: Fields::new(),
        risk,
        reversal: "again".to_owned(),
        owner: None,
        monthly_cost: MonthlyCost { amount: Some(Amount::whole(5)), currency: "USD".to_owned(), basis: Basis::List },
        kept: None,
        copy: None,
        approved_by: vec!["alice".to_owned()],
        removed: None,
        until: None,
        at: Timestamp(0),
        undone: None,
    }
}

fn stopped() -> Entry {
    entry(Deed::Stop, Risk::Reversible)
}

fn binned() -> Entry {
    entry(Deed::Delete, Risk::Bin)
}

/// Takes a deed back; with what the log says came of it.
fn undone(stage: &mut Stage, servers: &Servers, entry: &Entry) -> Result<Ended, Stop> {
    let holder = stage.house.holder();
    let kind: Arc<dyn Kind> = Arc::new(servers.clone());
    let fuse = Fuse::new(None, &stage.house.clock);
    let work = with_parts(&stage.house, holder, fuse, None, async |parts| {
        let watch = Duration::from_mins(1);
        let (store, trail, calls) = (parts.store, parts.trail, parts.calls);
        undo::undo(entry, undo::Parts { store, trail, calls, kind, holder: parts.holder, lease: parts.lease, watch })
            .await
    });
    stage.house.clock.run(work).unwrap()
}

fn made(stage: &Stage) -> Vec<(String, Option<String>)> {
    let outcomes = stage.log().into_iter().filter_map(|(_, body)| match body {
        Body::Outcome(outcome) => Some((outcome.action, outcome.kept)),
        _ => None,
    });
    outcomes.collect()
}

#[test]
fn what_was_stopped_is_started_once() {
    let (mut stage, servers) = (Stage::one_disk(|_| {}), Servers::new(Some(VmState::Stopped)));
    let ended = undone(&mut stage, &servers, &stopped()).unwrap();
    assert_eq!(ended, Ended::Done { request: "req-1".to_owned(), kept: None });
    assert_eq!(servers.seen(), (Some(VmState::Running), 1));
    let kept = undo::list(&stage.house.store).unwrap();
    assert_eq!(kept[0].undone.map(|at| at <= stage.house.clock.wall()), Some(true));
    let again = undone(&mut stage, &servers, &kept[0]);
    assert!(matches!(&again, Err(Stop::Refused(why)) if why.contains("it was undone")), "{again:?}");
    assert_eq!(made(&stage), [("undo-start".to_owned(), None)]);
}

#[test]
fn what_is_gone_is_not_started_and_what_is_there_is_not_made_again() {
    let mut stage = Stage::one_disk(|_| {});
    let gone = Servers::new(None);
    assert_eq!(undone(&mut stage, &gone, &stopped()), Ok(Ended::AlreadyGone));
    let there = Servers::new(Some(VmState::Running));
    let ended = undone(&mut stage, &there, &binned()).unwrap();
    assert!(matches!(&ended, Ended::Skipped(why) if why.contains("it is there")), "{ended:?}");
    let hidden = Servers::new(Some(VmState::Stopped));
    hidden.rack().unreadable = true;
    let ended = undone(&mut stage, &hidden, &stopped()).unwrap();
    assert!(matches!(&ended, Ended::Left(why) if why.contains("unread")), "{ended:?}");
    for servers in [gone, there, hidden] {
        assert_eq!(servers.rack().asked, 0);
    }
    assert_eq!(undo::list(&stage.house.store).unwrap(), []);
}

#[test]
fn what_lies_in_the_bin_is_made_again_and_the_log_says_as_what() {
    let (mut stage, servers) = (Stage::one_disk(|_| {}), Servers::new(None));
    let ended = undone(&mut stage, &servers, &binned()).unwrap();
    assert!(matches!(&ended, Ended::Done { kept: Some(kept), .. } if kept.native_id == "srv-2"), "{ended:?}");
    assert_eq!(made(&stage), [("undo-restore".to_owned(), Some("srv-2".to_owned()))]);
    // What cannot be had back is not asked for.
    let lost = undone(&mut stage, &servers, &entry(Deed::Delete, Risk::OneWay));
    assert!(matches!(&lost, Err(Stop::Refused(why)) if why.contains("cannot be taken back")), "{lost:?}");
    assert_eq!(servers.rack().asked, 1);
}

#[test]
fn an_answer_that_is_lost_is_looked_for() {
    let mut stage = Stage::one_disk(|_| {});
    for (fault, done, ends) in
        [(Fault::Transient, true, "done"), (Fault::Transient, false, "unknown"), (Fault::Refused, false, "failed")]
    {
        let servers = Servers::new(Some(VmState::Stopped));
        servers.rack().error = Some((fault, done));
        let ended = undone(&mut stage, &servers, &stopped()).unwrap();
        assert_eq!((ended.name(), servers.rack().asked), (ends, 1), "{ended:?}");
    }
}
