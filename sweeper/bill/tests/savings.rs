//! What deeds saved, by bills that are written here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use jiff::civil::Date;
use std::{fmt::Write as _, num::NonZeroUsize};
use sweeper_bill::{
    expected::Terms,
    savings::{Deed, Saved, Savings, Sum, savings},
    source::Source,
};
use sweeper_core::money::Amount;

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// 40 days until 2026-11-17 of resources in dollars a day, from and until a day.
fn bill(charges: &[(&str, &str, &str, &str)]) -> Vec<Source> {
    let mut text = "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargeClass,ChargePeriodStart,\
                    ChargePeriodEnd,ServiceName,SubAccountId,ResourceId,BillingAccountId,ProviderName\n"
        .to_owned();
    for now in day("2026-10-09").series(jiff::Span::new().days(1)).take(40) {
        let end = now.tomorrow().unwrap();
        // Enough that a day is no thin one without a few.
        let others = [("vol-other", "5", "2026-01-01", "2027-01-01"); 20];
        for (resource, cost, from, until) in charges.iter().chain(&others) {
            if day(from) <= now && now < day(until) {
                writeln!(text, "{cost},{cost},USD,Usage,,{now},{end},Disks,1,{resource},1,AWS").unwrap();
            }
        }
    }
    vec![Source::memory("bill.csv", text.into_bytes())]
}

fn deed(resource: &str, copy: Option<&str>, undone: Option<&str>) -> Deed {
    Deed {
        id: "0123456789ab-1".to_owned(),
        owner: Some("search".to_owned()),
        policy: "disks".to_owned(),
        account: "1".to_owned(),
        resource: resource.to_owned(),
        copy: copy.map(str::to_owned),
        day: day("2026-11-07"),
        undone: undone.map(day),
        promised: Some(Amount::whole(73)),
    }
}

fn told(charges: &[(&str, &str, &str, &str)], deeds: &[Deed]) -> Savings {
    savings(bill(charges), deeds, &Terms::new(day("2026-11-20")), NonZeroUsize::MIN).unwrap()
}

fn one(charges: &[(&str, &str, &str, &str)], deed: Deed) -> Saved {
    told(charges, &[deed]).saved.remove(0)
}

const START: &str = "2026-10-01";
const END: &str = "2026-11-07";

#[test]
fn what_went_is_saved_less_what_is_kept() {
    // Ten days since, of two dollars a day less ten cents for the copy; promised 2.40 a day.
    let charges = [("arn:aws:ec2:r:1:volume/vol-1", "2", START, END), ("snap-1", "0.1", END, "2027-01-01")];
    let saved = one(&charges, deed("vol-1", Some("snap-1"), None));
    assert_eq!((saved.days, saved.promised, saved.realised), (10, Some(Amount::whole(24)), Some(Amount::whole(19))));
    let without = one(&charges, deed("vol-1", None, None));
    assert_eq!(without.realised, Some(Amount::whole(20)));
}

#[test]
fn what_is_still_charged_is_not_saved() {
    let stays = one(&[("vol-1", "2", START, "2027-01-01")], deed("vol-1", None, None));
    assert_eq!(stays.realised, Some(Amount::ZERO));
    // Taken back after three days: only these count.
    let back = [("vol-1", "2", START, END), ("vol-1", "2", "2026-11-11", "2027-01-01")];
    let saved = one(&back, deed("vol-1", None, Some("2026-11-11")));
    assert_eq!((saved.days, saved.realised), (3, Some(Amount::whole(6))));
}

#[test]
fn what_the_bill_does_not_speak_of_is_unknown() {
    let silent = one(&[], deed("vol-1", None, None));
    assert_eq!((silent.promised, silent.realised), (Some(Amount::whole(24)), None));
    let today = Deed { day: day("2026-11-19"), ..deed("vol-1", None, None) };
    let fresh = one(&[("vol-1", "2", START, "2027-01-01")], today);
    assert_eq!((fresh.days, fresh.realised), (0, None), "no mature day since");
    let old =
        savings(bill(&[]), &[deed("vol-1", None, None)], &Terms::new(day("2026-12-24")), NonZeroUsize::MIN).unwrap();
    assert_eq!((old.until, old.saved[0].realised), (None, None), "an old bill says nothing");
    let mut sum = Sum::default();
    let charges = [("vol-1", "2", START, END)];
    for saved in &told(&charges, &[deed("vol-1", None, None), deed("vol-9", None, None)]).saved {
        sum.add(saved);
    }
    assert_eq!((sum.deeds, sum.promised, sum.realised), (2, Amount::whole(48), Amount::whole(20)));
    assert_eq!((sum.unknown_deeds, sum.unknown), (1, Amount::whole(24)));
}
