//! The tamper table: a log that somebody changed is refused, and it is told what was changed and where.

use super::{
    tests::{DEPLOYMENT, keys, later, origin, signer, volume},
    *,
};
use crate::store::MemoryStore;
use std::sync::Arc;

/// Of the places that are touched.
const SEED: u64 = 20_261_126;

/// Numbers from a seed (splitmix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end.max(1) as u64) as usize
    }
}

/// A log of so many items, each intended and done.
fn log(items: u32) -> Contents {
    let log = MemoryLog::new();
    let config = TrailConfig {
        origin: origin(),
        run: "run-1".to_owned(),
        epoch: 1,
        signer: signer(),
        earlier: Vec::new(),
        every: 16,
    };
    let store = Arc::new(MemoryStore::new());
    let (trail, _) = Trail::open(Arc::new(log.clone()), store, config, later(0)).unwrap();
    for item in 0..items {
        let action = "delete".to_owned();
        let resource = volume(item);
        let intent = Intent {
            action: action.clone(),
            resource: resource.clone(),
            fingerprint: None,
            cascade: Vec::new(),
            approved_by: vec!["alice".to_owned()],
            monthly_cost: None,
            token: None,
        };
        let outcome = Outcome {
            action,
            resource,
            result: OutcomeResult::Confirmed,
            request_id: Some(format!("req-{item}")),
            approved_by: vec!["alice".to_owned()],
            monthly_cost: None,
            kept: None,
        };
        trail.record(later(i64::from(item)), Event::new(intent).of_item("plan", item + 1)).unwrap();
        trail.record(later(i64::from(item)), Event::new(outcome).of_item("plan", item + 1)).unwrap();
    }
    trail.flush().unwrap();
    log.with(|contents| contents.clone())
}

fn judged(contents: Contents, trusted: &[TrustedKey], known: &[Checkpoint]) -> Verdict {
    let origin = origin();
    let asked = Verify { origin: &origin, keys: trusted, known, max_silence: None };
    verify(&MemoryLog::of(contents), asked).unwrap()
}

fn lines(contents: &Contents) -> Vec<Vec<u8>> {
    contents.segments[&0].split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn with(contents: &Contents, lines: &[Vec<u8>]) -> Contents {
    let mut contents = contents.clone();
    contents.segments.insert(0, lines.concat());
    contents
}

/// Every problem names the event at or after the place that was touched.
fn refused(verdict: &Verdict, at: usize, about: &str) {
    assert!(!verdict.is_sound(), "{about} at {at} was not noticed, seed {SEED}");
    let first = verdict.problems.iter().map(|problem| problem.seq).min().unwrap();
    let reaches = verdict.problems.iter().any(|problem| problem.last + 1 >= at as u64);
    assert!(first <= at as u64 + 1 && reaches, "{about} at {at} was told of {first}: {:?}", verdict.problems.first());
}

#[test]
fn the_table() {
    let whole = log(16);
    let keys = keys();
    assert!(judged(whole.clone(), &keys, &[]).is_sound());
    let all = lines(&whole);
    let mut draw = Draw(SEED);
    for _ in 0..1000 {
        // An edited byte that leaves a line a line.
        let at = draw.below(all.len());
        let mut changed = all.clone();
        let byte = draw.below(changed[at].len() - 1);
        let was = changed[at][byte];
        changed[at][byte] = if was == b'1' { b'2' } else { b'1' };
        refused(&judged(with(&whole, &changed), &keys, &[]), at, "an edit");
        // A removed line.
        let at = draw.below(all.len());
        let mut changed = all.clone();
        changed.remove(at);
        refused(&judged(with(&whole, &changed), &keys, &[]), at, "a removal");
        // Two swapped lines.
        let at = draw.below(all.len() - 1);
        let mut changed = all.clone();
        changed.swap(at, at + 1);
        refused(&judged(with(&whole, &changed), &keys, &[]), at, "a swap");
        // An inserted line: one of the log's own again.
        let (at, from) = (draw.below(all.len()), draw.below(all.len()));
        let mut changed = all.clone();
        changed.insert(at, all[from].clone());
        refused(&judged(with(&whole, &changed), &keys, &[]), at, "an insertion");
        // A cut end, below the last signed head.
        let at = draw.below(all.len());
        refused(&judged(with(&whole, &all[..at]), &keys, &[]), at, "a truncation");
    }
}

#[test]
fn a_fork_a_splice_and_another_key_are_refused() {
    let whole = log(12);
    let keys = keys();
    // Somebody with the key tells two stories: both signed, neither contains the other.
    let mut other = log(11);
    let head = judged(whole.clone(), &keys, &[]);
    let known = Checkpoint { origin: origin().to_string(), size: head.events, root: head.root.unwrap() };
    let mut changed = lines(&other);
    let extra = changed[0].clone();
    changed.push(extra.clone());
    changed.push(extra);
    other.segments.insert(0, changed.concat());
    assert!(!judged(other, &keys, std::slice::from_ref(&known)).is_sound());
    // The end is gone, and the heads with it: only a head from elsewhere tells.
    let short = log(10);
    assert!(judged(short.clone(), &keys, &[]).is_sound());
    assert!(!judged(short.clone(), &keys, &[known]).is_sound());
    assert!(!judged(short, &keys, &[]).cannot_rule_out.is_empty());
    // Signed by a key that nobody trusts.
    let stranger = crate::note::Signer::generate("sweeper.example/audit", &[9; 32]).unwrap();
    let wrong = [TrustedKey::new(stranger.verifier().clone())];
    assert!(!judged(whole.clone(), &wrong, &[]).is_sound());
    // Lines of another deployment among ours.
    let text = String::from_utf8(whole.segments[&0].clone()).unwrap();
    let spliced: Vec<Vec<u8>> = text
        .split_inclusive('\n')
        .enumerate()
        .map(|(at, line)| if at == 5 { line.replace(DEPLOYMENT, "another") } else { line.to_owned() }.into_bytes())
        .collect();
    refused(&judged(with(&whole, &spliced), &keys, &[]), 5, "a splice");
}

#[test]
fn no_bit_can_be_flipped() {
    let whole = log(2);
    let keys = keys();
    for at in 0..whole.segments[&0].len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed.segments.get_mut(&0).unwrap()[at] ^= 1 << bit;
            assert!(!judged(changed, &keys, &[]).is_sound(), "byte {at}, bit {bit}");
        }
    }
}
