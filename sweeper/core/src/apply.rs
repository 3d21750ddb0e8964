//! Does what was approved, and can only do less.
//!
//! ```text
//! lease -> open claims of an earlier run, resolved by reading
//! waves of 1, 5, 25, the rest; before each: kill switch, a fresh look with today's policies
//! an action: still so? -> room under every cap -> claim -> intent, durable -> read again and compare
//!            -> copy kept and verified -> sent, durable -> the call, once -> watched to its end -> outcome, durable
//! ```
//!
//! Nothing is sent before its intent is durable, and nothing follows before its outcome is. After a crash the claim
//! and the world say what happened; nothing is sent again blindly. Whatever cannot be read stops the action or the run.

pub mod copies;
mod item;
mod recover;
mod run;
mod still;
#[cfg(any(test, feature = "conformance"))]
pub mod testing;
pub mod undo;

pub use still::Look;

use crate::{
    approve::{Approved, Trust},
    audit::{self, LogError, Millis, OutcomeResult, Trail},
    calls::Calls,
    caps::{self, Caps},
    clock::Clock,
    deed::{Kept, Target},
    exit::Exit,
    kind::Kind,
    lease::Holder,
    model::Timestamp,
    report::Cause,
    store::Store,
};
use async_trait::async_trait;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Looks at the world again.
#[async_trait]
pub trait World: Send + Sync {
    /// Surveys what the policies need and judges it by the policies, exceptions and protections of this moment.
    async fn look(&self) -> Result<Look, String>;

    /// Whether somebody has pulled the switch beside the state's own: a file, an environment. Why, if so. What cannot
    /// be read is pulled.
    fn switch(&self) -> Option<String>;

    /// Whether it is the wrong time for a deed in an account (a freeze, a night), and why.
    fn closed(&self, target: &Target, now: Timestamp) -> Option<String>;
}

/// The key of the state's own kill switch: whatever its value, nothing is done while it is there.
pub const SWITCH: &str = "switch/kill";

/// How deeds are spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Sizes of the waves; what is left after the last is one more.
    pub waves: Vec<usize>,
    /// How long a wave is left alone before its results are looked at.
    pub soak: Duration,
    /// A look older than this is taken again.
    pub look_age: Duration,
    /// Copies that are under way at once.
    pub copies: usize,
    /// Deeds a minute and account.
    pub rate: u32,
    /// How long a call may take, and what lies between asking the lease and the call.
    pub call: Duration,
    /// Between two readings of how far a deed is; doubles up to eight times.
    pub poll: Duration,
    /// How long a deed is watched. What has not ended by then is unknown.
    pub watch: Duration,
    /// The same for a copy, which may be large.
    pub watch_copy: Duration,
    /// At this time of the clock's `mono()` no further action begins.
    pub deadline: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            waves: vec![1, 5, 25],
            soak: Duration::from_secs(30),
            look_age: Duration::from_mins(10),
            copies: 25,
            rate: 10,
            call: Duration::from_secs(35),
            poll: Duration::from_secs(2),
            watch: Duration::from_mins(10),
            watch_copy: Duration::from_hours(2),
            deadline: None,
        }
    }
}

/// What applying works with.
pub struct Parts<'a> {
    pub store: &'a dyn Store,
    /// Opens the log for an epoch of the lock.
    pub trail: &'a OpenTrail,
    pub world: &'a dyn World,
    pub calls: &'a Calls,
    pub kinds: BTreeMap<&'static str, Arc<dyn Kind>>,
    pub trust: &'a Trust,
    pub pace: Pace,
    /// Caps of the deployment; the trust roots' ceiling holds besides.
    pub caps: Caps,
    pub holder: Holder,
    pub deployment: String,
    /// `sweeper 0.1.0`.
    pub tool: String,
    pub lease: Duration,
    /// It is known by other means that no other holder of the lock is alive: from a lock of the file system.
    pub alone: bool,
}

impl Parts<'_> {
    fn clock(&self) -> &Arc<dyn Clock> {
        self.calls.clock()
    }

    /// The caps of the deployment, under the trust roots' ceiling.
    fn most(&self) -> Caps {
        self.trust.ceiling.map_or(self.caps, |ceiling| caps::lowest(&[ceiling, self.caps]))
    }

    /// Whether this deployment may change anything now.
    fn trusted(&self) -> Result<(), Stop> {
        if !self.trust.may_apply {
            let why = "this deployment may not change anything: `[apply] enabled = true` in its config";
            return Err(Stop::Refused(why.to_owned()));
        }
        match self.trust.cooling(self.clock().wall()) {
            Some(until) => Err(Stop::Refused(format!("the trust roots changed: everything is held until {until}"))),
            None => Ok(()),
        }
    }
}

/// Opens the log for an epoch of the lock: only its holder writes.
pub type OpenTrail = dyn Fn(u64) -> Result<Trail, LogError> + Send + Sync;

/// How one action ended, or did not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Seen to be done.
    Done { request: String, kept: Option<Kept> },
    /// It was not there any more; not our doing.
    AlreadyGone,
    /// Deliberately not done, and why: the field that changed.
    Skipped(String),
    /// The cloud refused, in its words.
    Failed(String),
    /// Sent, and what became of it could not be seen.
    Unknown(String),
    /// Not begun, or not to its sending: a later run of the same plan may do it.
    Left(String),
}

impl Ended {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::AlreadyGone => "already gone",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
            Self::Unknown(_) => "unknown",
            Self::Left(_) => "left",
        }
    }
}

/// As the log has it.
impl From<&Ended> for OutcomeResult {
    fn from(ended: &Ended) -> Self {
        match ended {
            Ended::Done { .. } => Self::Confirmed,
            Ended::AlreadyGone => Self::AlreadyGone,
            Ended::Failed(error) => Self::Failed { error: error.clone() },
            Ended::Unknown(reason) => Self::Unknown { reason: reason.clone() },
            Ended::Skipped(reason) | Ended::Left(reason) => {
                Self::Skipped { field: changed_field(reason), reason: reason.clone() }
            }
        }
    }
}

/// The field that a reason says has changed: `state` of `changed: state was available, is attached`.
fn changed_field(reason: &str) -> Option<String> {
    reason.strip_prefix("changed: ").and_then(|rest| rest.split(' ').next()).map(str::to_owned)
}

/// Why a run ended before its end. Each carries the words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody else holds the lock, or took it.
    Locked(String),
    /// State or log cannot be trusted or written.
    Damaged(String),
    /// A rule of safety: kill switch, trust, a plan that is not good any more, something unexpected.
    Refused(String),
    /// Out of time: what is left can be resumed.
    OutOfTime,
    /// Somebody stopped the run.
    Cancelled,
}

impl Stop {
    fn cause(&self) -> Option<Cause> {
        match self {
            Self::Locked(why) => Some(Exit::Locked.cause(why)),
            Self::Damaged(why) => Some(Exit::Damaged.cause(why)),
            Self::Refused(why) => Some(Exit::Refused.cause(why)),
            Self::OutOfTime | Self::Cancelled => None,
        }
    }

    pub fn why(&self) -> &str {
        match self {
            Self::Locked(why) | Self::Damaged(why) | Self::Refused(why) => why,
            Self::OutOfTime => "out of time: the same plan goes on where it stopped",
            Self::Cancelled => "stopped",
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// By the action's number; every action of the plan is in it.
    pub ended: BTreeMap<u32, Ended>,
    pub stopped: Option<Stop>,
    /// Caps that were reached.
    pub capped: Vec<String>,
}

impl Applied {
    /// Every cause of the exit code.
    pub fn causes(&self) -> Vec<Cause> {
        let said = "actions failed, or are not known to have ended";
        causes(self.stopped.as_ref(), &self.capped, self.ended.values(), said)
    }

    pub fn done(&self) -> usize {
        self.ended.values().filter(|ended| matches!(ended, Ended::Done { .. })).count()
    }
}

/// Every cause of the exit code of a run.
fn causes<'e>(
    stopped: Option<&Stop>,
    capped: &[String],
    ended: impl Iterator<Item = &'e Ended>,
    said: &str,
) -> Vec<Cause> {
    let mut causes: Vec<Cause> = stopped.into_iter().filter_map(Stop::cause).collect();
    causes.extend(capped.iter().map(|cap| Exit::Refused.cause(cap)));
    let failed = ended.filter(|ended| matches!(ended, Ended::Failed(_) | Ended::Unknown(_))).count();
    if failed > 0 {
        causes.push(Exit::ActionsFailed.cause(format!("{failed} {said}")));
    }
    causes
}

/// Applies an approved plan. Never fails: what went wrong is in what it came to.
pub async fn apply(approved: &Approved, parts: Parts<'_>) -> Applied {
    run::Run::new(approved, parts).whole().await
}

/// A resource as the log names it.
pub(crate) fn identity(target: &Target) -> audit::Identity {
    audit::Identity {
        kind: target.kind.clone(),
        cloud: target.cloud,
        account: target.account.clone(),
        region: target.region.clone(),
        native_id: target.native_id.clone(),
        uid: target.uid.clone(),
        name: Some(target.name.clone()).filter(|name| !name.is_empty()),
        created: target.created,
    }
}

/// A time of day as the log has it.
pub(crate) fn millis(at: Timestamp) -> Millis {
    Millis(at.0.saturating_mul(1000))
}

/// The idempotency token of one deed of one action: a name-based UUID (RFC 9562, version 8 over SHA-256), so that
/// every try of it in every run is the same request.
pub fn token(plan: &str, no: u32, deed: &str) -> String {
    let digest = crate::plan::sha256(format!("sweeper\n{plan}\n{no}\n{deed}").as_bytes());
    let mut digits: Vec<char> = digest.chars().take(32).collect();
    digits[12] = '8';
    digits[16] = match digits[16].to_digit(16).unwrap_or(0) & 3 {
        0 => '8',
        1 => '9',
        2 => 'a',
        _ => 'b',
    };
    let text: String = digits.into_iter().collect();
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}
