//! Functions that fail or block on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::exec_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use windlass_base::error::Failure;
use windlass_engine::function::Functions;

/// The standard functions and `fail`, `fall`, `refuse`, `drop_connection`: each returns its argument unless it is 35 in
/// some row.
pub(super) fn functions() -> Functions {
    Functions::standard()
        .with_scalar(at_35("fail", || exec_err!("the check \"id <> 35\" fails: 'ü' | 100 %")))
        .with_scalar(at_35("fall", || panic!("fell over \"35\"")))
        .with_scalar(at_35("refuse", || Err(DataFusionError::External(Box::new(refusal())))))
        .with_scalar(at_35("drop_connection", || {
            Err(DataFusionError::IoError(std::io::Error::new(std::io::ErrorKind::ConnectionReset, "reset by peer")))
        }))
}

/// The error of `refuse`.
pub(super) fn refusal() -> Failure {
    Failure {
        code: "WL0499".to_owned(),
        message: "the constraint `positive` is violated by 1 row".to_owned(),
        help: Some("drop the row".to_owned()),
        retryable: false,
    }
}

fn at_35(name: &str, act: impl Fn() -> Result<()> + Send + Sync + 'static) -> ScalarUDF {
    over_ids(name, move |id| if id == Some(35) { act() } else { Ok(()) })
}

/// A function `wait_at_gate` that waits at each row from 20 on until the gate is open.
pub(super) fn gate(open: &Arc<AtomicBool>) -> ScalarUDF {
    let open = Arc::clone(open);
    over_ids("wait_at_gate", move |id| {
        while id.is_some_and(|id| id >= 20) && !open.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    })
}

/// A function that returns its argument after it has called `visit` with that of each row.
fn over_ids(name: &str, visit: impl Fn(Option<i64>) -> Result<()> + Send + Sync + 'static) -> ScalarUDF {
    let body = move |arguments: &[ColumnarValue]| {
        let ids = ColumnarValue::values_to_arrays(arguments)?.remove(0);
        ids.as_primitive::<Int64Type>().iter().try_for_each(&visit)?;
        Ok(ColumnarValue::Array(ids.slice(0, ids.len())))
    };
    create_udf(name, vec![DataType::Int64], DataType::Int64, Volatility::Volatile, Arc::new(body))
}
