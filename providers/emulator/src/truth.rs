//! Planted truth: what a sweep must say of an organisation, in the words of its report.
//!
//! A resource says it with `expect = { "<detector>" = "found" | "unknown" }`. The entries of a function's
//! `versions` may have an `expect` too, since each version is a resource of its own in the cloud.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::org::{Org, Resource, numbered};
use crate::{azure, services};

/// One planted truth: what a detector must say about a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Truth {
    /// The resource's kind.
    pub kind: String,
    /// The resource's account.
    pub account: String,
    /// The resource's region.
    pub region: String,
    /// The resource's id, copies counted out, as the service's delete call takes it.
    pub id: String,
    /// The detector that is expected to have an opinion.
    pub detector: String,
    /// The opinion.
    pub verdict: String,
}

impl Org {
    /// The planted truth of every resource, copies counted out, in the file's order.
    pub fn truth(&self) -> Vec<Truth> {
        let mut all = Vec::new();
        for resource in &self.resources {
            for number in resource.numbers() {
                let mut plant = |kind: &str, id: &str, expect: &BTreeMap<String, String>| {
                    all.extend(expect.iter().map(|(detector, verdict)| Truth {
                        kind: kind.to_owned(),
                        account: resource.account.clone(),
                        region: resource.region.clone(),
                        id: id.to_owned(),
                        detector: detector.clone(),
                        verdict: verdict.clone(),
                    }));
                };
                plant(&resource.kind, &native_id(resource, number), &resource.expect);
                for version in resource.keys.get("versions").and_then(Value::as_array).into_iter().flatten() {
                    let number_of = version.get("version").and_then(Value::as_i64);
                    let expect = version.get("expect").cloned().and_then(|expect| serde_json::from_value(expect).ok());
                    if let (Some(version), Some(expect)) = (number_of, expect) {
                        plant("aws.lambda-version", &format!("{}:{version}", resource.id_of(number)), &expect);
                    }
                }
            }
        }
        all
    }
}

/// What the service's delete call takes, where that is not the id of the organisation file.
fn native_id(resource: &Resource, number: Option<u32>) -> String {
    let id = resource.id_of(number);
    let text = |key: &str| resource.keys.get(key).and_then(Value::as_str).map(|text| numbered(text, number));
    match resource.kind.as_str() {
        "aws.backup-recovery-point" => services::recovery_point(&resource.account, &resource.region, &id),
        "gcp.artifact-image" => {
            let digest = services::digest(&text("digest").unwrap_or_else(|| id.clone()));
            let repository = text("repository").unwrap_or_else(|| "repository".to_owned());
            format!("{repository}/{}@{digest}", text("image").unwrap_or(id))
        }
        "gcp.artifact-package-version" => {
            let repository = text("repository").unwrap_or_else(|| "repository".to_owned());
            let package = text("package").unwrap_or_else(|| "package".to_owned());
            format!("{repository}/{package}@{}", text("version").unwrap_or(id))
        }
        "aws.ecr-image" => {
            let digest = services::digest(&text("digest").unwrap_or(id));
            format!("{}@{digest}", text("repository").unwrap_or_default())
        }
        "aws.elb-load-balancer" => {
            let sort = text("type").unwrap_or_else(|| "application".to_owned());
            services::load_balancer(&sort, &resource.account, &resource.region, &id)
        }
        "aws.elb-target-group" => services::target_group(&resource.account, &resource.region, &id),
        "aws.lambda-layer-version" => {
            let version = resource.keys.get("version").and_then(Value::as_i64).unwrap_or(1);
            services::layer_version_arn(&resource.account, &resource.region, &text("layer").unwrap_or(id), version)
        }
        "aws.s3-upload" => {
            let key = text("key").unwrap_or_else(|| services::UPLOAD_KEY.to_owned());
            format!("{}/{key}?uploadId={id}", text("bucket").unwrap_or_default())
        }
        kind if kind.starts_with("azure.") => azure::native_id(kind, &resource.account, &id, text),
        _ => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(resource: &str) -> Vec<String> {
        let text = format!("[[account]]\nid = \"111111111111\"\n[[resource]]\n{resource}\n");
        Org::parse(&text).unwrap().truth().into_iter().map(|truth| truth.id).collect()
    }

    #[test]
    fn ids_are_those_of_the_report() {
        assert_eq!(
            ids("kind = \"aws.ec2-volume\"\nid = \"vol-0a\"\ncount = 2\nexpect = { d = \"found\" }"),
            ["vol-0a0001", "vol-0a0002"]
        );
        let image = ids("kind = \"aws.ecr-image\"\nid = \"a\"\nrepository = \"web\"\nexpect = { d = \"found\" }");
        assert!(image[0].starts_with("web@sha256:"), "{image:?}");
        let balancer = ids("kind = \"aws.elb-load-balancer\"\nid = \"web\"\nexpect = { d = \"found\" }");
        assert!(balancer[0].contains(":loadbalancer/app/web/"), "{balancer:?}");
        assert_eq!(
            ids("kind = \"aws.elb-load-balancer\"\nid = \"web\"\ntype = \"classic\"\nexpect = { d = \"found\" }"),
            ["web"]
        );
        assert_eq!(
            ids(
                "kind = \"aws.lambda-layer-version\"\nid = \"x\"\nlayer = \"l\"\nversion = 3\nexpect = { d = \"found\" }"
            ),
            ["arn:aws:lambda:us-east-1:111111111111:layer:l:3"]
        );
        assert_eq!(
            ids("kind = \"aws.s3-upload\"\nid = \"u\"\nbucket = \"b\"\nkey = \"a/k\"\nexpect = { d = \"found\" }"),
            ["b/a/k?uploadId=u"]
        );
        assert_eq!(
            ids("kind = \"aws.backup-recovery-point\"\nid = \"r\"\nexpect = { d = \"found\" }"),
            ["arn:aws:backup:us-east-1:111111111111:recovery-point:r"]
        );
    }

    #[test]
    fn versions_of_functions_have_their_own() {
        let versions = "[{ version = 1, expect = { d = \"found\" } }, { version = 2 }]";
        assert_eq!(ids(&format!("kind = \"aws.lambda-function\"\nid = \"web\"\nversions = {versions}")), ["web:1"]);
    }
}
