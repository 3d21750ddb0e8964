//! What is called is what is declared, and nothing is asked twice.

use crate::{
    permissions::{NOT_CALLED, declared},
    world::{World, base},
};
use std::collections::{BTreeMap, BTreeSet};

/// Asked twice in the same words, and not more often.
const TWICE: &[(&str, &str)] = &[
    ("sts:AssumeRole", "once to see that the role can be taken, once for all clients"),
    ("ecr:ListTagsForResource", "a repository's tags are those of its images"),
    ("lambda:ListTags", "a function's tags are those of its versions"),
    ("s3:GetBucketTagging", "a bucket's tags are those of its uploads"),
];

#[test]
fn permissions_are_exact() {
    let called: BTreeSet<&str> = base().journal.iter().map(|call| call.permission.as_str()).collect();
    let mut declared: BTreeSet<&str> = declared().into_keys().collect();
    declared.extend(sweeper_aws::NEEDS.iter().map(|need| need.permission));
    let secretly: Vec<_> = called.difference(&declared).collect();
    assert!(secretly.is_empty(), "called and not declared: {secretly:?}");
    let never: BTreeSet<&str> = declared.difference(&called).copied().collect();
    let excused: BTreeSet<&str> = NOT_CALLED.iter().map(|(permission, _)| *permission).collect();
    assert_eq!(never, excused, "declared and never called, against those with a reason");
}

/// Where absence is an error with a code and not the status of absence.
const ABSENT: &[&str] = &["ecr:GetRepositoryPolicy"];

#[test]
fn nothing_is_refused() {
    let refused: BTreeSet<_> = base()
        .journal
        .iter()
        // Absence has this status in some services: no lifecycle, no policy.
        .filter(|call| call.status >= 400 && call.status != 404)
        .filter(|call| !ABSENT.contains(&call.permission.as_str()))
        .map(|call| (call.status, call.permission.as_str()))
        .collect();
    assert!(refused.is_empty(), "calls that the service did not like: {refused:?}");
}

#[test]
fn nothing_is_asked_twice() {
    let mut asked: BTreeMap<_, usize> = BTreeMap::new();
    for call in &base().journal {
        *asked.entry((&call.account, &call.region, call.permission.as_str(), &call.asked)).or_default() += 1;
    }
    let again: BTreeMap<&str, usize> = asked
        .into_iter()
        .map(|((.., permission, _), times)| (permission, times))
        .filter(|(permission, times)| *times > 1 + usize::from(TWICE.iter().any(|(known, _)| known == permission)))
        .collect();
    assert!(again.is_empty(), "asked more than once in the same words: {again:?}");
}

#[test]
fn pages_change_nothing() {
    for most in 1..=3 {
        let world = World::with(|options| options.page = Some(most));
        let ran = world.report(Vec::new());
        assert_eq!(ran.code, Some(0), "{most} a page\n{}", ran.shown());
        let report = ran.report();
        let (before, after) = (base().report.texts(), report.texts());
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before, after, "{most} a page");
        }
        assert_eq!(before.len(), after.len(), "{most} a page");
        let seen = |report: &crate::world::Report| -> Vec<_> {
            report.document.coverage.iter().map(|seen| (seen.kind.clone(), seen.status, seen.resources)).collect()
        };
        assert_eq!(seen(&base().report), seen(&report), "{most} a page");
        assert!(world.journal().len() > base().journal.len(), "{most} a page took no more calls");
    }
}
