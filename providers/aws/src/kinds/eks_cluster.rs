//! EKS clusters: whatever runs in them names its images and volumes where nobody outside can look.

use crate::{asks, auth::Aws, fault};
use async_trait::async_trait;
use aws_sdk_eks::Client;
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::{Pages, Site},
    facts::Cluster,
    intern::Sym,
    inventory::{Draft, Inventory, Listing},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation, Scope},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.eks-cluster",
    cloud: CloudId::Aws,
    class: Class::Cluster,
    title: "EKS cluster",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[ONE],
    // Nothing is pushed: its pods cannot be seen from here. Declared all the same, so that clusters are looked for
    // wherever an image's users are, and a finding says that there may be users out of sight.
    refers: &[(Relation::Referenced, Reach::Account)],
    needs: &[],
    out_of_sight: &[(Relation::Referenced, "pods of Kubernetes clusters, which pin images by digest")],
    advised: "",
    report_only: "a cluster contains other things",
    acts: &[],
};

const LIST: &str = "eks:ListClusters";
const ONE: &str = "eks:DescribeCluster";

pub(super) struct EksCluster(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for EksCluster {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    /// The listing tells names and nothing else, which is enough to know that a cluster lives.
    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        for name in clusters(&self.0, site).await?.iter() {
            let arn = arn(site.scope(), name);
            let facts = Cluster { version: Sym::NONE, state: Sym::NONE, nodes: None };
            out.push(Draft { name, also: vec![&arn], ..Draft::new(name, facts) });
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let eks = self.0.eks(site.scope());
        let asks = asks::of(asks, |question| question == Question::Tags).into_iter();
        Ok(asks::each(asks.map(|ask| (ask, tags(site, &eks, inventory.at(ask.resource).native_id()))).collect()).await)
    }
}

/// A cluster's ARN, which its name makes unique in an account and region.
fn arn(scope: &Scope, name: &str) -> String {
    let partition = match scope.region.split_once('-') {
        Some(("cn", _)) => "aws-cn",
        Some(("us", rest)) if rest.starts_with("gov-") => "aws-us-gov",
        _ => "aws",
    };
    format!("arn:{partition}:eks:{}:{}:cluster/{name}", scope.region, scope.account)
}

async fn tags(site: &Site, eks: &Client, name: &str) -> Result<Answer, CloudError> {
    let answer = fault::call(site, ONE, || eks.describe_cluster().name(name).send()).await?;
    let tags = answer.cluster().and_then(|cluster| cluster.tags()).into_iter().flatten();
    let tags: BTreeMap<String, String> = tags.map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(Answer::Tags(tags.into_iter().collect()))
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
            fault::call(site, LIST, || eks.list_clusters().max_results(100).set_next_token(token.clone()).send())
                .await?;
        names.extend(page.clusters().iter().cloned());
        pages.seen(page.next_token())?;
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_has_its_partition() {
        let of = |region: &str| arn(&Scope::new(CloudId::Aws, "111111111111", region), "blue");
        assert_eq!(of("eu-west-1"), "arn:aws:eks:eu-west-1:111111111111:cluster/blue");
        assert!(of("cn-north-1").starts_with("arn:aws-cn:"));
        assert!(of("us-gov-west-1").starts_with("arn:aws-us-gov:"));
    }
}
