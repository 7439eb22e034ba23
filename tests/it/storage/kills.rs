//! A process killed between checking its rows and committing them.

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde_json::Value;
use windlass_tests::{Answer, StorageProxy, StorageServer};

use super::lake::Lake;

const CONTRACT: &str = "columns: { path: { type: string, nullable: false }, size: long }\n";
const STAGE: &str = "/* windlass
contract: checked
expect:
  - { unique: [path] }
  - { sql: size > 0, name: not_empty }
*/
SELECT path, size FROM notes";

/// The commit is on its way, and the store never gets it: the rows satisfied the contract and the expectations, and
/// none of that may count.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_visible_of_a_run_killed_between_the_check_and_the_commit() {
    let Some(server) = StorageServer::start() else { return };
    let lake = Lake::new(&server).await;
    fs::create_dir_all(lake.project().join("contracts")).unwrap();
    fs::write(lake.project().join("contracts/checked.yaml"), CONTRACT).unwrap();
    fs::write(lake.project().join("stages/checked.sql"), STAGE).unwrap();
    let (reached, commit) = mpsc::channel();
    let gone = Arc::new(AtomicBool::new(false));
    let killed = Arc::clone(&gone);
    let proxy = StorageProxy::start(server.address(), move |request| {
        let is_commit = request.target.contains("/tables/checked/_delta_log/00000000000000000001.json");
        if request.method != "PUT" || !is_commit || killed.load(Ordering::SeqCst) {
            return None;
        }
        // The waiting process may have given up already.
        let _ = reached.send(());
        while !killed.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(Answer::busy())
    });

    let environment = proxy.environment();
    let mut run = lake.process(&environment);
    let run = run.args(["run", "--select", "checked"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = run.spawn().unwrap();
    commit.recv_timeout(Duration::from_secs(120)).expect("the run never came to its commit");
    child.kill().unwrap();
    child.wait().unwrap();
    gone.store(true, Ordering::SeqCst);

    let environment = server.environment();
    let count = ["query", "SELECT count(*) AS n FROM checked"];
    let refused = lake.process(&environment).args(count).output().unwrap();
    assert!(!refused.status.success(), "the table of a run that was killed is readable");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("WL0351"), "{refused:?}");
    let table = lake.json(&environment, &["tables"]);
    let checked = table.as_array().unwrap().iter().find(|table| table["name"] == "checked").unwrap();
    assert_eq!(checked["version"], Value::Null, "{checked}");
    // The next run completes it, in one commit.
    lake.json(&environment, &["run", "--select", "checked"]);
    assert_eq!(lake.json(&environment, &count)[0]["n"], 2);
    let table = lake.json(&environment, &["tables"]);
    let checked = table.as_array().unwrap().iter().find(|table| table["name"] == "checked").unwrap();
    assert_eq!(checked["version"], 1, "{checked}");
}
