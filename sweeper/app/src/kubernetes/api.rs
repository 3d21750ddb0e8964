//! The API of the cluster this runs in: asked for what runs there, page by page, and for nothing else.

use super::{Uses, read};
use crate::{exit::Failure, notify::wire, render::inert};
use reqwest::{
    Certificate, Client, Response, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderValue, RETRY_AFTER},
};
use std::{fs, io, path::Path, time::Duration};

/// Where Kubernetes puts a pod's token, and who vouches for the API: kubernetes.io/docs/tasks/run-application/
/// access-api-from-pod.
pub const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Things a page: a thousand pods with long environments may be 50 MB.
const PAGE: u32 = 250;
/// The largest page that is read.
const LARGEST: usize = 64 << 20;
/// More pages than any cluster has.
const PAGES: u32 = 10_000;
const CONNECT: Duration = Duration::from_secs(5);
/// How often a request is sent that may pass.
const TRIES: u32 = 4;
/// The longest wait that the API may ask for, seconds.
const LONGEST_WAIT: u64 = 10;
/// How often a list is begun anew, of which a page came too late for the one before it.
const BEGINNINGS: u32 = 3;

/// What is asked for: its path, what the list is of, and whether a cluster need not have it.
const LISTS: &[(&str, &str, bool)] = &[
    ("api/v1/pods", "Pod", false),
    ("api/v1/persistentvolumes", "PersistentVolume", false),
    // What has no pod at the moment and makes one: a job between two runs, what is scaled to nothing.
    ("apis/apps/v1/deployments", "Deployment", false),
    ("apis/apps/v1/statefulsets", "StatefulSet", false),
    ("apis/apps/v1/daemonsets", "DaemonSet", false),
    ("apis/batch/v1/cronjobs", "CronJob", false),
    ("apis/snapshot.storage.k8s.io/v1/volumesnapshotcontents", "VolumeSnapshotContent", true),
];

/// Why a list was not read, in a lower-case fragment.
#[derive(Debug, PartialEq, Eq)]
pub enum Unlisted {
    /// This identity may not.
    Denied(String),
    Failed(String),
}

impl Unlisted {
    pub fn why(&self) -> &str {
        match self {
            Self::Denied(why) | Self::Failed(why) => why,
        }
    }
}

/// A cluster's API, and who asks it.
pub struct Api {
    client: Client,
    base: Url,
    token: HeaderValue,
}

impl Api {
    /// As a pod finds it: the address in the environment, unless one is given, the token and the certificate in a
    /// directory. `timeout` is for one request.
    pub fn here(base: Option<&str>, account: &Path, timeout: Duration) -> Result<Self, Failure> {
        let help = "run it in a pod of the cluster, with a service account whose token is mounted; elsewhere hand in what \
                    `kubectl get pods,persistentvolumes -A -o json` writes";
        let base = match base {
            Some(text) => text.to_owned(),
            None => address().ok_or_else(|| {
                Failure::usage("this is no pod: KUBERNETES_SERVICE_HOST and _PORT are not set").help(help)
            })?,
        };
        let base = wire::place(&base).map_err(|why| Failure::usage(format!("the address of the API: {why}")))?;
        let file = |name: &str| {
            let path = account.join(name);
            fs::read(&path).map_err(|error: io::Error| {
                Failure::usage(format!("failed to read {}: {error}", path.display())).help(help)
            })
        };
        let token = String::from_utf8(file("token")?).unwrap_or_default();
        let mut token = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(|_| Failure::usage(format!("{} is no token", account.join("token").display())))?;
        token.set_sensitive(true);
        let failed = |error: reqwest::Error| Failure::usage(format!("no HTTP client: {}", said(error)));
        let builder = Client::builder()
            .connect_timeout(CONNECT.min(timeout))
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .user_agent(concat!("sweeper/", env!("CARGO_PKG_VERSION")));
        let builder = if base.scheme() == "https" {
            // The cluster vouches for itself, and nobody else does.
            let authorities = Certificate::from_pem_bundle(&file("ca.crt")?).map_err(failed)?;
            if authorities.is_empty() {
                return Err(Failure::usage(format!("{} has no certificate", account.join("ca.crt").display())));
            }
            builder.https_only(true).tls_certs_only(authorities)
        } else {
            builder
        };
        Ok(Self { client: builder.build().map_err(failed)?, base, token })
    }

    /// Reads every list. One that was not read to its end is told, and what was read of it stays.
    pub async fn uses(&self, uses: &mut Uses) -> Vec<Unlisted> {
        let mut unlisted = Vec::new();
        for (path, kind, may_lack) in LISTS {
            if let Err(why) = self.list(path, kind, *may_lack, uses).await {
                // Of an API that does not answer nothing else is hoped for.
                let ends = matches!(&why, Unlisted::Failed(why) if why.contains("unreachable"));
                unlisted.push(why);
                if ends {
                    break;
                }
            }
        }
        uses.cut |= !unlisted.is_empty();
        unlisted
    }

    async fn list(&self, path: &str, kind: &str, may_lack: bool, uses: &mut Uses) -> Result<(), Unlisted> {
        let failed = |why: &str| Unlisted::Failed(format!("{path}: {why}"));
        let (mut more, mut begun, mut pages): (Option<String>, u32, u32) = (None, 1, 0);
        loop {
            let mut url = self.base.join(path).map_err(|_| failed("it has no address"))?;
            url.query_pairs_mut().append_pair("limit", &PAGE.to_string());
            if let Some(more) = &more {
                url.query_pairs_mut().append_pair("continue", more);
            }
            let response = match self.get(path, url).await? {
                (200, response) => response,
                // The API knows no such kind, so there is none.
                (404, _) if may_lack && more.is_none() => return Ok(()),
                (401 | 403, _) => {
                    return Err(Unlisted::Denied(format!("{path}: this identity may not list it")));
                }
                // What the next page was to follow is forgotten by now.
                (410, _) if more.is_some() && begun < BEGINNINGS => {
                    (more, begun) = (None, begun + 1);
                    continue;
                }
                (status, _) => return Err(failed(&format!("it answered {status}"))),
            };
            let page = self.page(path, response).await?;
            pages += 1;
            let next = read(&page, Some(kind), uses).map_err(|flaw| failed(flaw.what))?;
            match next {
                None => return Ok(()),
                Some(next) if pages == PAGES || more.as_ref() == Some(&next) => {
                    drop(next);
                    return Err(failed("its pages do not end"));
                }
                Some(next) => more = Some(next),
            }
        }
    }

    async fn page(&self, path: &str, mut response: Response) -> Result<Vec<u8>, Unlisted> {
        let mut page = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(piece)) if page.len() + piece.len() > LARGEST => {
                    return Err(Unlisted::Failed(format!("{path}: a page has more than {} MB", LARGEST >> 20)));
                }
                Ok(Some(piece)) => page.extend_from_slice(&piece),
                Ok(None) => return Ok(page),
                Err(error) => return Err(Unlisted::Failed(format!("{path}: it broke off: {}", said(error)))),
            }
        }
    }

    /// An answer and its status. What may pass is waited for.
    async fn get(&self, path: &str, url: Url) -> Result<(u16, Response), Unlisted> {
        let mut tries = 1;
        loop {
            let request =
                self.client.get(url.clone()).header(AUTHORIZATION, &self.token).header(ACCEPT, "application/json");
            let (why, wait) = match request.send().await {
                Ok(response) => {
                    let status = response.status().as_u16();
                    if !matches!(status, 429 | 500 | 502..=504) {
                        return Ok((status, response));
                    }
                    let wait =
                        response.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse::<u64>().ok());
                    (format!("{path}: it answered {status}"), wait)
                }
                Err(error) => (format!("{path}: unreachable: {}", said(error)), None),
            };
            if tries == TRIES {
                return Err(Unlisted::Failed(why));
            }
            let own = Duration::from_millis(250 << tries);
            tokio::time::sleep(wait.map_or(own, |wait| Duration::from_secs(wait.min(LONGEST_WAIT)))).await;
            tries += 1;
        }
    }
}

/// Where Kubernetes tells its pods that its API is. An address of IPv6 is told bare.
fn address() -> Option<String> {
    let told = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let (host, port) = (told("KUBERNETES_SERVICE_HOST")?, told("KUBERNETES_SERVICE_PORT")?);
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
    Some(format!("https://{host}:{port}/"))
}

/// An error with its causes, without the URL.
fn said(error: reqwest::Error) -> String {
    let error = error.without_url();
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    inert::line(&text).into_owned()
}
