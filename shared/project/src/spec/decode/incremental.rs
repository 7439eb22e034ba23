//! How a stage's table is updated: three keys of `io`, their requirements, and their consequences.

use super::fields::Fields;
use super::table::Table;
use super::values::choice;
use crate::spec::codes;
use crate::spec::problem::Problem;
use crate::spec::span::Span;
use crate::spec::table::{Incremental, Materialize, MergeWrite, OnDefinitionChange, TableSettings, WriteMode};

const INCREMENTAL: [(&str, Incremental); 3] =
    [("off", Incremental::Off), ("auto", Incremental::Auto), ("strict", Incremental::Strict)];
const MERGE: [(&str, MergeWrite); 3] =
    [("auto", MergeWrite::Auto), ("rewrite", MergeWrite::Rewrite), ("deletion_vectors", MergeWrite::DeletionVectors)];
const ON_DEFINITION_CHANGE: [(&str, OnDefinitionChange); 2] =
    [("rebuild", OnDefinitionChange::Rebuild), ("refuse", OnDefinitionChange::Refuse)];

/// The table property that enables the change data feed, so that its readers can be incremental too.
const CHANGE_DATA_FEED: &str = "delta.enableChangeDataFeed";
/// The table property that enables deletion vectors.
const DELETION_VECTORS: &str = "delta.enableDeletionVectors";

/// Applies the keys of `io`, or of the `defaults` of a project, to `settings`. Returns the span of `incremental`, if
/// present.
pub(super) fn read(fields: &Fields<'_>, settings: &mut TableSettings, problems: &mut Vec<Problem>) -> Option<Span> {
    let incremental = fields.get("incremental");
    if let Some(value) = incremental.and_then(|node| choice(node, "`incremental`", &INCREMENTAL, problems)) {
        settings.incremental = value;
    }
    if let Some(value) = fields.get("merge").and_then(|node| choice(node, "`merge`", &MERGE, problems)) {
        settings.merge = value;
    }
    if let Some(node) = fields.get("on_definition_change")
        && let Some(value) = choice(node, "`on_definition_change`", &ON_DEFINITION_CHANGE, problems)
    {
        settings.on_definition_change = value;
    }
    incremental.map(|node| node.span.clone())
}

/// Derives the remaining settings from the materialization. `place` is where a missing key is reported.
pub(super) fn finalize(table: &mut Table, materialize: Materialize, place: &Span, problems: &mut Vec<Problem>) {
    let settings = &mut table.settings;
    if materialize != Materialize::Table {
        // Defaults of the project do not apply to a stage without a table.
        let none = TableSettings::default();
        settings.incremental = none.incremental;
        settings.merge = none.merge;
        settings.on_definition_change = none.on_definition_change;
        return;
    }
    check_mode(table, place, problems);
    let settings = &mut table.settings;
    settings.properties.entry(CHANGE_DATA_FEED.to_owned()).or_insert_with(|| "true".to_owned());
    if settings.merge == MergeWrite::DeletionVectors {
        settings.properties.entry(DELETION_VECTORS.to_owned()).or_insert_with(|| "true".to_owned());
    }
    if settings.incremental == Incremental::Off {
        if settings.mode == WriteMode::Upsert {
            require_not_null_keys(settings);
        }
        return;
    }
    if table.lacks_key && settings.mode == WriteMode::Overwrite {
        problems.push(no_key(table.incremental_span.as_ref(), place));
    }
    require_not_null_keys(&mut table.settings);
}

/// Rows are found by their keys, so their columns must not be null.
fn require_not_null_keys(settings: &mut TableSettings) {
    for column in &settings.key {
        if !settings.not_null.contains(column) {
            settings.not_null.push(column.clone());
        }
    }
}

/// Reports a write mode that lacks a required option, or that an incremental table cannot have.
fn check_mode(table: &Table, place: &Span, problems: &mut Vec<Problem>) {
    let settings = &table.settings;
    let (needs, is_set) = match settings.mode {
        WriteMode::Overwrite | WriteMode::Append => return,
        WriteMode::Upsert => ("key", !table.lacks_key),
        WriteMode::ReplacePartitions => ("partition_by", table.partition_span.is_some()),
    };
    let place = table.mode_span.as_ref().unwrap_or(place);
    let mode = settings.mode.as_str();
    if !is_set {
        let problem = Problem::new(codes::IO_MODE, format!("`mode: {mode}` needs `{needs}`")).at(place);
        problems.push(problem.help(format!("add `{needs}: [column]`")));
    }
    if settings.incremental != Incremental::Off {
        let message = format!("`mode: {mode}` and `incremental` both define which rows are replaced");
        let mut problem = Problem::new(codes::IO_MODE, message).at(place);
        if let Some(asked) = &table.incremental_span {
            problem = problem.label(asked, "this makes the table incremental");
        }
        problems.push(problem.help("remove `mode`, or add `incremental: off`"));
    }
}

fn no_key(asked: Option<&Span>, place: &Span) -> Problem {
    let mut problem = Problem::new(codes::NEEDS_KEY, "an incremental stage must name the columns that identify a row");
    problem = match asked {
        Some(asked) if asked.file == place.file => problem.label(asked, "this asks for rows to be replaced by key"),
        Some(asked) => problem.label(place, "no `key` in its `io`").label(asked, "this makes every table incremental"),
        None => problem.label(place, "no `key` in its `io`"),
    };
    problem.help(
        "add the key to `io`, such as `key: [id]`, or `mode: append` if rows are only ever added; \
         `incremental: off` computes all rows in every run",
    )
}
