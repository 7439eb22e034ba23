//! A run's events in the state store.

use std::sync::Arc;

use bytes::Bytes;
use chrono::DateTime;
use windlass_base::ids::RunId;
use windlass_evidence::artifact::RunStatus;
use windlass_scheduler::run::drive::LoggedRun;
use windlass_scheduler::run::drive::event_log::{self, EventLog, EventLogError};
use windlass_scheduler::run::machine::{RetryPolicy, RunEvent, RunEventKind, RunSchedule};
use windlass_scheduler::state::{MemoryStore, PutOutcome, StateStore};

fn schedule() -> RunSchedule {
    RunSchedule { stages: Vec::new(), max_parallel: 1, fail_fast: false, retry: RetryPolicy::default(), seed: 0 }
}

fn event(reason: &str) -> RunEvent {
    RunEvent::new(DateTime::UNIX_EPOCH, RunEventKind::CancelRequested { reason: reason.into() })
}

fn run_id() -> RunId {
    "r1".into()
}

#[tokio::test]
async fn a_log_returns_what_was_appended_in_order() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::default());
    assert!(EventLog::open(store.clone(), run_id(), "p".into()).await.unwrap().is_none());
    let mut log = EventLog::create(store.clone(), run_id(), "p".into(), &schedule()).await.unwrap();
    let appended: Vec<RunEvent> = (0..12).map(|i| event(&i.to_string())).collect();
    for event in &appended {
        log.append(event).await.unwrap();
    }
    let (mut log, kept, events) = EventLog::open(store.clone(), run_id(), "q".into()).await.unwrap().unwrap();
    assert_eq!((kept, &events), (schedule(), &appended));
    log.append(&event("more")).await.unwrap();
    let (_, _, events) = EventLog::open(store, run_id(), "p".into()).await.unwrap().unwrap();
    assert_eq!(events.len(), 13);
}

#[tokio::test]
async fn a_process_that_is_behind_is_notified() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::default());
    let mut old = EventLog::create(store.clone(), run_id(), "old".into(), &schedule()).await.unwrap();
    old.append(&event("one")).await.unwrap();
    let (mut new, _, _) = EventLog::open(store.clone(), run_id(), "new".into()).await.unwrap().unwrap();
    new.append(&event("two")).await.unwrap();
    // The same event, but from another process: it is not this process's own.
    let error = old.append(&event("two")).await.unwrap_err();
    assert!(matches!(error, EventLogError::Fenced { .. }), "{error}");
    new.append(&event("three")).await.unwrap();
}

#[tokio::test]
async fn a_run_is_created_once() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::default());
    EventLog::create(store.clone(), run_id(), "p".into(), &schedule()).await.unwrap();
    EventLog::create(store.clone(), run_id(), "p".into(), &schedule()).await.unwrap();
    let other = RunSchedule { max_parallel: 2, ..schedule() };
    let error = EventLog::create(store, run_id(), "p".into(), &other).await.unwrap_err();
    assert!(matches!(error, EventLogError::Fenced { .. }), "{error}");
}

#[tokio::test]
async fn a_run_is_resumed_with_its_own_schedule_where_its_events_have_led() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::default());
    assert!(LoggedRun::resume(store.clone(), run_id(), "p".into()).await.unwrap().is_none());
    let new = LoggedRun::resume_or_create(store.clone(), run_id(), "p".into(), schedule()).await.unwrap();
    assert_eq!((new.state().status(), new.state().schedule()), (RunStatus::Pending, &schedule()));
    let (mut log, _, _) = EventLog::open(store.clone(), run_id(), "p".into()).await.unwrap().unwrap();
    log.append(&RunEvent::new(DateTime::UNIX_EPOCH, RunEventKind::Started)).await.unwrap();
    let other = RunSchedule { max_parallel: 2, ..schedule() };
    let resumed = LoggedRun::resume_or_create(store.clone(), run_id(), "q".into(), other).await.unwrap();
    assert_eq!((resumed.state().status(), resumed.state().schedule()), (RunStatus::Succeeded, &schedule()));
    log.append(&RunEvent::new(DateTime::UNIX_EPOCH, RunEventKind::Started)).await.unwrap();
    let error = LoggedRun::resume(store, run_id(), "q".into()).await.unwrap_err();
    assert_eq!(error.to_string(), "event 1 of the run does not follow from those before it");
}

#[tokio::test]
async fn a_missing_or_unreadable_event_is_named() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::default());
    let mut log = EventLog::create(store.clone(), run_id(), "p".into(), &schedule()).await.unwrap();
    for reason in ["one", "two", "three"] {
        log.append(&event(reason)).await.unwrap();
    }
    let second = store.list("runs/r1/events/").await.unwrap().remove(1);
    store.compare_and_delete(&second.key, second.revision).await.unwrap();
    let error = EventLog::open(store.clone(), run_id(), "p".into()).await.unwrap_err();
    assert!(matches!(error, EventLogError::Gap { position: 1, .. }), "{error}");
    let put = store.compare_and_put(&second.key, None, Bytes::from_static(b"{}")).await.unwrap();
    assert!(matches!(put, PutOutcome::Put(_)));
    let error = EventLog::open(store, run_id(), "p".into()).await.unwrap_err();
    assert!(std::error::Error::source(&error).is_some_and(|s| s.to_string().contains(&second.key)), "{error}");
}

#[tokio::test]
async fn a_removed_run_is_no_longer_known() {
    let store: Arc<dyn StateStore> = Arc::new(MemoryStore::default());
    let mut log = EventLog::create(store.clone(), run_id(), "p".into(), &schedule()).await.unwrap();
    log.append(&event("one")).await.unwrap();
    EventLog::create(store.clone(), "r10".into(), "p".into(), &schedule()).await.unwrap();
    event_log::remove(&*store, &run_id()).await.unwrap();
    assert!(EventLog::open(store.clone(), run_id(), "p".into()).await.unwrap().is_none());
    let left: Vec<String> = store.list("").await.unwrap().into_iter().map(|e| e.key).collect();
    assert_eq!(left, ["runs/r10/schedule"]);
}
