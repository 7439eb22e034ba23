//! External events of a pipeline: cursors set back by hand, ranges applied again, other programs that write to its
//! tables, sources with invalid keys.
//!
//! ```text
//! set_a_cursor_back, reapply_a_range ─→ the next run has the result of a rebuild
//! another_writes, another_writes_during_a_run ─→ detected, or refused and corrected by recomputing that stage
//! break_a_key ─→ run_with_broken_keys: stages with two rows of a key fail, their tables unchanged ─→ repair
//! ```

use rand::Rng;
use rand::seq::{IndexedRandom, IteratorRandom};
use windlass_base::error::{Failure, full_message};
use windlass_base::ids::{NodeName, TableVersion};
use windlass_client::{CursorReset, RunOptions};
use windlass_evidence::artifact::{Refresh, RunStatus, SourceCursor, StageStatus};

use super::super::pipeline::Wish;
use super::super::source::BrokenKey;
use super::super::tables::open;
use super::{Outcome, Sequence};

/// Everything of this kind that can happen.
pub(in crate::incremental) const OUTSIDE: [&str; 6] = [
    SET_BACK,
    TAKEN_IN_AGAIN,
    ANOTHER_WROTE,
    ANOTHER_WROTE_DURING_A_RUN,
    BrokenKey::Twice.as_str(),
    BrokenKey::Null.as_str(),
];

const SET_BACK: &str = "a cursor set back";
const TAKEN_IN_AGAIN: &str = "a range taken in again";
const ANOTHER_WROTE: &str = "a commit of another program";
const ANOTHER_WROTE_DURING_A_RUN: &str = "a commit of another program during a run";

/// Two rows of one key.
const TWO_ROWS: &str = "WL0657";
/// A plan of too many operators.
const TOO_LARGE: &str = "WL0376";

/// Templates whose rows depend on the order of rows that are equal except for columns outside the key.
const ORDERED: [&str; 4] = ["row number", "first of group", "window values", "correlated scalar"];

impl Sequence<'_> {
    /// Perhaps one event of this kind.
    pub(super) async fn meet_the_outside(&mut self) -> Outcome {
        match self.random.random_range(0..100) {
            0..7 => self.set_a_cursor_back().await,
            7..13 if !self.broken => self.reapply_a_range().await,
            13..20 => self.another_writes().await,
            20..26 => self.another_writes_during_a_run().await,
            26..38 => self.break_a_key().await,
            _ => Ok(()),
        }
    }

    pub(super) fn met(&mut self, what: &'static str) {
        *self.coverage.outside.entry(what).or_default() += 1;
    }

    /// A stage, a Delta source of it, and the version that it has consumed.
    async fn a_cursor(&mut self) -> Outcome<Option<(NodeName, SourceCursor, u64)>> {
        let project = self.pipeline.open();
        let cursors = self.arena.windlass.cursors(&project).await.map_err(|error| full_message(&error))?;
        let taken = cursors.into_iter().flat_map(|cursor| {
            let stage = cursor.stage;
            cursor.sources.into_iter().map(move |source| (stage.clone(), source))
        });
        // What lies behind a cursor may have been removed where tables are maintained: those of stages, not of sources.
        let remains = |source: &SourceCursor| !self.maintained || self.pipeline.stage(source.source.as_str()).is_none();
        let taken = taken.filter(|(_, source)| remains(source));
        let versions = taken.filter_map(|(stage, source)| {
            let version = source.table_id.as_ref().and(source.version).and_then(|version| u64::try_from(version).ok());
            version.filter(|version| *version > 0).map(|version| (stage, source, version))
        });
        Ok(versions.choose(&mut self.random))
    }

    async fn set_a_cursor_back(&mut self) -> Outcome {
        let Some((stage, source, version)) = self.a_cursor().await? else { return Ok(()) };
        let to = self.random.random_range(0..version);
        let reset = CursorReset {
            stage: stage.clone(),
            source: Some(source.source.clone()),
            to: Some(TableVersion(to)),
            reason: None,
        };
        self.trace.push(format!("the cursor of {stage} for {} is set back from {version} to {to}", source.source));
        let project = self.pipeline.open();
        self.arena.windlass.reset_cursor(&project, &reset).await.map_err(|error| full_message(&error))?;
        self.cursor_reset.insert(stage.to_string());
        self.dirty = true;
        self.met(SET_BACK);
        Ok(())
    }

    /// A run of one stage over a range of versions that begins before its cursor.
    async fn reapply_a_range(&mut self) -> Outcome {
        let Some((stage, source, version)) = self.a_cursor().await? else { return Ok(()) };
        let from = self.random.random_range(1..=version);
        let to = self.random.random_bool(0.5).then(|| self.random.random_range(from..=version));
        let name = Some(source.source.clone());
        let refresh = Refresh {
            from_versions: vec![(name.clone(), from)],
            to_versions: to.map(|to| (name, to)).into_iter().collect(),
            ..Refresh::default()
        };
        self.trace
            .push(format!("{stage} takes in {} from {from} to {to:?}, its cursor being {version}", source.source));
        let options = RunOptions { select: vec![stage.to_string()], refresh, ..RunOptions::default() };
        let record = self.run(&options).await?;
        self.tell(&record);
        // The source may have had two rows of a key at that version, and what follows a range through a view that is read
        // several times may be too large a plan.
        let may_fail = |failure: &Failure| failure.code == TWO_ROWS || failure.code == TOO_LARGE;
        let failed = record.stages.iter().find(|stage| stage.status == StageStatus::Failed);
        if failed.is_some_and(|stage| !stage.failure.as_ref().is_some_and(may_fail)) {
            return Err("a range cannot be taken in again".to_owned());
        }
        self.cursor_reset.insert(stage.to_string());
        self.broke_off();
        self.met(TAKEN_IN_AGAIN);
        Ok(())
    }

    /// Makes another program delete rows of a stage's table; returns the stage, if it did.
    async fn delete_behind_its_back(&mut self) -> Option<String> {
        let stage = self.pipeline.tables().choose(&mut self.random).unwrap().clone();
        let condition = stage.key_condition(&mut self.random);
        let folder = self.pipeline.table(&stage);
        let table = open(&folder).await;
        let before = table.version();
        match table.delete().with_predicate(condition.as_str()).await {
            Ok((table, _)) if table.version() > before => {
                self.trace.push(format!("another program deletes from {} where {condition}", stage.name));
                self.foreign.insert(stage.name.clone());
                self.dirty = true;
                Some(stage.name)
            }
            // The library cannot write tables with deletion vectors, and a run may have been faster.
            _ => None,
        }
    }

    async fn another_writes(&mut self) -> Outcome {
        if self.delete_behind_its_back().await.is_none() {
            return Ok(());
        }
        self.met(ANOTHER_WROTE);
        self.run_over_the_commits_of_others().await
    }

    async fn another_writes_during_a_run(&mut self) -> Outcome {
        let after = self.random.random_range(0..14);
        let project = self.pipeline.open();
        let handle = self.arena.windlass.run(&project, &RunOptions::default()).await;
        let mut handle = handle.map_err(|error| full_message(&error))?;
        for _ in 0..after {
            handle.events.recv().await;
        }
        let wrote = self.delete_behind_its_back().await;
        self.trace.push(format!("that was {after} events after the start of a run: {}", wrote.is_some()));
        match handle.wait().await {
            Ok(record) => self.tell(&record),
            Err(error) => self.trace.push(full_message(&error)),
        }
        self.broke_off();
        if wrote.is_some() {
            self.met(ANOTHER_WROTE_DURING_A_RUN);
        }
        self.run_over_the_commits_of_others().await
    }

    /// A run after others have written: it corrects every table except those of `strict` stages, which it may refuse.
    /// Recomputing those corrects them as well.
    async fn run_over_the_commits_of_others(&mut self) -> Outcome {
        let strict = |name: &String| self.pipeline.stage(name).is_some_and(|stage| stage.wish == Wish::Strict);
        let may_fail = self.foreign.iter().any(strict);
        match self.run(&RunOptions { fail_fast: Some(false), ..RunOptions::default() }).await {
            Ok(record) => {
                self.tell(&record);
                for stage in record.stages.iter().filter(|stage| stage.status == StageStatus::Failed) {
                    let name = stage.stage.to_string();
                    if !self.foreign.contains(&name) || !may_fail {
                        return Err(format!("{name} failed, and no other program has written to it"));
                    }
                }
                self.broke_off();
                self.check_committed(&record).await?;
            }
            Err(message) if may_fail => self.trace.push(message),
            Err(message) => return Err(message),
        }
        if self.foreign.is_empty() {
            return Ok(());
        }
        self.trace.push(format!("recomputed: {:?}", self.foreign));
        let refresh = Refresh { full: self.foreign.iter().cloned().collect(), ..Refresh::default() };
        self.checked_run(&RunOptions { refresh, ..RunOptions::default() }).await
    }

    /// A source gets a second row with the same key, or one without a key, for a run or two.
    async fn break_a_key(&mut self) -> Outcome {
        let keyed = self.pipeline.sources.iter().filter(|source| source.can_break());
        let Some(source) = keyed.choose(&mut self.random).cloned() else { return Ok(()) };
        let ordered = self.pipeline.stages.iter().any(|stage| ORDERED.contains(&stage.template));
        let how = *BrokenKey::ALL.choose(&mut self.random).unwrap();
        let Some(reported) = source.break_key(how, !ordered, &mut self.random).await else { return Ok(()) };
        self.trace.push(reported);
        self.met(how.as_str());
        self.run_with_broken_keys().await?;
        if self.random.random_bool(0.4) {
            let reported = source.mutate(&mut self.random).await;
            self.trace.push(reported);
            self.run_with_broken_keys().await?;
        }
        self.trace.push(source.repair().await);
        Ok(())
    }

    /// A run in which stages may fail because of their keys, and only because of them.
    async fn run_with_broken_keys(&mut self) -> Outcome {
        self.dirty = true;
        let record = self.run(&RunOptions { fail_fast: Some(false), ..RunOptions::default() }).await?;
        self.tell(&record);
        if !matches!(record.status, RunStatus::Succeeded | RunStatus::Failed) {
            return Err(format!("the run ended as {:?}", record.status));
        }
        self.broke_off();
        self.check_committed(&record).await
    }
}
