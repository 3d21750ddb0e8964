//! What must stay in the cloud stays there.

use crate::world::{HUB, SECRET_KEY, World, organisation};
use std::fs;

/// Base64 of a text in each of the three ways in which it may stand in a longer one.
fn base64(text: &str) -> Vec<String> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    (0..3)
        .map(|offset| {
            let bytes = [vec![0; offset], text.as_bytes().to_vec()].concat();
            let digits = bytes.chunks_exact(3).flat_map(|three| {
                let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
                [bits >> 18, bits >> 12, bits >> 6, bits].map(|digit| char::from(DIGITS[digit & 63]))
            });
            // The first digits also hold bits of whatever came before.
            digits.skip(if offset == 0 { 0 } else { 4 }).collect()
        })
        .collect()
}

#[test]
fn canaries_are_never_seen() {
    let planted = format!("{:?}", organisation());
    let canaries: Vec<&str> =
        ["canary-function", "canary-task", "canary-template", "canary-configuration"].into_iter().collect();
    for canary in &canaries {
        assert!(planted.contains(canary), "{canary} is not in the organisation");
    }
    let mut hidden: Vec<String> = canaries.iter().map(|canary| (*canary).to_owned()).collect();
    hidden.extend(["canary-", SECRET_KEY].map(str::to_owned));
    hidden.extend(canaries.iter().flat_map(|canary| base64(canary)));

    let world = World::new();
    let path = world.home.path("survey.json");
    let survey = path.to_str().unwrap();
    let mut seen = Vec::new();
    for (name, arguments) in [
        ("report", vec!["report", "--all-kinds", "--all", "--format", "json"]),
        ("table", vec!["report", "--all-kinds", "--all"]),
        ("survey", vec!["survey", "--all-kinds", "--output", survey]),
    ] {
        let mut command = world.sweeper(&arguments);
        // Whoever looks for trouble turns everything on.
        command.env("RUST_LOG", "trace").env("SWEEPER_LOG", "trace");
        let ran = world.run(command);
        assert_eq!(ran.code, Some(0), "{name}: {}", ran.shown());
        seen.push((format!("{name} stdout"), ran.stdout));
        seen.push((format!("{name} stderr"), ran.stderr.into_bytes()));
    }
    seen.push(("survey file".to_owned(), fs::read(&path).unwrap()));
    for (place, bytes) in &seen {
        let text = String::from_utf8_lossy(bytes);
        for secret in &hidden {
            assert!(!text.contains(secret.as_str()), "{secret} is in the {place}");
        }
    }
    let survey = &seen.last().unwrap().1;
    assert!(survey.len() > 10_000 && String::from_utf8_lossy(survey).contains(HUB), "the survey is one");
}

#[cfg(unix)]
#[test]
fn files_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let (survey, report) = (world.home.path("survey.json"), world.home.path("report.json"));
    let commands = [
        world.sweeper(&["survey", "--output", survey.to_str().unwrap()]),
        world.sweeper(&["report", "--format", "json", "--output", report.to_str().unwrap()]),
    ];
    for command in commands {
        let ran = world.run(command);
        assert_eq!(ran.code, Some(0), "{}", ran.shown());
    }
    for path in [survey, report] {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
}
