//! Answers and errors in the protocol of their request.

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::http::WireError;
use crate::request::{Protocol, Request};

/// An answer as bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rendered {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What follows the body: gRPC's status. Not empty, it takes HTTP/2.
    pub(crate) trailers: Vec<(String, String)>,
}

impl Rendered {
    /// The HTTP status, or the one that a gRPC error, whose HTTP status is 200, stands for.
    pub(crate) fn outcome(&self) -> u16 {
        match self.trailers.iter().find(|(name, _)| name == "grpc-status").map(|(_, code)| code.as_str()) {
            None | Some("0") => self.status,
            Some("3" | "9") => 400,
            Some("5") => 404,
            Some("7") => 403,
            Some("8") => 429,
            Some("12") => 501,
            Some("14") => 503,
            Some("16") => 401,
            Some(_) => 500,
        }
    }
}

const XML_HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn request_id(n: u64) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

/// An operation's output.
///
/// In XML a null is left out, a list is wrapped as the protocol wraps lists (S3: repeated under its
/// own name), a key that starts with "@" is an attribute. `{"$time": seconds}` is a time.
pub(crate) fn value(request: &Request, value: &Value, n: u64) -> Rendered {
    let id = request_id(n);
    let mut headers = vec![("x-amzn-requestid".to_owned(), id.clone())];
    let (content_type, body) = match request.protocol {
        Protocol::Ec2 => {
            let mut xml = String::from(XML_HEAD);
            let _ = write!(
                xml,
                "<{}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>{id}</requestId>",
                request.action
            );
            members(&mut xml, value, &Lists::Item);
            let _ = write!(xml, "</{}Response>", request.action);
            ("text/xml;charset=UTF-8".to_owned(), xml.into_bytes())
        }
        Protocol::Query => {
            let mut xml = String::new();
            let _ = write!(xml, "<{0}Response xmlns=\"{1}\"><{0}Result>", request.action, namespace(&request.service));
            let lists = if request.service == "rds" { Lists::Rds } else { Lists::Member };
            members(&mut xml, value, &lists);
            let _ = write!(
                xml,
                "</{0}Result><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{0}Response>",
                request.action
            );
            ("text/xml".to_owned(), xml.into_bytes())
        }
        Protocol::RestXml => {
            headers = vec![("x-amz-request-id".to_owned(), id)];
            let root = s3_root(&request.action);
            let mut xml = String::from(XML_HEAD);
            let _ = write!(xml, "<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
            members(&mut xml, value, &Lists::Flat);
            let _ = write!(xml, "</{root}>");
            ("application/xml".to_owned(), xml.into_bytes())
        }
        Protocol::Json(version) => (format!("application/x-amz-json-{version}"), plain(value).to_string().into_bytes()),
        Protocol::RestJson => ("application/json".to_owned(), plain(value).to_string().into_bytes()),
        Protocol::Cbor => {
            headers.push(("smithy-protocol".to_owned(), "rpc-v2-cbor".to_owned()));
            let mut bytes = Vec::new();
            cbor(&mut bytes, value);
            ("application/cbor".to_owned(), bytes)
        }
    };
    Rendered { status: 200, content_type, headers, body, ..Rendered::default() }
}

/// An error.
pub(crate) fn error(request: &Request, error: &WireError, n: u64) -> Rendered {
    let id = request_id(n);
    let mut headers = vec![("x-amzn-requestid".to_owned(), id.clone())];
    let side = if error.status >= 500 { "Receiver" } else { "Sender" };
    let (code, message) = (escaped(&error.code), escaped(&error.message));
    let (content_type, body) = match request.protocol {
        Protocol::Ec2 => (
            "text/xml;charset=UTF-8".to_owned(),
            format!(
                "{XML_HEAD}<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>{id}</RequestID></Response>"
            )
            .into_bytes(),
        ),
        Protocol::Query => (
            "text/xml".to_owned(),
            format!(
                "<ErrorResponse xmlns=\"{}\"><Error><Type>{side}</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>",
                namespace(&request.service)
            )
            .into_bytes(),
        ),
        Protocol::RestXml => {
            headers = vec![("x-amz-request-id".to_owned(), id.clone())];
            (
                "application/xml".to_owned(),
                format!(
                    "{XML_HEAD}<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{id}</RequestId></Error>"
                )
                .into_bytes(),
            )
        }
        Protocol::Json(version) => (
            format!("application/x-amz-json-{version}"),
            json!({ "__type": error.code, "message": error.message })
                .to_string()
                .into_bytes(),
        ),
        Protocol::RestJson => {
            headers.push(("x-amzn-errortype".to_owned(), error.code.clone()));
            (
                "application/json".to_owned(),
                json!({ "message": error.message }).to_string().into_bytes(),
            )
        }
        Protocol::Cbor => {
            headers.push(("smithy-protocol".to_owned(), "rpc-v2-cbor".to_owned()));
            headers.push((
                "x-amzn-query-error".to_owned(),
                format!("{};{side}", error.code),
            ));
            let mut bytes = Vec::new();
            cbor(
                &mut bytes,
                &json!({ "__type": format!("com.amazonaws.cloudwatch#{}", error.code), "message": error.message }),
            );
            ("application/cbor".to_owned(), bytes)
        }
    };
    Rendered { status: error.status, content_type, headers, body, ..Rendered::default() }
}

fn namespace(service: &str) -> &'static str {
    match service {
        "autoscaling" => "http://autoscaling.amazonaws.com/doc/2011-01-01/",
        "elasticloadbalancing" => "http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/",
        "elasticloadbalancingv2" => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
        "iam" => "https://iam.amazonaws.com/doc/2010-05-08/",
        "monitoring" => "http://monitoring.amazonaws.com/doc/2010-08-01/",
        "rds" => "http://rds.amazonaws.com/doc/2014-10-31/",
        _ => "https://sts.amazonaws.com/doc/2011-06-15/",
    }
}

/// The root element of an S3 operation's output.
fn s3_root(action: &str) -> String {
    match action {
        "ListBuckets" => "ListAllMyBucketsResult",
        "ListObjects" | "ListObjectsV2" => "ListBucketResult",
        "ListObjectVersions" => "ListVersionsResult",
        "GetBucketLocation" => "LocationConstraint",
        "GetBucketLifecycleConfiguration" => "LifecycleConfiguration",
        "GetBucketTagging" | "GetObjectTagging" => "Tagging",
        "GetBucketVersioning" => "VersioningConfiguration",
        "GetBucketEncryption" => "ServerSideEncryptionConfiguration",
        "GetBucketAcl" | "GetObjectAcl" => "AccessControlPolicy",
        "GetBucketLogging" => "BucketLoggingStatus",
        "GetBucketReplication" => "ReplicationConfiguration",
        "GetBucketWebsite" => "WebsiteConfiguration",
        "GetBucketCors" => "CORSConfiguration",
        "GetBucketNotificationConfiguration" => "NotificationConfiguration",
        "GetBucketOwnershipControls" => "OwnershipControls",
        "GetBucketPolicyStatus" => "PolicyStatus",
        "GetPublicAccessBlock" => "PublicAccessBlockConfiguration",
        "GetObjectLockConfiguration" => "ObjectLockConfiguration",
        "ListBucketInventoryConfigurations" => "ListInventoryConfigurationsResult",
        // ListMultipartUploads, ListParts and the rest are named as their operations.
        other => return format!("{other}Result"),
    }
    .to_owned()
}

/// How lists are written in XML.
enum Lists {
    Item,
    Member,
    Rds,
    Flat,
}

impl Lists {
    fn element(&self, key: &str) -> Option<&'static str> {
        match self {
            Lists::Item => Some("item"),
            Lists::Member => Some("member"),
            Lists::Rds => Some(rds_member(key)),
            Lists::Flat => None,
        }
    }
}

/// RDS names the elements of its lists, mostly after the list.
fn rds_member(key: &str) -> &'static str {
    match key {
        "AssociatedRoles" => "DBInstanceRole",
        "AttributeValues" => "AttributeValue",
        "AvailabilityZones" => "AvailabilityZone",
        "DBClusterAutomatedBackups" => "DBClusterAutomatedBackup",
        "DBClusterMembers" => "DBClusterMember",
        "DBClusterOptionGroupMemberships" => "DBClusterOptionGroup",
        "DBClusterParameterGroups" => "DBClusterParameterGroup",
        "DBClusterSnapshotAttributes" => "DBClusterSnapshotAttribute",
        "DBClusterSnapshots" => "DBClusterSnapshot",
        "DBClusters" => "DBCluster",
        "DBInstanceAutomatedBackups" => "DBInstanceAutomatedBackup",
        "DBInstanceAutomatedBackupsReplications" => "DBInstanceAutomatedBackupsReplication",
        "DBInstances" => "DBInstance",
        "DBParameterGroups" => "DBParameterGroup",
        "DBSecurityGroups" => "DBSecurityGroup",
        "DBSnapshotAttributes" => "DBSnapshotAttribute",
        "DBSnapshots" => "DBSnapshot",
        "DBSubnetGroups" => "DBSubnetGroup",
        "DomainMemberships" => "DomainMembership",
        "EventCategories" => "EventCategory",
        "Events" => "Event",
        "ExportTasks" => "ExportTask",
        "GlobalClusterMembers" => "GlobalClusterMember",
        "GlobalClusters" => "GlobalClusterMember",
        "OptionGroupMemberships" => "OptionGroupMembership",
        "OptionGroupsList" => "OptionGroup",
        "Options" => "Option",
        "ProcessorFeatures" => "ProcessorFeature",
        "ReadReplicaDBClusterIdentifiers" => "ReadReplicaDBClusterIdentifier",
        "ReadReplicaDBInstanceIdentifiers" => "ReadReplicaDBInstanceIdentifier",
        "ReadReplicaIdentifiers" => "ReadReplicaIdentifier",
        "RecurringCharges" => "RecurringCharge",
        "ReservedDBInstances" => "ReservedDBInstance",
        "SourceRegions" => "SourceRegion",
        "StatusInfos" => "DBInstanceStatusInfo",
        "Subnets" => "Subnet",
        "TagList" => "Tag",
        "Tags" => "Tag",
        "VpcSecurityGroups" => "VpcSecurityGroupMembership",
        _ => "member",
    }
}

fn members(xml: &mut String, value: &Value, lists: &Lists) {
    match value {
        Value::Object(object) => match as_time(object) {
            Some(at) => escape(xml, &xml_time(at, lists)),
            None => {
                for (key, value) in object {
                    if !key.starts_with('@') {
                        element(xml, key, value, lists);
                    }
                }
            }
        },
        // A list has a name to go by only inside an object.
        Value::Array(items) => {
            for item in items {
                element(xml, lists.element("").unwrap_or("item"), item, lists);
            }
        }
        Value::String(text) => escape(xml, text),
        Value::Null => {}
        other => {
            let _ = write!(xml, "{other}");
        }
    }
}

fn element(xml: &mut String, key: &str, value: &Value, lists: &Lists) {
    match value {
        Value::Null => {}
        Value::Array(items) => match lists.element(key) {
            Some(name) => {
                let _ = write!(xml, "<{key}>");
                for item in items {
                    element(xml, name, item, lists);
                }
                let _ = write!(xml, "</{key}>");
            }
            None => {
                for item in items {
                    element(xml, key, item, lists);
                }
            }
        },
        _ => {
            let _ = write!(xml, "<{key}");
            if let Value::Object(object) = value {
                for (name, value) in object {
                    if let (Some(name), Some(text)) = (name.strip_prefix('@'), value.as_str()) {
                        let _ = write!(xml, " {name}=\"{}\"", escaped(text));
                    }
                }
            }
            xml.push('>');
            members(xml, value, lists);
            let _ = write!(xml, "</{key}>");
        }
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(&mut out, text);
    out
}

/// Escapes a text for XML. Control characters go out as character references, as AWS sends them,
/// although XML 1.0 has no way to carry most of them.
fn escape(xml: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\t' | '\n' => xml.push(character),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(xml, "&#x{:X};", character as u32);
            }
            _ => xml.push(character),
        }
    }
}

fn as_time(object: &Map<String, Value>) -> Option<f64> {
    if object.len() == 1 { object.get("$time")?.as_f64() } else { None }
}

fn xml_time(seconds: f64, lists: &Lists) -> String {
    let Ok(at) = Timestamp::from_millisecond((seconds * 1000.0).round() as i64) else {
        return String::new();
    };
    let format = match lists {
        // EC2 and S3 always write milliseconds; the query services when there are some.
        Lists::Item | Lists::Flat => "%Y-%m-%dT%H:%M:%S%.3fZ",
        Lists::Member | Lists::Rds => "%Y-%m-%dT%H:%M:%S%.fZ",
    };
    at.strftime(format).to_string()
}

/// A value as the JSON protocols write it: times as epoch seconds, nulls left out of objects.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(object) => match as_time(object) {
            Some(at) => Value::from(at),
            None => Value::Object(
                object
                    .iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(key, value)| (key.clone(), plain(value)))
                    .collect(),
            ),
        },
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// Writes CBOR: floats always with 64 bits, as AWS does, and times as tag 1.
fn cbor(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(flag) => out.push(if *flag { 0xf5 } else { 0xf4 }),
        Value::Number(number) => {
            if let Some(number) = number.as_u64() {
                cbor_head(out, 0, number);
            } else if let Some(number) = number.as_i64() {
                cbor_head(out, 1, !number as u64);
            } else {
                cbor_float(out, number.as_f64().unwrap_or(f64::NAN));
            }
        }
        Value::String(text) => {
            cbor_head(out, 3, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(items) => {
            cbor_head(out, 4, items.len() as u64);
            for item in items {
                cbor(out, item);
            }
        }
        Value::Object(object) => {
            if let Some(at) = as_time(object) {
                out.push(0xc1);
                cbor_float(out, at);
                return;
            }
            let present = || object.iter().filter(|(_, value)| !value.is_null());
            cbor_head(out, 5, present().count() as u64);
            for (key, value) in present() {
                cbor_head(out, 3, key.len() as u64);
                out.extend_from_slice(key.as_bytes());
                cbor(out, value);
            }
        }
    }
}

fn cbor_float(out: &mut Vec<u8>, number: f64) {
    out.push(0xfb);
    out.extend_from_slice(&number.to_be_bytes());
}

fn cbor_head(out: &mut Vec<u8>, major: u8, length: u64) {
    let major = major << 5;
    let bytes = length.to_be_bytes();
    match length {
        0..24 => out.push(major | bytes[7]),
        24..0x100 => out.extend_from_slice(&[major | 0x18, bytes[7]]),
        0x100..0x1_0000 => out.extend_from_slice(&[major | 0x19, bytes[6], bytes[7]]),
        0x1_0000..0x1_0000_0000 => {
            out.push(major | 0x1a);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(major | 0x1b);
            out.extend_from_slice(&bytes);
        }
    }
}

const TOKENS: &[&str] = &[
    "nextToken",
    "NextToken",
    "NextPageToken",
    "NextMarker",
    "Marker",
    "ContinuationToken",
    "NextContinuationToken",
    "NextKeyMarker",
    "NextVersionIdMarker",
    "NextUploadIdMarker",
    "NextPartNumberMarker",
];

/// Gives an output the token that [`crate::fault::FaultKind::RepeatToken`] repeats.
pub(crate) fn repeat_token(request: &Request, output: &mut Map<String, Value>) {
    let names: &[&str] = match (request.service.as_str(), request.action.as_str()) {
        ("s3", "ListBuckets") => &["ContinuationToken"],
        ("s3", "ListObjectsV2") => &["NextContinuationToken"],
        ("s3", "ListObjectVersions") => &["NextKeyMarker", "NextVersionIdMarker"],
        ("s3", "ListMultipartUploads") => &["NextKeyMarker", "NextUploadIdMarker"],
        ("s3", "ListParts") => &["NextPartNumberMarker"],
        ("s3", _) => &["NextMarker"],
        ("lambda" | "elasticloadbalancing" | "elasticloadbalancingv2", _) => &["NextMarker"],
        ("ce", _) => &["NextPageToken"],
        ("rds" | "iam", _) => &["Marker"],
        ("ec2" | "ecr" | "ecs" | "eks" | "batch" | "logs" | "imagebuilder", _) => &["nextToken"],
        _ => &["NextToken"],
    };
    for name in names {
        // Part numbers are numbers, all other tokens are opaque.
        let token = if *name == "NextPartNumberMarker" { json!(1) } else { json!("repeated") };
        output.insert((*name).to_owned(), token);
    }
    if request.service == "s3" && request.action != "ListBuckets" {
        output.insert("IsTruncated".to_owned(), Value::Bool(true));
    }
}

/// Empties the lists of an output, at its top and one level down, and drops its page tokens.
pub(crate) fn empty(value: &mut Value, depth: usize) {
    let Value::Object(object) = value else {
        return;
    };
    if depth == 0 {
        for token in TOKENS {
            object.remove(*token);
        }
        if let Some(truncated) = object.get_mut("IsTruncated") {
            *truncated = Value::Bool(false);
        }
    }
    for value in object.values_mut() {
        match value {
            Value::Array(items) => items.clear(),
            other if depth == 0 => empty(other, 1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::request::Params;

    fn request(protocol: Protocol, service: &str, action: &str) -> Request {
        Request {
            service: service.to_owned(),
            action: action.to_owned(),
            account: "111111111111".to_owned(),
            region: "us-east-1".to_owned(),
            permission: String::new(),
            temporary: false,
            protocol,
            params: Params::Flat(BTreeMap::new()),
        }
    }

    fn text(request: &Request, output: Value) -> String {
        String::from_utf8(value(request, &output, 1).body).unwrap()
    }

    fn sample() -> Value {
        json!({ "at": { "$time": 1.5 }, "gone": null, "list": [1, { "a": "<\u{1b}&\"" }], "none": [] })
    }

    #[test]
    fn ec2_xml() {
        let xml = text(&request(Protocol::Ec2, "ec2", "X"), sample());
        assert!(
            xml.ends_with("<at>1970-01-01T00:00:01.500Z</at><list><item>1</item><item><a>&lt;&#x1B;&amp;&quot;</a></item></list><none></none></XResponse>"),
            "{xml}"
        );
    }

    #[test]
    fn query_xml() {
        let xml = text(&request(Protocol::Query, "sts", "X"), sample());
        assert!(xml.contains("<XResult><at>1970-01-01T00:00:01.5Z</at><list><member>1</member>"), "{xml}");
        let whole = text(&request(Protocol::Query, "rds", "X"), json!({ "DBInstances": [{ "t": { "$time": 2.0 } }] }));
        assert!(
            whole.contains("<DBInstances><DBInstance><t>1970-01-01T00:00:02Z</t></DBInstance></DBInstances>"),
            "{whole}"
        );
    }

    #[test]
    fn s3_xml() {
        let xml = text(
            &request(Protocol::RestXml, "s3", "ListBuckets"),
            json!({ "Grantee": { "@xsi:type": "a\"b", "ID": "x" }, "C": [1, 2] }),
        );
        assert!(
            xml.ends_with(
                "<C>1</C><C>2</C><Grantee xsi:type=\"a&quot;b\"><ID>x</ID></Grantee></ListAllMyBucketsResult>"
            ),
            "{xml}"
        );
    }

    #[test]
    fn json_and_cbor() {
        let json = text(&request(Protocol::Json("1.1"), "ecr", "X"), sample());
        assert_eq!(json, "{\"at\":1.5,\"list\":[1,{\"a\":\"<\\u001b&\\\"\"}],\"none\":[]}");
        let request = request(Protocol::Cbor, "monitoring", "X");
        for number in [0, 23, 24, 255, 256, 65_535, 65_536, -1, -257, i64::MAX, i64::MIN] {
            let body = value(&request, &json!({ "n": [number], "f": 1.0 }), 1).body;
            let read: ciborium::Value = ciborium::from_reader(&body[..]).unwrap();
            let map = read.into_map().unwrap();
            assert_eq!(map[0].1, ciborium::Value::Float(1.0));
            assert_eq!(map[1].1, ciborium::Value::Array(vec![ciborium::Value::Integer(number.into())]));
        }
        let body = value(&request, &json!({ "t": { "$time": 5.0 } }), 1).body;
        assert_eq!(body[3], 0xc1);
    }

    #[test]
    fn emptied() {
        let mut output = json!({ "a": [1], "b": { "c": [2], "d": 1 }, "nextToken": "x" });
        empty(&mut output, 0);
        assert_eq!(output, json!({ "a": [], "b": { "c": [], "d": 1 } }));
    }
}
