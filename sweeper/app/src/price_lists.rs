//! The way to the clouds' price APIs: three hosts, reads only, bounded answers. What is asked and what an answer means
//! is [`sweeper_bill::price_lists`].
//!
//! `SWEEPER_PRICES_ENDPOINT` names a server that stands for all three hosts: on this machine only.

use crate::exit::Failure;
use reqwest::{Client, Response, Url, header::RETRY_AFTER};
use std::{
    io::{self, Read},
    net::IpAddr,
    time::Duration,
};
use sweeper_bill::price_lists::{Answers, Pages, Refreshed, aws, azure, gcp};
use sweeper_core::model::CloudId;
use tokio::sync::mpsc;

const ENDPOINT: &str = "SWEEPER_PRICES_ENDPOINT";
/// The catalog of Google Cloud answers nobody without a key.
const KEY: &str = "GOOGLE_API_KEY";

const CONNECT: Duration = Duration::from_secs(10);
/// Between two pieces of an answer. The whole of EC2's file takes minutes.
const SILENCE: Duration = Duration::from_secs(60);
/// The largest JSON page that is read: 5,000 SKUs of Google Cloud are some 15 MB.
const LARGEST: usize = 64 * 1024 * 1024;
const TRIES: u32 = 3;
/// The longest wait that a server may ask for.
const LONGEST_WAIT: u64 = 60;

/// The three APIs.
pub struct Apis {
    client: Client,
    /// Stands for every host.
    endpoint: Option<Url>,
    key: Option<String>,
}

impl Apis {
    pub fn open() -> Result<Self, Failure> {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
        let endpoint = variable(ENDPOINT).map(|text| local(&text)).transpose()?;
        let builder = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("sweeper/", env!("CARGO_PKG_VERSION")));
        let builder = if endpoint.is_some() { builder.no_proxy() } else { builder.https_only(true) };
        let client = builder.build().map_err(|error| Failure::usage(format!("no HTTP client: {}", said(error))))?;
        Ok(Self { client, endpoint, key: variable(KEY) })
    }

    /// What a cloud says of these regions. All of it, or why not.
    pub async fn ask(&self, regions: &[String], mut answers: Answers, cloud: CloudId) -> Result<Refreshed, String> {
        match cloud {
            CloudId::Aws => {
                for region in regions {
                    for offer in aws::offers() {
                        answers = self.offer(offer, region, answers).await?;
                    }
                }
            }
            CloudId::Azure => {
                for region in regions {
                    for query in azure::queries(region) {
                        self.meters(region, &query, &mut answers).await?;
                    }
                }
            }
            CloudId::Gcp => {
                let key = self
                    .key
                    .as_deref()
                    .ok_or_else(|| format!("{KEY} is not set: the catalog answers to a key only"))?;
                for service in gcp::SERVICES {
                    self.skus(service, regions, key, &mut answers).await?;
                }
            }
        }
        Ok(answers.finish(regions))
    }

    /// The file of a service and region of AWS, as it comes.
    async fn offer(&self, offer: &'static str, region: &str, answers: Answers) -> Result<Answers, String> {
        let url = self.url(aws::HOST, &aws::path(offer, region))?;
        let place = format!("{offer} of {region}");
        let mut response = self.get(&place, url, None).await?;
        let (send, receive) = mpsc::channel::<io::Result<Vec<u8>>>(8);
        let own = region.to_owned();
        let reading = tokio::task::spawn_blocking(move || {
            let mut answers = answers;
            aws::read(offer, &own, Arriving { receive, piece: Vec::new(), read: 0 }, &mut answers).map(|()| answers)
        });
        let broken = loop {
            let piece = match response.chunk().await {
                Ok(Some(piece)) => Ok(piece.to_vec()),
                Ok(None) => break None,
                Err(error) => Err(said(error)),
            };
            let ended = piece.as_ref().err().cloned();
            // Nobody reads on where the file is none.
            let sent = send.send(piece.map_err(io::Error::other)).await;
            if ended.is_some() || sent.is_err() {
                break ended;
            }
        };
        drop(send);
        let read = reading.await.map_err(|error| format!("{place}: {error}"))?;
        match broken {
            Some(error) => Err(format!("{place}: it broke off: {error}")),
            None => read.map_err(|error| error.to_string()),
        }
    }

    /// Every page of a query of Azure's.
    async fn meters(&self, region: &str, query: &[(&str, String)], answers: &mut Answers) -> Result<(), String> {
        let place = format!("retail prices of {region}");
        let first = {
            let mut url = self.url(azure::HOST, azure::PATH)?;
            url.query_pairs_mut().extend_pairs(query);
            url
        };
        let mut pages = Pages::of(&place);
        let mut url = first;
        loop {
            let page = self.page(&place, url, None).await?;
            let Some(next) = azure::read(region, &page, answers).map_err(|error| error.to_string())? else {
                return Ok(());
            };
            pages.turn(&next).map_err(|error| error.to_string())?;
            url = self.url(azure::HOST, azure::PATH)?;
            url.set_query(Some(&next));
        }
    }

    /// Every page of a service's SKUs.
    async fn skus(&self, service: &str, regions: &[String], key: &str, answers: &mut Answers) -> Result<(), String> {
        let place = format!("SKUs of {service}");
        let mut pages = Pages::of(&place);
        let mut token = String::new();
        loop {
            let mut url = self.url(gcp::HOST, &gcp::path(service))?;
            url.query_pairs_mut().append_pair("currencyCode", "USD").append_pair("pageSize", &gcp::PAGE.to_string());
            if !token.is_empty() {
                url.query_pairs_mut().append_pair("pageToken", &token);
            }
            let page = self.page(&place, url, Some(key)).await?;
            let Some(next) = gcp::read(service, regions, &page, answers).map_err(|error| error.to_string())? else {
                return Ok(());
            };
            pages.turn(&next).map_err(|error| error.to_string())?;
            token = next;
        }
    }

    fn url(&self, host: &str, path: &str) -> Result<Url, String> {
        let mut url = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => Url::parse(&format!("https://{host}")).map_err(|error| error.to_string())?,
        };
        url.set_path(path);
        Ok(url)
    }

    /// A whole JSON page.
    async fn page(&self, place: &str, url: Url, key: Option<&str>) -> Result<Vec<u8>, String> {
        let mut response = self.get(place, url, key).await?;
        let mut page = Vec::new();
        while let Some(piece) =
            response.chunk().await.map_err(|error| format!("{place}: it broke off: {}", said(error)))?
        {
            if page.len() + piece.len() > LARGEST {
                return Err(format!("{place}: a page has more than {} MB", LARGEST >> 20));
            }
            page.extend_from_slice(&piece);
        }
        Ok(page)
    }

    /// An answer that is one. What may pass is waited for; the key goes in a header, and so into no message.
    async fn get(&self, place: &str, url: Url, key: Option<&str>) -> Result<Response, String> {
        let mut tries = 1;
        loop {
            let mut request = self.client.get(url.clone());
            if let Some(key) = key {
                request = request.header("x-goog-api-key", key);
            }
            let (why, wait) = match request.send().await {
                Ok(response) if response.status().as_u16() == 200 => return Ok(response),
                Ok(response) => {
                    let status = response.status().as_u16();
                    let why = format!("{place}: HTTP {status}");
                    if !matches!(status, 429 | 500 | 502..=504) {
                        return Err(why);
                    }
                    let wait =
                        response.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse::<u64>().ok());
                    (why, wait)
                }
                Err(error) => (format!("{place}: unreachable: {}", said(error)), None),
            };
            if tries == TRIES {
                return Err(why);
            }
            tokio::time::sleep(Duration::from_secs(wait.unwrap_or(1 << (tries - 1)).min(LONGEST_WAIT))).await;
            tries += 1;
        }
    }
}

/// An endpoint that is plain http of this machine.
fn local(text: &str) -> Result<Url, Failure> {
    let is_loopback = |url: &Url| {
        let host = url.host_str().unwrap_or_default();
        let ip = || host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        url.scheme() == "http" && (host == "localhost" || ip().is_ok_and(|ip| ip.is_loopback()))
    };
    Url::parse(text)
        .ok()
        .filter(is_loopback)
        .ok_or_else(|| Failure::usage(format!("the endpoint `{text}` of {ENDPOINT} is not plain http of this machine")))
}

/// An error with its causes, without the URL.
fn said(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

/// Pieces of a file, in the order in which they come.
struct Arriving {
    receive: mpsc::Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    read: usize,
}

impl Read for Arriving {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.read == self.piece.len() {
            match self.receive.blocking_recv() {
                Some(piece) => (self.piece, self.read) = (piece?, 0),
                None => return Ok(0),
            }
        }
        let count = into.len().min(self.piece.len() - self.read);
        into[..count].copy_from_slice(&self.piece[self.read..self.read + count]);
        self.read += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_stands_for_an_api() {
        for text in ["http://127.0.0.1:8", "http://localhost:8", "http://[::1]:8"] {
            assert!(local(text).is_ok(), "{text}");
        }
        for text in ["http://10.0.0.1", "https://127.0.0.1", "http://localhost.example.com", "ftp://localhost", "x", ""]
        {
            assert!(local(text).is_err(), "{text}");
        }
    }
}
