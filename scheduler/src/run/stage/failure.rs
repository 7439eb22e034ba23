//! The failures of an attempt that no other module has a name for.

use windlass_base::error::Failure;
use windlass_base::ids::NodeName;

pub(in crate::run) fn stopped(stage: &NodeName) -> Failure {
    Failure {
        code: "WL0654".to_owned(),
        message: format!("the stage `{stage}` was stopped"),
        help: None,
        retryable: false,
    }
}

pub(in crate::run) fn conflicted(stage: &NodeName, reason: &str) -> Failure {
    Failure {
        code: "WL0655".to_owned(),
        message: format!("the table of `{stage}` changed while its rows were computed: {reason}"),
        help: Some("run again; if another program writes to the table, let only one of them do so".to_owned()),
        retryable: false,
    }
}
