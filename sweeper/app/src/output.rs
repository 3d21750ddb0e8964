//! Where a report goes: the standard output, or a file or an object of a bucket that is there whole or not at all. And where
//! what was written is read again.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};
use sweeper_store::{Bucket, Download, Upload};

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

    /// Puts the file in its place, for everybody to read.
    pub fn keep_readable(self) -> io::Result<()> {
        #[cfg(unix)]
        if let Some(file) = &self.file {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            file.get_ref().set_permissions(mode)?;
        }
        self.keep()
    }

    /// Puts the file in its place, where nothing may be.
    pub fn keep_new(mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        // Unlike a rename, a link fails where something has the name; the other name goes with this.
        match fs::hard_link(&self.temporary, &self.path) {
            // Where there are no links, a look before has to do.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !self.path.exists() => {
                fs::rename(&self.temporary, &self.path)
            }
            linked => linked,
        }
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
        // An object is made only when there is something in it.
        Some(path) if url(path).is_some() => Ok(()),
        Some(path) if path.is_dir() => Err(io::Error::other("it is a directory")),
        Some(path) => Whole::create(path).map(drop),
        None => Ok(()),
    }
}

/// A file, or an object of a bucket, under way. Dropped, it leaves nothing.
pub enum Target {
    File(Whole),
    Object(Box<Upload>),
}

impl Target {
    /// Begins what a path names: `s3://BUCKET/a.json` is an object.
    pub fn create(path: &Path) -> io::Result<Self> {
        match url(path) {
            Some(url) => Upload::named(url).map(|upload| Self::Object(Box::new(upload))).map_err(io::Error::other),
            None => Whole::create(path).map(Self::File),
        }
    }

    /// Puts it in its place.
    pub fn keep(self) -> io::Result<()> {
        match self {
            Self::File(file) => file.keep(),
            Self::Object(upload) => upload.finish().map_err(io::Error::other),
        }
    }

    /// Puts it in its place, where nothing else may be.
    pub fn keep_new(self) -> io::Result<()> {
        match self {
            Self::File(file) => file.keep_new(),
            Self::Object(upload) => upload.finish_new().map_err(io::Error::other),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Object(upload) => upload.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Object(upload) => upload.flush(),
        }
    }
}

/// The URL that a path is, where it names something in a bucket.
pub fn url(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| Bucket::is_one(text))
}

/// Opens a file, or an object of a bucket.
pub fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    match url(path) {
        Some(url) => Ok(Box::new(Download::named(url).map_err(io::Error::other)?)),
        None => Ok(Box::new(File::open(path)?)),
    }
}

/// All of a file, or of an object of a bucket.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A directory or a prefix of a bucket, in which each run leaves what it writes under a name of its own.
pub fn folder(text: &str) -> Result<PathBuf, String> {
    if Bucket::is_one(text) {
        return Bucket::parse(text).map(|bucket| PathBuf::from(bucket.to_string()));
    }
    match text.split_once("://") {
        Some((scheme, _)) => Err(format!(
            "nothing is left in `{scheme}://`: a directory, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or \
             az://ACCOUNT/CONTAINER/PREFIX"
        )),
        None if text.is_empty() => Err("it names no directory".to_owned()),
        None => Ok(PathBuf::from(text)),
    }
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
    let mut file = Target::create(path)?;
    write(&mut file)?;
    file.keep()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_directories_or_prefixes() {
        assert_eq!(folder("out").unwrap(), Path::new("out"));
        let of = |text: &str, name: &str| folder(text).unwrap().join(name).display().to_string();
        assert_eq!(of("s3://bucket/plans/", "a.json"), "s3://bucket/plans/a.json");
        assert_eq!(of("az://account/container", "a.json"), "az://account/container/a.json");
        for (text, says) in [("", "no directory"), ("ftp://x", "`ftp://`"), ("s3://", "names no bucket")] {
            assert!(folder(text).unwrap_err().contains(says), "{text}");
        }
        assert_eq!(Path::new("s3://b/p/plan.json").with_extension("approval"), Path::new("s3://b/p/plan.approval"));
    }

    #[test]
    fn what_is_there_is_not_replaced() {
        let place = std::env::temp_dir().join(format!("sweeper-output-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let path = place.join("plan.json");
        for (text, is_new) in [("one", true), ("two", false)] {
            let mut target = Target::create(&path).unwrap();
            target.write_all(text.as_bytes()).unwrap();
            assert_eq!(target.keep_new().is_ok(), is_new);
        }
        assert_eq!(read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(&place).unwrap().count(), 1, "nothing else is left");
        fs::remove_dir_all(&place).unwrap();
    }
}
