//! A server of canned answers on loopback, and a provider that talks to it: for tests.

use crate::auth::{Config, connect};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};
use sweeper_core::{
    calls::{Calls, Limits},
    clock::SystemClock,
    inventory::{Inventory, InventoryBuilder},
    kind::{Cloud, CloudError},
    model::{CloudId, Scope},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// The project of every test.
pub(crate) const PROJECT: &str = "p";

/// What the server says to a request line: status, more headers, body.
type Say = dyn Fn(&str) -> (u16, &'static str, String) + Send + Sync;

/// A provider in front of canned answers.
pub(crate) struct Canned {
    pub(crate) cloud: Arc<dyn Cloud>,
    pub(crate) calls: Calls,
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    /// Answers every request by its line (`GET /compute/v1/… HTTP/1.1`).
    pub(crate) async fn new(say: impl Fn(&str) -> (u16, &'static str, String) + Send + Sync + 'static) -> Self {
        Self::with(Config { projects: BTreeSet::from([PROJECT.to_owned()]), ..Config::default() }, say).await
    }

    pub(crate) async fn with(
        config: Config,
        say: impl Fn(&str) -> (u16, &'static str, String) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        tokio::spawn(serve(listener, Arc::new(say), Arc::clone(&requests)));
        let calls = Calls::new(Arc::new(SystemClock::default()), Limits::default());
        let cloud = connect(Config { endpoint: Some(endpoint.clone()), ..config }, calls.clone()).await;
        Self { cloud, calls, url: endpoint, requests }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Lists one kind in the project.
    pub(crate) async fn list(&self, id: &str) -> Result<Inventory, CloudError> {
        let kind = self.cloud.kinds().iter().find(|kind| kind.spec().id == id).unwrap();
        let mut builder = InventoryBuilder::new(&[kind.spec()]);
        let scope = Scope::new(CloudId::Gcp, PROJECT, Scope::GLOBAL);
        let site = self.calls.site(&scope);
        let mut listing = builder.listing(kind.spec(), &scope);
        kind.enumerate(&site, &mut listing).await?;
        builder.complete(listing, site.made());
        Ok(builder.build())
    }

    /// Request lines so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(listener: TcpListener, say: Arc<Say>, requests: Arc<Mutex<Vec<String>>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let (say, requests) = (Arc::clone(&say), Arc::clone(&requests));
        tokio::spawn(async move {
            let mut read = Vec::new();
            let mut chunk = [0; 8192];
            loop {
                let end = loop {
                    if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                        break at + 4;
                    }
                    match stream.read(&mut chunk).await {
                        Ok(count) if count > 0 => read.extend_from_slice(&chunk[..count]),
                        _ => return,
                    }
                };
                let head = String::from_utf8_lossy(&read[..end]).into_owned();
                let length = head.lines().find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok()
                });
                let whole = end + length.unwrap_or(0);
                while read.len() < whole {
                    match stream.read(&mut chunk).await {
                        Ok(count) if count > 0 => read.extend_from_slice(&chunk[..count]),
                        _ => return,
                    }
                }
                read.drain(..whole);
                let line = head.lines().next().unwrap_or_default().to_owned();
                let (status, headers, body) = say(&line);
                requests.lock().unwrap().push(line);
                let answer = if status == 0 {
                    body
                } else {
                    let length = body.len();
                    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
                };
                if stream.write_all(answer.as_bytes()).await.is_err() || status == 0 {
                    return;
                }
            }
        });
    }
}
