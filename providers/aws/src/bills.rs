//! What accounts cost by day, as Cost Explorer tells it.
//!
//! Two questions, each of which costs a cent a page: usage by service and account, and all else by record type and
//! account. The second asks for what the first left out, so that each charge is in one of them whatever its type is
//! called. Facts: Cost Explorer API reference, GetCostAndUsage, and the price list of AWS Cost Management.

use crate::{auth::Aws, fault};
use aws_sdk_costexplorer::types::{
    DateInterval, Dimension, DimensionValues, Expression, Granularity, Group, GroupDefinition, GroupDefinitionType,
};
use std::collections::BTreeSet;
use sweeper_core::{
    calls::{Pages, Price, Site},
    charges::{BillAsk, BillRow, BillSums, BillTold, Date, Lane},
    kind::{CloudError, Fault, Held, Need},
    money::Amount,
};

pub(crate) const OP: &str = "ce:GetCostAndUsage";

/// What asking for the bill needs.
pub const BILL_NEEDS: &[Need] =
    &[Need { permission: OP, why: "to ask Cost Explorer what the accounts cost", held: Held::Parent }];

/// Where Cost Explorer is, for every account of the partition `aws`.
pub(crate) const REGION: &str = "us-east-1";

/// A cent a request ("AWS Cost Management pricing"); a page is one.
const PRICE: Price = Price::PerThousand { usd: Amount::whole(10), units: 1 };

/// Amortised: with discounts of one's own where the account has such, and the same without them where it has none.
const EFFECTIVE: [&str; 2] = ["NetAmortizedCost", "AmortizedCost"];
const BILLED: &str = "UnblendedCost";

/// Record types that are usage, or that take from its price, in the spellings of the API and of the console.
const USAGE: &[&str] = &[
    "Usage",
    "DiscountedUsage",
    "Discounted Usage",
    "Reservation applied usage",
    "SavingsPlanCoveredUsage",
    "Savings Plan Covered Usage",
    "SavingsPlanNegation",
    "Savings Plan Negation",
    "Discount",
    "BundledDiscount",
    "Bundled Discount",
    "EdpDiscount",
    "Enterprise Discount Program Discount",
    "PrivateRateDiscount",
    "Private Rate Discount",
    "RiVolumeDiscount",
    "RI Volume Discount",
    "SppDiscount",
    "Solution Provider Program Discount",
];

/// The lane of a record type, however it is spelled. What is not known is an adjustment.
fn lane(record: &str) -> Lane {
    let word: String = record.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
    match word.as_str() {
        "usage" | "discountedusage" | "reservationappliedusage" | "savingsplancoveredusage" | "savingsplannegation" => {
            Lane::Usage
        }
        discount if discount.ends_with("discount") => Lane::Usage,
        "recurring" | "upfront" | "fee" | "rifee" | "subscription" | "otheroutofcyclecharges" => Lane::Commitment,
        fee if fee.ends_with("reservationfee") => Lane::Commitment,
        fee if fee.starts_with("savingsplan") && fee.ends_with("fee") => Lane::Commitment,
        "credit" | "refund" => Lane::Credit,
        "tax" | "support" | "supportfee" => Lane::Tax,
        _ => Lane::Correction,
    }
}

/// One of the two questions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    Usage,
    AllElse,
}

impl Question {
    /// What is grouped by, beside the account.
    fn dimension(self) -> Dimension {
        match self {
            Self::Usage => Dimension::Service,
            Self::AllElse => Dimension::RecordType,
        }
    }

    fn filter(self, only: &BTreeSet<String>) -> Expression {
        let usage = is_one_of(Dimension::RecordType, USAGE.iter().map(|word| (*word).to_owned()).collect());
        let records = match self {
            Self::Usage => usage,
            Self::AllElse => Expression::builder().not(usage).build(),
        };
        if only.is_empty() {
            return records;
        }
        let accounts = is_one_of(Dimension::LinkedAccount, only.iter().cloned().collect());
        Expression::builder().and(records).and(accounts).build()
    }
}

fn is_one_of(dimension: Dimension, values: Vec<String>) -> Expression {
    Expression::builder().dimensions(DimensionValues::builder().key(dimension).set_values(Some(values)).build()).build()
}

/// What the accounts cost; `only` names some of them, none is all. Every day asked about is in the answer, or there is
/// none.
pub(crate) async fn told(
    aws: &Aws,
    site: &Site,
    only: BTreeSet<String>,
    ask: &BillAsk,
) -> Result<BillTold, CloudError> {
    let mut sums = BillSums::default();
    for question in [Question::Usage, Question::AllElse] {
        Box::pin(pages(aws, site, (question, question.filter(&only)), ask, &mut sums)).await?;
    }
    Ok(sums.told())
}

async fn pages(
    aws: &Aws,
    site: &Site,
    (question, filter): (Question, Expression),
    ask: &BillAsk,
    sums: &mut BillSums,
) -> Result<(), CloudError> {
    let client = aws.costexplorer(site.scope());
    let interval = DateInterval::builder().start(ask.first.to_string()).end(ask.end.to_string()).build();
    let interval = interval.map_err(|error| CloudError::new(Fault::Refused, OP, error.to_string()))?;
    let by = |dimension: Dimension| {
        GroupDefinition::builder().r#type(GroupDefinitionType::Dimension).key(dimension.as_str()).build()
    };
    let mut seen: BTreeSet<Date> = BTreeSet::new();
    let mut pages = Pages::new(OP);
    while let Some(token) = pages.next() {
        let make = || {
            let sent = client
                .get_cost_and_usage()
                .time_period(interval.clone())
                .granularity(Granularity::Daily)
                .set_metrics(Some(EFFECTIVE.into_iter().chain([BILLED]).map(str::to_owned).collect()))
                .group_by(by(question.dimension()))
                .group_by(by(Dimension::LinkedAccount))
                .filter(filter.clone())
                .set_next_page_token(token.clone())
                .send();
            async move { Box::pin(sent).await.map_err(|error| meant(fault::of(OP, &error))) }
        };
        let page = site.paid(OP, PRICE, make).await?;
        for result in page.results_by_time() {
            let start = result.time_period().map(DateInterval::start).unwrap_or_default();
            let day = ask.day(start).ok_or_else(|| malformed(format!("{start:?} is no day that was asked about")))?;
            seen.insert(day);
            if result.estimated() {
                sums.estimated(day);
            }
            for group in result.groups() {
                sums.add(OP, row(question, day, group)?)?;
            }
        }
        pages.seen(page.next_page_token())?;
    }
    match ask.days().find(|day| !seen.contains(day)) {
        Some(day) => Err(malformed(format!("it leaves out {day}"))),
        None => Ok(()),
    }
}

fn malformed(message: impl Into<String>) -> CloudError {
    CloudError::new(Fault::Malformed, OP, message)
}

fn row(question: Question, day: Date, group: &Group) -> Result<BillRow, CloudError> {
    let [name, account] = group.keys() else {
        return Err(malformed(format!("a group of {day} without its two names")));
    };
    let metric = |names: &[&str]| {
        let metrics = group.metrics()?;
        let value = names.iter().find_map(|name| metrics.get(*name))?;
        Some((value.amount().and_then(Amount::parse)?, value.unit().unwrap_or_default()))
    };
    let (Some((effective, currency)), Some((billed, _))) = (metric(&EFFECTIVE), metric(&[BILLED])) else {
        return Err(malformed(format!("a group of {day} without its costs")));
    };
    let (service, lane) = match question {
        Question::Usage => (name.clone(), Lane::Usage),
        Question::AllElse => (String::new(), lane(name)),
    };
    let currency = currency.to_owned();
    Ok(BillRow { day, account: account.clone(), service, lane, currency, effective, billed })
}

/// What only Cost Explorer means by its errors.
fn meant(mut error: CloudError) -> CloudError {
    let code = error.message.split(':').next().unwrap_or_default();
    match code {
        // "You made too many calls in a short period of time."
        "LimitExceededException" => error.fault = Fault::Throttled,
        "DataUnavailableException" => {
            error.fault = Fault::NotOffered;
            error.message.push_str("; Cost Explorer has data a day after it was switched on");
        }
        "BillExpirationException" => error.fault = Fault::Refused,
        _ => {}
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Config, OrgConfig, connect};
    use std::{sync::Arc, time::Duration};
    use sweeper_core::{
        calls::{Calls, Limits},
        clock::SystemClock,
        kind::Cloud,
    };
    use sweeper_emulator::{Emulator, Fault as Weather, FaultKind, Options, Org};

    const ORG: &str = r#"
        [organization]
        id = "o-1"
        management = "111111111111"
        [[account]]
        id = "111111111111"
        [[account]]
        id = "222222222222"
        [[cost]]
        account = "111111111111"
        service = "Amazon Elastic Compute Cloud - Compute"
        effective = "10.123456789012"
        billed = "12"
        [[cost]]
        account = "111111111111"
        service = "Amazon Elastic Compute Cloud - Compute"
        word = "Enterprise Discount Program Discount"
        effective = "-1"
        [[cost]]
        account = "222222222222"
        service = "Amazon Simple Storage Service"
        effective = "0.5"
        [[cost]]
        account = "222222222222"
        charge = "commitment"
        word = "Recurring"
        effective = "3"
        billed = "4"
        [[cost]]
        account = "111111111111"
        charge = "credit"
        effective = "-2"
        [[cost]]
        account = "111111111111"
        charge = "tax"
        first = "2026-05-31"
        last = "2026-05-31"
        effective = "19"
        [[cost]]
        account = "111111111111"
        word = "SomethingNew"
        effective = "0.25"
    "#;

    struct Stage {
        emulator: Emulator,
        cloud: Arc<dyn Cloud>,
        calls: Calls,
    }

    async fn stage(page: Option<usize>, limits: Limits, org: Option<OrgConfig>) -> Stage {
        let options = Options { page, ..Options::new("2026-06-03T12:00:00Z".parse().unwrap()) };
        let emulator = Emulator::start(Org::parse(ORG).unwrap(), options).await.unwrap();
        let calls = Calls::new(Arc::new(SystemClock::default()), limits);
        let config = Config { endpoint: Some(emulator.url()), org, ..Config::default() };
        let cloud = connect(config, calls.clone()).await;
        Stage { emulator, cloud, calls }
    }

    fn quick() -> Limits {
        Limits { backoff: Duration::from_millis(1), max_backoff: Duration::from_millis(2), ..Limits::default() }
    }

    fn ask() -> BillAsk {
        BillAsk { first: "2026-05-30".parse().unwrap(), end: "2026-06-03".parse().unwrap() }
    }

    fn costs(told: &BillTold, day: &str) -> Vec<String> {
        let own = told.rows.iter().filter(|row| row.day.to_string() == day);
        own.map(|row| {
            let service = row.service.rsplit(' ').next().unwrap_or_default();
            format!("{} {service} {} {} {}", row.account, row.lane.name(), row.effective, row.billed)
        })
        .collect()
    }

    #[tokio::test]
    async fn bills_have_each_charge_in_one_lane() {
        let stage = stage(None, quick(), None).await;
        let told = stage.cloud.bill(&ask()).await.unwrap();
        assert_eq!(
            costs(&told, "2026-05-31"),
            [
                "111111111111  correction 0.25 0.25",
                "111111111111  credit -2 -2",
                "111111111111  tax 19 19",
                "111111111111 Compute usage 9.123456789012 11",
                "222222222222  commitment 3 4",
                "222222222222 Service usage 0.5 0.5",
            ]
        );
        assert_eq!(told.rows.len(), 4 * 5 + 1);
        let estimated: Vec<String> = told.estimated.iter().map(Date::to_string).collect();
        assert_eq!(estimated, ["2026-06-01", "2026-06-02"]);
        assert_eq!(stage.calls.spent().to_string(), "0.02");
        let journal = stage.emulator.journal();
        let asked: Vec<&str> = journal.iter().map(|call| call.permission.as_str()).collect();
        assert_eq!(asked, ["sts:GetCallerIdentity", OP, OP]);
        assert_eq!((journal[1].account.as_str(), journal[1].region.as_str()), ("111111111111", REGION));
    }

    #[tokio::test]
    async fn bills_come_in_pages_that_each_cost_a_cent() {
        let whole = stage(None, quick(), None).await.cloud.bill(&ask()).await.unwrap();
        for page in [1, 2, 3] {
            let stage = stage(Some(page), quick(), None).await;
            assert_eq!(stage.cloud.bill(&ask()).await.unwrap(), whole);
            let pages = 8_usize.div_ceil(page) + 13_usize.div_ceil(page);
            let asked = stage.emulator.journal().iter().filter(|call| call.permission == OP).count();
            assert_eq!(asked, pages);
            assert_eq!(stage.calls.spent(), Amount::from_pico(10_000_000_000).times(pages as i64));
        }
    }

    #[tokio::test]
    async fn bills_stop_at_the_budget() {
        let limits = Limits { max_api_usd: Amount::parse("0.03").unwrap(), ..quick() };
        let stage = stage(Some(1), limits, None).await;
        assert_eq!(stage.cloud.bill(&ask()).await.unwrap_err().fault, Fault::OutOfBudget);
        let asked = stage.emulator.journal().iter().filter(|call| call.permission == OP).count();
        assert_eq!((asked, stage.calls.spent().to_string()), (3, "0.03".to_owned()));
    }

    #[tokio::test]
    async fn bills_are_of_the_accounts_that_were_named() {
        let org = OrgConfig {
            role: "sweeper".to_owned(),
            write_role: None,
            external_id: None,
            accounts: BTreeSet::from(["222222222222".to_owned()]),
        };
        let told = stage(None, quick(), Some(org)).await.cloud.bill(&ask()).await.unwrap();
        assert!(told.rows.iter().all(|row| row.account == "222222222222") && told.rows.len() == 8);
    }

    #[tokio::test]
    async fn bills_are_whole_or_an_error() {
        let once = |kind| Weather { service: Some("ce".to_owned()), times: Some(1), ..Weather::new(kind) };
        let always = |kind| Weather { times: None, after: 1, ..once(kind) };
        let whole = stage(None, quick(), None).await.cloud.bill(&ask()).await.unwrap();
        for kind in [FaultKind::Throttle, FaultKind::Error500, FaultKind::Cut] {
            let stage = stage(Some(2), quick(), None).await;
            stage.emulator.set_faults(vec![once(kind)]);
            assert_eq!(stage.cloud.bill(&ask()).await.unwrap(), whole, "{kind}");
            // What is asked again is paid again.
            let asked = stage.emulator.journal().iter().filter(|call| call.permission == OP).count();
            assert_eq!(stage.calls.spent(), Amount::from_pico(10_000_000_000).times(asked as i64), "{kind}");
        }
        for (kind, fault) in [
            (FaultKind::Denied, Fault::Denied),
            (FaultKind::ExpiredToken, Fault::Unauthenticated),
            (FaultKind::RepeatToken, Fault::Malformed),
            (FaultKind::EmptyOk, Fault::Malformed),
            (FaultKind::Malformed, Fault::Malformed),
            (FaultKind::Html, Fault::Malformed),
            (FaultKind::Throttle, Fault::Throttled),
        ] {
            let stage = stage(Some(2), quick(), None).await;
            stage.emulator.set_faults(vec![always(kind)]);
            assert_eq!(stage.cloud.bill(&ask()).await.unwrap_err().fault, fault, "{kind}");
        }
    }

    #[test]
    fn bills_know_record_types_in_every_spelling() {
        for word in USAGE {
            assert_eq!(lane(word), Lane::Usage, "{word}");
        }
        for (word, expected) in [
            ("Recurring", Lane::Commitment),
            ("Recurring reservation fee", Lane::Commitment),
            ("RIFee", Lane::Commitment),
            ("SavingsPlanUpfrontFee", Lane::Commitment),
            ("Savings Plan Recurring Fee", Lane::Commitment),
            ("Refund", Lane::Credit),
            ("Support fee", Lane::Tax),
            ("Rounding", Lane::Correction),
        ] {
            assert_eq!(lane(word), expected, "{word}");
        }
    }
}
