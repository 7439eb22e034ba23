//! Runs one pipeline with either side.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use tempfile::TempDir;
use windlass_base::ids::RunId;
use windlass_evidence::artifact::{LineageRecord, RunRecord};
use windlass_tests::plain::PlainReport;

use super::Outcome;
use super::measure::{Measured, measure, settle};
use super::plain::Engine;

/// Who runs a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// `windlass run`, an embedded cluster.
    Windlass,
    /// `windlass-bench plain`.
    Plain,
}

/// A project, and what it reads.
pub(crate) struct Pipeline {
    /// Its name in the report.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) project: PathBuf,
    /// Locations of its sources in place of the project's own.
    pub(crate) sources: Vec<(String, String)>,
}

/// The programs of both sides.
pub(crate) struct Programs {
    pub(crate) windlass: PathBuf,
    pub(crate) plain: PathBuf,
    pub(crate) engine: Engine,
}

/// The result of one run.
pub(crate) struct Sample {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    pub(crate) peak: u64,
    pub(crate) stages: Vec<StageSample>,
    /// The run, if it was one of Windlass's.
    pub(crate) run_id: Option<RunId>,
}

/// The result of one stage of a run.
#[derive(Clone)]
pub(crate) struct StageSample {
    pub(crate) stage: String,
    /// Rows written; none for a view.
    pub(crate) rows: Option<u64>,
    pub(crate) seconds: f64,
}

impl Programs {
    /// This program and `windlass`, which stands next to it unless it is given.
    pub(crate) fn find(windlass: Option<&Path>, engine: Engine) -> Outcome<Self> {
        let plain = std::env::current_exe()?;
        let windlass = windlass.map_or_else(|| plain.with_file_name("windlass"), Path::to_path_buf);
        Ok(Self { windlass, plain, engine })
    }

    /// Runs `pipeline` once, into a separate folder below `work` that is removed afterwards.
    pub(crate) fn run(&self, side: Side, pipeline: &Pipeline, work: &Path) -> Outcome<Sample> {
        let folder = tempfile::Builder::new().prefix("run").tempdir_in(work)?;
        let home = folder.path().join("home");
        fs::create_dir(&home)?;
        match side {
            Side::Windlass => self.run_at(pipeline, &home, folder.path()),
            Side::Plain => {
                let Measured { wall, cpu, peak, stdout } = run(self.plain(pipeline, &home), pipeline, folder.path())?;
                Ok(Sample { wall, cpu, peak, stages: plain_stages(&stdout)?, run_id: None })
            }
        }
    }

    /// Runs `pipeline` with Windlass at the home `home`, whatever it contains; its output goes to files below `folder`.
    pub(crate) fn run_at(&self, pipeline: &Pipeline, home: &Path, folder: &Path) -> Outcome<Sample> {
        let Measured { wall, cpu, peak, stdout } = run(self.windlass(pipeline, home), pipeline, folder)?;
        let Printed { run } = serde_json::from_str(&stdout)?;
        let run_id = Some(run.run_id.clone());
        Ok(Sample { wall, cpu, peak, stages: windlass_stages(run), run_id })
    }

    fn windlass(&self, pipeline: &Pipeline, home: &Path) -> Command {
        let mut command = Command::new(&self.windlass);
        command.args([OsStr::new("--project"), pipeline.project.as_os_str(), OsStr::new("run")]);
        command.args([OsStr::new("--home"), home.as_os_str(), OsStr::new("--output"), OsStr::new("json")]);
        command
    }

    fn plain(&self, pipeline: &Pipeline, out: &Path) -> Command {
        let mut command = Command::new(&self.plain);
        command.args([OsStr::new("plain"), OsStr::new("--project"), pipeline.project.as_os_str()]);
        command.args([OsStr::new("--out"), out.as_os_str(), OsStr::new("--engine"), OsStr::new(self.engine.name())]);
        command
    }
}

/// Runs a side's command, once what others wrote has reached the disk.
fn run(mut command: Command, pipeline: &Pipeline, folder: &Path) -> Outcome<Measured> {
    settle()?;
    for (name, location) in &pipeline.sources {
        command.arg("--source").arg(format!("{name}={location}"));
    }
    measure(command, folder)
}

/// A folder for everything that a benchmark writes, inside `folder` if given; it is removed when the value is dropped.
pub(crate) fn work_folder(folder: Option<&Path>) -> Outcome<TempDir> {
    Ok(match folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    })
}

/// How each stage of a run was computed, according to the run's bundle: a strategy, `reuse`, or nothing if unknown.
pub(crate) fn strategies(home: &Path, run_id: &RunId) -> Outcome<Vec<(String, String)>> {
    let file = home.join("runs").join(run_id.as_str()).join("lineage.json");
    let lineage: LineageRecord = serde_json::from_slice(&fs::read(file)?)?;
    let how = lineage.stages.into_iter().map(|stage| {
        let how = match stage.strategy {
            _ if stage.reuse.hit => "reuse",
            Some(strategy) => strategy.as_str(),
            None => "–",
        };
        (stage.stage.to_string(), how.to_owned())
    });
    Ok(how.collect())
}

fn plain_stages(stdout: &str) -> Outcome<Vec<StageSample>> {
    let report: PlainReport = serde_json::from_str(stdout)?;
    let stages = report.stages.into_iter().map(|stage| StageSample {
        stage: stage.stage.to_string(),
        rows: (stage.files > 0).then_some(stage.rows),
        seconds: stage.seconds,
    });
    Ok(stages.collect())
}

/// What `windlass run --output json` prints, as far as it is needed here.
#[derive(Deserialize)]
struct Printed {
    run: RunRecord,
}

fn windlass_stages(run: RunRecord) -> Vec<StageSample> {
    let stages = run.stages.into_iter().map(|stage| StageSample {
        stage: stage.stage.to_string(),
        rows: stage.receipt.map(|receipt| receipt.rows),
        seconds: stage.duration_ms as f64 / 1000.0,
    });
    stages.collect()
}
