//! BigQuery: queries of the billing export, answered from the `[[cost]]` tables (see [`crate::costs`]).
//!
//! | table | key | default | meaning |
//! |---|---|---|---|
//! | `[gcp]` | `billing_table` | none | the table there is, "project.dataset.table" |
//! | | `billing_bytes` | a megabyte | what a query of it processes |
//! | | `billing_polls` | 0 | at most so many times a query is said to be still running |
//!
//! The emulator evaluates no SQL. It looks at what makes a query dear or wrong (the table, the limit of bytes, the
//! parameters `first` and `end`, the dialect) and gives the columns that the query names: day, account, service, lane,
//! currency, effective, billed, whatever expressions they have.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::civil::Date;
use serde_json::{Value, json};

use super::{denied, shape::lean};
use crate::cloud::Cloud;
use crate::costs::{decimal, lines};
use crate::http::{Reply, WireError};
use crate::org::Vendor;
use crate::rest::{Req, Route};

pub(super) const ROUTES: &[Route] = &[
    Route {
        service: "bigquery",
        method: "POST",
        path: "/bigquery/v2/projects/{project}/queries",
        action: "bigquery.jobs.query",
        permission: "bigquery.jobs.create",
        handle: query,
    },
    Route {
        service: "bigquery",
        method: "GET",
        path: "/bigquery/v2/projects/{project}/queries/{job}",
        action: "bigquery.jobs.getQueryResults",
        permission: "bigquery.jobs.create",
        handle: results,
    },
];

/// Where the dataset is.
const LOCATION: &str = "EU";
/// The least that a query of one table is billed.
const LEAST: u64 = 10 << 20;
const COLUMNS: [&str; 7] = ["day", "account", "service", "lane", "currency", "effective", "billed"];
const DATA: &str = "bigquery.tables.getData";

fn invalid(message: impl Into<String>) -> WireError {
    WireError::new(400, "invalidQuery", message)
}

/// What a query asks for, which its job's id carries.
struct Asked {
    first: Date,
    end: Date,
    columns: Vec<String>,
}

impl Asked {
    fn id(&self) -> String {
        let text = format!("{}/{}/{}", self.first, self.end, self.columns.join("/"));
        text.bytes().fold("job_".to_owned(), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        })
    }

    fn of_id(id: &str) -> Option<Asked> {
        let digits = id.strip_prefix("job_").filter(|digits| digits.is_ascii())?;
        let bytes: Option<Vec<u8>> =
            (0..digits.len() / 2).map(|at| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()).collect();
        let text = String::from_utf8(bytes?).ok()?;
        let mut parts = text.split('/');
        let (first, end) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Asked { first, end, columns: parts.map(str::to_owned).collect() })
    }
}

fn query(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let body = req.json().ok_or_else(|| invalid("Parse Error"))?;
    let text = body["query"].as_str().unwrap_or_default();
    if body["useLegacySql"].as_bool() != Some(false) {
        return Err(invalid("Legacy SQL knows no named parameters."));
    }
    let google = &cloud.org().gcp;
    let Some(table) = google.billing_table.as_deref().filter(|table| text.contains(&format!("`{table}`"))) else {
        return Err(WireError::new(404, "NOT_FOUND", "Not found: Table was not found in location EU"));
    };
    let project = table.split('.').next().unwrap_or_default();
    if req.denied(&req.account, DATA) || req.denied(project, DATA) {
        let mut error = denied(req, table);
        error.message = format!("Access Denied: Table {table}: User does not have permission to query table {table}.");
        return Err(error);
    }
    let parameter = |name: &str| -> Result<Date, WireError> {
        let given = body["queryParameters"].as_array().into_iter().flatten().find(|given| given["name"] == name);
        let value = given.and_then(|given| given["parameterValue"]["value"].as_str()).unwrap_or_default();
        let day = value.get(..10).and_then(|day| day.parse().ok());
        day.ok_or_else(|| invalid(format!("Query parameter '{name}' not found or no day")))
    };
    let asked = Asked { first: parameter("first")?, end: parameter("end")?, columns: columns(text)? };
    let processed = google.billing_bytes.unwrap_or(1 << 20);
    let reference = json!({ "projectId": req.account, "location": LOCATION });
    if body["dryRun"].as_bool() == Some(true) {
        return Ok(Reply::Value(json!({
            "kind": "bigquery#queryResponse",
            "jobReference": reference,
            "jobComplete": true,
            "cacheHit": false,
            "totalBytesProcessed": processed.to_string(),
            "schema": schema(&asked),
        })));
    }
    let limit = match &body["maximumBytesBilled"] {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    if limit.is_some_and(|limit: u64| limit < processed.max(LEAST)) {
        let message = format!(
            "Query exceeded limit for bytes billed: {}. {} or higher required.",
            limit.unwrap_or_default(),
            processed.max(LEAST)
        );
        return Err(WireError::new(400, "bytesBilledLimitExceeded", message));
    }
    answer(cloud, req, &asked, body["maxResults"].as_u64(), None, google.billing_polls > 0)
}

fn results(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let job = req.label("job");
    let missing = || WireError::new(404, "NOT_FOUND", format!("Not found: Job {}:{job}", req.account));
    let asked = Asked::of_id(job).filter(|_| req.param("location") == Some(LOCATION)).ok_or_else(missing)?;
    let polls = cloud.org().gcp.billing_polls;
    let token = req.param("pageToken").filter(|token| !token.is_empty());
    // Pages are asked for when it is done.
    let running = polls > 1 && token.is_none() && !req.first_page() && cloud.serial() % polls != polls - 1;
    answer(cloud, req, &asked, req.param("maxResults").and_then(|most| most.parse().ok()), token, running)
}

/// The names that a query gives to its columns.
fn columns(text: &str) -> Result<Vec<String>, WireError> {
    let list = text.trim_start().strip_prefix("SELECT").ok_or_else(|| invalid("The emulator knows SELECT."))?;
    let (mut depth, mut column, mut names) = (0_i32, String::new(), Vec::new());
    let mut name = |column: &str| {
        let name = column.split_whitespace().last().unwrap_or_default().to_owned();
        if COLUMNS.contains(&name.as_str()) {
            names.push(name);
            return Ok(());
        }
        Err(invalid(format!("Unrecognized name: {name}")))
    };
    for word in list.split_inclusive(|letter: char| letter.is_whitespace() || ",()[]".contains(letter)) {
        if depth == 0 && word.trim() == "FROM" {
            name(&column)?;
            return Ok(names);
        }
        match word.chars().last() {
            Some('(' | '[') => depth += 1,
            Some(')' | ']') => depth -= 1,
            Some(',') if depth == 0 => {
                column.push_str(&word[..word.len() - 1]);
                name(&column)?;
                column.clear();
                continue;
            }
            _ => {}
        }
        column.push_str(word);
    }
    Err(invalid("Syntax error: no FROM"))
}

fn schema(asked: &Asked) -> Value {
    let fields: Vec<Value> =
        asked.columns.iter().map(|name| json!({ "name": name, "type": "STRING", "mode": "NULLABLE" })).collect();
    json!({ "fields": fields })
}

fn answer(
    cloud: &Cloud,
    req: &Req,
    asked: &Asked,
    most: Option<u64>,
    token: Option<&str>,
    running: bool,
) -> Result<Reply, WireError> {
    let kind = if req.method_is_query() { "bigquery#queryResponse" } else { "bigquery#getQueryResultsResponse" };
    let reference = json!({ "projectId": req.account, "jobId": asked.id(), "location": LOCATION });
    if running {
        return Ok(Reply::Value(json!({ "kind": kind, "jobReference": reference, "jobComplete": false })));
    }
    let mut sums: BTreeMap<Vec<String>, (i128, i128)> = BTreeMap::new();
    for line in lines(cloud, asked.first, asked.end, |account| account.cloud == Vendor::Gcp) {
        let cost = line.cost;
        let key = [&line.day.to_string(), &cost.account, &cost.service, &cost.charge, &cost.currency];
        let sum = sums.entry(key.into_iter().cloned().collect()).or_default();
        *sum = (sum.0 + line.effective, sum.1 + line.billed);
    }
    let rows: Vec<Value> = sums
        .into_iter()
        .map(|(mut cells, (effective, billed))| {
            cells.extend([decimal(effective), decimal(billed)]);
            let cell = |name: &String| {
                let at = COLUMNS.iter().position(|known| known == name);
                json!({ "v": at.and_then(|at| cells.get(at)) })
            };
            json!({ "f": asked.columns.iter().map(cell).collect::<Vec<_>>() })
        })
        .collect();
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(10_000);
    let (shown, next) = cloud
        .page(&rows, Some(most), token)
        .map_err(|_| WireError::new(400, "invalid", "Invalid value for pageToken"))?;
    let processed = cloud.org().gcp.billing_bytes.unwrap_or(1 << 20);
    Ok(Reply::Value(lean(json!({
        "kind": kind,
        "schema": schema(asked),
        "jobReference": reference,
        "jobComplete": true,
        "cacheHit": false,
        "totalRows": rows.len().to_string(),
        "totalBytesProcessed": processed.to_string(),
        "rows": shown,
        "pageToken": next,
    }))))
}

impl Req {
    /// Whether the call starts a query rather than reads one's rows.
    fn method_is_query(&self) -> bool {
        self.action == "bigquery.jobs.query"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_that_a_query_names() {
        let text =
            "SELECT FORMAT_DATE('%F', x) AS day, IFNULL((SELECT a FROM UNNEST(b) AS c), 0) AS effective\nFROM `t`";
        assert_eq!(columns(text).ok().unwrap(), ["day", "effective"]);
        for text in ["DELETE FROM `t`", "SELECT 1", "SELECT a AS b FROM `t`"] {
            assert!(columns(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_job_is_known_by_its_id() {
        let asked = Asked {
            first: "2026-10-01".parse().unwrap(),
            end: "2026-11-01".parse().unwrap(),
            columns: vec!["day".to_owned(), "billed".to_owned()],
        };
        assert_eq!(Asked::of_id(&asked.id()).unwrap().id(), asked.id());
        for id in ["", "job_", "job_zz", "job_é", "job_2f2f"] {
            assert!(Asked::of_id(id).is_none(), "{id}");
        }
    }
}
