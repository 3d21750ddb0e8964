//! How the services outside EC2 look at resources and at requests: times as seconds since the epoch,
//! and parameters as one tree whichever protocol they came in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Deref;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::invalid_action;
use crate::cloud::{self, Cloud};
use crate::http::{Reply, WireError};
use crate::org::parse_time;
use crate::request::{Params, Protocol, Request};

/// A resource.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) kind: &'a str,
    pub(crate) id: &'a str,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    /// Seconds since the epoch.
    pub(crate) created: f64,
    whole: &'a cloud::Item,
    keys: Keys<'a>,
}

/// A table of the organisation file: a resource's own keys, or a table within them.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    table: &'a Map<String, Value>,
    now: Timestamp,
}

impl<'a> Deref for Item<'a> {
    type Target = Keys<'a>;

    fn deref(&self) -> &Keys<'a> {
        &self.keys
    }
}

/// The view of a resource.
pub(crate) fn view<'a>(item: &'a cloud::Item, cloud: &Cloud) -> Item<'a> {
    Item {
        kind: &item.kind,
        id: &item.id,
        account: &item.account,
        region: &item.region,
        created: seconds(item.created),
        whole: item,
        keys: Keys { table: &item.keys, now: cloud.now },
    }
}

/// The resources of a kind in the request's account and region, in the file's order.
pub(crate) fn every<'a>(cloud: &'a Cloud, request: &Request, kind: &str) -> Vec<Item<'a>> {
    cloud.list(request, kind).into_iter().map(|item| view(item, cloud)).collect()
}

/// The resource of a kind with an id in the request's account and region.
pub(crate) fn one<'a>(cloud: &'a Cloud, request: &Request, kind: &'a str, id: &str) -> Option<Item<'a>> {
    cloud
        .with_id(kind, id)
        .find(|item| item.account == request.account && item.region == request.region)
        .map(|item| view(item, cloud))
}

/// The resources of a kind whose `key` names `id`, in the request's account and region.
pub(crate) fn referring<'a>(cloud: &'a Cloud, request: &Request, kind: &str, key: &str, id: &str) -> Vec<Item<'a>> {
    cloud
        .referring(kind, key, id)
        .into_iter()
        .filter(|item| item.account == request.account && item.region == request.region)
        .map(|item| view(item, cloud))
        .collect()
}

impl<'a> Item<'a> {
    /// The resource itself, to change it.
    pub(crate) fn stored(&self) -> &'a cloud::Item {
        self.whole
    }

    pub(crate) fn tags(&self) -> &'a BTreeMap<String, String> {
        &self.whole.tags
    }

    /// The tags as a list of objects with the given names for key and value.
    pub(crate) fn tag_list(&self, key_name: &str, value_name: &str) -> Value {
        self.whole.tag_list(key_name, value_name)
    }

    /// The tags as an object.
    pub(crate) fn tag_map(&self) -> Value {
        json!(self.whole.tags)
    }
}

impl<'a> Keys<'a> {
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&'a str> {
        self.table.get(key)?.as_str()
    }

    pub(crate) fn text_or<'b>(&self, key: &str, default: &'b str) -> &'b str
    where
        'a: 'b,
    {
        self.text(key).unwrap_or(default)
    }

    /// Text, also when it is written as a number: versions and revisions are.
    pub(crate) fn label(&self, key: &str) -> Option<String> {
        match self.table.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    pub(crate) fn int(&self, key: &str) -> Option<i64> {
        self.table.get(key)?.as_i64()
    }

    pub(crate) fn int_or(&self, key: &str, default: i64) -> i64 {
        self.int(key).unwrap_or(default)
    }

    /// Whether the key is true.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.table.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A list of strings; a lone string is a list of one.
    pub(crate) fn texts(&self, key: &str) -> Vec<String> {
        cloud::texts(self.table.get(key))
    }

    /// A list of whole numbers.
    pub(crate) fn ints(&self, key: &str) -> Vec<i64> {
        let items = self.table.get(key).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_i64).collect()
    }

    /// A list of tables.
    pub(crate) fn tables(&self, key: &str) -> Vec<Keys<'a>> {
        let items = self.table.get(key).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_object).map(|table| Keys { table, now: self.now }).collect()
    }

    /// A table.
    pub(crate) fn map(&self, key: &str) -> Map<String, Value> {
        self.table.get(key).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// A time, in seconds since the epoch.
    pub(crate) fn moment(&self, key: &str) -> Option<f64> {
        parse_time(self.text(key)?, self.now).map(seconds)
    }
}

/// A time in seconds since the epoch.
pub(crate) fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// A time, which each protocol renders in its own way.
pub(crate) fn stamp(seconds: f64) -> Value {
    json!({ "$time": seconds })
}

/// A time as text, for the members that are strings on the wire: RFC 3339 with milliseconds.
pub(crate) fn iso(seconds: f64) -> String {
    Timestamp::from_millisecond((seconds * 1000.0) as i64).map_or_else(|_| String::new(), crate::http::iso)
}

/// Hexadecimal digits that depend on nothing but the seed.
pub(crate) fn hex(seed: &str, digits: usize) -> String {
    let mut text = String::new();
    let mut round: u64 = 0;
    while text.len() < digits {
        // FNV-1a, then a mixer, because FNV's high bits hardly move with the last byte.
        let mut state = 0xcbf2_9ce4_8422_2325 ^ round;
        for byte in seed.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        state = (state ^ (state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        state = (state ^ (state >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        let _ = write!(text, "{:016x}", state ^ (state >> 33));
        round += 1;
    }
    text.truncate(digits);
    text
}

/// A manifest digest: the text itself if it is one, else made from it.
pub(crate) fn digest(text: &str) -> String {
    if text.starts_with("sha256:") { text.to_owned() } else { format!("sha256:{}", hex(text, 64)) }
}

/// A UUID made from a seed.
pub(crate) fn uuid(seed: &str) -> String {
    let text = hex(seed, 32);
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

pub(crate) fn arn(service: &str, region: &str, account: &str, rest: &str) -> String {
    format!("arn:aws:{service}:{region}:{account}:{rest}")
}

/// A service's answer. What is null here is absent on the wire.
#[expect(clippy::unnecessary_wraps, reason = "it is what a handler returns")]
pub(crate) fn answer(value: Value) -> Result<Reply, WireError> {
    Ok(Reply::Value(lean(value)))
}

fn lean(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, lean(value))).collect(),
        ),
        Value::Array(items) => items.into_iter().map(lean).collect(),
        other => other,
    }
}

/// An answer that says nothing but that it was done.
#[expect(clippy::unnecessary_wraps, reason = "it is what a handler returns")]
pub(crate) fn done(status: u16) -> Result<Reply, WireError> {
    Ok(Reply::Raw { status, content_type: String::new(), headers: Vec::new(), body: Vec::new() })
}

/// Tags that come as a list of tables with `Key` and `Value`.
pub(crate) fn tags_named(args: &Args, name: &str) -> Map<String, Value> {
    let tag = |tag: &Value| Some((tag.get("Key")?.as_str()?.to_owned(), tag.get("Value").cloned().unwrap_or_default()));
    args.array(name).iter().filter_map(tag).collect()
}

/// Sets tags of a resource.
pub(crate) fn set_tags(cloud: &Cloud, item: &Item, tags: Map<String, Value>) {
    cloud.change(item.stored(), move |item| {
        for (key, value) in tags {
            item.tags.insert(key, value.as_str().unwrap_or_default().to_owned());
        }
    });
}

/// Takes tags of a resource away.
pub(crate) fn clear_tags(cloud: &Cloud, item: &Item, keys: Vec<String>) {
    cloud.change(item.stored(), move |item| item.tags.retain(|key, _| !keys.contains(key)));
}

pub(crate) fn refused(status: u16, code: &str, message: impl Into<String>) -> WireError {
    WireError::new(status, code, message)
}

/// The answer to an operation that is not served.
pub(crate) fn unserved(request: &Request) -> Result<Reply, WireError> {
    Err(invalid_action(request))
}

/// A whole number, also one written as text.
pub(crate) fn whole(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => {
            number.as_i64().or_else(|| number.as_f64().filter(|float| float.fract() == 0.0).map(|float| float as i64))
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The years 1 and 9999: beyond, seconds as floats lose their steps.
const FIRST: f64 = -62_135_596_800.0;
const LAST: f64 = 253_402_300_799.0;

/// A request's parameters as a tree: those of a query protocol are unfolded from their dotted names.
pub(crate) struct Args(Value);

impl Args {
    pub(crate) fn of(request: &Request) -> Args {
        Args(match &request.params {
            Params::Json(body) => body.clone(),
            Params::Flat(flat) if request.protocol == Protocol::Query => unfolded(flat),
            Params::Flat(flat) => json!(flat),
        })
    }

    /// A parameter that is there and not null.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        whole(self.get(name))
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        match self.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text == "true",
            _ => false,
        }
    }

    /// A list of strings; a lone string is a list of one.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        cloud::texts(self.get(name))
    }

    /// A table.
    pub(crate) fn map(&self, name: &str) -> Map<String, Value> {
        self.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    pub(crate) fn array(&self, name: &str) -> Vec<Value> {
        self.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
    }

    /// A time in seconds since the epoch: a number, or RFC 3339 text.
    pub(crate) fn time(&self, name: &str) -> Option<f64> {
        match self.get(name)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => match text.parse::<f64>() {
                Ok(number) => Some(number),
                Err(_) => text.parse::<Timestamp>().ok().map(seconds),
            },
            _ => None,
        }
        .filter(|time| (FIRST..=LAST).contains(time))
    }

    /// A page size from 1 to `most`; `default` when the request has none, `code` when it is out of range.
    pub(crate) fn limit(&self, name: &str, most: usize, default: usize, code: &str) -> Result<usize, WireError> {
        self.bounded(name, 1, most, default, code)
    }

    /// The same with a lower bound, as RDS has one.
    pub(crate) fn bounded(
        &self,
        name: &str,
        least: usize,
        most: usize,
        default: usize,
        code: &str,
    ) -> Result<usize, WireError> {
        let Some(given) = self.get(name) else { return Ok(default) };
        whole(Some(given))
            .and_then(|asked| usize::try_from(asked).ok())
            .filter(|asked| (least..=most).contains(asked))
            .ok_or_else(|| {
                let shown = given.as_str().map_or_else(|| given.to_string(), str::to_owned);
                refused(
                    400,
                    code,
                    format!("Value '{shown}' at '{name}' failed to satisfy constraint: Member must have value between {least} and {most}"),
                )
            })
    }
}

/// A node of the tree that dotted names spell.
#[derive(Default)]
struct Node {
    value: Option<String>,
    fields: BTreeMap<String, Node>,
    items: BTreeMap<u64, Node>,
}

/// Deeper than any parameter goes; a client's dots must not become our stack.
const DEEPEST: usize = 16;

fn unfolded(flat: &BTreeMap<String, String>) -> Value {
    let mut root = Node::default();
    for (name, value) in flat {
        let mut node = &mut root;
        let mut parts = name.split('.').peekable();
        let mut depth = 0;
        while let Some(part) = parts.next() {
            depth += 1;
            if depth > DEEPEST {
                break;
            }
            if let Ok(number) = part.parse() {
                node = node.items.entry(number).or_default();
            } else if depth > 1 && parts.peek().is_some_and(|next| next.parse::<u64>().is_ok()) {
                // The name of a list's members, "member" or the like, says nothing.
            } else {
                node = node.fields.entry(part.to_owned()).or_default();
            }
        }
        node.value = Some(value.clone());
    }
    folded(root)
}

fn folded(node: Node) -> Value {
    if !node.items.is_empty() {
        Value::Array(node.items.into_values().map(folded).collect())
    } else if !node.fields.is_empty() {
        Value::Object(node.fields.into_iter().map(|(name, node)| (name, folded(node))).collect())
    } else {
        node.value.map_or_else(|| Value::Object(Map::new()), Value::String)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_names_become_a_tree() {
        let flat = [
            ("Names.member.2", "b"),
            ("Names.member.1", "a"),
            ("Filters.Filter.1.Name", "engine"),
            ("Filters.Filter.1.Values.Value.1", "mysql"),
            ("Marker", "x"),
        ];
        let flat = flat.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(
            unfolded(&flat),
            json!({
                "Names": ["a", "b"],
                "Filters": [{ "Name": "engine", "Values": ["mysql"] }],
                "Marker": "x",
            })
        );
    }

    #[test]
    fn hostile_names_become_no_stack() {
        let flat = BTreeMap::from([
            (".".repeat(100_000), "x".to_owned()),
            ("a.18446744073709551615".to_owned(), "y".to_owned()),
            ("a.b".to_owned(), "z".to_owned()),
            (String::new(), "w".to_owned()),
        ]);
        assert!(unfolded(&flat).is_object());
    }

    const ORG: &str = r#"
        [[account]]
        id = "111111111111"
        [[resource]]
        kind = "aws.s3-bucket"
        id = "x"
        objects = 9223372036854775807
        bytes = -1
        versions_present = true
        lifecycle = [{ noncurrent_days = "x" }, {}]
        [[resource]]
        kind = "aws.s3-upload"
        id = "x"
        bucket = "x"
        parts = ["x", -1]
        [[resource]]
        kind = "aws.ecr-repository"
        id = "x"
        [[resource]]
        kind = "aws.ecr-image"
        id = "x"
        repository = "x"
        media = "index"
        children = ["x"]
        subject = "x"
        [[resource]]
        kind = "aws.lambda-function"
        id = "x"
        versions = [{}, { version = 1.5, layers = 3 }]
        aliases = [{}]
        event_sources = [{ function = "x" }]
        metrics = { Invocations = [1, "x"], Errors = "x" }
        [[resource]]
        kind = "aws.lambda-layer-version"
        id = "x"
        [[resource]]
        kind = "aws.elb-load-balancer"
        id = "x"
        listeners = [{ targets = { x = "x" }, rules = [{}] }]
        [[resource]]
        kind = "aws.elb-target-group"
        id = "x"
        targets = [{}]
        [[resource]]
        kind = "aws.rds-instance"
        id = "x"
        replica_of = "x"
        [[resource]]
        kind = "aws.rds-snapshot"
        id = "x"
        [[resource]]
        kind = "aws.logs-group"
        id = "x"
        streams = [{}, {}]
        [[resource]]
        kind = "aws.ecs-cluster"
        id = "x"
        [[resource]]
        kind = "aws.ecs-task-definition"
        id = "x:99999999999999999999"
        [[resource]]
        kind = "aws.eks-cluster"
        id = "x"
        [[resource]]
        kind = "aws.eks-nodegroup"
        id = "x"
        cluster = "x"
        [[resource]]
        kind = "aws.batch-job-definition"
        id = ":"
        [[resource]]
        kind = "aws.backup-vault"
        id = "x"
        [[resource]]
        kind = "aws.imagebuilder-recipe"
        id = "//"
        [[resource]]
        kind = "aws.ssm-image-parameter"
        id = "x"
    "#;

    #[rustfmt::skip]
    const ACTIONS: &[(&str, &[&str])] = &[
        ("s3", &["ListBuckets", "HeadBucket", "GetBucketLifecycleConfiguration", "ListObjectVersions", "ListObjectsV2", "ListMultipartUploads", "ListParts", "GetBucketTagging"]),
        ("ecr", &["DescribeRepositories", "DescribeImages", "ListImages", "BatchGetImage", "GetRepositoryPolicy", "GetLifecyclePolicy", "ListTagsForResource"]),
        ("lambda", &["ListFunctions", "ListVersionsByFunction", "ListAliases", "ListEventSourceMappings", "ListTags", "GetFunction", "GetPolicy", "ListLayers", "ListLayerVersions", "GetLayerVersion", "ListProvisionedConcurrencyConfigs"]),
        ("monitoring", &["GetMetricData"]),
        ("elasticloadbalancing", &["DescribeLoadBalancers", "DescribeTags", "DescribeInstanceHealth"]),
        ("elasticloadbalancingv2", &["DescribeLoadBalancers", "DescribeListeners", "DescribeRules", "DescribeTargetGroups", "DescribeTargetHealth", "DescribeTags"]),
        ("rds", &["DescribeDBInstances", "DescribeDBClusters", "DescribeDBSnapshots", "DescribeDBClusterSnapshots", "DescribeDBInstanceAutomatedBackups", "DescribeDBSnapshotAttributes", "ListTagsForResource"]),
        ("logs", &["DescribeLogGroups", "DescribeLogStreams", "ListTagsForResource"]),
        ("ecs", &["ListClusters", "DescribeClusters", "ListServices", "DescribeServices", "ListTasks", "DescribeTasks", "ListTaskDefinitions", "DescribeTaskDefinition"]),
        ("eks", &["ListClusters", "DescribeCluster", "ListNodegroups", "DescribeNodegroup"]),
        ("batch", &["DescribeComputeEnvironments", "DescribeJobDefinitions"]),
        ("backup", &["ListBackupVaults", "ListRecoveryPointsByBackupVault", "ListTags"]),
        ("imagebuilder", &["ListImageRecipes", "GetImageRecipe", "ListImagePipelines", "ListImages", "ListImageBuildVersions", "GetImage"]),
        ("ssm", &["DescribeParameters", "GetParameters"]),
    ];

    #[rustfmt::skip]
    const NAMES: &[&str] = &[
        "Bucket", "Key", "max-keys", "max-uploads", "max-parts", "key-marker", "upload-id-marker", "version-id-marker",
        "part-number-marker", "continuation-token", "start-after", "prefix", "encoding-type", "uploadId", "repositoryName",
        "imageIds", "filter", "maxResults", "MaxResults", "MaxItems", "MaxRecords", "PageSize", "limit", "nextToken",
        "NextToken", "Marker", "FunctionName", "Qualifier", "LayerName", "VersionNumber", "MetricDataQueries", "StartTime",
        "EndTime", "MaxDatapoints", "ScanBy", "LoadBalancerArn", "ListenerArn", "Names", "ResourceArns", "Filters",
        "ParameterFilters", "SnapshotType", "logGroupName", "orderBy", "descending", "cluster", "services", "tasks",
        "taskDefinition", "name", "nodegroupName", "backupVaultName", "createdBefore", "imageRecipeArn", "Resource",
    ];

    #[test]
    fn nothing_a_client_sends_panics() {
        let now = Timestamp::from_second(1_800_000_000).expect("a time");
        let cloud = Cloud::new(crate::org::Org::parse(ORG).expect("an organisation"), now, None);
        let metric = json!({
            "Id": "a",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Lambda",
                    "MetricName": "Invocations",
                    "Dimensions": [{ "Name": "FunctionName", "Value": "x" }],
                },
                "Period": i64::MAX - i64::MAX % 60,
                "Stat": "Sum",
            },
        });
        let values = [
            json!(null),
            json!("x"),
            json!("é/\u{0}:"),
            json!(-1),
            json!(0),
            json!(1),
            json!(i64::MAX),
            json!(1e300),
            json!("-1e300"),
            json!("inf"),
            json!([]),
            json!(["x", 1, null]),
            json!([{}, { "Name": [], "Key": {} }]),
            json!([metric]),
            json!({ "x": {} }),
        ];
        let mut request = Request {
            service: String::new(),
            action: String::new(),
            account: "111111111111".to_owned(),
            region: "us-east-1".to_owned(),
            permission: String::new(),
            temporary: false,
            protocol: Protocol::RestJson,
            params: Params::Json(Value::Null),
        };
        for (service, actions) in ACTIONS {
            let handle = super::super::service(service).expect("a service").handle;
            for action in *actions {
                (*action).clone_into(&mut request.action);
                for value in &values {
                    // All parameters odd, then one at a time among parameters that lead somewhere.
                    let all = NAMES.iter().map(|name| ((*name).to_owned(), value.clone())).collect();
                    request.params = Params::Json(Value::Object(all));
                    let _ = handle(&cloud, &request);
                    for odd in NAMES {
                        let mut body = json!({
                            "Bucket": "x", "max-keys": 3, "Key": "upload.bin", "uploadId": "x", "repositoryName": "x",
                            "FunctionName": "x", "LayerName": "x", "logGroupName": "x", "cluster": "x",
                            "name": "x", "nodegroupName": "x", "backupVaultName": "x",
                            "MetricDataQueries": [metric], "StartTime": 1_700_000_000, "EndTime": 1_800_000_000,
                        });
                        body[*odd] = value.clone();
                        request.params = Params::Json(body);
                        let _ = handle(&cloud, &request);
                    }
                }
            }
        }
    }

    #[test]
    fn seeds_make_digits() {
        assert_eq!(hex("a", 40).len(), 40);
        assert_ne!(hex("a", 16), hex("b", 16));
        assert_eq!(digest("sha256:ab"), "sha256:ab");
        assert_eq!(digest("x").len(), 71);
    }
}
