//! Policies that watch, as they are written.

use super::{Reader, SEVERITIES, Span, Table, share, span_of};
use crate::{
    detect::Severity,
    model::Class,
    money::Amount,
    policy::condition::did_you_mean,
    policy::watch::{Breakdown, Watch, Watched},
};
use toml::{Spanned, de::DeValue};

/// Keys of every policy that watches.
const KEYS: &[&str] = &["name", "sweep", "then", "severity", "tell"];

impl Reader<'_> {
    pub(super) fn watch(&mut self, span: &Span, table: &Table<'_>, what: Watched) -> Option<Watch> {
        let keys: Vec<&'static str> = KEYS.iter().chain(what.keys()).copied().collect();
        self.only_keys(table, &keys, &format!("`{}` has", what.name()), |name| {
            format!("`{name}` is nothing that `{}` has", what.name())
        });
        let head = self.head(span);
        self.required(table, &head, &["name"], "", |_| "name = \"…\"".to_owned());
        if what == Watched::Budget {
            self.required(table, &head, &["monthly"], " of a budget", |_| "monthly = 12000".to_owned());
        }
        if what == Watched::OverQuota && !table.contains_key("count") && !table.contains_key("monthly_usd") {
            let help = "add `count = 100`, or `monthly_usd = 500`".to_owned();
            self.problem(&head, "a quota is of a count or of money, and there is neither".to_owned(), Some(help));
        }
        if let Some((then, span)) = self.text(table, "then")
            && then != "report"
        {
            let message = format!("`{}` watches, and has nothing to {then}", what.name());
            self.problem(&span, message, Some("write `then = \"report\"`, or leave it out".to_owned()));
        }
        let words: Vec<&'static str> = what.breakdowns().iter().map(|by| by.name()).collect();
        let by =
            self.word(table, "by", &words, |word| Breakdown::parse(word).filter(|by| what.breakdowns().contains(by)));
        let name = self.text(table, "name").map(|(name, _)| name.to_owned());
        let at = table.get("name").map_or(head, Spanned::span);
        let severity = self.severity(table);
        let owners = self.list(table, "owners").into_iter().map(|(name, _)| name.to_owned()).collect();
        let watch = Watch {
            what,
            clouds: self.clouds(table),
            accounts: self.accounts(table),
            owners,
            by: by.or_else(|| what.breakdowns().first().copied()),
            floor: self.amount(table, "floor").unwrap_or(what.floor()),
            monthly: self.amount(table, "monthly"),
            count: self.count(table),
            monthly_usd: self.amount(table, "monthly_usd"),
            classes: self.counted(table),
            share: self.share(table),
            severity: severity.unwrap_or(Severity::Ticket),
            tell: self.list(table, "tell").into_iter().map(|(name, _)| name.to_owned()).collect(),
            at: self.place(&at),
            name: name?,
        };
        let is_by_owner = watch.by == Some(Breakdown::Owner);
        if let (Watched::OverQuota, false, false, Some(span)) =
            (what, is_by_owner, watch.owners.is_empty(), span_of(table, "owners"))
        {
            let help = "leave `owners` out, or write `by = \"owner\"`".to_owned();
            self.problem(&span, "a quota of owners is by owner".to_owned(), Some(help));
        }
        if let (Watched::Budget, false, false, Some(span)) =
            (what, watch.owners.is_empty(), watch.accounts.is_empty(), span_of(table, "owners"))
        {
            let help = "write one policy for the owners and one for the accounts".to_owned();
            self.problem(&span, "a budget is of owners or of accounts", Some(help));
        }
        Some(watch)
    }

    pub(super) fn severity(&mut self, table: &Table<'_>) -> Option<Severity> {
        self.word(table, "severity", SEVERITIES, |name| match name {
            "info" => Some(Severity::Info),
            "ticket" => Some(Severity::Ticket),
            "page" => Some(Severity::Page),
            _ => None,
        })
    }

    /// An amount from 0: a number, or a decimal in quotes.
    pub(super) fn amount(&mut self, table: &Table<'_>, key: &str) -> Option<Amount> {
        let value = table.get(key)?;
        let text = match value.get_ref() {
            DeValue::Integer(number) => Some(number.to_string()),
            DeValue::Float(number) => Some(number.as_str().to_owned()),
            DeValue::String(text) => Some(text.to_string()),
            _ => None,
        };
        let amount = text.and_then(|text| Amount::parse(&text)).filter(|amount| *amount >= Amount::ZERO);
        if amount.is_none() {
            self.problem(&value.span(), format!("`{key}` is an amount from 0"), None);
        }
        amount
    }

    /// A number from 0.
    fn count(&mut self, table: &Table<'_>) -> Option<u64> {
        let value = table.get("count")?;
        let number = value.get_ref().as_integer().and_then(|number| number.as_str().parse().ok());
        if number.is_none() {
            self.problem(&value.span(), "`count` is a whole number from 0".to_owned(), None);
        }
        number
    }

    /// The classes that a quota counts.
    fn counted(&mut self, table: &Table<'_>) -> Vec<Class> {
        let words: Vec<&'static str> =
            Class::ALL.iter().filter(|class| **class != Class::Referrer).map(|class| class.name()).collect();
        let mut classes = Vec::new();
        for (name, span) in self.list(table, "classes") {
            if let Some(class) = Class::parse(name).filter(|class| *class != Class::Referrer) {
                classes.push(class);
            } else {
                let help = did_you_mean(name, words.iter().copied());
                let help = help.or_else(|| Some(format!("one of: {}", words.join(", "))));
                self.problem(&span, format!("unknown class `{name}`"), help);
            }
        }
        classes
    }

    fn share(&mut self, table: &Table<'_>) -> Option<u32> {
        let value = table.get("share")?;
        let parsed = value.get_ref().as_str().and_then(share).filter(|share| *share > 0);
        if parsed.is_none() {
            self.problem(&value.span(), "`share` is a percentage a day", Some("as in `share = \"5%\"`".to_owned()));
        }
        parsed
    }
}
