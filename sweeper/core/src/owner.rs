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
