//! Resource Graph: the rows that the caller may read, asked for in a small part of Kusto's language.
//!
//! Tables: `resources`, `resourcecontainers`, `recoveryservicesresources`; others are empty. Operators: `where`,
//! `project`, `extend`, `order by`, `limit`, `count` and `summarize count() by …`. Anything else is refused as the
//! service refuses what it cannot parse.
//!
//! Rows are those of the subscriptions and resource groups in which the caller has rights, and of the types whose
//! read permission no standing fault denies: all with status 200, as in the service. A `$skipToken` is only given
//! where the service gives one: some column of the rows is neither dynamic nor null, and no `limit` cut them (see
//! "Guidance for pagination" of its documentation).

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::arm::{self, Type, arm_type, group};
use super::resources::{seen_groups, show_group};
use super::{compute, types};
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::org::Account;
use crate::rest::{Req, Route};

pub(super) const ROUTES: &[Route] = &[Route {
    service: "Microsoft.ResourceGraph",
    method: "POST",
    path: "/providers/Microsoft.ResourceGraph/resources",
    action: "Resources",
    permission: "Microsoft.ResourceGraph/resources/read",
    handle: resources,
}];

/// The most rows that an answer has.
const MOST: usize = 1000;

fn invalid(detail: &str, message: impl Into<String>) -> WireError {
    WireError::new(400, format!("BadRequest/{detail}"), message)
}

fn invalid_query(near: &str) -> WireError {
    let what = "Query is invalid. Please refer to the documentation for the Azure Resource Graph service and fix the error before retrying.";
    invalid("InvalidQuery", format!("{what} Near: {near}"))
}

/// The subscriptions that a query is about, if it names any.
pub(super) fn subscriptions_of(req: &Req) -> Vec<String> {
    crate::cloud::texts(req.json().as_ref().and_then(|body| body.get("subscriptions")))
}

fn resources(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let body = req.json().ok_or_else(|| invalid("InvalidRequest", "The request body is no JSON."))?;
    let text = body.get("query").and_then(Value::as_str).unwrap_or_default();
    let query = Query::parse(text)?;
    let options = body.get("options").cloned().unwrap_or_default();
    let whole = |name: &str| options.get(name).filter(|value| !value.is_null());
    let top = match whole("$top").or_else(|| whole("top")) {
        None => MOST,
        Some(value) => value
            .as_u64()
            .and_then(|top| usize::try_from(top).ok())
            .filter(|top| (1..=MOST).contains(top))
            .ok_or_else(|| invalid("InvalidRequest", format!("$top must be between 1 and {MOST}.")))?,
    };
    let token = whole("$skipToken").or_else(|| whole("skipToken")).and_then(Value::as_str);
    let accounts = accounts(cloud, req, &body)?;

    let mut rows = rows(cloud, req, &query.table, &accounts);
    let mut stages = query.stages.as_slice();
    // What the first filters ask for can mostly be told without making the row.
    while let Some((Stage::Where(condition), rest)) = stages.split_first() {
        if !condition.light() {
            break;
        }
        rows.retain(|row| condition.holds(&row.light(cloud)));
        stages = rest;
    }
    rows.sort_by_cached_key(|row| row.id.to_lowercase());
    if let Some(skip) = whole("$skip").or_else(|| whole("skip")).and_then(Value::as_u64) {
        rows.drain(..rows.len().min(usize::try_from(skip).unwrap_or(usize::MAX)));
    }
    let simple = stages.iter().all(|stage| match stage {
        Stage::Project(_) | Stage::Extend(_) => true,
        Stage::Order(keys) => matches!(&keys[..], [(Expr::Path(path), true)] if path[..] == ["id"]),
        _ => false,
    });
    let limited = stages
        .iter()
        .any(|stage| !matches!(stage, Stage::Where(_) | Stage::Project(_) | Stage::Extend(_) | Stage::Order(_)));
    let page = cloud.page.unwrap_or(MOST).min(top);
    let (total, shown, next) = if simple {
        let (shown, next) = crate::page::page(&rows, Some(page), token, None)?;
        (rows.len(), run(shown.iter().map(|row| row.whole(cloud)).collect(), stages), next)
    } else {
        let all = run(rows.iter().map(|row| row.whole(cloud)).collect(), stages);
        let (shown, next) = crate::page::page(&all, Some(page), token, None)?;
        (all.len(), shown, next)
    };
    let plain = |value: &Value| matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
    let pageable = !limited && shown.iter().any(|row| row.as_object().is_some_and(|row| row.values().any(plain)));
    let mut answer = Map::new();
    answer.insert("totalRecords".to_owned(), json!(total));
    answer.insert("count".to_owned(), json!(shown.len()));
    answer.insert("facets".to_owned(), json!([]));
    answer.insert("resultTruncated".to_owned(), json!(if next.is_some() && !pageable { "true" } else { "false" }));
    if let Some(token) = next.filter(|_| pageable) {
        answer.insert("$skipToken".to_owned(), json!(token));
    }
    let data = match options.get("resultFormat").and_then(Value::as_str) {
        Some("table") => table(&shown),
        _ => Value::Array(shown),
    };
    answer.insert("data".to_owned(), data);
    let headers = [
        ("x-ms-user-quota-remaining", "14"),
        ("x-ms-user-quota-resets-after", "00:00:05"),
        ("x-ms-ratelimit-remaining-tenant-resource-requests", "14"),
    ];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(Reply::With { status: 200, headers, value: Value::Object(answer) })
}

fn table(rows: &[Value]) -> Value {
    let columns: Vec<&String> =
        rows.first().and_then(Value::as_object).map(|row| row.keys().collect()).unwrap_or_default();
    let kind = |name: &str| match rows.first().and_then(|row| row.get(name)) {
        Some(Value::Number(_)) => "integer",
        Some(Value::Object(_) | Value::Array(_)) => "object",
        _ => "string",
    };
    let cells: Vec<Value> = rows
        .iter()
        .map(|row| columns.iter().map(|name| row.get(name.as_str()).cloned().unwrap_or_default()).collect())
        .collect();
    let columns: Vec<Value> = columns.iter().map(|name| json!({ "name": name, "type": kind(name) })).collect();
    json!({ "columns": columns, "rows": cells })
}

/// The subscriptions of a query that the caller sees anything of; those of management groups, of the list, or all.
fn accounts<'a>(cloud: &'a Cloud, req: &Req, body: &Value) -> Result<Vec<&'a Account>, WireError> {
    let mut all = arm::subscriptions(cloud);
    let named = subscriptions_of(req);
    let groups = crate::cloud::texts(body.get("managementGroups"));
    if !named.is_empty() {
        all.retain(|account| named.iter().any(|asked| asked.eq_ignore_ascii_case(&account.id)));
    } else if !groups.is_empty() {
        let root = &cloud.org().azure;
        all.retain(|account| {
            groups.iter().any(|asked| {
                asked.eq_ignore_ascii_case(&root.root)
                    || asked.eq_ignore_ascii_case(&root.tenant)
                    || account.ou.split('/').any(|part| part.eq_ignore_ascii_case(asked))
            })
        });
    }
    if all.is_empty() {
        let given = named.join(", ");
        return Err(invalid(
            "NoValidSubscriptionsInQueryRequest",
            format!("There must be at least one subscription that is eligible to contain resources. Given: '{given}'."),
        ));
    }
    Ok(all)
}

/// A row that is not made yet.
#[derive(Clone)]
struct Row<'a> {
    id: String,
    source: Source<'a>,
}

#[derive(Clone)]
enum Source<'a> {
    Resource(&'static Type, &'a Item),
    Made(Value),
}

impl Row<'_> {
    /// The columns that cost nothing to make.
    fn light(&self, cloud: &Cloud) -> Value {
        match &self.source {
            Source::Made(row) => row.clone(),
            Source::Resource(known, item) => json!({
                "id": self.id,
                "name": item.id,
                "type": arm_type(known, item).to_lowercase(),
                "tenantId": cloud.org().azure.tenant,
                "location": item.region,
                "resourceGroup": group(item).to_lowercase(),
                "subscriptionId": item.account,
            }),
        }
    }

    fn whole(&self, cloud: &Cloud) -> Value {
        let Source::Resource(known, item) = &self.source else {
            return match &self.source {
                Source::Made(row) => row.clone(),
                Source::Resource(..) => Value::Null,
            };
        };
        let mut row = self.light(cloud);
        let mut shown = arm::show(cloud, known, item);
        if item.kind == "azure.compute-vm" {
            shown["properties"]["extended"] = compute::extended(item);
        }
        for (name, missing) in [
            ("kind", json!("")),
            ("managedBy", json!("")),
            ("sku", Value::Null),
            ("plan", Value::Null),
            ("properties", Value::Null),
            ("tags", Value::Null),
            ("identity", Value::Null),
            ("zones", Value::Null),
            ("extendedLocation", Value::Null),
        ] {
            row[name] = shown.get(name).cloned().unwrap_or(missing);
        }
        row
    }
}

/// The rows of a table that the caller may read.
fn rows<'a>(cloud: &'a Cloud, req: &Req, table: &str, accounts: &[&Account]) -> Vec<Row<'a>> {
    let mut all = Vec::new();
    for account in accounts {
        for known in types().filter(|known| known.table.eq_ignore_ascii_case(table)) {
            for item in cloud.list_account(&account.id, known.kind) {
                let read = format!("{}/read", arm_type(known, item));
                if arm::sees_group(account, group(item)) && !req.denied(&account.id, &read) {
                    all.push(Row { id: arm::id_in(known, item), source: Source::Resource(known, item) });
                }
            }
        }
        if table == "resourcecontainers" {
            all.extend(containers(cloud, req, account));
        }
    }
    all
}

/// A subscription and its resource groups.
fn containers(cloud: &Cloud, req: &Req, account: &Account) -> Vec<Row<'static>> {
    let mut all = Vec::new();
    let mut add = |shown: &Value, kind: &str, group: &str| {
        let get = |name: &str| shown.get(name).cloned().unwrap_or_default();
        let id = shown.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let row = json!({
            "id": id, "name": get("name"), "type": kind, "tenantId": cloud.org().azure.tenant, "kind": "",
            "location": shown.get("location").cloned().unwrap_or_else(|| json!("")), "resourceGroup": group,
            "subscriptionId": account.id, "managedBy": shown.get("managedBy").cloned().unwrap_or_else(|| json!("")),
            "sku": null, "plan": null, "properties": get("properties"), "tags": get("tags"), "identity": null,
            "zones": null, "extendedLocation": null,
        });
        all.push(Row { id, source: Source::Made(row) });
    };
    if !req.denied(&account.id, "Microsoft.Resources/subscriptions/read") {
        let shown = json!({
            "id": format!("/subscriptions/{}", account.id),
            "name": account.name,
            "tags": account.tags,
            "properties": {
                "state": account.status,
                "managementGroupAncestorsChain": super::resources::ancestors(cloud, account),
                "subscriptionPolicies": { "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off" },
            },
        });
        add(&shown, "microsoft.resources/subscriptions", "");
    }
    if !req.denied(&account.id, "Microsoft.Resources/subscriptions/resourceGroups/read") {
        for one in seen_groups(cloud, account) {
            let shown = show_group(account, &one);
            add(&shown, "microsoft.resources/subscriptions/resourcegroups", &one.name.to_lowercase());
        }
    }
    all
}

/// Does what the stages say to the rows.
fn run(mut rows: Vec<Value>, stages: &[Stage]) -> Vec<Value> {
    for stage in stages {
        match stage {
            Stage::Where(condition) => rows.retain(|row| condition.holds(row)),
            Stage::Project(columns) => {
                rows = rows
                    .iter()
                    .map(|row| columns.iter().map(|(name, value)| (name.clone(), value.of(row))).collect::<Map<_, _>>())
                    .map(Value::Object)
                    .collect();
            }
            Stage::Extend(columns) => {
                for row in &mut rows {
                    for (name, value) in columns {
                        let value = value.of(row);
                        if let Some(row) = row.as_object_mut() {
                            row.insert(name.clone(), value);
                        }
                    }
                }
            }
            Stage::Order(keys) => rows.sort_by(|a, b| {
                keys.iter()
                    .map(|(key, ascending)| {
                        let order = compare(&key.of(a), &key.of(b));
                        if *ascending { order } else { order.reverse() }
                    })
                    .find(|order| order.is_ne())
                    .unwrap_or(Ordering::Equal)
            }),
            Stage::Limit(most) => rows.truncate(*most),
            Stage::Count => rows = vec![json!({ "Count": rows.len() })],
            Stage::CountBy(keys) => {
                let mut groups: Vec<(Vec<Value>, u64)> = Vec::new();
                for row in &rows {
                    let own: Vec<Value> = keys.iter().map(|(_, key)| key.of(row)).collect();
                    match groups.iter_mut().find(|(known, _)| *known == own) {
                        Some((_, count)) => *count += 1,
                        None => groups.push((own, 1)),
                    }
                }
                rows = groups
                    .into_iter()
                    .map(|(own, count)| {
                        let mut row: Map<String, Value> = keys.iter().map(|(name, _)| name.clone()).zip(own).collect();
                        row.insert("count_".to_owned(), json!(count));
                        Value::Object(row)
                    })
                    .collect();
            }
        }
    }
    rows
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => text(a).to_lowercase().cmp(&text(b).to_lowercase()),
    }
}

/// A value as a string; nothing is "".
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A parsed query.
#[derive(Debug)]
struct Query {
    /// The table, in lower case.
    table: String,
    stages: Vec<Stage>,
}

#[derive(Debug)]
enum Stage {
    Where(Expr),
    Project(Vec<(String, Expr)>),
    Extend(Vec<(String, Expr)>),
    /// Keys, each ascending or not.
    Order(Vec<(Expr, bool)>),
    Limit(usize),
    Count,
    CountBy(Vec<(String, Expr)>),
}

#[derive(Debug)]
enum Expr {
    Literal(Value),
    Path(Vec<String>),
    Call(String, Vec<Expr>),
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Compare(Box<Expr>, String, Box<Expr>),
    In { value: Box<Expr>, list: Vec<Expr>, fold: bool, not: bool },
}

impl Expr {
    /// Whether it can be told from the columns of [`Row::light`].
    fn light(&self) -> bool {
        const LIGHT: &[&str] = &["id", "name", "type", "tenantId", "location", "resourceGroup", "subscriptionId"];
        match self {
            Expr::Literal(_) => true,
            Expr::Path(path) => path.len() == 1 && LIGHT.contains(&path[0].as_str()),
            Expr::Call(_, arguments) => arguments.iter().all(Expr::light),
            Expr::Not(inner) => inner.light(),
            Expr::And(a, b) | Expr::Or(a, b) | Expr::Compare(a, _, b) => a.light() && b.light(),
            Expr::In { value, list, .. } => value.light() && list.iter().all(Expr::light),
        }
    }

    /// A column that it names and that is none of these.
    fn unknown(&self, columns: &[&str]) -> Option<&str> {
        match self {
            Expr::Literal(_) => None,
            Expr::Path(path) => path.first().map(String::as_str).filter(|name| !columns.contains(name)),
            Expr::Call(_, arguments) => arguments.iter().find_map(|one| one.unknown(columns)),
            Expr::Not(inner) => inner.unknown(columns),
            Expr::And(a, b) | Expr::Or(a, b) | Expr::Compare(a, _, b) => {
                a.unknown(columns).or_else(|| b.unknown(columns))
            }
            Expr::In { value, list, .. } => {
                value.unknown(columns).or_else(|| list.iter().find_map(|one| one.unknown(columns)))
            }
        }
    }

    fn holds(&self, row: &Value) -> bool {
        self.of(row) == Value::Bool(true)
    }

    fn of(&self, row: &Value) -> Value {
        match self {
            Expr::Literal(value) => value.clone(),
            Expr::Path(path) => {
                let mut at = row;
                for part in path {
                    let next = match at {
                        Value::Object(object) => object.get(part),
                        Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
                        _ => None,
                    };
                    match next {
                        Some(value) => at = value,
                        None => return Value::Null,
                    }
                }
                at.clone()
            }
            Expr::Call(name, arguments) => call(name, &arguments.iter().map(|one| one.of(row)).collect::<Vec<_>>()),
            Expr::Not(inner) => json!(!inner.holds(row)),
            Expr::And(a, b) => json!(a.holds(row) && b.holds(row)),
            Expr::Or(a, b) => json!(a.holds(row) || b.holds(row)),
            Expr::In { value, list, fold, not } => {
                let value = text(&value.of(row));
                let same = |one: &Expr| {
                    let one = text(&one.of(row));
                    if *fold { one.to_lowercase() == value.to_lowercase() } else { one == value }
                };
                json!(list.iter().any(same) != *not)
            }
            Expr::Compare(a, operator, b) => {
                let (a, b) = (a.of(row), b.of(row));
                let (low, high) = (text(&a).to_lowercase(), text(&b).to_lowercase());
                json!(match operator.as_str() {
                    "==" => text(&a) == text(&b),
                    "!=" => text(&a) != text(&b),
                    "=~" => low == high,
                    "!~" => low != high,
                    "contains" => low.contains(&high),
                    "!contains" => !low.contains(&high),
                    "has" => low.split(|c: char| !c.is_alphanumeric()).any(|word| word == high) || low == high,
                    "startswith" => low.starts_with(&high),
                    "!startswith" => !low.starts_with(&high),
                    "endswith" => low.ends_with(&high),
                    "<" => compare(&a, &b).is_lt(),
                    "<=" => compare(&a, &b).is_le(),
                    ">" => compare(&a, &b).is_gt(),
                    ">=" => compare(&a, &b).is_ge(),
                    _ => false,
                })
            }
        }
    }
}

const FUNCTIONS: &[&str] = &[
    "array_length",
    "isempty",
    "isnotempty",
    "isnotnull",
    "isnull",
    "not",
    "strlen",
    "tobool",
    "toint",
    "tolong",
    "tolower",
    "tostring",
    "toupper",
];

fn call(name: &str, arguments: &[Value]) -> Value {
    let first = arguments.first().cloned().unwrap_or_default();
    match name {
        "isnull" => json!(first.is_null()),
        "isnotnull" => json!(!first.is_null()),
        "isempty" => json!(text(&first).is_empty()),
        "isnotempty" => json!(!text(&first).is_empty()),
        "not" => json!(first != Value::Bool(true)),
        "tolower" => json!(text(&first).to_lowercase()),
        "toupper" => json!(text(&first).to_uppercase()),
        "tostring" => json!(text(&first)),
        "strlen" => json!(text(&first).chars().count()),
        "tobool" => json!(text(&first) == "true"),
        "toint" | "tolong" => text(&first).parse::<i64>().map_or(Value::Null, Value::from),
        "array_length" => first.as_array().map_or(Value::Null, |items| json!(items.len())),
        _ => Value::Null,
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(f64),
    Mark(&'static str),
}

const MARKS: &[&str] =
    &["=~", "!~", "==", "!=", "<=", ">=", "(", ")", "[", "]", ",", ".", "|", "=", "<", ">", "~", "!", "-"];

fn tokens(query: &str) -> Result<Vec<Token>, WireError> {
    let mut all = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.find('\n').map_or("", |end| &comment[end..]).trim_start();
            continue;
        }
        if first == '\'' || first == '"' {
            let mut text = String::new();
            let mut characters = rest[1..].char_indices();
            let end = loop {
                match characters.next() {
                    None => return Err(invalid_query(rest)),
                    Some((at, c)) if c == first => break at,
                    Some((_, '\\')) => text.extend(characters.next().map(|(_, c)| c)),
                    Some((_, c)) => text.push(c),
                }
            };
            all.push(Token::Text(text));
            rest = &rest[end + 2..];
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            all.push(Token::Number(rest[..end].parse().map_err(|_| invalid_query(rest))?));
            rest = &rest[end..];
        } else if first.is_alphabetic() || first == '_' || first == '$' {
            let end = rest
                .char_indices()
                .find(|(_, c)| !(c.is_alphanumeric() || matches!(c, '_' | '$')))
                .map_or(rest.len(), |(at, _)| at);
            all.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)) {
            all.push(Token::Mark(mark));
            rest = &rest[mark.len()..];
        } else {
            return Err(invalid_query(rest));
        }
        rest = rest.trim_start();
    }
    Ok(all)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    /// How deep brackets are.
    depth: usize,
    /// How many conditions have been joined.
    joined: usize,
}

impl Query {
    fn parse(query: &str) -> Result<Query, WireError> {
        let tokens = tokens(query)?;
        let mut parser = Parser { tokens, at: 0, depth: 0, joined: 0 };
        let mut table = "resources".to_owned();
        let mut stages = Vec::new();
        // A query may begin with an operator: the table is then `resources`.
        match parser.tokens.first() {
            Some(Token::Word(word)) if !OPERATORS.contains(&word.as_str()) => {
                table = word.to_lowercase();
                parser.at = 1;
            }
            Some(_) => stages.push(parser.stage()?),
            None => return Err(invalid_query("")),
        }
        while parser.at < parser.tokens.len() {
            parser.mark("|")?;
            stages.push(parser.stage()?);
        }
        known(&stages)?;
        Ok(Query { table, stages })
    }
}

/// The columns of every table.
const COLUMNS: &[&str] = &[
    "extendedLocation",
    "id",
    "identity",
    "kind",
    "location",
    "managedBy",
    "name",
    "plan",
    "properties",
    "resourceGroup",
    "sku",
    "subscriptionId",
    "tags",
    "tenantId",
    "type",
    "zones",
];

/// Refuses columns that there are not: what ARM shows of a resource beside these is in no table.
fn known(stages: &[Stage]) -> Result<(), WireError> {
    let mut columns: Vec<&str> = COLUMNS.to_vec();
    let check = |value: &Expr, columns: &[&str]| match value.unknown(columns) {
        None => Ok(()),
        Some(name) => Err(invalid_query(&format!("Failed to resolve scalar expression named '{name}'"))),
    };
    for stage in stages {
        match stage {
            Stage::Where(condition) => check(condition, &columns)?,
            Stage::Order(keys) => keys.iter().try_for_each(|(key, _)| check(key, &columns))?,
            Stage::Project(own) | Stage::Extend(own) | Stage::CountBy(own) => {
                own.iter().try_for_each(|(_, value)| check(value, &columns))?;
                if !matches!(stage, Stage::Extend(_)) {
                    columns.clear();
                }
                columns.extend(own.iter().map(|(name, _)| name.as_str()));
                columns.push("count_");
            }
            Stage::Limit(_) => {}
            Stage::Count => columns = vec!["Count"],
        }
    }
    Ok(())
}

const OPERATORS: &[&str] = &["where", "project", "extend", "order", "sort", "limit", "take", "count", "summarize"];

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn here(&self) -> WireError {
        invalid_query(&format!("{:?}", self.tokens.get(self.at.saturating_sub(1))))
    }

    fn mark(&mut self, wanted: &str) -> Result<(), WireError> {
        match self.next() {
            Some(Token::Mark(mark)) if mark == wanted => Ok(()),
            _ => Err(self.here()),
        }
    }

    fn is_mark(&self, wanted: &str) -> bool {
        matches!(self.peek(), Some(Token::Mark(mark)) if *mark == wanted)
    }

    fn took(&mut self, wanted: &str) -> bool {
        let found = match self.peek() {
            Some(Token::Mark(mark)) => *mark == wanted,
            Some(Token::Word(word)) => word == wanted,
            _ => false,
        };
        self.at += usize::from(found);
        found
    }

    /// Whether another condition is joined by a word. What is joined is nested, so there is an end to it.
    fn joins(&mut self, word: &str) -> Result<bool, WireError> {
        let found = self.took(word);
        self.joined += usize::from(found);
        if self.joined > 200 { Err(self.here()) } else { Ok(found) }
    }

    fn stage(&mut self) -> Result<Stage, WireError> {
        let Some(Token::Word(operator)) = self.next() else { return Err(self.here()) };
        Ok(match operator.as_str() {
            "where" => Stage::Where(self.either()?),
            "project" => Stage::Project(self.columns()?),
            "extend" => Stage::Extend(self.columns()?),
            "order" | "sort" => {
                if !self.took("by") {
                    return Err(self.here());
                }
                let mut keys = Vec::new();
                loop {
                    let key = self.value()?;
                    // Kusto sorts downwards unless it is told otherwise.
                    let ascending = self.took("asc") || {
                        self.took("desc");
                        false
                    };
                    keys.push((key, ascending));
                    if !self.took(",") {
                        break;
                    }
                }
                Stage::Order(keys)
            }
            "limit" | "take" => match self.next() {
                Some(Token::Number(most)) => Stage::Limit(most as usize),
                _ => return Err(self.here()),
            },
            "count" => Stage::Count,
            "summarize" => {
                // A name for the count may come first.
                if self.tokens.get(self.at + 1) == Some(&Token::Mark("=")) {
                    self.at += 2;
                }
                if !(self.took("count") && self.took("(") && self.took(")")) {
                    return Err(self.here());
                }
                Stage::CountBy(if self.took("by") { self.columns()? } else { Vec::new() })
            }
            _ => return Err(self.here()),
        })
    }

    fn columns(&mut self) -> Result<Vec<(String, Expr)>, WireError> {
        let mut all = Vec::new();
        loop {
            let name = match (self.peek(), self.tokens.get(self.at + 1)) {
                (Some(Token::Word(name)), Some(Token::Mark("="))) => {
                    let name = name.clone();
                    self.at += 2;
                    Some(name)
                }
                _ => None,
            };
            let value = self.either()?;
            let name = match (name, &value) {
                (Some(name), _) => name,
                (None, Expr::Path(path)) => path.join("_"),
                (None, _) => format!("Column{}", all.len() + 1),
            };
            all.push((name, value));
            if !self.took(",") {
                return Ok(all);
            }
        }
    }

    fn either(&mut self) -> Result<Expr, WireError> {
        self.depth += 1;
        if self.depth > 50 {
            return Err(self.here());
        }
        let mut left = self.both()?;
        while self.joins("or")? {
            left = Expr::Or(Box::new(left), Box::new(self.both()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn both(&mut self) -> Result<Expr, WireError> {
        let mut left = self.comparison()?;
        while self.joins("and")? {
            left = Expr::And(Box::new(left), Box::new(self.comparison()?));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Expr, WireError> {
        if self.is_mark("(") {
            self.at += 1;
            let inner = self.either()?;
            self.mark(")")?;
            return Ok(inner);
        }
        let left = self.value()?;
        let not = self.took("!");
        match self.peek().cloned() {
            Some(Token::Mark(mark @ ("==" | "!=" | "=~" | "!~" | "<" | "<=" | ">" | ">="))) if !not => {
                self.at += 1;
                Ok(Expr::Compare(Box::new(left), mark.to_owned(), Box::new(self.value()?)))
            }
            Some(Token::Word(word)) if word == "in" => {
                self.at += 1;
                let fold = self.took("~");
                self.mark("(")?;
                let mut list = Vec::new();
                loop {
                    list.push(self.value()?);
                    if !self.took(",") {
                        break;
                    }
                }
                self.mark(")")?;
                Ok(Expr::In { value: Box::new(left), list, fold, not })
            }
            Some(Token::Word(word)) if matches!(word.as_str(), "contains" | "startswith" | "has" | "endswith") => {
                self.at += 1;
                let operator = if not { format!("!{word}") } else { word };
                Ok(Expr::Compare(Box::new(left), operator, Box::new(self.value()?)))
            }
            _ if not => Err(self.here()),
            _ => Ok(left),
        }
    }

    fn value(&mut self) -> Result<Expr, WireError> {
        match self.next() {
            Some(Token::Text(text)) => Ok(Expr::Literal(json!(text))),
            Some(Token::Number(number)) => Ok(Expr::Literal(json!(number as i64))),
            Some(Token::Word(word)) if word == "true" || word == "false" => Ok(Expr::Literal(json!(word == "true"))),
            Some(Token::Word(word)) if word == "not" && self.is_mark("(") => {
                self.at += 1;
                let inner = self.either()?;
                self.mark(")")?;
                Ok(Expr::Not(Box::new(inner)))
            }
            Some(Token::Word(word)) if self.is_mark("(") => {
                self.at += 1;
                if !FUNCTIONS.contains(&word.as_str()) {
                    return Err(self.here());
                }
                let mut arguments = Vec::new();
                while !self.took(")") {
                    arguments.push(self.either()?);
                    self.took(",");
                }
                Ok(Expr::Call(word, arguments))
            }
            Some(Token::Word(word)) => {
                let mut path = vec![word];
                loop {
                    if self.took(".") {
                        match self.next() {
                            Some(Token::Word(part)) => path.push(part),
                            _ => return Err(self.here()),
                        }
                    } else if self.took("[") {
                        match self.next() {
                            Some(Token::Text(part)) => path.push(part),
                            Some(Token::Number(index)) => path.push((index as usize).to_string()),
                            _ => return Err(self.here()),
                        }
                        self.mark("]")?;
                    } else {
                        return Ok(Expr::Path(path));
                    }
                }
            }
            _ => Err(self.here()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str, rows: &[Value]) -> Vec<Value> {
        let query = Query::parse(query).unwrap();
        run(rows.to_vec(), &query.stages)
    }

    #[test]
    fn a_query() {
        let rows = [
            json!({ "id": "b", "type": "microsoft.compute/disks", "properties": { "diskState": "Unattached", "n": 2 } }),
            json!({ "id": "a", "type": "microsoft.compute/disks", "properties": { "diskState": "Attached" } }),
            json!({ "id": "c", "type": "microsoft.network/x", "managedBy": "" }),
        ];
        let ids = |query: &str| -> Vec<String> { asked(query, &rows).iter().map(|row| text(&row["id"])).collect() };
        assert_eq!(ids("Resources | where type =~ 'Microsoft.Compute/disks' | order by id asc"), ["a", "b"]);
        assert_eq!(ids("where type in~ (\"MICROSOFT.NETWORK/x\", 'y')"), ["c"]);
        assert_eq!(
            ids("resources | where properties.diskState == 'Unattached' and (properties['n'] > 1 or false)"),
            ["b"]
        );
        assert_eq!(ids("resources | where isnull(properties.n) and not(type contains 'network')"), ["a"]);
        assert_eq!(
            asked("resources | where id == 'b' | project id, state = properties.diskState, properties.n // end", &rows),
            [json!({ "id": "b", "state": "Unattached", "properties_n": 2 })]
        );
        assert_eq!(asked("resources | count", &rows), [json!({ "Count": 3 })]);
        let counted = asked("resources | summarize count() by type | order by count_ desc", &rows);
        assert_eq!(counted[0]["count_"], 2);
    }

    #[test]
    fn nothing_that_is_asked_panics() {
        let deep = format!("resources | where {}", "(".repeat(10_000));
        let long = format!("resources | where {}id == 'a'", "id == 'a' or ".repeat(100_000));
        for query in [
            "",
            "|",
            "resources |",
            "resources | join",
            "'",
            "resources | where a ==",
            "é | ü",
            "resources | where f(",
            "resources | project",
            &deep,
            &long,
        ] {
            assert!(Query::parse(query).is_err(), "{query}");
        }
    }
}
