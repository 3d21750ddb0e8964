//! Client library errors by meaning: the one table.

use crate::auth::lock;
use futures_util::future::BoxFuture;
use google_cloud_gax::error::{
    Error,
    rpc::{Code, Status, StatusDetails},
};
use std::{error::Error as StdError, future::Future, io::ErrorKind, sync::Mutex};
use sweeper_core::{
    calls::{Price, Site},
    kind::{CloudError, Fault},
};

/// Reasons by meaning. Sources: the error pages of the Compute Engine, Cloud Storage and BigQuery APIs
/// (`errors[].reason`) and `google.api.ErrorReason` (`ErrorInfo.reason`).
const REASONS: &[(Fault, &[&str])] = &[
    (
        Fault::Throttled,
        &[
            "rateLimitExceeded",
            "userRateLimitExceeded",
            "quotaExceeded",
            "dailyLimitExceeded",
            "RATE_LIMIT_EXCEEDED",
            "RESOURCE_QUOTA_EXCEEDED",
            "RESOURCE_EXHAUSTED",
        ],
    ),
    (Fault::NotOffered, &["accessNotConfigured", "SERVICE_DISABLED"]),
    (
        Fault::Unauthenticated,
        &[
            "authError",
            "invalidCredentials",
            "CREDENTIALS_MISSING",
            "ACCESS_TOKEN_EXPIRED",
            "ACCESS_TOKEN_TYPE_UNSUPPORTED",
            "ACCOUNT_STATE_INVALID",
            "SESSION_COOKIE_INVALID",
            "API_KEY_INVALID",
        ],
    ),
    (
        Fault::Denied,
        &[
            "BILLING_DISABLED",
            "billingNotEnabled",
            "CONSUMER_INVALID",
            "CONSUMER_SUSPENDED",
            "USER_PROJECT_DENIED",
            "IAM_PERMISSION_DENIED",
            "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
            "SECURITY_POLICY_VIOLATED",
            "ORG_RESTRICTION_VIOLATION",
            "insufficientPermissions",
            "forbidden",
        ],
    ),
    (Fault::Transient, &["backendError", "internalError"]),
    (Fault::NotFound, &["notFound"]),
];

/// Statuses of gRPC by meaning (`google.rpc.Code`).
fn of_code(code: Code) -> Option<Fault> {
    Some(match code {
        Code::ResourceExhausted => Fault::Throttled,
        Code::PermissionDenied => Fault::Denied,
        Code::Unauthenticated => Fault::Unauthenticated,
        Code::NotFound => Fault::NotFound,
        Code::Unavailable | Code::Internal | Code::DeadlineExceeded | Code::Aborted | Code::DataLoss => {
            Fault::Transient
        }
        Code::Cancelled => Fault::Transient,
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::AlreadyExists
        | Code::Unimplemented => Fault::Refused,
        _ => return None,
    })
}

fn of_http(status: u16) -> Fault {
    match status {
        401 => Fault::Unauthenticated,
        403 => Fault::Denied,
        404 | 410 => Fault::NotFound,
        408 => Fault::Transient,
        429 => Fault::Throttled,
        501 | 505 => Fault::Refused,
        500.. => Fault::Transient,
        _ => Fault::Refused,
    }
}

/// What the service itself said: a reason before the words, the words before the statuses, since one 403 may be a
/// refusal, a throttle or a service that is off.
fn meaning(http: Option<u16>, status: &Status) -> Fault {
    let mut reasons = status.details.iter().filter_map(|detail| match detail {
        StatusDetails::ErrorInfo(info) => Some(info.reason.as_str()),
        _ => None,
    });
    if let Some(fault) =
        reasons.find_map(|reason| REASONS.iter().find(|(_, known)| known.contains(&reason)).map(|(fault, _)| *fault))
    {
        return fault;
    }
    let said = &status.message;
    if said.contains("has not been used in project") || said.contains("it is disabled") {
        return Fault::NotOffered;
    }
    if matches!(http, Some(403) | None)
        && ["Rate Limit Exceeded", "Quota exceeded for quota metric", "rateLimitExceeded"]
            .iter()
            .any(|words| said.contains(words))
    {
        return Fault::Throttled;
    }
    match http {
        // What the body says counts where the status is one of the few that say nothing.
        Some(400 | 500) => of_code(status.code).unwrap_or_else(|| of_http(http.unwrap_or(500))),
        Some(http) => of_http(http),
        None => of_code(status.code).unwrap_or(Fault::Transient),
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source()).take(16)
}

/// What an error and its causes say, each once.
fn said(error: &(dyn StdError + 'static)) -> String {
    let mut told: Vec<String> = Vec::new();
    for cause in chain(error) {
        let text = cause.to_string();
        // A cause that the one above already quotes adds nothing.
        if !told.iter().any(|before| before.contains(&text)) {
            told.push(text);
        }
    }
    told.join(": ").chars().take(400).collect()
}

/// What the transport's trouble means: nobody there, somebody who speaks something else, or bad weather.
fn of_transport(error: &(dyn StdError + 'static), text: &str) -> Fault {
    let gone = [ErrorKind::ConnectionRefused, ErrorKind::NetworkUnreachable, ErrorKind::HostUnreachable];
    let refused = chain(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| gone.contains(&cause.kind()));
    // The resolver, the parser and the TLS library have no kinds of their own.
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if refused || has(&["Connection refused", "dns error", "failed to lookup"]) {
        Fault::Unreachable
    } else if has(&[
        "invalid HTTP",
        "message head is too large",
        "internal error inside Hyper's parser",
        "received corrupt message",
        "http2 error",
        "protocol error",
        "frame with invalid",
    ]) {
        Fault::Malformed
    } else if has(&["invalid peer certificate", "UnknownIssuer"]) {
        Fault::Unreachable
    } else {
        Fault::Transient
    }
}

/// The error in the core's words.
pub(crate) fn of(op: &'static str, error: &Error) -> CloudError {
    let fault;
    let text;
    if error.is_authentication() {
        text = said(error);
        // A key that was withdrawn and a metadata server that is not there are both worth no second try.
        let weather = ["429", "500", "502", "503", "504", "timed out"].iter().any(|word| text.contains(word));
        let transient = weather && !text.contains("invalid_grant");
        fault = if transient { Fault::Transient } else { Fault::Unauthenticated };
    } else if let Some(status) = error.status() {
        fault = meaning(error.http_status_code(), status);
        let mut words: String = status.message.chars().take(300).collect();
        if words.is_empty() {
            words = error.http_status_code().map_or_else(|| status.code.to_string(), |http| format!("HTTP {http}"));
        }
        text = words;
    } else if error.is_timeout() || error.is_exhausted() {
        fault = Fault::Transient;
        text = "no answer in time".to_owned();
    } else if let Some(http) = error.http_status_code() {
        // No error of a Google service: a proxy's page, a front end, something else altogether.
        fault = match http {
            408 | 429 | 500..=599 => of_http(http),
            403 | 404 if error.http_payload().map(|payload| &payload[..]).unwrap_or_default().is_empty() => {
                of_http(http)
            }
            _ => Fault::Malformed,
        };
        text = format!("HTTP {http} without an error of the service");
    } else if error.is_deserialization() {
        // The text may quote the answer, which may hold anything.
        fault = Fault::Malformed;
        text = "the answer cannot be read".to_owned();
    } else if error.is_connect() || error.is_io() || error.is_transport() {
        text = said(error);
        fault = of_transport(error, &text);
    } else {
        fault = Fault::Refused;
        text = said(error);
    }
    CloudError { retry_after_ms: retry_after(error), ..CloudError::new(fault, op, text) }
}

/// An answer that is an error, read without the client libraries.
pub(crate) fn answered(op: &'static str, http: u16, body: &bytes::Bytes) -> CloudError {
    let Ok(status) = Status::try_from(body) else {
        let fault = match http {
            408 | 429 | 500..=599 => of_http(http),
            403 | 404 if body.is_empty() => of_http(http),
            _ => Fault::Malformed,
        };
        return CloudError::new(fault, op, format!("HTTP {http} without an error of the service"));
    };
    let words: String = status.message.chars().take(300).collect();
    let words = if words.is_empty() { format!("HTTP {http}") } else { words };
    CloudError::new(meaning(Some(http), &status), op, words)
}

/// What trouble of the transport means, and its words.
pub(crate) fn transport(error: &(dyn StdError + 'static)) -> (Fault, String) {
    let text = said(error);
    (of_transport(error, &text), text)
}

/// What the service asked us to wait: the header in seconds, or `google.rpc.RetryInfo`; at most a minute.
fn retry_after(error: &Error) -> Option<u64> {
    let header = error
        .http_headers()
        .and_then(|headers| headers.get("retry-after"))
        .and_then(|value| value.to_str().ok())
        .and_then(|seconds| seconds.trim().parse::<u64>().ok())
        .map(|seconds| seconds.min(60) * 1000);
    header.or_else(|| {
        error.status()?.details.iter().find_map(|detail| match detail {
            StatusDetails::RetryInfo(info) => {
                let delay = info.retry_delay?;
                let seconds = u64::try_from(delay.seconds()).ok()?.min(60);
                Some(seconds * 1000 + u64::from(delay.nanos().unsigned_abs() / 1_000_000))
            }
            _ => None,
        })
    })
}

/// A free read through the door. `make` is called again for every try.
pub(crate) async fn call<T, Made, Answer>(site: &Site, op: &'static str, make: Made) -> Result<T, CloudError>
where
    Made: FnMut() -> Answer + Send,
    Answer: Future<Output = Result<T, Error>> + Send,
    T: Send,
{
    paid(site, op, Price::Free, make).await
}

/// A read that costs money.
pub(crate) async fn paid<T, Made, Answer>(
    site: &Site,
    op: &'static str,
    price: Price,
    mut make: Made,
) -> Result<T, CloudError>
where
    Made: FnMut() -> Answer + Send,
    Answer: Future<Output = Result<T, Error>> + Send,
    T: Send,
{
    let kept = Mutex::new(None);
    let mut attempt = || -> Attempt<'_> {
        let answer = make();
        let kept = &kept;
        Box::pin(async move {
            *lock(kept) = Some(answer.await.map_err(|error| of(op, &error))?);
            Ok(())
        })
    };
    through(site, op, price, &mut attempt).await?;
    let kept = lock(&kept).take();
    kept.ok_or_else(|| CloudError::new(Fault::Refused, op, "bug: the door kept no answer"))
}

/// One try of a call, which keeps its answer elsewhere.
type Attempt<'a> = BoxFuture<'a, Result<(), CloudError>>;

/// The door for every type of answer: its waits and retries are much code, which would otherwise be compiled anew for
/// each of our calls.
async fn through<'a>(
    site: &Site,
    op: &'static str,
    price: Price,
    attempt: &mut (dyn FnMut() -> Attempt<'a> + Send),
) -> Result<(), CloudError> {
    site.paid(op, price, attempt).await
}

#[cfg(test)]
mod tests {
    use crate::canned::Canned;
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };
    use sweeper_core::kind::{CloudError, Fault};

    async fn of(status: u16, body: &str) -> CloudError {
        let body = body.to_owned();
        let canned = Canned::new(move |_| (status, "", body.clone())).await;
        canned.list("gcp.compute-disk").await.err().unwrap()
    }

    fn error(code: u16, status: &str, reason: &str, message: &str) -> String {
        format!(
            r#"{{"error": {{"code": {code}, "message": "{message}", {status} "errors": [{{"message": "{message}", "domain": "global", "reason": "{reason}"}}]}}}}"#
        )
    }

    #[tokio::test]
    async fn what_errors_mean() {
        let denied = r#""status": "PERMISSION_DENIED","#;
        for (status, body, fault) in [
            (403, error(403, denied, "forbidden", "Required 'compute.disks.list' permission"), Fault::Denied),
            (403, error(403, "", "rateLimitExceeded", "Rate Limit Exceeded"), Fault::Throttled),
            (403, error(403, "", "quotaExceeded", "Quota exceeded"), Fault::Throttled),
            (403, error(403, denied, "accessNotConfigured", "Compute Engine API has not been used in project 1 before or it is disabled."), Fault::NotOffered),
            (403, error(403, denied, "", "Compute Engine API has not been used in project 1 before or it is disabled."), Fault::NotOffered),
            (403, r#"{"error": {"code": 403, "message": "off", "status": "PERMISSION_DENIED", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "domain": "googleapis.com"}]}}"#.to_owned(), Fault::NotOffered),
            (403, r#"{"error": {"code": 403, "message": "billing", "status": "PERMISSION_DENIED", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "BILLING_DISABLED", "domain": "googleapis.com"}]}}"#.to_owned(), Fault::Denied),
            (401, error(401, r#""status": "UNAUTHENTICATED","#, "authError", "Invalid Credentials"), Fault::Unauthenticated),
            (404, error(404, "", "notFound", "The resource was not found"), Fault::NotFound),
            (400, error(400, "", "invalid", "Invalid value"), Fault::Refused),
            (404, "<html>Error 404</html>".to_owned(), Fault::Malformed),
            (404, String::new(), Fault::NotFound),
            (200, "<html>Welcome</html>".to_owned(), Fault::Malformed),
            (200, String::new(), Fault::Malformed),
            (200, "[]".to_owned(), Fault::Malformed),
            (200, r#"{"kind": "compute#instanceAggregatedList"}"#.to_owned(), Fault::Malformed),
            (200, r#"{"kind": "compute#diskAggregatedList", "items": 7}"#.to_owned(), Fault::Malformed),
        ] {
            let error = of(status, &body).await;
            assert_eq!(error.fault, fault, "{status} {body}: {error}");
        }
    }

    #[tokio::test]
    async fn what_the_service_asks_to_wait_is_waited() {
        let tries = AtomicU32::new(0);
        let canned = Canned::new(move |_| {
            if tries.fetch_add(1, Ordering::Relaxed) == 0 {
                (
                    429,
                    "Retry-After: 1\r\n",
                    error(429, r#""status": "RESOURCE_EXHAUSTED","#, "rateLimitExceeded", "slow down"),
                )
            } else {
                (200, "", r#"{"kind": "compute#diskAggregatedList"}"#.to_owned())
            }
        })
        .await;
        let started = std::time::Instant::now();
        canned.list("gcp.compute-disk").await.unwrap();
        assert!(started.elapsed() >= Duration::from_secs(1));
        assert_eq!(canned.requests().len(), 2);
    }

    #[tokio::test]
    async fn who_speaks_something_else_is_known_at_once() {
        for banner in ["SSH-2.0-OpenSSH_9.6\r\n", "\u{15}\u{3}\u{3}\0\u{2}\u{2}F", "\0\0\u{12}\u{4}\0\0\0\0\0"] {
            let started = std::time::Instant::now();
            let canned = Canned::new(move |_| (0, "", banner.to_owned())).await;
            let error = canned.list("gcp.compute-disk").await.err().unwrap();
            assert_eq!(error.fault, Fault::Malformed, "{banner:?}: {error}");
            assert!(started.elapsed() < Duration::from_secs(2), "{banner:?}: {:?}", started.elapsed());
        }
    }
}
