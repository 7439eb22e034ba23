//! Determines why a task failed and embeds that in the error that the engine sends to the scheduler.

use std::any::Any;
use std::error::Error;
use std::io;

use ballista_core::error::BallistaError;
use datafusion::error::DataFusionError;
use object_store::Error as StoreError;
use windlass_base::error::full_message;
use windlass_engine::task_failure::{TaskFailure, TaskFailureKind, raised_in};

/// The error with a [`TaskFailure`] marker as its text, in a class that the scheduler handles as intended: only an I/O
/// error is retried. Errors with a meaning for the engine, such as a lost shuffle file, are kept.
pub(crate) fn marked(error: DataFusionError) -> DataFusionError {
    match classify(&error) {
        None => error,
        Some(failure) => marked_as(&failure),
    }
}

/// The error that reports a panic with this payload.
pub(crate) fn from_panic(payload: &(dyn Any + Send)) -> DataFusionError {
    let message = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    marked_as(&TaskFailure::new(TaskFailureKind::Panic, message))
}

fn marked_as(failure: &TaskFailure) -> DataFusionError {
    let marker = failure.to_marker();
    if failure.failure.retryable {
        DataFusionError::IoError(io::Error::other(marker))
    } else {
        DataFusionError::Execution(marker)
    }
}

fn classify(error: &DataFusionError) -> Option<TaskFailure> {
    if let Some(failure) = raised_in(error) {
        return Some(TaskFailure::raised(failure.clone()));
    }
    let root = error.find_root();
    let failure = match root {
        DataFusionError::External(inner) => return classify_external(inner.as_ref()),
        DataFusionError::ResourcesExhausted(message) => TaskFailure::new(TaskFailureKind::OutOfResources, message),
        DataFusionError::IoError(io) => TaskFailure::new(TaskFailureKind::Io, io.to_string()),
        DataFusionError::ExecutionJoin(join) if join.is_panic() => panicked(&join.to_string()),
        // Some operators convert a panic of their tasks to a text.
        DataFusionError::Execution(message) | DataFusionError::Internal(message) if message.contains(PANICKED) => {
            panicked(message)
        }
        // Its message would ask the reader to report a bug in the engine.
        DataFusionError::Internal(message) => TaskFailure::new(TaskFailureKind::Execution, message),
        other if is_transient(other) => TaskFailure::new(TaskFailureKind::Io, other.message()),
        other => TaskFailure::new(TaskFailureKind::Execution, other.message()),
    };
    Some(failure)
}

fn classify_external(error: &(dyn Error + Send + Sync + 'static)) -> Option<TaskFailure> {
    match error.downcast_ref::<BallistaError>() {
        Some(BallistaError::FetchFailed(..) | BallistaError::Cancelled) => None,
        Some(BallistaError::IoError(io)) => Some(TaskFailure::new(TaskFailureKind::Io, io.to_string())),
        Some(BallistaError::DataFusionError(inner)) => classify(inner),
        Some(BallistaError::ArrowError(inner)) => Some(TaskFailure::new(TaskFailureKind::Execution, inner.to_string())),
        Some(BallistaError::General(text) | BallistaError::Internal(text)) if text.contains(PANICKED) => {
            Some(panicked(text))
        }
        _ if is_transient(error) => Some(TaskFailure::new(TaskFailureKind::Io, full_message(error))),
        _ => Some(TaskFailure::new(TaskFailureKind::Execution, full_message(error))),
    }
}

/// Whether a cause of the error is a transient object store error: unclassified errors are `Generic`, after the store's
/// own retries.
fn is_transient(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if matches!(error.downcast_ref::<StoreError>(), Some(StoreError::Generic { .. })) {
            return true;
        }
        cause = error.source();
    }
    false
}

const PANICKED: &str = " panicked with message ";

/// The failure of a task whose panic is described as `task 7 panicked with message "…"`.
fn panicked(text: &str) -> TaskFailure {
    let quoted = text.split_once(PANICKED).map_or(text, |(_, message)| message);
    let message = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(quoted);
    TaskFailure::new(TaskFailureKind::Panic, message.replace("\\\"", "\"").replace("\\\\", "\\"))
}
