//! Azure's errors by meaning: the one table.

use crate::transport::Trouble;
use serde::Deserialize;
use sweeper_core::kind::{CloudError, Fault};

/// Codes by meaning, lower case. Sources: "Common error codes" of Resource Manager, Resource Graph, Blob storage
/// and the registry's API, and "Throttling Resource Manager requests".
const CODES: &[(Fault, &[&str])] = &[
    (
        Fault::Throttled,
        &[
            "toomanyrequests",
            "ratelimiting",
            "subscriptionrequeststhrottled",
            "resourcerequeststhrottled",
            "resourcecollectionrequeststhrottled",
            "tenantrequeststhrottled",
            "serverbusy",
            "clienterrorthrottled",
        ],
    ),
    (
        Fault::Denied,
        &[
            "authorizationfailed",
            "linkedauthorizationfailed",
            "authorizationpermissionmismatch",
            "authorizationfailure",
            "accessdenied",
            "accountisdisabled",
            "insufficientaccountpermissions",
            "forbidden",
            "denied",
            "requestdisallowedbypolicy",
        ],
    ),
    (
        Fault::Unauthenticated,
        &[
            "expiredauthenticationtoken",
            "invalidauthenticationtoken",
            "invalidauthenticationtokentenant",
            "invalidauthenticationtokenaudience",
            "authenticationfailed",
            "authenticationfailedmissingtoken",
            "authenticationfailedinvalidheader",
            "invalidauthenticationinfo",
            "noauthenticationinformation",
            "unauthorized",
        ],
    ),
    (Fault::NotOffered, &["missingsubscriptionregistration", "subscriptionnotregistered"]),
    (
        Fault::Transient,
        &[
            "internalservererror",
            "internalerror",
            "internaloperationerror",
            "serviceunavailable",
            "servertimeout",
            "servertimedout",
            "gatewaytimeout",
            "operationtimedout",
            "retryableerror",
            "badgatewayconnection",
        ],
    ),
];

/// What an error says, in the shapes that Azure's services have.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    /// Resource Manager, Graph, Monitor.
    error: Option<Said>,
    /// The registry's API.
    errors: Option<Vec<Said>>,
    #[serde(alias = "Code")]
    code: Option<String>,
    #[serde(alias = "Message")]
    message: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Said {
    code: Option<String>,
    message: Option<String>,
    details: Option<Vec<Said>>,
}

/// Code and message of an error's body; empty where it has none.
fn told(body: &[u8]) -> (String, String) {
    if let Ok(body) =
        serde_json::from_slice::<Body>(body.trim_ascii_start().strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
    {
        let first = body.error.or_else(|| body.errors?.into_iter().next());
        let mut code = first.as_ref().and_then(|said| said.code.clone()).or(body.code).unwrap_or_default();
        let message = first.as_ref().and_then(|said| said.message.clone()).or(body.message).unwrap_or_default();
        // Some services wrap the error that matters.
        let inner = first.and_then(|said| said.details).unwrap_or_default().into_iter().find_map(|said| said.code);
        if let Some(inner) = inner
            && CODES.iter().any(|(_, codes)| codes.contains(&inner.to_ascii_lowercase().as_str()))
            && !CODES.iter().any(|(_, codes)| codes.contains(&code.to_ascii_lowercase().as_str()))
        {
            code = inner;
        }
        return (code, message);
    }
    // Blob storage: <Error><Code>…</Code><Message>…</Message></Error>
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
    let element = |name: &str| {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let rest = &text[text.find(&open)? + open.len()..];
        Some(rest[..rest.find(&close)?].to_owned())
    };
    (element("Code").unwrap_or_default(), element("Message").unwrap_or_default())
}

/// What a status, a code and a message mean.
fn meaning(status: u16, code: &str, message: &str) -> Fault {
    // Compute says `OperationNotAllowed`, others say nothing: the status decides.
    if status == 429 {
        return Fault::Throttled;
    }
    let code = code.to_ascii_lowercase();
    if code == "noregisteredproviderfound" {
        // Also said of an API version that this cloud does not have: then the type is there.
        return if message.contains("supported api-versions are '") { Fault::Refused } else { Fault::NotOffered };
    }
    if let Some((fault, _)) = CODES.iter().find(|(_, codes)| codes.contains(&code.as_str())) {
        return *fault;
    }
    if code.ends_with("notfound") {
        return Fault::NotFound;
    }
    match status {
        401 => Fault::Unauthenticated,
        403 => Fault::Denied,
        404 => Fault::NotFound,
        408 | 500.. => Fault::Transient,
        _ => Fault::Refused,
    }
}

/// The error in the core's words.
pub(crate) fn of(op: &'static str, trouble: &Trouble) -> CloudError {
    match trouble {
        Trouble::Failed(fault, said) => CloudError::new(*fault, op, said.clone()),
        Trouble::Answered { status, body, html, wait_ms } => {
            let (code, message) = told(body);
            let mut fault = meaning(*status, &code, &message);
            let mut text = match (html, code.is_empty()) {
                (true, _) => format!("answered HTML, HTTP {status}"),
                (false, true) => format!("HTTP {status}"),
                (false, false) => format!("{code}: {message}"),
            };
            if *html && !fault.worth_retrying() {
                // A proxy's page, or a sign-in's: not of the service.
                fault = Fault::Malformed;
            }
            if code.eq_ignore_ascii_case("InvalidAuthenticationTokenTenant") {
                text = format!("the token is of another tenant than the subscription: {message}");
            }
            let text = text.chars().filter(|letter| !letter.is_control()).take(400).collect::<String>();
            CloudError { retry_after_ms: *wait_ms, ..CloudError::new(fault, op, text) }
        }
    }
}

/// As [`of`], of a change. Whatever leaves open whether it happened is [`Fault::Transient`], and nothing else is: an
/// answer that cannot be read may be the answer to a change that happened.
pub(crate) fn of_change(op: &'static str, trouble: &Trouble) -> CloudError {
    let error = of(op, trouble);
    if error.fault == Fault::Malformed { CloudError { fault: Fault::Transient, ..error } } else { error }
}

/// Codes with which a resource is said not to be there. That a subscription is not says nothing of what is in it.
const GONE: &[&str] = &[
    "resourcenotfound",
    "resourcegroupnotfound",
    "parentresourcenotfound",
    "notfound",
    "manifest_unknown",
    "name_unknown",
];

/// Whether an error says that the thing asked about, and not something on the way to it, is not there.
pub(crate) fn is_gone(error: &CloudError) -> bool {
    let code = error.message.split(':').next().unwrap_or_default().to_ascii_lowercase();
    error.fault == Fault::NotFound && GONE.contains(&code.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_thing_itself_is_gone() {
        for (status, body, gone) in [
            (404, r#"{"error":{"code":"ResourceNotFound","message":"no"}}"#, true),
            (404, r#"{"error":{"code":"ResourceGroupNotFound","message":"no"}}"#, true),
            (404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no"}]}"#, true),
            (404, r#"{"error":{"code":"SubscriptionNotFound","message":"no"}}"#, false),
            (404, r#"{"error":{"code":"InvalidResourceType","message":"no"}}"#, false),
            (404, "", false),
            (404, "<html>not found</html>", false),
            (403, r#"{"error":{"code":"AuthorizationFailed","message":"no"}}"#, false),
        ] {
            assert_eq!(is_gone(&answered(status, body)), gone, "{status} {body}");
        }
    }

    #[test]
    fn a_change_whose_answer_is_unreadable_may_have_happened() {
        let op = "Microsoft.Compute/disks/delete";
        for (trouble, fault) in [
            (Trouble::Failed(Fault::Malformed, "answered HTML".to_owned()), Fault::Transient),
            (Trouble::Failed(Fault::Transient, "cut".to_owned()), Fault::Transient),
            (Trouble::Failed(Fault::Unreachable, "refused".to_owned()), Fault::Unreachable),
            (Trouble::Answered { status: 502, body: "<html>".into(), html: true, wait_ms: None }, Fault::Transient),
            (Trouble::Answered { status: 403, body: "<html>".into(), html: true, wait_ms: None }, Fault::Transient),
            (
                Trouble::Answered {
                    status: 409,
                    body: r#"{"error":{"code":"ScopeLocked"}}"#.into(),
                    html: false,
                    wait_ms: None,
                },
                Fault::Refused,
            ),
        ] {
            assert_eq!(of_change(op, &trouble).fault, fault, "{trouble:?}");
        }
    }

    fn answered(status: u16, body: &'static str) -> CloudError {
        let html = body.starts_with("<html");
        of("Microsoft.Compute/disks/read", &Trouble::Answered { status, body: body.into(), html, wait_ms: Some(5) })
    }

    #[test]
    fn codes_before_statuses() {
        for (status, body, fault) in [
            (429, r#"{"error":{"code":"OperationNotAllowed","message":"slow"}}"#, Fault::Throttled),
            (403, r#"{"error":{"code":"AuthorizationFailed","message":"no"}}"#, Fault::Denied),
            (401, r#"{"error":{"code":"ExpiredAuthenticationToken","message":"old"}}"#, Fault::Unauthenticated),
            (404, r#"{"error":{"code":"SubscriptionNotFound","message":"gone"}}"#, Fault::NotFound),
            (409, r#"{"error":{"code":"MissingSubscriptionRegistration","message":"no"}}"#, Fault::NotOffered),
            (400, r#"{"error":{"code":"NoRegisteredProviderFound","message":"none"}}"#, Fault::NotOffered),
            (
                400,
                r#"{"error":{"code":"NoRegisteredProviderFound","message":"The supported api-versions are '2019-01-01'."}}"#,
                Fault::Refused,
            ),
            (409, r#"{"error":{"code":"ReadOnlyDisabledSubscription","message":"no"}}"#, Fault::Refused),
            (503, r#"{"error":{"code":"Whatever","message":"no"}}"#, Fault::Transient),
            (
                400,
                r#"{"error":{"code":"BadRequest","message":"x","details":[{"code":"RateLimiting"}]}}"#,
                Fault::Throttled,
            ),
            (401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}"#, Fault::Unauthenticated),
            (403, "<?xml version='1.0'?><Error><Code>AuthorizationPermissionMismatch</Code></Error>", Fault::Denied),
            (403, "", Fault::Denied),
            (403, "<html>sign in</html>", Fault::Malformed),
            (502, "<html>bad gateway</html>", Fault::Transient),
            (400, "{}", Fault::Refused),
        ] {
            let error = answered(status, body);
            assert_eq!(error.fault, fault, "{status} {body}");
            assert_eq!(error.retry_after_ms, Some(5));
        }
    }

    #[test]
    fn the_wrong_tenant_is_said() {
        let body = r#"{"error":{"code":"InvalidAuthenticationTokenTenant","message":"The access token is from the wrong issuer"}}"#;
        let error = answered(401, body);
        assert_eq!(error.fault, Fault::Unauthenticated);
        assert!(error.message.contains("another tenant"), "{error}");
    }

    #[test]
    fn no_code_has_two_meanings() {
        let mut seen = std::collections::BTreeSet::new();
        for code in CODES.iter().flat_map(|(_, codes)| *codes) {
            assert_eq!(*code, code.to_ascii_lowercase());
            assert!(seen.insert(code), "{code}");
        }
    }
}
