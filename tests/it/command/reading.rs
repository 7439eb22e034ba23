//! Commands that read leave the home as it is, and work where it cannot be written.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use super::shop::{ENDLESS, ORDERS, Shop, text};

/// Everything that looks at a project and its home.
const COMMANDS: [&[&str]; 25] = [
    &["check"],
    &["ls"],
    &["registry", "--lineage"],
    &["lineage", "orders_clean"],
    &["schema"],
    &["contract", "infer", "orders_clean"],
    &["graph"],
    &["plan"],
    &["plan", "--full-refresh"],
    &["tables"],
    &["cursors", "ls"],
    &["cursors", "show", "orders_clean"],
    &["pins", "ls"],
    &["tag", "ls"],
    &["maintain", "--dry-run"],
    &["clean", "--dry-run", "--tables", "--keep-runs", "0", "--keep-days", "0"],
    &["runs", "list"],
    &["runs", "list", "--target", "dev"],
    &["runs", "show"],
    &["runs", "diff", "latest", "latest"],
    &["runs", "log"],
    &["explain", "latest", "orders_clean"],
    &["query", "SELECT * FROM totals_of_each_customer"],
    &["query", "SELECT * FROM orders_clean__quarantine", "--as-of-run", "latest"],
    &["query", "SELECT r.status, s.stage FROM windlass.runs AS r JOIN windlass.stages AS s USING (run_id)"],
];

/// Every file and folder, with what changes when it is written.
pub(super) fn state(folder: &Path) -> BTreeMap<String, (u64, u64, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let written = (metadata.ino(), metadata.len(), metadata.modified().unwrap());
        found.insert(path.display().to_string(), written);
        if metadata.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

#[test]
fn commands_that_read_change_nothing() {
    let shop = Shop::new();
    shop.windlass(&["run"]).assert().success();
    shop.windlass(&["run", "--target", "dev"]).assert().success();
    shop.write("orders.csv", &format!("{ORDERS}4,ada,1.5,EUR\n"));
    let before = state(shop.dir());
    for engine in ["local", "cluster"] {
        for args in COMMANDS {
            shop.windlass(args).args(["--engine", engine]).assert().success();
            assert_eq!(state(shop.dir()), before, "{args:?} with the engine {engine}");
        }
    }
}

#[test]
fn a_project_that_was_never_run_is_read_without_making_a_home() {
    let shop = Shop::new();
    let before = state(shop.dir());
    let reading = ["plan", "tables", "cursors ls", "pins ls", "tag ls", "maintain --dry-run", "runs list"];
    for args in reading.map(|command| command.split(' ').collect::<Vec<_>>()) {
        shop.windlass(&args).assert().success();
        assert_eq!(state(shop.dir()), before, "{args:?}");
    }
    shop.windlass(&["query", "SELECT count(*) AS n FROM orders"]).assert().success();
    shop.windlass(&["runs", "show"]).assert().code(1);
    assert_eq!(state(shop.dir()), before);
}

/// Runs as somebody who may write nowhere in the project. Permissions stop root nowhere, so root becomes another user.
#[cfg(target_os = "linux")]
#[test]
fn a_home_that_cannot_be_written_is_read() {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let shop = Shop::below(place.path());
    shop.windlass(&["run"]).assert().success();
    // Where another user finds it.
    let binary = place.path().join("windlass");
    fs::hard_link(super::binary(), &binary).or_else(|_| fs::copy(super::binary(), &binary).map(drop)).unwrap();
    let paths: Vec<String> = state(shop.dir()).into_keys().collect();
    let permit = |folders: u32, files: u32| {
        for path in paths.iter().rev() {
            let mode = if Path::new(path).is_dir() { folders } else { files };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    permit(0o555, 0o444);
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let failed = COMMANDS.iter().filter(|args| !args.contains(&"dev")).find_map(|args| {
        let mut command = match is_root {
            true => Command::new("setpriv"),
            false => Command::new(&binary),
        };
        if is_root {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&binary);
        }
        command.arg("--project").arg(shop.dir()).args(*args).env("HOME", "/nonexistent").env_remove("WINDLASS_HOME");
        let output = command.stdin(Stdio::null()).output().unwrap();
        (!output.status.success()).then(|| format!("{args:?}: {}{}", text(&output.stdout), text(&output.stderr)))
    });
    permit(0o755, 0o644);
    assert_eq!(failed, None);
}

#[test]
fn the_state_of_a_killed_process_is_read_without_being_repaired() {
    let shop = Shop::new();
    shop.write("stages/slow.sql", ENDLESS);
    let mut run = Command::new(super::binary());
    run.arg("--project").arg(shop.dir()).args(["run", "--events"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut run = run.spawn().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(run.stdout.take().unwrap()));
    let started = lines.map(|line| line.unwrap()).any(|line| line.contains("stage_started") && line.contains("slow"));
    assert!(started, "the run ended too early");
    let status = |expected: &str| {
        let runs = shop.document(&["runs", "list"]);
        assert_eq!(runs[0]["status"], expected, "{runs}");
    };
    status("running");
    run.kill().unwrap();
    run.wait().unwrap();
    let before = state(shop.dir());
    for args in [&["runs", "list"][..], &["pins", "ls"], &["tables"], &["plan"]] {
        shop.windlass(args).assert().success();
    }
    assert_eq!(state(shop.dir()), before);
}
