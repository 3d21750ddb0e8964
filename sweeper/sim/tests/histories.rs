//! What must hold of every history, and of a run that dies at any of its steps.

#![expect(clippy::print_stdout, reason = "the seeds are told")]

use std::thread;
use sweeper_sim::{fuse::Blow, history::disturbed, play};

/// Histories a run of the tests plays. A hundred thousand are played by the command of the README.
const COUNT: u64 = 2000;

#[test]
fn no_history_violates_the_oracle() {
    println!("seeds 1 to {COUNT}");
    let halves: Vec<_> = (0..2)
        .map(|half| {
            thread::spawn(move || {
                let mut done = 0;
                for seed in (1..=COUNT).filter(|seed| seed % 2 == half) {
                    let story = play(seed);
                    assert!(story.violations.is_empty(), "seed {seed}: {:#?}", story.violations);
                    done += story.done;
                }
                done
            })
        })
        .collect();
    let done: u32 = halves.into_iter().map(|half| half.join().unwrap_or_default()).sum();
    // A simulation in which nothing is ever done proves nothing.
    assert!(done > 2 * COUNT as u32 / 2, "{done} deeds");
}

#[test]
fn a_run_that_dies_anywhere_ends_where_an_undisturbed_one_ends() {
    for seed in [3, 5] {
        println!("seed {seed}");
        let whole = disturbed(seed, None).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(whole.violations, Vec::<String>::new());
        assert!(whole.steps > 50, "{whole:?}");
        assert!(whole.undoable.iter().any(|(_, has_copy)| *has_copy), "{whole:?}");
        for step in 1..=whole.steps {
            for blow in [Blow::KillBefore(step), Blow::KillAfter(step)] {
                let ending = disturbed(seed, Some(blow)).unwrap_or_else(|why| panic!("{why}"));
                assert_eq!(ending.violations, Vec::<String>::new(), "seed {seed}, {blow:?}");
                assert_eq!(ending.left, whole.left, "seed {seed}, {blow:?}");
                assert_eq!(ending.undoable, whole.undoable, "seed {seed}, {blow:?}");
            }
        }
    }
}

#[test]
fn a_disk_that_is_full_or_a_run_that_slept_sends_nothing_more() {
    let whole = disturbed(3, None).unwrap_or_else(|why| panic!("{why}"));
    for step in (1..=whole.steps).step_by(3) {
        for blow in [Blow::Full(step), Blow::Pause(step)] {
            let ending = disturbed(3, Some(blow)).unwrap_or_else(|why| panic!("{why}"));
            assert_eq!(ending.violations, Vec::<String>::new(), "{blow:?}");
        }
    }
}
