//! The handler behind a real server on loopback.

use super::*;
use async_trait::async_trait;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use reqwest::Client;
use std::{
    convert::Infallible,
    sync::atomic::{AtomicI64, Ordering},
};
use sweeper_core::{
    environment::Standing,
    store::{MemoryStore, StoreError},
};
use tokio::net::TcpListener;

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// 1994-11-06T08:49:37Z
const START: i64 = 784_111_777;

/// A clock that a test moves.
#[derive(Default)]
struct Hand(AtomicI64);

#[async_trait]
impl Clock for Hand {
    fn wall(&self) -> Timestamp {
        Timestamp(START + self.0.load(Ordering::SeqCst))
    }
    fn mono(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
    async fn sleep_until(&self, _: Duration) {}
    fn is_machine(&self) -> bool {
        false
    }
}

struct Server {
    store: Arc<dyn Store>,
    clock: Arc<Hand>,
    recorded: Arc<Mutex<Vec<Event>>>,
    base: String,
    client: Client,
}

fn lease() -> Environment {
    Environment {
        id: "pr-1234".to_owned(),
        owner: "a@example.com".to_owned(),
        tags: BTreeMap::new(),
        accounts: Vec::new(),
        regions: Vec::new(),
        granted: Timestamp(START),
        until: Timestamp(START + 7200),
        max_length: 86_400,
        heartbeat: Some(60),
        missed: 3,
        skew: 300,
        beat: None,
        released: None,
    }
}

impl Server {
    async fn with(store: Arc<dyn Store>) -> Self {
        let clock = Arc::new(Hand::default());
        let recorded: Arc<Mutex<Vec<Event>>> = Arc::default();
        let log = Arc::clone(&recorded);
        let record = move |event| log.lock().unwrap().push(event);
        let own = Arc::clone(&clock);
        let heartbeats = Arc::new(Heartbeats::new(Arc::clone(&store), own, Arc::new(record)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let heartbeats = Arc::clone(&heartbeats);
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let heartbeats = Arc::clone(&heartbeats);
                        async move { Ok::<_, Infallible>(heartbeats.answer(request).await) }
                    });
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { store, clock, recorded, base, client: Client::builder().no_proxy().build().unwrap() }
    }

    async fn new() -> Self {
        let server = Self::with(Arc::new(MemoryStore::new())).await;
        environment::grant(server.store.as_ref(), &lease(), Proof::of(TOKEN), Timestamp(START)).unwrap();
        server
    }

    fn after(&self, seconds: i64) {
        self.clock.0.store(seconds, Ordering::SeqCst);
    }

    fn request(&self, method: Method, path: &str, token: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        if token.is_empty() { request } else { request.header("authorization", token) }
    }

    async fn ask(&self, method: Method, path: &str, token: &str) -> (u16, Value) {
        said(self.request(method, path, token)).await
    }

    async fn beat(&self) -> (u16, Value) {
        self.ask(Method::POST, "/v1/leases/pr-1234/heartbeat", &format!("Bearer {TOKEN}")).await
    }

    fn known(&self) -> Environment {
        environment::load(self.store.as_ref()).leases()[0].clone()
    }
}

async fn said(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/json");
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn a_heartbeat_is_kept_and_a_release_ends_it_and_is_recorded() {
    let server = Server::new().await;
    server.after(100);
    let (status, said) = server.beat().await;
    assert_eq!(status, 200, "{said}");
    let at = |seconds: i64| Timestamp(START + seconds).to_string();
    assert_eq!(
        said,
        json!({ "lease": "pr-1234", "now": at(100), "until": at(7200), "heartbeat_seconds": 60 }),
        "and no word of the clock, which was not told"
    );
    assert_eq!(server.known().beat, Some(Timestamp(START + 100)));
    server.after(200);
    let release = || {
        server.ask(
            Method::DELETE,
            "/v1/leases/pr-1234",
            concat!("bearer ", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
        )
    };
    assert_eq!(release().await, (200, json!({ "lease": "pr-1234", "now": at(200), "released": at(200) })));
    server.after(201);
    // Once more changes nothing, and is no other event.
    assert_eq!(release().await.1["released"], at(200));
    let (status, said) = server.beat().await;
    assert_eq!((status, said["error"].as_str().unwrap()), (410, format!("it ended {}: released", at(200)).as_str()));
    let recorded = server.recorded.lock().unwrap();
    assert_eq!(recorded.len(), 1, "{recorded:?}");
    assert_eq!(recorded[0].body.name(), "environment");
    assert!(matches!(server.known().standing(Timestamp(START + 201)), Standing::Ended(..)));
}

#[tokio::test]
async fn nothing_tells_whether_a_lease_is_there() {
    let server = Server::new().await;
    let good = format!("Bearer {TOKEN}");
    let mut answers = Vec::new();
    for (id, token) in [
        ("pr-1234", "Bearer 0000000000000000000000000000000000000000000000000000000000000000"),
        ("pr-9999", "Bearer 0000000000000000000000000000000000000000000000000000000000000000"),
        ("pr-9999", good.as_str()),
        ("PR%2F1234", good.as_str()),
        ("pr-1234", ""),
        ("pr-9999", ""),
        ("pr-1234", "Basic abc"),
        ("pr-1234", "Bearer "),
        ("pr-1234", "Bearer"),
    ] {
        for (method, path) in
            [(Method::POST, format!("/v1/leases/{id}/heartbeat")), (Method::DELETE, format!("/v1/leases/{id}"))]
        {
            let answer = server.request(method, &path, token).send().await.unwrap();
            let mut headers: Vec<(String, String)> = answer
                .headers()
                .iter()
                .filter(|(name, _)| *name != "date")
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                .collect();
            headers.sort();
            answers.push((answer.status().as_u16(), headers, answer.text().await.unwrap()));
        }
    }
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    let twice = server.request(Method::POST, "/v1/leases/pr-1234/heartbeat", &good).header("authorization", "Bearer x");
    assert_eq!(said(twice).await.0, 401);
    assert_eq!(server.known(), lease(), "nothing was changed");
}

#[tokio::test]
async fn what_is_asked_in_another_way_is_refused() {
    let server = Server::new().await;
    let good = format!("Bearer {TOKEN}");
    for (method, path, expected) in [
        (Method::GET, "/v1/leases/pr-1234", 405),
        (Method::GET, "/v1/leases/pr-1234/heartbeat", 405),
        (Method::DELETE, "/v1/leases/pr-1234/heartbeat", 405),
        (Method::POST, "/v1/leases/pr-1234", 405),
        (Method::POST, "/v1/leases", 404),
        (Method::DELETE, "/v1/leases/", 404),
        (Method::POST, "/v1/leases/pr-1234/other", 404),
        (Method::POST, "/v1/leases/pr-1234/heartbeat/more", 404),
    ] {
        assert_eq!(server.ask(method.clone(), path, &good).await.0, expected, "{method} {path}");
    }
    let long = |length: usize| {
        let path = "/v1/leases/pr-1234/heartbeat";
        said(server.request(Method::POST, path, &good).body("x".repeat(length)))
    };
    assert_eq!(long(BODY).await.0, 200);
    assert_eq!(long(BODY + 1).await.0, 413);
}

#[tokio::test]
async fn guessing_is_slow_and_keeps_nobody_out_who_was_right() {
    let server = Server::new().await;
    assert_eq!(server.beat().await.0, 200);
    let guess = || server.ask(Method::POST, "/v1/leases/pr-1234/heartbeat", "Bearer 00");
    let mut refused = 0;
    for _ in 0..STRANGERS.burst * 2 {
        let (status, said) = guess().await;
        assert!(matches!(status, 401 | 429), "{said}");
        refused += u32::from(status == 429);
    }
    // The first heartbeat was of a stranger, too.
    assert_eq!(refused, STRANGERS.burst + 1);
    assert_eq!(server.beat().await.0, 200, "who was right before has an allowance of its own");
    // The clock stands still, so that its own ends as well.
    let mut left = 0;
    while server.beat().await.0 == 200 {
        left += 1;
    }
    assert_eq!(left, EACH.burst - 1);
    server.after(1);
    assert_eq!(guess().await.0, 401);
    assert_eq!(server.beat().await.0, 200);
    let answer = server.request(Method::POST, "/v1/leases/pr-1234/heartbeat", "Bearer 01").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 401);
}

#[test]
fn whoever_was_right_is_remembered_up_to_a_bound() {
    let mut asked = Asked { strangers: Left::new(STRANGERS, Duration::ZERO), known: BTreeMap::new() };
    for at in 0..KNOWN as u32 + 10 {
        let mut who = [0; 32];
        who[..4].copy_from_slice(&at.to_be_bytes());
        asked.was_right(who, Duration::from_secs(u64::from(at)));
    }
    assert_eq!(asked.known.len(), KNOWN);
    assert!(!asked.known.contains_key(&[0; 32]), "the one who was right longest ago is forgotten first");
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_and_the_servers_counts() {
    let server = Server::new().await;
    let good = format!("Bearer {TOKEN}");
    for (date, says) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:54:37 GMT", None),
        ("Sun, 06 Nov 1994 10:49:37 GMT", Some("yours is 2 hours ahead of this one")),
        ("Sun, 06 Nov 1994 08:19:37 GMT", Some("yours is 30 minutes behind this one")),
        ("yesterday", None),
    ] {
        let request = server.request(Method::POST, "/v1/leases/pr-1234/heartbeat", &good).header("date", date);
        let (status, said) = said(request).await;
        assert_eq!((status, said["clock"].as_str()), (200, says), "{date}");
    }
    assert_eq!(server.known().beat, Some(Timestamp(START)));
}

/// A state that cannot be used.
struct Broken;

impl Store for Broken {
    fn get(&self, _: &str) -> Result<Option<(Vec<u8>, sweeper_core::store::Version)>, StoreError> {
        Err(StoreError::Failed("secret-bucket is away".to_owned()))
    }
    fn put_if(
        &self,
        _: &str,
        _: &[u8],
        _: Option<sweeper_core::store::Version>,
    ) -> Result<sweeper_core::store::PutOutcome, StoreError> {
        Err(StoreError::Failed(String::new()))
    }
    fn put_all_if(&self, _: &[sweeper_core::store::Put]) -> Result<Vec<sweeper_core::store::PutOutcome>, StoreError> {
        Err(StoreError::Failed(String::new()))
    }
    fn list(&self, _: &str) -> Result<Vec<String>, StoreError> {
        Err(StoreError::Failed(String::new()))
    }
    fn delete_if(
        &self,
        _: &str,
        _: sweeper_core::store::Version,
    ) -> Result<sweeper_core::store::DeleteOutcome, StoreError> {
        Err(StoreError::Failed(String::new()))
    }
}

#[tokio::test]
async fn a_state_that_cannot_be_used_is_to_be_tried_again() {
    let server = Server::with(Arc::new(Broken)).await;
    let answer =
        server.request(Method::POST, "/v1/leases/x/heartbeat", &format!("Bearer {TOKEN}")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (503, "30"));
    assert!(!answer.text().await.unwrap().contains("secret-bucket"));
}
