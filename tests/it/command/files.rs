//! Output files of commands: written completely or not at all, and replacing no other file unless requested.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{binary, new_project, windlass};

/// More rows than are shown in a table for people.
const MANY: &str = "SELECT unnest(range(0, 2500)) AS n";

fn stderr(project: &Path, args: &[&str], code: i32) -> String {
    let output = windlass(project).args(args).assert().code(code).get_output().clone();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(project: &Path, args: &[&str]) -> String {
    let output = windlass(project).args(args).assert().success().get_output().clone();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}

#[test]
fn files_and_programs_get_all_rows() {
    let dir = tempfile::tempdir().unwrap();
    let project = new_project(dir.path());
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    for (form, lines) in [("csv", 2501), ("json", 1), ("table", 2504)] {
        let file = out.join(form);
        let path = file.to_str().unwrap();
        let reported = stderr(&project, &["query", MANY, "--output", form, "--to", path], 0);
        // With `--output json` a document on stdout says so.
        let is_reported = reported.starts_with("wrote 2,500 rows, ") && reported.ends_with(&format!("B to {path}\n"));
        assert!(if form == "json" { reported.is_empty() } else { is_reported }, "{form}: {reported}");
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), lines, "{form}");
    }
    let json: Value = serde_json::from_slice(&fs::read(out.join("json")).unwrap()).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2500);
    let file = out.join("parquet");
    let reported = stderr(&project, &["query", MANY, "--output", "parquet", "--to", file.to_str().unwrap()], 0);
    assert!(reported.starts_with("wrote 2,500 rows, "), "{reported}");
    let reader =
        datafusion::parquet::file::serialized_reader::SerializedFileReader::new(fs::File::open(&file).unwrap());
    let metadata = datafusion::parquet::file::reader::FileReader::metadata(&reader.unwrap()).clone();
    assert_eq!(metadata.file_metadata().num_rows(), 2500);

    // The same holds for a reader of stdout. Only a table for people is truncated, and says so.
    assert_eq!(stdout(&project, &["query", MANY, "--output", "csv"]).lines().count(), 2501);
    let json: Value = serde_json::from_str(&stdout(&project, &["query", MANY, "--output", "json"])).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2500);
    assert_eq!(stdout(&project, &["query", MANY]).lines().count(), 1004);
    let reported = stderr(&project, &["query", MANY], 0);
    assert!(reported.contains("the output ends after 1,000 rows") && reported.contains("--limit 0"), "{reported}");
    assert_eq!(stdout(&project, &["query", MANY, "--limit", "0"]).lines().count(), 2504);

    // A requested format applies everywhere.
    let file = out.join("ten");
    let ten = ["query", MANY, "--limit", "10", "--output", "csv", "--to", file.to_str().unwrap()];
    assert!(stderr(&project, &ten, 0).contains("the output ends after 10 rows"));
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 11);
    assert_eq!(names(&out), ["csv", "json", "parquet", "table", "ten"]);
}

#[test]
fn nothing_is_overwritten_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let project = new_project(dir.path());
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let file = out.join("mine.txt");
    let path = file.to_str().unwrap();
    let commands: [&[&str]; 4] = [
        &["query", "SELECT 1 AS one", "--output", "csv", "--to", path],
        &["contract", "infer", "orders", "--to", path],
        &["graph", "--to", path],
        &["plan", "--out", path],
    ];
    for command in commands {
        fs::write(&file, "by hand").unwrap();
        let reported = stderr(&project, command, 1);
        assert!(reported.contains("WL0719") && reported.contains("--force"), "{command:?}: {reported}");
        let refused = windlass(&project).args(command).args(["--output", "json"]).output().unwrap();
        assert!(!refused.status.success(), "{command:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "by hand", "{command:?}");
        stdout(&project, &[command, &["--force"]].concat());
        assert_ne!(fs::read_to_string(&file).unwrap(), "by hand", "{command:?}");
        fs::remove_file(&file).unwrap();
        stdout(&project, command);
        assert!(file.exists(), "{command:?}");
    }
    // A plan replaces a plan.
    stdout(&project, commands[3]);
    // With a link, its target file is replaced; a dangling link is accepted, too.
    let link = out.join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    fs::write(&file, "by hand").unwrap();
    let to_link = ["query", "SELECT 1 AS one", "--output", "csv", "--to", link.to_str().unwrap()];
    stderr(&project, &to_link, 1);
    stdout(&project, &[&to_link[..], &["--force"]].concat());
    assert_eq!(fs::read_to_string(&file).unwrap(), "one\n1\n");
    assert!(link.symlink_metadata().unwrap().file_type().is_symlink());
    fs::remove_file(&file).unwrap();
    stderr(&project, &to_link, 1);
    // Something that is not a file has no content that could be lost.
    for _ in 0..2 {
        stdout(&project, &["query", "SELECT 1 AS one", "--output", "csv", "--to", "/dev/null"]);
    }
    // Without a file there is nothing to replace.
    stderr(&project, &["query", "SELECT 1", "--force"], 2);
    assert_eq!(names(&out), ["link"]);
}

#[test]
fn a_command_that_fails_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let project = new_project(dir.path());
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let file = out.join("rows.csv");
    let path = file.to_str().unwrap();
    let halfway = "SELECT 1 / (n - 2400) AS x FROM (SELECT unnest(range(0, 2500)) AS n)";
    stderr(&project, &["query", halfway, "--output", "csv", "--to", path], 1);
    // A format that cannot represent the rows is detected when they are written.
    let unfit = "SELECT [1, 2] AS list";
    stderr(&project, &["query", unfit, "--output", "csv", "--to", path], 1);
    assert_eq!(names(&out), Vec::<String>::new());
    fs::write(&file, "before").unwrap();
    stderr(&project, &["query", unfit, "--output", "csv", "--force", "--to", path], 1);
    assert_eq!(fs::read_to_string(&file).unwrap(), "before");
    stderr(&project, &["query", "SELECT 1", "--output", "csv", "--to", dir.path().join("no/x").to_str().unwrap()], 1);
    stderr(&project, &["query", "SELECT 1", "--output", "csv", "--force", "--to", out.to_str().unwrap()], 1);
    assert_eq!(names(&out), ["rows.csv"]);
}

#[test]
fn a_reader_that_closes_early_is_not_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let project = new_project(dir.path());
    let many = "SELECT unnest(range(0, 200000)) AS n";
    for form in ["csv", "json"] {
        let mut command = Command::new(binary());
        command.arg("--project").arg(&project).args(["query", many, "--output", form]).env_remove("WINDLASS_HOME");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut begin = [0; 16];
        child.stdout.take().unwrap().read_exact(&mut begin).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{form}: {}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{form}");
    }
}
