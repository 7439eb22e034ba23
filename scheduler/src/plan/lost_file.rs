//! Adds to the failure of a missing or damaged data file the table that it belongs to.

use std::path::Path;

use windlass_base::error::{Coded, Failure};
use windlass_engine::session::SessionError;
use windlass_storage::Location;

use super::input::{Inputs, PinnedInput};

/// The codes of failures that name a data file and not its table.
const FILE_MISSING: &str = "WL0445";
const FILE_DAMAGED: &str = "WL0446";

/// `failure` with the table, its version and what to do, if it is about a data file of one of `inputs`.
pub fn with_table(failure: Failure, inputs: &Inputs) -> Failure {
    if ![FILE_MISSING, FILE_DAMAGED].contains(&failure.code.as_str()) {
        return failure;
    }
    let Some((file, what)) = failure.message.strip_prefix("the data file `").and_then(|rest| rest.split_once("` "))
    else {
        return failure;
    };
    let owner = inputs.pinned().find_map(|input| Some((input, below(input, file)?)));
    let Some((input, name)) = owner else { return failure };
    let (source, location) = (&input.pin.source, &input.pin.location);
    let Some(version) = input.pin.version else {
        return match failure.code.as_str() {
            FILE_MISSING => SessionError::FileChanged { path: file.to_owned() }.to_failure(),
            _ => failure,
        };
    };
    let message = format!(
        "the data file `{name}` of `{source}` {what}; version {version} of the Delta table at {location} needs it"
    );
    let help = match failure.code.as_str() {
        FILE_MISSING => Some(format!(
            "vacuum or another program has removed it: read a newer version of `{source}` that does not need it, restore the \
             file, or, if `{source}` is a stage, compute it again with `windlass run --full-refresh {source}`"
        )),
        _ => failure.help.clone(),
    };
    Failure { message, help, ..failure }
}

/// The path of `file`, a path in its store, below the root of the input.
fn below(input: &PinnedInput, file: &str) -> Option<String> {
    let root = match &input.table {
        Some(table) => table.location().path().ok()?,
        None => Location::parse(&input.pin.location, Path::new("/")).ok()?.path().ok()?,
    };
    let rest = file.strip_prefix(root.as_ref())?.strip_prefix('/')?;
    Some(rest.to_owned())
}
