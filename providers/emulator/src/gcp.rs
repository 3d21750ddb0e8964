//! Google Cloud: which services there are, who calls, and what its errors look like.
//!
//! Hosts are `<service>.googleapis.com` (and regional forms of it), or a loopback address. A service is a file in
//! `gcp/` with a table of routes and its kinds, both named here: see [`crate::rest`].

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::cloud::{Cloud, Item};
use crate::fault::FaultKind;
use crate::http::WireError;
use crate::render::Rendered;
use crate::rest::{Req, Route, is_loopback};
use crate::services::Kind;

mod artifactregistry;
mod bigquery;
mod compute;
mod grpc;
mod managed;
mod monitoring;
mod operations;
mod recommender;
mod resourcemanager;
mod serverless;
mod shape;
mod storage;

/// The keys that every kind has, written as in [`Kind::keys`].
///
/// `raw` is merged over a resource's JSON as it is and `without` takes fields out of it, so that an answer can
/// say what no other key says. `polls` and `operation_error` say how changes of it end: see `operations`.
pub(crate) const COMMON: &[&str] = &[
    "metrics:table",
    "metrics_gap:bool",
    "raw:table",
    "without:list",
    "recommended:bool",
    "recommendation_state:text",
    "polls:int",
    "operation_error:text",
];

/// The keys by which resources of a kind name others, for which [`Cloud::referring`] has an index.
pub(crate) const LINKS: &[(&str, &str)] = &[
    ("gcp.cloud-nat", "ips"),
    ("gcp.compute-forwarding-rule", "address"),
    ("gcp.compute-instance", "addresses"),
    ("gcp.compute-instance", "disks"),
];

/// Every service's routes. The first that fits answers.
pub(crate) fn routes() -> Vec<&'static [Route]> {
    vec![
        artifactregistry::ROUTES,
        bigquery::ROUTES,
        compute::ROUTES,
        compute::CHANGES,
        managed::ROUTES,
        monitoring::ROUTES,
        recommender::ROUTES,
        resourcemanager::ROUTES,
        serverless::ROUTES,
        storage::ROUTES,
    ]
}

const KINDS: &[&[Kind]] = &[artifactregistry::KINDS, compute::KINDS, managed::KINDS, serverless::KINDS, storage::KINDS];

/// Every service's kinds.
pub(crate) fn kinds() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().copied().flatten()
}

/// Where a resource of a kind is that does not say so: in the project's first region, in a zone of it, or nowhere
/// in particular.
pub(crate) fn home(kind: &str, region: &str) -> String {
    match kind {
        "gcp.compute-disk"
        | "gcp.compute-instance"
        | "gcp.compute-instance-group"
        | "gcp.compute-instance-group-manager" => {
            format!("{region}-a")
        }
        "gcp.compute-image"
        | "gcp.compute-instance-template"
        | "gcp.compute-machine-image"
        | "gcp.compute-snapshot"
        | "gcp.compute-target-ssl-proxy" => "global".to_owned(),
        _ => region.to_owned(),
    }
}

/// Whether a host is one of Google's.
pub(crate) fn owns(host: &str) -> bool {
    host.ends_with(".googleapis.com")
}

/// Whether a path on a loopback host is one of Google's.
pub(crate) fn owns_path(path: &str) -> bool {
    let starts = [
        "/compute/v1/",
        "/bigquery/v2/",
        "/v1/projects",
        "/v2/projects",
        "/v3/",
        "/sql/v1",
        "/storage/v1/",
        "/google.",
    ];
    starts.iter().any(|start| path.starts_with(start))
}

/// Whether a service is served under a host: "compute.googleapis.com", "europe-west1-run.googleapis.com".
pub(crate) fn hosts(host: &str, service: &str) -> bool {
    let Some(name) = host.strip_suffix(".googleapis.com") else { return is_loopback(host) };
    name == service
        || (name == "www" && matches!(service, "compute" | "storage"))
        || name.strip_suffix(service).is_some_and(|region| region.ends_with('-'))
        || name.strip_prefix(service).is_some_and(|region| region.starts_with('.'))
}

/// Says whose a call is, and refuses those of projects that there are not.
pub(crate) fn claim(req: &mut Req, cloud: &Cloud) -> Result<(), WireError> {
    req.account = cloud.org().gcp.organization.clone().unwrap_or_default();
    let project = match req.service {
        "storage" => storage::claim(req, cloud)?,
        _ => req.labels.get("project").cloned(),
    };
    let Some(project) = project else { return Ok(()) };
    let known = cloud.org().of(crate::org::Vendor::Gcp).find(|known| known.id == project || known.number == project);
    let Some(known) = known else {
        return Err(no_project(req, &project));
    };
    req.account.clone_from(&known.id);
    req.labels.insert("project", known.id.clone());
    // Resource Manager says itself of projects what is with them.
    if req.service != "cloudresourcemanager" && known.status != "ACTIVE" {
        return Err(no_project(req, &known.id));
    }
    if req.service != "cloudresourcemanager" && known.rights == "none" {
        return Err(denied(req, &format!("projects/{}", known.id)));
    }
    let api = format!("{}.googleapis.com", req.service);
    if known.apis_off.contains(&api) {
        let message = format!(
            "{} has not been used in project {} before or it is disabled. Enable it by visiting https://console.developers.google.com/apis/api/{api}/overview?project={} then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry.",
            title(req.service),
            known.number,
            known.number
        );
        return Err(WireError::new(403, "SERVICE_DISABLED", message));
    }
    Ok(())
}

/// What a service answers about a project that is not there, or not any more.
fn no_project(req: &Req, project: &str) -> WireError {
    match req.service {
        "compute" => not_found(&format!("projects/{project}")),
        _ => denied(req, &format!("projects/{project}")),
    }
}

/// The name that a service's messages call it by.
fn title(service: &str) -> &'static str {
    match service {
        "artifactregistry" => "Artifact Registry API",
        "bigquery" => "BigQuery API",
        "cloudfunctions" => "Cloud Functions API",
        "cloudresourcemanager" => "Cloud Resource Manager API",
        "compute" => "Compute Engine API",
        "container" => "Kubernetes Engine API",
        "logging" => "Cloud Logging API",
        "monitoring" => "Cloud Monitoring API",
        "recommender" => "Recommender API",
        "run" => "Cloud Run Admin API",
        "sqladmin" => "Cloud SQL Admin API",
        "storage" => "Cloud Storage JSON API",
        _ => "The API",
    }
}

fn project_number<'a>(cloud: &'a Cloud, project: &'a str) -> &'a str {
    cloud.account(project).map_or(project, |account| &account.number)
}

/// The IP address of an address: the one of its key, or one that is made from its name.
fn address(item: &Item) -> String {
    item.text("address").filter(|_| item.kind == "gcp.compute-address").map_or_else(
        || {
            let hash = shape::hash(&[&item.account, &item.region, &item.id]);
            let inside = item.text("type") == Some("INTERNAL");
            let (first, second) = if inside { (10, 128) } else { (34, 64 + (hash >> 16 & 0x3f)) };
            format!("{first}.{second}.{}.{}", hash >> 8 & 0xff, hash & 0xff)
        },
        str::to_owned,
    )
}

fn not_found(path: &str) -> WireError {
    WireError::new(404, "NOT_FOUND", format!("The resource '{path}' was not found"))
}

/// The answer of a place that cannot be reached, asked by itself.
fn unreachable(place: &str) -> WireError {
    WireError::new(503, "UNAVAILABLE", format!("The location {place} is currently unreachable."))
}

/// The answer to a caller that lacks the call's permission.
fn denied(req: &Req, resource: &str) -> WireError {
    let message = match req.service {
        "compute" => format!("Required '{}' permission for '{resource}'", req.permission),
        "storage" => format!(
            "sweeper@example.com does not have {} access to the Google Cloud project. Permission '{}' denied on resource (or it may not exist).",
            req.permission, req.permission
        ),
        "sqladmin" => "The client is not authorized to make this request.".to_owned(),
        _ => format!(
            "Permission '{}' denied on resource '//{}.googleapis.com/{resource}' (or it may not exist).",
            req.permission, req.service
        ),
    };
    WireError::new(403, "PERMISSION_DENIED", message)
}

/// One page of a list: what the parameter `size` asks for (Google's APIs take less than what is too much, save
/// Compute, which refuses it), the token and the options' cap.
fn page<T: Clone>(
    cloud: &Cloud,
    req: &Req,
    items: &[T],
    size: &str,
    most: usize,
) -> Result<(Vec<T>, Option<String>), WireError> {
    let bad = |what: String| WireError::new(400, "INVALID_ARGUMENT", what);
    let asked = match req.param(size) {
        None | Some("" | "0") => most,
        Some(text) => {
            let asked: usize = text.parse().map_err(|_| bad(format!("Invalid value '{text}' for {size}.")))?;
            if asked > most && req.service == "compute" {
                return Err(bad(format!(
                    "Invalid value for field '{size}': '{asked}'. Values must be within the range: [0, {most}]"
                )));
            }
            asked.min(most)
        }
    };
    cloud
        .page(items, Some(asked), req.param("pageToken"))
        .map_err(|_| bad("Invalid value for field 'pageToken'.".to_owned()))
}

/// An error in Google's shape. The code of a [`WireError`] is the canonical status, "PERMISSION_DENIED".
pub(crate) fn error(req: &Req, error: &WireError) -> Rendered {
    if req.grpc() {
        return Rendered {
            status: 200,
            content_type: "application/grpc".to_owned(),
            trailers: grpc::trailers(error, info(req, error)),
            ..Rendered::default()
        };
    }
    let off = error.code == "SERVICE_DISABLED";
    let (status, domain, reason) = match error.code.as_str() {
        "SERVICE_DISABLED" => ("PERMISSION_DENIED", "usageLimits", "accessNotConfigured"),
        "PERMISSION_DENIED" => ("PERMISSION_DENIED", "global", "forbidden"),
        "RESOURCE_EXHAUSTED" => ("RESOURCE_EXHAUSTED", "usageLimits", "rateLimitExceeded"),
        "NOT_FOUND" => ("NOT_FOUND", "global", "notFound"),
        "UNAUTHENTICATED" => ("UNAUTHENTICATED", "global", "authError"),
        "INTERNAL" => ("INTERNAL", "global", "backendError"),
        "UNAVAILABLE" => ("UNAVAILABLE", "global", "backendError"),
        // What only Compute Engine says, in its own words.
        own if own.starts_with(|first: char| first.is_ascii_lowercase()) => ("INVALID_ARGUMENT", "global", own),
        other => (other, "global", "invalid"),
    };
    let mut body = json!({ "code": error.status, "message": error.message });
    // The older APIs have a list of errors. They say the canonical status too only where the answer is not
    // their own but that of what stands before them.
    if old(req) || off {
        body["errors"] = json!([{ "message": error.message, "domain": domain, "reason": reason }]);
    }
    let before = off || matches!(status, "UNAUTHENTICATED" | "RESOURCE_EXHAUSTED");
    if !old(req) || before {
        body["status"] = json!(status);
    }
    if let Some((reason, domain, metadata)) = info(req, error) {
        body["details"] = json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": domain, "metadata": metadata }]);
    }
    let body = json!({ "error": body });
    Rendered {
        status: error.status,
        content_type: "application/json; charset=UTF-8".to_owned(),
        body: body.to_string().into_bytes(),
        ..Rendered::default()
    }
}

/// What the newer error model says beside the message: a reason, whose it is, and details of it.
fn info<'a>(req: &'a Req, error: &WireError) -> Option<(&'static str, &'a str, BTreeMap<String, String>)> {
    let api = format!("{}.googleapis.com", req.service);
    let consumer = format!("projects/{}", req.account);
    let metadata =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    match error.code.as_str() {
        "SERVICE_DISABLED" => Some((
            "SERVICE_DISABLED",
            "googleapis.com",
            metadata(&[
                ("service", &api),
                ("consumer", &consumer),
                ("serviceTitle", title(req.service)),
                ("activationUrl", &console(req)),
            ]),
        )),
        "RESOURCE_EXHAUSTED" => Some((
            "RATE_LIMIT_EXCEEDED",
            "googleapis.com",
            metadata(&[("service", &api), ("consumer", &consumer), ("quota_limit", "ReadRequestsPerMinutePerProject")]),
        )),
        "PERMISSION_DENIED" if !old(req) && !req.permission.is_empty() => Some((
            "IAM_PERMISSION_DENIED",
            "iam.googleapis.com",
            metadata(&[("permission", req.permission), ("resource", &consumer)]),
        )),
        _ => None,
    }
}

/// Whether a service is of the older APIs, which have errors of their own shape.
fn old(req: &Req) -> bool {
    matches!(req.service, "bigquery" | "compute" | "storage" | "sqladmin")
}

/// Where a project's owner can enable a service's API.
fn console(req: &Req) -> String {
    let Req { service, account, .. } = req;
    format!("https://console.developers.google.com/apis/api/{service}.googleapis.com/overview?project={account}")
}

/// The answer to a path that no route is for.
pub(crate) fn missing(req: &Req) -> WireError {
    if req.grpc() {
        return WireError::new(501, "UNIMPLEMENTED", "");
    }
    WireError::new(404, "NOT_FOUND", format!("The requested URL {} was not found on this server.", req.path))
}

/// The error that a fault is.
pub(crate) fn fault(kind: FaultKind, req: &Req) -> Option<WireError> {
    Some(match kind {
        FaultKind::Throttle => {
            let what =
                format!("Quota exceeded for quota metric 'Queries' of service '{}.googleapis.com'.", req.service);
            WireError::new(429, "RESOURCE_EXHAUSTED", what).with("Retry-After", "1")
        }
        FaultKind::Denied => denied(req, &format!("projects/{}", req.account)),
        FaultKind::Error500 => WireError::new(500, "INTERNAL", "Internal error encountered."),
        FaultKind::ExpiredToken | FaultKind::WrongTenant => WireError::new(
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token.",
        ),
        _ => return None,
    })
}

/// The token that the same page is answered with again and again.
const REPEATED: &str = "repeated";

/// Forgets the page token. That of a gRPC call is in its message, whose handler sees to it.
pub(crate) fn forget_token(req: &mut Req) {
    req.query.remove("pageToken");
    req.labels.insert(FIRST, String::new());
}

/// The label of a call whose page token is forgotten.
const FIRST: &str = "first page";

impl Req {
    /// Whether a parameter of the query is true, in whatever case.
    fn yes(&self, name: &str) -> bool {
        self.param(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Whether the first page is to be answered whatever the call asks for.
    fn first_page(&self) -> bool {
        self.labels.contains_key(FIRST)
    }
}

/// Gives an answer the token of a next page, the same each time.
pub(crate) fn repeat_token(req: &Req, output: &mut Map<String, Value>) {
    let name = if req.service == "bigquery" { "pageToken" } else { "nextPageToken" };
    output.insert(name.to_owned(), json!(REPEATED));
}

/// Empties an answer, beyond its lists.
pub(crate) fn empty(value: &mut Value) {
    if let Some(output) = value.as_object_mut() {
        output.remove("nextPageToken");
        output.remove("pageToken");
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;

    use super::*;
    use crate::org::{Org, Vendor};
    use crate::request::Parts;

    const ORG: &str = "[gcp]\norganization = \"12\"\n[[account]]\ncloud = \"gcp\"\nid = \"shop\"\nnumber = \"42\"\napis_off = [\"run.googleapis.com\"]\n[[account]]\ncloud = \"gcp\"\nid = \"dark\"\nrights = \"none\"\n[[resource]]\nkind = \"gcp.compute-snapshot\"\naccount = \"shop\"\nid = \"s\"\ncount = 7\n";

    fn cloud(page: Option<usize>) -> Cloud {
        Cloud::new(Org::parse(ORG).unwrap(), jiff::Timestamp::UNIX_EPOCH, page)
    }

    fn asked(cloud: &Cloud, host: &str, path: &str, query: &str) -> Result<Req, Box<(Req, WireError)>> {
        let mut headers = HeaderMap::new();
        headers.insert("host", host.parse().unwrap());
        let parts = Parts { method: "GET", path, query, authority: None, headers: &headers, body: b"" };
        crate::rest::recognise(Vendor::Gcp, &parts, cloud, Vec::new())
    }

    fn answer(cloud: &Cloud, host: &str, path: &str, query: &str) -> Value {
        let rendered = match asked(cloud, host, path, query) {
            Ok(req) => {
                let reply = req.handle(cloud);
                req.render(reply, 1)
            }
            Err(refused) => refused.0.error(&refused.1, 1),
        };
        serde_json::from_slice(&rendered.body).unwrap()
    }

    #[test]
    fn services_by_their_hosts() {
        for host in [
            "run.googleapis.com",
            "europe-west1-run.googleapis.com",
            "run.europe-west1.rep.googleapis.com",
            "127.0.0.1",
        ] {
            assert!(hosts(host, "run"), "{host}");
        }
        for host in ["prun.googleapis.com", "storage.googleapis.com", "run.googleapis.com.example", "example.com"] {
            assert!(!hosts(host, "run"), "{host}");
        }
        let cloud = cloud(None);
        let service =
            |host: &str| asked(&cloud, host, "/v2/projects/shop/locations/l/buckets", "").map(|req| req.service).ok();
        assert_eq!(service("logging.googleapis.com"), Some("logging"));
        assert_eq!(service("127.0.0.1:80"), Some("logging"));
        assert_eq!(service("run.googleapis.com"), None);
    }

    #[test]
    fn every_page_once() {
        let path = "/compute/v1/projects/42/global/snapshots";
        for (cap, size, turns) in
            [(None, "500", 1), (None, "3", 3), (Some(2), "", 4), (Some(2), "1", 7), (Some(9), "0", 1)]
        {
            let cloud = cloud(cap);
            let (mut seen, mut token, mut taken) = (Vec::new(), String::new(), 0);
            loop {
                let query = format!("maxResults={size}&pageToken={token}");
                let page = answer(&cloud, "compute.googleapis.com", path, &query);
                seen.extend(
                    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()),
                );
                taken += 1;
                match page["nextPageToken"].as_str() {
                    Some(next) => next.clone_into(&mut token),
                    None => break,
                }
            }
            let all: Vec<String> = (1..=7).map(|n| format!("s{n:04}")).collect();
            assert_eq!((seen, taken), (all, turns));
        }
        let cloud = cloud(None);
        for query in ["maxResults=501", "maxResults=-1", "maxResults=x", "pageToken=x", "filter=a"] {
            assert_eq!(answer(&cloud, "compute.googleapis.com", path, query)["error"]["code"], 400, "{query}");
        }
    }

    #[test]
    fn whose_call_it_is() {
        let cloud = cloud(None);
        let path = |project: &str| format!("/compute/v1/projects/{project}/regions");
        let req = asked(&cloud, "compute.googleapis.com", &path("42"), "").ok().unwrap();
        assert_eq!((req.account.as_str(), req.label("project")), ("shop", "shop"));
        let error = |host: &str, path: &str| answer(&cloud, host, path, "")["error"].clone();
        assert_eq!(error("compute.googleapis.com", &path("none"))["code"], 404);
        let dark = error("compute.googleapis.com", &path("dark"));
        assert_eq!((&dark["code"], &dark["errors"][0]["reason"]), (&json!(403), &json!("forbidden")));
        let off = error("run.googleapis.com", "/v2/projects/shop/locations/l/jobs");
        assert_eq!(
            (&off["status"], &off["details"][0]["reason"]),
            (&json!("PERMISSION_DENIED"), &json!("SERVICE_DISABLED"))
        );
    }
}
