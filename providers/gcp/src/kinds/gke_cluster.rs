//! GKE clusters: whatever runs in them names its images and volumes where nobody outside can look.

use crate::{auth::Gcp, fault, marks, paths};
use async_trait::async_trait;
use google_cloud_container_v1::model;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    facts::Cluster,
    inventory::{Draft, Listing, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation, Timestamp},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.gke-cluster",
    cloud: CloudId::Gcp,
    class: Class::Cluster,
    title: "GKE cluster",
    places: Places::Account,
    reads: &[LIST],
    asks: &[],
    // Nothing is pushed: its pods cannot be seen from here. Declared all the same, so that clusters are looked for
    // wherever an image's users are, and a finding says that there may be users out of sight.
    refers: &[(Relation::Referenced, Reach::Account)],
    needs: &[],
    out_of_sight: &[(Relation::Referenced, "pods of Kubernetes clusters, which pin images by digest")],
    advised: "",
    report_only: "a cluster contains other things",
    acts: &[],
};

const LIST: &str = "container.clusters.list";

pub(super) struct GkeCluster(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for GkeCluster {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let project = &site.scope().account;
        let client = self.0.clusters(LIST).await?;
        let parent = format!("projects/{project}/locations/-");
        // One answer: this list has no pages.
        let answer = fault::call(site, LIST, || client.list_clusters().set_parent(&parent).send()).await?;
        for zone in &answer.missing_zones {
            out.blind_in(paths::last(zone), format!("{} {LIST}", Fault::Unreachable.word()));
        }
        for cluster in &answer.clusters {
            push(project, cluster, out);
        }
        Ok(())
    }
}

/// Where a cluster is: the zone or the region of its control plane.
fn location(cluster: &model::Cluster) -> &str {
    if cluster.location.is_empty() { paths::place(&cluster.self_link) } else { &cluster.location }
}

/// The nodes the service counts. It leaves out a nought, which is therefore not known from no count at all.
#[expect(deprecated, reason = "the successor is a call to each cluster's own API")]
fn nodes(cluster: &model::Cluster) -> Option<u32> {
    u32::try_from(cluster.current_node_count).ok().filter(|nodes| *nodes > 0)
}

fn push(project: &str, cluster: &model::Cluster, out: &mut Listing) {
    let labels = marks::tags(&cluster.resource_labels);
    let managed_by = marks::managed_by(&cluster.resource_labels);
    let location = location(cluster);
    // Its things carry its name, or its name and location.
    let path = format!("projects/{project}/locations/{location}/clusters/{}", cluster.name);
    let facts = Cluster {
        version: out.sym(&cluster.current_master_version),
        state: out.sym(&cluster.status.name().unwrap_or_default().to_lowercase()),
        nodes: nodes(cluster),
    };
    out.push(Draft {
        uid: &cluster.id,
        name: &cluster.name,
        region: (!location.is_empty()).then_some(location),
        created: Timestamp::parse(&cluster.create_time),
        managed_by: &managed_by,
        tags: Tags::Read(labels),
        also: vec![&path],
        ..Draft::new(&cluster.name, facts)
    });
}
