//! Lambda: functions, their versions, aliases and event sources, and layers.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `aws.lambda-function` | id | | the function's name |
//! | | `runtime` | `python3.12` | none for an image |
//! | | `modified` | `created` | `LastModified` of `$LATEST` |
//! | | `package` | `Zip`; `Image` with `image_uri` | package type |
//! | | `image_uri` | none | the container image, by tag or digest |
//! | | `resolved_image_uri` | `image_uri` | the same by digest |
//! | | `size` | 1000000 | code bytes of each version |
//! | | `sha` | from the id | `CodeSha256` of `$LATEST` |
//! | | `description` | empty | |
//! | | `layers` | none | layer version ARNs of `$LATEST` |
//! | | `vpc` | false | true, or the VPC's id |
//! | | `subnets`, `security_groups` | one each in a VPC | lists of ids |
//! | | `env` | none | table of environment variables |
//! | | `role` | `role/<id>` | the execution role's ARN |
//! | | `state` | `Active` | |
//! | | `memory`, `timeout` | 128, 3 | |
//! | | `versions` | none | `[{ version, modified, sha, layers, image_uri, size, description, expect }]` |
//! | | `aliases` | none | `[{ name, version, weights = { "3" = 0.1 } }]` |
//! | | `event_sources` | none | `[{ function, source, state, uuid }]`; `function` is a qualifier or an ARN |
//! | | `policies` | none | qualifiers (`$LATEST`, a version, an alias) that carry a resource policy |
//! | | `provisioned` | none | table of qualifier = concurrency |
//! | | `edge` | false | every version may be replicated by Lambda@Edge (its policy says so) |
//! | | `edge_master` | none | this is a replica of that function ARN; listed only with `MasterRegion` |
//! | `aws.lambda-layer-version` | id | | any name |
//! | | `layer` | the id | the layer's name |
//! | | `version` | 1 | |
//! | | `size` | 1000000 | bytes |
//! | | `description` | empty | |
//! | | `runtimes` | none | compatible runtimes |

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Kind;
use super::item::{
    Args, Item, answer, arn, clear_tags, done, every, hex, iso, one, refused, set_tags, stamp, unserved, uuid,
};
use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;

const FUNCTION: &str = "aws.lambda-function";
const LAYER: &str = "aws.lambda-layer-version";
const LATEST: &str = "$LATEST";
/// `MaxItems` may be larger, but a response never holds more.
const MOST: usize = 50;
pub(crate) const KINDS: &[Kind] = &[
    Kind {
        kind: FUNCTION,
        keys: &[
            "runtime:text",
            "modified:time",
            "package:text",
            "image_uri:text",
            "resolved_image_uri:text",
            "size:int",
            "sha:text",
            "description:text",
            "layers:list",
            "vpc",
            "subnets:list",
            "security_groups:list",
            "env:table",
            "role:text",
            "state:text",
            "memory:int",
            "timeout:int",
            "versions:tables",
            "aliases:tables",
            "event_sources:tables",
            "policies:list",
            "provisioned:table",
            "edge:bool",
            "edge_master:text",
        ],
    },
    Kind { kind: LAYER, keys: &["layer:text", "version:int", "size:int", "description:text", "runtimes:list"] },
];

/// The code of a refused parameter.
const INVALID: &str = "InvalidParameterValueException";

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let args = Args::of(request);
    match request.action.as_str() {
        "ListFunctions" => list_functions(cloud, request, &args),
        "ListVersionsByFunction" => {
            let (function, _) = function(cloud, request, &args)?;
            let all = versions(&function);
            let (shown, token) = cloud.page(
                &all,
                Some(args.limit("MaxItems", 10_000, MOST, INVALID)?.min(MOST)),
                args.text("Marker"),
            )?;
            let shown: Vec<Value> = shown.iter().map(|version| configuration(&function, version, true)).collect();
            answer(json!({ "Versions": shown, "NextMarker": token }))
        }
        "ListAliases" => list_aliases(cloud, request, &args),
        "ListEventSourceMappings" => list_event_sources(cloud, request, &args),
        "ListTags" => answer(json!({ "Tags": by_arn(cloud, request, &args)?.tag_map() })),
        "TagResource" => {
            set_tags(cloud, &by_arn(cloud, request, &args)?, args.map("Tags"));
            done(204)
        }
        "UntagResource" => {
            clear_tags(cloud, &by_arn(cloud, request, &args)?, args.texts("tagKeys"));
            done(204)
        }
        "DeleteFunction" => delete_function(cloud, request, &args),
        "GetFunction" => get_function(cloud, request, &args),
        "GetFunctionConfiguration" => {
            let (function, qualifier) = function(cloud, request, &args)?;
            let version = version_of(&function, qualifier.as_deref())?;
            answer(configuration(&function, &version, qualifier.is_some()))
        }
        "GetPolicy" => get_policy(cloud, request, &args),
        "ListLayers" => list_layers(cloud, request, &args),
        "ListLayerVersions" => list_layer_versions(cloud, request, &args),
        "GetLayerVersion" => get_layer_version(cloud, request, &args),
        "ListProvisionedConcurrencyConfigs" => list_provisioned(cloud, request, &args),
        _ => unserved(request),
    }
}

fn not_found(message: impl Into<String>) -> WireError {
    refused(404, "ResourceNotFoundException", message)
}

fn by_arn<'a>(cloud: &'a Cloud, request: &Request, args: &Args) -> Result<Item<'a>, WireError> {
    let asked = args.text("Resource").unwrap_or_default();
    one(cloud, request, FUNCTION, named(asked).0)
        .filter(|item| function_arn(item) == asked)
        .ok_or_else(|| not_found(format!("Function not found: {asked}")))
}

/// Deletes a function, or one of its versions. Numbers of versions are never given again.
fn delete_function(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let (function, qualifier) = function(cloud, request, args)?;
    if function.flag("edge") {
        let why =
            format!("Lambda was unable to delete {} because it is a replicated function.", function_arn(&function));
        return Err(refused(400, INVALID, why));
    }
    let Some(qualifier) = qualifier else {
        cloud.remove(function.stored());
        return done(204);
    };
    if qualifier == LATEST {
        return Err(refused(400, INVALID, "$LATEST version cannot be deleted without deleting the function."));
    }
    let published = versions(&function);
    let place = published
        .iter()
        .skip(1)
        .position(|version| version.name == qualifier)
        .ok_or_else(|| not_found(format!("Function not found: {}:{qualifier}", function_arn(&function))))?;
    let aliased = function.tables("aliases").into_iter().find(|alias| {
        alias.label("version").as_deref() == Some(qualifier.as_str()) || alias.map("weights").contains_key(&qualifier)
    });
    if let Some(alias) = aliased {
        let why = format!(
            "Unable to delete version because the following aliases reference it: [{}]",
            alias.text_or("name", "")
        );
        return Err(refused(409, "ResourceConflictException", why));
    }
    let names: Vec<String> = published.into_iter().skip(1).map(|version| version.name).collect();
    cloud.change(function.stored(), move |item| {
        let Some(Value::Array(versions)) = item.keys.get_mut("versions") else { return };
        // The others keep the numbers that they had by their places.
        for (version, name) in versions.iter_mut().zip(names) {
            if let Some(keys) = version.as_object_mut() {
                keys.insert("version".to_owned(), json!(name));
            }
        }
        if place < versions.len() {
            versions.remove(place);
        }
    });
    done(204)
}

fn function_arn(item: &Item) -> String {
    arn("lambda", item.region, item.account, &format!("function:{}", item.id))
}

/// A name as the API takes it: bare, partial ARN or ARN, each with an optional qualifier.
fn named(asked: &str) -> (&str, Option<&str>) {
    let tail = asked.split_once("function:").map_or(asked, |(_, tail)| tail);
    match tail.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier)),
        None => (tail, None),
    }
}

/// The function a request names and the qualifier it gives, if any.
fn function<'a>(cloud: &'a Cloud, request: &Request, args: &Args) -> Result<(Item<'a>, Option<String>), WireError> {
    let asked = args.text("FunctionName").unwrap_or_default();
    let (name, inline) = named(asked);
    let qualifier = args.text("Qualifier").or(inline).map(str::to_owned);
    match one(cloud, request, FUNCTION, name) {
        Some(item) => Ok((item, qualifier)),
        None => Err(not_found(format!(
            "Function not found: {}",
            arn("lambda", &request.region, &request.account, &format!("function:{asked}"))
        ))),
    }
}

/// One version of a function: what differs between versions.
#[derive(Clone)]
struct Version {
    name: String,
    modified: f64,
    sha: String,
    layers: Vec<String>,
    image_uri: Option<String>,
    size: i64,
    description: String,
}

fn latest(function: &Item) -> Version {
    Version {
        name: LATEST.to_owned(),
        modified: function.moment("modified").unwrap_or(function.created),
        sha: function.text("sha").map_or_else(|| hex(function.id, 43) + "=", str::to_owned),
        layers: function.texts("layers"),
        image_uri: function.text("image_uri").map(str::to_owned),
        size: function.int_or("size", 1_000_000),
        description: function.text_or("description", "").to_owned(),
    }
}

fn versions(function: &Item) -> Vec<Version> {
    let newest = latest(function);
    let published: Vec<Version> = function
        .tables("versions")
        .iter()
        .enumerate()
        .map(|(place, keys)| {
            let name = keys.label("version").unwrap_or_else(|| (place + 1).to_string());
            Version {
                modified: keys.moment("modified").unwrap_or(function.created),
                sha: keys.text("sha").map_or_else(|| hex(&format!("{} {name}", function.id), 43) + "=", str::to_owned),
                layers: keys.texts("layers"),
                image_uri: keys.text("image_uri").map(str::to_owned).or_else(|| newest.image_uri.clone()),
                size: keys.int_or("size", newest.size),
                description: keys.text_or("description", "").to_owned(),
                name,
            }
        })
        .collect();
    let mut all = vec![newest];
    all.extend(published);
    all
}

/// The version a qualifier means: a version's name, or the one an alias points to.
fn version_of(function: &Item, qualifier: Option<&str>) -> Result<Version, WireError> {
    let Some(qualifier) = qualifier else { return Ok(latest(function)) };
    let target = function
        .tables("aliases")
        .iter()
        .find(|alias| alias.text("name") == Some(qualifier))
        .and_then(|alias| alias.label("version"))
        .unwrap_or_else(|| qualifier.to_owned());
    versions(function)
        .into_iter()
        .find(|version| version.name == target)
        .ok_or_else(|| not_found(format!("Function not found: {}:{qualifier}", function_arn(function))))
}

/// The configuration of one version; `qualified` puts the version into the ARN, as listings of versions do.
fn configuration(function: &Item, version: &Version, qualified: bool) -> Value {
    let image = version.image_uri.is_some() || function.text("package") == Some("Image");
    let mut own = function_arn(function);
    if qualified {
        own = format!("{own}:{}", version.name);
    }
    let vpc = match function.text("vpc") {
        Some(id) => Some(id.to_owned()),
        None => (function.flag("vpc") || function.has("subnets")).then(|| format!("vpc-{}", hex(function.region, 17))),
    };
    let or_one = |key: &str, prefix: &str| {
        let given = function.texts(key);
        if given.is_empty() { vec![format!("{prefix}-{}", hex(function.id, 17))] } else { given }
    };
    let network = vpc.map(|id| {
        json!({
            "VpcId": id,
            "SubnetIds": or_one("subnets", "subnet"),
            "SecurityGroupIds": or_one("security_groups", "sg"),
            "Ipv6AllowedForDualStack": false,
        })
    });
    let layers: Vec<Value> =
        version.layers.iter().map(|layer| json!({ "Arn": layer, "CodeSize": 1_000_000 })).collect();
    let environment = function.map("env");
    json!({
        "FunctionName": function.id,
        "FunctionArn": own,
        "Runtime": (!image).then(|| function.text_or("runtime", "python3.12")),
        "Handler": (!image).then_some("index.handler"),
        "Role": function.text("role").map_or_else(
            || format!("arn:aws:iam::{}:role/{}", function.account, function.id),
            str::to_owned,
        ),
        "CodeSize": if image { 0 } else { version.size },
        "Description": version.description,
        "Timeout": function.int_or("timeout", 3),
        "MemorySize": function.int_or("memory", 128),
        "LastModified": iso(version.modified).replace('Z', "+0000"),
        "CodeSha256": version.sha,
        "Version": version.name,
        "VpcConfig": network,
        "Environment": (!environment.is_empty()).then(|| json!({ "Variables": environment })),
        "TracingConfig": { "Mode": "PassThrough" },
        "MasterArn": function.text("edge_master"),
        "RevisionId": uuid(&format!("{own} {}", version.name)),
        "Layers": (!layers.is_empty()).then_some(layers),
        "State": function.text_or("state", "Active"),
        "LastUpdateStatus": "Successful",
        "PackageType": if image { "Image" } else { "Zip" },
        "Architectures": ["x86_64"],
        "EphemeralStorage": { "Size": 512 },
        "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
        "LoggingConfig": { "LogFormat": "Text", "LogGroup": format!("/aws/lambda/{}", function.id) },
    })
}

fn list_functions(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let all_versions = match args.text("FunctionVersion") {
        None => false,
        Some("ALL") => true,
        Some(other) => {
            return Err(refused(
                400,
                "InvalidParameterValueException",
                format!(
                    "Value '{other}' at 'functionVersion' failed to satisfy constraint: Member must satisfy enum value set: [ALL]"
                ),
            ));
        }
    };
    let master = args.text("MasterRegion");
    let mut rows = Vec::new();
    for function in every(cloud, request, FUNCTION) {
        let wanted = match (function.text("edge_master"), master) {
            (None, None | Some("ALL")) => true,
            (None, Some(region)) => region == function.region,
            (Some(_), Some("ALL")) => true,
            (Some(origin), Some(region)) => origin.split(':').nth(3) == Some(region),
            (Some(_), None) => false,
        };
        if !wanted {
            continue;
        }
        if all_versions {
            let last = function.tables("versions").len();
            rows.extend((0..=last).map(|place| (function, Some(place))));
        } else {
            rows.push((function, None));
        }
    }
    let (rows, token) =
        cloud.page(&rows, Some(args.limit("MaxItems", 10_000, MOST, INVALID)?.min(MOST)), args.text("Marker"))?;
    let rows: Vec<Value> = rows
        .iter()
        .filter_map(|(function, place)| match place {
            None => Some(configuration(function, &latest(function), false)),
            Some(place) => Some(configuration(function, versions(function).get(*place)?, true)),
        })
        .collect();
    answer(json!({ "Functions": rows, "NextMarker": token }))
}

fn list_aliases(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let (function, _) = function(cloud, request, args)?;
    let only = args.text("FunctionVersion");
    let mut rows = Vec::new();
    for alias in function.tables("aliases") {
        let name = alias.text_or("name", "live").to_owned();
        let version = alias.label("version").unwrap_or_else(|| LATEST.to_owned());
        if only.is_some_and(|only| only != version) {
            continue;
        }
        let weights = alias.map("weights");
        rows.push(json!({
            "AliasArn": format!("{}:{name}", function_arn(&function)),
            "Name": name,
            "FunctionVersion": version,
            "Description": alias.text_or("description", ""),
            "RoutingConfig": (!weights.is_empty()).then(|| json!({ "AdditionalVersionWeights": weights })),
            "RevisionId": uuid(&format!("{} {name}", function.id)),
        }));
    }
    let (rows, token) =
        cloud.page(&rows, Some(args.limit("MaxItems", 10_000, MOST, INVALID)?.min(MOST)), args.text("Marker"))?;
    answer(json!({ "Aliases": rows, "NextMarker": token }))
}

fn list_event_sources(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let asked = args.text("FunctionName").map(named);
    let source = args.text("EventSourceArn");
    let mut rows = Vec::new();
    for function in every(cloud, request, FUNCTION) {
        for (place, mapping) in function.tables("event_sources").iter().enumerate() {
            let target = match mapping.label("function").as_deref() {
                None | Some("") => function_arn(&function),
                Some(text) if text.starts_with("arn:") => text.to_owned(),
                Some(qualifier) => format!("{}:{qualifier}", function_arn(&function)),
            };
            let (name, qualifier) = named(&target);
            if asked.is_some_and(|(asked_name, asked_qualifier)| {
                asked_name != name || asked_qualifier.is_some_and(|asked| Some(asked) != qualifier)
            }) {
                continue;
            }
            let origin = mapping.text("source").map_or_else(
                || arn("sqs", function.region, function.account, &format!("{}-queue", function.id)),
                str::to_owned,
            );
            if source.is_some_and(|source| source != origin) {
                continue;
            }
            let uuid = mapping.text("uuid").map_or_else(|| uuid(&format!("{target} {place}")), str::to_owned);
            rows.push(json!({
                "UUID": uuid,
                "EventSourceMappingArn": arn("lambda", function.region, function.account, &format!("event-source-mapping:{uuid}")),
                "BatchSize": 10,
                "EventSourceArn": origin,
                "FunctionArn": target,
                "LastModified": stamp(function.created),
                "State": mapping.text_or("state", "Enabled"),
                "StateTransitionReason": "USER_INITIATED",
            }));
        }
    }
    let (rows, token) =
        cloud.page(&rows, Some(args.limit("MaxItems", 10_000, 100, INVALID)?.min(100)), args.text("Marker"))?;
    answer(json!({ "EventSourceMappings": rows, "NextMarker": token }))
}

fn get_function(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let (function, qualifier) = function(cloud, request, args)?;
    let version = version_of(&function, qualifier.as_deref())?;
    let code = match &version.image_uri {
        Some(uri) => json!({
            "RepositoryType": "ECR",
            "ImageUri": uri,
            "ResolvedImageUri": function.text_or("resolved_image_uri", uri),
        }),
        None => json!({
            "RepositoryType": "S3",
            "Location": format!("https://awslambda-{}-tasks.s3.amazonaws.com/snapshots/{}/{}", function.region, function.account, function.id),
        }),
    };
    let tags = function.tag_map();
    let tagged = tags.as_object().is_some_and(|tags| !tags.is_empty());
    answer(json!({
        "Configuration": configuration(&function, &version, qualifier.is_some()),
        "Code": code,
        "Tags": tagged.then_some(tags),
    }))
}

fn get_policy(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let (function, qualifier) = function(cloud, request, args)?;
    let asked = qualifier.as_deref().unwrap_or(LATEST);
    let given = function.texts("policies");
    let mut statements = Vec::new();
    let resource = match qualifier.as_deref() {
        Some(qualifier) => format!("{}:{qualifier}", function_arn(&function)),
        None => function_arn(&function),
    };
    if given.iter().any(|own| own == asked) {
        statements.push(json!({
            "Sid": "invoke", "Effect": "Allow",
            "Principal": { "Service": "events.amazonaws.com" },
            "Action": "lambda:InvokeFunction", "Resource": resource,
        }));
    }
    let published = asked != LATEST && versions(&function).iter().any(|version| version.name == asked);
    if function.flag("edge") && published {
        statements.push(json!({
            "Sid": "replicator", "Effect": "Allow",
            "Principal": { "Service": "replicator.lambda.amazonaws.com" },
            "Action": "lambda:GetFunction", "Resource": resource,
        }));
    }
    if statements.is_empty() {
        return Err(not_found("The resource you requested does not exist."));
    }
    let document = json!({ "Version": "2012-10-17", "Id": "default", "Statement": statements });
    answer(json!({ "Policy": document.to_string(), "RevisionId": uuid(&resource) }))
}

fn layer_name<'a>(item: &'a Item) -> &'a str {
    item.text("layer").unwrap_or(item.id)
}

/// The ARN of a layer version.
pub(crate) fn layer_version_arn(account: &str, region: &str, layer: &str, version: i64) -> String {
    arn("lambda", region, account, &format!("layer:{layer}:{version}"))
}

fn layer_version(item: &Item) -> Value {
    let name = layer_name(item);
    let version = item.int_or("version", 1);
    let runtimes = item.texts("runtimes");
    json!({
        "LayerVersionArn": layer_version_arn(item.account, item.region, name, version),
        "Version": version,
        "Description": item.text_or("description", ""),
        "CreatedDate": iso(item.created).replace('Z', "+0000"),
        "CompatibleRuntimes": (!runtimes.is_empty()).then_some(runtimes),
    })
}

fn list_layers(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let mut newest: BTreeMap<String, Item> = BTreeMap::new();
    for item in every(cloud, request, LAYER) {
        let name = layer_name(&item).to_owned();
        let later = newest.get(&name).is_none_or(|known| known.int_or("version", 1) < item.int_or("version", 1));
        if later {
            newest.insert(name, item);
        }
    }
    let rows: Vec<Value> = newest
        .iter()
        .map(|(name, item)| {
            json!({
                "LayerName": name,
                "LayerArn": arn("lambda", item.region, item.account, &format!("layer:{name}")),
                "LatestMatchingVersion": layer_version(item),
            })
        })
        .collect();
    let (rows, token) = cloud.page(&rows, Some(args.limit("MaxItems", 50, MOST, INVALID)?), args.text("Marker"))?;
    answer(json!({ "Layers": rows, "NextMarker": token }))
}

/// The versions of the layer a request names, by name or ARN, newest first.
fn layer<'a>(cloud: &'a Cloud, request: &Request, args: &Args) -> Vec<Item<'a>> {
    let asked = args.text("LayerName").unwrap_or_default();
    let name = asked.split_once("layer:").map_or(asked, |(_, name)| name);
    let mut items: Vec<Item> =
        every(cloud, request, LAYER).into_iter().filter(|item| layer_name(item) == name).collect();
    items.sort_by_key(|item| std::cmp::Reverse(item.int_or("version", 1)));
    items
}

fn list_layer_versions(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    // A layer without versions is not an error here: the service answers an empty list.
    let items = layer(cloud, request, args);
    let (items, token) = cloud.page(&items, Some(args.limit("MaxItems", 50, MOST, INVALID)?), args.text("Marker"))?;
    let rows: Vec<Value> = items.iter().map(layer_version).collect();
    answer(json!({ "LayerVersions": rows, "NextMarker": token }))
}

fn get_layer_version(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let asked = args.int("VersionNumber").unwrap_or_default();
    let items = layer(cloud, request, args);
    let item = items
        .iter()
        .find(|item| item.int_or("version", 1) == asked)
        .ok_or_else(|| not_found("The resource you requested does not exist."))?;
    let mut described = layer_version(item);
    if let Some(map) = described.as_object_mut() {
        map.insert(
            "LayerArn".to_owned(),
            Value::String(arn("lambda", item.region, item.account, &format!("layer:{}", layer_name(item)))),
        );
        map.insert(
            "Content".to_owned(),
            json!({
                "CodeSize": item.int_or("size", 1_000_000),
                "CodeSha256": hex(item.id, 43) + "=",
                "Location": format!("https://awslambda-{}-layers.s3.amazonaws.com/{}", item.region, item.account),
            }),
        );
    }
    answer(described)
}

fn list_provisioned(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let (function, _) = function(cloud, request, args)?;
    let given: Map<String, Value> = function.map("provisioned");
    let rows: Vec<Value> = given
        .iter()
        .map(|(qualifier, amount)| {
            json!({
                "FunctionArn": format!("{}:{qualifier}", function_arn(&function)),
                "RequestedProvisionedConcurrentExecutions": amount,
                "AvailableProvisionedConcurrentExecutions": amount,
                "AllocatedProvisionedConcurrentExecutions": amount,
                "Status": "READY",
                "LastModified": iso(function.created).replace('Z', "+0000"),
            })
        })
        .collect();
    let (rows, token) = cloud.page(&rows, Some(args.limit("MaxItems", 50, MOST, INVALID)?), args.text("Marker"))?;
    answer(json!({ "ProvisionedConcurrencyConfigs": rows, "NextMarker": token }))
}
