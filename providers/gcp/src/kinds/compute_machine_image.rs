//! Machine images: copies of whole machines. They hold their own copy of every disk; what they name besides, they
//! start machines from.

use crate::{
    aggregated,
    auth::Gcp,
    kinds::{at, compute_instance_template::sources, uid},
    marks, paths,
};
use async_trait::async_trait;
use google_cloud_compute_v1::model::MachineImage;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    facts::Referrer,
    inventory::{Draft, Listing, Tags},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.compute-machine-image",
    cloud: CloudId::Gcp,
    class: Class::Referrer,
    title: "machine image",
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

const LIST: &str = "compute.machineImages.list";

pub(super) struct ComputeMachineImage(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for ComputeMachineImage {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let images = self.0.machine_images(LIST).await?;
        let project = site.scope().account.as_str();
        let ask = |token| {
            images.list().set_project(project).set_max_results(aggregated::PAGE).set_or_clear_page_token(token).send()
        };
        let blind = aggregated::each(site, LIST, ask, |image: MachineImage| push(project, &image, out)).await?;
        blind.tell(out);
        Ok(())
    }
}

fn push(project: &str, image: &MachineImage, out: &mut Listing) {
    let path = image.self_link.as_deref().map(paths::path).unwrap_or_default();
    let uid = uid(image.id);
    let sources = image.instance_properties.as_ref().map_or_else(Vec::new, |made| sources(project, &made.disks));
    out.push(Draft {
        uid: &uid,
        created: at(image.creation_timestamp.as_deref()),
        tags: Tags::Read(marks::tags(&image.labels)),
        uses: sources.iter().map(|source| (Relation::UsedByTemplate, source.as_ref())).collect(),
        also: vec![path],
        ..Draft::new(image.name.as_deref().unwrap_or_default(), Referrer {})
    });
}
