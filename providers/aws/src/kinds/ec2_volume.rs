//! EBS volumes.

use crate::{
    acts::{self, EC2_TAG, EC2_UNTAG, post},
    auth::Aws,
    fault,
    kinds::{at, ec2_snapshot, ec2_tags},
    marks,
    pen::{self, send, sent, unknown},
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{
    Filter, ResourceType, Snapshot, SnapshotState, Tag, TagSpecification, Volume, VolumeState, VolumeType,
};
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{
    calls::{Pages, Site},
    deed::{ActSpec, Deed, DeedKind, Kept, Pen, Permit, Progress, Reversal, Sent, Target},
    facts::{Disk, DiskState, FactsRef},
    inventory::{Draft, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices, deleted},
    model::{Class, CloudId},
    money::{Amount, Cost},
    policy::Keep,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ec2-volume",
    cloud: CloudId::Aws,
    class: Class::Disk,
    title: "EBS volume",
    places: Places::Regions,
    reads: &["ec2:DescribeVolumes"],
    asks: &[],
    // A volume restored from a snapshot does not need the snapshot any more: no relation.
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[EC2_TAG, EC2_UNTAG, ACT_COPY, ACT_DELETE, ACT_RESTORE],
};

const LIST: &str = "ec2:DescribeVolumes";
const COPY: &str = "ec2:CreateSnapshot";
const DELETE: &str = "ec2:DeleteVolume";
const CREATE: &str = "ec2:CreateVolume";

const ACT_COPY: ActSpec = ActSpec {
    deed: DeedKind::Copy,
    writes: &[
        post(COPY, "CreateSnapshot"),
        // Needed besides, by the same request: the snapshot carries tags.
        post("ec2:CreateTags", "CreateSnapshot"),
    ],
    reads: &[ec2_snapshot::LIST],
    reversal: Reversal::Undo("the snapshot is deleted"),
    keeps: &[],
    takes: &[],
};

const ACT_DELETE: ActSpec = ActSpec {
    keeps: &[Keep::Snapshot],
    takes: &[],
    ..acts::delete(
        &[post(DELETE, "DeleteVolume")],
        Reversal::FromCopy(
            "a volume of the same zone, type, speed and tags is made from the snapshot, under another id",
        ),
    )
};

const ACT_RESTORE: ActSpec = ActSpec {
    deed: DeedKind::Restore,
    writes: &[
        post(CREATE, "CreateVolume"),
        // Needed besides, by the same request.
        post("ec2:CreateTags", "CreateVolume"),
    ],
    reads: &[],
    reversal: Reversal::Undo("the volume is deleted"),
    keeps: &[],
    takes: &[],
};

/// What a volume's recipe calls its parts; tags are `tag:<key>`.
mod part {
    pub(super) const ZONE: &str = "zone";
    pub(super) const TYPE: &str = "type";
    pub(super) const SIZE: &str = "size_gib";
    pub(super) const IOPS: &str = "iops";
    pub(super) const THROUGHPUT: &str = "throughput";
    pub(super) const ENCRYPTED: &str = "encrypted";
    pub(super) const KEY: &str = "kms_key";
    pub(super) const MULTI_ATTACH: &str = "multi_attach";
}

pub(super) struct Ec2Volume(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for Ec2Volume {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                ec2.describe_volumes()
                    .include_managed_resources(true)
                    .max_results(1000)
                    .set_next_token(token.clone())
                    .send()
            })
            .await?;
            for volume in page.volumes() {
                push(volume, out);
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        month(resource, prices)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        if let Some(volume) = self.find(site, &target.native_id).await? {
            push(&volume, out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let target = pen.target();
        let own = pen::arn(target, "ec2", &format!("volume/{}", target.native_id));
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => {
                acts::ec2_tag(&self.0.writer(&SPEC, pen, &[own]).await?, pen).await
            }
            Deed::Copy { keep: Keep::Snapshot, tags } => self.copy(pen, own, tags).await,
            Deed::Delete => {
                let ec2 = self.0.writer(&SPEC, pen, &[own]).await?.ec2();
                let answer = send(pen, DELETE, ec2.delete_volume().volume_id(&target.native_id).send()).await?;
                Ok(sent(&answer, ""))
            }
            Deed::Restore { kept } => self.restore(pen, kept).await,
            _ => Err(unknown(pen)),
        }
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        match permit.deed() {
            Deed::Copy { tags, .. } => self.copied(site, permit.target(), tags, sent).await,
            Deed::Restore { kept } => self.restored(site, kept, sent).await,
            Deed::Delete => deleted(self, site, permit.target()).await,
            _ => Ok(Progress::Done(None)),
        }
    }
}

impl Ec2Volume {
    async fn find(&self, site: &Site, id: &str) -> Result<Option<Volume>, CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let page =
            fault::maybe(site, LIST, || ec2.describe_volumes().include_managed_resources(true).volume_ids(id).send())
                .await?;
        acts::found(LIST, page, |page| page.volumes().iter().find(|volume| volume.volume_id() == Some(id)).cloned())
    }

    /// Takes a snapshot, unless one with these tags is there: an earlier try whose answer was lost. The call takes no
    /// token.
    async fn copy(&self, pen: &Pen<'_>, own: String, tags: &BTreeMap<String, String>) -> Result<Sent, CloudError> {
        let target = pen.target();
        if let Some(made) = self.made(pen.site(), target, tags).await? {
            return Ok(Sent { request: String::new(), handle: made.snapshot_id().unwrap_or_default().to_owned() });
        }
        let on = [own, pen::ownerless(target, "snapshot/*")];
        let ec2 = self.0.writer(&SPEC, pen, &on).await?.ec2();
        let change = ec2
            .create_snapshot()
            .volume_id(&target.native_id)
            .description(format!("Kept by sweeper before {} was deleted", target.native_id))
            .tag_specifications(tagged(ResourceType::Snapshot, tags))
            .send();
        let answer = send(pen, COPY, change).await?;
        Ok(sent(&answer, answer.snapshot_id().unwrap_or_default()))
    }

    /// The snapshot of a volume with such tags.
    async fn made(
        &self,
        site: &Site,
        target: &Target,
        tags: &BTreeMap<String, String>,
    ) -> Result<Option<Snapshot>, CloudError> {
        if tags.is_empty() {
            return Err(CloudError::new(Fault::Refused, ec2_snapshot::LIST, "a copy is known by its tags alone"));
        }
        let ec2 = self.0.ec2(site.scope());
        let mut filters = vec![Filter::builder().name("volume-id").values(&target.native_id).build()];
        filters
            .extend(tags.iter().map(|(key, value)| Filter::builder().name(format!("tag:{key}")).values(value).build()));
        let mut pages = Pages::new(ec2_snapshot::LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, ec2_snapshot::LIST, || {
                ec2.describe_snapshots()
                    .owner_ids("self")
                    .set_filters(Some(filters.clone()))
                    .max_results(1000)
                    .set_next_token(token.clone())
                    .send()
            })
            .await?;
            if let Some(snapshot) = page.snapshots().first() {
                return Ok(Some(snapshot.clone()));
            }
            pages.seen(page.next_token())?;
        }
        Ok(None)
    }

    /// A copy is one when it is complete, not empty, of this very volume, and was read back.
    async fn copied(
        &self,
        site: &Site,
        target: &Target,
        tags: &BTreeMap<String, String>,
        sent: &Sent,
    ) -> Result<Progress, CloudError> {
        let snapshot = if sent.handle.is_empty() {
            self.made(site, target, tags).await?
        } else {
            ec2_snapshot::find(&self.0, site, &sent.handle).await?
        };
        // One that was only just made may not be told of yet.
        let Some(snapshot) = snapshot else { return Ok(Progress::Running) };
        let id = snapshot.snapshot_id().unwrap_or_default();
        let failed = |why: String| Ok(Progress::Failed(why));
        match snapshot.state() {
            Some(SnapshotState::Completed) => {}
            Some(SnapshotState::Pending) => return Ok(Progress::Running),
            other => {
                let state = other.map_or("in no state", SnapshotState::as_str);
                return failed(format!("the snapshot {id} is {state}"));
            }
        }
        if snapshot.volume_id() != Some(&target.native_id) {
            return failed(format!("the snapshot {id} is of another volume"));
        }
        if snapshot.volume_size().unwrap_or(0) <= 0 {
            return failed(format!("the snapshot {id} is empty"));
        }
        let Some(volume) = self.find(site, &target.native_id).await? else {
            return failed("the volume is gone".to_owned());
        };
        Ok(Progress::Done(Some(Kept {
            kind: ec2_snapshot::SPEC.id.to_owned(),
            native_id: id.to_owned(),
            until: None,
            recipe: recipe(&volume),
        })))
    }

    /// Makes the volume again, in its zone.
    async fn restore(&self, pen: &Pen<'_>, kept: &Kept) -> Result<Sent, CloudError> {
        let target = pen.target();
        let refused = |why: &str| CloudError::new(Fault::Refused, CREATE, why);
        if kept.kind != ec2_snapshot::SPEC.id {
            return Err(refused("what was kept of it is no snapshot"));
        }
        let text = |key: &str| kept.recipe.get(key).map(String::as_str);
        let number = |key: &str| text(key).map(str::parse).transpose().map_err(|_| refused("its recipe is not whole"));
        let (Some(zone), Some(tier)) = (text(part::ZONE), text(part::TYPE)) else {
            return Err(refused("its recipe is not whole"));
        };
        // Which types take these, and others refuse (EC2 API reference, CreateVolume).
        let iops = number(part::IOPS)?.filter(|_| matches!(tier, "gp3" | "io1" | "io2"));
        let throughput = number(part::THROUGHPUT)?.filter(|_| tier == "gp3");
        let on = [pen::arn(target, "ec2", "volume/*"), pen::ownerless(target, &format!("snapshot/{}", kept.native_id))];
        let ec2 = self.0.writer(&SPEC, pen, &on).await?.ec2();
        let own = kept.recipe.iter().filter_map(|(key, value)| Some((key.strip_prefix("tag:")?, value)));
        // Nobody else may set these.
        let tags: BTreeMap<String, String> = own
            .filter(|(key, _)| !key.starts_with("aws:"))
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .collect();
        let change = ec2
            .create_volume()
            .client_token(pen.permit().token())
            .snapshot_id(&kept.native_id)
            .availability_zone(zone)
            .volume_type(VolumeType::from(tier))
            .set_size(number(part::SIZE)?)
            .set_iops(iops)
            .set_throughput(throughput)
            .set_encrypted((text(part::ENCRYPTED) == Some("true")).then_some(true))
            .set_kms_key_id(text(part::KEY).map(str::to_owned))
            .set_multi_attach_enabled((text(part::MULTI_ATTACH) == Some("true")).then_some(true))
            .set_tag_specifications((!tags.is_empty()).then(|| vec![tagged(ResourceType::Volume, &tags)]))
            .send();
        let answer = send(pen, CREATE, change).await?;
        Ok(sent(&answer, answer.volume_id().unwrap_or_default()))
    }

    /// The snapshot was taken for this: a volume that is made of it is the one.
    async fn restored(&self, site: &Site, kept: &Kept, sent: &Sent) -> Result<Progress, CloudError> {
        let volume = if sent.handle.is_empty() {
            let ec2 = self.0.ec2(site.scope());
            let of = Filter::builder().name("snapshot-id").values(&kept.native_id).build();
            let page =
                fault::call(site, LIST, || ec2.describe_volumes().filters(of.clone()).max_results(1000).send()).await?;
            page.volumes().first().cloned()
        } else {
            self.find(site, &sent.handle).await?
        };
        let Some(volume) = volume else { return Ok(Progress::Running) };
        let id = volume.volume_id().unwrap_or_default();
        Ok(match volume.state() {
            Some(VolumeState::Available | VolumeState::InUse) => {
                Progress::Done(Some(Kept { kind: SPEC.id.to_owned(), native_id: id.to_owned(), ..kept.clone() }))
            }
            Some(VolumeState::Creating) | None => Progress::Running,
            Some(state) => Progress::Failed(format!("the volume {id} is {}", state.as_str())),
        })
    }
}

/// What it takes to make the volume again and is not in its snapshot.
fn recipe(volume: &Volume) -> BTreeMap<String, String> {
    let tags = ec2_tags(volume.tags());
    let of = |value: Option<i32>| value.map(|value| value.to_string());
    let parts = [
        (part::ZONE, volume.availability_zone().map(str::to_owned)),
        (part::TYPE, volume.volume_type().map(|tier| tier.as_str().to_owned())),
        (part::SIZE, of(volume.size())),
        (part::IOPS, of(volume.iops())),
        (part::THROUGHPUT, of(volume.throughput())),
        (part::ENCRYPTED, volume.encrypted().map(|is| is.to_string())),
        (part::KEY, volume.kms_key_id().map(str::to_owned)),
        (part::MULTI_ATTACH, volume.multi_attach_enabled().map(|is| is.to_string())),
    ];
    let parts = parts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    parts.chain(tags.into_iter().map(|(key, value)| (format!("tag:{key}"), value.to_owned()))).collect()
}

fn tagged(sort: ResourceType, tags: &BTreeMap<String, String>) -> TagSpecification {
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    TagSpecification::builder().resource_type(sort).set_tags(Some(tags)).build()
}

/// The list price of a month. Also what a stopped machine's volumes go on costing.
pub(super) fn month(resource: Resource<'_>, prices: &dyn Prices) -> Cost {
    let FactsRef::Disk(disk) = resource.facts() else { return Cost::unknown() };
    let tier = resource.inventory().text(disk.tier);
    let unit = |key: &str| prices.unit(CloudId::Aws, resource.region(), &format!("ebs.{tier}.{key}"));
    let Some(gb) = unit("gb-month") else { return Cost::unknown() };
    let mut month = gb.times(i64::from(disk.size_gib));
    // gp3 includes 3,000 IOPS and 125 MiB/s; io1 and io2 bill every provisioned one.
    let (free_iops, free_throughput) = match tier {
        "gp3" => (3000, 125),
        "io1" | "io2" => (0, u32::MAX),
        _ => (u32::MAX, u32::MAX),
    };
    for (key, amount, free) in [("iops-month", disk.iops, free_iops), ("mibps-month", disk.throughput, free_throughput)]
    {
        let extra = amount.unwrap_or(0).saturating_sub(free);
        if extra > 0 {
            match unit(key) {
                Some(price) => month += price.times(i64::from(extra)),
                None => return Cost::unknown(),
            }
        }
    }
    if month < Amount::ZERO { Cost::unknown() } else { Cost::list(month) }
}

fn push(volume: &Volume, out: &mut Listing) {
    let tags = ec2_tags(volume.tags());
    let managed_by = marks::manager(&tags, volume.operator());
    let attachments = volume.attachments();
    let state = match volume.state() {
        Some(VolumeState::Available) => DiskState::Available,
        Some(VolumeState::InUse) => DiskState::Attached,
        _ => DiskState::Other,
    };
    let facts = Disk {
        state,
        size_gib: volume.size().unwrap_or(0).unsigned_abs(),
        tier: out.sym(volume.volume_type().map_or("", |tier| tier.as_str())),
        iops: volume.iops().map(i32::unsigned_abs),
        throughput: volume.throughput().map(i32::unsigned_abs),
        source_snapshot: out.sym(volume.snapshot_id().unwrap_or_default()),
        attachments: attachments.len() as u16,
        last_attached: None,
    };
    out.push(Draft {
        created: at(volume.create_time()),
        uses: marks::clusters(&tags),
        name: marks::name(&tags),
        managed_by: &managed_by,
        tags: Tags::Read(tags),
        ..Draft::new(volume.volume_id().unwrap_or_default(), facts)
    });
}
