//! A comparison found in pieces is the comparison found at once, to the byte; and pieces that do not belong together are
//! refused by name.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use jiff::civil::{Date, date};
use proptest::prelude::*;
use std::{fmt::Write as _, num::NonZeroUsize};
use sweeper_bill::{
    delta::{Terms, compare, compare_months},
    evidence::{Evidence, Happened, InventoryEvent},
    movement::{By, Compared, Question, daily, explained},
    piece::{Piece, PieceError, Pieces},
    source::Source,
};
use sweeper_core::money::Amount;

const HEADER: &str = "BilledCost,EffectiveCost,ListCost,ContractedCost,PricingQuantity,BillingCurrency,ChargeCategory,ChargeClass,\
                      ChargePeriodStart,ChargePeriodEnd,ServiceName,SubAccountId,RegionId,ResourceId,SkuPriceId,\
                      CommitmentDiscountId,CommitmentDiscountStatus\n";
const ONE: NonZeroUsize = NonZeroUsize::MIN;
const FLOOR: Amount = Amount::from_pico(25_000_000_000_000);

fn today() -> Date {
    date(2026, 10, 20)
}

fn owner(account: &str, resource: &str) -> Option<String> {
    resource.ends_with('1').then(|| format!("team of {account}"))
}

/// A charge, as a line of the file.
fn charge() -> impl Strategy<Value = String> {
    let what = (0_i64..115, prop_oneof![8 => Just(1_i64), 1 => 2_i64..40], 0_i64..10_000_000);
    let whose = (0..3_u8, 0..3_u8, 0..12_u8, 0..3_u8);
    let how = (
        prop_oneof![9 => Just("Usage"), 1 => prop_oneof![Just("Purchase"), Just("Tax"), Just("Credit"), Just("Adjustment")]],
        prop_oneof![20 => Just(""), 1 => Just("Correction")],
        prop_oneof![3 => Just(("", "")), 1 => Just(("sp-1", "Used")), 1 => Just(("sp-2", "Unused"))],
        prop_oneof![40 => Just(""), 1 => Just("NaN"), 1 => Just("0")],
    );
    (what, whose, how).prop_map(|((ago, days, micros), (service, account, resource, sku), (category, class, plan, odd))| {
        let day = today().checked_sub(jiff::Span::new().days(ago)).unwrap();
        let end = day.checked_add(jiff::Span::new().days(days)).unwrap();
        let cost = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        let odd = if odd.is_empty() { &cost } else { odd };
        format!(
            "{cost},{cost},{odd},{cost},{micros},USD,{category},{class},{day},{end},S{service},{account},r{account},i-{resource},k{sku},{},{}",
            plan.0, plan.1
        )
    })
}

fn file(name: &str, lines: &[String]) -> Source {
    let mut text = HEADER.to_owned();
    for line in lines {
        writeln!(text, "{line}").unwrap();
    }
    Source::memory(name, text.into_bytes())
}

/// Twenty equal rows a day, which make it a loaded one.
fn steady() -> Vec<String> {
    let days = (0..115).map(|ago| today().checked_sub(jiff::Span::new().days(ago)).unwrap());
    let row = |day: Date, at| format!("2,2,3,2.5,10,USD,Usage,,{day},{},S0,0,r0,i-{at},k0,,", day.tomorrow().unwrap());
    days.flat_map(|day| (0..20).map(move |at| row(day, at % 4))).collect()
}

/// Written down and read back, as it travels between machines.
fn sent(piece: &Piece) -> Piece {
    let mut text = Vec::new();
    piece.write(&mut text).unwrap();
    Piece::read("sent", text.as_slice()).unwrap()
}

fn evidence() -> Evidence {
    let event = |resource: &str| InventoryEvent {
        resource: resource.to_owned(),
        account: None,
        what: Happened::Made,
        day: date(2026, 10, 12),
        source: "survey".to_owned(),
    };
    Evidence { events: vec![event("i-2"), event("i-7")], ..Evidence::default() }
}

fn question(by: By, compared: Compared) -> Question {
    Question::new(by, compared, &Terms::new(today()))
}

fn merged(pieces: Vec<Piece>) -> Pieces {
    let mut all = Pieces::default();
    for (at, piece) in pieces.into_iter().enumerate() {
        all.add(&format!("{at}.partial"), piece).unwrap();
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_in_pieces_is_what_is_found_at_once(
        charges in prop::collection::vec((charge(), 0..4_usize), 0..200),
        by in prop_oneof![Just(By::Service), Just(By::Account), Just(By::Region), Just(By::Resource), Just(By::Owner)],
        compared in prop_oneof![Just(Compared::Week), Just(Compared::Month)],
        order in Just((0..5_usize).collect::<Vec<_>>()).prop_shuffle(),
        cut in 1..5_usize,
    ) {
        let mut files = vec![file("steady.csv", &steady())];
        for number in 0..4 {
            let own: Vec<String> =
                charges.iter().filter(|(_, place)| *place == number).map(|(line, _)| line.clone()).collect();
            files.push(file(&format!("{number}.csv"), &own));
        }
        let (question, terms) = (question(by, compared), Terms::new(today()));
        let bill = daily(files.clone(), (by, &owner), compared, &terms, ONE).unwrap();
        let story = explained(files.clone(), &bill, compared, &terms, evidence(), ONE).unwrap();
        let comparison = if compared == Compared::Week { compare } else { compare_months };
        let direct = serde_json::to_string(&(comparison(&bill, &terms), &story)).unwrap();

        // Two tasks, one of which has several files, in any order; and merged in two steps.
        let shuffled: Vec<Source> = order.iter().map(|at| files[*at].clone()).collect();
        let (left, right) = shuffled.split_at(cut);
        let of = |part: &[Source]| sent(&Piece::of_days(part.to_vec(), question, ONE).unwrap());
        let first = merged(vec![of(right), of(left)]);
        let first = merged(vec![sent(first.days().unwrap())]);
        let again = |part: &[Source]| Some(sent(&Piece::of_reasons(part.to_vec(), &first, ONE).unwrap()?));
        let mut pieces = vec![of(left), of(right)];
        pieces.extend(again(left));
        pieces.extend(again(right));
        let all = merged(pieces);
        let found = all.bill(&owner).unwrap();
        let told = all.story(&found, FLOOR, evidence()).unwrap();
        prop_assert!(told.is_some());
        prop_assert_eq!(&found, &bill);
        prop_assert_eq!(serde_json::to_string(&(comparison(&found, &terms), &told)).unwrap(), direct);

        // However it was merged, it is written down the same way.
        let text = |pieces: &Pieces| {
            let mut text = Vec::new();
            pieces.days().unwrap().write(&mut text).unwrap();
            text
        };
        let each: Vec<Piece> = files.iter().map(|file| of(std::slice::from_ref(file))).collect();
        prop_assert_eq!(text(&merged(each)), text(&first));
    }
}

#[test]
fn pieces_of_different_questions_are_refused_by_name() {
    let files = vec![file("a.csv", &steady())];
    let asked = question(By::Service, Compared::Week);
    let other = file("b.csv", &steady()[1..]);
    let refused = |question: Question| {
        let mut pieces = Pieces::default();
        pieces.add("a.partial", Piece::of_days(files.clone(), asked, ONE).unwrap()).unwrap();
        pieces.add("b.partial", Piece::of_days(vec![other.clone()], question, ONE).unwrap()).unwrap_err().to_string()
    };
    for (question, said) in [
        (Question { today: date(2026, 10, 21), ..asked }, "the day of its run is 2026-10-21, not 2026-10-20"),
        (Question { by: By::Account, ..asked }, "it is by account, not by service"),
        (Question { compared: Compared::Month, ..asked }, "it compares a month, not a week"),
        (Question { lag_days: 3, ..asked }, "its lag is 3 days, not 2"),
    ] {
        let text = refused(question);
        assert!(text.starts_with("b.partial: ") && text.contains("a.partial") && text.contains(said), "{text}");
    }
    let euro = file("e.csv", &[steady()[0].replace("USD", "EUR")]);
    let mut pieces = merged(vec![Piece::of_days(files, asked, ONE).unwrap()]);
    let text = pieces.add("e.partial", Piece::of_days(vec![euro], asked, ONE).unwrap()).unwrap_err().to_string();
    assert!(text.starts_with("e.partial: ") && text.contains("EUR") && text.contains("USD"), "{text}");
}

#[test]
fn a_file_counts_once_whatever_it_is_called() {
    let asked = question(By::Service, Compared::Week);
    let piece = |names: &[&str]| Piece::of_days(names.iter().map(|name| file(name, &steady())).collect(), asked, ONE);
    assert!(matches!(piece(&["a.csv", "b.csv"]), Err(PieceError::Twice { .. })));
    let mut pieces = merged(vec![piece(&["a.csv"]).unwrap()]);
    let text = pieces.add("b.partial", sent(&piece(&["copy of a.csv"]).unwrap())).unwrap_err().to_string();
    assert_eq!(text, "b.partial: copy of a.csv is in 0.partial as well; its charges would be counted twice");
    // Files without a charge are the same and count for nothing.
    let empty = |name| Piece::of_days(vec![file(name, &[])], asked, ONE).unwrap();
    let pieces = merged(vec![piece(&["a.csv"]).unwrap(), empty("1.csv"), sent(&empty("2.csv"))]);
    assert_eq!(pieces.days().unwrap().files(), 3);
}

#[test]
fn a_second_round_is_of_the_same_files_and_days() {
    let asked = question(By::Service, Compared::Week);
    let (a, b) = (file("a.csv", &steady()), file("b.csv", &steady()[..40]));
    let days = |source: &Source| Piece::of_days(vec![source.clone()], asked, ONE).unwrap();
    let first = merged(vec![days(&a), days(&b)]);
    let why = |source: &Source, first: &Pieces| Piece::of_reasons(vec![source.clone()], first, ONE);
    let bill = first.bill(&owner).unwrap();
    let story = |pieces: Vec<Piece>| merged(pieces).story(&bill, FLOOR, Evidence::default());
    assert!(
        story(vec![days(&a), days(&b), why(&a, &first).unwrap().unwrap(), why(&b, &first).unwrap().unwrap()]).is_ok()
    );
    let text = story(vec![days(&a), days(&b), why(&a, &first).unwrap().unwrap()]).unwrap_err().to_string();
    assert_eq!(text, "b.csv: no partial says why its charges moved");
    let text = why(&file("c.csv", &steady()[..41]), &first).unwrap_err().to_string();
    assert_eq!(text, "c.csv: it is in no partial of the first round, or was changed since");
    let mut only = Pieces::default();
    only.add("why.partial", why(&a, &first).unwrap().unwrap()).unwrap();
    assert!(matches!(only.bill(&owner), Err(PieceError::NoDays(name)) if name == "why.partial"));
    assert!(matches!(Pieces::default().bill(&owner), Err(PieceError::Nothing)));
    // Made from one file's days alone, where the newest are missing, it is of another week.
    let old: Vec<String> = steady().into_iter().skip(20 * 8).collect();
    let (old, new) = (file("old.csv", &old), file("new.csv", &steady()[..20 * 8]));
    let alone = merged(vec![days(&old)]);
    let both = merged(vec![days(&old), days(&new)]);
    let mut pieces = merged(vec![days(&old), days(&new)]);
    pieces.add("old.why", why(&old, &alone).unwrap().unwrap()).unwrap();
    let text = pieces.add("new.why", why(&new, &both).unwrap().unwrap()).unwrap_err().to_string();
    assert!(text.starts_with("new.why: it explains other days"), "{text}");
}

#[test]
fn a_piece_that_is_cut_or_foreign_is_refused_and_named() {
    let asked = question(By::Service, Compared::Week);
    let mut text = Vec::new();
    let first = merged(vec![Piece::of_days(vec![file("a.csv", &steady())], asked, ONE).unwrap()]);
    Piece::of_reasons(vec![file("a.csv", &steady())], &first, ONE).unwrap().unwrap().write(&mut text).unwrap();
    for end in (0..text.len()).step_by(97).chain([text.len() - 1]) {
        let error = Piece::read("cut.partial", &text[..end]).unwrap_err().to_string();
        assert!(error.starts_with("cut.partial: "), "{end}: {error}");
    }
    let longer = [&text[..], b"more\n"].concat();
    assert!(Piece::read("x", longer.as_slice()).unwrap_err().to_string().contains("something follows"));
    let other = String::from_utf8(text.clone()).unwrap().replacen("bill-piece/1", "bill-piece/9", 1);
    assert!(Piece::read("x", other.as_bytes()).unwrap_err().to_string().contains("sweeper.bill-piece/9"));
    text.clear();
    first.days().unwrap().write(&mut text).unwrap();
    let other = String::from_utf8(text).unwrap().replacen("2026-10-20", "2026-10-19", 1);
    assert!(Piece::read("x", other.as_bytes()).unwrap_err().to_string().contains("not those of its question"));
    assert!(Piece::read("x", HEADER.as_bytes()).unwrap_err().to_string().contains("no partial of a comparison"));
}
