//! Leases by themselves, then what they make of resources.

use super::*;
use crate::{
    detect::{Verdict, tests::disk as disk_facts},
    inventory::{Draft, Tags},
    store::MemoryStore,
    testing::{self, NOW, World, ago},
};

const HOUR: i64 = 3600;

fn lease(id: &str) -> Environment {
    Environment {
        id: id.to_owned(),
        owner: "a@example.com".to_owned(),
        tags: BTreeMap::from([("env".to_owned(), "pr-1234".to_owned())]),
        accounts: Vec::new(),
        regions: Vec::new(),
        granted: NOW,
        until: NOW.plus(8 * HOUR),
        max_length: 2 * DAY,
        heartbeat: Some(600),
        missed: 3,
        skew: 300,
        beat: None,
        released: None,
    }
}

fn proof() -> Proof {
    Proof::of("a token")
}

fn granted() -> MemoryStore {
    let store = MemoryStore::new();
    grant(&store, &lease("pr-1234"), proof(), NOW).unwrap();
    store
}

fn at(seconds: i64) -> Timestamp {
    NOW.plus(seconds)
}

#[test]
fn three_heartbeats_and_five_minutes_may_be_missing_and_no_more() {
    let lease = lease("x");
    // Due after 600, 1200 and 1800 seconds; the fourth, after 2400, may not stay away, nor by more than clocks differ.
    for (after, live) in [(0, true), (1801, true), (2400, true), (2700, true), (2701, false)] {
        assert_eq!(matches!(lease.standing(at(after)), Standing::Live(_)), live, "{after}");
    }
    assert_eq!(lease.standing(at(2701)), Standing::Ended(at(2400), Ended::Silent));
    let strict = Environment { missed: 0, skew: 0, ..lease.clone() };
    assert_eq!(strict.standing(at(601)), Standing::Ended(at(600), Ended::Silent));
    // Without heartbeats only time ends it, and clocks may be apart there as well.
    let silent = Environment { heartbeat: None, ..lease };
    assert_eq!(silent.standing(at(8 * HOUR + 300)), Standing::Live(at(8 * HOUR)));
    assert_eq!(silent.standing(at(8 * HOUR + 301)), Standing::Ended(at(8 * HOUR), Ended::RanOut));
    // A judge whose clock is behind sees a lease of the future, which holds.
    assert!(matches!(silent.standing(at(-DAY)), Standing::Live(_)));
}

#[test]
fn a_late_heartbeat_finds_it_live_again_until_its_time_is_over() {
    let store = granted();
    let beat = |after: i64| beat(&store, "pr-1234", By::Bearer(&proof()), at(after));
    assert_eq!(beat(3600).unwrap().standing(at(3600)), Standing::Live(at(3600 + 2400)));
    // One that was sent before, and one by a clock that is behind, take nothing back.
    assert_eq!(beat(60).unwrap().beat, Some(at(3600)));
    // One that comes at once is heard and not written.
    assert_eq!(beat(3700).unwrap().beat, Some(at(3600)));
    assert_eq!(beat(3750).unwrap().beat, Some(at(3750)));
    assert_eq!(beat(8 * HOUR + 300).unwrap().beat, Some(at(8 * HOUR + 300)));
    assert_eq!(beat(8 * HOUR + 301), Err(EnvironmentError::Over(at(8 * HOUR), "ran out")));
}

#[test]
fn nothing_is_told_to_who_has_no_token() {
    let store = granted();
    let wrong = Proof::of("another token");
    for (id, shown) in [("pr-1234", wrong), ("pr-9999", proof()), ("pr-9999", Proof::of("")), ("", wrong)] {
        assert_eq!(beat(&store, id, By::Bearer(&shown), NOW), Err(EnvironmentError::NotThere), "{id}");
        assert_eq!(release(&store, id, By::Bearer(&shown), NOW), Err(EnvironmentError::NotThere), "{id}");
    }
    // Another token voids the one before; the token itself is nowhere in the state.
    rotate(&store, "pr-1234", wrong, NOW).unwrap();
    assert_eq!(beat(&store, "pr-1234", By::Bearer(&proof()), NOW), Err(EnvironmentError::NotThere));
    beat(&store, "pr-1234", By::Bearer(&wrong), NOW).unwrap();
    for key in store.list("").unwrap() {
        let bytes = store.get(&key).unwrap().unwrap().0;
        assert!(!String::from_utf8(bytes).unwrap().contains("another token"));
    }
    assert_eq!(format!("{wrong:?}"), "Proof(…)");
}

#[test]
fn it_may_be_renewed_up_to_its_length_and_not_after_its_release() {
    let store = granted();
    let id = "pr-1234";
    // Also one that has run out.
    let late = at(10 * HOUR);
    let renewed = renew(&store, id, at(20 * HOUR), late).unwrap();
    assert!(matches!(renewed.standing(late), Standing::Live(_)), "{renewed:?}");
    let error = renew(&store, id, at(2 * DAY + 1), late).unwrap_err();
    assert_eq!(error, EnvironmentError::TooLong("2 days".to_owned(), at(2 * DAY)));
    assert!(matches!(renew(&store, id, late, late), Err(EnvironmentError::Invalid(_))));
    assert!(matches!(grant(&store, &lease(id), proof(), NOW), Err(EnvironmentError::Exists(..))));
    release(&store, id, By::House, late).unwrap();
    // Once more is no other release.
    assert_eq!(release(&store, id, By::House, at(11 * HOUR)).unwrap().released, Some(late));
    assert_eq!(renew(&store, id, at(21 * HOUR), late), Err(EnvironmentError::Over(late, "released")));
    assert_eq!(beat(&store, id, By::House, late), Err(EnvironmentError::Over(late, "released")));
    // The name may be used again.
    grant(&store, &Environment { granted: late, until: at(12 * HOUR), ..lease(id) }, proof(), late).unwrap();
}

#[test]
fn what_is_no_lease_is_refused() {
    let store = MemoryStore::new();
    let tags = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let good = || lease("x");
    for bad in [
        Environment { id: String::new(), ..good() },
        Environment { id: "PR_1".to_owned(), ..good() },
        Environment { id: "x\n".to_owned(), ..good() },
        Environment { id: "x".repeat(64), ..good() },
        Environment { owner: " ".to_owned(), ..good() },
        Environment { tags: tags("env", ""), ..good() },
        Environment { tags: tags("", "x"), ..good() },
        Environment { tags: tags("env", &"x".repeat(257)), ..good() },
        Environment { accounts: vec!["a".to_owned(); 51], ..good() },
        Environment { accounts: vec![String::new()], ..good() },
        Environment { heartbeat: Some(9), ..good() },
        Environment { heartbeat: Some(2 * DAY + 1), ..good() },
        Environment { skew: -1, ..good() },
        Environment { until: NOW, ..good() },
    ] {
        assert!(matches!(grant(&store, &bad, proof(), NOW), Err(EnvironmentError::Invalid(_))), "{bad:?}");
    }
    let long = Environment { until: at(2 * DAY + 1), ..good() };
    assert!(matches!(grant(&store, &long, proof(), NOW), Err(EnvironmentError::TooLong(..))));
    assert_eq!(store.list("").unwrap(), Vec::<String>::new());
}

#[test]
fn no_document_grows_without_bound_and_what_ended_is_forgotten() {
    let store = MemoryStore::new();
    let grant = |id: usize, now: Timestamp| {
        let one = Environment { granted: now, until: now.plus(HOUR), ..lease(&format!("pr-{id}")) };
        super::grant(&store, &one, proof(), now)
    };
    // All of one document, so that the bound is met soon.
    let own: Vec<usize> =
        (0..100_000).filter(|id| place(&format!("pr-{id}")) == "environments/0").take(MOST_EACH + 1).collect();
    let (last, first) = own.split_last().unwrap();
    for id in first {
        grant(*id, NOW).unwrap();
    }
    assert_eq!(grant(*last, NOW), Err(EnvironmentError::TooMany));
    // One that is there may be granted anew when it has ended.
    grant(first[0], NOW.plus(2 * HOUR)).unwrap();
    assert_eq!(load(&store).leases().len(), MOST_EACH);
    // Each writing forgets what ended long ago.
    grant(*last, NOW.plus(MEMORY + DAY)).unwrap();
    assert_eq!(load(&store).leases().len(), 1);
}

fn disk(tags: &[(&str, &str)], created: Option<Timestamp>) -> World {
    let world = World::new();
    let tags = Tags::Read(tags.to_vec());
    world.draft(&testing::DISK, Draft { created, tags, ..Draft::new("it", disk_facts()) })
}

/// What `expired` says of a disk under leases.
fn judged(leases: Vec<Environment>, unread: &[&str], tags: &[(&str, &str)], created: Option<Timestamp>) -> Verdict {
    let mut sealed = disk(tags, created).seal();
    sealed.house.environments = Environments::new(leases, unread.iter().map(|why| (*why).to_owned()).collect());
    sealed.judge("expired", "it").0
}

/// A lease that ended an hour ago, and one that holds.
fn over() -> Environment {
    Environment { granted: ago(2), until: at(-HOUR), heartbeat: None, ..lease("pr-1234") }
}

fn live() -> Environment {
    Environment { granted: ago(1), heartbeat: None, ..lease("other") }
}

const COVERED: &[(&str, &str)] = &[("Env", "pr-1234")];
const PAST: (&str, &str) = ("expires-on", "2026-01-31");

#[test]
fn what_a_lease_covered_that_ended_is_expired_with_its_evidence() {
    let Verdict::Found(finding) = judged(vec![over()], &[], COVERED, Some(ago(1))) else { panic!() };
    let evidence: Vec<(&str, &str)> =
        finding.evidence().iter().map(|one| (one.fact.as_ref(), one.value.as_str())).collect();
    assert_eq!(evidence[0], ("lease pr-1234", "ran out, owner a@example.com"));
    assert_eq!(evidence[1], ("ended", at(-HOUR).to_string().as_str()));
    assert_eq!(finding.since_hint(), Some((at(-HOUR), "end of its lease")));
    // A later date of its own counts, as one tag outweighs another; never is never.
    let own = |key, value| judged(vec![over()], &[], &[COVERED[0], (key, value)], Some(ago(1)));
    assert_eq!(own("expires-on", "2027-01-31"), Verdict::trap("its tag gives a later date"));
    assert_eq!(own("ttl", "never"), Verdict::trap("its tag says never"));
    let Verdict::Found(both) = own(PAST.0, PAST.1) else { panic!() };
    assert_eq!(both.evidence()[0].fact, "lease pr-1234");
}

#[test]
fn a_live_lease_outweighs_what_ended() {
    let both = vec![over(), live()];
    assert_eq!(judged(both.clone(), &[], COVERED, Some(ago(1))), Verdict::trap("its lease runs"));
    assert_eq!(judged(both, &["one more"], &[COVERED[0], PAST], None), Verdict::trap("its lease runs"));
}

#[test]
fn what_was_there_before_is_not_judged_by_its_end_unless_it_names_the_lease() {
    assert_eq!(judged(vec![over()], &[], COVERED, Some(ago(3))), Verdict::CLEAN);
    // Made a moment before, by a clock that is behind.
    let just = Some(ago(2).plus(-300));
    assert!(matches!(judged(vec![over()], &[], COVERED, just), Verdict::Found(_)));
    let named: &[(&str, &str)] = &[("Sweeper_Lease", "pr-1234")];
    assert!(matches!(judged(vec![over()], &[], named, Some(ago(300))), Verdict::Found(_)));
    assert!(matches!(judged(vec![over()], &[], named, None), Verdict::Found(_)));
    assert!(matches!(judged(vec![over()], &[], COVERED, None), Verdict::Unknown(_)));
}

#[test]
fn a_lease_that_is_not_known_is_unknown_and_never_expired() {
    let Verdict::Unknown(unseen) = judged(vec![], &[], &[("sweeper-lease", "gone"), PAST], None) else { panic!() };
    assert_eq!(unseen.cause, "tag sweeper-lease names a lease that is not known");
    for tags in [&[PAST][..], &[COVERED[0]]] {
        let verdict = judged(vec![over()], &["state is damaged: `environments/3`"], tags, Some(ago(1)));
        assert!(matches!(verdict, Verdict::Unknown(_)), "{verdict:?}");
    }
    // What nothing says of that it may go is not expired, whatever the leases are.
    assert_eq!(judged(vec![], &["damaged"], &[("env", "dev")], None), Verdict::CLEAN);
}

#[test]
fn it_covers_what_has_every_tag_in_its_accounts_and_regions() {
    let sealed = disk(COVERED, Some(ago(1))).seal();
    let covers = |lease: Environment| {
        Environments::new(vec![lease], Vec::new()).covering(sealed.resource("it"), COVERED).len() == 1
    };
    let list = |text: &str| vec![text.to_owned()];
    assert!(covers(live()));
    assert!(covers(Environment { accounts: list("aws:1111*"), regions: list("eu-west-1"), ..live() }));
    assert!(!covers(Environment { accounts: list("gcp:*"), ..live() }));
    assert!(!covers(Environment { regions: list("us-east-1"), ..live() }));
    assert!(!covers(Environment { tags: BTreeMap::new(), ..live() }), "an empty selector is not everything");
    let mut more = live();
    more.tags.insert("app".to_owned(), "shop".to_owned());
    assert!(!covers(more));
}

#[test]
fn what_is_leased_is_held_and_so_is_everything_where_leases_cannot_be_read() {
    let mut sealed = disk(COVERED, Some(ago(1))).seal();
    let hold = |sealed: &testing::Sealed| {
        let view = sealed.view();
        sealed.house.environments.hold(&view, sealed.resource("it"))
    };
    assert_eq!(hold(&sealed), None);
    sealed.house.environments = Environments::new(vec![over(), live()], Vec::new());
    assert_eq!(hold(&sealed).unwrap(), format!("leased: until {}, `other` of a@example.com", at(8 * HOUR)));
    sealed.house.environments = Environments::new(vec![over()], Vec::new());
    assert_eq!(hold(&sealed), None);
    sealed.house.environments = Environments::unread("state is not available: no");
    assert_eq!(hold(&sealed).unwrap(), "leases not readable: state is not available: no");
}

#[test]
fn a_document_that_is_damaged_hides_no_other_and_survives() {
    let store = granted();
    let key = store.list("").unwrap().remove(0);
    let other = (0..1000).map(|id| format!("pr-{id}")).find(|id| place(id) != key).unwrap();
    grant(&store, &lease(&other), proof(), NOW).unwrap();
    let version = store.get(&key).unwrap().unwrap().1;
    store.put_if(&key, b"{}", Some(version)).unwrap();
    let known = load(&store);
    assert!(known.knows(&other) && !known.knows("pr-1234"), "{known:?}");
    assert!(known.trouble().unwrap().starts_with("state is damaged"), "{known:?}");
    assert!(matches!(grant(&store, &lease("pr-1234"), proof(), NOW), Err(EnvironmentError::Store(_))));
    assert_eq!(store.get(&key).unwrap().unwrap().0, b"{}");
}

#[test]
fn a_survey_seals_what_is_known_and_no_token() {
    let known = Environments::new(vec![live(), over()], vec!["one".to_owned()]);
    let text = serde_json::to_string(&known).unwrap();
    assert!(!text.contains("proof"), "{text}");
    assert_eq!(serde_json::from_str::<Environments>(&text).unwrap(), known);
}
