//! What a report may say after something was taken away, by the passports of kinds and detectors alone.

use crate::world::{Base, Key, Report, Row, SETTINGS};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::OnceLock,
};
use sweeper_core::{
    answers::Question,
    detect::{self, Spec},
    kind::{KindSpec, Places},
    model::{Class, Reach, Scope},
    report::{Coverage, EvidenceOf, Seen, Verdict},
};

/// What was taken away: calls with a permission, of an account, in a region. Unset is all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loss<'a> {
    pub(crate) permission: Option<&'a str>,
    pub(crate) account: Option<&'a str>,
    pub(crate) region: Option<&'a str>,
}

impl Loss<'_> {
    /// Whether it hits calls for this account and region.
    pub(crate) fn hits(&self, account: &str, region: &str) -> bool {
        self.account.is_none_or(|own| own == account)
            && self.region.is_none_or(|own| own == region || region == Scope::GLOBAL)
    }

    fn takes(&self, permissions: &[&str]) -> bool {
        self.permission.is_none_or(|own| permissions.contains(&own))
    }
}

/// Reads without which a listing is whole all the same, but knows less of each resource, and says so.
pub(crate) const SOFT: &[(&str, &str)] = &[
    ("aws.ecr-repository", "ecr:ListTagsForResource"),
    ("aws.ecr-image", "ecr:ListTagsForResource"),
    ("aws.lambda-function", "lambda:GetPolicy"),
    ("aws.lambda-version", "lambda:GetPolicy"),
    ("aws.s3-bucket", "s3:GetBucketVersioning"),
    ("aws.s3-bucket", "s3:GetLifecycleConfiguration"),
    ("aws.s3-bucket", "s3:GetBucketTagging"),
    ("aws.s3-upload", "s3:GetBucketTagging"),
];

/// A place that a kind was not seen in: kind, account, region.
type Place = (String, String, String);

/// The outcome of a comparison.
#[derive(Default)]
pub(crate) struct Compared {
    /// What must not be, a line each.
    pub(crate) wrong: Vec<String>,
    /// As [`Self::blinded`], where only a part was not seen, so that rows of the rest may stand.
    pub(crate) in_part: BTreeSet<Place>,
    /// Rows that were found, or were not there, and are unknown now, or are gone with their kind.
    pub(crate) changed: BTreeSet<Key>,
    /// These, and rows whose verdict is the same and that say something else beside it.
    pub(crate) differ: BTreeSet<Key>,
    pub(crate) blinded: BTreeSet<Place>,
}

impl Compared {
    fn lost(&mut self, (kind, account, region): &(&str, &str, &str), seen: &Coverage) {
        let place = ((*kind).to_owned(), (*account).to_owned(), (*region).to_owned());
        let of_account = specs().get(kind).is_some_and(|spec| spec.places == Places::Account);
        if seen.resources.unwrap_or(0) > 0 || of_account && *region != Scope::GLOBAL {
            self.in_part.insert(place.clone());
        }
        self.blinded.insert(place);
    }
}

pub(crate) fn compare(base: &Base, report: &Report, loss: &Loss<'_>) -> Compared {
    let mut outcome = Compared { wrong: report.odd.clone(), ..Compared::default() };
    let (before, after) = (base.report.coverage(), report.coverage());
    for (place, seen) in &before {
        match after.get(place) {
            // An account that could not be entered is one place.
            None if after.contains_key(&(place.0, place.1, Scope::GLOBAL)) => {}
            None => outcome.wrong.push(format!("{place:?} is not in the coverage")),
            Some(now) if now.status == seen.status => {}
            Some(now) if now.status == Seen::Blind => {
                if !loss.hits(place.1, place.2) {
                    outcome.wrong.push(format!("{place:?} is blind, which is out of reach: {:?}", now.why));
                }
                if now.why.as_deref().is_none_or(str::is_empty) {
                    outcome.wrong.push(format!("{place:?} is blind without a reason"));
                }
                outcome.lost(place, now);
            }
            Some(now) => outcome.wrong.push(format!("{place:?} was {:?} and is {:?}", seen.status, now.status)),
        }
    }
    for place in after.keys().filter(|place| !before.contains_key(*place)) {
        // An account that could not be entered has no regions to speak of, and a bucket has one of its own.
        let of_account = specs().get(place.0).is_some_and(|spec| spec.places == Places::Account);
        if !(loss.hits(place.1, place.2) && (place.2 == Scope::GLOBAL || of_account)) {
            outcome.wrong.push(format!("{place:?} is new in the coverage"));
        }
        outcome.lost(place, after[place]);
    }
    let keys: BTreeSet<&Key> = base.report.rows.keys().chain(report.rows.keys()).collect();
    for key in keys {
        row(key, base.report.rows.get(key), report.rows.get(key), loss, &mut outcome);
    }
    outcome
}

fn row(key: &Key, before: Option<&Row>, after: Option<&Row>, loss: &Loss<'_>, outcome: &mut Compared) {
    let Some(any) = before.or(after) else { return };
    let blinded = &outcome.blinded;
    let place = Of::new(any);
    let said = |row: Option<&Row>| row.map_or("nothing", |row| row.finding.verdict.name());
    let (old, new) = (said(before), said(after));
    let mut wrong = Vec::new();
    let text = |row: Option<&Row>| row.map(|row| row.text.clone());
    if text(before) != text(after) {
        outcome.differ.insert(key.clone());
    }
    let whole: BTreeSet<Place> = blinded.difference(&outcome.in_part).cloned().collect();
    if place.own_kind(&whole) {
        if after.is_some() {
            wrong.push(format!("{new}, though its kind was not listed"));
        }
        outcome.changed.insert(key.clone());
    } else if place.own_kind(blinded) {
        if before.is_none() && after.is_some() {
            wrong.push(format!("is {new}, with less to go by"));
        }
        if old != new {
            outcome.changed.insert(key.clone());
        }
    } else if !place.touched(blinded, loss) {
        if text(before) != text(after) {
            wrong.push(format!("out of reach, and was {old}, is {new}:{}", difference(before, after)));
        }
    } else {
        match (before.map(|row| row.finding.verdict), after.map(|row| row.finding.verdict)) {
            (None | Some(Verdict::Unknown), Some(Verdict::Found)) => {
                wrong.push(format!("was {old} and is found, with less to go by"));
            }
            (Some(_), None) => wrong.push(format!("was {old} and is gone without a word")),
            _ => {}
        }
        if old != new {
            outcome.changed.insert(key.clone());
        }
        if let (Some(before), Some(after)) = (before, after)
            && after.finding.verdict == Verdict::Found
        {
            wrong.extend(place.evidence(before, after, blinded, loss));
        }
    }
    outcome.wrong.extend(wrong.into_iter().map(|what| format!("{} {}: {what}", key.0, key.1)));
}

/// The members in which two findings differ.
fn difference(before: Option<&Row>, after: Option<&Row>) -> String {
    let members = |row: Option<&Row>| -> BTreeMap<String, Value> {
        row.and_then(|row| serde_json::from_str(&row.text).ok()).unwrap_or_default()
    };
    let (before, after) = (members(before), members(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut out = String::new();
    for name in names.into_iter().filter(|name| before.get(*name) != after.get(*name)) {
        let show = |value: Option<&Value>| value.map_or("-".to_owned(), Value::to_string);
        let _ = write!(out, "\n        {name}: {} / {}", show(before.get(name)), show(after.get(name)));
    }
    out
}

fn specs() -> &'static BTreeMap<&'static str, &'static KindSpec> {
    static SPECS: OnceLock<BTreeMap<&'static str, &'static KindSpec>> = OnceLock::new();
    SPECS.get_or_init(|| SETTINGS.iter().flat_map(|setting| (setting.specs)()).map(|spec| (spec.id, spec)).collect())
}

/// Accounts that resources are shared with, by native id; for images, by repository.
fn shared() -> &'static BTreeMap<String, Vec<String>> {
    static SHARED: OnceLock<BTreeMap<String, Vec<String>>> = OnceLock::new();
    SHARED.get_or_init(|| {
        let resources = SETTINGS.iter().flat_map(|setting| setting.organisation().resources);
        resources
            .filter_map(|resource| {
                let shared = resource.keys.get("shared").or_else(|| resource.keys.get("policy_accounts"))?.clone();
                Some((resource.id, serde_json::from_value(shared).ok()?))
            })
            .collect()
    })
}

/// A row's resource and rule.
struct Of<'a> {
    kind: &'static KindSpec,
    account: &'a str,
    region: &'a str,
    shared: &'static [String],
    /// None for a condition.
    detector: Option<&'static Spec>,
    policy: &'a str,
}

impl<'a> Of<'a> {
    fn new(row: &'a Row) -> Self {
        let it = &row.finding.resource;
        Self {
            kind: specs()[it.kind.as_str()],
            account: &it.account,
            region: &it.region,
            shared: shared().get(it.native_id.split('@').next().unwrap_or_default()).map_or(&[], Vec::as_slice),
            detector: detect::detector(&row.finding.detector).map(|detector| detector.spec),
            policy: &row.finding.policy,
        }
    }

    /// Whether its own kind was not listed where it lives.
    fn own_kind(&self, blinded: &BTreeSet<Place>) -> bool {
        blinded.iter().any(|(kind, account, region)| {
            kind == self.kind.id && account == self.account && (region == self.region || region == Scope::GLOBAL)
        })
    }

    /// The kinds whose sight its rule depends on, with how far away they may be.
    fn looks_at(&self) -> Vec<(&'static KindSpec, Reach)> {
        // A source is looked for where the copy is, but a cluster and its machines in the whole account.
        let far = self.region == Scope::GLOBAL || self.detector.is_some_and(|detector| detector.id == "dead-cluster");
        let home = if far { Reach::Account } else { Reach::Region };
        let mut found = Vec::new();
        for spec in specs().values().filter(|spec| spec.cloud == self.kind.cloud) {
            match self.detector {
                Some(detector) => {
                    let refers = spec.refers.iter().filter(|(relation, _)| detector.relations.contains(relation));
                    found.extend(refers.map(|(_, reach)| (*spec, *reach)));
                    if detector.sources.contains(&spec.class) {
                        found.push((*spec, home));
                    }
                }
                // The one condition that looks for anything: `source_exists`.
                None if self.policy == "recovery-points-without-source" => {
                    if matches!(spec.class, Class::Disk | Class::Database) {
                        found.push((*spec, home));
                    }
                }
                None => {}
            }
        }
        found
    }

    fn within(&self, spec: &KindSpec, reach: Reach, account: &str, region: &str) -> bool {
        let ours = account == self.account || self.shared.iter().any(|partner| partner == account);
        match (reach, spec.places) {
            (Reach::Org, _) => true,
            (Reach::Account, _) | (_, Places::Account) => ours,
            (Reach::Region, Places::Regions) => ours && (region == self.region || region == Scope::GLOBAL),
        }
    }

    /// A kind it looks at that was not seen within reach.
    fn blind_within(&self, blinded: &BTreeSet<Place>) -> Vec<&'static str> {
        let hidden_from = |(spec, reach): (&'static KindSpec, Reach)| {
            let hidden = |id: &str| {
                blinded.iter().any(|(kind, account, region)| kind == id && self.within(spec, reach, account, region))
            };
            (hidden(spec.id) || spec.needs.iter().any(|id| hidden(id))).then_some(spec.id)
        };
        self.looks_at().into_iter().filter_map(hidden_from).collect()
    }

    /// Whether the loss may change what is said of it at all.
    fn touched(&self, blinded: &BTreeSet<Place>, loss: &Loss<'_>) -> bool {
        !self.blind_within(blinded).is_empty() || self.asks(loss) || self.asks_of_others(loss)
    }

    /// Whether a question about itself, or a part of its own listing, may have been lost.
    fn asks(&self, loss: &Loss<'_>) -> bool {
        if !loss.hits(self.account, self.region) && self.kind.places == Places::Regions {
            return false;
        }
        if !loss.hits(self.account, Scope::GLOBAL) {
            return false;
        }
        let soft = SOFT.iter().any(|(kind, permission)| *kind == self.kind.id && loss.takes(&[permission]));
        soft || loss.takes(self.kind.asks) && self.may_ask(loss)
    }

    /// Whether its rule asks what the permission answers. Tags tell every row its owner.
    fn may_ask(&self, loss: &Loss<'_>) -> bool {
        let (Some(permission), Some(detector)) = (loss.permission, self.detector) else { return true };
        if is_of_tags(permission) {
            return true;
        }
        let measures = |question: &Question| matches!(question, Question::Usage { .. });
        if permission == "cloudwatch:GetMetricData" {
            return detector.questions.iter().any(measures);
        }
        !detector.questions.iter().all(|question| matches!(question, Question::Tags))
    }

    /// Whether a question about what it looks at may have been lost (the health of its target groups).
    fn asks_of_others(&self, loss: &Loss<'_>) -> bool {
        let asks = self.detector.is_some_and(|detector| !detector.questions.is_empty());
        asks && self.looks_at().into_iter().any(|(spec, reach)| {
            loss.takes(spec.asks)
                && self.may_ask(loss)
                && match (loss.account, loss.region) {
                    (None, None) => true,
                    (account, region) => {
                        self.within(spec, reach, account.unwrap_or(self.account), region.unwrap_or(self.region))
                    }
                }
        })
    }

    /// A finding that still stands has lost evidence at most, and names nothing that was not seen.
    fn evidence(&self, before: &Row, after: &Row, blinded: &BTreeSet<Place>, loss: &Loss<'_>) -> Vec<String> {
        let mut wrong = Vec::new();
        let known: &[EvidenceOf] = &before.finding.evidence;
        for evidence in &after.finding.evidence {
            if !known.contains(evidence) {
                wrong.push(format!("found with new evidence: {} = {:?}", evidence.fact, evidence.value));
            }
            if loss.permission.is_some_and(|own| own == evidence.source) && loss.hits(self.account, self.region) {
                wrong.push(format!("found by {} of {}, which was denied", evidence.fact, evidence.source));
            }
            if evidence.fact == "searched" {
                let searched = |kind: &&&str| evidence.value.contains(&format!("{kind} ("));
                for kind in self.blind_within(blinded).iter().filter(searched) {
                    wrong.push(format!("found by a search of {kind}, which was not seen"));
                }
            }
        }
        wrong
    }
}

/// Whether a permission is for reading tags and nothing else.
pub(crate) fn is_of_tags(permission: &str) -> bool {
    let action = permission.split_once(':').map_or(permission, |(_, action)| action);
    action.contains("Tag") && !action.contains("Target")
}
