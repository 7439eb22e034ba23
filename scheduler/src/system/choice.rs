//! Which runs a question needs, by their ids: an id tells when it was made, which is about when its run began.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr_rewriter::unnormalize_cols;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use windlass_base::ids::RunId;
use windlass_evidence::system::SystemTable;

use super::demand::{Demand, Wanted};

/// How far apart the time in a run's id and the start of the run can be: clocks of different machines made them.
const APART: TimeDelta = TimeDelta::days(1);

/// The runs, or the turns of maintenance, that a home has, the newest first.
pub(super) struct Candidates {
    all: Vec<Candidate>,
}

/// A run or a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) id: RunId,
    pub(super) made_at: DateTime<Utc>,
}

/// Those whose rows are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// Whether each candidate is.
    keep: Vec<bool>,
    /// How many are enough; `None` if all of them are needed.
    enough: Option<usize>,
    /// Those that were made earlier are not needed any more.
    oldest: Option<DateTime<Utc>>,
}

impl Candidates {
    /// Those with these ids. Other folders and files are none.
    pub(super) fn new(mut ids: Vec<RunId>) -> Self {
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let candidate = |id: RunId| {
            let made_at = DateTime::from_timestamp_millis(id.made_at_ms()?)?;
            Some(Candidate { id, made_at })
        };
        Self { all: ids.into_iter().filter_map(candidate).collect() }
    }

    pub(super) fn all(&self) -> &[Candidate] {
        &self.all
    }

    /// Those that have rows which a scan of `table` can use.
    pub(super) fn choose(
        &self,
        state: &SessionState,
        schema: &SchemaRef,
        table: SystemTable,
        demands: &[Demand],
    ) -> Choice {
        let of_table: Vec<&Demand> = demands.iter().filter(|demand| demand.table == table).collect();
        let counts: Option<Vec<usize>> = of_table
            .iter()
            .map(|demand| match demand.rows {
                Wanted::Newest(count) => Some(count),
                Wanted::Filtered(_) => None,
            })
            .collect();
        if let Some(most) = counts.and_then(|counts| counts.into_iter().max()) {
            return Choice::newest(most, self.all.len());
        }
        let mut keep = vec![false; self.all.len()];
        for demand in of_table {
            let chosen = match &demand.rows {
                Wanted::Newest(_) => vec![true; keep.len()],
                Wanted::Filtered(filters) => self.filtered(state, schema, table, filters),
            };
            keep.iter_mut().zip(chosen).for_each(|(keep, chosen)| *keep |= chosen);
        }
        Choice { keep, enough: None, oldest: None }
    }

    /// Those that may have rows for which all filters are true.
    fn filtered(&self, state: &SessionState, schema: &SchemaRef, table: SystemTable, filters: &[Expr]) -> Vec<bool> {
        let mut keep = vec![true; self.all.len()];
        let bounds = Bounds::of(&self.all, table);
        for filter in unnormalize_cols(filters.iter().filter(|filter| keeps_order(filter)).cloned()) {
            // A filter that ids and times do not answer is no error: the question filters.
            let filter =
                DFSchema::try_from(Arc::clone(schema)).and_then(|columns| state.create_physical_expr(filter, &columns));
            let Ok(filter) = filter else { continue };
            let predicate = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).try_build(filter);
            let Ok(predicate) = predicate else { continue };
            if let Ok(matching) = predicate.prune(&bounds) {
                keep.iter_mut().zip(matching).for_each(|(keep, matches)| *keep &= matches);
            }
        }
        keep
    }
}

/// Whether the filter can be decided by bounds. The engine takes any cast for one that keeps the order of values, which a
/// cast of a time to a time of day does not.
fn keeps_order(filter: &Expr) -> bool {
    let is_ordered = |data_type: &DataType| data_type.is_string() || is_point_in_time(data_type);
    let reorders = filter.exists(|expr| {
        Ok(match expr {
            Expr::Cast(cast) => !is_ordered(cast.field.data_type()),
            Expr::TryCast(cast) => !is_ordered(cast.field.data_type()),
            _ => false,
        })
    });
    !filter.is_volatile() && !reorders.unwrap_or(true)
}

fn is_point_in_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, _) | DataType::Date32)
}

impl Choice {
    fn newest(count: usize, of: usize) -> Self {
        Self { keep: vec![count > 0; of], enough: Some(count), oldest: None }
    }

    /// Whether the candidate at that place is needed.
    pub(super) fn wants(&self, place: usize, candidate: &Candidate) -> bool {
        let is_recent = self.oldest.is_none_or(|oldest| candidate.made_at >= oldest);
        is_recent && self.keep.get(place).is_some_and(|keep| *keep)
    }

    /// Says that the rows of a candidate were found. When there are enough, what can be among the newest all the same is
    /// what began as late as this one may have.
    pub(super) fn found(&mut self, candidate: &Candidate) {
        let Some(enough) = &mut self.enough else { return };
        *enough = enough.saturating_sub(1);
        if *enough == 0 && self.oldest.is_none() {
            self.oldest = candidate.made_at.checked_sub_signed(APART + APART);
        }
    }
}

/// The id of each candidate, and between which times it began, as what a filter is decided by.
struct Bounds {
    table: SystemTable,
    ids: ArrayRef,
    earliest: ArrayRef,
    latest: ArrayRef,
}

impl Bounds {
    fn of(candidates: &[Candidate], table: SystemTable) -> Self {
        let times = |by: TimeDelta| -> ArrayRef {
            let micros = candidates.iter().map(|candidate| (candidate.made_at + by).timestamp_micros());
            Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
        };
        Self {
            table,
            ids: Arc::new(StringArray::from_iter_values(candidates.iter().map(|candidate| candidate.id.as_str()))),
            earliest: times(-APART),
            latest: times(APART),
        }
    }

    fn bound(&self, column: &Column, of_start: &ArrayRef) -> Option<ArrayRef> {
        match column.name.as_str() {
            name if name == self.table.id_column() => Some(Arc::clone(&self.ids)),
            name if name == self.table.start_column() => Some(Arc::clone(of_start)),
            _ => None,
        }
    }
}

impl PruningStatistics for Bounds {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, &self.earliest)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, &self.latest)
    }

    fn num_containers(&self) -> usize {
        self.ids.len()
    }

    fn null_counts(&self, _column: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
