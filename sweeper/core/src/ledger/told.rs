//! Marks: what somebody was told, so that it is noticed when it is no longer so.

use super::Names;
use crate::{
    inventory::Resource,
    model::Timestamp,
    money::{Amount, Cost},
    observe,
    plan::sha256,
    policy::Policy,
};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc};

/// A notice that was delivered: grace runs from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The policy it speaks for.
    pub policy: Arc<str>,
    /// When it was delivered.
    pub at: Timestamp,
    /// The channel it went by, as the config names it.
    pub channel: Arc<str>,
    /// To whom.
    pub to: Arc<str>,
    pub fingerprint: Fingerprint,
}

/// What a notice said, in short. Grace of a notice whose fingerprint is another by now does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// Of the policy's wording, its verb included.
    policy: u64,
    owner: u64,
    /// Of everything that is seen of the resource, its identity included.
    seen: u64,
    /// US dollars a month; `None` when not known.
    monthly: Option<Amount>,
}

/// The first 64 bits of a SHA-256.
fn short(text: &str) -> u64 {
    u64::from_str_radix(&sha256(text.as_bytes())[..16], 16).unwrap_or_default()
}

impl Fingerprint {
    /// Of a resource under a policy, as it is.
    pub fn of(policy: &Policy, resource: Resource<'_>, owner: Option<&str>, cost: &Cost) -> Self {
        Self {
            policy: short(&policy.digest()),
            owner: short(&format!("{owner:?}")),
            seen: short(&format!("{:?}", observe::fields(resource))),
            monthly: cost.amount.filter(|_| cost.currency == "USD"),
        }
    }

    /// What a notice says, as one word: the same for as long as nothing of it differs, its cost within a power of two.
    pub fn state(&self) -> String {
        let band = self.monthly.map(|monthly| {
            let dollars: u64 =
                monthly.cents().split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or_default();
            u64::BITS - dollars.leading_zeros()
        });
        let band = band.map_or_else(|| "-".to_owned(), |band| band.to_string());
        format!("{:016x}{:016x}{:016x}{band}", self.policy, self.owner, self.seen)
    }

    /// What of a notice is not so any more, in words.
    pub fn differs(&self, now: &Self) -> Option<&'static str> {
        if self.policy != now.policy {
            Some("the policy")
        } else if self.owner != now.owner {
            Some("the owner")
        } else if self.seen != now.seen {
            Some("the resource")
        } else if !same_band(self.monthly, now.monthly) {
            Some("what it costs")
        } else {
            None
        }
    }
}

/// Whether two costs a month are much the same: neither more than twice the other, or less than a dollar apart.
fn same_band(was: Option<Amount>, is: Option<Amount>) -> bool {
    let (Some(was), Some(is)) = (was, is) else { return was.is_none() && is.is_none() };
    let (less, more) = (was.min(is), was.max(is));
    more <= less.times(2) || more < less + Amount::whole(1)
}

/// A [`Told`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written<'a> {
    #[serde(borrow)]
    policy: Cow<'a, str>,
    at: Timestamp,
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow)]
    to: Cow<'a, str>,
    fingerprint: Print,
}

/// A [`Fingerprint`] as it is written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Print {
    policy: Hex,
    owner: Hex,
    seen: Hex,
    monthly: Option<Amount>,
}

/// Sixteen hexadecimal digits: JSON has no whole numbers of this size.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct Hex(u64);

impl From<Hex> for String {
    fn from(hex: Hex) -> Self {
        format!("{:016x}", hex.0)
    }
}

impl TryFrom<String> for Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let hex = u64::from_str_radix(&text, 16).ok().filter(|_| text.len() == 16);
        hex.map(Self).ok_or_else(|| format!("`{text}` is not sixteen hexadecimal digits"))
    }
}

impl<'a> Written<'a> {
    pub(super) fn of(told: &'a Told) -> Self {
        let Fingerprint { policy, owner, seen, monthly } = told.fingerprint;
        Self {
            policy: Cow::Borrowed(&told.policy),
            at: told.at,
            channel: Cow::Borrowed(&told.channel),
            to: Cow::Borrowed(&told.to),
            fingerprint: Print { policy: Hex(policy), owner: Hex(owner), seen: Hex(seen), monthly },
        }
    }

    pub(super) fn read(self, names: &mut Names) -> Told {
        let Print { policy, owner, seen, monthly } = self.fingerprint;
        Told {
            policy: names.text(&self.policy),
            at: self.at,
            channel: names.text(&self.channel),
            to: names.text(&self.to),
            fingerprint: Fingerprint { policy: policy.0, owner: owner.0, seen: seen.0, monthly },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_that_are_much_the_same_are_one_band() {
        let usd = |text: &str| Amount::parse(text);
        for (was, is, same) in [
            (usd("10"), usd("10"), true),
            (usd("10"), usd("20"), true),
            (usd("10"), usd("20.01"), false),
            (usd("10"), usd("4.99"), false),
            (usd("0"), usd("0.99"), true),
            (usd("0.10"), usd("1.10"), false),
            (usd("10"), None, false),
            (None, usd("0"), false),
            (None, None, true),
        ] {
            assert_eq!(same_band(was, is), same, "{was:?} {is:?}");
        }
    }
}
