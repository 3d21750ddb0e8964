//! Bills of an organisation: FOCUS 1.2 exports in CSV, each cloud's as that cloud lays them out and with its quirks.
//!
//! - AWS Data Exports: `<export>/data/BILLING_PERIOD=YYYY-MM/…-00001.csv` and
//!   `<export>/metadata/BILLING_PERIOD=YYYY-MM/…-Manifest.json`. Machines and volumes have bare ids (`i-…`), most others
//!   an ARN. What a Savings Plan covers is billed as nothing, beside the plan's own charge.
//! - Azure: `<export>/<first day>-<last day>/<time of the run>/<run>/` with its part and `manifest.json`. Ids of resources
//!   are in lower case, subscriptions are `/subscriptions/<guid>`.
//! - Google Cloud has its FOCUS export in BigQuery alone: here its rows as a file a month. Resources have their full names,
//!   `//compute.googleapis.com/projects/…`.
//!
//! Every resource costs a day what [`meters`] says of it, from the moment of its creation; what depends on traffic, and
//! what moves, is planted in the organisation file ([`planted`]). Yesterday is loaded in part, in Google Cloud not at
//! all; charges of closed months have an invoice.
//!
//! Amounts are exact: a price in millionths of a dollar times a quantity in millionths of a unit. The same organisation
//! at the same time makes the same bytes.

mod meters;
pub(crate) mod planted;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::json;

use self::meters::{Meter, Service, loads};
use self::planted::{Usage, Whose};
use crate::cloud::{Cloud, Item};
use crate::costs::{date, write_decimal};
use crate::org::{Account, Org, Vendor, hash, parse_time};
use crate::{azure, services};

/// Days before today that there are bills of: two whole months that ended two days ago, wherever in a month that is.
const DAYS: i32 = 92;
/// Of yesterday's charges so many in ten are there.
const LOADED: u64 = 6;
const EXPORT: &str = "focus-daily";
const DAY: i128 = 86_400;

/// A file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillFile {
    /// Whose it is.
    pub cloud: Vendor,
    /// Where it lies, with `/` between folders; the first one is the cloud's name.
    pub path: String,
    /// What is in it.
    pub text: String,
}

impl BillFile {
    /// Whether it holds charges; a manifest does not.
    pub fn is_table(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|ending| ending == "csv")
    }
}

impl Org {
    /// The exports of the last 92 days as they are at a time, a file at a time; a manifest comes after what it names.
    pub fn bills(&self, now: Timestamp) -> impl Iterator<Item = BillFile> + use<> {
        let bills = Bills::of(self, now);
        bills.parts().into_iter().flat_map(move |(cloud, month)| bills.files(cloud, month))
    }
}

/// Everything that is charged.
struct Bills {
    accounts: Vec<Account>,
    /// The account that pays for those of AWS.
    payer: String,
    lines: Vec<Line>,
    plans: Vec<Plan>,
    planted: planted::Planted,
    first: Date,
    today: Date,
}

/// One resource, or an account, under one meter.
struct Line {
    cloud: Vendor,
    /// Index of the account.
    account: usize,
    region: String,
    /// As the bill has it; empty for what is charged to no resource.
    resource: String,
    name: String,
    meter: &'static Meter,
    sku: String,
    load: Load,
    /// Before that there is nothing.
    from: Timestamp,
    /// Index of the commitment that covers it.
    plan: Option<usize>,
}

/// How much there is of it a day, millionths of a unit.
enum Load {
    Steady(i128),
    Used(Used),
}

/// Usage with its days told.
struct Used {
    usage: Usage,
    /// From when on there is more.
    rise: Option<Date>,
    /// The days of the month on which there is more.
    monthly: BTreeSet<Date>,
}

/// A commitment with its days told.
struct Plan {
    account: usize,
    until: Option<Date>,
}

fn midnight(day: Date) -> Timestamp {
    day.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |at| at.timestamp())
}

/// What a cloud calls a price of a region.
fn sku(meter: &Meter, region: &str) -> String {
    format!("{:016X}", hash(&format!("{} {} {}", meter.cloud.name(), meter.key, meter.price(region))))
}

fn plus(day: Date, days: i32) -> Date {
    day.saturating_add(days.days())
}

impl Bills {
    fn of(org: &Org, now: Timestamp) -> Bills {
        let today = date(now);
        let cloud = Cloud::new(org.clone(), now, None);
        let items = cloud.items();
        let account = |id: &str| org.accounts.iter().position(|known| known.id == id).unwrap_or_default();
        let time = |text: &String| parse_time(text, now).map(date);
        let plans = org.bill.commitments.iter().map(|commitment| Plan {
            account: account(&commitment.account),
            until: commitment.until.as_ref().and_then(time),
        });
        let plans: Vec<Plan> = plans.collect();
        let line = |item: &Item, meter: &'static Meter, load, from, plan| Line {
            cloud: org.accounts[account(&item.account)].cloud,
            account: account(&item.account),
            region: item.region.clone(),
            resource: bill_id(item),
            name: item.id.clone(),
            sku: sku(meter, &item.region),
            meter,
            load,
            from,
            plan,
        };
        let mut lines = Vec::new();
        // The copies of the entries come one after another, in the file's order.
        let mut copies = items.iter();
        let mut of_entry: BTreeMap<(&str, &str), Vec<&Item>> = BTreeMap::new();
        for resource in &org.resources {
            let own: Vec<&Item> = copies.by_ref().take(resource.numbers().len()).collect();
            let covers = |commitment: &planted::Commitment| {
                (&commitment.kind, &commitment.resource) == (&resource.kind, &resource.id)
            };
            let plan = org.bill.commitments.iter().position(covers);
            for item in &own {
                let from = item.time("launched", now).unwrap_or(item.created);
                for (meter, a_day) in loads(item, items) {
                    let plan = plan.filter(|_| meter.unit() == "Hours");
                    lines.push(line(item, meter, Load::Steady(a_day), from, plan));
                }
            }
            of_entry.insert((&resource.kind, &resource.id), own);
        }
        for usage in &org.bill.usage {
            let used = || Load::Used(Used::of(usage, now));
            match &usage.whose {
                Whose::Resource(kind, id) => {
                    let own = of_entry.get(&(kind.as_str(), id.as_str())).into_iter().flatten();
                    lines.extend(own.map(|item| line(item, usage.meter, used(), item.created, None)));
                }
                Whose::Account(id, region) => lines.push(Line {
                    cloud: usage.meter.cloud,
                    account: account(id),
                    region: region.clone(),
                    resource: String::new(),
                    name: String::new(),
                    sku: sku(usage.meter, region),
                    meter: usage.meter,
                    load: used(),
                    from: Timestamp::UNIX_EPOCH,
                    plan: None,
                }),
            }
        }
        Bills {
            accounts: org.accounts.clone(),
            payer: org.default_account().to_owned(),
            lines,
            plans,
            planted: org.bill.clone(),
            first: plus(today, -DAYS),
            today,
        }
    }

    /// Clouds and first days of months.
    fn parts(&self) -> Vec<(Vendor, Date)> {
        let mut months = vec![self.first.first_of_month()];
        while let Some(next) =
            months.last().map(|month| plus(month.last_of_month(), 1)).filter(|next| *next < self.today)
        {
            months.push(next);
        }
        let clouds = [Vendor::Aws, Vendor::Azure, Vendor::Gcp];
        clouds.into_iter().flat_map(|cloud| months.iter().map(move |month| (cloud, *month))).collect()
    }

    /// The files of a month of a cloud; none where nothing was charged.
    fn files(&self, cloud: Vendor, month: Date) -> Vec<BillFile> {
        let (text, rows) = self.rows(cloud, month);
        if rows == 0 {
            return Vec::new();
        }
        let file = |path: String, text: String| BillFile { cloud, path, text };
        let last = month.last_of_month();
        let period = month.strftime("%Y-%m");
        match cloud {
            Vendor::Aws => {
                let data = format!("{EXPORT}/data/BILLING_PERIOD={period}/{EXPORT}-00001.csv");
                let manifest = json!({
                    "executionId": run_id(cloud, &period.to_string(), self.today),
                    "exportArn": format!("arn:aws:bcm-data-exports:us-east-1:{}:export/{EXPORT}", self.payer),
                    "tableName": "FOCUS_1_2_AWS",
                    "dataFiles": [format!("s3://bills-{}/exports/{data}", self.payer)],
                });
                vec![
                    file(format!("aws/{data}"), text),
                    file(
                        format!("aws/{EXPORT}/metadata/BILLING_PERIOD={period}/{EXPORT}-Manifest.json"),
                        format!("{manifest:#}\n"),
                    ),
                ]
            }
            Vendor::Azure => {
                // A closed month is exported once more when it is final, on the fifth.
                let made = self.today.min(plus(last, 5));
                let run = run_id(cloud, &period.to_string(), self.today);
                let days = format!("{}-{}", month.strftime("%Y%m%d"), last.strftime("%Y%m%d"));
                let folder = format!("{EXPORT}/{days}/{}0600/{run}", made.strftime("%Y%m%d"));
                let part = format!("{folder}/part_0_0001.csv");
                let manifest = json!({
                    "manifestVersion": "2024-04-01",
                    "byteCount": text.len(),
                    "blobCount": 1,
                    "dataRowCount": rows,
                    "exportConfig": { "exportName": EXPORT, "type": "FocusCost", "dataVersion": "1.2-preview",
                        "timeFrame": "MonthToDate", "granularity": "Daily" },
                    "deliveryConfig": { "partitionData": true, "dataOverwriteBehavior": "OverwritePreviousReport",
                        "fileFormat": "Csv", "compressionMode": "None" },
                    "runInfo": { "executionType": "Scheduled", "submittedTime": format!("{made}T06:00:00Z"),
                        "runId": run, "startDate": format!("{month}T00:00:00"), "endDate": format!("{last}T00:00:00") },
                    "blobs": [{ "blobName": format!("exports/{part}"), "byteCount": text.len(), "dataRowCount": rows }],
                });
                vec![
                    file(format!("azure/{part}"), text),
                    file(format!("azure/{folder}/manifest.json"), format!("{manifest:#}\n")),
                ]
            }
            Vendor::Gcp => vec![file(format!("gcp/gcp_billing_export_focus_{}.csv", month.strftime("%Y%m")), text)],
        }
    }

    /// The rows of a month, and how many they are.
    fn rows(&self, cloud: Vendor, month: Date) -> (String, u32) {
        let mut out = Rows { text: HEADER.to_owned(), count: 0 };
        let period = Period {
            start: month,
            end: plus(month.last_of_month(), 1),
            invoice: if month < self.today.first_of_month() {
                format!("{}{}", month.strftime("%Y%m"), 100_000 + hash(cloud.name()) % 900_000)
            } else {
                String::new()
            },
        };
        let yesterday = plus(self.today, -1);
        let mut day = month.max(self.first);
        while day < period.end && day < self.today && !(cloud == Vendor::Gcp && day == yesterday) {
            self.rows_of_day(cloud, day, day == yesterday, &period, &mut out);
            day = plus(day, 1);
        }
        (out.text, out.count)
    }

    fn rows_of_day(&self, cloud: Vendor, day: Date, half_loaded: bool, period: &Period, out: &mut Rows) {
        let midnights = (midnight(day), midnight(plus(day, 1)));
        let mut paid = vec![0_i128; self.plans.len()];
        for line in self.lines.iter().filter(|line| line.cloud == cloud) {
            if half_loaded && hash(&format!("{} {}", line.resource, line.meter.key)) % 10 >= LOADED {
                continue;
            }
            let quantity = line.quantity(day, midnights);
            if quantity <= 0 {
                continue;
            }
            let price = line.meter.price(&line.region);
            let listed = i128::from(price) * quantity;
            let plan = line.plan.filter(|plan| self.plans[*plan].until.is_none_or(|until| day < until));
            let covered = plan.map(|plan| (plan, &self.planted.commitments[plan]));
            let effective = covered.map_or(listed, |(_, commitment)| listed * i128::from(100 - commitment.off) / 100);
            if let Some((plan, _)) = covered {
                paid[plan] += effective;
            }
            self.row(
                out,
                (line.account, &line.region),
                period,
                day,
                &Row {
                    billed: if covered.is_some() { 0 } else { effective },
                    effective,
                    listed,
                    price: Some(i128::from(price) * 1_000_000),
                    quantity: Some(quantity * 1_000_000),
                    unit: line.meter.unit(),
                    consumed: true,
                    pricing: if covered.is_some() { "Committed" } else { "Standard" },
                    category: "Usage",
                    frequency: "Usage-Based",
                    commitment: covered.map(|(_, commitment)| (commitment, "Used")),
                    resource: &line.resource,
                    name: &line.name,
                    service: &line.meter.service,
                    sku: &line.sku,
                    meter: line.meter.key,
                    ..Row::default()
                },
            );
        }
        for (at, commitment) in self.planted.commitments.iter().enumerate().filter(|(at, _)| paid[*at] > 0) {
            let row = Row {
                billed: paid[at],
                // The hours that it covers have it already.
                effective: 0,
                listed: paid[at],
                quantity: Some(24_000_000_000_000),
                unit: "Hours",
                pricing: "Committed",
                category: "Purchase",
                description: &commitment.name,
                frequency: "Recurring",
                commitment: Some((commitment, "")),
                service: &PLANS,
                ..Row::default()
            };
            self.row(out, (self.plans[at].account, ""), period, day, &row);
        }
        for charge in self.planted.charges.iter().filter(|charge| charge.day == day.day()) {
            let Some(account) = self.accounts.iter().position(|known| known.id == charge.account) else { continue };
            if self.accounts[account].cloud != cloud {
                continue;
            }
            let row = Row {
                billed: charge.amount,
                effective: charge.amount,
                listed: charge.amount,
                category: charge.category,
                description: &charge.text,
                frequency: "One-Time",
                ..Row::default()
            };
            self.row(out, (account, ""), period, day, &row);
        }
    }

    /// Writes a row, in the order of [`COLUMNS`].
    fn row(&self, out: &mut Rows, (account, region): (usize, &str), period: &Period, day: Date, row: &Row<'_>) {
        let account = &self.accounts[account];
        let (provider, issuer, payer) = match account.cloud {
            Vendor::Aws => ("AWS", "Amazon Web Services, Inc.", self.payer.as_str()),
            Vendor::Azure => ("Microsoft", "Microsoft", "/providers/Microsoft.Billing/billingAccounts/71524803"),
            Vendor::Gcp => ("Google Cloud", "Google LLC", "01D0A5-0C0FFE-5EED01"),
        };
        let (subscription, region) = match account.cloud {
            Vendor::Aws => ("", region),
            Vendor::Azure => ("/subscriptions/", region),
            Vendor::Gcp => ("", of_zone(region)),
        };
        let (plan, status) = row.commitment.unzip();
        let of_plan = |text: &'static str| plan.map_or("", |_| text);
        let consumed = row.quantity.filter(|_| row.consumed);
        let cells: [Cell<'_>; COLUMNS.len()] = [
            Cell::Amount(row.billed),
            Cell::Text(payer),
            Cell::Text("The Shop"),
            Cell::Text("USD"),
            Cell::Midnight(period.end),
            Cell::Midnight(period.start),
            Cell::Text(row.category),
            Cell::Text(""),
            Cell::Text(row.description),
            Cell::Text(row.frequency),
            Cell::Midnight(plus(day, 1)),
            Cell::Midnight(day),
            Cell::Text(of_plan("Spend")),
            Cell::Text(plan.map_or("", |plan| &plan.id)),
            Cell::Text(plan.map_or("", |plan| &plan.name)),
            Cell::Text(status.unwrap_or_default()),
            Cell::Text(of_plan("Savings Plan")),
            Cell::Known(consumed),
            Cell::Text(consumed.map_or("", |_| row.unit)),
            Cell::Amount(row.listed),
            Cell::Known(row.price),
            Cell::Amount(row.effective),
            Cell::Text(&period.invoice),
            Cell::Text(issuer),
            Cell::Amount(row.listed),
            Cell::Known(row.price),
            Cell::Text(row.pricing),
            Cell::Known(row.quantity),
            Cell::Text(row.unit),
            Cell::Text(provider),
            Cell::Text(provider),
            Cell::Text(region),
            Cell::Text(row.resource),
            Cell::Text(row.name),
            Cell::Text(row.service.category),
            Cell::Text(if row.service.name.is_empty() { row.category } else { row.service.name }),
            Cell::Text(row.sku),
            Cell::Text(row.meter),
            Cell::Joined(row.sku, if row.sku.is_empty() { "" } else { ".OnDemand" }),
            Cell::Joined(subscription, &account.id),
            Cell::Text(&account.name),
        ];
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                out.text.push(',');
            }
            cell.write(&mut out.text);
        }
        out.text.push('\n');
        out.count += 1;
    }
}

/// What is told of a charge.
struct Row<'a> {
    /// Costs, in units of 10⁻¹² dollars; what is contracted is what is listed.
    billed: i128,
    effective: i128,
    listed: i128,
    /// Of a unit.
    price: Option<i128>,
    /// In units of 10⁻¹².
    quantity: Option<i128>,
    unit: &'a str,
    /// Whether the quantity is one that was used, and not one that was bought.
    consumed: bool,
    pricing: &'a str,
    category: &'a str,
    description: &'a str,
    frequency: &'a str,
    /// With its status.
    commitment: Option<(&'a planted::Commitment, &'a str)>,
    resource: &'a str,
    name: &'a str,
    service: &'a Service,
    sku: &'a str,
    meter: &'a str,
}

const PLANS: Service = Service { name: "Savings Plans for AWS Compute usage", category: "Other" };
/// Of what is of no service: it is called as its category is.
const NONE: Service = Service { name: "", category: "Other" };

impl Default for Row<'_> {
    fn default() -> Self {
        Row {
            billed: 0,
            effective: 0,
            listed: 0,
            price: None,
            quantity: None,
            unit: "",
            consumed: false,
            pricing: "",
            category: "",
            description: "",
            frequency: "",
            commitment: None,
            resource: "",
            name: "",
            service: &NONE,
            sku: "",
            meter: "",
        }
    }
}

/// One field of a row.
#[derive(Clone, Copy)]
enum Cell<'a> {
    Text(&'a str),
    Joined(&'a str, &'a str),
    Midnight(Date),
    /// Units of 10⁻¹².
    Amount(i128),
    Known(Option<i128>),
}

impl Cell<'_> {
    fn write(self, out: &mut String) {
        match self {
            Cell::Text(text) => push(out, text),
            Cell::Joined(start, end) => {
                push(out, start);
                push(out, end);
            }
            Cell::Midnight(day) => {
                let _ = write!(out, "{:04}-{:02}-{:02}T00:00:00Z", day.year(), day.month(), day.day());
            }
            Cell::Amount(pico) => write_decimal(out, pico),
            Cell::Known(Some(pico)) => write_decimal(out, pico),
            Cell::Known(None) => {}
        }
    }
}

/// A billing period, and its invoice; none before it is closed.
struct Period {
    start: Date,
    /// The day after its last.
    end: Date,
    invoice: String,
}

struct Rows {
    text: String,
    count: u32,
}

/// The columns that FOCUS 1.2 demands, and those of its conditional ones that have something to say here.
macro_rules! columns {
    ($first:literal, $($column:literal),* $(,)?) => {
        const COLUMNS: &[&str] = &[$first, $($column),*];
        const HEADER: &str = concat!($first, $(",", $column,)* "\n");
    };
}

columns![
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "ResourceId",
    "ResourceName",
    "ServiceCategory",
    "ServiceName",
    "SkuId",
    "SkuMeter",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
];

impl Line {
    /// How much there is of it on a day, that begins and ends so, millionths of a unit.
    fn quantity(&self, day: Date, (start, end): (Timestamp, Timestamp)) -> i128 {
        let units = match &self.load {
            Load::Steady(a_day) => *a_day,
            Load::Used(used) => used.on(day, &self.resource),
        };
        if self.from <= start {
            return units;
        }
        let lived = end.duration_since(self.from).max(SignedDuration::ZERO);
        units * i128::from(lived.as_secs()) / DAY
    }
}

impl Used {
    fn of(usage: &Usage, now: Timestamp) -> Used {
        let time = |text: &str| parse_time(text, now).map(date);
        let mut monthly = BTreeSet::new();
        if let Some(each) = &usage.monthly
            && let Some(first) = time(&each.on)
        {
            for at in 0..i32::from(each.days) {
                // The 31st is the last day of a shorter month.
                monthly.extend((0..4).map(|back| plus(first, at).saturating_sub(back.months())));
            }
        }
        Used { usage: usage.clone(), rise: usage.rise.as_ref().and_then(|rise| time(&rise.from)), monthly }
    }

    /// How much of it a day has.
    fn on(&self, day: Date, resource: &str) -> i128 {
        let usage = &self.usage;
        let weekday = usize::try_from(day.weekday().to_monday_zero_offset()).unwrap_or_default();
        // Thousandths of the ordinary.
        let noise = u64::from(usage.noise) * 10;
        let away = hash(&format!("{day} {resource} {}", usage.meter.key)) % (2 * noise + 1);
        let mut units = i128::from(usage.a_day) * i128::from(usage.week[weekday]) * 10_000;
        units = units * (1000 + i128::from(away) - i128::from(noise)) / 1000;
        match &usage.rise {
            Some(rise) if self.rise.is_some_and(|from| day >= from) => units = units * i128::from(rise.percent) / 100,
            _ => {}
        }
        match &usage.monthly {
            Some(monthly) if self.monthly.contains(&day) => units * i128::from(monthly.percent) / 100,
            _ => units,
        }
    }
}

/// A resource's id as the cloud writes it into its bills.
fn bill_id(item: &Item) -> String {
    let Item { account, region, id, .. } = item;
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:{region}:{account}:{rest}{id}");
    let sort = || item.text_or("type", "application");
    match item.kind.as_str() {
        "aws.ec2-snapshot" => arn("ec2", "snapshot/"),
        "aws.ec2-address" => arn("ec2", "elastic-ip/"),
        "aws.ec2-nat-gateway" => arn("ec2", "natgateway/"),
        "aws.ec2-vpc-endpoint" => arn("ec2", "vpc-endpoint/"),
        "aws.elb-load-balancer" if sort() == "classic" => arn("elasticloadbalancing", "loadbalancer/"),
        "aws.elb-load-balancer" => services::load_balancer(&sort(), account, region, id),
        "aws.rds-instance" => arn("rds", "db:"),
        "aws.rds-snapshot" => arn("rds", "snapshot:"),
        "aws.rds-cluster-snapshot" => arn("rds", "cluster-snapshot:"),
        "aws.rds-retained-backup" => arn("rds", "auto-backup:"),
        "aws.logs-group" => arn("logs", "log-group:"),
        "aws.ecr-repository" => arn("ecr", "repository/"),
        "aws.eks-cluster" => arn("eks", "cluster/"),
        "aws.lambda-function" => arn("lambda", "function:"),
        "aws.backup-recovery-point" => services::recovery_point(account, region, id),
        kind if kind.starts_with("azure.") => {
            let text = |key: &str| item.text(key).map(str::to_owned);
            azure::native_id(kind, account, id, text).to_ascii_lowercase()
        }
        kind if kind.starts_with("gcp.") => {
            let place = match region.as_str() {
                "global" => "global".to_owned(),
                zone if of_zone(zone) != zone => format!("zones/{zone}"),
                region => format!("regions/{region}"),
            };
            let compute = |sort: &str| format!("//compute.googleapis.com/projects/{account}/{place}/{sort}/{id}");
            let located = |host: &str, sort: &str| {
                format!("//{host}.googleapis.com/projects/{account}/locations/{region}/{sort}/{id}")
            };
            match kind {
                "gcp.compute-instance" => compute("instances"),
                "gcp.compute-disk" => compute("disks"),
                "gcp.compute-snapshot" => compute("snapshots"),
                "gcp.compute-image" => compute("images"),
                "gcp.compute-address" => compute("addresses"),
                "gcp.sql-instance" => format!("//cloudsql.googleapis.com/projects/{account}/instances/{id}"),
                "gcp.run-service" => located("run", "services"),
                "gcp.artifact-repository" => located("artifactregistry", "repositories"),
                _ => id.clone(),
            }
        }
        // Machines, volumes and buckets have their own ids.
        _ => id.clone(),
    }
}

/// The region of a zone, `us-central1` of `us-central1-b`; a region as it is.
fn of_zone(place: &str) -> &str {
    match place.rsplit_once('-') {
        Some((region, zone)) if zone.len() == 1 => region,
        _ => place,
    }
}

/// The id of a run, that is the same for the same export on the same day.
fn run_id(cloud: Vendor, period: &str, today: Date) -> String {
    services::uuid(&format!("{} {period} {today}", cloud.name()))
}

/// A field of a CSV file.
fn push(out: &mut String, field: &str) {
    if field.contains([',', '"', '\n', '\r']) {
        out.push('"');
        out.push_str(&field.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo;

    fn demo_bills(now: &str) -> Vec<BillFile> {
        Org::parse(demo().organisation).unwrap().bills(now.parse().unwrap()).collect()
    }

    /// The rows of the CSV files, by column. No field of the demo has a comma in it but those that are quoted.
    fn rows(files: &[BillFile]) -> Vec<BTreeMap<&'static str, String>> {
        let csv = files.iter().filter(|file| file.is_table());
        let fields = |line: &str| {
            let mut fields = vec![String::new()];
            let mut quoted = false;
            for letter in line.chars() {
                match letter {
                    '"' => quoted = !quoted,
                    ',' if !quoted => fields.push(String::new()),
                    other => fields.last_mut().unwrap().push(other),
                }
            }
            fields
        };
        let row = |line: &str| {
            let fields = fields(line);
            assert_eq!(fields.len(), COLUMNS.len(), "{line}");
            COLUMNS.iter().copied().zip(fields).collect()
        };
        csv.flat_map(|file| file.text.lines().skip(1).map(row)).collect()
    }

    fn pico(text: &str) -> i128 {
        crate::costs::pico(text).unwrap()
    }

    #[test]
    fn the_same_time_makes_the_same_bytes_and_a_day_later_the_same_days() {
        let (one, two) = (demo_bills("2026-11-26T10:00:00Z"), demo_bills("2026-11-26T10:00:00Z"));
        assert!(one == two);
        let bytes: usize = one.iter().map(|file| file.text.len()).sum();
        assert!((1 << 20..20 << 20).contains(&bytes), "{bytes} bytes");
        // Months before anything that is planted relative to today: only the first day goes.
        let october = |files: &[BillFile]| {
            let file = files.iter().find(|file| file.path.contains("aws") && file.path.contains("2026-10/")).unwrap();
            let rows = file.text.lines().filter(|line| line.contains("transfer.out.gb"));
            rows.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(october(&one), october(&demo_bills("2026-11-27T10:00:00Z")));
    }

    #[test]
    fn each_cloud_has_its_layout() {
        let files = demo_bills("2026-11-26T10:00:00Z");
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let aws: Vec<&&str> = paths.iter().filter(|path| path.starts_with("aws/")).collect();
        assert_eq!(
            aws[..2],
            [
                &"aws/focus-daily/data/BILLING_PERIOD=2026-08/focus-daily-00001.csv",
                &"aws/focus-daily/metadata/BILLING_PERIOD=2026-08/focus-daily-Manifest.json"
            ]
        );
        assert_eq!(aws.len(), 8);
        let azure: Vec<&&str> =
            paths.iter().filter(|path| path.starts_with("azure/focus-daily/20261101-20261130/202611260600/")).collect();
        assert_eq!(azure.len(), 2, "{paths:?}");
        assert!(azure[1].ends_with("/manifest.json"));
        assert_eq!(paths.iter().filter(|path| path.starts_with("gcp/")).count(), 4);
    }

    #[test]
    fn it_adds_up_and_names_what_is_there() {
        let org = Org::parse(demo().organisation).unwrap();
        let files: Vec<BillFile> = org.bills("2026-11-26T10:00:00Z".parse().unwrap()).collect();
        let rows = rows(&files);
        let mut ids = BTreeSet::new();
        for resource in &org.resources {
            ids.extend(resource.numbers().into_iter().map(|number| resource.id_of(number).to_ascii_lowercase()));
        }
        let (mut used, mut bought) = (0_i128, 0_i128);
        let (mut days, mut named) = (BTreeSet::new(), BTreeSet::new());
        for row in &rows {
            assert_eq!(row["BillingCurrency"], "USD");
            days.insert(row["ChargePeriodStart"].clone());
            let id = &row["ResourceId"];
            named.insert(id.clone());
            assert!(row["ProviderName"] != "Microsoft" || *id == id.to_ascii_lowercase(), "{id}");
            match row["ChargeCategory"].as_str() {
                "Usage" => {
                    let cost = pico(&row["PricingQuantity"]) * pico(&row["ListUnitPrice"]) / 1_000_000_000_000;
                    assert_eq!(cost, pico(&row["ListCost"]), "{row:?}");
                    if row["CommitmentDiscountStatus"] == "Used" {
                        used += pico(&row["EffectiveCost"]);
                        assert_eq!(row["BilledCost"], "0");
                    } else {
                        assert_eq!(row["EffectiveCost"], row["ListCost"]);
                        assert_eq!(row["EffectiveCost"], row["BilledCost"]);
                    }
                }
                "Purchase" => {
                    bought += pico(&row["BilledCost"]);
                    assert_eq!(row["EffectiveCost"], "0");
                }
                "Tax" | "Credit" => assert!(id.is_empty()),
                other => panic!("{other}"),
            }
            let closed = row["BillingPeriodStart"].as_str() < "2026-11";
            assert_eq!(closed, !row["InvoiceId"].is_empty());
        }
        // FOCUS: what is bought is what is used of it and what is not.
        assert!(used > 0);
        assert_eq!(used, bought);
        assert_eq!(days.len(), 92);
        let mut forms = BTreeSet::new();
        for id in &named {
            forms.insert(id.split(['-', ':', '/']).next().unwrap());
            // Balancers have a number after their name.
            let name = if id.contains(":loadbalancer/") {
                id.rsplit('/').nth(usize::from(id.matches('/').count() > 1)).unwrap()
            } else {
                id
            };
            let known = id.is_empty() || ids.iter().any(|known| name.to_ascii_lowercase().ends_with(known.as_str()));
            assert!(known, "{id} is nowhere in the organisation");
        }
        for form in ["i", "vol", "arn", ""] {
            assert!(forms.contains(form), "{forms:?}");
        }
    }
}
