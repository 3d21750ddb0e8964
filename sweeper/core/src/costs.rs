//! What every resource costs, worked out once and sealed with the survey: a report of an old survey shows
//! the prices of its day, and needs no provider to do so.

use crate::{
    inventory::{Inventory, Resource, ResourceIx},
    model::Class,
    money::{Amount, Basis, Cost},
    policy::Costs,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the bill says that single resources cost.
pub trait Billed: Send + Sync {
    /// A month at the resource's own charges of its last days, without what a commitment pays and would go on paying
    /// for; `None` where the bill is silent, or does not tell it from another.
    fn monthly(&self, resource: Resource<'_>) -> Option<Cost>;
}

/// Resources that must be both on the bill and on the list, for what an account really pays to be told of others.
const REALISED_OF: usize = 3;

/// What an account pays of list prices, by kind and region.
#[derive(Default)]
struct Realised {
    of: usize,
    billed: Amount,
    listed: Amount,
    currency: String,
}

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

    /// The same, by what the bill says where it speaks of a resource; else by its list price at what the account pays
    /// of that for others of the kind in the region; else by the list price.
    pub fn billed(inventory: &Inventory, billed: &dyn Billed, price: impl Fn(Resource<'_>) -> Cost) -> Self {
        type Place<'a> = (&'static str, &'a str, &'a str);
        fn place(resource: Resource<'_>) -> Place<'_> {
            (resource.kind().id, resource.account(), resource.region())
        }
        let mut realised: BTreeMap<Place<'_>, Realised> = BTreeMap::new();
        for resource in inventory.resources().filter(|resource| resource.kind().class != Class::Referrer) {
            let (Some(own), list) = (billed.monthly(resource), price(resource)) else { continue };
            let (Some(amount), Some(listed), Basis::List | Basis::Live) = (own.amount, list.amount, list.basis) else {
                continue;
            };
            let known = realised.entry(place(resource)).or_default();
            if listed > Amount::ZERO && (known.of == 0 || known.currency == own.currency) {
                known.of += 1;
                known.billed += amount;
                known.listed += listed;
                known.currency = own.currency;
            }
        }
        Self::of(inventory, |resource| {
            if let Some(own) = billed.monthly(resource) {
                return own;
            }
            let list = price(resource);
            match (realised.get(&place(resource)), list.amount, list.basis) {
                (Some(known), Some(amount), Basis::List | Basis::Live) if known.of >= REALISED_OF => Cost {
                    amount: Some(amount.scaled(known.billed.pico(), known.listed.pico())),
                    currency: known.currency.clone(),
                    basis: Basis::Realised,
                },
                _ => list,
            }
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::Referrer,
        testing::{DISK, TEMPLATE, World},
    };

    /// Of resources named in it, euros a month.
    struct Bill(BTreeMap<&'static str, i64>);

    impl Billed for Bill {
        fn monthly(&self, resource: Resource<'_>) -> Option<Cost> {
            let amount = Amount::whole(*self.0.get(resource.native_id())?);
            Some(Cost { amount: Some(amount), currency: "EUR".to_owned(), basis: Basis::Effective })
        }
    }

    /// What disks a to e cost, of which the bill knows some.
    fn told(known: &[(&'static str, i64)], list: fn(Resource<'_>) -> Cost) -> Vec<String> {
        let disk = || crate::detect::tests::disk();
        let mut world = World::new().with(&TEMPLATE, "template", Referrer {});
        for id in ["a", "b", "c", "d", "e"] {
            world = world.with(&DISK, id, disk());
        }
        let world = world.seal();
        let sheet = CostSheet::billed(&world.inventory, &Bill(known.iter().copied().collect()), list);
        let disks = world.inventory.resources().filter(|resource| resource.kind().class != Class::Referrer);
        let told = disks.map(|resource| {
            let Cost { amount, currency, basis } = sheet.monthly(resource);
            format!("{} {currency} {}", amount.map_or_else(|| "-".to_owned(), |it| it.to_string()), basis.name())
        });
        told.collect()
    }

    fn ten(_: Resource<'_>) -> Cost {
        Cost::list(Amount::whole(10))
    }

    #[test]
    fn the_bill_goes_before_the_list_and_tells_what_others_cost() {
        assert_eq!(told(&[], ten), ["10 USD list"; 5]);
        // Three say what the account pays: 24 of 30.
        let known = [("a", 8), ("b", 7), ("c", 9)];
        let said = ["8 EUR effective", "7 EUR effective", "9 EUR effective", "8 EUR realised", "8 EUR realised"];
        assert_eq!(told(&known, ten), said);
        let two = ["8 EUR effective", "7 EUR effective", "10 USD list", "10 USD list", "10 USD list"];
        assert_eq!(told(&known[..2], ten), two, "two are too few");
    }

    #[test]
    fn an_upper_bound_or_an_unknown_price_is_not_made_a_realised_one() {
        let known = [("a", 8), ("b", 7), ("c", 9)];
        let bound = told(&known, |_| Cost::upper_bound(Amount::whole(10)));
        assert_eq!(bound[3..], ["10 USD upper_bound", "10 USD upper_bound"]);
        assert_eq!(told(&known, |_| Cost::unknown())[2..4], ["9 EUR effective", "- USD unknown"]);
        // Nothing is priced at nothing.
        assert_eq!(told(&known, |_| Cost::list(Amount::ZERO))[3..4], ["0 USD list"]);
        // What costs nothing on the bill costs nothing.
        assert_eq!(told(&[("a", 0)], ten)[0], "0 EUR effective");
    }
}
