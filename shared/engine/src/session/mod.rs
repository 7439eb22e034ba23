//! The only place that builds a session or registers a table or a function.
//!
//! ```text
//! SessionSettings + Functions ─Sessions→ SessionContext, SessionIdentity        (builder, identity)
//!     limits of planning (limits, large_values), subqueries in any position (subqueries), joins on nulls (null_keys)
//! SQL ─→ a logical plan, time literals in microseconds                          (written_times)
//! TableInput ─register→ a table of that session, Registration                   (register, registration)
//!     files of one format (listing; text records), text files (text_files), a Delta table's provider, a view
//! ChangesCall ─its range, planned before─→ a result of table_changes in that session (table_changes)
//! ```

mod builder;
mod call_clauses;
mod error;
mod identity;
mod large_values;
pub mod limits;
mod listing;
mod null_keys;
mod planning;
pub(crate) mod records;
mod register;
mod registration;
mod row_batches;
mod rules;
mod scan_stores;
mod subqueries;
mod table_changes;
pub(crate) mod text_files;
mod types;
mod written_times;

pub use builder::Sessions;
pub use call_clauses::refused_calls;
pub use error::SessionError;
pub use listing::check_unchanged;
pub use planning::planning_context;
pub use register::{ProviderInput, TableInput, register, register_schema, register_tables};
pub use row_batches::{batch_of, cells_of, scalar_of, schema_of};
pub use scan_stores::with_stores_of;
pub use table_changes::{ChangesCall, TABLE_CHANGES, changes_calls, register_table_changes};
pub use text_files::{ListingChange, PATH_COLUMN, TextListing};
pub use types::contract_data_type;
pub use written_times::{sql_plan, statement_plan};
