//! What a screen or a page shows of a report: sums, the dearest findings, what is not known, and why.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};
use sweeper_core::{
    model::{Class, CloudId, DAY, Scope, Timestamp},
    money::Amount,
    policy::{Told, watch::Outcome},
    report::{Glance, Report, Saving, Seen, Sum, Verdict},
    slo::{Budget, Objective},
};

/// Findings under this much a month are folded into one line.
const PENNIES: Amount = Amount::whole(1);

/// Sums, and how many findings.
#[derive(Clone, Debug, Default)]
pub struct Group {
    pub findings: u64,
    pub sum: Sum,
}

impl Group {
    fn add(&mut self, glance: &Glance<'_>) {
        self.findings += 1;
        if glance.counted {
            self.sum.add(glance.saving);
        }
    }
}

/// What could not be judged for one cause.
#[derive(Clone, Debug, Default)]
pub struct Unjudged {
    pub classes: BTreeMap<Class, u64>,
    pub accounts: BTreeSet<(CloudId, String)>,
    pub sum: Sum,
}

/// One place that was not seen.
#[derive(Clone, Debug, Default)]
pub struct NotSeen {
    pub listings: u64,
    pub questions: u64,
    /// The first of the listings.
    pub first: Vec<String>,
}

#[derive(Default)]
pub struct Summary {
    /// By detector (or policy, where it has none), dearest first.
    pub detectors: Vec<(String, Group)>,
    /// By cloud.
    pub clouds: BTreeMap<CloudId, Group>,
    /// By account and region, dearest first.
    pub scopes: Vec<(CloudId, String, String, Group)>,
    /// Rows to show, dearest first; see [`Report::glance`].
    pub rows: Vec<u32>,
    /// Rows of rules about order rather than waste, by policy and account.
    pub hygiene: BTreeMap<(String, CloudId, String), u64>,
    /// Rows that cost next to nothing.
    pub pennies: u64,
    pub unjudged: BTreeMap<String, Unjudged>,
    /// Listings by status.
    pub coverage: BTreeMap<Seen, u64>,
    pub not_seen: BTreeMap<String, NotSeen>,
    pub accounts: BTreeSet<(CloudId, String)>,
    pub regions: BTreeSet<(CloudId, String)>,
}

impl Summary {
    /// `all` folds nothing away.
    pub fn of(report: &Report<'_>, all: bool) -> Self {
        let mut summary = Self::default();
        let mut detectors: BTreeMap<String, Group> = BTreeMap::new();
        let mut scopes: BTreeMap<(CloudId, String, String), Group> = BTreeMap::new();
        let mut rows: Vec<(Reverse<Saving>, u32)> = Vec::new();
        for glance in report.glances() {
            let account = (glance.resource.cloud(), glance.resource.account().to_owned());
            if glance.verdict == Verdict::Unknown {
                let unjudged = summary.unjudged.entry(glance.cause.unwrap_or("not seen").to_owned()).or_default();
                *unjudged.classes.entry(glance.resource.kind().class).or_default() += 1;
                unjudged.accounts.insert(account);
                if glance.counted {
                    unjudged.sum.add(glance.saving);
                }
                continue;
            }
            let name = glance.policy.sweep.map_or(glance.policy.name.as_str(), |detector| detector.spec.id);
            detectors.entry(name.to_owned()).or_default().add(&glance);
            summary.clouds.entry(account.0).or_default().add(&glance);
            let scope = (account.0, account.1.clone(), glance.resource.region().to_owned());
            scopes.entry(scope).or_default().add(&glance);
            if !all && glance.saving == Saving::Nothing {
                *summary.hygiene.entry((glance.policy.name.clone(), account.0, account.1)).or_default() += 1;
            } else if !all && glance.saving.amount().is_some_and(|amount| amount < PENNIES) {
                summary.pennies += 1;
            } else {
                rows.push((Reverse(glance.saving), glance.row));
            }
        }
        // Firm before upper bound before unpriced; rows of the same saving keep the report's order.
        rows.sort_by_key(|(Reverse(saving), _)| Reverse((saving.amount(), *saving)));
        summary.rows = rows.into_iter().map(|(_, row)| row).collect();
        summary.detectors = detectors.into_iter().collect();
        summary.detectors.sort_by_key(|(_, group)| Reverse((group.sum.most(), group.findings)));
        summary.scopes =
            scopes.into_iter().map(|((cloud, account, region), group)| (cloud, account, region, group)).collect();
        summary.scopes.sort_by_key(|(.., group)| Reverse((group.sum.most(), group.findings)));
        summary.see(report);
        summary
    }

    fn see(&mut self, report: &Report<'_>) {
        for covered in report.coverage() {
            *self.coverage.entry(covered.status).or_default() += 1;
            if covered.account == Scope::NO_ACCOUNT {
                self.clouds.entry(covered.cloud).or_default();
            } else if covered.account != "*" {
                self.clouds.entry(covered.cloud).or_default();
                self.accounts.insert((covered.cloud, covered.account.clone()));
                if covered.region != Scope::GLOBAL {
                    self.regions.insert((covered.cloud, covered.region.clone()));
                }
            }
            if covered.status == Seen::Blind {
                let not_seen = self.not_seen.entry(covered.why.unwrap_or_default()).or_default();
                if covered.account == "*" {
                    not_seen.first.push("the rest of the organisation".to_owned());
                } else if not_seen.first.len() < 3 {
                    not_seen.first.push(format!("{} in {}/{}", covered.kind, covered.account, covered.region));
                }
            }
        }
        for (cause, (listings, questions)) in report.blind() {
            let not_seen = self.not_seen.entry(cause).or_default();
            not_seen.listings = listings;
            not_seen.questions = questions;
        }
    }
}

impl Unjudged {
    /// `1,240 snapshots in 14 accounts`.
    pub fn subject(&self) -> String {
        let classes: Vec<String> =
            self.classes.iter().map(|(class, count)| counted(*count, &class.name().replace('-', " "))).collect();
        format!("{} in {}", classes.join(", "), counted(self.accounts.len() as u64, "account"))
    }

    /// `; up to $3,100.00 a month`.
    pub fn stake(&self) -> String {
        match self.sum.most() {
            Amount::ZERO => String::new(),
            most => format!("; up to {} a month", dollars(most)),
        }
    }
}

/// What a person knows a resource by: of the path that an id of Azure Resource Manager is, its group and the names at
/// its end (`shop-rg/server/database`); every other id as it is.
pub fn short_id(id: &str) -> String {
    let mut parts = id.split('/');
    let is_path =
        parts.next() == Some("") && parts.next().is_some_and(|first| first.eq_ignore_ascii_case("subscriptions"));
    if !is_path {
        return id.to_owned();
    }
    // /subscriptions/S/resourceGroups/G/providers/N/type/name/type/name: types and names take turns.
    let parts: Vec<&str> = id.split('/').collect();
    match parts.as_slice() {
        [_, _, _, _, group, providers, _, of @ ..] if providers.eq_ignore_ascii_case("providers") && of.len() > 1 => {
            let names = of.iter().skip(1).step_by(2).copied();
            std::iter::once(*group).chain(names).collect::<Vec<_>>().join("/")
        }
        [.., before, last] => format!("{before}/{last}"),
        _ => id.to_owned(),
    }
}

/// The short id of a resource, with its name where that says more.
pub fn titled(id: &str, name: Option<&str>) -> String {
    let short = short_id(id);
    match name {
        // The ids of paths end in the name.
        Some(name) if name != id && short.rsplit('/').next() != Some(name) => format!("{short} {name}"),
        _ => short,
    }
}

/// The id of an account, where its name stands beside it: of a GUID the first group.
pub fn short_account(id: &str) -> &str {
    match id.split_once('-') {
        Some((first, rest)) if id.len() == 36 && first.len() == 8 && rest.len() == 27 => first,
        _ => id,
    }
}

/// `aws 3 accounts, gcp 1 project`; of one cloud alone, without its name.
pub fn looked_at(accounts: &BTreeSet<(CloudId, String)>) -> String {
    let mut counts: BTreeMap<CloudId, u64> = BTreeMap::new();
    for (cloud, _) in accounts {
        *counts.entry(*cloud).or_default() += 1;
    }
    let alone = counts.len() == 1;
    let parts: Vec<String> = counts
        .into_iter()
        .map(|(cloud, count)| {
            let counted = counted(count, crate::clouds::noun(cloud));
            if alone { counted } else { format!("{} {counted}", cloud.name()) }
        })
        .collect();
    if parts.is_empty() { counted(0, "account") } else { parts.join(", ") }
}

/// What came of policies that watch, the gravest first: of each a line, and none of what is quiet.
pub fn told(report: &Report<'_>) -> Vec<String> {
    let mut told: Vec<&Told> = report.told.iter().filter(|told| told.outcome != Outcome::Quiet).collect();
    told.sort_by_key(|told| Reverse((told.outcome == Outcome::Alert, told.severity)));
    told.into_iter()
        .map(|told| {
            let what = match told.outcome {
                Outcome::Alert => told.severity.name(),
                Outcome::Unknown => "not known",
                Outcome::Learning | Outcome::Quiet => told.outcome.name(),
            };
            let of = if told.subject.is_empty() { String::new() } else { format!(" of {}", short_id(&told.subject)) };
            let stake =
                told.amount.map_or_else(String::new, |amount| format!(": {} {}", amount.cents(), told.currency));
            let says = if told.says.is_empty() { String::new() } else { format!(": {}", told.says) };
            format!("{what}: {}{of}{stake}{says}", told.policy)
        })
        .collect()
}

/// How owners stand to their objectives, where the house has some: those that spent most, a line each.
pub fn slo(report: &Report<'_>) -> Vec<String> {
    const SHOWN: usize = 10;
    let Some(slo) = &report.slo else { return Vec::new() };
    let limits: Vec<String> = Objective::ALL
        .into_iter()
        .filter_map(|objective| slo.limits.of(objective).map(|limit| amount(objective, limit)))
        .collect();
    let limits = if limits.is_empty() { "some owners have limits".to_owned() } else { limits.join(" and ") };
    let missed = slo.budgets.iter().filter(|budget| budget.remaining < Amount::ZERO).count();
    let missed = counted(missed as u64, "objective");
    let mut lines = vec![format!("objective: {limits} an owner in {} days: {missed} missed", slo.window_days)];
    lines.extend(slo.budgets.iter().take(SHOWN).map(spent));
    let rest = slo.budgets.len().saturating_sub(SHOWN) as u64 + slo.more;
    if rest > 0 {
        lines.push(format!("… and {} of which something is spent", counted(rest, "more budget")));
    }
    if slo.unaged > 0 {
        lines.push(format!("of {} nobody knows when it began: in no budget", counted(slo.unaged, "resource")));
    }
    if slo.backlog > 0 {
        lines.push(format!("{} of the baseline: in no budget", counted(slo.backlog, "resource")));
    }
    if !slo.complete {
        lines.push("not all was seen: more may be spent".to_owned());
    }
    lines
}

fn amount(objective: Objective, amount: Amount) -> String {
    match objective {
        // A count is whole.
        Objective::NewOrphans => counted((amount.pico() / Amount::whole(1).pico()).unsigned_abs() as u64, "new orphan"),
        Objective::NewWaste => format!("{} a month of them", dollars(amount)),
    }
}

/// `alice: 12 new orphans of 10, 120 % of the budget; burns at 2.8 (1d), 1.2 (28d)`.
fn spent(budget: &Budget) -> String {
    let of = match budget.objective {
        Objective::NewOrphans => budget.limit.to_string(),
        Objective::NewWaste => dollars(budget.limit),
    };
    let share = budget.spent.scaled(100, 1).pico() / budget.limit.pico().max(1);
    let burns: Vec<String> = budget.burn.iter().map(|burn| format!("{} ({}d)", burn.rate.cents(), burn.days)).collect();
    let own = amount(budget.objective, budget.spent);
    format!("{}: {own}, of {of}: {share} % of the budget; burns at {}", budget.owner, burns.join(", "))
}

/// What looking itself took: `this look: 1,204 calls, $0.02 of them paid (cloudwatch:GetMetricData $0.02)`.
pub fn cost(report: &Report<'_>) -> String {
    let cost = &report.run.cost;
    let calls = counted(cost.calls, "call");
    if cost.usd == Amount::ZERO {
        return format!("this look: {calls}, none of them paid");
    }
    let mut paid: Vec<(&String, Amount)> =
        cost.by_api.iter().map(|(api, own)| (api, own.usd)).filter(|(_, usd)| *usd > Amount::ZERO).collect();
    paid.sort_by_key(|(api, usd)| (Reverse(*usd), *api));
    let rest = if paid.len() > 3 { ", …" } else { "" };
    let paid: Vec<String> = paid.into_iter().take(3).map(|(api, usd)| format!("{api} {}", cents(usd))).collect();
    format!("this look: {calls}, {} of them paid ({}{rest})", cents(cost.usd), paid.join(", "))
}

/// Dollars; what is under a cent is not nothing.
fn cents(usd: Amount) -> String {
    if usd < Amount::whole(1).scaled(1, 100) { "under $0.01".to_owned() } else { dollars(usd) }
}

/// What would let a cause go away; empty when nobody knows.
pub fn fix(cause: &str) -> String {
    let after = |word: &str| cause.strip_prefix(word).map(str::trim);
    if let Some(op) = after("denied ") {
        return format!("grant {op} to the identity that surveys");
    }
    if let Some(kind) = after("not listed: ") {
        return format!("list {kind} too: --all-kinds, or a policy about it");
    }
    let fixes = [
        ("throttled", "run again, or lower `rate` under [limits]"),
        ("not authenticated", "renew the credentials"),
        ("out of time", "raise `deadline` under [limits]"),
        ("api budget", "raise `max_api_usd` under [limits]"),
        ("not selected for this run", "survey the other accounts and regions too"),
        ("only what this identity sees", "survey the whole organisation: --org"),
        ("shared with an account", "survey the account it is shared with"),
        ("unreachable", "check the network and the endpoint"),
    ];
    fixes.into_iter().find(|(word, _)| cause.starts_with(word)).map_or_else(String::new, |(_, fix)| fix.to_owned())
}

/// `2 listings, 3 unanswered questions`.
pub fn blind(listings: u64, questions: u64) -> String {
    let parts = [(listings, "listing"), (questions, "unanswered question")];
    let parts: Vec<String> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, noun)| counted(count, noun)).collect();
    parts.join(", ")
}

/// `1,240 snapshots`, `1 snapshot`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = match (count, noun) {
        (1, _) => noun.to_owned(),
        (_, noun) if noun.ends_with('s') || noun.ends_with('x') => format!("{noun}es"),
        (_, noun) if noun.ends_with('y') && !noun.ends_with("ay") => format!("{}ies", &noun[..noun.len() - 1]),
        _ => format!("{noun}s"),
    };
    format!("{} {plural}", grouped(count))
}

/// `1,240`.
pub fn grouped(count: u64) -> String {
    group(&count.to_string())
}

fn group(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `$1,234.50`.
pub fn dollars(amount: Amount) -> String {
    let cents = amount.cents();
    let (sign, digits) = cents.strip_prefix('-').map_or(("", cents.as_str()), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "00"));
    format!("{sign}${}.{fraction}", group(whole))
}

/// `$8.00`, `≤ $8.00`, `unpriced`.
pub fn saving(saving: Saving) -> String {
    match saving {
        Saving::Firm(amount) => dollars(amount),
        Saving::UpTo(amount) => format!("≤ {}", dollars(amount)),
        Saving::Unpriced => "unpriced".to_owned(),
        Saving::Nothing => "-".to_owned(),
    }
}

/// A decision in few words: its sort, and from when for what only waits.
pub fn decision(act: &str, reason: &str, sort: &str) -> String {
    if act != "hold" {
        return act.to_owned();
    }
    match reason.rsplit_once("eligible ") {
        Some((_, date)) => format!("from {date}"),
        None => sort.to_owned(),
    }
}

/// What of the totals somebody or something holds, and why: a line a reason.
pub fn held(report: &Report<'_>) -> Vec<String> {
    let reasons = report.totals().by_reason.iter();
    let held = reasons.filter(|(reason, sum)| !matches!(reason.as_str(), "report" | "unknown") && sum.resources > 0);
    let most = |sum: &Sum| {
        if sum.most() == Amount::ZERO { String::new() } else { format!(", {} a month", dollars(sum.most())) }
    };
    let held = held.map(|(reason, sum)| {
        let most = most(sum);
        let said = match reason.as_str() {
            "tag" | "stop" | "delete" | "set-retention" => format!("to {reason}, once a plan is approved"),
            held => held.to_owned(),
        };
        format!("of this {said}: {}{most}", counted(sum.resources, "resource"))
    });
    // What is there already and what is new.
    let backlog = report.backlog().map(|backlog| {
        let findings = counted(backlog.findings, "finding");
        format!("of this from before the baseline of {}: {findings}{}", day(Some(&backlog.set)), most(&backlog.sum))
    });
    held.chain(backlog).collect()
}

/// How long something has held, in days: `12d`.
pub fn age(since: Option<&str>, now: Timestamp) -> String {
    let since = since.and_then(Timestamp::parse);
    since.map_or_else(String::new, |since| format!("{}d", grouped((now.since(since).max(0) / DAY).unsigned_abs())))
}

/// The day of an instant, `2026-11-20`.
pub fn day(at: Option<&str>) -> String {
    at.map_or_else(String::new, |at| at.chars().take(10).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ids_are_shown_short() {
        let group = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/shop-rg";
        for (id, short) in [
            (format!("{group}/providers/Microsoft.Compute/disks/d1"), "shop-rg/d1"),
            (format!("{group}/providers/Microsoft.Sql/servers/s/databases/db"), "shop-rg/s/db"),
            (group.to_owned(), "resourceGroups/shop-rg"),
            ("vol-0a".to_owned(), "vol-0a"),
            ("/aws/lambda/web".to_owned(), "/aws/lambda/web"),
            ("arn:aws:x:y/z".to_owned(), "arn:aws:x:y/z"),
            ("/subscriptions".to_owned(), "/subscriptions"),
            (String::new(), ""),
        ] {
            assert_eq!(short_id(&id), short, "{id}");
        }
        assert_eq!(short_account("11111111-1111-1111-1111-111111111111"), "11111111");
        assert_eq!(short_account("shop-prod"), "shop-prod");
    }

    #[test]
    fn figures_read_well() {
        assert_eq!(dollars(Amount::parse("1234567.5").unwrap()), "$1,234,567.50");
        assert_eq!(dollars(Amount::parse("-12.345").unwrap()), "-$12.35");
        assert_eq!(dollars(Amount::ZERO), "$0.00");
        assert_eq!(counted(1240, "snapshot"), "1,240 snapshots");
        assert_eq!(counted(1, "address"), "1 address");
        assert_eq!(counted(2, "address"), "2 addresses");
        assert_eq!(counted(3, "registry"), "3 registries");
        assert_eq!(counted(2, "gateway"), "2 gateways");
        assert_eq!(decision("hold", "3 of 14 days, eligible 2026-12-04", "waiting"), "from 2026-12-04");
    }
}
