//! A review in a real terminal, and keys that are elsewhere.

use super::{Ran, apply::Lab, text};
use std::{fs, path::Path, process::Command};

/// `review` in a terminal of its own, with what is waited for and what is typed then.
fn reviewed(lab: &Lab, more: &[&str], size: (u16, u16), steps: &[(&str, &str)]) -> Ran {
    let own = lab.command(&[]);
    let steps: Vec<[&str; 2]> = steps.iter().map(|(wait, typed)| [*wait, *typed]).collect();
    let mut command = Command::new("python3");
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cli/terminal.py"))
        .args([size.0.to_string(), size.1.to_string(), serde_json::to_string(&steps).unwrap()])
        .arg(own.get_program())
        .args(["review", "plan.json"])
        .args(more)
        .current_dir(own.get_current_dir().unwrap())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    for (key, value) in own.get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    Ran::of(&command.output().unwrap())
}

/// A lab with a plan of two disks, and Alice's key.
fn planned() -> Lab {
    let lab = Lab::new();
    lab.config("enabled = true");
    lab.a_month_later();
    lab.plan();
    lab
}

#[test]
fn what_was_approved_in_the_review_is_done_and_what_was_kept_is_kept() {
    let lab = planned();
    // So that the end is still to come whenever this runs.
    let config = fs::read_to_string(lab.place.path("sweeper.toml")).unwrap();
    lab.place.write("sweeper.toml", &format!("{config}\n[house]\nmax_keep_days = 1000000\n"));
    let steps = [
        ("2 open", "a"),
        ("1 approved", "k"),
        ("reason", "the audit needs it\r"),
        ("Enter goes on", "2999-03-01\r"),
        ("1 kept", "s"),
        ("type 1 and Enter", "1\r"),
    ];
    let done = reviewed(&lab, &["--key", "alice.key"], (60, 20), &steps);
    let seen = done.ended(0);
    assert!(seen.contains("restored: True, steps left: 0"), "{seen}");
    // Back on the screen that was there before, with the cursor.
    let after = seen.rsplit("\u{1b}[?1049l").next().unwrap();
    assert!(seen.contains("\u{1b}[?1049h") && seen.contains("\u{1b}[?25h\u{1b}[?1049l"), "{seen:?}");
    assert!(after.contains("approved: 1 action") && after.contains("kept, each by an exception: 1"), "{after}");
    // What it signed names the one action, and its own count and price.
    let approval = fs::read_to_string(lab.place.path("plan.approval")).unwrap();
    assert!(approval.contains("\nitems: 1\n") && approval.contains("\ncount: 1\n"), "{approval}");
    let kept = fs::read_to_string(lab.place.path("policies/keep.toml")).unwrap();
    assert!(
        kept.contains("scratch-0002") && kept.contains("the audit needs it") && kept.contains("2999-03-01"),
        "{kept}"
    );
    // The approval holds, for that one and no other.
    let applied = lab.apply();
    assert!(applied.out.contains("1 of 2 done"), "{applied:?}");
    assert_eq!((lab.emulator.count("scratch-0001"), lab.emulator.count("scratch-0002")), (0, 1));
}

#[test]
fn leaving_asks_signs_nothing_and_gives_the_terminal_back() {
    let lab = planned();
    let before = lab.place.names();
    for (steps, code) in [
        (&[("2 open", "a"), ("1 approved", "\u{3}"), ("Leave?", "n"), ("a yes", "q"), ("Leave?", "y")][..], 0),
        (&[("2 open", "A"), ("2 approved", "SIGTERM")], 143),
        (&[("2 open", "q")], 0),
    ] {
        let left = reviewed(&lab, &["--key", "alice.key"], (60, 20), steps);
        assert!(left.ended(code).contains("restored: True, steps left: 0"), "{left:?}");
        assert!(left.out.contains("\u{1b}[?1049l"), "{left:?}");
        assert_eq!(lab.place.names(), before);
    }
}

#[test]
fn a_review_needs_a_terminal_a_key_and_a_plan_that_holds() {
    let lab = planned();
    lab.run(&["review", "plan.json", "--key", "alice.key"])
        .failed(2, &["needs a terminal", "sweeper plan show plan.json", "sweeper approve plan.json --items"]);
    lab.run(&["review", "plan.json", "--yes"]).failed(2, &["unexpected argument"]);
    // These are told before anything is walked through.
    lab.run(&["approve", "--new-key", "mallory@example.com", "--key", "mallory.key"]).ended(0);
    let stranger = reviewed(&lab, &["--key", "mallory.key"], (80, 24), &[]);
    assert!(stranger.ended(6).contains("[[approver]]"), "{stranger:?}");
    assert!(reviewed(&lab, &[], (80, 24), &[]).ended(2).contains("--key FILE"));
    let plan = fs::read_to_string(lab.place.path("plan.json")).unwrap();
    lab.place.write("plan.json", &plan.replace("scratch-0002", "kept"));
    assert!(reviewed(&lab, &["--key", "alice.key"], (80, 24), &[]).ended(6).contains("changed since it was made"));
}

/// The public key of the config's approver.
fn public_key(lab: &Lab) -> String {
    let config = fs::read_to_string(lab.place.path("sweeper.toml")).unwrap();
    let line = config.lines().find_map(|line| line.strip_prefix("key = \"")).unwrap();
    line.trim_end_matches('"').to_owned()
}

/// The command of the signer in Python.
fn signer(how: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cli/signer.py").canonicalize().unwrap();
    format!("python3 '{}' alice.key {how}", text(&script))
}

/// The command with a program that signs; it finds `python3`.
fn signs(lab: &Lab, program: &str) -> Ran {
    let key = public_key(lab);
    let arguments = ["approve", "plan.json", "--signer-command", program, "--public-key", &key];
    Ran::of(&lab.command(&arguments).env("PATH", std::env::var_os("PATH").unwrap()).output().unwrap())
}

#[test]
fn a_program_signs_as_the_key_itself_and_is_not_believed() {
    let lab = planned();
    for how in ["raw", "base64"] {
        signs(&lab, &signer(how)).ended(0);
        let approval = fs::read_to_string(lab.place.path("plan.approval")).unwrap();
        assert!(approval.contains("items: all\n") && approval.contains("\n\n— alice@example.com "), "{approval}");
        fs::remove_file(lab.place.path("plan.approval")).unwrap();
    }
    // One that signs something else, one that fails, one that writes something else, one that is not there.
    signs(&lab, &signer("lie")).failed(6, &["not of this text", "another key than the public one"]);
    signs(&lab, "sh -c 'cat >/dev/null; echo AccessDenied >&2; exit 254'")
        .failed(2, &["alice@example.com did not sign", "`sh` ended with", "AccessDenied", "by hand"]);
    signs(&lab, "cat").failed(2, &["wrote no signature", "64 bytes"]);
    signs(&lab, "no-such-program-here").failed(2, &["`no-such-program-here` did not start"]);
    signs(&lab, "'open").failed(2, &["is no command"]);
    assert!(!lab.place.path("plan.approval").exists());
    // A key that nobody has, and one without its program.
    let other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    lab.run(&["approve", "plan.json", "--signer-command", "cat", "--public-key", other]).failed(6, &["[[approver]]"]);
    lab.run(&["approve", "plan.json", "--signer-command", "cat"]).failed(2, &["--public-key"]);
    signs(&lab, &signer("raw")).ended(0);
    let done = lab.apply();
    assert!(done.ended(0).contains("2 of 2 done"), "{done:?}");
}

#[test]
fn a_review_is_signed_by_a_program_as_well_and_says_how_to_go_on_when_it_is_not() {
    let lab = planned();
    let key = public_key(&lab);
    let refused = reviewed(
        &lab,
        &["--signer-command", "false", "--public-key", &key],
        (100, 30),
        &[("2 open", "a"), ("1 approved", "s"), ("type 1", "1\r")],
    );
    assert!(refused.ended(2).contains("sweeper approve plan.json --items 1`"), "{refused:?}");
    let signed = reviewed(
        &lab,
        &["--signer-command", &signer("base64"), "--public-key", &key],
        (100, 30),
        &[("2 open", "A"), ("2 approved", "s"), ("type 2", "2\r")],
    );
    assert!(signed.ended(0).contains("approved: 2 actions"), "{signed:?}");
    assert!(lab.apply().ended(0).contains("2 of 2 done"));
}

#[test]
fn the_log_is_signed_by_a_program() {
    let lab = Lab::new();
    let made = |name: &str, file: &str| {
        let shown = lab.run(&["approve", "--new-key", name, "--key", file]);
        shown.ended(0).lines().find_map(|line| line.strip_prefix("key = ")).unwrap().to_owned()
    };
    let (own, other) = (made("sweeper/log", "log.key"), made("sweeper/other", "other.key"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cli/signer.py").canonicalize().unwrap();
    let command = format!("signer_command = [\"python3\", {:?}, \"log.key\", \"raw\"]", text(&script));
    lab.config(&format!("enabled = true\n{command}\npublic_key = {own}"));
    lab.a_month_later();
    lab.plan();
    lab.run(&["approve", "plan.json", "--key", "alice.key"]).ended(0);
    let path = std::env::var_os("PATH").unwrap();
    // A log that cannot be signed for is not written on, and nothing is done.
    let toml = fs::read_to_string(lab.place.path("sweeper.toml")).unwrap();
    lab.place.write("sweeper.toml", &toml.replace(&own, &other));
    let refused = Ran::of(&lab.applying().env("PATH", &path).output().unwrap());
    assert_eq!(refused.code, Some(8), "{refused:?}");
    assert!(refused.err.contains("head cannot be signed"), "{refused:?}");
    assert_eq!(lab.emulator.count("scratch-0001"), 1);
    lab.place.write("sweeper.toml", &toml);
    let done = Ran::of(&lab.applying().env("PATH", &path).output().unwrap());
    assert!(done.ended(0).contains("2 of 2 done"), "{done:?}");
    assert!(lab.run(&["audit", "verify"]).ended(0).ends_with("sound\n"));
    assert!(!lab.place.path("state.audit/key").exists(), "no key of its own was made");
    // Anything half written in the config is told.
    lab.place.write("sweeper.toml", &toml.replace(&format!("public_key = {own}"), ""));
    lab.run(&["audit", "verify"]).failed(2, &["belong together"]);
}
