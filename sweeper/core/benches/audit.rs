//! How many events of the audit log a second are verified on one core: chain, tree, signed heads, intents and outcomes.
//!
//! `cargo bench -p sweeper-core --bench audit`. The log is in memory, so that no disk is measured: `cargo bench -p
//! sweeper-store --bench audit` measures that. Heads are signed as `sweeper apply`
//! signs them, after 64 events; three are recorded at a time here, so that it is 66.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark prints what its clock says")]

#[path = "audit/deletion.rs"]
mod deletion;

use deletion::deletion;
use std::{error::Error, fs, hint::black_box, sync::Arc, time::Instant};
use sweeper_core::{
    audit::{self, MemoryLog, Millis, Origin, Trail, TrailConfig, TrustedKey, Verify},
    note::Signer,
    store::MemoryStore,
};

const ITEMS: u32 = 100_000;

/// Seconds that this thread has had of a processor: other work on the machine does not count.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(stat.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (log, origin) = (MemoryLog::new(), Origin::new("5f0c5f2e6d0b4c1e9f430d6a4d3d6a11", "main"));
    let signer = Signer::generate("sweeper/bench", &[7; 32])?;
    let keys = [TrustedKey::new(signer.verifier().clone())];
    let config = TrailConfig {
        origin: origin.clone(),
        run: "bench".to_owned(),
        epoch: 1,
        signer,
        earlier: Vec::new(),
        every: 64,
    };
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
