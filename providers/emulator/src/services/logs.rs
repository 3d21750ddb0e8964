//! CloudWatch Logs: log groups and their streams.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `aws.logs-group` | id | | the group's name |
//! | | `retention` | never expires | days |
//! | | `bytes` | 0 | stored bytes |
//! | | `class` | `STANDARD` | `STANDARD`, `INFREQUENT_ACCESS` or `DELIVERY` |
//! | | `last_event` | none | makes one stream whose last event is then |
//! | | `streams` | none | `[{ name, created, last_event, bytes }]` |
//! | | `kms` | none | the key's ARN |
//! | | `metric_filters` | 0 | how many metric filters it has |
//! | | `protected` | false | deletion protection |

use serde_json::{Value, json};

use super::Kind;
use super::item::{Args, Item, answer, arn, clear_tags, done, every, refused, set_tags, unserved};
use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;

const GROUP: &str = "aws.logs-group";
pub(crate) const KINDS: &[Kind] = &[Kind {
    kind: GROUP,
    keys: &[
        "retention:int",
        "bytes:int",
        "class:text",
        "last_event:time",
        "streams:tables",
        "kms:text",
        "metric_filters:int",
        "protected:bool",
    ],
}];

/// The code of a refused parameter.
const INVALID: &str = "InvalidParameterException";

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let args = Args::of(request);
    match request.action.as_str() {
        "DescribeLogGroups" => describe_groups(cloud, request, &args),
        "DescribeLogStreams" => describe_streams(cloud, request, &args),
        "ListTagsForResource" => {
            let group = by_arn(cloud, request, &args)?;
            answer(json!({ "tags": group.tag_map() }))
        }
        "TagResource" => {
            set_tags(cloud, &by_arn(cloud, request, &args)?, args.map("tags"));
            done(200)
        }
        "UntagResource" => {
            clear_tags(cloud, &by_arn(cloud, request, &args)?, args.texts("tagKeys"));
            done(200)
        }
        "PutRetentionPolicy" => {
            let group = by_name(cloud, request, &args)?;
            let days = args.int("retentionInDays").filter(|days| RETENTIONS.contains(days));
            let days = days.ok_or_else(|| invalid("Invalid retention value."))?;
            if group.text_or("class", "STANDARD") == "DELIVERY" {
                return Err(invalid("Retention cannot be changed for log groups of the DELIVERY class."));
            }
            cloud.change(group.stored(), move |item| drop(item.keys.insert("retention".to_owned(), json!(days))));
            done(200)
        }
        "DeleteRetentionPolicy" => {
            let group = by_name(cloud, request, &args)?;
            cloud.change(group.stored(), |item| drop(item.keys.remove("retention")));
            done(200)
        }
        "DeleteLogGroup" => {
            let group = by_name(cloud, request, &args)?;
            if group.flag("protected") {
                return Err(refused(400, "ValidationException", "Deletion protection is enabled for the log group."));
            }
            cloud.remove(group.stored());
            done(200)
        }
        _ => unserved(request),
    }
}

/// The days that events may be kept (CloudWatch Logs API reference, PutRetentionPolicy).
const RETENTIONS: [i64; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

fn by_name<'a>(cloud: &'a Cloud, request: &Request, args: &Args) -> Result<Item<'a>, WireError> {
    let name = args.text("logGroupName").unwrap_or_default();
    every(cloud, request, GROUP).into_iter().find(|item| item.id == name).ok_or_else(no_group)
}

fn by_arn<'a>(cloud: &'a Cloud, request: &Request, args: &Args) -> Result<Item<'a>, WireError> {
    let asked = args.text("resourceArn").unwrap_or_default();
    every(cloud, request, GROUP).into_iter().find(|item| group_arn(item) == asked).ok_or_else(no_group)
}

fn group_arn(item: &Item) -> String {
    arn("logs", item.region, item.account, &format!("log-group:{}", item.id))
}

fn no_group() -> WireError {
    refused(400, "ResourceNotFoundException", "The specified log group does not exist.")
}

fn invalid(message: impl Into<String>) -> WireError {
    refused(400, "InvalidParameterException", message)
}

/// Milliseconds since the epoch, the service's unit of time.
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

fn describe_groups(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let prefix = args.text("logGroupNamePrefix");
    let pattern = args.text("logGroupNamePattern");
    if prefix.is_some() && pattern.is_some() {
        return Err(invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."));
    }
    let limit = args.limit("limit", 50, 50, INVALID)?;
    let class = args.text("logGroupClass");
    let mut groups = every(cloud, request, GROUP);
    groups.sort_by(|a, b| a.id.cmp(b.id));
    groups.retain(|group| {
        prefix.is_none_or(|prefix| group.id.starts_with(prefix))
            && pattern.is_none_or(|pattern| group.id.to_lowercase().contains(&pattern.to_lowercase()))
            && class.is_none_or(|class| group.text_or("class", "STANDARD") == class)
    });
    let (groups, token) = cloud.page(&groups, Some(limit), args.text("nextToken"))?;
    let described: Vec<Value> = groups
        .iter()
        .map(|group| {
            json!({
                "logGroupName": group.id,
                "creationTime": millis(group.created),
                "retentionInDays": group.int("retention"),
                "metricFilterCount": group.int_or("metric_filters", 0),
                "arn": format!("{}:*", group_arn(group)),
                "logGroupArn": group_arn(group),
                "storedBytes": group.int_or("bytes", 0),
                "kmsKeyId": group.text("kms"),
                "logGroupClass": group.text_or("class", "STANDARD"),
                "deletionProtectionEnabled": group.flag("protected"),
            })
        })
        .collect();
    answer(json!({ "logGroups": described, "nextToken": token }))
}

fn describe_streams(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let name = args.text("logGroupName");
    let identifier = args.text("logGroupIdentifier");
    let group = match (name, identifier) {
        (Some(_), Some(_)) | (None, None) => {
            return Err(invalid("Exactly one of logGroupName and logGroupIdentifier must be specified."));
        }
        (name, identifier) => every(cloud, request, GROUP).into_iter().find(|item| {
            name == Some(item.id) || identifier.is_some_and(|asked| asked == item.id || asked == group_arn(item))
        }),
    };
    let group = group.ok_or_else(no_group)?;
    let by_time = args.text("orderBy") == Some("LastEventTime");
    let prefix = args.text("logStreamNamePrefix");
    if by_time && prefix.is_some() {
        return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let limit = args.limit("limit", 50, 50, INVALID)?;

    let mut streams: Vec<(String, f64, Option<f64>, i64)> = group
        .tables("streams")
        .iter()
        .enumerate()
        .map(|(place, stream)| {
            let name = stream.text("name").map_or_else(|| format!("stream-{place}"), str::to_owned);
            let created = stream.moment("created").unwrap_or(group.created);
            (name, created, stream.moment("last_event"), stream.int_or("bytes", 0))
        })
        .collect();
    if streams.is_empty()
        && let Some(last) = group.moment("last_event")
    {
        streams.push(("stream-0".to_owned(), group.created, Some(last), 0));
    }
    streams.retain(|(name, ..)| prefix.is_none_or(|prefix| name.starts_with(prefix)));
    streams.sort_by(|a, b| {
        let time = |stream: &(String, f64, Option<f64>, i64)| stream.2.unwrap_or(f64::MIN);
        let order = if by_time { time(a).total_cmp(&time(b)) } else { std::cmp::Ordering::Equal };
        order.then_with(|| a.0.cmp(&b.0))
    });
    if args.flag("descending") {
        streams.reverse();
    }
    let (streams, token) = cloud.page(&streams, Some(limit), args.text("nextToken"))?;
    let described: Vec<Value> = streams
        .iter()
        .map(|(name, created, last, bytes)| {
            json!({
                "logStreamName": name,
                "creationTime": millis(*created),
                "firstEventTimestamp": last.map(|_| millis(*created)),
                "lastEventTimestamp": last.map(millis),
                "lastIngestionTime": last.map(millis),
                "uploadSequenceToken": "49590302938120934809238",
                "arn": format!("{}:log-stream:{name}", group_arn(&group)),
                "storedBytes": bytes,
            })
        })
        .collect();
    answer(json!({ "logStreams": described, "nextToken": token }))
}
