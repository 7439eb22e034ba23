//! What is measured of a stage, and in which unit.

use schemars::JsonSchema;
use serde::Serialize;
use windlass_base::count::count;

use super::words;

/// What is measured of a stage, or of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Data files of all inputs, read or not.
    InputFiles,
    /// Their bytes.
    InputBytes,
    /// Rows of the changes that had to be applied, at most.
    ChangeRows,
    /// Bytes of the files with these changes.
    ChangeBytes,
    /// Data files that the physical plan reads: those that partition values and statistics did not rule out.
    FilesPlanned,
    /// Ranges of files that were opened.
    FilesRead,
    /// Ranges of files that were ruled out when they were opened.
    FilesPruned,
    /// Row groups that were read.
    RowGroupsRead,
    /// Row groups that were ruled out.
    RowGroupsPruned,
    /// Bytes that scans read.
    BytesRead,
    /// Rows that came out of scans.
    RowsRead,
    /// Rows that came out of all operators, intermediate results included.
    OperatorRows,
    /// Rows that were written.
    RowsWritten,
    /// Bytes of data files that were written.
    BytesWritten,
    /// Data files that were written.
    FilesWritten,
    /// From the start of the first attempt to the end of the last.
    Duration,
    /// From the start of the last attempt to the begin of its commit.
    Execution,
    /// How long its commit took.
    Commit,
    /// The processor time of all operators, as the engine measures it.
    Compute,
    /// How long scans waited for files and read them, summed over tasks.
    ScanTime,
    /// How often operators spilled.
    Spills,
    /// Bytes that operators spilled.
    SpilledBytes,
    /// How long all tasks ran, summed.
    TaskTime,
    /// The longest task of the engine stage whose tasks differ most.
    LongestTask,
    /// The median task of that engine stage.
    MedianTask,
    /// The longest of these tasks, in percent of the median.
    TaskSkew,
    /// Executors that ran tasks.
    Executors,
    /// The most tasks that ran at the same time.
    ParallelTasks,
    /// Attempts at the stage.
    Attempts,
}

/// The unit of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeasureUnit {
    /// Things of any kind.
    Count,
    /// Rows.
    Rows,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
    /// Nanoseconds.
    Nanoseconds,
    /// Hundredths.
    Percent,
}

/// What a measure tells of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeasureGroup {
    /// How much there was to do.
    Volume,
    /// How long it took.
    Timing,
    /// With what it was done.
    Environment,
}

impl Measure {
    /// Its name in text.
    pub fn as_str(self) -> &'static str {
        self.facts().0
    }

    /// Its unit.
    pub fn unit(self) -> MeasureUnit {
        self.facts().1
    }

    /// What it tells of a stage.
    pub fn group(self) -> MeasureGroup {
        match self {
            _ if self >= Self::Executors => MeasureGroup::Environment,
            _ if self >= Self::Duration => MeasureGroup::Timing,
            _ => MeasureGroup::Volume,
        }
    }

    /// A value of it as text.
    pub fn text(self, value: u64) -> String {
        match self.unit() {
            MeasureUnit::Count | MeasureUnit::Rows => count(value),
            MeasureUnit::Bytes => words::bytes(value),
            MeasureUnit::Milliseconds => words::milliseconds(value),
            MeasureUnit::Nanoseconds => words::milliseconds(value / 1_000_000),
            MeasureUnit::Percent => format!("{} %", count(value)),
        }
    }

    fn facts(self) -> (&'static str, MeasureUnit) {
        use MeasureUnit::{Bytes, Count, Milliseconds, Nanoseconds, Percent, Rows};
        match self {
            Self::InputFiles => ("files of the inputs", Count),
            Self::InputBytes => ("bytes of the inputs", Bytes),
            Self::ChangeRows => ("rows of the changes", Rows),
            Self::ChangeBytes => ("bytes of the changes", Bytes),
            Self::FilesPlanned => ("files in the plan", Count),
            Self::FilesRead => ("files read", Count),
            Self::FilesPruned => ("files pruned", Count),
            Self::RowGroupsRead => ("row groups read", Count),
            Self::RowGroupsPruned => ("row groups pruned", Count),
            Self::BytesRead => ("bytes read", Bytes),
            Self::RowsRead => ("rows read", Rows),
            Self::OperatorRows => ("rows of all operators", Rows),
            Self::RowsWritten => ("rows written", Rows),
            Self::BytesWritten => ("bytes written", Bytes),
            Self::FilesWritten => ("files written", Count),
            Self::Duration => ("duration", Milliseconds),
            Self::Execution => ("execution", Milliseconds),
            Self::Commit => ("commit", Milliseconds),
            Self::Compute => ("compute time", Nanoseconds),
            Self::ScanTime => ("scan time", Nanoseconds),
            Self::Spills => ("spills", Count),
            Self::SpilledBytes => ("bytes spilled", Bytes),
            Self::TaskTime => ("time of all tasks", Milliseconds),
            Self::LongestTask => ("longest task", Milliseconds),
            Self::MedianTask => ("median task", Milliseconds),
            Self::TaskSkew => ("longest of median task", Percent),
            Self::Executors => ("executors", Count),
            Self::ParallelTasks => ("tasks at once", Count),
            Self::Attempts => ("attempts", Count),
        }
    }
}
