//! Google Cloud Billing Catalog: JSON pages of every SKU of a service.
//!
//! `GET https://cloudbilling.googleapis.com/v1/services/6F81-5844-456A/skus?key=…` answers `{skus[{skuId, description,
//! category{resourceFamily, resourceGroup, usageType}, serviceRegions[], pricingInfo[{effectiveTime,
//! pricingExpression{usageUnit, tieredRates[{startUsageAmount, unitPrice{currencyCode, units, nanos}}]}}]}],
//! nextPageToken}`; a price is units + nanos·10⁻⁹; a page has at most 5,000 SKUs. Source: "Get Google Cloud pricing
//! information", reference of `services.skus.list`.
//!
//! Nothing in a SKU names the product but its description, which ends with its place where there is one (`Storage PD
//! Capacity in Frankfurt`); that of another product may begin alike (`Regional Storage PD Capacity` does not).

use super::{Answers, Factor, PriceListError, Quote, day, number};
use serde::Deserialize;
use serde_json::Value;
use sweeper_core::{model::CloudId, money::Amount};

/// Where the catalog is.
pub const HOST: &str = "cloudbilling.googleapis.com";
/// SKUs of a page at most.
pub const PAGE: u32 = 5000;

/// Compute Engine.
const COMPUTE: &str = "6F81-5844-456A";
/// Artifact Registry.
const ARTIFACTS: &str = "149C-F9EC-3994";

/// The SKUs of a key.
struct Product {
    key: &'static str,
    unit: &'static str,
    service: &'static str,
    description: &'static str,
    priced_by: &'static [&'static str],
}

const fn stored(key: &'static str, service: &'static str, description: &'static str) -> Product {
    Product { key, unit: "GiB-month", service, description, priced_by: &["GiBy.mo"] }
}

// Hyperdisks are not here: the kinds price their space alone, which is the smaller part of what they cost.
const PRODUCTS: &[Product] = &[
    stored("disk.pd-standard.gib-month", COMPUTE, "Storage PD Capacity"),
    stored("disk.pd-balanced.gib-month", COMPUTE, "Balanced PD Capacity"),
    stored("disk.pd-ssd.gib-month", COMPUTE, "SSD backed PD Capacity"),
    stored("disk.pd-extreme.gib-month", COMPUTE, "Extreme PD Capacity"),
    Product {
        unit: "IOPS-month",
        priced_by: &["mo", "count.mo"],
        ..stored("disk.pd-extreme.iops-month", COMPUTE, "Extreme PD IOPS")
    },
    stored("snapshot.standard.gib-month", COMPUTE, "Storage PD Snapshot"),
    stored("image.gib-month", COMPUTE, "Storage Image"),
    Product { unit: "hour", priced_by: &["h"], ..stored("address.unused.hour", COMPUTE, "Static Ip Charge") },
    Product {
        unit: "hour",
        priced_by: &["h"],
        ..stored("address.in-use.hour", COMPUTE, "External IP Charge on a Standard VM")
    },
    Product { unit: "GB-month", ..stored("artifact-registry.gb-month", ARTIFACTS, "Artifact Registry Storage") },
];

pub(super) fn keys() -> Vec<String> {
    PRODUCTS.iter().map(|product| product.key.to_owned()).collect()
}

/// The services whose SKUs are listed.
pub const SERVICES: [&str; 2] = [COMPUTE, ARTIFACTS];

/// The path of a service's SKUs.
pub fn path(service: &str) -> String {
    format!("/v1/services/{service}/skus")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    skus: Vec<Sku>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sku {
    sku_id: String,
    description: String,
    category: Category,
    #[serde(default)]
    service_regions: Vec<String>,
    #[serde(default)]
    pricing_info: Vec<Pricing>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Category {
    #[serde(default)]
    usage_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pricing {
    effective_time: String,
    pricing_expression: Expression,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expression {
    usage_unit: String,
    #[serde(default)]
    tiered_rates: Vec<Rate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rate {
    start_usage_amount: Value,
    unit_price: Money,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Money {
    #[serde(default)]
    currency_code: String,
    /// A number in a string.
    #[serde(default)]
    units: String,
    #[serde(default)]
    nanos: i64,
}

impl Money {
    /// Units + nanos·10⁻⁹.
    fn amount(&self) -> Option<Amount> {
        let units = if self.units.is_empty() { 0 } else { self.units.parse::<i64>().ok()? };
        let whole = (0..1_000_000_000).contains(&self.nanos) && units >= 0;
        whole.then(|| Amount::whole(units) + Amount::from_pico(i128::from(self.nanos) * 1000))
    }
}

/// Reads a page of a service's SKUs for these regions, and gives the token of the next one.
pub fn read(
    service: &str,
    regions: &[String],
    page: &[u8],
    answers: &mut Answers,
) -> Result<Option<String>, PriceListError> {
    debug_assert_eq!(answers.cloud, CloudId::Gcp);
    let place = format!("SKUs of {service}");
    let page: Page =
        serde_json::from_slice(page).map_err(|error| PriceListError::form(&place, format!("no page: {error}")))?;
    for sku in page.skus.iter().filter(|sku| sku.category.usage_type == "OnDemand") {
        let is_one = |product: &&Product| {
            product.service == service
                && sku
                    .description
                    .strip_prefix(product.description)
                    .is_some_and(|place| place.is_empty() || place.starts_with(" in "))
        };
        let Some(product) = PRODUCTS.iter().find(is_one) else { continue };
        let failed = |what: &str| PriceListError::form(&place, format!("SKU {}: {what}", sku.sku_id));
        // The timeline of its prices: the last that is in force.
        let mut current = None;
        for pricing in &sku.pricing_info {
            let effective = day(&pricing.effective_time).ok_or_else(|| failed("`effectiveTime` is no time"))?;
            if effective <= answers.today && current.is_none_or(|(known, _)| effective >= known) {
                current = Some((effective, &pricing.pricing_expression));
            }
        }
        let Some((effective, expression)) = current else { continue };
        let source = format!("Google Cloud Billing Catalog, SKU {} ({}), {effective}", sku.sku_id, sku.description);
        for region in regions {
            let own = sku.service_regions.iter().any(|known| known == region);
            let everywhere = sku.service_regions.iter().any(|known| known == "global");
            if !own && !everywhere {
                continue;
            }
            if !product.priced_by.contains(&expression.usage_unit.as_str()) {
                let what =
                    format!("{source} is priced by `{}`, not by `{}`", expression.usage_unit, product.priced_by[0]);
                answers.doubt(region, product.key, what);
                continue;
            }
            for rate in &expression.tiered_rates {
                if !matches!(rate.unit_price.currency_code.as_str(), "USD" | "") {
                    return Err(failed(&format!("its currency is `{}`, not USD", rate.unit_price.currency_code)));
                }
                answers.add(Quote {
                    region,
                    key: product.key,
                    unit: product.unit,
                    sku: &sku.sku_id,
                    everywhere: !own,
                    tier_from: number(&rate.start_usage_amount)
                        .ok_or_else(|| failed("`startUsageAmount` is no number"))?,
                    included: Amount::ZERO,
                    usd: rate.unit_price.amount().ok_or_else(|| failed("`unitPrice` is no price"))?,
                    factor: Factor::Same,
                    effective,
                    source: source.clone(),
                });
            }
        }
    }
    Ok(page.next_page_token.filter(|token| !token.is_empty()))
}
