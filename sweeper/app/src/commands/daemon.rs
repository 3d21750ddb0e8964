//! `sweeper daemon`: what the config's schedules say, when they say it, until somebody stops it.
//!
//! One run at a time, each the function of `sweeper job`. The loop only decides and waits: a run has a thread of its own,
//! and the server answers beside both.

use super::{LookArgs, random_id};
use crate::{
    config::{Config, Entry},
    deployment,
    exit::{Exit, Failure},
    log,
    measures::Measures,
    run::{
        agenda::{self, Step},
        apart::Apart,
        beating::Beating,
        heartbeat::{self, Heartbeats},
        http::{self, Routes},
        job::{self, Done, Job, Sort, To},
        remembered::{self, Claim, Open, TRIES},
        rules::{self, Rules},
        vitals::Vitals,
    },
    state::{self, Place},
};
use hyper::StatusCode;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use sweeper_core::{
    clock::{Clock, SystemClock},
    model::Timestamp,
    store::{Store, StoreError},
    triggers::TTL,
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, watch},
    time::timeout,
};

/// The longest sleep: a clock that is put right is noticed within it.
const NAP: Duration = Duration::from_secs(5);
/// How often it is looked whether the policies have changed.
const RELOAD: Duration = Duration::from_secs(30);
/// How often it is looked whether the state can be reached.
const REACH: Duration = Duration::from_mins(1);
/// How often, while a run is watched of which no end is known.
const WATCH: Duration = Duration::from_secs(20);
/// How long the state may take to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// Problems of one refusal that are said.
const SHOWN: usize = 20;
/// How long a run that was stopped may take to put away what it has in its hands, and where that is a notice that is being
/// sent.
const PUT_AWAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(6));

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub look: LookArgs,
}

pub async fn run(args: Args, stopped: watch::Receiver<bool>) -> Result<Exit, Failure> {
    if args.look.now.is_some() {
        return Err(Failure::usage("--now and a daemon do not go together"));
    }
    // Heard from the first moment on: unheard, it would end the process.
    let mut hangup = Hangup::new();
    // Everything wrong with the settings is found at the start, not at six in the morning.
    let rules = checked(Rules::read(&args.look)?)?;
    let vitals = Arc::new(Vitals::new(SystemClock::default()));
    let listen = rules.config.daemon.listen;
    let serving = match listen {
        Some(address) => {
            let heartbeats =
                Heard { state: args.look.state.clone(), config: rules.config.clone(), own: Mutex::default() };
            Some(serve(address, &vitals, heartbeats).await?)
        }
        None => None,
    };
    let mut daemon = Daemon {
        look: args.look,
        rules: Arc::new(rules),
        tried: String::new(),
        vitals,
        clock: SystemClock::default(),
        last: BTreeMap::new(),
        held: BTreeMap::new(),
        open: BTreeMap::new(),
        own: BTreeMap::new(),
        stopped,
        looked: Duration::ZERO,
        reached: None,
    };
    daemon.tried.clone_from(&daemon.rules.digest);
    let ended = daemon.go(&mut hangup).await;
    if let Some(serving) = serving {
        serving.abort();
    }
    ended.map(|()| Exit::Done)
}

/// What a daemon needs beyond what a report does.
fn checked(rules: Rules) -> Result<Rules, Failure> {
    if rules.config.schedules.is_empty() {
        return Err(Failure::usage("the config has no schedule")
            .help("add `[[schedule]]` with `cron = \"0 6 * * MON-FRI\"` to sweeper.toml"));
    }
    for entry in &rules.config.schedules {
        if entry.run.writes() && entry.output.is_none() {
            return Err(job::unplaced(entry));
        }
        job::made(entry.output.as_deref())?;
    }
    Ok(rules)
}

/// Begins to answer whoever asks how the daemon is.
async fn serve(
    address: std::net::SocketAddr,
    vitals: &Arc<Vitals<SystemClock>>,
    heartbeats: Heard,
) -> Result<tokio::task::JoinHandle<()>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!("failed to listen on {address}: {error}"))
            .help("`[daemon] listen` names another address, port 0 any free one, `off` none")
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    if !address.ip().is_loopback() {
        log::warn(&format!("whoever reaches {address} can read owners and costs there"));
    }
    log::say(&format!("listening on http://{address}"));
    let (alive, ready, measured) = (Arc::clone(vitals), Arc::clone(vitals), Arc::clone(vitals));
    let heartbeats = Arc::new(heartbeats);
    let routes = Routes::at(address)
        .read("/healthz", move || alive.alive())
        .read("/readyz", move || ready.ready())
        .read("/metrics", move || measured.metrics())
        .mount(heartbeat::PATH, move |request| {
            let heartbeats = Arc::clone(&heartbeats);
            async move {
                match heartbeats.get().await {
                    Ok(Some(own)) => own.answer(request).await,
                    Ok(None) => http::text(StatusCode::NOT_FOUND, "without a state that lasts there are no leases\n"),
                    Err(_) => http::text(StatusCode::SERVICE_UNAVAILABLE, "the state cannot be reached\n"),
                }
            }
        });
    Ok(tokio::spawn(http::serve(listener, routes)))
}

/// Heartbeats of leases: the state is opened when the first one comes, since it may be away when the daemon starts.
struct Heard {
    state: Option<String>,
    config: Config,
    own: Mutex<Option<Arc<Heartbeats>>>,
}

impl Heard {
    async fn get(&self) -> Result<Option<Arc<Heartbeats>>, Failure> {
        let mut own = self.own.lock().await;
        if own.is_none() {
            let (state, config) = (self.state.clone(), self.config.clone());
            let opened = tokio::task::spawn_blocking(move || Heartbeats::of(state.as_deref(), &config));
            let opened = opened.await.unwrap_or_else(|error| Err(Failure::new(Exit::Bug, error.to_string())));
            *own = opened?.map(Arc::new);
        }
        Ok(own.clone())
    }
}

struct Daemon {
    look: LookArgs,
    rules: Arc<Rules>,
    /// The digest of what was read last, taken or refused.
    tried: String,
    vitals: Arc<Vitals<SystemClock>>,
    clock: SystemClock,
    /// When each schedule last ran, by its name.
    last: BTreeMap<String, Last>,
    /// Runs that wait for their windows, and since when they are due.
    held: BTreeMap<String, Timestamp>,
    /// Runs of which no end is known, and since when nothing was heard of each.
    open: BTreeMap<String, Watched>,
    /// The last run of each that ended here: one whose end could not be written did not die.
    own: BTreeMap<String, String>,
    stopped: watch::Receiver<bool>,
    /// When it was last looked whether policies changed, and whether the state can be reached.
    looked: Duration,
    reached: Option<Duration>,
}

/// When a schedule last ran.
#[derive(Clone, Copy, Debug)]
struct Last {
    at: Timestamp,
    /// Whether the state could not be told.
    is_untold: bool,
}

/// A run of which no end is known.
struct Watched {
    open: Open,
    since: Duration,
    /// Whether it was said that nothing more is done about it.
    is_given_up: bool,
}

/// A run that begins.
struct Beginning {
    run: String,
    /// When the schedule last ran before.
    before: Timestamp,
    due: Timestamp,
    passed: usize,
}

/// How a run ended.
enum Ended {
    With(u8),
    /// Without an outcome.
    Failed(Exit),
    /// Somebody stopped the daemon.
    Stopped,
}

impl Ended {
    /// Says what a run came to. `None`: it was stopped before.
    fn of(entry: &Entry, outcome: Option<Result<Done, Failure>>, vitals: &Vitals<SystemClock>) -> Self {
        match outcome {
            Some(Ok(done)) => {
                vitals.measured(done.measures.prometheus());
                log::say(&done.line(&entry.name));
                Self::With(done.exit().code())
            }
            Some(Err(failure)) => {
                let help = failure.help.as_ref().map_or_else(String::new, |help| format!("; {help}"));
                log::warn(&format!("{} failed: {}{help}", entry.name, failure.message));
                Self::Failed(failure.exit)
            }
            None => Self::Stopped,
        }
    }
}

impl Daemon {
    /// Goes on until somebody stops it.
    async fn go(&mut self, hangup: &mut Hangup) -> Result<(), Failure> {
        match self.place() {
            None | Some(Place::Memory) => log::warn(
                "no state that lasts: what is missed while this daemon does not run is not made up for (--state PATH)",
            ),
            Some(_) => {}
        }
        log::say(&format!("in force: {}", self.rules.name()));
        self.remember().await;
        let mut said = None;
        while !*self.stopped.borrow() {
            self.vitals.beat();
            self.look_around().await;
            let now = self.clock.wall();
            self.hold(now);
            if let Some((entry, died)) = self.died(now) {
                said = None;
                self.again(&entry, &died, now).await?;
                continue;
            }
            let Some((entry, step)) = self.due(now) else {
                let next = self.next(now).ok_or_else(|| Failure::usage("no schedule ever comes again"))?;
                if said.as_ref() != Some(&next) {
                    log::say(&format!("next: {} at {}", next.1, next.0));
                    said = Some(next.clone());
                }
                self.wait(next.0, hangup).await;
                continue;
            };
            said = None;
            self.come(&entry, &step, now).await?;
        }
        Ok(())
    }

    fn place(&self) -> Option<&Place> {
        self.rules.settings.state.as_ref()
    }

    /// When a schedule last ran. One that is new has missed nothing.
    fn last(&self, entry: &Entry, now: Timestamp) -> Timestamp {
        self.last.get(&entry.name).map_or(now, |last| last.at)
    }

    /// Says, once, which runs are due and wait for their windows.
    fn hold(&mut self, now: Timestamp) {
        for entry in &self.rules.config.schedules {
            let Step::Hold { due, opens } = agenda::step(entry, self.last(entry, now), now) else {
                self.held.remove(&entry.name);
                continue;
            };
            if self.held.insert(entry.name.clone(), due) != Some(due) {
                let opens = opens.map_or_else(String::new, |opens| format!(", which opens at {opens}"));
                log::say(&format!("{}: due at {due}, and waits for its window{opens}", entry.name));
            }
        }
        self.held.retain(|name, _| self.rules.config.schedules.iter().any(|entry| entry.name == *name));
    }

    /// The schedule that has waited longest.
    fn due(&self, now: Timestamp) -> Option<(Entry, Step)> {
        let steps = self.rules.config.schedules.iter().filter_map(|entry| {
            match agenda::step(entry, self.last(entry, now), now) {
                step @ (Step::Run { due, .. } | Step::Skip { due }) => Some((due, entry, step)),
                Step::Hold { .. } | Step::Wait(_) => None,
            }
        });
        steps.min_by_key(|(due, ..)| *due).map(|(_, entry, step)| (entry.clone(), step))
    }

    /// What comes next, and when.
    fn next(&self, now: Timestamp) -> Option<(Timestamp, String)> {
        let steps = self.rules.config.schedules.iter().filter_map(|entry| {
            let name = &entry.name;
            match agenda::step(entry, self.last(entry, now), now) {
                Step::Wait(at) => at.map(|at| (at, name.clone())),
                // When it opens is found out by looking; no reason to sleep for ever.
                Step::Hold { opens, .. } => Some((opens.unwrap_or(now.plus(NAP.as_secs() as i64)), name.clone())),
                Step::Run { due, .. } | Step::Skip { due } => Some((due, name.clone())),
            }
        });
        steps.min()
    }

    /// Waits for a time, a nap at most, and less when somebody stops it or wants the policies read anew.
    async fn wait(&mut self, until: Timestamp, hangup: &mut Hangup) {
        let left = until.since(self.clock.wall());
        let nap = Duration::from_secs(left.max(0).unsigned_abs()).min(NAP);
        tokio::select! {
            () = self.clock.sleep_until(self.clock.mono() + nap) => return,
            () = stopped(&mut self.stopped) => return,
            () = hangup.heard() => {}
        }
        log::say("SIGHUP: the policies are read anew");
        self.tried.clear();
        self.reload();
    }

    /// Looks now and then whether the policies have changed, and whether the state can be reached.
    async fn look_around(&mut self) {
        let now = self.clock.mono();
        if now.saturating_sub(self.looked) >= RELOAD {
            self.looked = now;
            if self.rules.digest_now(&self.look) != self.tried {
                self.reload();
            }
        }
        let often = if self.open.is_empty() { REACH } else { WATCH };
        if self.reached.is_none_or(|reached| now.saturating_sub(reached) >= often) {
            self.remember().await;
        }
    }

    /// Takes what the config and the policies are now, or keeps the old ones and says why.
    fn reload(&mut self) {
        self.looked = self.clock.mono();
        match Rules::read(&self.look).and_then(checked) {
            Ok(rules) => {
                let is_new = rules.digest != self.tried;
                self.tried.clone_from(&rules.digest);
                if is_new && rules.config.daemon.listen != self.rules.config.daemon.listen {
                    log::warn("`[daemon] listen` has changed: it is heeded when the daemon is started again");
                }
                let before = std::mem::replace(&mut self.rules, Arc::new(rules));
                let now = self.clock.wall();
                let known = std::mem::take(&mut self.last);
                for entry in &self.rules.config.schedules {
                    // One that comes at other times now has missed none of them.
                    let same = before.config.schedules.iter().find(|own| own.name == entry.name);
                    let same = same.filter(|own| own.written == entry.written);
                    let last = same.and_then(|own| known.get(&own.name).copied());
                    self.last.insert(entry.name.clone(), last.unwrap_or(Last { at: now, is_untold: false }));
                }
                self.tell();
                if is_new {
                    self.vitals.reloaded();
                    // What is known of schedules that are new is asked for soon.
                    self.reached = None;
                    log::say(&format!("read anew, in force: {}", self.rules.name()));
                }
            }
            Err(failure) => {
                let digest = self.rules.digest_now(&self.look);
                if digest != self.tried {
                    self.tried = digest;
                    let whys = rules::whys(&failure);
                    self.vitals.refused(&whys.join("; "));
                    log::warn(&format!("refused, {} stay in force: {}", self.rules.name(), failure.message));
                    for why in whys.iter().take(SHOWN) {
                        log::warn(why);
                    }
                }
            }
        }
    }

    /// Tells the vitals what is in force.
    fn tell(&self) {
        let now = self.clock.wall();
        let schedules = self.rules.config.schedules.iter();
        let schedules = schedules.map(|entry| (entry.clone(), self.last(entry, now))).collect();
        self.vitals.took(self.rules.name(), &self.rules.digest, self.rules.commit.as_deref(), schedules);
    }

    /// Asks the state when each schedule last ran: it may have been run by another daemon, or by this one before it was
    /// started again.
    async fn remember(&mut self) {
        self.reached = Some(self.clock.mono());
        let now = self.clock.wall();
        let rules = Arc::clone(&self.rules);
        let known = self
            .with_state(move |store| {
                let schedules = rules.config.schedules.iter();
                schedules.map(|entry| Ok((entry.name.clone(), remembered::known(store, entry, now)?))).collect()
            })
            .await;
        let known: BTreeMap<String, remembered::Last> = match known {
            None => BTreeMap::new(),
            Some(Ok(known)) => known,
            Some(Err(error)) => {
                log::warn(&format!("what was missed is not known: {error}"));
                BTreeMap::new()
            }
        };
        self.watch(&known);
        let known: BTreeMap<String, Timestamp> = known.into_iter().map(|(name, last)| (name, last.at)).collect();
        for entry in &self.rules.config.schedules {
            let own = self.last.get(&entry.name).copied();
            let at = match (known.get(&entry.name), own) {
                (Some(told), Some(own)) if own.is_untold => own.at.max(*told),
                (Some(told), _) => *told,
                (None, Some(own)) => own.at,
                (None, None) => now,
            };
            if agenda::heard(entry, at, now) < at {
                log::warn(&format!("{} last ran at {at}, which is yet to come: was the clock put back?", entry.name));
            }
            self.last.insert(entry.name.clone(), Last { at, is_untold: own.is_some_and(|own| own.is_untold) });
        }
        self.tell();
    }

    /// Watches runs of which no end is known: those that say nothing for a while have died.
    fn watch(&mut self, known: &BTreeMap<String, remembered::Last>) {
        let now = self.clock.mono();
        let mut before = std::mem::take(&mut self.open);
        self.own.retain(|name, _| self.rules.config.schedules.iter().any(|entry| entry.name == *name));
        for (name, last) in known {
            let Some(open) = last.open().filter(|open| self.own.get(name) != Some(&open.run)) else { continue };
            let watched = before.remove(name).filter(|watched| watched.open == open);
            let watched = watched.unwrap_or(Watched { open, since: now, is_given_up: false });
            self.open.insert(name.clone(), watched);
        }
    }

    /// A run that died and may be run again now. Of one that may not any more that is said, once.
    fn died(&mut self, now: Timestamp) -> Option<(Entry, Open)> {
        let mono = self.clock.mono();
        for entry in &self.rules.config.schedules {
            let Some(watched) = self.open.get_mut(&entry.name) else { continue };
            let heard = self.reached.unwrap_or_default();
            if heard.saturating_sub(watched.since) <= TTL || mono.saturating_sub(heard) > REACH {
                continue;
            }
            let open = watched.open.clone();
            if open.may_run_again(now) && entry.windows.is_open(now) {
                return Some((entry.clone(), open));
            }
            if open.tried + 1 >= TRIES && !watched.is_given_up {
                watched.is_given_up = true;
                let Open { run, at, .. } = open;
                log::warn(&format!(
                    "{}: run {run} of {at} died, the last of {TRIES} tries: the schedule waits for its next time",
                    entry.name
                ));
            }
        }
        None
    }

    /// Runs again what died.
    async fn again(&mut self, entry: &Entry, died: &Open, now: Timestamp) -> Result<(), Failure> {
        self.open.remove(&entry.name);
        let run = random_id()?;
        let taken = {
            let (entry, died, run) = (entry.clone(), died.clone(), run.clone());
            self.with_state(move |store| remembered::take_over(store, &entry, now, &died, &run)).await
        };
        match taken {
            Some(Ok(Some(before))) => {
                let Open { run: dead, at, tried, .. } = died;
                log::warn(&format!(
                    "{}: run {dead} of {at} died before its end, and is made up for (try {} of {TRIES})",
                    entry.name,
                    tried + 2
                ));
                self.ran(entry, Last { at: now, is_untold: false });
                self.begin(entry, Beginning { run, before, due: *at, passed: 1 }, now).await
            }
            // It was heard of, or somebody else makes up for it.
            Some(Ok(None)) | None => Ok(()),
            Some(Err(error)) => {
                log::warn(&format!("{}: a run that died is not made up for yet: {error}", entry.name));
                Ok(())
            }
        }
    }

    /// Does something with the state, where there is one that lasts, on a thread that may wait.
    async fn with_state<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Option<Result<T, StoreError>> {
        let place = self.place().filter(|place| **place != Place::Memory)?.clone();
        let work = tokio::task::spawn_blocking(move || work(state::open(&place)?.as_ref()));
        let done = match timeout(ANSWER, work).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => Err(StoreError::Failed(error.to_string())),
            Err(_) => Err(StoreError::Failed(format!("it did not answer within {} s", ANSWER.as_secs()))),
        };
        self.vitals.state(done.as_ref().err().map(|error| deployment::failed(error).message));
        Some(done)
    }

    /// Does what is due: takes it, so that nobody else does it as well, and runs or skips it.
    async fn come(&mut self, entry: &Entry, step: &Step, now: Timestamp) -> Result<(), Failure> {
        let run = random_id()?;
        let mut is_untold = false;
        let claim = {
            let (entry, run) = (entry.clone(), run.clone());
            self.with_state(move |store| remembered::claim(store, &entry, now, &run)).await
        };
        let before = match claim {
            Some(Ok(Claim::Theirs(at))) => {
                log::say(&format!("{}: another daemon ran it at {at}", entry.name));
                self.vitals.yielded(&entry.name);
                self.ran(entry, Last { at, is_untold: false });
                return Ok(());
            }
            Some(Ok(Claim::Ours(before))) => before,
            None => self.last(entry, now),
            Some(Err(error)) => {
                is_untold = true;
                log::warn(&format!("{} runs, and another daemon may run it too: {error}", entry.name));
                self.last(entry, now)
            }
        };
        self.ran(entry, Last { at: now, is_untold });
        let (due, passed) = match step {
            Step::Run { due, passed } => (*due, *passed),
            Step::Skip { due } => {
                self.vitals.skipped(&entry.name);
                log::say(&format!("{}: due at {due}, skipped: outside its windows", entry.name));
                return Ok(());
            }
            Step::Hold { .. } | Step::Wait(_) => return Ok(()),
        };
        self.begin(entry, Beginning { run, before, due, passed }, now).await
    }

    /// Runs a schedule that was taken.
    async fn begin(&mut self, entry: &Entry, beginning: Beginning, now: Timestamp) -> Result<(), Failure> {
        let Beginning { run, before, due, passed } = beginning;
        // What is in force is what is there: also calendars and other files that the config names.
        self.reload();
        let Some(entry) = self.rules.config.schedules.iter().find(|own| own.name == entry.name).cloned() else {
            log::say(&format!("{}: it is no longer in the config", entry.name));
            return Ok(());
        };
        let late = now.since(due);
        if passed > 1 {
            log::say(&format!("{}: {passed} runs since {due} were missed, and this one makes up for them", entry.name));
        }
        log::say(&format!("{}: run {run} begins, {late} s after its time", entry.name));
        self.vitals.began(&entry.name, late, passed - 1);
        let (started, began) = (self.clock.wall(), self.clock.mono());
        let place = self.place().filter(|place| **place != Place::Memory).cloned();
        let beating = place.and_then(|place| Beating::begin(place, entry.clone(), run.clone()));
        let ended = self.finish(&entry).await;
        drop(beating);
        self.open.remove(&entry.name);
        self.own.insert(entry.name.clone(), run.clone());
        let at = self.clock.wall();
        let took = self.clock.mono().saturating_sub(began);
        let code = match ended {
            Ended::With(code) => code,
            Ended::Failed(exit) => {
                // What an earlier run saw is not what this one did.
                self.vitals.measured(Measures::failed(exit, started, at).prometheus());
                exit.code()
            }
            Ended::Stopped => {
                let given = self.with_state(move |store| remembered::give_back(store, &entry, &run, before)).await;
                if let Some(Err(error)) = given {
                    log::warn(&format!("the run that was stopped is not made up for at the next start: {error}"));
                }
                return Ok(());
            }
        };
        self.vitals.ended(&entry.name, at, code, took);
        log::say(&format!("{} ended with {code} after {} s", entry.name, took.as_secs()));
        let noted = self.with_state(move |store| remembered::ended(store, &entry, &run, at, code)).await;
        if let Some(Err(error)) = noted {
            log::warn(&format!("how the run ended is not remembered: {error}"));
        }
        Ok(())
    }

    fn ran(&mut self, entry: &Entry, last: Last) {
        self.last.insert(entry.name.clone(), last);
        self.vitals.last(&entry.name, last.at);
    }

    /// Runs a schedule to its end, or until somebody stops the daemon, or until it takes too long.
    async fn finish(&mut self, entry: &Entry) -> Ended {
        let longest = self.rules.config.daemon.longest_run;
        let (rules, look, own) = (Arc::clone(&self.rules), self.look.clone(), entry.clone());
        let begun = Apart::begin(move || async move {
            let (config, settings) = (&rules.config, &rules.settings);
            let job = Job { entry: &own, config, settings, look: &look, to: To::Output };
            job::run(&job, None, Some(longest)).await
        });
        let mut apart = match begun {
            Ok(apart) => apart,
            Err(error) => {
                log::warn(&format!("{} cannot begin: {error}", entry.name));
                return Ended::Failed(Exit::Bug);
            }
        };
        let put_away = if entry.run == Sort::Notify { PUT_AWAY.1 } else { PUT_AWAY.0 };
        let last = self.clock.mono() + longest;
        loop {
            self.vitals.beat();
            let nap = (self.clock.mono() + NAP).min(last);
            tokio::select! {
                outcome = apart.end() => return Ended::of(entry, outcome, &self.vitals),
                () = stopped(&mut self.stopped) => {
                    apart.stop();
                    let outcome = timeout(put_away, apart.end()).await.ok().flatten();
                    return Ended::of(entry, outcome, &self.vitals);
                }
                () = self.clock.sleep_until(nap) => if self.clock.mono() >= last {
                    apart.stop();
                    log::warn(&format!("{} was ended: it took longer than {} s", entry.name, longest.as_secs()));
                    let _ = timeout(put_away, apart.end()).await;
                    return Ended::Failed(Exit::Blind);
                }
            }
        }
    }
}

/// Waits until somebody stops the daemon.
async fn stopped(stopped: &mut watch::Receiver<bool>) {
    // Whoever could say so is gone only when the process ends.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// SIGHUP, where there is one.
struct Hangup(#[cfg(unix)] Option<tokio::signal::unix::Signal>);

impl Hangup {
    #[cfg(unix)]
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self(signal(SignalKind::hangup()).ok())
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        Self()
    }

    async fn heard(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
