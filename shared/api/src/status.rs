//! Errors on the wire: a gRPC status with the stable code, the help and the problems of a project attached.
//!
//! Google API design, "Errors": the code is the reason of an `ErrorInfo`.

use std::collections::HashMap;

use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use windlass_base::count::counted;
use windlass_base::error::{Coded, Failure};
use windlass_evidence::artifact::{Moved, PlanMoved};
use windlass_project::spec::{Problem, Problems, ProjectFiles};

const DOMAIN: &str = "windlass";
const HELP: &str = "help";
const RETRYABLE: &str = "retryable";
const PROBLEMS: &str = "problems";
const MOVED: &str = "moved";
/// The URL of the API of the scheduler that leads, if it is known; only a standby sends it.
const LEADER: &str = "leader";
/// Bytes that a message and the problems may take: details travel in a header, and headers are limited to 16 KiB.
const MESSAGE_BYTES: usize = 2 * 1024;
const PROBLEMS_BYTES: usize = 6 * 1024;
const MOVED_BYTES: usize = 6 * 1024;

/// An error as received by the client.
#[derive(Debug)]
pub enum DecodedStatus {
    /// Problems in the project's files.
    Project(Problems),
    /// An approved plan is no longer valid.
    PlanMoved(PlanMoved),
    /// A failure reported by the scheduler.
    Failure(Failure),
    /// A status that is not from a Windlass scheduler, or from the connection.
    Foreign(Status),
}

/// An error as a status of the given kind.
pub fn status(code: Code, error: &(impl Coded + ?Sized)) -> Status {
    build(code, error.to_failure(), None)
}

/// Problems of a project as a status. Those that do not fit into the header are omitted; a client that checks the
/// project itself finds them.
pub fn status_of_problems(problems: &Problems) -> Status {
    let (count, json) = as_many_as_fit(problems.iter(), PROBLEMS_BYTES);
    let mut failure = problems.to_failure();
    if count < problems.count() {
        failure.message = format!("{count} of {}: {}", counted(problems.count(), "problem"), failure.message);
    }
    build(Code::InvalidArgument, failure, Some((PROBLEMS, json)))
}

/// An invalidated plan as a status. What does not fit into the header is omitted.
pub fn status_of_moved(moved: &PlanMoved) -> Status {
    let (_, json) = as_many_as_fit(moved.moved.iter(), MOVED_BYTES);
    build(Code::FailedPrecondition, moved.to_failure(), Some((MOVED, json)))
}

/// The refusal of a scheduler that stands by, with the URL of the leader's API if it is known.
pub fn status_of_standby(error: &(impl Coded + ?Sized), leader: Option<&str>) -> Status {
    build(Code::Unavailable, error.to_failure(), Some((LEADER, leader.unwrap_or_default().to_owned())))
}

/// A refusal of a scheduler that stands by: another one leads, or will in a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standby {
    /// The URL of the leader's API, if it is known.
    pub leader: Option<String>,
}

impl Standby {
    /// Whether a status is such a refusal.
    pub fn of(status: &Status) -> Option<Self> {
        let info = status.get_details_error_info().filter(|info| info.domain == DOMAIN)?;
        let leader = info.metadata.get(LEADER)?.clone();
        Some(Self { leader: Some(leader).filter(|leader| !leader.is_empty()) })
    }
}

/// The first values that fit into the given number of bytes, as a JSON array, and their number.
fn as_many_as_fit<'v, T: Serialize + 'v>(values: impl Iterator<Item = &'v T>, mut room: usize) -> (usize, String) {
    let mut json = Vec::new();
    for value in values {
        let Ok(text) = serde_json::to_string(value) else { continue };
        if text.len() > room {
            break;
        }
        room -= text.len();
        json.push(text);
    }
    (json.len(), format!("[{}]", json.join(",")))
}

fn build(code: Code, failure: Failure, list: Option<(&str, String)>) -> Status {
    let mut metadata = HashMap::from([(RETRYABLE.to_owned(), failure.retryable.to_string())]);
    if let Some(help) = failure.help {
        metadata.insert(HELP.to_owned(), shortened(help));
    }
    if let Some((key, json)) = list {
        metadata.insert(key.to_owned(), json);
    }
    let details = ErrorDetails::with_error_info(failure.code, DOMAIN, metadata);
    Status::with_error_details(code, shortened(failure.message), details)
}

fn shortened(mut text: String) -> String {
    if text.len() > MESSAGE_BYTES {
        text.truncate(text.floor_char_boundary(MESSAGE_BYTES));
        text.push('…');
    }
    text
}

/// Decodes a status. `files` are the client's files, for showing problems.
pub fn decode_status(status: Status, files: &ProjectFiles) -> DecodedStatus {
    let Some(info) = status.get_details_error_info().filter(|info| info.domain == DOMAIN) else {
        return DecodedStatus::Foreign(status);
    };
    let problems = info.metadata.get(PROBLEMS).and_then(|json| serde_json::from_str::<Vec<Problem>>(json).ok());
    if let Some(Err(problems)) = problems.map(|list| Problems::check(list, files)) {
        return DecodedStatus::Project(problems);
    }
    let moved = info.metadata.get(MOVED).and_then(|json| serde_json::from_str::<Vec<Moved>>(json).ok());
    if let Some(moved) = moved.filter(|moved| !moved.is_empty()) {
        return DecodedStatus::PlanMoved(PlanMoved { moved });
    }
    DecodedStatus::Failure(Failure {
        code: info.reason,
        message: status.message().to_owned(),
        help: info.metadata.get(HELP).cloned(),
        retryable: info.metadata.get(RETRYABLE).is_some_and(|text| text == "true"),
    })
}
