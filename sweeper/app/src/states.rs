//! What the state files of infrastructure as code say they manage: ids and addresses, and not a word more.
//!
//! State holds secrets. The decoders here name the few keys that they want; everything else is skipped while it is read
//! and never becomes a value, and an error says where it is and never what stands there.
//!
//! Read are: state of Terraform and OpenTofu, version 4 (`internal/states/statefile/version4.go`); `show -json` of both
//! (the "JSON Output Format" page); `pulumi stack export` and checkpoints (`sdk/go/common/apitype`); and
//! `aws cloudformation list-stack-resources` and `describe-stack-resources`.

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{borrow::Cow, collections::BTreeMap, fmt, net::IpAddr};
use sweeper_core::{
    iac::{Entry, LONGEST},
    inert::is_hostile,
    model::CloudId,
};

/// What a file manages.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Managed {
    pub entries: Vec<Entry>,
    /// Resources of the three clouds whose id is none that an inventory has: associations, policies, records.
    pub nameless: u64,
    /// Resources of other providers.
    pub elsewhere: u64,
    /// Stacks that are inside and whose resources are in files of their own.
    pub nested: Vec<String>,
}

/// Why a file cannot be used, and where. Never repeats anything of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Line and column, from 1.
    pub at: Option<(usize, usize)>,
    /// A lower-case fragment.
    pub what: &'static str,
    pub help: Option<&'static str>,
}

impl Flaw {
    const fn new(what: &'static str, help: &'static str) -> Self {
        Self { at: None, what, help: Some(help) }
    }
}

const PULL: &str = "write it again: `terraform state pull`, `tofu state pull` or `terraform show -json`";

/// Reads a file of any known form. `stack` is what its state is called where the file does not say.
pub fn managed(bytes: &[u8], stack: Option<&str>) -> Result<Managed, Flaw> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Flaw::new("it is empty", "is there a state at all? An empty one still is a JSON object"));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Flaw::new("it is UTF-16", "write it as UTF-8, as every shell but the older PowerShell does"));
    }
    let document: Document = serde_json::from_slice(bytes).map_err(|error| Flaw {
        at: Some((error.line(), error.column())),
        what: match error.classify() {
            serde_json::error::Category::Eof => "it is cut short here",
            serde_json::error::Category::Data => "what stands before this is not as a state or a stack has it",
            _ => "it is not JSON",
        },
        help: Some(PULL),
    })?;
    let mut found = Found { stack: stack.map(ToOwned::to_owned), managed: Managed::default() };
    found.document(document)?;
    Ok(found.managed)
}

/// The forms together: which it is, is told by what is there.
#[derive(Deserialize)]
struct Document {
    version: Option<u64>,
    /// Of Terraform's own state.
    #[serde(default, deserialize_with = "present")]
    #[expect(clippy::option_option, reason = "a list that is `null` is empty, and one that is not there is damage")]
    resources: Option<Option<Vec<Resource>>>,
    /// Of states before version 4.
    modules: Option<IgnoredAny>,
    encrypted_data: Option<IgnoredAny>,
    /// Of `show -json`.
    format_version: Option<Text>,
    values: Option<Values>,
    planned_values: Option<IgnoredAny>,
    resource_changes: Option<IgnoredAny>,
    /// Of Pulumi.
    deployment: Option<Deployment>,
    checkpoint: Option<Checkpoint>,
    /// Of CloudFormation.
    #[serde(rename = "StackResourceSummaries")]
    summaries: Option<Vec<StackResource>>,
    #[serde(rename = "StackResources")]
    described: Option<Vec<StackResource>>,
    #[serde(rename = "NextToken")]
    next: Option<IgnoredAny>,
}

/// Tells what is `null` from what is not there.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    module: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    provider: String,
    instances: Vec<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    index_key: Option<Key>,
    deposed: Option<String>,
    attributes: Option<Ids>,
    /// As releases before 0.12 kept them, until the next apply.
    attributes_flat: Option<Ids>,
}

#[derive(Deserialize)]
struct Values {
    root_module: Option<Module>,
}

#[derive(Deserialize)]
struct Module {
    #[serde(default)]
    resources: Vec<Shown>,
    #[serde(default)]
    child_modules: Vec<Module>,
}

#[derive(Deserialize)]
struct Shown {
    address: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    provider_name: String,
    deposed_key: Option<String>,
    values: Option<Ids>,
}

#[derive(Deserialize)]
struct Checkpoint {
    latest: Option<Deployment>,
}

#[derive(Deserialize)]
struct Deployment {
    /// Left out where a stack has none.
    resources: Option<Vec<Exported>>,
}

#[derive(Deserialize)]
struct Exported {
    urn: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    custom: bool,
    id: Option<Text>,
    /// Read by the program, and managed by somebody else.
    #[serde(default)]
    external: bool,
    outputs: Option<Ids>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StackResource {
    logical_resource_id: String,
    physical_resource_id: Option<String>,
    resource_type: String,
    resource_status: String,
    stack_name: Option<String>,
    stack_id: Option<String>,
}

/// A string, or something that is none and is not looked at.
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value")
            }
            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Some(text.to_owned())))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
                Ok(Text(None))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Text, E> {
                Ok(Text(None))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Text, E> {
                Ok(Text(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Text, E> {
                Ok(Text(None))
            }
            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Text, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// The key of `count` or `for_each`.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Key;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number or a string")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Key, E> {
                serde_json::to_string(text).map(Key).map_err(|_| E::custom("a key that cannot be written"))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Key, E> {
                Ok(Key(number.to_string()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Key, E> {
                Ok(Key(number.to_string()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// The only attributes that are looked at, in the spelling of Terraform and of Pulumi.
const IDS: &[(&str, &str)] = &[
    ("id", "id"),
    ("arn", "arn"),
    ("self_link", "self_link"),
    ("selfLink", "self_link"),
    ("allocation_id", "allocation_id"),
    ("allocationId", "allocation_id"),
    ("spot_instance_id", "spot_instance_id"),
    ("spotInstanceId", "spot_instance_id"),
    ("resource_manager_id", "resource_manager_id"),
    ("resourceManagerId", "resource_manager_id"),
];

/// Attributes that name a resource.
#[derive(Default)]
struct Ids(BTreeMap<&'static str, String>);

impl Ids {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|id| is_id(id))
    }
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Attributes;
        impl<'de> Visitor<'de> for Attributes {
            type Value = Ids;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("attributes")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ids, A::Error> {
                let mut ids = Ids::default();
                while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                    match IDS.iter().find(|(own, _)| *own == key) {
                        Some((_, name)) => {
                            if let Text(Some(text)) = map.next_value()?
                                && ids.0.insert(name, text.clone()).is_some_and(|before| before != text)
                            {
                                return Err(A::Error::custom("an id is there twice, and not the same"));
                            }
                        }
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(ids)
            }
        }
        deserializer.deserialize_map(Attributes)
    }
}

/// What was found so far.
struct Found {
    stack: Option<String>,
    managed: Managed,
}

impl Found {
    fn document(&mut self, document: Document) -> Result<(), Flaw> {
        if document.encrypted_data.is_some() {
            return Err(Flaw::new("it is encrypted", "write it in the clear: `tofu state pull | sweeper iac-index -`"));
        }
        if document.planned_values.is_some() || document.resource_changes.is_some() {
            return Err(Flaw::new("it is a plan and not a state", "use `terraform show -json` without a plan"));
        }
        if let Some(deployment) = document.deployment.or(document.checkpoint.and_then(|checkpoint| checkpoint.latest)) {
            // Version 4 added features, which change nothing here.
            if !matches!(document.version, Some(3 | 4)) {
                return Err(Flaw::new(
                    "it is a deployment of Pulumi of another version than 3 and 4",
                    "use a newer release of sweeper, or `pulumi stack export` of a release since 3.0",
                ));
            }
            return self.deployment(deployment);
        }
        if let Some(resources) = document.summaries {
            // A part of a list is no list.
            if document.next.is_some() {
                return Err(Flaw::new(
                    "it holds only some of the stack's resources",
                    "list them again without `--max-items` and `--no-paginate`",
                ));
            }
            return self.stack_resources(resources);
        }
        if let Some(resources) = document.described {
            // Source: the API reference of DescribeStackResources.
            if resources.len() >= 100 {
                return Err(Flaw::new(
                    "it may hold only the first 100 of the stack's resources",
                    "use `aws cloudformation list-stack-resources`",
                ));
            }
            return self.stack_resources(resources);
        }
        if document.format_version.is_some() {
            // No values: an empty state.
            return match document.values.and_then(|values| values.root_module) {
                Some(module) => self.module(module),
                None => Ok(()),
            };
        }
        match (document.version, document.resources) {
            (Some(4), Some(resources)) => self.resources(resources.unwrap_or_default()),
            (Some(4), None) => Err(Flaw::new("it has no list of resources", PULL)),
            (Some(_), Some(_)) => {
                Err(Flaw::new("it is a state of another version than 4", "use a newer release of sweeper"))
            }
            _ if document.modules.is_some() => Err(Flaw::new(
                "it is a state of a version before 4",
                "`terraform state pull` of a release since 0.12 writes version 4",
            )),
            _ => Err(Flaw::new(
                "it is no state that is known",
                "known are: state of Terraform and OpenTofu, `show -json`, `pulumi stack export`, and \
                 `aws cloudformation list-stack-resources`",
            )),
        }
    }

    fn resources(&mut self, resources: Vec<Resource>) -> Result<(), Flaw> {
        for resource in resources {
            if resource.mode == "data" {
                continue;
            }
            let module = if resource.module.is_empty() { String::new() } else { format!("{}.", resource.module) };
            for Instance { index_key, deposed, attributes, attributes_flat } in resource.instances {
                let key = index_key.map_or_else(String::new, |Key(key)| format!("[{key}]"));
                let address = format!("{module}{}.{}{key}", resource.kind, resource.name);
                let ids = attributes.or(attributes_flat).unwrap_or_default();
                self.terraform(&resource.kind, &resource.provider, address, deposed, &ids)?;
            }
        }
        Ok(())
    }

    fn module(&mut self, module: Module) -> Result<(), Flaw> {
        for resource in module.resources.into_iter().filter(|resource| resource.mode != "data") {
            let ids = resource.values.unwrap_or_default();
            self.terraform(&resource.kind, &resource.provider_name, resource.address, resource.deposed_key, &ids)?;
        }
        module.child_modules.into_iter().try_for_each(|child| self.module(child))
    }

    /// One instance of a resource. What is deposed waits for its deletion, by Terraform.
    fn terraform(
        &mut self,
        kind: &str,
        provider: &str,
        address: String,
        deposed: Option<String>,
        ids: &Ids,
    ) -> Result<(), Flaw> {
        let cloud = match kind.split('_').next() {
            Some("aws" | "awscc") => CloudId::Aws,
            Some("azurerm" | "azapi") => CloudId::Azure,
            Some("google") => CloudId::Gcp,
            _ => {
                self.managed.elsewhere += 1;
                return Ok(());
            }
        };
        let Some(stack) = self.stack.clone() else {
            return Err(Flaw::new("its state has no name", "give it one: `prod/network=FILE`, `prod/network=-`"));
        };
        let address = deposed.map_or(address.clone(), |key| format!("{address} (deposed object {key})"));
        let tool = if provider.contains("registry.opentofu.org/") { "opentofu" } else { "terraform" };
        self.push(ids_of(cloud, kind, ids), &address, &stack, tool);
        Ok(())
    }

    fn deployment(&mut self, deployment: Deployment) -> Result<(), Flaw> {
        for resource in deployment.resources.unwrap_or_default() {
            let Exported { urn, kind, custom, id, external, outputs } = resource;
            if !custom || external || kind.starts_with("pulumi:") {
                continue;
            }
            let cloud = match kind.split(':').next() {
                Some("aws" | "aws-native") => CloudId::Aws,
                Some("azure" | "azure-native") => CloudId::Azure,
                Some("gcp" | "google-native") => CloudId::Gcp,
                _ => {
                    self.managed.elsewhere += 1;
                    continue;
                }
            };
            // urn:pulumi:<stack>::<project>::<types of its parents and its own>::<name>
            let parts: Vec<&str> = urn.strip_prefix("urn:pulumi:").unwrap_or_default().splitn(3, "::").collect();
            let [stack, project, address] = parts[..] else {
                return Err(Flaw::new("a resource has no URN of Pulumi", "write it again: `pulumi stack export`"));
            };
            let mut ids = outputs.unwrap_or_default();
            if let Some(Text(Some(id))) = id {
                ids.0.insert("id", id);
            }
            let stack = self.stack.clone().unwrap_or_else(|| format!("{project}/{stack}"));
            self.push(ids_of(cloud, &kind, &ids), address, &stack, "pulumi");
        }
        Ok(())
    }

    fn stack_resources(&mut self, resources: Vec<StackResource>) -> Result<(), Flaw> {
        for resource in resources.into_iter().filter(|resource| resource.resource_status != "DELETE_COMPLETE") {
            let kind = resource.resource_type.as_str();
            if kind == "AWS::CloudFormation::Stack" {
                self.managed.nested.push(resource.logical_resource_id);
                continue;
            }
            if !kind.starts_with("AWS::") {
                self.managed.elsewhere += 1;
                continue;
            }
            let Some(stack) = self.stack.clone().or(resource.stack_name) else {
                return Err(Flaw::new("its stack has no name", "give it one: `web=FILE`, `web=-`"));
            };
            let id = resource.physical_resource_id.filter(|id| is_id(id) && !is_secret(kind));
            let id = id.and_then(|id| physical(kind, &id, resource.stack_id.as_deref()));
            let address = format!("{} ({kind})", resource.logical_resource_id);
            self.push(id.into_iter().collect(), &address, &stack, "cloudformation");
        }
        Ok(())
    }

    fn push(&mut self, ids: Vec<String>, address: &str, stack: &str, tool: &str) {
        if ids.is_empty() {
            self.managed.nameless += 1;
        }
        self.managed.entries.extend(ids.into_iter().map(|id| Entry {
            id,
            address: bounded(address),
            stack: bounded(stack),
            tool: tool.to_owned(),
        }));
    }
}

/// An address that is too long is cut: it is for people.
fn bounded(text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Whether a text can be an id at all.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && !text.contains(|letter| is_hostile(letter) || letter == '|')
}

/// Whether a type is one of secrets: the ids of some hold them (`google_kms_secret_ciphertext`).
fn is_secret(kind: &str) -> bool {
    const WORDS: &[&str] =
        &["secret", "secrets", "password", "ciphertext", "token", "credential", "credentials", "login"];
    let mut words = vec![String::new()];
    let mut was_small = false;
    for letter in kind.chars() {
        if !letter.is_ascii_alphanumeric() || (letter.is_ascii_uppercase() && was_small) {
            words.push(String::new());
        }
        if letter.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(letter.to_ascii_lowercase());
        }
        was_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
    }
    words.iter().any(|word| WORDS.contains(&word.as_str()))
}

/// The ids by which an inventory may know a resource; none where there is none. Only what has the shape of an id is one:
/// of some types (random values, say) the attribute `id` is the secret itself.
fn ids_of(cloud: CloudId, kind: &str, ids: &Ids) -> Vec<String> {
    if is_secret(kind) {
        return Vec::new();
    }
    let id = match cloud {
        CloudId::Aws => {
            let arn = ids.get("arn").filter(|arn| is_arn(arn));
            let id = ids.get("id").filter(|id| is_ec2(id) || is_arn(id));
            let allocation = ids.get("allocation_id").filter(|id| is_ec2(id));
            // Ids of EC2 are unique by themselves; a name is only with its account and region.
            let is_short = arn.is_none_or(|arn| arn.split(':').nth(2) == Some("ec2"));
            let first = if is_short { id.or(allocation).or(arn) } else { arn };
            // A request that is managed has made a machine that is, too.
            let made = ids.get("spot_instance_id").filter(|id| is_ec2(id));
            return first.into_iter().chain(made).map(ToOwned::to_owned).collect();
        }
        CloudId::Azure => {
            let is_arm = |id: &&str| id.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("/subscriptions/"));
            ids.get("id")
                .filter(is_arm)
                .or_else(|| ids.get("resource_manager_id").filter(is_arm))
                .map(ToOwned::to_owned)
        }
        CloudId::Gcp => ids.get("id").and_then(|id| google(kind, id)).or_else(|| {
            let link = ids.get("self_link").filter(|link| is_link(link));
            link.map(ToOwned::to_owned)
        }),
    };
    id.into_iter().collect()
}

/// The path of a resource of Google Cloud, of its id. Sources: the `id` attribute on the pages of the provider.
fn google(kind: &str, id: &str) -> Option<String> {
    let parts: Vec<&str> = id.split('/').collect();
    match parts[..] {
        ["projects", _, _, _, ..] if is_path(id) => Some(id.to_owned()),
        ["locations", place, "namespaces", project, "services", name] if is_path(id) => {
            Some(format!("projects/{project}/locations/{place}/services/{name}"))
        }
        [project, region, router, name]
            if is_path(id) && kind.to_ascii_lowercase().replace('_', "").contains("routernat") =>
        {
            Some(format!("projects/{project}/regions/{region}/routers/{router}/nats/{name}"))
        }
        _ => None,
    }
}

/// A link to a resource of Google Cloud: anything may stand in front of another host, a password too.
fn is_link(text: &str) -> bool {
    let Some((host, path)) = text.strip_prefix("https://").and_then(|rest| rest.split_once('/')) else { return false };
    host.strip_suffix(".googleapis.com").is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_lowercase()))
        && is_path(path)
        && (path.contains("/projects/") || path.contains("/b/"))
}

/// Segments of the letters that names in Google Cloud have.
fn is_path(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~%:@".contains(&byte);
    text.contains('/') && text.split('/').all(|part| !part.is_empty() && part.bytes().all(is_plain))
}

fn is_arn(text: &str) -> bool {
    text.starts_with("arn:") && text.split(':').count() >= 6 && !text.contains(char::is_whitespace)
}

/// `vol-0123456789abcdef0`: words, and eight hexadecimal digits or more.
fn is_ec2(text: &str) -> bool {
    let Some((words, digits)) = text.rsplit_once('-') else { return false };
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (8..=32).contains(&digits.len())
        && digits.bytes().all(is_hex)
        && words.starts_with(|letter: char| letter.is_ascii_lowercase())
        && words.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Types whose physical id is a name, with the service and the start of the resource in the ARN. Source: the "Ref" and
/// ARN parts of the CloudFormation resource pages and of the Service Authorization Reference.
const NAMED: &[(&str, &str, &str)] = &[
    ("AWS::ECR::Repository", "ecr", "repository/"),
    ("AWS::EKS::Cluster", "eks", "cluster/"),
    ("AWS::ElasticLoadBalancing::LoadBalancer", "elasticloadbalancing", "loadbalancer/"),
    ("AWS::Lambda::Function", "lambda", "function:"),
    ("AWS::Logs::LogGroup", "logs", "log-group:"),
    ("AWS::RDS::DBCluster", "rds", "cluster:"),
    ("AWS::RDS::DBInstance", "rds", "db:"),
    ("AWS::S3::Bucket", "s3", ""),
];

/// The id of a resource of CloudFormation: as ARN where the stack tells where it is, so that a name is not taken for the
/// same name elsewhere.
fn physical(kind: &str, id: &str, stack_id: Option<&str>) -> Option<String> {
    if let Some((_, service, start)) = NAMED.iter().find(|(own, ..)| *own == kind) {
        let mut place = stack_id.unwrap_or_default().split(':').skip(1);
        return Some(match (place.next(), place.nth(1), place.next()) {
            _ if *service == "s3" => format!("arn:aws:s3:::{id}"),
            (Some(partition), Some(region), Some(account)) => {
                format!("arn:{partition}:{service}:{region}:{account}:{start}{id}")
            }
            _ => id.to_owned(),
        });
    }
    // An address is known by its number.
    let is_address = || kind == "AWS::EC2::EIP" && id.parse::<IpAddr>().is_ok();
    (is_ec2(id) || is_arn(id) || is_address()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests;
