//! The one way to Azure's endpoints: one HTTP client, a list of hosts that may see a token, bounded answers.
//!
//! A page's link to the next page is the server's word, and a token sent to whatever host it names is a token
//! given away. So every request is checked against the hosts of the cloud that was chosen, and plain http goes
//! nowhere but to loopback, where an emulator stands for the real host, whose name it gets in `Host`.
//!
//! Only reads go out as they are ([`Transport::send`]). A change takes a [`Permit`], and is held against it here, below
//! whatever made the request: method and path are what its deed declares, and the path is that of its resource.

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, DATE, HOST, HeaderMap, LOCATION, RETRY_AFTER};
use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error as StdError,
    fmt,
    io::ErrorKind,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use sweeper_core::{
    clocks::Clocks,
    deed::{Deed, Permit},
    kind::Fault,
    model::CloudId,
};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use url::Url;

/// Connecting takes no longer.
const CONNECT: Duration = Duration::from_secs(5);
/// One request takes no longer; the door's own limit is above it.
const REQUEST: Duration = Duration::from_secs(28);
/// An emulator that has said nothing after so long is none.
const FIRST_WORD: Duration = Duration::from_millis(1500);
/// The largest answer that is read. Resource Graph's pages end at 16 MiB.
const LARGEST: usize = 64 * 1024 * 1024;
/// The longest wait that a server may ask for.
const LONGEST_WAIT_MS: u64 = 120_000;

/// Sorts of endpoints, each of which an emulator may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    /// Resource Manager, Resource Graph with it.
    Arm,
    /// Container registries' own API.
    Acr,
    /// Blob storage.
    Blob,
    /// Metrics, by region.
    Monitor,
}

impl Service {
    pub(crate) const ALL: [Self; 4] = [Self::Arm, Self::Acr, Self::Blob, Self::Monitor];

    /// The variable that names its emulator.
    pub(crate) const fn variable(self) -> &'static str {
        match self {
            Self::Arm => "SWEEPER_AZURE_ENDPOINT_ARM",
            Self::Acr => "SWEEPER_AZURE_ENDPOINT_ACR",
            Self::Blob => "SWEEPER_AZURE_ENDPOINT_BLOB",
            Self::Monitor => "SWEEPER_AZURE_ENDPOINT_MONITOR",
        }
    }
}

/// The hosts of one of Azure's clouds. Source: the endpoint table of the Azure CLI (`az cloud show`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hosts {
    pub(crate) management: &'static str,
    /// `.azurecr.io`
    pub(crate) registries: &'static str,
    /// `.blob.core.windows.net`
    pub(crate) blobs: &'static str,
    /// `.metrics.monitor.azure.com`
    pub(crate) metrics: &'static str,
    /// Where tokens are given.
    pub(crate) authority: &'static str,
}

impl Hosts {
    pub(crate) const PUBLIC: Self = Self {
        management: "management.azure.com",
        registries: ".azurecr.io",
        blobs: ".blob.core.windows.net",
        metrics: ".metrics.monitor.azure.com",
        authority: "login.microsoftonline.com",
    };
    pub(crate) const GOVERNMENT: Self = Self {
        management: "management.usgovcloudapi.net",
        registries: ".azurecr.us",
        blobs: ".blob.core.usgovcloudapi.net",
        metrics: ".metrics.monitor.azure.us",
        authority: "login.microsoftonline.us",
    };
    pub(crate) const CHINA: Self = Self {
        management: "management.chinacloudapi.cn",
        registries: ".azurecr.cn",
        blobs: ".blob.core.chinacloudapi.cn",
        metrics: ".metrics.monitor.azure.cn",
        authority: "login.chinacloudapi.cn",
    };

    /// By the words of `AZURE_CLOUD` (the CLI's cloud names) or, without one, by the authority's host.
    pub(crate) fn of(cloud: Option<&str>, authority: Option<&str>) -> Result<Self, String> {
        if let Some(cloud) = cloud.filter(|cloud| !cloud.is_empty()) {
            return match cloud.to_ascii_lowercase().as_str() {
                "azurecloud" | "azurepubliccloud" | "public" => Ok(Self::PUBLIC),
                "azureusgovernment" | "azureusgovernmentcloud" | "usgovernment" => Ok(Self::GOVERNMENT),
                "azurechinacloud" | "china" => Ok(Self::CHINA),
                _ => Err(format!("AZURE_CLOUD names no cloud: {cloud:?}")),
            };
        }
        let Some(authority) = authority.filter(|authority| !authority.is_empty()) else { return Ok(Self::PUBLIC) };
        let host = authority.trim_start_matches("https://").split('/').next().unwrap_or_default();
        match host {
            "login.microsoftonline.us" => Ok(Self::GOVERNMENT),
            "login.chinacloudapi.cn" | "login.partner.microsoftonline.cn" => Ok(Self::CHINA),
            "login.microsoftonline.com" | "login.windows.net" => Ok(Self::PUBLIC),
            _ => Err(format!("AZURE_AUTHORITY_HOST is of no cloud that is known: {authority:?}")),
        }
    }
}

/// What an answer must be to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    Json,
    /// XML, as blob storage answers.
    Xml,
    /// Whatever the caller asked for with `Accept`.
    Any,
}

/// One request. It names the real host, whoever serves it.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) service: Service,
    pub(crate) method: reqwest::Method,
    /// `https://management.azure.com/subscriptions?api-version=…`
    pub(crate) url: Url,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Bytes>,
    /// `application/json`, where there is a body.
    pub(crate) content_type: &'static str,
    /// Without the word before it. Sent to allowed hosts only.
    pub(crate) bearer: Option<String>,
    pub(crate) expect: Expect,
}

impl Request {
    /// A read.
    pub(crate) fn get(service: Service, url: Url) -> Self {
        Self {
            service,
            method: reqwest::Method::GET,
            url,
            headers: Vec::new(),
            body: None,
            content_type: "application/json",
            bearer: None,
            expect: Expect::Json,
        }
    }

    /// A change, or what only [`Transport::change`] lets out.
    pub(crate) fn change(service: Service, method: reqwest::Method, url: Url, body: Option<Bytes>) -> Self {
        Self { method, body, ..Self::get(service, url) }
    }

    /// A question with a body.
    pub(crate) fn post(service: Service, url: Url, body: Bytes) -> Self {
        Self { method: reqwest::Method::POST, body: Some(body), ..Self::get(service, url) }
    }
}

/// What may be asked with a `POST` and a body without changing anything, beside metrics and costs.
const QUESTIONS: &[(Service, &str)] = &[
    (Service::Arm, "/providers/Microsoft.ResourceGraph/resources"),
    // Tokens of a registry.
    (Service::Acr, "/oauth2/exchange"),
    (Service::Acr, "/oauth2/token"),
];

/// Whether a request changes nothing, whoever made it.
fn is_read(request: &Request) -> bool {
    let path = request.url.path();
    match request.method {
        reqwest::Method::GET => true,
        reqwest::Method::POST => {
            let metrics = || {
                let subscription =
                    path.strip_prefix("/subscriptions/").and_then(|rest| rest.strip_suffix("/metrics:getBatch"));
                request.service == Service::Monitor
                    && subscription.is_some_and(|id| !id.is_empty() && !id.contains('/'))
            };
            let costs = || {
                let scope = path.strip_suffix("/providers/Microsoft.CostManagement/query");
                let id = scope.and_then(|scope| {
                    let group = "/providers/Microsoft.Management/managementGroups/";
                    scope.strip_prefix("/subscriptions/").or_else(|| scope.strip_prefix(group))
                });
                request.service == Service::Arm && id.is_some_and(|id| !id.is_empty() && !id.contains('/'))
            };
            QUESTIONS.contains(&(request.service, path)) || metrics() || costs()
        }
        _ => false,
    }
}

/// The path of a resource as a URL writes it, in small letters.
fn path_of(id: &str) -> Option<String> {
    let url = Url::parse(&format!("https://resource{id}")).ok()?;
    (url.query().is_none() && url.fragment().is_none()).then(|| url.path().to_ascii_lowercase())
}

/// Why a permit does not let a change out, if it does not.
fn refused(request: &Request, permit: &Permit) -> Option<&'static str> {
    let target = permit.target();
    if target.cloud != CloudId::Azure {
        return Some("its permit is of another cloud");
    }
    if matches!(request.method, reqwest::Method::GET | reqwest::Method::HEAD) {
        return Some("it is no change");
    }
    // Options that force a deletion or widen it are none that a deed declares.
    if request.url.query_pairs().any(|(name, _)| name != "api-version") {
        return Some("it asks for more than its deed declares");
    }
    let path = request.url.path();
    let action = match request.service {
        Service::Arm => {
            let Some(own) = path_of(&target.native_id) else { return Some("its permit names no resource") };
            let account = target.account.to_ascii_lowercase();
            if account.is_empty() || !own.starts_with(&format!("/subscriptions/{account}/resourcegroups/")) {
                return Some("its permit's resource is of another subscription than its permit");
            }
            let path = path.to_ascii_lowercase();
            let concerned = match permit.deed() {
                // A copy is made beside it.
                Deed::Copy { .. } => {
                    let group = own.split('/').take(5).collect::<Vec<_>>().join("/");
                    path.starts_with(&format!("{group}/providers/"))
                }
                _ => path == own || path.strip_prefix(&own).is_some_and(|rest| rest.starts_with('/')),
            };
            if !concerned {
                return Some("it is about another resource than its permit");
            }
            path
        }
        Service::Acr => {
            let Some((name, digest)) = target.native_id.rsplit_once('@') else {
                return Some("its permit names no image by digest");
            };
            let Some((host, repository)) = name.split_once('/') else {
                return Some("its permit names no image by digest");
            };
            let one = |text: &str| path_of(text).as_deref() == Some(&path.to_ascii_lowercase());
            let concerned = one(&format!("/v2/{repository}/manifests/{digest}"))
                || one(&format!("/acr/v1/_deleted/{repository}/_manifests/{digest}"));
            if !concerned || !request.url.host_str().unwrap_or_default().eq_ignore_ascii_case(host) {
                return Some("it is about another image than its permit");
            }
            // A repository's name may have slashes, and is one name.
            path.replacen(repository, &repository.replace('/', "%2F"), 1)
        }
        Service::Blob | Service::Monitor => return Some("nothing is changed there"),
    };
    (!permit.allows(request.method.as_str(), &action)).then_some("it is none of the calls that its deed declares")
}

/// Says nothing of tokens, headers and bodies.
impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}{}", self.method, self.url.host_str().unwrap_or_default(), self.url.path())
    }
}

/// An answer with status below 300, wholly read.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// A header's text, where it is one.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Why there is no good answer.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// The cloud answered with an error.
    Answered { status: u16, body: Bytes, html: bool, wait_ms: Option<u64> },
    /// There was no answer, or none that may be read.
    Failed(Fault, String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { status, .. } => write!(formatter, "HTTP {status}"),
            Self::Failed(_, said) => formatter.write_str(said),
        }
    }
}

impl StdError for Trouble {}

/// An emulator that stands for a service.
#[derive(Debug)]
struct Stand {
    url: Url,
    /// It has spoken HTTP before.
    spoken: AtomicBool,
}

/// The one way to Azure's endpoints. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Transport(Arc<Inner>);

struct Inner {
    client: reqwest::Client,
    /// Loopback, past any proxy.
    local: reqwest::Client,
    hosts: Hosts,
    stands: BTreeMap<Service, Arc<Stand>>,
    /// Hosts of registries that were listed.
    registries: Mutex<BTreeSet<String>>,
    /// Where it is told what answers say of the time.
    clocks: Option<Clocks>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Transport({})", self.0.hosts.management)
    }
}

/// Whether a URL is `http` of this machine itself.
pub(crate) fn is_loopback(url: &Url) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
}

impl Transport {
    /// For a cloud, with emulators for some of its services.
    pub(crate) fn new(hosts: Hosts, emulators: BTreeMap<Service, Url>, clocks: Option<Clocks>) -> Result<Self, String> {
        if let Some(url) = emulators.values().find(|url| !is_loopback(url)) {
            return Err(format!("the endpoint {url} is not plain http of this machine"));
        }
        let builder = || {
            reqwest::Client::builder()
                .connect_timeout(CONNECT)
                .timeout(REQUEST)
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .pool_idle_timeout(Duration::from_mins(1))
                .user_agent(concat!("sweeper/", env!("CARGO_PKG_VERSION")))
        };
        let failed = |error: reqwest::Error| format!("no HTTP client: {}", said(&error));
        let client = builder().https_only(true).build().map_err(failed)?;
        let local = builder().no_proxy().build().map_err(failed)?;
        let stand = |url| Arc::new(Stand { url, spoken: AtomicBool::new(false) });
        let stands = emulators.into_iter().map(|(service, url)| (service, stand(url))).collect();
        Ok(Self(Arc::new(Inner { client, local, hosts, stands, registries: Mutex::default(), clocks })))
    }

    pub(crate) fn hosts(&self) -> &Hosts {
        &self.0.hosts
    }

    /// Lets tokens go to a registry that was listed. Says whether its host is a registry's at all.
    pub(crate) fn allow_registry(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let fits = of_domain(&host, self.0.hosts.registries);
        if fits {
            self.0.registries.lock().unwrap_or_else(PoisonError::into_inner).insert(host);
        }
        fits
    }

    /// Whether a host may see a token for a service.
    fn allowed(&self, service: Service, host: &str) -> bool {
        let hosts = &self.0.hosts;
        match service {
            Service::Arm => host == hosts.management,
            Service::Acr => self.0.registries.lock().unwrap_or_else(PoisonError::into_inner).contains(host),
            Service::Blob => of_domain(host, hosts.blobs),
            Service::Monitor => of_domain(host, hosts.metrics),
        }
    }

    /// The real URL that a link in an answer means: absolute, of the service's own hosts, or of the emulator that
    /// stands for it, which may write itself or plain http. Anything else is refused.
    pub(crate) fn link(&self, service: Service, from: &Url, link: &str) -> Result<Url, String> {
        let mut url = from.join(link).map_err(|_| "a link to the next page that is no URL".to_owned())?;
        if let Some(stand) = self.0.stands.get(&service) {
            let itself =
                url.host() == stand.url.host() && url.port_or_known_default() == stand.url.port_or_known_default();
            if itself || url.scheme() == "http" {
                let host = if itself { from.host_str() } else { url.host_str() }.unwrap_or_default();
                let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
                url = Url::parse(&format!("https://{host}{path}"))
                    .map_err(|_| "a link to the next page that is no URL".to_owned())?;
            }
        }
        let host = url.host_str().unwrap_or_default();
        let plain = url.port().is_none_or(|port| port == 443) && url.username().is_empty() && url.password().is_none();
        if url.scheme() != "https"
            || !plain
            || host != from.host_str().unwrap_or_default()
            || !self.allowed(service, host)
        {
            let host: String = host.chars().take(100).collect();
            return Err(format!("the next page is on another host, {host}: not followed"));
        }
        Ok(url)
    }

    /// Sends a read once and reads its answer. What is no read does not leave.
    pub(crate) async fn send(&self, request: &Request) -> Result<Reply, Trouble> {
        if !is_read(request) {
            return Err(Trouble::Failed(Fault::Refused, format!("{request:?} is no read")));
        }
        self.transmit(request).await
    }

    /// Sends a change once, if it is one that the permit's deed declares, of the permit's resource.
    pub(crate) async fn change(&self, request: &Request, permit: &Permit) -> Result<Reply, Trouble> {
        match refused(request, permit) {
            Some(why) => Err(Trouble::Failed(Fault::Refused, format!("{request:?} is not sent: {why}"))),
            None => self.transmit(request).await,
        }
    }

    async fn transmit(&self, request: &Request) -> Result<Reply, Trouble> {
        let failed = |fault, said: &str| Trouble::Failed(fault, said.to_owned());
        let host = request.url.host_str().unwrap_or_default();
        if request.url.scheme() != "https" || !self.allowed(request.service, host) {
            let host: String = host.chars().take(100).collect();
            return Err(Trouble::Failed(Fault::Refused, format!("{host} is none of the hosts that may see a token")));
        }
        let stand = self.0.stands.get(&request.service);
        let (client, url) = match stand {
            Some(stand) => {
                let path = &request.url[url::Position::BeforePath..url::Position::AfterQuery];
                let base = stand.url.as_str().trim_end_matches('/');
                let url = Url::parse(&format!("{base}{path}")).map_err(|_| failed(Fault::Refused, "no URL"))?;
                (&self.0.local, url)
            }
            None => (&self.0.client, request.url.clone()),
        };
        let mut builder = client.request(request.method.clone(), url);
        if stand.is_some() {
            builder = builder.header(HOST, host);
        }
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(token) = &request.bearer {
            builder = builder.bearer_auth(token);
        }
        builder = match &request.body {
            Some(body) => builder.header(CONTENT_TYPE, request.content_type).body(body.clone()),
            None => builder,
        };
        let fresh = stand.is_some_and(|stand| !stand.spoken.load(Ordering::Relaxed));
        let response = if fresh {
            match tokio::time::timeout(FIRST_WORD, builder.send()).await {
                Ok(response) => response,
                Err(_) => return Err(failed(Fault::Malformed, "the endpoint does not speak HTTP: no word from it")),
            }
        } else {
            builder.send().await
        };
        let response = response.map_err(|error| trouble(&error, fresh))?;
        if let Some(stand) = stand {
            stand.spoken.store(true, Ordering::Relaxed);
        }
        if let Some(clocks) = &self.0.clocks
            && let Some(date) = response.headers().get(DATE).and_then(|date| date.to_str().ok())
        {
            clocks.told(CloudId::Azure, date);
        }
        read(response, request.expect).await
    }
}

/// Whether `host` is a name right below a domain that begins with a dot.
fn of_domain(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|name| {
        !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.')
    })
}

async fn read(mut response: reqwest::Response, expect: Expect) -> Result<Reply, Trouble> {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let mut body = BytesMut::with_capacity(response.content_length().unwrap_or(0).min(LARGEST as u64) as usize);
    loop {
        match response.chunk().await {
            Ok(None) => break,
            Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST => {
                return Err(Trouble::Failed(Fault::Malformed, "an answer of more than 64 MiB".to_owned()));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => {
                return Err(Trouble::Failed(Fault::Transient, format!("the answer was cut off: {}", said(&error))));
            }
        }
    }
    let body = body.freeze();
    let html = kind.contains("html") || {
        let start = body.trim_ascii_start();
        start.len() >= 5 && (start[..5].eq_ignore_ascii_case(b"<html") || start[..5].eq_ignore_ascii_case(b"<!doc"))
    };
    let malformed = |said: String| Err(Trouble::Failed(Fault::Malformed, said));
    match status {
        200..=299 => {}
        300..=399 if headers.contains_key(LOCATION) => {
            return malformed("answered with a redirect: not followed".to_owned());
        }
        _ => return Err(Trouble::Answered { status, html, wait_ms: wait_ms(&headers), body }),
    }
    if html && expect != Expect::Any {
        return malformed("answered HTML".to_owned());
    }
    let fits = match expect {
        Expect::Json => kind.is_empty() || kind.contains("json"),
        Expect::Xml => kind.is_empty() || kind.contains("xml"),
        Expect::Any => true,
    };
    if !fits && !body.is_empty() {
        let kind: String = kind.chars().filter(char::is_ascii_graphic).take(60).collect();
        return malformed(format!("answered {kind}"));
    }
    Ok(Reply { status, headers, body })
}

/// What the server asks us to wait: `Retry-After` in seconds or as a date, the finer headers of some services, and
/// the time of day after which Resource Graph's quota is whole again.
pub(crate) fn wait_ms(headers: &HeaderMap) -> Option<u64> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let exact =
        ["retry-after-ms", "x-ms-retry-after-ms"].iter().find_map(|name| text(name)?.trim().parse::<u64>().ok());
    let seconds = || {
        let asked = text(RETRY_AFTER.as_str())?.trim();
        if let Ok(seconds) = asked.parse::<u64>() {
            return Some(seconds.saturating_mul(1000));
        }
        let at = OffsetDateTime::parse(asked, &Rfc2822).ok()?;
        let now = OffsetDateTime::parse(text(DATE.as_str())?, &Rfc2822).ok()?;
        u64::try_from((at - now).whole_milliseconds()).ok()
    };
    exact
        .or_else(seconds)
        .max(cost_quota_ms(headers))
        .or_else(|| quota_reset_ms(headers))
        .map(|wait| wait.min(LONGEST_WAIT_MS))
}

/// Milliseconds until the last of Cost Management's quotas that were hit is whole again. Their names differ, with one
/// ending and in seconds: `x-ms-ratelimit-microsoft.costmanagement-qpu-retry-after`.
fn cost_quota_ms(headers: &HeaderMap) -> Option<u64> {
    let quotas = headers.iter().filter(|(name, _)| {
        let own = name.as_str().strip_prefix("x-ms-ratelimit-microsoft.costmanagement-");
        own.is_some_and(|quota| quota.ends_with("retry-after"))
    });
    let seconds = quotas.filter_map(|(_, value)| value.to_str().ok()?.trim().parse::<u64>().ok()).max()?;
    Some(seconds.saturating_mul(1000))
}

/// Milliseconds until Resource Graph's quota is whole again: `x-ms-user-quota-resets-after: 00:00:05`.
pub(crate) fn quota_reset_ms(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get("x-ms-user-quota-resets-after")?.to_str().ok()?;
    let mut parts = text.trim().split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = |part: &str| part.parse::<u64>().ok().filter(|part| *part < 100);
    let seconds: f64 = seconds.parse().ok().filter(|seconds: &f64| (0.0..100.0).contains(seconds))?;
    Some((whole(hours)? * 3600 + whole(minutes)? * 60) * 1000 + (seconds * 1000.0) as u64)
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// What an error and its causes say, each once, without URLs.
pub(crate) fn said(error: &(dyn StdError + 'static)) -> String {
    let mut told: Vec<String> = Vec::new();
    for cause in chain(error) {
        let text = cause
            .downcast_ref::<reqwest::Error>()
            .map_or_else(|| cause.to_string(), |_| "the request failed".to_owned());
        if !told.iter().any(|before| before.contains(&text)) {
            told.push(text);
        }
    }
    told.join(": ").chars().take(300).collect()
}

fn trouble(error: &reqwest::Error, fresh: bool) -> Trouble {
    let text = said(error);
    let mut io = chain(error).filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    let gone = [ErrorKind::ConnectionRefused, ErrorKind::NetworkUnreachable, ErrorKind::HostUnreachable];
    let unreachable = io.any(|cause| gone.contains(&cause.kind()))
        || ["dns error", "failed to lookup"].iter().any(|word| text.contains(word));
    let garbled =
        ["invalid HTTP", "invalid http", "parse error", "HTTP version"].iter().any(|word| text.contains(word));
    let fault = if unreachable {
        Fault::Unreachable
    } else if garbled || (fresh && !error.is_timeout() && !error.is_connect()) || text.contains("certificate") {
        return Trouble::Failed(Fault::Malformed, format!("the endpoint does not speak this protocol: {text}"));
    } else if error.is_builder() {
        Fault::Refused
    } else {
        Fault::Transient
    };
    Trouble::Failed(fault, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn transport() -> Transport {
        Transport::new(Hosts::PUBLIC, BTreeMap::new(), None).unwrap()
    }

    #[test]
    fn a_link_leads_nowhere_else() {
        let transport = transport();
        let from = url("https://management.azure.com/subscriptions/s/providers/Microsoft.Compute/disks?api-version=1");
        let follow = |link: &str| transport.link(Service::Arm, &from, link);
        assert!(follow("https://management.azure.com/subscriptions/s/x?$skiptoken=2").is_ok());
        assert!(follow("https://management.azure.com:443/subscriptions/s/x?$skiptoken=2").is_ok());
        assert!(follow("/subscriptions/s/x?$skiptoken=2").is_ok());
        for evil in [
            "https://evil.example/x",
            "http://management.azure.com/x",
            "https://management.azure.com.evil.example/x",
            "https://management.azure.com@evil.example/x",
            "https://user:word@management.azure.com/x",
            "https://management.azure.com:8443/x",
            "//evil.example/x",
            "file:///etc/passwd",
            "https://x.blob.core.windows.net/x",
        ] {
            assert!(follow(evil).is_err(), "{evil}");
        }
    }

    #[test]
    fn an_emulator_may_name_itself_or_plain_http() {
        let stands = Service::ALL.into_iter().map(|service| (service, url("http://127.0.0.1:4000"))).collect();
        let transport = Transport::new(Hosts::PUBLIC, stands, None).unwrap();
        let from = url("https://management.azure.com/a?api-version=1");
        for link in
            ["http://127.0.0.1:4000/b?c=d", "http://management.azure.com/b?c=d", "https://management.azure.com/b?c=d"]
        {
            let followed = transport.link(Service::Arm, &from, link).unwrap();
            assert_eq!(followed.as_str(), "https://management.azure.com/b?c=d");
        }
        assert!(transport.link(Service::Arm, &from, "http://evil.example/b").is_err());
        assert!(transport.link(Service::Arm, &from, "http://127.0.0.1:4001/b").is_err());
    }

    #[test]
    fn an_emulator_is_on_this_machine() {
        for far in ["http://10.0.0.1:80", "https://127.0.0.1:1", "http://evil.example", "http://localhost.evil.example"]
        {
            let stands = BTreeMap::from([(Service::Arm, url(far))]);
            assert!(Transport::new(Hosts::PUBLIC, stands, None).is_err(), "{far}");
        }
        assert!(is_loopback(&url("http://[::1]:8080")));
    }

    #[test]
    fn tokens_go_to_known_hosts_only() {
        let transport = transport();
        assert!(!transport.allowed(Service::Acr, "shop.azurecr.io"));
        assert!(transport.allow_registry("Shop.azurecr.io"));
        assert!(transport.allowed(Service::Acr, "shop.azurecr.io"));
        assert!(!transport.allow_registry("shop.azurecr.io.evil.example"));
        assert!(!transport.allow_registry("evil.example/.azurecr.io"));
        assert!(transport.allowed(Service::Blob, "a.blob.core.windows.net"));
        assert!(!transport.allowed(Service::Blob, ".blob.core.windows.net"));
        assert!(transport.allowed(Service::Monitor, "eastus.metrics.monitor.azure.com"));
        assert!(!transport.allowed(Service::Monitor, "management.azure.com"));
    }

    #[test]
    fn waits_are_read_in_every_spelling() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            wait_ms(&headers)
        };
        assert_eq!(of(&[("retry-after", "7")]), Some(7000));
        assert_eq!(of(&[("retry-after", "7"), ("x-ms-retry-after-ms", "250")]), Some(250));
        assert_eq!(of(&[("x-ms-user-quota-resets-after", "00:00:05")]), Some(5000));
        let dated = [("date", "Fri, 20 Nov 2026 10:00:00 GMT"), ("retry-after", "Fri, 20 Nov 2026 10:00:03 GMT")];
        assert_eq!(of(&dated), Some(3000));
        let quotas = [
            ("x-ms-ratelimit-microsoft.costmanagement-qpu-retry-after", "4"),
            ("x-ms-ratelimit-microsoft.costmanagement-tenant-retry-after", "9"),
            ("x-ms-ratelimit-microsoft.costmanagement-qpu-consumed", "99"),
        ];
        assert_eq!(of(&quotas), Some(9000));
        assert_eq!(of(&[quotas[0], ("retry-after", "7")]), Some(7000));
        assert_eq!(of(&[("retry-after", "99999999")]), Some(LONGEST_WAIT_MS));
        assert_eq!(of(&[("retry-after", "soon")]), None);
    }

    #[test]
    fn a_cloud_is_named_or_follows_from_the_authority() {
        assert_eq!(Hosts::of(None, None), Ok(Hosts::PUBLIC));
        assert_eq!(Hosts::of(Some("AzureUSGovernment"), None), Ok(Hosts::GOVERNMENT));
        assert_eq!(Hosts::of(None, Some("https://login.chinacloudapi.cn/")), Ok(Hosts::CHINA));
        assert!(Hosts::of(Some("nowhere"), None).is_err());
        assert!(Hosts::of(None, Some("https://evil.example")).is_err());
    }
}
