//! Owners as values of a label: there may be a hundred thousand, and a time series for each and class would be a leak
//! of whoever stores them. Those that waste most have their own, the rest is one.

use super::OTHER;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};
use sweeper_core::{money::Amount, report::OwnerOf};

/// Owners that are told apart.
pub const APART: usize = 50;

/// Which owners are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    apart: BTreeSet<String>,
    pub folded: usize,
}

/// The owner, or a word for why there is none.
pub fn name(owner: &OwnerOf) -> &str {
    match &owner.name {
        Some(name) => name,
        None if owner.from == "unknown" => "unknown",
        None => "nobody",
    }
}

impl Owners {
    /// The dearest, then those with most resources, then by name. What has no owner is always told apart.
    pub fn of(waste: &BTreeMap<&str, (Amount, u64)>) -> Self {
        let is_owner = |name: &str| !matches!(name, "unknown" | "nobody" | OTHER);
        let mut all: Vec<(&str, (Amount, u64))> =
            waste.iter().filter(|(name, _)| is_owner(name)).map(|(name, waste)| (*name, *waste)).collect();
        all.sort_by_key(|(name, waste)| (Reverse(*waste), *name));
        let folded = all.len().saturating_sub(APART);
        all.truncate(APART);
        let apart = all.into_iter().map(|(name, _)| name).chain(["unknown", "nobody"]);
        Self { apart: apart.map(str::to_owned).collect(), folded }
    }

    /// The value of the label.
    pub fn label<'o>(&self, owner: &'o str) -> &'o str {
        if self.apart.contains(owner) { owner } else { OTHER }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_thousand_owners_are_fifty_and_the_rest() {
        let names: Vec<String> = (0..100_000).map(|number| format!("owner-{number:06}")).collect();
        let waste = names.iter().enumerate().map(|(at, name)| (name.as_str(), (Amount::whole(at as i64 / 2), 1)));
        let mut waste: BTreeMap<&str, (Amount, u64)> = waste.collect();
        waste.insert("nobody", (Amount::ZERO, 1));
        let owners = Owners::of(&waste);
        assert_eq!((owners.apart.len(), owners.folded), (52, 99_950));
        assert_eq!(owners.label("owner-099999"), "owner-099999");
        assert_eq!(owners.label("owner-099950"), "owner-099950");
        assert_eq!(owners.label("owner-099949"), OTHER);
        assert_eq!(owners.label("nobody"), "nobody");
        assert_eq!(owners.label(OTHER), OTHER);
    }
}
