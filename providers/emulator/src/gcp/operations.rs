//! Changes that take a while. Each has an operation, which is over when it was read as often as the resource's key
//! `polls` says (once, where there is none); reading the resource itself counts as well. Only then the change has
//! happened, or has failed, if the resource's key `operation_error` says so.

use serde_json::{Map, Value, json};

use super::shape::{hash, number, uid, utc};
use super::{compute, not_found, serverless, unreachable};
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::rest::Req;
use crate::services::uuid;

/// The kind of operations, which no organisation file has.
const OPERATION: &str = "gcp.operation";

/// A change that begins.
pub(super) struct Change<'a> {
    /// "delete", "stop".
    pub(super) verb: &'static str,
    /// What is changed.
    pub(super) item: &'a Item,
    /// What the operation names as its target, with its id.
    pub(super) link: String,
    pub(super) target_id: String,
    /// Keys that the resource has from now on.
    pub(super) now: Map<String, Value>,
    /// Keys that it has when the change has happened; none where it is gone then.
    pub(super) then: Option<Map<String, Value>>,
    /// Keys that it has when the change has failed.
    pub(super) failed: Map<String, Value>,
}

impl<'a> Change<'a> {
    /// A deletion.
    pub(super) fn deletion(item: &'a Item, link: String) -> Change<'a> {
        Change { verb: "delete", item, link, target_id: uid(item), now: Map::new(), then: None, failed: Map::new() }
    }
}

/// The keys of a JSON object.
pub(super) fn keys(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(keys) => keys,
        _ => Map::new(),
    }
}

/// Begins a change; answers with its operation.
pub(super) fn begin(cloud: &Cloud, req: &Req, change: Change<'_>) -> Item {
    let Change { verb, item, link, target_id, now, then, failed } = change;
    let count = cloud.list_account(&req.account, OPERATION).len();
    let id = match req.service {
        "run" | "artifactregistry" | "sqladmin" => uuid(&format!("{} {count}", req.account)),
        _ => format!(
            "operation-{:013}-{:013x}",
            1_700_000_000_000_u64 + count as u64,
            hash(&[&req.account, &count.to_string()]) >> 12
        ),
    };
    let operation = Item {
        kind: OPERATION.to_owned(),
        account: req.account.clone(),
        region: req.region.clone(),
        id,
        created: cloud.now,
        tags: std::collections::BTreeMap::new(),
        keys: keys(json!({
            "service": req.service,
            "verb": verb,
            "kind": item.kind,
            "place": item.region,
            "target": item.id,
            "link": link,
            "target_id": target_id,
            "then": then,
            "failed": failed,
            "request": req.param("requestId"),
            "call": called(req),
            "left": item.int("polls").unwrap_or(1).max(1),
            "error": item.text("operation_error"),
        })),
    };
    cloud.change(item, move |item| item.set(&now));
    cloud.add(operation.clone());
    operation
}

fn called(req: &Req) -> String {
    format!("{} {}", req.action, req.path)
}

/// The operation that an earlier request with the same id began. The same id for another request is an error.
pub(super) fn repeated<'a>(cloud: &'a Cloud, req: &Req) -> Result<Option<&'a Item>, WireError> {
    let Some(id) = req.param("requestId").filter(|id| !id.is_empty()) else { return Ok(None) };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let lengths: Vec<usize> = id.split('-').map(str::len).collect();
    if lengths != [8, 4, 4, 4, 12] || !id.split('-').all(digits) || id.bytes().all(|byte| matches!(byte, b'0' | b'-')) {
        let what = format!("Invalid value for field 'requestId': '{id}'. The request ID must be a valid UUID.");
        return Err(WireError::new(400, "INVALID_ARGUMENT", what));
    }
    let before =
        cloud.list_account(&req.account, OPERATION).into_iter().find(|known| known.text("request") == Some(id));
    match before {
        Some(known) if known.text("call") != Some(&called(req)) => {
            let what = format!("Invalid value for field 'requestId': '{id}'. It was used for another request.");
            Err(WireError::new(400, "INVALID_ARGUMENT", what))
        }
        known => Ok(known),
    }
}

/// The operation that a call asks for, and whether it is over.
pub(super) fn read<'a>(cloud: &'a Cloud, req: &Req) -> Result<(&'a Item, bool), WireError> {
    if req.is_lost(&req.region) {
        return Err(unreachable(&req.region));
    }
    let id = req.label("id");
    let there = cloud.with_id(OPERATION, id).find(|known| {
        known.account == req.account && known.region == req.region && known.text("service") == Some(req.service)
    });
    let operation = there.ok_or_else(|| not_found(&format!("projects/{}/operations/{id}", req.account)))?;
    Ok((operation, tick(cloud, operation)))
}

/// A resource was read: what is under way with it goes on.
pub(super) fn watched(cloud: &Cloud, item: &Item) {
    let own = |known: &&Item| {
        known.text("kind") == Some(&item.kind)
            && known.text("target") == Some(&item.id)
            && known.text("place") == Some(&item.region)
    };
    if let Some(operation) =
        cloud.list_account(&item.account, OPERATION).into_iter().filter(own).find(|known| !is_done(known))
    {
        tick(cloud, operation);
    }
}

fn is_done(operation: &Item) -> bool {
    operation.flag("done") == Some(true)
}

/// One reading more. Whether the operation is over.
fn tick(cloud: &Cloud, operation: &Item) -> bool {
    if is_done(operation) {
        return true;
    }
    let left = operation.int("left").unwrap_or(1) - 1;
    let over = left <= 0;
    cloud.change(operation, move |operation| operation.set(&keys(json!({ "left": left, "done": over }))));
    if over {
        settle(cloud, operation);
    }
    over
}

/// What a change comes to.
fn settle(cloud: &Cloud, operation: &Item) {
    let (kind, id) = (operation.text_or("kind", ""), operation.text_or("target", ""));
    let place = operation.text_or("place", "");
    let there = cloud.with_id(&kind, &id).find(|item| item.account == operation.account && item.region == place);
    let Some(item) = there else { return };
    let table = |key: &str| operation.keys.get(key).and_then(Value::as_object).cloned();
    if operation.text("error").is_some() {
        let failed = table("failed").unwrap_or_default();
        cloud.change(item, move |item| item.set(&failed));
    } else if let Some(then) = table("then") {
        cloud.change(item, move |item| item.set(&then));
    } else {
        compute::goes_along(cloud, item);
        serverless::goes_along(cloud, item);
        cloud.remove(item);
    }
}

/// An operation as the newer APIs tell it: `google.longrunning.Operation`.
pub(super) fn long_running(operation: &Item, done: bool) -> Value {
    let link = operation.text_or("link", "");
    let metadata = match (operation.text("service"), operation.text("kind")) {
        // Cloud Run tells the resource itself, as it was.
        (Some("run"), kind) => {
            let sort = match kind {
                Some("gcp.run-revision") => "Revision",
                Some("gcp.run-job") => "Job",
                _ => "Service",
            };
            json!({ "@type": format!("type.googleapis.com/google.cloud.run.v2.{sort}"), "name": link })
        }
        (Some("cloudfunctions"), _) => json!({
            "@type": "type.googleapis.com/google.cloud.functions.v2.OperationMetadata",
            "target": link,
            "verb": operation.text("verb"),
            "createTime": utc(operation.created),
        }),
        _ => json!({ "@type": "type.googleapis.com/google.devtools.artifactregistry.v1.OperationMetadata" }),
    };
    let place = format!("projects/{}/locations/{}", operation.account, operation.region);
    let mut value = json!({
        "name": format!("{place}/operations/{}", operation.id),
        "metadata": metadata,
    });
    if done {
        value["done"] = json!(true);
        match operation.text("error") {
            Some(error) => value["error"] = json!({ "code": 9, "message": error }),
            None => value["response"] = json!({ "@type": "type.googleapis.com/google.protobuf.Empty" }),
        }
    }
    value
}

/// Answers with an operation of the newer APIs.
pub(super) fn get(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    read(cloud, req).map(|(operation, done)| Reply::Value(long_running(operation, done)))
}

/// The number that an operation is known by beside its name.
pub(super) fn id_of(operation: &Item) -> String {
    number(&["operation", &operation.account, &operation.id])
}
