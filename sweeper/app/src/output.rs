//! Where a report goes: the standard output, or a file that is there whole or not at all.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};
use sweeper_store::{Bucket, Upload};

/// A file under way, readable by its owner only. Dropped without [`Whole::keep`], it leaves nothing.
pub struct Whole {
    file: Option<BufWriter<File>>,
    temporary: PathBuf,
    path: PathBuf,
}

impl Whole {
    pub fn create(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{:016x}", u64::from_ne_bytes(random)));
        let temporary = path.with_file_name(hidden);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&temporary)?;
        under_way().insert(temporary.clone());
        Ok(Self { file: Some(BufWriter::new(file)), temporary, path: path.to_owned() })
    }

    /// Puts the file in its place.
    pub fn keep(self) -> io::Result<()> {
        let path = self.path.clone();
        self.keep_as(&path)
    }

    /// Puts the file in another place of the same file system.
    pub fn keep_as(mut self, path: &Path) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&self.temporary, path)
    }
}

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        self.file = None;
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.temporary);
        under_way().remove(&self.temporary);
    }
}

/// Files not yet in their place, for a process that is stopped.
static UNDER_WAY: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn under_way() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes every file that is not yet in its place: the process ends here.
pub fn abandon() {
    for path in under_way().iter() {
        let _ = fs::remove_file(path);
    }
}

/// Whether a file could be written there, found out before the work that would fill it.
pub fn writable(path: Option<&Path>) -> io::Result<()> {
    match path {
        Some(path) if path.is_dir() => Err(io::Error::other("it is a directory")),
        Some(path) => Whole::create(path).map(drop),
        None => Ok(()),
    }
}

/// Writes an object of a bucket, which is there whole or not at all.
pub fn in_bucket(bucket: &Bucket, name: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut upload = Upload::begin(bucket, name).map_err(io::Error::other)?;
    write(&mut upload)?;
    upload.finish().map_err(io::Error::other)
}

/// Writes to a file or to the standard output. A reader that closed its end is no error.
pub fn to(path: Option<&Path>, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let Some(path) = path else {
        let mut out = BufWriter::new(io::stdout().lock());
        return match write(&mut out).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        };
    };
    let mut file = Whole::create(path)?;
    write(&mut file)?;
    file.keep()
}
