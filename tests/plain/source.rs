//! The sources of a project.

use std::path::Path;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::error::Result as EngineResult;
use datafusion::prelude::SessionContext;
use deltalake::{DeltaResult, DeltaTable, DeltaTableBuilder};
use windlass_base::ids::NodeName;
use windlass_engine::session::{SessionError, TableInput, register};
use windlass_project::spec::source::{DeltaSource, FileFormat, ListingSource, PinAt, SourceKind};
use windlass_storage::{Location, Stores};

use super::PlainError;

/// Registers a source: files through Windlass's own registration, Delta tables through deltalake's own provider.
pub(super) async fn open(
    ctx: &SessionContext,
    stores: &Stores,
    name: &NodeName,
    kind: &SourceKind,
    project: &Path,
) -> Result<(), PlainError> {
    let input = match kind {
        SourceKind::Delta(source) => return open_delta(ctx, name, source, project).await,
        SourceKind::Listing(source) => {
            TableInput::Listing { source: source.clone(), location: Location::parse(&source.location, project)? }
        }
        SourceKind::TextFiles(source) => {
            TableInput::TextFiles { source: source.clone(), location: Location::parse(&source.location, project)? }
        }
        SourceKind::Rows(source) => TableInput::Rows(source.clone()),
        SourceKind::Custom(source) => return Err(PlainError::Custom { loader: source.loader.clone() }),
    };
    register(ctx, stores, name, input).await?;
    Ok(())
}

async fn open_delta(
    ctx: &SessionContext,
    name: &NodeName,
    source: &DeltaSource,
    project: &Path,
) -> Result<(), PlainError> {
    let location = Location::parse(&source.location, project)?;
    let table = load_delta(&location, source.pin)
        .await
        .map_err(|error| PlainError::OpenDelta { source_name: name.clone(), source: error })?;
    let registered = match delta_provider(ctx, &table).await {
        Ok(provider) => ctx.register_table(TableReference::bare(name.as_str()), provider),
        Err(error) => Err(error),
    };
    registered.map_err(|source| SessionError::Register { table: name.clone(), source })?;
    Ok(())
}

async fn load_delta(location: &Location, pin: PinAt) -> DeltaResult<DeltaTable> {
    let builder = DeltaTableBuilder::from_url(location.folder_url())?;
    match pin {
        PinAt::Latest => builder.load().await,
        PinAt::Version(version) => builder.with_version(version).load().await,
        PinAt::Timestamp(moment) => builder.with_timestamp(moment).load().await,
    }
}

/// deltalake's own scan of a table.
pub(super) async fn delta_provider(ctx: &SessionContext, table: &DeltaTable) -> EngineResult<Arc<dyn TableProvider>> {
    table.table_provider().with_session(Arc::new(ctx.state())).await
}

/// A folder of Parquet files that were just written.
pub(super) fn parquet_folder(location: Location) -> TableInput {
    let source = ListingSource {
        location: location.to_string(),
        format: FileFormat::Parquet,
        partition_columns: Vec::new(),
        file_sort_order: Vec::new(),
        schema: None,
    };
    TableInput::Listing { source, location }
}
