//! Runs the fixtures of a project on the embedded engine: given rows become tables, the stages in between run, and
//! their tables are compared with the expected rows.
//!
//! ```no_run
//! use windlass_client::fixture_runner::{FixtureOptions, Fixtures};
//!
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! let fixtures = Fixtures::open("pipelines/sales".as_ref(), None)?;
//! let reports = fixtures.run(&FixtureOptions::default(), |report| print!("{report}")).await?;
//! assert!(reports.iter().all(|report| report.passed));
//! # Ok(())
//! # }
//! ```

mod error;
mod inputs;
mod run;

use std::fs;
use std::path::{Path, PathBuf};

pub use error::FixtureError;
use windlass_base::config::SessionSettings;
use windlass_base::suggest::did_you_mean;
pub use windlass_project::fixture_tests::{Finding, FindingKind, Fixture, FixtureReport};
use windlass_project::fixture_tests::{check_with_fixtures, name_matches};
use windlass_project::spec::ProjectFiles;
use windlass_storage::Location;

use crate::embedded::EmbeddedConfig;
use crate::error::ClientError;
use crate::project::{Project, load_project_with_fixtures};
use crate::windlass::Windlass;

/// The number of partitions for fixtures: enough to redistribute rows, and few for speed.
const PARTITIONS: usize = 2;

/// A project and its fixtures.
#[derive(Debug, Clone)]
pub struct Fixtures {
    /// The project without fixtures.
    pub project: Project,
    /// The fixtures in the order of their files.
    pub list: Vec<Fixture>,
    /// The texts that the fixtures point into.
    files: ProjectFiles,
}

/// Which fixtures are run, and how.
#[derive(Debug, Clone, Default)]
pub struct FixtureOptions {
    /// Globs of names, one of which a fixture must match; all fixtures if empty.
    pub names: Vec<String>,
    /// End at the first fixture that fails.
    pub fail_fast: bool,
    /// Keep the tables and bundles, in a folder that each report names.
    pub keep: bool,
}

impl Fixtures {
    /// Reads the project in `dir` with its fixtures and applies `target`.
    ///
    /// # Errors
    /// [`ClientError::Load`] if the files cannot be read, [`ClientError::Project`] with every problem in them.
    pub fn open(dir: &Path, target: Option<&str>) -> Result<Self, ClientError> {
        let files = load_project_with_fixtures(dir)?;
        let (_, list) = check_with_fixtures(&files)?;
        let project = Project::from_files(&files, dir, target, &[])?;
        Ok(Self { project, list, files })
    }

    /// Runs fixtures one after the other, each in a separate folder below the temporary one, and reports each when it
    /// is done. Nothing in the project is written, and its sources are not read.
    ///
    /// # Errors
    /// [`FixtureError::NoMatch`] if no fixture has such a name, and errors that prevent fixtures from running at all.
    pub async fn run(
        &self,
        options: &FixtureOptions,
        mut on_report: impl FnMut(&FixtureReport),
    ) -> Result<Vec<FixtureReport>, ClientError> {
        let chosen = self.chosen(&options.names)?;
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let folder = Folder::create(options.keep)?;
        let home = Location::from_path(&folder.path.join("home"))?;
        let session = SessionSettings { target_partitions: PARTITIONS, ..self.project.graph.session.clone() };
        let config = EmbeddedConfig { tells_lineage: false, ..EmbeddedConfig::new(home, session) };
        let windlass = Windlass::embedded(config).await?;
        let mut reports = Vec::new();
        let mut outcome = Ok(());
        for (number, fixture) in chosen.into_iter().enumerate() {
            let dir = folder.path.join(format!("{number}-{}", folder_name(&fixture.name)));
            match run::run(&windlass, &self.project.graph, &self.files, fixture, number, &dir).await {
                Ok(mut report) => {
                    report.kept = options.keep.then(|| dir.display().to_string());
                    on_report(&report);
                    reports.push(report);
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
            if options.fail_fast && reports.last().is_some_and(|report| !report.passed) {
                break;
            }
        }
        windlass.stop().await;
        outcome.map(|()| reports)
    }

    fn chosen(&self, names: &[String]) -> Result<Vec<&Fixture>, FixtureError> {
        for wanted in names {
            if !self.list.iter().any(|fixture| name_matches(wanted, &fixture.name)) {
                let help = did_you_mean(wanted, "there are", self.list.iter().map(|fixture| fixture.name.as_str()));
                return Err(FixtureError::NoMatch { wanted: wanted.clone(), help });
            }
        }
        let is_chosen =
            |fixture: &&Fixture| names.is_empty() || names.iter().any(|wanted| name_matches(wanted, &fixture.name));
        Ok(self.list.iter().filter(is_chosen).collect())
    }
}

/// A name without characters that have a meaning in paths.
fn folder_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' }).take(60).collect()
}

/// A temporary folder, which is removed when this is dropped unless it is to be kept.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn create(keep: bool) -> Result<Self, FixtureError> {
        let path = std::env::temp_dir().join(format!("windlass-test-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir_all(&path).map_err(|source| FixtureError::Folder { path: path.clone(), source })?;
        Ok(Self { path, keep })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            // Leftovers are in the system's temporary folder.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
