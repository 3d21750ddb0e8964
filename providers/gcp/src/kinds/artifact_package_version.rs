//! Versions of packages in Artifact Registry: Maven, npm, Python and the other formats that hold no images. Who
//! uses one cannot be listed: builds of anybody may fetch it.

use crate::{
    asks,
    auth::Gcp,
    fault,
    kinds::artifact_repository::{self, GET as REPOSITORY, LIST as REPOSITORIES, LOCATIONS, Repository},
    newer::{KnownBy, Sort},
    paths,
    places::stops,
    rest::{Request, Service},
};
use async_trait::async_trait;
use google_cloud_artifactregistry_v1::{
    client::ArtifactRegistry,
    model::{Version, VersionView, repository::Format},
};
use std::{cmp::Reverse, sync::Arc};
use sweeper_core::{
    calls::{Pages, Site},
    deed::{ActSpec, DeedKind, Pen, Permit, Progress, Reversal, Sent, Target},
    facts::{Artifact, Media},
    inventory::{Draft, Listing, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.artifact-package-version",
    cloud: CloudId::Gcp,
    class: Class::Artifact,
    title: "Artifact Registry package version",
    places: Places::Account,
    reads: &[VERSIONS, PACKAGES, REPOSITORIES, LOCATIONS],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: ACTS,
};

const PACKAGES: &str = "artifactregistry.packages.list";
const VERSIONS: &str = "artifactregistry.versions.list";
const GET: &str = "artifactregistry.versions.get";
const DELETE: &str = "artifactregistry.versions.delete";
const SORT: Sort = Sort {
    service: Service::ArtifactRegistry,
    version: "v1",
    get: GET,
    // Artifact Registry has no permission for its operations.
    watch: DELETE,
    known_by: KnownBy::Time("createTime"),
};

const ACTS: &[ActSpec] = &[ActSpec {
    deed: DeedKind::Delete,
    writes: artifact_repository::DELETES,
    reads: &[GET, REPOSITORY],
    reversal: Reversal::OneWay(
        "the version: Artifact Registry keeps nothing of a deleted one, and formats such as Maven's refuse to have it published again",
    ),
    keeps: &[],
    takes: &[],
}];

pub(super) struct ArtifactPackageVersion(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for ArtifactPackageVersion {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let listed = artifact_repository::repositories(&self.0, site).await?;
        listed.blind(out);
        let client = self.0.artifact_registry(VERSIONS).await?;
        let holding: Vec<&Repository> =
            listed.all.iter().filter(|one| one.format != Format::Docker && !one.is_virtual).collect();
        let work = holding.iter().map(|repository| contents(site, &client, repository)).collect();
        for (repository, packages) in holding.iter().zip(asks::all(work).await?) {
            match packages {
                Ok(packages) => {
                    for versions in &packages {
                        push(repository, versions, out);
                    }
                }
                Err(error) => out.blind_in(repository.location(), error.cause()),
            }
        }
        Ok(())
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        // Without the full view the tags are left out.
        let request = Request::get(Service::ArtifactRegistry, artifact_repository::version_path(target));
        let Some(version) = self.0.find::<Version>(site, GET, request.with("view", "FULL")).await? else {
            return Ok(());
        };
        let repository = artifact_repository::one(&self.0, site, target).await?;
        push(&repository, &[version], out);
        Ok(())
    }

    /// Never with force: none that has a tag.
    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        SORT.delete(&self.0, pen, DELETE, artifact_repository::version_path(pen.target())).await
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        let path = artifact_repository::version_path(permit.target());
        SORT.progress(&self.0, site, permit, sent, &path).await
    }
}

/// The versions of each package of a repository, or why they cannot be seen; none when it is gone by now.
async fn contents(
    site: &Site,
    client: &ArtifactRegistry,
    repository: &Repository,
) -> Result<Result<Vec<Vec<Version>>, CloudError>, CloudError> {
    let read = async {
        let mut told = Vec::new();
        for package in packages(site, client, &repository.path).await? {
            told.push(versions(site, client, &package).await?);
        }
        Ok::<_, CloudError>(told)
    };
    match read.await {
        Err(error) if error.fault == Fault::NotFound => Ok(Ok(Vec::new())),
        // Off altogether, or an end of the run: not about this repository.
        Err(error) if stops(&error) || error.fault == Fault::NotOffered => Err(error),
        told => Ok(told),
    }
}

async fn packages(site: &Site, client: &ArtifactRegistry, repository: &str) -> Result<Vec<String>, CloudError> {
    let mut found = Vec::new();
    let mut pages = Pages::new(PACKAGES);
    while let Some(token) = pages.next() {
        let page = fault::call(site, PACKAGES, || {
            client
                .list_packages()
                .set_parent(repository)
                .set_page_size(1000)
                .set_page_token(token.clone().unwrap_or_default())
                .send()
        })
        .await?;
        pages.seen(Some(&page.next_page_token))?;
        found.extend(page.packages.into_iter().map(|package| package.name));
    }
    Ok(found)
}

/// The versions of a package; none when it is gone by now.
async fn versions(site: &Site, client: &ArtifactRegistry, package: &str) -> Result<Vec<Version>, CloudError> {
    let mut found = Vec::new();
    let mut pages = Pages::new(VERSIONS);
    while let Some(token) = pages.next() {
        let page = fault::call(site, VERSIONS, || {
            client
                .list_versions()
                .set_parent(package)
                .set_page_size(1000)
                // Without it the tags are left out.
                .set_view(VersionView::Full)
                .set_page_token(token.clone().unwrap_or_default())
                .send()
        })
        .await;
        match page {
            Ok(page) => {
                pages.seen(Some(&page.next_page_token))?;
                found.extend(page.versions);
            }
            Err(error) if error.fault == Fault::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// `repository/package@version`, with slashes as they are: scopes of npm, groups of Maven.
fn id(repository: &str, version: &Version) -> String {
    let plain = |segment: Option<&str>| segment.unwrap_or_default().replace("%2F", "/").replace("%2f", "/");
    let package = plain(paths::after(&version.name, "packages"));
    format!("{repository}/{package}@{}", plain(paths::after(&version.name, "versions")))
}

fn push(repository: &Repository, versions: &[Version], out: &mut Listing) {
    let managed_by = repository.managed_by();
    let mut order: Vec<&Version> = versions.iter().collect();
    let made = |version: &Version| version.create_time.as_ref().map(|time| (time.seconds(), time.nanos()));
    order.sort_by(|a, b| (Reverse(made(a)), &a.name).cmp(&(Reverse(made(b)), &b.name)));
    for (rank, version) in (1..).zip(order) {
        let id = id(repository.name(), version);
        let container = id.rsplit_once('@').map_or("", |(container, _)| container);
        let pushed = super::instant(version.create_time.as_ref());
        let facts = Artifact {
            tagged: !version.related_tags.is_empty(),
            size_bytes: None,
            pushed,
            last_pulled: None,
            pull_recorded: false,
            media: Media::Other,
            container: out.sym(container),
            rank,
            package: true,
            users_listed: false,
        };
        out.push(Draft {
            region: Some(repository.location()),
            created: pushed,
            managed_by: &managed_by,
            tags: Tags::Read(repository.tags()),
            also: vec![&version.name],
            ..Draft::new(&id, facts)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_named_with_its_repository_and_package() {
        let of = |name: &str| id("npm", &Version::new().set_name(name));
        let path = "projects/p/locations/us/repositories/npm/packages";
        assert_eq!(of(&format!("{path}/left-pad/versions/1.2.3")), "npm/left-pad@1.2.3");
        assert_eq!(of(&format!("{path}/@scope%2Fweb/versions/1.0.0")), "npm/@scope/web@1.0.0");
    }
}
