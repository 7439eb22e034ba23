//! A store that does not answer, or not at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use windlass_tests::{Answer, StorageProxy, StorageServer};

use super::lake::{Lake, told};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_busy_for_a_while_does_not_fail_a_run() {
    let Some(server) = StorageServer::start() else { return };
    let lake = Lake::new(&server).await;
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    // Of the requests for data, two of three are turned away, up to sixty of them.
    let proxy = StorageProxy::start(server.address(), move |request| {
        let about_data = request.target.contains(".parquet") || request.target.contains("/in/notes/");
        let number = if about_data { counted.fetch_add(1, Ordering::SeqCst) } else { 0 };
        (about_data && number < 60 && number % 3 != 0).then(Answer::busy)
    });
    let environment = proxy.environment();
    let run = lake.json(&environment, &["run"]);
    assert_eq!(run["run"]["status"], "succeeded");
    let turned_away = proxy.seen().iter().filter(|(_, answered)| *answered).count();
    assert!(turned_away >= 10, "only {turned_away} requests were turned away");
    assert_eq!(lake.answers(&environment), lake.plain_answers().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_reached_is_named_and_worth_another_try() {
    let Some(server) = StorageServer::start() else { return };
    let lake = Lake::new(&server).await;
    let mut environment = server.environment();
    drop(server);
    environment.retain(|(name, _)| *name != "AWS_ENDPOINT_URL");
    environment.push(("AWS_ENDPOINT_URL", "http://127.0.0.1:9".to_owned()));
    let started = std::time::Instant::now();
    let output = lake.windlass(&environment).args(["run", "--output", "json"]).output().unwrap();
    println!("gave up after {:?}", started.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("{document}");
    let error = &document["error"];
    assert_eq!(error["retryable"], true, "{document}");
    assert!(error["message"].as_str().unwrap().contains("127.0.0.1:9"), "{document}");
    assert!(error["help"].is_string(), "{document}");
}
