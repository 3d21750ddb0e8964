//! What the clouds measure and what a unit of it costs, and how much of what a resource uses a day.
//!
//! A meter is named as the price book of the sweeper names the same price where it has it, and says the same figure: a
//! test of `sweeper-bill` holds one against the other. Prices that the book lacks are round figures near those of
//! 2026, made for a demo: nothing but its bill rests on them. They are those of each cloud's first region (us-east-1,
//! eastus, us-central1); elsewhere they are dearer by [`dearer`].

use crate::cloud::Item;
use crate::org::Vendor;

/// One price of a cloud.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Meter {
    pub(crate) cloud: Vendor,
    /// `ebs.gp3.gb-month`: the last part is the unit.
    pub(crate) key: &'static str,
    pub(crate) service: Service,
    /// Of a unit, in millionths of a dollar.
    price: i64,
}

/// FOCUS's ServiceName and ServiceCategory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) category: &'static str,
}

const fn service(name: &'static str, category: &'static str) -> Service {
    Service { name, category }
}

const fn aws(key: &'static str, service: Service, price: i64) -> Meter {
    Meter { cloud: Vendor::Aws, key, service, price }
}

const fn azure(key: &'static str, service: Service, price: i64) -> Meter {
    Meter { cloud: Vendor::Azure, key, service, price }
}

const fn gcp(key: &'static str, service: Service, price: i64) -> Meter {
    Meter { cloud: Vendor::Gcp, key, service, price }
}

const EC2: Service = service("Amazon Elastic Compute Cloud", "Compute");
const VPC: Service = service("Amazon Virtual Private Cloud", "Networking");
const ELB: Service = service("Elastic Load Balancing", "Networking");
const RDS: Service = service("Amazon Relational Database Service", "Databases");
const S3: Service = service("Amazon Simple Storage Service", "Storage");
const ECR: Service = service("Amazon EC2 Container Registry", "Compute");
const EKS: Service = service("Amazon Elastic Kubernetes Service", "Compute");
const LOGS: Service = service("AmazonCloudWatch", "Management and Governance");
const LAMBDA: Service = service("AWS Lambda", "Compute");
const BACKUP: Service = service("AWS Backup", "Storage");
const TRANSFER: Service = service("AWS Data Transfer", "Networking");
const DISKS: Service = service("Storage", "Storage");
const MACHINES: Service = service("Virtual Machines", "Compute");
const NETWORK: Service = service("Virtual Network", "Networking");
const GATEWAY: Service = service("Application Gateway", "Networking");
const DDOS: Service = service("Azure DDOS Protection", "Networking");
const APPS: Service = service("Azure App Service", "Web");
const BANDWIDTH: Service = service("Bandwidth", "Networking");
const ENGINE: Service = service("Compute Engine", "Compute");
const NETWORKING: Service = service("Networking", "Networking");
const SQL: Service = service("Cloud SQL", "Databases");
const RUN: Service = service("Cloud Run", "Compute");
const BIGQUERY: Service = service("BigQuery", "Analytics");
const ARTIFACTS: Service = service("Artifact Registry", "Developer Tools");

/// Every meter.
#[rustfmt::skip]
const METERS: &[Meter] = &[
    aws("vm.c6i.4xlarge.hour", EC2, 680_000),
    aws("vm.c6i.large.hour", EC2, 85_000),
    aws("vm.c6i.xlarge.hour", EC2, 170_000),
    aws("vm.m5.2xlarge.hour", EC2, 384_000),
    aws("vm.m5.large.hour", EC2, 96_000),
    aws("vm.m6i.large.hour", EC2, 96_000),
    aws("vm.p3.2xlarge.hour", EC2, 3_060_000),
    aws("vm.r5.4xlarge.hour", EC2, 1_008_000),
    aws("vm.t3.large.hour", EC2, 83_200),
    aws("vm.t3.micro.hour", EC2, 10_400),
    aws("ebs.gp3.gb-month", EC2, 80_000),
    aws("ebs.gp2.gb-month", EC2, 100_000),
    aws("ebs.io1.gb-month", EC2, 125_000),
    aws("ebs.io1.iops-month", EC2, 65_000),
    aws("ebs.snapshot.gb-month", EC2, 50_000),
    aws("ipv4.hour", VPC, 5_000),
    aws("nat.hour", VPC, 45_000),
    aws("nat.gb", VPC, 45_000),
    aws("vpce.hour", VPC, 10_000),
    aws("alb.hour", ELB, 22_500),
    aws("nlb.hour", ELB, 22_500),
    aws("clb.hour", ELB, 25_000),
    aws("lcu.hour", ELB, 8_000),
    aws("db.r6g.2xlarge.hour", RDS, 900_000),
    aws("db.r5.2xlarge.hour", RDS, 1_000_000),
    aws("db.t3.medium.hour", RDS, 72_000),
    aws("db.t3.micro.hour", RDS, 17_000),
    aws("rds.gp3.gb-month", RDS, 115_000),
    aws("rds.backup.gb-month", RDS, 95_000),
    aws("aurora.backup.gb-month", RDS, 21_000),
    aws("aurora.io.million", RDS, 200_000),
    aws("s3.standard.gb-month", S3, 23_000),
    aws("s3.put.thousand", S3, 5_000),
    aws("ecr.gb-month", ECR, 100_000),
    aws("eks.hour", EKS, 100_000),
    aws("logs.gb-month", LOGS, 30_000),
    aws("logs.ingest.gb", LOGS, 500_000),
    aws("lambda.million", LAMBDA, 200_000),
    aws("backup.gb-month", BACKUP, 50_000),
    aws("transfer.out.gb", TRANSFER, 90_000),
    aws("transfer.zone.gb", TRANSFER, 10_000),
    azure("vm.d2s-v5.hour", MACHINES, 96_000),
    azure("vm.d8s-v5.hour", MACHINES, 384_000),
    azure("vm.d8s-v5-windows.hour", MACHINES, 752_000),
    azure("disk.p4-lrs.month", DISKS, 5_280_000),
    azure("disk.p6-lrs.month", DISKS, 10_210_000),
    azure("disk.p10-lrs.month", DISKS, 19_710_000),
    azure("disk.p15-lrs.month", DISKS, 38_020_000),
    azure("disk.p20-lrs.month", DISKS, 73_220_000),
    azure("disk.p30-lrs.month", DISKS, 135_170_000),
    azure("disk.e6-lrs.month", DISKS, 4_800_000),
    azure("snapshot.gb-month", DISKS, 50_000),
    azure("ip.standard.hour", NETWORK, 5_000),
    azure("appgw.standard-v2.month", GATEWAY, 146_000_000),
    azure("ddos.plan.month", DDOS, 2_944_000_000),
    azure("plan.p1v3.hour", APPS, 170_000),
    azure("bandwidth.gb", BANDWIDTH, 87_000),
    gcp("vm.e2-medium.hour", ENGINE, 33_500),
    gcp("disk.pd-standard.gib-month", ENGINE, 40_000),
    gcp("disk.pd-balanced.gib-month", ENGINE, 100_000),
    gcp("disk.pd-ssd.gib-month", ENGINE, 170_000),
    gcp("snapshot.standard.gib-month", ENGINE, 50_000),
    gcp("image.gib-month", ENGINE, 50_000),
    gcp("address.unused.hour", ENGINE, 10_000),
    gcp("sql.db-custom-1-3840.hour", SQL, 67_000),
    gcp("sql.ssd.gib-month", SQL, 170_000),
    gcp("artifact-registry.gb-month", ARTIFACTS, 100_000),
    gcp("run.vcpu.hour", RUN, 86_400),
    gcp("bigquery.tib", BIGQUERY, 6_250_000),
    gcp("egress.gb", NETWORKING, 120_000),
];

/// The meter of a cloud by its key.
pub(crate) fn meter(cloud: Vendor, key: &str) -> Option<&'static Meter> {
    METERS.iter().find(|meter| meter.cloud == cloud && meter.key == key)
}

/// The keys of a cloud's meters.
pub(crate) fn keys(cloud: Vendor) -> Vec<&'static str> {
    METERS.iter().filter(|meter| meter.cloud == cloud).map(|meter| meter.key).collect()
}

impl Meter {
    /// What a unit costs in a region, millionths of a dollar.
    pub(crate) fn price(&self, region: &str) -> i64 {
        self.price * dearer(region) / 100
    }

    /// FOCUS's PricingUnit.
    pub(crate) fn unit(&self) -> &'static str {
        match self.key.rsplit('.').next().unwrap_or_default() {
            "hour" => "Hours",
            "gb-month" => "GB-Months",
            "gib-month" => "GiB-Months",
            "iops-month" => "IOPS-Months",
            "month" => "Months",
            "gb" => "GB",
            "tib" => "TiB",
            "million" => "1000000 Requests",
            _ => "1000 Requests",
        }
    }

    /// Of a month's units, as much as a day has: a month has 730 hours. Millionths in, millionths out.
    fn a_day(&self, units: i128) -> i128 {
        if self.key.ends_with("month") { units * 24 / 730 } else { units }
    }
}

/// What a region costs, percent of the first one.
fn dearer(region: &str) -> i64 {
    match region {
        "eu-west-1" => 110,
        "ap-southeast-2" => 130,
        _ => 100,
    }
}

const MILLION: i128 = 1_000_000;
const HOURS: i128 = 24;
const GIB: i128 = 1 << 30;

/// What a resource uses of each meter on a whole day of its life, millionths of a unit; `all` are the resources of the
/// organisation. What is switched off, empty or free has nothing. What depends on traffic is not in it.
pub(crate) fn loads(item: &Item, all: &[Item]) -> Vec<(&'static Meter, i128)> {
    let mut loads = Vec::new();
    let cloud = match item.kind.split('.').next() {
        Some("aws") => Vendor::Aws,
        Some("azure") => Vendor::Azure,
        _ => Vendor::Gcp,
    };
    let mut add = |key: &str, units: i128| {
        if let Some(meter) = meter(cloud, key) {
            let a_day = meter.a_day(units);
            if a_day > 0 {
                loads.push((meter, a_day));
            }
        }
    };
    let int = |key: &str, default: i64| i128::from(item.int(key).unwrap_or(default));
    let gib = |bytes: i128| bytes * MILLION / GIB;
    let hours = HOURS * MILLION;
    match item.kind.as_str() {
        "aws.ec2-instance" if item.text_or("state", "running") == "running" => {
            add(&format!("vm.{}.hour", item.text_or("type", "t3.micro")), hours);
        }
        "aws.ec2-volume" => {
            let tier = item.text_or("type", "gp3");
            add(&format!("ebs.{tier}.gb-month"), int("size", 8) * MILLION);
            if tier == "io1" {
                add("ebs.io1.iops-month", int("iops", 100) * MILLION);
            }
        }
        "aws.ec2-snapshot" if item.text_or("state", "completed") == "completed" => {
            add("ebs.snapshot.gb-month", int("size", 8) * MILLION);
        }
        "aws.ec2-address" => add("ipv4.hour", hours),
        "aws.ec2-nat-gateway" => add("nat.hour", hours),
        "aws.ec2-vpc-endpoint" if item.text_or("type", "Interface") == "Interface" => {
            add("vpce.hour", hours * item.list("subnets").len().max(1) as i128);
        }
        "aws.elb-load-balancer" => add(
            match item.text_or("type", "application").as_str() {
                "classic" => "clb.hour",
                "network" => "nlb.hour",
                _ => "alb.hour",
            },
            hours,
        ),
        "aws.rds-instance" => {
            let copies = if item.flag("multi_az") == Some(true) { 2 } else { 1 };
            if item.text_or("status", "available") == "available" {
                add(
                    &format!("db.{}.hour", item.text_or("class", "db.t3.micro").trim_start_matches("db.")),
                    hours * copies,
                );
            }
            if item.text("cluster").is_none() {
                add("rds.gp3.gb-month", int("storage", 20) * MILLION * copies);
            }
        }
        "aws.rds-snapshot" | "aws.rds-retained-backup" => add("rds.backup.gb-month", int("storage", 20) * MILLION),
        "aws.rds-cluster-snapshot" => add("aurora.backup.gb-month", int("storage", 20) * MILLION),
        "aws.s3-bucket" => {
            let parts = |upload: &Item| -> i128 {
                let parts = upload.keys.get("parts").and_then(serde_json::Value::as_array);
                parts.into_iter().flatten().filter_map(serde_json::Value::as_i64).map(i128::from).sum()
            };
            let uploads =
                all.iter().filter(|other| other.kind == "aws.s3-upload" && other.text("bucket") == Some(&item.id));
            add("s3.standard.gb-month", gib(int("bytes", 0) + uploads.map(parts).sum::<i128>()));
        }
        "aws.logs-group" => add("logs.gb-month", gib(int("bytes", 0))),
        "aws.ecr-repository" => add("ecr.gb-month", gib(held(item, all, "aws.ecr-image"))),
        "aws.eks-cluster" => add("eks.hour", hours),
        "aws.backup-recovery-point" => add("backup.gb-month", gib(int("size", 0))),
        "azure.compute-vm" if matches!(&*item.text_or("state", "running"), "running" | "stopped") => {
            let size = item.text_or("size", "Standard_D2s_v5").to_ascii_lowercase();
            let windows = if item.text("os") == Some("Windows") { "-windows" } else { "" };
            add(&format!("vm.{}{windows}.hour", size.trim_start_matches("standard_").replace('_', "-")), hours);
        }
        "azure.compute-disk" => {
            let letter = if item.text("sku") == Some("StandardSSD_LRS") { 'e' } else { 'p' };
            add(&format!("disk.{letter}{}-lrs.month", step(int("size", 128))), MILLION);
        }
        "azure.compute-snapshot" => add("snapshot.gb-month", int("size", 128) * MILLION),
        "azure.network-public-ip" => add("ip.standard.hour", hours),
        "azure.network-application-gateway" => add("appgw.standard-v2.month", MILLION),
        "azure.network-ddos-plan" => add("ddos.plan.month", MILLION),
        "azure.app-service-plan" => {
            let sku = item.text_or("sku", "P1v3").to_ascii_lowercase();
            add(&format!("plan.{sku}.hour"), hours * int("workers", 1));
        }
        "gcp.compute-instance" if item.text_or("status", "RUNNING") == "RUNNING" => {
            add(&format!("vm.{}.hour", item.text_or("machine_type", "e2-medium")), hours);
        }
        "gcp.compute-disk" => {
            let tier = item.text_or("type", "pd-balanced");
            add(&format!("disk.{tier}.gib-month"), int("size", 10) * MILLION);
        }
        "gcp.compute-snapshot" => add("snapshot.standard.gib-month", gib(stored(item))),
        "gcp.compute-image" => add("image.gib-month", gib(stored(item))),
        "gcp.compute-address" if item.text("type") != Some("INTERNAL") => add("address.unused.hour", hours),
        "gcp.sql-instance" => {
            add(&format!("sql.{}.hour", item.text_or("tier", "db-custom-1-3840")), hours);
            add("sql.ssd.gib-month", int("size", 10) * MILLION);
        }
        "gcp.artifact-repository" => add("artifact-registry.gb-month", gib(held(item, all, "gcp.artifact-image"))),
        _ => {}
    }
    loads
}

/// Bytes of a snapshot or an image: a quarter of its disk unless it says so, as its API tells.
fn stored(item: &Item) -> i128 {
    let quarter = i128::from(item.int("size").unwrap_or(10)) * (GIB / 4);
    item.int("bytes").map_or(quarter, i128::from)
}

/// Bytes of the images of a repository.
fn held(repository: &Item, all: &[Item], kind: &str) -> i128 {
    let own = |image: &&Item| {
        image.kind == kind && image.account == repository.account && image.text("repository") == Some(&repository.id)
    };
    all.iter().filter(own).map(|image| i128::from(image.int("size").unwrap_or(0))).sum()
}

/// The step that a managed disk of Azure is billed by.
fn step(gib: i128) -> u32 {
    const STEPS: [(i128, u32); 8] = [(4, 1), (8, 2), (16, 3), (32, 4), (64, 6), (128, 10), (256, 15), (512, 20)];
    STEPS.iter().find(|(size, _)| gib <= *size).map_or(30, |(_, step)| *step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_meter_is_there_once() {
        for (index, meter) in METERS.iter().enumerate() {
            assert!(
                !METERS[..index].iter().any(|other| (other.cloud, other.key) == (meter.cloud, meter.key)),
                "{meter:?}"
            );
            assert!(meter.price > 0 && meter.price("eu-west-1") * 100 == meter.price * 110, "{meter:?} is not whole");
        }
    }
}
