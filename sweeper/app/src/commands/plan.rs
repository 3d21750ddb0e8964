//! `sweeper plan`: what would be done, exactly, for somebody to approve. Changes nothing in any cloud.

use super::{Ended, LookArgs, Settings, counted, prices};
use crate::{
    TOOL,
    config::Config,
    deployment::{self, Deployment},
    exit::{Exit, Failure},
    log,
    measures::Measures,
    output::{self, Target},
    render::plan as show,
    run::carried::Within,
};
use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    path::{Path, PathBuf},
};
use sweeper_core::{
    clock::{Clock as _, SystemClock},
    plan::{self, Order, Plan},
    policy::Verb,
    survey_file,
};

#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    look: LookArgs,
    /// Where the plan goes: a file or an object (s3://, gs://, az://) that is there whole or not at all
    #[arg(long, short, value_name = "FILE|URL", default_value = "plan.json")]
    output: PathBuf,
    /// Only these policies
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    policy: Vec<String>,
    /// Who asks for it, and so may not approve it alone [default: user@host]
    #[arg(long, value_name = "NAME")]
    requester: Option<String>,
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

impl Args {
    /// A plan of every policy, in a folder.
    pub fn all(look: LookArgs, folder: PathBuf) -> Self {
        Self { command: None, look, output: folder, policy: Vec::new(), requester: None, format: Form::Table }
    }
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// Show a plan, after it was held against its name
    Show {
        plan: PathBuf,
        #[arg(long, value_enum, default_value_t = Form::Table)]
        format: Form,
    },
    /// Show how a plan differs from an older one
    Diff { old: PathBuf, new: PathBuf },
}

/// How a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Table,
    Markdown,
    Json,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    match &args.command {
        Some(Command::Show { plan, format }) => {
            shown(&deployment::read_plan(plan)?, *format)?;
            return Ok(Exit::Done);
        }
        Some(Command::Diff { old, new }) => {
            let difference = plan::difference(&deployment::read_plan(old)?, &deployment::read_plan(new)?);
            output::to(None, |mut out| show::write_difference(&difference, &mut out))?;
            return Ok(Exit::Done);
        }
        None => {}
    }
    if args.look.now.is_some() {
        return Err(Failure::usage("a plan is made of what is so now: --now is for reports"));
    }
    let config = Config::find(args.look.config.as_deref())?;
    let settings = Settings::new(&args.look, &config)?;
    let (ended, plan) = draw(&settings, &config, &args, Within::default(), Leave::As).await?;
    shown(&plan, args.format)?;
    log::say(&ended.says);
    Ok(ended.exit())
}

/// What the output of a plan names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The plan's file, which replaces an older one.
    As,
    /// A folder of plans, in which each has a name of its own and replaces nothing: somebody may be reading them.
    In,
}

impl Leave {
    fn path(self, output: &Path, plan: &Plan) -> PathBuf {
        match self {
            Self::As => output.to_owned(),
            Self::In => {
                let stamp = plan.made.to_string().replace(':', "");
                output.join(format!("plan-{stamp}-{}.json", plan.id.get(..12).unwrap_or(&plan.id)))
            }
        }
    }
}

/// Looks, reading no longer than that, and writes the plan.
pub async fn draw(
    settings: &Settings,
    config: &Config,
    args: &Args,
    within: Within<'_>,
    leave: Leave,
) -> Result<(Ended, Plan), Failure> {
    let clock = SystemClock::default();
    let deployment = Deployment::open(args.look.state.as_deref(), config, clock.wall())?;
    let only: BTreeSet<String> = args.policy.iter().cloned().collect();
    if let Some(unknown) = only.iter().find(|name| !settings.set.policies.iter().any(|own| own.name == **name)) {
        return Err(Failure::usage(format!("there is no policy `{unknown}`")).help("`sweeper policy list` shows them"));
    }
    if settings.set.policies.iter().all(|policy| policy.then == Verb::Report) {
        return Err(Failure::usage("every policy only reports: there is nothing to plan")
            .help("`then = \"delete\"` (or tag, stop) in a policy, with `when`, `for`, `grace` and `limit`"));
    }
    let outcome = settings.run_within(within).await?;
    for warning in &outcome.warnings {
        log::warn(warning);
    }
    let survey = survey_file::write(&outcome.sealed, TOOL, io::sink())?;
    let order = Order {
        deployment: deployment.name.clone(),
        requester: args.requester.clone().unwrap_or_else(deployment::person),
        tool: TOOL.to_owned(),
        survey,
        made: clock.wall(),
        only,
    };
    let book = prices::book(&settings.prices, order.made)?;
    let plan = plan::draw(outcome.parts(&settings.set), &order, &config.apply.rules, &book)?;
    let notes = plan::check(&plan, clock.wall(), config.apply.rate);
    if !notes.is_empty() {
        for note in &notes {
            let about = if note.no == 0 { "the plan".to_owned() } else { format!("action {}", note.no) };
            log::warn(&format!("{about}: {}; {}", note.what, note.help));
        }
        return Err(Failure::new(Exit::Refused, "the plan is not fit to be approved: nothing was written"));
    }
    let bytes = plan::write(&plan)?;
    let path = leave.path(&args.output, &plan);
    let place = path.display();
    let unwritten = |error: io::Error| Failure::usage(format!("failed to write {place}: {error}"));
    let mut file = Target::create(&path).map_err(unwritten)?;
    file.write_all(&bytes).map_err(unwritten)?;
    match leave {
        Leave::As => file.keep(),
        Leave::In => file.keep_new(),
    }
    .map_err(unwritten)?;
    let mut report = crate::engine::report(&outcome, &settings.set, plan.id.clone(), None);
    let unremembered = settings.remember(&report);
    report.run.exit.extend(unremembered);
    let says = match (leave, plan.actions.len()) {
        (Leave::As, _) => format!("plan {} in {place}: `sweeper approve {place}` is next", plan.id),
        (Leave::In, 0) => format!("plan {} in {place}: no actions, nothing to approve", plan.id),
        (Leave::In, actions) => format!(
            "plan {} in {place}: {}; `sweeper plan show {place}` shows it, `sweeper approve {place} --key FILE` signs it",
            plan.id,
            counted(actions as u64, "action")
        ),
    };
    let measures = Measures::of(&outcome, &report);
    let ended = Ended { says, measures, causes: report.run.exit, run: report.run.id };
    Ok((settings.counted(ended, &outcome), plan))
}

fn shown(plan: &Plan, form: Form) -> io::Result<()> {
    output::to(None, |mut out| match form {
        Form::Table => show::write_table(plan, &mut out),
        Form::Markdown => show::write_markdown(plan, &mut out),
        Form::Json => out.write_all(&plan::write(plan)?),
    })
}
