//! What subscriptions cost by day, as the query of Cost Management tells it.
//!
//! Each scope is asked twice, for what is amortised and for what is invoiced, a month at a time. A page holds a
//! thousand rows, and who does not follow `properties.nextLink` sees too little without being told; where a page was
//! full, the sum of the rows is held against the service's own. Facts: "Query - Usage" of the Cost Management REST
//! reference (2023-11-01), and "Manage costs with automation" on its quotas.

use crate::{
    arm::{self, Auth, Azure},
    transport::{Request, Service},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use sweeper_core::{
    calls::{Pages, Site},
    charges::{BillAsk, BillRow, BillSums, BillTold, Lane},
    kind::{CloudError, Fault, Held, Need},
    money::Amount,
};

pub(crate) const OP: &str = "Microsoft.CostManagement/query/action";
const API: &str = "2023-11-01";

/// What asking for the bill needs. It reads, though its name ends otherwise.
pub const BILL_NEEDS: &[Need] =
    &[Need { permission: OP, why: "to ask Cost Management what the subscriptions cost", held: Held::Account }];

/// Days that a daily query may be about.
const MOST_DAYS: usize = 31;
/// Rows of a full page.
const FULL: usize = 1000;

/// Whose costs are asked for.
#[derive(Clone, Debug)]
pub(crate) enum Of {
    Subscription(String),
    /// All below a management group, by its name.
    Group(String),
}

impl Of {
    fn path(&self) -> String {
        let scope = match self {
            Self::Subscription(id) => format!("/subscriptions/{id}"),
            Self::Group(name) => format!("/providers/Microsoft.Management/managementGroups/{name}"),
        };
        format!("{scope}/providers/Microsoft.CostManagement/query")
    }

    fn site(&self, azure: &Azure) -> Site {
        match self {
            Self::Subscription(id) => azure.site(id),
            Self::Group(_) => azure.tenant_site(),
        }
    }

    /// What is grouped by. A query of one subscription keeps to the two that the reference allows.
    fn grouping(&self) -> &'static [&'static str] {
        match self {
            Self::Subscription(_) => &["ServiceName", "ChargeType"],
            Self::Group(_) => &["SubscriptionId", "ServiceName", "ChargeType"],
        }
    }
}

/// Which of the two costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    /// With commitments spread over what they cover.
    Amortised,
    /// As invoiced.
    Actual,
}

#[derive(Serialize)]
struct Query<'a> {
    #[serde(rename = "type")]
    sort: &'static str,
    timeframe: &'static str,
    #[serde(rename = "timePeriod")]
    period: Period,
    dataset: Dataset<'a>,
}

#[derive(Serialize)]
struct Period {
    from: String,
    to: String,
}

#[derive(Serialize)]
struct Dataset<'a> {
    granularity: &'static str,
    aggregation: Map<String, Value>,
    grouping: Vec<BTreeMap<&'static str, &'a str>>,
}

fn query(sort: Sort, ask: BillAsk, granularity: &'static str, by: &[&str]) -> Result<bytes::Bytes, CloudError> {
    let last = ask.end.yesterday().map_err(|_| CloudError::new(Fault::Refused, OP, "no such day"))?;
    let mut aggregation = Map::new();
    aggregation.insert("totalCost".to_owned(), json!({ "name": "Cost", "function": "Sum" }));
    let grouping = by.iter().map(|name| BTreeMap::from([("type", "Dimension"), ("name", *name)])).collect();
    let sort = match sort {
        Sort::Amortised => "AmortizedCost",
        Sort::Actual => "ActualCost",
    };
    let period = Period { from: format!("{}T00:00:00Z", ask.first), to: format!("{last}T23:59:59Z") };
    let dataset = Dataset { granularity, aggregation, grouping };
    arm::json(OP, &Query { sort, timeframe: "Custom", period, dataset })
}

#[derive(Deserialize)]
struct Answer {
    properties: Table,
}

#[derive(Deserialize)]
struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
    #[serde(rename = "nextLink", default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

impl Table {
    /// Where a column is that goes by one of these names.
    fn at(&self, names: &[&str]) -> Result<usize, CloudError> {
        let is = |column: &Column| names.iter().any(|name| column.name.eq_ignore_ascii_case(name));
        self.columns.iter().position(is).ok_or_else(|| malformed(format!("an answer without the column {}", names[0])))
    }

    /// The cost of a row and its currency, exact as far as a double is.
    fn cost<'r>(&self, row: &'r [Value]) -> Result<(Amount, &'r str), CloudError> {
        let at = self.at(&["Cost", "PreTaxCost", "CostInBillingCurrency", "totalCost"])?;
        let amount = match row.get(at) {
            Some(Value::Number(number)) => Amount::parse(&number.to_string()),
            _ => None,
        };
        let amount = amount.ok_or_else(|| malformed("a cost that is no number"))?;
        Ok((amount, self.text(row, "Currency")?))
    }

    fn text<'r>(&self, row: &'r [Value], name: &str) -> Result<&'r str, CloudError> {
        match row.get(self.at(&[name])?) {
            Some(Value::String(text)) => Ok(text),
            Some(Value::Null) => Ok(""),
            _ => Err(malformed(format!("a row whose {name} is no text"))),
        }
    }
}

fn malformed(message: impl Into<String>) -> CloudError {
    CloudError::new(Fault::Malformed, OP, message)
}

/// The lane of a charge type. What is not known is an adjustment.
fn lane(charge: &str) -> Lane {
    match charge.to_ascii_lowercase().as_str() {
        "usage" => Lane::Usage,
        "purchase" | "unusedreservation" | "unusedsavingsplan" => Lane::Commitment,
        "refund" | "credit" => Lane::Credit,
        "tax" => Lane::Tax,
        _ => Lane::Correction,
    }
}

/// What the scopes cost, all of them, or an error.
pub(crate) async fn told(azure: &Azure, scopes: &[Of], ask: &BillAsk) -> Result<BillTold, CloudError> {
    let mut sums = BillSums::default();
    for of in scopes {
        for window in ask.windows(MOST_DAYS) {
            for sort in [Sort::Amortised, Sort::Actual] {
                Box::pin(pages(azure, of, &window, sort, &mut sums)).await?;
            }
        }
    }
    Ok(sums.told())
}

/// Sums by currency.
type Totals = BTreeMap<String, Amount>;

async fn pages(azure: &Azure, of: &Of, ask: &BillAsk, sort: Sort, sums: &mut BillSums) -> Result<(), CloudError> {
    let first = azure.url(OP, &of.path(), API)?;
    let body = query(sort, *ask, "Daily", of.grouping())?;
    let site = of.site(azure);
    let mut totals = Totals::new();
    let (mut full, mut pages) = (false, Pages::new(OP));
    while let Some(link) = pages.next() {
        let url = match link {
            None => first.clone(),
            Some(link) => azure.transport.link(Service::Arm, &first, &link).map_err(malformed)?,
        };
        // The next page is asked for with the same question.
        let request = Request::post(Service::Arm, url, body.clone());
        let reply = azure.send(&site, OP, request, Auth::Service).await.map_err(|error| hint(of, error))?;
        let table = arm::parsed::<Answer>(OP, &reply.body)?.properties;
        for values in &table.rows {
            let row = row(of, *ask, sort, &table, values)?;
            *totals.entry(row.currency.clone()).or_default() += row.effective + row.billed;
            sums.add(OP, row)?;
        }
        // Where nothing costs anything there may be no columns to miss.
        if table.columns.is_empty() {
            return Err(malformed("an answer without columns"));
        }
        full |= table.rows.len() >= FULL;
        pages.seen(table.next.as_deref())?;
    }
    if full { whole(azure, of, ask, sort, &totals).await } else { Ok(()) }
}

fn row(of: &Of, ask: BillAsk, sort: Sort, table: &Table, values: &[Value]) -> Result<BillRow, CloudError> {
    let (amount, currency) = table.cost(values)?;
    let day = match values.get(table.at(&["UsageDate"])?) {
        Some(Value::Number(day)) => day.to_string(),
        Some(Value::String(day)) => day.chars().filter(char::is_ascii_digit).take(8).collect(),
        _ => String::new(),
    };
    let dashed = match (day.get(..4), day.get(4..6), day.get(6..8)) {
        (Some(year), Some(month), Some(of_month)) if day.len() == 8 => format!("{year}-{month}-{of_month}"),
        _ => String::new(),
    };
    let day = ask.day(&dashed).ok_or_else(|| malformed(format!("{day:?} is no day that was asked about")))?;
    let account = match of {
        Of::Subscription(id) => id.clone(),
        Of::Group(_) => table.text(values, "SubscriptionId")?.to_owned(),
    };
    let (effective, billed) = match sort {
        Sort::Amortised => (amount, Amount::ZERO),
        Sort::Actual => (Amount::ZERO, amount),
    };
    Ok(BillRow {
        day,
        account,
        service: table.text(values, "ServiceName")?.to_owned(),
        lane: lane(table.text(values, "ChargeType")?),
        currency: currency.to_owned(),
        effective,
        billed,
    })
}

/// Whether rows that came in full pages are all there are: their sum is the one that the service makes itself.
async fn whole(azure: &Azure, of: &Of, ask: &BillAsk, sort: Sort, rows: &Totals) -> Result<(), CloudError> {
    let request = Request::post(Service::Arm, azure.url(OP, &of.path(), API)?, query(sort, *ask, "None", &[])?);
    let reply = azure.send(&of.site(azure), OP, request, Auth::Service).await?;
    let table = arm::parsed::<Answer>(OP, &reply.body)?.properties;
    let mut own = Totals::new();
    for values in &table.rows {
        let (amount, currency) = table.cost(values)?;
        *own.entry(currency.to_owned()).or_default() += amount;
    }
    for (currency, sum) in rows.iter().chain(&own) {
        let (rows, own) = [rows, &own].map(|totals| totals.get(currency).copied().unwrap_or_default()).into();
        // Doubles are added up there; and estimates move a little between two questions.
        let allowed = sum.pico().abs() / 1000 + Amount::from_pico(10_000_000_000).pico();
        if (rows - own).pico().abs() > allowed {
            let said =
                format!("its rows add up to {} {currency}, and it says that all cost {}", rows.cents(), own.cents());
            return Err(malformed(said));
        }
    }
    Ok(())
}

/// What to do about a scope that Cost Management refuses.
fn hint(of: &Of, mut error: CloudError) -> CloudError {
    if let (Of::Group(name), Fault::Refused | Fault::NotFound) = (of, error.fault) {
        error.message = format!(
            "{}; not every agreement has costs of a management group such as {name}: name the subscriptions instead",
            error.message
        );
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Config, connect,
        testing::{Canned, SUB, Server},
    };
    use std::{collections::BTreeSet, fmt::Write as _, sync::Arc, time::Duration};
    use sweeper_core::{
        calls::{Calls, Limits},
        clock::SystemClock,
        kind::Cloud,
    };
    use sweeper_emulator::{Emulator, Fault as Weather, FaultKind, Options, Org};

    const OTHER: &str = "22222222-2222-2222-2222-222222222222";

    fn organisation() -> String {
        let mut text = "[azure]\nroot = \"contoso\"\n".to_owned();
        for (id, ou) in [(SUB, "/Prod"), (OTHER, "/Lab")] {
            writeln!(text, "[[account]]\ncloud = \"azure\"\nid = \"{id}\"\nou = \"{ou}\"").unwrap();
        }
        let mut cost = |account: &str, rest: &str| {
            writeln!(text, "[[cost]]\naccount = \"{account}\"\ncurrency = \"EUR\"\n{rest}").unwrap();
        };
        cost(SUB, "service = \"Virtual Machines\"\neffective = \"1.1\"\nbilled = \"0\"");
        cost(
            SUB,
            "service = \"Virtual Machines\"\nword = \"Purchase\"\neffective = \"0\"\nbilled = \"40\"\nfirst = \"2026-06-01\"\nlast = \"2026-06-01\"",
        );
        cost(SUB, "service = \"Virtual Machines\"\ncharge = \"commitment\"\neffective = \"0.3\"\nbilled = \"0\"");
        cost(OTHER, "service = \"Storage\"\neffective = \"2.25\"");
        cost(OTHER, "charge = \"credit\"\neffective = \"-0.5\"");
        text
    }

    struct Stage {
        emulator: Emulator,
        cloud: Arc<dyn Cloud>,
        calls: Calls,
    }

    async fn stage(page: Option<usize>, config: Config) -> Stage {
        let options = Options { page, ..Options::new("2026-06-05T12:00:00Z".parse().unwrap()) };
        let emulator = Emulator::start(Org::parse(&organisation()).unwrap(), options).await.unwrap();
        let limits =
            Limits { backoff: Duration::from_millis(1), max_backoff: Duration::from_millis(2), ..Limits::default() };
        let calls = Calls::new(Arc::new(SystemClock::default()), limits);
        let cloud = connect(Config { endpoint: Some(emulator.url()), ..config }, calls.clone()).await;
        Stage { emulator, cloud, calls }
    }

    fn both() -> Config {
        Config { subscriptions: BTreeSet::from([SUB.to_owned(), OTHER.to_owned()]), ..Config::default() }
    }

    fn group(name: &str) -> Config {
        Config { management_group: Some(name.to_owned()), ..Config::default() }
    }

    fn ask() -> BillAsk {
        BillAsk { first: "2026-05-01".parse().unwrap(), end: "2026-06-05".parse().unwrap() }
    }

    fn asked(stage: &Stage) -> usize {
        stage.emulator.journal().iter().filter(|call| call.permission == OP).count()
    }

    #[tokio::test]
    async fn bills_say_what_is_amortised_and_what_is_invoiced() {
        let stage = stage(None, both()).await;
        let told = stage.cloud.bill(&ask()).await.unwrap();
        let first: Vec<String> = told
            .rows
            .iter()
            .filter(|row| row.day.to_string() == "2026-06-01")
            .map(|row| {
                format!("{} {} {} {} {}", &row.account[..1], row.service, row.lane.name(), row.effective, row.billed)
            })
            .collect();
        assert_eq!(
            first,
            [
                "1 Virtual Machines usage 1.1 0",
                "1 Virtual Machines commitment 0.3 40",
                "2  credit -0.5 -0.5",
                "2 Storage usage 2.25 2.25",
            ]
        );
        assert!(told.rows.iter().all(|row| row.currency == "EUR"));
        // Two subscriptions, two windows, two costs; nothing of it is paid.
        assert_eq!((asked(&stage), stage.calls.spent()), (8, Amount::ZERO));
    }

    #[tokio::test]
    async fn bills_follow_every_page_and_agree_with_those_of_the_group() {
        let whole = stage(None, both()).await.cloud.bill(&ask()).await.unwrap();
        for page in [1, 7, 50] {
            let paged = stage(Some(page), both()).await;
            assert_eq!(paged.cloud.bill(&ask()).await.unwrap(), whole);
            assert!(asked(&paged) >= whole.rows.len() / page);
        }
        let root = stage(Some(9), group("contoso")).await;
        assert_eq!(root.cloud.bill(&ask()).await.unwrap(), whole);
        assert!(root.emulator.journal().iter().all(|call| call.action == "Query_UsageOfManagementGroup"));
        let lab = stage(None, group("Lab")).await.cloud.bill(&ask()).await.unwrap();
        assert!(lab.rows.iter().all(|row| row.account == OTHER) && !lab.rows.is_empty());
    }

    #[tokio::test]
    async fn bills_wait_as_long_as_the_quotas_say() {
        let stage = stage(None, both()).await;
        let fault =
            Weather { service: Some("Microsoft.CostManagement".to_owned()), ..Weather::new(FaultKind::Throttle) };
        stage.emulator.set_faults(vec![Weather { times: Some(1), ..fault.clone() }]);
        let before = stage.calls.clock().mono();
        assert!(!stage.cloud.bill(&ask()).await.unwrap().rows.is_empty());
        assert!(stage.calls.clock().mono() >= before + Duration::from_secs(1), "the header asks for a second");
        assert_eq!(asked(&stage), 9);
    }

    #[tokio::test]
    async fn bills_are_whole_or_an_error() {
        let fault =
            |kind| Weather { service: Some("Microsoft.CostManagement".to_owned()), after: 1, ..Weather::new(kind) };
        for (kind, expected) in [
            (FaultKind::Denied, Fault::Denied),
            (FaultKind::WrongTenant, Fault::Unauthenticated),
            (FaultKind::RepeatToken, Fault::Malformed),
            (FaultKind::ForeignLink, Fault::Malformed),
            (FaultKind::EmptyOk, Fault::Malformed),
            (FaultKind::Malformed, Fault::Malformed),
            (FaultKind::Html, Fault::Malformed),
            (FaultKind::Error500, Fault::Transient),
        ] {
            let stage = stage(Some(5), both()).await;
            stage.emulator.set_faults(vec![fault(kind)]);
            assert_eq!(stage.cloud.bill(&ask()).await.unwrap_err().fault, expected, "{kind}");
        }
        let stage = stage(None, group("nowhere")).await;
        assert_eq!(stage.cloud.bill(&ask()).await.unwrap_err().fault, Fault::Denied);
    }

    /// A full page of a cent each that names no next one, where everything cost `total`.
    async fn cut(total: &'static str) -> Result<BillTold, CloudError> {
        let server = Server::start(move |asked| -> Canned {
            let rows = if asked.body.contains("\"Daily\"") {
                vec![r#"[0.01,20260601,"S","Usage","USD"]"#; FULL].join(",")
            } else {
                format!("[{total},\"USD\"]")
            };
            let columns = if asked.body.contains("\"Daily\"") {
                r#"{"name":"Cost"},{"name":"UsageDate"},{"name":"ServiceName"},{"name":"ChargeType"},{"name":"Currency"}"#
            } else {
                r#"{"name":"Cost"},{"name":"Currency"}"#
            };
            (200, String::new(), format!(r#"{{"properties":{{"nextLink":null,"columns":[{columns}],"rows":[{rows}]}}}}"#))
        })
        .await;
        let (azure, _) = server.azure();
        let ask = BillAsk { first: "2026-06-01".parse().unwrap(), end: "2026-06-02".parse().unwrap() };
        told(&azure, &[Of::Subscription(SUB.to_owned())], &ask).await
    }

    #[tokio::test]
    async fn bills_that_end_at_a_full_page_are_held_against_their_total() {
        let whole = cut("10.000000000000002").await.unwrap();
        assert_eq!(whole.rows[0].effective, Amount::whole(10));
        let error = cut("25.5").await.unwrap_err();
        assert_eq!(error.fault, Fault::Malformed);
        assert!(error.message.contains("add up to 10.00 USD") && error.message.contains("25.50"), "{error}");
    }

    #[tokio::test]
    async fn bills_read_columns_by_their_names() {
        for (columns, row, fine) in [
            (
                r#"["Currency","PreTaxCost","usagedate","ChargeType","ServiceName"]"#,
                r#"["USD",1,20260601,"Usage",null]"#,
                true,
            ),
            (r#"["Cost","UsageDate","ServiceName","Currency"]"#, r#"[1,20260601,"S","USD"]"#, false),
            (
                r#"["Cost","UsageDate","ServiceName","ChargeType","Currency"]"#,
                r#"["1",20260601,"S","Usage","USD"]"#,
                false,
            ),
            (
                r#"["Cost","UsageDate","ServiceName","ChargeType","Currency"]"#,
                r#"[1,20260701,"S","Usage","USD"]"#,
                false,
            ),
            (
                r#"["Cost","UsageDate","ServiceName","ChargeType","Currency"]"#,
                r#"[1,2026061,"S","Usage","USD"]"#,
                false,
            ),
            (r#"["Cost","UsageDate","ServiceName","ChargeType","Currency"]"#, r"[1]", false),
        ] {
            let names: Vec<String> = serde_json::from_str(columns).unwrap();
            let table = Table {
                columns: names.into_iter().map(|name| Column { name }).collect(),
                rows: Vec::new(),
                next: None,
            };
            let values: Vec<Value> = serde_json::from_str(row).unwrap();
            let read = super::row(&Of::Subscription(SUB.to_owned()), ask(), Sort::Actual, &table, &values);
            assert_eq!(read.is_ok(), fine, "{row}");
            if let Err(error) = read {
                assert_eq!(error.fault, Fault::Malformed);
            }
        }
    }
}
