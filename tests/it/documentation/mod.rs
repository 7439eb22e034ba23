//! The examples in the documentation do what the pages say. docs/development.md describes how a page is written.

mod commands;
mod elsewhere;
mod output;
mod page;
mod reader;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::command::binary;
use commands::Commands;
use elsewhere::ELSEWHERE;
use page::{Kind, Page, repository};

/// A test for each page.
macro_rules! pages {
    ($($test:ident: $page:literal,)*) => {
        const PAGES: &[&str] = &[$($page),*];
        $(
            #[test]
            fn $test() {
                reader::follow($page);
            }
        )*
    };
}

pages! {
    readme: "README.md",
    docs_readme: "docs/README.md",
    api: "docs/api.md",
    benchmark_method: "docs/benchmark-method.md",
    benchmarks: "docs/benchmarks.md",
    coming_from: "docs/coming-from.md",
    comparing_runs: "docs/comparing-runs.md",
    configuration: "docs/configuration.md",
    contracts: "docs/contracts.md",
    datasets: "docs/datasets.md",
    deploy_compose: "docs/deploy-compose.md",
    deploy_kubernetes: "docs/deploy-kubernetes.md",
    development: "docs/development.md",
    errors: "docs/errors.md",
    expectations: "docs/expectations.md",
    glossary: "docs/glossary.md",
    guarantees: "docs/guarantees.md",
    incremental: "docs/incremental.md",
    json_output: "docs/json-output.md",
    lineage: "docs/lineage.md",
    maintenance: "docs/maintenance.md",
    object_storage: "docs/object-storage.md",
    project_format: "docs/project-format.md",
    readers: "docs/readers.md",
    resuming: "docs/resuming.md",
    run_bundle: "docs/run-bundle.md",
    run_log: "docs/run-log.md",
    sql: "docs/sql.md",
    sql_functions: "docs/sql-functions.md",
    subdags: "docs/subdags.md",
    system_tables: "docs/system-tables.md",
    tags: "docs/tags.md",
    tests: "docs/tests.md",
    tutorial: "docs/tutorial.md",
    ui: "docs/ui.md",
    values: "docs/values.md",
}

/// What the command prints about itself, compared as a whole by `command::reference`.
const REFERENCE: &str = "docs/commands.md";

#[test]
fn every_page_is_followed() {
    let pages = fs::read_dir(repository().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let pages = pages.map(|name| format!("docs/{}", name.to_string_lossy())).filter(|name| name.ends_with(".md"));
    let followed = PAGES.iter().copied().chain([REFERENCE]).map(str::to_owned);
    let expected: BTreeSet<String> = pages.chain(["README.md".to_owned()]).collect();
    assert_eq!(followed.collect::<BTreeSet<_>>(), expected, "the list in tests/it/documentation/mod.rs");
}

#[test]
fn what_is_not_run_is_in_the_table_and_nothing_else_is() {
    let mut used = BTreeSet::new();
    let mut problems = Vec::new();
    for name in PAGES {
        let page = Page::read(name);
        for step in &page.steps {
            let first = step.text.lines().next().unwrap_or_default();
            match step.kind {
                Kind::Commands { .. } => {
                    for (command, index) in Commands::of(name, &step.text).elsewhere {
                        used.insert(index);
                        problems.extend(elsewhere::problem(&command).map(|why| format!("{}: {why}", page.position(step))));
                    }
                }
                Kind::Other => match elsewhere::find(name, first) {
                    Some(index) => drop(used.insert(index)),
                    None => problems.push(format!(
                        "{}: neither a file of the page nor a part of a file, nor in tests/it/documentation/elsewhere.rs",
                        page.position(step)
                    )),
                },
                _ => {}
            }
        }
    }
    let unused = (0..ELSEWHERE.len()).filter(|index| !used.contains(index));
    problems
        .extend(unused.map(|index| format!("no example of any page is entry {index} of the table in elsewhere.rs")));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_examples_of_the_help_are_understood() {
    let page = fs::read_to_string(repository().join(REFERENCE)).unwrap();
    let examples: Vec<&str> = page.lines().filter(|line| line.starts_with("  windlass ")).collect();
    assert!(examples.len() > 20, "{examples:?}");
    for example in examples {
        for command in example.split(" && ").map(str::trim).filter(|command| command.starts_with("windlass ")) {
            // The arguments are parsed, and then the help is printed.
            let command = command.split(" > ").next().unwrap_or_default().split(" | ").next().unwrap_or_default();
            let arguments = command.trim_start_matches("windlass ");
            let script = format!("\"$0\" {arguments} --help");
            let output = Command::new("bash").args(["-c", &script]).arg(binary()).output().unwrap();
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
