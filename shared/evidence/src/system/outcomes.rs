//! What came of a run's stages: `commits`, `lineage`, `cursors`, `tables`.

use windlass_base::ids::NodeName;
use windlass_project::literal_rows::Cell;

use super::column::{Column, integer, maybe_integer, maybe_text, maybe_time, text, word};
use crate::artifact::{
    AttemptStatus, LineageInput, OutputRecord, QuarantineRecord, SourceChange, StageLineage, StageReceipt, StageRecord,
    StageSummary,
};

type CommitCell = fn(&Commit<'_>) -> Cell;
type InputCell = fn(&Input<'_>) -> Cell;
type AppliedCell = fn(&Applied<'_>) -> Cell;
type WrittenCell = fn(&Written<'_>) -> Cell;

/// A version that a stage has committed.
pub(super) struct Commit<'a> {
    pub(super) summary: &'a StageSummary,
    pub(super) receipt: &'a StageReceipt,
    pub(super) record: Option<&'a StageRecord>,
}

pub(super) const COMMITS: &[(Column, CommitCell)] = &[
    (Column::text("stage", "the stage"), |of| text(&of.summary.stage)),
    (Column::integer("version", "the version of its table"), |of| integer(of.receipt.version.0)),
    (
        Column::text("outcome", "`committed`, or `already_committed` if an earlier attempt of the run had done so"),
        |of| word(of.receipt.outcome),
    ),
    (Column::text("strategy", "how the table was brought up to date"), |of| {
        maybe_text(of.summary.strategy.map(|strategy| strategy.as_str()))
    }),
    (Column::time("committed_at", "when the attempt ended that committed it"), |of| {
        let mut attempts = of.record.into_iter().flat_map(|record| record.attempts.iter().rev());
        let committed = attempts.find(|attempt| attempt.status == AttemptStatus::Committed);
        maybe_time(committed.and_then(|attempt| attempt.ended_at))
    }),
    (Column::integer("rows_written", "rows of the files that were written"), |of| integer(of.receipt.rows)),
    (
        Column::integer(
            "changed_rows",
            "rows inserted, updated or deleted; null if all or whole partitions were replaced",
        ),
        |of| maybe_integer(of.receipt.changed_rows),
    ),
    (Column::integer("table_rows", "rows of the table at this version"), |of| maybe_integer(of.receipt.table_rows)),
    (Column::integer("bytes_written", "bytes of data files written"), |of| integer(of.receipt.bytes)),
    (Column::integer("files_written", "data files written"), |of| integer(of.receipt.files)),
];

/// An input of a stage's version.
pub(super) struct Input<'a> {
    pub(super) lineage: &'a StageLineage,
    pub(super) input: &'a LineageInput,
}

pub(super) const LINEAGE: &[(Column, InputCell)] = &[
    (Column::text("stage", "the stage"), |of| text(&of.lineage.stage)),
    (Column::integer("version", "the version of its table; null if it committed none"), |of| {
        maybe_integer(of.lineage.output_version.map(|version| version.0))
    }),
    (Column::text("location", "where its table is"), |of| text(&of.lineage.location)),
    (Column::text("input", "the source or stage that it was derived from, through views"), |of| text(&of.input.name)),
    (Column::integer("input_version", "the version of that; null for sources without versions"), |of| {
        maybe_integer(of.input.version.map(|version| version.0))
    }),
    (Column::text("input_identity", "the identity of the scan, or of the content of sources without versions"), |of| {
        maybe_text(of.input.identity.as_ref())
    }),
    (Column::text("strategy", "how the table was brought up to date"), |of| {
        maybe_text(of.lineage.strategy.map(|strategy| strategy.as_str()))
    }),
    (Column::boolean("reused", "whether the table was used as it was"), |of| Cell::Boolean(of.lineage.reuse.hit)),
    (Column::text("code_version", "a hash of everything that determines its rows except the data"), |of| {
        text(&of.lineage.code_version)
    }),
    (Column::text("code_fingerprint", "a hash of its query and settings"), |of| text(&of.lineage.code_fingerprint)),
    (Column::text("plan_fingerprint", "a hash of its plan in canonical form"), |of| text(&of.lineage.plan_fingerprint)),
];

/// The changes of one source that a stage has applied.
pub(super) struct Applied<'a> {
    pub(super) lineage: &'a StageLineage,
    pub(super) change: &'a SourceChange,
}

pub(super) const CURSORS: &[(Column, AppliedCell)] = &[
    (Column::text("stage", "the stage"), |of| text(&of.lineage.stage)),
    (Column::text("source", "the source or stage whose changes it has applied"), |of| text(&of.change.source)),
    (
        Column::integer("from_version", "its cursor before: the last version that it had applied; null for files"),
        |of| maybe_integer(of.change.from.map(|version| version.0)),
    ),
    (Column::integer("to_version", "its cursor afterwards; null for files"), |of| {
        maybe_integer(of.change.to.map(|version| version.0))
    }),
    (Column::integer("changed_files", "files that the changes were in"), |of| integer(of.change.files)),
    (Column::integer("changed_rows", "rows of those files; null if the log does not count them"), |of| {
        maybe_integer(of.change.rows)
    }),
    (Column::integer("changed_bytes", "bytes of those files"), |of| integer(of.change.bytes)),
    (Column::integer("version", "the version of the stage's table that has applied them"), |of| {
        maybe_integer(of.lineage.output_version.map(|version| version.0))
    }),
];

/// Something that a stage has written.
pub(super) struct Written<'a> {
    stage: &'a NodeName,
    kind: &'static str,
    export: Option<&'a str>,
    materialization: &'a str,
    location: &'a str,
    version: u64,
    rows: u64,
    bytes: Option<u64>,
    schema_hash: Option<&'a str>,
}

impl<'a> Written<'a> {
    /// Everything that a stage has written.
    pub(super) fn all_of(record: &'a StageRecord) -> impl Iterator<Item = Self> {
        let outputs = record.outputs.iter().map(|output| Self::output(&record.stage, output));
        outputs.chain(record.quarantine.iter().map(|quarantine| Self::quarantine(&record.stage, quarantine)))
    }

    fn output(stage: &'a NodeName, output: &'a OutputRecord) -> Self {
        Self {
            stage,
            kind: if output.export.is_some() { "export" } else { "table" },
            export: output.export.as_deref(),
            materialization: &output.materialization,
            location: &output.location,
            version: output.version.0,
            rows: output.rows,
            bytes: Some(output.bytes),
            schema_hash: Some(&output.schema_hash),
        }
    }

    fn quarantine(stage: &'a NodeName, quarantine: &'a QuarantineRecord) -> Self {
        Self {
            stage,
            kind: "quarantine",
            export: None,
            materialization: "delta",
            location: &quarantine.location,
            version: quarantine.version.0,
            rows: quarantine.rows,
            bytes: None,
            schema_hash: None,
        }
    }
}

pub(super) const TABLES: &[(Column, WrittenCell)] = &[
    (Column::text("stage", "the stage that wrote it"), |of| text(of.stage)),
    (Column::text("kind", "`table`, `export` or `quarantine`"), |of| text(of.kind)),
    (Column::text("export", "the name of the export; null for tables"), |of| maybe_text(of.export)),
    (Column::text("materialization", "what it is: `delta`, a format of files, or the name of a saver"), |of| {
        text(of.materialization)
    }),
    (Column::text("location", "where it is"), |of| text(of.location)),
    (Column::integer("version", "its version; of an export, that of the table"), |of| integer(of.version)),
    (Column::integer("rows_written", "rows that were written"), |of| integer(of.rows)),
    (Column::integer("bytes_written", "bytes that were written; null for quarantines"), |of| maybe_integer(of.bytes)),
    (
        Column::text("schema_hash", "a hash of the names, types and nullability of the columns; null for quarantines"),
        |of| maybe_text(of.schema_hash),
    ),
];
