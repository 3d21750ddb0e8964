//! What may leave: the list of allowed operations, below whatever made the request.
//!
//! Every client carries one of two interceptors, asked last before a request is sent. An ordinary client sends reads
//! that a kind or the run itself declares. A client made for a permit sends what the permit's deed declares, by method
//! and operation. Anything else ends here, and nothing is sent.

use crate::{auth::NEEDS, bills::BILL_NEEDS, kinds::SPECS};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextRef},
        orchestrator::Metadata,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use std::{collections::BTreeSet, fmt, sync::LazyLock};
use sweeper_core::deed::Write;

/// Every permission to read that somebody declares.
static READS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let kinds = SPECS.iter().flat_map(|spec| {
        let watched = spec.acts.iter().flat_map(|act| act.reads);
        spec.reads.iter().chain(spec.asks).chain(watched).copied()
    });
    kinds.chain(NEEDS.iter().chain(BILL_NEEDS).map(|need| need.permission)).collect()
});

/// Why a request was not sent.
#[derive(Debug)]
pub(crate) struct Barred(String);

impl fmt::Display for Barred {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "not sent: {}", self.0)
    }
}

impl std::error::Error for Barred {}

/// Lets out reads that somebody declares. Holds the prefix of the service's permissions: `ec2`.
#[derive(Debug)]
pub(crate) struct Reads(pub(crate) &'static str);

impl Intercept for Reads {
    fn name(&self) -> &'static str {
        "Reads"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let permission = permission(self.0, operation(bag)?);
        if READS.contains(permission.as_str()) {
            return Ok(());
        }
        Err(Barred(format!("{permission} is no read that a kind declares")).into())
    }
}

/// Lets out what one deed declares.
#[derive(Clone, Debug)]
pub(crate) struct Writes {
    /// The prefix of the service's permissions.
    pub(crate) service: &'static str,
    pub(crate) declared: &'static [Write],
}

impl Intercept for Writes {
    fn name(&self) -> &'static str {
        "Writes"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (operation, method) = (operation(bag)?, context.request().method());
        let own = |write: &Write| write.permission.split_once(':').is_some_and(|(service, _)| service == self.service);
        let allowed = |write: &&Write| own(write) && write.action == operation && write.method == method;
        if self.declared.iter().any(|write| allowed(&write)) {
            return Ok(());
        }
        Err(Barred(format!("{method} {operation} of {} is nothing that the deed declares", self.service)).into())
    }
}

/// The name of the operation in the service's model.
fn operation(bag: &ConfigBag) -> Result<&str, Barred> {
    bag.load::<Metadata>().map(Metadata::name).ok_or_else(|| Barred("it has no operation".to_owned()))
}

/// The permission of a read, which S3 alone names otherwise (S3 user guide, "Permissions by API operation").
fn permission(service: &str, operation: &str) -> String {
    let name = match (service, operation) {
        ("s3", "ListBuckets") => "ListAllMyBuckets",
        ("s3", "GetBucketLifecycleConfiguration") => "GetLifecycleConfiguration",
        ("s3", "ListMultipartUploads") => "ListBucketMultipartUploads",
        ("s3", "ListObjectVersions") => "ListBucketVersions",
        ("s3", "ListParts") => "ListMultipartUploadParts",
        (_, other) => other,
    };
    format!("{service}:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_to_be_read_reads() {
        for permission in READS.iter() {
            let (_, name) = permission.split_once(':').unwrap();
            // Taking a role is a call of the credentials, which no client of ours makes.
            let reads = ["Describe", "List", "Get", "BatchGet"].iter().any(|verb| name.starts_with(verb));
            assert!(reads || *permission == "sts:AssumeRole", "{permission}");
        }
        assert!(!READS.contains("ec2:DeleteVolume") && READS.contains("ec2:DescribeVolumes"));
    }
}
