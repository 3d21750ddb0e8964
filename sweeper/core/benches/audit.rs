//! How many events of the audit log a second are verified on one core: chain, tree, signed heads, intents and outcomes.
//!
//! `cargo bench -p sweeper-core --bench audit`. The log is in memory, so that no disk is measured: `cargo bench -p
//! sweeper-store --bench audit` measures that. A head is signed after every 64 events, as `sweeper apply` does.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark prints what its clock says")]

use std::{error::Error, fs, hint::black_box, sync::Arc, time::Instant};
use sweeper_core::{
    audit::{
        self, Event, Identity, Intent, MemoryLog, Millis, Origin, Outcome, OutcomeResult, Sent, Trail, TrailConfig,
        TrustedKey, Verify,
    },
    model::{CloudId, Timestamp},
    money::{Amount, Cost},
    note::Signer,
    store::MemoryStore,
};

const PLAN: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const ITEMS: u32 = 100_000;

/// What is recorded of one deletion.
fn deletion(item: u32) -> [Event; 3] {
    let resource = Identity {
        kind: "aws.ec2-volume".to_owned(),
        cloud: CloudId::Aws,
        account: "111122223333".to_owned(),
        region: "eu-west-1".to_owned(),
        native_id: format!("vol-{item:017x}"),
        uid: format!("vol-{item:017x}"),
        name: Some(format!("data of batch {item}")),
        created: Some(Timestamp(1_760_000_000)),
    };
    let (action, cost) = ("delete".to_owned(), Amount::parse("8.05").map(Cost::list));
    let approved_by = vec!["alice@example.com".to_owned()];
    let intent = Intent {
        action: action.clone(),
        resource: resource.clone(),
        fingerprint: Some(PLAN.to_owned()),
        cascade: Vec::new(),
        approved_by: approved_by.clone(),
        monthly_cost: cost.clone(),
        token: Some(PLAN[..32].to_owned()),
    };
    let sent = Sent { action: action.clone(), attempt: 1, token: Some(PLAN[..32].to_owned()) };
    let outcome = Outcome {
        action,
        resource,
        result: OutcomeResult::Confirmed,
        request_id: Some(format!("4f0e11c2-{item:08x}")),
        approved_by,
        monthly_cost: cost,
        kept: Some(format!("snap-{item:017x}")),
    };
    // Plans as large as a platform team's.
    let plan = format!("{:08x}{}", item / 500, &PLAN[8..]);
    [Event::new(intent), Event::new(sent), Event::new(outcome)].map(|event| event.of_item(&plan, item % 500))
}

/// Seconds that this thread has had of a processor: other work on the machine does not count.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(stat.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (log, origin) = (MemoryLog::new(), Origin::new("5f0c5f2e6d0b4c1e9f430d6a4d3d6a11", "main"));
    let signer = Signer::generate("sweeper/bench", &[7; 32])?;
    let keys = [TrustedKey::new(signer.verifier().clone())];
    let config =
        TrailConfig { origin: origin.clone(), run: "bench".to_owned(), epoch: 1, signer, earlier: Vec::new(), every: 64 };
    let start = Millis(1_795_176_000_000);
    let (trail, _) = Trail::open(Arc::new(log.clone()), Arc::new(MemoryStore::new()), config, start)?;
    let began = Instant::now();
    for item in 0..ITEMS {
        trail.record_all(Millis(start.0 + i64::from(item)), &deletion(item))?;
    }
    trail.flush()?;
    let events = u64::from(ITEMS) * 3;
    let bytes: usize = log.with(|contents| contents.segments.values().map(Vec::len).sum());
    let rate = events as f64 / began.elapsed().as_secs_f64();
    println!("{events} events, {} bytes each, recorded at {rate:.0} a second", bytes as u64 / events);
    for _ in 0..5 {
        let (began, cpu) = (Instant::now(), cpu_seconds());
        let asked = Verify { origin: &origin, keys: &keys, known: &[], max_silence: None };
        let verdict = black_box(audit::verify(&log, asked)?);
        let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds().zip(cpu).map(|(after, before)| after - before));
        let rate = |seconds: f64| events as f64 / seconds;
        let by_cpu = cpu.map_or_else(|| "unknown".to_owned(), |cpu| format!("{:.0}", rate(cpu)));
        println!(
            "verified {} events, {}: {:.0} a second by the clock, {by_cpu} a CPU second",
            verdict.events,
            if verdict.is_sound() { "sound" } else { "DAMAGED" },
            rate(wall)
        );
    }
    Ok(())
}
