//! Multipart uploads of S3 that are not completed. Each is judged by itself, so a bucket that cannot be
//! listed, or only in part, blinds its own region and takes nothing from the others.

use crate::{
    acts, asks,
    auth::Aws,
    fault,
    kinds::{
        at,
        s3_bucket::{self, AT_ONCE, LISTING, Listed, TAGS, UPLOADS as LIST, buckets, known, pairs, stops},
    },
    marks,
    pen::{partition, send, sent, unknown},
};
use async_trait::async_trait;
use aws_sdk_s3::types::{MultipartUpload, Part, Tag};
use futures_util::{
    future::BoxFuture,
    stream::{self, StreamExt as _},
};
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::{Pages, Site},
    deed::{ActSpec, Deed, Pen, Reversal, Sent, Target, Write},
    facts::Upload,
    inventory::{Draft, Inventory, Listing, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId, Scope},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.s3-upload",
    cloud: CloudId::Aws,
    class: Class::Upload,
    title: "multipart upload",
    places: Places::Account,
    reads: &[LIST, s3_bucket::LIST, s3_bucket::LOCATION, TAGS],
    asks: &[PARTS, TAGS],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[ActSpec {
        // What shows that an upload is gone, of which a listing without it is no proof.
        reads: &[PARTS],
        ..acts::delete(
            &[Write { permission: ABORT, method: "DELETE", action: "AbortMultipartUpload" }],
            Reversal::Again("the parts are sent again: an upload that is not completed is no object"),
        )
    }],
};

const ABORT: &str = "s3:AbortMultipartUpload";

const PARTS: &str = "s3:ListMultipartUploadParts";

/// LIST pages that are read of one bucket, since each is paid.
const PAGES: usize = 5;
/// Uploads, or parts, of a page.
const PAGE: i32 = 1000;
/// Pages that the 10,000 parts an upload may have fill.
const PART_PAGES: usize = 10;

/// Stands between key and upload id in an upload's native id.
const ID: &str = "?uploadId=";

pub(super) struct S3Upload(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for S3Upload {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let buckets = buckets(&self.0, site).await?;
        let work: Vec<_> = buckets.iter().map(|bucket| seen(&self.0, site, bucket)).collect();
        let mut results = stream::iter(work).buffered(AT_ONCE);
        let mut listed = buckets.iter();
        let mut blind = Blind::default();
        while let Some(seen) = results.next().await {
            let seen = seen?;
            let Some(bucket) = listed.next() else { break };
            push(&bucket.name, &seen, out);
            if let Some(cause) = seen.unseen {
                blind.add(&seen.region, cause, &bucket.name);
            }
        }
        for (region, why) in blind.lines() {
            out.blind_in(&region, why);
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let mut work: Vec<(Ask, BoxFuture<'_, Result<Answer, CloudError>>)> = Vec::new();
        for ask in asks {
            let upload = inventory.at(ask.resource);
            let (native, region) = (upload.native_id(), upload.region());
            match ask.question {
                Question::Bytes => work.push((*ask, Box::pin(bytes(&self.0, site, native, region)))),
                Question::Tags => {
                    let bucket = parts_of(native).map_or(native, |(bucket, _, _)| bucket);
                    work.push((*ask, Box::pin(s3_bucket::tags_of(&self.0, site, bucket, region))));
                }
                _ => {}
            }
        }
        Ok(asks::each(work).await)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let Some((bucket, key, upload)) = parts_of(&target.native_id) else {
            return Err(CloudError::new(Fault::Malformed, LIST, "no upload id"));
        };
        let site = site.in_region(&target.region);
        let Some(found) = find(&self.0, &site, bucket, key, upload).await? else { return Ok(()) };
        let tags = known(s3_bucket::tags(&site, &self.0.s3(site.scope()), bucket).await)?;
        push(bucket, &Seen { region: target.region.clone(), uploads: vec![found], tags, unseen: None }, out);
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        if *pen.permit().deed() != Deed::Delete {
            return Err(unknown(pen));
        }
        let target = pen.target();
        let Some((bucket, key, upload)) = parts_of(&target.native_id) else {
            return Err(CloudError::new(Fault::Refused, ABORT, "no upload id"));
        };
        let own = [format!("arn:{}:s3:::{bucket}/{}", partition(&target.region), plain(key))];
        let s3 = self.0.writer(&SPEC, pen, &own).await?.s3();
        let change = s3.abort_multipart_upload().bucket(bucket).key(key).upload_id(upload).send();
        Ok(sent(&send(pen, ABORT, change).await?, ""))
    }
}

/// What was seen of a bucket.
#[derive(Default)]
struct Seen {
    region: String,
    uploads: Vec<MultipartUpload>,
    tags: Option<Vec<Tag>>,
    /// Why not all uploads were seen, if so.
    unseen: Option<String>,
}

async fn seen(aws: &Aws, site: &Site, bucket: &Listed) -> Result<Seen, CloudError> {
    let Some(region) = s3_bucket::region(aws, site, bucket).await? else {
        let cause = CloudError::new(Fault::Denied, s3_bucket::LOCATION, "").cause();
        return Ok(Seen { region: Scope::GLOBAL.to_owned(), unseen: Some(cause), ..Seen::default() });
    };
    let site = site.in_region(&region);
    let mut seen = Seen { region, ..Seen::default() };
    match uploads(aws, &site, &bucket.name, &mut seen.uploads).await {
        Ok(true) => {}
        Ok(false) => seen.unseen = Some(format!("only the first {} uploads listed", seen.uploads.len())),
        Err(error) if stops(&error) => return Err(error),
        // A bucket that is gone by now has no uploads.
        Err(error) if error.fault == Fault::NotFound => seen.uploads.clear(),
        Err(error) => seen.unseen = Some(error.cause()),
    }
    if !seen.uploads.is_empty() {
        // Uploads have no tags: an owner is named at the bucket.
        seen.tags = known(s3_bucket::tags(&site, &aws.s3(site.scope()), &bucket.name).await)?;
    }
    Ok(seen)
}

/// Lists a bucket's uploads; `false` when there are more than may be listed.
async fn uploads(aws: &Aws, site: &Site, bucket: &str, uploads: &mut Vec<MultipartUpload>) -> Result<bool, CloudError> {
    let s3 = aws.s3(site.scope());
    let mut pages = Pages::new(LIST);
    let mut marker: (Option<String>, Option<String>) = (None, None);
    for _ in 0..PAGES {
        let (key, upload) = marker;
        let page = fault::paid(site, LIST, LISTING, || {
            s3.list_multipart_uploads()
                .bucket(bucket)
                .max_uploads(PAGE)
                .set_key_marker(key.clone())
                .set_upload_id_marker(upload.clone())
                .send()
        })
        .await?;
        uploads.extend(page.uploads().iter().cloned());
        if page.is_truncated() != Some(true) {
            return Ok(true);
        }
        let next = (page.next_key_marker().map(str::to_owned), page.next_upload_id_marker().map(str::to_owned));
        let (Some(key), Some(upload)) = &next else {
            return Err(CloudError::new(Fault::Malformed, LIST, "cut short without a marker"));
        };
        pages.seen(Some(&format!("{key}\n{upload}")))?;
        marker = next;
    }
    Ok(false)
}

/// An upload, among those that begin with its key, which come in order of their keys. That it is gone is said by a call
/// about its parts.
async fn find(
    aws: &Aws,
    site: &Site,
    bucket: &str,
    key: &str,
    upload: &str,
) -> Result<Option<MultipartUpload>, CloudError> {
    let s3 = aws.s3(site.scope());
    let mut pages = Pages::new(LIST);
    let mut marker: (Option<String>, Option<String>) = (None, None);
    loop {
        let (from, after) = marker;
        let page = fault::paid(site, LIST, LISTING, || {
            s3.list_multipart_uploads()
                .bucket(bucket)
                .prefix(key)
                .max_uploads(PAGE)
                .set_key_marker(from.clone())
                .set_upload_id_marker(after.clone())
                .send()
        })
        .await;
        let page = match page {
            Err(error) if error.fault == Fault::NotFound => return Ok(None),
            page => page?,
        };
        let own = |one: &&MultipartUpload| one.key() == Some(key) && one.upload_id() == Some(upload);
        if let Some(found) = page.uploads().iter().find(own) {
            return Ok(Some(found.clone()));
        }
        let beyond = page.uploads().last().and_then(MultipartUpload::key).is_some_and(|last| last > key);
        if page.is_truncated() != Some(true) || beyond {
            break;
        }
        marker = (page.next_key_marker().map(str::to_owned), page.next_upload_id_marker().map(str::to_owned));
        let (Some(next), Some(id)) = (&marker.0, &marker.1) else {
            return Err(CloudError::new(Fault::Malformed, LIST, "cut short without a marker"));
        };
        pages.seen(Some(&format!("{next}\n{id}")))?;
    }
    let parts = fault::paid(site, PARTS, LISTING, || {
        s3.list_parts().bucket(bucket).key(key).upload_id(upload).max_parts(1).send()
    });
    match parts.await {
        Err(error) if error.fault == Fault::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(_) => Err(CloudError::new(Fault::Malformed, LIST, "the listing leaves out an upload that is there")),
    }
}

/// A key as an ARN of a policy names it: letters that mean a pattern or a variable there stand for any one.
fn plain(key: &str) -> String {
    key.chars().map(|letter| if matches!(letter, '*' | '?' | '$') { '?' } else { letter }).collect()
}

/// Buckets not seen in full, by region and cause.
#[derive(Default)]
struct Blind(BTreeMap<String, BTreeMap<String, Vec<String>>>);

impl Blind {
    fn add(&mut self, region: &str, cause: String, bucket: &str) {
        self.0.entry(region.to_owned()).or_default().entry(cause).or_default().push(bucket.to_owned());
    }

    /// A line a region: `denied s3:ListBucketMultipartUploads in 3 buckets (audit, …)`.
    fn lines(self) -> Vec<(String, String)> {
        let line = |(cause, buckets): (String, Vec<String>)| match buckets.as_slice() {
            [only] => format!("{cause} in bucket {only}"),
            [first, ..] => format!("{cause} in {} buckets ({first}, …)", buckets.len()),
            [] => cause,
        };
        let region = |(region, causes): (String, BTreeMap<String, Vec<String>>)| {
            (region, causes.into_iter().map(line).collect::<Vec<_>>().join("; "))
        };
        self.0.into_iter().map(region).collect()
    }
}

fn push(bucket: &str, seen: &Seen, out: &mut Listing) {
    let pairs = seen.tags.as_deref().map(pairs);
    let managed_by = pairs.as_deref().map_or_else(String::new, marks::managed_by);
    let container = out.sym(bucket);
    for upload in &seen.uploads {
        let key = upload.key().unwrap_or_default();
        let initiated = at(upload.initiated());
        let facts = Upload { initiated, container, key: out.sym(key) };
        out.push(Draft {
            name: key,
            region: Some(&seen.region),
            created: initiated,
            managed_by: &managed_by,
            tags: pairs.clone().map_or(Tags::Unread, Tags::Read),
            ..Draft::new(&format!("{bucket}/{key}{ID}{}", upload.upload_id().unwrap_or_default()), facts)
        });
    }
}

/// Bucket, key and upload id of a native id. A key may have slashes and question marks of its own.
fn parts_of(native: &str) -> Option<(&str, &str, &str)> {
    let (bucket, rest) = native.split_once('/')?;
    let (key, upload) = rest.rsplit_once(ID)?;
    Some((bucket, key, upload))
}

/// The bytes of the parts that were uploaded.
async fn bytes(aws: &Aws, site: &Site, native: &str, region: &str) -> Result<Answer, CloudError> {
    let Some((bucket, key, upload)) = parts_of(native) else {
        return Err(CloudError::new(Fault::Malformed, PARTS, "no upload id"));
    };
    let site = site.in_region(region);
    let s3 = aws.s3(site.scope());
    let mut pages = Pages::new(PARTS);
    let mut bytes = 0_u64;
    for _ in 0..PART_PAGES {
        let Some(token) = pages.next() else { break };
        let page = fault::paid(&site, PARTS, LISTING, || {
            s3.list_parts()
                .bucket(bucket)
                .key(key)
                .upload_id(upload)
                .max_parts(PAGE)
                .set_part_number_marker(token.clone())
                .send()
        })
        .await?;
        let sizes = page.parts().iter().filter_map(Part::size);
        bytes = sizes.fold(bytes, |sum, size| sum.saturating_add(size.unsigned_abs()));
        let next = if page.is_truncated() == Some(true) { page.next_part_number_marker() } else { None };
        pages.seen(next)?;
    }
    match pages.next() {
        None => Ok(Answer::Bytes(bytes)),
        Some(_) => Err(CloudError::new(Fault::Malformed, PARTS, "more parts than an upload may have")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweeper_core::inventory::{InventoryBuilder, Resource, Status};

    #[test]
    fn a_native_id_is_read_back_whatever_the_key() {
        assert_eq!(parts_of("b/a/b?uploadId=x?uploadId=id"), Some(("b", "a/b?uploadId=x", "id")));
        assert_eq!(parts_of("b/k"), None);
    }

    #[test]
    fn buckets_not_seen_are_a_line_a_region() {
        let mut blind = Blind::default();
        for (region, bucket) in [("eu-west-1", "a"), ("us-east-1", "b"), ("us-east-1", "c")] {
            blind.add(region, "denied x".to_owned(), bucket);
        }
        assert_eq!(
            blind.lines(),
            [
                ("eu-west-1".to_owned(), "denied x in bucket a".to_owned()),
                ("us-east-1".to_owned(), "denied x in 2 buckets (b, …)".to_owned())
            ]
        );
    }
    #[test]
    fn a_bucket_that_hides_its_uploads_blinds_its_region_and_keeps_the_others() {
        let mut builder = InventoryBuilder::new(&[&SPEC]);
        let account = Scope::new(CloudId::Aws, "111111111111", Scope::GLOBAL);
        let mut out = builder.listing(&SPEC, &account);
        let upload = MultipartUpload::builder().key("k").upload_id("u").build();
        let seen = Seen { region: "us-east-1".to_owned(), uploads: vec![upload], ..Seen::default() };
        push("b", &seen, &mut out);
        out.blind_in("eu-west-1", "denied s3:ListBucketMultipartUploads in bucket a");
        builder.complete(out, 2);
        let inventory = builder.build();
        let ids: Vec<String> = inventory.resources().map(Resource::id).collect();
        assert_eq!(ids, ["aws.s3-upload:111111111111/us-east-1/b/k?uploadId=u"]);
        assert_eq!(inventory.covered(SPEC.id, &account).unwrap().status, Status::Complete);
        let there = Scope { region: "eu-west-1".to_owned(), ..account };
        assert!(matches!(inventory.covered(SPEC.id, &there).unwrap().status, Status::Blind { .. }));
    }
}
