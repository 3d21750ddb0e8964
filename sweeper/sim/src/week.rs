//! A working week of a team of two: one signs a standing approval on Monday, the schedule plans and applies every day.

use crate::{
    clock::SimClock,
    cloud::{Sim, VOLUME},
    fuse::Fuse,
    history::{
        DEPLOYMENT, FlatPrices, House_, START, Story, calls, judge, leave, order, policies, run, silence, survey,
    },
    rng::Rng,
};
use std::{collections::BTreeSet, time::Duration};
use sweeper_core::{
    approve::{Standing, Text},
    calendar::Calendar,
    caps::Caps,
    clock::Clock as _,
    deed::DeedKind,
    model::DAY,
    money::Amount,
    plan::{self, Rules},
};

/// What the team lets be done without being asked again.
const POLICIES: &str = r#"
[[policy]]
name = "disks"
sweep = "unattached-disk"
when = "true"
for = "3d"
then = "delete"
keep = "snapshot"
grace = "0h"
consent = "objection"
approve = "standing"
limit = { count = 200, share = "5%", monthly_usd = 2000 }
accounts = ["aws:111111111111"]
"#;

/// How the week went.
#[derive(Clone, Debug, Default)]
pub struct Week {
    /// Of Monday to Friday.
    pub done: Vec<u32>,
    /// Volumes without a user at its end.
    pub left: usize,
    pub signatures: u32,
    pub violations: Vec<String>,
}

/// Plays the week over a fleet. `caps` are the deployer's.
///
/// # Errors
/// A defect of the simulation.
pub fn play(unused: u64, used: u64, caps: Caps) -> Result<Week, String> {
    silence();
    let clock = SimClock::new(START);
    let sim = Sim::fleet(&VOLUME, Rng::new(1), std::sync::Arc::clone(&clock), START, (unused, used));
    let (mut house, alice, _) = House_::new(sim, policies(POLICIES)?, &clock)?;
    house.caps = caps;
    house.trust.ceiling = Some(caps);
    house.calendar = Some(Calendar::default());
    let mut week = Week::default();
    // The week before it is only looked.
    for day in 0..7_u64 {
        clock.until(Duration::from_secs(day * DAY as u64 + 10 * 3600));
        clock.run(survey(&house, &house.sim, &calls(&clock, day)));
    }
    let rule = house.set.policies.first().ok_or("there is no policy")?.digest();
    let monday = START.plus(7 * DAY);
    let text = Text::Standing(Standing {
        policy: "disks".to_owned(),
        rule,
        deployment: DEPLOYMENT.to_owned(),
        scopes: BTreeSet::from(["aws:111111111111".to_owned()]),
        deed: DeedKind::Delete.name().to_owned(),
        by: "alice".to_owned(),
        count_run: caps.count,
        count_week: caps.window().count,
        usd_run: caps.monthly,
        usd_week: caps.window().monthly,
        usd_item: Amount::whole(50),
        from: monday,
        until: monday.plus(30 * DAY),
        nonce: "7".repeat(32),
    });
    let note = alice.sign(&text.to_string()).map_err(|error| error.to_string())?.into_bytes();
    week.signatures += 1;
    let mut leaves = Vec::new();
    for day in 7..12_u64 {
        clock.until(Duration::from_secs(day * DAY as u64 + 10 * 3600));
        let outcome = clock.run(survey(&house, &house.sim, &calls(&clock, day)));
        let order = order("schedule", format!("week-{day}"), clock.wall());
        let plan = plan::draw(outcome.parts(&house.set), &order, &Rules::default(), &FlatPrices)
            .map_err(|error| error.to_string())?;
        if let Some(note) = plan::check(&plan, clock.wall(), 10).first() {
            week.violations.push(format!("day {day}: the plan is not fit: {}", note.what));
        }
        leaves.push(leave(&plan, plan.actions.iter().map(|action| action.no).collect(), caps.count));
        let holder = house.holder();
        let notes = [note.clone()];
        let ran = clock.run(run(&house, holder, &plan, &notes, Fuse::new(None, &clock), None));
        week.done.push(ran.map_or(0, |applied| applied.done() as u32));
    }
    week.left = house.sim.things().values().filter(|thing| !thing.used).count();
    let mut story = Story { violations: week.violations, ..Story::default() };
    judge(&house, &leaves, &mut story);
    week.violations = story.violations;
    Ok(week)
}
