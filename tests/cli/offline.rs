//! Reports of a survey taken before: every form, the same bytes, and text that means harm.

use super::{Place, Ran, text};
use std::{collections::BTreeSet, fs, path::PathBuf};
use sweeper_core::{
    answers::Answers,
    calls::Journal,
    costs::CostSheet,
    facts::{Disk, DiskState, FactsRef},
    house::House,
    iac,
    inert::is_hostile,
    inventory::{Draft, InventoryBuilder, Status, Tags},
    kind::{KindSpec, Places},
    ledger::LedgerSlice,
    model::{Class, CloudId, Scope, Timestamp},
    money::{Amount, Cost},
    report::{Document, Verdict},
    survey::{Looked, Survey},
    survey_file::{self, RunCost, Sealed},
};

const POLICIES: &str = r#"
[[policy]]
name = "unattached-disks"
sweep = "unattached-disk"
severity = "ticket"

[[policy]]
name = "big-disks"
class = "disk"
when = 'size_gib >= 200'
severity = "info"

[[except]]
resource = "aws.ec2-volume:*/vol-3"
reason = "forensics"
until = 2030-01-01
"#;

/// Texts that terminals, spreadsheets, browsers and readers would act on.
const HOSTILE: &[&str] = &[
    "plain",
    "=HYPERLINK(\"http://evil.example\",\"click\")",
    "@SUM(1+1)|cmd",
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m",
    "line\nbreak\r\ttab\u{2028}\u{85}",
    "\u{202e}gnp.exe\u{2066}\u{200b}\u{feff}",
    "<script>alert(1)</script> <img src=x onerror=y> &amp;",
    "`rm -rf` | [a](javascript:x) ![i](http://x) **b** www.evil.example @octocat",
    "👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦",
    "-1+1",
    "\0\u{e0041}\u{7f}",
];

static VOLUME: KindSpec = KindSpec {
    id: "aws.ec2-volume",
    cloud: CloudId::Aws,
    class: Class::Disk,
    title: "EBS volume",
    places: Places::Regions,
    reads: &["ec2:DescribeVolumes"],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

/// Volumes whose names, tags and account mean harm; one account that could not be read, if wanted.
fn survey(place: &Place, blind: bool) -> PathBuf {
    survey_of(place, blind, House::default())
}

fn survey_of(place: &Place, blind: bool, house: House) -> PathBuf {
    let mut builder = InventoryBuilder::new(&[&VOLUME]);
    let scope = Scope::new(CloudId::Aws, "111111111111", "us-east-1");
    let mut listing = builder.listing(&VOLUME, &scope);
    for (n, hostile) in HOSTILE.iter().enumerate() {
        let disk = Disk {
            state: DiskState::Available,
            size_gib: 100 * (n as u32 % 3),
            tier: listing.sym("gp3"),
            iops: None,
            throughput: None,
            source_snapshot: listing.sym(""),
            attachments: 0,
            last_attached: None,
        };
        listing.push(Draft {
            name: hostile,
            tags: Tags::Read(vec![("owner", hostile), (hostile, hostile)]),
            created: Some(Timestamp(1_700_000_000)),
            ..Draft::new(&format!("vol-{n}"), disk)
        });
    }
    builder.complete(listing, 1);
    if blind {
        let scope = Scope::new(CloudId::Aws, "222222222222", "us-east-1");
        builder.mark(&VOLUME, &scope, Status::Blind { why: "denied ec2:DescribeVolumes".to_owned() }, 1);
    }
    let inventory = builder.build();
    let costs = CostSheet::of(&inventory, |resource| match resource.facts() {
        FactsRef::Disk(disk) if disk.size_gib > 0 => {
            Cost::list(Amount::from_pico(80_000_000_000).times(i64::from(disk.size_gib)))
        }
        _ => Cost::unknown(),
    });
    let account =
        Looked { cloud: CloudId::Aws, id: "111111111111".to_owned(), name: HOSTILE[4].to_owned(), path: String::new() };
    let sealed = Sealed {
        survey: Survey {
            inventory,
            answers: Answers::default(),
            accounts: vec![account],
            started: Timestamp(1_763_600_000),
            taken_at: Timestamp(1_763_600_060),
            journal: Journal::new(),
        },
        finished: Timestamp(1_763_600_061),
        whole: BTreeSet::new(),
        house,
        waivers: Vec::new(),
        costs,
        ledger: LedgerSlice::default(),
        cost: RunCost::default(),
    };
    let path = place.path("survey.json");
    survey_file::write(&sealed, "sweeper test", fs::File::create(&path).unwrap()).unwrap();
    place.write("policies.toml", POLICIES);
    path
}

fn report(place: &Place, more: &[&str]) -> Ran {
    let mut arguments = vec!["report", "--survey", "survey.json", "--policies", "policies.toml"];
    arguments.extend(more);
    place.run(&arguments)
}

#[test]
fn the_report_says_what_the_survey_holds() {
    let place = Place::new();
    survey(&place, false);
    let ran = report(&place, &["--format", "json"]);
    let document: Document = serde_json::from_str(ran.ended(0)).unwrap();
    assert_eq!(document.format, "sweeper.report/1");
    assert_eq!(document.run.exit, []);
    assert_eq!(document.run.finished, "2025-11-20T00:54:21Z");
    let of = |policy: &str| document.findings.iter().filter(|finding| finding.policy == policy).count();
    assert_eq!((of("unattached-disks"), of("big-disks")), (HOSTILE.len(), 3));
    assert!(document.findings.iter().all(|finding| finding.verdict == Verdict::Found));
    // Policy order, then resource id.
    let order: Vec<(bool, &str)> = document
        .findings
        .iter()
        .map(|finding| (finding.policy != "unattached-disks", finding.resource.id.as_str()))
        .collect();
    assert!(order.is_sorted(), "{order:?}");
    // Each resource counts once: 4 of 100 GiB and 3 of 200 GiB at 0.08, 4 without a price.
    assert_eq!((document.totals.firm.to_string().as_str(), document.totals.unpriced), ("80", 4));
    let excepted = document.findings.iter().find(|finding| finding.resource.native_id == "vol-3").unwrap();
    assert_eq!((excepted.decision.act.as_str(), excepted.monthly_cost.amount), ("hold", None));
    assert!(excepted.decision.reason.starts_with("excepted: forensics"), "{excepted:?}");
    assert_eq!(document.totals.by_reason["excepted"].resources, 1);
    // Names survive as they are.
    for (n, hostile) in HOSTILE.iter().enumerate() {
        let native = format!("vol-{n}");
        let found = document.findings.iter().find(|finding| finding.resource.native_id == native).unwrap();
        assert_eq!(found.resource.name.as_deref(), Some(*hostile));
    }
}

#[test]
fn offline_is_the_same_bytes_twice_and_touches_nothing() {
    let place = Place::new();
    let path = survey(&place, false);
    let before = place.names();
    for format in ["json", "csv", "markdown", "html", "table"] {
        let (first, second) = (report(&place, &["--format", format]), report(&place, &["--format", format]));
        assert_eq!(first.ended(0), second.ended(0));
    }
    assert_eq!(place.names(), before, "no state, no cache");
    let document: Document = serde_json::from_str(&report(&place, &["--format", "json"]).out).unwrap();
    assert_eq!(document.run.id.len(), 64);
    // A survey that was changed is none, and another survey is another run.
    let sealed = fs::read_to_string(&path).unwrap();
    fs::write(&path, sealed.replacen("vol-0", "vol-X", 1)).unwrap();
    let refused = report(&place, &["--format", "json"]);
    assert!(refused.ended(2).is_empty() && refused.err.contains("it is not what was sealed"), "{}", refused.err);
    survey(&place, true);
    let other: Document = serde_json::from_str(&report(&place, &["--format", "json"]).out).unwrap();
    assert_ne!(document.run.id, other.run.id);
}

#[test]
fn hostile_text_is_inert_in_every_form() {
    let place = Place::new();
    survey(&place, true);
    for (format, more) in [
        ("table", "--all"),
        ("table", "--format=table"),
        ("csv", "--all"),
        ("markdown", "--all"),
        ("html", "--all"),
        ("json", "--all"),
    ] {
        let mut arguments = vec!["--format", format];
        if more == "--all" {
            arguments.push(more);
        }
        let ran = report(&place, &arguments);
        let shown = ran.ended(3);
        let acts = |letter: char| is_hostile(letter) && letter != '\n';
        assert!(!shown.contains(acts), "{format}: {:?}", shown.matches(acts).collect::<Vec<_>>());
    }
    let csv = report(&place, &["--format", "csv"]);
    let mut reader = csv::Reader::from_reader(csv.ended(3).as_bytes());
    let columns = reader.headers().unwrap().len();
    let mut rows = 0;
    for record in reader.records() {
        let record = record.unwrap();
        assert_eq!(record.len(), columns);
        assert!(record.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{record:?}");
        rows += 1;
    }
    assert_eq!(rows, HOSTILE.len() + 3);
    let markdown = report(&place, &["--format", "markdown", "--all"]);
    let unescaped = markdown.ended(3).replace("\\]", "");
    assert!(!unescaped.contains("](") && !unescaped.contains(['<', '@', '`']), "{unescaped}");
    for line in markdown.out.lines().filter(|line| line.starts_with('|')) {
        assert!([4, 6, 9, 3].contains(&line.matches('|').count()), "{line}");
    }
    let html = report(&place, &["--format", "html", "--all"]);
    let page = html.ended(3);
    let own = [
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "table", "tr", "th", "td", "ul", "li",
        "!doctype",
    ];
    for tag in page.split('<').skip(1) {
        let name = tag.trim_start_matches('/').split([' ', '>']).next().unwrap_or_default();
        assert!(own.contains(&name), "<{tag}");
    }
    assert_eq!(page.matches("<table").count(), page.matches("</table>").count());
    let json = report(&place, &["--format", "json"]);
    assert!(!json.ended(3).contains('<') && json.out.lines().count() == 1);
}

#[test]
fn the_screen_fits() {
    let place = Place::new();
    survey(&place, true);
    for columns in [40, 80, 120, 200] {
        let arguments = ["report", "--survey", "survey.json", "--policies", "policies.toml", "--all"];
        let output = place.command(&arguments).env("COLUMNS", columns.to_string()).output().unwrap();
        let ran = Ran::of(&output);
        for line in ran.ended(3).lines() {
            let wide = unicode_width::UnicodeWidthStr::width(line);
            assert!(wide <= columns, "{wide} of {columns}: {line}");
        }
    }
    let ran = report(&place, &[]);
    let first: Vec<&str> = ran.ended(3).lines().take(5).collect();
    for word in ["firm", "$80.00", "up to", "unpriced"] {
        assert!(first.concat().contains(word), "{first:?}");
    }
    assert!(
        ran.out.contains("blind: denied ec2:DescribeVolumes: aws.ec2-volume in 222222222222/us-east-1"),
        "{}",
        ran.out
    );
}

#[test]
fn what_code_manages_stays_held_under_another_config() {
    let place = Place::new();
    let entry = iac::Entry {
        id: "arn:aws:ec2:us-east-1:111111111111:volume/vol-0".to_owned(),
        address: "aws_ebs_volume.data\u{1b}[31m".to_owned(),
        stack: "prod/<b>".to_owned(),
        tool: "terraform".to_owned(),
    };
    let index = iac::IacIndex::new(Timestamp(1_763_600_000), String::new(), false, vec![entry]);
    let sources = vec![iac::Source { path: "iac-index.json".to_owned(), outcome: iac::Outcome::Index(index) }];
    let house =
        House { iac: iac::Iac { max_age: iac::DEFAULT_MAX_AGE, sources, ..iac::Iac::default() }, ..House::default() };
    survey_of(&place, false, house);
    let held = |more: &[&str], code: i32| {
        let ran = report(&place, &[&["--format", "json"], more].concat());
        let document: Document = serde_json::from_str(ran.ended(code)).unwrap();
        document.totals.by_reason.get("managed").map_or(0, |sum| sum.resources)
    };
    assert_eq!(held(&[], 0), 1);
    place.write("bare.toml", "deployment = \"x\"\n");
    assert_eq!(held(&["--config", "bare.toml"], 0), 1, "a config that names no index takes none away");
    place.write("other.toml", "[iac]\nindex = [\"none.json\"]\n");
    // What is excepted is told first.
    assert_eq!(held(&["--config", "other.toml"], 3), HOSTILE.len() as u64 - 1, "one that is missing holds all");
    assert_eq!(held(&["--now", "2025-12-20T00:00:00Z"], 3), HOSTILE.len() as u64 - 1, "one that is old, too");
    for format in ["table", "csv", "markdown", "html"] {
        let ran = report(&place, &["--format", format, "--all"]);
        let acts = |letter: char| is_hostile(letter) && letter != '\n';
        assert!(!ran.ended(0).contains(acts), "{format}");
        assert!(format != "html" || !ran.out.contains("<b>"), "{format}");
    }
}

#[test]
fn exit_codes_name_their_causes() {
    let place = Place::new();
    survey(&place, true);
    let ran = report(&place, &["--format", "json", "--fail-on", "ticket"]);
    let document: Document = serde_json::from_str(ran.ended(4)).unwrap();
    let codes: Vec<u8> = document.run.exit.iter().map(|cause| cause.code).collect();
    assert_eq!(codes, [4, 3], "the more important wins and both are named");
    assert_eq!(report(&place, &["--fail-on", "page"]).code, Some(3));
    survey(&place, false);
    assert_eq!(report(&place, &["--fail-on", "page"]).code, Some(0));
    assert_eq!(report(&place, &["--fail-on", "info"]).code, Some(4));
}

#[test]
fn an_output_file_is_whole_and_private() {
    let place = Place::new();
    survey(&place, false);
    let ran = report(&place, &["--format", "json", "--output", "report.json"]);
    assert_eq!(ran.ended(0), "");
    let path = place.path("report.json");
    assert_eq!(fs::read_to_string(&path).unwrap(), report(&place, &["--format", "json"]).out);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    report(&place, &["--output", "none/report.json"]).failed(2, &["failed to write none/report.json"]);
    assert_eq!(place.names(), ["policies.toml", "report.json", "survey.json"]);
}

#[test]
fn a_survey_that_is_none_is_refused() {
    let place = Place::new();
    let path = survey(&place, false);
    let whole = fs::read_to_string(&path).unwrap();
    place.write("survey.json", &whole[..whole.len() / 2]);
    report(&place, &[]).failed(2, &["failed to read the survey survey.json", "damaged or cut short", "help:"]);
    place.write("survey.json", &whole.replace("sweeper.survey/1", "sweeper.survey/2"));
    report(&place, &[]).failed(2, &["sweeper.survey/2", "use a newer release"]);
    place.write("survey.json", &whole.replace("aws.ec2-volume", "aws.ec9-volume"));
    report(&place, &[]).failed(2, &["`aws.ec9-volume`, which this build does not know"]);
    place.write("survey.json", "{}");
    report(&place, &[]).failed(2, &["not a survey"]);
}

#[test]
fn a_resource_is_explained_clause_by_clause() {
    let place = Place::new();
    survey(&place, false);
    let arguments = ["explain", "vol-3", "--survey", "survey.json", "--policies", "policies.toml"];
    let ran = place.run(&arguments);
    for text in [
        "aws.ec2-volume:111111111111/us-east-1/vol-3",
        "policy unattached-disks (policies.toml:3): found",
        "detector unattached-disk: found",
        "state = available (ec2:DescribeVolumes)",
        "policy big-disks (policies.toml:8): no finding",
        "when size_gib >= 200: does not hold",
        "size_gib = 0",
        "decision: hold: excepted: forensics",
    ] {
        assert!(ran.ended(0).contains(text), "`{text}` is not in:\n{}", ran.out);
    }
    assert!(!ran.out.contains(|letter| is_hostile(letter) && letter != '\n'));
    place
        .run(&["explain", "vol-none", "--survey", "survey.json", "--policies", "policies.toml"])
        .failed(2, &["nothing seen is called `vol-none`"]);
}

#[test]
fn what_matched_nothing_is_said_at_its_line() {
    let place = Place::new();
    survey(&place, false);
    place.write("policies.toml", &POLICIES.replace("vol-3", "vol-none"));
    let ran = report(&place, &[]);
    assert!(ran.ended(0).contains("policies.toml:14: exception"), "{}", ran.out);
}

#[test]
fn text_paths_are_paths() {
    let place = Place::new();
    let path = survey(&place, false);
    let policies = place.path("policies.toml");
    assert_eq!(place.run(&["report", "--survey", text(&path), "--policies", text(&policies)]).code, Some(0));
}
