//! The JSON Schema of the log's lines and signed heads, made of the types that write them.

use super::event::{Body, LockChange, OutcomeResult, Recovered, VERSION};
use crate::{
    model::{CloudId, Timestamp},
    money::{Basis, Cost},
};
use serde_json::{Map, Value, json};

/// What a value looks like in a line.
pub(super) trait Described {
    /// Whether a field of this type is always written.
    const REQUIRED: bool = true;
    /// Whether its fields stand among those of what it is in.
    const FLAT: bool = false;

    fn schema() -> Value;
}

/// The schema of an object, under way.
pub(super) struct Object {
    description: &'static str,
    properties: Map<String, Value>,
    required: Vec<Value>,
    all_of: Vec<Value>,
}

impl Object {
    pub(super) fn new(description: &'static str) -> Self {
        Self { description, properties: Map::new(), required: Vec::new(), all_of: Vec::new() }
    }

    pub(super) fn field<T: Described>(&mut self, name: &str, description: &str) {
        let mut schema = T::schema();
        if T::FLAT {
            let mut take = |key| schema.as_object_mut().and_then(|own| own.remove(key)).unwrap_or_default();
            if let Value::Object(own) = take("properties") {
                self.properties.extend(own);
            }
            for (key, list) in [("required", &mut self.required), ("allOf", &mut self.all_of)] {
                if let Value::Array(own) = take(key) {
                    list.extend(own);
                }
            }
            return;
        }
        if !description.is_empty() {
            schema["description"] = description.trim().into();
        }
        self.properties.insert(name.to_owned(), schema);
        if T::REQUIRED {
            self.required.push(name.into());
        }
    }

    pub(super) fn into_schema(self) -> Value {
        let mut schema = json!({
            "type": "object",
            "properties": self.properties,
            "required": self.required,
        });
        if !self.description.is_empty() {
            schema["description"] = self.description.trim().into();
        }
        if !self.all_of.is_empty() {
            schema["allOf"] = self.all_of.into();
        }
        schema
    }
}

impl Described for String {
    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

impl Described for bool {
    fn schema() -> Value {
        json!({ "type": "boolean" })
    }
}

impl Described for u32 {
    fn schema() -> Value {
        u64::schema()
    }
}

impl Described for u64 {
    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 0 })
    }
}

impl<T: Described> Described for Option<T> {
    const REQUIRED: bool = false;

    fn schema() -> Value {
        T::schema()
    }
}

impl<T: Described> Described for Vec<T> {
    /// Empty lists are left out, but those that are the point of the event.
    const REQUIRED: bool = false;

    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema() })
    }
}

impl Described for Timestamp {
    fn schema() -> Value {
        json!({ "type": "string", "format": "date-time" })
    }
}

impl Described for CloudId {
    fn schema() -> Value {
        json!({ "enum": CloudId::ALL.map(CloudId::name) })
    }
}

impl Described for Cost {
    fn schema() -> Value {
        let bases = [
            Basis::Billed,
            Basis::Effective,
            Basis::Realised,
            Basis::Live,
            Basis::List,
            Basis::UpperBound,
            Basis::Unknown,
        ]
        .map(Basis::name);
        json!({
            "type": "object",
            "description": "Money is a decimal in a string, never a float; null where no price is known",
            "properties": {
                "amount": { "type": ["string", "null"], "pattern": r"^-?[0-9]+(\.[0-9]+)?$" },
                "currency": { "type": "string" },
                "basis": { "enum": bases },
            },
            "required": ["amount", "currency", "basis"],
        })
    }
}

impl Described for LockChange {
    fn schema() -> Value {
        json!({ "enum": [Self::Taken, Self::Released, Self::Broken, Self::Lost] })
    }
}

/// Where a property has a value, these are there as well.
fn only(property: &str, value: &str, required: &[&str]) -> Value {
    json!({
        "if": { "properties": { property: { "const": value } }, "required": [property] },
        "then": { "required": required },
    })
}

impl Described for OutcomeResult {
    const FLAT: bool = true;

    fn schema() -> Value {
        json!({
            "properties": {
                "result": {
                    "enum": ["confirmed", "already-gone", "failed", "unknown", "skipped"],
                    "description": "Seen to be done by us; not there any more; refused; nobody knows; not done after all",
                },
                "error": { "type": "string" },
                "reason": { "type": "string" },
                "field": { "type": "string", "description": "What had changed" },
            },
            "required": ["result"],
            "allOf": [
                only("result", "failed", &["error"]),
                only("result", "unknown", &["reason"]),
                only("result", "skipped", &["reason"]),
            ],
        })
    }
}

impl Described for Recovered {
    fn schema() -> Value {
        json!({
            "type": "object",
            "description": "What was put right after a run that did not end",
            "properties": {
                "what": { "enum": ["torn-line", "unsigned-tail", "item"] },
                "bytes": u64::schema(),
                "sha256": String::schema(),
                "from": u64::schema(),
                "to": u64::schema(),
                "action": String::schema(),
                "resource": super::Identity::schema(),
                "seen": String::schema(),
            },
            "required": ["what"],
            "allOf": [
                only("what", "torn-line", &["bytes", "sha256"]),
                only("what", "unsigned-tail", &["from", "to"]),
                only("what", "item", &["action", "resource", "seen"]),
            ],
        })
    }
}

/// The JSON Schema (draft 2020-12) of a line of the log; `#/$defs/checkpoint` is that of a signed head, which is text.
///
/// Later releases may add types and fields to the format; readers pass over what they do not know.
pub fn schema() -> Value {
    let plain = r"^[A-Za-z0-9._:/@-]{1,200}$";
    let mut defs = Map::new();
    let mut by_type = Vec::new();
    for (name, own) in Body::schemas() {
        by_type.push(json!({
            "if": { "properties": { "type": { "const": name } }, "required": ["type"] },
            "then": { "$ref": format!("#/$defs/{name}") },
        }));
        defs.insert(name.to_owned(), own);
    }
    let names = Body::NAMES;
    let checkpoint = concat!(
        r"^sweeper/[^\n]+/[^\n/]+\n(0|[1-9][0-9]*)\n[A-Za-z0-9+/]{43}=\n\n",
        r"(— [^ \n]+ [A-Za-z0-9+/]+=*\n)+$"
    );
    defs.insert(
        "checkpoint".to_owned(),
        json!({
            "type": "string",
            "description": "A signed head (c2sp.org/tlog-checkpoint): origin, size, root (RFC 6962) in base64, an empty line, and signatures",
            "pattern": checkpoint,
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sweeper.audit/1",
        "description": "One event of the audit log: a line of JSON, shorter than 32 KiB, in UTF-8 without a byte order mark",
        "type": "object",
        "properties": {
            "v": { "const": VERSION, "description": "The format" },
            "seq": { "type": "integer", "minimum": 0, "description": "Counts from 0, without gaps" },
            "prev": {
                "type": "string",
                "pattern": "^[0-9a-f]{64}$",
                "description": "SHA-256 of the exact bytes of the line before, without its newline; zeros in the first",
            },
            "ts": { "type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$" },
            "deployment": { "type": "string", "pattern": plain },
            "epoch": { "type": "integer", "minimum": 0, "description": "The lease's; never goes back" },
            "run": { "type": "string", "pattern": plain },
            "plan": { "type": ["string", "null"], "pattern": plain, "description": "The plan's digest" },
            "item": { "type": ["integer", "null"], "minimum": 0, "description": "The item of the plan" },
            "type": { "enum": names },
        },
        "required": ["v", "seq", "prev", "ts", "deployment", "epoch", "run", "plan", "item", "type"],
        "allOf": by_type,
        "$defs": defs,
    })
}
