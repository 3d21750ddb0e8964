//! What sends changes: a client for one permit, which can do what the permit's deed declares and nothing else.
//!
//! The account and region are those of the permit's resource, never the caller's. Where the account is entered by a
//! role, the session is taken for this one permit, for the shortest time there is, named after the plan, and with a
//! session policy that allows only the declared calls, on the resources that are known. The home account's credentials
//! are what they are.

use crate::{auth::Aws, fault, gate::Writes, whole::Whole};
use aws_config::{Region, SdkConfig};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use futures_util::future::BoxFuture;
use serde_json::json;
use std::{error::Error, future::Future, time::Duration};
use sweeper_core::{
    clocks::Clocks,
    deed::{DeedKind, Pen, Sent, Target, Write},
    kind::{CloudError, Fault, KindSpec},
};

/// The shortest session that STS gives (STS API reference, AssumeRole).
const SESSION: Duration = Duration::from_mins(15);

/// The longest session policy (STS API reference, AssumeRole).
const LONGEST: usize = 2048;

/// Clients for one permit.
pub(crate) struct Writer {
    config: SdkConfig,
    declared: &'static [Write],
    s3_path_style: bool,
    clocks: Clocks,
}

impl Aws {
    /// Clients for a permit of a resource of this kind. `on` are the resources its calls are about, as the session
    /// policy names them; empty where a call cannot be held to one.
    pub(crate) async fn writer(&self, spec: &KindSpec, pen: &Pen<'_>, on: &[String]) -> Result<Writer, CloudError> {
        let target = pen.target();
        let declared = pen.permit().spec().writes;
        let op = declared.first().map_or("nothing", |write| write.permission);
        let refused = |why: String| Err(CloudError::new(Fault::Refused, op, why));
        if target.kind != spec.id {
            return refused(format!("the permit is for a {}, not for a {}", target.kind, spec.id));
        }
        if spec.act(pen.permit().deed().kind()).is_none_or(|act| act.writes != declared) {
            return refused(format!("nothing that can be done to a {}", spec.title));
        }
        if pen.site().scope() != &target.scope() {
            return refused("it would be done in another place than the permit's".to_owned());
        }
        let policy = session_policy(declared, on, &self.fences(spec, pen.permit().deed().kind()));
        if policy.len() > LONGEST {
            return refused("its session policy is longer than STS takes".to_owned());
        }
        let entered = self.entered_for(pen.site(), &target.account, pen.permit().run(), &policy, SESSION).await?;
        let config = entered.into_builder().region(Region::new(target.region.clone())).build();
        Ok(Writer { config, declared, clocks: self.clocks.clone(), s3_path_style: self.s3_path_style() })
    }
}

macro_rules! clients {
    ($($name:ident: $sdk:ident $service:literal),* $(,)?) => {
        impl Writer {
            $(
                pub(crate) fn $name(&self) -> $sdk::Client {
                    let gate = Writes { service: $service, declared: self.declared };
                    let config = $sdk::config::Builder::from(&self.config).interceptor(Whole(self.clocks.clone())).interceptor(gate);
                    $sdk::Client::from_conf(config.build())
                }
            )*
        }
    };
}

clients! {
    ec2: aws_sdk_ec2 "ec2",
    ecr: aws_sdk_ecr "ecr",
    elb: aws_sdk_elasticloadbalancing "elasticloadbalancing",
    elbv2: aws_sdk_elasticloadbalancingv2 "elasticloadbalancing",
    lambda: aws_sdk_lambda "lambda",
    logs: aws_sdk_cloudwatchlogs "logs",
    rds: aws_sdk_rds "rds",
}

impl Writer {
    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        let gate = Writes { service: "s3", declared: self.declared };
        let config = aws_sdk_s3::config::Builder::from(&self.config)
            .force_path_style(self.s3_path_style)
            .interceptor(Whole(self.clocks.clone()))
            .interceptor(gate);
        aws_sdk_s3::Client::from_conf(config.build())
    }
}

impl Aws {
    /// Tags that AWS itself holds a deletion against: the key, and whether the call is denied where it is missing
    /// rather than where it is.
    fn fences(&self, spec: &KindSpec, deed: DeedKind) -> Vec<(&str, bool)> {
        if !deed.takes_away() {
            return Vec::new();
        }
        let has_tags = spec.act(DeedKind::Tag).is_some();
        let protect = self.protect_keys.iter().map(|key| (key.as_str(), false));
        protect.chain(self.fence.as_deref().filter(|_| has_tags).map(|key| (key, true))).collect()
    }
}

/// Allows the declared calls and nothing else. A call on a thing that is not made yet names none. What an owner
/// protects by a tag after the last look is still denied: AWS reads the tags when the call comes. Where a call knows no
/// `aws:ResourceTag`, the key counts as missing.
fn session_policy(declared: &[Write], on: &[String], fences: &[(&str, bool)]) -> String {
    let actions: Vec<&str> = declared.iter().map(|write| write.permission).collect();
    let on = if on.is_empty() { json!("*") } else { json!(on) };
    let mut statements = vec![json!({ "Effect": "Allow", "Action": actions, "Resource": on })];
    for (key, missing) in fences {
        let condition = json!({ "Null": { format!("aws:ResourceTag/{key}"): missing.to_string() } });
        statements.push(json!({ "Effect": "Deny", "Action": actions, "Resource": "*", "Condition": condition }));
    }
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

/// Sends a change, once. The SDK's futures are large: none is held but in a box.
pub(crate) fn send<'a, T, E, Answer>(
    pen: &'a Pen<'a>,
    op: &'static str,
    change: Answer,
) -> BoxFuture<'a, Result<T, CloudError>>
where
    Answer: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    T: Send + 'a,
{
    let change = Box::pin(change);
    Box::pin(pen.send(op, async move { change.await.map_err(|error| fault::of(op, &error)) }))
}

/// What came back, with what it takes to watch it.
pub(crate) fn sent(answer: &impl RequestId, handle: &str) -> Sent {
    Sent { request: answer.request_id().unwrap_or_default().to_owned(), handle: handle.to_owned() }
}

/// The error of a deed that a kind does not know.
pub(crate) fn unknown(pen: &Pen<'_>) -> CloudError {
    let op = pen.permit().spec().writes.first().map_or("nothing", |write| write.permission);
    CloudError::new(Fault::Refused, op, "this kind does not know how")
}

/// The partition of a region, as ARNs begin.
pub(crate) fn partition(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

/// The ARN of something of a resource's account and region: `arn:aws:ec2:us-east-1:111122223333:volume/vol-1`.
pub(crate) fn arn(target: &Target, service: &str, rest: &str) -> String {
    let Target { account, region, .. } = target;
    format!("arn:{}:{service}:{region}:{account}:{rest}", partition(region))
}

/// The same for what EC2 keeps without an account: snapshots and images.
pub(crate) fn ownerless(target: &Target, rest: &str) -> String {
    format!("arn:{}:ec2:{}::{rest}", partition(&target.region), target.region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_may_only_do_what_is_declared() {
        let declared = [Write { permission: "ec2:DeleteVolume", method: "POST", action: "DeleteVolume" }];
        assert_eq!(
            session_policy(&declared, &["arn:aws:ec2:us-east-1:1:volume/vol-1".to_owned()], &[]),
            r#"{"Statement":[{"Action":["ec2:DeleteVolume"],"Effect":"Allow","Resource":["arn:aws:ec2:us-east-1:1:volume/vol-1"]}],"Version":"2012-10-17"}"#
        );
        assert!(session_policy(&declared, &[], &[]).contains(r#""Resource":"*""#));
        let fenced = session_policy(&declared, &[], &[("sweeper-protect", false), ("condemned", true)]);
        for denied in [
            r#"{"Action":["ec2:DeleteVolume"],"Condition":{"Null":{"aws:ResourceTag/sweeper-protect":"false"}},"Effect":"Deny","Resource":"*"}"#,
            r#"{"Action":["ec2:DeleteVolume"],"Condition":{"Null":{"aws:ResourceTag/condemned":"true"}},"Effect":"Deny","Resource":"*"}"#,
        ] {
            assert!(fenced.contains(denied), "{fenced}");
        }
    }

    #[test]
    fn regions_have_partitions() {
        assert_eq!(partition("us-east-1"), "aws");
        assert_eq!(partition("us-gov-west-1"), "aws-us-gov");
        assert_eq!(partition("cn-north-1"), "aws-cn");
    }
}
