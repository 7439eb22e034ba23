//! Identities: what two runs must have in common for their results to be comparable.

use std::collections::BTreeMap;
use std::fmt;

use datafusion::execution::SessionState;
use serde::{Deserialize, Serialize};

use crate::function::{FunctionRecord, Functions};

/// Hexadecimal digits of an identity: 128 bits of a BLAKE3 hash.
const DIGITS: usize = 32;

/// Options that change neither a plan nor a result: how a plan is printed, how a client and the parts of a cluster
/// talk to each other, and how much a machine does at once. Everything else counts, options of later versions too.
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

/// Options that change how a query is run, and not what comes out: how much is done at once and how files are read.
const OF_EXECUTION: [&str; 6] = [
    "ballista.",
    "datafusion.catalog.",
    "datafusion.execution.",
    "datafusion.optimizer.",
    "datafusion.runtime.",
    "datafusion.explain.",
];

/// Options of execution that do have a say in results.
const OF_RESULTS: [&str; 1] = ["datafusion.execution.time_zone"];

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The identity of a value: a hash of its JSON. Maps in it must be sorted.
            ///
            /// # Errors
            /// If the value cannot be written as JSON.
            pub fn of<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
                Ok(Self(digest(&serde_json::to_vec(value)?)))
            }

            /// 32 hexadecimal digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identity! {
    /// Everything besides a query and its tables that decides its plan and its result: options, optimizer rules,
    /// functions and the engine's versions. Equal in every process that is set up equally.
    SessionIdentity
}
identity! {
    /// The options that decide what comes out of a query and not how fast. It is the same on a cluster of any size. The
    /// engine's version and the functions, which have a say as well, are not part of it.
    ResultIdentity
}
identity! {
    /// How a table is read: from where, in which format, with which schema, partition columns and sort order. What the
    /// table holds at the time is not part of it.
    ScanIdentity
}

fn digest(bytes: &[u8]) -> String {
    let mut hex = blake3::hash(bytes).to_hex().to_string();
    hex.truncate(DIGITS);
    hex
}

/// What a session identity is made of. It is public through its hash alone, so fields may be added.
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
