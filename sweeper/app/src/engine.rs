//! The core's engine behind `report`, `survey`, `explain`, `demo` and `daemon`, and the report of what it comes to.

use crate::{exit::Exit, render::summary::blind};
use sweeper_core::{
    detect::Severity,
    policy::{PolicySet, watch},
    report::{Report, Verdict},
    slo::Slo,
};

pub use sweeper_core::engine::{Inputs, Outcome, run_on, specs_of};

/// The report of an outcome, with every cause of its exit code.
pub fn report<'a>(outcome: &'a Outcome, set: &'a PolicySet, id: String, fail_on: Option<Severity>) -> Report<'a> {
    let mut report = Report::new(outcome.parts(set), id, crate::TOOL);
    report.told.clone_from(&outcome.told);
    let terms = outcome.sealed.house.slo.as_ref();
    report.slo = terms.map(|terms| Slo::of(&report, terms, &|glance| report.is_backlog(glance)));
    let mut causes = outcome.causes.clone();
    if let Some(least) = fail_on {
        // What somebody excepted, with a reason and an end, fails nobody's build.
        let count = report
            .glances()
            .filter(|glance| {
                glance.verdict == Verdict::Found && glance.policy.severity >= least && glance.reason != "excepted"
            })
            .count();
        if count > 0 {
            causes.push(Exit::FailOn.cause(format!("{count} findings of severity {} or above", least.name())));
        }
        let alerts = outcome.told.iter().filter(|told| told.outcome == watch::Outcome::Alert && told.severity >= least);
        let alerts = alerts.count();
        if alerts > 0 {
            causes.push(Exit::FailOn.cause(format!("{alerts} alerts of severity {} or above", least.name())));
        }
    }
    for (why, (listings, questions)) in report.blind() {
        causes.push(Exit::Blind.cause(format!("{why}: {}", blind(listings, questions))));
    }
    let unknown = outcome.told.iter().filter(|told| told.outcome == watch::Outcome::Unknown);
    causes.extend(unknown.map(|told| Exit::Blind.cause(format!("`{}` is not known: {}", told.policy, told.says))));
    causes.extend(outcome.sealed.house.iac.troubles(outcome.now).map(|why| Exit::Blind.cause(why)));
    causes.extend(outcome.sealed.house.referrers.troubles(outcome.now).map(|why| Exit::Blind.cause(why)));
    report.run.exit = causes;
    report
}

/// Judges a survey that was taken before.
pub fn judge(
    sealed: sweeper_core::survey_file::Sealed,
    set: &PolicySet,
    now: Option<sweeper_core::model::Timestamp>,
) -> Outcome {
    sweeper_core::engine::judge(sealed, set, now, &crate::clouds::specs())
}

#[cfg(test)]
mod tests;
