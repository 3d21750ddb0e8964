//! S3: buckets, their configuration, and listings of objects, versions and multipart uploads.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `aws.s3-bucket` | id | | the bucket's name, unique over all accounts |
//! | | `versioning` | never set | `Enabled` or `Suspended` |
//! | | `lifecycle` | none | `[{ id, enabled = true, prefix = "", noncurrent_days, newer_noncurrent, abort_upload_days, expire_days, transition_days, storage_class }]` |
//! | | `objects` | 0 | how many objects; also the storage metric |
//! | | `bytes` | 0 | their size together; also the storage metric |
//! | | `last_write` | `created` | `LastModified` of the objects |
//! | | `versions_present` | false | one deleted object with a noncurrent version and its delete marker |
//! | | `object_lock` | false | true, `GOVERNANCE` or `COMPLIANCE` (with a default retention of 30 days) |
//! | | `website` | false | static website hosting |
//! | | `log_target` | none | the bucket its access logs go to |
//! | | `public` | no policy | true or false: it has a policy that is or is not public |
//! | `aws.s3-upload` | id | | the upload id |
//! | | `bucket` | | the bucket's name |
//! | | `key` | `upload.bin` | the object's key |
//! | | `initiated` | `created` | when it was started |
//! | | `parts` | none | the sizes of its parts in bytes |
//!
//! Objects are made up on the fly, keyed `object-0000000000` and on, so that millions cost nothing.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::item::{Args, Item, answer, done, hex, refused, stamp, unserved, view};
use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;

use super::Kind;

/// The key of an upload that names none.
pub(crate) const UPLOAD_KEY: &str = "upload.bin";
const BUCKET: &str = "aws.s3-bucket";
const UPLOAD: &str = "aws.s3-upload";

pub(crate) const KINDS: &[Kind] = &[
    Kind {
        kind: BUCKET,
        keys: &[
            "versioning:text",
            "lifecycle:tables",
            "objects:int",
            "bytes:int",
            "last_write:time",
            "versions_present:bool",
            "object_lock",
            "website:bool",
            "log_target:text",
            "public:bool",
        ],
    },
    Kind { kind: UPLOAD, keys: &["bucket:text", "key:text", "initiated:time", "parts"] },
];

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let args = Args::of(request);
    if request.action == "ListBuckets" {
        return list_buckets(cloud, request, &args);
    }
    let bucket = match bucket(cloud, request, &args)? {
        Found::Here(bucket) => bucket,
        Found::Elsewhere(bucket) => return Ok(redirect(request, &bucket)),
    };
    match request.action.as_str() {
        "HeadBucket" => Ok(Reply::Raw {
            status: 200,
            content_type: "application/xml".to_owned(),
            headers: vec![
                ("x-amz-bucket-region".to_owned(), bucket.region.to_owned()),
                ("x-amz-access-point-alias".to_owned(), "false".to_owned()),
            ],
            body: Vec::new(),
        }),
        "GetBucketLocation" => {
            // The oldest region has no constraint at all, which clients must read as us-east-1.
            let place = if bucket.region == "us-east-1" { "" } else { bucket.region };
            answer(json!(place))
        }
        "GetBucketVersioning" => answer(json!({ "Status": bucket.text("versioning") })),
        "GetBucketLifecycleConfiguration" => lifecycle(&bucket),
        "GetBucketTagging" => {
            if bucket.tags().is_empty() {
                return Err(refused(404, "NoSuchTagSet", "The TagSet does not exist"));
            }
            answer(json!({ "TagSet": { "Tag": bucket.tag_list("Key", "Value") } }))
        }
        "ListObjectVersions" => list_versions(cloud, &bucket, &args),
        "ListObjectsV2" => list_objects(cloud, &bucket, &args),
        "ListMultipartUploads" => list_uploads(cloud, &bucket, &args),
        "ListParts" => list_parts(cloud, &bucket, &args),
        "AbortMultipartUpload" => {
            cloud.remove(upload(cloud, &bucket, &args)?.stored());
            done(204)
        }
        "GetObjectLockConfiguration" => {
            let mode = bucket.text("object_lock");
            if mode.is_none() && !bucket.flag("object_lock") {
                return Err(refused(
                    404,
                    "ObjectLockConfigurationNotFoundError",
                    "Object Lock configuration does not exist for this bucket",
                ));
            }
            let rule = mode.map(|mode| json!({ "DefaultRetention": { "Mode": mode, "Days": 30 } }));
            answer(json!({ "ObjectLockEnabled": "Enabled", "Rule": rule }))
        }
        "GetBucketLogging" => {
            let enabled = bucket
                .text("log_target")
                .map(|target| json!({ "TargetBucket": target, "TargetPrefix": format!("{}/", bucket.id) }));
            answer(json!({ "LoggingEnabled": enabled }))
        }
        "GetBucketPolicyStatus" => {
            if !bucket.has("public") {
                return Err(refused(404, "NoSuchBucketPolicy", "The bucket policy does not exist"));
            }
            answer(json!({ "IsPublic": bucket.flag("public") }))
        }
        "GetBucketWebsite" => {
            if !bucket.flag("website") {
                return Err(refused(
                    404,
                    "NoSuchWebsiteConfiguration",
                    "The specified bucket does not have a website configuration",
                ));
            }
            answer(json!({ "IndexDocument": { "Suffix": "index.html" } }))
        }
        _ => unserved(request),
    }
}

enum Found<'a> {
    Here(Item<'a>),
    Elsewhere(Item<'a>),
}

fn bucket<'a>(cloud: &'a Cloud, request: &Request, args: &Args) -> Result<Found<'a>, WireError> {
    let name = args.text("Bucket").unwrap_or_default();
    let Some(found) = cloud.with_id(BUCKET, name).next() else {
        return Err(refused(404, "NoSuchBucket", "The specified bucket does not exist"));
    };
    let found = view(found, cloud);
    if found.account != request.account {
        return Err(refused(403, "AccessDenied", "Access Denied"));
    }
    // Any endpoint tells where a bucket is; everything else is for the bucket's own region.
    if found.region == request.region || request.action == "GetBucketLocation" {
        Ok(Found::Here(found))
    } else {
        Ok(Found::Elsewhere(found))
    }
}

/// S3's answer to a request for a bucket in another region than the signed one.
fn redirect(request: &Request, bucket: &Item) -> Reply {
    // A bucket's name holds nothing that XML escapes, unless the organisation file made it up.
    let name: String =
        bucket.id.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')).collect();
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>PermanentRedirect</Code>\
         <Message>The bucket you are attempting to access must be addressed using the specified \
         endpoint. Please send all future requests to this endpoint.</Message>\
         <Endpoint>{name}.s3.{region}.amazonaws.com</Endpoint><Bucket>{name}</Bucket>\
         <RequestId>0A1B2C3D4E5F6071</RequestId></Error>",
        region = bucket.region,
    );
    Reply::Raw {
        status: 301,
        content_type: "application/xml".to_owned(),
        headers: vec![("x-amz-bucket-region".to_owned(), bucket.region.to_owned())],
        body: if request.action == "HeadBucket" { Vec::new() } else { body.into_bytes() },
    }
}

fn owner(account: &str) -> Value {
    json!({ "ID": hex(&format!("canonical {account}"), 64) })
}

fn list_buckets(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let prefix = args.text("prefix").unwrap_or_default();
    let only = args.text("bucket-region");
    let mut items: Vec<Item> = cloud
        .list_account(&request.account, BUCKET)
        .into_iter()
        .map(|item| view(item, cloud))
        .filter(|item| item.id.starts_with(prefix) && only.is_none_or(|only| only == item.region))
        .collect();
    items.sort_by(|a, b| a.id.cmp(b.id));
    // S3 says where a bucket is only to a request that has at least one of these parameters.
    let says_region =
        ["prefix", "bucket-region", "max-buckets", "continuation-token"].iter().any(|name| args.get(name).is_some());
    let most = args.limit("max-buckets", 10_000, 10_000, "InvalidArgument")?;
    let (items, token) = cloud.page(&items, Some(most), args.text("continuation-token"))?;
    let buckets: Vec<Value> = items
        .iter()
        .map(|item| {
            json!({
                "Name": item.id,
                "CreationDate": stamp(item.created),
                "BucketRegion": says_region.then_some(item.region),
                "BucketArn": says_region.then(|| format!("arn:aws:s3:::{}", item.id)),
            })
        })
        .collect();
    answer(json!({
        "Owner": owner(&request.account),
        "Buckets": { "Bucket": buckets },
        "ContinuationToken": token,
        "Prefix": args.text("prefix"),
    }))
}

fn lifecycle(bucket: &Item) -> Result<Reply, WireError> {
    let given = bucket.tables("lifecycle");
    if given.is_empty() {
        return Err(refused(404, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"));
    }
    let rules: Vec<Value> = given
        .iter()
        .enumerate()
        .map(|(place, rule)| {
            let class = rule.text_or("storage_class", "GLACIER");
            let noncurrent = rule.int("noncurrent_days").map(|days| {
                json!({
                    "NoncurrentDays": days,
                    "NewerNoncurrentVersions": rule.int("newer_noncurrent"),
                })
            });
            let enabled = !rule.has("enabled") || rule.flag("enabled");
            json!({
                "ID": rule.text("id").map_or_else(|| format!("rule-{place}"), str::to_owned),
                "Filter": { "Prefix": rule.text_or("prefix", "") },
                "Status": if enabled { "Enabled" } else { "Disabled" },
                "Expiration": rule.int("expire_days").map(|days| json!({ "Days": days })),
                "Transition": rule.int("transition_days").map(|days| json!([{ "Days": days, "StorageClass": class }])),
                "NoncurrentVersionExpiration": noncurrent,
                "AbortIncompleteMultipartUpload": rule
                    .int("abort_upload_days")
                    .map(|days| json!({ "DaysAfterInitiation": days })),
            })
        })
        .collect();
    answer(json!({ "Rule": rules }))
}

const STEM: &str = "object-";

/// More than that would make keys longer, and their order no longer that of the numbers.
const MOST_OBJECTS: i64 = 10_000_000_000;

/// How many objects a bucket has.
fn count(bucket: &Item) -> i64 {
    bucket.int_or("objects", 0).clamp(0, MOST_OBJECTS)
}

/// The key of the `number`th made-up object. The order of the keys is the order of the numbers.
fn key(number: i64) -> String {
    format!("{STEM}{number:010}")
}

/// The number of the first made-up object whose key is greater than a marker.
fn after(marker: &str, objects: i64) -> i64 {
    let (mut low, mut high) = (0, objects);
    while low < high {
        let middle = low + (high - low) / 2;
        if key(middle).as_str() <= marker { low = middle + 1 } else { high = middle }
    }
    low
}

/// A key as it goes into an answer: percent-encoded when the request asked for that.
fn written(key: &str, args: &Args) -> String {
    if args.text("encoding-type") != Some("url") {
        return key.to_owned();
    }
    let mut text = String::new();
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                text.push(char::from(byte));
            }
            other => {
                let _ = write!(text, "%{other:02X}");
            }
        }
    }
    text
}

/// The page size: S3 takes more than a thousand for a thousand.
fn most(cloud: &Cloud, args: &Args, name: &str) -> Result<i64, WireError> {
    let asked = match args.get(name) {
        None => 1000,
        Some(_) => args.int(name).filter(|asked| (0..=i64::from(i32::MAX)).contains(asked)).ok_or_else(|| {
            refused(400, "InvalidArgument", format!("Provided {name} not an integer or within integer range"))
        })?,
    };
    let cap = cloud.page.map_or(1000, |cap| i64::try_from(cap.max(1)).unwrap_or(1000));
    Ok(asked.min(1000).min(cap))
}

/// The current objects of a bucket with a prefix, after a marker, at most `most`; and whether more follow.
fn objects(bucket: &Item, prefix: &str, marker: &str, most: i64) -> (Vec<i64>, bool) {
    let all = count(bucket);
    let mut chosen = Vec::new();
    let mut next = after(marker, all).max(after_prefix(prefix, all));
    while next < all && key(next).starts_with(prefix) {
        if chosen.len() as i64 == most {
            return (chosen, true);
        }
        chosen.push(next);
        next += 1;
    }
    (chosen, false)
}

/// The number of the first made-up object whose key is not less than a prefix.
fn after_prefix(prefix: &str, objects: i64) -> i64 {
    let (mut low, mut high) = (0, objects);
    while low < high {
        let middle = low + (high - low) / 2;
        if key(middle).as_str() < prefix { low = middle + 1 } else { high = middle }
    }
    low
}

fn size(bucket: &Item, number: i64) -> i64 {
    let (bytes, objects) = (bucket.int_or("bytes", 0), count(bucket).max(1));
    // The first object takes what the division leaves, so that the sizes add up to the bytes.
    bytes / objects + if number == 0 { bytes % objects } else { 0 }
}

fn etag(seed: &str) -> String {
    format!("\"{}\"", hex(seed, 32))
}

fn list_objects(cloud: &Cloud, bucket: &Item, args: &Args) -> Result<Reply, WireError> {
    let prefix = args.text("prefix").unwrap_or_default();
    let most = most(cloud, args, "max-keys")?;
    let token = args.text("continuation-token");
    let marker = match token {
        // The token is the last key that was answered, which S3 too may change at any time.
        Some(token) => token
            .strip_prefix("1")
            .ok_or_else(|| refused(400, "InvalidArgument", "The continuation token provided is incorrect"))?,
        None => args.text("start-after").unwrap_or_default(),
    };
    let (chosen, more) = objects(bucket, prefix, marker, most);
    let modified = bucket.moment("last_write").unwrap_or(bucket.created);
    let contents: Vec<Value> = chosen
        .iter()
        .map(|number| {
            let key = key(*number);
            json!({
                "Key": written(&key, args),
                "LastModified": stamp(modified),
                "ETag": etag(&key),
                "Size": size(bucket, *number),
                "StorageClass": "STANDARD",
            })
        })
        .collect();
    let next = if more { chosen.last().map(|number| format!("1{}", key(*number))) } else { None };
    answer(json!({
        "Name": bucket.id,
        "Prefix": written(prefix, args),
        "MaxKeys": most,
        "KeyCount": contents.len(),
        "IsTruncated": more && most > 0,
        "EncodingType": args.text("encoding-type"),
        "ContinuationToken": token,
        "NextContinuationToken": next,
        "StartAfter": args.text("start-after"),
        "Contents": contents,
    }))
}

/// A key that sorts after every made-up one: the deleted object of `versions_present`.
const DELETED: &str = "removed-object";

fn list_versions(cloud: &Cloud, bucket: &Item, args: &Args) -> Result<Reply, WireError> {
    let prefix = args.text("prefix").unwrap_or_default();
    let most = most(cloud, args, "max-keys")?;
    let marker = args.text("key-marker").unwrap_or_default();
    let version_marker = args.text("version-id-marker");
    let modified = bucket.moment("last_write").unwrap_or(bucket.created);
    let versioned = bucket.text("versioning").is_some();
    let id = |key: &str, what: &str| {
        if versioned { hex(&format!("{} {key} {what}", bucket.id), 32) } else { "null".to_owned() }
    };

    // A version marker asks for the later versions of that same key; a made-up object has only one.
    let (chosen, mut more) = objects(bucket, prefix, marker, most);
    let mut last = chosen.last().map(|number| (key(*number), id(&key(*number), "current")));
    let versions: Vec<Value> = chosen
        .iter()
        .map(|number| {
            let key = key(*number);
            json!({
                "Key": written(&key, args),
                "VersionId": id(&key, "current"),
                "IsLatest": true,
                "LastModified": stamp(modified),
                "ETag": etag(&key),
                "Size": size(bucket, *number),
                "StorageClass": "STANDARD",
                "Owner": owner(bucket.account),
            })
        })
        .collect();
    let mut versions = versions;
    let mut markers = Vec::new();
    if bucket.flag("versions_present") && !more && DELETED.starts_with(prefix) {
        let (of_marker, of_version) = (id(DELETED, "marker"), id(DELETED, "version"));
        let within = marker == DELETED && version_marker.is_some();
        let mut rest = Vec::new();
        if marker < DELETED {
            rest.push(true);
        }
        if marker < DELETED || (within && version_marker == Some(of_marker.as_str())) {
            rest.push(false);
        }
        for is_marker in rest {
            if (versions.len() + markers.len()) as i64 >= most {
                more = true;
                break;
            }
            if is_marker {
                markers.push(json!({
                    "Key": DELETED,
                    "VersionId": of_marker,
                    "IsLatest": true,
                    "LastModified": stamp(modified),
                    "Owner": owner(bucket.account),
                }));
                last = Some((DELETED.to_owned(), of_marker.clone()));
            } else {
                versions.push(json!({
                    "Key": DELETED,
                    "VersionId": of_version,
                    "IsLatest": false,
                    "LastModified": stamp(bucket.created),
                    "ETag": etag(DELETED),
                    "Size": 1024,
                    "StorageClass": "STANDARD",
                    "Owner": owner(bucket.account),
                }));
                last = Some((DELETED.to_owned(), of_version.clone()));
            }
        }
    }
    let truncated = more && most > 0;
    let next = if truncated { last } else { None };
    answer(json!({
        "Name": bucket.id,
        "Prefix": written(prefix, args),
        "KeyMarker": written(marker, args),
        "VersionIdMarker": version_marker,
        "NextKeyMarker": next.as_ref().map(|(key, _)| written(key, args)),
        "NextVersionIdMarker": next.as_ref().map(|(_, version)| version),
        "MaxKeys": most,
        "IsTruncated": truncated,
        "EncodingType": args.text("encoding-type"),
        "Version": versions,
        "DeleteMarker": markers,
    }))
}

fn upload_key<'a>(upload: &Item<'a>) -> &'a str {
    upload.text("key").unwrap_or(UPLOAD_KEY)
}

/// The unfinished uploads of a bucket, in the order S3 lists them: by key, then by upload id.
fn uploads<'a>(cloud: &'a Cloud, bucket: &Item) -> Vec<Item<'a>> {
    let mut items: Vec<Item> = cloud
        .referring(UPLOAD, "bucket", bucket.id)
        .into_iter()
        .map(|item| view(item, cloud))
        .filter(|item| item.account == bucket.account)
        .collect();
    items.sort_by(|a, b| (upload_key(a), a.id).cmp(&(upload_key(b), b.id)));
    items
}

fn list_uploads(cloud: &Cloud, bucket: &Item, args: &Args) -> Result<Reply, WireError> {
    let prefix = args.text("prefix").unwrap_or_default();
    let most = most(cloud, args, "max-uploads")?;
    let marker = args.text("key-marker").unwrap_or_default();
    // An upload marker without a key marker is ignored, as the API says.
    let id_marker = if marker.is_empty() { None } else { args.text("upload-id-marker") };
    let rest: Vec<Item> = uploads(cloud, bucket)
        .into_iter()
        .filter(|upload| {
            let key = upload_key(upload);
            key.starts_with(prefix) && (key > marker || (key == marker && id_marker.is_some_and(|id| upload.id > id)))
        })
        .collect();
    let shown: Vec<Item> = rest.iter().take(usize::try_from(most).unwrap_or(0)).copied().collect();
    let truncated = most > 0 && shown.len() < rest.len();
    let next = if truncated { shown.last() } else { None };
    let described: Vec<Value> = shown
        .iter()
        .map(|upload| {
            json!({
                "Key": written(upload_key(upload), args),
                "UploadId": upload.id,
                "Initiator": owner(bucket.account),
                "Owner": owner(bucket.account),
                "StorageClass": "STANDARD",
                "Initiated": stamp(upload.moment("initiated").unwrap_or(upload.created)),
            })
        })
        .collect();
    answer(json!({
        "Bucket": bucket.id,
        "KeyMarker": written(marker, args),
        "UploadIdMarker": id_marker.unwrap_or_default(),
        "NextKeyMarker": next.map(|upload| written(upload_key(upload), args)),
        "NextUploadIdMarker": next.map(|upload| upload.id),
        "Prefix": written(prefix, args),
        "EncodingType": args.text("encoding-type"),
        "MaxUploads": most,
        "IsTruncated": truncated,
        "Upload": described,
    }))
}

/// The upload that a request names.
fn upload<'a>(cloud: &'a Cloud, bucket: &Item, args: &Args) -> Result<Item<'a>, WireError> {
    let id = args.text("uploadId").unwrap_or_default();
    let name = args.text("Key").unwrap_or_default();
    uploads(cloud, bucket)
        .into_iter()
        .find(|upload| upload.id == id && upload_key(upload) == name)
        .ok_or_else(|| {
            refused(
                404,
                "NoSuchUpload",
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
            )
        })
}

fn list_parts(cloud: &Cloud, bucket: &Item, args: &Args) -> Result<Reply, WireError> {
    let upload = upload(cloud, bucket, args)?;
    let most = most(cloud, args, "max-parts")?;
    let marker = args.int("part-number-marker").unwrap_or(0).max(0);
    let sizes = upload.ints("parts");
    let started = stamp(upload.moment("initiated").unwrap_or(upload.created));
    let parts: Vec<Value> = sizes
        .iter()
        .enumerate()
        .map(|(place, size)| (place as i64 + 1, size))
        .filter(|(number, _)| *number > marker)
        .take(usize::try_from(most).unwrap_or(0))
        .map(|(number, size)| {
            json!({
                "PartNumber": number,
                "LastModified": started,
                "ETag": etag(&format!("{} {number}", upload.id)),
                "Size": size,
            })
        })
        .collect();
    let last = parts.last().and_then(|part| part.get("PartNumber")).and_then(Value::as_i64);
    let truncated = last.is_some_and(|last| last < sizes.len() as i64);
    let mut result = Map::new();
    let mut put = |name: &str, value: Value| result.insert(name.to_owned(), value);
    put("Bucket", json!(bucket.id));
    put("Key", json!(written(upload_key(&upload), args)));
    put("UploadId", json!(upload.id));
    put("PartNumberMarker", json!(marker));
    put("NextPartNumberMarker", json!(last.unwrap_or(0)));
    put("MaxParts", json!(most));
    put("IsTruncated", json!(truncated));
    put("Initiator", owner(bucket.account));
    put("Owner", owner(bucket.account));
    put("StorageClass", json!("STANDARD"));
    put("Part", json!(parts));
    answer(Value::Object(result))
}
