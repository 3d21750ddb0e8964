//! The management crate's client, made to send through our transport and the door.
//!
//! The crate would send its token to whatever host a page's link names, open a connection a request and retry by
//! itself. Here it makes requests and reads answers, and nothing else: each of its requests is ours, with our token,
//! and its error is the door's.

use crate::{
    arm::{Auth, Azure, parsed},
    auth::Bridge,
    entity::Entity,
    transport::{Request, Service},
};
use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_mgmt_compute::package_2024_07_01::{Client, ClientBuilder};
use futures_util::StreamExt as _;
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use std::{collections::HashMap, fmt, sync::Arc};
use sweeper_core::{
    calls::Site,
    kind::{CloudError, Fault},
};
use url::Url;

/// Sends the crate's requests for one permission, in one scope.
struct Door {
    azure: Arc<Azure>,
    site: Site,
    op: &'static str,
    first: std::sync::OnceLock<Url>,
}

impl fmt::Debug for Door {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Door({})", self.op)
    }
}

/// What must be in a page: a list, whatever the crate makes of none.
#[derive(Deserialize)]
struct Listed {
    #[expect(dead_code, reason = "only that it is there matters")]
    value: Vec<IgnoredAny>,
}

#[async_trait]
impl azure_core::HttpClient for Door {
    async fn execute_request(&self, request: &azure_core::Request) -> azure_core::Result<azure_core::Response> {
        let failed = |error: CloudError| Error::new(ErrorKind::Other, error);
        if *request.method() != azure_core::Method::Get {
            return Err(failed(CloudError::new(Fault::Refused, self.op, "not a read")));
        }
        let first = self.first.get_or_init(|| request.url().clone());
        let url = self
            .azure
            .transport
            .link(Service::Arm, first, request.url().as_str())
            .map_err(|said| failed(CloudError::new(Fault::Malformed, self.op, said)))?;
        let reply = self
            .azure
            .send(&self.site, self.op, Request::get(Service::Arm, url), Auth::Service)
            .await
            .map_err(failed)?;
        parsed::<Listed>(self.op, &reply.body).map_err(failed)?;
        let body = reply.body;
        let stream = futures_util::stream::once(async move { Ok(body) });
        Ok(azure_core::Response::new(azure_core::StatusCode::Ok, HashMap::new().into(), Box::pin(stream)))
    }
}

/// The crate's client for one permission in a site's subscription.
pub(crate) fn client(azure: &Arc<Azure>, site: &Site, op: &'static str) -> Result<Client, CloudError> {
    let bug = |error: Error| CloudError::new(Fault::Refused, op, error.to_string());
    let door = Door { azure: Arc::clone(azure), site: site.clone(), op, first: std::sync::OnceLock::new() };
    let endpoint = Url::parse(&format!("https://{}", azure.transport.hosts().management))
        .map_err(|_| CloudError::new(Fault::Refused, op, "no endpoint"))?;
    ClientBuilder::new(Arc::new(Bridge("replaced".to_owned())))
        .endpoint(endpoint)
        .scopes(&["replaced"])
        .transport(azure_core::TransportOptions::new(Arc::new(door)))
        .retry(azure_core::RetryOptions::none())
        .build()
        .map_err(bug)
}

/// Every item of the crate's pages, or the door's error.
pub(crate) async fn all<P, T>(
    op: &'static str,
    pages: azure_core::Pageable<P, Error>,
    items: impl Fn(P) -> Vec<T>,
) -> Result<Vec<T>, CloudError>
where
    P: azure_core::Continuable<Continuation = String>,
{
    let mut seen = std::collections::BTreeSet::new();
    let mut all = Vec::new();
    let mut pages = pages;
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| of(op, error))?;
        if let Some(link) = page.continuation()
            && !seen.insert(link)
        {
            return Err(CloudError::new(Fault::Malformed, op, "a page token came twice"));
        }
        all.extend(items(page));
    }
    Ok(all)
}

/// A resource of the crate's as both ways tell it.
pub(crate) fn entity<T: DeserializeOwned>(op: &'static str, model: &impl Serialize) -> Result<Entity<T>, CloudError> {
    let value = serde_json::to_value(model);
    let malformed = |_| CloudError::new(Fault::Malformed, op, "a field is missing or of another type");
    serde_json::from_value(value.map_err(malformed)?).map_err(malformed)
}

/// The door's error out of the crate's, or what the crate could not read.
fn of(op: &'static str, error: Error) -> CloudError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(one) = cause {
        if let Some(error) = one.downcast_ref::<CloudError>() {
            return error.clone();
        }
        cause = one.source();
    }
    // Its text can quote the answer.
    CloudError::new(Fault::Malformed, op, "a field is missing or of another type")
}
