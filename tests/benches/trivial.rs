//! The fixed cost of a stage: projects with one trivial stage and with many.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::Outcome;
use super::pipeline::Pipeline;

/// What a trivial stage does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// It makes a row from nothing and commits it.
    Constant,
    /// It reads the row of the stage before and commits another.
    Chain,
}

impl Shape {
    pub(crate) const ALL: [Self; 2] = [Self::Constant, Self::Chain];

    /// What it does, for the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Constant => "a row from nothing",
            Self::Chain => "a row from the stage before",
        }
    }

    fn sql(self, number: usize) -> String {
        match (self, number) {
            (Self::Constant, _) | (Self::Chain, 1) => "SELECT CAST(1 AS BIGINT) AS n\n".to_owned(),
            (Self::Chain, _) => format!("SELECT n + 1 AS n FROM stage_{}\n", number - 1),
        }
    }
}

/// Writes a project of `count` trivial stages, run one after the other, below `folder`.
pub(crate) fn project(shape: Shape, count: usize, folder: &Path) -> Outcome<Pipeline> {
    let project: PathBuf = folder.join(format!("{shape:?}_{count}").to_lowercase());
    let stages = project.join("stages");
    fs::create_dir_all(&stages)?;
    let mut manifest = String::new();
    writeln!(manifest, "name: trivial\nrun: {{ max_parallel_stages: 1 }}")?;
    fs::write(project.join("windlass.yaml"), manifest)?;
    for number in 1..=count {
        fs::write(stages.join(format!("stage_{number}.sql")), shape.sql(number))?;
    }
    Ok(Pipeline { name: format!("{count} × {}", shape.name()), project, sources: Vec::new() })
}
