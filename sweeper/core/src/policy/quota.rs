//! `over-quota`: how much somebody may have at once, by count or by what it costs a month.
//!
//! A quota only tells: which of a group's resources are too many, no rule can know. What is seen over a quota is certain,
//! whatever was not seen. That a group is within is only said of what was seen whole: a listing that could not be read, an
//! owner that could not be told or a price that is not known makes it *unknown* where it could tip the scale.

use super::{
    Costs, PolicySet, Told, Watch, Watched,
    watch::{Breakdown, Outcome},
};
use crate::{
    detect::View,
    inventory::{Resource, ResourceIx, Status},
    kind::KindSpec,
    model::{Class, Scope},
    money::{Amount, Basis},
    owner,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// The currency of `monthly_usd`.
const USD: &str = "USD";
/// Groups told of one by one, of one policy; the rest is one of them.
const MOST: usize = 20;
/// Resources named of a group.
const NAMED: usize = 5;
/// Groups of one policy that are told apart; whatever names there are, no more is remembered.
const GROUPS: usize = 100_000;
/// Whose it is that nobody owns.
const NOBODY: &str = "nobody";

/// What is known of a group.
#[derive(Default)]
struct Group {
    count: u64,
    /// What it costs a month at least, and how much more it may be.
    sure: Amount,
    maybe: Amount,
    /// Without a price in USD.
    unpriced: u64,
    /// The dearest, the dearest first.
    dearest: Vec<(Reverse<Amount>, ResourceIx)>,
}

impl Group {
    fn add(&mut self, resource: Resource<'_>, costs: &dyn Costs) {
        self.count += 1;
        let cost = costs.monthly(resource);
        let amount = cost.amount.filter(|_| cost.currency == USD);
        match amount {
            Some(amount) if cost.basis == Basis::UpperBound => self.maybe += amount,
            Some(amount) => self.sure += amount,
            None => self.unpriced += 1,
        }
        let place = (Reverse(amount.unwrap_or_default()), resource.ix());
        let at = self.dearest.partition_point(|known| *known < place);
        if at < NAMED {
            self.dearest.insert(at, place);
            self.dearest.truncate(NAMED);
        }
    }

    fn is_over(&self, watch: &Watch) -> bool {
        watch.count.is_some_and(|most| self.count > most) || watch.monthly_usd.is_some_and(|most| self.sure > most)
    }

    /// Whether what is known and what may be besides could be over.
    fn may_be_over(&self, watch: &Watch, more: u64) -> bool {
        watch.count.is_some_and(|most| self.count.saturating_add(more) > most)
            || watch.monthly_usd.is_some_and(|most| self.unpriced > 0 || more > 0 || self.sure + self.maybe > most)
    }
}

/// Judges every quota, in the order of their policies. What it still asks is noted by the view.
pub fn judge(set: &PolicySet, view: &View<'_>, costs: &dyn Costs) -> Vec<Told> {
    let quotas = set.watches.iter().filter(|watch| watch.what == Watched::OverQuota);
    quotas.flat_map(|watch| told(watch, view, costs)).collect()
}

/// What there is of each group of a quota, for whoever wants to add to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub groups: BTreeMap<String, Has>,
    /// Why there may be more than that, of any group.
    pub unseen: Option<String>,
}

/// What there is of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Has {
    pub count: u64,
    /// What it costs a month at least.
    pub sure: Amount,
    /// Whether it may cost more: upper bounds, and what has no price.
    pub is_open: bool,
}

/// What there is of each group, as [`judge`] counts it.
pub fn standing(watch: &Watch, view: &View<'_>, costs: &dyn Costs) -> Standing {
    let Counted { groups, strangers: _, why } = counted(watch, view, costs);
    let unseen = blind(watch, watch.by.unwrap_or(Breakdown::Owner), view).why.or(why);
    let has = |group: &Group| Has {
        count: group.count,
        sure: group.sure,
        is_open: group.unpriced > 0 || group.maybe > Amount::ZERO,
    };
    Standing { groups: groups.iter().map(|(name, group)| (name.clone(), has(group))).collect(), unseen }
}

struct Counted {
    groups: BTreeMap<String, Group>,
    /// Whose owner cannot be told, and why not; and what is beyond what is remembered.
    strangers: u64,
    why: Option<String>,
}

fn counted(watch: &Watch, view: &View<'_>, costs: &dyn Costs) -> Counted {
    let by = watch.by.unwrap_or(Breakdown::Owner);
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut strangers = 0_u64;
    let mut why: Option<String> = None;
    for resource in view.inventory.resources() {
        let in_scope = is_of(watch, resource.kind()) && watch.covers(Some(resource.cloud()), resource.account());
        if !in_scope || !resource.is_selected() {
            continue;
        }
        let name = match by {
            Breakdown::Owner => match owner::of(view, resource) {
                Ok(owner) => owner.name.unwrap_or_else(|| NOBODY.to_owned()),
                Err(unseen) => {
                    strangers += 1;
                    why.get_or_insert(format!("the owner of {} is not known: {}", resource.id(), unseen.cause));
                    continue;
                }
            },
            _ => name(by, resource.kind(), resource.scope()),
        };
        if by == Breakdown::Owner && !watch.owners.is_empty() && !watch.owners.contains(&name) {
            continue;
        }
        if groups.len() >= GROUPS && !groups.contains_key(&name) {
            strangers += 1;
            why.get_or_insert(format!("there are more than {GROUPS} of them"));
            continue;
        }
        groups.entry(name).or_default().add(resource, costs);
    }
    Counted { groups, strangers, why }
}

fn told(watch: &Watch, view: &View<'_>, costs: &dyn Costs) -> Vec<Told> {
    let by = watch.by.unwrap_or(Breakdown::Owner);
    let Counted { groups, strangers, mut why } = counted(watch, view, costs);
    // A quota of nothing at all is of those that have nothing, too.
    let blind = blind(watch, by, view);
    let mut alerts: Vec<(&String, &Group)> = Vec::new();
    let mut open = 0_u64;
    for (name, group) in &groups {
        let hidden = blind.names.contains(name) || blind.everywhere;
        if group.is_over(watch) {
            alerts.push((name, group));
        } else if hidden || group.may_be_over(watch, strangers) {
            open += 1;
            if group.unpriced > 0 && watch.monthly_usd.is_some() {
                why.get_or_insert(format!("{} of {name} have no price in USD", group.unpriced));
            }
        }
    }
    // What nobody saw anything of may be over as well.
    let hidden = strangers > 0 && Group::default().may_be_over(watch, strangers);
    let unseen = blind.everywhere || blind.names.iter().any(|name| !groups.contains_key(name)) || hidden;
    alerts.sort_by_key(|(name, group)| (Reverse(group.sure), Reverse(group.count), *name));
    let mut told = Vec::new();
    let rest = alerts.split_off(alerts.len().min(MOST));
    told.extend(alerts.iter().map(|(name, group)| said(watch, Outcome::Alert, name, says(watch, view, group), group)));
    if !rest.is_empty() {
        let mut sum = Group::default();
        for (_, group) in &rest {
            sum.sure += group.sure;
        }
        told.push(said(watch, Outcome::Alert, &format!("{} more", rest.len()), String::new(), &sum));
    }
    if open > 0 || unseen {
        let why = blind.why.or(why).unwrap_or_else(|| "upper bounds of prices are above it".to_owned());
        let says = match open {
            0 => format!("whether all are within it is not known: {why}"),
            _ => format!("whether {open} of {} are within it is not known: {why}", groups.len()),
        };
        told.push(said(watch, Outcome::Unknown, "", says, &Group::default()));
    }
    if told.is_empty() {
        told.push(said(watch, Outcome::Quiet, "", String::new(), &Group::default()));
    }
    told
}

/// Whether a quota counts resources of a kind.
pub(super) fn is_of(watch: &Watch, kind: &KindSpec) -> bool {
    let class = kind.class;
    class != Class::Referrer
        && (watch.classes.is_empty() || watch.classes.contains(&class))
        && (watch.clouds.is_empty() || watch.clouds.contains(&kind.cloud))
}

/// The group of a place and kind, where neither needs the resource.
fn name(by: Breakdown, kind: &KindSpec, scope: &Scope) -> String {
    match by {
        Breakdown::Class => kind.class.name().to_owned(),
        Breakdown::Region => format!("{}:{}", scope.cloud.name(), scope.region),
        _ => format!("{}:{}", scope.cloud.name(), scope.account),
    }
}

/// Where nobody could look.
#[derive(Default)]
struct Blind {
    /// Groups that may be more than what was seen.
    names: BTreeSet<String>,
    /// All of them may.
    everywhere: bool,
    why: Option<String>,
}

fn blind(watch: &Watch, by: Breakdown, view: &View<'_>) -> Blind {
    let mut blind = Blind::default();
    for (kind, scope, covered) in view.inventory.coverage() {
        if !is_of(watch, kind) || !watch.covers(Some(scope.cloud), &scope.account) {
            continue;
        }
        let Status::Blind { why } = &covered.status else { continue };
        let place = format!("{} in {}:{}/{}", kind.id, scope.cloud.name(), scope.account, scope.region);
        blind.why.get_or_insert(format!("{place} could not be listed: {why}"));
        match by {
            // Anybody may own something there.
            Breakdown::Owner => blind.everywhere = true,
            _ => {
                blind.names.insert(name(by, kind, scope));
            }
        }
    }
    let partial = view.inventory.partial_universe();
    let partial = partial.iter().find(|cloud| watch.clouds.is_empty() || watch.clouds.contains(cloud));
    if let Some(cloud) = partial.filter(|_| watch.accounts.is_empty()) {
        // Of an account that is seen, all is seen.
        blind.everywhere |= by != Breakdown::Account;
        blind.why.get_or_insert(format!("only what this identity sees of {} is known", cloud.name()));
    }
    blind
}

/// `130 resources, where 100 are allowed; the dearest: …`.
fn says(watch: &Watch, view: &View<'_>, group: &Group) -> String {
    let mut says = Vec::new();
    if let Some(most) = watch.count.filter(|most| group.count > *most) {
        says.push(format!("{} resources, where {most} are allowed", group.count));
    }
    if let Some(most) = watch.monthly_usd.filter(|most| group.sure > *most) {
        says.push(format!("{} USD a month, where {} are allowed", group.sure.cents(), most.cents()));
    }
    if watch.monthly_usd.is_some() && group.unpriced > 0 {
        says.push(format!("{} more without a price", group.unpriced));
    }
    let named = group.dearest.iter().map(|(Reverse(amount), ix)| {
        let id = view.inventory.at(*ix).id();
        if *amount > Amount::ZERO { format!("{id} ({})", amount.cents()) } else { id }
    });
    says.push(format!("the dearest: {}", named.collect::<Vec<_>>().join(", ")));
    says.join("; ")
}

fn said(watch: &Watch, outcome: Outcome, subject: &str, says: String, group: &Group) -> Told {
    let amount = (outcome == Outcome::Alert && group.sure > Amount::ZERO).then_some(group.sure);
    Told {
        policy: watch.name.clone(),
        watch: watch.what,
        severity: watch.severity,
        outcome,
        subject: subject.to_owned(),
        says,
        currency: amount.map(|_| USD.to_owned()).unwrap_or_default(),
        amount,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        detect::tests::{disk, function},
        inventory::{Draft, Tags},
        money::Cost,
        policy::{Known, Source, load},
        testing::{self, KINDS, World},
    };

    /// Prices by native id: `dear-20` costs 20 a month, `up-20` at most that, `free…` nothing is known of.
    struct ByName;

    impl Costs for ByName {
        fn monthly(&self, resource: Resource<'_>) -> Cost {
            let amount = || resource.native_id().rsplit_once('-').and_then(|(_, amount)| Amount::parse(amount));
            match (resource.native_id(), amount()) {
                (id, Some(amount)) if id.starts_with("up") => Cost::upper_bound(amount),
                (id, Some(amount)) if id.starts_with("dear") => Cost::list(amount),
                _ => Cost::unknown(),
            }
        }
    }

    fn with(world: World, id: &str, owner: &str) -> World {
        let tags = Tags::Read(if owner.is_empty() { Vec::new() } else { vec![("owner", owner)] });
        world.draft(&testing::DISK, Draft { tags, ..Draft::new(id, disk()) })
    }

    fn found(world: World, quota: &str) -> Vec<(String, String, String)> {
        let text = format!("[[policy]]\nname = \"q\"\nsweep = \"over-quota\"\n{quota}\n");
        let loaded = load(&[Source { path: "q.toml".to_owned(), text }], &Known { kinds: KINDS });
        let set = loaded.set.unwrap_or_else(|| panic!("{:?}", loaded.problems));
        let sealed = world.seal();
        let told = judge(&set, &sealed.view(), &ByName);
        let said = |told: Told| {
            let amount = told.amount.map(Amount::cents).unwrap_or_default();
            (format!("{} {} {amount}", told.outcome.name(), told.subject), told.says, told.currency)
        };
        told.into_iter().map(said).collect()
    }

    fn heads(world: World, quota: &str) -> Vec<String> {
        found(world, quota).into_iter().map(|(head, ..)| head.trim().to_owned()).collect()
    }

    fn shop() -> World {
        let world = with(World::new(), "dear-20", "alice");
        let world = with(world, "dear-5", "alice");
        let world = with(world, "dear-7", "bob");
        with(world, "dear-1", "")
    }

    #[test]
    fn a_group_over_its_quota_is_told_with_the_dearest() {
        let said = found(shop(), "count = 1");
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(said[0].0, "alert alice 25.00");
        let dearest = "the dearest: aws.test-disk:111111111111/eu-west-1/dear-20 (20.00)";
        assert!(said[0].1.starts_with(&format!("2 resources, where 1 are allowed; {dearest}")), "{said:?}");
        assert_eq!(heads(shop(), "count = 2"), ["quiet"]);
        assert_eq!(heads(shop(), "count = 0"), ["alert alice 25.00", "alert bob 7.00", "alert nobody 1.00"]);
        assert_eq!(heads(shop(), "count = 0\nowners = [\"bob\"]"), ["alert bob 7.00"]);
        assert_eq!(heads(shop(), "count = 3\nby = \"class\""), ["alert disk 33.00"]);
        assert_eq!(heads(shop(), "count = 3\nby = \"account\""), ["alert aws:111111111111 33.00"]);
        assert_eq!(heads(shop(), "count = 3\nby = \"region\""), ["alert aws:eu-west-1 33.00"]);
        assert_eq!(heads(shop(), "count = 0\nclasses = [\"vm\"]"), ["quiet"]);
        assert_eq!(heads(shop(), "count = 0\naccounts = [\"aws:222222222222\"]"), ["quiet"]);
    }

    #[test]
    fn money_is_certain_only_where_it_is_known() {
        assert_eq!(heads(shop(), "monthly_usd = 24.99"), ["alert alice 25.00"]);
        assert_eq!(heads(shop(), "monthly_usd = 25"), ["quiet"]);
        // An upper bound, and what has no price, may be more; neither is over by itself.
        for id in ["up-10", "free"] {
            let said = found(with(shop(), id, "bob"), "monthly_usd = 16");
            let heads: Vec<&str> = said.iter().map(|(head, ..)| head.trim()).collect();
            assert_eq!(heads, ["alert alice 25.00", "unknown"], "{id}");
            assert!(said[1].1.starts_with("whether 1 of 3 are within it is not known: "), "{said:?}");
        }
        assert_eq!(heads(with(shop(), "up-10", "bob"), "monthly_usd = 25"), ["quiet"]);
    }

    #[test]
    fn blind_places_leave_over_certain_and_within_unknown() {
        let blind = || shop().blind(&testing::VM);
        let said = found(blind(), "count = 1");
        let heads_of = |said: &[(String, String, String)]| -> Vec<String> {
            said.iter().map(|(head, ..)| head.trim().to_owned()).collect()
        };
        assert_eq!(heads_of(&said), ["alert alice 25.00", "unknown"]);
        assert!(
            said[1].1.contains("aws.test-vm in aws:111111111111/eu-west-1 could not be listed: denied"),
            "{said:?}"
        );
        // What does not count them is not blinded by them.
        assert_eq!(heads(blind(), "count = 1\nclasses = [\"disk\"]"), ["alert alice 25.00"]);
        assert_eq!(heads(blind(), "count = 3\nby = \"class\""), ["alert disk 33.00", "unknown"]);
        assert_eq!(heads(blind(), "count = 9\nby = \"region\""), ["unknown"]);
    }

    #[test]
    fn an_owner_that_cannot_be_told_may_be_anybody() {
        let world = || shop().draft(&testing::FUNCTION, Draft { tags: Tags::Unread, ..Draft::new("f", function()) });
        assert_eq!(heads(world(), "count = 2"), ["unknown"]);
        assert_eq!(heads(world(), "count = 3"), ["quiet"], "one more is within it, whoever has it");
        assert_eq!(heads(world(), "count = 1"), ["alert alice 25.00", "unknown"]);
        assert_eq!(heads(world(), "count = 2\nclasses = [\"disk\"]"), ["quiet"]);
    }

    #[test]
    fn what_there_is_is_counted_alike_for_whoever_adds_to_it() {
        let standing_of = |world: World, quota: &str| {
            let text = format!("[[policy]]\nname = \"q\"\nsweep = \"over-quota\"\n{quota}\n");
            let set = load(&[Source { path: "q.toml".to_owned(), text }], &Known { kinds: KINDS }).set.unwrap();
            standing(&set.watches[0], &world.seal().view(), &ByName)
        };
        let found = standing_of(with(shop(), "up-10", "bob"), "count = 1");
        let has = |count, sure, is_open| Has { count, sure: Amount::whole(sure), is_open };
        assert_eq!(found.groups["alice"], has(2, 25, false));
        assert_eq!(found.groups["bob"], has(2, 7, true));
        assert_eq!((found.groups.len(), found.unseen), (3, None));
        let blind = standing_of(shop().blind(&testing::VM), "count = 1");
        assert!(blind.unseen.unwrap().contains("could not be listed: denied"));
        let stranger = shop().draft(&testing::FUNCTION, Draft { tags: Tags::Unread, ..Draft::new("f", function()) });
        assert!(standing_of(stranger, "count = 1").unseen.unwrap().contains("the owner of"));
    }

    #[test]
    fn of_very_many_the_dearest_are_told_and_the_rest_together() {
        let mut world = World::new();
        for at in 0..MOST + 3 {
            world = with(world, &format!("dear{at}-{}", at + 1), &format!("owner-{at:02}"));
        }
        let said = heads(world, "count = 0");
        assert_eq!(
            (said.len(), said[0].as_str(), said[MOST].as_str()),
            (MOST + 1, "alert owner-22 23.00", "alert 3 more 6.00")
        );
    }
}
