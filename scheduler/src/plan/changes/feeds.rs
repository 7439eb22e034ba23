//! The changes of a stage's inputs as plans read them.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::provider_as_source;
use windlass_base::ids::NodeName;
use windlass_delta::changes::{TableChanges, with_change_columns};
use windlass_delta::scan::ScanOptions;
use windlass_engine::session::ListingChange;

use super::since::{ChangedData, ReadChange};
use crate::plan::incremental::{ChangedInputs, InputChanges};
use crate::plan::input::{Input, Inputs};

/// What has changed in a stage's inputs.
#[derive(Clone, Default)]
pub struct ChangeFeeds {
    /// The change feeds of tables.
    pub tables: ChangedInputs,
    /// Changed sources of text files, with the changed files.
    pub files: BTreeMap<NodeName, ListingChange>,
    /// Changed sources of which nobody can tell what has changed.
    pub opaque: Vec<NodeName>,
}

impl ChangeFeeds {
    /// What it would be if all of `names` had changed: enough to find the strategy, without reading anything.
    pub fn imagined(names: &[NodeName], inputs: &Inputs, insert_only: bool) -> Self {
        let mut feeds = Self::default();
        for name in names {
            let schema: SchemaRef = match inputs.get(name) {
                Some(Input::Pinned(input)) if input.table.is_none() => {
                    feeds.without_versions(name, input.files.as_ref().map(|_| ListingChange::default()));
                    continue;
                }
                Some(Input::Pinned(input)) => input.provider.schema(),
                Some(Input::Planned(schema)) => Arc::clone(schema),
                None => continue,
            };
            let feed = provider_as_source(Arc::new(EmptyTable::new(with_change_columns(schema.fields()))));
            feeds.tables.add(name.clone(), InputChanges { feed: Some(feed), insert_only, again: None });
        }
        feeds
    }

    /// The changes that were read. Inputs without a changed row are not among them.
    pub fn of(changes: &[ReadChange], options: &ScanOptions) -> Self {
        let mut feeds = Self::default();
        for input in changes {
            let name = &input.summary.source;
            match &input.change {
                ChangedData::Rows { new, again } => feeds.add(name.clone(), new, again.as_ref(), options),
                ChangedData::Files(found) if found.paths.is_empty() => {}
                ChangedData::Files(found) => feeds.without_versions(name, Some(found.clone())),
                ChangedData::Unlisted => feeds.without_versions(name, None),
                ChangedData::Pending => {}
            }
        }
        feeds
    }

    /// Adds the changes of a table, and those that come once more.
    fn add(&mut self, name: NodeName, changes: &TableChanges, again: Option<&TableChanges>, options: &ScanOptions) {
        let feed = |changes: &TableChanges| provider_as_source(changes.provider(options));
        let insert_only = changes.insert_only();
        let new = Some(changes).filter(|changes| !changes.is_empty()).map(feed);
        let again = again.filter(|changes| !changes.is_empty()).map(feed);
        if new.is_some() || again.is_some() {
            self.tables.add(name, InputChanges { feed: new, insert_only, again });
        }
    }

    /// Adds the changes of a source of files: those of its listing if they are known.
    fn without_versions(&mut self, name: &NodeName, change: Option<ListingChange>) {
        match change {
            Some(change) => drop(self.files.insert(name.clone(), change)),
            None => self.opaque.push(name.clone()),
        }
    }

    /// Whether nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.files.is_empty() && self.opaque.is_empty()
    }
}
