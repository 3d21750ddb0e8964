//! What a plan adds, held against quotas.
//!
//! A plan alone tells that a quota will be exceeded where what it adds is more than all that is allowed. Anything else rests
//! on what exists, which a survey tells; without one, whether there is room is not known, and is said so.

use super::{
    rules::{Finding, OVER_QUOTA, Verdict},
    terraform::{Does, Plan, Planned, Tags},
};
use std::collections::BTreeMap;
use sweeper_core::{
    house::{House, same_key},
    kind::Prices,
    model::Class,
    money::Amount,
    owner,
    policy::{
        Watch, Watched,
        quota::{Has, Standing},
        watch::Breakdown,
    },
};

/// By what is judged.
pub struct Asked<'a> {
    pub watches: &'a [Watch],
    pub house: &'a House,
    pub prices: &'a dyn Prices,
    /// What there is, where a survey tells it.
    pub standing: Option<&'a dyn Fn(&Watch) -> Standing>,
}

/// What a plan does to one group.
#[derive(Default)]
struct Delta<'a> {
    added: Vec<&'a Planned>,
    removed: u64,
    /// What is added costs a month at least.
    usd: Amount,
    /// Of them, those without a price.
    unpriced: u64,
}

impl Delta<'_> {
    fn count(&self) -> u64 {
        self.added.len() as u64
    }
}

/// Every quota, in the order of their policies.
pub fn judge(asked: &Asked<'_>, plan: &Plan) -> Vec<Finding> {
    let quotas = asked.watches.iter().filter(|watch| watch.what == Watched::OverQuota);
    quotas.flat_map(|watch| of(asked, watch, plan)).collect()
}

fn of(asked: &Asked<'_>, watch: &Watch, plan: &Plan) -> Vec<Finding> {
    let by = watch.by.unwrap_or(Breakdown::Owner);
    // What has no name is of a group that a plan does not tell.
    let mut groups: BTreeMap<Option<String>, Delta<'_>> = BTreeMap::new();
    for planned in plan.resources.iter().chain(&plan.removed).filter(|planned| counts(watch, planned)) {
        let name = match by {
            Breakdown::Class => Some(planned.class.name().to_owned()),
            Breakdown::Owner => owner_of(asked.house, &planned.tags),
            _ => None,
        };
        if !watch.owners.is_empty() && name.as_ref().is_some_and(|name| !watch.owners.contains(name)) {
            continue;
        }
        let own = groups.entry(name).or_default();
        match planned.does {
            Does::Add => {
                own.added.push(planned);
                match month(asked.prices, planned) {
                    Some(usd) => own.usd += usd,
                    None => own.unpriced += 1,
                }
            }
            Does::Remove => own.removed += 1,
            Does::Change => {}
        }
    }
    let untold = groups.get(&None).map_or(0, Delta::count);
    let standing = asked.standing.map(|standing| standing(watch));
    let mut findings = Vec::new();
    for (name, delta) in &groups {
        let Some(first) = delta.added.first() else { continue };
        let said = match name {
            Some(name) => told(watch, name, delta, untold, standing.as_ref()),
            None => untold_group(watch, by, delta, standing.as_ref()),
        };
        let Some((mut verdict, mut says)) = said else { continue };
        if !watch.accounts.is_empty() {
            verdict = Verdict::Unknown;
            says = format!("{says}, if `{}` is of it: a plan does not tell its accounts", watch.name);
        }
        findings.push(Finding {
            rule: &OVER_QUOTA,
            policy: watch.name.clone(),
            severity: watch.severity,
            verdict,
            address: first.address.clone(),
            of: first.of.clone(),
            kind: first.kind,
            says,
        });
    }
    findings
}

/// Whether a quota counts it, as far as a plan tells.
fn counts(watch: &Watch, planned: &Planned) -> bool {
    (watch.classes.is_empty() || watch.classes.contains(&planned.class))
        && (watch.clouds.is_empty() || watch.clouds.contains(&planned.cloud))
        && (watch.accounts.is_empty()
            || watch.accounts.iter().any(|own| own.cloud.is_none_or(|cloud| cloud == planned.cloud)))
}

/// Whose it will be; none where a plan does not tell: nobody's may fall to whoever has the account.
fn owner_of(house: &House, tags: &Tags) -> Option<String> {
    let mut found = None;
    for wanted in &house.owner_keys {
        for value in tags.known.iter().filter(|(key, _)| same_key(wanted, key)).map(|(_, value)| value.as_deref()) {
            match value {
                // One that comes first may be known after apply.
                None => return None,
                Some(value) => found = found.or_else(|| owner::valid(house, value).ok()),
            }
        }
        if found.is_some() {
            return found.filter(|_| !tags.more);
        }
    }
    None
}

fn month(prices: &dyn Prices, planned: &Planned) -> Option<Amount> {
    let bill = planned.bill.as_ref()?;
    bill.units.iter().map(|(key, count)| Some(prices.unit(planned.cloud, &bill.region, key)?.times(*count))).sum()
}

type Said = Option<(Verdict, String)>;

/// `the plan adds 12 of the class disk for alice@example.com`.
fn adds(watch: &Watch, name: Option<&str>, delta: &Delta<'_>) -> String {
    let classes: Vec<&str> = watch.classes.iter().map(|class| Class::name(*class)).collect();
    let of = match classes.as_slice() {
        [] => " resources".to_owned(),
        [class] => format!(" of the class {class}"),
        classes => format!(" of the classes {}", classes.join(", ")),
    };
    let name = name.filter(|name| !classes.contains(name));
    let name = name.map_or_else(String::new, |name| format!(" for {name}"));
    let removes = if delta.removed > 0 { format!(" and takes {} away", delta.removed) } else { String::new() };
    format!("the plan adds {}{of}{name}{removes}", delta.count())
}

/// What is said of a group whose name a plan tells.
fn told(watch: &Watch, name: &str, delta: &Delta<'_>, untold: u64, standing: Option<&Standing>) -> Said {
    let has = standing.map(|standing| standing.groups.get(name).copied().unwrap_or_default());
    let adds = adds(watch, Some(name), delta);
    let mut open = Vec::new();
    let mut over = Vec::new();
    if let Some(most) = watch.count {
        let there = has.map(|has| has.count.saturating_sub(delta.removed));
        let sum = there.unwrap_or(0) + delta.count();
        if sum > most {
            over.push(format!("{}, where {most} are allowed", with(&sum.to_string(), has.map(|has| has.count))));
        } else if has.is_none() || sum + untold > most {
            open.push(format!("the quota is {most}"));
        }
    }
    if let Some(most) = watch.monthly_usd {
        let (sum, is_open) = cost(has, delta);
        if sum > most {
            over.push(format!("at least {} USD a month, where {} are allowed", sum.cents(), most.cents()));
        } else if has.is_none() || is_open || untold > 0 {
            open.push(format!("the quota is {} USD a month, and what is known of it {}", most.cents(), sum.cents()));
        }
    }
    if !over.is_empty() {
        return Some((Verdict::Found, format!("{adds}: {}", over.join("; "))));
    }
    let unseen = standing.and_then(|standing| standing.unseen.as_deref());
    if open.is_empty() && unseen.is_none() {
        return None;
    }
    Some((Verdict::Unknown, because(&adds, &open, why(has, unseen, untold, delta))))
}

/// `15 with the 3 that there are`.
fn with(sum: &str, has: Option<u64>) -> String {
    match has {
        Some(has) if has > 0 => format!("{sum} with the {has} that there are"),
        _ => sum.to_owned(),
    }
}

/// What a group will cost a month at least, and whether it may be more. What is taken away has no price here, so that with
/// it only what is added is certain.
fn cost(has: Option<Has>, delta: &Delta<'_>) -> (Amount, bool) {
    let there = has.filter(|_| delta.removed == 0);
    let sum = there.map_or(Amount::ZERO, |has| has.sure) + delta.usd;
    (sum, delta.unpriced > 0 || delta.removed > 0 || has.is_none_or(|has| has.is_open))
}

fn why(has: Option<Has>, unseen: Option<&str>, untold: u64, delta: &Delta<'_>) -> String {
    if has.is_none() {
        return "what there is already is not seen: `--survey FILE` tells it".to_owned();
    }
    if let Some(unseen) = unseen {
        return unseen.to_owned();
    }
    if untold > 0 {
        return format!("the plan does not tell whose {untold} more are");
    }
    if delta.unpriced > 0 {
        return format!("{} of what it adds have no price", delta.unpriced);
    }
    "not all of what there is has a price".to_owned()
}

fn because(adds: &str, open: &[String], why: String) -> String {
    let quota = if open.is_empty() { String::new() } else { format!("; {}", open.join("; ")) };
    format!("{adds}{quota}; whether that is within it is not known: {why}")
}

/// What is said of what a plan tells no group of: an owner that is known after apply, and regions and accounts.
fn untold_group(watch: &Watch, by: Breakdown, delta: &Delta<'_>, standing: Option<&Standing>) -> Said {
    let most = standing.map(|standing| standing.groups.values().map(|has| has.count).max().unwrap_or(0));
    let count = watch.count.filter(|allowed| most.is_none_or(|most| most + delta.count() > *allowed));
    let unseen = standing.and_then(|standing| standing.unseen.as_deref());
    if watch.count.is_some() && watch.monthly_usd.is_none() && count.is_none() && unseen.is_none() {
        // Whoever has them stays within.
        return None;
    }
    let mut quota: Vec<String> = Vec::new();
    quota.extend(watch.count.map(|most| format!("the quota is {most}")));
    quota.extend(watch.monthly_usd.map(|most| format!("the quota is {} USD a month", most.cents())));
    let what = match by {
        Breakdown::Owner => "owner",
        Breakdown::Region => "region",
        _ => "account",
    };
    let says = because(&adds(watch, None, delta), &quota, format!("the plan does not tell their {what}"));
    Some((Verdict::Unknown, says))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use sweeper_core::{
        model::CloudId,
        policy::{Known, Source, load},
    };

    struct Dollar;

    impl Prices for Dollar {
        fn unit(&self, _: CloudId, region: &str, key: &str) -> Option<Amount> {
            (region == "us-east-1" && key == "ebs.gp2.gb-month").then_some(Amount::whole(1))
        }
    }

    fn change(actions: &str, of: &str, name: &str, owner: &str) -> String {
        let values = |is: bool| {
            let tags = if owner.is_empty() { "{}".to_owned() } else { format!("{{\"owner\":\"{owner}\"}}") };
            let own = format!("\"type\":\"gp2\",\"size\":10,\"availability_zone\":\"us-east-1a\",\"tags_all\":{tags}");
            if is { format!("{{{own}}}") } else { "null".to_owned() }
        };
        let (before, after) = (values(actions.contains("delete")), values(actions.contains("create")));
        format!(
            "{{\"address\":\"{of}.{name}\",\"mode\":\"managed\",\"type\":\"{of}\",\
             \"change\":{{\"actions\":[{actions}],\"before\":{before},\"after\":{after}}}}}"
        )
    }

    /// So many disks for alice, and what else.
    fn plan(disks: usize, more: &[String]) -> Plan {
        let mut changes: Vec<String> =
            (0..disks).map(|at| change("\"create\"", "aws_ebs_volume", &format!("v{at}"), "alice")).collect();
        changes.extend_from_slice(more);
        let text = format!("{{\"format_version\":\"1.2\",\"resource_changes\":[{}]}}", changes.join(","));
        Plan::parse(text.as_bytes()).unwrap()
    }

    fn said(quota: &str, plan: &Plan, standing: Option<Standing>) -> Vec<String> {
        let text = format!("[[policy]]\nname = \"q\"\nsweep = \"over-quota\"\n{quota}\n");
        let set = load(&[Source { path: "q.toml".to_owned(), text }], &Known { kinds: &[] });
        let set = set.set.unwrap_or_else(|| panic!("{:?}", set.problems));
        let standing = standing.map(|standing| move |_: &Watch| standing.clone());
        let standing = standing.as_ref().map(|standing| standing as &dyn Fn(&Watch) -> Standing);
        let asked = Asked { watches: &set.watches, house: &House::default(), prices: &Dollar, standing };
        let findings = judge(&asked, plan);
        let policies: BTreeSet<&str> = findings.iter().map(|finding| finding.policy.as_str()).collect();
        assert!(policies.iter().all(|policy| *policy == "q"));
        findings.iter().map(|finding| format!("{} {}", finding.verdict.name(), finding.says)).collect()
    }

    fn there(name: &str, count: u64, sure: i64) -> Standing {
        let has = Has { count, sure: Amount::whole(sure), is_open: false };
        Standing { groups: BTreeMap::from([(name.to_owned(), has)]), unseen: None }
    }

    const UNSEEN: &str =
        "whether that is within it is not known: what there is already is not seen: `--survey FILE` tells it";

    #[test]
    fn over_by_the_plan_alone_is_found_and_within_is_not_known() {
        let disks = "count = 2\nclasses = [\"disk\"]";
        assert_eq!(
            said(disks, &plan(3, &[]), None),
            ["found the plan adds 3 of the class disk for alice: 3, where 2 are allowed"]
        );
        assert_eq!(
            said(disks, &plan(2, &[]), None),
            [format!("unknown the plan adds 2 of the class disk for alice; the quota is 2; {UNSEEN}")]
        );
        assert!(said("count = 2\nclasses = [\"vm\"]", &plan(3, &[]), None).is_empty());
        assert!(said("count = 2\nclouds = [\"gcp\"]", &plan(3, &[]), None).is_empty());
        assert!(said("count = 2\nowners = [\"bob\"]", &plan(3, &[]), None).is_empty());
        assert_eq!(
            said("count = 2\nby = \"class\"\nclasses = [\"disk\"]", &plan(3, &[]), None),
            ["found the plan adds 3 of the class disk: 3, where 2 are allowed"]
        );
        // What a plan does not tell makes it unknown.
        for (quota, says) in [
            ("count = 2\nby = \"region\"", "the plan does not tell their region"),
            ("count = 2\nby = \"account\"", "the plan does not tell their account"),
            ("count = 2\naccounts = [\"aws:111122223333\"]", "a plan does not tell its accounts"),
        ] {
            let found = said(quota, &plan(3, &[]), None);
            assert!(found.len() == 1 && found[0].starts_with("unknown ") && found[0].ends_with(says), "{found:?}");
        }
    }

    #[test]
    fn with_a_survey_both_are_counted_together() {
        let disks = "count = 5\nclasses = [\"disk\"]";
        let found = |has: u64, plan: &Plan| said(disks, plan, Some(there("alice", has, 0)));
        assert_eq!(
            found(3, &plan(3, &[])),
            ["found the plan adds 3 of the class disk for alice: 6 with the 3 that there are, where 5 are allowed"]
        );
        assert!(found(2, &plan(3, &[])).is_empty(), "there is room");
        let gone = change("\"delete\"", "aws_ebs_volume", "old", "alice");
        assert!(found(3, &plan(3, std::slice::from_ref(&gone))).is_empty(), "one goes");
        assert_eq!(found(9, &plan(0, &[gone])), [""; 0], "it adds nothing");
        let replaced = change("\"delete\",\"create\"", "aws_ebs_volume", "old", "alice");
        assert_eq!(found(5, &plan(0, &[replaced])), [""; 0], "another takes its place");
        let blind = Standing { unseen: Some("it was denied".to_owned()), ..there("alice", 1, 0) };
        assert_eq!(
            said(disks, &plan(1, &[]), Some(blind)),
            [
                "unknown the plan adds 1 of the class disk for alice; whether that is within it is not known: it was denied"
            ]
        );
        // Whoever has what the plan does not tell the owner of.
        let nobodys = change("\"create\"", "aws_ebs_volume", "n", "");
        let found = said(disks, &plan(2, &[nobodys]), Some(there("alice", 3, 0)));
        assert_eq!(found.len(), 1, "with those, or without, it is told once: {found:?}");
        assert!(found[0].starts_with("unknown ") && found[0].ends_with("whose 1 more are"), "{found:?}");
    }

    #[test]
    fn money_is_what_is_known_at_least() {
        let quota = "monthly_usd = 25";
        assert_eq!(
            said(quota, &plan(3, &[]), None),
            ["found the plan adds 3 resources for alice: at least 30.00 USD a month, where 25.00 are allowed"]
        );
        assert_eq!(
            said(quota, &plan(2, &[]), None),
            [format!(
                "unknown the plan adds 2 resources for alice; the quota is 25.00 USD a month, and what is known of it \
                 20.00; {UNSEEN}"
            )]
        );
        assert!(said(quota, &plan(1, &[]), Some(there("alice", 1, 15))).is_empty());
        let over = said(quota, &plan(1, &[]), Some(there("alice", 1, 16)));
        assert!(over[0].starts_with("found ") && over[0].contains("at least 26.00 USD"), "{over:?}");
        let unpriced = change("\"create\"", "aws_instance", "i", "alice");
        let open = said(quota, &plan(0, &[unpriced]), Some(there("alice", 1, 16)));
        assert!(open[0].starts_with("unknown ") && open[0].ends_with("1 of what it adds have no price"), "{open:?}");
    }
}
