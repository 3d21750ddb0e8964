//! A plan as bytes: one way to write it, and nothing else is read.

use super::{FORMAT, Plan};
use crate::{inert::InertJson, survey_file::hexadecimal};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::{
    io::{self, Write},
    ops::Range,
};
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
fn line(out: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(out, InertJson))?;
    Ok(())
}

/// A digest of nothing yet: as long as any, so that every name lies where it will lie.
const UNNAMED: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The digest of what is written with a name in it, as it is with that name empty.
fn nameless(bytes: &[u8], name: &Range<usize>) -> String {
    let mut hash = Sha256::new();
    hash.update(&bytes[..name.start]);
    hash.update(&bytes[name.end..]);
    hexadecimal(&hash.finalize())
}

/// Where the text of a field lies that is written with its name from `from` on.
fn text_at(bytes: &[u8], from: usize, field: &str) -> io::Result<Range<usize>> {
    let opening = format!("\"{field}\":\"");
    if !bytes[from..].starts_with(opening.as_bytes()) {
        return Err(io::Error::other(format!("`{field}` is not where it is written")));
    }
    let start = from + opening.len();
    let length = bytes[start..].iter().position(|byte| *byte == b'"').unwrap_or_default();
    Ok(start..start + length)
}

/// A plan's bytes, and where the names lie in them that are made of their content.
struct Written {
    bytes: Vec<u8>,
    id: Range<usize>,
    actions: Vec<ActionAt>,
}

/// An action's line and the digest in it.
struct ActionAt {
    line: Range<usize>,
    digest: Range<usize>,
}

impl Written {
    /// The only bytes of a plan: every field of the top on its line, and every action and held row.
    fn of(plan: &Plan) -> io::Result<Self> {
        let mut out = Vec::new();
        macro_rules! field {
            ($name:literal, $value:expr) => {
                out.write_all(concat!("\"", $name, "\":").as_bytes())?;
                line(&mut out, $value)?;
                out.write_all(b",\n")?;
            };
        }
        out.write_all(b"{")?;
        field!("format", &plan.format);
        let id = out.len();
        field!("id", &plan.id);
        let id = text_at(&out, id, "id")?;
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
        let mut actions = Vec::with_capacity(plan.actions.len());
        for (action, line) in plan.actions.iter().zip(list(&mut out, "actions", &plan.actions)?) {
            let before = format!("{{\"no\":{},", action.no).len();
            let digest = text_at(&out, line.start + before, "digest")?;
            actions.push(ActionAt { line, digest });
        }
        out.write_all(b",\n")?;
        list(&mut out, "held", &plan.held)?;
        out.write_all(b"}\n")?;
        Ok(Self { bytes: out, id, actions })
    }

    /// The digest of an action's own bytes.
    fn digest(&self, at: usize) -> String {
        let ActionAt { line, digest } = &self.actions[at];
        nameless(&self.bytes[line.clone()], &(digest.start - line.start..digest.end - line.start))
    }

    fn id(&self) -> String {
        nameless(&self.bytes, &self.id)
    }
}

/// Writes a list, and tells where its items lie.
fn list(out: &mut Vec<u8>, name: &str, items: &[impl Serialize]) -> io::Result<Vec<Range<usize>>> {
    write!(out, "\"{name}\":[")?;
    let mut places = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
        let start = out.len();
        line(out, item)?;
        places.push(start..out.len());
    }
    if !items.is_empty() {
        out.write_all(b"\n")?;
    }
    out.write_all(b"]")?;
    Ok(places)
}

/// Names a plan and each of its actions by their content.
pub(super) fn sealed(mut plan: Plan) -> io::Result<Plan> {
    for action in &mut plan.actions {
        UNNAMED.clone_into(&mut action.digest);
    }
    UNNAMED.clone_into(&mut plan.id);
    let mut written = Written::of(&plan)?;
    for (at, action) in plan.actions.iter_mut().enumerate() {
        action.digest = written.digest(at);
        written.bytes[written.actions[at].digest.clone()].copy_from_slice(action.digest.as_bytes());
    }
    plan.id = written.id();
    Ok(plan)
}

/// A plan's bytes.
pub fn write(plan: &Plan) -> io::Result<Vec<u8>> {
    Ok(Written::of(plan)?.bytes)
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
    if !text.starts_with(concat!("{\"format\":\"", "sweeper.plan/1", "\",").as_bytes())
        && let Ok(Head { format }) = serde_json::from_slice(text)
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
    let again = Written::of(&plan).map_err(|error| PlanError::Changed(error.to_string()))?;
    for (at, action) in plan.actions.iter().enumerate() {
        if again.digest(at) != action.digest {
            return Err(PlanError::Changed(format!("action {}, {}", action.no, action.target.id())));
        }
    }
    if again.bytes != text {
        let same = again.bytes.iter().zip(text).take_while(|(ours, theirs)| ours == theirs).count();
        let line = text[..same].split(|byte| *byte == b'\n').count();
        return Err(PlanError::Changed(format!("line {line} is not as a plan is written")));
    }
    if again.id() != plan.id {
        return Err(PlanError::Changed("its head or its held rows are not those of its id".to_owned()));
    }
    Ok(plan)
}
