//! Which detector judges what in which cloud: the text of `policies/DETECTORS.md`, held to the kinds of all clouds.

use crate::clouds;
use CloudId::{Aws, Azure, Gcp};
use std::{collections::BTreeSet, fmt::Write as _, path::Path};
use sweeper_core::{
    detect::{DETECTORS, Spec},
    model::CloudId,
};

/// Why a detector judges nothing in a cloud. Every pair without a kind is here, and no other.
const BLANKS: &[(&str, CloudId, &str)] = &[
    ("incomplete-upload", Azure, "blocks that are not committed are removed after a week"),
    ("incomplete-upload", Gcp, "resumable uploads end after a week"),
    ("old-function-version", Azure, "an app keeps no versions"),
    ("unattached-interface", Gcp, "an interface is a part of its machine"),
    ("idle-endpoint", Azure, "private endpoints are not listed"),
    ("idle-endpoint", Gcp, "an endpoint is a forwarding rule"),
    ("unbound-target-group", Azure, "a backend pool is a part of its balancer"),
    ("unbound-target-group", Gcp, "backend services and target pools cost nothing, and are not listed by themselves"),
    ("idle-network-appliance", Aws, "gateways and firewalls of this sort are not listed"),
    ("idle-network-appliance", Gcp, "gateways and firewalls of this sort are not listed"),
    ("unused-security-group", Gcp, "firewall rules belong to the network and name no machines"),
    ("sourceless-db-snapshot", Azure, "backups end some weeks after their server, by themselves"),
    ("sourceless-db-snapshot", Gcp, "backups end with their instance, or some days after it"),
    ("empty-plan", Aws, "nothing is billed as a plan"),
    ("empty-plan", Gcp, "nothing is billed as a plan"),
];

/// Why a detector never finds anything in a cloud although it judges kinds there: none shows the pattern.
const NEVER: &[(&str, CloudId, &str)] = &[
    ("previous-generation-disk", Azure, "no tier has a cheaper successor that a disk is moved to in place"),
    ("previous-generation-disk", Gcp, "no type has a cheaper successor that a disk is moved to in place"),
    ("stopped-not-deallocated", Aws, "the compute of a stopped instance is not billed"),
    ("stopped-not-deallocated", Gcp, "the compute of a stopped instance is not billed"),
    ("stale-artifact", Azure, "the registry records no pulls"),
    ("stale-artifact", Gcp, "the registry records no pulls"),
    ("stale-log-group", Azure, "when it was last written to is not told"),
    ("stale-log-group", Gcp, "when it was last written to is not told"),
    ("unbounded-log-group", Azure, "retention always has an end"),
    ("unbounded-log-group", Gcp, "retention always has an end"),
];

/// Why nothing is found, if so.
fn blank(detector: &str, cloud: CloudId) -> Option<&'static str> {
    let all = BLANKS.iter().chain(NEVER);
    all.filter(|(id, of, _)| *id == detector && *of == cloud).map(|(.., why)| *why).next()
}

/// The kinds of a cloud that a detector judges.
fn kinds(spec: &Spec, cloud: CloudId) -> BTreeSet<&'static str> {
    let judged = clouds::specs().into_iter().filter(|kind| kind.cloud == cloud && spec.judges(kind.class));
    judged.map(|kind| kind.id).collect()
}

fn markdown() -> String {
    let mut out = String::from(
        "# Detectors by cloud\n\n\
         <!-- Generated from the kinds of all clouds and sweeper/app/src/detectors.rs: \
         `SWEEPER_BLESS=1 cargo test -p sweeper --bin sweeper detectors`. -->\n\n\
         The kinds that each detector judges; where it finds nothing, why. Vocabulary and policies do not differ by \
         cloud.\n\n\
         | detector | finds a … | AWS | Azure | GCP |\n|---|---|---|---|---|\n",
    );
    for spec in DETECTORS.iter().map(|detector| detector.spec) {
        let _ = write!(out, "| `{}` | {} |", spec.id, spec.title);
        for cloud in CloudId::ALL {
            let prefix = format!("{}.", cloud.name());
            let cell = if let Some(why) = blank(spec.id, cloud) {
                format!("*{why}*")
            } else {
                let kinds = kinds(spec, cloud);
                let names = kinds.iter().map(|id| format!("`{}`", id.strip_prefix(&prefix).unwrap_or(id)));
                names.collect::<Vec<_>>().join(" ")
            };
            let _ = write!(out, " {cell} |");
        }
        out.push('\n');
    }
    out
}

#[test]
fn every_blank_is_explained() {
    let given = |table: &[(&'static str, CloudId, &str)]| -> BTreeSet<(&'static str, CloudId)> {
        assert!(table.iter().all(|(.., why)| !why.is_empty()));
        table.iter().map(|(id, cloud, _)| (*id, *cloud)).collect()
    };
    let pairs = DETECTORS.iter().flat_map(|detector| CloudId::ALL.map(|cloud| (detector.spec, cloud)));
    let (with, without): (Vec<_>, Vec<_>) = pairs.partition(|(spec, cloud)| !kinds(spec, *cloud).is_empty());
    let without: BTreeSet<_> = without.into_iter().map(|(spec, cloud)| (spec.id, cloud)).collect();
    let with: BTreeSet<_> = with.into_iter().map(|(spec, cloud)| (spec.id, cloud)).collect();
    assert_eq!(given(BLANKS), without, "explained (left) and without a kind (right)");
    let wrong: Vec<_> = given(NEVER).difference(&with).copied().collect();
    assert!(wrong.is_empty(), "never found, and not judged at all: {wrong:?}");
    assert_eq!(BLANKS.len() + NEVER.len(), given(BLANKS).len() + given(NEVER).len(), "a pair is explained twice");
}

#[test]
fn the_table_is_written_down() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/DETECTORS.md");
    let now = markdown();
    if std::env::var_os("SWEEPER_BLESS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == now, "{} is out of date: run the tests with SWEEPER_BLESS=1", path.display());
}
