//! Tests of the file store: it outlives its process, however that ends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use windlass_base::error::Coded;
use windlass_scheduler::clock::SystemClock;
use windlass_scheduler::state::{Durability, PutOutcome, RedbStore, Revision, StateError, StateStore};

const FILE: &str = "WINDLASS_TEST_STATE_FILE";

#[tokio::test]
async fn values_persist_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let store = RedbStore::open(&path).await.unwrap();
    let first = store.compare_and_put("a", None, Bytes::from_static(b"1")).await.unwrap();
    drop(store);
    let store = RedbStore::open(&path).await.unwrap();
    let kept = store.get("a").await.unwrap().unwrap();
    assert_eq!((PutOutcome::Put(kept.revision), kept.value), (first, Bytes::from_static(b"1")));
    let second = store.compare_and_put("b", None, Bytes::new()).await.unwrap();
    assert!(matches!(second, PutOutcome::Put(revision) if revision > kept.revision));
}

/// Not a separate test: the process that the next one kills. Puts numbers, and prints which have been put.
#[tokio::test]
#[ignore = "started by the test that kills it"]
async fn a_process_that_puts_numbers() {
    let Ok(path) = std::env::var(FILE) else { return };
    let store = RedbStore::open(path).await.unwrap();
    let mut revision = store.get("number").await.unwrap().map(|v| v.revision);
    for number in 1u64.. {
        let put = store.compare_and_put("number", revision, Bytes::from(number.to_string())).await.unwrap();
        let PutOutcome::Put(next) = put else { panic!("nobody else puts") };
        revision = Some(next);
        println!("put {number} {}", next.0);
    }
}

#[tokio::test]
async fn a_killed_process_leaves_what_it_has_put() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let mut last = Revision(0);
    for round in 0..4u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "state::redb::a_process_that_puts_numbers", "--ignored", "--nocapture"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut reported = (0, 0);
        while reported.0 < 3 + 2 * round {
            let line = lines.next().expect("the process goes on until it is killed").unwrap();
            if let Some((_, words)) = line.split_once("put ") {
                let (number, revision) = words.split_once(' ').unwrap();
                reported = (number.parse().unwrap(), revision.parse().unwrap());
                assert!(Revision(reported.1) > last, "a revision of a killed process is not given again");
            }
        }
        // While it continues, others can use the file.
        let store = RedbStore::open(&path).await.unwrap();
        store.compare_and_put(&format!("round {round}"), None, Bytes::new()).await.unwrap();
        child.kill().unwrap();
        child.wait().unwrap();

        let kept = store.get("number").await.unwrap().unwrap();
        let number: u64 = std::str::from_utf8(&kept.value).unwrap().parse().unwrap();
        assert!(number >= reported.0 && kept.revision.0 >= reported.1, "{number} after {reported:?}");
        last = kept.revision;
    }
    let store = RedbStore::open(&path).await.unwrap();
    assert_eq!(store.list("round ").await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_file_that_is_not_a_state_store_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let text = "not a state file\n".repeat(1000);
    std::fs::write(&path, &text).unwrap();
    let error = RedbStore::open(&path).await.unwrap_err();
    assert!(matches!(error, StateError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains(&path.display().to_string()) && !error.is_retryable());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("home"), "a file").unwrap();
    let error = RedbStore::create(folder.path().join("home/state.redb")).await.unwrap_err();
    assert!(matches!(error, StateError::Unavailable { .. }), "{error:?}");
}

async fn unsynced(path: &std::path::Path) -> RedbStore {
    RedbStore::open_with(path, Durability::Process, Arc::new(SystemClock)).await.unwrap()
}

/// As if the machine had been started again since the file was last changed.
fn restart_machine(state: &std::path::Path) {
    std::fs::write(state.with_extension("boot"), "an earlier boot").unwrap();
}

#[tokio::test]
async fn an_unsynced_file_keeps_what_a_restart_of_the_machine_leaves_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let store = unsynced(&path).await;
    store.compare_and_put("a", None, Bytes::from_static(b"1")).await.unwrap();
    drop(store);
    restart_machine(&path);
    let store = unsynced(&path).await;
    assert_eq!(store.get("a").await.unwrap().unwrap().value, "1", "reading checks a copy");
    store.compare_and_put("b", None, Bytes::from_static(b"2")).await.unwrap();
    assert_eq!(store.list("").await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_unsynced_file_that_lost_pages_is_set_aside_by_the_next_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    for lost in [4096..usize::MAX, 0..usize::MAX] {
        let store = unsynced(&path).await;
        for number in 0..200 {
            let key = format!("key {number} of {}", lost.start);
            store.compare_and_put(&key, None, Bytes::from(vec![7; 500])).await.unwrap();
        }
        drop(store);
        let mut bytes = std::fs::read(&path).unwrap();
        let end = lost.end.min(bytes.len());
        bytes[lost.start..end].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        restart_machine(&path);

        let store = unsynced(&path).await;
        assert!(store.list("").await.unwrap().is_empty());
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "reading changes nothing");
        store.compare_and_put("a", None, Bytes::new()).await.unwrap();
        assert_eq!(store.list("").await.unwrap().len(), 1);
        assert_eq!(std::fs::read(path.with_extension("redb.lost")).unwrap().len(), bytes.len());
        store.delete_prefix("").await.unwrap();
    }
}

#[tokio::test]
async fn looking_makes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("home/state.redb");
    for store in [RedbStore::open(&path).await.unwrap(), unsynced(&path).await] {
        assert_eq!(store.get("a").await.unwrap(), None);
        assert!(store.leases("").await.unwrap().is_empty() && store.list("").await.unwrap().is_empty());
        assert!(!folder.path().join("home").exists());
    }
}
