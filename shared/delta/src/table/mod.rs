//! Tables: creation in a commit of their own, and the comparison with what exists.
//!
//! ```text
//! TableDefinition ─ensure_table→ TableState: what the log says ─write_spec→ WriteSpec
//!                                    └ change: what an overwrite has to commit along with its rows
//! ```

mod create;
mod difference;
mod property;
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::kernel::{Metadata, Protocol, Snapshot};
use deltalake::logstore::LogStoreRef;
use deltalake::{DeltaResult, DeltaTableError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use windlass_base::ids::TableVersion;
use windlass_storage::{Location, Stores};

pub(crate) use create::changed;

pub use super::error::Difference;
pub use super::schema::contract_columns;

use super::DeltaError;
use super::log::{self, check_commits, log_store};
use super::schema::{self, delta_type};
use super::write::{WriteError, WriteSpec};

/// What precedes a constraint's name among a table's properties.
const CONSTRAINT: &str = "delta.constraints.";
/// How often creation is tried when the store fails.
const CREATE_ATTEMPTS: usize = 4;

/// What a stage wants its table to be.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDefinition {
    /// The table's root.
    pub location: Location,
    /// The columns of the stage's result, in any Arrow type that Delta can store.
    pub schema: SchemaRef,
    /// The partition columns, outermost first.
    pub partition_by: Vec<String>,
    /// Table properties, set at creation only.
    pub properties: BTreeMap<String, String>,
    /// Columns that must not hold null.
    pub not_null: Vec<String>,
    /// SQL conditions that must be true for every row, by name.
    pub constraints: BTreeMap<String, String>,
    /// The table's description, set at creation only.
    pub comment: Option<String>,
}

impl TableDefinition {
    /// The columns of the table that the definition makes, in types that Delta has.
    ///
    /// # Errors
    /// [`WriteError`] that names the column, partition column or property that cannot be a Delta table's.
    pub fn table_schema(&self) -> Result<SchemaRef, WriteError> {
        Ok(CheckedDefinition::of(self)?.schema)
    }
}

/// Whether an existing table may be changed to its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaChange {
    /// A difference is an error.
    Refuse,
    /// A difference becomes [`TableState::change`], to be committed along with an overwrite. For overwriting only:
    /// rows that stay behind would not be in the new form.
    Allow,
}

/// What the log says about a table, and what a write to it has to respect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableState {
    /// The table's root.
    pub location: Location,
    /// The newest version when it was looked at.
    pub version: TableVersion,
    /// Whether it was made just now.
    pub created: bool,
    /// The table's id, which stays when its schema changes.
    pub table_id: String,
    /// What the write is planned against, for [`super::commit::BaseExpectation`].
    pub fingerprint: String,
    /// The columns to be written, in types that Delta has.
    #[serde(with = "crate::schema::schema_json")]
    pub schema: SchemaRef,
    /// The partition columns to be written.
    pub partition_by: Vec<String>,
    /// The conditions to be enforced: the definition's and those that the table has besides.
    pub constraints: BTreeMap<String, String>,
    /// The table's other properties.
    pub properties: BTreeMap<String, String>,
    /// The change of the table that makes the above true, if it is not yet.
    pub change: Option<TableChange>,
}

/// A change of a table's metadata, committed along with an overwrite. The table keeps its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableChange {
    /// The new columns.
    #[serde(with = "crate::schema::schema_json")]
    pub schema: SchemaRef,
    /// The new partition columns.
    pub partition_by: Vec<String>,
    /// The new constraints.
    pub constraints: BTreeMap<String, String>,
}

impl TableState {
    /// The spec of a write to this table, with sizes and statistics as the table's properties say.
    pub fn write_spec(&self, table: impl Into<String>) -> WriteSpec {
        let mut spec = WriteSpec::new(table, self.location.clone(), Arc::clone(&self.schema));
        spec.partition_by.clone_from(&self.partition_by);
        spec.constraints.clone_from(&self.constraints);
        spec.set_properties(&self.properties);
        spec
    }
}

/// Finds the table of `definition`, or creates it in a commit of its own. Safe to call from many processes at once:
/// the loser of a race takes the winner's table and compares it.
///
/// `info` goes into the commit of a creation (`commitInfo`).
///
/// # Errors
/// [`WriteError::TableDiffers`] for a table that is not what the definition says (unless `on_change` allows it),
/// [`WriteError::Unsupported`] for one that uses what this writer does not support, and errors that name the column,
/// type or property that cannot be a Delta table's.
pub async fn ensure_table(
    definition: &TableDefinition,
    on_change: SchemaChange,
    stores: &Stores,
    info: &BTreeMap<String, Value>,
) -> Result<TableState, DeltaError> {
    let wanted = CheckedDefinition::of(definition)?;
    let log_store = log_store(&definition.location, stores)?;
    let creation = create::Creation::of(definition, &wanted)?;
    let mut failure = None;
    if let Some(folder) = definition.location.local_path() {
        // The kernel does not look for a log in a local folder that does not exist.
        if let Err(error) = tokio::fs::create_dir_all(&folder).await {
            let (table, source) = (definition.location.to_string(), DeltaTableError::from(error));
            return Err(WriteError::Create { table, source }.into());
        }
    }
    for _ in 0..CREATE_ATTEMPTS {
        check_commits(&definition.location, &log_store, None).await?;
        match load(&log_store).await {
            Ok(Some(snapshot)) => {
                let created = *snapshot.metadata().id() == *creation.table_id();
                return Ok(state_of(definition, &wanted, &snapshot, on_change, created)?);
            }
            // Whatever the store answers, the log decides: it is read again.
            Ok(None) => failure = creation.commit(&log_store, info).await.err(),
            Err(source) => failure = Some(source),
        }
    }
    let table = definition.location.to_string();
    let source = failure.unwrap_or_else(|| DeltaTableError::generic("its first commit does not become visible"));
    Err(WriteError::Create { table, source }.into())
}

/// Everything that a table uses and this writer does not support, by the protocol's names.
pub(crate) fn unsupported(snapshot: &Snapshot) -> Vec<String> {
    support::unsupported(&snapshot.schema(), snapshot.metadata().configuration(), snapshot.protocol())
}

/// Whether a write to one version of a table has to respect what one to the other has: its identity, columns,
/// partitioning, constraints and column mapping. Other properties and descriptions do not count.
pub(crate) async fn same_shape(
    location: &Location,
    log_store: &LogStoreRef,
    one: u64,
    other: u64,
) -> Result<bool, DeltaError> {
    let one = log::load(location, log_store, Some(one)).await?;
    let other = log::load(location, log_store, Some(other)).await?;
    Ok(shape(one.metadata()) == shape(other.metadata()))
}

fn shape(metadata: &Metadata) -> Value {
    let mut value = serde_json::to_value(metadata).unwrap_or_default();
    let schema = value["schemaString"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let mut schema = schema.unwrap_or_default();
    without_comments(&mut schema);
    let is_asked = |key: &str| key.starts_with(CONSTRAINT) || key == "delta.columnMapping.mode";
    let asked: BTreeMap<_, _> = metadata.configuration().iter().filter(|(key, _)| is_asked(key)).collect();
    let mut shape = serde_json::json!({
        "id": value["id"].take(),
        "schema": schema,
        "partitionColumns": value["partitionColumns"].take(),
        "asked": asked,
    });
    shape.sort_all_objects();
    shape
}

/// Takes out what a schema says to its readers alone.
fn without_comments(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
                metadata.retain(|key, _| key.starts_with("delta."));
            }
            fields.values_mut().for_each(without_comments);
        }
        Value::Array(items) => items.iter_mut().for_each(without_comments),
        _ => {}
    }
}

/// The newest snapshot of the table, without its files; `None` if there is no table.
async fn load(log_store: &LogStoreRef) -> DeltaResult<Option<Snapshot>> {
    match Snapshot::try_new(log_store.as_ref(), None).await {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(DeltaTableError::NotATable(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A definition whose columns have been checked and turned into types that Delta has.
struct CheckedDefinition {
    schema: SchemaRef,
}

impl CheckedDefinition {
    fn of(definition: &TableDefinition) -> Result<Self, WriteError> {
        let fields = schema::delta_fields(&definition.schema, &definition.not_null)?;
        schema::check_partitioning(&fields, &definition.partition_by)?;
        property::check(&definition.properties)?;
        property::check_feed(&fields, &definition.properties)?;
        Ok(Self { schema: Arc::new(Schema::new(fields)) })
    }
}

fn state_of(
    definition: &TableDefinition,
    wanted: &CheckedDefinition,
    snapshot: &Snapshot,
    on_change: SchemaChange,
    created: bool,
) -> Result<TableState, WriteError> {
    let table = definition.location.to_string();
    let (metadata, protocol) = (snapshot.metadata(), snapshot.protocol());
    let features = unsupported(snapshot);
    if !features.is_empty() {
        return Err(WriteError::Unsupported { table, features });
    }
    let existing = ExistingTable::of(snapshot)?;
    let mut differences = difference::differences(&wanted.schema, definition, &existing);
    if on_change == SchemaChange::Refuse {
        differences.retain(|difference| !difference.is_stricter_table());
    }
    let mut constraints = existing.constraints.clone();
    constraints.extend(definition.constraints.clone());
    let mut state = TableState {
        location: definition.location.clone(),
        version: TableVersion(snapshot.version()),
        created,
        table_id: metadata.id().to_owned(),
        fingerprint: fingerprint(metadata, protocol),
        schema: existing.schema,
        partition_by: existing.partition_by,
        constraints,
        properties: existing.properties,
        change: None,
    };
    if differences.is_empty() {
        return Ok(state);
    }
    if on_change == SchemaChange::Refuse {
        return Err(WriteError::TableDiffers { table, differences });
    }
    state.schema = Arc::clone(&wanted.schema);
    state.partition_by.clone_from(&definition.partition_by);
    state.change = Some(TableChange {
        schema: Arc::clone(&state.schema),
        partition_by: state.partition_by.clone(),
        constraints: state.constraints.clone(),
    });
    Ok(state)
}

/// A table's columns, partitioning and properties as its log has them.
struct ExistingTable {
    schema: SchemaRef,
    partition_by: Vec<String>,
    constraints: BTreeMap<String, String>,
    properties: BTreeMap<String, String>,
}

impl ExistingTable {
    fn of(snapshot: &Snapshot) -> Result<Self, WriteError> {
        let arrow: Schema = snapshot
            .schema()
            .as_ref()
            .try_into_arrow()
            .map_err(|error| WriteError::Encode { what: "the table's schema".to_owned(), reason: error.to_string() })?;
        let fields = arrow
            .fields()
            .iter()
            .map(|field| {
                Ok(Field::new(field.name(), delta_type(field.name(), field.data_type())?, field.is_nullable()))
            })
            .collect::<Result<Vec<_>, WriteError>>()?;
        let (mut constraints, mut properties) = (BTreeMap::new(), BTreeMap::new());
        for (key, value) in snapshot.metadata().configuration() {
            match key.strip_prefix(CONSTRAINT) {
                Some(name) => constraints.insert(name.to_owned(), value.clone()),
                None => properties.insert(key.clone(), value.clone()),
            };
        }
        let partition_by = snapshot.metadata().partition_columns().to_vec();
        Ok(Self { schema: Arc::new(Schema::new(fields)), partition_by, constraints, properties })
    }
}

/// A text that changes with everything about a table that a writer has to respect.
pub(crate) fn fingerprint(metadata: &Metadata, protocol: &Protocol) -> String {
    let mut value = serde_json::to_value(metadata).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        for of_no_concern in ["name", "description", "createdTime"] {
            fields.remove(of_no_concern);
        }
    }
    value.sort_all_objects();
    let mut protocol = serde_json::to_value(protocol).unwrap_or_default();
    protocol.sort_all_objects();
    blake3::hash(format!("{value}{protocol}").as_bytes()).to_hex().to_string()
}
