//! The kinds of AWS, one file each. A line here declares the module and registers the kind.

use crate::auth::Aws;
use std::sync::Arc;
use sweeper_core::kind::{Kind, KindSpec};

macro_rules! kinds {
    ($($module:ident :: $kind:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every kind's passport, in the order of its line here.
        pub(crate) static SPECS: &[&KindSpec] = &[$(&$module::SPEC),*];

        /// Every kind, connected.
        pub(crate) fn all(aws: &Arc<Aws>) -> Vec<Arc<dyn Kind>> {
            vec![$(Arc::new($module::$kind(Arc::clone(aws)))),*]
        }

        #[cfg(test)]
        const FILES: &[&str] = &[$(stringify!($module)),*];
    };
}

kinds! {
    ec2_volume::Ec2Volume,
    ecr_image::EcrImage,
    ecr_repository::EcrRepository,
    lambda_alias::LambdaAlias,
    lambda_event_source::LambdaEventSource,
    lambda_function::LambdaFunction,
    lambda_layer_version::LambdaLayerVersion,
    lambda_version::LambdaVersion,
}

/// An SDK instant in the core's words.
pub(crate) fn at(time: Option<&aws_smithy_types::DateTime>) -> Option<sweeper_core::model::Timestamp> {
    time.map(|time| sweeper_core::model::Timestamp(time.secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_named_as_its_file_and_declares_its_reads() {
        let mut ids = std::collections::BTreeSet::new();
        for (spec, file) in SPECS.iter().zip(FILES) {
            assert_eq!(spec.id.strip_prefix("aws.").unwrap().replace('-', "_"), *file);
            assert!(ids.insert(spec.id), "{} is registered twice", spec.id);
            assert!(!spec.reads.is_empty(), "{} declares no permission", spec.id);
            assert!(!spec.title.is_empty(), "{} has no title", spec.id);
            for op in spec.reads.iter().chain(spec.asks) {
                assert!(op.split_once(':').is_some_and(|(service, action)| !service.is_empty() && !action.is_empty()));
            }
            for need in spec.needs {
                assert!(SPECS.iter().any(|spec| spec.id == *need), "{} needs {need}, which is no kind", spec.id);
            }
        }
    }
}
