//! CloudEvents 1.0: the event as the log has it, in their envelope.

use super::{Record, object};
use crate::inert::is_hostile;
use serde_json::Value;

pub(super) fn event(record: &Record<'_>) -> Value {
    let line = &record.line;
    // What an attribute may hold is a text without control characters.
    let plain = |text: &str| text.chars().filter(|letter| !is_hostile(*letter)).collect::<String>();
    let resource = record.resource.as_ref().map(|at| plain(&at.native_id)).filter(|id| !id.is_empty());
    let subject = resource.or_else(|| line.plan.clone());
    object([
        ("specversion", "1.0".into()),
        ("id", line.seq.to_string().into()),
        // A relative reference; with the number it is never that of another event.
        ("source", format!("/{}", record.origin).into()),
        ("type", format!("sweeper.audit.{}.v1", plain(&line.name)).into()),
        ("subject", subject.into()),
        ("time", line.ts.to_string().into()),
        ("datacontenttype", "application/json".into()),
        // Extensions: small letters and digits only.
        ("logverified", record.verified.into()),
        ("linehash", record.hash.clone().into()),
        ("data", record.rest().into()),
    ])
}
