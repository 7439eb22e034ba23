//! Why a process ends with an error.

use std::fmt;
use std::process::ExitCode;

use windlass_base::error::{Coded, full_message};

use super::ProcessError;

/// Why a process ends with an error: any coded error, and the exit code.
pub struct ProcessFailure {
    error: Box<dyn Coded>,
    usage: bool,
}

impl ProcessFailure {
    /// A failure that is not about settings.
    pub fn new(error: impl Coded + 'static) -> Self {
        Self { error: Box::new(error), usage: false }
    }

    /// 2 for wrong arguments or settings, else 1.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(if self.usage { 2 } else { 1 })
    }
}

impl From<ProcessError> for ProcessFailure {
    fn from(error: ProcessError) -> Self {
        let usage = error.is_usage();
        Self { error: Box::new(error), usage }
    }
}

impl fmt::Display for ProcessFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.error.code(), full_message(self.error.as_ref()))?;
        match self.error.help() {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ProcessFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
