//! Describes the machine of the measurements.

use std::fs;
use std::path::Path;

/// Machine, kernel, build profile and engine versions, one line each.
pub(crate) fn describe() -> String {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kib = field("/proc/meminfo", "MemTotal").and_then(|text| text.trim_end_matches(" kB").parse::<f64>().ok());
    let memory = kib.map_or_else(|| "unknown".to_owned(), |kib| format!("{:.1} GiB", kib / 1024.0 / 1024.0));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "- machine: {cpu}, {cores} cores, {memory} of memory, Linux {}\n- build: profile `{}`\n- engine: DataFusion {}, \
         deltalake {}\n",
        kernel.trim(),
        profile(),
        datafusion::DATAFUSION_VERSION,
        deltalake::crate_version(),
    )
}

/// The value behind `name :` in a file of the kernel.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The profile this program was built with: the name of the folder that it is in.
fn profile() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    folder.unwrap_or_else(|| "unknown".to_owned()).replace("debug", "dev")
}
