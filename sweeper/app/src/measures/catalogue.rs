//! Every measure there is: its name, labels, meaning, and who measures it. A name that is here stays, and means what
//! it says; what it means is changed under another name.

/// What may become of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// It rises and falls.
    Gauge,
    /// It rises, and begins at zero with the process.
    Counter,
}

impl Sort {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }
}

/// Who measures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A run that looks: `report`, `survey`, `notify`, `job`, and each of a daemon's.
    Run,
    /// A run that looks, where its state lasts.
    State,
    /// `notify`.
    Notify,
    /// `audit verify`.
    Verify,
    /// A daemon.
    Daemon,
    /// Every process.
    Process,
}

impl By {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::State => "run with a state",
            Self::Notify => "notify",
            Self::Verify => "audit verify",
            Self::Daemon => "daemon",
            Self::Process => "process",
        }
    }
}

/// One measure.
#[derive(Debug)]
pub struct Measure {
    pub name: &'static str,
    pub sort: Sort,
    pub by: By,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

/// The table, and a constant for each of its rows.
macro_rules! measures {
    ($($id:ident $name:literal $sort:ident $by:ident [$($label:literal),*] $help:literal)*) => {
        $(
            #[doc = $help]
            pub static $id: Measure =
                Measure { name: $name, sort: Sort::$sort, by: By::$by, labels: &[$($label),*], help: $help };
        )*
        /// All of them, as the table has them.
        pub static ALL: &[&Measure] = &[$(&$id),*];
    };
}

measures! {
    BUILD "sweeper_build_info" Gauge Process ["version"] "Always 1; the version is a label."
    RESIDENT "sweeper_process_resident_bytes" Gauge Process [] "Memory of the process that is resident."
    DESCRIPTORS "sweeper_process_open_descriptors" Gauge Process [] "File descriptors that the process has open."

    FINISHED "sweeper_run_finished_timestamp_seconds" Gauge Run [] "When the last run ended, whatever it ended with; `time() - …` is its age."
    DURATION "sweeper_run_duration_seconds" Gauge Run [] "How long the last run took."
    EXIT "sweeper_run_exit_code" Gauge Run [] "The exit code of the last run: 0 done, 2 config, 3 blind, 4 --fail-on, 5 actions failed, 6 refused, 7 locked, 8 damaged, 70 a defect."
    CAUSES "sweeper_run_exit_causes" Gauge Run ["code"] "Causes of the exit code, by the code that each stands for."

    RESOURCES "sweeper_resources" Gauge Run ["class"] "Resources that were listed, of every class that policies judge; only listings that were complete count."
    ORPHANS "sweeper_orphans" Gauge Run ["owner", "class"] "Resources that are found wasted, each once, by owner and class. The 50 owners that waste most are told apart, the rest is `other`; `nobody` has none, `unknown` could not be read."
    WASTE_FIRM "sweeper_waste_firm_monthly_dollars" Gauge Run ["owner", "class"] "US dollars a month that are gone from the bill if what is found is deleted."
    WASTE_UP_TO "sweeper_waste_up_to_monthly_dollars" Gauge Run ["owner", "class"] "US dollars a month, upper bounds: beside the firm ones, no more than this."
    UNPRICED "sweeper_unpriced_resources" Gauge Run ["class"] "Resources that are found wasted and have no known price in US dollars."
    FINDINGS "sweeper_findings" Gauge Run ["detector", "severity", "verdict"] "Findings, a policy speaking of a resource; `unknown` where something could not be seen."
    DECIDED "sweeper_decided_resources" Gauge Run ["decision"] "Resources by what becomes of them: report, a verb, or the sort of reason for holding; `unknown` is in no other figure."
    DECIDED_DOLLARS "sweeper_decided_monthly_dollars" Gauge Run ["decision"] "US dollars a month of these, firm and upper bounds together."
    OWNERS_FOLDED "sweeper_owners_folded" Gauge Run [] "Owners that are too many to be told apart: they are `other`."

    LISTINGS "sweeper_listings" Gauge Run ["cloud", "status"] "Listings, of one kind in one scope each: complete, none (nothing can be there), waived, blind."
    BLIND "sweeper_blind_scopes" Gauge Run ["cloud"] "Scopes (account and region) in which something was not seen, beyond waivers."
    WAIVED "sweeper_waived_scopes" Gauge Run ["cloud"] "Scopes in which something was not seen, and a waiver accepts it."
    BLIND_CAUSES "sweeper_blind_causes" Gauge Run ["cause"] "Listings and questions without an answer beyond waivers, by cause; the 20 largest."

    CALLS "sweeper_run_api_calls" Gauge Run ["cloud", "service"] "Calls that the last run made, each try counted."
    THROTTLED "sweeper_run_api_throttled" Gauge Run ["cloud", "service"] "Calls that were throttled."
    FAILED "sweeper_run_api_failed" Gauge Run ["cloud", "service"] "Calls that failed otherwise."
    RETRIED "sweeper_run_api_retried" Gauge Run ["cloud", "service"] "Calls that were tried again."
    COST "sweeper_run_api_cost_dollars" Gauge Run ["cloud", "service"] "US dollars that the paid calls of the last run cost."
    RETRY_COST "sweeper_run_api_retry_cost_dollars" Gauge Run ["cloud", "service"] "The part of it that tries again cost."

    UNEXPLAINED "sweeper_bill_unexplained_amount" Gauge Run ["currency"] "What the bill rose by over its window that nothing explains, in the bill's currency: the sum of what `bill-delta` alerts of."
    WATCHES "sweeper_watches" Gauge Run ["watch", "outcome"] "What came of policies that watch: quiet, learning, alert, unknown."

    SLO_LIMIT "sweeper_slo_limit" Gauge Run ["objective"] "What `[slo]` allows each owner in its window: new orphans, or US dollars a month of them."
    SLO_SPENT "sweeper_slo_spent" Gauge Run ["owner", "objective"] "What of it is spent: what began in the window and still stands. The 50 owners that spent most of theirs; those that spent nothing have none."
    SLO_REMAINING "sweeper_slo_budget_remaining_ratio" Gauge Run ["owner", "objective"] "What is left of the budget, as a share; below zero the objective is missed. Of `other`, the least."
    SLO_BURN "sweeper_slo_burn_rate" Gauge Run ["owner", "objective", "window"] "How fast the budget burns: 1 spends it exactly in the objective's window. Of `other`, the most."
    SLO_UNAGED "sweeper_slo_unaged" Gauge Run [] "Orphans of which nobody knows when they began: in no budget."

    GROWTH "sweeper_growth_ratio" Gauge State ["class"] "By how much the number of resources grows a day, weekdays left out: 0.05 is 5 %. Where there is too little history, nothing."
    AUDIT_BYTES "sweeper_audit_log_bytes" Gauge State [] "Bytes of the audit log, where it is a directory."
    AUDIT_EVENTS "sweeper_audit_log_events" Gauge State [] "Events of the audit log; of one in a bucket, those that the state remembers."
    LOCK_HELD "sweeper_lock_held_seconds" Gauge State [] "For how long the lock has been held by whoever has it; 0 when it is free."

    STATE_READ "sweeper_run_state_reachable" Gauge State [] "1 when the state could be read when the run ended; 0 when it could not, so that nothing of the run is remembered."
    REPEATS "sweeper_trigger_repeats" Gauge State ["schedule"] "How often a trigger came again that was done or being run, and nothing was done for it: of the triggers that the state remembers, the last 200."

    NOTICES "sweeper_notices" Gauge Notify ["channel", "outcome"] "Notices of the last run of `notify`: delivered, undelivered, or waiting for `notices_per_day`."
    VERIFIED "sweeper_audit_verified" Gauge Verify [] "1 when the audit log was sound when it was last verified, 0 when it was not."
    VERIFIED_AT "sweeper_audit_verified_timestamp_seconds" Gauge Verify [] "When it was last verified."

    RUNS "sweeper_daemon_runs_total" Counter Daemon ["schedule", "exit"] "Runs that ended since the daemon started, by exit code."
    RUNNING "sweeper_daemon_running" Gauge Daemon [] "1 while a run is going on."
    LAST_RUN "sweeper_daemon_last_run_timestamp_seconds" Gauge Daemon ["schedule"] "When the last run of a schedule ended."
    NEXT_RUN "sweeper_daemon_next_run_timestamp_seconds" Gauge Daemon ["schedule"] "When a schedule comes next."
    RUN_SECONDS "sweeper_daemon_run_seconds" Gauge Daemon ["schedule"] "How long the last run of a schedule took."
    LATENESS "sweeper_daemon_lateness_seconds" Gauge Daemon ["schedule"] "How late the last run of a schedule began."
    OVERDUE "sweeper_daemon_overdue_seconds" Gauge Daemon ["schedule"] "How long ago a run of a schedule came due that has not begun; 0 when none is waiting."
    SKIPPED "sweeper_daemon_skipped_total" Counter Daemon ["schedule"] "Runs that were due outside their windows and did not come."
    YIELDED "sweeper_daemon_yielded_total" Counter Daemon ["schedule"] "Runs that were due and were left to another daemon, which had begun them."
    MISSED "sweeper_daemon_missed_total" Counter Daemon ["schedule"] "Times that passed without a run and were made up for by one."
    CLOCK_BEHIND "sweeper_daemon_clock_behind_seconds" Gauge Daemon [] "How far the clock is behind the last run that is remembered; 0 when it is not."
    POLICIES "sweeper_policies_info" Gauge Daemon ["commit", "digest"] "Always 1; which policies are in force are labels."
    RELOADS "sweeper_daemon_reloads_total" Counter Daemon ["outcome"] "Policies that were read anew: taken, or refused."
    RELOAD_FAILED "sweeper_policies_reload_failed" Gauge Daemon [] "1 while the policies that are there are refused and older ones are in use."
    STATE_REACHABLE "sweeper_state_reachable" Gauge Daemon [] "1 while the state can be read."
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What Prometheus allows and its conventions ask for.
    #[test]
    fn names_are_as_prometheus_has_them() {
        let names: BTreeSet<&str> = ALL.iter().map(|measure| measure.name).collect();
        assert_eq!(names.len(), ALL.len());
        for measure in ALL {
            let name = measure.name;
            assert!(name.starts_with("sweeper_"), "{name}");
            let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(plain(name) && measure.labels.iter().all(|label| plain(label)), "{name}");
            assert_eq!(name.ends_with("_total"), measure.sort == Sort::Counter, "{name}");
            assert!(measure.help.ends_with('.') && !measure.help.contains(['\n', '|']), "{name}");
        }
    }
}
