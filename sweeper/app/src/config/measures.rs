//! `[measures]`: where what a run measures goes. The standard environment of OpenTelemetry is heeded beside it.

use super::{Reader, Table};
use std::{path::PathBuf, time::Duration};

const MEASURES: &[&str] = &["textfile", "push", "job", "instance", "timeout"];
/// How long handing measures over may take, and the longest that a config may allow.
const TIMEOUT: Duration = Duration::from_secs(10);
const MOST: Duration = Duration::from_mins(1);

/// `[measures]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measures {
    /// A file for the textfile collector.
    pub textfile: Option<PathBuf>,
    /// A Pushgateway.
    pub push: Option<String>,
    /// What the Pushgateway groups by.
    pub job: String,
    /// The same; without it, the deployment's name: an address or a container's name would leave a group a run.
    pub instance: Option<String>,
    /// For each place.
    pub timeout: Duration,
}

impl Default for Measures {
    fn default() -> Self {
        Self { textfile: None, push: None, job: "sweeper".to_owned(), instance: None, timeout: TIMEOUT }
    }
}

impl Reader<'_> {
    pub(super) fn measures(&mut self, table: &Table<'_>) -> Measures {
        let mut measures = Measures::default();
        let Some(own) = self.table(table, "measures") else { return measures };
        self.known(own, MEASURES);
        measures.textfile = self.string(own, "textfile").map(|path| self.beside.join(path));
        if let (Some(url), Some(value)) = (self.string(own, "push"), own.get("push")) {
            match reqwest::Url::parse(&url) {
                Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => {
                    measures.push = Some(url.trim_end_matches('/').to_owned());
                }
                _ => self.wrong(value, "`push` is the address of a Pushgateway: `http://127.0.0.1:9091`"),
            }
        }
        if let Some(job) = self.string(own, "job") {
            measures.job = job;
        }
        measures.instance = self.string(own, "instance");
        if let (Some(timeout), Some(value)) = (self.length(own, "timeout"), own.get("timeout")) {
            if timeout > MOST {
                self.wrong(value, "`timeout` is at most `60s`: no run waits longer for its measures");
            } else {
                measures.timeout = timeout;
            }
        }
        measures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    #[test]
    fn places_are_read() {
        let text = "[measures]\ntextfile = \"m.prom\"\npush = \"http://127.0.0.1:9091/\"\ntimeout = \"3s\"\n";
        let read = Config::parse("sweeper.toml", text, Path::new("/etc/sweeper")).unwrap().measures;
        assert_eq!(read.textfile.as_deref(), Some(Path::new("/etc/sweeper/m.prom")));
        assert_eq!((read.push.as_deref(), read.timeout.as_secs()), (Some("http://127.0.0.1:9091"), 3));
        assert_eq!(Config::parse("sweeper.toml", "", Path::new("")).unwrap().measures, Measures::default());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, says) in [
            ("[measures]\ntextfil = \"x\"\n", "did you mean `textfile`?"),
            ("[measures]\ntextfil = \"x\"\n", "2:1"),
            ("[measures]\npush = \"gateway:9091\"\n", "`push` is the address"),
            ("[measures]\npush = \"ftp://gateway\"\n", "`push` is the address"),
            ("[measures]\ntimeout = \"5m\"\n", "at most `60s`"),
            ("measures = true\n", "`[measures]`"),
        ] {
            let failure = Config::parse("sweeper.toml", text, Path::new("")).unwrap_err();
            assert!(failure.problems.concat().contains(says), "{says}: {failure:?}");
        }
    }
}
