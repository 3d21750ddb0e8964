//! Compute lists by page, with what they could not reach.
//!
//! An aggregated list covers every zone and region in one chain of pages and does not fail when one of them is
//! down: it says so in `unreachables`, or in a warning in place of the scope's list. Both are kept here, as places
//! in which the kind is then blind. The warning that a scope has nothing on this page says nothing.

use crate::{fault, paths};
use google_cloud_compute_v1::model;
use google_cloud_gax::error::Error;
use std::{collections::BTreeMap, future::Future};
use sweeper_core::{
    calls::{Pages, Site},
    inventory::Listing,
    kind::{CloudError, Fault},
    model::Scope,
};

/// Items a page of any Compute list may have (`maxResults`: 0 to 500).
pub(crate) const PAGE: u32 = 500;

/// A page of a list of Compute.
pub(crate) trait Page {
    type Item;
    /// The kind of list every answer says it is.
    const KIND: &'static str;

    /// Its `kind`; and whether it has anything else that such a list has, for answers recorded without one.
    fn shape(&self) -> (Option<&str>, bool);
    fn next(&self) -> Option<&str>;
    /// Places that could not be seen.
    fn unseen(&self) -> Vec<String>;
    /// The items, by scope in a fixed order.
    fn items(self) -> Vec<Self::Item>;
}

/// A warning's code and the scope it speaks of.
type Warned<'a> = (Option<&'a str>, Option<&'a str>);

/// The place a warning blinds, or `None` for a scope that merely has nothing on this page.
fn blinded((code, scope): Warned<'_>, within: &str) -> Option<String> {
    (code != Some("NO_RESULTS_ON_PAGE")).then(|| paths::place(scope.unwrap_or(within)).to_owned())
}

macro_rules! warned {
    ($warning:expr) => {
        $warning.as_ref().map(|warning| {
            let scope = warning.data.iter().find(|data| data.key.as_deref() == Some("scope"));
            (warning.code.as_ref().and_then(|code| code.name()), scope.and_then(|data| data.value.as_deref()))
        })
    };
}

/// What a list as a whole says it could not reach, in the fields that this sort of list has.
macro_rules! said {
    ($page:expr, warning) => {
        warned!($page.warning).and_then(|warned| blinded(warned, Scope::GLOBAL)).into_iter().collect()
    };
    ($page:expr, unreachables) => {
        $page.unreachables.iter().map(|place| paths::place(place).to_owned()).collect()
    };
    ($page:expr, both) => {{
        let mut unseen: Vec<String> = said!($page, unreachables);
        unseen.extend(warned!($page.warning).and_then(|warned| blinded(warned, Scope::GLOBAL)));
        unseen
    }};
}

/// The scopes of a page in a fixed order.
fn sorted<'a>(scopes: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut scopes: Vec<String> = scopes.cloned().collect();
    scopes.sort_unstable();
    scopes
}

macro_rules! aggregated {
    ($($list:ident of $item:ident in $items:ident, $says:ident, $kind:literal;)*) => {
        $(impl Page for model::$list {
            type Item = model::$item;
            const KIND: &'static str = $kind;

            fn shape(&self) -> (Option<&str>, bool) {
                (self.kind.as_deref(), !self.items.is_empty() || self.id.is_some() || self.self_link.is_some())
            }

            fn next(&self) -> Option<&str> {
                self.next_page_token.as_deref()
            }

            fn unseen(&self) -> Vec<String> {
                let mut unseen: Vec<String> = said!(self, $says);
                for scope in sorted(self.items.keys()) {
                    unseen.extend(warned!(self.items[&scope].warning).and_then(|warned| blinded(warned, &scope)));
                }
                unseen
            }

            fn items(mut self) -> Vec<Self::Item> {
                let mut items = Vec::new();
                for scope in sorted(self.items.keys()) {
                    items.extend(self.items.remove(&scope).map(|list| list.$items).unwrap_or_default());
                }
                items
            }
        })*
    };
}

macro_rules! flat {
    ($($list:ident of $item:ident, $kind:literal;)*) => {
        $(impl Page for model::$list {
            type Item = model::$item;
            const KIND: &'static str = $kind;

            fn shape(&self) -> (Option<&str>, bool) {
                (self.kind.as_deref(), !self.items.is_empty() || self.id.is_some() || self.self_link.is_some())
            }

            fn next(&self) -> Option<&str> {
                self.next_page_token.as_deref()
            }

            fn unseen(&self) -> Vec<String> {
                said!(self, warning)
            }

            fn items(self) -> Vec<Self::Item> {
                self.items
            }
        })*
    };
}

// The kinds are those of the discovery document of Compute v1.
aggregated! {
    AddressAggregatedList of Address in addresses, both, "compute#addressAggregatedList";
    BackendServiceAggregatedList of BackendService in backend_services, both, "compute#backendServiceAggregatedList";
    DiskAggregatedList of Disk in disks, both, "compute#diskAggregatedList";
    ForwardingRuleAggregatedList of ForwardingRule in forwarding_rules, both, "compute#forwardingRuleAggregatedList";
    InstanceAggregatedList of Instance in instances, both, "compute#instanceAggregatedList";
    InstanceGroupManagerAggregatedList of InstanceGroupManager in instance_group_managers, both, "compute#instanceGroupManagerAggregatedList";
    InstanceTemplateAggregatedList of InstanceTemplate in instance_templates, warning, "compute#instanceTemplateAggregatedList";
    RouterAggregatedList of Router in routers, both, "compute#routerAggregatedList";
    TargetHttpProxyAggregatedList of TargetHttpProxy in target_http_proxies, unreachables, "compute#targetHttpProxyAggregatedList";
    TargetHttpsProxyAggregatedList of TargetHttpsProxy in target_https_proxies, both, "compute#targetHttpsProxyAggregatedList";
    TargetPoolAggregatedList of TargetPool in target_pools, both, "compute#targetPoolAggregatedList";
    TargetTcpProxyAggregatedList of TargetTcpProxy in target_tcp_proxies, both, "compute#targetTcpProxyAggregatedList";
    UrlMapsAggregatedList of UrlMap in url_maps, both, "compute#urlMapsAggregatedList";
}

flat! {
    ImageList of Image, "compute#imageList";
    MachineImageList of MachineImage, "compute#machineImageList";
    SnapshotList of Snapshot, "compute#snapshotList";
    TargetSslProxyList of TargetSslProxy, "compute#targetSslProxyList";
}

/// Places a list could not see, and why. Rows of it are certain all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "what was not seen must be said"]
pub(crate) struct Blind(BTreeMap<String, String>);

impl Blind {
    /// Tells a listing.
    pub(crate) fn tell(&self, out: &mut Listing) {
        for (place, why) in &self.0 {
            out.blind_in(place, why.clone());
        }
    }

    /// Why a place, or the list as a whole, could not be seen, if so.
    pub(crate) fn within(&self, place: &str) -> Option<&str> {
        self.0.get(place).or_else(|| self.0.get(Scope::GLOBAL)).map(String::as_str)
    }
}

/// Reads every page and hands over each item as its page arrives. `make` asks for the page of a token.
pub(crate) async fn each<P, Made, Answer>(
    site: &Site,
    op: &'static str,
    mut make: Made,
    mut take: impl FnMut(P::Item),
) -> Result<Blind, CloudError>
where
    P: Page + Send,
    Made: FnMut(Option<String>) -> Answer + Send,
    Answer: Future<Output = Result<P, Error>> + Send,
{
    let mut blind = Blind::default();
    let mut pages = Pages::new(op);
    while let Some(token) = pages.next() {
        let page = fault::call(site, op, || make(token.clone())).await?;
        whole(op, &page)?;
        for place in page.unseen() {
            blind.0.insert(place, format!("{} {op}", Fault::Unreachable.word()));
        }
        pages.seen(page.next())?;
        for item in page.items() {
            take(item);
        }
    }
    Ok(blind)
}

/// As [`each`], for listings that other kinds look things up in.
pub(crate) async fn all<P, Made, Answer>(
    site: &Site,
    op: &'static str,
    make: Made,
) -> Result<(Vec<P::Item>, Blind), CloudError>
where
    P: Page + Send,
    Made: FnMut(Option<String>) -> Answer + Send,
    Answer: Future<Output = Result<P, Error>> + Send,
{
    let mut items = Vec::new();
    let blind = each(site, op, make, |item| items.push(item)).await?;
    Ok((items, blind))
}

/// Google omits empty lists, so an object without items is normal; one that is no such list at all is not.
fn whole<P: Page>(op: &'static str, page: &P) -> Result<(), CloudError> {
    let fits = match page.shape() {
        (Some(kind), _) => kind.eq_ignore_ascii_case(P::KIND),
        (None, more) => more || page.next().is_some(),
    };
    if fits { Ok(()) } else { Err(CloudError::new(Fault::Malformed, op, format!("the answer is no {}", P::KIND))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use google_cloud_compute_v1::model::DiskAggregatedList;

    fn page(json: &str) -> DiskAggregatedList {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_a_page_could_not_reach() {
        let page = page(
            r#"{"kind": "compute#diskAggregatedList", "unreachables": ["zones/us-a1-b"], "items": {
                "zones/us-a1-a": {"disks": [{"name": "a"}]},
                "zones/us-a1-c": {"warning": {"code": "NO_RESULTS_ON_PAGE"}},
                "zones/us-a1-d": {"warning": {"code": "UNREACHABLE", "data": [{"key": "scope", "value": "zones/us-a1-d"}]}},
                "regions/us-a1": {"warning": {"code": "SOMETHING_NEW"}}}}"#,
        );
        assert_eq!(page.unseen(), ["us-a1-b", "us-a1", "us-a1-d"]);
        assert_eq!(whole("op", &page), Ok(()));
        assert_eq!(page.items().len(), 1);
    }

    #[test]
    fn what_is_no_such_list() {
        assert_eq!(whole("op", &page(r#"{"kind": "compute#diskAggregatedList"}"#)), Ok(()));
        assert_eq!(whole("op", &page(r#"{"items": {"zones/a": {"disks": []}}}"#)), Ok(()));
        for wrong in [r#"{"kind": "compute#instanceAggregatedList"}"#, "{}", r#"{"disks": []}"#] {
            assert_eq!(whole("op", &page(wrong)).unwrap_err().fault, Fault::Malformed, "{wrong}");
        }
        assert!(serde_json::from_str::<DiskAggregatedList>("[]").is_err());
        assert!(serde_json::from_str::<DiskAggregatedList>("null").is_err());
    }
}
