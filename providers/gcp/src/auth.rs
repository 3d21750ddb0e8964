//! Settings, credentials, clients, and listings that several kinds need.

use crate::{
    kinds,
    rest::{Rest, Service},
};
use futures_util::future::BoxFuture;
use google_cloud_auth::credentials::{self, Credentials};
use google_cloud_gax::client_builder;
use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use sweeper_core::{
    calls::{Calls, Site},
    clocks::Clocks,
    kind::{Cloud, CloudError, Fault, Identity},
    model::Scope,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::OnceCell,
};

/// What to look at, and how.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Only these projects; empty for the one of the environment, or all below `parent`.
    pub projects: BTreeSet<String>,
    /// Every project below `organizations/123` or `folders/456`.
    pub parent: Option<String>,
    /// Regions of interest. A project's lists carry every region and zone in one answer, and what is elsewhere
    /// may use what is here, so all of it is kept whatever this says.
    pub regions: BTreeSet<String>,
    /// The billing export in BigQuery, `project.dataset.table`: that of detailed or standard usage, or of FOCUS when the
    /// table's name says so. Without it nobody can tell what the projects cost.
    pub billing_table: Option<String>,
    /// The most bytes that a query of it may be billed; `None` is 10 GiB.
    pub billing_bytes: Option<u64>,
    /// An emulator that serves every service over plain http on loopback, entered with a dummy credential;
    /// nothing of the environment is then used.
    pub endpoint: Option<String>,
}

/// Where credentials are looked for, in order, for the message when there are none.
pub const SOURCES: &str = "GOOGLE_APPLICATION_CREDENTIALS (service account key, workload identity federation, \
    impersonation), the file of `gcloud auth application-default login`, the metadata server of Google Cloud";

/// Where every service is served instead; with `_COMPUTE` and so on, where one is.
const ENDPOINT: &str = "SWEEPER_GCP_ENDPOINT";

/// Variables that name a project, in the order in which the vendor's tools look.
const PROJECT: &[&str] = &["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT", "GCLOUD_PROJECT"];

/// What a token is asked for: the one scope that every service takes. What may be done with it is for IAM to say.
const PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The name under which troubles with the identity are reported.
pub(crate) const WHO: &str = "resourcemanager.projects.get";

/// A variable of the environment.
pub(crate) type Env = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What the configuration and the environment say, read once.
#[derive(Clone, Debug, Default)]
struct Settings {
    /// By service (`COMPUTE`); the empty name is every other.
    endpoints: BTreeMap<String, String>,
    /// A project the environment names.
    project: Option<String>,
    /// The credentials file, where there is one.
    file: Option<PathBuf>,
    /// Whether a metadata server is named (tests, GKE metadata proxies).
    metadata: Option<String>,
    universe: Option<String>,
}

fn settings(config: &Config, env: &Env) -> Result<Settings, CloudError> {
    let mut settings = Settings::default();
    if let Some(endpoint) = &config.endpoint {
        settings.endpoints.insert(String::new(), loopback("the configuration", endpoint)?);
        return Ok(settings);
    }
    let set = |name: &str| env(name).filter(|value| !value.trim().is_empty());
    for service in SERVICES.iter().copied().chain([Service::BigQuery.variable(), ""]) {
        let name = if service.is_empty() { ENDPOINT.to_owned() } else { format!("{ENDPOINT}_{service}") };
        if let Some(endpoint) = set(&name) {
            settings.endpoints.insert(service.to_owned(), loopback(&name, &endpoint)?);
        }
    }
    settings.project = PROJECT.iter().find_map(|name| set(name));
    let home = set("HOME").map(PathBuf::from);
    settings.file = set("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from).or_else(|| {
        let file = home.as_ref()?.join(".config/gcloud/application_default_credentials.json");
        file.is_file().then_some(file)
    });
    if settings.project.is_none() && !settings.endpoints.contains_key("") {
        settings.project = settings.file.as_deref().and_then(project_of_credentials).or_else(|| {
            let folder =
                set("CLOUDSDK_CONFIG").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".config/gcloud")))?;
            project_of_gcloud(&folder, set("CLOUDSDK_ACTIVE_CONFIG_NAME"))
        });
    }
    settings.metadata = set("GCE_METADATA_HOST");
    settings.universe = set("GOOGLE_CLOUD_UNIVERSE_DOMAIN");
    Ok(settings)
}

/// An endpoint, which must be plain http on this machine: nothing secret goes there, and nothing it says is taken
/// for the cloud's by mistake.
fn loopback(from: &str, endpoint: &str) -> Result<String, CloudError> {
    let endpoint = endpoint.trim().trim_end_matches('/');
    let host = endpoint.strip_prefix("http://").and_then(|authority| {
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        port.is_none_or(|port| port.parse::<u16>().is_ok()).then_some(host)
    });
    let local = host.is_some_and(|host| {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    });
    if local {
        return Ok(endpoint.to_owned());
    }
    let message = format!("the endpoint {endpoint:?} of {from} must be http://127.0.0.1:PORT, on loopback");
    Err(CloudError::new(Fault::Refused, WHO, message))
}

/// What a credentials file says of itself; the rest of it is secret.
#[derive(Debug, Default, serde::Deserialize)]
struct Named {
    #[serde(rename = "type")]
    sort: Option<String>,
    client_email: Option<String>,
    project_id: Option<String>,
    quota_project_id: Option<String>,
    service_account_impersonation_url: Option<String>,
}

fn named(file: &Path) -> Option<Named> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

/// The project a credentials file belongs to; for a person's, the one that is billed for quota.
fn project_of_credentials(file: &Path) -> Option<String> {
    let named = named(file)?;
    named.project_id.or(named.quota_project_id).filter(|project| !project.is_empty())
}

/// Whose a credentials file is. A person's does not say.
fn identity_of(file: &Path) -> Identity {
    let named = named(file).unwrap_or_default();
    // `…/serviceAccounts/NAME@PROJECT.iam.gserviceaccount.com:generateAccessToken`
    let impersonated = named.service_account_impersonation_url.as_deref().and_then(|url| {
        url.rsplit('/').next()?.split(':').next().filter(|email| email.contains('@')).map(str::to_owned)
    });
    let name = match named.sort.as_deref() {
        Some("authorized_user") => "a person, by gcloud's login".to_owned(),
        sort => named.client_email.or(impersonated).unwrap_or_else(|| sort.unwrap_or("unknown").to_owned()),
    };
    Identity { name, source: file.display().to_string() }
}

/// The project of gcloud's active configuration: `project` under `[core]`.
fn project_of_gcloud(folder: &Path, active: Option<String>) -> Option<String> {
    let active = active.or_else(|| std::fs::read_to_string(folder.join("active_config")).ok());
    let active = active.as_deref().map_or("default", str::trim);
    if active.contains(['/', '\\']) {
        return None;
    }
    let text = std::fs::read_to_string(folder.join(format!("configurations/config_{active}"))).ok()?;
    let mut section = "";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.trim();
        } else if section == "core"
            && let Some((key, value)) = line.split_once('=')
            && key.trim() == "project"
            && !value.trim().is_empty()
        {
            return Some(value.trim().to_owned());
        }
    }
    None
}

/// Google Cloud, connected: one credential, and clients made at their first use and shared.
pub(crate) struct Gcp {
    pub(crate) config: Config,
    settings: Result<Settings, CloudError>,
    credentials: OnceCell<Credentials>,
    clients: Mutex<BTreeMap<&'static str, Arc<OnceCell<Client>>>>,
    lists: Mutex<Lists>,
    /// Project ids by number, as far as the universe told them.
    numbers: Mutex<BTreeMap<String, String>>,
    pub(crate) rest: Rest,
}

/// A client of any service.
type Client = Arc<dyn Any + Send + Sync>;

/// A listing that several kinds need, or why there is none.
type List = Result<Arc<dyn Any + Send + Sync>, CloudError>;

/// Listings by scope and name.
type Lists = BTreeMap<(Scope, String), Arc<OnceCell<List>>>;

macro_rules! methods {
    ($($name:ident: $client:ty, $service:literal;)*) => {
        /// Services whose endpoints can be set, as the variables name them.
        const SERVICES: &[&str] = &[$($service),*];

        impl Gcp {
            $(
                /// The client, made at its first use. `op` is what it is wanted for.
                pub(crate) fn $name(&self, op: &'static str) -> BoxFuture<'_, Result<$client, CloudError>> {
                    Box::pin(self.client(stringify!($name), $service, op, sweeper_gcp_clients::$name))
                }
            )*
        }
    };
}

sweeper_gcp_clients::clients!(methods);

impl Gcp {
    fn settings(&self) -> Result<&Settings, CloudError> {
        self.settings.as_ref().map_err(Clone::clone)
    }

    /// How a service is entered: the credential, and the endpoint where one is set.
    pub(crate) async fn entry(
        &self,
        service: &str,
        op: &'static str,
    ) -> Result<(Credentials, Option<String>), CloudError> {
        let settings = self.settings()?;
        if let Some(endpoint) = settings.endpoints.get(service).or_else(|| settings.endpoints.get("")) {
            return Ok((credentials::anonymous::Builder::new().build(), Some(endpoint.clone())));
        }
        Ok((self.credentials(settings, op).await?, None))
    }

    /// The application default credentials, looked for once.
    async fn credentials(&self, settings: &Settings, op: &'static str) -> Result<Credentials, CloudError> {
        let none = |said: &str| CloudError::new(Fault::Unauthenticated, op, format!("{said}; looked for: {SOURCES}"));
        let find = async {
            if settings.file.is_none() && settings.metadata.is_none() && metadata(settings, "/").await.is_none() {
                return Err(none("no source has any"));
            }
            let universe = settings.universe.clone().unwrap_or_else(|| "googleapis.com".to_owned());
            credentials::Builder::default()
                .with_scopes([PLATFORM])
                .with_universe_domain(universe)
                .build()
                .map_err(|error| none(&error.to_string().chars().take(200).collect::<String>()))
        };
        self.credentials.get_or_try_init(|| find).await.cloned()
    }

    async fn client<C: Clone + Send + Sync + 'static>(
        &self,
        name: &'static str,
        service: &'static str,
        op: &'static str,
        make: fn(Credentials, Option<String>) -> BoxFuture<'static, client_builder::Result<C>>,
    ) -> Result<C, CloudError> {
        let make = |credentials, endpoint| -> BoxFuture<'static, client_builder::Result<Client>> {
            let client = make(credentials, endpoint);
            Box::pin(async move { client.await.map(|client| Arc::new(client) as Client) })
        };
        let client = self.client_of(name, service, op, &make).await?;
        client
            .downcast_ref::<C>()
            .cloned()
            .ok_or_else(|| CloudError::new(Fault::Refused, op, "bug: two clients of one name"))
    }

    async fn client_of(
        &self,
        name: &'static str,
        service: &'static str,
        op: &'static str,
        make: &(dyn Fn(Credentials, Option<String>) -> BoxFuture<'static, client_builder::Result<Client>> + Sync),
    ) -> Result<Client, CloudError> {
        let cell = Arc::clone(lock(&self.clients).entry(name).or_default());
        let made = async {
            let (credentials, endpoint) = self.entry(service, op).await?;
            make(credentials, endpoint)
                .await
                .map_err(|error| CloudError::new(Fault::Refused, op, format!("no client: {error}")))
        };
        cell.get_or_try_init(|| made).await.cloned()
    }

    /// What `list` gives for a scope, listed once a run however many kinds need it. `what` names it. Whoever
    /// comes while it is being listed waits; a failure is everybody's.
    pub(crate) async fn once<T: Send + Sync + 'static>(
        &self,
        site: &Site,
        what: impl Into<String>,
        list: BoxFuture<'_, Result<T, CloudError>>,
    ) -> Result<Arc<T>, CloudError> {
        let list = Box::pin(async { list.await.map(|list| Arc::new(list) as Arc<dyn Any + Send + Sync>) });
        let listed = self.once_of(site, what.into(), list).await?;
        listed.downcast().map_err(|_| CloudError::new(Fault::Malformed, "a shared list", "bug: two lists of one name"))
    }

    async fn once_of(&self, site: &Site, what: String, list: BoxFuture<'_, List>) -> List {
        let cell = Arc::clone(lock(&self.lists).entry((site.scope().clone(), what)).or_default());
        cell.get_or_init(|| list).await.clone()
    }

    /// Forgets what was listed: another run begins, and the world has moved on.
    pub(crate) fn forget(&self) {
        lock(&self.lists).clear();
    }

    /// Who the credentials are, by what their file or the metadata server says.
    pub(crate) async fn identity(&self) -> Result<Option<Identity>, CloudError> {
        let settings = self.settings()?;
        if settings.endpoints.contains_key("") {
            return Ok(Some(Identity { name: "nobody".to_owned(), source: ENDPOINT.to_owned() }));
        }
        if let Some(file) = &settings.file {
            return Ok(Some(identity_of(file)));
        }
        let email = metadata(settings, "/computeMetadata/v1/instance/service-accounts/default/email").await;
        Ok(email.map(|name| Identity { name, source: "metadata server".to_owned() }))
    }

    /// Keeps a project's number (`projects/123`): IAM often names projects by theirs.
    pub(crate) fn learn_number(&self, name: &str, project: &str) {
        if let Some(number) = name.strip_prefix("projects/") {
            lock(&self.numbers).insert(number.to_owned(), project.to_owned());
        }
    }

    /// The id of a project whose number is known.
    pub(crate) fn project_of_number(&self, number: &str) -> Option<String> {
        lock(&self.numbers).get(number).cloned()
    }

    /// The project of the environment: of the variables, the credentials file, gcloud's configuration, or the
    /// machine this runs on.
    pub(crate) async fn default_project(&self) -> Result<String, CloudError> {
        let settings = self.settings()?;
        if let Some(project) = &settings.project {
            return Ok(project.clone());
        }
        let machine = if settings.endpoints.contains_key("") {
            None
        } else {
            metadata(settings, "/computeMetadata/v1/project/project-id").await
        };
        let usable = |project: &String| {
            !project.is_empty()
                && project.chars().all(|letter| letter.is_ascii_alphanumeric() || "-.:".contains(letter))
        };
        if let Some(project) = machine.filter(usable) {
            return Ok(project);
        }
        if settings.endpoints.contains_key("") || settings.file.is_some() || settings.metadata.is_some() {
            let message = "no project is named: use --project, or set GOOGLE_CLOUD_PROJECT";
            return Err(CloudError::new(Fault::Refused, WHO, message));
        }
        let message = format!("no source has any; looked for: {SOURCES}");
        Err(CloudError::new(Fault::Unauthenticated, WHO, message))
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the metadata server says, if this runs on Google Cloud: anything else that answers lacks its header.
async fn metadata(settings: &Settings, path: &str) -> Option<String> {
    let host = settings.metadata.as_deref().unwrap_or("metadata.google.internal");
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let ask = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nMetadata-Flavor: Google\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.take(65_536).read_to_end(&mut answer).await.ok()?;
        String::from_utf8(answer).ok()
    };
    let answer = tokio::time::timeout(Duration::from_secs(2), ask).await.ok()??;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let (status, headers) = head.split_once("\r\n")?;
    let flavoured = headers.lines().any(|line| line.eq_ignore_ascii_case("metadata-flavor: google"));
    (flavoured && status.split(' ').nth(1) == Some("200")).then(|| body.trim().to_owned())
}

/// Reads the environment's configuration. Makes no call: the first is [`Cloud::universe`].
pub async fn connect(config: Config, calls: Calls) -> Arc<dyn Cloud> {
    let gcp = entered(config, calls.clocks().clone());
    let kinds = kinds::all(&gcp);
    Arc::new(crate::scopes::Provider { gcp, kinds, calls })
}

/// What [`connect`] connects to.
pub(crate) fn entered(config: Config, clocks: Clocks) -> Arc<Gcp> {
    let settings = settings(&config, &|name| std::env::var(name).ok());
    Arc::new(Gcp {
        config,
        settings,
        credentials: OnceCell::new(),
        clients: Mutex::default(),
        lists: Mutex::default(),
        numbers: Mutex::default(),
        rest: Rest::new(clocks),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_on_this_machine() {
        for good in ["http://127.0.0.1:4443", "http://localhost:80/", "http://[::1]:9", "http://127.8.0.1"] {
            assert!(loopback("X", good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "https://127.0.0.1:1",
            "http://10.0.0.1:80",
            "http://example.com",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1:99999",
            "http://127.0.0.1/x",
            "http://localhost@evil.example",
            "127.0.0.1:80",
        ] {
            assert!(loopback("X", bad).is_err(), "{bad}");
        }
    }

    fn read(pairs: &'static [(&str, &str)]) -> Result<Settings, CloudError> {
        settings(&Config::default(), &move |name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_project_of_the_environment() {
        let told =
            read(&[("GCLOUD_PROJECT", "c"), ("GOOGLE_CLOUD_PROJECT", "a"), ("CLOUDSDK_CORE_PROJECT", "b")]).unwrap();
        assert_eq!(told.project.as_deref(), Some("a"));
        let told = read(&[("GOOGLE_CLOUD_PROJECT", " "), ("CLOUDSDK_CORE_PROJECT", "b")]).unwrap();
        assert_eq!(told.project.as_deref(), Some("b"));
        assert_eq!(read(&[]).unwrap().project, None);
    }

    #[test]
    fn one_service_elsewhere() {
        let told = read(&[("SWEEPER_GCP_ENDPOINT_COMPUTE", "http://127.0.0.1:1")]).unwrap();
        assert_eq!(told.endpoints, BTreeMap::from([("COMPUTE".to_owned(), "http://127.0.0.1:1".to_owned())]));
        assert_eq!(read(&[("SWEEPER_GCP_ENDPOINT", "http://10.1.1.1")]).unwrap_err().fault, Fault::Refused);
    }

    #[test]
    fn files_that_name_a_project() {
        let folder = std::env::temp_dir().join(format!("sweeper-gcp-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("configurations")).unwrap();
        std::fs::write(folder.join("active_config"), "work\n").unwrap();
        std::fs::write(
            folder.join("configurations/config_work"),
            "[compute]\nproject = no\n[core]\naccount = a\nproject = shop\n",
        )
        .unwrap();
        assert_eq!(project_of_gcloud(&folder, None).as_deref(), Some("shop"));
        assert_eq!(project_of_gcloud(&folder, Some("../../etc/passwd".to_owned())), None);
        assert_eq!(project_of_gcloud(&folder, Some("none".to_owned())), None);
        let file = folder.join("key.json");
        std::fs::write(&file, r#"{"type": "service_account", "project_id": "blue", "client_email": "s@blue.iam.gserviceaccount.com", "private_key": "secret"}"#).unwrap();
        assert_eq!(project_of_credentials(&file).as_deref(), Some("blue"));
        assert_eq!(identity_of(&file).name, "s@blue.iam.gserviceaccount.com");
        std::fs::write(&file, r#"{"type": "external_account", "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/s@red.iam.gserviceaccount.com:generateAccessToken"}"#).unwrap();
        assert_eq!(project_of_credentials(&file), None);
        assert_eq!(identity_of(&file).name, "s@red.iam.gserviceaccount.com");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
