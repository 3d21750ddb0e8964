//! Looking: lists what the rules need, then asks what they still ask, and seals both.

use crate::{
    answers::{Answer, Answers, Ask, NOT_ANSWERED},
    begun::Begun,
    calls::{Calls, Journal},
    inventory::{Inventory, InventoryBuilder, ResourceIx, Status},
    kind::{Account, Cloud, CloudError, Fault, Kind, KindSpec, Places, Universe},
    model::{Class, CloudId, Scope, Timestamp},
};
use futures_util::{StreamExt as _, future::join_all, stream};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Kind ids; `None` is every kind.
    pub kinds: Option<BTreeSet<&'static str>>,
    /// Account ids by cloud; a cloud without an entry, or with an empty one, has every account of its universe
    /// looked at.
    pub accounts: BTreeMap<CloudId, BTreeSet<String>>,
    /// Regions by cloud, with the zones in them; a cloud without an entry, or with an empty one, is looked at in
    /// every region.
    pub regions: BTreeMap<CloudId, BTreeSet<String>>,
}

impl Wanted {
    fn has_account(&self, cloud: CloudId, account: &str) -> bool {
        self.accounts.get(&cloud).is_none_or(|accounts| accounts.is_empty() || accounts.contains(account))
    }

    fn has_region(&self, cloud: CloudId, region: &str) -> bool {
        self.regions.get(&cloud).is_none_or(|regions| regions.is_empty() || regions.contains(region))
    }
}

/// The clouds to look at, each with its accounts, or why those are not known.
pub struct Universes {
    pub started: Timestamp,
    pub clouds: Vec<(Arc<dyn Cloud>, Result<Universe, CloudError>)>,
}

impl Universes {
    /// Every kind of these clouds, by its id.
    pub fn kinds(&self) -> BTreeMap<&'static str, Arc<dyn Kind>> {
        let kinds = self.clouds.iter().flat_map(|(cloud, _)| cloud.kinds());
        kinds.map(|kind| (kind.spec().id, Arc::clone(kind))).collect()
    }
}

/// Asks all clouds at once for their accounts. Gives them in the order they came.
pub async fn universes(clouds: Vec<Arc<dyn Cloud>>, calls: &Calls) -> Universes {
    let started = calls.clock().wall();
    let known = join_all(clouds.iter().map(|cloud| cloud.universe())).await;
    Universes { started, clouds: clouds.into_iter().zip(known).collect() }
}

/// How many (scope, kind) pairs are listed, and question batches asked, at once. Each listing follows one chain of
/// pages and most of them wait for their service's rate, so that there must be more than there are services in all
/// accounts and regions; the door bounds the calls.
const AT_ONCE: usize = 4096;

/// Told as the work goes on.
pub trait Progress: Send + Sync {
    /// The universe is known: so many listings will be made.
    fn planned(&self, accounts: usize, regions: usize, listings: usize);
    /// One listing ended.
    fn listed(&self, kind: &str, scope: &Scope, status: &Status, resources: u32);
    /// So many questions will be asked.
    fn asking(&self, questions: usize);
    /// So many of them were answered.
    fn answered(&self, questions: usize);
}

/// Tells nobody.
pub struct Quiet;

impl Progress for Quiet {
    fn planned(&self, _: usize, _: usize, _: usize) {}
    fn listed(&self, _: &str, _: &Scope, _: &Status, _: u32) {}
    fn asking(&self, _: usize) {}
    fn answered(&self, _: usize) {}
}

/// An account that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Looked {
    pub cloud: CloudId,
    pub id: String,
    pub name: String,
    pub path: String,
}

/// Everything that was seen, sealed.
pub struct Survey {
    pub inventory: Inventory,
    pub answers: Answers,
    pub accounts: Vec<Looked>,
    pub started: Timestamp,
    /// The instant all rules take for "now".
    pub taken_at: Timestamp,
    pub journal: Journal,
}

/// Lists every wanted kind in every wanted scope. A cloud whose accounts are not known is blind in every kind,
/// under the account [`Scope::NO_ACCOUNT`].
pub async fn list(universes: &Universes, wanted: &Wanted, calls: &Calls, progress: &dyn Progress) -> Survey {
    list_on(None, universes, wanted, calls, progress).await
}

/// As [`list`], but for what an earlier look listed that was ended.
pub async fn list_on(
    begun: Option<Begun>,
    universes: &Universes,
    wanted: &Wanted,
    calls: &Calls,
    progress: &dyn Progress,
) -> Survey {
    let mut agenda = agenda(universes, wanted);
    let mut listings = std::mem::take(&mut agenda.listings);
    let mut instants = None;
    if let Some(Begun { began, taken_at, inventory, .. }) = begun {
        let wanted: BTreeSet<(&str, &Scope)> =
            listings.iter().map(|listing| (listing.kind.spec().id, &listing.scope)).collect();
        let taken = agenda.builder.go_on(inventory, |spec, scope| wanted.contains(&(spec.id, scope)));
        instants = (taken > 0).then_some((began, taken_at));
        listings.retain(|listing| !agenda.builder.is_covered(listing.kind.spec(), &listing.scope));
    }
    progress.planned(agenda.accounts.len(), agenda.regions, listings.len());
    enumerate(&mut agenda.builder, listings, calls, progress).await;
    let (started, taken_at) = instants.unwrap_or_else(|| (universes.started, calls.clock().wall()));
    Survey {
        inventory: agenda.builder.build(),
        answers: Answers::default(),
        accounts: agenda.accounts,
        started,
        taken_at,
        journal: calls.journal(),
    }
}

/// One kind, to be listed in one scope.
pub(crate) struct ToList {
    pub(crate) kind: Arc<dyn Kind>,
    pub(crate) scope: Scope,
}

/// What is to be listed, and what is known without: the same for the same universes, whoever makes it.
pub(crate) struct Agenda {
    /// Has every scope numbered, and marks of what cannot be listed.
    pub(crate) builder: InventoryBuilder,
    pub(crate) listings: Vec<ToList>,
    pub(crate) accounts: Vec<Looked>,
    /// How many regions there are.
    regions: usize,
}

/// Every listing that the wanted kinds and scopes come to.
pub(crate) fn agenda(universes: &Universes, wanted: &Wanted) -> Agenda {
    let mut builder = InventoryBuilder::new(&specs(universes, wanted));
    for (cloud, regions) in wanted.regions.iter().filter(|(_, regions)| !regions.is_empty()) {
        builder.only_in(*cloud, regions.clone());
    }
    let mut looked = Vec::new();
    let mut listings: Vec<ToList> = Vec::new();
    let mut regions_seen = BTreeSet::new();
    for (cloud, universe) in &universes.clouds {
        let universe = match universe {
            Ok(universe) => universe,
            Err(error) => {
                // Nothing is known of this cloud, not even its accounts: it is blind, and the others go on.
                for kind in cloud.kinds().iter().filter(|kind| wants(wanted, kind.spec())) {
                    let scope = Scope::new(cloud.id(), Scope::NO_ACCOUNT, Scope::GLOBAL);
                    builder.mark(kind.spec(), &scope, Status::Blind { why: why(error) }, 0);
                }
                continue;
            }
        };
        if universe.only_what_this_identity_sees {
            builder.partial_universe(cloud.id());
        }
        for account in &universe.accounts {
            if !wanted.has_account(cloud.id(), &account.id) {
                builder.beyond(Scope::new(cloud.id(), &account.id, Scope::GLOBAL));
                continue;
            }
            looked.push(Looked {
                cloud: cloud.id(),
                id: account.id.clone(),
                name: account.name.clone(),
                path: account.path.clone(),
            });
            plan(cloud.as_ref(), account, wanted, &mut builder, &mut listings, &mut regions_seen);
        }
    }
    for listing in &listings {
        builder.place(listing.kind.spec(), &listing.scope);
    }
    looked.sort_by(|a, b| (a.cloud, &a.id).cmp(&(b.cloud, &b.id)));
    Agenda { builder, listings, accounts: looked, regions: regions_seen.len() }
}

/// The wanted kinds of all clouds.
pub(crate) fn specs(universes: &Universes, wanted: &Wanted) -> Vec<&'static KindSpec> {
    let kinds = universes.clouds.iter().flat_map(|(cloud, _)| cloud.kinds().iter().map(|kind| kind.spec()));
    kinds.filter(|spec| wants(wanted, spec)).collect()
}

/// Lists, and commits each listing that came to its end.
pub(crate) async fn enumerate(
    builder: &mut InventoryBuilder,
    mut listings: Vec<ToList>,
    calls: &Calls,
    progress: &dyn Progress,
) {
    // One kind after the other, everywhere: were it one account after the other, all but a few would wait while the
    // first ones are held up by their own limits.
    listings.sort_by_key(|listing| listing.kind.spec().id);
    let placed: Vec<_> =
        listings.into_iter().map(|listing| (builder.place(listing.kind.spec(), &listing.scope), listing)).collect();
    let opener = builder.opener();
    let work = placed.into_iter().map(|(place, ToList { kind, scope })| {
        let opener = opener.clone();
        let site = calls.site(&scope);
        async move {
            let mut listing = opener.listing(place);
            let outcome = kind.enumerate(&site, &mut listing).await;
            (kind.spec(), scope, site.made(), outcome.map(|()| listing))
        }
    });
    let mut results = stream::iter(work).buffer_unordered(AT_ONCE);
    while let Some((spec, scope, made, outcome)) = results.next().await {
        let (status, resources) = match outcome {
            Ok(listing) => {
                let resources = listing.len() as u32;
                builder.complete(listing, made);
                (Status::Complete, resources)
            }
            Err(error) => {
                let status = status(&error);
                builder.mark(spec, &scope, status.clone(), made);
                (status, 0)
            }
        };
        progress.listed(spec.id, &scope, &status, resources);
    }
}

fn wants(wanted: &Wanted, spec: &KindSpec) -> bool {
    wanted.kinds.as_ref().is_none_or(|kinds| kinds.contains(spec.id))
}

fn plan(
    cloud: &dyn Cloud,
    account: &Account,
    wanted: &Wanted,
    builder: &mut InventoryBuilder,
    listings: &mut Vec<ToList>,
    regions_seen: &mut BTreeSet<String>,
) {
    let selected = |region: &String| wanted.has_region(cloud.id(), region);
    for region in account.regions.iter().filter(|region| !selected(region)) {
        builder.beyond(Scope::new(cloud.id(), &account.id, region));
    }
    for kind in cloud.kinds().iter().filter(|kind| wants(wanted, kind.spec())) {
        let spec = kind.spec();
        let regions: Vec<&str> = match spec.places {
            Places::Account => vec![Scope::GLOBAL],
            Places::Regions => account.regions.iter().filter(|region| selected(region)).map(String::as_str).collect(),
        };
        // An account of which nothing can be read has no regions that anybody knows; its kinds still count.
        let unreadable = account.none.is_some() || account.blind.is_some();
        let regions = if regions.is_empty() && unreadable { vec![Scope::GLOBAL] } else { regions };
        for region in regions {
            let scope = Scope::new(cloud.id(), &account.id, region);
            if let Some(why) = &account.none {
                builder.mark(spec, &scope, Status::None { why: why.clone() }, 0);
            } else if let Some(why) = &account.blind {
                builder.mark(spec, &scope, Status::Blind { why: why.clone() }, 0);
            } else {
                if region != Scope::GLOBAL {
                    regions_seen.insert(region.to_owned());
                }
                listings.push(ToList { kind: Arc::clone(kind), scope });
            }
        }
    }
}

fn status(error: &CloudError) -> Status {
    match error.fault {
        Fault::NotOffered => Status::None { why: error.cause() },
        _ => Status::Blind { why: why(error) },
    }
}

fn why(error: &CloudError) -> String {
    match error.fault {
        Fault::OutOfTime => "out of time".to_owned(),
        Fault::OutOfBudget => "api budget".to_owned(),
        _ => error.cause(),
    }
}

/// Puts the asks to the clouds, batched by kind and scope. An ask nobody answered is `Unseen`.
pub async fn answer(
    survey: &mut Survey,
    clouds: &[Arc<dyn Cloud>],
    asks: BTreeSet<Ask>,
    calls: &Calls,
    progress: &dyn Progress,
) {
    let answered = answers(&survey.inventory, clouds, asks, calls, progress).await;
    settle(survey, clouds, answered);
    survey.journal = calls.journal();
}

/// What the clouds answer, by ask.
pub(crate) async fn answers(
    inventory: &Inventory,
    clouds: &[Arc<dyn Cloud>],
    asks: BTreeSet<Ask>,
    calls: &Calls,
    progress: &dyn Progress,
) -> BTreeMap<Ask, Answer> {
    let kinds: BTreeMap<&str, &Arc<dyn Kind>> =
        clouds.iter().flat_map(|cloud| cloud.kinds()).map(|kind| (kind.spec().id, kind)).collect();
    progress.asking(asks.len());
    let mut batches: BTreeMap<(&'static str, &Scope), Vec<Ask>> = BTreeMap::new();
    for ask in asks {
        if inventory.has(ask.resource) {
            let resource = inventory.at(ask.resource);
            batches.entry((resource.kind().id, resource.scope())).or_default().push(ask);
        }
    }
    let work: Vec<_> = batches
        .into_iter()
        .map(|((id, scope), asks)| {
            let kind = kinds.get(id).copied();
            let site = calls.site(scope);
            async move {
                let outcome = match kind {
                    Some(kind) => kind.answer(&site, inventory, &asks).await,
                    None => Err(CloudError::new(Fault::NotOffered, "no provider", "")),
                };
                (asks, outcome)
            }
        })
        .collect();
    let mut results = stream::iter(work).buffer_unordered(AT_ONCE);
    let mut answered = BTreeMap::new();
    while let Some((asks, outcome)) = results.next().await {
        progress.answered(asks.len());
        let (given, rest) = match outcome {
            Ok(given) => (given, NOT_ANSWERED.to_owned()),
            Err(error) => (Vec::new(), error.cause()),
        };
        let given: BTreeMap<Ask, Answer> = given.into_iter().collect();
        for ask in asks {
            let answer = given.get(&ask).cloned().unwrap_or_else(|| Answer::Unseen(rest.clone()));
            answered.insert(ask, answer);
        }
    }
    answered
}

/// Notes answers, and the managers that they tell of. In one order, whichever came first: these add texts to the
/// inventory.
pub(crate) fn settle(survey: &mut Survey, clouds: &[Arc<dyn Cloud>], answered: BTreeMap<Ask, Answer>) {
    for (ask, answer) in answered {
        if let Answer::Tags(tags) = &answer {
            managed(&mut survey.inventory, clouds, ask.resource, tags);
        }
        survey.answers.insert(ask, answer);
    }
}

/// Notes the manager whose mark the tags carry that a listing did not have.
fn managed(inventory: &mut Inventory, clouds: &[Arc<dyn Cloud>], place: ResourceIx, tags: &[(String, String)]) {
    let resource = inventory.at(place);
    // These have the tags of what they are in, and whoever manages that does not manage them.
    if matches!(resource.kind().class, Class::Artifact | Class::FunctionVersion | Class::Upload) {
        return;
    }
    let tags: Vec<(&str, &str)> = tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let manager = clouds.iter().find(|cloud| cloud.id() == resource.cloud()).map(|cloud| cloud.manager(&tags));
    if resource.managed_by().is_empty()
        && let Some(manager) = manager.filter(|manager| !manager.is_empty())
    {
        inventory.manage(place, &manager);
    }
}
