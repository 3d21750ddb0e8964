//! Images in Artifact Registry: container images, indexes, and what is attached to them.
//!
//! The registry records no pulls. An index tells its children in the list; what an artifact is attached to is told
//! by the attachments of its repository, or by its own metadata.

use crate::{
    asks,
    auth::{Gcp, WHO},
    fault,
    kinds::artifact_repository::{self, GET as REPOSITORY, LIST as REPOSITORIES, LOCATIONS, Repository},
    newer::{self, KnownBy, Sort},
    paths,
    places::stops,
    rest::{Service, segment},
};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use google_cloud_artifactregistry_v1::{
    client::ArtifactRegistry,
    model::{DockerImage, VersionView, repository::Format},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::{Pages, Site},
    deed::{ActSpec, DeedKind, Pen, Permit, Progress, Reversal, Sent, Target},
    facts::{Artifact, FactsRef, Media},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Relation},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.artifact-image",
    cloud: CloudId::Gcp,
    class: Class::Artifact,
    title: "Artifact Registry image",
    places: Places::Account,
    reads: &[LIST, REPOSITORIES, LOCATIONS],
    asks: &[ATTACHMENTS, IMAGE, VERSION, SHARES, WHO],
    refers: &[],
    needs: &[],
    out_of_sight: &[
        (
            Relation::Referenced,
            "machines that run containers, Cloud Run worker pools, Batch, Vertex AI and whoever else pulls by digest",
        ),
        (Relation::Referenced, "projects that a grant on this project or above lets pull its images"),
    ],
    advised: "",
    report_only: "",
    acts: ACTS,
};

const LIST: &str = "artifactregistry.dockerimages.list";
const IMAGE: &str = "artifactregistry.dockerimages.get";
const DELETE: &str = "artifactregistry.versions.delete";
/// An image is known by its digest, and an upload of it by its time.
const SORT: Sort = Sort {
    service: Service::ArtifactRegistry,
    version: "v1",
    get: IMAGE,
    // Artifact Registry has no permission for its operations.
    watch: DELETE,
    known_by: KnownBy::Time("uploadTime"),
};

const ACTS: &[ActSpec] = &[ActSpec {
    deed: DeedKind::Delete,
    writes: artifact_repository::DELETES,
    reads: &[IMAGE, REPOSITORY],
    reversal: Reversal::OneWay("the image: Artifact Registry keeps nothing of a deleted one; it can be pushed again"),
    keeps: &[],
    takes: &[],
}];
const VERSION: &str = "artifactregistry.versions.get";
const ATTACHMENTS: &str = "artifactregistry.attachments.list";
const SHARES: &str = "artifactregistry.repositories.getIamPolicy";

/// Indexes, by the media type of their manifest.
const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
/// Images, by the media type of their manifest.
const IMAGES: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
/// Container images, by what they say they are; others are charts, signatures, SBOMs.
const CONTAINERS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// Repositories that Cloud Functions builds into. A function does not tell the digest it runs, so who uses what is
/// in there cannot be listed ("Cloud Run functions locations", "image registry").
const FUNCTIONS: &str = "gcf-artifacts";

/// Bytes of the GB that storage is billed by.
const GB: i128 = 1 << 30;

pub(super) struct ArtifactImage(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for ArtifactImage {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let listed = artifact_repository::repositories(&self.0, site).await?;
        listed.blind(out);
        let client = self.0.artifact_registry(LIST).await?;
        let holding: Vec<&Repository> =
            listed.all.iter().filter(|one| one.format == Format::Docker && !one.is_virtual).collect();
        let work = holding.iter().map(|repository| contents(site, &client, repository)).collect();
        for (repository, images) in holding.iter().zip(asks::all(work).await?) {
            match images {
                Ok(images) => push(repository, &images, out),
                Err(error) => out.blind_in(repository.location(), error.cause()),
            }
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let client = &self.0.artifact_registry(SHARES).await?;
        let mut repositories: BTreeMap<String, Vec<Ask>> = BTreeMap::new();
        for ask in asks {
            repositories.entry(repository_of(inventory.at(ask.resource))).or_default().push(*ask);
        }
        let mut work: Vec<(Ask, BoxFuture<'_, Vec<(Ask, Answer)>>)> = Vec::new();
        for (repository, asks) in repositories {
            let of = |wanted| asks::of(&asks, |question| question == wanted);
            let (shares, manifests) = (of(Question::Shares), of(Question::Manifest));
            if let Some(first) = shares.first() {
                work.push((*first, Box::pin(shared(&self.0, site, client, repository.clone(), shares.clone()))));
            }
            if let Some(first) = manifests.first() {
                work.push((*first, Box::pin(manifests_of(site, client, inventory, repository, manifests.clone()))));
            }
        }
        let work = work.into_iter().map(|(_, answers)| async move { Ok(answers.await) }).collect();
        Ok(asks::all(work).await?.into_iter().flatten().collect())
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let Some(image) = SORT.find::<DockerImage>(&self.0, site, &path(target)).await? else { return Ok(()) };
        let repository = artifact_repository::one(&self.0, site, target).await?;
        push(&repository, &[image], out);
        Ok(())
    }

    /// By its digest, and never with force: the registry deletes none that has a tag, and none that an index lists.
    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let target = pen.target();
        let Some(found) = SORT.same(&self.0, pen.site(), target, &path(target)).await? else {
            return Ok(Sent::default());
        };
        if let Some(tag) = found["tags"].as_array().and_then(|tags| tags.first()).and_then(|tag| tag.as_str()) {
            return Err(CloudError::new(Fault::Refused, DELETE, format!("it has the tag {tag}")));
        }
        SORT.delete_seen(&self.0, pen, DELETE, artifact_repository::version_path(target), &found).await
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        SORT.progress(&self.0, site, permit, sent, &path(permit.target())).await
    }

    /// An upper bound: images of a repository share layers, which are stored once.
    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        let FactsRef::Artifact(artifact) = resource.facts() else { return Cost::unknown() };
        if artifact.media == Media::Index {
            return Cost::list(Amount::ZERO);
        }
        match (artifact.size_bytes, prices.unit(CloudId::Gcp, resource.region(), "artifact-registry.gb-month")) {
            (Some(bytes), Some(gb)) => Cost::upper_bound(gb.scaled(i128::from(bytes), GB)),
            _ => Cost::unknown(),
        }
    }
}

/// The path of an image, whose native id is `repository/team/web@sha256:…`.
fn path(target: &Target) -> String {
    let (repository, image) = target.native_id.split_once('/').unwrap_or_default();
    let place = newer::location(SORT.version, target);
    format!("{place}/repositories/{}/dockerImages/{}", segment(repository), segment(image))
}

/// The images of a repository, or why they cannot be seen; none when it is gone by now.
async fn contents(
    site: &Site,
    client: &ArtifactRegistry,
    repository: &Repository,
) -> Result<Result<Vec<DockerImage>, CloudError>, CloudError> {
    let mut images = Vec::new();
    let mut pages = Pages::new(LIST);
    while let Some(token) = pages.next() {
        let page = fault::call(site, LIST, || {
            client
                .list_docker_images()
                .set_parent(&repository.path)
                .set_page_size(1000)
                .set_page_token(token.clone().unwrap_or_default())
                .send()
        })
        .await;
        match page {
            Ok(page) => {
                images.extend(page.docker_images);
                if let Err(error) = pages.seen(Some(&page.next_page_token)) {
                    return Ok(Err(error));
                }
            }
            Err(error) if error.fault == Fault::NotFound => return Ok(Ok(Vec::new())),
            // Off altogether, or an end of the run: not about this repository.
            Err(error) if stops(&error) || error.fault == Fault::NotOffered => return Err(error),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(images))
}

/// The part of an image's name after its repository, `team/web@sha256:…`, with slashes as they are.
fn id(image: &DockerImage) -> String {
    paths::last(&image.name).replace("%2F", "/").replace("%2f", "/")
}

/// `team/web` and `sha256:…`.
fn parts(id: &str) -> (&str, &str) {
    id.rsplit_once('@').unwrap_or((id, ""))
}

fn push(repository: &Repository, images: &[DockerImage], out: &mut Listing) {
    let managed_by = repository.managed_by();
    let prefixes = prefixes(repository);
    for (image, rank) in images.iter().zip(ranks(images)) {
        let id = id(image);
        let (name, digest) = parts(&id);
        let media = media(image);
        let pushed = super::instant(image.upload_time.as_ref());
        let container = format!("{}/{name}", repository.name());
        let facts = Artifact {
            tagged: !image.tags.is_empty(),
            size_bytes: u64::try_from(image.image_size_bytes).ok().filter(|bytes| *bytes > 0 && media != Media::Index),
            pushed,
            last_pulled: None,
            pull_recorded: false,
            media,
            container: out.sym(&container),
            rank,
            package: false,
            users_listed: repository.name() != FUNCTIONS,
        };
        let mut also = vec![image.name.clone()];
        for prefix in &prefixes {
            also.push(format!("{prefix}/{name}@{digest}"));
            also.extend(image.tags.iter().map(|tag| format!("{prefix}/{name}:{tag}")));
        }
        let children: Vec<String> =
            image.image_manifests.iter().map(|child| format!("{container}@{}", child.digest)).collect();
        out.push(Draft {
            name: image.tags.first().map_or("", |_| also.get(2).map_or("", String::as_str)),
            region: Some(repository.location()),
            created: pushed,
            managed_by: &managed_by,
            // Images have no labels of their own: an owner is named at the repository.
            tags: Tags::Read(repository.tags()),
            uses: children.iter().map(|child| (Relation::ChildOf, child.as_str())).collect(),
            also: also.iter().map(String::as_str).collect(),
            ..Draft::new(&format!("{container}@{digest}"), facts)
        });
    }
}

/// What the names of images begin with by which workloads pull from a repository: `project/repository`, that of
/// each virtual repository that passes it on, and for those that stand in for Container Registry the project alone.
fn prefixes(repository: &Repository) -> Vec<String> {
    let prefix = |path: &str| {
        let project = paths::after(path, "projects").unwrap_or_default().replace(':', "/");
        let name = paths::last(path);
        match name {
            "gcr.io" | "us.gcr.io" | "eu.gcr.io" | "asia.gcr.io" => vec![format!("{project}/{name}"), project],
            _ => vec![format!("{project}/{name}")],
        }
    };
    std::iter::once(&repository.path).chain(&repository.shown_by).flat_map(|path| prefix(path)).collect()
}

/// The place of each image by its upload among those of its name, the newest first, from 1.
fn ranks(images: &[DockerImage]) -> Vec<u32> {
    let ids: Vec<String> = images.iter().map(id).collect();
    let uploaded = |at: usize| images[at].upload_time.as_ref().map(|time| (time.seconds(), time.nanos()));
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.sort_by_key(|at| (Reverse(uploaded(*at)), *at));
    let mut next: BTreeMap<&str, u32> = BTreeMap::new();
    let mut ranks = vec![0; images.len()];
    for at in order {
        let rank = next.entry(parts(&ids[at]).0).or_insert(0);
        *rank += 1;
        ranks[at] = *rank;
    }
    ranks
}

fn media(image: &DockerImage) -> Media {
    let (manifest, artifact) = (image.media_type.as_str(), image.artifact_type.as_str());
    if INDEXES.contains(&manifest) {
        Media::Index
    } else if IMAGES.contains(&manifest)
        // Where it says no more than what its manifest is, it says nothing.
        && (artifact.is_empty() || artifact == manifest || CONTAINERS.contains(&artifact))
    {
        Media::Image
    } else {
        Media::Other
    }
}

/// `projects/p/locations/l/repositories/r` of an image `r/team/web@sha256:…`.
fn repository_of(resource: Resource<'_>) -> String {
    let repository = resource.native_id().split('/').next().unwrap_or_default();
    format!("projects/{}/locations/{}/repositories/{repository}", resource.account(), resource.region())
}

/// One answer for all asks about what is in a repository.
async fn shared(
    gcp: &Gcp,
    site: &Site,
    client: &ArtifactRegistry,
    repository: String,
    asks: Vec<Ask>,
) -> Vec<(Ask, Answer)> {
    let answer = async {
        let policy = fault::call(site, SHARES, || client.get_iam_policy().set_resource(&repository).send()).await?;
        let members = policy.bindings.iter().flat_map(|binding| &binding.members);
        let own = &site.scope().account;
        let mut shares = BTreeSet::new();
        for project in members.filter_map(|member| account(member, own)).collect::<BTreeSet<_>>() {
            shares.insert(by_id(gcp, site, project).await);
        }
        shares.remove(own);
        Ok(Answer::Shares(shares.into_iter().collect()))
    };
    let answer = asks::or_unseen(answer.await);
    asks.into_iter().map(|ask| (ask, answer.clone())).collect()
}

/// The project a member of a policy is of, where it is another: that of a service account, by id or number. People
/// and groups are of none.
fn account(member: &str, own: &str) -> Option<String> {
    if matches!(member, "allUsers" | "allAuthenticatedUsers") {
        return Some("all".to_owned());
    }
    if let Some(pool) = member.strip_prefix("principalSet://").or_else(|| member.strip_prefix("principal://")) {
        return paths::after(pool, "projects").filter(|project| *project != own).map(str::to_owned);
    }
    let account = member.strip_prefix("serviceAccount:")?;
    // Workload identity of a cluster: `project.svc.id.goog[namespace/name]`.
    if let Some((project, _)) = account.split_once(".svc.id.goog[") {
        return (project != own).then(|| project.to_owned());
    }
    let (name, domain) = account.split_once('@')?;
    let project = if domain == "appspot.gserviceaccount.com" {
        name
    } else if matches!(
        domain,
        "developer.gserviceaccount.com" | "cloudservices.gserviceaccount.com" | "cloudbuild.gserviceaccount.com"
    ) {
        name.split('-').next().unwrap_or(name)
    } else if let Some(project) = domain.strip_suffix(".iam.gserviceaccount.com") {
        // The agents of services carry the number of the project they serve.
        match name.strip_prefix("service-") {
            Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => number,
            _ => project,
        }
    } else {
        return None;
    };
    (project != own).then(|| project.to_owned())
}

/// The id of a project by its number, where this identity may know it; else the number, which no survey knows.
async fn by_id(gcp: &Gcp, site: &Site, project: String) -> String {
    if project.is_empty() || !project.bytes().all(|byte| byte.is_ascii_digit()) {
        return project;
    }
    let find = async {
        let client = gcp.projects(WHO).await?;
        let name = format!("projects/{project}");
        Ok(fault::call(site, WHO, || client.get_project().set_name(&name).send()).await?.project_id)
    };
    match gcp.once(site, format!("{WHO} {project}"), Box::pin(find)).await {
        Ok(id) if !id.is_empty() => id.as_ref().clone(),
        _ => project,
    }
}

/// What the artifacts of a repository list, and what they are attached to.
async fn manifests_of(
    site: &Site,
    client: &ArtifactRegistry,
    inventory: &Inventory,
    repository: String,
    asks: Vec<Ask>,
) -> Vec<(Ask, Answer)> {
    let attached = match attachments(site, client, &repository).await {
        Ok(attached) => attached,
        Err(error) => return asks.into_iter().map(|ask| (ask, Answer::Unseen(error.cause()))).collect(),
    };
    let work =
        asks.iter().map(|ask| (*ask, manifest(site, client, &repository, inventory.at(ask.resource), &attached)));
    asks::each(work.collect()).await
}

/// What is attached to what in a repository, by digests.
async fn attachments(
    site: &Site,
    client: &ArtifactRegistry,
    repository: &str,
) -> Result<BTreeMap<String, String>, CloudError> {
    let mut attached = BTreeMap::new();
    let mut pages = Pages::new(ATTACHMENTS);
    while let Some(token) = pages.next() {
        let page = fault::call(site, ATTACHMENTS, || {
            client
                .list_attachments()
                .set_parent(repository)
                .set_page_size(1000)
                .set_page_token(token.clone().unwrap_or_default())
                .send()
        })
        .await?;
        for one in &page.attachments {
            let version = paths::last(&one.oci_version_name);
            if !version.is_empty() {
                attached.insert(version.to_owned(), paths::last(&one.target).to_owned());
            }
        }
        pages.seen(Some(&page.next_page_token))?;
    }
    Ok(attached)
}

async fn manifest(
    site: &Site,
    client: &ArtifactRegistry,
    repository: &str,
    resource: Resource<'_>,
    attached: &BTreeMap<String, String>,
) -> Result<Answer, CloudError> {
    let FactsRef::Artifact(artifact) = resource.facts() else {
        return Err(CloudError::new(Fault::Malformed, IMAGE, ""));
    };
    let id = resource.native_id().split_once('/').map_or("", |(_, id)| id);
    let (name, digest) = parts(id);
    let container = resource.inventory().text(artifact.container);
    let beside = |digest: &str| format!("{container}@{digest}");
    let mut subject = attached.get(digest).map(|digest| beside(digest));
    let mut children = Vec::new();
    let escaped = name.replace('/', "%2F");
    let told = resource.uses().any(|(relation, _)| relation == Relation::ChildOf);
    if artifact.media == Media::Index && !told {
        let path = format!("{repository}/dockerImages/{escaped}@{digest}");
        let image = fault::call(site, IMAGE, || client.get_docker_image().set_name(&path).send()).await?;
        if image.image_manifests.is_empty() {
            // Lists made before the registry told the children of an index say nothing of them.
            return Ok(Answer::Unseen("not told: children of an index".to_owned()));
        }
        children = image.image_manifests.iter().map(|child| beside(&child.digest)).collect();
    }
    if artifact.media == Media::Other && subject.is_none() {
        let path = format!("{repository}/packages/{escaped}/versions/{digest}");
        let version =
            fault::call(site, VERSION, || client.get_version().set_name(&path).set_view(VersionView::Full).send())
                .await?;
        subject = version.metadata.as_ref().and_then(subject_in).map(|digest| beside(&digest));
    }
    Ok(Answer::Manifest { children, subject })
}

/// The digest of what an artifact is attached to, from the metadata of its version.
fn subject_in(metadata: &serde_json::Map<String, serde_json::Value>) -> Option<String> {
    ["subjectDigest", "subject_digest"].iter().find_map(|key| metadata.get(*key)?.as_str()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn image(json: serde_json::Value) -> DockerImage {
        serde_json::from_value(json).unwrap()
    }

    fn named(name: &str, uploaded: &str) -> DockerImage {
        let path = format!("projects/p/locations/us/repositories/r/dockerImages/{name}");
        image(json!({ "name": path, "uploadTime": uploaded }))
    }

    #[test]
    fn the_newest_upload_of_each_name_is_first() {
        let images = [
            named("web@sha256:a", "2026-01-01T00:00:00Z"),
            named("web@sha256:b", "2026-03-01T00:00:00Z"),
            named("team%2Fapi@sha256:c", "2026-02-01T00:00:00Z"),
            named("web@sha256:d", "2026-02-01T00:00:00Z"),
        ];
        assert_eq!(ranks(&images), [3, 1, 1, 2]);
        assert_eq!(id(&images[2]), "team/api@sha256:c");
        assert_eq!(parts("team/api@sha256:c"), ("team/api", "sha256:c"));
        assert_eq!(parts("odd"), ("odd", ""));
    }

    #[test]
    fn media_types_say_what_it_is() {
        let of = |manifest: &str, artifact: &str| {
            media(&image(json!({ "name": "x", "mediaType": manifest, "artifactType": artifact })))
        };
        assert_eq!(of(INDEXES[0], ""), Media::Index);
        assert_eq!(of(INDEXES[1], "x"), Media::Index);
        assert_eq!(of(IMAGES[1], ""), Media::Image);
        assert_eq!(of(IMAGES[0], CONTAINERS[0]), Media::Image);
        assert_eq!(of(IMAGES[0], "application/vnd.dev.cosign.artifact.sig.v1+json"), Media::Other);
        assert_eq!(of("something/new", ""), Media::Other);
    }

    #[test]
    fn whose_a_member_is() {
        let of = |member: &str| account(member, "own");
        assert_eq!(of("allUsers").as_deref(), Some("all"));
        assert_eq!(of("serviceAccount:ci@other.iam.gserviceaccount.com").as_deref(), Some("other"));
        assert_eq!(of("serviceAccount:ci@own.iam.gserviceaccount.com"), None);
        let agent = "serviceAccount:service-12@serverless-robot-prod.iam.gserviceaccount.com";
        assert_eq!(of(agent).as_deref(), Some("12"));
        assert_eq!(of("serviceAccount:34-compute@developer.gserviceaccount.com").as_deref(), Some("34"));
        assert_eq!(of("serviceAccount:other@appspot.gserviceaccount.com").as_deref(), Some("other"));
        assert_eq!(of("serviceAccount:other.svc.id.goog[shop/web]").as_deref(), Some("other"));
        let pool = "principalSet://iam.googleapis.com/projects/56/locations/global/workloadIdentityPools/ci/*";
        assert_eq!(of(pool).as_deref(), Some("56"));
        assert_eq!(of("user:somebody@example.com"), None);
        assert_eq!(of("group:all@example.com"), None);
        assert_eq!(of("é"), None);
    }
}
