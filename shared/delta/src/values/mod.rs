//! One rule for values that are equal to one part of the engine and not to another (docs/values.md).
//!
//! ```text
//! a stage's result ─stored→ what its table will hold: table types, one zero, one NaN    (functions; the writer does the same)
//!     keys, rows to look up, rows to compare: all of them are such values
//! changes of inputs ─identity→ rows told apart bit by bit, counted, and taken back      (functions)
//! GROUP BY, DISTINCT, PARTITION BY, joins ─compared→ over one zero and one NaN           (rule)
//! min, max ─rank→ whole numbers in the order of floats, NaN above all, and taken back   (rule)
//! ```
//!
//! The engine takes -0.0 for 0.0 where it compares plain columns, and neither in nested values nor in windows; it tells
//! NaN from NaN by its bits. Times finer than a microsecond do not survive a Delta table.

mod arrays;
mod functions;
mod rule;

pub(crate) use arrays::stored_array;
pub use arrays::{has_floats, normalised};
pub use functions::{compared, functions, identity, is_changed_by_storing, stored, stored_from, value_of};
pub use rule::ComparedFloats;
