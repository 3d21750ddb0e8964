//! Subscriptions: from the parent where one is named, else the one that the environment means.

use crate::{
    Config,
    arm::{Azure, parsed},
    auth::{Env, SOURCES, Tokens},
    bills, kinds, rights,
    transport::{Hosts, Service, Transport},
};
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};
use sweeper_core::{
    calls::Calls,
    charges::{BillAsk, BillTold},
    kind::{Account, Cloud, CloudError, Fault, Identity, Kind, Universe},
    model::{CloudId, Tri},
};
use url::Url;

pub(crate) const SUBSCRIPTIONS: &str = "Microsoft.Resources/subscriptions/read";
const SUBSCRIPTIONS_API: &str = "2022-12-01";
pub(crate) const DESCENDANTS: &str = "Microsoft.Management/managementGroups/descendants/read";
const DESCENDANTS_API: &str = "2020-05-01";
pub(crate) const TENANTS: &str = "Microsoft.Resources/tenants/read";

/// Azure as the core sees it.
struct Provider {
    azure: Arc<Azure>,
    kinds: Vec<Arc<dyn Kind>>,
    config: Config,
    env: Env,
}

/// Azure with an environment that cannot work: every look says why.
struct Broken(String);

/// Reads the environment's configuration. Makes no call: the first is [`Cloud::universe`].
pub async fn connect(config: Config, calls: Calls) -> Arc<dyn Cloud> {
    let env = if config.endpoint.is_some() { Env::default() } else { Env::of_process() };
    connect_in(config, env, calls).unwrap_or_else(|said| Arc::new(Broken(said)))
}

fn connect_in(config: Config, env: Env, calls: Calls) -> Result<Arc<dyn Cloud>, String> {
    let azure = Arc::new(open(&config, &env, calls)?);
    let kinds = kinds::all(&azure);
    Ok(Arc::new(Provider { azure, kinds, config, env }))
}

/// The transport and the tokens that the configuration and the environment ask for.
pub(crate) fn open(config: &Config, env: &Env, calls: Calls) -> Result<Azure, String> {
    let authority = env.any(&["AZURE_AUTHORITY_HOST"]);
    let hosts = Hosts::of(env.any(&["AZURE_CLOUD", "AZURE_ENVIRONMENT", "ARM_ENVIRONMENT"]), authority)?;
    let mut emulators = BTreeMap::new();
    for service in Service::ALL {
        let variable = service.variable();
        let named = config.endpoint.as_deref().map(|endpoint| ("the endpoint", endpoint));
        let named = named.or_else(|| env.any(&[variable]).map(|endpoint| (variable, endpoint)));
        let everywhere = "SWEEPER_AZURE_ENDPOINT";
        if let Some((name, endpoint)) = named.or_else(|| env.any(&[everywhere]).map(|endpoint| (everywhere, endpoint)))
        {
            let url = Url::parse(endpoint).map_err(|_| format!("{name} is no URL: {endpoint:?}"))?;
            emulators.insert(service, url);
        }
    }
    // A token of a real identity never goes to what stands in for a service.
    let emulated = !emulators.is_empty();
    if emulated && emulators.len() < Service::ALL.len() {
        let stand = emulators.values().next().cloned();
        for service in Service::ALL {
            if let Some(stand) = &stand {
                emulators.entry(service).or_insert_with(|| stand.clone());
            }
        }
    }
    let transport = Transport::new(hosts, emulators, Some(calls.clocks().clone()))?;
    let host = authority.map_or(hosts.authority, |host| host.trim_start_matches("https://").trim_end_matches('/'));
    let tokens = if emulated { Tokens::dummy() } else { Tokens::from_env(env, host) };
    Ok(Azure::new(transport, tokens, calls))
}

#[derive(Clone, Debug, Deserialize)]
struct Subscription {
    #[serde(rename = "subscriptionId")]
    id: String,
    #[serde(rename = "displayName", default)]
    name: Option<String>,
    #[serde(default)]
    state: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Descendant {
    id: String,
    /// Of a subscription its id, of a group its name.
    name: String,
    #[serde(rename = "type", default)]
    of: Option<String>,
    #[serde(default)]
    properties: Option<DescendantProperties>,
}

#[derive(Debug, Default, Deserialize)]
struct DescendantProperties {
    #[serde(rename = "displayName", default)]
    name: Option<String>,
    #[serde(default)]
    parent: Option<crate::entity::Ref>,
}

#[derive(Debug, Deserialize)]
struct Tenant {
    #[serde(rename = "tenantId")]
    id: String,
}

#[async_trait]
impl Cloud for Broken {
    fn id(&self) -> CloudId {
        CloudId::Azure
    }

    fn kinds(&self) -> &[Arc<dyn Kind>] {
        &[]
    }

    async fn universe(&self) -> Result<Universe, CloudError> {
        Err(CloudError::new(Fault::Refused, SUBSCRIPTIONS, self.0.clone()))
    }

    async fn bill(&self, _ask: &BillAsk) -> Result<BillTold, CloudError> {
        Err(CloudError::new(Fault::Refused, bills::OP, self.0.clone()))
    }
}

#[async_trait]
impl Cloud for Provider {
    fn id(&self) -> CloudId {
        CloudId::Azure
    }

    fn kinds(&self) -> &[Arc<dyn Kind>] {
        &self.kinds
    }

    async fn universe(&self) -> Result<Universe, CloudError> {
        let universe = match &self.config.management_group {
            Some(group) => self.below(group).await?,
            None => self.chosen().await?,
        };
        let readable = universe.accounts.iter().filter(|account| account.blind.is_none() && account.none.is_none());
        self.azure.about(&readable.map(|account| account.id.clone()).collect());
        Ok(universe)
    }

    /// A token is one for all subscriptions; what is left to do is to say which to ask about.
    async fn enter(&self, _: &Universe, accounts: &BTreeSet<String>) -> Result<BTreeMap<String, String>, CloudError> {
        self.azure.about(accounts);
        Ok(BTreeMap::new())
    }

    async fn identity(&self) -> Result<Option<Identity>, CloudError> {
        let token = self.azure.arm_token(SUBSCRIPTIONS).await.map_err(hint)?;
        Ok(identity_of(&token).map(|name| Identity { name, source: self.azure.token_source().to_owned() }))
    }

    /// One question of the management group where all of it is looked at, else one of each subscription.
    async fn bill(&self, ask: &BillAsk) -> Result<BillTold, CloudError> {
        let scopes = match &self.config.management_group {
            Some(group) if self.config.subscriptions.is_empty() => vec![bills::Of::Group(self.group(group).await?)],
            _ => {
                let universe = self.universe().await?;
                if let Some(blind) = universe.accounts.iter().find(|account| account.blind.is_some()) {
                    let why = blind.blind.as_deref().unwrap_or_default();
                    let said = format!("what the subscription {} costs is not seen: {why}", blind.id);
                    return Err(CloudError::new(Fault::Denied, bills::OP, said));
                }
                let there = universe.accounts.into_iter().filter(|account| account.none.is_none());
                there.map(|account| bills::Of::Subscription(account.id)).collect()
            }
        };
        Box::pin(bills::told(&self.azure, &scopes, ask)).await
    }

    async fn rights(&self, account: &str, permissions: &[&'static str]) -> Result<Vec<Tri>, CloudError> {
        rights::which(&self.azure, &self.azure.site(account), permissions).await
    }
}

impl Provider {
    fn wanted(&self, id: &str) -> bool {
        let wanted = &self.config.subscriptions;
        wanted.is_empty() || wanted.iter().any(|known| known.eq_ignore_ascii_case(id))
    }

    /// What the identity sees, by id in lower case.
    async fn seen(&self) -> Result<BTreeMap<String, Subscription>, CloudError> {
        let site = self.azure.tenant_site();
        let list: Vec<Subscription> =
            self.azure.list(&site, SUBSCRIPTIONS, "/subscriptions", SUBSCRIPTIONS_API).await.map_err(hint)?;
        Ok(list.into_iter().map(|one| (one.id.to_ascii_lowercase(), one)).collect())
    }

    /// The name of a management group; without one it is the tenant's root.
    async fn group(&self, named: &str) -> Result<String, CloudError> {
        let group = if named.is_empty() { self.tenant().await? } else { named.to_owned() };
        if group.chars().all(|letter| letter.is_alphanumeric() || "-_.()".contains(letter)) {
            return Ok(group);
        }
        Err(CloudError::new(Fault::Refused, DESCENDANTS, format!("{group:?} is no name of a management group")))
    }

    /// Every subscription below a management group.
    async fn below(&self, group: &str) -> Result<Universe, CloudError> {
        let site = self.azure.tenant_site();
        let group = self.group(group).await?;
        let path = format!("/providers/Microsoft.Management/managementGroups/{group}/descendants");
        let below: Vec<Descendant> = self.azure.list(&site, DESCENDANTS, &path, DESCENDANTS_API).await.map_err(hint)?;
        let seen = self.seen().await;
        let groups: BTreeMap<String, &Descendant> = below
            .iter()
            .filter(|one| one.of.as_deref().is_some_and(|of| of.to_ascii_lowercase().ends_with("managementgroups")))
            .map(|one| (one.id.to_ascii_lowercase(), one))
            .collect();
        let mut accounts = Vec::new();
        for one in &below {
            let Some(id) = one.id.strip_prefix("/subscriptions/") else { continue };
            if id.is_empty() {
                return Err(CloudError::new(Fault::Malformed, DESCENDANTS, "a subscription without an id"));
            }
            if !self.wanted(id) {
                continue;
            }
            let known = seen.as_ref().ok().and_then(|seen| seen.get(&id.to_ascii_lowercase()));
            let told = one.properties.as_ref().and_then(|properties| properties.name.clone());
            let mut account = account(id, known);
            if account.name.is_empty() {
                account.name = told.filter(|name| !name.is_empty()).unwrap_or_else(|| one.name.clone());
            }
            account.path = path_of(one, &groups);
            if known.is_none() && seen.is_ok() {
                account.blind = Some(format!("{} {SUBSCRIPTIONS}", Fault::Denied.word()));
            }
            accounts.push(account);
        }
        accounts.sort_by(|a, b| a.id.cmp(&b.id));
        // Subscriptions left out are not looked at: what they hold is unknown, not absent.
        Ok(Universe { accounts, only_what_this_identity_sees: !self.config.subscriptions.is_empty() })
    }

    /// The subscriptions that were named, or the one that the environment means.
    async fn chosen(&self) -> Result<Universe, CloudError> {
        let mut ids = self.config.subscriptions.clone();
        if ids.is_empty() {
            ids.extend(default_subscription(&self.env));
        }
        let mut accounts = Vec::new();
        if ids.is_empty() {
            let seen = self.seen().await?;
            match seen.len() {
                1 => accounts.extend(seen.values().map(|one| account(&one.id, Some(one)))),
                0 => return Err(CloudError::new(Fault::Denied, SUBSCRIPTIONS, "this identity sees no subscription")),
                _ => {
                    let named: Vec<String> = seen
                        .values()
                        .take(20)
                        .map(|one| format!("{} ({})", one.id, one.name.as_deref().unwrap_or_default()))
                        .collect();
                    let said = format!(
                        "this identity sees {} subscriptions; name one with --subscription or AZURE_SUBSCRIPTION_ID: {}",
                        seen.len(),
                        named.join(", ")
                    );
                    return Err(CloudError::new(Fault::Refused, SUBSCRIPTIONS, said));
                }
            }
        }
        for id in &ids {
            accounts.push(self.one(id).await?);
        }
        Ok(Universe { accounts, only_what_this_identity_sees: true })
    }

    /// A subscription by its id. That it cannot be described is no reason not to look at what is in it.
    async fn one(&self, id: &str) -> Result<Account, CloudError> {
        if id.is_empty() || !id.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-') {
            return Err(CloudError::new(Fault::Refused, SUBSCRIPTIONS, format!("{id:?} is no subscription id")));
        }
        let read: Result<Subscription, CloudError> = self
            .azure
            .get(&self.azure.site(id), SUBSCRIPTIONS, &format!("/subscriptions/{id}"), SUBSCRIPTIONS_API)
            .await;
        match read {
            Ok(one) => Ok(account(id, Some(&one))),
            Err(error)
                if matches!(error.fault, Fault::Denied | Fault::NotFound | Fault::Transient | Fault::Throttled) =>
            {
                let mut account = account(id, None);
                // Said of a subscription that is not there or in another tenant; nothing of it can be read.
                if error.message.starts_with("SubscriptionNotFound") {
                    account.blind = Some(error.cause());
                }
                Ok(account)
            }
            Err(error) => Err(hint(error)),
        }
    }

    /// The tenant, whose root management group has the same name.
    async fn tenant(&self) -> Result<String, CloudError> {
        if let Some(tenant) = self.env.any(&["AZURE_TENANT_ID", "ARM_TENANT_ID"]) {
            return Ok(tenant.to_owned());
        }
        let site = self.azure.tenant_site();
        let tenants: Vec<Tenant> =
            self.azure.list(&site, TENANTS, "/tenants", SUBSCRIPTIONS_API).await.map_err(hint)?;
        match tenants.as_slice() {
            [one] => Ok(one.id.clone()),
            many => {
                let said = format!(
                    "this identity sees {} tenants; set AZURE_TENANT_ID or name a management group",
                    many.len()
                );
                Err(CloudError::new(Fault::Refused, TENANTS, said))
            }
        }
    }
}

/// Who a token is given to, by its claims; it is not checked, since nothing rests on it.
fn identity_of(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        #[serde(default)]
        upn: Option<String>,
        #[serde(default)]
        appid: Option<String>,
        #[serde(default)]
        oid: Option<String>,
        #[serde(default)]
        tid: Option<String>,
    }
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    let who = match (claims.upn, claims.appid, claims.oid) {
        (Some(user), ..) => format!("user {user}"),
        (None, Some(app), _) => format!("service principal {app}"),
        (None, None, Some(object)) => format!("object {object}"),
        (None, None, None) => return None,
    };
    Some(claims.tid.map_or_else(|| who.clone(), |tenant| format!("{who} in tenant {tenant}")))
}

/// Adds where credentials are looked for, to who has none.
fn hint(mut error: CloudError) -> CloudError {
    if error.fault == Fault::Unauthenticated
        && !error.message.contains(SOURCES)
        && !error.message.contains("another tenant")
    {
        error.message = format!("{}; looked for: {SOURCES}", error.message);
    }
    error
}

fn account(id: &str, known: Option<&Subscription>) -> Account {
    let state = known.and_then(|one| one.state.as_deref()).unwrap_or_default();
    Account {
        id: id.to_owned(),
        name: known.and_then(|one| one.name.clone()).unwrap_or_default(),
        path: String::new(),
        regions: Vec::new(),
        blind: None,
        // A disabled subscription keeps its resources and can be read; a deleted one has neither.
        none: state.eq_ignore_ascii_case("Deleted").then(|| "the subscription is deleted".to_owned()),
    }
}

/// `/Platform/Sandbox`: the names of the groups from the top to the one that a subscription hangs in.
fn path_of(one: &Descendant, groups: &BTreeMap<String, &Descendant>) -> String {
    let parent = |one: &Descendant| {
        let parent = one.properties.as_ref()?.parent.as_ref()?.lower();
        groups.get(&parent).copied()
    };
    let mut names = Vec::new();
    let mut at = parent(one);
    // Six levels are the most that Azure has; a circle is none.
    while let Some(group) = at.filter(|_| names.len() < 16) {
        let name = group.properties.as_ref().and_then(|properties| properties.name.as_deref());
        names.push(name.unwrap_or(&group.name));
        at = parent(group);
    }
    names.iter().rev().fold(String::new(), |path, name| path + "/" + name)
}

/// The environment's subscription, or the CLI's default.
fn default_subscription(env: &Env) -> BTreeSet<String> {
    if let Some(id) = env.any(&["AZURE_SUBSCRIPTION_ID", "ARM_SUBSCRIPTION_ID"]) {
        return BTreeSet::from([id.to_owned()]);
    }
    let home = || env.any(&["HOME", "USERPROFILE"]).map(|home| PathBuf::from(home).join(".azure"));
    let directory = env.any(&["AZURE_CONFIG_DIR"]).map(PathBuf::from).or_else(home);
    let profile = directory.and_then(|directory| std::fs::read(directory.join("azureProfile.json")).ok());
    profile.and_then(|profile| default_of(&profile)).into_iter().collect()
}

/// The default subscription of the CLI's profile, which begins with a byte order mark.
fn default_of(profile: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Profile {
        subscriptions: Vec<Listed>,
    }
    #[derive(Deserialize)]
    struct Listed {
        id: String,
        #[serde(rename = "isDefault", default)]
        default: bool,
    }
    let text = profile.strip_prefix(b"\xef\xbb\xbf").unwrap_or(profile);
    let profile: Profile = parsed(SUBSCRIPTIONS, text).ok()?;
    profile.subscriptions.into_iter().find(|one| one.default).map(|one| one.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_names_the_default() {
        let profile = "\u{feff}{\"subscriptions\":[{\"id\":\"a\"},{\"id\":\"b\",\"isDefault\":true}]}";
        assert_eq!(default_of(profile.as_bytes()), Some("b".to_owned()));
        assert_eq!(default_of(b"{"), None);
    }

    #[test]
    fn a_token_tells_whom_it_was_given_to() {
        let of = |claims: &str| identity_of(&format!("x.{}.y", URL_SAFE_NO_PAD.encode(claims)));
        assert_eq!(of(r#"{"appid":"a","oid":"o","tid":"t"}"#).as_deref(), Some("service principal a in tenant t"));
        assert_eq!(of(r#"{"upn":"me@x","appid":"a","tid":"t"}"#).as_deref(), Some("user me@x in tenant t"));
        assert_eq!(of("{}"), None);
        assert_eq!(identity_of("emulator"), None);
    }

    #[test]
    fn a_path_is_made_of_groups() {
        let text = r#"[
            {"id":"/providers/Microsoft.Management/managementGroups/a","name":"a","type":"Microsoft.Management/managementGroups",
             "properties":{"displayName":"Platform","parent":{"id":"/providers/Microsoft.Management/managementGroups/root"}}},
            {"id":"/providers/Microsoft.Management/managementGroups/b","name":"b","type":"Microsoft.Management/managementGroups",
             "properties":{"displayName":"Sandbox","parent":{"id":"/providers/Microsoft.Management/managementGroups/A"}}},
            {"id":"/subscriptions/s","name":"s","type":"/subscriptions",
             "properties":{"parent":{"id":"/providers/Microsoft.Management/managementGroups/b"}}}]"#;
        let all: Vec<Descendant> = serde_json::from_str(text).unwrap();
        let groups = all.iter().take(2).map(|one| (one.id.to_ascii_lowercase(), one)).collect();
        assert_eq!(path_of(&all[2], &groups), "/Platform/Sandbox");
    }
}
