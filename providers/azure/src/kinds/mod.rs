//! The kinds of Azure, one file each. A line here declares the module and registers the kind.

use crate::arm::Azure;
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Question},
    kind::{Kind, KindSpec, Prices},
    model::CloudId,
    money::{Cost, HOURS_A_MONTH},
};

macro_rules! kinds {
    ($($module:ident :: $kind:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every kind's passport, in the order of its line here.
        pub(crate) static SPECS: &[&KindSpec] = &[$(&$module::SPEC),*];

        /// Every kind, connected.
        pub(crate) fn all(azure: &Arc<Azure>) -> Vec<Arc<dyn Kind>> {
            vec![$(Arc::new($module::$kind(Arc::clone(azure)))),*]
        }

        #[cfg(test)]
        const FILES: &[&str] = &[$(stringify!($module)),*];
    };
}

kinds! {
    acr_manifest::AcrManifest,
    acr_registry::AcrRegistry,
    aks_cluster::AksCluster,
    app_service_plan::AppServicePlan,
    compute_disk::ComputeDisk,
    compute_gallery_image_version::ComputeGalleryImageVersion,
    compute_image::ComputeImage,
    compute_scale_set::ComputeScaleSet,
    compute_snapshot::ComputeSnapshot,
    compute_vm::ComputeVm,
    container_app::ContainerApp,
    container_group::ContainerGroup,
    function_app::FunctionApp,
    log_workspace::LogWorkspace,
    network_application_gateway::NetworkApplicationGateway,
    network_ddos_plan::NetworkDdosPlan,
    network_expressroute_circuit::NetworkExpressrouteCircuit,
    network_expressroute_gateway::NetworkExpressrouteGateway,
    network_firewall::NetworkFirewall,
    network_interface::NetworkInterface,
    network_load_balancer::NetworkLoadBalancer,
    network_nat_gateway::NetworkNatGateway,
    network_public_ip::NetworkPublicIp,
    network_security_group::NetworkSecurityGroup,
    network_virtual_network::NetworkVirtualNetwork,
    network_vpn_gateway::NetworkVpnGateway,
    postgres_flexible_server::PostgresFlexibleServer,
    recovery_point::RecoveryPointKind,
    sql_database::SqlDatabase,
    sql_elastic_pool::SqlElasticPool,
    storage_account::StorageAccount,
    storage_container::StorageContainer,
    web_app::WebApp,
}

/// Answers for kinds that cannot be shared beyond the tenant: with nobody.
fn own_only(asks: &[Ask]) -> Vec<(Ask, Answer)> {
    let shares = asks.iter().filter(|ask| ask.question == Question::Shares);
    shares.map(|ask| (*ask, Answer::Shares(Vec::new()))).collect()
}

/// What an hourly list price is a month; unknown where there is none.
pub(crate) fn hourly(prices: &dyn Prices, region: &str, key: &str) -> Cost {
    prices.unit(CloudId::Azure, region, key).map_or_else(Cost::unknown, |hour| Cost::list(hour.times(HOURS_A_MONTH)))
}

/// What a monthly list price is; unknown where there is none.
pub(crate) fn monthly(prices: &dyn Prices, region: &str, key: &str) -> Cost {
    prices.unit(CloudId::Azure, region, key).map_or_else(Cost::unknown, Cost::list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweeper_core::{
        deed::{DeedKind, Reversal},
        model::Class,
        money::Amount,
        policy::Keep,
    };

    /// A price list of one region, for tests of prices.
    pub(super) struct Book(pub(super) &'static [(&'static str, &'static str)]);

    impl Prices for Book {
        fn unit(&self, _: CloudId, _: &str, key: &str) -> Option<Amount> {
            self.0.iter().find(|(known, _)| *known == key).and_then(|(_, usd)| Amount::parse(usd))
        }
    }

    /// Of the classes that contain other things.
    const CONTAINERS: [Class; 4] = [Class::Registry, Class::Bucket, Class::Cluster, Class::Referrer];

    #[test]
    fn deeds_declare_what_they_send_and_how_they_are_taken_back() {
        let mut acting = 0;
        for spec in SPECS {
            let id = spec.id;
            assert!(spec.acts.is_empty() || !CONTAINERS.contains(&spec.class), "{id} contains other things");
            assert!(spec.acts.is_empty() || spec.report_only.is_empty(), "{id} is only reported");
            acting += usize::from(!spec.acts.is_empty());
            let mut deeds = std::collections::BTreeSet::new();
            for act in spec.acts {
                let name = format!("{id} {}", act.deed.name());
                assert!(deeds.insert(act.deed), "{name} is declared twice");
                let reads_only = act.deed == DeedKind::Copy && act.keeps == [Keep::Definition];
                assert_eq!(act.writes.is_empty(), reads_only, "{name}");
                for write in act.writes {
                    assert!(["DELETE", "PATCH", "POST", "PUT"].contains(&write.method), "{name}: {}", write.method);
                    let verb = write.permission.rsplit('/').next().unwrap();
                    assert!(["action", "delete", "write"].contains(&verb), "{name}: {}", write.permission);
                    assert!(write.permission.split('/').next().unwrap().contains('.'), "{name}: {}", write.permission);
                    assert!(write.action.starts_with('/') && write.action.contains("{}"), "{name}: {}", write.action);
                    assert!(!write.action.contains("Microsoft.Authorization"), "{name} touches locks or rights");
                    // A group, and what is not in one, is never named whole.
                    assert!(!write.action.ends_with("/resourceGroups/{}"), "{name}");
                    assert_eq!(write.method == "DELETE", act.deed == DeedKind::Delete, "{name}");
                }
                for op in act.reads {
                    assert!(op.ends_with("/read"), "{name}: {op}");
                }
                let can = |deed| spec.act(deed).is_some();
                match (act.deed, act.reversal) {
                    (DeedKind::Stop, _) => assert!(can(DeedKind::Start), "{name}"),
                    (DeedKind::Tag, _) => assert!(can(DeedKind::Untag), "{name}"),
                    (DeedKind::Delete, Reversal::FromCopy(_) | Reversal::FromBin(_)) => {
                        assert!(can(DeedKind::Restore), "{name} is not taken back");
                    }
                    (DeedKind::Delete, Reversal::OneWay(_)) => assert!(!can(DeedKind::Restore), "{name}"),
                    _ => {}
                }
                assert!(!act.reversal.how().is_empty(), "{name}");
                for keep in act.keeps {
                    let copies = spec.act(DeedKind::Copy).is_some_and(|copy| copy.keeps.contains(keep));
                    assert!(copies, "{name}: no {} is ever made", keep.name());
                }
            }
        }
        assert_eq!(acting, 13, "kinds that something may be done to");
    }

    #[test]
    fn every_kind_is_named_as_its_file_and_declares_its_reads() {
        let mut ids = std::collections::BTreeSet::new();
        for (spec, file) in SPECS.iter().zip(FILES) {
            assert_eq!(spec.id.strip_prefix("azure.").unwrap().replace('-', "_"), *file);
            assert!(ids.insert(spec.id), "{} is registered twice", spec.id);
            assert!(!spec.reads.is_empty(), "{} declares no permission", spec.id);
            assert!(!spec.title.is_empty(), "{} has no title", spec.id);
            for op in spec.reads.iter().chain(spec.asks) {
                assert!(
                    op.split_once('/').is_some_and(|(service, action)| service.contains('.') && !action.is_empty()),
                    "{op}"
                );
            }
            for need in spec.needs {
                assert!(SPECS.iter().any(|spec| spec.id == *need), "{} needs {need}, which is no kind", spec.id);
            }
        }
    }
}
