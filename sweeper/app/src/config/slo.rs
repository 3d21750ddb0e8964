//! `[slo]`: how many new orphans an owner may make; see [`sweeper_core::slo`].

use super::{Reader, Table};
use sweeper_core::{
    money::Amount,
    slo::{Limits, Terms, WINDOW, WINDOWS},
};

const SLO: &[&str] = &["window", "new", "monthly_usd", "owners"];
const OWNER: &[&str] = &["new", "monthly_usd"];

impl Reader<'_> {
    pub(super) fn slo(&mut self, table: &Table<'_>) -> Option<Terms> {
        let own = self.table(table, "slo")?;
        self.known(own, SLO);
        let mut terms =
            Terms { window_days: WINDOW, all: self.allowed(own), owners: std::collections::BTreeMap::new() };
        if let (Some(window), Some(value)) = (self.length(own, "window"), own.get("window")) {
            let days = window.as_secs() / 86_400;
            match u32::try_from(days).ok().filter(|days| WINDOWS.contains(days) && window.as_secs() % 86_400 == 0) {
                Some(days) => terms.window_days = days,
                None => self.wrong(value, "`window` is a number of days from `7d` to `90d`"),
            }
        }
        if let Some(owners) = self.table(own, "owners") {
            for (name, value) in owners {
                match value.get_ref().as_table() {
                    Some(limits) => {
                        self.known(limits, OWNER);
                        let limits = self.allowed(limits);
                        terms.owners.insert(name.get_ref().to_string(), limits);
                    }
                    None => self.wrong(value, "an owner has limits of its own: `{ new = 20, monthly_usd = 500 }`"),
                }
            }
        }
        let is_empty = |limits: &Limits| *limits == Limits::default();
        if is_empty(&terms.all) && terms.owners.values().all(is_empty) {
            if let Some(value) = table.get("slo") {
                let help = "write `new = 10`, `monthly_usd = 500`, or both: what each owner may make in the window";
                self.problem(value.span(), "`[slo]` says no objective", Some(help.to_owned()));
            }
            return None;
        }
        Some(terms)
    }

    /// What an owner may make.
    fn allowed(&mut self, table: &Table<'_>) -> Limits {
        let mut limits = Limits::default();
        const NOTHING: &str = "is at least 1: of nothing, no budget can be spent";
        if let (Some(new), Some(value)) = (self.number::<u64>(table, "new"), table.get("new")) {
            if (1..=1_000_000_000).contains(&new) {
                limits.new = Some(new);
            } else {
                self.wrong(value, format!("`new` {NOTHING}"));
            }
        }
        if let Some(value) = table.get("monthly_usd") {
            match Self::decimal(value).as_deref().and_then(Amount::parse) {
                Some(amount) if amount >= Amount::whole(1) => limits.monthly_usd = Some(amount),
                Some(_) => self.wrong(value, format!("`monthly_usd` {NOTHING}")),
                None => self.wrong(value, "`monthly_usd` is an amount of US dollars"),
            }
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    #[test]
    fn objectives_are_read() {
        let text = "[slo]\nnew = 10\nmonthly_usd = 499.5\nwindow = \"14d\"\n[slo.owners]\n\"team@x\" = { new = 20 }\n";
        let terms = Config::parse("sweeper.toml", text, Path::new("")).unwrap().house.slo.unwrap();
        assert_eq!((terms.window_days, terms.all.new), (14, Some(10)));
        assert_eq!(terms.all.monthly_usd, Amount::parse("499.5"));
        assert_eq!(terms.owners["team@x"], Limits { new: Some(20), monthly_usd: None });
        assert_eq!(Config::parse("sweeper.toml", "", Path::new("")).unwrap().house.slo, None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, says) in [
            ("[slo]\n", "`[slo]` says no objective"),
            ("[slo]\nnwe = 3\n", "did you mean `new`?"),
            ("[slo]\nnew = 0\n", "at least 1"),
            ("[slo]\nmonthly_usd = \"much\"\n", "`monthly_usd` is an amount"),
            ("[slo]\nmonthly_usd = 0.5\n", "at least 1"),
            ("[slo]\nnew = 3\nwindow = \"1d\"\n", "3:10"),
            ("[slo]\nnew = 3\nwindow = \"180h\"\n", "from `7d` to `90d`"),
            ("[slo]\nnew = 3\nowners = { a = 3 }\n", "limits of its own"),
            ("[slo]\nnew = 3\nowners = { a = { nuw = 3 } }\n", "did you mean `new`?"),
        ] {
            let failure = Config::parse("sweeper.toml", text, Path::new("")).unwrap_err();
            assert!(failure.problems.concat().contains(says), "{says}: {failure:?}");
        }
    }
}
