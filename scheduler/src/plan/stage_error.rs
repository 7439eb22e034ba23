//! Why a stage cannot be planned, while nothing says yet in which files its problems are shown.

use windlass_engine::session::SessionError;
use windlass_project::spec::{Problem, Problems, ProjectFiles};

use super::error::PlanError;

/// Why a stage cannot be planned.
#[derive(Debug)]
pub enum StageError {
    /// It does not fit what it reads, its contract or itself.
    Problems {
        /// One problem.
        first: Problem,
        /// The others.
        more: Vec<Problem>,
    },
    /// Anything else.
    Plan(PlanError),
}

impl StageError {
    /// The error with the files that its problems point into.
    pub fn in_files(self, files: &ProjectFiles) -> PlanError {
        match self {
            Self::Problems { first, more } => {
                let all = std::iter::once(first.clone()).chain(more).collect();
                Problems::check(all, files).err().unwrap_or_else(|| Problems::one(first, files)).into()
            }
            Self::Plan(error) => error,
        }
    }

    /// Nothing, if there are no problems.
    ///
    /// # Errors
    /// [`StageError::Problems`] if there are some.
    pub(super) fn check(problems: Vec<Problem>) -> Result<(), Self> {
        let mut problems = problems.into_iter();
        match problems.next() {
            Some(first) => Err(Self::Problems { first, more: problems.collect() }),
            None => Ok(()),
        }
    }
}

impl From<Problem> for StageError {
    fn from(first: Problem) -> Self {
        Self::Problems { first, more: Vec::new() }
    }
}

impl From<PlanError> for StageError {
    fn from(error: PlanError) -> Self {
        Self::Plan(error)
    }
}

impl From<SessionError> for StageError {
    fn from(error: SessionError) -> Self {
        Self::Plan(error.into())
    }
}
