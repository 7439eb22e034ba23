//! Partition values: what the folders on the way to a file say about its rows.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::{ListingTableUrl, helpers};
use object_store::path::Path as StorePath;

use crate::session::SessionError;

/// The folder name by which Hive and Spark write a null.
const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// The values of the partition `columns` for the file at `path` below the listing's base, in the columns' order.
pub(super) fn values(path: &str, columns: &[(String, DataType)]) -> Result<Vec<ScalarValue>, SessionError> {
    let wrong = |column: &str, reason: String| SessionError::Partition {
        file: path.to_owned(),
        column: column.to_owned(),
        reason,
    };
    let texts = texts(path, columns);
    columns
        .iter()
        .enumerate()
        .map(|(index, (name, data_type))| {
            let text = texts.get(index).ok_or_else(|| {
                let folder = path.split('/').nth(index).filter(|_| path.split('/').count() > index + 1);
                let instead = folder.map_or_else(|| "none".to_owned(), |folder| format!("`{folder}`"));
                wrong(name, format!("a folder `{name}=…` should be at depth {}, and there is {instead}", index + 1))
            })?;
            if text == NULL_PARTITION {
                return ScalarValue::try_new_null(data_type).map_err(|error| wrong(name, error.to_string()));
            }
            ScalarValue::try_from_string(text.clone(), data_type)
                .map_err(|_| wrong(name, format!("`{text}` is not a value of type {data_type}")))
        })
        .collect()
}

/// The texts of as many leading columns as the path has folders for, percent-decoded.
fn texts(path: &str, columns: &[(String, DataType)]) -> Vec<String> {
    let (Ok(root), Ok(path)) = (ListingTableUrl::parse("file:///"), StorePath::parse(path)) else {
        return Vec::new();
    };
    for taken in (1..=columns.len()).rev() {
        let names = columns.iter().take(taken).map(|(name, _)| name.as_str());
        if let Some(texts) = helpers::parse_partitions_for_path(&root, &path, names)
            && texts.len() == taken
        {
            return texts.into_iter().map(|text| text.into_owned()).collect();
        }
    }
    Vec::new()
}
