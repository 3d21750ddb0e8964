//! `[bill]`: where the bill's exports are, and how it is told of.

use super::{Reader, Table};
use std::path::PathBuf;
use sweeper_core::money::Amount;

const BILL: &[&str] = &["focus", "lag", "floor", "planned"];
/// Days until a day's charges are complete: 2 for AWS and Azure, 3 for Google Cloud.
const LAG: u32 = 2;
/// The longest that a config may wait, days.
pub const MOST_LAG: u32 = 14;

/// `[bill]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Exports: files, directories, or URLs as they were written.
    pub focus: Vec<PathBuf>,
    pub lag: u32,
    /// Nothing below so much a day is an alert of `sweeper bill`; policies have their own.
    pub floor: Amount,
    /// Events that were expected to cost something.
    pub planned: Option<PathBuf>,
}

impl Default for Bill {
    fn default() -> Self {
        Self { focus: Vec::new(), lag: LAG, floor: Amount::whole(25), planned: None }
    }
}

impl Reader<'_> {
    pub(super) fn bill(&mut self, table: &Table<'_>, bill: &mut Bill) {
        self.known(table, BILL);
        let beside = self.beside.to_owned();
        let place = |text: String| if text.contains("://") { PathBuf::from(text) } else { beside.join(text) };
        bill.focus = self.list(table, "focus").into_iter().map(place).collect();
        bill.planned = self.string(table, "planned").map(|path| self.beside.join(path));
        if let (Some(lag), Some(value)) = (self.number::<u32>(table, "lag"), table.get("lag")) {
            if lag > MOST_LAG {
                self.wrong(value, format!("`lag` is a number of days, at most {MOST_LAG}"));
            } else {
                bill.lag = lag;
            }
        }
        if let Some(value) = table.get("floor") {
            match Self::decimal(value).as_deref().and_then(Amount::parse) {
                Some(amount) if amount >= Amount::ZERO => bill.floor = amount,
                _ => self.wrong(value, "`floor` is an amount a day, in the bill's currency"),
            }
        }
    }
}
