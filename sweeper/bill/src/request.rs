//! What a scan of bills is asked for: roll-ups by any columns, over any days.

use crate::{focus::Lane, rates::Rates};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// More days than this in one roll-up is a mistake: ten years.
const MOST_WINDOWS: usize = 3660;

/// A column of names that charges are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    Resource,
    ResourceName,
    ResourceType,
    SkuPrice,
    Sku,
    /// What is metered, in words: `USE1-EBS:VolumeUsage.gp3`.
    SkuMeter,
    Service,
    Account,
    AccountName,
    BillingAccount,
    Region,
    Provider,
    Commitment,
    PricingUnit,
    Invoice,
    /// Not a column: what sort of charge a row is.
    Lane,
}

impl Key {
    pub const ALL: [Self; 16] = [
        Self::Resource,
        Self::ResourceName,
        Self::ResourceType,
        Self::SkuPrice,
        Self::Sku,
        Self::SkuMeter,
        Self::Service,
        Self::Account,
        Self::AccountName,
        Self::BillingAccount,
        Self::Region,
        Self::Provider,
        Self::Commitment,
        Self::PricingUnit,
        Self::Invoice,
        Self::Lane,
    ];

    /// Its FOCUS column; where versions differ, the newest name first. None for the lane.
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Resource => &["ResourceId"],
            Self::ResourceName => &["ResourceName"],
            Self::ResourceType => &["ResourceType"],
            Self::SkuPrice => &["SkuPriceId"],
            Self::Sku => &["SkuId"],
            // FOCUS 1.1 has it; before, AWS had a column of its own, and Azure another.
            Self::SkuMeter => &["SkuMeter", "x_UsageType", "x_SkuMeterName"],
            Self::Service => &["ServiceName"],
            Self::Account => &["SubAccountId"],
            Self::AccountName => &["SubAccountName"],
            Self::BillingAccount => &["BillingAccountId"],
            Self::Region => &["RegionId"],
            // FOCUS 1.3 renamed it, 1.4 dropped the old name.
            Self::Provider => &["ServiceProviderName", "ProviderName"],
            Self::Commitment => &["CommitmentDiscountId"],
            Self::PricingUnit => &["PricingUnit"],
            Self::Invoice => &["InvoiceId"],
            Self::Lane => &[],
        }
    }

    /// Whether FOCUS demands the column of every file.
    pub const fn is_mandatory(self) -> bool {
        matches!(self, Self::Service | Self::BillingAccount | Self::Provider)
    }

    /// Whether names of Azure's form in it are compared without regard to case.
    pub(crate) const fn is_id(self) -> bool {
        matches!(self, Self::Resource | Self::Account | Self::BillingAccount | Self::Commitment)
    }
}

/// What is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// `BilledCost`: as invoiced.
    Billed,
    /// `EffectiveCost`: amortised, after discounts and commitments.
    Effective,
    /// `ContractedCost`: at negotiated prices, before commitments. Of rows where it is known.
    Contracted,
    /// `ListCost`: at public prices. Of rows where it is known.
    List,
    /// `PricingQuantity`, in the unit that the SKU is priced in.
    Quantity,
    /// How many rows; a row spread over days counts once on each.
    Rows,
    /// How many of them have no usable `ContractedCost`: null, or 0 beside an effective cost. Azure writes 0 where
    /// it does not know.
    ContractedUnknown,
    /// How many of them have no usable `ListCost`, likewise.
    ListUnknown,
}

impl Measure {
    /// What a split of a change into its parts needs.
    pub const OF_SPLIT: [Self; 6] =
        [Self::Effective, Self::Contracted, Self::List, Self::Quantity, Self::ContractedUnknown, Self::ListUnknown];

    /// Whether it counts rows rather than units of 10⁻¹².
    pub const fn is_count(self) -> bool {
        matches!(self, Self::Rows | Self::ContractedUnknown | Self::ListUnknown)
    }
}

/// Days from `from` up to, but not with, `to`; UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    #[serde(with = "written")]
    pub from: Date,
    #[serde(with = "written")]
    pub to: Date,
}

/// Dates travel as `2026-09-01`.
pub(crate) mod written {
    use jiff::civil::Date;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it so")]
    pub(crate) fn serialize<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(date)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom("not a date"))
    }
}

impl Window {
    /// Each day of it as a window of its own.
    pub fn by_day(self) -> Vec<Self> {
        let mut days = Vec::new();
        let mut from = self.from;
        while from < self.to && days.len() <= MOST_WINDOWS {
            let Ok(to) = from.tomorrow() else { break };
            days.push(Self { from, to });
            from = to;
        }
        days
    }
}

/// Which days a charge belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// Usage of several days (a monthly fee) in equal parts on each of them; every other charge on the day its period
    /// starts.
    #[default]
    Days,
    /// Every charge on the day its period starts, as plain SQL over the bill would have it.
    Start,
}

/// Sums for each combination of keys and each window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    pub keys: Vec<Key>,
    /// What else is told of each group: the name that its rows agree on, or the smallest of several.
    #[serde(default)]
    pub attributes: Vec<Key>,
    pub windows: Vec<Window>,
    pub measures: Vec<Measure>,
    /// Only these; empty is all.
    #[serde(default)]
    pub lanes: Vec<Lane>,
}

/// What one scan answers. Every column is read once, whatever number of roll-ups need it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub rollups: Vec<Rollup>,
    #[serde(default)]
    pub spread: Spread,
    /// Charges in other currencies are converted by them first.
    #[serde(default, skip_serializing_if = "Rates::is_empty")]
    pub rates: Rates,
}

/// Why a request has no answer.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RequestError {
    #[error("nothing is asked")]
    Nothing,
    #[error("roll-up {0}: no window, or more than {MOST_WINDOWS}")]
    Windows(usize),
    #[error("roll-up {0}: the window from {1} ends before it starts, overlaps another, or lies outside 2000 to 2100")]
    Window(usize, Date),
    #[error("roll-up {0}: no measure, or one of them twice")]
    Measures(usize),
    #[error("roll-up {0}: a key or attribute twice")]
    Keys(usize),
}

/// Days since 1970-01-01.
pub(crate) type Day = i32;
/// No charge of a cloud is before it: 2000-01-01.
pub(crate) const FIRST_DAY: Day = 10_957;
/// 2101-01-01.
pub(crate) const END_DAY: Day = 47_847;

pub(crate) fn number_of(date: Date) -> Day {
    jiff::civil::date(1970, 1, 1).until(date).map_or(0, |span| span.get_days())
}

impl Request {
    /// The first day that is asked for, and the day after the last.
    pub(crate) fn days(&self) -> Result<(Day, Day), RequestError> {
        let (mut first, mut end) = (Day::MAX, Day::MIN);
        for (index, rollup) in self.rollups.iter().enumerate() {
            if rollup.windows.is_empty() || rollup.windows.len() > MOST_WINDOWS {
                return Err(RequestError::Windows(index));
            }
            let mut sorted = rollup.windows.clone();
            sorted.sort_unstable();
            let mut before = FIRST_DAY;
            for window in &sorted {
                let (from, to) = (number_of(window.from), number_of(window.to));
                if from < before || to <= from || to > END_DAY {
                    return Err(RequestError::Window(index, window.from));
                }
                before = to;
                first = first.min(from);
                end = end.max(to);
            }
            let twice = |count: usize, distinct: usize| count != distinct;
            let measures: std::collections::BTreeSet<_> = rollup.measures.iter().collect();
            if measures.is_empty() || twice(rollup.measures.len(), measures.len()) {
                return Err(RequestError::Measures(index));
            }
            let keys: std::collections::BTreeSet<_> = rollup.keys.iter().chain(&rollup.attributes).collect();
            if twice(rollup.keys.len() + rollup.attributes.len(), keys.len()) {
                return Err(RequestError::Keys(index));
            }
        }
        if first == Day::MAX { Err(RequestError::Nothing) } else { Ok((first, end)) }
    }

    /// The keys and attributes of all roll-ups, each once.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let all = self.rollups.iter().flat_map(|rollup| rollup.keys.iter().chain(&rollup.attributes));
        let distinct: std::collections::BTreeSet<Key> = all.copied().collect();
        distinct.into_iter().collect()
    }

    pub(crate) fn measures(&self, one_of: &[Measure]) -> bool {
        self.rollups.iter().flat_map(|rollup| &rollup.measures).any(|measure| one_of.contains(measure))
    }

    /// Whether the lane of a row matters.
    pub(crate) fn lanes(&self) -> bool {
        self.spread == Spread::Days
            || self.rollups.iter().any(|rollup| !rollup.lanes.is_empty())
            || self.keys().contains(&Key::Lane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn rollup(windows: Vec<Window>) -> Rollup {
        Rollup { keys: vec![Key::Service], attributes: vec![], windows, measures: vec![Measure::Billed], lanes: vec![] }
    }

    fn days(rollup: Rollup) -> Result<(Day, Day), RequestError> {
        Request { rollups: vec![rollup], ..Request::default() }.days()
    }

    #[test]
    fn a_request_that_makes_no_sense_is_refused() {
        let window = |from: Date, to: Date| Window { from, to };
        let september = window(date(2026, 9, 1), date(2026, 10, 1));
        assert_eq!(september.by_day().len(), 30);
        assert_eq!(days(rollup(september.by_day())), Ok((20_697, 20_727)));
        assert_eq!(number_of(date(2000, 1, 1)), FIRST_DAY);
        assert_eq!(number_of(date(2101, 1, 1)), END_DAY);
        assert_eq!(days(rollup(vec![])), Err(RequestError::Windows(0)));
        for windows in [
            vec![window(september.to, september.from)],
            vec![september, window(date(2026, 9, 30), date(2026, 11, 1))],
            vec![window(date(1999, 12, 31), date(2026, 1, 1))],
            vec![window(date(2026, 1, 1), date(2101, 1, 2))],
        ] {
            assert!(matches!(days(rollup(windows)), Err(RequestError::Window(0, _))));
        }
        let two = Rollup { measures: vec![Measure::Billed; 2], ..rollup(vec![september]) };
        assert_eq!(days(two), Err(RequestError::Measures(0)));
        let two = Rollup { attributes: vec![Key::Service], ..rollup(vec![september]) };
        assert_eq!(days(two), Err(RequestError::Keys(0)));
        assert_eq!(Request::default().days(), Err(RequestError::Nothing));
    }
}
