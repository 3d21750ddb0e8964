//! What a run came to, in figures.

use super::{
    MOST, Measures, OTHER, Value,
    catalogue::{self as of, Measure},
    owners::{self, Owners},
};
use crate::engine::Outcome;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};
use sweeper_core::{
    calls,
    exit::Exit,
    inventory::Status,
    model::{Class, CloudId, Timestamp},
    money::Amount,
    policy::watch::{self, Watched},
    report::{Report, Saving, Seen, Verdict},
    slo::{Objective, Slo},
};

/// Causes of blindness that are told apart.
const CAUSES: usize = 20;

impl Measures {
    /// What a run saw and found, and what it took.
    pub fn of(outcome: &Outcome, report: &Report<'_>) -> Self {
        let mut measures = Self::default();
        let sealed = &outcome.sealed;
        measures.ended(Exit::of(&report.run.exit), sealed.survey.started, sealed.finished);
        for exit in Exit::ORDER.into_iter().filter(|exit| *exit != Exit::Done) {
            let count = report.run.exit.iter().filter(|cause| cause.code == exit.code()).count();
            measures.set(&of::CAUSES, &[&exit.code().to_string()], count);
        }
        measures.found(report);
        measures.decided(report);
        measures.seen(outcome, report);
        measures.calls(outcome, report);
        measures.watched(outcome);
        if let Some(slo) = &report.slo {
            measures.objectives(slo);
        }
        measures
    }

    /// A run that ended without an outcome.
    pub fn failed(exit: Exit, started: Timestamp, finished: Timestamp) -> Self {
        let mut measures = Self::default();
        measures.ended(exit, started, finished);
        measures
    }

    /// Whether the audit log was found sound.
    pub fn verified(is_sound: bool, at: Timestamp) -> Self {
        let mut measures = Self::default();
        measures.set(&of::VERIFIED, &[], u64::from(is_sound));
        measures.set(&of::VERIFIED_AT, &[], Value::Seconds(at.0));
        measures
    }

    /// Notices of a run by a channel, by what became of them: `delivered`, `undelivered`, `waiting`.
    pub fn noticed(&mut self, channel: &str, outcome: &'static str, count: u64) {
        self.add(&of::NOTICES, &[channel, outcome], count);
    }

    fn ended(&mut self, exit: Exit, started: Timestamp, finished: Timestamp) {
        self.set(&of::FINISHED, &[], Value::Seconds(finished.0));
        self.set(&of::DURATION, &[], Value::Seconds(finished.since(started).max(0)));
        self.set(&of::EXIT, &[], u64::from(exit.code()));
    }

    /// What is wasted, each resource once, and every finding.
    fn found(&mut self, report: &Report<'_>) {
        let wasted = || {
            report
                .glances()
                .filter(|glance| glance.counted && glance.verdict == Verdict::Found && glance.saving != Saving::Nothing)
        };
        let mut waste: BTreeMap<&str, (Amount, u64)> = BTreeMap::new();
        for glance in wasted() {
            let own = waste.entry(owners::name(glance.owner)).or_default();
            own.0 += glance.saving.amount().unwrap_or_default();
            own.1 += 1;
        }
        let owners = Owners::of(&waste);
        self.set(&of::OWNERS_FOLDED, &[], owners.folded);
        for glance in wasted() {
            let class = glance.resource.kind().class.name();
            let labels = [owners.label(owners::name(glance.owner)), class];
            self.add(&of::ORPHANS, &labels, 1_u64);
            match glance.saving {
                Saving::Firm(amount) => self.add(&of::WASTE_FIRM, &labels, amount),
                Saving::UpTo(amount) => self.add(&of::WASTE_UP_TO, &labels, amount),
                Saving::Unpriced => self.add(&of::UNPRICED, &[class], 1_u64),
                Saving::Nothing => {}
            }
        }
        let mut findings: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
        for glance in report.glances() {
            let detector = glance.policy.sweep.map_or(glance.policy.name.as_str(), |detector| detector.spec.id);
            let key = (detector, glance.policy.severity.name(), glance.verdict.name());
            *findings.entry(key).or_default() += 1;
        }
        for (at, ((detector, severity, verdict), count)) in findings.into_iter().enumerate() {
            let detector = if at < MOST { detector } else { OTHER };
            self.add(&of::FINDINGS, &[detector, severity, verdict], count);
        }
    }

    fn decided(&mut self, report: &Report<'_>) {
        for (at, (decision, sum)) in report.totals().by_reason.iter().enumerate() {
            let decision = if at < MOST { decision } else { OTHER };
            self.add(&of::DECIDED, &[decision], sum.resources);
            self.add(&of::DECIDED_DOLLARS, &[decision], sum.most());
        }
    }

    fn seen(&mut self, outcome: &Outcome, report: &Report<'_>) {
        let inventory = &outcome.sealed.survey.inventory;
        let mut classes: BTreeMap<Class, u64> = BTreeMap::new();
        for (kind, _, covered) in inventory.coverage() {
            if kind.class != Class::Referrer && matches!(covered.status, Status::Complete | Status::None { .. }) {
                *classes.entry(kind.class).or_default() += u64::from(covered.resources);
            }
        }
        for (class, count) in classes {
            self.set(&of::RESOURCES, &[class.name()], count);
        }
        let mut scopes: BTreeMap<(CloudId, Seen), BTreeSet<(String, String)>> = BTreeMap::new();
        let mut listings: BTreeMap<(CloudId, Seen), u64> = BTreeMap::new();
        for covered in report.coverage() {
            *listings.entry((covered.cloud, covered.status)).or_default() += 1;
            if matches!(covered.status, Seen::Blind | Seen::Waived) {
                scopes.entry((covered.cloud, covered.status)).or_default().insert((covered.account, covered.region));
            }
        }
        let clouds: BTreeSet<CloudId> = listings.keys().map(|(cloud, _)| *cloud).collect();
        // A cloud without any has a zero: an alert must be able to end.
        for cloud in clouds {
            for status in [Seen::Complete, Seen::None, Seen::Waived, Seen::Blind] {
                let count = listings.get(&(cloud, status)).copied().unwrap_or(0);
                self.set(&of::LISTINGS, &[cloud.name(), status.name()], count);
            }
            for (measure, status) in [(&of::BLIND, Seen::Blind), (&of::WAIVED, Seen::Waived)] {
                self.set(measure, &[cloud.name()], scopes.get(&(cloud, status)).map_or(0, BTreeSet::len));
            }
        }
        let mut causes: Vec<(String, u64)> =
            report.blind().into_iter().map(|(cause, (listings, questions))| (cause, listings + questions)).collect();
        causes.sort_by_key(|(_, count)| Reverse(*count));
        for (at, (cause, count)) in causes.iter().enumerate() {
            self.add(&of::BLIND_CAUSES, &[if at < CAUSES { cause } else { OTHER }], *count);
        }
    }

    /// What looking took. A survey that was read from a file says what it cost, and not what was tried again.
    fn calls(&mut self, outcome: &Outcome, report: &Report<'_>) {
        let journal = &outcome.sealed.survey.journal;
        if journal.is_empty() {
            for (op, api) in &report.run.cost.by_api {
                let labels = [cloud_of(op), calls::service(op)];
                self.add(&of::CALLS, &labels, api.calls);
                self.add(&of::COST, &labels, api.usd);
            }
        }
        for ((scope, op), tally) in journal {
            let labels = [scope.cloud.name(), calls::service(op)];
            let counts: [(&'static Measure, u64); 4] = [
                (&of::CALLS, tally.calls),
                (&of::THROTTLED, tally.throttled),
                (&of::FAILED, tally.failed),
                (&of::RETRIED, tally.retried),
            ];
            for (measure, count) in counts {
                self.add(measure, &labels, count);
            }
            self.add(&of::COST, &labels, tally.usd);
            // Each try is charged alike.
            let retries = tally.usd.scaled(i128::from(tally.retried), i128::from(tally.calls));
            self.add(&of::RETRY_COST, &labels, retries);
        }
    }

    fn watched(&mut self, outcome: &Outcome) {
        for told in &outcome.told {
            self.add(&of::WATCHES, &[told.watch.name(), told.outcome.name()], 1_u64);
            if told.watch == Watched::BillDelta {
                let amount = told.amount.filter(|_| told.outcome == watch::Outcome::Alert).unwrap_or_default();
                let currency = if told.currency.is_empty() { "USD" } else { &told.currency };
                // Known to be nothing is zero; not known is no value.
                if told.outcome != watch::Outcome::Unknown {
                    self.add(&of::UNEXPLAINED, &[currency], amount);
                }
            }
        }
    }
}

impl Measures {
    /// What is left of the budgets. They come with the most spent first, so that those that are told apart are those
    /// that matter.
    fn objectives(&mut self, slo: &Slo) {
        for objective in Objective::ALL {
            if let Some(limit) = slo.limits.of(objective) {
                self.set(&of::SLO_LIMIT, &[objective.name()], limit);
            }
        }
        self.set(&of::SLO_UNAGED, &[], slo.unaged);
        let mut apart: BTreeSet<&str> = BTreeSet::new();
        for budget in &slo.budgets {
            if apart.len() < owners::APART {
                apart.insert(&budget.owner);
            }
            let owner = if apart.contains(budget.owner.as_str()) { &budget.owner } else { OTHER };
            let objective = budget.objective.name();
            self.add(&of::SLO_SPENT, &[owner, objective], budget.spent);
            self.least(&of::SLO_REMAINING, &[owner, objective], budget.share());
            for burn in &budget.burn {
                self.most(&of::SLO_BURN, &[owner, objective, &format!("{}d", burn.days)], burn.rate);
            }
        }
    }
}

/// The cloud of a permission: `ec2:…`, `Microsoft.Compute/…`, `compute.disks.list`.
fn cloud_of(op: &str) -> &'static str {
    if op.contains(':') {
        CloudId::Aws.name()
    } else if op.contains('/') {
        CloudId::Azure.name()
    } else {
        CloudId::Gcp.name()
    }
}
