//! A small house: two kinds of two clouds' disks, snapshots, images, machines and templates.

use super::*;
use crate::{
    answers::{Answer, Answers, Ask, Question},
    deed::{ActSpec, DeedKind, Reversal, Write},
    detect::View,
    facts::{Disk, DiskState, Image, ImageState, Referrer, Snapshot, Tier, Vm, VmState},
    house::{AccountClass, House, ScopeRule},
    inventory::{Draft, Inventory, InventoryBuilder, Listing, Status, Tags},
    kind::Places,
    ledger::{self, Fingerprint, LedgerKey, LedgerSlice, Sighting, Told},
    model::{Reach, Scope},
    money::Basis,
    owner::{self, Owner},
    plan::Needs,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const fn kind(id: &'static str, cloud: CloudId, class: Class, refers: &'static [(Relation, Reach)]) -> KindSpec {
    KindSpec {
        id,
        cloud,
        class,
        title: "thing",
        places: Places::Regions,
        reads: &["test:List"],
        asks: &[],
        refers,
        needs: &[],
        out_of_sight: &[],
        advised: "",
        report_only: "",
        acts: &[],
    }
}

const DELETE_DISK: ActSpec = ActSpec {
    deed: DeedKind::Delete,
    writes: &[Write { permission: "test:Delete", method: "POST", action: "Delete" }],
    reads: &[],
    reversal: Reversal::FromCopy("made again from the snapshot"),
    keeps: &[Keep::Snapshot],
    takes: &[],
};
static DISK: KindSpec = KindSpec { acts: &[DELETE_DISK], ..kind("aws.ec2-volume", CloudId::Aws, Class::Disk, &[]) };
static GCP_DISK: KindSpec = kind("gcp.disk", CloudId::Gcp, Class::Disk, &[]);
static SNAPSHOT: KindSpec = kind("aws.ec2-snapshot", CloudId::Aws, Class::Snapshot, &[]);
static IMAGE: KindSpec = kind("aws.ec2-image", CloudId::Aws, Class::Image, &[(Relation::UsedByImage, Reach::Region)]);
static VM: KindSpec = KindSpec {
    needs: &["aws.ec2-names"],
    ..kind("aws.ec2-instance", CloudId::Aws, Class::Vm, &[(Relation::UsedByVm, Reach::Region)])
};
static TEMPLATE: KindSpec = KindSpec {
    out_of_sight: &[(Relation::UsedByTemplate, "templates of other tools")],
    ..kind("aws.ec2-template", CloudId::Aws, Class::Referrer, &[(Relation::UsedByTemplate, Reach::Region)])
};
static NAMES: KindSpec = kind("aws.ec2-names", CloudId::Aws, Class::Referrer, &[]);
static BUCKET: KindSpec = kind("aws.s3-bucket", CloudId::Aws, Class::Bucket, &[]);
static FROZEN: KindSpec =
    KindSpec { report_only: "no safe way is known", ..kind("azure.disk", CloudId::Azure, Class::Disk, &[]) };

static KINDS: &[&KindSpec] = &[&DISK, &GCP_DISK, &SNAPSHOT, &IMAGE, &VM, &TEMPLATE, &NAMES, &BUCKET, &FROZEN];

const NOW: Timestamp = Timestamp(1_795_176_000);

fn loaded(text: &str) -> Loaded {
    load(&[Source { path: "house.toml".to_owned(), text: text.to_owned() }], &Known { kinds: KINDS })
}

fn set(text: &str) -> PolicySet {
    let loaded = loaded(text);
    let problems: String = loaded.problems.iter().map(Problem::render).collect();
    loaded.set.unwrap_or_else(|| panic!("{problems}"))
}

fn problems(text: &str) -> String {
    loaded(text).problems.iter().map(Problem::render).collect()
}

fn disk(size: u32, state: DiskState) -> Disk {
    Disk {
        state,
        size_gib: size,
        tier: crate::intern::Sym::NONE,
        iops: Some(3000),
        throughput: None,
        source_snapshot: crate::intern::Sym::NONE,
        attachments: 0,
        last_attached: None,
    }
}

fn scope() -> Scope {
    Scope::new(CloudId::Aws, "111122223333", "eu-west-1")
}

fn inventory(kind: &'static KindSpec, fill: impl FnOnce(&mut Listing)) -> Inventory {
    let mut builder = InventoryBuilder::new(KINDS);
    let mut listing = builder.listing(kind, &scope());
    fill(&mut listing);
    builder.complete(listing, 1);
    builder.build()
}

/// Ten cents a GiB.
struct Dimes;

impl Costs for Dimes {
    fn monthly(&self, resource: Resource<'_>) -> Cost {
        match resource.facts() {
            crate::facts::FactsRef::Disk(disk) => Cost::list(Amount::whole(i64::from(disk.size_gib)).scaled(1, 10)),
            _ => Cost::unknown(),
        }
    }
}

const DELETE: &str = r#"
[[policy]]
name     = "unattached-disks"
sweep    = "unattached-disk"
clouds   = ["aws", "gcp"]
when     = 'size_gib > 0 && has_tag("env") && tag("env") != "prod"'
for      = "14d"
then     = "delete"
keep     = "snapshot"
grace    = "7d"
consent  = "objection"
approve  = "standing"
limit    = { count = 50, share = "5%", monthly_usd = 2000 }
severity = "ticket"
tell     = ["slack:finops"]
"#;

#[test]
fn the_documented_policy_loads() {
    let set = set(&[
        DELETE,
        "[[except]]\nresource = \"aws.ec2-volume:*/vol-0abc*\"\nreason = \"hold\"\nuntil = 2027-01-31\n",
    ]
    .concat());
    let policy = &set.policies[0];
    assert_eq!((policy.for_, policy.grace, policy.then), (14 * DAY, 7 * DAY, Verb::Delete));
    assert_eq!((policy.keep, policy.consent, policy.approve), (Keep::Snapshot, Consent::Objection, Approve::Standing));
    assert_eq!(policy.limit, Limit { count: 50, share: 500, monthly_usd: Amount::whole(2000) });
    assert_eq!((policy.at.line, policy.at.column), (3, 12));
    assert!(policy.rule.starts_with("unattached-disk+"), "{}", policy.rule);
    assert_eq!(set.excepts[0].ends, Timestamp::parse("2027-02-01T12:00:00Z").unwrap());
    assert_eq!(set.digest.len(), 64);
}

#[test]
fn every_problem_is_found_at_once_with_its_place() {
    let text = r#"
[[policy]]
nmae = "x"
sweep = "unatached-disk"
clouds = ["awz"]
then = "delte"

[[policy]]
name = "y"
class = "disk"
accounts = []
when = 'sise_gib > 1 && state == "avialable" && size_gib == "x" && tagged'

[[except]]
resource = "aws.ec2-volum:*/vol-1"
until = "soon"
"#;
    let text = problems(text);
    for expected in [
        "error: unknown key `nmae`\n --> house.toml:3:1\n  |\n3 | nmae = \"x\"\n  | ^^^^\n  = help: did you mean `name`?",
        "house.toml:2:1\n  |\n2 | [[policy]]",
        "did you mean `unattached-disk`?",
        "did you mean `aws`?",
        "did you mean `delete`?",
        "`accounts` is empty",
        "unknown field `sise_gib`\n  --> house.toml:12:9\n",
        "did you mean `size_gib`?",
        "`state` is never \"avialable\"\n  --> house.toml:12:34\n",
        "did you mean `available`?",
        "an int cannot be compared with a string",
        "`tagged` is not known of disk",
        "only of: artifact",
        "did you mean `aws.ec2-volume`?",
        "`reason` is missing",
        "`until` is a date",
    ] {
        assert!(text.contains(expected), "{expected}\n---\n{text}");
    }
}

#[test]
fn broken_files_are_problems_not_panics() {
    for text in
        ["[[policy]", "policy = 3", "policy = [3]", "[policy]\nname = 'x'", "x = 1", "\u{0}", "[[policy]]\nname = 3"]
    {
        let loaded = loaded(text);
        assert!(loaded.set.is_none(), "{text}");
        assert!(!loaded.problems.is_empty());
    }
    let twice = [DELETE, DELETE].concat();
    assert!(problems(&twice).contains("there is already a policy `unattached-disks`"));
}

#[test]
fn places_in_conditions_survive_escapes_and_other_letters() {
    let head = "[[policy]]\nname = \"x\"\nclass = \"disk\"\n";
    for when in [
        r#"when = "tag(\"é\") == \"ü\" && nope""#,
        r#"when = 'tag("é") == "ü" && nope'"#,
        r#"when = "tag(\"\u00e9\") == \"ü\" && nope""#,
        r#"when = "tag(\"\U0001F600\") == \"ü\" && nope""#,
    ] {
        let problems = loaded(&[head, when].concat()).problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        let at = &problems[0].at;
        let letters: String = when.chars().skip(at.column - 1).take(at.end_column - at.column).collect();
        assert_eq!(letters, "nope", "{}", problems[0].render());
    }
    let many = [head, "when = '''\nage > duration(\"1h\")\n  && nope\n'''"].concat();
    let problem = &loaded(&many).problems[0];
    assert_eq!((problem.at.line, problem.at.column), (6, 6), "{}", problem.render());
}

#[test]
fn verbs_fit_what_is_judged() {
    let policy = |sweep: &str, scope: &str, then: &str| {
        DELETE
            .replace("sweep    = \"unattached-disk\"", sweep)
            .replace("clouds   = [\"aws\", \"gcp\"]", scope)
            .replace("then     = \"delete\"", &format!("then = \"{then}\""))
            .replace("size_gib > 0 &&", "")
            .replace("keep     = \"snapshot\"", "")
    };
    let clouds = "clouds = [\"aws\"]";
    for (sweep, scope, then, expected) in [
        ("sweep = \"unattached-disk\"", clouds, "stop", "`stop` cannot be used on: disk"),
        ("sweep = \"missing-owner\"", clouds, "delete", "`delete` cannot be used on: registry, bucket"),
        ("sweep = \"missing-owner\"", "kinds = [\"aws.s3-bucket\"]", "delete", "cannot be used on: bucket"),
        ("sweep = \"missing-owner\"", "kinds = [\"aws.ec2-template\"]", "delete", "is never judged"),
        ("sweep = \"unattached-disk\"", "kinds = [\"azure.disk\"]", "delete", "is only reported: no safe way is known"),
        ("sweep = \"unattached-disk\"", "clouds = [\"azure\"]", "delete", "is only reported: no safe way is known"),
        ("sweep = \"unattached-disk\"", "kinds = [\"aws.ec2-instance\"]", "delete", "does not judge"),
        ("class = \"vm\"", "clouds = [\"aws\"]\nregions = [\"eu-west-1\"]", "stop", "one scope key too many"),
        ("sweep = \"unattached-disk\"\nclass = \"disk\"", clouds, "delete", "`class` cannot go with `sweep`"),
    ] {
        let text = problems(&policy(sweep, scope, then));
        assert!(text.contains(expected), "{sweep} {scope} {then}\n{text}");
    }
    set(&policy("sweep = \"missing-owner\"", "kinds = [\"aws.ec2-instance\"]", "stop"));
    set(&policy("class = \"vm\"", clouds, "stop"));
}

#[test]
fn selectors_of_the_future_are_refused_clearly() {
    let text = "[[policy]]\nname = \"x\"\nsweep = \"unattached-disk\"\naccounts = [\"ou:/Sandbox/**\", \"asw:1\", \"aws:*\"]\n";
    let text = problems(text);
    assert!(text.contains("the selector `ou:/Sandbox/**` is not supported yet"), "{text}");
    assert!(text.contains("did you mean `aws`?") && text.contains("`aws:*` is not an account id"), "{text}");
}

/// What a policy may do, so that two can be compared.
fn reach(set: &PolicySet, inventory: &Inventory) -> Vec<(usize, String)> {
    let (answers, house) = (Answers::default(), House::default());
    let view = View::new(inventory, &answers, &house, NOW);
    evaluate(set, &view, &Dimes)
        .rows
        .iter()
        .filter(|row| row.verdict == RowVerdict::Found && set.policies[row.policy as usize].then.is_strict())
        .map(|row| (row.policy as usize, inventory.at(row.resource).id()))
        .collect()
}

fn mixed_disks() -> Inventory {
    let mut builder = InventoryBuilder::new(KINDS);
    for (spec, scope) in [
        (&DISK, scope()),
        (&DISK, Scope::new(CloudId::Aws, "444455556666", "us-east-1")),
        (&GCP_DISK, Scope::new(CloudId::Gcp, "project-x", "europe-west1")),
        (&FROZEN, Scope::new(CloudId::Azure, "sub", "westeurope")),
    ] {
        let mut listing = builder.listing(spec, &scope);
        for n in 0..24_u32 {
            let id = format!("vol-{}-{n}", scope.account);
            let env = ["prod", "dev", ""][(n % 3) as usize];
            let tags = if n % 4 == 0 { Vec::new() } else { vec![("env", env), ("owner", "a@example.com")] };
            let state = if n % 5 == 0 { DiskState::Attached } else { DiskState::Available };
            let mut draft = Draft::new(&id, disk(n * 7 % 50, state));
            draft.created = (n % 7 != 0).then(|| NOW.plus(-i64::from(n) * DAY));
            draft.tags = Tags::Read(tags);
            listing.push(draft);
        }
        builder.complete(listing, 1);
    }
    builder.build()
}

/// Under a strict verb, losing any line is an error or narrows: every line of every sort of policy, by loop.
#[test]
fn losing_a_line_of_a_strict_policy_never_widens() {
    let scopes = [
        "clouds = [\"aws\", \"gcp\"]",
        "accounts = [\"aws:111122223333\",\n  \"gcp:project-x\",\n]",
        "regions = [\n\"eu-west-1\",\n]",
        "kinds = [\"aws.ec2-volume\"]",
        "clouds = [\"aws\"]\nregions = [\"eu-west-1\"]",
    ];
    let sorts = ["sweep = \"unattached-disk\"", "class = \"disk\"", "class = \"disk\"\nsweep = \"unattached-disk\""];
    let whens = [
        "when = 'size_gib > 5 && age > duration(\"48h\")'",
        "when = 'tag(\"env\") != \"prod\" && monthly_cost > 1.5'",
        "when = 'true'",
        "when = \'\'\'true\n && size_gib > 9\n && true\'\'\'",
    ];
    let rests = [
        "limit = { count = 5, share = \"5%\", monthly_usd = 20 }\nkeep = \"none\"\ntell = [\"slack:x\"]",
        "consent = \"objection\"\napprove = \"standing\"\n[policy.limit]\ncount = 5\nshare = \"0.5%\"\nmonthly_usd = 20",
        "severity = \"page\"\nconsent = \"explicit\"\napprove = \"admin\"\nlimit = {\n count = 900,\n share = \"50%\",\n monthly_usd = 1.5\n}",
    ];
    let inventory = mixed_disks();
    let strict = |set: &PolicySet| set.policies.iter().position(|policy| policy.then.is_strict());
    let ids = |set: &PolicySet, at| -> BTreeSet<String> {
        reach(set, &inventory).into_iter().filter(|(policy, _)| *policy == at).map(|(_, id)| id).collect()
    };
    let (mut tried, mut lost) = (0, 0);
    for (nth, (scope, sort, when, rest)) in scopes
        .iter()
        .flat_map(|scope| sorts.iter().map(move |sort| (scope, sort)))
        .flat_map(|(scope, sort)| whens.iter().map(move |when| (scope, sort, when)))
        .flat_map(|(scope, sort, when)| rests.iter().map(move |rest| (scope, sort, when, rest)))
        .enumerate()
    {
        let before = "[[policy]]\nname = \"first\"\nsweep = \"unattached-disk\"\n";
        let head = if nth % 2 == 0 { before } else { "" };
        let text = format!(
            "{head}[[policy]]\nname = \"strict\"\n{sort}\n{scope}\n{when}\nfor = \"30d\"\nthen = \"delete\"\ngrace = \"9d\"\n{rest}"
        );
        let Some(whole) = loaded(&text).set else { continue };
        tried += 1;
        let a = &whole.policies[strict(&whole).unwrap()];
        let acted_on = ids(&whole, strict(&whole).unwrap());
        assert!(!acted_on.is_empty());
        for gone in 0..text.lines().count() {
            let fewer: Vec<&str> =
                text.lines().enumerate().filter(|(line, _)| *line != gone).map(|(_, line)| line).collect();
            let fewer = fewer.join("\n");
            let Some(less) = loaded(&fewer).set else { continue };
            let Some(at) = strict(&less) else { continue };
            lost += 1;
            let b = &less.policies[at];
            assert!(ids(&less, at).is_subset(&acted_on), "{text}\n---\n{fewer}");
            assert!(b.for_ >= a.for_ && b.grace >= a.grace, "{fewer}");
            assert!(b.consent >= a.consent && b.approve >= a.approve, "{fewer}");
            assert!(b.keep == a.keep || a.keep == Keep::None, "{fewer}");
            assert!(b.limit.count <= a.limit.count && b.limit.share <= a.limit.share, "{fewer}");
            assert!(b.limit.monthly_usd <= a.limit.monthly_usd, "{fewer}");
        }
    }
    assert_eq!((tried, lost > tried), (72, true));
}

/// A condition about a known disk, and the same for the interpreter of the `cel` crate.
fn conditions() -> impl Strategy<Value = String> {
    let int =
        prop_oneof![Just("size_gib".to_owned()), Just("iops".to_owned()), (-3..300_i64).prop_map(|n| n.to_string())];
    let int = int.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} + {b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a} - {b})")),
            Just("size(name)".to_owned()),
            Just("tag(\"env\").size()".to_owned()),
        ]
    });
    let text = prop_oneof![
        Just("name"),
        Just("account"),
        Just("region"),
        Just("tag(\"env\")"),
        Just("tag(\"none\")"),
        Just("\"dev\""),
        Just("\"\""),
        Just("\"data-é\""),
    ];
    let span = prop_oneof![
        Just("age"),
        Just("duration(\"720h\")"),
        Just("(now - created)"),
        Just("(age + duration(\"1h30m\"))")
    ];
    let time = prop_oneof![
        Just("created"),
        Just("now"),
        Just("(now - duration(\"100h\"))"),
        Just("timestamp(\"2026-10-01T00:00:00Z\")")
    ];
    let compare = prop_oneof![Just("=="), Just("!="), Just("<"), Just("<="), Just(">"), Just(">=")];
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("state == \"available\"".to_owned()),
        Just("state in [\"attached\", \"reserved\"]".to_owned()),
        Just("has_tag(\"env\")".to_owned()),
        Just("has_tag(\"none\")".to_owned()),
        Just("size_gib in [1, 25, 30]".to_owned()),
        (int.clone(), compare.clone(), int).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (text.clone(), compare.clone(), text.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (span.clone(), compare.clone(), span).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (time.clone(), compare.clone(), time).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (compare, 0..60_u32).prop_map(|(op, n)| format!("monthly_cost {op} {}.{}", n / 10, n % 10)),
        (text.clone(), prop_oneof![Just("startsWith"), Just("endsWith"), Just("contains")], text)
            .prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("{a} || {b} || {c}"))
                .prop_map(|text| format!("({text})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

fn interpreted(text: &str, size: u32, tags: &BTreeMap<&str, &str>, created: Timestamp, state: &str) -> bool {
    use std::sync::Arc;
    let mut context = cel::Context::default();
    context.add_variable_from_value("size_gib", i64::from(size));
    context.add_variable_from_value("iops", 3000_i64);
    context.add_variable_from_value("name", "data-é");
    context.add_variable_from_value("account", "111122223333");
    context.add_variable_from_value("region", "eu-west-1");
    context.add_variable_from_value("state", state.to_owned());
    context.add_variable_from_value("now", NOW.0);
    context.add_variable_from_value("created", created.0);
    context.add_variable_from_value("age", NOW.since(created));
    context.add_variable_from_value("monthly_cost", f64::from(size) / 10.0);
    let own: BTreeMap<String, String> =
        tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let copy = own.clone();
    context.add_function("has_tag", move |key: Arc<String>| own.contains_key(&*key)).unwrap();
    context.add_function("tag", move |key: Arc<String>| copy.get(&*key).cloned().unwrap_or_default()).unwrap();
    context.add_function("timestamp", |text: Arc<String>| Timestamp::parse(&text).map_or(0, |at| at.0)).unwrap();
    context
        .add_function("duration", |text: Arc<String>| match text.as_str() {
            "720h" => 720 * 3600_i64,
            "1h30m" => 5400,
            "100h" => 360_000,
            other => panic!("{other}"),
        })
        .unwrap();
    match cel::Program::compile(text).unwrap().execute(&context) {
        Ok(cel::Value::Bool(truth)) => truth,
        other => panic!("{text}: {other:?}"),
    }
}

/// A file of anybody's must not end the process, which a stack that is used up does.
#[test]
fn a_condition_has_an_end_and_a_bottom() {
    let problem = |when: String| {
        let text = format!("[[policy]]\nname = 'deep'\nclass = 'disk'\nwhen = '''{when}'''\n");
        loaded(&text).problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>()
    };
    let nested =
        |open: &str, close: &str, depth: usize| format!("{}size_gib > 1{}", open.repeat(depth), close.repeat(depth));
    assert_eq!(problem(nested("(", ")", 48)), Vec::<String>::new());
    for open in ["(", "!("] {
        for depth in [49, 100_000] {
            let problems = problem(nested(open, ")", depth));
            assert_eq!(problems.len(), 1, "{depth}");
            assert!(problems[0].starts_with("a condition "), "{problems:?}");
        }
    }
    // As long as may be, in forms whose trees are as deep as they are long.
    let long = |part: &str| part.repeat((4096 - 20) / part.len());
    for when in [long("!") + "false", "size_gib > 1".to_owned() + &long(" || size_gib > 1"), "-".repeat(4000) + "1 < 2"]
    {
        let _ = problem(when);
    }
    for part in ["+1", "<1", ".a", "?1:1", "[1]"] {
        let _ = problem("1".to_owned() + &long(part));
    }
}

fn compiled(text: &str, strict: bool) -> Condition {
    Condition::compile(text, &condition::Context { classes: &[Class::Disk], strict, kinds: KINDS })
        .unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Where everything is known, the compiled condition is the interpreter's.
    #[test]
    fn compiled_conditions_equal_the_interpreter(
        text in conditions(),
        size in 0..60_u32,
        env in prop::option::of(prop_oneof![Just("dev"), Just("prod"), Just("")]),
        hours in 0..2000_i64,
        attached in any::<bool>(),
    ) {
        let created = NOW.plus(-hours * 3600);
        let state = if attached { DiskState::Attached } else { DiskState::Available };
        let tags: BTreeMap<&str, &str> = env.into_iter().map(|value| ("env", value)).collect();
        let inventory = inventory(&DISK, |listing| {
            let mut draft = Draft::new("vol-1", disk(size, state));
            draft.name = "data-é";
            draft.created = Some(created);
            draft.tags = Tags::Read(tags.iter().map(|(key, value)| (*key, *value)).collect());
            listing.push(draft);
        });
        let (answers, house) = (Answers::default(), House::default());
        let view = View::new(&inventory, &answers, &house, NOW);
        let resource = inventory.resources().next().unwrap();
        let condition = compiled(&text, false);
        let holds = condition.holds(&vocabulary::Reader::quiet(&view, &Dimes, resource));
        prop_assert_eq!(holds, Some(interpreted(&text, size, &tags, created, state.name())), "{}", text);
    }
}

#[test]
fn unknown_follows_kleene() {
    let inventory = inventory(&DISK, |listing| {
        let mut draft = Draft::new("vol-1", disk(10, DiskState::Available));
        draft.tags = Tags::Read(vec![("a", "1")]);
        listing.push(draft);
        listing.push(Draft::new("vol-2", disk(10, DiskState::Available)));
    });
    let (answers, house) = (Answers::default(), House::default());
    let view = View::new(&inventory, &answers, &house, NOW);
    let holds = |text: &str, strict, nth| {
        let condition = compiled(text, strict);
        condition.holds(&vocabulary::Reader::quiet(&view, &NoCosts, inventory.resources().nth(nth).unwrap()))
    };
    for (text, expected) in [
        ("throughput > 1", None),
        ("throughput > 1 && size_gib > 99", Some(false)),
        ("size_gib > 99 && throughput > 1", Some(false)),
        ("throughput > 1 || size_gib > 9", Some(true)),
        ("throughput > 1 || size_gib > 99", None),
        ("!(throughput > 1)", None),
        ("throughput > 1 ? true : true", Some(true)),
        ("throughput > 1 ? true : false", None),
        ("monthly_cost > 0 && true", None),
        ("age > duration(\"1h\")", None),
        ("idle_for > duration(\"1h\") || iops == 3000", Some(true)),
    ] {
        assert_eq!(holds(text, false, 0), expected, "{text}");
    }
    // A tag that is not there.
    for (text, lenient, strict) in [
        ("tag(\"b\") == \"\"", Some(true), None),
        ("tag(\"b\") != \"prod\"", Some(true), None),
        ("!has_tag(\"b\") || tag(\"b\") != \"prod\"", Some(true), Some(true)),
        ("has_tag(\"b\") && tag(\"b\") != \"prod\"", Some(false), Some(false)),
        ("tag(\"a\") == \"1\"", Some(true), Some(true)),
    ] {
        assert_eq!((holds(text, false, 0), holds(text, true, 0)), (lenient, strict), "{text}");
    }
    // Tags nobody could read.
    assert_eq!(holds("has_tag(\"a\")", false, 1), None);
    assert_eq!(holds("tag(\"a\") == \"1\"", false, 1), None);
    assert_eq!(holds("has_tag(\"a\") && size_gib > 99", false, 1), Some(false));
}

#[test]
fn money_is_compared_exactly() {
    struct Thirty;
    impl Costs for Thirty {
        fn monthly(&self, _: Resource<'_>) -> Cost {
            Cost::list(Amount::parse("0.3").unwrap())
        }
    }
    struct Euros;
    impl Costs for Euros {
        fn monthly(&self, _: Resource<'_>) -> Cost {
            Cost { amount: Some(Amount::whole(9)), currency: "EUR".to_owned(), basis: Basis::List }
        }
    }
    let inventory = inventory(&DISK, |listing| listing.push(Draft::new("vol-1", disk(1, DiskState::Available))));
    let (answers, house) = (Answers::default(), House::default());
    let view = View::new(&inventory, &answers, &house, NOW);
    let resource = inventory.resources().next().unwrap();
    let holds =
        |text: &str, costs: &dyn Costs| compiled(text, false).holds(&vocabulary::Reader::quiet(&view, costs, resource));
    // 0.1 + 0.2 in floating point is more than 0.3.
    assert_eq!(holds("monthly_cost == 0.3", &Thirty), Some(true));
    assert_eq!(holds("monthly_cost > 0.29999999999", &Thirty), Some(true));
    assert_eq!(holds("monthly_cost < 1", &Thirty), Some(true));
    assert_eq!(holds("monthly_cost > 1", &Euros), None);
}

fn rows(set: &PolicySet, inventory: &Inventory, answers: &Answers) -> Evaluation {
    let house = House::default();
    evaluate(set, &View::new(inventory, answers, &house, NOW), &NoCosts)
}

fn snapshots(shared: bool) -> Inventory {
    let mut builder = InventoryBuilder::new(KINDS);
    for spec in [&IMAGE, &TEMPLATE, &DISK] {
        let listing = builder.listing(spec, &scope());
        builder.complete(listing, 1);
    }
    let mut listing = builder.listing(&SNAPSHOT, &scope());
    for id in ["snap-1", "snap-2"] {
        let mut draft = Draft::new(
            id,
            Snapshot {
                stored_bytes: None,
                size_gib: 8,
                tier: Tier::Standard,
                source: listing.sym("vol-gone"),
                source_is_dummy: id == "snap-2",
                complete: true,
                locked: false,
            },
        );
        draft.tags = if shared { Tags::Read(Vec::new()) } else { Tags::Unread };
        listing.push(draft);
    }
    builder.complete(listing, 1);
    builder.build()
}

#[test]
fn questions_are_asked_only_where_they_decide() {
    let inventory = snapshots(true);
    let asks = |when: &str| {
        let set = set(&format!("[[policy]]\nname = \"x\"\nclass = \"snapshot\"\nwhen = '{when}'\n"));
        let evaluation = rows(&set, &inventory, &Answers::default());
        (evaluation.asks.len(), evaluation.rows.len())
    };
    assert_eq!(asks("shared"), (2, 2));
    assert_eq!(asks("shared && size_gib > 100"), (0, 0));
    assert_eq!(asks("shared || size_gib < 100"), (0, 2));
    assert_eq!(asks("!used_by_image && size_gib > 100"), (0, 0));
    // Nobody at home uses it: whether somebody else does hangs on the shares.
    assert_eq!(asks("!used_by_image"), (2, 2));
    assert_eq!(asks("!source_exists"), (0, 2));
    assert_eq!(asks("shared && !source_exists && size_gib > 100"), (0, 0));

    let set = set("[[policy]]\nname = \"x\"\nclass = \"snapshot\"\nwhen = '!used_by_image && !source_exists'\n");
    let mut answers = Answers::default();
    for resource in inventory.of_class(Class::Snapshot) {
        answers.insert(Ask { resource: resource.ix(), question: Question::Shares }, Answer::Shares(Vec::new()));
    }
    let evaluation = rows(&set, &inventory, &answers);
    assert!(evaluation.asks.is_empty());
    // The source of the second is a stand-in.
    assert_eq!(
        evaluation.rows.iter().map(|row| row.verdict).collect::<Vec<_>>(),
        [RowVerdict::Found, RowVerdict::Unknown]
    );
    assert_eq!(evaluation.rows[1].unseen.as_ref().unwrap().cause, "not known: source_exists");
    let house = House::default();
    let view = View::new(&inventory, &answers, &house, NOW);
    let detail = detail(&set, &view, &NoCosts, &evaluation.rows[0]);
    let facts: Vec<(&str, &str)> = detail.evidence.iter().map(|one| (&*one.fact, one.value.as_str())).collect();
    assert_eq!(facts, [("used_by_image", "false"), ("source_exists", "false")]);
    assert!(detail.searched.iter().any(|kind| kind == "aws.ec2-image (region)"), "{:?}", detail.searched);
}

#[test]
fn unread_tags_of_rows_are_asked_for_the_owner() {
    let set =
        set("[[policy]]\nname = \"x\"\nclass = \"snapshot\"\nwhen = 'size_gib == 8 && native_id == \"snap-1\"'\n");
    let evaluation = rows(&set, &snapshots(false), &Answers::default());
    assert_eq!(evaluation.rows.len(), 1);
    assert_eq!(evaluation.asks.iter().map(|ask| ask.question).collect::<Vec<_>>(), [Question::Tags]);
}

#[test]
fn rows_are_of_found_and_unknown_only() {
    let set = set(concat!(
        "[[policy]]\nname = \"a\"\nsweep = \"unattached-disk\"\n",
        "[[policy]]\nname = \"b\"\nsweep = \"unattached-disk\"\nwhen = 'throughput > 1'\n",
        "[[policy]]\nname = \"c\"\nsweep = \"unattached-disk\"\nwhen = 'size_gib > 99'\n",
        "[[policy]]\nname = \"d\"\nsweep = \"unattached-disk\"\naccounts = [\"gcp:111122223333\"]\n",
        "[[policy]]\nname = \"e\"\nsweep = \"unattached-disk\"\nregions = [\"nowhere\"]\n",
        "[[except]]\nresource = \"aws.ec2-volume:*/eu-west-1/vol-1\"\nreason = \"r\"\nuntil = 2027-01-31\n",
        "[[except]]\nresource = \"aws.*:1*/vol-9\"\nreason = \"r\"\nuntil = 2027-01-31\n",
        "[[except]]\nresource = \"aws.*:1*/vol-1\"\nreason = \"r\"\nuntil = 2026-11-18\n",
    ));
    let inventory = inventory(&DISK, |listing| {
        for (id, state) in [("vol-1", DiskState::Available), ("vol-2", DiskState::Attached)] {
            let mut draft = Draft::new(id, disk(10, state));
            draft.tags = Tags::Read(Vec::new());
            listing.push(draft);
        }
    });
    let evaluation = rows(&set, &inventory, &Answers::default());
    let seen: Vec<(u16, RowVerdict)> = evaluation.rows.iter().map(|row| (row.policy, row.verdict)).collect();
    assert_eq!(seen, [(0, RowVerdict::Found), (1, RowVerdict::Unknown)]);
    assert_eq!((&*evaluation.judged, &*evaluation.found), (&[2, 2, 2, 0, 0][..], &[1, 1, 0, 0, 0][..]));
    let warnings: Vec<String> = unmatched(&set, &evaluation, NOW).into_iter().map(|problem| problem.message).collect();
    assert_eq!(
        warnings,
        [
            "policy `d` covers no resource",
            "policy `e` covers no resource",
            "exception `aws.*:1*/vol-9` covers no finding",
            "exception `aws.*:1*/vol-1` ended on 2026-11-18, and has no effect",
        ]
    );
    assert!(std::mem::size_of::<Row>() <= 24);
}

#[test]
fn wanted_kinds_are_a_closure() {
    let wants = |text: &str| wanted(&set(text), KINDS).into_iter().collect::<Vec<_>>();
    assert_eq!(wants("[[policy]]\nname = \"x\"\nsweep = \"unattached-disk\"\nclouds = [\"aws\"]"), ["aws.ec2-volume"]);
    assert_eq!(
        wants("[[policy]]\nname = \"x\"\nclass = \"snapshot\"\nwhen = '!used_by_template && !source_exists'"),
        ["aws.ec2-snapshot", "aws.ec2-template", "aws.ec2-volume"]
    );
    assert_eq!(
        wants("[[policy]]\nname = \"x\"\nclass = \"image\"\nwhen = '!used_by_vm'"),
        ["aws.ec2-image", "aws.ec2-instance", "aws.ec2-names"]
    );
}

/// One disk under one policy, decided.
struct Case {
    policy: String,
    house: House,
    tags: Option<Vec<(&'static str, &'static str)>>,
    managed_by: &'static str,
    protected: &'static str,
    created: Timestamp,
    sighting: Option<Sighting>,
    /// When its owner was told what is so now.
    told: Option<Timestamp>,
    cost: Cost,
    excepts: &'static str,
    last_attached: Option<Timestamp>,
    assuming: bool,
    /// Who was told, if not its owner of now.
    told_owner: Option<&'static str>,
    out_of_sight: &'static [&'static str],
}

impl Case {
    fn new() -> Self {
        Self {
            policy: DELETE.to_owned(),
            house: House::default(),
            tags: Some(vec![("env", "dev"), ("owner", "a@example.com")]),
            managed_by: "",
            protected: "",
            created: NOW.plus(-90 * DAY),
            sighting: Some(Sighting {
                first_found: NOW.plus(-30 * DAY),
                observed: 30 * DAY,
                last_seen: NOW,
                last_state: ledger::State::Found,
                complete_sightings: 9,
                counted_at: NOW,
                region: "eu-west-1".into(),
                told: Box::default(),
            }),
            told: Some(NOW.plus(-14 * DAY)),
            cost: Cost::list(Amount::whole(5)),
            excepts: "",
            last_attached: None,
            assuming: false,
            told_owner: None,
            out_of_sight: &[],
        }
    }

    fn decided(self) -> String {
        let decision = self.decision();
        format!("{} {}", decision.act.name(), decision.reason)
    }

    fn decision(self) -> Decision {
        let set = set(&[&self.policy, self.excepts].concat());
        let inventory = inventory(&DISK, |listing| {
            let facts = Disk { last_attached: self.last_attached, ..disk(10, DiskState::Available) };
            let mut draft = Draft::new("vol-1", facts);
            draft.tags = self.tags.clone().map_or(Tags::Unread, Tags::Read);
            draft.managed_by = self.managed_by;
            draft.protected = self.protected;
            draft.created = Some(self.created);
            listing.push(draft);
        });
        let answers = Answers::default();
        let view = View::new(&inventory, &answers, &self.house, NOW);
        let evaluation = evaluate(&set, &view, &NoCosts);
        let row = &evaluation.rows[0];
        let resource = inventory.at(row.resource);
        let mut detail = detail(&set, &view, &NoCosts, row);
        if self.assuming {
            detail.assuming.insert("aws.ec2-instance in aws:2/eu-west-1: closed".to_owned());
        }
        detail.out_of_sight.extend(self.out_of_sight);
        let key = LedgerKey::new(&set.policies[0].rule, &resource);
        let owner =
            owner::of(&view, resource).unwrap_or(Owner { name: None, from: "none".to_owned(), invalid: vec![] });
        let told_owner = self.told_owner.or(owner.name.as_deref());
        let told = self.told.map(|at| Told {
            policy: set.policies[0].name.as_str().into(),
            at,
            channel: "mail".into(),
            to: "a".into(),
            fingerprint: Fingerprint::of(&set.policies[0], resource, told_owner, &self.cost),
        });
        let ledger: LedgerSlice = self
            .sighting
            .map(|sighting| (key, Sighting { told: told.into_iter().collect(), ..sighting }))
            .into_iter()
            .collect();
        decide(&set, &view, row, &detail, &ledger, &owner, &self.cost)
    }
}

#[test]
fn decisions_give_the_most_important_reason() {
    let case = |change: &dyn Fn(&mut Case)| {
        let mut case = Case::new();
        change(&mut case);
        case.decided()
    };
    let sighting = |change: &dyn Fn(&mut Sighting)| case(&|case| change(case.sighting.as_mut().unwrap()));
    let report = |case: &mut Case| case.policy = "[[policy]]\nname = \"x\"\nsweep = \"unattached-disk\"\n".to_owned();
    assert_eq!(case(&|_| ()), "delete held for 30 days, told 2026-11-06");
    assert_eq!(case(&report), "report the policy only reports");
    assert_eq!(case(&|case| case.tags = None), "hold unknown: not asked");
    let excepted = "[[except]]\nresource = \"aws.ec2-volume:*/vol-*\"\nreason = \"forensics\"\nuntil = 2027-01-31\n";
    assert_eq!(case(&|case| case.excepts = excepted), "hold excepted: forensics, until 2027-01-31");
    assert_eq!(case(&|case| case.protected = "deletion protection"), "hold protected: deletion protection");
    let tagged = |key: &'static str, value: &'static str| case(&|case| case.tags.as_mut().unwrap().push((key, value)));
    assert_eq!(tagged("Sweeper_Protect", ""), "hold protected: tag Sweeper_Protect");
    assert_eq!(tagged("sweeper-keep", "2027-01-31"), "hold kept: tag sweeper-keep until 2027-01-31");
    assert!(tagged("sweeper-keep", "2029-01-31").contains("longer than the 180 days the house allows"));
    assert!(tagged("sweeper-keep", "2026-01-31").starts_with("delete held for 30 days"));
    assert!(tagged("sweeper:keep", "soon").starts_with("hold kept: tag sweeper:keep, whose value is not a date"));
    assert_eq!(
        case(&|case| case.managed_by = "CloudFormation stack web"),
        "hold managed: remove it from CloudFormation stack web, owner a@example.com"
    );
    assert_eq!(
        case(&|case| {
            case.managed_by = "CloudFormation stack web";
            case.tags = Some(vec![("env", "dev")]);
        }),
        "hold managed: remove it from CloudFormation stack web"
    );
    assert_eq!(
        case(&|case| {
            report(case);
            case.managed_by = "stack web";
        }),
        "hold managed: remove it from stack web, owner a@example.com"
    );
    let shared =
        ScopeRule { accounts: vec!["aws:1111*".to_owned()], class: AccountClass::Shared, ..ScopeRule::default() };
    assert!(case(&|case| case.house.scopes = vec![shared.clone()]).starts_with("hold shared account: "));
    assert!(case(&|case| case.cost = Cost::unknown()).starts_with("hold no price in USD"));
    assert!(case(&|case| case.created = NOW.plus(-3600)).starts_with("hold too young: created "));
    assert_eq!(case(&|case| case.sighting = None), "hold 0 of 14 days, eligible 2026-12-04");
    assert_eq!(sighting(&|s| s.observed = 3 * DAY), "hold 3 of 14 days, eligible 2026-12-01");
    // The cloud's own word sets the start, and is no second sighting.
    let hinted = |days: i64, seen: u32| {
        case(&|case| {
            case.last_attached = Some(NOW.plus(-days * DAY));
            let sighting = case.sighting.as_mut().unwrap();
            (sighting.observed, sighting.complete_sightings) = (DAY, seen);
        })
    };
    assert_eq!(hinted(10, 2), "hold 10 of 14 days, eligible 2026-11-24");
    assert!(hinted(40, 1).starts_with("hold seen once: "));
    assert!(hinted(40, 2).starts_with("delete held for 40 days"));
    assert!(sighting(&|s| s.complete_sightings = 1).starts_with("hold seen once: "));
    assert_eq!(case(&|case| case.told = None), "hold not told: 7 days of grace start with a notice");
    let told = |days: i64| case(&|case| case.told = Some(NOW.plus(-days * DAY)));
    // A Thursday, and seven working days.
    assert_eq!(told(1), "hold in grace: told 2026-11-19, eligible 2026-11-30");
    assert_eq!(told(9), "delete held for 30 days, told 2026-11-11");
    assert_eq!(told(8), "hold in grace: told 2026-11-12, eligible 2026-11-23");
    assert!(case(&|case| case.tags = Some(vec![("env", "dev")])).starts_with("hold in grace"));
}

/// A finding that a cluster is gone is not held by that cluster's mark; other findings of the same thing are.
#[test]
fn the_mark_of_a_gone_cluster_is_evidence() {
    use crate::{model::Relation, testing};
    let text =
        "[[policy]]\nname = \"a\"\nsweep = \"dead-cluster\"\n[[policy]]\nname = \"b\"\nsweep = \"unattached-disk\"\n";
    let source = Source { path: "house.toml".to_owned(), text: text.to_owned() };
    let set = load(&[source], &Known { kinds: testing::KINDS }).set.unwrap();
    let said = |manager: &'static str| -> Vec<String> {
        let draft = Draft {
            managed_by: manager,
            uses: vec![(Relation::OfCluster, "blue")],
            tags: Tags::Read(Vec::new()),
            ..Draft::new("vol-1", disk(10, DiskState::Available))
        };
        let world = testing::World::new().draft(&testing::DISK, draft).seal();
        let view = world.view();
        let owner = Owner { name: None, from: "none".to_owned(), invalid: vec![] };
        let evaluation = evaluate(&set, &view, &NoCosts);
        let decided = evaluation.rows.iter().map(|row| {
            let detail = detail(&set, &view, &NoCosts, row);
            let gone = detail.evidence.iter().any(|one| one.fact == "manager gone" && one.value == manager);
            let decision = decide(&set, &view, row, &detail, &LedgerSlice::default(), &owner, &Cost::unknown());
            format!("{} {gone} {} {}", set.policies[usize::from(row.policy)].name, decision.act.name(), decision.reason)
        });
        decided.collect()
    };
    assert_eq!(
        said("Kubernetes claim shop/data"),
        ["a true report the policy only reports", "b false hold managed: remove it from Kubernetes claim shop/data",]
    );
    let stack = "hold managed: remove it from CloudFormation stack web";
    assert_eq!(said("CloudFormation stack web"), [format!("a false {stack}"), format!("b false {stack}")]);
}

#[test]
fn what_code_manages_is_held() {
    use crate::iac::{DEFAULT_MAX_AGE, Entry, Iac, IacIndex, Outcome, Source};
    let entry = |id: &str| Entry {
        id: id.to_owned(),
        address: "aws_ebs_volume.data".to_owned(),
        stack: "prod/network".to_owned(),
        tool: "terraform".to_owned(),
    };
    let index = |ids: &[&str], made: Timestamp| {
        Outcome::Index(IacIndex::new(made, String::new(), false, ids.iter().map(|id| entry(id)).collect()))
    };
    let decided = |outcome: Outcome, manager: &'static str| {
        let mut case = Case::new();
        let sources = vec![Source { path: "iac-index.json".to_owned(), outcome }];
        case.house.iac = Iac { clouds: BTreeSet::new(), max_age: DEFAULT_MAX_AGE, sources };
        case.managed_by = manager;
        case.decided()
    };
    let held = "hold managed: in Terraform state prod/network as aws_ebs_volume.data; remove it there";
    assert_eq!(decided(index(&["vol-1"], NOW), ""), held);
    // The address says more than the mark, and an old index still says it.
    assert_eq!(decided(index(&["vol-1"], NOW.plus(-9 * DAY)), "Terraform"), held);
    assert!(!decided(index(&["vol-2"], NOW), "").contains("managed"));
    assert_eq!(
        decided(Outcome::Unreadable("it is not there".to_owned()), ""),
        "hold managed: the IaC index iac-index.json cannot be read (it is not there): held"
    );
    assert!(decided(index(&["vol-2"], NOW.plus(-9 * DAY)), "").ends_with("and may be 2 days old): held"));
    assert!(decided(index(&[], NOW.plus(-9 * DAY)), "Terraform").starts_with("hold managed: remove it from Terraform"));
}

#[test]
fn a_decision_says_whose_word_it_takes() {
    let needs = |change: &dyn Fn(&mut Case)| {
        let mut case = Case::new();
        let sandbox =
            ScopeRule { accounts: vec!["*".to_owned()], class: AccountClass::Sandbox, ..ScopeRule::default() };
        case.house.scopes = vec![sandbox];
        change(&mut case);
        // Somebody told long ago: whoever owns it.
        case.told = Some(NOW.plus(-90 * DAY));
        let decision = case.decision();
        let Needs { approve, consent } = decision.needs.unwrap_or_else(|| panic!("{decision:?}"));
        format!("{} {}", approve.name(), consent.name())
    };
    let written = |case: &mut Case, key: &str, value: &str| {
        let lines = case
            .policy
            .lines()
            .map(|line| if line.starts_with(key) { format!("{key} = \"{value}\"\n") } else { format!("{line}\n") });
        case.policy = lines.collect();
    };
    assert_eq!(needs(&|_| ()), "standing objection");
    // Nobody stands for production, nor for what nobody classified, nor for what rests on a waiver.
    assert_eq!(needs(&|case| case.house.scopes.clear()), "admin objection");
    assert_eq!(needs(&|case| case.assuming = true), "admin objection");
    // Without a copy it is one-way.
    assert_eq!(needs(&|case| written(case, "keep", "none")), "admin explicit");
    // An owner's word counts where the resource says whose it is.
    assert_eq!(needs(&|case| written(case, "approve", "owner")), "owner objection");
    let unnamed = |case: &mut Case| {
        written(case, "approve", "owner");
        case.tags = Some(vec![("env", "dev")]);
    };
    assert_eq!(needs(&unnamed), "admin objection");
    let most = |case: &mut Case| {
        written(case, "approve", "two-people");
        case.assuming = true;
    };
    assert_eq!(needs(&most), "two-people objection");
    // What is held needs nobody.
    let mut case = Case::new();
    case.protected = "deletion protection";
    assert_eq!(case.decision().needs, None);
}

/// What happened at one run.
#[derive(Clone, Copy, Debug)]
enum Run {
    Found,
    Unknown,
    Clean,
    Blind,
    Gone,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// The clock against a simple reading of its rules.
    #[test]
    fn clocks_count_observed_time(runs in prop::collection::vec((prop_oneof![
        4 => Just(Run::Found), 1 => Just(Run::Unknown), 1 => Just(Run::Clean), 1 => Just(Run::Blind), 1 => Just(Run::Gone),
    ], 1..120_i64), 1..14)) {
        use crate::ledger::Ledger as _;
        let set = set("[[policy]]\nname = \"x\"\nclass = \"disk\"\nwhen = 'iops > 100'\n");
        let (answers, house) = (Answers::default(), House::default());
        let kept = ledger::InMemory::default();
        let mut now = NOW;
        // Observed, last seen, whether it was found then.
        let mut model: Option<(i64, Timestamp, bool)> = None;
        for (run, hours) in runs {
            now = now.plus(hours * 3600);
            let mut builder = InventoryBuilder::new(KINDS);
            let mut listing = builder.listing(&DISK, &scope());
            let iops = match run {
                Run::Found => Some(3000),
                Run::Clean => Some(1),
                _ => None,
            };
            if !matches!(run, Run::Gone) {
                let mut draft = Draft::new("vol-1", Disk { iops, ..disk(10, DiskState::Available) });
                draft.tags = Tags::Read(vec![]);
                listing.push(draft);
            }
            if matches!(run, Run::Blind) {
                builder.mark(&DISK, &scope(), Status::Blind { why: "denied".to_owned() }, 1);
            } else {
                builder.complete(listing, 1);
            }
            let inventory = builder.build();
            let view = View::new(&inventory, &answers, &house, now);
            let evaluation = evaluate(&set, &view, &NoCosts);
            let advanced = ledger::advance(kept.load().unwrap(), &set, &view, &NoCosts, &evaluation, ledger::MAX_GAP);
            kept.merge(&advanced).unwrap();
            model = match (run, model) {
                (Run::Found, Some((observed, last, found))) => {
                    let gap = now.since(last);
                    Some((observed + if found && gap <= ledger::MAX_GAP { gap } else { 0 }, now, true))
                }
                (Run::Found, None) => Some((0, now, true)),
                (Run::Unknown, known) => known.map(|(observed, _, _)| (observed, now, false)),
                (Run::Clean | Run::Gone, _) => None,
                (Run::Blind, known) => known,
            };
            let slice = kept.load().unwrap();
            let clock = slice.iter().next().map(|(_, s)| (s.observed, s.last_seen, s.last_state == ledger::State::Found));
            prop_assert_eq!(clock, model);
            let json = serde_json::to_string(&slice).unwrap();
            prop_assert_eq!(serde_json::from_str::<LedgerSlice>(&json).unwrap(), slice);
        }
    }
}

#[test]
fn two_sightings_are_a_day_apart() {
    let mut sighting = None;
    let mut counts = Vec::new();
    for hours in [0, 5, 23, 24, 30, 48, 47] {
        let moved =
            ledger::moved(sighting.as_ref(), ledger::State::Found, NOW.plus(hours * 3600), ledger::MAX_GAP, "".into());
        counts.push(moved.as_ref().unwrap().complete_sightings);
        sighting = moved;
    }
    assert_eq!(counts, [1, 1, 1, 2, 2, 3, 3]);
}

#[test]
fn a_recreated_name_starts_again() {
    let key = |created| {
        let inventory = inventory(&DISK, |listing| {
            let mut draft = Draft::new("name", disk(1, DiskState::Available));
            draft.created = Some(created);
            listing.push(draft);
        });
        LedgerKey::new("rule", &inventory.resources().next().unwrap())
    };
    assert_ne!(key(NOW), key(NOW.plus(1)));
}

#[test]
fn missing_owners_and_expired_tags_are_found() {
    let found = |sweep: &str, tags: Option<Vec<(&'static str, &'static str)>>| {
        let set = set(&format!("[[policy]]\nname = \"x\"\nsweep = \"{sweep}\"\n"));
        let inventory = inventory(&VM, |listing| {
            let vm = Vm {
                still_billed: false,
                state: VmState::Running,
                vm_type: listing.sym("t3.micro"),
                image: listing.sym("ami-1"),
                in_state_since: None,
                spot: false,
            };
            let mut draft = Draft::new("i-1", vm);
            draft.created = Some(NOW.plus(-20 * DAY));
            draft.tags = tags.map_or(Tags::Unread, Tags::Read);
            listing.push(draft);
        });
        let (answers, house) = (Answers::default(), House::default());
        let view = View::new(&inventory, &answers, &house, NOW);
        let evaluation = evaluate(&set, &view, &NoCosts);
        evaluation.rows.first().map_or_else(String::new, |row| {
            let detail = detail(&set, &view, &NoCosts, row);
            let evidence: Vec<String> =
                detail.evidence.iter().map(|one| format!("{}={}", one.fact, one.value)).collect();
            format!("{:?} {}", row.verdict, evidence.join(" "))
        })
    };
    assert_eq!(found("missing-owner", Some(vec![("Owner", "a@example.com")])), "");
    assert_eq!(found("missing-owner", Some(vec![("Created By", "alice")])), "");
    assert_eq!(
        found("missing-owner", Some(vec![("Owner", "TBD"), ("env", "dev")])),
        "Found owner_keys=owner, team, contact, created-by tag Owner=\"TBD\" (a placeholder) other_tags=env"
    );
    assert!(found("missing-owner", None).starts_with("Unknown not seen=tags of"));
    assert_eq!(found("expired", Some(vec![("ttl", "21d")])), "");
    assert!(found("expired", Some(vec![("TTL", "14d")])).starts_with("Found tag TTL=14d ended=2026-11-14T"));
    assert_eq!(found("expired", Some(vec![("ttl", "14d"), ("expires-on", "never")])), "");
    assert_eq!(found("expired", Some(vec![("ttl", "14d"), ("expires_on", "2027-01-01")])), "");
    assert!(found("expired", Some(vec![("expires-on", "01/02/2026")])).starts_with("Unknown"));
    assert!(found("expired", Some(vec![("expires-on", "2026-01-02"), ("ttl", "when done")])).starts_with("Unknown"));
    assert_eq!(found("expired", Some(vec![("env", "2020-01-01")])), "");
}

#[test]
fn globs() {
    for (pattern, text, fits) in [
        ("*", "", true),
        ("vol-0abc*", "vol-0abcdef", true),
        ("vol-0abc*", "vol-0ab", false),
        ("*-prod-*", "a-prod-b-prod-", true),
        ("*-prod-*", "a-prod", false),
        ("a*b*c", "aXbXbc", true),
        ("a*b*c", "aXbX", false),
        ("", "x", false),
    ] {
        assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
    }
    let long = "a".repeat(2000);
    assert!(!glob(&["*a".repeat(200).as_str(), "b"].concat(), &long));
}

#[test]
fn messages_are_inert() {
    let text = problems("[[policy]]\nname = \"x\"\n\"\\u001b[31m\" = 1\n");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn the_vocabulary_is_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/VOCABULARY.md");
    let text = vocabulary::markdown();
    if std::env::var_os("SWEEPER_BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == text, "policies/VOCABULARY.md is stale: run with SWEEPER_BLESS=1");
}

#[test]
fn every_field_reads_of_every_class_it_says() {
    let mut names = BTreeSet::new();
    for field in vocabulary::FIELDS {
        assert!(names.insert(field.name), "{} is there twice", field.name);
        assert!(!field.doc.is_empty());
    }
    // An image, whose searches and questions are all open: nothing panics, nothing claims to be known.
    let inventory = inventory(&IMAGE, |listing| {
        listing.push(Draft::new(
            "ami-1",
            Image { state: ImageState::Available, size_gib: 1, deprecated: false, public: false, newest: false },
        ));
    });
    let (answers, house) = (Answers::default(), House::default());
    let view = View::new(&inventory, &answers, &house, NOW);
    let resource = inventory.resources().next().unwrap();
    for field in vocabulary::FIELDS.iter().filter(|field| field.is_of(Class::Image)) {
        if let Ok(value) = (field.read)(&vocabulary::Reader::quiet(&view, &NoCosts, resource)) {
            assert_eq!(value.of(), field.of, "{}", field.name);
            assert!(field.effort < vocabulary::Effort::Search, "{}", field.name);
        }
    }
    assert!(view.take_notes().asks.is_empty());
    let _ = Referrer::default();
}

#[test]
fn a_policy_may_watch_instead_of_sweep() {
    let text = "[[policy]]\nname = \"rises\"\nsweep = \"bill-delta\"\nby = \"account\"\nfloor = 40\nseverity = \"page\"\n\n\
                [[policy]]\nname = \"search\"\nsweep = \"budget\"\nmonthly = \"1200.50\"\nowners = [\"search\"]\n\n\
                [[policy]]\nname = \"growth\"\nsweep = \"growth\"\nshare = \"8%\"\nthen = \"report\"\n\n\
                [[policy]]\nname = \"disks\"\nsweep = \"unattached-disk\"\n";
    let set = set(text);
    assert_eq!(set.policies.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>(), ["disks"]);
    let [rises, search, growth] = set.watches.as_slice() else { panic!("{:?}", set.watches) };
    assert_eq!((rises.what, rises.by), (Watched::BillDelta, Some(watch::Breakdown::Account)));
    assert_eq!((rises.floor, rises.severity), (Amount::whole(40), Severity::Page));
    assert_eq!((search.monthly, search.owners.as_slice()), (Amount::parse("1200.5"), &["search".to_owned()][..]));
    assert_eq!((growth.share, growth.by, growth.at.line), (Some(800), Some(watch::Breakdown::Class), 15));
}

#[test]
fn what_a_watch_cannot_have_is_an_error_at_its_place() {
    for (body, said) in [
        ("sweep = \"bill-delta\"\nthen = \"delete\"", "`bill-delta` watches, and has nothing to delete"),
        ("sweep = \"bill-delta\"\nby = \"class\"", "unknown by `class`"),
        ("sweep = \"bill-delta\"\nwhen = 'true'", "`when` is nothing that `bill-delta` has"),
        ("sweep = \"bill-delta\"\nflor = 3", "did you mean `floor`?"),
        ("sweep = \"budget\"", "`monthly` is missing of a budget"),
        ("sweep = \"budget\"\nmonthly = -1", "`monthly` is an amount from 0"),
        (
            "sweep = \"budget\"\nmonthly = 1\nowners = [\"a\"]\naccounts = [\"aws:1\"]",
            "a budget is of owners or of accounts",
        ),
        ("sweep = \"growth\"\nshare = \"0%\"", "`share` is a percentage a day"),
        ("sweep = \"bil-delta\"", "did you mean `bill-delta`?"),
        ("sweep = \"commitment-unused\"\nfloor = \"much\"", "`floor` is an amount from 0"),
        ("sweep = \"over-quota\"", "a quota is of a count or of money, and there is neither"),
        ("sweep = \"over-quota\"\ncount = -1", "`count` is a whole number from 0"),
        ("sweep = \"over-quota\"\nmonthly_usd = \"lots\"", "`monthly_usd` is an amount from 0"),
        ("sweep = \"over-quota\"\ncount = 1\nclasses = [\"dsik\"]", "did you mean `disk`?"),
        ("sweep = \"over-quota\"\ncount = 1\nclasses = [\"referrer\"]", "unknown class `referrer`"),
        ("sweep = \"over-quota\"\ncount = 1\nthen = \"delete\"", "`over-quota` watches, and has nothing to delete"),
        ("sweep = \"over-quota\"\ncount = 1\nby = \"class\"\nowners = [\"a\"]", "a quota of owners is by owner"),
    ] {
        let problems = problems(&format!("[[policy]]\nname = \"one\"\n{body}\n"));
        assert!(problems.contains(said), "{body}: {problems}");
        assert!(problems.contains("house.toml:"), "{problems}");
    }
    let twice =
        "[[policy]]\nname = \"one\"\nsweep = \"growth\"\n[[policy]]\nname = \"one\"\nsweep = \"unattached-disk\"\n";
    assert!(problems(twice).contains("there is already a policy `one`"));
}

#[test]
fn a_watch_speaks_of_its_accounts() {
    let set =
        set("[[policy]]\nname = \"b\"\nsweep = \"budget\"\nmonthly = 1\naccounts = [\"aws:111122223333\", \"shop\"]\n");
    let watch = &set.watches[0];
    assert!(watch.covers(Some(CloudId::Aws), "111122223333") && watch.covers(None, "111122223333"));
    assert!(!watch.covers(Some(CloudId::Azure), "111122223333"));
    assert!(watch.covers(Some(CloudId::Gcp), "SHOP") && !watch.covers(Some(CloudId::Gcp), "other"));
}

#[test]
fn what_is_missing_is_said_with_what_to_write() {
    for (text, helps) in [
        ("[[policy]]\nname = \"x\"\n", vec!["add `sweep = \"unattached-disk\"`", "add `when = '…'`"]),
        ("[[policy]]\nname = \"x\"\nclass = \"disk\"\n", vec!["add `when = '…'`"]),
        (
            "[[policy]]\nname = \"x\"\nsweep = \"unattached-disk\"\nthen = \"delete\"\n",
            vec![
                "add `when = 'true'` to act on everything that is found",
                "add `for = \"14d\"`",
                "add `grace = \"7d\"`",
                "add `limit = { count = 50, share = \"5%\", monthly_usd = 2000 }`",
                "add one of `clouds`, `accounts`, `regions`, `kinds`",
            ],
        ),
        (
            &*DELETE.replace("{ count = 50, share = \"5%\", monthly_usd = 2000 }", "{}"),
            vec!["add `count = 50`", "add `share = \"5%\"`", "add `monthly_usd = 2000`"],
        ),
    ] {
        let said = problems(text);
        let found: Vec<&str> =
            said.lines().filter_map(|line| line.split_once("= help: ").map(|(_, help)| help)).collect();
        for help in &helps {
            assert_eq!(found.iter().filter(|own| own.starts_with(help)).count(), 1, "{help}\n{said}");
        }
        assert_eq!(found.len(), helps.len(), "{said}");
    }
    // What is missing is missing of all of its table's first line.
    assert!(problems("[[policy]]\nsweep = \"unattached-disk\"\n").contains("| [[policy]]\n  | ^^^^^^^^^^\n"));
}

#[test]
fn what_names_another_class_or_cloud_does_not_fit() {
    let head = "[[policy]]\nname = \"x\"\nsweep = \"unattached-disk\"\n";
    let said = |rest: &str| problems(&[head, rest].concat());
    let vm = said("class = \"vm\"");
    assert!(vm.contains("`unattached-disk` does not judge the class vm"), "{vm}");
    assert_eq!(said("class = \"disk\""), "");
    let of = |cloud: &str| said(&format!("kinds = [\"aws.ec2-volume\"]\nclouds = [\"{cloud}\"]"));
    assert!(of("gcp").contains("`aws.ec2-volume` is not in the policy's clouds"), "{}", of("gcp"));
    assert_eq!(of("aws"), "");
}

#[test]
fn what_is_not_written_is_what_the_documentation_says() {
    let of = |text: &str| set(&format!("[[policy]]\nname = \"x\"\n{text}")).policies.remove(0);
    let report = of("sweep = \"unattached-disk\"");
    assert_eq!((report.for_, report.grace, report.then), (14 * DAY, 7 * DAY, Verb::Report));
    assert_eq!((report.consent, report.approve, report.keep), (Consent::Explicit, Approve::TwoPeople, Keep::None));
    assert_eq!((report.limit, report.accept_unseen.len()), (Limit::default(), 0));
    // The fullest copy that all of the classes have.
    let deletes = "clouds = [\"aws\"]\nwhen = 'true'\nfor = \"1d\"\nthen = \"delete\"\ngrace = \"1d\"\n\
                   limit = { count = 5, share = \"5%\", monthly_usd = 20 }\n";
    for (judged, keep) in [("sweep = \"unattached-disk\"", Keep::Snapshot), ("class = \"snapshot\"", Keep::Definition)]
    {
        assert_eq!(of(&format!("{judged}\n{deletes}")).keep, keep, "{judged}");
    }
    let accepts = of("sweep = \"unattached-disk\"\naccept_unseen = [\"templates of other tools\"]");
    assert_eq!(accepts.accept_unseen, ["templates of other tools"]);
}

#[test]
fn an_exception_has_all_of_its_parts() {
    let said = |resource: &str| {
        problems(&format!("[[except]]\nresource = \"{resource}\"\nreason = \"r\"\nuntil = 2027-01-31\n"))
    };
    assert_eq!(said("aws.ec2-volume:*/vol-1"), "");
    let no_native = "aws.ec2-volume:*/";
    for resource in
        ["vol-1", "aws.ec2-volume:vol-1", ":*/vol-1", "aws.ec2-volume:/vol-1", no_native, "aws.*:*/vol\\u0007"]
    {
        assert!(said(resource).contains("not the form of a resource"), "{resource}: {}", said(resource));
    }
}

#[test]
fn an_exception_covers_its_kind_account_region_and_id_and_nothing_else() {
    let mut builder = InventoryBuilder::new(KINDS);
    for scope in [scope(), Scope::new(CloudId::Aws, "444455556666", "us-east-1")] {
        let mut listing = builder.listing(&DISK, &scope);
        let zone = format!("{}-a", scope.region);
        for id in ["vol-1", "vol-2"] {
            listing.push(Draft { region: Some(&zone), ..Draft::new(id, disk(10, DiskState::Available)) });
        }
        builder.complete(listing, 1);
    }
    let inventory = builder.build();
    for (resource, covers) in [
        ("aws.ec2-volume:*/vol-1", [true, false, true, false]),
        ("aws.ec2-snapshot:*/vol-1", [false; 4]),
        ("aws.ec2-volume:111122223333/*", [true, true, false, false]),
        ("aws.ec2-volume:999*/vol-1", [false; 4]),
        // A region, a zone of it, and a glob of either.
        ("aws.ec2-volume:*/eu-west-1/vol-2", [false, true, false, false]),
        ("aws.ec2-volume:*/eu-west-1-a/vol-2", [false, true, false, false]),
        ("aws.ec2-volume:*/us-*/vol-2", [false, false, false, true]),
        ("aws.ec2-volume:*/ap-south-1/vol-2", [false; 4]),
    ] {
        let text = format!("[[except]]\nresource = \"{resource}\"\nreason = \"r\"\nuntil = 2027-01-31\n");
        let set = set(&text);
        let covered: Vec<bool> = inventory.resources().map(|disk| set.excepts[0].covers(&disk)).collect();
        assert_eq!(covered, covers, "{resource}");
    }
}

#[test]
fn what_cannot_be_compared_is_told_with_what_can() {
    let said = |when: &str| problems(&format!("[[policy]]\nname = \"x\"\nclass = \"disk\"\nwhen = '{when}'\n"));
    let whole = said("size_gib > 1.5");
    assert!(whole.contains("a whole number is compared with whole numbers"), "{whole}");
    // A list is shown from its first bracket to its last element.
    let list = said("size_gib == [1, 2222]");
    let carets = list.lines().find(|line| line.contains('^')).unwrap().matches('^').count();
    assert!(list.contains("a list stands only after `in`") && carets >= "[1, 2222".len(), "{list}");
}

#[test]
fn what_is_no_condition_is_shown_where_it_stops_to_be_one() {
    let place = |when: &str| {
        let text = format!("[[policy]]\nname = \"x\"\nclass = \"disk\"\nwhen = {when}\n");
        let problem = loaded(&text).problems.remove(0);
        assert!(problem.message.starts_with("not a condition"), "{}", problem.render());
        (problem.at.line, problem.at.column)
    };
    assert_eq!(place("'size_gib > > 3'"), (4, "when = 'size_gib > ".len() + 1));
    assert_eq!(place("'> 3'"), (4, "when = '".len() + 1));
    assert_eq!(place("'''\nsize_gib > 1\n  && > 3\n'''"), (6, "  && ".len() + 1));
}

#[test]
fn boundaries_are_where_they_are_said_to_be() {
    let case = |change: &dyn Fn(&mut Case)| {
        let mut case = Case::new();
        change(&mut case);
        case.decided()
    };
    // A day old, to the second.
    let aged = |seconds: i64| case(&|case| case.created = NOW.plus(-seconds));
    assert!(aged(DAY - 1).starts_with("hold too young"), "{}", aged(DAY - 1));
    assert!(aged(DAY).starts_with("delete"), "{}", aged(DAY));
    // Held for as long as the policy says, to the second.
    let held = |seconds: i64| case(&|case| case.sighting.as_mut().unwrap().observed = seconds);
    assert!(held(14 * DAY - 1).starts_with("hold 13 of 14 days"), "{}", held(14 * DAY - 1));
    assert!(held(14 * DAY).starts_with("delete"), "{}", held(14 * DAY));
    // A day ends at noon in UTC, when it has ended everywhere: the 19th right now, and 180 days on the 18th of May.
    let kept = |until: &'static str| case(&|case| case.tags.as_mut().unwrap().push(("sweeper-keep", until)));
    assert!(kept("2026-11-19").starts_with("delete"), "{}", kept("2026-11-19"));
    assert_eq!(kept("2026-11-20"), "hold kept: tag sweeper-keep until 2026-11-20");
    assert_eq!(kept("2027-05-18"), "hold kept: tag sweeper-keep until 2027-05-18");
    assert!(kept("2027-05-19").contains("longer than the 180 days the house allows"), "{}", kept("2027-05-19"));
}

#[test]
fn without_grace_a_notice_of_something_else_holds_nothing() {
    let decided = |grace: &str, told: &'static str| {
        let mut case = Case::new();
        case.policy = case.policy.replace("grace    = \"7d\"", &format!("grace = \"{grace}\""));
        case.told_owner = Some(told);
        case.told = Some(NOW.plus(-90 * DAY));
        case.decided()
    };
    let sold = decided("7d", "b@example.com");
    assert!(sold.starts_with("hold not told: the owner changed since"), "{sold}");
    assert!(decided("7d", "a@example.com").starts_with("delete"));
    assert!(decided("0d", "b@example.com").starts_with("delete"));
}

#[test]
fn what_is_out_of_sight_holds_until_it_is_accepted() {
    let decided = |accept: &str| {
        let mut case = Case::new();
        case.policy = case.policy.replace("tell     =", &format!("{accept}\ntell     ="));
        case.out_of_sight = &["templates of other tools"];
        case.decided()
    };
    let accepted = "accept_unseen = [\"templates of other tools\"]";
    assert!(decided("").starts_with("hold out of sight: templates of other tools; `accept_unseen`"), "{}", decided(""));
    assert!(decided(accepted).starts_with("delete"), "{}", decided(accepted));
}

/// Of what is not known, the cheapest is named: it is looked at first.
#[test]
fn the_cheapest_unknown_is_the_reason() {
    let inventory = inventory(&DISK, |listing| {
        let mut draft = Draft::new("vol-1", disk(10, DiskState::Available));
        draft.tags = Tags::Read(vec![("a", "1")]);
        listing.push(draft);
    });
    let cause = |when: &str| {
        let text = format!(
            "[[policy]]\nname = \"x\"\nclass = \"disk\"\nclouds = [\"aws\"]\nwhen = '{when}'\nfor = \"1d\"\n\
             then = \"delete\"\ngrace = \"1d\"\nlimit = {{ count = 5, share = \"5%\", monthly_usd = 20 }}\n"
        );
        rows(&set(&text), &inventory, &Answers::default()).rows[0].unseen.as_ref().unwrap().cause.clone()
    };
    assert_eq!(cause("monthly_cost > 1 && throughput > 1"), "not known: throughput");
    assert_eq!(cause("tag(\"b\") == \"x\" && throughput > 1"), "not known: throughput");
    assert_eq!(cause("monthly_cost > 1 && tag(\"b\") == \"x\""), "no tag b");
}

#[test]
fn evidence_names_each_thing_that_was_read_once() {
    let inventory = inventory(&DISK, |listing| {
        let mut draft = Draft::new("vol-1", disk(10, DiskState::Available));
        draft.tags = Tags::Read(vec![("a", "1"), ("b", "2")]);
        listing.push(draft);
    });
    let when = "size_gib > 1 && size_gib < 99 && iops > 1 && \
                tag(\"a\") != \"x\" && has_tag(\"b\") && tag(\"a\") != \"y\"";
    let set = set(&format!("[[policy]]\nname = \"x\"\nclass = \"disk\"\nwhen = '{when}'\n"));
    let (answers, house) = (Answers::default(), House::default());
    let view = View::new(&inventory, &answers, &house, NOW);
    let evaluation = evaluate(&set, &view, &NoCosts);
    let evidence = detail(&set, &view, &NoCosts, &evaluation.rows[0]).evidence;
    let facts: Vec<(&str, &str)> = evidence.iter().map(|one| (&*one.fact, one.value.as_str())).collect();
    assert_eq!(facts, [("size_gib", "10"), ("iops", "3000"), ("tag a", "1"), ("tag b", "2")]);
}

/// Two kinds in one place are two tables, and an exception counts the rows that it covers.
#[test]
fn every_resource_is_judged_by_the_policies_of_its_kind() {
    let set = set(concat!(
        "[[policy]]\nname = \"a\"\nsweep = \"unattached-disk\"\n",
        "[[policy]]\nname = \"b\"\nclass = \"disk\"\nwhen = 'size_gib > 1'\n",
        "[[policy]]\nname = \"c\"\nclass = \"snapshot\"\nwhen = 'size_gib > 1'\n",
        "[[except]]\nresource = \"aws.ec2-volume:*/vol-3\"\nreason = \"r\"\nuntil = 2027-01-31\n",
        "[[except]]\nresource = \"aws.*:*/*-2\"\nreason = \"r\"\nuntil = 2027-01-31\n",
    ));
    let mut builder = InventoryBuilder::new(KINDS);
    let mut listing = builder.listing(&DISK, &scope());
    for id in ["vol-1", "vol-2", "vol-3"] {
        listing.push(Draft { tags: Tags::Read(Vec::new()), ..Draft::new(id, disk(10, DiskState::Available)) });
    }
    builder.complete(listing, 1);
    let mut listing = builder.listing(&SNAPSHOT, &scope());
    for id in ["snap-1", "snap-2"] {
        let facts = Snapshot {
            stored_bytes: None,
            size_gib: 8,
            tier: Tier::Standard,
            source: crate::intern::Sym::NONE,
            source_is_dummy: false,
            complete: true,
            locked: false,
        };
        listing.push(Draft { tags: Tags::Read(Vec::new()), ..Draft::new(id, facts) });
    }
    builder.complete(listing, 1);
    let evaluation = rows(&set, &builder.build(), &Answers::default());
    assert_eq!((&*evaluation.judged, &*evaluation.found), (&[3, 3, 2][..], &[3, 3, 2][..]));
    assert_eq!(evaluation.excepted, [2, 3]);
}
