//! The rows that a stage has computed against what it expects of them, before anything of them becomes visible.
//!
//! ```text
//! new rows (written or kept, not committed) ─ one query for all rules ─→ how many rows are not as expected
//!     ├─ fail ───────→ the stage fails, its table stays as it is
//!     ├─ warn ───────→ it is said
//!     └─ quarantine ─→ rows that are not so ─→ files of the side table, committed before the stage's own
//!                      rows that are ────────→ what the stage commits
//! ```

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::cast as cast_array;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result as EngineResult;
use datafusion::functions::string::expr_fn::concat_ws;
use datafusion::functions_aggregate::expr_fn::{count, max};
use datafusion::logical_expr::{Expr, ExprFunctionExt, JoinType, LogicalPlan, LogicalPlanBuilder, cast, lit, when};
use datafusion::prelude::SessionContext;
use windlass_base::count::counted;
use windlass_base::error::{Coded, Failure};
use windlass_delta::commit::BaseExpectation;
use windlass_delta::scan::ScanOptions;
use windlass_delta::table::{SchemaChange, TableDefinition, TableState, ensure_table};
use windlass_delta::values::{is_changed_by_storing, stored};
use windlass_delta::write::{StagedFiles, delta_write_plan};
use windlass_engine::function::exact::sum_of;
use windlass_evidence::artifact::ExpectationRecord;
use windlass_project::expect::{Expectation, QUARANTINE_SUFFIX, Rule, Severity};
use windlass_storage::Location;

use super::attempt::StageRun;
use super::incremental::Update;
use crate::plan::QueryInputs;
use crate::plan::quarantine::{AT, RULES, RUN_ID};
use crate::run::staged::StagedQuarantine;

/// Rows of each broken expectation that are kept as examples.
const SAMPLES: usize = 5;
/// Characters of one value of them.
const SHOWN_VALUE: usize = 40;
/// Columns of them, where a rule does not say which it looks at.
const SHOWN_COLUMNS: usize = 8;

impl StageRun<'_> {
    /// Holds rows that have been written, `all` of the stage's or those that changes made, to what the stage expects.
    /// Gives the files of those that can be committed.
    pub(super) async fn validate_written(
        &mut self,
        context: &Arc<SessionContext>,
        table: &TableState,
        files: StagedFiles,
        all: bool,
    ) -> Result<StagedFiles, Failure> {
        if self.stage.expectations.is_empty() {
            return Ok(files);
        }
        let options = ScanOptions::from_config(context.state().config());
        let rows = files.provider(&self.write_spec(table), &options)?;
        let rows = self.plan_of(
            LogicalPlanBuilder::scan("__wl_written", provider_as_source(rows), None)
                .and_then(LogicalPlanBuilder::build),
        )?;
        let Some(good) = self.validate(context, &rows, all).await? else { return Ok(files) };
        let spec = self.write_spec(table);
        let batches =
            self.run_job(context, "good rows", &good, |plan, state| delta_write_plan(plan, spec, state)).await?;
        Ok(StagedFiles::from_batches(&batches)?)
    }

    /// Holds rows to what the stage expects. Gives those that are to be committed, if not all are.
    pub(super) async fn validate(
        &mut self,
        context: &Arc<SessionContext>,
        rows: &LogicalPlan,
        all: bool,
    ) -> Result<Option<LogicalPlan>, Failure> {
        let expectations = &self.stage.expectations;
        if expectations.is_empty() {
            return Ok(None);
        }
        let mut records = self.count(context, rows, all).await?;
        for (expectation, record) in expectations.iter().zip(&mut records) {
            if record.rows_failed > 0 && expectation.rule.is_about_rows() {
                record.samples = self.samples(context, rows, expectation).await?;
            }
        }
        let broken = |severity: Severity| {
            expectations
                .iter()
                .zip(&records)
                .filter(move |(expectation, record)| expectation.severity == severity && record.broken)
        };
        let failed: Vec<String> =
            broken(Severity::Fail).map(|(expectation, record)| describe(expectation, record)).collect();
        let warned: Vec<String> =
            broken(Severity::Warn).map(|(expectation, record)| describe(expectation, record)).collect();
        let apart: Vec<Expectation> =
            broken(Severity::Quarantine).map(|(expectation, _)| expectation.clone()).collect();
        let said: Vec<String> =
            broken(Severity::Quarantine).map(|(expectation, record)| describe(expectation, record)).collect();
        self.notes().expectations = records;
        if !failed.is_empty() {
            return Err(Failure {
                code: "WL1032".to_owned(),
                message: format!("rows of `{}` are not as expected: {}", self.stage.name, failed.join("; ")),
                help: Some("correct the data or the query, or set `on_failure: quarantine` or `warn`".to_owned()),
                retryable: false,
            });
        }
        let name = self.stage.name.clone();
        for message in warned {
            let message = format!("rows of `{name}` are not as expected: {message}");
            self.run.journal.warn(&name, message).await;
        }
        if apart.is_empty() {
            return Ok(None);
        }
        for message in said {
            let message = format!("rows of `{name}` go to quarantine: {message}");
            self.run.journal.warn(&name, message).await;
        }
        self.split_quarantined(context, rows, &apart).await.map(Some)
    }

    /// Those of `rows` that no expectation about single rows would send to quarantine.
    pub(super) fn good_rows(&self, context: &SessionContext, rows: LogicalPlan) -> Result<LogicalPlan, Failure> {
        let mut good = rows;
        for expectation in self.stage.expectations.iter().filter(|rule| rule.severity == Severity::Quarantine) {
            if let Some(condition) = expectation.rule.condition() {
                let met = self.condition(context, &good, &condition)?;
                good = self.plan_of(
                    LogicalPlanBuilder::from(good).filter(met.is_true()).and_then(LogicalPlanBuilder::build),
                )?;
            }
        }
        Ok(good)
    }

    /// Whether what rows refer to has changed, so that some come out of quarantine and others go there.
    pub(super) fn refers_to_changed(&self, update: &Update<'_>) -> bool {
        let graph = self.run.graph();
        let quarantines = self.stage.expectations.iter().filter(|rule| rule.severity == Severity::Quarantine);
        let mut references = quarantines.filter_map(|expectation| match &expectation.rule {
            Rule::References { to, .. } => Some(to),
            _ => None,
        });
        references
            .any(|to| QueryInputs::lasting(graph, [to]).base_tables.iter().any(|name| update.feeds.tables.has(name)))
    }

    /// How many rows break each expectation.
    async fn count(
        &mut self,
        context: &Arc<SessionContext>,
        rows: &LogicalPlan,
        all: bool,
    ) -> Result<Vec<ExpectationRecord>, Failure> {
        let expectations = &self.stage.expectations;
        let mut totals = vec![count(lit(1_i64)).alias("__wl_rows")];
        for (index, expectation) in expectations.iter().enumerate() {
            let value = match &expectation.rule {
                Rule::Freshness { column, .. } => {
                    cast(max(named(column)), DataType::Timestamp(TimeUnit::Microsecond, None))
                }
                rule => match rule.condition() {
                    Some(condition) => {
                        let met = self.condition(context, rows, &condition)?;
                        sum_of(self.expr(when(met.is_true(), lit(0_i64)).otherwise(lit(1_i64)))?)
                    }
                    None => continue,
                },
            };
            totals.push(value.alias(total(index)));
        }
        let plan = LogicalPlanBuilder::from(rows.clone()).aggregate(Vec::<Expr>::new(), totals);
        let plan = self.plan_of(plan.and_then(LogicalPlanBuilder::build))?;
        let totals = self.collect(context, "expectations", &plan).await?;
        let checked = u64::try_from(number(&totals, "__wl_rows").unwrap_or_default()).unwrap_or_default();
        let mut records = Vec::with_capacity(expectations.len());
        for (index, expectation) in expectations.iter().enumerate() {
            let value = number(&totals, &total(index));
            let mut samples = Vec::new();
            let (failed, broken, looked_at) = match &expectation.rule {
                Rule::RowCount { min, max } => {
                    let fits = min.is_none_or(|min| checked >= min) && max.is_none_or(|max| checked <= max);
                    (0, all && !fits, all)
                }
                Rule::Freshness { within_seconds, .. } => {
                    let newest = value.and_then(DateTime::<Utc>::from_timestamp_micros);
                    let age =
                        newest.map(|newest| u64::try_from((Utc::now() - newest).num_seconds()).unwrap_or_default());
                    let fresh = age.is_none_or(|age| age <= *within_seconds);
                    if let (Some(newest), Some(age), false) = (newest, age, fresh) {
                        samples.push(format!(
                            "the newest is {}, {} old",
                            newest.format("%Y-%m-%dT%H:%M:%SZ"),
                            age_text(age)
                        ));
                    }
                    (0, !fresh, true)
                }
                Rule::Unique { .. } | Rule::References { .. } => {
                    let failed = self.count_together(context, rows, expectation).await?;
                    (failed, failed > 0, true)
                }
                _ => {
                    let failed = u64::try_from(value.unwrap_or_default()).unwrap_or_default();
                    (failed, failed > 0, true)
                }
            };
            records.push(ExpectationRecord {
                name: expectation.name.clone(),
                rule: expectation.rule.to_string(),
                severity: expectation.severity,
                tags: expectation.tags.clone(),
                rows_checked: if looked_at { checked } else { 0 },
                rows_failed: failed,
                broken,
                samples,
            });
        }
        Ok(records)
    }

    /// How many rows break an expectation about rows among each other.
    async fn count_together(
        &mut self,
        context: &Arc<SessionContext>,
        rows: &LogicalPlan,
        expectation: &Expectation,
    ) -> Result<u64, Failure> {
        let (plan, flag) = self.flagged(context, rows.clone(), expectation, 0).await?;
        let plan = LogicalPlanBuilder::from(plan)
            .filter(flag)
            .and_then(|plan| plan.aggregate(Vec::<Expr>::new(), [count(lit(1_i64)).alias("__wl_rows")]))
            .and_then(LogicalPlanBuilder::build);
        let plan = self.plan_of(plan)?;
        let found = self.collect(context, "expectations", &plan).await?;
        Ok(u64::try_from(number(&found, "__wl_rows").unwrap_or_default()).unwrap_or_default())
    }

    /// Rows that break an expectation, as texts of what it looks at.
    async fn samples(
        &mut self,
        context: &Arc<SessionContext>,
        rows: &LogicalPlan,
        expectation: &Expectation,
    ) -> Result<Vec<String>, Failure> {
        let mut shown: Vec<String> = self.stage.table.key.clone();
        for column in expectation.rule.columns() {
            if !shown.iter().any(|known| known == column) {
                shown.push(column.to_owned());
            }
        }
        if expectation.rule.columns().is_empty() {
            let others = rows.schema().fields().iter().map(|field| field.name().clone());
            shown.extend(others.filter(|name| !self.stage.table.key.contains(name)));
            shown.truncate(SHOWN_COLUMNS.max(self.stage.table.key.len()));
        }
        let (plan, flag) = self.flagged(context, rows.clone(), expectation, 0).await?;
        let plan = LogicalPlanBuilder::from(plan)
            .filter(flag)
            .and_then(|plan| plan.project(shown.iter().map(|name| named(name))))
            .and_then(|plan| plan.limit(0, Some(SAMPLES)))
            .and_then(LogicalPlanBuilder::build);
        let plan = self.plan_of(plan)?;
        let found = self.collect(context, "samples", &plan).await?;
        Ok(found.iter().flat_map(row_texts).collect())
    }

    /// Writes the rows that break any of `broken` for the side table. Gives the others.
    async fn split_quarantined(
        &mut self,
        context: &Arc<SessionContext>,
        rows: &LogicalPlan,
        broken: &[Expectation],
    ) -> Result<LogicalPlan, Failure> {
        let columns: Vec<Expr> = rows.schema().fields().iter().map(|field| named(field.name())).collect();
        let mut plan = rows.clone();
        let mut flags = Vec::new();
        for (index, expectation) in broken.iter().enumerate() {
            let (flagged, flag) = self.flagged(context, plan, expectation, index).await?;
            plan = flagged;
            flags.push(flag);
        }
        let names = flags.iter().zip(broken).map(|(flag, expectation)| {
            when(flag.clone(), lit(expectation.name.as_str())).otherwise(lit(ScalarValue::Utf8(None)))
        });
        let names = self.expr(names.collect::<EngineResult<Vec<Expr>>>())?;
        let any = flags.into_iter().reduce(Expr::or).unwrap_or_else(|| lit(false));
        let part = |condition: Expr, columns: Vec<Expr>| {
            LogicalPlanBuilder::from(plan.clone())
                .filter(condition)
                .and_then(|plan| plan.project(columns))
                .and_then(LogicalPlanBuilder::build)
        };
        let good = self.plan_of(part(!any.clone(), columns.clone()))?;
        let at = ScalarValue::TimestampMicrosecond(Some(Utc::now().timestamp_micros()), Some("UTC".into()));
        let mut with_reason = columns;
        with_reason.extend([
            lit(self.run.identity.run_id.to_string()).alias(RUN_ID),
            concat_ws(lit(", "), names).alias(RULES),
            lit(at).alias(AT),
        ]);
        let bad = self.plan_of(part(any, with_reason))?;
        self.quarantine = Some(Box::new(self.write_quarantine(context, &bad).await?));
        Ok(good)
    }

    async fn write_quarantine(
        &mut self,
        context: &Arc<SessionContext>,
        bad: &LogicalPlan,
    ) -> Result<StagedQuarantine, Failure> {
        let location = self.quarantine_location();
        let fields = bad.schema().fields().iter();
        let fields: Vec<Field> =
            fields.map(|field| Field::new(field.name(), field.data_type().clone(), true)).collect();
        let definition = TableDefinition {
            location: location.clone(),
            schema: Arc::new(Schema::new(fields)),
            partition_by: Vec::new(),
            properties: Default::default(),
            not_null: Vec::new(),
            constraints: Default::default(),
            comment: Some(format!("Rows of {} that were not as expected", self.stage.name)),
        };
        let stores = self.run.stores();
        let info = self.run.commit_info(&self.stage.name, "");
        let table = ensure_table(&definition, SchemaChange::Refuse, stores, &info).await;
        let table = table.map_err(|error| Failure {
            help: Some(format!("move the table at {location} away: it has other columns")),
            ..error.to_failure()
        })?;
        let spec = self.write_spec_as(&table, &format!("{}{QUARANTINE_SUFFIX}", self.stage.name));
        let batches =
            self.run_job(context, "quarantine", bad, |plan, state| delta_write_plan(plan, spec, state)).await?;
        let files = StagedFiles::from_batches(&batches)?;
        Ok(StagedQuarantine { location, files, base: BaseExpectation::of(&table) })
    }

    /// Where the rows of the stage go that are not as expected: beside its table.
    fn quarantine_location(&self) -> Location {
        self.planned.table.location.beside(QUARANTINE_SUFFIX)
    }

    /// The rows, perhaps with more columns, and a condition that is true or false: whether a row breaks the expectation.
    /// `index` tells those of one plan apart.
    async fn flagged(
        &self,
        context: &Arc<SessionContext>,
        rows: LogicalPlan,
        expectation: &Expectation,
        index: usize,
    ) -> Result<(LogicalPlan, Expr), Failure> {
        let known = |columns: &[String]| {
            columns.iter().map(|column| named(column).is_not_null()).reduce(Expr::and).unwrap_or_else(|| lit(true))
        };
        match &expectation.rule {
            Rule::Unique { columns } => {
                let copies = format!("__wl_copies_{index}");
                let by: Vec<Expr> = columns.iter().map(|column| named(column)).collect();
                let count = self.expr(
                    Expr::from(datafusion::logical_expr::expr::WindowFunction::new(
                        datafusion::functions_aggregate::count::count_udaf(),
                        vec![lit(1_i64)],
                    ))
                    .partition_by(by)
                    .build(),
                )?;
                let plan =
                    LogicalPlanBuilder::from(rows).window([count.alias(&copies)]).and_then(LogicalPlanBuilder::build);
                Ok((self.plan_of(plan)?, named(&copies).gt(lit(1_i64)).and(known(columns))))
            }
            Rule::References { columns, to, key } => {
                let marker = format!("__wl_found_{index}");
                let of_other = |place: usize| format!("__wl_key_{index}_{place}");
                let other = context.table(to.as_str()).await.map_err(|error| self.engine_failure(error))?;
                let other = other.into_unoptimized_plan();
                // The rows hold what is stored; what they refer to may be the rows of a view or a source.
                let as_stored = |column: &String| match other.schema().field_with_unqualified_name(column) {
                    Ok(field) if is_changed_by_storing(field.data_type()) => stored(named(column)),
                    _ => named(column),
                };
                let keys: Vec<Expr> =
                    key.iter().enumerate().map(|(place, column)| as_stored(column).alias(of_other(place))).collect();
                let plan = LogicalPlanBuilder::from(other)
                    .project(keys)
                    .and_then(LogicalPlanBuilder::distinct)
                    .and_then(|keys| {
                        let columns = (0..key.len()).map(|place| named(&of_other(place)));
                        keys.project(columns.chain([lit(true).alias(&marker)]))
                    })
                    .and_then(LogicalPlanBuilder::build)
                    .and_then(|keys| {
                        let left: Vec<Column> = columns.iter().map(Column::new_unqualified).collect();
                        let right: Vec<Column> =
                            (0..key.len()).map(|place| Column::new_unqualified(of_other(place))).collect();
                        LogicalPlanBuilder::from(rows).join(keys, JoinType::Left, (left, right), None)
                    })
                    .and_then(LogicalPlanBuilder::build);
                Ok((self.plan_of(plan)?, named(&marker).is_null().and(known(columns))))
            }
            rule => {
                let condition = rule.condition().unwrap_or_else(|| "true".to_owned());
                let met = self.condition(context, &rows, &condition)?;
                Ok((rows, met.is_not_true()))
            }
        }
    }

    fn condition(&self, context: &SessionContext, rows: &LogicalPlan, sql: &str) -> Result<Expr, Failure> {
        self.expr(context.state().create_logical_expr(sql, rows.schema()))
    }

    fn plan_of(&self, plan: EngineResult<LogicalPlan>) -> Result<LogicalPlan, Failure> {
        plan.map_err(|error| self.engine_failure(error))
    }

    fn expr<T>(&self, expr: EngineResult<T>) -> Result<T, Failure> {
        expr.map_err(|error| self.engine_failure(error))
    }
}

/// A column by its name, whatever relation it is of.
fn named(column: &str) -> Expr {
    Expr::Column(Column::new_unqualified(column))
}

fn total(index: usize) -> String {
    format!("__wl_total_{index}")
}

/// A number in the first row.
pub(super) fn number(batches: &[RecordBatch], column: &str) -> Option<i64> {
    let batch = batches.iter().find(|batch| batch.num_rows() > 0)?;
    let values = cast_array(batch.column_by_name(column)?, &DataType::Int64).ok()?;
    let values = values.as_primitive_opt::<Int64Type>()?;
    values.iter().next().flatten()
}

fn describe(expectation: &Expectation, record: &ExpectationRecord) -> String {
    let (name, rule) = (&expectation.name, &record.rule);
    if !expectation.rule.is_about_rows() {
        return match record.samples.first() {
            Some(found) => format!("`{name}` ({rule}): {found}"),
            None => format!("`{name}` ({rule}) with {}", counted(record.rows_checked, "row")),
        };
    }
    let such = match record.samples.first() {
        Some(sample) => format!(", such as {sample}"),
        None => String::new(),
    };
    format!("`{name}` ({rule}) in {} of {}{such}", record.rows_failed, counted(record.rows_checked, "row"))
}

/// An age in its two largest units: `3 d 4 h`.
fn age_text(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// Every row of a batch, its values shortened.
fn row_texts(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    let schema = batch.schema();
    let text = |row: usize| {
        let values = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
            let value = ArrayFormatter::try_new(column, &options)
                .and_then(|formatter| formatter.value(row).try_to_string())
                .unwrap_or_else(|_| "?".to_owned());
            let mut short: String =
                value.chars().take(SHOWN_VALUE).map(|c| if c.is_control() { ' ' } else { c }).collect();
            if value.chars().nth(SHOWN_VALUE).is_some() {
                short.push('…');
            }
            format!("{} = {short}", field.name())
        });
        format!("({})", values.collect::<Vec<_>>().join(", "))
    };
    (0..batch.num_rows()).map(text).collect()
}
