//! `sweeper apply`: does what a plan lists and somebody approved, and never more.

use super::{LookArgs, Settings, random_id};
use crate::{
    TOOL,
    config::Config,
    deployment::{self, Deployment},
    exit::{Exit, Failure},
    log, output,
    render::plan as show,
};
use async_trait::async_trait;
use std::{fs, path::PathBuf, sync::Arc, time::Duration};
use sweeper_core::{
    apply::{self, Look, Pace, Parts, World, copies},
    approve::{Against, Signed},
    calls::Calls,
    clock::{Clock, SystemClock},
    deed::Target,
    lease,
    model::Timestamp,
};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The plan
    #[arg(required_unless_present = "ended_copies")]
    plan: Option<PathBuf>,
    /// Approvals of it, and standing ones
    #[arg(long, value_name = "FILE", required_unless_present = "ended_copies", num_args = 1.., value_delimiter = ',')]
    approval: Vec<PathBuf>,
    /// Instead of a plan: remove the copies that earlier plans kept, and whose time is over
    #[arg(long, conflicts_with_all = ["plan", "approval"])]
    ended_copies: bool,
    #[command(flatten)]
    look: LookArgs,
    /// Begin no further action after so many seconds: the same command goes on where it stopped
    #[arg(long, value_name = "SECONDS")]
    deadline: Option<u64>,
}

/// The world as the command's own arguments select it.
struct Selected {
    calls: Calls,
    look: LookArgs,
    config: Config,
}

#[async_trait]
impl World for Selected {
    async fn look(&self) -> Result<Look, String> {
        // Policies, exceptions and protections of this moment.
        let said = |failure: Failure| failure.message;
        let config = Config::find(self.look.config.as_deref()).map_err(said)?;
        let settings = Settings::new(&self.look, &config).map_err(said)?;
        let (outcome, _) = settings.look(&self.calls).await.map_err(said)?;
        Ok(Look { outcome, set: Arc::new(settings.set) })
    }

    fn switch(&self) -> Option<String> {
        let path = self.config.apply.switch.as_ref()?;
        match fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => Some(format!("{} cannot be looked at: {error}", path.display())),
            Ok(_) => Some(format!("{} is there", path.display())),
        }
    }

    fn closed(&self, target: &Target, now: Timestamp) -> Option<String> {
        // Freezes of this moment.
        match Config::find(self.look.config.as_deref()) {
            Ok(config) => config.house.calendar.may_act(&target.scope(), now).err().map(|why| why.to_string()),
            Err(failure) => Some(format!("frozen: {}", failure.message)),
        }
    }
}

pub async fn run(args: Args, stopped: tokio::sync::watch::Receiver<bool>) -> Result<Exit, Failure> {
    if args.look.now.is_some() {
        return Err(Failure::usage("changes are made now: --now is for reports"));
    }
    let config = Config::find(args.look.config.as_deref())?;
    let settings = Settings::new(&args.look, &config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let deployment = Deployment::open(args.look.state.as_deref(), &config, clock.wall())?;
    let approved = match &args.plan {
        Some(path) => {
            let plan = deployment::read_plan(path)?;
            let notes = approvals(&args, &deployment, clock.wall())?;
            Some(plan.approve(notes, Against { trust: &deployment.trust, now: clock.wall() }))
        }
        None => None,
    };
    let calls = Calls::new(Arc::clone(&clock), settings.limits.clone());
    let stop = calls.stop();
    let mut heard = stopped;
    tokio::spawn(async move {
        if heard.wait_for(|stopped| *stopped).await.is_ok() {
            stop.stop();
        }
    });
    let kinds = settings.universes(&calls).await?.kinds();
    let alone = deployment.alone()?;
    let run = random_id()?;
    let trail = deployment.trail(run.clone(), Arc::clone(&clock))?;
    let world = Selected { calls: calls.clone(), look: args.look.clone(), config: config.clone() };
    let deadline = args.deadline.map(|seconds| clock.mono() + Duration::from_secs(seconds));
    let parts = Parts {
        store: deployment.store.as_ref(),
        trail: &trail,
        world: &world,
        calls: &calls,
        kinds,
        trust: &deployment.trust,
        pace: Pace { rate: config.apply.rate, soak: config.apply.soak, deadline, ..Pace::default() },
        caps: config.apply.caps,
        holder: deployment::holder(run),
        deployment: deployment.name.clone(),
        tool: TOOL.to_owned(),
        lease: lease::TTL,
        alone: alone.is_some(),
    };
    let causes = if let Some(approved) = &approved {
        let applied = apply::apply(approved, parts).await;
        output::to(None, |mut out| show::write_applied(approved.plan(), &applied, &mut out))?;
        applied.causes()
    } else {
        let removed = copies::remove(parts).await;
        output::to(None, |mut out| show::write_removed(&removed, &mut out))?;
        removed.causes()
    };
    for cause in &causes {
        log::warn(&cause.cause);
    }
    drop(alone);
    Ok(Exit::of(&causes))
}

/// Every approval that was handed in; one that is refused stops the command.
fn approvals(args: &Args, deployment: &Deployment, now: Timestamp) -> Result<Vec<Signed>, Failure> {
    let mut notes = Vec::new();
    for path in &args.approval {
        let bytes = output::read(path)
            .map_err(|error| Failure::usage(format!("failed to read the approval {}: {error}", path.display())))?;
        let note = deployment.trust.read(&bytes, &deployment.name, now).map_err(|refusal| {
            Failure::new(Exit::Refused, format!("the approval {} is refused: {refusal}", path.display()))
        })?;
        notes.push(note);
    }
    Ok(notes)
}
