//! Which costs rest on the answers of a price API: told by what a kind asked for when it priced a resource.

use crate::{
    inventory::Resource,
    kind::{Kind, Prices},
    model::CloudId,
    money::{Amount, Basis, Cost},
};
use std::sync::atomic::{AtomicBool, Ordering};

/// Prices that note what they were asked for.
struct Noted<'a> {
    prices: &'a dyn Prices,
    live: AtomicBool,
    listed: AtomicBool,
}

impl Prices for Noted<'_> {
    fn unit(&self, cloud: CloudId, region: &str, key: &str) -> Option<Amount> {
        let unit = self.prices.unit(cloud, region, key)?;
        let kind = if self.prices.is_live(cloud, region, key) { &self.live } else { &self.listed };
        kind.store(true, Ordering::Relaxed);
        Some(unit)
    }

    fn is_live(&self, cloud: CloudId, region: &str, key: &str) -> bool {
        self.prices.is_live(cloud, region, key)
    }
}

/// What a resource costs a month: a list price is a live one where every price it was made of is.
pub(crate) fn price(kind: &dyn Kind, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
    priced(prices, |prices| kind.price(resource, prices))
}

fn priced(prices: &dyn Prices, price: impl FnOnce(&dyn Prices) -> Cost) -> Cost {
    let noted = Noted { prices, live: AtomicBool::new(false), listed: AtomicBool::new(false) };
    let cost = price(&noted);
    let live = noted.live.into_inner() && !noted.listed.into_inner();
    if live && cost.basis == Basis::List { Cost { basis: Basis::Live, ..cost } } else { cost }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Book;

    impl Prices for Book {
        fn unit(&self, _: CloudId, _: &str, key: &str) -> Option<Amount> {
            (key != "none").then(|| Amount::whole(2))
        }

        fn is_live(&self, _: CloudId, _: &str, key: &str) -> bool {
            key.starts_with("live")
        }
    }

    #[test]
    fn a_price_is_live_where_all_of_its_parts_are() {
        let basis = |keys: &[&str], cost: fn(Amount) -> Cost| {
            priced(&Book, |prices| {
                let parts = keys.iter().filter_map(|key| prices.unit(CloudId::Aws, "r", key));
                cost(parts.fold(Amount::ZERO, |sum, part| sum + part))
            })
            .basis
        };
        assert_eq!(basis(&["live-a", "live-b"], Cost::list), Basis::Live);
        assert_eq!(basis(&["live-a", "none"], Cost::list), Basis::Live);
        assert_eq!(basis(&["live-a", "b"], Cost::list), Basis::List);
        assert_eq!(basis(&["b"], Cost::list), Basis::List);
        // What is free without a price is so by the provider's rules, not by an API's answer.
        assert_eq!(basis(&[], Cost::list), Basis::List);
        // A bound stays one, whoever says the price.
        assert_eq!(basis(&["live-a"], Cost::upper_bound), Basis::UpperBound);
        assert_eq!(basis(&["none"], |_| Cost::unknown()), Basis::Unknown);
    }
}
