//! Tests of the file store: it outlives its process, however that ends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use bytes::Bytes;
use windlass_base::error::Coded;
use windlass_scheduler::state::{PutOutcome, RedbStore, Revision, StateError, StateStore};

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
