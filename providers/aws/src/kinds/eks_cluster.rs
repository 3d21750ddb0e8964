//! EKS clusters: whatever runs in them names its images and volumes where nobody outside can look.

use crate::{auth::Aws, fault};
use async_trait::async_trait;
use std::sync::Arc;
use sweeper_core::{
    calls::{Pages, Site},
    facts::Referrer,
    inventory::{Draft, Listing},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.eks-cluster",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "EKS cluster",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[],
    // Nothing is pushed: its pods cannot be seen from here. Declared all the same, so that clusters are looked for
    // wherever an image's users are, and a finding says that there may be users out of sight.
    refers: &[(Relation::Referenced, Reach::Account)],
    needs: &[],
    out_of_sight: &[(Relation::Referenced, "pods of Kubernetes clusters, which pin images by digest")],
    advised: "",
    report_only: "a cluster contains other things",
};

const LIST: &str = "eks:ListClusters";

pub(super) struct EksCluster(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for EksCluster {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        for name in clusters(&self.0, site).await?.iter() {
            out.push(Draft { name, ..Draft::new(name, Referrer {}) });
        }
        Ok(())
    }
}

/// The names of a region's clusters, listed once for all kinds.
pub(super) async fn clusters(aws: &Aws, site: &Site) -> Result<Arc<Vec<String>>, CloudError> {
    aws.once(site, LIST, Box::pin(listed(aws, site))).await
}

async fn listed(aws: &Aws, site: &Site) -> Result<Vec<String>, CloudError> {
    let eks = aws.eks(site.scope());
    let mut names = Vec::new();
    let mut pages = Pages::new(LIST);
    while let Some(token) = pages.next() {
        let page =
            fault::call(site, LIST, || eks.list_clusters().max_results(100).set_next_token(token.clone()).send()).await?;
        names.extend(page.clusters().iter().cloned());
        pages.seen(page.next_token())?;
    }
    Ok(names)
}
