//! The actions that make or change a table: its metadata, and the protocol that its features ask for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use datafusion::arrow::datatypes::{DataType, Schema, TimeUnit};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action, Metadata, MetadataExt, Protocol, StructType, new_metadata};
use deltalake::logstore::LogStoreRef;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaResult, DeltaTableError};
use serde_json::{Value, json};

use super::{CONSTRAINT, CheckedDefinition, TableChange, TableDefinition};
use crate::error::WriteError;
use crate::log::put_version;

/// The first commit of a table.
pub(super) struct Creation {
    metadata: Metadata,
    protocol: Protocol,
}

impl Creation {
    pub(super) fn of(definition: &TableDefinition, wanted: &CheckedDefinition) -> Result<Self, WriteError> {
        let properties = configuration(&definition.properties, &definition.constraints);
        let needs = needs(&wanted.schema, &properties);
        let build = || -> DeltaResult<Self> {
            let schema: StructType = wanted.schema.as_ref().try_into_kernel()?;
            let mut metadata = new_metadata(&schema, &definition.partition_by, &properties)?;
            if let Some(comment) = &definition.comment {
                metadata = metadata.with_description(comment.clone())?;
            }
            let protocol = Versions::NEW.with(&needs).into_protocol()?;
            Ok(Self { metadata, protocol })
        };
        build().map_err(|error| not_encoded("the new table's metadata", &error))
    }

    pub(super) fn table_id(&self) -> &str {
        self.metadata.id()
    }

    /// Writes version 0.
    pub(super) async fn commit(&self, log_store: &LogStoreRef, info: &BTreeMap<String, Value>) -> DeltaResult<()> {
        let operation = DeltaOperation::Create {
            mode: SaveMode::ErrorIfExists,
            location: log_store.root_url().clone(),
            protocol: self.protocol.clone(),
            metadata: self.metadata.clone(),
        };
        let actions = vec![Action::Protocol(self.protocol.clone()), Action::Metadata(self.metadata.clone())];
        let info: HashMap<String, Value> = info.clone().into_iter().collect();
        let bytes = CommitData::new(actions, operation, info, Vec::new()).get_bytes().map_err(DeltaTableError::from)?;
        put_version(log_store, 0, bytes).await.map_err(DeltaTableError::from)
    }
}

/// The actions that change a table with this metadata and protocol to `change`.
pub(crate) fn changed(
    metadata: &Metadata,
    protocol: &Protocol,
    change: &TableChange,
) -> Result<Vec<Action>, WriteError> {
    let others = metadata.configuration().iter().filter(|(key, _)| !key.starts_with(CONSTRAINT));
    let others: BTreeMap<String, String> = others.map(|(key, value)| (key.clone(), value.clone())).collect();
    let properties = configuration(&others, &change.constraints);
    let needs = needs(&change.schema, &properties);
    let build = || -> DeltaResult<Vec<Action>> {
        let schema: StructType = change.schema.as_ref().try_into_kernel()?;
        let mut value = serde_json::to_value(metadata)?;
        value["schemaString"] = Value::String(serde_json::to_string(&schema)?);
        value["partitionColumns"] = json!(change.partition_by);
        value["configuration"] = json!(properties);
        let mut actions = Vec::with_capacity(2);
        let upgraded = Versions::of(protocol).with(&needs).into_protocol()?;
        if upgraded != *protocol {
            actions.push(Action::Protocol(upgraded));
        }
        actions.push(Action::Metadata(serde_json::from_value(value)?));
        Ok(actions)
    };
    build().map_err(|error| not_encoded("the changed table's metadata", &error))
}

fn not_encoded(what: &str, error: &DeltaTableError) -> WriteError {
    WriteError::Encode { what: what.to_owned(), reason: error.to_string() }
}

/// A table's configuration: its properties and its constraints.
fn configuration(
    properties: &BTreeMap<String, String>,
    constraints: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let constraints = constraints.iter().map(|(name, sql)| (format!("{CONSTRAINT}{name}"), sql.clone()));
    properties.clone().into_iter().chain(constraints).collect()
}

/// The table features that a schema and a configuration ask for.
fn needs(schema: &Schema, configuration: &BTreeMap<String, String>) -> BTreeSet<&'static str> {
    let on = |key: &str| configuration.get(key).is_some_and(|value| value == "true");
    let asked = [
        ("appendOnly", on("delta.appendOnly")),
        ("changeDataFeed", on("delta.enableChangeDataFeed")),
        ("checkConstraints", configuration.keys().any(|key| key.starts_with(CONSTRAINT))),
        ("deletionVectors", on("delta.enableDeletionVectors")),
        ("timestampNtz", schema.fields().iter().any(|field| has_ntz(field.data_type()))),
    ];
    asked.into_iter().filter_map(|(feature, needed)| needed.then_some(feature)).collect()
}

fn has_ntz(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(TimeUnit::Microsecond, None) => true,
        DataType::List(item) | DataType::Map(item, _) => has_ntz(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_ntz(field.data_type())),
        _ => false,
    }
}

/// Features that readers must know too.
const READ_TOO: [&str; 2] = ["deletionVectors", "timestampNtz"];

/// The writer version from which on a feature is part of the version; `None` if it must be listed by name.
fn version_with(feature: &str) -> Option<i32> {
    match feature {
        "appendOnly" | "invariants" => Some(2),
        "checkConstraints" => Some(3),
        "changeDataFeed" | "generatedColumns" => Some(4),
        "columnMapping" => Some(5),
        "identityColumns" => Some(6),
        _ => None,
    }
}

/// A protocol that can be changed. Delta protocol, "Protocol Evolution".
#[derive(Debug, Clone)]
struct Versions {
    reader: i32,
    writer: i32,
    reader_features: Option<BTreeSet<String>>,
    writer_features: Option<BTreeSet<String>>,
}

impl Versions {
    /// What every reader and writer knows.
    const NEW: Self = Self { reader: 1, writer: 2, reader_features: None, writer_features: None };

    fn of(protocol: &Protocol) -> Self {
        Self {
            reader: protocol.min_reader_version(),
            writer: protocol.min_writer_version(),
            reader_features: protocol.reader_features().map(|all| all.iter().map(ToString::to_string).collect()),
            writer_features: protocol.writer_features().map(|all| all.iter().map(ToString::to_string).collect()),
        }
    }

    /// The lowest protocol above this one that has the features.
    fn with(mut self, needs: &BTreeSet<&'static str>) -> Self {
        let by_version = needs.iter().map(|feature| version_with(feature)).collect::<Option<Vec<_>>>();
        if let Some(versions) = by_version.filter(|_| self.writer < 7) {
            self.writer = versions.into_iter().fold(self.writer, i32::max);
            return self;
        }
        if self.writer < 7 {
            let all = ["appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns"];
            let all = all.into_iter().chain(["columnMapping", "identityColumns"]);
            let known = all.filter(|feature| version_with(feature).is_some_and(|since| since <= self.writer));
            self.writer_features = Some(known.map(str::to_owned).collect());
            self.writer = 7;
        }
        self.writer_features.get_or_insert_default().extend(needs.iter().map(|feature| (*feature).to_owned()));
        let read_too: Vec<&&str> = needs.iter().filter(|feature| READ_TOO.contains(feature)).collect();
        if !read_too.is_empty() {
            if self.reader < 3 {
                let known = (self.reader == 2).then(|| "columnMapping".to_owned());
                self.reader_features = Some(known.into_iter().collect());
                self.reader = 3;
            }
            self.reader_features
                .get_or_insert_default()
                .extend(read_too.into_iter().map(|feature| (*feature).to_owned()));
        }
        self
    }

    fn into_protocol(self) -> DeltaResult<Protocol> {
        let mut value = json!({ "minReaderVersion": self.reader, "minWriterVersion": self.writer });
        if let Some(features) = self.reader_features {
            value["readerFeatures"] = json!(features);
        }
        if let Some(features) = self.writer_features {
            value["writerFeatures"] = json!(features);
        }
        Ok(serde_json::from_value(value)?)
    }
}
