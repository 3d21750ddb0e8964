//! Cost Management's query: daily costs from the `[[cost]]` tables (see [`crate::costs`]), of a subscription or of
//! everything below a management group, a thousand rows a page.
//!
//! As in the service, a query whose rows do not end says so in `properties.nextLink`, to which the same body is sent
//! again, and a throttled one is answered with the headers of Cost Management's own quotas.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Value, json};

use super::next_link;
use super::resources::{asked_mg, normal};
use crate::cloud::Cloud;
use crate::costs::{Line, decimal, lines};
use crate::http::{Reply, WireError};
use crate::org::Vendor;
use crate::rest::{Req, Route};

pub(super) const SERVICE: &str = "Microsoft.CostManagement";

pub(super) const ROUTES: &[Route] = &[
    Route {
        service: SERVICE,
        method: "POST",
        path: "/subscriptions/{subscription}/providers/Microsoft.CostManagement/query",
        action: "Query_Usage",
        permission: "Microsoft.CostManagement/query/action",
        handle: query,
    },
    Route {
        service: SERVICE,
        method: "POST",
        path: "/providers/Microsoft.Management/managementGroups/{mg}/providers/Microsoft.CostManagement/query",
        action: "Query_UsageOfManagementGroup",
        permission: "Microsoft.CostManagement/query/action",
        handle: query,
    },
];

/// Rows on a page.
const MOST: usize = 1000;

fn invalid(message: impl Into<String>) -> WireError {
    WireError::new(400, "BadRequest", message)
}

/// The answer to a caller that asks too much: the wait is in headers that no other service has.
pub(super) fn throttled() -> WireError {
    WireError::new(429, "429", "Too many requests. Please retry.")
        .with("x-ms-ratelimit-microsoft.costmanagement-qpu-retry-after", "1")
        .with("x-ms-ratelimit-microsoft.costmanagement-entity-retry-after", "1")
}

/// The usual charge type of a charge.
fn word(charge: &str) -> &'static str {
    match charge {
        "commitment" => "UnusedReservation",
        "correction" => "RoundingAdjustment",
        "credit" => "Refund",
        "tax" => "Tax",
        _ => "Usage",
    }
}

fn value(line: &Line<'_>, dimension: &str) -> Result<String, WireError> {
    Ok(match dimension.to_ascii_lowercase().as_str() {
        "subscriptionid" => line.cost.account.clone(),
        "servicename" => line.cost.service.clone(),
        "chargetype" => line.cost.word(word).to_owned(),
        _ => return Err(invalid(format!("Invalid query definition: Invalid dataset grouping: '{dimension}'."))),
    })
}

fn day(period: &Value, name: &str) -> Result<Date, WireError> {
    let text = period.get(name).and_then(Value::as_str).unwrap_or_default();
    let day = text.get(..10).and_then(|day| day.parse().ok());
    day.ok_or_else(|| invalid(format!("Invalid query definition: timePeriod.{name} is no time.")))
}

fn query(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let body = req.json().ok_or_else(|| invalid("Invalid query definition: no JSON."))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let amortised = match text("type") {
        "AmortizedCost" => true,
        "ActualCost" | "Usage" => false,
        other => return Err(invalid(format!("Invalid query definition: type '{other}'."))),
    };
    if text("timeframe") != "Custom" {
        return Err(invalid("The emulator knows the timeframe Custom."));
    }
    let period = &body["timePeriod"];
    let (first, last) = (day(period, "from")?, day(period, "to")?);
    let end = last.tomorrow().map_err(|_| invalid("no such day"))?;
    if first > last {
        return Err(invalid("Invalid query definition: from is after to."));
    }
    let dataset = &body["dataset"];
    let daily = match dataset["granularity"].as_str().unwrap_or("None") {
        "Daily" => true,
        "None" => false,
        other => return Err(invalid(format!("Invalid query definition: granularity '{other}'."))),
    };
    let aggregation = dataset["aggregation"].as_object().and_then(|all| all.values().next());
    let cost = aggregation.and_then(|one| one["name"].as_str()).unwrap_or_default();
    if !matches!(cost, "Cost" | "PreTaxCost") {
        return Err(invalid(format!("Invalid query definition: Invalid dataset aggregation: '{cost}'.")));
    }
    let grouping = dataset["grouping"].as_array().cloned().unwrap_or_default();
    let names: Vec<&str> = grouping.iter().map(|group| group["name"].as_str().unwrap_or_default()).collect();
    let group = if req.label("mg").is_empty() { None } else { Some(asked_mg(cloud, req)?) };
    let all = lines(cloud, first, end, |account| match &group {
        None => account.id == req.account,
        Some(root) => {
            let ou = normal(&account.ou);
            account.cloud == Vendor::Azure && (ou == *root || ou.starts_with(&format!("{root}/")))
        }
    });
    let mut sums: BTreeMap<(Option<Date>, Vec<String>, &str), i128> = BTreeMap::new();
    for line in &all {
        let groups = names.iter().map(|name| value(line, name)).collect::<Result<Vec<_>, _>>()?;
        let key = (daily.then_some(line.day), groups, line.cost.currency.as_str());
        *sums.entry(key).or_default() += if amortised { line.effective } else { line.billed };
    }
    let rows: Vec<Value> = sums
        .into_iter()
        .map(|((day, groups, currency), sum)| {
            let mut row = vec![json!(decimal(sum).parse::<f64>().unwrap_or_default())];
            row.extend(day.map(|day| json!(day.to_string().replace('-', "").parse::<u32>().unwrap_or_default())));
            row.extend(groups.into_iter().map(Value::from));
            row.push(json!(currency));
            Value::Array(row)
        })
        .collect();
    let (shown, next) =
        cloud.page(&rows, Some(MOST), req.param("$skiptoken")).map_err(|_| invalid("The skip token is invalid."))?;
    let mut columns = vec![json!({ "name": cost, "type": "Number" })];
    if daily {
        columns.push(json!({ "name": "UsageDate", "type": "Number" }));
    }
    columns.extend(names.iter().map(|name| json!({ "name": name, "type": "String" })));
    columns.push(json!({ "name": "Currency", "type": "String" }));
    let scope = req.path.trim_start_matches('/');
    let scope = scope.strip_suffix("/query").unwrap_or(scope);
    Ok(Reply::Value(json!({
        "id": format!("{scope}/query/00000000-0000-4000-8000-00000000c057"),
        "name": "00000000-0000-4000-8000-00000000c057",
        "type": "Microsoft.CostManagement/query",
        "location": null,
        "sku": null,
        "eTag": null,
        "properties": {
            "nextLink": next.map(|token| next_link(req, &token)),
            "columns": columns,
            "rows": shown,
        },
    })))
}
