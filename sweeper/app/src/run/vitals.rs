//! How a daemon is: whether it is alive and ready, and what it measures. Written by the daemon, read by whoever asks.

use super::agenda::{self, Step};
use crate::{
    config::Entry,
    measures::{Measures, Value, catalogue as of},
    render::inert,
};
use hyper::StatusCode;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use sweeper_core::{clock::Clock, model::Timestamp};

/// A loop that has not come round for this long is stuck.
const STUCK: Duration = Duration::from_mins(2);

/// What is known of one schedule.
#[derive(Clone, Debug)]
struct Schedule {
    entry: Entry,
    /// When it was last begun, skipped or first seen.
    last: Timestamp,
    ended: Option<Timestamp>,
    /// By exit code, since the start.
    runs: BTreeMap<u8, u64>,
    skipped: u64,
    /// Left to another daemon.
    yielded: u64,
    /// Times that passed and were made up for by one run.
    missed: u64,
    /// How late the last run began, seconds.
    late: i64,
    took: Duration,
}

/// How the daemon is.
pub struct Vitals<C> {
    clock: C,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    beat: Duration,
    /// In the order of the config.
    schedules: Vec<Schedule>,
    running: Option<String>,
    /// What the policies are, for people.
    policies: String,
    commit: String,
    digest: String,
    /// Why the newest policies are refused.
    refused: Option<String>,
    reloads: [u64; 2],
    /// Why the state cannot be reached.
    unreachable: Option<String>,
    /// What the last run measured.
    measured: String,
}

impl<C: Clock> Vitals<C> {
    pub fn new(clock: C) -> Self {
        let beat = clock.mono();
        Self { clock, known: Mutex::new(Known { beat, ..Known::default() }) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop has come round.
    pub fn beat(&self) {
        self.known().beat = self.clock.mono();
    }

    /// Policies and schedules are in force, each of which last ran then.
    pub fn took(&self, policies: String, digest: &str, commit: Option<&str>, schedules: Vec<(Entry, Timestamp)>) {
        let mut known = self.known();
        known.policies = policies;
        digest.clone_into(&mut known.digest);
        commit.unwrap_or_default().clone_into(&mut known.commit);
        known.refused = None;
        let mut before = std::mem::take(&mut known.schedules);
        for (entry, last) in schedules {
            let own = before.iter().position(|own| own.entry.name == entry.name).map(|at| before.swap_remove(at));
            let new = Schedule {
                last,
                ended: None,
                runs: BTreeMap::new(),
                skipped: 0,
                yielded: 0,
                missed: 0,
                late: 0,
                took: Duration::ZERO,
                entry: entry.clone(),
            };
            known.schedules.push(own.map_or(new, |own| Schedule { entry, last, ..own }));
        }
    }

    /// Counts policies that were read anew.
    pub fn reloaded(&self) {
        self.known().reloads[0] += 1;
    }

    /// The policies that are there are refused.
    pub fn refused(&self, why: &str) {
        let mut known = self.known();
        known.reloads[1] += 1;
        known.refused = Some(why.to_owned());
    }

    /// Whether the state can be reached.
    pub fn state(&self, unreachable: Option<String>) {
        self.known().unreachable = unreachable;
    }

    /// A schedule was begun, skipped, or was run by somebody else.
    pub fn last(&self, name: &str, at: Timestamp) {
        self.of(name, |own| own.last = at);
    }

    pub fn skipped(&self, name: &str) {
        self.of(name, |own| own.skipped += 1);
    }

    /// Another daemon had begun the run that was due.
    pub fn yielded(&self, name: &str) {
        self.of(name, |own| own.yielded += 1);
    }

    /// A run has begun, this late, and makes up for so many times that were missed.
    pub fn began(&self, name: &str, late: i64, missed: usize) {
        self.of(name, |own| {
            own.late = late;
            own.missed += missed as u64;
        });
        self.known().running = Some(name.to_owned());
    }

    /// The run has ended.
    pub fn ended(&self, name: &str, at: Timestamp, code: u8, took: Duration) {
        self.of(name, |own| {
            own.ended = Some(at);
            own.took = took;
            *own.runs.entry(code).or_default() += 1;
        });
        self.known().running = None;
    }

    /// What the last run measured, as Prometheus reads it.
    pub fn measured(&self, text: String) {
        self.known().measured = text;
    }

    fn of(&self, name: &str, change: impl FnOnce(&mut Schedule)) {
        if let Some(own) = self.known().schedules.iter_mut().find(|own| own.entry.name == name) {
            change(own);
        }
    }

    /// Whether the loop comes round.
    pub fn alive(&self) -> (StatusCode, String) {
        let silent = self.clock.mono().saturating_sub(self.known().beat);
        if silent > STUCK {
            return (StatusCode::SERVICE_UNAVAILABLE, format!("stuck for {} s\n", silent.as_secs()));
        }
        (StatusCode::OK, "alive\n".to_owned())
    }

    /// Whether everything is as it should be, line by line.
    pub fn ready(&self) -> (StatusCode, String) {
        let now = self.clock.wall();
        let known = self.known();
        let mut text = String::new();
        let mut is_ready = true;
        let mut line = |what: &str, is_well: bool, said: &str| {
            is_ready &= is_well;
            // A string takes any text.
            let _ = writeln!(
                text,
                "{} {}: {}",
                if is_well { "ok" } else { "not ready" },
                inert::line(what),
                inert::line(said)
            );
        };
        match &known.refused {
            Some(why) => {
                line("policies", false, &format!("the newest are refused, {} stay in force: {why}", known.policies));
            }
            None => line("policies", true, &known.policies),
        }
        match &known.unreachable {
            Some(why) => line("state", false, why),
            None => line("state", true, "reachable"),
        }
        for own in &known.schedules {
            let is_running = known.running.as_ref() == Some(&own.entry.name);
            match agenda::overdue(&own.entry, own.last, now).filter(|_| !is_running) {
                Some(late) => line(&own.entry.name, false, &format!("overdue by {late} s")),
                None if is_running => line(&own.entry.name, true, "running"),
                None => {
                    let next = match agenda::step(&own.entry, own.last, now) {
                        Step::Wait(None) => "never again".to_owned(),
                        Step::Wait(Some(at)) => format!("next at {at}"),
                        Step::Hold { due, .. } => format!("due at {due}, and waits for its window"),
                        Step::Run { due, .. } | Step::Skip { due } => format!("due at {due}"),
                    };
                    line(&own.entry.name, true, &next);
                }
            }
        }
        let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, text)
    }

    /// Everything that is measured, as Prometheus reads it.
    pub fn metrics(&self) -> (StatusCode, String) {
        let now = self.clock.wall();
        let known = self.known();
        let mut own = Measures::process();
        own.set(&of::POLICIES, &[&known.commit, &known.digest], 1_u64);
        own.set(&of::RELOAD_FAILED, &[], u64::from(known.refused.is_some()));
        own.set(&of::RELOADS, &["taken"], known.reloads[0]);
        own.set(&of::RELOADS, &["refused"], known.reloads[1]);
        own.set(&of::STATE_REACHABLE, &[], u64::from(known.unreachable.is_none()));
        own.set(&of::RUNNING, &[], u64::from(known.running.is_some()));
        let behind = known.schedules.iter().map(|schedule| schedule.last.since(now)).max();
        own.set(&of::CLOCK_BEHIND, &[], Value::Seconds(behind.unwrap_or(0).max(0)));
        for schedule in &known.schedules {
            let name = schedule.entry.name.as_str();
            for (code, count) in &schedule.runs {
                own.set(&of::RUNS, &[name, &code.to_string()], *count);
            }
            own.set(&of::SKIPPED, &[name], schedule.skipped);
            own.set(&of::YIELDED, &[name], schedule.yielded);
            own.set(&of::MISSED, &[name], schedule.missed);
            if let Some(at) = schedule.ended {
                own.set(&of::LAST_RUN, &[name], Value::Seconds(at.0));
            }
            let next = match agenda::step(&schedule.entry, schedule.last, now) {
                Step::Wait(at) => at,
                Step::Hold { opens, .. } => opens,
                Step::Run { due, .. } | Step::Skip { due } => Some(due),
            };
            if let Some(at) = next {
                own.set(&of::NEXT_RUN, &[name], Value::Seconds(at.0));
            }
            own.set(&of::LATENESS, &[name], Value::Seconds(schedule.late));
            own.set(&of::RUN_SECONDS, &[name], Value::Share(schedule.took.as_secs_f64()));
            own.set(&of::OVERDUE, &[name], Value::Seconds(agenda::waits(&schedule.entry, schedule.last, now)));
        }
        (StatusCode::OK, own.prometheus() + &known.measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;
    use sweeper_core::clock::VirtualClock;

    const START: Timestamp = Timestamp(1_800_000_000);

    fn vitals(text: &str) -> Vitals<VirtualClock> {
        let vitals = Vitals::new(VirtualClock::new(START));
        let schedules = Config::parse("sweeper.toml", text, Path::new("")).unwrap().schedules;
        let schedules = schedules.into_iter().map(|entry| (entry, START)).collect();
        vitals.took("3 policies".to_owned(), "abc", Some("def"), schedules);
        vitals
    }

    const HOURLY: &str = "[[schedule]]\nname = \"hourly\"\ncron = \"0 * * * *\"\n";

    #[test]
    fn a_loop_that_stands_is_not_alive() {
        let vitals = vitals(HOURLY);
        assert_eq!(vitals.alive().0, StatusCode::OK);
        vitals.clock.advance(STUCK + Duration::from_secs(1));
        assert_eq!(vitals.alive(), (StatusCode::SERVICE_UNAVAILABLE, "stuck for 121 s\n".to_owned()));
        vitals.beat();
        assert_eq!(vitals.alive().0, StatusCode::OK);
    }

    #[test]
    fn what_is_not_as_it_should_be_is_said() {
        let vitals = vitals(HOURLY);
        let said = |code: StatusCode, text: &str| {
            let (status, page) = vitals.ready();
            assert!(status == code && page.contains(text), "{text}: {status} {page}");
        };
        said(StatusCode::OK, "ok policies: 3 policies\nok state: reachable\nok hourly: next at 2027-01-15T09:00:00Z\n");
        vitals.state(Some("the bucket\nis away".to_owned()));
        said(StatusCode::SERVICE_UNAVAILABLE, "not ready state: the bucket");
        vitals.state(None);
        vitals.refused("a.toml:3:1");
        said(StatusCode::SERVICE_UNAVAILABLE, "refused, 3 policies stay in force: a.toml:3:1");
        assert_eq!(vitals.alive().0, StatusCode::OK, "what is wrong with policies is no reason to start anew");
        vitals.took("4 policies".to_owned(), "abd", None, Vec::new());
        said(StatusCode::OK, "ok policies: 4 policies");
    }

    #[test]
    fn a_run_that_does_not_come_is_overdue() {
        let vitals = vitals(HOURLY);
        vitals.clock.advance(Duration::from_hours(3));
        assert!(vitals.ready().1.contains("not ready hourly: overdue by 7200 s"), "{}", vitals.ready().1);
        assert!(vitals.metrics().1.contains("sweeper_daemon_overdue_seconds{schedule=\"hourly\"} 7200\n"));
        vitals.began("hourly", 7200, 2);
        assert_eq!(vitals.ready().0, StatusCode::OK, "it has begun");
        vitals.last("hourly", START.plus(10_800));
        vitals.ended("hourly", START.plus(10_805), 3, Duration::from_millis(5250));
        vitals.measured("sweeper_orphans 4\n".to_owned());
        let (_, page) = vitals.metrics();
        for row in [
            "\nsweeper_orphans 4\n",
            "sweeper_daemon_runs_total{schedule=\"hourly\",exit=\"3\"} 1\n",
            "sweeper_daemon_missed_total{schedule=\"hourly\"} 2\n",
            "sweeper_daemon_lateness_seconds{schedule=\"hourly\"} 7200\n",
            "sweeper_daemon_run_seconds{schedule=\"hourly\"} 5.25\n",
            "sweeper_daemon_overdue_seconds{schedule=\"hourly\"} 0\n",
            "sweeper_daemon_last_run_timestamp_seconds{schedule=\"hourly\"} 1800010805\n",
            "sweeper_policies_info{commit=\"def\",digest=\"abc\"} 1\n",
        ] {
            assert!(page.contains(row), "{row}: {page}");
        }
    }

    #[test]
    fn what_another_daemon_did_and_a_clock_that_was_put_back_are_measured() {
        let vitals = vitals(HOURLY);
        let measured = |row: &str| {
            let (_, page) = vitals.metrics();
            assert!(page.contains(row), "{row}: {page}");
        };
        measured("sweeper_daemon_clock_behind_seconds 0\n");
        measured("sweeper_daemon_yielded_total{schedule=\"hourly\"} 0\n");
        vitals.yielded("hourly");
        measured("sweeper_daemon_yielded_total{schedule=\"hourly\"} 1\n");
        vitals.last("hourly", START.plus(240));
        measured("sweeper_daemon_clock_behind_seconds 240\n");
        vitals.clock.advance(Duration::from_mins(5));
        measured("sweeper_daemon_clock_behind_seconds 0\n");
    }

    #[test]
    fn a_run_that_waits_for_its_window_is_not_overdue() {
        // START is a Friday, at eight.
        let vitals = vitals(&format!("{HOURLY}windows = [\"SAT 00:00-24:00\"]\n"));
        vitals.clock.advance(Duration::from_hours(3));
        let said = "ok hourly: due at 2027-01-15T09:00:00Z, and waits for its window\n";
        assert!(vitals.ready().1.contains(said), "{}", vitals.ready().1);
        let opens = Timestamp::parse("2027-01-16T00:00:00Z").unwrap().0;
        let row = format!("sweeper_daemon_next_run_timestamp_seconds{{schedule=\"hourly\"}} {opens}\n");
        assert!(vitals.metrics().1.contains(&row), "{}", vitals.metrics().1);
    }

    #[test]
    fn hostile_names_are_inert() {
        let vitals = vitals("[[schedule]]\nname = \"a\\\"} 1\\n\\u001b[2Jx\\\\\"\ncron = \"0 * * * *\"\n");
        let (_, page) = vitals.metrics();
        let rows = page.lines().filter(|line| line.starts_with("sweeper_daemon_skipped_total"));
        let rows: Vec<&str> = rows.collect();
        assert_eq!(rows.len(), 1, "{page}");
        assert!(rows[0].starts_with("sweeper_daemon_skipped_total{schedule=\"a\\\"} 1") && rows[0].ends_with("\"} 0"));
        assert!(!page.contains('\u{1b}') && !vitals.ready().1.contains('\u{1b}'));
    }
}
