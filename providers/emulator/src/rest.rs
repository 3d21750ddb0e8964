//! The clouds whose APIs are paths: Azure and Google Cloud.
//!
//! To add a service to one of them, write a file beside the others in `azure/` or `gcp/` with a table of
//! [`Route`]s and the resource kinds that it answers from, and name both in the cloud's lists (`azure.rs`,
//! `gcp.rs`). A route says which method and path it is, whose journal entry (service, operation, permission) a
//! call of it makes and which function answers. Who called, whether a fault strikes, paging's caps and the shape
//! of errors are seen to outside of it: a handler returns `Reply::Value` and takes the rest for granted.

use std::collections::BTreeMap;

use hyper::HeaderMap;
use serde_json::{Map, Value};

use crate::cloud::Cloud;
use crate::fault::{Denial, FaultKind, Target};
use crate::http::{Reply, WireError};
use crate::org::Vendor;
use crate::render::{self, Rendered};
use crate::request::{Parts, form, segments};
use crate::{azure, gcp};

/// One operation.
pub(crate) struct Route {
    /// The service, as in the journal. Google's are the first word of their host ("compute"), and a route is
    /// only found under that host, or under a loopback one.
    pub(crate) service: &'static str,
    pub(crate) method: &'static str,
    /// The path, with `{name}` for a segment and `{name*}` for one or more; a segment may end in a literal, as
    /// in `{project}:testIamPermissions`. The label `subscription` or `project` says whose the call is; the
    /// label `zone`, `region` or `location` where.
    pub(crate) path: &'static str,
    /// The operation's name in the API's description, "Disks_List", "compute.disks.aggregatedList".
    pub(crate) action: &'static str,
    /// The permission that the call needs; none for calls that everybody may make.
    pub(crate) permission: &'static str,
    pub(crate) handle: fn(&Cloud, &Req) -> Result<Reply, WireError>,
}

/// A recognised request.
#[derive(Clone)]
pub(crate) struct Req {
    pub(crate) vendor: Vendor,
    pub(crate) service: &'static str,
    pub(crate) action: &'static str,
    pub(crate) permission: &'static str,
    /// The subscription or project; what holds them all if the call is about none or several.
    pub(crate) account: String,
    /// The location, or "global".
    pub(crate) region: String,
    /// The host that was asked, in lower case and without a port.
    pub(crate) host: String,
    /// What links to further pages start with: "http://127.0.0.1:8080", "https://management.azure.com".
    pub(crate) origin: String,
    /// The path, still encoded.
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    /// The query as it came, for parameters that appear more than once.
    pub(crate) raw_query: String,
    /// What the route's labels stand for, decoded.
    pub(crate) labels: BTreeMap<&'static str, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The rights that standing faults take away.
    pub(crate) denials: Vec<Denial>,
    /// The zones and regions that cannot be reached.
    pub(crate) lost: Vec<String>,
    /// Those that a warning in their own list says so of.
    pub(crate) warned: Vec<String>,
}

impl Req {
    /// What a label stands for; nothing if the route has no such label.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// A parameter of the query, whichever case its name is in.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter of the query.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = String> {
        self.raw_query.split('&').filter_map(move |pair| form(pair.as_bytes()).remove(name))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Whether the call is a gRPC one.
    pub(crate) fn grpc(&self) -> bool {
        self.headers.get("content-type").is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
    }

    /// Whether the caller was denied a permission in an account.
    pub(crate) fn denied(&self, account: &str, permission: &str) -> bool {
        self.denials.iter().any(|denial| denial.takes(account, permission))
    }

    /// Whether a place, or the region that it is in, cannot be reached.
    pub(crate) fn is_lost(&self, place: &str) -> bool {
        within(&self.lost, place)
    }

    /// Whether a place's own list is to say that it cannot be reached.
    pub(crate) fn is_warned(&self, place: &str) -> bool {
        within(&self.warned, place)
    }

    pub(crate) fn target(&self) -> Target<'_> {
        Target {
            account: &self.account,
            region: &self.region,
            service: self.service,
            action: self.action,
            permission: self.permission,
        }
    }

    /// The service's answer.
    pub(crate) fn handle(&self, cloud: &Cloud) -> Result<Reply, WireError> {
        let routes = routes(self.vendor);
        match routes.into_iter().flatten().find(|route| route.service == self.service && route.action == self.action) {
            Some(route) => (route.handle)(cloud, self),
            None => Err(self.missing()),
        }
    }

    fn missing(&self) -> WireError {
        match self.vendor {
            Vendor::Gcp => gcp::missing(self),
            _ => azure::missing(self),
        }
    }

    pub(crate) fn render(&self, reply: Result<Reply, WireError>, n: u64) -> Rendered {
        let json = |status, headers, value: &Value| Rendered {
            status,
            content_type: "application/json; charset=utf-8".to_owned(),
            headers,
            body: value.to_string().into_bytes(),
            ..Rendered::default()
        };
        let mut rendered = match reply {
            Ok(Reply::Value(value)) => json(200, Vec::new(), &value),
            Ok(Reply::With { status, headers, value }) => json(status, headers, &value),
            Ok(Reply::Raw { status, content_type, headers, body }) => {
                Rendered { status, content_type, headers, body, ..Rendered::default() }
            }
            Ok(Reply::Grpc(message)) => {
                let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
                let mut body = vec![0];
                body.extend(length.to_be_bytes());
                body.extend(message);
                Rendered {
                    status: 200,
                    content_type: "application/grpc".to_owned(),
                    body,
                    trailers: vec![("grpc-status".to_owned(), "0".to_owned())],
                    ..Rendered::default()
                }
            }
            Err(error) => return self.error(&error, n),
        };
        if self.vendor == Vendor::Azure {
            rendered.headers.extend(azure::headers(self, n));
        }
        rendered
    }

    pub(crate) fn error(&self, error: &WireError, n: u64) -> Rendered {
        let mut rendered = match self.vendor {
            Vendor::Gcp => gcp::error(self, error),
            _ => azure::error(self, error, n),
        };
        rendered.headers.extend(error.headers.iter().cloned());
        rendered
    }

    /// The error that the service answers instead, for the faults that are errors.
    pub(crate) fn fault(&self, kind: FaultKind) -> Option<WireError> {
        match self.vendor {
            Vendor::Gcp => gcp::fault(kind, self),
            _ => azure::fault(kind, self),
        }
    }

    /// Forgets the page token, so that the first page is answered.
    pub(crate) fn forget_token(&mut self) {
        match self.vendor {
            Vendor::Gcp => gcp::forget_token(self),
            _ => azure::forget_token(self),
        }
    }

    /// Gives an answer the token of a next page, the same each time.
    pub(crate) fn repeat_token(&self, output: &mut Map<String, Value>) {
        match self.vendor {
            Vendor::Gcp => gcp::repeat_token(self, output),
            _ => azure::repeat_token(self, output),
        }
    }

    /// Empties an answer's lists.
    pub(crate) fn empty(&self, value: &mut Value) {
        match self.vendor {
            Vendor::Gcp => gcp::empty(value),
            _ => azure::empty(value),
        }
        render::empty(value, 0);
    }
}

/// Whether a place is one of these, or a zone of a region of them.
fn within(places: &[String], place: &str) -> bool {
    let zone_of =
        |region: &str| region.contains('-') && place.strip_prefix(region).is_some_and(|letter| letter.starts_with('-'));
    places.iter().any(|known| known == place || zone_of(known))
}

fn routes(vendor: Vendor) -> Vec<&'static [Route]> {
    match vendor {
        Vendor::Aws => Vec::new(),
        Vendor::Azure => azure::routes(),
        Vendor::Gcp => gcp::routes(),
    }
}

/// The host that was asked: in lower case, as given and without a port.
fn host(parts: &Parts<'_>) -> (String, String) {
    let given = parts.headers.get("host").and_then(|value| value.to_str().ok()).or(parts.authority).unwrap_or_default();
    let given = given.to_ascii_lowercase();
    let bare = match given.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host.to_owned(),
        _ => given.clone(),
    };
    (given, bare)
}

pub(crate) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

/// Whose API a request is for: that of its signature, its host, or else its path.
pub(crate) fn vendor(parts: &Parts<'_>) -> Vendor {
    let signed = parts.headers.get("authorization").is_some_and(|value| value.as_bytes().starts_with(b"AWS4"));
    if signed || parts.headers.contains_key("x-amz-target") || parts.query.contains("X-Amz-Credential") {
        return Vendor::Aws;
    }
    let (_, host) = host(parts);
    if azure::owns(&host) {
        return Vendor::Azure;
    }
    let grpc = parts.headers.get("content-type").is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    if gcp::owns(&host) || grpc {
        return Vendor::Gcp;
    }
    if is_loopback(&host) {
        if azure::owns_path(parts.path) {
            return Vendor::Azure;
        }
        if gcp::owns_path(parts.path) {
            return Vendor::Gcp;
        }
    }
    Vendor::Aws
}

/// Recognises a request of a cloud, or says with as much of it as could be recognised what the cloud would say.
pub(crate) fn recognise(
    vendor: Vendor,
    parts: &Parts<'_>,
    cloud: &Cloud,
    denials: Vec<Denial>,
) -> Result<Req, Box<(Req, WireError)>> {
    let (given, host) = host(parts);
    let scheme = if is_loopback(&host) { "http" } else { "https" };
    let mut req = Req {
        vendor,
        service: "",
        action: "Unknown",
        permission: "",
        account: String::new(),
        region: "global".to_owned(),
        origin: format!("{scheme}://{given}"),
        host,
        path: parts.path.to_owned(),
        query: form(parts.query.as_bytes()),
        raw_query: parts.query.to_owned(),
        labels: BTreeMap::new(),
        headers: parts.headers.clone(),
        body: parts.body.to_vec(),
        denials,
        lost: Vec::new(),
        warned: Vec::new(),
    };
    let mut path = segments(parts.path);
    if vendor == Vendor::Azure {
        azure::place(&req.host, &mut path);
    }
    let found = routes(vendor).into_iter().flatten().find_map(|route| {
        let fits = route.method == parts.method
            && match vendor {
                Vendor::Gcp => gcp::hosts(&req.host, route.service),
                _ => azure::hosts(&req.host, route.service),
            };
        fits.then(|| labels(route.path, &path, vendor == Vendor::Azure)).flatten().map(|labels| (route, labels))
    });
    let Some((route, labels)) = found else {
        let error = req.missing();
        return Err(Box::new((req, error)));
    };
    req.service = route.service;
    req.action = route.action;
    req.permission = route.permission;
    req.labels = labels;
    for name in ["zone", "region", "location"] {
        if let Some(place) = req.labels.get(name)
            && place != "-"
        {
            req.region.clone_from(place);
        }
    }
    let refused = match vendor {
        Vendor::Gcp => gcp::claim(&mut req, cloud),
        _ => azure::claim(&mut req, cloud),
    };
    match refused {
        Ok(()) => Ok(req),
        Err(error) => Err(Box::new((req, error))),
    }
}

/// What the labels of a template stand for, if a path is one of its.
fn labels(template: &'static str, path: &[String], fold: bool) -> Option<BTreeMap<&'static str, String>> {
    let mut labels = BTreeMap::new();
    let mut wanted: Vec<&'static str> = template.split('/').filter(|part| !part.is_empty()).collect();
    let mut path: &[String] = path;
    let mut many: Option<(&'static str, Vec<String>)> = None;
    // What follows the label of several segments is matched from the end.
    if let Some(at) = wanted.iter().position(|part| part.ends_with("*}")) {
        let tail = wanted.split_off(at + 1);
        let name = wanted.pop()?.strip_prefix('{')?.strip_suffix("*}")?;
        let left = path.len().checked_sub(wanted.len() + tail.len()).filter(|left| *left > 0)?;
        let (head, rest) = path.split_at(wanted.len());
        let (middle, end) = rest.split_at(left);
        many = Some((name, middle.to_vec()));
        for (part, given) in tail.iter().zip(end) {
            label(part, given, fold, &mut labels)?;
        }
        path = head;
    }
    if wanted.len() != path.len() {
        return None;
    }
    for (part, given) in wanted.iter().zip(path) {
        label(part, given, fold, &mut labels)?;
    }
    if let Some((name, middle)) = many {
        labels.insert(name, middle.join("/"));
    }
    Some(labels)
}

fn label(part: &'static str, given: &str, fold: bool, labels: &mut BTreeMap<&'static str, String>) -> Option<()> {
    let Some((name, tail)) = part.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
        let same = if fold { part.eq_ignore_ascii_case(given) } else { part == given };
        return same.then_some(());
    };
    let value = given.strip_suffix(tail).filter(|value| !value.is_empty())?;
    // A verb belongs to the routes that name it. Projects of a domain and packages of Maven have a colon of their own.
    if tail.is_empty() && !fold && value.contains(':') && !matches!(name, "project" | "package") {
        return None;
    }
    labels.insert(name, value.to_owned());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(template: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
        labels(template, &segments(path), true).map(|labels| labels.into_iter().collect())
    }

    #[test]
    fn templates() {
        assert_eq!(matched("/subscriptions", "/Subscriptions"), Some(vec![]));
        assert_eq!(matched("/a/{x}", "/a"), None);
        assert_eq!(matched("/a/{x}:go", "/a/b:go"), Some(vec![("x", "b".to_owned())]));
        assert_eq!(matched("/a/{x}:go", "/a/:go"), None);
        assert_eq!(
            matched("/{id*}/providers/{p}", "/a/b%2fc/providers/M"),
            Some(vec![("id", "a/b/c".to_owned()), ("p", "M".to_owned())])
        );
        assert_eq!(matched("/{id*}/providers", "/providers"), None);
    }

    #[test]
    fn nothing_a_client_sends_panics() {
        let org = "[[account]]\ncloud = \"azure\"\nid = \"00000000-0000-0000-0000-0000000000aa\"\n[[account]]\ncloud = \"gcp\"\nid = \"shop-1\"\n[[resource]]\nkind = \"azure.compute-disk\"\nid = \"d\"\n[[resource]]\nkind = \"azure.storage-account\"\nid = \"s\"\n[[resource]]\nkind = \"azure.acr-registry\"\nid = \"r\"\n";
        let cloud = Cloud::new(crate::Org::parse(org).unwrap(), jiff::Timestamp::UNIX_EPOCH, Some(1));
        let queries = [
            "",
            "api-version=1&$skiptoken=x&$filter=x&$top=\u{e9}",
            "maxresults=0&marker=%ff&n=-1&last=%",
            "metricnames=a&timespan=x/y&interval=P9D",
        ];
        let bodies = ["", "{", "[]", "{\"query\":\"|\",\"options\":{\"$top\":-1}}", "{\"resourceids\":[\"/\",\"\"]}"];
        for vendor in [Vendor::Azure, Vendor::Gcp] {
            for route in routes(vendor).into_iter().flatten() {
                for fill in ["00000000-0000-0000-0000-0000000000aa", "shop-1", "s", "r", "\u{e9}%zz", "-"] {
                    let path = route.path.split('/').map(|part| match part.split_once('}') {
                        Some((_, tail)) if part.starts_with('{') => format!("{fill}{tail}"),
                        _ => part.to_owned(),
                    });
                    let path = path.collect::<Vec<_>>().join("/");
                    for query in queries {
                        for body in bodies {
                            let mut headers = HeaderMap::new();
                            headers.insert("host", "127.0.0.1:1".parse().unwrap());
                            headers.insert("authorization", "Bearer a.b.\u{e9}".parse().unwrap());
                            let parts = Parts {
                                method: route.method,
                                path: &path,
                                authority: None,
                                query,
                                headers: &headers,
                                body: body.as_bytes(),
                            };
                            match recognise(vendor, &parts, &cloud, Vec::new()) {
                                Ok(req) => drop(req.render(req.handle(&cloud), 1)),
                                Err(wrong) => drop(wrong.0.error(&wrong.1, 1)),
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn operations_are_told_apart() {
        for vendor in [Vendor::Azure, Vendor::Gcp] {
            let mut seen = std::collections::BTreeSet::new();
            for route in routes(vendor).into_iter().flatten() {
                assert!(seen.insert((route.service, route.action)), "{} {} twice", route.service, route.action);
                assert!(route.path.starts_with('/'), "{}", route.path);
            }
        }
    }
}
