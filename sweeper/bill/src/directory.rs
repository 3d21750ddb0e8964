//! A directory as a place of bills.

use crate::source::{Object, Objects, changed};
use bytes::Bytes;
use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Folders within folders: a real export has six.
const DEEPEST: usize = 16;

/// A directory of this machine. Links to files are followed, links to directories only where a manifest leads there.
#[derive(Clone, Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

/// Everything under a folder, by names that begin with `name`.
fn walk(folder: &Path, name: &str, depth: usize, found: &mut Vec<Object>) -> io::Result<()> {
    let failed = |error: io::Error| match depth {
        0 => error,
        _ => io::Error::new(error.kind(), format!("{}: {error}", folder.display())),
    };
    if depth > DEEPEST {
        return Err(failed(io::Error::other("folders within folders without end")));
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        let (path, part) = (entry.path(), entry.file_name());
        let shown = part.to_string_lossy();
        // What begins so is left behind by jobs and copying programs.
        if shown.starts_with(['.', '_']) {
            continue;
        }
        let Some(part) = part.to_str() else {
            // It may be a bill, and no name of a bill is passed over.
            if kind.is_dir() || [".parquet", ".csv", ".gz", ".json"].iter().any(|end| shown.ends_with(end)) {
                return Err(failed(io::Error::other(format!("a name that is not UTF-8: {shown}"))));
            }
            continue;
        };
        let name = if name.is_empty() { part.to_owned() } else { format!("{name}/{part}") };
        if kind.is_dir() {
            walk(&path, &name, depth + 1, found)?;
        } else if kind.is_file() || path.is_file() {
            found.extend(object(&path, name).map_err(failed)?);
        }
    }
    Ok(())
}

/// What is there under a name; nothing where it is gone again.
fn object(path: &Path, name: String) -> io::Result<Option<Object>> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let modified = metadata.modified().ok();
    let tag = modified.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    Ok(Some(Object { name, size: metadata.len(), tag: tag.map(|at| at.as_nanos().to_string()), modified }))
}

impl Objects for Directory {
    fn place(&self) -> String {
        self.0.display().to_string()
    }

    fn list(&self) -> io::Result<Vec<Object>> {
        let mut found = Vec::new();
        walk(&self.0, "", 0, &mut found)?;
        Ok(found)
    }

    fn read(&self, listed: &Object, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        let path = self.0.join(&listed.name);
        let mut file = File::open(&path)?;
        if object(&path, listed.name.clone())?.as_ref() != Some(listed) {
            return Err(changed());
        }
        let mut pieces = Vec::new();
        for range in ranges {
            file.seek(SeekFrom::Start(range.start))?;
            let mut piece = Vec::new();
            (&file).take(range.end.saturating_sub(range.start)).read_to_end(&mut piece)?;
            pieces.push(piece.into());
        }
        Ok(pieces)
    }

    fn unlisted(&self, name: &str) -> Option<Object> {
        object(&self.0.join(name), name.to_owned()).ok().flatten()
    }
}
