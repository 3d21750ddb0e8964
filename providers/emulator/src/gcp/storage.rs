//! Cloud Storage: buckets and the names of objects, as gRPC v2 (which Google's Rust client speaks) and as JSON v1.
//!
//! A bucket has as many objects as its key `objects` says, of `bytes` together, `noncurrent` old versions, and
//! `deleted` ones that can be restored. What a client deletes can be restored as well, where the bucket has a policy of
//! soft deletion.

use std::collections::BTreeMap;

use prost::Message;
use serde_json::{Map, Value, json};

use super::shape::{finished, hash, lean, utc};
use super::{grpc, not_found, page, project_number, unreachable};
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::rest::{Req, Route};
use crate::services::Kind;

const BUCKET: &str = "gcp.storage-bucket";

pub(super) const KINDS: &[Kind] = &[Kind {
    kind: BUCKET,
    keys: &[
        "class:text",
        "versioning:bool",
        "soft_delete_days:int",
        "lifecycle:tables",
        "requester_pays:bool",
        "retention_days:int",
        "retention_locked:bool",
        "object_retention:bool",
        "event_hold:bool",
        "uniform:bool",
        "public_prevention:text",
        "log_bucket:text",
        "website:text",
        "kms:text",
        "autoclass:bool",
        "hierarchical:bool",
        "rpo:text",
        "placement:list",
        "updated:time",
        "objects:int",
        "bytes:int",
        "noncurrent:int",
        "deleted:int",
    ],
}];

/// The largest and the default page.
const PAGE: usize = 1000;

#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    Route { service: "storage", method: "POST", path: "/google.storage.v2.Storage/ListBuckets", action: "storage.ListBuckets", permission: "storage.buckets.list", handle: list_buckets },
    Route { service: "storage", method: "POST", path: "/google.storage.v2.Storage/GetBucket", action: "storage.GetBucket", permission: "storage.buckets.get", handle: get_bucket },
    Route { service: "storage", method: "POST", path: "/google.storage.v2.Storage/ListObjects", action: "storage.ListObjects", permission: "storage.objects.list", handle: list_objects },
    Route { service: "storage", method: "GET", path: "/storage/v1/b", action: "storage.buckets.list", permission: "storage.buckets.list", handle: json_buckets },
    Route { service: "storage", method: "GET", path: "/storage/v1/b/{bucket}", action: "storage.buckets.get", permission: "storage.buckets.get", handle: json_bucket },
    Route { service: "storage", method: "GET", path: "/storage/v1/b/{bucket}/o", action: "storage.objects.list", permission: "storage.objects.list", handle: json_objects },
    Route { service: "storage", method: "DELETE", path: "/storage/v1/b/{bucket}/o/{object}", action: "storage.objects.delete", permission: "storage.objects.delete", handle: delete_object },
    Route { service: "storage", method: "POST", path: "/storage/v1/b/{bucket}/o/{object}/restore", action: "storage.objects.restore", permission: "storage.objects.restore", handle: restore_object },
    Route { service: "storage", method: "DELETE", path: "/storage/v1/b/{bucket}", action: "storage.buckets.delete", permission: "storage.buckets.delete", handle: delete_bucket },
];

// The messages of google/storage/v2/storage.proto, of which only the fields that answers can have.

#[derive(Clone, PartialEq, Message)]
struct ListBucketsRequest {
    #[prost(string, tag = "1")]
    parent: String,
    #[prost(int32, tag = "2")]
    page_size: i32,
    #[prost(string, tag = "3")]
    page_token: String,
    #[prost(string, tag = "4")]
    prefix: String,
    #[prost(message, optional, tag = "5")]
    read_mask: Option<grpc::FieldMask>,
    #[prost(bool, tag = "9")]
    return_partial_success: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ListBucketsResponse {
    #[prost(message, repeated, tag = "1")]
    buckets: Vec<Bucket>,
    #[prost(string, tag = "2")]
    next_page_token: String,
    #[prost(string, repeated, tag = "3")]
    unreachable: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct GetBucketRequest {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "5")]
    read_mask: Option<grpc::FieldMask>,
}

#[derive(Clone, PartialEq, Message)]
struct ListObjectsRequest {
    #[prost(string, tag = "1")]
    parent: String,
    #[prost(int32, tag = "2")]
    page_size: i32,
    #[prost(string, tag = "3")]
    page_token: String,
    #[prost(string, tag = "6")]
    prefix: String,
    #[prost(bool, tag = "7")]
    versions: bool,
    #[prost(bool, tag = "12")]
    soft_deleted: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ListObjectsResponse {
    #[prost(message, repeated, tag = "1")]
    objects: Vec<Object>,
    #[prost(string, tag = "3")]
    next_page_token: String,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    id: String,
    #[prost(string, tag = "29")]
    etag: String,
    #[prost(string, tag = "3")]
    project: String,
    #[prost(int64, tag = "4")]
    metageneration: i64,
    #[prost(string, tag = "5")]
    location: String,
    #[prost(string, tag = "6")]
    location_type: String,
    #[prost(string, tag = "7")]
    storage_class: String,
    #[prost(string, tag = "27")]
    rpo: String,
    #[prost(message, optional, tag = "10")]
    lifecycle: Option<Lifecycle>,
    #[prost(message, optional, tag = "11")]
    create_time: Option<grpc::Timestamp>,
    #[prost(message, optional, tag = "13")]
    update_time: Option<grpc::Timestamp>,
    #[prost(bool, tag = "14")]
    default_event_based_hold: bool,
    #[prost(btree_map = "string, string", tag = "15")]
    labels: BTreeMap<String, String>,
    #[prost(message, optional, tag = "16")]
    website: Option<Website>,
    #[prost(message, optional, tag = "17")]
    versioning: Option<Enabled>,
    #[prost(message, optional, tag = "18")]
    logging: Option<Logging>,
    #[prost(message, optional, tag = "20")]
    encryption: Option<Encryption>,
    #[prost(message, optional, tag = "21")]
    billing: Option<Enabled>,
    #[prost(message, optional, tag = "22")]
    retention_policy: Option<RetentionPolicy>,
    #[prost(message, optional, tag = "23")]
    iam_config: Option<IamConfig>,
    #[prost(message, optional, tag = "26")]
    custom_placement_config: Option<CustomPlacementConfig>,
    #[prost(message, optional, tag = "28")]
    autoclass: Option<Enabled>,
    #[prost(message, optional, tag = "31")]
    soft_delete_policy: Option<SoftDeletePolicy>,
    #[prost(message, optional, tag = "32")]
    hierarchical_namespace: Option<Enabled>,
    #[prost(message, optional, tag = "33")]
    object_retention: Option<Enabled>,
}

/// Each of the messages whose first field is a flag.
#[derive(Clone, PartialEq, Message)]
struct Enabled {
    #[prost(bool, tag = "1")]
    enabled: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Website {
    #[prost(string, tag = "1")]
    main_page_suffix: String,
}

#[derive(Clone, PartialEq, Message)]
struct Logging {
    #[prost(string, tag = "1")]
    log_bucket: String,
    #[prost(string, tag = "2")]
    log_object_prefix: String,
}

#[derive(Clone, PartialEq, Message)]
struct Encryption {
    #[prost(string, tag = "1")]
    default_kms_key: String,
}

#[derive(Clone, PartialEq, Message)]
struct RetentionPolicy {
    #[prost(message, optional, tag = "1")]
    effective_time: Option<grpc::Timestamp>,
    #[prost(bool, tag = "2")]
    is_locked: bool,
    #[prost(message, optional, tag = "4")]
    retention_duration: Option<grpc::Duration>,
}

#[derive(Clone, PartialEq, Message)]
struct IamConfig {
    #[prost(message, optional, tag = "1")]
    uniform_bucket_level_access: Option<Enabled>,
    #[prost(string, tag = "3")]
    public_access_prevention: String,
}

#[derive(Clone, PartialEq, Message)]
struct CustomPlacementConfig {
    #[prost(string, repeated, tag = "1")]
    data_locations: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct SoftDeletePolicy {
    #[prost(message, optional, tag = "1")]
    retention_duration: Option<grpc::Duration>,
    #[prost(message, optional, tag = "2")]
    effective_time: Option<grpc::Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
struct Lifecycle {
    #[prost(message, repeated, tag = "1")]
    rule: Vec<Rule>,
}

#[derive(Clone, PartialEq, Message)]
struct Rule {
    #[prost(message, optional, tag = "1")]
    action: Option<Action>,
    #[prost(message, optional, tag = "2")]
    condition: Option<Condition>,
}

#[derive(Clone, PartialEq, Message)]
struct Action {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    storage_class: String,
}

#[derive(Clone, PartialEq, Message)]
struct Condition {
    #[prost(int32, optional, tag = "1")]
    age_days: Option<i32>,
    #[prost(bool, optional, tag = "3")]
    is_live: Option<bool>,
    #[prost(int32, optional, tag = "4")]
    num_newer_versions: Option<i32>,
    #[prost(string, repeated, tag = "5")]
    matches_storage_class: Vec<String>,
    #[prost(int32, optional, tag = "7")]
    days_since_custom_time: Option<i32>,
    #[prost(int32, optional, tag = "9")]
    days_since_noncurrent_time: Option<i32>,
    #[prost(string, repeated, tag = "11")]
    matches_prefix: Vec<String>,
    #[prost(string, repeated, tag = "12")]
    matches_suffix: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Object {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    bucket: String,
    #[prost(int64, tag = "3")]
    generation: i64,
    #[prost(int64, tag = "4")]
    metageneration: i64,
    #[prost(string, tag = "5")]
    storage_class: String,
    #[prost(int64, tag = "6")]
    size: i64,
    #[prost(message, optional, tag = "12")]
    delete_time: Option<grpc::Timestamp>,
    #[prost(message, optional, tag = "14")]
    create_time: Option<grpc::Timestamp>,
    #[prost(message, optional, tag = "17")]
    update_time: Option<grpc::Timestamp>,
}

/// The project that a call is about: that of the list, or the one that owns the bucket.
pub(super) fn claim(req: &Req, cloud: &Cloud) -> Result<Option<String>, WireError> {
    let owner = |bucket: &str| {
        let found = cloud.with_id(BUCKET, bucket).next();
        found.map(|found| Some(found.account.clone())).ok_or_else(|| no_bucket(bucket))
    };
    let tail = |text: &str| text.rsplit('/').next().unwrap_or_default().to_owned();
    match req.action {
        "storage.ListBuckets" => Ok(Some(tail(&grpc::request::<ListBucketsRequest>(req)?.parent))),
        "storage.GetBucket" => owner(&tail(&grpc::request::<GetBucketRequest>(req)?.name)),
        "storage.ListObjects" => owner(&tail(&grpc::request::<ListObjectsRequest>(req)?.parent)),
        "storage.buckets.list" => match req.param("project") {
            Some(project) => Ok(Some(project.to_owned())),
            None => Err(WireError::new(400, "INVALID_ARGUMENT", "Required parameter: project")),
        },
        _ => owner(req.label("bucket")),
    }
}

fn no_bucket(name: &str) -> WireError {
    WireError { message: "The specified bucket does not exist.".to_owned(), ..not_found(name) }
}

/// "us-central1" is "US-CENTRAL1" here, a region; "us" a multi-region.
fn location(item: &Item) -> (String, &'static str) {
    let name = item.region.to_ascii_uppercase();
    let kind = match name.as_str() {
        "US" | "EU" | "ASIA" => "multi-region",
        _ if name.contains('-') => "region",
        _ => "dual-region",
    };
    (name, kind)
}

fn etag(item: &Item) -> String {
    format!("CA{}=", char::from(b'A' + (hash(&[&item.id]) % 26) as u8))
}

fn retention(item: &Item) -> i64 {
    item.int("soft_delete_days").unwrap_or(7).saturating_mul(86_400)
}

fn bucket(cloud: &Cloud, item: &Item) -> Bucket {
    let (location, location_type) = location(item);
    let flag = |key: &str| item.flag(key).map(|enabled| Enabled { enabled });
    let number = |value: &Map<String, Value>, key: &str| {
        value.get(key).and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok())
    };
    let texts = |value: &Map<String, Value>, key: &str| crate::cloud::texts(value.get(key));
    let rules: Vec<Rule> = item
        .tables("lifecycle")
        .into_iter()
        .map(|rule| {
            let class = rule.get("class").and_then(Value::as_str);
            let kind = rule.get("action").and_then(Value::as_str);
            let kind = kind.unwrap_or(if class.is_some() { "SetStorageClass" } else { "Delete" });
            Rule {
                action: Some(Action { kind: kind.to_owned(), storage_class: class.unwrap_or_default().to_owned() }),
                condition: Some(Condition {
                    age_days: number(rule, "age"),
                    is_live: rule.get("is_live").and_then(Value::as_bool),
                    num_newer_versions: number(rule, "newer_versions"),
                    matches_storage_class: texts(rule, "classes"),
                    days_since_custom_time: number(rule, "custom_days"),
                    days_since_noncurrent_time: number(rule, "noncurrent_days"),
                    matches_prefix: texts(rule, "prefixes"),
                    matches_suffix: texts(rule, "suffixes"),
                }),
            }
        })
        .collect();
    let created = Some(item.created.into());
    Bucket {
        name: format!("projects/_/buckets/{}", item.id),
        id: item.id.clone(),
        etag: etag(item),
        project: format!("projects/{}", project_number(cloud, &item.account)),
        metageneration: 1,
        location,
        location_type: location_type.to_owned(),
        storage_class: item.text_or("class", "STANDARD"),
        rpo: item.text_or("rpo", if location_type == "region" { "" } else { "DEFAULT" }),
        lifecycle: (!rules.is_empty()).then_some(Lifecycle { rule: rules }),
        create_time: created.clone(),
        update_time: item.time("updated", cloud.now).map(Into::into).or(created.clone()),
        default_event_based_hold: item.flag("event_hold").unwrap_or(false),
        labels: item.tags.clone(),
        website: item.text("website").map(|page| Website { main_page_suffix: page.to_owned() }),
        versioning: flag("versioning"),
        logging: item.text("log_bucket").map(|bucket| Logging {
            log_bucket: format!("projects/_/buckets/{bucket}"),
            log_object_prefix: item.id.clone(),
        }),
        encryption: item.text("kms").map(|key| Encryption { default_kms_key: key.to_owned() }),
        billing: flag("requester_pays"),
        retention_policy: item.int("retention_days").map(|days| RetentionPolicy {
            effective_time: created.clone(),
            is_locked: item.flag("retention_locked").unwrap_or(false),
            retention_duration: Some(grpc::Duration { seconds: days.saturating_mul(86_400), nanos: 0 }),
        }),
        iam_config: Some(IamConfig {
            uniform_bucket_level_access: Some(Enabled { enabled: item.flag("uniform").unwrap_or(true) }),
            public_access_prevention: item.text_or("public_prevention", "inherited"),
        }),
        custom_placement_config: item
            .keys
            .contains_key("placement")
            .then(|| CustomPlacementConfig { data_locations: item.list("placement") }),
        autoclass: flag("autoclass"),
        soft_delete_policy: Some(SoftDeletePolicy {
            retention_duration: Some(grpc::Duration { seconds: retention(item), nanos: 0 }),
            effective_time: created,
        }),
        hierarchical_namespace: flag("hierarchical"),
        object_retention: flag("object_retention"),
    }
}

/// The bucket with only the fields of a mask; a bucket's own fields all if there is none.
fn masked(full: Bucket, mask: Option<&grpc::FieldMask>) -> Bucket {
    let Some(mask) = mask.filter(|mask| !mask.paths.is_empty() && !mask.paths.iter().any(|path| path == "*")) else {
        return full;
    };
    let mut part = Bucket::default();
    for path in &mask.paths {
        match path.split('.').next().unwrap_or_default() {
            "name" => part.name.clone_from(&full.name),
            "bucket_id" => part.id.clone_from(&full.id),
            "etag" => part.etag.clone_from(&full.etag),
            "project" => part.project.clone_from(&full.project),
            "metageneration" => part.metageneration = full.metageneration,
            "location" => part.location.clone_from(&full.location),
            "location_type" => part.location_type.clone_from(&full.location_type),
            "storage_class" => part.storage_class.clone_from(&full.storage_class),
            "rpo" => part.rpo.clone_from(&full.rpo),
            "lifecycle" => part.lifecycle.clone_from(&full.lifecycle),
            "create_time" => part.create_time.clone_from(&full.create_time),
            "update_time" => part.update_time.clone_from(&full.update_time),
            "default_event_based_hold" => part.default_event_based_hold = full.default_event_based_hold,
            "labels" => part.labels.clone_from(&full.labels),
            "website" => part.website.clone_from(&full.website),
            "versioning" => part.versioning.clone_from(&full.versioning),
            "logging" => part.logging.clone_from(&full.logging),
            "encryption" => part.encryption.clone_from(&full.encryption),
            "billing" => part.billing.clone_from(&full.billing),
            "retention_policy" => part.retention_policy.clone_from(&full.retention_policy),
            "iam_config" => part.iam_config.clone_from(&full.iam_config),
            "custom_placement_config" => part.custom_placement_config.clone_from(&full.custom_placement_config),
            "autoclass" => part.autoclass.clone_from(&full.autoclass),
            "soft_delete_policy" => part.soft_delete_policy.clone_from(&full.soft_delete_policy),
            "hierarchical_namespace" => part.hierarchical_namespace.clone_from(&full.hierarchical_namespace),
            "object_retention" => part.object_retention.clone_from(&full.object_retention),
            _ => {}
        }
    }
    part
}

/// The buckets of the project that a call is about, by name, and the names of those that cannot be reached.
fn buckets<'a>(
    cloud: &'a Cloud,
    req: &Req,
    prefix: &str,
    partial: bool,
) -> Result<(Vec<&'a Item>, Vec<String>), WireError> {
    let mut all = cloud.list_account(&req.account, BUCKET);
    all.retain(|item| item.id.starts_with(prefix));
    all.sort_by(|a, b| a.id.cmp(&b.id));
    let (lost, kept): (Vec<&Item>, Vec<&Item>) = all.into_iter().partition(|item| req.is_lost(&item.region));
    match lost.first() {
        Some(first) if !partial => Err(unreachable(&first.region)),
        _ => Ok((kept, lost.into_iter().map(|item| item.id.clone()).collect())),
    }
}

/// The page that a gRPC call asks for.
fn grpc_page<T: Clone>(
    cloud: &Cloud,
    req: &Req,
    items: &[T],
    size: i32,
    token: &str,
) -> Result<(Vec<T>, String), WireError> {
    let bad = |what: &str| WireError::new(400, "INVALID_ARGUMENT", what);
    let size = usize::try_from(size).map_err(|_| bad("The page size is negative."))?;
    let size = if size == 0 { PAGE } else { size.min(PAGE) };
    let first = req.first_page();
    let (part, next) =
        cloud.page(items, Some(size), Some(if first { "" } else { token })).map_err(|_| bad("Invalid page token."))?;
    Ok((part, if first { super::REPEATED.to_owned() } else { next.unwrap_or_default() }))
}

fn list_buckets(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let asked: ListBucketsRequest = grpc::request(req)?;
    let (all, lost) = buckets(cloud, req, &asked.prefix, asked.return_partial_success)?;
    let (part, next) = grpc_page(cloud, req, &all, asked.page_size, &asked.page_token)?;
    Ok(grpc::answer(&ListBucketsResponse {
        buckets: part.into_iter().map(|item| masked(bucket(cloud, item), asked.read_mask.as_ref())).collect(),
        next_page_token: next,
        unreachable: lost.into_iter().map(|name| format!("projects/_/buckets/{name}")).collect(),
    }))
}

fn named<'a>(cloud: &'a Cloud, req: &Req, name: &str) -> Result<&'a Item, WireError> {
    let item = cloud.with_id(BUCKET, name.rsplit('/').next().unwrap_or_default()).next();
    let item = item.ok_or_else(|| no_bucket(name))?;
    if req.is_lost(&item.region) { Err(unreachable(&item.region)) } else { Ok(item) }
}

fn get_bucket(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let asked: GetBucketRequest = grpc::request(req)?;
    let item = named(cloud, req, &asked.name)?;
    Ok(grpc::answer(&masked(bucket(cloud, item), asked.read_mask.as_ref())))
}

/// One object of a bucket: its name, its size, and whether it is an old version.
#[derive(Clone)]
struct Entry {
    name: String,
    size: i64,
    old: bool,
}

fn entries(item: &Item, prefix: &str, versions: bool, deleted: bool) -> Result<Vec<Entry>, WireError> {
    let count = |key: &str| item.int(key).unwrap_or(0).clamp(0, 1_000_000);
    let (live, old) = (count("objects"), count("noncurrent"));
    let gone = item.list(GONE);
    let size = item.int("bytes").unwrap_or(0) / (live + old).max(1);
    let named = |number: i64, old: bool| Entry { name: format!("object-{number:07}"), size, old };
    if deleted && retention(item) == 0 {
        return Err(WireError::new(400, "INVALID_ARGUMENT", "The bucket does not have a soft delete policy."));
    }
    if deleted {
        let all = (0..count("deleted")).map(|number| named(number, true));
        let all = all.chain(gone.into_iter().map(|name| Entry { name, size, old: false }));
        return Ok(all.filter(|entry| entry.name.starts_with(prefix)).collect());
    }
    let all = (0..live)
        .map(|number| named(number, false))
        .filter(|entry| !gone.contains(&entry.name))
        .chain((0..old).filter(|_| versions).map(|number| named(number, true)))
        .filter(|entry| entry.name.starts_with(prefix))
        .collect();
    Ok(all)
}

/// The names of live objects that a client has deleted.
const GONE: &str = "gone";

/// The one live object, or deleted one, that a call is about.
fn the_object(item: &Item, req: &Req, deleted: bool) -> Result<String, WireError> {
    let name = req.label("object");
    let there = entries(item, name, false, deleted)?.into_iter().any(|entry| entry.name == name && !entry.old);
    if !there {
        let what = format!("No such object: {}/{name}", item.id);
        return Err(WireError::new(404, "NOT_FOUND", what));
    }
    Ok(name.to_owned())
}

fn kept_from(item: &Item, gone: Vec<String>, cloud: &Cloud) {
    cloud.change(item, move |item| {
        item.keys.insert(GONE.to_owned(), Value::from(gone));
    });
}

fn nothing() -> Reply {
    Reply::Raw { status: 204, content_type: String::new(), headers: Vec::new(), body: Vec::new() }
}

/// Deletes a live object, unless it is held, or too young for the bucket's retention policy. Every live one is of the
/// generation 2.
fn delete_object(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = named(cloud, req, req.label("bucket"))?;
    let name = the_object(item, req, false)?;
    let refused = |reason: &str, what: &str| Err(WireError::new(403, reason, what));
    if [req.param("generation"), req.param("ifGenerationMatch")]
        .into_iter()
        .flatten()
        .any(|generation| generation != "2")
    {
        let what = "At least one of the pre-conditions you specified did not hold.";
        return Err(WireError::new(412, "conditionNotMet", what));
    }
    if item.flag("versioning") == Some(true) && req.param("generation").is_none() {
        return Err(WireError::new(400, "INVALID_ARGUMENT", "The emulator makes no live object an old version."));
    }
    if item.flag("event_hold") == Some(true) {
        return refused(
            "forbidden",
            "Object is under active Event-Based hold and cannot be deleted, overwritten or archived until hold is removed.",
        );
    }
    let age = cloud.now.duration_since(item.created).as_secs();
    if item.int("retention_days").is_some_and(|days| age < days.saturating_mul(86_400)) {
        return refused(
            "retentionPolicyNotMet",
            "Object is subject to bucket's retention policy or object retention and cannot be deleted or overwritten.",
        );
    }
    let mut gone = item.list(GONE);
    gone.push(name);
    kept_from(item, gone, cloud);
    Ok(nothing())
}

/// Restores what was deleted, where the bucket keeps it.
fn restore_object(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = named(cloud, req, req.label("bucket"))?;
    if req.param("generation").is_none() {
        return Err(WireError::new(400, "INVALID_ARGUMENT", "Required parameter: generation"));
    }
    if req.denied(&req.account, "storage.objects.create") {
        return Err(super::denied(req, &item.id));
    }
    let name = the_object(item, req, true)?;
    kept_from(item, item.list(GONE).into_iter().filter(|gone| *gone != name).collect(), cloud);
    let all = entries(item, &name, false, true)?;
    let size = all.first().map_or(0, |entry| entry.size);
    Ok(Reply::Value(json!({
        "kind": "storage#object",
        "id": format!("{}/{name}/2", item.id),
        "name": name,
        "bucket": item.id,
        "generation": "2",
        "metageneration": "1",
        "storageClass": item.text_or("class", "STANDARD"),
        "size": size.to_string(),
    })))
}

/// Deletes a bucket in which nothing is left, of whatever version.
fn delete_bucket(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = named(cloud, req, req.label("bucket"))?;
    if !entries(item, "", true, false)?.is_empty() {
        return Err(WireError::new(409, "conflict", "The bucket you tried to delete is not empty."));
    }
    cloud.remove(item);
    Ok(nothing())
}

fn list_objects(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let asked: ListObjectsRequest = grpc::request(req)?;
    let item = named(cloud, req, &asked.parent)?;
    let all = entries(item, &asked.prefix, asked.versions, asked.soft_deleted)?;
    let (part, next) = grpc_page(cloud, req, &all, asked.page_size, &asked.page_token)?;
    let created: Option<grpc::Timestamp> = Some(item.created.into());
    Ok(grpc::answer(&ListObjectsResponse {
        objects: part
            .into_iter()
            .map(|entry| Object {
                name: entry.name,
                bucket: format!("projects/_/buckets/{}", item.id),
                generation: if entry.old { 1 } else { 2 },
                metageneration: 1,
                storage_class: item.text_or("class", "STANDARD"),
                size: entry.size,
                delete_time: created.clone().filter(|_| entry.old),
                create_time: created.clone(),
                update_time: created.clone(),
            })
            .collect(),
        next_page_token: next,
    }))
}

fn json_rule(rule: &Rule) -> Value {
    let texts = |texts: &[String]| (!texts.is_empty()).then(|| texts.to_vec());
    let (action, condition) = (rule.action.clone().unwrap_or_default(), rule.condition.clone().unwrap_or_default());
    json!({
        "action": {
            "type": action.kind,
            "storageClass": (!action.storage_class.is_empty()).then_some(action.storage_class),
        },
        "condition": {
            "age": condition.age_days,
            "isLive": condition.is_live,
            "numNewerVersions": condition.num_newer_versions,
            "matchesStorageClass": texts(&condition.matches_storage_class),
            "daysSinceCustomTime": condition.days_since_custom_time,
            "daysSinceNoncurrentTime": condition.days_since_noncurrent_time,
            "matchesPrefix": texts(&condition.matches_prefix),
            "matchesSuffix": texts(&condition.matches_suffix),
        },
    })
}

fn resource(cloud: &Cloud, item: &Item) -> Value {
    let bucket = bucket(cloud, item);
    let created = utc(item.created);
    let flag = |flag: &Option<Enabled>| flag.as_ref().map(|flag| json!({ "enabled": flag.enabled }));
    let rules: Vec<Value> = bucket.lifecycle.iter().flat_map(|lifecycle| &lifecycle.rule).map(json_rule).collect();
    finished(
        item,
        json!({
            "kind": "storage#bucket",
            "id": item.id,
            "selfLink": format!("https://www.googleapis.com/storage/v1/b/{}", item.id),
            "projectNumber": project_number(cloud, &item.account),
            "name": item.id,
            "timeCreated": created,
            "updated": item.time("updated", cloud.now).map_or_else(|| created.clone(), utc),
            "metageneration": "1",
            "generation": item.created.as_microsecond().to_string(),
            "etag": bucket.etag,
            "location": bucket.location,
            "locationType": bucket.location_type,
            "storageClass": bucket.storage_class,
            "rpo": (!bucket.rpo.is_empty()).then_some(bucket.rpo),
            "labels": bucket.labels,
            "lifecycle": { "rule": rules },
            "versioning": flag(&bucket.versioning),
            "autoclass": bucket.autoclass.map(|flag| json!({ "enabled": flag.enabled, "toggleTime": created })),
            "hierarchicalNamespace": flag(&bucket.hierarchical_namespace),
            "objectRetention": bucket.object_retention.filter(|flag| flag.enabled).map(|_| json!({ "mode": "Enabled" })),
            "billing": bucket.billing.map(|flag| json!({ "requesterPays": flag.enabled })),
            "defaultEventBasedHold": bucket.default_event_based_hold,
            "website": bucket.website.map(|website| json!({ "mainPageSuffix": website.main_page_suffix })),
            "logging": item.text("log_bucket").map(|bucket| json!({ "logBucket": bucket, "logObjectPrefix": item.id })),
            "encryption": bucket.encryption.map(|key| json!({ "defaultKmsKeyName": key.default_kms_key })),
            "retentionPolicy": item.int("retention_days").map(|days| json!({
                "effectiveTime": created,
                "isLocked": item.flag("retention_locked").unwrap_or(false),
                "retentionPeriod": days.saturating_mul(86_400).to_string(),
            })),
            "iamConfiguration": {
                "uniformBucketLevelAccess": { "enabled": item.flag("uniform").unwrap_or(true) },
                "bucketPolicyOnly": { "enabled": item.flag("uniform").unwrap_or(true) },
                "publicAccessPrevention": item.text_or("public_prevention", "inherited"),
            },
            "customPlacementConfig": { "dataLocations": item.list("placement") },
            "softDeletePolicy": { "retentionDurationSeconds": retention(item).to_string(), "effectiveTime": created },
        }),
    )
}

fn json_buckets(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let partial = req.yes("returnPartialSuccess");
    let (all, lost) = buckets(cloud, req, req.param("prefix").unwrap_or_default(), partial)?;
    let (part, next) = page(cloud, req, &all, "maxResults", PAGE)?;
    let items: Vec<Value> = part.into_iter().map(|item| resource(cloud, item)).collect();
    let lost: Vec<String> = lost.into_iter().map(|name| format!("projects/_/buckets/{name}")).collect();
    Ok(Reply::Value(lean(
        json!({ "kind": "storage#buckets", "items": items, "nextPageToken": next, "unreachable": lost }),
    )))
}

fn json_bucket(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    named(cloud, req, req.label("bucket")).map(|item| Reply::Value(resource(cloud, item)))
}

fn json_objects(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = named(cloud, req, req.label("bucket"))?;
    let versions = req.yes("versions");
    let all = entries(item, req.param("prefix").unwrap_or_default(), versions, req.yes("softDeleted"))?;
    let (part, next) = page(cloud, req, &all, "maxResults", PAGE)?;
    let created = utc(item.created);
    let items: Vec<Value> = part
        .into_iter()
        .map(|entry| {
            let generation = if entry.old { "1" } else { "2" };
            json!({
                "kind": "storage#object",
                "id": format!("{}/{}/{generation}", item.id, entry.name),
                "name": entry.name,
                "bucket": item.id,
                "generation": generation,
                "metageneration": "1",
                "storageClass": item.text_or("class", "STANDARD"),
                "size": entry.size.to_string(),
                "timeCreated": created,
                "updated": created,
                "timeDeleted": entry.old.then_some(&created),
            })
        })
        .collect();
    Ok(Reply::Value(lean(json!({ "kind": "storage#objects", "items": items, "nextPageToken": next }))))
}
