//! `sweeper.in-use/1`: ids, ARNs and digests that are used where no cloud tells of it: in Kubernetes, in Nomad, by a CMDB.
//!
//! `sweeper in-use` writes it beside whoever knows. What a file names is in use, however old the file is. That nobody uses
//! a thing is concluded only while every file that speaks for its account can be relied on: one that is missing, damaged,
//! incomplete or old leaves unknown what it would have told.

use crate::{
    facts::FactsRef,
    house::is_account,
    ids::{self, Ids},
    inert::InertJson,
    inventory::{Inventory, Resource},
    model::{Class, CloudId, Relation, Timestamp},
    policy::glob_anycase,
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
pub const FORMAT: &str = "sweeper.in-use/1";
const FAMILY: &str = "sweeper.in-use/";

/// Bytes of the largest file that is read.
pub const LARGEST: u64 = 64 << 20;
/// Bytes of the longest item.
pub const LONGEST: usize = 2048;
/// Bytes of the longest name of who wrote it, and of what it covers.
pub const LONGEST_NAME: usize = 256;

/// How old a file may be where the config does not say, seconds.
pub const DEFAULT_MAX_AGE: i64 = 48 * 3600;

/// What a file covers that has everything a Kubernetes cluster uses.
pub const KUBERNETES: &str = "kubernetes";

/// What judging says of a thing that a file names.
pub const NAMED: &str = "an in-use file names it";

/// Why a file cannot be read. Says nothing of what it holds: it may be anything, named by mistake.
#[derive(Debug, Error)]
pub enum InUseError {
    #[error("it is not an in-use file")]
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
    written: String,
    source: String,
    #[serde(default)]
    covers: BTreeSet<String>,
    complete: bool,
    items: Vec<String>,
}

/// What is used in one place, to be looked up by resource.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Document")]
pub struct InUseFile {
    written: Timestamp,
    source: String,
    covers: BTreeSet<String>,
    complete: bool,
    /// Sorted, each once.
    items: Vec<String>,
    ids: Ids,
    /// Digests and names of container images, with and without their registry, sorted.
    images: Vec<Box<str>>,
}

impl TryFrom<Document> for InUseFile {
    type Error = InUseError;

    fn try_from(document: Document) -> Result<Self, InUseError> {
        let Document { format, written, source, covers, complete, items } = document;
        if format != FORMAT {
            return Err(if format.starts_with(FAMILY) { InUseError::Newer } else { InUseError::Foreign });
        }
        let written = Timestamp::parse(&written).ok_or(InUseError::Invalid("`written` is no instant"))?;
        let is_sound = |text: &String, longest: usize| !text.is_empty() && text.len() <= longest;
        if !is_sound(&source, LONGEST_NAME) {
            return Err(InUseError::Invalid("`source` is empty or too long"));
        }
        if !covers.iter().all(|what| is_sound(what, LONGEST_NAME)) {
            return Err(InUseError::Invalid("a text of `covers` is empty or too long"));
        }
        if u32::try_from(items.len()).is_err() || !items.iter().all(|item| is_sound(item, LONGEST)) {
            return Err(InUseError::Invalid("an item is empty or too long"));
        }
        Ok(Self::new(written, source, covers, complete, items))
    }
}

impl InUseFile {
    /// A file of items in any order. `source` says whose things use them: a cluster, a region of Nomad, a CMDB; `covers`
    /// of what it has everything; one that is not `complete` does not hold all that it should.
    pub fn new(
        written: Timestamp,
        source: String,
        covers: BTreeSet<String>,
        complete: bool,
        mut items: Vec<String>,
    ) -> Self {
        items.sort_unstable();
        items.dedup();
        let ids = Ids::of(items.iter().map(String::as_str));
        let mut images: Vec<Box<str>> = items.iter().flat_map(|item| image_names(item)).map(Box::from).collect();
        images.sort_unstable();
        images.dedup();
        Self { written, source, covers, complete, items, ids, images }
    }

    /// Reads a file whole, and refuses what it does not know.
    pub fn read(input: impl Read) -> Result<Self, InUseError> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
        }
        let mut bytes = Vec::new();
        input.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| InUseError::Io(error.kind()))?;
        if bytes.len() as u64 > LARGEST {
            return Err(InUseError::TooLarge);
        }
        // Nothing of a file that we do not understand is looked at, and none of the parser's words repeated.
        let damaged = |error: &serde_json::Error| InUseError::Damaged { line: error.line(), column: error.column() };
        match serde_json::from_slice::<Head>(&bytes) {
            Ok(head) if head.format == FORMAT => {}
            Ok(head) if head.format.starts_with(FAMILY) => return Err(InUseError::Newer),
            Err(error) if !error.is_data() => return Err(damaged(&error)),
            _ => return Err(InUseError::Foreign),
        }
        let document: Document = serde_json::from_slice(&bytes).map_err(|error| damaged(&error))?;
        document.try_into()
    }

    /// Writes it, an item a line: the same file is the same bytes.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        fn inert(value: &(impl Serialize + ?Sized), out: &mut impl Write) -> io::Result<()> {
            value.serialize(&mut serde_json::Serializer::with_formatter(out, InertJson)).map_err(io::Error::from)
        }
        write!(out, "{{\"format\":\"{FORMAT}\",\"written\":\"{}\",\"source\":", self.written)?;
        inert(&self.source, &mut out)?;
        write!(out, ",\"covers\":")?;
        inert(&self.covers, &mut out)?;
        write!(out, ",\"complete\":{},\"items\":[", self.complete)?;
        for (at, item) in self.items.iter().enumerate() {
            out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
            inert(item, &mut out)?;
        }
        out.write_all(b"\n]}\n")
    }

    pub fn written(&self) -> Timestamp {
        self.written
    }

    /// Whose things use what it names.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it has everything of.
    pub fn covers(&self) -> &BTreeSet<String> {
        &self.covers
    }

    pub fn is_complete(&self) -> bool {
        self.complete
    }

    pub fn items(&self) -> &[String] {
        &self.items
    }

    /// Whether it names a resource. Images are known by their digest, in whichever registry, and by their names with a
    /// tag; everything else as in an IaC index. `-` in the place of a project or zone of Google Cloud stands for any.
    pub fn names(&self, resource: Resource<'_>) -> bool {
        let inventory = resource.inventory();
        if let FactsRef::Artifact(_) = resource.facts() {
            let native = resource.native_id();
            let digest = native.rsplit_once('@').map_or(native, |(_, digest)| digest);
            let also = resource.also().map(|name| inventory.text(name));
            if [native, digest].into_iter().chain(also).any(|name| self.has_image(name)) {
                return true;
            }
        }
        let id = |at: u32| self.items[at as usize].as_str();
        if self.ids.place(resource, id, |_| true).is_some() {
            return true;
        }
        let own = [resource.native_id(), resource.uid()].into_iter();
        resource.cloud() == CloudId::Gcp
            && own.chain(resource.also().map(|name| inventory.text(name))).any(|name| self.has_anywhere(name))
    }

    /// As [`Self::names`], of something of which only ids are known.
    pub fn names_id(&self, id: &str) -> bool {
        self.ids.named(&ids::name(id)).next().is_some() || self.has_image(id) || self.has_anywhere(id)
    }

    fn has_image(&self, name: &str) -> bool {
        let digest = name.rsplit_once('@').map(|(_, digest)| digest).filter(|digest| digest.contains(':'));
        [Some(name), digest]
            .into_iter()
            .flatten()
            .any(|name| self.images.binary_search_by(|own| (**own).cmp(name)).is_ok())
    }

    fn has_anywhere(&self, id: &str) -> bool {
        anywhere(id).into_iter().any(|name| self.ids.named(&name).next().is_some())
    }

    /// Leaves only what the inventory holds: a lookup of any of its resources comes to what it came to before.
    fn keep_only(&mut self, inventory: &Inventory) {
        if self.items.is_empty() {
            return;
        }
        // By what each could be looked up by, which is more than what would be found.
        let mut known: BTreeSet<String> = BTreeSet::new();
        for resource in inventory.resources().filter(|resource| self.names(*resource)) {
            let also = resource.also().map(|name| inventory.text(name));
            for text in [resource.native_id(), resource.uid()].into_iter().chain(also) {
                known.extend(image_names(text).into_iter().map(ToOwned::to_owned));
                known.insert(ids::name(text).into_owned());
                known.extend(ids::tail(text).map(ToOwned::to_owned));
                known.extend(anywhere(text));
            }
        }
        let is_known = |item: &String| {
            known.contains(&*ids::name(item))
                || ids::tail(item).is_some_and(|tail| known.contains(tail))
                || image_names(item).into_iter().any(|name| known.contains(name))
        };
        let mut items = std::mem::take(&mut self.items);
        items.retain(is_known);
        let covers = std::mem::take(&mut self.covers);
        *self = Self::new(self.written, std::mem::take(&mut self.source), covers, self.complete, items);
    }
}

/// What an image is looked up by, of a reference: its digest, its name with a tag, and that without its registry.
fn image_names(reference: &str) -> Vec<&str> {
    if let Some((_, digest)) = reference.rsplit_once('@') {
        return if digest.contains(':') { vec![digest] } else { Vec::new() };
    }
    let mut names = vec![reference];
    if let Some((host, rest)) = reference.split_once('/')
        && host.contains(['.', ':'])
        && !reference.contains("://")
    {
        names.push(rest);
    }
    names
}

/// A path of Google Cloud without its project, and without its project and place.
fn anywhere(id: &str) -> Vec<String> {
    let name = ids::name(id);
    let mut parts: Vec<&str> = name.split('/').collect();
    if parts.len() < 5 || parts[0] != "projects" {
        return Vec::new();
    }
    parts[1] = "-";
    let in_place = parts.join("/");
    parts[3] = "-";
    vec![in_place, parts.join("/")]
}

impl Serialize for InUseFile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("InUseFile", 6)?;
        out.serialize_field("format", FORMAT)?;
        out.serialize_field("written", &self.written.to_string())?;
        out.serialize_field("source", &self.source)?;
        out.serialize_field("covers", &self.covers)?;
        out.serialize_field("complete", &self.complete)?;
        out.serialize_field("items", &self.items)?;
        out.end()
    }
}

/// What came of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    File(InUseFile),
    /// And why.
    Unreadable(String),
}

/// One `[[referrers]]`, read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Referrer {
    /// What the config calls it: its `name`, or its `file`.
    pub name: String,
    /// The clouds it speaks for. Empty: every cloud. What it names is in use in all of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub clouds: BTreeSet<CloudId>,
    /// The accounts it speaks for, as in `[[scope]]`. Empty: every account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<String>,
    /// The clusters it speaks for, by name, id or pattern. Empty: the one that is called as its source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
    /// How old it may be, seconds.
    pub max_age: i64,
    pub outcome: Outcome,
}

impl Referrer {
    fn file(&self) -> Option<&InUseFile> {
        match &self.outcome {
            Outcome::File(file) => Some(file),
            Outcome::Unreadable(_) => None,
        }
    }

    /// Whether that nobody uses a thing of an account hangs on it.
    pub fn speaks_for(&self, cloud: CloudId, account: &str) -> bool {
        (self.clouds.is_empty() || self.clouds.contains(&cloud))
            && (self.accounts.is_empty() || self.accounts.iter().any(|pattern| is_account(pattern, cloud, account)))
    }

    /// Why it cannot be relied on, if so: `the in-use file in-use.json cannot be read (it is not there)`.
    pub fn trouble(&self, now: Timestamp) -> Option<String> {
        let name = &self.name;
        match &self.outcome {
            Outcome::Unreadable(why) => Some(format!("the in-use file {name} cannot be read ({why})")),
            Outcome::File(file) if !file.complete => {
                Some(format!("the in-use file {name} cannot be relied on (it was written incomplete)"))
            }
            Outcome::File(file) if now.since(file.written) > self.max_age => Some(format!(
                "the in-use file {name} cannot be relied on (it was written {}, and may be {} old)",
                file.written,
                ttl::spoken(self.max_age)
            )),
            Outcome::File(_) => None,
        }
    }

    /// Whether it tells what a cluster uses. A name alone is enough only where no other cluster has it.
    fn tells_of(&self, cluster: Resource<'_>, is_only: bool) -> bool {
        let inventory = cluster.inventory();
        let also = || cluster.also().map(|name| inventory.text(name));
        if !self.clusters.is_empty() {
            let own = cluster.id();
            return self.clusters.iter().any(|pattern| {
                [cluster.native_id(), cluster.uid(), cluster.name(), &own]
                    .into_iter()
                    .chain(also())
                    .any(|name| !name.is_empty() && glob_anycase(pattern, name))
            });
        }
        let Some(file) = self.file() else { return false };
        let source = ids::name(&file.source);
        let is_whole = |name: &str| name.contains('/') && ids::name(name) == source;
        [cluster.native_id(), cluster.uid()].into_iter().chain(also()).any(is_whole)
            || file.source == cluster.id()
            || (is_only && (file.source == cluster.native_id() || file.source == cluster.name()))
    }
}

/// Where it is said that a thing is in use: `by prod-eu, per in-use.json of 2026-11-20T11:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mention<'r> {
    pub source: &'r str,
    pub name: &'r str,
    pub written: Timestamp,
}

impl fmt::Display for Mention<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "by {}, per {} of {}", self.source, self.name, self.written)
    }
}

/// `[[referrers]]`: every file that the config names, read. The default names none, and tells nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Referrers(pub Vec<Referrer>);

impl Referrers {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Both together: what either names is in use.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Who uses a resource, by the first file that names it. Also one that is old or incomplete says so.
    pub fn mention(&self, resource: Resource<'_>) -> Option<Mention<'_>> {
        self.first(|file| file.names(resource))
    }

    /// As [`Self::mention`], of something of which only ids are known.
    pub fn mention_of_ids(&self, ids: &[&str]) -> Option<Mention<'_>> {
        self.first(|file| ids.iter().any(|id| file.names_id(id)))
    }

    fn first(&self, names: impl Fn(&InUseFile) -> bool) -> Option<Mention<'_>> {
        self.0.iter().find_map(|referrer| {
            let file = referrer.file().filter(|file| names(file))?;
            Some(Mention { source: &file.source, name: &referrer.name, written: file.written })
        })
    }

    /// What is wrong with the files, each in a lower-case fragment.
    pub fn troubles(&self, now: Timestamp) -> impl Iterator<Item = String> {
        self.0.iter().filter_map(move |referrer| referrer.trouble(now))
    }

    /// What the files come to for an account.
    pub fn told(&self, inventory: &Inventory, cloud: CloudId, account: &str, now: Timestamp) -> Told {
        let mut told = Told::default();
        let mut reliable: Vec<(&Referrer, &InUseFile)> = Vec::new();
        for referrer in self.0.iter().filter(|referrer| referrer.speaks_for(cloud, account)) {
            match (referrer.trouble(now), referrer.file()) {
                (None, Some(file)) => {
                    told.covers.extend(file.covers.iter().cloned());
                    told.searched
                        .insert(format!("in-use file {} ({} at {})", referrer.name, file.source, file.written));
                    reliable.push((referrer, file));
                }
                (trouble, _) => told.trouble = told.trouble.or(trouble),
            }
        }
        reliable.retain(|(_, file)| file.covers.contains(KUBERNETES));
        let clusters: Vec<Resource<'_>> =
            inventory.of_class(Class::Cluster).filter(|cluster| cluster.cloud() == cloud).collect();
        for cluster in &clusters {
            let is_only = clusters.iter().filter(|other| other.native_id() == cluster.native_id()).count() == 1
                && (cluster.name().is_empty()
                    || clusters.iter().filter(|other| other.name() == cluster.name()).count() == 1);
            if !reliable.iter().any(|(referrer, _)| referrer.tells_of(*cluster, is_only)) {
                told.untold.push(format!("{} {}", cluster.kind().title, shown(*cluster)));
            }
        }
        if told.untold.is_empty() && told.covers.contains(KUBERNETES) {
            let hidden = inventory.kinds().iter().filter(|kind| kind.class == Class::Cluster);
            told.covers.extend(hidden.flat_map(|kind| kind.out_of_sight).map(|(_, what)| (*what).to_owned()));
        }
        told
    }

    /// Leaves of every file only what the inventory holds, so that a survey does not carry the rest of a house's things.
    pub fn keep_only(&mut self, inventory: &Inventory) {
        for referrer in &mut self.0 {
            if let Outcome::File(file) = &mut referrer.outcome {
                file.keep_only(inventory);
            }
        }
    }
}

/// A cluster as people know it.
fn shown(cluster: Resource<'_>) -> String {
    let name = if cluster.name().is_empty() { cluster.native_id() } else { cluster.name() };
    format!("{name} in {}/{}", cluster.account(), cluster.region())
}

/// What the files that speak for an account come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Why the first that cannot be relied on cannot.
    pub trouble: Option<String>,
    /// What those that can be relied on have everything of, with the referrers out of sight that this brings into it.
    pub covers: BTreeSet<String>,
    /// Those that can be relied on, a line each.
    pub searched: BTreeSet<String>,
    /// Clusters of the cloud of which none tells.
    pub untold: Vec<String>,
}

impl Told {
    /// The clusters of which no file tells, in a few words; `None` where there are none.
    pub fn untold(&self) -> Option<String> {
        let first = self.untold.first()?;
        let more = self.untold.len() - 1;
        Some(if more == 0 { first.clone() } else { format!("{first} and {more} more") })
    }
}

/// Whether something elsewhere may stand in a relation: an image may be run there, and no route can lead from there.
pub(crate) const fn may_be_elsewhere(relation: Relation) -> bool {
    matches!(
        relation,
        Relation::UsedByVm
            | Relation::UsedByTemplate
            | Relation::UsedByImage
            | Relation::Referenced
            | Relation::Aliased
            | Relation::Holds
    )
}

#[cfg(test)]
mod tests;
