//! The engine over clouds made up here: rounds of questions, waivers, state that fails.

use super::{Inputs, Outcome, judge, report, run_on};
use crate::{
    exit::Exit,
    measures::Measures,
    render::{self, summary},
};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    baseline,
    calls::{Calls, Limits, Site},
    clock::VirtualClock,
    detect::Severity,
    environment::{self, By, Environment, Proof},
    facts::{Disk, DiskState},
    house::House,
    iac, in_use,
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{Account, Cloud, CloudError, Fault, Kind, KindSpec, Places, Prices, Universe},
    ledger::{Advanced, InMemory, Ledger, LedgerSlice, Sighting},
    model::{Class, CloudId, Timestamp},
    money::{Amount, Cost},
    policy::{Known, PolicySet, Problem, Source, load},
    report::{Document, Verdict},
    slo::{self, Terms},
    store::{MemoryStore, Store},
    survey::{self, Quiet},
    survey_file,
    waiver::Waiver,
};

static VOLUME: KindSpec = KindSpec {
    id: "aws.ec2-volume",
    cloud: CloudId::Aws,
    class: Class::Disk,
    title: "EBS volume",
    places: Places::Regions,
    reads: &["ec2:DescribeVolumes"],
    asks: &["ec2:DescribeTags"],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const NOW: Timestamp = Timestamp(1_763_600_000);

#[derive(Default)]
struct Volumes {
    /// Accounts that may not be listed.
    denied: BTreeSet<&'static str>,
    /// Whether tags, which the listing does not carry, may be read.
    tags_denied: bool,
    /// Whose mark the tags of the first carry.
    stack: Option<&'static str>,
    asked: AtomicU32,
}

#[async_trait]
impl Kind for Volumes {
    fn spec(&self) -> &'static KindSpec {
        &VOLUME
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let denied = self.denied.contains(site.scope().account.as_str());
        site.read("ec2:DescribeVolumes", || async move {
            if denied { Err(CloudError::new(Fault::Denied, "ec2:DescribeVolumes", "")) } else { Ok(()) }
        })
        .await?;
        for (n, state) in [DiskState::Available, DiskState::Available, DiskState::Attached].into_iter().enumerate() {
            let disk = Disk {
                state,
                size_gib: 100,
                tier: out.sym("gp3"),
                iops: None,
                throughput: None,
                source_snapshot: out.sym(""),
                attachments: 0,
                last_attached: None,
            };
            out.push(Draft {
                tags: Tags::Unread,
                created: Some(Timestamp(0)),
                ..Draft::new(&format!("vol-{n}"), disk)
            });
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        self.asked.fetch_add(asks.len() as u32, Ordering::Relaxed);
        let denied = self.tags_denied;
        site.read("ec2:DescribeTags", || async move {
            if denied { Err(CloudError::new(Fault::Denied, "ec2:DescribeTags", "")) } else { Ok(()) }
        })
        .await?;
        assert!(asks.iter().all(|ask| ask.question == Question::Tags));
        let answered = asks.iter().map(|ask| {
            let mut tags = vec![("owner".to_owned(), "alice".to_owned())];
            let is_first = inventory.at(ask.resource).native_id() == "vol-0";
            tags.extend(self.stack.filter(|_| is_first).map(|stack| ("stack".to_owned(), stack.to_owned())));
            (*ask, Answer::Tags(tags))
        });
        Ok(answered.collect())
    }

    fn price(&self, _: Resource<'_>, prices: &dyn Prices) -> Cost {
        prices.unit(CloudId::Aws, "us-east-1", "x").map_or_else(Cost::unknown, Cost::list)
    }
}

struct Made(Vec<Arc<dyn Kind>>);

#[async_trait]
impl Cloud for Made {
    fn id(&self) -> CloudId {
        CloudId::Aws
    }

    fn kinds(&self) -> &[Arc<dyn Kind>] {
        &self.0
    }

    fn manager(&self, tags: &[(&str, &str)]) -> String {
        tags.iter().find(|(key, _)| *key == "stack").map_or_else(String::new, |(_, stack)| format!("stack {stack}"))
    }

    async fn universe(&self) -> Result<Universe, CloudError> {
        let account = |id: &str| Account {
            id: id.to_owned(),
            name: String::new(),
            path: String::new(),
            regions: vec!["us-east-1".to_owned()],
            blind: None,
            none: None,
        };
        Ok(Universe { accounts: vec![account("1"), account("2")], only_what_this_identity_sees: false })
    }
}

struct Eight;

impl Prices for Eight {
    fn unit(&self, _: CloudId, _: &str, _: &str) -> Option<Amount> {
        Some(Amount::whole(8))
    }
}

struct Broken(&'static str);

impl Ledger for Broken {
    fn load(&self) -> Result<LedgerSlice, String> {
        Err(self.0.to_owned())
    }

    fn merge(&self, _: &Advanced) -> Result<(), String> {
        panic!("what could not be read must not be written")
    }

    fn mark(&self, _: &[(sweeper_core::ledger::LedgerKey, sweeper_core::ledger::Told)]) -> Result<usize, String> {
        Err("state is damaged: it is a test".to_owned())
    }
}

fn policies(text: &str) -> PolicySet {
    let source = Source { path: "rules.toml".to_owned(), text: text.to_owned() };
    let loaded = load(&[source], &Known { kinds: &[&VOLUME] });
    loaded.set.unwrap_or_else(|| panic!("{}", loaded.problems.iter().map(Problem::render).collect::<String>()))
}

const UNATTACHED: &str =
    "[[policy]]\nname = \"unattached-disks\"\nsweep = \"unattached-disk\"\nseverity = \"ticket\"\n";

fn waiver(account: &str, ends: Timestamp) -> Waiver {
    Waiver {
        accounts: vec![account.to_owned()],
        regions: Vec::new(),
        kinds: Vec::new(),
        reason: "the vendor's".to_owned(),
        until: "2030-01-01".to_owned(),
        ends,
    }
}

fn looked(volumes: Volumes, set: &PolicySet, waivers: Vec<Waiver>, ledger: &dyn Ledger) -> (Outcome, Arc<Volumes>) {
    looked_in(House::default(), volumes, set, waivers, ledger)
}

fn looked_in(
    house: House,
    volumes: Volumes,
    set: &PolicySet,
    waivers: Vec<Waiver>,
    ledger: &dyn Ledger,
) -> (Outcome, Arc<Volumes>) {
    looked_with(None, house, volumes, set, waivers, ledger)
}

fn looked_with(
    state: Option<&dyn Store>,
    house: House,
    volumes: Volumes,
    set: &PolicySet,
    waivers: Vec<Waiver>,
    ledger: &dyn Ledger,
) -> (Outcome, Arc<Volumes>) {
    let volumes = Arc::new(volumes);
    (looked_at(state, vec![Arc::clone(&volumes) as Arc<dyn Kind>], house, set, waivers, ledger), volumes)
}

fn looked_at(
    state: Option<&dyn Store>,
    kinds: Vec<Arc<dyn Kind>>,
    house: House,
    set: &PolicySet,
    waivers: Vec<Waiver>,
    ledger: &dyn Ledger,
) -> Outcome {
    let clouds: Vec<Arc<dyn Cloud>> = vec![Arc::new(Made(kinds))];
    let calls = Calls::new(Arc::new(VirtualClock::new(NOW)), Limits::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let universes = runtime.block_on(survey::universes(clouds, &calls));
    let inputs = Inputs {
        universes: &universes,
        calls: &calls,
        set,
        house,
        waivers,
        accounts: BTreeMap::new(),
        regions: BTreeMap::new(),
        all_kinds: false,
        whole: BTreeSet::from([CloudId::Aws]),
        prices: &Eight,
        billed: None,
        ledger: Some(ledger),
        state,
        progress: &Quiet,
        now: None,
    };
    runtime.block_on(run_on(None, inputs))
}

fn document(outcome: &Outcome, set: &PolicySet, fail_on: Option<Severity>) -> (Document, Exit) {
    let report = report(outcome, set, "run".to_owned(), fail_on);
    let mut bytes = Vec::new();
    report.write_json(&mut bytes).unwrap();
    (serde_json::from_slice(&bytes).unwrap(), Exit::of(&report.run.exit))
}

#[test]
fn only_what_is_found_is_asked_about_and_once() {
    let set = policies(UNATTACHED);
    let (outcome, volumes) = looked(Volumes::default(), &set, Vec::new(), &InMemory::default());
    let (document, exit) = document(&outcome, &set, None);
    assert_eq!(exit, Exit::Done);
    assert_eq!(document.findings.len(), 4);
    assert!(document.findings.iter().all(|finding| finding.owner.name.as_deref() == Some("alice")));
    assert_eq!(volumes.asked.load(Ordering::Relaxed), 4, "the attached ones are not asked about");
    assert_eq!(document.totals.firm, Amount::whole(32));
    assert_eq!(document.run.cost.calls, 4, "{:?}", document.run.cost);
}

#[test]
fn what_is_not_seen_is_3_unless_waived() {
    let set = policies(UNATTACHED);
    let denied = || Volumes { denied: BTreeSet::from(["2"]), ..Volumes::default() };
    let (outcome, _) = looked(denied(), &set, Vec::new(), &InMemory::default());
    let (blind, exit) = document(&outcome, &set, None);
    assert_eq!(exit, Exit::Blind);
    assert_eq!(blind.run.exit[0].cause, "denied ec2:DescribeVolumes: 1 listing");
    let not_seen = blind.coverage.iter().find(|covered| covered.account == "2").unwrap();
    assert_eq!((not_seen.status.name(), not_seen.resources), ("blind", None), "not zero");

    let (outcome, _) = looked(denied(), &set, vec![waiver("aws:2", NOW.plus(1_000_000))], &InMemory::default());
    let (waived, exit) = document(&outcome, &set, None);
    assert_eq!(exit, Exit::Done);
    let not_seen = waived.coverage.iter().find(|covered| covered.account == "2").unwrap();
    assert_eq!(not_seen.status.name(), "waived");
    assert!(not_seen.why.as_deref().unwrap().contains("the vendor's"), "{not_seen:?}");

    let (outcome, _) = looked(denied(), &set, vec![waiver("aws:2", NOW)], &InMemory::default());
    assert_eq!(document(&outcome, &set, None).1, Exit::Blind, "a waiver that ended waives nothing");
    assert!(outcome.warnings.iter().any(|warning| warning.contains("the waiver of aws:2 ended")));
}

#[test]
fn a_report_says_what_is_backlog() {
    let set = policies(UNATTACHED);
    let (store, ledger) = (MemoryStore::new(), InMemory::default());
    let look = |volumes| looked_with(Some(&store), House::default(), volumes, &set, Vec::new(), &ledger).0;
    let one = Volumes { denied: BTreeSet::from(["2"]), ..Volumes::default() };
    let first = document(&look(one), &set, None).0;
    assert!(first.baseline.is_none() && first.findings.iter().all(|finding| finding.backlog.is_none()));
    let known = ledger.load().unwrap();
    // All of it was found a second after the line was drawn.
    let drawn = Timestamp(NOW.0 - 1);
    assert_eq!(baseline::set(&store, &known, &[], drawn, "alice"), Ok(vec![2]));
    let outcome = look(Volumes::default());
    assert!(!document(&outcome, &set, None).0.findings.iter().any(|finding| finding.backlog == Some(true)));
    assert_eq!(baseline::set(&store, &known, &[], NOW, "alice"), Ok(vec![2]));
    let outcome = look(Volumes::default());
    let second = document(&outcome, &set, None).0;
    let backlog = second.baseline.unwrap();
    assert_eq!((backlog.set, backlog.findings, backlog.sum.firm), (NOW.to_string(), 4, Amount::whole(32)));
    assert!(second.findings.iter().all(|finding| finding.backlog == Some(true)));
    let report = report(&outcome, &set, "run".to_owned(), None);
    let line = "of this from before the baseline of 2025-11-20: 4 findings, $32.00 a month";
    assert!(summary::held(&report).contains(&line.to_owned()), "{:?}", summary::held(&report));
    // A line that cannot be read is said, and makes nothing backlog.
    let (_, version) = store.get("baseline").unwrap().unwrap();
    store.put_if("baseline", b"rubbish", Some(version)).unwrap();
    let outcome = look(Volumes::default());
    assert!(outcome.sealed.house.baseline.trouble.is_some());
    assert!(document(&outcome, &set, None).0.baseline.is_none());
}

#[test]
fn a_question_without_an_answer_is_3_and_its_owner_unknown() {
    let set = policies(UNATTACHED);
    let volumes = Volumes { tags_denied: true, ..Volumes::default() };
    let (outcome, _) = looked(volumes, &set, Vec::new(), &InMemory::default());
    let (document, exit) = document(&outcome, &set, None);
    assert_eq!(exit, Exit::Blind);
    assert_eq!(document.run.exit[0].cause, "denied ec2:DescribeTags: 4 unanswered questions");
    let first = &document.findings[0];
    assert_eq!((first.verdict, first.resource.tags.is_none()), (Verdict::Found, true));
    assert_eq!((first.owner.name.as_deref(), first.owner.from.as_str()), (None, "unknown"));
}

#[test]
fn a_condition_on_what_cannot_be_read_is_unknown() {
    let set =
        policies("[[policy]]\nname = \"prod\"\nclass = \"disk\"\nwhen = 'tag(\"env\") == \"prod\" && size_gib > 1'\n");
    let volumes = Volumes { tags_denied: true, ..Volumes::default() };
    let (outcome, _) = looked(volumes, &set, Vec::new(), &InMemory::default());
    let (document, exit) = document(&outcome, &set, None);
    assert_eq!(exit, Exit::Blind);
    assert_eq!(document.findings.len(), 6);
    assert!(document.findings.iter().all(|finding| finding.verdict == Verdict::Unknown));
    assert_eq!(document.totals.firm, Amount::ZERO, "nothing unknown is promised");
    assert_eq!(document.totals.by_reason["unknown"].resources, 6);
    assert!(document.findings.iter().all(|finding| finding.since.is_none()));
}

#[test]
fn state_that_fails_costs_only_since_when() {
    let set = policies(UNATTACHED);
    let (outcome, _) = looked(Volumes::default(), &set, Vec::new(), &Broken("state cannot be opened"));
    let (written, exit) = document(&outcome, &set, None);
    assert_eq!(exit, Exit::Done);
    assert_eq!(written.findings[0].since_basis.as_deref(), Some("this-run"));
    assert!(outcome.warnings.iter().any(|warning| warning.contains("state cannot be opened")));
    let (outcome, _) = looked(Volumes::default(), &set, Vec::new(), &Broken("state is damaged: x"));
    assert_eq!(document(&outcome, &set, None).1, Exit::Damaged);
}

#[test]
fn a_second_run_knows_since_when() {
    let set = policies(UNATTACHED);
    let ledger = InMemory::default();
    let (first, _) = looked(Volumes::default(), &set, Vec::new(), &ledger);
    let known = ledger.load().unwrap();
    assert_eq!(known.len(), 4);
    let then = NOW.plus(-86_400);
    let earlier = known
        .into_iter()
        .map(|(key, sighting)| (key, Sighting { first_found: then, last_seen: then, ..sighting }))
        .collect();
    let older = InMemory::default();
    older.merge(&Advanced { at: Some(then), slice: earlier, cleared: Vec::new() }).unwrap();
    let (second, _) = looked(Volumes::default(), &set, Vec::new(), &older);
    let basis = |outcome: &Outcome| document(outcome, &set, None).0.findings[0].since_basis.clone().unwrap();
    assert_eq!((basis(&first).as_str(), basis(&second).as_str()), ("this-run", "first-seen"));
}

#[test]
fn a_run_is_measured() {
    let set = policies(UNATTACHED);
    let volumes = Volumes { denied: BTreeSet::from(["2"]), ..Volumes::default() };
    let (outcome, _) = looked(volumes, &set, Vec::new(), &InMemory::default());
    let report = report(&outcome, &set, "run".to_owned(), None);
    let text = Measures::of(&outcome, &report).prometheus();
    for line in [
        "sweeper_blind_causes{cause=\"denied ec2:DescribeVolumes\"} 1",
        "sweeper_blind_scopes{cloud=\"aws\"} 1",
        "sweeper_waived_scopes{cloud=\"aws\"} 0",
        "sweeper_findings{detector=\"unattached-disk\",severity=\"ticket\",verdict=\"found\"} 2",
        "sweeper_listings{cloud=\"aws\",status=\"complete\"} 1",
        "sweeper_orphans{owner=\"alice\",class=\"disk\"} 2",
        "sweeper_resources{class=\"disk\"} 3",
        "sweeper_waste_firm_monthly_dollars{owner=\"alice\",class=\"disk\"} 16",
        "sweeper_run_api_calls{cloud=\"aws\",service=\"ec2\"} 3",
        "sweeper_run_exit_code 3",
        "sweeper_run_exit_causes{code=\"3\"} 1",
        "sweeper_run_exit_causes{code=\"8\"} 0",
        "sweeper_run_finished_timestamp_seconds 1763600000",
    ] {
        assert!(text.lines().any(|own| own == line), "{line}: {text}");
    }
    assert!(!text.contains("sweeper_slo"), "there is no objective");
}

/// Disks of which each has an owner of its own.
struct Many(usize);

#[async_trait]
impl Kind for Many {
    fn spec(&self) -> &'static KindSpec {
        &VOLUME
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        for n in 0..self.0 {
            let disk = Disk {
                state: DiskState::Available,
                size_gib: 100,
                tier: out.sym("gp3"),
                iops: None,
                throughput: None,
                source_snapshot: out.sym(""),
                attachments: 0,
                last_attached: None,
            };
            let owner = format!("{}-{n}", site.scope().account);
            let tags = Tags::Read(vec![("owner", owner.as_str())]);
            out.push(Draft { tags, created: Some(NOW), ..Draft::new(&format!("vol-{n}"), disk) });
        }
        Ok(())
    }

    async fn answer(&self, _: &Site, _: &Inventory, _: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(Vec::new())
    }

    fn price(&self, _: Resource<'_>, _: &dyn Prices) -> Cost {
        Cost::list(Amount::whole(8))
    }
}

#[test]
fn a_hundred_thousand_owners_make_a_page_of_a_few() {
    let set = policies(UNATTACHED);
    let slo = Terms {
        window_days: 28,
        all: slo::Limits { new: Some(1), monthly_usd: Some(Amount::whole(4)) },
        owners: BTreeMap::new(),
    };
    let house = House { slo: Some(slo), ..House::default() };
    let kinds: Vec<Arc<dyn Kind>> = vec![Arc::new(Many(50_000))];
    let outcome = looked_at(None, kinds, house, &set, Vec::new(), &InMemory::default());
    let report = report(&outcome, &set, "run".to_owned(), None);
    let stands = report.slo.as_ref().unwrap();
    assert_eq!((stands.budgets.len() as u64 + stands.more, stands.unaged), (200_000, 0));
    let text = Measures::of(&outcome, &report).prometheus();
    let own = |name: &str| text.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>();
    assert_eq!(own("sweeper_orphans{").len(), 51);
    assert!(own("sweeper_orphans{").contains(&"sweeper_orphans{owner=\"other\",class=\"disk\"} 99950"));
    assert_eq!(own("sweeper_owners_folded"), ["sweeper_owners_folded 99950"]);
    assert!(own("sweeper_slo_burn_rate{").len() <= 51 * 2 * 4, "{}", own("sweeper_slo_burn_rate{").len());
    assert!(text.len() < 100_000, "{}", text.len());
    assert!(summary::slo(&report).len() < 16);
}

#[test]
fn only_what_is_known_to_be_new_spends_a_budget() {
    let set = policies(UNATTACHED);
    let slo = Terms {
        window_days: 28,
        all: slo::Limits { new: Some(1), monthly_usd: Some(Amount::whole(100)) },
        owners: BTreeMap::new(),
    };
    let house = || House { slo: Some(slo.clone()), ..House::default() };
    // The first look finds what may have been there for ever.
    let ledger = InMemory::default();
    let (first, _) = looked_in(house(), Volumes::default(), &set, Vec::new(), &ledger);
    let (written, _) = document(&first, &set, None);
    let stands = written.slo.unwrap();
    assert_eq!((stands.unaged, stands.budgets.len(), stands.complete), (4, 0, true));
    // A later one knows what came since: one of the two in each account was there a month ago.
    let month = NOW.plus(-40 * 86_400);
    let earlier = ledger.load().unwrap().into_iter().map(|(key, sighting)| {
        let first_found = if key.uid() == "vol-0" { month } else { NOW.plus(-86_400 / 2) };
        (key, Sighting { first_found, last_seen: NOW.plus(-86_400 / 2), ..sighting })
    });
    let older = InMemory::default();
    older.merge(&Advanced { at: Some(month), slice: earlier.collect(), cleared: Vec::new() }).unwrap();
    let (second, _) = looked_in(house(), Volumes::default(), &set, Vec::new(), &older);
    let stands = document(&second, &set, None).0.slo.unwrap();
    let spent: Vec<(&str, &str, String)> = stands
        .budgets
        .iter()
        .map(|own| (own.owner.as_str(), own.objective.name(), own.remaining.to_string()))
        .collect();
    assert_eq!(spent, [("alice", "new-orphans", "-1".to_owned()), ("alice", "new-waste", "84".to_owned())]);
    assert_eq!(stands.unaged, 2, "those of the first look");
    let report = report(&second, &set, "run".to_owned(), None);
    let text = Measures::of(&second, &report).prometheus();
    for line in [
        "sweeper_slo_limit{objective=\"new-orphans\"} 1",
        "sweeper_slo_budget_remaining_ratio{owner=\"alice\",objective=\"new-orphans\"} -1",
        "sweeper_slo_burn_rate{owner=\"alice\",objective=\"new-orphans\",window=\"1d\"} 56",
        "sweeper_slo_spent{owner=\"alice\",objective=\"new-waste\"} 16",
        "sweeper_slo_unaged 2",
    ] {
        assert!(text.lines().any(|own| own == line), "{line}: {text}");
    }
    let shown = summary::slo(&report);
    assert_eq!(shown[0], "objective: 1 new orphan and $100.00 a month of them an owner in 28 days: 1 objective missed");
    assert_eq!(
        shown[1],
        "alice: 2 new orphans, of 1: 200 % of the budget; burns at 56.00 (1d), 18.67 (3d), 8.00 (7d), 2.00 (28d)"
    );
    let mut page = Vec::new();
    let look = render::Look { all: false, width: 100, warnings: &[] };
    render::write(&report, render::Format::Markdown, look, &mut page).unwrap();
    assert!(String::from_utf8(page).unwrap().contains("## Objectives"));
}

#[test]
fn fail_on_spares_what_was_excepted() {
    let except = "[[except]]\nresource = \"aws.ec2-volume:*/*\"\nreason = \"x\"\nuntil = 2030-01-01\n";
    let set = policies(UNATTACHED);
    let (outcome, _) = looked(Volumes::default(), &set, Vec::new(), &InMemory::default());
    assert_eq!(document(&outcome, &set, Some(Severity::Ticket)).1, Exit::FailOn);
    assert_eq!(document(&outcome, &set, Some(Severity::Page)).1, Exit::Done);
    let set = policies(&format!("{UNATTACHED}{except}"));
    let (outcome, _) = looked(Volumes::default(), &set, Vec::new(), &InMemory::default());
    assert_eq!(document(&outcome, &set, Some(Severity::Ticket)).1, Exit::Done);
}

#[test]
fn a_sealed_survey_is_judged_the_same() {
    let set = policies(UNATTACHED);
    let (outcome, _) = looked(Volumes::default(), &set, Vec::new(), &InMemory::default());
    let live = document(&outcome, &set, None).0;
    let mut bytes = Vec::new();
    survey_file::write(&outcome.sealed, crate::TOOL, &mut bytes).unwrap();
    let (sealed, _) = survey_file::read(bytes.as_slice(), &[&VOLUME]).unwrap();
    let again = judge(sealed, &set, None);
    assert_eq!(document(&again, &set, None).0, live);
}

/// The decisions by native id, each once.
fn decisions(document: &Document) -> BTreeSet<String> {
    let said = |finding: &sweeper_core::report::Finding| {
        format!("{} {} {}", finding.resource.native_id, finding.decision.act, finding.decision.reason)
    };
    document.findings.iter().map(said).collect()
}

#[test]
fn what_an_index_has_is_held_live_and_from_the_survey() {
    let set = policies(UNATTACHED);
    let entry = |id: &str| iac::Entry {
        id: id.to_owned(),
        address: "aws_ebs_volume.data[0]".to_owned(),
        stack: "prod/network".to_owned(),
        tool: "terraform".to_owned(),
    };
    let index = |age: i64| {
        iac::Outcome::Index(iac::IacIndex::new(
            NOW.plus(-age),
            String::new(),
            false,
            vec![entry("vol-0"), entry("vol-canary")],
        ))
    };
    let missing = || iac::Outcome::Unreadable("it is not there".to_owned());
    for (outcome, exit, reasons) in [
        (
            index(3600),
            Exit::Done,
            [
                "vol-0 hold managed: in Terraform state prod/network as aws_ebs_volume.data[0]; remove it there",
                "vol-1 report the policy only reports",
            ],
        ),
        (
            index(49 * 3600),
            Exit::Blind,
            [
                "vol-0 hold managed: in Terraform state prod/network as aws_ebs_volume.data[0]; remove it there",
                "vol-1 hold managed: the IaC index iac.json cannot be relied on (it was made 2025-11-17T23:53:20Z, and \
                 may be 2 days old): held",
            ],
        ),
        (
            missing(),
            Exit::Blind,
            [
                "vol-0 hold managed: the IaC index iac.json cannot be read (it is not there): held",
                "vol-1 hold managed: the IaC index iac.json cannot be read (it is not there): held",
            ],
        ),
    ] {
        let sources = vec![iac::Source { path: "iac.json".to_owned(), outcome }];
        let iac = iac::Iac { clouds: BTreeSet::new(), max_age: iac::DEFAULT_MAX_AGE, sources };
        let house = House { iac, ..House::default() };
        let (outcome, _) = looked_in(house, Volumes::default(), &set, Vec::new(), &InMemory::default());
        let (live, code) = document(&outcome, &set, None);
        assert_eq!(code, exit);
        assert_eq!(live.findings.len(), 4, "no finding is hidden");
        assert_eq!(decisions(&live), reasons.map(ToOwned::to_owned).into());
        assert_eq!(outcome.warnings.iter().any(|warning| warning.contains("the IaC index")), exit == Exit::Blind);
        let mut bytes = Vec::new();
        survey_file::write(&outcome.sealed, crate::TOOL, &mut bytes).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("canary"), "only what the survey has is sealed");
        let (sealed, _) = survey_file::read(bytes.as_slice(), &[&VOLUME]).unwrap();
        let again = judge(sealed, &set, None);
        assert_eq!(document(&again, &set, None), (live, exit));
    }
}

#[test]
fn what_is_used_elsewhere_is_in_use_live_and_from_the_survey() {
    let set = policies(UNATTACHED);
    let file = |age: i64, complete: bool| {
        let items = vec!["vol-0".to_owned(), "vol-canary".to_owned()];
        let file = in_use::InUseFile::new(NOW.plus(-age), "prod".to_owned(), BTreeSet::new(), complete, items);
        in_use::Outcome::File(file)
    };
    let cannot = "hold unknown: the in-use file in-use.json cannot be";
    for (outcome, exit, decision) in [
        (file(3600, true), Exit::Done, "vol-1 report the policy only reports".to_owned()),
        (file(3600, false), Exit::Blind, format!("vol-1 {cannot} relied on (it was written incomplete)")),
        (
            file(49 * 3600, true),
            Exit::Blind,
            format!("vol-1 {cannot} relied on (it was written 2025-11-17T23:53:20Z, and may be 2 days old)"),
        ),
    ] {
        let referrer = in_use::Referrer {
            name: "in-use.json".to_owned(),
            clouds: BTreeSet::new(),
            accounts: Vec::new(),
            clusters: Vec::new(),
            max_age: in_use::DEFAULT_MAX_AGE,
            outcome,
        };
        let house = House { referrers: in_use::Referrers(vec![referrer]), ..House::default() };
        let (outcome, _) = looked_in(house, Volumes::default(), &set, Vec::new(), &InMemory::default());
        let (live, code) = document(&outcome, &set, None);
        assert_eq!(code, exit);
        // What it names is found nowhere.
        assert_eq!(decisions(&live), [decision].into());
        assert_eq!(outcome.warnings.iter().any(|warning| warning.contains("the in-use file")), exit == Exit::Blind);
        let mut bytes = Vec::new();
        survey_file::write(&outcome.sealed, crate::TOOL, &mut bytes).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("canary"), "only what the survey has is sealed");
        let (sealed, _) = survey_file::read(bytes.as_slice(), &[&VOLUME]).unwrap();
        assert_eq!(document(&judge(sealed, &set, None), &set, None), (live, exit));
    }
    // One that is missing speaks for its accounts alone.
    let missing = |accounts: &[&str]| in_use::Referrer {
        name: "in-use.json".to_owned(),
        clouds: BTreeSet::new(),
        accounts: accounts.iter().map(|account| (*account).to_owned()).collect(),
        clusters: Vec::new(),
        max_age: in_use::DEFAULT_MAX_AGE,
        outcome: in_use::Outcome::Unreadable("it is not there".to_owned()),
    };
    for (accounts, unknown) in [(&[][..], true), (&["gcp:*"], false)] {
        let house = House { referrers: in_use::Referrers(vec![missing(accounts)]), ..House::default() };
        let (outcome, _) = looked_in(house, Volumes::default(), &set, Vec::new(), &InMemory::default());
        let (live, code) = document(&outcome, &set, None);
        assert_eq!(code, Exit::Blind);
        assert!(decisions(&live).iter().all(|said| said.contains("hold unknown") == unknown), "{:?}", decisions(&live));
    }
}

#[test]
fn a_mark_in_tags_that_were_asked_for_holds_too() {
    let set = policies(UNATTACHED);
    let volumes = Volumes { stack: Some("web"), ..Volumes::default() };
    let (outcome, _) = looked(volumes, &set, Vec::new(), &InMemory::default());
    let live = document(&outcome, &set, None).0;
    let reasons = ["vol-0 hold managed: remove it from stack web, owner alice", "vol-1 report the policy only reports"];
    assert_eq!(decisions(&live), reasons.map(ToOwned::to_owned).into());
    let mut bytes = Vec::new();
    survey_file::write(&outcome.sealed, crate::TOOL, &mut bytes).unwrap();
    let (sealed, _) = survey_file::read(bytes.as_slice(), &[&VOLUME]).unwrap();
    assert_eq!(document(&judge(sealed, &set, None), &set, None).0, live);
}

/// A lease of everything that alice owns, granted an hour ago, for two.
fn leased(store: &dyn Store) {
    let lease = Environment {
        id: "alices".to_owned(),
        owner: "alice".to_owned(),
        tags: BTreeMap::from([("owner".to_owned(), "alice".to_owned())]),
        accounts: Vec::new(),
        regions: Vec::new(),
        granted: Timestamp(-1),
        until: NOW.plus(3600),
        max_length: NOW.0 + 7200,
        heartbeat: None,
        missed: 0,
        skew: 0,
        beat: None,
        released: None,
    };
    environment::grant(store, &lease, Proof::of("x"), NOW.plus(-3600)).unwrap();
}

#[test]
fn a_lease_in_the_state_holds_what_it_covers_and_its_end_expires_it() {
    let expired = "[[policy]]\nname = \"expired\"\nsweep = \"expired\"\n";
    let set = policies(&[UNATTACHED, expired].concat());
    let store = MemoryStore::new();
    leased(&store);
    let look = || {
        let ledger = InMemory::default();
        let none = (House::default(), Volumes::default());
        let (outcome, _) = looked_with(Some(&store), none.0, none.1, &set, Vec::new(), &ledger);
        outcome
    };
    let rows = |outcome: &Outcome| -> Vec<String> {
        let (document, _) = document(outcome, &set, None);
        let row = |finding: &sweeper_core::report::Finding| {
            let hold = finding.decision.reason.split(':').next().unwrap_or_default().to_owned();
            format!("{} {} {hold}", finding.policy, finding.verdict.name())
        };
        let rows: BTreeSet<String> = document.findings.iter().map(row).collect();
        rows.into_iter().collect()
    };
    let live = look();
    assert_eq!(rows(&live), ["unattached-disks found leased"]);
    // Sealed with the survey, and judged the same without the state.
    let mut bytes = Vec::new();
    survey_file::write(&live.sealed, "a test", &mut bytes).unwrap();
    let (sealed, _) = survey_file::read(bytes.as_slice(), &[&VOLUME]).unwrap();
    assert_eq!(rows(&judge(sealed, &set, None)), ["unattached-disks found leased"]);
    environment::release(&store, "alices", By::House, NOW).unwrap();
    let over = look();
    assert_eq!(
        rows(&over),
        ["expired found the policy only reports", "unattached-disks found the policy only reports"]
    );
    // What cannot be read holds everything, and is damage.
    let key = store.list("environments/").unwrap().remove(0);
    let version = store.get(&key).unwrap().unwrap().1;
    store.put_if(&key, b"{}", Some(version)).unwrap();
    let unread = look();
    assert_eq!(rows(&unread), ["unattached-disks found leases not readable"]);
    assert!(unread.warnings.iter().any(|warning| warning.starts_with("leases are not known")), "{:?}", unread.warnings);
    assert_eq!(document(&unread, &set, None).1, Exit::Damaged);
}

#[test]
fn a_quota_asks_whose_things_are_and_is_judged_without_a_bill() {
    let quota = |body: &str| policies(&format!("[[policy]]\nname = \"most\"\nsweep = \"over-quota\"\n{body}\n"));
    let looked = |set: &PolicySet, volumes: Volumes| {
        let (outcome, volumes) = looked(volumes, set, Vec::new(), &InMemory::default());
        let told: Vec<String> = outcome
            .told
            .iter()
            .map(|told| format!("{} {} {:?}", told.outcome.name(), told.subject, told.amount.map(Amount::cents)))
            .collect();
        (told, volumes.asked.load(Ordering::Relaxed), document(&outcome, set, Some(Severity::Ticket)).1)
    };
    let over = quota("count = 5");
    let (told, asked, exit) = looked(&over, Volumes::default());
    assert_eq!((told, asked, exit), (vec!["alert alice Some(\"48.00\")".to_owned()], 6, Exit::FailOn));
    let within = quota("monthly_usd = 48");
    assert_eq!(looked(&within, Volumes::default()), (vec!["quiet  None".to_owned()], 6, Exit::Done));
    let denied = || Volumes { tags_denied: true, ..Volumes::default() };
    assert_eq!(looked(&over, denied()).0, ["unknown  None"]);
    assert_eq!(looked(&over, denied()).2, Exit::Blind);
    let blind = || Volumes { denied: BTreeSet::from(["2"]), ..Volumes::default() };
    assert_eq!(
        looked(&quota("by = \"account\"\ncount = 2"), blind()).0,
        ["alert aws:1 Some(\"24.00\")", "unknown  None"]
    );
}
