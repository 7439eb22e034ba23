//! Schema contracts: which types are compatible under which policy, and that a violation changes nothing.

mod command;
mod matrix;
mod runs;

use std::collections::BTreeMap;
use std::path::Path;

use windlass_base::config::SessionSettings;
use windlass_client::error::ClientError;
use windlass_client::{Project, RunOptions, Windlass};
use windlass_evidence::artifact::{RunRecord, RunStatus};
use windlass_project::spec::ProjectFiles;
use windlass_storage::Location;

/// The policies by name.
const POLICIES: [&str; 3] = ["exact", "additive", "ignore_extra"];

/// Windlass with its home below `dir`.
async fn windlass(dir: &Path) -> Windlass {
    let home = Location::from_path(&dir.join("home")).unwrap();
    let session = SessionSettings { target_partitions: 1, ..SessionSettings::default() };
    Windlass::embedded(windlass_tests::embedded(home, session)).await.unwrap()
}

/// A project of these files and a manifest.
fn project(dir: &Path, files: &[(String, String)]) -> Project {
    let mut all = ProjectFiles::new();
    all.insert("windlass.yaml", "name: contracts\nrun: { max_parallel_stages: 8 }\n");
    for (path, text) in files {
        all.insert(path.as_str(), text);
    }
    match Project::from_files(&all, dir, None, &[]) {
        Ok(project) => project,
        Err(error) => panic!("{}", messages(&error).join("\n")),
    }
}

/// A stage with a contract.
fn stage(name: &str, contract: &str, sql: &str) -> (String, String) {
    (format!("stages/{name}.sql"), format!("/* windlass\ncontract: {contract}\n*/\n{sql}"))
}

async fn run(windlass: &Windlass, project: &Project) -> RunRecord {
    windlass.run(project, &RunOptions::default()).await.unwrap().wait().await.unwrap()
}

async fn succeed(windlass: &Windlass, project: &Project) {
    let record = run(windlass, project).await;
    assert_eq!(record.status, RunStatus::Succeeded, "{:?}", record.stages);
}

/// The message about a project that is refused.
fn messages(error: &ClientError) -> Vec<String> {
    match error.problems() {
        Some(problems) => problems.iter().map(|problem| format!("{} {}", problem.code, problem.message)).collect(),
        None => vec![error.to_string()],
    }
}

/// Every file below a folder with its bytes' length.
fn everything(folder: &Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => waiting.push(entry.path()),
                false => drop(found.insert(entry.path().display().to_string(), entry.metadata().unwrap().len())),
            }
        }
    }
    found
}
