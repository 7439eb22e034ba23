//! Handles the signals that end a process.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::ProcessError;

/// SIGTERM and SIGINT: the first asks the process to finish, the second ends it.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts listening.
    ///
    /// # Errors
    /// [`ProcessError::System`].
    pub fn listen() -> Result<Self, ProcessError> {
        let failed = |source| ProcessError::System { what: "listen for signals", source };
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        })
    }

    /// Waits for a signal and returns its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Ends the process immediately at the next signal.
    pub fn end_at_next(mut self) {
        tokio::spawn(async move {
            let signal = self.next().await;
            tracing::warn!(signal, "second request: stopping at once");
            std::process::exit(1);
        });
    }
}
