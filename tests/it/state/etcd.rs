//! Tests of the store in etcd: members that are killed, compactions, and servers that refuse.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use etcd_client::Client;
use futures::future::join_all;
use futures::stream::{BoxStream, StreamExt};
use windlass_base::error::{Coded, full_message};
use windlass_scheduler::state::{
    Change, EtcdConfig, EtcdStore, EtcdUser, PutOutcome, StateError, StateStore, Versioned,
};
use windlass_tests::EtcdServers;
use windlass_tests::processes::{ServerProcess, free_address};

use super::conformance::{next, put};

/// How long the members may take to agree again.
const TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

fn config(servers: &EtcdServers, prefix: &str) -> EtcdConfig {
    EtcdConfig::new(format!("etcd://{}/{prefix}", servers.hosts()).parse().unwrap())
}

/// A store, as soon as the members agree.
async fn connect(servers: &EtcdServers) -> EtcdStore {
    let started = Instant::now();
    loop {
        match EtcdStore::connect(&config(servers, "test")).await {
            Ok(store) => return store,
            Err(error) => assert!(error.is_retryable() && started.elapsed() < TIMEOUT, "{}", full_message(&error)),
        }
    }
}

async fn client(servers: &EtcdServers) -> Client {
    let hosts = servers.hosts();
    Client::connect(hosts.split(',').collect::<Vec<_>>(), None).await.unwrap()
}

/// Puts a value where none is, whatever it takes: after an error it looks again.
async fn put_new(store: &dyn StateStore, key: &str) {
    let started = Instant::now();
    loop {
        match store.compare_and_put(key, None, Bytes::from_static(b"x")).await {
            Ok(PutOutcome::Put(_) | PutOutcome::Moved(Some(_))) => return,
            Ok(PutOutcome::Moved(None)) => panic!("`{key}` is not there and is not put"),
            Err(error) => assert!(started.elapsed() < TIMEOUT, "{}", full_message(&error)),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The keys of the next puts that a watch sees; where it cannot go on for a while, it says so and does later.
async fn next_puts(watch: &mut BoxStream<'static, Result<Change, StateError>>, count: usize) -> Vec<String> {
    let mut keys = Vec::new();
    let started = Instant::now();
    while keys.len() < count {
        assert!(started.elapsed() < TIMEOUT, "only {keys:?}");
        match tokio::time::timeout(TIMEOUT, watch.next()).await.expect("a change in time").expect("no end") {
            Ok(Change::Put(entry)) => keys.push(entry.key),
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(error.is_retryable(), "{}", full_message(&error)),
        }
    }
    keys
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_passes_on_three_members_and_when_one_is_killed() {
    let Some(servers) = EtcdServers::start(3) else { return };
    let mut servers = Arc::new(servers);
    super::on_etcd(&servers, "three").await;

    Arc::get_mut(&mut servers).expect("no handle is left").kill(0);
    // It may have been the leader.
    put_new(&connect(&servers).await, "agreed").await;
    super::on_etcd(&servers, "two").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_counted_is_kept_when_members_are_killed() {
    let Some(mut servers) = EtcdServers::start(3) else { return };
    let (known, unknown) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let store = connect(&servers).await;
        let (known, unknown, stop) = (Arc::clone(&known), Arc::clone(&unknown), Arc::clone(&stop));
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let Ok(current) = store.get("counter").await else { continue };
                let next = Bytes::from((number(current.as_ref()) + 1).to_string());
                match store.compare_and_put("counter", current.map(|v| v.revision), next).await {
                    Ok(PutOutcome::Put(_)) => _ = known.fetch_add(1, Ordering::SeqCst),
                    Ok(PutOutcome::Moved(_)) => {}
                    Err(_) => _ = unknown.fetch_add(1, Ordering::SeqCst),
                }
            }
        }));
    }
    for at in 0..servers.members() {
        servers.kill(at);
        wait_for_more(&known, 20).await;
        servers.restart(at);
    }
    stop.store(true, Ordering::SeqCst);
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let (known, unknown) = (known.load(Ordering::SeqCst), unknown.load(Ordering::SeqCst));
    let counted = number(connect(&servers).await.get("counter").await.unwrap().as_ref());
    assert!((known..=known + unknown).contains(&counted), "{counted} of {known} and perhaps {unknown}");
}

fn number(current: Option<&Versioned>) -> u64 {
    current.map_or(0, |v| std::str::from_utf8(&v.value).unwrap().parse().unwrap())
}

async fn wait_for_more(counter: &AtomicU64, more: u64) {
    let wanted = counter.load(Ordering::SeqCst) + more;
    let started = Instant::now();
    while counter.load(Ordering::SeqCst) < wanted {
        assert!(started.elapsed() < TIMEOUT, "nothing is counted any more");
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_goes_on_after_each_member_was_killed() {
    let Some(mut servers) = EtcdServers::start(3) else { return };
    let store = connect(&servers).await;
    let mut watch = store.watch("w/").await.unwrap();
    let mut wanted = Vec::new();
    let mut seen = Vec::new();
    for at in 0..servers.members() {
        for when in ["before", "without"] {
            let key = format!("w/{at} {when}");
            put_new(&store, &key).await;
            wanted.push(key);
            seen.extend(next_puts(&mut watch, 1).await);
            if when == "before" {
                servers.kill(at);
            }
        }
        servers.restart(at);
    }
    assert_eq!(seen, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_goes_on_after_the_only_member_was_started_again() {
    let Some(mut servers) = EtcdServers::start(1) else { return };
    let store = connect(&servers).await;
    let mut watch = store.watch("w/").await.unwrap();
    put_new(&store, "w/before").await;
    assert_eq!(next_puts(&mut watch, 1).await, ["w/before"]);
    servers.kill(0);
    servers.restart(0);
    put_new(&store, "w/after").await;
    assert_eq!(next_puts(&mut watch, 1).await, ["w/after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_behind_a_compaction_sees_what_is_different() {
    let Some(servers) = EtcdServers::start(1) else { return };
    let store = connect(&servers).await;
    let gone = put(&store, "w/gone", None, "x").await;
    let kept = put(&store, "w/kept", None, "x").await;
    let mut watch = store.watch("w/").await.unwrap();

    let first = put(&store, "w/a", None, "1").await;
    let second = put(&store, "w/a", Some(first), "2").await;
    store.compare_and_delete("w/gone", gone).await.unwrap();
    let last = put(&store, "elsewhere", None, "x").await;
    client(&servers).await.compact(i64::try_from(last.0).unwrap(), None).await.unwrap();

    assert_eq!(next(&mut watch).await, Change::Deleted { key: "w/gone".into() });
    let Change::Put(entry) = next(&mut watch).await else { panic!("a put") };
    assert_eq!((entry.key.as_str(), &entry.value[..], entry.revision), ("w/a", &b"2"[..], second));

    // From now on each change is seen again.
    let third = put(&store, "w/kept", Some(kept), "3").await;
    let Change::Put(entry) = next(&mut watch).await else { panic!("a put") };
    assert_eq!((entry.key.as_str(), entry.revision), ("w/kept", third));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_listing_is_complete_and_in_order() {
    let Some(servers) = EtcdServers::start(1) else { return };
    let store = connect(&servers).await;
    let keys: BTreeSet<String> = (0..1_100).map(|number| format!("k/{number}")).collect();
    let puts = keys.iter().map(|key| put(&store, key, None, "x"));
    join_all(puts).await;
    put(&store, "l", None, "x").await;
    let listed: Vec<String> = store.list("k/").await.unwrap().into_iter().map(|entry| entry.key).collect();
    assert_eq!(listed, keys.into_iter().collect::<Vec<_>>());
    store.delete_prefix("k/").await.unwrap();
    assert_eq!(store.list("").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prefixes_do_not_see_each_other_and_another_format_is_refused() {
    let Some(servers) = EtcdServers::start(1) else { return };
    let store = connect(&servers).await;
    put(&store, "a", None, "x").await;
    for other in ["tes", "test/inner", "test-2"] {
        let other = EtcdStore::connect(&config(&servers, other)).await.unwrap();
        assert!(other.list("").await.unwrap().is_empty());
        other.delete_prefix("").await.unwrap();
    }
    assert_eq!(store.list("").await.unwrap().len(), 1);

    let mut client = client(&servers).await;
    let format = client.get("/test/format", None).await.unwrap();
    assert_eq!(format.kvs()[0].value(), b"1");
    assert_eq!(client.get("/test/state/a", None).await.unwrap().kvs()[0].value(), b"x");
    client.put("/test/format", "2", None).await.unwrap();
    let error = EtcdStore::connect(&config(&servers, "test")).await.unwrap_err();
    assert!(matches!(&error, StateError::Format { found, .. } if found == "2"), "{error:?}");
    assert!(!error.is_retryable());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_too_large_is_refused() {
    let Some(servers) = EtcdServers::start(1) else { return };
    let store = connect(&servers).await;
    let error = store.compare_and_put("a", None, Bytes::from(vec![7; 1_800_000])).await.unwrap_err();
    assert!(matches!(error, StateError::Failed { .. }) && !error.is_retryable(), "{error:?}");
    assert!(full_message(&error).contains("too large"), "{}", full_message(&error));
    assert_eq!(store.get("a").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_do_not_answer_are_named() {
    let address = free_address();
    let mut config = EtcdConfig::new(format!("etcd://{address}/test").parse().unwrap());
    config.limit = Duration::from_millis(300);
    let error = EtcdStore::connect(&config).await.unwrap_err();
    assert!(matches!(error, StateError::Unreachable { .. }) && error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains(&format!("etcd://{address}/test")), "{error}");

    // One that takes connections and says nothing.
    let listener = std::net::TcpListener::bind(address).unwrap();
    let error = EtcdStore::connect(&config).await.unwrap_err();
    assert!(matches!(error, StateError::Unreachable { .. }), "{error:?}");
    drop(listener);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_refused_or_let_in() {
    let Some(servers) = EtcdServers::start(1) else { return };
    let user = |password: &str| Some(EtcdUser { name: "root".into(), password: password.into() });
    let with = |user| EtcdConfig { user, ..config(&servers, "test") };
    // Without users none is let in either.
    let error = EtcdStore::connect(&with(user("hunter2"))).await.unwrap_err();
    assert!(matches!(error, StateError::Refused { .. }), "{error:?}");

    let mut client = client(&servers).await;
    client.user_add("root", "hunter2", None).await.unwrap();
    client.user_grant_role("root", "root").await.unwrap();
    client.auth_enable().await.unwrap();
    for refused in [None, user("hunter3")] {
        let error = EtcdStore::connect(&with(refused)).await.unwrap_err();
        assert!(matches!(error, StateError::Refused { .. }) && !error.is_retryable(), "{error:?}");
        assert!(!format!("{error:?} {}", full_message(&error)).contains("hunter"), "{error:?}");
    }
    let store = EtcdStore::connect(&with(user("hunter2"))).await.unwrap();
    let mut watch = store.watch("w/").await.unwrap();
    put_new(&store, "w/a").await;
    assert_eq!(next_puts(&mut watch, 1).await, ["w/a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_keeps_its_state_there() {
    let Some(servers) = EtcdServers::start(1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let args = [
        format!("--home={}", path("home")),
        format!("--state-dir={}", path("state")),
        format!("--state=etcd://{}/lake", servers.hosts()),
        format!("--api-bind={}", free_address()),
        format!("--engine-bind={}", free_address()),
    ];
    let mut scheduler = ServerProcess::start("windlass-scheduler", "scheduler", folder.path(), args.to_vec(), &[]);
    scheduler.wait_until_ready();
    let format = client(&servers).await.get("/lake/format", None).await.unwrap();
    assert_eq!(format.kvs()[0].value(), b"1");
    assert!(!folder.path().join("state/state.redb").exists());
}
