//! Why a table cannot be written or committed to.

use std::fmt;

use deltalake::DeltaTableError;
use windlass_base::coded;
use windlass_base::ids::TableVersion;

use super::{Difference, is_transient};

/// Why a table cannot be written or committed to. Inside a task it travels as its
/// [`Failure`](windlass_base::error::Failure), so that a cluster reports code and text unharmed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A column's type has no counterpart in Delta.
    #[error("column `{column}` has the type {data_type}, which a Delta table cannot hold: {reason}")]
    ColumnType {
        /// The column, with its parents.
        column: String,
        /// Its type.
        data_type: String,
        /// Why there is no counterpart.
        reason: String,
    },
    /// A column's name cannot be a Delta column's.
    #[error("a Delta table cannot have a column `{column}`: {reason}")]
    ColumnName {
        /// The name.
        column: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting names a column that is not there.
    #[error("`{setting}` names the column `{column}`, which the result does not have")]
    NoSuchColumn {
        /// The setting.
        setting: &'static str,
        /// The column.
        column: String,
    },
    /// The table exists and is not what the definition says.
    #[error("the table at `{table}` is not what its definition says: {}", list(differences))]
    TableDiffers {
        /// The table's root.
        table: String,
        /// Every difference.
        differences: Vec<Difference>,
    },
    /// The table uses what this writer does not support.
    #[error("the table at `{table}` cannot be written: it uses {}", list(features))]
    Unsupported {
        /// The table's root.
        table: String,
        /// What it uses, by the names of the Delta protocol.
        features: Vec<String>,
    },
    /// A table property cannot be set.
    #[error("the table property `{property}` cannot be `{value}`: {reason}")]
    Property {
        /// The property.
        property: String,
        /// The value asked for.
        value: String,
        /// Why not.
        reason: String,
    },
    /// A constraint's SQL cannot be compiled.
    #[error("the constraint `{constraint}` of table `{table}`, `{sql}`, cannot be compiled: {reason}")]
    BadConstraint {
        /// The table.
        table: String,
        /// The constraint.
        constraint: String,
        /// Its SQL.
        sql: String,
        /// What the planner says.
        reason: String,
    },
    /// A null in a column that must not hold one.
    #[error("a row for table `{table}` has null in column `{column}`, which is NOT NULL; the row is ({row})")]
    NullValue {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The row, shortened.
        row: String,
    },
    /// A row that a constraint refuses.
    #[error("a row for table `{table}` breaks the constraint `{constraint}`, `{sql}`; the row is ({row})")]
    ConstraintBroken {
        /// The table.
        table: String,
        /// The constraint.
        constraint: String,
        /// Its SQL.
        sql: String,
        /// The row, shortened.
        row: String,
    },
    /// A column that cannot partition a table.
    #[error("the table cannot be partitioned by `{column}`: {reason}")]
    PartitionColumn {
        /// The column.
        column: String,
        /// Why not.
        reason: String,
    },
    /// A value that cannot be a partition value.
    #[error(
        "a row for table `{table}` cannot be stored: its partition column `{column}` holds {reason}; the row is ({row})"
    )]
    PartitionValue {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What it holds.
        reason: &'static str,
        /// The row, shortened.
        row: String,
    },
    /// A value that the column's type cannot hold.
    #[error("a value for column `{column}` of table `{table}` does not fit its type {data_type}: {reason}")]
    CastValue {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The column's type.
        data_type: String,
        /// What the cast says.
        reason: String,
    },
    /// The plan to be written does not yield the table's columns.
    #[error("the rows to be written do not match the table `{table}`: {}", list(differences))]
    InputDiffers {
        /// The table.
        table: String,
        /// Every difference.
        differences: Vec<Difference>,
    },
    /// What the tasks reported is not all of what they wrote.
    #[error("the reports of the write's tasks are not complete: {reason}")]
    Incomplete {
        /// What is missing.
        reason: String,
    },
    /// Rows of a table that only takes appends would be replaced.
    #[error("the table at `{table}` is append-only (`delta.appendOnly`), so its rows cannot be replaced")]
    AppendOnly {
        /// The table's root.
        table: String,
    },
    /// Other writers were faster, time after time.
    #[error("the table at `{table}` was changed by others during each of {attempts} attempts to commit")]
    Contended {
        /// The table's root.
        table: String,
        /// How often it was tried.
        attempts: usize,
    },
    /// The log could be neither written nor read again, so nobody knows whether the commit is there.
    #[error("it cannot be found out whether the commit to `{table}` has happened")]
    Unknown {
        /// The table's root.
        table: String,
        /// Why the log cannot be read.
        #[source]
        source: DeltaTableError,
    },
    /// The commit happened, but its log entry has been cleaned up.
    #[error("run {sequence} of `{app_id}` has committed to `{table}`, but that commit is no longer in the log")]
    Forgotten {
        /// The table's root.
        table: String,
        /// Who committed.
        app_id: String,
        /// With which number.
        sequence: i64,
    },
    /// A new table's first commit could not be written.
    #[error("the table at `{table}` cannot be created")]
    Create {
        /// The table's root.
        table: String,
        /// The library's own words.
        #[source]
        source: DeltaTableError,
    },
    /// A value could not be turned into its stored form.
    #[error("{what} cannot be encoded: {reason}")]
    Encode {
        /// What it was.
        what: String,
        /// Why not.
        reason: String,
    },
    /// The changes of a merge do not fit together, or do not fit the table.
    #[error("the changes for the table{} cannot be merged: {reason}", named(table))]
    BadMerge {
        /// The table; empty if it is not known.
        table: String,
        /// What does not fit.
        reason: String,
    },
    /// Others have committed since the table was looked at.
    #[error("the table at `{table}` is at version {found}, and was at {base} when it was looked at")]
    Moved {
        /// The table's root.
        table: String,
        /// The version that was looked at.
        base: TableVersion,
        /// The one that it is at.
        found: TableVersion,
    },
    /// The store fails to take deletion vectors.
    #[error("the deletion vectors of the table at `{table}` cannot be written")]
    Vectors {
        /// The table's root.
        table: String,
        /// The store's own words.
        #[source]
        source: object_store::Error,
    },
    /// The store refuses a data file for a reason that trying again does not mend.
    #[error("a data file of table `{table}` cannot be written: {reason}")]
    Refused {
        /// The table.
        table: String,
        /// The store's own words.
        reason: String,
    },
}

coded! {
    WriteError {
        ColumnType => "WL0420", "cast the column to a type that Delta has, for example CAST(x AS VARCHAR)";
        ColumnName => "WL0421", "give the column another name with AS in the stage's SQL";
        TableDiffers => "WL0422",
            "change the stage's SQL or settings so that they match the table, let an overwriting stage change the \
             table, or write to another location";
        Unsupported => "WL0423",
            "write to another location, or drop the feature from the table with the engine that set it";
        Property => "WL0424", "correct or remove the property in the stage's settings";
        BadConstraint => "WL0425", "the condition must be a boolean SQL expression over the table's columns";
        NullValue => "WL0426",
            "filter such rows out, replace the null with COALESCE, or take the column from `not_null`";
        ConstraintBroken => "WL0427",
            "filter such rows out or correct the constraint; a condition that is null counts as broken. One that the \
             project does not have was in an earlier definition, or is another program's: drop it from the table";
        PartitionColumn => "WL0428",
            "partition by columns of the table that hold text, numbers, booleans, dates or timestamps";
        PartitionValue => "WL0429", "use NULLIF(column, '') if null is what is meant, or another value";
        CastValue => "WL0430", "cast the column in the stage's SQL to a type that holds all its values";
        InputDiffers => "WL0431", "plan the write again: the table or the stage's SQL changed after it was planned";
        Incomplete => "WL0432" retry, "run the stage again";
        AppendOnly => "WL0433", "let the stage append, or drop `delta.appendOnly` from the table";
        Contended => "WL0434" retry, "run the stage again when fewer writers are busy on the table";
        Unknown => "WL0435" retry,
            "run again when the store can be reached; a commit that did happen is found and not repeated";
        Forgotten => "WL0436", "nothing is lost; start a new run";
        Create => "WL0437" retry, "check that the location can be written";
        Encode => "WL0438", "the log was written by a faulty program, or this is a defect of Windlass: report it";
        Refused => "WL0439", "check the process's permissions and the location";
        NoSuchColumn => "WL0440", "name columns as the stage's result has them, in the same case";
        BadMerge => "WL0441",
            "run the stage again; if it fails again, compute all of its rows with `--full-refresh`";
        Vectors { source } => "WL0442" retry if is_transient(source),
            "check the process's permissions and the location";
        Moved => "WL0444", "try again; if another program writes to the table, let only one of them do so";
    }
}

fn named(table: &str) -> String {
    if table.is_empty() { String::new() } else { format!(" `{table}`") }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join("; ")
}
