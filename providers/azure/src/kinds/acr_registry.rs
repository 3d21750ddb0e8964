//! Container registries.

use crate::{
    arm::Azure,
    entity::{Common, Entity, Sort, at},
    graph, locks, rights, shared,
};
use async_trait::async_trait;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    facts::Registry,
    inventory::Listing,
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.acr-registry",
    cloud: CloudId::Azure,
    class: Class::Registry,
    title: "container registry",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "a registry contains other things",
    acts: &[],
};

pub(super) const LIST: &str = "Microsoft.ContainerRegistry/registries/read";

pub(super) static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.ContainerRegistry/registries",
    columns: "sku",
    filter: "",
    api: "2023-07-01",
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Properties {
    pub(super) login_server: Option<String>,
    creation_date: Option<String>,
    /// Anybody may pull.
    pub(super) anonymous_pull_enabled: Option<bool>,
}

/// Every registry of the site's subscription, listed once for all kinds.
pub(super) async fn registries(
    azure: &Azure,
    site: &Site,
    out: Option<&mut Listing>,
) -> Result<Arc<Vec<Entity<Properties>>>, CloudError> {
    shared::of_subscription(azure, site, &SORT, out).await
}

pub(super) struct AcrRegistry(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for AcrRegistry {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let registries = registries(&self.0, site, Some(&mut *out)).await?;
        let around = self.0.around(site, LIST, out).await;
        for registry in registries.iter() {
            push(registry, &around.common(registry), out);
        }
        Ok(())
    }
}

fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let mut draft = common.draft(entity, Registry { images: None });
    draft.created = at(entity.properties.creation_date.as_deref());
    draft.also.extend(entity.properties.login_server.as_deref());
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::rows;

    #[test]
    fn a_registry_is_known_by_its_login_server() {
        let row = r#"{"id":"/r","name":"shop","location":"westus2","sku":{"name":"Basic","tier":"Basic"},
            "properties":{"loginServer":"shop.azurecr.io","creationDate":"2026-01-01T00:00:00Z"}}"#;
        let inventory = rows(&SPEC, row, push);
        assert!(inventory.find("shop.azurecr.io").is_some());
        assert!(inventory.resources().next().unwrap().created().is_some());
    }
}
