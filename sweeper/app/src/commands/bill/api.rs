//! `sweeper bill --api`: the same comparison from what a cloud's own API says of its bill, where there is no export.
//!
//! Such an API tells a day's cost by service and account and no more, and two of the three are paid by the request, so
//! what one said is kept in the state for the day.

use super::{Args, Breakdown, Told, comparison, terms};
use crate::{
    clouds::{self, Choice},
    commands::{LookArgs, choice, cloud, remedy},
    config::Config,
    exit::{Exit, Failure},
    log,
    render::summary::counted,
    signs,
    state::{self, Place},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use sweeper_bill::{
    expected::plus,
    focus::{Bill, Charges, Lane},
    movement::{Compared, NONE, Question},
    rates::Rates,
};
use sweeper_core::{
    calls::{Calls, Limits},
    charges::{BillAsk, BillRow, BillTold},
    clock::{Clock, SystemClock},
    kind::{CloudError, Fault},
    model::CloudId,
    money::Amount,
    store::{Store, Version},
};

#[derive(Clone, Debug, Default, clap::Args)]
pub struct ApiArgs {
    /// Ask the cloud itself, where there is no export: Cost Explorer, Cost Management, or the billing export in
    /// BigQuery. Asked once a day: requests of the first and the last cost money
    #[arg(long, conflicts_with_all = ["focus", "survey", "planned"])]
    pub api: bool,
    /// With --api: ask again, whatever was told today
    #[arg(long, requires = "api")]
    pub refresh: bool,
    /// With --api: the cloud that is asked: aws, azure, gcp
    #[arg(long, value_name = "CLOUD", value_parser = cloud, requires = "api")]
    pub cloud: Option<CloudId>,
    /// With --api: where state is kept, as for `sweeper report`
    #[arg(long, value_name = "URL", env = "SWEEPER_STATE")]
    pub state: Option<String>,
}

/// What only an export of the bill can tell.
fn needs_export(what: &str) -> Failure {
    Failure::usage(format!("{what} needs an export of the bill: the cloud's API tells services and accounts only"))
        .help("have one written by the cloud, and name it with --focus")
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    if args.explain {
        return Err(needs_export("--explain"));
    }
    let by_account = match args.by {
        Breakdown::Service => false,
        Breakdown::Account => true,
        Breakdown::Region | Breakdown::Resource | Breakdown::Owner => return Err(needs_export("this breakdown")),
    };
    let config = Config::find(args.config.as_deref())?;
    let (terms, compared) = (terms(&args, &config.bill)?, Compared::from(args.window));
    let look = LookArgs {
        cloud: args.api.cloud.into_iter().collect(),
        config: args.config.clone(),
        state: args.api.state.clone(),
        ..LookArgs::default()
    };
    // No policy says anything of a bill.
    let choice = choice(&look, &config, &signs::of_environment())?;
    let cloud = the_one(&choice)?;
    let limits = Limits { deadline: config.deadline, ..config.limits.clone() };
    let state = state::place(look.state.as_deref(), &config)?;
    let ask = BillAsk { first: Question::new(args.by.into(), compared, &terms).range().from, end: terms.today };
    let told = Asking { choice, limits, state, cloud, ask, refresh: args.api.refresh }.told().await?;
    if !told.estimated.is_empty() {
        let days = counted(told.estimated.len() as u64, "day");
        log::say(&format!("{} calls the costs of {days} estimated: they may still change", cloud.name()));
    }
    let bill = bill(told, by_account, &config.bill.rates)?;
    let report = comparison(compared, &bill, &terms);
    Told { report: &report, bill: &bill, story: None, explain: false }.write(args.format, args.output.as_deref())
}

/// The cloud that is asked.
fn the_one(choice: &Choice) -> Result<CloudId, Failure> {
    let chosen: Vec<CloudId> = clouds::BUILT
        .iter()
        .copied()
        .filter(|cloud| choice.clouds.is_empty() || choice.clouds.contains(cloud))
        .collect();
    match (chosen.as_slice(), choice.clouds.iter().next()) {
        ([one], _) => Ok(*one),
        ([], Some(other)) => Err(Failure::usage(format!("this build cannot look at {}", other.name()))),
        _ => Err(Failure::usage("--api asks one cloud").help("name it: --cloud aws, --cloud azure or --cloud gcp")),
    }
}

/// What was asked: an answer to anything else is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    /// The account or name of who asked.
    by: String,
    /// The first day and the one after the last, which is the day of the run.
    days: (String, String),
    accounts: BTreeSet<String>,
    /// What holds the accounts, or the billing export.
    of: Vec<String>,
}

/// An answer as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// `sweeper.bill-told/1`.
    format: String,
    asked: Asked,
    /// Day, account, service, lane, currency, effective and billed.
    rows: Vec<(String, String, String, Lane, String, Amount, Amount)>,
    estimated: Vec<String>,
}

const FORMAT: &str = "sweeper.bill-told/1";

impl Kept {
    fn of(asked: Asked, told: &BillTold) -> Self {
        let rows = told.rows.iter().cloned().map(|row| {
            let BillRow { day, account, service, lane, currency, effective, billed } = row;
            (day.to_string(), account, service, lane, currency, effective, billed)
        });
        let estimated = told.estimated.iter().map(ToString::to_string).collect();
        Self { format: FORMAT.to_owned(), asked, rows: rows.collect(), estimated }
    }

    /// What was told, if it is the answer to this; anything that cannot be read is not.
    fn answer(self, asked: &Asked) -> Option<BillTold> {
        if self.format != FORMAT || self.asked != *asked {
            return None;
        }
        let rows = self.rows.into_iter().map(|(day, account, service, lane, currency, effective, billed)| {
            Some(BillRow { day: day.parse().ok()?, account, service, lane, currency, effective, billed })
        });
        let estimated = self.estimated.iter().map(|day| day.parse().ok());
        Some(BillTold { rows: rows.collect::<Option<_>>()?, estimated: estimated.collect::<Option<_>>()? })
    }
}

struct Asking {
    choice: Choice,
    limits: Limits,
    state: Option<Place>,
    cloud: CloudId,
    ask: BillAsk,
    refresh: bool,
}

impl Asking {
    fn key(&self) -> String {
        format!("bill/told/{}", self.cloud.name())
    }

    /// What the cloud says, or said earlier today.
    async fn told(&self) -> Result<BillTold, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let calls = Calls::new(clock, self.limits.clone());
        let mut choice = self.choice.clone();
        choice.clouds = BTreeSet::from([self.cloud]);
        let connected = clouds::connect(&choice, &calls).await?;
        let cloud = connected.first().ok_or_else(|| Failure::new(Exit::Bug, "no cloud was connected"))?;
        let who = cloud.identity().await.map_err(|error| self.failed(&error))?;
        let asked = self.asked(who.map(|who| who.name).unwrap_or_default());
        let store = self.state.as_ref().and_then(|place| {
            let opened = state::open(place);
            opened.map_err(|error| log::warn(&format!("what the cloud says is not kept: {error}"))).ok()
        });
        let kept = store.as_deref().and_then(|store| self.kept(store));
        let version = kept.as_ref().map(|(_, version)| *version);
        if !self.refresh
            && let Some(told) = kept.and_then(|(kept, _)| kept?.answer(&asked))
        {
            log::say("asked already today: 0 requests, $0 (--refresh asks again)");
            return Ok(told);
        }
        let told = cloud.bill(&self.ask).await;
        log::say(&self.cost(&calls));
        let told = told.map_err(|error| self.failed(&error))?;
        if let Some(store) = &store {
            self.keep(store.as_ref(), &Kept::of(asked, &told), version);
        }
        Ok(told)
    }

    fn asked(&self, who: String) -> Asked {
        let choice = &self.choice;
        // The name of a session differs from run to run, the account of its role does not.
        let by = match (self.cloud, who.split(':').nth(4)) {
            (CloudId::Aws, Some(account)) => account.to_owned(),
            _ => who,
        };
        let of = match self.cloud {
            CloudId::Aws => choice.org.as_ref().map(|org| org.role.clone()),
            CloudId::Azure => choice.management_group.clone(),
            CloudId::Gcp => choice.billing_table.clone(),
        };
        Asked {
            by,
            days: (self.ask.first.to_string(), self.ask.end.to_string()),
            accounts: choice.accounts.get(&self.cloud).cloned().unwrap_or_default(),
            of: of.into_iter().collect(),
        }
    }

    /// What was kept last, where it can be read, and its version.
    fn kept(&self, store: &dyn Store) -> Option<(Option<Kept>, Version)> {
        match store.get(&self.key()) {
            Ok(found) => found.map(|(bytes, version)| (serde_json::from_slice(&bytes).ok(), version)),
            Err(error) => {
                log::warn(&format!("what the cloud said before cannot be read: {error}"));
                None
            }
        }
    }

    fn keep(&self, store: &dyn Store, kept: &Kept, version: Option<Version>) {
        let stored = serde_json::to_vec(kept)
            .map_err(|error| error.to_string())
            .and_then(|bytes| store.put_if(&self.key(), &bytes, version).map_err(|error| error.to_string()));
        if let Err(error) = stored {
            log::warn(&format!("what the cloud says is not kept: {error}"));
        }
    }

    /// `2 requests, $0.02`.
    fn cost(&self, calls: &Calls) -> String {
        let needs = clouds::bill_needs(self.cloud);
        let journal = calls.journal();
        let own = journal.iter().filter(|((_, op), _)| needs.iter().any(|need| need.permission == *op));
        let (requests, usd) =
            own.fold((0, Amount::ZERO), |(requests, usd), (_, tally)| (requests + tally.calls, usd + tally.usd));
        format!("{}, ${usd}", counted(requests, "request"))
    }

    fn failed(&self, error: &CloudError) -> Failure {
        let said = format!("failed to ask {} for its bill: {error}", self.cloud.name());
        match error.fault {
            Fault::OutOfBudget => Failure::usage(said)
                .help("`max_api_usd` under [limits] says what a run may cost; fewer accounts or an export cost less"),
            Fault::Unauthenticated => Failure::usage(format!("{said}{}", remedy(self.cloud, error))),
            Fault::Denied => Failure::new(Exit::Blind, said).help(format!(
                "`sweeper permissions --cloud {} --bill` writes the role that it needs",
                self.cloud.name()
            )),
            Fault::Refused | Fault::NotOffered => {
                Failure::usage(said).help("an export of the bill, with --focus, needs no API")
            }
            _ => Failure::new(Exit::Blind, said),
        }
    }
}

/// The bill that an answer is, by service or by account.
fn bill(mut told: BillTold, by_account: bool, rates: &Rates) -> Result<Bill, Failure> {
    let (mut converted, mut left_out) = (BTreeSet::new(), BTreeSet::new());
    told.rows.retain_mut(|row| {
        let amount = |amount| rates.convert(&row.currency, row.day, amount);
        match amount(row.effective).and_then(|effective| Ok(effective.zip(amount(row.billed)?))) {
            Ok(None) => true,
            Ok(Some((effective, billed))) => {
                (row.effective, row.billed) = (effective, billed);
                converted.insert(std::mem::replace(&mut row.currency, rates.to().to_owned()));
                true
            }
            Err(why) => {
                left_out.insert(why);
                false
            }
        }
    });
    for why in &left_out {
        log::warn(&format!("charges are left out: {why}"));
    }
    let days = || told.rows.iter().map(|row| row.day);
    let held = days().min().zip(days().max().map(|last| plus(last, 1)));
    let held = held.map_or_else(Vec::new, |(first, end)| rates.holding(&converted, first, end));
    let currencies: BTreeSet<&str> = told.rows.iter().map(|row| row.currency.as_str()).collect();
    if currencies.len() > 1 {
        let all: Vec<&str> = currencies.into_iter().collect();
        return Err(Failure::usage(format!("the bill is in {}, and only one currency is compared", all.join(" and ")))
            .help("name accounts of one currency in the config, or rates: `[[bill.rate]]`"));
    }
    let currency = currencies.first().map(|currency| (*currency).to_owned());
    let mut bill = Bill { currency, rates: held, ..Bill::default() };
    let mut usage: BTreeMap<String, BTreeMap<_, Charges>> = BTreeMap::new();
    for row in &told.rows {
        let charges = Charges { effective: row.effective, billed: row.billed };
        *bill.lanes.entry(row.lane).or_default().entry(row.day).or_default() += charges;
        if row.lane == Lane::Usage {
            *bill.rows.entry(row.day).or_default() += 1;
            let name = if by_account { &row.account } else { &row.service };
            let name = if name.is_empty() { NONE } else { name.as_str() };
            *usage.entry(name.to_owned()).or_default().entry(row.day).or_default() += charges;
        }
    }
    bill.usage = usage;
    Ok(bill)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweeper_bill::rates::{self, Rate};

    fn row(day: &str, service: &str, lane: Lane, currency: &str, effective: i64) -> BillRow {
        BillRow {
            day: day.parse().unwrap(),
            account: "a".to_owned(),
            service: service.to_owned(),
            lane,
            currency: currency.to_owned(),
            effective: Amount::whole(effective),
            billed: Amount::ZERO,
        }
    }

    fn asked(today: &str) -> Asked {
        Asked {
            by: "111111111111".to_owned(),
            days: ("2026-09-01".to_owned(), today.to_owned()),
            accounts: BTreeSet::new(),
            of: Vec::new(),
        }
    }

    #[test]
    fn an_answer_is_a_bill() {
        let told = BillTold {
            rows: vec![
                row("2026-09-01", "", Lane::Usage, "USD", 1),
                row("2026-09-01", "S", Lane::Usage, "USD", 2),
                row("2026-09-01", "", Lane::Tax, "USD", 4),
            ],
            estimated: Vec::new(),
        };
        let by_service = bill(told.clone(), false, &Rates::default()).unwrap();
        let day = "2026-09-01".parse().unwrap();
        assert_eq!(by_service.usage.keys().collect::<Vec<_>>(), ["(none)", "S"]);
        assert_eq!((by_service.rows[&day], by_service.usage_by_day()[&day]), (2, Amount::whole(3)));
        assert_eq!(by_service.lanes[&Lane::Tax][&day].effective, Amount::whole(4));
        assert_eq!(bill(told, true, &Rates::default()).unwrap().usage.keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn currencies_are_never_added_up() {
        let rows = vec![row("2026-09-01", "S", Lane::Usage, "EUR", 1), row("2026-09-01", "S", Lane::Usage, "USD", 1)];
        let told = BillTold { rows, estimated: Vec::new() };
        assert!(bill(told.clone(), false, &Rates::default()).unwrap_err().message.contains("EUR and USD"));
        let rate = |on: &str| {
            let rate = Rate { from: "EUR".to_owned(), on: on.parse().unwrap(), rate: Amount::parse("1.5").unwrap() };
            bill(told.clone(), false, &Rates::new("USD", vec![rate])).unwrap()
        };
        let (day, converted) = ("2026-09-01".parse().unwrap(), rate("2026-08-01"));
        assert_eq!(converted.usage_by_day()[&day], Amount::parse("2.5").unwrap());
        assert_eq!(rates::said(&converted.rates), "EUR at 1.5 of 2026-08-01");
        let later = rate("2026-09-02");
        assert_eq!((later.usage_by_day()[&day], later.rates), (Amount::whole(1), Vec::new()), "it is left out");
    }

    #[test]
    fn what_is_kept_answers_the_same_question_on_the_same_day() {
        let told = BillTold {
            rows: vec![row("2026-09-01", "S", Lane::Usage, "USD", 2)],
            estimated: vec!["2026-09-01".parse().unwrap()],
        };
        let kept = || -> Kept {
            serde_json::from_slice(&serde_json::to_vec(&Kept::of(asked("2026-10-01"), &told)).unwrap()).unwrap()
        };
        assert_eq!(kept().answer(&asked("2026-10-01")), Some(told.clone()));
        assert_eq!(kept().answer(&asked("2026-10-02")), None);
        let other = Asked { by: "222222222222".to_owned(), ..asked("2026-10-01") };
        assert_eq!(kept().answer(&other), None);
    }
}
