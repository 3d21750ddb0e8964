//! Credentials: where they are looked for, and tokens.

use crate::transport::said;
use async_trait::async_trait;
use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    signature::{RSA_PSS_SHA256, RsaKeyPair},
};
use azure_core1::{
    Bytes,
    credentials::{AccessToken, Secret, TokenCredential},
    error::{Error, ErrorKind},
    http::{
        AsyncRawResponse, ClientMethodOptions, ClientOptions, HttpClient, Method, Request, RetryOptions, Transport,
        headers::{HeaderName, HeaderValue, Headers},
    },
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertion, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, PoisonError},
    time::Duration,
};
use sweeper_core::kind::{CloudError, Fault};
use time::OffsetDateTime;
use tokio::sync::{Mutex, OnceCell};

/// Where credentials are looked for, in order, for the message when there are none.
pub const SOURCES: &str = "client secret (AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET), client certificate \
    (AZURE_CLIENT_CERTIFICATE_PATH), workload identity (AZURE_FEDERATED_TOKEN_FILE), managed identity, Azure CLI (az login)";

/// Environment variables, as they were when the program started.
#[derive(Clone, Default)]
pub(crate) struct Env(BTreeMap<String, String>);

impl Env {
    /// The ones that matter here.
    pub(crate) fn of_process() -> Self {
        let ours = ["AZURE_", "ARM_", "SWEEPER_AZURE_", "IDENTITY_", "MSI_", "HOME", "USERPROFILE"];
        Self(std::env::vars().filter(|(name, _)| ours.iter().any(|prefix| name.starts_with(prefix))).collect())
    }

    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// The first of the variables that is set and not empty.
    pub(crate) fn any(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.0.get(*name).map(String::as_str).filter(|value| !value.is_empty()))
    }
}

/// Values may be secrets.
impl fmt::Debug for Env {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// Tokens by scope, each kept until shortly before it ends.
pub(crate) struct Tokens {
    source: Source,
    kept: std::sync::Mutex<BTreeMap<&'static str, Slot>>,
}

/// One scope's token. Whoever comes while it is being fetched waits.
type Slot = Arc<Mutex<Option<AccessToken>>>;

enum Source {
    /// What emulators take.
    Dummy,
    /// The one that the environment configures, or those that may be there, in order.
    Chain { sources: Vec<Named>, chosen: OnceCell<usize> },
    /// The environment configures one that cannot work.
    Broken(String),
}

type Named = (&'static str, Arc<dyn TokenCredential>);

/// A token is fetched anew when it ends within this time.
const EARLY: Duration = Duration::from_mins(5);

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tokens")
    }
}

impl Tokens {
    /// The dummy that emulators take; no identity is asked.
    pub(crate) fn dummy() -> Self {
        Self { source: Source::Dummy, kept: std::sync::Mutex::default() }
    }

    /// As the environment configures it.
    pub(crate) fn from_env(env: &Env, authority: &str) -> Self {
        let source = match chain(env, authority) {
            Ok(sources) => Source::Chain { sources, chosen: OnceCell::new() },
            Err(said) => Source::Broken(said),
        };
        Self { source, kept: std::sync::Mutex::default() }
    }

    /// Where they come from; of several that may be, the one that gave the first.
    pub(crate) fn source(&self) -> &'static str {
        match &self.source {
            Source::Dummy => "emulator",
            Source::Broken(_) => "",
            Source::Chain { sources, chosen } => {
                let at = chosen.get().copied().or_else(|| (sources.len() == 1).then_some(0));
                at.and_then(|at| sources.get(at)).map_or("", |(name, _)| name)
            }
        }
    }

    /// A token for a scope (`https://management.azure.com/.default`).
    pub(crate) async fn token(&self, op: &'static str, scope: &'static str) -> Result<String, CloudError> {
        let none = |said: String| CloudError::new(Fault::Unauthenticated, op, said);
        let (sources, chosen) = match &self.source {
            Source::Dummy => return Ok("emulator".to_owned()),
            Source::Broken(said) => return Err(none(said.clone())),
            Source::Chain { sources, chosen } => (sources, chosen),
        };
        let slot = Arc::clone(self.kept.lock().unwrap_or_else(PoisonError::into_inner).entry(scope).or_default());
        let mut kept = slot.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| token.expires_on > OffsetDateTime::now_utc() + EARLY) {
            return Ok(token.token.secret().to_owned());
        }
        let mut told = Vec::new();
        for (at, (name, source)) in sources.iter().enumerate() {
            if chosen.get().is_some_and(|chosen| *chosen != at) {
                continue;
            }
            match source.get_token(&[scope], None).await {
                Ok(token) => {
                    let _ = chosen.set(at);
                    let secret = token.token.secret().to_owned();
                    *kept = Some(token);
                    return Ok(secret);
                }
                Err(error) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Connection) && sources.len() == 1 => {
                    return Err(CloudError::new(Fault::Transient, op, format!("{name}: {}", short(&error))));
                }
                Err(error) => told.push(format!("{name}: {}", short(&error))),
            }
        }
        if sources.len() == 1 || chosen.get().is_some() {
            return Err(none(told.join("; ")));
        }
        Err(none(format!("no source has any ({}); looked for: {SOURCES}", told.join("; "))))
    }
}

/// The first line of what an error says.
fn short(error: &Error) -> String {
    let text = said(error);
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

/// The sources that the environment configures, or else those that may be there.
fn chain(env: &Env, authority: &str) -> Result<Vec<Named>, String> {
    let failed = |error: Error| short(&error);
    let client = |identity: bool| options(identity, authority);
    let tenant = env.any(&["AZURE_TENANT_ID", "ARM_TENANT_ID"]);
    let id = env.any(&["AZURE_CLIENT_ID", "ARM_CLIENT_ID"]);
    let incomplete = |what: &str| format!("{what} is set, AZURE_TENANT_ID or AZURE_CLIENT_ID is not");
    if let Some(secret) = env.any(&["AZURE_CLIENT_SECRET", "ARM_CLIENT_SECRET"]) {
        let (Some(tenant), Some(id)) = (tenant, id) else { return Err(incomplete("AZURE_CLIENT_SECRET")) };
        let options = ClientSecretCredentialOptions { client_options: client(false)? };
        let secret = Secret::new(secret.to_owned());
        let source = ClientSecretCredential::new(tenant, id.to_owned(), secret, Some(options)).map_err(failed)?;
        return Ok(vec![("client secret", source)]);
    }
    if let Some(path) = env.any(&["AZURE_CLIENT_CERTIFICATE_PATH", "ARM_CLIENT_CERTIFICATE_PATH"]) {
        let (Some(tenant), Some(id)) = (tenant, id) else { return Err(incomplete("AZURE_CLIENT_CERTIFICATE_PATH")) };
        let pem = std::fs::read(path).map_err(|error| format!("{path} cannot be read: {error}"))?;
        let audience = format!("https://{authority}/{tenant}/oauth2/v2.0/token");
        let certificate = Certificate::read(&pem, id, &audience).map_err(|error| format!("{path}: {error}"))?;
        let options = ClientAssertionCredentialOptions { client_options: client(false)? };
        let source = ClientAssertionCredential::new(tenant.to_owned(), id.to_owned(), certificate, Some(options));
        return Ok(vec![("client certificate", source.map_err(failed)?)]);
    }
    if let Some(file) = env.any(&["AZURE_FEDERATED_TOKEN_FILE"]) {
        let options = WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options: client(false)? },
            client_id: id.map(ToOwned::to_owned),
            tenant_id: tenant.map(ToOwned::to_owned),
            token_file_path: Some(file.into()),
        };
        let source = WorkloadIdentityCredential::new(Some(options)).map_err(failed)?;
        return Ok(vec![("workload identity", source)]);
    }
    let mut sources: Vec<Named> = Vec::new();
    let managed = ManagedIdentityCredentialOptions {
        user_assigned_id: id.map(|id| UserAssignedId::ClientId(id.to_owned())),
        client_options: client(true)?,
    };
    if let Ok(source) = ManagedIdentityCredential::new(Some(managed)) {
        sources.push(("managed identity", source));
    }
    let options =
        AzureCliCredentialOptions { tenant_id: tenant.map(ToOwned::to_owned), ..AzureCliCredentialOptions::default() };
    if let Ok(source) = AzureCliCredential::new(Some(options)) {
        sources.push(("Azure CLI", source));
    }
    Ok(sources)
}

/// How credentials reach their authority: our client, no retries of their own.
fn options(identity: bool, authority: &str) -> Result<ClientOptions, String> {
    use azure_core1::cloud::{CloudConfiguration, CustomConfiguration};
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = format!("https://{authority}");
    Ok(ClientOptions {
        retry: RetryOptions::none(),
        transport: Some(Transport::new(Arc::new(Http::new(identity)?))),
        cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
        ..ClientOptions::default()
    })
}

/// The credentials' way out.
#[derive(Debug)]
struct Http(reqwest::Client);

impl Http {
    /// For the metadata service of a machine (`identity`), which is near or not there at all, or for an authority.
    fn new(identity: bool) -> Result<Self, String> {
        let connect = if identity { Duration::from_secs(1) } else { Duration::from_secs(5) };
        let builder = reqwest::Client::builder()
            .connect_timeout(connect)
            .timeout(Duration::from_secs(20))
            .redirect(reqwest::redirect::Policy::none())
            .https_only(!identity);
        let builder = if identity { builder.no_proxy() } else { builder };
        builder.build().map(Self).map_err(|error| format!("no HTTP client: {}", said(&error)))
    }
}

#[async_trait]
impl HttpClient for Http {
    async fn execute_request(&self, request: &Request) -> azure_core1::Result<AsyncRawResponse> {
        let method = match request.method() {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            other => return Err(Error::with_message(ErrorKind::Other, format!("no token is fetched by {other}"))),
        };
        let mut builder = self.0.request(method, request.url().clone());
        for (name, value) in request.headers().iter() {
            builder = builder.header(name.as_str(), value.as_str());
        }
        let answer = builder.body(Bytes::from(request.body())).send().await;
        let failed = |error: reqwest::Error| Error::with_message(ErrorKind::Io, said(&error));
        let response = answer.map_err(failed)?;
        let status = response.status().as_u16();
        let headers: HashMap<HeaderName, HeaderValue> = response
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                let value = value.to_str().ok()?;
                Some((HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value.to_owned())))
            })
            .collect();
        let body = response.bytes().await.map_err(failed)?;
        Ok(AsyncRawResponse::from_bytes(status.into(), Headers::from(headers), body))
    }
}

/// A certificate and its key, which sign what proves the client to the authority.
struct Certificate {
    key: RsaKeyPair,
    /// SHA-256 of the certificate, base64url.
    thumbprint: String,
    client: String,
    audience: String,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Certificate({})", self.thumbprint)
    }
}

impl Certificate {
    /// From PEM: a certificate and an RSA key that is not encrypted.
    fn read(pem: &[u8], client: &str, audience: &str) -> Result<Self, String> {
        let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| "holds no PEM certificate")?;
        let key =
            match PrivateKeyDer::from_pem_slice(pem).map_err(|_| "holds no PEM private key that is not encrypted")? {
                PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
                PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
                _ => return Err("its key is no RSA key".to_owned()),
            };
        let key = key.map_err(|_| "its key is no RSA key of 2048 bits or more")?;
        let thumbprint = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &certificate));
        Ok(Self { key, thumbprint, client: client.to_owned(), audience: audience.to_owned() })
    }

    /// The assertion: a JWT for ten minutes. Source: "Microsoft identity platform application authentication
    /// certificate credentials".
    fn assertion(&self, now: i64, id: &str) -> Result<String, String> {
        let header = serde_json::json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint});
        let claims = serde_json::json!({
            "aud": self.audience, "iss": self.client, "sub": self.client, "jti": id, "nbf": now - 60, "iat": now, "exp": now + 600,
        });
        let text = |part: serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", text(header), text(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PSS_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .map_err(|_| "the assertion cannot be signed".to_owned())?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[async_trait]
impl ClientAssertion for Certificate {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core1::Result<String> {
        let failed = |said: String| Error::with_message(ErrorKind::Credential, said);
        let mut id = [0_u8; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| failed("no random numbers".to_owned()))?;
        let id = id.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        self.assertion(OffsetDateTime::now_utc().unix_timestamp(), &id).map_err(failed)
    }
}

/// Tokens as the management crate's older core wants them.
#[derive(Debug)]
pub(crate) struct Bridge(pub(crate) String);

#[async_trait]
impl azure_core::auth::TokenCredential for Bridge {
    async fn get_token(&self, _: &[&str]) -> azure_core::Result<azure_core::auth::AccessToken> {
        // The transport below puts the real token in; this one is never sent.
        let later = OffsetDateTime::now_utc() + Duration::from_hours(1);
        Ok(azure_core::auth::AccessToken::new(self.0.clone(), later))
    }

    async fn clear_cache(&self) -> azure_core::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::{
        encoding::{AsDer as _, Pkcs8V1Der},
        rsa::KeySize,
        signature::{KeyPair as _, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey},
    };
    use base64::engine::general_purpose::STANDARD;

    fn pem(label: &str, der: &[u8]) -> String {
        let text = STANDARD.encode(der);
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }

    #[test]
    fn an_assertion_is_signed_with_the_key_of_the_certificate() {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
        let file = pem("CERTIFICATE", b"a certificate") + &pem("PRIVATE KEY", der.as_ref());
        let certificate = Certificate::read(file.as_bytes(), "client", "https://login/t/oauth2/v2.0/token").unwrap();
        let assertion = certificate.assertion(1000, "id").unwrap();
        let (message, signature) = assertion.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key.public_key().as_ref());
        public.verify(message.as_bytes(), &signature).unwrap();
        let part = |at: usize| {
            let part = URL_SAFE_NO_PAD.decode(message.split('.').nth(at).unwrap()).unwrap();
            serde_json::from_slice::<serde_json::Value>(&part).unwrap()
        };
        assert_eq!((part(0)["alg"].as_str(), part(1)["iss"].as_str()), (Some("PS256"), Some("client")));
        assert_eq!(part(1)["exp"], 1600);
        assert!(!format!("{certificate:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_is_no_certificate_is_said() {
        for (text, word) in [("", "no PEM certificate"), (&*pem("CERTIFICATE", b"x"), "no PEM private key")] {
            assert!(Certificate::read(text.as_bytes(), "c", "a").unwrap_err().contains(word));
        }
    }

    #[test]
    fn half_a_configuration_is_said() {
        let of =
            |pairs: &[(&str, &str)]| chain(&Env::of(pairs), "login.microsoftonline.com").map(|sources| sources[0].0);
        let tenant = ("AZURE_TENANT_ID", "11111111-1111-1111-1111-111111111111");
        assert!(of(&[("AZURE_CLIENT_SECRET", "s")]).unwrap_err().contains("AZURE_TENANT_ID"));
        assert_eq!(of(&[tenant, ("AZURE_CLIENT_ID", "c"), ("AZURE_CLIENT_SECRET", "s")]), Ok("client secret"));
        assert!(of(&[tenant, ("AZURE_CLIENT_ID", "c"), ("AZURE_CLIENT_CERTIFICATE_PATH", "/nowhere.pem")]).is_err());
        assert_eq!(of(&[]), Ok("managed identity"));
        assert_eq!(format!("{:?}", Env::of(&[("AZURE_CLIENT_SECRET", "canary")])), "{\"AZURE_CLIENT_SECRET\"}");
    }

    #[tokio::test]
    async fn without_any_source_each_is_named() {
        let none = |name: &'static str| (name, Arc::new(Nobody) as Arc<dyn TokenCredential>);
        let sources = vec![none("managed identity"), none("Azure CLI")];
        let tokens =
            Tokens { source: Source::Chain { sources, chosen: OnceCell::new() }, kept: std::sync::Mutex::default() };
        let error = tokens.token("x/read", "https://management.azure.com/.default").await.unwrap_err();
        assert_eq!(error.fault, Fault::Unauthenticated);
        assert!(error.message.contains("Azure CLI: nobody here") && error.message.contains(SOURCES), "{error}");
    }

    #[derive(Debug)]
    struct Nobody;

    #[async_trait]
    impl TokenCredential for Nobody {
        async fn get_token(
            &self,
            _: &[&str],
            _: Option<azure_core1::credentials::TokenRequestOptions<'_>>,
        ) -> azure_core1::Result<AccessToken> {
            Err(Error::with_message(ErrorKind::Credential, "nobody here\nmore"))
        }
    }
}
