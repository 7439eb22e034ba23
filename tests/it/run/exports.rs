//! Export folders: foreign files are kept, forbidden locations are refused, and interrupted exports are good.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use windlass_base::error::Coded;
use windlass_client::{Project, RunOptions};
use windlass_project::spec::ProjectFiles;

use super::datasets::{Lab, exported};
use crate::delta_read::tables::{append, array, batch};
use crate::incremental::tables::open;

const QUERY: &str = "SELECT day, sum(amount) AS amount FROM orders GROUP BY day";

/// A manifest in which `totals` has the exports `exports`, in YAML.
fn manifest(exports: &str) -> String {
    format!("name: p\nsources: {{ orders: {{ kind: delta, location: orders }} }}\ndatasets: {{ totals: {exports} }}\n")
}

fn project(lab: &Lab, exports: &str) -> Project {
    lab.project(&[("windlass.yaml", &manifest(exports)), ("stages/totals.sql", QUERY)], None)
}

/// The error code with which a plan is refused.
async fn refusal(lab: &Lab, project: &Project) -> (String, String) {
    let error = lab.windlass.plan(project, &RunOptions::default()).await.unwrap_err();
    (error.code().to_string(), windlass_base::error::full_message(&error))
}

/// The problems of a project that is refused before it is planned: code, message and locations.
fn problems(manifest: &str, stages: &[(&str, &str)]) -> Vec<(String, String, usize)> {
    let mut files: ProjectFiles = [("windlass.yaml", manifest)].into_iter().collect();
    stages.iter().for_each(|(name, sql)| files.insert(format!("stages/{name}.sql"), sql));
    match windlass_project::graph::check(&files) {
        Ok(_) => Vec::new(),
        Err(found) => {
            found.iter().map(|found| (found.code.to_string(), found.message.clone(), found.labels.len())).collect()
        }
    }
}

/// The exported files among those in a folder.
fn ours(folder: &Path) -> BTreeMap<String, String> {
    let is_ours = |name: &str| name.starts_with("windlass-totals-csv-") && name.ends_with(".csv");
    exported(folder).into_iter().filter(|(name, _)| is_ours(name)).collect()
}

fn rows(folder: &Path) -> Vec<String> {
    ours(folder).into_values().collect()
}

fn the_file(folder: &Path) -> PathBuf {
    let files = ours(folder);
    assert_eq!(files.len(), 1, "{files:?}");
    folder.join(files.keys().next().unwrap())
}

/// The only export record of a home.
fn record_of(lab: &Lab) -> (PathBuf, Value) {
    let mut found: Vec<PathBuf> =
        fs::read_dir(lab.path("home/exports")).unwrap().flatten().map(|it| it.path()).collect();
    found.retain(|path| path.is_file());
    assert_eq!(found.len(), 1, "{found:?}");
    let record = serde_json::from_slice(&fs::read(&found[0]).unwrap()).unwrap();
    (found.remove(0), record)
}

async fn spark_table(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let columns = [deltalake::kernel::StructField::nullable("id", deltalake::kernel::DataType::LONG)];
    open(folder).await.create().with_columns(columns).await.unwrap();
    let ids = array([1_i64, 2].into_iter().collect::<datafusion::arrow::array::Int64Array>());
    append(folder, batch(vec![("id", ids)]), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_files_are_kept_regardless_of_their_names() {
    let lab = Lab::new().await;
    lab.orders(&[(1, "mon", 5)]).await;
    let out = lab.path("out");
    let foreign = [
        ("part-00000000000000000000.csv", "id\n1\n"),
        ("part-00000000000000000001.csv", "id\n2\n"),
        ("part-00000-8d5f-c000.csv", "id\n3\n"),
        ("part-mine.csv", "id\n4\n"),
        ("windlass-notes.csv", "id\n5\n"),
        ("notes.txt", "keep"),
        ("_SUCCESS", ""),
    ];
    fs::create_dir_all(out.join("sub")).unwrap();
    fs::write(out.join("sub/part-1.csv"), "id\n6\n").unwrap();
    for (name, text) in foreign {
        fs::write(out.join(name), text).unwrap();
    }
    let project = project(&lab, "{ exports: [{ format: csv, location: out }] }");
    let record = lab.succeed(&project).await;
    let runs = lab.windlass.runs(&project).await.unwrap();
    let log = serde_json::to_string(&runs.bundles.log(&record.run_id).await.unwrap()).unwrap();
    assert!(log.contains("part-00000-8d5f-c000.csv` and 4 more") && !log.contains("notes.txt"), "{log}");
    assert_eq!(rows(&out), ["day,amount\nmon,5"]);
    for amount in 1..4 {
        lab.orders(&[(10 + amount, "mon", amount)]).await;
        lab.succeed(&project).await;
    }
    assert_eq!(rows(&out), ["day,amount\nmon,11"]);
    for (name, text) in foreign {
        assert_eq!(fs::read_to_string(out.join(name)).unwrap(), text, "{name}");
    }
    assert_eq!(fs::read_to_string(out.join("sub/part-1.csv")).unwrap(), "id\n6\n");
    let (_, record) = record_of(&lab);
    assert_eq!(record["exported"]["stage"], "totals");
    assert!(record["written_by"]["run"].is_string() && record["written_by"]["target"].is_null(), "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_exported_into_a_table_or_the_home() {
    let lab = Lab::new().await;
    lab.orders(&[(1, "mon", 5)]).await;
    spark_table(&lab.path("spark")).await;
    spark_table(&lab.path("lake/deep/table")).await;
    std::os::unix::fs::symlink(lab.path("spark"), lab.path("link")).unwrap();
    let before = fs::read_dir(lab.path("spark")).unwrap().count();
    let absolute = |name: &str| lab.path(name).display().to_string();
    for location in [
        "spark",
        "spark/exports",
        "spark/_delta_log",
        "lake",
        "lake/deep",
        "link",
        "link/new",
        "home/out",
        "home",
        "home/tables/totals",
        "x/../home/out",
        &absolute(""),
        &absolute("orders"),
        &absolute("orders/x"),
    ] {
        let project = project(&lab, &format!("{{ exports: [{{ format: parquet, location: '{location}' }}] }}"));
        let (code, reported) = refusal(&lab, &project).await;
        assert_eq!(code, "WL0675", "{location}: {reported}");
        let failed = lab.windlass.run(&project, &RunOptions::default()).await.unwrap().wait().await;
        assert_eq!(failed.unwrap_err().code().to_string(), "WL0675", "{location}");
    }
    // A table of the project whose location is written differently.
    let other = format!("{{ location: '{}', exports: [{{ format: csv, location: t/out }}] }}", absolute("t"));
    assert_eq!(refusal(&lab, &project(&lab, &other)).await.0, "WL0675");
    assert_eq!(fs::read_dir(lab.path("spark")).unwrap().count(), before);
    assert!(!lab.path("home/tables").exists() && !lab.path("t").exists());

    // A folder next to a table belongs to nobody.
    lab.succeed(&project(&lab, "{ exports: [{ format: csv, location: spark2 }] }")).await;
    assert_eq!(rows(&lab.path("spark2")), ["day,amount\nmon,5"]);
}

#[test]
fn conflicting_exports_are_problems_of_the_project() {
    let one = [("totals", QUERY)];
    let two = [("totals", QUERY), ("again", "SELECT * FROM totals")];
    let printed = |datasets: &str, stages: &[(&str, &str)]| {
        let text = format!(
            "name: p\nsources:\n  orders: {{ kind: delta, location: orders }}\n  files: {{ kind: listing, location: files, format: csv }}\ndatasets: {datasets}\n"
        );
        problems(&text, stages).into_iter().map(|(code, _, places)| (code, places)).collect::<Vec<_>>()
    };
    let code = |code: &str| vec![(code.to_owned(), 2)];
    let ok: Vec<(String, usize)> = Vec::new();
    let csv = |location: &str| format!("exports: [{{ format: csv, location: {location} }}]");
    assert_eq!(printed(&format!("{{ totals: {{ {} }} }}", csv("out")), &one), ok);
    // Two exports.
    for (first, second) in [("out", "./out/"), ("out", "out/csv"), ("a/../out", "out"), ("s3://b/x", "s3://b/x/y")] {
        let datasets = format!("{{ totals: {{ {} }}, again: {{ {} }} }}", csv(first), csv(second));
        assert_eq!(printed(&datasets, &two), code("WL0676"), "{first} {second}");
        let both = format!(
            "{{ totals: {{ exports: [{{ format: csv, location: {first} }}, {{ format: json, location: {second} }}] }} }}"
        );
        assert_eq!(printed(&both, &one), code("WL0676"), "{first} {second}");
    }
    assert_eq!(printed(&format!("{{ totals: {{ {} }}, again: {{ {} }} }}", csv("out"), csv("outer")), &two), ok);
    // A table, and sources.
    for location in ["tables/again", "tables", "tables/again/x"] {
        let datasets = format!("{{ totals: {{ {} }}, again: {{ location: tables/again }} }}", csv(location));
        assert_eq!(printed(&datasets, &two), code("WL0675"), "{location}");
    }
    for location in ["orders", "orders/x", "files", "files/x"] {
        assert_eq!(printed(&format!("{{ totals: {{ {} }} }}", csv(location)), &one), code("WL0675"), "{location}");
    }
    // A source of another format does not see them, and a custom saver may write anywhere.
    assert_eq!(printed("{ totals: { exports: [{ format: json, location: files }] } }", &one), ok);
    let own = "{ totals: { exports: [{ saver: report, location: out }] }, again: { exports: [{ saver: report, location: out }] } }";
    assert_eq!(printed(own, &two), ok);
}

#[test]
fn targets_with_separate_tables_have_separate_exports() {
    let printed = |targets: &str| {
        let text = format!(
            "name: p\nsources: {{ orders: {{ kind: delta, location: orders }} }}\ndatasets: {{ totals: {{ exports: [{{ format: csv, location: out }}] }} }}\ntargets: {targets}\n"
        );
        problems(&text, &[("totals", QUERY)])
    };
    for other in [
        "{ dev: { home: dev/.windlass } }",
        "{ dev: { datasets: { totals: { location: dev/totals } } } }",
        "{ dev: { home: dev/.windlass, datasets: { totals: { exports: [{ format: csv, location: out/dev }] } } } }",
        "{ dev: { home: dev/.windlass, datasets: { totals: { exports: [{ format: json, location: ./out }] } } } }",
    ] {
        let found = printed(other);
        assert_eq!(found.len(), 1, "{other}: {found:?}");
        let (code, message, places) = &found[0];
        assert_eq!((code.as_str(), *places), ("WL0678", 2), "{other}");
        assert!(message.contains("without a target") && message.contains("with the target `dev`"), "{message}");
    }
    // Between two targets, both of which are named.
    let two = "{ dev: { home: d, datasets: { totals: { exports: [{ format: csv, location: x }] } } }, ci: { home: c, datasets: { totals: { exports: [{ format: csv, location: x }] } } } }";
    let found = printed(two);
    assert!(found.len() == 1 && found[0].1.contains("`dev`") && found[0].1.contains("`ci`"), "{found:?}");
    for same in [
        "{ dev: { session: { batch_size: 1024 } } }",
        "{ dev: { sources: { orders: { location: other } } } }",
        "{ dev: { home: d, datasets: { totals: { exports: [] } } } }",
        "{ dev: { datasets: { totals: { location: dev/totals, exports: [{ format: csv, location: dev/out }] } } } }",
    ] {
        assert_eq!(printed(same), [], "{same}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_a_format_cannot_represent_are_reported_before_anything_runs() {
    let lab = Lab::new().await;
    lab.orders(&[(1, "mon", 5)]).await;
    let cases = [
        ("csv", "SELECT [amount] AS list FROM orders", "`list`"),
        ("csv", "SELECT named_struct('a', amount) AS nested FROM orders", "`nested`"),
        ("csv", "SELECT amount FROM orders", "`delimiter`"),
        ("parquet", "SELECT amount FROM orders", "`delimiter`"),
    ];
    for (format, sql, named) in cases {
        let options = if named == "`delimiter`" { ", options: { delimiter: ',,' }" } else { "" };
        let exports = format!("{{ exports: [{{ format: {format}, location: out{options} }}] }}");
        let files = [("windlass.yaml", &*manifest(&exports)), ("stages/totals.sql", sql)];
        let (code, message) = refusal(&lab, &lab.project(&files, None)).await;
        assert_eq!(code, "WL0345", "{sql}: {message}");
        assert!(message.contains(named), "{message}");
    }
    assert!(!lab.path("home/tables").exists());
    // An export that is added to an unchanged table is checked too.
    let nested = ("stages/totals.sql", "SELECT [amount] AS list FROM orders");
    lab.succeed(&lab.project(&[("windlass.yaml", &*manifest("{ mode: overwrite }")), nested], None)).await;
    let exports = manifest("{ exports: [{ format: csv, location: out }] }");
    assert_eq!(refusal(&lab, &lab.project(&[("windlass.yaml", &*exports), nested], None)).await.0, "WL0345");
    // JSON has such values, and writes null for them.
    let exports = manifest("{ exports: [{ format: json, location: json }] }");
    let sql = ("stages/totals.sql", "SELECT [amount] AS list, CAST(NULL AS INT) AS missing FROM orders");
    lab.succeed(&lab.project(&[("windlass.yaml", &*exports), sql], None)).await;
    let written: Vec<String> = exported(&lab.path("json")).into_values().collect();
    assert_eq!(written, ["{\"list\":[5],\"missing\":null}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_unknown_to_the_home_is_left_alone() {
    let lab = Lab::new().await;
    lab.orders(&[(1, "mon", 5)]).await;
    let project = project(&lab, "{ exports: [{ format: csv, location: out }] }");
    lab.succeed(&project).await;
    let (out, file) = (lab.path("out"), the_file(&lab.path("out")));
    let held = fs::read_to_string(&file).unwrap();

    // What was removed is written again although nothing is computed.
    fs::remove_file(&file).unwrap();
    lab.succeed(&project).await;
    let file = the_file(&out);
    assert_eq!(fs::read_to_string(&file).unwrap(), held);

    // What somebody else has written into it is neither removed nor mistaken for the export.
    fs::write(&file, held.clone() + "sun,1\n").unwrap();
    lab.orders(&[(2, "tue", 7)]).await;
    let (code, reported) = refusal(&lab, &project).await;
    assert!(code == "WL0677" && reported.contains(file.file_name().unwrap().to_str().unwrap()), "{reported}");
    assert_eq!(fs::read_to_string(&file).unwrap(), held + "sun,1\n");
    fs::remove_file(&file).unwrap();
    lab.succeed(&project).await;
    assert_eq!(rows(&out), ["day,amount\nmon,5\ntue,7"]);

    // Without its record a home does not know whose file it is.
    fs::remove_dir_all(lab.path("home/exports")).unwrap();
    let (code, reported) = refusal(&lab, &project).await;
    assert!(code == "WL0677" && reported.contains("no record of"), "{reported}");
    assert_eq!(rows(&out).len(), 1);
    fs::remove_file(the_file(&out)).unwrap();
    lab.succeed(&project).await;
    assert_eq!(rows(&out), ["day,amount\nmon,5\ntue,7"]);

    // A record that it cannot read does not count either.
    let (path, mut record) = record_of(&lab);
    fs::write(&path, "{").unwrap();
    assert_eq!(refusal(&lab, &project).await.0, "WL0679");
    record["format"] = json!(99);
    fs::write(&path, record.to_string()).unwrap();
    let (code, reported) = refusal(&lab, &project).await;
    assert!(code == "WL0679" && reported.contains("format 99"), "{reported}");
    assert_eq!(rows(&out).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_export_is_completed() {
    let lab = Lab::new().await;
    lab.orders(&[(1, "mon", 5)]).await;
    let project = project(&lab, "{ exports: [{ format: csv, location: out }] }");
    lab.succeed(&project).await;
    let out = lab.path("out");

    // Killed when the new file existed but was not in the record, and while another was being written.
    let (path, mut record) = record_of(&lab);
    let names = ["a", "b"].map(|letter| format!("windlass-totals-csv-00000000000000000009-{}.csv", letter.repeat(12)));
    record["begun"] = json!(names);
    fs::write(&path, record.to_string()).unwrap();
    fs::write(out.join(&names[0]), "day,amount\nmon,99\n").unwrap();
    fs::write(out.join(format!("{}#1", names[1])), "day,am").unwrap();
    fs::write(out.join(format!("{}#x", names[1])), "not ours").unwrap();
    lab.succeed(&project).await;
    assert_eq!(rows(&out), ["day,amount\nmon,5"]);
    assert!(!out.join(format!("{}#1", names[1])).exists() && out.join(format!("{}#x", names[1])).exists());
    fs::remove_file(out.join(format!("{}#x", names[1]))).unwrap();

    // Killed when the record named the new file and the previous file still existed.
    let former = the_file(&out);
    fs::hard_link(&former, lab.path("kept")).unwrap();
    lab.orders(&[(2, "tue", 7)]).await;
    lab.succeed(&project).await;
    assert!(!former.exists());
    fs::hard_link(lab.path("kept"), &former).unwrap();
    assert_eq!(rows(&out).len(), 2);
    lab.succeed(&project).await;
    assert_eq!(rows(&out), ["day,amount\nmon,5\ntue,7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_of_earlier_versions_are_adopted_as_far_as_they_are_proven() {
    let lab = Lab::new().await;
    lab.orders(&[(1, "mon", 5)]).await;
    let project = project(&lab, "{ exports: [{ format: csv, location: out }] }");
    let (out, mark) = (lab.path("out"), lab.path("home/exports/totals/csv.json"));
    let earlier = |version: u64| {
        fs::create_dir_all(mark.parent().unwrap()).unwrap();
        fs::create_dir_all(&out).unwrap();
        let record =
            json!({ "version": version, "saver": "csv", "location": out.display().to_string(), "options": {} });
        fs::write(&mark, record.to_string()).unwrap();
    };
    let part = |version: u64| out.join(format!("part-{version:020}.csv"));
    fs::create_dir_all(&out).unwrap();
    fs::write(part(1), "day,amount\nmon,5\n").unwrap();
    fs::write(part(2), "day,amount\nsun,1\n").unwrap();
    earlier(1);
    lab.succeed(&project).await;
    // The file that the record names is ours; about the other nothing is known.
    assert!(!part(1).exists() && part(2).exists() && !mark.exists());
    assert_eq!(rows(&out), ["day,amount\nmon,5"]);

    // A file of that name which is newer than the record is somebody else's.
    fs::remove_dir_all(lab.path("home/exports")).unwrap();
    fs::remove_dir_all(&out).unwrap();
    earlier(1);
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    fs::write(part(1), "day,amount\nmon,6\n").unwrap();
    fs::File::options().write(true).open(part(1)).unwrap().set_modified(later).unwrap();
    lab.succeed(&project).await;
    assert_eq!(fs::read_to_string(part(1)).unwrap(), "day,amount\nmon,6\n");
    assert_eq!(rows(&out), ["day,amount\nmon,5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_under_another_name_keeps_its_folder() {
    let lab = Lab::new().await;
    lab.orders(&[(1, "mon", 5)]).await;
    let out = lab.path("out");
    lab.succeed(&project(&lab, "{ exports: [{ format: csv, location: out }] }")).await;
    lab.succeed(&project(&lab, "{ exports: [{ name: bi, format: json, location: ./out }] }")).await;
    let files = exported(&out);
    let names: Vec<&String> = files.keys().collect();
    assert!(
        names.len() == 1 && names[0].starts_with("windlass-totals-bi-") && names[0].ends_with(".json"),
        "{names:?}"
    );

    // The same folder written differently is the same folder, and no other pipeline of the home may use it.
    let files = [
        ("windlass.yaml", "name: q\ndatasets: { one: { exports: [{ format: json, location: x/../out }] } }\n"),
        ("stages/one.sql", "SELECT 1 AS one"),
    ];
    let (code, reported) = refusal(&lab, &lab.project(&files, None)).await;
    assert!(code == "WL0677" && reported.contains("in the pipeline `p`"), "{reported}");
    let alias = format!(
        "{{ exports: [{{ format: csv, location: out2 }}, {{ format: json, location: '{}' }}] }}",
        lab.path("out2/x").display()
    );
    assert_eq!(refusal(&lab, &project(&lab, &alias)).await.0, "WL0676");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_table_with_the_same_version_is_exported_again() {
    let lab = Lab::new().await;
    lab.orders(&[(1, "mon", 5)]).await;
    let at = |location: &str| {
        project(&lab, &format!("{{ location: {location}, exports: [{{ format: csv, location: out }}] }}"))
    };
    lab.succeed(&at("first")).await;
    lab.orders(&[(2, "tue", 7)]).await;
    lab.succeed(&at("second")).await;
    assert_eq!(rows(&lab.path("out")), ["day,amount\nmon,5\ntue,7"]);
    // The table that replaces it has other rows under a version number that has been exported.
    fs::remove_dir_all(lab.path("second")).unwrap();
    lab.orders(&[(3, "tue", 1)]).await;
    lab.succeed(&at("second")).await;
    assert_eq!(rows(&lab.path("out")), ["day,amount\nmon,5\ntue,8"]);
}
