//! Batch compute environments: images their machines start from.

use crate::{auth::Aws, fault, kinds::ec2_security_group::guards};
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
    id: "aws.batch-compute-environment",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "Batch compute environment",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[],
    refers: &[(Relation::UsedByTemplate, Reach::Region), (Relation::Guards, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const LIST: &str = "batch:DescribeComputeEnvironments";

pub(super) struct BatchComputeEnvironment(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for BatchComputeEnvironment {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let batch = self.0.batch(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                batch.describe_compute_environments().max_results(100).set_next_token(token.clone()).send()
            })
            .await?;
            for environment in page.compute_environments() {
                let mut uses = Vec::new();
                if let Some(resources) = environment.compute_resources() {
                    #[expect(deprecated, reason = "environments made before 2021 still carry their image here")]
                    uses.extend(resources.image_id().map(|image| (Relation::UsedByTemplate, image)));
                    uses.extend(resources.security_group_ids().iter().map(|group| guards(group)));
                    for config in resources.ec2_configuration() {
                        uses.extend(config.image_id_override().map(|image| (Relation::UsedByTemplate, image)));
                    }
                }
                out.push(Draft {
                    uses,
                    ..Draft::new(environment.compute_environment_arn().unwrap_or_default(), Referrer {})
                });
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }
}
