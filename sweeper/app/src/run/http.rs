//! A small HTTP server for this machine: a table of paths, and bounds on everything that a client can do.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};
use sweeper_core::clock::{Clock, SystemClock};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet, time::timeout};

/// How many clients are served at once; the next ones wait in the queue of the system.
pub const CLIENTS: usize = 64;
/// How long a client may take to send its headers, and altogether, whatever it does.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(15));
/// How many headers, and how many bytes of them.
const MOST_HEADERS: usize = 64;
const HEADER_BYTES: usize = 16 << 10;
/// How long the body of a request may say it is, bytes. One that does not say is bounded by whoever reads it.
const BODY: u64 = 64 << 10;

/// What is answered.
pub type Answer = Response<Full<Bytes>>;

/// What answers.
pub type Handler = Arc<dyn Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// Who answers which paths.
#[derive(Clone)]
pub struct Routes {
    all: Vec<(&'static str, Handler)>,
    /// Whether only this machine reaches them.
    is_loopback: bool,
}

impl Routes {
    /// None yet, for what listens at an address.
    pub fn at(address: SocketAddr) -> Self {
        Self { all: Vec::new(), is_loopback: address.ip().is_loopback() }
    }

    /// A path, and everything below it, answered by a function.
    #[must_use]
    pub fn mount<F>(
        mut self,
        path: &'static str,
        handler: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        self.all.push((path, Arc::new(move |request| Box::pin(handler(request)))));
        self
    }

    /// As [`Self::mount`], for what is only read, and only at this very path.
    #[must_use]
    pub fn read(self, path: &'static str, read: impl Fn() -> (StatusCode, String) + Send + Sync + 'static) -> Self {
        let is_loopback = self.is_loopback;
        self.mount(path, move |request| {
            let answer = match *request.method() {
                _ if is_loopback && !is_meant(&request) => {
                    text(StatusCode::MISDIRECTED_REQUEST, "this machine has another name\n")
                }
                _ if request.uri().path() != path => text(StatusCode::NOT_FOUND, "there is nothing here\n"),
                Method::GET | Method::HEAD => {
                    let (status, said) = read();
                    text(status, said)
                }
                _ => text(StatusCode::METHOD_NOT_ALLOWED, "this is only read\n"),
            };
            std::future::ready(answer)
        })
    }

    fn of(&self, path: &str) -> Option<&Handler> {
        let is_below = |own: &str| path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.all.iter().find(|(own, _)| is_below(own)).map(|(_, handler)| handler)
    }
}

/// A plain text.
pub fn text(status: StatusCode, said: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(said.into()));
    *answer.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    answer
}

/// Whether a request names this machine, as far as it names any. A page that somebody browses cannot read what is served
/// to everybody on loopback by giving its own name the address 127.0.0.1.
fn is_meant(request: &Request<Incoming>) -> bool {
    let Some(host) = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()) else { return true };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// Serves until it is dropped, and every client with it.
pub async fn serve(listener: TcpListener, routes: Routes) {
    serve_patiently(listener, routes, PATIENCE).await;
}

async fn serve_patiently(listener: TcpListener, routes: Routes, patience: (Duration, Duration)) {
    let clock = SystemClock::default();
    let room = Arc::new(Semaphore::new(CLIENTS));
    let mut clients = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        while clients.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Too many descriptors, or a client that left while it waited.
            clock.sleep_until(clock.mono() + Duration::from_millis(100)).await;
            continue;
        };
        let routes = routes.clone();
        clients.spawn(async move {
            let answer = service_fn(|request: Request<Incoming>| {
                let is_long = request.body().size_hint().lower() > BODY;
                let answer = routes.of(request.uri().path()).filter(|_| !is_long).map(|handler| handler(request));
                async move {
                    Ok::<Answer, Infallible>(match answer {
                        Some(answer) => answer.await,
                        None if is_long => {
                            text(StatusCode::PAYLOAD_TOO_LARGE, format!("a request has at most {BODY} bytes\n"))
                        }
                        None => text(StatusCode::NOT_FOUND, "there is nothing here\n"),
                    })
                }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(patience.0)
                .max_headers(MOST_HEADERS)
                .max_buf_size(HEADER_BYTES)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), answer);
            // A client that is slow, or talks nonsense, is dropped, and nobody else hears of it.
            let _ = timeout(patience.1, served).await;
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt as _, Limited};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    async fn served() -> (SocketAddr, tokio::task::JoinHandle<()>) {
        served_patiently(PATIENCE).await
    }

    async fn served_patiently(patience: (Duration, Duration)) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Routes::at(address).read("/healthz", || (StatusCode::OK, "well\n".to_owned())).mount(
            "/v1/echo",
            |request: Request<Incoming>| async {
                match Limited::new(request.into_body(), 9).collect().await {
                    Ok(whole) => text(StatusCode::OK, whole.to_bytes()),
                    Err(_) => text(StatusCode::BAD_REQUEST, "no\n"),
                }
            },
        );
        (address, tokio::spawn(serve_patiently(listener, routes, patience)))
    }

    /// The first line and the body of what is answered to this.
    async fn asked(address: SocketAddr, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // It may have been answered, and closed, before all of it was sent.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
        let said = String::from_utf8(said).unwrap();
        let (head, body) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
        (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
    }

    async fn get(address: SocketAddr, path: &str) -> (String, String) {
        asked(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")).await
    }

    #[tokio::test]
    async fn paths_are_answered_by_whom_they_belong_to() {
        let (address, _serving) = served().await;
        assert_eq!(get(address, "/healthz").await, ("HTTP/1.1 200 OK".to_owned(), "well\n".to_owned()));
        for path in ["/", "/healthz/x", "/healthzz", "/v1", "/../healthz"] {
            assert_eq!(get(address, path).await.0, "HTTP/1.1 404 Not Found", "{path}");
        }
        let post = "POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(asked(address, post).await.0, "HTTP/1.1 405 Method Not Allowed");
        let post = "POST /v1/echo/below HTTP/1.1\r\nHost: localhost:1\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(asked(address, post).await.1, "hello");
    }

    #[tokio::test]
    async fn what_is_too_much_is_refused() {
        let (address, _serving) = served().await;
        let large = "x".repeat(BODY as usize + 1);
        let length = large.len();
        let post = format!("POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{large}");
        assert_eq!(asked(address, &post).await.0, "HTTP/1.1 413 Payload Too Large");
        let long = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(HEADER_BYTES));
        assert_eq!(asked(address, &long).await.0, "HTTP/1.1 431 Request Header Fields Too Large");
        let many = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(MOST_HEADERS));
        assert_eq!(asked(address, &many).await.0, "HTTP/1.1 431 Request Header Fields Too Large");
        assert_eq!(asked(address, "nonsense\r\n\r\n").await.0, "HTTP/1.1 400 Bad Request");
    }

    #[tokio::test]
    async fn another_name_for_loopback_is_refused() {
        let (address, _serving) = served().await;
        for (host, status) in [
            ("localhost", "200"),
            ("LOCALHOST:9465", "200"),
            ("127.0.0.1", "200"),
            ("[::1]:9465", "200"),
            ("evil.example", "421"),
            ("evil.example:9465", "421"),
            ("127.0.0.1.evil.example", "421"),
        ] {
            let (head, _) = asked(address, &format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
            assert!(head.contains(status), "{host}: {head}");
            // Whoever must show a secret may come through a proxy that has a name.
            let post = format!("POST /v1/echo HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\nhi");
            assert_eq!(asked(address, &post).await.1, "hi", "{host}");
        }
    }

    #[tokio::test]
    async fn a_client_that_is_slow_is_dropped_and_makes_room() {
        let (address, _serving) = served_patiently((Duration::from_millis(50), Duration::from_millis(100))).await;
        let mut silent = Vec::new();
        for slow in 0..CLIENTS + 3 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // Some stop within their headers, the others within a body.
            let begun = if slow % 2 == 0 { "Content-" } else { "Content-Length: 5\r\n\r\nhel" };
            stream.write_all(format!("POST /v1/echo HTTP/1.1\r\n{begun}").as_bytes()).await.unwrap();
            silent.push(stream);
        }
        assert_eq!(get(address, "/healthz").await.0, "HTTP/1.1 200 OK");
        for mut stream in silent {
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said).await;
            assert!(!said.starts_with(b"HTTP/1.1 200"));
        }
    }

    #[tokio::test]
    async fn nobody_is_served_any_more_when_it_is_dropped() {
        let (address, serving) = served().await;
        let mut waiting = TcpStream::connect(address).await.unwrap();
        waiting.write_all(b"GET /hea").await.unwrap();
        assert_eq!(get(address, "/healthz").await.0, "HTTP/1.1 200 OK");
        serving.abort();
        let _ = serving.await;
        let mut said = Vec::new();
        let _ = waiting.read_to_end(&mut said).await;
        assert!(said.is_empty());
        assert!(TcpStream::connect(address).await.is_err());
    }
}
