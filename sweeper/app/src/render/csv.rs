//! A row a finding, every column, safe to open in a spreadsheet.

use super::inert;
use std::io::{self, Write};
use sweeper_core::report::{Finding, Report};

const COLUMNS: [&str; 31] = [
    "policy",
    "detector",
    "severity",
    "verdict",
    "monthly_cost",
    "currency",
    "cost_basis",
    "decision",
    "reason",
    "since",
    "since_basis",
    "owner",
    "owner_from",
    "resource_id",
    "native_id",
    "uid",
    "kind",
    "class",
    "cloud",
    "account",
    "account_name",
    "region",
    "name",
    "created",
    "tags",
    "assuming",
    "evidence",
    "run_id",
    "run_started",
    "run_finished",
    "tool",
];

pub fn write(report: &Report<'_>, out: &mut impl Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS)?;
    for finding in report.findings() {
        let account_name = report.account_name(finding.resource.cloud, &finding.resource.account);
        writer.write_record(cells(report, finding, account_name).iter().map(|cell| inert::csv(cell).into_owned()))?;
    }
    writer.flush()
}

fn cells(report: &Report<'_>, finding: Finding, account_name: Option<&str>) -> [String; COLUMNS.len()] {
    let Finding { resource, owner, monthly_cost, decision, .. } = finding;
    let pairs = |pairs: Vec<(String, String)>| {
        pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("; ")
    };
    [
        finding.policy,
        finding.detector,
        finding.severity.name().to_owned(),
        finding.verdict.name().to_owned(),
        monthly_cost.amount.map(|amount| amount.to_string()).unwrap_or_default(),
        monthly_cost.currency,
        monthly_cost.basis.name().to_owned(),
        decision.act,
        decision.reason,
        finding.since.unwrap_or_default(),
        finding.since_basis.unwrap_or_default(),
        owner.name.unwrap_or_default(),
        owner.from,
        resource.id,
        resource.native_id,
        resource.uid,
        resource.kind,
        resource.class.name().to_owned(),
        resource.cloud.name().to_owned(),
        resource.account,
        account_name.unwrap_or_default().to_owned(),
        resource.region,
        resource.name.unwrap_or_default(),
        resource.created.unwrap_or_default(),
        pairs(resource.tags.unwrap_or_default().into_iter().collect()),
        finding.assuming.join("; "),
        pairs(finding.evidence.into_iter().map(|evidence| (evidence.fact, evidence.value)).collect()),
        report.run.id.clone(),
        report.run.started.clone(),
        report.run.finished.clone(),
        report.run.tool.clone(),
    ]
}
