//! Artifact Registry v1: repositories of one location each, container images, packages with their versions and
//! tags, attachments, and who else may pull.

use serde_json::{Value, json};

use super::operations::{self, Change};
use super::shape::{finished, hash, int64, labels, lean, regions, utc, utc_key};
use super::{not_found, page, unreachable};
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::rest::{Req, Route};
use crate::services::{Kind, digest};

const SERVICE: &str = "artifactregistry";
const REPOSITORY: &str = "gcp.artifact-repository";
const IMAGE: &str = "gcp.artifact-image";
const VERSION: &str = "gcp.artifact-package-version";

/// The pages' largest size.
const PAGE: usize = 1000;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: REPOSITORY,
        keys: &[
            "format:text",
            "mode:text",
            "size:int",
            "cleanup:tables",
            "cleanup_dry_run:bool",
            "immutable_tags:bool",
            "upstreams:list",
            "readers:list",
            "kms:text",
            "updated:time",
            "description:text",
        ],
    },
    Kind {
        kind: IMAGE,
        keys: &[
            "repository:text",
            "image:text",
            "digest:text",
            "tags_list:list",
            "size:int",
            "media:text",
            "artifact_type:text",
            "children:list",
            "subject:text",
            "attached:bool",
            "uploaded:time",
            "updated:time",
            "built:time",
        ],
    },
    Kind {
        kind: VERSION,
        keys: &[
            "repository:text",
            "package:text",
            "version:text",
            "tags_list:list",
            "updated:time",
            "description:text",
        ],
    },
];

#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    Route { service: SERVICE, method: "GET", path: "/v1/projects/{project}/locations", action: "artifactregistry.projects.locations.list", permission: "artifactregistry.locations.list", handle: locations },
    Route { service: SERVICE, method: "GET", path: "/v1/projects/{project}/locations/{location}/repositories", action: "artifactregistry.projects.locations.repositories.list", permission: "artifactregistry.repositories.list", handle: repositories },
    Route { service: SERVICE, method: "GET", path: "/v1/projects/{project}/locations/{location}/repositories/{repository}", action: "artifactregistry.projects.locations.repositories.get", permission: "artifactregistry.repositories.get", handle: get_repository },
    Route { service: SERVICE, method: "GET", path: "/v1/projects/{project}/locations/{location}/repositories/{repository}:getIamPolicy", action: "artifactregistry.projects.locations.repositories.getIamPolicy", permission: "artifactregistry.repositories.getIamPolicy", handle: policy },
    Route { service: SERVICE, method: "GET", path: "/v1/projects/{project}/locations/{location}/repositories/{repository}/dockerImages", action: "artifactregistry.projects.locations.repositories.dockerImages.list", permission: "artifactregistry.dockerimages.list", handle: images },
    Route { service: SERVICE, method: "GET", path: "/v1/projects/{project}/locations/{location}/repositories/{repository}/dockerImages/{image*}", action: "artifactregistry.projects.locations.repositories.dockerImages.get", permission: "artifactregistry.dockerimages.get", handle: get_image },
    Route { service: SERVICE, method: "GET", path: "/v1/projects/{project}/locations/{location}/repositories/{repository}/attachments", action: "artifactregistry.projects.locations.repositories.attachments.list", permission: "artifactregistry.attachments.list", handle: attachments },
    Route { service: SERVICE, method: "GET", path: "/v1/projects/{project}/locations/{location}/repositories/{repository}/packages", action: "artifactregistry.projects.locations.repositories.packages.list", permission: "artifactregistry.packages.list", handle: packages },
    Route { service: SERVICE, method: "GET", path: "/v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package*}/versions", action: "artifactregistry.projects.locations.repositories.packages.versions.list", permission: "artifactregistry.versions.list", handle: versions },
    Route { service: SERVICE, method: "GET", path: "/v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}/versions/{version*}", action: "artifactregistry.projects.locations.repositories.packages.versions.get", permission: "artifactregistry.versions.get", handle: get_version },
    Route { service: SERVICE, method: "GET", path: "/v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package*}/tags", action: "artifactregistry.projects.locations.repositories.packages.tags.list", permission: "artifactregistry.tags.list", handle: tags },
    Route { service: SERVICE, method: "DELETE", path: "/v1/projects/{project}/locations/{location}/repositories/{repository}/packages/{package}/versions/{version*}", action: "artifactregistry.projects.locations.repositories.packages.versions.delete", permission: "artifactregistry.versions.delete", handle: delete_version },
    Route { service: SERVICE, method: "GET", path: "/v1/projects/{project}/locations/{location}/operations/{id}", action: "artifactregistry.projects.locations.operations.get", permission: "", handle: operations::get },
];

fn bad(what: &str) -> WireError {
    WireError::new(400, "INVALID_ARGUMENT", what)
}

fn list(cloud: &Cloud, req: &Req, name: &str, all: &[Value]) -> Result<Reply, WireError> {
    let (part, next) = page(cloud, req, all, "pageSize", PAGE)?;
    Ok(Reply::Value(lean(json!({ name: part, "nextPageToken": next }))))
}

fn locations(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let mut names = regions(cloud, &req.account);
    names.extend(["asia", "europe", "us"].map(str::to_owned));
    let all: Vec<Value> = names
        .iter()
        .map(|name| json!({ "name": format!("projects/{}/locations/{name}", req.account), "locationId": name }))
        .collect();
    list(cloud, req, "locations", &all)
}

/// The location that a call is about: it is not offered for all at once.
fn location(req: &Req) -> Result<&str, WireError> {
    let location = req.label("location");
    if location == "-" {
        return Err(bad("Request contains an invalid argument: the location."));
    }
    if req.is_lost(location) { Err(unreachable(location)) } else { Ok(location) }
}

fn in_location<'a>(cloud: &'a Cloud, req: &Req, kind: &str) -> Result<Vec<&'a Item>, WireError> {
    location(req).map(|location| cloud.list_in(&req.account, location, kind))
}

fn path(item: &Item) -> String {
    format!("projects/{}/locations/{}/repositories", item.account, item.region)
}

fn repository(cloud: &Cloud, item: &Item) -> Value {
    let policies: serde_json::Map<String, Value> = item
        .tables("cleanup")
        .into_iter()
        .enumerate()
        .map(|(at, rule)| {
            let text = |key: &str| rule.get(key).and_then(Value::as_str);
            let days = |key: &str| {
                rule.get(key).and_then(Value::as_i64).map(|days| format!("{}s", days.saturating_mul(86_400)))
            };
            let id = text("id").map_or_else(|| format!("policy-{at}"), str::to_owned);
            let most = rule.get("keep").and_then(Value::as_i64);
            let policy = json!({
                "id": id,
                "action": text("action").unwrap_or(if most.is_some() { "KEEP" } else { "DELETE" }),
                "condition": {
                    "tagState": text("tags"),
                    "olderThan": days("older_days"),
                    "newerThan": days("newer_days"),
                    "tagPrefixes": crate::cloud::texts(rule.get("tag_prefixes")),
                },
                "mostRecentVersions": { "keepCount": most },
            });
            (id, policy)
        })
        .collect();
    let upstreams: Vec<Value> = item
        .list("upstreams")
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let repository = if name.contains('/') { name.clone() } else { format!("{}/{name}", path(item)) };
            json!({ "id": format!("u{at}"), "repository": repository, "priority": 100 })
        })
        .collect();
    let format = item.text("format").unwrap_or("DOCKER");
    let mode = item.text("mode").unwrap_or(if upstreams.is_empty() { "STANDARD" } else { "VIRTUAL" });
    let created = utc(item.created);
    finished(
        item,
        json!({
            "name": format!("{}/{}", path(item), item.id),
            "format": format,
            "mode": format!("{}_REPOSITORY", mode.trim_end_matches("_REPOSITORY")),
            "description": item.text("description"),
            "labels": labels(item),
            "createTime": created,
            "updateTime": item.time("updated", cloud.now).map_or(created, utc),
            "sizeBytes": int64(item, "size"),
            "kmsKeyName": item.text("kms"),
            "cleanupPolicies": policies,
            "cleanupPolicyDryRun": item.flag("cleanup_dry_run"),
            "dockerConfig": { "immutableTags": item.flag("immutable_tags") },
            "virtualRepositoryConfig": { "upstreamPolicies": upstreams },
            "remoteRepositoryConfig": (mode == "REMOTE").then(|| json!({ "description": "upstream", "dockerRepository": (format == "DOCKER").then(|| json!({ "publicRepository": "DOCKER_HUB" })) })),
            "registryUri": format!("{}-{}.pkg.dev/{}/{}", item.region, format.to_ascii_lowercase(), item.account, item.id),
        }),
    )
}

fn repositories(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let all: Vec<Value> =
        in_location(cloud, req, REPOSITORY)?.into_iter().map(|item| repository(cloud, item)).collect();
    list(cloud, req, "repositories", &all)
}

/// The repository that a call is about. One of the file's images is enough to make it.
fn the_repository<'a>(cloud: &'a Cloud, req: &Req) -> Result<Option<&'a Item>, WireError> {
    let id = req.label("repository");
    let found = in_location(cloud, req, REPOSITORY)?.into_iter().find(|item| item.id == id);
    let implied = || {
        let holds = |kind: &str| cloud.list_in(&req.account, &req.region, kind).iter().any(|item| held_in(item) == id);
        holds(IMAGE) || holds(VERSION)
    };
    if found.is_none() && !implied() {
        return Err(not_found(&format!("projects/{}/locations/{}/repositories/{id}", req.account, req.region)));
    }
    Ok(found)
}

fn get_repository(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    match the_repository(cloud, req)? {
        Some(item) => Ok(Reply::Value(repository(cloud, item))),
        None => Err(not_found(req.label("repository"))),
    }
}

fn policy(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let readers = the_repository(cloud, req)?.map(|item| item.list("readers")).unwrap_or_default();
    let bindings: Vec<Value> = (!readers.is_empty())
        .then(|| json!({ "role": "roles/artifactregistry.reader", "members": readers }))
        .into_iter()
        .collect();
    Ok(Reply::Value(lean(json!({ "version": 1, "etag": "BwWWja0YfJA=", "bindings": bindings }))))
}

/// The name of the repository that an image or a version is in.
fn held_in(item: &Item) -> &str {
    item.text("repository").unwrap_or("repository")
}

/// The images of the repository that a call is about.
fn in_repository<'a>(cloud: &'a Cloud, req: &Req, kind: &str) -> Result<Vec<&'a Item>, WireError> {
    let id = req.label("repository");
    let mut all = in_location(cloud, req, kind)?;
    all.retain(|item| held_in(item) == id);
    Ok(all)
}

/// "team/web" of an image.
fn image_name(item: &Item) -> &str {
    item.text("image").unwrap_or(&item.id)
}

fn digest_of(item: &Item) -> String {
    digest(item.text("digest").unwrap_or(&item.id))
}

/// The digest that an id of the file, or a digest, means in the same project.
fn digest_named(cloud: &Cloud, item: &Item, text: &str) -> String {
    let there =
        cloud.with_id(IMAGE, text).find(|other| other.account == item.account && held_in(other) == held_in(item));
    there.map_or_else(|| digest(text), digest_of)
}

/// What a label of a path names: slashes in names are escaped, and some clients escape the escape.
fn named(req: &Req, label: &str) -> String {
    req.label(label).replace("%2F", "/").replace("%2f", "/").replace("%25", "%")
}

/// A name as a segment of a path.
fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

fn media_type(item: &Item) -> String {
    let index = !item.list("children").is_empty();
    match item.text("media").unwrap_or(if index { "index" } else { "image" }) {
        "index" => "application/vnd.oci.image.index.v1+json",
        "list" => "application/vnd.docker.distribution.manifest.list.v2+json",
        "image" => "application/vnd.docker.distribution.manifest.v2+json",
        "oci" | "artifact" => "application/vnd.oci.image.manifest.v1+json",
        other => other,
    }
    .to_owned()
}

fn artifact_type(item: &Item) -> Option<String> {
    let own = item.text("artifact_type").map(str::to_owned);
    own.or_else(|| {
        (item.text("media") == Some("artifact")).then(|| "application/vnd.dev.cosign.artifact.sig.v1+json".to_owned())
    })
}

fn image(cloud: &Cloud, item: &Item) -> Value {
    let (name, digest) = (image_name(item), digest_of(item));
    let manifests: Vec<Value> = item
        .list("children")
        .iter()
        .enumerate()
        .map(|(at, child)| {
            json!({
                "digest": digest_named(cloud, item, child),
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "architecture": if at == 0 { "amd64" } else { "arm64" },
                "os": "linux",
            })
        })
        .collect();
    let uploaded = item.time("uploaded", cloud.now).unwrap_or(item.created);
    finished(
        item,
        json!({
            "name": format!("{}/{}/dockerImages/{}@{digest}", path(item), held_in(item), escaped(name)),
            "uri": format!("{}-docker.pkg.dev/{}/{}/{name}@{digest}", item.region, item.account, held_in(item)),
            "tags": item.list("tags_list"),
            "imageSizeBytes": int64(item, "size"),
            "mediaType": media_type(item),
            "artifactType": artifact_type(item),
            "imageManifests": manifests,
            "uploadTime": utc(uploaded),
            "updateTime": item.time("updated", cloud.now).map_or_else(|| utc(uploaded), utc),
            "buildTime": utc_key(cloud, item, "built"),
        }),
    )
}

fn images(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let held = the_repository(cloud, req)?;
    if held.is_some_and(|item| item.text("format").is_some_and(|format| format != "DOCKER")) {
        return Err(WireError::new(400, "FAILED_PRECONDITION", "The repository is not a Docker repository."));
    }
    let all: Vec<Value> = in_repository(cloud, req, IMAGE)?.into_iter().map(|item| image(cloud, item)).collect();
    list(cloud, req, "dockerImages", &all)
}

fn get_image(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let id = named(req, "image");
    let item = in_repository(cloud, req, IMAGE)?
        .into_iter()
        .find(|item| format!("{}@{}", image_name(item), digest_of(item)) == id)
        .ok_or_else(|| not_found(&id))?;
    operations::watched(cloud, item);
    Ok(Reply::Value(image(cloud, item)))
}

/// What is attached to images: signatures, SBOMs. The key `attached` turns one's entry off.
fn attachments(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    the_repository(cloud, req)?;
    let all: Vec<Value> = in_repository(cloud, req, IMAGE)?
        .into_iter()
        .filter(|item| item.flag("attached") != Some(false))
        .filter_map(|item| item.text("subject").map(|subject| (item, subject)))
        .map(|(item, subject)| {
            let versions = format!("{}/{}/packages/{}/versions", path(item), held_in(item), escaped(image_name(item)));
            lean(json!({
                "name": format!("{}/{}/attachments/{:016x}", path(item), held_in(item), hash(&[&item.id])),
                "target": format!("{versions}/{}", digest_named(cloud, item, subject)),
                "type": artifact_type(item).unwrap_or_else(|| media_type(item)),
                "ociVersionName": format!("{versions}/{}", digest_of(item)),
                "createTime": utc(item.created),
                "updateTime": utc(item.created),
            }))
        })
        .collect();
    list(cloud, req, "attachments", &all)
}

/// The package that an item is a version of.
fn package_name(item: &Item) -> &str {
    if item.kind == IMAGE { image_name(item) } else { item.text("package").unwrap_or("package") }
}

fn version_name(item: &Item) -> String {
    if item.kind == IMAGE { digest_of(item) } else { item.text_or("version", &item.id) }
}

fn versions_of<'a>(cloud: &'a Cloud, req: &Req) -> Result<Vec<&'a Item>, WireError> {
    the_repository(cloud, req)?;
    let mut all = in_repository(cloud, req, VERSION)?;
    all.extend(in_repository(cloud, req, IMAGE)?);
    Ok(all)
}

fn package_path(item: &Item) -> String {
    format!("{}/{}/packages/{}", path(item), held_in(item), escaped(package_name(item)))
}

fn packages(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let mut all: Vec<Value> = Vec::new();
    for item in versions_of(cloud, req)? {
        let name = package_path(item);
        if !all.iter().any(|known| known["name"] == *name) {
            all.push(json!({
                "name": name,
                "displayName": package_name(item),
                "createTime": utc(item.created),
                "updateTime": utc(item.created),
            }));
        }
    }
    list(cloud, req, "packages", &all)
}

fn tag(item: &Item, name: &str) -> Value {
    let package = package_path(item);
    json!({ "name": format!("{package}/tags/{name}"), "version": format!("{package}/versions/{}", escaped(&version_name(item))) })
}

fn version(cloud: &Cloud, item: &Item, full: bool) -> Value {
    let tags: Vec<Value> = item.list("tags_list").iter().map(|name| tag(item, name)).collect();
    let image = item.kind == IMAGE;
    let metadata = json!({
        "name": image.then(|| format!("{}/{}/dockerImages/{}@{}", path(item), held_in(item), escaped(image_name(item)), digest_of(item))),
        "imageSizeBytes": int64(item, "size"),
        "mediaType": image.then(|| media_type(item)),
        "artifactType": artifact_type(item),
        "subjectDigest": item.text("subject").map(|subject| digest_named(cloud, item, subject)),
    });
    finished(
        item,
        json!({
            "name": format!("{}/versions/{}", package_path(item), escaped(&version_name(item))),
            "description": item.text("description"),
            "createTime": utc(item.time("uploaded", cloud.now).unwrap_or(item.created)),
            "updateTime": item.time("updated", cloud.now).map_or_else(|| utc(item.created), utc),
            "relatedTags": full.then_some(tags),
            "metadata": (full && image).then_some(metadata),
        }),
    )
}

/// Whether the full view is asked for, by its name or by its number.
fn full(req: &Req) -> bool {
    matches!(req.param("view"), Some("FULL" | "2"))
}

fn versions(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let package = named(req, "package");
    let all: Vec<Value> = versions_of(cloud, req)?
        .into_iter()
        .filter(|item| package_name(item) == package)
        .map(|item| version(cloud, item, full(req)))
        .collect();
    if all.is_empty() {
        return Err(not_found(&package));
    }
    list(cloud, req, "versions", &all)
}

fn the_version<'a>(cloud: &'a Cloud, req: &Req) -> Result<&'a Item, WireError> {
    let (package, name) = (named(req, "package"), named(req, "version"));
    versions_of(cloud, req)?
        .into_iter()
        .find(|item| package_name(item) == package && version_name(item) == name)
        .ok_or_else(|| not_found(&name))
}

fn get_version(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = the_version(cloud, req)?;
    operations::watched(cloud, item);
    Ok(Reply::Value(version(cloud, item, full(req))))
}

/// Deletes a version: none that has a tag, unless that is to go as well, and none that an index lists, whatever is
/// asked for.
fn delete_version(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = the_version(cloud, req)?;
    let refused = |what: String| Err(WireError::new(400, "FAILED_PRECONDITION", what));
    if let Some(tag) = item.list("tags_list").first()
        && !req.yes("force")
    {
        return refused(format!("Version {} is still referenced by tag {tag}.", version_name(item)));
    }
    let own = (held_in(item), digest_of(item));
    let lists = |other: &&Item| {
        held_in(other) == own.0 && other.list("children").iter().any(|child| digest_named(cloud, other, child) == own.1)
    };
    if item.kind == IMAGE
        && let Some(index) = cloud.list_in(&item.account, &item.region, IMAGE).into_iter().find(lists)
    {
        return refused(format!("Manifest {} is referenced by image {}", own.1, digest_of(index)));
    }
    let link = format!("{}/versions/{}", package_path(item), escaped(&version_name(item)));
    let operation = operations::begin(cloud, req, Change::deletion(item, link));
    Ok(Reply::Value(operations::long_running(&operation, false)))
}

fn tags(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let package = named(req, "package");
    let all: Vec<Value> = versions_of(cloud, req)?
        .into_iter()
        .filter(|item| package_name(item) == package)
        .flat_map(|item| item.list("tags_list").into_iter().map(move |name| tag(item, &name)))
        .collect();
    list(cloud, req, "tags", &all)
}
