//! `sweeper.iac-index/1`: what Terraform, OpenTofu, Pulumi and CloudFormation manage, by ids and addresses alone.
//!
//! `sweeper iac-index` writes it where state files are, since state holds secrets and the sweeper never needs it. What
//! an index holds is held: the next apply would only make it again. An index that was configured and cannot be relied
//! on holds everything in its clouds, since what is not known to be managed is not known to be unmanaged.

use crate::{
    ids::Ids,
    inert::InertJson,
    inventory::{Inventory, Resource},
    model::{CloudId, Timestamp},
    ttl,
};
use serde::{Deserialize, Serialize, ser::SerializeStruct as _};
use std::{
    collections::BTreeSet,
    fmt,
    io::{self, Read, Write},
};
use thiserror::Error;

/// The format written.
pub const FORMAT: &str = "sweeper.iac-index/1";
const FAMILY: &str = "sweeper.iac-index/";

/// Bytes of the largest file that is read.
pub const LARGEST: u64 = 256 << 20;
/// Bytes of the longest text of an entry.
pub const LONGEST: usize = 2048;

/// How old an index may be where the config does not say, seconds.
pub const DEFAULT_MAX_AGE: i64 = 48 * 3600;

/// One resource that is managed elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// As its cloud names it: a native id, an ARN, an ARM id, a self link.
    pub id: String,
    /// As its manager names it: `module.net.aws_eip.nat[0]`.
    pub address: String,
    /// The state or stack it is in: `prod/network`.
    pub stack: String,
    /// `terraform`, `opentofu`, `pulumi`, `cloudformation`.
    pub tool: String,
}

/// `in Terraform state prod/network as aws_ebs_volume.data`.
impl fmt::Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, stack, tool, .. } = self;
        match tool.as_str() {
            "terraform" => write!(formatter, "in Terraform state {stack} as {address}"),
            "opentofu" => write!(formatter, "in OpenTofu state {stack} as {address}"),
            "pulumi" => write!(formatter, "in Pulumi stack {stack} as {address}"),
            "cloudformation" => write!(formatter, "in CloudFormation stack {stack} as {address}"),
            tool => write!(formatter, "in {stack} of {tool} as {address}"),
        }
    }
}

/// Why an index cannot be read. Says nothing of what the file holds: it may be a state file, named by mistake.
#[derive(Debug, Error)]
pub enum IacError {
    #[error("it is not an IaC index")]
    Foreign,
    /// Written by a later release.
    #[error("it is of a later format than `{FORMAT}`")]
    Newer,
    #[error("it is damaged at line {line}, column {column}")]
    Damaged { line: usize, column: usize },
    #[error("it is damaged: {0}")]
    Invalid(&'static str),
    #[error("it is larger than {} MiB", LARGEST >> 20)]
    TooLarge,
    #[error("{}", reason(*.0))]
    Io(io::ErrorKind),
}

/// Words for people; those of the system differ between machines.
fn reason(kind: io::ErrorKind) -> String {
    match kind {
        io::ErrorKind::NotFound => "it is not there".to_owned(),
        kind => kind.to_string(),
    }
}

/// The written form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    made: String,
    source: String,
    #[serde(default)]
    incomplete: bool,
    entries: Vec<Entry>,
}

/// What is managed elsewhere, to be looked up by resource.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Document")]
pub struct IacIndex {
    made: Timestamp,
    source: String,
    incomplete: bool,
    /// Sorted, each once.
    entries: Vec<Entry>,
    ids: Ids,
}

impl TryFrom<Document> for IacIndex {
    type Error = IacError;

    fn try_from(document: Document) -> Result<Self, IacError> {
        let Document { format, made, source, incomplete, entries } = document;
        if format != FORMAT {
            return Err(if format.starts_with(FAMILY) { IacError::Newer } else { IacError::Foreign });
        }
        let made = Timestamp::parse(&made).ok_or(IacError::Invalid("`made` is no instant"))?;
        let is_sound = |text: &String| !text.is_empty() && text.len() <= LONGEST;
        let sound = entries.iter().all(|Entry { id, address, stack, tool }| {
            [id, address, stack, tool].into_iter().all(is_sound) && u32::try_from(entries.len()).is_ok()
        });
        if !sound {
            return Err(IacError::Invalid("an entry has a text that is empty or too long"));
        }
        Ok(Self::new(made, source, incomplete, entries))
    }
}

impl IacIndex {
    /// An index of entries in any order. `source` says what made it; an `incomplete` one does not hold all that it
    /// should.
    pub fn new(made: Timestamp, source: String, incomplete: bool, mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable();
        entries.dedup();
        let ids = Ids::of(entries.iter().map(|entry| entry.id.as_str()));
        Self { made, source, incomplete, entries, ids }
    }

    /// Reads a file whole, and refuses what it does not know.
    pub fn read(input: impl Read) -> Result<Self, IacError> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
        }
        let mut bytes = Vec::new();
        input.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| IacError::Io(error.kind()))?;
        if bytes.len() as u64 > LARGEST {
            return Err(IacError::TooLarge);
        }
        // Nothing of a file that we do not understand is looked at. The words of the parser are left out, since they
        // repeat what they stumbled over.
        let damaged = |error: &serde_json::Error| IacError::Damaged { line: error.line(), column: error.column() };
        match serde_json::from_slice::<Head>(&bytes) {
            Ok(head) if head.format == FORMAT => {}
            Ok(head) if head.format.starts_with(FAMILY) => return Err(IacError::Newer),
            Err(error) if !error.is_data() => return Err(damaged(&error)),
            _ => return Err(IacError::Foreign),
        }
        let document: Document = serde_json::from_slice(&bytes).map_err(|error| damaged(&error))?;
        document.try_into()
    }

    /// Writes it, an entry a line: the same index is the same bytes.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        fn inert(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
            value.serialize(&mut serde_json::Serializer::with_formatter(out, InertJson)).map_err(io::Error::from)
        }
        write!(out, "{{\"format\":\"{FORMAT}\",\"made\":\"{}\",\"source\":", self.made)?;
        inert(&self.source, &mut out)?;
        if self.incomplete {
            write!(out, ",\"incomplete\":true")?;
        }
        write!(out, ",\"entries\":[")?;
        for (at, entry) in self.entries.iter().enumerate() {
            out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
            inert(entry, &mut out)?;
        }
        out.write_all(b"\n]}\n")
    }

    /// When it was made.
    pub fn made(&self) -> Timestamp {
        self.made
    }

    /// Whether a state file that should be in it could not be read.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Who manages a resource. Ids are looked up as their clouds compare them: ARM ids without regard to case, ARNs
    /// whatever the partition, links and paths of Google Cloud from `projects/` on.
    pub fn managed(&self, resource: Resource<'_>) -> Option<&Entry> {
        self.place(resource).map(|at| &self.entries[at as usize])
    }

    fn place(&self, resource: Resource<'_>) -> Option<u32> {
        // A bare name of CloudFormation's may be one of another cloud, too.
        let fits = |at: u32| resource.cloud() == CloudId::Aws || self.entries[at as usize].tool != "cloudformation";
        self.ids.place(resource, |at| &self.entries[at as usize].id, fits)
    }

    /// Leaves only what the inventory holds: a lookup of any of its resources finds what it found before.
    fn keep_only(&mut self, inventory: &Inventory) {
        if self.entries.is_empty() {
            return;
        }
        let kept: BTreeSet<u32> = inventory.resources().filter_map(|resource| self.place(resource)).collect();
        let all = std::mem::take(&mut self.entries);
        let entries = (0_u32..).zip(all).filter(|(at, _)| kept.contains(at)).map(|(_, entry)| entry).collect();
        *self = Self::new(self.made, std::mem::take(&mut self.source), self.incomplete, entries);
    }
}

impl Serialize for IacIndex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("IacIndex", 5)?;
        out.serialize_field("format", FORMAT)?;
        out.serialize_field("made", &self.made.to_string())?;
        out.serialize_field("source", &self.source)?;
        if self.incomplete {
            out.serialize_field("incomplete", &true)?;
        } else {
            out.skip_field("incomplete")?;
        }
        out.serialize_field("entries", &self.entries)?;
        out.end()
    }
}

/// What came of one index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Index(IacIndex),
    /// And why.
    Unreadable(String),
}

/// One index that the config names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// As the config names it.
    pub path: String,
    pub outcome: Outcome,
}

/// `[iac]`: every index that the config names, read. The default names none, and holds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Iac {
    /// What an index that cannot be relied on holds. Empty: every cloud.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub clouds: BTreeSet<CloudId>,
    /// How old an index may be, seconds.
    pub max_age: i64,
    pub sources: Vec<Source>,
}

impl Iac {
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Both together: what either holds is held.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if !other.is_empty() {
            if other.clouds.is_empty() {
                self.clouds.clear();
            } else if !self.clouds.is_empty() {
                self.clouds.extend(other.clouds);
            }
            self.max_age = self.max_age.min(other.max_age);
            self.sources.extend(other.sources);
        }
        self
    }

    /// Who manages a resource, by the first index that has it. Also one that is old or incomplete says so.
    pub fn managed(&self, resource: Resource<'_>) -> Option<&Entry> {
        self.sources.iter().find_map(|source| match &source.outcome {
            Outcome::Index(index) => index.managed(resource),
            Outcome::Unreadable(_) => None,
        })
    }

    /// Why things in a cloud are held that no index is known to hold, if they are:
    /// `the IaC index iac-index.json cannot be read (it is not there)`.
    pub fn hold(&self, cloud: CloudId, now: Timestamp) -> Option<String> {
        if self.clouds.is_empty() || self.clouds.contains(&cloud) { self.troubles(now).next() } else { None }
    }

    /// What is wrong with the indexes, each in a lower-case fragment.
    pub fn troubles(&self, now: Timestamp) -> impl Iterator<Item = String> {
        self.sources.iter().filter_map(move |Source { path, outcome }| match outcome {
            Outcome::Unreadable(why) => Some(format!("the IaC index {path} cannot be read ({why})")),
            Outcome::Index(index) if index.incomplete => {
                Some(format!("the IaC index {path} cannot be relied on (a state file was not read when it was made)"))
            }
            Outcome::Index(index) if now.since(index.made) > self.max_age => Some(format!(
                "the IaC index {path} cannot be relied on (it was made {}, and may be {} old)",
                index.made,
                ttl::spoken(self.max_age)
            )),
            Outcome::Index(_) => None,
        })
    }

    /// Leaves of every index only what the inventory holds, so that a survey does not carry the rest of a house's code.
    pub fn keep_only(&mut self, inventory: &Inventory) {
        for source in &mut self.sources {
            if let Outcome::Index(index) = &mut source.outcome {
                index.keep_only(inventory);
            }
        }
    }
}

#[cfg(test)]
mod tests;
