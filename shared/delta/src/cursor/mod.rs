//! Cursors: how far a stage's table has applied each of its inputs, kept as transactions of the table's own commits.
//!
//! ```text
//! a run's commit   txn pipeline/stage                              = number of the run
//!                  txn pipeline/stage#code                         = hash of the definition that made the rows
//!                  txn pipeline/stage#source=orders&table=<id>     = version of `orders` that is applied
//!                  txn pipeline/stage#commit=orders&table=<id>     = hash of the commit that made that version
//!                  txn pipeline/stage#files=source_files           = hash of the listing that is applied
//! a reset          one or more of `source` and `files`             = -1, or an older version          (reset)
//! the newest commits ─read_progress→ TableProgress: what the table's log says of the stage's runs    (progress)
//! ```
//!
//! Every commit of a run carries all of them, so the newest commits say everything: a reader walks back from the newest
//! version to the last commit of a run. A transaction stays in checkpoints, so cursors outlive the files of the log. Delta
//! protocol, "Transaction Identifiers".

mod applications;
mod progress;
mod reset;

use windlass_base::ids::{AppId, NodeName};

pub use super::log::{commit_hash, hash_as_version};
pub use applications::applications;
pub use progress::{CursorQuery, TableProgress, read_progress};
pub use reset::reset_cursors;

/// What `commitInfo` calls the parts of the definition that made the rows.
pub const CODE_PARTS: &str = "windlass.code";

/// What `commitInfo` calls the version that held the rows of a run already, in a commit that says no more than that.
pub const DONE_IN: &str = "windlass.done_in";

/// What a cursor says once it was reset: nothing is applied.
pub const RESET: i64 = -1;

const CODE: &str = "#code";
const SOURCE: &str = "#source=";
const COMMIT: &str = "#commit=";
const TABLE: &str = "&table=";
const FILES: &str = "#files=";

/// The transaction that says which definition made a stage's rows.
pub fn code_key(app_id: &AppId) -> AppId {
    AppId::new(format!("{app_id}{CODE}"))
}

/// The transaction that says which version of a Delta table a stage has applied under the name `source`. A table that
/// takes the place of another has another id, and with it another cursor.
pub fn source_key(app_id: &AppId, source: &NodeName, table_id: &str) -> AppId {
    AppId::new(format!("{app_id}{SOURCE}{source}{TABLE}{table_id}"))
}

/// The transaction that says which commit made the version of [`source_key`], as
/// [`commit_hash`] has it: a copy of the table that went another way has another.
pub fn commit_key(app_id: &AppId, source: &NodeName, table_id: &str) -> AppId {
    AppId::new(format!("{app_id}{COMMIT}{source}{TABLE}{table_id}"))
}

/// The transaction that says which listing of a source of files a stage has applied.
pub fn files_key(app_id: &AppId, source: &NodeName) -> AppId {
    AppId::new(format!("{app_id}{FILES}{source}"))
}

/// Whether `app_id` is that of a run itself, and not of a transaction that says how far inputs are applied.
pub(super) fn is_run(app_id: &str) -> bool {
    !app_id.contains('#')
}
