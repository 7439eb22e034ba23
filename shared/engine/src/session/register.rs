//! The single entry point for registering tables in a session.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::common::TableReference;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::{MemTable, ViewTable};
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use serde::Serialize;
use serde_json::json;
use windlass_base::identity::ScanIdentity;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_evidence::artifact::{ColumnRecord, Registration, SortRecord, TableKind};
use windlass_project::literal_rows::Cell;
use windlass_project::spec::source::{ListingSource, RowsSource, TextFilesSource};
use windlass_storage::{Location, Stores};

use super::registration::columns;
use super::row_batches::{batch_of, schema_of};
use super::text_files::TextFilesTable;
use super::{SessionError, listing, sql_plan, text_files};
use crate::canonical::{Names, canonical};

/// A table to register.
#[derive(Debug)]
pub enum TableInput {
    /// A folder of files of one format. They are listed now, and every scan of this session reads that list.
    Listing {
        /// The project's options for the files.
        source: ListingSource,
        /// Their location, resolved. It may be a folder, a file or a glob.
        location: Location,
    },
    /// Text files, one row each. They are listed now, and every scan of this session reads that list.
    TextFiles {
        /// The project's options for the files.
        source: TextFilesSource,
        /// The folder: the source's location, resolved.
        location: Location,
    },
    /// Rows that the project holds.
    Rows(RowsSource),
    /// An existing table provider, such as the scan of a pinned Delta table.
    Provider(ProviderInput),
    /// A view that is inlined into its readers: one query over registered tables.
    Sql(String),
    /// A view that is inlined into its readers, as a plan.
    Plan(LogicalPlan),
    /// A table registered in another session of the run: the same files, listed or pinned once.
    Known {
        /// The table.
        provider: Arc<dyn TableProvider>,
        /// The record of its first registration.
        registration: Registration,
    },
    /// A table that does not exist yet: queries over it can be planned, and have no rows.
    Planned(SchemaRef),
}

/// An existing table provider, with the content of its record.
#[derive(Debug)]
pub struct ProviderInput {
    /// The table.
    pub provider: Arc<dyn TableProvider>,
    /// What kind of table it is.
    pub kind: TableKind,
    /// Where it is.
    pub location: Option<Location>,
    /// The format of its files.
    pub format: Option<String>,
    /// The pinned version.
    pub version: Option<TableVersion>,
    /// The names of its partition columns, outermost first.
    pub partition_columns: Vec<String>,
    /// The order that every file's rows are in.
    pub sort_order: Vec<SortRecord>,
    /// How many files it has.
    pub files: Option<u64>,
    /// The bytes of its files.
    pub bytes: Option<u64>,
    /// A hash of its current files.
    pub files_digest: Option<String>,
    /// How it is read.
    pub scan_identity: ScanIdentity,
}

impl ProviderInput {
    /// A table of a custom loader. `scan` identifies how its rows are read, as a JSON value: equal values mean the same
    /// rows.
    ///
    /// # Errors
    /// [`SessionError::Register`] if the value cannot be written as JSON.
    pub fn custom<T: Serialize>(
        name: &NodeName,
        provider: Arc<dyn TableProvider>,
        scan: &T,
    ) -> Result<Self, SessionError> {
        Ok(Self {
            provider,
            kind: TableKind::Custom,
            location: None,
            format: None,
            version: None,
            partition_columns: Vec::new(),
            sort_order: Vec::new(),
            files: None,
            bytes: None,
            files_digest: None,
            scan_identity: identity(name, scan)?,
        })
    }
}

/// Registers `table` under `name` in the session of `ctx`, and returns its record. An existing table with the name is
/// replaced.
///
/// # Errors
/// [`SessionError`] if the location cannot be listed or contains nothing to read, if a file is not of the declared
/// format, or if a view's SQL is not one query that can be planned.
pub async fn register(
    ctx: &SessionContext,
    stores: &Stores,
    name: &NodeName,
    table: TableInput,
) -> Result<Registration, SessionError> {
    let (provider, registration) = match table {
        TableInput::Listing { source, location } => listing::open(ctx, stores, name, &source, &location).await?,
        TableInput::TextFiles { source, location } => open_text_files(stores, name, &source, &location).await?,
        TableInput::Rows(source) => open_rows(name, &source)?,
        TableInput::Provider(input) => describe_provider(name, input),
        TableInput::Sql(sql) => {
            let plan = plan_view(ctx, name, &sql).await?;
            view(name, plan, Some(sql))?
        }
        TableInput::Plan(plan) => view(name, plan, None)?,
        TableInput::Known { provider, registration } => (provider, registration),
        TableInput::Planned(schema) => planned(name, schema)?,
    };
    let reference = TableReference::bare(name.as_str());
    let refused = |source| SessionError::Register { table: name.clone(), source };
    ctx.deregister_table(reference.clone()).map_err(refused)?;
    ctx.register_table(reference, provider).map_err(refused)?;
    tracing::debug!(table = %name, kind = ?registration.kind, scan = %registration.scan_identity, "registered a table");
    Ok(registration)
}

type Opened = (Arc<dyn TableProvider>, Registration);

async fn open_text_files(
    stores: &Stores,
    name: &NodeName,
    source: &TextFilesSource,
    location: &Location,
) -> Result<Opened, SessionError> {
    let files = text_files::list(stores, location, source).await?;
    let scan = json!({
        "kind": "text_files",
        "location": location,
        "include": source.include,
        "exclude": source.exclude,
        "max_file_bytes": source.max_file_bytes,
    });
    let mut digest = FilesDigest::default();
    for file in &files {
        digest.add(&file.path, file.size, &file.modified.to_string(), file.mark.as_deref());
    }
    let table = TextFilesTable {
        store: location.store_url()?,
        folder: location.path()?,
        max_file_bytes: source.max_file_bytes,
        files,
    };
    let registration = Registration {
        name: name.clone(),
        kind: TableKind::TextFiles,
        location: Some(location.to_string()),
        format: Some("text".to_owned()),
        version: None,
        columns: columns(&table.schema()),
        partition_columns: Vec::new(),
        sort_order: Vec::new(),
        files: Some(table.files.len() as u64),
        bytes: Some(table.files.iter().map(|file| file.size).sum()),
        files_digest: Some(digest.finish()),
        scan_identity: identity(name, &scan)?,
    };
    Ok((Arc::new(table), registration))
}

/// Registers tables of rows in a separate schema, for queries of `schema.table`.
///
/// # Errors
/// [`SessionError::Register`] if the engine refuses one.
pub fn register_schema(
    ctx: &SessionContext,
    schema: &str,
    tables: &[(String, RowsSource)],
) -> Result<(), SessionError> {
    let mut opened = Vec::with_capacity(tables.len());
    for (name, source) in tables {
        let (table, _) = open_rows(&NodeName::new(name.clone()), source)?;
        opened.push((name.clone(), table));
    }
    register_tables(ctx, schema, opened)
}

/// Registers tables in a separate schema, which replaces one of that name.
///
/// # Errors
/// [`SessionError::Register`] if the engine refuses one.
pub fn register_tables(
    ctx: &SessionContext,
    schema: &str,
    tables: Vec<(String, Arc<dyn TableProvider>)>,
) -> Result<(), SessionError> {
    let provider = MemorySchemaProvider::new();
    for (name, table) in tables {
        let refused = |source| SessionError::Register { table: NodeName::new(name.clone()), source };
        provider.register_table(name.clone(), table).map_err(refused)?;
    }
    let refused = |source| SessionError::Register { table: NodeName::new(schema), source };
    let schemas: Arc<dyn SchemaProvider> = Arc::new(provider);
    for catalog in ctx.catalog_names().iter().filter_map(|name| ctx.catalog(name)) {
        catalog.register_schema(schema, Arc::clone(&schemas)).map_err(refused)?;
    }
    Ok(())
}

/// Rows as an in-memory table, whose plan transports them to the executors.
fn open_rows(name: &NodeName, source: &RowsSource) -> Result<Opened, SessionError> {
    let refused = |source| SessionError::Register { table: name.clone(), source };
    let schema = schema_of(&source.columns);
    let batch = batch_of(&schema, &source.rows).map_err(refused)?;
    let types: Vec<(&str, String)> = source.columns.iter().map(|(name, of)| (name.as_str(), of.to_string())).collect();
    let rows: Vec<Vec<String>> = source.rows.iter().map(|row| row.iter().map(Cell::canonical).collect()).collect();
    let scan = json!({ "kind": "rows", "columns": types, "rows": rows });
    let registration = without_files(name, TableKind::Rows, columns(&schema), &scan)?;
    let table = MemTable::try_new(schema, vec![vec![batch]]).map_err(refused)?;
    Ok((Arc::new(table), registration))
}

fn describe_provider(name: &NodeName, input: ProviderInput) -> Opened {
    let registration = Registration {
        name: name.clone(),
        kind: input.kind,
        location: input.location.map(|location| location.to_string()),
        format: input.format,
        version: input.version,
        columns: columns(&input.provider.schema()),
        partition_columns: input.partition_columns,
        sort_order: input.sort_order,
        files: input.files,
        bytes: input.bytes,
        files_digest: input.files_digest,
        scan_identity: input.scan_identity,
    };
    (input.provider, registration)
}

async fn plan_view(ctx: &SessionContext, name: &NodeName, sql: &str) -> Result<LogicalPlan, SessionError> {
    let failed = |source| SessionError::View { view: name.clone(), source };
    let plan = sql_plan(&ctx.state(), sql).await.map_err(failed)?;
    let only_queries = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    only_queries.verify_plan(&plan).map_err(failed)?;
    Ok(plan)
}

fn view(name: &NodeName, plan: LogicalPlan, sql: Option<String>) -> Result<Opened, SessionError> {
    let refused = |source| SessionError::View { view: name.clone(), source };
    let form = canonical(&plan, Names::Outside).map_err(refused)?;
    let scan = json!({ "kind": "view", "plan": form.digest() });
    let registration = without_files(name, TableKind::View, columns(plan.schema().as_arrow()), &scan)?;
    Ok((Arc::new(ViewTable::new(plan, sql)), registration))
}

fn planned(name: &NodeName, schema: SchemaRef) -> Result<Opened, SessionError> {
    let columns = columns(&schema);
    let scan = json!({ "kind": "planned", "columns": columns });
    let registration = without_files(name, TableKind::Delta, columns, &scan)?;
    Ok((Arc::new(EmptyTable::new(schema)), registration))
}

/// The record of a table without files; `scan` identifies how it is read.
fn without_files<T: Serialize>(
    name: &NodeName,
    kind: TableKind,
    columns: Vec<ColumnRecord>,
    scan: &T,
) -> Result<Registration, SessionError> {
    Ok(Registration {
        name: name.clone(),
        kind,
        location: None,
        format: None,
        version: None,
        columns,
        partition_columns: Vec::new(),
        sort_order: Vec::new(),
        files: None,
        bytes: None,
        files_digest: None,
        scan_identity: identity(name, scan)?,
    })
}

/// The identity of a scan that is described by `scan`.
pub(super) fn identity<T: Serialize>(table: &NodeName, scan: &T) -> Result<ScanIdentity, SessionError> {
    ScanIdentity::of(scan).map_err(|error| SessionError::Register {
        table: table.clone(),
        source: datafusion::error::DataFusionError::External(Box::new(error)),
    })
}

/// A hash of listed files; they are added sorted by path.
#[derive(Default)]
pub(super) struct FilesDigest {
    hasher: blake3::Hasher,
}

impl FilesDigest {
    pub(super) fn add(&mut self, path: &str, size: u64, modified: &str, mark: Option<&str>) {
        for part in [path, &size.to_string(), modified, mark.unwrap_or_default()] {
            self.hasher.update(&(part.len() as u64).to_le_bytes());
            self.hasher.update(part.as_bytes());
        }
    }

    /// 32 hexadecimal digits.
    pub(super) fn finish(self) -> String {
        let mut hex = self.hasher.finalize().to_hex().to_string();
        hex.truncate(32);
        hex
    }
}
