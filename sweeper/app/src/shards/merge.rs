//! `sweeper survey merge`: the shards of a run, put together to one survey.

use super::{run, shelf, work::known};
use crate::{
    commands::{Before, Ended, Settings, random_id, survey},
    engine,
    exit::Failure,
    log,
    measures::Measures,
    state,
};
use std::{path::Path, sync::Arc};
use sweeper_core::{
    calls::Calls,
    clock::{Clock, SystemClock},
    engine::Seen,
    shard::{self, Asking, Expected, Gathered, Run, Shelf},
    survey::Universes,
};

/// What to merge.
#[derive(Clone, Debug)]
pub struct Merge {
    /// The run's name.
    pub run: String,
    /// Where its shards meet.
    pub from: String,
    /// Where the survey goes: a file, a directory in which it is named by its content, or an object of a bucket. `None`:
    /// only the questions are written, for shards to put them.
    pub output: Option<String>,
}

/// Puts the sealed shards of a run together. What never came is blind. Only this moves clocks and history on.
pub async fn merge(mut settings: Settings, merge: &Merge) -> Result<Ended, Failure> {
    for warning in &settings.warnings {
        log::warn(warning);
    }
    let shelf = shelf(&merge.from)?;
    let shelf = shelf.as_ref();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let calls = Calls::new(Arc::clone(&clock), settings.limits.clone());
    let mut run = run(merge.run.clone(), 0, &settings);
    let list = shard::frozen(shelf, &run)?.ok_or_else(|| shard::ShardError::NoRun(run.id.clone()))?;
    run.shards = list.shards;
    let universes = known(&mut settings, &list, &calls).await?;
    let gathered = shard::gather(shelf, &run, &list, &universes, clock.wall())?;
    for gap in &gathered.gaps {
        log::warn(gap);
    }
    match &merge.output {
        None => asks(&settings, shelf, &run, &universes, &calls, gathered),
        Some(output) => finish(&settings, shelf, &run, &universes, &calls, gathered, output).await,
    }
}

/// Writes what the rules still ask, a slip a shard.
fn asks(
    settings: &Settings,
    shelf: &dyn Shelf,
    run: &Run,
    universes: &Universes,
    calls: &Calls,
    gathered: Gathered,
) -> Result<Ended, Failure> {
    let Gathered { mut survey, cost, .. } = gathered;
    let asks = settings.asks(calls, universes, &mut survey)?;
    let attempt = random_id()?;
    let attempt = attempt.get(..12).unwrap_or(&attempt);
    let asking = shard::publish(shelf, (run, attempt), &survey.inventory, &asks, cost.usd)?;
    let says = format!("{} questions for {} shards", asking.questions, run.shards);
    log::say(&says);
    Ok(Ended { says, ..Ended::default() })
}

/// Judges, with the answers of shards where there are some, and seals the survey.
async fn finish(
    settings: &Settings,
    shelf: &dyn Shelf,
    run: &Run,
    universes: &Universes,
    calls: &Calls,
    gathered: Gathered,
    output: &str,
) -> Result<Ended, Failure> {
    let Gathered { survey, mut cost, doubt, .. } = gathered;
    let mut given = std::collections::BTreeMap::new();
    if let Some(asking) = Asking::read(shelf, run)? {
        let specs: Vec<_> = universes.kinds().values().map(|kind| kind.spec()).collect();
        let answers = shard::given(shelf, run, &asking, &survey.inventory, &specs)?;
        for gap in &answers.gaps {
            log::warn(&format!("answers: {gap}"));
        }
        cost.add(&answers.cost);
        given = answers.answers;
    }
    calls.spent_by_others(cost.usd);
    let seen = Seen { survey, given, cost, doubt, by_others: true };
    let (outcome, _) = settings.look_at(calls, universes, Before::Seen(seen)).await?;
    for warning in &outcome.warnings {
        log::warn(warning);
    }
    let (digest, place) = survey::write(&outcome.sealed, Path::new(output), false)?;
    let says = format!("survey {digest} in {}", place.display());
    log::say(&says);
    if let Some(Err(error)) = settings.state.as_ref().map(|place| {
        let expected = Expected::of(&outcome.sealed.survey.inventory);
        state::open(place).and_then(|store| expected.remember(store.as_ref()))
    }) {
        log::warn(&format!("how many calls listings took is not remembered: {error}"));
    }
    let mut report = engine::report(&outcome, &settings.set, digest, None);
    let unremembered = settings.remember(&report);
    report.run.exit.extend(unremembered);
    let measures = Measures::of(&outcome, &report);
    Ok(settings.counted(Ended { says, measures, causes: report.run.exit, run: report.run.id }, &outcome))
}
