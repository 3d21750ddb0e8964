//! The way to the services that carry notices: HTTPS only, no redirects, bounded in time and in what is read. Plain HTTP
//! goes to this machine alone, for tests and for relays beside the sweeper.
//!
//! No error names a URL or repeats a secret.

use super::secret::Opened;
use crate::render::inert;
use reqwest::{
    Client, Method, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER},
};
use std::{net::IpAddr, sync::OnceLock, time::Duration};

/// For one request, from its first byte to the answer's last.
pub const TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT: Duration = Duration::from_secs(10);
/// The largest answer that is read.
const LARGEST: usize = 1024 * 1024;
/// How much of a refusal is repeated, characters.
const COMPLAINT: usize = 200;
/// The longest wait that a service may ask for, seconds.
const LONGEST_WAIT: u64 = 24 * 3600;

/// Why a notice was not delivered: lowercase fragments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// It will not be delivered as it is, however often it is tried.
    Refused(String),
    /// It may be delivered later; the service may have said when.
    Later { why: String, after: Option<Duration> },
}

impl Undelivered {
    pub fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), after: None }
    }

    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }

    pub fn why(&self) -> &str {
        match self {
            Self::Refused(why) | Self::Later { why, .. } => why,
        }
    }
}

/// A request.
pub struct Call<'a> {
    pub method: Method,
    pub url: Url,
    pub body: Vec<u8>,
    pub headers: Vec<(&'a str, String)>,
    /// Whole values of headers that are secret.
    pub secrets: Vec<(String, String)>,
}

impl Call<'_> {
    /// A POST of JSON.
    pub fn json(url: Url, body: &serde_json::Value) -> Self {
        Self {
            method: Method::POST,
            url,
            body: body.to_string().into_bytes(),
            headers: Vec::new(),
            secrets: Vec::new(),
        }
    }

    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, body: Vec::new(), headers: Vec::new(), secrets: Vec::new() }
    }

    #[must_use]
    pub fn authorized(mut self, value: String) -> Self {
        self.secrets.push((AUTHORIZATION.to_string(), value));
        self
    }
}

/// What a service answered with a 2xx.
#[derive(Debug)]
pub struct Answer {
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or(serde_json::Value::Null)
    }
}

/// The clients.
pub struct Wire {
    far: OnceLock<Result<Client, String>>,
    near: OnceLock<Result<Client, String>>,
    timeout: Duration,
}

/// Reads where a service is: `https`, or plain `http` of this machine. An error says what is wrong and repeats nothing.
pub fn place(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|_| "it is no URL".to_owned())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with a user or password in it is not taken".to_owned());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_near(&url) => Ok(url),
        "http" => Err("plain http goes to this machine only: write https".to_owned()),
        _ => Err("it is no https URL".to_owned()),
    }
}

/// Whether it is on this machine.
fn is_near(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback)
}

/// Whether a host is this machine.
pub fn is_loopback(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

impl Wire {
    pub const fn new(timeout: Duration) -> Self {
        Self { far: OnceLock::new(), near: OnceLock::new(), timeout }
    }

    /// The client for a place; made when it is wanted, since it reads the machine's certificates.
    fn client(&self, is_near: bool) -> Result<&Client, String> {
        let builder = || {
            Client::builder()
                .connect_timeout(CONNECT.min(self.timeout))
                .timeout(self.timeout)
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .user_agent(concat!("sweeper/", env!("CARGO_PKG_VERSION")))
        };
        let built = |builder: reqwest::ClientBuilder| {
            builder.build().map_err(|error| format!("no HTTP client: {}", said(error)))
        };
        let client = if is_near {
            self.near.get_or_init(|| built(builder().no_proxy()))
        } else {
            self.far.get_or_init(|| built(builder().https_only(true)))
        };
        client.as_ref().map_err(Clone::clone)
    }

    /// How long one request may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a request. Anything but a 2xx is no delivery: 408, 425, 429 and 5xx may be tried again, and so may what is
    /// refused with a time to wait; the rest is refused for good.
    pub async fn send(&self, call: Call<'_>, hidden: &[&Opened]) -> Result<Answer, Undelivered> {
        self.exchange(call, hidden).await.map_err(|(_, error)| error)
    }

    /// As [`Self::send`], of something that may be gone by now: `None` where it is.
    pub async fn send_to(&self, call: Call<'_>, hidden: &[&Opened]) -> Result<Option<Answer>, Undelivered> {
        match self.exchange(call, hidden).await {
            Ok(answer) => Ok(Some(answer)),
            Err((404 | 410, _)) => Ok(None),
            Err((_, error)) => Err(error),
        }
    }

    async fn exchange(&self, call: Call<'_>, hidden: &[&Opened]) -> Result<Answer, (u16, Undelivered)> {
        let is_near = is_near(&call.url) && call.url.scheme() == "http";
        let client = self.client(is_near).map_err(|why| (0, Undelivered::later(why)))?;
        let mut hides: Vec<String> = hidden.iter().map(|opened| opened.reveal().to_owned()).collect();
        let mut request = client.request(call.method.clone(), call.url);
        if call.method != Method::GET {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        for (name, value) in call.secrets {
            let wrong = || (0, Undelivered::refused(format!("the header `{}` cannot be sent", inert::line(&name))));
            let header = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
            let mut value_of = HeaderValue::from_str(&value).map_err(|_| wrong())?;
            value_of.set_sensitive(true);
            request = request.header(header, value_of);
            hides.push(value);
        }
        if !call.body.is_empty() {
            request = request.body(call.body);
        }
        let lost = |error| (0, Undelivered::later(said(error)));
        let mut response = request.send().await.map_err(lost)?;
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(wait);
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(piece)) if body.len() + piece.len() <= LARGEST => body.extend_from_slice(&piece),
                Ok(None) => break,
                // It was accepted or not by its status; the rest of the answer is nobody's.
                Ok(Some(_)) | Err(_) => break,
            }
        }
        if status.is_success() {
            return Ok(Answer { body });
        }
        let said = complaint(&body, &hides);
        let why = if said.is_empty() {
            format!("it answered {}", status.as_u16())
        } else {
            format!("it answered {}: {said}", status.as_u16())
        };
        let error = match (status.as_u16(), after) {
            (408 | 425 | 429 | 500.., _) | (403, Some(_)) => Undelivered::Later { why, after },
            // A redirect is followed nowhere: a notice goes where the config says.
            _ => Undelivered::Refused(why),
        };
        Err((status.as_u16(), error))
    }
}

/// `Retry-After` in seconds, or as a date.
fn wait(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds.min(LONGEST_WAIT)));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let now = jiff::Timestamp::now();
    let seconds = u64::try_from(at.as_second().saturating_sub(now.as_second())).unwrap_or_default();
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT)))
}

/// What a service said, in short, without anything secret.
fn complaint(body: &[u8], hides: &[String]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut text = text.into_owned();
    for hide in hides {
        // A URL that is secret is so by its path; a header by what follows its scheme.
        for part in hide.split([' ', '/', '?', '=', '&']).filter(|part| part.len() >= 6).chain([hide.as_str()]) {
            text = text.replace(part, "…");
        }
    }
    let short: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(COMPLAINT).collect();
    inert::line(&short).into_owned()
}

/// An error with its causes, without the URL.
fn said(error: reqwest::Error) -> String {
    let error = error.without_url();
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    inert::line(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_go_by_https_or_stay_here() {
        for good in
            ["https://hooks.slack.com/services/T/B/x", "http://127.0.0.1:9/x", "http://[::1]:9/", "http://localhost/"]
        {
            place(good).unwrap();
        }
        for bad in
            ["http://hooks.example.com/x-canary", "ftp://127.0.0.1/x-canary", "x-canary", "https://u:x-canary@host/"]
        {
            let why = place(bad).unwrap_err();
            assert!(!why.contains("canary"), "{why}");
        }
    }

    #[test]
    fn a_complaint_is_short_and_repeats_no_secret() {
        let said =
            complaint(b"no service\n/T123/B456/canarytoken \x1b[31m", &["https://h/T123/B456/canarytoken".to_owned()]);
        assert!(!said.contains("canarytoken") && !said.contains('\u{1b}') && said.starts_with("no service"), "{said}");
        assert!(complaint(&[b'x'; 5000], &[]).len() <= COMPLAINT);
    }

    #[test]
    fn waits_are_read_and_bounded() {
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("999999999"), Some(Duration::from_secs(LONGEST_WAIT)));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
    }
}
