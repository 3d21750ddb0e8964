//! Least-privilege roles, made of what the kinds declare, in each cloud's own form.

use crate::clouds;
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
        Self { what: For::Read, cloud, at, permissions }
    }

    /// What changing needs beside looking: every call that the deeds of some kinds declare, and no other. Whoever
    /// marks cannot delete.
    pub fn write(what: For, cloud: CloudId, at: At, kinds: &[&'static KindSpec]) -> Self {
        let mut permissions: BTreeMap<&'static str, BTreeSet<&'static str>> = BTreeMap::new();
        for spec in kinds.iter().filter(|spec| spec.cloud == cloud) {
            let is_mark = |deed: DeedKind| matches!(deed, DeedKind::Tag | DeedKind::Untag);
            for act in spec.acts.iter().filter(|act| is_mark(act.deed) == (what == For::Mark)) {
                for permission in act.writes.iter().map(|write| &write.permission).chain(act.reads) {
                    permissions.entry(permission).or_default().insert(spec.id);
                }
            }
        }
        Self { what, cloud, at, permissions }
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
            CloudId::Aws => parts(self.sid(), &all),
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

/// IAM policies of at most [`MOST_OF_A_POLICY`] characters that together allow all actions.
fn parts(sid: &str, actions: &[&str]) -> Vec<Value> {
    let document = |actions: &[&str]| {
        json!({
            "Version": "2012-10-17",
            "Statement": [{ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": "*" }],
        })
    };
    let frame = document(&[]).to_string().len();
    let mut parts = Vec::new();
    let mut part: Vec<&str> = Vec::new();
    let mut length = frame;
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
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_policy_is_split_and_loses_nothing() {
        let actions: Vec<String> = (0..400).map(|n| format!("service{n}:DescribeManyThings")).collect();
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        let documents = parts("SweeperRead", &actions);
        assert!(documents.len() > 1 && documents.iter().all(|one| one.to_string().len() <= MOST_OF_A_POLICY));
        let again: Vec<&str> = documents
            .iter()
            .flat_map(|one| one["Statement"][0]["Action"].as_array().unwrap())
            .map(|action| action.as_str().unwrap())
            .collect();
        assert_eq!(again, actions);
        assert_eq!(parts("SweeperRead", &actions[..3]).len(), 1);
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
