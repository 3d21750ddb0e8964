//! Artifact Registry repositories, of every format and location.

use crate::{
    auth::Gcp,
    fault, marks, newer, paths,
    places::{self, Found, Places},
    rest::{Request, Service, segment},
};
use async_trait::async_trait;
use google_cloud_artifactregistry_v1::{
    client::ArtifactRegistry,
    model::{
        self,
        cleanup_policy::Action,
        repository::{Format, Mode, ModeConfig},
    },
};
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{
    calls::{Pages, Site},
    deed::{Target, Write},
    facts::Registry,
    inventory::{Draft, Listing, Resource, Tags},
    kind::{self, CloudError, Fault, Kind, KindSpec, Prices},
    model::{Class, CloudId, Timestamp},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.artifact-repository",
    cloud: CloudId::Gcp,
    class: Class::Registry,
    title: "Artifact Registry repository",
    places: kind::Places::Account,
    reads: &[LIST, LOCATIONS],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "a repository contains other things",
    acts: &[],
};

pub(super) const LIST: &str = "artifactregistry.repositories.list";
pub(super) const GET: &str = "artifactregistry.repositories.get";
/// How a version of anything is deleted.
pub(super) const DELETES: &[Write] = &[Write {
    permission: "artifactregistry.versions.delete",
    method: "DELETE",
    action: "/v1/projects/{}/locations/{}/repositories/{}/packages/{}/versions/{}",
}];
pub(super) const LOCATIONS: &str = "artifactregistry.locations.list";

pub(super) struct ArtifactRepository(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for ArtifactRepository {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let listed = repositories(&self.0, site).await?;
        listed.blind(out);
        for repository in &listed.all {
            push(repository, out);
        }
        Ok(())
    }

    /// A repository itself costs nothing: what is in it does.
    fn price(&self, _: Resource<'_>, _: &dyn Prices) -> Cost {
        Cost::list(Amount::ZERO)
    }
}

/// What matters of a repository.
#[derive(Clone, Debug)]
pub(super) struct Repository {
    /// `projects/p/locations/l/repositories/r`.
    pub(super) path: String,
    pub(super) format: Format,
    /// Holds nothing of its own: it passes on what others hold.
    pub(super) is_virtual: bool,
    /// The virtual repositories that pass on what this one holds, by their paths.
    pub(super) shown_by: Vec<String>,
    labels: std::collections::HashMap<String, String>,
    created: Option<Timestamp>,
    /// Policies delete from it by themselves.
    cleaned: bool,
}

impl Repository {
    /// `r`.
    pub(super) fn name(&self) -> &str {
        paths::last(&self.path)
    }

    /// `us-central1`, `europe`.
    pub(super) fn location(&self) -> &str {
        paths::place(&self.path)
    }

    /// Whoever deletes from it, or made it.
    pub(super) fn managed_by(&self) -> String {
        let cleaned = if self.cleaned { format!("cleanup policy of {}", self.name()) } else { String::new() };
        marks::first([marks::managed_by(&self.labels), cleaned])
    }

    /// Its labels: what is in it has none of its own.
    pub(super) fn tags(&self) -> Vec<(&str, &str)> {
        marks::tags(&self.labels)
    }
}

/// The path of a version, whose native id is `repository/package@version`.
pub(super) fn version_path(target: &Target) -> String {
    let (repository, version) = target.native_id.split_once('/').unwrap_or_default();
    let (package, version) = version.rsplit_once('@').unwrap_or_default();
    let place = newer::location("v1", target);
    let (package, version) = (segment(package), segment(version));
    format!("{place}/repositories/{}/packages/{package}/versions/{version}", segment(repository))
}

/// The repository that something is in, read now. Which virtual ones pass it on is not told.
pub(super) async fn one(gcp: &Gcp, site: &Site, target: &Target) -> Result<Repository, CloudError> {
    let name = target.native_id.split('/').next().unwrap_or_default();
    let path = format!("{}/repositories/{}", newer::location("v1", target), segment(name));
    let repository: model::Repository = gcp.one(site, GET, Request::get(Service::ArtifactRegistry, path)).await?;
    Ok(lean(&repository))
}

/// Every repository of a project, and where there may be more, listed once for all kinds.
pub(super) async fn repositories(gcp: &Gcp, site: &Site) -> Result<Arc<Found<Repository>>, CloudError> {
    gcp.once(site, LIST, Box::pin(listed(gcp, site))).await
}

async fn listed(gcp: &Gcp, site: &Site) -> Result<Found<Repository>, CloudError> {
    let client = &gcp.artifact_registry(LIST).await?;
    let told = locations(gcp, site).await.map(|places| places.as_ref().clone());
    let places = Places::or_named(gcp, told)?;
    let project = &site.scope().account;
    let found = places::each(&places, |place| async move { in_location(site, client, project, &place).await }).await?;
    let mut shown_by: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for repository in &found.all {
        for upstream in upstreams_of(repository) {
            shown_by.entry(upstream).or_default().push(repository.name.clone());
        }
    }
    let lean = |repository: &model::Repository| {
        let shown_by = shown_by.get(&repository.name).cloned().unwrap_or_default();
        Repository { shown_by, ..lean(repository) }
    };
    Ok(found.with(found.all.iter().map(lean).collect(), []))
}

/// The locations the service offers, multi-regions included, listed once for all kinds.
pub(crate) async fn locations(gcp: &Gcp, site: &Site) -> Result<Arc<Vec<String>>, CloudError> {
    let list = async {
        let client = gcp.artifact_registry(LOCATIONS).await?;
        let name = format!("projects/{}", site.scope().account);
        let mut places = Vec::new();
        let mut pages = Pages::new(LOCATIONS);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LOCATIONS, || {
                client
                    .list_locations()
                    .set_name(&name)
                    .set_page_size(500)
                    .set_page_token(token.clone().unwrap_or_default())
                    .send()
            })
            .await?;
            places.extend(page.locations.into_iter().map(|location| {
                if location.location_id.is_empty() {
                    paths::last(&location.name).to_owned()
                } else {
                    location.location_id
                }
            }));
            pages.seen(Some(&page.next_page_token))?;
        }
        // A service without any location would be none.
        if places.is_empty() {
            return Err(CloudError::new(Fault::Malformed, LOCATIONS, "no locations"));
        }
        Ok(places)
    };
    gcp.once(site, LOCATIONS, Box::pin(list)).await
}

async fn in_location(
    site: &Site,
    client: &ArtifactRegistry,
    project: &str,
    location: &str,
) -> Result<Vec<model::Repository>, CloudError> {
    let parent = format!("projects/{project}/locations/{location}");
    let mut found = Vec::new();
    let mut pages = Pages::new(LIST);
    while let Some(token) = pages.next() {
        let page = fault::call(site, LIST, || {
            client
                .list_repositories()
                .set_parent(&parent)
                .set_page_size(1000)
                .set_page_token(token.clone().unwrap_or_default())
                .send()
        })
        .await?;
        pages.seen(Some(&page.next_page_token))?;
        found.extend(page.repositories);
    }
    Ok(found)
}

/// The repositories that a virtual one passes on.
fn upstreams_of(repository: &model::Repository) -> Vec<String> {
    match &repository.mode_config {
        Some(ModeConfig::VirtualRepositoryConfig(config)) => {
            config.upstream_policies.iter().map(|policy| policy.repository.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// What is kept of a repository. The credentials a remote one fetches with are not.
fn lean(repository: &model::Repository) -> Repository {
    let deletes = repository.cleanup_policies.values().any(|policy| policy.action == Action::Delete);
    Repository {
        cleaned: deletes && !repository.cleanup_policy_dry_run,
        is_virtual: repository.mode == Mode::VirtualRepository,
        path: repository.name.clone(),
        format: repository.format.clone(),
        shown_by: Vec::new(),
        labels: repository.labels.clone(),
        created: super::instant(repository.create_time.as_ref()),
    }
}

fn push(repository: &Repository, out: &mut Listing) {
    out.push(Draft {
        region: Some(repository.location()),
        created: repository.created,
        managed_by: &marks::managed_by(&repository.labels),
        tags: Tags::Read(repository.tags()),
        also: vec![&repository.path],
        ..Draft::new(repository.name(), Registry { images: None })
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn repository(more: serde_json::Value) -> model::Repository {
        let mut all = json!({ "name": "projects/p/locations/us/repositories/r", "format": "DOCKER" });
        let more = more.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(more);
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn policies_that_only_look_clean_nothing() {
        let policy = json!({ "old": { "id": "old", "action": "DELETE" } });
        let kept = json!({ "keep": { "id": "keep", "action": "KEEP" } });
        let managed = |more| lean(&repository(more)).managed_by();
        assert_eq!(managed(json!({ "cleanupPolicies": policy })), "cleanup policy of r");
        assert_eq!(managed(json!({ "cleanupPolicies": policy, "cleanupPolicyDryRun": true })), "");
        assert_eq!(managed(json!({ "cleanupPolicies": kept })), "");
    }

    #[test]
    fn a_virtual_repository_passes_others_on() {
        let shown = json!({ "mode": "VIRTUAL_REPOSITORY", "virtualRepositoryConfig": { "upstreamPolicies": [
            { "id": "a", "repository": "projects/p/locations/us/repositories/a", "priority": 1 }] } });
        let shown = repository(shown);
        assert_eq!(upstreams_of(&shown), ["projects/p/locations/us/repositories/a"]);
        assert!(lean(&shown).is_virtual);
        assert!(upstreams_of(&repository(json!({}))).is_empty());
    }
}
