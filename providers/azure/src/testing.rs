//! A server of canned answers on loopback, for tests.

use crate::{Config, arm::Azure, auth::Env, universe};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};
use sweeper_core::{
    calls::{Calls, Limits},
    clock::SystemClock,
    inventory::{Inventory, InventoryBuilder},
    kind::{CloudError, Kind},
    model::{CloudId, Scope},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// The subscription of tests.
pub(crate) const SUB: &str = "11111111-1111-1111-1111-111111111111";

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// Status, further header lines, body. JSON unless a header line says otherwise.
pub(crate) type Canned = (u16, String, String);

type Answers = dyn Fn(&Asked) -> Canned + Send + Sync;

/// A server on a free port, until dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    log: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Canned + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (answer, kept): (Arc<Answers>, _) = (Arc::new(answer), Arc::clone(&log));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&answer), Arc::clone(&kept)));
            }
        });
        Self { url, log, task }
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Azure, connected to it, about one subscription.
    pub(crate) fn azure(&self) -> (Arc<Azure>, Calls) {
        let limits = Limits { tries: 2, backoff: std::time::Duration::from_millis(1), ..Limits::default() };
        let calls = Calls::new(Arc::new(SystemClock::default()), limits);
        let config = Config { endpoint: Some(self.url.clone()), ..Config::default() };
        let azure = universe::open(&config, &Env::default(), calls.clone()).unwrap();
        azure.about(&BTreeSet::from([SUB.to_owned()]));
        (Arc::new(azure), calls)
    }

    /// Lists kinds, one after the other, into an inventory.
    pub(crate) async fn inventory(
        &self,
        make: impl Fn(&Arc<Azure>) -> Vec<Arc<dyn Kind>>,
    ) -> Result<Inventory, CloudError> {
        let (azure, calls) = self.azure();
        let kinds = make(&azure);
        let specs: Vec<_> = kinds.iter().map(|kind| kind.spec()).collect();
        let mut builder = InventoryBuilder::new(&specs);
        let scope = Scope::new(CloudId::Azure, SUB, Scope::GLOBAL);
        for kind in kinds {
            let mut listing = builder.listing(kind.spec(), &scope);
            kind.enumerate(&calls.site(&scope), &mut listing).await?;
            builder.complete(listing, 1);
        }
        Ok(builder.build())
    }
}

async fn serve(mut stream: TcpStream, answer: Arc<Answers>, log: Arc<Mutex<Vec<Asked>>>) {
    let mut buffer = Vec::new();
    let mut chunk = [0_u8; 8192];
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read(&mut chunk).await {
                Ok(read) if read > 0 => buffer.extend_from_slice(&chunk[..read]),
                _ => return,
            }
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end);
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ');
        let mut asked = Asked { path: words.nth(1).unwrap_or_default().to_owned(), ..Asked::default() };
        for line in lines {
            if let Some((name, value)) = line.split_once(':') {
                asked.headers.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
            }
        }
        let length = asked.headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while buffer.len() < length {
            match stream.read(&mut chunk).await {
                Ok(read) if read > 0 => buffer.extend_from_slice(&chunk[..read]),
                _ => return,
            }
        }
        asked.body = String::from_utf8_lossy(&buffer[..length]).into_owned();
        buffer.drain(..length);
        let (status, headers, body) = answer(&asked);
        log.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        let kind = if headers.to_ascii_lowercase().contains("content-type:") {
            ""
        } else {
            "content-type: application/json\r\n"
        };
        let head = format!("HTTP/1.1 {status} X\r\n{kind}{headers}content-length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).await.is_err() || stream.write_all(body.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A page of a list.
pub(crate) fn page(items: &str) -> Canned {
    (200, String::new(), format!("{{\"value\":[{items}]}}"))
}

/// An error in Resource Manager's words.
pub(crate) fn error(status: u16, code: &str) -> Canned {
    (status, String::new(), format!("{{\"error\":{{\"code\":\"{code}\",\"message\":\"no\"}}}}"))
}

/// Answers as a subscription without locks, to an owner, in which lists hold these items, by the type in their path.
/// Resource Graph is not there.
pub(crate) fn lists(
    items: &'static [(&'static str, &'static str)],
) -> impl Fn(&Asked) -> Canned + Send + Sync + 'static {
    move |asked| {
        let path = asked.path.split('?').next().unwrap_or_default();
        if path.ends_with("/Microsoft.Authorization/permissions") {
            return page(r#"{"actions":["*"],"notActions":[],"dataActions":["*"],"notDataActions":[]}"#);
        }
        if path.ends_with("/Microsoft.Authorization/locks") {
            return page("");
        }
        match items.iter().find(|(of, _)| path.ends_with(of)) {
            Some((_, items)) => page(items),
            None => error(404, "NotFound"),
        }
    }
}
