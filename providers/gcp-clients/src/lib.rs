//! The clients of Google Cloud, made here and nowhere else.
//!
//! The client libraries are generic down to the decoding of an answer, so that the compiler emits every method of a
//! client, and the decoding of every answer it may get, in the crate that makes the client. That is minutes of work,
//! which a crate of its own does once, optimised as far as the libraries are.

use futures_util::future::BoxFuture;
use google_cloud_auth::credentials::Credentials;
use google_cloud_gax::{client_builder::Result, retry_policy::NeverRetry};
use std::time::Duration;

/// The longest one attempt of a client may take; the door's own limit is a little longer.
const ATTEMPT: Duration = Duration::from_secs(25);

/// Hands every client to a macro: its name, its type, and its service as the variables that set an endpoint name it.
#[macro_export]
macro_rules! clients {
    ($with:ident) => {
        $with! {
            addresses: google_cloud_compute_v1::client::Addresses, "COMPUTE";
            backend_services: google_cloud_compute_v1::client::BackendServices, "COMPUTE";
            disks: google_cloud_compute_v1::client::Disks, "COMPUTE";
            forwarding_rules: google_cloud_compute_v1::client::ForwardingRules, "COMPUTE";
            images: google_cloud_compute_v1::client::Images, "COMPUTE";
            instance_group_managers: google_cloud_compute_v1::client::InstanceGroupManagers, "COMPUTE";
            instance_templates: google_cloud_compute_v1::client::InstanceTemplates, "COMPUTE";
            instances: google_cloud_compute_v1::client::Instances, "COMPUTE";
            machine_images: google_cloud_compute_v1::client::MachineImages, "COMPUTE";
            regions: google_cloud_compute_v1::client::Regions, "COMPUTE";
            routers: google_cloud_compute_v1::client::Routers, "COMPUTE";
            snapshots: google_cloud_compute_v1::client::Snapshots, "COMPUTE";
            target_http_proxies: google_cloud_compute_v1::client::TargetHttpProxies, "COMPUTE";
            target_https_proxies: google_cloud_compute_v1::client::TargetHttpsProxies, "COMPUTE";
            target_pools: google_cloud_compute_v1::client::TargetPools, "COMPUTE";
            target_ssl_proxies: google_cloud_compute_v1::client::TargetSslProxies, "COMPUTE";
            target_tcp_proxies: google_cloud_compute_v1::client::TargetTcpProxies, "COMPUTE";
            url_maps: google_cloud_compute_v1::client::UrlMaps, "COMPUTE";
            metrics: google_cloud_monitoring_v3::client::MetricService, "MONITORING";
            recommender: google_cloud_recommender_v1::client::Recommender, "RECOMMENDER";
            projects: google_cloud_resourcemanager_v3::client::Projects, "RESOURCEMANAGER";
            folders: google_cloud_resourcemanager_v3::client::Folders, "RESOURCEMANAGER";
            artifact_registry: google_cloud_artifactregistry_v1::client::ArtifactRegistry, "ARTIFACTREGISTRY";
            functions: google_cloud_functions_v2::client::FunctionService, "FUNCTIONS";
            run_services: google_cloud_run_v2::client::Services, "RUN";
            run_revisions: google_cloud_run_v2::client::Revisions, "RUN";
            run_jobs: google_cloud_run_v2::client::Jobs, "RUN";
            sql_instances: google_cloud_sql_v1::client::SqlInstancesService, "SQL";
            clusters: google_cloud_container_v1::client::ClusterManager, "CONTAINER";
            logging: google_cloud_logging_v2::client::ConfigServiceV2, "LOGGING";
            storage: google_cloud_storage::client::StorageControl, "STORAGE";
        }
    };
}

macro_rules! make {
    ($($name:ident: $client:ty, $service:literal;)*) => {
        $(
            /// Makes the client; it enters by `endpoint`, or by Google's own. Fails where no connection can be set up,
            /// and makes no call.
            #[inline(never)]
            pub fn $name(credentials: Credentials, endpoint: Option<String>) -> BoxFuture<'static, Result<$client>> {
                Box::pin(async move {
                    let mut builder = <$client>::builder()
                        .with_credentials(credentials)
                        // The door retries; a second retry loop under it would multiply.
                        .with_retry_policy(NeverRetry)
                        .with_attempt_timeout(ATTEMPT);
                    if let Some(endpoint) = endpoint {
                        builder = builder.with_endpoint(endpoint);
                    }
                    builder.build().await
                })
            }
        )*
    };
}

clients!(make);
