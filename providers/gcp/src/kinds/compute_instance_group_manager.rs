//! Managed instance groups, zonal and regional.

use crate::{
    aggregated,
    auth::Gcp,
    kinds::{at, uid},
    paths,
};
use async_trait::async_trait;
use google_cloud_compute_v1::model::InstanceGroupManager;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    facts::Referrer,
    inventory::{Draft, Listing},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.compute-instance-group-manager",
    cloud: CloudId::Gcp,
    class: Class::Referrer,
    title: "managed instance group",
    places: Places::Account,
    reads: &[LIST],
    asks: &[],
    refers: &[(Relation::UsedByTemplate, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "listed only for what it uses",
    acts: &[],
};

const LIST: &str = "compute.instanceGroupManagers.list";

pub(super) struct ComputeInstanceGroupManager(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for ComputeInstanceGroupManager {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let managers = self.0.instance_group_managers(LIST).await?;
        let project = site.scope().account.as_str();
        let ask = |token| {
            managers
                .aggregated_list()
                .set_project(project)
                .set_max_results(aggregated::PAGE)
                .set_or_clear_page_token(token)
                .send()
        };
        let blind = aggregated::each(site, LIST, ask, |manager: InstanceGroupManager| push(&manager, out)).await?;
        blind.tell(out);
        Ok(())
    }
}

fn push(manager: &InstanceGroupManager, out: &mut Listing) {
    let path = manager.self_link.as_deref().map(paths::path).unwrap_or_default();
    let place = manager.zone.as_deref().or(manager.region.as_deref());
    let place = place.map_or_else(|| paths::place(path), paths::last);
    let uid = uid(manager.id);
    let templates = manager.versions.iter().map(|version| version.instance_template.as_deref());
    let templates = templates.chain([manager.instance_template.as_deref()]).flatten();
    out.push(Draft {
        uid: &uid,
        region: Some(place),
        created: at(manager.creation_timestamp.as_deref()),
        uses: templates.map(|template| (Relation::UsedByTemplate, paths::path(template))).collect(),
        also: vec![path],
        ..Draft::new(manager.name.as_deref().unwrap_or_default(), Referrer {})
    });
}
