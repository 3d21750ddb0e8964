//! The audit log in a directory.
//!
//! ```text
//! seg/000000000000.jsonl    lines 0 to 4095, appended to, then never touched again
//! checkpoint/000000000123   the signed head at that size, written once
//! latest                    the newest of these
//! ```
//!
//! A line is there for good when it was appended: the file is synced, and the directory where a file is new. One process
//! writes; a lock of the file system sees to that. Everything is readable by its owner only.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};
use sweeper_core::audit::{Log, LogError, SEGMENT};

/// The audit log of one deployment, in a directory of its own.
pub struct FileLog {
    directory: PathBuf,
    end: Mutex<End>,
    /// Held as long as this lives; `None` for a log that is only read.
    _lock: Option<File>,
}

/// Where the next line goes.
struct End {
    size: u64,
    /// The last segment, with whether a line of it is unfinished.
    file: Option<(u64, File)>,
    torn: bool,
}

fn unwritable(path: &Path) -> impl Fn(io::Error) -> LogError + '_ {
    move |error| LogError::Unwritable(format!("{}: {error}", path.display()))
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> LogError + '_ {
    move |error| LogError::Unreadable(format!("{}: {error}", path.display()))
}

/// Makes a directory's entries durable.
fn synced(directory: &Path) -> Result<(), LogError> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(unwritable(directory))
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

impl FileLog {
    /// Opens a log to be written, and makes it where there is none.
    ///
    /// # Errors
    /// [`LogError::Busy`] when another process writes it.
    pub fn open(directory: &Path) -> Result<Self, LogError> {
        for directory in [directory.to_owned(), directory.join("seg"), directory.join("checkpoint")] {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(&directory).map_err(unwritable(&directory))?;
        }
        let path = directory.join("lock");
        let lock = private(OpenOptions::new().create(true).truncate(false).write(true)).open(&path);
        let lock = lock.map_err(unwritable(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(LogError::Busy(directory.display().to_string())),
            Err(fs::TryLockError::Error(error)) => return Err(unwritable(&path)(error)),
        }
        let log = Self::reading(directory, Some(lock));
        let end = log.find_end()?;
        *log.lock() = end;
        Ok(log)
    }

    /// Opens a log that is only read.
    pub fn open_to_read(directory: &Path) -> Self {
        Self::reading(directory, None)
    }

    fn reading(directory: &Path, lock: Option<File>) -> Self {
        let end = Mutex::new(End { size: 0, file: None, torn: false });
        Self { directory: directory.to_owned(), end, _lock: lock }
    }

    fn lock(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn segment(&self, first: u64) -> PathBuf {
        self.directory.join("seg").join(format!("{first:012}.jsonl"))
    }

    fn find_end(&self) -> Result<End, LogError> {
        let Some(last) = self.numbers("seg", ".jsonl")?.pop() else {
            return Ok(End { size: 0, file: None, torn: false });
        };
        let path = self.segment(last);
        let bytes = fs::read(&path).map_err(unreadable(&path))?;
        let whole = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")).count() as u64;
        let torn = bytes.last().is_some_and(|byte| *byte != b'\n');
        let file = OpenOptions::new().append(true).open(&path).map_err(unwritable(&path))?;
        Ok(End { size: last + whole, file: Some((last, file)), torn })
    }

    /// The numbers that name the files of a directory, ascending. What is named otherwise is none of the log's.
    fn numbers(&self, part: &str, ending: &str) -> Result<Vec<u64>, LogError> {
        let directory = self.directory.join(part);
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(&directory)(error)),
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry.map_err(unreadable(&directory))?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(ending)).filter(|name| name.len() == 12);
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// A small file that is there whole or not at all. `over` lets it take the place of another.
    fn put(path: &Path, bytes: &[u8], over: bool) -> Result<bool, LogError> {
        let new = path.with_extension("new");
        let written = (|| {
            let mut file = private(OpenOptions::new().create(true).truncate(true).write(true)).open(&new)?;
            file.write_all(bytes)?;
            file.sync_all()
        })();
        written.map_err(unwritable(&new))?;
        let placed = if over { fs::rename(&new, path) } else { fs::hard_link(&new, path) };
        if !over {
            let _ = fs::remove_file(&new);
        }
        match placed {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(unwritable(path)(error)),
        }
        path.parent().map_or(Ok(()), synced)?;
        Ok(true)
    }
}

impl Log for FileLog {
    fn append(&self, first: u64, lines: &[Vec<u8>]) -> Result<(), LogError> {
        let mut end = self.lock();
        if end.torn {
            return Err(LogError::Damaged("its last line is not whole, and was not cut".to_owned()));
        }
        if first != end.size {
            return Err(LogError::Taken(first));
        }
        let mut left = lines;
        while !left.is_empty() {
            let segment = end.size - end.size % SEGMENT;
            let room = (segment + SEGMENT - end.size) as usize;
            let (now, later) = left.split_at(room.min(left.len()));
            let path = self.segment(segment);
            if end.file.as_ref().is_none_or(|(open, _)| *open != segment) {
                // Where nothing of that name is: of two writers one fails.
                let file = private(OpenOptions::new().create_new(true).append(true)).open(&path);
                let file = file.map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists => LogError::Taken(segment),
                    _ => unwritable(&path)(error),
                })?;
                synced(&self.directory.join("seg"))?;
                end.file = Some((segment, file));
            }
            let Some((_, file)) = &mut end.file else { return Err(LogError::Stopped) };
            let mut bytes = Vec::with_capacity(now.iter().map(|line| line.len() + 1).sum());
            for line in now {
                bytes.extend_from_slice(line);
                bytes.push(b'\n');
            }
            if let Err(error) = file.write_all(&bytes).and_then(|()| file.sync_data()) {
                // Nobody knows how much of it is there.
                end.torn = true;
                return Err(unwritable(&path)(error));
            }
            end.size += now.len() as u64;
            left = later;
        }
        Ok(())
    }

    fn segments(&self, from: u64) -> Result<Vec<u64>, LogError> {
        let mut all = self.numbers("seg", ".jsonl")?;
        let holding = all.iter().rposition(|first| *first <= from).unwrap_or(0);
        Ok(all.split_off(holding.min(all.len())))
    }

    fn read(&self, segment: u64) -> Result<Box<dyn BufRead + '_>, LogError> {
        let path = self.segment(segment);
        let file = File::open(&path).map_err(unreadable(&path))?;
        Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
    }

    fn cut(&self, segment: u64, keep: u64) -> Result<(), LogError> {
        let path = self.segment(segment);
        let cut = OpenOptions::new().write(true).open(&path).and_then(|file| {
            file.set_len(keep)?;
            file.sync_all()
        });
        cut.map_err(unwritable(&path))?;
        let end = self.find_end()?;
        *self.lock() = end;
        Ok(())
    }

    fn stride(&self) -> Option<u64> {
        Some(SEGMENT)
    }

    fn checkpoints(&self) -> Result<Vec<u64>, LogError> {
        self.numbers("checkpoint", "")
    }

    fn checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>, LogError> {
        absent(&self.directory.join("checkpoint").join(format!("{size:012}")))
    }

    fn latest(&self) -> Result<Option<Vec<u8>>, LogError> {
        absent(&self.directory.join("latest"))
    }

    fn put_checkpoint(&self, size: u64, note: &[u8]) -> Result<(), LogError> {
        let path = self.directory.join("checkpoint").join(format!("{size:012}"));
        if !Self::put(&path, note, false)? && self.checkpoint(size)?.as_deref() != Some(note) {
            return Err(LogError::Taken(size));
        }
        Self::put(&self.directory.join("latest"), note, true)?;
        Ok(())
    }
}

/// A file's bytes, or none where it is not there.
fn absent(path: &Path) -> Result<Option<Vec<u8>>, LogError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    fn place() -> PathBuf {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sweeper-log-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_directory_conforms() {
        sweeper_core::audit::conformance::all(|| {
            let log = Arc::new(FileLog::open(&place()).unwrap());
            move || Box::new(Shared(Arc::clone(&log)))
        });
    }

    /// Several handles in one process.
    struct Shared(Arc<FileLog>);

    impl Log for Shared {
        fn append(&self, first: u64, lines: &[Vec<u8>]) -> Result<(), LogError> {
            self.0.append(first, lines)
        }
        fn segments(&self, from: u64) -> Result<Vec<u64>, LogError> {
            self.0.segments(from)
        }
        fn read(&self, segment: u64) -> Result<Box<dyn BufRead + '_>, LogError> {
            self.0.read(segment)
        }
        fn cut(&self, segment: u64, keep: u64) -> Result<(), LogError> {
            self.0.cut(segment, keep)
        }
        fn stride(&self) -> Option<u64> {
            self.0.stride()
        }
        fn checkpoints(&self) -> Result<Vec<u64>, LogError> {
            self.0.checkpoints()
        }
        fn checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>, LogError> {
            self.0.checkpoint(size)
        }
        fn latest(&self) -> Result<Option<Vec<u8>>, LogError> {
            self.0.latest()
        }
        fn put_checkpoint(&self, size: u64, note: &[u8]) -> Result<(), LogError> {
            self.0.put_checkpoint(size, note)
        }
    }

    #[test]
    fn one_process_writes_and_a_torn_line_is_seen() {
        let path = place();
        let log = FileLog::open(&path).unwrap();
        assert!(matches!(FileLog::open(&path), Err(LogError::Busy(_))));
        log.append(0, &[b"{\"a\":1}".to_vec(), b"{\"b\":2}".to_vec()]).unwrap();
        assert_eq!(log.append(1, &[b"x".to_vec()]), Err(LogError::Taken(1)));
        drop(log);
        let segment = path.join("seg/000000000000.jsonl");
        let mut bytes = fs::read(&segment).unwrap();
        bytes.extend(b"{\"c\":");
        fs::write(&segment, &bytes).unwrap();
        let log = FileLog::open(&path).unwrap();
        assert!(matches!(log.append(2, &[b"x".to_vec()]), Err(LogError::Damaged(_))));
        log.cut(0, bytes.len() as u64 - 5).unwrap();
        log.append(2, &[b"{\"c\":3}".to_vec()]).unwrap();
        assert_eq!(fs::read_to_string(&segment).unwrap(), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
    }
}
