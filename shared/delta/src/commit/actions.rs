//! The actions of a commit on one snapshot.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use datafusion::arrow::datatypes::{DataType, Schema};
use deltalake::DeltaTableError;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::kernel::{Action, Add, EagerSnapshot, LogicalFileView, Remove};
use deltalake::logstore::LogStore;
use futures::TryStreamExt;
use serde::Deserialize;
use serde_json::json;

use super::{CommitMode, CommitRequest};
use crate::DeltaError;
use crate::error::WriteError;
use crate::merge::{ReplacedFile, Replacement};
use crate::table::changed;
use crate::write::partition::canonical_value;

/// The actions of `request` on `snapshot`, without transactions; `None` if its files could not be listed.
///
/// # Errors
/// [`WriteError::BadMerge`] if the request does not fit the snapshot.
pub(super) async fn actions(
    request: &CommitRequest,
    snapshot: &EagerSnapshot,
    log_store: &dyn LogStore,
) -> Result<Option<Vec<Action>>, DeltaError> {
    let mut actions = Vec::new();
    if let Some(change) = &request.change {
        actions.extend(changed(snapshot.metadata(), snapshot.protocol(), change)?);
    }
    actions.extend(request.staged.added().iter().cloned().map(Action::Add));
    if !request.mode.replaces() {
        return Ok(Some(actions));
    }
    let Ok(files) = snapshot.file_views(log_store, None).try_collect::<Vec<_>>().await else { return Ok(None) };
    let table = request.location.to_string();
    match &request.mode {
        CommitMode::Append | CommitMode::Touch => {}
        CommitMode::Overwrite => actions.extend(files.iter().map(removed)),
        CommitMode::Merge(replacement) => actions.extend(replaced(&table, replacement, &files)?),
        CommitMode::ReplacePartitions { by, values } => {
            let types = partition_types(snapshot, by);
            let partitions = Partitions::new(by, values, &types);
            let outside =
                actions.iter().find(|action| matches!(action, Action::Add(add) if !partitions.hold_added(add)));
            if let Some(Action::Add(add)) = outside {
                let reason = format!("the new file `{}` is not in a partition that is replaced", add.path);
                return Err(WriteError::BadMerge { table, reason }.into());
            }
            actions.extend(files.iter().filter(|file| partitions.hold(&file.partition_values_map())).map(removed));
        }
    }
    Ok(Some(actions))
}

fn removed(file: &LogicalFileView) -> Action {
    Action::Remove(file.remove_action(true))
}

/// The actions that take the files at `paths`, as the log has them, out of the table without a change of its rows.
///
/// # Errors
/// [`WriteError::BadMerge`] for a path that is not in the table, or that this writer would write differently.
pub(crate) fn removals(table: &str, paths: &[String], files: &[LogicalFileView]) -> Result<Vec<Action>, WriteError> {
    let by_path: HashMap<_, _> = files.iter().map(|file| (file.path(), file)).collect();
    let removal = |path: &String| {
        let found = find(table, path, &by_path)?;
        Ok(Action::Remove(found.remove_action(false)))
    };
    paths.iter().map(removal).collect()
}

/// The file that the log names `path`.
fn find<'f>(
    table: &str,
    path: &str,
    files: &HashMap<impl Borrow<str> + Hash + Eq, &'f LogicalFileView>,
) -> Result<&'f LogicalFileView, WriteError> {
    let bad = |reason: String| WriteError::BadMerge { table: table.to_owned(), reason };
    let in_memory = decoded(path).map_err(|error| bad(error.to_string()))?;
    let Some(found) = files.get(in_memory.as_str()) else {
        return Err(bad(format!("the table has no file `{path}`")));
    };
    if encoded(&removed(found)).as_deref() != Some(path) {
        return Err(bad(format!("the log names a file `{path}`, which this writer would name differently")));
    }
    Ok(found)
}

/// What becomes of the files that a merge takes rows from, and the record of its changes.
fn replaced(table: &str, replacement: &Replacement, files: &[LogicalFileView]) -> Result<Vec<Action>, WriteError> {
    let by_path: HashMap<_, _> = files.iter().map(|file| (file.path(), file)).collect();
    let mut actions: Vec<Action> = replacement.changes.iter().cloned().map(Action::Cdc).collect();
    for file in &replacement.files {
        let found = find(table, &file.path, &by_path)?;
        actions.push(removed(found));
        if file.stays() {
            actions.push(Action::Add(with_new_vector(table, file, found)?));
        }
    }
    Ok(actions)
}

/// A file as it is added again with a new deletion vector.
fn with_new_vector(table: &str, file: &ReplacedFile, found: &LogicalFileView) -> Result<Add, WriteError> {
    // The alternative that the library names are the arrays of its log replay, which do not have all fields.
    #[allow(deprecated)]
    let add = found.add_action();
    let stats = add.stats.as_deref().and_then(without_tight_bounds);
    if stats.is_none() {
        let reason = format!("the log does not count the rows of `{}`, so none can be marked", file.path);
        return Err(WriteError::BadMerge { table: table.to_owned(), reason });
    }
    Ok(Add { deletion_vector: file.vector.clone(), stats, data_change: true, ..add })
}

/// Statistics that hold for a part of a file's rows too: bounds that no row may reach. `None` without a row count.
///
/// Delta protocol, "Per-file Statistics": with `tightBounds` false, bounds may be wider than the values, and counts of
/// nulls are of all rows. Statistics that say they are tight, which this writer never does, are reduced to the count.
fn without_tight_bounds(stats: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Known {
        num_records: Option<u64>,
        tight_bounds: Option<bool>,
    }
    let known: Known = serde_json::from_str(stats).ok()?;
    let rows = known.num_records?;
    match known.tight_bounds {
        Some(false) => Some(stats.to_owned()),
        Some(true) => Some(json!({ "numRecords": rows, "tightBounds": false }).to_string()),
        None => {
            // The text stays as it is: a value parsed and written again could lose digits.
            let rest = stats.trim_start().strip_prefix('{')?;
            Some(format!("{{\"tightBounds\":false,{rest}"))
        }
    }
}

/// A path of the log as the library has it in memory.
fn decoded(path: &str) -> Result<String, DeltaTableError> {
    let remove: Remove = serde_json::from_value(json!({ "path": path, "dataChange": true }))?;
    Ok(remove.path)
}

/// The path that the log will have for a removed file.
fn encoded(removed: &Action) -> Option<String> {
    let value = serde_json::to_value(removed).ok()?;
    Some(value.get("remove")?.get("path")?.as_str()?.to_owned())
}

/// The types of the columns `by` of a table; text where that cannot be told.
fn partition_types(snapshot: &EagerSnapshot, by: &[String]) -> Vec<DataType> {
    let schema: Option<Schema> = snapshot.schema().as_ref().try_into_arrow().ok();
    let data_type = |column: &String| Some(schema.as_ref()?.field_with_name(column).ok()?.data_type().clone());
    by.iter().map(|column| data_type(column).unwrap_or(DataType::Utf8)).collect()
}

/// Some partitions of a table.
struct Partitions<'a> {
    by: &'a [String],
    types: &'a [DataType],
    values: BTreeSet<Vec<Option<String>>>,
}

impl<'a> Partitions<'a> {
    fn new(by: &'a [String], values: &[Vec<Option<String>>], types: &'a [DataType]) -> Self {
        let of_row = |values: &Vec<Option<String>>| {
            values.iter().zip(types).map(|(value, data_type)| canonical(value.as_deref(), data_type)).collect()
        };
        Self { by, types, values: values.iter().map(of_row).collect() }
    }

    fn hold(&self, file: &HashMap<String, Option<String>>) -> bool {
        let value = |column: &String| file.get(column).and_then(Option::as_deref);
        let values = self.by.iter().zip(self.types).map(|(column, data_type)| canonical(value(column), data_type));
        self.values.contains(&values.collect::<Vec<_>>())
    }

    fn hold_added(&self, add: &Add) -> bool {
        self.hold(&add.partition_values)
    }
}

/// A partition value in the form in which this writer has it. An empty text stands for null. Delta protocol, "Partition
/// Value Serialization".
fn canonical(value: Option<&str>, data_type: &DataType) -> Option<String> {
    value.filter(|text| !text.is_empty()).map(|text| canonical_value(text, data_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_become_loose_and_digits_stay() {
        let stats = r#"{"numRecords":3,"minValues":{"a":12345678901234567890.123456789012345678}}"#;
        let loosened = without_tight_bounds(stats).unwrap();
        assert_eq!(loosened, format!("{{\"tightBounds\":false,{}", &stats[1..]));
        assert!(serde_json::from_str::<serde_json::Value>(&loosened).unwrap().is_object());
        assert_eq!(without_tight_bounds(&loosened).as_deref(), Some(loosened.as_str()));
        let tight = r#"{"numRecords":3,"minValues":{"a":1},"tightBounds":true}"#;
        assert_eq!(without_tight_bounds(tight).unwrap(), r#"{"numRecords":3,"tightBounds":false}"#);
        assert_eq!(without_tight_bounds(r#"{"minValues":{"a":1}}"#), None);
    }

    #[test]
    fn partitions_are_found_by_value_and_null_is_one() {
        let by = ["a".to_owned(), "b".to_owned()];
        let values = [vec![Some("1".to_owned()), None]];
        let partitions = Partitions::new(&by, &values, &[DataType::Float64, DataType::Utf8]);
        let file = |a: Option<&str>, b: Option<&str>| {
            let value = |value: Option<&str>| value.map(str::to_owned);
            HashMap::from([("a".to_owned(), value(a)), ("b".to_owned(), value(b)), ("c".to_owned(), None)])
        };
        assert!(partitions.hold(&file(Some("1"), None)));
        assert!(partitions.hold(&file(Some("1"), Some(""))));
        assert!(partitions.hold(&file(Some("1.0"), None)));
        assert!(partitions.hold(&HashMap::from([("a".to_owned(), Some("1".to_owned()))])));
        assert!(!partitions.hold(&file(Some("1"), Some("x"))));
        assert!(!partitions.hold(&file(None, None)));
    }
}
