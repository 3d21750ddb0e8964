//! Container groups of Container Instances: listed for the images they run.

use crate::{
    arm::Azure,
    entity::{Common, Entity, Sort},
    graph, image_uri, locks, rights,
};
use async_trait::async_trait;
use serde::Deserialize;
use std::{collections::BTreeSet, sync::Arc};
use sweeper_core::{
    calls::Site,
    facts::Referrer,
    inventory::Listing,
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.container-group",
    cloud: CloudId::Azure,
    class: Class::Referrer,
    title: "container group",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[(Relation::Referenced, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "listed for the images it runs",
    acts: &[],
};

const LIST: &str = "Microsoft.ContainerInstance/containerGroups/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.ContainerInstance/containerGroups",
    columns: "",
    filter: "",
    api: "2023-05-01",
};

/// Of a group. Environments and volumes are no fields here, so nothing of them is ever kept.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    containers: Option<Vec<Container>>,
    init_containers: Option<Vec<Container>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    properties: Option<Image>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Image {
    image: Option<String>,
}

pub(super) struct ContainerGroup(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for ContainerGroup {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        self.0.each(site, &SORT, out, push).await
    }
}

fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let properties = &entity.properties;
    let containers = properties.containers.iter().chain(&properties.init_containers).flatten();
    let images: BTreeSet<String> =
        containers.filter_map(|container| image_uri::known(container.properties.as_ref()?.image.as_deref()?)).collect();
    if properties.containers.is_none() {
        out.blind_in(&common.region, format!("not told: images of container groups ({LIST})"));
    }
    let mut draft = common.draft(entity, Referrer {});
    draft.uses = images.iter().map(|image| (Relation::Referenced, image.as_str())).collect();
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::rows;

    #[test]
    fn a_group_names_its_images_and_nothing_secret() {
        let group = r#"{"id":"/g","location":"eastus","properties":{
            "containers":[{"properties":{"image":"Shop.azurecr.io/web:1","environmentVariables":[{"name":"P","value":"canary-4711"}]}}],
            "initContainers":[{"properties":{"image":"shop.azurecr.io/init"}},{"properties":{"image":"busybox"}}]}}"#;
        let inventory = rows(&SPEC, group, push);
        let group = inventory.resources().next().unwrap();
        let images: Vec<_> = group.uses().map(|(_, image)| image).collect();
        assert_eq!(images, ["shop.azurecr.io/init:latest", "shop.azurecr.io/web:1"]);
        assert!(inventory.find("canary-4711").is_none());
    }
}
