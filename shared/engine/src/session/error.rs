//! Why a session cannot be built or a table cannot be registered.

use datafusion::error::DataFusionError;
use windlass_base::coded;
use windlass_base::ids::NodeName;
use windlass_storage::{StorageError, advice};

/// Why a session cannot be built or a table cannot be registered.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The engine refuses the settings.
    #[error("the session cannot be built")]
    Build(#[source] DataFusionError),
    /// The location or its store cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store cannot list what is below a location.
    #[error("the files of `{location}` cannot be listed")]
    List {
        /// The location.
        location: String,
        /// The store's message.
        #[source]
        source: object_store::Error,
    },
    /// There is no such folder or file on the local disk.
    #[error("`{location}` does not exist")]
    NoSuchLocation {
        /// The location.
        location: String,
    },
    /// A location contains nothing that the source can read.
    #[error("`{location}` holds no {wanted}{}", found.as_ref().map(|found| format!("; it holds {found}")).unwrap_or_default())]
    NoFiles {
        /// The location.
        location: String,
        /// What was expected.
        wanted: String,
        /// An example of what exists instead.
        found: Option<String>,
    },
    /// A glob is malformed.
    #[error("`{glob}` is not a glob: {reason}")]
    BadGlob {
        /// The glob.
        glob: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file does not have the format that the source declares, or is incomplete.
    #[error("`{file}` cannot be read as {format}")]
    WrongFormat {
        /// The file.
        file: String,
        /// The declared format.
        format: &'static str,
        /// The reader's message.
        #[source]
        source: DataFusionError,
    },
    /// Each file can be read, but their columns are incompatible.
    #[error("`{file}` does not agree on its columns with the other files: {reason}")]
    SchemaConflict {
        /// The first incompatible file.
        file: String,
        /// The incompatibility.
        reason: String,
    },
    /// A record of a CSV or JSON file cannot be read.
    #[error("`{file}`, line {line}: {reason}")]
    BadRecord {
        /// The file.
        file: String,
        /// The line that the record starts at.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A value in a CSV or JSON file does not have its column's type.
    #[error("`{file}`, line {line}: `{found}` does not fit the column `{column}`, which is {expected}")]
    BadValue {
        /// The file.
        file: String,
        /// The line that its record starts at.
        line: u64,
        /// The column.
        column: String,
        /// The column's type.
        expected: String,
        /// The value, as it is written.
        found: String,
    },
    /// A file does not have the required columns.
    #[error("`{file}` {reason}")]
    OtherColumns {
        /// The file.
        file: String,
        /// What is wrong with its columns.
        reason: String,
    },
    /// A declared column is in no file.
    #[error("no file of `{location}` has the column `{column}`{}", similar.as_ref().map(|similar| format!("; one has `{similar}`")).unwrap_or_default())]
    NoSuchColumn {
        /// The location.
        location: String,
        /// The column.
        column: String,
        /// A column with a similar name.
        similar: Option<String>,
    },
    /// A declared type cannot represent every value of the type in a file.
    #[error("`{file}` has the column `{column}` as {found}, and not every such value fits {declared}")]
    LossyType {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// Its type in the file.
        found: String,
        /// Its declared type.
        declared: String,
    },
    /// A file that seems to belong to the source would not be read.
    #[error("`{file}` is not read: {reason}")]
    NotRead {
        /// The file.
        file: String,
        /// Why not.
        reason: String,
    },
    /// A file is not in folders that match the partition columns.
    #[error("`{file}` has no value for the partition column `{column}`: {reason}")]
    Partition {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// What is wrong with the path.
        reason: String,
    },
    /// A declared sort order names a column that the files do not have.
    #[error("the sort order of `{table}` names the column `{column}`, which its files do not have")]
    SortColumn {
        /// The table.
        table: NodeName,
        /// The column.
        column: String,
    },
    /// A file has changed since the run listed it.
    #[error("the file `{path}` changed or vanished while it was in use")]
    FileChanged {
        /// The file, below its source's folder or in its store.
        path: String,
    },
    /// The SQL of a view cannot be planned.
    #[error("the view `{view}` cannot be planned")]
    View {
        /// The view.
        view: NodeName,
        /// The engine's message.
        #[source]
        source: DataFusionError,
    },
    /// The engine refuses a table.
    #[error("the table `{table}` cannot be registered")]
    Register {
        /// The table.
        table: NodeName,
        /// The engine's message.
        #[source]
        source: DataFusionError,
    },
}

/// What helps against columns that are not the declared ones.
const OTHER_COLUMNS: &str = "columns go by their names, in upper and lower case as they are written: correct the file or the \
                             source's `schema`, or split the files into several sources";

/// The delimiter that the only column of a file contains, if one is what is wrong with the file.
fn other_delimiter(reason: &str) -> Option<&'static str> {
    let (_, only) = reason.split_once("; it has `")?;
    let only = only.strip_suffix('`').filter(|name| !name.contains('`'))?;
    [(';', ";"), ('\t', "\\t"), ('|', "|")].into_iter().find(|(c, _)| only.contains(*c)).map(|(_, written)| written)
}

coded! {
    SessionError {
        Storage => inner;
        Build => "WL0303", "check the `session` settings: sizes, and that the spill folder can be written";
        List { source } => "WL0304" retry if matches!(source, object_store::Error::Generic { .. }),
            advice(source).unwrap_or("check that the location is right and that this process may read it");
        NoSuchLocation => "WL0305",
            "check the location: a relative one starts at the project's folder, or on the command line at the current one";
        NoFiles => "WL0305",
            "check the location, the format and the globs; files and folders whose names start with `.` or `_` do not \
             belong to a listing";
        BadGlob => "WL0306",
            "write a glob such as `**/*.rs`; close every `[` and `{`, and write a character after `\\`";
        WrongFormat => "WL0307",
            "set the source's format to what the files are, move files of other formats elsewhere, and write a \
             damaged file again";
        Partition => "WL0308",
            "partition columns are folders named `column=value`, in the declared order, below the location; a value \
             must be one of its column's type exactly: `string` holds any";
        SortColumn => "WL0309", "name columns of the files or partition columns in `file_sort_order`";
        FileChanged => "WL0310", "run again when nothing writes to the source's files any more";
        View => "WL0311", "correct the SQL: it must be one query over tables of the project";
        Register => "WL0312", "check the source's declaration against its files";
        SchemaConflict => "WL0313", "write the files with the same columns, or split them into several sources";
        BadRecord { reason } => "WL0380", match reason.contains("JSON") {
            true => "write one object on each line, without brackets and commas around them (JSON lines)",
            false => "correct the file, or set `delimiter` and `has_header` to what it is",
        };
        BadValue => "WL0381",
            "correct the value, or declare the column in `schema` with a type that holds it: `string` holds any";
        OtherColumns { reason } => "WL0382", match other_delimiter(reason) {
            Some(delimiter) => {
                format!("the file seems to separate its values otherwise: set `delimiter: \"{delimiter}\"` of the source")
            }
            None => OTHER_COLUMNS.to_owned(),
        };
        NoSuchColumn => "WL0382", OTHER_COLUMNS;
        LossyType => "WL0383", "declare the type that the file has, or a wider one, and CAST in a stage";
        NotRead => "WL0384", "unpack the file, or move it elsewhere";
    }
}
