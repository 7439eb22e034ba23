//! The facets, each with the version of its schema.

use serde_json::{Map, Value, json};
use windlass_base::error::Failure;
use windlass_project::expect::Severity;
use windlass_project::tag::Tags;

use super::event::Facets;
use crate::artifact::{ColumnRecord, ExpectationRecord, StageReceipt};

/// Who produces the events.
pub const PRODUCER: &str = concat!("urn:windlass:", env!("CARGO_PKG_VERSION"));

/// The facets that events have: the key, the name and the version of the schema.
pub const FACETS: [(&str, &str, &str); 14] = [
    ("columnLineage", "ColumnLineageDatasetFacet", "1-2-0"),
    ("dataQualityAssertions", "DataQualityAssertionsDatasetFacet", "1-1-0"),
    ("documentation", "DocumentationJobFacet", "1-1-0"),
    ("errorMessage", "ErrorMessageRunFacet", "1-0-1"),
    ("inputStatistics", "InputStatisticsInputDatasetFacet", "1-0-0"),
    ("jobType", "JobTypeJobFacet", "2-0-4"),
    ("outputStatistics", "OutputStatisticsOutputDatasetFacet", "1-0-2"),
    ("parent", "ParentRunFacet", "1-2-0"),
    ("processing_engine", "ProcessingEngineRunFacet", "1-1-1"),
    ("schema", "SchemaDatasetFacet", "1-2-0"),
    ("sql", "SQLJobFacet", "1-1-0"),
    ("symlinks", "SymlinksDatasetFacet", "1-0-1"),
    ("tags", "TagsJobFacet", "1-0-0"),
    ("version", "DatasetVersionDatasetFacet", "1-0-1"),
];

/// Adds a facet, with its producer and the URL of its schema.
pub(super) fn add(facets: &mut Facets, key: &'static str, fields: Value) {
    let known = FACETS.iter().find(|(of, _, _)| *of == key);
    let Some((_, name, version)) = known else { return };
    let mut facet = Map::from_iter([
        ("_producer".to_owned(), json!(PRODUCER)),
        (
            "_schemaURL".to_owned(),
            json!(format!("https://openlineage.io/spec/facets/{version}/{name}.json#/$defs/{name}")),
        ),
    ]);
    if let Value::Object(fields) = fields {
        facet.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
    }
    facets.insert(key, Value::Object(facet));
}

/// What runs the jobs.
pub(super) fn engine(facets: &mut Facets) {
    let version = env!("CARGO_PKG_VERSION");
    add(
        facets,
        "processing_engine",
        json!({ "name": "Windlass", "version": version, "openlineageAdapterVersion": version }),
    );
}

/// What kind of job it is: `DAG` or `QUERY`.
pub(super) fn job_type(facets: &mut Facets, kind: &str) {
    add(facets, "jobType", json!({ "processingType": "BATCH", "integration": "WINDLASS", "jobType": kind }));
}

/// Why a run has failed.
pub(super) fn failure(facets: &mut Facets, message: &str) {
    add(facets, "errorMessage", json!({ "message": message, "programmingLanguage": "RUST" }));
}

/// A failure in one line, with its code.
pub(super) fn line_of(failure: &Failure) -> String {
    format!("[{}] {}", failure.code, failure.message)
}

pub(super) fn tags(facets: &mut Facets, tags: &Tags) {
    let tags: Vec<Value> =
        tags.0.iter().map(|(key, value)| json!({ "key": key, "value": value, "source": "WINDLASS" })).collect();
    if !tags.is_empty() {
        add(facets, "tags", json!({ "tags": tags }));
    }
}

pub(super) fn schema(facets: &mut Facets, columns: &[ColumnRecord]) {
    let field = |(place, column): (usize, &ColumnRecord)| json!({ "name": column.name, "type": column.data_type, "ordinal_position": place + 1 });
    let fields: Vec<Value> = columns.iter().enumerate().map(field).collect();
    add(facets, "schema", json!({ "fields": fields }));
}

/// How the rows met what the stage expects.
pub(super) fn assertions(facets: &mut Facets, expectations: &[ExpectationRecord]) {
    let assertion = |expectation: &ExpectationRecord| {
        json!({
            "assertion": expectation.name,
            "name": expectation.name,
            "description": expectation.rule,
            "success": !expectation.broken,
            "severity": match expectation.severity {
                Severity::Fail => "error",
                Severity::Warn | Severity::Quarantine => "warn",
            },
            "actual": expectation.rows_failed.to_string(),
        })
    };
    if !expectations.is_empty() {
        let assertions: Vec<Value> = expectations.iter().map(assertion).collect();
        add(facets, "dataQualityAssertions", json!({ "assertions": assertions }));
    }
}

/// What a commit has written.
pub(super) fn output_statistics(facets: &mut Facets, receipt: &StageReceipt) {
    add(
        facets,
        "outputStatistics",
        json!({ "rowCount": receipt.rows, "size": receipt.bytes, "fileCount": receipt.files }),
    );
}
