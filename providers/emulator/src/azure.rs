//! Azure: which services there are, who calls, and what its errors look like.
//!
//! Hosts are `management.azure.com`, `<registry>.azurecr.io`, `<account>.blob.core.windows.net` and
//! `<region>.metrics.monitor.azure.com`; or a loopback address, where paths tell them apart: those of ARM and of
//! `metrics:getBatch` as they are, a registry's below `/_acr/<registry>`, a storage account's below
//! `/_blob/<account>`.
//!
//! A service is a file in `azure/` with a table of routes and its kinds, both named here: see [`crate::rest`].

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::cloud::Cloud;
use crate::fault::FaultKind;
use crate::http::WireError;
use crate::org::Vendor;
use crate::render::Rendered;
use crate::rest::{Req, Route, is_loopback};
use crate::services::Kind;

use arm::Type;

pub(crate) mod arm;
mod compute;
mod containers;
mod costmanagement;
mod databases;
mod graph;
mod monitor;
mod network;
mod registry;
mod resources;
mod storage;
mod vaults;
mod web;
mod writes;

/// The keys that every kind has, written as in [`Kind::keys`].
pub(crate) const COMMON: &[&str] = &[
    "metrics:table",
    "metrics_gap:bool",
    "group:text",
    "lock:text",
    "managed_by:text",
    "zones:list",
    "properties:table",
    "polls:int",
    "fails:text",
];

/// The keys by which resources of a kind name others, for which [`Cloud::referring`] has an index.
pub(crate) const LINKS: &[&[(&str, &str)]] =
    &[compute::LINKS, network::LINKS, registry::LINKS, storage::LINKS, web::LINKS];

/// Every service's routes. The first that fits answers.
pub(crate) fn routes() -> Vec<&'static [Route]> {
    let mut all =
        vec![resources::ROUTES, arm::ROUTES, graph::ROUTES, monitor::ROUTES, costmanagement::ROUTES, writes::ROUTES];
    all.extend(compute::ROUTES);
    all.extend(network::ROUTES);
    all.extend(registry::ROUTES);
    all.extend(storage::ROUTES);
    all.extend(containers::ROUTES);
    all.extend(databases::ROUTES);
    all.extend(vaults::ROUTES);
    all.extend(web::ROUTES);
    all
}

const KINDS: &[&[Kind]] = &[
    resources::KINDS,
    arm::KINDS,
    compute::KINDS,
    network::KINDS,
    registry::KINDS,
    storage::KINDS,
    containers::KINDS,
    databases::KINDS,
    vaults::KINDS,
    web::KINDS,
];

/// Every resource type.
fn types() -> impl Iterator<Item = &'static Type> {
    let all = [
        compute::TYPES,
        network::TYPES,
        registry::TYPES,
        storage::TYPES,
        containers::TYPES,
        databases::TYPES,
        vaults::TYPES,
        web::TYPES,
        arm::TYPES,
    ];
    all.into_iter().flatten().copied()
}

/// Every service's kinds.
pub(crate) fn kinds() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().copied().flatten()
}

/// What the cloud calls a resource of a kind.
pub(crate) fn native_id(kind: &str, account: &str, name: &str, text: impl Fn(&str) -> Option<String>) -> String {
    match kind {
        "azure.acr-manifest" => registry::manifest_id(name, text),
        _ => arm::id_of(kind, account, name, text),
    }
}

const ARM: &str = "management.azure.com";
const ACR: &str = ".azurecr.io";
const BLOB: &str = ".blob.core.windows.net";
const MONITOR: &str = "metrics.monitor.azure.com";

/// Whether a host is one of Azure's.
pub(crate) fn owns(host: &str) -> bool {
    host == ARM || host.ends_with(ACR) || host.ends_with(BLOB) || host.ends_with(MONITOR)
}

/// Whether a path on a loopback host is one of Azure's.
pub(crate) fn owns_path(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    ["subscriptions", "providers", "tenants", "_acr", "_blob"].iter().any(|own| own.eq_ignore_ascii_case(first))
}

/// Puts what is below a host of its own where it is on a loopback one.
pub(crate) fn place(host: &str, path: &mut Vec<String>) {
    for (prefix, suffix) in [("_acr", ACR), ("_blob", BLOB)] {
        if let Some(name) = host.strip_suffix(suffix) {
            path.splice(0..0, [prefix.to_owned(), name.to_owned()]);
        }
    }
}

/// Whether a service is served under a host.
pub(crate) fn hosts(host: &str, service: &str) -> bool {
    is_loopback(host)
        || match service {
            "acr" => host.ends_with(ACR),
            "blob" => host.ends_with(BLOB),
            "monitor" => host.ends_with(MONITOR),
            _ => host == ARM,
        }
}

/// Says whose a call is, and refuses what ARM refuses before any service sees it.
pub(crate) fn claim(req: &mut Req, cloud: &Cloud) -> Result<(), WireError> {
    req.account.clone_from(&cloud.org().azure.tenant);
    let subscription = req.labels.get("subscription").cloned();
    if req.action == "Resources" {
        // A query about one subscription is that one's call; about several it is the tenant's.
        if let [only] = &graph::subscriptions_of(req)[..] {
            only.clone_into(&mut req.account);
        }
    }
    let known = subscription.as_ref().and_then(|asked| {
        let known = cloud.org().of(Vendor::Azure).find(|known| known.id.eq_ignore_ascii_case(asked));
        known.filter(|known| known.status != "Deleted")
    });
    if let Some(known) = known {
        req.account.clone_from(&known.id);
    }
    if req.service == "monitor"
        && let Some((region, _)) = req.host.split_once('.').filter(|_| !is_loopback(&req.host) && req.host != MONITOR)
    {
        req.region = region.to_owned();
    }
    match req.service {
        "acr" => {
            req.account.clone_from(&registry::find(cloud, req)?.account);
            return Ok(());
        }
        "blob" => {
            req.account.clone_from(&storage::find(cloud, req)?.account);
            let bearer = req.headers.get("authorization").is_some_and(|value| value.as_bytes().starts_with(b"Bearer "));
            // Without a version the service takes no tokens.
            return if bearer && req.headers.contains_key("x-ms-version") {
                Ok(())
            } else {
                let message = "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.";
                Err(WireError::new(401, "NoAuthenticationInformation", message))
            };
        }
        _ => {}
    }
    let bearer = req.headers.get("authorization").is_some_and(|value| value.as_bytes().starts_with(b"Bearer "));
    if !bearer {
        let message = "Authentication failed. The 'Authorization' header is missing.";
        return Err(WireError::new(401, "AuthenticationFailed", message));
    }
    if req.param("api-version").is_none_or(str::is_empty) {
        let message = "The api-version query parameter (?api-version=) is required for all requests.";
        return Err(WireError::new(400, "MissingApiVersionParameter", message));
    }
    match (subscription, known) {
        (Some(asked), None) => {
            Err(WireError::new(404, "SubscriptionNotFound", format!("The subscription '{asked}' could not be found.")))
        }
        (Some(_), Some(known)) if known.rights == "none" => Err(unauthorised(req)),
        _ => Ok(()),
    }
}

/// The error of a caller that lacks the call's permission.
pub(crate) fn unauthorised(req: &Req) -> WireError {
    let scope = match req.labels.get("subscription") {
        Some(subscription) => format!("/subscriptions/{subscription}"),
        None => "/".to_owned(),
    };
    WireError::new(
        403,
        "AuthorizationFailed",
        format!(
            "The client 'sweeper' with object id '00000000-0000-4000-8000-000000000001' does not have authorization to perform action '{}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
            req.permission
        ),
    )
}

/// An error in the service's shape.
pub(crate) fn error(req: &Req, error: &WireError, n: u64) -> Rendered {
    // A code of two parts is the error's and that of its one detail.
    let body = match error.code.split_once('/') {
        None => json!({ "error": { "code": error.code, "message": error.message } }),
        Some((code, detail)) => json!({ "error": {
            "code": code,
            "message": "Please provide below info when asking for support: timestamp = 2026-01-01T00:00:00Z.",
            "details": [{ "code": detail, "message": error.message }],
        } }),
    };
    let json = "application/json; charset=utf-8".to_owned();
    let mut headers = headers(req, n);
    let (content_type, body) = match req.service {
        "acr" => (json, registry::error(error)),
        "blob" => {
            headers.push(("x-ms-error-code".to_owned(), error.code.clone()));
            storage::error(error)
        }
        _ => (json, body.to_string().into_bytes()),
    };
    Rendered { status: error.status, content_type, headers, body, ..Rendered::default() }
}

/// The headers that ARM gives every answer.
pub(crate) fn headers(req: &Req, n: u64) -> Vec<(String, String)> {
    let id = format!("00000000-0000-4000-8000-{n:012x}");
    let mut headers = vec![("x-ms-request-id".to_owned(), id.clone())];
    if !matches!(req.service, "acr" | "blob" | "monitor") {
        headers.push(("x-ms-correlation-request-id".to_owned(), id));
        let left = 11_999_u64.saturating_sub(n % 12_000);
        headers.push(("x-ms-ratelimit-remaining-subscription-reads".to_owned(), left.to_string()));
    }
    headers
}

/// The answer to a path that no route is for.
pub(crate) fn missing(req: &Req) -> WireError {
    WireError::new(404, "InvalidResourceType", format!("The resource type could not be found for '{}'.", req.path))
}

/// The error that a fault is.
pub(crate) fn fault(kind: FaultKind, req: &Req) -> Option<WireError> {
    Some(match kind {
        FaultKind::Throttle if req.service == "acr" => {
            WireError::new(429, "TOOMANYREQUESTS", "too many requests").with("Retry-After", "1")
        }
        FaultKind::Denied | FaultKind::ExpiredToken | FaultKind::WrongTenant if req.service == "acr" => {
            registry::unauthorised(req)
        }
        FaultKind::Error500 if req.service == "acr" => WireError::new(500, "UNKNOWN", "unknown error"),
        FaultKind::Throttle if req.service == "blob" => {
            WireError::new(503, "ServerBusy", "The server is currently unable to receive requests.")
        }
        FaultKind::Denied if req.service == "blob" => WireError::new(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission.",
        ),
        FaultKind::ExpiredToken | FaultKind::WrongTenant if req.service == "blob" => {
            WireError::new(401, "InvalidAuthenticationInfo", "Authentication information is not given in the correct format.")
        }
        FaultKind::Error500 if req.service == "blob" => {
            WireError::new(500, "InternalError", "The server encountered an internal error.")
        }
        FaultKind::Throttle if req.action == "Resources" => WireError::new(
            429,
            "RateLimiting",
            "Client application has been throttled and should not attempt to repeat the request until an amount of time has elapsed. Please see https://aka.ms/resourcegraph-throttling for help.",
        )
        .with("Retry-After", "1")
        .with("x-ms-user-quota-remaining", "0")
        .with("x-ms-user-quota-resets-after", "00:00:01"),
        FaultKind::Throttle if req.service == costmanagement::SERVICE => costmanagement::throttled(),
        FaultKind::Throttle => WireError::new(
            429,
            "SubscriptionRequestsThrottled",
            format!("Number of read requests for subscription '{}' exceeded the limit. Please try again.", req.account),
        )
        .with("Retry-After", "1")
        .with("x-ms-ratelimit-remaining-subscription-reads", "0"),
        FaultKind::Denied => unauthorised(req),
        FaultKind::Error500 => WireError::new(
            500,
            "InternalServerError",
            "Encountered internal server error. Diagnostic information: none.",
        ),
        FaultKind::ExpiredToken => WireError::new(
            401,
            "ExpiredAuthenticationToken",
            "The access token expiry UTC time is earlier than current UTC time.",
        ),
        FaultKind::WrongTenant => WireError::new(
            401,
            "InvalidAuthenticationTokenTenant",
            "The access token is from the wrong issuer. It must match the tenant associated with this subscription.",
        ),
        _ => return None,
    })
}

/// Forgets the page token.
pub(crate) fn forget_token(req: &mut Req) {
    req.query.retain(|name, _| !name.eq_ignore_ascii_case("$skiptoken") && name != "last" && name != "marker");
    if let Some(mut body) = req.json() {
        if let Some(options) = body.get_mut("options").and_then(Value::as_object_mut) {
            options.remove("$skipToken");
        }
        req.body = body.to_string().into_bytes();
    }
}

/// The URL of a call's next page.
pub(crate) fn next_link(req: &Req, token: &str) -> String {
    let mut link = format!("{}{}", req.origin, req.path);
    let mut mark = '?';
    for (name, value) in req.query.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("$skiptoken")) {
        let _ = write!(link, "{mark}{}={}", encoded(name), encoded(value));
        mark = '&';
    }
    format!("{link}{mark}%24skiptoken={}", encoded(token))
}

/// A text as a part of a query.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Gives an answer the token of a next page, the same each time.
pub(crate) fn repeat_token(req: &Req, output: &mut Map<String, Value>) {
    if req.action == "Resources" {
        output.insert("$skipToken".to_owned(), json!("repeated"));
    } else if let Some(properties) = output.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("nextLink".to_owned(), json!(next_link(req, "repeated")));
    } else {
        output.insert("nextLink".to_owned(), json!(next_link(req, "repeated")));
    }
}

/// Empties an answer, beyond its lists.
pub(crate) fn empty(value: &mut Value) {
    if let Some(output) = value.as_object_mut() {
        for token in ["nextLink", "$skipToken"] {
            output.remove(token);
        }
        for count in ["count", "totalRecords"] {
            if output.contains_key(count) {
                output.insert(count.to_owned(), json!(0));
            }
        }
    }
}
