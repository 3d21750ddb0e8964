//! Two looks at small worlds, and what is said to have changed between them.

use super::*;
use crate::{
    answers::Answers,
    calls::Journal,
    costs::CostSheet,
    engine::{self, Outcome},
    facts::{Disk, DiskState, FactsRef},
    house::House,
    inventory::{Draft, InventoryBuilder, Tags},
    ledger::LedgerSlice,
    policy::{Known, PolicySet, Source, load},
    store::MemoryStore,
    survey::Survey,
    survey_file::{RunCost, Sealed},
    testing::{DISK, KINDS, NOW, ago},
};

const UNATTACHED: &str = "[[policy]]\nname = \"unattached\"\nsweep = \"unattached-disk\"\n";
const BIG: &str = "[[policy]]\nname = \"big\"\nclass = \"disk\"\nwhen = 'size_gib >= 500'\n";
const EXCEPT: &str = "[[except]]\nresource = \"aws.test-disk:*/vol-1\"\nreason = \"x\"\nuntil = 2030-01-01\n";

fn set(text: &str) -> PolicySet {
    load(&[Source { path: "p.toml".to_owned(), text: text.to_owned() }], &Known { kinds: KINDS }).set.unwrap()
}

/// A disk that no machine has: its id, GiB at a dollar each, owner.
#[derive(Clone)]
struct Orphan {
    id: &'static str,
    region: &'static str,
    gib: u32,
    owner: &'static str,
    attached: bool,
    created: Timestamp,
    uid: &'static str,
}

fn orphan(id: &'static str, gib: u32) -> Orphan {
    Orphan { id, region: "eu-west-1", gib, owner: "alice", attached: false, created: ago(400), uid: "" }
}

/// One look at two regions, of which some could not be seen.
struct Look {
    set: PolicySet,
    outcome: Outcome,
}

fn look(policies: &str, orphans: &[Orphan], blind: &[&str], at: Timestamp) -> Look {
    let mut builder = InventoryBuilder::new(KINDS);
    for region in ["eu-west-1", "us-east-1"] {
        let scope = Scope::new(CloudId::Aws, "111111111111", region);
        if blind.contains(&region) {
            builder.mark(&DISK, &scope, Status::Blind { why: "denied ec2:DescribeVolumes".to_owned() }, 1);
            continue;
        }
        let mut listing = builder.listing(&DISK, &scope);
        for orphan in orphans.iter().filter(|orphan| orphan.region == region) {
            let disk = Disk {
                state: if orphan.attached { DiskState::Attached } else { DiskState::Available },
                size_gib: orphan.gib,
                tier: listing.sym("gp3"),
                iops: None,
                throughput: None,
                source_snapshot: listing.sym(""),
                attachments: u16::from(orphan.attached),
                last_attached: None,
            };
            let tags = if orphan.owner.is_empty() { Tags::Unread } else { Tags::Read(vec![("owner", orphan.owner)]) };
            let created = Some(orphan.created);
            listing.push(Draft { tags, created, uid: orphan.uid, ..Draft::new(orphan.id, disk) });
        }
        builder.complete(listing, 1);
    }
    let inventory = builder.build();
    let costs = CostSheet::of(&inventory, |resource| match resource.facts() {
        FactsRef::Disk(disk) if disk.size_gib > 0 => Cost::list(Amount::whole(i64::from(disk.size_gib))),
        _ => Cost::unknown(),
    });
    let survey = Survey {
        inventory,
        answers: Answers::default(),
        accounts: Vec::new(),
        started: at,
        taken_at: at,
        journal: Journal::new(),
    };
    let sealed = Sealed {
        survey,
        finished: at,
        whole: BTreeSet::new(),
        house: House::default(),
        waivers: Vec::new(),
        costs,
        ledger: LedgerSlice::default(),
        cost: RunCost::default(),
    };
    let set = set(policies);
    Look { outcome: engine::judge(sealed, &set, None, KINDS), set }
}

impl Look {
    fn report(&self) -> Report<'_> {
        Report::new(self.outcome.parts(&self.set), "run".to_owned(), "test")
    }

    fn since(&self, then: &Then) -> Since {
        Since::of(&self.report(), then, "last")
    }
}

/// A look a day before [`NOW`], and what is kept of it.
fn then(policies: &str, orphans: &[Orphan], blind: &[&str]) -> Then {
    Then::of(&look(policies, orphans, blind, ago(1)).report(), ROWS)
}

fn now(policies: &str, orphans: &[Orphan], blind: &[&str]) -> Look {
    look(policies, orphans, blind, NOW)
}

fn said(changes: &[Change]) -> Vec<(&str, &str, &str)> {
    changes
        .iter()
        .map(|change| (change.policy.as_str(), change.native_id.as_str(), change.why.map_or("", Why::name)))
        .collect()
}

fn whole(sum: &Sum) -> (u64, Amount) {
    (sum.resources, sum.firm)
}

#[test]
fn nothing_changed_is_nothing() {
    let orphans = [orphan("vol-1", 8), orphan("vol-2", 600)];
    let policies = format!("{UNATTACHED}{BIG}");
    let since = now(&policies, &orphans, &[]).since(&then(&policies, &orphans, &[]));
    assert!(since.is_empty(), "{since:?}");
    assert_eq!((since.same_policies, since.sums), (Some(true), Sums::default()));
}

#[test]
fn new_gone_and_changed_with_their_money() {
    let before = [orphan("vol-1", 8), orphan("vol-2", 20), orphan("vol-3", 30), orphan("vol-4", 40)];
    let after = [
        orphan("vol-0", 5),
        Orphan { created: ago(0).plus(-60), ..orphan("vol-9", 7) },
        orphan("vol-1", 10),
        Orphan { owner: "bob", ..orphan("vol-2", 20) },
        Orphan { attached: true, ..orphan("vol-3", 30) },
    ];
    let since = now(UNATTACHED, &after, &[]).since(&then(UNATTACHED, &before, &[]));
    assert_eq!(said(&since.new), [("unattached", "vol-0", "found"), ("unattached", "vol-9", "made")]);
    assert_eq!(said(&since.gone), [("unattached", "vol-3", "clean"), ("unattached", "vol-4", "not-there")]);
    let changed: Vec<_> = since.changed.iter().map(|change| (change.what.as_slice(), change.says.as_str())).collect();
    assert_eq!(
        changed,
        [(&[What::Cost][..], "cost: 8.00 USD to 10.00 USD"), (&[What::Owner][..], "owner: alice to bob"),]
    );
    let sums = &since.sums;
    assert_eq!((whole(&sums.new), whole(&sums.gone)), ((2, Amount::whole(12)), (2, Amount::whole(70))));
    assert_eq!((sums.changed.firm, sums.net.firm), (Amount::whole(2), Amount::whole(-56)));
    assert_eq!(sums.unknown, Sum::default());
}

#[test]
fn a_decision_is_its_sort_and_a_cent_is_no_change() {
    let orphans = [orphan("vol-1", 8)];
    let excepted = format!("{UNATTACHED}{EXCEPT}");
    let since = now(&excepted, &orphans, &[]).since(&then(UNATTACHED, &orphans, &[]));
    assert_eq!(since.changed[0].says, "decision: report to excepted");
    assert_eq!((since.same_policies, since.sums.net), (Some(false), Moved::default()));
    let row =
        |amount: &str| MonthlyCost { amount: Amount::parse(amount), currency: "USD".to_owned(), basis: Basis::List };
    for (then, now, differ) in [("8", "8.01", false), ("8", "8.0101", true), ("8.01", "8", false), ("", "8", true)] {
        assert_eq!(costs_differ(&Cost::from(&row(now)), &row(then)), differ, "{then} {now}");
    }
    assert!(!costs_differ(&Cost::unknown(), &row("")));
    // The days that something waits are no change.
    assert_eq!(
        sort_of("hold", "3 of 14 days, eligible 2026-12-04"),
        sort_of("hold", "4 of 14 days, eligible 2026-12-04")
    );
}

#[test]
fn a_failed_read_is_never_gone() {
    let there = [orphan("vol-1", 8), Orphan { region: "us-east-1", ..orphan("vol-2", 20) }];
    let since = now(UNATTACHED, &there, &["us-east-1"]).since(&then(UNATTACHED, &there, &[]));
    assert_eq!(said(&since.gone), [("unattached", "vol-2", "not-seen")]);
    assert!(since.gone[0].says.contains("denied ec2:DescribeVolumes"), "{}", since.gone[0].says);
    assert_eq!((since.sums.net, whole(&since.sums.gone)), (Moved::default(), (0, Amount::ZERO)));
    assert_eq!(whole(&since.sums.unknown), (1, Amount::whole(20)));
    // And what could not be seen before is not known to be new.
    let since = now(UNATTACHED, &there, &[]).since(&then(UNATTACHED, &there, &["us-east-1"]));
    assert_eq!(said(&since.new), [("unattached", "vol-2", "not-seen-then")]);
    assert_eq!((since.sums.net, whole(&since.sums.unknown)), (Moved::default(), (1, Amount::whole(20))));
}

#[test]
fn tags_that_cannot_be_read_change_no_owner() {
    let unread = [Orphan { owner: "", ..orphan("vol-1", 8) }];
    for (before, after) in [(&[orphan("vol-1", 8)], &unread), (&unread, &[orphan("vol-1", 8)])] {
        // Nobody knows either whether a tag protects it.
        let since = now(UNATTACHED, after, &[]).since(&then(UNATTACHED, before, &[]));
        assert_eq!(since.changed.iter().map(|change| change.what.clone()).collect::<Vec<_>>(), [[What::Decision]]);
    }
}

#[test]
fn a_verdict_that_is_not_known_moves_no_money() {
    let tagged = "[[policy]]\nname = \"alices\"\nclass = \"disk\"\nwhen = 'tag(\"owner\") == \"alice\"'\n";
    let (read, unread) = ([orphan("vol-1", 8)], [Orphan { owner: "", ..orphan("vol-1", 8) }]);
    for (before, after) in [(&read, &unread), (&unread, &read)] {
        let since = now(tagged, after, &[]).since(&then(tagged, before, &[]));
        assert!(since.changed[0].what.contains(&What::Verdict), "{since:?}");
        assert_eq!((since.sums.net, whole(&since.sums.unknown)), (Moved::default(), (1, Amount::whole(8))));
    }
    // Neither is what was never found.
    assert!(now(tagged, &unread, &[]).since(&then(tagged, &[], &[])).is_empty());
    assert!(now(tagged, &[], &[]).since(&then(tagged, &unread, &[])).is_empty());
}

#[test]
fn policies_come_and_go_and_a_resource_counts_once() {
    let orphans = [orphan("vol-1", 600)];
    let both = format!("{UNATTACHED}{BIG}");
    let since = now(&both, &orphans, &[]).since(&then(UNATTACHED, &orphans, &[]));
    assert_eq!(said(&since.new), [("big", "vol-1", "policy-new")]);
    assert_eq!((since.same_policies, &since.sums), (Some(false), &Sums::default()), "it was wasted before");
    let since = now(UNATTACHED, &orphans, &[]).since(&then(&both, &orphans, &[]));
    assert_eq!(said(&since.gone), [("big", "vol-1", "policy-gone")]);
    assert_eq!(since.sums, Sums::default());
    let narrow = format!("{BIG}{UNATTACHED}regions = [\"us-east-1\"]\n");
    let since = now(&narrow, &orphans, &[]).since(&then(&both, &orphans, &[]));
    assert_eq!(said(&since.gone), [("unattached", "vol-1", "not-covered")]);
}

#[test]
fn a_name_that_was_made_anew_is_another() {
    let (old, new) = (Orphan { uid: "u-1", ..orphan("data", 8) }, Orphan { uid: "u-2", ..orphan("data", 8) });
    let since = now(UNATTACHED, &[new], &[]).since(&then(UNATTACHED, &[old], &[]));
    assert_eq!((said(&since.new).len(), said(&since.gone)), (1, vec![("unattached", "data", "not-there")]));
    assert!(since.gone[0].says.contains("another has its name"));
    assert_eq!(since.sums.net, Moved::default());
}

#[test]
fn the_last_report_is_remembered_and_what_it_did_not_see_is_carried() {
    let store = MemoryStore::new();
    assert_eq!(last(&store), Ok(None));
    let there = [orphan("vol-1", 8), Orphan { region: "us-east-1", ..orphan("vol-2", 20) }];
    remember(&store, &look(UNATTACHED, &there, &[], ago(9)).report()).unwrap();
    assert!(now(UNATTACHED, &there, &[]).since(&last(&store).unwrap().unwrap()).is_empty());
    // A week in which one region cannot be read: known to every run, and back as it was.
    for days in [8, 7] {
        let blind = look(UNATTACHED, &there, &["us-east-1"], ago(days));
        let since = blind.since(&last(&store).unwrap().unwrap());
        assert_eq!((said(&since.gone).len(), since.gone[0].why), (1, Some(Why::NotSeen)));
        remember(&store, &blind.report()).unwrap();
    }
    assert!(now(UNATTACHED, &there, &[]).since(&last(&store).unwrap().unwrap()).is_empty());
    let gone = now(UNATTACHED, &there[..1], &[]).since(&last(&store).unwrap().unwrap());
    assert_eq!((said(&gone.gone)[0].2, gone.sums.net.firm), ("not-there", Amount::whole(-20)));
    // Not for ever.
    remember(&store, &look(UNATTACHED, &there, &["us-east-1"], ago(9).plus(CARRIED)).report()).unwrap();
    let late = look(UNATTACHED, &there, &[], ago(9).plus(CARRIED + DAY));
    assert_eq!(said(&late.since(&last(&store).unwrap().unwrap()).new)[0].2, "not-seen-then");
}

#[test]
fn only_the_dearest_rows_are_kept_and_the_rest_is_not_called_new() {
    let orphans: Vec<Orphan> = [("vol-1", 50), ("vol-2", 40), ("vol-3", 30), ("vol-4", 20), ("vol-5", 0)]
        .into_iter()
        .map(|(id, gib)| orphan(id, gib))
        .collect();
    let kept = Then::of(&look(UNATTACHED, &orphans, &[], ago(1)).report(), 2);
    assert_eq!(kept.left_out, Some(LeftOut { rows: 3, most: Some(Amount::whole(30)) }));
    let mut after = orphans.clone();
    after.extend([orphan("vol-6", 10), orphan("vol-7", 35)]);
    let since = now(UNATTACHED, &after, &[]).since(&kept);
    assert_eq!((said(&since.new), since.not_compared), (vec![("unattached", "vol-7", "found")], 4));
}

#[test]
fn what_is_kept_is_bounded() {
    let mut big = then(UNATTACHED, &[orphan("vol-1", 8)], &["us-east-1"]);
    let mut old = then(UNATTACHED, &[Orphan { region: "us-east-1", ..orphan("vol-2", 20) }], &[]);
    let row = old.rows[0].clone();
    old.rows = (0..ROWS).map(|number| Row { native_id: format!("vol-{number}"), ..row.clone() }).collect();
    old.listed =
        (0..SCOPES).map(|number| Listed { scopes: vec![number.to_string()], ..old.listed[0].clone() }).collect();
    big.taken_at = NOW;
    let carried = big.carrying(old);
    assert_eq!(carried.rows.len(), ROWS);
    assert_eq!(carried.left_out, Some(LeftOut { rows: 1, most: Some(Amount::whole(8)) }), "the cheapest");
    assert_eq!(carried.listed.iter().map(|listed| listed.scopes.len()).sum::<usize>(), SCOPES);
    assert_eq!(carried.listed[0].at, ago(1), "the latest are kept");
}

#[test]
fn a_written_report_is_as_good_but_for_its_policies() {
    let before = [orphan("vol-1", 600), Orphan { region: "us-east-1", ..orphan("vol-2", 20) }];
    let both = format!("{UNATTACHED}{BIG}");
    let earlier = look(&both, &before, &[], ago(1));
    let mut bytes = Vec::new();
    earlier.report().write_json(&mut bytes).unwrap();
    let read = Then::read(bytes.as_slice(), KINDS).unwrap();
    let kept = Then::of(&earlier.report(), usize::MAX);
    let after = now(&both, &[orphan("vol-1", 601), orphan("vol-3", 5)], &["us-east-1"]);
    let (from_file, from_state) = (after.since(&read), after.since(&kept));
    assert_eq!(from_file.same_policies, None);
    assert_eq!(Since { same_policies: Some(true), ..from_file }, from_state);
    assert_eq!((from_state.new.len(), from_state.gone.len(), from_state.changed.len()), (1, 1, 2));
    assert_eq!((from_state.sums.net.firm, whole(&from_state.sums.unknown)), (Amount::whole(6), (1, Amount::whole(20))));
    for (text, newer) in [
        (
            &br#"{"format":"sweeper.report/2","run":{"started":"2026-11-20T12:00:00Z"},"coverage":[],"findings":[]}"#[..],
            true,
        ),
        (br#"{"format":"sweeper.plan/1","run":{"started":"2026-11-20T12:00:00Z"},"coverage":[],"findings":[]}"#, false),
        (br#"{"format":"sweeper.report/1","run":{"started":"yesterday"},"coverage":[],"findings":[]}"#, false),
        (&bytes[..bytes.len() / 2], false),
    ] {
        let error = Then::read(text, KINDS).unwrap_err();
        assert_eq!(matches!(error, ThenError::Newer(_)), newer, "{error}");
    }
}

#[test]
fn a_report_carries_it_and_reads_it_back() {
    let then = then(UNATTACHED, &[orphan("vol-1", 8)], &[]);
    let look = now(UNATTACHED, &[orphan("vol-2", 9)], &[]);
    let mut report = look.report();
    let since = Since::of(&report, &then, "last");
    report.since = Some(since.clone());
    let mut bytes = Vec::new();
    report.write_json(&mut bytes).unwrap();
    let document: crate::report::Document = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(document.since, Some(since));
}

#[test]
fn what_is_not_understood_is_an_error_and_stays() {
    let report = now(UNATTACHED, &[orphan("vol-1", 8)], &[]);
    for (bytes, newer) in [
        (&br#"{"format":"sweeper.history-last/2","body":{}}"#[..], true),
        (br#"{"format":"sweeper.history-last/1","body":{"taken_at":1}}"#, false),
        (br#"{"format":"sweeper.history-last/1"#, false),
    ] {
        let store = MemoryStore::new();
        store.put_if(KEY, bytes, None).unwrap();
        let error = remember(&store, &report.report()).unwrap_err();
        assert_eq!(matches!(error, StoreError::Newer { .. }), newer, "{error}");
        assert_eq!(matches!(&error, StoreError::Damaged(what) if what.contains(KEY)), !newer, "{error}");
        assert!(last(&store).is_err());
        assert_eq!(store.get(KEY).unwrap().unwrap().0, bytes);
    }
}
