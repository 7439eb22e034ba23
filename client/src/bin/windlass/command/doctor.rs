//! `windlass doctor`: checks the machine, the home and the sources for anything that would stop a run.
//!
//! ```text
//! machine: versions, cores, memory     environment: credentials that are set, by name
//! home: an object written, read and removed; the clock of its store; room on the disk
//! sources: each one's place listed     cluster: asked for its version
//! ```

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use futures::StreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use uuid::Uuid;
use windlass_base::error::full_message;
use windlass_base::secrets::{credential_variables, without_secrets};
use windlass_client::document::{DoctorCheck, Verdict};
use windlass_client::{Project, Windlass};
use windlass_project::spec::source::SourceKind;
use windlass_storage::{Location, StorageError, Stores};

use super::open_project;
use crate::args::{BindArgs, Global, Output};
use crate::failure::CommandError;
use crate::output::{self, Layout, Tone, wrap};

/// The timeout after which a store counts as unreachable.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How far the clocks of a store and of this machine may differ: signed requests are refused after a few minutes.
const CLOCK_TOLERANCE_SECONDS: i64 = 30;
/// Free bytes below which a disk counts as nearly full.
const LOW_DISK_BYTES: u64 = 2 << 30;
/// How far the findings are indented, behind the verdicts.
const INDENT: usize = 8;

fn ok(what: impl Into<String>, found: impl Into<String>) -> DoctorCheck {
    DoctorCheck { what: what.into(), verdict: Verdict::Ok, found: found.into(), help: None }
}

fn not_ok(what: impl Into<String>, verdict: Verdict, found: impl AsRef<str>, help: &'static str) -> DoctorCheck {
    let found = without_secrets(found.as_ref()).into_owned();
    DoctorCheck { what: what.into(), verdict, found, help: Some(help) }
}

/// Runs all checks, prints the findings, and fails if something would stop a run.
pub(crate) async fn run(global: &Global, args: &BindArgs) -> Result<(), CommandError> {
    let mut checks = machine();
    match open_project(global, args) {
        Ok(project) => {
            checks.push(ok("project", project.dir.display().to_string()));
            match &global.cluster {
                // Its home and the sources are accessed by the cluster, not here.
                Some(url) => checks.push(cluster(url).await),
                None => {
                    checks.extend(home(global, &project).await);
                    checks.extend(sources(&project).await);
                }
            }
        }
        Err(error) => {
            let found = full_message(&error);
            let help = "run `windlass check` for details; outside a project, name one with `--project`";
            checks.push(not_ok("project", Verdict::Warning, found, help));
        }
    }
    print(global, &checks)?;
    let failed = checks.iter().filter(|check| check.verdict == Verdict::Failed).count();
    if failed > 0 { Err(CommandError::Unwell { failed }) } else { Ok(()) }
}

fn print(global: &Global, checks: &[DoctorCheck]) -> Result<(), CommandError> {
    if global.output == Output::Json {
        return Ok(output::json(&checks)?);
    }
    let layout = Layout::stdout();
    let mut text = String::new();
    for check in checks {
        let (tone, sign) = match check.verdict {
            Verdict::Ok => (Tone::Good, "ok"),
            Verdict::Warning => (Tone::Notable, "warning"),
            Verdict::Failed => (Tone::Bad, "FAILED"),
        };
        let mut before = format!("{}{}", layout.paint(tone, sign), " ".repeat(INDENT - sign.len()));
        let room = layout.width.map_or(usize::MAX, |width| width.saturating_sub(INDENT).max(1));
        let lines = wrap(&format!("{}: {}", check.what, check.found), room);
        for line in lines.into_iter().chain(check.help.iter().flat_map(|help| wrap(help, room))) {
            text.push_str(&format!("{before}{line}\n"));
            before = " ".repeat(INDENT);
        }
    }
    Ok(output::text(&text)?)
}

/// Checks that need no project.
fn machine() -> Vec<DoctorCheck> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = windlass_process::memory::process_memory();
    let credentials = credential_variables();
    vec![
        ok("windlass", env!("CARGO_PKG_VERSION")),
        ok("datafusion", datafusion::DATAFUSION_VERSION),
        ok("deltalake", windlass_delta::library_version()),
        ok("cores", cores.to_string()),
        match memory {
            Some(bytes) => ok("memory", output::bytes(bytes)),
            None => not_ok(
                "memory",
                Verdict::Warning,
                "neither a limit nor the machine's memory can be read",
                "set `session.memory_limit_bytes`, so that queries spill in time",
            ),
        },
        ok(
            "credentials in the environment",
            if credentials.is_empty() { "none".to_owned() } else { credentials.join(", ") },
        ),
    ]
}

/// Checks the home, as used by a run, and the disks.
async fn home(global: &Global, project: &Project) -> Vec<DoctorCheck> {
    let location = match project.home(global.home.as_deref()) {
        Ok(location) => location,
        Err(error) => {
            let help = "correct `--home`, WINDLASS_HOME or the project's `home`";
            return vec![not_ok("home", Verdict::Failed, full_message(&error), help)];
        }
    };
    let mut checks = Vec::new();
    match in_time(check_read_after_write(&location)).await {
        Ok(seconds_apart) => {
            checks.push(ok("home", format!("{location} can be written and read")));
            let found = format!("{seconds_apart} s between this machine and the home's store");
            checks.push(if seconds_apart.abs() <= CLOCK_TOLERANCE_SECONDS {
                ok("clock", found)
            } else {
                not_ok("clock", Verdict::Warning, found, "set this machine's clock, for example with NTP")
            });
        }
        Err(why) => {
            let help = "check the location, the permission to write there, and the credentials in the environment";
            checks.push(not_ok("home", Verdict::Failed, format!("{location}: {why}"), help));
        }
    }
    let spill = project.graph.session.spill_dir.clone().unwrap_or_else(std::env::temp_dir);
    checks.extend(location.local_path().and_then(|path| disk("disk of the home", &path)));
    checks.extend(disk("disk that queries spill to", &spill));
    checks
}

/// Writes a temporary object into the home, reads it back and removes it. Returns the seconds by which the store's
/// clock is ahead of this machine's.
async fn check_read_after_write(home: &Location) -> Result<i64, String> {
    let place = home.join(&format!("doctor-{}", Uuid::new_v4()));
    let store = Stores::default().store(home).map_err(|error| full_message(&error))?;
    let path = place.path().map_err(|error| full_message(&error))?;
    let describe = |error: object_store::Error| error.to_string();
    store.put(&path, PutPayload::from_static(b"doctor")).await.map_err(describe)?;
    let written = store.head(&path).await.map(|meta| meta.last_modified);
    store.delete(&path).await.map_err(describe)?;
    Ok((written.map_err(describe)? - Utc::now()).num_seconds())
}

/// The free space of a disk, if known.
fn disk(what: &str, path: &Path) -> Option<DoctorCheck> {
    // The folder may not exist yet.
    let existing = path.ancestors().find(|path| path.exists())?;
    let stat = rustix::fs::statvfs(existing).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let found = format!("{} free at {}", output::bytes(free), existing.display());
    Some(if free >= LOW_DISK_BYTES {
        ok(what, found)
    } else {
        not_ok(what, Verdict::Warning, found, "free some space: a run fails when the disk is full")
    })
}

/// Checks that the location of each source can be listed; sources without a location are omitted.
async fn sources(project: &Project) -> Vec<DoctorCheck> {
    let mut checks = Vec::new();
    for (name, source) in &project.graph.sources {
        // The location of a custom loader has its own meaning.
        let written = match &source.kind {
            SourceKind::Delta(source) => &source.location,
            SourceKind::Listing(source) => &source.location,
            SourceKind::TextFiles(source) => &source.location,
            SourceKind::Rows(_) | SourceKind::Custom(_) => continue,
        };
        let what = format!("source {name}");
        let location = Location::parse(written, &project.dir);
        let found = match &location {
            Ok(location) => in_time(first_object(location)).await,
            Err(error) => Err(full_message(error)),
        };
        let place = location.map_or_else(|_| written.clone(), |location| location.to_string());
        checks.push(match found {
            Ok(true) => ok(what, format!("{place} can be listed")),
            Ok(false) => {
                let help = "check the location: nothing is there";
                not_ok(what, Verdict::Failed, format!("{place} is empty"), help)
            }
            Err(why) => {
                let help = "check the location, the permission to read it, and the credentials in the environment";
                not_ok(what, Verdict::Failed, format!("{place}: {why}"), help)
            }
        });
    }
    checks
}

/// Whether there is anything at a location.
async fn first_object(location: &Location) -> Result<bool, String> {
    let describe = |error: StorageError| full_message(&error);
    let store = Stores::default().store(location).map_err(describe)?;
    let path = location.path().map_err(describe)?;
    if let Some(first) = store.list(Some(&path)).next().await {
        return first.map(|_| true).map_err(|error| error.to_string());
    }
    // A location may be one file.
    match store.head(&path).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

async fn cluster(url: &str) -> DoctorCheck {
    match in_time(async { Windlass::connect(url).await.map_err(|error| full_message(&error)) }).await {
        Ok(windlass) => {
            windlass.stop().await;
            ok("cluster", format!("{url} answers"))
        }
        Err(why) => {
            let help = "check the address, and that the scheduler runs";
            not_ok("cluster", Verdict::Failed, why, help)
        }
    }
}

/// The result of `work`, or a timeout.
async fn in_time<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = format!("no answer within {} s", TIMEOUT.as_secs());
    tokio::time::timeout(TIMEOUT, work).await.unwrap_or(Err(late))
}
