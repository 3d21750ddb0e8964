//! The API of a container registry itself. It takes tokens of its own, which it gives for one of Resource Manager:
//! first one for the registry, then one for each scope. Source: "Authenticate with an Azure container registry" and
//! the `AAD-OAuth` notes of the registry's documentation. All requests go to the registry's own login server.

use crate::{
    arm::{self, Auth, Azure, expecting},
    fault,
    transport::{Expect, Reply, Request, Service},
};
use serde::{Deserialize, de::DeserializeOwned};
use std::fmt;
use sweeper_core::{
    calls::{Pages, Site},
    deed::Pen,
    kind::{CloudError, Fault},
};
use url::Url;

/// The role action by which images are listed and read; the registry has no finer one.
pub(crate) const PULL: &str = "Microsoft.ContainerRegistry/registries/pull/read";

/// The role action by which images are deleted.
pub(crate) const DELETE: &str = "Microsoft.ContainerRegistry/registries/artifacts/delete";
/// To list what is in the bin, and to take it out.
pub(crate) const DELETED: &str = "Microsoft.ContainerRegistry/registries/deleted/read";
pub(crate) const RESTORE: &str = "Microsoft.ContainerRegistry/registries/deleted/restore/action";

/// Names and manifests a page, the most that the registry gives.
const PAGE: &str = "1000";

/// Manifests that are asked for, by media type.
pub(crate) const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A registry, entered.
pub(crate) struct Registry<'a> {
    azure: &'a Azure,
    site: &'a Site,
    host: String,
    /// Good for three hours.
    refresh: String,
}

/// Says nothing of tokens.
impl fmt::Debug for Registry<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Registry({})", self.host)
    }
}

/// What a scope's token lets one do.
pub(crate) struct Token(String);

/// A manifest of a repository.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) digest: String,
    #[serde(default)]
    pub(crate) image_size: Option<u64>,
    #[serde(default)]
    pub(crate) created_time: Option<String>,
    #[serde(default)]
    pub(crate) last_update_time: Option<String>,
    #[serde(default)]
    pub(crate) media_type: Option<String>,
    #[serde(default)]
    pub(crate) config_media_type: Option<String>,
    #[serde(default)]
    pub(crate) tags: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) changeable_attributes: Option<Attributes>,
}

/// What may be done with a manifest.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Attributes {
    pub(crate) delete_enabled: Option<bool>,
    pub(crate) write_enabled: Option<bool>,
}

/// A manifest in the bin.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deleted {
    pub(crate) digest: String,
    #[serde(default)]
    pub(crate) deleted_at: Option<String>,
}

#[derive(Deserialize)]
struct Catalog {
    /// Null where there are none.
    repositories: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    manifests: Option<Vec<Manifest>>,
}

/// `scheme://host` and a path of segments that may hold anything.
fn url(host: &str, segments: &[&str]) -> Result<Url, CloudError> {
    let refused = || CloudError::new(Fault::Refused, PULL, "no URL");
    let mut url = Url::parse(&format!("https://{host}")).map_err(|_| refused())?;
    url.path_segments_mut().map_err(|()| refused())?.pop_if_empty().extend(segments);
    Ok(url)
}

/// The path of a repository's manifests: its name may have slashes.
fn below<'a>(start: &[&'a str], repository: &'a str, end: &[&'a str]) -> Vec<&'a str> {
    start.iter().copied().chain(repository.split('/')).chain(end.iter().copied()).collect()
}

/// The next page of a `Link` header: `</acr/v1/_catalog?last=b&n=1>; rel="next"`.
fn next(reply: &Reply) -> Option<String> {
    let text = reply.header("link")?;
    text.split(',').find_map(|link| {
        let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = rest.split(';').any(|word| matches!(word.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then(|| target.to_owned())
    })
}

/// What a registry refuses is its own matter: the run's identity may be good everywhere else.
fn of_registry(error: CloudError) -> CloudError {
    if error.fault == Fault::Unauthenticated { CloudError { fault: Fault::Denied, ..error } } else { error }
}

impl<'a> Registry<'a> {
    /// Enters a registry by its login server, `shop.azurecr.io`.
    pub(crate) async fn enter(azure: &'a Azure, site: &'a Site, login_server: &str) -> Result<Self, CloudError> {
        #[derive(Deserialize)]
        struct Given {
            refresh_token: String,
        }
        let host = login_server.to_ascii_lowercase();
        if !azure.transport.allow_registry(&host) {
            return Err(CloudError::new(Fault::Refused, PULL, "its login server is none of the cloud's registries"));
        }
        let token = azure.arm_token(PULL).await?;
        let form = [("grant_type", "access_token"), ("service", &host), ("access_token", &token)];
        let given: Given = post(azure, site, url(&host, &["oauth2", "exchange"])?, &form).await?;
        Ok(Self { azure, site, host, refresh: given.refresh_token })
    }

    /// A token for a scope: `registry:catalog:*`, `repository:web:metadata_read,pull`.
    async fn token(&self, scope: &str) -> Result<Token, CloudError> {
        #[derive(Deserialize)]
        struct Given {
            access_token: String,
        }
        let form = [
            ("grant_type", "refresh_token"),
            ("service", &self.host),
            ("scope", scope),
            ("refresh_token", &self.refresh),
        ];
        let given: Given = post(self.azure, self.site, url(&self.host, &["oauth2", "token"])?, &form).await?;
        Ok(Token(given.access_token))
    }

    async fn get(&self, token: &Token, url: Url, accept: &'static str, expect: Expect) -> Result<Reply, CloudError> {
        let mut request = expecting(Request::get(Service::Acr, url), accept, expect);
        request.bearer = Some(token.0.clone());
        self.azure.send(self.site, PULL, request, Auth::None).await.map_err(of_registry)
    }

    async fn pages<T: DeserializeOwned>(
        &self,
        token: &Token,
        mut first: Url,
        mut each: impl FnMut(T) + Send,
    ) -> Result<(), CloudError> {
        first.query_pairs_mut().append_pair("n", PAGE);
        let mut pages = Pages::new(PULL);
        while let Some(link) = pages.next() {
            let url = match link {
                None => first.clone(),
                Some(link) => self
                    .azure
                    .transport
                    .link(Service::Acr, &first, &link)
                    .map_err(|said| CloudError::new(Fault::Malformed, PULL, said))?,
            };
            let reply = self.get(token, url, "application/json", Expect::Json).await?;
            each(arm::parsed(PULL, &reply.body)?);
            pages.seen(next(&reply).as_deref())?;
        }
        Ok(())
    }

    /// The names of all repositories.
    pub(crate) async fn repositories(&self) -> Result<Vec<String>, CloudError> {
        let token = self.token("registry:catalog:*").await?;
        let mut all = Vec::new();
        let first = url(&self.host, &["acr", "v1", "_catalog"])?;
        self.pages(&token, first, |page: Catalog| all.extend(page.repositories.unwrap_or_default())).await?;
        Ok(all)
    }

    /// A token for what is in a repository.
    pub(crate) async fn repository(&self, name: &str) -> Result<Token, CloudError> {
        self.token(&format!("repository:{name}:metadata_read,pull")).await
    }

    /// The manifests of a repository; none when it is gone by now.
    pub(crate) async fn manifests(&self, repository: &str) -> Result<Vec<Manifest>, CloudError> {
        let token = self.repository(repository).await?;
        let mut all = Vec::new();
        let first = url(&self.host, &below(&["acr", "v1"], repository, &["_manifests"]))?;
        let listed = self.pages(&token, first, |page: Listed| all.extend(page.manifests.unwrap_or_default())).await;
        match listed {
            Err(error) if error.fault == Fault::NotFound => Ok(Vec::new()),
            listed => listed.map(|()| all),
        }
    }

    /// What is told of one manifest; `None` where the registry says that it is not there.
    pub(crate) async fn attributes(&self, repository: &str, digest: &str) -> Result<Option<Manifest>, CloudError> {
        #[derive(Deserialize)]
        struct Told {
            manifest: Manifest,
        }
        let token = self.repository(repository).await?;
        let url = url(&self.host, &below(&["acr", "v1"], repository, &["_manifests", digest]))?;
        match self.get(&token, url, "application/json", Expect::Json).await {
            Ok(reply) => arm::parsed::<Told>(PULL, &reply.body).map(|told| Some(told.manifest)),
            Err(error) if fault::is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The digests of what refers to a manifest (signatures, SBOMs), and is deleted with it. Source: the OCI
    /// distribution specification, "Listing Referrers".
    pub(crate) async fn referrers(&self, repository: &str, digest: &str) -> Result<Vec<String>, CloudError> {
        #[derive(Deserialize)]
        struct Index {
            manifests: Option<Vec<Descriptor>>,
        }
        #[derive(Deserialize)]
        struct Descriptor {
            digest: String,
        }
        let token = self.repository(repository).await?;
        let first = url(&self.host, &below(&["v2"], repository, &["referrers", digest]))?;
        let mut all = Vec::new();
        let mut pages = Pages::new(PULL);
        while let Some(link) = pages.next() {
            let url = match link {
                None => first.clone(),
                Some(link) => self
                    .azure
                    .transport
                    .link(Service::Acr, &first, &link)
                    .map_err(|said| CloudError::new(Fault::Malformed, PULL, said))?,
            };
            let reply = self.get(&token, url, "application/vnd.oci.image.index.v1+json", Expect::Any).await?;
            let index: Index = arm::parsed(PULL, &reply.body)?;
            all.extend(index.manifests.into_iter().flatten().map(|one| one.digest));
            pages.seen(next(&reply).as_deref())?;
        }
        Ok(all)
    }

    /// Deletes one manifest, by digest. Its tags go with it.
    pub(crate) async fn delete(&self, pen: &Pen<'_>, repository: &str, digest: &str) -> Result<Reply, CloudError> {
        let token = self.token(&format!("repository:{repository}:delete")).await?;
        let url = url(&self.host, &below(&["v2"], repository, &["manifests", digest]))?;
        self.change(pen, DELETE, &token, Request::change(Service::Acr, reqwest::Method::DELETE, url, None)).await
    }

    /// What of a repository is in the bin, where the registry has one.
    pub(crate) async fn deleted(&self, repository: &str) -> Result<Vec<Deleted>, CloudError> {
        #[derive(Deserialize)]
        struct Listed {
            manifests: Option<Vec<Deleted>>,
        }
        let token = self.token(&format!("repository:{repository}:deleted_read")).await?;
        let first = url(&self.host, &below(&["acr", "v1", "_deleted"], repository, &["_manifests"]))?;
        let mut all = Vec::new();
        self.pages(&token, first, |page: Listed| all.extend(page.manifests.unwrap_or_default())).await?;
        Ok(all)
    }

    /// Takes a manifest out of the bin, under a tag. Source: `az acr manifest restore`.
    pub(crate) async fn restore(
        &self,
        pen: &Pen<'_>,
        repository: &str,
        digest: &str,
        tag: &str,
    ) -> Result<Reply, CloudError> {
        let token = self.token(&format!("repository:{repository}:deleted_read,deleted_restore")).await?;
        let url = url(&self.host, &below(&["acr", "v1", "_deleted"], repository, &["_manifests", digest]))?;
        let body = arm::json(RESTORE, &serde_json::json!({ "tag": tag }))?;
        self.change(pen, RESTORE, &token, Request::change(Service::Acr, reqwest::Method::POST, url, Some(body))).await
    }

    async fn change(
        &self,
        pen: &Pen<'_>,
        op: &'static str,
        token: &Token,
        mut request: Request,
    ) -> Result<Reply, CloudError> {
        request.bearer = Some(token.0.clone());
        self.azure.change(pen, op, request, Auth::None).await.map_err(of_registry)
    }

    /// One manifest, as it was pushed.
    pub(crate) async fn manifest(&self, token: &Token, repository: &str, digest: &str) -> Result<Reply, CloudError> {
        let url = url(&self.host, &below(&["v2"], repository, &["manifests", digest]))?;
        self.get(token, url, MANIFESTS, Expect::Any).await
    }
}

/// Posts a form, and reads a token out of the answer.
async fn post<T: DeserializeOwned>(
    azure: &Azure,
    site: &Site,
    url: Url,
    form: &[(&str, &str)],
) -> Result<T, CloudError> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request =
        Request { content_type: "application/x-www-form-urlencoded", ..Request::post(Service::Acr, url, body.into()) };
    let reply = azure.send(site, PULL, request, Auth::None).await.map_err(of_registry)?;
    arm::parsed(PULL, &reply.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_put_into_paths_as_they_are() {
        let path = |repository: &str| {
            url("shop.azurecr.io", &below(&["acr", "v1"], repository, &["_manifests"])).unwrap().to_string()
        };
        assert_eq!(path("team/web"), "https://shop.azurecr.io/acr/v1/team/web/_manifests");
        assert_eq!(path("a?b#c"), "https://shop.azurecr.io/acr/v1/a%3Fb%23c/_manifests");
    }

    #[test]
    fn the_next_page_is_in_the_link() {
        let reply = |link: &str| {
            let mut headers = reqwest::header::HeaderMap::new();
            headers.insert("link", link.parse().unwrap());
            Reply { status: 200, headers, body: bytes::Bytes::new() }
        };
        let link = "</acr/v1/_catalog?last=b&n=1&orderby=>; rel=\"next\"";
        assert_eq!(next(&reply(link)).as_deref(), Some("/acr/v1/_catalog?last=b&n=1&orderby="));
        assert_eq!(next(&reply("</x>; rel=\"prev\"")), None);
        assert_eq!(next(&reply("nothing")), None);
    }
}
