//! Systems Manager: the parameters that hold AMI ids.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `aws.ssm-image-parameter` | id | | the parameter's name |
//! | | `value` | | the AMI's id |
//! | | `version` | 1 | |

use serde_json::{Value, json};

use super::Kind;
use super::item::{Args, Item, answer, arn, every, refused, stamp, unserved};
use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;

const PARAMETER: &str = "aws.ssm-image-parameter";
const IMAGE: &str = "aws:ec2:image";

pub(crate) const KINDS: &[Kind] = &[Kind { kind: PARAMETER, keys: &["value:text", "version:int"] }];

/// The code of a refused parameter.
const INVALID: &str = "ValidationException";

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let args = Args::of(request);
    match request.action.as_str() {
        "DescribeParameters" => describe(cloud, request, &args),
        "GetParameters" => get(cloud, request, &args),
        _ => unserved(request),
    }
}

/// The ARN, in which a name that begins with a slash does not have it doubled.
fn parameter_arn(item: &Item) -> String {
    arn("ssm", item.region, item.account, &format!("parameter/{}", item.id.trim_start_matches('/')))
}

/// Whether a parameter passes one filter.
fn passes(item: &Item, filter: &Value) -> Result<bool, WireError> {
    let key = filter.get("Key").and_then(Value::as_str).unwrap_or_default();
    let values = crate::cloud::texts(filter.get("Values"));
    let option = filter.get("Option").and_then(Value::as_str);
    let own = match key {
        "DataType" => IMAGE,
        "Type" => "String",
        "Tier" => "Standard",
        "Name" => item.id,
        _ => match key.strip_prefix("tag:") {
            Some(tag) => {
                let own = item.tags().get(tag);
                return Ok(own.is_some_and(|own| values.is_empty() || values.contains(own)));
            }
            None => {
                return Err(refused(400, "InvalidFilterKey", format!("The specified key isn't valid: {key}")));
            }
        },
    };
    Ok(match option {
        None | Some("Equals") => values.iter().any(|value| value == own),
        Some("BeginsWith") => values.iter().any(|value| own.starts_with(value.as_str())),
        Some("Contains") => values.iter().any(|value| own.contains(value.as_str())),
        Some(other) => {
            return Err(refused(
                400,
                "InvalidFilterOption",
                format!("The following filter option is not valid: {other}"),
            ));
        }
    })
}

fn describe(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let mut filters = args.array("ParameterFilters");
    filters.extend(args.array("Filters"));
    let mut items = Vec::new();
    for item in every(cloud, request, PARAMETER) {
        let mut kept = true;
        for filter in &filters {
            kept = kept && passes(&item, filter)?;
        }
        if kept {
            items.push(item);
        }
    }
    let most = args.limit("MaxResults", 50, 50, INVALID)?;
    let (items, token) = cloud.page(&items, Some(most), args.text("NextToken"))?;
    let shown: Vec<Value> = items
        .iter()
        .map(|item| {
            json!({
                "Name": item.id,
                "ARN": parameter_arn(item),
                "Type": "String",
                "LastModifiedDate": stamp(item.created),
                "LastModifiedUser": format!("arn:aws:iam::{}:user/admin", item.account),
                "Version": item.int_or("version", 1),
                "Tier": "Standard",
                "Policies": [],
                "DataType": IMAGE,
            })
        })
        .collect();
    answer(json!({ "Parameters": shown, "NextToken": token }))
}

fn get(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let names = args.texts("Names");
    if names.is_empty() || names.len() > 10 {
        return Err(refused(
            400,
            INVALID,
            "1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have length less than or equal to 10 and greater than or equal to 1",
        ));
    }
    let all = every(cloud, request, PARAMETER);
    let (mut found, mut invalid) = (Vec::new(), Vec::new());
    for name in names {
        let own = all.iter().find(|item| {
            // A name may carry a version, "name:3"; an ARN holds colons of its own.
            let plain = if name.starts_with("arn:") { name.as_str() } else { name.split(':').next().unwrap_or(&name) };
            item.id == plain || parameter_arn(item) == plain
        });
        match own {
            Some(item) => found.push(json!({
                "Name": item.id,
                "Type": "String",
                "Value": item.text_or("value", "ami-00000000000000000"),
                "Version": item.int_or("version", 1),
                "LastModifiedDate": stamp(item.created),
                "ARN": parameter_arn(item),
                "DataType": IMAGE,
            })),
            None => invalid.push(name),
        }
    }
    answer(json!({ "Parameters": found, "InvalidParameters": invalid }))
}
