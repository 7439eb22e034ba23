//! The columns of a schema as a contract names them.

use datafusion::arrow::datatypes::{DataType, Schema};
use windlass_project::contract::{Column, ContractType};

use super::column_type::{delta_type, type_name};
use crate::error::WriteError;

/// The columns of `schema` in the types in which Delta stores them.
///
/// # Errors
/// [`WriteError::ColumnType`] for a column that Delta cannot store.
pub fn contract_columns(schema: &Schema) -> Result<Vec<Column>, WriteError> {
    let columns = schema.fields().iter().map(|field| {
        let stored = delta_type(field.name(), field.data_type())?;
        let data_type = contract_type(&stored).ok_or_else(|| WriteError::ColumnType {
            column: field.name().clone(),
            data_type: stored.to_string(),
            reason: "contracts have no name for it".to_owned(),
        })?;
        Ok(Column { name: field.name().clone(), data_type, nullable: field.is_nullable() })
    });
    columns.collect()
}

fn contract_type(stored: &DataType) -> Option<ContractType> {
    Some(match stored {
        DataType::List(item) => ContractType::Array(Box::new(contract_type(item.data_type())?)),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => {
                let [key, value] = pair.as_ref() else { return None };
                let (key, value) = (contract_type(key.data_type())?, contract_type(value.data_type())?);
                ContractType::Map(Box::new(key), Box::new(value))
            }
            _ => return None,
        },
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| Some((field.name().clone(), contract_type(field.data_type())?)));
            ContractType::Struct(fields.collect::<Option<_>>()?)
        }
        primitive => ContractType::parse(&type_name(primitive))?,
    })
}
