//! A store that does not answer, or not immediately.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use windlass_tests::{Answer, StorageProxy, StorageServer};

use super::lake::{Lake, output_text};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_busy_for_a_while_does_not_fail_a_run() {
    let Some(server) = StorageServer::start() else { return };
    let lake = Lake::new(&server).await;
    let requests = Arc::new(AtomicUsize::new(0));
    // Two of three requests of any kind are refused until the limit is reached.
    let proxy = StorageProxy::start(server.address(), move |_| {
        let number = requests.fetch_add(1, Ordering::SeqCst);
        (number < 150 && !number.is_multiple_of(3)).then(Answer::busy)
    });
    let environment = proxy.environment();
    let run = lake.json(&environment, &["run"]);
    assert_eq!(run["run"]["status"], "succeeded");
    let turned_away = proxy.seen().iter().filter(|(_, answered)| *answered).count();
    assert!(turned_away >= 50, "only {turned_away} requests were turned away");
    assert_eq!(lake.answers(&environment), lake.plain_answers().await);
}

/// The client of the store repeats the put of a commit when the reply is lost, and gets the answer that it already
/// exists.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_reply_is_lost_counts_once() {
    let Some(server) = StorageServer::start() else { return };
    let lake = Lake::new(&server).await;
    let lost = Mutex::new(BTreeSet::new());
    let proxy = StorageProxy::start(server.address(), move |request| {
        let is_commit = request.method == "PUT" && request.target.contains("/_delta_log/");
        (is_commit && lost.lock().insert(request.target.clone())).then(Answer::lost)
    });
    let environment = proxy.environment();
    let run = lake.json(&environment, &["run"]);
    assert_eq!(run["run"]["status"], "succeeded");
    let replies_lost = proxy.seen().iter().filter(|(_, answered)| *answered).count();
    assert_eq!(replies_lost, 2 * 3, "two commits for each of three tables");
    for stage in run["run"]["stages"].as_array().unwrap() {
        assert_eq!(stage["receipt"]["outcome"], "committed", "{stage}");
        assert_eq!(stage["receipt"]["version"], 1, "{stage}");
    }
    assert_eq!(lake.answers(&environment), lake.plain_answers().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_store_is_named_and_retryable() {
    let Some(server) = StorageServer::start() else { return };
    let lake = Lake::new(&server).await;
    let mut environment = server.environment();
    drop(server);
    environment.retain(|(name, _)| *name != "AWS_ENDPOINT_URL");
    environment.push(("AWS_ENDPOINT_URL", "http://127.0.0.1:9".to_owned()));
    let output = lake.windlass(&environment).args(["run", "--output", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", output_text(&output));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let error = &document["error"];
    // Tables and files are read in parallel, and the first one that gives up is reported.
    assert!(["WL0304", "WL0401", "WL0616"].contains(&error["code"].as_str().unwrap()), "{document}");
    assert_eq!(error["retryable"], true, "{document}");
    assert!(error["message"].as_str().unwrap().contains("127.0.0.1:9"), "{document}");
    assert!(error["help"].is_string(), "{document}");
}
