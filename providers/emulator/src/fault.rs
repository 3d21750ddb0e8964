//! Scripted faults: which calls go wrong, and how.

use serde::{Deserialize, Serialize};

use crate::http::WireError;
use crate::org::line_of;
use crate::request::{Protocol, Request};

/// A fault: the calls it matches and what happens to them. Unset fields match everything; a value
/// may end in "*".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Fault {
    /// The calling account.
    pub account: Option<String>,
    /// The region of the call.
    pub region: Option<String>,
    /// The service, as in the journal.
    pub service: Option<String>,
    /// The operation.
    pub action: Option<String>,
    /// The IAM action that the call needs.
    pub permission: Option<String>,
    /// How many matching calls go through before the fault begins.
    pub after: u32,
    /// How many calls the fault hits; without a number it never ends.
    pub times: Option<u32>,
    /// What happens.
    pub kind: FaultKind,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The service's throttling error.
    Throttle,
    /// The service's access-denied error.
    Denied,
    /// The service's internal error.
    Error500,
    /// The true answer, late.
    Slow {
        /// How late, in milliseconds.
        ms: u64,
    },
    /// The connection closes after half of the body.
    Cut,
    /// The true answer's first half, as a complete HTTP response.
    Malformed,
    /// A proxy's HTML page with status 200.
    Html,
    /// The first page again and again, each time with the same token.
    RepeatToken,
    /// The credentials' token has expired.
    ExpiredToken,
    /// Success with nothing in it.
    EmptyOk,
    /// The credentials' token is one of another tenant (Azure); an expired one elsewhere.
    WrongTenant,
    /// The next page is said to be on a host that is none of the cloud's (Azure, whose links are URLs).
    ForeignLink,
    /// The place that `region` names cannot be reached: lists say so and leave out what is there (GCP, whose lists
    /// are of many places). The call itself is not struck.
    Unreachable,
    /// The same, said by a warning inside of the place's own list where a service has such (GCP's Compute).
    ScopeWarning,
}

impl Fault {
    /// A fault that hits every call.
    pub fn new(kind: FaultKind) -> Fault {
        Fault {
            account: None,
            region: None,
            service: None,
            action: None,
            permission: None,
            after: 0,
            times: None,
            kind,
        }
    }
}

impl FaultKind {
    fn name(self) -> &'static str {
        match self {
            FaultKind::Throttle => "throttle",
            FaultKind::Denied => "denied",
            FaultKind::Error500 => "error500",
            FaultKind::Slow { .. } => "slow",
            FaultKind::Cut => "cut",
            FaultKind::Malformed => "malformed",
            FaultKind::Html => "html",
            FaultKind::RepeatToken => "repeat-token",
            FaultKind::ExpiredToken => "expired-token",
            FaultKind::EmptyOk => "empty-ok",
            FaultKind::WrongTenant => "wrong-tenant",
            FaultKind::ForeignLink => "foreign-link",
            FaultKind::Unreachable => "unreachable",
            FaultKind::ScopeWarning => "scope-warning",
        }
    }
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A fault as files spell it: `kind = "slow"` with `ms = 500` beside it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    permission: Option<String>,
    #[serde(default)]
    after: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ms: Option<u64>,
}

impl TryFrom<Written> for Fault {
    type Error = String;

    fn try_from(written: Written) -> Result<Fault, String> {
        let kind = match (written.kind.as_str(), written.ms) {
            ("slow", ms) => FaultKind::Slow { ms: ms.ok_or("kind \"slow\" takes ms, a number of milliseconds")? },
            (other, Some(_)) => return Err(format!("kind {other:?} takes no ms")),
            ("throttle", None) => FaultKind::Throttle,
            ("denied", None) => FaultKind::Denied,
            ("error500", None) => FaultKind::Error500,
            ("cut", None) => FaultKind::Cut,
            ("malformed", None) => FaultKind::Malformed,
            ("html", None) => FaultKind::Html,
            ("repeat-token", None) => FaultKind::RepeatToken,
            ("expired-token", None) => FaultKind::ExpiredToken,
            ("empty-ok", None) => FaultKind::EmptyOk,
            ("wrong-tenant", None) => FaultKind::WrongTenant,
            ("foreign-link", None) => FaultKind::ForeignLink,
            ("unreachable" | "scope-warning", None) if written.region.is_none() => {
                return Err(format!("kind {:?} takes a region, the place that is not reached", written.kind));
            }
            ("unreachable", None) => FaultKind::Unreachable,
            ("scope-warning", None) => FaultKind::ScopeWarning,
            (other, None) => {
                return Err(format!(
                    "kind {other:?} is none of throttle, denied, error500, slow, cut, malformed, html, repeat-token, expired-token, empty-ok, wrong-tenant, foreign-link, unreachable, scope-warning"
                ));
            }
        };
        Ok(Fault {
            account: written.account,
            region: written.region,
            service: written.service,
            action: written.action,
            permission: written.permission,
            after: written.after,
            times: written.times,
            kind,
        })
    }
}

impl From<Fault> for Written {
    fn from(fault: Fault) -> Written {
        Written {
            account: fault.account,
            region: fault.region,
            service: fault.service,
            action: fault.action,
            permission: fault.permission,
            after: fault.after,
            times: fault.times,
            kind: fault.kind.name().to_owned(),
            ms: match fault.kind {
                FaultKind::Slow { ms } => Some(ms),
                _ => None,
            },
        }
    }
}

/// Why a faults file was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultError {
    /// The line, counted from one; zero when the mistake has no line.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for FaultError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for FaultError {}

/// Reads a faults file: TOML, one `[[fault]]` each, in the order in which they are tried.
pub fn parse_faults(text: &str) -> Result<Vec<Fault>, FaultError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        fault: Vec<Fault>,
    }
    toml::from_str(text).map(|file: File| file.fault).map_err(|error| FaultError {
        line: error.span().map_or(0, |span| line_of(text, span.start)),
        message: error.message().to_owned(),
    })
}

/// A fault with its counters.
pub(crate) struct Armed {
    fault: Fault,
    passed: u32,
    fired: u32,
}

impl Armed {
    pub(crate) fn new(fault: Fault) -> Armed {
        Armed { fault, passed: 0, fired: 0 }
    }
}

/// What a fault is matched with.
pub(crate) struct Target<'a> {
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) action: &'a str,
    pub(crate) permission: &'a str,
}

/// A right that the caller has been denied, for answers that depend on more than their own call's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    account: Option<String>,
    /// The permission, which may end in "*".
    pub(crate) permission: String,
}

impl Denial {
    /// Whether it is one of an account's.
    pub(crate) fn of(&self, account: &str) -> bool {
        matches(self.account.as_deref(), account)
    }

    /// Whether it takes a permission in an account away.
    pub(crate) fn takes(&self, account: &str, permission: &str) -> bool {
        self.of(account) && matches(Some(&self.permission), permission)
    }
}

/// The permissions that standing faults deny: those that name one, and neither service nor action.
pub(crate) fn denials(faults: &[Armed]) -> Vec<Denial> {
    faults
        .iter()
        .filter(|armed| armed.passed >= armed.fault.after && armed.fault.times.is_none_or(|times| armed.fired < times))
        .map(|armed| &armed.fault)
        .filter(|fault| fault.kind == FaultKind::Denied && fault.service.is_none() && fault.action.is_none())
        .filter_map(|fault| Some(Denial { account: fault.account.clone(), permission: fault.permission.clone()? }))
        .collect()
}

/// The places that a call's answer is to leave out, of the faults of a kind that says so.
pub(crate) fn places(faults: &[Armed], kind: FaultKind, call: &Target<'_>) -> Vec<String> {
    faults
        .iter()
        .map(|armed| &armed.fault)
        .filter(|fault| fault.kind == kind && fits(fault, call))
        .filter_map(|fault| fault.region.clone())
        .collect()
}

/// Whether a fault is one of a call's, wherever the call is.
fn fits(fault: &Fault, call: &Target<'_>) -> bool {
    matches(fault.account.as_deref(), call.account)
        && matches(fault.service.as_deref(), call.service)
        && matches(fault.action.as_deref(), call.action)
        && matches(fault.permission.as_deref(), call.permission)
}

/// What the faults do to a call: the delay of those that only delay, and the first other one.
pub(crate) fn strike(faults: &mut [Armed], call: &Target<'_>) -> (u64, Option<FaultKind>) {
    let mut delay = 0_u64;
    for armed in faults {
        let fault = &armed.fault;
        let of_places = matches!(fault.kind, FaultKind::Unreachable | FaultKind::ScopeWarning);
        let hit = !of_places && matches(fault.region.as_deref(), call.region) && fits(fault, call);
        if !hit || fault.times.is_some_and(|times| armed.fired >= times) {
            continue;
        }
        if armed.passed < fault.after {
            armed.passed += 1;
            continue;
        }
        armed.fired = armed.fired.saturating_add(1);
        match fault.kind {
            FaultKind::Slow { ms } => delay = delay.saturating_add(ms),
            kind => return (delay, Some(kind)),
        }
    }
    (delay, None)
}

fn matches(pattern: Option<&str>, value: &str) -> bool {
    match pattern {
        None => true,
        Some(pattern) => match pattern.strip_suffix('*') {
            Some(start) => value.starts_with(start),
            None => pattern == value,
        },
    }
}

/// The error that a service answers instead, for the kinds that are errors.
pub(crate) fn error(kind: FaultKind, request: &Request) -> Option<WireError> {
    let protocol = request.protocol;
    Some(match kind {
        FaultKind::Throttle => match protocol {
            Protocol::Ec2 => WireError::new(503, "RequestLimitExceeded", "Request limit exceeded."),
            Protocol::Query => WireError::new(400, "Throttling", "Rate exceeded"),
            Protocol::RestXml => WireError::new(503, "SlowDown", "Please reduce your request rate."),
            Protocol::RestJson => WireError::new(429, "TooManyRequestsException", "Rate exceeded"),
            Protocol::Json(_) | Protocol::Cbor => WireError::new(400, "ThrottlingException", "Rate exceeded"),
        },
        FaultKind::Denied => denied(request),
        FaultKind::Error500 => {
            let code = match protocol {
                Protocol::Ec2 | Protocol::RestXml => "InternalError",
                Protocol::Query | Protocol::Cbor => "InternalFailure",
                Protocol::Json(_) => "InternalServerError",
                Protocol::RestJson => "ServiceException",
            };
            WireError::new(500, code, "An internal error has occurred")
        }
        FaultKind::ExpiredToken | FaultKind::WrongTenant => {
            let (status, code) = match protocol {
                Protocol::Ec2 => (400, "RequestExpired"),
                Protocol::RestXml => (400, "ExpiredToken"),
                Protocol::Query | Protocol::Cbor => (403, "ExpiredToken"),
                Protocol::Json(_) => (400, "ExpiredTokenException"),
                Protocol::RestJson => (403, "ExpiredTokenException"),
            };
            WireError::new(status, code, "The security token included in the request is expired")
        }
        FaultKind::Slow { .. }
        | FaultKind::Cut
        | FaultKind::Malformed
        | FaultKind::Html
        | FaultKind::RepeatToken
        | FaultKind::ForeignLink
        | FaultKind::Unreachable
        | FaultKind::ScopeWarning
        | FaultKind::EmptyOk => return None,
    })
}

/// The error of a caller that lacks the call's permission.
pub(crate) fn denied(request: &Request) -> WireError {
    let who = if request.temporary {
        format!("arn:aws:sts::{}:assumed-role/sweeper/sweeper", request.account)
    } else {
        format!("arn:aws:iam::{}:user/sweeper", request.account)
    };
    let message = format!(
        "User: {who} is not authorized to perform: {} because no identity-based policy allows the {} action",
        request.permission, request.permission
    );
    match request.protocol {
        Protocol::Ec2 => WireError::new(
            403,
            "UnauthorizedOperation",
            format!("You are not authorized to perform this operation. {message}"),
        ),
        Protocol::Query | Protocol::RestXml | Protocol::Cbor => WireError::new(403, "AccessDenied", message),
        Protocol::Json(_) => WireError::new(400, "AccessDeniedException", message),
        Protocol::RestJson => WireError::new(403, "AccessDeniedException", message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faults_file() {
        let faults = parse_faults(
            "[[fault]]\nkind = \"slow\"\nms = 5\n[[fault]]\nservice = \"ec2\"\nkind = \"throttle\"\ntimes = 2\n",
        )
        .unwrap();
        assert_eq!(faults[0].kind, FaultKind::Slow { ms: 5 });
        assert_eq!(faults[1].times, Some(2));
        let json = serde_json::to_string(&faults).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Fault>>(&json).unwrap(), faults);
        assert!(parse_faults("[[fault]]\nkind = \"slow\"\n").is_err());
        assert!(parse_faults("[[fault]]\nkind = \"sulk\"\n").is_err());
        assert_eq!(parse_faults("[[fault]]\nkind = \"cut\"\nwhen = 1\n").unwrap_err().line, 3);
    }
}
