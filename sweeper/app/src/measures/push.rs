//! A Pushgateway, for runs that end before anybody could scrape them: PUT replaces all of a group, so that what a later
//! run does not measure does not linger.

use super::Measures;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// A group of a Pushgateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub url: String,
    pub job: String,
    pub instance: String,
}

/// A label and its value in the path of a group; what no path can hold goes as base64, as the Pushgateway has it.
fn segment(label: &str, value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !value.is_empty() && value.bytes().all(plain) && !matches!(value, "." | "..") {
        return format!("{label}/{value}");
    }
    // An empty value is one letter of padding: else the path would end early.
    let text = if value.is_empty() { "=".to_owned() } else { URL_SAFE_NO_PAD.encode(value) };
    format!("{label}@base64/{text}")
}

impl Group {
    fn place(&self) -> String {
        format!("{}/metrics/{}/{}", self.url, segment("job", &self.job), segment("instance", &self.instance))
    }

    pub async fn put(&self, measures: &Measures) -> Result<(), String> {
        let client = client()?;
        let request = client
            .put(self.place())
            .header("content-type", "text/plain; version=0.0.4; charset=utf-8")
            .body(measures.prometheus());
        accepted(request).await.map(drop)
    }
}

/// Follows no redirect: what is sent is for who was named.
pub fn client() -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).user_agent(user_agent());
    builder.build().map_err(|error| said(&error))
}

fn user_agent() -> String {
    crate::TOOL.replace(' ', "/")
}

/// Sends, and fails unless the answer is a success. A little of what the other side says is passed on.
pub async fn accepted(request: reqwest::RequestBuilder) -> Result<reqwest::StatusCode, String> {
    const SHOWN: usize = 200;
    let mut answer = request.send().await.map_err(|error| said(&error))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(status);
    }
    let mut text = Vec::new();
    while text.len() < SHOWN {
        match answer.chunk().await {
            Ok(Some(chunk)) => text.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    text.truncate(SHOWN);
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    let says = if text.is_empty() { String::new() } else { format!(": {text}") };
    Err(format!("it answered {status}{says}"))
}

/// An error with what caused it, and without the address, which may hold a password.
fn said(error: &reqwest::Error) -> String {
    let mut text =
        if error.is_connect() { "nothing answers there".to_owned() } else { "the request failed".to_owned() };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if std::error::Error::source(inner).is_none() {
            text = format!("{text}: {inner}");
        }
        cause = std::error::Error::source(inner);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_paths() {
        let place = |job: &str, instance: &str| {
            Group { url: "http://g".to_owned(), job: job.to_owned(), instance: instance.to_owned() }.place()
        };
        assert_eq!(place("sweeper", "prod-eu"), "http://g/metrics/job/sweeper/instance/prod-eu");
        // As the Pushgateway's own documentation has it.
        assert_eq!(segment("path", "/var/tmp"), "path@base64/L3Zhci90bXA");
        assert_eq!(segment("name", "Προμηθεύς"), "name@base64/zqDPgc6_zrzOt864zrXPjc-C");
        assert_eq!(segment("first_label", ""), "first_label@base64/=");
        assert_eq!(place("a/b", ".."), "http://g/metrics/job@base64/YS9i/instance@base64/Li4");
    }
}
