//! What was found in bills, kept in a directory: a file an entry, with a digest of it. What is damaged counts as not
//! there, and when there is more than there is room for, what was not used for longest goes.

use sha2::{Digest as _, Sha256};
use std::{
    fmt::Write as _,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::SystemTime,
};
use sweeper_bill::cache::Shelf;

/// What the first line begins with; a digest in hex comes after it.
const FORMAT: &str = "sweeper.cache/1 ";
/// The end of every name here, also of a file that is just being written.
const END: &str = ".entry";
/// Larger files are no entries of ours.
const LARGEST: u64 = 256 << 20;

/// Numbers files that are being written.
static WRITTEN: AtomicU32 = AtomicU32::new(0);

/// A directory of entries. It is made when the first one is kept, readable by its owner only.
#[derive(Debug)]
pub struct CacheDirectory {
    path: PathBuf,
    /// Bytes that all entries together may have.
    room: u64,
    trouble: Mutex<Option<String>>,
}

impl CacheDirectory {
    /// A directory whose entries may have `room` bytes together.
    pub fn new(path: impl Into<PathBuf>, room: u64) -> Self {
        Self { path: path.into(), room, trouble: Mutex::new(None) }
    }

    /// Why the first of the entries that could not be kept was not.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn place(&self, name: &str) -> Option<PathBuf> {
        let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then(|| self.path.join(format!("{name}{END}")))
    }

    fn write(&self, place: &Path, entry: &[u8]) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(&self.path)?;
        let number = WRITTEN.fetch_add(1, Relaxed);
        let beside = self.path.join(format!("{}-{number}{END}", std::process::id()));
        let mut options = fs::OpenOptions::new();
        options.create(true).truncate(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&beside).and_then(|mut file| {
            file.write_all(format!("{FORMAT}{}\n", digest(entry)).as_bytes())?;
            file.write_all(entry)
        });
        written.and_then(|()| fs::rename(&beside, place)).inspect_err(|_| {
            let _ = fs::remove_file(&beside);
        })
    }

    /// Removes what was not used for longest until the rest has room.
    fn sweep(&self) -> io::Result<()> {
        let mut found: Vec<(SystemTime, PathBuf, u64)> = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_file() && entry.file_name().to_str().is_some_and(|name| name.ends_with(END)) {
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                found.push((used, entry.path(), metadata.len()));
            }
        }
        found.sort();
        let mut all: u64 = found.iter().map(|(_, _, bytes)| bytes).sum();
        for (_, path, bytes) in found {
            if all <= self.room {
                break;
            }
            fs::remove_file(path)?;
            all -= bytes;
        }
        Ok(())
    }
}

fn digest(entry: &[u8]) -> String {
    Sha256::digest(entry).iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

impl Shelf for CacheDirectory {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        let place = self.place(name)?;
        if fs::metadata(&place).ok()?.len() > LARGEST {
            return None;
        }
        let mut bytes = fs::read(&place).ok()?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let told = std::str::from_utf8(&bytes[..end]).ok()?.strip_prefix(FORMAT)?.to_owned();
        let entry = bytes.split_off(end + 1);
        if told != digest(&entry) {
            return None;
        }
        // Of when it was used; where that cannot be noted it goes a little early.
        let _ = fs::File::options().append(true).open(&place).and_then(|file| file.set_modified(SystemTime::now()));
        Some(entry)
    }

    fn put(&self, name: &str, entry: &[u8]) {
        let Some(place) = self.place(name) else { return };
        if let Err(error) = self.write(&place, entry).and_then(|()| self.sweep()) {
            let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            trouble.get_or_insert_with(|| format!("{}: {error}", self.path.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A directory of this test's own that is not there.
    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("sweeper-cache-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path.join("deep")
    }

    #[test]
    fn what_is_kept_comes_back_or_nothing_does() {
        let path = path("kept");
        let cache = CacheDirectory::new(&path, 1 << 20);
        assert_eq!(cache.get("a1"), None);
        cache.put("a1", b"first");
        cache.put("b2", b"");
        cache.put("a1", b"second\nline");
        assert_eq!((cache.get("a1"), cache.get("b2")), (Some(b"second\nline".to_vec()), Some(Vec::new())));
        assert_eq!(cache.trouble(), None);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 2);
        // Any byte of it changed, and it cut anywhere.
        let place = path.join("a1.entry");
        let good = fs::read(&place).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&place, &bad).unwrap();
            assert_eq!(cache.get("a1"), None, "byte {at}");
            fs::write(&place, &good[..at]).unwrap();
            assert_eq!(cache.get("a1"), None, "cut at {at}");
        }
        cache.put("a1", b"third");
        assert_eq!(cache.get("a1"), Some(b"third".to_vec()));
        // No name leads out of it.
        cache.put("../out", b"x");
        assert!(!path.join("../out.entry").exists() && cache.get("../out").is_none());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
            assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn what_was_not_used_for_longest_goes() {
        let path = path("room");
        // Three of a hundred bytes with their first lines.
        let cache = CacheDirectory::new(&path, 3 * 190);
        let age = |name: &str, seconds: u64| {
            let file = fs::File::options().append(true).open(path.join(format!("{name}.entry"))).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
        };
        for (name, seconds) in [("a", 300), ("b", 200), ("c", 100)] {
            cache.put(name, &[b'x'; 100]);
            age(name, seconds);
        }
        fs::write(path.join("other.txt"), [b'x'; 1000]).unwrap();
        assert!(cache.get("a").is_some());
        cache.put("d", &[b'x'; 100]);
        let there: Vec<bool> = ["a", "b", "c", "d"].iter().map(|name| cache.get(name).is_some()).collect();
        assert_eq!(there, [true, false, true, true]);
        assert!(path.join("other.txt").exists());
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told_and_no_error() {
        let path = path("unwritable");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "a file").unwrap();
        let cache = CacheDirectory::new(&path, 1 << 20);
        cache.put("a", b"x");
        assert_eq!(cache.get("a"), None);
        assert!(cache.trouble().unwrap().contains("unwritable"));
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
