//! Containers of blob storage. A container is found by Resource Manager, and asked itself whether it is empty.

use super::storage_account::{self, API, CONTAINERS, endpoint, keeps_blobs};
use crate::{
    arm::{Auth, Azure, expecting},
    entity::{Common, Entity, part},
    graph, locks, rights, shared,
    transport::{Expect, Request, Service},
};
use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::Site,
    facts::Bucket,
    inventory::{Draft, Inventory, Listing, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId},
};
use url::Url;

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.storage-container",
    cloud: CloudId::Azure,
    class: Class::Bucket,
    title: "blob container",
    places: Places::Account,
    reads: &[CONTAINERS, storage_account::LIST, rights::OP, locks::OP, graph::OP],
    asks: &[BLOBS],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "a container contains other things",
    acts: &[],
};

const BLOBS: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read";

/// The version of Blob storage's API: 2020-02-10 and later tell of everything that is deleted and kept.
const VERSION: &str = "2021-12-02";

/// Containers that a service makes for itself and makes again: Functions' and WebJobs' own state, logs of Azure
/// Monitor, boot diagnostics, the account's own logs and change feed. They are parts of their service's machinery,
/// empty or not (a trailing `*` is any rest). Sources: the documentation of each.
const MACHINERY: &[&str] = &[
    "$logs",
    "$blobchangefeed",
    "azure-webjobs-*",
    "insights-*",
    "bootdiagnostics-*",
    "am-*",
    "wad-*",
    "scm-releases",
    "function-releases",
    "app-package-*",
    "azureml-metrics",
    "snapshotzips",
];

#[derive(Deserialize)]
struct Container {
    id: String,
    name: String,
    #[serde(default)]
    properties: Properties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    deleted: Option<bool>,
    lease_state: Option<String>,
    lease_status: Option<String>,
    has_immutability_policy: Option<bool>,
    has_legal_hold: Option<bool>,
    immutable_storage_with_versioning: Option<Immutable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Immutable {
    enabled: Option<bool>,
}

impl Properties {
    /// What keeps it from being deleted; empty for nothing.
    fn protected(&self) -> &'static str {
        let is =
            |text: &Option<String>, word: &str| text.as_deref().is_some_and(|text| text.eq_ignore_ascii_case(word));
        if self.has_legal_hold == Some(true) {
            "legal hold"
        } else if self.has_immutability_policy == Some(true)
            || self.immutable_storage_with_versioning.as_ref().is_some_and(|versions| versions.enabled == Some(true))
        {
            "immutability policy"
        } else if is(&self.lease_state, "Leased") || is(&self.lease_status, "Locked") {
            "lease"
        } else {
            ""
        }
    }
}

fn is_machinery(name: &str) -> bool {
    MACHINERY.iter().any(|known| match known.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == *known,
    })
}

pub(super) struct StorageContainer(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for StorageContainer {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let accounts = storage_account::accounts(&self.0, site, Some(&mut *out)).await?;
        let around = self.0.around(site, storage_account::LIST, out).await;
        let accounts: Vec<_> = accounts.iter().filter(|account| keeps_blobs(account)).collect();
        let work: Vec<_> = accounts.iter().map(|account| containers(&self.0, site, &account.id)).collect();
        let mut results = stream::iter(work).buffered(shared::AT_ONCE);
        let mut at = accounts.iter();
        while let Some(containers) = results.next().await {
            let Some(account) = at.next() else { break };
            let common = around.common(account);
            match containers {
                Ok(containers) => {
                    for container in &containers {
                        push(account, &common, container, out);
                    }
                }
                Err(error) if shared::stops(&error) => return Err(error),
                Err(error) => out.blind_in(&common.region, error.cause()),
            }
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let listed = match storage_account::accounts(&self.0, site, None).await {
            Ok(accounts) => accounts,
            Err(error) => return Ok(asks.iter().map(|ask| (*ask, Answer::Unseen(error.cause()))).collect()),
        };
        let accounts: BTreeMap<String, &Entity<storage_account::Properties>> =
            listed.iter().map(|account| (account.name().to_ascii_lowercase(), account)).collect();
        let mut answers = Vec::new();
        let mut work = Vec::new();
        for ask in asks {
            match ask.question {
                // Storage is measured by account.
                Question::Usage { .. } => answers.push((*ask, shared::unmeasured(ask.question))),
                Question::Holds => {
                    let id = inventory.at(ask.resource).native_id();
                    let account = part(id, "storageAccounts").unwrap_or_default().to_ascii_lowercase();
                    work.push((*ask, holds_anything(&self.0, site, accounts.get(&account).copied(), id)));
                }
                _ => {}
            }
        }
        answers.extend(shared::each(work).await);
        Ok(answers)
    }
}

/// The containers of an account, without those that were deleted; none when the account is gone by now.
async fn containers(azure: &Azure, site: &Site, account: &str) -> Result<Vec<Container>, CloudError> {
    match azure.list(site, CONTAINERS, &format!("{account}/blobServices/default/containers"), API).await {
        Err(error) if error.fault == Fault::NotFound => Ok(Vec::new()),
        containers => containers,
    }
}

fn push(account: &Entity<storage_account::Properties>, common: &Common, container: &Container, out: &mut Listing) {
    if container.properties.deleted == Some(true) {
        return;
    }
    // Versions and rules are set for the whole account, which is judged for them.
    let facts = Bucket {
        versioned: Some(false),
        lifecycle: None,
        noncurrent_rule: None,
        abort_rule: Some(true),
        machinery: is_machinery(&container.name),
    };
    let lower = container.id.to_ascii_lowercase();
    let of_account = common.draft(account, facts);
    let own = container.properties.protected();
    out.push(Draft {
        native_id: &container.id,
        name: &container.name,
        // Containers have no tags: an owner is named at the account.
        tags: Tags::Read(account.tags.iter().collect()),
        protected: if own.is_empty() { of_account.protected } else { own },
        also: vec![&lower],
        ..of_account
    });
}

/// Whether anything is in a container: a blob, a version or snapshot of one, one that was deleted and is kept, or
/// one that was not uploaded wholly.
async fn holds_anything(
    azure: &Azure,
    site: &Site,
    account: Option<&Entity<storage_account::Properties>>,
    container: &str,
) -> Result<Answer, CloudError> {
    let gone = || CloudError::new(Fault::NotFound, BLOBS, "");
    let account = account.ok_or_else(gone)?;
    let name = part(container, "containers").ok_or_else(gone)?;
    let refused = |said: &str| CloudError::new(Fault::Refused, BLOBS, said);
    let host = endpoint(account).ok_or_else(|| refused("the account tells no place of its blobs"))?;
    // With folders there are no versions, and asking for them is refused.
    let include = match account.properties.is_hns_enabled {
        Some(true) => "snapshots,uncommittedblobs,deleted",
        _ => "snapshots,uncommittedblobs,deleted,versions",
    };
    let mut url = Url::parse(host).map_err(|_| refused("the place of its blobs is no URL"))?;
    url.path_segments_mut().map_err(|()| refused("the place of its blobs is no URL"))?.pop_if_empty().push(name);
    url.set_query(Some(&format!("restype=container&comp=list&maxresults=1&include={include}")));
    let mut request = expecting(Request::get(Service::Blob, url), "application/xml", Expect::Xml);
    request.headers.push(("x-ms-version", VERSION.to_owned()));
    let reply = azure.send(site, BLOBS, request, Auth::Service).await?;
    let text = String::from_utf8_lossy(&reply.body);
    listed_anything(&text)
        .map(Answer::Truth)
        .ok_or_else(|| CloudError::new(Fault::Malformed, BLOBS, "no list of blobs"))
}

/// Whether a list of blobs has anything on it, or goes on; `None` where it is no such list.
fn listed_anything(text: &str) -> Option<bool> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let whole =
        text.contains("<EnumerationResults") && text.ends_with("</EnumerationResults>") && text.contains("<Blobs");
    let goes_on = text.split_once("<NextMarker>").is_some_and(|(_, rest)| !rest.trim_start().starts_with('<'));
    whole.then(|| text.contains("<Blob>") || text.contains("<BlobPrefix>") || goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_blobs_says_what_is_there() {
        let list = |inner: &str| {
            format!(
                "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://a/\">{inner}</EnumerationResults>"
            )
        };
        assert_eq!(listed_anything(&list("<MaxResults>1</MaxResults><Blobs /><NextMarker />")), Some(false));
        assert_eq!(listed_anything(&list("<Blobs></Blobs><NextMarker></NextMarker>")), Some(false));
        assert_eq!(listed_anything(&list("<Blobs><Blob><Name>a</Name></Blob></Blobs><NextMarker />")), Some(true));
        assert_eq!(listed_anything(&list("<Blobs /><NextMarker>2!84</NextMarker>")), Some(true));
        assert_eq!(listed_anything("<html></html>"), None);
        assert_eq!(listed_anything(&list("")), None);
        assert_eq!(listed_anything("<EnumerationResults><Blobs>"), None);
    }

    #[test]
    fn holds_policies_and_leases_protect() {
        let protected = |text: &str| serde_json::from_str::<Properties>(text).unwrap().protected();
        assert_eq!(protected(r#"{"hasLegalHold":true}"#), "legal hold");
        assert_eq!(protected(r#"{"hasImmutabilityPolicy":true}"#), "immutability policy");
        assert_eq!(protected(r#"{"immutableStorageWithVersioning":{"enabled":true}}"#), "immutability policy");
        assert_eq!(protected(r#"{"leaseStatus":"Locked","leaseState":"Leased"}"#), "lease");
        assert_eq!(protected(r#"{"leaseStatus":"Unlocked","leaseState":"Available","hasLegalHold":false}"#), "");
    }

    #[test]
    fn services_keep_containers_of_their_own() {
        for own in ["$logs", "azure-webjobs-secrets", "insights-logs-auditevent", "bootdiagnostics-web-1"] {
            assert!(is_machinery(own), "{own}");
        }
        for ours in ["$web", "$root", "insight", "webjobs", "data"] {
            assert!(!is_machinery(ours), "{ours}");
        }
    }
}
