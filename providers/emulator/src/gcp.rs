//! Google Cloud: which services there are, who calls, and what its errors look like.
//!
//! Hosts are `<service>.googleapis.com` (and regional forms of it), or a loopback address. A service is a file in
//! `gcp/` with a table of routes and its kinds, both named here: see [`crate::rest`].

use serde_json::{Map, Value, json};

use crate::cloud::Cloud;
use crate::fault::FaultKind;
use crate::http::WireError;
use crate::render::Rendered;
use crate::rest::{Req, Route, is_loopback};
use crate::services::Kind;

mod resourcemanager;

/// The keys that every kind has, written as in [`Kind::keys`].
pub(crate) const COMMON: &[&str] = &["metrics:table", "metrics_gap:bool"];

/// The keys by which resources of a kind name others, for which [`Cloud::referring`] has an index.
pub(crate) const LINKS: &[(&str, &str)] = &[];

/// Every service's routes. The first that fits answers.
pub(crate) fn routes() -> Vec<&'static [Route]> {
    vec![resourcemanager::ROUTES]
}

const KINDS: &[&[Kind]] = &[];

/// Every service's kinds.
pub(crate) fn kinds() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().copied().flatten()
}

/// Whether a host is one of Google's.
pub(crate) fn owns(host: &str) -> bool {
    host.ends_with(".googleapis.com")
}

/// Whether a path on a loopback host is one of Google's.
pub(crate) fn owns_path(path: &str) -> bool {
    let starts = ["/compute/v1/", "/v1/projects", "/v2/projects", "/v3/", "/sql/v1", "/storage/v1/", "/google."];
    starts.iter().any(|start| path.starts_with(start))
}

/// Whether a service is served under a host: "compute.googleapis.com", "europe-west1-run.googleapis.com".
pub(crate) fn hosts(host: &str, service: &str) -> bool {
    let Some(name) = host.strip_suffix(".googleapis.com") else { return is_loopback(host) };
    name == service
        || name.strip_suffix(service).is_some_and(|region| region.ends_with('-'))
        || name.strip_prefix(service).is_some_and(|region| region.starts_with('.'))
}

/// Says whose a call is, and refuses those of projects that there are not.
pub(crate) fn claim(req: &mut Req, cloud: &Cloud) -> Result<(), WireError> {
    req.account = cloud.org().gcp.organization.clone().unwrap_or_default();
    let Some(project) = req.labels.get("project").cloned() else { return Ok(()) };
    let known = cloud
        .org()
        .of(crate::org::Vendor::Gcp)
        .find(|known| known.id == project || known.number == project)
        .filter(|known| known.status == "ACTIVE");
    let Some(known) = known else {
        return Err(WireError::new(
            403,
            "PERMISSION_DENIED",
            format!("Permission denied on resource project {project}."),
        ));
    };
    req.account.clone_from(&known.id);
    req.labels.insert("project", known.id.clone());
    let api = format!("{}.googleapis.com", req.service);
    if known.apis_off.contains(&api) {
        return Err(WireError::new(
            403,
            "PERMISSION_DENIED",
            format!("{api} has not been used in project {} before or it is disabled.", known.number),
        ));
    }
    Ok(())
}

/// An error in Google's shape. The code of a [`WireError`] is the canonical status, "PERMISSION_DENIED".
pub(crate) fn error(req: &Req, error: &WireError) -> Rendered {
    if req.grpc() {
        let message = error.message.replace(['\n', '\r'], " ");
        return Rendered {
            status: 200,
            content_type: "application/grpc".to_owned(),
            trailers: vec![
                ("grpc-status".to_owned(), grpc_code(&error.code).to_string()),
                ("grpc-message".to_owned(), message),
            ],
            ..Rendered::default()
        };
    }
    let reason = match error.code.as_str() {
        "PERMISSION_DENIED" => "forbidden",
        "RESOURCE_EXHAUSTED" => "rateLimitExceeded",
        "NOT_FOUND" => "notFound",
        "UNAUTHENTICATED" => "authError",
        "INTERNAL" => "backendError",
        _ => "invalid",
    };
    let body = json!({
        "error": {
            "code": error.status,
            "message": error.message,
            "status": error.code,
            "errors": [{ "message": error.message, "domain": "global", "reason": reason }],
        }
    });
    Rendered {
        status: error.status,
        content_type: "application/json; charset=UTF-8".to_owned(),
        body: body.to_string().into_bytes(),
        ..Rendered::default()
    }
}

fn grpc_code(status: &str) -> u8 {
    match status {
        "INVALID_ARGUMENT" => 3,
        "NOT_FOUND" => 5,
        "PERMISSION_DENIED" => 7,
        "RESOURCE_EXHAUSTED" => 8,
        "FAILED_PRECONDITION" => 9,
        "UNIMPLEMENTED" => 12,
        "INTERNAL" => 13,
        "UNAVAILABLE" => 14,
        "UNAUTHENTICATED" => 16,
        _ => 2,
    }
}

/// The answer to a path that no route is for.
pub(crate) fn missing(req: &Req) -> WireError {
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
        FaultKind::Denied => WireError::new(
            403,
            "PERMISSION_DENIED",
            format!("Required '{}' permission for 'projects/{}'", req.permission, req.account),
        ),
        FaultKind::Error500 => WireError::new(500, "INTERNAL", "Internal error encountered."),
        FaultKind::ExpiredToken | FaultKind::WrongTenant => WireError::new(
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token.",
        ),
        _ => return None,
    })
}

/// Forgets the page token.
pub(crate) fn forget_token(req: &mut Req) {
    req.query.remove("pageToken");
}

/// Gives an answer the token of a next page, the same each time.
pub(crate) fn repeat_token(_req: &Req, output: &mut Map<String, Value>) {
    output.insert("nextPageToken".to_owned(), json!("repeated"));
}

/// Empties an answer, beyond its lists.
pub(crate) fn empty(value: &mut Value) {
    if let Some(output) = value.as_object_mut() {
        output.remove("nextPageToken");
    }
}
