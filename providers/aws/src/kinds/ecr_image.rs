//! ECR images: container images, indexes, and what is attached to them.
//!
//! Only active images are listed, which is what `DescribeImages` gives without a filter. Reading an index
//! counts as a pull: `BatchGetImage` moves its `lastRecordedPullTime`
//! (<https://github.com/aws/containers-roadmap/issues/2390>), so it is called for indexes only, whose
//! children nothing else tells, and never for an image, whose subject `DescribeImages` tells as well. A
//! registry that lists the sweeper's role in its pull time update exclusions records no pull at all.

use crate::{
    acts::{self, post},
    asks,
    auth::Aws,
    fault,
    kinds::{
        at,
        ecr_repository::{self, LIST as REPOSITORIES, TAGS},
    },
    marks,
    pen::{self, send, sent, unknown},
    policy,
};
use async_trait::async_trait;
use aws_sdk_ecr::{
    Client,
    types::{ImageDetail, ImageIdentifier, Repository, Tag},
};
use futures_util::{
    future::BoxFuture,
    stream::{self, StreamExt as _},
};
use serde_json::Value;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::{Pages, Site},
    deed::{ActSpec, Deed, Pen, Reversal, Sent, Target},
    facts::{Artifact, FactsRef, Media},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Relation},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ecr-image",
    cloud: CloudId::Aws,
    class: Class::Artifact,
    title: "ECR image",
    places: Places::Regions,
    reads: &[LIST, REPOSITORIES, TAGS],
    asks: &[LIST, MANIFEST, SHARES, REPOSITORIES, TAGS],
    refers: &[],
    needs: &[],
    out_of_sight: &[
        (Relation::Referenced, "other accounts and machines that pull an image by digest"),
        (Relation::Referenced, "schedules and pipelines that name an older task definition"),
    ],
    advised: "",
    report_only: "",
    acts: &[ACT_DELETE],
};

const ACT_DELETE: ActSpec = acts::delete(
    &[post(DELETE, "BatchDeleteImage")],
    Reversal::OneWay("the image with every tag that is on it: whoever built it pushes it again, under another digest"),
);

const DELETE: &str = "ecr:BatchDeleteImage";

const LIST: &str = "ecr:DescribeImages";
const MANIFEST: &str = "ecr:BatchGetImage";
const SHARES: &str = "ecr:GetRepositoryPolicy";

/// Images a call may name (ECR API reference, BatchGetImage and DescribeImages).
const MOST: usize = 100;

/// Indexes, by the media type of their manifest.
const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
/// Images, by the media type of their manifest.
const IMAGES: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
/// Container images, by the media type of their configuration; others are charts, signatures, SBOMs.
const CONTAINERS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// Bytes of the GB that storage is billed by.
const GB: i128 = 1 << 30;

pub(super) struct EcrImage(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for EcrImage {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ecr = self.0.ecr(site.scope());
        let repositories = ecr_repository::repositories(&self.0, site, &ecr).await?;
        let work: Vec<_> = repositories.iter().map(|repository| contents(site, &ecr, repository)).collect();
        let mut results = stream::iter(work).buffered(asks::AT_ONCE);
        let mut at = repositories.iter();
        while let Some(result) = results.next().await {
            let (tags, images) = result?;
            if let Some(repository) = at.next() {
                push(repository.repository_name().unwrap_or_default(), tags.as_deref(), &images, out);
            }
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let ecr = self.0.ecr(site.scope());
        let of = |question| asks.iter().filter(move |ask| ask.question == question);
        let mut work: Vec<BoxFuture<'_, Vec<(Ask, Answer)>>> = Vec::new();
        for (repository, asks) in asks::by_container(inventory, of(Question::Manifest), '@') {
            let (indexes, images): (Vec<Ask>, Vec<Ask>) =
                asks.into_iter().partition(|ask| is_index(inventory.at(ask.resource)));
            for batch in indexes.chunks(MOST).map(<[Ask]>::to_vec) {
                work.push(Box::pin(children(site, &ecr, inventory, repository, batch)));
            }
            for batch in images.chunks(MOST).map(<[Ask]>::to_vec) {
                work.push(Box::pin(subjects(site, &ecr, inventory, repository, batch)));
            }
        }
        for (repository, asks) in asks::by_container(inventory, of(Question::Shares), '@') {
            work.push(Box::pin(same(asks, shares(site, &ecr, repository))));
        }
        for (repository, asks) in asks::by_container(inventory, of(Question::Tags), '@') {
            work.push(Box::pin(same(asks, tags_of(site, &ecr, repository))));
        }
        Ok(stream::iter(work).buffered(asks::AT_ONCE).concat().await)
    }

    /// An upper bound: images of a repository share layers, which are stored once.
    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        let FactsRef::Artifact(artifact) = resource.facts() else { return Cost::unknown() };
        if artifact.media == Media::Index {
            return Cost::list(Amount::ZERO);
        }
        match (artifact.size_bytes, prices.unit(CloudId::Aws, resource.region(), "ecr.gb-month")) {
            (Some(bytes), Some(gb)) => Cost::upper_bound(gb.scaled(i128::from(bytes), GB)),
            _ => Cost::unknown(),
        }
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let ecr = self.0.ecr(site.scope());
        let Some((name, digest)) = target.native_id.split_once('@') else {
            return Err(CloudError::new(Fault::Malformed, LIST, "no digest"));
        };
        let repository =
            fault::maybe(site, REPOSITORIES, || ecr.describe_repositories().repository_names(name).send()).await?;
        let named = |repository: &&Repository| repository.repository_name() == Some(name);
        let repository = acts::found(REPOSITORIES, repository, |page| page.repositories().iter().find(named).cloned())?;
        let Some(repository) = repository else { return Ok(()) };
        let id = ImageIdentifier::builder().image_digest(digest).build();
        let page =
            fault::maybe(site, LIST, || ecr.describe_images().repository_name(name).image_ids(id.clone()).send())
                .await?;
        let own = |image: &&ImageDetail| image.image_digest() == Some(digest);
        if let Some(image) = acts::found(LIST, page, |page| page.image_details().iter().find(own).cloned())? {
            let tags = ecr_repository::tags(site, &ecr, &repository).await?;
            push(name, tags.as_deref(), &[image], out);
        }
        Ok(())
    }

    /// By digest, so that a tag that was moved meanwhile takes nothing else along. The service itself refuses the
    /// child of an index that is still there.
    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        if *pen.permit().deed() != Deed::Delete {
            return Err(unknown(pen));
        }
        let target = pen.target();
        let Some((name, digest)) = target.native_id.split_once('@').filter(|(_, digest)| digest.starts_with("sha256:"))
        else {
            return Err(CloudError::new(Fault::Refused, DELETE, "no digest: an image is never deleted by a tag"));
        };
        let own = [pen::arn(target, "ecr", &format!("repository/{name}"))];
        let ecr = self.0.writer(&SPEC, pen, &own).await?.ecr();
        let id = ImageIdentifier::builder().image_digest(digest).build();
        let answer = send(pen, DELETE, ecr.batch_delete_image().repository_name(name).image_ids(id).send()).await?;
        // The answer succeeds whatever became of it.
        if let Some(failed) = answer.failures().first() {
            let code = failed.failure_code().map_or("no code", |code| code.as_str());
            return Err(fault::coded(DELETE, code, failed.failure_reason().unwrap_or_default()));
        }
        if answer.image_ids().iter().any(|id| id.image_digest() == Some(digest)) {
            return Ok(sent(&answer, ""));
        }
        Err(CloudError::new(Fault::Malformed, DELETE, "the answer does not tell of the image"))
    }
}

fn is_index(resource: Resource<'_>) -> bool {
    matches!(resource.facts(), FactsRef::Artifact(artifact) if artifact.media == Media::Index)
}

/// The tags and the images of a repository. One that is gone by now has none.
async fn contents(
    site: &Site,
    ecr: &Client,
    repository: &Repository,
) -> Result<(Option<Vec<Tag>>, Vec<ImageDetail>), CloudError> {
    let name = repository.repository_name().unwrap_or_default();
    let mut images = Vec::new();
    let mut pages = Pages::new(LIST);
    while let Some(token) = pages.next() {
        let page = fault::maybe(site, LIST, || {
            ecr.describe_images().repository_name(name).max_results(1000).set_next_token(token.clone()).send()
        })
        .await?;
        let Some(page) = page else { return Ok((None, Vec::new())) };
        images.extend(page.image_details().iter().cloned());
        pages.seen(page.next_token())?;
    }
    if images.is_empty() {
        return Ok((None, images));
    }
    Ok((ecr_repository::tags(site, ecr, repository).await?, images))
}

fn push(repository: &str, tags: Option<&[Tag]>, images: &[ImageDetail], out: &mut Listing) {
    let pairs = tags.map(ecr_repository::pairs);
    let managed_by = pairs.as_deref().map_or_else(String::new, marks::managed_by);
    let container = out.sym(repository);
    let ranks = ranks(images);
    for (image, rank) in images.iter().zip(ranks) {
        let also: Vec<String> = image.image_tags().iter().map(|tag| format!("{repository}:{tag}")).collect();
        let media = media(image);
        let pushed = at(image.image_pushed_at());
        let facts = Artifact {
            tagged: !also.is_empty(),
            // An index stores no layers; its size here is that of its largest child.
            size_bytes: image
                .image_size_in_bytes()
                .filter(|_| media != Media::Index)
                .and_then(|bytes| u64::try_from(bytes).ok()),
            pushed,
            last_pulled: at(image.last_recorded_pull_time()),
            pull_recorded: true,
            media,
            container,
            rank,
            package: false,
            users_listed: true,
        };
        let digest = image.image_digest().unwrap_or_default();
        out.push(Draft {
            name: also.first().map_or("", String::as_str),
            created: pushed,
            managed_by: &managed_by,
            // Images have no tags of their own: an owner is named at the repository.
            tags: pairs.clone().map_or(Tags::Unread, Tags::Read),
            also: also.iter().map(String::as_str).collect(),
            ..Draft::new(&format!("{repository}@{digest}"), facts)
        });
    }
}

/// The place of each image by its push, the newest first, from 1.
fn ranks(images: &[ImageDetail]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.sort_by_key(|at| (Reverse(images[*at].image_pushed_at().map(aws_smithy_types::DateTime::secs)), *at));
    let mut ranks = vec![0; images.len()];
    for (rank, at) in (1..).zip(order) {
        ranks[at] = rank;
    }
    ranks
}

fn media(image: &ImageDetail) -> Media {
    let manifest = image.image_manifest_media_type().unwrap_or_default();
    if INDEXES.contains(&manifest) {
        Media::Index
    } else if IMAGES.contains(&manifest) && image.artifact_media_type().is_none_or(|kind| CONTAINERS.contains(&kind)) {
        Media::Image
    } else {
        Media::Other
    }
}

fn identifiers(inventory: &Inventory, batch: &[Ask]) -> Vec<ImageIdentifier> {
    let digests: BTreeSet<&str> = batch.iter().map(|ask| digest(inventory.at(ask.resource).native_id())).collect();
    digests.into_iter().map(|digest| ImageIdentifier::builder().image_digest(digest).build()).collect()
}

fn digest(native: &str) -> &str {
    native.split_once('@').map_or(native, |(_, digest)| digest)
}

/// Gives each ask what was answered for its digest.
fn dealt(
    inventory: &Inventory,
    batch: &[Ask],
    op: &'static str,
    answered: Result<BTreeMap<String, Answer>, CloudError>,
) -> Vec<(Ask, Answer)> {
    let answer = |ask: &Ask| match &answered {
        Ok(answered) => answered
            .get(digest(inventory.at(ask.resource).native_id()))
            .cloned()
            .unwrap_or_else(|| Answer::Unseen(CloudError::new(Fault::NotFound, op, "").cause())),
        Err(error) => Answer::Unseen(error.cause()),
    };
    batch.iter().map(|ask| (*ask, answer(ask))).collect()
}

/// One answer for all asks about the images of a repository.
async fn same(asks: Vec<Ask>, answer: impl Future<Output = Result<Answer, CloudError>> + Send) -> Vec<(Ask, Answer)> {
    let answer = asks::or_unseen(answer.await);
    asks.into_iter().map(|ask| (ask, answer.clone())).collect()
}

/// What indexes list, and what they are attached to.
async fn children(
    site: &Site,
    ecr: &Client,
    inventory: &Inventory,
    repository: &str,
    batch: Vec<Ask>,
) -> Vec<(Ask, Answer)> {
    let ids = identifiers(inventory, &batch);
    let accepted: Vec<String> = INDEXES.iter().chain(&IMAGES).map(|kind| (*kind).to_owned()).collect();
    let page = fault::call(site, MANIFEST, || {
        ecr.batch_get_image()
            .repository_name(repository)
            .set_image_ids(Some(ids.clone()))
            .set_accepted_media_types(Some(accepted.clone()))
            .send()
    })
    .await;
    let answered = page.map(|page| {
        let manifests = page.images().iter().filter_map(|image| {
            let digest = image.image_id()?.image_digest()?;
            Some((digest.to_owned(), manifest(repository, image.image_manifest().unwrap_or_default())))
        });
        manifests.collect()
    });
    dealt(inventory, &batch, MANIFEST, answered)
}

/// What images that list nothing are attached to.
async fn subjects(
    site: &Site,
    ecr: &Client,
    inventory: &Inventory,
    repository: &str,
    batch: Vec<Ask>,
) -> Vec<(Ask, Answer)> {
    let ids = identifiers(inventory, &batch);
    let page = fault::call(site, LIST, || {
        ecr.describe_images().repository_name(repository).set_image_ids(Some(ids.clone())).send()
    })
    .await;
    let answered = page.map(|page| {
        let subjects = page.image_details().iter().filter_map(|image| {
            let subject = image.subject_manifest_digest().map(|subject| format!("{repository}@{subject}"));
            Some((image.image_digest()?.to_owned(), Answer::Manifest { children: Vec::new(), subject }))
        });
        subjects.collect()
    });
    dealt(inventory, &batch, LIST, answered)
}

/// Reads a manifest. Only digests are kept.
fn manifest(repository: &str, text: &str) -> Answer {
    let Ok(manifest) = serde_json::from_str::<Value>(text) else {
        return Answer::Unseen(CloudError::new(Fault::Malformed, MANIFEST, "").cause());
    };
    let named =
        |value: &Value| value.get("digest").and_then(Value::as_str).map(|digest| format!("{repository}@{digest}"));
    let children = manifest.get("manifests").and_then(Value::as_array);
    Answer::Manifest {
        children: children.map_or_else(Vec::new, |children| children.iter().filter_map(named).collect()),
        subject: manifest.get("subject").and_then(named),
    }
}

async fn shares(site: &Site, ecr: &Client, repository: &str) -> Result<Answer, CloudError> {
    let answer = fault::call(site, SHARES, || ecr.get_repository_policy().repository_name(repository).send()).await;
    match answer {
        Ok(answer) => policy::accounts(answer.policy_text().unwrap_or_default(), &site.scope().account)
            .map(Answer::Shares)
            .ok_or_else(|| CloudError::new(Fault::Malformed, SHARES, "the policy is not JSON")),
        Err(error) if error.message.starts_with("RepositoryPolicyNotFoundException") => Ok(Answer::Shares(Vec::new())),
        Err(error) => Err(error),
    }
}

async fn tags_of(site: &Site, ecr: &Client, repository: &str) -> Result<Answer, CloudError> {
    let page =
        fault::call(site, REPOSITORIES, || ecr.describe_repositories().repository_names(repository).send()).await?;
    let arn = page.repositories().first().and_then(Repository::repository_arn).unwrap_or_default();
    ecr_repository::tags_answer(site, ecr, arn).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::DateTime;

    #[test]
    fn the_newest_push_is_first() {
        let pushed = |secs| ImageDetail::builder().image_pushed_at(DateTime::from_secs(secs)).build();
        assert_eq!(ranks(&[pushed(5), pushed(9), ImageDetail::builder().build(), pushed(7)]), [3, 1, 4, 2]);
    }

    #[test]
    fn media_types_say_what_it_is() {
        let of = |manifest: &str, artifact: Option<&str>| {
            media(
                &ImageDetail::builder()
                    .image_manifest_media_type(manifest)
                    .set_artifact_media_type(artifact.map(str::to_owned))
                    .build(),
            )
        };
        assert_eq!(of(INDEXES[0], None), Media::Index);
        assert_eq!(of(INDEXES[1], Some("x")), Media::Index);
        assert_eq!(of(IMAGES[1], Some(CONTAINERS[1])), Media::Image);
        assert_eq!(of(IMAGES[0], Some("application/vnd.cncf.helm.config.v1+json")), Media::Other);
        assert_eq!(of("something/new", None), Media::Other);
    }

    #[test]
    fn a_manifest_names_children_and_subject() {
        let text = r#"{"manifests":[{"digest":"sha256:a"},{"digest":"sha256:b"}],"subject":{"digest":"sha256:c"}}"#;
        let expected = Answer::Manifest {
            children: vec!["web@sha256:a".to_owned(), "web@sha256:b".to_owned()],
            subject: Some("web@sha256:c".to_owned()),
        };
        assert_eq!(manifest("web", text), expected);
        assert_eq!(manifest("web", r#"{"layers":[]}"#), Answer::Manifest { children: Vec::new(), subject: None });
        assert!(matches!(manifest("web", "<html>"), Answer::Unseen(_)));
    }
}
