//! One HTTP client for the clients of all services, accounts and regions.
//!
//! The SDK makes one for each of its clients otherwise, with a copy of the trusted certificates, connections of its own and
//! a second one that only checks the configuration: an organisation of 500 accounts and 20 regions has ten thousand.

use aws_smithy_http_client::{
    Builder, ConnectorBuilder,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    connector_metadata::ConnectorMetadata,
    http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
    runtime_components::RuntimeComponents,
};

/// Connections of one host that are kept while nothing is asked: hosts are shared by all accounts.
const IDLE: usize = 64;

/// Makes its connections when they are first needed, and reads the trusted certificates then.
#[derive(Debug)]
struct Shared(SharedHttpClient);

impl HttpClient for Shared {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

/// The client: TLS and proxies as the SDK's own default has them.
pub(crate) fn shared() -> SharedHttpClient {
    SharedHttpClient::new(Shared(Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector =
            ConnectorBuilder::default().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).pool_max_idle_per_host(IDLE);
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    })))
}
