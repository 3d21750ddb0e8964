//! Gcp: projects and kinds.

use async_trait::async_trait;
use std::{collections::BTreeSet, sync::Arc};
use sweeper_core::{
    calls::Calls,
    kind::{Cloud, CloudError, Fault, Kind, KindSpec, Universe},
    model::CloudId,
};

/// What to look at, and how.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Only these projects; empty for the one of the environment, or all below `parent`.
    pub projects: BTreeSet<String>,
    /// Every project below `organizations/123` or `folders/456`.
    pub parent: Option<String>,
    /// Only resources in these regions and their zones; empty for all.
    pub regions: BTreeSet<String>,
    /// An emulator that serves every service over plain http on loopback, entered with a dummy credential;
    /// nothing of the environment is then used.
    pub endpoint: Option<String>,
}

/// Where credentials are looked for, in order, for the message when there are none.
pub const SOURCES: &str = "";

struct Provider;

#[async_trait]
impl Cloud for Provider {
    fn id(&self) -> CloudId {
        CloudId::Gcp
    }

    fn kinds(&self) -> &[Arc<dyn Kind>] {
        &[]
    }

    async fn universe(&self) -> Result<Universe, CloudError> {
        Err(CloudError::new(Fault::Unauthenticated, "resourcemanager.projects.get", "this version cannot look at Gcp yet"))
    }
}

/// Reads the environment's configuration. Makes no call: the first is [`Cloud::universe`].
#[expect(clippy::unused_async, reason = "connecting is asynchronous")]
pub async fn connect(_config: Config, _calls: Calls) -> Arc<dyn Cloud> {
    Arc::new(Provider)
}

/// The passports of every kind, without connecting to anything.
pub fn specs() -> Vec<&'static KindSpec> {
    Vec::new()
}
