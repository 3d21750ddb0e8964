//! Ids of resources as other tools write them, to be looked up by resource.

use crate::{
    inventory::{Resource, is_within},
    model::{Class, CloudId},
};
use std::{borrow::Cow, net::IpAddr};

/// Ids by what they are looked up by. Made once of a list, whose places it gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    /// Every id by the name that it is looked up by, sorted.
    names: Vec<(Box<str>, u32)>,
    /// Those that are ARNs, by what its account calls the resource, sorted.
    tails: Vec<(Box<str>, u32)>,
}

impl Ids {
    pub(crate) fn of<'i>(ids: impl Iterator<Item = &'i str>) -> Self {
        let mut names = Vec::new();
        let mut tails = Vec::new();
        for (at, id) in (0_u32..).zip(ids) {
            names.push((Box::from(&*name(id)), at));
            if let Some(arn) = Arn::parse(id) {
                tails.push((Box::from(arn.tail()), at));
            }
        }
        names.sort_unstable();
        tails.sort_unstable();
        Self { names, tails }
    }

    /// The place of the first id that is a resource's, of those that fit. Ids are compared as their clouds do: ARM ids
    /// without regard to case, ARNs whatever the partition, links and paths of Google Cloud from `projects/` on. `id`
    /// gives the id of a place.
    pub(crate) fn place<'i>(
        &self,
        resource: Resource<'_>,
        id: impl Fn(u32) -> &'i str,
        fits: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let cloud = resource.cloud();
        let inventory = resource.inventory();
        let mut has_arn = false;
        let own = [resource.native_id(), resource.uid()].into_iter().map(|text| (text, true));
        let also = resource.also().map(|sym| (inventory.text(sym), false));
        for (text, is_id) in own.chain(also) {
            let name = name(text);
            has_arn |= name.starts_with("arn:");
            // Other names are only as good as an id where they say where it is.
            let is_whole = is_id
                || ["arn:", "projects/", "/subscriptions/"].iter().any(|start| name.starts_with(start))
                || name.parse::<IpAddr>().is_ok();
            if is_whole && let Some(at) = self.named(&name).find(|at| fits(*at)) {
                return Some(at);
            }
        }
        if cloud == CloudId::Gcp && resource.kind().class == Class::Bucket {
            return self.named(&format!("b/{}", resource.native_id())).find(|at| fits(*at));
        }
        if cloud == CloudId::Aws && !has_arn {
            return self.by_arn(resource, id);
        }
        None
    }

    /// The places of a name.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = u32> {
        found(&self.names, name)
    }

    /// By the ARN that a resource must have which does not tell its own.
    fn by_arn<'i>(&self, resource: Resource<'_>, id: impl Fn(u32) -> &'i str) -> Option<u32> {
        let fits = |at: &u32| {
            Arn::parse(id(*at)).is_some_and(|arn| {
                (arn.account.is_empty() || arn.account == resource.account())
                    && (arn.region.is_empty() || is_within(resource.region(), arn.region))
                    && arn.is_of(resource.kind().id)
            })
        };
        found(&self.tails, resource.native_id()).find(fits)
    }
}

/// The places that a name has in a sorted list.
fn found<'l>(list: &'l [(Box<str>, u32)], name: &str) -> impl Iterator<Item = u32> + use<'l> {
    let from = list.partition_point(|(own, _)| **own < *name);
    let to = from + list[from..].partition_point(|(own, _)| **own <= *name);
    list[from..to].iter().map(|(_, at)| *at)
}

/// What an id is looked up by: the same for every way to write it.
pub(crate) fn name(id: &str) -> Cow<'_, str> {
    const ARM: &str = "/subscriptions/";
    if id.get(..ARM.len()).is_some_and(|start| start.eq_ignore_ascii_case(ARM)) {
        return Cow::Owned(id.trim_end_matches('/').to_ascii_lowercase());
    }
    if let Some((_, rest)) = id.strip_prefix("arn:").and_then(|rest| rest.split_once(':')) {
        return Cow::Owned(format!("arn:{}", rest.trim_end_matches(":*")));
    }
    if let Some(bucket) = id.strip_prefix("gs://") {
        return Cow::Owned(format!("b/{}", bucket.trim_end_matches('/')));
    }
    if let Some(link) = id.strip_prefix("https:").unwrap_or(id).strip_prefix("//") {
        let is_google = link.split('/').next().is_some_and(|host| host.ends_with(".googleapis.com"));
        let part = ["/projects/", "/b/"].iter().find_map(|part| link.find(part));
        if let Some(at) = part.filter(|_| is_google) {
            return Cow::Borrowed(link[at + 1..].trim_end_matches('/'));
        }
    }
    Cow::Borrowed(id)
}

/// What its account calls the resource of an ARN.
pub(crate) fn tail(id: &str) -> Option<&str> {
    Arn::parse(id).map(|arn| arn.tail())
}

/// An Amazon Resource Name.
struct Arn<'a> {
    service: &'a str,
    region: &'a str,
    account: &'a str,
    resource: &'a str,
}

impl<'a> Arn<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':').skip(1);
        let (service, region, account, resource) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        Some(Self { service, region, account, resource: resource.trim_end_matches(":*") })
    }

    /// The resource without its type: `web` of `db:web`, `vol-1` of `volume/vol-1`.
    fn tail(&self) -> &'a str {
        self.resource.split_once([':', '/']).map_or(self.resource, |(_, tail)| tail)
    }

    /// Whether kinds of this id (`aws.rds-instance`) belong to its service.
    fn is_of(&self, kind: &str) -> bool {
        let service = kind.split_once('.').and_then(|(_, rest)| rest.split('-').next()).unwrap_or_default();
        service == self.service || (service == "elb" && self.service == "elasticloadbalancing")
    }
}
