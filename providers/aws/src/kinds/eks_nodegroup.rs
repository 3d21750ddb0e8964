//! EKS node groups: a custom image is named by their launch template, or by their release.

use super::eks_cluster::clusters;
use crate::{auth::Aws, fault, kinds::ec2_security_group::guards};
use async_trait::async_trait;
use aws_sdk_eks::types::RemoteAccessConfig;
use std::sync::Arc;
use sweeper_core::{
    calls::{Pages, Site},
    facts::Referrer,
    inventory::{Draft, Listing},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.eks-nodegroup",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "EKS node group",
    places: Places::Regions,
    reads: &["eks:ListClusters", LIST, ONE],
    asks: &[],
    refers: &[(Relation::UsedByTemplate, Reach::Region), (Relation::Guards, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "a node group contains other things",
    acts: &[],
};

const LIST: &str = "eks:ListNodegroups";
const ONE: &str = "eks:DescribeNodegroup";

pub(super) struct EksNodegroup(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for EksNodegroup {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let eks = self.0.eks(site.scope());
        for cluster in clusters(&self.0, site).await?.iter() {
            let mut pages = Pages::new(LIST);
            while let Some(token) = pages.next() {
                let page = fault::call(site, LIST, || {
                    eks.list_nodegroups().cluster_name(cluster).max_results(100).set_next_token(token.clone()).send()
                })
                .await?;
                for name in page.nodegroups() {
                    let answer = fault::maybe(site, ONE, || {
                        eks.describe_nodegroup().cluster_name(cluster).nodegroup_name(name).send()
                    })
                    .await?;
                    let Some(group) = answer.as_ref().and_then(|answer| answer.nodegroup()) else { continue };
                    // With a custom image the release is the image's id; with Amazon's it is a version.
                    let image = group.release_version().filter(|release| release.starts_with("ami-"));
                    let mut uses: Vec<_> = image.map(|image| (Relation::UsedByTemplate, image)).into_iter().collect();
                    let resources = group.resources().and_then(|resources| resources.remote_access_security_group());
                    let remote = group.remote_access().map(RemoteAccessConfig::source_security_groups);
                    uses.extend(resources.into_iter().map(guards));
                    uses.extend(remote.unwrap_or_default().iter().map(|group| guards(group)));
                    out.push(Draft { uses, ..Draft::new(&format!("{cluster}/{name}"), Referrer {}) });
                }
                pages.seen(page.next_token())?;
            }
        }
        Ok(())
    }
}
