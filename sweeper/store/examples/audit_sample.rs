//! Writes a small audit log into a directory, for the independent verifier's test.

#![expect(clippy::unwrap_used, reason = "a tool of the tests")]

use std::{path::Path, sync::Arc};
use sweeper_core::{
    audit::{Event, Identity, Intent, Millis, Origin, Outcome, OutcomeResult, Trail, TrailConfig},
    model::CloudId,
    note::Signer,
    store::MemoryStore,
};
use sweeper_store::FileLog;

fn main() {
    let directory = std::env::args().nth(1).unwrap();
    let log = Arc::new(FileLog::open(Path::new(&directory)).unwrap());
    let signer = Signer::generate("sweeper/sample", &[7; 32]).unwrap();
    std::fs::write(Path::new(&directory).join("public-key"), format!("{}\n", signer.verifier())).unwrap();
    let config = TrailConfig {
        origin: Origin::new("5f0c5f2e6d0b4c1e9f430d6a4d3d6a11", "main"),
        run: "run-1".to_owned(),
        epoch: 1,
        signer,
        earlier: Vec::new(),
        every: 5,
    };
    let start = 1_795_176_000_000;
    let (trail, _) = Trail::open(log, Arc::new(MemoryStore::new()), config, Millis(start)).unwrap();
    for item in 1..=6_u32 {
        let resource = Identity {
            kind: "aws.ec2-volume".to_owned(),
            cloud: CloudId::Aws,
            account: "111111111111".to_owned(),
            region: "eu-west-1".to_owned(),
            native_id: format!("vol-{item:017}"),
            uid: format!("vol-{item:017}"),
            name: Some("=HYPERLINK(\"x\")\u{1b}[31m".to_owned()),
            created: None,
        };
        let intent = Intent {
            action: "delete".to_owned(),
            resource: resource.clone(),
            fingerprint: None,
            cascade: Vec::new(),
            approved_by: vec!["alice@example.com".to_owned()],
            monthly_cost: None,
            token: None,
        };
        let outcome = Outcome {
            action: "delete".to_owned(),
            resource,
            result: OutcomeResult::Confirmed,
            request_id: Some(format!("req-{item}")),
            approved_by: vec!["alice@example.com".to_owned()],
            monthly_cost: None,
            kept: None,
        };
        let at = Millis(start + i64::from(item) * 1000);
        trail.record(at, Event::new(intent).of_item("0123456789abcdef", item)).unwrap();
        trail.record(at, Event::new(outcome).of_item("0123456789abcdef", item)).unwrap();
    }
    trail.flush().unwrap();
}
