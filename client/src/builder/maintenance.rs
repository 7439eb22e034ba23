//! How tables are maintained, as YAML.

use std::time::Duration;

use windlass_project::maintenance::{MaintenanceSettings, ProjectMaintenance};
use windlass_project::spec::duration::duration_text;

use super::yaml::{Map, Yaml};

/// The `maintenance` of a project.
pub(super) fn of_project(maintenance: &ProjectMaintenance) -> Map {
    let mut map = of_tables(&maintenance.tables);
    map.set_some("after_runs", &maintenance.after_runs, |value| Yaml::plain(value));
    map.set_some("window", &maintenance.window, |window| Yaml::text(window.to_string()));
    map.set_some("max_bytes", &maintenance.max_bytes, |value| Yaml::plain(value));
    for (layer, settings) in &maintenance.layers {
        map.enter("layers", layer, Yaml::Map(of_tables(settings)));
    }
    map
}

/// The keys that the project, layers and stages have in common.
pub(super) fn of_tables(settings: &MaintenanceSettings) -> Map {
    let number = |value: &u64| Yaml::plain(value);
    let (of_optimize, of_vacuum, of_keep) = (&settings.optimize, &settings.vacuum, &settings.keep);
    let mut optimize = Map::default();
    optimize.set_some("enabled", &of_optimize.enabled, |value| Yaml::plain(value));
    optimize.set_some("target_file_size", &of_optimize.target_file_bytes, number);
    optimize.set_some("small_files", &of_optimize.small_files, number);
    optimize.set_some("deleted_ratio", &of_optimize.deleted_ratio, |value| Yaml::plain(value));
    optimize.set_some("zorder", &of_optimize.zorder, |columns| Yaml::texts(columns));
    let mut vacuum = Map::default();
    vacuum.set_some("enabled", &of_vacuum.enabled, |value| Yaml::plain(value));
    vacuum.set_some("retention", &of_vacuum.retention, duration);
    vacuum.set_some("full_every", &of_vacuum.full_every, duration);
    let mut keep = Map::default();
    keep.set_some("runs", &of_keep.runs, number);
    keep.set_some("days", &of_keep.days, number);
    keep.set_some("versions", &of_keep.versions, |versions| Yaml::List(versions.iter().map(number).collect()));
    let mut map = Map::default();
    map.set_map("optimize", optimize);
    map.set_map("vacuum", vacuum);
    map.set_some("checkpoint_every", &settings.checkpoint_every, number);
    map.set_some("log_retention", &settings.log_retention, duration);
    map.set_map("keep", keep);
    map.set_some("readers", &settings.readers, |readers| Yaml::text(readers.as_str()));
    map
}

fn duration(duration: &Duration) -> Yaml {
    Yaml::text(duration_text(*duration))
}
