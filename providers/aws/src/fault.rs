//! SDK errors by meaning: the one table.

use crate::gate::Barred;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::{error::Error, future::Future, io::ErrorKind};
use sweeper_core::{
    calls::{Price, Site},
    kind::{CloudError, Fault},
};

/// Codes by meaning. Sources: "Common error types" of the services' API references, the EC2 error code
/// page, and the SDK's own `THROTTLING_ERRORS` and `TRANSIENT_ERRORS`.
const CODES: &[(Fault, &[&str])] = &[
    (
        Fault::Throttled,
        &[
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "RequestThrottledException",
            "TooManyRequestsException",
            "TooManyRequests",
            "RequestLimitExceeded",
            "BandwidthLimitExceeded",
            "ProvisionedThroughputExceededException",
            "PriorRequestNotComplete",
            "SlowDown",
            "EC2ThrottledException",
        ],
    ),
    (
        Fault::Denied,
        &[
            "AccessDenied",
            "AccessDeniedException",
            "UnauthorizedOperation",
            "AuthorizationError",
            "AuthorizationErrorException",
            "NotAuthorized",
            "Forbidden",
            "AllAccessDisabled",
            "UnauthorizedException",
        ],
    ),
    (
        Fault::Unauthenticated,
        &[
            "ExpiredToken",
            "ExpiredTokenException",
            "RequestExpired",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "AuthFailure",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
            "IncompleteSignature",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "InvalidToken",
            "RequestTimeTooSkewed",
            "TokenRefreshRequired",
        ],
    ),
    // What an image's id means once it was deregistered.
    (Fault::NotFound, &["InvalidAMIID.Unavailable"]),
    (Fault::NotOffered, &["OptInRequired", "SubscriptionRequiredException", "AWSOrganizationsNotInUseException"]),
    (
        Fault::Transient,
        &[
            "InternalError",
            "InternalFailure",
            "InternalServerError",
            "InternalServiceError",
            "InternalServiceException",
            "ServerException",
            "ServiceException",
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "Unavailable",
            "RequestTimeout",
            "RequestTimeoutException",
        ],
    ),
];

/// What an error code and a status mean.
fn meaning(code: &str, status: u16) -> Fault {
    if let Some((fault, _)) = CODES.iter().find(|(_, codes)| codes.contains(&code)) {
        return *fault;
    }
    // `InvalidVolume.NotFound`, `RepositoryNotFoundException`, `NoSuchBucket`.
    if code.contains("NotFound") || code.starts_with("NoSuch") {
        return Fault::NotFound;
    }
    match status {
        429 => Fault::Throttled,
        401 => Fault::Unauthenticated,
        403 => Fault::Denied,
        404 => Fault::NotFound,
        500.. => Fault::Transient,
        _ => Fault::Refused,
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// What an error and its causes say, each once, without the innards that their debug forms show.
pub(crate) fn said(error: &(dyn Error + 'static)) -> String {
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

/// The error in the core's words.
pub(crate) fn of<E>(op: &'static str, error: &SdkError<E, HttpResponse>) -> CloudError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let context = || said(error);
    if chain(error).any(|cause| cause.downcast_ref::<CredentialsError>().is_some()) {
        return CloudError::new(Fault::Unauthenticated, op, context());
    }
    if let Some(barred) = chain(error).find_map(|cause| cause.downcast_ref::<Barred>()) {
        return CloudError::new(Fault::Refused, op, barred.to_string());
    }
    match error {
        SdkError::TimeoutError(_) => CloudError::new(Fault::Transient, op, "no answer in time"),
        SdkError::DispatchFailure(failure) => {
            let text = context();
            let refused = [ErrorKind::ConnectionRefused, ErrorKind::NetworkUnreachable, ErrorKind::HostUnreachable];
            let mut io = chain(error).filter_map(|cause| cause.downcast_ref::<std::io::Error>());
            // The resolver has no kind of its own.
            let unreachable = io.any(|cause| refused.contains(&cause.kind()))
                || ["dns error", "failed to lookup"].iter().any(|word| text.contains(word));
            let fault = match failure.as_connector_error() {
                Some(error) if error.is_user() => Fault::Refused,
                Some(_) if unreachable => Fault::Unreachable,
                _ => Fault::Transient,
            };
            CloudError::new(fault, op, text)
        }
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            let cut = chain(error).any(|cause| {
                cause.downcast_ref::<std::io::Error>().is_some()
                    || cause.to_string().contains("body")
                    || cause.to_string().contains("connection")
            });
            let fault = match status {
                429 => Fault::Throttled,
                500.. => Fault::Transient,
                _ if cut => Fault::Transient,
                _ => Fault::Malformed,
            };
            CloudError::new(fault, op, context())
        }
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let meta = service.err().meta();
            let code = meta.code().unwrap_or_default();
            let message: String = meta.message().unwrap_or_default().chars().take(300).collect();
            // An answer without an error code is not of the service: a proxy's page, another protocol.
            let fault = if code.is_empty() && status < 500 && status != 429 && status != 403 && status != 404 {
                Fault::Malformed
            } else {
                meaning(code, status)
            };
            let text = if code.is_empty() { format!("HTTP {status}") } else { format!("{code}: {message}") };
            CloudError {
                retry_after_ms: service
                    .raw()
                    .headers()
                    .get("retry-after")
                    .and_then(|seconds| seconds.parse::<u64>().ok())
                    .map(|seconds| seconds.min(60) * 1000),
                ..CloudError::new(fault, op, text)
            }
        }
        _ => CloudError::new(Fault::Refused, op, context()),
    }
}

/// The error that an answer tells of one of the things it was asked to change.
pub(crate) fn coded(op: &'static str, code: &str, message: &str) -> CloudError {
    CloudError::new(meaning(code, 400), op, format!("{code}: {message}"))
}

/// A free read through the door. `make` is called again for every try.
pub(crate) async fn call<T, E, Made, Answer>(site: &Site, op: &'static str, make: Made) -> Result<T, CloudError>
where
    Made: FnMut() -> Answer + Send,
    Answer: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    T: Send,
{
    paid(site, op, Price::Free, make).await
}

/// A read that costs money.
pub(crate) async fn paid<T, E, Made, Answer>(
    site: &Site,
    op: &'static str,
    price: Price,
    mut make: Made,
) -> Result<T, CloudError>
where
    Made: FnMut() -> Answer + Send,
    Answer: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    T: Send,
{
    site.paid(op, price, move || {
        let answer = make();
        async move { Box::pin(answer).await.map_err(|error| of(op, &error)) }
    })
    .await
}

/// A read whose "not found" is an answer: `None`.
pub(crate) async fn maybe<T, E, Made, Answer>(
    site: &Site,
    op: &'static str,
    make: Made,
) -> Result<Option<T>, CloudError>
where
    Made: FnMut() -> Answer + Send,
    Answer: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    T: Send,
{
    match call(site, op, make).await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.fault == Fault::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_before_statuses() {
        assert_eq!(meaning("RequestLimitExceeded", 503), Fault::Throttled);
        assert_eq!(meaning("UnauthorizedOperation", 403), Fault::Denied);
        assert_eq!(meaning("InvalidVolume.NotFound", 400), Fault::NotFound);
        assert_eq!(meaning("RepositoryPolicyNotFoundException", 400), Fault::NotFound);
        assert_eq!(meaning("ExpiredToken", 403), Fault::Unauthenticated);
        assert_eq!(meaning("", 502), Fault::Transient);
        assert_eq!(meaning("ValidationError", 400), Fault::Refused);
    }

    #[test]
    fn no_code_has_two_meanings() {
        let mut seen = std::collections::BTreeSet::new();
        for code in CODES.iter().flat_map(|(_, codes)| *codes) {
            assert!(seen.insert(code), "{code}");
        }
    }
}
