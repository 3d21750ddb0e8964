//! What the framework promises, against canned answers; and what is done, against the emulator.

mod acts;

use crate::{
    Config,
    arm::Azure,
    auth::Env,
    entity::{Entity, Sort},
    graph, kinds,
    testing::{Canned, SUB, Server, error, lists, page},
    universe,
};
use std::{collections::BTreeSet, sync::Arc};
use sweeper_core::{
    calls::{Calls, Limits, Site},
    clock::SystemClock,
    inventory::{InventoryBuilder, Listing, Status},
    kind::{CloudError, Fault},
    model::{Class, CloudId, Scope},
};

const ADDRESSES: &str = "Microsoft.Network/publicIPAddresses";
const OP: &str = "Microsoft.Network/publicIPAddresses/read";

static SORT: Sort = Sort { op: OP, table: "resources", of: ADDRESSES, columns: "sku", filter: "", api: "2024-05-01" };

fn address(name: &str) -> String {
    format!(
        r#"{{"id":"/subscriptions/{SUB}/resourceGroups/RG/providers/{ADDRESSES}/{name}","name":"{name}","location":"East US",
        "tags":{{"owner":"a"}},"sku":{{"name":"Standard"}},"properties":{{"ipAddress":"203.0.113.1"}}}}"#
    )
}

fn ok(body: String) -> Canned {
    (200, String::new(), body)
}

fn scope() -> Scope {
    Scope::new(CloudId::Azure, SUB, Scope::GLOBAL)
}

fn site(calls: &Calls) -> Site {
    calls.site(&scope())
}

async fn listed(server: &Server) -> Result<Vec<Entity<serde_json::Value>>, CloudError> {
    let (azure, calls) = server.azure();
    let path = format!("/subscriptions/{SUB}/providers/{ADDRESSES}");
    azure.list(&site(&calls), OP, &path, "2024-05-01").await
}

#[tokio::test]
async fn pages_are_joined_and_circles_end() {
    let server = Server::start(|asked| {
        assert_eq!(asked.headers["host"], "management.azure.com");
        assert_eq!(asked.headers["authorization"], "Bearer emulator");
        if asked.path.contains("skip") {
            page(&address("b"))
        } else {
            ok(format!(r#"{{"value":[{}],"nextLink":"https://management.azure.com/x?skip=1"}}"#, address("a")))
        }
    })
    .await;
    let names: Vec<String> = listed(&server).await.unwrap().iter().map(|one| one.name().to_owned()).collect();
    assert_eq!(names, ["a", "b"]);
    let circle =
        Server::start(|_| ok(r#"{"value":[],"nextLink":"https://management.azure.com/x?skip=1"}"#.to_owned())).await;
    assert_eq!(listed(&circle).await.unwrap_err().fault, Fault::Malformed);
}

#[tokio::test]
async fn a_token_never_follows_a_link_elsewhere() {
    let thief = Server::start(|_| page("")).await;
    let evil = thief.url.clone();
    let server = Server::start(move |_| ok(format!(r#"{{"value":[],"nextLink":"{evil}/steal"}}"#))).await;
    let error = listed(&server).await.unwrap_err();
    assert_eq!(error.fault, Fault::Malformed);
    assert!(error.message.contains("another host"), "{error}");
    assert!(thief.asked().is_empty());
}

#[tokio::test]
async fn what_is_no_list_is_no_empty_list() {
    for (canned, fault) in [
        (ok("{}".to_owned()), Fault::Malformed),
        (ok(r#"{"value":null}"#.to_owned()), Fault::Malformed),
        (ok(r#"{"value":["#.to_owned()), Fault::Malformed),
        (ok("[]".to_owned()), Fault::Malformed),
        (ok(String::new()), Fault::Malformed),
        ((200, "content-type: text/html\r\n".to_owned(), "<html>".to_owned()), Fault::Malformed),
        ((200, "content-type: text/plain\r\n".to_owned(), "{\"value\":[]}".to_owned()), Fault::Malformed),
        ((302, "location: https://evil.example/\r\n".to_owned(), String::new()), Fault::Malformed),
        (error(403, "AuthorizationFailed"), Fault::Denied),
        (error(429, "TooManyRequests"), Fault::Throttled),
        (error(404, "SubscriptionNotFound"), Fault::NotFound),
    ] {
        let said = format!("{canned:?}");
        let server = Server::start(move |_| canned.clone()).await;
        assert_eq!(listed(&server).await.unwrap_err().fault, fault, "{said}");
    }
}

#[tokio::test]
async fn an_endpoint_of_another_protocol_is_said_soon() {
    use tokio::{io::AsyncWriteExt as _, net::TcpListener};
    for word in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], &b""[..]] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let mut kept = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(word).await.unwrap();
                kept.push(stream);
            }
        });
        let calls = Calls::new(Arc::new(SystemClock::default()), Limits::default());
        let config = Config { endpoint: Some(url), ..Config::default() };
        let azure = universe::open(&config, &Env::default(), calls.clone()).unwrap();
        let started = calls.clock().mono();
        let answer: Result<Vec<serde_json::Value>, _> = azure.list(&site(&calls), OP, "/x", "1").await;
        assert_eq!(answer.unwrap_err().fault, Fault::Malformed);
        assert!(calls.clock().mono().saturating_sub(started) < std::time::Duration::from_secs(2));
        task.abort();
    }
}

#[tokio::test]
async fn a_stand_in_is_on_this_machine_and_sees_no_real_token() {
    let calls = || Calls::new(Arc::new(SystemClock::default()), Limits::default());
    let open = |pairs: &[(&str, &str)]| universe::open(&Config::default(), &Env::of(pairs), calls());
    assert!(open(&[("SWEEPER_AZURE_ENDPOINT", "http://10.0.0.1:80")]).is_err());
    assert!(open(&[("SWEEPER_AZURE_ENDPOINT_ARM", "https://localhost:1")]).is_err());
    let azure = open(&[
        ("SWEEPER_AZURE_ENDPOINT_ARM", "http://127.0.0.1:9"),
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "s"),
    ])
    .ok()
    .unwrap();
    assert_eq!(azure.arm_token(OP).await.unwrap(), "emulator");
}

/// Lists the addresses and says what is known of the listing.
async fn listing(server: &Server, wanted: &[&str]) -> (Vec<String>, Status, Vec<String>, Vec<String>) {
    let (azure, calls) = server.azure();
    if !wanted.is_empty() {
        azure.about(&wanted.iter().map(|id| (*id).to_owned()).collect());
    }
    let kinds = kinds::all(&azure);
    let kind = kinds.iter().find(|kind| kind.spec().id == "azure.network-public-ip").unwrap();
    let mut builder = InventoryBuilder::new(&[kind.spec()]);
    let mut listing: Listing = builder.listing(kind.spec(), &scope());
    kind.enumerate(&site(&calls), &mut listing).await.unwrap();
    builder.complete(listing, 1);
    let inventory = builder.build();
    let covered = inventory.covered(kind.spec().id, &scope()).unwrap();
    let ids = inventory.of_class(Class::Address).map(|one| one.name().to_owned()).collect();
    let protected = inventory.of_class(Class::Address).map(|one| one.protected().to_owned()).collect();
    (ids, covered.status.clone(), covered.hidden.iter().cloned().collect(), protected)
}

#[tokio::test]
async fn without_the_right_at_the_root_rows_stay_and_the_kind_is_blind() {
    let answers = |rights: Canned| {
        move |asked: &crate::testing::Asked| {
            if asked.path.contains("/permissions?") {
                rights.clone()
            } else if asked.path.contains("/locks?") {
                page("")
            } else if asked.path.contains("/publicIPAddresses?") {
                page(&address("a"))
            } else {
                error(404, "NotFound")
            }
        }
    };
    let reader = page(r#"{"actions":["*/read"],"notActions":[]}"#);
    let (ids, status, hidden, protected) = listing(&Server::start(answers(reader)).await, &[]).await;
    assert_eq!((ids.len(), status, hidden.len(), protected[0].as_str()), (1, Status::Complete, 0, ""));
    for (rights, word) in [
        (page(r#"{"actions":["Microsoft.Compute/*/read"]}"#), "only what this identity sees"),
        (page(""), "only what this identity sees"),
        (error(404, "NotFound"), "rights not readable"),
        (error(403, "AuthorizationFailed"), "rights not readable"),
    ] {
        let (ids, status, ..) = listing(&Server::start(answers(rights)).await, &[]).await;
        assert_eq!(ids, ["a"]);
        assert!(matches!(&status, Status::Blind { why } if why.contains(word)), "{status:?}");
    }
}

#[tokio::test]
async fn unreadable_locks_protect_and_are_said() {
    let server = Server::start(|asked| {
        if asked.path.contains("/locks?") { error(403, "AuthorizationFailed") } else { lists(&[])(asked) }
    })
    .await;
    let (.., hidden, _) = listing_of(&server).await;
    assert_eq!(hidden, ["denied Microsoft.Authorization/locks/read"]);
}

async fn listing_of(server: &Server) -> (Vec<String>, Status, Vec<String>, Vec<String>) {
    let (azure, calls) = server.azure();
    let mut builder = InventoryBuilder::new(crate::kinds::SPECS);
    let spec = crate::kinds::SPECS.iter().find(|spec| spec.id == "azure.network-public-ip").unwrap();
    let mut listing = builder.listing(spec, &scope());
    azure.around(&site(&calls), OP, &mut listing).await;
    builder.complete(listing, 1);
    let inventory = builder.build();
    let covered = inventory.covered(spec.id, &scope()).unwrap();
    (Vec::new(), covered.status.clone(), covered.hidden.iter().cloned().collect(), Vec::new())
}

#[tokio::test]
async fn one_query_speaks_for_every_subscription() {
    let other = "22222222-2222-2222-2222-222222222222";
    let rows = [address("a"), address("b").replace(SUB, other), address("c")];
    let server = Server::start(move |asked| {
        let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap_or_default();
        match body["options"]["$skipToken"].as_str() {
            None => {
                ok(format!(r#"{{"totalRecords":3,"resultTruncated":"false","data":[{}],"$skipToken":"x"}}"#, rows[0]))
            }
            Some(_) => {
                ok(format!(r#"{{"totalRecords":3,"resultTruncated":"false","data":[{},{}]}}"#, rows[1], rows[2]))
            }
        }
    })
    .await;
    let (azure, calls) = open(&server, &[SUB, other]);
    let of = |id: &str| calls.site(&Scope::new(CloudId::Azure, id, Scope::GLOBAL));
    let first: Vec<Entity<serde_json::Value>> = graph::rows(&azure, &of(SUB), &SORT).await.unwrap();
    let second: Vec<Entity<serde_json::Value>> = graph::rows(&azure, &of(&other.to_uppercase()), &SORT).await.unwrap();
    assert_eq!((first.len(), second.len()), (2, 1));
    assert_eq!(server.asked().len(), 2, "two pages, once");
    let asked: serde_json::Value = serde_json::from_str(&server.asked()[0].body).unwrap();
    assert_eq!(asked["subscriptions"], serde_json::json!([SUB, other]));
    assert!(asked["query"].as_str().unwrap().contains("where type =~ 'microsoft.network/publicipaddresses'"));
}

fn open(server: &Server, ids: &[&str]) -> (Arc<Azure>, Calls) {
    let limits = Limits { tries: 3, backoff: std::time::Duration::from_millis(1), ..Limits::default() };
    let calls = Calls::new(Arc::new(SystemClock::default()), limits);
    let config = Config { endpoint: Some(server.url.clone()), ..Config::default() };
    let azure = universe::open(&config, &Env::default(), calls.clone()).unwrap();
    azure.about(&ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>());
    (Arc::new(azure), calls)
}

#[tokio::test]
async fn resource_graph_that_fails_is_no_list() {
    for answer in [
        error(404, "NotFound"),
        error(405, "MethodNotAllowed"),
        error(403, "AccessDenied"),
        ok("{}".to_owned()),
        ok(r#"{"data":null}"#.to_owned()),
        ok(r#"{"data":{"columns":[],"rows":[]}}"#.to_owned()),
        ok(r#"{"totalRecords":5000,"data":[]}"#.to_owned()),
        ok(r#"{"resultTruncated":"true","data":[]}"#.to_owned()),
        ok(format!(r#"{{"data":[{}]}}"#, address("a").replace(SUB, "33333333-3333-3333-3333-333333333333"))),
        (200, "content-type: text/html\r\n".to_owned(), "<html>".to_owned()),
    ] {
        let said = format!("{answer:?}");
        let server = Server::start(move |_| answer.clone()).await;
        let (azure, calls) = server.azure();
        let rows: Option<Vec<Entity<serde_json::Value>>> = graph::rows(&azure, &site(&calls), &SORT).await;
        assert!(rows.is_none(), "{said}");
    }
}

#[tokio::test]
async fn a_spent_quota_is_waited_for() {
    let server = Server::start(|asked| {
        let next = if asked.body.contains("skipToken") { "" } else { r#","$skipToken":"x""# };
        let spent = "x-ms-user-quota-remaining: 0\r\nx-ms-user-quota-resets-after: 00:00:00.3\r\n".to_owned();
        (200, spent, format!(r#"{{"data":[]{next}}}"#))
    })
    .await;
    let (azure, calls) = server.azure();
    let started = calls.clock().mono();
    let rows: Option<Vec<Entity<serde_json::Value>>> = graph::rows(&azure, &site(&calls), &SORT).await;
    assert_eq!(rows.unwrap().len(), 0);
    assert!(calls.clock().mono().saturating_sub(started) >= std::time::Duration::from_millis(290));
    assert_eq!(server.asked().len(), 2, "no query was sent in vain");
}

async fn universe_of(server: &Server, config: Config) -> Result<sweeper_core::kind::Universe, CloudError> {
    let calls = Calls::new(Arc::new(SystemClock::default()), Limits { tries: 1, ..Limits::default() });
    universe::connect(Config { endpoint: Some(server.url.clone()), ..config }, calls).await.universe().await
}

#[tokio::test]
async fn the_parent_names_what_this_identity_cannot_read() {
    let server = Server::start(|asked| {
        if asked.path.contains("/descendants") {
            return page(
                r#"{"id":"/subscriptions/a","name":"a","type":"/subscriptions","properties":{"displayName":"Alpha",
                    "parent":{"id":"/providers/Microsoft.Management/managementGroups/g"}}},
                   {"id":"/subscriptions/b","name":"b","type":"/subscriptions","properties":{"displayName":"Beta"}},
                   {"id":"/subscriptions/c","name":"c","type":"/subscriptions"},
                   {"id":"/providers/Microsoft.Management/managementGroups/g","name":"g",
                    "type":"Microsoft.Management/managementGroups","properties":{"displayName":"Group"}}"#,
            );
        }
        page(
            r#"{"subscriptionId":"a","displayName":"Alpha","state":"Enabled"},
               {"subscriptionId":"c","displayName":"Gamma","state":"Deleted"}"#,
        )
    })
    .await;
    let config = Config { management_group: Some("root".to_owned()), ..Config::default() };
    let universe = universe_of(&server, config).await.unwrap();
    assert!(!universe.only_what_this_identity_sees);
    let told: Vec<_> =
        universe.accounts.iter().map(|one| (one.name.as_str(), one.path.as_str(), &one.blind, &one.none)).collect();
    assert_eq!(told[0], ("Alpha", "/Group", &None, &None));
    assert_eq!(told[1].2.as_deref(), Some("denied Microsoft.Resources/subscriptions/read"));
    assert_eq!(told[2].3.as_deref(), Some("the subscription is deleted"));
}

#[tokio::test]
async fn without_a_choice_there_must_be_but_one_subscription() {
    let one = Server::start(|_| page(r#"{"subscriptionId":"a","displayName":"Alpha","state":"Enabled"}"#)).await;
    let universe = universe_of(&one, Config::default()).await.unwrap();
    assert_eq!((universe.accounts.len(), universe.only_what_this_identity_sees), (1, true));
    let two = Server::start(|_| page(r#"{"subscriptionId":"a"},{"subscriptionId":"b"}"#)).await;
    assert!(universe_of(&two, Config::default()).await.unwrap_err().message.contains("a ()"));
    let expired = Server::start(|_| error(401, "InvalidAuthenticationTokenTenant")).await;
    let named = Config { subscriptions: BTreeSet::from(["a".to_owned()]), ..Config::default() };
    let error = universe_of(&expired, named).await.unwrap_err();
    assert!(error.message.contains("another tenant"), "{error}");
}

#[tokio::test]
async fn a_named_subscription_that_cannot_be_described_is_looked_at() {
    let server = Server::start(|_| error(404, "ReplayNotRecorded")).await;
    let named = Config { subscriptions: BTreeSet::from([SUB.to_owned()]), ..Config::default() };
    let universe = universe_of(&server, named.clone()).await.unwrap();
    assert_eq!(universe.accounts[0].blind, None);
    let gone = Server::start(|_| error(404, "SubscriptionNotFound")).await;
    assert!(universe_of(&gone, named).await.unwrap().accounts[0].blind.is_some());
}

/// Every kind of the crate is listed by nobody's right alone.
#[test]
fn every_kind_declares_what_the_framework_asks() {
    for spec in kinds::SPECS {
        let kinds: Vec<&str> = spec.reads.to_vec();
        assert!(kinds.contains(&crate::rights::OP), "{} does not declare {}", spec.id, crate::rights::OP);
        assert!(kinds.contains(&crate::locks::OP), "{} does not declare {}", spec.id, crate::locks::OP);
    }
}
