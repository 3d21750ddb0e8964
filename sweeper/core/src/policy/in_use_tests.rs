//! Disks and images that are used where no cloud tells of it, under policies that would delete them.

use super::*;
use crate::{
    answers::{Answer, Answers, Ask, Question},
    deed::{ActSpec, DeedKind, Reversal, Write},
    detect::View,
    facts::{Artifact, Cluster, Disk, DiskState, Media, Referrer as Nothing},
    house::House,
    in_use::{DEFAULT_MAX_AGE, InUseFile, KUBERNETES, Outcome, Referrer, Referrers},
    intern::Sym,
    inventory::{Draft, Inventory, InventoryBuilder, Tags},
    kind::Places,
    ledger::{self, LedgerKey, LedgerSlice, Sighting},
    model::{Reach, Scope},
    owner,
};

const DELETES: ActSpec = ActSpec {
    deed: DeedKind::Delete,
    writes: &[Write { permission: "test:Delete", method: "POST", action: "Delete" }],
    reads: &[],
    reversal: Reversal::OneWay("whoever built it builds it again"),
    keeps: &[],
    takes: &[],
};
const PODS: &str = "pods of clusters";
const MACHINES: &str = "machines that pull";
const fn kind(id: &'static str, class: Class) -> KindSpec {
    KindSpec {
        id,
        cloud: CloudId::Aws,
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
        acts: &[DELETES],
    }
}
static DISK: KindSpec = kind("aws.ec2-volume", Class::Disk);
static IMAGE: KindSpec =
    KindSpec { out_of_sight: &[(Relation::Referenced, MACHINES)], ..kind("aws.ecr-image", Class::Artifact) };
static CLUSTER: KindSpec = KindSpec {
    refers: &[(Relation::Referenced, Reach::Account)],
    out_of_sight: &[(Relation::Referenced, PODS)],
    acts: &[],
    ..kind("aws.eks-cluster", Class::Cluster)
};
static TASK: KindSpec =
    KindSpec { refers: &[(Relation::Referenced, Reach::Account)], acts: &[], ..kind("aws.ecs-task", Class::Referrer) };
static KINDS: &[&KindSpec] = &[&DISK, &IMAGE, &CLUSTER, &TASK];

const NOW: Timestamp = Timestamp(1_795_176_000);

fn set(rest: &str) -> PolicySet {
    let text = format!(
        "[[policy]]\nname = \"p\"\nclouds = [\"aws\"]\nfor = \"1d\"\ngrace = \"0d\"\n\
         limit = {{ count = 50, share = \"5%\", monthly_usd = 2000 }}\n{rest}\n"
    );
    let loaded = load(&[Source { path: "p.toml".to_owned(), text }], &Known { kinds: KINDS });
    let problems: String = loaded.problems.iter().map(Problem::render).collect();
    loaded.set.unwrap_or_else(|| panic!("{problems}"))
}

struct Dollar;

impl Costs for Dollar {
    fn monthly(&self, _: Resource<'_>) -> Cost {
        Cost::list(Amount::whole(1))
    }
}

/// An old disk and an old image, and so many clusters.
fn inventory(clusters: &[&str]) -> Inventory {
    let scope = Scope::new(CloudId::Aws, "111122223333", "eu-west-1");
    let mut builder = InventoryBuilder::new(KINDS);
    let old = NOW.plus(-400 * DAY);
    let draft = |native: &'static str, facts: crate::facts::Facts| Draft {
        created: Some(old),
        tags: Tags::Read(vec![("owner", "a@example.com")]),
        ..Draft::new(native, facts)
    };
    let mut disks = builder.listing(&DISK, &scope);
    let disk = Disk {
        state: DiskState::Available,
        size_gib: 10,
        tier: Sym::NONE,
        iops: None,
        throughput: None,
        source_snapshot: Sym::NONE,
        attachments: 0,
        last_attached: None,
    };
    disks.push(draft("vol-1", disk.into()));
    let mut images = builder.listing(&IMAGE, &scope);
    let image = Artifact {
        tagged: false,
        size_bytes: Some(1),
        pushed: Some(old),
        last_pulled: Some(old),
        pull_recorded: true,
        media: Media::Image,
        container: images.sym("web"),
        rank: 9,
        package: false,
        users_listed: true,
    };
    images.push(draft("web@sha256:1", image.into()));
    let mut listed = builder.listing(&CLUSTER, &scope);
    for name in clusters {
        let facts = Cluster { version: Sym::NONE, state: Sym::NONE, nodes: None };
        listed.push(Draft { name, ..Draft::new(name, facts) });
    }
    let mut tasks = builder.listing(&TASK, &scope);
    tasks.push(Draft::new("task", Nothing {}));
    for listing in [disks, images, listed, tasks] {
        builder.complete(listing, 1);
    }
    builder.build()
}

fn referrer(source: &str, covers: &[&str], items: &[&str], age: i64) -> Referrer {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let covers = owned(covers).into_iter().collect();
    Referrer {
        name: format!("{source}.json"),
        clouds: BTreeSet::new(),
        accounts: Vec::new(),
        clusters: Vec::new(),
        max_age: DEFAULT_MAX_AGE,
        outcome: Outcome::File(InUseFile::new(NOW.plus(-age), source.to_owned(), covers, true, owned(items))),
    }
}

/// What a policy comes to for a resource: its decision, and its evidence. Nothing where there is no row.
fn decided(policy: &str, native: &str, clusters: &[&str], referrers: Vec<Referrer>) -> (String, String) {
    let set = set(policy);
    let house = House { referrers: Referrers(referrers), ..House::default() };
    let inventory = inventory(clusters);
    let mut answers = Answers::default();
    let image = inventory.resources().find(|resource| resource.kind().id == IMAGE.id).unwrap();
    let manifest = Answer::Manifest { children: Vec::new(), subject: None };
    for (question, answer) in [(Question::Manifest, manifest), (Question::Shares, Answer::Shares(Vec::new()))] {
        answers.insert(Ask { resource: image.ix(), question }, answer);
    }
    let view = View::new(&inventory, &answers, &house, NOW);
    let evaluation = evaluate(&set, &view, &Dollar);
    let Some(row) = evaluation.rows.iter().find(|row| inventory.at(row.resource).native_id() == native) else {
        return ("nothing".to_owned(), String::new());
    };
    let resource = inventory.at(row.resource);
    let detail = detail(&set, &view, &Dollar, row);
    let sighting = Sighting {
        first_found: NOW.plus(-30 * DAY),
        observed: 30 * DAY,
        last_seen: NOW,
        last_state: ledger::State::Found,
        complete_sightings: 9,
        counted_at: NOW,
        region: "eu-west-1".into(),
        told: Box::default(),
    };
    let key = LedgerKey::new(&set.policies[0].rule, &resource);
    let ledger: LedgerSlice = [(key, sighting)].into_iter().collect();
    let owner = owner::of(&view, resource).unwrap();
    let decision = decide(&set, &view, row, &detail, &ledger, &owner, &Dollar.monthly(resource));
    let mut said: Vec<String> =
        detail.evidence.iter().map(|one| format!("{} = {} ({})", one.fact, one.value, one.source)).collect();
    said.extend(detail.out_of_sight.iter().map(|what| format!("out of sight = {what}")));
    said.extend(detail.searched.iter().map(|what| format!("searched = {what}")));
    (format!("{} {}", decision.act.name(), decision.reason), said.join("\n"))
}

#[test]
fn what_is_named_is_never_deleted_by_whichever_rule() {
    let of = |policy: &str, referrers| decided(policy, "vol-1", &[], referrers).0;
    let named = |age| vec![referrer("prod", &[], &["vol-1"], age)];
    let sweep = "sweep = \"unattached-disk\"\nwhen = 'true'\nthen = \"delete\"";
    let when = "class = \"disk\"\nwhen = 'size_gib > 0'\nthen = \"delete\"";
    let report = "class = \"disk\"\nwhen = 'size_gib > 0'\nthen = \"report\"";
    for policy in [sweep, when] {
        assert!(of(policy, vec![]).starts_with("delete held for"), "{}", of(policy, vec![]));
        assert!(of(policy, vec![referrer("prod", &[], &["vol-2"], 60)]).starts_with("delete held for"));
    }
    // By its pattern it is nobody's waste; by a mere condition it is held.
    assert_eq!(of(sweep, named(60)), "nothing");
    let held = "hold in use: by prod, per prod.json of 2026-11-20T11:59:00Z";
    assert_eq!(of(when, named(60)), held);
    // An old file that names it says so all the same; one that does not leaves it unknown.
    assert!(of(when, named(100 * DAY)).starts_with("hold in use: by prod, per prod.json of"));
    let stale = || vec![referrer("prod", &[], &[], 49 * 3600)];
    assert!(of(sweep, stale()).starts_with("hold unknown: the in-use file prod.json cannot be relied on"));
    assert!(of(when, stale()).starts_with("hold in use: not known, since the in-use file prod.json cannot be"));
    // A policy that only reports does no harm.
    assert_eq!(of(report, named(60)), "report the policy only reports");
}

#[test]
fn where_clusters_run_images_are_only_reported_until_a_file_tells_of_them() {
    for detector in ["stale-artifact", "untagged-artifact"] {
        let accepting =
            format!("sweep = \"{detector}\"\nwhen = 'true'\nthen = \"delete\"\naccept_unseen = [\"{MACHINES}\"]");
        let trusting = format!(
            "sweep = \"{detector}\"\nwhen = 'true'\nthen = \"delete\"\naccept_unseen = [\"{PODS}\", \"{MACHINES}\"]"
        );
        let of = |policy: &str, clusters: &[&str], referrers| decided(policy, "web@sha256:1", clusters, referrers);
        let prod = || referrer("prod", &[KUBERNETES], &["other@sha256:2"], 60);
        // Without a cluster that is seen, it is as with all that is out of sight.
        let (decision, evidence) = of(&accepting, &[], vec![]);
        assert!(decision.starts_with("hold out of sight: pods of clusters; `accept_unseen`"), "{decision}");
        assert!(
            evidence.contains("out of sight = pods of clusters") && !evidence.contains("in-use file"),
            "{evidence}"
        );
        assert!(of(&trusting, &[], vec![]).0.starts_with("delete"));
        // Where there is one, nobody's word but a file's is enough, and the finding says why.
        for policy in [&accepting, &trusting] {
            let (decision, evidence) = of(policy, &["prod", "test"], vec![]);
            let clusters = "aws.eks-cluster prod in 111122223333/eu-west-1 and 1 more";
            assert_eq!(
                decision,
                format!("hold report only: no in-use file tells what runs in {clusters}; `[[referrers]]` would")
            );
            let said = format!("in-use file = none tells what runs in {clusters}: it is only reported ([[referrers]])");
            assert!(evidence.contains(&said), "{evidence}");
        }
        // A file of one of two is not enough; of both it is, and needs no leave.
        let test = || referrer("test", &[KUBERNETES], &[], 60);
        assert!(of(&accepting, &["prod", "test"], vec![prod()]).0.contains("what runs in aws.eks-cluster test"));
        let (decision, evidence) = of(&accepting, &["prod", "test"], vec![prod(), test()]);
        assert!(decision.starts_with("delete held for"), "{decision}");
        assert!(
            !evidence.contains(PODS) && evidence.contains("searched = in-use file prod.json (prod at "),
            "{evidence}"
        );
        // What else is out of sight needs its own, unless the file says that it has it.
        let plain = format!("sweep = \"{detector}\"\nwhen = 'true'\nthen = \"delete\"");
        let (decision, _) = of(&plain, &["prod"], vec![prod()]);
        assert!(decision.starts_with("hold out of sight: machines that pull;"), "{decision}");
        let both = referrer("prod", &[KUBERNETES, MACHINES], &[], 60);
        assert!(of(&plain, &["prod"], vec![both]).0.starts_with("delete held for"));
        // Old, or naming the image: unknown, or nothing.
        let stale = referrer("prod", &[KUBERNETES], &[], 49 * 3600);
        assert!(of(&accepting, &["prod"], vec![stale]).0.starts_with("hold unknown: the in-use file prod.json"));
        let named = referrer("prod", &[KUBERNETES], &["r.example.com/web@sha256:1"], 60);
        assert_eq!(of(&accepting, &["prod"], vec![named]).0, "nothing");
    }
}
