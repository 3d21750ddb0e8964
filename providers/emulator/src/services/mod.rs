//! The emulated services: one file each, one line each in [`SERVICES`].

use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;

mod autoscaling;
mod backup;
mod batch;
mod cloudwatch;
mod costexplorer;
mod ec2;
mod ecr;
mod ecs;
mod eks;
mod elb;
mod imagebuilder;
mod item;
mod lambda;
mod logs;
mod organizations;
mod rds;
mod s3;
mod ssm;
mod sts;

pub(crate) use backup::recovery_point;
pub(crate) use elb::{load_balancer, target_group};
pub(crate) use item::{digest, uuid};
pub(crate) use lambda::layer_version_arn;
pub(crate) use s3::UPLOAD_KEY;

/// A resource kind that the organisation file may plant.
pub(crate) struct Kind {
    /// The kind's id, "aws.ec2-volume".
    pub(crate) kind: &'static str,
    /// Its own keys, each "name" or "name:type" with a type of text, int, number, bool, list (a
    /// string or a list of strings), time, table, tables (a list of tables).
    pub(crate) keys: &'static [&'static str],
}

/// A service: its name as in the request (see [`crate::request::Request`]), its kinds, its handler.
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) kinds: &'static [Kind],
    pub(crate) handle: fn(&Cloud, &Request) -> Result<Reply, WireError>,
}

/// Every emulated service.
#[rustfmt::skip]
pub(crate) const SERVICES: &[Service] = &[
    Service { name: "autoscaling", kinds: autoscaling::KINDS, handle: autoscaling::handle },
    Service { name: "backup", kinds: backup::KINDS, handle: backup::handle },
    Service { name: "batch", kinds: batch::KINDS, handle: batch::handle },
    Service { name: "ce", kinds: &[], handle: costexplorer::handle },
    Service { name: "ec2", kinds: ec2::KINDS, handle: ec2::handle },
    Service { name: "ecr", kinds: ecr::KINDS, handle: ecr::handle },
    Service { name: "ecs", kinds: ecs::KINDS, handle: ecs::handle },
    Service { name: "eks", kinds: eks::KINDS, handle: eks::handle },
    Service { name: "elasticloadbalancing", kinds: elb::KINDS, handle: elb::handle_classic },
    Service { name: "elasticloadbalancingv2", kinds: &[], handle: elb::handle_v2 },
    Service { name: "imagebuilder", kinds: imagebuilder::KINDS, handle: imagebuilder::handle },
    Service { name: "lambda", kinds: lambda::KINDS, handle: lambda::handle },
    Service { name: "logs", kinds: logs::KINDS, handle: logs::handle },
    Service { name: "monitoring", kinds: &[], handle: cloudwatch::handle },
    Service { name: "organizations", kinds: &[], handle: organizations::handle },
    Service { name: "rds", kinds: rds::KINDS, handle: rds::handle },
    Service { name: "s3", kinds: s3::KINDS, handle: s3::handle },
    Service { name: "ssm", kinds: ssm::KINDS, handle: ssm::handle },
    Service { name: "sts", kinds: &[], handle: sts::handle },
];

/// The keys that every kind has, written as in [`Kind::keys`]: what CloudWatch says of the resource.
const COMMON: &[&str] = &["metrics:table", "metrics_gap:bool"];

/// The keys by which resources of a kind name others, for which [`Cloud::referring`] has an index.
const LINKS: &[(&str, &str)] = &[
    ("aws.backup-recovery-point", "vault"),
    ("aws.ec2-address", "instance"),
    ("aws.ec2-address", "interface"),
    ("aws.ec2-address", "nat"),
    ("aws.ec2-instance", "interfaces"),
    ("aws.ec2-instance", "volumes"),
    ("aws.ec2-nat-gateway", "addresses"),
    ("aws.ec2-network-interface", "instance"),
    ("aws.ec2-volume", "attached"),
    ("aws.ecr-image", "repository"),
    ("aws.eks-nodegroup", "cluster"),
    ("aws.rds-instance", "cluster"),
    ("aws.rds-instance", "replica_of"),
    ("aws.s3-upload", "bucket"),
];

/// The keys that every kind of a kind's cloud has.
pub(crate) fn common(kind: &str) -> &'static [&'static str] {
    match kind.split('.').next() {
        Some("azure") => crate::azure::COMMON,
        Some("gcp") => crate::gcp::COMMON,
        _ => COMMON,
    }
}

/// A kind of any cloud.
pub(crate) fn kind(id: &str) -> Option<&'static Kind> {
    let aws = SERVICES.iter().flat_map(|service| service.kinds);
    aws.chain(crate::azure::kinds()).chain(crate::gcp::kinds()).find(|kind| kind.kind == id)
}

/// The pairs of [`LINKS`] and of the other clouds.
pub(crate) fn links() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    LINKS.iter().chain(crate::azure::LINKS.iter().copied().flatten()).chain(crate::gcp::LINKS)
}

pub(crate) fn service(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.name == name)
}

/// The answer to an action that the service's file does not know.
pub(crate) fn invalid_action(request: &Request) -> WireError {
    use crate::request::Protocol;
    let code = match request.protocol {
        Protocol::Ec2 | Protocol::Query => "InvalidAction",
        Protocol::RestXml => "NotImplemented",
        Protocol::Json(_) | Protocol::RestJson | Protocol::Cbor => "UnknownOperationException",
    };
    WireError::new(400, code, format!("The action {} is not valid for this endpoint.", request.action))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_links_fit() {
        let mut seen = std::collections::BTreeSet::new();
        let others = crate::azure::kinds().chain(crate::gcp::kinds());
        for kind in SERVICES.iter().flat_map(|service| service.kinds).chain(others) {
            assert!(seen.insert(kind.kind), "{} appears twice", kind.kind);
        }
        for (kind_id, key) in links() {
            let found = kind(kind_id).unwrap();
            assert!(found.keys.iter().chain(common(kind_id)).any(|spec| spec.split(':').next() == Some(*key)));
        }
        let names: Vec<_> = SERVICES.iter().map(|service| service.name).collect();
        assert!(names.is_sorted(), "{names:?}");
    }
}
