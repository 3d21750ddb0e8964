//! What was seen, and where we did not look.
//!
//! One table a (kind, scope): rows of interned ids, a typed column of facts, flat tags and references.
//! A table is committed whole or not at all, so a failed listing leaves [`Status::Blind`] behind and
//! never a short list. Absence is concluded only by [`Inventory::users`], [`Inventory::exists`] and
//! [`Inventory::marked`].

use crate::{
    facts::{FactColumn, Facts, FactsRef},
    intern::{Interner, Sym},
    kind::{Fault, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation, Scope, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

mod moved;

/// Where a resource stands in its inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResourceIx {
    table: u32,
    row: u32,
}

impl ResourceIx {
    /// Its row in the listing that it is in.
    pub(crate) const fn row(self) -> u32 {
        self.row
    }
}

/// What is known of a (scope, kind). Only `Complete` and `None` let absence be concluded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Status {
    /// Every page was read.
    Complete,
    /// Nothing can be there: region not enabled, service not offered, account closed.
    None { why: String },
    /// Not readable, and the config says that this is accepted.
    Waived { why: String, reason: String, until: String },
    /// Not readable.
    Blind { why: String },
}

/// Coverage of one (scope, kind).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    pub status: Status,
    pub resources: u32,
    pub calls: u32,
    /// Why facts of some of its resources are not known, though all are listed: see [`Listing::hides`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub hidden: BTreeSet<String>,
    /// How it was listed, where that is not the usual way: see [`Listing::notes`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub noted: BTreeSet<String>,
}

impl Covered {
    fn new(status: Status, resources: u32, calls: u32) -> Self {
        Self { status, resources, calls, hidden: BTreeSet::new(), noted: BTreeSet::new() }
    }
}

/// Why something could not be concluded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unseen {
    /// The line it is counted under: `denied ec2:DescribeImages`.
    pub cause: String,
    /// What was not seen, where: `aws.ec2-image in 111111111111/us-east-1`.
    pub what: String,
}

/// Where a search looked, the same for every resource of a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// `aws.ec2-instance (region)`: each kind searched, with its reach.
    pub searched: Vec<String>,
    /// Waived scopes the conclusion rests on.
    pub assuming: BTreeSet<String>,
    /// Referrers that nobody can list from here.
    pub out_of_sight: BTreeSet<&'static str>,
    /// The first blind place within reach, in the order of kinds and scopes.
    pub unseen: Option<Unseen>,
}

/// The outcome of a search that could be concluded.
#[derive(Clone, Debug)]
pub struct Search {
    pub users: Vec<ResourceIx>,
    pub sight: Arc<Sight>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    native: Sym,
    uid: Sym,
    name: Sym,
    /// Only where it differs from the table's scope.
    region: Sym,
    managed_by: Sym,
    protected: Sym,
    created: i64,
    tags_start: u32,
    tags: u16,
}

/// `Row::created` when it is not known.
const NO_TIME: i64 = i64::MIN;
/// `Row::tags` when they could not be, or were not, read with the listing.
const UNREAD: u16 = u16::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Use {
    row: u32,
    relation: Relation,
    target: Sym,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Table {
    kind: u16,
    scope: u32,
    rows: Vec<Row>,
    facts: FactColumn,
    tags: Vec<(Sym, Sym)>,
    uses: Vec<Use>,
    /// Other names, by row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    also: Vec<(u32, Sym)>,
}

/// The tags of a resource as its listing gave them.
#[derive(Clone, Debug)]
pub enum Tags<'a> {
    /// The listing does not carry them: unknown, not absent.
    Unread,
    Read(Vec<(&'a str, &'a str)>),
}

/// One resource on its way into a [`Listing`].
#[derive(Debug)]
pub struct Draft<'a> {
    /// What the cloud's delete call takes.
    pub native_id: &'a str,
    /// The immutable identity, where the native id can be used again (names); else empty.
    pub uid: &'a str,
    /// For people; empty for none.
    pub name: &'a str,
    /// Only where it differs from the scope that is listed.
    pub region: Option<&'a str>,
    pub created: Option<Timestamp>,
    pub tags: Tags<'a>,
    /// The manager whose mark it carries: `CloudFormation stack web`; empty for none.
    pub managed_by: &'a str,
    /// What protects it in the cloud itself: `deletion protection`; empty for none.
    pub protected: &'a str,
    pub facts: Facts,
    /// Native ids (or digests, names) of what it uses.
    pub uses: Vec<(Relation, &'a str)>,
    /// Other names by which others may refer to it (`repository:tag`, an ARN): a search for its users
    /// looks for these too.
    pub also: Vec<&'a str>,
}

impl<'a> Draft<'a> {
    /// With only what every resource has.
    pub fn new(native_id: &'a str, facts: impl Into<Facts>) -> Self {
        Self {
            native_id,
            uid: "",
            name: "",
            region: None,
            created: None,
            tags: Tags::Unread,
            managed_by: "",
            protected: "",
            facts: facts.into(),
            uses: Vec::new(),
            also: Vec::new(),
        }
    }
}

type Shared = Arc<Mutex<Interner>>;

fn lock(strings: &Shared) -> MutexGuard<'_, Interner> {
    strings.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A listing of one kind in one scope, under way. Dropped without being completed, it leaves nothing.
pub struct Listing {
    strings: Shared,
    class: Class,
    table: Table,
    wrong_class: bool,
    nameless: bool,
    blind: BTreeMap<String, String>,
    hidden: BTreeSet<String>,
    noted: BTreeSet<String>,
}

impl Listing {
    /// The symbol of a text, for facts.
    pub fn sym(&self, text: &str) -> Sym {
        lock(&self.strings).intern(text)
    }

    /// Adds a resource.
    pub fn push(&mut self, draft: Draft<'_>) {
        let mut strings = lock(&self.strings);
        let row = self.table.rows.len() as u32;
        let native = strings.intern(draft.native_id);
        let tags_start = self.table.tags.len() as u32;
        let tags = match draft.tags {
            Tags::Unread => UNREAD,
            Tags::Read(tags) => {
                for (key, value) in &tags {
                    let pair = (strings.intern(key), strings.intern(value));
                    self.table.tags.push(pair);
                }
                (tags.len() as u16).min(UNREAD - 1)
            }
        };
        for (relation, target) in draft.uses {
            if !target.is_empty() {
                self.table.uses.push(Use { row, relation, target: strings.intern(target) });
            }
        }
        for name in draft.also.into_iter().filter(|name| !name.is_empty()) {
            self.table.also.push((row, strings.intern(name)));
        }
        self.table.rows.push(Row {
            native,
            uid: if draft.uid.is_empty() { native } else { strings.intern(draft.uid) },
            name: strings.intern(draft.name),
            region: draft.region.map_or(Sym::NONE, |region| strings.intern(region)),
            managed_by: strings.intern(draft.managed_by),
            protected: strings.intern(draft.protected),
            created: draft.created.map_or(NO_TIME, |at| at.0),
            tags_start,
            tags,
        });
        drop(strings);
        self.wrong_class |= !self.table.facts.push(draft.facts);
        self.nameless |= draft.native_id.is_empty();
    }

    /// Part of a region could not be seen, though the rest was: a bucket that may not be listed. The kind is
    /// then blind in that region, and keeps what was pushed.
    pub fn blind_in(&mut self, region: &str, why: impl Into<String>) {
        self.blind.insert(region.to_owned(), why.into());
    }

    /// Facts of some of its resources could not be read, for a cause (`denied lambda:GetPolicy`). All are
    /// listed and found by those who look for them, but what rests on these facts is unknown, and the run
    /// has not seen everything.
    pub fn hides(&mut self, cause: impl Into<String>) {
        self.hidden.insert(cause.into());
    }

    /// Something about how it was listed that people may want to know, and that takes nothing from it: that a slower
    /// way had to be taken.
    pub fn notes(&mut self, text: impl Into<String>) {
        self.noted.insert(text.into());
    }

    /// How many were pushed so far.
    pub fn len(&self) -> usize {
        self.table.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.rows.is_empty()
    }
}

/// Where a listing goes: its kind and its scope, numbered by an [`InventoryBuilder`].
#[derive(Clone, Copy, Debug)]
pub struct Place {
    spec: &'static KindSpec,
    kind: u16,
    scope: u32,
}

/// Starts listings whose place is known.
#[derive(Clone)]
pub struct Opener(Shared);

impl Opener {
    /// Starts a listing.
    pub fn listing(&self, place: Place) -> Listing {
        Listing {
            strings: Arc::clone(&self.0),
            class: place.spec.class,
            table: Table {
                kind: place.kind,
                scope: place.scope,
                rows: Vec::new(),
                facts: FactColumn::of(place.spec.class),
                tags: Vec::new(),
                uses: Vec::new(),
                also: Vec::new(),
            },
            wrong_class: false,
            nameless: false,
            blind: BTreeMap::new(),
            hidden: BTreeSet::new(),
            noted: BTreeSet::new(),
        }
    }
}

/// Collects listings into an [`Inventory`].
pub struct InventoryBuilder {
    strings: Shared,
    kinds: Vec<&'static KindSpec>,
    scopes: Vec<Scope>,
    /// Their numbers: there are tens of thousands of scopes in a large organisation.
    numbers: BTreeMap<Scope, u32>,
    tables: BTreeMap<(u16, u32), Table>,
    coverage: BTreeMap<(u16, u32), Covered>,
    beyond: BTreeSet<Scope>,
    partial_universe: BTreeSet<CloudId>,
    only_in: BTreeMap<CloudId, BTreeSet<String>>,
    /// Parts of complete listings that could not be seen. Kept apart until the end: scopes are numbered in
    /// the order they are met, which must not depend on which listing ended first.
    blind: BTreeMap<(u16, Scope), String>,
}

impl InventoryBuilder {
    /// For these kinds. Scopes are added as they are listed.
    pub fn new(kinds: &[&'static KindSpec]) -> Self {
        let mut kinds = kinds.to_vec();
        kinds.sort_by_key(|spec| spec.id);
        kinds.dedup_by_key(|spec| spec.id);
        Self {
            strings: Shared::default(),
            kinds,
            scopes: Vec::new(),
            numbers: BTreeMap::new(),
            tables: BTreeMap::new(),
            coverage: BTreeMap::new(),
            beyond: BTreeSet::new(),
            partial_universe: BTreeSet::new(),
            only_in: BTreeMap::new(),
            blind: BTreeMap::new(),
        }
    }

    fn kind(&self, spec: &KindSpec) -> Option<u16> {
        self.kinds.binary_search_by_key(&spec.id, |known| known.id).ok().map(|at| at as u16)
    }

    fn scope(&mut self, scope: &Scope) -> u32 {
        if let Some(at) = self.numbers.get(scope) {
            return *at;
        }
        let at = self.scopes.len() as u32;
        self.scopes.push(scope.clone());
        self.numbers.insert(scope.clone(), at);
        at
    }

    /// Numbers a kind and a scope. Scopes are numbered in the order in which they are placed, which must not depend on
    /// which listing comes first.
    pub fn place(&mut self, spec: &'static KindSpec, scope: &Scope) -> Place {
        let kind = self.kind(spec).unwrap_or_else(|| {
            // A kind nobody announced: keeps the table order stable by appending.
            self.kinds.push(spec);
            (self.kinds.len() - 1) as u16
        });
        Place { spec, kind, scope: self.scope(scope) }
    }

    /// Starts a listing.
    pub fn listing(&mut self, spec: &'static KindSpec, scope: &Scope) -> Listing {
        let place = self.place(spec, scope);
        self.opener().listing(place)
    }

    /// What starts listings while others are being completed.
    pub fn opener(&self) -> Opener {
        Opener(Arc::clone(&self.strings))
    }

    /// Commits a listing that saw every page.
    pub fn complete(&mut self, mut listing: Listing, calls: u32) {
        let key = (listing.table.kind, listing.table.scope);
        if listing.wrong_class {
            let why = format!("bug: facts of another class than {}", listing.class.name());
            self.coverage.insert(key, Covered::new(Status::Blind { why }, 0, calls));
            return;
        }
        if listing.nameless {
            // No cloud has things without a name: the answer was not what it seemed.
            let read = self.kinds[key.0 as usize].reads.first().copied().unwrap_or("its listing");
            let why = format!("{} {read}", Fault::Malformed.word());
            self.coverage.insert(key, Covered::new(Status::Blind { why }, 0, calls));
            return;
        }
        listing.table.rows.shrink_to_fit();
        listing.table.facts.shrink();
        listing.table.tags.shrink_to_fit();
        listing.table.uses.shrink_to_fit();
        listing.table.also.shrink_to_fit();
        let resources = listing.table.rows.len() as u32;
        for (region, why) in listing.blind {
            let scope = Scope { region, ..self.scopes[listing.table.scope as usize].clone() };
            self.blind.insert((key.0, scope), why);
        }
        self.tables.insert(key, listing.table);
        let (hidden, noted) = (listing.hidden, listing.noted);
        self.coverage.insert(key, Covered { hidden, noted, ..Covered::new(Status::Complete, resources, calls) });
    }

    /// Records that a listing did not come to its end, or that nothing can be there.
    pub fn mark(&mut self, spec: &'static KindSpec, scope: &Scope, status: Status, calls: u32) {
        if let Some(kind) = self.kind(spec) {
            let scope = self.scope(scope);
            self.coverage.insert((kind, scope), Covered::new(status, 0, calls));
        }
    }

    /// A scope that exists but was not selected: absence beyond it cannot be concluded.
    pub fn beyond(&mut self, scope: Scope) {
        self.beyond.insert(scope);
    }

    /// The cloud's universe is only what this identity sees.
    pub fn partial_universe(&mut self, cloud: CloudId) {
        self.partial_universe.insert(cloud);
    }

    /// Only resources in these regions of a cloud, and in no region, are to be judged. What an account lists once
    /// is all kept: others may be used by it.
    pub fn only_in(&mut self, cloud: CloudId, regions: BTreeSet<String>) {
        self.only_in.insert(cloud, regions);
    }

    /// Everything that was completed. Listings still under way are lost, as they must be.
    pub fn build(mut self) -> Inventory {
        for ((kind, scope), why) in std::mem::take(&mut self.blind) {
            let key = (kind, self.scope(&scope));
            let known = self.coverage.get(&key);
            let (resources, calls) = known.map_or((0, 0), |known| (known.resources, known.calls));
            self.coverage.insert(key, Covered::new(Status::Blind { why }, resources, calls));
        }
        let strings = match Arc::try_unwrap(self.strings) {
            Ok(strings) => strings.into_inner().unwrap_or_else(PoisonError::into_inner),
            Err(shared) => lock(&shared).clone(),
        };
        let tables = self.tables.into_values().collect();
        Inventory {
            strings,
            kinds: self.kinds,
            scopes: self.scopes,
            numbers: self.numbers,
            tables,
            coverage: self.coverage,
            beyond: self.beyond,
            partial_universe: self.partial_universe,
            only_in: self.only_in,
            uses: OnceLock::new(),
            natives: OnceLock::new(),
            sights: Mutex::default(),
        }
    }
}

/// Everything that was seen, and what was not.
pub struct Inventory {
    strings: Interner,
    kinds: Vec<&'static KindSpec>,
    scopes: Vec<Scope>,
    numbers: BTreeMap<Scope, u32>,
    tables: Vec<Table>,
    coverage: BTreeMap<(u16, u32), Covered>,
    beyond: BTreeSet<Scope>,
    partial_universe: BTreeSet<CloudId>,
    only_in: BTreeMap<CloudId, BTreeSet<String>>,
    uses: OnceLock<Vec<(Sym, Relation, ResourceIx)>>,
    natives: OnceLock<Vec<(Sym, ResourceIx)>>,
    sights: Mutex<Sights>,
}

/// What a search is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sought {
    Users(Relation),
    Class(Class, Reach),
}

type Sights = BTreeMap<(Sought, u32, Sym), Arc<Sight>>;

impl Inventory {
    /// Every resource, by kind, scope and the cloud's order.
    pub fn resources(&self) -> impl Iterator<Item = Resource<'_>> {
        (0..self.tables.len()).flat_map(move |table| self.of_table(table))
    }

    /// Every resource of a class.
    pub fn of_class(&self, class: Class) -> impl Iterator<Item = Resource<'_>> {
        (0..self.tables.len())
            .filter(move |table| self.kinds[self.tables[*table].kind as usize].class == class)
            .flat_map(move |table| self.of_table(table))
    }

    fn of_table(&self, table: usize) -> impl Iterator<Item = Resource<'_>> {
        (0..self.tables[table].rows.len())
            .map(move |row| Resource { inventory: self, ix: ResourceIx { table: table as u32, row: row as u32 } })
    }

    /// A resource by its place. The place must be of this inventory.
    pub fn at(&self, ix: ResourceIx) -> Resource<'_> {
        Resource { inventory: self, ix }
    }

    /// Whether a place is of this inventory.
    pub fn has(&self, ix: ResourceIx) -> bool {
        self.tables.get(ix.table as usize).is_some_and(|table| (ix.row as usize) < table.rows.len())
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.tables.iter().map(|table| table.rows.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of a symbol in facts.
    pub fn text(&self, sym: Sym) -> &str {
        self.strings.text(sym)
    }

    /// The symbol of a text, if it occurs anywhere.
    pub fn find(&self, text: &str) -> Option<Sym> {
        self.strings.find(text)
    }

    /// Coverage of every (kind, scope), sorted by cloud, account, region and kind.
    pub fn coverage(&self) -> Vec<(&'static KindSpec, &Scope, &Covered)> {
        let mut rows: Vec<_> = self
            .coverage
            .iter()
            .map(|((kind, scope), covered)| (self.kinds[*kind as usize], &self.scopes[*scope as usize], covered))
            .collect();
        rows.sort_by(|a, b| (a.1, a.0.id).cmp(&(b.1, b.0.id)));
        rows
    }

    /// Coverage of one kind in one scope.
    pub fn covered(&self, kind: &str, scope: &Scope) -> Option<&Covered> {
        self.coverage
            .iter()
            .find(|((at, place), _)| self.kinds[*at as usize].id == kind && &self.scopes[*place as usize] == scope)
            .map(|(_, covered)| covered)
    }

    /// Whether a kind was seen completely in an account and region. What is listed once an account must have been
    /// seen in all of it: an account of which a region is blind has things that a list does not show.
    pub fn is_whole(&self, kind: &KindSpec, scope: &Scope) -> bool {
        let mut listed = false;
        for ((at, place), covered) in &self.coverage {
            let there = &self.scopes[*place as usize];
            if self.kinds[*at as usize].id != kind.id || there.cloud != scope.cloud || there.account != scope.account {
                continue;
            }
            if kind.places == Places::Regions && there.region != scope.region {
                continue;
            }
            if !matches!(covered.status, Status::Complete | Status::None { .. }) {
                return false;
            }
            listed |= there.region == scope.region;
        }
        listed
    }

    /// Replaces the status of blind scopes that a waiver accepts. Call it before any search.
    pub fn waive(&mut self, mut waiver: impl FnMut(&KindSpec, &Scope, &str) -> Option<(String, String)>) {
        for ((kind, scope), covered) in &mut self.coverage {
            if let Status::Blind { why } = &covered.status
                && let Some((reason, until)) = waiver(self.kinds[*kind as usize], &self.scopes[*scope as usize], why)
            {
                covered.status = Status::Waived { why: why.clone(), reason, until };
            }
        }
        self.sights.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Notes the manager of a resource, of whose mark its listing could not tell.
    pub(crate) fn manage(&mut self, place: ResourceIx, manager: &str) {
        let manager = self.strings.intern(manager);
        if let Some(row) =
            self.tables.get_mut(place.table as usize).and_then(|table| table.rows.get_mut(place.row as usize))
        {
            row.managed_by = manager;
        }
    }

    /// Makes listings blind that were complete and are not to be believed, with the cause. Call it before any search.
    pub(crate) fn suspend(&mut self, mut cause: impl FnMut(&KindSpec, &Scope) -> Option<String>) {
        for ((kind, scope), covered) in &mut self.coverage {
            if matches!(covered.status, Status::Complete | Status::None { .. })
                && let Some(why) = cause(self.kinds[*kind as usize], &self.scopes[*scope as usize])
            {
                covered.status = Status::Blind { why };
            }
        }
        self.sights.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Clouds whose universe is only what the identity sees.
    pub fn partial_universe(&self) -> &BTreeSet<CloudId> {
        &self.partial_universe
    }

    /// Regions by cloud, where only what is in some is to be judged.
    pub fn only_in(&self) -> &BTreeMap<CloudId, BTreeSet<String>> {
        &self.only_in
    }

    /// Who uses `resource` by `relation`, looking everywhere within the reach of every kind that declares
    /// the relation, and in the accounts it is `shared` with. Somebody found is certain whatever else is
    /// blind; nobody found with a blind place within reach is [`Unseen`].
    pub fn users(&self, resource: Resource<'_>, relation: Relation, shared: &[String]) -> Result<Search, Unseen> {
        let home = resource.scope();
        let index = self.uses.get_or_init(|| self.index_uses());
        let mut users: Vec<ResourceIx> = Vec::new();
        for target in std::iter::once(resource.row().native).chain(resource.also()) {
            let from = index.partition_point(|(sym, kind, _)| (*sym, *kind) < (target, relation));
            let named = index[from..]
                .iter()
                .take_while(|(sym, kind, _)| *sym == target && *kind == relation)
                .map(|(_, _, user)| *user)
                // An id is only unique within its cloud; the account of a user may be any it is shared with.
                .filter(|user| *user != resource.ix && self.at(*user).scope().cloud == home.cloud);
            users.extend(named);
        }
        users.sort_unstable();
        users.dedup();
        let sight = self.sight(resource, Sought::Users(relation), shared);
        match &sight.unseen {
            Some(unseen) if users.is_empty() => Err(unseen.clone()),
            _ => Ok(Search { users, sight }),
        }
    }

    /// The other resources of the same kind and scope, and this one: all of them, since a table is whole.
    pub fn beside(&self, resource: Resource<'_>) -> impl Iterator<Item = Resource<'_>> {
        self.of_table(resource.ix.table as usize)
    }

    /// Whether a resource of `class` with this native id exists within `reach` of `near`, of those that
    /// `fits` accepts. Found is certain; not found with a blind place within reach is [`Unseen`].
    pub fn exists(
        &self,
        near: Resource<'_>,
        class: Class,
        native: Sym,
        reach: Reach,
        fits: impl Fn(Resource<'_>) -> bool,
    ) -> Result<Search, Unseen> {
        let home = near.scope();
        let index = self.natives.get_or_init(|| self.index_natives());
        let from = index.partition_point(|(sym, _)| *sym < native);
        let found = index[from..].iter().take_while(|(sym, _)| *sym == native).map(|(_, ix)| *ix).find(|ix| {
            let there = self.at(*ix);
            there.kind().class == class && there.cloud() == home.cloud && self.within(*ix, near, reach) && fits(there)
        });
        let sight = self.sight(near, Sought::Class(class, reach), &[]);
        match (&sight.unseen, found) {
            (Some(unseen), None) => Err(unseen.clone()),
            _ => Ok(Search { users: found.into_iter().collect(), sight }),
        }
    }

    /// Who else of `class` within `reach` of `near` refers by `relation` to the same thing: carries the mark of
    /// the same cluster, whether or not that exists. Somebody found is certain; nobody found with a blind place
    /// within reach is [`Unseen`].
    pub fn marked(
        &self,
        near: Resource<'_>,
        class: Class,
        relation: Relation,
        target: Sym,
        reach: Reach,
    ) -> Result<Search, Unseen> {
        let index = self.uses.get_or_init(|| self.index_uses());
        let from = index.partition_point(|(sym, kind, _)| (*sym, *kind) < (target, relation));
        let users: Vec<ResourceIx> = index[from..]
            .iter()
            .take_while(|(sym, kind, _)| *sym == target && *kind == relation)
            .map(|(_, _, user)| *user)
            .filter(|user| {
                let there = self.at(*user);
                *user != near.ix
                    && there.kind().class == class
                    && there.cloud() == near.cloud()
                    && self.within(*user, near, reach)
            })
            .collect();
        let sight = self.sight(near, Sought::Class(class, reach), &[]);
        match &sight.unseen {
            Some(unseen) if users.is_empty() => Err(unseen.clone()),
            _ => Ok(Search { users, sight }),
        }
    }

    /// Whether a place is within reach of a resource of the same cloud.
    fn within(&self, place: ResourceIx, near: Resource<'_>, reach: Reach) -> bool {
        let there = self.at(place);
        match reach {
            Reach::Region => there.account() == near.account() && near_each_other(there.region(), near.region()),
            Reach::Account => there.account() == near.account(),
            Reach::Org => true,
        }
    }

    /// Where a search from a resource looks, and whether it could see there. The same for all resources of
    /// a scope and region, so it is worked out once.
    fn sight(&self, near: Resource<'_>, sought: Sought, shared: &[String]) -> Arc<Sight> {
        let key = (sought, near.table().scope, near.row().region);
        if shared.is_empty()
            && let Some(sight) = self.sights.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
        {
            return Arc::clone(sight);
        }
        let home = near.scope();
        let mut sight = Sight::default();
        for (kind, spec) in self.kinds.iter().enumerate().filter(|(_, spec)| spec.cloud == home.cloud) {
            let reaches: Vec<Reach> = match sought {
                Sought::Users(relation) => {
                    let hidden = spec.out_of_sight.iter().filter(|(declared, _)| *declared == relation);
                    sight.out_of_sight.extend(hidden.map(|(_, what)| *what));
                    spec.refers.iter().filter(|(declared, _)| *declared == relation).map(|(_, reach)| *reach).collect()
                }
                Sought::Class(class, reach) if spec.class == class => vec![reach],
                Sought::Class(..) => Vec::new(),
            };
            for reach in reaches {
                sight.searched.push(format!("{} ({})", spec.id, reach.name()));
                if let Err(why) = self.seen(kind as u16, home, near.region(), reach, shared, &mut sight.assuming) {
                    sight.unseen.get_or_insert(why);
                }
            }
        }
        if sight.searched.is_empty() {
            let what = match sought {
                Sought::Users(relation) => format!("what {}", relation.phrase()),
                Sought::Class(class, _) => class.name().to_owned(),
            };
            sight.unseen = Some(Unseen { cause: format!("not searched: {what}"), what });
        }
        let sight = Arc::new(sight);
        if shared.is_empty() {
            self.sights.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&sight));
        }
        sight
    }

    /// Whether a kind was seen everywhere within reach of a scope.
    fn seen(
        &self,
        kind: u16,
        home: &Scope,
        region: &str,
        reach: Reach,
        shared: &[String],
        assuming: &mut BTreeSet<String>,
    ) -> Result<(), Unseen> {
        let spec = self.kinds[kind as usize];
        let unseen = |cause: String, scope: &str| Unseen { cause, what: format!("{} in {scope}", spec.id) };
        let mut looked = 0;
        let mut partners: BTreeSet<&str> = BTreeSet::new();
        for ((_, place), covered) in self.coverage.range((kind, 0)..=(kind, u32::MAX)) {
            let scope = &self.scopes[*place as usize];
            let partner = shared.contains(&scope.account);
            let within = match (spec.places, reach) {
                (_, Reach::Org) => true,
                (_, Reach::Account) => scope.account == home.account || partner,
                (Places::Regions, Reach::Region) => {
                    (scope.account == home.account || partner) && scope.region == region
                }
                // Listed once an account; a region of it may be blind by itself.
                (Places::Account, Reach::Region) => {
                    (scope.account == home.account || partner)
                        && (scope.region == Scope::GLOBAL || near_each_other(&scope.region, region))
                }
            };
            if !within {
                continue;
            }
            looked += u32::from(scope.account == home.account);
            if partner {
                partners.insert(&scope.account);
            }
            match &covered.status {
                Status::Complete | Status::None { .. } => {}
                Status::Waived { reason, .. } => {
                    assuming.insert(format!("{} in {scope}: {reason}", spec.id));
                }
                Status::Blind { why } => {
                    return Err(unseen(why.clone(), &format!("{}/{}", scope.account, scope.region)));
                }
            }
        }
        if looked == 0 {
            return Err(unseen(format!("not listed: {}", spec.id), &format!("{}/{region}", home.account)));
        }
        for account in shared {
            if account == "all" {
                return Err(unseen("shared with everybody".to_owned(), "other accounts"));
            }
            if account != &home.account && !partners.contains(account.as_str()) {
                return Err(unseen("shared with an account that is not surveyed".to_owned(), account));
            }
        }
        if spec.places == Places::Regions
            && reach != Reach::Region
            && let Some(scope) = self
                .beyond
                .iter()
                .find(|scope| scope.cloud == home.cloud && (reach == Reach::Org || scope.account == home.account))
        {
            return Err(unseen("not selected for this run".to_owned(), &format!("{}/{}", scope.account, scope.region)));
        }
        if reach == Reach::Org && self.partial_universe.contains(&home.cloud) {
            return Err(unseen("only what this identity sees".to_owned(), "other accounts"));
        }
        Ok(())
    }

    fn index_uses(&self) -> Vec<(Sym, Relation, ResourceIx)> {
        let mut index = Vec::with_capacity(self.tables.iter().map(|table| table.uses.len()).sum());
        for (at, table) in self.tables.iter().enumerate() {
            for used in &table.uses {
                index.push((used.target, used.relation, ResourceIx { table: at as u32, row: used.row }));
            }
        }
        index.sort_unstable();
        index
    }

    fn index_natives(&self) -> Vec<(Sym, ResourceIx)> {
        let mut index = Vec::with_capacity(self.len());
        for (at, table) in self.tables.iter().enumerate() {
            for (row, resource) in table.rows.iter().enumerate() {
                index.push((resource.native, ResourceIx { table: at as u32, row: row as u32 }));
            }
            index.extend(table.also.iter().map(|(row, name)| (*name, ResourceIx { table: at as u32, row: *row })));
        }
        index.sort_unstable();
        index
    }

    /// Looks a resource up by its outside id, `<kind>:<account>/<region>/<native id>`.
    pub fn by_id(&self, id: &str) -> Option<Resource<'_>> {
        self.resources().find(|resource| resource.id() == id)
    }

    /// The kinds of this inventory.
    pub fn kinds(&self) -> &[&'static KindSpec] {
        &self.kinds
    }

    /// Every account surveyed, with its cloud.
    pub fn accounts(&self) -> BTreeSet<(CloudId, &str)> {
        self.scopes.iter().map(|scope| (scope.cloud, scope.account.as_str())).collect()
    }
}

/// Whether one place is the other, or a zone of it: `us-central1` and `us-central1-a`. What has no region is near all.
fn near_each_other(a: &str, b: &str) -> bool {
    b == Scope::GLOBAL || is_within(a, b) || is_within(b, a)
}

/// Whether a place is a region, or a zone in it.
pub(crate) fn is_within(place: &str, region: &str) -> bool {
    place.strip_prefix(region).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// A resource of an inventory.
#[derive(Clone, Copy)]
pub struct Resource<'a> {
    inventory: &'a Inventory,
    ix: ResourceIx,
}

impl<'a> Resource<'a> {
    fn table(self) -> &'a Table {
        &self.inventory.tables[self.ix.table as usize]
    }

    fn row(self) -> &'a Row {
        &self.table().rows[self.ix.row as usize]
    }

    pub fn ix(self) -> ResourceIx {
        self.ix
    }

    pub fn inventory(self) -> &'a Inventory {
        self.inventory
    }

    pub fn kind(self) -> &'static KindSpec {
        self.inventory.kinds[self.table().kind as usize]
    }

    /// The scope it was listed in.
    pub fn scope(self) -> &'a Scope {
        &self.inventory.scopes[self.table().scope as usize]
    }

    pub fn cloud(self) -> CloudId {
        self.scope().cloud
    }

    pub fn account(self) -> &'a str {
        &self.scope().account
    }

    /// The region it is in, which for buckets differs from the scope they are listed in.
    pub fn region(self) -> &'a str {
        let own = self.row().region;
        if own.is_none() { &self.scope().region } else { self.inventory.text(own) }
    }

    /// Whether it is in a region that was selected for the run: in a zone of it is in it, and what is in no region
    /// always is.
    pub fn is_selected(self) -> bool {
        let Some(regions) = self.inventory.only_in.get(&self.cloud()) else { return true };
        let region = self.region();
        region == Scope::GLOBAL || regions.iter().any(|own| is_within(region, own))
    }

    /// What the cloud's delete call takes.
    pub fn native_id(self) -> &'a str {
        self.inventory.text(self.row().native)
    }

    pub fn native_sym(self) -> Sym {
        self.row().native
    }

    /// The immutable identity.
    pub fn uid(self) -> &'a str {
        self.inventory.text(self.row().uid)
    }

    /// For people; may be empty.
    pub fn name(self) -> &'a str {
        self.inventory.text(self.row().name)
    }

    pub fn created(self) -> Option<Timestamp> {
        let at = self.row().created;
        (at != NO_TIME).then_some(Timestamp(at))
    }

    /// The manager whose mark it carries; may be empty.
    pub fn managed_by(self) -> &'a str {
        self.inventory.text(self.row().managed_by)
    }

    /// What protects it in the cloud; may be empty.
    pub fn protected(self) -> &'a str {
        self.inventory.text(self.row().protected)
    }

    /// Its tags as listed; `None` when the listing does not carry them.
    pub fn listed_tags(self) -> Option<&'a [(Sym, Sym)]> {
        let row = self.row();
        (row.tags != UNREAD).then(|| {
            let start = row.tags_start as usize;
            &self.table().tags[start..start + row.tags as usize]
        })
    }

    pub fn facts(self) -> FactsRef<'a> {
        // A row is pushed together with its facts, so the fallback is never reached.
        self.table().facts.at(self.ix.row as usize).unwrap_or(FactsRef::Referrer(&crate::facts::Referrer {}))
    }

    /// What it uses.
    pub fn uses(self) -> impl Iterator<Item = (Relation, &'a str)> {
        self.used().map(move |(relation, target)| (relation, self.inventory.text(target)))
    }

    /// As [`Self::uses`], to search for the same.
    pub(crate) fn used(self) -> impl Iterator<Item = (Relation, Sym)> + 'a {
        let row = self.ix.row;
        let uses = &self.table().uses;
        let from = uses.partition_point(|used| used.row < row);
        uses[from..].iter().take_while(move |used| used.row == row).map(|used| (used.relation, used.target))
    }

    /// Other names by which others may refer to it.
    pub(crate) fn also(self) -> impl Iterator<Item = Sym> + 'a {
        let row = self.ix.row;
        let also = &self.table().also;
        let from = also.partition_point(|(at, _)| *at < row);
        also[from..].iter().take_while(move |(at, _)| *at == row).map(|(_, name)| *name)
    }

    /// Its outside id: `<kind>:<account>/<region>/<native id>`.
    pub fn id(self) -> String {
        format!("{}:{}/{}/{}", self.kind().id, self.account(), self.region(), self.native_id())
    }
}

/// The written form of an inventory; kinds by id, since specs live in the code.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    strings: Interner,
    kinds: Vec<String>,
    scopes: Vec<Scope>,
    tables: Vec<Table>,
    coverage: Vec<((u16, u32), Covered)>,
    beyond: BTreeSet<Scope>,
    partial_universe: BTreeSet<CloudId>,
    #[serde(default)]
    only_in: BTreeMap<CloudId, BTreeSet<String>>,
}

impl Inventory {
    /// Writes it in a form that does not depend on the order in which listings came in.
    pub fn write<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Borrowed<'a> {
            strings: &'a Interner,
            kinds: Vec<&'static str>,
            scopes: &'a [Scope],
            tables: &'a [Table],
            coverage: Vec<(&'a (u16, u32), &'a Covered)>,
            beyond: &'a BTreeSet<Scope>,
            partial_universe: &'a BTreeSet<CloudId>,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            only_in: &'a BTreeMap<CloudId, BTreeSet<String>>,
        }
        Borrowed {
            strings: &self.strings,
            kinds: self.kinds.iter().map(|spec| spec.id).collect(),
            scopes: &self.scopes,
            tables: &self.tables,
            coverage: self.coverage.iter().collect(),
            beyond: &self.beyond,
            partial_universe: &self.partial_universe,
            only_in: &self.only_in,
        }
        .serialize(serializer)
    }

    /// Reads what [`Self::write`] wrote, with the specs of the kinds this build knows.
    pub fn read<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
        known: &[&'static KindSpec],
    ) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let written = Written::deserialize(deserializer)?;
        let kinds = written
            .kinds
            .iter()
            .map(|id| {
                known.iter().copied().find(|spec| spec.id == id).ok_or_else(|| {
                    D::Error::custom(format!("the survey has resources of kind `{id}`, which this build does not know"))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let strings = written.strings.len() as u32;
        for table in &written.tables {
            let sound = (table.kind as usize) < kinds.len()
                && (table.scope as usize) < written.scopes.len()
                && table.rows.iter().enumerate().all(|(row, at)| {
                    table.facts.at(row).is_some()
                        && [at.native, at.uid, at.name, at.region, at.managed_by, at.protected]
                            .iter()
                            .all(|sym| sym.is_within(strings))
                        && (at.tags == UNREAD || at.tags_start as usize + at.tags as usize <= table.tags.len())
                })
                && table.tags.iter().all(|(key, value)| key.is_within(strings) && value.is_within(strings))
                && table
                    .uses
                    .iter()
                    .all(|used| used.target.is_within(strings) && (used.row as usize) < table.rows.len())
                && table.also.iter().all(|(row, name)| name.is_within(strings) && (*row as usize) < table.rows.len());
            if !sound {
                return Err(D::Error::custom("the survey file is damaged: a table does not fit its strings"));
            }
        }
        if written
            .coverage
            .iter()
            .any(|((kind, scope), _)| *kind as usize >= kinds.len() || *scope as usize >= written.scopes.len())
        {
            return Err(D::Error::custom("the survey file is damaged: coverage of an unknown kind or scope"));
        }
        Ok(Self {
            strings: written.strings,
            kinds,
            numbers: (0..).zip(&written.scopes).map(|(at, scope)| (scope.clone(), at)).collect(),
            scopes: written.scopes,
            tables: written.tables,
            coverage: written.coverage.into_iter().collect(),
            beyond: written.beyond,
            partial_universe: written.partial_universe,
            only_in: written.only_in,
            uses: OnceLock::new(),
            natives: OnceLock::new(),
            sights: Mutex::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::Referrer,
        testing::{self, home},
    };

    fn listed(change: impl FnOnce(&mut Listing)) -> Covered {
        let mut builder = InventoryBuilder::new(&[&testing::TEMPLATE]);
        let mut listing = builder.listing(&testing::TEMPLATE, &home());
        change(&mut listing);
        builder.complete(listing, 1);
        builder.build().covered(testing::TEMPLATE.id, &home()).unwrap().clone()
    }

    #[test]
    fn a_resource_without_a_name_is_no_answer() {
        let named = listed(|listing| listing.push(Draft::new("t", Referrer {})));
        assert_eq!((named.status, named.resources), (Status::Complete, 1));
        let nameless = listed(|listing| {
            listing.push(Draft::new("t", Referrer {}));
            listing.push(Draft::new("", Referrer {}));
        });
        let why = format!("malformed answer of {}", testing::TEMPLATE.reads[0]);
        assert_eq!((nameless.status, nameless.resources), (Status::Blind { why }, 0));
    }

    #[test]
    fn notes_leave_a_listing_complete() {
        let covered = listed(|listing| listing.notes("listed the slow way"));
        assert_eq!((covered.status, covered.noted.len(), covered.hidden.len()), (Status::Complete, 1, 0));
    }

    #[test]
    fn hidden_facts_leave_a_listing_complete() {
        let covered = listed(|listing| {
            listing.hides("denied test:Policy");
            listing.hides("denied test:Policy");
        });
        assert_eq!(covered.status, Status::Complete);
        assert_eq!(covered.hidden.into_iter().collect::<Vec<_>>(), ["denied test:Policy"]);
    }
}
