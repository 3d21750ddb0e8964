//! Elastic Container Registry: repositories, images and their manifests.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `aws.ecr-repository` | id | | the repository's name |
//! | | `tag_mutability` | `MUTABLE` | `MUTABLE` or `IMMUTABLE` |
//! | | `scan_on_push` | false | |
//! | | `policy` | none | the repository policy, as JSON text |
//! | | `policy_accounts` | none | accounts a generated policy lets pull |
//! | | `lifecycle_policy` | none | the lifecycle policy, as JSON text |
//! | `aws.ecr-image` | id | | any name; a digest when it starts with `sha256:` |
//! | | `repository` | | the repository's name |
//! | | `digest` | from the id | the manifest's digest |
//! | | `tags_list` | none | image tags (`tags` are AWS tags, which images do not have) |
//! | | `pushed` | `created` | when it was pushed |
//! | | `pulled` | none | `lastRecordedPullTime` |
//! | | `size` | 100 MB; none for an index | bytes |
//! | | `media` | `image` | `image`, `docker`, `index` or `docker-index` |
//! | | `children` | none | an index's images: digests, or ids of `aws.ecr-image` |
//! | | `subject` | none | the image this one refers to (a signature, an SBOM): digest or id |
//! | | `artifact` | the media's | `artifactMediaType` |
//! | | `status` | `ACTIVE` | `imageStatus` |

use serde_json::{Value, json};

use super::Kind;
use super::item::{Args, Item, answer, arn, digest, every, one, referring, refused, stamp, unserved};
use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;

const REPOSITORY: &str = "aws.ecr-repository";
const IMAGE: &str = "aws.ecr-image";
pub(crate) const KINDS: &[Kind] = &[
    Kind {
        kind: REPOSITORY,
        keys: &[
            "tag_mutability:text",
            "scan_on_push:bool",
            "policy:text",
            "policy_accounts:list",
            "lifecycle_policy:text",
        ],
    },
    Kind {
        kind: IMAGE,
        keys: &[
            "repository:text",
            "digest:text",
            "tags_list:list",
            "pushed:time",
            "pulled:time",
            "size:int",
            "media:text",
            "children:list",
            "subject:text",
            "artifact:text",
            "status:text",
        ],
    },
];

/// The code of a refused parameter.
const INVALID: &str = "InvalidParameterException";

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let args = Args::of(request);
    match request.action.as_str() {
        "DescribeRepositories" => describe_repositories(cloud, request, &args),
        "DescribeImages" => describe_images(cloud, request, &args),
        "ListImages" => list_images(cloud, request, &args),
        "BatchGetImage" => batch_get_image(cloud, request, &args),
        "BatchDeleteImage" => batch_delete_image(cloud, request, &args),
        "GetRepositoryPolicy" => {
            let repository = repository(cloud, request, &args)?;
            let text = policy(&repository).ok_or_else(|| {
                refused(
                    400,
                    "RepositoryPolicyNotFoundException",
                    format!(
                        "Repository policy does not exist for the repository with name '{}' in the registry with id '{}'",
                        repository.id, repository.account
                    ),
                )
            })?;
            answer(json!({
                "registryId": repository.account, "repositoryName": repository.id, "policyText": text,
            }))
        }
        "GetLifecyclePolicy" => {
            let repository = repository(cloud, request, &args)?;
            let text = repository.text("lifecycle_policy").ok_or_else(|| {
                refused(
                    400,
                    "LifecyclePolicyNotFoundException",
                    format!(
                        "Lifecycle policy does not exist for the repository with name '{}' in the registry with id '{}'",
                        repository.id, repository.account
                    ),
                )
            })?;
            answer(json!({
                "registryId": repository.account, "repositoryName": repository.id,
                "lifecyclePolicyText": text, "lastEvaluatedAt": stamp(super::item::seconds(cloud.now)),
            }))
        }
        "ListTagsForResource" => {
            let asked = args.text("resourceArn").unwrap_or_default();
            let repository = every(cloud, request, REPOSITORY)
                .into_iter()
                .find(|item| repository_arn(item) == asked)
                .ok_or_else(|| no_repository(asked.rsplit('/').next().unwrap_or(asked), request))?;
            answer(json!({ "tags": repository.tag_list("Key", "Value") }))
        }
        _ => unserved(request),
    }
}

fn repository_arn(item: &Item) -> String {
    arn("ecr", item.region, item.account, &format!("repository/{}", item.id))
}

fn no_repository(name: &str, request: &Request) -> WireError {
    refused(
        400,
        "RepositoryNotFoundException",
        format!("The repository with name '{name}' does not exist in the registry with id '{}'", request.account),
    )
}

/// The repository a request names, or the service's refusal.
fn repository<'a>(cloud: &'a Cloud, request: &Request, args: &Args) -> Result<Item<'a>, WireError> {
    let name = args
        .text("repositoryName")
        .ok_or_else(|| refused(400, "InvalidParameterException", "repositoryName is required"))?;
    let foreign = args.text("registryId").is_some_and(|id| id != request.account);
    one(cloud, request, REPOSITORY, name).filter(|_| !foreign).ok_or_else(|| no_repository(name, request))
}

fn policy(repository: &Item) -> Option<String> {
    if let Some(text) = repository.text("policy") {
        return Some(text.to_owned());
    }
    let accounts = repository.texts("policy_accounts");
    if accounts.is_empty() {
        return None;
    }
    let principals: Vec<String> = accounts.iter().map(|account| format!("arn:aws:iam::{account}:root")).collect();
    let document = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "pull",
            "Effect": "Allow",
            "Principal": { "AWS": principals },
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        }],
    });
    Some(document.to_string())
}

fn describe_repositories(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let mut items = every(cloud, request, REPOSITORY);
    let names = args.texts("repositoryNames");
    if let Some(missing) = names.iter().find(|name| !items.iter().any(|item| item.id == **name)) {
        return Err(no_repository(missing, request));
    }
    if !names.is_empty() {
        items.retain(|item| names.iter().any(|name| name == item.id));
    }
    let (items, token) =
        cloud.page(&items, Some(args.limit("maxResults", 1000, 100, INVALID)?), args.text("nextToken"))?;
    let repositories: Vec<Value> = items
        .iter()
        .map(|item| {
            json!({
                "repositoryArn": repository_arn(item),
                "registryId": item.account,
                "repositoryName": item.id,
                "repositoryUri": format!("{}.dkr.ecr.{}.amazonaws.com/{}", item.account, item.region, item.id),
                "createdAt": stamp(item.created),
                "imageTagMutability": item.text_or("tag_mutability", "MUTABLE"),
                "imageScanningConfiguration": { "scanOnPush": item.flag("scan_on_push") },
                "encryptionConfiguration": { "encryptionType": "AES256" },
            })
        })
        .collect();
    answer(json!({ "repositories": repositories, "nextToken": token }))
}

fn image_digest(item: &Item) -> String {
    match item.text("digest") {
        Some(text) => text.to_owned(),
        None => digest(item.id),
    }
}

/// The digest meant by a reference in the organisation file: itself, or that of the image with the id.
fn referred(images: &[Item], reference: &str) -> String {
    images.iter().find(|image| image.id == reference).map_or_else(|| digest(reference), image_digest)
}

fn media_type(item: &Item) -> &'static str {
    match item.text_or("media", "image") {
        "index" => "application/vnd.oci.image.index.v1+json",
        "docker-index" => "application/vnd.docker.distribution.manifest.list.v2+json",
        "docker" => "application/vnd.docker.distribution.manifest.v2+json",
        _ => "application/vnd.oci.image.manifest.v1+json",
    }
}

fn is_index(item: &Item) -> bool {
    matches!(item.text_or("media", "image"), "index" | "docker-index")
}

fn artifact_type(item: &Item) -> Option<String> {
    if let Some(text) = item.text("artifact") {
        return Some(text.to_owned());
    }
    match item.text_or("media", "image") {
        "index" | "docker-index" => None,
        "docker" => Some("application/vnd.docker.container.image.v1+json".to_owned()),
        _ => Some("application/vnd.oci.image.config.v1+json".to_owned()),
    }
}

fn size(item: &Item) -> Option<i64> {
    item.int("size").or_else(|| (!is_index(item)).then_some(100_000_000))
}

/// The images of one repository, in the order of the organisation file.
fn images<'a>(cloud: &'a Cloud, request: &Request, repository: &Item) -> Vec<Item<'a>> {
    referring(cloud, request, IMAGE, "repository", repository.id)
}

fn kept_by_filter(image: &Item, args: &Args) -> bool {
    let Some(filter) = args.get("filter") else { return true };
    let tagged = !image.texts("tags_list").is_empty();
    let by_tag = match filter.get("tagStatus").and_then(Value::as_str) {
        Some("TAGGED") => tagged,
        Some("UNTAGGED") => !tagged,
        _ => true,
    };
    let by_status = match filter.get("imageStatus").and_then(Value::as_str) {
        Some("ANY") | None => true,
        Some(status) => image.text_or("status", "ACTIVE") == status,
    };
    by_tag && by_status
}

/// Whether an `imageIds` entry means this image: by digest, by tag, or by both at once.
fn meant(image: &Item, id: &Value) -> bool {
    let by_digest = id.get("imageDigest").and_then(Value::as_str);
    let by_tag = id.get("imageTag").and_then(Value::as_str);
    (by_digest.is_some() || by_tag.is_some())
        && by_digest.is_none_or(|digest| image_digest(image) == digest)
        && by_tag.is_none_or(|tag| image.texts("tags_list").iter().any(|own| own == tag))
}

fn asked_ids(args: &Args) -> Result<Vec<Value>, WireError> {
    let ids = args.get("imageIds").and_then(Value::as_array).cloned().unwrap_or_default();
    if ids.len() > 100 {
        return Err(refused(
            400,
            "InvalidParameterException",
            "Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length less than or equal to 100'",
        ));
    }
    Ok(ids)
}

fn describe_images(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let repository = repository(cloud, request, args)?;
    let all = images(cloud, request, &repository);
    let ids = asked_ids(args)?;
    if !ids.is_empty() && (args.get("maxResults").is_some() || args.get("nextToken").is_some()) {
        return Err(refused(400, "InvalidParameterException", "imageIds cannot be used with maxResults or nextToken"));
    }
    if let Some(missing) = ids.iter().find(|id| !all.iter().any(|image| meant(image, id))) {
        return Err(refused(
            400,
            "ImageNotFoundException",
            format!(
                "The image with imageId {missing} does not exist within the repository with name '{}' in the registry with id '{}'",
                repository.id, repository.account
            ),
        ));
    }
    let chosen: Vec<&Item> = all
        .iter()
        .filter(|image| ids.is_empty() || ids.iter().any(|id| meant(image, id)))
        .filter(|image| kept_by_filter(image, args))
        .collect();
    let (chosen, token) = if ids.is_empty() {
        cloud.page(&chosen, Some(args.limit("maxResults", 1000, 100, INVALID)?), args.text("nextToken"))?
    } else {
        (chosen, None)
    };
    let details: Vec<Value> = chosen
        .iter()
        .map(|image| {
            let tags = image.texts("tags_list");
            json!({
                "registryId": image.account,
                "repositoryName": repository.id,
                "imageDigest": image_digest(image),
                "imageTags": (!tags.is_empty()).then_some(tags),
                "imageSizeInBytes": size(image),
                "imagePushedAt": stamp(image.moment("pushed").unwrap_or(image.created)),
                "imageManifestMediaType": media_type(image),
                "artifactMediaType": artifact_type(image),
                "lastRecordedPullTime": image.moment("pulled").map(stamp),
                "subjectManifestDigest": image.text("subject").map(|subject| referred(&all, subject)),
                "imageStatus": image.text_or("status", "ACTIVE"),
            })
        })
        .collect();
    answer(json!({ "imageDetails": details, "nextToken": token }))
}

fn list_images(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let repository = repository(cloud, request, args)?;
    let mut ids = Vec::new();
    for image in images(cloud, request, &repository) {
        if !kept_by_filter(&image, args) {
            continue;
        }
        let digest = image_digest(&image);
        let tags = image.texts("tags_list");
        if tags.is_empty() {
            ids.push(json!({ "imageDigest": digest }));
        }
        for tag in tags {
            ids.push(json!({ "imageDigest": digest, "imageTag": tag }));
        }
    }
    let (ids, token) = cloud.page(&ids, Some(args.limit("maxResults", 1000, 100, INVALID)?), args.text("nextToken"))?;
    answer(json!({ "imageIds": ids, "nextToken": token }))
}

fn manifest(image: &Item, all: &[Item]) -> String {
    let subject = image.text("subject").map(|subject| {
        let digest = referred(all, subject);
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": 1000,
        })
    });
    let mut document = json!({ "schemaVersion": 2, "mediaType": media_type(image) });
    if let Some(map) = document.as_object_mut() {
        if is_index(image) {
            let manifests: Vec<Value> = image
                .texts("children")
                .iter()
                .enumerate()
                .map(|(place, child)| {
                    let architecture = if place % 2 == 0 { "amd64" } else { "arm64" };
                    json!({
                        "mediaType": if image.text_or("media", "image") == "docker-index" {
                            "application/vnd.docker.distribution.manifest.v2+json"
                        } else {
                            "application/vnd.oci.image.manifest.v1+json"
                        },
                        "digest": referred(all, child),
                        "size": 1000,
                        "platform": { "architecture": architecture, "os": "linux" },
                    })
                })
                .collect();
            map.insert("manifests".to_owned(), Value::Array(manifests));
        } else {
            let config = artifact_type(image).unwrap_or_default();
            map.insert(
                "config".to_owned(),
                json!({ "mediaType": config, "digest": digest(&format!("config {}", image.id)), "size": 1500 }),
            );
            map.insert(
                "layers".to_owned(),
                json!([{
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "digest": digest(&format!("layer {}", image.id)),
                    "size": size(image).unwrap_or_default(),
                }]),
            );
        }
        if let Some(subject) = subject {
            map.insert("subject".to_owned(), subject);
        }
    }
    document.to_string()
}

fn batch_get_image(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let repository = repository(cloud, request, args)?;
    let all = images(cloud, request, &repository);
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for id in asked_ids(args)? {
        let by_tag = id.get("imageTag").and_then(Value::as_str);
        if id.get("imageDigest").is_none() && by_tag.is_none() {
            failures.push(json!({
                "imageId": id, "failureCode": "MissingDigestAndTag",
                "failureReason": "Invalid request parameters: both tag and digest cannot be null",
            }));
            continue;
        }
        match all.iter().find(|image| meant(image, &id)) {
            Some(image) => found.push(json!({
                "registryId": image.account,
                "repositoryName": repository.id,
                "imageId": { "imageDigest": image_digest(image), "imageTag": by_tag },
                "imageManifest": manifest(image, &all),
                "imageManifestMediaType": media_type(image),
            })),
            None => failures.push(json!({
                "imageId": id, "failureCode": "ImageNotFound",
                "failureReason": "Requested image not found",
            })),
        }
    }
    answer(json!({ "images": found, "failures": failures }))
}

/// By digest an image goes with all its tags, unless an index that is there lists it; by tag alone the tag goes, and
/// the image with its last one. What cannot be deleted is told in an answer that succeeds.
fn batch_delete_image(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let repository = repository(cloud, request, args)?;
    let all = images(cloud, request, &repository);
    let (mut deleted, mut failures) = (Vec::new(), Vec::new());
    for id in asked_ids(args)? {
        let mut fail = |code: &str, reason: &str| {
            failures.push(json!({ "imageId": id, "failureCode": code, "failureReason": reason }));
        };
        let by_tag = id.get("imageTag").and_then(Value::as_str);
        let by_digest = id.get("imageDigest").is_some();
        if !by_digest && by_tag.is_none() {
            fail("MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null");
            continue;
        }
        let Some(image) = all.iter().find(|image| meant(image, &id)) else {
            fail("ImageNotFound", "Requested image not found");
            continue;
        };
        let own = image_digest(image);
        let tags = image.texts("tags_list");
        let parent = all
            .iter()
            .find(|other| is_index(other) && other.texts("children").iter().any(|child| referred(&all, child) == own));
        match (by_tag, parent) {
            (Some(tag), _) if !by_digest && tags.len() > 1 => {
                let left: Vec<&String> = tags.iter().filter(|own| *own != tag).collect();
                let left = json!(left);
                cloud.change(image.stored(), move |item| drop(item.keys.insert("tags_list".to_owned(), left)));
                deleted.push(json!({ "imageDigest": own, "imageTag": tag }));
            }
            (_, Some(parent)) => {
                let why = format!("Requested image referenced by manifest list: [{}]", image_digest(parent));
                fail("ImageReferencedByManifestList", &why);
            }
            _ => {
                cloud.remove(image.stored());
                if tags.is_empty() {
                    deleted.push(json!({ "imageDigest": own }));
                }
                deleted.extend(tags.iter().map(|tag| json!({ "imageDigest": own, "imageTag": tag })));
            }
        }
    }
    answer(json!({ "imageIds": deleted, "failures": failures }))
}
