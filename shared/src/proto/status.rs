//! Errors on the wire: a gRPC status with the stable code, the help and the problems of a project attached.
//!
//! Google API design, "Errors": the code is the reason of an `ErrorInfo`.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::error::{Coded, Failure};
use crate::spec::{Problem, Problems, ProjectFiles};

const DOMAIN: &str = "windlass";
const HELP: &str = "help";
const RETRYABLE: &str = "retryable";
const PROBLEMS: &str = "problems";
/// Bytes that a message and the problems may take: details travel in a header, and headers are limited to 16 KiB.
const MESSAGE_BYTES: usize = 2 * 1024;
const PROBLEMS_BYTES: usize = 6 * 1024;

/// An error as the client gets it.
#[derive(Debug)]
pub enum Told {
    /// Files of the project are at fault.
    Project(Problems),
    /// The scheduler's word.
    Failure(Failure),
    /// Not from a Windlass scheduler, or from the connection.
    Foreign(Status),
}

/// An error as a status of the given kind.
pub fn status(code: Code, error: &(impl Coded + ?Sized)) -> Status {
    build(code, error.to_failure(), None)
}

/// Problems of a project as a status. Those that a header has no room for are left out; a client that checks the
/// project itself finds them again.
pub fn status_of_problems(problems: &Problems) -> Status {
    let mut json = Vec::new();
    let mut room = PROBLEMS_BYTES;
    for problem in problems.iter() {
        let Ok(text) = serde_json::to_string(problem) else { continue };
        if text.len() > room {
            break;
        }
        room -= text.len();
        json.push(text);
    }
    let mut failure = problems.to_failure();
    if json.len() < problems.count() {
        failure.message = format!("{} of {} problems: {}", json.len(), problems.count(), failure.message);
    }
    build(Code::InvalidArgument, failure, Some(format!("[{}]", json.join(","))))
}

fn build(code: Code, failure: Failure, problems: Option<String>) -> Status {
    let mut metadata = HashMap::from([(RETRYABLE.to_owned(), failure.retryable.to_string())]);
    if let Some(help) = failure.help {
        metadata.insert(HELP.to_owned(), shortened(help));
    }
    if let Some(problems) = problems {
        metadata.insert(PROBLEMS.to_owned(), problems);
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

/// What a status says. `files` are the client's own, to show problems in.
pub fn told(status: Status, files: &ProjectFiles) -> Told {
    let Some(info) = status.get_details_error_info().filter(|info| info.domain == DOMAIN) else {
        return Told::Foreign(status);
    };
    let problems = info.metadata.get(PROBLEMS).and_then(|json| serde_json::from_str::<Vec<Problem>>(json).ok());
    if let Some(Err(problems)) = problems.map(|list| Problems::check(list, files)) {
        return Told::Project(problems);
    }
    Told::Failure(Failure {
        code: info.reason,
        message: status.message().to_owned(),
        help: info.metadata.get(HELP).cloned(),
        retryable: info.metadata.get(RETRYABLE).is_some_and(|text| text == "true"),
    })
}
