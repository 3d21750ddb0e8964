//! Whose a resource is.
//!
//! The chain: a tag with a valid value, the owner or contact of the account's scope, the house's fallback.
//! A value that names nobody (a placeholder, somebody gone, a name outside the house) is kept as *invalid*
//! and the chain goes on.

use crate::{
    detect::View,
    house::{House, same_key},
    inventory::{Resource, Unseen},
    policy::glob,
};

/// Who owns a resource, and how we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub name: Option<String>,
    /// `tag owner`, `scope`, `fallback` or `none`.
    pub from: String,
    /// Owner tags whose value names nobody: key and value.
    pub invalid: Vec<(String, String)>,
}

impl Owner {
    /// Whether the resource itself says whose it is.
    pub fn is_by_tag(&self) -> bool {
        self.from.starts_with("tag ")
    }
}

/// The owner of a resource. Unread tags are unknown, not absent.
pub fn of<'a>(view: &View<'a>, resource: Resource<'a>) -> Result<Owner, Unseen> {
    Ok(among(view.house, resource, &view.tags(resource)?))
}

/// As [`of`]; where that cannot be told, nobody, from `unknown`.
pub fn known<'a>(view: &View<'a>, resource: Resource<'a>) -> Owner {
    of(view, resource).unwrap_or_else(|_| Owner { name: None, from: "unknown".to_owned(), invalid: Vec::new() })
}

/// The owner of a resource with these tags.
pub fn among(house: &House, resource: Resource<'_>, tags: &[(&str, &str)]) -> Owner {
    let mut invalid = Vec::new();
    for wanted in &house.owner_keys {
        for (key, value) in tags.iter().filter(|(key, _)| same_key(wanted, key)) {
            match valid(house, value) {
                Ok(name) => return Owner { name: Some(name), from: format!("tag {key}"), invalid },
                Err(_) => invalid.push(((*key).to_owned(), (*value).to_owned())),
            }
        }
    }
    if let Some(rule) = house.scope(resource.cloud(), resource.account())
        && let Some(name) = [&rule.owner, &rule.contact].into_iter().find(|name| !name.is_empty())
    {
        return Owner { name: Some(name.clone()), from: "scope".to_owned(), invalid };
    }
    if house.fallback.is_empty() {
        return Owner { name: None, from: "none".to_owned(), invalid };
    }
    Owner { name: Some(house.fallback.clone()), from: "fallback".to_owned(), invalid }
}

/// Whom an owner tag's value names, or why it names nobody.
pub fn valid(house: &House, value: &str) -> Result<String, &'static str> {
    let value = value.trim();
    let same = |other: &String| other.eq_ignore_ascii_case(value);
    if value.is_empty() {
        return Err("empty");
    }
    if house.placeholders.iter().any(same) {
        return Err("a placeholder");
    }
    let alias = house.aliases.iter().find(|(spelling, _)| same(spelling)).map(|(_, name)| name.as_str());
    let name = alias.unwrap_or(value);
    let same = |other: &String| other.eq_ignore_ascii_case(name);
    if house.departed.iter().any(same) {
        return Err("gone");
    }
    if house.owners.is_empty() && house.owner_pattern.is_empty() {
        return Ok(name.to_owned());
    }
    let listed = house.owners.iter().any(same);
    let fits =
        !house.owner_pattern.is_empty() && glob(&house.owner_pattern.to_ascii_lowercase(), &name.to_ascii_lowercase());
    if listed || fits { Ok(name.to_owned()) } else { Err("not an owner of this house") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::Referrer,
        house::ScopeRule,
        inventory::{Draft, InventoryBuilder},
        kind::{KindSpec, Places},
        model::{Class, CloudId, Scope},
    };

    static KIND: KindSpec = KindSpec {
        id: "aws.thing",
        cloud: CloudId::Aws,
        class: Class::Referrer,
        title: "thing",
        places: Places::Account,
        reads: &[],
        asks: &[],
        refers: &[],
        needs: &[],
        out_of_sight: &[],
        advised: "",
        report_only: "",
        acts: &[],
    };

    #[test]
    fn the_chain_goes_on_past_values_that_name_nobody() {
        let mut builder = InventoryBuilder::new(&[&KIND]);
        let mut listing = builder.listing(&KIND, &Scope::new(CloudId::Aws, "111122223333", Scope::GLOBAL));
        listing.push(Draft::new("x", Referrer {}));
        builder.complete(listing, 1);
        let inventory = builder.build();
        let resource = inventory.resources().next().unwrap();
        let mut house = House { departed: vec!["bob@example.com".to_owned()], ..House::default() };
        house.aliases.insert("alice_example_com".to_owned(), "alice@example.com".to_owned());
        let found = |house: &House, tags: &[(&str, &str)]| {
            let owner = among(house, resource, tags);
            (owner.name.unwrap_or_default(), owner.from, owner.invalid.len())
        };
        let name = |name: &str, from: &str, invalid| (name.to_owned(), from.to_owned(), invalid);
        assert_eq!(found(&house, &[]), name("", "none", 0));
        assert_eq!(found(&house, &[("Owner", " alice ")]), name("alice", "tag Owner", 0));
        assert_eq!(found(&house, &[("Created By", "carol"), ("owner", "N/A")]), name("carol", "tag Created By", 1));
        assert_eq!(found(&house, &[("owner", "Alice_Example_Com")]), name("alice@example.com", "tag owner", 0));
        assert_eq!(found(&house, &[("owner", "bob@example.com")]), name("", "none", 1));
        house.owner_pattern = "*@example.com".to_owned();
        assert_eq!(found(&house, &[("owner", "dave@Example.com")]), name("dave@Example.com", "tag owner", 0));
        assert_eq!(found(&house, &[("owner", "dave@other.com")]), name("", "none", 1));
        house.owners.push("platform".to_owned());
        assert_eq!(found(&house, &[("team", "Platform")]), name("Platform", "tag team", 0));
        house.fallback = "finops".to_owned();
        assert_eq!(found(&house, &[("owner", "")]), name("finops", "fallback", 1));
        let rule = ScopeRule { accounts: vec!["gcp:*".to_owned()], owner: "nobody".to_owned(), ..ScopeRule::default() };
        house.scopes.push(rule);
        let rule = ScopeRule {
            accounts: vec!["aws:1111*".to_owned()],
            contact: "desk@example.com".to_owned(),
            ..ScopeRule::default()
        };
        house.scopes.push(rule);
        assert_eq!(found(&house, &[]), name("desk@example.com", "scope", 0));
    }
}
