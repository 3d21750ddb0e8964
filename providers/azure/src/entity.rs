//! What all of Azure's resources have in common, and how they are listed.
//!
//! A kind names its sort of resource ([`Sort`]) and says what one of them means; [`Azure::each`] lists them by
//! one Resource Graph query for all subscriptions of the run or, where that cannot be asked, by the subscription's
//! own list, and adds what is the same for all: locks, marks, and whether the right to read holds at the root.

use crate::{
    arm::Azure,
    graph,
    locks::{self, Locks},
    marks, rights,
};
use futures_util::future::BoxFuture;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor},
};
use std::{borrow::Cow, fmt, sync::Arc};
use sweeper_core::{
    calls::Site,
    facts::Facts,
    inventory::{Draft, Listing, Tags},
    kind::CloudError,
    model::{Relation, Scope, Timestamp},
};

/// A sort of resource, and the two ways to list it.
#[derive(Debug)]
pub(crate) struct Sort {
    /// The permission: `Microsoft.Compute/disks/read`.
    pub(crate) op: &'static str,
    /// Resource Graph's table: `resources`. Empty where it has none.
    pub(crate) table: &'static str,
    /// The type, as in the path of the list: `Microsoft.Compute/disks`.
    pub(crate) of: &'static str,
    /// Columns beside id, name, location, tags and properties: `sku, kind, managedBy, zones`.
    pub(crate) columns: &'static str,
    /// Further conditions in Resource Graph's language (`kind contains 'functionapp'`); empty for none. The other way
    /// does not apply them: the kind must sort such resources out itself.
    pub(crate) filter: &'static str,
    /// The API version of the list.
    pub(crate) api: &'static str,
}

/// A resource as Resource Manager and Resource Graph both write it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Entity<P> {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) location: Option<String>,
    #[serde(default)]
    pub(crate) tags: Pairs,
    #[serde(default)]
    pub(crate) sku: Option<Sku>,
    #[serde(default)]
    pub(crate) kind: Option<String>,
    #[serde(default, rename = "managedBy")]
    pub(crate) managed_by: Option<String>,
    /// The machines of a shared disk.
    #[serde(default, rename = "managedByExtended")]
    pub(crate) managed_by_extended: Option<Vec<String>>,
    pub(crate) properties: P,
}

/// What was bought.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Sku {
    pub(crate) name: Option<String>,
    pub(crate) tier: Option<String>,
    pub(crate) capacity: Option<i64>,
}

/// A reference to another resource.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Ref {
    pub(crate) id: Option<String>,
}

impl Ref {
    /// The id it names, lower case; empty for none.
    pub(crate) fn lower(&self) -> String {
        self.id.as_deref().unwrap_or_default().to_ascii_lowercase()
    }
}

/// The lower-cased ids of a list of references, which may be absent.
pub(crate) fn ids(list: Option<&Vec<Ref>>) -> Vec<String> {
    list.into_iter().flatten().map(Ref::lower).filter(|id| !id.is_empty()).collect()
}

/// Tags, in the cloud's order, as one text: a run holds those of a hundred thousand resources at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pairs(Box<str>);

impl Pairs {
    /// Keys and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut parts = self.0.split_terminator('\0');
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }

    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        for (key, value) in pairs {
            Self::add(&mut text, key, value);
        }
        Self(text.into())
    }

    /// Adds a pair. The separator is in no tag that Azure takes.
    fn add(text: &mut String, key: &str, value: &str) {
        for part in [key, value] {
            text.extend(part.chars().map(|letter| if letter == '\0' { '\u{fffd}' } else { letter }));
            text.push('\0');
        }
    }
}

/// Absent and null are none.
impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Pairs;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("tags")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut text = String::new();
                while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                    let value = map.next_value::<Option<Cow<'_, str>>>()?;
                    Pairs::add(&mut text, &key, value.as_deref().unwrap_or_default());
                }
                Ok(Pairs(text.into()))
            }

            fn visit_unit<E>(self) -> Result<Pairs, E> {
                Ok(Pairs::default())
            }

            // Resource Graph writes no tags as an empty text where the column is mixed.
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Pairs, E> {
                if text.is_empty() { Ok(Pairs::default()) } else { Err(E::custom("tags are no text")) }
            }
        }
        deserializer.deserialize_any(Map)
    }
}

/// Counts the items of a list whose content does not matter; null and absent are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) Option<u32>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Option::<Vec<IgnoredAny>>::deserialize(deserializer)?;
        Ok(Self(items.map(|items| items.len() as u32)))
    }
}

impl<P> Entity<P> {
    /// Its name: its own, or the end of its id.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.id.rsplit('/').next().unwrap_or_default())
    }

    /// The name of its SKU; empty for none.
    pub(crate) fn sku(&self) -> &str {
        self.sku.as_ref().and_then(|sku| sku.name.as_deref()).unwrap_or_default()
    }

    /// A tag's value, by its key without case.
    pub(crate) fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    }
}

/// The part of an id after a segment of its path: `part(id, "resourceGroups")`. Without case.
pub(crate) fn part<'a>(id: &'a str, segment: &str) -> Option<&'a str> {
    let mut parts = id.split('/');
    parts.find(|part| part.eq_ignore_ascii_case(segment))?;
    parts.next().filter(|part| !part.is_empty())
}

/// The resource group's own id, lower case: `/subscriptions/…/resourcegroups/…`.
pub(crate) fn group_id(id: &str) -> Option<String> {
    let (subscription, group) = (part(id, "subscriptions")?, part(id, "resourceGroups")?);
    Some(format!("/subscriptions/{subscription}/resourcegroups/{group}").to_ascii_lowercase())
}

/// `East US` as `eastus`: both spellings are in use.
pub(crate) fn location(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_whitespace()).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// RFC 3339, as Azure writes it.
pub(crate) fn at(time: Option<&str>) -> Option<Timestamp> {
    // Some services write the year 1 for never.
    time.and_then(Timestamp::parse).filter(|at| at.0 > 0)
}

/// As [`at`], read with the rest: for kinds of which there are many.
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(at(Option::<Cow<'_, str>>::deserialize(deserializer)?.as_deref()))
}

/// What is true of a resource whatever its kind. Its texts live here while a [`Draft`] borrows them.
pub(crate) struct Common {
    /// The id, lower case: how others refer to it.
    pub(crate) lower: String,
    /// The location, `eastus`.
    pub(crate) region: String,
    /// Whose mark it carries; empty for nobody's.
    pub(crate) managed_by: String,
    /// The lock that protects it; empty for none.
    pub(crate) protected: String,
    /// The cluster whose mark it carries; empty for none.
    pub(crate) cluster: String,
}

impl Common {
    /// A draft with all that is common: id, name, region, tags, marks, locks, cluster. Add creation and relations.
    pub(crate) fn draft<'a, P>(&'a self, entity: &'a Entity<P>, facts: impl Into<Facts>) -> Draft<'a> {
        let mut draft = Draft::new(&entity.id, facts);
        draft.name = entity.name();
        draft.region =
            Some(&self.region).filter(|region| !region.is_empty() && *region != Scope::GLOBAL).map(String::as_str);
        draft.tags = Tags::Read(entity.tags.iter().collect());
        draft.managed_by = &self.managed_by;
        draft.protected = &self.protected;
        if self.lower != entity.id {
            draft.also.push(&self.lower);
        }
        draft
    }

    /// As [`Self::draft`], and says so where it carries the mark of a cluster: for disks, addresses, interfaces,
    /// balancers, security groups and machines.
    pub(crate) fn marked<'a, P>(&'a self, entity: &'a Entity<P>, facts: impl Into<Facts>) -> Draft<'a> {
        let mut draft = self.draft(entity, facts);
        if !self.cluster.is_empty() {
            draft.uses.push((Relation::OfCluster, &self.cluster));
        }
        draft
    }
}

/// What is true around a subscription's resources.
pub(crate) struct Around(Result<Arc<Locks>, CloudError>);

impl Around {
    /// Around nothing, for tests.
    #[cfg(test)]
    pub(crate) fn open() -> Self {
        Self(Ok(Arc::default()))
    }

    /// What is true of a resource whatever its kind.
    pub(crate) fn common<P>(&self, entity: &Entity<P>) -> Common {
        let lower = entity.id.to_ascii_lowercase();
        let protected = match &self.0 {
            Ok(locks) => locks.on(&lower),
            Err(_) => locks::UNREADABLE.to_owned(),
        };
        Common {
            region: location(entity.location.as_deref().unwrap_or_default()),
            managed_by: marks::managed_by(entity),
            cluster: marks::cluster(entity).unwrap_or_default(),
            protected,
            lower,
        }
    }
}

impl Azure {
    /// Reads what is true around a subscription's resources, once a run. Where the right to read does not hold at
    /// the subscription's root, or is not known to, the listing is blind; unreadable locks are hidden facts.
    pub(crate) async fn around(&self, site: &Site, op: &'static str, out: &mut Listing) -> Around {
        if let Err(why) = rights::held(self, site, op).await {
            out.blind_in(Scope::GLOBAL, why);
        }
        let locks = locks::of(self, site).await;
        if let Err(error) = &locks {
            out.hides(error.cause());
        }
        Around(locks)
    }

    /// What is true around one resource now: its locks are read again.
    pub(crate) async fn around_now(&self, site: &Site) -> Around {
        Around(locks::now(self, site).await)
    }

    /// Every resource of a sort in the site's subscription. `push` says what one means.
    pub(crate) async fn each<P>(
        &self,
        site: &Site,
        sort: &'static Sort,
        out: &mut Listing,
        push: impl FnMut(&Entity<P>, &Common, &mut Listing) + Send,
    ) -> Result<(), CloudError>
    where
        P: DeserializeOwned + Send + Sync + 'static,
    {
        let path = format!("/subscriptions/{}/providers/{}", site.scope().account, sort.of);
        let list = Box::pin(async move { self.list(site, sort.op, &path, sort.api).await });
        self.each_or(site, sort, out, list, push).await
    }

    /// As [`Self::each`], with another way to list one subscription.
    pub(crate) async fn each_or<P>(
        &self,
        site: &Site,
        sort: &'static Sort,
        out: &mut Listing,
        list: BoxFuture<'_, Result<Vec<Entity<P>>, CloudError>>,
        mut push: impl FnMut(&Entity<P>, &Common, &mut Listing) + Send,
    ) -> Result<(), CloudError>
    where
        P: DeserializeOwned + Send + Sync + 'static,
    {
        let rows = if let Some(rows) = graph::rows::<P>(self, site, sort).await {
            rows
        } else {
            let list = list.await?;
            if let Some(note) = graph::note(self, sort) {
                out.notes(note);
            }
            list
        };
        let around = self.around(site, sort.op, out).await;
        for entity in rows {
            push(&entity, &around.common(&entity), out);
        }
        Ok(())
    }
}
