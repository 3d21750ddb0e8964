//! What every resource costs, worked out once and sealed with the survey: a report of an old survey shows
//! the prices of its day, and needs no provider to do so.

use crate::{
    inventory::{Inventory, Resource, ResourceIx},
    model::Class,
    money::{Amount, Basis, Cost},
    policy::Costs,
};
use serde::{Deserialize, Serialize};

/// Monthly costs by resource. What is not in it has no known price.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostSheet {
    /// Sorted by place.
    lines: Vec<Line>,
    currencies: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    at: ResourceIx,
    amount: Amount,
    basis: Basis,
    currency: u16,
}

impl CostSheet {
    /// Prices everything that is not there only to refer to something else.
    pub fn of(inventory: &Inventory, price: impl Fn(Resource<'_>) -> Cost) -> Self {
        let mut sheet = Self::default();
        for resource in inventory.resources().filter(|resource| resource.kind().class != Class::Referrer) {
            let cost = price(resource);
            if let Some(amount) = cost.amount {
                sheet.push(resource.ix(), amount, cost.basis, cost.currency);
            }
        }
        sheet.lines.shrink_to_fit();
        sheet.lines.sort_unstable_by_key(|line| line.at);
        sheet
    }

    fn push(&mut self, at: ResourceIx, amount: Amount, basis: Basis, currency: String) {
        let known = self.currencies.iter().position(|known| *known == currency);
        let currency = known.unwrap_or_else(|| {
            self.currencies.push(currency);
            self.currencies.len() - 1
        });
        self.lines.push(Line { at, amount, basis, currency: currency as u16 });
    }

    /// How many resources have a known price.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl Costs for CostSheet {
    fn monthly(&self, resource: Resource<'_>) -> Cost {
        let Ok(found) = self.lines.binary_search_by_key(&resource.ix(), |line| line.at) else {
            return Cost::unknown();
        };
        let line = self.lines[found];
        match self.currencies.get(line.currency as usize) {
            Some(currency) => Cost { amount: Some(line.amount), currency: currency.clone(), basis: line.basis },
            None => Cost::unknown(),
        }
    }
}

/// As a list of `[place, amount, currency, basis]`.
impl Serialize for CostSheet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.lines.iter().map(|line| {
            (line.at, line.amount, self.currencies.get(line.currency as usize).map_or("", String::as_str), line.basis)
        }))
    }
}

impl<'de> Deserialize<'de> for CostSheet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lines;
        impl<'de> serde::de::Visitor<'de> for Lines {
            type Value = CostSheet;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a list of costs")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut lines: A) -> Result<CostSheet, A::Error> {
                let mut sheet = CostSheet::default();
                while let Some((at, amount, currency, basis)) =
                    lines.next_element::<(ResourceIx, Amount, String, Basis)>()?
                {
                    if sheet.currencies.len() > usize::from(u8::MAX) {
                        return Err(serde::de::Error::custom("costs in more currencies than there are"));
                    }
                    sheet.push(at, amount, basis, currency);
                }
                sheet.lines.sort_unstable_by_key(|line| line.at);
                Ok(sheet)
            }
        }
        deserializer.deserialize_seq(Lines)
    }
}
