//! Arrow schemas as the Delta schema text that a table's metadata holds. For schemas in types that Delta has.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow, TryIntoKernel};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes `schema` as a Delta schema.
pub(crate) fn serialize<S: Serializer>(schema: &SchemaRef, serializer: S) -> Result<S::Ok, S::Error> {
    let delta: StructType = schema.as_ref().try_into_kernel().map_err(S::Error::custom)?;
    delta.serialize(serializer)
}

/// Reads a Delta schema.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SchemaRef, D::Error> {
    let delta = StructType::deserialize(deserializer)?;
    let schema: Schema = (&delta).try_into_arrow().map_err(D::Error::custom)?;
    Ok(Arc::new(schema))
}
