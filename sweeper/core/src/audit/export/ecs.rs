//! ECS: <https://www.elastic.co/guide/en/ecs/8.11/ecs-field-reference.html>.

use super::{Ended, Record, object, verb};
use serde_json::{Map, Value, json};

const VERSION: &str = "8.11.0";

pub(super) fn event(record: &Record<'_>) -> Value {
    let line = &record.line;
    let action = record.text("action");
    let (outcome, kind) = match record.ended() {
        Ended::Success if line.name == "outcome" => {
            ("success", action.map_or(record.words.kind, |action| verb(action).1))
        }
        Ended::Success => ("success", record.words.kind),
        Ended::Failure => ("failure", record.words.kind),
        Ended::Unknown | Ended::Other(_) => ("unknown", record.words.kind),
    };
    let request = record.text("request_id");
    let cloud = record
        .resource
        .as_ref()
        .map(|at| json!({ "provider": at.cloud.name(), "account": { "id": at.account }, "region": at.region }));
    let user = record.person().map(|name| json!({ "name": name }));
    object([
        ("@timestamp", line.ts.to_string().into()),
        ("ecs", json!({ "version": VERSION })),
        ("message", record.message().into()),
        (
            "event",
            object([
                ("kind", "event".into()),
                ("category", json!([record.words.category])),
                ("type", json!([kind])),
                ("action", action.unwrap_or(&line.name).into()),
                ("outcome", outcome.into()),
                ("code", line.name.clone().into()),
                ("dataset", "sweeper.audit".into()),
                ("module", "sweeper".into()),
                ("provider", "sweeper".into()),
                ("id", format!("{}/{}", record.origin, line.seq).into()),
                ("sequence", line.seq.into()),
                ("severity", record.severity().into()),
                ("hash", record.hash.clone().into()),
                ("reason", record.reason().into()),
            ]),
        ),
        ("cloud", cloud.unwrap_or_default()),
        ("user", user.unwrap_or_default()),
        ("related", json!({ "user": record.people(), "hash": [record.hash, line.prev] })),
        ("observer", json!({ "vendor": "sweeper", "product": "sweeper", "version": record.tool })),
        ("http", request.map(|id| json!({ "request": { "id": id } })).unwrap_or_default()),
        ("labels", labels(record)),
        // A namespace of our own, as ECS asks of what it has no field for.
        ("sweeper", json!({ "audit": record.rest() })),
    ])
}

/// Words to search by, flat, each a text.
fn labels(record: &Record<'_>) -> Value {
    let line = &record.line;
    let mut labels: Map<String, Value> = Map::new();
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            labels.insert(key.to_owned(), value.into());
        }
    };
    put("log_verified", Some(record.verified.to_string()));
    put("prev", Some(line.prev.clone()));
    put("run", Some(line.run.clone()));
    put("plan", line.plan.clone());
    put("item", line.item.map(|item| item.to_string()));
    if let Some(at) = &record.resource {
        put("resource_kind", Some(at.kind.clone()));
        put("resource_id", Some(at.native_id.clone()));
    }
    let cost = line.own.get("monthly_cost");
    for (key, part) in [("monthly_amount", "amount"), ("monthly_currency", "currency"), ("monthly_basis", "basis")] {
        put(key, cost.and_then(|cost| cost[part].as_str()).map(str::to_owned));
    }
    labels.into()
}
