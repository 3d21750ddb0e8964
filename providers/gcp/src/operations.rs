//! Operations: what a change is until it has happened.
//!
//! "Accepted" is not "done": an operation that began may fail. What it ends in is seen by reading the resource.

use crate::{
    auth::Gcp,
    paths,
    rest::{Request, Service, segment},
};
use serde::Deserialize;
use serde_json::Value;
use sweeper_core::{
    calls::Site,
    deed::{Progress, Sent},
    kind::{CloudError, Fault},
    model::Scope,
};

/// The permissions to read an operation of Compute Engine.
pub(crate) const ZONE: &str = "compute.zoneOperations.get";
pub(crate) const REGION: &str = "compute.regionOperations.get";
pub(crate) const GLOBAL: &str = "compute.globalOperations.get";

/// An operation of Compute Engine or Cloud SQL.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Operation {
    status: String,
    error: Option<Errors>,
    http_error_message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Errors {
    errors: Vec<Told>,
}

/// An error, of either sort.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    code: Value,
    message: String,
}

impl Told {
    fn words(&self) -> String {
        let code = self.code.as_str().map_or_else(|| self.code.to_string(), str::to_owned);
        let text = if self.message.is_empty() { code } else { format!("{code}: {}", self.message) };
        text.chars().take(300).collect()
    }
}

/// An operation of the newer APIs (`google.longrunning.Operation`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LongRunning {
    done: bool,
    error: Option<Told>,
}

/// What is known of a change by the answer to it: the name of its operation.
pub(crate) fn sent(answer: &Value) -> Sent {
    // The newer APIs tell the whole path, which is not taken from there.
    let name = answer["name"].as_str().map_or("", paths::last);
    Sent { request: name.to_owned(), handle: name.to_owned() }
}

/// The place of a resource of Compute Engine, as paths have it: `zones/z`, `regions/r`, `global`.
pub(crate) fn place(region: &str) -> String {
    match region {
        Scope::GLOBAL => Scope::GLOBAL.to_owned(),
        region if paths::region_of(region) == region => format!("regions/{}", segment(region)),
        zone => format!("zones/{}", segment(zone)),
    }
}

/// How far an operation is; `None` when it is over and did not fail, or is not known any more.
pub(crate) async fn compute(gcp: &Gcp, site: &Site, region: &str, sent: &Sent) -> Result<Option<Progress>, CloudError> {
    let place = place(region);
    let op = match place.split('/').next() {
        Some("zones") => ZONE,
        Some("regions") => REGION,
        _ => GLOBAL,
    };
    let project = segment(&site.scope().account);
    let path = format!("/compute/v1/projects/{project}/{place}/operations/{}", segment(&sent.handle));
    older(gcp, site, op, Service::Compute, path, sent).await
}

/// As [`compute`], for Cloud SQL.
pub(crate) async fn sql(gcp: &Gcp, site: &Site, op: &'static str, sent: &Sent) -> Result<Option<Progress>, CloudError> {
    let path = format!("/v1/projects/{}/operations/{}", segment(&site.scope().account), segment(&sent.handle));
    older(gcp, site, op, Service::Sql, path, sent).await
}

async fn older(
    gcp: &Gcp,
    site: &Site,
    op: &'static str,
    service: Service,
    path: String,
    sent: &Sent,
) -> Result<Option<Progress>, CloudError> {
    if sent.handle.is_empty() {
        return Ok(None);
    }
    let operation: Operation = match gcp.one(site, op, Request::get(service, path)).await {
        Ok(operation) => operation,
        Err(error) if error.fault == Fault::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if operation.status != "DONE" {
        return Ok(Some(Progress::Running));
    }
    let failed = operation.error.as_ref().and_then(|error| error.errors.first()).map(Told::words);
    let failed = failed.or(operation.http_error_message.filter(|message| !message.is_empty()));
    Ok(failed.map(Progress::Failed))
}

/// As [`compute`], for the newer APIs. `version` is that of the service's paths.
pub(crate) async fn long_running(
    gcp: &Gcp,
    site: &Site,
    op: &'static str,
    service: Service,
    version: &str,
    location: &str,
    sent: &Sent,
) -> Result<Option<Progress>, CloudError> {
    if sent.handle.is_empty() {
        return Ok(None);
    }
    let (project, location) = (segment(&site.scope().account), segment(location));
    let path = format!("/{version}/projects/{project}/locations/{location}/operations/{}", segment(&sent.handle));
    let operation: LongRunning = match gcp.one(site, op, Request::get(service, path)).await {
        Ok(operation) => operation,
        Err(error) if error.fault == Fault::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match operation {
        LongRunning { done: false, .. } => Ok(Some(Progress::Running)),
        LongRunning { error: Some(error), .. } => Ok(Some(Progress::Failed(error.words()))),
        LongRunning { .. } => Ok(None),
    }
}
