//! Tests of deeds: what each sends, what it meets, and what never gets past the gate.

use crate::{
    auth::{Config, OrgConfig, configured},
    fault,
    kinds::SPECS,
    pen,
};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use sweeper_core::{
    apply::testing::permit,
    calls::{Calls, Limits},
    clock::{Clock, SystemClock},
    deed::{Deed, DeedKind, Kept, Pen, Permit, Progress, Sent, Target},
    inventory::{Inventory, InventoryBuilder},
    kind::{Cloud, CloudError, Fault, Kind, KindSpec, Places},
    model::{CloudId, Scope, Timestamp},
    observe::{self, Fields, Observed},
    policy::Keep,
};
use sweeper_emulator::{Call, Emulator, Fault as Weather, FaultKind, Options, Org};

const HOME: &str = "111111111111";
const OTHER: &str = "222222222222";
const REGION: &str = "us-east-1";

fn spec(id: &str) -> &'static KindSpec {
    SPECS.iter().copied().find(|spec| spec.id == id).unwrap()
}

fn kind<'a>(cloud: &'a Arc<dyn Cloud>, id: &str) -> &'a Arc<dyn Kind> {
    cloud.kinds().iter().find(|kind| kind.spec().id == id).unwrap()
}

/// Leave for a deed.
fn leave(target: &Target, deed: Deed) -> Permit {
    permit(spec(&target.kind), target.clone(), deed, None).unwrap()
}

/// An organisation, and the provider in front of it.
struct Stage {
    emulator: Emulator,
    cloud: Arc<dyn Cloud>,
    calls: Calls,
}

impl Stage {
    async fn new(org: &str) -> Self {
        Self::with(org, Config::default()).await
    }

    async fn with(org: &str, config: Config) -> Self {
        let accounts = format!(
            "[[account]]\nid = \"{HOME}\"\nregions = [\"us-east-1\", \"eu-west-1\"]\n\
             [[account]]\nid = \"{OTHER}\"\nregions = [\"us-east-1\"]\nrole = \"sweeper\"\ndelete_role = \"sweeper-delete\"\n"
        );
        let now = "2026-06-15T00:00:00Z".parse().unwrap();
        let emulator = Emulator::start(Org::parse(&(accounts + org)).unwrap(), Options::new(now)).await.unwrap();
        let calls = Calls::new(Arc::new(SystemClock::default()), Limits::default());
        let config = Config { endpoint: Some(emulator.url()), s3_path_style: true, ..config };
        let cloud = crate::connect(config, calls.clone()).await;
        Self { emulator, cloud, calls }
    }

    async fn list(&self, id: &str, account: &str) -> Inventory {
        // As a run does, so that nothing is remembered of the one before.
        self.cloud.universe().await.unwrap();
        let kind = kind(&self.cloud, id);
        let region = if kind.spec().places == Places::Account { Scope::GLOBAL } else { REGION };
        let scope = Scope::new(CloudId::Aws, account, region);
        let mut builder = InventoryBuilder::new(&[kind.spec()]);
        let mut listing = builder.listing(kind.spec(), &scope);
        let site = self.calls.site(&scope);
        kind.enumerate(&site, &mut listing).await.unwrap();
        builder.complete(listing, site.made());
        builder.build()
    }

    /// Everything of a kind, as a plan names it, with what it looks like.
    async fn all(&self, id: &str, account: &str) -> Vec<(Target, Fields)> {
        let inventory = self.list(id, account).await;
        let named = inventory.resources().map(|resource| {
            let target = Target {
                kind: id.to_owned(),
                cloud: CloudId::Aws,
                account: resource.account().to_owned(),
                region: resource.region().to_owned(),
                listed_in: resource.scope().region.clone(),
                native_id: resource.native_id().to_owned(),
                uid: resource.uid().to_owned(),
                name: resource.name().to_owned(),
                created: resource.created(),
            };
            (target, observe::fields(resource))
        });
        named.collect()
    }

    async fn one(&self, id: &str, name: &str) -> Target {
        let found = self.all(id, HOME).await.into_iter().find(|(target, _)| target.native_id.contains(name));
        found.unwrap_or_else(|| panic!("no {id} {name}")).0
    }

    async fn observe(&self, target: &Target) -> Result<Option<Fields>, CloudError> {
        let kind = kind(&self.cloud, &target.kind);
        let site = self.calls.site(&target.scope());
        let mut builder = InventoryBuilder::new(&[kind.spec()]);
        let mut listing = builder.listing(kind.spec(), &target.scope());
        kind.observe(&site, target, &mut listing).await?;
        builder.complete(listing, site.made());
        let seen = Observed::of(builder.build(), kind.spec(), target)?;
        Ok(seen.resource().map(observe::fields))
    }

    async fn act(&self, permit: &Permit) -> Result<Sent, CloudError> {
        let site = self.calls.site(&permit.target().scope());
        kind(&self.cloud, &permit.target().kind).act(&Pen::new(&site, permit)).await
    }

    async fn progress(&self, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        let site = self.calls.site(&permit.target().scope());
        kind(&self.cloud, &permit.target().kind).progress(&site, permit, sent).await
    }

    /// Watches a change to its end, which must come.
    async fn end(&self, permit: &Permit, sent: &Sent) -> Progress {
        for _ in 0..10 {
            match self.progress(permit, sent).await.unwrap() {
                Progress::Running => {}
                over => return over,
            }
        }
        panic!("{:?} does not end", permit.deed());
    }

    /// Does a deed, to its end.
    async fn done(&self, target: &Target, deed: Deed) -> Option<Kept> {
        let permit = leave(target, deed);
        let sent = self.act(&permit).await.unwrap_or_else(|error| panic!("{}: {error}", target.id()));
        match self.end(&permit, &sent).await {
            Progress::Done(kept) => kept,
            other => panic!("{:?}: {other:?}", permit.deed()),
        }
    }

    async fn refused(&self, target: &Target, deed: Deed) -> CloudError {
        let error = self.act(&leave(target, deed)).await.unwrap_err();
        assert_eq!(error.fault, Fault::Refused, "{error}");
        error
    }

    /// The calls that change something, and came through, since the journal was emptied.
    fn changes(&self) -> Vec<String> {
        let calls = self.emulator.journal().into_iter().filter(is_change);
        calls.map(|call| call.permission).collect()
    }
}

fn is_change(call: &Call) -> bool {
    let reads = ["Describe", "List", "Get", "BatchGet", "AssumeRole"];
    !reads.iter().any(|verb| call.action.starts_with(verb))
}

fn tag() -> Deed {
    Deed::Tag { key: "sweeper".to_owned(), value: "x".to_owned() }
}

fn untag() -> Deed {
    Deed::Untag { key: "team".to_owned() }
}

fn copy() -> Deed {
    let tags =
        BTreeMap::from([("sweeper-plan".to_owned(), "p".to_owned()), ("sweeper-item".to_owned(), "1".to_owned())]);
    Deed::Copy { keep: Keep::Snapshot, tags }
}

const ORG: &str = r#"
[[resource]]
kind = "aws.ec2-volume"
account = "111111111111"
id = "vol-1"
created = "-40d"
size = 100
type = "gp3"
iops = 4000
throughput = 200
az = "us-east-1c"
encrypted = true
kms_key = "arn:aws:kms:us-east-1:111111111111:key/k"
tags = { team = "shop", Name = "data" }

[[resource]]
kind = "aws.ec2-snapshot"
account = "111111111111"
id = "snap-1"
created = "-40d"
bin_days = 7
tags = { team = "shop" }

[[resource]]
kind = "aws.ec2-snapshot"
account = "111111111111"
id = "snap-2"
created = "-40d"
bin_days = 7

[[resource]]
kind = "aws.ec2-image"
account = "111111111111"
id = "ami-1"
created = "-40d"
snapshots = ["snap-2"]
bin_days = 7
tags = { team = "shop" }

[[resource]]
kind = "aws.ec2-instance"
account = "111111111111"
id = "i-1"
created = "-40d"
tags = { team = "shop" }

[[resource]]
kind = "aws.ec2-address"
account = "111111111111"
id = "eipalloc-1"
created = "-40d"
tags = { team = "shop" }

[[resource]]
kind = "aws.ec2-nat-gateway"
account = "111111111111"
id = "nat-1"
created = "-40d"
tags = { team = "shop" }

[[resource]]
kind = "aws.ec2-network-interface"
account = "111111111111"
id = "eni-1"
created = "-40d"
tags = { team = "shop" }

[[resource]]
kind = "aws.ec2-vpc-endpoint"
account = "111111111111"
id = "vpce-1"
created = "-40d"
tags = { team = "shop" }

[[resource]]
kind = "aws.ecr-repository"
account = "111111111111"
id = "web"

[[resource]]
kind = "aws.ecr-image"
account = "111111111111"
id = "img-old"
repository = "web"
created = "-40d"

[[resource]]
kind = "aws.ecr-image"
account = "111111111111"
id = "img-child"
repository = "web"
created = "-40d"

[[resource]]
kind = "aws.ecr-image"
account = "111111111111"
id = "img-index"
repository = "web"
media = "index"
children = ["img-child"]
tags_list = ["latest"]
created = "-40d"

[[resource]]
kind = "aws.lambda-function"
account = "111111111111"
id = "report"
created = "-40d"
tags = { team = "shop" }
versions = [{ version = 1 }, { version = 2 }]
aliases = [{ name = "live", version = 2 }]

[[resource]]
kind = "aws.logs-group"
account = "111111111111"
id = "/app/web"
created = "-40d"
tags = { team = "shop" }

[[resource]]
kind = "aws.logs-group"
account = "111111111111"
id = "/app/web/more"
created = "-40d"

[[resource]]
kind = "aws.elb-load-balancer"
account = "111111111111"
id = "web"
created = "-40d"
tags = { team = "shop" }

[[resource]]
kind = "aws.elb-load-balancer"
account = "111111111111"
id = "old"
type = "classic"
created = "-40d"
tags = { team = "shop" }

[[resource]]
kind = "aws.elb-target-group"
account = "111111111111"
id = "idle"
created = "-40d"
tags = { team = "shop" }

[[resource]]
kind = "aws.rds-snapshot"
account = "111111111111"
id = "db-2025"
created = "-40d"
tags = { team = "shop" }

[[resource]]
kind = "aws.rds-cluster-snapshot"
account = "111111111111"
id = "aurora-2025"
created = "-40d"
tags = { team = "shop" }

[[resource]]
kind = "aws.s3-bucket"
account = "111111111111"
region = "eu-west-1"
id = "uploads"

[[resource]]
kind = "aws.s3-upload"
account = "111111111111"
region = "eu-west-1"
id = "u1"
bucket = "uploads"
key = "a/b.bin"
created = "-40d"
"#;

/// Every deed of every kind, with the calls it sends. In this order nothing stands in the way of another.
#[rustfmt::skip]
const GOLDEN: &[(&str, &str, DeedKind, &[&str])] = &[
    ("aws.ec2-volume", "vol-1", DeedKind::Tag, &["ec2:CreateTags"]),
    ("aws.ec2-volume", "vol-1", DeedKind::Untag, &["ec2:DeleteTags"]),
    ("aws.ec2-volume", "vol-1", DeedKind::Copy, &["ec2:CreateSnapshot"]),
    ("aws.ec2-volume", "vol-1", DeedKind::Delete, &["ec2:DeleteVolume"]),
    ("aws.ec2-volume", "vol-1", DeedKind::Restore, &["ec2:CreateVolume"]),
    ("aws.ec2-snapshot", "snap-1", DeedKind::Tag, &["ec2:CreateTags"]),
    ("aws.ec2-snapshot", "snap-1", DeedKind::Untag, &["ec2:DeleteTags"]),
    ("aws.ec2-snapshot", "snap-1", DeedKind::Delete, &["ec2:DeleteSnapshot"]),
    ("aws.ec2-snapshot", "snap-1", DeedKind::Restore, &["ec2:RestoreSnapshotFromRecycleBin"]),
    ("aws.ec2-image", "ami-1", DeedKind::Tag, &["ec2:CreateTags"]),
    ("aws.ec2-image", "ami-1", DeedKind::Untag, &["ec2:DeleteTags"]),
    ("aws.ec2-image", "ami-1", DeedKind::Delete, &["ec2:DeregisterImage"]),
    ("aws.ec2-image", "ami-1", DeedKind::Restore, &["ec2:RestoreImageFromRecycleBin"]),
    ("aws.ec2-instance", "i-1", DeedKind::Tag, &["ec2:CreateTags"]),
    ("aws.ec2-instance", "i-1", DeedKind::Untag, &["ec2:DeleteTags"]),
    ("aws.ec2-instance", "i-1", DeedKind::Stop, &["ec2:StopInstances"]),
    ("aws.ec2-instance", "i-1", DeedKind::Start, &["ec2:StartInstances"]),
    ("aws.ec2-instance", "i-1", DeedKind::Delete, &["ec2:TerminateInstances"]),
    ("aws.ec2-address", "eipalloc-1", DeedKind::Tag, &["ec2:CreateTags"]),
    ("aws.ec2-address", "eipalloc-1", DeedKind::Untag, &["ec2:DeleteTags"]),
    ("aws.ec2-address", "eipalloc-1", DeedKind::Delete, &["ec2:ReleaseAddress"]),
    ("aws.ec2-nat-gateway", "nat-1", DeedKind::Tag, &["ec2:CreateTags"]),
    ("aws.ec2-nat-gateway", "nat-1", DeedKind::Untag, &["ec2:DeleteTags"]),
    ("aws.ec2-nat-gateway", "nat-1", DeedKind::Delete, &["ec2:DeleteNatGateway"]),
    ("aws.ec2-network-interface", "eni-1", DeedKind::Tag, &["ec2:CreateTags"]),
    ("aws.ec2-network-interface", "eni-1", DeedKind::Untag, &["ec2:DeleteTags"]),
    ("aws.ec2-network-interface", "eni-1", DeedKind::Delete, &["ec2:DeleteNetworkInterface"]),
    ("aws.ec2-vpc-endpoint", "vpce-1", DeedKind::Tag, &["ec2:CreateTags"]),
    ("aws.ec2-vpc-endpoint", "vpce-1", DeedKind::Untag, &["ec2:DeleteTags"]),
    ("aws.ec2-vpc-endpoint", "vpce-1", DeedKind::Delete, &["ec2:DeleteVpcEndpoints"]),
    ("aws.ecr-image", "web@", DeedKind::Delete, &["ecr:BatchDeleteImage"]),
    ("aws.lambda-function", "report", DeedKind::Tag, &["lambda:TagResource"]),
    ("aws.lambda-function", "report", DeedKind::Untag, &["lambda:UntagResource"]),
    ("aws.lambda-version", "report:1", DeedKind::Delete, &["lambda:DeleteFunction"]),
    ("aws.lambda-function", "report", DeedKind::Delete, &["lambda:DeleteFunction"]),
    ("aws.logs-group", "/app/web", DeedKind::Tag, &["logs:TagResource"]),
    ("aws.logs-group", "/app/web", DeedKind::Untag, &["logs:UntagResource"]),
    ("aws.logs-group", "/app/web", DeedKind::SetRetention, &["logs:PutRetentionPolicy"]),
    ("aws.logs-group", "/app/web", DeedKind::Delete, &["logs:DeleteLogGroup"]),
    ("aws.elb-load-balancer", "app/web/", DeedKind::Tag, &["elasticloadbalancing:AddTags"]),
    ("aws.elb-load-balancer", "app/web/", DeedKind::Untag, &["elasticloadbalancing:RemoveTags"]),
    ("aws.elb-load-balancer", "app/web/", DeedKind::Delete, &["elasticloadbalancing:DeleteLoadBalancer"]),
    ("aws.elb-load-balancer", "old", DeedKind::Tag, &["elasticloadbalancing:AddTags"]),
    ("aws.elb-load-balancer", "old", DeedKind::Untag, &["elasticloadbalancing:RemoveTags"]),
    ("aws.elb-load-balancer", "old", DeedKind::Delete, &["elasticloadbalancing:DeleteLoadBalancer"]),
    ("aws.elb-target-group", "targetgroup/idle/", DeedKind::Tag, &["elasticloadbalancing:AddTags"]),
    ("aws.elb-target-group", "targetgroup/idle/", DeedKind::Untag, &["elasticloadbalancing:RemoveTags"]),
    ("aws.elb-target-group", "targetgroup/idle/", DeedKind::Delete, &["elasticloadbalancing:DeleteTargetGroup"]),
    ("aws.rds-snapshot", "db-2025", DeedKind::Tag, &["rds:AddTagsToResource"]),
    ("aws.rds-snapshot", "db-2025", DeedKind::Untag, &["rds:RemoveTagsFromResource"]),
    ("aws.rds-snapshot", "db-2025", DeedKind::Delete, &["rds:DeleteDBSnapshot"]),
    ("aws.rds-cluster-snapshot", "aurora-2025", DeedKind::Tag, &["rds:AddTagsToResource"]),
    ("aws.rds-cluster-snapshot", "aurora-2025", DeedKind::Untag, &["rds:RemoveTagsFromResource"]),
    ("aws.rds-cluster-snapshot", "aurora-2025", DeedKind::Delete, &["rds:DeleteDBClusterSnapshot"]),
    ("aws.s3-upload", "u1", DeedKind::Delete, &["s3:AbortMultipartUpload"]),
];

#[tokio::test]
async fn every_deed_sends_what_is_in_the_table_and_nothing_that_is_not_declared() {
    let stage = Stage::new(ORG).await;
    let mut targets: BTreeMap<(&str, &str), Target> = BTreeMap::new();
    let mut kept: BTreeMap<&str, Kept> = BTreeMap::new();
    for (id, name, deed, sends) in GOLDEN {
        if let std::collections::btree_map::Entry::Vacant(e) = targets.entry((*id, *name)) {
            e.insert(stage.one(id, name).await);
        }
        let target = &targets[&(*id, *name)];
        let own_bin =
            || Kept { kind: String::new(), native_id: target.native_id.clone(), until: None, recipe: BTreeMap::new() };
        let deed = match deed {
            DeedKind::Tag => tag(),
            DeedKind::Untag => untag(),
            DeedKind::Copy => copy(),
            DeedKind::Delete => Deed::Delete,
            DeedKind::Restore => Deed::Restore { kept: kept.get(id).cloned().unwrap_or_else(own_bin) },
            DeedKind::Stop => Deed::Stop,
            DeedKind::Start => Deed::Start,
            DeedKind::SetRetention => Deed::SetRetention { days: Some(30) },
        };
        stage.emulator.clear_journal();
        let (name, act) = (deed.kind(), spec(id).act(deed.kind()).unwrap());
        if let Some(copied) = stage.done(target, deed).await {
            kept.insert(id, copied);
        }
        assert_eq!(stage.changes(), *sends, "{id} {name:?}");
        if matches!(name, DeedKind::Tag | DeedKind::Untag) {
            let fields = stage.observe(target).await.unwrap().unwrap();
            let listed = !fields.contains_key("tags");
            let value = |key: &str| fields.get(key).map(String::as_str);
            assert!(!listed || name != DeedKind::Tag || value("tag:sweeper") == Some("x"), "{id}: {fields:?}");
            assert!(!listed || name != DeedKind::Untag || value("tag:team").is_none(), "{id}: {fields:?}");
        }
        let declared: BTreeSet<&str> = [spec(id).reads, spec(id).asks, act.reads, &["sts:GetCallerIdentity"]]
            .concat()
            .into_iter()
            .chain(act.writes.iter().map(|write| write.permission))
            .collect();
        for call in stage.emulator.journal() {
            assert!(declared.contains(call.permission.as_str()), "{id} {name:?} calls {}", call.permission);
        }
    }
    let told: BTreeSet<(&str, DeedKind)> = GOLDEN.iter().map(|(id, _, deed, _)| (*id, *deed)).collect();
    let known = SPECS.iter().flat_map(|spec| spec.acts.iter().map(|act| (spec.id, act.deed)));
    for deed in known {
        assert!(told.contains(&deed), "{deed:?} is not in the table");
    }
}

#[tokio::test]
async fn what_is_read_again_looks_as_it_was_listed() {
    let stage = Stage::new(ORG).await;
    for spec in SPECS.iter().filter(|spec| !spec.acts.is_empty()) {
        for (target, fields) in stage.all(spec.id, HOME).await {
            let seen = stage.observe(&target).await.unwrap();
            assert_eq!(seen, Some(fields), "{}", target.id());
        }
    }
}

#[tokio::test]
async fn what_is_gone_is_gone_and_what_cannot_be_read_is_not() {
    let stage = Stage::new(ORG).await;
    for spec in SPECS.iter().filter(|spec| !spec.acts.is_empty()) {
        for (target, _) in stage.all(spec.id, HOME).await {
            for kind in [FaultKind::Denied, FaultKind::EmptyOk, FaultKind::ExpiredToken, FaultKind::Html] {
                stage.emulator.set_faults(vec![Weather::new(kind)]);
                let seen = stage.observe(&target).await;
                assert!(!matches!(seen, Ok(None)), "{} {kind}", target.id());
                // Answers about one thing alone have nothing that could be left out.
                assert!(seen.is_err() || kind == FaultKind::EmptyOk, "{} {kind}", target.id());
            }
            stage.emulator.set_faults(Vec::new());
        }
    }
    let volume = stage.one("aws.ec2-volume", "vol-1").await;
    stage.emulator.remove("vol-1");
    assert_eq!(stage.observe(&volume).await.unwrap(), None);
    let error = stage.act(&leave(&volume, Deed::Delete)).await.unwrap_err();
    assert_eq!(error.fault, Fault::NotFound, "{error}");
}

#[tokio::test]
async fn an_ordinary_client_sends_no_change() {
    let stage = Stage::new(ORG).await;
    let config = Config { endpoint: Some(stage.emulator.url()), s3_path_style: true, ..Config::default() };
    let aws = configured(&config, stage.calls.clocks().clone()).await;
    let here = Scope::new(CloudId::Aws, HOME, REGION);
    let barred = |error: CloudError| {
        assert_eq!(error.fault, Fault::Refused, "{error}");
        assert!(error.message.contains("is no read that a kind declares"), "{error}");
    };
    let error = aws.ec2(&here).delete_volume().volume_id("vol-1").send().await.unwrap_err();
    barred(fault::of("x", &error));
    let error = aws.lambda(&here).delete_function().function_name("report").send().await.unwrap_err();
    barred(fault::of("x", &error));
    let error = aws.s3(&here).delete_bucket().bucket("uploads").send().await.unwrap_err();
    barred(fault::of("x", &error));
    let error = aws.ecr(&here).delete_repository().repository_name("web").force(true).send().await.unwrap_err();
    barred(fault::of("x", &error));
    // A read that nobody declares is none, either.
    let error = aws.ec2(&here).describe_vpcs().send().await.unwrap_err();
    barred(fault::of("x", &error));
    assert!(stage.emulator.journal().is_empty());
    assert!(aws.ec2(&here).describe_volumes().send().await.is_ok());
}

#[tokio::test]
async fn a_permit_lets_out_its_own_deed_only() {
    let stage = Stage::new(ORG).await;
    let config = Config { endpoint: Some(stage.emulator.url()), s3_path_style: true, ..Config::default() };
    let aws = configured(&config, stage.calls.clocks().clone()).await;
    let volume = stage.one("aws.ec2-volume", "vol-1").await;
    let tagging = leave(&volume, tag());
    let site = stage.calls.site(&volume.scope());
    let writer = aws.writer(spec("aws.ec2-volume"), &Pen::new(&site, &tagging), &[]).await.unwrap();
    stage.emulator.clear_journal();
    let barred = |error: CloudError| {
        assert_eq!(error.fault, Fault::Refused, "{error}");
        assert!(error.message.contains("nothing that the deed declares"), "{error}");
    };
    let error = writer.ec2().delete_volume().volume_id("vol-1").send().await.unwrap_err();
    barred(fault::of("x", &error));
    let error = writer.ec2().describe_volumes().send().await.unwrap_err();
    barred(fault::of("x", &error));
    // An operation of the same name of another service is another operation.
    let error = writer.rds().delete_db_snapshot().db_snapshot_identifier("x").send().await.unwrap_err();
    barred(fault::of("x", &error));
    // Nor past the pen's own list.
    let pen = Pen::new(&site, &tagging);
    let late = pen::send(&pen, "ec2:DeleteVolume", writer.ec2().delete_volume().volume_id("vol-1").send());
    assert_eq!(late.await.unwrap_err().fault, Fault::Refused);
    assert!(stage.emulator.journal().is_empty());
}

#[tokio::test]
async fn swapped_kind_account_and_region_are_refused_before_anything_is_sent() {
    let stage = Stage::new(ORG).await;
    let volume = stage.one("aws.ec2-volume", "vol-1").await;
    // One call first, so that the account of the credentials is known.
    stage.done(&volume, tag()).await;
    stage.emulator.clear_journal();
    let own = stage.calls.site(&volume.scope());
    let deletion = leave(&volume, Deed::Delete);
    for other in SPECS.iter().filter(|spec| spec.id != "aws.ec2-volume" && !spec.acts.is_empty()) {
        let error = kind(&stage.cloud, other.id).act(&Pen::new(&own, &deletion)).await.unwrap_err();
        assert!(matches!(error.fault, Fault::Refused | Fault::Malformed | Fault::NotFound), "{}: {error}", other.id);
    }
    let volumes = kind(&stage.cloud, "aws.ec2-volume");
    let elsewhere = stage.calls.site(&Scope::new(CloudId::Aws, HOME, "eu-west-1"));
    assert_eq!(volumes.act(&Pen::new(&elsewhere, &deletion)).await.unwrap_err().fault, Fault::Refused);
    let foreign = stage.calls.site(&Scope::new(CloudId::Aws, OTHER, REGION));
    assert_eq!(volumes.act(&Pen::new(&foreign, &deletion)).await.unwrap_err().fault, Fault::Refused);
    // An account that the credentials are not of, and that nobody enters.
    let theirs = leave(&Target { account: OTHER.to_owned(), ..volume.clone() }, Deed::Delete);
    let error = volumes.act(&Pen::new(&foreign, &theirs)).await.unwrap_err();
    assert_eq!(error.fault, Fault::Refused);
    assert!(error.message.contains(HOME), "{error}");
    assert!(stage.changes().is_empty());
    assert_eq!(stage.emulator.count("vol-1"), 1);
}

#[tokio::test]
async fn another_account_is_changed_in_a_session_of_its_own() {
    let org = OrgConfig {
        role: "sweeper".to_owned(),
        write_role: Some("sweeper-delete".to_owned()),
        external_id: None,
        accounts: BTreeSet::new(),
    };
    let there = ORG.replace(HOME, OTHER).replace("eu-west-1", "us-east-1");
    let config = Config { org: Some(org), ..Config::default() };
    let stage = Stage::with(&format!("[organization]\nid = \"o-1\"\nmanagement = \"{HOME}\"\n{there}"), config).await;
    let (volume, _) = stage.all("aws.ec2-volume", OTHER).await.remove(0);
    stage.emulator.clear_journal();
    stage.done(&volume, Deed::Delete).await;
    let calls = stage.emulator.journal();
    let assumed: Vec<&Call> = calls.iter().filter(|call| call.action == "AssumeRole").collect();
    assert_eq!(assumed.len(), 1, "one session for the permit: {calls:?}");
    let deleted = calls.iter().find(|call| call.action == "DeleteVolume").unwrap();
    assert_eq!(deleted.account, OTHER);
    assert_eq!(stage.emulator.count("vol-1"), 0);
}

#[tokio::test]
async fn a_volume_is_made_again_as_it_was() {
    let stage = Stage::new(ORG).await;
    let volume = stage.one("aws.ec2-volume", "vol-1").await;
    let (_, before) = stage.all("aws.ec2-volume", HOME).await.remove(0);
    let kept = stage.done(&volume, copy()).await.unwrap();
    assert_eq!(kept.kind, "aws.ec2-snapshot");
    stage.done(&volume, Deed::Delete).await;
    assert_eq!(stage.observe(&volume).await.unwrap(), None);
    let restoring = leave(&volume, Deed::Restore { kept: kept.clone() });
    let sent = stage.act(&restoring).await.unwrap();
    // The same request again is the same volume.
    assert_eq!(stage.act(&restoring).await.unwrap().handle, sent.handle);
    let Progress::Done(Some(made)) = stage.end(&restoring, &sent).await else { panic!("not made") };
    // And it is found when the answer was lost.
    let Progress::Done(Some(found)) = stage.end(&restoring, &Sent::default()).await else { panic!("not found") };
    assert_eq!((&made.native_id, &made.kind), (&found.native_id, &volume.kind));
    let (_, mut after) = stage.all("aws.ec2-volume", HOME).await.remove(0);
    let mut before = before;
    for own in ["uid", "created", "source_snapshot"] {
        before.remove(own);
        after.remove(own);
    }
    assert_eq!(before, after);
    let zone = kept.recipe.get("zone").map(String::as_str);
    assert_eq!(zone, Some("us-east-1c"));
    assert_eq!(kept.recipe["kms_key"], "arn:aws:kms:us-east-1:111111111111:key/k");
}

#[tokio::test]
async fn a_copy_is_one_when_it_is_complete_and_is_made_once() {
    let stage = Stage::new(ORG).await;
    let volume = stage.one("aws.ec2-volume", "vol-1").await;
    let set = |key: &str, value: serde_json::Value| {
        stage.emulator.set("vol-1", &serde_json::Map::from_iter([(key.to_owned(), value)]));
    };
    set("polls", 3.into());
    let copying = leave(&volume, copy());
    // Nothing was sent yet: it is not there, which is not an end.
    assert_eq!(stage.progress(&copying, &Sent::default()).await.unwrap(), Progress::Running);
    let sent = stage.act(&copying).await.unwrap();
    assert_eq!(stage.progress(&copying, &sent).await.unwrap(), Progress::Running);
    stage.emulator.clear_journal();
    // An answer that was lost is found by the copy's tags, and none is made twice.
    assert_eq!(stage.act(&copying).await.unwrap().handle, sent.handle);
    assert!(stage.changes().is_empty());
    let Progress::Done(Some(kept)) = stage.end(&copying, &Sent::default()).await else { panic!("not kept") };
    assert_eq!(kept.native_id, sent.handle);

    let failing = Stage::new(&ORG.replace("iops = 4000", "copy_fails = true")).await;
    let copying = leave(&volume, copy());
    let sent = failing.act(&copying).await.unwrap();
    assert!(matches!(failing.end(&copying, &sent).await, Progress::Failed(why) if why.contains("error")));
}

#[tokio::test]
async fn protections_and_uses_are_final() {
    let org = r#"
        [[resource]]
        kind = "aws.ec2-volume"
        account = "111111111111"
        id = "vol-used"
        attached = ["i-safe"]
        [[resource]]
        kind = "aws.ec2-snapshot"
        account = "111111111111"
        id = "snap-locked"
        locked = "governance"
        [[resource]]
        kind = "aws.ec2-snapshot"
        account = "111111111111"
        id = "snap-used"
        [[resource]]
        kind = "aws.ec2-image"
        account = "111111111111"
        id = "ami-safe"
        snapshots = ["snap-used"]
        protected = true
        [[resource]]
        kind = "aws.ec2-instance"
        account = "111111111111"
        id = "i-safe"
        termination_protection = true
        stop_protection = true
        [[resource]]
        kind = "aws.ec2-instance"
        account = "111111111111"
        id = "i-spot"
        lifecycle = "spot"
        [[resource]]
        kind = "aws.ec2-address"
        account = "111111111111"
        id = "eipalloc-used"
        instance = "i-safe"
        [[resource]]
        kind = "aws.ec2-network-interface"
        account = "111111111111"
        id = "eni-used"
        instance = "i-safe"
        [[resource]]
        kind = "aws.ec2-vpc-endpoint"
        account = "111111111111"
        id = "vpce-theirs"
        requester_managed = true
        [[resource]]
        kind = "aws.logs-group"
        account = "111111111111"
        id = "/safe"
        protected = true
        [[resource]]
        kind = "aws.elb-load-balancer"
        account = "111111111111"
        id = "safe"
        protected = true
        listeners = [{ port = 80, target_group = "busy" }]
        [[resource]]
        kind = "aws.elb-target-group"
        account = "111111111111"
        id = "busy"
        [[resource]]
        kind = "aws.rds-snapshot"
        account = "111111111111"
        id = "rds:nightly"
        type = "automated"
    "#;
    let stage = Stage::new(&format!("{ORG}{org}")).await;
    for (id, name, deed, word) in [
        ("aws.ec2-volume", "vol-used", Deed::Delete, "VolumeInUse"),
        ("aws.ec2-snapshot", "snap-locked", Deed::Delete, "SnapshotLocked"),
        ("aws.ec2-snapshot", "snap-used", Deed::Delete, "InvalidSnapshot.InUse"),
        ("aws.ec2-image", "ami-safe", Deed::Delete, "OperationNotPermitted"),
        ("aws.ec2-instance", "i-safe", Deed::Delete, "OperationNotPermitted"),
        ("aws.ec2-instance", "i-safe", Deed::Stop, "OperationNotPermitted"),
        ("aws.ec2-instance", "i-spot", Deed::Stop, "UnsupportedOperation"),
        ("aws.ec2-address", "eipalloc-used", Deed::Delete, "InvalidIPAddress.InUse"),
        ("aws.ec2-network-interface", "eni-used", Deed::Delete, "InvalidNetworkInterface.InUse"),
        ("aws.ec2-vpc-endpoint", "vpce-theirs", Deed::Delete, "OperationNotPermitted"),
        ("aws.lambda-version", "report:2", Deed::Delete, "ResourceConflictException"),
        ("aws.logs-group", "/safe", Deed::Delete, "ValidationException"),
        ("aws.elb-load-balancer", "app/safe/", Deed::Delete, "OperationNotPermitted"),
        ("aws.elb-target-group", "targetgroup/busy/", Deed::Delete, "ResourceInUse"),
        ("aws.rds-snapshot", "rds:nightly", Deed::Delete, "InvalidDBSnapshotState"),
    ] {
        let target = stage.one(id, name).await;
        stage.emulator.clear_journal();
        let error = stage.refused(&target, deed.clone()).await;
        assert!(error.message.contains(word), "{name}: {error}");
        assert_eq!(stage.changes().len(), 1, "{name}: once, and nothing to force it");
        assert!(stage.observe(&target).await.unwrap().is_some(), "{name}");
    }
}

#[tokio::test]
async fn the_child_of_a_living_index_stays() {
    let stage = Stage::new(ORG).await;
    let images = stage.all("aws.ecr-image", HOME).await;
    assert_eq!(images.len(), 3);
    let is = |fields: &Fields, key: &str, value: &str| fields.get(key).is_some_and(|own| own == value);
    let index = &images.iter().find(|(_, fields)| is(fields, "media", "index")).unwrap().0;
    let mut plain: Vec<&Target> =
        images.iter().filter(|(target, _)| target != index).map(|(target, _)| target).collect();
    let mut refused = 0;
    plain.sort();
    for image in &plain {
        if let Err(error) = stage.act(&leave(image, Deed::Delete)).await {
            assert_eq!(error.fault, Fault::Refused);
            assert!(error.message.contains("ImageReferencedByManifestList"), "{error}");
            refused += 1;
        }
    }
    assert_eq!(refused, 1, "the child of the index");
    stage.done(index, Deed::Delete).await;
    assert_eq!(stage.all("aws.ecr-image", HOME).await.len(), 1, "deleting an index takes no child along");
    // A native id without a digest is no image.
    let tagged = Target { native_id: "web@latest".to_owned(), ..index.clone() };
    stage.refused(&tagged, Deed::Delete).await;
}

#[tokio::test]
async fn a_name_that_was_given_again_is_another_resource() {
    let stage = Stage::new(ORG).await;
    let group = stage.one("aws.logs-group", "/app/web").await;
    let older = Target { created: group.created.map(|at| at.plus(-86_400)), ..group.clone() };
    for deed in [Deed::Delete, Deed::SetRetention { days: Some(7) }] {
        let error = stage.refused(&older, deed).await;
        assert!(error.message.contains("another one of the same name"), "{error}");
    }
    let version = stage.one("aws.lambda-version", "report:1").await;
    let older = Target { created: version.created.map(|at| at.plus(-86_400)), ..version };
    stage.refused(&older, Deed::Delete).await;
    assert!(stage.changes().is_empty());
}

#[tokio::test]
async fn an_image_takes_its_snapshots_along_and_leaves_those_of_others() {
    let more = r#"
        [[resource]]
        kind = "aws.ec2-image"
        account = "111111111111"
        id = "ami-2"
        snapshots = ["snap-shared", "snap-own"]
        [[resource]]
        kind = "aws.ec2-image"
        account = "111111111111"
        id = "ami-3"
        snapshots = ["snap-shared"]
        [[resource]]
        kind = "aws.ec2-snapshot"
        account = "111111111111"
        id = "snap-shared"
        [[resource]]
        kind = "aws.ec2-snapshot"
        account = "111111111111"
        id = "snap-own"
    "#;
    let stage = Stage::new(more).await;
    let image = stage.one("aws.ec2-image", "ami-2").await;
    stage.done(&image, Deed::Delete).await;
    let left = ["ami-2", "snap-own", "snap-shared", "ami-3"].map(|id| stage.emulator.count(id));
    assert_eq!(left, [0, 0, 1, 1]);
}

#[tokio::test]
async fn a_lost_answer_and_a_denial_are_not_the_same() {
    let stage = Stage::new(ORG).await;
    let volume = stage.one("aws.ec2-volume", "vol-1").await;
    let only = |kind| Weather { action: Some("DeleteVolume".to_owned()), ..Weather::new(kind) };
    for (kind, fault) in [
        (FaultKind::Denied, Fault::Denied),
        (FaultKind::Throttle, Fault::Throttled),
        (FaultKind::Error500, Fault::Transient),
        (FaultKind::ExpiredToken, Fault::Unauthenticated),
    ] {
        stage.emulator.set_faults(vec![only(kind)]);
        stage.emulator.clear_journal();
        assert_eq!(stage.act(&leave(&volume, Deed::Delete)).await.unwrap_err().fault, fault);
        assert_eq!(stage.changes().len(), 1, "{kind}: sent once");
    }
    // The answer is cut off after it was done.
    stage.emulator.set_faults(vec![only(FaultKind::Cut)]);
    let deletion = leave(&volume, Deed::Delete);
    let error = stage.act(&deletion).await.unwrap_err();
    assert!(matches!(error.fault, Fault::Transient | Fault::Malformed), "{error}");
    stage.emulator.set_faults(Vec::new());
    assert_eq!(stage.end(&deletion, &Sent::default()).await, Progress::Done(None));
}

/// The same deeds against moto, somebody else's reading of AWS. It has no protections, and what it holds was put there
/// by `tests/peer/moto_deeds_test.py`, which runs this.
#[tokio::test]
#[ignore = "needs moto, which tests/peer/moto_deeds_test.py starts"]
async fn against_moto() {
    let endpoint = std::env::var("SWEEPER_MOTO").expect("SWEEPER_MOTO is moto's endpoint");
    let mut stage = Stage::new("").await;
    let config = Config { endpoint: Some(endpoint), s3_path_style: true, ..Config::default() };
    stage.cloud = crate::connect(config, stage.calls.clone()).await;
    let account = stage.cloud.universe().await.unwrap().accounts.remove(0).id;
    for id in ["aws.ec2-volume", "aws.ec2-address", "aws.ecr-image", "aws.lambda-version", "aws.s3-upload"] {
        let before = stage.all(id, &account).await;
        assert!(!before.is_empty(), "no {id}");
        for (target, fields) in &before {
            assert_eq!(stage.observe(target).await.unwrap().as_ref(), Some(fields), "{}", target.id());
        }
        let (target, fields) = &before[0];
        let kept = if id == "aws.ec2-volume" { stage.done(target, copy()).await } else { None };
        stage.done(target, Deed::Delete).await;
        assert_eq!(stage.observe(target).await.unwrap(), None, "{}", target.id());
        assert_eq!(stage.all(id, &account).await.len(), before.len() - 1, "{id}: and nothing else");
        let error = stage.act(&leave(target, Deed::Delete)).await.unwrap_err();
        assert_eq!(error.fault, Fault::NotFound, "{id}: {error}");
        if let Some(kept) = kept {
            let made = stage.done(target, Deed::Restore { kept }).await.unwrap();
            let again = Target { native_id: made.native_id.clone(), uid: made.native_id, ..target.clone() };
            let now = stage.observe(&again).await.unwrap().unwrap();
            for same in ["size_gib", "tier", "iops", "throughput", "name", "tag:team"] {
                assert_eq!(now.get(same), fields.get(same), "{same}");
            }
        }
    }
}

/// A machine that is two hours ahead.
struct Ahead(SystemClock);

#[async_trait]
impl Clock for Ahead {
    fn wall(&self) -> Timestamp {
        self.0.wall().plus(7200)
    }
    fn mono(&self) -> Duration {
        self.0.mono()
    }
    async fn sleep_until(&self, until: Duration) {
        self.0.sleep_until(until).await;
    }
    fn is_machine(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn every_answer_tells_the_time() {
    let stage = Stage::new(ORG).await;
    stage.one("aws.ec2-volume", "vol-1").await;
    assert_eq!(stage.calls.clocks().doubt(), None);
    let calls = Calls::new(Arc::new(Ahead(SystemClock::default())), Limits::default());
    let config = Config { endpoint: Some(stage.emulator.url()), s3_path_style: true, ..Config::default() };
    let ahead = Stage { cloud: crate::connect(config, calls.clone()).await, calls, ..stage };
    ahead.one("aws.ec2-volume", "vol-1").await;
    let doubt = ahead.calls.clocks().doubt().unwrap();
    assert_eq!(doubt, "it is 2 hours ahead of the clock of aws");
}
