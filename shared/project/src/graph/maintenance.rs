//! The maintenance policy of each table, and what is wrong with it: the project's settings, refined by the layer and the
//! stage, with what the table's properties say.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use windlass_base::ids::NodeName;
use windlass_base::suggest::did_you_mean;

use super::{PipelineGraph, Stage};
use crate::maintenance::{
    KeyPlaces, MaintenancePlaces, MaintenancePolicy, MaintenanceSettings, PROPERTIES, SameProperty, path,
};
use crate::spec::duration::duration_text;
use crate::spec::table::Materialize;
use crate::spec::{PipelineSpec, Problem, Span, codes};
use crate::tag::keys;

impl PipelineGraph {
    /// How a stage's table is maintained: what the stage says, over what is said for its layer, over what the project says
    /// for all tables, over the table's properties that mean the same, over the defaults.
    pub fn maintenance_of(&self, stage: &Stage) -> MaintenancePolicy {
        let mut policy = self.maintenance_settings(stage, &stage.table.properties).policy();
        // Rows of one file have equal values in them anyway. Only a stage that names them itself is refused.
        policy.optimize.zorder.retain(|column| !stage.table.partition_by.contains(column));
        let project = &self.maintenance;
        policy.after_runs = project.after_runs.unwrap_or(policy.after_runs);
        policy.window = project.window;
        policy.max_bytes = project.max_bytes;
        policy
    }

    /// How the quarantine of a stage's table is maintained: as the table, but for its columns and its versions.
    pub fn maintenance_of_quarantine(&self, stage: &Stage) -> MaintenancePolicy {
        let mut policy = self.maintenance_of(stage);
        policy.optimize.zorder.clear();
        policy.keep.versions.clear();
        policy
    }

    /// Everything that is said about a stage's table, if it has these properties.
    fn maintenance_settings(&self, stage: &Stage, properties: &BTreeMap<String, String>) -> MaintenanceSettings {
        self.given_maintenance(stage).over(&MaintenanceSettings::of_properties(properties))
    }

    /// What `maintenance` says about a stage's table, wherever it is written.
    fn given_maintenance(&self, stage: &Stage) -> MaintenanceSettings {
        let of_layer = stage.tags.get(keys::LAYER).and_then(|layer| self.maintenance.layers.get(layer));
        let project = &self.maintenance.tables;
        match of_layer {
            Some(layer) => stage.maintenance.over(layer).over(project),
            None => stage.maintenance.over(project),
        }
    }
}

/// Where the `maintenance` of a project and its stages is written.
pub(super) struct Places {
    project: MaintenancePlaces,
    stages: BTreeMap<NodeName, KeyPlaces>,
}

/// The places in a project.
pub(super) fn places(spec: &PipelineSpec) -> Places {
    let of_stage = spec.stages.iter().map(|stage| (stage.name.value.clone(), stage.maintenance_places.clone()));
    Places { project: spec.maintenance_places.clone(), stages: of_stage.collect() }
}

/// Reports policies that cannot be followed, of every table, with every target.
pub(super) fn check(graph: &PipelineGraph, places: &Places, problems: &mut Vec<Problem>) {
    let tables = || graph.stages.iter().filter(|stage| stage.materialize == Materialize::Table);
    check_layers(graph, places, tables().filter_map(|stage| stage.tags.get(keys::LAYER)).collect(), problems);
    for stage in tables() {
        let mut table = Table::of(graph, stage, places);
        table.check(problems);
        let changes = graph.targets.values().filter_map(|target| target.datasets.get(&stage.name));
        for change in changes.filter(|change| !change.properties.is_empty()) {
            table.properties = stage.table.properties.clone();
            table.properties.extend(change.properties.clone());
            table.changed = Some((change.properties.keys().cloned().collect(), &change.span));
            table.check(problems);
        }
        check_zorder(stage, table.stage, problems);
    }
}

/// Reports layers that no table has: what is said for them would have no effect.
fn check_layers(graph: &PipelineGraph, places: &Places, known: BTreeSet<&str>, problems: &mut Vec<Problem>) {
    for name in graph.maintenance.layers.keys().filter(|name| !known.contains(name.as_str())) {
        let mut problem =
            Problem::new(codes::MAINTENANCE_LAYER, format!("no stage with a table has the layer `{name}`"));
        if let Some(layer) = places.project.layers.get(name) {
            problem = problem.at(&layer.span);
        }
        problem.help = did_you_mean(name, "layers are", known.iter().copied())
            .or_else(|| Some(format!("give a stage the tag `layer: {name}`, or remove it here")));
        problems.push(problem);
    }
}

/// Reports columns for the layout of rows that the table is partitioned by.
fn check_zorder(stage: &Stage, places: Option<&KeyPlaces>, problems: &mut Vec<Problem>) {
    let columns = stage.maintenance.optimize.zorder.iter().flatten();
    for column in columns.filter(|column| stage.table.partition_by.contains(column)) {
        let message = format!("`zorder` names `{column}`, a partition column");
        let place = places.and_then(|places| places.get(path::ZORDER)).unwrap_or(&stage.span);
        let problem = Problem::new(codes::DOES_NOT_APPLY, message).at(place);
        problems.push(problem.help("remove it: all rows of a file have the same value in it already"));
    }
}

/// The table of a stage, whose policy is checked.
struct Table<'g> {
    graph: &'g PipelineGraph,
    of: &'g Stage,
    /// Its properties.
    properties: BTreeMap<String, String>,
    /// Where the project, its layer and the stage say something.
    project: &'g KeyPlaces,
    layer: Option<&'g KeyPlaces>,
    stage: Option<&'g KeyPlaces>,
    /// The properties that a target changes, and where.
    changed: Option<(BTreeSet<String>, &'g Span)>,
}

impl<'g> Table<'g> {
    /// The table without a target.
    fn of(graph: &'g PipelineGraph, stage: &'g Stage, places: &'g Places) -> Self {
        let layer = stage.tags.get(keys::LAYER).and_then(|layer| places.project.layers.get(layer));
        Self {
            graph,
            of: stage,
            properties: stage.table.properties.clone(),
            project: &places.project.tables,
            layer: layer.map(|layer| &layer.value),
            stage: places.stages.get(&stage.name),
            changed: None,
        }
    }

    fn check(&self, problems: &mut Vec<Problem>) {
        for same in &PROPERTIES {
            problems.extend(self.contradiction(same));
        }
        let settings = self.graph.maintenance_settings(self.of, &self.properties);
        let policy = settings.policy();
        let (retention, log_retention) = (policy.vacuum.retention, policy.log_retention);
        if retention > log_retention {
            problems.push(self.too_long(retention, log_retention));
        }
        if retention == Duration::ZERO && settings.keep.runs.is_none() && settings.keep.days.is_none() {
            let message = "a retention of 0 without `keep`: nothing says which versions of earlier runs stay";
            let given = if settings.vacuum.retention.is_some() { path::RETENTION } else { path::LOG_RETENTION };
            let problem = Problem::new(codes::RETENTION_ZERO, message).at(self.place(given));
            problems.push(
                problem.help("add `keep: { runs: 10 }` with the number of runs, or write a retention such as 7d"),
            );
        }
    }

    /// The problem of files that stay longer than the log.
    fn too_long(&self, retention: Duration, log_retention: Duration) -> Problem {
        let (files, log) = (duration_text(retention), duration_text(log_retention));
        let message = format!("the retention of files, {files}, is longer than that of the log, {log}");
        let problem = Problem::new(codes::RETENTION_LOG, message);
        let (of_files, of_log) = (self.place(path::RETENTION), self.place(path::LOG_RETENTION));
        let problem = if of_files == of_log {
            problem.at(of_files)
        } else {
            problem.label(of_files, "files stay so long").label(of_log, "and the log that names them")
        };
        problem.help("lower `retention` or raise `log_retention`: a version cannot be read without its log")
    }

    /// The problem of a property that says something else than `maintenance`.
    fn contradiction(&self, same: &SameProperty) -> Option<Problem> {
        let given = self.graph.given_maintenance(self.of);
        let of_property = same.read(&self.properties)?;
        let value = |settings: &MaintenanceSettings| match same.path {
            path::RETENTION => settings.vacuum.retention.map(duration_text),
            path::LOG_RETENTION => settings.log_retention.map(duration_text),
            _ => settings.checkpoint_every.map(|every| every.to_string()),
        };
        let (here, there) = (value(&given)?, value(&of_property)?);
        if here == there {
            return None;
        }
        let (key, property) = (same.path, same.property);
        let message = format!("`{key}` is {here}, and the table property `{property}` says {there}");
        let problem = Problem::new(codes::MAINTENANCE_PROPERTY, message)
            .label(self.given_at(key)?, "Windlass follows this")
            .label(self.property_at(property), "other programs that maintain the table follow this");
        Some(problem.help("remove the property, or give both the same value"))
    }

    /// Where a value is written, in `maintenance` or as a property; the stage if it is written nowhere.
    fn place(&self, key: &str) -> &'g Span {
        let property = || PROPERTIES.iter().find(|same| same.path == key).map(|same| self.property_at(same.property));
        self.given_at(key).or_else(property).unwrap_or(&self.of.span)
    }

    /// Where `maintenance` says something for the table: the most specific place.
    fn given_at(&self, key: &str) -> Option<&'g Span> {
        [self.stage, self.layer, Some(self.project)].into_iter().flatten().find_map(|places| places.get(key))
    }

    fn property_at(&self, property: &str) -> &'g Span {
        let changed = self.changed.as_ref().filter(|(properties, _)| properties.contains(property));
        let own = || self.stage.and_then(|places| places.get(property));
        changed.map(|(_, span)| *span).or_else(own).unwrap_or(&self.of.span)
    }
}
