//! Origins through the nodes of a plan.

use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, JoinType, Result};
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, Join, LogicalPlan, RecursiveQuery, SubqueryAlias, TableScan, Unnest,
};
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::{ColumnOrigin, ColumnUse};

use super::{Origins, Scope, Traced, Tracer, add_used};

impl Tracer<'_> {
    /// What the rows of a plan depend on; `outer` is what its expressions can name of the query around it.
    pub(super) fn of(&self, plan: &LogicalPlan, outer: Option<&Scope<'_>>) -> Result<Traced> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan, plan.schema(), outer),
            LogicalPlan::SubqueryAlias(alias) => self.alias(alias, outer),
            LogicalPlan::Projection(projection) => {
                let traced = self.of(&projection.input, outer)?;
                let scope = Scope { schema: projection.input.schema(), traced: &traced, outer };
                Ok(Traced { columns: self.values(&projection.expr, &scope)?, rows: traced.rows })
            }
            LogicalPlan::Filter(filter) => self.with_rows([&filter.predicate], ColumnUse::Filter, &filter.input, outer),
            LogicalPlan::Sort(sort) => {
                self.with_rows(sort.expr.iter().map(|sort| &sort.expr), ColumnUse::Sort, &sort.input, outer)
            }
            LogicalPlan::Window(window) => {
                let mut traced = self.of(&window.input, outer)?;
                let scope = Scope { schema: window.input.schema(), traced: &traced, outer };
                let made = self.values(&window.window_expr, &scope)?;
                traced.columns.extend(made);
                Ok(traced)
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregated(aggregate, outer),
            LogicalPlan::Join(join) => self.join(join, outer),
            LogicalPlan::Union(union) => {
                let mut traced = Traced::default();
                for input in &union.inputs {
                    traced.merge(self.of(input, outer)?);
                }
                Ok(traced)
            }
            LogicalPlan::Unnest(unnest) => self.unnest(unnest, outer),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let mut traced = self.of(input, outer)?;
                for origins in &traced.columns {
                    add_used(&mut traced.rows, origins, ColumnUse::GroupBy);
                }
                Ok(traced)
            }
            LogicalPlan::Distinct(Distinct::On(distinct)) => {
                let traced = self.of(&distinct.input, outer)?;
                let scope = Scope { schema: distinct.input.schema(), traced: &traced, outer };
                let columns = self.values(&distinct.select_expr, &scope)?;
                let mut rows = traced.rows.clone();
                for sort in distinct.sort_expr.iter().flatten() {
                    self.add(&sort.expr, ColumnUse::Sort, &scope, &mut rows)?;
                }
                for on in &distinct.on_expr {
                    self.add(on, ColumnUse::GroupBy, &scope, &mut rows)?;
                }
                Ok(Traced { columns, rows })
            }
            LogicalPlan::RecursiveQuery(query) => self.recursive(query, outer),
            LogicalPlan::Subquery(subquery) => self.of(&subquery.subquery, outer),
            other => self.any(other, outer),
        }
    }

    /// A node that drops, repeats or orders rows, or one of which nothing is known: then every column depends on all.
    fn any(&self, plan: &LogicalPlan, outer: Option<&Scope<'_>>) -> Result<Traced> {
        let number = plan.schema().fields().len();
        match plan.inputs().as_slice() {
            [input] if input.schema().fields().len() == number => self.of(input, outer),
            inputs => {
                let (mut all, mut traced) = (Origins::new(), Traced::default());
                for input in inputs {
                    let input = self.of(input, outer)?;
                    input.columns.iter().for_each(|own| add_used(&mut all, own, ColumnUse::Transformation));
                    traced.rows.extend(input.rows);
                }
                traced.columns = vec![all; number];
                Ok(traced)
            }
        }
    }

    fn scan(&self, scan: &TableScan, schema: &DFSchema, outer: Option<&Scope<'_>>) -> Result<Traced> {
        let name = scan.table_name.table();
        if let Some((_, found)) = self.working.iter().rev().find(|(working, _)| *working == name) {
            return Ok(found.clone());
        }
        let read = self.tables.iter().chain(self.views).find(|read| read.as_str() == name);
        let mut traced = match (read, scan.source.get_logical_plan()) {
            (Some(read), _) => leaf(read, schema),
            // A view that is seen through.
            (None, Some(view)) => projected(self.of(&view, None)?, scan.projection.as_deref()),
            (None, None) => Traced { columns: vec![Origins::new(); schema.fields().len()], rows: Origins::new() },
        };
        let mut rows = Origins::new();
        for filter in &scan.filters {
            let scope = Scope { schema, traced: &traced, outer };
            self.add(filter, ColumnUse::Filter, &scope, &mut rows)?;
        }
        traced.rows.extend(rows);
        Ok(traced)
    }

    /// Another name for a plan. A view is a plan under its own name, and so may be a part of the query that reads it.
    fn alias(&self, alias: &SubqueryAlias, outer: Option<&Scope<'_>>) -> Result<Traced> {
        let name = alias.alias.table();
        let view = self.views.iter().find(|view| view.as_str() == name);
        match view.filter(|_| !matches!(alias.input.as_ref(), LogicalPlan::TableScan(_))) {
            Some(view) if !contains_alias(&alias.input, name)? => Ok(leaf(view, &alias.schema)),
            _ => self.of(&alias.input, outer),
        }
    }

    /// The origins of the value of each expression.
    fn values(&self, exprs: &[Expr], scope: &Scope<'_>) -> Result<Vec<Origins>> {
        exprs.iter().map(|expr| self.value(expr, scope)).collect()
    }

    /// The columns of `input`, in rows about which `exprs` decide.
    fn with_rows<'e>(
        &self,
        exprs: impl IntoIterator<Item = &'e Expr>,
        how: ColumnUse,
        input: &LogicalPlan,
        outer: Option<&Scope<'_>>,
    ) -> Result<Traced> {
        let mut traced = self.of(input, outer)?;
        let mut rows = Origins::new();
        for expr in exprs {
            let scope = Scope { schema: input.schema(), traced: &traced, outer };
            self.add(expr, how, &scope, &mut rows)?;
        }
        traced.rows.extend(rows);
        Ok(traced)
    }

    fn aggregated(&self, aggregate: &Aggregate, outer: Option<&Scope<'_>>) -> Result<Traced> {
        let traced = self.of(&aggregate.input, outer)?;
        let scope = Scope { schema: aggregate.input.schema(), traced: &traced, outer };
        let keys: Vec<Expr> = aggregate.group_expr.iter().flat_map(keys_of).collect();
        let mut columns = self.values(&keys, &scope)?;
        let made = self.values(&aggregate.aggr_expr, &scope)?;
        // Grouping sets have a column of their own behind those that they group by.
        columns.resize(aggregate.schema.fields().len().saturating_sub(made.len()), Origins::new());
        columns.extend(made);
        let mut rows = traced.rows.clone();
        for key in &keys {
            self.add(key, ColumnUse::GroupBy, &scope, &mut rows)?;
        }
        Ok(Traced { columns, rows })
    }

    fn join(&self, join: &Join, outer: Option<&Scope<'_>>) -> Result<Traced> {
        let left = self.of(&join.left, outer)?;
        let left_scope = Scope { schema: join.left.schema(), traced: &left, outer };
        // A lateral subquery can name the columns on its left.
        let right = self.of(&join.right, Some(&left_scope))?;
        let right_scope = Scope { schema: join.right.schema(), traced: &right, outer };
        let mut rows: Origins = left.rows.union(&right.rows).cloned().collect();
        for (on_left, on_right) in &join.on {
            self.add(on_left, ColumnUse::Join, &left_scope, &mut rows)?;
            self.add(on_right, ColumnUse::Join, &right_scope, &mut rows)?;
        }
        // What a scope does not have is left out.
        for filter in &join.filter {
            self.add(filter, ColumnUse::Join, &left_scope, &mut rows)?;
            self.add(filter, ColumnUse::Join, &right_scope, &mut rows)?;
        }
        let mut columns = match join.join_type {
            JoinType::RightSemi | JoinType::RightAnti => right.columns,
            JoinType::LeftSemi | JoinType::LeftAnti => left.columns,
            _ => left.columns.into_iter().chain(right.columns).collect(),
        };
        columns.resize(join.schema.fields().len(), Origins::new());
        Ok(Traced { columns, rows })
    }

    fn unnest(&self, unnest: &Unnest, outer: Option<&Scope<'_>>) -> Result<Traced> {
        let input = self.of(&unnest.input, outer)?;
        let column = |index: &usize| {
            let is_opened = unnest.list_type_columns.iter().any(|(list, _)| list == index)
                || unnest.struct_type_columns.contains(index);
            let how = if is_opened { ColumnUse::Transformation } else { ColumnUse::Identity };
            let mut found = Origins::new();
            input.column(*index).into_iter().for_each(|origins| add_used(&mut found, origins, how));
            found
        };
        Ok(Traced { columns: unnest.dependency_indices.iter().map(column).collect(), rows: input.rows })
    }

    /// The recursive term reads what was found so far, until it finds nothing new.
    fn recursive(&self, query: &RecursiveQuery, outer: Option<&Scope<'_>>) -> Result<Traced> {
        let mut found = self.of(&query.static_term, outer)?;
        loop {
            let before = found.clone();
            let mut working: Vec<(&str, Traced)> = self.working.clone();
            working.push((query.name.as_str(), before.clone()));
            let inner = Tracer { tables: self.tables, views: self.views, working };
            found.merge(inner.of(&query.recursive_term, outer)?);
            if found == before {
                return Ok(found);
            }
        }
    }
}

/// The columns of something that is read.
fn leaf(name: &NodeName, schema: &DFSchema) -> Traced {
    let column = |field: &datafusion::arrow::datatypes::FieldRef| {
        let how = ColumnUse::Identity;
        Origins::from([ColumnOrigin { table: name.clone(), column: field.name().clone(), how }])
    };
    Traced { columns: schema.fields().iter().map(column).collect(), rows: Origins::new() }
}

/// The columns at these places; all if none are given.
fn projected(traced: Traced, places: Option<&[usize]>) -> Traced {
    let Some(places) = places else { return traced };
    let columns = places.iter().map(|place| traced.column(*place).cloned().unwrap_or_default()).collect();
    Traced { columns, rows: traced.rows }
}

/// Whether a part of a plan has this name.
fn contains_alias(plan: &LogicalPlan, name: &str) -> Result<bool> {
    plan.exists(|part| Ok(matches!(part, LogicalPlan::SubqueryAlias(alias) if alias.alias.table() == name)))
}

/// The expressions that one of a `GROUP BY` groups by.
fn keys_of(expr: &Expr) -> Vec<Expr> {
    match expr {
        Expr::GroupingSet(set) => set.distinct_expr().into_iter().cloned().collect(),
        other => vec![other.clone()],
    }
}
