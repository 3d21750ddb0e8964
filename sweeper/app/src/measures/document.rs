//! The documentation of the measures, written from the table.

use super::catalogue::ALL;
use std::fmt::Write as _;

/// `deploy/prometheus/METRICS.md`.
pub fn document() -> String {
    let mut out = String::from(
        "# Measures\n\n\
         Written by `sweeper schema measures`; do not edit. A name that is here stays, and so does what it means.\n\n\
         *By* says who measures: a *run* is `report`, `survey`, `notify`, `job` or a run of a daemon, which hands its \
         measures to the text file, the Pushgateway and OTLP when it ends; a *daemon* answers `/metrics` with those of \
         its last run, its own and the process's. Values of labels are inert, at most 100 characters, and bounded in \
         number: 50 owners, 100 detectors, 100 decisions, 20 causes; the rest is `other`.\n\n\
         | name | sort | labels | by | meaning |\n|---|---|---|---|---|\n",
    );
    for measure in ALL {
        let labels: Vec<String> = measure.labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {} |",
            measure.name,
            measure.sort.name(),
            labels.join(", "),
            measure.by.name(),
            measure.help
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SWEEPER_BLESS=1 bash tests/tools/generated` writes it anew.
    #[test]
    fn the_page_is_that_of_the_table() {
        let kept = include_str!("../../../deploy/prometheus/METRICS.md");
        assert_eq!(kept, document());
        assert_eq!(kept.lines().filter(|line| line.starts_with("| `sweeper_")).count(), ALL.len());
    }
}
