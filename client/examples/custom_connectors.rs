//! A custom source kind and a custom export, with a loader and a saver.
//!
//! ```text
//! squares (loader) ─→ even: SELECT … ─→ Delta table ─→ report (saver): one line of text
//! cargo run -p windlass-client --example custom_connectors -- FOLDER
//! ```

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::datasource::MemTable;
use futures::TryStreamExt;
use windlass_base::error::full_message;
use windlass_client::builder::{ProjectBuilder, Source, StageBuilder};
use windlass_client::embedded::EmbeddedConfig;
use windlass_client::{ClientError, Project, RunOptions, Windlass};
use windlass_engine::connectors::{ConnectorRegistry, Fault, LoadRequest, Loaded, Loader, SaveRequest, Saved, Saver};
use windlass_engine::session::{ProviderInput, TableInput};
use windlass_evidence::artifact::RunStatus;
use windlass_project::spec::table::{Export, TableSettings};

/// The first squares, as many as the option `count` says.
#[derive(Debug)]
struct Squares;

#[async_trait]
impl Loader for Squares {
    async fn load(&self, request: LoadRequest<'_>) -> Result<Loaded, Fault> {
        let count = request.custom()?.options.get("count").ok_or("say how many: `options: { count: \"10\" }`")?;
        let count: i64 = count.parse()?;
        let column = |value: fn(i64) -> i64| Arc::new((0..count).map(value).collect::<Int64Array>()) as ArrayRef;
        let rows = RecordBatch::try_from_iter([("n", column(|n| n)), ("square", column(|n| n * n))])?;
        let provider = Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]])?);
        // Equal values of the last argument, and of the identity below, mean equal rows.
        let table = TableInput::Provider(ProviderInput::custom(request.name(), provider, &("squares", count))?);
        let content_identity = Some(count.to_string());
        Ok(Loaded { table, kind: "squares".to_owned(), chosen_by: "loaded", pinned: None, content_identity })
    }
}

/// Writes the number of rows, with the table and its version.
#[derive(Debug)]
struct Report;

#[async_trait]
impl Saver for Report {
    async fn save(&self, request: SaveRequest) -> Result<Saved, Fault> {
        let mut rows = 0;
        let mut batches = request.rows;
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows() as u64;
        }
        let text = format!("{} has {rows} rows in version {}\n", request.dataset, request.version);
        let folder = request.location.url().to_file_path().map_err(|()| "the report is written to a folder")?;
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("report.txt"), &text)?;
        Ok(Saved { rows, bytes: text.len() as u64 })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).and_then(|folder| std::path::absolute(PathBuf::from(folder)).ok())
    else {
        eprintln!("usage: custom_connectors FOLDER");
        return ExitCode::from(2);
    };
    match run(&folder).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", full_message(&error));
            ExitCode::FAILURE
        }
    }
}

/// Builds the project, runs it in `folder`, and prints what the saver wrote; returns whether the run succeeded.
async fn run(folder: &Path) -> Result<bool, ClientError> {
    let report = Export {
        name: "report".to_owned(),
        saver: "report".to_owned(),
        location: "out".to_owned(),
        options: Default::default(),
    };
    let even = TableSettings { exports: vec![report], ..TableSettings::default() };
    let project = ProjectBuilder::new("squares")
        .source("squares", Source::custom("squares").option("count", "100"))
        .stage(StageBuilder::sql("even", "SELECT * FROM squares WHERE square % 2 = 0").table(&even))
        .build()?;
    // Relative locations, including that of the home, are resolved against it.
    let project = Project { dir: folder.to_owned(), ..project };
    let connectors =
        ConnectorRegistry::standard().with_loader("squares", Arc::new(Squares)).with_saver("report", Arc::new(Report));
    let config =
        EmbeddedConfig { connectors, ..EmbeddedConfig::new(project.home(None)?, project.graph.session.clone()) };
    let windlass = Windlass::embedded(config).await?;
    let record = windlass.run(&project, &RunOptions::default()).await?.wait().await?;
    windlass.stop().await;
    for stage in &record.stages {
        eprintln!("{} {}", stage.stage, stage.status.as_str());
    }
    print!("{}", std::fs::read_to_string(folder.join("out/report.txt")).unwrap_or_default());
    Ok(record.status == RunStatus::Succeeded)
}
