use super::*;
use crate::{
    facts::{Bucket, Disk, DiskState},
    intern::Sym,
    inventory::{Draft, InventoryBuilder},
    kind::{KindSpec, Places},
    model::{Class, Scope},
    testing::NOW,
};
use proptest::prelude::*;

const fn kind(id: &'static str, cloud: CloudId, class: Class) -> KindSpec {
    KindSpec {
        id,
        cloud,
        class,
        title: id,
        places: Places::Regions,
        reads: &["test:List"],
        asks: &[],
        refers: &[],
        needs: &[],
        out_of_sight: &[],
        advised: "",
        report_only: "",
        acts: &[],
    }
}

static VOLUME: KindSpec = kind("aws.ec2-volume", CloudId::Aws, Class::Disk);
static DATABASE: KindSpec = kind("aws.rds-instance", CloudId::Aws, Class::Disk);
static LOGS: KindSpec = kind("aws.logs-group", CloudId::Aws, Class::Disk);
static AZURE: KindSpec = kind("azure.compute-disk", CloudId::Azure, Class::Disk);
static GCP: KindSpec = kind("gcp.compute-disk", CloudId::Gcp, Class::Disk);
static KINDS: &[&KindSpec] = &[&VOLUME, &DATABASE, &LOGS, &AZURE, &GCP];

/// One resource in account 111111111111 (of Google Cloud `shop`) and region eu-west-1.
fn inventory(spec: &'static KindSpec, draft: Draft<'_>) -> Inventory {
    let mut builder = InventoryBuilder::new(KINDS);
    let account = if spec.cloud == CloudId::Gcp { "shop" } else { "111111111111" };
    let mut listing = builder.listing(spec, &Scope::new(spec.cloud, account, "eu-west-1"));
    listing.push(draft);
    builder.complete(listing, 1);
    builder.build()
}

fn disk() -> Disk {
    Disk {
        state: DiskState::Available,
        size_gib: 1,
        tier: Sym::NONE,
        iops: None,
        throughput: None,
        source_snapshot: Sym::NONE,
        attachments: 0,
        last_attached: None,
    }
}

fn entry(id: &str) -> Entry {
    Entry {
        id: id.to_owned(),
        address: "aws_ebs_volume.data".to_owned(),
        stack: "prod/network".to_owned(),
        tool: "terraform".to_owned(),
    }
}

fn index(entries: Vec<Entry>) -> IacIndex {
    IacIndex::new(NOW, "test".to_owned(), false, entries)
}

fn written(index: &IacIndex) -> String {
    let mut bytes = Vec::new();
    index.write(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn is_managed(id: &str, spec: &'static KindSpec, draft: Draft<'_>) -> bool {
    let inventory = inventory(spec, draft);
    let resource = inventory.resources().next().unwrap();
    let index = index(vec![entry("other"), entry(id)]);
    let found = index.managed(resource).cloned();
    let mut iac = iac(vec![Outcome::Index(index)]);
    iac.keep_only(&inventory);
    assert_eq!(iac.managed(resource).cloned(), found, "sealing changes no answer");
    found.is_some()
}

fn iac(outcomes: Vec<Outcome>) -> Iac {
    let sources = outcomes.into_iter().map(|outcome| Source { path: "iac-index.json".to_owned(), outcome }).collect();
    Iac { clouds: BTreeSet::new(), max_age: DEFAULT_MAX_AGE, sources }
}

#[test]
fn ids_are_compared_as_their_clouds_do() {
    let volume = || Draft::new("vol-0a", disk());
    for (id, is) in [
        ("vol-0a", true),
        ("arn:aws:ec2:eu-west-1:111111111111:volume/vol-0a", true),
        ("arn:aws-cn:ec2:eu-west-1:111111111111:volume/vol-0a", true),
        ("arn:aws:ec2:eu-west-1:222222222222:volume/vol-0a", false),
        ("arn:aws:ec2:us-east-1:111111111111:volume/vol-0a", false),
        ("arn:aws:rds:eu-west-1:111111111111:db:vol-0a", false),
        ("vol-0", false),
        ("VOL-0A", false),
        ("b/vol-0a", false),
    ] {
        assert_eq!(is_managed(id, &VOLUME, volume()), is, "{id}");
    }
    // A resource that tells its ARN is told apart by it, and another account's of the same name is another.
    let arn = "arn:aws:logs:eu-west-1:111111111111:log-group:/app/web";
    let logs = || Draft { uid: arn, ..Draft::new("/app/web", disk()) };
    assert!(is_managed(arn, &LOGS, logs()) && is_managed(&format!("{arn}:*"), &LOGS, logs()));
    assert!(!is_managed("arn:aws:logs:eu-west-1:222222222222:log-group:/app/web", &LOGS, logs()));
    // One that does not is known by its account, region, service and name.
    let database = || Draft { uid: "db-ABC", ..Draft::new("shop", disk()) };
    assert!(is_managed("arn:aws:rds:eu-west-1:111111111111:db:shop", &DATABASE, database()));
    assert!(is_managed("db-ABC", &DATABASE, database()));
    assert!(!is_managed("arn:aws:rds:eu-west-1:111111111111:db:shop-2", &DATABASE, database()));
    // ARM ids have no case.
    let azure = || Draft::new("/subscriptions/s/resourcegroups/rg/providers/microsoft.compute/disks/d", disk());
    assert!(is_managed("/subscriptions/S/resourceGroups/RG/providers/Microsoft.Compute/disks/D/", &AZURE, azure()));
    assert!(!is_managed("/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/disks/d2", &AZURE, azure()));
    // A name says nothing in Google Cloud, a path does.
    let path = "projects/shop/zones/eu-west-1-a/disks/d";
    let gcp = || Draft { uid: "123", also: vec![path, "family"], ..Draft::new("d", disk()) };
    assert!(is_managed(path, &GCP, gcp()));
    assert!(is_managed(&format!("https://www.googleapis.com/compute/v1/{path}"), &GCP, gcp()));
    assert!(is_managed(&format!("//compute.googleapis.com/{path}"), &GCP, gcp()));
    assert!(!is_managed(&format!("https://evil.example/{path}"), &GCP, gcp()));
    assert!(!is_managed("projects/other/zones/eu-west-1-a/disks/d", &GCP, gcp()));
    assert!(!is_managed("family", &GCP, gcp()), "another name is no id");
}

#[test]
fn buckets_are_known_by_their_links() {
    static BUCKET: KindSpec = kind("gcp.storage-bucket", CloudId::Gcp, Class::Bucket);
    let mut builder = InventoryBuilder::new(&[&BUCKET]);
    let mut listing = builder.listing(&BUCKET, &Scope::new(CloudId::Gcp, "shop", Scope::GLOBAL));
    let facts = Bucket { versioned: None, lifecycle: None, noncurrent_rule: None, abort_rule: None, machinery: false };
    listing.push(Draft::new("assets", facts));
    builder.complete(listing, 1);
    let inventory = builder.build();
    let resource = inventory.resources().next().unwrap();
    for id in ["https://www.googleapis.com/storage/v1/b/assets", "gs://assets", "assets"] {
        assert!(index(vec![entry(id)]).managed(resource).is_some(), "{id}");
    }
    assert!(index(vec![entry("gs://assets-2")]).managed(resource).is_none());
}

#[test]
fn a_bare_name_of_cloudformation_is_of_aws() {
    let named = Entry { tool: "cloudformation".to_owned(), ..entry("web") };
    for (spec, is) in [(&VOLUME, true), (&GCP, false)] {
        let inventory = inventory(spec, Draft::new("web", disk()));
        assert_eq!(index(vec![named.clone()]).managed(inventory.resources().next().unwrap()).is_some(), is);
    }
}

#[test]
fn the_same_entries_are_the_same_bytes() {
    let (a, b) = (entry("vol-1"), entry("vol-2"));
    let bytes = written(&index(vec![b.clone(), a.clone(), b.clone()]));
    assert_eq!(bytes, written(&index(vec![a, b])));
    assert_eq!(
        bytes,
        r#"{"format":"sweeper.iac-index/1","made":"2026-11-20T12:00:00Z","source":"test","entries":[
{"id":"vol-1","address":"aws_ebs_volume.data","stack":"prod/network","tool":"terraform"},
{"id":"vol-2","address":"aws_ebs_volume.data","stack":"prod/network","tool":"terraform"}
]}
"#
    );
    assert_eq!(written(&index(Vec::new())).lines().last(), Some("]}"));
}

#[test]
fn what_is_not_known_is_refused_without_a_word_of_it() {
    let sound = written(&index(vec![entry("vol-1")]));
    assert!(IacIndex::read(sound.as_bytes()).is_ok());
    let refused = |text: &str| IacIndex::read(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(refused(&sound.replace("index/1", "index/2")), "it is of a later format than `sweeper.iac-index/1`");
    assert_eq!(refused(r#"{"version":4,"lineage":"canary","resources":[]}"#), "it is not an IaC index");
    assert_eq!(refused(r#"{"format":"canary"}"#), "it is not an IaC index");
    assert_eq!(refused(""), "it is damaged at line 1, column 0");
    for (from, to) in [
        ("\"made\"", "\"canary\":1,\"made\""),
        ("\"tool\"", "\"secret\":\"canary\",\"tool\""),
        ("\"vol-1\"", "7"),
        ("\"test\"", "[\"canary\"]"),
        ("2026-11-20T12:00:00Z", "canary"),
        ("\"vol-1\"", "\"\""),
        ("vol-1", &"v".repeat(LONGEST + 1)),
        ("]}", "],\"entries\":[]}"),
        ("]}", "]}{"),
    ] {
        let changed = sound.replacen(from, to, 1);
        assert_ne!(changed, sound);
        let said = refused(&changed);
        assert!(said.starts_with("it is damaged") && !said.contains("canary"), "{from} -> {to}: {said}");
    }
    struct Endless;
    impl Read for Endless {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            bytes.fill(b' ');
            Ok(bytes.len())
        }
    }
    assert_eq!(IacIndex::read(Endless).unwrap_err().to_string(), "it is larger than 256 MiB");
}

#[test]
fn an_index_that_cannot_be_relied_on_holds() {
    let hold = |outcome: Outcome, later: i64| iac(vec![outcome]).hold(CloudId::Aws, NOW.plus(later));
    let sound = || Outcome::Index(index(vec![entry("vol-1")]));
    assert_eq!(hold(sound(), DEFAULT_MAX_AGE), None);
    assert_eq!(
        hold(sound(), DEFAULT_MAX_AGE + 1).unwrap(),
        "the IaC index iac-index.json cannot be relied on (it was made 2026-11-20T12:00:00Z, and may be 2 days old)"
    );
    let incomplete = Outcome::Index(IacIndex::new(NOW, "test".to_owned(), true, Vec::new()));
    assert!(hold(incomplete, 0).unwrap().contains("a state file was not read"));
    let missing = || Outcome::Unreadable(IacError::Io(io::ErrorKind::NotFound).to_string());
    assert_eq!(hold(missing(), 0).unwrap(), "the IaC index iac-index.json cannot be read (it is not there)");
    assert_eq!(Iac::default().hold(CloudId::Aws, NOW), None);
    // One that can be relied on does not make up for one that cannot.
    let both = iac(vec![sound(), missing()]);
    assert!(both.hold(CloudId::Gcp, NOW).is_some() && both.troubles(NOW).count() == 1);
    let narrow = Iac { clouds: BTreeSet::from([CloudId::Aws]), ..both };
    assert!(narrow.hold(CloudId::Aws, NOW).is_some() && narrow.hold(CloudId::Gcp, NOW).is_none());
    // What an old or incomplete one holds is still known.
    let inventory = inventory(&VOLUME, Draft::new("vol-1", disk()));
    let known = narrow.managed(inventory.resources().next().unwrap()).unwrap();
    assert_eq!(known.to_string(), "in Terraform state prod/network as aws_ebs_volume.data");
}

#[test]
fn two_together_hold_what_either_holds() {
    let of = |clouds: &[CloudId], max_age: i64| Iac {
        clouds: clouds.iter().copied().collect(),
        max_age,
        ..iac(vec![Outcome::Unreadable("it is not there".to_owned())])
    };
    for (a, b) in [(of(&[], 5), of(&[CloudId::Aws], 9)), (of(&[CloudId::Gcp], 9), of(&[CloudId::Aws], 5))] {
        for both in [a.clone().and(b.clone()), b.clone().and(a.clone())] {
            for cloud in CloudId::ALL {
                let either = a.hold(cloud, NOW).is_some() || b.hold(cloud, NOW).is_some();
                assert_eq!(both.hold(cloud, NOW).is_some(), either, "{cloud:?}");
            }
            assert_eq!((both.max_age, both.sources.len()), (5, 2));
        }
        assert_eq!(a.clone().and(Iac::default()), a);
        assert_eq!(Iac::default().and(a.clone()), a);
    }
}

#[test]
fn a_survey_carries_only_what_it_needs() {
    let mut iac = iac(vec![Outcome::Index(index(vec![entry("vol-1"), entry("vol-2"), entry("canary")]))]);
    iac.keep_only(&inventory(&VOLUME, Draft::new("vol-2", disk())));
    let json = serde_json::to_string(&iac).unwrap();
    assert!(json.contains("vol-2") && !json.contains("vol-1") && !json.contains("canary"), "{json}");
    assert_eq!(serde_json::from_str::<Iac>(&json).unwrap(), iac);
    assert_eq!(serde_json::to_string(&serde_json::from_str::<Iac>(&json).unwrap()).unwrap(), json);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever an id, an address or a stack says: it comes back as it is, and what is written does nothing.
    #[test]
    fn text_is_inert(texts in prop::collection::vec("[\u{202e}\u{1b}\u{9b}\n<\u{e0041}a:/*.-]{1,12}", 4)) {
        let odd = Entry {
            id: texts[0].clone(),
            address: texts[1].clone(),
            stack: texts[2].clone(),
            tool: texts[3].clone(),
        };
        let index = index(vec![odd.clone()]);
        let bytes = written(&index);
        prop_assert!(!bytes.contains(|letter| (crate::inert::is_hostile(letter) && letter != '\n') || letter == '<'));
        prop_assert_eq!(bytes.lines().count(), 3);
        let back = IacIndex::read(bytes.as_bytes()).unwrap();
        prop_assert_eq!(back.entries(), &[odd]);
        prop_assert_eq!(written(&back), bytes);
    }

    /// Any byte changed: refused, or an index that can be looked at.
    #[test]
    fn damage_never_panics(at in 0_usize..400, with in any::<u8>()) {
        let mut bytes = written(&index(vec![entry("arn:aws:ec2:eu-west-1:1:volume/vol-1"), entry("vol-2")])).into_bytes();
        let at = at % bytes.len();
        bytes[at] = with;
        if let Ok(read) = IacIndex::read(bytes.as_slice()) {
            let inventory = inventory(&VOLUME, Draft::new("vol-2", disk()));
            let _ = read.managed(inventory.resources().next().unwrap());
        }
        // Without its last line end it is whole.
        prop_assert!(IacIndex::read(&bytes[..at]).is_err() || at == bytes.len() - 1);
    }
}
