//! The clouds of this build. The only file that names provider crates.

use crate::exit::Failure;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use sweeper_core::{
    calls::Calls,
    kind::{Cloud, KindSpec, Need},
    model::CloudId,
};

/// Which part of which clouds to look at.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Empty: every cloud of this build.
    pub clouds: BTreeSet<CloudId>,
    /// Of those, the ones that nothing speaks of: without credentials they are left out.
    pub untold: BTreeSet<CloudId>,
    /// Ids by cloud; none: the account of the credentials, or all below the parent.
    pub accounts: BTreeMap<CloudId, BTreeSet<String>>,
    /// By cloud; none: every enabled region.
    pub regions: BTreeMap<CloudId, BTreeSet<String>>,
    /// The whole organisation of AWS.
    pub org: Option<Org>,
    /// Every subscription below this management group of Azure; empty is the tenant's root.
    pub management_group: Option<String>,
    /// Every project of GCP below it: `organizations/123`, `folders/456`.
    pub parent: Option<String>,
    /// The billing export of GCP in BigQuery: `project.dataset.table`.
    pub billing_table: Option<String>,
    /// How much of it one query may read, bytes.
    pub billing_bytes: Option<u64>,
    /// Where an emulator serves every cloud, instead of the clouds themselves.
    pub endpoint: Option<String>,
    /// Tags that a cloud itself can hold a deletion against.
    pub fences: Fences,
}

/// Tags that a cloud itself holds a deletion against, at the instant of the call.
#[derive(Clone, Debug, Default)]
#[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "a build without AWS reads none of it"))]
pub struct Fences {
    /// What carries one of them stays.
    pub protect: Vec<String>,
    /// What does not carry it stays.
    pub condemned: Option<String>,
}

impl Choice {
    /// Clouds whose parent is looked at, and everything below it.
    pub fn whole(&self) -> BTreeSet<CloudId> {
        let parents = [
            (CloudId::Aws, self.org.is_some()),
            (CloudId::Azure, self.management_group.is_some()),
            (CloudId::Gcp, self.parent.is_some()),
        ];
        let whole = parents
            .into_iter()
            .filter(|(cloud, has_parent)| *has_parent && self.accounts.get(cloud).is_none_or(BTreeSet::is_empty));
        whole.map(|(cloud, _)| cloud).collect()
    }
}

/// What a cloud calls its accounts.
pub const fn noun(cloud: CloudId) -> &'static str {
    match cloud {
        CloudId::Aws => "account",
        CloudId::Azure => "subscription",
        CloudId::Gcp => "project",
    }
}

/// How to enter the accounts of an organisation.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "a build without AWS reads none of it"))]
pub struct Org {
    pub role: String,
    /// What changes are made in.
    pub write_role: Option<String>,
    pub external_id: Option<String>,
}

/// Clouds this build can look at.
pub const BUILT: &[CloudId] = &[
    #[cfg(feature = "aws")]
    CloudId::Aws,
    #[cfg(feature = "azure")]
    CloudId::Azure,
    #[cfg(feature = "gcp")]
    CloudId::Gcp,
];

/// The passports of every kind of this build, without connecting to anything.
pub fn specs() -> Vec<&'static KindSpec> {
    #[cfg_attr(
        not(any(feature = "aws", feature = "azure", feature = "gcp")),
        expect(unused_mut, reason = "a build without clouds has no kinds")
    )]
    let mut specs = Vec::new();
    #[cfg(feature = "aws")]
    specs.extend(sweeper_aws::specs());
    #[cfg(feature = "azure")]
    specs.extend(sweeper_azure::specs());
    #[cfg(feature = "gcp")]
    specs.extend(sweeper_gcp::specs());
    specs
}

/// What a run needs in a cloud beside what its kinds declare.
pub fn needs(cloud: CloudId) -> &'static [Need] {
    needs_of(cloud).0
}

/// What asking a cloud for its bill needs.
pub fn bill_needs(cloud: CloudId) -> &'static [Need] {
    needs_of(cloud).1
}

/// Of a run, and of asking for the bill.
fn needs_of(cloud: CloudId) -> (&'static [Need], &'static [Need]) {
    match cloud {
        #[cfg(feature = "aws")]
        CloudId::Aws => (sweeper_aws::NEEDS, sweeper_aws::BILL_NEEDS),
        #[cfg(feature = "azure")]
        CloudId::Azure => (sweeper_azure::NEEDS, sweeper_azure::BILL_NEEDS),
        #[cfg(feature = "gcp")]
        CloudId::Gcp => (sweeper_gcp::NEEDS, sweeper_gcp::BILL_NEEDS),
        #[cfg_attr(
            all(feature = "aws", feature = "azure", feature = "gcp"),
            expect(unreachable_patterns, reason = "a build with every cloud has no others")
        )]
        _ => (&[], &[]),
    }
}

/// What gives a cloud's credentials to somebody who has none.
pub fn remedies() -> Vec<(CloudId, &'static str)> {
    vec![
        #[cfg(feature = "aws")]
        (CloudId::Aws, "run `aws sso login` or `aws configure`, or set AWS_PROFILE"),
        #[cfg(feature = "azure")]
        (CloudId::Azure, "run `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"),
        #[cfg(feature = "gcp")]
        (CloudId::Gcp, "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"),
    ]
}

/// The clouds that were chosen, connected. Makes no call yet.
#[cfg_attr(
    not(any(feature = "aws", feature = "azure", feature = "gcp")),
    expect(clippy::unused_async, reason = "connecting to a cloud is asynchronous")
)]
pub async fn connect(choice: &Choice, calls: &Calls) -> Result<Vec<Arc<dyn Cloud>>, Failure> {
    if let Some(other) = choice.clouds.iter().find(|cloud| !BUILT.contains(cloud)) {
        let built: Vec<&str> = BUILT.iter().map(|cloud| cloud.name()).collect();
        let built = if built.is_empty() { "none".to_owned() } else { built.join(", ") };
        return Err(Failure::usage(format!("this build cannot look at {}", other.name()))
            .help(format!("clouds of this build: {built}")));
    }
    let mut clouds: Vec<Arc<dyn Cloud>> = Vec::new();
    for cloud in BUILT.iter().filter(|cloud| choice.clouds.is_empty() || choice.clouds.contains(cloud)) {
        match cloud {
            #[cfg(feature = "aws")]
            CloudId::Aws => clouds.push(aws(choice, calls).await),
            #[cfg(feature = "azure")]
            CloudId::Azure => clouds.push(azure(choice, calls).await),
            #[cfg(feature = "gcp")]
            CloudId::Gcp => clouds.push(gcp(choice, calls).await),
            #[cfg_attr(
                all(feature = "aws", feature = "azure", feature = "gcp"),
                expect(unreachable_patterns, reason = "a build with every cloud has no others")
            )]
            _ => {}
        }
    }
    let _ = calls;
    if clouds.is_empty() {
        return Err(Failure::usage("this build has no clouds")
            .help("`--survey FILE` judges a survey taken elsewhere; a build with a cloud's feature looks for itself"));
    }
    Ok(clouds)
}

#[cfg(feature = "aws")]
async fn aws(choice: &Choice, calls: &Calls) -> Arc<dyn Cloud> {
    let accounts = choice.accounts.get(&CloudId::Aws).cloned().unwrap_or_default();
    let config = sweeper_aws::Config {
        regions: choice.regions.get(&CloudId::Aws).cloned().unwrap_or_default(),
        org: choice.org.as_ref().map(|org| sweeper_aws::OrgConfig {
            role: org.role.clone(),
            write_role: org.write_role.clone(),
            external_id: org.external_id.clone(),
            accounts: accounts.clone(),
        }),
        s3_path_style: choice.endpoint.is_some(),
        endpoint: choice.endpoint.clone(),
        protect_keys: choice.fences.protect.clone(),
        fence: choice.fences.condemned.clone(),
    };
    sweeper_aws::connect(config, calls.clone()).await
}

#[cfg(feature = "azure")]
async fn azure(choice: &Choice, calls: &Calls) -> Arc<dyn Cloud> {
    let config = sweeper_azure::Config {
        subscriptions: choice.accounts.get(&CloudId::Azure).cloned().unwrap_or_default(),
        management_group: choice.management_group.clone(),
        // Everything is listed, since it may be used from elsewhere; what is judged is selected later.
        regions: BTreeSet::new(),
        endpoint: choice.endpoint.clone(),
    };
    sweeper_azure::connect(config, calls.clone()).await
}

#[cfg(feature = "gcp")]
async fn gcp(choice: &Choice, calls: &Calls) -> Arc<dyn Cloud> {
    let config = sweeper_gcp::Config {
        projects: choice.accounts.get(&CloudId::Gcp).cloned().unwrap_or_default(),
        parent: choice.parent.clone(),
        billing_table: choice.billing_table.clone(),
        billing_bytes: choice.billing_bytes,
        // Everything is listed, since it may be used from elsewhere; what is judged is selected later.
        regions: BTreeSet::new(),
        endpoint: choice.endpoint.clone(),
    };
    sweeper_gcp::connect(config, calls.clone()).await
}

/// Clouds that are served on this machine.
#[cfg(feature = "demo")]
pub mod emulated {
    use crate::exit::{Exit, Failure};
    use std::collections::BTreeSet;
    use sweeper_core::model::{CloudId, Timestamp};
    use sweeper_emulator::{Emulator, Options, Org, demo, parse_faults};

    /// What a sweep must say of a resource.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Planted {
        /// `<kind>:<account>/<region>/<native id>`.
        pub resource: String,
        pub detector: String,
        /// `found` or `unknown`.
        pub verdict: String,
    }

    /// A file of a cloud's export of bills.
    pub struct Exported {
        pub cloud: CloudId,
        /// Below the directory of all exports, with `/` between folders.
        pub path: String,
        pub text: String,
        /// Whether it holds charges; a manifest does not.
        pub is_table: bool,
    }

    /// Emulated clouds, until dropped.
    pub struct Served {
        emulator: Emulator,
        clouds: BTreeSet<CloudId>,
        org: Org,
        now: jiff::Timestamp,
    }

    /// The config a deployer of the demo's organisation would have written.
    pub fn config() -> &'static str {
        demo().config
    }

    impl Served {
        /// Serves the organisation of the demo on a free port of this machine.
        pub async fn start() -> Result<Self, Failure> {
            Self::serve(Options::default()).await
        }

        /// The same as it is at some time.
        pub async fn start_at(now: Timestamp) -> Result<Self, Failure> {
            let now = jiff::Timestamp::from_second(now.0).map_err(|error| Failure::usage(error.to_string()))?;
            Self::serve(Options::new(now)).await
        }

        async fn serve(options: Options) -> Result<Self, Failure> {
            let demo = demo();
            let wrong =
                |error: String| Failure::new(Exit::Bug, format!("the organisation of the demo is wrong: {error}"));
            let org = Org::parse(demo.organisation).map_err(|error| wrong(error.to_string()))?;
            let faults = parse_faults(demo.faults).map_err(|error| wrong(error.to_string()))?;
            let clouds = org.resources.iter().filter_map(|resource| CloudId::parse(resource.kind.split('.').next()?));
            let clouds = clouds.collect();
            let now = options.now;
            let emulator = Emulator::start(org.clone(), Options { faults, ..options })
                .await
                .map_err(|error| Failure::usage(format!("failed to serve the demo on 127.0.0.1: {error}")))?;
            Ok(Self { emulator, clouds, org, now })
        }

        /// The time that everything in it is relative to.
        pub fn now(&self) -> Timestamp {
            Timestamp(self.now.as_second())
        }

        /// The bills of the last three months, as each cloud lays its exports out.
        pub fn bills(&self) -> impl Iterator<Item = Exported> {
            self.org.bills(self.now).filter_map(|file| {
                let (cloud, is_table) = (CloudId::parse(file.cloud.name())?, file.is_table());
                Some(Exported { cloud, path: file.path, text: file.text, is_table })
            })
        }

        pub fn url(&self) -> String {
            self.emulator.url()
        }

        /// Clouds that the organisation has something in.
        pub fn clouds(&self) -> BTreeSet<CloudId> {
            self.clouds.clone()
        }

        /// What was planted in the organisation.
        pub fn planted(&self) -> Vec<Planted> {
            let planted = self.emulator.truth().into_iter().map(|truth| Planted {
                resource: format!("{}:{}/{}/{}", truth.kind, truth.account, truth.region, truth.id),
                detector: truth.detector,
                verdict: truth.verdict,
            });
            planted.collect()
        }
    }
}
