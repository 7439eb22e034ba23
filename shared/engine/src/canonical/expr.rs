//! Expressions.

use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::metadata::FieldMetadata;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{
    AggregateFunction, AggregateFunctionParams, Alias, Between, BinaryExpr, Case, Cast, Exists, GroupingSet,
    HigherOrderFunction, InList, InSubquery, Lambda, LambdaVariable, Like, NullTreatment, Placeholder, ScalarFunction,
    SetComparison, SetQuantifier, Sort, TryCast, Unnest, WindowFunction, WindowFunctionDefinition,
    WindowFunctionParams,
};
use datafusion::logical_expr::{Expr, Operator, Subquery, WindowFrame, WindowFrameBound, WindowFrameUnits};

use super::Names;
use super::form::{Form, Scope};
use crate::function::FunctionKind;

impl Form {
    /// An expression over columns of `scope`.
    #[recursive::recursive]
    pub(super) fn expr(&mut self, expr: &Expr, scope: Scope<'_>) -> Result<()> {
        match expr {
            Expr::Alias(alias) => self.alias(alias, scope),
            Expr::Column(column) => {
                self.column(column, scope);
                Ok(())
            }
            Expr::ScalarVariable(field, names) => {
                self.variable(field, names);
                Ok(())
            }
            Expr::Literal(value, metadata) => {
                self.tag("literal");
                self.scalar(value)?;
                self.metadata(metadata.as_ref());
                Ok(())
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                self.tag("binary");
                self.tag(operator(*op));
                self.expr(left, scope)?;
                self.expr(right, scope)
            }
            Expr::Like(like) => self.like("like", like, scope),
            Expr::SimilarTo(like) => self.like("similar to", like, scope),
            Expr::Not(expr) => self.unary("not", expr, scope),
            Expr::IsNotNull(expr) => self.unary("is not null", expr, scope),
            Expr::IsNull(expr) => self.unary("is null", expr, scope),
            Expr::IsTrue(expr) => self.unary("is true", expr, scope),
            Expr::IsFalse(expr) => self.unary("is false", expr, scope),
            Expr::IsUnknown(expr) => self.unary("is unknown", expr, scope),
            Expr::IsNotTrue(expr) => self.unary("is not true", expr, scope),
            Expr::IsNotFalse(expr) => self.unary("is not false", expr, scope),
            Expr::IsNotUnknown(expr) => self.unary("is not unknown", expr, scope),
            Expr::Negative(expr) => self.unary("negative", expr, scope),
            Expr::Between(Between { expr, negated, low, high }) => {
                self.tag("between");
                self.out.flag(*negated);
                self.expr(expr, scope)?;
                self.expr(low, scope)?;
                self.expr(high, scope)
            }
            Expr::Case(case) => self.case(case, scope),
            Expr::Cast(Cast { expr, field }) => self.cast("cast", expr, field, scope),
            Expr::TryCast(TryCast { expr, field }) => self.cast("try cast", expr, field, scope),
            Expr::ScalarFunction(ScalarFunction { func, args }) => {
                self.tag("function");
                self.function(FunctionKind::Scalar, func.name());
                self.exprs(args, scope)
            }
            Expr::AggregateFunction(call) => self.aggregate_function(call, scope),
            Expr::WindowFunction(call) => self.window_function(call, scope),
            Expr::InList(InList { expr, list, negated }) => {
                self.tag("in list");
                self.out.flag(*negated);
                self.expr(expr, scope)?;
                self.exprs(list, scope)
            }
            Expr::Exists(Exists { subquery, negated }) => {
                self.tag("exists");
                self.out.flag(*negated);
                self.subquery(subquery, scope)
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                self.tag("in subquery");
                self.out.flag(*negated);
                self.expr(expr, scope)?;
                self.subquery(subquery, scope)
            }
            Expr::SetComparison(comparison) => self.set_comparison(comparison, scope),
            Expr::ScalarSubquery(subquery) => {
                self.tag("scalar subquery");
                self.subquery(subquery, scope)
            }
            // Bound plans have none; what an old plan means by it is only determined by binding it.
            #[expect(deprecated)]
            Expr::Wildcard { qualifier, options: _ } => {
                self.tag("wildcard");
                self.relation(qualifier.as_ref());
                self.dependencies.opaque.insert("an unbound `*`".to_owned());
                Ok(())
            }
            Expr::GroupingSet(set) => self.grouping_set(set, scope),
            Expr::Placeholder(Placeholder { id, field }) => {
                self.tag("placeholder");
                self.out.text(id);
                self.out.flag(field.is_some());
                if let Some(field) = field {
                    self.data_type(field.data_type());
                }
                Ok(())
            }
            Expr::OuterReferenceColumn(field, column) => {
                self.outer_column(column, field.data_type());
                Ok(())
            }
            Expr::Unnest(Unnest { expr, outer }) => {
                self.tag("unnest");
                self.out.flag(*outer);
                self.expr(expr, scope)
            }
            Expr::HigherOrderFunction(HigherOrderFunction { func, args }) => {
                self.tag("higher order function");
                self.function(FunctionKind::Scalar, func.name());
                self.exprs(args, scope)
            }
            Expr::Lambda(Lambda { params, body }) => {
                self.tag("lambda");
                self.out.count(params.len());
                params.iter().for_each(|param| self.inner_name(param));
                self.lambdas.push(params.clone());
                let written = self.expr(body, scope);
                self.lambdas.pop();
                written
            }
            Expr::LambdaVariable(LambdaVariable { name, field: _, spans: _ }) => {
                self.lambda_variable(name);
                Ok(())
            }
        }
    }

    /// Several expressions.
    pub(super) fn exprs(&mut self, exprs: &[Expr], scope: Scope<'_>) -> Result<()> {
        self.out.count(exprs.len());
        exprs.iter().try_for_each(|expr| self.expr(expr, scope))
    }

    pub(super) fn optional_expr(&mut self, expr: Option<&Expr>, scope: Scope<'_>) -> Result<()> {
        self.out.flag(expr.is_some());
        expr.map_or(Ok(()), |expr| self.expr(expr, scope))
    }

    pub(super) fn sorts(&mut self, sorts: &[Sort], scope: Scope<'_>) -> Result<()> {
        self.out.count(sorts.len());
        sorts.iter().try_for_each(|Sort { expr, asc, nulls_first }| {
            self.out.flag(*asc);
            self.out.flag(*nulls_first);
            self.expr(expr, scope)
        })
    }

    /// The name of an expression only matters for the result columns, which are written with the whole query.
    fn alias(&mut self, alias: &Alias, scope: Scope<'_>) -> Result<()> {
        let Alias { expr, relation, name, metadata } = alias;
        if self.names == Names::All {
            self.tag("alias");
            self.relation(relation.as_ref());
            self.out.text(name);
            self.metadata(metadata.as_ref());
        }
        self.expr(expr, scope)
    }

    fn metadata(&mut self, metadata: Option<&FieldMetadata>) {
        // It is only visible to functions that depend on names, for which all names are written.
        if self.names == Names::Outside {
            return;
        }
        let entries = metadata.map(FieldMetadata::inner);
        self.out.count(entries.map_or(0, |entries| entries.len()));
        for (key, value) in entries.into_iter().flatten() {
            self.out.text(key);
            self.out.text(value);
        }
    }

    fn variable(&mut self, field: &FieldRef, names: &[String]) {
        self.tag("variable");
        self.data_type(field.data_type());
        self.out.count(names.len());
        names.iter().for_each(|name| self.out.text(name));
        self.dependencies.opaque.insert("a variable of a session".to_owned());
    }

    fn unary(&mut self, tag: &'static str, expr: &Expr, scope: Scope<'_>) -> Result<()> {
        self.tag(tag);
        self.expr(expr, scope)
    }

    fn like(&mut self, tag: &'static str, like: &Like, scope: Scope<'_>) -> Result<()> {
        let Like { negated, expr, pattern, escape_char, case_insensitive } = like;
        self.tag(tag);
        self.out.flag(*negated);
        self.out.flag(*case_insensitive);
        self.out.flag(escape_char.is_some());
        self.out.number(u64::from(u32::from(escape_char.unwrap_or_default())));
        self.expr(expr, scope)?;
        self.expr(pattern, scope)
    }

    fn case(&mut self, case: &Case, scope: Scope<'_>) -> Result<()> {
        let Case { expr, when_then_expr, else_expr } = case;
        self.tag("case");
        self.optional_expr(expr.as_deref(), scope)?;
        self.out.count(when_then_expr.len());
        for (when, then) in when_then_expr {
            self.expr(when, scope)?;
            self.expr(then, scope)?;
        }
        self.optional_expr(else_expr.as_deref(), scope)
    }

    fn cast(&mut self, tag: &'static str, expr: &Expr, field: &FieldRef, scope: Scope<'_>) -> Result<()> {
        self.tag(tag);
        self.data_type(field.data_type());
        self.expr(expr, scope)
    }

    fn aggregate_function(&mut self, call: &AggregateFunction, scope: Scope<'_>) -> Result<()> {
        let AggregateFunction { func, params } = call;
        let AggregateFunctionParams { args, distinct, filter, order_by, null_treatment } = params;
        self.tag("aggregate function");
        self.function(FunctionKind::Aggregate, func.name());
        self.out.flag(*distinct);
        self.null_treatment(*null_treatment);
        self.exprs(args, scope)?;
        self.optional_expr(filter.as_deref(), scope)?;
        self.sorts(order_by, scope)
    }

    fn window_function(&mut self, call: &WindowFunction, scope: Scope<'_>) -> Result<()> {
        let WindowFunction { fun, params } = call;
        let WindowFunctionParams { args, partition_by, order_by, window_frame, filter, null_treatment, distinct } =
            params;
        self.tag("window function");
        match fun {
            WindowFunctionDefinition::AggregateUDF(function) => {
                self.function(FunctionKind::Aggregate, function.name());
            }
            WindowFunctionDefinition::WindowUDF(function) => self.function(FunctionKind::Window, function.name()),
        }
        self.out.flag(*distinct);
        self.null_treatment(*null_treatment);
        self.exprs(args, scope)?;
        self.exprs(partition_by, scope)?;
        self.sorts(order_by, scope)?;
        self.window_frame(window_frame)?;
        self.optional_expr(filter.as_deref(), scope)
    }

    fn null_treatment(&mut self, treatment: Option<NullTreatment>) {
        self.out.number(match treatment {
            None => 0,
            Some(NullTreatment::IgnoreNulls) => 1,
            Some(NullTreatment::RespectNulls) => 2,
        });
    }

    fn window_frame(&mut self, frame: &WindowFrame) -> Result<()> {
        // The only private field, whether the frame looks ahead, follows from these.
        let WindowFrame { units, start_bound, end_bound, .. } = frame;
        self.out.number(match units {
            WindowFrameUnits::Rows => 0,
            WindowFrameUnits::Range => 1,
            WindowFrameUnits::Groups => 2,
        });
        for bound in [start_bound, end_bound] {
            match bound {
                WindowFrameBound::Preceding(value) => {
                    self.tag("preceding");
                    self.scalar(value)?;
                }
                WindowFrameBound::CurrentRow => self.tag("current row"),
                WindowFrameBound::Following(value) => {
                    self.tag("following");
                    self.scalar(value)?;
                }
            }
        }
        Ok(())
    }

    fn set_comparison(&mut self, comparison: &SetComparison, scope: Scope<'_>) -> Result<()> {
        let SetComparison { expr, subquery, op, quantifier } = comparison;
        self.tag("set comparison");
        self.tag(operator(*op));
        self.out.flag(match quantifier {
            SetQuantifier::Any => false,
            SetQuantifier::All => true,
        });
        self.expr(expr, scope)?;
        self.subquery(subquery, scope)
    }

    fn subquery(&mut self, subquery: &Subquery, scope: Scope<'_>) -> Result<()> {
        // The columns of outer queries occur again in its plan.
        let Subquery { subquery, outer_ref_columns: _, spans: _ } = subquery;
        self.inside(scope, |form| form.node(subquery))
    }

    fn grouping_set(&mut self, set: &GroupingSet, scope: Scope<'_>) -> Result<()> {
        match set {
            GroupingSet::Rollup(exprs) => {
                self.tag("rollup");
                self.exprs(exprs, scope)
            }
            GroupingSet::Cube(exprs) => {
                self.tag("cube");
                self.exprs(exprs, scope)
            }
            GroupingSet::GroupingSets(sets) => {
                self.tag("grouping sets");
                self.out.count(sets.len());
                sets.iter().try_for_each(|exprs| self.exprs(exprs, scope))
            }
        }
    }

    fn lambda_variable(&mut self, name: &str) {
        self.tag("lambda variable");
        let mut around = self.lambdas.iter().rev().enumerate();
        let found = around
            .find_map(|(depth, params)| params.iter().position(|param| param == name).map(|place| (depth, place)));
        match found {
            Some((depth, place)) => {
                self.out.count(depth);
                self.out.count(place);
            }
            None => self.out.text(name),
        }
    }
}

fn operator(operator: Operator) -> &'static str {
    match operator {
        Operator::Eq => "=",
        Operator::NotEq => "!=",
        Operator::Lt => "<",
        Operator::LtEq => "<=",
        Operator::Gt => ">",
        Operator::GtEq => ">=",
        Operator::Plus => "+",
        Operator::Minus => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::Modulo => "%",
        Operator::And => "and",
        Operator::Or => "or",
        Operator::IsDistinctFrom => "is distinct from",
        Operator::IsNotDistinctFrom => "is not distinct from",
        Operator::RegexMatch => "~",
        Operator::RegexIMatch => "~*",
        Operator::RegexNotMatch => "!~",
        Operator::RegexNotIMatch => "!~*",
        Operator::LikeMatch => "~~",
        Operator::ILikeMatch => "~~*",
        Operator::NotLikeMatch => "!~~",
        Operator::NotILikeMatch => "!~~*",
        Operator::BitwiseAnd => "&",
        Operator::BitwiseOr => "|",
        Operator::BitwiseXor => "bit xor",
        Operator::BitwiseShiftRight => ">>",
        Operator::BitwiseShiftLeft => "<<",
        Operator::StringConcat => "||",
        Operator::AtArrow => "@>",
        Operator::ArrowAt => "<@",
        Operator::Arrow => "->",
        Operator::LongArrow => "->>",
        Operator::HashArrow => "#>",
        Operator::HashLongArrow => "#>>",
        Operator::AtAt => "@@",
        Operator::IntegerDivide => "div",
        Operator::HashMinus => "#-",
        Operator::AtQuestion => "@?",
        Operator::Question => "?",
        Operator::QuestionAnd => "?&",
        Operator::QuestionPipe => "?|",
        Operator::Colon => ":",
    }
}
