//! The price book: dated public list prices, for resources on which the bill is silent.
//!
//! The figures and their sources stand in `prices.toml` beside this crate's manifest. There are few, on
//! purpose: a price nobody can look up is not there, and no region's price is derived from another's.
//! `sweeper prices refresh` writes more of them, as the clouds' price APIs say them
//! ([`crate::price_lists`]); such a book lies over this one.

use jiff::{Span, civil::Date};
use serde::Deserialize;
use std::{collections::BTreeMap, fmt};
use sweeper_core::{kind::Prices, model::CloudId, money::Amount};
use thiserror::Error;

const EMBEDDED: &str = include_str!("../prices.toml");

/// Why a price book cannot be used.
#[derive(Debug, Error)]
pub enum PriceError {
    #[error("the price book is not valid TOML: {0}")]
    Toml(#[from] toml::de::Error),
    /// Row numbers count from 1, in the order of the file.
    #[error("price {row} (`{key}`): {problem}")]
    Row { row: usize, key: String, problem: String },
}

/// One list price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    pub cloud: CloudId,
    pub region: String,
    /// `ebs.gp3.gb-month`: service, variant, unit.
    pub key: String,
    /// What one of is priced: `GB-month`, `hour`. A month has 730 hours.
    pub unit: String,
    /// US dollars a unit, before any discount.
    pub usd: Amount,
    /// The quantity a month above which this price applies; zero for the first unit.
    pub tier_from: Amount,
    /// Since when it holds, or the day of the source where that is not known.
    pub effective_date: Date,
    /// Where the figure can be looked up.
    pub source: String,
    /// The day on which the cloud's price API said so, if it did.
    pub refreshed: Option<Date>,
}

/// How long the answer of a price API counts as live, days. Clouds announce changes of list prices weeks ahead.
pub const LIVE_DAYS: i64 = 30;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBook {
    #[serde(default)]
    price: Vec<RawPrice>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrice {
    provider: String,
    region: String,
    key: String,
    unit: String,
    usd: String,
    tier_from: Option<String>,
    effective_date: String,
    source: String,
    refreshed: Option<String>,
}

/// Cloud, region, key, tier.
type PriceKey = (CloudId, String, String, Amount);

/// List prices by cloud, region and key.
#[derive(Clone, Debug, Default)]
pub struct PriceBook {
    prices: BTreeMap<PriceKey, Price>,
    /// The day on which prices are asked for, where answers of APIs count as live.
    today: Option<Date>,
}

impl PriceBook {
    /// The book that comes with the program.
    pub fn embedded() -> Result<Self, PriceError> {
        Self::parse(EMBEDDED)
    }

    /// Reads a book from TOML: `[[price]]` rows of provider, region, key, unit, usd (a decimal string),
    /// tier_from (optional), effective_date, source and refreshed (optional). A row without a source or a date, a price below
    /// zero, or with more than twelve decimals, and a repeated row are errors.
    pub fn parse(text: &str) -> Result<Self, PriceError> {
        let raw: RawBook = toml::from_str(text)?;
        let mut prices = BTreeMap::new();
        for (index, raw) in raw.price.into_iter().enumerate() {
            let key = raw.key.clone();
            let failed = |problem: String| PriceError::Row { row: index + 1, key: key.clone(), problem };
            let price = price(raw).map_err(failed)?;
            if prices.insert(place(&price), price).is_some() {
                return Err(failed("a second price for the same provider, region, key and tier".to_owned()));
            }
        }
        Ok(Self { prices, today: None })
    }

    /// Puts prices over those of this book: all that stood under the same cloud, region and key, with every
    /// tier, is replaced.
    #[must_use]
    pub fn under(mut self, over: impl IntoIterator<Item = Price>) -> Self {
        let over: Vec<Price> = over.into_iter().collect();
        for price in &over {
            let same = |other: &PriceKey| {
                (other.0, other.1.as_str(), other.2.as_str())
                    == (price.cloud, price.region.as_str(), price.key.as_str())
            };
            self.prices.retain(|place, _| !same(place));
        }
        self.prices.extend(over.into_iter().map(|price| (place(&price), price)));
        self
    }

    /// As asked on this day: what an API said in the last [`LIVE_DAYS`] days is then a live price, no list price.
    #[must_use]
    pub fn live_on(mut self, today: Date) -> Self {
        self.today = Some(today);
        self
    }

    /// Prices whose first tier moved by more than half of what it was in `before`, up or down.
    pub fn moved<'a>(&'a self, before: &'a Self) -> Vec<(&'a Price, &'a Price)> {
        let mut moved = Vec::new();
        let mut last = None;
        for price in self.iter() {
            let key = (price.cloud, price.region.as_str(), price.key.as_str());
            // The tiers above the first follow it.
            if last.replace(key) == Some(key) {
                continue;
            }
            let Some(was) = before.price(price.cloud, &price.region, &price.key) else { continue };
            let by = (price.usd - was.usd).pico().abs();
            if was.usd > Amount::ZERO && by.saturating_mul(2) > was.usd.pico() {
                moved.push((was, price));
            }
        }
        moved
    }

    /// The price of the lowest tier, with its unit, date and source: what a report cites.
    pub fn price(&self, cloud: CloudId, region: &str, key: &str) -> Option<&Price> {
        let from = (cloud, region.to_owned(), key.to_owned(), Amount::ZERO);
        let (_, price) = self.prices.range(from..).next()?;
        (price.cloud == cloud && price.region == region && price.key == key).then_some(price)
    }

    /// Every price, by cloud, region, key and tier.
    pub fn iter(&self) -> impl Iterator<Item = &Price> {
        self.prices.values()
    }
}

impl Prices for PriceBook {
    fn unit(&self, cloud: CloudId, region: &str, key: &str) -> Option<Amount> {
        self.price(cloud, region, key).map(|price| price.usd)
    }

    fn is_live(&self, cloud: CloudId, region: &str, key: &str) -> bool {
        let refreshed = self.price(cloud, region, key).and_then(|price| price.refreshed);
        let (Some(today), Some(refreshed)) = (self.today, refreshed) else { return false };
        // A day to come is a clock that was wrong.
        refreshed <= today && today.checked_sub(Span::new().days(LIVE_DAYS)).is_ok_and(|oldest| refreshed >= oldest)
    }
}

/// The book as [`PriceBook::parse`] reads it, by cloud, region, key and tier: the same prices, the same bytes.
impl fmt::Display for PriceBook {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &str| toml::Value::String(text.to_owned());
        out.write_str(
            "# Public list prices, without any discount, in US dollars: see `sweeper prices show`.\n\
             # `refreshed` is the day on which the cloud's price API said so; rows without it have another source.\n",
        )?;
        for price in self.iter() {
            writeln!(out, "\n[[price]]\nprovider = {}", text(price.cloud.name()))?;
            writeln!(
                out,
                "region = {}\nkey = {}\nunit = {}",
                text(&price.region),
                text(&price.key),
                text(&price.unit)
            )?;
            writeln!(out, "usd = \"{}\"", price.usd)?;
            if price.tier_from != Amount::ZERO {
                writeln!(out, "tier_from = \"{}\"", price.tier_from)?;
            }
            writeln!(out, "effective_date = \"{}\"\nsource = {}", price.effective_date, text(&price.source))?;
            if let Some(refreshed) = price.refreshed {
                writeln!(out, "refreshed = \"{refreshed}\"")?;
            }
        }
        Ok(())
    }
}

fn place(price: &Price) -> PriceKey {
    (price.cloud, price.region.clone(), price.key.clone(), price.tier_from)
}

fn price(raw: RawPrice) -> Result<Price, String> {
    let cloud = CloudId::parse(&raw.provider).ok_or_else(|| format!("no provider is called `{}`", raw.provider))?;
    for (field, value) in [("region", &raw.region), ("key", &raw.key), ("unit", &raw.unit), ("source", &raw.source)] {
        if value.trim().is_empty() {
            return Err(format!("`{field}` is empty"));
        }
    }
    let tier_from = match &raw.tier_from {
        Some(text) => decimal("tier_from", text)?,
        None => Amount::ZERO,
    };
    let date = |field: &str, text: &str| text.parse().map_err(|_| format!("`{field}` is not a date: `{text}`"));
    Ok(Price {
        cloud,
        usd: decimal("usd", &raw.usd)?,
        tier_from,
        effective_date: date("effective_date", &raw.effective_date)?,
        refreshed: raw.refreshed.as_deref().map(|text| date("refreshed", text)).transpose()?,
        region: raw.region,
        key: raw.key,
        unit: raw.unit,
        source: raw.source,
    })
}

/// A decimal at or above zero that an [`Amount`] holds exactly.
fn decimal(field: &str, text: &str) -> Result<Amount, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.trim_end_matches('0').len());
    match Amount::parse(text) {
        Some(amount) if plain && decimals <= 12 => Ok(amount),
        _ => Err(format!("`{field}` is not a decimal number of at most twelve decimals: `{text}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweeper_core::money::HOURS_A_MONTH;

    fn unit(key: &str) -> Option<String> {
        PriceBook::embedded().unwrap().unit(CloudId::Aws, "us-east-1", key).map(|usd| usd.to_string())
    }

    #[test]
    fn every_figure_has_a_source_and_a_date() {
        let book = PriceBook::embedded().unwrap();
        let earliest: Date = "2023-04-01".parse().unwrap();
        let latest: Date = "2026-11-20".parse().unwrap();
        for price in book.iter() {
            assert!(price.source.len() > 20, "{price:?}");
            assert!((earliest..=latest).contains(&price.effective_date), "{price:?}");
            assert!(price.usd > Amount::ZERO, "{price:?}");
            // Only where the figures were read: no other region is priced by analogy.
            let read = [
                (CloudId::Aws, "us-east-1"),
                (CloudId::Azure, "eastus"),
                (CloudId::Gcp, "us-central1"),
                // Snapshots and images, which are of no region.
                (CloudId::Gcp, "global"),
                // Artifact Registry.
                (CloudId::Gcp, "asia-east1"),
                (CloudId::Gcp, "australia-southeast1"),
                (CloudId::Gcp, "europe"),
                (CloudId::Gcp, "europe-north1"),
                (CloudId::Gcp, "us-east1"),
            ];
            assert!(read.contains(&(price.cloud, price.region.as_str())), "{price:?}");
        }
        assert_eq!(book.iter().count(), EMBEDDED.matches("[[price]]").count());
    }

    #[test]
    fn the_unit_is_the_last_part_of_the_key() {
        for price in PriceBook::embedded().unwrap().iter() {
            let suffix = price.key.rsplit('.').next().unwrap();
            assert_eq!(suffix, price.unit.to_lowercase(), "{price:?}");
        }
    }

    #[test]
    fn the_decimals_are_exact() {
        for (key, usd) in [
            ("ebs.gp3.gb-month", "0.08"),
            ("ebs.gp3.iops-month", "0.005"),
            ("ebs.gp3.mibps-month", "0.04"),
            ("ebs.gp2.gb-month", "0.1"),
            ("ebs.io1.gb-month", "0.125"),
            ("ebs.io2.gb-month", "0.125"),
            ("ebs.io1.iops-month", "0.065"),
            ("ebs.io2.iops-month", "0.065"),
            ("ebs.st1.gb-month", "0.045"),
            ("ebs.sc1.gb-month", "0.015"),
            ("ebs.standard.gb-month", "0.05"),
            ("ebs.snapshot.gb-month", "0.05"),
            ("ebs.snapshot-archive.gb-month", "0.0125"),
            ("ipv4.hour", "0.005"),
            ("nat.hour", "0.045"),
            ("alb.hour", "0.0225"),
            ("nlb.hour", "0.0225"),
            ("clb.hour", "0.025"),
            ("ecr.gb-month", "0.1"),
            ("s3.standard.gb-month", "0.023"),
            ("s3.glacier-deep-archive.gb-month", "0.00099"),
            ("rds.backup.gb-month", "0.095"),
            ("aurora.backup.gb-month", "0.021"),
        ] {
            assert_eq!(unit(key).as_deref(), Some(usd), "{key}");
        }
    }

    #[test]
    fn a_month_is_730_hours() {
        let book = PriceBook::embedded().unwrap();
        let month = |key| book.unit(CloudId::Aws, "us-east-1", key).unwrap().times(HOURS_A_MONTH).to_string();
        assert_eq!(month("ipv4.hour"), "3.65");
        assert_eq!(month("nat.hour"), "32.85");
        assert_eq!(month("alb.hour"), "16.425");
    }

    #[test]
    fn what_is_not_listed_has_no_price() {
        let book = PriceBook::embedded().unwrap();
        for (cloud, region, key) in [
            (CloudId::Aws, "eu-west-1", "ebs.gp3.gb-month"),
            (CloudId::Azure, "us-east-1", "ebs.gp3.gb-month"),
            (CloudId::Aws, "us-east-1", "ebs.gp3"),
            (CloudId::Aws, "us-east-1", "zzz"),
            (CloudId::Aws, "us-east-1", ""),
            (CloudId::Aws, "us-east-1", "vpc-endpoint.hour"),
            (CloudId::Aws, "us-east-1", "logs.gb-month"),
        ] {
            assert_eq!(book.unit(cloud, region, key), None, "{region} {key}");
        }
    }

    #[test]
    fn a_bad_row_is_named() {
        let row = |fields: &str| {
            let good = "provider = \"aws\"\nregion = \"r\"\nkey = \"k\"\nunit = \"u\"\n";
            PriceBook::parse(&format!("[[price]]\n{good}{fields}")).map_err(|error| error.to_string())
        };
        let rest = "effective_date = \"2024-07-01\"\nsource = \"s\"\n";
        assert!(row(&format!("usd = \"1\"\n{rest}")).is_ok());
        for usd in ["-1", "", "NaN", "1e-3", "0.0000000000001", " 1"] {
            let error = row(&format!("usd = \"{usd}\"\n{rest}")).unwrap_err();
            assert!(error.starts_with("price 1 (`k`): `usd`"), "{error}");
        }
        assert!(row("usd = \"1\"\neffective_date = \"2024-07-01\"\nsource = \" \"").unwrap_err().contains("`source`"));
        assert!(row("usd = \"1\"\neffective_date = \"2024-07-01\"").unwrap_err().contains("source"));
        assert!(row("usd = \"1\"\neffective_date = \"July\"\nsource = \"s\"").unwrap_err().contains("`July`"));
        assert!(row(&format!("usd = \"1\"\nextra = 1\n{rest}")).unwrap_err().contains("extra"));
        let twice = "[[price]]\nprovider = \"aws\"\nregion = \"r\"\nkey = \"k\"\nunit = \"u\"\nusd = \"1\"\n\
                     effective_date = \"2024-07-01\"\nsource = \"s\"\n"
            .repeat(2);
        assert!(PriceBook::parse(&twice).unwrap_err().to_string().starts_with("price 2 (`k`): a second"));
    }

    #[test]
    fn the_lowest_tier_is_the_unit_price() {
        let tier = |from: &str, usd: &str| {
            format!(
                "[[price]]\nprovider = \"gcp\"\nregion = \"r\"\nkey = \"k\"\nunit = \"u\"\nusd = \"{usd}\"\n\
                 tier_from = \"{from}\"\neffective_date = \"2024-07-01\"\nsource = \"s\"\n"
            )
        };
        let book = PriceBook::parse(&(tier("1000", "0.02") + &tier("50", "0.03"))).unwrap();
        assert_eq!(book.unit(CloudId::Gcp, "r", "k"), Amount::parse("0.03"));
    }
}
