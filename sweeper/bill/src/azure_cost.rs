//! The cost details of Azure, as Cost Management exports them: actual cost, and amortised cost. Columns of enterprise
//! agreements and of Microsoft customer agreements, in any letter case.
//!
//! Sources: Microsoft Learn, "Understand cost details fields", "Savings plan utilization and cost details" and "Convert
//! Cost Management data to FOCUS" (finops-toolkit).
//!
//! | charge type | lane | effective | billed |
//! |---|---|---|---|
//! | Usage | usage | cost | cost |
//! | Usage that a reservation or savings plan covers | usage | cost | 0: the commitment was invoiced |
//! | UnusedReservation, UnusedSavingsPlan | commitment | cost | 0 |
//! | Purchase | commitment | cost | cost |
//! | Refund, RoundingAdjustment | correction | cost | cost |
//! | Tax | tax | cost | cost |
//! | Credit | credit | cost | cost |
//!
//! The two tell the same usage: actual cost has purchases of commitments and usage that these cover at 0; amortised cost
//! spreads the purchases over that usage and over what was not used. Their columns are the same. They must not be summed
//! together, so rows that only one of them has are taken note of, and where none is, the name of the file counts.
//!
//! An actual cost export knows no amortised cost: what is bought counts as it is paid. What is billed is not whole in an
//! amortised one: purchases are missing.

use crate::{
    focus::Lane,
    native::{Cells, Charge, Field, Layout, Row},
    request::Key,
    row::{At, Place, shortened},
};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

pub(crate) const LAYOUT: Layout = Layout {
    name: "a cost export of Azure",
    provider: "Microsoft",
    fields: &[
        (Field::Kind, &["ChargeType"], true),
        (Field::Start, &["Date", "UsageDateTime", "UsageDate"], true),
        (Field::Currency, &["BillingCurrencyCode", "BillingCurrency", "Currency"], true),
        (Field::Cost, &["CostInBillingCurrency", "PreTaxCost", "Cost"], true),
        (Field::List, &["PaygCostInBillingCurrency"], false),
        (Field::Quantity, &["Quantity", "UsageQuantity"], true),
        (Field::PricingModel, &["PricingModel"], false),
        (Field::ListPrice, &["PayGPrice"], false),
        (Field::ContractedPrice, &["UnitPrice"], false),
        (Field::EffectivePrice, &["EffectivePrice"], false),
        (Field::Reservation, &["ReservationId"], false),
        (Field::SavingsPlan, &["BenefitId"], false),
    ],
    keys: &[
        (Key::Resource, &["ResourceId", "InstanceId", "InstanceName"]),
        (Key::ResourceName, &["ResourceName"]),
        // A meter is what has a price; products of a customer agreement have several.
        (Key::SkuPrice, &["MeterId"]),
        (Key::Sku, &["MeterId"]),
        (Key::Service, &["MeterCategory", "ConsumedService", "ProductName", "Product"]),
        (Key::Account, &["SubscriptionId", "SubscriptionGuid"]),
        (Key::AccountName, &["SubscriptionName"]),
        (Key::BillingAccount, &["BillingAccountId"]),
        (Key::Region, &["ResourceLocationNormalized", "ResourceLocation"]),
        (Key::Commitment, &["BenefitId", "ReservationId"]),
        (Key::PricingUnit, &["UnitOfMeasure"]),
        (Key::Invoice, &["InvoiceId"]),
    ],
    marks: &[
        "chargetype",
        "meterid",
        "metercategory",
        "metersubcategory",
        "costinbillingcurrency",
        "pretaxcost",
        "consumedservice",
        "subscriptionguid",
        "subscriptionid",
        "unitofmeasure",
        "effectiveprice",
        "paygprice",
    ],
};

/// One of the two sets of the same charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Dataset {
    Actual,
    Amortized,
}

impl Dataset {
    const ALL: [Self; 2] = [Self::Actual, Self::Amortized];

    /// What the name of a file says it is.
    fn named(file: &str) -> Option<Self> {
        let file: String = file.chars().filter(|letter| !matches!(letter, '-' | '_' | ' ')).collect();
        let file = file.to_ascii_lowercase();
        match (file.contains("actualcost"), file.contains("amortizedcost") || file.contains("amortisedcost")) {
            (true, false) => Some(Self::Actual),
            (false, true) => Some(Self::Amortized),
            _ => None,
        }
    }
}

/// How sure a row makes of its file's dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    None,
    /// Only this one has such a row.
    Sure(Dataset),
    /// Covered usage at no cost: in amortised cost, rare.
    Free,
}

/// The first rows of a file that tell which it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    sure: [Option<At>; 2],
    free: Option<At>,
}

impl Evidence {
    pub(crate) fn add(&mut self, sign: Sign, at: At) {
        let first = match sign {
            Sign::None => return,
            Sign::Sure(dataset) => &mut self.sure[dataset as usize],
            Sign::Free => &mut self.free,
        };
        *first = Some(first.map_or(at, |first| first.min(at)));
    }

    fn merge(&mut self, other: &Self) {
        for dataset in Dataset::ALL {
            if let Some(at) = other.sure[dataset as usize] {
                self.add(Sign::Sure(dataset), at);
            }
        }
        if let Some(at) = other.free {
            self.add(Sign::Free, at);
        }
    }
}

/// Which dataset each file is of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Datasets {
    files: BTreeMap<String, Evidence>,
    /// Of partials that were read back.
    told: BTreeSet<Dataset>,
}

impl Datasets {
    pub(crate) fn take(&mut self, file: &str, evidence: &Evidence) {
        match self.files.get_mut(file) {
            Some(known) => known.merge(evidence),
            None => drop(self.files.insert(file.to_owned(), *evidence)),
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (file, evidence) in &other.files {
            self.take(file, evidence);
        }
        self.told.extend(other.told);
    }

    pub(crate) fn tell(&mut self, told: impl IntoIterator<Item = Dataset>) {
        self.told.extend(told);
    }

    /// Each dataset with the first place that shows it.
    pub(crate) fn found(&self) -> BTreeMap<Dataset, Place> {
        let mut found: BTreeMap<Dataset, Place> = BTreeMap::new();
        let told = self.told.iter().map(|dataset| (*dataset, Place { file: "a partial".to_owned(), at: At::File }));
        let files = self.files.iter().flat_map(|(file, evidence)| {
            let place = |at: At| Place { file: file.clone(), at };
            let mut places: Vec<(Dataset, Place)> = Vec::new();
            for dataset in Dataset::ALL {
                places.extend(evidence.sure[dataset as usize].map(|at| (dataset, place(at))));
            }
            if places.is_empty() {
                places.extend(evidence.free.map(|at| (Dataset::Actual, place(at))));
            }
            if places.is_empty() {
                places.extend(Dataset::named(file).map(|dataset| (dataset, place(At::File))));
            }
            places
        });
        for (dataset, place) in files.chain(told) {
            found.entry(dataset).or_insert(place);
        }
        found
    }
}

/// What a row charges, and what it tells of its file.
pub(crate) fn charge<C: Cells>(row: &Row<'_, C>) -> Result<(Charge, Sign), String> {
    let cost = row.cost(Field::Cost)?;
    let kind = row.text(Field::Kind).to_ascii_lowercase();
    let model = row.text(Field::PricingModel).to_ascii_lowercase();
    let named = !row.text(Field::Reservation).is_empty() || !row.text(Field::SavingsPlan).is_empty();
    let committed = match model.as_slice() {
        b"reservation" | b"savingsplan" | b"savings plan" => true,
        b"" => named,
        _ => false,
    };
    let plain = |lane: Lane| Charge::plain(lane, cost);
    let (mut charge, sign) = match kind.as_slice() {
        b"usage" if committed => {
            let sign = if cost == 0 { Sign::Free } else { Sign::Sure(Dataset::Amortized) };
            (Charge { billed: 0, contracted: 0, ..plain(Lane::Usage) }, sign)
        }
        b"usage" => (plain(Lane::Usage), Sign::None),
        b"unusedreservation" | b"unusedsavingsplan" => {
            (Charge { billed: 0, contracted: 0, ..plain(Lane::Commitment) }, Sign::Sure(Dataset::Amortized))
        }
        b"purchase" => (plain(Lane::Commitment), if committed { Sign::Sure(Dataset::Actual) } else { Sign::None }),
        b"refund" | b"roundingadjustment" => (plain(Lane::Correction), Sign::None),
        b"tax" => (plain(Lane::Tax), Sign::None),
        b"credit" => (plain(Lane::Credit), Sign::None),
        _ => {
            let kind = row.text(Field::Kind);
            return Err(format!("unknown {} `{}`", row.name(Field::Kind), shortened(&String::from_utf8_lossy(&kind))));
        }
    };
    let quantity = row.amount(Field::Quantity)?.unwrap_or(0);
    charge.quantity = quantity;
    // Prices are of the billing currency and of single units only where the row shows it: some are of a hundred hours, or
    // of the currency that prices are set in.
    let effective = row.amount(Field::EffectivePrice)?.and_then(|price| product(price, quantity));
    let shown = effective.is_some_and(|told| cost != 0 && (told - cost).abs() <= cost.abs() / 1000 + 1);
    let priced = |field: Field| -> Result<i128, String> {
        let price = if shown { row.amount(field)? } else { None };
        Ok(price.and_then(|price| product(price, quantity)).unwrap_or(0))
    };
    if charge.contracted == 0 && charge.lane == Lane::Usage {
        charge.contracted = priced(Field::ContractedPrice)?;
    }
    charge.list = match row.amount(Field::List)? {
        Some(list) => list,
        None => priced(Field::ListPrice)?,
    };
    Ok((charge, sign))
}

/// Price times quantity, in units of 10⁻¹², rounded half away from zero.
fn product(price: i128, quantity: i128) -> Option<i128> {
    const UNIT: i128 = 1_000_000_000_000;
    let product = price.checked_mul(quantity)?;
    Some((product + product.signum() * (UNIT / 2)) / UNIT)
}

/// A name as FOCUS exports of Azure write it: subscriptions as ids, regions in lower case without blanks.
pub(crate) fn named(key: Key, name: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match key {
        Key::Account if !name.is_empty() && !name.starts_with(b"/") => {
            Cow::Owned([b"/subscriptions/", &*name].concat().to_ascii_lowercase())
        }
        Key::Region if name.iter().any(|byte| *byte == b' ' || byte.is_ascii_uppercase()) => {
            Cow::Owned(name.iter().filter(|byte| **byte != b' ').map(u8::to_ascii_lowercase).collect())
        }
        _ => name,
    }
}
