//! Google's REST APIs without the client libraries: one thing read by its name, and the only way to change anything.
//!
//! A token goes to the service's own host, or to nobody. What is no read needs the permit of a deed that declares its
//! method and path, and what the path names must be what the permit is for: its project, its place and its name. This
//! is asked here, below whatever made the request. Changes are sent once.

use crate::{auth::Gcp, fault, paths};
use google_cloud_auth::credentials::CacheableResource;
use http::HeaderMap;
use reqwest::{
    Client, Method, Url,
    header::{CONTENT_TYPE, DATE, HOST, RETRY_AFTER},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{error::Error as StdError, time::Duration};
use sweeper_core::{
    calls::{Price, Site},
    clocks::Clocks,
    deed::{Pen, Permit, Target, Write},
    kind::{CloudError, Fault},
    model::{CloudId, Scope},
};
use tokio::sync::OnceCell;

/// Connecting takes no longer.
const CONNECT: Duration = Duration::from_secs(5);
/// One request takes no longer; the door's own limit is above it.
const REQUEST: Duration = Duration::from_secs(25);
/// The largest answer that is read: one resource, or one operation.
const LARGEST: usize = 8 * 1024 * 1024;

/// Services that are spoken to in this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    ArtifactRegistry,
    BigQuery,
    Compute,
    Functions,
    Run,
    Sql,
}

impl Service {
    /// The first word of its host.
    const fn host(self) -> &'static str {
        match self {
            Self::ArtifactRegistry => "artifactregistry",
            Self::BigQuery => "bigquery",
            Self::Compute => "compute",
            Self::Functions => "cloudfunctions",
            Self::Run => "run",
            Self::Sql => "sqladmin",
        }
    }

    /// As the variables that set an endpoint name it.
    pub(crate) const fn variable(self) -> &'static str {
        match self {
            Self::ArtifactRegistry => "ARTIFACTREGISTRY",
            Self::BigQuery => "BIGQUERY",
            Self::Compute => "COMPUTE",
            Self::Functions => "FUNCTIONS",
            Self::Run => "RUN",
            Self::Sql => "SQL",
        }
    }
}

/// A request. Its path is made of [`segment`]s, and begins with a slash.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    service: Service,
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Request {
    pub(crate) fn get(service: Service, path: String) -> Self {
        Self { service, method: Method::GET, path, query: Vec::new(), body: None }
    }

    pub(crate) fn delete(service: Service, path: String) -> Self {
        Self { method: Method::DELETE, ..Self::get(service, path) }
    }

    pub(crate) fn post(service: Service, path: String, body: Option<Value>) -> Self {
        Self { method: Method::POST, body, ..Self::get(service, path) }
    }

    pub(crate) fn patch(service: Service, path: String, body: Value) -> Self {
        Self { method: Method::PATCH, body: Some(body), ..Self::get(service, path) }
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.query.push((name, value.to_owned()));
        self
    }

    /// Whether it asks BigQuery a question, and nothing that could change something: one statement, which selects.
    fn is_question(&self) -> bool {
        let project = self.path.strip_prefix("/bigquery/v2/projects/").and_then(|rest| rest.strip_suffix("/queries"));
        let body = self.body.as_ref();
        let text = body.and_then(|body| body["query"].as_str()).unwrap_or_default();
        self.service == Service::BigQuery
            && self.method == Method::POST
            && project.is_some_and(|project| !project.is_empty() && !project.contains('/'))
            && body.is_some_and(|body| body["useLegacySql"] == Value::Bool(false))
            && text.split_whitespace().next() == Some("SELECT")
            && !text.contains(';')
    }
}

/// A name as one segment of a path.
pub(crate) fn segment(name: &str) -> String {
    let mut path = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let digits = b"0123456789ABCDEF";
            path.push('%');
            path.extend([byte >> 4, byte & 15].map(|digit| char::from(digits[usize::from(digit)])));
        }
    }
    path
}

/// The HTTP clients, made at their first use.
pub(crate) struct Rest {
    google: OnceCell<Client>,
    local: OnceCell<Client>,
    clocks: Clocks,
}

impl Rest {
    pub(crate) fn new(clocks: Clocks) -> Self {
        Self { google: OnceCell::new(), local: OnceCell::new(), clocks }
    }

    async fn client(&self, local: bool, op: &'static str) -> Result<&Client, CloudError> {
        let cell = if local { &self.local } else { &self.google };
        let make = || async {
            let builder = Client::builder()
                .connect_timeout(CONNECT)
                .timeout(REQUEST)
                .redirect(reqwest::redirect::Policy::none())
                // A request that was lost is found out about by reading, not sent again.
                .retry(reqwest::retry::never())
                .user_agent(concat!("sweeper/", env!("CARGO_PKG_VERSION")));
            if local { builder.no_proxy().build() } else { builder.https_only(true).build() }
        };
        let failed = |error: reqwest::Error| CloudError::new(Fault::Refused, op, format!("no client: {error}"));
        cell.get_or_try_init(make).await.map_err(failed)
    }
}

impl Gcp {
    /// Reads one thing by its name.
    pub(crate) async fn one<T: DeserializeOwned + Send>(
        &self,
        site: &Site,
        op: &'static str,
        request: Request,
    ) -> Result<T, CloudError> {
        self.paid(site, op, Price::Free, request).await
    }

    /// As [`Self::one`], of what costs money.
    pub(crate) async fn paid<T: DeserializeOwned + Send>(
        &self,
        site: &Site,
        op: &'static str,
        price: Price,
        request: Request,
    ) -> Result<T, CloudError> {
        let answer = site.paid(op, price, || self.send(op, None, request.clone())).await?;
        // The text of an error may quote the answer, which may hold anything.
        serde_json::from_slice(&answer).map_err(|_| CloudError::new(Fault::Malformed, op, "the answer cannot be read"))
    }

    /// As [`Self::one`]; `None` where the service says that the thing is not there. It must say so of the thing itself.
    pub(crate) async fn find<T: DeserializeOwned + Send>(
        &self,
        site: &Site,
        op: &'static str,
        request: Request,
    ) -> Result<Option<T>, CloudError> {
        let named = request.service != Service::Compute;
        let tail = request.path.rsplit('/').take(2).collect::<Vec<_>>();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("/");
        match self.one(site, op, request).await {
            Ok(found) => Ok(Some(found)),
            // Of a project that is not there Compute says "not found" as well.
            Err(error) if error.fault == Fault::NotFound && (named || error.message.contains(&tail)) => Ok(None),
            Err(error) if error.fault == Fault::NotFound => Err(CloudError { fault: Fault::Malformed, ..error }),
            Err(error) => Err(error),
        }
    }

    /// Sends a change, once. `op` is the permission of the declared call.
    pub(crate) async fn change(&self, pen: &Pen<'_>, op: &'static str, request: Request) -> Result<Value, CloudError> {
        let unclear = |mut error: CloudError| {
            // Something answered that was not the service, or not as it does: whether it happened is not known.
            if error.fault == Fault::Malformed {
                error.fault = Fault::Transient;
            }
            error
        };
        let send = async {
            let answer = self.send(op, Some(pen.permit()), request).await.map_err(unclear)?;
            let unread = |_| CloudError::new(Fault::Transient, op, "the answer cannot be read");
            serde_json::from_slice(&answer).map_err(unread)
        };
        pen.send(op, send).await
    }

    async fn send(
        &self,
        op: &'static str,
        permit: Option<&Permit>,
        request: Request,
    ) -> Result<bytes::Bytes, CloudError> {
        let refused = |why: &str| CloudError::new(Fault::Refused, op, why);
        if request.method != Method::GET && (permit.is_some() || !request.is_question()) {
            let permit = permit.ok_or_else(|| refused("a change without leave"))?;
            leave(permit, op, &request).map_err(refused)?;
        }
        let (credentials, endpoint) = self.entry(request.service.variable(), op).await?;
        let mut headers = HeaderMap::new();
        let host = if endpoint.is_some() {
            format!("{}.googleapis.com", request.service.host())
        } else {
            let universe = credentials.universe_domain().await.unwrap_or_else(|| "googleapis.com".to_owned());
            let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.".contains(letter);
            if !universe.chars().all(plain) {
                return Err(refused("the credentials name no domain of Google's"));
            }
            match credentials.headers(http::Extensions::new()).await {
                Ok(CacheableResource::New { data, .. }) => headers = data,
                Ok(CacheableResource::NotModified) => {}
                Err(error) => {
                    let fault = if error.is_transient() { Fault::Unreachable } else { Fault::Unauthenticated };
                    return Err(CloudError::new(fault, op, error.to_string().chars().take(300).collect::<String>()));
                }
            }
            format!("{}.{universe}", request.service.host())
        };
        let base = endpoint.clone().unwrap_or_else(|| format!("https://{host}"));
        let mut url = Url::parse(&format!("{base}{}", request.path)).map_err(|_| refused("no URL"))?;
        // Dots that lead elsewhere.
        if url.path() != request.path || endpoint.is_none() && url.host_str() != Some(host.as_str()) {
            return Err(refused("the path is not what it says"));
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let client = self.rest.client(endpoint.is_some(), op).await?;
        let mut builder = client.request(request.method, url).headers(headers);
        if endpoint.is_some() {
            builder = builder.header(HOST, &host);
        }
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let answer = builder.send().await;
        let date = answer.as_ref().ok().and_then(|answer| answer.headers().get(DATE)?.to_str().ok());
        if let Some(date) = date {
            self.rest.clocks.told(CloudId::Gcp, date);
        }
        read(op, answer).await
    }
}

/// The answer, wholly; errors by meaning.
async fn read(op: &'static str, response: reqwest::Result<reqwest::Response>) -> Result<bytes::Bytes, CloudError> {
    let mut response = response.map_err(|error| trouble(op, &error))?;
    let status = response.status().as_u16();
    let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| trouble(op, &error))? {
        if body.len() + chunk.len() > LARGEST {
            return Err(CloudError::new(Fault::Malformed, op, "an answer of more than 8 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    let body = bytes::Bytes::from(body);
    if (200..300).contains(&status) {
        return Ok(body);
    }
    let error = fault::answered(op, status, &body);
    Err(CloudError { retry_after_ms: wait.map(|seconds| seconds.min(60) * 1000), ..error })
}

fn trouble(op: &'static str, error: &reqwest::Error) -> CloudError {
    if error.is_timeout() && !error.is_connect() {
        return CloudError::new(Fault::Transient, op, "no answer in time");
    }
    let (mut fault, text) = fault::transport(error as &(dyn StdError + 'static));
    if fault == Fault::Unreachable && !error.is_connect() {
        // The way broke after the request had gone.
        fault = Fault::Transient;
    }
    CloudError::new(fault, op, text)
}

/// Whether a permit lets a change pass, and why not.
fn leave(permit: &Permit, op: &str, request: &Request) -> Result<(), &'static str> {
    let method = request.method.as_str();
    if !permit.allows(method, &request.path) {
        return Err("the deed declares no such request");
    }
    let mut declared = permit.spec().writes.iter().filter(|write| write.permission == op && write.method == method);
    let names = declared.find_map(|write| named(write, &request.path));
    let names = names.ok_or("it is another of the calls that the deed declares")?;
    fits(permit.target(), &names, request.body.as_ref())
}

/// What the path of a declared call names: `(collection, name)`. Without a name after it, `global` is a place.
fn named<'a>(write: &Write, path: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
    let (declared, given): (Vec<&str>, Vec<&str>) = (write.action.split('/').collect(), path.split('/').collect());
    if declared.len() != given.len() {
        return None;
    }
    let mut names = Vec::new();
    for (at, (wanted, given)) in declared.iter().zip(&given).enumerate() {
        match *wanted {
            "{}" => names.push((declared[at.checked_sub(1)?], *given)),
            "global" if *given == "global" => names.push(("global", Scope::GLOBAL)),
            wanted if wanted == *given => {}
            _ => return None,
        }
    }
    Some(names)
}

/// Whether a request is about the resource that a permit is for.
fn fits(target: &Target, names: &[(&str, &str)], body: Option<&Value>) -> Result<(), &'static str> {
    let mut own = Vec::new();
    for (collection, name) in names {
        let right = match *collection {
            "projects" => *name == segment(&target.account),
            // A zone is no region, and the other way round.
            "zones" => *name == segment(&target.region) && paths::region_of(&target.region) != target.region,
            "regions" => *name == segment(&target.region) && paths::region_of(&target.region) == target.region,
            "locations" | "global" => *name == segment(&target.region),
            _ => {
                own.push(*name);
                continue;
            }
        };
        if !right {
            return Err("it would go to another project or place than the permit's");
        }
    }
    let id = &target.native_id;
    let right = match own[..] {
        // Made again: it has the name that it had.
        [] => body.and_then(|body| body["name"].as_str()) == Some(id),
        [name] => name == segment(id),
        // Revisions are named after their service.
        [service, revision] => revision == segment(id) && id.starts_with(&format!("{service}-")),
        // `repository/package@version`.
        [repository, package, version] => id
            .split_once('/')
            .and_then(|(head, rest)| Some((head, rest.rsplit_once('@')?)))
            .is_some_and(|(head, (middle, tail))| {
                (segment(head).as_str(), segment(middle).as_str(), segment(tail).as_str())
                    == (repository, package, version)
            }),
        _ => false,
    };
    if right { Ok(()) } else { Err("it would go to another resource than the permit's") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_selects_and_does_nothing_else() {
        let asks = |path: &str, query: &str, legacy: bool| {
            let body = serde_json::json!({ "query": query, "useLegacySql": legacy });
            Request::post(Service::BigQuery, path.to_owned(), Some(body)).is_question()
        };
        let path = "/bigquery/v2/projects/p/queries";
        assert!(asks(path, "SELECT 1", false));
        for (path, query, legacy) in [
            (path, "SELECT 1", true),
            (path, "DELETE FROM `t` WHERE true", false),
            (path, "SELECT 1; DROP TABLE `t`", false),
            (path, "", false),
            ("/bigquery/v2/projects/p/datasets", "SELECT 1", false),
            ("/bigquery/v2/projects/p/datasets/d/queries", "SELECT 1", false),
            ("/bigquery/v2/projects//queries", "SELECT 1", false),
        ] {
            assert!(!asks(path, query, legacy), "{path} {query}");
        }
        assert!(!Request::post(Service::Compute, path.to_owned(), None).is_question());
    }

    #[test]
    fn a_name_is_one_segment_whatever_is_in_it() {
        assert_eq!(segment("team/web@sha256:ab"), "team%2Fweb@sha256:ab");
        assert_eq!(segment("a b?c#d%e/../\u{e9}\n"), "a%20b%3Fc%23d%25e%2F..%2F%C3%A9%0A");
        assert_eq!(segment("com.example:lib_1~2-3"), "com.example:lib_1~2-3");
    }
}
