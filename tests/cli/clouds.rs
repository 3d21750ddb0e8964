//! Endpoints that are none, dead, or speak something else; and what `doctor` says of them.

use super::Place;
use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    time::{Duration, Instant},
};
use sweeper_core::report::Document;

/// Clouds of this build whose endpoint is a variable of ours.
const CLOUDS: &[(&str, &str, &str, &str)] = &[
    #[cfg(feature = "azure")]
    ("azure", "SWEEPER_AZURE_ENDPOINT", "AZURE_SUBSCRIPTION_ID", "11111111-1111-1111-1111-111111111111"),
    #[cfg(feature = "gcp")]
    ("gcp", "SWEEPER_GCP_ENDPOINT", "GOOGLE_CLOUD_PROJECT", "shop-prod"),
];

/// Answers every connection with some bytes.
fn answering(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(bytes);
        }
    });
    format!("http://{address}")
}

const HTML: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\nconnection: close\r\n\r\n<html></html>";

#[test]
fn an_endpoint_elsewhere_is_refused() {
    for (cloud, variable, account, id) in CLOUDS {
        for endpoint in ["http://203.0.113.7:80", "https://management.azure.com", "nonsense"] {
            let place = Place::new();
            let mut command = place.command(&["report", "--format", "json", "--cloud", cloud]);
            let output = command.env(variable, endpoint).env(account, id).output().unwrap();
            let ran = super::Ran::of(&output);
            assert_eq!(ran.code, Some(2), "{cloud} {endpoint}: {ran:?}");
            assert_eq!(ran.out, "", "{cloud} {endpoint}");
        }
    }
}

/// Nothing can be seen: a report that says so, in time.
#[test]
fn an_endpoint_that_is_no_cloud_is_blind() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoints =
        [format!("http://{dead}"), answering(HTML), answering(b"SSH-2.0-OpenSSH_9.9\r\n"), answering(b"\0\0\0")];
    for (cloud, variable, account, id) in CLOUDS {
        for endpoint in &endpoints {
            let place = Place::new();
            place.write("sweeper.toml", "[limits]\ntries = 2\n");
            let mut command = place.command(&["report", "--format", "json", "--cloud", cloud]);
            let started = Instant::now();
            let output = command.env(variable, endpoint).env(account, id).output().unwrap();
            let ran = super::Ran::of(&output);
            assert!(started.elapsed() < Duration::from_secs(20), "{cloud} {endpoint} took {:?}", started.elapsed());
            let document: Document = serde_json::from_str(ran.ended(3)).unwrap();
            assert_eq!(document.findings, [], "{cloud} {endpoint}");
            let mut coverage = document.coverage.iter();
            assert!(!document.coverage.is_empty(), "{cloud} {endpoint}: nothing is said");
            assert!(coverage.all(|seen| seen.status.name() == "blind"), "{cloud} {endpoint}: {:?}", document.coverage);
        }
    }
}

#[test]
fn the_doctor_says_what_is_wrong_and_proposes_no_waiver_twice() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (cloud, variable, account, id) in CLOUDS {
        let place = Place::new();
        place.write("sweeper.toml", "[limits]\ntries = 2\n");
        let doctor = |more: &[&str]| {
            let mut arguments = vec!["doctor", "--cloud", cloud, "--state", "memory:"];
            arguments.extend(more);
            let mut command = place.command(&arguments);
            let output = command.env(variable, format!("http://{dead}")).env(account, id).output().unwrap();
            super::Ran::of(&output)
        };
        let ran = doctor(&["--write-waivers", "waivers.toml"]);
        for word in [*cloud, "state", "memory:", "not everything is seen"] {
            assert!(ran.ended(3).contains(word), "{word}: {ran:?}");
        }
        doctor(&["--write-waivers", "waivers.toml"]).failed(2, &["is there already"]);
        let ran = doctor(&["--format", "json"]);
        let found: serde_json::Value = serde_json::from_str(ran.ended(3)).unwrap();
        assert_eq!((&found["format"], &found["healthy"]), (&"sweeper.doctor/1".into(), &false.into()));
        assert_eq!(found["clouds"][0]["cloud"], *cloud);
    }
}
