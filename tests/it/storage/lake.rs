//! A project whose sources, tables and bundles are in an object store.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use assert_cmd::Command;
use datafusion::arrow::array::{Int64Array, StringArray};
use datafusion::arrow::csv::WriterBuilder;
use datafusion::prelude::SessionContext;
use deltalake::DeltaTable;
use futures::TryStreamExt;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::Value;
use tempfile::TempDir;
use windlass_tests::StorageServer;
use windlass_tests::plain::{PlainOptions, run_project};

use crate::command::binary;
use crate::delta_read::tables::{append, array, batch, write_parquet};

const MANIFEST: &str = "
name: shop
sources:
  orders: { kind: listing, format: parquet, location: <in>/orders, partition_columns: { day: string } }
  customers: { kind: delta, location: <in>/customers }
  notes: { kind: text_files, location: <in>/notes, include: ['**/*.txt'] }
run: { max_parallel_stages: 2, retries: 1 }
";

const STAGES: [(&str, &str); 4] = [
    ("paid", "/* windlass\nmaterialize: view\n*/\nSELECT * FROM orders WHERE amount > 0"),
    (
        "named",
        "/* windlass\nmaterialize: cache\n*/\n\
         SELECT p.id, p.day, p.amount, c.name FROM paid p JOIN customers c ON p.customer = c.id",
    ),
    (
        "totals",
        "/* windlass\nio: { partition_by: [day] }\n*/\n\
         SELECT day, name, count(*) AS orders, sum(amount) AS amount FROM named GROUP BY day, name",
    ),
    ("words", "SELECT path, size, content_hash, split_part(content, ' ', 1) AS first FROM notes"),
];

/// The tables that a run of the project writes, each with a query whose result is ordered.
pub(crate) const TABLES: [(&str, &str); 2] = [
    ("totals", "SELECT day, name, orders, amount FROM totals ORDER BY day, name"),
    ("words", "SELECT * FROM words ORDER BY path"),
];

/// A project on the local disk, its data in a store and next to it, and a folder for local files of processes.
pub(crate) struct Lake {
    pub(crate) dir: TempDir,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) home: String,
}

impl Lake {
    /// Puts the data of the sources into the server's bucket.
    pub(crate) async fn new(server: &StorageServer) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lake = Self { dir, store: server.store(), home: server.url("home") };
        lake.write_sources().await;
        upload(&lake.local("in"), lake.store.as_ref()).await;
        fs::create_dir_all(lake.project().join("stages")).unwrap();
        fs::write(lake.project().join("windlass.yaml"), MANIFEST.replace("<in>", &server.url("in"))).unwrap();
        for (name, sql) in STAGES {
            fs::write(lake.project().join(format!("stages/{name}.sql")), sql).unwrap();
        }
        lake
    }

    pub(crate) fn local(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.local("project")
    }

    async fn write_sources(&self) {
        for day in 0..3_i64 {
            let ids: Vec<i64> = (day * 100..day * 100 + 100).collect();
            let rows = batch(vec![
                ("id", array(Int64Array::from(ids.clone()))),
                ("customer", array(Int64Array::from_iter(ids.iter().map(|id| (id % 9 != 0).then_some(id % 7))))),
                ("amount", array(Int64Array::from_iter_values(ids.iter().map(|id| id % 5)))),
            ]);
            write_parquet(&self.local(&format!("in/orders/day=2026-01-0{}/part-0.parquet", day + 1)), &[rows]);
        }
        for part in 0..2_i64 {
            let ids: Vec<i64> = (part * 3..part * 3 + 3).collect();
            let names = StringArray::from_iter_values(ids.iter().map(|id| format!("customer {id}")));
            let rows = batch(vec![("id", array(Int64Array::from(ids))), ("name", array(names))]);
            append(&self.local("in/customers"), rows, &[]).await;
        }
        fs::create_dir_all(self.local("in/notes/more")).unwrap();
        fs::write(self.local("in/notes/a.txt"), "alpha and omega").unwrap();
        fs::write(self.local("in/notes/more/b.txt"), "beta").unwrap();
    }

    /// The command on the project, with `environment` and no other variables that could point to another store.
    pub(crate) fn windlass(&self, environment: &[(&str, String)]) -> Command {
        Command::from_std(self.process(environment))
    }

    /// [`Lake::windlass`] as a process that can be killed.
    pub(crate) fn process(&self, environment: &[(&str, String)]) -> std::process::Command {
        let mut command = std::process::Command::new(binary());
        command.arg("--project").arg(self.project()).arg("--home").arg(&self.home);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("AWS_") || name.starts_with("WINDLASS_")) {
                command.env_remove(name);
            }
        }
        command.env("XDG_STATE_HOME", self.local("state")).envs(environment.iter().cloned());
        command
    }

    /// The JSON that a command prints which must succeed.
    pub(crate) fn json(&self, environment: &[(&str, String)], args: &[&str]) -> Value {
        let output = self.windlass(environment).args(args).args(["--output", "json"]).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", output_text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The results of the queries of [`TABLES`] from the tables in the store, as CSV.
    pub(crate) fn answers(&self, environment: &[(&str, String)]) -> Vec<String> {
        let ask = |(_, sql): (&str, &str)| {
            let output = self.windlass(environment).args(["query", sql, "--limit", "0", "--output", "csv"]).output();
            let output = output.unwrap();
            assert!(output.status.success(), "{sql}: {}", output_text(&output));
            String::from_utf8(output.stdout).unwrap()
        };
        TABLES.into_iter().map(ask).collect()
    }

    /// The same results from plain DataFusion over the same data on the local disk.
    pub(crate) async fn plain_answers(&self) -> Vec<String> {
        let options = PlainOptions {
            sources: ["orders", "customers", "notes"]
                .map(|name| (name.to_owned(), self.local(&format!("in/{name}")).display().to_string()))
                .into(),
            ..PlainOptions::new(self.local("plain"))
        };
        run_project(&self.project(), &options).await.unwrap();
        let mut answers = Vec::new();
        for (name, sql) in TABLES {
            let context = SessionContext::new();
            let folder = self.local(&format!("plain/tables/{name}"));
            let mut table =
                DeltaTable::try_from_url(deltalake::ensure_table_uri(folder.to_str().unwrap()).unwrap()).await.unwrap();
            table.load().await.unwrap();
            context.register_table(name, table.table_provider().await.unwrap()).unwrap();
            let mut csv = Vec::new();
            let mut writer = WriterBuilder::new().with_header(true).build(&mut csv);
            for rows in context.sql(sql).await.unwrap().collect().await.unwrap() {
                writer.write(&rows).unwrap();
            }
            drop(writer);
            answers.push(String::from_utf8(csv).unwrap());
        }
        answers
    }

    /// The paths below `prefix` in the store, sorted.
    pub(crate) async fn objects(&self, prefix: &str) -> Vec<String> {
        let prefix = StorePath::from(prefix);
        let mut paths: Vec<String> =
            self.store.list(Some(&prefix)).map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
        paths.sort();
        paths
    }

    pub(crate) async fn get(&self, path: &str) -> Vec<u8> {
        self.store.get(&StorePath::parse(path).unwrap()).await.unwrap().bytes().await.unwrap().to_vec()
    }
}

/// The output of a process.
pub(crate) fn output_text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Every file below `folder`.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Puts every file of a folder into the store, under the folder's name.
async fn upload(folder: &Path, store: &dyn ObjectStore) {
    let parent = folder.parent().unwrap();
    for file in files_below(folder) {
        let path = StorePath::parse(file.strip_prefix(parent).unwrap().to_str().unwrap()).unwrap();
        store.put(&path, fs::read(file).unwrap().into()).await.unwrap();
    }
}
