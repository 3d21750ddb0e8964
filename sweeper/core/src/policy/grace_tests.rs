//! A disk, its owner and the days: when `decide` says that it may go.

use super::*;
use crate::deed::{ActSpec, DeedKind, Reversal, Write};
use crate::{
    answers::Answers,
    calendar::{Calendar, Freeze, Hours},
    detect::View,
    facts::{Disk, DiskState},
    house::House,
    inventory::{Draft, Inventory, InventoryBuilder, Status, Tags},
    kind::Places,
    ledger::{self, Advanced, Fingerprint, InMemory, Ledger as _, LedgerKey, Told},
    model::Scope,
    owner::{self, Owner},
};
use jiff::tz::TimeZone;
use proptest::prelude::*;

const DELETES: ActSpec = ActSpec {
    deed: DeedKind::Delete,
    writes: &[Write { permission: "test:Delete", method: "POST", action: "Delete" }],
    reads: &[],
    reversal: Reversal::FromCopy("made again from the snapshot"),
    keeps: &[Keep::Snapshot],
    takes: &[],
};
static DISK: KindSpec = KindSpec {
    id: "aws.ec2-volume",
    cloud: CloudId::Aws,
    class: Class::Disk,
    title: "EBS volume",
    places: Places::Regions,
    reads: &["test:List"],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[DELETES],
};
static KINDS: &[&KindSpec] = &[&DISK];

const POLICY: &str = r#"
[[policy]]
name = "disks"
sweep = "unattached-disk"
clouds = ["aws"]
when = 'size_gib > 0'
for = "3d"
then = "delete"
grace = "2d"
limit = { count = 50, share = "5%", monthly_usd = 2000 }
"#;

fn loaded(text: &str) -> Option<PolicySet> {
    load(&[Source { path: "p.toml".to_owned(), text: text.to_owned() }], &Known { kinds: KINDS }).set
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

struct Eight;

impl Costs for Eight {
    fn monthly(&self, resource: Resource<'_>) -> Cost {
        match resource.facts() {
            crate::facts::FactsRef::Disk(disk) => Cost::list(Amount::whole(i64::from(disk.size_gib))),
            _ => Cost::unknown(),
        }
    }
}

/// A house with one disk, and what happens to it.
struct Story {
    set: PolicySet,
    house: House,
    ledger: InMemory,
    now: Timestamp,
    /// Null when it is not there.
    created: Option<Timestamp>,
    attached: bool,
    blind: bool,
    size: u32,
    owner: &'static str,
    /// Whether notices arrive.
    channel: bool,
}

impl Story {
    fn new() -> Self {
        let hours = Hours { zone: TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap(), ..Hours::default() };
        let house = House { calendar: Calendar { hours, ..Calendar::default() }, ..House::default() };
        // A Monday, nine in the morning there.
        let now = at("2026-11-02T08:00:00Z");
        Self {
            set: loaded(POLICY).unwrap(),
            house,
            ledger: InMemory::default(),
            now,
            created: Some(now.plus(-90 * DAY)),
            attached: false,
            blind: false,
            size: 10,
            owner: "alice",
            channel: true,
        }
    }

    fn inventory(&self) -> Inventory {
        let scope = Scope::new(CloudId::Aws, "111122223333", "eu-west-1");
        let mut builder = InventoryBuilder::new(KINDS);
        if self.blind {
            builder.mark(&DISK, &scope, Status::Blind { why: "denied".to_owned() }, 1);
            return builder.build();
        }
        let mut listing = builder.listing(&DISK, &scope);
        if let Some(created) = self.created {
            let disk = Disk {
                state: if self.attached { DiskState::Attached } else { DiskState::Available },
                size_gib: self.size,
                tier: crate::intern::Sym::NONE,
                iops: None,
                throughput: None,
                source_snapshot: crate::intern::Sym::NONE,
                attachments: u16::from(self.attached),
                last_attached: None,
            };
            listing.push(Draft {
                created: Some(created),
                tags: Tags::Read(vec![("owner", self.owner)]),
                ..Draft::new("data", disk)
            });
        }
        builder.complete(listing, 1);
        builder.build()
    }

    /// One run, and the notice that it sends: what is decided.
    fn run(&mut self) -> String {
        let inventory = self.inventory();
        let answers = Answers::default();
        let view = View::new(&inventory, &answers, &self.house, self.now);
        let evaluation = evaluate(&self.set, &view, &Eight);
        let mut known = self.ledger.load().unwrap();
        known.check(self.now);
        let Advanced { at, slice, cleared } =
            ledger::advance(known, &self.set, &view, &Eight, &evaluation, ledger::MAX_GAP);
        if slice.doubt().is_none() {
            self.ledger.merge(&Advanced { at, slice: slice.clone(), cleared }).unwrap();
        }
        let Some(row) = evaluation.rows.first() else { return "nothing".to_owned() };
        let resource = inventory.at(row.resource);
        let detail = detail(&self.set, &view, &Eight, row);
        let owner =
            owner::of(&view, resource).unwrap_or(Owner { name: None, from: "none".to_owned(), invalid: vec![] });
        let cost = Eight.monthly(resource);
        let decision = decide(&self.set, &view, row, &detail, &slice, &owner, &cost);
        assert_eq!(decision.needs.is_some(), !matches!(decision.act, Act::Hold | Act::Report), "{decision:?}");
        let policy = &self.set.policies[0];
        if decision.reason.starts_with("not told") && self.channel {
            let fingerprint = Fingerprint::of(policy, resource, owner.name.as_deref(), &cost);
            let told = Told {
                policy: policy.name.as_str().into(),
                at: self.now,
                channel: "mail".into(),
                to: owner.name.unwrap_or_default().into(),
                fingerprint,
            };
            assert_eq!(self.ledger.mark(&[(LedgerKey::new(&policy.rule, &resource), told)]), Ok(1));
        }
        format!("{} {}", decision.act.name(), decision.reason)
    }

    /// Runs once a day, and gives what was decided on each.
    fn days(&mut self, days: usize) -> Vec<String> {
        let days = (0..days).map(|_| {
            let said = self.run();
            self.now = self.now.plus(DAY);
            said
        });
        days.collect()
    }

    /// The first day of the next so many on which it may go.
    fn first(&mut self, days: usize) -> Option<String> {
        for _ in 0..days {
            let (today, said) = (self.now, self.run());
            self.now = self.now.plus(DAY);
            if said.starts_with("delete") {
                return Some(today.date());
            }
        }
        None
    }
}

#[test]
fn from_the_first_sight_to_the_end_of_grace() {
    let mut story = Story::new();
    assert_eq!(
        story.days(9),
        [
            // Monday.
            "hold 0 of 3 days, eligible 2026-11-05",
            "hold 1 of 3 days, eligible 2026-11-05",
            "hold 2 of 3 days, eligible 2026-11-05",
            "hold not told: 2 days of grace start with a notice",
            // Told on a Thursday: Friday and Monday are its two working days.
            "hold in grace: told 2026-11-05, eligible 2026-11-09",
            "hold in grace: told 2026-11-05, eligible 2026-11-09",
            "hold in grace: told 2026-11-05, eligible 2026-11-09",
            "delete held for 7 days, told 2026-11-05",
            "delete held for 8 days, told 2026-11-05",
        ]
    );
}

#[test]
fn no_grace_runs_while_the_channel_is_broken() {
    let mut story = Story::new();
    story.days(3);
    story.channel = false;
    assert!(story.days(3).iter().all(|said| said.starts_with("hold not told")));
    // Sunday: delivered at last, and on a day off. It counts from Monday.
    story.channel = true;
    assert!(story.days(1)[0].starts_with("hold not told"));
    assert_eq!(story.first(9).unwrap(), "2026-11-11");
}

#[test]
fn holidays_and_freezes_make_grace_longer() {
    let mut story = Story::new();
    story.house.calendar.hours.holidays.insert(jiff::civil::date(2026, 11, 6));
    assert_eq!(story.first(20).unwrap(), "2026-11-10");
    let mut story = Story::new();
    let freeze = |from: &str, until: &str| Freeze {
        from: at(from),
        until: at(until),
        scopes: vec!["aws:1111*".to_owned()],
        reason: "sale".to_owned(),
    };
    story.house.calendar.freezes.push(freeze("2026-11-09T00:00:00Z", "2026-11-12T00:00:00Z"));
    assert_eq!(story.first(20).unwrap(), "2026-11-13");
    // A freeze that is put up during grace counts, and one that cannot be read never ends.
    let mut story = Story::new();
    story.days(6);
    story.house.calendar.freezes.push(freeze("2026-11-08T00:00:00Z", "2026-11-18T00:00:00Z"));
    story.house.calendar.unreadable = Some("freezes.ics: gone".to_owned());
    assert!(story.days(9).last().unwrap().ends_with("and the calendar does not say until when"));
    story.house.calendar.unreadable = None;
    assert_eq!(story.first(20).unwrap(), "2026-11-19");
}

#[test]
fn the_time_of_day_of_a_notice_survives_the_clocks() {
    let mut story = Story::new();
    // Friday before the clocks go back; two runs later the hour is another in UTC.
    story.now = at("2026-10-20T08:00:00Z");
    story.days(3);
    assert_eq!(story.now.date(), "2026-10-23");
    story.days(1);
    story.now = at("2026-10-27T08:59:59Z");
    assert!(story.run().starts_with("hold in grace"), "it is an hour later there");
    story.now = at("2026-10-27T09:00:00Z");
    assert!(story.run().starts_with("delete"));
}

#[test]
fn a_mark_lapses_when_what_was_told_changes() {
    type Change = fn(&mut Story);
    let changes: [(&str, Change); 4] = [
        ("the owner", |story| story.owner = "bob"),
        ("the resource", |story| story.size = 11),
        ("the policy", |story| story.set = loaded(&POLICY.replace("count = 50", "count = 49")).unwrap()),
        ("all of it", |story| {
            story.owner = "bob";
            story.size = 99;
        }),
    ];
    for (what, change) in changes {
        let mut story = Story::new();
        story.days(5);
        change(&mut story);
        // The mark is gone with the run that sees it, a new notice goes out, and grace is whole again: Saturday.
        let said = story.days(5);
        assert!(said[0].starts_with("hold not told"), "{what}: {said:?}");
        assert_eq!(said[1], "hold in grace: told 2026-11-07, eligible 2026-11-10", "{what}");
        assert!(said[4].starts_with("delete"), "{what}: {said:?}");
    }
    // Changed and back again: who is told of something else in between is not told of this.
    let mut story = Story::new();
    story.days(5);
    (story.owner, story.channel) = ("bob", false);
    story.days(1);
    story.owner = "alice";
    assert!(story.run().starts_with("hold not told"));
}

#[test]
fn decide_itself_holds_a_mark_against_what_is() {
    // A ledger that was never moved on by what changed: an apply long after the notice.
    let mut story = Story::new();
    story.days(8);
    story.owner = "bob";
    let (kept, inventory, answers) = (story.ledger.load().unwrap(), story.inventory(), Answers::default());
    let view = View::new(&inventory, &answers, &story.house, story.now);
    let evaluation = evaluate(&story.set, &view, &Eight);
    let row = &evaluation.rows[0];
    let resource = inventory.at(row.resource);
    let detail = detail(&story.set, &view, &Eight, row);
    let owner = owner::of(&view, resource).unwrap();
    let decision = decide(&story.set, &view, row, &detail, &kept, &owner, &Eight.monthly(resource));
    assert_eq!(decision.reason, "not told: the owner changed since the notice of 2026-11-05, and grace starts anew");
}

#[test]
fn unknown_pauses_and_clean_begins_again() {
    let mut story = Story::new();
    story.days(5);
    // Three days of not seeing: the mark stays, and nothing is done meanwhile.
    story.blind = true;
    assert_eq!(story.days(3), ["nothing"; 3]);
    story.blind = false;
    assert!(story.days(1)[0].starts_with("delete"));
    // Attached for a day: all begins again.
    story.attached = true;
    assert_eq!(story.days(1), ["nothing"]);
    story.attached = false;
    assert!(story.days(1)[0].starts_with("hold 0 of 3 days"));
    assert!(story.days(4)[2].starts_with("hold not told"));
}

#[test]
fn a_name_that_is_made_again_is_another() {
    let mut story = Story::new();
    assert!(story.days(9)[8].starts_with("delete"));
    story.created = Some(story.now.plus(-3600));
    assert!(story.days(1)[0].starts_with("hold too young"));
    assert!(story.days(1)[0].starts_with("hold 1 of 3 days"));
    let said = story.days(6);
    assert!(said[..5].iter().all(|said| said.starts_with("hold")), "{said:?}");
}

#[test]
fn a_jumped_clock_holds_everything() {
    let mut story = Story::new();
    assert!(story.days(9)[8].starts_with("delete"));
    let right = story.now;
    for (jump, says) in
        [(91 * DAY, "it is 92 days ahead"), (-4 * DAY, "it is 3 days behind"), (365 * 300 * DAY, "ahead")]
    {
        story.now = right.plus(jump);
        let (first, second) = (story.run(), story.run());
        assert!(first.starts_with("hold clock not trusted: ") && first.contains(says), "{first}");
        // Nothing was remembered of it.
        assert_eq!(first, second);
    }
    story.now = right;
    assert!(story.run().starts_with("delete"));
}

/// What may happen on a day.
#[derive(Clone, Copy, Debug)]
enum Day {
    Quiet,
    Attached,
    Blind,
    Grown,
    Sold,
    Broken,
    Gone,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens: what may go was found unchanged and told unchanged, for as long as the policy says.
    #[test]
    fn nothing_goes_early(days in prop::collection::vec(prop_oneof![
        12 => Just(Day::Quiet), 1 => Just(Day::Attached), 1 => Just(Day::Blind), 1 => Just(Day::Grown),
        1 => Just(Day::Sold), 2 => Just(Day::Broken), 1 => Just(Day::Gone),
    ], 1..40)) {
        let mut story = Story::new();
        // When it was last found, how often, and for how long: what nobody saw counts up to the longest gap. And when
        // its owner was told of what is.
        let mut found: Option<(Timestamp, u32, i64)> = None;
        let mut told: Option<Timestamp> = None;
        for day in days {
            story.attached = matches!(day, Day::Attached);
            story.blind = matches!(day, Day::Blind);
            story.channel = !matches!(day, Day::Broken);
            match day {
                Day::Grown => story.size += 1,
                Day::Sold => story.owner = if story.owner == "alice" { "bob" } else { "alice" },
                Day::Gone => story.created = Some(story.now.plus(-2 * DAY)),
                _ => {}
            }
            let said = story.run();
            match day {
                Day::Attached | Day::Gone => (found, told) = (None, None),
                Day::Grown | Day::Sold => told = None,
                _ => {}
            }
            if said != "nothing" {
                let (last, times, held) = found.unwrap_or((story.now, 0, 0));
                let gap = story.now.since(last);
                found = Some((story.now, times + 1, held + if gap <= ledger::MAX_GAP { gap } else { 0 }));
            }
            if said.starts_with("delete") {
                prop_assert!(found.is_some_and(|(_, times, held)| times >= 2 && held >= 3 * DAY), "{found:?} {said}");
                let ends = told.and_then(|told| story.house.calendar.grace_ends(told, 2 * DAY, &Scope::new(CloudId::Aws, "1", "r")));
                prop_assert!(ends.is_some_and(|ends| ends <= story.now), "{told:?} {said}");
            }
            if said.contains("not told") && story.channel {
                told = Some(story.now);
            }
            story.now = story.now.plus(DAY);
        }
    }

    /// Taking a line out of a policy that acts never lets it act where it did not.
    #[test]
    fn losing_a_line_only_narrows(line in 0..12_usize, days in 1..14_usize) {
        let lines: Vec<&str> = POLICY.lines().collect();
        prop_assume!(line < lines.len());
        let less: Vec<&str> = lines.iter().enumerate().filter(|(at, _)| *at != line).map(|(_, line)| *line).collect();
        // An error is as narrow as can be.
        let Some(set) = loaded(&less.join("\n")) else { return Ok(()) };
        if set.policies.is_empty() {
            return Ok(());
        }
        let (mut whole, mut narrow) = (Story::new(), Story::new());
        narrow.set = set;
        let (whole, narrow) = (whole.days(days), narrow.days(days));
        for (whole, narrow) in whole.iter().zip(&narrow) {
            prop_assert!(whole.starts_with("delete") || !narrow.starts_with("delete"), "{whole} / {narrow}");
        }
    }

    /// More `for` and more `grace` are later.
    #[test]
    fn longer_is_later(for_ in 0..5_u32, grace in 0..5_u32, more in 0..3_u32, and in 0..3_u32) {
        let first = |for_: u32, grace: u32| {
            let mut story = Story::new();
            let (for_, grace) = (format!("for = \"{for_}d\""), format!("grace = \"{grace}d\""));
            let text = POLICY.replace("for = \"3d\"", &for_).replace("grace = \"2d\"", &grace);
            story.set = loaded(&text).unwrap();
            story.first(40)
        };
        let (early, late) = (first(for_, grace), first(for_ + more, grace + and));
        prop_assert!(early.is_some() && early <= late, "{early:?} {late:?}");
    }
}
