//! A plan as bytes: one way to write it, and nothing else is read.

use super::{Action, FORMAT, Plan};
use crate::{inert::InertJson, survey_file::hexadecimal};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::io::{self, Write};
use thiserror::Error;

/// The largest plan that is read, bytes.
const LARGEST: usize = 256 << 20;

/// Why a plan cannot be used. Each reads after "failed to read the plan FILE:".
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    #[error("it is not a plan: {0}")]
    Foreign(String),
    #[error("it has format `{0}`, and this release reads up to `{FORMAT}`")]
    Newer(String),
    /// Where it is not what was planned.
    #[error("it was changed since it was made: {0}")]
    Changed(String),
    #[error("it is too large: plans end at {LARGEST} bytes")]
    TooLarge,
}

/// SHA-256 of some bytes, hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// One value on one line, hostile characters escaped.
fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, InertJson))?;
    Ok(bytes)
}

/// The digest of an action's own bytes.
pub(super) fn digest(action: &Action) -> io::Result<String> {
    Ok(sha256(&line(&Action { digest: String::new(), ..action.clone() })?))
}

/// The only bytes of a plan with this id: every field of the top on its line, and every action and held row.
fn bytes(plan: &Plan, id: &str) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    macro_rules! field {
        ($name:literal, $value:expr) => {
            out.write_all(concat!("\"", $name, "\":").as_bytes())?;
            out.write_all(&line($value)?)?;
            out.write_all(b",\n")?;
        };
    }
    out.write_all(b"{")?;
    field!("format", &plan.format);
    field!("id", &id);
    field!("deployment", &plan.deployment);
    field!("tool", &plan.tool);
    field!("survey", &plan.survey);
    field!("taken_at", &plan.taken_at);
    field!("made", &plan.made);
    field!("expires", &plan.expires);
    field!("requester", &plan.requester);
    field!("policies", &plan.policies);
    field!("completeness", &plan.completeness);
    field!("totals", &plan.totals);
    list(&mut out, "actions", &plan.actions)?;
    out.write_all(b",\n")?;
    list(&mut out, "held", &plan.held)?;
    out.write_all(b"}\n")?;
    Ok(out)
}

fn list(out: &mut Vec<u8>, name: &str, items: &[impl Serialize]) -> io::Result<()> {
    write!(out, "\"{name}\":[")?;
    for (at, item) in items.iter().enumerate() {
        out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
        out.write_all(&line(item)?)?;
    }
    if !items.is_empty() {
        out.write_all(b"\n")?;
    }
    out.write_all(b"]")
}

/// Names a plan and each of its actions by their content.
pub(super) fn sealed(mut plan: Plan) -> io::Result<Plan> {
    for at in 0..plan.actions.len() {
        plan.actions[at].digest = digest(&plan.actions[at])?;
    }
    plan.id = sha256(&bytes(&plan, "")?);
    Ok(plan)
}

/// A plan's bytes.
pub fn write(plan: &Plan) -> io::Result<Vec<u8>> {
    bytes(plan, &plan.id)
}

/// Reads a plan and holds it against its name. Every byte counts: one that was changed is named by its line, and by
/// its action where it is in one.
pub fn read(text: &[u8]) -> Result<Plan, PlanError> {
    if text.len() > LARGEST {
        return Err(PlanError::TooLarge);
    }
    #[derive(serde::Deserialize)]
    struct Head {
        format: String,
    }
    let place = |error: &serde_json::Error| format!("line {}, column {}: {error}", error.line(), error.column());
    if let Ok(Head { format }) = serde_json::from_slice(text)
        && format != FORMAT
    {
        let short: String = format.chars().take(60).collect();
        return Err(if format.starts_with("sweeper.plan/") {
            PlanError::Newer(short)
        } else {
            PlanError::Foreign(format!("its format is `{short}`"))
        });
    }
    let plan: Plan = serde_json::from_slice(text).map_err(|error| match error.classify() {
        _ if !text.starts_with(b"{\"format\":\"sweeper.plan/") => PlanError::Foreign(place(&error)),
        _ => PlanError::Changed(place(&error)),
    })?;
    let failed = |error: io::Error| PlanError::Changed(error.to_string());
    for action in &plan.actions {
        if digest(action).map_err(failed)? != action.digest {
            return Err(PlanError::Changed(format!("action {}, {}", action.no, action.target.id())));
        }
    }
    let again = write(&plan).map_err(failed)?;
    if again != text {
        let same = again.iter().zip(text).take_while(|(ours, theirs)| ours == theirs).count();
        let line = text[..same].split(|byte| *byte == b'\n').count();
        return Err(PlanError::Changed(format!("line {line} is not as a plan is written")));
    }
    if sha256(&bytes(&plan, "").map_err(failed)?) != plan.id {
        return Err(PlanError::Changed("its head or its held rows are not those of its id".to_owned()));
    }
    Ok(plan)
}
