//! What a session decides about scans.

use datafusion::config::TableParquetOptions;
use datafusion::prelude::SessionConfig;
use serde_json::{Value, json};

/// How Parquet files are read, taken from a session's configuration.
#[derive(Debug, Clone)]
pub struct ScanOptions {
    parquet: TableParquetOptions,
}

impl ScanOptions {
    /// The options of sessions with `config`.
    ///
    /// INT96 timestamps are read as microseconds whatever the session says: as nanoseconds, the engine's default,
    /// they overflow outside of 1677 to 2262.
    pub fn from_config(config: &SessionConfig) -> Self {
        let mut parquet = TableParquetOptions::default();
        parquet.global = config.options().execution.parquet.clone();
        parquet.global.coerce_int96 = Some("us".to_owned());
        parquet.global.schema_force_view_types = false;
        Self { parquet }
    }

    pub(super) fn parquet(&self) -> &TableParquetOptions {
        &self.parquet
    }

    /// The options that have a say in reading, as canonical JSON.
    pub(crate) fn described(&self) -> Value {
        let parquet = &self.parquet.global;
        json!({
            "enable_page_index": parquet.enable_page_index,
            "pruning": parquet.pruning,
            "skip_metadata": parquet.skip_metadata,
            "metadata_size_hint": parquet.metadata_size_hint,
            "pushdown_filters": parquet.pushdown_filters,
            "reorder_filters": parquet.reorder_filters,
            "force_filter_selections": parquet.force_filter_selections,
            "binary_as_string": parquet.binary_as_string,
            "coerce_int96": parquet.coerce_int96,
            "coerce_int96_tz": parquet.coerce_int96_tz,
            "bloom_filter_on_read": parquet.bloom_filter_on_read,
            "max_predicate_cache_size": parquet.max_predicate_cache_size,
            "max_in_list_size": parquet.max_in_list_size,
        })
    }
}
