//! The project as written: parses files to a [`PipelineSpec`] with source spans, or returns all problems at once.
//!
//! [`files`] contains the texts, `yaml` and `sql` parse them, `decode` turns the result into a [`PipelineSpec`],
//! [`problem`] and [`render`] report problems with their positions.

pub mod codes;
pub mod column_type;
mod decode;
pub mod duration;
pub mod files;
pub mod param;
pub mod pipeline;
pub mod plan_text;
pub mod problem;
pub mod render;
pub mod size;
pub mod source;
pub(crate) mod source_map;
pub mod span;
mod sql;
pub mod table;
mod yaml;

pub use decode::is_name;
pub(crate) use decode::{Draft, draft, draft_fixtures};
pub use decode::{parse_contract, parse_project};
pub use files::ProjectFiles;
pub use param::{ParamSpec, ParamValue};
pub use pipeline::{EncodedPlan, PipelineSpec, RunSettings, SourceSpec, StageQuery, StageSpec, TargetSpec};
pub use problem::{Label, Problem, ProblemReport, Problems};
pub use render::RenderStyle;
pub use span::{Position, Span, Spanned};
pub(crate) use sql::place_of_word;
pub use sql::{
    BAD_QUESTION, Call, CallClause, QUESTION, calls, check_depth, check_question, grammar, question_files,
    question_params,
};
