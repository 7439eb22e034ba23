//! Panics as errors: a report that can be sent, a code, and no backtrace on the terminal.
//!
//! ```text
//! panic ─hook of install→ PanicReport: message, place, a file with the backtrace ─tell→ log
//!       └─ unwinds to catch → PanicError → exit code
//! ```
//!
//! Libraries that panic on malformed input are called through [`expected`]: such a panic is no defect and not reported.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use parking_lot::Mutex;

use crate::coded;
use crate::secrets::without_secrets;

/// How many reports a process writes: one defect can panic again and again.
const MAX_REPORTS: usize = 5;

/// The exit code of a process that ends because of a panic.
pub const EXIT_CODE: u8 = 70;

/// A panic, as it is told and written to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanicReport {
    /// The message of the panic.
    pub message: String,
    /// The source file and line.
    pub place: String,
    /// The file with the report; none if it could not be written, or if there are enough already.
    pub file: Option<PathBuf>,
}

/// A panic that ended the work of the process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a defect of Windlass: {message}")]
pub struct PanicError {
    /// The message of the panic.
    message: String,
    /// The file with the report, if there is one.
    file: Option<PathBuf>,
}

coded! {
    struct PanicError { file } => "WL0720", match file {
        Some(file) => format!("please report it with {}, which says where it happened", file.display()),
        None => "please report it with the project and the command".to_owned(),
    };
}

impl From<PanicReport> for PanicError {
    fn from(report: PanicReport) -> Self {
        Self { message: report.message, file: report.file }
    }
}

impl PanicError {
    /// The file with the report, if there is one.
    pub fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }
}

/// The last panic of the process.
static LAST: Mutex<Option<PanicReport>> = Mutex::new(None);
/// How many reports this process has written.
static WRITTEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread calls something that may panic.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// The file with the report of the last panic of this process, if there is one.
pub fn last_file() -> Option<PathBuf> {
    LAST.lock().as_ref().and_then(|report| report.file.clone())
}

/// Runs `work`, which may panic on malformed input.
///
/// # Errors
/// The payload of the panic.
pub fn expected<T>(work: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    let before = EXPECTED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    EXPECTED.set(before);
    outcome
}

/// Awaits `work`, which may panic on malformed input.
///
/// # Errors
/// The payload of the panic.
pub async fn expected_in<F: Future>(work: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(move |context| match expected(|| work.as_mut().poll(context)) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(payload) => Poll::Ready(Err(payload)),
    })
    .await
}

/// Makes every panic of this process a report, which is written to the folder of temporary files and given to `tell`. The
/// backtrace is printed only if `RUST_BACKTRACE` asks for it.
pub fn install(program: &'static str, version: &'static str, tell: fn(&PanicReport)) {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if EXPECTED.get() {
            return;
        }
        let report = report(program, version, info);
        tell(&report);
        *LAST.lock() = Some(report);
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            default(info);
        }
    }));
}

/// Runs `work`. A panic of it is an error.
///
/// # Errors
/// [`PanicError`] if `work` panicked.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, PanicError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let last = LAST.lock().clone();
        let file = last.and_then(|report| report.file);
        PanicError { message: message_of(payload.as_ref()), file }
    })
}

fn report(program: &str, version: &str, info: &PanicHookInfo<'_>) -> PanicReport {
    let message = message_of(info.payload());
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let file = (WRITTEN.fetch_add(1, Ordering::Relaxed) < MAX_REPORTS)
        .then(|| write_report(program, &text(program, version, &message, &place)))
        .flatten();
    PanicReport { message, place, file }
}

/// The report as text.
fn text(program: &str, version: &str, message: &str, place: &str) -> String {
    let mut text = String::new();
    let arguments: Vec<String> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let thread = std::thread::current().name().unwrap_or("without a name").to_owned();
    // Writing to a string cannot fail.
    let _ =
        writeln!(text, "{program} {version} panicked\n\nmessage    {message}\nplace      {place}\nthread     {thread}");
    let _ = writeln!(text, "system     {} {}", std::env::consts::OS, std::env::consts::ARCH);
    let _ = writeln!(text, "arguments  {}\n\n{}", arguments.join(" "), Backtrace::force_capture());
    without_secrets(&text).into_owned()
}

fn write_report(program: &str, text: &str) -> Option<PathBuf> {
    // The folder may be everybody's: the name cannot be foreseen, an existing file is left alone, and nobody else reads it.
    let file = std::env::temp_dir().join(format!("{program}-panic-{}.txt", uuid::Uuid::new_v4().simple()));
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).ok()?;
    written.write_all(text.as_bytes()).ok().map(|()| file)
}

/// The message of a panic.
fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Coded, full_message};

    #[test]
    fn a_panic_is_an_error_with_a_report() {
        static TOLD: Mutex<Vec<PanicReport>> = Mutex::new(Vec::new());
        install("windlass-test", "1.2.3", |report| TOLD.lock().push(report.clone()));
        let error = catch(|| -> u64 { panic!("the index is {}", 7) }).unwrap_err();
        assert_eq!(full_message(&error), "a defect of Windlass: the index is 7");
        let told = TOLD.lock().iter().find(|report| report.message == "the index is 7").cloned().unwrap();
        let file = told.file.clone().unwrap();
        assert_eq!(error.file(), Some(&file));
        assert!(error.help().unwrap().contains(&file.display().to_string()), "{error:?}");
        assert!(told.place.contains("panics.rs:"), "{told:?}");
        let report = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        for part in ["windlass-test 1.2.3 panicked", "the index is 7", "panics.rs:", "windlass_base::panics"] {
            assert!(report.contains(part), "{part} is missing:\n{report}");
        }
        assert_eq!(catch(|| 1).unwrap(), 1);
        assert_eq!(last_file(), Some(file));
        assert!(expected(|| panic!("malformed")).is_err());
        assert!(TOLD.lock().iter().all(|report| report.message != "malformed"));
    }
}
