//! Least-privilege roles, made of what the kinds declare, in each cloud's own form.

use crate::clouds::{self, Fences};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};
use sweeper_core::{
    deed::DeedKind,
    kind::{Held, KindSpec},
    model::CloudId,
};

/// The most that a managed policy of AWS may have, without white space (IAM and STS quotas: "6,144 characters").
const MOST_OF_A_POLICY: usize = 6_144;

/// Subscriptions and management groups are for the deployer to fill in.
const ANY_SUBSCRIPTION: &str = "/subscriptions/00000000-0000-0000-0000-000000000000";
const ANY_GROUP: &str = "/providers/Microsoft.Management/managementGroups/REPLACE-WITH-ITS-NAME";

/// Where a role is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum At {
    /// In each account, subscription or project
    Account,
    /// Once, at the organisation, management group or folder, for everything below it
    Parent,
}

/// What a role lets a sweeper do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum For {
    /// Look
    Read,
    /// Put tags on what is found
    Mark,
    /// Stop and delete what was approved, keep copies of it, and take it back
    Delete,
}

/// What a role allows: each permission with what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub what: For,
    pub cloud: CloudId,
    pub at: At,
    pub permissions: BTreeMap<&'static str, BTreeSet<&'static str>>,
    /// What AWS denies whatever the rest allows.
    denied: Vec<Denied>,
}

/// Actions that are denied by a tag of what they are about.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Denied {
    sid: &'static str,
    key: String,
    /// Where the tag is missing, rather than where it is.
    missing: bool,
    actions: BTreeSet<&'static str>,
}

impl Role {
    /// What looking needs, for some kinds of a cloud and for the run itself.
    pub fn read(cloud: CloudId, at: At, kinds: &[&'static KindSpec]) -> Self {
        let mut permissions: BTreeMap<&'static str, BTreeSet<&'static str>> = BTreeMap::new();
        let needs = clouds::needs(cloud);
        for spec in kinds.iter().filter(|spec| spec.cloud == cloud) {
            for permission in spec.reads.iter().chain(spec.asks) {
                permissions.entry(permission).or_default().insert(spec.id);
            }
        }
        for need in needs {
            match need.held {
                Held::Nowhere => {
                    permissions.remove(need.permission);
                }
                Held::Parent if at == At::Account => {}
                Held::Account | Held::Parent => {
                    permissions.entry(need.permission).or_default().insert(need.why);
                }
            }
        }
        Self { what: For::Read, cloud, at, permissions, denied: Vec::new() }
    }

    /// What changing needs beside looking: every call that the deeds of some kinds declare, and no other. Whoever
    /// marks cannot delete. What has one of the tags that `protect` has no deletion in AWS, nor what lacks the tag of
    /// `fence`: AWS reads tags when the call comes, after every look of ours.
    pub fn write(what: For, cloud: CloudId, at: At, kinds: &[&'static KindSpec], fences: &Fences) -> Self {
        let mut permissions: BTreeMap<&'static str, BTreeSet<&'static str>> = BTreeMap::new();
        for spec in kinds.iter().filter(|spec| spec.cloud == cloud) {
            let is_mark = |deed: DeedKind| matches!(deed, DeedKind::Tag | DeedKind::Untag);
            for act in spec.acts.iter().filter(|act| is_mark(act.deed) == (what == For::Mark)) {
                for permission in act.writes.iter().map(|write| &write.permission).chain(act.reads) {
                    permissions.entry(permission).or_default().insert(spec.id);
                }
            }
        }
        let denied = if cloud == CloudId::Aws && what == For::Delete { denied(kinds, fences) } else { Vec::new() };
        Self { what, cloud, at, permissions, denied }
    }

    fn title(&self) -> &'static str {
        match (self.what, self.at) {
            (For::Read, At::Account) => "sweeper-read",
            (For::Read, At::Parent) => "sweeper-read-all",
            (For::Mark, At::Account) => "sweeper-mark",
            (For::Mark, At::Parent) => "sweeper-mark-all",
            (For::Delete, At::Account) => "sweeper-delete",
            (For::Delete, At::Parent) => "sweeper-delete-all",
        }
    }

    /// The documents that the cloud's own tools take: one, or several where one would be too long or is not allowed
    /// to hold all.
    pub fn documents(&self) -> Vec<Value> {
        let all: Vec<&str> = self.permissions.keys().copied().collect();
        let about = match self.what {
            For::Read => "Reads what sweeper judges, and changes nothing",
            For::Mark => "Tags what sweeper found, beside its role for reading",
            For::Delete => "Stops, copies, deletes and restores what was approved, beside sweeper's role for reading",
        };
        match self.cloud {
            CloudId::Aws => parts(self.sid(), &all, &self.denied),
            CloudId::Azure => {
                let (data, actions): (Vec<&str>, Vec<&str>) = all.into_iter().partition(|one| is_of_data(one));
                let role = |name: &str, actions: &[&str], data: &[&str], scope: &str| {
                    json!({
                        "Name": name,
                        "IsCustom": true,
                        "Description": about,
                        "Actions": actions,
                        "NotActions": [],
                        "DataActions": data,
                        "NotDataActions": [],
                        "AssignableScopes": [scope],
                    })
                };
                match self.at {
                    At::Account => vec![role(self.title(), &actions, &data, ANY_SUBSCRIPTION)],
                    // "Custom roles with DataActions can't be assigned at the management group scope" (Azure custom
                    // roles, limits), so the data has a role of its own.
                    At::Parent if data.is_empty() => vec![role(self.title(), &actions, &[], ANY_GROUP)],
                    At::Parent => vec![
                        role(self.title(), &actions, &[], ANY_GROUP),
                        role(&format!("{}-data", self.title().trim_end_matches("-all")), &[], &data, ANY_SUBSCRIPTION),
                    ],
                }
            }
            CloudId::Gcp => vec![json!({
                "title": self.title(),
                "description": about,
                "stage": "GA",
                "includedPermissions": all,
            })],
        }
    }

    fn sid(&self) -> &'static str {
        match self.what {
            For::Read => "SweeperRead",
            For::Mark => "SweeperMark",
            For::Delete => "SweeperDelete",
        }
    }

    /// The documents as JSON, one after another.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        for document in self.documents() {
            serde_json::to_writer_pretty(&mut *out, &document)?;
            writeln!(out)?;
        }
        Ok(())
    }

    /// A line a permission, with what it is for.
    pub fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let width = self.permissions.keys().map(|permission| permission.len()).max().unwrap_or(0);
        for (permission, reasons) in &self.permissions {
            let reasons: Vec<&str> = reasons.iter().copied().collect();
            writeln!(out, "{permission:width$}  {}", reasons.join(", "))?;
        }
        Ok(())
    }
}

/// Whether an action of Azure is one on data, which roles list apart.
pub fn is_of_data(action: &str) -> bool {
    const DATA: &[&str] = &[
        "microsoft.storage/storageaccounts/blobservices/containers/blobs/",
        "microsoft.containerregistry/registries/repositories/",
    ];
    let action = action.to_ascii_lowercase();
    DATA.iter().any(|start| action.starts_with(start))
}

/// What tags keep from being stopped and deleted. A call that knows no `aws:ResourceTag` sees every key as missing, so
/// only kinds whose tags can be set are held to one that must be there.
fn denied(kinds: &[&'static KindSpec], fences: &Fences) -> Vec<Denied> {
    let of = |must_have_tags: bool| -> BTreeSet<&'static str> {
        let kinds = kinds.iter().filter(|spec| spec.cloud == CloudId::Aws);
        let kinds = kinds.filter(|spec| !must_have_tags || spec.act(DeedKind::Tag).is_some());
        let acts = kinds.flat_map(|spec| spec.acts);
        let acts = acts.filter(|act| act.deed.takes_away());
        acts.flat_map(|act| act.writes).map(|write| write.permission).collect()
    };
    let protected = fences.protect.iter().map(|key| Denied {
        sid: "SweeperProtected",
        key: key.clone(),
        missing: false,
        actions: of(false),
    });
    let condemned = fences.condemned.iter().map(|key| Denied {
        sid: "SweeperNotCondemned",
        key: key.clone(),
        missing: true,
        actions: of(true),
    });
    protected.chain(condemned).collect()
}

/// IAM policies of at most [`MOST_OF_A_POLICY`] characters that together allow all actions. What is denied stands in
/// the first: a denial holds whatever another policy allows.
fn parts(sid: &str, actions: &[&str], denied: &[Denied]) -> Vec<Value> {
    let document = |actions: &[&str]| {
        json!({
            "Version": "2012-10-17",
            "Statement": [{ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": "*" }],
        })
    };
    let frame = document(&[]).to_string().len();
    let denials: Vec<Value> = denied
        .iter()
        .enumerate()
        .map(|(at, denied)| {
            json!({
                // Sids are unique in a policy.
                "Sid": format!("{}{}", denied.sid, if at == 0 { String::new() } else { at.to_string() }),
                "Effect": "Deny",
                "Action": denied.actions,
                "Resource": "*",
                "Condition": { "Null": { format!("aws:ResourceTag/{}", denied.key): denied.missing.to_string() } },
            })
        })
        .collect();
    let mut parts = Vec::new();
    let mut part: Vec<&str> = Vec::new();
    let mut length = frame + denials.iter().map(|one| one.to_string().len() + 1).sum::<usize>();
    for action in actions {
        // Its quotes and a comma.
        let more = action.len() + 3;
        if length + more > MOST_OF_A_POLICY && !part.is_empty() {
            parts.push(document(&part));
            part.clear();
            length = frame;
        }
        length += more;
        part.push(action);
    }
    parts.push(document(&part));
    if let Some(Value::Array(statements)) = parts.first_mut().and_then(|first| first.get_mut("Statement")) {
        statements.extend(denials);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_policy_is_split_and_loses_nothing() {
        let actions: Vec<String> = (0..400).map(|n| format!("service{n}:DescribeManyThings")).collect();
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        let documents = parts("SweeperRead", &actions, &[]);
        assert!(documents.len() > 1 && documents.iter().all(|one| one.to_string().len() <= MOST_OF_A_POLICY));
        let again: Vec<&str> = documents
            .iter()
            .flat_map(|one| one["Statement"][0]["Action"].as_array().unwrap())
            .map(|action| action.as_str().unwrap())
            .collect();
        assert_eq!(again, actions);
        assert_eq!(parts("SweeperRead", &actions[..3], &[]).len(), 1);
    }

    #[cfg(feature = "aws")]
    #[test]
    fn what_is_protected_by_a_tag_has_no_deletion_in_aws() {
        let fences = Fences { protect: vec!["keep-out".to_owned()], condemned: Some("condemned".to_owned()) };
        let role = Role::write(For::Delete, CloudId::Aws, At::Account, &clouds::specs(), &fences);
        let documents = role.documents();
        let statements = documents[0]["Statement"].as_array().unwrap();
        let with = |key: &str| statements.iter().find(|one| one.to_string().contains(key)).unwrap();
        let (protected, condemned) = (with("aws:ResourceTag/keep-out"), with("aws:ResourceTag/condemned"));
        assert_eq!(protected["Condition"]["Null"]["aws:ResourceTag/keep-out"], "false");
        assert_eq!(condemned["Condition"]["Null"]["aws:ResourceTag/condemned"], "true");
        for one in [protected, condemned] {
            assert_eq!(one["Effect"], "Deny");
            assert!(one["Action"].to_string().contains("ec2:DeleteVolume"));
            // Copies are still made, and taken back.
            assert!(!one["Action"].to_string().contains("ec2:CreateSnapshot"));
        }
        // Uploads have no tags: nothing can be asked of them.
        assert!(protected["Action"].to_string().contains("s3:AbortMultipartUpload"));
        assert!(!condemned["Action"].to_string().contains("s3:AbortMultipartUpload"));
        assert!(documents.iter().all(|one| one.to_string().len() <= MOST_OF_A_POLICY));
    }

    #[test]
    fn what_contains_other_things_has_no_deletion() {
        use sweeper_core::model::Class;
        let specs = clouds::specs();
        let contains = [Class::Registry, Class::Bucket, Class::Cluster, Class::Referrer];
        for spec in specs.iter().filter(|spec| contains.contains(&spec.class)) {
            assert!(spec.act(DeedKind::Delete).is_none(), "{}", spec.id);
        }
        // Nor is there any call that deletes one, whatever kind declares it.
        const WHOLE: &[&str] = &[
            "DeleteBucket",
            "DeleteRepository",
            "DeleteCluster",
            "DeleteDBInstance",
            "DeleteDBCluster",
            "buckets.delete",
            "repositories.delete",
            "clusters.delete",
            "projects.delete",
            "instances.deleteAll",
            "resourceGroups/delete",
            "registries/delete",
            "storageAccounts/delete",
            "servers/delete",
            "managedClusters/delete",
        ];
        for write in specs.iter().flat_map(|spec| spec.acts).flat_map(|act| act.writes) {
            assert!(!WHOLE.iter().any(|whole| write.permission.ends_with(whole)), "{}", write.permission);
        }
    }

    #[test]
    fn roles_have_what_kinds_and_runs_need() {
        let specs = clouds::specs();
        for cloud in clouds::BUILT {
            let (own, all) = (Role::read(*cloud, At::Account, &specs), Role::read(*cloud, At::Parent, &specs));
            for spec in specs.iter().filter(|spec| spec.cloud == *cloud) {
                for permission in spec.reads.iter().chain(spec.asks) {
                    let free = clouds::needs(*cloud)
                        .iter()
                        .any(|need| need.permission == *permission && need.held == Held::Nowhere);
                    assert!(free || own.permissions.contains_key(permission), "{} of {}", permission, spec.id);
                    assert!(!permission.contains('*'), "{permission}");
                }
            }
            assert!(own.permissions.keys().all(|permission| all.permissions.contains_key(permission)));
            assert!(own.permissions.len() < all.permissions.len(), "a parent needs more");
        }
        assert!(is_of_data("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"));
        assert!(!is_of_data("Microsoft.Storage/storageAccounts/blobServices/containers/read"));
    }
}
