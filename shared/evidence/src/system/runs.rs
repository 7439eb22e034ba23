//! `runs` and `pins`.

use chrono::{DateTime, Utc};
use windlass_base::error::Coded;
use windlass_base::ids::RunId;
use windlass_project::literal_rows::{Cell, Row};

use super::column::{CellOf, Column, integer, maybe_integer, maybe_text, maybe_time, millis, text, texts, time};
use crate::artifact::{PinRecord, RunRecord, StageReceipt, StageStatus};
use crate::bundle::RecordError;

pub(super) const RUNS: &[(Column, CellOf<RunRecord>)] = &[
    (Column::time("ended_at", "when it ended; null while it runs, and if it was interrupted"), |run| {
        maybe_time(run.ended_at)
    }),
    (Column::integer("duration_ms", "from its start to its end"), |run| millis(Some(run.started_at), run.ended_at)),
    (
        Column::text(
            STATUS,
            "`running`, `succeeded`, `failed`, `cancelled`, `interrupted`, or `unreadable` if the bundle cannot be read",
        ),
        |run| text(run.status.as_str()),
    ),
    (Column::text("pipeline", "the pipeline"), |run| text(&run.pipeline)),
    (Column::integer("sequence", "the pipeline's how-manieth run it is"), |run| Cell::Integer(run.sequence.0)),
    (Column::text("target", "the target of the project, if one was chosen"), |run| maybe_text(run.target.as_ref())),
    (Column::text("selected", "what was selected (`--select`), if not everything"), |run| {
        maybe_text(run.select.as_ref())
    }),
    (Column::text("excluded", "what was taken out of it (`--exclude`)"), |run| maybe_text(run.exclude.as_ref())),
    (Column::text("params", "the parameters of the project, as JSON"), |run| {
        maybe_text(serde_json::to_string(&run.params).ok())
    }),
    (Column::text("host", "the machine that drove it"), |run| text(&run.host)),
    (Column::text("retry_of", "the run that it tries again"), |run| maybe_text(run.retry_of.as_ref())),
    (Column::integer("resumptions", "how often another process took it up"), |run| integer(run.resumptions.len())),
    (Column::integer("stages", "how many stages it has in `stages`"), |run| integer(run.stages.len())),
    (Column::integer("failed_stages", "how many of them failed"), |run| {
        integer(run.stages.iter().filter(|stage| stage.status == StageStatus::Failed).count())
    }),
    (Column::integer("rows_written", "rows written by all stages"), |run| written(run, |receipt| receipt.rows)),
    (Column::integer("bytes_written", "bytes of the data files written by all stages"), |run| {
        written(run, |receipt| receipt.bytes)
    }),
    (Column::text("project_fingerprint", "a hash of the project's files"), |run| text(&run.project_fingerprint)),
    (Column::text("session_identity", "a hash of everything about the session that can change a plan"), |run| {
        text(&run.session_identity)
    }),
    (Column::text("windlass_version", "the version of Windlass"), |run| text(&run.versions.windlass)),
    (Column::text("ballista_version", "the version of Ballista"), |run| text(&run.versions.ballista)),
    (Column::text("datafusion_version", "the version of DataFusion"), |run| text(&run.versions.datafusion)),
    (Column::text("deltalake_version", "the version of the `deltalake` crate"), |run| text(&run.versions.deltalake)),
    (Column::texts("warnings", "what went wrong besides the stages"), |run| texts(&run.warnings)),
    (Column::text(ERROR_CODE, "the code of `error`"), |run| {
        maybe_text(run.stages.iter().find_map(|stage| stage.failure.as_ref()).map(|failure| &failure.code))
    }),
    (Column::text(ERROR, "why the first of the failed stages failed, or why the bundle cannot be read"), |run| {
        maybe_text(run.stages.iter().find_map(|stage| stage.failure.as_ref()).map(|failure| &failure.message))
    }),
];

const STATUS: &str = "status";
const ERROR_CODE: &str = "error_code";
const ERROR: &str = "error";

fn written(run: &RunRecord, what: fn(&StageReceipt) -> u64) -> Cell {
    integer(run.stages.iter().filter_map(|stage| stage.receipt.as_ref()).map(what).sum::<u64>())
}

/// The row of a run whose bundle cannot be read. It began about when its id was made.
pub(super) fn unreadable(run_id: &RunId, made_at: Option<DateTime<Utc>>, error: &RecordError) -> Row {
    let failure = error.to_failure();
    let known = RUNS.iter().map(|(column, _)| match column.name {
        STATUS => text("unreadable"),
        ERROR_CODE => text(&failure.code),
        ERROR => text(&failure.message),
        _ => Cell::Null,
    });
    [text(run_id), maybe_time(made_at)].into_iter().chain(known).collect()
}

pub(super) const PINS: &[(Column, CellOf<PinRecord>)] = &[
    (Column::text("source", "the source"), |pin| text(&pin.source)),
    (Column::text("kind", "its kind, such as `delta` or `listing`"), |pin| text(&pin.kind)),
    (Column::text("location", "where it is"), |pin| text(&pin.location)),
    (Column::integer("version", "the Delta version that the run reads; null for sources without versions"), |pin| {
        maybe_integer(pin.version.map(|version| version.0))
    }),
    (Column::time("committed_at", "when that version was committed"), |pin| maybe_time(pin.committed_at)),
    (Column::text("chosen_by", "how the version was chosen: `latest`, `version`, `timestamp`"), |pin| {
        text(&pin.chosen_by)
    }),
    (Column::text("content_identity", "of sources without versions, a hash of the files that were read"), |pin| {
        maybe_text(pin.content_identity.as_ref())
    }),
    (Column::integer("files", "data files"), |pin| integer(pin.files)),
    (Column::integer("bytes", "their bytes"), |pin| integer(pin.bytes)),
];

/// What every row of a run begins with.
pub(super) fn key(run: &RunRecord) -> [Cell; 2] {
    [text(&run.run_id), time(run.started_at)]
}
