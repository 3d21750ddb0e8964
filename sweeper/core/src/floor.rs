//! The evidence floor: a complete listing that is suddenly much shorter is not believed.
//!
//! "Nobody uses it" rests on lists of whatever might. A cloud that answers 200 with an empty list would make
//! everything unused, so the size of the last complete listing of each kind that may refer to others is remembered by
//! scope. One that has fallen below a share of it counts as blind, so that every conclusion from absence within reach
//! is unknown, until it is back or somebody accepts that it fell.

use crate::{
    inventory::{Inventory, Status},
    kind::KindSpec,
    store::{
        Store, StoreError,
        document::{self, Document, Next},
    },
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A listing may shrink to this share of its last size, percent.
pub const SHARE: u64 = 50;
/// Listings that were shorter than this say nothing when they shrink.
pub const LEAST: u64 = 5;

const KEY: &str = "floor";

/// Sizes of the last complete listings: kind -> scope -> resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    pub sizes: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Document for Floor {
    const FORMAT: &'static str = "sweeper.floor";
}

/// A listing that is too short to be believed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fall {
    pub kind: &'static str,
    /// `aws:111122223333/eu-west-1`.
    pub scope: String,
    pub was: u64,
    pub is: u64,
}

impl Fall {
    /// The line under which what rests on it is counted.
    pub fn cause(&self) -> String {
        format!("listing of {} fell from {} to {}; `sweeper floor reset` accepts it", self.kind, self.was, self.is)
    }
}

/// Complete listings of kinds that may refer to others, with their sizes. A service that is said not to be there at
/// all has an empty one.
fn sizes(inventory: &Inventory) -> impl Iterator<Item = (&'static KindSpec, String, u64)> {
    inventory.coverage().into_iter().filter(|(kind, ..)| !kind.refers.is_empty()).filter_map(
        |(kind, scope, covered)| {
            let size = match covered.status {
                Status::Complete => u64::from(covered.resources),
                Status::None { .. } => 0,
                Status::Waived { .. } | Status::Blind { .. } => return None,
            };
            Some((kind, scope.to_string(), size))
        },
    )
}

impl Floor {
    /// Listings below the floor, by kind and scope.
    pub fn falls(&self, inventory: &Inventory) -> Vec<Fall> {
        let mut falls: Vec<Fall> = sizes(inventory)
            .filter_map(|(kind, scope, is)| {
                let was = *self.sizes.get(kind.id)?.get(&scope)?;
                let fell = was >= LEAST && is.saturating_mul(100) < was.saturating_mul(SHARE);
                fell.then_some(Fall { kind: kind.id, scope, was, is })
            })
            .collect();
        falls.sort();
        falls
    }

    /// Makes what rests on listings below the floor unknown. Call it after waivers, which do not speak of these, and
    /// before any search.
    pub fn suspend(&self, inventory: &mut Inventory) -> Vec<Fall> {
        let falls = self.falls(inventory);
        if !falls.is_empty() {
            inventory.suspend(|kind, scope| {
                let scope = scope.to_string();
                falls.iter().find(|fall| fall.kind == kind.id && fall.scope == scope).map(Fall::cause)
            });
        }
        falls
    }

    /// The floor after a look: sizes of what was seen completely, and was not suspended.
    #[must_use]
    pub fn after(&self, inventory: &Inventory) -> Self {
        let mut next = self.clone();
        for (kind, scope, size) in sizes(inventory) {
            next.sizes.entry(kind.id.to_owned()).or_default().insert(scope, size);
        }
        next
    }
}

/// The floor that is kept; empty where none is yet.
pub fn load(store: &dyn Store) -> Result<Floor, StoreError> {
    Ok(document::read(store, KEY)?.map(|(floor, _)| floor).unwrap_or_default())
}

/// Remembers the sizes of a look of which falls were suspended.
pub fn remember(store: &dyn Store, inventory: &Inventory) -> Result<(), StoreError> {
    document::update(store, KEY, |known: Option<Floor>| {
        let after = known.clone().unwrap_or_default().after(inventory);
        Ok(if known.as_ref() == Some(&after) { Next::Keep(()) } else { Next::Write(after, ()) })
    })
}

/// Forgets sizes, after a big clean-up that was meant: of the kinds and scopes that fit globs. The next look sets
/// them anew. Gives what was forgotten, for the audit log.
pub fn reset(store: &dyn Store, kind: &str, scope: &str) -> Result<Vec<(String, String, u64)>, StoreError> {
    use crate::policy::glob_anycase;
    document::update(store, KEY, |known: Option<Floor>| {
        let mut floor = known.unwrap_or_default();
        let mut gone = Vec::new();
        for (own, scopes) in &mut floor.sizes {
            if !glob_anycase(kind, own) {
                continue;
            }
            let fit: Vec<String> = scopes.keys().filter(|at| glob_anycase(scope, at)).cloned().collect();
            for at in fit {
                if let Some(size) = scopes.remove(&at) {
                    gone.push((own.clone(), at, size));
                }
            }
        }
        floor.sizes.retain(|_, scopes| !scopes.is_empty());
        Ok(if gone.is_empty() { Next::Keep(gone) } else { Next::Write(floor, gone) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::Referrer,
        inventory::{Draft, InventoryBuilder},
        kind::Places,
        model::{Class, CloudId, Reach, Relation, Scope},
        store::MemoryStore,
    };

    const PLAIN: KindSpec = KindSpec {
        id: "aws.thing",
        cloud: CloudId::Aws,
        class: Class::Referrer,
        title: "thing",
        places: Places::Regions,
        reads: &[],
        asks: &[],
        refers: &[],
        needs: &[],
        out_of_sight: &[],
        advised: "",
        report_only: "",
        acts: &[],
    };
    static THING: KindSpec = PLAIN;
    static USER: KindSpec = KindSpec { id: "aws.user", refers: &[(Relation::UsedByVm, Reach::Region)], ..PLAIN };

    fn scope() -> Scope {
        Scope::new(CloudId::Aws, "1", "eu-west-1")
    }

    /// A thing, and so many users of another one.
    fn look(users: Option<u32>) -> Inventory {
        let mut builder = InventoryBuilder::new(&[&THING, &USER]);
        let mut listing = builder.listing(&THING, &scope());
        listing.push(Draft::new("thing-1", Referrer {}));
        builder.complete(listing, 1);
        let mut listing = builder.listing(&USER, &scope());
        for user in 0..users.unwrap_or(0) {
            let uses = vec![(Relation::UsedByVm, if user == 0 { "thing-0" } else { "other" })];
            listing.push(Draft { uses, ..Draft::new(&format!("user-{user}"), Referrer {}) });
        }
        match users {
            Some(_) => builder.complete(listing, 1),
            None => builder.mark(&USER, &scope(), Status::None { why: "not offered".to_owned() }, 1),
        }
        builder.build()
    }

    /// A run: what is concluded of the thing that nobody uses.
    fn run(store: &dyn Store, users: Option<u32>) -> Result<usize, String> {
        let mut inventory = look(users);
        load(store).unwrap().suspend(&mut inventory);
        remember(store, &inventory).unwrap();
        let thing = inventory.resources().find(|resource| resource.kind().id == THING.id).unwrap();
        let found = inventory.users(thing, Relation::UsedByVm, &[]);
        found.map(|found| found.users.len()).map_err(|unseen| unseen.cause)
    }

    #[test]
    fn a_listing_that_fell_proves_no_absence_until_it_is_back_or_accepted() {
        let store = MemoryStore::new();
        let fell =
            |is: u32| Err(format!("listing of aws.user fell from 120 to {is}; `sweeper floor reset` accepts it"));
        // The first look sets the floor.
        assert_eq!(run(&store, Some(120)), Ok(0));
        // Exactly the share is still believed, and one less is not. A fall is not the new floor.
        let mut half = look(Some(60));
        assert_eq!(load(&store).unwrap().suspend(&mut half), []);
        assert_eq!(run(&store, Some(59)), fell(59));
        assert_eq!(run(&store, Some(0)), fell(0));
        assert_eq!(run(&store, Some(0)), fell(0));
        assert_eq!(run(&store, None), fell(0));
        assert_eq!(run(&store, Some(118)), Ok(0));
        assert_eq!(load(&store).unwrap().sizes["aws.user"]["aws:1/eu-west-1"], 118);
        // What is accepted is the floor of the next look.
        assert_eq!(reset(&store, "gcp.*", "*").unwrap(), []);
        assert_eq!(reset(&store, "aws.*", "*").unwrap(), [("aws.user".to_owned(), "aws:1/eu-west-1".to_owned(), 118)]);
        assert_eq!(run(&store, Some(3)), Ok(0));
        // Few are no floor.
        assert_eq!(run(&store, Some(0)), Ok(0));
    }

    #[test]
    fn somebody_found_is_certain_below_the_floor() {
        let floor = Floor::default().after(&look(Some(120)));
        let mut builder = InventoryBuilder::new(&[&THING, &USER]);
        let mut listing = builder.listing(&THING, &scope());
        listing.push(Draft::new("thing-1", Referrer {}));
        builder.complete(listing, 1);
        let mut listing = builder.listing(&USER, &scope());
        listing.push(Draft { uses: vec![(Relation::UsedByVm, "thing-1")], ..Draft::new("user-1", Referrer {}) });
        builder.complete(listing, 1);
        let mut inventory = builder.build();
        assert_eq!(floor.suspend(&mut inventory).len(), 1);
        let thing = inventory.resources().next().unwrap();
        assert_eq!(inventory.users(thing, Relation::UsedByVm, &[]).unwrap().users.len(), 1);
        assert!(!inventory.is_whole(&USER, &scope()) && inventory.is_whole(&THING, &scope()));
        // What does not refer to others has no floor.
        assert!(!floor.sizes.contains_key("aws.thing"));
    }
}
