//! The emulated services: one file each, one line each in [`SERVICES`].

use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;

mod autoscaling;
mod ec2;
mod organizations;
mod sts;

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
    Service { name: "ec2", kinds: ec2::KINDS, handle: ec2::handle },
    Service { name: "organizations", kinds: &[], handle: organizations::handle },
    Service { name: "sts", kinds: &[], handle: sts::handle },
];

/// The keys by which resources of a kind name others, for which [`Cloud::referring`] has an index.
pub(crate) const LINKS: &[(&str, &str)] = &[
    ("aws.ec2-address", "instance"),
    ("aws.ec2-address", "interface"),
    ("aws.ec2-address", "nat"),
    ("aws.ec2-instance", "interfaces"),
    ("aws.ec2-instance", "volumes"),
    ("aws.ec2-nat-gateway", "addresses"),
    ("aws.ec2-network-interface", "instance"),
    ("aws.ec2-volume", "attached"),
];

pub(crate) fn kind(id: &str) -> Option<&'static Kind> {
    SERVICES
        .iter()
        .flat_map(|service| service.kinds)
        .find(|kind| kind.kind == id)
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
    WireError::new(
        400,
        code,
        format!(
            "The action {} is not valid for this endpoint.",
            request.action
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_links_fit() {
        let mut seen = std::collections::BTreeSet::new();
        for kind in SERVICES.iter().flat_map(|service| service.kinds) {
            assert!(seen.insert(kind.kind), "{} appears twice", kind.kind);
        }
        for (kind_id, key) in LINKS {
            let found = kind(kind_id).unwrap();
            assert!(found.keys.iter().any(|spec| spec.split(':').next() == Some(*key)));
        }
        let names: Vec<_> = SERVICES.iter().map(|service| service.name).collect();
        assert!(names.is_sorted(), "{names:?}");
    }
}
