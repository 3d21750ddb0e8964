//! Who manages a resource, by the marks that managers leave.

use crate::entity::{Entity, group_id, part};

/// Tag keys (a trailing `*` is any rest) and what they say. The value is appended where it names something. Sources: the
/// documentation of AKS, the Azure disk driver of Kubernetes, Site Recovery, Azure Backup, Databricks, Azure
/// DevTest Labs and Service Fabric.
const MARKS: &[(&str, &str)] = &[
    ("asr-replicadisk", "Site Recovery"),
    ("asrseeddisk*", "Site Recovery"),
    ("asrmigration", "Site Recovery"),
    ("rsvaultbackup", "Azure Backup"),
    ("databricks-instance-name", "Databricks"),
    ("hidden-devtestlabs-*", "DevTest Labs"),
    ("azd-env-name", "Azure Developer CLI environment"),
    ("terraformworkspace", "Terraform workspace"),
    ("terraform", "Terraform"),
];

/// What clusters make. These come last, so that who carries one of these carries no other: the core takes it for nothing
/// once the cluster is gone.
const CLUSTERS: &[(&str, &str)] = &[
    ("aks-managed-cluster-name", "AKS cluster"),
    ("aks-managed-*", "AKS cluster"),
    ("kubernetes.io-created-for-pvc-name", "Kubernetes claim"),
    ("kubernetes.io/created-for/pvc/name", "Kubernetes claim"),
    ("kubernetes-created-for-pvc-name", "Kubernetes claim"),
    ("k8s-azure-created-by", "Kubernetes"),
    ("k8s-azure-service", "Kubernetes service"),
    ("kubernetes-service", "Kubernetes service"),
    ("k8s-azure-cluster-name", "Kubernetes cluster"),
    ("k8s-azure-dns-label-service", "Kubernetes service"),
    ("kubernetes.io/cluster/*", "Kubernetes cluster"),
    ("kubernetescluster", "Kubernetes cluster"),
];

/// Values of the tags with which people say who manages a thing.
const MANAGER_KEYS: &[&str] = &["managed-by", "managedby", "managed_by", "provisioner", "createdby", "created-by"];
const MANAGERS: &[(&str, &str)] = &[
    ("terraform", "Terraform"),
    ("opentofu", "OpenTofu"),
    ("pulumi", "Pulumi"),
    ("bicep", "Bicep"),
    ("crossplane", "Crossplane"),
    ("ansible", "Ansible"),
    ("packer", "Packer"),
];

/// `AKS cluster shop`, or empty.
pub(crate) fn managed_by<P>(entity: &Entity<P>) -> String {
    let marks = [marked(MARKS, entity), said(entity), marked(CLUSTERS, entity)];
    if let Some(mark) = marks.into_iter().find(|mark| !mark.is_empty()) {
        return mark;
    }
    match part(&entity.id, "resourceGroups") {
        Some(group) if is_node_group(group) => format!("AKS node resource group {group}"),
        // The group that Azure Backup makes for its restore points, whose number ends its name.
        Some(group) if group.to_ascii_lowercase().starts_with("azurebackuprg_") => "Azure Backup".to_owned(),
        _ => String::new(),
    }
}

fn marked<P>(marks: &[(&str, &str)], entity: &Entity<P>) -> String {
    for (mark, manager) in marks {
        for (key, value) in entity.tags.iter() {
            if let Some(prefix) = mark.strip_suffix('*') {
                if key.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)) {
                    return format!("{manager} {}", &key[prefix.len()..]).trim_end().to_owned();
                }
            } else if key.eq_ignore_ascii_case(mark) {
                return format!("{manager} {value}").trim_end().to_owned();
            }
        }
    }
    String::new()
}

/// The manager that people name.
fn said<P>(entity: &Entity<P>) -> String {
    for (key, value) in entity.tags.iter() {
        if MANAGER_KEYS.iter().any(|known| key.eq_ignore_ascii_case(known)) {
            let value = value.to_ascii_lowercase();
            if let Some((_, manager)) = MANAGERS.iter().find(|(word, _)| value.starts_with(word)) {
                return (*manager).to_owned();
            }
        }
    }
    String::new()
}

/// Whether a resource group has the name that AKS gives to those of its nodes.
fn is_node_group(group: &str) -> bool {
    group.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("MC_"))
}

/// The cluster whose mark a resource carries: the id of the node resource group for AKS, a name for others.
pub(crate) fn cluster<P>(entity: &Entity<P>) -> Option<String> {
    let group = part(&entity.id, "resourceGroups")?;
    if is_node_group(group) || entity.tag("aks-managed-cluster-name").is_some() {
        return group_id(&entity.id);
    }
    let owned = entity.tags.iter().find_map(|(key, value)| {
        let name = key.strip_prefix("kubernetes.io/cluster/").or_else(|| key.strip_prefix("kubernetes.io_cluster."))?;
        (value == "owned").then(|| name.to_owned())
    });
    owned.or_else(|| entity.tag("KubernetesCluster").map(ToOwned::to_owned)).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::Pairs;

    fn entity(group: &str, tags: &[(&str, &str)]) -> Entity<()> {
        Entity {
            id: format!("/subscriptions/S/resourceGroups/{group}/providers/Microsoft.Compute/disks/d"),
            name: None,
            location: None,
            tags: Pairs::of(tags),
            sku: None,
            kind: None,
            managed_by: None,
            managed_by_extended: None,
            properties: (),
        }
    }

    #[test]
    fn a_mark_names_its_manager() {
        assert_eq!(
            managed_by(&entity("rg", &[("env", "dev"), ("aks-managed-cluster-name", "shop")])),
            "AKS cluster shop"
        );
        assert_eq!(managed_by(&entity("rg", &[("ASR-ReplicaDisk", "")])), "Site Recovery");
        assert_eq!(managed_by(&entity("rg", &[("Managed-By", "terraform")])), "Terraform");
        assert_eq!(managed_by(&entity("MC_rg_shop_eastus", &[])), "AKS node resource group MC_rg_shop_eastus");
        assert_eq!(managed_by(&entity("rg", &[("owner", "x"), ("é", "y")])), "");
        // Anybody else comes before a cluster, which may be gone.
        let cluster = ("aks-managed-cluster-name", "shop");
        assert_eq!(managed_by(&entity("MC_rg", &[cluster, ("managed-by", "terraform")])), "Terraform");
        assert_eq!(managed_by(&entity("rg", &[cluster, ("rsvaultbackup", "x")])), "Azure Backup x");
    }

    #[test]
    fn a_cluster_is_known_by_its_node_group_or_name() {
        let group = Some("/subscriptions/s/resourcegroups/mc_rg_shop_eastus".to_owned());
        assert_eq!(cluster(&entity("MC_rg_shop_eastus", &[])), group);
        assert_eq!(
            cluster(&entity("nodes", &[("aks-managed-cluster-name", "shop")])),
            Some("/subscriptions/s/resourcegroups/nodes".to_owned())
        );
        assert_eq!(cluster(&entity("rg", &[("kubernetes.io_cluster.blue", "owned")])), Some("blue".to_owned()));
        assert_eq!(cluster(&entity("rg", &[("kubernetes.io/cluster/blue", "shared")])), None);
        assert_eq!(cluster(&entity("rg", &[])), None);
    }
}
