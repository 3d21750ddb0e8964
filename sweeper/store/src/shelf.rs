//! What the shards of a survey leave for each other, in a directory that all of them see: a file a thing, each made
//! whole or not at all and never changed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};
use sweeper_core::{shard::Shelf, store::StoreError};

/// What the names of files under way begin with; a process that died left them.
const UNDER_WAY: &str = ".making-";

/// A [`Shelf`] in a directory, which may be on a network: it rests on names that two files cannot both have, not on
/// locks.
pub struct Directory(PathBuf);

impl Directory {
    /// Makes the directory where it is not there.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        directory(path).map_err(|error| unwritable(path, &error))?;
        Ok(Self(path.to_owned()))
    }

    fn path(&self, key: &str) -> PathBuf {
        // Keys have no letters that mean something in paths, and no `..`.
        key.split('/').fold(self.0.clone(), |path, part| path.join(part))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unwritable(format!("{}: {error}", path.display()))
}

/// For its owner only, as are the surveys in it.
fn directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn under_way(bytes: &[u8], path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

impl Shelf for Directory {
    fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(key);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::Failed(format!("{}: {error}", path.display()))),
        }
    }

    fn create(&self, key: &str, bytes: &[u8]) -> Result<bool, StoreError> {
        let path = self.path(key);
        let failed = |error: io::Error| unwritable(&path, &error);
        let parent = path.parent().unwrap_or(&self.0);
        directory(parent).map_err(failed)?;
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).map_err(|error| StoreError::Failed(format!("no random numbers: {error}")))?;
        let temporary = parent.join(format!("{UNDER_WAY}{:016x}", u64::from_ne_bytes(random)));
        let made = under_way(bytes, &temporary).and_then(|()| match fs::hard_link(&temporary, &path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        });
        let _ = fs::remove_file(&temporary);
        let made = made.map_err(failed)?;
        // The name lasts as well. Not everywhere can a directory be opened.
        if made && let Ok(parent) = File::open(parent) {
            let _ = parent.sync_all();
        }
        Ok(made)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let within = prefix.rsplit_once('/').map_or("", |(within, _)| within);
        let mut keys = Vec::new();
        let mut waiting = vec![within.to_owned()];
        while let Some(within) = waiting.pop() {
            let path = if within.is_empty() { self.0.clone() } else { self.path(&within) };
            let failed = |error: io::Error| StoreError::Failed(format!("{}: {error}", path.display()));
            let entries = match fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let key = if within.is_empty() { name.clone() } else { format!("{within}/{name}") };
                if entry.file_type().map_err(failed)?.is_dir() {
                    waiting.push(key);
                } else if key.starts_with(prefix) && !name.starts_with(UNDER_WAY) {
                    keys.push(key);
                }
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Place(PathBuf);

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn place() -> (Place, Directory) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sweeper-shelf-{}-{unique}", std::process::id()));
        let shelf = Directory::open(&path.join("a/b")).unwrap();
        (Place(path), shelf)
    }

    #[test]
    fn what_is_there_stays() {
        let (_place, shelf) = place();
        assert_eq!(shelf.read("run/1/x"), Ok(None));
        assert_eq!(shelf.create("run/1/x", b"one"), Ok(true));
        assert_eq!(shelf.create("run/1/x", b"two"), Ok(false));
        assert_eq!(shelf.read("run/1/x"), Ok(Some(b"one".to_vec())));
        assert_eq!(shelf.create("run/1/empty", b""), Ok(true));
        assert_eq!(shelf.read("run/1/empty"), Ok(Some(Vec::new())));
    }

    #[test]
    fn names_are_listed_in_order_and_files_under_way_are_not() {
        let (place, shelf) = place();
        for key in ["run/1/b.2", "run/1/b.1", "run/10/b", "run/1/a", "other"] {
            shelf.create(key, b"x").unwrap();
        }
        fs::write(place.0.join("a/b/run/1").join(format!("{UNDER_WAY}00")), b"half").unwrap();
        assert_eq!(shelf.list("run/1/b").unwrap(), ["run/1/b.1", "run/1/b.2"]);
        assert_eq!(shelf.list("").unwrap(), ["other", "run/1/a", "run/1/b.1", "run/1/b.2", "run/10/b"]);
        assert_eq!(shelf.list("none/").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn of_many_at_once_one_makes_it() {
        let (_place, shelf) = place();
        let (shelf, made) = (&shelf, AtomicU32::new(0));
        std::thread::scope(|scope| {
            for n in 0..16_u8 {
                let made = &made;
                scope.spawn(move || {
                    if shelf.create("run/1/x", &[n; 1000]).unwrap() {
                        made.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
        let bytes = shelf.read("run/1/x").unwrap().unwrap();
        assert!(bytes.len() == 1000 && bytes.iter().all(|byte| *byte == bytes[0]), "whole, of one of them");
        assert_eq!(shelf.list("").unwrap(), ["run/1/x"], "nothing is left over");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let (place, shelf) = place();
        shelf.create("run/1/x", b"secret").unwrap();
        let mode = |path: &str| fs::metadata(place.0.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("a/b/run/1/x"), mode("a/b/run/1")), (0o600, 0o700));
    }
}
