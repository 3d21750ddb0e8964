//! Fields of conditions, read of one resource of each class whose facts are all known.

use super::{NoCosts, condition, vocabulary};
use crate::{
    answers::{Answer, Metric, Question, Usage},
    facts::{
        Address, Appliance, Artifact, Bucket, Cluster, Database, DatabaseState, DbSnapshot, Disk, DiskState, Endpoint,
        EndpointKind, Function, FunctionVersion, Gateway, GatewayKind, Image, ImageState, Interface, LbKind,
        LoadBalancer, LogGroup, Media, Plan, SecurityGroup, Snapshot, TargetGroup, Tier, Upload, Vm, VmState,
    },
    intern::Sym,
    inventory::{Draft, Tags},
    kind::KindSpec,
    testing::{self, Sealed, World, ago},
};

/// One of each class, named like its class.
fn one_of_each() -> World {
    let world = World::new();
    let sym = |text: &str| world.sym(text);
    let (gp3, zip, yes) = (sym("gp3"), sym("box"), Some(true));
    let disk = |state| Disk {
        state,
        size_gib: 11,
        tier: gp3,
        iops: Some(12),
        throughput: Some(13),
        source_snapshot: sym("snap-0"),
        attachments: 14,
        last_attached: Some(ago(15)),
    };
    let vm = |state| Vm {
        state,
        vm_type: sym("t3"),
        image: sym("ami-0"),
        in_state_since: Some(ago(16)),
        spot: true,
        still_billed: true,
    };
    let snapshot = Snapshot {
        size_gib: 17,
        stored_bytes: Some(1),
        tier: Tier::Archive,
        source: sym("vol-0"),
        source_is_dummy: false,
        complete: true,
        locked: true,
    };
    let image = Image { state: ImageState::Disabled, size_gib: 18, deprecated: true, public: true, newest: false };
    let artifact = Artifact {
        tagged: true,
        size_bytes: Some(19),
        pushed: Some(ago(20)),
        last_pulled: Some(ago(21)),
        pull_recorded: true,
        media: Media::Index,
        container: zip,
        rank: 22,
        package: false,
        users_listed: true,
    };
    let function = Function {
        runtime: sym("rust"),
        last_modified: Some(ago(23)),
        code_bytes: Some(24),
        edge: Some(false),
        kept_warm: Some(25),
        machinery: false,
    };
    let version = FunctionVersion {
        function: zip,
        version: 26,
        last_modified: Some(ago(27)),
        code_bytes: Some(28),
        rank: 29,
        edge: Some(false),
    };
    let database = Database {
        state: DatabaseState::Stopped,
        engine: sym("postgres"),
        db_class: sym("db.t3"),
        storage_gib: 30,
        multi_az: true,
        replica: true,
        is_cluster: false,
        cluster: sym("c"),
        storage_type: gp3,
    };
    let copy = DbSnapshot {
        manual: true,
        retained: true,
        source: sym("db-0"),
        of_cluster: false,
        size_gib: 31,
        engine: sym("mysql"),
    };
    let bucket = Bucket { versioned: yes, lifecycle: yes, noncurrent_rule: yes, abort_rule: yes, machinery: false };
    let interface =
        Interface { attached: true, state: sym("in-use"), requester: zip, machinery: true, description: zip };
    let address =
        Address { associated: true, ip: sym("192.0.2.1"), service_managed: true, own_pool: true, internal: false };
    let endpoint =
        Endpoint { kind: EndpointKind::Gateway, service: zip, state: sym("available"), active: true, zones: 2 };
    let appliance = Appliance { sort: zip, tier: gp3, state: sym("running"), active: true, serves: Some(32) };
    let upload = Upload { initiated: Some(ago(33)), container: zip, key: zip };
    let group = LogGroup { retention_days: Some(34), bytes: Some(35), machinery: false };
    let gateway = Gateway { kind: GatewayKind::Nat, state: sym("available"), active: true };
    let balancer = LoadBalancer { kind: LbKind::Classic, state: sym("active"), own_targets: Some(36) };
    let targets = TargetGroup { target_type: sym("ip"), bound: true };
    let plan = Plan { tier: gp3, holds: Some(37), capacity: 38, free: true };
    let guard = SecurityGroup { default: true, associations: Some(39) };
    let cluster = Cluster { version: sym("1.31"), state: sym("ACTIVE"), nodes: Some(40) };
    let (idle, busy) = (disk(DiskState::Available), disk(DiskState::Attached));
    let (stopped, running) = (vm(VmState::Stopped), vm(VmState::Running));
    world
        .with(&testing::DISK, "disk", idle)
        .with(&testing::DISK, "busy-disk", busy)
        .with(&testing::VM, "vm", stopped)
        .with(&testing::VM, "running-vm", running)
        .with(&testing::SNAPSHOT, "snapshot", snapshot)
        .with(&testing::IMAGE, "image", image)
        .with(&testing::ARTIFACT, "artifact", artifact)
        .with(&testing::FUNCTION, "function", function)
        .with(&testing::FUNCTION_VERSION, "version", version)
        .with(&testing::DATABASE, "database", database)
        .with(&testing::DB_SNAPSHOT, "db-snapshot", copy)
        .with(&testing::BUCKET, "bucket", bucket)
        .with(&testing::INTERFACE, "interface", interface)
        .with(&testing::ADDRESS, "address", address)
        .with(&testing::ENDPOINT, "endpoint", endpoint)
        .with(&testing::APPLIANCE, "appliance", appliance)
        .with(&testing::UPLOAD, "upload", upload)
        .with(&testing::LOG_GROUP, "log-group", group)
        .with(&testing::GATEWAY, "gateway", gateway)
        .with(&testing::LOAD_BALANCER, "balancer", balancer)
        .with(&testing::TARGET_GROUP, "targets", targets)
        .with(&testing::PLAN, "plan", plan)
        .with(&testing::SECURITY_GROUP, "guard", guard)
        .with(&testing::CLUSTER, "cluster", cluster)
}

fn holds(world: &Sealed, native: &str, text: &str) -> Option<bool> {
    let resource = world.resource(native);
    let kinds: &'static [&'static KindSpec] = testing::KINDS;
    let context = condition::Context { classes: &[resource.kind().class], strict: false, kinds };
    let condition = condition::Condition::compile(text, &context).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
    let view = world.view();
    condition.holds(&vocabulary::Reader::quiet(&view, &NoCosts, resource))
}

/// What is known is read: a field that says that it is of a class knows the facts of that class.
#[test]
fn every_field_knows_the_facts_of_its_classes() {
    let world = one_of_each().seal();
    let view = world.view();
    let mut read = 0;
    for resource in world.inventory.resources() {
        for field in vocabulary::FIELDS.iter().filter(|field| field.is_of(resource.kind().class)) {
            let value = (field.read)(&vocabulary::Reader::quiet(&view, &NoCosts, resource));
            // No bill, no metric and no search is at hand; everything else is.
            let asked = field.effort >= vocabulary::Effort::Money;
            assert!(value.is_ok() || asked, "{} of {}", field.name, resource.native_id());
            read += u32::from(value.is_ok());
        }
    }
    assert!(read > 400, "{read}");
}

#[test]
fn fields_say_what_the_facts_say() {
    let world = one_of_each().seal();
    for (native, text) in [
        // Idle is counted from the last use, and what is in use is not idle.
        ("disk", "idle_for == duration(\"360h\")"),
        ("busy-disk", "idle_for == duration(\"0h\")"),
        ("vm", "idle_for == duration(\"384h\") && stopped_for == idle_for && in_state_for == idle_for"),
        (
            "running-vm",
            "idle_for == duration(\"0h\") && stopped_for == duration(\"0h\") && in_state_for > duration(\"1h\")",
        ),
        ("artifact", "idle_for == duration(\"504h\")"),
        ("disk", "state == \"available\" && size_gib == 11 && iops == 12 && throughput == 13 && attachments == 14"),
        ("disk", "tier == \"gp3\" && source_snapshot == \"snap-0\""),
        ("vm", "state == \"stopped\" && type == \"t3\" && image == \"ami-0\" && spot && still_billed"),
        ("snapshot", "size_gib == 17 && tier == \"archive\""),
        ("image", "size_gib == 18 && state == \"disabled\""),
        ("artifact", "container == \"box\" && rank == 22 && size_bytes == 19"),
        ("version", "container == \"box\" && rank == 29"),
        ("upload", "container == \"box\""),
        ("version", "last_modified == now - duration(\"648h\")"),
        ("function", "last_modified == now - duration(\"552h\") && runtime == \"rust\""),
        ("database", "size_gib == 30 && state == \"stopped\" && tier == \"gp3\""),
        ("db-snapshot", "size_gib == 31 && retained"),
        ("log-group", "retention_days == 34 && bytes == 35"),
        ("appliance", "serves == 32 && active && tier == \"gp3\""),
        ("guard", "associations == 39"),
        ("cluster", "state == \"ACTIVE\""),
    ] {
        assert_eq!(holds(&world, native, text), Some(true), "{native}: {text}");
    }
}

/// A day without data is not a day without use: all days of the window but the newest must have some.
#[test]
fn usage_needs_its_days() {
    let question = Question::Usage { metric: Metric::VmCpuMax, days: 14 };
    for (covered, known) in [(0, false), (1, false), (12, false), (13, true), (14, true)] {
        let usage = Usage { max: 3.0, sum: 9.0, covered, days: 14, last_above_zero: None };
        let world = one_of_each().answer("vm", question, Answer::Usage(usage)).seal();
        assert_eq!(holds(&world, "vm", "cpu_max < 5.0"), known.then_some(true), "{covered}");
    }
    // Storage is measured once a day and told late.
    let question = Question::Usage { metric: Metric::BucketObjects, days: 3 };
    for (covered, known) in [(0, false), (1, true)] {
        let usage = Usage { max: 0.0, sum: 0.0, covered, days: 3, last_above_zero: None };
        let world = one_of_each().answer("bucket", question, Answer::Usage(usage)).seal();
        assert_eq!(holds(&world, "bucket", "objects < 1.0"), known.then_some(true), "{covered}");
    }
}

/// What lies beyond the deepest nesting is refused, and what lies at it is not; brackets that close are not counted.
#[test]
fn nesting_is_counted_as_it_is() {
    let context = condition::Context { classes: &[crate::model::Class::Disk], strict: false, kinds: testing::KINDS };
    let nested = |depth: usize| format!("{}size_gib > 1{}", "(".repeat(depth), ")".repeat(depth));
    let refused = |text: &str| condition::Condition::compile(text, &context).is_err();
    let deepest = (1..200).take_while(|depth| !refused(&nested(*depth))).last().unwrap();
    assert!((8..100).contains(&deepest), "{deepest}");
    // The bracket that is one too many is shown.
    let faults = condition::Condition::compile(&"(".repeat(60), &context).err().unwrap();
    assert_eq!(faults.iter().map(|fault| (fault.start, fault.end)).collect::<Vec<_>>(), [(48, 49)]);
    // Side by side they are no deeper.
    let beside = vec![nested(2); 3 * deepest].join(" || ");
    assert!(beside.len() > 4096 || !refused(&beside), "{deepest}");
}

/// What a protection, a share and a metric say, and what is not known of them until it was asked.
#[test]
fn what_must_be_asked_is_read_from_its_answer() {
    let world = |protected: &'static str, tags: Tags<'static>| {
        let facts = Disk {
            state: DiskState::Available,
            size_gib: 1,
            tier: Sym::NONE,
            iops: None,
            throughput: None,
            source_snapshot: Sym::NONE,
            attachments: 0,
            last_attached: None,
        };
        World::new().draft(&testing::DISK, Draft { tags, protected, ..Draft::new("it", facts) }).seal()
    };
    for (protected, tags, is) in [
        ("deletion protection", Tags::Unread, Some(true)),
        ("", Tags::Unread, None),
        ("", Tags::Read(vec![("sweeper-protect", "")]), Some(true)),
        ("", Tags::Read(vec![("env", "dev")]), Some(false)),
    ] {
        assert_eq!(holds(&world(protected, tags), "it", "protected"), is, "{protected}");
    }
    assert_eq!(holds(&one_of_each().seal(), "snapshot", "shared"), None);
    for (accounts, shared) in [(vec![], false), (vec!["222222222222".to_owned()], true)] {
        let world = one_of_each().answer("snapshot", Question::Shares, Answer::Shares(accounts)).seal();
        assert_eq!(holds(&world, "snapshot", "shared"), Some(shared));
    }
    let usage = Usage { max: 5.0, sum: 7.0, covered: 3, days: 3, last_above_zero: None };
    let question = Question::Usage { metric: Metric::BucketBytes, days: 3 };
    let world = one_of_each().answer("bucket", question, Answer::Usage(usage)).seal();
    assert_eq!(holds(&world, "bucket", "bytes == 5.0"), Some(true));
}

/// An artifact is no child where every index and its own manifest say so; until then it is not known, and only who
/// may ask notes the question.
#[test]
fn a_child_of_an_index_is_known_by_manifests() {
    let manifest = |children: &[&str], subject: Option<&str>| Answer::Manifest {
        children: children.iter().map(|child| (*child).to_owned()).collect(),
        subject: subject.map(str::to_owned),
    };
    let world = || {
        let artifact = |media| Artifact {
            tagged: false,
            size_bytes: None,
            pushed: None,
            last_pulled: None,
            pull_recorded: true,
            media,
            container: Sym::NONE,
            rank: 1,
            package: false,
            users_listed: true,
        };
        World::new()
            .with(&testing::ARTIFACT, "app@sha256:it", artifact(Media::Image))
            .with(&testing::ARTIFACT, "app@sha256:other", artifact(Media::Image))
            .with(&testing::ARTIFACT, "app@sha256:index", artifact(Media::Index))
    };
    // Whether it is one, and how many questions were noted.
    let read = |world: World, asks: bool| {
        let world = world.seal();
        let view = world.view();
        let resource = world.resource("app@sha256:it");
        let reader = vocabulary::Reader { asks, ..vocabulary::Reader::quiet(&view, &NoCosts, resource) };
        let value = (vocabulary::field("child_of_index").unwrap().read)(&reader);
        let known = if let Ok(vocabulary::Value::Bool(truth)) = value { Some(truth) } else { None };
        (known, view.take_notes().asks.len())
    };
    let own = |subject| world().answer("app@sha256:it", Question::Manifest, manifest(&[], subject));
    let listed = |children: &[&str]| own(None).answer("app@sha256:index", Question::Manifest, manifest(children, None));
    assert_eq!((read(world(), false), read(world(), true)), ((None, 0), (None, 1)));
    assert_eq!((read(own(None), false), read(own(None), true)), ((None, 0), (None, 1)));
    assert_eq!(read(own(Some("sha256:other")), false), (Some(true), 0));
    assert_eq!(read(listed(&["sha256:it"]), false), (Some(true), 0));
    assert_eq!(read(listed(&["sha256:other"]), true), (Some(false), 0));
}
