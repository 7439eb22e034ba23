//! The error codes of a project, its graph, or a selection of its nodes.

use windlass_base::error::ErrorCode;

macro_rules! codes {
    ($($name:ident = $code:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: ErrorCode = ErrorCode($code);)*

        /// Every code of this group with its meaning in one line.
        pub const ALL: &[(ErrorCode, &str)] = &[$(($name, $meaning)),*];
    };
}

codes! {
    YAML_SYNTAX = "WL0101", "the text is not valid YAML";
    LIMIT = "WL0102", "a project exceeds a limit: file size, nesting, number of stages";
    YAML_FEATURE = "WL0103", "YAML anchors, aliases, tags and several documents in a file are not allowed";
    UNKNOWN_KEY = "WL0104", "an unknown key";
    DUPLICATE_KEY = "WL0105", "a duplicate key in a mapping";
    NOT_AVAILABLE = "WL0106", "a feature that this version does not support";
    MISSING_KEY = "WL0107", "a required key is missing";
    WRONG_TYPE = "WL0108", "a value has the wrong type for its key";
    BAD_VALUE = "WL0109", "a value has the right type but is not allowed";
    BAD_NAME = "WL0110", "a name contains characters that are not allowed";
    NO_MANIFEST = "WL0111", "the project has no windlass.yaml";
    NO_STAGES = "WL0112", "the project has no stage";
    HEADER = "WL0113", "the windlass comment of a stage is unclosed or not at the start of the file";
    SQL_SYNTAX = "WL0114", "the SQL of a stage is not valid";
    NOT_ONE_QUERY = "WL0115", "a stage is not exactly one query";
    PLACEHOLDER = "WL0116", "a SQL placeholder is not a named parameter";
    CREDENTIALS = "WL0117", "a location contains credentials";
    DOES_NOT_APPLY = "WL0118", "a setting has no effect in combination with another";
    DUPLICATE_ITEM = "WL0119", "a list contains a duplicate";
    NO_PROJECT = "WL0120", "neither the folder nor any of its parents contains a windlass.yaml";
    NOT_UTF8 = "WL0121", "a project file is not UTF-8 text";
    OUTSIDE = "WL0122", "a project file is a link that leads outside the project folder";
    UNREADABLE = "WL0123", "a project file could not be read";
    PLAN_TEXT = "WL0124", "the plan of a stage is not a valid plan text";
    PLAN_ENGINE = "WL0125", "the plan of a stage was written by another version of DataFusion";
    NEEDS_KEY = "WL0126", "an incremental stage does not name the columns that identify a row";
    RETENTION_LOG = "WL0127", "the files of a table would stay longer than the log that names them";
    RETENTION_ZERO = "WL0128", "a retention of 0 without `keep`";
    MAINTENANCE_PROPERTY = "WL0129", "`maintenance` and a table property give different values";
    MAINTENANCE_LAYER = "WL0130", "`maintenance` refines a layer that no table has";
    EXPECT_UNIQUE = "WL0150", "an incremental stage expects columns to be unique that do not include its key";
    CONTRACT_TWICE = "WL0140", "two files contain the same version of a contract";
    CONTRACT_UNKNOWN = "WL0141", "a stage names a contract that the project does not have";
    CONTRACT_DIFFERS = "WL0142", "a stage's `io` and its contract define different keys or partition columns";
    CONTRACT_COLUMN = "WL0143", "a contract's key or partition columns name a column that it does not have";

    FIXTURE_TWICE = "WL0160", "two fixtures have the same name";
    FIXTURE_NODE = "WL0161", "a fixture gives or expects something that is not a source or stage, or cannot be given or expected";
    ROWS_COLUMN = "WL0162", "a fixture or a source of rows names a column that does not exist";
    ROWS_VALUE = "WL0163", "a value of a row does not have its column's type, or the type cannot be inferred";
    FIXTURE_PATH = "WL0164", "a stage of a fixture reads something that is neither given nor computed";
    FIXTURE_UNUSED = "WL0165", "a fixture gives something that no stage reads, or expects something that does not run";
    FIXTURE_NOTHING = "WL0166", "a turn of a fixture expects nothing, or nothing runs";
    FIXTURE_CHANGE = "WL0167", "a fixture changes rows that do not exist, or in a way that is not possible";
    ROWS_FILE = "WL0168", "a file of rows does not exist or cannot be read";

    UNKNOWN_TABLE = "WL0201", "SQL reads a table that is neither a source nor a stage";
    CYCLE = "WL0202", "stages depend on each other in a cycle";
    NAME_CLASH = "WL0203", "two sources or stages have the same name";
    QUALIFIED_NAME = "WL0204", "SQL names a table with a schema or catalog";
    UNKNOWN_PARAM = "WL0205", "a parameter is used or given but not declared";
    PARAM_VALUE = "WL0206", "a parameter's value does not have its type";
    PARAM_MISSING = "WL0207", "a parameter has neither a value nor a default";
    UNKNOWN_TARGET = "WL0208", "the project has no target of that name";
    UNKNOWN_SOURCE = "WL0209", "a target overrides a source that the project does not have";
    SAME_LOCATION = "WL0210", "two stages write to the same location";
    SELECTION_SYNTAX = "WL0211", "a selection is malformed";
    SELECTION_EMPTY = "WL0212", "a part of a selection matches no node";
    TAG_MISSING = "WL0213", "a node lacks a tag that the tag policy requires";
    TAG_VALUE = "WL0214", "a tag has a value that the tag policy does not allow";
    TAG_KEY = "WL0215", "a tag has a key that a closed tag policy does not contain";
    SEMANTIC_ID_TWICE = "WL0216", "two nodes have the same semantic id and version";
    SEMANTIC_ID_UNKNOWN = "WL0217", "a tag refers to a semantic id that no node has";
    POLICY_FILE = "WL0218", "the tag policy includes a file that the project does not have";

    REFUSED_CLAUSE = "WL0219", "SQL has a clause that the plan would not contain";
    FUNCTION_CLAUSE = "WL0220", "a function is called with a clause that it does not support";

    DATASET_UNKNOWN = "WL0230", "a dataset or a target's dataset does not belong to a stage with a table";
    IO_TWICE = "WL0231", "an option of a dataset is set both in `datasets` and in the stage's `io`";
    IO_MODE = "WL0232", "a write mode lacks a required option, or cannot be combined with `incremental`";

    SUBDAG_UNKNOWN = "WL0250", "an instance uses a sub-DAG that the project does not have";
    SUBDAG_CYCLE = "WL0251", "sub-DAGs use each other in a cycle";
    SUBDAG_INPUT = "WL0252", "an input of a sub-DAG is not bound, or something is bound that is not an input";
    SUBDAG_PARAM = "WL0253", "a parameter of a sub-DAG has no value, a wrong one, or is not declared";
    SUBDAG_OUTPUT = "WL0254", "an output of a sub-DAG is not one of its stages, or a name is used twice";
    SUBDAG_SCOPE = "WL0255", "a stage of a sub-DAG reads something that is neither an input nor a stage of it";
    SUBDAG_FILE = "WL0256", "a file below subdags/ belongs to no sub-DAG";
}

/// An export is written to the location of a table or a source. It shares the code of the same problem found when a run
/// is planned.
pub const EXPORT_IN_TABLE: ErrorCode = ErrorCode("WL0675");
/// Two exports write to the same folder, or one inside the other's.
pub const EXPORT_TWICE: ErrorCode = ErrorCode("WL0676");
/// Two targets export different tables to the same folder.
pub const EXPORT_TARGETS: ErrorCode = ErrorCode("WL0678");
