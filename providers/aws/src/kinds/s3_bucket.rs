//! S3 buckets. One that hides its configuration is listed all the same: what it hides is unknown.

use crate::{
    asks,
    auth::Aws,
    fault,
    kinds::at,
    marks,
    usage::{self, Combine, Measure},
};
use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    types::{Bucket, ExpirationStatus, LifecycleRule, Tag},
};
use futures_util::{
    future::BoxFuture,
    stream::{self, StreamExt as _},
};
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::{Pages, Price, Site},
    facts,
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId, Scope},
    money::Amount,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.s3-bucket",
    cloud: CloudId::Aws,
    class: Class::Bucket,
    title: "S3 bucket",
    places: Places::Account,
    reads: &[LIST, LOCATION, VERSIONING, LIFECYCLE, TAGS],
    asks: &[usage::OP, TAGS, VERSIONS, UPLOADS],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "a bucket contains other things",
    acts: &[],
};

pub(super) const LIST: &str = "s3:ListAllMyBuckets";
pub(super) const LOCATION: &str = "s3:GetBucketLocation";
pub(super) const TAGS: &str = "s3:GetBucketTagging";
pub(super) const UPLOADS: &str = "s3:ListBucketMultipartUploads";
const VERSIONING: &str = "s3:GetBucketVersioning";
const LIFECYCLE: &str = "s3:GetLifecycleConfiguration";
const VERSIONS: &str = "s3:ListBucketVersions";

/// Buckets under way at once; they are spread over regions, which the door limits apart.
pub(super) const AT_ONCE: usize = 16;

/// A LIST request: 0.005 US dollars per thousand (S3 pricing page, us-east-1).
pub(super) const LISTING: Price = Price::PerThousand { usd: Amount::from_pico(5_000_000_000), units: 1 };

/// Storage types by which `BucketSizeBytes` is told (S3 user guide, "Metrics and dimensions").
const STORAGE: [&str; 19] = [
    "StandardStorage",
    "StandardIAStorage",
    "StandardIASizeOverhead",
    "OneZoneIAStorage",
    "OneZoneIASizeOverhead",
    "ReducedRedundancyStorage",
    "IntelligentTieringFAStorage",
    "IntelligentTieringIAStorage",
    "IntelligentTieringAAStorage",
    "IntelligentTieringAIAStorage",
    "IntelligentTieringDAAStorage",
    "GlacierInstantRetrievalStorage",
    "GlacierInstantRetrievalSizeOverhead",
    "GlacierStorage",
    "GlacierObjectOverhead",
    "GlacierS3ObjectOverhead",
    "DeepArchiveStorage",
    "DeepArchiveObjectOverhead",
    "DeepArchiveS3ObjectOverhead",
];

pub(super) struct S3Bucket(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for S3Bucket {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let buckets = buckets(&self.0, site).await?;
        let work: Vec<_> = buckets.iter().map(|bucket| seen(&self.0, site, bucket)).collect();
        let mut results = stream::iter(work).buffered(AT_ONCE);
        let mut listed = buckets.iter();
        while let Some(seen) = results.next().await {
            if let (Some(bucket), Some(seen)) = (listed.next(), seen?) {
                push(bucket, &seen, out);
            }
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let mut work: Vec<(Ask, BoxFuture<'_, Result<Answer, CloudError>>)> = Vec::new();
        let mut measured: BTreeMap<&str, Vec<Ask>> = BTreeMap::new();
        for ask in asks {
            let bucket = inventory.at(ask.resource);
            let (name, region) = (bucket.native_id(), bucket.region());
            match ask.question {
                Question::Tags => work.push((*ask, Box::pin(tags_of(&self.0, site, name, region)))),
                Question::Holds => work.push((*ask, Box::pin(holds(&self.0, site, name, region)))),
                Question::Usage { .. } => measured.entry(region).or_default().push(*ask),
                _ => {}
            }
        }
        let mut answers = asks::each(work).await;
        for (region, asks) in measured {
            // The storage metrics are in the bucket's own region.
            let site = site.in_region(region);
            if region == Scope::GLOBAL {
                let hidden = CloudError::new(Fault::Denied, LOCATION, "").cause();
                answers.extend(asks.into_iter().map(|ask| (ask, Answer::Unseen(hidden.clone()))));
            } else {
                answers.extend(usage::answer(&self.0, &site, inventory, &asks, measure).await);
            }
        }
        Ok(answers)
    }
}

fn measure(bucket: Resource<'_>, question: Question) -> Option<Measure> {
    let series = |metric: &'static str, storage: &str| {
        let dimensions = vec![("BucketName", bucket.native_id().to_owned()), ("StorageType", storage.to_owned())];
        ("AWS/S3", metric, dimensions, "Average")
    };
    let series = match question {
        Question::Usage { metric: Metric::BucketObjects, .. } => vec![series("NumberOfObjects", "AllStorageTypes")],
        Question::Usage { metric: Metric::BucketBytes, .. } => {
            STORAGE.iter().map(|storage| series("BucketSizeBytes", storage)).collect()
        }
        _ => return None,
    };
    Some(Measure { series, combine: Combine::LatestSum, sparse: false })
}

/// A bucket of the account.
pub(super) struct Listed {
    pub(super) name: String,
    created: Option<sweeper_core::model::Timestamp>,
    /// Where the listing says; older endpoints do not.
    region: Option<String>,
}

/// Every bucket of the account, listed once for all kinds.
pub(super) async fn buckets(aws: &Aws, site: &Site) -> Result<Arc<Vec<Listed>>, CloudError> {
    aws.once(site, LIST, Box::pin(all_buckets(aws, site))).await
}

async fn all_buckets(aws: &Aws, site: &Site) -> Result<Vec<Listed>, CloudError> {
    let s3 = aws.s3(site.scope());
    let mut buckets = Vec::new();
    let mut pages = Pages::new(LIST);
    while let Some(token) = pages.next() {
        let page = fault::call(site, LIST, || {
            s3.list_buckets().max_buckets(1000).set_continuation_token(token.clone()).send()
        })
        .await?;
        buckets.extend(page.buckets().iter().map(listed));
        pages.seen(page.continuation_token())?;
    }
    Ok(buckets)
}

fn listed(bucket: &Bucket) -> Listed {
    Listed {
        name: bucket.name().unwrap_or_default().to_owned(),
        created: at(bucket.creation_date()),
        region: bucket.bucket_region().map(str::to_owned),
    }
}

/// The region of a bucket; `None` where it is not told.
pub(super) async fn region(aws: &Aws, site: &Site, bucket: &Listed) -> Result<Option<String>, CloudError> {
    if let Some(region) = &bucket.region {
        return Ok(Some(region.clone()));
    }
    let s3 = aws.s3(site.scope());
    let answer = known(fault::call(site, LOCATION, || s3.get_bucket_location().bucket(&bucket.name).send()).await)?;
    Ok(answer.map(|answer| location(answer.location_constraint().map_or("", |region| region.as_str())).to_owned()))
}

/// The region of a location constraint. The two oldest have names of their own (S3 API reference,
/// GetBucketLocation).
fn location(constraint: &str) -> &str {
    match constraint {
        "" => "us-east-1",
        "EU" => "eu-west-1",
        region => region,
    }
}

/// What one bucket answers: what it refuses is not known, what stops the run stops the listing.
pub(super) fn known<T>(answer: Result<T, CloudError>) -> Result<Option<T>, CloudError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if stops(&error) => Err(error),
        Err(_) => Ok(None),
    }
}

/// As [`known`], noting why it is not.
fn told<T>(answer: Result<T, CloudError>, hidden: &mut Vec<String>) -> Result<Option<T>, CloudError> {
    if let Err(error) = &answer {
        hidden.push(error.cause());
    }
    known(answer)
}

/// Whether an error is about the run or the identity rather than about one bucket.
pub(super) fn stops(error: &CloudError) -> bool {
    matches!(error.fault, Fault::Unauthenticated | Fault::OutOfTime | Fault::Cancelled)
}

/// What was seen of a bucket.
#[derive(Default)]
struct Seen {
    region: Option<String>,
    versioned: Option<bool>,
    rules: Option<Rules>,
    tags: Option<Vec<Tag>>,
    /// Why some of its configuration is not known.
    hidden: Vec<String>,
}

/// Reads a bucket's configuration; `None` when the bucket is gone by now.
async fn seen(aws: &Aws, site: &Site, bucket: &Listed) -> Result<Option<Seen>, CloudError> {
    let Some(region) = region(aws, site, bucket).await? else {
        let hidden = vec![CloudError::new(Fault::Denied, LOCATION, "").cause()];
        return Ok(Some(Seen { hidden, ..Seen::default() }));
    };
    let site = site.in_region(&region);
    let s3 = aws.s3(site.scope());
    let name = &bucket.name;
    let versioning = fault::call(&site, VERSIONING, || s3.get_bucket_versioning().bucket(name).send()).await;
    if matches!(&versioning, Err(error) if error.fault == Fault::NotFound) {
        return Ok(None);
    }
    let mut hidden = Vec::new();
    // `None` is never switched on; suspended versioning keeps the versions it has.
    let versioned = told(versioning, &mut hidden)?.map(|versioning| versioning.status().is_some());
    let lifecycle =
        fault::maybe(&site, LIFECYCLE, || s3.get_bucket_lifecycle_configuration().bucket(name).send()).await;
    let lifecycle = told(lifecycle, &mut hidden)?;
    let rules = lifecycle.map(|lifecycle| rules(lifecycle.as_ref().map_or(&[], |lifecycle| lifecycle.rules())));
    let tags = known(tags(&site, &s3, name).await)?;
    Ok(Some(Seen { region: Some(region), versioned, rules, tags, hidden }))
}

/// The tags of a bucket; none where there is no tag set.
pub(super) async fn tags(site: &Site, s3: &Client, bucket: &str) -> Result<Vec<Tag>, CloudError> {
    let answer = fault::maybe(site, TAGS, || s3.get_bucket_tagging().bucket(bucket).send()).await?;
    Ok(answer.map_or_else(Vec::new, |answer| answer.tag_set().to_vec()))
}

/// Tags as pairs.
pub(super) fn pairs(tags: &[Tag]) -> Vec<(&str, &str)> {
    tags.iter().map(|tag| (tag.key(), tag.value())).collect()
}

/// The tags of a bucket, or why they may not be read.
pub(super) async fn tags_of(aws: &Aws, site: &Site, bucket: &str, region: &str) -> Result<Answer, CloudError> {
    let site = site.in_region(region);
    let tags = tags(&site, &aws.s3(site.scope()), bucket).await?;
    Ok(Answer::Tags(tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()))
}

/// Whether anything is in a bucket: a version, a delete marker or an upload.
async fn holds(aws: &Aws, site: &Site, bucket: &str, region: &str) -> Result<Answer, CloudError> {
    let site = site.in_region(region);
    let s3 = aws.s3(site.scope());
    let page =
        fault::paid(&site, VERSIONS, LISTING, || s3.list_object_versions().bucket(bucket).max_keys(1).send()).await?;
    // A page that was cut short without anything on it has not said that there is nothing.
    if !page.versions().is_empty() || !page.delete_markers().is_empty() || page.is_truncated() == Some(true) {
        return Ok(Answer::Truth(true));
    }
    let page =
        fault::paid(&site, UPLOADS, LISTING, || s3.list_multipart_uploads().bucket(bucket).max_uploads(1).send())
            .await?;
    Ok(Answer::Truth(!page.uploads().is_empty() || page.is_truncated() == Some(true)))
}

/// What the enabled lifecycle rules of a bucket do, in whichever part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rules {
    any: bool,
    noncurrent: bool,
    abort: bool,
}

fn rules(rules: &[LifecycleRule]) -> Rules {
    let mut does = Rules::default();
    for rule in rules.iter().filter(|rule| rule.status() == &ExpirationStatus::Enabled) {
        does.any = true;
        does.noncurrent |= rule.noncurrent_version_expiration().is_some();
        does.abort |= rule.abort_incomplete_multipart_upload().is_some();
    }
    does
}

fn push(bucket: &Listed, seen: &Seen, out: &mut Listing) {
    for cause in &seen.hidden {
        out.hides(cause);
    }
    let pairs = seen.tags.as_deref().map(pairs);
    let managed_by = pairs.as_deref().map_or_else(String::new, marks::managed_by);
    let facts = facts::Bucket {
        versioned: seen.versioned,
        lifecycle: seen.rules.map(|rules| rules.any),
        noncurrent_rule: seen.rules.map(|rules| rules.noncurrent),
        abort_rule: seen.rules.map(|rules| rules.abort),
        machinery: false,
    };
    out.push(Draft {
        region: seen.region.as_deref(),
        created: bucket.created,
        managed_by: &managed_by,
        tags: pairs.map_or(Tags::Unread, Tags::Read),
        ..Draft::new(&bucket.name, facts)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::types::{AbortIncompleteMultipartUpload, NoncurrentVersionExpiration};

    fn rule(status: ExpirationStatus) -> aws_sdk_s3::types::builders::LifecycleRuleBuilder {
        LifecycleRule::builder().status(status)
    }

    #[test]
    fn only_enabled_rules_do_anything() {
        let ends = NoncurrentVersionExpiration::builder().noncurrent_days(30).build();
        let aborts = AbortIncompleteMultipartUpload::builder().days_after_initiation(7).build();
        let disabled = rule(ExpirationStatus::Disabled).noncurrent_version_expiration(ends.clone()).build().unwrap();
        let unknown = rule(ExpirationStatus::from("Paused")).build().unwrap();
        assert_eq!(rules(&[disabled, unknown]), Rules::default());
        let aborting = rule(ExpirationStatus::Enabled).abort_incomplete_multipart_upload(aborts).build().unwrap();
        assert_eq!(rules(&[aborting]), Rules { any: true, noncurrent: false, abort: true });
        let ending = rule(ExpirationStatus::Enabled).noncurrent_version_expiration(ends).build().unwrap();
        assert_eq!(rules(&[ending]), Rules { any: true, noncurrent: true, abort: false });
    }

    #[test]
    fn the_oldest_regions_have_names_of_their_own() {
        assert_eq!(location(""), "us-east-1");
        assert_eq!(location("EU"), "eu-west-1");
        assert_eq!(location("ap-south-1"), "ap-south-1");
    }

    #[test]
    fn one_bucket_that_refuses_does_not_stop_the_listing() {
        let error = |fault| Err::<(), _>(CloudError::new(fault, TAGS, ""));
        assert_eq!(known(error(Fault::Denied)), Ok(None));
        // Of one bucket, "not offered" must not become "there are no buckets".
        assert_eq!(known(error(Fault::NotOffered)), Ok(None));
        assert!(known(error(Fault::OutOfTime)).is_err());
        assert_eq!(known(Ok(1)), Ok(Some(1)));
    }
}
