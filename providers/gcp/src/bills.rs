//! What projects cost by day, as the billing export in BigQuery tells it: one query, tried dry first.
//!
//! Google Cloud has no other API of its bill. The dry run is free and says how much the query would read, which is its
//! price; the limit of bytes then holds it to that. Facts: `jobs.query` and `jobs.getQueryResults` of the BigQuery REST
//! reference (v2), "Structure of standard and detailed data export", "Structure of FOCUS data export", and BigQuery's
//! price list (on demand, $6.25 a TiB; the free TiB a month is not counted on).

use crate::{
    auth::{Config, Gcp},
    rest::{Request, Service, segment},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use sweeper_core::{
    calls::{Pages, Price, Site},
    charges::{BillAsk, BillRow, BillSums, BillTold, Lane},
    kind::{CloudError, Fault, Held, Need},
    money::Amount,
};

pub(crate) const OP: &str = "bigquery.jobs.create";
const DATA: &str = "bigquery.tables.getData";

/// What asking for the bill needs, in the project that has the billing export.
pub const BILL_NEEDS: &[Need] = &[
    Need { permission: OP, why: "to query the billing export in BigQuery", held: Held::Account },
    Need { permission: DATA, why: "to read the billing export in BigQuery", held: Held::Account },
];

const MIB: u64 = 1 << 20;
/// US dollars a thousand MiB, rounded up: $6.25 a TiB.
const A_THOUSAND_MIB: Amount = Amount::from_pico(5_960_464_478);
/// A query is billed at least so much a table.
const LEAST: u64 = 10 * MIB;
/// The most that a query may be billed, unless the configuration says otherwise.
const MOST: u64 = 10 << 30;
/// Rows a page: far below the 10 MB that an answer may have.
const PAGE: u32 = 5000;
/// How long BigQuery is asked to wait for a query before it answers that it still runs, milliseconds.
const PATIENCE_MS: u32 = 10_000;
/// How often a query that runs is asked about.
const MOST_POLLS: u32 = 60;

/// A table that holds a billing export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) project: String,
    dataset: String,
    name: String,
    most: u64,
}

/// The table that the configuration names.
pub(crate) fn table(config: &Config) -> Result<Table, CloudError> {
    let Some(named) = &config.billing_table else {
        let message = "Google Cloud tells what projects cost in a billing export in BigQuery only: \
                       name its table, `billing_table = \"project.dataset.table\"` under [gcp]";
        return Err(CloudError::new(Fault::NotOffered, OP, message));
    };
    // The name stands in the text of the query, where nothing of it may end the quotes.
    let plain = |name: &str, more: &str| {
        !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || more.contains(letter))
    };
    // The projects of a domain have a colon and dots in their ids.
    let mut parts = named.rsplitn(3, '.');
    let (name, dataset, project) = (parts.next(), parts.next(), parts.next());
    match (project, dataset, name) {
        (Some(project), Some(dataset), Some(name))
            if plain(project, "-.:") && plain(dataset, "_") && plain(name, "_-") =>
        {
            Ok(Table {
                project: project.to_owned(),
                dataset: dataset.to_owned(),
                name: name.to_owned(),
                most: config.billing_bytes.unwrap_or(MOST),
            })
        }
        _ => {
            let shown: String = named.chars().filter(|letter| !letter.is_control()).take(100).collect();
            let message = format!("billing_table under [gcp] is no project.dataset.table: {shown:?}");
            Err(CloudError::new(Fault::Refused, OP, message))
        }
    }
}

impl Table {
    fn is_focus(&self) -> bool {
        self.name.to_ascii_lowercase().contains("focus")
    }

    /// The question, one row a day, project, service, lane and currency. Amounts are exact decimals as text.
    fn query(&self) -> String {
        let Self { project, dataset, name, .. } = self;
        let select = if self.is_focus() { FOCUS } else { NATIVE };
        select.replace("{table}", &format!("`{project}.{dataset}.{name}`"))
    }
}

/// Of the export of detailed or standard usage. A row's cost is before its credits, which are of two sorts: what takes
/// from the price of usage (discounts, commitments, free tiers) and what is given (promotions). It amortises nothing, so
/// what is effective is what is billed. Partitioned by the day of export.
const NATIVE: &str = "\
SELECT
  FORMAT_DATE('%F', DATE(usage_start_time)) AS day,
  IFNULL(project.id, '') AS account,
  IFNULL(service.description, '') AS service,
  part.lane AS lane,
  currency AS currency,
  CAST(SUM(part.amount) AS STRING) AS effective,
  CAST(SUM(part.amount) AS STRING) AS billed
FROM {table}, UNNEST([
  STRUCT(
    CASE
      WHEN cost_type = 'tax' THEN 'tax'
      WHEN cost_type != 'regular' THEN 'correction'
      WHEN STARTS_WITH(sku.description, 'Commitment') THEN 'commitment'
      ELSE 'usage'
    END AS lane,
    CAST(cost AS BIGNUMERIC) + IFNULL((
      SELECT SUM(CAST(c.amount AS BIGNUMERIC)) FROM UNNEST(credits) AS c WHERE IFNULL(c.type, '') != 'PROMOTION'
    ), 0) AS amount
  ),
  STRUCT('credit' AS lane, IFNULL((
    SELECT SUM(CAST(c.amount AS BIGNUMERIC)) FROM UNNEST(credits) AS c WHERE c.type = 'PROMOTION'
  ), 0) AS amount)
]) AS part
WHERE _PARTITIONDATE >= @exported AND usage_start_time >= TIMESTAMP(@first) AND usage_start_time < TIMESTAMP(@end)
GROUP BY 1, 2, 3, 4, 5
HAVING part.lane != 'credit' OR SUM(part.amount) != 0
ORDER BY 1, 2, 3, 4, 5";

/// Of the FOCUS export, whose columns the specification names.
const FOCUS: &str = "\
SELECT
  FORMAT_DATE('%F', DATE(ChargePeriodStart)) AS day,
  IFNULL(SubAccountId, '') AS account,
  IFNULL(ServiceName, '') AS service,
  CASE
    WHEN ChargeClass = 'Correction' THEN 'correction'
    WHEN ChargeCategory = 'Tax' THEN 'tax'
    WHEN ChargeCategory = 'Credit' THEN 'credit'
    WHEN ChargeCategory = 'Purchase' THEN 'commitment'
    WHEN ChargeCategory = 'Adjustment' THEN 'correction'
    WHEN CommitmentDiscountStatus = 'Unused' THEN 'commitment'
    ELSE 'usage'
  END AS lane,
  BillingCurrency AS currency,
  CAST(SUM(CAST(EffectiveCost AS BIGNUMERIC)) AS STRING) AS effective,
  CAST(SUM(CAST(BilledCost AS BIGNUMERIC)) AS STRING) AS billed
FROM {table}
WHERE ChargePeriodStart >= TIMESTAMP(@first) AND ChargePeriodStart < TIMESTAMP(@end)
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5";

/// The columns, in the order in which a row is read.
const COLUMNS: [&str; 7] = ["day", "account", "service", "lane", "currency", "effective", "billed"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DryRun {
    total_bytes_processed: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    job_complete: bool,
    #[serde(default)]
    job_reference: Option<JobReference>,
    #[serde(default)]
    schema: Option<Schema>,
    #[serde(default)]
    rows: Vec<Cells>,
    #[serde(default)]
    page_token: Option<String>,
    #[serde(default)]
    total_rows: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobReference {
    job_id: String,
    #[serde(default)]
    location: Option<String>,
}

#[derive(Deserialize)]
struct Schema {
    #[serde(default)]
    fields: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
}

#[derive(Deserialize)]
struct Cells {
    f: Vec<Cell>,
}

#[derive(Deserialize)]
struct Cell {
    v: Option<String>,
}

fn malformed(message: impl Into<String>) -> CloudError {
    CloudError::new(Fault::Malformed, OP, message)
}

fn body(table: &Table, ask: BillAsk, dry: bool, id: &str) -> Value {
    // Rows are exported after their usage, some of them weeks after, so there is no last partition; and none is exported
    // before, but a partition's day need not be UTC's.
    let exported = ask.first.yesterday().unwrap_or(ask.first);
    let mut days = vec![("first", ask.first), ("end", ask.end)];
    if !table.is_focus() {
        days.push(("exported", exported));
    }
    let parameters: Vec<Value> = days
        .into_iter()
        .map(|(name, day)| {
            json!({
                "name": name,
                "parameterType": { "type": "DATE" },
                "parameterValue": { "value": day.to_string() },
            })
        })
        .collect();
    let mut body = json!({
        "query": table.query(),
        "useLegacySql": false,
        "parameterMode": "NAMED",
        "queryParameters": parameters,
        "maximumBytesBilled": table.most.to_string(),
        "maxResults": PAGE,
        "timeoutMs": PATIENCE_MS,
        "dryRun": dry,
    });
    if !dry {
        // One that is sent again is not run again.
        body["requestId"] = json!(id);
    }
    body
}

/// The price of a query by what it reads.
fn price(bytes: u64) -> Price {
    Price::PerThousand { usd: A_THOUSAND_MIB, units: bytes.max(LEAST).div_ceil(MIB) }
}

/// What the export says, every page, or an error.
pub(crate) async fn told(gcp: &Gcp, site: &Site, table: &Table, ask: &BillAsk) -> Result<BillTold, CloudError> {
    let path = format!("/bigquery/v2/projects/{}/queries", segment(&table.project));
    // Of this question alone: the service keeps the answer to an id for a quarter of an hour.
    let id = format!("sweeper-{}-{}-{}", site.clock().wall().0, ask.first, ask.end);
    let post = |dry| Request::post(Service::BigQuery, path.clone(), Some(body(table, *ask, dry, &id)));
    let dry: DryRun = gcp.one(site, OP, post(true)).await.map_err(|error| meant(table, error))?;
    let bytes: u64 = dry.total_bytes_processed.parse().map_err(|_| malformed("a dry run without its bytes"))?;
    if bytes.max(LEAST) > table.most {
        return Err(too_dear(table, bytes));
    }
    let started: Answer = gcp.paid(site, OP, price(bytes), post(false)).await.map_err(|error| meant(table, error))?;
    let job = started.job_reference.clone().ok_or_else(|| malformed("a query without its job"))?;
    let results = |token: Option<&str>| {
        let mut request = Request::get(Service::BigQuery, format!("{path}/{}", segment(&job.job_id)))
            .with("maxResults", &PAGE.to_string())
            .with("timeoutMs", &PATIENCE_MS.to_string());
        if let Some(location) = &job.location {
            request = request.with("location", location);
        }
        if let Some(token) = token {
            request = request.with("pageToken", token);
        }
        request
    };
    let mut answer = started;
    let mut polls = 0;
    while !answer.job_complete {
        if polls == MOST_POLLS {
            return Err(CloudError::new(Fault::OutOfTime, OP, "the query of the billing export is not done"));
        }
        // It has waited itself; where it has not, this does.
        let clock = site.clock();
        clock.sleep_until(clock.mono() + Duration::from_millis(50 << polls.min(6))).await;
        polls += 1;
        answer = gcp.one(site, OP, results(None)).await.map_err(|error| meant(table, error))?;
    }
    let mut sums = BillSums::default();
    let (mut received, mut total) = (0_u64, None);
    let mut pages = Pages::new(OP);
    loop {
        let columns = columns(&answer)?;
        received += answer.rows.len() as u64;
        total = answer.total_rows.as_deref().and_then(|rows| rows.parse::<u64>().ok()).or(total);
        for cells in &answer.rows {
            sums.add(OP, row(*ask, &columns, cells)?)?;
        }
        pages.seen(answer.page_token.as_deref())?;
        let Some(Some(token)) = pages.next() else { break };
        answer = gcp.one(site, OP, results(Some(&token))).await.map_err(|error| meant(table, error))?;
        if !answer.job_complete {
            return Err(malformed("a query that was done runs again"));
        }
    }
    if total != Some(received) {
        return Err(malformed("it counts more rows than it gives, or fewer"));
    }
    Ok(sums.told())
}

/// Where each column is.
fn columns(answer: &Answer) -> Result<[usize; COLUMNS.len()], CloudError> {
    let fields = answer.schema.as_ref().map_or(&[][..], |schema| &schema.fields);
    let mut at = [0; COLUMNS.len()];
    for (at, name) in at.iter_mut().zip(COLUMNS) {
        let found = fields.iter().position(|field| field.name == name);
        *at = found.ok_or_else(|| malformed(format!("an answer without the column {name}")))?;
    }
    Ok(at)
}

fn row(ask: BillAsk, columns: &[usize; COLUMNS.len()], cells: &Cells) -> Result<BillRow, CloudError> {
    let cell = |at: usize| cells.f.get(columns[at]).and_then(|cell| cell.v.as_deref()).unwrap_or_default();
    let day = ask.day(cell(0)).ok_or_else(|| malformed(format!("{:?} is no day that was asked about", cell(0))))?;
    let amount = |at: usize| Amount::parse(cell(at)).ok_or_else(|| malformed(format!("a cost of {day} that is none")));
    Ok(BillRow {
        day,
        account: cell(1).to_owned(),
        service: cell(2).to_owned(),
        lane: Lane::parse(cell(3)).ok_or_else(|| malformed(format!("a cost of {day} in no lane")))?,
        currency: cell(4).to_owned(),
        effective: amount(5)?,
        billed: amount(6)?,
    })
}

fn too_dear(table: &Table, bytes: u64) -> CloudError {
    let gib = |bytes: u64| bytes.div_ceil(1 << 30);
    let message = format!(
        "the query would read {} GiB of the billing export, and may read {}: `billing_bytes` under [gcp] says how much",
        gib(bytes.max(LEAST)),
        gib(table.most)
    );
    CloudError::new(Fault::OutOfBudget, OP, message)
}

/// What errors of a query mean of the table.
fn meant(table: &Table, mut error: CloudError) -> CloudError {
    if error.message.contains("limit for bytes billed") {
        error.fault = Fault::OutOfBudget;
        error.message.push_str("; `billing_bytes` under [gcp] says how much it may read");
    } else if error.fault == Fault::NotFound {
        let Table { project, dataset, name, .. } = table;
        error.message = format!("{}; billing_table under [gcp] is {project}.{dataset}.{name}", error.message);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::connect, canned::Canned};
    use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};
    use sweeper_core::{
        calls::{Calls, Limits},
        clock::SystemClock,
        kind::Cloud,
    };
    use sweeper_emulator::{Emulator, Fault as Weather, FaultKind, Options, Org};

    const TABLE: &str = "shop-billing.costs.gcp_billing_export_resource_v1_01";

    /// An organisation whose export has so many bytes and whose queries run for a while.
    fn organisation(gcp: &str) -> String {
        let mut text = format!("[gcp]\nbilling_table = \"{TABLE}\"\n{gcp}\n");
        for id in ["shop-billing", "shop-prod", "shop-lab"] {
            writeln!(text, "[[account]]\ncloud = \"gcp\"\nid = \"{id}\"").unwrap();
        }
        let mut cost = |account: &str, rest: &str| writeln!(text, "[[cost]]\naccount = \"{account}\"\n{rest}").unwrap();
        cost("shop-prod", "service = \"Compute Engine\"\neffective = \"1.000000000001\"\nbilled = \"1.5\"");
        cost("shop-prod", "service = \"Compute Engine\"\ncharge = \"commitment\"\neffective = \"0.25\"");
        cost("shop-lab", "service = \"Cloud Storage\"\neffective = \"0.5\"");
        cost("shop-lab", "charge = \"credit\"\neffective = \"-0.5\"");
        cost("shop-lab", "charge = \"tax\"\nfirst = \"2026-06-01\"\nlast = \"2026-06-01\"\neffective = \"7\"");
        text
    }

    struct Stage {
        emulator: Emulator,
        cloud: Arc<dyn Cloud>,
        calls: Calls,
    }

    async fn stage(gcp: &str, page: Option<usize>, config: Config, limits: Limits) -> Stage {
        let options = Options { page, ..Options::new("2026-06-05T12:00:00Z".parse().unwrap()) };
        let emulator = Emulator::start(Org::parse(&organisation(gcp)).unwrap(), options).await.unwrap();
        let calls = Calls::new(Arc::new(SystemClock::default()), limits);
        let cloud = connect(Config { endpoint: Some(emulator.url()), ..config }, calls.clone()).await;
        Stage { emulator, cloud, calls }
    }

    fn config() -> Config {
        Config { billing_table: Some(TABLE.to_owned()), ..Config::default() }
    }

    fn quick() -> Limits {
        Limits { backoff: Duration::from_millis(1), max_backoff: Duration::from_millis(2), ..Limits::default() }
    }

    fn ask() -> BillAsk {
        BillAsk { first: "2026-06-01".parse().unwrap(), end: "2026-06-05".parse().unwrap() }
    }

    fn actions(stage: &Stage) -> Vec<String> {
        stage.emulator.journal().into_iter().map(|call| call.action.replace("bigquery.jobs.", "")).collect()
    }

    #[tokio::test]
    async fn bills_are_tried_dry_and_cost_what_they_read() {
        // 64 MiB and a byte.
        let stage = stage("billing_bytes = 67108865", None, config(), quick()).await;
        let told = stage.cloud.bill(&ask()).await.unwrap();
        let first: Vec<String> = told
            .rows
            .iter()
            .filter(|row| row.day.to_string() == "2026-06-01")
            .map(|row| format!("{} {} {} {} {}", row.account, row.service, row.lane.name(), row.effective, row.billed))
            .collect();
        assert_eq!(
            first,
            [
                "shop-lab  credit -0.5 -0.5",
                "shop-lab  tax 7 7",
                "shop-lab Cloud Storage usage 0.5 0.5",
                "shop-prod Compute Engine usage 1.000000000001 1.5",
                "shop-prod Compute Engine commitment 0.25 0.25",
            ]
        );
        assert_eq!(told.rows.len(), 4 * 4 + 1);
        assert_eq!(actions(&stage), ["query", "query"]);
        assert_eq!(stage.calls.spent(), A_THOUSAND_MIB.scaled(65, 1000));
        assert!(stage.emulator.journal().iter().all(|call| call.account == "shop-billing" && call.permission == OP));
    }

    #[tokio::test]
    async fn bills_wait_for_the_query_and_follow_every_page() {
        let whole = stage("", None, config(), quick()).await.cloud.bill(&ask()).await.unwrap();
        for page in [1, 3, 17] {
            let stage = stage("billing_polls = 3", Some(page), config(), quick()).await;
            assert_eq!(stage.cloud.bill(&ask()).await.unwrap(), whole);
            let results = actions(&stage).iter().filter(|action| *action == "getQueryResults").count();
            assert!((17_usize.div_ceil(page)..17_usize.div_ceil(page) + 3).contains(&results), "{results}");
            // Pages are free; ten MiB are the least that is billed.
            assert_eq!(stage.calls.spent(), A_THOUSAND_MIB.scaled(10, 1000));
        }
    }

    #[tokio::test]
    async fn bills_are_of_the_projects_that_were_named() {
        let config = Config { projects: BTreeSet::from(["shop-lab".to_owned()]), ..config() };
        let told = stage("", None, config, quick()).await.cloud.bill(&ask()).await.unwrap();
        assert!(told.rows.iter().all(|row| row.account == "shop-lab") && told.rows.len() == 9);
    }

    #[tokio::test]
    async fn bills_that_would_be_dear_are_not_asked_for() {
        let dear =
            stage("billing_bytes = 2000000000", None, Config { billing_bytes: Some(1 << 30), ..config() }, quick());
        let dear = dear.await;
        let error = dear.cloud.bill(&ask()).await.unwrap_err();
        assert_eq!((error.fault, dear.calls.spent()), (Fault::OutOfBudget, Amount::ZERO));
        assert!(error.message.contains("read 2 GiB") && error.message.contains("billing_bytes"), "{error}");
        assert_eq!(actions(&dear), ["query"]);
        let limits = Limits { max_api_usd: Amount::parse("0.01").unwrap(), ..quick() };
        let poor = stage("billing_bytes = 2000000000", None, config(), limits).await;
        assert_eq!(poor.cloud.bill(&ask()).await.unwrap_err().fault, Fault::OutOfBudget);
        assert_eq!((actions(&poor), poor.calls.spent()), (vec!["query".to_owned()], Amount::ZERO));
    }

    #[tokio::test]
    async fn bills_are_whole_or_an_error() {
        let fault = |kind| Weather { service: Some("bigquery".to_owned()), ..Weather::new(kind) };
        let whole = stage("", None, config(), quick()).await.cloud.bill(&ask()).await.unwrap();
        for kind in [FaultKind::Throttle, FaultKind::Error500, FaultKind::Cut] {
            let stage = stage("", Some(5), config(), quick()).await;
            stage.emulator.set_faults(vec![Weather { after: 2, times: Some(1), ..fault(kind) }]);
            assert_eq!(stage.cloud.bill(&ask()).await.unwrap(), whole, "{kind}");
        }
        for (kind, expected) in [
            (FaultKind::Denied, Fault::Denied),
            (FaultKind::ExpiredToken, Fault::Unauthenticated),
            (FaultKind::RepeatToken, Fault::Malformed),
            (FaultKind::EmptyOk, Fault::Malformed),
            (FaultKind::Malformed, Fault::Malformed),
            (FaultKind::Html, Fault::Malformed),
        ] {
            let stage = stage("", Some(5), config(), quick()).await;
            stage.emulator.set_faults(vec![Weather { after: 1, ..fault(kind) }]);
            assert_eq!(stage.cloud.bill(&ask()).await.unwrap_err().fault, expected, "{kind}");
        }
        let stage = stage("", None, config(), quick()).await;
        stage
            .emulator
            .set_faults(vec![Weather { permission: Some(DATA.to_owned()), ..Weather::new(FaultKind::Denied) }]);
        assert_eq!(stage.cloud.bill(&ask()).await.unwrap_err().fault, Fault::Denied);
    }

    #[tokio::test]
    async fn bills_that_count_more_rows_than_they_give_are_none() {
        let canned = Canned::with(config(), |line| {
            let body = if line.starts_with("POST") {
                let fields: Vec<String> = COLUMNS.iter().map(|name| format!("{{\"name\":\"{name}\"}}")).collect();
                format!(
                    r#"{{"jobComplete":true,"jobReference":{{"jobId":"j"}},"totalBytesProcessed":"1","totalRows":"2",
                    "schema":{{"fields":[{}]}},"rows":[{{"f":[{{"v":"2026-06-01"}},{{"v":"p"}},{{"v":null}},{{"v":"usage"}},{{"v":"USD"}},{{"v":"1"}},{{"v":"1"}}]}}]}}"#,
                    fields.join(",")
                )
            } else {
                "{}".to_owned()
            };
            (200, "", body)
        })
        .await;
        let error = canned.cloud.bill(&ask()).await.unwrap_err();
        assert_eq!(error.fault, Fault::Malformed);
        assert_eq!(canned.requests().len(), 2);
    }

    #[tokio::test]
    async fn bills_need_the_name_of_a_table() {
        let unnamed = stage("", None, Config::default(), quick()).await;
        let error = unnamed.cloud.bill(&ask()).await.unwrap_err();
        assert_eq!(error.fault, Fault::NotOffered);
        assert!(error.message.contains("billing_table"), "{error}");
        let other = Config { billing_table: Some("shop-billing.costs.other".to_owned()), ..Config::default() };
        let error = stage("", None, other, quick()).await.cloud.bill(&ask()).await.unwrap_err();
        assert_eq!(error.fault, Fault::NotFound);
        assert!(error.message.contains("shop-billing.costs.other"), "{error}");
        assert!(unnamed.emulator.journal().is_empty());
    }

    #[test]
    fn bills_are_in_tables_whose_names_end_no_quotes() {
        let of = |named: &str| table(&Config { billing_table: Some(named.to_owned()), ..Config::default() });
        let own = of("example.com:shop.costs.gcp_billing_export_focus_01").unwrap();
        assert_eq!((own.project.as_str(), own.dataset.as_str()), ("example.com:shop", "costs"));
        assert!(own.query().contains("`example.com:shop.costs.gcp_billing_export_focus_01`"));
        assert!(own.query().contains("ChargePeriodStart") && !own.query().contains("_PARTITIONDATE"));
        let native = of(TABLE).unwrap().query();
        assert!(
            native.contains("_PARTITIONDATE >= @exported") && !native.contains(';') && native.starts_with("SELECT")
        );
        for named in ["", "a.b", "a..c", "a.b.c`; DROP TABLE x", "a.b.c d", "a.b-c.d", "a/b.c.d", "a.b.c\u{e9}"] {
            assert_eq!(of(named).unwrap_err().fault, Fault::Refused, "{named}");
        }
    }
}
