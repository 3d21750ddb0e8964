//! The one function behind `report`, `survey`, `explain`, `demo` and `daemon`: list, judge, ask what the
//! judging still asks, judge again, move the clocks on, seal. [`judged`] is all of it but the listing, for what several
//! processes listed.

use crate::{
    answers::{Answer, Ask},
    baseline,
    begun::Begun,
    calls::Calls,
    costs::{Billed, CostSheet},
    detect::View,
    environment,
    exit::Exit,
    floor, history,
    house::House,
    inventory::Resource,
    kind::{Cloud, KindSpec, Prices},
    ledger::{self, Ledger, LedgerSlice},
    live,
    made_again::{self, MadeAgain},
    model::{CloudId, Timestamp},
    money::Cost,
    policy::{self, Evaluation, PolicySet, Told, quota},
    report::{Cause, Parts},
    shard,
    store::{Store, StoreError},
    survey::{self, Progress, Survey, Universes, Wanted},
    survey_file::{RunCost, Sealed},
    waiver::Waiver,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// How often questions are put, at most: what a judge asks may depend on an answer, seldom on more.
const ROUNDS: usize = 4;

/// What a run is told.
pub struct Inputs<'a> {
    pub universes: &'a Universes,
    pub calls: &'a Calls,
    pub set: &'a PolicySet,
    pub house: House,
    pub waivers: Vec<Waiver>,
    /// Ids by cloud; none: every account of its universe.
    pub accounts: BTreeMap<CloudId, BTreeSet<String>>,
    /// By cloud; none: every enabled region.
    pub regions: BTreeMap<CloudId, BTreeSet<String>>,
    /// Also kinds that no policy needs.
    pub all_kinds: bool,
    /// Clouds whose whole organisation is asked for.
    pub whole: BTreeSet<CloudId>,
    pub prices: &'a dyn Prices,
    /// What the bill says of single resources, where there is one; it goes before list prices.
    pub billed: Option<&'a dyn Billed>,
    pub ledger: Option<&'a dyn Ledger>,
    /// Where the evidence floor is kept, and what was made again: see [`floor`] and [`made_again`].
    pub state: Option<&'a dyn Store>,
    pub progress: &'a dyn Progress,
    /// Judged as if it were then; the ledger is left alone.
    pub now: Option<Timestamp>,
}

/// A run's outcome: a survey, judged.
pub struct Outcome {
    pub sealed: Sealed,
    pub evaluation: Evaluation,
    pub now: Timestamp,
    /// What people should know, lower-case fragments.
    pub warnings: Vec<String>,
    /// What was wrong beside what was not seen.
    pub causes: Vec<Cause>,
    /// What came of policies that watch: of quotas; whoever has bills and history at hand adds the others.
    pub told: Vec<Told>,
}

/// Looks and judges.
pub async fn run(inputs: Inputs<'_>) -> Outcome {
    run_on(None, inputs).await
}

/// As [`run`], from where an earlier look was ended.
pub async fn run_on(begun: Option<Begun>, inputs: Inputs<'_>) -> Outcome {
    let wanted = wanted(&inputs);
    let survey = survey::list_on(begun, inputs.universes, &wanted, inputs.calls, inputs.progress).await;
    let (given, cost) = (BTreeMap::new(), RunCost::default());
    judged(Seen { survey, given, cost, doubt: None, by_others: false }, inputs).await
}

/// What to look at, for these policies.
pub fn wanted(inputs: &Inputs<'_>) -> Wanted {
    let clouds = inputs.universes.clouds.iter();
    let specs: Vec<_> = clouds.flat_map(|(cloud, _)| cloud.kinds().iter().map(|kind| kind.spec())).collect();
    Wanted {
        kinds: (!inputs.all_kinds).then(|| policy::wanted(inputs.set, &specs)),
        accounts: inputs.accounts.clone(),
        regions: inputs.regions.clone(),
    }
}

/// What was listed, by this process or by others.
pub struct Seen {
    pub survey: Survey,
    /// Answers that are known already.
    pub given: BTreeMap<Ask, Answer>,
    /// What the calls of other processes came to.
    pub cost: RunCost,
    /// Why the clock of another process is not trusted, if it is not.
    pub doubt: Option<String>,
    /// Other processes listed: this one has entered no account yet.
    pub by_others: bool,
}

/// Accepts what waivers do, and does not believe listings that fell: what comes before any search.
fn prepare(survey: &mut Survey, inputs: &Inputs<'_>) -> Result<(), StoreError> {
    let taken_at = survey.taken_at;
    survey.inventory.waive(|kind, scope, _| {
        let waiver = inputs.waivers.iter().find(|waiver| waiver.covers(kind, scope, taken_at))?;
        Some((waiver.reason.clone(), waiver.until.clone()))
    });
    let Some(store) = inputs.state else { return Ok(()) };
    floor::load(store).map(|floor| drop(floor.suspend(&mut survey.inventory)))
}

/// The house, with the leases of the state.
fn leased(inputs: &Inputs<'_>) -> House {
    let house = inputs.house.clone();
    match inputs.state {
        Some(store) => House { environments: environment::load(store), ..house },
        None => house,
    }
}

/// What is asked first of what was listed, for others to ask it. Writes nothing.
pub fn asks(survey: &mut Survey, inputs: &Inputs<'_>) -> BTreeSet<Ask> {
    let clouds: Vec<Arc<dyn Cloud>> = inputs.universes.clouds.iter().map(|(cloud, _)| Arc::clone(cloud)).collect();
    // A floor that cannot be read blinds nothing, and then more is asked.
    let _ = prepare(survey, inputs);
    let costs = price(survey, &clouds, inputs.prices, inputs.billed);
    evaluate(survey, inputs.set, &leased(inputs), inputs.now.unwrap_or(survey.taken_at), &costs).0.asks
}

/// Judges what was listed, asks what is not known yet, moves the clocks on and seals.
pub async fn judged(seen: Seen, inputs: Inputs<'_>) -> Outcome {
    let mut house = leased(&inputs);
    let trouble = house.environments.trouble();
    let exit = |why: &str| if why.starts_with("state is damaged") { Exit::Damaged } else { Exit::Blind };
    let mut causes: Vec<Cause> =
        trouble.iter().map(|why| exit(why).cause(format!("leases are not known: {why}"))).collect();
    let leases = trouble.map(|why| format!("leases are not known, so everything is held: {why}"));
    let Inputs { universes, calls, set, progress, .. } = inputs;
    let clouds: Vec<Arc<dyn Cloud>> = universes.clouds.iter().map(|(cloud, _)| Arc::clone(cloud)).collect();
    let clouds = clouds.as_slice();
    let Seen { mut survey, mut given, cost: others, doubt, by_others } = seen;
    let taken_at = survey.taken_at;
    let now = inputs.now.unwrap_or(taken_at);
    let fell = prepare(&mut survey, &inputs);
    let costs = price(&survey, clouds, inputs.prices, inputs.billed);
    let mut asked: BTreeSet<Ask> = BTreeSet::new();
    let (mut evaluation, mut told) = evaluate(&survey, set, &house, now, &costs);
    for _ in 0..ROUNDS {
        let new: BTreeSet<Ask> = evaluation.asks.difference(&asked).copied().collect();
        if new.is_empty() {
            break;
        }
        asked.extend(&new);
        let mut known: BTreeMap<Ask, Answer> = new.iter().filter_map(|ask| given.remove_entry(ask)).collect();
        let mut rest: BTreeSet<Ask> = new.into_iter().filter(|ask| !known.contains_key(ask)).collect();
        if by_others {
            let closed = shard::closed(universes, &survey.inventory, &rest).await;
            rest.retain(|ask| !closed.contains_key(ask));
            known.extend(closed);
        }
        survey::settle(&mut survey, clouds, known);
        if !rest.is_empty() {
            survey::answer(&mut survey, clouds, rest, calls, progress).await;
        }
        (evaluation, told) = evaluate(&survey, set, &house, now, &costs);
    }
    let mut warnings = expired(&inputs.waivers, taken_at);
    let lasting = inputs.now.is_none();
    let floor = match fell {
        Ok(()) if !lasting => Ok(()),
        Ok(()) => inputs.state.map_or(Ok(()), |store| floor::remember(store, &survey.inventory)),
        Err(error) => Err(error),
    };
    let (made_again, floor) = match inputs.state.map(made_again::load).transpose() {
        Ok(known) => (known.unwrap_or_default(), floor),
        Err(error) => (MadeAgain::default(), floor.and(Err(error))),
    };
    let ledger = inputs.ledger.filter(|_| lasting);
    let slice = clocks(
        (ledger, floor, calls, doubt),
        &survey,
        &costs,
        set,
        &house,
        now,
        &evaluation,
        &mut warnings,
        &mut causes,
    );
    // A look whose time is in doubt has no place among others.
    if lasting
        && slice.doubt().is_none()
        && let Some(store) = inputs.state
        && let Err(error) = history::counts::remember(store, &survey.inventory, &house, taken_at)
    {
        if matches!(error, StoreError::Damaged(_)) {
            causes.push(Exit::Damaged.cause(error.to_string()));
        }
        warnings.push(format!("how many resources there are is not remembered: {error}"));
    }
    survey.journal = calls.journal();
    let mut cost = RunCost::of(&survey.journal);
    cost.add(&others);
    warnings.extend(house.iac.troubles(now));
    warnings.extend(house.referrers.troubles(now));
    warnings.extend(leases);
    house.iac.keep_only(&survey.inventory);
    house.referrers.keep_only(&survey.inventory);
    house.made_again = made_again;
    match inputs.state.map(baseline::load).transpose() {
        Ok(known) => house.baseline = known.unwrap_or_default(),
        Err(error) => {
            warnings.push(format!("the baseline cannot be read, so everything counts as new: {error}"));
            house.baseline.trouble = Some(error.to_string());
        }
    }
    house.made_again.keep_only(&survey.inventory);
    let sealed = Sealed {
        survey,
        finished: calls.clock().wall(),
        whole: inputs.whole,
        house,
        waivers: inputs.waivers,
        costs,
        ledger: slice,
        cost,
    };
    warn_unmatched(set, &evaluation, now, &mut warnings);
    Outcome { sealed, evaluation, now, warnings, causes, told }
}

/// Judges a survey that was taken before, with the kinds that this build knows. Reads and writes nothing.
pub fn judge(mut sealed: Sealed, set: &PolicySet, now: Option<Timestamp>, known: &[&'static KindSpec]) -> Outcome {
    let now = now.unwrap_or(sealed.survey.taken_at);
    sealed.ledger.check(sealed.finished);
    let (evaluation, told) = evaluate(&sealed.survey, set, &sealed.house, now, &sealed.costs);
    let mut warnings = Vec::new();
    let specs = sealed.survey.inventory.kinds();
    let missing: Vec<&str> =
        policy::wanted(set, known).into_iter().filter(|id| !specs.iter().any(|spec| spec.id == *id)).collect();
    if !missing.is_empty() {
        warnings.push(format!("the survey did not list {}, which the policies need", missing.join(", ")));
    }
    warnings.extend(sealed.house.iac.troubles(now));
    warnings.extend(sealed.house.referrers.troubles(now));
    warn_unmatched(set, &evaluation, now, &mut warnings);
    Outcome { sealed, evaluation, now, warnings, causes: Vec::new(), told }
}

impl Outcome {
    /// What a report or a plan is made of.
    pub fn parts<'a>(&'a self, set: &'a PolicySet) -> Parts<'a> {
        Parts { sealed: &self.sealed, now: self.now, house: &self.sealed.house, set, evaluation: &self.evaluation }
    }
}

/// The passports of every kind of some clouds.
pub fn specs_of(clouds: &[Arc<dyn Cloud>]) -> Vec<&'static KindSpec> {
    clouds.iter().flat_map(|cloud| cloud.kinds().iter().map(|kind| kind.spec())).collect()
}

fn price(survey: &Survey, clouds: &[Arc<dyn Cloud>], prices: &dyn Prices, billed: Option<&dyn Billed>) -> CostSheet {
    let kinds: BTreeMap<&str, _> =
        clouds.iter().flat_map(|cloud| cloud.kinds()).map(|kind| (kind.spec().id, kind)).collect();
    let list = |resource: Resource<'_>| {
        kinds.get(resource.kind().id).map_or_else(Cost::unknown, |kind| live::price(kind.as_ref(), resource, prices))
    };
    match billed {
        Some(billed) => CostSheet::billed(&survey.inventory, billed, list),
        None => CostSheet::of(&survey.inventory, list),
    }
}

fn evaluate(
    survey: &Survey,
    set: &PolicySet,
    house: &House,
    now: Timestamp,
    costs: &CostSheet,
) -> (Evaluation, Vec<Told>) {
    let view = View::new(&survey.inventory, &survey.answers, house, now);
    let mut evaluation = policy::evaluate(set, &view, costs);
    let told = quota::judge(set, &view, costs);
    evaluation.asks.extend(view.take_notes().asks);
    (evaluation, told)
}

/// Moves the ledger's clocks on. State that cannot be used costs only the knowledge since when.
#[expect(clippy::too_many_arguments, reason = "one step of `run`, which has all of it at hand")]
fn clocks(
    (ledger, floor, calls, doubt): (Option<&dyn Ledger>, Result<(), StoreError>, &Calls, Option<String>),
    survey: &Survey,
    costs: &CostSheet,
    set: &PolicySet,
    house: &House,
    now: Timestamp,
    evaluation: &Evaluation,
    warnings: &mut Vec<String>,
    causes: &mut Vec<Cause>,
) -> LedgerSlice {
    let mut failed = |error: String| {
        if error.starts_with("state is damaged") {
            causes.push(Exit::Damaged.cause(error.clone()));
        }
        warnings.push(format!("the state cannot be used, so everything counts as first seen in this run: {error}"));
    };
    // Without the floor nobody knows what the clocks were moved on by.
    let before = ledger.map(|ledger| floor.map_err(|error| error.to_string()).and_then(|()| ledger.load()));
    let (before, usable) = match before {
        Some(Ok(mut before)) => {
            before.check(calls.clock().wall());
            if let Some(why) = calls.clocks().doubt().or(doubt) {
                before.distrust(why);
            }
            (before, true)
        }
        Some(Err(error)) => {
            failed(error);
            (LedgerSlice::default(), false)
        }
        None => (LedgerSlice::default(), false),
    };
    let view = View::new(&survey.inventory, &survey.answers, house, now);
    let advanced = ledger::advance(before, set, &view, costs, evaluation, ledger::MAX_GAP);
    if let Some(why) = advanced.slice.doubt() {
        warnings.push(format!(
            "the clock cannot be trusted, so nothing is done and no clock moves: {why}; \
             set it, or start again with `sweeper ledger restart`"
        ));
    } else if usable
        && let Some(ledger) = ledger
        && let Err(error) = ledger.merge(&advanced)
    {
        failed(error);
    }
    advanced.slice
}

fn expired(waivers: &[Waiver], now: Timestamp) -> Vec<String> {
    waivers
        .iter()
        .filter(|waiver| waiver.ends <= now)
        .map(|waiver| format!("the waiver of {} ended {}", waiver.accounts.join(", "), waiver.until))
        .collect()
}

fn warn_unmatched(set: &PolicySet, evaluation: &Evaluation, now: Timestamp, warnings: &mut Vec<String>) {
    for problem in policy::unmatched(set, evaluation, now) {
        warnings.push(format!("{}:{}: {}", problem.at.path, problem.at.line, problem.message));
    }
}
