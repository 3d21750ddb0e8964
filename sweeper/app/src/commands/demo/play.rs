//! `sweeper demo --play`: a month of the demo's organisation, from the first finding to a deletion that is taken back,
//! by the same core, state and log as the commands that are named on the way.
//!
//! Its clock skips the days in between. Nothing else has such a clock: it is made here only, and the command that
//! changes real clouds takes the machine's.

use super::{clouds_here, random_id};
use crate::{
    TOOL,
    clouds::emulated::{self, Served},
    commands::{LookArgs, Settings, approve, audit, counted, prices},
    config::Config,
    deployment::{self, Deployment},
    exit::{Exit, Failure},
    notify::{
        self, About, deliver,
        wire::{self, Wire},
    },
    output::{self, Whole},
    render::{inert, plan as show, summary},
};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use sweeper_core::{
    apply::{self, Applied, Ended, Look, OpenTrail, Pace, Parts, World, copies, undo},
    approve::{Against, Items},
    audit::{AuditEvent, Body},
    baseline::Baseline,
    calls::Calls,
    clock::{Clock, SystemClock},
    deed::Target,
    engine::Outcome,
    kind::Kind,
    lease,
    ledger::{Advanced, Ledger as _},
    model::{DAY, Timestamp},
    money::Amount,
    note::Signer,
    plan::{self, Order, Plan},
    policy::Costs as _,
    survey_file,
};
use sweeper_store::{FileLock, StoreLedger};

/// When the story ends: a Wednesday morning, since things are done on working days.
const END: &str = "2026-10-14T10:00:00Z";
/// How many days of sightings the ledger has when the story begins.
const SEEN: i64 = 22;
/// On this day after its end the copies' time is over: a Monday, a little more than a month later.
const KEPT: i64 = 33;
/// Who signs, who asked.
const APPROVER: &str = "dana@shop.example";
const REQUESTER: &str = "robin@shop.example";

/// What the deployer adds to the demo's config. Waves are not waited for.
const CONFIG: &str = r#"
[apply]
enabled = true
soak = "1s"
rate = 600
limit = { count = 20, share = "100%", monthly_usd = 1000 }
"#;

const POLICIES: &str = include_str!("policies.toml");

/// The machine's clock, set elsewhere, which skips what nobody wants to wait for.
struct PlayClock {
    real: SystemClock,
    start: Timestamp,
    skipped: Mutex<Duration>,
}

impl PlayClock {
    fn new(start: Timestamp) -> Self {
        Self { real: SystemClock::default(), start, skipped: Mutex::new(Duration::ZERO) }
    }

    fn skipped(&self) -> Duration {
        *self.skipped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on to a later time.
    fn skip_to(&self, then: Timestamp) {
        let missing = u64::try_from(then.since(self.wall())).unwrap_or_default();
        *self.skipped.lock().unwrap_or_else(PoisonError::into_inner) += Duration::from_secs(missing);
    }
}

#[async_trait]
impl Clock for PlayClock {
    fn wall(&self) -> Timestamp {
        self.start.plus(self.mono().as_secs().try_into().unwrap_or(i64::MAX))
    }

    fn mono(&self) -> Duration {
        self.real.mono() + self.skipped()
    }

    async fn sleep_until(&self, until: Duration) {
        self.real.sleep_until(until.saturating_sub(self.skipped())).await;
    }
}

/// The organisation of the demo, its deployment in a directory, and the time of the story.
struct Stage {
    served: Served,
    place: PathBuf,
    clock: Arc<PlayClock>,
    config: Config,
    signer: Signer,
    end: Timestamp,
}

impl Stage {
    async fn set(place: &Path) -> Result<Self, Failure> {
        let end = Timestamp::parse(END).ok_or_else(|| Failure::new(Exit::Bug, "the story has no end"))?;
        let served = Served::start_at(end).await?;
        let signer = deployment::fresh(APPROVER)?;
        deployment::write_key(&place.join("demo.key"), &signer)?;
        fs::write(place.join("policies.toml"), POLICIES)?;
        let text = format!(
            "{}{CONFIG}\n[[channel]]\nname = \"mail\"\nfile = \"notices\"\n\n[[approver]]\nname = \"{APPROVER}\"\nroles = [\"admin\"]\nkey = \"{}\"\n",
            emulated::config(),
            signer.verifier()
        );
        fs::write(place.join("sweeper.toml"), &text)?;
        let config = Config::parse("sweeper.toml", &text, place)?;
        let clock = Arc::new(PlayClock::new(end.plus(-8 * DAY)));
        Ok(Self { served, place: place.to_owned(), clock, config, signer, end })
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let arguments = LookArgs {
            state: Some(self.state()),
            policies: Some(self.place.join("policies.toml")),
            ..LookArgs::default()
        };
        let mut settings = Settings::new(&arguments, &self.config)?;
        settings.choice.endpoint = Some(self.served.url());
        settings.choice.untold.clear();
        settings.choice.clouds = clouds_here(&self.served)?;
        Ok(settings)
    }

    fn state(&self) -> String {
        self.place.join("state.db").display().to_string()
    }

    fn deployment(&self) -> Result<Deployment, Failure> {
        Deployment::open(Some(&self.state()), &self.config, self.clock.wall())
    }

    fn calls(&self, settings: &Settings) -> Calls {
        Calls::new(Arc::clone(&self.clock) as Arc<dyn Clock>, settings.limits.clone())
    }

    async fn look(&self) -> Result<(Outcome, Settings), Failure> {
        let settings = self.settings()?;
        let (outcome, _) = settings.look(&self.calls(&settings)).await?;
        Ok((outcome, settings))
    }

    fn ledger(&self) -> Result<StoreLedger, Failure> {
        Ok(StoreLedger::new(self.deployment()?.store))
    }
}

#[async_trait]
impl World for Stage {
    async fn look(&self) -> Result<Look, String> {
        let (outcome, settings) = Self::look(self).await.map_err(|failure| failure.message)?;
        Ok(Look { outcome, set: Arc::new(settings.set) })
    }

    fn switch(&self) -> Option<String> {
        None
    }

    fn closed(&self, target: &Target, now: Timestamp) -> Option<String> {
        self.config.house.calendar.may_act(&target.scope(), now).err().map(|why| why.to_string())
    }
}

/// Plays it, in a directory that holds what a deployment holds: config, policies, state, log, plan and approval.
pub(super) async fn play(place: &Path) -> Result<Exit, Failure> {
    let stage = Stage::set(place).await?;
    say(&stage, "sweeper report", "what is found; the ledger has seen it daily for three weeks")?;
    found(&stage).await?;
    say(&stage, "sweeper notify", "owners are told; grace begins with the delivery, in working days")?;
    told(&stage).await?;
    for days in [5, 2] {
        stage.clock.skip_to(stage.end.plus(-days * DAY));
        Stage::look(&stage).await?;
    }
    stage.clock.skip_to(stage.end);
    say(&stage, "sweeper plan -o plan.json", "exactly what would be done; changes nothing")?;
    let plan = planned(&stage).await?;
    say(&stage, "sweeper approve plan.json --key demo.key", "signs the plan's name, its count and its money")?;
    let note = approved(&stage, &plan)?;
    say(
        &stage,
        "sweeper apply plan.json --approval plan.approval",
        "each is read again first; a copy is kept and verified",
    )?;
    let applied = done(&stage, &plan, &note).await?;
    say(
        &stage,
        "sweeper audit show --plan …; sweeper audit verify",
        "the trail of the first, and whether the log is whole",
    )?;
    proved(&stage)?;
    say(&stage, "sweeper undo --list; sweeper undo …", "a deletion is taken back from the copy")?;
    let undone = taken_back(&stage, &applied, &plan).await?;
    stage.clock.skip_to(stage.end.plus(KEPT * DAY));
    say(
        &stage,
        "sweeper apply --ended-copies",
        "what was kept goes at its end, under the approval that it was made by",
    )?;
    let tidy = over(&stage).await?;
    let sound = verified(&stage)?;
    Ok(if applied.stopped.is_none() && undone && tidy && sound { Exit::Done } else { Exit::Bug })
}

fn say(stage: &Stage, command: &str, what: &str) -> io::Result<()> {
    let now = stage.clock.wall();
    let day = SEEN + now.since(stage.end.plus(-8 * DAY)) / DAY;
    output::to(None, |out| writeln!(out, "\n── day {day}, {}  $ {command}\n   {what}\n", now.date()))
}

/// The first look, and the ledger as daily looks of the weeks before would have left it.
async fn found(stage: &Stage) -> Result<(), Failure> {
    let (outcome, settings) = Stage::look(stage).await?;
    let ledger = stage.ledger()?;
    let damaged = |error: String| Failure::new(Exit::Damaged, error);
    let known = ledger.load().map_err(damaged)?;
    let slice = known
        .into_iter()
        .map(|(key, mut sighting)| {
            sighting.first_found = outcome.now.plus(-SEEN * DAY);
            sighting.observed = SEEN * DAY;
            sighting.complete_sightings = SEEN as _;
            (key, sighting)
        })
        .collect();
    ledger.merge(&Advanced { at: Some(outcome.now), slice, cleared: Vec::new() }).map_err(damaged)?;
    let report = crate::engine::report(&outcome, &settings.set, random_id()?, None);
    let mut rows: BTreeMap<(String, &str), (u64, Amount)> = BTreeMap::new();
    for glance in report.glances() {
        let row = rows.entry((glance.policy.name.clone(), glance.resource.cloud().name())).or_default();
        row.0 += 1;
        row.1 += outcome.sealed.costs.monthly(glance.resource).amount.unwrap_or_default();
    }
    output::to(None, |out| {
        for ((policy, cloud), (count, money)) in &rows {
            writeln!(out, "   {policy:<24} {cloud:<6} {count:>3} found  {} a month", summary::dollars(*money))?;
        }
        Ok(())
    })?;
    Ok(())
}

async fn told(stage: &Stage) -> Result<(), Failure> {
    let (outcome, settings) = Stage::look(stage).await?;
    let ledger = stage.ledger()?;
    let run = random_id()?;
    let digests = {
        let report = crate::engine::report(&outcome, &settings.set, run.clone(), None);
        notify::digests(&outcome, &report, &stage.config.channels, &Baseline::default())
    };
    let mut first = None;
    let wire = Wire::new(wire::TIMEOUT);
    for digest in digests {
        for channel in &stage.config.channels {
            let about = About { deployment: &stage.config.deployment, run: &run, made: stage.clock.wall(), sent: 0 };
            let made = digest.notice(&channel.name, channel.by.notifier().most(), &|_, _| true, &about);
            let Some((notice, _)) = made else { continue };
            deliver::deliver(channel, &notice, &wire, stage.clock.as_ref(), &mut BTreeMap::new())
                .await
                .map_err(|error| Failure::usage(format!("the notice was not delivered: {}", error.why())))?;
            let to = notice.to.clone().unwrap_or_else(|| "nobody known".to_owned());
            let count = counted(notice.new.len() as u64, "finding");
            output::to(None, |out| writeln!(out, "   {} told of {count}", inert::line(&to)))?;
            first.get_or_insert(notice.text);
        }
        let marks = digest.marks(&|_, _| true, stage.clock.wall());
        ledger.mark(&marks).map_err(|error| Failure::new(Exit::Damaged, error))?;
    }
    let first = first.unwrap_or_default();
    output::to(None, |out| {
        writeln!(out)?;
        first.lines().take(16).try_for_each(|line| writeln!(out, "   | {line}"))?;
        writeln!(out, "   | …")
    })?;
    Ok(())
}

async fn planned(stage: &Stage) -> Result<Plan, Failure> {
    let (outcome, settings) = Stage::look(stage).await?;
    let order = Order {
        deployment: stage.deployment()?.name,
        requester: REQUESTER.to_owned(),
        tool: TOOL.to_owned(),
        survey: survey_file::write(&outcome.sealed, TOOL, io::sink())?,
        made: stage.clock.wall(),
        only: BTreeSet::new(),
    };
    let book = prices::book(&settings.prices, order.made)?;
    let plan = plan::draw(outcome.parts(&settings.set), &order, &stage.config.apply.rules, &book)?;
    if let Some(note) = plan::check(&plan, stage.clock.wall(), stage.config.apply.rate).first() {
        return Err(Failure::new(Exit::Refused, format!("the plan is not fit to be approved: {}", note.what)));
    }
    keep(stage, "plan.json", &plan::write(&plan)?)?;
    output::to(None, |mut out| show::write_table(&plan, &mut out))?;
    say(stage, "sweeper review plan.json", "what the dearest of them rests on")?;
    let report = crate::engine::report(&outcome, &settings.set, plan.id.clone(), None);
    let dearest = plan.actions.iter().max_by_key(|action| action.usd());
    let glance = dearest.and_then(|action| {
        report
            .glances()
            .find(|glance| glance.policy.name == action.policy && glance.resource.id() == action.target.id())
    });
    if let Some(finding) = glance.and_then(|glance| report.finding(&glance)) {
        output::to(None, |out| {
            writeln!(out, "   {}", inert::line(&finding.resource.id))?;
            finding.evidence.iter().try_for_each(|one| {
                writeln!(
                    out,
                    "     {:<14} {}  ({})",
                    inert::line(&one.fact),
                    inert::line(&one.value),
                    inert::line(&one.source)
                )
            })
        })?;
    }
    Ok(plan)
}

fn approved(stage: &Stage, plan: &Plan) -> Result<String, Failure> {
    let text = approve::one_time(
        plan,
        Items::All,
        &stage.deployment()?,
        APPROVER,
        approve::Bounds::default(),
        stage.clock.wall(),
    )?;
    let note = stage
        .signer
        .sign(&text.to_string())
        .map_err(|error| Failure::new(Exit::Bug, format!("the approval cannot be signed: {error}")))?;
    keep(stage, "plan.approval", note.as_bytes())?;
    output::to(None, |out| note.lines().try_for_each(|line| writeln!(out, "   | {line}")))?;
    Ok(note)
}

/// What a run works with, held while it runs.
struct Hands {
    deployment: Deployment,
    calls: Calls,
    kinds: BTreeMap<&'static str, Arc<dyn Kind>>,
    run: String,
    alone: Option<FileLock>,
}

impl Hands {
    async fn of(stage: &Stage) -> Result<Self, Failure> {
        let settings = stage.settings()?;
        let calls = stage.calls(&settings);
        let deployment = stage.deployment()?;
        let alone = deployment.alone()?;
        let kinds = settings.universes(&calls).await?.kinds();
        Ok(Self { deployment, calls, kinds, run: random_id()?, alone })
    }

    fn parts<'a>(&'a self, stage: &'a Stage, trail: &'a OpenTrail) -> Parts<'a> {
        let apply = &stage.config.apply;
        Parts {
            store: self.deployment.store.as_ref(),
            trail,
            world: stage,
            calls: &self.calls,
            kinds: self.kinds.clone(),
            trust: &self.deployment.trust,
            pace: Pace { rate: apply.rate, soak: apply.soak, poll: Duration::from_millis(50), ..Pace::default() },
            caps: apply.caps,
            holder: deployment::holder(self.run.clone()),
            deployment: self.deployment.name.clone(),
            tool: TOOL.to_owned(),
            lease: lease::TTL,
            alone: self.alone.is_some(),
        }
    }
}

async fn done(stage: &Stage, plan: &Plan, note: &str) -> Result<Applied, Failure> {
    let hands = Hands::of(stage).await?;
    let now = stage.clock.wall();
    let read = hands.deployment.trust.read(note.as_bytes(), &hands.deployment.name, now);
    let note = read.map_err(|refusal| Failure::new(Exit::Refused, format!("the approval is refused: {refusal}")))?;
    let approved = plan.clone().approve(vec![note], Against { trust: &hands.deployment.trust, now });
    let trail = hands.deployment.trail(hands.run.clone(), Arc::clone(&stage.clock) as Arc<dyn Clock>)?;
    let applied = apply::apply(&approved, hands.parts(stage, &trail)).await;
    output::to(None, |mut out| show::write_applied(plan, &applied, &mut out))?;
    Ok(applied)
}

/// Removes the copies whose time is over. Whether all went well.
async fn over(stage: &Stage) -> Result<bool, Failure> {
    let hands = Hands::of(stage).await?;
    let trail = hands.deployment.trail(hands.run.clone(), Arc::clone(&stage.clock) as Arc<dyn Clock>)?;
    let removed = copies::remove(hands.parts(stage, &trail)).await;
    output::to(None, |mut out| show::write_removed(&removed, &mut out))?;
    Ok(removed.stopped.is_none() && removed.ended.iter().all(|(.., ended)| matches!(ended, Ended::Done { .. })))
}

/// The events of the first action that was done.
fn proved(stage: &Stage) -> Result<(), Failure> {
    let deployment = stage.deployment()?;
    let log = deployment.log()?;
    let mut item = None;
    for segment in log.segments(0).map_err(|error| deployment::log_failed(&error))? {
        let lines = BufReader::new(log.read(segment).map_err(|error| deployment::log_failed(&error))?);
        for line in lines.split(b'\n') {
            let Ok(event) = AuditEvent::parse(&line?) else { continue };
            if event.item.is_none() || *item.get_or_insert(event.item) != event.item {
                continue;
            }
            let (Body::Intent(_) | Body::Sent(_) | Body::Outcome(_) | Body::Keep(_)) = &event.body else { continue };
            let resource = event.body.resource().map_or("", |resource| resource.native_id.as_str());
            let action = event.body.action().unwrap_or_default();
            output::to(None, |out| {
                writeln!(
                    out,
                    "   {:>4}  {}  {:<8} {action:<9} {}",
                    event.seq,
                    event.ts,
                    event.body.name(),
                    inert::line(resource)
                )
            })?;
        }
    }
    fs::write(stage.place.join("log.pub"), format!("{}\n", deployment.signer()?.verifier()))?;
    verified(stage)?;
    Ok(())
}

fn verified(stage: &Stage) -> Result<bool, Failure> {
    let place = audit::Place::of(stage.place.join("sweeper.toml"), stage.state());
    Ok(audit::verify(&place, &[])? == Exit::Done)
}

/// Takes back the first deletion of which a copy was kept. Whether that went well.
async fn taken_back(stage: &Stage, applied: &Applied, plan: &Plan) -> Result<bool, Failure> {
    let deployment = stage.deployment()?;
    let entries = undo::list(deployment.store.as_ref()).map_err(|error| deployment::failed(&error))?;
    output::to(None, |out| {
        let until = |entry: &undo::Entry| {
            entry.until.map_or_else(|| "for ever".to_owned(), |at| format!("until {}", at.date()))
        };
        entries.iter().try_for_each(|entry| {
            let back = entry.reverse(stage.clock.wall()).map_or_else(|why| why, |_| until(entry));
            writeln!(out, "   {}  {}  {}", entry.id, inert::line(&entry.target.id()), inert::line(&back))
        })
    })?;
    let first = entries.into_iter().find(|entry| entry.kept.is_some() && entry.reverse(stage.clock.wall()).is_ok());
    let Some(entry) = first else {
        output::to(None, |out| {
            writeln!(out, "   nothing can be taken back: {} of {} were done", applied.done(), plan.actions.len())
        })?;
        return Ok(false);
    };
    let settings = stage.settings()?;
    let calls = stage.calls(&settings);
    let kind = settings.universes(&calls).await?.kinds().remove(entry.target.kind.as_str());
    let kind = kind.ok_or_else(|| Failure::new(Exit::Bug, format!("nothing here knows {}", entry.target.kind)))?;
    let run = random_id()?;
    let trail = deployment.trail(run.clone(), Arc::clone(&stage.clock) as Arc<dyn Clock>)?;
    let parts = undo::Parts {
        store: deployment.store.as_ref(),
        trail: &trail,
        calls: &calls,
        kind,
        holder: deployment::holder(run),
        lease: lease::TTL,
        watch: Duration::from_mins(5),
    };
    let ended = undo::undo(&entry, parts).await.map_err(|stop| Failure::new(Exit::Refused, stop.why()))?;
    let made = match &ended {
        Ended::Done { kept: Some(kept), .. } => format!("{} is back as {}", entry.target.native_id, kept.native_id),
        Ended::Done { kept: None, .. } => format!("{} is back", entry.target.native_id),
        other => format!("{}: {other:?}", entry.id),
    };
    output::to(None, |out| writeln!(out, "\n   {}", inert::line(&made)))?;
    Ok(matches!(ended, Ended::Done { .. }))
}

fn keep(stage: &Stage, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = Whole::create(&stage.place.join(name))?;
    file.write_all(bytes)?;
    file.keep()
}
