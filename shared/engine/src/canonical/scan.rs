//! Scans: the table and its columns.
//!
//! The content of a table and how it is read are part of its registration. A table function is not registered: its
//! arguments are taken from its result.

use std::collections::BTreeMap;

use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::functions_table::generate_series::{Empty, GenerateSeriesTable, GenericSeriesState, TimestampValue};
use datafusion::logical_expr::{Expr, TableScan};

use super::Names;
use super::data_type::type_digest;
use super::form::{Form, Scope};

/// The batch size of a series, which does not affect its values.
const BATCH: usize = 1;

impl Form {
    pub(super) fn scan(&mut self, scan: &TableScan) -> Result<()> {
        // The requested statistics do not affect rows.
        let TableScan { table_name, source, projection, projected_schema, filters, fetch, statistics_requests: _ } =
            scan;
        self.tag("scan");
        let provider = source_as_provider(source).ok();
        if let Some(table) = provider.as_ref().and_then(|provider| provider.downcast_ref::<CteWorkTable>()) {
            self.work_table(table);
        } else if let Some(series) = provider.as_ref().and_then(|table| table.downcast_ref::<GenerateSeriesTable>()) {
            self.series(series)?;
        } else {
            self.table(table_name.table(), scan);
        }
        if self.names == Names::All {
            self.relation(Some(table_name));
            self.out.flag(projection.is_some());
        }
        self.columns_of(projected_schema);
        self.rows_at_most(*fetch);
        self.out.count(filters.len());
        let whole = std::sync::Arc::new(DFSchema::try_from_qualified_schema(table_name.clone(), &source.schema())?);
        filters.iter().try_for_each(|filter| self.expr(filter, Scope::table(&[&whole])))
    }

    /// A table of the project, or its replacement, by name.
    fn table(&mut self, name: &str, scan: &TableScan) {
        self.tag("table");
        self.out.text(name);
        let schema = scan.source.schema();
        let of_filters = scan.filters.iter().flat_map(Expr::column_refs).map(|column| column.name.as_str());
        let of_rows = scan.projected_schema.fields().iter().map(|field| field.name().as_str());
        let columns = of_rows.chain(of_filters).filter_map(|name| schema.field_with_name(name).ok());
        let columns: BTreeMap<String, String> =
            columns.map(|field| (field.name().clone(), type_digest(field.data_type()))).collect();
        self.dependencies.tables.entry(name.to_owned()).or_default().extend(columns);
    }

    /// The work table of a recursive query, identified by the nesting level of that query.
    fn work_table(&mut self, table: &CteWorkTable) {
        self.tag("work table");
        match self.recursive.iter().rev().position(|name| name == table.name()) {
            Some(depth) => self.out.count(depth),
            None => {
                self.names_matter();
                self.out.text(table.name());
            }
        }
    }

    fn series(&mut self, table: &GenerateSeriesTable) -> Result<()> {
        self.tag("series");
        self.data_type_of(table);
        let generator = table.as_generator(BATCH)?;
        let generator = generator.read();
        let state = generator.as_any();
        if let Some(empty) = state.downcast_ref::<Empty>() {
            self.tag("empty");
            self.out.text(empty.name());
        } else if let Some(series) = state.downcast_ref::<GenericSeriesState<i64>>() {
            self.tag("numbers");
            self.out.text(series.name());
            [*series.start(), *series.end(), *series.step()].into_iter().for_each(|number| self.out.signed(number));
            self.out.flag(series.include_end());
        } else if let Some(series) = state.downcast_ref::<GenericSeriesState<TimestampValue>>() {
            self.tag("times");
            self.out.text(series.name());
            for time in [series.start(), series.end()] {
                self.out.signed(time.value());
                self.out.flag(time.tz_str().is_some());
                self.out.text(time.tz_str().map(AsRef::as_ref).unwrap_or_default());
            }
            let step = series.step();
            [i64::from(step.months), i64::from(step.days), step.nanoseconds]
                .into_iter()
                .for_each(|part| self.out.signed(part));
            self.out.flag(series.include_end());
        } else {
            self.dependencies.opaque.insert("a table function".to_owned());
        }
        Ok(())
    }

    fn data_type_of(&mut self, table: &GenerateSeriesTable) {
        for field in table.schema().fields() {
            self.data_type(field.data_type());
        }
    }
}
