//! Bills as the clouds' own APIs tell them: what is asked, what it costs, and what is kept for the day.

use super::{Place, Ran};
use sweeper_emulator::{Emulator, Fault, FaultKind, Options, Org};
use tokio::runtime::Runtime;

const SUBSCRIPTION: &str = "11111111-1111-1111-1111-111111111111";

/// Compute is 100 a day and 160 in the last week; storage stays as it is.
const ORG: &str = r#"
[[account]]
id = "111111111111"

[[account]]
cloud = "azure"
id = "11111111-1111-1111-1111-111111111111"

[[account]]
cloud = "gcp"
id = "shop-prod"

[[cost]]
account = "111111111111"
service = "Compute"
first = "2026-08-01"
effective = "100"

[[cost]]
account = "111111111111"
service = "Compute"
first = "2026-10-12"
effective = "60"

[[cost]]
account = "111111111111"
service = "Storage"
first = "2026-08-01"
effective = "10"

[[cost]]
account = "111111111111"
charge = "tax"
first = "2026-10-14"
last = "2026-10-14"
effective = "19"

[[cost]]
account = "11111111-1111-1111-1111-111111111111"
service = "Virtual Machines"
currency = "EUR"
first = "2026-08-01"
effective = "7"
"#;

struct Served {
    emulator: Emulator,
    place: Place,
    _runtime: Runtime,
}

impl Served {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let options = Options::new("2026-10-20T12:00:00Z".parse().unwrap());
        let emulator = runtime.block_on(Emulator::start(Org::parse(ORG).unwrap(), options)).unwrap();
        Self { emulator, place: Place::new(), _runtime: runtime }
    }

    fn run(&self, more: &[&str]) -> Ran {
        let mut arguments = vec!["bill", "--api", "--now", "2026-10-20T12:00:00Z"];
        arguments.extend(more);
        let mut command = self.place.command(&arguments);
        command
            .env("AWS_ENDPOINT_URL", self.emulator.url())
            .env("AWS_ACCESS_KEY_ID", "AKIA111111111111X")
            .env("AWS_SECRET_ACCESS_KEY", "x")
            .env("SWEEPER_AZURE_ENDPOINT", self.emulator.url())
            .env("AZURE_SUBSCRIPTION_ID", SUBSCRIPTION)
            .env("SWEEPER_GCP_ENDPOINT", self.emulator.url())
            .env("GOOGLE_CLOUD_PROJECT", "shop-prod");
        Ran::of(&command.output().unwrap())
    }

    fn asked(&self) -> usize {
        let needs = ["ce:GetCostAndUsage", "Microsoft.CostManagement/query/action", "bigquery.jobs.create"];
        self.emulator.journal().iter().filter(|call| needs.contains(&call.permission.as_str())).count()
    }
}

#[test]
fn a_rise_is_told_without_an_export_and_paid_for_once_a_day() {
    let served = Served::new();
    let first = served.run(&["--cloud", "aws"]);
    for part in ["rise: 2026-10-12 to 2026-10-18, USD", "Compute", "+420.00", "Storage"] {
        assert!(first.ended(0).contains(part), "{part:?} is not in {}", first.out);
    }
    assert!(first.err.contains("2 requests, $0.02"), "{}", first.err);
    assert!(first.err.contains("estimated"), "{}", first.err);
    let again = served.run(&["--cloud", "aws"]);
    assert_eq!(again.ended(0), first.out);
    assert!(again.err.contains("0 requests, $0"), "{}", again.err);
    let by_account = served.run(&["--cloud", "aws", "--by", "account", "--format", "json"]);
    assert!(by_account.ended(0).contains("111111111111"), "{}", by_account.out);
    assert_eq!(served.asked(), 2);
    let refreshed = served.run(&["--cloud", "aws", "--refresh"]);
    assert_eq!((refreshed.ended(0), served.asked()), (first.out.as_str(), 4));
}

#[test]
fn another_cloud_has_its_own_answer() {
    let served = Served::new();
    let azure = served.run(&["--cloud", "azure"]);
    assert!(azure.ended(0).contains("EUR") && azure.out.contains("Virtual Machines"), "{}", azure.out);
    assert!(azure.err.contains("requests, $0"), "{}", azure.err);
    served.run(&["--cloud", "gcp"]).failed(2, &["billing_table", "--focus"]);
}

#[test]
fn what_an_api_cannot_tell_needs_an_export() {
    let served = Served::new();
    for more in [&["--explain"][..], &["--by", "resource"], &["--by", "region"]] {
        let mut arguments = vec!["--cloud", "aws"];
        arguments.extend(more);
        served.run(&arguments).failed(2, &["needs an export", "--focus"]);
    }
    served.run(&[]).failed(2, &["asks one cloud"]);
    served.run(&["--focus", "x.csv"]).failed(2, &["cannot be used with"]);
    assert_eq!(served.asked(), 0);
}

#[test]
fn no_answer_is_no_bill() {
    let served = Served::new();
    served.place.write("sweeper.toml", "[limits]\nmax_api_usd = 0.01\n");
    served.run(&["--cloud", "aws"]).failed(2, &["1 request, $0.01", "api budget spent", "max_api_usd"]);
    served.place.write("sweeper.toml", "");
    served.emulator.set_faults(vec![Fault { service: Some("ce".to_owned()), ..Fault::new(FaultKind::Denied) }]);
    served.run(&["--cloud", "aws"]).failed(3, &["denied ce:GetCostAndUsage", "sweeper permissions --cloud aws --bill"]);
    served.emulator.set_faults(Vec::new());
    // Nothing of the above was kept.
    assert!(served.run(&["--cloud", "aws"]).ended(0).contains("+420.00"));
    let role = served.place.run(&["permissions", "--cloud", "aws", "--bill"]);
    assert!(role.ended(0).contains("ce:GetCostAndUsage"), "{}", role.out);
    assert!(!served.place.run(&["permissions", "--cloud", "aws"]).ended(0).contains("ce:GetCostAndUsage"));
}
