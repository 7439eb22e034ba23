//! Maintenance, pins and tags, as the command offers them.

use serde_json::Value;

use super::reading::state;
use super::shop::{Shop, text};

/// Every run adds a file, and two files are enough to be compacted.
const EVENTS: &str = "\
/* windlass
io: { mode: append, maintenance: { optimize: { small_files: 1 } } }
*/
SELECT order_id, customer FROM orders
";

/// A project whose stage `events` has a table of three files, at version 3.
fn shop() -> Shop {
    let shop = Shop::new();
    shop.write("stages/events.sql", EVENTS);
    for _ in 0..3 {
        shop.windlass(&["run", "-s", "events"]).assert().success();
    }
    assert_eq!((table(&shop)["version"].as_u64(), table(&shop)["files"].as_u64()), (Some(3), Some(3)));
    shop
}

/// What `windlass tables` says of `events`.
fn table(shop: &Shop) -> Value {
    let tables = shop.document(&["tables"]);
    tables.as_array().unwrap().iter().find(|table| table["name"] == "events").unwrap().clone()
}

fn rows(shop: &Shop) -> Value {
    shop.document(&["query", "SELECT count(*) AS n, sum(order_id) AS s, min(customer) AS c FROM events"])
}

/// What was decided about compaction of the only table of a turn.
fn compaction(record: &Value) -> &Value {
    let actions = record["tables"][0]["actions"].as_array().unwrap();
    actions.iter().find(|action| action["kind"] == "compact").unwrap()
}

/// What a command that fails says, with its exit code.
fn refused(shop: &Shop, args: &[&str], code: i32) -> String {
    text(&shop.windlass(args).assert().code(code).get_output().stderr)
}

/// The items of `pins ls` that were set by hand.
fn marks(shop: &Shop) -> Vec<Value> {
    let listed = shop.document(&["pins", "ls"]);
    listed.as_array().unwrap().iter().filter(|item| item.get("mark").is_some()).cloned().collect()
}

#[test]
fn a_dry_run_shows_what_is_due_and_changes_nothing() {
    let shop = shop();
    let before = state(shop.dir());
    let only = ["maintain", "--dry-run", "-s", "events", "--only", "compact"];
    let shown = text(&shop.windlass(&only).env("COLUMNS", "80").assert().success().get_output().stdout);
    let line = shown.lines().nth(1).unwrap();
    assert!(line.starts_with("events ") && line.contains(" compact "), "{shown}");
    assert!(shown.ends_with("1 table: 1 action is due; nothing was done\n"), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");

    let record = shop.document(&["maintain", "--dry-run", "-s", "events"]);
    assert_eq!((&record["dry_run"], &record["pipeline"]), (&true.into(), &"shop".into()), "{record}");
    let actions = record["tables"][0]["actions"].as_array().unwrap();
    let compact = compaction(&record);
    assert_eq!((&compact["due"], &compact["files"], &compact["outcome"]), (&true.into(), &3.into(), &Value::Null));
    // Reasons are given of what is not due, too.
    assert!(actions.iter().all(|action| !action["reason"].as_str().unwrap().is_empty()), "{record}");
    let all = shop.shown(&["maintain", "--dry-run", "-s", "events", "-v"]);
    assert!(actions.iter().all(|action| all.contains(&action["kind"].as_str().unwrap().replace('_', "-"))), "{all}");
    assert_eq!(state(shop.dir()), before);
}

#[test]
fn maintenance_compacts_what_runs_have_added() {
    let shop = shop();
    let before = rows(&shop);
    let output = shop.windlass(&["maintain", "-s", "events", "--only", "compact"]).assert().success();
    let (shown, progress) = (text(&output.get_output().stdout), text(&output.get_output().stderr));
    assert!(shown.contains("1 table: 3 files became 1 in "), "{shown}");
    assert!(progress.contains("started   events: compact, 3 files, "), "{progress}");
    assert!(progress.contains("done      events: compact: 3 files became 1, version 4, "), "{progress}");
    assert_eq!((table(&shop)["version"].as_u64(), table(&shop)["files"].as_u64()), (Some(4), Some(1)));
    assert_eq!(rows(&shop), before);

    let record = shop.document(&["maintain", "-s", "events", "--only", "compact"]);
    assert_eq!(compaction(&record)["due"], false, "{record}");
    let kept = shop.dir().join(".windlass/maintenance").join(format!("{}.json", record["turn"].as_str().unwrap()));
    let kept: Value = serde_json::from_slice(&std::fs::read(kept).unwrap()).unwrap();
    assert_eq!(kept["tables"], record["tables"]);
    let nothing = shop.shown(&["maintain", "-s", "events", "--only", "compact"]);
    assert!(nothing.starts_with("1 table: nothing was due"), "{nothing}");

    // The next run goes on with the table, and what runs wrote can still be read.
    shop.windlass(&["run", "-s", "events"]).assert().success();
    assert_eq!((table(&shop)["version"].as_u64(), table(&shop)["files"].as_u64()), (Some(5), Some(2)));
    shop.windlass(&["query", "SELECT * FROM events", "--at", "events=3"]).assert().success();

    assert!(refused(&shop, &["maintain", "-s", "nothing"], 1).contains("nothing"));
    assert!(refused(&shop, &["maintain", "--only", "frobnicate"], 2).contains("clean-log"));
}

#[test]
fn a_pin_keeps_a_version_until_it_is_released() {
    let shop = shop();
    let june = ["pins", "add", "events@2", "--name", "june", "--for", "7d", "--reason", "the report of June"];
    let said = shop.shown(&june);
    assert!(said.starts_with("pin `june` keeps version 2 of `events` until 20"), "{said}");
    let unnamed = shop.document(&["pins", "add", "events"]);
    assert_eq!((&unnamed["name"], &unnamed["version"]), (&"events-3".into(), &3.into()), "{unnamed}");
    assert_eq!((&unnamed["tag"], &unnamed["expires_at"]), (&false.into(), &Value::Null), "{unnamed}");
    assert!(!unnamed["by"].as_str().unwrap().is_empty(), "{unnamed}");

    let listed = marks(&shop);
    let pin = listed.iter().find(|item| item["mark"]["name"] == "june").unwrap();
    assert_eq!((&pin["name"], &pin["version"]), (&"events".into(), &2.into()), "{pin}");
    assert_eq!(pin["mark"]["reason"], "the report of June");
    let shown = shop.shown(&["pins", "ls"]);
    assert!(shown.starts_with("KIND  NAME "), "{shown}");
    let line = shown.lines().find(|line| line.contains("june")).unwrap();
    assert!(line.starts_with("pin ") && line.ends_with("the report of June"), "{shown}");
    assert!(shown.lines().any(|line| line.contains("events-3") && line.contains("released")), "{shown}");

    assert!(refused(&shop, &["pins", "add", "events@1", "--name", "june"], 1).contains("WL0682"));
    assert!(refused(&shop, &["tag", "rm", "june"], 1).contains("windlass pins release june"));
    assert!(refused(&shop, &["pins", "add", "events@99"], 1).contains("99"));
    assert!(refused(&shop, &["pins", "add", "evnts"], 1).contains("events"));
    for (wrong, said) in
        [("events@", "is not a version"), ("events@x", "`x` is not a version"), ("@1", "name is missing")]
    {
        assert!(refused(&shop, &["pins", "add", wrong], 2).contains(said), "{wrong}");
    }
    assert_eq!(marks(&shop), listed);

    let said = shop.shown(&["pins", "release", "june"]);
    assert!(said.starts_with("pin `june` is released"), "{said}");
    assert!(refused(&shop, &["pins", "release", "june"], 1).contains("WL0681"));
    assert_eq!(shop.document(&["pins", "release", "events-3"])["name"], "events-3");
    assert_eq!(marks(&shop), Vec::<Value>::new());
}

#[test]
fn a_tag_names_a_version_until_it_is_removed() {
    let shop = shop();
    assert_eq!(shop.shown(&["tag", "events@1", "first"]), "tag `first` keeps version 1 of `events`\n");
    let newest = shop.document(&["tag", "events", "newest", "--reason", "as delivered"]);
    assert_eq!((&newest["version"], &newest["tag"]), (&3.into(), &true.into()), "{newest}");
    // A second tag of the name would move it.
    assert!(refused(&shop, &["tag", "events@2", "first"], 1).contains("WL0682"));
    assert!(refused(&shop, &["pins", "add", "events@2", "--name", "first"], 1).contains("WL0682"));

    shop.windlass(&["pins", "add", "events@2", "--name", "pinned"]).assert().success();
    let tags = shop.document(&["tag", "ls"]);
    let names: Vec<&str> = tags.as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"first") && names.contains(&"newest") && names.len() == 2, "{tags}");
    assert_eq!(marks(&shop).len(), 3);
    let shown = shop.shown(&["tag", "ls"]);
    assert!(shown.lines().any(|line| line.starts_with("newest ") && line.ends_with("as delivered")), "{shown}");
    let shown = shop.shown(&["pins", "ls"]);
    assert!(shown.lines().any(|line| line.starts_with("tag ") && line.contains("first")), "{shown}");

    assert!(refused(&shop, &["pins", "release", "first"], 1).contains("windlass tag rm first"));
    assert!(refused(&shop, &["tag", "rm", "pinned"], 1).contains("WL0744"));
    assert!(refused(&shop, &["tag", "events@1"], 2).contains("<NAME>"));
    assert!(shop.shown(&["tag", "rm", "first"]).starts_with("tag `first` is removed"));
    assert_eq!(shop.document(&["tag", "ls"]).as_array().unwrap().len(), 1);
    // The name is free again.
    assert_eq!(shop.document(&["tag", "events@2", "first"])["version"], 2);
}

#[test]
fn the_project_is_given_as_an_argument_too() {
    let shop = Shop::new();
    let dir = shop.dir().display().to_string();
    assert!(refused(&shop, &["maintain", &dir], 2).contains("given twice"));
    let output = assert_cmd::Command::new(super::binary())
        .args(["maintain", &dir, "--dry-run"])
        .env_remove("WINDLASS_HOME")
        .env_remove("WINDLASS_CLUSTER")
        .assert()
        .success();
    assert!(text(&output.get_output().stdout).contains("nothing is due"), "{output}");
}
