//! One process, measured: wall time, processor time and peak memory.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use wait4::Wait4;

use super::Outcome;

/// What one process took, and what it said.
pub(crate) struct Measured {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Seconds of all cores together, in the program and in the kernel.
    pub(crate) cpu: f64,
    /// The most bytes that were resident at a time.
    pub(crate) peak: u64,
    /// What it wrote to stdout.
    pub(crate) stdout: String,
}

/// Runs `command` to its end; what it says goes to files below `folder`.
///
/// # Errors
/// With the end of what it wrote to stderr, if it fails.
pub(crate) fn measure(mut command: Command, folder: &Path) -> Outcome<Measured> {
    let (out, err) = (folder.join("stdout"), folder.join("stderr"));
    command.stdout(File::create(&out)?).stderr(File::create(&err)?);
    let program = command.get_program().to_string_lossy().into_owned();
    let started = Instant::now();
    let child = command.spawn().map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    let ended = child.wait4()?;
    let wall = started.elapsed().as_secs_f64();
    if !ended.status.success() {
        let said = std::fs::read_to_string(&err)?;
        let lines: Vec<&str> = said.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        return Err(format!("`{program}` ended with {}:\n{tail}", ended.status).into());
    }
    let usage = ended.rusage;
    Ok(Measured {
        wall,
        cpu: (usage.utime + usage.stime).as_secs_f64(),
        peak: usage.maxrss,
        stdout: std::fs::read_to_string(&out)?,
    })
}

/// Has the kernel write out what the run before left in memory, so that the next run does not pay for it.
pub(crate) fn settle() -> Outcome {
    Command::new("sync").status()?;
    Ok(())
}
