//! Origins through expressions.

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{AggregateFunction, Case, InSubquery, SetComparison, WindowFunction};
use datafusion::logical_expr::{Expr, WindowFunctionDefinition};
use windlass_delta::values::stored_from;
use windlass_evidence::artifact::ColumnUse;

use super::{Origins, Scope, Tracer, add_used};

impl Tracer<'_> {
    /// The origins of the value of an expression.
    pub(super) fn value(&self, expr: &Expr, scope: &Scope<'_>) -> Result<Origins> {
        let mut found = Origins::new();
        self.add(expr, ColumnUse::Identity, scope, &mut found)?;
        Ok(found)
    }

    /// Adds the origins of an expression whose value is used as `how` says.
    pub(super) fn add(&self, expr: &Expr, how: ColumnUse, scope: &Scope<'_>, found: &mut Origins) -> Result<()> {
        if let Some(value) = stored_from(expr) {
            return self.add(value, how, scope, found);
        }
        match expr {
            Expr::Alias(alias) => self.add(&alias.expr, how, scope, found),
            Expr::Cast(cast) => self.add(&cast.expr, how, scope, found),
            Expr::TryCast(cast) => self.add(&cast.expr, how, scope, found),
            Expr::Column(column) => {
                let origins = scope.schema.maybe_index_of_column(column).and_then(|index| scope.traced.column(index));
                origins.into_iter().for_each(|origins| add_used(found, origins, how));
                Ok(())
            }
            Expr::OuterReferenceColumn(_, column) => {
                let mut outer = scope.outer;
                while let Some(scope) = outer {
                    if let Some(index) = scope.schema.maybe_index_of_column(column) {
                        scope.traced.column(index).into_iter().for_each(|origins| add_used(found, origins, how));
                        break;
                    }
                    outer = scope.outer;
                }
                Ok(())
            }
            Expr::Case(case) => self.case(case, how, scope, found),
            Expr::AggregateFunction(call) => self.aggregate(call, how, scope, found),
            Expr::WindowFunction(call) => self.window(call, how, scope, found),
            Expr::ScalarSubquery(subquery) => {
                let traced = self.of(&subquery.subquery, Some(scope))?;
                traced.columns.iter().for_each(|origins| add_used(found, origins, how));
                found.extend(traced.rows);
                Ok(())
            }
            Expr::InSubquery(InSubquery { expr, subquery, .. })
            | Expr::SetComparison(SetComparison { expr, subquery, .. }) => {
                let how = how.max(ColumnUse::Transformation);
                self.add(expr, how, scope, found)?;
                let traced = self.of(&subquery.subquery, Some(scope))?;
                traced.columns.iter().for_each(|origins| add_used(found, origins, how));
                found.extend(traced.rows);
                Ok(())
            }
            Expr::Exists(exists) => {
                found.extend(self.of(&exists.subquery.subquery, Some(scope))?.rows);
                Ok(())
            }
            other => self.add_parts(other, how.max(ColumnUse::Transformation), scope, found),
        }
    }

    /// Adds the origins of the parts of an expression. What has a meaning of its own among them is looked at as such.
    fn add_parts(&self, expr: &Expr, how: ColumnUse, scope: &Scope<'_>, found: &mut Origins) -> Result<()> {
        expr.apply(|part| {
            if !has_own_meaning(part) {
                return Ok(TreeNodeRecursion::Continue);
            }
            self.add(part, how, scope, found)?;
            Ok(TreeNodeRecursion::Jump)
        })?;
        Ok(())
    }

    fn case(&self, case: &Case, how: ColumnUse, scope: &Scope<'_>, found: &mut Origins) -> Result<()> {
        let condition = indirect(how, ColumnUse::Conditional);
        let result = how.max(ColumnUse::Transformation);
        let compared = case.expr.iter().chain(case.when_then_expr.iter().map(|(when, _)| when));
        for expr in compared {
            self.add(expr, condition, scope, found)?;
        }
        for expr in case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr) {
            self.add(expr, result, scope, found)?;
        }
        Ok(())
    }

    fn aggregate(
        &self,
        call: &AggregateFunction,
        how: ColumnUse,
        scope: &Scope<'_>,
        found: &mut Origins,
    ) -> Result<()> {
        for argument in &call.params.args {
            self.add(argument, how.max(ColumnUse::Aggregation), scope, found)?;
        }
        if let Some(filter) = &call.params.filter {
            self.add(filter, indirect(how, ColumnUse::Filter), scope, found)?;
        }
        for sort in &call.params.order_by {
            self.add(&sort.expr, indirect(how, ColumnUse::Sort), scope, found)?;
        }
        Ok(())
    }

    fn window(&self, call: &WindowFunction, how: ColumnUse, scope: &Scope<'_>, found: &mut Origins) -> Result<()> {
        let argument = match call.fun {
            WindowFunctionDefinition::AggregateUDF(_) => ColumnUse::Aggregation,
            WindowFunctionDefinition::WindowUDF(_) => ColumnUse::Transformation,
        };
        for expr in &call.params.args {
            self.add(expr, how.max(argument), scope, found)?;
        }
        let order = call.params.order_by.iter().map(|sort| &sort.expr);
        for expr in call.params.partition_by.iter().chain(order) {
            self.add(expr, indirect(how, ColumnUse::Window), scope, found)?;
        }
        if let Some(filter) = &call.params.filter {
            self.add(filter, indirect(how, ColumnUse::Filter), scope, found)?;
        }
        Ok(())
    }
}

/// The use of a part that only decides about a value that is used as `how` says.
fn indirect(how: ColumnUse, of_value: ColumnUse) -> ColumnUse {
    if how.is_direct() { of_value } else { how }
}

/// Whether an expression is more than a function of its parts.
fn has_own_meaning(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Column(_)
            | Expr::OuterReferenceColumn(..)
            | Expr::Case(_)
            | Expr::AggregateFunction(_)
            | Expr::WindowFunction(_)
            | Expr::ScalarSubquery(_)
            | Expr::InSubquery(_)
            | Expr::SetComparison(_)
            | Expr::Exists(_)
    )
}
