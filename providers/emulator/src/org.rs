//! The organisation file: accounts, resources and what a sweep is expected to say about them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;

use crate::{bills::planted, costs::Cost, gcp, services};

/// An organisation: what the emulator answers from.
#[derive(Debug, Clone, Default)]
pub struct Org {
    /// The AWS organisation; without it there is no organisation and the accounts stand alone.
    pub organization: Option<Organization>,
    /// The `[azure]` table.
    pub azure: Tenant,
    /// The `[gcp]` table.
    pub gcp: Google,
    /// The accounts, in the file's order. The first one is the default without an organisation.
    pub accounts: Vec<Account>,
    /// The resources, in the file's order, before `count` is expanded.
    pub resources: Vec<Resource>,
    /// The `[[bill.…]]` tables.
    pub(crate) bill: planted::Planted,
    /// What accounts cost by day, in the file's order.
    pub costs: Vec<Cost>,
}

/// The `[organization]` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// The organisation's id, `o-…`.
    pub id: String,
    /// The management account's id; calls with an access key that names no account are its.
    pub management: String,
    /// Member accounts that may call Organizations as the management account may.
    #[serde(default)]
    pub delegated: Vec<String>,
}

/// The `[azure]` table: what holds the subscriptions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// The tenant's id.
    #[serde(default = "tenant")]
    pub tenant: String,
    /// The name of the root management group; that of the tenant by default.
    #[serde(default)]
    pub root: String,
}

impl Default for Tenant {
    fn default() -> Tenant {
        Tenant { tenant: tenant(), root: tenant() }
    }
}

fn tenant() -> String {
    "72f988bf-0000-4000-8000-00000000e000".to_owned()
}

/// The `[gcp]` table: what holds the projects.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Google {
    /// The organisation's number; without one the projects stand alone.
    #[serde(default)]
    pub organization: Option<String>,
    /// The table of the billing export that BigQuery has, "project.dataset.table"; without one it has none.
    #[serde(default)]
    pub billing_table: Option<String>,
    /// How many bytes a query of it processes; a megabyte unless it says so.
    #[serde(default)]
    pub billing_bytes: Option<u64>,
    /// At most so many times a query is said to be still running.
    #[serde(default)]
    pub billing_polls: u64,
}

/// Whose cloud an account is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// Amazon Web Services.
    #[default]
    Aws,
    /// Microsoft Azure: an account is a subscription.
    Azure,
    /// Google Cloud: an account is a project.
    Gcp,
}

impl Vendor {
    /// The name that kinds and files say it by.
    pub fn name(self) -> &'static str {
        match self {
            Vendor::Aws => "aws",
            Vendor::Azure => "azure",
            Vendor::Gcp => "gcp",
        }
    }

    /// The status of an account that is as it should be, and the others that there are.
    fn statuses(self) -> &'static [&'static str] {
        match self {
            Vendor::Aws => &["ACTIVE", "SUSPENDED", "PENDING_CLOSURE"],
            Vendor::Azure => &["Enabled", "Disabled", "Warned", "PastDue", "Deleted"],
            Vendor::Gcp => &["ACTIVE", "DELETE_REQUESTED"],
        }
    }

    /// Where resources are unless they or their account say so.
    fn region(self) -> &'static str {
        match self {
            Vendor::Aws => "us-east-1",
            Vendor::Azure => "westeurope",
            Vendor::Gcp => "europe-west1",
        }
    }

    /// What is wrong with an account's id, if anything is.
    fn refuses(self, id: &str) -> Option<&'static str> {
        let good = match self {
            Vendor::Aws => is_account_id(id),
            Vendor::Azure => is_guid(id),
            Vendor::Gcp => {
                let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | ':');
                id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(letters)
            }
        };
        (!good).then_some(match self {
            Vendor::Aws => "is not twelve digits",
            Vendor::Azure => "is no GUID",
            Vendor::Gcp => "is no project id",
        })
    }
}

/// One `[[account]]`: an AWS account, an Azure subscription or a Google project.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Twelve digits, a GUID or a project id.
    pub id: String,
    /// Whose cloud it is in; AWS unless it says so.
    #[serde(default)]
    pub cloud: Vendor,
    /// A project's number; made of its id by default.
    #[serde(default)]
    pub number: String,
    /// The APIs that a project has not enabled, "compute.googleapis.com".
    #[serde(default)]
    pub apis_off: Vec<String>,
    /// The zones and regions of a project that its APIs cannot reach.
    #[serde(default)]
    pub unreachable: Vec<String>,
    /// What the caller may read in a subscription or a project: "reader" (all of it), "group:<name>" (one
    /// resource group of a subscription) or "none".
    #[serde(default = "reader")]
    pub rights: String,
    /// The account's name.
    #[serde(default)]
    pub name: String,
    /// The path of the organisational unit, management group or folder, "/" being the root.
    #[serde(default = "root")]
    pub ou: String,
    /// The enabled regions; the first is that of resources that name none.
    #[serde(default)]
    pub regions: Vec<String>,
    /// The role that other accounts may assume; without one nobody may.
    #[serde(default)]
    pub role: Option<String>,
    /// A second role, under the same terms.
    pub delete_role: Option<String>,
    /// The external id that assuming the role takes.
    #[serde(default)]
    pub external_id: Option<String>,
    /// AWS: ACTIVE, SUSPENDED or PENDING_CLOSURE. Azure: Enabled, Disabled, Warned, PastDue or Deleted.
    /// GCP: ACTIVE or DELETE_REQUESTED. The first one by default.
    #[serde(default)]
    pub status: String,
    /// The owner's address; "<name>@example.com" by default.
    #[serde(default)]
    pub email: Option<String>,
    /// The account's tags; a project's labels.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

fn root() -> String {
    "/".to_owned()
}

fn reader() -> String {
    "reader".to_owned()
}

/// One `[[resource]]`.
#[derive(Debug, Clone, Default)]
pub struct Resource {
    /// The kind's id, "aws.ec2-volume".
    pub kind: String,
    /// The owning account.
    pub account: String,
    /// The region it lives in.
    pub region: String,
    /// Its id, as the service spells it.
    pub id: String,
    /// When it was created: "-40d", "-3h" or RFC 3339.
    pub created: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// How many copies to make.
    pub count: Option<u32>,
    /// Planted truth: detector to verdict. See [`crate::Truth`].
    pub expect: BTreeMap<String, String>,
    /// The kind's own keys.
    pub keys: Map<String, Value>,
}

/// Why an organisation file was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgError {
    /// The line, counted from one; zero when the mistake has no line.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for OrgError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line == 0 { f.write_str(&self.message) } else { write!(f, "line {}: {}", self.line, self.message) }
    }
}

impl std::error::Error for OrgError {}

type Entry = BTreeMap<Spanned<String>, Spanned<toml::Value>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    organization: Option<Spanned<Organization>>,
    #[serde(default)]
    azure: Tenant,
    #[serde(default)]
    gcp: Google,
    #[serde(default)]
    account: Vec<Spanned<Account>>,
    #[serde(default)]
    resource: Vec<Spanned<Entry>>,
    #[serde(default)]
    bill: planted::Tables,
    #[serde(default)]
    cost: Vec<Spanned<Cost>>,
}

/// The line of a byte offset, counted from one.
pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

impl Org {
    /// Reads an organisation file.
    pub fn parse(text: &str) -> Result<Org, OrgError> {
        let file: File = toml::from_str(text).map_err(|error| OrgError {
            line: error.span().map_or(0, |span| line_of(text, span.start)),
            message: error.message().to_owned(),
        })?;
        let at = |offset: usize, message: String| OrgError { line: line_of(text, offset), message };

        let mut accounts = Vec::with_capacity(file.account.len());
        let mut ids = BTreeSet::new();
        for account in file.account {
            let start = account.span().start;
            let mut account = account.into_inner();
            if let Some(wrong) = account.cloud.refuses(&account.id) {
                return Err(at(start, format!("account id {:?} {wrong}", account.id)));
            }
            if !ids.insert(account.id.clone()) {
                return Err(at(start, format!("account {} appears twice", account.id)));
            }
            let statuses = account.cloud.statuses();
            if account.status.is_empty() {
                statuses[0].clone_into(&mut account.status);
            } else if !statuses.contains(&account.status.as_str()) {
                return Err(at(
                    start,
                    format!("account {}: status {:?} is none of {}", account.id, account.status, statuses.join(", ")),
                ));
            }
            if account.regions.is_empty() {
                account.regions.push(account.cloud.region().to_owned());
            }
            if account.number.is_empty() {
                account.number = project_number(&account.id);
            }
            if !matches!(account.rights.as_str(), "reader" | "none") && !account.rights.starts_with("group:") {
                return Err(at(
                    start,
                    format!(
                        "account {}: rights {:?} is none of reader, none, group:<name>",
                        account.id, account.rights
                    ),
                ));
            }
            if !account.ou.starts_with('/') {
                return Err(at(
                    start,
                    format!("account {}: ou {:?} does not start with \"/\"", account.id, account.ou),
                ));
            }
            accounts.push(account);
        }
        if accounts.is_empty() {
            return Err(OrgError { line: 0, message: "there is no [[account]]".to_owned() });
        }
        let organization = match file.organization {
            None => None,
            Some(organization) => {
                let start = organization.span().start;
                let organization = organization.into_inner();
                if !ids.contains(&organization.management) {
                    return Err(at(
                        start,
                        format!("management account {} has no [[account]]", organization.management),
                    ));
                }
                Some(organization)
            }
        };

        let mut resources = Vec::with_capacity(file.resource.len());
        for entry in file.resource {
            let start = entry.span().start;
            let resource =
                read_resource(entry.into_inner(), start, &accounts).map_err(|(offset, message)| at(offset, message))?;
            resources.push(resource);
        }
        let mut costs = Vec::with_capacity(file.cost.len());
        for cost in file.cost {
            let start = cost.span().start;
            let cost = cost.into_inner();
            if let Some(wrong) = cost.refused(&accounts) {
                return Err(at(start, wrong));
            }
            costs.push(cost);
        }
        let mut azure = file.azure;
        if azure.root.is_empty() {
            azure.root.clone_from(&azure.tenant);
        }
        let bill = file.bill.read(&accounts, &resources).map_err(|(offset, message)| at(offset, message))?;
        Ok(Org { organization, azure, gcp: file.gcp, accounts, resources, bill, costs })
    }

    /// The accounts of a cloud, in the file's order.
    pub(crate) fn of(&self, vendor: Vendor) -> impl Iterator<Item = &Account> {
        self.accounts.iter().filter(move |account| account.cloud == vendor)
    }

    /// The account that calls belong to when their access key names none.
    pub(crate) fn default_account(&self) -> &str {
        match &self.organization {
            Some(organization) => &organization.management,
            None => self.of(Vendor::Aws).next().map_or("000000000000", |account| &account.id),
        }
    }
}

impl Resource {
    /// The numbers of the copies; `None` alone when there is no `count`.
    pub(crate) fn numbers(&self) -> Vec<Option<u32>> {
        match self.count {
            None => vec![None],
            Some(count) => (1..=count).map(Some).collect(),
        }
    }

    /// The id of one copy.
    pub(crate) fn id_of(&self, number: Option<u32>) -> String {
        match number {
            None => self.id.clone(),
            Some(_) if self.id.contains("{n}") => numbered(&self.id, number),
            Some(n) => format!("{}{n:04}", self.id),
        }
    }
}

/// A text with "{n}" replaced by the copy's number, written as in the ids: four digits or more.
pub(crate) fn numbered(text: &str, number: Option<u32>) -> String {
    match number {
        Some(n) if text.contains("{n}") => text.replace("{n}", &format!("{n:04}")),
        _ => text.to_owned(),
    }
}

pub(crate) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(crate) fn is_guid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A number in twelve digits that depends on nothing but the id.
fn project_number(id: &str) -> String {
    (100_000_000_000 + hash(id) % 900_000_000_000).to_string()
}

/// A number that depends on nothing but the text (FNV-1a).
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn read_resource(entry: Entry, start: usize, accounts: &[Account]) -> Result<Resource, (usize, String)> {
    let mut resource = Resource::default();
    let mut own = Vec::new();
    let (mut account, mut region, mut id, mut kind_at) = (None, None, None, start);
    for (key, value) in entry {
        let (key_at, value_at) = (key.span().start, value.span().start);
        let (key, value) = (key.into_inner(), value.into_inner());
        let text = |value: &toml::Value| match value {
            toml::Value::String(text) => Ok(text.clone()),
            toml::Value::Datetime(time) => Ok(time.to_string()),
            _ => Err((value_at, format!("{key} is not a string"))),
        };
        match key.as_str() {
            "kind" => {
                resource.kind = text(&value)?;
                kind_at = value_at;
            }
            "account" => account = Some((value_at, text(&value)?)),
            "region" => region = Some(text(&value)?),
            "id" => id = Some(text(&value)?),
            "created" => {
                resource.created = text(&value)?;
                if parse_time(&resource.created, Timestamp::UNIX_EPOCH).is_none() {
                    return Err((
                        value_at,
                        format!("created = {:?} is neither like \"-40d\" nor RFC 3339", resource.created),
                    ));
                }
            }
            "tags" => resource.tags = texts(&value, "tags").map_err(|error| (value_at, error))?,
            "expect" => {
                resource.expect = texts(&value, "expect").map_err(|error| (value_at, error))?;
            }
            "count" => {
                let count = value
                    .as_integer()
                    .and_then(|count| u32::try_from(count).ok())
                    .ok_or((value_at, "count is not a number of copies".to_owned()))?;
                resource.count = Some(count);
            }
            _ => own.push((key_at, value_at, key, value)),
        }
    }
    if resource.kind.is_empty() {
        return Err((start, "a resource has no kind".to_owned()));
    }
    let Some(kind) = services::kind(&resource.kind) else {
        return Err((kind_at, format!("unknown kind {:?}", resource.kind)));
    };
    for (key_at, value_at, key, value) in own {
        let mut specs = kind.keys.iter().chain(services::common(&resource.kind));
        let Some(spec) = specs.find(|spec| spec_name(spec) == key) else {
            let specs = kind.keys.iter().chain(services::common(&resource.kind));
            let known: Vec<&str> = specs.map(|spec| spec_name(spec)).collect();
            return Err((key_at, format!("{} has no key {key:?}; its keys are {}", kind.kind, known.join(", "))));
        };
        let value = to_json(value);
        check(spec, &value).map_err(|error| (value_at, format!("{key}: {error}")))?;
        resource.keys.insert(key, value);
    }
    resource.id = id.ok_or((start, format!("a resource of {} has no id", resource.kind)))?;
    let vendor = resource.kind.split('.').next().unwrap_or_default();
    let mut own = accounts.iter().filter(|known| known.cloud.name() == vendor);
    resource.account = match account {
        Some((offset, account)) => match accounts.iter().find(|known| known.id == account) {
            None => return Err((offset, format!("account {account} has no [[account]]"))),
            Some(known) if known.cloud.name() != vendor => {
                return Err((
                    offset,
                    format!("account {account} is one of {}, and {} is not", known.cloud.name(), resource.kind),
                ));
            }
            Some(_) => account,
        },
        None => match (own.next(), own.next()) {
            (Some(only), None) => only.id.clone(),
            _ => return Err((start, format!("resource {} names no account", resource.id))),
        },
    };
    resource.region = region
        .or_else(|| {
            let first = accounts.iter().find(|known| known.id == resource.account)?.regions.first()?;
            Some(gcp::home(kind.kind, first))
        })
        .unwrap_or_default();
    if resource.created.is_empty() {
        "-100d".clone_into(&mut resource.created);
    }
    Ok(resource)
}

fn spec_name(spec: &str) -> &str {
    spec.split(':').next().unwrap_or(spec)
}

/// Whether a value has the type that a key's spec, "name:type", asks for.
fn check(spec: &str, value: &Value) -> Result<(), String> {
    let wanted = spec.split_once(':').map_or("any", |(_, wanted)| wanted);
    let good = match wanted {
        "text" => value.is_string(),
        "int" => value.is_i64(),
        "number" => value.is_number(),
        "bool" => value.is_boolean(),
        "list" => value.is_string() || value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        "time" => value.as_str().is_some_and(|text| parse_time(text, Timestamp::UNIX_EPOCH).is_some()),
        "table" => value.is_object(),
        "tables" => value.as_array().is_some_and(|items| items.iter().all(Value::is_object)),
        _ => true,
    };
    if good {
        Ok(())
    } else {
        Err(match wanted {
            "int" => "a whole number is expected".to_owned(),
            "list" => "a string or a list of strings is expected".to_owned(),
            "time" => "a time like \"-40d\" or RFC 3339 is expected".to_owned(),
            "tables" => "a list of tables is expected".to_owned(),
            other => format!("a {other} is expected"),
        })
    }
}

fn texts(value: &toml::Value, name: &str) -> Result<BTreeMap<String, String>, String> {
    let table = value.as_table().ok_or_else(|| format!("{name} is not a table"))?;
    table
        .iter()
        .map(|(key, value)| match value {
            toml::Value::String(text) => Ok((key.clone(), text.clone())),
            _ => Err(format!("{name}.{key} is not a string")),
        })
        .collect()
}

fn to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(to_json).collect()),
        toml::Value::Table(table) => Value::Object(table.into_iter().map(|(k, v)| (k, to_json(v))).collect()),
    }
}

/// A time relative to `now` ("-40d", "+3h"; units s, m, h, d, w), an RFC 3339 time or a date.
pub(crate) fn parse_time(text: &str, now: Timestamp) -> Option<Timestamp> {
    let sign = match text.as_bytes().first()? {
        b'-' => -1,
        b'+' => 1,
        b'0' if text == "0" => return Some(now),
        _ => {
            if text.len() == 10 {
                return format!("{text}T00:00:00Z").parse().ok();
            }
            return text.parse().ok();
        }
    };
    let unit = text.chars().last()?;
    let digits = text.get(1..text.len().checked_sub(unit.len_utf8())?)?;
    let number: i64 = digits.parse().ok().filter(|number| *number >= 0)?;
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    now.checked_add(SignedDuration::from_secs(number.checked_mul(seconds)?.checked_mul(sign)?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "[[account]]\nid = \"111111111111\"\n";

    fn error(text: &str) -> (usize, String) {
        let error = Org::parse(text).unwrap_err();
        (error.line, error.message)
    }

    #[test]
    fn accounts_of_three_clouds() {
        let text = "[gcp]\norganization = \"1\"\n[[account]]\nid = \"111111111111\"\n[[account]]\ncloud = \"azure\"\nid = \"00000000-0000-0000-0000-0000000000aa\"\n[[account]]\ncloud = \"gcp\"\nid = \"shop-1\"\n";
        let org = Org::parse(&format!("{text}[[resource]]\nkind = \"aws.ec2-volume\"\nid = \"v\"\n")).unwrap();
        assert_eq!(org.resources[0].account, "111111111111");
        assert_eq!(org.azure.root, org.azure.tenant);
        let statuses: Vec<&str> = org.accounts.iter().map(|account| account.status.as_str()).collect();
        assert_eq!(statuses, ["ACTIVE", "Enabled", "ACTIVE"]);
        assert_eq!(org.accounts[2].number.len(), 12);
        let wrong = "[[resource]]\nkind = \"aws.ec2-volume\"\naccount = \"shop-1\"\nid = \"v\"\n";
        assert!(error(&format!("{text}{wrong}")).1.contains("is one of gcp"));
        assert!(error("[[account]]\ncloud = \"azure\"\nid = \"111111111111\"\n").1.contains("no GUID"));
    }

    #[test]
    fn reads_defaults_and_copies() {
        let org = Org::parse(&format!(
            "{HEAD}[[resource]]\nkind = \"aws.ec2-volume\"\nid = \"vol-0a\"\ncount = 2\nexpect = {{ d = \"found\" }}\n"
        ))
        .unwrap();
        assert_eq!(org.resources[0].region, "us-east-1");
        assert_eq!(org.resources[0].account, "111111111111");
        let ids: Vec<String> = org.truth().into_iter().map(|truth| truth.id).collect();
        assert_eq!(ids, ["vol-0a0001", "vol-0a0002"]);
        assert_eq!(org.default_account(), "111111111111");
    }

    #[test]
    fn mistakes_name_their_line() {
        assert_eq!(error("a = 1\n").0, 1);
        let (line, message) = error(&format!("{HEAD}[[resource]]\nkind = \"aws.ec2-volume\"\nid = \"v\"\nsise = 3\n"));
        assert_eq!(line, 6);
        assert!(message.contains("no key \"sise\""), "{message}");
        assert_eq!(error(&format!("{HEAD}[[resource]]\nkind = \"aws.nothing\"\nid = \"v\"\n")).0, 4);
        let (line, message) =
            error(&format!("{HEAD}[[resource]]\nkind = \"aws.ec2-volume\"\nid = \"v\"\nsize = \"big\"\n"));
        assert_eq!((line, message.contains("whole number")), (6, true));
        assert_eq!(error("[[account]]\nid = \"12\"\n").0, 1);
        assert_eq!(error("[[account]]\nid = \"111111111111\"\nnme = \"x\"\n").0, 3);
        assert_eq!(
            error(&format!("{HEAD}[[resource]]\nkind = \"aws.ec2-volume\"\nid = \"v\"\ncreated = \"soon\"\n")).0,
            6
        );
        assert_eq!(error("").0, 0);
    }

    #[test]
    fn times() {
        let now: Timestamp = "2026-10-10T00:00:00Z".parse().unwrap();
        let show = |text| parse_time(text, now).map(|time| time.to_string());
        assert_eq!(show("-1d").unwrap(), "2026-10-09T00:00:00Z");
        assert_eq!(show("+3h").unwrap(), "2026-10-10T03:00:00Z");
        assert_eq!(show("2026-01-02").unwrap(), "2026-01-02T00:00:00Z");
        for bad in ["", "-", "-d", "--1d", "-1é", "-9999999999999999999d", "tomorrow"] {
            assert_eq!(show(bad), None, "{bad}");
        }
    }
}
