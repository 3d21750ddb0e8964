//! Buckets with nothing in them.

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
    id: "empty-bucket",
    title: "bucket with nothing in it",
    classes: &[Class::Bucket],
    relations: &[],
    sources: &[],
    questions: &[Question::Usage { metric: Metric::BucketObjects, days: WINDOW }, Question::Holds],
    severity: Severity::Info,
    why_it_matters: "An empty bucket costs nothing. It is clutter that counts against a quota, keeps a policy and \
        sometimes a public name alive, and is what was left when something was taken down by hand.",
    when_it_is_wrong: "A bucket that is filled and emptied by turns, the target of logs that have not come yet, a \
        name that must not fall to somebody else: names are global, and anybody may take one that was let go. The \
        bucket is asked itself, old versions, delete markers and unfinished uploads included.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Bucket(bucket) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if bucket.machinery {
        return Ok(Verdict::trap("made by a service for its own use"));
    }
    // The measure is enough to say that it is not empty. It never says that it is: it comes late, counts
    // no uploads, and is missing for an empty bucket as for a failed one.
    let measure = Question::Usage { metric: Metric::BucketObjects, days: WINDOW };
    let objects = match view.usage(resource, Metric::BucketObjects, WINDOW) {
        Ok(usage) if usage.max > 0.0 => return Ok(Verdict::CLEAN),
        Ok(usage) => Some(usage),
        Err(unseen) if view.waits(resource, measure) => return Err(unseen),
        Err(_) => None,
    };
    if view.truth(resource, Question::Holds)? {
        return Ok(Verdict::trap("holds versions, markers or uploads, or was filled since it was measured"));
    }
    let mut finding = Finding::new("holds_anything", false, "listing of one key");
    if let Some(usage) = objects.filter(|usage| usage.covered > 0) {
        finding = finding.measured(Metric::BucketObjects, &usage);
    }
    Ok(Verdict::Found(finding))
}
