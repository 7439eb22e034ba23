//! One random sequence: alternating changes of the sources and runs, and the checks after each run.

mod maintenance;
mod outside;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use windlass_base::error::{Coded, ErrorCode, full_message};
use windlass_client::embedded::local_runs;
use windlass_client::{Project, QueryOptions, RunOptions, Windlass};
use windlass_evidence::artifact::{Refresh, RunRecord, RunStatus, StageLineage, StageStatus};
use windlass_project::strategy::Strategy;
use windlass_storage::Location;

pub(super) use maintenance::MAINTENANCE;
pub(super) use outside::OUTSIDE;

use super::INCREMENTAL;
use super::coverage::Coverage;
use super::oracle::{Expected, broken_key, difference};
use super::pipeline::{Pipeline, Wish};
use super::tables::{Rows, load, open};
use crate::command::binary;

/// Where a sequence runs.
pub(super) struct Arena {
    pub(super) windlass: Windlass,
    pub(super) home: PathBuf,
    /// Partitions of its sessions.
    pub(super) partitions: usize,
}

/// The code of the refusal of a stage that is `strict` and cannot be incremental.
const NOT_INCREMENTAL: ErrorCode = ErrorCode("WL0369");

/// The code of the refusal of a run while another process writes to the home.
const HOME_IN_USE: ErrorCode = ErrorCode("WL0615");

/// The sequences with maintenance: those of the first seeds.
const MAINTAINED: u64 = 200;

/// What went wrong, as a sentence.
type Outcome<T = ()> = Result<T, String>;

/// A sequence in progress.
pub(super) struct Sequence<'a> {
    arena: &'a Arena,
    random: StdRng,
    pipeline: Pipeline,
    expected: Expected,
    /// The stages whose tables contain the rows of the current definition.
    settled: BTreeSet<String>,
    /// The stages that may compute all rows once, although they are `strict`, because their cursor was set back.
    cursor_reset: BTreeSet<String>,
    /// The stages whose tables another program has written to since their last commit.
    foreign: BTreeSet<String>,
    /// Whether its tables are maintained between runs.
    maintained: bool,
    /// The versions that are pinned or tagged.
    marked: Vec<maintenance::Marked>,
    /// How many there have been.
    marks_made: u32,
    /// Whether anything has changed since the last whole run.
    dirty: bool,
    /// Whether a run was interrupted, so that tables may reflect different points in time.
    broken: bool,
    pub(super) trace: Vec<String>,
    pub(super) coverage: Coverage,
}

impl<'a> Sequence<'a> {
    /// The sequence of a seed, its project below `dir`.
    pub(super) async fn new(seed: u64, arena: &'a Arena, dir: &Path) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let (pipeline, reported) = Pipeline::generate(seed, dir, arena.partitions, &mut random).await;
        let mut trace = reported;
        for stage in &pipeline.stages {
            let kind = if stage.view { "view" } else { stage.merge };
            trace.push(format!("{} ({}, {:?}, {kind}): {}", stage.name, stage.template, stage.wish, stage.sql()));
        }
        let mut coverage = Coverage::of_templates(pipeline.stages.iter().map(|stage| stage.template));
        coverage.odd_floats += u64::from(pipeline.odd_floats);
        Self {
            arena,
            random,
            pipeline,
            expected: Expected::default(),
            settled: BTreeSet::new(),
            cursor_reset: BTreeSet::new(),
            foreign: BTreeSet::new(),
            maintained: seed < MAINTAINED,
            marked: Vec::new(),
            marks_made: 0,
            dirty: true,
            broken: false,
            trace,
            coverage,
        }
    }

    /// Everything that happens.
    pub(super) async fn play(&mut self) -> Outcome {
        self.relent().await?;
        self.whole_run(false).await?;
        for _ in 0..self.random.random_range(2..5) {
            self.change_sources().await;
            if self.random.random_bool(0.12) {
                self.optimize_a_table().await;
            }
            if self.random.random_bool(0.12) {
                self.redefine();
                // Whatever else keeps it from being planned is for the next run to tell.
                while self.relent_once().await.is_err_and(|refused| refused.is_none()) {}
            }
            if self.maintained {
                self.maintain_perhaps().await?;
            }
            if INCREMENTAL {
                self.meet_the_outside().await?;
            }
            if self.maintained && self.random.random_bool(0.2) {
                self.maintain_perhaps().await?;
            }
            match self.random.random_range(0..100) {
                0..6 => self.cancelled_run().await?,
                6..10 => self.killed_run().await?,
                10..22 if !self.broken => self.partial_run().await?,
                22..26 if INCREMENTAL => self.whole_run(true).await?,
                _ => {}
            }
            self.whole_run(false).await?;
            if self.random.random_bool(0.15) {
                self.trace.push("once more".to_owned());
                self.whole_run(false).await?;
            }
        }
        self.check_marks().await?;
        self.ask_windlass().await
    }

    /// Drops `strict` from stages over views where a plan refuses it.
    async fn relent(&mut self) -> Outcome {
        loop {
            match self.relent_once().await {
                Ok(()) => return Ok(()),
                Err(None) => {}
                Err(Some(message)) => return Err(format!("the project cannot be planned: {message}")),
            }
        }
    }

    /// Plans the project. If `strict` stands against it, drops that from one stage, and fails with nothing; else with why.
    async fn relent_once(&mut self) -> Result<(), Option<String>> {
        let project = self.pipeline.open();
        let Err(error) = self.arena.windlass.plan(&project, &RunOptions::default()).await else { return Ok(()) };
        let message = full_message(&error);
        let stage = message.split('`').nth(1).unwrap_or_default().to_owned();
        if error.code() != NOT_INCREMENTAL || !self.pipeline.relent(&stage) {
            return Err(Some(message));
        }
        self.trace.push(format!("{stage} is auto now: {message}"));
        self.coverage.refused += 1;
        Err(None)
    }

    async fn change_sources(&mut self) {
        for _ in 0..self.random.random_range(0..4) {
            let source = self.pipeline.sources.iter().choose(&mut self.random).unwrap();
            let reported = source.mutate(&mut self.random).await;
            self.trace.push(reported);
            self.dirty = true;
        }
    }

    /// Compacts the table of a stage behind Windlass's back.
    async fn optimize_a_table(&mut self) {
        let stage = self.pipeline.tables().choose(&mut self.random).unwrap();
        let folder = self.pipeline.table(stage);
        match open(&folder).await.optimize().await {
            Ok((_, metrics)) => {
                self.trace.push(format!("optimize {}: {} files gone", stage.name, metrics.num_files_removed));
                self.dirty = true;
            }
            // The library cannot write tables with deletion vectors.
            Err(error) => assert!(stage.merge != "rewrite", "optimize {}: {error}", stage.name),
        }
    }

    fn redefine(&mut self) {
        let (reported, changed) = self.pipeline.redefine(&mut self.random);
        self.trace.push(reported);
        self.settled.retain(|stage| !changed.contains(stage));
        self.dirty = true;
    }

    async fn whole_run(&mut self, refresh: bool) -> Outcome {
        let mut options = RunOptions::default();
        if refresh {
            self.trace.push("everything recomputed".to_owned());
            options.refresh.full.push(Refresh::EVERYTHING.to_owned());
            self.settled.clear();
            self.dirty = true;
        }
        self.checked_run(&options).await?;
        (self.dirty, self.broken) = (false, false);
        Ok(())
    }

    /// Starts a run and waits until it has ended in any way.
    async fn run(&self, options: &RunOptions) -> Outcome<RunRecord> {
        let project = self.pipeline.open();
        let mut tries = 0;
        loop {
            let handle = self.arena.windlass.run(&project, options).await.map_err(|error| full_message(&error))?;
            match handle.wait().await {
                // A process that another sequence starts, to kill it, may have the home for a moment.
                Err(error) if error.code() == HOME_IN_USE && tries < 240 => tries += 1,
                ended => {
                    return ended.map_err(|error| format!("the run did not take place: {}", full_message(&error)));
                }
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Runs a part of the pipeline on the existing tables.
    async fn partial_run(&mut self) -> Outcome {
        let stage = self.pipeline.tables().choose(&mut self.random).unwrap().name.clone();
        let selection = match self.random.random_range(0..3) {
            0 => stage,
            1 => format!("+{stage}"),
            _ => format!("{stage}+"),
        };
        // Stages that are omitted may have to be reused later although their inputs have moved on.
        self.dirty = true;
        self.checked_run(&RunOptions { select: vec![selection], ..RunOptions::default() }).await
    }

    async fn checked_run(&mut self, options: &RunOptions) -> Outcome {
        let record = self.run(options).await?;
        self.tell(&record);
        if record.status != RunStatus::Succeeded {
            return Err(format!("the run ended as {:?}", record.status));
        }
        self.check_committed(&record).await
    }

    /// The stages that have committed did so for a reason, and their tables contain the expected rows; the other tables
    /// are unchanged.
    async fn check_committed(&mut self, record: &RunRecord) -> Outcome {
        let committed = record.stages.iter().filter(|stage| stage.status == StageStatus::Committed);
        let committed: Vec<String> = committed.map(|stage| stage.stage.to_string()).collect();
        self.check_decisions(record, &committed).await?;
        let computed = self.expected.advance(&self.pipeline, &committed).await;
        self.check_keys(record, &computed)?;
        for stage in &committed {
            self.cursor_reset.remove(stage);
            self.foreign.remove(stage);
        }
        self.settled.extend(committed);
        self.check_tables().await
    }

    /// No table holds two rows of a key, none of an incremental stage a key that is null, and no stage failed unless its rows
    /// would have.
    fn check_keys(&mut self, record: &RunRecord, computed: &BTreeMap<String, Rows>) -> Outcome {
        for summary in &record.stages {
            let name = summary.stage.as_str();
            let Some(stage) = self.pipeline.stage(name) else { continue };
            let broken_key = computed.get(name).and_then(|rows| broken_key(rows, &stage.key, stage.wish));
            match (summary.status, broken_key) {
                (StageStatus::Committed, Some(key)) => {
                    return Err(format!("{name} was committed although {key}"));
                }
                (StageStatus::Failed, None) if self.foreign.contains(name) => {}
                (StageStatus::Failed, None) => return Err(format!("{name} failed although its keys are in order")),
                (StageStatus::Failed, Some(_)) => self.coverage.keys_refused += 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// Starts a run and stops it after some of its events.
    async fn cancelled_run(&mut self) -> Outcome {
        let after = self.random.random_range(0..14);
        let project = self.pipeline.open();
        let handle = self.arena.windlass.run(&project, &RunOptions::default()).await;
        let mut handle = handle.map_err(|error| full_message(&error))?;
        for _ in 0..after {
            handle.events.recv().await;
        }
        handle.cancel_token().cancel();
        let record = match handle.wait().await {
            Err(error) if error.code() == HOME_IN_USE => return Ok(()),
            ended => ended.map_err(|error| full_message(&error))?,
        };
        self.trace.push(format!("a run, cancelled after {after} events"));
        self.tell(&record);
        self.coverage.cancelled += u64::from(record.status == RunStatus::Cancelled);
        self.broke_off();
        if record.status == RunStatus::Failed { Err("a cancelled run failed".to_owned()) } else { Ok(()) }
    }

    /// Starts a run in a separate process and kills it after some of its events.
    async fn killed_run(&mut self) -> Outcome {
        let after = self.random.random_range(1..16);
        self.pipeline.open();
        let mut command = Command::new(binary());
        command.arg("--project").arg(&self.pipeline.dir).arg("--home").arg(&self.arena.home).args(["run", "--events"]);
        command.env_remove("WINDLASS_HOME").env_remove("WINDLASS_CLUSTER").stdout(Stdio::piped()).stderr(Stdio::null());
        let killed = tokio::task::spawn_blocking(move || {
            let mut process = command.spawn().unwrap();
            let lines = BufReader::new(process.stdout.take().unwrap()).lines().take(after).count();
            process.kill().unwrap();
            process.wait().unwrap();
            lines == after
        });
        let killed = killed.await.unwrap();
        self.coverage.killed += u64::from(killed);
        self.trace.push(format!("a run, killed after {after} events"));
        self.broke_off();
        Ok(())
    }

    /// Tables may now reflect the current or the previous state of the sources; the next complete run must cope with
    /// both.
    fn broke_off(&mut self) {
        (self.dirty, self.broken) = (true, true);
    }

    fn tell(&mut self, record: &RunRecord) {
        let mut reported = format!("run {} {}:", record.sequence.0, record.status.as_str());
        for stage in &record.stages {
            let version = stage.receipt.as_ref().map_or(0, |receipt| receipt.version.0);
            write!(reported, " {} {} v{version}", stage.stage, stage.status.as_str()).unwrap();
            if let Some(failure) = &stage.failure {
                write!(reported, " ({failure})").unwrap();
            }
        }
        self.trace.push(reported);
    }

    /// The run's own record of what it did: every stage committed, none under `strict` computed again without need,
    /// nothing done where nothing had changed.
    async fn check_decisions(&mut self, record: &RunRecord, ran: &[String]) -> Outcome {
        let home = Location::from_path(&self.arena.home).unwrap();
        let runs = local_runs(&home).await.map_err(|error| full_message(&error))?;
        let lineage = runs.bundles.lineage(&record.run_id).await.map_err(|error| full_message(&error))?;
        let lineage = lineage.unwrap_or_default().stages;
        let plan = runs.bundles.plan(&record.run_id).await.map_err(|error| full_message(&error))?.unwrap_or_default();
        for stage in record.stages.iter().filter(|_| record.status == RunStatus::Succeeded) {
            if stage.status != StageStatus::Committed {
                return Err(format!("{} is {} in a run that succeeded", stage.stage, stage.status.as_str()));
            }
        }
        for name in ran {
            let Some(of) = lineage.iter().find(|lineage| lineage.stage.as_str() == name) else {
                return Err(format!("{name} has no lineage"));
            };
            self.coverage.decided(of);
            let decided = plan.stages.iter().find(|decision| decision.stage.as_str() == name);
            let reason = decided.map_or("", |decision| decision.reason.as_str());
            self.trace.push(format!("  {name}: {}, {reason}, missed {:?}", how(of), of.reuse.missed));
            if INCREMENTAL {
                self.check_decision(name, of)?;
            }
        }
        Ok(())
    }

    fn check_decision(&self, name: &str, of: &StageLineage) -> Outcome {
        let stage = self.pipeline.stage(name).ok_or_else(|| format!("{name} is not a stage"))?;
        let may_be_full = self.cursor_reset.contains(name) || self.foreign.contains(name);
        if stage.wish == Wish::Strict
            && self.settled.contains(name)
            && !may_be_full
            && of.strategy == Some(Strategy::Full)
        {
            return Err(format!(
                "{name} is strict and was computed in full, with reason to reuse missed: {:?}",
                of.reuse.missed
            ));
        }
        if !self.dirty && !of.reuse.hit {
            return Err(format!("{name} was not reused although nothing had changed: {:?}", of.reuse.missed));
        }
        if of.reuse.hit && !self.settled.contains(name) && !self.broken {
            return Err(format!("{name} was reused although its definition had changed"));
        }
        Ok(())
    }

    /// Every table contains the expected rows.
    async fn check_tables(&mut self) -> Outcome {
        for stage in self.pipeline.tables() {
            let Some(expected) = self.expected.tables.get(&stage.name) else { continue };
            if self.foreign.contains(&stage.name) {
                continue;
            }
            let table = open(&self.pipeline.table(stage)).await;
            let actual = load(&table).await;
            let difference = difference(&expected.texts(&expected.schema), &actual.texts(&expected.schema));
            self.coverage.tables += 1;
            if let Some(difference) = difference {
                return Err(format!("{} v{:?}: {difference}", stage.name, table.version()));
            }
        }
        Ok(())
    }

    /// The same tables, read through Windlass.
    async fn ask_windlass(&self) -> Outcome {
        let project: Project = self.pipeline.open();
        for stage in self.pipeline.tables() {
            let expected = &self.expected.tables[&stage.name];
            let sql = format!("SELECT * FROM {}", stage.name);
            let rows = self.arena.windlass.query(&project, &sql, &QueryOptions::default()).await;
            let batches = rows.map_err(|error| full_message(&error))?.collect().await;
            let batches = batches.map_err(|error| full_message(&error))?;
            let actual = Rows { schema: Arc::clone(&expected.schema), batches };
            let difference = difference(&expected.texts(&expected.schema), &actual.texts(&expected.schema));
            if let Some(difference) = difference {
                return Err(format!("{}, as Windlass reads it: {difference}", stage.name));
            }
        }
        Ok(())
    }
}

fn how(of: &StageLineage) -> &'static str {
    match of.strategy {
        _ if of.reuse.hit => "reused",
        Some(strategy) => strategy.as_str(),
        None => "no strategy",
    }
}
