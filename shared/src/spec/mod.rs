//! The project as its author wrote it: files in, a `PipelineSpec` with source spans out, or every problem at once.

pub mod column_type;
pub mod source;
pub mod table;
