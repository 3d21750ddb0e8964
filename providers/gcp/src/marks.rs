//! Who manages a resource, by the marks that managers leave in labels.

use crate::paths;
use std::collections::HashMap;

/// Label keys and what they say. The value is appended where it names something.
/// Sources: the label pages of GKE, Dataproc, Dataflow, Cloud Composer, Config Connector (`managed-by-cnrm`), the
/// Terraform provider (`goog-terraform-provisioned`), Deployment Manager, Batch, Vertex AI Workbench, Cloud Data
/// Fusion, Backup and DR Service and the Compute Engine persistent disk driver of Kubernetes.
const MARKS: &[(&str, &str, bool)] = &[
    ("goog-dataproc-cluster-name", "Dataproc cluster", true),
    ("goog-dataproc-cluster-uuid", "Dataproc cluster", false),
    ("goog-dataflow-job-name", "Dataflow job", true),
    ("goog-dataflow-job-id", "Dataflow job", true),
    ("goog-composer-environment", "Cloud Composer environment", true),
    ("goog-batch-job-uid", "Batch job", true),
    ("goog-batch-worker", "Batch job", false),
    ("goog-vertex-ai-workbench", "Vertex AI Workbench", false),
    ("notebooks-instance", "Vertex AI Workbench", false),
    ("goog-backupdr-managed", "Backup and DR Service", false),
    ("goog-managed-by", "service", true),
    ("firebase-functions-hash", "Firebase", false),
    ("gcb-trigger-id", "Cloud Build trigger", true),
    ("goog-dm", "Deployment Manager deployment", true),
    ("managed-by-cnrm", "Config Connector", false),
    ("goog-config-connector", "Config Connector", false),
    ("goog-terraform-provisioned", "Terraform", false),
];

/// What clusters make. These come last, so that who carries one of these carries no other: the core takes it for nothing
/// once the cluster is gone.
const CLUSTERS: &[(&str, &str, bool)] = &[
    ("goog-k8s-cluster-name", "GKE cluster", true),
    ("goog-gke-node", "GKE node pool", false),
    ("goog-gke-volume", "GKE volume", false),
];

/// Labels in the order of their keys.
pub(crate) fn tags(labels: &HashMap<String, String>) -> Vec<(&str, &str)> {
    let mut tags: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    tags.sort_unstable();
    tags
}

/// `GKE cluster blue`, or empty.
pub(crate) fn managed_by(labels: &HashMap<String, String>) -> String {
    described_by(None, labels)
}

/// As [`managed_by`], with what Kubernetes writes into a description, which names a claim where labels name a cluster.
pub(crate) fn described_by(description: Option<&str>, labels: &HashMap<String, String>) -> String {
    first([labelled(MARKS, labels), described(description), labelled(CLUSTERS, labels)])
}

fn labelled(marks: &[(&str, &str, bool)], labels: &HashMap<String, String>) -> String {
    if labels.is_empty() {
        return String::new();
    }
    for (key, manager, names) in marks {
        if let Some(value) = labels.get(*key) {
            if value == "false" {
                continue;
            }
            return if *names && !value.is_empty() { format!("{manager} {value}") } else { (*manager).to_owned() };
        }
    }
    String::new()
}

/// The cluster whose mark the labels carry: `projects/p/locations/l/clusters/n`, or its bare name where the
/// labels do not say where it is; empty for none.
pub(crate) fn cluster(project: &str, labels: &HashMap<String, String>) -> String {
    let Some(name) = labels.get("goog-k8s-cluster-name").filter(|name| !name.is_empty()) else {
        return String::new();
    };
    match labels.get("goog-k8s-cluster-location").filter(|location| !location.is_empty()) {
        Some(location) => format!("projects/{project}/locations/{location}/clusters/{name}"),
        None => name.clone(),
    }
}

/// What Kubernetes writes into the description of a disk or load balancer it makes, JSON of one level:
/// `{"kubernetes.io/created-for/pvc/name": "data-0", …}` or `{"kubernetes.io/service-name": "ns/web"}`.
fn described(description: Option<&str>) -> String {
    let Some(text) = description.map(str::trim).filter(|text| text.starts_with('{') && text.len() <= 4096) else {
        return String::new();
    };
    let Ok(said) = serde_json::from_str::<HashMap<String, serde_json::Value>>(text) else { return String::new() };
    let get = |key: &str| said.get(key).and_then(serde_json::Value::as_str).filter(|value| !value.is_empty());
    if let Some(claim) = get("kubernetes.io/created-for/pvc/name") {
        let namespace = get("kubernetes.io/created-for/pvc/namespace").unwrap_or("?");
        return format!("Kubernetes claim {namespace}/{claim}");
    }
    if let Some(volume) = get("kubernetes.io/created-for/pv/name") {
        return format!("Kubernetes volume {volume}");
    }
    if let Some(service) = get("kubernetes.io/service-name") {
        return format!("Kubernetes service {service}");
    }
    if let Some(ingress) = get("kubernetes.io/ingress-name") {
        return format!("Kubernetes ingress {ingress}");
    }
    if let Some(driver) = get("storage.gke.io/created-by") {
        return format!("Kubernetes storage driver {driver}");
    }
    String::new()
}

/// The first of the marks that says something.
pub(crate) fn first(marks: impl IntoIterator<Item = String>) -> String {
    marks.into_iter().find(|mark| !mark.is_empty()).unwrap_or_default()
}

/// The managed group that made a machine, by the one metadata key that says so; the others may hold secrets.
pub(crate) fn group(created_by: Option<&str>) -> String {
    match created_by {
        Some(group) if group.contains("/instanceGroupManagers/") => format!("managed group {}", paths::last(group)),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_mark_names_its_manager() {
        assert_eq!(managed_by(&labels(&[("env", "dev"), ("goog-dataproc-cluster-name", "d")])), "Dataproc cluster d");
        assert_eq!(managed_by(&labels(&[("goog-gke-volume", "")])), "GKE volume");
        assert_eq!(managed_by(&labels(&[("goog-terraform-provisioned", "true")])), "Terraform");
        assert_eq!(managed_by(&labels(&[("goog-terraform-provisioned", "false")])), "");
        assert_eq!(managed_by(&labels(&[("owner", "x")])), "");
        let cluster = ("goog-k8s-cluster-name", "blue");
        let claim = Some(r#"{"kubernetes.io/created-for/pvc/name":"data"}"#);
        assert_eq!(described_by(claim, &labels(&[cluster])), "Kubernetes claim ?/data");
        assert_eq!(described_by(None, &labels(&[cluster])), "GKE cluster blue");
        // Anybody else comes before a cluster, which may be gone.
        assert_eq!(described_by(claim, &labels(&[cluster, ("goog-terraform-provisioned", "true")])), "Terraform");
    }

    #[test]
    fn the_cluster_a_mark_names() {
        assert_eq!(cluster("p", &labels(&[("goog-k8s-cluster-name", "blue")])), "blue");
        let both = labels(&[("goog-k8s-cluster-name", "blue"), ("goog-k8s-cluster-location", "us-a1")]);
        assert_eq!(cluster("p", &both), "projects/p/locations/us-a1/clusters/blue");
        assert_eq!(cluster("p", &labels(&[])), "");
    }

    #[test]
    fn descriptions() {
        let claim = r#"{"kubernetes.io/created-for/pv/name":"pvc-1","kubernetes.io/created-for/pvc/name":"data-0","kubernetes.io/created-for/pvc/namespace":"shop"}"#;
        assert_eq!(described(Some(claim)), "Kubernetes claim shop/data-0");
        assert_eq!(described(Some(r#"{"kubernetes.io/service-name":"shop/web"}"#)), "Kubernetes service shop/web");
        for none in [None, Some(""), Some("a disk"), Some("{"), Some("{\"a\": 1}"), Some("[[[[")] {
            assert_eq!(described(none), "", "{none:?}");
        }
    }
}
