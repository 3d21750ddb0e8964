//! Answers of the three price APIs, recorded in the form that their documentation describes, become rows of the price
//! book. The figures are those that the book of this build has, so that a refresh changes none of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use jiff::civil::{Date, date};
use proptest::prelude::*;
use sweeper_bill::{
    price_lists::{self, Answers, PriceListError, Refreshed, aws, azure, gcp},
    prices::{Price, PriceBook},
};
use sweeper_core::{kind::Prices as _, model::CloudId, money::Amount};

const TODAY: Date = date(2026, 11, 26);

const OFFERS: [(&str, &str); 6] = [
    ("AWSELB", include_str!("price_lists/aws-AWSELB.csv")),
    ("AmazonEC2", include_str!("price_lists/aws-AmazonEC2.csv")),
    ("AmazonECR", include_str!("price_lists/aws-AmazonECR.csv")),
    ("AmazonRDS", include_str!("price_lists/aws-AmazonRDS.csv")),
    ("AmazonS3", include_str!("price_lists/aws-AmazonS3.csv")),
    ("AmazonVPC", include_str!("price_lists/aws-AmazonVPC.csv")),
];
const AZURE: [&str; 2] = [include_str!("price_lists/azure-1.json"), include_str!("price_lists/azure-2.json")];
const COMPUTE: [&str; 2] =
    [include_str!("price_lists/gcp-compute-1.json"), include_str!("price_lists/gcp-compute-2.json")];
const ARTIFACTS: &str = include_str!("price_lists/gcp-artifacts.json");

fn owned(regions: &[&str]) -> Vec<String> {
    regions.iter().map(|region| (*region).to_owned()).collect()
}

fn of_aws(edit: impl Fn(&str, &str) -> String, region: &str) -> Result<Refreshed, PriceListError> {
    let mut answers = Answers::of(CloudId::Aws, TODAY);
    for (offer, text) in OFFERS {
        aws::read(offer, region, edit(offer, text).as_bytes(), &mut answers)?;
    }
    Ok(answers.finish(&owned(&[region])))
}

fn of_azure(edit: impl Fn(&str) -> String, region: &str) -> Result<Refreshed, PriceListError> {
    let mut answers = Answers::of(CloudId::Azure, TODAY);
    for page in AZURE {
        azure::read(region, edit(page).as_bytes(), &mut answers)?;
    }
    Ok(answers.finish(&owned(&[region])))
}

fn of_gcp(edit: impl Fn(&str) -> String, regions: &[&str]) -> Result<Refreshed, PriceListError> {
    let (mut answers, regions) = (Answers::of(CloudId::Gcp, TODAY), owned(regions));
    for page in COMPUTE {
        gcp::read(gcp::SERVICES[0], &regions, edit(page).as_bytes(), &mut answers)?;
    }
    gcp::read(gcp::SERVICES[1], &regions, edit(ARTIFACTS).as_bytes(), &mut answers)?;
    Ok(answers.finish(&regions))
}

fn same(text: &str) -> String {
    text.to_owned()
}

fn all() -> Vec<Refreshed> {
    vec![
        of_aws(|_, text| same(text), "us-east-1").unwrap(),
        of_azure(same, "eastus").unwrap(),
        of_gcp(same, &["us-central1", "asia-east1", "australia-southeast1", "europe", "europe-north1", "us-east1"])
            .unwrap(),
    ]
}

fn row<'a>(refreshed: &'a Refreshed, key: &str) -> Vec<&'a Price> {
    refreshed.prices.iter().filter(|price| price.key == key).collect()
}

/// Figures of the book that its source had rounded, and to how many decimals.
const ROUNDED: [(&str, usize); 5] = [
    ("disk.ultra.gib-month", 4),
    ("disk.ultra.iops-month", 4),
    ("disk.ultra.mbps-month", 2),
    // Thirty days of a price a day, where a month is 730 hours.
    ("acr.basic.month", 0),
    ("acr.premium.month", 0),
];

/// To so many decimals, half away from zero.
fn rounded(amount: Amount, decimals: u32) -> Amount {
    let unit = 10_i128.pow(12 - decimals);
    Amount::from_pico((amount.pico() + unit / 2) / unit * unit)
}

#[test]
fn answers_that_say_what_the_book_says_change_nothing() {
    let embedded = PriceBook::embedded().unwrap();
    let mut book = embedded.clone();
    for refreshed in all() {
        assert_eq!(refreshed.doubts, []);
        book = book.under(refreshed.prices);
    }
    let mut checked = 0;
    for was in embedded.iter() {
        let is = book.price(was.cloud, &was.region, &was.key).unwrap();
        let asked = price_lists::keys(was.cloud).contains(&was.key) && was.region != "global";
        assert_eq!(is.refreshed, asked.then_some(TODAY), "{was:?}");
        assert_eq!(is.unit, was.unit, "{was:?}");
        let usd = match ROUNDED.iter().find(|(key, _)| *key == was.key) {
            Some((key, _)) if key.starts_with("acr.") => {
                let per_day = was.usd.scaled(1, 30);
                // 1/30 of 5 is rounded to 0.1666 in the API.
                assert!((is.usd - per_day.times(730).scaled(1, 24)).pico().abs() < was.usd.pico() / 500, "{is:?}");
                continue;
            }
            Some((_, decimals)) => rounded(is.usd, *decimals as u32),
            None => is.usd,
        };
        assert_eq!(usd, was.usd, "{was:?}");
        if was.cloud == CloudId::Aws {
            assert_eq!(is.tier_from, was.tier_from, "{was:?}");
        }
        checked += 1;
    }
    assert!(checked > 60, "{checked}");
    assert_eq!(book.moved(&embedded).len(), 0);
}

#[test]
fn every_key_of_the_book_is_asked_for_or_said_not_to_be() {
    for price in PriceBook::embedded().unwrap().iter() {
        let unasked = price_lists::UNASKED.iter().any(|(cloud, key, _)| (*cloud, *key) == (price.cloud, &price.key));
        assert!(price_lists::keys(price.cloud).contains(&price.key) != unasked, "{price:?}");
    }
}

#[test]
fn tiers_units_and_sources_are_the_apis_own() {
    let [aws, azure, gcp] = &all()[..] else { unreachable!() };
    let tiers: Vec<(String, String)> = row(aws, "s3.standard.gb-month")
        .iter()
        .map(|price| (price.tier_from.to_string(), price.usd.to_string()))
        .collect();
    assert_eq!(tiers, [("0", "0.023"), ("51200", "0.022"), ("512000", "0.021")].map(|(a, b)| (a.into(), b.into())));
    let [throughput] = row(aws, "ebs.gp3.mibps-month")[..] else { unreachable!() };
    assert_eq!((throughput.usd.to_string(), throughput.tier_from.to_string()), ("0.04".into(), "125".into()));
    assert!(
        throughput.source.starts_with("AWS Price List, AmazonEC2 SKU ")
            && throughput.source.ends_with("published 2026-11-20")
    );
    assert_eq!(throughput.effective_date, date(2026, 11, 1));
    // Keys that kinds ask for and the book of this build has not.
    assert_eq!(row(aws, "vpce.hour")[0].usd.to_string(), "0.01");
    assert_eq!(row(aws, "gwlb.hour")[0].usd.to_string(), "0.0125");
    // The later price of the meter, that to come left aside.
    let [disk] = row(azure, "disk.e30-lrs.month")[..] else { unreachable!() };
    assert_eq!((disk.usd.to_string(), disk.effective_date), ("76.8".into(), date(2026, 10, 1)));
    assert!(disk.source.contains("(E30 LRS Disk)"), "{}", disk.source);
    // A reservation is no price of a month, a meter of another kind of redundancy none of this one.
    assert!(azure.missing.contains(&("eastus".to_owned(), "disk.p30-lrs.month".to_owned())));
    // What is free up to some amount is not free.
    let free: Vec<_> = gcp.prices.iter().filter(|price| price.usd == Amount::ZERO).collect();
    assert!(free.is_empty(), "{free:?}");
    let standard: Vec<_> =
        row(gcp, "disk.pd-standard.gib-month").into_iter().filter(|p| p.region == "us-east1").collect();
    assert_eq!((standard[0].usd.to_string(), standard[0].tier_from.to_string()), ("0.04".into(), "30".into()));
    // No other region's price stands for one.
    assert!(gcp.missing.contains(&("europe-north1".to_owned(), "disk.pd-standard.gib-month".to_owned())));
    assert!(of_aws(|_, text| same(text), "eu-central-1").unwrap().prices.is_empty());
    assert!(
        of_azure(same, "westeurope")
            .unwrap()
            .prices
            .iter()
            .all(|price| ["nat.hour", "disk.p10-lrs.month"].contains(&price.key.as_str()))
    );
}

#[test]
fn two_prices_for_one_key_are_no_price() {
    let idle = |text: &str| text.replacen("0.0050000000", "0.0060000000", 1);
    let refreshed =
        of_aws(|offer, text| if offer == "AmazonVPC" { idle(text) } else { same(text) }, "us-east-1").unwrap();
    assert!(row(&refreshed, "ipv4.hour").is_empty());
    let [doubt] = &refreshed.doubts[..] else { unreachable!() };
    assert_eq!(doubt.key, "ipv4.hour");
    assert_eq!(doubt.what.matches("AmazonVPC SKU ").count(), 2, "{}", doubt.what);
    assert!(doubt.what.contains("(0.006)") && doubt.what.contains("(0.005)"), "{}", doubt.what);
    // So does another unit than the one that is known.
    let refreshed = of_azure(|page| page.replace("\"1 GB/Month\"", "\"100 GB/Month\""), "eastus").unwrap();
    assert!(refreshed.doubts.iter().any(|doubt| doubt.key == "acr.gb-month" && doubt.what.contains("100 GB/Month")));
    assert!(row(&refreshed, "snapshot.gb-month").is_empty());
    let refreshed =
        of_gcp(|page| page.replace("\"usageUnit\": \"h\"", "\"usageUnit\": \"d\""), &["us-central1"]).unwrap();
    assert_eq!(refreshed.doubts.len(), 2, "{:?}", refreshed.doubts);
}

#[test]
fn pages_lead_to_the_next_and_end() {
    let mut answers = Answers::of(CloudId::Azure, TODAY);
    let next = azure::read("eastus", AZURE[0].as_bytes(), &mut answers).unwrap().unwrap();
    assert!(next.ends_with("$skip=1000") && next.starts_with("api-version="), "{next}");
    assert_eq!(azure::read("eastus", AZURE[1].as_bytes(), &mut answers).unwrap(), None);
    let (mut answers, regions) = (Answers::of(CloudId::Gcp, TODAY), owned(&["us-central1"]));
    let next = gcp::read(gcp::SERVICES[0], &regions, COMPUTE[0].as_bytes(), &mut answers).unwrap();
    assert_eq!(next.as_deref(), Some("ChZuZXh0LXBhZ2Utb2Ytc2t1cw"));
    assert_eq!(gcp::read(gcp::SERVICES[0], &regions, COMPUTE[1].as_bytes(), &mut answers).unwrap(), None);
}

#[test]
fn what_is_not_as_documented_is_refused_and_said() {
    let said = |result: Result<Refreshed, PriceListError>| result.unwrap_err().to_string();
    let ec2 = |edit: fn(&str) -> String| {
        said(of_aws(|offer, text| if offer == "AmazonEC2" { edit(text) } else { same(text) }, "us-east-1"))
    };
    for (edit, words) in [
        (
            (|text: &str| text.replace("\"AmazonEC2\"\n\"SKU\"", "\"AmazonSQS\"\n\"SKU\"")) as fn(&str) -> String,
            "another service's",
        ),
        (|text| text.replacen("v1.0", "v2.0", 1), "its format is `v2.0`"),
        (|text| text.replacen("PricePerUnit", "Price", 1), "no column `priceperunit`"),
        (|text| text.replace("0.0800000000", "eight"), "line 9: `PricePerUnit` is no price: `eight`"),
        (|text| text.replace("0.0800000000", "-0.08"), "`PricePerUnit` is no price"),
        (|text| text.replace("\"USD\"", "\"CNY\""), "its currency is `CNY`, not USD"),
        (|text| text[..text.len() - 60].to_owned(), "is cut"),
        (|text| text.lines().take(4).collect::<Vec<_>>().join("\n"), "ends before its header"),
        (|_| String::new(), "ends before its header"),
        (|_| "<html><body>Service Unavailable</body></html>".to_owned(), "ends before its header"),
    ] {
        let error = ec2(edit);
        assert!(error.starts_with("AmazonEC2 of us-east-1: ") && error.contains(words), "{words}: {error}");
    }
    for (error, words) in [
        (said(of_azure(|page| page[..page.len() - 40].to_owned(), "eastus")), "no page"),
        (said(of_azure(|page| page.replace("\"Count\": ", "\"Count\": 1"), "eastus")), "items"),
        (said(of_azure(|page| page.replace("\"USD\", \"tier", "\"EUR\", \"tier"), "eastus")), "its currency is `EUR`"),
        (
            said(of_azure(|page| page.replace("https://prices.azure.com", "https://example.com"), "eastus")),
            "example.com",
        ),
        (said(of_gcp(|page| page[..page.len() / 2].to_owned(), &["us-central1"])), "no page"),
        (said(of_gcp(|page| page.replace("\"USD\"", "\"EUR\""), &["us-central1"])), "its currency is `EUR`"),
        (said(of_gcp(|page| page.replace("40000000", "-40000000"), &["us-central1"])), "`unitPrice` is no price"),
    ] {
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn a_refreshed_book_is_read_as_it_was_written_and_is_live_for_a_month() {
    let mut book = PriceBook::embedded().unwrap();
    for refreshed in all() {
        book = book.under(refreshed.prices);
    }
    let text = book.to_string();
    let again = PriceBook::parse(&text).unwrap();
    assert!(again.iter().eq(book.iter()));
    assert_eq!(again.to_string(), text);
    for (today, live) in [
        (TODAY, true),
        (date(2026, 12, 26), true),
        (date(2026, 12, 27), false),
        // A clock that was wrong.
        (date(2026, 11, 25), false),
    ] {
        assert_eq!(again.clone().live_on(today).is_live(CloudId::Aws, "us-east-1", "nat.hour"), live, "{today}");
    }
    assert!(!again.is_live(CloudId::Aws, "us-east-1", "nat.hour"));
    assert!(!again.live_on(TODAY).is_live(CloudId::Gcp, "global", "snapshot.archive.gib-month"));
}

fn price(region: &str, key: &str, tier_from: &str, usd: &str) -> Price {
    Price {
        cloud: CloudId::Aws,
        region: region.to_owned(),
        key: key.to_owned(),
        unit: "GB-month".to_owned(),
        usd: Amount::parse(usd).unwrap(),
        tier_from: Amount::parse(tier_from).unwrap(),
        effective_date: TODAY,
        source: "a \"source\"\\ with\nall sorts\u{202e} of letters".to_owned(),
        refreshed: Some(TODAY),
    }
}

#[test]
fn what_lies_over_a_key_replaces_all_of_its_tiers() {
    let book = PriceBook::default().under([
        price("a", "k", "0", "1"),
        price("a", "k", "10", "0.5"),
        price("b", "k", "0", "1"),
    ]);
    let over = book.clone().under([price("a", "k", "30", "2")]);
    let rows: Vec<String> = over.iter().map(|p| format!("{} {} {}", p.region, p.tier_from, p.usd)).collect();
    assert_eq!(rows, ["a 30 2", "b 0 1"]);
    // Twice as much is told, half as much more is not.
    assert_eq!(over.moved(&book).len(), 1);
    assert_eq!(book.clone().under([price("a", "k", "0", "1.5")]).moved(&book).len(), 0);
    assert_eq!(book.clone().under([price("a", "k", "0", "0.49")]).moved(&book).len(), 1);
    assert!(PriceBook::parse(&over.to_string()).unwrap().iter().eq(over.iter()));
}

proptest! {
    /// The order of rows, of pages and of services makes no difference.
    #[test]
    fn the_order_of_answers_does_not_matter(seed in any::<u64>()) {
        let shuffled = |text: &str| {
            let mut lines: Vec<&str> = text.lines().collect();
            let mut state = seed | 1;
            for at in (7..lines.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                lines.swap(at, 6 + (state >> 33) as usize % (at - 5));
            }
            lines.join("\n") + "\n"
        };
        let one = of_aws(|_, text| same(text), "us-east-1").unwrap();
        prop_assert_eq!(of_aws(|_, text| shuffled(text), "us-east-1").unwrap(), one);
    }

    /// An answer that ends anywhere is refused, but for a file that ends with a row.
    #[test]
    fn a_cut_answer_is_no_answer(at in 0.0..1.0_f64) {
        let cut = |text: &str| text[..(text.trim_end().len() as f64 * at) as usize].to_owned();
        let mut answers = Answers::of(CloudId::Azure, TODAY);
        prop_assert!(azure::read("eastus", cut(AZURE[0]).as_bytes(), &mut answers).is_err());
        let mut answers = Answers::of(CloudId::Gcp, TODAY);
        prop_assert!(gcp::read(gcp::SERVICES[0], &owned(&["us-central1"]), cut(COMPUTE[0]).as_bytes(), &mut answers).is_err());
    }
}
