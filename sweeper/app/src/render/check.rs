//! What a check of planned resources came to: for people, machines, code scanning and GitHub Actions.

use super::{inert, summary::counted};
use crate::commands::check::{Checked, Finding, RULES, Verdict};
use serde::Serialize as _;
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    io::{self, Write},
};
use sweeper_core::{detect::Severity, inert::InertJson};

/// Lines for people, a finding each.
pub fn text(checked: &Checked, out: &mut dyn Write) -> io::Result<()> {
    for finding in &checked.findings {
        let (address, says) = (inert::line(&finding.address), inert::line(&finding.says));
        let word = match finding.verdict {
            Verdict::Found => finding.severity.name(),
            Verdict::Unknown => finding.verdict.name(),
        };
        writeln!(out, "{word:<7}  {address}: {says} [{}]", finding.rule.id)?;
    }
    for note in &checked.notes {
        writeln!(out, "note: {}", inert::line(note))?;
    }
    writeln!(out, "{}", total(checked))
}

/// `3 planned resources judged: 1 found, 1 unknown; 4 of kinds that are not judged`.
fn total(checked: &Checked) -> String {
    let count = |verdict| checked.findings.iter().filter(|finding| finding.verdict == verdict).count();
    let judged = counted(checked.judged as u64, "planned resource");
    let mut total = format!("{judged} judged: {} found, {} unknown", count(Verdict::Found), count(Verdict::Unknown));
    if checked.others > 0 {
        let _ = write!(total, "; {} of kinds that are not judged", checked.others);
    }
    total
}

/// `sweeper.check/1`.
pub fn json(checked: &Checked, out: &mut dyn Write) -> io::Result<()> {
    let findings: Vec<Value> = checked
        .findings
        .iter()
        .map(|finding| {
            json!({
                "rule": finding.rule.id,
                "policy": (!finding.policy.is_empty()).then_some(&finding.policy),
                "severity": finding.severity.name(),
                "verdict": finding.verdict.name(),
                "address": finding.address,
                "type": finding.of,
                "kind": finding.kind,
                "says": finding.says,
            })
        })
        .collect();
    let value = json!({
        "format": "sweeper.check/1",
        "plan": checked.path,
        "judged": checked.judged,
        "others": checked.others,
        "findings": findings,
        "notes": checked.notes,
    });
    written(&value, out)
}

/// SARIF 2.1.0 (OASIS, 2020-03-27). What is not known is of the kind `open`, which no gate takes for a failure.
pub fn sarif(checked: &Checked, out: &mut dyn Write) -> io::Result<()> {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.title },
                "help": { "text": rule.help },
            })
        })
        .collect();
    let results: Vec<Value> = checked.findings.iter().map(|finding| result(checked, finding)).collect();
    let value = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "sweeper",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    written(&value, out)
}

fn result(checked: &Checked, finding: &Finding) -> Value {
    let (kind, level) = match (finding.verdict, finding.severity) {
        (Verdict::Unknown, _) => ("open", "none"),
        (Verdict::Found, Severity::Page) => ("fail", "error"),
        (Verdict::Found, Severity::Ticket) => ("fail", "warning"),
        (Verdict::Found, Severity::Info) => ("fail", "note"),
    };
    let at = RULES.iter().position(|rule| rule.id == finding.rule.id);
    let address = inert::line(&finding.address);
    json!({
        "ruleId": finding.rule.id,
        "ruleIndex": at,
        "kind": kind,
        "level": level,
        "message": { "text": plain(&format!("{address}: {}", inert::line(&finding.says))) },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&checked.path) },
                "region": { "startLine": 1 },
            },
            "logicalLocations": [{ "fullyQualifiedName": address, "kind": "resource" }],
        }],
        // By which the same finding is known in the next run.
        "partialFingerprints": { "sweeperCheck/v1": format!("{}:{address}", finding.rule.id) },
    })
}

/// A plain text message: braces are placeholders, and brackets may be links (SARIF 3.11.5, 3.11.6).
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '{' => out.push_str("{{"),
            '}' => out.push_str("}}"),
            '[' | ']' if text.contains("](") => out.extend(['\\', letter]),
            letter => out.push(letter),
        }
    }
    out
}

/// A path as a relative reference of a URI.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Annotations as GitHub Actions reads them from a step's output, and a line that sums up.
pub fn github(checked: &Checked, out: &mut dyn Write) -> io::Result<()> {
    for finding in &checked.findings {
        let word = match (finding.verdict, finding.severity) {
            (Verdict::Found, Severity::Page) => "error",
            (Verdict::Found, Severity::Ticket) => "warning",
            (Verdict::Found, Severity::Info) | (Verdict::Unknown, _) => "notice",
        };
        let (address, says) = (inert::line(&finding.address), inert::line(&finding.says));
        let open = if finding.verdict == Verdict::Unknown { "not known: " } else { "" };
        writeln!(
            out,
            "::{word} file={},title={}::{}",
            property(&checked.path),
            property(&format!("sweeper {}", finding.rule.id)),
            data(&format!("{address}: {open}{says}"))
        )?;
    }
    writeln!(out, "{}", total(checked))
}

/// Text of an annotation: what would end it, or begin another, is written as GitHub's runner reads it back.
fn data(text: &str) -> String {
    inert::line(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property, which `:` and `,` would end as well.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn written(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, InertJson))?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_ends_an_annotation_or_begins_one() {
        assert_eq!(data("100%\n::error::x\r"), "100%25\\n::error::x\\r");
        assert_eq!(property("a,b:c%"), "a%2Cb%3Ac%25");
    }

    #[test]
    fn messages_are_no_templates_and_no_links() {
        assert_eq!(plain("a[0] {0}"), "a[0] {{0}}");
        assert_eq!(plain("[x](http://evil)"), "\\[x\\](http://evil)");
        assert_eq!(uri("a b/ü%.json"), "a%20b/%C3%BC%25.json");
    }
}
