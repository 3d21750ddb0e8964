//! Running ECS tasks. Of a task only the names of its images are kept: overrides hold environments.

use crate::{asks, auth::Aws, fault, image_uri, kinds::at};
use async_trait::async_trait;
use aws_sdk_ecs::{
    Client,
    types::{Container, Task},
};
use futures_util::stream::{self, StreamExt as _};
use std::{collections::BTreeSet, sync::Arc};
use sweeper_core::{
    calls::{Pages, Site},
    facts::Referrer,
    inventory::{Draft, Listing},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation, Timestamp},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ecs-task",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "ECS task",
    places: Places::Regions,
    reads: &[DESCRIBE, LIST, CLUSTERS],
    asks: &[],
    refers: &[(Relation::Referenced, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

pub(super) const CLUSTERS: &str = "ecs:ListClusters";
const LIST: &str = "ecs:ListTasks";
const DESCRIBE: &str = "ecs:DescribeTasks";

/// Tasks a page and a description may hold (ECS API reference, ListTasks and DescribeTasks).
const MOST: i32 = 100;

pub(super) struct EcsTask(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for EcsTask {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ecs = self.0.ecs(site.scope());
        let clusters = clusters(&self.0, site, &ecs).await?;
        let work: Vec<_> = clusters.iter().map(|cluster| tasks(site, &ecs, cluster)).collect();
        let mut results = stream::iter(work).buffered(asks::AT_ONCE);
        while let Some(running) = results.next().await {
            for running in running? {
                out.push(Draft {
                    created: running.created,
                    uses: running.images.iter().map(|image| (Relation::Referenced, image.as_str())).collect(),
                    ..Draft::new(&running.arn, Referrer {})
                });
            }
        }
        Ok(())
    }
}

/// Every cluster of a scope, by ARN, listed once for all kinds.
pub(super) async fn clusters(aws: &Aws, site: &Site, ecs: &Client) -> Result<Arc<Vec<String>>, CloudError> {
    aws.once(site, CLUSTERS, Box::pin(listed(site, ecs))).await
}

async fn listed(site: &Site, ecs: &Client) -> Result<Vec<String>, CloudError> {
    let mut clusters = Vec::new();
    let mut pages = Pages::new(CLUSTERS);
    while let Some(token) = pages.next() {
        let page =
            fault::call(site, CLUSTERS, || ecs.list_clusters().max_results(100).set_next_token(token.clone()).send())
                .await?;
        clusters.extend(page.cluster_arns().iter().cloned());
        pages.seen(page.next_token())?;
    }
    Ok(clusters)
}

/// What is kept of a task.
struct Running {
    arn: String,
    created: Option<Timestamp>,
    images: BTreeSet<String>,
}

/// The tasks of a cluster that should run; none when the cluster is gone by now.
async fn tasks(site: &Site, ecs: &Client, cluster: &str) -> Result<Vec<Running>, CloudError> {
    let mut running = Vec::new();
    let mut pages = Pages::new(LIST);
    while let Some(token) = pages.next() {
        let page = fault::maybe(site, LIST, || {
            ecs.list_tasks().cluster(cluster).max_results(MOST).set_next_token(token.clone()).send()
        })
        .await?;
        let Some(page) = page else { return Ok(Vec::new()) };
        if !page.task_arns().is_empty() {
            let described = fault::call(site, DESCRIBE, || {
                ecs.describe_tasks().cluster(cluster).set_tasks(Some(page.task_arns().to_vec())).send()
            })
            .await?;
            // A task that ended meanwhile is missing; any other failure was not seen.
            if let Some(failure) = described.failures().iter().find(|failure| failure.reason() != Some("MISSING")) {
                let reason = failure.reason().unwrap_or_default();
                return Err(CloudError::new(Fault::Refused, DESCRIBE, reason));
            }
            running.extend(described.tasks().iter().map(kept));
        }
        pages.seen(page.next_token())?;
    }
    Ok(running)
}

fn kept(task: &Task) -> Running {
    Running {
        arn: task.task_arn().unwrap_or_default().to_owned(),
        created: at(task.created_at()),
        images: task.containers().iter().flat_map(images).collect(),
    }
}

/// The names of the image of a container: as it was asked for, and as it was resolved.
fn images(container: &Container) -> Vec<String> {
    let Some(image) = container.image() else { return Vec::new() };
    let mut names = image_uri::names(image);
    names.extend(container.image_digest().and_then(|digest| image_uri::at_digest(image, digest)));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ecs::types::{ContainerOverride, KeyValuePair, TaskOverride};

    #[test]
    fn a_task_names_its_image_by_tag_and_digest_and_nothing_else() {
        let secret = KeyValuePair::builder().name("PASSWORD").value("canary-4711").build();
        let overrides = TaskOverride::builder()
            .container_overrides(ContainerOverride::builder().environment(secret).build())
            .build();
        let container = Container::builder()
            .image("111111111111.dkr.ecr.us-east-1.amazonaws.com/web:1")
            .image_digest("sha256:ab")
            .build();
        let task = Task::builder().task_arn("arn").containers(container).overrides(overrides).build();
        let running = kept(&task);
        assert_eq!(running.arn, "arn");
        assert_eq!(running.images.into_iter().collect::<Vec<_>>(), ["web:1", "web@sha256:ab"]);
    }
}
