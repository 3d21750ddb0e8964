//! Managed images.

use crate::{
    acts::{self, Act},
    arm::Azure,
    entity::{Common, Entity, Ref, Sort},
    graph,
    kinds::own_only,
    locks, rights, sdk,
};
use async_trait::async_trait;
use azure_mgmt_compute::package_2024_07_01::models;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask},
    calls::Site,
    deed::{Pen, Permit, Progress, Reversal, Sent, Target},
    facts::{FactsRef, Image, ImageState},
    inventory::{Inventory, Listing, Resource},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::Cost,
    policy::Keep,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.compute-image",
    cloud: CloudId::Azure,
    class: Class::Image,
    title: "managed image",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[(Relation::UsedByImage, Reach::Account)],
    needs: &[],
    out_of_sight: &[
        (Relation::UsedByVm, "templates and pipelines that start machines from the image by its id"),
        (Relation::UsedByTemplate, "templates and pipelines that start machines from the image by its id"),
    ],
    advised: "",
    report_only: "",
    acts: &[
        acts::tagging!(tag "Microsoft.Compute/images/{}"),
        acts::tagging!(untag "Microsoft.Compute/images/{}"),
        acts::defining!(),
        acts::act!(
            Delete,
            "DELETE" "Microsoft.Compute/images/{}",
            "Microsoft.Compute/images/delete",
            acts::COMPUTE,
            Reversal::OneWay("the image; snapshots and disks that it was made of stay"),
            // A record of what it was. Its data does not come back.
            &[Keep::Definition]
        ),
    ],
};

const LIST: &str = "Microsoft.Compute/images/read";

static SORT: Sort =
    Sort { op: LIST, table: "resources", of: "Microsoft.Compute/images", columns: "", filter: "", api: "2024-07-01" };

/// Managed images have no immutable id: what is compared is what they are made of.
static ACT: Act<Properties> = Act { sort: &SORT, query: "", uid: |_| "" };

pub(super) struct ComputeImage(pub(super) Arc<Azure>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    storage_profile: Option<Storage>,
    provisioning_state: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Storage {
    os_disk: Option<Disk>,
    data_disks: Option<Vec<Disk>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Disk {
    snapshot: Option<Ref>,
    #[serde(rename = "diskSizeGB")]
    size_gib: Option<u32>,
}

#[async_trait]
impl Kind for ComputeImage {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let list = Box::pin(async move {
            let client = sdk::client(&self.0, site, LIST)?.images_client();
            let pages = client.list(site.scope().account.clone()).into_stream();
            let images = sdk::all(LIST, pages, |page: models::ImageListResult| page.value).await?;
            images.iter().map(|image| sdk::entity(LIST, image)).collect()
        });
        self.0.each_or(site, &SORT, out, list, push).await
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        ACT.observe(&self.0, site, target, out, push).await
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        ACT.act(&self.0, pen).await
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        ACT.progress(&self.0, site, permit, sent).await
    }

    async fn answer(&self, _: &Site, _: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(own_only(asks))
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        match resource.facts() {
            // Billed as a snapshot is: by what is used of its disks.
            FactsRef::Image(image) => prices
                .unit(CloudId::Azure, resource.region(), "snapshot.gb-month")
                .map_or_else(Cost::unknown, |gb| Cost::upper_bound(gb.times(i64::from(image.size_gib)))),
            _ => Cost::unknown(),
        }
    }
}

fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let properties = &entity.properties;
    let storage = properties.storage_profile.as_ref();
    let disks: Vec<&Disk> = storage
        .into_iter()
        .flat_map(|storage| storage.os_disk.iter().chain(storage.data_disks.iter().flatten()))
        .collect();
    let good = properties.provisioning_state.as_deref().is_none_or(|state| state.eq_ignore_ascii_case("Succeeded"));
    let facts = Image {
        state: if good { ImageState::Available } else { ImageState::Other },
        size_gib: disks.iter().fold(0, |sum: u32, disk| sum.saturating_add(disk.size_gib.unwrap_or(0))),
        deprecated: false,
        public: false,
        newest: false,
    };
    let snapshots: Vec<String> = disks.iter().filter_map(|disk| disk.snapshot.as_ref()).map(Ref::lower).collect();
    let mut draft = common.draft(entity, facts);
    draft.uses.extend(snapshots.iter().map(|id| (Relation::UsedByImage, id.as_str())));
    out.push(draft);
}
