//! Copies that were kept: removed at their end, and nothing else that lies beside them.

use crate::{
    cloud::snapshot_spec,
    fuse::{Blow, Fuse},
    history::with_parts,
    refusals::Stage,
};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use sweeper_core::{
    apply::{
        Ended, SWITCH, Stop,
        copies::{self, Removed},
        undo,
    },
    audit::Body,
    calls::Site,
    clock::Clock as _,
    deed::{Pen, Sent, Target},
    facts::{self, Tier},
    inventory::{Draft, Listing, Tags},
    kind::{CloudError, Fault, Kind, KindSpec},
    model::DAY,
    store::Store as _,
};

/// The snapshots of the cloud: id -> tags, and what was asked to be deleted.
#[derive(Default)]
struct Shelf {
    there: BTreeMap<String, BTreeMap<String, String>>,
    locked: BTreeSet<String>,
    /// How many calls are told to slow down.
    busy: u32,
    /// What is not deleted, and the fault.
    refused: BTreeMap<String, Fault>,
    /// What the next request to delete is not answered of, and whether it was done.
    lost: BTreeMap<String, bool>,
    /// Requests to delete.
    asked: u32,
    deleted: Vec<String>,
}

#[derive(Clone, Default)]
struct Snapshots(Arc<Mutex<Shelf>>, Fuse);

impl Snapshots {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Kind for Snapshots {
    fn spec(&self) -> &'static KindSpec {
        snapshot_spec()
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let (there, locked) = site
            .read("sim:List", || async {
                let shelf = self.shelf();
                Ok((shelf.there.clone(), shelf.locked.clone()))
            })
            .await?;
        for (id, tags) in &there {
            let facts = facts::Snapshot {
                size_gib: 8,
                stored_bytes: None,
                tier: Tier::Standard,
                source: out.sym(""),
                source_is_dummy: false,
                complete: true,
                locked: false,
            };
            let tags = tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            out.push(Draft {
                uid: id,
                tags: Tags::Read(tags),
                protected: if locked.contains(id) { "snapshot lock" } else { "" },
                ..Draft::new(id, facts)
            });
        }
        Ok(())
    }

    async fn observe(&self, site: &Site, _: &Target, out: &mut Listing) -> Result<(), CloudError> {
        self.enumerate(site, out).await
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let id = pen.target().native_id.clone();
        pen.send("sim:Delete", async {
            self.shelf().asked += 1;
            if let Some(fault) = self.shelf().refused.get(&id) {
                return Err(CloudError::new(*fault, "sim:Delete", "not this one"));
            }
            let lost = self.shelf().lost.remove(&id);
            if let Some(done) = lost {
                if done {
                    self.shelf().there.remove(&id);
                }
                return Err(CloudError::new(Fault::Transient, "sim:Delete", "no answer"));
            }
            if self.shelf().busy > 0 {
                self.shelf().busy -= 1;
                return Err(CloudError::new(Fault::Throttled, "sim:Delete", "slow down"));
            }
            let arrived = self.1.arrival(|| {
                let mut shelf = self.shelf();
                shelf.deleted.push(id.clone());
                shelf.there.remove(&id).is_some()
            });
            match arrived {
                Some(true) => Ok(Sent { request: "req-1".to_owned(), handle: String::new() }),
                Some(false) => Err(CloudError::new(Fault::NotFound, "sim:Delete", "no such snapshot")),
                None => Err(CloudError::new(Fault::Unreachable, "sim:Delete", "the machine is down")),
            }
        })
        .await
    }
}

/// A deployment that deleted six disks and kept a copy of each, and one snapshot that is none of its own.
fn kept() -> (Stage, Snapshots) {
    let mut stage = Stage::usual();
    let note = stage.note(|_| {});
    stage.apply(&[note]);
    let snapshots = Snapshots::default();
    for entry in undo::list(&stage.house.store).unwrap() {
        let marks = [("sweeper-plan", entry.plan[..32].to_owned()), ("sweeper-item", entry.no.to_string())];
        let marks = marks.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        snapshots.shelf().there.insert(entry.kept.unwrap().native_id, marks);
    }
    snapshots.shelf().there.insert("owners".to_owned(), BTreeMap::new());
    (stage, snapshots)
}

impl Stage {
    fn remove(&mut self, snapshots: &Snapshots, fuse: Fuse) -> Option<Removed> {
        let holder = self.house.holder();
        let kind: Arc<dyn Kind> = Arc::new(Snapshots(Arc::clone(&snapshots.0), fuse.clone()));
        let work = with_parts(&self.house, holder, fuse, None, async |mut parts| {
            parts.kinds.insert(kind.spec().id, kind);
            copies::remove(parts).await
        });
        self.house.clock.run(work)
    }

    fn removed(&mut self, snapshots: &Snapshots) -> Removed {
        let fuse = Fuse::new(None, &self.house.clock);
        self.remove(snapshots, fuse).unwrap()
    }

    /// Days after now, at the same hour.
    fn pass(&self, days: u64) {
        self.house.clock.until(self.house.clock.mono() + Duration::from_secs(days * DAY as u64));
    }
}

#[test]
fn a_copy_is_removed_at_its_end_and_not_before() {
    let (mut stage, snapshots) = kept();
    stage.pass(29);
    assert_eq!(stage.removed(&snapshots), Removed::default());
    stage.pass(2);
    let removed = stage.removed(&snapshots);
    assert_eq!((removed.stopped, removed.ended.len()), (None, 6));
    assert!(removed.ended.iter().all(|(.., ended)| matches!(ended, Ended::Done { .. })), "{:?}", removed.ended);
    let left: Vec<String> = snapshots.shelf().there.keys().cloned().collect();
    assert_eq!(left, ["owners"]);
    // Once, and nothing can be taken back any more.
    assert_eq!(stage.removed(&snapshots), Removed::default());
    assert_eq!(snapshots.shelf().deleted.len(), 6);
    let now = stage.house.clock.wall();
    assert!(undo::list(&stage.house.store).unwrap().iter().all(|entry| entry.reverse(now).is_err()));
}

#[test]
fn what_does_not_carry_its_marks_or_is_protected_stays() {
    let (mut stage, snapshots) = kept();
    stage.pass(31);
    let ids: Vec<String> =
        undo::list(&stage.house.store).unwrap().into_iter().map(|entry| entry.kept.unwrap().native_id).collect();
    {
        let mut shelf = snapshots.shelf();
        // Another's marks, none, a tag of its owner, a lock, and one that is gone.
        shelf.there.get_mut(&ids[0]).unwrap().insert("sweeper-item".to_owned(), "99".to_owned());
        shelf.there.insert(ids[1].clone(), BTreeMap::new());
        shelf.there.get_mut(&ids[2]).unwrap().insert("sweeper-protect".to_owned(), "yes".to_owned());
        shelf.locked.insert(ids[3].clone());
        shelf.there.remove(&ids[4]);
    }
    let removed = stage.removed(&snapshots);
    let said: BTreeMap<&str, String> =
        removed.ended.iter().map(|(_, copy, ended)| (copy.as_str(), format!("{ended:?}"))).collect();
    for (id, says) in ids.iter().zip(["marks", "marks", "sweeper-protect", "snapshot lock", "AlreadyGone", "Done"]) {
        assert!(said[id.as_str()].contains(says), "{id}: {says} is not in {said:?}");
    }
    assert_eq!(snapshots.shelf().deleted, [ids[5].clone()]);
    let skipped = stage.log().into_iter().filter_map(|(_, body)| match body {
        Body::Skip(skip) if skip.action == "remove-copy" => Some(skip.resource.native_id),
        _ => None,
    });
    assert_eq!(skipped.collect::<BTreeSet<_>>(), ids[..4].iter().cloned().collect());
}

#[test]
fn an_answer_that_is_lost_is_looked_for() {
    for done in [true, false] {
        let (mut stage, snapshots) = kept();
        stage.pass(31);
        let id = snapshots.shelf().there.keys().next().unwrap().clone();
        snapshots.shelf().lost.insert(id.clone(), done);
        let removed = stage.removed(&snapshots);
        let ended = removed.ended.iter().find(|(_, copy, _)| *copy == id).map(|(.., ended)| ended.name());
        assert_eq!(
            (removed.stopped.as_ref(), ended),
            (None, Some(if done { "done" } else { "unknown" })),
            "{removed:?}"
        );
        // The next run sees that it is there, and sends it again.
        stage.house.clock.until(stage.house.clock.mono() + Duration::from_hours(2));
        assert_eq!(stage.removed(&snapshots).ended.len(), usize::from(!done));
        assert_eq!(snapshots.shelf().there.len(), 1);
    }
}

#[test]
fn switch_trust_and_caps_hold_copies_as_they_hold_all_else() {
    let (mut stage, snapshots) = kept();
    stage.pass(31);
    stage.house.store.put_if(SWITCH, b"audit week", None).unwrap();
    let stopped = stage.removed(&snapshots).stopped;
    assert!(matches!(&stopped, Some(Stop::Refused(why)) if why.contains("audit week")), "{stopped:?}");
    let (mut stage, other) = kept();
    stage.pass(31);
    stage.house.trust.may_apply = false;
    assert!(matches!(stage.removed(&other).stopped, Some(Stop::Refused(_))));
    stage.house.trust.may_apply = true;
    stage.house.caps.count = 2;
    let removed = stage.removed(&other);
    assert_eq!(removed.capped.len(), 1, "{removed:?}");
    assert_eq!((snapshots.shelf().deleted.len(), other.shelf().deleted.len()), (0, 2));
}

#[test]
fn what_the_cloud_had_no_time_for_is_left_to_a_later_run() {
    let (mut stage, snapshots) = kept();
    stage.pass(31);
    snapshots.shelf().busy = 1;
    let removed = stage.removed(&snapshots);
    let left =
        removed.ended.iter().filter(|(.., ended)| matches!(ended, Ended::Left(why) if why.contains("throttled")));
    assert_eq!((left.count(), removed.causes()), (1, Vec::new()), "{:?}", removed.ended);
    stage.house.clock.until(stage.house.clock.mono() + Duration::from_hours(2));
    let removed = stage.removed(&snapshots);
    assert!(matches!(removed.ended.as_slice(), [(.., Ended::Done { .. })]), "{:?}", removed.ended);
    assert_eq!(snapshots.shelf().there.len(), 1);
}

#[test]
fn what_was_refused_is_asked_again_a_day_later() {
    for fault in [Fault::Denied, Fault::Refused] {
        let (mut stage, snapshots) = kept();
        stage.pass(31);
        let id = snapshots.shelf().there.keys().next().unwrap().clone();
        snapshots.shelf().refused.insert(id.clone(), fault);
        let refused = |removed: &Removed| {
            removed.stopped.is_none()
                && removed.ended.iter().any(|(_, copy, ended)| {
                    *copy == id && matches!(ended, Ended::Failed(why) if why.contains("not this one"))
                })
        };
        let removed = stage.removed(&snapshots);
        assert!(refused(&removed) && removed.causes().len() == 1, "{removed:?}");
        assert_eq!((removed.ended.len(), snapshots.shelf().deleted.len()), (6, 5));
        // On the same day nobody is asked again, and it is told; from then on once a day, however often it fails.
        for day in 1..6 {
            let asked = snapshots.shelf().asked;
            stage.house.clock.until(stage.house.clock.mono() + Duration::from_hours(2));
            let removed = stage.removed(&snapshots);
            assert!(refused(&removed), "{day}: {removed:?}");
            assert_eq!(snapshots.shelf().asked, asked, "{day}");
            stage.pass(1);
            let removed = stage.removed(&snapshots);
            assert!(refused(&removed), "{day}: {removed:?}");
            assert_eq!(snapshots.shelf().asked, asked + 1, "{day}");
        }
        stage.pass(1);
        snapshots.shelf().refused.clear();
        let removed = stage.removed(&snapshots);
        assert!(matches!(removed.ended.as_slice(), [(.., Ended::Done { .. })]), "{:?}", removed.ended);
        assert_eq!(snapshots.shelf().there.keys().collect::<Vec<_>>(), ["owners"]);
    }
}

#[test]
fn wherever_it_dies_the_next_run_ends_it() {
    for after in [false, true] {
        for step in 1.. {
            let (mut stage, snapshots) = kept();
            stage.pass(31);
            let blow = if after { Blow::KillAfter(step) } else { Blow::KillBefore(step) };
            let fuse = Fuse::new(Some(blow), &stage.house.clock);
            let whole = stage.remove(&snapshots, fuse).is_some();
            // The dead run's lock and last request have their time.
            stage.house.clock.until(stage.house.clock.mono() + Duration::from_hours(2));
            let removed = stage.removed(&snapshots);
            assert_eq!(removed.stopped, None, "{after} {step}");
            let shelf = snapshots.shelf();
            assert_eq!(shelf.there.keys().collect::<Vec<_>>(), ["owners"], "{after} {step}: {removed:?}");
            let once: BTreeSet<&String> = shelf.deleted.iter().collect();
            assert_eq!(once.len(), shelf.deleted.len(), "{after} {step}: {:?}", shelf.deleted);
            if whole {
                break;
            }
        }
    }
}
