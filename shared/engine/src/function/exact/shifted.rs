//! A window function that embeds whether it ignores nulls and whether it is reversed.
//!
//! On the way to an executor a window loses both: `IGNORE NULLS`, and that the engine has reversed the order of the
//! rows, which changes the sign of an offset.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::function::{ExpressionArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{LimitEffect, PartitionEvaluator, ReversedUDWF, Signature, WindowUDF, WindowUDFImpl};
use datafusion::physical_plan::PhysicalExpr;

/// A window function and its call options.
#[derive(Debug)]
pub(crate) struct Shifted {
    inner: Arc<WindowUDF>,
    ignore_nulls: bool,
    is_reversed: bool,
}

impl Shifted {
    /// Wraps `inner` with these call options.
    pub(crate) fn of(inner: Arc<WindowUDF>, ignore_nulls: bool, is_reversed: bool) -> WindowUDF {
        WindowUDF::new_from_impl(Self { inner, ignore_nulls, is_reversed })
    }

    /// The function that is called.
    pub(crate) fn inner(&self) -> &Arc<WindowUDF> {
        &self.inner
    }

    /// Whether it ignores nulls.
    pub(crate) fn ignore_nulls(&self) -> bool {
        self.ignore_nulls
    }

    /// Whether the row order is reversed.
    pub(crate) fn is_reversed(&self) -> bool {
        self.is_reversed
    }
}

impl PartialEq for Shifted {
    fn eq(&self, other: &Self) -> bool {
        (&self.inner, self.ignore_nulls, self.is_reversed) == (&other.inner, other.ignore_nulls, other.is_reversed)
    }
}

impl Eq for Shifted {}

impl Hash for Shifted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.inner, self.ignore_nulls, self.is_reversed).hash(state);
    }
}

impl WindowUDFImpl for Shifted {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn expressions(&self, args: ExpressionArgs) -> Vec<Arc<dyn PhysicalExpr>> {
        self.inner.expressions(args)
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        self.inner.partition_evaluator_factory(PartitionEvaluatorArgs::new(
            args.input_exprs(),
            args.input_fields(),
            self.is_reversed,
            self.ignore_nulls,
        ))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        self.inner.field(args)
    }

    fn sort_options(&self) -> Option<SortOptions> {
        self.inner.sort_options()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn reverse_expr(&self) -> ReversedUDWF {
        match self.inner.reverse_expr() {
            ReversedUDWF::Identical => ReversedUDWF::Identical,
            ReversedUDWF::NotSupported => ReversedUDWF::NotSupported,
            ReversedUDWF::Reversed(inner) => {
                ReversedUDWF::Reversed(Arc::new(Self::of(inner, self.ignore_nulls, !self.is_reversed)))
            }
        }
    }

    fn limit_effect(&self, args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        self.inner.inner().limit_effect(args)
    }
}
