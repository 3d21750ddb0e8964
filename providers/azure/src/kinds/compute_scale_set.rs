//! Scale sets: listed because their models name images and security groups.

use crate::{
    arm::Azure,
    entity::{Common, Entity, Ref, Sort},
    graph,
    kinds::compute_vm::{Storage, images},
    locks, rights,
};
use async_trait::async_trait;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    facts::Referrer,
    inventory::Listing,
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.compute-scale-set",
    cloud: CloudId::Azure,
    class: Class::Referrer,
    title: "scale set",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[
        (Relation::UsedByTemplate, Reach::Account),
        // Its machines are not listed with the others.
        (Relation::UsedByVm, Reach::Org),
        (Relation::Guards, Reach::Account),
    ],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "a scale set makes its machines again",
    acts: &[],
};

const LIST: &str = "Microsoft.Compute/virtualMachineScaleSets/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Compute/virtualMachineScaleSets",
    columns: "sku",
    filter: "",
    api: "2024-07-01",
};

pub(super) struct ComputeScaleSet(pub(super) Arc<Azure>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    virtual_machine_profile: Option<Profile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Profile {
    storage_profile: Option<Storage>,
    network_profile: Option<Network>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Network {
    network_interface_configurations: Option<Vec<Interface>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Interface {
    properties: Option<InterfaceProperties>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct InterfaceProperties {
    network_security_group: Option<Ref>,
}

#[async_trait]
impl Kind for ComputeScaleSet {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        self.0.each(site, &SORT, out, push).await
    }
}

fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let profile = entity.properties.virtual_machine_profile.as_ref();
    let reference = profile.and_then(|profile| profile.storage_profile.as_ref()?.image_reference.as_ref());
    let images = reference.map(images).unwrap_or_default();
    let network = profile.and_then(|profile| profile.network_profile.as_ref());
    let groups: Vec<String> = network
        .into_iter()
        .flat_map(|network| network.network_interface_configurations.iter().flatten())
        .filter_map(|interface| interface.properties.as_ref()?.network_security_group.as_ref())
        .map(Ref::lower)
        .collect();
    // With its mark: a cluster that sleeps has sets of no machines.
    let mut draft = common.marked(entity, Referrer::default());
    for image in &images {
        draft.uses.push((Relation::UsedByTemplate, image));
        draft.uses.push((Relation::UsedByVm, image));
    }
    draft.uses.extend(groups.iter().map(|group| (Relation::Guards, group.as_str())));
    out.push(draft);
}
