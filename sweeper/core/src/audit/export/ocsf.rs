//! OCSF. What is required of which class: `events/` and `objects/` of <https://github.com/ocsf/ocsf-schema> at v1.8.0.

use super::{Class, Ended, OTHER, Record, object, verb};
use crate::model::CloudId;
use serde_json::{Value, json};

const VERSION: &str = "1.8.0";

pub(super) fn event(record: &Record<'_>) -> Value {
    let line = &record.line;
    let (category, class, activity) = match record.words.class {
        Class::Api => (6, 6003, record.text("action").map_or(OTHER, |action| verb(action).0)),
        Class::Entity(activity, _) => (3, 3004, activity),
        Class::Lifecycle(activity) => (6, 6002, activity),
        Class::Scan => (6, 6007, 2),
        Class::Base => (0, 0, OTHER),
    };
    let (status_id, status) = match record.ended() {
        Ended::Unknown => (0, "Unknown"),
        Ended::Success => (1, "Success"),
        Ended::Failure => (2, "Failure"),
        Ended::Other(status) => (OTHER, status),
    };
    let mut event = object([
        ("activity_id", activity.into()),
        ("activity_name", if activity == OTHER { line.name.clone().into() } else { Value::Null }),
        ("category_uid", category.into()),
        ("class_uid", class.into()),
        ("type_uid", (class * 100 + activity).into()),
        ("severity_id", record.severity().into()),
        ("status_id", status_id.into()),
        ("status", status.into()),
        ("status_code", record.text("result").into()),
        ("status_detail", record.reason().into()),
        ("time", line.ts.0.into()),
        ("message", record.message().into()),
        ("metadata", metadata(record)),
        ("raw_data_hash", json!({ "algorithm_id": 3, "value": record.hash })),
        ("unmapped", record.rest().into()),
    ]);
    let mut put = |key: &str, value: Value| event[key] = value;
    if let Some(at) = &record.resource {
        let provider = match at.cloud {
            CloudId::Aws => "AWS",
            CloudId::Azure => "Azure",
            CloudId::Gcp => "GCP",
        };
        put("cloud", json!({ "provider": provider, "account": { "uid": at.account }, "region": at.region }));
    }
    match record.words.class {
        Class::Api => {
            put("actor", actor(record));
            put("src_endpoint", src_endpoint(record));
            let kind = record.resource.as_ref().map(|at| json!({ "name": at.kind }));
            let request = record.text("request_id").map(|id| json!({ "uid": id }));
            let operation = record.text("action").unwrap_or(&line.name);
            put(
                "api",
                object([
                    ("operation", operation.into()),
                    ("service", kind.unwrap_or_default()),
                    ("request", request.unwrap_or_default()),
                ]),
            );
            put("resources", resource(record).into_iter().collect());
        }
        Class::Entity(_, sort) => {
            put("actor", actor(record));
            put("src_endpoint", src_endpoint(record));
            put("entity", entity(record, sort));
            if let Some(reason) = record.reason() {
                put("comment", reason.into());
            }
        }
        Class::Lifecycle(_) => {
            put("app", json!({ "name": "sweeper", "uid": line.deployment, "version": record.tool }));
        }
        Class::Scan => {
            let scan = [("type_id", OTHER.into()), ("type", "survey".into()), ("uid", record.text("survey").into())];
            put("scan", object(scan));
            put("total", line.own.get("resources").cloned().unwrap_or_default());
        }
        Class::Base => {
            if let Some(resource) = resource(record) {
                put("resources", json!([resource]));
            }
        }
    }
    event
}

fn metadata(record: &Record<'_>) -> Value {
    let line = &record.line;
    object([
        ("version", VERSION.into()),
        ("product", json!({ "name": "sweeper", "vendor_name": "sweeper", "version": record.tool })),
        ("uid", format!("{}/{}", record.origin, line.seq).into()),
        ("sequence", line.seq.into()),
        ("event_code", line.name.clone().into()),
        ("correlation_uid", line.plan.clone().unwrap_or_else(|| line.run.clone()).into()),
        ("log_name", record.origin.clone().into()),
        ("log_version", "sweeper.audit/1".into()),
        ("original_time", line.ts.to_string().into()),
        ("profiles", if record.resource.is_some() { json!(["cloud"]) } else { Value::Null }),
    ])
}

/// The program acts; a person only where the event names one who did it himself.
fn actor(record: &Record<'_>) -> Value {
    let user = record.person().map(|name| json!({ "name": name }));
    object([
        ("app_name", "sweeper".into()),
        ("app_uid", record.line.deployment.clone().into()),
        ("user", user.unwrap_or_default()),
    ])
}

fn src_endpoint(record: &Record<'_>) -> Value {
    json!({ "svc_name": "sweeper", "uid": record.line.deployment, "instance_uid": record.line.run })
}

fn resource(record: &Record<'_>) -> Option<Value> {
    let at = record.resource.as_ref()?;
    Some(object([
        ("uid", at.native_id.clone().into()),
        ("uid_alt", at.uid.clone().into()),
        ("name", at.name.clone().into()),
        ("type", at.kind.clone().into()),
        ("region", at.region.clone().into()),
        ("created_time", at.created.map(|at| at.0.saturating_mul(1000)).into()),
    ]))
}

/// What was decided about: the resource, or what else identifies it.
fn entity(record: &Record<'_>, sort: &str) -> Value {
    let copy = record.line.own.get("copy").filter(|_| sort == "copy").and_then(|copy| copy["native_id"].as_str());
    let resource = record.resource.as_ref().map(|at| at.native_id.as_str());
    let named = ["note", "scope", "key", "resource"].iter().find_map(|key| record.text(key));
    let uid = copy.or(resource).or(named).unwrap_or(&record.line.deployment);
    let name = record.resource.as_ref().and_then(|at| at.name.clone());
    object([("uid", uid.into()), ("type", sort.into()), ("name", name.into())])
}
