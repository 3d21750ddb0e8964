//! `[[schedule]]`: what runs by itself, and when.

use super::{Reader, Span, Table};
use crate::{
    output::{folder, url},
    run::{job::Sort, schedule::Schedule, window::Windows},
};
use jiff::tz::TimeZone;
use std::path::PathBuf;
use sweeper_core::model::{DAY, Timestamp};

const SCHEDULE: &[&str] = &["name", "cron", "zone", "jitter", "windows", "outside", "run", "format", "output"];
const FORMATS: &[&str] = &["table", "json", "csv", "markdown", "html"];
const OUTSIDE: &[&str] = &["wait", "skip"];
/// More are a mistake, and each is a label of measures.
const MOST: usize = 100;
/// A schedule none of whose first times is in a window will have none there.
const FIRST: usize = 1000;

/// One `[[schedule]]`.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: String,
    pub when: Schedule,
    /// When it is, as written: another time is another schedule.
    pub written: String,
    pub windows: Windows,
    pub outside: Outside,
    pub run: Sort,
    /// Of a report.
    pub format: String,
    /// A directory or a prefix of a bucket, in which each run writes.
    pub output: Option<PathBuf>,
}

/// What becomes of a run that is due outside its windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// It comes when a window opens.
    Wait,
    /// It does not come.
    Skip,
}

impl Reader<'_> {
    pub(super) fn schedule(&mut self, span: &Span, table: &Table<'_>, entries: &mut Vec<Entry>) {
        self.known(table, SCHEDULE);
        let mut zone = (TimeZone::UTC, "UTC".to_owned());
        if let (Some(name), Some(value)) = (self.string(table, "zone"), table.get("zone")) {
            match TimeZone::get(&name) {
                Ok(known) => zone = (known, name),
                Err(_) => self.wrong(value, format!("`{name}` is no time zone")),
            }
        }
        let (Some(cron), Some(value)) = (self.string(table, "cron"), table.get("cron")) else {
            if !table.contains_key("cron") {
                let help = "write `cron = \"0 6 * * MON-FRI\"`".to_owned();
                self.problem(span.clone(), "a schedule needs `cron`", Some(help));
            }
            return;
        };
        let name = self.string(table, "name").unwrap_or_else(|| cron.clone());
        if entries.iter().any(|known| known.name == name) {
            let help = "give each its `name`: by it the last run of each is remembered".to_owned();
            self.problem(span.clone(), format!("there are two schedules `{name}`"), Some(help));
        }
        if entries.len() == MOST {
            self.problem(span.clone(), format!("there are more than {MOST} schedules"), None);
        }
        let jitter = self.length(table, "jitter").map_or(0, |length| length.as_secs() as u32);
        let mut windows = Windows::always(zone.0.clone());
        for text in self.list(table, "windows") {
            match (windows.clone().and(&text), table.get("windows")) {
                (Ok(more), _) => windows = more,
                (Err(why), Some(value)) => self.wrong(value, why),
                (Err(_), None) => {}
            }
        }
        let outside = match self.word(table, "outside", OUTSIDE).as_deref() {
            Some("skip") => Outside::Skip,
            _ => Outside::Wait,
        };
        let when = match Schedule::parse(&cron, zone.0) {
            Ok(when) => when.jittered(&name, jitter),
            Err(error) => return self.wrong(value, error.to_string()),
        };
        if outside == Outside::Skip && !meets(&when, &windows) {
            let help = "with `outside = \"skip\"` it would never run".to_owned();
            self.problem(value.span(), "no time of `cron` is in its `windows`", Some(help));
        }
        let format = self.word(table, "format", FORMATS).unwrap_or_else(|| "json".to_owned());
        let output = match self.string(table, "output").map(|text| folder(&text)) {
            // A URL stays what it is.
            Some(Ok(path)) => Some(if url(&path).is_some() { path } else { self.beside.join(path) }),
            Some(Err(why)) => {
                if let Some(value) = table.get("output") {
                    self.wrong(value, why);
                }
                None
            }
            None => None,
        };
        let sorts = Sort::ALL.map(Sort::name);
        let run = self.word(table, "run", &sorts).and_then(|word| Sort::named(&word)).unwrap_or_default();
        let written = format!("{cron}; {}; {jitter}", zone.1);
        entries.push(Entry { name, when, written, windows, outside, run, format, output });
    }
}

/// Whether any time of a schedule is in a window. One that comes so often that the first times are of a few days is not
/// judged.
fn meets(when: &Schedule, windows: &Windows) -> bool {
    let times = std::iter::successors(when.next_after(Timestamp(0)), |last| when.next_after(*last));
    let first: Vec<Timestamp> = times.take(FIRST).collect();
    let days = first.first().zip(first.last()).map_or(0, |(first, last)| last.since(*first) / DAY);
    first.iter().any(|at| windows.is_open(*at)) || (first.len() == FIRST && days < 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    fn read(text: &str) -> Result<Vec<Entry>, String> {
        Config::parse("sweeper.toml", text, Path::new("/etc/sweeper"))
            .map(|config| config.schedules)
            .map_err(|failure| failure.problems.concat())
    }

    #[test]
    fn a_schedule_has_its_zone_and_windows() {
        let entries = read(
            "[[schedule]]\nname = \"office\"\ncron = \"0 * * * *\"\nzone = \"Europe/Berlin\"\n\
             windows = [\"MON-FRI 06:00-20:00\", \"SAT 10:00-12:00\"]\noutside = \"skip\"\nrun = \"survey\"\noutput = \"reports\"\n\
             [[schedule]]\ncron = \"@daily\"\n",
        )
        .unwrap();
        assert_eq!((entries[0].outside, entries[0].run), (Outside::Skip, Sort::Survey));
        assert_eq!(entries[0].output.as_deref(), Some(Path::new("/etc/sweeper/reports")));
        let friday = Timestamp::parse("2026-11-20T18:30:00Z").unwrap();
        assert!(entries[0].windows.is_open(friday) && !entries[0].windows.is_open(friday.plus(1800)));
        assert_eq!((entries[1].name.as_str(), entries[1].outside), ("@daily", Outside::Wait));
        assert!(entries[1].windows.is_open(friday));
        let plans = read("[[schedule]]\ncron = \"@daily\"\nrun = \"plan\"\noutput = \"s3://b/plans/\"\n").unwrap();
        assert_eq!(plans[0].output.as_deref(), Some(Path::new("s3://b/plans")));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let hourly = "[[schedule]]\ncron = \"@hourly\"\n";
        for (more, said) in [
            ("windows = [\"MON-FRI 6-20\"]\n", "is no window"),
            ("windows = []\n", "`windows` is empty"),
            ("windows = \"06:00-20:00\"\n", "list of strings"),
            ("window = [\"06:00-20:00\"]\n", "did you mean `windows`?"),
            ("windows = [\"06:10-06:50\"]\noutside = \"skip\"\n", "no time of `cron` is in its `windows`"),
            ("outside = \"ignore\"\n", "one of: wait, skip"),
            ("zone = \"Mars/Base\"\n", "no time zone"),
            ("[[schedule]]\ncron = \"@hourly\"\n", "two schedules `@hourly`"),
            ("[[schedule]]\nname = \"x\"\n", "needs `cron`"),
            ("run = \"apply\"\n", "unknown run `apply`"),
            ("output = \"ftp://x\"\n", "nothing is left in `ftp://`"),
            ("output = \"az://account\"\n", "names no container"),
        ] {
            let found = read(&format!("{hourly}{more}")).unwrap_err();
            assert!(found.contains(said) && found.contains("--> sweeper.toml:"), "{more}: {found}");
        }
        // Half past is in it.
        read("[[schedule]]\ncron = \"30 * * * *\"\nwindows = [\"06:10-06:50\"]\noutside = \"skip\"\n").unwrap();
    }
}
