//! EBS volumes.

use crate::{
    auth::Aws,
    fault,
    kinds::{at, ec2_tags},
    marks,
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{Volume, VolumeState};
use std::sync::Arc;
use sweeper_core::{
    calls::{Pages, Site},
    facts::{Disk, DiskState, FactsRef},
    inventory::{Draft, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId},
    money::{Amount, Cost},
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
    acts: &[],
};

const LIST: &str = "ec2:DescribeVolumes";

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
                ec2.describe_volumes().include_managed_resources(true).max_results(1000).set_next_token(token.clone()).send()
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
        for (key, amount, free) in
            [("iops-month", disk.iops, free_iops), ("mibps-month", disk.throughput, free_throughput)]
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
