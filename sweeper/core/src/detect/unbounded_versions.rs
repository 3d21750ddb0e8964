//! Buckets that keep every old version for ever.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    answers::{Metric, Question},
    facts::FactsRef,
    inventory::Resource,
    model::Class,
};

/// Storage is measured once a day and told up to two days late.
const WINDOW: u16 = 3;

pub(super) static SPEC: Spec = Spec {
    id: "unbounded-versions",
    title: "bucket that keeps every old version for ever",
    classes: &[Class::Bucket],
    relations: &[],
    sources: &[],
    questions: &[Question::Usage { metric: Metric::BucketBytes, days: WINDOW }],
    severity: Severity::Ticket,
    why_it_matters: "With versioning on, overwriting and deleting free nothing: every old version stays and is \
        billed until a lifecycle rule ends it. A bucket that is rewritten daily grows by its own size a day.",
    when_it_is_wrong: "Buckets whose history is the point: audit trails, state files, buckets under legal hold or \
        with an object lock. Add a rule with a long period there, or except them with a reason.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Bucket(bucket) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if bucket.machinery {
        return Ok(Verdict::trap("made by a service for its own use"));
    }
    match (bucket.versioned, bucket.noncurrent_rule) {
        (Some(false), _) => return Ok(Verdict::CLEAN),
        (_, Some(true)) => return Ok(Verdict::trap("a rule ends its old versions")),
        (None, _) => return Err(view.not_told(resource, "versioned")),
        (_, None) => return Err(view.not_told(resource, "noncurrent_rule")),
        (Some(true), Some(false)) => {}
    }
    let source = view.source(resource);
    let mut finding = Finding::new("versioned", true, source.clone()).and("noncurrent_rule", false, source);
    // Only for people: the pattern does not depend on the size.
    if let Ok(usage) = view.usage(resource, Metric::BucketBytes, WINDOW)
        && usage.covered > 0
    {
        finding = finding.measured(Metric::BucketBytes, &usage);
    }
    Ok(Verdict::Found(finding))
}
