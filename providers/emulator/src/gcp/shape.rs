//! What Google's APIs have in common: names of places, links, numeric ids, times, and JSON without nulls.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde_json::{Map, Value};

use crate::cloud::{Cloud, Item};

/// Where a resource lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// "us-central1-a".
    Zone(&'a str),
    /// "us-central1".
    Region(&'a str),
    Global,
}

impl<'a> Place<'a> {
    /// The place that a `region` of the organisation file names.
    pub(super) fn of(region: &'a str) -> Place<'a> {
        match region.matches('-').count() {
            0 => Place::Global,
            1 => Place::Region(region),
            _ => Place::Zone(region),
        }
    }

    /// The place as a piece of a resource's path: "zones/us-central1-a", "global".
    pub(super) fn path(self) -> String {
        match self {
            Place::Zone(zone) => format!("zones/{zone}"),
            Place::Region(region) => format!("regions/{region}"),
            Place::Global => "global".to_owned(),
        }
    }
}

/// The region of a zone; a region is its own.
pub(super) fn region_of(place: &str) -> &str {
    match place.rsplit_once('-') {
        Some((region, _)) if place.matches('-').count() >= 2 => region,
        _ => place,
    }
}

/// The zones of a project: three in each of its regions, and those that its resources are in.
pub(super) fn zones(cloud: &Cloud, project: &str) -> BTreeSet<String> {
    let mut zones = BTreeSet::new();
    for region in regions(cloud, project) {
        zones.extend(["a", "b", "c"].map(|letter| format!("{region}-{letter}")));
    }
    zones.extend(places(cloud, project).filter(|place| matches!(Place::of(place), Place::Zone(_))).map(str::to_owned));
    zones
}

/// The regions of a project: its own, and those that its resources are in.
pub(super) fn regions(cloud: &Cloud, project: &str) -> BTreeSet<String> {
    let own = cloud.account(project).map(|account| account.regions.as_slice()).unwrap_or_default();
    let own = own.iter().map(String::as_str);
    let used = places(cloud, project).filter(|place| Place::of(place) != Place::Global).map(region_of);
    own.chain(used).map(str::to_owned).collect()
}

fn places<'a>(cloud: &'a Cloud, project: &'a str) -> impl Iterator<Item = &'a str> {
    let resources = cloud.org().resources.iter();
    resources.filter(move |resource| resource.account == project).map(|resource| resource.region.as_str())
}

/// A resource's immutable numeric id: its key `uid`, else made from what it is.
pub(super) fn uid(item: &Item) -> String {
    item.text("uid").map_or_else(
        || number(&[&item.kind, &item.account, &item.region, &item.id, &item.created.to_string()]),
        str::to_owned,
    )
}

/// Nineteen digits that depend on nothing but the parts (FNV-1a, mixed).
pub(super) fn number(parts: &[&str]) -> String {
    let hash = hash(parts);
    (1_000_000_000_000_000_000 + hash % 8_000_000_000_000_000_000).to_string()
}

pub(super) fn hash(parts: &[&str]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.bytes().chain([0]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    state = (state ^ (state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    state ^ (state >> 33)
}

/// The fingerprint of a resource's labels: eight bytes in base64. Without any it is the one that every such resource
/// of Compute Engine has.
pub(super) fn fingerprint(item: &Item) -> String {
    if item.tags.is_empty() {
        return "42WmSpB8rSM=".to_owned();
    }
    let parts: Vec<&str> = item.tags.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]).collect();
    let (hash, mut text) = (u128::from(hash(&parts)) << 2, String::new());
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for shift in (0..11).rev() {
        text.push(char::from(letters[usize::try_from(hash >> (6 * shift) & 63).unwrap_or(0)]));
    }
    text + "="
}

/// A time as Compute writes it: with milliseconds and the offset of its home.
pub(super) fn pacific(at: Timestamp) -> String {
    at.to_zoned(TimeZone::fixed(Offset::constant(-7))).strftime("%Y-%m-%dT%H:%M:%S%.3f-07:00").to_string()
}

/// A time as the newer APIs write it: RFC 3339 in UTC with microseconds.
pub(super) fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// A time that a key names, as the newer APIs write it.
pub(super) fn utc_key(cloud: &Cloud, item: &Item, key: &str) -> Value {
    item.time(key, cloud.now).map_or(Value::Null, |at| Value::from(utc(at)))
}

/// A whole number as the APIs write 64-bit ones: text.
pub(super) fn int64(item: &Item, key: &str) -> Value {
    item.int(key).map_or(Value::Null, |number| Value::from(number.to_string()))
}

/// The labels as an object; null when there are none.
pub(super) fn labels(item: &Item) -> Value {
    if item.tags.is_empty() {
        return Value::Null;
    }
    Value::Object(item.tags.iter().map(|(key, value)| (key.clone(), Value::from(value.clone()))).collect())
}

/// The finished resource: no nulls and no empty lists or objects (the APIs leave defaults out), then the
/// keys `raw`, which are merged over it as they are, and `without`, which are taken out.
pub(super) fn finished(item: &Item, value: Value) -> Value {
    let mut value = lean(value);
    if let Value::Object(map) = &mut value {
        if let Some(Value::Object(raw)) = item.keys.get("raw") {
            merge(map, raw);
        }
        for name in item.list("without") {
            map.remove(&name);
        }
    }
    value
}

fn merge(into: &mut Map<String, Value>, raw: &Map<String, Value>) {
    for (key, value) in raw {
        match (into.get_mut(key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The value without nulls, empty lists and empty objects in objects.
pub(super) fn lean(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| (key, lean(value)))
                .filter(|(_, value)| match value {
                    Value::Null => false,
                    Value::Array(items) => !items.is_empty(),
                    Value::Object(fields) => !fields.is_empty(),
                    _ => true,
                })
                .collect(),
        ),
        Value::Array(items) => items.into_iter().map(lean).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_by_their_names() {
        assert_eq!(Place::of("us-central1-a").path(), "zones/us-central1-a");
        assert_eq!(Place::of("us-south1-ai1b").path(), "zones/us-south1-ai1b");
        assert_eq!(Place::of("northamerica-northeast1").path(), "regions/northamerica-northeast1");
        assert_eq!(Place::of("global").path(), "global");
        assert_eq!((region_of("us-central1-a"), region_of("us-central1")), ("us-central1", "us-central1"));
    }

    #[test]
    fn numbers_and_times() {
        assert_eq!(number(&["a", "b"]).len(), 19);
        assert_ne!(number(&["a", "b"]), number(&["ab"]));
        let at: Timestamp = "2026-06-15T00:00:00Z".parse().unwrap();
        assert_eq!(pacific(at), "2026-06-14T17:00:00.000-07:00");
        assert_eq!(utc(at), "2026-06-15T00:00:00.000000Z");
    }

    #[test]
    fn defaults_are_left_out() {
        let value = json!({ "a": null, "b": [], "c": { "d": null }, "e": [{ "f": null }], "g": false });
        assert_eq!(lean(value), json!({ "e": [{}], "g": false }));
    }
}
