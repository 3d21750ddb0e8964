//! The book of list prices, and a newer one from the three price APIs, which a server of this machine stands for.

use super::{Place, Ran, text};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};
use sweeper_bill::prices::PriceBook;
use sweeper_core::{kind::Prices as _, model::CloudId};

/// Answers as they were recorded for the tests of what they mean.
fn recorded(name: &str) -> String {
    fs::read_to_string(format!("{}/../bill/tests/price_lists/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A request's path, its query with it, as it stands in the first line; and the key it came with.
#[derive(Clone, Debug)]
struct Asked {
    path: String,
    key: Option<String>,
}

/// Status and body. A body that is cut has less than its length says.
struct Answer {
    status: u16,
    body: String,
    cut: bool,
}

impl Answer {
    fn ok(body: String) -> Self {
        Self { status: 200, body, cut: false }
    }
}

/// What the three APIs answer.
fn good(asked: &Asked) -> Answer {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let body = match path {
        "/api/retail/prices" => return Answer::ok(meters(query)),
        "/v1/services/6F81-5844-456A/skus" if query.contains("pageToken=") => recorded("gcp-compute-2.json"),
        "/v1/services/6F81-5844-456A/skus" => recorded("gcp-compute-1.json"),
        "/v1/services/149C-F9EC-3994/skus" => recorded("gcp-artifacts.json"),
        _ => {
            let offer = path
                .strip_prefix("/offers/v1.0/aws/")
                .and_then(|rest| rest.strip_suffix("/current/us-east-1/index.csv"));
            let Some(offer) = offer else { return Answer { status: 404, body: String::new(), cut: false } };
            recorded(&format!("aws-{offer}.csv"))
        }
    };
    Answer::ok(body)
}

/// The meters of a filter, two a page.
fn meters(query: &str) -> String {
    let filter = query.replace("%27", "'").replace('+', " ").replace("%20", " ");
    let items: Vec<Value> = ["azure-1.json", "azure-2.json"]
        .iter()
        .flat_map(|name| {
            let page: Value = serde_json::from_str(&recorded(name)).unwrap();
            page["Items"].as_array().unwrap().clone()
        })
        .filter(|item| {
            let is = |field: &str, name: &str| {
                let value = item[field].as_str().unwrap();
                !filter.contains(&format!("{name} eq")) || filter.contains(&format!("{name} eq '{value}'"))
            };
            is("serviceName", "serviceName") && is("productName", "productName") && is("armRegionName", "armRegionName")
        })
        .collect();
    let skip: usize = query.rsplit_once("skip=").map_or(0, |(_, skip)| skip.parse().unwrap());
    let page: Vec<&Value> = items.iter().skip(skip).take(2).collect();
    let plain = query.split("&$skip=").next().unwrap();
    let next = (skip + 2 < items.len())
        .then(|| format!("https://prices.azure.com:443/api/retail/prices?{plain}&$skip={}", skip + 2));
    json!({ "BillingCurrency": "USD", "Items": page, "NextPageLink": next, "Count": page.len() }).to_string()
}

/// A server for as long as the test's process lives; every connection has one request.
struct Server {
    url: String,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    fn start(answer: impl Fn(&Asked) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(asked) = request(&stream) else { continue };
                own.lock().unwrap().push(asked.clone());
                let Answer { status, body, cut } = answer(&asked);
                let sent = if cut { &body[..body.len() / 2] } else { &body };
                let head =
                    format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent.as_bytes()));
            }
        });
        Self { url, log }
    }

    fn refresh(&self, place: &Place, arguments: &[&str]) -> Ran {
        let mut all = vec!["prices", "refresh", "--output", "book.toml"];
        all.extend(arguments);
        let mut command = place.command(&all);
        command.env("SWEEPER_PRICES_ENDPOINT", &self.url).env("GOOGLE_API_KEY", "key-of-a-test");
        Ran::of(&command.output().unwrap())
    }
}

fn request(stream: &TcpStream) -> Option<Asked> {
    let mut lines = BufReader::new(stream.take(1 << 16)).lines();
    let first = lines.next()?.ok()?;
    let mut key = None;
    for line in lines {
        let line = line.ok()?;
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("x-goog-api-key") => key = Some(value.to_owned()),
            Some(_) => {}
            None => break,
        }
    }
    Some(Asked { path: first.split(' ').nth(1)?.to_owned(), key })
}

const WHERE: [&str; 2] = ["--region", "us-east-1,eastus,us-central1"];

fn book(place: &Place) -> PriceBook {
    PriceBook::parse(&fs::read_to_string(place.path("book.toml")).unwrap()).unwrap()
}

#[test]
fn a_refreshed_book_is_the_apis_own_and_the_same_bytes_again() {
    let (server, place) = (Server::start(good), Place::new());
    let ran = server.refresh(&place, &WHERE);
    ran.ended(0);
    assert!(ran.err.contains("refreshed prices in book.toml"), "{}", ran.err);
    assert!(!ran.err.contains("key-of-a-test"), "{}", ran.err);
    let first = fs::read(place.path("book.toml")).unwrap();
    let own = book(&place);
    for (cloud, region, key, usd) in [
        (CloudId::Aws, "us-east-1", "vpce.hour", "0.01"),
        (CloudId::Aws, "us-east-1", "ebs.gp3.mibps-month", "0.04"),
        (CloudId::Azure, "eastus", "nat.hour", "0.045"),
        (CloudId::Azure, "eastus", "disk.e30-lrs.month", "76.8"),
        (CloudId::Gcp, "us-central1", "disk.pd-standard.gib-month", "0.04"),
        (CloudId::Gcp, "us-central1", "artifact-registry.gb-month", "0.1"),
    ] {
        assert_eq!(own.unit(cloud, region, key).unwrap().to_string(), usd, "{key}");
    }
    assert!(own.iter().all(|price| price.refreshed.is_some()));
    server.refresh(&place, &WHERE).ended(0);
    assert_eq!(fs::read(place.path("book.toml")).unwrap(), first);
    // Only Google Cloud sees the key, and nobody in a URL.
    let log = server.log.lock().unwrap().clone();
    for asked in &log {
        assert_eq!(asked.key.is_some(), asked.path.starts_with("/v1/"), "{asked:?}");
        assert!(!asked.path.contains("key-of-a-test"), "{asked:?}");
    }
    assert!(log.iter().any(|asked| asked.path.contains("pageToken=ChZuZXh0LXBhZ2Utb2Ytc2t1cw")), "{log:?}");
    assert!(log.iter().any(|asked| asked.path.contains("skip=2")), "{log:?}");
}

#[test]
fn a_cloud_that_fails_keeps_its_prices_and_the_others_have_theirs() {
    let place = Place::new();
    Server::start(good).refresh(&place, &WHERE).ended(0);
    let before = book(&place);
    let of =
        |book: &PriceBook, cloud: CloudId| -> Vec<_> { book.iter().filter(|p| p.cloud == cloud).cloned().collect() };
    type Bad = fn(&Asked) -> Answer;
    let missing: Bad = |asked| match good(asked) {
        answer if !asked.path.contains("/AmazonS3/") => answer,
        answer => Answer { status: 404, ..answer },
    };
    let cut: Bad = |asked| Answer { cut: asked.path.contains("AmazonEC2"), ..good(asked) };
    let half: Bad = |asked| match good(asked) {
        answer if asked.path.starts_with("/api/") => Answer::ok(answer.body[..answer.body.len() - 9].to_owned()),
        answer => answer,
    };
    let around: Bad = |asked| match good(asked) {
        answer if asked.path.starts_with("/v1/services/6F81") => Answer::ok(
            answer.body.replace("\"nextPageToken\": \"\"", "\"nextPageToken\": \"ChZuZXh0LXBhZ2Utb2Ytc2t1cw\""),
        ),
        answer => answer,
    };
    for (bad, cloud, words) in [
        (missing, CloudId::Aws, "AmazonS3 of us-east-1: HTTP 404"),
        (cut, CloudId::Aws, "AmazonEC2 of us-east-1: it broke off"),
        (half, CloudId::Azure, "retail prices of eastus: no page"),
        (around, CloudId::Gcp, "a page names itself or an earlier one as the next"),
    ] {
        // A row of the others that is told apart from what they answer.
        let old = before.to_string().replace("usd = \"0.045\"", "usd = \"9\"").replace("usd = \"0.17\"", "usd = \"9\"");
        place.write("book.toml", &old);
        let old = book(&place);
        let ran = Server::start(bad).refresh(&place, &WHERE);
        ran.ended(3);
        assert!(
            ran.err.contains(&format!("{} is not refreshed, and keeps the prices it had", cloud.name())),
            "{}",
            ran.err
        );
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
        // A price that moved far is told.
        assert!(ran.err.contains("was 9 and is "), "{}", ran.err);
        for other in CloudId::ALL {
            let expected = if other == cloud { &old } else { &before };
            assert_eq!(of(&book(&place), other), of(expected, other), "{words}");
        }
    }
    assert_eq!(place.names(), ["book.toml"]);
}

#[test]
fn nothing_is_written_when_nothing_was_answered() {
    let place = Place::new();
    let ran = Server::start(|_| Answer { status: 403, body: String::new(), cut: false }).refresh(&place, &WHERE);
    ran.failed(3, &["no price was refreshed: nothing was written", "HTTP 403"]);
    assert!(place.names().is_empty());
    // Without a key there is no catalog; the rest is whole.
    let server = Server::start(good);
    let mut command = place.command(&["prices", "refresh", "--output", "book.toml", WHERE[0], WHERE[1]]);
    let ran = Ran::of(&command.env("SWEEPER_PRICES_ENDPOINT", &server.url).output().unwrap());
    ran.ended(3);
    assert!(ran.err.contains("gcp is not refreshed") && ran.err.contains("GOOGLE_API_KEY is not set"), "{}", ran.err);
    assert!(book(&place).iter().all(|price| price.cloud != CloudId::Gcp));
    // Two prices for one key are none.
    let two = |asked: &Asked| {
        let answer = good(asked);
        if asked.path.contains("AmazonVPC") {
            Answer::ok(answer.body.replacen("0.0050000000", "0.0060000000", 1))
        } else {
            answer
        }
    };
    let ran = Server::start(two).refresh(&place, &["--cloud", "aws", "--region", "us-east-1"]);
    ran.ended(3);
    assert!(
        ran.err.contains("ipv4.hour in us-east-1 keeps the price it had: AWS Price List, AmazonVPC SKU"),
        "{}",
        ran.err
    );
    for (arguments, words) in [
        (&["--cloud", "azure", "--region", "us-east-1"][..], "`us-east-1` is no region that azure could have"),
        (&["--cloud", "oracle"], "oracle"),
        (&["--state", "memory:", "--output", "."], "failed to write the price book"),
    ] {
        let mut all = vec!["prices", "refresh"];
        all.extend(arguments);
        place.run(&all).failed(2, &[words]);
    }
    place.run(&["prices", "refresh", "--state", "memory:"]).failed(2, &["has no place", "--output FILE"]);
    let mut command = place.command(&["prices", "refresh", "--output", "x.toml"]);
    let ran = Ran::of(&command.env("SWEEPER_PRICES_ENDPOINT", "http://10.0.0.1:1").output().unwrap());
    ran.failed(2, &["SWEEPER_PRICES_ENDPOINT is not plain http of this machine"]);
}

#[test]
fn the_book_in_use_is_shown_with_day_and_source() {
    let place = Place::new();
    let shown = place.run(&["prices", "show", "--cloud", "aws", "--key", "EBS.gp3.*"]);
    for part in ["CLOUD", "ebs.gp3.gb-month", "0.08", "3000", "2024-07-01", "list", "infracost"] {
        assert!(shown.ended(0).contains(part), "{part}: {}", shown.out);
    }
    assert!(!shown.out.contains("nat.hour") && !shown.out.contains("eastus"), "{}", shown.out);
    Server::start(good).refresh(&place, &WHERE).ended(0);
    place.write("sweeper.toml", "[prices]\nbook = \"book.toml\"\nlive = true\n");
    let shown = |more: &[&str]| -> Value {
        let mut all = vec!["prices", "show", "--format", "json"];
        all.extend(more);
        serde_json::from_str(place.run(&all).ended(0)).unwrap()
    };
    let row = &shown(&["--region", "us-east-1", "--key", "nat.hour"])["prices"][0];
    assert_eq!((&row["basis"], &row["usd"]), (&json!("live"), &json!("0.045")));
    assert!(row["source"].as_str().unwrap().starts_with("AWS Price List"), "{row}");
    // What no API was asked for stands beneath.
    let rows = shown(&["--key", "snapshot.archive.*"]);
    assert_eq!(rows["prices"][0]["basis"], json!("list"));
    place.write("book.toml", "[[price]]\n");
    place
        .run(&["prices", "show"])
        .failed(2, &["failed to read the price book", text(&place.path("book.toml")).rsplit('/').next().unwrap()]);
    fs::remove_file(place.path("book.toml")).unwrap();
    let ran = place.run(&["prices", "show"]);
    ran.ended(0);
    assert!(ran.err.contains("book.toml is not there yet"), "{}", ran.err);
}
