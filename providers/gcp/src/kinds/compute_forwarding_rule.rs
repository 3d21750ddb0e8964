//! Forwarding rules: the front of every load balancer, and what is billed of it.
//!
//! A rule leads to its machines over up to four other resources: a proxy, a URL map, backend services and their
//! groups; or a target pool; or a backend service straight away. They are listed only where a rule leads there.

use crate::{
    aggregated,
    aggregated::Blind,
    auth::Gcp,
    compute::{self, Sort},
    kinds::{at, uid},
    marks, operations, paths, usage,
    usage::{Combine, Daily, Line, Measure},
};
use async_trait::async_trait;
use google_cloud_compute_v1::model::{
    BackendService, ForwardingRule, HttpRouteAction, TargetPool, UrlMap, forwarding_rule::LoadBalancingScheme,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::Site,
    deed::{ActSpec, Deed, DeedKind, Pen, Permit, Progress, Reversal, Sent, Write},
    facts::{FactsRef, LbKind, LoadBalancer},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation, Scope},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.compute-forwarding-rule",
    cloud: CloudId::Gcp,
    class: Class::LoadBalancer,
    title: "forwarding rule",
    places: Places::Account,
    reads: &[LIST, SERVICES, MAPS, HTTP, HTTPS, SSL, TCP, POOLS],
    asks: &[usage::OP],
    refers: &[(Relation::OfCluster, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: ACTS,
};

const LIST: &str = "compute.forwardingRules.list";
const GET: &str = "compute.forwardingRules.get";
const DELETE: &str = "compute.forwardingRules.delete";
const SET_LABELS: &str = "compute.forwardingRules.setLabels";
const GLOBAL_GET: &str = "compute.globalForwardingRules.get";
const GLOBAL_DELETE: &str = "compute.globalForwardingRules.delete";
const GLOBAL_SET_LABELS: &str = "compute.globalForwardingRules.setLabels";
const LABELS: &[Write] = &[
    Write {
        permission: SET_LABELS,
        method: "POST",
        action: "/compute/v1/projects/{}/regions/{}/forwardingRules/{}/setLabels",
    },
    Write {
        permission: GLOBAL_SET_LABELS,
        method: "POST",
        action: "/compute/v1/projects/{}/global/forwardingRules/{}/setLabels",
    },
];
const WATCHED: &[&str] = &[GET, GLOBAL_GET, operations::REGION, operations::GLOBAL];

/// A rule is read again with the list: what it leads to is told by up to six others.
const ACTS: &[ActSpec] = &[
    compute::tagging(LABELS, WATCHED),
    compute::untagging(LABELS, WATCHED),
    ActSpec {
        deed: DeedKind::Delete,
        writes: &[
            Write {
                permission: DELETE,
                method: "DELETE",
                action: "/compute/v1/projects/{}/regions/{}/forwardingRules/{}",
            },
            Write {
                permission: GLOBAL_DELETE,
                method: "DELETE",
                action: "/compute/v1/projects/{}/global/forwardingRules/{}",
            },
        ],
        reads: WATCHED,
        reversal: Reversal::OneWay("the rule, and its address where that was not reserved; what it leads to stays"),
        keeps: &[],
        takes: &[],
    },
];

/// Global rules have permissions of their own.
fn sort(region: &str) -> Sort {
    Sort { collection: "forwardingRules", get: if region == Scope::GLOBAL { GLOBAL_GET } else { GET } }
}
const SERVICES: &str = "compute.backendServices.list";
const MAPS: &str = "compute.urlMaps.list";
const HTTP: &str = "compute.targetHttpProxies.list";
const HTTPS: &str = "compute.targetHttpsProxies.list";
const SSL: &str = "compute.targetSslProxies.list";
const TCP: &str = "compute.targetTcpProxies.list";
const POOLS: &str = "compute.targetPools.list";

/// Sources: "Google Cloud metrics", `loadbalancing.googleapis.com`.
static EXTERNAL: [Line; 1] = [Line {
    metric: "loadbalancing.googleapis.com/https/request_count",
    resource: "https_lb_rule",
    by: BY,
    daily: Daily::Sum,
    scale: 1,
    only: "",
}];
static INTERNAL: [Line; 1] = [Line {
    metric: "loadbalancing.googleapis.com/https/internal/request_count",
    resource: "internal_http_lb_rule",
    by: BY,
    daily: Daily::Sum,
    scale: 1,
    only: "",
}];
/// There is no id. What passed through an earlier rule of the same name only makes this one look busier.
const BY: &[&str] = &["resource.label.forwarding_rule_name"];

pub(super) struct ComputeForwardingRule(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for ComputeForwardingRule {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let client = self.0.forwarding_rules(LIST).await?;
        let project = site.scope().account.as_str();
        let ask = |token| {
            client
                .aggregated_list()
                .set_project(project)
                .set_max_results(aggregated::PAGE)
                .set_or_clear_page_token(token)
                .send()
        };
        let (rules, blind) = aggregated::all(site, LIST, ask).await?;
        let targets: BTreeSet<Target<'_>> = rules.iter().map(|rule| target(rule).0).collect();
        let behind = self.behind(site, &targets).await;
        let mut hidden: BTreeSet<String> = BTreeSet::new();
        for rule in &rules {
            let own_targets = match behind.of(target(rule)) {
                Ok(count) => Some(count),
                Err(cause) => {
                    hidden.insert(cause);
                    None
                }
            };
            push(project, rule, own_targets, out);
        }
        for cause in hidden {
            out.hides(cause);
        }
        blind.tell(out);
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let region = pen.target().region.as_str();
        let (sort, global) = (sort(region), region == Scope::GLOBAL);
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => {
                sort.label(&self.0, pen, if global { GLOBAL_SET_LABELS } else { SET_LABELS }).await
            }
            Deed::Delete => sort.delete(&self.0, pen, if global { GLOBAL_DELETE } else { DELETE }).await,
            _ => Err(CloudError::new(Fault::Refused, sort.get, "this kind does not know how")),
        }
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        sort(&permit.target().region).progress(&self.0, site, permit, sent).await
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(usage::answer(&self.0, site, inventory, asks, measure).await)
    }
}

fn measure(resource: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric: Metric::LbRequests, .. } = question else { return None };
    let FactsRef::LoadBalancer(balancer) = resource.facts() else { return None };
    if balancer.kind != LbKind::Application {
        return None;
    }
    let internal = resource.inventory().text(balancer.state).starts_with("INTERNAL");
    let lines: &'static [Line] = if internal { &INTERNAL } else { &EXTERNAL };
    Some(Measure { lines, key: vec![resource.native_id().to_owned()], combine: Combine::Sum, sparse: false })
}

/// What sort of thing a rule sends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target<'a> {
    /// A collection of Compute: `targetHttpProxies`.
    In(&'a str),
    /// Something of another network or project that answers by itself: Private Service Connect.
    Service,
    Nothing,
}

/// What a rule sends to: its sort and its name.
fn target(rule: &ForwardingRule) -> (Target<'_>, &str) {
    let named = [rule.target.as_deref(), rule.backend_service.as_deref()];
    let Some(name) = named.into_iter().flatten().find(|name| !name.is_empty()) else {
        return (Target::Nothing, "");
    };
    // Bundles of Google's services are named without a path.
    if !name.contains('/') || name.contains("/serviceAttachments/") || rule.psc_connection_id.is_some() {
        return (Target::Service, name);
    }
    let path = paths::path(name);
    let collection = path.rsplit('/').nth(1).unwrap_or_default();
    (Target::In(collection), path)
}

/// A listing behind the rules, or why there is none.
type Listed<T> = Option<Result<Lookup<T>, CloudError>>;
/// Items by name, and where they could not be seen.
type Lookup<T> = Arc<(BTreeMap<String, T>, Blind)>;

/// Everything rules of a project lead to, as far as they lead there.
#[derive(Default)]
struct Behind {
    services: Listed<u32>,
    maps: Listed<Map>,
    pools: Listed<u32>,
    /// URL maps of HTTP and HTTPS proxies, by collection.
    http: BTreeMap<&'static str, Listed<String>>,
    /// Backend services of TCP and SSL proxies, by collection.
    streams: BTreeMap<&'static str, Listed<String>>,
}

/// What a URL map leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Map {
    services: BTreeSet<String>,
    /// Buckets, and redirects, which it answers itself.
    others: u32,
}

/// The item of a name, of a listing that was made and saw its place.
fn look<'a, T>(listed: Option<&'a Result<Lookup<T>, CloudError>>, path: &str, op: &str) -> Result<&'a T, String> {
    let listed = match listed {
        Some(Ok(listed)) => listed,
        Some(Err(error)) => return Err(error.cause()),
        None => return Err(format!("not listed: {op}")),
    };
    match (listed.0.get(path), listed.1.within(paths::place(path))) {
        (Some(item), _) => Ok(item),
        (None, Some(blind)) => Err(blind.to_owned()),
        // Another project's, or made since.
        (None, None) => Err(format!("not told: {op} of another project")),
    }
}

impl Behind {
    /// How many groups, machines, buckets or services stand behind a target; or why that is not known.
    fn of(&self, (target, path): (Target<'_>, &str)) -> Result<u32, String> {
        let collection = match target {
            Target::Nothing => return Ok(0),
            Target::Service => return Ok(1),
            Target::In(collection) => collection,
        };
        match collection {
            "backendServices" => look(self.services.as_ref(), path, SERVICES).copied(),
            "targetPools" => look(self.pools.as_ref(), path, POOLS).copied(),
            "targetHttpProxies" | "targetHttpsProxies" => {
                let op = if collection == "targetHttpProxies" { HTTP } else { HTTPS };
                let map = look(self.http.get(collection).and_then(Option::as_ref), path, op)?;
                self.of_map(map)
            }
            "targetTcpProxies" | "targetSslProxies" => {
                let op = if collection == "targetTcpProxies" { TCP } else { SSL };
                let service = look(self.streams.get(collection).and_then(Option::as_ref), path, op)?;
                look(self.services.as_ref(), service, SERVICES).copied()
            }
            // A machine, or a gateway: it is there, or the rule could not be.
            "targetInstances" | "targetVpnGateways" => Ok(1),
            other => Err(format!("not told: what is behind {}", other.chars().take(40).collect::<String>())),
        }
    }

    fn of_map(&self, path: &str) -> Result<u32, String> {
        let map = look(self.maps.as_ref(), path, MAPS)?;
        let mut sum = map.others;
        let mut unseen = None;
        for service in &map.services {
            match look(self.services.as_ref(), service, SERVICES) {
                Ok(count) => sum = sum.saturating_add(*count),
                Err(cause) => unseen = Some(cause),
            }
        }
        match unseen {
            // Some seen are certain.
            Some(cause) if sum == 0 => Err(cause),
            _ => Ok(sum),
        }
    }
}

macro_rules! listed {
    ($self:ident, $site:ident, $client:ident, $op:expr, $call:ident, $of:expr) => {{
        let list = async {
            let client = $self.0.$client($op).await?;
            let project = $site.scope().account.as_str();
            let ask = |token| {
                client
                    .$call()
                    .set_project(project)
                    .set_max_results(aggregated::PAGE)
                    .set_or_clear_page_token(token)
                    .send()
            };
            let mut items = BTreeMap::new();
            let blind = aggregated::each($site, $op, ask, |item| {
                if let Some(path) = item.self_link.as_deref().map(paths::path) {
                    items.insert(path.to_owned(), $of(&item));
                }
            })
            .await?;
            Ok((items, blind))
        };
        Some($self.0.once($site, $op, Box::pin(list)).await)
    }};
}

impl ComputeForwardingRule {
    async fn behind(&self, site: &Site, targets: &BTreeSet<Target<'_>>) -> Behind {
        let leads = |collection: &'static str| targets.contains(&Target::In(collection));
        let mut behind = Behind::default();
        let url_map = |map: &Option<String>| map.as_deref().map(paths::path).unwrap_or_default().to_owned();
        if leads("targetHttpProxies") {
            let of = |proxy: &google_cloud_compute_v1::model::TargetHttpProxy| url_map(&proxy.url_map);
            let listed = listed!(self, site, target_http_proxies, HTTP, aggregated_list, of);
            behind.http.insert("targetHttpProxies", listed);
        }
        if leads("targetHttpsProxies") {
            let of = |proxy: &google_cloud_compute_v1::model::TargetHttpsProxy| url_map(&proxy.url_map);
            let listed = listed!(self, site, target_https_proxies, HTTPS, aggregated_list, of);
            behind.http.insert("targetHttpsProxies", listed);
        }
        if leads("targetTcpProxies") {
            let of = |proxy: &google_cloud_compute_v1::model::TargetTcpProxy| url_map(&proxy.service);
            let listed = listed!(self, site, target_tcp_proxies, TCP, aggregated_list, of);
            behind.streams.insert("targetTcpProxies", listed);
        }
        if leads("targetSslProxies") {
            let of = |proxy: &google_cloud_compute_v1::model::TargetSslProxy| url_map(&proxy.service);
            let listed = listed!(self, site, target_ssl_proxies, SSL, list, of);
            behind.streams.insert("targetSslProxies", listed);
        }
        if leads("targetPools") {
            let of = |pool: &TargetPool| u32::try_from(pool.instances.len()).unwrap_or(u32::MAX);
            behind.pools = listed!(self, site, target_pools, POOLS, aggregated_list, of);
        }
        if !behind.http.is_empty() {
            behind.maps = listed!(self, site, url_maps, MAPS, aggregated_list, map);
        }
        if !behind.http.is_empty() || !behind.streams.is_empty() || leads("backendServices") {
            let of = |service: &BackendService| u32::try_from(service.backends.len()).unwrap_or(u32::MAX);
            behind.services = listed!(self, site, backend_services, SERVICES, aggregated_list, of);
        }
        behind
    }
}

/// Every service a URL map may send to: by default, by path, by rule, by weight.
fn map(map: &UrlMap) -> Map {
    let mut told = Map::default();
    let mut add = |service: Option<&String>, redirects: bool, action: Option<&HttpRouteAction>| {
        told.others = told.others.saturating_add(u32::from(redirects));
        let weighted = action.iter().flat_map(|action| &action.weighted_backend_services);
        for service in service.into_iter().chain(weighted.filter_map(|one| one.backend_service.as_ref())) {
            if service.contains("/backendBuckets/") {
                told.others = told.others.saturating_add(1);
            } else if !service.is_empty() {
                told.services.insert(paths::path(service).to_owned());
            }
        }
    };
    add(map.default_service.as_ref(), map.default_url_redirect.is_some(), map.default_route_action.as_ref());
    for matcher in &map.path_matchers {
        let redirects = matcher.default_url_redirect.is_some();
        add(matcher.default_service.as_ref(), redirects, matcher.default_route_action.as_ref());
        for rule in &matcher.path_rules {
            add(rule.service.as_ref(), rule.url_redirect.is_some(), rule.route_action.as_ref());
        }
        for rule in &matcher.route_rules {
            add(rule.service.as_ref(), rule.url_redirect.is_some(), rule.route_action.as_ref());
        }
    }
    told
}

fn push(project: &str, rule: &ForwardingRule, own_targets: Option<u32>, out: &mut Listing) {
    let path = rule.self_link.as_deref().map(paths::path).unwrap_or_default();
    let region = rule.region.as_deref().map_or_else(|| paths::place(path), paths::last);
    let uid = uid(rule.id);
    let kind = match target(rule).0 {
        Target::In("targetHttpProxies" | "targetHttpsProxies" | "targetGrpcProxies") => LbKind::Application,
        Target::In("targetTcpProxies" | "targetSslProxies" | "targetPools" | "backendServices") => LbKind::Network,
        _ => LbKind::Other,
    };
    let scheme = rule.load_balancing_scheme.as_ref().and_then(LoadBalancingScheme::name).unwrap_or_default();
    let managed_by = marks::described_by(rule.description.as_deref(), &rule.labels);
    let cluster = marks::cluster(project, &rule.labels);
    out.push(Draft {
        uid: &uid,
        region: Some(region),
        created: at(rule.creation_timestamp.as_deref()),
        tags: Tags::Read(marks::tags(&rule.labels)),
        managed_by: &managed_by,
        uses: vec![
            (Relation::Holds, rule.ip_address.as_deref().map_or("", paths::path)),
            (Relation::OfCluster, &cluster),
        ],
        also: vec![path],
        ..Draft::new(
            rule.name.as_deref().unwrap_or_default(),
            // The scheme is the nearest thing to a state a rule has.
            LoadBalancer { kind, state: out.sym(scheme), own_targets },
        )
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweeper_core::kind::Fault;

    fn rule(json: &str) -> ForwardingRule {
        serde_json::from_str(json).unwrap()
    }

    fn lookup<T: Clone>(items: &[(&str, T)]) -> Lookup<T> {
        let items = items.iter().map(|(path, item)| ((*path).to_owned(), item.clone())).collect();
        Arc::new((items, Blind::default()))
    }

    #[test]
    fn what_a_rule_leads_to() {
        let mut behind = Behind {
            services: Some(Ok(lookup(&[
                ("projects/p/global/backendServices/full", 2),
                ("projects/p/global/backendServices/none", 0),
            ]))),
            pools: Some(Ok(lookup(&[("projects/p/regions/r/targetPools/empty", 0)]))),
            ..Behind::default()
        };
        let of = |behind: &Behind, json: &str| behind.of(target(&rule(json)));
        let base = "https://www.googleapis.com/compute/v1/projects/p";
        let service = |name| format!(r#"{{"backendService": "{base}/global/backendServices/{name}"}}"#);
        assert_eq!(of(&behind, &service("full")), Ok(2));
        assert_eq!(of(&behind, &service("none")), Ok(0));
        assert!(of(&behind, &service("elsewhere")).unwrap_err().contains("another project"));
        assert_eq!(of(&behind, &format!(r#"{{"target": "{base}/regions/r/targetPools/empty"}}"#)), Ok(0));
        // Private Service Connect: to a published service, to Google's own.
        assert_eq!(of(&behind, &format!(r#"{{"target": "{base}/regions/r/serviceAttachments/a"}}"#)), Ok(1));
        assert_eq!(of(&behind, r#"{"target": "all-apis"}"#), Ok(1));
        assert_eq!(of(&behind, &format!(r#"{{"target": "{base}/regions/r/targetVpnGateways/v"}}"#)), Ok(1));
        assert_eq!(of(&behind, "{}"), Ok(0));
        assert!(of(&behind, &format!(r#"{{"target": "{base}/global/targetGrpcProxies/g"}}"#)).is_err());
        behind.services = Some(Err(CloudError::new(Fault::Denied, SERVICES, "")));
        assert_eq!(of(&behind, &service("none")), Err("denied compute.backendServices.list".to_owned()));
    }

    #[test]
    fn a_map_names_its_services_in_many_places() {
        let json = r#"{"name": "m", "defaultService": "https://c/v1/projects/p/global/backendServices/a",
            "pathMatchers": [{"defaultUrlRedirect": {"httpsRedirect": true},
                "pathRules": [{"service": "https://c/v1/projects/p/global/backendBuckets/b"}],
                "routeRules": [{"routeAction": {"weightedBackendServices": [
                    {"backendService": "https://c/v1/projects/p/global/backendServices/c", "weight": 5}]}}]}]}"#;
        let map = map(&serde_json::from_str(json).unwrap());
        let services: Vec<&str> = map.services.iter().map(String::as_str).collect();
        assert_eq!(services, ["projects/p/global/backendServices/a", "projects/p/global/backendServices/c"]);
        assert_eq!(map.others, 2);
    }
}
