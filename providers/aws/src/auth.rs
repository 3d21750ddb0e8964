//! Credentials, accounts, regions and clients.

use crate::{bills, fault, gate::Reads, http, kinds, marks, whole::Whole};
use async_trait::async_trait;
use aws_config::{
    BehaviorVersion, Region, SdkConfig, retry::RetryConfig, sts::AssumeRoleProvider, timeout::TimeoutConfig,
};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_types::service_config::ServiceConfigKey;
use futures_util::future::BoxFuture;
use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use sweeper_core::{
    calls::{Calls, Pages, Site},
    charges::{BillAsk, BillTold},
    clocks::Clocks,
    kind::{Account, Cloud, CloudError, Fault, Held, Identity, Kind, Need, Universe},
    model::{CloudId, Scope},
};

use tokio::sync::OnceCell;

/// What to look at, and how.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Only these regions; empty for every region the account has enabled.
    pub regions: BTreeSet<String>,
    /// The whole organisation, by a role in each account; without it, the account of the credentials.
    pub org: Option<OrgConfig>,
    /// Address buckets by path rather than by host, as emulators need.
    pub s3_path_style: bool,
    /// An emulator that serves every service, entered with a dummy credential; nothing of the environment
    /// is then used.
    pub endpoint: Option<String>,
    /// Tag keys that keep a thing: a session that deletes is denied whatever carries one, at the instant of the call.
    pub protect_keys: Vec<String>,
    /// The tag key without which a session that deletes is denied, of whatever can have tags.
    pub fence: Option<String>,
}

/// How to enter the accounts of an organisation.
#[derive(Clone, Debug)]
pub struct OrgConfig {
    /// The role's name in every account.
    pub role: String,
    /// The name of the role that changes are made in; without it, the same.
    pub write_role: Option<String>,
    pub external_id: Option<String>,
    /// Only these accounts; empty for all active ones.
    pub accounts: BTreeSet<String>,
}

/// Where credentials are looked for, in the SDK's order, for the message when there are none.
pub const SOURCES: &str = "environment (AWS_ACCESS_KEY_ID), shared config and credentials files (AWS_PROFILE, SSO), \
    web identity token, container credentials (ECS, EKS), instance metadata";

/// Session policy of every assumed role: whatever the role may do, a survey only reads.
const READ_ONLY: &str = concat!(
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*","Action":["#,
    r#""autoscaling:Describe*","backup:List*","batch:Describe*","cloudwatch:GetMetricData","ec2:Describe*","#,
    r#""ecr:BatchGetImage","ecr:Describe*","ecr:GetLifecyclePolicy","ecr:GetRepositoryPolicy","ecr:List*","#,
    r#""ecs:Describe*","ecs:List*","eks:Describe*","eks:List*","elasticloadbalancing:Describe*","#,
    r#""imagebuilder:Get*","imagebuilder:List*","lambda:GetFunction","lambda:GetPolicy","lambda:List*","#,
    r#""logs:Describe*","logs:List*","rds:Describe*","rds:List*","s3:GetBucket*","s3:GetLifecycleConfiguration","#,
    r#""s3:List*","ssm:DescribeParameters","ssm:GetParameters","sts:GetCallerIdentity"]}]}"#
);

/// The account of the credentials: `GetCallerIdentity` needs no permission.
const WHO: &str = "sts:GetCallerIdentity";
const ASSUME: &str = "sts:AssumeRole";
const REGIONS: &str = "ec2:DescribeRegions";
const ACCOUNTS: &str = "organizations:ListAccounts";

/// What a run needs beside what its kinds declare.
pub const NEEDS: &[Need] = &[
    Need { permission: WHO, why: "to know the account of the credentials", held: Held::Nowhere },
    Need { permission: REGIONS, why: "to know which regions the account has enabled", held: Held::Account },
    Need { permission: ACCOUNTS, why: "to list the accounts of the organisation", held: Held::Parent },
    Need { permission: ASSUME, why: "to enter each account by its role", held: Held::Parent },
];

/// Used for the calls that belong to no region when the environment names none.
const DEFAULT_REGION: &str = "us-east-1";

/// Clients that are kept to be used again.
const CLIENTS: usize = 1024;

/// AWS, connected: shared configuration, and the clients of the last (service, account, region)s.
pub(crate) struct Aws {
    base: SdkConfig,
    home_region: String,
    s3_path_style: bool,
    org: Option<OrgConfig>,
    pub(crate) protect_keys: Vec<String>,
    pub(crate) fence: Option<String>,
    /// The account of the credentials, once it is known.
    home: OnceCell<String>,
    accounts: Mutex<BTreeMap<String, SdkConfig>>,
    clients: Mutex<BTreeMap<ClientKey, Arc<dyn Any + Send + Sync>>>,
    lists: Mutex<Lists>,
    pub(crate) clocks: Clocks,
}

/// A listing that several kinds need, or why there is none.
type List = Result<Arc<dyn Any + Send + Sync>, CloudError>;

/// Listings by scope and name.
type Lists = BTreeMap<(Scope, String), Arc<OnceCell<List>>>;

/// Service, account, region.
type ClientKey = (&'static str, String, String);

macro_rules! clients {
    ($($name:ident: $sdk:ident $id:literal $service:literal),* $(,)?) => {
        /// Services as the SDK's configuration names them.
        const SERVICES: &[&str] = &[$($id,)* "S3"];

        impl Aws {
            $(
                /// The client of a scope, made at its first use.
                pub(crate) fn $name(&self, scope: &Scope) -> $sdk::Client {
                    self.client(stringify!($name), scope, |config| {
                        let whole = Whole(self.clocks.clone());
                        let config = $sdk::config::Builder::from(config);
                        $sdk::Client::from_conf(config.interceptor(whole).interceptor(Reads($service)).build())
                    })
                }
            )*
        }
    };
}

clients! {
    autoscaling: aws_sdk_autoscaling "Auto Scaling" "autoscaling",
    backup: aws_sdk_backup "Backup" "backup",
    batch: aws_sdk_batch "Batch" "batch",
    costexplorer: aws_sdk_costexplorer "Cost Explorer" "ce",
    cloudwatch: aws_sdk_cloudwatch "CloudWatch" "cloudwatch",
    logs: aws_sdk_cloudwatchlogs "CloudWatch Logs" "logs",
    ec2: aws_sdk_ec2 "EC2" "ec2",
    ecr: aws_sdk_ecr "ECR" "ecr",
    ecs: aws_sdk_ecs "ECS" "ecs",
    eks: aws_sdk_eks "EKS" "eks",
    elb: aws_sdk_elasticloadbalancing "Elastic Load Balancing" "elasticloadbalancing",
    elbv2: aws_sdk_elasticloadbalancingv2 "Elastic Load Balancing v2" "elasticloadbalancing",
    imagebuilder: aws_sdk_imagebuilder "imagebuilder" "imagebuilder",
    lambda: aws_sdk_lambda "Lambda" "lambda",
    organizations: aws_sdk_organizations "Organizations" "organizations",
    rds: aws_sdk_rds "RDS" "rds",
    ssm: aws_sdk_ssm "SSM" "ssm",
    sts: aws_sdk_sts "STS" "sts",
}

impl Aws {
    /// S3's client, which can address buckets by path.
    pub(crate) fn s3(&self, scope: &Scope) -> aws_sdk_s3::Client {
        let path_style = self.s3_path_style;
        self.client("s3", scope, |config| {
            let whole = Whole(self.clocks.clone());
            aws_sdk_s3::Client::from_conf(
                aws_sdk_s3::config::Builder::from(config)
                    .force_path_style(path_style)
                    .interceptor(whole)
                    .interceptor(Reads("s3"))
                    .build(),
            )
        })
    }

    /// What `list` gives for a scope, listed once a run however many kinds need it. `what` names it. Whoever
    /// comes while it is being listed waits; a failure is everybody's.
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

    pub(crate) const fn s3_path_style(&self) -> bool {
        self.s3_path_style
    }

    /// Configuration that acts in an account: with the credentials themselves at home, elsewhere with a session of
    /// its own in the account's role for changes, which `policy` narrows.
    pub(crate) async fn entered_for(
        &self,
        site: &Site,
        account: &str,
        session: &str,
        policy: &str,
        length: Duration,
    ) -> Result<SdkConfig, CloudError> {
        let home = self.home.get_or_try_init(|| self.who(site)).await?;
        if home == account {
            return Ok(self.base.clone());
        }
        match &self.org {
            Some(org) if org.accounts.is_empty() || org.accounts.contains(account) => {
                let role = org.write_role.as_deref().unwrap_or(&org.role);
                let (_, credentials) = self.assume(site, account, (role, org), session, policy, length).await?;
                let credentials = SharedCredentialsProvider::new(credentials);
                Ok(self.base.to_builder().credentials_provider(credentials).build())
            }
            _ => Err(CloudError::new(Fault::Refused, ASSUME, format!("the credentials are of account {home}"))),
        }
    }

    /// A session in the role of an account: what renews its credentials, and those that it has now.
    async fn assume(
        &self,
        site: &Site,
        account: &str,
        (role, org): (&str, &OrgConfig),
        session: &str,
        policy: &str,
        length: Duration,
    ) -> Result<(SharedCredentialsProvider, Credentials), CloudError> {
        let mut role = AssumeRoleProvider::builder(format!("arn:aws:iam::{account}:role/{role}"))
            .session_name(session)
            .session_length(length)
            .policy(policy)
            .region(Region::new(self.home_region.clone()));
        if let Some(external_id) = &org.external_id {
            role = role.external_id(external_id);
        }
        let provider = SharedCredentialsProvider::new(role.configure(&self.base).build().await);
        // The first use of the role shows whether it can be taken.
        let first = site
            .read(ASSUME, || {
                let provider = provider.clone();
                async move {
                    use aws_credential_types::provider::ProvideCredentials as _;
                    provider.provide_credentials().await.map_err(|error| {
                        let text = fault::said(&error);
                        let fault = if text.contains("AccessDenied") {
                            Fault::Denied
                        } else if text.contains("Throttl") {
                            Fault::Throttled
                        } else {
                            Fault::Transient
                        };
                        CloudError::new(fault, ASSUME, text.chars().take(300).collect::<String>())
                    })
                }
            })
            .await?;
        Ok((provider, first))
    }

    /// The account of the credentials.
    async fn who(&self, site: &Site) -> Result<String, CloudError> {
        let sts = self.sts(&Scope::new(CloudId::Aws, "caller", Scope::GLOBAL));
        let identity = fault::call(site, WHO, || sts.get_caller_identity().send()).await.map_err(|mut error| {
            if error.fault == Fault::Unauthenticated {
                // The chain's own account of it lists every source it tried over many lines.
                let none = error.message.contains("no credentials found in chain");
                let said = if none { "no source has any" } else { error.message.as_str() };
                error.message = format!("{said}; looked for: {SOURCES}");
            }
            error
        })?;
        identity
            .account()
            .map(ToOwned::to_owned)
            .ok_or_else(|| CloudError::new(Fault::Malformed, WHO, "the answer names no account"))
    }

    fn client<C: Clone + Send + Sync + 'static>(
        &self,
        service: &'static str,
        scope: &Scope,
        make: impl FnOnce(&SdkConfig) -> C,
    ) -> C {
        let region = if scope.region == Scope::GLOBAL { &self.home_region } else { &scope.region };
        let key = (service, scope.account.clone(), region.clone());
        if let Some(client) = lock(&self.clients).get(&key)
            && let Some(client) = client.downcast_ref::<C>()
        {
            return client.clone();
        }
        let config = lock(&self.accounts).get(&scope.account).unwrap_or(&self.base).clone();
        let client = make(&config.into_builder().region(Region::new(region.clone())).build());
        let mut clients = lock(&self.clients);
        if clients.len() >= CLIENTS {
            // Whoever uses one has it; making one again is cheap, and keeping those of ten thousand regions is not.
            clients.clear();
        }
        clients.insert(key, Arc::new(client.clone()));
        client
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Refuses an endpoint that is none: the SDK would panic on an empty one, and take the cloud itself for
/// one that it cannot read.
fn endpoints(config: &SdkConfig) -> Result<(), CloudError> {
    let Some(configured) = config.service_config() else { return Ok(()) };
    for service in SERVICES {
        let key = ServiceConfigKey::builder().service_id(service).env(ENDPOINT).profile("endpoint_url").build();
        if let Some(endpoint) = key.ok().and_then(|key| configured.load_config(key))
            && !is_url(&endpoint)
        {
            let message = format!("the endpoint {endpoint:?} of {service} is no URL: correct or unset {ENDPOINT}");
            return Err(CloudError::new(Fault::Refused, WHO, message));
        }
    }
    Ok(())
}

const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// Whether a text is `http(s)://host[:port][/…]`.
fn is_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // An IPv6 address has colons of its own, in brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~[]:%".contains(letter);
    !host.is_empty() && host.chars().all(plain) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// AWS as the core sees it.
struct Provider {
    aws: Arc<Aws>,
    kinds: Vec<Arc<dyn Kind>>,
    config: Config,
    calls: Calls,
}

/// Reads the environment's configuration. Makes no call: the first is [`Cloud::universe`].
pub async fn connect(config: Config, calls: Calls) -> Arc<dyn Cloud> {
    let aws = configured(&config, calls.clocks().clone()).await;
    let kinds = kinds::all(&aws);
    Arc::new(Provider { aws, kinds, config, calls })
}

/// AWS as the environment and the configuration say.
pub(crate) async fn configured(config: &Config, clocks: Clocks) -> Arc<Aws> {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        // The door retries; a second retry loop under it would multiply.
        .retry_config(RetryConfig::disabled())
        .http_client(http::shared())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(5))
                .operation_attempt_timeout(Duration::from_secs(25))
                .build(),
        );
    if let Some(endpoint) = &config.endpoint {
        let dummy = Credentials::new("AKIAEMULATOR", "emulator", None, None, "emulator");
        loader = loader
            .endpoint_url(endpoint)
            .region(Region::new(DEFAULT_REGION))
            .credentials_provider(SharedCredentialsProvider::new(dummy));
    }
    let base = loader.load().await;
    let home_region = base.region().map_or(DEFAULT_REGION, AsRef::as_ref).to_owned();
    Arc::new(Aws {
        s3_path_style: config.s3_path_style || base.endpoint_url().is_some(),
        org: config.org.clone(),
        protect_keys: config.protect_keys.clone(),
        fence: config.fence.clone(),
        home: OnceCell::new(),
        base,
        home_region,
        accounts: Mutex::default(),
        clients: Mutex::default(),
        lists: Mutex::default(),
        clocks,
    })
}

#[async_trait]
impl Cloud for Provider {
    fn manager(&self, tags: &[(&str, &str)]) -> String {
        marks::managed_by(tags)
    }

    fn id(&self) -> CloudId {
        CloudId::Aws
    }

    fn kinds(&self) -> &[Arc<dyn Kind>] {
        &self.kinds
    }

    async fn universe(&self) -> Result<Universe, CloudError> {
        endpoints(&self.aws.base)?;
        // What was listed once is of the look before.
        lock(&self.aws.lists).clear();
        let home = self.aws.who(&self.site("caller")).await?;
        let Some(org) = &self.config.org else {
            let account = self.account(&home, String::new(), String::new()).await;
            return Ok(Universe { accounts: vec![account], only_what_this_identity_sees: true });
        };
        self.organisation(&home, org).await
    }

    /// A role for each account that is not that of the credentials. Without an organisation there is only that one: of
    /// another the credentials would list their own things in its name.
    async fn enter(
        &self,
        universe: &Universe,
        accounts: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, String>, CloudError> {
        endpoints(&self.aws.base)?;
        lock(&self.aws.lists).clear();
        let home = self.aws.who(&self.site("caller")).await?;
        let others = universe.accounts.iter().map(|account| account.id.clone());
        let others: Vec<String> = others.filter(|id| *id != home && accounts.contains(id)).collect();
        let Some(org) = &self.config.org else {
            let other = || format!("the credentials are of account {home}");
            return Ok(others.into_iter().map(|id| (id, other())).collect());
        };
        let work: Vec<_> = others.into_iter().map(|id| self.entered(id, org)).collect();
        let mut results = futures_util::stream::StreamExt::buffer_unordered(futures_util::stream::iter(work), 32);
        let mut closed = BTreeMap::new();
        while let Some((id, why)) = futures_util::stream::StreamExt::next(&mut results).await {
            closed.extend(why.map(|why| (id, why)));
        }
        Ok(closed)
    }

    async fn identity(&self) -> Result<Option<Identity>, CloudError> {
        endpoints(&self.aws.base)?;
        let site = self.site("caller");
        let sts = self.aws.sts(site.scope());
        let caller = fault::call(&site, WHO, || sts.get_caller_identity().send()).await?;
        let source = std::env::var("AWS_PROFILE")
            .map_or_else(|_| "the default chain of the AWS SDK".to_owned(), |profile| format!("the profile {profile}"));
        Ok(caller.arn().map(|arn| Identity { name: arn.to_owned(), source }))
    }

    /// Cost Explorer tells the management account of all others, any other account of itself.
    async fn bill(&self, ask: &BillAsk) -> Result<BillTold, CloudError> {
        endpoints(&self.aws.base)?;
        let caller = self.site("caller");
        let home = self.aws.home.get_or_try_init(|| self.aws.who(&caller)).await?;
        let site = self.calls.site(&Scope::new(CloudId::Aws, home, bills::REGION));
        let only = self.config.org.as_ref().map(|org| org.accounts.clone()).unwrap_or_default();
        Box::pin(bills::told(&self.aws, &site, only, ask)).await
    }
}

impl Provider {
    fn site(&self, account: &str) -> Site {
        self.calls.site(&Scope::new(CloudId::Aws, account, Scope::GLOBAL))
    }

    /// An account with its enabled regions; blind when those cannot be read and none were named.
    async fn account(&self, id: &str, name: String, path: String) -> Account {
        let site = self.site(id);
        let ec2 = self.aws.ec2(site.scope());
        let listed = fault::call(&site, REGIONS, || ec2.describe_regions().all_regions(false).send()).await;
        let mut account = Account { id: id.to_owned(), name, path, regions: Vec::new(), blind: None, none: None };
        match listed {
            Ok(answer) => {
                account.regions = answer
                    .regions()
                    .iter()
                    .filter(|region| region.opt_in_status() != Some("not-opted-in"))
                    .filter_map(|region| region.region_name().map(ToOwned::to_owned))
                    .collect();
                account.regions.sort();
                account.regions.dedup();
                if account.regions.is_empty() {
                    account.blind = Some(format!("{} {REGIONS}", Fault::Malformed.word()));
                }
            }
            Err(_) if !self.config.regions.is_empty() => {
                account.regions = self.config.regions.iter().cloned().collect();
            }
            Err(error) => account.blind = Some(error.cause()),
        }
        account
    }

    async fn organisation(&self, home: &str, org: &OrgConfig) -> Result<Universe, CloudError> {
        let site = self.site(home);
        let client = self.aws.organizations(site.scope());
        let mut pages = Pages::new(ACCOUNTS);
        let mut members = Vec::new();
        while let Some(token) = pages.next() {
            let page = fault::call(&site, ACCOUNTS, || {
                client.list_accounts().max_results(20).set_next_token(token.clone()).send()
            })
            .await?;
            members.extend(page.accounts().iter().cloned());
            pages.seen(page.next_token())?;
        }
        let mut accounts = Vec::new();
        let work: Vec<_> = members.into_iter().map(|member| self.member(home, org, member)).collect();
        // A few at a time: each is two or three short calls.
        let mut results = futures_util::stream::StreamExt::buffer_unordered(futures_util::stream::iter(work), 32);
        while let Some(account) = futures_util::stream::StreamExt::next(&mut results).await {
            accounts.extend(account);
        }
        accounts.sort_by(|a, b| a.id.cmp(&b.id));
        // Accounts left out are not looked at: what they hold is unknown, not absent.
        Ok(Universe { accounts, only_what_this_identity_sees: !org.accounts.is_empty() })
    }

    async fn member(
        &self,
        home: &str,
        org: &OrgConfig,
        member: aws_sdk_organizations::types::Account,
    ) -> Option<Account> {
        let id = member.id()?.to_owned();
        if !org.accounts.is_empty() && !org.accounts.contains(&id) {
            return None;
        }
        let name = member.name().unwrap_or_default().to_owned();
        let empty = Account {
            id: id.clone(),
            name: name.clone(),
            path: String::new(),
            regions: Vec::new(),
            blind: None,
            none: None,
        };
        let state = member.state().map_or("ACTIVE", |state| state.as_str());
        if matches!(state, "SUSPENDED" | "CLOSED" | "PENDING_CLOSURE") {
            return Some(Account { none: Some(format!("account is {}", state.to_lowercase())), ..empty });
        }
        if id != home
            && let (_, Some(why)) = self.entered(id.clone(), org).await
        {
            return Some(Account { blind: Some(why), ..empty });
        }
        Some(self.account(&id, name, String::new()).await)
    }

    /// An account, and why its role cannot be taken, if it cannot.
    async fn entered(&self, id: String, org: &OrgConfig) -> (String, Option<String>) {
        let why = self.take_role(&id, org).await.err();
        let why = why.map(|error| format!("{} into role {}", error.cause(), org.role));
        (id, why)
    }

    /// Takes the role in an account, and keeps its configuration for the clients to come.
    async fn take_role(&self, id: &str, org: &OrgConfig) -> Result<(), CloudError> {
        let site = self.site(id);
        let hour = Duration::from_hours(1);
        let (renewed, _) = self.aws.assume(&site, id, (&org.role, org), "sweeper-survey", READ_ONLY, hour).await?;
        let config = self.aws.base.to_builder().credentials_provider(renewed).build();
        lock(&self.aws.accounts).insert(id.to_owned(), config);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_urls() {
        for good in ["http://127.0.0.1:4566", "https://vpce-1.sts.eu-west-1.vpce.amazonaws.com/", "http://[::1]:80/x"] {
            assert!(is_url(good), "{good}");
        }
        for bad in
            ["", "nonsense", "ftp://a", "http://", "http://:80", "http://a:99999", "http://a b", "//a", "http:///x"]
        {
            assert!(!is_url(bad), "{bad}");
        }
    }
}
