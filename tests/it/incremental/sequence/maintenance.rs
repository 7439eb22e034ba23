//! Maintenance of a pipeline's tables between its runs, with a retention of 0: only runs, cursors, pins and tags keep what
//! has been replaced.
//!
//! ```text
//! mark a version ─→ its rows are remembered ─→ turns, runs, … ─→ it still has these rows ─→ release it
//! turn ─→ no action failed ─→ every marked version has its rows; later runs find what their cursors need
//! ```

use std::sync::Arc;

use rand::Rng;
use rand::seq::IteratorRandom;
use windlass_base::error::{Coded, full_message};
use windlass_base::ids::{NodeName, TableVersion};
use windlass_client::{MaintainOptions, NewMark, QueryOptions};
use windlass_evidence::artifact::MaintenanceRecord;

use super::super::tables::Rows;
use super::{HOME_IN_USE, Outcome, Sequence};

/// What is counted of maintenance, so that sequences without it prove nothing.
pub(in crate::incremental) const MAINTENANCE: [&str; 5] = [TURN, REWRITTEN, REMOVED, MARKED, RELEASED];

const TURN: &str = "a turn of maintenance";
const REWRITTEN: &str = "files rewritten by maintenance";
const REMOVED: &str = "files removed by maintenance";
const LOG_CLEANED: &str = "commits removed by maintenance";
const MARKED: &str = "a version pinned or tagged";
const RELEASED: &str = "a pin or tag released";

/// A version that was marked, with the rows that it had then.
#[derive(Debug)]
pub(super) struct Marked {
    name: String,
    table: String,
    version: TableVersion,
    rows: Vec<String>,
}

impl Sequence<'_> {
    /// Perhaps some maintenance.
    pub(super) async fn maintain_perhaps(&mut self) -> Outcome {
        if self.random.random_bool(0.25) {
            self.mark_a_version().await?;
        }
        if self.random.random_bool(0.45) {
            self.turn().await?;
        }
        if self.random.random_bool(0.15) {
            self.release_a_mark().await?;
        }
        Ok(())
    }

    /// A turn of maintenance, which must not change anything that anybody sees.
    async fn turn(&mut self) -> Outcome {
        let record = self.maintain().await?;
        self.met(TURN);
        for table in &record.tables {
            if let Some(failure) = &table.failure {
                return Err(format!("{} was not maintained: {failure}", table.table));
            }
            for action in &table.actions {
                let Some(outcome) = &action.outcome else { continue };
                self.trace.push(format!(
                    "  {} of {}: {} ({} files removed, {} added)",
                    action.kind.as_str(),
                    table.table,
                    action.reason,
                    outcome.files_removed,
                    outcome.files_added
                ));
                if let Some(failure) = &outcome.failure {
                    return Err(format!("{} of {} failed: {failure}", action.kind.as_str(), table.table));
                }
                let did = outcome.files_removed > 0;
                match action.kind.as_str() {
                    "compact" | "zorder" if did => self.met(REWRITTEN),
                    "vacuum" | "full_vacuum" if did => self.met(REMOVED),
                    "clean_log" if did => self.met(LOG_CLEANED),
                    _ => {}
                }
                // Commits of maintenance are changes of the inputs, though not of their rows.
                self.dirty |= outcome.version.is_some();
            }
            for kept in &table.kept {
                self.trace.push(format!("  {} keeps {} by {:?}", table.table, kept.version, kept.by));
            }
        }
        self.check_marks().await?;
        match self.broken {
            // A run that was interrupted, or applied a range, may have committed other rows than are expected next.
            true => Ok(()),
            false => self.check_tables().await,
        }
    }

    async fn maintain(&mut self) -> Outcome<MaintenanceRecord> {
        let project = self.pipeline.open();
        for _ in 0..240 {
            let turn = self.arena.windlass.maintain(&project, &MaintainOptions::default()).await;
            let turn = turn.map_err(|error| full_message(&error))?;
            match turn.wait().await {
                Err(error) if error.code() == HOME_IN_USE => {}
                ended => return ended.map_err(|error| format!("no turn took place: {}", full_message(&error))),
            }
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
        Err("the home was never free for a turn".to_owned())
    }

    async fn mark_a_version(&mut self) -> Outcome {
        let project = self.pipeline.open();
        let Some(stage) = self.pipeline.tables().choose(&mut self.random).map(|stage| stage.name.clone()) else {
            return Ok(());
        };
        let mark = NewMark {
            name: format!("{}_{}", self.pipeline.name(), self.marks_made),
            tag: self.random.random_bool(0.5),
            table: NodeName::new(stage.clone()),
            version: None,
            expires_at: None,
            reason: None,
        };
        self.marks_made += 1;
        let set = self.arena.windlass.set_mark(&project, &mark).await.map_err(|error| full_message(&error))?;
        let rows = self.rows_at(&stage, set.version).await?;
        self.trace.push(format!("version {} of {stage} is marked, with {} rows", set.version, rows.len()));
        self.marked.push(Marked { name: set.name, table: stage, version: set.version, rows });
        self.met(MARKED);
        Ok(())
    }

    async fn release_a_mark(&mut self) -> Outcome {
        let Some(place) = (0..self.marked.len()).choose(&mut self.random) else { return Ok(()) };
        let mark = self.marked.swap_remove(place);
        let project = self.pipeline.open();
        self.arena.windlass.release_mark(&project, &mark.name).await.map_err(|error| full_message(&error))?;
        self.trace.push(format!("version {} of {} is released", mark.version, mark.table));
        self.met(RELEASED);
        Ok(())
    }

    /// Every marked version has the rows that it had.
    pub(super) async fn check_marks(&self) -> Outcome {
        for mark in &self.marked {
            let rows = self.rows_at(&mark.table, mark.version).await?;
            if rows != mark.rows {
                return Err(format!("version {} of {}, which is kept, has other rows now", mark.version, mark.table));
            }
        }
        Ok(())
    }

    /// The rows of a version, sorted, as Windlass reads them.
    async fn rows_at(&self, stage: &str, version: TableVersion) -> Outcome<Vec<String>> {
        let project = self.pipeline.open();
        let versions = [(NodeName::new(stage), version)].into_iter().collect();
        let options = QueryOptions { versions, ..QueryOptions::default() };
        let failed = |error: &dyn std::error::Error| format!("version {version} of {stage} cannot be read: {error}");
        let rows = self.arena.windlass.query(&project, &format!("SELECT * FROM {stage}"), &options).await;
        let rows = rows.map_err(|error| failed(&error))?;
        let schema = rows.schema();
        let batches = rows.collect().await.map_err(|error| failed(&error))?;
        Ok(Rows { schema: Arc::clone(&schema), batches }.texts(&schema))
    }
}
