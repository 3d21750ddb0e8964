//! Surveys: the same file gives the same bytes, and a damaged one an error.

use crate::world::{Home, Ran, World, now};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::{fmt::Write as _, fs, path::Path, sync::OnceLock};

/// A survey of the organisation, as bytes.
fn survey() -> &'static [u8] {
    static SURVEY: OnceLock<Vec<u8>> = OnceLock::new();
    SURVEY.get_or_init(|| {
        let world = World::new();
        let path = world.home.path("survey.json");
        let command = world.sweeper(&["survey", "--output", path.to_str().unwrap()]);
        let ran = world.run(command);
        assert_eq!(ran.code, Some(0), "{}", ran.shown());
        fs::read(path).unwrap()
    })
}

fn judge(home: &Home, file: &Path) -> Ran {
    home.wait(home.sweeper(&["report", "--format", "json", "--survey", file.to_str().unwrap()]))
}

#[test]
fn the_same_survey_gives_the_same_bytes() {
    let (here, there) = (Home::new(), Home::new());
    let first = judge(&here, &here.write("survey.json", survey()));
    let second = judge(&there, &there.write("another-name.json", survey()));
    assert_eq!(first.code, Some(0), "{}", first.shown());
    assert_eq!(first.stdout, second.stdout);
    assert!(first.report().rows.len() > 20);
    // Nothing is written: no state appears beside it.
    assert!(!here.path("state").exists(), "a report of a file leaves state behind");
}

#[test]
fn a_survey_says_what_the_report_says() {
    let world = World::new();
    let live = world.report(Vec::new());
    let home = Home::new();
    let file = home.write("survey.json", survey());
    let now = now().to_string();
    let (file, policies) = (file.to_str().unwrap(), home.policies());
    let policies = policies.to_str().unwrap();
    let command =
        home.sweeper(&["report", "--format", "json", "--survey", file, "--policies", policies, "--now", &now]);
    let judged = home.wait(command);
    let rows = |ran: &Ran| -> Vec<_> {
        let report = ran.report();
        let row = |row: &crate::world::Row| (row.finding.verdict, row.finding.evidence.clone());
        report.rows.iter().map(|(key, value)| (key.clone(), row(value))).collect()
    };
    assert_eq!(rows(&live), rows(&judged));
}

/// splitmix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A clear error, or a report; never a defect.
fn survives(home: &Home, bytes: &[u8], what: &str) -> bool {
    let ran = judge(home, &home.write("survey.json", bytes));
    assert!(ran.is_sane(), "{what}: {}", ran.shown());
    match ran.code {
        Some(2) => {
            assert!(ran.stdout.is_empty() && ran.stderr.contains("survey.json"), "{what}: {}", ran.shown());
            true
        }
        Some(0 | 3) => {
            ran.report();
            false
        }
        _ => panic!("{what}: {}", ran.shown()),
    }
}

#[test]
fn a_damaged_survey_is_an_error() {
    let home = Home::new();
    let whole = survey();
    for seed in 0..60_u64 {
        let mut state = seed;
        let at = next(&mut state) as usize % whole.len();
        let mut damaged = whole.to_vec();
        // Half of them a flipped bit, half another byte: digits become other digits, letters other letters.
        if seed % 2 == 0 {
            damaged[at] ^= 1 << (next(&mut state) % 8);
        } else {
            damaged[at] = b"0123456789{}[]\",:nulltrue-e"[next(&mut state) as usize % 27];
        }
        let what = format!("seed {seed}, byte {at}");
        assert!(damaged == whole || survives(&home, &damaged, &what), "{what}: not refused");
    }
}

/// Where the numbers of a document are.
fn numbers(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Number(_) => found.push(at.to_owned()),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                numbers(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                numbers(member, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        _ => {}
    }
}

/// A survey with the seal that it should have.
fn sealed(text: &str) -> String {
    let digest = Sha256::digest(format!("{text}\n"));
    let digest = digest.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    });
    format!("{text}\n{{\"sha256\":\"{digest}\"}}\n")
}

/// Whoever changes a survey can seal it again. Most numbers stand for a text, a row or a kind that must be
/// there.
#[test]
fn a_survey_with_another_number_is_no_defect() {
    let home = Home::new();
    let first = survey().split(|byte| *byte == b'\n').next().unwrap();
    let mut whole: Value = serde_json::from_slice(first).unwrap();
    // The format comes first in the file, and a `Value` sorts.
    let format = whole.as_object_mut().unwrap().remove("format").unwrap();
    let mut places = Vec::new();
    numbers(&whole, "", &mut places);
    let (mut refused, mut judged) = (0, 0);
    for seed in 0..120_u64 {
        let mut state = seed;
        let place = &places[next(&mut state) as usize % places.len()];
        let mut damaged = whole.clone();
        let number = [u64::from(u32::MAX), 100_000, 7, 0][next(&mut state) as usize % 4];
        *damaged.pointer_mut(place).unwrap() = number.into();
        let text = damaged.to_string();
        let text = sealed(&format!("{{\"format\":{format},{}", &text[1..]));
        if survives(&home, text.as_bytes(), &format!("seed {seed}, {place} = {number}")) {
            refused += 1;
        } else {
            judged += 1;
        }
    }
    assert!(refused > 10 && judged > 10, "{refused} were refused and {judged} judged");
}

#[test]
fn a_survey_cut_short_is_an_error() {
    let home = Home::new();
    let whole = survey();
    for part in 0..20 {
        let length = whole.len() * part / 20;
        assert!(survives(&home, &whole[..length], &format!("{length} bytes")), "{length} bytes were enough");
    }
    let mut twice = whole.to_vec();
    twice.extend_from_slice(whole);
    assert!(survives(&home, &twice, "twice"), "two surveys were one");
}

#[test]
fn what_is_no_survey_is_refused() {
    let home = Home::new();
    let cases: [&[u8]; 7] = [
        b"",
        b"{}",
        b"[]",
        b"not json",
        b"\xff\xfe\x00",
        br#"{"format":"sweeper.survey/2","inventory":{}}"#,
        br#"{"format":"sweeper.report/1"}"#,
    ];
    for text in cases {
        assert!(survives(&home, text, &String::from_utf8_lossy(text)), "{text:?} was a survey");
    }
    // Deep nesting must not end the stack.
    let deep = [br#"{"format":"sweeper.survey/1","inventory":"#.to_vec(), vec![b'['; 200_000]].concat();
    assert!(survives(&home, &deep, "deep"));
}
