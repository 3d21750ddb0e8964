//! Plans, for people.

use super::{explain, inert};
use std::io::{self, Write};
use sweeper_core::{
    apply::{Applied, Ended, copies::Removed},
    money::Amount,
    plan::{Action, Difference, Plan},
};

/// An amount a month as plans show it; `?` where it is not known.
pub fn cost(amount: Option<Amount>) -> String {
    amount.map_or_else(|| "?".to_owned(), |amount| format!("${}", amount.cents()))
}

/// The beginning of a plan's name.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// A plan as a screen shows it.
pub fn write_table(plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "plan {}", plan.id)?;
    writeln!(out, "  {} actions, {} held; good until {}", plan.actions.len(), plan.held.len(), plan.expires)?;
    writeln!(out, "  firm {} a month, up to {} more", cost(Some(plan.totals.firm)), cost(Some(plan.totals.up_to)))?;
    if plan.totals.kept != Amount::ZERO {
        writeln!(out, "  less up to {} a month while copies are kept", cost(Some(plan.totals.kept)))?;
    }
    let seen = &plan.completeness;
    writeln!(
        out,
        "  seen: {} complete, {} none, {} waived, {} blind",
        seen.complete, seen.none, seen.waived, seen.blind
    )?;
    for action in &plan.actions {
        writeln!(out)?;
        write_action(action, out)?;
    }
    if !plan.held.is_empty() {
        writeln!(out, "\nheld:")?;
        for held in &plan.held {
            writeln!(out, "  {}  {}", inert::line(&held.resource), inert::line(&held.reason))?;
        }
    }
    Ok(())
}

fn write_action(action: &Action, out: &mut impl Write) -> io::Result<()> {
    let name = if action.target.name.is_empty() { String::new() } else { format!(" ({})", action.target.name) };
    writeln!(
        out,
        "{:>4}  {} {}{}  {} a month",
        action.no,
        action.deed_kind().name(),
        inert::line(&action.target.id()),
        inert::line(&name),
        cost(action.usd())
    )?;
    let owner = action.owner.as_deref().unwrap_or("nobody");
    writeln!(
        out,
        "      policy {}, owner {}, {}",
        inert::line(&action.policy),
        inert::line(owner),
        action.risk.name()
    )?;
    match &action.keep {
        Some(copy) => {
            writeln!(
                out,
                "      keeps a {} until {}, when it is removed ({} a month); {}",
                copy.keep.name(),
                copy.until.date(),
                cost(copy.monthly_cost.amount),
                inert::line(&action.reversal)
            )?;
        }
        None => writeln!(
            out,
            "      {}: {}",
            if action.risk.is_r() { "undo" } else { "lost" },
            inert::line(&action.reversal)
        )?,
    }
    writeln!(out, "      needs {} approval, {} consent", action.needs.approve.name(), action.needs.consent.name())?;
    for gone in &action.cascade {
        writeln!(out, "      with it: {} ({})", inert::line(&gone.resource), inert::line(&gone.why))?;
    }
    for what in &action.assuming {
        writeln!(out, "      assuming: {}", inert::line(what))?;
    }
    Ok(())
}

/// One action with all that an approver needs: as the plan shows it, why, what was seen, and what comes before it.
pub fn write_whole(action: &Action, out: &mut impl Write) -> io::Result<()> {
    write_action(action, out)?;
    writeln!(out, "      why: {}: {}", inert::line(&action.detector), inert::line(&action.reason))?;
    writeln!(out, "      owner from: {}", inert::line(&action.owner_from))?;
    explain::evidence(&action.because, "      seen: ", out)?;
    if let Some(created) = action.target.created {
        writeln!(out, "      created: {created}")?;
    }
    if !action.after.is_empty() {
        let after: Vec<String> = action.after.iter().map(u32::to_string).collect();
        writeln!(out, "      after: {}", after.join(", "))?;
    }
    Ok(())
}

/// What became of the copies whose time was over.
pub fn write_removed(removed: &Removed, out: &mut impl Write) -> io::Result<()> {
    if removed.ended.is_empty() && removed.stopped.is_none() {
        return writeln!(out, "no kept copy has ended");
    }
    for (entry, copy, ended) in &removed.ended {
        write!(out, "{entry}  {}  {}", inert::line(copy), ended.name())?;
        if let Ended::Skipped(why) | Ended::Failed(why) | Ended::Unknown(why) | Ended::Left(why) = ended {
            write!(out, ": {}", inert::line(why))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A plan for a pull request.
pub fn write_markdown(plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "### Plan `{}`\n", short(&plan.id))?;
    writeln!(
        out,
        "{} actions, {} held. Firm {} a month, up to {} more. Good until {}.\n\nWhole id: `{}`\n",
        plan.actions.len(),
        plan.held.len(),
        cost(Some(plan.totals.firm)),
        cost(Some(plan.totals.up_to)),
        plan.expires,
        plan.id
    )?;
    writeln!(out, "| no | do | resource | owner | a month | risk | needs |\n|---|---|---|---|---|---|---|")?;
    for action in &plan.actions {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            action.no,
            action.deed_kind().name(),
            inert::markdown(&action.target.id()),
            inert::markdown(action.owner.as_deref().unwrap_or("nobody")),
            cost(action.usd()),
            action.risk.name(),
            action.needs.approve.name()
        )?;
    }
    Ok(())
}

/// How two plans differ.
pub fn write_difference(difference: &Difference, out: &mut impl Write) -> io::Result<()> {
    for (policy, resource) in &difference.added {
        writeln!(out, "+ {}  {}", inert::line(resource), inert::line(policy))?;
    }
    for (policy, resource) in &difference.removed {
        writeln!(out, "- {}  {}", inert::line(resource), inert::line(policy))?;
    }
    for (policy, resource, what) in &difference.changed {
        writeln!(out, "~ {}  {}: {}", inert::line(resource), inert::line(policy), inert::line(what))?;
    }
    Ok(())
}

/// What a run came to.
pub fn write_applied(plan: &Plan, applied: &Applied, out: &mut impl Write) -> io::Result<()> {
    let mut saved = Amount::ZERO;
    for action in &plan.actions {
        let Some(ended) = applied.ended.get(&action.no) else { continue };
        let why = match ended {
            Ended::Done { kept, .. } => {
                saved += action.usd().unwrap_or_default();
                kept.as_ref().map_or_else(String::new, |kept| format!("kept {}", kept.native_id))
            }
            Ended::AlreadyGone => String::new(),
            Ended::Skipped(why) | Ended::Failed(why) | Ended::Unknown(why) | Ended::Left(why) => why.clone(),
        };
        writeln!(
            out,
            "{:>4}  {:<12}  {}  {}",
            action.no,
            ended.name(),
            inert::line(&action.target.id()),
            inert::line(&why)
        )?;
    }
    writeln!(out, "\n{} of {} done, {} a month", applied.done(), plan.actions.len(), cost(Some(saved)))?;
    if let Some(stop) = &applied.stopped {
        writeln!(out, "stopped: {}", inert::line(stop.why()))?;
    }
    Ok(())
}
