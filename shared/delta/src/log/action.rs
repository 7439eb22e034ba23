//! The actions of a commit, as far as anybody here reads them. Delta protocol, "Actions".

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::protocol::ReaderProtocol;

/// An action of a commit. Those of other kinds are left out.
#[derive(Debug)]
pub(crate) enum Action {
    /// How far an application has come.
    Transaction(Transaction),
    /// A data file that is added, or added again with another deletion vector.
    Add(FileAction),
    /// A data file that is removed.
    Remove(FileAction),
    /// A change data file.
    ChangeData(FileAction),
    /// The table's metadata from this version on.
    Metadata(TableMetadata),
    /// What readers must know from this version on.
    Protocol(ReaderProtocol),
    /// What the commit says about itself.
    CommitInfo(CommitInfo),
}

/// A `txn` action.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Transaction {
    pub(crate) app_id: String,
    pub(crate) version: i64,
}

/// An `add`, `remove` or `cdc` action.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileAction {
    /// The file as the log names it.
    pub path: String,
    /// Whether the action changes rows rather than only where they are kept.
    #[serde(default = "yes")]
    pub data_change: bool,
    /// Bytes of the file.
    #[serde(default)]
    pub size: Option<u64>,
    /// Partition values by physical column name; `None` if the action does not carry them.
    #[serde(default)]
    pub partition_values: Option<BTreeMap<String, Option<String>>>,
    /// The file's statistics as JSON.
    #[serde(default)]
    pub stats: Option<String>,
    /// The rows of the file that are deleted.
    #[serde(default)]
    pub deletion_vector: Option<VectorDescriptor>,
}

fn yes() -> bool {
    true
}

/// A deletion vector as the log describes it (Delta protocol, "Deletion Vector Descriptor Schema").
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VectorDescriptor {
    /// `u`, `p` or `i`.
    pub storage_type: String,
    /// Where it is, or the vector itself.
    pub path_or_inline_dv: String,
    /// Where it starts in its file.
    #[serde(default)]
    pub offset: Option<i32>,
    /// Its bytes.
    pub size_in_bytes: i32,
    /// How many rows it names.
    pub cardinality: i64,
}

impl VectorDescriptor {
    /// Whether the log holds the vector itself.
    pub fn is_inline(&self) -> bool {
        self.storage_type == "i"
    }
}

/// A `metaData` action, as far as a change feed needs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableMetadata {
    /// The table's own id.
    pub id: String,
    /// The columns as JSON, in the Delta schema format.
    pub schema_string: String,
    /// The names of the partition columns, outermost first.
    #[serde(default)]
    pub partition_columns: Vec<String>,
    /// The table properties.
    #[serde(default)]
    pub configuration: BTreeMap<String, String>,
}

/// A `commitInfo` action. Every program writes fields of its own, so a reader parses those that it needs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct CommitInfo(Map<String, Value>);

impl CommitInfo {
    /// The fields that `T` has.
    ///
    /// # Errors
    /// If one of them is not of its type.
    pub(crate) fn fields<T: DeserializeOwned>(self) -> Result<T, serde_json::Error> {
        T::deserialize(Value::Object(self.0))
    }

    /// A field, if it is a whole number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64()
    }

    /// A field, if it is text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }
}

/// A line of a commit file: an object with one action by its name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    txn: Option<Transaction>,
    add: Option<FileAction>,
    remove: Option<FileAction>,
    cdc: Option<FileAction>,
    meta_data: Option<TableMetadata>,
    #[serde(default, deserialize_with = "read_protocol")]
    protocol: Option<Result<ReaderProtocol, serde_json::Error>>,
    commit_info: Option<CommitInfo>,
}

/// A malformed protocol is kept apart from a damaged line, so that it has an error of its own.
fn read_protocol<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Result<ReaderProtocol, serde_json::Error>>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.map(ReaderProtocol::deserialize))
}

impl Line {
    /// Its actions: one, or none if it is of a kind that nobody here reads.
    ///
    /// # Errors
    /// If its protocol is malformed.
    pub(super) fn actions(self) -> impl Iterator<Item = Result<Action, serde_json::Error>> {
        let protocol = self.protocol.map(|protocol| protocol.map(Action::Protocol));
        let others = [
            self.txn.map(Action::Transaction),
            self.add.map(Action::Add),
            self.remove.map(Action::Remove),
            self.cdc.map(Action::ChangeData),
            self.meta_data.map(Action::Metadata),
            self.commit_info.map(Action::CommitInfo),
        ];
        protocol.into_iter().chain(others.into_iter().flatten().map(Ok))
    }
}
