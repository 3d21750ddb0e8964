//! What a shard saw, written once: parts that an attempt makes, and a seal that says which attempt counts.
//!
//! An attempt that dies leaves parts without a seal, which nobody looks at. Of two attempts the first to make the seal
//! counts. A sealed attempt whose parts are not what was sealed is passed over for the next seal, which the next
//! attempt makes.

use super::{Run, ShardError, Shelf, Stage};
use crate::{
    model::Timestamp,
    store::{
        StoreError,
        document::{self, Document},
    },
    survey_file::{RunCost, hexadecimal},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read, Write};

/// How large a part is, bytes: what is in memory beside what is written from, and what one request carries.
const PART: usize = 4 << 20;
/// No attempt has more parts.
const MOST_PARTS: u32 = 100_000;
/// A shard is not sealed more often.
const MOST_SEALS: u32 = 100;

/// What an attempt says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) started: Timestamp,
    pub(super) taken_at: Timestamp,
    /// Why its clock is not trusted, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) doubt: Option<String>,
    pub(super) cost: RunCost,
}

/// Parts that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parts {
    /// What their names begin with.
    pub(super) name: String,
    pub(super) count: u32,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Which attempt counts, and what it came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seal {
    tool: String,
    rules: String,
    shard: u32,
    shards: u32,
    /// How many listings or questions.
    count: u64,
    /// Whether all of them came to their end.
    complete: bool,
    content: Parts,
}

impl Document for Seal {
    const FORMAT: &'static str = "sweeper.shard";
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// It counts.
    Counts,
    /// Another attempt was quicker.
    Late,
}

/// What an attempt has to say beside its content.
pub(super) struct Attempt<'a> {
    pub(super) run: &'a Run,
    pub(super) stage: Stage,
    pub(super) shard: u32,
    /// A name that no other attempt has.
    pub(super) name: &'a str,
}

impl Attempt<'_> {
    /// Writes the content of an attempt, and makes it the one that counts unless another does.
    pub(super) fn seal(
        &self,
        shelf: &dyn Shelf,
        (count, complete): (u64, bool),
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Sealing, ShardError> {
        let (run, shard) = (self.run, self.shard);
        let content = put(shelf, run, &format!("{}-{shard}-{}", self.stage, document::part(self.name)), write)?;
        let (tool, rules) = (run.tool.clone(), run.rules.clone());
        let seal = Seal { tool, rules, shard, shards: run.shards, count, complete, content };
        for number in 1..=MOST_SEALS {
            let key = seal_key(run, self.stage, shard, number);
            if shelf.create(&key, &document::written(&key, &seal)?)? {
                return Ok(Sealing::Counts);
            }
            if sound(shelf, run, &key, shard).is_ok() {
                return Ok(Sealing::Late);
            }
        }
        let why = "it was sealed and damaged too often".to_owned();
        Err(ShardError::Damaged(seal_key(run, self.stage, shard, MOST_SEALS), why))
    }
}

fn seal_key(run: &Run, stage: Stage, shard: u32, number: u32) -> String {
    run.key(&format!("{stage}-{shard}.seal-{number}"))
}

/// Whether a shard has an attempt that counts and is whole.
pub fn is_sealed(shelf: &dyn Shelf, run: &Run, stage: Stage, shard: u32) -> Result<bool, ShardError> {
    for number in 1..=MOST_SEALS {
        let key = seal_key(run, stage, shard, number);
        if shelf.read(&key)?.is_none() {
            return Ok(false);
        }
        if sound(shelf, run, &key, shard).is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A seal whose parts are what was sealed, or what is wrong.
fn sound(shelf: &dyn Shelf, run: &Run, key: &str, shard: u32) -> Result<(), String> {
    let seal = seal(shelf, run, key, shard)?;
    let mut reader = Reader::new(shelf, run, &seal.content);
    let read = io::copy(&mut reader, &mut io::sink()).map_err(|error| error.to_string());
    read.and_then(|_| reader.end())
}

fn seal(shelf: &dyn Shelf, run: &Run, key: &str, shard: u32) -> Result<Seal, String> {
    let bytes = shelf.read(key).map_err(|error| error.to_string())?.ok_or("its seal is gone")?;
    let seal: Seal = document::parse(key, &bytes).map_err(|error| error.to_string())?;
    if seal.tool != run.tool {
        return Err(format!("it was made by {}, and this is {}", seal.tool, run.tool));
    }
    if seal.rules != run.rules || seal.shards != run.shards || seal.shard != shard {
        return Err("it was made for another run".to_owned());
    }
    Ok(seal)
}

/// What the attempt that counts saw, as `read` understands it; otherwise why nothing is known of the shard.
pub(super) fn sealed<T>(
    shelf: &dyn Shelf,
    run: &Run,
    stage: Stage,
    shard: u32,
    mut read: impl FnMut(&mut dyn Read) -> Result<T, String>,
) -> Result<Result<T, String>, StoreError> {
    let mut trouble = None;
    for number in 1..=MOST_SEALS {
        let key = seal_key(run, stage, shard, number);
        if shelf.read(&key)?.is_none() {
            break;
        }
        let tried = seal(shelf, run, &key, shard).map_err(|why| format!("{key}: {why}")).and_then(|seal| {
            let mut reader = Reader::new(shelf, run, &seal.content);
            let value = read(&mut reader);
            // The seal first: what it does not fit says nothing of how it reads.
            let rest = io::copy(&mut reader, &mut io::sink());
            let ended = reader.end();
            if let Err(error) = rest {
                return Err(error.to_string());
            }
            ended.and(value)
        });
        match tried {
            Ok(value) => return Ok(Ok(value)),
            Err(why) => drop(trouble.get_or_insert(why)),
        }
    }
    Ok(Err(match trouble {
        Some(why) => format!("{} cannot be used: {why}", run.named(shard)),
        None => format!("{} never came", run.named(shard)),
    }))
}

/// Writes something in parts.
pub(super) fn put(
    shelf: &dyn Shelf,
    run: &Run,
    name: &str,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Parts, ShardError> {
    let mut writer = Writer {
        shelf,
        run,
        ahead: Vec::with_capacity(PART),
        hash: Sha256::new(),
        parts: Parts { name: name.to_owned(), ..Parts::default() },
        failed: None,
    };
    let written = write(&mut writer).and_then(|()| writer.part());
    if let Some(error) = writer.failed {
        return Err(error.into());
    }
    written.map_err(|error| StoreError::Failed(error.to_string()))?;
    writer.parts.sha256 = hexadecimal(&writer.hash.finalize());
    Ok(writer.parts)
}

struct Writer<'a> {
    shelf: &'a dyn Shelf,
    run: &'a Run,
    ahead: Vec<u8>,
    hash: Sha256,
    parts: Parts,
    failed: Option<StoreError>,
}

impl Writer<'_> {
    /// Puts what is ahead as a part.
    fn part(&mut self) -> io::Result<()> {
        let key = self.run.key(&format!("{}.{}", self.parts.name, self.parts.count));
        let made = self.shelf.create(&key, &self.ahead).and_then(|made| {
            let taken = || StoreError::Failed(format!("`{key}` is there already"));
            if made { Ok(()) } else { Err(taken()) }
        });
        if let Err(error) = made {
            let said = error.to_string();
            self.failed = Some(error);
            return Err(io::Error::other(said));
        }
        self.hash.update(&self.ahead);
        self.parts.count += 1;
        self.parts.bytes += self.ahead.len() as u64;
        self.ahead.clear();
        Ok(())
    }
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = bytes.len().min(PART - self.ahead.len());
        self.ahead.extend_from_slice(&bytes[..most]);
        if self.ahead.len() == PART {
            self.part()?;
        }
        Ok(most)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was written in parts, hashed on the way.
pub(super) struct Reader<'a> {
    shelf: &'a dyn Shelf,
    run: &'a Run,
    parts: &'a Parts,
    part: Vec<u8>,
    at: usize,
    next: u32,
    bytes: u64,
    hash: Sha256,
}

impl<'a> Reader<'a> {
    pub(super) fn new(shelf: &'a dyn Shelf, run: &'a Run, parts: &'a Parts) -> Self {
        Self { shelf, run, parts, part: Vec::new(), at: 0, next: 0, bytes: 0, hash: Sha256::new() }
    }

    /// Whether all of it was read and was what had been written; otherwise where it was not.
    pub(super) fn end(self) -> Result<(), String> {
        let place = self.run.key(&self.parts.name);
        if self.next < self.parts.count.min(MOST_PARTS) || self.bytes != self.parts.bytes {
            return Err(format!("{place} is cut short"));
        }
        if hexadecimal(&self.hash.finalize()) != self.parts.sha256 {
            return Err(format!("{place} is not what was sealed"));
        }
        Ok(())
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.at == self.part.len() {
            if self.next >= self.parts.count.min(MOST_PARTS) {
                return Ok(0);
            }
            let key = self.run.key(&format!("{}.{}", self.parts.name, self.next));
            let part = self.shelf.read(&key).map_err(|error| io::Error::other(format!("{key}: {error}")))?;
            self.part = part.ok_or_else(|| io::Error::other(format!("{key} is gone")))?;
            self.hash.update(&self.part);
            self.bytes += self.part.len() as u64;
            self.at = 0;
            self.next += 1;
        }
        let most = bytes.len().min(self.part.len() - self.at);
        bytes[..most].copy_from_slice(&self.part[self.at..self.at + most]);
        self.at += most;
        Ok(most)
    }
}
