//! Options that are wrong are refused with a code, before anything happens; nothing is cut short silently.

use std::io::Read;
use std::process::{Command, Stdio};

use super::binary;
use super::shop::{Shop, text};

fn refused(shop: &Shop, args: &[&str], code: i32) -> String {
    text(&shop.windlass(args).assert().code(code).get_output().stderr)
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let shop = Shop::new();
    let nothing = refused(&shop, &["run", "--max-parallel", "0"], 2);
    assert!(nothing.contains("WL0706") && nothing.contains("from 1 on"), "{nothing}");
    assert!(!shop.dir().join(".windlass").exists(), "the run wrote something");
    let address = "http://127.0.0.1:1";
    let both = refused(&shop, &["tables", "--home", "x", "--cluster", address], 2);
    assert!(both.contains("WL0706") && both.contains("--cluster"), "{both}");
    let mut from_environment = shop.windlass(&["tables", "--home", "x"]);
    let both = from_environment.env("WINDLASS_CLUSTER", address).assert().code(2);
    assert!(text(&both.get_output().stderr).contains("WINDLASS_CLUSTER"));
    // A home for everything that runs here does not stand in the way of a cluster.
    let mut cluster = shop.windlass(&["tables", "--cluster", "not an address"]);
    let unreachable = cluster.env("WINDLASS_HOME", "x").assert().code(1);
    assert!(text(&unreachable.get_output().stderr).contains("WL0714"));
    let saved = shop.dir().join("plan.json").display().to_string();
    assert!(refused(&shop, &["plan", "orders_clean", "--out", &saved], 2).contains("WL0706"));
}

#[test]
fn versions_that_do_not_exist_are_refused() {
    let shop = Shop::new();
    shop.windlass(&["run"]).assert().success();
    let at = |name: &str| refused(&shop, &["query", "SELECT 1 AS n FROM orders_clean", "--at", name], 1);
    assert!(at("orders_clean=99").contains("WL0403"), "{}", at("orders_clean=99"));
    let misspelt = at("orders_claen=1");
    assert!(misspelt.contains("WL0742") && misspelt.contains("`orders_clean`"), "{misspelt}");
    shop.write("stages/seen.sql", "/* windlass\nmaterialize: view\n*/\nSELECT * FROM orders_clean");
    let view = at("seen=1");
    assert!(view.contains("WL0742") && view.contains("it is a view"), "{view}");
    let of_files = refused(&shop, &["query", "SELECT 1 AS n FROM orders", "--at", "orders=1"], 1);
    assert!(of_files.contains("WL0364"), "{of_files}");
    let range = ["plan", "-s", "totals_of_each_customer", "--from-version", "orders_clean=99"];
    assert!(refused(&shop, &range, 1).contains("WL03"), "{}", refused(&shop, &range, 1));
    let reset = ["cursors", "reset", "totals_of_each_customer", "--source", "orders_clean", "--to", "99", "--yes"];
    assert!(refused(&shop, &reset, 1).contains("WL06"), "{}", refused(&shop, &reset, 1));
    shop.windlass(&["run"]).assert().success();
    let run = refused(&shop, &["query", "SELECT 1", "--as-of-run", "ffff"], 1);
    assert!(run.contains("WL0713"), "{run}");
}

/// `head` ends after its first line.
#[test]
fn a_reader_that_has_seen_enough_is_not_a_failure() {
    let shop = Shop::new();
    shop.windlass(&["run"]).assert().success();
    let many = "SELECT unnest(range(0, 100000)) AS n";
    for args in [
        &["ls"][..],
        &["plan", "-v"],
        &["runs", "log"],
        &["man", "run"],
        &["completions", "bash"],
        &["--help"],
        &["query", many, "--limit", "0"],
        &["query", many, "--output", "json"],
        &["run", "--full-refresh"],
        &["run", "--full-refresh", "--events"],
    ] {
        for with_stderr in ["", "2>&1"] {
            // The reader is gone before anything is written.
            let line = format!("exec \"$0\" \"$@\" {with_stderr}");
            let mut command = Command::new("sh");
            command.args(["-c", &line]).arg(binary()).arg("--project").arg(shop.dir()).args(args);
            command.env_remove("WINDLASS_HOME").stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            drop(child.stdout.take());
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            let status = child.wait().unwrap();
            assert!(status.success(), "{args:?} {with_stderr}: {status}: {said}");
            assert!(!said.contains("panicked") && !said.contains("error"), "{args:?}: {said}");
        }
    }
}

#[test]
fn shells_and_manuals_know_every_command() {
    let shop = Shop::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = shop.shown(&["completions", shell]);
        for word in ["windlass", "runs", "explain", "full-refresh"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let page = shop.shown(&["man", "runs", "list"]);
    assert!(page.contains(".TH") && page.contains("windlass\\-runs\\-list") && page.contains("limit"), "{page}");
    let folder = shop.dir().join("man");
    shop.shown(&["man", "--to", folder.to_str().unwrap()]);
    for page in ["windlass.1", "windlass-run.1", "windlass-runs-list.1", "windlass-contract-infer.1"] {
        assert!(folder.join(page).is_file(), "{page}");
    }
    // Bash reads its script without complaint.
    let script = shop.dir().join("windlass.bash");
    std::fs::write(&script, shop.shown(&["completions", "bash"])).unwrap();
    assert!(Command::new("bash").arg("-n").arg(&script).status().unwrap().success());
    assert!(refused(&shop, &["completions", "cmd"], 2).contains("WL0706"));
}
