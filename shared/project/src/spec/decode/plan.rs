//! Decodes one `.plan` file: the header about the plan, whose content only the engine understands.

use std::sync::Arc;

use super::fields::Fields;
use super::stage::Query;
use super::values::{filled_text, names};
use crate::spec::codes;
use crate::spec::pipeline::{EncodedPlan, RelationRef, StageQuery};
use crate::spec::plan_text::{self, ENGINE_VERSION, Unreadable};
use crate::spec::problem::Problem;
use crate::spec::span::Span;

const REGENERATE_HELP: &str = "write the file again: `StageBuilder::plan` of the client library makes it";

/// Decodes the plan in `text`, starting at byte `body`; `fields` is the header.
pub(super) fn read(
    file: &Arc<str>,
    text: &str,
    body: usize,
    fields: Option<&Fields<'_>>,
    problems: &mut Vec<Problem>,
) -> Option<Query> {
    let before = problems.len();
    let Some(fields) = fields else {
        problems.push(
            Problem::new(codes::HEADER, "a plan needs a header that says what it reads")
                .at(&Span::new(file, 0, 0))
                .help(format!("begin with `/* windlass`, `reads: [orders]`, `engine: {ENGINE_VERSION}` and `*/`")),
        );
        return None;
    };
    let reads = fields.require("reads", "reads: [orders]", problems);
    let relations = reads.and_then(|node| names(node, "`reads`", problems)).unwrap_or_default();
    let params = fields.get("params").and_then(|node| names(node, "`params`", problems)).unwrap_or_default();
    check_engine(fields, problems);
    // Text from another version need not look like a plan at all.
    if problems.len() > before {
        return None;
    }
    let (bytes, span) = match plan_text::read(file, &text[body..], body) {
        Ok(plan) => plan,
        Err(Unreadable { reason, span }) => {
            let problem = Problem::new(codes::PLAN_TEXT, format!("the plan cannot be read: {reason}")).at(&span);
            problems.push(problem.help(REGENERATE_HELP));
            return None;
        }
    };
    let reads = reads.map_or_else(|| span.clone(), |node| node.span.clone());
    let plan = EncodedPlan { file: Arc::clone(file), bytes: bytes.into(), span, reads };
    let relations = relations.into_iter().map(|name| RelationRef {
        parts: vec![name.value.clone()],
        written: name.value,
        has_alias: false,
        span: name.span,
    });
    Some(Query { query: StageQuery::Plan(plan), relations: relations.collect(), params })
}

fn check_engine(fields: &Fields<'_>, problems: &mut Vec<Problem>) {
    let example = format!("engine: {ENGINE_VERSION}");
    let Some(node) = fields.require("engine", &example, problems) else { return };
    let Some(version) = filled_text(node, "`engine`", problems) else { return };
    if version != ENGINE_VERSION {
        let message =
            format!("the plan was made by DataFusion {version}; this version of windlass has {ENGINE_VERSION}");
        problems.push(Problem::new(codes::PLAN_ENGINE, message).at(&node.span).help(REGENERATE_HELP));
    }
}
