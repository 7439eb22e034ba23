//! Encodes functions that need more than their name: wrappers around window functions.

use std::collections::HashMap;
use std::sync::Arc;

use ballista_core::extension::{ballista_aggregate_functions, ballista_window_functions};
use datafusion::common::{internal_err, not_impl_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{AggregateUDF, WindowUDF};
use prost::Message;

use crate::function::Functions;
use crate::function::exact::{self, Filtered, Shifted};

/// The functions that can be wrapped.
#[derive(Debug)]
pub(super) struct InnerFunctions {
    aggregate: HashMap<String, Arc<AggregateUDF>>,
    window: HashMap<String, Arc<WindowUDF>>,
}

impl InnerFunctions {
    /// The engine's, ours, and custom ones.
    pub(super) fn with(added: &Functions) -> Self {
        let aggregate = ballista_aggregate_functions().into_iter().chain(exact::aggregate_functions());
        let aggregate = aggregate.chain(added.aggregate.iter().map(Arc::clone));
        let window = ballista_window_functions().into_iter().chain(added.window.iter().map(Arc::clone));
        Self {
            aggregate: aggregate.map(|function| (function.name().to_owned(), function)).collect(),
            window: window.map(|function| (function.name().to_owned(), function)).collect(),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct FilteredBody {
    #[prost(string, tag = "1")]
    inner: String,
}

#[derive(Clone, PartialEq, Message)]
struct ShiftedBody {
    #[prost(string, tag = "1")]
    inner: String,
    #[prost(bool, tag = "2")]
    ignore_nulls: bool,
    #[prost(bool, tag = "3")]
    is_reversed: bool,
}

pub(super) fn encode_aggregate(function: &AggregateUDF, buf: &mut Vec<u8>) -> Result<()> {
    let Some(filtered) = function.inner().downcast_ref::<Filtered>() else { return Ok(()) };
    encode(&FilteredBody { inner: filtered.inner().name().to_owned() }, buf)
}

pub(super) fn encode_window(function: &WindowUDF, buf: &mut Vec<u8>) -> Result<()> {
    let Some(shifted) = function.inner().downcast_ref::<Shifted>() else { return Ok(()) };
    let (ignore_nulls, is_reversed) = (shifted.ignore_nulls(), shifted.is_reversed());
    encode(&ShiftedBody { inner: shifted.inner().name().to_owned(), ignore_nulls, is_reversed }, buf)
}

impl InnerFunctions {
    pub(super) fn decode_aggregate(&self, name: &str, buf: &[u8]) -> Result<Arc<AggregateUDF>> {
        if buf.is_empty() {
            return not_impl_err!("the aggregate function `{name}` is not known here");
        }
        let body = FilteredBody::decode(buf).map_err(|error| DataFusionError::External(Box::new(error)))?;
        match self.aggregate.get(&body.inner) {
            Some(inner) => Ok(Arc::new(Filtered::of(Arc::clone(inner)))),
            None => internal_err!("the aggregate function `{}` is not known here", body.inner),
        }
    }

    pub(super) fn decode_window(&self, name: &str, buf: &[u8]) -> Result<Arc<WindowUDF>> {
        if buf.is_empty() {
            return not_impl_err!("the window function `{name}` is not known here");
        }
        let body = ShiftedBody::decode(buf).map_err(|error| DataFusionError::External(Box::new(error)))?;
        match self.window.get(&body.inner) {
            Some(inner) => Ok(Arc::new(Shifted::of(Arc::clone(inner), body.ignore_nulls, body.is_reversed))),
            None => internal_err!("the window function `{}` is not known here", body.inner),
        }
    }
}

fn encode(body: &impl Message, buf: &mut Vec<u8>) -> Result<()> {
    body.encode(buf).map_err(|error| DataFusionError::External(Box::new(error)))
}
