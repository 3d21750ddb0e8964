//! Which account, region, service and action a request is for, and its parameters.

use std::collections::BTreeMap;

use hyper::HeaderMap;
use serde_json::{Map, Value};

use crate::http::WireError;
use crate::org::{Org, Vendor, is_account_id};
use crate::{routes, services};

/// The protocol a request came in, which is the one its answer goes out in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// EC2's query protocol: form body, XML answer with `<item>`.
    Ec2,
    /// The query protocol: form body, XML answer with `<member>`.
    Query,
    /// JSON RPC with an `X-Amz-Target`; the version, "1.0" or "1.1".
    Json(&'static str),
    /// JSON over REST paths.
    RestJson,
    /// XML over REST paths: S3.
    RestXml,
    /// Smithy RPC v2 in CBOR.
    Cbor,
}

/// A request's parameters.
#[derive(Debug, Clone)]
pub(crate) enum Params {
    /// Of a form body or a REST-XML query string, flat: "Filter.1.Name".
    Flat(BTreeMap<String, String>),
    /// Of a JSON or CBOR body. For REST-JSON the path's labels (by their names in the service
    /// model) and the query string's parameters (by their names on the wire) are merged in.
    Json(Value),
}

/// A recognised request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The signing service, save that ELB v2 is "elasticloadbalancingv2". CloudWatch is
    /// "monitoring".
    pub(crate) service: String,
    /// The operation's name in the service model.
    pub(crate) action: String,
    /// The calling account.
    pub(crate) account: String,
    /// The region the request is signed for.
    pub(crate) region: String,
    /// The IAM action that the call needs, "ec2:DescribeVolumes".
    pub(crate) permission: String,
    /// Whether the credentials are temporary, so those of a role.
    pub(crate) temporary: bool,
    pub(crate) protocol: Protocol,
    pub(crate) params: Params,
}

/// The parts of an HTTP request.
pub(crate) struct Parts<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The authority of an HTTP/2 request, which has no Host header.
    pub(crate) authority: Option<&'a str>,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// A request that could not be recognised, with as much of it as could.
pub(crate) struct Unrecognised {
    pub(crate) request: Request,
    pub(crate) error: WireError,
}

impl Request {
    /// A parameter that is a string. A JSON number or flag is none.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match &self.params {
            Params::Flat(flat) => flat.get(name).map(String::as_str),
            Params::Json(body) => body.get(name)?.as_str(),
        }
    }

    /// A parameter that is a whole number, also one written as a string.
    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>, WireError> {
        let bad = || {
            WireError::new(
                400,
                match self.protocol {
                    Protocol::Ec2 => "InvalidParameterValue",
                    Protocol::RestXml => "InvalidArgument",
                    Protocol::Query | Protocol::Json(_) | Protocol::RestJson | Protocol::Cbor => "ValidationError",
                },
                format!("Invalid value for the parameter {name}"),
            )
        };
        match &self.params {
            Params::Flat(flat) => flat.get(name).map(|text| text.parse().map_err(|_| bad())).transpose(),
            Params::Json(body) => match body.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(text)) => text.parse().map(Some).map_err(|_| bad()),
                Some(value) => value.as_i64().map(Some).ok_or_else(bad),
            },
        }
    }

    /// A maximum number of results within the operation's bounds; `None` if the request has none.
    pub(crate) fn max(&self, name: &str, bounds: std::ops::RangeInclusive<i64>) -> Result<Option<usize>, WireError> {
        match self.int(name)? {
            None => Ok(None),
            Some(value) if bounds.contains(&value) => Ok(usize::try_from(value).ok()),
            Some(value) => Err(WireError::new(
                400,
                match self.protocol {
                    Protocol::Ec2 | Protocol::Query => "InvalidParameterValue",
                    Protocol::RestXml => "InvalidArgument",
                    Protocol::Json(_) | Protocol::RestJson => "ValidationException",
                    Protocol::Cbor => "InvalidParameterValue",
                },
                format!(
                    "Value ( {value} ) for parameter {name} is invalid. Expecting a value between {} and {}.",
                    bounds.start(),
                    bounds.end()
                ),
            )),
        }
    }

    /// A parameter that is a flag, false if it is missing.
    pub(crate) fn flag(&self, name: &str) -> bool {
        match &self.params {
            Params::Flat(flat) => flat.get(name).is_some_and(|text| text == "true"),
            Params::Json(body) => match body.get(name) {
                Some(Value::Bool(flag)) => *flag,
                Some(Value::String(text)) => text == "true",
                _ => false,
            },
        }
    }

    /// A parameter that is a list of strings: a JSON list, "Name.1" or "Name.<member>.1".
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        match &self.params {
            Params::Flat(flat) => {
                let mut found = Vec::new();
                let mut stem = name.to_owned();
                if !flat.contains_key(&format!("{name}.1")) {
                    let start = format!("{name}.");
                    let member = flat
                        .range(start.clone()..)
                        .take_while(|(key, _)| key.starts_with(&start))
                        .find_map(|(key, _)| key[start.len()..].strip_suffix(".1"));
                    match member {
                        Some(member) => stem = format!("{name}.{member}"),
                        None => return found,
                    }
                }
                while let Some(value) = flat.get(&format!("{stem}.{}", found.len() + 1)) {
                    found.push(value.clone());
                }
                found
            }
            Params::Json(body) => crate::cloud::texts(body.get(name)),
        }
    }

    /// The filters of a form body, whether "Filter.1.Name" with "Filter.1.Value.1" or
    /// "Filters.Filter.1.Name" with "Filters.Filter.1.Values.Value.1".
    pub(crate) fn filters(&self) -> Vec<(String, Vec<String>)> {
        let Params::Flat(flat) = &self.params else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for stem in ["Filter", "Filters.Filter", "Filters.member", "Filters"] {
            let mut at = 1;
            while let Some(name) = flat.get(&format!("{stem}.{at}.Name")) {
                let mut values = self.list(&format!("{stem}.{at}.Value"));
                values.extend(self.list(&format!("{stem}.{at}.Values")));
                found.push((name.clone(), values));
                at += 1;
            }
        }
        found
    }

    /// Forgets the page token, whichever name it goes by.
    pub(crate) fn forget_token(&mut self) {
        for name in [
            "NextToken",
            "NextPageToken",
            "nextToken",
            "Marker",
            "marker",
            "continuation-token",
            "key-marker",
            "version-id-marker",
            "upload-id-marker",
            "part-number-marker",
            "start-after",
        ] {
            match &mut self.params {
                Params::Flat(flat) => {
                    flat.remove(name);
                }
                Params::Json(Value::Object(body)) => {
                    body.remove(name);
                }
                Params::Json(_) => {}
            }
        }
    }
}

/// The IAM action that an operation needs.
fn permission(service: &str, action: &str) -> String {
    let prefix = match service {
        "monitoring" => "cloudwatch",
        "elasticloadbalancingv2" => "elasticloadbalancing",
        other => other,
    };
    let action = match (service, action) {
        ("s3", "ListBuckets") => "ListAllMyBuckets",
        ("s3", "ListObjects" | "ListObjectsV2" | "HeadBucket") => "ListBucket",
        ("s3", "ListObjectVersions") => "ListBucketVersions",
        ("s3", "ListMultipartUploads") => "ListBucketMultipartUploads",
        ("s3", "ListParts") => "ListMultipartUploadParts",
        ("s3", "HeadObject") => "GetObject",
        ("s3", "GetBucketLifecycleConfiguration") => "GetLifecycleConfiguration",
        ("s3", "GetBucketEncryption") => "GetEncryptionConfiguration",
        ("s3", "GetBucketReplication") => "GetReplicationConfiguration",
        ("s3", "GetBucketCors") => "GetBucketCORS",
        ("s3", "GetBucketAccelerateConfiguration") => "GetAccelerateConfiguration",
        ("s3", "GetBucketNotificationConfiguration") => "GetBucketNotification",
        ("s3", "GetPublicAccessBlock") => "GetBucketPublicAccessBlock",
        ("s3", "GetObjectLockConfiguration") => "GetBucketObjectLockConfiguration",
        ("s3", "ListBucketInventoryConfigurations") => "GetInventoryConfiguration",
        ("s3", "ListBucketIntelligentTieringConfigurations") => "GetIntelligentTieringConfiguration",
        (_, other) => other,
    };
    format!("{prefix}:{action}")
}

/// Recognises a request, or says what AWS would say.
pub(crate) fn recognise(parts: &Parts<'_>, org: &Org) -> Result<Request, Box<Unrecognised>> {
    let query = form(parts.query.as_bytes());
    let credential = credential(parts, &query);
    let target = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let cbor = parts.headers.get("smithy-protocol").is_some_and(|value| value.as_bytes() == b"rpc-v2-cbor");
    let signed = credential.as_ref().map_or("", |found| found.service);

    let mut request = Request {
        service: signed.to_owned(),
        action: "Unknown".to_owned(),
        account: org.default_account().to_owned(),
        region: credential.as_ref().map_or("us-east-1", |found| found.region).to_owned(),
        permission: String::new(),
        temporary: false,
        protocol: if cbor {
            Protocol::Cbor
        } else if target.is_some() {
            Protocol::Json(if content_type(parts).contains("1.0") { "1.0" } else { "1.1" })
        } else {
            match signed {
                "ec2" => Protocol::Ec2,
                "s3" => Protocol::RestXml,
                "lambda" | "eks" | "batch" | "backup" | "imagebuilder" => Protocol::RestJson,
                _ => Protocol::Query,
            }
        },
        params: Params::Json(Value::Null),
    };

    let mut error = match &credential {
        None => Some(WireError::new(
            403,
            "MissingAuthenticationToken",
            "The request must contain a valid access key id and a signature.",
        )),
        Some(found) => {
            if let Some(account) = found.account {
                account.clone_into(&mut request.account);
                request.temporary = found.key.starts_with("ASIA");
            }
            None
        }
    };
    match read(&mut request, parts, query, target) {
        Ok(()) => {}
        Err(wrong) => error = error.or(Some(wrong)),
    }
    request.permission = permission(&request.service, &request.action);
    error = error.or_else(|| refuse(&request, org));
    match error {
        None => Ok(request),
        Some(error) => Err(Box::new(Unrecognised { request, error })),
    }
}

/// Fills in action and parameters.
fn read(
    request: &mut Request,
    parts: &Parts<'_>,
    query: BTreeMap<String, String>,
    target: Option<&str>,
) -> Result<(), WireError> {
    let malformed = |what: &str| WireError::new(400, "SerializationException", what);
    match request.protocol {
        Protocol::Cbor => {
            let action = parts.path.split_once("/operation/").map(|(_, action)| action);
            action.ok_or_else(|| malformed("The path is no RPC v2 path."))?.clone_into(&mut request.action);
            let body = if parts.body.is_empty() {
                Value::Object(Map::new())
            } else {
                ciborium::from_reader(parts.body).map(from_cbor).map_err(|_| malformed("The body is no CBOR."))?
            };
            request.params = Params::Json(body);
        }
        Protocol::Json(_) => {
            let target = target.unwrap_or_default();
            let (prefix, action) =
                target.rsplit_once('.').ok_or_else(|| malformed("The target names no operation."))?;
            action.clone_into(&mut request.action);
            if request.service.is_empty() {
                target_service(prefix).clone_into(&mut request.service);
            }
            request.params = Params::Json(json_body(parts.body)?);
        }
        Protocol::RestJson => {
            let path: Vec<String> = segments(parts.path);
            let (action, labels) = routes::find(&request.service, parts.method, &path, &query).ok_or_else(|| {
                WireError::new(
                    404,
                    "UnknownOperationException",
                    format!("{} {} is no known operation.", parts.method, parts.path),
                )
            })?;
            action.clone_into(&mut request.action);
            let Value::Object(mut body) = json_body(parts.body)? else {
                return Err(malformed("The body is no JSON object."));
            };
            for (name, value) in query.into_iter().chain(labels) {
                body.insert(name, Value::String(value));
            }
            request.params = Params::Json(Value::Object(body));
        }
        Protocol::RestXml => {
            let path = parts.path.trim_start_matches('/');
            let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
            let action = routes::s3(parts.method, !bucket.is_empty(), !key.is_empty(), &query).ok_or_else(|| {
                WireError::new(
                    501,
                    "NotImplemented",
                    "A header or query you provided implies functionality that is not implemented.",
                )
            })?;
            action.clone_into(&mut request.action);
            let mut flat = query;
            if !bucket.is_empty() {
                flat.insert("Bucket".to_owned(), decode(bucket.as_bytes(), false));
            }
            if !key.is_empty() {
                flat.insert("Key".to_owned(), decode(key.as_bytes(), false));
            }
            request.params = Params::Flat(flat);
        }
        Protocol::Ec2 | Protocol::Query => {
            let mut flat = query;
            flat.extend(form(parts.body));
            request.action = flat.remove("Action").ok_or_else(|| {
                WireError::new(400, "MissingAction", "The request must contain the parameter Action.")
            })?;
            let version = flat.remove("Version").unwrap_or_default();
            if request.service.is_empty() {
                version_service(&version).clone_into(&mut request.service);
            }
            if request.service == "elasticloadbalancing" && version == "2015-12-01" {
                "elasticloadbalancingv2".clone_into(&mut request.service);
            }
            request.params = Params::Flat(flat);
        }
    }
    Ok(())
}

/// What AWS refuses before any service sees the request.
fn refuse(request: &Request, org: &Org) -> Option<WireError> {
    let invalid = || match request.protocol {
        Protocol::Ec2 => {
            WireError::new(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
        }
        Protocol::RestXml => WireError::new(
            403,
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        ),
        Protocol::Query | Protocol::Cbor => {
            WireError::new(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        }
        Protocol::Json(_) => {
            WireError::new(400, "UnrecognizedClientException", "The security token included in the request is invalid.")
        }
        Protocol::RestJson => {
            WireError::new(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
        }
    };
    let Some(account) = org.of(Vendor::Aws).find(|known| known.id == request.account) else {
        return Some(invalid());
    };
    if account.status != "ACTIVE" {
        return Some(invalid());
    }
    let global = matches!(request.service.as_str(), "sts" | "s3" | "organizations" | "iam" | "ce");
    if !global && !account.regions.contains(&request.region) {
        return Some(invalid());
    }
    if services::service(&request.service).is_none() {
        return Some(WireError::new(
            404,
            "UnknownOperationException",
            format!("The service {} is not emulated.", request.service),
        ));
    }
    None
}

struct Credential<'a> {
    key: &'a str,
    account: Option<&'a str>,
    region: &'a str,
    service: &'a str,
}

/// The credential scope "AKID/date/region/service/aws4_request" of the header or of a presigned URL.
fn credential<'a>(parts: &'a Parts<'_>, query: &'a BTreeMap<String, String>) -> Option<Credential<'a>> {
    let header = parts
        .headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once("Credential="))
        .map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or(rest));
    let scope = header.or_else(|| query.get("X-Amz-Credential").map(String::as_str))?;
    let fields: Vec<&str> = scope.split('/').collect();
    let [key, _, region, service, _] = fields[..] else {
        return None;
    };
    let account = ["AKIA", "ASIA"]
        .iter()
        .find_map(|prefix| key.strip_prefix(prefix))
        .and_then(|rest| rest.get(..12))
        .filter(|account| is_account_id(account));
    Some(Credential { key, account, region, service })
}

fn content_type<'a>(parts: &'a Parts<'_>) -> &'a str {
    parts.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn json_body(body: &[u8]) -> Result<Value, WireError> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    serde_json::from_slice(body).map_err(|_| WireError::new(400, "SerializationException", "The body is no JSON."))
}

fn target_service(prefix: &str) -> &'static str {
    match prefix {
        "AmazonEC2ContainerRegistry_V20150921" => "ecr",
        "AmazonEC2ContainerServiceV20141113" => "ecs",
        "AmazonSSM" => "ssm",
        "AWSOrganizationsV20161128" => "organizations",
        "GraniteServiceVersion20100801" => "monitoring",
        "Logs_20140328" => "logs",
        _ => "",
    }
}

fn version_service(version: &str) -> &'static str {
    match version {
        "2010-05-08" => "iam",
        "2010-08-01" => "monitoring",
        "2011-01-01" => "autoscaling",
        "2011-06-15" => "sts",
        "2012-06-01" | "2015-12-01" => "elasticloadbalancing",
        "2014-10-31" => "rds",
        "2016-11-15" => "ec2",
        _ => "",
    }
}

/// The decoded segments of a path; an encoded slash does not separate.
pub(crate) fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty()).map(|part| decode(part.as_bytes(), false)).collect()
}

/// A form body or query string. Of a name that appears twice the last value stays.
pub(crate) fn form(text: &[u8]) -> BTreeMap<String, String> {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = at.map_or((pair, &b""[..]), |at| (&pair[..at], &pair[at + 1..]));
            (decode(name, true), decode(value, true))
        })
        .collect()
}

fn decode(text: &[u8], plus: bool) -> String {
    let hex = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) if plus => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn from_cbor(value: ciborium::Value) -> Value {
    match value {
        ciborium::Value::Integer(number) => i64::try_from(number).map_or(Value::Null, Value::from),
        ciborium::Value::Float(number) => Value::from(number),
        ciborium::Value::Text(text) => Value::String(text),
        ciborium::Value::Bytes(bytes) => Value::String(String::from_utf8_lossy(&bytes).into()),
        ciborium::Value::Bool(flag) => Value::Bool(flag),
        // Tag 1 is a time; epoch seconds are how the JSON protocols spell it.
        ciborium::Value::Tag(_, inner) => from_cbor(*inner),
        ciborium::Value::Array(items) => items.into_iter().map(from_cbor).collect(),
        ciborium::Value::Map(pairs) => Value::Object(
            pairs.into_iter().filter_map(|(key, value)| Some((key.into_text().ok()?, from_cbor(value)))).collect(),
        ),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org() -> Org {
        Org::parse("[[account]]\nid = \"111111111111\"\n[[account]]\nid = \"222222222222\"\n").unwrap()
    }

    fn ask(method: &str, path: &str, query: &str, scope: &str, body: &str) -> Result<Request, Box<Unrecognised>> {
        let mut headers = HeaderMap::new();
        headers.insert(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0").parse().unwrap(),
        );
        recognise(&Parts { method, path, authority: None, query, headers: &headers, body: body.as_bytes() }, &org())
    }

    #[test]
    fn a_query_request() {
        let request = ask(
            "POST",
            "/",
            "",
            "ASIA222222222222SWEEP/20260101/us-east-1/ec2/aws4_request",
            "Action=DescribeVolumes&Version=2016-11-15&VolumeId.1=a&VolumeId.2=b%2Bc&Filter.1.Name=tag%3Ax&Filter.1.Value.1=y+z",
        )
        .map_err(|wrong| wrong.error)
        .unwrap();
        assert_eq!(request.account, "222222222222");
        assert_eq!(request.permission, "ec2:DescribeVolumes");
        assert_eq!(request.list("VolumeId"), ["a", "b+c"]);
        assert_eq!(request.filters(), [("tag:x".to_owned(), vec!["y z".to_owned()])]);
        assert!(request.temporary);
    }

    #[test]
    fn an_unknown_account_is_refused() {
        let wrong =
            ask("POST", "/", "", "AKIA999999999999/20260101/us-east-1/ec2/aws4_request", "Action=DescribeVolumes")
                .unwrap_err();
        assert_eq!(wrong.error.code, "AuthFailure");
        assert_eq!(wrong.request.action, "DescribeVolumes");
    }

    #[test]
    fn nothing_a_client_sends_panics() {
        for scope in ["", "/", "////", "a/b/c/ec2/e", "a/b/us-east-1/s3/e", "a/b/c/lambda/e"] {
            for (path, query) in [("", ""), ("/%", "a=%&%=&=&&"), ("/%zz/é//", "é=%ff%é")] {
                for body in ["", "Action", "Action=%", "{", "[]"] {
                    for method in ["GET", "POST", "HEAD", "é"] {
                        let _ = ask(method, path, query, scope, body);
                    }
                }
            }
        }
    }
}
