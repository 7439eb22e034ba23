//! Partition values: the values in the folder names of a file's path.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::{ListingTableUrl, helpers};
use object_store::path::Path as StorePath;

use crate::session::SessionError;
use crate::session::records::value_of_text;

/// The folder name that Hive and Spark use for null.
const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// The values of the partition `columns` for the file at `path` below the listing's base, in the columns' order. A
/// folder's text is parsed like a value in a text file: exactly or not at all.
///
/// # Errors
/// [`SessionError::Partition`] for a file outside such folders, and for a text that is not a value of its column's
/// type.
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
            value_of_text(text, data_type)
                .ok_or_else(|| wrong(name, format!("`{text}` is not a value of type {data_type}")))
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

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn a_folder_has_a_value_exactly_or_not_at_all() {
        let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        let value = |text: &str, of: &DataType| values(&format!("p={text}/a.csv"), &[("p".to_owned(), of.clone())]);
        for (text, of, expected) in [
            ("1.230", DataType::Decimal128(10, 2), "1.23"),
            ("5.0", DataType::Int32, "5"),
            ("TRUE", DataType::Boolean, "true"),
            ("0.1", DataType::Float64, "0.1"),
            ("2026-01-31T12%3A00%3A00+02%3A00", micros(Some("UTC")), "2026-01-31T10:00:00Z"),
            ("2026-01-31", micros(None), "2026-01-31T00:00:00"),
            ("a%2Fb 1", DataType::Utf8, "a/b 1"),
            ("__HIVE_DEFAULT_PARTITION__", DataType::Int64, "∅"),
        ] {
            let found = value(text, &of).unwrap();
            assert_eq!(found[0].data_type(), of, "{text}");
            let shown = found[0].cast_to(&DataType::Utf8).unwrap();
            assert_eq!(shown.try_as_str().flatten().unwrap_or("∅"), expected, "{text}");
        }
        for (text, of) in [
            ("1.239", DataType::Decimal128(10, 2)),
            ("2026-01-31 12%3A00%3A00", DataType::Date32),
            ("2026-1-3", DataType::Date32),
            ("20260131", DataType::Date32),
            ("2026-01-31 12%3A00%3A00.123456789", micros(Some("UTC"))),
            ("2026-01-31T12%3A00%3A00+02%3A00", micros(None)),
            ("1e400", DataType::Float64),
            ("9007199254740993", DataType::Float64),
            ("16777217", DataType::Float32),
            ("yes", DataType::Boolean),
            ("1", DataType::Boolean),
            (" 5", DataType::Int32),
            ("", DataType::Int32),
        ] {
            let error = value(text, &of).unwrap_err().to_string();
            assert!(error.contains("a.csv`") && error.contains("is not a value of type"), "{text}: {error}");
        }
    }
}
