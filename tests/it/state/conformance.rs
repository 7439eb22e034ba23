//! The conformance suite of state stores.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use futures::stream::{BoxStream, StreamExt};
use windlass_scheduler::state::{
    Change, DeleteOutcome, Lease, LeaseHolder, LeaseOutcome, ProcessIdentity, PutOutcome, RenewOutcome, Revision,
    StateError, StateStore,
};

use super::Handles;

const TTL: Duration = Duration::from_secs(30);

pub(super) async fn put(
    store: &dyn StateStore,
    key: &str,
    expected: Option<Revision>,
    value: &'static str,
) -> Revision {
    match store.compare_and_put(key, expected, Bytes::from_static(value.as_bytes())).await.unwrap() {
        PutOutcome::Put(revision) => revision,
        PutOutcome::Moved(current) => panic!("`{key}` holds {current:?} instead"),
    }
}

async fn text(store: &dyn StateStore, key: &str) -> Option<String> {
    store.get(key).await.unwrap().map(|v| String::from_utf8(v.value.to_vec()).unwrap())
}

pub(super) async fn a_value_changes_only_as_expected(handles: &dyn Handles) {
    let (store, other) = (handles.open().await, handles.open().await);
    assert_eq!(store.get("a").await.unwrap(), None);
    let first = put(&*store, "a", None, "one").await;

    let refused = other.compare_and_put("a", None, Bytes::from_static(b"two")).await.unwrap();
    let PutOutcome::Moved(Some(current)) = refused else { panic!("{refused:?}") };
    assert_eq!((current.value, current.revision), (Bytes::from_static(b"one"), first));

    let second = put(&*other, "a", Some(first), "two").await;
    assert!(second > first);
    let stale = store.compare_and_put("a", Some(first), Bytes::from_static(b"three")).await.unwrap();
    assert!(matches!(stale, PutOutcome::Moved(Some(v)) if v.revision == second));
    let stale = store.compare_and_delete("a", first).await.unwrap();
    assert!(matches!(stale, DeleteOutcome::Moved(Some(v)) if v.revision == second));
    assert_eq!(text(&*store, "a").await.as_deref(), Some("two"));

    assert_eq!(store.compare_and_delete("a", second).await.unwrap(), DeleteOutcome::Deleted);
    assert_eq!(other.get("a").await.unwrap(), None);
    assert_eq!(other.compare_and_delete("a", second).await.unwrap(), DeleteOutcome::Moved(None));
    let gone = other.compare_and_put("a", Some(second), Bytes::from_static(b"three")).await.unwrap();
    assert_eq!(gone, PutOutcome::Moved(None));
}

pub(super) async fn a_revision_is_never_given_twice(handles: &dyn Handles) {
    let store = handles.open().await;
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        let revision = put(&*store, "a", None, "same").await;
        assert!(seen.last().is_none_or(|last| *last < revision));
        assert!(seen.insert(revision));
        let other = put(&*store, "b", None, "same").await;
        assert!(seen.insert(other));
        assert_eq!(store.compare_and_delete("b", other).await.unwrap(), DeleteOutcome::Deleted);
        assert_eq!(store.compare_and_delete("a", revision).await.unwrap(), DeleteOutcome::Deleted);
    }
}

pub(super) async fn a_listing_is_by_prefix_and_in_order(handles: &dyn Handles) {
    let store = handles.open().await;
    for key in ["b", "a/2", "a/10", "a", "a/1", "aa/1", "a/ü", "A/1"] {
        put(&*store, key, None, "x").await;
    }
    let keys = |prefix: &'static str| {
        let store = store.clone();
        async move { store.list(prefix).await.unwrap().into_iter().map(|e| e.key).collect::<Vec<_>>() }
    };
    assert_eq!(keys("a/").await, ["a/1", "a/10", "a/2", "a/ü"]);
    assert_eq!(keys("a").await, ["a", "a/1", "a/10", "a/2", "a/ü", "aa/1"]);
    assert_eq!(keys("").await.len(), 8);
    assert!(keys("c").await.is_empty());
    let listed = &store.list("b").await.unwrap()[0];
    assert_eq!(
        Some((listed.value.clone(), listed.revision)),
        store.get("b").await.unwrap().map(|v| (v.value, v.revision))
    );
}

pub(super) async fn all_keys_with_a_prefix_are_deleted(handles: &dyn Handles) {
    let store = handles.open().await;
    for key in ["a", "a/1", "a/2", "aa/1", "b"] {
        put(&*store, key, None, "x").await;
    }
    let newest = store.get("b").await.unwrap().unwrap().revision;
    store.delete_prefix("a/").await.unwrap();
    store.delete_prefix("nothing").await.unwrap();
    let left: Vec<_> = handles.open().await.list("").await.unwrap().into_iter().map(|entry| entry.key).collect();
    assert_eq!(left, ["a", "aa/1", "b"]);
    put(&*store, "a/1", None, "again").await;
    assert!(store.get("a/1").await.unwrap().unwrap().revision > newest);
}

pub(super) async fn any_bytes_are_kept(handles: &dyn Handles) {
    let store = handles.open().await;
    let values = [Bytes::new(), Bytes::from_static(&[0, 255, 10, 0]), Bytes::from(vec![7; handles.largest_value()])];
    for (i, value) in values.iter().enumerate() {
        let key = format!("key {i} \u{1F980}/=");
        store.compare_and_put(&key, None, value.clone()).await.unwrap();
        assert_eq!(&handles.open().await.get(&key).await.unwrap().unwrap().value, value);
    }
}

/// Adds 1 to the number at `key`, and retries until it succeeds.
async fn increment(store: &dyn StateStore, key: &str) {
    let mut current = store.get(key).await.unwrap();
    loop {
        let number: u64 = current.as_ref().map_or(0, |v| std::str::from_utf8(&v.value).unwrap().parse().unwrap());
        let next = Bytes::from((number + 1).to_string());
        match store.compare_and_put(key, current.as_ref().map(|v| v.revision), next).await.unwrap() {
            PutOutcome::Put(_) => return,
            PutOutcome::Moved(moved) => current = moved,
        }
    }
}

pub(super) async fn concurrent_changes_are_not_lost(handles: &dyn Handles) {
    let stores = [handles.open().await, handles.open().await];
    let tasks = (0..8).map(|task| {
        let store = Arc::clone(&stores[task % 2]);
        tokio::spawn(async move {
            for _ in 0..10 {
                increment(&*store, "counter").await;
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    assert_eq!(text(&*stores[0], "counter").await.as_deref(), Some("80"));
}

pub(super) async fn of_many_creators_one_wins(handles: &dyn Handles) {
    let stores = [handles.open().await, handles.open().await];
    let tasks = (0..8usize).map(|task| {
        let store = Arc::clone(&stores[task % 2]);
        tokio::spawn(async move { store.compare_and_put("new", None, Bytes::from(task.to_string())).await.unwrap() })
    });
    let outcomes: Vec<PutOutcome> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|o| matches!(o, PutOutcome::Put(_))).count(), 1);
    let winner = outcomes.iter().position(|o| matches!(o, PutOutcome::Put(_))).unwrap();
    assert_eq!(text(&*stores[1], "new").await, Some(winner.to_string()));
}

/// The next change, with a timeout, so that a failure does not hang.
pub(super) async fn next(watch: &mut BoxStream<'static, Result<Change, StateError>>) -> Change {
    let change = tokio::time::timeout(Duration::from_secs(60), watch.next()).await;
    change.expect("a change within a minute").expect("the watch goes on").unwrap()
}

pub(super) async fn a_watch_sees_what_changes_under_its_prefix(handles: &dyn Handles) {
    let (store, other) = (handles.open().await, handles.open().await);
    let before = put(&*store, "w/before", None, "old").await;
    let mut watch = store.watch("w/").await.unwrap();

    put(&*other, "x/elsewhere", None, "no").await;
    let revision = put(&*other, "w/a", None, "1").await;
    let Change::Put(entry) = next(&mut watch).await else { panic!("a put") };
    assert_eq!((entry.key.as_str(), &entry.value[..], entry.revision), ("w/a", &b"1"[..], revision));

    let revision = put(&*other, "w/a", Some(revision), "2").await;
    let Change::Put(entry) = next(&mut watch).await else { panic!("a put") };
    assert_eq!((&entry.value[..], entry.revision), (&b"2"[..], revision));

    other.compare_and_delete("w/before", before).await.unwrap();
    assert_eq!(next(&mut watch).await, Change::Deleted { key: "w/before".into() });
}

pub(super) async fn a_watch_sees_each_change_once_and_in_order(handles: &dyn Handles) {
    let (store, other) = (handles.open().await, handles.open().await);
    let mut watch = store.watch("w/").await.unwrap();
    let mut put_here = Vec::new();
    for number in 0..30 {
        // Not in the order of their names.
        let key = format!("w/{}", (number * 7) % 30);
        let revision = put([&*store, &*other][number % 2], &key, None, "x").await;
        put_here.push((key, revision));
    }
    for (key, revision) in put_here {
        let Change::Put(entry) = next(&mut watch).await else { panic!("a put") };
        assert_eq!((entry.key.as_str(), entry.revision), (key.as_str(), revision));
        other.compare_and_delete(&key, revision).await.unwrap();
    }
    let mut gone = BTreeSet::new();
    while gone.len() < 30 {
        let Change::Deleted { key } = next(&mut watch).await else { panic!("a deletion") };
        assert!(gone.insert(key.clone()), "`{key}` is deleted twice");
    }
}

/// A holder in this process; the run distinguishes holders.
fn holder(run: &str) -> LeaseHolder {
    LeaseHolder { who: ProcessIdentity::current(), run_id: Some(run.into()), note: format!("runs {run}") }
}

async fn take(store: &dyn StateStore, holder: &LeaseHolder) -> Lease {
    store.acquire_lease("pipeline/p", holder, TTL).await.unwrap().granted().unwrap()
}

async fn is_refused(store: &dyn StateStore, holder: &LeaseHolder) -> bool {
    matches!(store.acquire_lease("pipeline/p", holder, TTL).await.unwrap(), LeaseOutcome::HeldBy(_))
}

pub(super) async fn a_lease_has_one_holder_until_it_is_released(handles: &dyn Handles) {
    let (store, other) = (handles.open().await, handles.open().await);
    let lease = take(&*store, &holder("r1")).await;
    let held = other.acquire_lease("pipeline/p", &holder("r2"), TTL).await.unwrap().granted().unwrap_err();
    assert_eq!((&*held.holder, held.expires_at), (&lease.holder, lease.expires_at));
    let pid = std::process::id();
    assert!(held.to_string().contains(&format!("process {pid}")) && held.to_string().contains("run r1"), "{held}");

    // Its own holder may ask again, as after a lost answer.
    let again = take(&*other, &holder("r1")).await;
    assert_eq!(again.since, lease.since);
    other.release_lease(&again).await.unwrap();
    let next = take(&*other, &holder("r2")).await;
    assert_eq!(next.holder, holder("r2"));
}

pub(super) async fn a_lease_expires_unless_it_is_renewed(handles: &dyn Handles) {
    let (store, other) = (handles.open().await, handles.open().await);
    let lease = take(&*store, &holder("r1")).await;
    handles.clock().advance(20);
    let RenewOutcome::Renewed(lease) = store.renew_lease(&lease, TTL).await.unwrap() else { panic!("renewed") };
    handles.clock().advance(20);
    assert!(is_refused(&*other, &holder("r2")).await, "the renewal counts");
    handles.clock().advance(10);
    let taken = take(&*other, &holder("r2")).await;
    assert_eq!(store.renew_lease(&lease, TTL).await.unwrap(), RenewOutcome::Lost);

    // Expired, but not taken by anyone: its holder may still renew it.
    handles.clock().advance(31);
    let RenewOutcome::Renewed(taken) = other.renew_lease(&taken, TTL).await.unwrap() else { panic!("renewed") };
    assert!(is_refused(&*store, &holder("r1")).await);
    other.release_lease(&taken).await.unwrap();
    assert_eq!(other.renew_lease(&taken, TTL).await.unwrap(), RenewOutcome::Lost);
}

pub(super) async fn a_lost_lease_is_not_released_by_its_former_holder(handles: &dyn Handles) {
    let (store, other) = (handles.open().await, handles.open().await);
    let old = take(&*store, &holder("r1")).await;
    handles.clock().advance(31);
    let new = take(&*other, &holder("r2")).await;
    store.release_lease(&old).await.unwrap();
    assert!(is_refused(&*store, &holder("r3")).await);
    assert!(matches!(other.renew_lease(&new, TTL).await.unwrap(), RenewOutcome::Renewed(_)));
}

/// A process that has died, identified while it lived.
fn dead_process() -> ProcessIdentity {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let identity = ProcessIdentity::of(child.id());
    assert!(!identity.is_gone(), "it waits for its input");
    child.kill().unwrap();
    child.wait().unwrap();
    identity
}

pub(super) async fn the_lease_of_a_dead_process_is_free_at_once(handles: &dyn Handles) {
    let store = handles.open().await;
    let dead = LeaseHolder { who: dead_process(), ..holder("r1") };
    take(&*store, &dead).await;
    let lease = take(&*store, &holder("r2")).await;
    store.release_lease(&lease).await.unwrap();

    // The process id is in use again, by another process.
    let mut earlier = ProcessIdentity::current();
    earlier.start_ticks = earlier.start_ticks.map(|ticks| ticks - 1);
    take(&*store, &LeaseHolder { who: earlier, ..holder("r3") }).await;
    take(&*store, &holder("r4")).await;
}

pub(super) async fn the_lease_of_another_machine_is_kept_until_it_expires(handles: &dyn Handles) {
    let store = handles.open().await;
    let elsewhere =
        ProcessIdentity { host: "elsewhere".into(), machine: Some("another boot".into()), ..dead_process() };
    take(&*store, &LeaseHolder { who: elsewhere, ..holder("r1") }).await;
    handles.clock().advance(29);
    assert!(is_refused(&*store, &holder("r2")).await);
    handles.clock().advance(1);
    take(&*store, &holder("r2")).await;
}

pub(super) async fn of_many_takers_one_gets_the_lease(handles: &dyn Handles) {
    let stores = [handles.open().await, handles.open().await];
    for round in 0..5 {
        let tasks = (0..6usize).map(|task| {
            let store = Arc::clone(&stores[task % 2]);
            let holder = holder(&format!("{round}-{task}"));
            tokio::spawn(async move { store.acquire_lease("pipeline/p", &holder, TTL).await.unwrap() })
        });
        let outcomes: Vec<_> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
        let granted = outcomes.iter().filter(|o| matches!(o, LeaseOutcome::Granted(_))).count();
        assert_eq!(granted, 1, "{outcomes:?}");
        handles.clock().advance(30);
    }
}

pub(super) async fn leases_are_listed_with_their_holders(handles: &dyn Handles) {
    let store = handles.open().await;
    store.acquire_lease("pipeline/a", &holder("r1"), TTL).await.unwrap().granted().unwrap();
    let dead = LeaseHolder { who: dead_process(), ..holder("r2") };
    store.acquire_lease("pipeline/b", &dead, TTL).await.unwrap().granted().unwrap();
    store.acquire_lease("other/c", &holder("r3"), TTL).await.unwrap().granted().unwrap();
    let listed = store.leases("pipeline/").await.unwrap();
    let listed: Vec<_> = listed.iter().map(|l| (l.name.as_str(), &l.holder, l.in_force)).collect();
    assert_eq!(listed, [("pipeline/a", &holder("r1"), true), ("pipeline/b", &dead, false)]);
    handles.clock().advance(30);
    assert!(store.leases("").await.unwrap().iter().all(|l| !l.in_force));
}
