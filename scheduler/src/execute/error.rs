//! Why a job fails, in words and with what to do about it.

use datafusion::error::DataFusionError;
use windlass_base::coded;
use windlass_base::engine_terms::{with_sql_types, without_engine_terms};
use windlass_base::error::{ErrorCode, Failure, full_message};
use windlass_base::failed_cast::FailedCast;
use windlass_engine::task_failure::{TaskFailure, TaskFailureKind};

use crate::cluster::MISCOUNTED;

/// Why a job fails.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The plan cannot be cut into stages or sent to executors.
    #[error("the plan cannot be distributed: {0}")]
    Plan(String),
    /// The plan reads something that tasks cannot share out among them.
    #[error("the plan reads from `{operator}` in {partitions} partitions, which cannot be divided among tasks")]
    Unsplittable {
        /// The plan's leaf.
        operator: String,
        /// How many partitions it has.
        partitions: usize,
    },
    /// An operator of the plan would not arrive at executors as it is.
    #[error("`{operator}` would lose a part of what it does when it is sent to executors")]
    CutShort {
        /// The operator, as plans show it.
        operator: String,
    },
    /// A task fails on the data.
    #[error("{0}")]
    Execution(String),
    /// A task's code panicked.
    #[error("a task panicked: {0}")]
    Panicked(String),
    /// A task needs more memory or spill space than there is.
    #[error("a task ran out of memory or spill space: {0}")]
    OutOfResources(String),
    /// Reading or writing failed also after the engine's own retries.
    #[error("reading or writing failed: {0}")]
    Io(String),
    /// What an earlier stage wrote was lost, again and again.
    #[error("the output of a stage was lost: {0}")]
    ShuffleLost(String),
    /// No executor is left to run the job.
    #[error("no executor is left: {0}")]
    NoExecutors(String),
    /// No executor has been there to run the job.
    #[error("there has been no executor for {seconds} s; the scheduler waited for one to join {address}")]
    NoExecutorJoins {
        /// Where executors join.
        address: String,
        /// How long the job has waited.
        seconds: u64,
    },
    /// Code of Windlass refused to go on; the failure is its own.
    #[error("{}", .0.message)]
    Raised(Failure),
    /// The job was cancelled.
    #[error("the job was cancelled")]
    Cancelled,
    /// The scheduler stopped or gave up the job without a word.
    #[error("the scheduler lost track of the job")]
    Lost,
    /// The job is done, but its rows cannot be fetched.
    #[error("the rows of the job cannot be fetched: {0}")]
    Fetch(String),
}

impl EngineError {
    /// The error that the engine's message about a failed job stands for.
    pub(super) fn from_job_message(message: &str) -> Self {
        if let Some(task) = TaskFailure::find_in(message) {
            return Self::from_task(task);
        }
        let text = message.trim();
        if text == CANCELLED {
            Self::Cancelled
        } else if text.starts_with(NO_EXECUTORS) {
            Self::NoExecutors(text.to_owned())
        } else if text == MISCOUNTED || text.contains(STAGE_RETRIES) {
            Self::ShuffleLost(without_stage(text).to_owned())
        } else if text.contains(PLANNING) || text.contains(REJECTED) {
            Self::Plan(text.to_owned())
        } else {
            Self::execution(without_stage(text))
        }
    }

    /// A task that fails on the data with the engine's `message`.
    pub(super) fn execution(message: &str) -> Self {
        let message = without_engine_terms(message);
        Self::Execution(FailedCast::of(&message).map_or_else(|| with_sql_types(&message), |cast| cast.message))
    }

    /// The error that a plan stands for which cannot be sent to executors for this reason.
    pub(super) fn from_refused_plan(reason: &DataFusionError) -> Self {
        let text = match reason.find_root() {
            DataFusionError::Internal(text) | DataFusionError::Plan(text) => text.clone(),
            other => other.message().into_owned(),
        };
        // The engine adds the whole plan, as a debugger would show it.
        let node = text.split_once(UNKNOWN_NODE).and_then(|(_, rest)| rest.split_once(']'));
        Self::Plan(node.map_or(text.clone(), |(node, _)| format!("executors cannot run `{node}`")))
    }

    /// Whether executors refused the plan without saying why.
    pub(super) fn is_unexplained_rejection(&self) -> bool {
        matches!(self, Self::Plan(text) if text.contains(REJECTED))
    }

    fn from_task(task: TaskFailure) -> Self {
        let message = task.failure.message.clone();
        match task.kind {
            TaskFailureKind::Execution => Self::execution(&message),
            TaskFailureKind::Panic => Self::Panicked(message),
            TaskFailureKind::OutOfResources => Self::OutOfResources(message),
            TaskFailureKind::Io => Self::Io(message),
            TaskFailureKind::Raised => Self::Raised(task.failure),
        }
    }
}

// The engine's own words; it has no codes for what happens to a job as a whole.
const CANCELLED: &str = "Cancelled";
const NO_EXECUTORS: &str = "all executors were lost";
const STAGE_RETRIES: &str = "most recent failure reason";
const PLANNING: &str = "Error planning job";
const REJECTED: &str = "could not be prepared or was rejected";
const UNKNOWN_NODE: &str = "Unsupported plan node, name: [";
const STAGE_FAILED: &str = " failed: ";

/// The message without `Job failed due to stage 3 failed: `, whose number says nothing to the reader.
fn without_stage(text: &str) -> &str {
    match text.split_once(STAGE_FAILED) {
        Some((head, rest)) if head.starts_with("Job failed due to stage") => rest,
        _ => text,
    }
}

/// What to do about data that a query fails on.
fn help_with_data(message: &str) -> &'static str {
    let is_cast = message.starts_with("the text '") || message.starts_with("the value ");
    match message {
        _ if message.contains("TIMESTAMP(9)") || message.contains("represented as nanoseconds") => {
            "this value is computed in nanoseconds, between the years 1677 and 2262: cast dates and texts to `TIMESTAMP(6)`, use \
             `to_timestamp_micros`, or leave the rows out"
        }
        _ if is_cast && (message.ends_with(" DATE") || message.contains(" TIMESTAMP")) => FailedCast::OF_DATES,
        _ if is_cast => "correct the rows, or use TRY_CAST, which gives null for what does not fit",
        _ if message.contains("division by zero") => {
            "write `x / NULLIF(y, 0)`, which gives null, or leave such rows out"
        }
        _ => "the query fails on these data: look at the rows or guard the expression",
    }
}

coded! {
    EngineError {
        CutShort => "WL0374", "write this part of the query in another way; this is a defect of the engine";
        Plan => "WL0501", "check that every function and node of the plan is known to the executors";
        Unsplittable => "WL0502", "read it in one partition, or from files";
        Execution(message) => "WL0503", help_with_data(message);
        Panicked => "WL0504", "this is a defect of a function or of the engine: please report it with the query";
        OutOfResources => "WL0505",
            "raise the memory limit, run fewer tasks at a time, or make the spill folder's disk larger";
        Io => "WL0506" retry, "check the storage and the disk that executors write to, then run again";
        ShuffleLost => "WL0507" retry, "check that the executors stay alive: their logs, memory limits and network";
        // The engine has waited for one already. Another attempt would wait once more, and for longer: as one that begins
        // without executors.
        NoExecutors => "WL0508", "check that the executors stay alive: their logs, memory limits and network";
        NoExecutorJoins => "WL0513" retry,
            "start executors that join this address (`windlass executor --scheduler`), or look in the logs and at `/readyz` of \
             those that run";
        // The error has a code of its own; this one stands for those that do not look like one.
        Raised(failure) => (ErrorCode::parse(&failure.code).unwrap_or(ErrorCode("WL0509"))) retry if failure.retryable,
            &failure.help;
        Cancelled => "WL0510";
        Lost => "WL0511" retry, "look at the scheduler's log, then run again";
        Fetch => "WL0512" retry, "check that the executors are alive and reachable from here, then run again";
    }
    and {
        /// A failure that a task raised keeps its own code and help.
        fn to_failure(&self) -> Failure {
            match self {
                Self::Raised(failure) => failure.clone(),
                other => Failure {
                    code: other.code().to_string(),
                    message: full_message(other),
                    help: other.help(),
                    retryable: other.is_retryable(),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use windlass_base::error::Coded;

    use super::*;

    #[test]
    fn the_engines_words_find_their_class() {
        let cases = [
            ("Cancelled", "WL0510"),
            ("all executors were lost and no executor re-registered within 1s", "WL0508"),
            (
                "Job failed due to stage 2 failed: Stage 2 has failed 4 times, most recent failure reason: \"gone\"",
                "WL0507",
            ),
            (MISCOUNTED, "WL0507"),
            ("Error planning job 7: NotImplemented(\"x\")", "WL0501"),
            ("task could not be prepared or was rejected by executor", "WL0501"),
            ("Job failed due to stage 1 failed: odd\n", "WL0503"),
        ];
        for (message, code) in cases {
            assert_eq!(EngineError::from_job_message(message).code(), ErrorCode(code), "{message}");
        }
        assert_eq!(EngineError::from_job_message("Job failed due to stage 1 failed: odd\n").to_string(), "odd");
    }
}
