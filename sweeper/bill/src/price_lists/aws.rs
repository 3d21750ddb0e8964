//! AWS Price List, bulk: the offer file of a service and region as CSV.
//!
//! `https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEC2/current/us-east-1/index.csv`: five rows of
//! metadata (`"FormatVersion","v1.0"` … `"OfferCode","AmazonEC2"`), a header, a row a price. Source: "Reading the
//! service price list files for the AWS Price List Bulk API". EC2's has hundreds of megabytes, and is read as a stream
//! that keeps only what is asked for.
//!
//! A usage type has its region's code before it (`EUW2-EBS:VolumeUsage.gp3`), in us-east-1 mostly none. Which products
//! a key is: usage types as the files of 2025 and 2026 spell them, the same that infracost filters by.

use super::{Answers, Factor, PriceListError, Quote, day, exact};
use std::io::Read;
use sweeper_core::{model::CloudId, money::Amount};

/// Where the files are.
pub const HOST: &str = "pricing.us-east-1.amazonaws.com";

/// The products of a key.
struct Product {
    key: &'static str,
    /// The book's.
    unit: &'static str,
    offer: &'static str,
    /// Without the region's code.
    usage: &'static str,
    /// Load balancers of every kind have one usage type.
    operation: Option<&'static str>,
    /// The file's, in any case of letters.
    priced_by: &'static [&'static str],
    factor: Factor,
    /// What every volume has of it without being billed.
    included: i64,
}

const GB_MONTH: &[&str] = &["GB-Mo", "GB-month"];
const HOUR: &[&str] = &["Hrs", "hours"];

const fn product(key: &'static str, unit: &'static str, offer: &'static str, usage: &'static str) -> Product {
    Product { key, unit, offer, usage, operation: None, priced_by: GB_MONTH, factor: Factor::Same, included: 0 }
}

const fn hourly(key: &'static str, offer: &'static str, usage: &'static str) -> Product {
    Product { priced_by: HOUR, ..product(key, "hour", offer, usage) }
}

const fn balancer(key: &'static str, usage: &'static str, operation: &'static str) -> Product {
    Product { operation: Some(operation), ..hourly(key, "AWSELB", usage) }
}

const EC2: &str = "AmazonEC2";
const GB: &str = "GB-month";

const PRODUCTS: &[Product] = &[
    product("ebs.gp3.gb-month", GB, EC2, "EBS:VolumeUsage.gp3"),
    product("ebs.gp2.gb-month", GB, EC2, "EBS:VolumeUsage.gp2"),
    product("ebs.io1.gb-month", GB, EC2, "EBS:VolumeUsage.piops"),
    product("ebs.io2.gb-month", GB, EC2, "EBS:VolumeUsage.io2"),
    product("ebs.st1.gb-month", GB, EC2, "EBS:VolumeUsage.st1"),
    product("ebs.sc1.gb-month", GB, EC2, "EBS:VolumeUsage.sc1"),
    product("ebs.standard.gb-month", GB, EC2, "EBS:VolumeUsage"),
    Product {
        priced_by: &["IOPS-Mo"],
        included: 3000,
        ..product("ebs.gp3.iops-month", "IOPS-month", EC2, "EBS:VolumeP-IOPS.gp3")
    },
    Product { priced_by: &["IOPS-Mo"], ..product("ebs.io1.iops-month", "IOPS-month", EC2, "EBS:VolumeP-IOPS.piops") },
    // Those above 32,000 are cheaper, and have usage types of their own.
    Product { priced_by: &["IOPS-Mo"], ..product("ebs.io2.iops-month", "IOPS-month", EC2, "EBS:VolumeP-IOPS.io2") },
    Product {
        priced_by: &["GiBps-mo"],
        factor: Factor::GibiToMebi,
        included: 125,
        ..product("ebs.gp3.mibps-month", "MiBps-month", EC2, "EBS:VolumeP-Throughput.gp3")
    },
    product("ebs.snapshot.gb-month", GB, EC2, "EBS:SnapshotUsage"),
    product("ebs.snapshot-archive.gb-month", GB, EC2, "EBS:SnapshotArchiveStorage"),
    Product {
        priced_by: &["GB"],
        ..product("ebs.snapshot-archive-restore.gb", "GB", EC2, "EBS:SnapshotArchiveRetrieval")
    },
    hourly("nat.hour", EC2, "NatGateway-Hours"),
    Product { priced_by: &["GB"], ..product("nat.gb", "GB", EC2, "NatGateway-Bytes") },
    // An address costs the same whether it is used or not.
    hourly("ipv4.hour", "AmazonVPC", "PublicIPv4:IdleAddress"),
    hourly("ipv4.hour", "AmazonVPC", "PublicIPv4:InUseAddress"),
    hourly("vpce.hour", "AmazonVPC", "VpcEndpoint-Hours"),
    balancer("alb.hour", "LoadBalancerUsage", "LoadBalancing:Application"),
    balancer("nlb.hour", "LoadBalancerUsage", "LoadBalancing:Network"),
    balancer("gwlb.hour", "LoadBalancerUsage", "LoadBalancing:Gateway"),
    balancer("clb.hour", "LoadBalancerUsage", "LoadBalancing"),
    Product { priced_by: &["GB"], unit: "GB", ..balancer("clb.gb", "DataProcessing-Bytes", "LoadBalancing") },
    Product {
        unit: "LCU-month",
        priced_by: &["LCU-Hrs"],
        factor: Factor::HourToMonth,
        ..balancer("alb.lcu-month", "LCUUsage", "LoadBalancing:Application")
    },
    Product {
        unit: "NLCU-month",
        priced_by: &["LCU-Hrs", "NLCU-Hrs"],
        factor: Factor::HourToMonth,
        ..balancer("nlb.nlcu-month", "LCUUsage", "LoadBalancing:Network")
    },
    product("ecr.gb-month", GB, "AmazonECR", "TimedStorage-ByteHrs"),
    product("s3.standard.gb-month", GB, "AmazonS3", "TimedStorage-ByteHrs"),
    product("s3.standard-ia.gb-month", GB, "AmazonS3", "TimedStorage-SIA-ByteHrs"),
    product("s3.onezone-ia.gb-month", GB, "AmazonS3", "TimedStorage-ZIA-ByteHrs"),
    product("s3.glacier-flexible.gb-month", GB, "AmazonS3", "TimedStorage-GlacierByteHrs"),
    product("s3.glacier-deep-archive.gb-month", GB, "AmazonS3", "TimedStorage-GDA-ByteHrs"),
    product("rds.backup.gb-month", GB, "AmazonRDS", "RDS:ChargedBackupUsage"),
    product("aurora.backup.gb-month", GB, "AmazonRDS", "Aurora:BackupUsage"),
];

pub(super) fn keys() -> Vec<String> {
    PRODUCTS.iter().map(|product| product.key.to_owned()).collect()
}

/// The services whose files are read.
pub fn offers() -> Vec<&'static str> {
    let mut offers: Vec<&str> = PRODUCTS.iter().map(|product| product.offer).collect();
    offers.sort_unstable();
    offers.dedup();
    offers
}

/// The path of a service's file for a region.
pub fn path(offer: &str, region: &str) -> String {
    format!("/offers/v1.0/aws/{offer}/current/{region}/index.csv")
}

/// Where the columns are that are read.
struct Columns {
    sku: usize,
    term: usize,
    effective: usize,
    from: usize,
    unit: usize,
    usd: usize,
    currency: usize,
    location_type: usize,
    usage: usize,
    operation: usize,
    region: usize,
}

impl Columns {
    fn of(place: &str, header: &csv::StringRecord) -> Result<Self, PriceListError> {
        // `usageType`, `Region Code`: files of several services spell them in several ways.
        let plain = |text: &str| text.replace(' ', "").to_ascii_lowercase();
        let names: Vec<String> = header.iter().map(plain).collect();
        let find = |name: &str| {
            names
                .iter()
                .position(|known| known == name)
                .ok_or_else(|| PriceListError::form(place, format!("no column `{name}`: another format than v1.0")))
        };
        Ok(Self {
            sku: find("sku")?,
            term: find("termtype")?,
            effective: find("effectivedate")?,
            from: find("startingrange")?,
            unit: find("unit")?,
            usd: find("priceperunit")?,
            currency: find("currency")?,
            location_type: find("locationtype")?,
            usage: find("usagetype")?,
            operation: find("operation")?,
            region: find("regioncode")?,
        })
    }
}

/// Reads the file of a service and region to its end. A row that is asked for and is no price, a cut row, and a file of
/// another service are errors.
pub fn read(offer: &str, region: &str, file: impl Read, answers: &mut Answers) -> Result<(), PriceListError> {
    debug_assert_eq!(answers.cloud, CloudId::Aws);
    let place = format!("{offer} of {region}");
    let failed = |error: &csv::Error| PriceListError::form(&place, error.to_string());
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
    let mut record = csv::StringRecord::new();
    let (mut published, mut is_own) = (None, false);
    let columns = loop {
        if !reader.read_record(&mut record).map_err(|error| failed(&error))? {
            return Err(PriceListError::form(&place, "it ends before its header"));
        }
        match (record.get(0).unwrap_or_default(), record.get(1).unwrap_or_default()) {
            ("Publication Date", date) => published = day(date),
            ("OfferCode", code) => is_own = code == offer,
            ("SKU", _) => break Columns::of(&place, &record)?,
            ("FormatVersion", version) if !version.starts_with("v1.") => {
                return Err(PriceListError::form(&place, format!("its format is `{version}`, not v1.0")));
            }
            _ if record.len() > 2 => return Err(PriceListError::form(&place, "it has no header")),
            _ => {}
        }
    };
    if !is_own {
        return Err(PriceListError::form(&place, "it is another service's"));
    }
    let published = published.ok_or_else(|| PriceListError::form(&place, "it does not say when it was published"))?;
    let width = record.len();
    let products: Vec<&Product> = PRODUCTS.iter().filter(|product| product.offer == offer).collect();
    let today = answers.today;
    while reader.read_record(&mut record).map_err(|error| failed(&error))? {
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != width {
            return Err(PriceListError::form(
                &place,
                format!("line {line} is cut: {} of {width} columns", record.len()),
            ));
        }
        let of = |column: usize| record.get(column).unwrap_or_default();
        // Local zones and outposts of the region stand in its file, too.
        if of(columns.term) != "OnDemand" || of(columns.location_type) != "AWS Region" || of(columns.region) != region {
            continue;
        }
        let Some(usage) = without_code(of(columns.usage), region) else { continue };
        let is_one = |product: &&&Product| {
            product.usage == usage && product.operation.is_none_or(|operation| operation == of(columns.operation))
        };
        let Some(product) = products.iter().find(is_one) else { continue };
        let source = format!("AWS Price List, {offer} SKU {}, published {published}", of(columns.sku));
        let at = |what: String| PriceListError::form(&place, format!("line {line}: {what}"));
        let effective = day(of(columns.effective)).ok_or_else(|| at("`EffectiveDate` is no date".to_owned()))?;
        if effective > today {
            continue;
        }
        if of(columns.currency) != "USD" {
            return Err(at(format!("its currency is `{}`, not USD", of(columns.currency))));
        }
        if !product.priced_by.iter().any(|unit| unit.eq_ignore_ascii_case(of(columns.unit))) {
            let what = format!("{source} is priced by `{}`, not by `{}`", of(columns.unit), product.priced_by[0]);
            answers.doubt(region, product.key, what);
            continue;
        }
        let amount = |name: &str, text: &str| exact(text).ok_or_else(|| at(format!("`{name}` is no price: `{text}`")));
        let tier_from = match of(columns.from) {
            "" => Amount::ZERO,
            text => amount("StartingRange", text)?,
        };
        answers.add(Quote {
            region,
            key: product.key,
            unit: product.unit,
            sku: of(columns.sku),
            everywhere: false,
            tier_from,
            included: Amount::whole(product.included),
            usd: amount("PricePerUnit", of(columns.usd))?,
            factor: product.factor,
            effective,
            source,
        });
    }
    Ok(())
}

/// A usage type without its region's code: `EUW2-NatGateway-Hours` is `NatGateway-Hours`.
fn without_code<'a>(usage: &'a str, region: &str) -> Option<&'a str> {
    // The oldest region's code is mostly left out, so that what looks like one is that of a local zone.
    if region == "us-east-1" {
        return Some(usage.strip_prefix("USE1-").unwrap_or(usage));
    }
    let (code, usage) = usage.split_once('-')?;
    let letters = code.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let is_code = (2..=4).contains(&letters.len())
        && code.len() <= letters.len() + 1
        && letters.bytes().all(|letter| letter.is_ascii_uppercase());
    is_code.then_some(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_type_has_its_regions_code_before_it() {
        for (usage, region, is) in [
            ("NatGateway-Hours", "us-east-1", Some("NatGateway-Hours")),
            ("USE1-PublicIPv4:IdleAddress", "us-east-1", Some("PublicIPv4:IdleAddress")),
            // A local zone's.
            ("TS-LoadBalancerUsage", "us-east-1", Some("TS-LoadBalancerUsage")),
            ("EU-EBS:VolumeUsage.gp3", "eu-west-1", Some("EBS:VolumeUsage.gp3")),
            ("EUW2-RegionalNatGateway-Hours", "eu-west-2", Some("RegionalNatGateway-Hours")),
            ("APN1-TimedStorage-ByteHrs", "ap-northeast-1", Some("TimedStorage-ByteHrs")),
            ("TimedStorage-ByteHrs", "ap-northeast-1", None),
            ("LoadBalancerUsage", "eu-west-1", None),
        ] {
            assert_eq!(without_code(usage, region), is, "{usage}");
        }
    }
}
