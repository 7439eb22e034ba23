//! Computes the identities of sessions.

use std::collections::BTreeMap;

use datafusion::execution::SessionState;
use serde::Serialize;
use windlass_base::identity::{ResultIdentity, SessionIdentity};

use crate::function::{FunctionRecord, Functions};

/// Options that affect neither plans nor results: how a plan is printed, how the client and the cluster communicate,
/// and the concurrency of a machine. All other options count, including those of later versions.
const IRRELEVANT: [&str; 14] = [
    "ballista.client.",
    "ballista.job.",
    "ballista.shuffle.force_remote_read",
    "ballista.shuffle.max_concurrent_read_requests",
    "ballista.shuffle.reader.",
    "ballista.shuffle.remote_read_prefer_flight",
    "ballista.shuffle.writer_channel_capacity",
    "ballista.standalone.",
    "ballista.testing.",
    "datafusion.execution.meta_fetch_concurrency",
    "datafusion.execution.planning_concurrency",
    "datafusion.explain.",
    "datafusion.format.",
    "datafusion.runtime.",
];

/// Options that affect how a query is run, but not its result: concurrency and how files are read.
const OF_EXECUTION: [&str; 6] = [
    "ballista.",
    "datafusion.catalog.",
    "datafusion.execution.",
    "datafusion.optimizer.",
    "datafusion.runtime.",
    "datafusion.explain.",
];

/// Execution options that do affect results.
const OF_RESULTS: [&str; 1] = ["datafusion.execution.time_zone"];

/// The content of a session identity. Only its hash is public, so fields may be added.
#[derive(Serialize)]
struct Ingredients {
    versions: [(&'static str, &'static str); 3],
    options: BTreeMap<String, Option<String>>,
    analyzer_rules: Vec<String>,
    optimizer_rules: Vec<String>,
    physical_optimizer_rules: Vec<String>,
    functions: Vec<FunctionRecord>,
}

/// The identity of sessions with this state and these functions.
pub(super) fn session_identity(
    state: &SessionState,
    functions: &Functions,
) -> Result<SessionIdentity, serde_json::Error> {
    let options = state.config_options().entries().into_iter();
    let relevant = options.filter(|entry| !IRRELEVANT.iter().any(|prefix| entry.key.starts_with(prefix)));
    SessionIdentity::of(&Ingredients {
        versions: [
            ("ballista", ballista_core::BALLISTA_VERSION),
            ("datafusion", datafusion::DATAFUSION_VERSION),
            ("windlass", env!("CARGO_PKG_VERSION")),
        ],
        options: relevant.map(|entry| (entry.key, entry.value)).collect(),
        analyzer_rules: state.analyzer().rules.iter().map(|rule| rule.name().to_owned()).collect(),
        optimizer_rules: state.optimizers().iter().map(|rule| rule.name().to_owned()).collect(),
        physical_optimizer_rules: state.physical_optimizers().iter().map(|rule| rule.name().to_owned()).collect(),
        functions: functions.records(),
    })
}

/// The identity of the options that give queries their meaning in sessions with this state.
pub(super) fn result_identity(state: &SessionState) -> Result<ResultIdentity, serde_json::Error> {
    let of_results = |key: &str| {
        OF_RESULTS.contains(&key) || !IRRELEVANT.iter().chain(&OF_EXECUTION).any(|prefix| key.starts_with(prefix))
    };
    let options: BTreeMap<String, Option<String>> = state
        .config_options()
        .entries()
        .into_iter()
        .filter(|entry| of_results(&entry.key))
        .map(|entry| (entry.key, entry.value))
        .collect();
    ResultIdentity::of(&options)
}
