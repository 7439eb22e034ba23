//! Nodes of plans.

use datafusion::common::{
    Column, DFSchemaRef, JoinType, NullEquality, NullHandling, RecursionUnnestOption, UnnestOptions,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::logical_plan::{ColumnUnnestList, RangePartitioning};
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, EmptyRelation, Extension, Filter, Join, Limit, LogicalPlan, Partitioning,
    Projection, RecursiveQuery, Repartition, Sort, Subquery, SubqueryAlias, Union, Unnest, Values, Window,
};

use super::Names;
use super::form::{Form, Scope};

impl Form {
    /// A whole query: its result columns and its plan.
    pub(super) fn query(&mut self, plan: &LogicalPlan) -> Result<()> {
        self.columns_of(plan.schema());
        self.node(plan)
    }

    /// Names and types of columns; nullability only where it could be observed.
    pub(super) fn columns_of(&mut self, schema: &DFSchemaRef) {
        self.out.count(schema.fields().len());
        for (relation, field) in schema.iter() {
            self.out.text(field.name());
            self.data_type(field.data_type());
            if self.names == Names::All {
                self.relation(relation);
                self.out.flag(field.is_nullable());
            }
        }
    }

    #[recursive::recursive]
    pub(super) fn node(&mut self, plan: &LogicalPlan) -> Result<()> {
        match plan {
            LogicalPlan::Projection(Projection { expr, input, schema: _, .. }) => {
                self.tag("projection");
                self.node(input)?;
                self.exprs(expr, Scope::inputs(&[input.schema()]))
            }
            LogicalPlan::Filter(Filter { predicate, input, .. }) => {
                self.tag("filter");
                self.node(input)?;
                self.expr(predicate, Scope::inputs(&[input.schema()]))
            }
            LogicalPlan::Window(Window { input, window_expr, schema: _ }) => {
                self.tag("window");
                self.node(input)?;
                self.exprs(window_expr, Scope::inputs(&[input.schema()]))
            }
            LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, schema: _, .. }) => {
                self.tag("aggregate");
                self.node(input)?;
                self.exprs(group_expr, Scope::inputs(&[input.schema()]))?;
                self.exprs(aggr_expr, Scope::inputs(&[input.schema()]))
            }
            LogicalPlan::Sort(Sort { expr, input, fetch }) => {
                self.tag("sort");
                self.node(input)?;
                self.rows_at_most(*fetch);
                self.sorts(expr, Scope::inputs(&[input.schema()]))
            }
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Repartition(Repartition { input, partitioning_scheme }) => {
                self.tag("repartition");
                self.node(input)?;
                self.partitioning(partitioning_scheme, Scope::inputs(&[input.schema()]))
            }
            LogicalPlan::Union(Union { inputs, schema: _ }) => {
                self.tag("union");
                self.out.count(inputs.len());
                inputs.iter().try_for_each(|input| self.node(input))
            }
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row, schema }) => {
                self.tag("empty");
                self.out.flag(*produce_one_row);
                self.columns_of(schema);
                Ok(())
            }
            LogicalPlan::Subquery(Subquery { subquery, outer_ref_columns: _, spans: _ }) => {
                self.tag("subquery");
                self.node(subquery)
            }
            LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, schema: _, .. }) => {
                if self.names == Names::All {
                    self.tag("alias");
                    self.relation(Some(alias));
                }
                self.node(input)
            }
            LogicalPlan::Limit(Limit { skip, fetch, input }) => {
                self.tag("limit");
                self.node(input)?;
                self.optional_expr(skip.as_deref(), Scope::NOTHING)?;
                self.optional_expr(fetch.as_deref(), Scope::NOTHING)
            }
            LogicalPlan::Values(Values { schema, values }) => {
                self.tag("values");
                self.columns_of_values(schema);
                self.out.count(values.len());
                values.iter().try_for_each(|row| self.exprs(row, Scope::NOTHING))
            }
            LogicalPlan::Extension(Extension { node }) => {
                self.tag("extension");
                self.out.text(node.name());
                self.dependencies.opaque.insert(format!("the node `{}` of an extension", node.name()));
                let inputs = node.inputs();
                self.out.count(inputs.len());
                inputs.iter().try_for_each(|input| self.node(input))?;
                let schemas: Vec<&DFSchemaRef> = inputs.iter().map(|input| input.schema()).collect();
                self.exprs(&node.expressions(), Scope::inputs(&schemas))
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                self.tag("distinct");
                self.node(input)
            }
            LogicalPlan::Distinct(Distinct::On(distinct)) => self.distinct_on(distinct),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            LogicalPlan::RecursiveQuery(RecursiveQuery {
                name,
                static_term,
                recursive_term,
                is_distinct,
                schema: _,
            }) => {
                self.tag("recursive query");
                self.inner_name(name);
                self.out.flag(*is_distinct);
                self.node(static_term)?;
                self.recursive.push(name.clone());
                let written = self.node(recursive_term);
                self.recursive.pop();
                written
            }
            LogicalPlan::Statement(_) => no_query("a statement"),
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => no_query("an EXPLAIN"),
            LogicalPlan::Dml(_) => no_query("a change of a table"),
            LogicalPlan::Ddl(_) => no_query("the creation or removal of something"),
            LogicalPlan::Copy(_) => no_query("a COPY"),
            LogicalPlan::DescribeTable(_) => no_query("a DESCRIBE"),
        }
    }

    pub(super) fn rows_at_most(&mut self, rows: Option<usize>) {
        self.out.flag(rows.is_some());
        self.out.count(rows.unwrap_or_default());
    }

    /// The column names of literal rows only matter to their readers.
    fn columns_of_values(&mut self, schema: &DFSchemaRef) {
        self.out.count(schema.fields().len());
        for field in schema.fields() {
            self.inner_name(field.name());
            self.data_type(field.data_type());
        }
    }

    fn join(&mut self, join: &Join) -> Result<()> {
        // `USING` and `ON` differ in the expansion of `*`, which has already happened.
        let Join { left, right, on, filter, join_type, join_constraint: _, schema: _, null_equality, null_aware } =
            join;
        self.tag("join");
        self.out.number(match join_type {
            JoinType::Inner => 0,
            JoinType::Left => 1,
            JoinType::Right => 2,
            JoinType::Full => 3,
            JoinType::LeftSemi => 4,
            JoinType::RightSemi => 5,
            JoinType::LeftAnti => 6,
            JoinType::RightAnti => 7,
            JoinType::LeftMark => 8,
            JoinType::RightMark => 9,
        });
        self.out.flag(match null_equality {
            NullEquality::NullEqualsNothing => false,
            NullEquality::NullEqualsNull => true,
        });
        self.out.flag(*null_aware);
        self.node(left)?;
        // A lateral query on the right can refer to the columns of the left.
        self.inside(Scope::inputs(&[left.schema()]), |form| form.node(right))?;
        self.out.count(on.len());
        for (of_left, of_right) in on {
            self.expr(of_left, Scope::inputs(&[left.schema()]))?;
            self.expr(of_right, Scope::inputs(&[right.schema()]))?;
        }
        self.optional_expr(filter.as_ref(), Scope::inputs(&[left.schema(), right.schema()]))
    }

    fn partitioning(&mut self, partitioning: &Partitioning, scope: Scope<'_>) -> Result<()> {
        match partitioning {
            Partitioning::RoundRobinBatch(count) => {
                self.tag("round robin");
                self.out.count(*count);
                Ok(())
            }
            Partitioning::Hash(exprs, count) => {
                self.tag("hash");
                self.out.count(*count);
                self.exprs(exprs, scope)
            }
            Partitioning::Range(range) => self.ranges(range, scope),
            Partitioning::DistributeBy(exprs) => {
                self.tag("distribute by");
                self.exprs(exprs, scope)
            }
        }
    }

    fn ranges(&mut self, range: &RangePartitioning, scope: Scope<'_>) -> Result<()> {
        self.tag("range");
        self.sorts(range.ordering(), scope)?;
        self.out.count(range.split_points().len());
        for point in range.split_points() {
            self.out.count(point.values().len());
            point.values().iter().try_for_each(|value| self.scalar(value))?;
        }
        Ok(())
    }

    fn distinct_on(&mut self, distinct: &DistinctOn) -> Result<()> {
        let DistinctOn { on_expr, select_expr, sort_expr, input, schema: _ } = distinct;
        self.tag("distinct on");
        self.node(input)?;
        let scope = [input.schema()];
        self.exprs(on_expr, Scope::inputs(&scope))?;
        self.exprs(select_expr, Scope::inputs(&scope))?;
        self.out.flag(sort_expr.is_some());
        sort_expr.as_ref().map_or(Ok(()), |sorts| self.sorts(sorts, Scope::inputs(&scope)))
    }

    fn unnest(&mut self, unnest: &Unnest) -> Result<()> {
        let Unnest {
            input,
            exec_columns,
            list_type_columns,
            struct_type_columns,
            dependency_indices,
            schema: _,
            options: UnnestOptions { null_handling, recursions },
        } = unnest;
        self.tag("unnest");
        self.node(input)?;
        let scope = [input.schema()];
        self.places(exec_columns.iter(), &scope);
        self.out.count(list_type_columns.len());
        for (index, ColumnUnnestList { output_column, depth }) in list_type_columns {
            self.out.count(*index);
            self.inner_name(&output_column.name);
            self.out.count(*depth);
        }
        for indices in [struct_type_columns, dependency_indices] {
            self.out.count(indices.len());
            indices.iter().for_each(|index| self.out.count(*index));
        }
        self.out.number(match null_handling {
            NullHandling::Drop => 0,
            NullHandling::Preserve => 1,
            NullHandling::PreserveAndExpandEmpty => 2,
        });
        self.out.count(recursions.len());
        for RecursionUnnestOption { input_column, output_column, depth } in recursions {
            self.places(std::iter::once(input_column), &scope);
            self.inner_name(&output_column.name);
            self.out.count(*depth);
        }
        Ok(())
    }

    fn places<'c>(&mut self, columns: impl ExactSizeIterator<Item = &'c Column>, inputs: &[&DFSchemaRef]) {
        self.out.count(columns.len());
        columns.for_each(|column| self.column(column, Scope::inputs(inputs)));
    }
}

fn no_query(what: &str) -> Result<()> {
    Err(DataFusionError::Plan(format!("{what} is not a query")))
}
