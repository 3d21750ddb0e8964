//! What a plan in Terraform's JSON says of the tags of what it will make.
//!
//! <https://developer.hashicorp.com/terraform/internals/json-format>: `resource_changes[].change` has `after`, in which
//! values that are only known after apply are left out, and `after_unknown`, in which they are `true`. OpenTofu writes the
//! same. A tag that may still come is unknown, and never missing.

use crate::exit::Failure;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::Path,
};
use sweeper_core::{
    model::{Class, CloudId},
    money::HOURS_A_MONTH,
};

/// The largest plan that is read, bytes.
const LARGEST: u64 = 256 << 20;

/// A planned resource of a kind that is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// As Terraform names it: `module.net.aws_eip.nat[0]`.
    pub address: String,
    /// Terraform's word: `aws_eip`.
    pub of: String,
    /// Ours: `aws.ec2-address`.
    pub kind: &'static str,
    pub cloud: CloudId,
    pub class: Class,
    pub tags: Tags,
    pub does: Does,
    pub bill: Option<Billing>,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// There is one more afterwards.
    Add,
    /// It is changed, or another takes its place.
    Change,
    /// There is one less afterwards.
    Remove,
}

impl Does {
    fn of(actions: &[String]) -> Option<Self> {
        let does = |action: &str| actions.iter().any(|own| own == action);
        match (does("create"), does("delete"), does("update")) {
            (true, false, _) => Some(Self::Add),
            (true, true, _) | (_, _, true) => Some(Self::Change),
            (false, true, false) => Some(Self::Remove),
            (false, false, false) => None,
        }
    }
}

/// What a month of it is priced by: keys of the price book, each so many times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Billing {
    pub region: String,
    pub units: Vec<(String, i64)>,
}

/// The tags it will have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// By key; `None` where the value is only known after apply.
    pub known: BTreeMap<String, Option<String>>,
    /// Whether there may be more, which are only known after apply.
    pub more: bool,
    /// Keys whose value nobody may see.
    pub sensitive: BTreeSet<String>,
}

/// What a plan will make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the plan's order.
    pub resources: Vec<Planned>,
    /// Resources that it makes or changes and that nobody judges.
    pub others: usize,
    /// What it takes away, of kinds that are judged.
    pub removed: Vec<Planned>,
    pub notes: Vec<String>,
}

macro_rules! kinds {
    ($($of:literal $kind:literal $class:ident;)*) => {
        /// Resources of Terraform that are kinds of ours and carry tags.
        const KINDS: &[(&str, &str, Class)] = &[$(($of, $kind, Class::$class)),*];
    };
}

kinds! {
    "aws_instance" "aws.ec2-instance" Vm;
    "aws_ebs_volume" "aws.ec2-volume" Disk;
    "aws_ebs_snapshot" "aws.ec2-snapshot" Snapshot;
    "aws_ebs_snapshot_copy" "aws.ec2-snapshot" Snapshot;
    "aws_ami" "aws.ec2-image" Image;
    "aws_ami_copy" "aws.ec2-image" Image;
    "aws_ami_from_instance" "aws.ec2-image" Image;
    "aws_eip" "aws.ec2-address" Address;
    "aws_network_interface" "aws.ec2-network-interface" Interface;
    "aws_nat_gateway" "aws.ec2-nat-gateway" Gateway;
    "aws_vpc_endpoint" "aws.ec2-vpc-endpoint" Endpoint;
    "aws_security_group" "aws.ec2-security-group" SecurityGroup;
    "aws_lb" "aws.elb-load-balancer" LoadBalancer;
    "aws_alb" "aws.elb-load-balancer" LoadBalancer;
    "aws_elb" "aws.elb-load-balancer" LoadBalancer;
    "aws_lb_target_group" "aws.elb-target-group" TargetGroup;
    "aws_alb_target_group" "aws.elb-target-group" TargetGroup;
    "aws_lambda_function" "aws.lambda-function" Function;
    "aws_cloudwatch_log_group" "aws.logs-group" LogGroup;
    "aws_db_instance" "aws.rds-instance" Database;
    "aws_rds_cluster" "aws.rds-cluster" Database;
    "aws_db_snapshot" "aws.rds-snapshot" DbSnapshot;
    "aws_db_cluster_snapshot" "aws.rds-cluster-snapshot" DbSnapshot;
    "aws_s3_bucket" "aws.s3-bucket" Bucket;
    "aws_ecr_repository" "aws.ecr-repository" Registry;
    "aws_eks_cluster" "aws.eks-cluster" Cluster;
    "azurerm_linux_virtual_machine" "azure.compute-vm" Vm;
    "azurerm_windows_virtual_machine" "azure.compute-vm" Vm;
    "azurerm_virtual_machine" "azure.compute-vm" Vm;
    "azurerm_managed_disk" "azure.compute-disk" Disk;
    "azurerm_snapshot" "azure.compute-snapshot" Snapshot;
    "azurerm_image" "azure.compute-image" Image;
    "azurerm_shared_image_version" "azure.compute-gallery-image-version" Image;
    "azurerm_public_ip" "azure.network-public-ip" Address;
    "azurerm_network_interface" "azure.network-interface" Interface;
    "azurerm_nat_gateway" "azure.network-nat-gateway" Gateway;
    "azurerm_network_security_group" "azure.network-security-group" SecurityGroup;
    "azurerm_lb" "azure.network-load-balancer" LoadBalancer;
    "azurerm_application_gateway" "azure.network-application-gateway" Appliance;
    "azurerm_firewall" "azure.network-firewall" Appliance;
    "azurerm_virtual_network_gateway" "azure.network-vpn-gateway" Appliance;
    "azurerm_express_route_circuit" "azure.network-expressroute-circuit" Appliance;
    "azurerm_network_ddos_protection_plan" "azure.network-ddos-plan" Appliance;
    "azurerm_linux_function_app" "azure.function-app" Function;
    "azurerm_windows_function_app" "azure.function-app" Function;
    "azurerm_service_plan" "azure.app-service-plan" Plan;
    "azurerm_mssql_elasticpool" "azure.sql-elastic-pool" Plan;
    "azurerm_mssql_database" "azure.sql-database" Database;
    "azurerm_postgresql_flexible_server" "azure.postgres-flexible-server" Database;
    "azurerm_storage_account" "azure.storage-account" Bucket;
    "azurerm_container_registry" "azure.acr-registry" Registry;
    "azurerm_kubernetes_cluster" "azure.aks-cluster" Cluster;
    "azurerm_log_analytics_workspace" "azure.log-workspace" LogGroup;
    "google_compute_instance" "gcp.compute-instance" Vm;
    "google_compute_disk" "gcp.compute-disk" Disk;
    "google_compute_region_disk" "gcp.compute-disk" Disk;
    "google_compute_snapshot" "gcp.compute-snapshot" Snapshot;
    "google_compute_image" "gcp.compute-image" Image;
    "google_compute_address" "gcp.compute-address" Address;
    "google_compute_global_address" "gcp.compute-address" Address;
    "google_compute_forwarding_rule" "gcp.compute-forwarding-rule" LoadBalancer;
    "google_compute_global_forwarding_rule" "gcp.compute-forwarding-rule" LoadBalancer;
    "google_storage_bucket" "gcp.storage-bucket" Bucket;
    "google_sql_database_instance" "gcp.sql-instance" Database;
    "google_cloudfunctions_function" "gcp.function" Function;
    "google_cloudfunctions2_function" "gcp.function" Function;
    "google_cloud_run_v2_service" "gcp.run-service" Function;
    "google_cloud_run_v2_job" "gcp.run-job" Function;
    "google_artifact_registry_repository" "gcp.artifact-repository" Registry;
    "google_container_cluster" "gcp.gke-cluster" Cluster;
}

/// A plan, as far as it is looked at.
#[derive(Deserialize)]
struct Document {
    format_version: String,
    #[serde(default)]
    errored: bool,
    #[serde(default)]
    resource_changes: Vec<Change>,
    #[serde(default)]
    configuration: Value,
}

#[derive(Deserialize)]
struct Change {
    address: String,
    #[serde(default)]
    mode: String,
    #[serde(rename = "type")]
    of: String,
    #[serde(rename = "change")]
    values: Values,
}

#[derive(Deserialize)]
struct Values {
    actions: Vec<String>,
    #[serde(default)]
    before: Option<Attributes>,
    #[serde(default)]
    after: Option<Attributes>,
    #[serde(default)]
    after_unknown: Option<Unknown>,
    #[serde(default)]
    after_sensitive: Option<Unknown>,
}

/// Of all that a resource has, what may be tags, and what it is priced by.
#[derive(Clone, Debug, Default, Deserialize)]
struct Attributes {
    #[serde(default)]
    tags: Value,
    #[serde(default)]
    tags_all: Value,
    #[serde(default)]
    labels: Value,
    #[serde(default)]
    terraform_labels: Value,
    #[serde(default)]
    effective_labels: Value,
    #[serde(default)]
    resource_labels: Value,
    #[serde(default)]
    settings: Value,
    #[serde(default)]
    region: Value,
    #[serde(default)]
    availability_zone: Value,
    #[serde(default)]
    zone: Value,
    #[serde(default, rename = "type")]
    sort: Value,
    #[serde(default)]
    load_balancer_type: Value,
    #[serde(default)]
    size: Value,
    #[serde(default)]
    iops: Value,
    #[serde(default)]
    throughput: Value,
}

/// `true` where all of it is so, or what of it is.
#[derive(Deserialize)]
#[serde(untagged)]
enum Unknown {
    All(bool),
    Some(Box<Attributes>),
}

impl Plan {
    /// Reads a plan's file.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |why: &dyn std::fmt::Display| {
            Failure::usage(format!("failed to read the plan {}: {why}", path.display()))
                .help("`terraform show -json PLANFILE > plan.json` writes one")
        };
        let mut bytes = Vec::new();
        let input: Box<dyn Read> = if path == Path::new("-") {
            Box::new(std::io::stdin())
        } else {
            Box::new(File::open(path).map_err(|error| failed(&error))?)
        };
        input.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
        if bytes.len() as u64 > LARGEST {
            return Err(failed(&format!("it is larger than {} MiB", LARGEST >> 20)));
        }
        Self::parse(&bytes).map_err(|why| failed(&why))
    }

    /// Reads a plan, or says why it is none. A plan holds secrets: nothing of what it holds is repeated.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(bytes).map_err(|error| no_plan(bytes, &error))?;
        if document.format_version.split('.').next() != Some("1") {
            return Err("it is of a later format than 1: use a newer release".to_owned());
        }
        if document.resource_changes.is_empty() {
            // A plan that changes nothing has none either, and says what it plans.
            let keys: Map<String, Value> = serde_json::from_slice(bytes).unwrap_or_default();
            if keys.contains_key("values") {
                return Err("it is a state, and no plan".to_owned());
            }
            if !keys.contains_key("planned_values") && !keys.contains_key("resource_changes") {
                return Err("it is no plan of Terraform".to_owned());
            }
        }
        let defaults = Defaults::of(&document.configuration);
        let mut plan = Self::default();
        if document.errored {
            plan.notes.push("the plan is of a run that failed, and may not hold all that was meant".to_owned());
        }
        for change in document.resource_changes {
            let Some(does) = Does::of(&change.values.actions).filter(|_| change.mode != "data") else { continue };
            let Some((_, kind, class)) = KINDS.iter().find(|(of, ..)| *of == change.of) else {
                plan.others += usize::from(does != Does::Remove);
                continue;
            };
            let cloud = kind.split_once('.').and_then(|(cloud, _)| CloudId::parse(cloud));
            let Some(cloud) = cloud else { continue };
            let mut values = change.values;
            if does == Does::Remove {
                (values.after, values.after_unknown) = (values.before.take(), None);
            }
            let tags = tags(cloud, &values, &defaults);
            let bill = values.after.as_ref().and_then(|after| billing(&change.of, after, &defaults));
            let (address, of) = (change.address, change.of);
            let to = if does == Does::Remove { &mut plan.removed } else { &mut plan.resources };
            to.push(Planned { address, of, kind, cloud, class: *class, tags, does, bill });
        }
        Ok(plan)
    }
}

/// What a file is that is no plan, as far as that can be told.
fn no_plan(bytes: &[u8], error: &serde_json::Error) -> String {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_log = serde_json::from_slice::<Map<String, Value>>(line).is_ok_and(|line| line.contains_key("@level"));
    if bytes.starts_with(b"PK") {
        return "it is a plan as `terraform plan -out` writes it, and no JSON".to_owned();
    }
    if is_log {
        return "it is the log of `terraform plan -json`, and no plan".to_owned();
    }
    match error.classify() {
        serde_json::error::Category::Data => "it is no plan of Terraform".to_owned(),
        _ => format!("it is no JSON: line {}, column {}", error.line(), error.column()),
    }
}

/// What the providers of a plan give to everything.
struct Defaults {
    /// Tags of the only AWS provider that there is.
    aws: Option<BTreeMap<String, String>>,
    /// And its region.
    region: Option<String>,
}

impl Defaults {
    fn of(configuration: &Value) -> Self {
        let providers = configuration["provider_config"].as_object();
        let aws: Vec<&Value> = providers
            .into_iter()
            .flat_map(Map::values)
            .filter(|provider| provider["name"] == "aws")
            .map(|provider| &provider["expressions"])
            .collect();
        let [only] = aws.as_slice() else { return Self { aws: None, region: None } };
        let region = only["region"]["constant_value"].as_str().map(str::to_owned);
        let aws = only["default_tags"][0]["tags"]["constant_value"].as_object().map(|tags| {
            tags.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
        });
        Self { aws, region }
    }
}

/// The tags that a resource will have. Of several attributes the most complete counts that is known.
fn tags(cloud: CloudId, change: &Values, defaults: &Defaults) -> Tags {
    let after = change.after.clone().unwrap_or_default();
    let (unknown, wholly) = match &change.after_unknown {
        Some(Unknown::Some(unknown)) => ((**unknown).clone(), false),
        Some(Unknown::All(all)) => (Attributes::default(), *all),
        None => (Attributes::default(), false),
    };
    let (sensitive, secret) = match &change.after_sensitive {
        Some(Unknown::Some(sensitive)) => ((**sensitive).clone(), false),
        Some(Unknown::All(all)) => (Attributes::default(), *all),
        None => (Attributes::default(), false),
    };
    let part = |of: &dyn Fn(&Attributes) -> Value| Part::of(&of(&after), &of(&unknown), &of(&sensitive), secret);
    let settings = |own: &Attributes| own.settings[0]["user_labels"].clone();
    let (whole, own) = match cloud {
        CloudId::Aws => (vec![part(&|own| own.tags_all.clone())], vec![part(&|own| own.tags.clone())]),
        CloudId::Azure => (Vec::new(), vec![part(&|own| own.tags.clone())]),
        CloudId::Gcp => (
            vec![part(&|own| own.effective_labels.clone()), part(&|own| own.terraform_labels.clone())],
            vec![part(&|own| own.labels.clone()), part(&|own| own.resource_labels.clone()), part(&|own| settings(own))],
        ),
    };
    // All tags, with those of the provider, known key by key.
    if let Some(part) = whole.iter().find(|part| part.is_there && !part.tags.more) {
        return part.tags.clone();
    }
    let mut tags = Tags { more: wholly, ..Tags::default() };
    // All of them wait for one that is only known after apply; those that are written are known all the same.
    if whole.iter().any(|part| part.tags.more) {
        match defaults.aws.as_ref().filter(|_| cloud == CloudId::Aws) {
            Some(defaults) => {
                tags.known.extend(defaults.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
            }
            None => tags.more = true,
        }
    }
    for part in own {
        tags.more |= part.tags.more;
        tags.known.extend(part.tags.known);
        tags.sensitive.extend(part.tags.sensitive);
    }
    tags
}

/// What a planned resource is priced by, of those whose price a plan tells whole. Throughput and requests are in none.
fn billing(of: &str, own: &Attributes, defaults: &Defaults) -> Option<Billing> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let number = |value: &Value| value.as_i64().filter(|number| *number > 0);
    // `us-east-1a` is of `us-east-1`, `europe-west1-b` of `europe-west1`.
    let zone = |value: &Value, end: &[char]| {
        let zone = value.as_str()?;
        let region = zone.strip_suffix(|letter: char| letter.is_ascii_lowercase())?;
        Some(region.trim_end_matches(end).to_owned())
    };
    let aws = || text(&own.region).or_else(|| zone(&own.availability_zone, &[])).or_else(|| defaults.region.clone());
    let hours = |key: &str| vec![(key.to_owned(), HOURS_A_MONTH)];
    let (region, units) = match of {
        "aws_ebs_volume" => (aws(), volume(&text(&own.sort)?, number(&own.size)?, own)?),
        "aws_nat_gateway" => (aws(), hours("nat.hour")),
        "aws_eip" => (aws(), hours("ipv4.hour")),
        "aws_elb" => (aws(), hours("clb.hour")),
        "aws_lb" | "aws_alb" => match own.load_balancer_type.as_str() {
            Some("application") => (aws(), hours("alb.hour")),
            Some("network") => (aws(), hours("nlb.hour")),
            _ => return None,
        },
        "google_compute_disk" => {
            let sort = text(&own.sort).filter(|sort| sort != "pd-extreme")?;
            (zone(&own.zone, &['-']), vec![(format!("disk.{sort}.gib-month"), number(&own.size)?)])
        }
        _ => return None,
    };
    Some(Billing { region: region?, units })
}

/// Size, and what is provisioned beyond what a gp3 includes (3,000 IOPS and 125 MiB/s) or, of io1 and io2, at all.
fn volume(sort: &str, size: i64, own: &Attributes) -> Option<Vec<(String, i64)>> {
    let mut units = vec![(format!("ebs.{sort}.gb-month"), size)];
    let mut beyond = |key: &str, value: &Value, free: i64| {
        let extra = value.as_i64().unwrap_or(free) - free;
        if extra > 0 {
            units.push((format!("ebs.{sort}.{key}"), extra));
        }
    };
    match sort {
        "gp3" => {
            beyond("iops-month", &own.iops, 3000);
            beyond("mibps-month", &own.throughput, 125);
        }
        "io1" | "io2" => {
            own.iops.as_i64()?;
            beyond("iops-month", &own.iops, 0);
        }
        "gp2" | "st1" | "sc1" | "standard" => {}
        _ => return None,
    }
    Some(units)
}

/// One attribute that holds tags.
#[derive(Default)]
struct Part {
    /// Whether it is in the plan, known or not.
    is_there: bool,
    tags: Tags,
}

impl Part {
    fn of(after: &Value, unknown: &Value, sensitive: &Value, secret: bool) -> Self {
        let mut tags = Tags { more: unknown.as_bool() == Some(true), ..Tags::default() };
        let is_there = after.is_object() || unknown.is_object();
        for (key, value) in after.as_object().into_iter().flatten() {
            // Numbers and truths are written as texts where tags are.
            let value = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            tags.known.insert(key.clone(), Some(value));
        }
        for (key, value) in unknown.as_object().into_iter().flatten() {
            if value.as_bool() == Some(true) {
                tags.known.insert(key.clone(), None);
            }
        }
        let hides = |key: &str| secret || sensitive == true || sensitive[key] == true;
        tags.sensitive = tags.known.keys().filter(|key| hides(key)).cloned().collect();
        Self { is_there, tags }
    }
}

#[cfg(test)]
mod tests;
