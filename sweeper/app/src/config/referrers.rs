//! `[[referrers]]`: where it stands what is used elsewhere.

use super::{Reader, Span, Table, meant};
use std::{collections::BTreeSet, path::PathBuf};
use sweeper_core::{in_use::DEFAULT_MAX_AGE, model::CloudId};
use sweeper_store::Bucket;

const REFERRERS: &[&str] = &["name", "file", "max_age", "clouds", "accounts", "clusters"];

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    File(PathBuf),
    /// An object.
    Bucket(Bucket),
}

/// One `[[referrers]]`. Read anew by every run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// What it is called: its `name`, or its `file` as it was written.
    pub name: String,
    pub at: At,
    /// How old it may be, seconds.
    pub max_age: i64,
    /// What it speaks for. Empty: every cloud, every account.
    pub clouds: BTreeSet<CloudId>,
    pub accounts: Vec<String>,
    /// The clusters it speaks for. Empty: the one that it says it is of.
    pub clusters: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn referrer(&mut self, span: &Span, table: &Table<'_>, referrers: &mut Vec<Referrer>) {
        self.known(table, REFERRERS);
        let name = self.string(table, "name");
        let max_age = self
            .length(table, "max_age")
            .map_or(DEFAULT_MAX_AGE, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        let mut clouds = BTreeSet::new();
        for name in self.list(table, "clouds") {
            if let Some(cloud) = CloudId::parse(&name) {
                clouds.insert(cloud);
            } else if let Some(value) = table.get("clouds") {
                let known = CloudId::ALL.map(CloudId::name);
                let help = meant(&name, &known).unwrap_or_else(|| format!("one of: {}", known.join(", ")));
                self.problem(value.span(), format!("unknown cloud `{name}`"), Some(help));
            }
        }
        let (accounts, clusters) = (self.list(table, "accounts"), self.list(table, "clusters"));
        let Some(file) = self.string(table, "file") else {
            if !table.contains_key("file") {
                let help = "write `file = \"s3://BUCKET/in-use.json\"`; `sweeper in-use` makes one".to_owned();
                self.problem(span.clone(), "`[[referrers]]` needs `file`", Some(help));
            }
            return;
        };
        let at = match (Bucket::is_one(&file), table.get("file")) {
            (true, Some(value)) => match Bucket::parse(&file) {
                Ok(bucket) if bucket.is_object() => At::Bucket(bucket),
                Ok(_) => return self.wrong(value, format!("`{file}` names no object")),
                Err(why) => return self.wrong(value, why),
            },
            (_, Some(value)) if file.contains("://") => {
                let help = "a path, or s3://BUCKET/KEY, gs://BUCKET/KEY, az://ACCOUNT/CONTAINER/KEY".to_owned();
                return self.problem(value.span(), format!("`{file}` is no place that is read"), Some(help));
            }
            _ => At::File(self.beside.join(&file)),
        };
        referrers.push(Referrer { name: name.unwrap_or(file), at, max_age, clouds, accounts, clusters });
    }
}
