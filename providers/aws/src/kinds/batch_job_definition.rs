//! Batch job definitions: container images that jobs run.

use crate::{auth::Aws, fault, image_uri};
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
    id: "aws.batch-job-definition",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "Batch job definition",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[],
    refers: &[(Relation::Referenced, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const LIST: &str = "batch:DescribeJobDefinitions";

pub(super) struct BatchJobDefinition(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for BatchJobDefinition {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let batch = self.0.batch(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                batch.describe_job_definitions().status("ACTIVE").max_results(100).set_next_token(token.clone()).send()
            })
            .await?;
            for definition in page.job_definitions() {
                // Environments and commands stay behind here: only image names leave this loop.
                let mut images: Vec<&str> = Vec::new();
                images.extend(definition.container_properties().and_then(|container| container.image()));
                let ranges = definition
                    .node_properties()
                    .map(aws_sdk_batch::types::NodeProperties::node_range_properties)
                    .unwrap_or_default();
                for range in ranges {
                    images.extend(range.container().and_then(|container| container.image()));
                    for task in range
                        .ecs_properties()
                        .map(aws_sdk_batch::types::EcsProperties::task_properties)
                        .unwrap_or_default()
                    {
                        images.extend(task.containers().iter().filter_map(|container| container.image()));
                    }
                }
                for task in definition
                    .ecs_properties()
                    .map(aws_sdk_batch::types::EcsProperties::task_properties)
                    .unwrap_or_default()
                {
                    images.extend(task.containers().iter().filter_map(|container| container.image()));
                }
                let pods = ranges.iter().filter_map(|range| range.eks_properties()).chain(definition.eks_properties());
                for pod in pods.filter_map(|eks| eks.pod_properties()) {
                    let containers = pod.containers().iter().chain(pod.init_containers());
                    images.extend(containers.filter_map(|container| container.image()));
                }
                let names: Vec<String> = images.iter().flat_map(|image| image_uri::names(image)).collect();
                let uses = names.iter().map(|name| (Relation::Referenced, name.as_str())).collect();
                out.push(Draft {
                    uses,
                    ..Draft::new(definition.job_definition_arn().unwrap_or_default(), Referrer {})
                });
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }
}
