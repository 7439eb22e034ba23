//! Sessions and files for the tests of this folder.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::physical_plan::displayable;
use datafusion::prelude::SessionContext;
use windlass_base::config::SessionSettings;
use windlass_engine::function::Functions;
use windlass_engine::session::{SessionError, Sessions, TableInput, register};
use windlass_evidence::artifact::Registration;
use windlass_project::spec::source::{FileFormat, ListingSource, TextFilesSource};
use windlass_storage::Location;

/// A separate session with its own stores.
pub(crate) struct Fixture {
    pub(crate) sessions: Sessions,
    pub(crate) ctx: SessionContext,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(SessionSettings { target_partitions: 3, ..SessionSettings::default() })
    }

    pub(crate) fn with(settings: SessionSettings) -> Self {
        let sessions = Sessions::new(settings, Functions::standard()).unwrap();
        let ctx = sessions.context().unwrap();
        Self { sessions, ctx }
    }

    pub(crate) async fn register(&self, name: &str, table: TableInput) -> Result<Registration, SessionError> {
        register(&self.ctx, self.sessions.stores(), &name.into(), table).await
    }

    /// The rows of `sql`, as a table.
    pub(crate) async fn rows(&self, sql: &str) -> String {
        let batches = self.ctx.sql(sql).await.unwrap().collect().await.unwrap();
        pretty_format_batches(&batches).unwrap().to_string()
    }

    /// The first value of the first row of `sql`.
    pub(crate) async fn value(&self, sql: &str) -> String {
        use datafusion::arrow::util::display::array_value_to_string;
        let batches = self.ctx.sql(sql).await.unwrap().collect().await.unwrap();
        let batch = batches.iter().find(|batch| batch.num_rows() > 0).unwrap();
        array_value_to_string(batch.column(0), 0).unwrap()
    }

    /// The physical plan of `sql`.
    pub(crate) async fn plan(&self, sql: &str) -> String {
        let plan = self.ctx.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        displayable(plan.as_ref()).indent(false).to_string()
    }

    /// What goes wrong with `sql`.
    pub(crate) async fn failure(&self, sql: &str) -> String {
        match self.ctx.sql(sql).await {
            Err(error) => error.to_string(),
            Ok(query) => query.collect().await.unwrap_err().to_string(),
        }
    }
}

pub(crate) fn text_files(folder: &Path, include: &[&str], exclude: &[&str]) -> TableInput {
    let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect();
    let location = Location::from_path(folder).unwrap();
    let source = TextFilesSource {
        location: location.to_string(),
        include: owned(include),
        exclude: owned(exclude),
        max_file_bytes: 1_000_000,
    };
    TableInput::TextFiles { source, location }
}

pub(crate) fn listing_source(format: FileFormat) -> ListingSource {
    ListingSource {
        location: String::new(),
        format,
        partition_columns: Vec::new(),
        file_sort_order: Vec::new(),
        schema: None,
    }
}

pub(crate) fn listing(folder: &Path, source: ListingSource) -> TableInput {
    TableInput::Listing { source, location: Location::from_path(folder).unwrap() }
}

pub(crate) fn write(folder: &Path, path: &str, content: impl AsRef<[u8]>) {
    let file = folder.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

pub(crate) fn write_parquet(folder: &Path, path: &str, batch: &RecordBatch) {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    write(folder, path, bytes);
}

/// A batch of two columns: `id` and `label`.
pub(crate) fn labelled(ids: std::ops::Range<i64>) -> RecordBatch {
    use datafusion::arrow::array::{Int64Array, StringArray};
    let labels: StringArray = ids.clone().map(|id| Some(format!("label {id}"))).collect();
    RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from_iter_values(ids)) as _),
        ("label", Arc::new(labels) as _),
    ])
    .unwrap()
}
