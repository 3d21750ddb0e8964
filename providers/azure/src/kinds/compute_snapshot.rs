//! Snapshots of managed disks.

use crate::{
    acts::{self, Act},
    arm::Azure,
    entity::{Common, Entity, Sort, at, part},
    graph,
    kinds::{compute_disk::Creation, own_only},
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
    facts::{FactsRef, Snapshot, Tier},
    inventory::{Inventory, Listing, Resource},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId},
    money::Cost,
    policy::Keep,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.compute-snapshot",
    cloud: CloudId::Azure,
    class: Class::Snapshot,
    title: "disk snapshot",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[
        acts::tagging!(tag "Microsoft.Compute/snapshots/{}"),
        acts::tagging!(untag "Microsoft.Compute/snapshots/{}"),
        acts::defining!(),
        acts::act!(
            Delete,
            "DELETE" "Microsoft.Compute/snapshots/{}",
            "Microsoft.Compute/snapshots/delete",
            acts::DISKS,
            Reversal::OneWay("the data of the disk at that time: Azure has no bin for snapshots"),
            // A record of what it was. Its data does not come back.
            &[Keep::Definition]
        ),
    ],
};

const LIST: &str = "Microsoft.Compute/snapshots/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Compute/snapshots",
    columns: "sku, managedBy",
    filter: "",
    api: "2024-03-02",
};

static ACT: Act<Properties> =
    Act { sort: &SORT, query: "", uid: |properties| properties.unique_id.as_deref().unwrap_or_default() };

pub(super) struct ComputeSnapshot(pub(super) Arc<Azure>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    #[serde(rename = "diskSizeGB")]
    size_gib: Option<u32>,
    creation_data: Option<Creation>,
    time_created: Option<String>,
    unique_id: Option<String>,
    provisioning_state: Option<String>,
    /// Of a copy that is under way.
    completion_percent: Option<f64>,
}

#[async_trait]
impl Kind for ComputeSnapshot {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let list = Box::pin(async move {
            let client = sdk::client(&self.0, site, LIST)?.snapshots_client();
            let pages = client.list(site.scope().account.clone()).into_stream();
            let snapshots = sdk::all(LIST, pages, |page: models::SnapshotList| page.value).await?;
            snapshots.iter().map(|snapshot| sdk::entity(LIST, snapshot)).collect()
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
            // Billed is what is used of the disk, or what changed since the last: no more than the whole.
            FactsRef::Snapshot(snapshot) => prices
                .unit(CloudId::Azure, resource.region(), "snapshot.gb-month")
                .map_or_else(Cost::unknown, |gb| Cost::upper_bound(gb.times(i64::from(snapshot.size_gib)))),
            _ => Cost::unknown(),
        }
    }
}

fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let properties = &entity.properties;
    let creation = properties.creation_data.as_ref();
    let source = creation.and_then(|creation| creation.source_resource_id.as_deref()).unwrap_or_default();
    let own = part(&entity.id, "subscriptions").unwrap_or_default();
    let elsewhere = part(source, "subscriptions").is_some_and(|subscription| !subscription.eq_ignore_ascii_case(own));
    let source = source.to_ascii_lowercase();
    let state = properties.provisioning_state.as_deref();
    let facts = Snapshot {
        size_gib: properties.size_gib.unwrap_or(0),
        stored_bytes: None,
        tier: Tier::Standard,
        source: out.sym(&source),
        // A copy of another snapshot, or of a disk in another subscription: that it is not here says nothing.
        source_is_dummy: !source.is_empty() && (elsewhere || !source.contains("/disks/")),
        complete: state.is_none_or(|state| state.eq_ignore_ascii_case("Succeeded"))
            && properties.completion_percent.is_none_or(|percent| percent >= 100.0),
        locked: false,
    };
    let backup = entity.name().to_ascii_lowercase().starts_with("azurebackup_");
    let mut draft = common.draft(entity, facts);
    draft.uid = properties.unique_id.as_deref().unwrap_or_default();
    draft.created = at(properties.time_created.as_deref());
    if backup && draft.managed_by.is_empty() {
        draft.managed_by = "Azure Backup";
    }
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Server, lists};

    #[tokio::test]
    async fn a_copy_says_nothing_of_a_disk() {
        let server = Server::start(lists(&[(
            "/snapshots",
            r#"{"id":"/subscriptions/s/resourceGroups/r/providers/Microsoft.Compute/snapshots/a","name":"a","location":"eastus",
              "properties":{"creationData":{"createOption":"Copy","sourceResourceId":"/subscriptions/S/resourceGroups/R/providers/Microsoft.Compute/disks/D"},
              "diskSizeGB":8,"provisioningState":"Succeeded","timeCreated":"2025-01-01T00:00:00Z"}},
              {"id":"/subscriptions/s/resourceGroups/r/providers/Microsoft.Compute/snapshots/AzureBackup_b","name":"AzureBackup_b","location":"eastus",
              "properties":{"creationData":{"createOption":"CopyStart","sourceResourceId":"/subscriptions/s/resourceGroups/r/providers/Microsoft.Compute/snapshots/a"},
              "diskSizeGB":8,"provisioningState":"Succeeded","completionPercent":40.0}},
              {"id":"/subscriptions/s/resourceGroups/r/providers/Microsoft.Compute/snapshots/c","name":"c","location":"eastus",
              "properties":{"creationData":{"createOption":"Copy","sourceResourceId":"/subscriptions/t/resourceGroups/r/providers/Microsoft.Compute/disks/d"},
              "diskSizeGB":8}}"#,
        )]))
        .await;
        let inventory = server.inventory(|azure| vec![Arc::new(ComputeSnapshot(Arc::clone(azure)))]).await.unwrap();
        let told: Vec<_> = inventory
            .of_class(Class::Snapshot)
            .map(|one| {
                let FactsRef::Snapshot(facts) = one.facts() else { panic!() };
                (one.name().to_owned(), facts.source_is_dummy, facts.complete, one.managed_by().to_owned())
            })
            .collect();
        let of = |name: &str, dummy, complete, by: &str| (name.to_owned(), dummy, complete, by.to_owned());
        assert_eq!(
            told,
            [of("a", false, true, ""), of("AzureBackup_b", true, false, "Azure Backup"), of("c", true, true, "")]
        );
    }
}
