//! Resource Graph: one query for all subscriptions of the run, each of which takes its rows.
//!
//! It leaves out what the identity may not read, so the rights at each root are asked besides ([`crate::rights`]). Where
//! it does not answer, or not as it should, nobody's list suffers: each subscription is then listed by itself.

use crate::{
    arm::{self, Auth, Azure, lock},
    entity::{self, Entity, Sort},
    transport::{Request, Service, quota_reset_ms},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, sync::Mutex, time::Duration};
use sweeper_core::{
    calls::{Pages, Site},
    kind::{CloudError, Fault},
};

pub(crate) const OP: &str = "Microsoft.ResourceGraph/resources/read";
const API: &str = "2022-10-01";

/// Rows a page, the most there can be.
const PAGE: u32 = 1000;
/// Subscriptions that one query may be about.
const SUBSCRIPTIONS: usize = 1000;

#[derive(Serialize)]
struct Query<'a> {
    subscriptions: &'a [String],
    #[serde(rename = "query")]
    text: &'a str,
    options: Options<'a>,
}

#[derive(Serialize)]
struct Options<'a> {
    #[serde(rename = "$top")]
    top: u32,
    #[serde(rename = "$skipToken", skip_serializing_if = "Option::is_none")]
    skip_token: Option<&'a str>,
    #[serde(rename = "resultFormat")]
    format: &'static str,
}

#[derive(Deserialize)]
struct Answer<P> {
    #[serde(rename = "totalRecords", default)]
    total: Option<u64>,
    #[serde(rename = "resultTruncated", default)]
    truncated: Option<String>,
    data: Vec<Entity<P>>,
    #[serde(rename = "$skipToken", default)]
    skip_token: Option<String>,
}

/// The rows of each subscription, until it takes them.
type Rows<P> = Mutex<BTreeMap<String, Vec<Entity<P>>>>;

/// The query of a sort: the same text for any number of subscriptions.
pub(crate) fn query(sort: &Sort) -> String {
    let filter = if sort.filter.is_empty() { String::new() } else { format!(" and {}", sort.filter) };
    let columns = if sort.columns.is_empty() { String::new() } else { format!(", {}", sort.columns) };
    let (table, of) = (sort.table, sort.of.to_ascii_lowercase());
    format!(
        "{table} | where type =~ '{of}'{filter} | project id, name, location, tags{columns}, properties | order by id asc"
    )
}

/// The rows of the site's subscription, or `None` where Resource Graph does not tell them.
pub(crate) async fn rows<P>(azure: &Azure, site: &Site, sort: &'static Sort) -> Option<Vec<Entity<P>>>
where
    P: DeserializeOwned + Send + Sync + 'static,
{
    let own = site.scope().account.to_ascii_lowercase();
    if sort.table.is_empty() || !azure.subscriptions().contains(&own) {
        return None;
    }
    let tenant = azure.tenant_site();
    let list = Box::pin(async { all::<P>(azure, &tenant, sort).await });
    let name = format!("{OP} {} {}", sort.of, sort.filter);
    let rows = match azure.once::<Rows<P>>(&tenant, name, list).await {
        Ok(rows) => rows,
        Err(error) => {
            lock(&azure.graph_trouble).insert(sort.of, error.cause());
            return None;
        }
    };
    let mut rows = lock(&rows);
    // Taken by each subscription once; of one whose rows are gone there is nothing to say.
    rows.remove(&own)
}

/// What coverage says of a list that Resource Graph did not tell.
pub(crate) fn note(azure: &Azure, sort: &Sort) -> Option<String> {
    let cause = lock(&azure.graph_trouble).get(sort.of)?.clone();
    Some(format!("listed by the subscription itself, without Resource Graph: {cause}"))
}

async fn all<P>(azure: &Azure, site: &Site, sort: &Sort) -> Result<Rows<P>, CloudError>
where
    P: DeserializeOwned + Send,
{
    let text = query(sort);
    let mut rows: BTreeMap<String, Vec<Entity<P>>> = BTreeMap::new();
    for subscriptions in azure.subscriptions().chunks(SUBSCRIPTIONS) {
        rows.extend(subscriptions.iter().map(|id| (id.clone(), Vec::new())));
        let (mut received, mut least) = (0_u64, u64::MAX);
        let mut pages = Pages::new(OP);
        while let Some(token) = pages.next() {
            let options = Options { top: PAGE, skip_token: token.as_deref(), format: "objectArray" };
            let body = arm::json(OP, &Query { subscriptions, text: &text, options })?;
            let page: Answer<P> = ask(azure, site, body).await?;
            let truncated = page.truncated.is_some_and(|word| word.eq_ignore_ascii_case("true"));
            let next = page.skip_token.as_deref().filter(|token| !token.is_empty());
            if truncated && next.is_none() {
                return Err(CloudError::new(Fault::Malformed, OP, "cut short, with no way to the rest"));
            }
            received += page.data.len() as u64;
            least = least.min(page.total.unwrap_or(u64::MAX));
            for mut entity in page.data {
                // Its id ends with its name: once is enough.
                if entity.name.as_deref() == entity.id.rsplit('/').next() {
                    entity.name = None;
                }
                let subscription = entity::part(&entity.id, "subscriptions").unwrap_or_default().to_ascii_lowercase();
                match rows.get_mut(&subscription) {
                    Some(rows) => rows.push(entity),
                    None => {
                        return Err(CloudError::new(Fault::Malformed, OP, "a row of a subscription not asked about"));
                    }
                }
            }
            pages.seen(next)?;
        }
        // A page that was lost, but not what came and went meanwhile.
        if least != u64::MAX && received + (least / 100).min(99) < least {
            return Err(CloudError::new(Fault::Malformed, OP, "fewer rows than it counts"));
        }
    }
    rows.values_mut().for_each(Vec::shrink_to_fit);
    Ok(Mutex::new(rows))
}

/// One page. The quota is per identity: when an answer says that it is spent, the next query is not sent before it
/// is whole again, which is the door's to wait for.
async fn ask<T: DeserializeOwned>(azure: &Azure, site: &Site, body: bytes::Bytes) -> Result<T, CloudError> {
    let _turn = azure.graph.acquire().await.map_err(|_| CloudError::new(Fault::Cancelled, OP, ""))?;
    let url = azure.url(OP, "/providers/Microsoft.ResourceGraph/resources", API)?;
    let request = Request::post(Service::Arm, url, body);
    let reply = site
        .read(OP, || {
            let request = request.clone();
            let clock = site.clock();
            Box::pin(async move {
                let now = clock.mono();
                let spent = *lock(&azure.quota_spent_until);
                if let Some(left) = spent.and_then(|until| until.checked_sub(now)).filter(|left| !left.is_zero()) {
                    let wait = left.as_millis() as u64 + 1;
                    return Err(CloudError {
                        retry_after_ms: Some(wait),
                        ..CloudError::new(Fault::Throttled, OP, "quota spent")
                    });
                }
                let reply = azure.once_sent(OP, request, Auth::Service).await?;
                if reply.header("x-ms-user-quota-remaining").is_some_and(|left| left.trim() == "0") {
                    let wait = Duration::from_millis(quota_reset_ms(&reply.headers).unwrap_or(5000).min(60_000));
                    *lock(&azure.quota_spent_until) = Some(clock.mono() + wait);
                }
                Ok(reply)
            })
        })
        .await?;
    arm::parsed(OP, &reply.body)
}
