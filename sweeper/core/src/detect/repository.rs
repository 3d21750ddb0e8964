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
    inventory::{Inventory, Resource, ResourceIx, Unseen},
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

#[derive(Default)]
struct Repository<'a> {
    digests: BTreeSet<&'a str>,
    /// The indexes that list a digest.
    parents: BTreeMap<&'a str, Vec<ResourceIx>>,
    /// Indexes that have not been asked what they list.
    asks: BTreeSet<Ask>,
    /// Indexes of which it is not known what they list, and why.
    unseen: Vec<(ResourceIx, Unseen)>,
}

type Repositories<'a> = BTreeMap<Sym, Repository<'a>>;

/// The repositories of each listing, put together when the first artifact of it is judged: going through
/// the indexes again for every artifact would be quadratic.
#[derive(Default)]
pub(super) struct Cache<'a> {
    listings: RefCell<BTreeMap<ResourceIx, Rc<Repositories<'a>>>>,
}

impl<'a> View<'a> {
    fn repositories(&self, resource: Resource<'a>) -> Rc<Repositories<'a>> {
        let inventory: &'a Inventory = self.inventory;
        // A listing is known by its first row.
        let first = inventory.beside(resource).next().map_or(resource.ix(), Resource::ix);
        if let Some(known) = self.repositories.listings.borrow().get(&first) {
            return Rc::clone(known);
        }
        let mut repositories = Repositories::default();
        for beside in inventory.beside(resource) {
            let FactsRef::Artifact(artifact) = beside.facts() else { continue };
            let repository = repositories.entry(artifact.container).or_default();
            repository.digests.insert(digest(beside.native_id()));
            if artifact.media == Media::Index {
                repository.add_index(self, beside);
            }
        }
        let repositories = Rc::new(repositories);
        self.repositories.listings.borrow_mut().insert(first, Rc::clone(&repositories));
        repositories
    }

    /// The indexes of its repository that are known to list an artifact as their child.
    pub(super) fn indexes_listing(&self, resource: Resource<'a>) -> Vec<ResourceIx> {
        let FactsRef::Artifact(artifact) = resource.facts() else { return Vec::new() };
        let repositories = self.repositories(resource);
        let parents = repositories
            .get(&artifact.container)
            .and_then(|repository| repository.parents.get(digest(resource.native_id())));
        parents.map_or_else(Vec::new, |parents| {
            parents.iter().copied().filter(|parent| *parent != resource.ix()).collect()
        })
    }

    /// Whether it is known of every other index of its repository what it lists: only then is an artifact
    /// that [`Self::indexes_listing`] finds no index for the child of none.
    pub(super) fn every_index_seen(&self, resource: Resource<'a>) -> Result<(), Unseen> {
        self.declared(&Question::Manifest, |spec| spec.questions.contains(&Question::Manifest));
        let FactsRef::Artifact(artifact) = resource.facts() else { return Ok(()) };
        let repositories = self.repositories(resource);
        let Some(repository) = repositories.get(&artifact.container) else { return Ok(()) };
        self.notes.borrow_mut().asks.append(&mut repository.asks.clone());
        match repository.unseen.iter().find(|(index, _)| *index != resource.ix()) {
            Some((_, unseen)) => Err(unseen.clone()),
            None => Ok(()),
        }
    }

    /// Whether an artifact is attached (a signature, an SBOM) to another that is still in its repository.
    pub(super) fn attached_to_another(&self, resource: Resource<'a>) -> Result<bool, Unseen> {
        let FactsRef::Artifact(artifact) = resource.facts() else { return Ok(false) };
        let (_, subject) = self.manifest(resource)?;
        let Some(subject) = subject else { return Ok(false) };
        let repositories = self.repositories(resource);
        Ok(repositories.get(&artifact.container).is_some_and(|there| there.digests.contains(digest(subject))))
    }
}

impl<'a> Repository<'a> {
    fn add_index(&mut self, view: &View<'a>, index: Resource<'a>) {
        let mut told = false;
        for (_, child) in index.uses().filter(|(relation, _)| *relation == Relation::ChildOf) {
            told = true;
            self.parents.entry(digest(child)).or_default().push(index.ix());
        }
        if told {
            return;
        }
        match view.answer(index, Question::Manifest) {
            Ok(Answer::Manifest { children, .. }) => {
                for child in children {
                    self.parents.entry(digest(child)).or_default().push(index.ix());
                }
            }
            Ok(_) => self.unseen.push((index.ix(), View::wrong(Question::Manifest))),
            Err(unseen) => {
                let ask = Ask { resource: index.ix(), question: Question::Manifest };
                if view.answers.get(ask).is_none() {
                    self.asks.insert(ask);
                }
                self.unseen.push((index.ix(), unseen));
            }
        }
    }
}
