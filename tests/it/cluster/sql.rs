//! The `.slt` files on a cluster of three processes, each query sent to the API, with results by Arrow Flight.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use futures::FutureExt;
use windlass_client::{Project, QueryOptions, Windlass};
use windlass_tests::processes::ProcessCluster;

use crate::sql::fixtures;
use crate::sql::runner::{RunSql, run_all};

/// A project whose sources and views are the tables of the fixtures; the generated ones are in `generated`.
fn project(dir: &Path, generated: &Path) -> Project {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let manifest = format!(
        "name: fixtures
sources:
  people:
    {{ kind: listing, format: csv, location: '{files}/people.csv', schema: {{ id: long, name: string, city: string,
      age: integer, salary: 'decimal(10,2)', joined: date }} }}
  events: {{ kind: listing, format: json, location: '{files}/events.jsonl' }}
  orders:
    {{ kind: listing, format: parquet, location: '{generated}/orders', partition_columns: {{ region: string, day: date }},
      file_sort_order: [id] }}
  numbers: {{ kind: listing, format: parquet, location: '{generated}/numbers', file_sort_order: [n] }}
  code: {{ kind: text_files, location: '{files}/code', include: ['**/*.rs', '**/*.py'], max_file_bytes: 1000000 }}
",
        files = files.display(),
        generated = generated.display(),
    );
    fs::create_dir(dir.join("stages")).unwrap();
    fs::write(dir.join("windlass.yaml"), manifest).unwrap();
    let adults = "/* windlass\nmaterialize: view\n*/\nSELECT id, name, age FROM people WHERE age > 40";
    fs::write(dir.join("stages/adults.sql"), adults).unwrap();
    Project::open(dir, None, &[]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_processes_passes() {
    let cluster = ProcessCluster::start(2);
    let (dir, generated) = (tempfile::tempdir().unwrap(), fixtures::generate());
    let project = Arc::new(project(dir.path(), generated.path()));
    let windlass = Arc::new(Windlass::connect(&cluster.url()).await.unwrap());
    let run: RunSql = Arc::new(move |sql| {
        let (windlass, project) = (Arc::clone(&windlass), Arc::clone(&project));
        async move {
            let failed = |error| DataFusionError::External(Box::new(error));
            let rows = windlass.query(&project, &sql, &QueryOptions::default()).await.map_err(failed)?;
            let schema = rows.schema();
            Ok((schema, rows.collect().await.map_err(failed)?))
        }
        .boxed()
    });
    run_all("processes", run).await;
}
