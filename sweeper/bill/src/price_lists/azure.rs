//! Azure Retail Prices: JSON pages of meters.
//!
//! `https://prices.azure.com/api/retail/prices?api-version=2023-01-01-preview&$filter=…` answers
//! `{Items[{retailPrice, unitOfMeasure, armRegionName, meterId, meterName, productName, skuName, serviceName, type,
//! tierMinimumUnits, effectiveStartDate}], NextPageLink, Count}`. Filters tell upper from lower case from that version
//! on; US dollars are the real currency, others are indicative. Source: "Azure Retail Prices overview". Meters: the
//! same that infracost filters by, and recorded answers.

use super::{Answers, Factor, PriceListError, Quote, day, number};
use serde::Deserialize;
use serde_json::Value;
use sweeper_core::{model::CloudId, money::Amount};

/// Where the prices are.
pub const HOST: &str = "prices.azure.com";
/// What is asked.
pub const PATH: &str = "/api/retail/prices";
const VERSION: &str = "2023-01-01-preview";

/// What is asked in one go: a product, or all of a service.
struct Range {
    service: &'static str,
    product: Option<&'static str>,
}

const fn all_of(service: &'static str) -> Range {
    Range { service, product: None }
}

const fn disks(product: &'static str) -> Range {
    Range { service: "Storage", product: Some(product) }
}

const RANGES: &[Range] = &[
    disks("Premium SSD Managed Disks"),
    disks("Standard SSD Managed Disks"),
    disks("Standard HDD Managed Disks"),
    disks("Ultra Disks"),
    Range { service: "Virtual Network", product: Some("IP Addresses") },
    all_of("NAT Gateway"),
    Range { service: "Application Gateway", product: Some("Application Gateway Standard v2") },
    Range { service: "Application Gateway", product: Some("Application Gateway WAF v2") },
    all_of("Container Registry"),
];

/// The meters of a key.
#[derive(Clone, Debug)]
struct Meter {
    key: String,
    unit: &'static str,
    service: &'static str,
    product: &'static str,
    /// `None`: whatever it is, all of them cost the same.
    sku: Option<String>,
    /// The end of its name.
    meter: String,
    priced_by: &'static [&'static str],
    factor: Factor,
}

const HOUR: &[&str] = &["1 Hour", "1/Hour"];
const MONTH: &[&str] = &["1/Month", "1 Month"];
const DAY: &[&str] = &["1/Day", "1 Day"];
const GB_MONTH: &[&str] = &["1 GB/Month", "1 GiB/Month"];

/// Steps that disks are billed by, `P10`: those of Standard HDD begin at `S4`. Source: "Azure managed disk types".
const STEPS: &[u32] = &[1, 2, 3, 4, 6, 10, 15, 20, 30, 40, 50, 60, 70, 80];

fn meters() -> Vec<Meter> {
    let meter = |key: &str, unit, service, product, sku: Option<&str>, meter: &str, priced_by, factor| Meter {
        key: key.to_owned(),
        unit,
        service,
        product,
        sku: sku.map(str::to_owned),
        meter: meter.to_owned(),
        priced_by,
        factor,
    };
    let mut meters = Vec::new();
    for (letter, product, least) in [
        ('P', "Premium SSD Managed Disks", 1),
        ('E', "Standard SSD Managed Disks", 1),
        ('S', "Standard HDD Managed Disks", 4),
    ] {
        for step in STEPS.iter().filter(|step| **step >= least) {
            let key = format!("disk.{}{step}-lrs.month", letter.to_ascii_lowercase());
            let sku = format!("{letter}{step} LRS");
            let name = format!("{sku} Disk");
            meters.push(meter(&key, "month", "Storage", product, Some(&sku), &name, MONTH, Factor::Same));
        }
    }
    let ultra = |key, unit, name, priced_by| {
        meter(key, unit, "Storage", "Ultra Disks", Some("Ultra LRS"), name, priced_by, Factor::HourToMonth)
    };
    meters.extend([
        ultra("disk.ultra.gib-month", "GiB-month", "Provisioned Capacity", &["1 GiB/Hour", "1 GB/Hour"]),
        ultra("disk.ultra.iops-month", "IOPS-month", "Provisioned IOPS", HOUR),
        ultra("disk.ultra.mbps-month", "MBps-month", "Provisioned Throughput (MBps)", HOUR),
    ]);
    // Snapshots of every disk are stored as HDD unless told otherwise, and stand there.
    meters.push(meter(
        "snapshot.gb-month",
        "GB-month",
        "Storage",
        "Standard HDD Managed Disks",
        Some("Snapshots LRS"),
        "LRS Snapshots",
        GB_MONTH,
        Factor::Same,
    ));
    let address = Some("Standard");
    meters.extend([
        meter(
            "ip.standard.hour",
            "hour",
            "Virtual Network",
            "IP Addresses",
            address,
            "Standard IPv4 Static Public IP",
            HOUR,
            Factor::Same,
        ),
        meter("nat.hour", "hour", "NAT Gateway", "NAT Gateway", address, "Standard Gateway", HOUR, Factor::Same),
    ]);
    for (key, product) in [
        ("appgw.standard-v2.month", "Application Gateway Standard v2"),
        ("appgw.waf-v2.month", "Application Gateway WAF v2"),
    ] {
        let service = "Application Gateway";
        meters.push(meter(key, "month", service, product, None, " Fixed Cost", HOUR, Factor::HourToMonth));
    }
    let registry = "Container Registry";
    for (key, sku) in [("acr.basic.month", "Basic"), ("acr.premium.month", "Premium")] {
        let name = format!("{sku} Registry Unit");
        meters.push(meter(key, "month", registry, registry, Some(sku), &name, DAY, Factor::DayToMonth));
    }
    meters.push(meter("acr.gb-month", "GB-month", registry, registry, None, "Data Stored", GB_MONTH, Factor::Same));
    meters
}

pub(super) fn keys() -> Vec<String> {
    meters().into_iter().map(|meter| meter.key).collect()
}

/// The queries for a region, each the first page of a list: names and values of a URL's query.
pub fn queries(region: &str) -> Vec<Vec<(&'static str, String)>> {
    let filter = |range: &Range| {
        let product = range.product.map_or_else(String::new, |product| format!(" and productName eq '{product}'"));
        // Some networking meters are those of every region.
        format!(
            "serviceName eq '{}'{product} and (armRegionName eq '{region}' or armRegionName eq 'Global') \
             and priceType eq 'Consumption'",
            range.service
        )
    };
    let query = |range| {
        vec![("api-version", VERSION.to_owned()), ("currencyCode", "USD".to_owned()), ("$filter", filter(range))]
    };
    RANGES.iter().map(query).collect()
}

#[derive(Deserialize)]
struct Page {
    #[serde(rename = "Items")]
    items: Vec<Item>,
    #[serde(rename = "NextPageLink")]
    next: Option<String>,
    #[serde(rename = "Count")]
    count: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    currency_code: String,
    retail_price: Value,
    tier_minimum_units: Value,
    arm_region_name: Option<String>,
    effective_start_date: String,
    effective_end_date: Option<String>,
    meter_id: String,
    meter_name: String,
    product_name: String,
    sku_name: String,
    service_name: String,
    unit_of_measure: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Reads a page, and gives the query of the next one, as its link has it. A link to another host is an error.
pub fn read(region: &str, page: &[u8], answers: &mut Answers) -> Result<Option<String>, PriceListError> {
    debug_assert_eq!(answers.cloud, CloudId::Azure);
    let place = format!("retail prices of {region}");
    let page: Page =
        serde_json::from_slice(page).map_err(|error| PriceListError::form(&place, format!("no page: {error}")))?;
    if page.items.len() != page.count {
        let what = format!("a page has {} of {} items", page.items.len(), page.count);
        return Err(PriceListError::form(&place, what));
    }
    let meters = meters();
    for item in &page.items {
        let everywhere = match item.arm_region_name.as_deref().unwrap_or_default() {
            own if own == region => false,
            "" | "Global" | "global" => true,
            _ => continue,
        };
        if item.kind != "Consumption" {
            continue;
        }
        let is_one = |meter: &&Meter| {
            meter.service == item.service_name
                && meter.product == item.product_name
                && meter.sku.as_ref().is_none_or(|sku| *sku == item.sku_name)
                && item.meter_name.ends_with(&meter.meter)
        };
        let Some(meter) = meters.iter().find(is_one) else { continue };
        let source = format!(
            "Azure Retail Prices, meter {} ({}), effective {}",
            item.meter_id,
            item.meter_name,
            item.effective_start_date.get(..10).unwrap_or_default()
        );
        let failed = |what: &str| PriceListError::form(&place, format!("meter {}: {what}", item.meter_id));
        let effective = day(&item.effective_start_date).ok_or_else(|| failed("`effectiveStartDate` is no date"))?;
        let ended = item.effective_end_date.as_deref().and_then(day).is_some_and(|end| end <= answers.today);
        if effective > answers.today || ended {
            continue;
        }
        if item.currency_code != "USD" {
            return Err(failed(&format!("its currency is `{}`, not USD", item.currency_code)));
        }
        if !meter.priced_by.contains(&item.unit_of_measure.as_str()) {
            let what = format!("{source} is priced by `{}`, not by `{}`", item.unit_of_measure, meter.priced_by[0]);
            answers.doubt(region, &meter.key, what);
            continue;
        }
        let amount = |name: &str, value: &Value| number(value).ok_or_else(|| failed(&format!("`{name}` is no price")));
        let tier_from: Amount = amount("tierMinimumUnits", &item.tier_minimum_units)?;
        answers.add(Quote {
            region,
            key: &meter.key,
            unit: meter.unit,
            sku: &item.meter_id,
            everywhere,
            tier_from,
            included: Amount::ZERO,
            usd: amount("retailPrice", &item.retail_price)?,
            factor: meter.factor,
            effective,
            source,
        });
    }
    page.next.filter(|link| !link.is_empty()).map(|link| next(&place, &link)).transpose()
}

/// The query of a link to the next page.
fn next(place: &str, link: &str) -> Result<String, PriceListError> {
    let rest = link.strip_prefix("https://").and_then(|rest| rest.strip_prefix(HOST));
    let rest = rest.map(|rest| rest.strip_prefix(":443").unwrap_or(rest));
    match rest.and_then(|rest| rest.strip_prefix(PATH)).and_then(|rest| rest.strip_prefix('?')) {
        Some(query) if !query.is_empty() => Ok(query.to_owned()),
        _ => Err(PriceListError::form(place, format!("the next page is at `{link}`, not at {HOST}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_at_the_same_place() {
        for (link, query) in [
            ("https://prices.azure.com:443/api/retail/prices?$skip=1000", Some("$skip=1000")),
            ("https://prices.azure.com/api/retail/prices?a=b&$skip=2", Some("a=b&$skip=2")),
            ("http://prices.azure.com/api/retail/prices?$skip=1", None),
            ("https://prices.azure.com.example.com/api/retail/prices?$skip=1", None),
            ("https://prices.azure.com/api/retail/prices/other?$skip=1", None),
            ("https://prices.azure.com/api/retail/prices?", None),
            ("/api/retail/prices?$skip=1", None),
        ] {
            assert_eq!(next("x", link).ok().as_deref(), query, "{link}");
        }
    }
}
