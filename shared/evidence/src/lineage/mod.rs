//! What tables and columns were made of, and what was made of them, by the newest runs.
//!
//! ```text
//! lineage.json of each run, the newest first ─add→ LineageMap ─trace→ Lineage: tables, edges, columns
//! ```

mod document;
#[cfg(test)]
mod tests;
mod trace;

use std::collections::BTreeMap;

use windlass_base::ids::{NodeName, RunId};

use crate::artifact::{LineageRecord, StageLineage};

pub use document::{ColumnEdge, Lineage, LineageEdge, LineageTable, Side};
pub use trace::LineageQuestion;

/// The newest lineage of each stage.
#[derive(Debug, Clone, Default)]
pub struct LineageMap {
    stages: BTreeMap<NodeName, Known>,
}

/// What is known of the newest version of a stage's table.
#[derive(Debug, Clone)]
struct Known {
    /// The run that made the version; none if the runs that were looked at only used it.
    made_by: Option<RunId>,
    lineage: StageLineage,
}

impl LineageMap {
    /// Adds what a run has made. Runs are added from the newest to the oldest: what is known stays.
    pub fn add(&mut self, run: &RunId, record: LineageRecord) {
        for lineage in record.stages {
            if lineage.output_version.is_none() {
                continue;
            }
            let made_by = (!lineage.reuse.hit).then(|| run.clone());
            match self.stages.get_mut(&lineage.stage) {
                None => drop(self.stages.insert(lineage.stage.clone(), Known { made_by, lineage })),
                Some(known) => known.complete(made_by, lineage),
            }
        }
    }

    /// Whether there is nothing that an older run could add to what is known of a stage.
    pub fn is_complete(&self, stage: &NodeName) -> bool {
        self.stages.get(stage).is_some_and(|known| known.made_by.is_some() && known.lineage.columns.is_some())
    }

    /// Whether a table or source is known.
    pub fn contains(&self, name: &NodeName) -> bool {
        self.names().any(|known| known == name)
    }

    /// The tables and sources that are known; those that are read several times come several times.
    pub fn names(&self) -> impl Iterator<Item = &NodeName> {
        let inputs = self.stages.values().flat_map(|known| known.lineage.inputs.iter().map(|input| &input.name));
        let used = self.stages.values().filter_map(|known| known.lineage.columns.as_ref());
        let used = used.flat_map(|columns| {
            columns.columns.iter().flat_map(|column| &column.origins).chain(&columns.rows).map(|origin| &origin.table)
        });
        self.stages.keys().chain(inputs).chain(used)
    }

    /// The columns of a table that are known: of a source those that are used.
    pub fn columns(&self, table: &NodeName) -> Vec<&str> {
        let own = self.stages.get(table).and_then(|known| known.lineage.columns.as_ref());
        let own = own.into_iter().flat_map(|columns| columns.columns.iter().map(|column| column.name.as_str()));
        let used = self.stages.values().filter_map(|known| known.lineage.columns.as_ref());
        let used =
            used.flat_map(|columns| columns.columns.iter().flat_map(|column| &column.origins).chain(&columns.rows));
        let used = used.filter(|origin| origin.table == *table).map(|origin| origin.column.as_str());
        let mut all: Vec<&str> = own.chain(used).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Known {
    /// Takes from an older run what a newer one does not say of the same version.
    fn complete(&mut self, made_by: Option<RunId>, older: StageLineage) {
        if self.made_by.is_none() && self.lineage.output_version == older.output_version {
            self.made_by = made_by;
        }
        if self.lineage.columns.is_none() && self.lineage.code_version == older.code_version {
            self.lineage.columns = older.columns;
        }
    }
}
