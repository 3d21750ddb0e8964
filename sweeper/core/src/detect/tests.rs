//! Every detector by the same loops, then the traps of each.

use super::*;
use crate::{
    facts::*,
    in_use::{InUseFile, Referrers},
    intern::Sym,
    inventory::Draft,
    kind::KindSpec,
    testing::{self, KINDS, NOW, World, ago},
};

/// The resource that is judged.
const IT: &str = "it";

/// A world in which a detector finds [`IT`], with every question answered.
struct Case {
    detector: &'static str,
    found: fn() -> World,
    /// Questions that only add evidence.
    optional: &'static [&'static str],
    /// Relations whose users are looked at rather than enough to be clean.
    looked_into: &'static [Relation],
}

const fn case(detector: &'static str, found: fn() -> World) -> Case {
    Case { detector, found, optional: &[], looked_into: &[] }
}

const CASES: &[Case] = &[
    case("unattached-disk", || world(&testing::DISK, disk())),
    case("previous-generation-disk", || {
        let world = World::new();
        let tier = world.sym("gp2");
        world.with(&testing::DISK, IT, Disk { tier, ..disk() })
    }),
    case("stopped-vm", || world(&testing::VM, vm())),
    case("stopped-not-deallocated", || world(&testing::VM, Vm { still_billed: true, ..vm() })),
    case("idle-vm", || {
        world(&testing::VM, Vm { state: VmState::Running, ..vm() })
            .answer(IT, usage(Metric::VmCpuMax, 14), quiet(14, 9.5))
            .answer(IT, usage(Metric::VmNetwork, 14), quiet(14, 4_999_999.0))
    }),
    case("orphaned-snapshot", || {
        let world = World::new();
        let source = world.sym("vol-gone");
        world.with(&testing::SNAPSHOT, IT, Snapshot { source, ..snapshot() }).answer(IT, Question::Shares, shares(&[]))
    }),
    Case {
        optional: &["last_used"],
        ..case("unused-image", || {
            world(&testing::IMAGE, image()).answer(IT, Question::Shares, shares(&[])).answer(
                IT,
                Question::LastUsed,
                Answer::When(Some(ago(200))),
            )
        })
    },
    case("untagged-artifact", || {
        world(&testing::ARTIFACT, Artifact { tagged: false, ..artifact() })
            .with(&testing::ARTIFACT, "index", Artifact { media: Media::Index, ..artifact() })
            .answer("index", Question::Manifest, manifest(&["sha256:other"], None))
            .answer(IT, Question::Manifest, manifest(&[], None))
            .answer(IT, Question::Shares, shares(&[]))
    }),
    case("stale-artifact", || {
        world(&testing::ARTIFACT, artifact())
            .with(&testing::ARTIFACT, "index", Artifact { media: Media::Index, ..artifact() })
            .answer("index", Question::Manifest, manifest(&["sha256:other"], None))
            .answer(IT, Question::Manifest, manifest(&[], None))
            .answer(IT, Question::Shares, shares(&[]))
    }),
    Case {
        optional: &["bytes"],
        ..case("incomplete-upload", || world(&testing::UPLOAD, upload()).answer(IT, Question::Bytes, Answer::Bytes(1)))
    },
    Case {
        // Without it, the bucket itself is asked.
        optional: &["objects"],
        ..case("empty-bucket", || {
            world(&testing::BUCKET, bucket()).answer(IT, usage(Metric::BucketObjects, 3), quiet(3, 0.0)).answer(
                IT,
                Question::Holds,
                Answer::Truth(false),
            )
        })
    },
    Case {
        optional: &["bytes"],
        ..case("unbounded-versions", || {
            world(&testing::BUCKET, Bucket { versioned: Some(true), noncurrent_rule: Some(false), ..bucket() }).answer(
                IT,
                usage(Metric::BucketBytes, 3),
                quiet(3, 5e9),
            )
        })
    },
    Case {
        optional: &["provisioned"],
        ..case("idle-function", || {
            world(&testing::FUNCTION, function())
                .answer(IT, usage(Metric::FunctionInvocations, 30), quiet(30, 0.0))
                .answer(IT, usage(Metric::FunctionProvisioned, 30), quiet(30, 2.0))
        })
    },
    case("old-function-version", || world(&testing::FUNCTION_VERSION, version())),
    case("unassociated-address", || world(&testing::ADDRESS, address())),
    case("unattached-interface", || world(&testing::INTERFACE, interface())),
    case("idle-gateway", || {
        world(&testing::GATEWAY, gateway()).answer(IT, usage(Metric::GatewayTraffic, 32), quiet(32, 0.0))
    }),
    case("idle-endpoint", || {
        world(&testing::ENDPOINT, endpoint()).answer(IT, usage(Metric::EndpointBytes, 30), quiet(30, 0.0))
    }),
    Case {
        looked_into: &[Relation::Targets],
        ..case("targetless-load-balancer", || {
            world(&testing::LOAD_BALANCER, balancer())
                .draft(&testing::TARGET_GROUP, group_of_it("group"))
                .answer("group", Question::Targets, Answer::Targets { targets: 0, healthy: 0 })
                .answer(IT, Question::AnswersItself, Answer::Truth(false))
        })
    },
    Case {
        looked_into: &[Relation::Targets],
        ..case("idle-load-balancer", || {
            world(&testing::LOAD_BALANCER, balancer())
                .answer(IT, usage(Metric::LbRequests, 14), quiet(14, 9.0))
                .draft(&testing::TARGET_GROUP, group_of_it("group"))
                .answer("group", Question::Targets, Answer::Targets { targets: 0, healthy: 0 })
                .answer(IT, Question::AnswersItself, Answer::Truth(true))
        })
    },
    case("unbound-target-group", || world(&testing::TARGET_GROUP, group())),
    case("idle-network-appliance", || world(&testing::APPLIANCE, appliance())),
    case("unused-security-group", || world(&testing::SECURITY_GROUP, security_group())),
    Case {
        // Groups name each other.
        looked_into: &[Relation::Guards],
        ..case("dead-cluster", || of_cluster(&testing::SECURITY_GROUP, security_group(), &["blue"]))
    },
    case("empty-plan", || world(&testing::PLAN, plan())),
    case("idle-database", || {
        world(&testing::DATABASE, database()).answer(IT, usage(Metric::DbConnectionsMax, 14), quiet(14, 0.0))
    }),
    case("sourceless-db-snapshot", || {
        let world = World::new();
        let source = world.sym("db-gone");
        world.with(&testing::DB_SNAPSHOT, IT, DbSnapshot { source, ..db_snapshot() })
    }),
    case("stale-log-group", || {
        world(&testing::LOG_GROUP, log_group()).answer(IT, Question::LastEvent, Answer::When(Some(ago(91))))
    }),
    case("unbounded-log-group", || world(&testing::LOG_GROUP, log_group())),
    case("missing-owner", || without_tags(&[("Owner", "tbd"), ("env", "dev")])),
    case("expired", || without_tags(&[("Expires_On", "2026-01-31")])),
];

fn world(spec: &'static KindSpec, facts: impl Into<Facts>) -> World {
    World::new().with(spec, IT, facts)
}

const fn usage(metric: Metric, days: u16) -> Question {
    Question::Usage { metric, days }
}

/// A measure of every day, never above `max`.
fn quiet(days: u16, max: f64) -> Answer {
    covered(days, days, max)
}

fn covered(covered: u16, days: u16, max: f64) -> Answer {
    Answer::Usage(Usage { max, sum: max, covered, days, last_above_zero: None })
}

fn shares(accounts: &[&str]) -> Answer {
    Answer::Shares(accounts.iter().map(|account| (*account).to_owned()).collect())
}

fn manifest(children: &[&str], subject: Option<&str>) -> Answer {
    Answer::Manifest {
        children: children.iter().map(|child| (*child).to_owned()).collect(),
        subject: subject.map(ToOwned::to_owned),
    }
}

pub(crate) fn disk() -> Disk {
    Disk {
        state: DiskState::Available,
        size_gib: 100,
        tier: Sym::NONE,
        iops: None,
        throughput: None,
        source_snapshot: Sym::NONE,
        attachments: 0,
        last_attached: Some(ago(40)),
    }
}

fn vm() -> Vm {
    Vm {
        state: VmState::Stopped,
        vm_type: Sym::NONE,
        image: Sym::NONE,
        in_state_since: Some(ago(50)),
        spot: false,
        still_billed: false,
    }
}

fn snapshot() -> Snapshot {
    Snapshot {
        stored_bytes: None,
        size_gib: 100,
        tier: Tier::Standard,
        source: Sym::NONE,
        source_is_dummy: false,
        complete: true,
        locked: false,
    }
}

fn image() -> Image {
    Image { state: ImageState::Available, size_gib: 8, deprecated: false, public: false, newest: false }
}

/// A tagged image, pulled 100 days ago, the fifth newest of its repository.
fn artifact() -> Artifact {
    Artifact {
        users_listed: true,
        tagged: true,
        size_bytes: Some(1),
        pushed: Some(ago(300)),
        last_pulled: Some(ago(100)),
        pull_recorded: true,
        media: Media::Image,
        container: Sym::NONE,
        rank: 5,
        package: false,
    }
}

fn upload() -> Upload {
    Upload { initiated: Some(ago(8)), container: Sym::NONE, key: Sym::NONE }
}

fn bucket() -> Bucket {
    Bucket { versioned: None, lifecycle: None, noncurrent_rule: None, abort_rule: None, machinery: false }
}

pub(crate) fn function() -> Function {
    Function {
        runtime: Sym::NONE,
        last_modified: Some(ago(60)),
        code_bytes: None,
        edge: Some(false),
        kept_warm: None,
        machinery: false,
    }
}

fn version() -> FunctionVersion {
    FunctionVersion {
        function: Sym::NONE,
        version: 1,
        last_modified: None,
        code_bytes: None,
        rank: 4,
        edge: Some(false),
    }
}

fn address() -> Address {
    Address { associated: false, ip: Sym::NONE, service_managed: false, own_pool: false, internal: false }
}

fn interface() -> Interface {
    Interface { attached: false, state: Sym::NONE, requester: Sym::NONE, machinery: false, description: Sym::NONE }
}

fn gateway() -> Gateway {
    Gateway { kind: GatewayKind::Nat, state: Sym::NONE, active: true }
}

fn endpoint() -> Endpoint {
    Endpoint { kind: EndpointKind::Interface, service: Sym::NONE, state: Sym::NONE, active: true, zones: 2 }
}

fn balancer() -> LoadBalancer {
    LoadBalancer { kind: LbKind::Application, state: Sym::NONE, own_targets: None }
}

fn group() -> TargetGroup {
    TargetGroup { target_type: Sym::NONE, bound: false }
}

fn group_of_it(native: &str) -> Draft<'_> {
    Draft { uses: vec![(Relation::Targets, IT)], ..Draft::new(native, TargetGroup { bound: true, ..group() }) }
}

fn database() -> Database {
    Database {
        state: DatabaseState::Available,
        engine: Sym::NONE,
        db_class: Sym::NONE,
        storage_gib: 20,
        multi_az: false,
        replica: false,
        is_cluster: false,
        cluster: Sym::NONE,
        storage_type: Sym::NONE,
    }
}

fn db_snapshot() -> DbSnapshot {
    DbSnapshot { manual: true, retained: false, source: Sym::NONE, of_cluster: false, size_gib: 20, engine: Sym::NONE }
}

fn log_group() -> LogGroup {
    LogGroup { retention_days: None, bytes: Some(1), machinery: false }
}

fn plan() -> Plan {
    Plan { tier: Sym::NONE, holds: Some(0), capacity: 1, free: false }
}

fn appliance() -> Appliance {
    Appliance { sort: Sym::NONE, tier: Sym::NONE, state: Sym::NONE, active: true, serves: Some(0) }
}

fn security_group() -> SecurityGroup {
    SecurityGroup { default: false, associations: None }
}

/// With the marks of clusters.
fn marked<'a>(native: &'a str, facts: impl Into<Facts>, clusters: &[&'a str]) -> Draft<'a> {
    let uses = clusters.iter().map(|cluster| (Relation::OfCluster, *cluster)).collect();
    Draft { uses, ..Draft::new(native, facts) }
}

fn of_cluster(spec: &'static KindSpec, facts: impl Into<Facts>, clusters: &[&str]) -> World {
    World::new().draft(spec, marked(IT, facts, clusters))
}

fn says(detector: &str, world: World) -> Verdict {
    world.seal().judge(detector, IT).0
}

#[track_caller]
fn assert_found(detector: &str, world: World) -> Finding {
    match says(detector, world) {
        Verdict::Found(finding) => finding,
        other => panic!("{detector} says {other:?}"),
    }
}

#[track_caller]
fn assert_clean(detector: &str, world: World) {
    let verdict = says(detector, world);
    assert!(matches!(verdict, Verdict::Clean(_)), "{detector} says {verdict:?}");
}

#[track_caller]
fn assert_trap(detector: &str, trap: &'static str, world: World) {
    assert_eq!(says(detector, world), Verdict::Clean(Some(trap)), "{detector}");
}

#[track_caller]
fn assert_unknown(detector: &str, cause: &str, world: World) {
    match says(detector, world) {
        Verdict::Unknown(unseen) => assert!(unseen.cause.contains(cause), "{detector} says {unseen:?}"),
        other => panic!("{detector} says {other:?}, not unknown for {cause}"),
    }
}

/// The kinds that a search by a relation goes through.
fn referrers(relation: Relation) -> impl Iterator<Item = &'static KindSpec> {
    KINDS.iter().copied().filter(move |spec| spec.refers.iter().any(|(declared, _)| *declared == relation))
}

/// Its listing carries no tags; the question about them does.
fn without_tags(tags: &[(&str, &str)]) -> World {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let draft = Draft { created: Some(ago(400)), ..Draft::new(IT, disk()) };
    World::new().draft(&testing::DISK, draft).answer(IT, Question::Tags, Answer::Tags(tags))
}

#[test]
fn every_detector_is_named_as_its_file_and_documented() {
    let mut ids = BTreeSet::new();
    for (detector, file) in DETECTORS.iter().zip(FILES) {
        let spec = detector.spec;
        assert_eq!(spec.id.replace('-', "_"), *file);
        assert!(ids.insert(spec.id), "{} is registered twice", spec.id);
        assert!(!spec.title.is_empty(), "{} has no title", spec.id);
        assert!(spec.why_it_matters.len() > 40, "{} does not say why it matters", spec.id);
        assert!(spec.when_it_is_wrong.len() > 40, "{} does not say when it is wrong", spec.id);
    }
}

#[test]
fn every_detector_of_a_class_has_a_case() {
    for spec in DETECTORS.iter().map(|detector| detector.spec).filter(|spec| !spec.classes.is_empty()) {
        assert!(CASES.iter().any(|case| case.detector == spec.id), "{} has no case", spec.id);
    }
}

#[test]
fn every_pattern_is_found_with_evidence_that_names_its_source() {
    for case in CASES {
        let finding = assert_found(case.detector, (case.found)());
        assert!(finding.evidence().len() > 1, "{} shows too little", case.detector);
        for evidence in finding.evidence() {
            assert!(!evidence.source.is_empty() && !evidence.fact.is_empty(), "{}: {evidence:?}", case.detector);
        }
        let searches = !detector(case.detector).unwrap().spec.relations.is_empty();
        let shown = finding.evidence().iter().any(|evidence| evidence.fact == "searched" && !evidence.value.is_empty());
        assert!(shown || !searches || !case.looked_into.is_empty(), "{} does not say where it searched", case.detector);
    }
}

#[test]
fn a_blind_referrer_makes_unknown() {
    for case in CASES {
        let spec = detector(case.detector).unwrap().spec;
        for relation in spec.relations {
            assert!(referrers(*relation).next().is_some(), "{relation:?} has no test kind");
            // What is judged itself is not there to be judged in a blind listing.
            for referrer in referrers(*relation).filter(|referrer| !spec.judges(referrer.class)) {
                assert_unknown(
                    case.detector,
                    &format!("denied test:List-{}", referrer.id),
                    (case.found)().blind(referrer),
                );
            }
        }
        for class in spec.sources {
            for source in KINDS.iter().filter(|spec| spec.class == *class) {
                assert_unknown(case.detector, &format!("denied test:List-{}", source.id), (case.found)().blind(source));
            }
        }
    }
}

#[test]
fn a_user_seen_is_certain_whatever_else_is_blind() {
    for case in CASES {
        let spec = detector(case.detector).unwrap().spec;
        for relation in spec.relations.iter().filter(|relation| !case.looked_into.contains(relation)) {
            for referrer in referrers(*relation) {
                let used = || {
                    let uses = vec![(*relation, IT)];
                    let facts: Facts = match referrer.class {
                        Class::Vm => vm().into(),
                        Class::Image => image().into(),
                        Class::Function => function().into(),
                        Class::Gateway => gateway().into(),
                        Class::Interface => interface().into(),
                        Class::SecurityGroup => security_group().into(),
                        _ => Referrer {}.into(),
                    };
                    (case.found)().draft(referrer, Draft { uses, ..Draft::new("user", facts) })
                };
                assert_clean(case.detector, used());
                for other in KINDS.iter().filter(|other| other.id != referrer.id && !spec.judges(other.class)) {
                    assert_clean(case.detector, used().blind(other));
                }
            }
        }
    }
}

#[test]
fn a_question_without_an_answer_is_noted_and_a_failed_one_is_unknown() {
    for case in CASES {
        let spec = detector(case.detector).unwrap().spec;
        for question in spec.questions {
            let (verdict, notes) = (case.found)().unanswered(*question).seal().judge(case.detector, IT);
            assert!(notes.asks.iter().any(|ask| ask.question == *question), "{} does not ask {question:?}", spec.id);
            let only_evidence = case.optional.contains(&question.name());
            if !only_evidence {
                let Verdict::Unknown(unseen) = &verdict else { panic!("{}: {question:?}: {verdict:?}", spec.id) };
                assert_eq!(unseen.cause, NOT_ASKED);
            }
            let (verdict, notes) = (case.found)().unseen(*question).seal().judge(case.detector, IT);
            assert_eq!(matches!(verdict, Verdict::Found(_)), only_evidence, "{}: {question:?}: {verdict:?}", spec.id);
            assert_eq!(matches!(verdict, Verdict::Unknown(_)), !only_evidence, "{}: {question:?}", spec.id);
            assert!(notes.asks.is_empty(), "{} asks again what failed", spec.id);
        }
    }
}

#[test]
fn nothing_is_found_in_the_dark_that_needs_to_be_looked_for() {
    for case in CASES {
        let spec = detector(case.detector).unwrap().spec;
        let mut world = (case.found)();
        for other in KINDS.iter().filter(|other| !spec.judges(other.class)) {
            world = world.blind(other);
        }
        for question in spec.questions {
            world = world.unseen(*question);
        }
        let decides = spec.questions.iter().any(|question| !case.optional.contains(&question.name()));
        let needs = !spec.relations.is_empty() || !spec.sources.is_empty() || decides;
        assert_eq!(!needs, matches!(says(spec.id, world), Verdict::Found(_)), "{}", spec.id);
    }
}

/// Answers come in rounds; the case's own answers are given as they are asked for.
#[test]
fn asking_ends_after_three_rounds() {
    for case in CASES {
        let spec = detector(case.detector).unwrap().spec;
        let whole = (case.found)().seal();
        let mut partly = (case.found)();
        for question in spec.questions {
            partly = partly.unanswered(*question);
        }
        let mut partly = partly.seal();
        let mut rounds = 0;
        loop {
            let asks = partly.judge(spec.id, IT).1.asks;
            if asks.is_empty() {
                break;
            }
            rounds += 1;
            assert!(rounds <= 3, "{} still asks {asks:?}", spec.id);
            for ask in asks {
                partly.answers.insert(ask, whole.answers.get(ask).unwrap().clone());
            }
        }
        assert!(matches!(partly.judge(spec.id, IT).0, Verdict::Found(_)), "{}", spec.id);
    }
}

/// A measure that stops short of its window never says idle, and a window before the resource was made
/// says nothing.
#[test]
fn missing_data_is_not_quiet_and_the_young_are_left_alone() {
    for case in CASES {
        let spec = detector(case.detector).unwrap().spec;
        for question in spec.questions {
            let Question::Usage { metric, days } = *question else { continue };
            if case.optional.contains(&metric.name()) {
                continue;
            }
            let given = |answer: Answer| (case.found)().unanswered(*question).answer(IT, *question, answer);
            assert_unknown(spec.id, "no complete metrics", given(covered(days - 2, days, 0.0)));
            assert_unknown(spec.id, "no complete metrics", given(covered(0, days, 0.0)));
            assert_found(spec.id, given(covered(days - 1, days, 0.0)));
            assert_clean(spec.id, given(quiet(days, 1e12)));
            assert_clean(spec.id, given(covered(1, days, 1e12)));
        }
    }
    let young = |spec: &'static KindSpec, facts: Facts, days: i64| {
        World::new().draft(spec, Draft { created: Some(ago(days)), ..Draft::new(IT, facts) })
    };
    let trap = "younger than the window";
    let running = Vm { state: VmState::Running, in_state_since: None, ..vm() };
    assert_trap("idle-vm", trap, young(&testing::VM, running.into(), 13));
    assert_trap("idle-function", trap, young(&testing::FUNCTION, function().into(), 29));
    assert_trap("idle-gateway", trap, young(&testing::GATEWAY, gateway().into(), 31));
    assert_trap("idle-endpoint", trap, young(&testing::ENDPOINT, endpoint().into(), 29));
    assert_trap("idle-load-balancer", trap, young(&testing::LOAD_BALANCER, balancer().into(), 13));
    assert_trap("idle-database", trap, young(&testing::DATABASE, database().into(), 13));
    assert_trap("stale-log-group", trap, young(&testing::LOG_GROUP, log_group().into(), 89));
}

#[test]
fn a_detector_is_held_to_what_it_declares() {
    static SPEC: Spec = Spec { relations: &[], sources: &[], questions: &[], ..unused_image_spec() };
    const fn unused_image_spec() -> Spec {
        Spec {
            id: "greedy",
            title: "",
            classes: &[],
            relations: &[],
            sources: &[],
            questions: &[],
            severity: Severity::Info,
            why_it_matters: "",
            when_it_is_wrong: "",
        }
    }
    fn users<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
        view.users(resource, Relation::UsedByVm).map(|_| Verdict::CLEAN)
    }
    fn exists<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
        view.exists(resource, Class::Disk, Sym::NONE, Reach::Region, |_| true).map(|_| Verdict::CLEAN)
    }
    fn asks<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
        view.shares(resource).map(|_| Verdict::CLEAN)
    }
    let greedy: [for<'a> fn(&View<'a>, Resource<'a>) -> Judged; 3] = [users, exists, asks];
    for judge in greedy {
        let outcome = std::panic::catch_unwind(|| {
            let sealed = world(&testing::IMAGE, image()).seal();
            Detector { spec: &SPEC, judge }.judge(&sealed.view(), sealed.resource(IT))
        });
        assert!(outcome.is_err());
    }
}

#[test]
fn unattached_disk() {
    let of = |disk| world(&testing::DISK, disk);
    assert_trap(
        "unattached-disk",
        "reserved by a machine that is stopped",
        of(Disk { state: DiskState::Reserved, ..disk() }),
    );
    assert_trap("unattached-disk", "attachment in progress", of(Disk { attachments: 1, ..disk() }));
    assert_clean("unattached-disk", of(Disk { state: DiskState::Attached, attachments: 1, ..disk() }));
    assert_clean("unattached-disk", of(Disk { state: DiskState::Other, ..disk() }));
    assert_eq!(assert_found("unattached-disk", of(disk())).since_hint(), Some((ago(40), "last attached")));
}

#[test]
fn previous_generation_disk() {
    let of = |tier: &str, state| {
        let world = World::new();
        let tier = world.sym(tier);
        world.with(&testing::DISK, IT, Disk { state, tier, ..disk() })
    };
    for (previous, successor) in [("gp2", "gp3"), ("io1", "io2"), ("standard", "gp3")] {
        let finding = assert_found("previous-generation-disk", of(previous, DiskState::Attached));
        assert_eq!(finding.evidence()[1].value, successor);
    }
    for tier in ["gp3", "io2", "st1", "sc1", "Premium_LRS", ""] {
        assert_clean("previous-generation-disk", of(tier, DiskState::Attached));
    }
    assert_trap("previous-generation-disk", "being made or deleted", of("gp2", DiskState::Other));
}

#[test]
fn stopped_vm() {
    let of = |state| world(&testing::VM, Vm { state, ..vm() });
    assert_clean("stopped-vm", of(VmState::Running));
    assert_trap("stopped-vm", "between two states", of(VmState::Other));
    assert_found("stopped-vm", of(VmState::Deallocated));
    let billed = Vm { still_billed: true, ..vm() };
    assert_trap("stopped-vm", "its compute is billed though it is stopped", world(&testing::VM, billed));
    let since = assert_found("stopped-vm", of(VmState::Stopped)).since_hint();
    assert_eq!(since, Some((ago(50), "in state since")));
    // From the first day, and without a time.
    let new = Vm { in_state_since: Some(NOW), ..vm() };
    assert_found("stopped-vm", world(&testing::VM, new));
    assert_eq!(assert_found("stopped-vm", world(&testing::VM, Vm { in_state_since: None, ..vm() })).since_hint(), None);
}

#[test]
fn stopped_not_deallocated() {
    let id = "stopped-not-deallocated";
    let of = |state, still_billed| world(&testing::VM, Vm { state, still_billed, ..vm() });
    assert_eq!(assert_found(id, of(VmState::Stopped, true)).since_hint(), Some((ago(50), "in state since")));
    assert_clean(id, of(VmState::Running, false));
    assert_trap(id, "between two states", of(VmState::Other, false));
    for state in [VmState::Stopped, VmState::Deallocated] {
        assert_trap(id, "stopped, and its compute is not billed", of(state, false));
    }
    // Either the one or the other, never both.
    for (state, still_billed) in [(VmState::Stopped, true), (VmState::Stopped, false), (VmState::Deallocated, false)] {
        let found = |id| matches!(says(id, of(state, still_billed)), Verdict::Found(_));
        assert!(found(id) != found("stopped-vm"), "{state:?}");
    }
}

#[test]
fn empty_plan() {
    let of = |plan| world(&testing::PLAN, plan);
    assert_clean("empty-plan", of(Plan { holds: Some(1), ..plan() }));
    assert_unknown("empty-plan", "not told: holds", of(Plan { holds: None, ..plan() }));
    assert_trap("empty-plan", "its tier costs nothing by itself", of(Plan { free: true, holds: None, ..plan() }));
}

#[test]
fn idle_network_appliance() {
    let id = "idle-network-appliance";
    let of = |appliance| world(&testing::APPLIANCE, appliance);
    assert_clean(id, of(Appliance { serves: Some(2), ..appliance() }));
    assert_unknown(id, "not told: serves", of(Appliance { serves: None, ..appliance() }));
    assert_trap(id, "not in a state that is billed", of(Appliance { active: false, ..appliance() }));
}

#[test]
fn unused_security_group() {
    let id = "unused-security-group";
    let of = |group| world(&testing::SECURITY_GROUP, group);
    let default = SecurityGroup { default: true, ..security_group() };
    assert_trap(id, "comes with its network and cannot be deleted", of(default));
    // Where the group itself says what it is on, nothing is searched.
    let told = |associations| of(SecurityGroup { associations: Some(associations), ..security_group() });
    assert_clean(id, told(1));
    assert_found(id, told(0).blind(&testing::GUARDED));
    // It may name itself in its own rules.
    let own = Draft { uses: vec![(Relation::Guards, IT)], ..Draft::new(IT, security_group()) };
    assert_found(id, World::new().draft(&testing::SECURITY_GROUP, own));
}

#[test]
fn dead_cluster() {
    let id = "dead-cluster";
    let cluster = |native| Draft::new(native, Cluster { version: Sym::NONE, state: Sym::NONE, nodes: None });
    let disk_of = |clusters: &[&str]| of_cluster(&testing::DISK, disk(), clusters);
    let finding = assert_found(id, disk_of(&["blue"]));
    let said: Vec<(&str, &str)> =
        finding.evidence().iter().map(|evidence| (evidence.fact.as_ref(), evidence.value.as_str())).collect();
    assert_eq!(
        said[..4],
        [
            ("cluster", "blue"),
            ("cluster_exists", "false"),
            ("machines_of_cluster", "0"),
            ("searched", "aws.test-cluster (account), aws.test-vm (account)"),
        ]
    );
    assert_clean(id, disk_of(&[]));
    assert_clean(id, world(&testing::DISK, disk()));
    // The cluster lives, under its name or another.
    let lives = "its cluster exists";
    assert_trap(id, lives, disk_of(&["blue"]).draft(&testing::CLUSTER, cluster("blue")).blind(&testing::VM));
    let renamed = Draft { also: vec!["blue"], ..cluster("arn:cluster/blue") };
    assert_trap(id, lives, disk_of(&["blue"]).draft(&testing::CLUSTER, renamed));
    assert_found(id, disk_of(&["blue"]).draft(&testing::CLUSTER, cluster("blue-2")));
    // All that it is marked with must be gone.
    assert_trap(id, lives, disk_of(&["green", "blue"]).draft(&testing::CLUSTER, cluster("blue")));
    assert_eq!(assert_found(id, disk_of(&["green", "blue"])).evidence()[0].value, "green, blue");
    // A cluster that nobody lists, asleep or not.
    let machine = "a machine carries the mark of the same cluster";
    let with_vm = |clusters: &[&str]| {
        disk_of(&["blue"]).draft(&testing::VM, marked("vm", Vm { state: VmState::Deallocated, ..vm() }, clusters))
    };
    assert_trap(id, machine, with_vm(&["blue"]).blind(&testing::CLUSTER));
    assert_found(id, with_vm(&["green"]));
    let group = Draft { uses: vec![(Relation::OfCluster, "blue")], ..Draft::new("group", Referrer {}) };
    let groups = "a group of machines carries the mark of the same cluster";
    assert_trap(id, groups, disk_of(&["blue"]).draft(&testing::TEMPLATE, group).blind(&testing::CLUSTER));
    // Only machines speak for a cluster.
    assert_found(id, disk_of(&["blue"]).draft(&testing::DISK, marked("other", disk(), &["blue"])));
    // In use, whoever uses it.
    for state in [DiskState::Attached, DiskState::Reserved, DiskState::Other] {
        assert_clean(id, of_cluster(&testing::DISK, Disk { state, ..disk() }, &["blue"]).blind(&testing::VM));
    }
    assert_clean(id, of_cluster(&testing::ADDRESS, Address { associated: true, ..address() }, &["blue"]));
    assert_clean(id, of_cluster(&testing::INTERFACE, Interface { attached: true, ..interface() }, &["blue"]));
    assert_clean(id, of_cluster(&testing::INTERFACE, Interface { machinery: true, ..interface() }, &["blue"]));
    assert_found(id, of_cluster(&testing::ADDRESS, address(), &["blue"]));
    assert_found(id, of_cluster(&testing::INTERFACE, interface(), &["blue"]));
    assert_found(id, of_cluster(&testing::LOAD_BALANCER, balancer(), &["blue"]));
    // A group is in use by all but groups, which name each other.
    let group = || of_cluster(&testing::SECURITY_GROUP, security_group(), &["blue"]);
    let guards = |native| Draft { uses: vec![(Relation::Guards, IT)], ..Draft::new(native, security_group()) };
    assert_found(id, group().draft(&testing::SECURITY_GROUP, guards("nodes")));
    let guarded = group().referrer(&testing::GUARDED, "eni", &[(Relation::Guards, IT)]);
    assert_trap(id, "still guards something", guarded.blind(&testing::VM));
    let told = |count| {
        of_cluster(&testing::SECURITY_GROUP, SecurityGroup { associations: Some(count), ..security_group() }, &["b"])
    };
    assert_trap(id, "still guards something", told(1));
    assert_found(id, told(0).blind(&testing::GUARDED));
}

/// The mark of a cluster that is gone holds nothing; of one that lives, or may, it does, and so does any other's.
#[test]
fn the_mark_of_a_gone_cluster() {
    let cluster = |native| Draft::new(native, Cluster { version: Sym::NONE, state: Sym::NONE, nodes: None });
    let gone = |manager: &'static str, clusters: &[&'static str], change: &dyn Fn(World) -> World| {
        let uses = clusters.iter().map(|cluster| (Relation::OfCluster, *cluster)).collect();
        let it = Draft { managed_by: manager, uses, ..Draft::new(IT, disk()) };
        let world = change(World::new().draft(&testing::DISK, it)).seal();
        super::gone_manager(detector("dead-cluster"), world.resource(IT)).map(ToOwned::to_owned)
    };
    let same = |world: World| world;
    let claim = "Kubernetes claim shop/data";
    assert_eq!(gone(claim, &["blue"], &same).as_deref(), Some(claim));
    assert_eq!(gone("CloudFormation stack web", &["blue"], &same), None);
    let it = Draft { managed_by: claim, uses: vec![(Relation::OfCluster, "blue")], ..Draft::new(IT, disk()) };
    let world = World::new().draft(&testing::DISK, it).seal();
    for other in [detector("unattached-disk"), None] {
        assert_eq!(super::gone_manager(other, world.resource(IT)), None, "others do not ask for clusters");
    }
    assert_eq!(gone(claim, &[], &same), None, "nothing says of which cluster");
    let lives = |world: World| world.draft(&testing::CLUSTER, cluster("blue"));
    assert_eq!(gone(claim, &["blue"], &lives), None);
    assert_eq!(gone(claim, &["green", "blue"], &lives), None);
    assert_eq!(gone(claim, &["green"], &lives).as_deref(), Some(claim));
    let by_hand = |world: World| world.draft(&testing::VM, marked("vm", vm(), &["blue"]));
    assert_eq!(gone(claim, &["blue"], &by_hand), None);
    let group = |world: World| {
        let uses = vec![(Relation::OfCluster, "blue")];
        world.draft(&testing::TEMPLATE, Draft { uses, ..Draft::new("group", Referrer {}) })
    };
    assert_eq!(gone(claim, &["blue"], &group), None);
    for blind in [&testing::CLUSTER, &testing::VM] {
        assert_eq!(gone(claim, &["blue"], &|world: World| world.blind(blind)), None, "{}", blind.id);
        // Nobody's leave not to look makes it certain.
        let it = Draft { managed_by: claim, uses: vec![(Relation::OfCluster, "blue")], ..Draft::new(IT, disk()) };
        let mut world = World::new().draft(&testing::DISK, it).blind(blind).seal();
        world.inventory.waive(|_, _, _| Some(("accepted".to_owned(), "2030-01-01".to_owned())));
        assert_eq!(super::gone_manager(detector("dead-cluster"), world.resource(IT)), None, "{}", blind.id);
    }
}

/// Clusters and machines of other accounts: a cluster seen there is certain, and nothing else is.
#[test]
fn the_cluster_of_another_account() {
    use crate::{
        inventory::{InventoryBuilder, Status},
        model::CloudId,
    };
    let judge = |elsewhere: Option<&str>, machine: bool| {
        let mut builder = InventoryBuilder::new(KINDS);
        let mut it = builder.listing(&testing::DISK, &testing::home());
        it.push(marked(IT, disk(), &["blue"]));
        builder.complete(it, 1);
        let away = crate::model::Scope::new(CloudId::Aws, "222222222222", "us-east-1");
        for scope in [testing::home(), away.clone()] {
            for spec in [&testing::CLUSTER, &testing::VM] {
                let mut listing = builder.listing(spec, &scope);
                if scope == away && spec.class == Class::Cluster {
                    let Some(name) = elsewhere else {
                        builder.mark(spec, &scope, Status::Blind { why: "denied".to_owned() }, 1);
                        continue;
                    };
                    listing.push(Draft::new(name, Cluster { version: Sym::NONE, state: Sym::NONE, nodes: None }));
                }
                if scope == away && spec.class == Class::Vm && machine {
                    listing.push(marked("vm", vm(), &["blue"]));
                }
                builder.complete(listing, 1);
            }
        }
        let (inventory, answers, house) = (builder.build(), Answers::default(), House::default());
        let view = View::new(&inventory, &answers, &house, NOW);
        let it = inventory.of_class(Class::Disk).next().unwrap();
        detector("dead-cluster").unwrap().judge(&view, it)
    };
    assert_eq!(judge(Some("blue"), false), Verdict::trap("its cluster exists"));
    assert!(matches!(judge(Some("green"), false), Verdict::Found(_)));
    // Neither a blind account elsewhere nor a machine of one that is not this says anything.
    assert!(matches!(judge(None, false), Verdict::Found(_)));
    assert!(matches!(judge(None, true), Verdict::Found(_)));
}

#[test]
fn idle_vm() {
    assert_clean("idle-vm", world(&testing::VM, vm()));
    let restarted = Vm { state: VmState::Running, in_state_since: Some(ago(13)), ..vm() };
    assert_trap("idle-vm", "younger than the window", world(&testing::VM, restarted));
    let measured =
        |cpu, network| {
            world(&testing::VM, Vm { state: VmState::Running, ..vm() })
                .answer(IT, usage(Metric::VmCpuMax, 14), cpu)
                .answer(IT, usage(Metric::VmNetwork, 14), network)
        };
    assert_clean("idle-vm", measured(quiet(14, 10.1), quiet(14, 0.0)));
    assert_clean("idle-vm", measured(quiet(14, 0.0), quiet(14, 5_000_001.0)));
    // Busy by one measure is certain although the other failed.
    assert_clean("idle-vm", measured(quiet(14, 99.0), Answer::Unseen("throttled".to_owned())));
    assert_unknown("idle-vm", "no complete metrics", measured(quiet(14, f64::NAN), quiet(14, 0.0)));
}

#[test]
fn orphaned_snapshot() {
    let of = |snapshot: fn(Snapshot) -> Snapshot| {
        let world = World::new();
        let source = world.sym("vol-1");
        world.with(&testing::SNAPSHOT, IT, snapshot(Snapshot { source, ..self::snapshot() }))
    };
    let with_disk = of(|snapshot| snapshot).with(&testing::DISK, "vol-1", disk());
    assert_clean("orphaned-snapshot", with_disk.blind(&testing::IMAGE).blind(&testing::TEMPLATE));
    let same_name =
        of(|snapshot| snapshot).with(&testing::DATABASE, "vol-1", database()).answer(IT, Question::Shares, shares(&[]));
    assert_found("orphaned-snapshot", same_name);
    // A snapshot that has no region may be of a disk in any.
    let world = World::new();
    let source = world.sym("vol-1");
    let facts = Snapshot { source, ..snapshot() };
    let regionless = Draft { region: Some(Scope::GLOBAL), ..Draft::new(IT, facts) };
    assert_clean(
        "orphaned-snapshot",
        world.draft(&testing::SNAPSHOT, regionless).with(&testing::DISK, "vol-1", disk()),
    );
    assert_trap("orphaned-snapshot", "still being taken", of(|snapshot| Snapshot { complete: false, ..snapshot }));
    let copied = of(|snapshot| Snapshot { source_is_dummy: true, ..snapshot });
    assert_trap("orphaned-snapshot", "copied: its source id is a stand-in", copied);
    let sourceless = of(|snapshot| Snapshot { source: Sym::NONE, ..snapshot });
    assert_trap("orphaned-snapshot", "its source is not told", sourceless);
    let locked = of(|snapshot| Snapshot { locked: true, tier: Tier::Archive, ..snapshot });
    assert_found("orphaned-snapshot", locked.answer(IT, Question::Shares, shares(&[])));
    let stored = of(|snapshot| Snapshot { stored_bytes: Some(4096), ..snapshot });
    let stored = assert_found("orphaned-snapshot", stored.answer(IT, Question::Shares, shares(&[])));
    assert!(stored.evidence().iter().any(|evidence| (&*evidence.fact, &*evidence.value) == ("stored_bytes", "4096")));
    // A manager's mark holds the action; it does not hide the finding.
    let world = World::new();
    let source = world.sym("vol-1");
    let managed = Draft { managed_by: "backup plan daily", ..Draft::new(IT, Snapshot { source, ..snapshot() }) };
    assert_found(
        "orphaned-snapshot",
        world.draft(&testing::SNAPSHOT, managed).answer(IT, Question::Shares, shares(&[])),
    );
}

#[test]
fn a_shared_snapshot_or_image_is_unknown_outside_what_was_surveyed() {
    let dark = |detector| if str::ends_with(detector, "-artifact") { &testing::WORKLOAD } else { &testing::TEMPLATE };
    for (detector, found) in CASES
        .iter()
        .filter(|case| detector(case.detector).unwrap().spec.questions.contains(&Question::Shares))
        .map(|case| (case.detector, case.found))
    {
        let shared =
            |accounts: &[&str]| found().unanswered(Question::Shares).answer(IT, Question::Shares, shares(accounts));
        assert_unknown(detector, "shared with an account that is not surveyed", shared(&["999999999999"]));
        assert_unknown(detector, "shared with everybody", shared(&["all"]));
        assert_found(detector, shared(&["111111111111"]));
        // Not worth a call while something at home could not be seen.
        let (verdict, notes) = found().unanswered(Question::Shares).blind(dark(detector)).seal().judge(detector, IT);
        assert!(matches!(verdict, Verdict::Unknown(_)));
        assert!(notes.asks.is_empty());
    }
}

#[test]
fn unused_image() {
    let of = |image| world(&testing::IMAGE, image).answer(IT, Question::Shares, shares(&[]));
    assert_trap("unused-image", "being made, or failed", of(Image { state: ImageState::Other, ..image() }));
    assert_found("unused-image", of(Image { state: ImageState::Disabled, ..image() }));
    let newest = of(Image { newest: true, ..image() }).blind(&testing::TEMPLATE);
    assert_trap("unused-image", "newest of its family: whoever starts from the family gets it", newest);
    assert_unknown("unused-image", "shared with everybody", of(Image { public: true, ..image() }));
    let launched = of(image()).answer(IT, Question::LastUsed, Answer::When(Some(ago(3))));
    assert_eq!(assert_found("unused-image", launched).since_hint(), Some((ago(3), "last used")));
    let never = of(image()).answer(IT, Question::LastUsed, Answer::When(None));
    assert_eq!(assert_found("unused-image", never).since_hint(), None);
}

/// A repository with an index of one child, and what else a test puts there.
fn repository(child: Artifact, index: Artifact) -> World {
    World::new()
        .with(&testing::ARTIFACT, "app@sha256:it", child)
        .with(&testing::ARTIFACT, "app@sha256:index", Artifact { media: Media::Index, ..index })
        .answer("app@sha256:it", Question::Manifest, manifest(&[], None))
        .answer("app@sha256:it", Question::Shares, shares(&[]))
        .answer("app@sha256:index", Question::Manifest, manifest(&["sha256:it"], None))
        .answer("app@sha256:index", Question::Shares, shares(&[]))
}

#[test]
fn untagged_artifact() {
    let untagged = || Artifact { tagged: false, ..artifact() };
    assert_clean("untagged-artifact", world(&testing::ARTIFACT, artifact()));
    assert_clean("untagged-artifact", world(&testing::ARTIFACT, Artifact { package: true, ..untagged() }));
    let open = world(&testing::ARTIFACT, Artifact { users_listed: false, ..untagged() });
    assert_trap("untagged-artifact", "who uses it cannot be listed", open);
    let judge = |world: World, native: &str| world.seal().judge("untagged-artifact", native).0;
    let child = Verdict::trap("child of an index");
    assert_eq!(judge(repository(untagged(), artifact()), "app@sha256:it"), child);
    // A parent seen is certain, whatever could not be.
    let dark = repository(untagged(), artifact())
        .with(&testing::ARTIFACT, "app@sha256:more", Artifact { media: Media::Index, ..artifact() })
        .blind(&testing::WORKLOAD);
    assert_eq!(judge(dark, "app@sha256:it"), child);
    // An index without a tag is found; what it lists goes with it.
    assert_eq!(judge(repository(untagged(), untagged()), "app@sha256:it"), child);
    assert!(matches!(judge(repository(untagged(), untagged()), "app@sha256:index"), Verdict::Found(_)));
    // An index of another repository does not list it, and need not be asked.
    let elsewhere = World::new();
    let container = elsewhere.sym("other");
    let elsewhere = elsewhere
        .with(&testing::ARTIFACT, IT, untagged())
        .with(&testing::ARTIFACT, "x", Artifact { media: Media::Index, container, ..artifact() })
        .answer(IT, Question::Manifest, manifest(&[], None))
        .answer(IT, Question::Shares, shares(&[]));
    assert_found("untagged-artifact", elsewhere);
    // Children that the listing itself told need no question.
    let told = World::new().with(&testing::ARTIFACT, IT, untagged()).draft(
        &testing::ARTIFACT,
        Draft {
            uses: vec![(Relation::ChildOf, "sha256:other"), (Relation::ChildOf, IT)],
            ..Draft::new("index", Artifact { media: Media::Index, ..artifact() })
        },
    );
    let (verdict, notes) = told.seal().judge("untagged-artifact", IT);
    assert_eq!(verdict, child);
    assert!(notes.asks.is_empty());
}

#[test]
fn a_signature_goes_with_its_subject() {
    for detector in ["untagged-artifact", "stale-artifact"] {
        let of = |subject: &str| {
            world(&testing::ARTIFACT, Artifact { tagged: false, media: Media::Other, ..artifact() })
                .with(&testing::ARTIFACT, "app@sha256:subject", artifact())
                .answer(IT, Question::Manifest, manifest(&[], Some(subject)))
                .answer(IT, Question::Shares, shares(&[]))
        };
        assert_trap(detector, "attached to another artifact", of("sha256:subject"));
        assert_found(detector, of("sha256:gone"));
    }
    // The older scheme says it in a tag.
    let hex = "0123456789abcdef".repeat(4);
    let of = |tag: String| {
        let signature = Draft { also: vec![&tag], ..Draft::new(IT, artifact()) };
        World::new()
            .draft(&testing::ARTIFACT, signature)
            .with(&testing::ARTIFACT, &format!("app@sha256:{hex}"), artifact())
            .answer(IT, Question::Manifest, manifest(&[], None))
            .answer(IT, Question::Shares, shares(&[]))
    };
    for suffix in ["", ".sig", ".att", ".sbom"] {
        let world = of(format!("app:sha256-{hex}{suffix}")).unanswered(Question::Manifest);
        assert_trap("stale-artifact", "attached to another artifact", world);
    }
    for tag in [format!("app:sha256-{}.sig", "f".repeat(64)), "app:sha256-1.sig".to_owned(), format!("app:{hex}")] {
        assert_found("stale-artifact", of(tag));
    }
}

#[test]
fn what_an_index_lists_and_what_it_is_attached_to_must_both_be_seen() {
    let failed = || Answer::Unseen("denied test:Manifest".to_owned());
    for detector in ["untagged-artifact", "stale-artifact"] {
        let of = |own: Answer, index: Answer| {
            world(&testing::ARTIFACT, Artifact { tagged: false, ..artifact() })
                .with(&testing::ARTIFACT, "index", Artifact { media: Media::Index, ..artifact() })
                .answer(IT, Question::Manifest, own)
                .answer(IT, Question::Shares, shares(&[]))
                .answer("index", Question::Manifest, index)
        };
        assert_found(detector, of(manifest(&[], None), manifest(&[], None)));
        assert_unknown(detector, "denied", of(failed(), manifest(&[], None)));
        assert_unknown(detector, "denied", of(manifest(&[], None), failed()));
        assert_unknown(detector, "bug", of(manifest(&[], None), Answer::Truth(true)));
    }
    // No digest can be in its own content: an index that says so is not its own parent.
    let itself = world(&testing::ARTIFACT, Artifact { tagged: false, media: Media::Index, ..artifact() })
        .answer(IT, Question::Manifest, manifest(&[IT], None))
        .answer(IT, Question::Shares, shares(&[]));
    assert_found("untagged-artifact", itself);
}

#[test]
fn each_index_is_asked_once_a_round_and_by_whoever_is_judged_first() {
    let untagged = || Artifact { tagged: false, ..artifact() };
    let mut world = World::new();
    for n in 0..20 {
        world = world.with(&testing::ARTIFACT, &format!("app@sha256:{n}"), untagged());
        world =
            world.with(&testing::ARTIFACT, &format!("app@sha256:i{n}"), Artifact { media: Media::Index, ..artifact() });
    }
    let sealed = world.seal();
    let view = sealed.view();
    let detector = detector("untagged-artifact").unwrap();
    detector.judge(&view, sealed.resource("app@sha256:3"));
    assert_eq!(view.take_notes().asks.len(), 21);
    detector.judge(&view, sealed.resource("app@sha256:4"));
    assert_eq!(view.take_notes().asks.len(), 21);
    for n in 0..20 {
        detector.judge(&view, sealed.resource(&format!("app@sha256:{n}")));
    }
    assert_eq!(view.take_notes().asks.len(), 40);
}

#[test]
fn stale_artifact() {
    let of = |artifact| {
        world(&testing::ARTIFACT, artifact).answer(IT, Question::Manifest, manifest(&[], None)).answer(
            IT,
            Question::Shares,
            shares(&[]),
        )
    };
    let finding = assert_found("stale-artifact", of(artifact()));
    assert_eq!(finding.since_hint(), Some((ago(100), "last pulled")));
    let never = assert_found("stale-artifact", of(Artifact { last_pulled: None, ..artifact() }));
    assert_eq!(never.since_hint(), Some((ago(300), "pushed")));
    assert_found("stale-artifact", of(Artifact { tagged: false, ..artifact() }));
    assert_clean("stale-artifact", of(Artifact { last_pulled: Some(ago(89)), ..artifact() }));
    assert_clean("stale-artifact", of(Artifact { pushed: Some(ago(1)), last_pulled: None, ..artifact() }));
    assert_trap("stale-artifact", "newest of its repository", of(Artifact { rank: 1, ..artifact() }));
    let unrecorded = Artifact { pull_recorded: false, last_pulled: None, ..artifact() };
    assert_trap("stale-artifact", "its registry records no pulls", of(unrecorded).blind(&testing::WORKLOAD));
    assert_unknown(
        "stale-artifact",
        "not told: pushed",
        of(Artifact { last_pulled: None, pushed: None, ..artifact() }),
    );
    // Layers and packages by rank.
    let package = |rank| world(&testing::ARTIFACT, Artifact { package: true, rank, ..artifact() });
    assert_trap("stale-artifact", "one of the newest versions", package(3));
    assert_found("stale-artifact", package(4));
    assert_clean("stale-artifact", package(4).referrer(&testing::WORKLOAD, "f", &[(Relation::Referenced, IT)]));
    assert_unknown("stale-artifact", "denied", package(4).blind(&testing::FUNCTION));
    let open = Artifact { package: true, rank: 9, users_listed: false, ..artifact() };
    assert_trap("stale-artifact", "who uses it cannot be listed", world(&testing::ARTIFACT, open));
}

#[test]
fn the_child_of_a_stale_index_is_stale_and_of_one_in_use_is_not() {
    let judge = |world: World| world.seal().judge("stale-artifact", "app@sha256:it").0;
    let in_use = Verdict::trap("child of an index in use");
    assert!(matches!(judge(repository(artifact(), artifact())), Verdict::Found(_)));
    assert_eq!(judge(repository(artifact(), Artifact { rank: 1, ..artifact() })), in_use);
    assert_eq!(judge(repository(artifact(), Artifact { last_pulled: Some(ago(2)), ..artifact() })), in_use);
    assert_eq!(judge(repository(artifact(), Artifact { pull_recorded: false, ..artifact() })), in_use);
    let run = repository(artifact(), artifact()).referrer(
        &testing::WORKLOAD,
        "task",
        &[(Relation::Referenced, "app@sha256:index")],
    );
    assert_eq!(judge(run), in_use);
    // An index in an index.
    let nested = repository(artifact(), artifact())
        .with(&testing::ARTIFACT, "app@sha256:top", Artifact { media: Media::Index, rank: 1, ..artifact() })
        .answer("app@sha256:top", Question::Manifest, manifest(&["sha256:index"], None));
    assert_eq!(judge(nested), in_use);
    // Two that list each other, as only a damaged answer can have it, end.
    let circle = repository(artifact(), artifact())
        .with(&testing::ARTIFACT, "app@sha256:top", Artifact { media: Media::Index, ..artifact() })
        .answer("app@sha256:top", Question::Manifest, manifest(&["sha256:index"], None))
        .answer("app@sha256:index", Question::Manifest, manifest(&["sha256:it", "sha256:top"], None));
    assert_eq!(judge(circle), in_use);
}

#[test]
fn an_artifact_is_known_by_its_other_names() {
    let draft = || Draft { also: vec!["app:prod", "app:v1"], ..Draft::new("app@sha256:it", artifact()) };
    let of = |name: &str| {
        World::new()
            .draft(&testing::ARTIFACT, draft())
            .answer("app@sha256:it", Question::Manifest, manifest(&[], None))
            .answer("app@sha256:it", Question::Shares, shares(&[]))
            .referrer(&testing::WORKLOAD, "task", &[(Relation::Referenced, name)])
            .seal()
            .judge("stale-artifact", "app@sha256:it")
            .0
    };
    assert!(matches!(of("app:prod"), Verdict::Clean(_)));
    assert!(matches!(of("app:v1"), Verdict::Clean(_)));
    assert!(matches!(of("app@sha256:it"), Verdict::Clean(_)));
    assert!(matches!(of("app:v2"), Verdict::Found(_)));
}

#[test]
fn incomplete_upload() {
    let of = |initiated| world(&testing::UPLOAD, Upload { initiated, ..upload() });
    assert_trap("incomplete-upload", "younger than the window", of(Some(ago(6))));
    assert_unknown("incomplete-upload", "not told: initiated", of(None));
    assert_eq!(assert_found("incomplete-upload", of(Some(ago(7)))).since_hint(), Some((ago(7), "initiated")));
}

#[test]
fn empty_bucket() {
    let objects = usage(Metric::BucketObjects, 3);
    let of = |measured| world(&testing::BUCKET, bucket()).answer(IT, objects, measured);
    let holds = |world: World, truth| world.answer(IT, Question::Holds, Answer::Truth(truth));
    // What the measure counts needs no question; nor does the bucket before the measure is known.
    let (verdict, notes) = of(quiet(3, 4.0)).seal().judge("empty-bucket", IT);
    assert_eq!((verdict, notes.asks.len()), (Verdict::CLEAN, 0));
    let (_, notes) = world(&testing::BUCKET, bucket()).seal().judge("empty-bucket", IT);
    assert!(notes.asks.iter().all(|ask| ask.question == objects) && notes.asks.len() == 1);
    // No measure, a measure of nothing and a failed one all leave it to the bucket.
    for measured in [covered(0, 3, 0.0), quiet(3, 0.0), Answer::Unseen("denied".to_owned())] {
        assert_unknown("empty-bucket", NOT_ASKED, of(measured.clone()));
        assert_found("empty-bucket", holds(of(measured.clone()), false));
        assert_clean("empty-bucket", holds(of(measured), true));
    }
}

#[test]
fn unbounded_versions() {
    let of = |versioned, noncurrent_rule| world(&testing::BUCKET, Bucket { versioned, noncurrent_rule, ..bucket() });
    assert_clean("unbounded-versions", of(Some(false), None));
    assert_trap("unbounded-versions", "a rule ends its old versions", of(Some(true), Some(true)));
    assert_clean("unbounded-versions", of(None, Some(true)));
    assert_unknown("unbounded-versions", "not told: versioned", of(None, Some(false)));
    assert_unknown("unbounded-versions", "not told: noncurrent_rule", of(Some(true), None));
    assert_found("unbounded-versions", of(Some(true), Some(false)));
}

#[test]
fn what_a_service_made_for_itself_is_no_waste() {
    let staging = || world(&testing::BUCKET, Bucket { machinery: true, versioned: Some(true), ..bucket() });
    for detector in ["empty-bucket", "unbounded-versions", "missing-owner"] {
        assert_trap(detector, "made by a service for its own use", staging());
    }
    let part = || world(&testing::FUNCTION, Function { machinery: true, ..function() });
    assert_trap("idle-function", "part of another function, which is judged", part());
    assert_trap("missing-owner", "made by a service for its own use", part());
    let default = || world(&testing::LOG_GROUP, LogGroup { machinery: true, ..log_group() });
    assert_trap("stale-log-group", "comes with the account and cannot be deleted", default());
    assert_trap("unbounded-log-group", "comes with the account and cannot be changed", default());
}

#[test]
fn idle_function() {
    let of = |function| {
        world(&testing::FUNCTION, function).answer(IT, usage(Metric::FunctionInvocations, 30), quiet(30, 0.0))
    };
    let edge = Function { edge: Some(true), ..function() };
    assert_trap("idle-function", "its metrics are in other regions", of(edge));
    assert_unknown("idle-function", "not told: edge", of(Function { edge: None, ..function() }));
    let changed = Function { last_modified: Some(ago(29)), ..function() };
    assert_trap("idle-function", "changed within the window", of(changed));
}

#[test]
fn old_function_version() {
    let of = |version| world(&testing::FUNCTION_VERSION, version);
    assert_clean("old-function-version", of(FunctionVersion { rank: 3, ..version() }));
    let edge = FunctionVersion { edge: Some(true), ..version() };
    assert_trap("old-function-version", "it has replicas at the edge", of(edge));
    assert_unknown("old-function-version", "not told: edge", of(FunctionVersion { edge: None, ..version() }));
    let aliased = of(version()).referrer(&testing::ALIAS, "live", &[(Relation::Aliased, "9"), (Relation::Aliased, IT)]);
    assert_trap("old-function-version", "an alias or event source leads to it", aliased);
}

#[test]
fn unassociated_address() {
    let of = |address| world(&testing::ADDRESS, address);
    assert_clean("unassociated-address", of(Address { associated: true, ..address() }));
    let internal = of(Address { internal: true, ..address() }).blind(&testing::GATEWAY);
    assert_trap("unassociated-address", "internal address: costs nothing", internal);
    let served = Address { service_managed: true, ..address() };
    assert_trap("unassociated-address", "managed by a service", of(served));
    let held = of(address())
        .draft(&testing::GATEWAY, Draft { uses: vec![(Relation::Holds, IT)], ..Draft::new("nat", gateway()) });
    assert_trap("unassociated-address", "held by a gateway, interface or load balancer", held);
    assert_found("unassociated-address", of(Address { own_pool: true, ..address() }));
}

#[test]
fn unattached_interface() {
    let world_of = |interface| world(&testing::INTERFACE, interface);
    assert_clean("unattached-interface", world_of(Interface { attached: true, ..interface() }));
    let trap = "part of another resource's machinery";
    assert_trap("unattached-interface", trap, world_of(Interface { machinery: true, ..interface() }));
    let world = World::new();
    let requester = world.sym("amazon-elb");
    let requested = Interface { requester, ..interface() };
    assert_trap("unattached-interface", trap, world.with(&testing::INTERFACE, IT, requested));
}

#[test]
fn idle_gateway() {
    let of = |gateway| world(&testing::GATEWAY, gateway);
    let trap = "not in a state that is billed";
    assert_trap("idle-gateway", trap, of(Gateway { active: false, ..gateway() }));
    let standby = of(gateway()).referrer(&testing::ROUTES, "rtb", &[(Relation::Routed, IT)]);
    let (verdict, notes) = standby.seal().judge("idle-gateway", IT);
    assert_eq!(verdict, Verdict::trap("a route leads to it"));
    assert!(notes.asks.is_empty(), "a routed gateway needs no metrics");
    // In a cloud whose routes name no gateways, traffic decides.
    let mut builder = crate::inventory::InventoryBuilder::new(&[&testing::GATEWAY]);
    let mut listing = builder.listing(&testing::GATEWAY, &testing::home());
    listing.push(Draft { created: Some(ago(400)), ..Draft::new(IT, gateway()) });
    builder.complete(listing, 1);
    let (inventory, mut answers, house) = (builder.build(), Answers::default(), House::default());
    let it = inventory.resources().next().unwrap().ix();
    answers.insert(Ask { resource: it, question: usage(Metric::GatewayTraffic, 32) }, quiet(32, 0.0));
    let view = View::new(&inventory, &answers, &house, NOW);
    let verdict = detector("idle-gateway").unwrap().judge(&view, inventory.at(it));
    assert!(matches!(verdict, Verdict::Found(finding) if finding.evidence().iter().all(|one| one.fact != "routed")));
}

#[test]
fn idle_endpoint() {
    let of = |endpoint| world(&testing::ENDPOINT, endpoint);
    let free = Endpoint { kind: EndpointKind::Gateway, ..endpoint() };
    assert_trap("idle-endpoint", "this kind of endpoint costs nothing", of(free));
    assert_trap("idle-endpoint", "not in a state that is billed", of(Endpoint { active: false, ..endpoint() }));
}

fn targets(targets: u32, healthy: u32) -> Answer {
    Answer::Targets { targets, healthy }
}

#[test]
fn targetless_load_balancer() {
    let id = "targetless-load-balancer";
    let classic = |own| {
        world(&testing::LOAD_BALANCER, LoadBalancer { kind: LbKind::Classic, own_targets: Some(own), ..balancer() })
    };
    assert_found(id, classic(0));
    assert_clean(id, classic(1));
    let of = |groups: &[Answer]| {
        let mut world = world(&testing::LOAD_BALANCER, balancer());
        for (n, answer) in groups.iter().enumerate() {
            let native = format!("group-{n}");
            world = world.draft(&testing::TARGET_GROUP, group_of_it(&native)).answer(
                &native,
                Question::Targets,
                answer.clone(),
            );
        }
        world
    };
    let not_itself = |world: World| world.answer(IT, Question::AnswersItself, Answer::Truth(false));
    // Without any group.
    assert_found(id, not_itself(of(&[])));
    assert_found(id, not_itself(of(&[targets(0, 0), targets(0, 0)])));
    assert_clean(id, of(&[targets(0, 0), targets(1, 1)]));
    // An outage is not waste.
    assert_clean(id, of(&[targets(3, 0)]));
    // Targets seen are certain; none is only said when every group was.
    assert_clean(id, of(&[Answer::Unseen("denied".to_owned()), targets(1, 1)]).blind(&testing::OTHER_GROUP));
    assert_unknown(id, "denied", not_itself(of(&[Answer::Unseen("denied".to_owned()), targets(0, 0)])));
    assert_unknown(id, "denied test:List", not_itself(of(&[targets(0, 0)])).blind(&testing::OTHER_GROUP));
    let redirects = of(&[targets(0, 0)]).answer(IT, Question::AnswersItself, Answer::Truth(true));
    assert_trap(id, "answers without targets", redirects);
}

#[test]
fn idle_load_balancer() {
    let id = "idle-load-balancer";
    let requests = usage(Metric::LbRequests, 14);
    let with = |own| world(&testing::LOAD_BALANCER, LoadBalancer { own_targets: Some(own), ..balancer() });
    assert_found(id, with(2).answer(IT, requests, quiet(14, 9.0)));
    assert_clean(id, with(2).answer(IT, requests, quiet(14, 10.0)));
    assert_trap(id, "nothing is behind it", with(0));
    let groups = |behind: Answer, itself: bool| {
        world(&testing::LOAD_BALANCER, balancer())
            .answer(IT, requests, quiet(14, 0.0))
            .draft(&testing::TARGET_GROUP, group_of_it("group"))
            .answer("group", Question::Targets, behind)
            .answer(IT, Question::AnswersItself, Answer::Truth(itself))
    };
    assert_found(id, groups(targets(2, 0), false));
    assert_found(id, groups(targets(0, 0), true));
    assert_trap(id, "nothing is behind it", groups(targets(0, 0), false));
}

#[test]
fn unbound_target_group() {
    assert_clean("unbound-target-group", world(&testing::TARGET_GROUP, TargetGroup { bound: true, ..group() }));
}

#[test]
fn idle_database() {
    let of = |database| world(&testing::DATABASE, database);
    let cluster = Database { is_cluster: true, ..database() };
    assert_trap("idle-database", "a cluster: its members are judged", of(cluster));
    assert_trap("idle-database", "read replica", of(Database { replica: true, ..database() }));
    let stopped = assert_found("idle-database", of(Database { state: DatabaseState::Stopped, ..database() }));
    assert_eq!((stopped.evidence()[0].value.as_str(), stopped.since_hint()), ("stopped", None));
    assert_trap("idle-database", "between two states", of(Database { state: DatabaseState::Other, ..database() }));
}

#[test]
fn sourceless_db_snapshot() {
    let id = "sourceless-db-snapshot";
    let of = |change: fn(DbSnapshot) -> DbSnapshot| {
        let world = World::new();
        let source = world.sym("db");
        world.with(&testing::DB_SNAPSHOT, IT, change(DbSnapshot { source, ..db_snapshot() }))
    };
    let automated: fn(DbSnapshot) -> DbSnapshot = |snapshot| DbSnapshot { manual: false, ..snapshot };
    assert_trap(id, "goes with its database", of(automated));
    assert_found(id, of(|snapshot| DbSnapshot { manual: false, retained: true, ..snapshot }));
    assert_unknown(id, "not told: source", of(|snapshot| DbSnapshot { source: Sym::NONE, ..snapshot }));
    // An instance and a cluster may have the same name.
    let cluster = || Database { is_cluster: true, ..database() };
    assert_clean(id, of(|snapshot| snapshot).with(&testing::DATABASE, "db", database()));
    assert_found(id, of(|snapshot| snapshot).with(&testing::DATABASE, "db", cluster()));
    let of_cluster: fn(DbSnapshot) -> DbSnapshot = |snapshot| DbSnapshot { of_cluster: true, ..snapshot };
    assert_clean(id, of(of_cluster).with(&testing::DATABASE, "db", cluster()));
    assert_found(id, of(of_cluster).with(&testing::DATABASE, "db", database()));
}

#[test]
fn log_groups() {
    let bounded = world(&testing::LOG_GROUP, LogGroup { retention_days: Some(30), ..log_group() });
    assert_clean("unbounded-log-group", bounded);
    let of = |last| world(&testing::LOG_GROUP, log_group()).answer(IT, Question::LastEvent, Answer::When(last));
    let id = "stale-log-group";
    assert_clean(id, of(Some(ago(89))));
    assert_eq!(assert_found(id, of(Some(ago(90)))).since_hint(), Some((ago(90), "last event")));
    assert_eq!(assert_found(id, of(None)).since_hint(), None);
    let undated = World::new().draft(&testing::LOG_GROUP, Draft::new(IT, log_group())).answer(
        IT,
        Question::LastEvent,
        Answer::When(None),
    );
    assert_unknown(id, "not told: created", undated);
}

/// A house with one in-use file, of some age.
fn house_of(items: &[&str], covers: &[&str], age: i64) -> House {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>();
    let covers = texts(covers).into_iter().collect();
    let file = InUseFile::new(NOW.plus(-age), "prod".to_owned(), covers, true, texts(items));
    let referrer = in_use::Referrer {
        name: "in-use.json".to_owned(),
        clouds: BTreeSet::new(),
        accounts: Vec::new(),
        clusters: Vec::new(),
        max_age: in_use::DEFAULT_MAX_AGE,
        outcome: in_use::Outcome::File(file),
    };
    House { referrers: Referrers(vec![referrer]), ..House::default() }
}

/// What a detector says of one thing of a sealed world in a house, with its notes.
fn in_house(detector: &str, native: &str, sealed: &testing::Sealed, house: &House) -> (Verdict, Notes) {
    let view = View::new(&sealed.inventory, &sealed.answers, house, NOW);
    let verdict = super::detector(detector).unwrap().judge(&view, sealed.resource(native));
    (verdict, view.take_notes())
}

#[test]
fn what_an_in_use_file_names_is_nobodys_waste() {
    for case in CASES {
        let spec = super::detector(case.detector).unwrap().spec;
        let sealed = (case.found)().seal();
        let named = house_of(&[IT], &[], 60);
        let (verdict, notes) = in_house(case.detector, IT, &sealed, &named);
        if spec.is_of_unused() {
            assert_eq!(verdict, Verdict::trap(in_use::NAMED), "{}", spec.id);
            assert!(notes.asks.is_empty(), "{}: nothing need be asked", spec.id);
            // A user that is told of is certain, however old the file is, and whatever else is blind.
            let (verdict, _) = in_house(case.detector, IT, &sealed, &house_of(&[IT], &[], 1_000_000));
            assert_eq!(verdict, Verdict::trap(in_use::NAMED), "{}", spec.id);
        } else {
            assert!(matches!(verdict, Verdict::Found(_)), "{}", spec.id);
        }
        // While a file can be relied on it changes nothing else; then nobody knows who uses what.
        let (verdict, notes) = in_house(case.detector, IT, &sealed, &house_of(&["other"], &[], 48 * 3600));
        assert!(matches!(verdict, Verdict::Found(_)), "{}: {verdict:?}", spec.id);
        let is_noted = notes.searched.iter().any(|line| line.contains("in-use file in-use.json (prod at "));
        assert_eq!(is_noted, spec.is_of_unused(), "{}: {:?}", spec.id, notes.searched);
        let (verdict, _) = in_house(case.detector, IT, &sealed, &house_of(&["other"], &[], 48 * 3600 + 1));
        match verdict {
            Verdict::Unknown(unseen) if spec.is_of_unused() => {
                assert!(unseen.cause.contains("the in-use file in-use.json cannot be relied on"), "{unseen:?}");
            }
            Verdict::Found(_) if !spec.is_of_unused() => {}
            other => panic!("{}: {other:?}", spec.id),
        }
    }
    let listed: Vec<&str> =
        DETECTORS.iter().filter(|detector| detector.spec.is_of_unused()).map(|detector| detector.spec.id).collect();
    assert_eq!(listed.len(), 12, "every name in the list is a detector's: {listed:?}");
}

#[test]
fn an_index_is_in_use_where_a_part_of_it_is_and_its_parts_where_it_is() {
    let judge = |detector: &str, native: &str, item: &str| {
        let untagged = || Artifact { tagged: detector == "stale-artifact", ..artifact() };
        in_house(detector, native, &repository(untagged(), untagged()).seal(), &house_of(&[item], &[], 60)).0
    };
    for detector in ["stale-artifact", "untagged-artifact"] {
        assert_eq!(judge(detector, "app@sha256:index", "sha256:it"), Verdict::trap(in_use::NAMED));
        assert_eq!(judge(detector, "app@sha256:index", "r.example.com/app@sha256:index"), Verdict::trap(in_use::NAMED));
        assert!(matches!(judge(detector, "app@sha256:index", "sha256:none"), Verdict::Found(_)));
    }
    let in_use = Verdict::trap("child of an index in use");
    assert_eq!(judge("stale-artifact", "app@sha256:it", "sha256:index"), in_use);
    assert!(matches!(judge("stale-artifact", "app@sha256:it", "sha256:none"), Verdict::Found(_)));
}
