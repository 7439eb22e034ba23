//! A folder or an in-memory store with tables, and helpers to write rows to them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::datasource::MemTable;
use datafusion::error::Result as EngineResult;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, collect_partitioned, common};
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake::DeltaTable;
use deltalake::logstore::StorageConfig;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use serde_json::Value;
use tempfile::TempDir;
use url::Url;
use windlass_base::config::SessionSettings;
use windlass_base::ids::{AppId, RunId, RunSequence};
use windlass_delta::DeltaError;
use windlass_delta::commit::{BaseExpectation, CommitMode, CommitOutcome, CommitReceipt, CommitRequest, commit};
use windlass_delta::table::{SchemaChange, TableDefinition, TableState, ensure_table};
use windlass_delta::write::{StagedFiles, WriteSpec, delta_write_plan};
use windlass_engine::function::Functions;
use windlass_engine::session::Sessions;
use windlass_project::spec::table::WriteMode;
use windlass_storage::{Location, Stores};

/// A store with tables, and a session that writes to it.
pub(crate) struct Lab {
    /// Keeps the folder.
    folder: Option<TempDir>,
    pub(crate) sessions: Sessions,
    pub(crate) context: SessionContext,
}

impl Lab {
    /// On the local disk.
    pub(crate) fn on_disk() -> Self {
        let mut lab = Self::in_memory(Arc::new(InMemory::new()));
        lab.folder = Some(tempfile::tempdir().unwrap());
        lab
    }

    /// In `store`, registered as `memory://lab/`.
    pub(crate) fn in_memory(store: Arc<dyn ObjectStore>) -> Self {
        let settings = SessionSettings { target_partitions: 3, ..SessionSettings::default() };
        let sessions = Sessions::new(settings, Functions::standard()).unwrap();
        sessions.stores().register_store(&Url::parse("memory://lab/").unwrap(), store);
        let context = sessions.context().unwrap();
        Self { folder: None, sessions, context }
    }

    pub(crate) fn stores(&self) -> &Stores {
        self.sessions.stores()
    }

    pub(crate) fn location(&self, table: &str) -> Location {
        match &self.folder {
            Some(folder) => Location::from_path(&folder.path().join(table)).unwrap(),
            None => Location::parse(&format!("memory://lab/{table}"), Path::new("/")).unwrap(),
        }
    }

    /// The folder of a table on disk.
    pub(crate) fn path(&self, table: &str) -> std::path::PathBuf {
        self.folder.as_ref().unwrap().path().join(table)
    }

    /// The rows of a query in plain DataFusion.
    pub(crate) async fn rows(&self, sql: &str) -> RecordBatch {
        let rows = self.context.sql(sql).await.unwrap();
        let schema: SchemaRef = Arc::new(rows.schema().as_arrow().clone());
        concat_batches(&schema, &rows.collect().await.unwrap()).unwrap()
    }

    pub(crate) fn define(&self, table: &str, schema: SchemaRef) -> TableDefinition {
        TableDefinition {
            location: self.location(table),
            schema,
            partition_by: Vec::new(),
            properties: BTreeMap::new(),
            not_null: Vec::new(),
            constraints: BTreeMap::new(),
            comment: None,
        }
    }

    pub(crate) async fn ensure(&self, definition: &TableDefinition) -> Result<TableState, DeltaError> {
        ensure_table(definition, SchemaChange::Refuse, self.stores(), &info("create")).await
    }

    /// The plan that writes `rows`, spread over `partitions`.
    pub(crate) async fn write_plan(
        &self,
        spec: WriteSpec,
        rows: &RecordBatch,
        partitions: usize,
    ) -> Arc<dyn ExecutionPlan> {
        let input = self.input(rows, partitions).await;
        delta_write_plan(input, spec, &self.context.state()).unwrap()
    }

    /// A plan that yields `rows` from the given number of partitions.
    pub(crate) async fn input(&self, rows: &RecordBatch, partitions: usize) -> Arc<dyn ExecutionPlan> {
        let step = rows.num_rows().div_ceil(partitions).max(1);
        let part = |index: usize| {
            let start = (index * step).min(rows.num_rows());
            vec![rows.slice(start, step.min(rows.num_rows() - start))]
        };
        let table = MemTable::try_new(rows.schema(), (0..partitions).map(part).collect()).unwrap();
        let rows = self.context.read_table(Arc::new(table)).unwrap();
        let plan = rows.create_physical_plan().await.unwrap();
        assert_eq!(plan.output_partitioning().partition_count(), partitions);
        plan
    }

    /// Runs every partition and combines the reports.
    pub(crate) async fn run(&self, plan: Arc<dyn ExecutionPlan>) -> EngineResult<StagedFiles> {
        let reports = collect_partitioned(plan, self.context.task_ctx()).await?;
        Ok(StagedFiles::from_batches(&reports.concat()).unwrap())
    }

    /// Runs one partition alone, as a cluster's task does.
    pub(crate) async fn run_partition(&self, plan: &Arc<dyn ExecutionPlan>, partition: usize) -> Vec<RecordBatch> {
        let stream = plan.execute(partition, self.context.task_ctx()).unwrap();
        common::collect(stream).await.unwrap()
    }

    pub(crate) fn request(&self, state: &TableState, staged: StagedFiles, run: i64) -> CommitRequest {
        CommitRequest {
            location: state.location.clone(),
            staged,
            mode: CommitMode::Append,
            app_id: AppId::new("lab/stage"),
            run_id: RunId::new(format!("run-{run}")),
            sequence: RunSequence(run),
            cursor_transactions: BTreeMap::new(),
            base: BaseExpectation::of(state),
            change: state.change.clone(),
            info: info("run"),
        }
    }

    pub(crate) async fn commit(&self, request: &CommitRequest) -> CommitOutcome {
        commit(request, self.stores()).await.unwrap()
    }

    /// Writes and commits `rows` from three partitions.
    pub(crate) async fn write(
        &self,
        definition: &TableDefinition,
        rows: &RecordBatch,
        mode: WriteMode,
        run: i64,
    ) -> CommitReceipt {
        let state = self.ensure(definition).await.unwrap();
        let plan = self.write_plan(state.write_spec("t"), rows, 3).await;
        let staged = self.run(plan).await.unwrap();
        let mode = if mode == WriteMode::Append { CommitMode::Append } else { CommitMode::Overwrite };
        let request = CommitRequest { mode, ..self.request(&state, staged, run) };
        receipt(self.commit(&request).await)
    }

    /// Opens a table with deltalake alone.
    pub(crate) async fn open(&self, table: &str, version: Option<u64>) -> DeltaTable {
        open(&self.location(table), self.stores(), version).await
    }

    /// All rows of a table as deltalake reads them, in the columns, types and order of `like`, which has a column `id`.
    pub(crate) async fn read(&self, table: &str, like: &Schema) -> RecordBatch {
        self.select(table, None, "true", like).await
    }

    /// Rows of a version that satisfy a condition.
    pub(crate) async fn select(
        &self,
        table: &str,
        version: Option<u64>,
        condition: &str,
        like: &Schema,
    ) -> RecordBatch {
        let mut config = SessionConfig::new();
        config.options_mut().execution.parquet.schema_force_view_types = false;
        let context = SessionContext::new_with_config(config);
        let table = self.open(table, version).await;
        context.register_table("t", table.table_provider().await.unwrap()).unwrap();
        let sql = format!("SELECT * FROM t WHERE {condition} ORDER BY id");
        let rows = context.sql(&sql).await.unwrap();
        let schema: SchemaRef = Arc::new(rows.schema().as_arrow().clone());
        like_input(&concat_batches(&schema, &rows.collect().await.unwrap()).unwrap(), like)
    }

    /// The actions of the newest version, by kind.
    pub(crate) async fn newest_actions(&self, table: &str) -> HashMap<String, Vec<Value>> {
        let table = self.open(table, None).await;
        let version = table.version().unwrap();
        let bytes = table.log_store().read_commit_entry(version).await.unwrap().unwrap();
        let mut actions: HashMap<String, Vec<Value>> = HashMap::new();
        for line in std::str::from_utf8(&bytes).unwrap().lines() {
            let Value::Object(action) = serde_json::from_str(line).unwrap() else { panic!("{line}") };
            for (kind, body) in action {
                actions.entry(kind).or_default().push(body);
            }
        }
        actions
    }
}

pub(crate) async fn open(location: &Location, stores: &Stores, version: Option<u64>) -> DeltaTable {
    let url = location.folder_url();
    let root = stores.store(location).unwrap();
    let store = Arc::new(object_store::prefix::PrefixStore::new(Arc::clone(&root), location.path().unwrap()));
    let log_store = deltalake::logstore::default_logstore(store, root, &url, &StorageConfig::default());
    let mut table = DeltaTable::new(log_store);
    match version {
        Some(version) => table.load_version(version).await.unwrap(),
        None => table.load().await.unwrap(),
    }
    table
}

/// `rows` with the columns of `like`, in its types.
pub(crate) fn like_input(rows: &RecordBatch, like: &Schema) -> RecordBatch {
    let column = |name: &str| rows.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
    let columns: Vec<ArrayRef> =
        like.fields().iter().map(|field| cast(column(field.name()), field.data_type()).unwrap()).collect();
    RecordBatch::try_from_iter_with_nullable(
        like.fields().iter().zip(columns).map(|(field, column)| (field.name(), column, true)),
    )
    .unwrap()
}

pub(crate) fn receipt(outcome: CommitOutcome) -> CommitReceipt {
    match outcome {
        CommitOutcome::Committed(receipt) => receipt,
        other => panic!("not committed: {other:?}"),
    }
}

pub(crate) fn info(stage: &str) -> BTreeMap<String, Value> {
    BTreeMap::from([("windlassStage".to_owned(), Value::from(stage))])
}
