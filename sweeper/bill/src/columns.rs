//! Which columns of a file are read, and what for. They are found by name, never by position.

use crate::{
    request::{Key, Spread},
    row::{Cost, Needs, Word},
};

/// What a column is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Start,
    End,
    Word(Word),
    Cost(Cost),
    Key(Key),
}

impl Use {
    /// Its names, the newest first.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Start => &["ChargePeriodStart"],
            Self::End => &["ChargePeriodEnd"],
            Self::Word(Word::Category) => &["ChargeCategory"],
            Self::Word(Word::Class) => &["ChargeClass"],
            Self::Word(Word::Status) => &["CommitmentDiscountStatus"],
            Self::Word(Word::Currency) => &["BillingCurrency"],
            Self::Cost(Cost::Effective) => &["EffectiveCost"],
            Self::Cost(Cost::Billed) => &["BilledCost"],
            Self::Cost(Cost::Contracted) => &["ContractedCost"],
            Self::Cost(Cost::List) => &["ListCost"],
            Self::Cost(Cost::Quantity) => &["PricingQuantity"],
            Self::Key(key) => key.columns(),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        self.names().first().copied().unwrap_or_default()
    }

    /// Whether a file without it is no bill. The status of commitments is conditional in FOCUS: without commitments
    /// there is none. The class is not: without it corrections would count as usage.
    fn is_mandatory(self) -> bool {
        match self {
            Self::Word(Word::Status) => false,
            Self::Key(key) => key.is_mandatory(),
            _ => true,
        }
    }
}

/// The columns that are read of one file.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    /// What for, and which of the file's columns it is.
    pub(crate) read: Vec<(Use, usize)>,
}

impl Columns {
    /// Finds what is needed among the columns of a file. Letter case does not matter: query engines lower it.
    pub(crate) fn find<'a>(needs: &Needs, names: impl Iterator<Item = &'a str> + Clone) -> Result<Self, String> {
        let mut read = Vec::new();
        for wanted in uses(needs) {
            let mut found = None;
            for name in wanted.names() {
                let mut places = names.clone().enumerate().filter(|(_, other)| other.eq_ignore_ascii_case(name));
                if let (Some((place, _)), second) = (places.next(), places.next()) {
                    if second.is_some() {
                        return Err(format!("it has two columns {name}"));
                    }
                    found = Some(place);
                    break;
                }
            }
            match found {
                Some(place) => read.push((wanted, place)),
                None if wanted.is_mandatory() => {
                    return Err(format!("it has no column {}, which FOCUS requires", wanted.name()));
                }
                None => {}
            }
        }
        Ok(Self { read })
    }

    pub(crate) fn place(&self, wanted: Use) -> Option<usize> {
        self.read.iter().find(|(what, _)| *what == wanted).map(|(_, place)| *place)
    }
}

/// Everything that is needed, in the order that a row is judged in.
fn uses(needs: &Needs) -> Vec<Use> {
    let mut uses = vec![Use::Start];
    if needs.spread == Spread::Days {
        uses.push(Use::End);
    }
    uses.push(Use::Word(Word::Currency));
    if needs.lanes {
        uses.extend([Word::Category, Word::Class, Word::Status].map(Use::Word));
    }
    uses.extend(needs.amounts.iter().map(|cost| Use::Cost(*cost)));
    uses.extend(needs.keys.iter().map(|key| Use::Key(*key)));
    uses
}
