//! Container registries: the resources, and the API of each registry.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `azure.acr-registry` | `sku` | `Standard` | |
//! | | `anonymous` | false | anybody may pull |
//! | | `soft_delete` | off | days that a deleted manifest is kept |
//! | `azure.acr-manifest` | id | | any name; a digest when it starts with `sha256:` |
//! | | `registry` | | the registry's name |
//! | | `repository` | | the repository's name |
//! | | `digest` | from the id | the manifest's digest |
//! | | `tags_list` | none | its tags |
//! | | `size` | 50 MB; none for an index | bytes |
//! | | `media` | `docker` | `docker`, `image` (OCI), `index` (OCI), `docker-index`, `artifact` |
//! | | `children` | none | an index's manifests: digests, or ids of `azure.acr-manifest` |
//! | | `subject` | none | the manifest this one refers to (a signature, an SBOM): digest or id |
//! | | `updated` | `created` | `lastUpdateTime` |
//! | | `locked` | false | `deleteEnabled` is false |
//! | | `deleted` | none | when it was deleted; it is kept, and only among the deleted ones |
//!
//! A manifest's native id is `<login server>/<repository>@<digest>`. A registry is at `<name>.azurecr.io` or below
//! `/_acr/<name>`. Of tokens it is looked at whether they are for the scope of the call. Digests are planted: they are
//! not those of the manifests' bytes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::arm::{self, Type, listed, stamp};
use super::missing;
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::request::form;
use crate::rest::{Req, Route};
use crate::services::{Kind, digest};

#[rustfmt::skip]
pub(super) const KINDS: &[Kind] = &[
    Kind { kind: "azure.acr-registry", keys: &["sku:text", "anonymous:bool", "soft_delete:int"] },
    Kind { kind: "azure.acr-manifest", keys: &[
        "registry:text", "repository:text", "digest:text", "tags_list:list", "size:int", "media:text",
        "children:list", "subject:text", "updated:time", "locked:bool",
        "deleted:time",
    ] },
];

pub(super) const LINKS: &[(&str, &str)] = &[("azure.acr-manifest", "registry")];

static REGISTRY: Type = Type::top("azure.acr-registry", "Microsoft.ContainerRegistry/registries", registry);

pub(super) static TYPES: &[&Type] = &[&REGISTRY];

const PULL: &str = "Microsoft.ContainerRegistry/registries/pull/read";

const fn acr(
    method: &'static str,
    path: &'static str,
    action: &'static str,
    permission: &'static str,
    handle: fn(&Cloud, &Req) -> Result<Reply, WireError>,
) -> Route {
    Route { service: "acr", method, path, action, permission, handle }
}

#[rustfmt::skip]
pub(super) const ROUTES: &[&[Route]] = &[
    listed!(REGISTRY, "Microsoft.ContainerRegistry", "registries", "Registries", "List", "ListByResourceGroup"),
    &[
        // Everybody known to the tenant may enter; what they may do there the next token says.
        acr("POST", "/_acr/{registry}/oauth2/exchange", "Authentication_ExchangeAadAccessTokenForAcrRefreshToken", "", exchange),
        acr("POST", "/_acr/{registry}/oauth2/token", "Authentication_ExchangeAcrRefreshTokenForAcrAccessToken", PULL, token),
        acr("GET", "/_acr/{registry}/acr/v1/_catalog", "ContainerRegistry_GetRepositories", PULL, catalog),
        acr("GET", "/_acr/{registry}/acr/v1/_deleted/{repository*}/_manifests", "ContainerRegistry_GetDeletedManifests", "Microsoft.ContainerRegistry/registries/deleted/read", deleted),
        acr("POST", "/_acr/{registry}/acr/v1/_deleted/{repository*}/_manifests/{digest}", "ContainerRegistry_RestoreManifest", "Microsoft.ContainerRegistry/registries/deleted/restore/action", restore),
        acr("DELETE", "/_acr/{registry}/v2/{repository*}/manifests/{digest}", "ContainerRegistry_DeleteManifest", "Microsoft.ContainerRegistry/registries/artifacts/delete", delete),
        acr("GET", "/_acr/{registry}/acr/v1/{repository*}/_tags", "ContainerRegistry_GetTags", PULL, tags),
        acr("GET", "/_acr/{registry}/acr/v1/{repository*}/_manifests", "ContainerRegistry_GetManifests", PULL, manifests),
        acr("GET", "/_acr/{registry}/acr/v1/{repository*}/_manifests/{digest}", "ContainerRegistry_GetManifestProperties", PULL, attributes),
        acr("GET", "/_acr/{registry}/acr/v1/{repository*}", "ContainerRegistry_GetProperties", PULL, repository),
        acr("GET", "/_acr/{registry}/v2/{repository*}/referrers/{digest}", "ContainerRegistry_GetReferrers", PULL, referrers),
        acr("GET", "/_acr/{registry}/v2/{repository*}/manifests/{digest}", "ContainerRegistry_GetManifest", PULL, manifest),
    ],
];

fn login_server(name: &str) -> String {
    format!("{}.azurecr.io", name.to_ascii_lowercase())
}

fn registry(_: &Cloud, item: &Item) -> Value {
    let sku = item.text_or("sku", "Standard");
    json!({
        "sku": { "name": sku, "tier": sku },
        "properties": {
            "loginServer": login_server(&item.id),
            "creationDate": arm::zulu(item.created),
            "provisioningState": "Succeeded",
            "adminUserEnabled": false,
            "anonymousPullEnabled": item.flag("anonymous").unwrap_or(false),
            "publicNetworkAccess": "Enabled",
            "zoneRedundancy": "Disabled",
            "policies": {
                "retentionPolicy": { "days": 7, "status": "disabled" },
                "softDeletePolicy": {
                    "retentionDays": item.int("soft_delete").unwrap_or(7),
                    "status": if item.int("soft_delete").is_some() { "enabled" } else { "disabled" },
                },
            },
        },
    })
}

/// What a manifest is called in a report.
pub(super) fn manifest_id(name: &str, text: impl Fn(&str) -> Option<String>) -> String {
    let get = |key: &str| text(key).unwrap_or_default();
    let digest = digest(&text("digest").unwrap_or_else(|| name.to_owned()));
    format!("{}/{}@{digest}", login_server(&get("registry")), get("repository"))
}

/// The registry of a call.
pub(super) fn find<'a>(cloud: &'a Cloud, req: &Req) -> Result<&'a Item, WireError> {
    let wanted = req.label("registry");
    let all = cloud.org().of(crate::org::Vendor::Azure);
    all.flat_map(|account| cloud.list_account(&account.id, "azure.acr-registry"))
        .find(|item| item.id.eq_ignore_ascii_case(wanted))
        .ok_or_else(|| missing(req))
}

/// The manifests of a registry, by repository and digest.
fn contents<'a>(cloud: &'a Cloud, item: &Item) -> BTreeMap<&'a str, BTreeMap<String, &'a Item>> {
    kept(cloud, item, false)
}

/// Those that were deleted and are kept, or the others.
fn kept<'a>(cloud: &'a Cloud, item: &Item, deleted: bool) -> BTreeMap<&'a str, BTreeMap<String, &'a Item>> {
    let mut all: BTreeMap<&str, BTreeMap<String, &Item>> = BTreeMap::new();
    for one in cloud.referring("azure.acr-manifest", "registry", &item.id) {
        if one.account == item.account
            && one.keys.contains_key("deleted") == deleted
            && let Some(repository) = one.text("repository")
        {
            all.entry(repository).or_default().insert(digest_of(one), one);
        }
    }
    all
}

fn digest_of(item: &Item) -> String {
    digest(item.text("digest").unwrap_or(&item.id))
}

/// The manifest that one names by digest or id, in its own repository.
fn named(siblings: &BTreeMap<String, &Item>, named: &str) -> String {
    let by_id = siblings.iter().find(|(_, one)| one.id == named).map(|(digest, _)| digest.clone());
    by_id.unwrap_or_else(|| digest(named))
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..=chunk.len() {
            let index = (bits >> (18 - 6 * at)) & 63;
            encoded.push(LETTERS[index as usize] as char);
        }
    }
    encoded
}

/// A token in three parts that says until when and what for.
fn signed(cloud: &Cloud, host: &str, what: &str) -> String {
    let end = jiff::Timestamp::now().max(cloud.now).as_second() + 10_800;
    let claims = json!({ "aud": host, "exp": end, "iss": "Azure Container Registry" }).to_string();
    format!("{}.{}.{}", base64("{\"alg\":\"none\",\"typ\":\"JWT\"}"), base64(&claims), hex(what))
}

/// What a token of ours is for.
fn purpose(token: &str) -> Option<String> {
    let part = token.split('.').nth(2)?;
    let bytes: Option<Vec<u8>> = (0..part.len())
        .step_by(2)
        .map(|at| part.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    String::from_utf8(bytes?).ok()
}

/// The error of a call without the token that it takes.
pub(super) fn unauthorised(req: &Req) -> WireError {
    let scope = match req.label("repository") {
        "" => "registry:catalog:*".to_owned(),
        name if ["ContainerRegistry_GetManifest", "ContainerRegistry_GetReferrers"].contains(&req.action) => {
            format!("repository:{name}:pull")
        }
        name if req.action == "ContainerRegistry_DeleteManifest" => format!("repository:{name}:delete"),
        name if req.action == "ContainerRegistry_GetDeletedManifests" => format!("repository:{name}:deleted_read"),
        name if req.action == "ContainerRegistry_RestoreManifest" => format!("repository:{name}:deleted_restore"),
        name => format!("repository:{name}:metadata_read"),
    };
    let host = login_server(req.label("registry"));
    // A client that asks on loopback is to get its tokens there.
    let at = if req.host == host {
        format!("https://{host}")
    } else {
        format!("{}/_acr/{}", req.origin, req.label("registry"))
    };
    WireError::new(
        401,
        "UNAUTHORIZED",
        "authentication required, visit https://aka.ms/acr/authorization for more information.",
    )
    .with("WWW-Authenticate", format!("Bearer realm=\"{at}/oauth2/token\",service=\"{host}\",scope=\"{scope}\""))
}

fn fields(req: &Req) -> BTreeMap<String, String> {
    form(&req.body)
}

fn exchange(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let host = login_server(&find(cloud, req)?.id);
    let fields = fields(req);
    let is = |name: &str, value: &str| fields.get(name).is_some_and(|given| given == value);
    if !is("grant_type", "access_token")
        || fields.get("access_token").is_none_or(String::is_empty)
        || !is("service", &host)
    {
        return Err(WireError::new(400, "BAD_REQUEST", "grant_type, service and access_token are required."));
    }
    Ok(Reply::Value(json!({ "refresh_token": signed(cloud, &host, &format!("refresh:{host}")) })))
}

fn token(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let host = login_server(&find(cloud, req)?.id);
    let fields = fields(req);
    let refresh = fields.get("refresh_token").and_then(|token| purpose(token));
    let scope = fields.get("scope").filter(|scope| !scope.is_empty());
    match (refresh, scope) {
        (Some(of), Some(scope)) if of == format!("refresh:{host}") => {
            Ok(Reply::Value(json!({ "access_token": signed(cloud, &host, &format!("{host} {scope}")) })))
        }
        _ => Err(unauthorised(req)),
    }
}

/// The registry of a call that has a token for what it asks.
fn entered<'a>(cloud: &'a Cloud, req: &Req, wanted: &[&str]) -> Result<&'a Item, WireError> {
    let item = find(cloud, req)?;
    let host = login_server(&item.id);
    let given = req.headers.get("authorization").and_then(|value| value.to_str().ok());
    let scope = given.and_then(|value| value.strip_prefix("Bearer ")).and_then(purpose);
    let repository = req.label("repository");
    let good = scope.as_deref().and_then(|scope| scope.strip_prefix(&format!("{host} "))).is_some_and(|scopes| {
        scopes.split(' ').any(|scope| {
            if repository.is_empty() {
                return scope == "registry:catalog:*";
            }
            let rights = scope.strip_prefix(&format!("repository:{repository}:")).unwrap_or_default();
            rights.split(',').any(|right| right == "*" || wanted.contains(&right))
        })
    });
    if good || item.flag("anonymous") == Some(true) && given.is_none() { Ok(item) } else { Err(unauthorised(req)) }
}

/// A page after the name `last`, at most `n`, with the link to the next one.
fn page<'a, T>(cloud: &Cloud, req: &Req, all: Vec<(String, &'a T)>) -> (Vec<&'a T>, Vec<(String, String)>) {
    let most = req.param("n").and_then(|n| n.parse::<usize>().ok()).unwrap_or(100).clamp(1, 1000);
    let most = cloud.page.map_or(most, |cap| most.min(cap));
    let last = req.param("last").unwrap_or_default();
    let rest: Vec<(String, &T)> = all.into_iter().filter(|(name, _)| last.is_empty() || name.as_str() > last).collect();
    let more = rest.len() > most;
    let shown: Vec<(String, &T)> = rest.into_iter().take(most).collect();
    let mut headers = Vec::new();
    if let Some((name, _)) = shown.last().filter(|_| more) {
        let path = req.path.strip_prefix(&format!("/_acr/{}", req.label("registry"))).unwrap_or(&req.path);
        let link = format!("<{path}?last={}&n={most}&orderby=>; rel=\"next\"", super::encoded(name));
        headers.push(("Link".to_owned(), link));
    }
    (shown.into_iter().map(|(_, item)| item).collect(), headers)
}

fn catalog(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = entered(cloud, req, &[])?;
    let names: Vec<String> = contents(cloud, item).into_keys().map(str::to_owned).collect();
    let (shown, headers) = page(cloud, req, names.iter().map(|name| (name.clone(), name)).collect());
    // A registry with nothing in it says null.
    let shown = if shown.is_empty() { Value::Null } else { json!(shown) };
    Ok(Reply::With { status: 200, headers, value: json!({ "repositories": shown }) })
}

type Siblings<'a> = BTreeMap<String, &'a Item>;

/// The manifests of the repository of a call.
fn repository_of<'a>(cloud: &'a Cloud, req: &Req, item: &Item) -> Result<Siblings<'a>, WireError> {
    contents(cloud, item)
        .remove(req.label("repository"))
        .ok_or_else(|| WireError::new(404, "NAME_UNKNOWN", "repository name not known to registry"))
}

fn changeable(item: &Item) -> Value {
    let open = item.flag("locked") != Some(true);
    json!({ "deleteEnabled": open, "writeEnabled": open, "readEnabled": true, "listEnabled": true })
}

fn media(item: &Item) -> (&'static str, Option<&'static str>) {
    match item.text("media") {
        Some("index") => ("application/vnd.oci.image.index.v1+json", None),
        Some("docker-index") => ("application/vnd.docker.distribution.manifest.list.v2+json", None),
        Some("image") => {
            ("application/vnd.oci.image.manifest.v1+json", Some("application/vnd.oci.image.config.v1+json"))
        }
        Some("artifact") => ("application/vnd.oci.image.manifest.v1+json", Some("application/vnd.oci.empty.v1+json")),
        _ => (
            "application/vnd.docker.distribution.manifest.v2+json",
            Some("application/vnd.docker.container.image.v1+json"),
        ),
    }
}

fn size(item: &Item) -> i64 {
    let index = matches!(item.text("media"), Some("index" | "docker-index"));
    item.int("size").unwrap_or(if index { 0 } else { 50_000_000 })
}

fn updated(cloud: &Cloud, item: &Item) -> String {
    stamp(item.time("updated", cloud.now).unwrap_or(item.created)).replace("+00:00", "Z")
}

fn show_manifest(cloud: &Cloud, digest: &str, item: &Item) -> Value {
    let (kind, config) = media(item);
    let mut shown = json!({
        "digest": digest,
        "imageSize": size(item),
        "createdTime": stamp(item.created).replace("+00:00", "Z"),
        "lastUpdateTime": updated(cloud, item),
        "mediaType": kind,
        "changeableAttributes": changeable(item),
    });
    if let Some(config) = config {
        shown["configMediaType"] = json!(config);
        shown["architecture"] = json!("amd64");
        shown["os"] = json!("linux");
    }
    let tags = item.list("tags_list");
    // An untagged manifest has no word about tags.
    if !tags.is_empty() {
        shown["tags"] = json!(tags);
    }
    shown
}

fn manifests(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = entered(cloud, req, &["metadata_read"])?;
    let all = repository_of(cloud, req, item)?;
    let (shown, headers) = page(cloud, req, all.iter().map(|(digest, one)| (digest.clone(), *one)).collect());
    let shown: Vec<Value> = shown.into_iter().map(|one| show_manifest(cloud, &digest_of(one), one)).collect();
    let value = json!({ "registry": login_server(&item.id), "imageName": req.label("repository"), "manifests": shown });
    Ok(Reply::With { status: 200, headers, value })
}

fn unknown_manifest(digest: &str) -> WireError {
    WireError::new(
        404,
        "MANIFEST_UNKNOWN",
        format!("manifest sha256:{} is not found", digest.trim_start_matches("sha256:")),
    )
}

/// The manifest of a call, named by digest or tag.
fn asked<'a>(req: &Req, siblings: &Siblings<'a>) -> Result<(String, &'a Item), WireError> {
    let wanted = req.label("digest");
    siblings
        .iter()
        .find(|(digest, one)| digest.as_str() == wanted || one.list("tags_list").iter().any(|tag| tag == wanted))
        .map(|(digest, one)| (digest.clone(), *one))
        .ok_or_else(|| unknown_manifest(wanted))
}

fn attributes(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = entered(cloud, req, &["metadata_read"])?;
    let siblings = repository_of(cloud, req, item)?;
    let (digest, one) = asked(req, &siblings)?;
    let mut shown = show_manifest(cloud, &digest, one);
    let children = one.list("children");
    if !children.is_empty() {
        shown["references"] = children
            .iter()
            .map(|child| json!({ "digest": named(&siblings, child), "architecture": "amd64", "os": "linux" }))
            .collect();
    }
    Ok(Reply::Value(
        json!({ "registry": login_server(&item.id), "imageName": req.label("repository"), "manifest": shown }),
    ))
}

fn tags(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = entered(cloud, req, &["metadata_read"])?;
    let siblings = repository_of(cloud, req, item)?;
    let mut all: BTreeMap<String, Value> = BTreeMap::new();
    for (digest, one) in &siblings {
        for tag in one.list("tags_list") {
            let shown = json!({
                "name": tag,
                "digest": digest,
                "createdTime": stamp(one.created).replace("+00:00", "Z"),
                "lastUpdateTime": updated(cloud, one),
                "signed": false,
                "changeableAttributes": changeable(one),
            });
            all.insert(tag, shown);
        }
    }
    let (shown, headers) = page(cloud, req, all.iter().map(|(name, shown)| (name.clone(), shown)).collect());
    let value = json!({ "registry": login_server(&item.id), "imageName": req.label("repository"), "tags": shown });
    Ok(Reply::With { status: 200, headers, value })
}

fn repository(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = entered(cloud, req, &["metadata_read"])?;
    let siblings = repository_of(cloud, req, item)?;
    let created = siblings.values().map(|one| one.created).min().unwrap_or(cloud.now);
    let tags: usize = siblings.values().map(|one| one.list("tags_list").len()).sum();
    Ok(Reply::Value(json!({
        "registry": login_server(&item.id),
        "imageName": req.label("repository"),
        "createdTime": arm::zulu(created),
        "lastUpdateTime": arm::zulu(created),
        "manifestCount": siblings.len(),
        "tagCount": tags,
        "changeableAttributes":
            { "deleteEnabled": true, "writeEnabled": true, "readEnabled": true, "listEnabled": true, "teleportEnabled": false },
    })))
}

fn manifest(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = entered(cloud, req, &["pull"])?;
    let siblings = repository_of(cloud, req, item)?;
    let (digest, one) = asked(req, &siblings)?;
    let (kind, config) = media(one);
    let accepted = req.headers.get_all("accept").iter().filter_map(|value| value.to_str().ok());
    let accepts = accepted.flat_map(|value| value.split(',')).any(|one| {
        let one = one.split(';').next().unwrap_or_default().trim();
        one == kind || one == "*/*"
    });
    if !accepts {
        return Err(WireError::new(
            404,
            "MANIFEST_UNKNOWN",
            format!("manifest found, but the accept header does not support {kind}"),
        ));
    }
    let descriptor = |digest: &str| {
        let found = siblings.get(digest);
        json!({
            "mediaType": found.map_or("application/vnd.docker.distribution.manifest.v2+json", |one| media(one).0),
            "digest": digest,
            "size": 528,
        })
    };
    let mut shown = json!({ "schemaVersion": 2, "mediaType": kind });
    if let Some(config) = config {
        shown["config"] = json!({ "mediaType": config, "digest": crate::services::digest(&format!("{digest}/config")), "size": 1469 });
        shown["layers"] = json!([{
            "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "digest": crate::services::digest(&format!("{digest}/layer")),
            "size": size(one),
        }]);
    } else {
        shown["manifests"] = one
            .list("children")
            .iter()
            .map(|child| {
                let mut shown = descriptor(&named(&siblings, child));
                shown["platform"] = json!({ "architecture": "amd64", "os": "linux" });
                shown
            })
            .collect();
    }
    if let Some(subject) = one.text("subject") {
        shown["subject"] = descriptor(&named(&siblings, subject));
    }
    Ok(Reply::Raw {
        status: 200,
        content_type: kind.to_owned(),
        headers: vec![("Docker-Content-Digest".to_owned(), digest)],
        body: shown.to_string().into_bytes(),
    })
}

/// What refers to a manifest, as an index.
fn referrers(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = entered(cloud, req, &["pull"])?;
    let siblings = repository_of(cloud, req, item)?;
    let (digest, _) = asked(req, &siblings)?;
    let refers = |one: &Item| one.text("subject").is_some_and(|subject| named(&siblings, subject) == digest);
    let found = siblings.iter().filter(|(_, one)| refers(one)).map(|(digest, one)| {
        json!({ "mediaType": media(one).0, "digest": digest, "size": 528, "artifactType": "application/vnd.example" })
    });
    let shown = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": found.collect::<Vec<_>>(),
    });
    Ok(Reply::Raw {
        status: 200,
        content_type: "application/vnd.oci.image.index.v1+json".to_owned(),
        headers: Vec::new(),
        body: shown.to_string().into_bytes(),
    })
}

/// Changes a manifest.
fn change(cloud: &Cloud, one: &Item, change: impl FnOnce(&mut Item) + Send + 'static) {
    let of = |item: &Item| {
        (item.text_or("registry", ""), item.text_or("repository", ""), item.id.clone(), item.account.clone())
    };
    let own = of(one);
    cloud.edit(move |items| {
        if let Some(item) = items.iter_mut().find(|item| item.kind == "azure.acr-manifest" && of(item) == own) {
            change(item);
        }
    });
}

/// Deletes a manifest, its tags with it, and whatever refers to it.
fn delete(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = entered(cloud, req, &["delete"])?;
    let siblings = repository_of(cloud, req, item)?;
    if !req.label("digest").starts_with("sha256:") {
        return Err(WireError::new(405, "UNSUPPORTED", "The operation is unsupported: a tag is no digest."));
    }
    let (digest, one) = asked(req, &siblings)?;
    if one.flag("locked") == Some(true) {
        return Err(WireError::new(
            405,
            "UNSUPPORTED",
            "The operation is disallowed on this registry, repository or image. View troubleshooting steps at https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation",
        ));
    }
    let mut gone = vec![digest];
    let mut at = 0;
    while at < gone.len() {
        let of = gone[at].clone();
        for (digest, other) in &siblings {
            if other.text("subject").is_some_and(|subject| named(&siblings, subject) == of) && !gone.contains(digest) {
                gone.push(digest.clone());
            }
        }
        at += 1;
    }
    let kept = item.int("soft_delete").is_some();
    let now = cloud.now.to_string();
    for one in gone.iter().filter_map(|digest| siblings.get(digest)) {
        if kept {
            let now = now.clone();
            change(cloud, one, move |item| drop(item.keys.insert("deleted".to_owned(), json!(now))));
        } else {
            let (own, repository) = (one.id.clone(), one.text_or("repository", ""));
            let (registry, account) = (one.text_or("registry", ""), one.account.clone());
            cloud.edit(move |items| {
                items.retain(|item| {
                    item.kind != "azure.acr-manifest"
                        || item.id != own
                        || item.account != account
                        || item.text("repository") != Some(&repository)
                        || item.text("registry") != Some(&registry)
                });
            });
        }
    }
    Ok(super::writes::empty(202))
}

fn deleted(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = entered(cloud, req, &["deleted_read"])?;
    let all = kept(cloud, item, true).remove(req.label("repository")).unwrap_or_default();
    let shown: Vec<Value> = all
        .into_iter()
        .map(|(digest, one)| {
            json!({ "digest": digest, "deletedAt": one.time("deleted", cloud.now).map(arm::zulu), "tags": one.list("tags_list") })
        })
        .collect();
    Ok(Reply::Value(
        json!({ "registry": login_server(&item.id), "imageName": req.label("repository"), "manifests": shown }),
    ))
}

/// Takes a deleted manifest back, under one tag: of its others nothing is known.
fn restore(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = entered(cloud, req, &["deleted_restore"])?;
    let all = kept(cloud, item, true).remove(req.label("repository")).unwrap_or_default();
    let Some(one) = all.get(req.label("digest")) else { return Err(unknown_manifest(req.label("digest"))) };
    let body = req.json().unwrap_or_default();
    let Some(tag) = body["tag"].as_str().filter(|tag| !tag.is_empty()).map(str::to_owned) else {
        return Err(WireError::new(400, "TAG_INVALID", "a deleted manifest is restored under a tag"));
    };
    let taken = contents(cloud, item)
        .remove(req.label("repository"))
        .is_some_and(|live| live.values().any(|other| other.list("tags_list").contains(&tag)));
    if taken && req.param("force") != Some("true") {
        return Err(WireError::new(409, "TAG_EXISTS", format!("the tag {tag} is that of another manifest")));
    }
    change(cloud, one, move |item| {
        item.keys.remove("deleted");
        item.keys.insert("tags_list".to_owned(), json!([tag]));
    });
    Ok(Reply::Value(json!({ "digest": req.label("digest") })))
}

/// An error of a registry.
pub(super) fn error(error: &WireError) -> Vec<u8> {
    json!({ "errors": [{ "code": error.code, "message": error.message, "detail": null }] }).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_say_what_they_are_for() {
        let cloud = Cloud::new(crate::Org::default(), jiff::Timestamp::UNIX_EPOCH, None);
        assert_eq!(purpose(&signed(&cloud, "h", "refresh:h é")).as_deref(), Some("refresh:h é"));
        for bad in ["", "a.b", "a.b.c", "a.b.é", "a.b.ff"] {
            assert_eq!(purpose(bad), None, "{bad}");
        }
        assert_eq!(["", "a", "ab", "abc"].map(base64), ["", "YQ", "YWI", "YWJj"]);
    }
}
