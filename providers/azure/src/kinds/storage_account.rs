//! Storage accounts: containers of blob containers, shares, queues and tables. One that hides its configuration is
//! listed all the same: what it hides is unknown.

use crate::{
    arm::Azure,
    entity::{Common, Entity, Sort, at},
    graph, locks, rights, shared,
    usage::{self, Aggregation, Combine, Measure},
};
use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use serde::{Deserialize, de::IgnoredAny};
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::Site,
    facts::Bucket,
    inventory::{Inventory, Listing, Resource},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.storage-account",
    cloud: CloudId::Azure,
    class: Class::Bucket,
    title: "storage account",
    places: Places::Account,
    reads: &[LIST, SERVICE, POLICY, rights::OP, locks::OP, graph::OP],
    asks: &[usage::OP, CONTAINERS, SHARES, QUEUES, TABLES],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "a storage account contains other things",
    acts: &[],
};

pub(super) const LIST: &str = "Microsoft.Storage/storageAccounts/read";
pub(super) const CONTAINERS: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/read";
const SERVICE: &str = "Microsoft.Storage/storageAccounts/blobServices/read";
const POLICY: &str = "Microsoft.Storage/storageAccounts/managementPolicies/read";
const SHARES: &str = "Microsoft.Storage/storageAccounts/fileServices/shares/read";
const QUEUES: &str = "Microsoft.Storage/storageAccounts/queueServices/queues/read";
const TABLES: &str = "Microsoft.Storage/storageAccounts/tableServices/tables/read";

pub(super) const API: &str = "2023-05-01";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Storage/storageAccounts",
    columns: "sku, kind, managedBy",
    filter: "",
    api: API,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Properties {
    creation_time: Option<String>,
    primary_endpoints: Option<Endpoints>,
    /// Files in folders, as Data Lake keeps them: without versions.
    pub(super) is_hns_enabled: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoints {
    blob: Option<String>,
}

/// Of the blob service of an account.
#[derive(Deserialize)]
struct Service {
    properties: Option<Versioning>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Versioning {
    is_versioning_enabled: Option<bool>,
}

/// Of the lifecycle policy of an account.
#[derive(Deserialize)]
struct Policy {
    properties: PolicyProperties,
}

#[derive(Deserialize)]
struct PolicyProperties {
    policy: Rules,
}

#[derive(Deserialize)]
struct Rules {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    /// Left out where it is.
    enabled: Option<bool>,
    definition: Option<Definition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Definition {
    actions: Option<Actions>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Actions {
    version: Option<OfVersions>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OfVersions {
    delete: Option<IgnoredAny>,
}

/// What the enabled rules of a policy do, in whichever part of the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Does {
    any: bool,
    versions: bool,
}

impl Policy {
    fn does(&self) -> Does {
        let mut does = Does::default();
        for rule in self.properties.policy.rules.iter().filter(|rule| rule.enabled != Some(false)) {
            does.any = true;
            let actions = rule.definition.as_ref().and_then(|definition| definition.actions.as_ref());
            does.versions |= actions.and_then(|actions| actions.version.as_ref()).is_some_and(|of| of.delete.is_some());
        }
        does
    }
}

/// Every account of the site's subscription, listed once for all kinds.
pub(super) async fn accounts(
    azure: &Azure,
    site: &Site,
    out: Option<&mut Listing>,
) -> Result<Arc<Vec<Entity<Properties>>>, CloudError> {
    shared::of_subscription(azure, site, &SORT, out).await
}

/// Whether an account keeps blobs at all.
pub(super) fn keeps_blobs(account: &Entity<Properties>) -> bool {
    !account.kind.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("FileStorage"))
}

/// Where the blobs of an account are: `https://shop.blob.core.windows.net/`.
pub(super) fn endpoint(account: &Entity<Properties>) -> Option<&str> {
    account.properties.primary_endpoints.as_ref()?.blob.as_deref()
}

pub(super) struct StorageAccount(pub(super) Arc<Azure>);

/// What was seen of an account.
#[derive(Default)]
struct Seen {
    versioned: Option<bool>,
    does: Option<Does>,
    /// Why some of its configuration is not known.
    hidden: Vec<String>,
}

#[async_trait]
impl Kind for StorageAccount {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let accounts = accounts(&self.0, site, Some(&mut *out)).await?;
        let around = self.0.around(site, LIST, out).await;
        let work: Vec<_> = accounts.iter().map(|account| seen(&self.0, site, account)).collect();
        let mut results = stream::iter(work).buffered(shared::AT_ONCE);
        let mut at = accounts.iter();
        while let Some(seen) = results.next().await {
            if let (Some(account), Some(seen)) = (at.next(), seen?) {
                push(account, &around.common(account), &seen, out);
            }
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let holds = asks.iter().filter(|ask| ask.question == Question::Holds);
        let work = holds.map(|ask| (*ask, holds_anything(&self.0, site, inventory.at(ask.resource).native_id())));
        let mut answers = shared::each(work.collect()).await;
        // Objects are counted by service, and blobs are not all that an account keeps: it is asked itself.
        let objects = |ask: &&Ask| matches!(ask.question, Question::Usage { metric: Metric::BucketObjects, .. });
        answers.extend(asks.iter().filter(objects).map(|ask| (*ask, shared::unmeasured(ask.question))));
        answers.extend(usage::answer(&self.0, site, inventory, asks, measure).await);
        Ok(answers)
    }
}

/// Bytes of all services, once an hour. Source: Azure Monitor, supported metrics of `Microsoft.Storage`.
fn measure(_: Resource<'_>, question: Question) -> Option<Measure> {
    matches!(question, Question::Usage { metric: Metric::BucketBytes, .. }).then_some(Measure {
        namespace: "Microsoft.Storage/storageAccounts",
        metrics: &["UsedCapacity"],
        aggregation: Aggregation::Average,
        combine: Combine::LatestSum,
        sparse: false,
    })
}

/// Reads an account's configuration; `None` when it is gone by now.
async fn seen(azure: &Azure, site: &Site, account: &Entity<Properties>) -> Result<Option<Seen>, CloudError> {
    if !keeps_blobs(account) {
        return Ok(Some(Seen { versioned: Some(false), does: Some(Does::default()), hidden: Vec::new() }));
    }
    let mut seen = Seen::default();
    let service = azure.get::<Service>(site, SERVICE, &format!("{}/blobServices/default", account.id), API).await;
    match service {
        // A service that was never set up has no versions.
        Ok(service) => seen.versioned = Some(service.properties.and_then(|of| of.is_versioning_enabled) == Some(true)),
        Err(error) if error.fault == Fault::NotFound => return Ok(None),
        Err(error) if shared::stops(&error) => return Err(error),
        Err(error) => seen.hidden.push(error.cause()),
    }
    let policy = azure.maybe::<Policy>(site, POLICY, &format!("{}/managementPolicies/default", account.id), API).await;
    match policy {
        Ok(policy) => seen.does = Some(policy.map_or_else(Does::default, |policy| policy.does())),
        Err(error) if shared::stops(&error) => return Err(error),
        Err(error) => seen.hidden.push(error.cause()),
    }
    Ok(Some(seen))
}

fn push(account: &Entity<Properties>, common: &Common, seen: &Seen, out: &mut Listing) {
    for cause in &seen.hidden {
        out.hides(cause);
    }
    let facts = Bucket {
        versioned: seen.versioned,
        lifecycle: seen.does.map(|does| does.any),
        noncurrent_rule: seen.does.map(|does| does.versions),
        // What is uploaded and not committed ends by itself after a week ("Put Block", REST API reference).
        abort_rule: Some(true),
        machinery: false,
    };
    let mut draft = common.draft(account, facts);
    draft.created = at(account.properties.creation_time.as_deref());
    out.push(draft);
}

/// Whether an account has any container, deleted ones that can be brought back included, share, queue or table.
async fn holds_anything(azure: &Azure, site: &Site, account: &str) -> Result<Answer, CloudError> {
    /// One page is enough; a page that was cut short without anything on it has not said that there is nothing.
    #[derive(Deserialize)]
    struct First {
        value: Vec<IgnoredAny>,
        #[serde(rename = "nextLink", default)]
        next: Option<String>,
    }
    let parts = [
        (CONTAINERS, "blobServices/default/containers?$include=deleted"),
        (SHARES, "fileServices/default/shares?$expand=deleted"),
        (QUEUES, "queueServices/default/queues"),
        (TABLES, "tableServices/default/tables"),
    ];
    for (op, part) in parts {
        let path = format!("{account}/{part}");
        let first = match azure.get::<First>(site, op, &path, API).await {
            Ok(first) => first,
            // Accounts for one sort of thing do not have the services of the others.
            Err(error)
                if error.fault == Fault::Refused && error.message.starts_with("FeatureNotSupportedForAccount") =>
            {
                continue;
            }
            Err(error) => return Err(error),
        };
        if !first.value.is_empty() || first.next.is_some_and(|next| !next.is_empty()) {
            return Ok(Answer::Truth(true));
        }
    }
    Ok(Answer::Truth(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn does(rules: &str) -> Does {
        let policy: Policy =
            serde_json::from_str(&format!(r#"{{"properties":{{"policy":{{"rules":{rules}}}}}}}"#)).unwrap();
        policy.does()
    }

    #[test]
    fn only_enabled_rules_do_anything() {
        let ending = r#"{"definition":{"actions":{"version":{"delete":{"daysAfterCreationGreaterThan":90}}}}"#;
        assert_eq!(does("[]"), Does::default());
        assert_eq!(does(&format!("[{ending},\"enabled\":false}}]")), Does::default());
        assert_eq!(does(&format!("[{ending},\"enabled\":true}}]")), Does { any: true, versions: true });
        assert_eq!(does(&format!("[{ending}}}]")), Does { any: true, versions: true });
        let cooling =
            r#"[{"enabled":true,"definition":{"actions":{"version":{"tierToCool":{}},"baseBlob":{"delete":{}}}}}]"#;
        assert_eq!(does(cooling), Does { any: true, versions: false });
    }
}
