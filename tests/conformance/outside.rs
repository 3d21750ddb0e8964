//! No credentials, no endpoint, no name.

use crate::world::{Home, Ran, SECRET_KEY};
use std::{net::TcpListener, process::Command, time::Duration};

const BOUND: Duration = Duration::from_secs(30);

fn credentials(command: &mut Command, endpoint: &str) {
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "AKIA111111111111X")
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
}

/// It ends in time, says why, and leaves no report that looks complete.
fn named(ran: &Ran, what: &str) {
    assert!(ran.is_sane() && ran.took < BOUND, "{what}: {}", ran.shown());
    assert!(matches!(ran.code, Some(2 | 3)), "{what}: {}", ran.shown());
    assert!(ran.stdout.is_empty(), "{what}: a report of nothing: {}", ran.shown());
    assert!(ran.stderr.contains("error: "), "{what}: {}", ran.shown());
}

/// It ends in time with a report in which nothing was seen, and says why.
fn blind(ran: &Ran, what: &str) {
    assert!(ran.is_sane() && ran.took < BOUND, "{what}: {}", ran.shown());
    assert_eq!(ran.code, Some(3), "{what}: {}", ran.shown());
    let report = ran.report();
    assert!(report.document.findings.is_empty(), "{what}: {}", ran.shown());
    let coverage = &report.document.coverage;
    assert!(!coverage.is_empty() && coverage.iter().all(|seen| seen.status.name() == "blind" && seen.account == "-"));
    assert!(ran.stderr.contains("aws cannot be looked at: "), "{what}: {}", ran.shown());
}

#[test]
fn without_credentials() {
    let home = Home::new();
    let ran = home.wait(home.sweeper(&["report", "--format", "json"]));
    named(&ran, "no credentials");
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
    for word in ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "aws sso login"] {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.shown());
    }
}

#[test]
fn with_a_profile_that_is_not_there() {
    let home = Home::new();
    let mut command = home.sweeper(&["report", "--format", "json"]);
    command.env("AWS_PROFILE", "nobody");
    let ran = home.wait(command);
    named(&ran, "no such profile");
    assert_eq!(ran.code, Some(2), "{}", ran.shown());
}

#[test]
fn without_an_endpoint() {
    // A port that was free a moment ago, and that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = Home::new();
    let mut command = home.sweeper(&["report", "--format", "json"]);
    credentials(&mut command, &format!("http://127.0.0.1:{port}"));
    let ran = home.wait(command);
    blind(&ran, "closed port");
    assert!(ran.stderr.contains("unreachable"), "{}", ran.shown());
}

#[test]
fn without_a_name() {
    let home = Home::new();
    let mut command = home.sweeper(&["report", "--format", "json"]);
    // RFC 6761: never there.
    credentials(&mut command, "http://no-such-host.invalid");
    let ran = home.wait(command);
    blind(&ran, "no such host");
    assert!(ran.stderr.contains("unreachable"), "{}", ran.shown());
}

/// Something listens and never says a word.
#[test]
fn without_a_word() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let home = Home::new();
    home.write("sweeper.toml", "[limits]\ncall_timeout = \"1s\"\ntries = 2\n");
    let mut command = home.sweeper(&["report", "--format", "json"]);
    credentials(&mut command, &format!("http://{}", silent.local_addr().unwrap()));
    let ran = home.wait(command);
    blind(&ran, "silence");
}

/// Something listens and speaks another protocol.
#[test]
fn with_another_protocol() {
    use std::io::{Read as _, Write as _};
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in other.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n");
        }
    });
    let home = Home::new();
    let mut command = home.sweeper(&["report", "--format", "json"]);
    credentials(&mut command, &format!("http://{address}"));
    blind(&home.wait(command), "another protocol");
}

#[test]
fn with_an_endpoint_that_is_none() {
    for endpoint in ["", "nonsense", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "//"] {
        let home = Home::new();
        let mut command = home.sweeper(&["report", "--format", "json"]);
        credentials(&mut command, endpoint);
        named(&home.wait(command), &format!("endpoint {endpoint:?}"));
    }
}
