//! ECS task definitions that something may start: those that services name, and the newest active revision
//! of every family. Older revisions may be tens of thousands; the tasks that still run by one are seen as
//! tasks. Only the names of images are kept: definitions hold environments.

use crate::{
    asks,
    auth::Aws,
    fault, image_uri,
    kinds::ecs_task::{CLUSTERS, clusters},
};
use async_trait::async_trait;
use aws_sdk_ecs::{
    Client,
    types::{Service, TaskDefinition, TaskDefinitionStatus},
};
use futures_util::stream::{self, StreamExt as _};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use sweeper_core::{
    calls::{Pages, Site},
    facts::Referrer,
    inventory::{Draft, Listing},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ecs-task-definition",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "ECS task definition",
    places: Places::Regions,
    reads: &[DESCRIBE, LIST, CLUSTERS, SERVICES, SERVICE],
    asks: &[],
    refers: &[(Relation::Referenced, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const LIST: &str = "ecs:ListTaskDefinitions";
const DESCRIBE: &str = "ecs:DescribeTaskDefinition";
const SERVICES: &str = "ecs:ListServices";
const SERVICE: &str = "ecs:DescribeServices";

/// Services a description may name (ECS API reference, DescribeServices).
const MOST: usize = 10;

pub(super) struct EcsTaskDefinition(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for EcsTaskDefinition {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ecs = self.0.ecs(site.scope());
        let mut named = newest(site, &ecs).await?;
        let clusters = clusters(&self.0, site, &ecs).await?;
        let work: Vec<_> = clusters.iter().map(|cluster| by_services(site, &ecs, cluster)).collect();
        for definitions in asks::all(work).await? {
            named.extend(definitions);
        }
        let work: Vec<_> = named.iter().map(|name| described(site, &ecs, name)).collect();
        let mut results = stream::iter(work).buffered(asks::AT_ONCE);
        let mut definitions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        while let Some(definition) = results.next().await {
            definitions.extend(definition?);
        }
        for (arn, images) in &definitions {
            out.push(Draft {
                uses: images.iter().map(|image| (Relation::Referenced, image.as_str())).collect(),
                ..Draft::new(arn, Referrer {})
            });
        }
        Ok(())
    }
}

/// The newest active revision of every family.
async fn newest(site: &Site, ecs: &Client) -> Result<BTreeSet<String>, CloudError> {
    let mut newest = BTreeMap::new();
    let mut pages = Pages::new(LIST);
    while let Some(token) = pages.next() {
        let page = fault::call(site, LIST, || {
            ecs.list_task_definitions()
                .status(TaskDefinitionStatus::Active)
                .max_results(100)
                .set_next_token(token.clone())
                .send()
        })
        .await?;
        page.task_definition_arns().iter().for_each(|arn| keep_newest(&mut newest, arn));
        pages.seen(page.next_token())?;
    }
    Ok(newest.into_iter().map(|(family, revision)| format!("{family}:{revision}")).collect())
}

/// Remembers the revision of `…:task-definition/family:revision` if it is its family's newest so far.
fn keep_newest(newest: &mut BTreeMap<String, u64>, arn: &str) {
    if let Some((family, revision)) = arn.rsplit_once(':')
        && let Ok(revision) = revision.parse::<u64>()
    {
        let known = newest.entry(family.to_owned()).or_default();
        *known = revision.max(*known);
    }
}

/// The definitions that the services of a cluster name; none when the cluster is gone by now.
async fn by_services(site: &Site, ecs: &Client, cluster: &str) -> Result<BTreeSet<String>, CloudError> {
    let mut services = Vec::new();
    let mut pages = Pages::new(SERVICES);
    while let Some(token) = pages.next() {
        let page = fault::maybe(site, SERVICES, || {
            ecs.list_services().cluster(cluster).max_results(100).set_next_token(token.clone()).send()
        })
        .await?;
        let Some(page) = page else { return Ok(BTreeSet::new()) };
        services.extend(page.service_arns().iter().cloned());
        pages.seen(page.next_token())?;
    }
    let mut definitions = BTreeSet::new();
    for batch in services.chunks(MOST) {
        let page = fault::call(site, SERVICE, || {
            ecs.describe_services().cluster(cluster).set_services(Some(batch.to_vec())).send()
        })
        .await?;
        // A service that was deleted meanwhile is missing; any other failure was not seen.
        if let Some(failure) = page.failures().iter().find(|failure| failure.reason() != Some("MISSING")) {
            return Err(CloudError::new(Fault::Refused, SERVICE, failure.reason().unwrap_or_default()));
        }
        definitions.extend(page.services().iter().flat_map(named_by));
    }
    Ok(definitions)
}

/// Every definition a service names: its own, and those of deployments and task sets under way.
fn named_by(service: &Service) -> BTreeSet<String> {
    let deployments = service.deployments().iter().filter_map(|deployment| deployment.task_definition());
    let sets = service.task_sets().iter().filter_map(|set| set.task_definition());
    service.task_definition().into_iter().chain(deployments).chain(sets).map(str::to_owned).collect()
}

/// The ARN of a definition and its images; `None` when it is gone by now.
async fn described(site: &Site, ecs: &Client, name: &str) -> Result<Option<(String, BTreeSet<String>)>, CloudError> {
    match fault::call(site, DESCRIBE, || ecs.describe_task_definition().task_definition(name).send()).await {
        Ok(answer) => Ok(answer.task_definition().map(kept)),
        // ECS has no "not found" for definitions, only this text.
        Err(error) if error.message.contains("Unable to describe task definition") => Ok(None),
        Err(error) => Err(error),
    }
}

fn kept(definition: &TaskDefinition) -> (String, BTreeSet<String>) {
    let images = definition.container_definitions().iter().filter_map(|container| container.image());
    let names = images.flat_map(image_uri::names).collect();
    (definition.task_definition_arn().unwrap_or_default().to_owned(), names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ecs::types::{ContainerDefinition, Deployment, KeyValuePair};

    #[test]
    fn a_deployment_under_way_names_its_definition_too() {
        let service = Service::builder()
            .task_definition("web:2")
            .deployments(Deployment::builder().task_definition("web:2").build())
            .deployments(Deployment::builder().task_definition("web:1").build())
            .build();
        assert_eq!(named_by(&service).into_iter().collect::<Vec<_>>(), ["web:1", "web:2"]);
    }

    #[test]
    fn the_newest_revision_is_the_highest_number() {
        let mut newest = BTreeMap::new();
        for arn in ["arn:task-definition/web:9", "arn:task-definition/web:10", "arn:task-definition/job:1", "odd"] {
            keep_newest(&mut newest, arn);
        }
        assert_eq!(
            newest.into_iter().collect::<Vec<_>>(),
            [("arn:task-definition/job".to_owned(), 1), ("arn:task-definition/web".to_owned(), 10)]
        );
    }

    #[test]
    fn only_images_are_kept() {
        let secret = KeyValuePair::builder().name("PASSWORD").value("canary-4711").build();
        let container = ContainerDefinition::builder().image("host.example/team/web:1").environment(secret).build();
        let definition = TaskDefinition::builder().task_definition_arn("arn").container_definitions(container).build();
        assert_eq!(kept(&definition), ("arn".to_owned(), BTreeSet::from(["team/web:1".to_owned()])));
    }
}
