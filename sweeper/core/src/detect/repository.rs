//! What lies beside an artifact in its repository: the indexes that list it, and what it is attached to.
//!
//! A registry takes an index or an attachment only into the repository that holds its children and its
//! subject, and a repository is listed whole or not at all; so no other listing needs to be searched here.
//! What an index lists may take a call an index to learn. An artifact is known by its digest, which its
//! native id is, or ends with after an `@` (`repository@sha256:…`, as references to images are written).

use super::View;
use crate::{
    answers::{Answer, Ask, Question},
    facts::{FactsRef, Media},
    intern::Sym,
    inventory::{Resource, ResourceIx, Unseen},
    model::Relation,
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// The digest in the native id of an artifact.
fn digest(native: &str) -> &str {
    native.rsplit_once('@').map_or(native, |(_, digest)| digest)
}

/// The digest that a tag like `sha256-….sig` says its artifact is attached to. Registries without the OCI
/// referrers API keep signatures so (cosign's scheme), and the lists of referrers too (the OCI
/// distribution specification, "Referrers Tag Schema").
fn subject_in_tag(name: &str) -> Option<String> {
    let (_, tag) = name.rsplit_once(':')?;
    let hex = tag.strip_prefix("sha256-")?.split('.').next()?;
    (hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| format!("sha256:{hex}"))
}

/// What lies beside what in one repository.
#[derive(Default)]
struct Repository {
    /// The indexes that list an artifact.
    parents: BTreeMap<ResourceIx, Vec<ResourceIx>>,
    /// Artifacts attached to another that is still there.
    attached: BTreeSet<ResourceIx>,
    /// Indexes that have not been asked what they list.
    asks: BTreeSet<Ask>,
    /// Indexes of which it is not known what they list, and why.
    unseen: Vec<(ResourceIx, Unseen)>,
}

type Repositories = BTreeMap<Sym, Repository>;

/// The repositories of each listing, put together when the first artifact of it is judged: going through
/// the indexes again for every artifact would be quadratic.
#[derive(Default)]
pub(super) struct Cache {
    listings: RefCell<BTreeMap<ResourceIx, Rc<Repositories>>>,
    /// Repositories, by the first index to be asked, whose asks are among the notes already.
    noted: RefCell<BTreeSet<ResourceIx>>,
}

impl Cache {
    /// The notes were taken: whatever is looked at next notes its asks anew.
    pub(super) fn notes_taken(&self) {
        self.noted.take();
    }
}

impl<'a> View<'a> {
    fn repositories(&self, resource: Resource<'a>) -> Rc<Repositories> {
        // A listing is known by its first row.
        let first = self.inventory.beside(resource).next().map_or(resource.ix(), Resource::ix);
        if let Some(known) = self.repositories.listings.borrow().get(&first) {
            return Rc::clone(known);
        }
        let mut members: BTreeMap<Sym, BTreeMap<&str, ResourceIx>> = BTreeMap::new();
        for beside in self.inventory.beside(resource) {
            if let FactsRef::Artifact(artifact) = beside.facts() {
                members.entry(artifact.container).or_default().insert(digest(beside.native_id()), beside.ix());
            }
        }
        let repositories = members.into_iter().map(|(container, members)| (container, self.repository(&members)));
        let repositories: Rc<Repositories> = Rc::new(repositories.collect());
        self.repositories.listings.borrow_mut().insert(first, Rc::clone(&repositories));
        repositories
    }

    fn repository(&self, members: &BTreeMap<&str, ResourceIx>) -> Repository {
        let mut repository = Repository::default();
        for ix in members.values().copied() {
            let member = self.inventory.at(ix);
            let is_index = matches!(member.facts(), FactsRef::Artifact(artifact) if artifact.media == Media::Index);
            let told: Vec<&str> =
                member.uses().filter(|(relation, _)| *relation == Relation::ChildOf).map(|(_, child)| child).collect();
            let mut children = told;
            let names = member.also().map(|name| self.inventory.text(name));
            if names.filter_map(subject_in_tag).any(|subject| members.contains_key(subject.as_str())) {
                repository.attached.insert(ix);
            }
            match self.answer(member, Question::Manifest) {
                Ok(Answer::Manifest { children: answered, subject }) => {
                    children.extend(answered.iter().map(String::as_str));
                    if subject.as_deref().is_some_and(|subject| members.contains_key(digest(subject))) {
                        repository.attached.insert(ix);
                    }
                }
                Ok(_) if is_index && children.is_empty() => {
                    repository.unseen.push((ix, Self::wrong(Question::Manifest)));
                }
                Err(unseen) if is_index && children.is_empty() => {
                    if self.waits(member, Question::Manifest) {
                        repository.asks.insert(Ask { resource: ix, question: Question::Manifest });
                    }
                    repository.unseen.push((ix, unseen));
                }
                Ok(_) | Err(_) => {}
            }
            for child in children.into_iter().filter_map(|child| members.get(digest(child))) {
                if *child != ix {
                    repository.parents.entry(*child).or_default().push(ix);
                }
            }
        }
        repository
    }

    /// The indexes of its repository that are known to list an artifact as their child.
    pub(crate) fn indexes_listing(&self, resource: Resource<'a>) -> Vec<ResourceIx> {
        let FactsRef::Artifact(artifact) = resource.facts() else { return Vec::new() };
        let repositories = self.repositories(resource);
        let parents =
            repositories.get(&artifact.container).and_then(|repository| repository.parents.get(&resource.ix()));
        parents.cloned().unwrap_or_default()
    }

    /// Whether it is known of every other index of its repository what it lists: only then is an artifact
    /// that [`Self::indexes_listing`] finds no index for the child of none.
    pub(crate) fn every_index_seen(&self, resource: Resource<'a>) -> Result<(), Unseen> {
        self.declared(&Question::Manifest, |spec| spec.questions.contains(&Question::Manifest));
        let FactsRef::Artifact(artifact) = resource.facts() else { return Ok(()) };
        let repositories = self.repositories(resource);
        let Some(repository) = repositories.get(&artifact.container) else { return Ok(()) };
        if let Some(first) = repository.asks.first()
            && self.repositories.noted.borrow_mut().insert(first.resource)
        {
            self.notes.borrow_mut().asks.extend(&repository.asks);
        }
        match repository.unseen.iter().find(|(index, _)| *index != resource.ix()) {
            Some((_, unseen)) => Err(unseen.clone()),
            None => Ok(()),
        }
    }

    /// Whether an artifact is attached (a signature, an SBOM) to another that is still in its repository.
    pub(crate) fn attached_to_another(&self, resource: Resource<'a>) -> Result<bool, Unseen> {
        let FactsRef::Artifact(artifact) = resource.facts() else { return Ok(false) };
        let repositories = self.repositories(resource);
        if repositories.get(&artifact.container).is_some_and(|there| there.attached.contains(&resource.ix())) {
            return Ok(true);
        }
        self.manifest(resource).map(|_| false)
    }
}
