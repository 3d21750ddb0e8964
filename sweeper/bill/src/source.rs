//! Where the bytes of a bill are: a file, memory, or an object in a bucket, of which only the ranges that are needed
//! travel.

use bytes::{Buf, Bytes};
use parquet::{
    errors::{ParquetError, Result},
    file::reader::{ChunkReader, Length},
};
use std::{
    fmt,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    ops::Range,
    path::PathBuf,
    sync::Arc,
    time::SystemTime,
};

/// What is fetched of the end of a Parquet object at once: most footers are in it. Smaller objects are fetched whole.
const EDGE: u64 = 64 << 10;
/// What is fetched at once of an object that is read from its start to its end.
const PIECE: u64 = 8 << 20;
/// Ranges with less than this between them are fetched as one: what a request takes longer than its bytes, at some
/// 30 ms and 40 MB/s. `object_store` joins ranges by the same measure (`OBJECT_STORE_COALESCE_DEFAULT`).
const GAP: u64 = 1 << 20;

/// A place that bills lie under, with names as in a directory: a bucket, or a directory.
///
/// Reading blocks, and several threads read at once.
pub trait Objects: fmt::Debug + Send + Sync {
    /// What it is called in messages; `/` and a name after it tell one object.
    fn place(&self) -> String;

    /// Everything that lies under it, however deep and in any order, or why that is not known. An object that is the
    /// place itself has no name.
    fn list(&self) -> io::Result<Vec<Object>>;

    /// These bytes of an object as it was listed, a piece for each range. When it is not as it was listed, that is
    /// [`changed`].
    fn read(&self, object: &Object, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>>;

    /// Something that is there and was not listed: behind a link.
    fn unlisted(&self, _name: &str) -> Option<Object> {
        None
    }
}

/// One object as it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Under its place, with `/` between the parts.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// What changes when its bytes do: an entity tag.
    pub tag: Option<String>,
    pub modified: Option<SystemTime>,
}

/// Of an object that is not as it was listed.
pub fn changed() -> io::Error {
    io::Error::other(
        "it changed since it was listed: the export is being written. Run this again when its newest manifest is there",
    )
}

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
    /// Already here.
    Memory(Bytes),
    Object(Arc<dyn Objects>, Object),
}

impl Source {
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { name: path.display().to_string(), content: Content::File(path) }
    }

    pub fn memory(name: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        Self { name: name.into(), content: Content::Memory(bytes.into()) }
    }

    pub fn object(name: impl Into<String>, objects: Arc<dyn Objects>, object: Object) -> Self {
        Self { name: name.into(), content: Content::Object(objects, object) }
    }

    /// Opens it. Each opening has a position of its own.
    pub(crate) fn open(&self) -> io::Result<Opened> {
        match &self.content {
            Content::File(path) => {
                let file = File::open(path)?;
                let metadata = file.metadata()?;
                let stamp = Stamp { length: metadata.len(), modified: metadata.modified().ok() };
                Ok(Opened { bytes: Where::File(file), stamp, kept: Vec::new() })
            }
            Content::Memory(bytes) => {
                let stamp = Stamp { length: bytes.len() as u64, modified: None };
                Ok(Opened { bytes: Where::Memory(bytes.clone()), stamp, kept: Vec::new() })
            }
            // Nothing is asked yet: each reading says whether it is as it was listed.
            Content::Object(objects, object) => {
                let stamp = Stamp { length: object.size, modified: object.modified };
                Ok(Opened { bytes: Where::Object(Arc::clone(objects), object.clone()), stamp, kept: Vec::new() })
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
    Object(Arc<dyn Objects>, Object),
}

pub(crate) struct Opened {
    bytes: Where,
    pub(crate) stamp: Stamp,
    /// What was fetched of an object, by where it starts.
    kept: Vec<(u64, Bytes)>,
}

impl Opened {
    /// From its start.
    pub(crate) fn read(self) -> Box<dyn Read> {
        match self.bytes {
            Where::File(file) => Box::new(file),
            Where::Memory(bytes) => Box::new(bytes.reader()),
            Where::Object(objects, object) => {
                let whole = self.kept.into_iter().find(|(_, bytes)| bytes.len() as u64 == object.size);
                let piece = whole.map(|(_, bytes)| bytes).unwrap_or_default();
                Box::new(Streamed { at: piece.len() as u64, objects, object, piece })
            }
        }
    }

    /// Its first bytes, at most four.
    pub(crate) fn magic(&mut self) -> io::Result<Vec<u8>> {
        let length = self.stamp.length.min(4);
        if let Where::Object(_, object) = &self.bytes {
            let first = if object.size <= EDGE { 0..object.size } else { 0..length };
            self.keep(std::slice::from_ref(&first))?;
        }
        let bytes = self.get_bytes(0, length as usize).map_err(io::Error::other)?;
        if let Where::File(file) = &self.bytes {
            let mut file = file;
            file.seek(SeekFrom::Start(0))?;
        }
        Ok(bytes.to_vec())
    }

    /// Fetches the footer of a Parquet object.
    pub(crate) fn footer(&mut self) -> io::Result<()> {
        let Where::Object(_, object) = &self.bytes else { return Ok(()) };
        let size = object.size;
        if size > EDGE {
            self.keep(std::slice::from_ref(&(size - EDGE..size)))?;
        }
        // The last eight bytes are the footer's length and the magic.
        let Some(end) = size.checked_sub(8) else { return Ok(()) };
        let length = self.get_bytes(end, 4).map_err(io::Error::other)?;
        let length = length.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        match end.checked_sub(u64::from(length)) {
            Some(start) if start < size.saturating_sub(EDGE) => self.keep(std::slice::from_ref(&(start..size))),
            _ => Ok(()),
        }
    }

    /// Fetches ranges of an object, so that they are there when they are read; of what is here anyway, nothing.
    pub(crate) fn keep(&mut self, ranges: &[Range<u64>]) -> io::Result<()> {
        let Where::Object(objects, object) = &self.bytes else { return Ok(()) };
        let joined = joined(ranges);
        if joined.last().is_some_and(|range| range.end > object.size) {
            return Err(io::Error::other("what it is made of lies beyond its end: it is cut off or broken"));
        }
        for (range, bytes) in joined.iter().zip(fetched(objects.as_ref(), object, &joined)?) {
            self.kept.push((range.start, bytes));
        }
        Ok(())
    }

    /// What was fetched from a place on.
    fn held(&self, start: u64) -> Option<Bytes> {
        self.kept.iter().rev().find_map(|(first, bytes)| {
            let skipped = usize::try_from(start.checked_sub(*first)?).ok()?;
            (skipped < bytes.len()).then(|| bytes.slice(skipped..))
        })
    }
}

/// As few ranges, in order, with what lies between near ones.
fn joined(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted: Vec<Range<u64>> = ranges.iter().filter(|range| range.start < range.end).cloned().collect();
    sorted.sort_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match joined.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP) => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// Ranges of an object, as many and as long as was asked for.
fn fetched(objects: &dyn Objects, object: &Object, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
    // Whatever its kind, it is no fault of the file's content.
    let pieces = objects.read(object, ranges).map_err(|error| io::Error::other(error.to_string()))?;
    let whole = pieces.len() == ranges.len()
        && pieces.iter().zip(ranges).all(|(piece, range)| piece.len() as u64 == range.end - range.start);
    if whole { Ok(pieces) } else { Err(io::Error::other("less came than was asked for")) }
}

fn one(objects: &dyn Objects, object: &Object, range: Range<u64>) -> io::Result<Bytes> {
    Ok(fetched(objects, object, std::slice::from_ref(&range))?.pop().unwrap_or_default())
}

/// An object from some place to its end.
struct Streamed {
    objects: Arc<dyn Objects>,
    object: Object,
    /// Up to where it was fetched.
    at: u64,
    piece: Bytes,
}

impl Read for Streamed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.piece.has_remaining() && self.at < self.object.size {
            let range = self.at..self.object.size.min(self.at.saturating_add(PIECE));
            self.at = range.end;
            self.piece = one(self.objects.as_ref(), &self.object, range)?;
        }
        let count = buffer.len().min(self.piece.len());
        buffer[..count].copy_from_slice(&self.piece[..count]);
        self.piece.advance(count);
        Ok(count)
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
            Where::Object(objects, object) => {
                let piece = self.held(start).unwrap_or_default();
                let at = start.saturating_add(piece.len() as u64);
                Ok(Box::new(Streamed { objects: Arc::clone(objects), object: object.clone(), at, piece }))
            }
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        // Refused before the memory is taken: a damaged length may be anything.
        if start.checked_add(length as u64).is_none_or(|end| end > self.stamp.length) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} are beyond the end of the file")));
        }
        match &self.bytes {
            Where::File(file) => {
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
            Where::Object(objects, object) => {
                if let Some(held) = self.held(start).filter(|held| held.len() >= length) {
                    return Ok(held.slice(..length));
                }
                Ok(one(objects.as_ref(), object, start..start + length as u64)?)
            }
        }
    }
}
