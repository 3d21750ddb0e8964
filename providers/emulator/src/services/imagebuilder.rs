//! EC2 Image Builder: recipes, pipelines and built images.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `aws.imagebuilder-recipe` | id | | `name` or `name/1.0.0` |
//! | | `parent` | an AWS image | the parent image: an AMI id or an ARN |
//! | | `block_snapshot` | none | a snapshot in its block device mappings |
//! | `aws.imagebuilder-pipeline` | id | | the pipeline's name |
//! | | `recipe` | none | the recipe's id as in this file, or its ARN |
//! | | `status` | `ENABLED` | or `DISABLED` |
//! | | `last_run` | none | |
//! | `aws.imagebuilder-image` | id | | `name/1.0.0/1`: name, version, build |
//! | | `amis` | none | the AMIs it put into this region |
//! | | `status` | `AVAILABLE` | |

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Kind;
use super::item::{Args, Item, answer, arn, every, iso, refused, unserved, uuid};
use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;

const RECIPE: &str = "aws.imagebuilder-recipe";
const PIPELINE: &str = "aws.imagebuilder-pipeline";
const IMAGE: &str = "aws.imagebuilder-image";

pub(crate) const KINDS: &[Kind] = &[
    Kind { kind: RECIPE, keys: &["parent:text", "block_snapshot:text"] },
    Kind { kind: PIPELINE, keys: &["recipe:text", "status:text", "last_run:time"] },
    Kind { kind: IMAGE, keys: &["amis:list", "status:text"] },
];

/// The code of a refused parameter.
const INVALID: &str = "InvalidRequestException";

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let args = Args::of(request);
    match request.action.as_str() {
        "ListImageRecipes" => {
            let mut items = every(cloud, request, RECIPE);
            match args.text("owner") {
                None | Some("Self") => {}
                // The recipes here are all the account's own.
                Some(_) => items.clear(),
            }
            list(cloud, request, &args, "imageRecipeSummaryList", &items, |item| {
                json!({
                    "arn": recipe_arn(item),
                    "name": parts(item.id).0,
                    "platform": "Linux",
                    "owner": item.account,
                    "parentImage": parent(item),
                    "dateCreated": iso(item.created),
                    "tags": item.tag_map(),
                })
            })
        }
        "GetImageRecipe" => get_recipe(cloud, request, &args),
        "ListImagePipelines" => {
            let items = every(cloud, request, PIPELINE);
            list(cloud, request, &args, "imagePipelineList", &items, |item| {
                let recipe = item.text("recipe").map(|recipe| {
                    if recipe.starts_with("arn:") {
                        recipe.to_owned()
                    } else {
                        recipe_named(item.region, item.account, recipe)
                    }
                });
                json!({
                    "arn": arn("imagebuilder", item.region, item.account, &format!("image-pipeline/{}", slug(item.id))),
                    "name": item.id,
                    "platform": "Linux",
                    "enhancedImageMetadataEnabled": true,
                    "imageRecipeArn": recipe,
                    "infrastructureConfigurationArn": arn("imagebuilder", item.region, item.account, "infrastructure-configuration/default"),
                    "status": item.text_or("status", "ENABLED"),
                    "dateCreated": iso(item.created),
                    "dateUpdated": iso(item.created),
                    "dateLastRun": item.moment("last_run").map(iso),
                    "tags": item.tag_map(),
                })
            })
        }
        "ListImages" => {
            // One entry a version, whatever the number of its builds.
            let mut versions: BTreeMap<String, Item> = BTreeMap::new();
            for item in every(cloud, request, IMAGE) {
                versions.entry(version_arn(&item)).or_insert(item);
            }
            let items: Vec<Item> = versions.into_values().collect();
            list(cloud, request, &args, "imageVersionList", &items, |item| {
                json!({
                    "arn": version_arn(item),
                    "name": parts(item.id).0,
                    "type": "AMI",
                    "version": parts(item.id).1,
                    "platform": "Linux",
                    "owner": item.account,
                    "dateCreated": iso(item.created),
                    "buildType": "USER_INITIATED",
                })
            })
        }
        "ListImageBuildVersions" => {
            let asked = args.text("imageVersionArn");
            let mut items = every(cloud, request, IMAGE);
            items.retain(|item| asked.is_none_or(|asked| asked == version_arn(item)));
            list(cloud, request, &args, "imageSummaryList", &items, |item| {
                json!({
                    "arn": build_arn(item),
                    "name": parts(item.id).0,
                    "type": "AMI",
                    "version": format!("{}/{}", parts(item.id).1, parts(item.id).2),
                    "platform": "Linux",
                    "state": { "status": item.text_or("status", "AVAILABLE") },
                    "owner": item.account,
                    "dateCreated": iso(item.created),
                    "outputResources": { "amis": amis(item) },
                    "tags": item.tag_map(),
                    "buildType": "USER_INITIATED",
                })
            })
        }
        "GetImage" => {
            let asked = args.text("imageBuildVersionArn").unwrap_or_default();
            let item = every(cloud, request, IMAGE)
                .into_iter()
                .find(|item| build_arn(item) == asked)
                .ok_or_else(|| not_found(asked))?;
            answer(json!({
                "requestId": uuid(asked),
                "image": {
                    "arn": build_arn(&item),
                    "type": "AMI",
                    "name": parts(item.id).0,
                    "version": format!("{}/{}", parts(item.id).1, parts(item.id).2),
                    "platform": "Linux",
                    "state": { "status": item.text_or("status", "AVAILABLE") },
                    "dateCreated": iso(item.created),
                    "outputResources": { "amis": amis(&item) },
                    "tags": item.tag_map(),
                },
            }))
        }
        _ => unserved(request),
    }
}

/// The service's way of saying that an ARN names nothing.
fn not_found(asked: &str) -> WireError {
    refused(404, "ResourceNotFoundException", format!("The resource ARN '{asked}' does not exist."))
}

/// A name as it goes into an ARN.
fn slug(name: &str) -> String {
    name.to_lowercase().replace([' ', '_'], "-")
}

/// Name, version and build of `name/version/build`.
fn parts(id: &str) -> (&str, &str, &str) {
    let mut parts = id.splitn(3, '/');
    let name = parts.next().unwrap_or(id);
    (name, parts.next().unwrap_or("1.0.0"), parts.next().unwrap_or("1"))
}

fn recipe_named(region: &str, account: &str, id: &str) -> String {
    let (name, version, _) = parts(id);
    arn("imagebuilder", region, account, &format!("image-recipe/{}/{version}", slug(name)))
}

fn recipe_arn(item: &Item) -> String {
    recipe_named(item.region, item.account, item.id)
}

fn parent(item: &Item) -> String {
    item.text("parent").map_or_else(
        || format!("arn:aws:imagebuilder:{}:aws:image/amazon-linux-2023-x86/x.x.x", item.region),
        str::to_owned,
    )
}

fn version_arn(item: &Item) -> String {
    let (name, version, _) = parts(item.id);
    arn("imagebuilder", item.region, item.account, &format!("image/{}/{version}", slug(name)))
}

fn build_arn(item: &Item) -> String {
    format!("{}/{}", version_arn(item), parts(item.id).2)
}

fn amis(item: &Item) -> Vec<Value> {
    item.texts("amis")
        .iter()
        .map(|ami| {
            json!({
                "region": item.region,
                "image": ami,
                "name": parts(item.id).0,
                "accountId": item.account,
            })
        })
        .collect()
}

fn list(
    cloud: &Cloud,
    request: &Request,
    args: &Args,
    name: &str,
    items: &[Item],
    shape: fn(&Item) -> Value,
) -> Result<Reply, WireError> {
    let most = args.limit("maxResults", 25, 25, INVALID)?;
    let (items, token) = cloud.page(items, Some(most), args.text("nextToken"))?;
    let shown: Vec<Value> = items.iter().map(shape).collect();
    answer(json!({ "requestId": uuid(&request.action), name: shown, "nextToken": token }))
}

fn get_recipe(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let asked = args.text("imageRecipeArn").unwrap_or_default();
    let item = every(cloud, request, RECIPE)
        .into_iter()
        .find(|item| recipe_arn(item) == asked)
        .ok_or_else(|| not_found(asked))?;
    let mappings: Vec<Value> = item
        .text("block_snapshot")
        .map(|snapshot| json!({ "deviceName": "/dev/sdb", "ebs": { "snapshotId": snapshot, "volumeType": "gp3" } }))
        .into_iter()
        .collect();
    answer(json!({
        "requestId": uuid(asked),
        "imageRecipe": {
            "arn": recipe_arn(&item),
            "name": parts(item.id).0,
            "platform": "Linux",
            "owner": item.account,
            "version": parts(item.id).1,
            "components": [],
            "parentImage": parent(&item),
            "blockDeviceMappings": mappings,
            "dateCreated": iso(item.created),
            "tags": item.tag_map(),
        },
    }))
}
