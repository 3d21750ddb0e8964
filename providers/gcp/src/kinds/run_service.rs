//! Cloud Run services. Environments are never kept.

use crate::{
    auth::Gcp,
    fault, image_names, marks,
    newer::{KnownBy, Sort},
    paths,
    places::{self, Found, REGIONS},
    rest,
    usage::{self, Combine, Daily, Line, Measure},
};
use async_trait::async_trait;
use google_cloud_run_v2::{
    client::Services,
    model::{self, Container, TrafficTargetAllocationType as Allocation},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::{Pages, Site},
    deed::{ActSpec, DeedKind, Pen, Permit, Progress, Reversal, Sent, Target, Write},
    facts::{FactsRef, Function},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation, Timestamp},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.run-service",
    cloud: CloudId::Gcp,
    class: Class::Function,
    title: "Cloud Run service",
    places: Places::Account,
    reads: &[LIST, REGIONS],
    asks: &[usage::OP],
    // Revisions that it sends to, which are in its region, and images.
    refers: &[(Relation::Aliased, Reach::Region), (Relation::Referenced, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: ACTS,
};

pub(super) const LIST: &str = "run.services.list";
pub(super) const GET: &str = "run.services.get";
const DELETE: &str = "run.services.delete";
pub(super) const WATCH: &str = "run.operations.get";
const SORT: Sort = Sort { service: rest::Service::Run, version: "v2", get: GET, watch: WATCH, known_by: KnownBy::Uid };

const ACTS: &[ActSpec] = &[ActSpec {
    deed: DeedKind::Delete,
    writes: &[Write { permission: DELETE, method: "DELETE", action: "/v2/projects/{}/locations/{}/services/{}" }],
    reads: &[GET, WATCH],
    reversal: Reversal::OneWay("the service with all its revisions, its address and its settings"),
    keeps: &[],
    takes: &[],
}];

/// Requests a day. Cloud Run tells them a revision, and nothing where there are none.
pub(super) static REQUESTS: &[Line] = &[Line {
    metric: "run.googleapis.com/request_count",
    resource: "cloud_run_revision",
    by: &["resource.label.service_name", "resource.label.location"],
    daily: Daily::Sum,
    ..Line::PLAIN
}];

pub(super) struct RunService(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for RunService {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let listed = services(&self.0, site).await?;
        listed.blind(out);
        for service in &listed.all {
            push(service, out);
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(usage::answer(&self.0, site, inventory, asks, |service, question| {
            requests(service.native_id(), service.region(), question)
        })
        .await)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let path = SORT.path(target, "services");
        if let Some(found) = SORT.find::<model::Service>(&self.0, site, &path).await? {
            push(&lean(&found), out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        SORT.delete(&self.0, pen, DELETE, SORT.path(pen.target(), "services")).await
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        SORT.progress(&self.0, site, permit, sent, &SORT.path(permit.target(), "services")).await
    }

    fn price(&self, service: Resource<'_>, _: &dyn Prices) -> Cost {
        price(service)
    }
}

/// Without calls nothing is billed but the instances that are kept for them, whose size decides the price.
pub(super) fn price(function: Resource<'_>) -> Cost {
    match function.facts() {
        FactsRef::Function(Function { kept_warm: Some(0), .. }) => Cost::list(Amount::ZERO),
        _ => Cost::unknown(),
    }
}

/// The requests of a service.
pub(super) fn requests(service: &str, location: &str, question: Question) -> Option<Measure> {
    let Question::Usage { metric: Metric::FunctionInvocations, .. } = question else { return None };
    let key = vec![service.to_owned(), location.to_owned()];
    Some(Measure { lines: REQUESTS, key, combine: Combine::Sum, sparse: true })
}

/// What matters of a service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// `projects/p/locations/l/services/s`.
    pub(super) path: String,
    uid: String,
    created: Option<Timestamp>,
    updated: Option<Timestamp>,
    labels: HashMap<String, String>,
    images: Vec<String>,
    kept_warm: u32,
    /// The revisions it sends to, by their paths.
    leads_to: BTreeSet<String>,
}

impl Service {
    pub(super) fn name(&self) -> &str {
        paths::last(&self.path)
    }

    pub(super) fn location(&self) -> &str {
        paths::place(&self.path)
    }

    pub(super) fn managed_by(&self) -> String {
        marks::managed_by(&self.labels)
    }

    pub(super) fn tags(&self) -> Vec<(&str, &str)> {
        marks::tags(&self.labels)
    }

    /// Whether it is what a function runs as: Cloud Functions says so in a label, or in those of its runtime.
    fn is_function(&self) -> bool {
        self.labels.get("goog-managed-by").is_some_and(|by| by == "cloudfunctions")
            || self.labels.contains_key("goog-cloudfunctions-runtime")
    }
}

/// Every service of a project, listed once for all kinds.
pub(super) async fn services(gcp: &Gcp, site: &Site) -> Result<Arc<Found<Service>>, CloudError> {
    let list = async {
        let client = &gcp.run_services(LIST).await?;
        let regions = places::regions(gcp, site).await?;
        places::each(&regions, |region| async move { in_region(site, client, &region).await }).await
    };
    gcp.once(site, LIST, Box::pin(list)).await
}

async fn in_region(site: &Site, client: &Services, region: &str) -> Result<Vec<Service>, CloudError> {
    let parent = format!("projects/{}/locations/{region}", site.scope().account);
    let mut found = Vec::new();
    let mut pages = Pages::new(LIST);
    while let Some(token) = pages.next() {
        let page = fault::call(site, LIST, || {
            client
                .list_services()
                .set_parent(&parent)
                .set_page_size(100)
                .set_page_token(token.clone().unwrap_or_default())
                .send()
        })
        .await?;
        pages.seen(Some(&page.next_page_token))?;
        found.extend(page.services.iter().map(lean));
    }
    Ok(found)
}

/// What is kept of a service: nothing of its environment.
pub(super) fn lean(service: &model::Service) -> Service {
    let template = service.template.as_ref();
    let of_revision = template.and_then(|template| template.scaling.as_ref()).map_or(0, |it| it.min_instance_count);
    let own = service.scaling.as_ref();
    let least = own.map_or(0, |scaling| scaling.manual_instance_count.unwrap_or(scaling.min_instance_count));
    Service {
        path: service.name.clone(),
        uid: service.uid.clone(),
        created: super::instant(service.create_time.as_ref()),
        updated: super::instant(service.update_time.as_ref()),
        labels: service.labels.clone(),
        images: template.map(|template| images(&template.containers)).unwrap_or_default(),
        kept_warm: u32::try_from(least.max(of_revision)).unwrap_or(0),
        leads_to: leads_to(service),
    }
}

/// The names of the images of containers.
pub(super) fn images(containers: &[Container]) -> Vec<String> {
    containers.iter().flat_map(|container| image_names::names(&container.image)).collect()
}

/// The revisions that a service sends to, now or as soon as it is ready: a share of its traffic, or whoever calls
/// the address of a tag. Without any word all of it goes to the latest.
fn leads_to(service: &model::Service) -> BTreeSet<String> {
    let latest = paths::last(&service.latest_ready_revision);
    let wanted = service.traffic.iter().map(|to| (&to.r#type, to.revision.as_str(), to.percent, to.tag.as_str()));
    let now = service.traffic_statuses.iter().map(|to| (&to.r#type, to.revision.as_str(), to.percent, to.tag.as_str()));
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for (allocation, revision, percent, tag) in wanted.chain(now) {
        if percent > 0 || !tag.is_empty() {
            names.insert(paths::last(revision));
            if *allocation != Allocation::Revision {
                names.insert(latest);
            }
        }
    }
    if service.traffic.is_empty() && service.traffic_statuses.is_empty() {
        names.insert(latest);
    }
    names.into_iter().filter(|name| !name.is_empty()).map(|name| format!("{}/revisions/{name}", service.name)).collect()
}

fn push(service: &Service, out: &mut Listing) {
    let facts = Function {
        runtime: out.sym("container"),
        last_modified: service.updated,
        code_bytes: None,
        edge: Some(false),
        kept_warm: Some(service.kept_warm),
        machinery: service.is_function(),
    };
    let managed_by = if service.is_function() { "Cloud Functions".to_owned() } else { service.managed_by() };
    let images = service.images.iter().map(|image| (Relation::Referenced, image.as_str()));
    out.push(Draft {
        uid: &service.uid,
        region: Some(service.location()),
        created: service.created,
        managed_by: &managed_by,
        tags: Tags::Read(service.tags()),
        uses: service.leads_to.iter().map(|to| (Relation::Aliased, to.as_str())).chain(images).collect(),
        also: vec![&service.path],
        ..Draft::new(service.name(), facts)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const PATH: &str = "projects/p/locations/us-central1/services/web";

    fn service(more: Value) -> model::Service {
        let mut all = json!({ "name": PATH, "latestReadyRevision": format!("{PATH}/revisions/web-00003-c") });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    fn led(more: Value) -> Vec<String> {
        let start = format!("{PATH}/revisions/");
        leads_to(&service(more)).iter().map(|path| path.strip_prefix(&start).unwrap().to_owned()).collect()
    }

    #[test]
    fn traffic_and_tags_lead_to_revisions() {
        let latest = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
        let named = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";
        assert_eq!(led(json!({})), ["web-00003-c"]);
        assert_eq!(led(json!({ "traffic": [{ "type": latest, "percent": 100 }] })), ["web-00003-c"]);
        let split = json!({ "traffic": [
            { "type": named, "revision": "web-00001-a", "percent": 1 },
            { "type": named, "revision": "web-00002-b", "tag": "canary" },
            { "type": named, "revision": "web-00000-z" },
            { "type": latest, "percent": 99 },
        ] });
        assert_eq!(led(split), ["web-00001-a", "web-00002-b", "web-00003-c"]);
        let moving = json!({
            "traffic": [{ "type": named, "revision": "web-00002-b", "percent": 100 }],
            "trafficStatuses": [{ "type": named, "revision": "web-00001-a", "percent": 100 }],
        });
        assert_eq!(led(moving), ["web-00001-a", "web-00002-b"]);
    }

    #[test]
    fn instances_kept_warm() {
        let kept = |more| lean(&service(more)).kept_warm;
        assert_eq!(kept(json!({})), 0);
        assert_eq!(kept(json!({ "template": { "scaling": { "minInstanceCount": 2 } } })), 2);
        assert_eq!(kept(json!({ "scaling": { "minInstanceCount": 3 } })), 3);
        assert_eq!(kept(json!({ "scaling": { "scalingMode": "MANUAL", "manualInstanceCount": 4 } })), 4);
    }

    #[test]
    fn nothing_of_an_environment_is_kept() {
        let secret = json!({ "template": { "containers": [
            { "image": "us-docker.pkg.dev/p/r/web:1", "env": [{ "name": "PASSWORD", "value": "canary-4711" }] }] } });
        let kept = lean(&service(secret));
        assert_eq!(kept.images, ["p/r/web:1"]);
        assert!(!format!("{kept:?}").contains("canary"));
    }

    #[test]
    fn what_a_function_runs_as() {
        let is = |labels: Value| lean(&service(json!({ "labels": labels }))).is_function();
        assert!(is(json!({ "goog-managed-by": "cloudfunctions" })));
        assert!(is(json!({ "goog-cloudfunctions-runtime": "nodejs20" })));
        assert!(!is(json!({ "goog-managed-by": "somebody" })));
    }
}
