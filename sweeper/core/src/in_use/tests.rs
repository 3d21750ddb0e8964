use super::*;
use crate::{
    facts::{Artifact, Cluster, Disk, DiskState, Media},
    intern::Sym,
    inventory::{Draft, InventoryBuilder},
    kind::{KindSpec, Places},
    model::{Reach, Scope},
    testing::NOW,
};
use proptest::prelude::*;

const PODS: &str = "pods of clusters";

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
static IMAGE: KindSpec = kind("aws.ecr-image", CloudId::Aws, Class::Artifact);
static AZURE: KindSpec = kind("azure.compute-disk", CloudId::Azure, Class::Disk);
static GCP: KindSpec = kind("gcp.compute-disk", CloudId::Gcp, Class::Disk);
static CLUSTER: KindSpec = KindSpec {
    refers: &[(Relation::Referenced, Reach::Account)],
    out_of_sight: &[(Relation::Referenced, PODS)],
    ..kind("aws.eks-cluster", CloudId::Aws, Class::Cluster)
};
static KINDS: &[&KindSpec] = &[&VOLUME, &IMAGE, &AZURE, &GCP, &CLUSTER];

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn inventory(drafts: Vec<(&'static KindSpec, Draft<'_>)>) -> Inventory {
    let mut builder = InventoryBuilder::new(KINDS);
    for spec in KINDS {
        let account = if spec.cloud == CloudId::Gcp { "shop" } else { "111111111111" };
        let mut listing = builder.listing(spec, &Scope::new(spec.cloud, account, "eu-west-1"));
        for (_, draft) in drafts.iter().filter(|(of, _)| of.id == spec.id) {
            let facts = draft.facts.clone();
            listing.push(Draft {
                name: draft.name,
                uid: draft.uid,
                also: draft.also.clone(),
                ..Draft::new(draft.native_id, facts)
            });
        }
        builder.complete(listing, 1);
    }
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

fn image() -> Artifact {
    Artifact {
        tagged: true,
        size_bytes: None,
        pushed: None,
        last_pulled: None,
        pull_recorded: true,
        media: Media::Image,
        container: Sym::NONE,
        rank: 9,
        package: false,
        users_listed: true,
    }
}

fn cluster<'a>(name: &'a str, arn: &'a str) -> (&'static KindSpec, Draft<'a>) {
    let facts = Cluster { version: Sym::NONE, state: Sym::NONE, nodes: None };
    (&CLUSTER, Draft { name, also: vec![arn], ..Draft::new(name, facts) })
}

fn file_of(source: &str, covers: &[&str], items: &[&str]) -> InUseFile {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    InUseFile::new(NOW.plus(-3600), source.to_owned(), owned(covers).into_iter().collect(), true, owned(items))
}

fn referrer(file: InUseFile) -> Referrer {
    Referrer {
        name: "in-use.json".to_owned(),
        clouds: BTreeSet::new(),
        accounts: Vec::new(),
        clusters: Vec::new(),
        max_age: DEFAULT_MAX_AGE,
        outcome: Outcome::File(file),
    }
}

fn is_named(item: &str, spec: &'static KindSpec, draft: Draft<'_>) -> bool {
    let inventory = inventory(vec![(spec, draft)]);
    let resource = inventory.resources().next().unwrap();
    let mut referrers = Referrers(vec![referrer(file_of("prod", &[], &[item, "other"]))]);
    let named = referrers.mention(resource).is_some();
    referrers.keep_only(&inventory);
    assert_eq!(referrers.mention(resource).is_some(), named, "{item}: what is sealed says the same");
    let Outcome::File(file) = &referrers.0[0].outcome else { panic!() };
    assert!(!file.items().contains(&"other".to_owned()), "{item}: nothing else is sealed");
    named
}

#[test]
fn things_are_known_by_what_their_users_call_them() {
    let volume = || Draft::new("vol-1", disk());
    for (item, named) in [
        ("vol-1", true),
        ("arn:aws:ec2:eu-west-1:111111111111:volume/vol-1", true),
        ("arn:aws-cn:ec2:eu-west-1:111111111111:volume/vol-1", true),
        ("arn:aws:ec2:eu-west-1:222222222222:volume/vol-1", false),
        ("vol-11", false),
        ("VOL-1", false),
    ] {
        assert_eq!(is_named(item, &VOLUME, volume()), named, "{item}");
    }
    let arm = "/subscriptions/S/resourceGroups/rg/providers/Microsoft.Compute/disks/pvc-1";
    for (item, named) in [(arm.to_ascii_uppercase(), true), (arm.to_owned(), true), (format!("{arm}2"), false)] {
        assert_eq!(is_named(&item, &AZURE, Draft::new(arm, disk())), named, "{item}");
    }
    let path = "projects/shop/zones/europe-west1-b/disks/pvc-1";
    let of = || Draft { also: vec![path], ..Draft::new("pvc-1", disk()) };
    for (item, named) in [
        (path, true),
        ("https://www.googleapis.com/compute/v1/projects/shop/zones/europe-west1-b/disks/pvc-1", true),
        ("projects/-/zones/europe-west1-b/disks/pvc-1", true),
        ("projects/-/zones/-/disks/pvc-1", true),
        ("projects/-/regions/-/disks/pvc-1", false),
        ("projects/other/zones/europe-west1-b/disks/pvc-1", false),
        ("projects/-/zones/europe-west1-c/disks/pvc-1", false),
    ] {
        assert_eq!(is_named(item, &GCP, of()), named, "{item}");
    }
}

#[test]
fn images_are_known_by_digest_wherever_and_by_their_tags() {
    let native = format!("shop/web@{DIGEST}");
    let of = || Draft { also: vec!["shop/web:v1"], ..Draft::new(&native, image()) };
    let registry = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";
    for (item, named) in [
        (DIGEST.to_owned(), true),
        (format!("{registry}/shop/web@{DIGEST}"), true),
        (format!("mirror.example.com:5000/other@{DIGEST}"), true),
        (format!("{registry}/shop/web:v1"), true),
        ("shop/web:v1".to_owned(), true),
        (format!("{registry}/shop/web:v2"), false),
        ("web:v1".to_owned(), false),
        (format!("{registry}/shop/web@{}", DIGEST.replace('0', "1")), false),
    ] {
        assert_eq!(is_named(&item, &IMAGE, of()), named, "{item}");
    }
}

#[test]
fn a_file_is_read_as_it_was_written() {
    let file = file_of("prod-eu", &["kubernetes"], &["vol-2", "vol-1", "vol-1", "\u{1b}[2J\u{202e}<x>"]);
    let mut bytes = Vec::new();
    file.write(&mut bytes).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.starts_with(
        "{\"format\":\"sweeper.in-use/1\",\"written\":\"2026-11-20T11:00:00Z\",\"source\":\"prod-eu\",\
         \"covers\":[\"kubernetes\"],\"complete\":true,\"items\":["
    ));
    assert!(!text.contains(['\u{1b}', '\u{202e}', '<']), "{text}");
    assert_eq!(file.items().len(), 3);
    let back = InUseFile::read(bytes.as_slice()).unwrap();
    assert_eq!(back, file);
    assert_eq!(serde_json::from_str::<InUseFile>(&serde_json::to_string(&file).unwrap()).unwrap(), file);
}

#[test]
fn what_is_not_understood_is_refused_and_not_repeated() {
    let good = "{\"format\":\"sweeper.in-use/1\",\"written\":\"2026-11-20T11:00:00Z\",\"source\":\"p\",\"complete\":true,\
                \"items\":[\"vol-1\"]}";
    assert!(InUseFile::read(good.as_bytes()).is_ok());
    for (text, said) in [
        (good.replace("in-use/1", "in-use/2"), "later format"),
        (good.replace("in-use/1", "iac-index/1"), "not an in-use file"),
        (good.replace("\"complete\":true,", ""), "damaged at line 1"),
        (good.replace("\"complete\":true", "\"complete\":\"canary\""), "damaged at line 1"),
        (good.replace("\"source\":\"p\"", "\"source\":\"\""), "`source` is empty"),
        (good.replace("2026-11-20T11:00:00Z", "canary"), "`written` is no instant"),
        (good.replace("vol-1", ""), "an item is empty"),
        (good.replace("vol-1", &"canary".repeat(1000)), "an item is empty or too long"),
        (good.replace("\"items\"", "\"canary\":1,\"items\""), "damaged at line 1"),
        (good[..good.len() - 2].to_owned(), "damaged at line 1"),
        ("canary".to_owned(), "damaged at line 1"),
        ("{\"canary\":1}".to_owned(), "not an in-use file"),
        (String::new(), "damaged"),
    ] {
        let error = InUseFile::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("canary"), "{text}: {error}");
    }
    let endless = io::repeat(b' ');
    assert!(matches!(InUseFile::read(endless), Err(InUseError::TooLarge)));
}

proptest! {
    #[test]
    fn odd_bytes_are_errors_and_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..200) {
        let mut good = Vec::new();
        file_of("prod", &["kubernetes"], &["vol-1"]).write(&mut good).unwrap();
        let at = at.min(good.len());
        good.splice(at.., bytes.clone());
        let _ = InUseFile::read(good.as_slice());
        let _ = InUseFile::read(bytes.as_slice());
    }
}

#[test]
fn a_file_is_relied_on_only_while_it_is_fresh_and_complete() {
    let at = |age: i64, complete| {
        let file = InUseFile::new(NOW.plus(-age), "prod".to_owned(), BTreeSet::new(), complete, Vec::new());
        referrer(file).trouble(NOW)
    };
    assert_eq!(at(0, true), None);
    assert_eq!(at(DEFAULT_MAX_AGE, true), None);
    assert_eq!(
        at(DEFAULT_MAX_AGE + 1, true).unwrap(),
        "the in-use file in-use.json cannot be relied on (it was written 2026-11-18T11:59:59Z, and may be 2 days old)"
    );
    assert!(at(0, false).unwrap().contains("incomplete"));
    let missing =
        Referrer { outcome: Outcome::Unreadable("it is not there".to_owned()), ..referrer(file_of("prod", &[], &[])) };
    assert_eq!(missing.trouble(NOW).unwrap(), "the in-use file in-use.json cannot be read (it is not there)");
    // It troubles what it speaks for; what it names is in use everywhere.
    let some = Referrer { clouds: [CloudId::Gcp].into(), accounts: vec!["gcp:shop-*".to_owned()], ..missing };
    assert!(some.speaks_for(CloudId::Gcp, "shop-1"));
    assert!(!some.speaks_for(CloudId::Gcp, "other") && !some.speaks_for(CloudId::Aws, "shop-1"));
    let referrers = Referrers(vec![some]);
    let none = inventory(Vec::new());
    assert!(referrers.told(&none, CloudId::Gcp, "shop-1", NOW).trouble.is_some());
    assert_eq!(referrers.told(&none, CloudId::Aws, "shop-1", NOW), Told::default());
}

#[test]
fn every_cluster_must_be_told_of() {
    let (eu, us) = ("arn:aws:eks:eu-west-1:1:cluster/prod", "arn:aws:eks:us-east-1:1:cluster/prod");
    let told = |clusters: Vec<(&'static KindSpec, Draft<'_>)>, referrers: Vec<Referrer>| {
        Referrers(referrers).told(&inventory(clusters), CloudId::Aws, "111111111111", NOW)
    };
    let of = |source: &str| referrer(file_of(source, &[KUBERNETES], &[]));
    // One, by its name or ARN.
    for source in ["prod", eu, "arn:aws-cn:eks:eu-west-1:1:cluster/prod"] {
        let told = told(vec![cluster("prod", eu)], vec![of(source)]);
        assert!(told.untold().is_none() && told.covers.contains(PODS), "{source}");
        assert_eq!(told.searched.len(), 1);
    }
    // Not by another's, nor by a file that does not say that it has everything.
    for other in [of("test"), referrer(file_of("prod", &["nomad"], &[])), referrer(file_of("prod", &[], &[]))] {
        let told = told(vec![cluster("prod", eu)], vec![other]);
        assert_eq!(told.untold().as_deref(), Some("aws.eks-cluster prod in 111111111111/eu-west-1"));
        assert!(!told.covers.contains(PODS));
    }
    // Nor by one that cannot be relied on.
    let stale = Referrer { max_age: 60, ..of("prod") };
    let found = told(vec![cluster("prod", eu)], vec![stale]);
    assert!(found.trouble.is_some() && found.untold().is_some() && found.searched.is_empty());
    // A second cluster is told of by nobody.
    let two = || vec![cluster("prod", eu), cluster("test", "arn:aws:eks:eu-west-1:1:cluster/test")];
    assert!(told(two(), vec![of("prod")]).untold().unwrap().contains("test"));
    assert!(told(two(), vec![of("prod"), of("test")]).untold().is_none());
    assert_eq!(told(two(), vec![]).untold().unwrap(), "aws.eks-cluster prod in 111111111111/eu-west-1 and 1 more");
    // Two of one name are told apart by their ARNs alone.
    let twins = || vec![cluster("prod", eu), cluster("prod", us)];
    assert_eq!(told(twins(), vec![of("prod")]).untold.len(), 2);
    assert_eq!(told(twins(), vec![of(eu)]).untold.len(), 1);
    assert_eq!(told(twins(), vec![of(eu), of(us)]).untold.len(), 0);
    // The config may say which a file is of.
    let all = |patterns: &[&str]| Referrer {
        clusters: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        ..of("everything")
    };
    assert_eq!(told(two(), vec![all(&["*"])]).untold.len(), 0);
    assert_eq!(told(two(), vec![all(&["te*"])]).untold.len(), 1);
    assert_eq!(told(two(), vec![all(&["aws.eks-cluster:111111111111/*/prod"])]).untold.len(), 1);
    // And then its name is no word for another.
    assert_eq!(told(two(), vec![Referrer { clusters: vec!["test".to_owned()], ..of("prod") }]).untold.len(), 1);
    // Without any cluster that was seen, what a file says it has all of is believed.
    assert!(told(vec![], vec![of("by-hand")]).covers.contains(PODS));
    assert!(!told(vec![], vec![]).covers.contains(PODS));
}
