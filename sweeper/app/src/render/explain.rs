//! Why a resource is in the report or not.

use super::{
    inert,
    summary::{dollars, saving},
};
use std::io::{self, Write};
use sweeper_core::{
    detect::{Spec, Verdict as Judgement, View},
    inventory::Resource,
    kind::KindSpec,
    policy::{Costs as _, Policy, vocabulary::Reader},
    report::{EvidenceOf, Finding, Report},
};

/// What a detector means, and where it looks.
pub fn detector(spec: &Spec, kinds: &[&'static KindSpec], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}: {}\n", spec.id, spec.title)?;
    let classes: Vec<&str> = spec.classes.iter().map(|class| class.name()).collect();
    writeln!(out, "judges: {}", if classes.is_empty() { "every class".to_owned() } else { classes.join(", ") })?;
    writeln!(out, "severity: {}", spec.severity.name())?;
    let questions: Vec<&str> = spec.questions.iter().map(|question| question.name()).collect();
    if !questions.is_empty() {
        writeln!(out, "may ask for: {}", questions.join(", "))?;
    }
    for relation in spec.relations {
        writeln!(out, "\nmust find nothing that {}:", relation.phrase())?;
        for kind in kinds {
            for (_, reach) in kind.refers.iter().filter(|(declared, _)| declared == relation) {
                writeln!(out, "  {} ({})", kind.id, reach.name())?;
            }
        }
        for kind in kinds {
            for (_, what) in kind.out_of_sight.iter().filter(|(declared, _)| declared == relation) {
                writeln!(out, "  out of sight: {what}")?;
            }
        }
    }
    for (title, text) in [("why it matters", spec.why_it_matters), ("when it is wrong", spec.when_it_is_wrong)] {
        writeln!(out, "\n{title}:")?;
        wrapped(text, out)?;
    }
    Ok(())
}

fn wrapped(text: &str, out: &mut impl Write) -> io::Result<()> {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.len() + word.len() > 96 {
            writeln!(out, "  {line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "  {line}")
}

/// One resource under every policy that may speak of it.
pub fn resource(report: &Report<'_>, resource: Resource<'_>, out: &mut impl Write) -> io::Result<()> {
    let parts = report.parts();
    let sealed = parts.sealed;
    let survey = &sealed.survey;
    let view = View::new(&survey.inventory, &survey.answers, parts.house, parts.now);
    let Some(resource) = survey.inventory.has(resource.ix()).then(|| survey.inventory.at(resource.ix())) else {
        return Ok(());
    };
    writeln!(out, "{}", inert::line(&resource.id()))?;
    let mut facts = vec![("kind", resource.kind().title.to_owned())];
    if !resource.name().is_empty() {
        facts.push(("name", resource.name().to_owned()));
    }
    if let Some(created) = resource.created() {
        facts.push(("created", created.to_string()));
    }
    let cost = sealed.costs.monthly(resource);
    facts.push((
        "cost",
        cost.amount.map_or_else(
            || "not known".to_owned(),
            |amount| format!("{} a month ({}, {})", dollars(amount), cost.basis.name(), cost.currency),
        ),
    ));
    for (name, text) in [("managed by", resource.managed_by()), ("protected", resource.protected())] {
        if !text.is_empty() {
            facts.push((name, text.to_owned()));
        }
    }
    if let Some(mention) = view.mention(resource) {
        facts.push(("in use", mention.to_string()));
    }
    facts.push((
        "tags",
        match view.tags(resource) {
            Ok(tags) if tags.is_empty() => "none".to_owned(),
            Ok(tags) => tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", "),
            Err(unseen) => format!("not known: {}", unseen.cause),
        },
    ));
    for (name, text) in facts {
        writeln!(out, "  {name}: {}", inert::line(&text))?;
    }
    owner(&view, resource, out)?;
    let rows: Vec<_> = report.glances().filter(|glance| glance.resource.ix() == resource.ix()).collect();
    for policy in &parts.set.policies {
        let speaks = policy.judges(resource.kind())
            && policy.covers(resource.cloud(), resource.account())
            && policy.covers_region(resource.region());
        if !speaks {
            continue;
        }
        let row = rows.iter().find(|glance| std::ptr::eq(glance.policy, policy));
        let verdict = row.map_or("no finding", |row| row.verdict.name());
        writeln!(
            out,
            "\npolicy {} ({}:{}): {verdict}",
            inert::line(&policy.name),
            inert::line(&policy.at.path),
            policy.at.line
        )?;
        judgement(&view, policy, resource, out)?;
        condition(&view, policy, resource, sealed, out)?;
        if let Some(row) = row
            && let Some(finding) = report.finding(row)
        {
            found(&finding, &saving(row.saving), out)?;
        }
    }
    writeln!(out)
}

fn owner<'a>(view: &View<'a>, resource: Resource<'a>, out: &mut impl Write) -> io::Result<()> {
    match sweeper_core::owner::of(view, resource) {
        Ok(owner) => {
            for (key, value) in &owner.invalid {
                let why = sweeper_core::owner::valid(view.house, value).err().unwrap_or("not valid");
                writeln!(out, "  owner: tag {} = {} names nobody: {why}", inert::line(key), inert::line(value))?;
            }
            let name = owner.name.as_deref().unwrap_or("nobody");
            writeln!(out, "  owner: {} (from {})", inert::line(name), inert::line(&owner.from))
        }
        Err(unseen) => writeln!(out, "  owner: not known: {}", inert::line(&unseen.cause)),
    }
}

fn judgement<'a>(view: &View<'a>, policy: &Policy, resource: Resource<'a>, out: &mut impl Write) -> io::Result<()> {
    let Some(detector) = policy.sweep else { return Ok(()) };
    let id = detector.spec.id;
    match detector.judge(view, resource) {
        Judgement::Found(_) => writeln!(out, "  detector {id}: found"),
        Judgement::Clean(None) => writeln!(out, "  detector {id}: not this pattern"),
        Judgement::Clean(Some(trap)) => writeln!(out, "  detector {id}: only looks like it: {trap}"),
        Judgement::Unknown(unseen) => {
            writeln!(out, "  detector {id}: unknown: {} ({})", inert::line(&unseen.cause), inert::line(&unseen.what))
        }
    }
}

fn condition<'a>(
    view: &View<'a>,
    policy: &'a Policy,
    resource: Resource<'a>,
    sealed: &'a sweeper_core::survey_file::Sealed,
    out: &mut impl Write,
) -> io::Result<()> {
    let Some(when) = &policy.when else { return Ok(()) };
    // The reader borrows the view for as long as what it reads: a view of its own.
    let survey = &sealed.survey;
    let own = View::new(&survey.inventory, &survey.answers, view.house, view.now);
    let resource = survey.inventory.at(resource.ix());
    let (holds, read) = evaluated(when, &own, sealed, resource);
    writeln!(out, "  when {}: {holds}", inert::line(when.text()))?;
    for (fact, value) in read {
        writeln!(out, "    {} = {}", inert::line(&fact), inert::line(&value))?;
    }
    Ok(())
}

fn evaluated<'a>(
    when: &'a sweeper_core::policy::Condition,
    view: &'a View<'a>,
    sealed: &'a sweeper_core::survey_file::Sealed,
    resource: Resource<'a>,
) -> (&'static str, Vec<(String, String)>) {
    let reader = Reader::quiet(view, &sealed.costs, resource);
    let holds = match when.holds(&reader) {
        Some(true) => "holds",
        Some(false) => "does not hold",
        None => "not known",
    };
    (holds, when.read(&reader).into_iter().map(|(fact, value)| (fact.into_owned(), value)).collect())
}

/// What was seen, a line each.
pub fn evidence(seen: &[EvidenceOf], indent: &str, out: &mut impl Write) -> io::Result<()> {
    for EvidenceOf { fact, value, source } in seen {
        writeln!(out, "{indent}{} = {} ({})", inert::line(fact), inert::line(value), inert::line(source))?;
    }
    Ok(())
}

fn found(finding: &Finding, saving: &str, out: &mut impl Write) -> io::Result<()> {
    evidence(&finding.evidence, "  ", out)?;
    for assumed in &finding.assuming {
        writeln!(out, "  assuming: {}", inert::line(assumed))?;
    }
    if let (Some(since), Some(basis)) = (&finding.since, &finding.since_basis) {
        writeln!(out, "  since: {since} ({})", inert::line(basis))?;
    }
    writeln!(out, "  saving a month: {saving}")?;
    writeln!(out, "  decision: {}: {}", finding.decision.act, inert::line(&finding.decision.reason))
}
