//! Tables and sources as datasets.

use serde_json::{Value, json};
use windlass_base::ids::{NodeName, TableVersion};

use super::event::{Dataset, Facets};
use super::{RunFacts, facets};
use crate::artifact::{ColumnLineage, ColumnOrigin, ColumnRecord, Registration, SourceChange};

/// An input of a stage.
#[derive(Debug, Clone)]
pub struct InputFacts<'f> {
    /// Its name in the project.
    pub name: &'f NodeName,
    /// As what it was registered; none of rows that the project holds.
    pub registration: Option<&'f Registration>,
    /// The version that is read, if it has versions.
    pub version: Option<TableVersion>,
    /// The rows that it has, if they are counted.
    pub rows: Option<u64>,
    /// What of it was read, if only changes were.
    pub change: Option<&'f SourceChange>,
}

impl InputFacts<'_> {
    fn location(&self) -> Option<&str> {
        self.registration?.location.as_deref()
    }

    pub(super) fn dataset(&self, run: &RunFacts) -> Dataset {
        let columns = self.registration.map(|registration| registration.columns.as_slice());
        let mut dataset = dataset(run, self.name, self.location(), self.version, columns);
        let (rows, bytes, files) = match (self.change, self.registration) {
            (Some(change), _) => (change.rows, Some(change.bytes), Some(change.files)),
            (None, Some(registration)) => (self.rows, registration.bytes, registration.files),
            (None, None) => return dataset,
        };
        facets::add(
            &mut dataset.input_facets,
            "inputStatistics",
            json!({ "rowCount": rows, "size": bytes, "fileCount": files }),
        );
        dataset
    }
}

/// A dataset with its schema, its version and its name in the project.
pub(super) fn dataset(
    run: &RunFacts,
    name: &NodeName,
    location: Option<&str>,
    version: Option<TableVersion>,
    columns: Option<&[ColumnRecord]>,
) -> Dataset {
    let (namespace, place) = place_of(run, name, location);
    let mut of_dataset = Facets::new();
    if let Some(columns) = columns {
        facets::schema(&mut of_dataset, columns);
    }
    if let Some(version) = version {
        facets::add(&mut of_dataset, "version", json!({ "datasetVersion": version.to_string() }));
    }
    let identifier = json!({ "namespace": run.namespace, "name": run.name_of(name), "type": "TABLE" });
    facets::add(&mut of_dataset, "symlinks", json!({ "identifiers": [identifier] }));
    Dataset { namespace, name: place, facets: of_dataset, ..Dataset::default() }
}

/// Adds from which columns of `inputs` each column was made. What was read under a name that is no input is left out.
pub(super) fn column_lineage(
    of_dataset: &mut Facets,
    run: &RunFacts,
    lineage: &ColumnLineage,
    inputs: &[InputFacts<'_>],
) {
    let fields = |origins: &[ColumnOrigin]| -> Vec<Value> {
        let field = |origin: &ColumnOrigin| {
            let input = inputs.iter().find(|input| *input.name == origin.table)?;
            let (namespace, name) = place_of(run, input.name, input.location());
            let (kind, how) = (origin.how.kind().to_uppercase(), origin.how.as_str().to_uppercase());
            let transformations = json!([{ "type": kind, "subtype": how, "masking": false }]);
            let field = &origin.column;
            Some(json!({ "namespace": namespace, "name": name, "field": field, "transformations": transformations }))
        };
        origins.iter().filter_map(field).collect()
    };
    let columns = lineage.columns.iter();
    let columns = columns.map(|column| (column.name.clone(), json!({ "inputFields": fields(&column.origins) })));
    let columns: serde_json::Map<String, Value> = columns.collect();
    facets::add(of_dataset, "columnLineage", json!({ "fields": columns, "dataset": fields(&lineage.rows) }));
}

/// The namespace and the name of a dataset: the store and the path there, or the job's namespace if it lies nowhere.
fn place_of(run: &RunFacts, name: &NodeName, location: Option<&str>) -> (String, String) {
    let Some(location) = location else { return (run.namespace.clone(), run.name_of(name)) };
    let (store, path) = match location.split_once("://") {
        None | Some(("file", _)) => {
            ("file".to_owned(), location.strip_prefix("file://").unwrap_or(location).trim_end_matches('/'))
        }
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            (format!("{scheme}://{authority}"), path.trim_matches('/'))
        }
    };
    (store, if path.is_empty() { "/".to_owned() } else { path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_and_paths() {
        let run = RunFacts { namespace: "jobs".into(), run_id: "r".into(), pipeline: "shop".into() };
        for (location, expected) in [
            (Some("s3://bucket/a/b/"), ("s3://bucket", "a/b")),
            (Some("s3://bucket"), ("s3://bucket", "/")),
            (Some("abfss://files@account.dfs.core.windows.net/a"), ("abfss://files@account.dfs.core.windows.net", "a")),
            (Some("/data/orders"), ("file", "/data/orders")),
            (Some("file:///data/orders/"), ("file", "/data/orders")),
            (Some("/"), ("file", "/")),
            (None, ("jobs", "shop.orders")),
        ] {
            let (store, path) = place_of(&run, &"orders".into(), location);
            assert_eq!((store.as_str(), path.as_str()), expected, "{location:?}");
        }
    }
}
