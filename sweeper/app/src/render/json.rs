//! `sweeper.report/1`.

use std::io::{self, Write};
use sweeper_core::report::Report;

pub fn write(report: &Report<'_>, out: &mut impl Write) -> io::Result<()> {
    report.write_json(out)
}
