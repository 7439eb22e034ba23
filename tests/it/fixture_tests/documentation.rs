//! The project of docs/tests.md passes, and fails when it is changed as the page says.

use std::fs;
use std::path::Path;

use assert_cmd::Command;

use super::{without_variable_parts, write};
use crate::command::binary;

const PAGE: &str = include_str!("../../../docs/tests.md");

/// The blocks of the page in a language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(&fence).skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

fn run_test_command(project: &Path, code: i32) -> String {
    let mut command = Command::new(binary());
    let command = command.arg("test").arg("--project").arg(project).env_remove("WINDLASS_HOME");
    String::from_utf8_lossy(&command.assert().code(code).get_output().stdout).into_owned()
}

#[test]
fn the_project_of_the_page_does_what_the_page_says() {
    let dir = tempfile::tempdir().unwrap();
    let (yaml, sql, text) = (blocks("yaml"), blocks("sql"), blocks("text"));
    let stage = "stages/customer_totals.sql";
    let files = [("windlass.yaml", yaml[0]), (stage, sql[0]), ("tests/customer_totals.yaml", yaml[1])];
    write(dir.path(), &files);
    assert_eq!(without_variable_parts(&run_test_command(dir.path(), 0)), without_variable_parts(text[0]));
    let changed = sql[0].replace("SELECT customer_id, name,", "SELECT customer_id, nullif(name, 'bo') AS name,");
    fs::write(dir.path().join(stage), changed).unwrap();
    assert_eq!(without_variable_parts(&run_test_command(dir.path(), 1)), without_variable_parts(text[1]));
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "fixtures wrote into the project: {left:?}");
}

#[test]
fn the_fixtures_of_code_graph_pass() {
    let project = crate::run::code_graph::project();
    let mut command = Command::new(binary());
    let command = command.arg("test").arg("--project").arg(project).env_remove("WINDLASS_HOME").assert();
    let printed = String::from_utf8_lossy(&command.get_output().stdout).into_owned();
    command.code(0);
    insta::assert_snapshot!(without_variable_parts(&printed));
}
