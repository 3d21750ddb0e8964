//! A place in a bucket: its URL, its client, and what its errors mean.

use crate::bridge::Bridge;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, Checksum, S3ConditionalPut},
    azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
    path::Path,
};
use std::{fmt, sync::Arc, time::Duration};
use sweeper_core::store::StoreError;
use url::Url;

/// One request, and the establishing of its connection. Well below what a lease lasts.
const REQUEST: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(3);
/// After this no request is tried again.
const RETRIES: Duration = Duration::from_secs(15);

/// What one call of ours may take, with what it tries again and reads to be sure.
pub(crate) const CALL: Duration = Duration::from_secs(40);

/// How often a write is sent that did not get through and has not been overtaken.
pub(crate) const TRIES: u32 = 6;

/// Waits before a write is sent again: 100 ms the first time, twice as long each time after.
pub(crate) async fn pause(tried: u32) {
    tokio::time::sleep(Duration::from_millis(100 << tried.min(TRIES))).await;
}

/// The account and the key that Azurite, the emulator of Blob Storage, is delivered with:
/// learn.microsoft.com/azure/storage/common/storage-connect-azurite. No secret.
const AZURITE: (&str, &str) =
    ("devstoreaccount1", "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==");

/// Whose bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Service {
    S3,
    Gcs,
    /// In a storage account.
    Blob(String),
}

/// `s3://BUCKET[/PREFIX]`, `gs://BUCKET[/PREFIX]` or `az://ACCOUNT/CONTAINER[/PREFIX]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    service: Service,
    name: String,
    prefix: String,
}

impl fmt::Display for Bucket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            Service::S3 => write!(formatter, "s3://{}", self.name)?,
            Service::Gcs => write!(formatter, "gs://{}", self.name)?,
            Service::Blob(account) => write!(formatter, "az://{account}/{}", self.name)?,
        }
        if self.prefix.is_empty() { Ok(()) } else { write!(formatter, "/{}", self.prefix) }
    }
}

impl Bucket {
    /// Where in the bucket; empty for all of it.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether what a listing says of an entity tag is what an answer says. Of Google's that is not known for all kinds
    /// of objects.
    pub(crate) fn lists_tags(&self) -> bool {
        self.service != Service::Gcs
    }

    /// Whether it has a name below the bucket, as an object has.
    pub fn is_object(&self) -> bool {
        !self.prefix.is_empty()
    }

    /// Whether a URL is of one of our schemes.
    pub fn is_one(url: &str) -> bool {
        ["s3://", "gs://", "az://"].iter().any(|scheme| url.starts_with(scheme))
    }

    /// Reads a URL; what is wrong with it otherwise.
    pub fn parse(url: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = url.split_once("://") else { return Err(format!("`{url}` is no URL")) };
        let mut parts = rest.trim_end_matches('/').split('/');
        let mut name = |what: &str| {
            let part = parts.next().unwrap_or_default();
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'$');
            if part.is_empty() || !part.bytes().all(fits) {
                return Err(format!("`{url}` names no {what}"));
            }
            Ok(part.to_owned())
        };
        let (service, name) = match scheme {
            "s3" => (Service::S3, name("bucket")?),
            "gs" => (Service::Gcs, name("bucket")?),
            "az" => (Service::Blob(name("account")?), name("container")?),
            other => return Err(format!("`{other}://` is no bucket")),
        };
        let prefix = parts.collect::<Vec<_>>().join("/");
        // As it is, or not at all: a prefix that is written in another way would be another state.
        if Path::parse(&prefix).is_err() {
            return Err(format!("`{prefix}` cannot be a prefix in a bucket"));
        }
        Ok(Self { service, name, prefix })
    }

    /// A client, entered with what the environment has: static keys, a web identity or the machine's own for
    /// S3; a key, a service principal, a workload or managed identity for Blob; application default
    /// credentials for GCS. Plain http, and only to this machine, where the environment names an endpoint.
    pub(crate) fn connect(&self) -> Result<Connection, StoreError> {
        let (reads, writes) = (self.client(&retries(), REQUEST)?, self.client(&no_retries(), REQUEST)?);
        Connection::over(reads, writes, &self.to_string(), &self.prefix)
    }

    /// A client whose requests take no longer than `request`.
    pub(crate) fn client(&self, retries: &RetryConfig, request: Duration) -> Result<Arc<dyn ObjectStore>, StoreError> {
        let failed = |error: object_store::Error| StoreError::Unwritable(format!("{self}: {}", words(&error)));
        Ok(match &self.service {
            Service::S3 => {
                let endpoint = endpoint(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])?;
                let local = endpoint.as_ref().is_some_and(is_loopback);
                let mut builder = AmazonS3Builder::from_env()
                    .with_bucket_name(&self.name)
                    .with_allow_http(local)
                    .with_conditional_put(S3ConditionalPut::ETagMatch)
                    // A bucket that locks its objects takes none without.
                    .with_checksum_algorithm(Checksum::SHA256)
                    .with_client_options(client_options(local, request))
                    .with_retry(retries.clone());
                if local && std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
                    builder = builder.with_access_key_id("local").with_secret_access_key("local");
                }
                Arc::new(builder.build().map_err(failed)?)
            }
            Service::Gcs => {
                let mut builder =
                    GoogleCloudStorageBuilder::from_env().with_bucket_name(&self.name).with_retry(retries.clone());
                let endpoint = endpoint(&["SWEEPER_GCP_ENDPOINT_STORAGE", "SWEEPER_GCP_ENDPOINT"])?;
                if let Some(url) = &endpoint {
                    builder = builder.with_base_url(url.as_str().trim_end_matches('/')).with_bearer_token("local");
                }
                let builder = builder.with_client_options(client_options(endpoint.is_some(), request));
                Arc::new(builder.build().map_err(failed)?)
            }
            Service::Blob(account) => {
                let mut builder = MicrosoftAzureBuilder::from_env()
                    .with_account(account)
                    .with_container_name(&self.name)
                    .with_retry(retries.clone());
                let endpoint = endpoint(&["SWEEPER_AZURE_ENDPOINT_BLOB", "SWEEPER_AZURE_ENDPOINT"])?;
                if let Some(url) = &endpoint {
                    // There accounts are told apart by the path.
                    let url = format!("{}/{account}", url.as_str().trim_end_matches('/'));
                    builder = builder.with_endpoint(url).with_allow_http(true);
                    if account == AZURITE.0 {
                        builder = builder.with_access_key(AZURITE.1);
                    }
                }
                let builder = builder.with_client_options(client_options(endpoint.is_some(), request));
                Arc::new(builder.build().map_err(failed)?)
            }
        })
    }
}

/// A bucket that can be called.
pub(crate) struct Connection {
    /// Tries again what fails.
    pub(crate) reads: Arc<dyn ObjectStore>,
    /// Sends every request once: whether one had an effect must be found out before the next.
    pub(crate) writes: Arc<dyn ObjectStore>,
    pub(crate) bridge: Bridge,
    /// For messages.
    pub(crate) place: String,
    prefix: String,
}

impl Connection {
    pub(crate) fn over(
        reads: Arc<dyn ObjectStore>,
        writes: Arc<dyn ObjectStore>,
        place: &str,
        prefix: &str,
    ) -> Result<Self, StoreError> {
        Ok(Self { reads, writes, bridge: Bridge::start()?, place: place.to_owned(), prefix: prefix.to_owned() })
    }

    /// Where a key lies under the prefix.
    pub(crate) fn path(&self, key: &str) -> Path {
        if self.prefix.is_empty() { Path::from(key) } else { Path::from(format!("{}/{key}", self.prefix)) }
    }
}

pub(crate) fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            ..BackoffConfig::default()
        },
        max_retries: 5,
        retry_timeout: RETRIES,
    }
}

fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..retries() }
}

fn client_options(local: bool, request: Duration) -> ClientOptions {
    ClientOptions::new().with_timeout(request).with_connect_timeout(CONNECT).with_allow_http(local)
}

/// The first of these endpoints that the environment names. Only S3's, which others serve too, may be
/// anything but plain http of this machine, and then it is https.
fn endpoint(names: &[&str]) -> Result<Option<Url>, StoreError> {
    let Some((name, text)) = names.iter().find_map(|name| Some((name, std::env::var(name).ok()?))) else {
        return Ok(None);
    };
    match Url::parse(&text) {
        Ok(url) if is_loopback(&url) || (url.scheme() == "https" && name.starts_with("AWS_")) => Ok(Some(url)),
        Ok(_) => {
            Err(StoreError::Unwritable(format!("the endpoint `{text}` of {name} is not plain http of this machine")))
        }
        Err(error) => Err(StoreError::Unwritable(format!("the endpoint `{text}` of {name}: {error}"))),
    }
}

/// Whether a URL is `http` of this machine itself.
fn is_loopback(url: &Url) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
}

/// What an error of a bucket means, where nothing is excused.
pub(crate) fn fault(place: &str, error: &object_store::Error) -> StoreError {
    use object_store::Error::{NotFound, NotImplemented, NotSupported, PermissionDenied, Unauthenticated};
    match error {
        NotFound { .. } => StoreError::Unwritable(format!("{place} is not there")),
        PermissionDenied { .. } | Unauthenticated { .. } => {
            StoreError::Unwritable(format!("{place} may not be read and written by this identity: {}", words(error)))
        }
        NotSupported { .. } | NotImplemented { .. } => {
            StoreError::Unwritable(format!("{place} cannot write on condition"))
        }
        _ => StoreError::Failed(format!("{place}: {}", words(error))),
    }
}

/// Whether it is the bucket that is not there, rather than the object. Error codes:
/// docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (GCS answers with the same),
/// learn.microsoft.com/rest/api/storageservices/blob-service-error-codes.
pub(crate) fn is_no_bucket(error: &object_store::Error) -> bool {
    let text = innermost(error);
    ["NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted"].iter().any(|code| text.contains(code))
}

/// Whether the identity may not do it, or is not known. Listings tell that only in words.
pub(crate) fn is_denied(error: &object_store::Error) -> bool {
    use object_store::Error::{PermissionDenied, Unauthenticated};
    let said = || {
        let text = innermost(error);
        ["401 Unauthorized", "403 Forbidden"].iter().any(|status| text.contains(status))
    };
    matches!(error, PermissionDenied { .. } | Unauthenticated { .. }) || said()
}

/// Refused, and so without effect: the object is not as the condition says, or is just being written by another.
pub(crate) fn is_refused(error: &object_store::Error) -> bool {
    matches!(
        error,
        object_store::Error::AlreadyExists { .. }
            | object_store::Error::Precondition { .. }
            | object_store::Error::NotModified { .. }
            | object_store::Error::NotFound { .. }
    )
}

fn innermost(error: &object_store::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(deeper) = source.source() {
        source = deeper;
    }
    source.to_string()
}

/// The cause in few words: the service's own code where it gave one. Never a query, which may hold a signature.
pub(crate) fn words(error: &object_store::Error) -> String {
    let text = innermost(error);
    if let Some((_, rest)) = text.split_once("<Code>")
        && let Some((code, _)) = rest.split_once("</Code>")
    {
        return code.chars().filter(char::is_ascii_alphanumeric).take(80).collect();
    }
    let mut out = String::new();
    let mut hides = false;
    for letter in text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(300) {
        if letter == '?' {
            hides = true;
            out.push('…');
        } else if letter.is_whitespace() {
            hides = false;
        }
        if !hides {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_written() {
        for url in ["s3://bucket", "s3://my.bucket/team/a", "gs://b_1/x", "az://account/container", "az://a/$root/p/q"]
        {
            assert_eq!(Bucket::parse(url).unwrap().to_string(), url);
        }
        assert_eq!(Bucket::parse("s3://bucket/p/").unwrap(), Bucket::parse("s3://bucket/p").unwrap());
        for url in
            ["s3://", "s3:///p", "az://account", "az:///c", "s3://a b", "s3://b/x//y", "s3://b/../y", "http://b", "b"]
        {
            assert!(Bucket::parse(url).is_err(), "{url}");
        }
        assert!(Bucket::is_one("gs://x") && !Bucket::is_one("/var/lib/x"));
    }

    #[test]
    fn errors_show_no_signature() {
        let source = "error sending request for url (https://b/x?sig=SECRET&se=1 and more)".into();
        let shown = words(&object_store::Error::Generic { store: "S3", source });
        assert!(!shown.contains("SECRET") && shown.ends_with("… and more)"), "{shown}");
        let source = "403 Forbidden: <Error><Code>AccessDenied</Code><Message>m</Message></Error>".into();
        assert_eq!(words(&object_store::Error::Generic { store: "S3", source }), "AccessDenied");
    }

    #[test]
    fn only_this_machine_is_entered_without_encryption() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(is_loopback(&url("http://127.0.0.1:1")) && is_loopback(&url("http://[::1]:1")));
        for other in ["http://10.0.0.1", "https://127.0.0.1", "http://localhost.example.com"] {
            assert!(!is_loopback(&url(other)), "{other}");
        }
    }
}
