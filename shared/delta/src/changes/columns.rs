//! The part of a table's metadata that decides whether its changes can be read together.

use serde_json::{Value, json};

use crate::log::{IN_COMMIT_TIMESTAMPS, TableMetadata};

/// The table property that has changes recorded.
const CHANGE_DATA_FEED: &str = "delta.enableChangeDataFeed";
const MAPPING_MODE: &str = "delta.columnMapping.mode";
const PHYSICAL_NAME: &str = "delta.columnMapping.physicalName";
const MAPPING_ID: &str = "delta.columnMapping.id";

/// A column, with all that decides how it is read from files written under other metadata.
#[derive(Debug, PartialEq)]
struct Column {
    name: String,
    nullable: bool,
    definition: Value,
}

impl TableMetadata {
    /// Whether changes are recorded.
    pub fn has_feed(&self) -> bool {
        self.is_set(CHANGE_DATA_FEED)
    }

    /// Whether commits carry their own time.
    pub(super) fn has_in_commit_timestamps(&self) -> bool {
        self.is_set(IN_COMMIT_TIMESTAMPS)
    }

    fn is_set(&self, property: &str) -> bool {
        self.configuration.get(property).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The columns because of which rows written under this metadata cannot be read as rows of `later`: all that differ
    /// but nullable columns that were added at the end, which rows from before read as null. How rows are partitioned
    /// may differ: files of each way are read as they were written.
    pub fn incompatible_columns(&self, later: &Self) -> Vec<String> {
        let (old, new) = (self.columns(), later.columns());
        let name = |column: &Column| column.name.clone();
        let changed: Vec<String> = old.iter().filter(|column| !new.contains(column)).map(name).collect();
        if !changed.is_empty() {
            return changed;
        }
        let moved: Vec<String> =
            new.iter().zip(&old).filter(|(new, old)| new != old).map(|(new, _)| name(new)).collect();
        if !moved.is_empty() {
            return moved;
        }
        new.iter().skip(old.len()).filter(|column| !column.nullable).map(name).collect()
    }

    /// Unreadable schemas have no columns: reading the table's own schema reports them.
    fn columns(&self) -> Vec<Column> {
        let by_id = self.configuration.get(MAPPING_MODE).is_some_and(|mode| mode == "id");
        let schema: Value = serde_json::from_str(&self.schema_string).unwrap_or_default();
        let column = |field: &Value| Column {
            name: field["name"].as_str().unwrap_or_default().to_owned(),
            nullable: field["nullable"].as_bool().unwrap_or(true),
            definition: defined(field, by_id),
        };
        schema["fields"].as_array().into_iter().flatten().map(column).collect()
    }
}

/// A field without what does not matter to readers, such as comments. Its physical name does: a column that was dropped
/// and added again is another column.
fn defined(field: &Value, by_id: bool) -> Value {
    let metadata = &field["metadata"];
    json!({
        "name": field["name"],
        "nullable": field["nullable"],
        "type": defined_type(&field["type"], by_id),
        "physical": metadata.get(PHYSICAL_NAME).unwrap_or(&field["name"]),
        "id": metadata.get(MAPPING_ID).filter(|_| by_id),
    })
}

fn defined_type(data_type: &Value, by_id: bool) -> Value {
    match data_type["type"].as_str() {
        Some("struct") => {
            let fields = data_type["fields"].as_array().into_iter().flatten();
            json!({"struct": fields.map(|field| defined(field, by_id)).collect::<Vec<_>>()})
        }
        Some("array") => json!({
            "array": defined_type(&data_type["elementType"], by_id), "nulls": data_type["containsNull"],
        }),
        Some("map") => json!({
            "key": defined_type(&data_type["keyType"], by_id), "value": defined_type(&data_type["valueType"], by_id),
            "nulls": data_type["valueContainsNull"],
        }),
        _ => data_type.clone(),
    }
}
