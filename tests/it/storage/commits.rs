//! Racing commits to one table over the S3 protocol.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use windlass_base::ids::AppId;
use windlass_delta::commit::{CommitOutcome, CommitRequest};
use windlass_tests::StorageServer;

use crate::delta_write::lab::{Lab, receipt};

/// Writers of different stages: every acknowledged commit exists, under a separate version.
#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_commit_is_lost() {
    const WRITERS: i64 = 8;
    const RUNS: i64 = 6;
    let Some(server) = StorageServer::start() else { return };
    // A separate client for each, as for processes.
    let labs: Vec<_> = (0..WRITERS).map(|_| Lab::in_memory(server.store())).collect();
    let rows = labs[0].rows("SELECT value AS id FROM generate_series(1, 1)").await;
    let state = labs[0].ensure(&labs[0].define("t", rows.schema())).await.unwrap();
    let writers = labs.into_iter().zip(0..).map(|(lab, writer)| {
        let state = state.clone();
        tokio::spawn(async move {
            let mut versions = Vec::new();
            for run in 1..=RUNS {
                let id = writer * 100 + run;
                let rows = lab.rows(&format!("SELECT value AS id FROM generate_series({id}, {id})")).await;
                let staged = lab.run(lab.write_plan(state.write_spec("t"), &rows, 1).await).await.unwrap();
                let request =
                    CommitRequest { app_id: AppId::new(format!("w/{writer}")), ..lab.request(&state, staged, run) };
                versions.push(receipt(lab.commit(&request).await).version.0);
            }
            versions
        })
    });
    let versions: Vec<u64> = join_all(writers).await.into_iter().flat_map(Result::unwrap).collect();
    let distinct: BTreeSet<u64> = versions.iter().copied().collect();
    assert_eq!(distinct.len(), versions.len(), "a version was acknowledged twice: {versions:?}");
    let lab = Lab::in_memory(server.store());
    assert_eq!(lab.open("t", None).await.version(), Some((WRITERS * RUNS).cast_unsigned()));
    let found = lab.read("t", &rows.schema()).await;
    let expected: Vec<i64> = (0..WRITERS).flat_map(|writer| (1..=RUNS).map(move |run| writer * 100 + run)).collect();
    let expected = datafusion::arrow::array::Int64Array::from(expected);
    assert_eq!(found.column(0).as_ref(), &expected as &dyn datafusion::arrow::array::Array);
}

/// Drivers of the same run: one of them commits, the others learn that it did.
#[tokio::test(flavor = "multi_thread")]
async fn racing_drivers_of_one_run_commit_once() {
    let Some(server) = StorageServer::start() else { return };
    let labs: Vec<_> = (0..6).map(|_| Arc::new(Lab::in_memory(server.store()))).collect();
    let rows = labs[0].rows("SELECT value AS id FROM generate_series(1, 5)").await;
    let state = labs[0].ensure(&labs[0].define("t", rows.schema())).await.unwrap();
    for run in 1..=8 {
        let racers = labs.iter().map(|lab| {
            let (lab, state, rows) = (Arc::clone(lab), state.clone(), rows.clone());
            tokio::spawn(async move {
                let staged = lab.run(lab.write_plan(state.write_spec("t"), &rows, 1).await).await.unwrap();
                lab.commit(&lab.request(&state, staged, run)).await
            })
        });
        let outcomes: Vec<_> = join_all(racers).await.into_iter().map(Result::unwrap).collect();
        let committed = outcomes.iter().filter(|outcome| matches!(outcome, CommitOutcome::Committed(_))).count();
        assert_eq!(committed, 1, "run {run}: {outcomes:?}");
        assert_eq!(labs[0].open("t", None).await.version(), Some(run.cast_unsigned()));
    }
    assert_eq!(labs[0].read("t", &rows.schema()).await.num_rows(), 8 * 5);
}

/// Commits rely on this: of several writers that create an object at the same time, one succeeds. It is on unless it is
/// turned off, and then a commit is refused.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_created_once() {
    let Some(server) = StorageServer::start() else { return };
    let create = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    for round in 0..40 {
        let path = StorePath::from(format!("race/{round}"));
        let racers = (0..8_u8).map(|racer| {
            let (store, path) = (server.store(), path.clone());
            tokio::spawn(
                async move { store.put_opts(&path, vec![racer].into(), create()).await.is_ok().then_some(racer) },
            )
        });
        let winners: Vec<u8> = join_all(racers).await.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(winners.len(), 1, "round {round}");
        let stored = server.store().get(&path).await.unwrap().bytes().await.unwrap();
        assert_eq!(stored.as_ref(), winners);
    }
    let unconditional = AmazonS3Builder::new()
        .with_bucket_name("lake")
        .with_endpoint(format!("http://{}", server.address()))
        .with_allow_http(true)
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .with_conditional_put(S3ConditionalPut::Disabled)
        .build()
        .unwrap();
    let refused = unconditional.put_opts(&StorePath::from("race/off"), "x".into(), create()).await.unwrap_err();
    assert!(matches!(refused, object_store::Error::NotImplemented { .. }), "{refused}");
}
