//! The scenarios: what each detector says of small organisations, from the cloud's wire to the report.
//!
//! Each `<detector>.md` here tells stories. A story is a `##` section: prose, one `toml` block with an
//! organisation of the emulator, and perhaps others beside it:
//!
//! | block | what it is |
//! |---|---|
//! | `toml` | the organisation; without an `[[account]]` it has one account in each cloud of its resources |
//! | `toml faults` | what goes wrong, all of it in one run |
//! | `toml faults each` | as many runs as there are faults, each with one of them, all with the same outcome |
//! | `toml policy` | the policies, in place of those that are shipped |
//! | `toml config` | the `sweeper.toml` |
//! | `leases` | what `sweeper lease` was told before, a line each |
//! | `json in-use` | `in-use.json` beside the config, in which `{now}` is the instant |
//!
//! `expect = { "<detector>" = "found" }` on a resource (or "unknown") says that the report has this row.
//! Of the detector that the file is about, there must be no other row. `{date-2d}` is the date of two days
//! ago, `{date+1d}` that of tomorrow.
//!
//! A story may be set in any cloud, or in several: the binary is told of those that it has accounts or
//! resources in, and looks at nothing else. Below an `[organization]` of AWS, an `[azure]` tenant and a `[gcp]`
//! organisation it looks at every account; beside them, at all that the story names. Stories of a cloud that
//! this build does not have are left out, and counted.

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};
use sweeper_core::{detect::DETECTORS, model::CloudId, report::Document};
use sweeper_emulator::{Call, Emulator, Fault, Options, Org, parse_faults};

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            check(&stringify!($name).replace('_', "-"));
        })*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

scenarios! {
    unattached_disk,
    previous_generation_disk,
    stopped_vm,
    stopped_not_deallocated,
    idle_vm,
    orphaned_snapshot,
    unused_image,
    untagged_artifact,
    stale_artifact,
    incomplete_upload,
    empty_bucket,
    unbounded_versions,
    idle_function,
    old_function_version,
    unassociated_address,
    unattached_interface,
    idle_gateway,
    idle_endpoint,
    targetless_load_balancer,
    idle_load_balancer,
    unbound_target_group,
    idle_network_appliance,
    unused_security_group,
    dead_cluster,
    empty_plan,
    idle_database,
    sourceless_db_snapshot,
    stale_log_group,
    unbounded_log_group,
    missing_owner,
    expired,
}

/// Detectors whose questions only add evidence, so that nothing makes them unknown.
const NEVER_UNKNOWN: &[&str] = &["incomplete-upload"];

/// Clouds of this build.
const BUILT: &[CloudId] = &[
    #[cfg(feature = "aws")]
    CloudId::Aws,
    #[cfg(feature = "azure")]
    CloudId::Azure,
    #[cfg(feature = "gcp")]
    CloudId::Gcp,
];

/// The account of an organisation that names none, in a cloud that it has resources in.
const fn account_of(cloud: CloudId) -> &'static str {
    match cloud {
        CloudId::Aws => "\n[[account]]\nid = \"111111111111\"\nname = \"shop\"\nregions = [\"us-east-1\"]\n",
        CloudId::Azure => {
            "\n[[account]]\ncloud = \"azure\"\nid = \"11111111-1111-1111-1111-111111111111\"\nname = \"shop\"\n\
             regions = [\"westeurope\"]\n"
        }
        CloudId::Gcp => {
            "\n[[account]]\ncloud = \"gcp\"\nid = \"shop-prod\"\nnumber = \"222222222222\"\nname = \"shop\"\n\
             regions = [\"europe-west1\"]\n"
        }
    }
}

/// Where a story is set, read from the text of its organisation.
#[derive(Default)]
struct Setting {
    /// Cloud and id, in the file's order.
    accounts: Vec<(CloudId, String)>,
    /// Clouds of its accounts and resources.
    clouds: BTreeSet<CloudId>,
    /// The management account of AWS, if there is an organisation.
    management: Option<String>,
    /// The role that the accounts of AWS let one take.
    role: Option<String>,
    /// The tenant's root management group, where there is a tenant; empty for the one every tenant has.
    root: Option<String>,
    /// The number of GCP's organisation.
    organization: Option<String>,
}

impl Setting {
    /// A text that is no organisation has none: the emulator says what is wrong with it.
    fn of(text: &str) -> Self {
        let Ok(org) = toml::from_str::<toml::Table>(text) else { return Self::default() };
        let tables = |key: &str| -> Vec<&toml::Value> {
            org.get(key).and_then(toml::Value::as_array).into_iter().flatten().collect()
        };
        let text = |table: &toml::Value, key: &str| table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        let accounts: Vec<(CloudId, String)> = tables("account")
            .into_iter()
            .map(|account| {
                let cloud = text(account, "cloud").and_then(|name| CloudId::parse(&name)).unwrap_or(CloudId::Aws);
                (cloud, text(account, "id").unwrap_or_default())
            })
            .collect();
        let of_resources = tables("resource").into_iter().filter_map(|resource| {
            let kind = text(resource, "kind")?;
            CloudId::parse(kind.split('.').next()?)
        });
        let mut clouds: BTreeSet<CloudId> = accounts.iter().map(|(cloud, _)| *cloud).chain(of_resources).collect();
        if clouds.is_empty() {
            clouds.insert(BUILT.first().copied().unwrap_or(CloudId::Aws));
        }
        Self {
            management: org.get("organization").and_then(|own| text(own, "management")),
            role: tables("account").into_iter().find_map(|account| text(account, "role")),
            root: org.get("azure").map(|own| text(own, "root").unwrap_or_default()),
            organization: org.get("gcp").and_then(|own| text(own, "organization")),
            accounts,
            clouds,
        }
    }

    fn of_cloud(&self, cloud: CloudId) -> Vec<&str> {
        self.accounts.iter().filter(|(own, _)| *own == cloud).map(|(_, id)| id.as_str()).collect()
    }

    /// Whether this build can tell it.
    fn is_built(&self) -> bool {
        self.clouds.iter().all(|cloud| BUILT.contains(cloud))
    }

    /// What stands in the config, beside what the story says.
    fn config(&self) -> String {
        let mut config = String::new();
        for cloud in &self.clouds {
            let accounts = self.of_cloud(*cloud);
            let several = |key: &str| (accounts.len() > 1).then(|| format!("{key} = {accounts:?}\n"));
            let lines = match cloud {
                CloudId::Aws => {
                    let role = self.role.as_ref().map(|role| format!("role = {role:?}\n"));
                    let org = self.management.as_ref().map(|_| "org = true\n".to_owned());
                    [org, role].into_iter().flatten().collect()
                }
                CloudId::Azure => match &self.root {
                    Some(root) if root.is_empty() => "org = true\n".to_owned(),
                    Some(root) => format!("management_group = {root:?}\n"),
                    None => several("subscriptions").unwrap_or_default(),
                },
                CloudId::Gcp => match &self.organization {
                    Some(number) => format!("organization = {number:?}\n"),
                    None => several("projects").unwrap_or_default(),
                },
            };
            if !lines.is_empty() {
                writeln!(config, "[{}]\n{lines}", cloud.name()).expect("a string takes all");
            }
        }
        config
    }

    /// What stands in the environment of somebody who works in these clouds.
    fn environment(&self, url: &str) -> Vec<(&'static str, String)> {
        let mut environment = Vec::new();
        for cloud in &self.clouds {
            let first = self.of_cloud(*cloud).first().copied().unwrap_or_default().to_owned();
            match cloud {
                CloudId::Aws => {
                    let account = self.management.clone().unwrap_or(first);
                    environment.extend([
                        ("AWS_ENDPOINT_URL", url.to_owned()),
                        ("AWS_ACCESS_KEY_ID", format!("AKIA{account}X")),
                        ("AWS_SECRET_ACCESS_KEY", "x".to_owned()),
                        ("AWS_REGION", "us-east-1".to_owned()),
                        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
                    ]);
                }
                CloudId::Azure => {
                    environment.extend([("SWEEPER_AZURE_ENDPOINT", url.to_owned()), ("AZURE_SUBSCRIPTION_ID", first)]);
                }
                CloudId::Gcp => {
                    environment.extend([("SWEEPER_GCP_ENDPOINT", url.to_owned()), ("GOOGLE_CLOUD_PROJECT", first)]);
                }
            }
        }
        environment
    }
}

/// One `##` section.
#[derive(Default)]
struct Story {
    title: String,
    /// The line of its heading, from 1.
    line: usize,
    prose: bool,
    org: Option<(usize, String)>,
    faults: Option<String>,
    each: Option<String>,
    policy: Option<String>,
    config: Option<String>,
    leases: Option<String>,
    in_use: Option<String>,
}

/// One row of the report, or the planted truth of one: kind, account, region, id, verdict.
type Row = (String, String, String, String, String);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios")
}

/// The file's first line and its stories.
fn read(detector: &str) -> (String, Vec<Story>) {
    let path = folder().join(format!("{detector}.md"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut stories: Vec<Story> = Vec::new();
    let mut block: Option<(String, usize, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        if let Some((info, start, mut body)) = block.take() {
            if line == "```" {
                let story = stories.last_mut().unwrap_or_else(|| panic!("{detector}.md:{start}: no story yet"));
                let slot = match info.as_str() {
                    "toml" => {
                        assert!(story.org.is_none(), "{detector}.md:{start}: a second organisation");
                        story.org = Some((start, body));
                        continue;
                    }
                    "toml faults" => &mut story.faults,
                    "toml faults each" => &mut story.each,
                    "toml policy" => &mut story.policy,
                    "toml config" => &mut story.config,
                    "leases" => &mut story.leases,
                    "json in-use" => &mut story.in_use,
                    other => panic!("{detector}.md:{start}: a block of {other:?}"),
                };
                assert!(slot.replace(body).is_none(), "{detector}.md:{start}: a second block of {info}");
            } else {
                body.push_str(line);
                body.push('\n');
                block = Some((info, start, body));
            }
        } else if let Some(info) = line.strip_prefix("```") {
            block = Some((info.to_owned(), number, String::new()));
        } else if let Some(title) = line.strip_prefix("## ") {
            stories.push(Story { title: title.to_owned(), line: number, ..Story::default() });
        } else if let Some(story) = stories.last_mut() {
            story.prose |= !line.trim().is_empty();
        }
    }
    assert!(block.is_none(), "{detector}.md: a block does not end");
    (text.lines().next().unwrap_or_default().to_owned(), stories)
}

impl Story {
    /// The text of its organisation, with the accounts that it does not name.
    fn text(&self, detector: &str) -> String {
        let (_, text) = self.org.as_ref().unwrap_or_else(|| panic!("{detector}.md:{}: no organisation", self.line));
        let mut text = dated(text);
        if !text.contains("[[account]]") {
            for cloud in Setting::of(&text).clouds {
                text.push_str(account_of(cloud));
            }
        }
        text
    }

    fn setting(&self, detector: &str) -> Setting {
        Setting::of(&self.text(detector))
    }

    fn organisation(&self, detector: &str) -> Org {
        let line = self.org.as_ref().map_or(self.line, |(line, _)| *line);
        Org::parse(&self.text(detector))
            .unwrap_or_else(|error| panic!("{detector}.md:{}: {}", line + error.line, error.message))
    }

    /// The runs of the story: each with its faults.
    fn runs(&self, detector: &str) -> Vec<Vec<Fault>> {
        let parse = |text: &String| {
            parse_faults(text).unwrap_or_else(|error| panic!("{detector}.md:{}: faults: {error}", self.line))
        };
        let all = self.faults.as_ref().map(parse).unwrap_or_default();
        match &self.each {
            None => vec![all],
            Some(each) => parse(each).into_iter().map(|one| all.iter().cloned().chain([one]).collect()).collect(),
        }
    }

    fn truth(&self, detector: &str) -> BTreeSet<Row> {
        let truth = self.organisation(detector).truth();
        truth
            .into_iter()
            .filter(|one| one.detector == detector)
            .map(|one| (one.kind, one.account, one.region, one.id, one.verdict))
            .collect()
    }
}

/// `{date-2d}` and the like, as dates.
fn dated(text: &str) -> String {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let mut parts = text.split("{date");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (span, rest) = part.split_once("d}").expect("{date±Nd} ends");
        let days: i64 = span.parse().expect("a number of days");
        let date = today.checked_add(days.days()).expect("a date");
        write!(out, "{date}{rest}").expect("a string takes all");
    }
    out
}

/// Runs every story of a detector.
fn check(detector: &str) {
    let (_, stories) = read(detector);
    let mut report = String::new();
    for story in stories.iter().filter(|story| story.setting(detector).is_built()) {
        for faults in story.runs(detector) {
            let said = story.each.is_some().then(|| faults.last().map(permission)).flatten();
            let expected = story.truth(detector);
            match run(detector, story, faults) {
                Err(trouble) => differ(&mut report, detector, story, said.as_deref(), &trouble),
                Ok(Told { rows, aside, .. }) if rows != expected => {
                    let mut lines = String::new();
                    for row in expected.difference(&rows) {
                        writeln!(lines, "  - {}", shown(row)).expect("a string takes all");
                    }
                    for row in rows.difference(&expected) {
                        writeln!(lines, "  + {}", shown(row)).expect("a string takes all");
                    }
                    lines.push_str(&aside);
                    differ(&mut report, detector, story, said.as_deref(), &lines);
                }
                Ok(_) => {}
            }
        }
    }
    assert!(report.is_empty(), "\n(-) expected, (+) reported\n{report}");
}

fn permission(fault: &Fault) -> String {
    format!("{} {}", fault.kind, fault.permission.as_deref().or(fault.action.as_deref()).unwrap_or("every call"))
}

fn differ(report: &mut String, detector: &str, story: &Story, said: Option<&str>, lines: &str) {
    let said = said.map(|said| format!(", with {said}")).unwrap_or_default();
    writeln!(report, "tests/scenarios/{detector}.md:{}: {}{said}\n{lines}", story.line, story.title)
        .expect("a string takes all");
}

fn shown((kind, account, region, id, verdict): &Row) -> String {
    format!("{verdict} {kind}:{account}/{region}/{id}")
}

/// What the binary said of a story.
struct Told {
    /// Its rows of the detector.
    rows: BTreeSet<Row>,
    /// What else helps to understand a difference.
    aside: String,
    journal: Vec<Call>,
}

/// Does what a line of a story's leases says.
fn lease(line: &str, state: &str, home: &Path) -> Result<(), String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sweeper"));
    command.env_clear().env("HOME", home).current_dir(home).arg("lease");
    command.args(line.split_whitespace()).args(["--state", state]);
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("  lease {line}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Runs the binary over a story.
fn run(detector: &str, story: &Story, faults: Vec<Fault>) -> Result<Told, String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let (org, setting) = (story.organisation(detector), story.setting(detector));
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!(
        "{detector}-{}-{}",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    ));
    fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    // Small pages, so that every listing has some.
    let options = Options { faults: faults.clone(), page: Some(2), ..Options::default() };
    let emulator = runtime.block_on(Emulator::start(org, options)).map_err(|error| error.to_string())?;

    let config = format!("{}{}", setting.config(), story.config.as_deref().map(dated).unwrap_or_default());
    let config_file = home.join("sweeper.toml");
    fs::write(&config_file, config).map_err(|error| error.to_string())?;
    if let Some(in_use) = &story.in_use {
        let text = in_use.replace("{now}", &Timestamp::now().to_string());
        fs::write(home.join("in-use.json"), text).map_err(|error| error.to_string())?;
    }

    let state = match &story.leases {
        None => "memory:".to_owned(),
        Some(leases) => {
            let state = home.join("state.db").display().to_string();
            for line in leases.lines() {
                lease(line, &state, &home)?;
            }
            state
        }
    };
    let clouds: Vec<&str> = setting.clouds.iter().map(|cloud| cloud.name()).collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sweeper"));
    command
        .env_clear()
        .envs(setting.environment(&emulator.url()))
        .env("HOME", &home)
        .args(["report", "--format", "json", "--state", &state, "--cloud", &clouds.join(","), "--config"])
        .arg(&config_file);
    if let Some(policy) = &story.policy {
        let file = home.join("policies.toml");
        fs::write(&file, policy).map_err(|error| error.to_string())?;
        command.arg("--policies").arg(file);
    }
    let output = command.output().map_err(|error| error.to_string())?;
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    let journal = emulator.journal();
    drop(emulator);
    let _ = fs::remove_dir_all(&home);
    // 3: something could not be seen, which is what some stories are about.
    if !matches!(output.status.code(), Some(0 | 3)) {
        return Err(format!("{}: {complaints}", output.status));
    }
    // Where each fault is to have the same outcome, one that hits nothing would prove nothing.
    if let Some(last) = faults.last().filter(|_| story.each.is_some()) {
        // What is missing from a good answer is no fault of the call.
        let of_places = matches!(last.kind.to_string().as_str(), "unreachable" | "scope-warning");
        let hits = |call: &Call| {
            (call.fault.is_some() || of_places)
                && last.permission.as_ref().is_none_or(|own| *own == call.permission)
                && last.action.as_ref().is_none_or(|own| *own == call.action)
        };
        if !journal.iter().any(hits) {
            return Err("  nothing was asked that could fail so".to_owned());
        }
    }
    let document: Document = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("no report: {error}\n{complaints}{}", String::from_utf8_lossy(&output.stdout)))?;
    // A question that the cloud refuses has a cause of its own; this is one that no provider put.
    if let Some(cause) = document.run.exit.iter().find(|cause| cause.cause.contains("not answered")) {
        return Err(format!("  {}", cause.cause));
    }
    let mut aside = String::new();
    let mut rows = BTreeSet::new();
    for finding in document.findings.iter().filter(|finding| finding.detector == detector) {
        let it = &finding.resource;
        let verdict = finding.verdict.name().to_owned();
        for evidence in &finding.evidence {
            writeln!(aside, "    {}: {} = {}", it.native_id, evidence.fact, evidence.value)
                .expect("a string takes all");
        }
        rows.insert((it.kind.clone(), it.account.clone(), it.region.clone(), it.native_id.clone(), verdict));
    }
    for seen in document.coverage.iter().filter(|seen| seen.status.name() == "blind") {
        let why = seen.why.as_deref().unwrap_or_default();
        writeln!(aside, "    blind: {} in {}/{}: {why}", seen.kind, seen.account, seen.region)
            .expect("a string takes all");
    }
    Ok(Told { rows, aside, journal })
}

/// What is called is declared, and so is in the roles that `sweeper permissions` writes: over the first story of each
/// detector in each cloud. For AWS the conformance tests hold it exactly.
#[test]
fn what_is_called_is_declared() {
    let mut declared: BTreeSet<&str> = BTreeSet::new();
    #[cfg(feature = "azure")]
    {
        declared.extend(sweeper_azure::specs().iter().flat_map(|spec| spec.reads.iter().chain(spec.asks)));
        declared.extend(sweeper_azure::NEEDS.iter().map(|need| need.permission));
    }
    #[cfg(feature = "gcp")]
    {
        declared.extend(sweeper_gcp::specs().iter().flat_map(|spec| spec.reads.iter().chain(spec.asks)));
        declared.extend(sweeper_gcp::NEEDS.iter().map(|need| need.permission));
    }
    let mut secretly: BTreeSet<(String, String)> = BTreeSet::new();
    for cloud in BUILT.iter().filter(|cloud| **cloud != CloudId::Aws) {
        for detector in DETECTORS.iter().map(|detector| detector.spec.id) {
            let stories = read(detector).1;
            let is_there = |story: &&Story| story.setting(detector).clouds == BTreeSet::from([*cloud]);
            let Some(story) = stories.iter().find(is_there) else { continue };
            for told in story.runs(detector).into_iter().take(1).map(|faults| run(detector, story, faults)) {
                let calls = told.map(|told| told.journal).unwrap_or_default();
                let undeclared = calls.into_iter().filter(|call| !call.permission.is_empty());
                secretly.extend(
                    undeclared
                        .filter(|call| !declared.contains(call.permission.as_str()))
                        .map(|call| (call.permission, call.action)),
                );
            }
        }
    }
    assert!(secretly.is_empty(), "called and not declared: {secretly:#?}");
}

/// The demo is a large scenario: all that is planted in it is told, nothing else, and nothing is unseen but
/// what its config waives.
#[cfg(all(feature = "aws", feature = "azure", feature = "gcp"))]
#[test]
fn the_demo_is_told_exactly() {
    for how in [["--truth"].as_slice(), &["--format", "json"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_sweeper"))
            .env_clear()
            .arg("demo")
            .args(how)
            .output()
            .expect("the demo runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let wrong: Vec<&str> = said.lines().filter(|line| how.len() == 1 && !line.starts_with("ok ")).collect();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "demo {how:?}: {wrong:#?}\n{complaints}");
    }
}

/// Says, past the test runner, how many stories this build cannot tell.
#[test]
fn stories_of_other_builds_are_counted() {
    let (mut told, mut left_out) = (0, 0);
    for detector in DETECTORS {
        for story in read(detector.spec.id).1 {
            let built = story.setting(detector.spec.id).is_built();
            *if built { &mut told } else { &mut left_out } += 1;
        }
    }
    if left_out > 0 {
        let without: Vec<&str> =
            CloudId::ALL.iter().filter(|cloud| !BUILT.contains(cloud)).map(|cloud| cloud.name()).collect();
        let without = without.join(", ");
        writeln!(io::stderr(), "{left_out} of {} stories left out: no {without} in this build", told + left_out)
            .expect("standard error takes all");
    }
}

#[test]
fn every_detector_has_its_stories() {
    let ids: Vec<&str> = DETECTORS.iter().map(|detector| detector.spec.id).collect();
    let names: Vec<String> = NAMES.iter().map(|name| name.replace('_', "-")).collect();
    assert_eq!(names, ids, "the list in this file is that of the detectors");
    let files: BTreeSet<String> = fs::read_dir(folder())
        .expect("the folder")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".md").map(str::to_owned))
        .collect();
    assert_eq!(files, names.into_iter().collect(), "one file a detector");

    for detector in DETECTORS {
        let (spec, id) = (detector.spec, detector.spec.id);
        let (head, stories) = read(id);
        assert_eq!(head, format!("# {id}: {}", spec.title), "{id}.md:1");
        let mut verdicts = BTreeSet::new();
        for story in &stories {
            assert!(story.prose, "{id}.md:{}: a story without words", story.line);
            let org = story.organisation(id);
            assert!(
                story.config.is_none()
                    || toml::from_str::<toml::Table>(&format!(
                        "{}{}",
                        story.setting(id).config(),
                        dated(story.config.as_deref().unwrap_or_default())
                    ))
                    .is_ok(),
                "{id}.md:{}: its config names a cloud, which the runner does",
                story.line
            );
            assert!(!story.runs(id).is_empty(), "{id}.md:{}: no fault", story.line);
            let truth = story.truth(id);
            if truth.is_empty() && !org.resources.is_empty() {
                verdicts.insert("clean".to_owned());
            }
            for (.., verdict) in truth {
                assert!(matches!(verdict.as_str(), "found" | "unknown"), "{id}.md:{}: {verdict}", story.line);
                verdicts.insert(verdict);
            }
            for resource in &org.resources {
                for known in resource.expect.keys() {
                    assert!(ids.contains(&known.as_str()), "{id}.md:{}: no detector {known}", story.line);
                }
            }
        }
        assert!(verdicts.contains("found"), "{id}.md: nothing is found");
        assert!(verdicts.contains("clean"), "{id}.md: no story in which nothing is found");
        let looks = !(spec.relations.is_empty() && spec.sources.is_empty() && spec.questions.is_empty());
        if looks && !NEVER_UNKNOWN.contains(&id) {
            assert!(verdicts.contains("unknown"), "{id}.md: nothing is unknown");
        }
    }
}
