//! The HTTP server: connections, faults and the journal.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cloud::Cloud;
use crate::fault::{self, Armed, Denial, Fault, FaultKind, Target};
use crate::http::{Reply, WireError};
use crate::org::{Org, Vendor};
use crate::pace::{Buckets, Pace};
use crate::render::{self, Rendered};
use crate::request::{Parts, Request, recognise};
use crate::rest::{self, Req};
use crate::services;
use crate::truth::Truth;

/// How an emulator runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port on 127.0.0.1; zero takes a free one.
    pub port: u16,
    /// The moment that the organisation file's relative times are relative to.
    pub now: Timestamp,
    /// A cap on the size of pages, so that a few resources make many.
    pub page: Option<usize>,
    /// How long every call takes at least.
    pub latency: Duration,
    /// The faults, in the order in which they are tried.
    pub faults: Vec<Fault>,
    /// How often an account may be asked; without one as often as anybody likes.
    pub pace: Option<Pace>,
}

impl Options {
    /// A free port, no cap, no latency and no faults.
    pub fn new(now: Timestamp) -> Options {
        Options { port: 0, now, page: None, latency: Duration::ZERO, faults: Vec::new(), pace: None }
    }
}

impl Default for Options {
    /// As [`Options::new`] with the clock's time.
    fn default() -> Options {
        Options::new(Timestamp::now())
    }
}

/// One call in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The call's number, from one.
    pub n: u64,
    /// The calling account; elsewhere the subscription or project that it is about.
    pub account: String,
    /// The region the call was signed for; elsewhere the location that it names, or "global".
    pub region: String,
    /// The service: AWS's signing name, save that ELB v2 is "elasticloadbalancingv2"; Azure's resource
    /// provider; the first word of Google's host.
    pub service: String,
    /// The operation.
    pub action: String,
    /// The permission that the operation needs; empty if it needs none.
    pub permission: String,
    /// A fingerprint of what was asked: two calls with the same one, the same account and the same region
    /// asked the same thing.
    #[serde(default)]
    pub asked: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The fault that hit the call.
    pub fault: Option<String>,
}

struct State {
    cloud: Mutex<Cloud>,
    latency: Duration,
    faults: Mutex<Vec<Armed>>,
    pace: Buckets,
    journal: Mutex<Vec<Call>>,
    calls: AtomicU64,
}

impl State {
    /// The organisation as it is now.
    fn cloud(&self) -> Cloud {
        lock(&self.cloud).fresh()
    }

    /// The service's answer, and what it changes. A request that changes something is answered again with nobody
    /// else in between, so that two of them see each other.
    fn answer(&self, request: &Asked) -> Result<Reply, WireError> {
        let cloud = self.cloud();
        let reply = request.handle(&cloud);
        if !cloud.is_edited() {
            return reply;
        }
        let mut current = lock(&self.cloud);
        let cloud = current.fresh();
        let reply = request.handle(&cloud);
        if reply.is_ok() && cloud.is_edited() {
            *current = cloud.edited();
        }
        reply
    }

    fn edit<T>(&self, edit: impl FnOnce(&Cloud) -> T) -> T {
        let mut cloud = lock(&self.cloud);
        let answer = edit(&cloud);
        if cloud.is_edited() {
            *cloud = cloud.edited();
        }
        answer
    }

    fn set(&self, id: &str, keys: &Map<String, Value>) -> usize {
        self.edit(|cloud| {
            let mut count = 0;
            for item in cloud.named(id) {
                let keys = keys.clone();
                cloud.change(item, move |item| item.set(&keys));
                count += 1;
            }
            count
        })
    }

    fn remove(&self, id: &str) -> usize {
        self.edit(|cloud| cloud.named(id).map(|item| cloud.remove(item)).count())
    }
}

/// A running emulator. It stops when dropped.
pub struct Emulator {
    address: SocketAddr,
    state: Arc<State>,
    closing: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Emulator {
    /// Binds 127.0.0.1 and serves in a spawned task.
    pub async fn start(org: Org, options: Options) -> std::io::Result<Emulator> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            cloud: Mutex::new(Cloud::new(org, options.now, options.page)),
            latency: options.latency,
            faults: Mutex::new(options.faults.into_iter().map(Armed::new).collect()),
            pace: Buckets::new(options.pace),
            journal: Mutex::new(Vec::new()),
            calls: AtomicU64::new(0),
        });
        let (closing, closed) = watch::channel(false);
        let server = tokio::spawn(accept(listener, Arc::clone(&state), closed));
        Ok(Emulator { address, state, closing, server })
    }

    /// The endpoint, "http://127.0.0.1:<port>".
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The calls so far, in the order in which they were answered.
    pub fn journal(&self) -> Vec<Call> {
        lock(&self.state.journal).clone()
    }

    /// Empties the journal.
    pub fn clear_journal(&self) {
        lock(&self.state.journal).clear();
    }

    /// Replaces the faults, with counters from zero.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        *lock(&self.state.faults) = faults.into_iter().map(Armed::new).collect();
    }

    /// The planted truth of the organisation file.
    pub fn truth(&self) -> Vec<Truth> {
        self.state.cloud().org().truth()
    }

    /// Changes keys of every resource with an id, as somebody else would meanwhile: `attached`, `tags.keep`. `null`
    /// takes a key away. Says how many there are.
    pub fn set(&self, id: &str, keys: &Map<String, Value>) -> usize {
        self.state.set(id, keys)
    }

    /// Takes every resource with an id away. Says how many there were.
    pub fn remove(&self, id: &str) -> usize {
        self.state.remove(id)
    }

    /// How many resources there are with an id.
    pub fn count(&self, id: &str) -> usize {
        self.state.cloud().named(id).count()
    }

    /// Closes the listener and the connections.
    pub async fn stop(mut self) {
        let _ = self.closing.send(true);
        let _ = (&mut self.server).await;
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.closing.send(true);
        self.server.abort();
    }
}

// A panic while a lock is held leaves counters and a journal that are still true.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<State>, mut closed: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = closed.changed() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(connection(stream, Arc::clone(&state), closed.clone()));
                }
                // Out of file descriptors, most likely: closing connections will free some.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<State>, mut closed: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answer(&state, request).await) }
    });
    // HTTP/1.1, or HTTP/2 where the client begins with its preface.
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new());
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = closed.changed() => {}
        // A client that hangs up is no error of ours, and a cut is meant.
        _ = serving => {}
    }
}

const BODY_LIMIT: usize = 16 << 20;

async fn answer(state: &State, http: hyper::Request<Incoming>) -> Response<Answer> {
    let (head, body) = http.into_parts();
    let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
        return respond(plain(400, "the body could not be read"), false);
    };
    let body = body.to_bytes();
    if let Some(control) = head.uri.path().strip_prefix("/__emulator/") {
        return respond(operate(state, head.method.as_str(), control, &body), false);
    }
    let parts = Parts {
        method: head.method.as_str(),
        path: head.uri.path(),
        authority: head.uri.authority().map(hyper::http::uri::Authority::as_str),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body: &body,
    };
    let asked = fingerprint(&parts);
    let recognised = Asked::recognise(&parts, state);
    let n = state.calls.fetch_add(1, Ordering::Relaxed) + 1;
    let mut struck = None;
    let mut delay = state.latency;
    let (request, mut rendered) = match recognised {
        Err(wrong) => {
            let (request, error) = *wrong;
            let rendered = request.error(&error, n);
            (request, rendered)
        }
        Ok(request) => {
            let (late, kind) = fault::strike(&mut lock(&state.faults), &request.target());
            let paced = || (!state.pace.take(&request.target(), Instant::now())).then_some(FaultKind::Throttle);
            let kind = kind.or_else(paced);
            delay = delay.saturating_add(Duration::from_millis(late));
            struck = kind.map(|kind| kind.to_string()).or_else(|| (late > 0).then(|| "slow".to_owned()));
            let rendered = perform(state, &request, kind, n);
            if matches!(kind, Some(FaultKind::Cut)) {
                record(state, n, &request.target(), asked, rendered.outcome(), struck);
                wait(delay).await;
                return respond(rendered, true);
            }
            (request, rendered)
        }
    };
    // HEAD answers carry headers alone; their length would promise a body.
    if head.method == hyper::Method::HEAD {
        rendered.body.clear();
    }
    record(state, n, &request.target(), asked, rendered.outcome(), struck);
    wait(delay).await;
    respond(rendered, false)
}

/// A recognised request of whichever cloud.
enum Asked {
    Aws(Request),
    Rest(Box<Req>),
}

impl Asked {
    fn recognise(parts: &Parts<'_>, state: &State) -> Result<Asked, Box<(Asked, WireError)>> {
        let cloud = state.cloud();
        match rest::vendor(parts) {
            Vendor::Aws => recognise(parts, cloud.org())
                .map(Asked::Aws)
                .map_err(|wrong| Box::new((Asked::Aws(wrong.request), wrong.error))),
            vendor => {
                let denials: Vec<Denial> = fault::denials(&lock(&state.faults));
                match rest::recognise(vendor, parts, &cloud, denials) {
                    Ok(mut req) => {
                        let faults = lock(&state.faults);
                        req.lost = fault::places(&faults, FaultKind::Unreachable, &req.target());
                        req.warned = fault::places(&faults, FaultKind::ScopeWarning, &req.target());
                        req.lost.extend(
                            cloud.account(&req.account).into_iter().flat_map(|account| account.unreachable.clone()),
                        );
                        Ok(Asked::Rest(Box::new(req)))
                    }
                    Err(wrong) => {
                        let (req, error) = *wrong;
                        Err(Box::new((Asked::Rest(Box::new(req)), error)))
                    }
                }
            }
        }
    }

    fn target(&self) -> Target<'_> {
        match self {
            Asked::Aws(request) => Target {
                account: &request.account,
                region: &request.region,
                service: &request.service,
                action: &request.action,
                permission: &request.permission,
            },
            Asked::Rest(req) => req.target(),
        }
    }

    fn fault(&self, kind: FaultKind) -> Option<WireError> {
        match self {
            Asked::Aws(request) => fault::error(kind, request),
            Asked::Rest(req) => req.fault(kind),
        }
    }

    fn error(&self, error: &WireError, n: u64) -> Rendered {
        match self {
            Asked::Aws(request) => render::error(request, error, n),
            Asked::Rest(req) => req.error(error, n),
        }
    }

    /// The service's answer.
    fn handle(&self, cloud: &Cloud) -> Result<Reply, WireError> {
        match self {
            Asked::Aws(request) => handle(cloud, request),
            Asked::Rest(req) => req.handle(cloud),
        }
    }

    /// The service's answer to a request for the first page.
    fn handle_first(&self, cloud: &Cloud) -> Result<Reply, WireError> {
        match self {
            Asked::Aws(request) => {
                let mut request = request.clone();
                request.forget_token();
                handle(cloud, &request)
            }
            Asked::Rest(req) => {
                let mut req = req.clone();
                req.forget_token();
                req.handle(cloud)
            }
        }
    }

    fn repeat_token(&self, output: &mut Map<String, Value>) {
        match self {
            Asked::Aws(request) => render::repeat_token(request, output),
            Asked::Rest(req) => req.repeat_token(output),
        }
    }

    fn empty(&self, value: &mut Value) {
        match self {
            Asked::Aws(_) => render::empty(value, 0),
            Asked::Rest(req) => req.empty(value),
        }
    }

    fn finish(&self, reply: Result<Reply, WireError>, n: u64) -> Rendered {
        match self {
            Asked::Aws(request) => finish(request, reply, n),
            Asked::Rest(req) => req.render(reply, n),
        }
    }
}

async fn wait(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

/// What a request asks for, in sixteen digits: path, query, target and body (FNV-1a).
fn fingerprint(parts: &Parts<'_>) -> String {
    let target = parts.headers.get("x-amz-target").map_or(&b""[..], HeaderValue::as_bytes);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in [parts.method.as_bytes(), parts.path.as_bytes(), parts.query.as_bytes(), target, parts.body] {
        for byte in part.iter().chain(b"\n") {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

fn record(state: &State, n: u64, request: &Target<'_>, asked: String, status: u16, fault: Option<String>) {
    lock(&state.journal).push(Call {
        n,
        account: request.account.to_owned(),
        region: request.region.to_owned(),
        service: request.service.to_owned(),
        action: request.action.to_owned(),
        permission: request.permission.to_owned(),
        asked,
        status,
        fault,
    });
}

/// The service's answer with the fault's doing.
fn perform(state: &State, request: &Asked, kind: Option<FaultKind>, n: u64) -> Rendered {
    if let Some(error) = kind.and_then(|kind| request.fault(kind)) {
        return request.error(&error, n);
    }
    match kind {
        Some(FaultKind::Html) => Rendered {
            status: 200,
            content_type: "text/html".to_owned(),
            body: b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><p>Please sign in to the proxy.</p></body></html>\n".to_vec(),
            ..Rendered::default()
        },
        Some(FaultKind::RepeatToken) => {
            let mut reply = request.handle_first(&state.cloud());
            if let Ok(Reply::Value(Value::Object(value)) | Reply::With { value: Value::Object(value), .. }) = &mut reply
            {
                request.repeat_token(value);
            }
            request.finish(reply, n)
        }
        Some(FaultKind::EmptyOk) => {
            let mut reply = state.answer(request);
            match &mut reply {
                Ok(Reply::Value(value) | Reply::With { value, .. }) => request.empty(value),
                Ok(Reply::Grpc(message)) => message.clear(),
                _ => {}
            }
            request.finish(reply, n)
        }
        Some(FaultKind::ForeignLink) => {
            let mut reply = state.answer(request);
            if let (Asked::Rest(_), Ok(Reply::Value(Value::Object(value)))) = (request, &mut reply) {
                let link = Value::from("https://management.azure.com.example/next");
                if value.contains_key("value") {
                    value.insert("nextLink".to_owned(), link);
                } else if let Some(table) = value.get_mut("properties").and_then(Value::as_object_mut)
                    && table.contains_key("rows")
                {
                    table.insert("nextLink".to_owned(), link);
                }
            }
            request.finish(reply, n)
        }
        Some(FaultKind::Malformed) => {
            let mut rendered = request.finish(state.answer(request), n);
            rendered.body.truncate(rendered.body.len() / 2);
            rendered
        }
        _ => request.finish(state.answer(request), n),
    }
}

fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    match services::service(&request.service) {
        Some(service) => (service.handle)(cloud, request),
        None => Err(services::invalid_action(request)),
    }
}

fn finish(request: &Request, reply: Result<Reply, WireError>, n: u64) -> Rendered {
    match reply {
        Ok(Reply::Value(value)) => render::value(request, &value, n),
        Ok(Reply::With { status, headers, value }) => Rendered { status, headers, ..render::value(request, &value, n) },
        Ok(Reply::Raw { status, content_type, headers, body }) => {
            Rendered { status, content_type, headers, body, ..Rendered::default() }
        }
        Ok(Reply::Grpc(body)) => Rendered { status: 200, body, ..Rendered::default() },
        Err(error) => render::error(request, &error, n),
    }
}

/// The emulator's own endpoints.
fn operate(state: &State, method: &str, path: &str, body: &[u8]) -> Rendered {
    let json = |value: Value| Rendered {
        status: 200,
        content_type: "application/json".to_owned(),
        body: value.to_string().into_bytes(),
        ..Rendered::default()
    };
    match (method, path) {
        ("GET", "journal") => match serde_json::to_value(&*lock(&state.journal)) {
            Ok(calls) => json(calls),
            Err(error) => plain(500, &error.to_string()),
        },
        ("GET", "truth") => match serde_json::to_value(state.cloud().org().truth()) {
            Ok(truth) => json(truth),
            Err(error) => plain(500, &error.to_string()),
        },
        ("POST", "faults") => match serde_json::from_slice::<Vec<Fault>>(body) {
            Ok(faults) => {
                *lock(&state.faults) = faults.into_iter().map(Armed::new).collect();
                json(serde_json::json!({}))
            }
            Err(error) => plain(400, &error.to_string()),
        },
        ("POST", "set") => match serde_json::from_slice::<Map<String, Value>>(body) {
            Ok(mut keys) => match keys.remove("id").as_ref().and_then(Value::as_str) {
                Some(id) => json(serde_json::json!({ "resources": state.set(id, &keys) })),
                None => plain(400, "`id` names the resource; the other keys are what is set"),
            },
            Err(error) => plain(400, &error.to_string()),
        },
        ("POST", "remove") => match serde_json::from_slice::<Map<String, Value>>(body) {
            Ok(keys) => match keys.get("id").and_then(Value::as_str) {
                Some(id) => json(serde_json::json!({ "resources": state.remove(id) })),
                None => plain(400, "`id` names the resource"),
            },
            Err(error) => plain(400, &error.to_string()),
        },
        ("POST", "reset") => {
            lock(&state.journal).clear();
            json(serde_json::json!({}))
        }
        _ => plain(404, "the endpoints are GET journal, GET truth, POST faults, POST set, POST remove and POST reset"),
    }
}

fn plain(status: u16, text: &str) -> Rendered {
    Rendered {
        status,
        content_type: "text/plain".to_owned(),
        body: format!("{text}\n").into_bytes(),
        ..Rendered::default()
    }
}

fn respond(rendered: Rendered, cut: bool) -> Response<Answer> {
    let mut body = Bytes::from(rendered.body);
    let length = body.len();
    if cut {
        body.truncate(length / 2);
    }
    let mut response = Response::new(Answer {
        left: (!body.is_empty()).then_some(body),
        trailers: trailers(&rendered.trailers),
        cut: cut.then(|| Box::pin(tokio::time::sleep(CUT_AFTER))),
        length: length as u64,
    });
    *response.status_mut() = StatusCode::from_u16(rendered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let own = [("content-type".to_owned(), rendered.content_type)];
    for (name, value) in own.into_iter().chain(rendered.headers) {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value))
            && !value.is_empty()
        {
            headers.insert(name, value);
        }
    }
    response
}

fn trailers(pairs: &[(String, String)]) -> Option<HeaderMap> {
    let mut trailers = HeaderMap::new();
    for (name, value) in pairs {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            trailers.insert(name, value);
        }
    }
    (!trailers.is_empty()).then_some(trailers)
}

/// A response body that can promise more than it gives.
struct Answer {
    left: Option<Bytes>,
    trailers: Option<HeaderMap>,
    cut: Option<Pin<Box<tokio::time::Sleep>>>,
    length: u64,
}

/// The pause before a cut: without it hyper would drop the half that the client is to see.
const CUT_AFTER: Duration = Duration::from_millis(20);

impl Body for Answer {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(bytes) = self.left.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if let Some(pause) = &mut self.cut {
            if pause.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.cut = None;
            return Poll::Ready(Some(Err(std::io::Error::other("cut on purpose"))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none() && self.cut.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(emulator: &Emulator) -> String {
        let mut stream = TcpStream::connect(emulator.address).await.unwrap();
        let body = "Action=GetCallerIdentity&Version=2011-06-15";
        let request = format!(
            "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: AWS4-HMAC-SHA256 Credential=AKIA111111111111T/1/us-east-1/sts/aws4_request\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn serves_until_stopped() {
        let org = Org::parse("[[account]]\nid = \"111111111111\"\n").unwrap();
        let emulator = Emulator::start(org, Options::default()).await.unwrap();
        assert!(ask(&emulator).await.contains("<Account>111111111111</Account>"));
        emulator.set_faults(vec![Fault::new(FaultKind::Denied)]);
        assert!(ask(&emulator).await.starts_with("HTTP/1.1 403"));
        let calls: Vec<(u64, u16, Option<String>)> =
            emulator.journal().into_iter().map(|call| (call.n, call.status, call.fault)).collect();
        assert_eq!(calls, [(1, 200, None), (2, 403, Some("denied".to_owned()))]);
        let asked: Vec<String> = emulator.journal().into_iter().map(|call| call.asked).collect();
        assert_eq!((asked[0].len(), &asked[0]), (16, &asked[1]));
        emulator.clear_journal();
        assert!(emulator.journal().is_empty());
        let address = emulator.address;
        emulator.stop().await;
        assert!(TcpStream::connect(address).await.is_err());
    }
}
