//! Cloud Storage buckets. Objects are never listed but for the first, and only where it decides.

use crate::{
    asks,
    auth::Gcp,
    fault, marks, paths,
    usage::{self, Combine, Daily, Line, Measure},
};
use async_trait::async_trait;
use google_cloud_storage::{
    client::StorageControl,
    model::{self, bucket::lifecycle::Rule},
};
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::{Pages, Price, Site},
    facts::Bucket,
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId, Scope},
    money::Amount,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.storage-bucket",
    cloud: CloudId::Gcp,
    class: Class::Bucket,
    title: "Cloud Storage bucket",
    places: Places::Account,
    reads: &[LIST],
    asks: &[usage::OP, OBJECTS],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "a bucket contains other things",
    acts: &[],
};

const LIST: &str = "storage.buckets.list";
const OBJECTS: &str = "storage.objects.list";

/// A list request, of buckets as of objects: 0.005 US dollars per thousand (Cloud Storage pricing, class A
/// operations, standard storage).
const LISTING: Price = Price::PerThousand { usd: Amount::from_pico(5_000_000_000), units: 1 };

/// Buckets that services make for themselves, by their names; `{}` is anything. Sources: the pages of Cloud Run
/// functions (sources and uploads of both generations), Cloud Run (source deployments), Container Registry, App
/// Engine, Cloud Build, Dataflow, Dataproc, Cloud Composer and Vertex AI on the buckets they keep.
const MACHINERY: &[(&str, &str)] = &[
    ("gcf-sources-{}", "Cloud Functions"),
    ("gcf-v2-sources-{}", "Cloud Functions"),
    ("gcf-v2-uploads-{}", "Cloud Functions"),
    ("run-sources-{}", "Cloud Run"),
    ("artifacts.{}.appspot.com", "Container Registry"),
    ("{}.artifacts.{}.appspot.com", "Container Registry"),
    ("staging.{}.appspot.com", "App Engine"),
    ("{}_cloudbuild", "Cloud Build"),
    ("{}.cloudbuild-logs.googleusercontent.com", "Cloud Build"),
    ("dataflow-staging-{}", "Dataflow"),
    ("dataproc-staging-{}", "Dataproc"),
    ("dataproc-temp-{}", "Dataproc"),
    ("cloud-ai-platform-{}", "Vertex AI"),
];

static OBJECT_COUNT: &[Line] = &[size("storage.googleapis.com/storage/object_count")];
static TOTAL_BYTES: &[Line] = &[size("storage.googleapis.com/storage/total_bytes")];

/// Sizes are told once a day, a series a storage class.
const fn size(metric: &'static str) -> Line {
    Line { metric, resource: "gcs_bucket", by: &["resource.label.bucket_name"], daily: Daily::Latest, ..Line::PLAIN }
}

pub(super) struct StorageBucket(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for StorageBucket {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let client = self.0.storage(LIST).await?;
        let parent = format!("projects/{}", site.scope().account);
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::paid(site, LIST, LISTING, || {
                client
                    .list_buckets()
                    .set_parent(&parent)
                    .set_page_size(1000)
                    .set_return_partial_success(true)
                    .set_page_token(token.clone().unwrap_or_default())
                    .send()
            })
            .await?;
            if !page.unreachable.is_empty() {
                // They are told by name only: where they are nobody knows.
                out.blind_in(Scope::GLOBAL, format!("{} {LIST}", Fault::Unreachable.word()));
            }
            for bucket in &page.buckets {
                push(bucket, out);
            }
            pages.seen(Some(&page.next_page_token))?;
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let held = asks::of(asks, |question| question == Question::Holds);
        let mut answers = Vec::new();
        if !held.is_empty() {
            let client = self.0.storage(OBJECTS).await?;
            let work = held.into_iter().map(|ask| (ask, holds(site, &client, inventory.at(ask.resource).native_id())));
            answers = asks::each(work.collect()).await;
        }
        answers.extend(usage::answer(&self.0, site, inventory, asks, measure).await);
        Ok(answers)
    }
}

fn measure(bucket: Resource<'_>, question: Question) -> Option<Measure> {
    let lines = match question {
        Question::Usage { metric: Metric::BucketObjects, .. } => OBJECT_COUNT,
        Question::Usage { metric: Metric::BucketBytes, .. } => TOTAL_BYTES,
        _ => return None,
    };
    Some(Measure { lines, key: vec![bucket.native_id().to_owned()], combine: Combine::LatestSum, sparse: false })
}

/// Whether anything is in a bucket: an object, an old version of one, or one that was deleted and can still be
/// restored. Uploads that are under way are not told by this API.
async fn holds(site: &Site, client: &StorageControl, bucket: &str) -> Result<Answer, CloudError> {
    let parent = format!("projects/_/buckets/{bucket}");
    for deleted in [false, true] {
        let page = fault::paid(site, OBJECTS, LISTING, || {
            let list = client.list_objects().set_parent(&parent).set_page_size(1);
            if deleted { list.set_soft_deleted(true).send() } else { list.set_versions(true).send() }
        })
        .await;
        match page {
            // A page that was cut short without anything on it has not said that there is nothing.
            Ok(page) if !page.objects.is_empty() || !page.next_page_token.is_empty() => return Ok(Answer::Truth(true)),
            Ok(_) => {}
            // A bucket that keeps nothing after its deletion refuses the question.
            Err(error) if deleted && error.fault == Fault::Refused => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Answer::Truth(false))
}

/// The name that others know a bucket by.
fn name(bucket: &model::Bucket) -> &str {
    if bucket.bucket_id.is_empty() { paths::last(&bucket.name) } else { &bucket.bucket_id }
}

/// The service that made a bucket for itself; empty for none.
fn service(name: &str) -> &'static str {
    MACHINERY.iter().find(|(pattern, _)| fits(name, pattern)).map_or("", |(_, service)| service)
}

/// Whether a name is of a pattern, in which `{}` is anything but nothing.
fn fits(name: &str, pattern: &str) -> bool {
    match pattern.split_once("{}") {
        None => name == pattern,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            name.char_indices()
                .skip(1)
                .map(|(at, _)| at)
                .chain([name.len()])
                .any(|at| at > 0 && fits(&name[at..], rest))
        }),
    }
}

/// What the lifecycle rules of a bucket do, in whichever part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rules {
    any: bool,
    noncurrent: bool,
    abort: bool,
}

fn rules(bucket: &model::Bucket) -> Rules {
    let mut does = Rules::default();
    for rule in bucket.lifecycle.iter().flat_map(|lifecycle| &lifecycle.rule) {
        let action = rule.action.as_ref().map_or("", |action| action.r#type.as_str());
        does.any |= !action.is_empty();
        does.noncurrent |= action == "Delete" && ends_versions(rule);
        does.abort |= action == "AbortIncompleteMultipartUpload";
    }
    does
}

/// Whether the condition of a rule goes on to fit old versions: not one for live objects only, nor one that a fixed
/// date or a time that somebody sets decides.
fn ends_versions(rule: &Rule) -> bool {
    let Some(on) = &rule.condition else { return false };
    let lasting = on.age_days.is_some()
        || on.num_newer_versions.is_some()
        || on.days_since_noncurrent_time.is_some()
        || on.is_live == Some(false);
    let narrowed = on.created_before.is_some()
        || on.custom_time_before.is_some()
        || on.days_since_custom_time.is_some()
        || on.noncurrent_time_before.is_some();
    on.is_live != Some(true) && lasting && !narrowed
}

/// What keeps the objects of a bucket, and with them the bucket.
fn protected(bucket: &model::Bucket) -> &'static str {
    match &bucket.retention_policy {
        Some(policy) if policy.is_locked => return "locked retention policy",
        Some(_) => return "retention policy",
        None => {}
    }
    if bucket.default_event_based_hold {
        "event-based holds"
    } else if bucket.object_retention.as_ref().is_some_and(|retention| retention.enabled) {
        "object retention"
    } else {
        ""
    }
}

fn push(bucket: &model::Bucket, out: &mut Listing) {
    let name = name(bucket);
    let rules = rules(bucket);
    let service = service(name);
    let facts = Bucket {
        versioned: Some(bucket.versioning.as_ref().is_some_and(|versioning| versioning.enabled)),
        lifecycle: Some(rules.any),
        noncurrent_rule: Some(rules.noncurrent),
        abort_rule: Some(rules.abort),
        machinery: !service.is_empty(),
    };
    let location = bucket.location.to_lowercase();
    out.push(Draft {
        region: (!location.is_empty()).then_some(&location),
        created: super::instant(bucket.create_time.as_ref()),
        managed_by: &marks::first([service.to_owned(), marks::managed_by(&bucket.labels)]),
        protected: protected(bucket),
        tags: Tags::Read(marks::tags(&bucket.labels)),
        ..Draft::new(name, facts)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use google_cloud_storage::model::bucket::{
        Lifecycle, ObjectRetention, RetentionPolicy,
        lifecycle::rule::{Action, Condition},
    };

    fn bucket(action: &str, condition: Condition) -> model::Bucket {
        let rule = Rule::new().set_action(Action::new().set_type(action)).set_condition(condition);
        model::Bucket::new().set_lifecycle(Lifecycle::new().set_rule([rule]))
    }

    #[test]
    fn which_rules_end_old_versions() {
        let ends = |condition| rules(&bucket("Delete", condition)).noncurrent;
        assert!(ends(Condition::new().set_num_newer_versions(3)));
        assert!(ends(Condition::new().set_days_since_noncurrent_time(30)));
        assert!(ends(Condition::new().set_is_live(false)));
        // Of an age both the live ones and the old ones are.
        assert!(ends(Condition::new().set_age_days(365)));
        assert!(!ends(Condition::new().set_age_days(365).set_is_live(true)));
        assert!(!ends(Condition::new().set_age_days(1).set_days_since_custom_time(1)));
        assert!(!ends(Condition::new().set_days_since_custom_time(1)));
        assert!(!ends(Condition::new()));
        let moved = bucket("SetStorageClass", Condition::new().set_num_newer_versions(3));
        assert_eq!(rules(&moved), Rules { any: true, ..Rules::default() });
        let aborts = bucket("AbortIncompleteMultipartUpload", Condition::new().set_age_days(7));
        assert_eq!(rules(&aborts), Rules { any: true, noncurrent: false, abort: true });
        assert_eq!(rules(&model::Bucket::new()), Rules::default());
    }

    #[test]
    fn buckets_of_services_by_name() {
        for (name, by) in [
            ("gcf-sources-12-us-central1", "Cloud Functions"),
            ("gcf-v2-sources-12-europe-west1", "Cloud Functions"),
            ("run-sources-p-us-central1", "Cloud Run"),
            ("artifacts.p.appspot.com", "Container Registry"),
            ("eu.artifacts.p.appspot.com", "Container Registry"),
            ("staging.p.appspot.com", "App Engine"),
            ("p_cloudbuild", "Cloud Build"),
            ("dataflow-staging-us-central1-12", "Dataflow"),
        ] {
            assert_eq!(service(name), by, "{name}");
        }
        for name in ["my-gcf-sources", "gcf-sources-", "_cloudbuild", "p_cloudbuild-old", "p.appspot.com", "é", ""] {
            assert_eq!(service(name), "", "{name}");
        }
    }

    #[test]
    fn what_keeps_objects_protects_their_bucket() {
        let with = |policy| model::Bucket::new().set_retention_policy(policy);
        assert_eq!(protected(&with(RetentionPolicy::new().set_is_locked(true))), "locked retention policy");
        assert_eq!(protected(&with(RetentionPolicy::new())), "retention policy");
        assert_eq!(protected(&model::Bucket::new().set_default_event_based_hold(true)), "event-based holds");
        let retained = model::Bucket::new().set_object_retention(ObjectRetention::new().set_enabled(true));
        assert_eq!(protected(&retained), "object retention");
        assert_eq!(protected(&model::Bucket::new()), "");
    }

    #[test]
    fn a_bucket_is_named_without_its_project() {
        assert_eq!(name(&model::Bucket::new().set_name("projects/_/buckets/b")), "b");
        assert_eq!(name(&model::Bucket::new().set_name("projects/_/buckets/x").set_bucket_id("b")), "b");
    }
}
