//! The binary over clouds that are served on this machine: several at once, one of them away, regions, rights.

use super::{Place, Ran};
use std::{fmt::Write as _, fs};
use sweeper_core::report::Document;
use sweeper_emulator::{Emulator, Fault, FaultKind, Options, Org};
use tokio::runtime::Runtime;

const ORG: &str = r#"
[[account]]
cloud = "azure"
id = "11111111-1111-1111-1111-111111111111"
name = "shop"

[[account]]
cloud = "gcp"
id = "shop-prod"
number = "222222222222"
name = "shop"

[[resource]]
kind = "azure.compute-disk"
id = "old-data"
group = "shop-rg"
region = "westeurope"
created = "-100d"

[[resource]]
kind = "azure.compute-disk"
id = "older-data"
group = "shop-rg"
region = "northeurope"
created = "-100d"

[[resource]]
kind = "gcp.compute-disk"
id = "old-data"
region = "europe-west1-b"
created = "-100d"

[[resource]]
kind = "gcp.compute-disk"
id = "older-data"
region = "us-central1-a"
created = "-100d"
"#;

const POLICIES: &str = "[[policy]]\nname = \"unattached-disks\"\nsweep = \"unattached-disk\"\n";

struct Served {
    emulator: Emulator,
    place: Place,
    _runtime: Runtime,
}

impl Served {
    fn new(faults: &[(FaultKind, &str)]) -> Self {
        let faults = faults
            .iter()
            .map(|(kind, permission)| Fault { permission: Some((*permission).to_owned()), ..Fault::new(*kind) })
            .collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let org = Org::parse(ORG).unwrap();
        let emulator = runtime.block_on(Emulator::start(org, Options { faults, ..Options::default() })).unwrap();
        let place = Place::new();
        place.write("policies.toml", POLICIES);
        Self { emulator, place, _runtime: runtime }
    }

    /// With the endpoints of both clouds in the environment, unless one is given elsewhere.
    fn run(&self, arguments: &[&str], elsewhere: &[(&str, &str)]) -> Ran {
        let mut all = arguments.to_vec();
        all.extend(["--policies", "policies.toml", "--state", "memory:"]);
        let mut command = self.place.command(&all);
        command
            .env("SWEEPER_AZURE_ENDPOINT", self.emulator.url())
            .env("AZURE_SUBSCRIPTION_ID", "11111111-1111-1111-1111-111111111111")
            .env("SWEEPER_GCP_ENDPOINT", self.emulator.url())
            .env("GOOGLE_CLOUD_PROJECT", "shop-prod")
            .envs(elsewhere.iter().copied());
        Ran::of(&command.output().unwrap())
    }

    /// The found resources of a report that ended so, as kind and place.
    fn found(&self, code: i32, arguments: &[&str], elsewhere: &[(&str, &str)]) -> (Vec<String>, Document) {
        let mut all = vec!["report", "--format", "json"];
        all.extend(arguments);
        let ran = self.run(&all, elsewhere);
        let document: Document = serde_json::from_str(ran.ended(code)).unwrap();
        let found = document.findings.iter().map(|finding| {
            assert_eq!(finding.verdict.name(), "found", "{finding:?}");
            format!("{} {}", finding.resource.kind, finding.resource.region)
        });
        (found.collect(), document)
    }
}

const ALL: [&str; 4] = [
    "azure.compute-disk northeurope",
    "azure.compute-disk westeurope",
    "gcp.compute-disk europe-west1-b",
    "gcp.compute-disk us-central1-a",
];

#[test]
fn one_report_over_several_clouds() {
    let served = Served::new(&[]);
    let (found, _) = served.found(0, &[], &[]);
    assert_eq!(found, ALL);
    assert_eq!(served.found(0, &["--cloud", "gcp"], &[]).0, ALL[2..]);
    // A flag for one cloud means that cloud alone.
    assert_eq!(served.found(0, &["--project", "shop-prod"], &[]).0, ALL[2..]);
    assert_eq!(served.found(0, &["--subscription", "11111111-1111-1111-1111-111111111111"], &[]).0, ALL[..2]);
    let table = served.run(&["report"], &[]);
    for word in ["CLOUD", "azure 1 subscription, gcp 1 project", "shop-rg/old-data"] {
        assert!(table.ended(0).contains(word), "{word}: {}", table.out);
    }
    assert!(!table.out.contains("/subscriptions/"), "{}", table.out);
    assert!(table.err.contains("azure: shop 11111111-1111-1111-1111-111111111111; gcp: shop"), "{}", table.err);
}

#[test]
fn a_region_has_its_zones() {
    let served = Served::new(&[]);
    assert_eq!(served.found(0, &["--region", "europe-west1"], &[]).0, ALL[2..3]);
    assert_eq!(served.found(0, &["--region", "us-central1-a,westeurope"], &[]).0, [ALL[1], ALL[3]]);
    served.place.write("sweeper.toml", "[azure]\nregions = [\"westeurope\"]\n");
    assert_eq!(served.found(0, &[], &[]).0, [ALL[1], ALL[2], ALL[3]]);
}

#[test]
fn a_cloud_that_is_away_is_blind_and_the_rest_goes_on() {
    let served = Served::new(&[]);
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dead = format!("http://{dead}");
    let (found, document) = served.found(3, &[], &[("SWEEPER_GCP_ENDPOINT", &dead)]);
    assert_eq!(found, ALL[..2]);
    let blind: Vec<&str> = document
        .coverage
        .iter()
        .filter(|seen| seen.status.name() == "blind")
        .map(|seen| seen.account.as_str())
        .collect();
    assert!(!blind.is_empty() && blind.iter().all(|account| *account == "-"), "{:?}", document.coverage);
    let said = served.run(&["report"], &[("SWEEPER_GCP_ENDPOINT", &dead)]);
    assert!(said.ended(3).contains("gcp cannot be looked at: unreachable"), "{said:?}");
}

#[test]
fn ids_of_every_cloud_are_explained() {
    let served = Served::new(&[]);
    let id = "/SUBSCRIPTIONS/11111111-1111-1111-1111-111111111111/resourcegroups/shop-rg/providers/microsoft.compute/disks/old-data";
    let id = id.replacen("/SUBSCRIPTIONS/", "/subscriptions/", 1);
    let ran = served.run(&["explain", &id], &[]);
    assert!(ran.ended(0).contains("unattached-disk"), "{ran:?}");
    let ran = served.run(&["explain", "older-data"], &[]);
    assert!(ran.ended(0).contains("gcp.compute-disk"), "{ran:?}");
    served.run(&["explain", "no-such-disk-1"], &[]).failed(2, &["nothing seen is called `no-such-disk-1`"]);
}

#[test]
fn the_doctor_names_what_is_missing_and_the_fix() {
    let served = Served::new(&[]);
    let well = served.run(&["doctor"], &[]);
    assert_eq!(well.code, Some(0), "{}{}", well.out, well.err);
    let lost = [
        ("azure", "Microsoft.Compute/disks/read", "az role assignment create"),
        ("gcp", "compute.disks.list", "gcloud projects add-iam-policy-binding shop-prod"),
    ];
    for (cloud, permission, fix) in lost {
        let served = Served::new(&[(FaultKind::Denied, permission)]);
        let ran = served.run(&["doctor", "--cloud", cloud, "--write-waivers", "waivers.toml"], &[]);
        for word in [&format!("missing {permission}"), "blinds unattached-disk", fix, "not seen"] {
            assert!(ran.ended(3).contains(word), "{word}: {}", ran.out);
        }
        let waivers = fs::read_to_string(served.place.path("waivers.toml")).unwrap();
        assert!(waivers.contains(&format!("denied {permission}")), "{waivers}");
        // Nobody has said yet why that is accepted.
        served.place.write("sweeper.toml", &waivers);
        served.run(&["report"], &[]).failed(2, &["`reason` is empty"]);
        served.place.write("sweeper.toml", &waivers.replace("reason = \"\"", "reason = \"the vendor's\""));
        served.run(&["report", "--cloud", cloud], &[]).ended(0);
    }
}

/// 45 days until three days ago: a disk at 1.20 a day, and traffic that doubled five days before.
fn bill() -> String {
    let mut text =
        "BilledCost,EffectiveCost,ListCost,ContractedCost,PricingQuantity,BillingCurrency,ChargeCategory,ChargeClass,\
                    ChargePeriodStart,ChargePeriodEnd,ServiceName,SubAccountId,BillingAccountId,ProviderName,RegionId,\
                    ResourceId,SkuPriceId,CommitmentDiscountId,CommitmentDiscountStatus\n"
            .to_owned();
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    let subscription = "11111111-1111-1111-1111-111111111111";
    let disk =
        format!("/subscriptions/{subscription}/resourcegroups/shop-rg/providers/microsoft.compute/disks/old-data");
    for back in (3..48).rev() {
        let day = today.checked_sub(jiff::Span::new().days(back)).unwrap();
        let next = day.tomorrow().unwrap();
        let traffic = if back < 8 { "200" } else { "100" };
        for (cost, service, resource) in [("1.2", "Storage", disk.as_str()), (traffic, "Bandwidth", "")] {
            writeln!(
                text,
                "{cost},{cost},{cost},{cost},1,USD,Usage,,{day}T00:00:00Z,{next}T00:00:00Z,{service},{subscription},\
                 payer,Microsoft,westeurope,{resource},{service}-sku,,"
            )
            .unwrap();
        }
    }
    text
}

#[test]
fn a_bill_prices_what_is_found_and_is_watched() {
    let served = Served::new(&[]);
    let watch = "[[policy]]\nname = \"rises\"\nsweep = \"bill-delta\"\nseverity = \"page\"\n";
    served.place.write("policies.toml", &(POLICIES.to_owned() + watch));
    served.place.write("bill.csv", &bill());
    served.place.write("sweeper.toml", "[bill]\nfocus = [\"bill.csv\"]\n");
    let (_, document) = served.found(0, &[], &[]);
    let told = document.watches.first().unwrap();
    assert_eq!((told.policy.as_str(), told.outcome.name(), told.subject.as_str()), ("rises", "alert", "Bandwidth"));
    assert_eq!(told.currency, "USD");
    let costs = document.findings.iter().map(|finding| {
        let cost = &finding.monthly_cost;
        let amount = cost.amount.map_or_else(|| "-".to_owned(), |amount| amount.to_string());
        format!("{} {amount} {}", finding.resource.region, cost.basis.name())
    });
    assert!(costs.clone().any(|cost| cost == "westeurope 36.5 effective"), "{:?}", costs.collect::<Vec<_>>());
    let table = served.run(&["report"], &[]);
    assert!(table.ended(0).contains("page: rises of Bandwidth: "), "{}", table.out);
    let page = served.run(&["report", "--fail-on", "page"], &[]);
    assert!(page.ended(4).contains("not explained"), "{}", page.out);
    // The same bill alone, without a flag.
    let bill = Ran::of(&served.place.command(&["bill"]).output().unwrap());
    assert!(bill.ended(0).contains("Bandwidth"), "{}", bill.out);
}

#[test]
fn a_bill_that_cannot_be_read_is_unknown_and_never_nothing() {
    let served = Served::new(&[]);
    let watch = "[[policy]]\nname = \"rises\"\nsweep = \"bill-delta\"\n";
    served.place.write("policies.toml", &(POLICIES.to_owned() + watch));
    served.place.write("sweeper.toml", "[bill]\nfocus = [\"gone.csv\"]\n");
    let (found, document) = served.found(3, &[], &[]);
    assert_eq!(found, ALL, "what is found is found without it");
    let told = document.watches.first().unwrap();
    assert_eq!((told.outcome.name(), told.amount), ("unknown", None));
    assert!(told.says.contains("gone.csv"), "{}", told.says);
    assert!(document.run.exit.iter().any(|cause| cause.code == 3 && cause.cause.contains("`rises`")));
    // Where there is none, that is said, and nothing is told of it.
    served.place.write("sweeper.toml", "");
    let none = served.run(&["report"], &[]);
    assert!(none.ended(0).contains("not judged, since there is no bill: rises"), "{}", none.out);
    assert_eq!(served.found(0, &[], &[]).1.watches, []);
    served.place.write("sweeper.toml", "[bill]\nfocus = \"bill.csv\"\nlagg = 2\nfloor = -1\n");
    let wrong = served.run(&["report"], &[]);
    wrong.failed(2, &["`focus` is a list of strings", "did you mean `lag`?", "`floor` is an amount a day"]);
}
