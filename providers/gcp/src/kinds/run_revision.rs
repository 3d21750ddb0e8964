//! Revisions of Cloud Run services. Environments are never kept.

use crate::{
    auth::Gcp,
    fault,
    kinds::run_service::{self, GET as SERVICE, LIST as SERVICES, Service, WATCH, images},
    newer::{self, KnownBy, Sort},
    paths,
    places::{self, REGIONS},
    rest::{self, Request, segment},
};
use async_trait::async_trait;
use google_cloud_run_v2::{client::Revisions, model};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use sweeper_core::{
    calls::{Pages, Site},
    deed::{ActSpec, DeedKind, Pen, Permit, Progress, Reversal, Sent, Target, Write},
    facts::FunctionVersion,
    inventory::{Draft, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation, Timestamp},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.run-revision",
    cloud: CloudId::Gcp,
    class: Class::FunctionVersion,
    title: "Cloud Run revision",
    places: Places::Account,
    reads: &[LIST, SERVICES, REGIONS],
    asks: &[],
    refers: &[(Relation::Referenced, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: ACTS,
};

const LIST: &str = "run.revisions.list";
const GET: &str = "run.revisions.get";
const DELETE: &str = "run.revisions.delete";
const SORT: Sort = Sort { service: rest::Service::Run, version: "v2", get: GET, watch: WATCH, known_by: KnownBy::Uid };

const ACTS: &[ActSpec] = &[ActSpec {
    deed: DeedKind::Delete,
    writes: &[Write {
        permission: DELETE,
        method: "DELETE",
        action: "/v2/projects/{}/locations/{}/services/{}/revisions/{}",
    }],
    reads: &[GET, SERVICE, LIST, WATCH],
    reversal: Reversal::OneWay("the revision: one like it has to be deployed again, from its image"),
    keeps: &[],
    takes: &[],
}];

pub(super) struct RunRevision(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for RunRevision {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let services = run_service::services(&self.0, site).await?;
        services.blind(out);
        let client = &self.0.run_revisions(LIST).await?;
        // Only a service has revisions.
        let regions: BTreeSet<&str> = services.all.iter().map(Service::location).collect();
        let regions = places::Places { names: regions.into_iter().map(str::to_owned).collect(), unseen: None };
        let found = places::each(&regions, |region| async move { in_region(site, client, &region).await }).await?;
        found.blind(out);
        let by_path: BTreeMap<&str, &Service> =
            services.all.iter().map(|service| (service.path.as_str(), service)).collect();
        for (revision, rank) in found.all.iter().zip(ranks(&found.all)) {
            push(revision, rank, by_path.get(revision.service()).copied(), out);
        }
        Ok(())
    }

    /// Reads the revisions of its region: its service, by which one is read alone, is not in its name.
    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let Some(revision) = self.there(site, target).await? else { return Ok(()) };
        let request = Request::get(rest::Service::Run, format!("/v2/{}", revision.service()));
        let service = self.0.find::<model::Service>(site, SERVICE, request).await?;
        push(&revision, 1, service.as_ref().map(run_service::lean).as_ref(), out);
        Ok(())
    }

    /// Cloud Run deletes none that its service sends to, by a share of its traffic or by a tag, and not the newest.
    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let target = pen.target();
        let Some(revision) = self.there(pen.site(), target).await? else { return Ok(Sent::default()) };
        SORT.delete(&self.0, pen, DELETE, path(target, revision.service())).await
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        let target = permit.target();
        if let Some(revision) = self.there(site, target).await? {
            return SORT.progress(&self.0, site, permit, sent, &path(target, revision.service())).await;
        }
        Ok(Progress::Done(None))
    }

    /// A revision that is sent nothing runs no instance.
    fn price(&self, _: Resource<'_>, _: &dyn Prices) -> Cost {
        Cost::list(Amount::ZERO)
    }
}

impl RunRevision {
    /// The revision of that name: the one that was planned for, or another, where only that is there.
    async fn there(&self, site: &Site, target: &Target) -> Result<Option<Revision>, CloudError> {
        let client = self.0.run_revisions(LIST).await?;
        let all = in_region(site, &client, &target.region).await?;
        let mut named: Vec<Revision> = all.into_iter().filter(|one| one.name() == target.native_id).collect();
        let at = named.iter().position(|one| one.uid == target.uid).unwrap_or(0);
        Ok((at < named.len()).then(|| named.swap_remove(at)))
    }
}

/// The path of a revision of a service.
fn path(target: &Target, service: &str) -> String {
    let place = newer::location(SORT.version, target);
    format!("{place}/services/{}/revisions/{}", segment(paths::last(service)), segment(&target.native_id))
}

/// What matters of a revision.
#[derive(Clone, Debug)]
struct Revision {
    /// `projects/p/locations/l/services/s/revisions/r`.
    path: String,
    uid: String,
    created: Option<Timestamp>,
    images: Vec<String>,
}

impl Revision {
    fn name(&self) -> &str {
        paths::last(&self.path)
    }

    /// The path of its service.
    fn service(&self) -> &str {
        self.path.split_once("/revisions/").map_or("", |(service, _)| service)
    }
}

/// The revisions of all services of a region.
async fn in_region(site: &Site, client: &Revisions, region: &str) -> Result<Vec<Revision>, CloudError> {
    let parent = format!("projects/{}/locations/{region}/services/-", site.scope().account);
    let mut found = Vec::new();
    let mut pages = Pages::new(LIST);
    while let Some(token) = pages.next() {
        let page = fault::call(site, LIST, || {
            client
                .list_revisions()
                .set_parent(&parent)
                .set_page_size(100)
                .set_page_token(token.clone().unwrap_or_default())
                .send()
        })
        .await?;
        pages.seen(Some(&page.next_page_token))?;
        found.extend(page.revisions.iter().map(lean));
    }
    Ok(found)
}

/// What is kept of a revision: nothing of its environment.
fn lean(revision: &model::Revision) -> Revision {
    Revision {
        path: revision.name.clone(),
        uid: revision.uid.clone(),
        created: super::instant(revision.create_time.as_ref()),
        images: images(&revision.containers),
    }
}

/// The place of each revision by its creation among those of its service, the newest first, from 1.
fn ranks(revisions: &[Revision]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..revisions.len()).collect();
    order.sort_by_key(|at| (Reverse(revisions[*at].created), Reverse(number(revisions[*at].name())), *at));
    let mut next: BTreeMap<&str, u32> = BTreeMap::new();
    let mut ranks = vec![0; revisions.len()];
    for at in order {
        let rank = next.entry(revisions[at].service()).or_insert(0);
        *rank += 1;
        ranks[at] = *rank;
    }
    ranks
}

/// The number in a name that Cloud Run gave, `web-00012-abc`; 0 where somebody gave it another.
fn number(name: &str) -> u64 {
    let mut parts = name.rsplit('-');
    let numbered = parts.nth(1).filter(|number| number.len() >= 5);
    numbered.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn push(revision: &Revision, rank: u32, service: Option<&Service>, out: &mut Listing) {
    let facts = FunctionVersion {
        function: out.sym(paths::last(revision.service())),
        version: number(revision.name()),
        // It never changes.
        last_modified: revision.created,
        code_bytes: None,
        rank,
        edge: Some(false),
    };
    let managed_by = service.map(Service::managed_by).unwrap_or_default();
    out.push(Draft {
        uid: &revision.uid,
        region: Some(paths::place(&revision.path)),
        created: revision.created,
        managed_by: &managed_by,
        // Whose it is and whether it is protected is said by its service.
        tags: service.map_or(Tags::Unread, |service| Tags::Read(service.tags())),
        uses: revision.images.iter().map(|image| (Relation::Referenced, image.as_str())).collect(),
        also: vec![&revision.path],
        ..Draft::new(revision.name(), facts)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(service: &str, name: &str, created: i64) -> Revision {
        Revision {
            path: format!("projects/p/locations/l/services/{service}/revisions/{name}"),
            uid: String::new(),
            created: Some(Timestamp(created)),
            images: Vec::new(),
        }
    }

    #[test]
    fn the_newest_of_each_service_is_first() {
        let all = [
            revision("web", "web-00001-a", 10),
            revision("api", "api-00001-a", 20),
            revision("web", "web-00003-c", 30),
            revision("web", "web-00002-b", 30),
        ];
        assert_eq!(ranks(&all), [3, 1, 1, 2]);
    }

    #[test]
    fn numbers_that_cloud_run_gives() {
        assert_eq!(number("web-00012-abc"), 12);
        assert_eq!(number("web-2-abc"), 0);
        assert_eq!(number("blue"), 0);
        assert_eq!(number(""), 0);
    }

    #[test]
    fn nothing_of_an_environment_is_kept() {
        let secret = serde_json::json!({ "name": "projects/p/locations/l/services/s/revisions/r", "containers": [
            { "image": "gcr.io/p/web@sha256:ab", "env": [{ "name": "PASSWORD", "value": "canary-4711" }] }] });
        let kept = lean(&serde_json::from_value(secret).unwrap());
        assert_eq!(kept.images, ["p/web@sha256:ab"]);
        assert!(!format!("{kept:?}").contains("canary"));
    }
}
