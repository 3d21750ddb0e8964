//! What the clouds' price APIs are asked for each key of the price book, and how their answers become rows.
//!
//! | cloud | API | what of it |
//! |---|---|---|
//! | AWS | bulk offer files, `pricing.us-east-1.amazonaws.com`, no credentials | [`aws`]: CSV of a service and region, as a stream |
//! | Azure | Retail Prices, `prices.azure.com`, no credentials | [`azure`]: JSON pages of meters, filtered by product and region |
//! | Google Cloud | Billing Catalog, `cloudbilling.googleapis.com`, an API key | [`gcp`]: JSON pages of every SKU of a service |
//!
//! Pure: whoever calls brings the bytes. Only on-demand prices in US dollars are read; reservations, savings
//! plans, spot and other currencies are passed over. A price is never chosen among several: where two SKUs say
//! different prices for one key, the key is in doubt, both are named, and it keeps what the book said before.
//! A price of zero is an allowance, no price: the first 30 GiB are free, the rest is not.
//!
//! **GB and GiB.** AWS and Azure write `GB-Mo` and `1 GB/Month` and count in units of 2³⁰ bytes, as
//! Google's `GiBy.mo` says outright; so do the kinds that multiply. No figure is converted between the two.

pub mod aws;
pub mod azure;
pub mod gcp;

use crate::prices::Price;
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};
use sweeper_core::{
    model::CloudId,
    money::{Amount, HOURS_A_MONTH},
};
use thiserror::Error;

/// Why an answer of a price API cannot be used. Nothing of it is.
#[derive(Debug, Error)]
pub enum PriceListError {
    /// Not what the API's documentation describes: what of it, and where.
    #[error("{place}: {what}")]
    Form { place: String, what: String },
    /// Pages that would never end.
    #[error("{0}: a page names itself or an earlier one as the next")]
    Repeated(String),
    /// More pages than any such list has.
    #[error("{0}: more than {MOST_PAGES} pages")]
    Endless(String),
}

impl PriceListError {
    fn form(place: &str, what: impl Into<String>) -> Self {
        Self::Form { place: place.to_owned(), what: what.into() }
    }
}

/// Pages of one list. Azure's largest, all of its meters, has some thousands; ours are filtered.
const MOST_PAGES: usize = 500;

/// The pages of one list that were read: none is read twice.
#[derive(Debug)]
pub struct Pages {
    list: String,
    seen: BTreeSet<String>,
}

impl Pages {
    /// The pages of a list, by its name in messages.
    pub fn of(list: impl Into<String>) -> Self {
        Self { list: list.into(), seen: BTreeSet::new() }
    }

    /// Goes on to the page that a token or a link names.
    pub fn turn(&mut self, next: &str) -> Result<(), PriceListError> {
        if !self.seen.insert(next.to_owned()) {
            return Err(PriceListError::Repeated(self.list.clone()));
        }
        if self.seen.len() >= MOST_PAGES {
            return Err(PriceListError::Endless(self.list.clone()));
        }
        Ok(())
    }
}

/// How a figure of an API becomes one of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Factor {
    /// The same unit.
    Same,
    /// An hour's price, of which a month has [`HOURS_A_MONTH`].
    HourToMonth,
    /// A day's price: a month has 730 / 24 days.
    DayToMonth,
    /// The price of 1,024 of the book's units.
    GibiToMebi,
}

impl Factor {
    const fn of(self, usd: Amount) -> Amount {
        match self {
            Self::Same => usd,
            Self::HourToMonth => usd.times(HOURS_A_MONTH),
            Self::DayToMonth => usd.scaled(HOURS_A_MONTH as i128, 24),
            Self::GibiToMebi => usd.scaled(1, 1024),
        }
    }
}

/// What a SKU or meter says of one key: its tiers, before conversion.
struct Quote<'a> {
    region: &'a str,
    key: &'a str,
    unit: &'a str,
    /// SKU or meter id.
    sku: &'a str,
    /// It is for every region: one that is for this region alone goes before it.
    everywhere: bool,
    tier_from: Amount,
    /// What comes with something else and is not in the API's tiers: gp3's first 3,000 IOPS.
    included: Amount,
    usd: Amount,
    factor: Factor,
    effective: Date,
    source: String,
}

/// The tiers of one SKU.
#[derive(Clone, Debug)]
struct Schedule {
    everywhere: bool,
    unit: String,
    /// From which quantity a month: dollars a unit of the book's.
    tiers: BTreeMap<Amount, Amount>,
    effective: Date,
    source: String,
}

/// What was read so far of a cloud's answers.
#[derive(Clone, Debug)]
pub struct Answers {
    cloud: CloudId,
    today: Date,
    /// By region and key; then by SKU.
    seen: BTreeMap<(String, String), BTreeMap<String, Schedule>>,
    doubts: BTreeMap<(String, String), BTreeSet<String>>,
}

/// A key whose price a cloud's answers leave open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doubt {
    pub region: String,
    pub key: String,
    /// Names the SKUs.
    pub what: String,
}

/// What a cloud's answers come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// By region, key and tier.
    pub prices: Vec<Price>,
    /// Region and key of which no product is offered there, or only free ones.
    pub missing: Vec<(String, String)>,
    pub doubts: Vec<Doubt>,
}

impl Answers {
    /// None yet, of this cloud. Prices that are not yet or no longer in force `today` are passed over.
    pub fn of(cloud: CloudId, today: Date) -> Self {
        Self { cloud, today, seen: BTreeMap::new(), doubts: BTreeMap::new() }
    }

    fn doubt(&mut self, region: &str, key: &str, what: String) {
        self.doubts.entry((region.to_owned(), key.to_owned())).or_default().insert(what);
    }

    fn add(&mut self, quote: Quote<'_>) {
        let place = (quote.region.to_owned(), quote.key.to_owned());
        let usd = quote.factor.of(quote.usd);
        if quote.tier_from != Amount::ZERO && quote.factor != Factor::Same {
            let what = format!("{} has tiers in another unit than the book's", quote.source);
            return self.doubt(quote.region, quote.key, what);
        }
        let offers = self.seen.entry(place).or_default();
        let offer = offers.entry(quote.sku.to_owned()).or_insert_with(|| Schedule {
            everywhere: quote.everywhere,
            unit: quote.unit.to_owned(),
            tiers: BTreeMap::new(),
            effective: quote.effective,
            source: quote.source.clone(),
        });
        // Of one meter the later price is the one in force.
        if quote.effective > offer.effective {
            offer.tiers.clear();
            offer.effective = quote.effective;
            offer.source.clone_from(&quote.source);
        } else if quote.effective < offer.effective {
            return;
        }
        if let Some(other) = offer.tiers.insert(quote.tier_from + quote.included, usd).filter(|other| *other != usd) {
            let what = format!("{} says both {other} and {usd}", quote.source);
            self.doubt(quote.region, quote.key, what);
        }
    }

    /// The rows, and what has none, of the keys that were asked for in these regions.
    pub fn finish(self, regions: &[String]) -> Refreshed {
        let Self { cloud, today, seen, mut doubts } = self;
        let mut refreshed = Refreshed { prices: Vec::new(), missing: Vec::new(), doubts: Vec::new() };
        let regions: BTreeSet<&String> = regions.iter().collect();
        let keys = keys(cloud);
        for region in regions {
            for key in &keys {
                let place = (region.clone(), key.clone());
                let mut offers: Vec<(&String, Schedule)> = seen
                    .get(&place)
                    .into_iter()
                    .flatten()
                    .map(|(sku, schedule)| (sku, schedule.clone()))
                    .map(|(sku, mut schedule)| {
                        schedule.tiers.retain(|_, usd| *usd > Amount::ZERO);
                        (sku, schedule)
                    })
                    .filter(|(_, schedule)| !schedule.tiers.is_empty())
                    .collect();
                if offers.iter().any(|(_, schedule)| !schedule.everywhere) {
                    offers.retain(|(_, schedule)| !schedule.everywhere);
                }
                if let Some(doubts) = doubts.remove(&place) {
                    let what = doubts.into_iter().collect::<Vec<_>>().join("; ");
                    refreshed.doubts.push(Doubt { region: region.clone(), key: key.clone(), what });
                    continue;
                }
                let Some(((_, first), others)) = offers.split_first() else {
                    refreshed.missing.push(place);
                    continue;
                };
                if let Some((_, other)) = others.iter().find(|(_, other)| other.tiers != first.tiers) {
                    let what = format!("{} and {}", told(first), told(other));
                    refreshed.doubts.push(Doubt { region: region.clone(), key: key.clone(), what });
                    continue;
                }
                refreshed.prices.extend(first.tiers.iter().map(|(tier_from, usd)| Price {
                    cloud,
                    region: region.clone(),
                    key: key.clone(),
                    unit: first.unit.clone(),
                    usd: *usd,
                    tier_from: *tier_from,
                    effective_date: first.effective,
                    source: first.source.clone(),
                    refreshed: Some(today),
                }));
            }
        }
        refreshed
    }
}

/// A SKU with its prices, for people.
fn told(schedule: &Schedule) -> String {
    let tiers: Vec<String> = schedule
        .tiers
        .iter()
        .map(|(from, usd)| if *from == Amount::ZERO { usd.to_string() } else { format!("{usd} from {from}") })
        .collect();
    format!("{} ({})", schedule.source, tiers.join(", "))
}

/// Every key that a cloud's API is asked for, sorted.
pub fn keys(cloud: CloudId) -> Vec<String> {
    let mut keys = match cloud {
        CloudId::Aws => aws::keys(),
        CloudId::Azure => azure::keys(),
        CloudId::Gcp => gcp::keys(),
    };
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Keys of the book that no API is asked for, with the reason.
pub const UNASKED: &[(CloudId, &str, &str)] = &[(
    CloudId::Gcp,
    "snapshot.archive.gib-month",
    "the catalog's description of archive snapshots is not confirmed by any source at hand",
)];

/// Whether a cloud could have a region of this name, by its form: `us-east-1`, `eastus2`, `us-central1`.
pub fn could_have(cloud: CloudId, region: &str) -> bool {
    /// Multi-regions of Artifact Registry, and what is of no region.
    const MULTI: [&str; 4] = ["asia", "europe", "global", "us"];
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if region.is_empty() || !region.chars().all(plain) {
        return false;
    }
    let last = region.rsplit_once('-').map(|(_, last)| last);
    match cloud {
        CloudId::Aws => last.is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()) && !last.is_empty()),
        CloudId::Gcp => {
            let numbered = |last: &str| {
                last.starts_with(|letter: char| letter.is_ascii_lowercase())
                    && last.ends_with(|letter: char| letter.is_ascii_digit())
            };
            MULTI.contains(&region) || last.is_some_and(numbered)
        }
        CloudId::Azure => last.is_none() && !MULTI.contains(&region),
    }
}

/// A decimal at or above zero, `0.0800000000` or `8.8e-5`, that an [`Amount`] holds exactly.
fn exact(text: &str) -> Option<Amount> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let decimals = mantissa.split_once('.').map_or("", |(_, decimals)| decimals).trim_end_matches('0').len() as i64;
    Amount::parse(text).filter(|amount| *amount >= Amount::ZERO && decimals - exponent <= 12)
}

/// A JSON number as it was written. Prices have few digits, which a double gives back as they were.
fn number(value: &serde_json::Value) -> Option<Amount> {
    exact(&value.as_number()?.to_string())
}

/// The day of `2026-11-01`, `2026-11-01T00:00:00Z`.
fn day(text: &str) -> Option<Date> {
    text.get(..10)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_none() {
        for (text, is) in [("0.0800000000", "0.08"), ("8.8e-05", "0.000088"), ("146.0", "146"), ("0", "0")] {
            assert_eq!(exact(text).unwrap().to_string(), is);
        }
        for text in ["-1", "", "NaN", "1e-13", "0.0000000000001", "1,5", "0x1"] {
            assert_eq!(exact(text), None, "{text}");
        }
    }

    #[test]
    fn regions_are_told_apart_by_their_form() {
        for (region, clouds) in [
            ("us-east-1", &[CloudId::Aws][..]),
            ("us-gov-west-1", &[CloudId::Aws]),
            ("us-central1", &[CloudId::Gcp]),
            ("northamerica-northeast2", &[CloudId::Gcp]),
            ("global", &[CloudId::Gcp]),
            ("eastus2", &[CloudId::Azure]),
            ("westeurope", &[CloudId::Azure]),
            ("East US", &[]),
            ("", &[]),
            ("../x", &[]),
            ("us-", &[]),
        ] {
            let those: Vec<CloudId> = CloudId::ALL.into_iter().filter(|cloud| could_have(*cloud, region)).collect();
            assert_eq!(those, clouds, "{region}");
        }
    }

    #[test]
    fn a_page_is_not_read_twice() {
        let mut pages = Pages::of("skus");
        assert!(pages.turn("a").is_ok() && pages.turn("b").is_ok());
        assert!(matches!(pages.turn("a"), Err(PriceListError::Repeated(list)) if list == "skus"));
        let mut pages = Pages::of("skus");
        let ended = (0..).map(|page| pages.turn(&page.to_string())).find_map(Result::err);
        assert!(matches!(ended, Some(PriceListError::Endless(_))));
    }
}
