//! Reads what was chosen, side by side.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::array::RecordBatch;
use futures::{StreamExt, stream};
use windlass_base::error::full_message;
use windlass_base::ids::RunId;
use windlass_engine::session::{SessionError, batch_of};
use windlass_evidence::bundle::BundleReader;
use windlass_evidence::system::{SystemTable, run_rows, turn_rows, unreadable_turn};
use windlass_project::literal_rows::Row;

use super::choice::{Candidate, Candidates, Choice};
use super::{refused, schema};
use crate::record::BundleStore;

/// How many bundles are read side by side.
const AT_ONCE: usize = 16;

/// The rows of each table, those of a run in one batch.
#[derive(Debug, Default)]
pub(super) struct Batches {
    of_table: BTreeMap<SystemTable, Vec<RecordBatch>>,
}

impl Batches {
    fn add(&mut self, table: SystemTable, rows: &[Row]) -> Result<(), SessionError> {
        let batch = batch_of(&schema(table), rows).map_err(|source| refused(table, source))?;
        self.of_table.entry(table).or_default().push(batch);
        Ok(())
    }

    /// The rows of a table, which are then no longer here.
    pub(super) fn take(&mut self, table: SystemTable) -> Vec<RecordBatch> {
        self.of_table.remove(&table).unwrap_or_default()
    }
}

/// Reads what each table needs of the runs. A bundle that cannot be read is named in the log of the process.
pub(super) async fn read_runs(
    reader: &BundleReader,
    live: &BTreeSet<RunId>,
    runs: &Candidates,
    mut choices: BTreeMap<SystemTable, Choice>,
    batches: &mut Batches,
) -> Result<(), SessionError> {
    let mut waiting: Vec<(usize, &Candidate)> = runs.all().iter().enumerate().collect();
    while !waiting.is_empty() {
        // What was found before says which of the others are needed at all.
        let tables_of = |place: usize, run: &Candidate| -> BTreeSet<SystemTable> {
            let wanted = choices.iter().filter(|(_, choice)| choice.wants(place, run));
            wanted.map(|(table, _)| *table).collect()
        };
        waiting.retain(|&(place, run)| !tables_of(place, run).is_empty());
        let later = waiting.split_off(waiting.len().min(AT_ONCE));
        let now: Vec<_> = waiting.iter().map(|&(place, run)| (run, tables_of(place, run))).collect();
        let reads: Vec<_> = now
            .iter()
            .map(
                |(run, tables)| async move { (*run, run_rows(reader, &run.id, live, Some(run.made_at), tables).await) },
            )
            .collect();
        let read: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
        for (run, found) in read {
            if let Some(error) = &found.error {
                tracing::warn!(run = %run.id, "a bundle cannot be read: {}", full_message(error));
            }
            for (table, rows) in found.rows {
                batches.add(table, &rows)?;
                if let Some(choice) = choices.get_mut(&table) {
                    choice.found(run);
                }
            }
        }
        waiting = later;
    }
    Ok(())
}

/// Reads the records of turns of maintenance. One that cannot be read has a row that says why.
pub(super) async fn read_turns(
    bundles: &BundleStore,
    turns: &Candidates,
    choice: &Choice,
    batches: &mut Batches,
) -> Result<(), SessionError> {
    let wanted = turns.all().iter().enumerate().filter(|(place, turn)| choice.wants(*place, turn));
    let reads: Vec<_> = wanted.map(|(_, turn)| async move { (turn, bundles.maintenance(&turn.id).await) }).collect();
    let read: Vec<_> = stream::iter(reads).buffered(AT_ONCE).collect().await;
    for (turn, record) in read {
        let rows = match record {
            Ok(Some(record)) => turn_rows(&record),
            // Gone since it was listed.
            Ok(None) => continue,
            Err(error) => vec![unreadable_turn(&turn.id, Some(turn.made_at), &error)],
        };
        batches.add(SystemTable::Maintenance, &rows)?;
    }
    Ok(())
}
