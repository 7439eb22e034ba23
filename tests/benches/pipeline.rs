//! One pipeline, run by either side.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use windlass_shared::artifact::RunRecord;
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

/// What one run came to.
pub(crate) struct Sample {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    pub(crate) peak: u64,
    pub(crate) stages: Vec<StageSample>,
}

/// What one stage of a run came to.
#[derive(Clone)]
pub(crate) struct StageSample {
    pub(crate) stage: String,
    /// Rows written; none for a view.
    pub(crate) rows: Option<u64>,
    pub(crate) seconds: f64,
}

impl Programs {
    /// Runs `pipeline` once, into a folder of its own below `work` that is gone afterwards.
    pub(crate) fn run(&self, side: Side, pipeline: &Pipeline, work: &Path) -> Outcome<Sample> {
        let folder = tempfile::Builder::new().prefix("run").tempdir_in(work)?;
        let home = folder.path().join("home");
        fs::create_dir(&home)?;
        settle()?;
        let mut command = match side {
            Side::Windlass => self.windlass(pipeline, &home),
            Side::Plain => self.plain(pipeline, &home),
        };
        for (name, location) in &pipeline.sources {
            command.arg("--source").arg(format!("{name}={location}"));
        }
        let measured = measure(command, folder.path())?;
        let stages = match side {
            Side::Windlass => windlass_stages(&measured.stdout)?,
            Side::Plain => plain_stages(&measured.stdout)?,
        };
        let Measured { wall, cpu, peak, .. } = measured;
        Ok(Sample { wall, cpu, peak, stages })
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

fn windlass_stages(stdout: &str) -> Outcome<Vec<StageSample>> {
    let printed: Printed = serde_json::from_str(stdout)?;
    let stages = printed.run.stages.into_iter().map(|stage| StageSample {
        stage: stage.stage.to_string(),
        rows: stage.receipt.map(|receipt| receipt.rows),
        seconds: stage.duration_ms as f64 / 1000.0,
    });
    Ok(stages.collect())
}
