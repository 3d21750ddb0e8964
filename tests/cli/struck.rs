//! Real processes that are struck while they change something: what follows ends where an undisturbed run ends.

use super::apply::Lab;
use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Longer than a lock lasts.
const SLEPT: Duration = Duration::from_secs(65);
const DISKS: [&str; 2] = ["scratch-0001", "scratch-0002"];

/// Calls that change something, in their order.
fn changes(lab: &Lab) -> Vec<String> {
    let writes = ["disks.delete", "disks.createSnapshot", "snapshots.create", "snapshots.delete", "disks.create"];
    let calls = lab.emulator.journal().into_iter().map(|call| call.permission);
    calls.filter(|permission| writes.iter().any(|write| permission.ends_with(write))).collect()
}

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// An approved plan of two disks, and its application under way once so many changes were asked for.
fn under_way(after: usize) -> (Lab, Child) {
    let lab = Lab::new();
    lab.config("enabled = true");
    lab.a_month_later();
    lab.plan();
    lab.run(&["approve", "plan.json", "--key", "alice.key", "-o", "plan.approval"]).ended(0);
    let before = changes(&lab).len();
    let child = lab.applying().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while changes(&lab).len() < before + after {
        assert!(began.elapsed() < Duration::from_mins(1), "no change was asked for: {:?}", changes(&lab));
        thread::sleep(Duration::from_millis(2));
    }
    (lab, child)
}

/// The same command again does the rest, each thing once; the log holds together.
fn ends_well(lab: &Lab) {
    let again = lab.apply();
    assert_eq!(again.code, Some(0), "{again:?}");
    for disk in DISKS {
        assert_eq!(lab.emulator.count(disk), 0, "{disk}: {again:?}");
    }
    assert_eq!(lab.emulator.count("kept"), 1);
    let deletions = changes(lab).iter().filter(|permission| permission.ends_with("disks.delete")).count();
    assert_eq!(deletions, DISKS.len(), "each once");
    assert!(lab.run(&["audit", "verify"]).ended(0).ends_with("sound\n"));
    assert_eq!(lab.run(&["undo", "--list"]).ended(0).lines().count(), DISKS.len());
}

#[test]
fn killed_or_stopped_at_any_change_it_is_finished_by_the_next() {
    let struck = [("-KILL", 1), ("-KILL", 2), ("-KILL", 3), ("-KILL", 4), ("-TERM", 1), ("-TERM", 2)];
    let runs: Vec<_> = struck
        .into_iter()
        .map(|(how, after)| {
            thread::spawn(move || {
                let (lab, mut child) = under_way(after);
                signal(&child, how);
                let status = child.wait().unwrap();
                if how == "-TERM" {
                    assert_eq!(status.code(), Some(143), "{status:?}");
                }
                let asked = changes(&lab).len();
                thread::sleep(Duration::from_millis(200));
                assert_eq!(changes(&lab).len(), asked, "nothing follows the end of the process");
                ends_well(&lab);
            })
        })
        .collect();
    for run in runs {
        run.join().unwrap();
    }
}

/// A machine that slept for longer than the lock lasts has lost it, whoever came in between.
#[test]
fn a_process_that_slept_past_its_lock_sends_nothing_more() {
    let (lab, mut child) = under_way(1);
    signal(&child, "-STOP");
    thread::sleep(Duration::from_millis(300));
    let asked = changes(&lab).len();
    // Nobody takes over from a process that is there.
    let other = lab.apply();
    assert_eq!(other.code, Some(7), "{other:?}");
    thread::sleep(SLEPT);
    signal(&child, "-CONT");
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(7), "{status:?}");
    assert_eq!(changes(&lab).len(), asked);
    ends_well(&lab);
}

#[test]
fn with_no_room_left_nothing_is_sent() {
    let lab = Lab::new();
    lab.config("enabled = true");
    lab.a_month_later();
    lab.plan();
    lab.run(&["approve", "plan.json", "--key", "alice.key", "-o", "plan.approval"]).ended(0);
    // No file may grow: neither state nor log can be written.
    let command = lab.applying();
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("trap '' XFSZ; ulimit -f 0; exec {}", words.join(" "))]).env_clear();
    shell.current_dir(command.get_current_dir().unwrap());
    shell.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let full = shell.output().unwrap();
    assert!([6, 7, 8].contains(&full.status.code().unwrap_or_default()), "{full:?}");
    assert_eq!(changes(&lab), Vec::<String>::new());
    // Nothing is lost by it.
    ends_well(&lab);
}
