//! A thin client of Resource Manager, and of the other endpoints through the same transport.
//!
//! What it promises: every page of a list or an error; a list that is not there is no empty list; a link to the
//! next page leads to the same host; tokens go to the hosts of the cloud only. Structs that it fills name the
//! fields that are used and no others.

use crate::{
    auth::Tokens,
    fault,
    transport::{Expect, Reply, Request, Service, Transport, Trouble},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use sweeper_core::{
    calls::{Calls, Pages, Price, Site},
    deed::Pen,
    kind::{CloudError, Fault},
    model::{CloudId, Scope},
};
use tokio::sync::{OnceCell, Semaphore};
use url::Url;

/// Azure, connected.
pub(crate) struct Azure {
    pub(crate) transport: Transport,
    tokens: Tokens,
    calls: Calls,
    /// Subscriptions of the run that can be read, lower case: what Resource Graph is asked about.
    subscriptions: OnceLock<Vec<String>>,
    lists: Mutex<Lists>,
    /// Resource Graph counts queries per identity: a few at a time, so that the door's waits are fair.
    pub(crate) graph: Semaphore,
    /// Resource Graph's quota is spent until this time of the clock's `mono()`.
    pub(crate) quota_spent_until: Mutex<Option<Duration>>,
    /// Why Resource Graph told nothing, by type.
    pub(crate) graph_trouble: Mutex<BTreeMap<&'static str, String>>,
}

/// A listing that several kinds need, or why there is none.
type List = Result<Arc<dyn Any + Send + Sync>, CloudError>;

/// Listings by scope and name.
type Lists = BTreeMap<(Scope, String), Arc<OnceCell<List>>>;

/// Whom a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    /// The service's own audience.
    Service,
    /// Nobody: no token is sent, or the caller put one in.
    None,
}

/// One page of a list.
#[derive(Deserialize)]
struct Page<T> {
    value: Vec<T>,
    #[serde(rename = "nextLink", default)]
    next: Option<String>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an answer means, or that it means nothing.
pub(crate) fn parsed<T: DeserializeOwned>(op: &'static str, body: &[u8]) -> Result<T, CloudError> {
    serde_json::from_slice(body).map_err(|error| {
        // The error's text can quote the answer: only where and what sort of error it is.
        let sort = match error.classify() {
            serde_json::error::Category::Data => "a field is missing or of another type",
            serde_json::error::Category::Eof => "it ends early",
            _ => "it is no JSON",
        };
        CloudError::new(Fault::Malformed, op, format!("{sort}, line {} column {}", error.line(), error.column()))
    })
}

impl Azure {
    pub(crate) fn new(transport: Transport, tokens: Tokens, calls: Calls) -> Self {
        Self {
            transport,
            tokens,
            calls,
            subscriptions: OnceLock::new(),
            lists: Mutex::default(),
            graph: Semaphore::new(3),
            quota_spent_until: Mutex::default(),
            graph_trouble: Mutex::default(),
        }
    }

    /// The door for what belongs to no one subscription.
    pub(crate) fn tenant_site(&self) -> Site {
        self.calls.site(&Scope::new(CloudId::Azure, Scope::NO_ACCOUNT, Scope::GLOBAL))
    }

    /// The door of a subscription.
    pub(crate) fn site(&self, subscription: &str) -> Site {
        self.calls.site(&Scope::new(CloudId::Azure, subscription, Scope::GLOBAL))
    }

    /// Tells which subscriptions the run is about. The first word counts.
    pub(crate) fn about(&self, subscriptions: &BTreeSet<String>) {
        let _ = self.subscriptions.set(subscriptions.iter().map(|id| id.to_ascii_lowercase()).collect());
    }

    /// The subscriptions of the run, lower case; empty before the universe is known.
    pub(crate) fn subscriptions(&self) -> &[String] {
        self.subscriptions.get().map_or(&[], Vec::as_slice)
    }

    /// Resource Manager's URL of a path, which may have a query, in an API version.
    pub(crate) fn url(&self, op: &'static str, path: &str, api: &str) -> Result<Url, CloudError> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let text = format!("https://{}{path}{separator}api-version={api}", self.transport.hosts().management);
        Url::parse(&text).map_err(|_| CloudError::new(Fault::Refused, op, "not a URL"))
    }

    /// The scope of the tokens that a service takes.
    fn audience(&self, service: Service) -> &'static str {
        let management = self.transport.hosts().management;
        match service {
            // The registry's API takes tokens of its own, which it gives for one of Resource Manager.
            Service::Arm | Service::Acr => match management {
                "management.usgovcloudapi.net" => "https://management.usgovcloudapi.net/.default",
                "management.chinacloudapi.cn" => "https://management.chinacloudapi.cn/.default",
                _ => "https://management.azure.com/.default",
            },
            Service::Blob => "https://storage.azure.com/.default",
            Service::Monitor => match management {
                "management.usgovcloudapi.net" => "https://metrics.monitor.azure.us/.default",
                "management.chinacloudapi.cn" => "https://metrics.monitor.azure.cn/.default",
                _ => "https://metrics.monitor.azure.com/.default",
            },
        }
    }

    /// A token of Resource Manager, for services that give their own for it.
    pub(crate) async fn arm_token(&self, op: &'static str) -> Result<String, CloudError> {
        self.tokens.token(op, self.audience(Service::Arm)).await
    }

    /// Where tokens come from: `client secret`, `Azure CLI`.
    pub(crate) fn token_source(&self) -> &'static str {
        self.tokens.source()
    }

    /// One try of a request, with a token.
    pub(crate) async fn once_sent(
        &self,
        op: &'static str,
        mut request: Request,
        auth: Auth,
    ) -> Result<Reply, CloudError> {
        if auth == Auth::Service {
            let scope = self.audience(request.service);
            request.bearer = Some(self.tokens.token(op, scope).await?);
        }
        self.transport.send(&request).await.map_err(|trouble: Trouble| fault::of(op, &trouble))
    }

    /// A request through the door: tried again while it is worth it.
    pub(crate) async fn send(
        &self,
        site: &Site,
        op: &'static str,
        request: Request,
        auth: Auth,
    ) -> Result<Reply, CloudError> {
        self.send_paid(site, op, Price::Free, request, auth).await
    }

    /// As [`Self::send`], for what costs money.
    pub(crate) async fn send_paid(
        &self,
        site: &Site,
        op: &'static str,
        price: Price,
        request: Request,
        auth: Auth,
    ) -> Result<Reply, CloudError> {
        site.paid(op, price, || {
            let request = request.clone();
            Box::pin(self.once_sent(op, request, auth))
        })
        .await
    }

    /// Sends a change once, if the pen's permit lets it out. `op` is the permission of a call that its deed declares.
    pub(crate) async fn change(
        &self,
        pen: &Pen<'_>,
        op: &'static str,
        mut request: Request,
        auth: Auth,
    ) -> Result<Reply, CloudError> {
        if auth == Auth::Service {
            request.bearer = Some(self.tokens.token(op, self.audience(request.service)).await?);
        }
        // In the cloud's own log, beside its id of the request.
        request.headers.push(("x-ms-client-request-id", pen.permit().token().to_owned()));
        let sent = async {
            let reply = self.transport.change(&request, pen.permit()).await;
            reply.map_err(|trouble| fault::of_change(op, &trouble))
        };
        pen.send(op, sent).await
    }

    /// Reads one thing.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        site: &Site,
        op: &'static str,
        path: &str,
        api: &str,
    ) -> Result<T, CloudError> {
        let request = Request::get(Service::Arm, self.url(op, path, api)?);
        parsed(op, &self.send(site, op, request, Auth::Service).await?.body)
    }

    /// As [`Self::get`], where "not found" is an answer: `None`.
    pub(crate) async fn maybe<T: DeserializeOwned>(
        &self,
        site: &Site,
        op: &'static str,
        path: &str,
        api: &str,
    ) -> Result<Option<T>, CloudError> {
        match self.get(site, op, path, api).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.fault == Fault::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every page of a list, item by item in the cloud's order. `{"value": [...], "nextLink": "…"}`.
    pub(crate) async fn pages<T: DeserializeOwned>(
        &self,
        site: &Site,
        op: &'static str,
        path: &str,
        api: &str,
        mut each: impl FnMut(T) + Send,
    ) -> Result<(), CloudError> {
        let first = self.url(op, path, api)?;
        let mut pages = Pages::new(op);
        while let Some(link) = pages.next() {
            let url = match link {
                None => first.clone(),
                Some(link) => self
                    .transport
                    .link(Service::Arm, &first, &link)
                    .map_err(|said| CloudError::new(Fault::Malformed, op, said))?,
            };
            let reply = self.send(site, op, Request::get(Service::Arm, url), Auth::Service).await?;
            let page: Page<T> = parsed(op, &reply.body)?;
            page.value.into_iter().for_each(&mut each);
            pages.seen(page.next.as_deref())?;
        }
        Ok(())
    }

    /// Every item of a list.
    pub(crate) async fn list<T: DeserializeOwned + Send>(
        &self,
        site: &Site,
        op: &'static str,
        path: &str,
        api: &str,
    ) -> Result<Vec<T>, CloudError> {
        let mut all = Vec::new();
        self.pages(site, op, path, api, |item| all.push(item)).await?;
        Ok(all)
    }

    /// What `list` gives for a site's scope, listed once a run however many kinds need it. `what` names it.
    /// Whoever comes while it is being listed waits; a failure is everybody's.
    pub(crate) async fn once<T: Send + Sync + 'static>(
        &self,
        site: &Site,
        what: impl Into<String>,
        list: BoxFuture<'_, Result<T, CloudError>>,
    ) -> Result<Arc<T>, CloudError> {
        let what = what.into();
        let cell = Arc::clone(lock(&self.lists).entry((site.scope().clone(), what)).or_default());
        let listed = cell
            .get_or_init(|| async { list.await.map(|list| Arc::new(list) as Arc<dyn Any + Send + Sync>) })
            .await
            .clone()?;
        listed.downcast().map_err(|_| CloudError::new(Fault::Malformed, "a shared list", "bug: two lists of one name"))
    }
}

/// A body.
pub(crate) fn json(op: &'static str, body: &impl Serialize) -> Result<Bytes, CloudError> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|_| CloudError::new(Fault::Refused, op, "no JSON"))
}

/// A request that expects whatever it asks for.
pub(crate) fn expecting(request: Request, accept: &'static str, expect: Expect) -> Request {
    let mut request = Request { expect, ..request };
    request.headers.push(("accept", accept.to_owned()));
    request
}
