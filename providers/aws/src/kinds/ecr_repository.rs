//! ECR repositories.

use crate::{asks, auth::Aws, fault, kinds::at, marks};
use async_trait::async_trait;
use aws_sdk_ecr::{
    Client,
    types::{Repository, Tag},
};
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::{Pages, Site},
    facts::Registry,
    inventory::{Draft, Inventory, Listing, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ecr-repository",
    cloud: CloudId::Aws,
    class: Class::Registry,
    title: "ECR repository",
    places: Places::Regions,
    reads: &[LIST, TAGS],
    asks: &[TAGS],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "a repository contains other things",
    acts: &[],
};

pub(super) const LIST: &str = "ecr:DescribeRepositories";
pub(super) const TAGS: &str = "ecr:ListTagsForResource";

pub(super) struct EcrRepository(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for EcrRepository {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ecr = self.0.ecr(site.scope());
        let repositories = repositories(&self.0, site, &ecr).await?;
        let work: Vec<_> = repositories.iter().map(|repository| tags(site, &ecr, repository)).collect();
        let tags = asks::all(work).await?;
        for (repository, tags) in repositories.iter().zip(&tags) {
            push(repository, tags.as_deref(), out);
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let ecr = self.0.ecr(site.scope());
        let asks = asks::of(asks, |question| question == Question::Tags);
        Ok(asks::alike(
            asks.into_iter().map(|ask| (ask, tags_answer(site, &ecr, inventory.at(ask.resource).uid()))).collect(),
        )
        .await)
    }

    /// A repository itself costs nothing: its images do.
    fn price(&self, _: sweeper_core::inventory::Resource<'_>, _: &dyn Prices) -> Cost {
        Cost::list(Amount::ZERO)
    }
}

/// Every repository of a scope, listed once for all kinds.
pub(super) async fn repositories(aws: &Aws, site: &Site, ecr: &Client) -> Result<Arc<Vec<Repository>>, CloudError> {
    aws.once(site, LIST, Box::pin(listed(site, ecr))).await
}

async fn listed(site: &Site, ecr: &Client) -> Result<Vec<Repository>, CloudError> {
    let mut repositories = Vec::new();
    let mut pages = Pages::new(LIST);
    while let Some(token) = pages.next() {
        let page = fault::call(site, LIST, || {
            ecr.describe_repositories().max_results(1000).set_next_token(token.clone()).send()
        })
        .await?;
        repositories.extend(page.repositories().iter().cloned());
        pages.seen(page.next_token())?;
    }
    Ok(repositories)
}

/// A repository's tags; `None` where they may not be read, which does not blind the listing.
pub(super) async fn tags(site: &Site, ecr: &Client, repository: &Repository) -> Result<Option<Vec<Tag>>, CloudError> {
    let arn = repository.repository_arn().unwrap_or_default();
    match fault::call(site, TAGS, || ecr.list_tags_for_resource().resource_arn(arn).send()).await {
        Ok(answer) => Ok(Some(answer.tags().to_vec())),
        Err(error) if matches!(error.fault, Fault::Denied | Fault::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The tags of a repository by its ARN.
pub(super) async fn tags_answer(site: &Site, ecr: &Client, arn: &str) -> Result<Answer, CloudError> {
    let answer = fault::call(site, TAGS, || ecr.list_tags_for_resource().resource_arn(arn).send()).await?;
    Ok(Answer::Tags(answer.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()))
}

/// Tags as pairs.
pub(super) fn pairs(tags: &[Tag]) -> Vec<(&str, &str)> {
    tags.iter().map(|tag| (tag.key(), tag.value())).collect()
}

fn push(repository: &Repository, tags: Option<&[Tag]>, out: &mut Listing) {
    let pairs = tags.map(pairs);
    let managed_by = pairs.as_deref().map_or_else(String::new, marks::managed_by);
    out.push(Draft {
        uid: repository.repository_arn().unwrap_or_default(),
        created: at(repository.created_at()),
        managed_by: &managed_by,
        tags: pairs.map_or(Tags::Unread, Tags::Read),
        ..Draft::new(repository.repository_name().unwrap_or_default(), Registry { images: None })
    });
}
