//! What the services answer from: the organisation's resources, copies counted out and indexed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::http::{WireError, time};
use crate::org::{Account, Org, numbered, parse_time};
use crate::page::page;
use crate::request::Request;
use crate::services;

/// The emulated cloud as one request sees it, cheap to clone.
#[derive(Clone)]
pub(crate) struct Cloud {
    data: Arc<Data>,
    /// The moment that every relative time is relative to.
    pub(crate) now: Timestamp,
    /// The cap on page sizes.
    pub(crate) page: Option<usize>,
    /// What the request changes, done after its answer is made.
    edits: Arc<Mutex<Vec<Edit>>>,
    /// How many things were given a number.
    serial: Arc<AtomicU64>,
}

/// One change of the organisation.
type Edit = Box<dyn FnOnce(&mut Vec<Item>) + Send>;

// Account, then kind, then region, to positions in `items`.
type Index = BTreeMap<String, BTreeMap<String, BTreeMap<String, Vec<usize>>>>;

struct Data {
    org: Arc<Org>,
    items: Vec<Item>,
    index: Index,
    ids: BTreeMap<String, Vec<usize>>,
    links: BTreeMap<(&'static str, &'static str), BTreeMap<String, Vec<usize>>>,
}

/// One resource, a copy of which `count` has been expanded.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) kind: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) id: String,
    pub(crate) created: Timestamp,
    pub(crate) tags: BTreeMap<String, String>,
    /// The kind's own keys, as in the organisation file.
    pub(crate) keys: Map<String, Value>,
}

impl Cloud {
    pub(crate) fn new(org: Org, now: Timestamp, page: Option<usize>) -> Cloud {
        let mut items = Vec::new();
        for resource in &org.resources {
            for number in resource.numbers() {
                items.push(Item {
                    kind: resource.kind.clone(),
                    account: resource.account.clone(),
                    region: resource.region.clone(),
                    id: resource.id_of(number),
                    created: parse_time(&resource.created, now).unwrap_or(now),
                    tags: resource
                        .tags
                        .iter()
                        .map(|(key, value)| (numbered(key, number), numbered(value, number)))
                        .collect(),
                    keys: resource
                        .keys
                        .iter()
                        .map(|(key, value)| (key.clone(), numbered_value(value, number)))
                        .collect(),
                });
            }
        }
        Cloud {
            data: Arc::new(Data::of(Arc::new(org), items)),
            now,
            page,
            edits: Arc::default(),
            serial: Arc::default(),
        }
    }

    /// Changes the organisation once this request is answered. A handler that returns an error changes nothing.
    pub(crate) fn edit(&self, edit: impl FnOnce(&mut Vec<Item>) + Send + 'static) {
        self.edits.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(edit));
    }

    /// Takes one resource away.
    pub(crate) fn remove(&self, item: &Item) {
        let gone = item.key();
        self.edit(move |items| items.retain(|item| item.key() != gone));
    }

    /// Changes one resource.
    pub(crate) fn change(&self, item: &Item, change: impl FnOnce(&mut Item) + Send + 'static) {
        let key = item.key();
        self.edit(move |items| {
            if let Some(item) = items.iter_mut().find(|item| item.key() == key) {
                change(item);
            }
        });
    }

    /// A number that nothing has had.
    pub(crate) fn serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds a resource.
    pub(crate) fn add(&self, item: Item) {
        self.edit(move |items| items.push(item));
    }

    /// The same organisation for another request, with nothing to be changed yet.
    pub(crate) fn fresh(&self) -> Cloud {
        Cloud { edits: Arc::default(), ..self.clone() }
    }

    /// Whether the request changes anything.
    pub(crate) fn is_edited(&self) -> bool {
        !self.edits.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The organisation after the request.
    pub(crate) fn edited(&self) -> Cloud {
        let edits = std::mem::take(&mut *self.edits.lock().unwrap_or_else(PoisonError::into_inner));
        let mut items = self.data.items.clone();
        for edit in edits {
            edit(&mut items);
        }
        Cloud { data: Arc::new(Data::of(Arc::clone(&self.data.org), items)), ..self.fresh() }
    }

    pub(crate) fn org(&self) -> &Org {
        &self.data.org
    }

    /// The resources, in the file's order.
    pub(crate) fn items(&self) -> &[Item] {
        &self.data.items
    }

    pub(crate) fn account(&self, id: &str) -> Option<&Account> {
        self.data.org.accounts.iter().find(|known| known.id == id)
    }

    /// The resources of a kind in the request's account and region, in the file's order.
    pub(crate) fn list(&self, request: &Request, kind: &str) -> Vec<&Item> {
        self.list_in(&request.account, &request.region, kind)
    }

    /// The resources of a kind in an account and a region, in the file's order.
    pub(crate) fn list_in(&self, account: &str, region: &str, kind: &str) -> Vec<&Item> {
        self.regions(account, kind)
            .and_then(|regions| regions.get(region))
            .map(|positions| positions.iter().map(|at| &self.data.items[*at]).collect())
            .unwrap_or_default()
    }

    /// The resources of a kind in an account, of all regions, by region and then in the file's order.
    pub(crate) fn list_account(&self, account: &str, kind: &str) -> Vec<&Item> {
        self.regions(account, kind)
            .map(|regions| regions.values().flatten().map(|at| &self.data.items[*at]).collect())
            .unwrap_or_default()
    }

    fn regions(&self, account: &str, kind: &str) -> Option<&BTreeMap<String, Vec<usize>>> {
        self.data.index.get(account)?.get(kind)
    }

    /// The resource of a kind with an id in the request's account and region.
    pub(crate) fn find(&self, request: &Request, kind: &str, id: &str) -> Option<&Item> {
        let positions = self.data.ids.get(id)?;
        positions
            .iter()
            .map(|at| &self.data.items[*at])
            .find(|item| item.kind == kind && item.account == request.account && item.region == request.region)
    }

    /// The resources of a kind with an id, wherever they are. S3 names, for one, are global.
    pub(crate) fn with_id<'a>(&'a self, kind: &'a str, id: &str) -> impl Iterator<Item = &'a Item> + use<'a> {
        self.data
            .ids
            .get(id)
            .into_iter()
            .flatten()
            .map(|at| &self.data.items[*at])
            .filter(move |item| item.kind == kind)
    }

    /// The resources with an id, of whatever kind and wherever they are.
    pub(crate) fn named(&self, id: &str) -> impl Iterator<Item = &Item> {
        let positions = self.data.ids.get(id).into_iter().flatten();
        positions.map(|at| &self.data.items[*at])
    }

    /// The resources of a kind whose `key` names `id`, for the pairs of [`services::links`].
    pub(crate) fn referring(&self, kind: &str, key: &str, id: &str) -> Vec<&Item> {
        self.data
            .links
            .iter()
            .find(|(link, _)| link.0 == kind && link.1 == key)
            .and_then(|(_, targets)| targets.get(id))
            .map(|positions| positions.iter().map(|at| &self.data.items[*at]).collect())
            .unwrap_or_default()
    }

    /// One page of a list: the request's maximum, token and the options' cap.
    pub(crate) fn page<T: Clone>(
        &self,
        items: &[T],
        request_max: Option<usize>,
        token: Option<&str>,
    ) -> Result<(Vec<T>, Option<String>), WireError> {
        page(items, request_max, token, self.page)
    }
}

impl Data {
    fn of(org: Arc<Org>, items: Vec<Item>) -> Data {
        let mut index: Index = BTreeMap::new();
        let mut ids: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut links = BTreeMap::new();
        for (kind, key) in services::links() {
            links.insert((*kind, *key), BTreeMap::<String, Vec<usize>>::new());
        }
        for (position, item) in items.iter().enumerate() {
            index
                .entry(item.account.clone())
                .or_default()
                .entry(item.kind.clone())
                .or_default()
                .entry(item.region.clone())
                .or_default()
                .push(position);
            ids.entry(item.id.clone()).or_default().push(position);
            for (link, targets) in &mut links {
                if link.0 == item.kind {
                    for target in item.list(link.1) {
                        targets.entry(target).or_default().push(position);
                    }
                }
            }
        }
        Data { org, items, index, ids, links }
    }
}

impl Item {
    /// What no other resource has.
    fn key(&self) -> (String, String, String, String) {
        (self.kind.clone(), self.account.clone(), self.region.clone(), self.id.clone())
    }

    /// Changes keys; `tags.<key>` is a tag, and `null` takes away.
    pub(crate) fn set(&mut self, keys: &Map<String, Value>) {
        for (key, value) in keys {
            match (key.strip_prefix("tags."), value) {
                (Some(tag), Value::Null) => drop(self.tags.remove(tag)),
                (Some(tag), value) => {
                    drop(self.tags.insert(tag.to_owned(), value.as_str().unwrap_or_default().to_owned()));
                }
                (None, Value::Null) => drop(self.keys.remove(key)),
                (None, value) => drop(self.keys.insert(key.clone(), value.clone())),
            }
        }
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.keys.get(key)?.as_str()
    }

    pub(crate) fn text_or(&self, key: &str, default: &str) -> String {
        self.text(key).unwrap_or(default).to_owned()
    }

    pub(crate) fn int(&self, key: &str) -> Option<i64> {
        self.keys.get(key)?.as_i64()
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        self.keys.get(key)?.as_bool()
    }

    /// A list of strings; a lone string is a list of one.
    pub(crate) fn list(&self, key: &str) -> Vec<String> {
        texts(self.keys.get(key))
    }

    /// A list of tables.
    pub(crate) fn tables(&self, key: &str) -> Vec<&Map<String, Value>> {
        match self.keys.get(key) {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_object).collect(),
            Some(Value::Object(table)) => vec![table],
            _ => Vec::new(),
        }
    }

    pub(crate) fn time(&self, key: &str, now: Timestamp) -> Option<Timestamp> {
        parse_time(self.text(key)?, now)
    }

    /// The tags as a list of objects with the given names for key and value.
    pub(crate) fn tag_list(&self, key_name: &str, value_name: &str) -> Value {
        self.tags.iter().map(|(key, value)| json!({ key_name: key, value_name: value })).collect()
    }

    /// The creation time, as renderers take times.
    pub(crate) fn created(&self) -> Value {
        time(self.created)
    }
}

/// A JSON value as a list of strings; a lone string is a list of one.
pub(crate) fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

fn numbered_value(value: &Value, number: Option<u32>) -> Value {
    match value {
        Value::String(text) => Value::String(numbered(text, number)),
        Value::Array(items) => items.iter().map(|item| numbered_value(item, number)).collect(),
        Value::Object(table) => {
            Value::Object(table.iter().map(|(key, value)| (key.clone(), numbered_value(value, number))).collect())
        }
        other => other.clone(),
    }
}
