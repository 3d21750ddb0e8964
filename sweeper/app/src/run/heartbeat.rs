//! Heartbeats of ephemeral environments over HTTP: `POST /v1/leases/<id>/heartbeat`, and `DELETE /v1/leases/<id>` to
//! release a lease.
//!
//! Whoever asks shows the lease's token as `Authorization: Bearer …`. A lease that is not there, a token that is
//! another's and a token that is none are answered alike, after the same steps. Whoever was never right shares one small
//! allowance, so that guessing is slow and keeps nobody out who was right before. Bodies are read to their bound and
//! not looked at; what waits for the state is bounded in number and time.

use crate::{
    commands::lease::event,
    config::Config,
    exit::Failure,
    log,
    recording::Recorder,
    state::{self, Place},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Body,
    header::{self, HeaderMap, HeaderValue},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use sweeper_core::{
    audit::Event,
    clock::{Clock, SystemClock},
    environment::{self, By, Environment, EnvironmentError, Proof},
    model::Timestamp,
    store::Store,
    ttl,
};
use tokio::{sync::Semaphore, time::timeout};

/// Below which it answers.
pub const PATH: &str = "/v1/leases";
/// The longest body, bytes.
const BODY: usize = 4096;
/// How long a body may take, and how long the state is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many wait for the state at once.
const AT_ONCE: usize = 8;
/// Whoever was right before, at most; the one who was right longest ago is forgotten first.
const KNOWN: usize = 4096;
/// What whoever was never right may ask, together: at once, and a second.
const STRANGERS: Allowance = Allowance { burst: 40, a_second: 10 };
/// What each may ask who was right before.
const EACH: Allowance = Allowance { burst: 10, a_second: 2 };

/// So many at once, and then so many a second.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    burst: u32,
    a_second: u32,
}

/// What is left of an allowance.
#[derive(Clone, Copy, Debug)]
struct Left {
    at: Duration,
    /// Thousandths of a request.
    milli: u64,
}

impl Left {
    fn new(of: Allowance, at: Duration) -> Self {
        Self { at, milli: u64::from(of.burst) * 1000 }
    }

    /// Whether one more may ask now.
    fn take(&mut self, of: Allowance, now: Duration) -> bool {
        let passed = now.saturating_sub(self.at).as_millis();
        let gained = u64::try_from(passed).unwrap_or(u64::MAX).saturating_mul(u64::from(of.a_second));
        self.milli = self.milli.saturating_add(gained).min(u64::from(of.burst) * 1000);
        self.at = now;
        let allowed = self.milli >= 1000;
        self.milli -= if allowed { 1000 } else { 0 };
        allowed
    }
}

/// Who asked how much.
struct Asked {
    strangers: Left,
    /// By the SHA-256 of lease and token.
    known: BTreeMap<[u8; 32], Left>,
}

impl Asked {
    fn may(&mut self, who: &[u8; 32], now: Duration) -> bool {
        match self.known.get_mut(who) {
            Some(left) => left.take(EACH, now),
            None => self.strangers.take(STRANGERS, now),
        }
    }

    fn was_right(&mut self, who: [u8; 32], now: Duration) {
        if self.known.contains_key(&who) {
            return;
        }
        if self.known.len() >= KNOWN
            && let Some(oldest) = self.known.iter().min_by_key(|(_, left)| left.at).map(|(who, _)| *who)
        {
            self.known.remove(&oldest);
        }
        self.known.insert(who, Left::new(EACH, now));
    }
}

/// What the log is told, where one is kept.
type Record = dyn Fn(Event) + Send + Sync;

/// Answers heartbeats and releases of the leases in a state.
pub struct Heartbeats {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    record: Arc<Record>,
    room: Arc<Semaphore>,
    asked: Mutex<Asked>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Beat,
    Release,
}

impl Heartbeats {
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, record: Arc<Record>) -> Self {
        let strangers = Left::new(STRANGERS, clock.mono());
        Self {
            store,
            clock,
            record,
            room: Arc::new(Semaphore::new(AT_ONCE)),
            asked: Mutex::new(Asked { strangers, known: BTreeMap::new() }),
        }
    }

    /// Of a deployment's state; `None` where it has none that lasts.
    pub fn of(named: Option<&str>, config: &Config) -> Result<Option<Self>, Failure> {
        let Some(place) = state::place(named, config)?.filter(|place| *place != Place::Memory) else {
            return Ok(None);
        };
        let store = state::open(&place).map_err(|error| crate::deployment::failed(&error))?;
        let (named, config) = (named.map(str::to_owned), config.clone());
        let record = move |event: Event| {
            let recorded = Recorder::open(named.as_deref(), &config)
                .and_then(|recorder| recorder.map_or(Ok(true), |recorder| recorder.record_if_free(vec![event])));
            if let Err(failure) = recorded {
                log::warn(&format!("the log does not have the release of a lease: {}", failure.message));
            }
        };
        Ok(Some(Self::new(store, Arc::new(SystemClock::default()), Arc::new(record))))
    }

    /// Answers a request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        match self.answered(request).await {
            Ok(said) => answer(StatusCode::OK, &said),
            Err(refusal) => refusal.answer(),
        }
    }

    async fn answered<B>(&self, request: Request<B>) -> Result<Value, Refusal>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let (id, wish) = wished(&head.method, head.uri.path())?;
        let token = bearer(&head.headers);
        let who = plainly(&id, token.unwrap_or_default());
        if !self.with(|asked, now| asked.may(&who, now)) {
            return Err(Refusal::TooMany);
        }
        let Some(token) = token else { return Err(Refusal::Stranger) };
        match timeout(PATIENCE, Limited::new(body, BODY).collect()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Refusal::TooLong),
            Ok(Err(_)) => return Err(Refusal::Broken),
            Err(_) => return Err(Refusal::Slow),
        }
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else { return Err(Refusal::Busy) };
        let (store, record, now) = (Arc::clone(&self.store), Arc::clone(&self.record), self.clock.wall());
        let proof = Proof::of(token);
        let work = tokio::task::spawn_blocking(move || {
            // What nobody waits for any more is still counted.
            let _permit = permit;
            done(store.as_ref(), record.as_ref(), &id, &proof, wish, now)
        });
        let Ok(Ok(outcome)) = timeout(PATIENCE, work).await else { return Err(Refusal::State) };
        let lease = match outcome {
            Ok(lease) => lease,
            Err(EnvironmentError::NotThere) => return Err(Refusal::Stranger),
            Err(EnvironmentError::Store(error)) => {
                log::warn(&format!("a heartbeat is not kept: {error}"));
                return Err(Refusal::State);
            }
            Err(error) => {
                self.with(|asked, now| asked.was_right(who, now));
                return Err(Refusal::Over(error.to_string()));
            }
        };
        self.with(|asked, now| asked.was_right(who, now));
        let mut said = json!({ "lease": lease.id, "now": now.to_string() });
        match wish {
            Wish::Beat => said["until"] = lease.until.to_string().into(),
            Wish::Release => said["released"] = lease.released.map(|at| at.to_string()).into(),
        }
        if let Some(every) = lease.heartbeat.filter(|_| wish == Wish::Beat) {
            said["heartbeat_seconds"] = every.into();
        }
        if let Some(clock) = apart(&head.headers, now, lease.skew) {
            said["clock"] = clock.into();
        }
        Ok(said)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Asked, Duration) -> T) -> T {
        work(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner), self.clock.mono())
    }
}

fn done(
    store: &dyn Store,
    record: &Record,
    id: &str,
    proof: &Proof,
    wish: Wish,
    now: Timestamp,
) -> Result<Environment, EnvironmentError> {
    let by = By::Bearer(proof);
    match wish {
        Wish::Beat => environment::beat(store, id, by, now),
        Wish::Release => {
            let lease = environment::release(store, id, by, now)?;
            // Once more is no other release.
            if lease.released == Some(now) {
                record(event(&lease, "released", "bearer of its token".to_owned(), now));
            }
            Ok(lease)
        }
    }
}

/// Which lease is meant, and what is wished.
fn wished(method: &Method, path: &str) -> Result<(String, Wish), Refusal> {
    let rest = path.strip_prefix(PATH).and_then(|rest| rest.strip_prefix('/')).ok_or(Refusal::NoSuchPath)?;
    let (id, wish, allowed) = match rest.split_once('/') {
        None => (rest, Wish::Release, Method::DELETE),
        Some((id, "heartbeat")) => (id, Wish::Beat, Method::POST),
        Some(_) => return Err(Refusal::NoSuchPath),
    };
    if id.is_empty() {
        return Err(Refusal::NoSuchPath);
    }
    if *method != allowed {
        return Err(Refusal::Method(wish));
    }
    Ok((id.to_owned(), wish))
}

/// The token that is shown.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (first, more) = (all.next()?, all.next());
    let (scheme, token) = first.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let plain = (1..=256).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && plain && more.is_none()).then_some(token)
}

/// What stands for a lease and a token among those who were right before.
fn plainly(id: &str, token: &str) -> [u8; 32] {
    use sha2::{Digest as _, Sha256};
    let mut digest = Sha256::new();
    digest.update(id.as_bytes());
    digest.update([0]);
    digest.update(token.as_bytes());
    digest.finalize().into()
}

/// How far the sender's clock is from this one, where that is more than the lease tolerates.
fn apart(headers: &HeaderMap, now: Timestamp, skew: i64) -> Option<String> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    let said = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    let ahead = said.as_second().saturating_sub(now.0);
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    (ahead.saturating_abs() > skew)
        .then(|| format!("yours is {} {side} this one", ttl::spoken(ahead.saturating_abs() / 60 * 60)))
}

/// Why nothing is done.
#[derive(Debug)]
enum Refusal {
    NoSuchPath,
    Method(Wish),
    /// No such lease, or no such token.
    Stranger,
    TooMany,
    TooLong,
    Slow,
    Broken,
    Busy,
    State,
    /// It ended; said to whoever has its token.
    Over(String),
}

impl Refusal {
    fn answer(self) -> Response<Full<Bytes>> {
        let (status, says) = match &self {
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "there is nothing here"),
            Self::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "this is not how it is asked"),
            Self::Stranger => (StatusCode::UNAUTHORIZED, "no lease has this id and this token"),
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too many requests"),
            Self::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than 4096 bytes"),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, "the body took too long"),
            Self::Broken => (StatusCode::BAD_REQUEST, "the body ended early"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "too many wait for the state"),
            Self::State => (StatusCode::SERVICE_UNAVAILABLE, "the state cannot be used"),
            Self::Over(says) => (StatusCode::GONE, says.as_str()),
        };
        let mut answer = answer(status, &json!({ "error": says }));
        let headers = answer.headers_mut();
        match &self {
            Self::Method(Wish::Beat) => headers.insert(header::ALLOW, HeaderValue::from_static("POST")),
            Self::Method(Wish::Release) => headers.insert(header::ALLOW, HeaderValue::from_static("DELETE")),
            Self::Stranger => headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            Self::TooMany => headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5")),
            Self::Busy | Self::State => headers.insert(header::RETRY_AFTER, HeaderValue::from_static("30")),
            _ => None,
        };
        answer
    }
}

fn answer(status: StatusCode, said: &Value) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(format!("{said}\n"))));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

#[cfg(test)]
mod tests;
