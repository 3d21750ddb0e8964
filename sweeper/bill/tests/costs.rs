//! What single resources cost, by the bill.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fmt::Write as _, num::NonZeroUsize};
use sweeper_bill::{
    cache::Files,
    costs::Charged,
    expected::Terms,
    rates::{self, Rate, Rates},
    source::Source,
};
use sweeper_core::{
    costs::Billed as _,
    facts::{Disk, DiskState},
    intern::Sym,
    inventory::{Draft, Inventory, InventoryBuilder},
    kind::{KindSpec, Places},
    model::{Class, CloudId, Scope, Timestamp},
};

const fn kind(id: &'static str, cloud: CloudId) -> KindSpec {
    KindSpec {
        id,
        cloud,
        class: Class::Disk,
        title: id,
        places: Places::Regions,
        reads: &[],
        asks: &[],
        refers: &[],
        needs: &[],
        out_of_sight: &[],
        advised: "",
        report_only: "",
        acts: &[],
    }
}

static VOLUME: KindSpec = kind("aws.ec2-volume", CloudId::Aws);
static DISK: KindSpec = kind("azure.disk", CloudId::Azure);
static OTHER: KindSpec = kind("gcp.disk", CloudId::Gcp);

const ARM: &str = "/subscriptions/a2/resourceGroups/Shop/providers/Microsoft.Compute/disks/Data";

fn disk() -> Disk {
    Disk {
        state: DiskState::Available,
        size_gib: 30,
        tier: Sym::NONE,
        iops: None,
        throughput: None,
        source_snapshot: Sym::NONE,
        attachments: 0,
        last_attached: None,
    }
}

fn inventory(resources: &[(&'static KindSpec, &str, &str, &str)]) -> Inventory {
    let mut builder = InventoryBuilder::new(&[&VOLUME, &DISK, &OTHER]);
    for (spec, account, native, created) in resources {
        let scope = Scope::new(spec.cloud, *account, "eu-west-1");
        let mut listing = builder.listing(spec, &scope);
        listing.push(Draft { created: Timestamp::parse(created), ..Draft::new(native, disk()) });
        builder.complete(listing, 1);
    }
    builder.build()
}

/// 40 days until 2026-11-17 of account, resource, commitment and dollars a day.
fn bill(charges: &[(&str, &str, &str, &str)]) -> Vec<Source> {
    vec![Source::memory("bill.csv", text(charges))]
}

fn text(charges: &[(&str, &str, &str, &str)]) -> Vec<u8> {
    let mut text = "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargeClass,ChargePeriodStart,\
                    ChargePeriodEnd,ServiceName,SubAccountId,ResourceId,CommitmentDiscountId\n"
        .to_owned();
    let first: jiff::civil::Date = "2026-10-09".parse().unwrap();
    for day in first.series(jiff::Span::new().days(1)).take(40) {
        let end = day.tomorrow().unwrap();
        for (account, resource, commitment, cost) in charges {
            writeln!(text, "{cost},{cost},USD,Usage,,{day},{end},Disks,{account},{resource},{commitment}").unwrap();
        }
    }
    text.into_bytes()
}

/// A month of the first resource, as a decimal.
fn month(charges: &[(&str, &str, &str, &str)], resources: &[(&'static KindSpec, &str, &str, &str)]) -> Option<String> {
    let terms = Terms::new("2026-11-20".parse().unwrap());
    let charged = Charged::read(bill(charges), &terms, NonZeroUsize::MIN).unwrap().unwrap();
    let inventory = inventory(resources);
    let cost = charged.monthly(inventory.resources().next().unwrap())?;
    assert_eq!((cost.currency.as_str(), cost.basis.name()), ("USD", "effective"));
    cost.amount.map(|amount| amount.to_string())
}

const OLD: &str = "2025-01-01T00:00:00Z";

#[test]
fn a_resource_is_found_by_its_id_its_arn_and_in_any_case() {
    let vol = [(&VOLUME, "111122223333", "vol-1", OLD)];
    let arn = "arn:aws:ec2:eu-west-1:111122223333:volume/vol-1";
    assert_eq!(month(&[("111122223333", "vol-1", "", "2.4")], &vol).as_deref(), Some("73"));
    assert_eq!(month(&[("111122223333", arn, "", "2.4")], &vol).as_deref(), Some("73"));
    let lower = ARM.to_lowercase();
    for account in ["a2", "/subscriptions/A2"] {
        assert_eq!(month(&[(account, &lower, "", "2.4")], &[(&DISK, "A2", ARM, OLD)]).as_deref(), Some("73"));
    }
    assert_eq!(month(&[("111122223333", "vol-2", "", "2.4")], &vol), None, "the bill is silent");
    assert_eq!(month(&[("999999999999", "vol-1", "", "2.4")], &vol), None, "another account's");
}

#[test]
fn what_cannot_be_told_apart_has_no_cost_of_its_own() {
    let path = |kind: &str| format!("//compute.googleapis.com/projects/shop/zones/z/{kind}/data");
    let (disk, machine) = (path("disks"), path("instances"));
    let two = [("shop", disk.as_str(), "", "2.4"), ("shop", machine.as_str(), "", "9")];
    assert_eq!(month(&two, &[(&OTHER, "shop", "data", OLD)]), None, "two ids of the bill end alike");
    let named = [(&OTHER, "shop", "data", OLD), (&DISK, "shop", "Data", OLD)];
    assert_eq!(month(&two[..1], &named), None, "two resources are called alike");
    assert_eq!(month(&two[..1], &named[..1]).as_deref(), Some("73"));
}

#[test]
fn what_a_commitment_pays_is_no_saving() {
    let vol = [(&VOLUME, "111122223333", "vol-1", OLD)];
    let charges = [("111122223333", "vol-1", "plan-1", "5"), ("111122223333", "vol-1", "", "2.4")];
    assert_eq!(month(&charges, &vol).as_deref(), Some("73"));
    assert_eq!(month(&charges[..1], &vol).as_deref(), Some("0"));
}

#[test]
fn a_young_resource_is_not_spread_over_days_it_was_not_there() {
    let charges = [("111122223333", "vol-1", "", "2.4")];
    // There since the 14th: charged from then on, in part on that day.
    let young = |created: &'static str| month(&charges, &[(&VOLUME, "111122223333", "vol-1", created)]);
    let seven_days = sweeper_core::money::Amount::parse("16.8").unwrap();
    assert_eq!(young("2026-11-14T10:00:00Z"), Some(seven_days.scaled(730, 3 * 24).to_string()));
    assert_eq!(young("2026-11-17T10:00:00Z"), None, "no whole day yet");
}

#[test]
fn a_bill_in_another_currency_is_converted_where_a_rate_says_how() {
    let charges = [("111122223333", "vol-1", "", "2.4")];
    let euros = || {
        let text = String::from_utf8(text(&charges)).unwrap().replace("USD", "EUR");
        Files::from(vec![Source::memory("bill.csv", text.into_bytes())])
    };
    let terms = Terms::new("2026-11-20".parse().unwrap());
    let inventory = inventory(&[(&VOLUME, "111122223333", "vol-1", OLD)]);
    let cost = |files: Files| {
        let charged = Charged::read(files, &terms, NonZeroUsize::MIN).unwrap().unwrap();
        let cost = charged.monthly(inventory.resources().next().unwrap()).unwrap();
        (cost.amount.unwrap().to_string(), cost.currency, rates::said(charged.rates()))
    };
    assert_eq!(cost(euros()), ("73".to_owned(), "EUR".to_owned(), String::new()));
    let rate = |on: &str, rate: &str| Rate {
        from: "EUR".to_owned(),
        on: on.parse().unwrap(),
        rate: sweeper_core::money::Amount::parse(rate).unwrap(),
    };
    let rates = Rates::new("USD", vec![rate("2026-10-01", "1.1"), rate("2026-11-01", "1.5")]);
    let converted = ("109.5".to_owned(), "USD".to_owned(), "EUR at 1.5 of 2026-11-01".to_owned());
    assert_eq!(cost(euros().at(rates)), converted);
}

#[test]
fn an_old_bill_says_nothing_of_today() {
    let terms = Terms::new("2026-12-24".parse().unwrap());
    assert!(Charged::read(bill(&[("1", "vol-1", "", "2.4")]), &terms, NonZeroUsize::MIN).unwrap().is_none());
    let broken = vec![Source::memory("broken.csv", b"Cost\n1\n".to_vec())];
    let error = Charged::read(broken, &terms, NonZeroUsize::MIN).err().unwrap().to_string();
    assert!(error.contains("broken.csv"), "{error}");
}
