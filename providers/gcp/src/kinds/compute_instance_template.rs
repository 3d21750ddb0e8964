//! Instance templates, regional and global: what new machines are made of.

use crate::{
    aggregated,
    auth::Gcp,
    kinds::{at, uid},
    marks, paths,
};
use async_trait::async_trait;
use google_cloud_compute_v1::model::{AttachedDisk, InstanceTemplate};
use std::{borrow::Cow, sync::Arc};
use sweeper_core::{
    calls::Site,
    facts::Referrer,
    inventory::{Draft, Listing, Tags},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.compute-instance-template",
    cloud: CloudId::Gcp,
    class: Class::Referrer,
    title: "instance template",
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

const LIST: &str = "compute.instanceTemplates.list";

pub(super) struct ComputeInstanceTemplate(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for ComputeInstanceTemplate {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let templates = self.0.instance_templates(LIST).await?;
        let project = site.scope().account.as_str();
        let ask = |token| {
            templates
                .aggregated_list()
                .set_project(project)
                .set_max_results(aggregated::PAGE)
                .set_or_clear_page_token(token)
                .send()
        };
        let blind =
            aggregated::each(site, LIST, ask, |template: InstanceTemplate| push(project, &template, out)).await?;
        blind.tell(out);
        Ok(())
    }
}

/// Images, snapshots and disks that machines get.
pub(super) fn sources<'a>(project: &str, disks: &'a [AttachedDisk]) -> Vec<Cow<'a, str>> {
    disks
        .iter()
        .flat_map(|disk| {
            let made = disk.initialize_params.as_ref();
            [
                made.and_then(|made| made.source_image.as_deref()),
                made.and_then(|made| made.source_snapshot.as_deref()),
                disk.source.as_deref(),
            ]
        })
        .flatten()
        .filter(|source| !source.is_empty())
        .map(|source| paths::path_in(project, source))
        .collect()
}

fn push(project: &str, template: &InstanceTemplate, out: &mut Listing) {
    let path = template.self_link.as_deref().map(paths::path).unwrap_or_default();
    let region = template.region.as_deref().map(paths::last);
    let uid = uid(template.id);
    let properties = template.properties.as_ref();
    let mut sources = properties.map_or_else(Vec::new, |properties| sources(project, &properties.disks));
    let copied = template.source_instance_params.iter().flat_map(|params| &params.disk_configs);
    sources.extend(copied.filter_map(|disk| Some(paths::path_in(project, disk.custom_image.as_deref()?))));
    out.push(Draft {
        uid: &uid,
        region,
        created: at(template.creation_timestamp.as_deref()),
        // Its labels are those of the machines it makes.
        tags: properties.map_or(Tags::Unread, |properties| Tags::Read(marks::tags(&properties.labels))),
        uses: sources.iter().map(|source| (Relation::UsedByTemplate, source.as_ref())).collect(),
        also: vec![path],
        ..Draft::new(template.name.as_deref().unwrap_or_default(), Referrer {})
    });
}
