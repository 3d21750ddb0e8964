//! The kinds of Google Cloud, one file each. A line here declares the module and registers the kind.

mod members;

use crate::auth::Gcp;
use std::sync::Arc;
use sweeper_core::{
    kind::{Kind, KindSpec, Prices},
    model::{CloudId, Timestamp},
    money::{Cost, HOURS_A_MONTH},
};

macro_rules! kinds {
    ($($module:ident :: $kind:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every kind's passport, in the order of its line here.
        pub(crate) static SPECS: &[&KindSpec] = &[$(&$module::SPEC),*];

        /// Every kind, connected.
        pub(crate) fn all(gcp: &Arc<Gcp>) -> Vec<Arc<dyn Kind>> {
            vec![$(Arc::new($module::$kind(Arc::clone(gcp)))),*]
        }

        #[cfg(test)]
        const FILES: &[&str] = &[$(stringify!($module)),*];
    };
}

kinds! {
    artifact_image::ArtifactImage,
    artifact_package_version::ArtifactPackageVersion,
    artifact_repository::ArtifactRepository,
    cloud_nat::CloudNat,
    compute_address::ComputeAddress,
    compute_disk::ComputeDisk,
    compute_forwarding_rule::ComputeForwardingRule,
    compute_image::ComputeImage,
    compute_instance::ComputeInstance,
    compute_instance_group_manager::ComputeInstanceGroupManager,
    compute_instance_template::ComputeInstanceTemplate,
    compute_machine_image::ComputeMachineImage,
    compute_snapshot::ComputeSnapshot,
    function::Function,
    gke_cluster::GkeCluster,
    log_bucket::LogBucket,
    run_job::RunJob,
    run_revision::RunRevision,
    run_service::RunService,
    sql_instance::SqlInstance,
    storage_bucket::StorageBucket,
}

/// The locations of Artifact Registry, which offers nearly every region there is.
pub(crate) use artifact_repository::locations as artifact_locations;

/// What an hourly list price is a month; unknown where there is none.
fn hourly(prices: &dyn Prices, region: &str, key: &str) -> Cost {
    prices.unit(CloudId::Gcp, region, key).map_or_else(Cost::unknown, |hour| Cost::list(hour.times(HOURS_A_MONTH)))
}

/// An RFC 3339 instant as Compute writes it, in the core's words.
fn at(text: Option<&str>) -> Option<Timestamp> {
    text.and_then(Timestamp::parse)
}

/// An instant of the newer APIs, in the core's words.
fn instant(time: Option<&wkt::Timestamp>) -> Option<Timestamp> {
    time.map(|time| Timestamp(time.seconds()))
}

/// The immutable numeric id as text; empty when it was not told.
fn uid(id: Option<u64>) -> String {
    id.map_or_else(String::new, |id| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_named_as_its_file_and_declares_its_reads() {
        let mut ids = std::collections::BTreeSet::new();
        for (spec, file) in SPECS.iter().zip(FILES) {
            assert_eq!(spec.id.strip_prefix("gcp.").unwrap().replace('-', "_"), *file);
            assert!(ids.insert(spec.id), "{} is registered twice", spec.id);
            assert!(!spec.reads.is_empty(), "{} declares no permission", spec.id);
            assert!(!spec.title.is_empty(), "{} has no title", spec.id);
            for op in spec.reads.iter().chain(spec.asks) {
                assert!(op.split('.').count() == 3, "{op} is no permission of IAM");
            }
            for act in spec.acts {
                assert!(spec.report_only.is_empty(), "{} is reported only", spec.id);
                assert!(spec.act(act.deed) == Some(act), "{} has {} twice", spec.id, act.deed.name());
                assert!(!act.writes.is_empty(), "{} {} declares no call", spec.id, act.deed.name());
                for op in act.writes.iter().map(|write| write.permission).chain(act.reads.iter().copied()) {
                    assert!(op.split('.').count() == 3, "{op} is no permission of IAM");
                }
                for write in act.writes {
                    assert!(matches!(write.method, "POST" | "DELETE" | "PATCH"), "{write:?}");
                    assert!(write.action.contains("/projects/{}/"), "{write:?}");
                }
            }
            for need in spec.needs {
                assert!(SPECS.iter().any(|spec| spec.id == *need), "{} needs {need}, which is no kind", spec.id);
            }
        }
    }
}
