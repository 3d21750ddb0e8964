//! Leases of ephemeral environments, from outside.

use super::{Place, Ran};
use serde_json::Value;
use std::fs;

fn grant(place: &Place, arguments: &[&str]) -> Ran {
    let all = [&["lease", "grant", "pr-1234", "--owner", "a@example.com", "--state", "state.db"], arguments].concat();
    place.run(&all)
}

fn list(place: &Place, more: &[&str]) -> Value {
    let ran = place.run(&[&["lease", "list", "--format", "json", "--state", "state.db"], more].concat());
    serde_json::from_str(ran.ended(0)).unwrap()
}

fn token(ran: &Ran) -> String {
    let line = ran.out.lines().find_map(|line| line.strip_prefix("token ")).unwrap_or_else(|| panic!("{ran:?}"));
    assert!(line.len() == 64 && line.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
    line.to_owned()
}

#[test]
fn a_lease_is_granted_renewed_listed_and_released() {
    let place = Place::new();
    let granted = grant(&place, &["--for", "8h", "--select", "env=pr-1234", "--account", "aws:111122223333"]);
    let out = granted.ended(0);
    assert!(out.starts_with("lease pr-1234\ntag   sweeper-lease=pr-1234\nuntil 20"), "{out}");
    let secret = token(&granted);
    let known = list(&place, &[]);
    let lease = &known["leases"][0];
    assert_eq!(
        (&known["format"], &lease["state"], &lease["missed"]),
        (&"sweeper.leases/1".into(), &"live".into(), &3.into())
    );
    assert_eq!((&lease["tags"]["env"], &lease["accounts"][0]), (&"pr-1234".into(), &"aws:111122223333".into()));
    assert!(!known.to_string().contains(&secret));
    let again = grant(&place, &["--for", "1h"]);
    again.failed(2, &["there is a lease `pr-1234` already", "sweeper lease renew pr-1234"]);

    let renew =
        |arguments: &[&str]| place.run(&[&["lease", "renew", "pr-1234", "--state", "state.db"], arguments].concat());
    renew(&["--for", "2d"]).ended(0);
    renew(&["--for", "15d"]).failed(2, &["longer than 14 days", "max_length"]);
    renew(&["--until", "2020-01-01"]).failed(2, &["its end is over already"]);
    let other = renew(&["--for", "2d", "--new-token"]);
    other.ended(0);
    assert_ne!(token(&other), secret);
    let filed = renew(&["--for", "2d", "--new-token", "--token-file", "token"]);
    assert_eq!(filed.ended(0), "", "a token in a file is shown nowhere else");
    assert_eq!(fs::read_to_string(place.path("token")).unwrap().len(), 65);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(place.path("token")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    place.run(&["lease", "release", "pr-1234", "--state", "state.db"]).ended(0);
    assert_eq!(list(&place, &[])["leases"], Value::Array(Vec::new()));
    let ended = list(&place, &["--all"]);
    assert_eq!((&ended["leases"][0]["state"], &ended["leases"][0]["why"]), (&"ended".into(), &"released".into()));
    renew(&["--for", "1h"]).failed(2, &["the lease `pr-1234` ended", "released", "grants it anew"]);
    let text = place.run(&["lease", "list", "--all", "--state", "state.db"]);
    assert!(text.ended(0).contains("covers env=pr-1234, sweeper-lease=pr-1234, aws:111122223333"), "{}", text.out);
    grant(&place, &["--for", "1h"]).ended(0);
}

#[test]
fn what_is_no_lease_is_said() {
    let place = Place::new();
    grant(&place, &[]).failed(2, &["--for"]);
    grant(&place, &["--for", "1h", "--until", "2999-01-01"]).failed(2, &["cannot be used with"]);
    grant(&place, &["--for", "soon"]).failed(2, &["a length of time"]);
    grant(&place, &["--until", "01/02/2027"]).failed(2, &["a date, `2027-01-31`"]);
    grant(&place, &["--for", "1h", "--select", "env"]).failed(2, &["a tag, `key=value`"]);
    grant(&place, &["--for", "1h", "--select", "a=b", "--select", "a=c"]).failed(2, &["`a` is selected twice"]);
    grant(&place, &["--for", "15d"]).failed(2, &["may not run longer than 14 days"]);
    grant(&place, &["--for", "1h", "--max", "15d"]).failed(2, &["no lease may run longer than 14 days"]);
    grant(&place, &["--for", "1h", "--heartbeat", "1s"]).failed(2, &["every 10 seconds at most"]);
    let named = |id: &str| place.run(&["lease", "grant", id, "--owner", "a", "--for", "1h", "--state", "state.db"]);
    named("PR_1").failed(2, &["`PR_1` is no id"]);
    named("a\u{1b}[31m").failed(2, &["is no id"]);
    assert!(!named("a\u{1b}[31m").err.contains('\u{1b}'));
    place
        .run(&["lease", "grant", "x", "--owner", "a", "--for", "1h", "--state", "memory:"])
        .failed(2, &["forgotten at once"]);
    place.run(&["lease", "list", "--state", "none.db"]).failed(2, &["there is no state yet"]);
    assert!(!place.path("none.db").exists(), "looking makes none");
    assert!(!grant(&place, &["--for", "1h"]).out.is_empty());
    for command in [&["renew", "gone", "--for", "1h"][..], &["release", "gone"]] {
        place.run(&[&["lease"], command, &["--state", "state.db"]].concat()).failed(2, &["there is no lease `gone`"]);
    }
    place.write("sweeper.toml", "[leases]\nmax_lenght = \"7d\"\nskew = \"2d\"\n");
    grant(&place, &["--for", "1h"]).failed(2, &["did you mean `max_length`?", "apart by a day at most"]);
    place.write("sweeper.toml", "[leases]\nmax_length = \"1d\"\nheartbeat = \"5m\"\nmissed = 1\n");
    let own = place.run(&["lease", "grant", "--owner", "b", "--for", "25h", "--state", "state.db"]);
    own.failed(2, &["may not run longer than 1 day"]);
    let own = ["lease", "grant", "--owner", "b", "--for", "1h", "--format", "json", "--state", "state.db"];
    let own: Value = serde_json::from_str(place.run(&own).ended(0)).unwrap();
    let lease = &own["leases"][0];
    assert!(lease["id"].as_str().unwrap().starts_with("env-") && lease["token"].is_string(), "{lease}");
    assert_eq!((&lease["heartbeat_seconds"], &lease["missed"]), (&300.into(), &1.into()));
}

#[test]
fn a_lease_that_cannot_be_read_is_said_and_ends_with_8() {
    let place = Place::new();
    place.write("state.db", "no database");
    place.run(&["lease", "list", "--state", "state.db"]).failed(8, &[]);
}
