//! What an embedded run listens on: nothing, unless it is a cluster in this process.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};

use super::binary;

/// A run that takes long enough to be looked at.
const PROJECT: [(&str, &str); 2] = [
    ("windlass.yaml", "name: busy\nsources: { one: { kind: rows, columns: { a: long }, rows: [[1]] } }\n"),
    (
        "stages/busy.sql",
        "SELECT max((x.value * y.value) % 1000003) AS m FROM generate_series(1, 1200) AS x, generate_series(1, 1200) AS y, one",
    ),
];

/// The sockets that wait for connections, by their inodes.
fn listening() -> BTreeSet<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let text: String = tables.iter().filter_map(|table| fs::read_to_string(table).ok()).collect();
    let fields = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields
        .filter(|fields| fields.get(3) == Some(&"0A"))
        .filter_map(|fields| fields.get(9).map(|&s| s.to_owned()))
        .collect()
}

/// The sockets of a process.
fn sockets(process: u32) -> BTreeSet<String> {
    let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().filter_map(Result::ok);
    let targets = open.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()));
    targets.filter_map(|name| Some(name.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect()
}

/// How often a run was looked at, and whether it ever listened.
fn watch(engine: &str) -> (usize, bool) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in PROJECT {
        fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
        fs::write(dir.path().join(path), text).unwrap();
    }
    let mut command = Command::new(binary());
    command.arg("--project").arg(dir.path()).args(["--engine", engine, "run"]).env_remove("WINDLASS_HOME");
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (mut looks, mut listened) = (0, false);
    let status = loop {
        if let Some(status) = run.try_wait().unwrap() {
            break status;
        }
        listened |= !listening().is_disjoint(&sockets(run.id()));
        looks += 1;
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    assert!(status.success(), "the run fails on the engine {engine}");
    (looks, listened)
}

#[test]
fn an_embedded_run_listens_on_no_port() {
    let (looks, listened) = watch("local");
    assert!(looks > 10, "it was over before it could be looked at");
    assert!(!listened);
    // What is looked for can be found.
    assert!(watch("cluster").1);
}
