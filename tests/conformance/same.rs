//! The same organisation, built once in each cloud, gives the same findings but for names.

use crate::world::{SETTINGS, Setting, World};
use std::{collections::BTreeSet, fmt::Write as _};
use sweeper_core::model::CloudId;
use sweeper_emulator::Org;

/// A thing that every cloud has, in the words of the emulator for each.
struct Thing {
    /// Its id, where a cloud does not say how ids look.
    name: &'static str,
    /// What is said of it, whatever the cloud: `found unattached-disk`.
    said: &'static [&'static str],
    aws: &'static str,
    azure: &'static str,
    gcp: &'static str,
}

/// Without an owner's tag where that is the point.
const THINGS: &[Thing] = &[
    Thing {
        name: "loose-disk",
        said: &["found unattached-disk"],
        aws: "kind = 'aws.ec2-volume'\nid = 'vol-0loose'\ntype = 'gp3'\nsize = 100\ntags = { owner = 'web' }",
        azure: "kind = 'azure.compute-disk'\nsize = 100\ntags = { owner = 'web' }",
        gcp: "kind = 'gcp.compute-disk'\nregion = 'europe-west1-b'\nsize = 100\ntags = { owner = 'web' }",
    },
    Thing {
        name: "disk-of-nobody",
        said: &["found unattached-disk", "found missing-owner"],
        aws: "kind = 'aws.ec2-volume'\nid = 'vol-0nobody'\ntype = 'gp3'",
        azure: "kind = 'azure.compute-disk'",
        gcp: "kind = 'gcp.compute-disk'\nregion = 'europe-west1-b'",
    },
    Thing {
        name: "disk-of-dead-cluster",
        said: &["found unattached-disk", "found dead-cluster"],
        aws: "kind = 'aws.ec2-volume'\nid = 'vol-0dead'\ntype = 'gp3'\n\
              tags = { owner = 'web', 'kubernetes.io/cluster/gone' = 'owned' }",
        azure: "kind = 'azure.compute-disk'\ntags = { owner = 'web', KubernetesCluster = 'gone' }",
        gcp: "kind = 'gcp.compute-disk'\nregion = 'europe-west1-b'\n\
              tags = { owner = 'web', goog-k8s-cluster-name = 'gone' }",
    },
    Thing {
        name: "expired-disk",
        said: &["found unattached-disk", "found expired"],
        aws: "kind = 'aws.ec2-volume'\nid = 'vol-0expired'\ntype = 'gp3'\ntags = { owner = 'web', expires-on = '2024-01-31' }",
        azure: "kind = 'azure.compute-disk'\ntags = { owner = 'web', expires-on = '2024-01-31' }",
        gcp: "kind = 'gcp.compute-disk'\nregion = 'europe-west1-b'\ntags = { owner = 'web', expires-on = '2024-01-31' }",
    },
    Thing {
        name: "stopped-machine",
        said: &["found stopped-vm"],
        aws: "kind = 'aws.ec2-instance'\nid = 'i-0stopped'\nstate = 'stopped'\nstopped_at = '-60d'\ntags = { owner = 'web' }",
        azure: "kind = 'azure.compute-vm'\nstate = 'deallocated'\nstate_since = '-60d'\ntags = { owner = 'web' }",
        gcp: "kind = 'gcp.compute-instance'\nregion = 'europe-west1-b'\nstatus = 'TERMINATED'\nstopped = '-60d'\n\
              tags = { owner = 'web' }",
    },
    Thing {
        name: "orphaned-snapshot",
        said: &["found orphaned-snapshot"],
        aws: "kind = 'aws.ec2-snapshot'\nid = 'snap-0orphan'\nvolume = 'vol-0gone'\ntags = { owner = 'web' }",
        azure: "kind = 'azure.compute-snapshot'\nsource = 'gone'\ntags = { owner = 'web' }",
        gcp: "kind = 'gcp.compute-snapshot'\nregion = 'global'\nsource_disk = 'zones/europe-west1-b/disks/gone'\ntags = { owner = 'web' }",
    },
    Thing {
        name: "kept-snapshot",
        said: &[],
        aws: "kind = 'aws.ec2-snapshot'\nid = 'snap-0kept'\nvolume = 'vol-0loose'\ntags = { owner = 'web' }",
        azure: "kind = 'azure.compute-snapshot'\nsource = 'loose-disk'\ntags = { owner = 'web' }",
        gcp: "kind = 'gcp.compute-snapshot'\nregion = 'global'\nsource_disk = 'zones/europe-west1-b/disks/loose-disk'\n\
              tags = { owner = 'web' }",
    },
    Thing {
        name: "unused-image",
        said: &["found unused-image"],
        aws: "kind = 'aws.ec2-image'\nid = 'ami-0unused'\ntags = { owner = 'web' }",
        azure: "kind = 'azure.compute-image'\ntags = { owner = 'web' }",
        gcp: "kind = 'gcp.compute-image'\nregion = 'global'\ntags = { owner = 'web' }",
    },
    Thing {
        name: "loose-address",
        said: &["found unassociated-address"],
        aws: "kind = 'aws.ec2-address'\nid = 'eipalloc-0loose'\ntags = { owner = 'web' }",
        azure: "kind = 'azure.network-public-ip'\ntags = { owner = 'web' }",
        gcp: "kind = 'gcp.compute-address'\ntags = { owner = 'web' }",
    },
];

impl Thing {
    fn of(&self, cloud: CloudId) -> &'static str {
        match cloud {
            CloudId::Aws => self.aws,
            CloudId::Azure => self.azure,
            CloudId::Gcp => self.gcp,
        }
    }

    /// Whether a native id is its own.
    fn is(&self, cloud: CloudId, native: &str) -> bool {
        let own = self.of(cloud).lines().find_map(|line| line.strip_prefix("id = ")).map(|id| id.trim_matches('\''));
        native.rsplit('/').next() == Some(own.unwrap_or(self.name))
    }
}

/// The organisation in one cloud: one account and all things.
fn organisation(cloud: CloudId) -> Org {
    let mut text = match cloud {
        CloudId::Aws => "[[account]]\nid = '111111111111'\nregions = ['us-east-1']\n".to_owned(),
        CloudId::Azure => {
            "[azure]\nroot = 'shop'\n\n[[account]]\ncloud = 'azure'\nid = '11111111-1111-1111-1111-111111111111'\nregions = ['westeurope']\n"
                .to_owned()
        }
        CloudId::Gcp => "[[account]]\ncloud = 'gcp'\nid = 'shop-prod'\nregions = ['europe-west1']\n".to_owned(),
    };
    for thing in THINGS {
        let body = thing.of(cloud);
        let _ = write!(text, "\n[[resource]]\ncreated = '-400d'\n{body}\n");
        if !body.contains("\nid = ") {
            let _ = writeln!(text, "id = '{}'", thing.name);
        }
    }
    Org::parse(&text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", cloud.name()))
}

/// What is said in one cloud: thing, verdict and detector.
fn said(setting: &'static Setting) -> BTreeSet<(String, String)> {
    let cloud = setting.cloud;
    let world = World::alone(setting, organisation(cloud));
    if cloud == CloudId::Azure {
        // Any subscription of the tenant may use an image: only who sees them all can say that none does.
        world.configure("[azure]\nmanagement_group = \"shop\"\norg = true\n");
    }
    let ran = world.report(Vec::new());
    assert_eq!(ran.code, Some(0), "{}: {}", cloud.name(), ran.shown());
    let report = ran.report();
    let findings = report.document.findings.iter().filter(|finding| finding.detector != "condition");
    findings
        .map(|finding| {
            let native = &finding.resource.native_id;
            let thing = THINGS.iter().find(|thing| thing.is(cloud, native));
            let name = thing.map_or_else(|| native.clone(), |thing| thing.name.to_owned());
            (name, format!("{} {}", finding.verdict.name(), finding.detector))
        })
        .collect()
}

#[test]
fn the_same_organisation_gives_the_same_findings() {
    let expected: BTreeSet<(String, String)> = THINGS
        .iter()
        .flat_map(|thing| thing.said.iter().map(|said| (thing.name.to_owned(), (*said).to_owned())))
        .collect();
    let mut wrong = String::new();
    for setting in SETTINGS {
        let said = said(setting);
        for (sign, one, other) in [("-", &expected, &said), ("+", &said, &expected)] {
            for (name, what) in one.difference(other) {
                let _ = writeln!(wrong, "{} {sign} {name}: {what}", setting.cloud.name());
            }
        }
    }
    assert!(wrong.is_empty(), "\n(-) expected, (+) reported\n{wrong}");
}
