//! A process of a run: freezes the list or takes it as it is, lists its shard (or puts its questions), and seals it.

use super::{Part, Which, run, shelf};
use crate::{
    clouds,
    commands::{LookArgs, Settings, random_id},
    config::Config,
    exit::{Exit, Failure},
    log,
    render::progress::Board,
    state,
};
use std::{sync::Arc, time::Duration};
use sweeper_core::{
    calls::Calls,
    clock::{Clock, SystemClock},
    engine,
    shard::{self, Asking, Claims, Expected, Frozen, Next, RENEW, Run, Sealing, Shelf, Stage},
    survey::{Universes, Wanted},
};

/// How long to wait before looking again what others did.
const LOOK: Duration = Duration::from_secs(2);

/// What a process is to do.
#[derive(Clone, Debug)]
pub struct Job {
    /// The run's name.
    pub run: String,
    /// Where its shards meet.
    pub to: String,
    pub which: Which,
    pub stage: Part,
}

/// Does what a job says. It has done its part once its shard is sealed, whatever that could not see: the merge tells.
pub async fn survey_shard(look: &LookArgs, job: &Job) -> Result<Exit, Failure> {
    let config = Config::find(look.config.as_deref())?;
    survey_with(Settings::new(look, &config)?, job).await?;
    Ok(Exit::Done)
}

/// The same, with settings that are there; also for an engine that says in an event which shard it is (a map of Step
/// Functions). What came of it, in a few words.
pub async fn survey_with(settings: Settings, job: &Job) -> Result<String, Failure> {
    for warning in &settings.warnings {
        log::warn(warning);
    }
    let run = run(job.run.clone(), job.which.shards(), &settings);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let mut worker = Worker { shelf: shelf(&job.to)?, run, settings, clock, stage: job.stage.into() };
    // What looks is large, and must not stand on the stack several times over.
    match job.which {
        Which::One { shard, .. } => Box::pin(worker.shard(shard)).await?,
        Which::Claim { .. } => Box::pin(worker.claims()).await?,
    }
    Ok(match job.which {
        Which::One { shard, shards } => format!("shard {shard} of {shards} of run {} is sealed", job.run),
        Which::Claim { shards } => format!("all {shards} shards of run {} are sealed", job.run),
    })
}

struct Worker {
    shelf: Arc<dyn Shelf>,
    run: Run,
    settings: Settings,
    clock: Arc<dyn Clock>,
    stage: Stage,
}

impl Worker {
    /// A shard, unless it is sealed already: an engine may start an attempt too many.
    async fn shard(&mut self, shard: u32) -> Result<(), Failure> {
        let named = format!("shard {shard} of {}", self.run.shards);
        if shard::is_sealed(self.shelf.as_ref(), &self.run, self.stage, shard)? {
            log::say(&format!("{named} is sealed already"));
            return Ok(());
        }
        let attempt = random_id()?;
        let attempt = attempt.get(..12).unwrap_or(&attempt);
        // What a run may cost is for all its shards together.
        let mut limits = self.settings.limits.clone();
        limits.max_api_usd = limits.max_api_usd.scaled(1, i128::from(self.run.shards));
        let calls = Calls::new(Arc::clone(&self.clock), limits);
        let (list, universes) = self.come(&calls).await?;
        let (shelf, run) = (self.shelf.as_ref(), &self.run);
        let specs: Vec<_> = universes.kinds().values().map(|kind| kind.spec()).collect();
        let board = Board::new(&specs);
        let sealing = if self.stage == Stage::Answers {
            let asking = Asking::read(shelf, run)?.ok_or_else(|| shard::ShardError::NoAsks(run.id.clone()))?;
            calls.spent_by_others(asking.spent.scaled(1, i128::from(run.shards)));
            shard::answer(shelf, (run, shard, attempt), &asking, &universes, &calls, &board).await
        } else {
            shard::list(shelf, (run, shard, attempt), &list, &universes, &calls, &board).await
        };
        board.clear();
        let made: u64 = calls.journal().values().map(|tally| tally.calls).sum();
        match sealing? {
            Sealing::Counts => log::say(&format!("{named} is sealed, {made} calls")),
            Sealing::Late => log::say(&format!("{named} was sealed by another attempt, {made} calls for nothing")),
        }
        Ok(())
    }

    /// Takes shards that nobody is at, until all are sealed. Waits for those that others are at, and takes over what
    /// falls silent.
    async fn claims(&mut self) -> Result<(), Failure> {
        let (shelf, run, clock) = (Arc::clone(&self.shelf), self.run.clone(), Arc::clone(&self.clock));
        let mut claims = Claims::new(shelf.as_ref(), &run, self.stage, Arc::clone(&clock));
        loop {
            match claims.take()? {
                Next::Work(shard, saying) => {
                    let named = format!("shard {shard} of {}", run.shards);
                    log::say(&format!("{named} is claimed"));
                    held(&claims, (shard, saying), &clock, Box::pin(self.shard(shard))).await?;
                }
                Next::Wait => clock.sleep_until(clock.mono() + LOOK).await,
                Next::Done => return Ok(()),
            }
        }
    }

    /// The frozen list, and the clouds as it knows them. Of many processes that come at once, one asks the clouds for
    /// their accounts, and the others wait for it.
    async fn come(&mut self, calls: &Calls) -> Result<(Frozen, Universes), Failure> {
        let (shelf, clock) = (Arc::clone(&self.shelf), Arc::clone(&self.clock));
        let one = Run { shards: 1, ..self.run.clone() };
        let mut turns = Claims::new(shelf.as_ref(), &one, Stage::Begin, Arc::clone(&clock));
        let mut told = false;
        loop {
            if let Some(list) = shard::frozen(shelf.as_ref(), &self.run)? {
                let universes = known(&mut self.settings, &list, calls).await?;
                return Ok((list, universes));
            }
            if let Next::Work(turn, saying) = turns.take()? {
                held(&turns, (turn, saying), &clock, Box::pin(self.begin(calls))).await?;
                continue;
            }
            if !told {
                log::say("another process freezes the list of units");
                told = true;
            }
            clock.sleep_until(clock.mono() + LOOK).await;
        }
    }

    /// Asks the clouds for their accounts and freezes the list.
    async fn begin(&self, calls: &Calls) -> Result<(), Failure> {
        let universes = self.settings.universes(calls).await?;
        let wanted = wanted(&self.settings, &universes);
        let expected = match self.settings.state.as_ref().map(state::open).transpose() {
            Ok(store) => store.map_or(Ok(Expected::default()), |store| Expected::load(store.as_ref())),
            Err(error) => Err(error),
        };
        let expected = expected.unwrap_or_else(|error| {
            log::warn(&format!("how many calls listings take is not known from before: {error}"));
            Expected::default()
        });
        let list = shard::freeze(self.shelf.as_ref(), &self.run, &universes, &wanted, &expected)?;
        log::say(&format!("{} units are frozen for {} shards", list.units.len(), list.shards));
        Ok(())
    }
}

/// What is wanted, for the policies.
fn wanted(settings: &Settings, universes: &Universes) -> Wanted {
    let clouds: Vec<_> = universes.clouds.iter().map(|(cloud, _)| Arc::clone(cloud)).collect();
    let specs = engine::specs_of(&clouds);
    Wanted {
        kinds: (!settings.all_kinds).then(|| sweeper_core::policy::wanted(&settings.set, &specs)),
        accounts: settings.choice.accounts.clone(),
        regions: settings.choice.regions.clone(),
    }
}

/// The clouds of a list, connected, with what the list knows of them.
pub(super) async fn known(settings: &mut Settings, list: &Frozen, calls: &Calls) -> Result<Universes, Failure> {
    // Those of the list, whatever the environment of this process speaks of.
    settings.choice.clouds = list.clouds().collect();
    settings.choice.untold.clear();
    Ok(list.universes(clouds::connect(&settings.choice, calls).await?))
}

/// Does some work, and says again and again that it is at it. Nothing is lost where another takes the claim over: the
/// first that seals counts.
async fn held<T>(
    claims: &Claims<'_>,
    (shard, first): (u32, u32),
    clock: &Arc<dyn Clock>,
    work: impl Future<Output = T>,
) -> T {
    let say = async {
        let mut saying = first;
        loop {
            clock.sleep_until(clock.mono() + RENEW).await;
            saying += 1;
            if !matches!(claims.say(shard, saying), Ok(true)) {
                log::warn(&format!("the claim of shard {shard} is lost, and the work goes on"));
                return std::future::pending::<T>().await;
            }
        }
    };
    tokio::select! {
        done = work => done,
        never = say => never,
    }
}
