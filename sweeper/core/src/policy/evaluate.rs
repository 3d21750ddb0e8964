//! Judging everything: which resource each policy speaks of, and what is still to be asked.
//!
//! Rows are small, since there may be a million; [`detail`] judges one again when its evidence is wanted.

use super::{Costs, Policy, PolicySet, Problem, vocabulary::Reader};
use crate::{
    answers::{Ask, Question},
    detect::{Detector, Evidence, Verdict, View, gone_manager},
    inventory::{Resource, ResourceIx, Unseen},
    kind::KindSpec,
    model::{Scope, Timestamp, Tri},
};
use std::{collections::BTreeSet, sync::Arc};

/// What is said of a resource under a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowVerdict {
    Found,
    /// Something that decides it could not be seen.
    Unknown,
}

/// One policy speaking of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Index into [`PolicySet::policies`].
    pub policy: u16,
    pub resource: ResourceIx,
    pub verdict: RowVerdict,
    /// What was not seen, when unknown.
    pub unseen: Option<Arc<Unseen>>,
}

/// The outcome of judging everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// In the inventory's order, then the policies'.
    pub rows: Vec<Row>,
    /// Questions without an answer that could change a row, and the tags of resources in rows, for the
    /// owner's name.
    pub asks: BTreeSet<Ask>,
    /// By policy: resources it was asked about.
    pub judged: Vec<u64>,
    /// By policy: its rows.
    pub found: Vec<u64>,
    /// By exception: the rows it covers.
    pub excepted: Vec<u64>,
}

/// The policies that may speak of the resources of one table.
struct Table<'p> {
    kind: &'static KindSpec,
    scope: *const Scope,
    policies: Vec<(u16, &'p Policy)>,
}

/// Judges every resource by every policy that covers it.
pub fn evaluate(set: &PolicySet, view: &View<'_>, costs: &dyn Costs) -> Evaluation {
    let mut out = Evaluation {
        judged: vec![0; set.policies.len()],
        found: vec![0; set.policies.len()],
        excepted: vec![0; set.excepts.len()],
        ..Evaluation::default()
    };
    view.take_notes();
    let mut causes: BTreeSet<Arc<Unseen>> = BTreeSet::new();
    let mut table: Option<Table<'_>> = None;
    // Policies that share a detector judge a resource once.
    let mut verdicts: Vec<(*const Detector, Tri, Option<Unseen>)> = Vec::new();
    for resource in view.inventory.resources() {
        let same = table
            .as_ref()
            .is_some_and(|table| std::ptr::eq(table.scope, resource.scope()) && table.kind.id == resource.kind().id);
        if !same {
            table = Some(table_of(set, resource));
        }
        let Some(table) = &table else { continue };
        if table.policies.is_empty() || !resource.is_selected() {
            continue;
        }
        verdicts.clear();
        let before = out.rows.len();
        for (index, policy) in &table.policies {
            if !policy.covers_region(resource.region()) {
                continue;
            }
            out.judged[*index as usize] += 1;
            let Some((verdict, unseen)) = judge(policy, view, costs, resource, &mut verdicts) else { continue };
            out.found[*index as usize] += 1;
            let unseen = unseen.map(|unseen| {
                let known = causes.get(&unseen).map(Arc::clone);
                known.unwrap_or_else(|| {
                    let shared = Arc::new(unseen);
                    causes.insert(Arc::clone(&shared));
                    shared
                })
            });
            out.rows.push(Row { policy: *index, resource: resource.ix(), verdict, unseen });
        }
        if out.rows.len() > before {
            let ask = Ask { resource: resource.ix(), question: Question::Tags };
            if resource.listed_tags().is_none() && view.answers.get(ask).is_none() {
                out.asks.insert(ask);
            }
            for (index, except) in set.excepts.iter().enumerate() {
                if except.covers(&resource) {
                    out.excepted[index] += (out.rows.len() - before) as u64;
                }
            }
        }
    }
    out.asks.extend(view.take_notes().asks);
    out
}

fn table_of<'p>(set: &'p PolicySet, resource: Resource<'_>) -> Table<'p> {
    let policies = set
        .policies
        .iter()
        .enumerate()
        .filter(|(_, policy)| policy.judges(resource.kind()) && policy.covers(resource.cloud(), resource.account()))
        .map(|(index, policy)| (index as u16, policy))
        .collect();
    Table { kind: resource.kind(), scope: std::ptr::from_ref(resource.scope()), policies }
}

/// One policy and one resource; `None` is no row.
fn judge<'a>(
    policy: &'a Policy,
    view: &View<'a>,
    costs: &dyn Costs,
    resource: Resource<'a>,
    verdicts: &mut Vec<(*const Detector, Tri, Option<Unseen>)>,
) -> Option<(RowVerdict, Option<Unseen>)> {
    // The condition comes first, and asks nothing: a detector's questions are only worth an answer where
    // it is not false.
    let when = policy.when.as_ref().map(|when| (when, when.holds(&Reader::quiet(view, costs, resource))));
    if matches!(when, Some((_, Some(false)))) {
        return None;
    }
    let (found, unseen) = match policy.sweep {
        None => (Some(true), None),
        Some(detector) => {
            let known = verdicts.iter().find(|(known, ..)| std::ptr::eq(*known, detector));
            if let Some((_, found, unseen)) = known {
                (*found, unseen.clone())
            } else {
                let (found, unseen) = match detector.judge(view, resource) {
                    Verdict::Found(_) => (Some(true), None),
                    Verdict::Clean(_) => (Some(false), None),
                    Verdict::Unknown(unseen) => (None, Some(unseen)),
                };
                verdicts.push((std::ptr::from_ref(detector), found, unseen.clone()));
                (found, unseen)
            }
        }
    };
    if found == Some(false) {
        return None;
    }
    // Only now are the condition's own questions worth an answer.
    let when = match when {
        Some((when, None)) => when.settle(&Reader::asking(view, costs, resource)),
        _ => Ok(true),
    };
    match (found, when) {
        (_, Ok(false)) => None,
        (Some(_), Ok(true)) => Some((RowVerdict::Found, None)),
        (None, Ok(true)) => Some((RowVerdict::Unknown, unseen)),
        (_, Err(open)) => Some((RowVerdict::Unknown, unseen.or(Some(open)))),
    }
}

/// All there is to say of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Never empty.
    pub evidence: Vec<Evidence>,
    /// Since when the cloud itself says so, and by which fact.
    pub since: Option<(Timestamp, &'static str)>,
    /// Waived scopes the verdict rests on.
    pub assuming: BTreeSet<String>,
    /// Kinds searched, with reach.
    pub searched: BTreeSet<String>,
    /// Referrers nobody can list from here.
    pub out_of_sight: BTreeSet<&'static str>,
}

/// Judges one row again, for its evidence.
pub fn detail(set: &PolicySet, view: &View<'_>, costs: &dyn Costs, row: &Row) -> Detail {
    view.take_notes();
    let mut evidence = Vec::new();
    let mut since = None;
    let resource = view.inventory.at(row.resource);
    if let Some(policy) = set.policies.get(row.policy as usize) {
        if let Some(detector) = policy.sweep
            && let Verdict::Found(finding) = detector.judge(view, resource)
        {
            since = finding.since_hint();
            evidence.extend(finding.evidence().iter().cloned());
        }
        if let Some(manager) = gone_manager(policy.sweep, resource) {
            let (fact, value) = ("manager gone".into(), manager.to_owned());
            evidence.push(Evidence { fact, value, source: "inventory".into() });
        }
        if policy.sweep.is_some_and(|detector| detector.spec.is_of_unused())
            && let Some(clusters) = super::decide::untold_clusters(view, resource)
        {
            let value = format!("none tells what runs in {clusters}: it is only reported");
            evidence.push(Evidence { fact: "in-use file".into(), value, source: "[[referrers]]".into() });
        }
        if let Some(when) = &policy.when {
            let reader = Reader::quiet(view, costs, resource);
            for (fact, value) in when.read(&reader) {
                if !evidence.iter().any(|known: &Evidence| known.fact == fact) {
                    evidence.push(Evidence { fact, value, source: view.source(resource) });
                }
            }
        }
    }
    if let Some(unseen) = &row.unseen {
        evidence.push(Evidence {
            fact: "not seen".into(),
            value: unseen.what.clone(),
            source: unseen.cause.clone().into(),
        });
    }
    if evidence.is_empty() {
        evidence.push(Evidence { fact: "listed".into(), value: resource.id(), source: view.source(resource) });
    }
    let notes = view.take_notes();
    Detail { evidence, since, assuming: notes.assuming, searched: notes.searched, out_of_sight: notes.out_of_sight }
}

/// Warnings for policies whose written scope covers nothing, exceptions that cover no row, and exceptions
/// whose time has passed.
pub fn unmatched(set: &PolicySet, evaluation: &Evaluation, now: Timestamp) -> Vec<Problem> {
    let warning = |at: &super::Place, message: String, help: &str| Problem {
        level: super::Level::Warning,
        at: at.clone(),
        message,
        help: Some(help.to_owned()),
    };
    let scoped =
        |policy: &&Policy| !(policy.accounts.is_empty() && policy.regions.is_empty() && policy.kinds.is_empty());
    let mut problems = Vec::new();
    for (policy, judged) in set.policies.iter().zip(&evaluation.judged).filter(|(policy, _)| scoped(policy)) {
        if *judged == 0 {
            problems.push(warning(
                &policy.at,
                format!("policy `{}` covers no resource", policy.name),
                "its accounts, regions and kinds together select nothing that was seen",
            ));
        }
    }
    for (except, rows) in set.excepts.iter().zip(&evaluation.excepted) {
        if !except.holds(now) {
            problems.push(warning(
                &except.at,
                format!("exception `{}` ended on {}, and has no effect", except.resource, except.until),
                "remove it, or give it a later date",
            ));
        } else if *rows == 0 {
            problems.push(warning(
                &except.at,
                format!("exception `{}` covers no finding", except.resource),
                "remove it, or correct its kind, account, region or native id",
            ));
        }
    }
    problems
}
