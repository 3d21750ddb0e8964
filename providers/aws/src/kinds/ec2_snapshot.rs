//! EBS snapshots.

use crate::{
    acts::{self, EC2_TAG, EC2_UNTAG, post},
    asks,
    auth::Aws,
    fault,
    kinds::{at, ec2_tags},
    marks,
    pen::{self, send, sent, unknown},
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{
    CreateVolumePermission, LockState, PermissionGroup, SnapshotAttributeName, SnapshotState, StorageTier,
};
use std::{collections::BTreeSet, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::{Pages, Site},
    deed::{ActSpec, Deed, DeedKind, Kept, Pen, Permit, Progress, Reversal, Sent, Target},
    facts::{FactsRef, Snapshot, Tier},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places, Prices, deleted},
    model::{Class, CloudId},
    money::Cost,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ec2-snapshot",
    cloud: CloudId::Aws,
    class: Class::Snapshot,
    title: "EBS snapshot",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[SHARES, LOCKS],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[EC2_TAG, EC2_UNTAG, ACT_DELETE, ACT_RESTORE],
};

const ACT_DELETE: ActSpec = acts::delete(
    &[post(DELETE, "DeleteSnapshot")],
    Reversal::FromBin("it is restored from the Recycle Bin, where a retention rule covers it"),
);

const ACT_RESTORE: ActSpec = ActSpec {
    deed: DeedKind::Restore,
    writes: &[post(RESTORE, "RestoreSnapshotFromRecycleBin")],
    reads: &[],
    reversal: Reversal::Undo("it is deleted again"),
    keeps: &[],
    takes: &[],
};

const DELETE: &str = "ec2:DeleteSnapshot";
const RESTORE: &str = "ec2:RestoreSnapshotFromRecycleBin";
pub(super) const LIST: &str = "ec2:DescribeSnapshots";
const SHARES: &str = "ec2:DescribeSnapshotAttribute";
const LOCKS: &str = "ec2:DescribeLockedSnapshots";

/// The volume id of copies and of other snapshots whose source EC2 does not tell.
const DUMMY: &str = "vol-ffffffff";

pub(super) struct Ec2Snapshot(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for Ec2Snapshot {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                ec2.describe_snapshots().owner_ids("self").max_results(1000).set_next_token(token.clone()).send()
            })
            .await?;
            for snapshot in page.snapshots() {
                // Whatever the service makes of "self": only what this account owns is ours to judge.
                if snapshot.owner_id() == Some(site.scope().account.as_str()) {
                    push(snapshot, out);
                }
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let (locks, shares): (Vec<Ask>, Vec<Ask>) =
            asks.iter().partition(|ask| matches!(ask.question, Question::Locked));
        let shares: Vec<Ask> = shares.into_iter().filter(|ask| matches!(ask.question, Question::Shares)).collect();
        let mut answers =
            asks::alike(shares.iter().map(|ask| (*ask, self.shares(site, inventory, *ask))).collect()).await;
        if !locks.is_empty() {
            let locked = self.locked(site).await;
            answers.extend(locks.into_iter().map(|ask| {
                let answer = match &locked {
                    Ok(locked) => Answer::Truth(locked.contains(inventory.at(ask.resource).native_id())),
                    Err(error) => Answer::Unseen(error.cause()),
                };
                (ask, answer)
            }));
        }
        Ok(answers)
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        match resource.facts() {
            FactsRef::Snapshot(snapshot) => month(snapshot, resource.region(), prices),
            _ => Cost::unknown(),
        }
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        if let Some(snapshot) = find(&self.0, site, &target.native_id).await? {
            push(&snapshot, out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let id = &pen.target().native_id;
        let own = [pen::ownerless(pen.target(), &format!("snapshot/{id}"))];
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => acts::ec2_tag(&self.0.writer(&SPEC, pen, &own).await?, pen).await,
            Deed::Delete => {
                let ec2 = self.0.writer(&SPEC, pen, &own).await?.ec2();
                Ok(sent(&send(pen, DELETE, ec2.delete_snapshot().snapshot_id(id).send()).await?, ""))
            }
            Deed::Restore { .. } => {
                let ec2 = self.0.writer(&SPEC, pen, &own).await?.ec2();
                let change = ec2.restore_snapshot_from_recycle_bin().snapshot_id(id).send();
                Ok(sent(&send(pen, RESTORE, change).await?, id))
            }
            _ => Err(unknown(pen)),
        }
    }

    async fn progress(&self, site: &Site, permit: &Permit, _: &Sent) -> Result<Progress, CloudError> {
        match permit.deed() {
            Deed::Delete => deleted(self, site, permit.target()).await,
            // What comes out of the bin is the same snapshot.
            Deed::Restore { kept } => {
                let there = find(&self.0, site, &permit.target().native_id).await?;
                let native_id = permit.target().native_id.clone();
                Ok(there.map_or(Progress::Running, |_| {
                    Progress::Done(Some(Kept { kind: SPEC.id.to_owned(), native_id, ..kept.clone() }))
                }))
            }
            _ => Ok(Progress::Done(None)),
        }
    }
}

/// A snapshot of the site's account by its id.
pub(super) async fn find(aws: &Aws, site: &Site, id: &str) -> Result<Option<aws_sdk_ec2::types::Snapshot>, CloudError> {
    let ec2 = aws.ec2(site.scope());
    let page = fault::maybe(site, LIST, || ec2.describe_snapshots().snapshot_ids(id).send()).await?;
    let own = |snapshot: &&aws_sdk_ec2::types::Snapshot| {
        snapshot.snapshot_id() == Some(id) && snapshot.owner_id() == Some(site.scope().account.as_str())
    };
    acts::found(LIST, page, |page| page.snapshots().iter().find(own).cloned())
}

fn month(snapshot: &Snapshot, region: &str, prices: &dyn Prices) -> Cost {
    let of = |key| prices.unit(CloudId::Aws, region, key).map(|gb| gb.times(i64::from(snapshot.size_gib)));
    match snapshot.tier {
        // Billed are the blocks that no earlier snapshot has: no more than the whole disk.
        Tier::Standard => of("ebs.snapshot.gb-month").map_or_else(Cost::unknown, Cost::upper_bound),
        // Archived is a full copy.
        Tier::Archive => of("ebs.snapshot-archive.gb-month").map_or_else(Cost::unknown, Cost::list),
    }
}

impl Ec2Snapshot {
    async fn shares(&self, site: &Site, inventory: &Inventory, ask: Ask) -> Result<Answer, CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let id = inventory.at(ask.resource).native_id();
        let attribute = fault::call(site, SHARES, || {
            ec2.describe_snapshot_attribute()
                .snapshot_id(id)
                .attribute(SnapshotAttributeName::CreateVolumePermission)
                .send()
        })
        .await?;
        Ok(Answer::Shares(accounts(attribute.create_volume_permissions())))
    }

    /// Every snapshot under a lock that holds now. One listing answers for all.
    async fn locked(&self, site: &Site) -> Result<BTreeSet<String>, CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let mut locked = BTreeSet::new();
        let mut pages = Pages::new(LOCKS);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LOCKS, || {
                ec2.describe_locked_snapshots().max_results(1000).set_next_token(token.clone()).send()
            })
            .await?;
            for lock in page.snapshots() {
                if lock.lock_state() != Some(&LockState::Expired) {
                    locked.extend(lock.snapshot_id().map(str::to_owned));
                }
            }
            pages.seen(page.next_token())?;
        }
        Ok(locked)
    }
}

/// Account ids, or `all`.
fn accounts(permissions: &[CreateVolumePermission]) -> Vec<String> {
    permissions
        .iter()
        .flat_map(|permission| [permission.group().map(PermissionGroup::as_str), permission.user_id()])
        .flatten()
        .map(str::to_owned)
        .collect()
}

fn push(snapshot: &aws_sdk_ec2::types::Snapshot, out: &mut Listing) {
    let tags = ec2_tags(snapshot.tags());
    let managed_by = marks::managed_by(&tags);
    let source = snapshot.volume_id().unwrap_or_default();
    let facts = Snapshot {
        size_gib: snapshot.volume_size().unwrap_or(0).unsigned_abs(),
        tier: match snapshot.storage_tier() {
            Some(StorageTier::Archive) => Tier::Archive,
            _ => Tier::Standard,
        },
        source: out.sym(source),
        stored_bytes: None,
        source_is_dummy: source == DUMMY,
        complete: snapshot.state() == Some(&SnapshotState::Completed),
        locked: false,
    };
    out.push(Draft {
        created: at(snapshot.start_time()),
        name: marks::name(&tags),
        managed_by: &managed_by,
        tags: Tags::Read(tags),
        ..Draft::new(snapshot.snapshot_id().unwrap_or_default(), facts)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_an_account_or_everybody() {
        let permissions = [
            CreateVolumePermission::builder().user_id("222222222222").build(),
            CreateVolumePermission::builder().group(PermissionGroup::All).build(),
        ];
        assert_eq!(accounts(&permissions), ["222222222222", "all"]);
        assert_eq!(accounts(&[]), [""; 0]);
    }

    #[test]
    fn increments_are_bounded_and_archives_are_not() {
        use crate::kinds::tests::Book;
        use sweeper_core::{intern::Sym, money::Amount};
        let of = |tier| Snapshot {
            size_gib: 100,
            tier,
            source: Sym::NONE,
            stored_bytes: None,
            source_is_dummy: false,
            complete: true,
            locked: false,
        };
        let book = Book(&[("ebs.snapshot.gb-month", "0.05")]);
        assert_eq!(month(&of(Tier::Standard), "us-east-1", &book), Cost::upper_bound(Amount::whole(5)));
        assert_eq!(month(&of(Tier::Archive), "us-east-1", &book), Cost::unknown());
    }
}
