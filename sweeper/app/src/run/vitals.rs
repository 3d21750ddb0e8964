//! How a daemon is: whether it is alive and ready, and what it measures. Written by the daemon, read by whoever asks.

use super::agenda::{self, Step};
use crate::{config::Entry, render::inert};
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
/// The longest value of a label, in characters.
const LONGEST: usize = 100;

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
        let (resident, descriptors) = own();
        let known = self.known();
        let mut page = Page::default();
        page.gauge("sweeper_build_info", "Always 1; the version is a label.");
        page.row(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        if let Some(bytes) = resident {
            page.gauge("sweeper_process_resident_bytes", "Memory of the process that is resident.");
            page.row(&[], bytes);
        }
        if let Some(count) = descriptors {
            page.gauge("sweeper_process_open_descriptors", "File descriptors that the process has open.");
            page.row(&[], count);
        }
        page.gauge("sweeper_policies_info", "Always 1; which policies are in force are labels.");
        page.row(&[("commit", &known.commit), ("digest", &known.digest)], 1);
        let help = "1 while the policies that are there are refused and older ones are in use.";
        page.gauge("sweeper_policies_reload_failed", help);
        page.row(&[], u8::from(known.refused.is_some()));
        page.counter("sweeper_daemon_reloads_total", "Policies that were read anew: taken, or refused.");
        page.row(&[("outcome", "taken")], known.reloads[0]);
        page.row(&[("outcome", "refused")], known.reloads[1]);
        page.gauge("sweeper_state_reachable", "1 while the state can be read.");
        page.row(&[], u8::from(known.unreachable.is_none()));
        page.gauge("sweeper_daemon_running", "1 while a run is going on.");
        page.row(&[], u8::from(known.running.is_some()));
        page.counter("sweeper_daemon_runs_total", "Runs that ended since the daemon started, by exit code.");
        for own in &known.schedules {
            for (code, count) in &own.runs {
                page.row(&[("schedule", &own.entry.name), ("exit", &code.to_string())], count);
            }
        }
        page.counter("sweeper_daemon_skipped_total", "Runs that were due outside their windows and did not come.");
        page.each(&known.schedules, |own| Some(own.skipped.to_string()));
        let help = "Times that passed without a run and were made up for by one.";
        page.counter("sweeper_daemon_missed_total", help);
        page.each(&known.schedules, |own| Some(own.missed.to_string()));
        page.gauge("sweeper_daemon_last_run_timestamp_seconds", "When the last run of a schedule ended.");
        page.each(&known.schedules, |own| own.ended.map(|at| at.0.to_string()));
        page.gauge("sweeper_daemon_next_run_timestamp_seconds", "When a schedule comes next.");
        page.each(&known.schedules, |own| {
            let next = match agenda::step(&own.entry, own.last, now) {
                Step::Wait(at) => at,
                Step::Hold { opens, .. } => opens,
                Step::Run { due, .. } | Step::Skip { due } => Some(due),
            };
            next.map(|at| at.0.to_string())
        });
        page.gauge("sweeper_daemon_lateness_seconds", "How late the last run of a schedule began.");
        page.each(&known.schedules, |own| Some(own.late.to_string()));
        page.gauge("sweeper_daemon_run_seconds", "How long the last run of a schedule took.");
        page.each(&known.schedules, |own| Some(format!("{:.3}", own.took.as_secs_f64())));
        let help = "For how long a run of a schedule has been due that could begin and has not; 0 when none is.";
        page.gauge("sweeper_daemon_overdue_seconds", help);
        page.each(&known.schedules, |own| Some(agenda::waits(&own.entry, own.last, now).to_string()));
        page.0.push_str(&known.measured);
        (StatusCode::OK, page.0)
    }
}

/// A page of measures, in the text form of Prometheus.
#[derive(Default)]
struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str) {
        self.head(name, "gauge", help);
    }

    fn counter(&mut self, name: &str, help: &str) {
        self.head(name, "counter", help);
    }

    fn head(&mut self, name: &str, sort: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {sort}\n");
    }

    fn name(&self) -> &str {
        let last = self.0.rsplit_once("# TYPE ").map_or("", |(_, last)| last);
        last.split(' ').next().unwrap_or_default()
    }

    fn row(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let mut row = self.name().to_owned();
        for (at, (label, text)) in labels.iter().enumerate() {
            let text: String = inert::line(text).chars().take(LONGEST).collect();
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = write!(row, "{}{label}=\"{text}\"", if at == 0 { "{" } else { "," });
        }
        let _ = writeln!(self.0, "{row}{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// A row for each schedule that has a value.
    fn each(&mut self, schedules: &[Schedule], value: impl Fn(&Schedule) -> Option<String>) {
        for own in schedules {
            if let Some(value) = value(own) {
                self.row(&[("schedule", &own.entry.name)], value);
            }
        }
    }
}

/// The memory of this process that is resident, bytes, and how many descriptors it has open; where the system tells.
fn own() -> (Option<u64>, Option<u64>) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    // One of them is the one that counts them.
    let descriptors = std::fs::read_dir("/proc/self/fd").ok().map(|open| (open.count() as u64).saturating_sub(1));
    (kib.map(|kib| kib << 10), descriptors)
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
            "sweeper_daemon_run_seconds{schedule=\"hourly\"} 5.250\n",
            "sweeper_daemon_overdue_seconds{schedule=\"hourly\"} 0\n",
            "sweeper_daemon_last_run_timestamp_seconds{schedule=\"hourly\"} 1800010805\n",
            "sweeper_policies_info{commit=\"def\",digest=\"abc\"} 1\n",
        ] {
            assert!(page.contains(row), "{row}: {page}");
        }
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
