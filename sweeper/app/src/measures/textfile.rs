//! A file for the textfile collector of Prometheus' node exporter, or anything else that reads it: there whole or not
//! at all.

use super::Measures;
use crate::output::Whole;
use std::{
    io::{self, Write as _},
    path::Path,
};

impl Measures {
    /// Writes them to a file that anybody may read, as the exporter runs as somebody else: nothing in it is secret.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = Whole::create(path)?;
        file.write_all(self.prometheus().as_bytes())?;
        file.keep_readable()
    }
}
