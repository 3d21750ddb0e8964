//! Why a cost moved: more of it, or dearer, and dearer by which price.
//!
//! For each resource and SKU price, with the quantity q and the prices l (list), c (contracted) and e
//! (effective) a unit before (₀) and after (₁), the change splits by Bennet (1920; Diewert 2005,
//! doi 10.1111/j.1536-7150.2005.00365.x), exactly and without a joint term:
//!
//! - quantity ½(e₀+e₁)(q₁−q₀)
//! - list ½(q₀+q₁)Δl, negotiated ½(q₀+q₁)Δ(c−l), commitment ½(q₀+q₁)Δ(e−c)
//! - currency, where prices are set in another currency than is billed: with the rates r and the costs p in
//!   that currency, ½(p₀+p₁)(r₁−r₀), and every other part is split in that currency and turned into the
//!   billed one at ½(r₀+r₁).
//! - Where a price of the ladder is unknown (absent, or zero beside a cost), or a quantity is not above zero
//!   beside a cost, no price can be told from another: that is "price, unattributed".
//!
//! A resource that only one side has is new or removed. One that had other SKU prices before than after is
//! resized: those leaving and those entering are one line.
//!
//! Parts are whole units of 10⁻¹² of the currency, rounded half away from zero. The last part that moved takes
//! what rounding leaves (a few units), so that the parts of a line are its delta to the last digit.

use serde::Serialize;
use std::sync::Arc;
use sweeper_core::money::Amount;

/// What a charge is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub account: Arc<str>,
    pub service: Arc<str>,
    /// `ResourceId`, as [`resource_id`] spells it; `None` for a charge of no resource.
    pub resource: Option<Arc<str>>,
    /// `SkuPriceId`, or what stands for it.
    pub sku: Arc<str>,
}

/// One spelling of a resource id: those of Azure mean the same in any case, and its exports change it.
pub fn resource_id(id: &str) -> String {
    let arm = ["/subscriptions/", "/providers/"];
    let folded = id.to_ascii_lowercase();
    if arm.iter().any(|start| folded.starts_with(start)) { folded } else { id.to_owned() }
}

/// The charges of a key in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    pub effective: Amount,
    /// `ContractedCost`; `None` when unknown. Zero beside an effective cost counts as unknown.
    pub contracted: Option<Amount>,
    /// `ListCost`; as `contracted`.
    pub list: Option<Amount>,
    /// `PricingQuantity`, in its unit.
    pub quantity: Amount,
    /// The effective cost in the currency that the price is set in, where that is another.
    pub priced: Option<Amount>,
}

impl Measures {
    /// A share of them, or a multiple: a baseline of 28 days becomes one of 7 with `scaled(7, 28)`. Nothing
    /// when `denominator` is 0.
    #[must_use]
    pub fn scaled(&self, numerator: i128, denominator: i128) -> Self {
        let by = |amount: Amount| Amount::from_pico(portion(amount.pico(), numerator, denominator));
        Self {
            effective: by(self.effective),
            contracted: self.contracted.map(by),
            list: self.list.map(by),
            quantity: by(self.quantity),
            priced: self.priced.map(by),
        }
    }

    fn nothing(&self) -> bool {
        self.effective == Amount::ZERO && self.quantity == Amount::ZERO
    }

    /// Its contracted and list cost, when both are known.
    fn ladder(&self) -> Option<(i128, i128)> {
        let known = |amount: Option<Amount>| {
            amount.filter(|amount| *amount != Amount::ZERO || self.effective == Amount::ZERO).map(Amount::pico)
        };
        Some((known(self.contracted)?, known(self.list)?))
    }
}

impl std::ops::AddAssign for Measures {
    /// What one of the two does not know, the sum does not know.
    fn add_assign(&mut self, other: Self) {
        let both = |one: Option<Amount>, other: Option<Amount>| Some(one? + other?);
        self.contracted = both(self.contracted, other.contracted);
        self.list = both(self.list, other.list);
        self.priced = both(self.priced, other.priced);
        self.effective += other.effective;
        self.quantity += other.quantity;
    }
}

/// A key with its charges in both windows, the earlier one scaled to the days of the later one. A key may
/// come more than once: its measures are added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    pub before: Option<Measures>,
    pub after: Option<Measures>,
}

impl Entry {
    /// The same key, but starting from what was expected of it rather than from its mean. For the few keys that
    /// moved most, whose days are known: a mean has the odd days of the baseline in it, an expectation has not. A key
    /// that cost nothing before stays as it is.
    #[must_use]
    pub fn from_expected(self, expected: Amount) -> Self {
        let before = self.before.map(|before| match before.effective {
            Amount::ZERO => before,
            mean => Measures { effective: expected, ..before.scaled(expected.pico(), mean.pico()) },
        });
        Self { before, ..self }
    }
}

/// What a change is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    Quantity,
    /// The public price moved.
    List,
    /// The discount on it that is agreed moved.
    Negotiated,
    /// The share that commitments cover, or what they take off, moved.
    Commitment,
    /// The exchange rate moved.
    Currency,
    /// Prices that cannot be told apart moved.
    PriceUnattributed,
    New,
    Removed,
    Resized,
}

impl Part {
    pub const ALL: [Self; 9] = [
        Self::Quantity,
        Self::List,
        Self::Negotiated,
        Self::Commitment,
        Self::Currency,
        Self::PriceUnattributed,
        Self::New,
        Self::Removed,
        Self::Resized,
    ];
}

/// An amount for each part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts([Amount; 9]);

impl Parts {
    pub fn of(&self, part: Part) -> Amount {
        self.0[part as usize]
    }

    pub fn sum(&self) -> Amount {
        self.0.iter().copied().sum()
    }

    /// The parts that are not zero, in the order of [`Part::ALL`].
    pub fn each(&self) -> impl Iterator<Item = (Part, Amount)> + use<> {
        Part::ALL.into_iter().zip(self.0).filter(|(_, amount)| *amount != Amount::ZERO)
    }

    pub fn add(&mut self, part: Part, amount: Amount) {
        self.0[part as usize] += amount;
    }

    fn only(part: Part, amount: i128) -> Self {
        let mut parts = Self::default();
        parts.add(part, Amount::from_pico(amount));
        parts
    }
}

impl std::ops::AddAssign for Parts {
    fn add_assign(&mut self, other: Self) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own += other;
        }
    }
}

/// One change: of a resource under one SKU price, or of all those under which it was resized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub account: Arc<str>,
    pub service: Arc<str>,
    pub resource: Option<Arc<str>>,
    /// SKU prices before and after: the same one, unless the line is new, removed or resized.
    pub skus_before: Vec<Arc<str>>,
    pub skus_after: Vec<Arc<str>>,
    /// Effective cost, scaled.
    pub before: Amount,
    pub after: Amount,
    pub parts: Parts,
}

impl Line {
    /// `after` − `before`, which the parts add up to.
    pub fn delta(&self) -> Amount {
        self.after - self.before
    }

    /// The SKU price that is charged now, or was last.
    pub fn sku(&self) -> &Arc<str> {
        static NONE: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(|| Arc::from(""));
        self.skus_after.first().or(self.skus_before.first()).unwrap_or(&NONE)
    }
}

type Sides = (Option<Measures>, Option<Measures>);

/// Splits a bill's change. The order of entries changes nothing. Lines come by account, service, resource and SKU
/// price; keys of which nothing moved make none.
pub fn split(entries: impl IntoIterator<Item = Entry>) -> Vec<Line> {
    let add = |own: &mut Option<Measures>, other: Option<Measures>| match (own.as_mut(), other) {
        (Some(own), Some(other)) => *own += other,
        (None, Some(other)) => *own = Some(other),
        (_, None) => {}
    };
    let entries = entries.into_iter().filter(|entry| entry.before.is_some() || entry.after.is_some());
    let mut keys: Vec<(Key, Sides)> = entries.map(|entry| (entry.key, (entry.before, entry.after))).collect();
    keys.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    keys.dedup_by(|(key, sides), (kept, of_kept)| {
        let same = key == kept;
        if same {
            add(&mut of_kept.0, sides.0);
            add(&mut of_kept.1, sides.1);
        }
        same
    });
    let mut lines = Vec::new();
    let same = |one: &Key, other: &Key| {
        one.account == other.account
            && one.service == other.service
            && one.resource == other.resource
            // Charges of no resource have only their SKU price in common.
            && (one.resource.is_some() || one.sku == other.sku)
    };
    for of_resource in keys.chunk_by(|(one, _), (other, _)| same(one, other)) {
        resource(of_resource, &mut lines);
    }
    lines
}

/// The lines of one resource, under all its SKU prices.
fn resource(keys: &[(Key, Sides)], lines: &mut Vec<Line>) {
    let before = keys.iter().any(|(_, sides)| sides.0.is_some());
    let after = keys.iter().any(|(_, sides)| sides.1.is_some());
    let leaving = keys.iter().any(|(_, sides)| sides.1.is_none());
    let entering = keys.iter().any(|(_, sides)| sides.0.is_none());
    let resized = before && after && leaving && entering;
    let mut pair: Option<Line> = None;
    for (key, sides) in keys {
        let (old, new) = (sides.0.unwrap_or_default(), sides.1.unwrap_or_default());
        let delta = (new.effective - old.effective).pico();
        let parts = match *sides {
            (Some(old), Some(new)) => bennet(&old, &new),
            _ if resized => Parts::only(Part::Resized, delta),
            (None, _) if !before => Parts::only(Part::New, delta),
            (_, None) if !after => Parts::only(Part::Removed, delta),
            // One more SKU price of a resource that keeps the others, or one less: it uses more of something, or less.
            _ => bennet(&old, &new),
        };
        let sku = |side: &Option<Measures>| side.iter().map(|_| Arc::clone(&key.sku)).collect();
        let line = Line {
            account: Arc::clone(&key.account),
            service: Arc::clone(&key.service),
            resource: key.resource.clone(),
            skus_before: sku(&sides.0),
            skus_after: sku(&sides.1),
            before: old.effective,
            after: new.effective,
            parts,
        };
        match &mut pair {
            _ if !resized || (sides.0.is_some() && sides.1.is_some()) => push(lines, line),
            Some(pair) => {
                pair.skus_before.extend(line.skus_before);
                pair.skus_after.extend(line.skus_after);
                pair.before += line.before;
                pair.after += line.after;
                pair.parts += line.parts;
            }
            None => pair = Some(line),
        }
    }
    lines.extend(pair);
}

fn push(lines: &mut Vec<Line>, line: Line) {
    if line.parts != Parts::default() {
        lines.push(line);
    }
}

/// The parts of one key's change. They add up to it exactly.
fn bennet(old: &Measures, new: &Measures) -> Parts {
    let delta = new.effective.pico().saturating_sub(old.effective.pico());
    let (q0, q1) = (old.quantity.pico(), new.quantity.pico());
    // Nothing at all on one side: a price that is not known there has not moved.
    if old.nothing() || new.nothing() {
        return Parts::only(if q0.min(q1) < 0 || q0 == q1 { Part::PriceUnattributed } else { Part::Quantity }, delta);
    }
    let mut parts = Parts::default();
    // In the currency of the price, if that is another: its costs, and what turns them into the billed currency.
    let finer = |amount: Amount| amount.pico().saturating_mul(FINER);
    let foreign = match (old.priced.map(finer), new.priced.map(finer)) {
        (Some(p0), Some(p1)) if rate_known(old, p0) && rate_known(new, p1) => Some((p0, p1)),
        _ => None,
    };
    let (e0, e1) = foreign.unwrap_or((old.effective.pico(), new.effective.pico()));
    let moved = e1.saturating_sub(e0);
    let mut rest = moved;
    let mut local = Vec::with_capacity(5);
    let priced = q0 > 0 && q1 > 0;
    if priced {
        let quantity = half(moved.saturating_sub(price_twice(e0, e1, q0, q1)).saturating_add(moved));
        local.push((Part::Quantity, quantity));
        rest = rest.saturating_sub(quantity);
    }
    match (old.ladder(), new.ladder()) {
        (Some((c0, l0)), Some((c1, l1))) if priced => {
            let turned = |amount: i128, own: i128, of: &Measures| match foreign {
                Some(_) => portion(amount, own, of.effective.pico()),
                None => amount,
            };
            let (c0, l0) = (turned(c0, e0, old), turned(l0, e0, old));
            let (c1, l1) = (turned(c1, e1, new), turned(l1, e1, new));
            let list = half(price_twice(l0, l1, q0, q1));
            let negotiated = half(price_twice(c0.saturating_sub(l0), c1.saturating_sub(l1), q0, q1));
            local.push((Part::List, list));
            local.push((Part::Negotiated, negotiated));
            local.push((Part::Commitment, settled(rest.saturating_sub(list).saturating_sub(negotiated))));
        }
        _ => local.push((Part::PriceUnattributed, rest)),
    }
    let Some((p0, p1)) = foreign else {
        for (part, amount) in &local {
            parts.add(*part, Amount::from_pico(*amount));
        }
        // What rounding left of a part that did not move belongs to one that did.
        let left = delta.saturating_sub(parts.sum().pico());
        if left != 0 {
            let largest = local.iter().max_by_key(|(_, amount)| amount.unsigned_abs());
            parts.add(largest.map_or(Part::PriceUnattributed, |(part, _)| *part), Amount::from_pico(left));
        }
        return parts;
    };
    for (part, amount) in local {
        let twice = portion(amount, old.effective.pico(), p0).saturating_add(portion(amount, new.effective.pico(), p1));
        parts.add(part, Amount::from_pico(half(twice)));
    }
    let currency = settled(delta.saturating_sub(parts.sum().pico()));
    parts.add(Part::Currency, Amount::from_pico(currency));
    let left = delta.saturating_sub(parts.sum().pico());
    if left != 0 {
        let largest = parts.each().max_by_key(|(_, amount)| amount.pico().unsigned_abs());
        parts.add(largest.map_or(Part::Currency, |(part, _)| part), Amount::from_pico(left));
    }
    parts
}

/// Whether a cost in another currency says at which rate it was turned into this one.
fn rate_known(measures: &Measures, priced: i128) -> bool {
    priced != 0 && measures.effective != Amount::ZERO
}

/// Twice the price part: (q₀+q₁)(v₁/q₁ − v₀/q₀) of two costs at two quantities above zero.
fn price_twice(v0: i128, v1: i128, q0: i128, q1: i128) -> i128 {
    v1.saturating_sub(v0).saturating_add(portion(v1, q0, q1)).saturating_sub(portion(v0, q1, q0))
}

/// Costs in another currency are split in units so much smaller, since those of a strong currency are many of a weak one.
const FINER: i128 = 1_000_000;
/// The most that rounding leaves of a part that did not move at all, units.
const DUST: i128 = 4;

/// Zero where only rounding is left.
fn settled(amount: i128) -> i128 {
    if amount.abs() <= DUST { 0 } else { amount }
}

/// Half, rounded half away from zero.
fn half(twice: i128) -> i128 {
    twice / 2 + twice % 2
}

/// `amount · numerator / denominator`, rounded half away from zero, with 256 bits between; saturates. Zero when
/// `denominator` is 0.
pub(crate) fn portion(amount: i128, numerator: i128, denominator: i128) -> i128 {
    if denominator == 0 {
        return 0;
    }
    let negative = (amount < 0) ^ (numerator < 0) ^ (denominator < 0);
    let (a, b, by) = (amount.unsigned_abs(), numerator.unsigned_abs(), denominator.unsigned_abs());
    let size = match a.checked_mul(b) {
        Some(product) => product / by + u128::from(product % by >= by - by / 2),
        None => wide(a, b, by),
    };
    let size = i128::try_from(size).unwrap_or(i128::MAX);
    if negative { -size } else { size }
}

/// `a · b / by`, rounded half up, by long division; saturates.
fn wide(a: u128, b: u128, by: u128) -> u128 {
    let (high, low) = product(a, b);
    if high >= by {
        return u128::MAX;
    }
    let (mut rest, mut quotient) = (high, 0_u128);
    for bit in (0..128).rev() {
        let carry = rest >> 127 == 1;
        rest = (rest << 1) | ((low >> bit) & 1);
        quotient <<= 1;
        if carry || rest >= by {
            rest = rest.wrapping_sub(by);
            quotient |= 1;
        }
    }
    quotient.saturating_add(u128::from(rest >= by - by / 2))
}

/// All 256 bits of a product: the high half and the low half.
fn product(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let (low, mid, other, high) = (a0 * b0, a0 * b1, a1 * b0, a1 * b1);
    let middle = (low >> 64) + (mid & LOW) + (other & LOW);
    (high + (mid >> 64) + (other >> 64) + (middle >> 64), (middle << 64) | (low & LOW))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    /// A quantity at three unit prices.
    fn at(quantity: &str, list: &str, contracted: &str, effective: &str) -> Measures {
        let quantity = usd(quantity);
        let cost =
            |price: &str| Amount::from_pico(portion(quantity.pico(), usd(price).pico(), Amount::whole(1).pico()));
        Measures {
            effective: cost(effective),
            contracted: Some(cost(contracted)),
            list: Some(cost(list)),
            quantity,
            priced: None,
        }
    }

    fn key(resource: &str, sku: &str) -> Key {
        let resource = (!resource.is_empty()).then(|| Arc::from(resource_id(resource)));
        Key { account: "111".into(), service: "Compute".into(), resource, sku: sku.into() }
    }

    fn entry(resource: &str, sku: &str, before: Option<Measures>, after: Option<Measures>) -> Entry {
        Entry { key: key(resource, sku), before, after }
    }

    /// The parts of a resource that stays under its SKU price.
    fn parts(before: Measures, after: Measures) -> Vec<(Part, String)> {
        let lines = split([entry("i-1", "sku", Some(before), Some(after))]);
        for line in &lines {
            assert_eq!(line.parts.sum(), line.delta());
        }
        lines.iter().flat_map(|line| line.parts.each()).map(|(part, amount)| (part, amount.to_string())).collect()
    }

    fn said(parts: &[(Part, &str)]) -> Vec<(Part, String)> {
        parts.iter().map(|(part, amount)| (*part, (*amount).to_owned())).collect()
    }

    #[test]
    fn a_price_in_another_currency_is_told_from_the_rate() {
        // 100 hours at 0.10 dollars, billed in euros at 0.90 and then 0.95; then also at 0.12 dollars.
        let billed = |quantity: &str, dollars: &str, euros: &str, list: &str| Measures {
            effective: usd(euros),
            contracted: Some(usd(list)),
            list: Some(usd(list)),
            quantity: usd(quantity),
            priced: Some(usd(dollars)),
        };
        let before = billed("100", "10", "9", "9");
        assert_eq!(parts(before, billed("100", "10", "9.5", "9.5")), said(&[(Part::Currency, "0.5")]));
        // Dollars rise by 2 at the mean rate 0.925; the rate by 0.05 on the mean 11 dollars.
        let dearer = billed("100", "12", "11.4", "11.4");
        assert_eq!(parts(before, dearer), said(&[(Part::List, "1.85"), (Part::Currency, "0.55")]));
        // Half as many hours again: 5 dollars at 0.925 and 0.05 on 12.5.
        let more = billed("150", "15", "14.25", "14.25");
        assert_eq!(parts(before, more), said(&[(Part::Quantity, "4.625"), (Part::Currency, "0.625")]));
        // Without a cost in dollars on one side there is no rate.
        for blind in [Some(Amount::ZERO), None] {
            let after = Measures { priced: blind, ..billed("100", "10", "9.5", "9.5") };
            assert_eq!(parts(before, after), said(&[(Part::List, "0.5")]));
            assert_eq!(parts(after, before), said(&[(Part::List, "-0.5")]));
        }
        // An unknown list price is no reason to lose the rate.
        let unknown = |measures: Measures| Measures { list: None, ..measures };
        assert_eq!(
            parts(unknown(before), unknown(dearer)),
            said(&[(Part::Currency, "0.55"), (Part::PriceUnattributed, "1.85")])
        );
    }

    #[test]
    fn an_unknown_price_invents_no_discount() {
        let (before, after) = (at("100", "0.10", "0.10", "0.10"), at("110", "0.12", "0.12", "0.12"));
        let whole = [(Part::Quantity, "1.1"), (Part::PriceUnattributed, "2.1")];
        for blind in [
            Measures { list: Some(Amount::ZERO), ..after },
            Measures { contracted: Some(Amount::ZERO), ..after },
            Measures { list: None, ..after },
            Measures { contracted: None, list: None, ..after },
        ] {
            assert_eq!(parts(before, blind), said(&whole));
        }
        // A list price of zero beside no cost is free of charge.
        let free = Measures { effective: Amount::ZERO, ..at("100", "0.10", "0.10", "0") };
        assert_eq!(parts(free, at("100", "0.10", "0.10", "0.10")), said(&[(Part::Commitment, "10")]));
    }

    #[test]
    fn a_cost_of_no_quantity_is_no_price() {
        let fee = |cost: &str| Measures { effective: usd(cost), ..at("0", "1", "1", "1") };
        assert_eq!(parts(fee("10"), fee("25")), said(&[(Part::PriceUnattributed, "15")]));
        assert_eq!(parts(at("100", "0.1", "0.1", "0.1"), fee("25")), said(&[(Part::PriceUnattributed, "15")]));
        let back = Measures { effective: usd("-4"), ..at("-40", "0.1", "0.1", "0.1") };
        assert_eq!(parts(at("100", "0.1", "0.1", "0.1"), back), said(&[(Part::PriceUnattributed, "-14")]));
        let idle = at("0", "0.1", "0.1", "0.1");
        assert_eq!(parts(idle, fee("25")), said(&[(Part::PriceUnattributed, "25")]));
        assert_eq!(parts(idle, back), said(&[(Part::PriceUnattributed, "-4")]));
    }

    #[test]
    fn a_key_that_was_idle_uses_more() {
        let idle = at("0", "0.1", "0.1", "0.1");
        assert_eq!(parts(idle, at("50", "0.1", "0.1", "0.1")), said(&[(Part::Quantity, "5")]));
        assert_eq!(parts(at("50", "0.1", "0.1", "0.1"), idle), said(&[(Part::Quantity, "-5")]));
        assert_eq!(parts(idle, idle), said(&[]));
    }

    #[test]
    fn new_removed_and_resized() {
        let large = Some(at("168", "0.192", "0.192", "0.192"));
        let small = Some(at("168", "0.096", "0.096", "0.096"));
        let lines = split([
            entry("i-new", "m5.large", None, small),
            entry("i-gone", "m5.large", small, None),
            entry("i-grown", "m5.large", small, None),
            entry("i-grown", "m5.xlarge", None, large),
            entry("i-grown", "traffic", Some(at("10", "0.09", "0.09", "0.09")), Some(at("20", "0.09", "0.09", "0.09"))),
            entry("i-more", "m5.large", small, small),
            entry("i-more", "traffic", None, Some(at("10", "0.09", "0.09", "0.09"))),
            entry("", "support", None, small),
            entry("", "queries", small, None),
        ]);
        let told = |line: &Line| {
            assert_eq!(line.parts.sum(), line.delta());
            let skus = |skus: &[Arc<str>]| skus.iter().map(|sku| &**sku).collect::<Vec<_>>().join("+");
            let (before, after) = (skus(&line.skus_before), skus(&line.skus_after));
            let parts: Vec<String> = line.parts.each().map(|(part, amount)| format!("{part:?} {amount}")).collect();
            format!("{}: {before} > {after}: {}", line.resource.as_deref().unwrap_or_default(), parts.join(", "))
        };
        assert_eq!(
            lines.iter().map(told).collect::<Vec<_>>(),
            [
                ": queries > : Removed -16.128",
                ":  > support: New 16.128",
                "i-gone: m5.large > : Removed -16.128",
                "i-grown: traffic > traffic: Quantity 0.9",
                "i-grown: m5.large > m5.xlarge: Resized 16.128",
                "i-more:  > traffic: Quantity 0.9",
                "i-new:  > m5.large: New 16.128",
            ]
        );
    }

    #[test]
    fn ids_of_azure_mean_the_same_in_any_case() {
        let vm = "/subscriptions/AB/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/Web";
        let same = Some(at("24", "0.1", "0.1", "0.1"));
        let lines = split([entry(vm, "sku", same, None), entry(&vm.to_lowercase(), "sku", None, same)]);
        assert_eq!(lines, []);
        // Those of others do not.
        let (one, other) = ("arn:aws:lambda:eu-west-1:1:function:Foo", "arn:aws:lambda:eu-west-1:1:function:foo");
        assert_eq!(split([entry(one, "sku", same, None), entry(other, "sku", None, same)]).len(), 2);
    }

    #[test]
    fn a_key_may_start_from_what_was_expected_of_it() {
        // One odd day made the mean 14, where 10 was expected.
        let entry = entry("i-1", "sku", Some(at("140", "0.1", "0.1", "0.1")), Some(at("120", "0.1", "0.1", "0.1")));
        let lines = split([entry.clone().from_expected(usd("10"))]);
        assert_eq!(lines[0].parts.each().collect::<Vec<_>>(), [(Part::Quantity, usd("2"))]);
        // Nothing was expected: all of it is more, and none of it new.
        let lines = split([entry.from_expected(Amount::ZERO)]);
        assert_eq!(lines[0].parts.each().collect::<Vec<_>>(), [(Part::Quantity, usd("12"))]);
    }

    #[test]
    fn products_of_256_bits() {
        assert_eq!(product(u128::MAX, u128::MAX), (u128::MAX - 1, 1));
        let big = 10_i128.pow(30);
        assert_eq!(portion(big, big, big), big);
        assert_eq!(portion(-big, big * 3, big * 2), -big / 2 * 3);
        assert_eq!(portion(big, 2, 3 * big), 1, "two thirds");
        assert_eq!(portion(big + 1, 10_i128.pow(12), 2 * 10_i128.pow(12)), big / 2 + 1);
        assert_eq!(portion(i128::MAX, i128::MAX, 2), i128::MAX);
        assert_eq!((half(5), half(-5), half(4), half(-4)), (3, -3, 2, -2));
        assert_eq!((portion(7, 1, 0), portion(-5, 1, 2), portion(5, 1, 2), portion(4, 1, 3)), (0, -3, 3, 1));
    }

    fn measures() -> impl Strategy<Value = Option<Measures>> {
        let cost = || 0_i64..90_000_000;
        let known = || prop::option::weighted(0.9, 0_i64..90_000_000);
        let amount = |value: i64| Amount::from_pico(i128::from(value) * 1_234_567);
        let all = (cost(), known(), known(), -5_i64..900_000, prop::option::weighted(0.2, 1_i64..90_000_000));
        prop::option::weighted(
            0.85,
            all.prop_map(move |(effective, contracted, list, quantity, priced)| Measures {
                effective: amount(effective),
                contracted: contracted.map(amount),
                list: list.map(amount),
                quantity: amount(quantity.max(0)),
                priced: priced.map(amount),
            }),
        )
    }

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let one = (0_u8..6, 0_u8..4, measures(), measures());
        prop::collection::vec(one, 0..60).prop_map(|all| {
            let named = |resource: u8| if resource == 0 { String::new() } else { format!("i-{resource}") };
            all.iter()
                .map(|(resource, sku, before, after)| entry(&named(*resource), &format!("s{sku}"), *before, *after))
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

        #[test]
        fn every_line_adds_up_and_so_do_all(entries in entries()) {
            let moved: Amount = entries
                .iter()
                .map(|entry| entry.after.unwrap_or_default().effective - entry.before.unwrap_or_default().effective)
                .sum();
            let lines = split(entries);
            for line in &lines {
                prop_assert_eq!(line.parts.sum(), line.delta());
            }
            prop_assert_eq!(lines.iter().map(Line::delta).sum::<Amount>(), moved);
        }

        #[test]
        fn the_order_of_entries_changes_nothing(
            both in entries().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            prop_assert_eq!(split(both.0), split(both.1));
        }

        /// Without a joint term, what is gained one way is lost the other way.
        #[test]
        fn the_other_way_round_is_the_opposite(before in measures(), after in measures()) {
            let sums = |before, after| {
                let lines = split([entry("i-1", "sku", before, after)]);
                lines.first().map(|line| line.parts).unwrap_or_default()
            };
            let (there, back) = (sums(before, after), sums(after, before));
            for part in [Part::Quantity, Part::List, Part::Negotiated, Part::Commitment, Part::Currency] {
                prop_assert_eq!(there.of(part), Amount::ZERO - back.of(part), "{:?}", part);
            }
            prop_assert_eq!(there.of(Part::New), Amount::ZERO - back.of(Part::Removed));
        }

        /// Long division agrees with short, where that can do it.
        #[test]
        fn long_division(a in 0..=u64::MAX / 2, b in any::<u64>(), by in prop_oneof![1_u64..20, 1..=u64::MAX]) {
            for a in [a, a % 20] {
                let (a, b, by) = (u128::from(a), u128::from(b), u128::from(by));
                let short = a * b / by + u128::from(a * b % by * 2 >= by);
                prop_assert_eq!(wide(a, b, by), short);
                prop_assert_eq!(portion(a as i128, b as i128, by as i128) as u128, short);
            }
        }

        /// Prices that are the same at every step of the ladder have no discount, and a rate that stays no part.
        #[test]
        fn what_did_not_move_has_no_part(
            costs in (1_i64..i64::MAX, 1_i64..i64::MAX), quantities in (1_i64..i64::MAX, 1_i64..i64::MAX), rate in 0..3_u8,
        ) {
            let side = |cost: i64, quantity: i64| {
                let effective = Amount::from_pico(i128::from(cost) * 2);
                Measures {
                    effective,
                    contracted: Some(effective),
                    list: Some(effective),
                    quantity: Amount::from_pico(i128::from(quantity)),
                    priced: [None, Some(i128::from(cost)), Some(i128::from(cost) * 6)][usize::from(rate)].map(Amount::from_pico),
                }
            };
            let parts = bennet(&side(costs.0, quantities.0), &side(costs.1, quantities.1));
            prop_assert_eq!(parts.sum().pico(), 2 * (i128::from(costs.1) - i128::from(costs.0)));
            for part in [Part::Negotiated, Part::Commitment, Part::Currency] {
                prop_assert_eq!(parts.of(part), Amount::ZERO, "{:?}", part);
            }
        }

        /// Amounts ten times as large have parts ten times as large, but for rounding: 10⁻⁹ at most.
        #[test]
        fn parts_scale(before in measures(), after in measures()) {
            let ten = |side: Option<Measures>| side.map(|it| {
                let by = |amount: Amount| amount.times(10);
                Measures {
                    effective: by(it.effective),
                    contracted: it.contracted.map(by),
                    list: it.list.map(by),
                    priced: it.priced.map(by),
                    quantity: it.quantity,
                }
            });
            let sums = |before, after| {
                let lines = split([entry("i-1", "sku", before, after)]);
                lines.first().map(|line| line.parts).unwrap_or_default()
            };
            let (one, tenfold) = (sums(before, after), sums(ten(before), ten(after)));
            for part in Part::ALL {
                let off = (one.of(part).times(10) - tenfold.of(part)).pico().abs();
                prop_assert!(off <= 1000, "{:?}: {} and {}", part, one.of(part), tenfold.of(part));
            }
        }
    }
}
