//! A webhook of the house: the notice as JSON, or what a template makes of it, signed.
//!
//! `Sweeper-Signature: t=<seconds>,v1=<hex>` is the HMAC-SHA256 of `<seconds>.<body>` under the shared secret. Whoever
//! receives it computes the same, compares in constant time, and refuses what is older than five minutes.
//! `Idempotency-Key` is the notice's id: the same when it is sent again.

use super::{
    escape::Target,
    notifier::{Message, Notifier, Way, Whole},
    secret::{Opened, Secret},
    wire::{self, Call, Undelivered, Wire},
};
use crate::config::Keys;
use async_trait::async_trait;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::{Method, Url};
use serde::Serialize as _;
use sha2::Sha256;
use std::{collections::BTreeMap, fmt::Write as _};
use sweeper_core::inert::InertJson;

pub const KEYS: &[&str] = &["url", "url_env", "url_file", "secret_env", "secret_file", "headers_env", "headers_file"];

/// What a template is escaped for.
pub const TARGET: Option<Target> = Some(Target::Json);

/// Where it is: a URL that is no secret may stand in the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Open(Url),
    Secret(Secret),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    pub place: Place,
    /// What it is signed with.
    pub secret: Option<Secret>,
    /// Headers whose values are secret.
    pub headers: BTreeMap<String, Secret>,
}

impl Webhook {
    pub fn read(keys: &mut Keys<'_, '_, '_>) -> Option<Self> {
        let (open, secret) = (keys.url("url"), keys.secret("url"));
        if keys.has("url") && secret.is_some() {
            keys.wrong("url", "name one of `url`, `url_env` and `url_file`");
        }
        if !keys.has("url") && secret.is_none() {
            keys.needed("url");
        }
        let mut headers = BTreeMap::new();
        for (name, variable) in keys.map("headers_env") {
            headers.insert(name, Secret::Env(variable));
        }
        for (name, path) in keys.map("headers_file") {
            headers.insert(name, Secret::File(path.into()));
        }
        let signed = keys.secret("secret");
        if signed.is_none() && headers.is_empty() {
            let help = "without one, or `headers_env = { Authorization = \"NAME\" }`, anybody could send the like";
            keys.problem("a webhook needs `secret_env` or `secret_file`, to sign with", Some(help.to_owned()));
        }
        let place = open.map(Place::Open).or(secret.map(Place::Secret))?;
        Some(Self { place, secret: signed, headers })
    }
}

impl Notifier for Webhook {
    fn secrets(&self) -> Vec<&Secret> {
        let place = match &self.place {
            Place::Secret(secret) => Some(secret),
            Place::Open(_) => None,
        };
        place.into_iter().chain(&self.secret).chain(self.headers.values()).collect()
    }

    fn most(&self) -> usize {
        500
    }

    fn preview(&self, message: &Message<'_>) -> Result<String, Undelivered> {
        Ok(format!("{}\n", String::from_utf8_lossy(&body(message)?)))
    }

    fn way(&self) -> Way<'_> {
        Way::Whole(self)
    }
}

fn body(message: &Message<'_>) -> Result<Vec<u8>, Undelivered> {
    if let Some(text) = message.templated()? {
        return Ok(text.into_bytes());
    }
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, InertJson);
    message.notice.serialize(&mut serializer).map_err(|error| Undelivered::refused(error.to_string()))?;
    Ok(json)
}

#[async_trait]
impl Whole for Webhook {
    async fn send(&self, message: &Message<'_>, wire: &Wire) -> Result<Option<String>, Undelivered> {
        let opened = |secret: &Secret| secret.open().map_err(Undelivered::later);
        let mut hidden: Vec<Opened> = Vec::new();
        let url = match &self.place {
            Place::Open(url) => url.clone(),
            Place::Secret(secret) => {
                let secret = opened(secret)?;
                let url = wire::place(secret.reveal());
                hidden.push(secret);
                url.map_err(|why| Undelivered::refused(format!("its URL: {why}")))?
            }
        };
        let body = body(message)?;
        let mut headers =
            vec![("Idempotency-Key", message.notice.id.clone()), ("Sweeper-Notice", message.notice.id.clone())];
        if let Some(secret) = &self.secret {
            let secret = opened(secret)?;
            let now = jiff::Timestamp::now().as_second();
            headers.push(("Sweeper-Signature", signature(secret.reveal().as_bytes(), now, &body)?));
            hidden.push(secret);
        }
        let mut secrets = Vec::new();
        for (name, secret) in &self.headers {
            secrets.push((name.clone(), opened(secret)?.reveal().to_owned()));
        }
        let call = Call { method: Method::POST, url, body, headers, secrets };
        wire.send(call, &hidden.iter().collect::<Vec<_>>()).await?;
        Ok(None)
    }
}

/// `t=…,v1=…`.
pub fn signature(secret: &[u8], now: i64, body: &[u8]) -> Result<String, Undelivered> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| Undelivered::refused("its secret cannot sign"))?;
    mac.update(format!("{now}.").as_bytes());
    mac.update(body);
    let mut out = format!("t={now},v1=");
    for byte in mac.finalize().into_bytes() {
        let _ = write!(out, "{byte:02x}");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_others_compute() {
        // python3: hmac.new(b"key", b"1700000000.{}", "sha256").hexdigest()
        let signed = signature(b"key", 1_700_000_000, b"{}").unwrap();
        assert_eq!(signed, "t=1700000000,v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae");
    }
}
