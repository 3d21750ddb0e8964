//! Where the bytes of a bill are: a file, or memory.

use bytes::{Buf, Bytes};
use parquet::{
    errors::{ParquetError, Result},
    file::reader::{ChunkReader, Length},
};
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::PathBuf,
    time::SystemTime,
};

/// One file of a bill.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it is called in messages.
    pub name: String,
    pub content: Content,
}

/// Where its bytes are.
#[derive(Clone, Debug)]
pub enum Content {
    File(PathBuf),
    /// Already here: an object that was fetched.
    Memory(Bytes),
}

impl Source {
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { name: path.display().to_string(), content: Content::File(path) }
    }

    pub fn memory(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self { name: name.into(), content: Content::Memory(bytes.into()) }
    }

    /// Opens it. Each opening has a position of its own.
    pub(crate) fn open(&self) -> io::Result<Opened> {
        match &self.content {
            Content::File(path) => {
                let file = File::open(path)?;
                let metadata = file.metadata()?;
                let stamp = Stamp { length: metadata.len(), modified: metadata.modified().ok() };
                Ok(Opened { bytes: Where::File(file), stamp })
            }
            Content::Memory(bytes) => {
                let stamp = Stamp { length: bytes.len() as u64, modified: None };
                Ok(Opened { bytes: Where::Memory(bytes.clone()), stamp })
            }
        }
    }
}

/// By which a file is known to be the same as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

enum Where {
    File(File),
    Memory(Bytes),
}

pub(crate) struct Opened {
    bytes: Where,
    pub(crate) stamp: Stamp,
}

impl Opened {
    /// From its start.
    pub(crate) fn read(self) -> Box<dyn Read> {
        match self.bytes {
            Where::File(file) => Box::new(file),
            Where::Memory(bytes) => Box::new(bytes.reader()),
        }
    }

    /// Its first bytes, at most four.
    pub(crate) fn magic(&self) -> io::Result<Vec<u8>> {
        let length = self.stamp.length.min(4) as usize;
        let bytes = self.get_bytes(0, length).map_err(io::Error::other)?;
        if let Where::File(file) = &self.bytes {
            let mut file = file;
            file.seek(SeekFrom::Start(0))?;
        }
        Ok(bytes.to_vec())
    }
}

impl Length for Opened {
    fn len(&self) -> u64 {
        self.stamp.length
    }
}

impl ChunkReader for Opened {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        match &self.bytes {
            Where::File(file) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(start))?;
                Ok(Box::new(BufReader::new(file)))
            }
            Where::Memory(bytes) => Ok(Box::new(bytes.get_read(start)?)),
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        match &self.bytes {
            Where::File(file) => {
                // Refused before the memory is taken: a damaged length may be anything.
                if start.checked_add(length as u64).is_none_or(|end| end > self.stamp.length) {
                    return Err(ParquetError::EOF(format!("{length} bytes at {start} are beyond the end of the file")));
                }
                let mut file = file;
                file.seek(SeekFrom::Start(start))?;
                let mut buffer = Vec::with_capacity(length);
                file.take(length as u64).read_to_end(&mut buffer)?;
                if buffer.len() != length {
                    return Err(ParquetError::EOF(format!("{length} bytes were expected at {start}")));
                }
                Ok(buffer.into())
            }
            Where::Memory(bytes) => bytes.get_bytes(start, length),
        }
    }
}
