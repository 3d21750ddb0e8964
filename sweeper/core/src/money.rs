//! Money: exact decimals with a currency and a basis, never floats.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Units of an [`Amount`]: one is 10⁻¹² of the currency's major unit.
const SCALE: i128 = 1_000_000_000_000;

/// Average hours in a month, as cloud price lists use it (365 × 24 / 12).
pub const HOURS_A_MONTH: i64 = 730;

/// An exact amount in units of 10⁻¹² of a currency's major unit (dollar, euro).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Amount(i128);

impl Amount {
    pub const ZERO: Self = Self(0);

    /// From whole units of 10⁻¹².
    pub const fn from_pico(units: i128) -> Self {
        Self(units)
    }

    /// In whole units of 10⁻¹².
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// Whole major units.
    pub const fn whole(units: i64) -> Self {
        Self(units as i128 * SCALE)
    }

    /// Reads a plain or scientific decimal (`"0.08"`, `"-3"`, `"3.33e-6"`). Digits beyond the twelfth
    /// decimal are rounded half away from zero. `None` when it is not a number or too large.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.as_bytes().first()? {
            b'-' => (true, &mantissa[1..]),
            b'+' => (false, &mantissa[1..]),
            _ => (false, mantissa),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut value: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
        }
        let shift = exponent.checked_add(12)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        let value = if shift >= 0 {
            value.checked_mul(10_i128.checked_pow(shift.unsigned_abs())?)?
        } else {
            match 10_i128.checked_pow(shift.unsigned_abs()) {
                Some(divisor) => (value + divisor / 2) / divisor,
                None => 0,
            }
        };
        Some(Self(if negative { -value } else { value }))
    }

    /// This amount times a whole number; saturates.
    #[must_use]
    pub const fn times(self, factor: i64) -> Self {
        Self(self.0.saturating_mul(factor as i128))
    }

    /// This amount times `numerator / denominator`, rounded towards zero. Zero when `denominator` is 0.
    #[must_use]
    pub const fn scaled(self, numerator: i128, denominator: i128) -> Self {
        if denominator == 0 {
            return Self(0);
        }
        Self(self.0.saturating_mul(numerator) / denominator)
    }

    /// Rounded to two decimals, half away from zero, for people: `"1234.50"`.
    pub fn cents(self) -> String {
        let unit = SCALE / 100;
        let rounded = (self.0.abs() + unit / 2) / unit;
        let sign = if self.0 < 0 && rounded != 0 { "-" } else { "" };
        format!("{sign}{}.{:02}", rounded / 100, rounded % 100)
    }

    /// The same of a difference, with its sign: `+12.50`, `-3.00`.
    pub fn signed_cents(self) -> String {
        let text = self.cents();
        if text.starts_with('-') { text } else { format!("+{text}") }
    }
}

impl std::ops::Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::ops::AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, |total, amount| total + amount)
    }
}

/// The exact decimal, without trailing zeros: `"0.08"`, `"12"`.
impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, fraction) = (self.0.unsigned_abs() / SCALE as u128, self.0.unsigned_abs() % SCALE as u128);
        if fraction == 0 {
            return write!(formatter, "{sign}{whole}");
        }
        let digits = format!("{fraction:012}");
        write!(formatter, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// Amounts travel as decimal strings.
impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a decimal amount")))
    }
}

/// Where an amount comes from, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// On the invoice.
    Billed,
    /// Amortised, after discounts and commitments.
    Effective,
    /// The account's realised unit price for the same SKU.
    Realised,
    /// A price API's answer.
    Live,
    /// A dated public price list.
    List,
    /// No more than this: the billed quantity cannot be known (EBS snapshots are incremental).
    UpperBound,
    /// Nothing is known.
    Unknown,
}

impl Basis {
    /// Its word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Billed => "billed",
            Self::Effective => "effective",
            Self::Realised => "realised",
            Self::Live => "live",
            Self::List => "list",
            Self::UpperBound => "upper_bound",
            Self::Unknown => "unknown",
        }
    }
}

/// A monthly cost. `amount` is `None` exactly when `basis` is `Unknown`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    pub amount: Option<Amount>,
    pub currency: String,
    pub basis: Basis,
}

impl Cost {
    /// No price is known. Never zero.
    pub fn unknown() -> Self {
        Self { amount: None, currency: "USD".to_owned(), basis: Basis::Unknown }
    }

    /// A list price in US dollars.
    pub fn list(amount: Amount) -> Self {
        Self { amount: Some(amount), currency: "USD".to_owned(), basis: Basis::List }
    }

    /// An upper bound in US dollars.
    pub fn upper_bound(amount: Amount) -> Self {
        Self { amount: Some(amount), currency: "USD".to_owned(), basis: Basis::UpperBound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_round_trip() {
        for text in ["0.08", "12", "-3.5", "0.000000000001", "0"] {
            assert_eq!(Amount::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Amount::parse("3.33e-6").unwrap().to_string(), "0.00000333");
        assert_eq!(Amount::parse("1e3").unwrap(), Amount::whole(1000));
        for text in ["", ".", "1.2.3", "abc", "1e", "NaN", "--1", "1e99"] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
        assert_eq!(Amount::parse("8.005").unwrap().cents(), "8.01");
        assert_eq!(Amount::parse("-0.004").unwrap().cents(), "0.00");
    }
}
