//! Plays simulated histories: `sweeper-sim --histories 10000`, or one with its story: `sweeper-sim --seed 17`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

use std::{process::ExitCode, thread};
use sweeper_sim::play;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    if let Some(seed) = number("--seed") {
        let story = play(seed);
        for line in &story.lines {
            println!("{line}");
        }
        for violation in &story.violations {
            println!("VIOLATION: {violation}");
        }
        println!("{} plans, {} runs, {} died, {} done", story.plans, story.runs, story.killed, story.done);
        return if story.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let Some(count) = number("--histories") else {
        eprintln!("usage: sweeper-sim --histories N [--from SEED] [--threads N] | --seed SEED");
        return ExitCode::from(2);
    };
    let from = number("--from").unwrap_or(1);
    let threads = number("--threads").unwrap_or(1).max(1);
    let workers: Vec<_> = (0..threads)
        .map(|worker| {
            thread::spawn(move || {
                let (mut plans, mut runs, mut killed, mut done, mut events) = (0_u64, 0_u64, 0_u64, 0_u64, 0_u64);
                let mut bad = Vec::new();
                for seed in (from..from + count).filter(|seed| seed % threads == worker) {
                    let story = play(seed);
                    plans += u64::from(story.plans);
                    runs += u64::from(story.runs);
                    killed += u64::from(story.killed);
                    done += u64::from(story.done);
                    events += story.events;
                    if !story.violations.is_empty() {
                        bad.push((seed, story.violations));
                    }
                }
                (plans, runs, killed, done, events, bad)
            })
        })
        .collect();
    let mut totals = (0, 0, 0, 0, 0);
    let mut bad = Vec::new();
    for worker in workers {
        let Ok((plans, runs, killed, done, events, own)) = worker.join() else {
            eprintln!("a history panicked");
            return ExitCode::FAILURE;
        };
        totals = (totals.0 + plans, totals.1 + runs, totals.2 + killed, totals.3 + done, totals.4 + events);
        bad.extend(own);
    }
    bad.sort();
    let (plans, runs, killed, done, events) = totals;
    println!(
        "{count} histories from seed {from}: {plans} plans, {runs} runs, {killed} killed, {done} deeds, {events} events, {} violated",
        bad.len()
    );
    for (seed, violations) in bad.iter().take(20) {
        println!("seed {seed}: {}  (again: sweeper-sim --seed {seed})", violations.join("; "));
    }
    if bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
