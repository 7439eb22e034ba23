//! Changes of inputs that a store does not give at the moment: the same error whether a plan or a run reads them, and worth
//! another try.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use windlass_base::error::{Coded, full_message};
use windlass_client::{Project, RunOptions, Windlass};
use windlass_evidence::artifact::{RunRecord, RunStatus};

const MANIFEST: &str = "
name: shop
sources:
  orders: { kind: listing, format: csv, location: orders.csv }
  notes: { kind: text_files, location: notes }
";

const STAGES: [(&str, &str); 3] = [
    ("first", "/* windlass\nio: { key: [id] }\n*/\nSELECT id, amount FROM orders"),
    ("after", "/* windlass\nio: { key: [id], incremental: auto }\n*/\nSELECT id, amount + 1 AS amount FROM first"),
    ("texts", "/* windlass\nio: { key: [path], incremental: auto }\n*/\nSELECT path, content FROM notes"),
];

struct Lab {
    dir: tempfile::TempDir,
    project: Project,
    windlass: Windlass,
}

impl Lab {
    /// The project after a run.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["stages", "notes"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("windlass.yaml"), MANIFEST).unwrap();
        fs::write(dir.path().join("orders.csv"), "id,amount\n1,5\n2,20\n").unwrap();
        fs::write(dir.path().join("notes/a.txt"), "one").unwrap();
        for (name, sql) in STAGES {
            fs::write(dir.path().join(format!("stages/{name}.sql")), sql).unwrap();
        }
        let project = Project::open(dir.path(), None, &[]).unwrap();
        let home = project.home(None).unwrap();
        let windlass = Windlass::embedded(windlass_tests::embedded(home, project.graph.session.clone())).await.unwrap();
        let lab = Self { dir, project, windlass };
        assert_eq!(lab.run(&[]).await.status, RunStatus::Succeeded);
        lab
    }

    async fn run(&self, select: &[&str]) -> RunRecord {
        self.windlass.run(&self.project, &selecting(select)).await.unwrap().wait().await.unwrap()
    }

    /// Why there is no plan: the code, the message, and whether it is worth another try.
    async fn refusal(&self, select: &[&str]) -> (&'static str, String, bool) {
        let error = self.windlass.plan(&self.project, &selecting(select)).await.unwrap_err();
        (error.code().0, full_message(&error), error.is_retryable())
    }

    fn change_orders(&self) {
        fs::write(self.dir.path().join("orders.csv"), "id,amount\n1,6\n2,20\n3,7\n").unwrap();
    }

    fn home(&self, path: &str) -> PathBuf {
        let home = self.project.home(None).unwrap();
        home.local_path().unwrap().join(path)
    }
}

fn selecting(select: &[&str]) -> RunOptions {
    RunOptions { select: select.iter().map(|term| (*term).to_owned()).collect(), ..RunOptions::default() }
}

/// Makes the files of a folder unreadable, which are there all the same, until they are given back.
struct Broken(Vec<PathBuf>);

impl Broken {
    fn new(folder: &Path, extension: &str) -> Self {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<PathBuf> =
            files.filter(|file| file.extension().is_some_and(|found| found == extension)).collect();
        assert!(!files.is_empty(), "{}", folder.display());
        for file in &files {
            fs::rename(file, aside(file)).unwrap();
            symlink(file, file).unwrap();
        }
        Self(files)
    }

    fn mend(self) {
        for file in &self.0 {
            fs::remove_file(file).unwrap();
            fs::rename(aside(file), file).unwrap();
        }
    }
}

fn aside(file: &Path) -> PathBuf {
    file.with_extension("aside")
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_cannot_be_read_now_are_one_error_for_plans_and_runs() {
    let lab = Lab::new().await;
    lab.change_orders();
    // A run that changes `first` cannot know before what its reader has to take in.
    let broken = Broken::new(&lab.home("tables/first"), "parquet");
    let record = lab.run(&[]).await;
    assert_eq!(record.status, RunStatus::Failed);
    let failed: Vec<_> =
        record.stages.iter().filter_map(|stage| Some((stage.stage.as_str(), stage.failure.as_ref()?))).collect();
    let [("after", in_run)] = failed.as_slice() else { panic!("{failed:?}") };
    let told = "`after` cannot apply the changes of `first`";
    assert!(in_run.message.starts_with(told), "{}", in_run.message);
    assert_eq!((in_run.code.as_str(), in_run.retryable), ("WL0401", true));

    // Now that it is there, the plan reads it.
    let (code, message, retryable) = lab.refusal(&["after"]).await;
    assert_eq!((code, message.as_str(), retryable), (in_run.code.as_str(), in_run.message.as_str(), true));
    broken.mend();
    assert_eq!(lab.run(&[]).await.status, RunStatus::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_listing_that_cannot_be_read_now_is_worth_another_try() {
    let lab = Lab::new().await;
    fs::write(lab.dir.path().join("notes/b.txt"), "two").unwrap();
    let broken = Broken::new(&lab.home("cursors/listings"), "json");
    let (code, message, retryable) = lab.refusal(&["texts"]).await;
    assert_eq!((code, retryable), ("WL0319", true), "{message}");
    broken.mend();
    assert_eq!(lab.run(&[]).await.status, RunStatus::Succeeded);
}
