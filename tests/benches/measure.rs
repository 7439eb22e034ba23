//! Measures a process: wall time, CPU time and peak memory.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use wait4::Wait4;

use super::Outcome;

/// The resource usage of a process, and its output.
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
    let peak = Peak::follow(child.id());
    let ended = child.wait4()?;
    let wall = started.elapsed().as_secs_f64();
    let peak = peak.end();
    if !ended.status.success() {
        let printed = std::fs::read_to_string(&err)?;
        let lines: Vec<&str> = printed.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        return Err(format!("`{program}` ended with {}:\n{tail}", ended.status).into());
    }
    let usage = ended.rusage;
    Ok(Measured { wall, cpu: (usage.utime + usage.stime).as_secs_f64(), peak, stdout: std::fs::read_to_string(&out)? })
}

/// The most memory of a process, looked at while it runs. What the kernel accounts to it at its end counts the memory of
/// the process that started it as well.
struct Peak {
    ended: Arc<AtomicBool>,
    looking: JoinHandle<u64>,
}

impl Peak {
    fn follow(process: u32) -> Self {
        const PERIOD: Duration = Duration::from_millis(20);
        let ended = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&ended);
        let looking = thread::spawn(move || {
            let mut most = 0;
            while !over.load(Ordering::Relaxed) {
                most = most.max(resident(process).unwrap_or_default());
                thread::sleep(PERIOD);
            }
            most
        });
        Self { ended, looking }
    }

    /// Bytes.
    fn end(self) -> u64 {
        self.ended.store(true, Ordering::Relaxed);
        self.looking.join().unwrap_or_default()
    }
}

/// The most bytes of a process that were resident at a time so far.
fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Makes the kernel write the dirty pages of the previous run, so that the next run does not pay for it.
pub(crate) fn settle() -> Outcome {
    Command::new("sync").status()?;
    Ok(())
}
