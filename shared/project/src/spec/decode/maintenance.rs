//! Decodes `maintenance`: of the project, of its layers, and of single tables.

use super::fields::{Fields, Keys, entries};
use super::table::MIN_FILE_BYTES;
use super::values::{boolean, choice, duration, filled_text, list, part, plain_names, size, whole, wrong_type};
use crate::maintenance::{
    KeepSettings, KeyPlaces, MaintenancePlaces, MaintenanceSettings, OptimizeSettings, PROPERTIES, ProjectMaintenance,
    Readers, VacuumSettings, Window, path,
};
use crate::spec::codes;
use crate::spec::problem::Problem;
use crate::spec::span::Spanned;
use crate::spec::yaml::{Node, Value};

const OF_PROJECT: Keys = Keys {
    what: "`maintenance`",
    known: &[
        "optimize",
        "vacuum",
        "checkpoint_every",
        "log_retention",
        "keep",
        "readers",
        "window",
        "max_bytes",
        "after_runs",
        "layers",
    ],
};
const OF_LAYER: Keys = Keys { what: "`maintenance` of a layer", known: OF_TABLES };
const OF_TABLE: Keys = Keys { what: "`maintenance` of a stage", known: OF_TABLES };
/// The keys that can be refined.
const OF_TABLES: &[&str] = &["optimize", "vacuum", "checkpoint_every", "log_retention", "keep", "readers"];
const OPTIMIZE: Keys =
    Keys { what: "`optimize`", known: &["enabled", "target_file_size", "small_files", "deleted_ratio", "zorder"] };
const VACUUM: Keys = Keys { what: "`vacuum`", known: &["enabled", "retention", "full_every"] };
const KEEP: Keys = Keys { what: "`keep`", known: &["runs", "days"] };
const KEEP_OF_TABLE: Keys = Keys { what: "`keep`", known: &["runs", "days", "versions"] };

const READERS: [(&str, Readers); 2] = [("deletion_vectors", Readers::DeletionVectors), ("any", Readers::Any)];
const SWITCH: [(&str, bool); 2] = [("off", false), ("on", true)];

/// More files, commits or runs than any table has.
const MANY: u64 = 1_000_000;
const MANY_DAYS: u64 = 36_500;
/// The newest version that a table can have.
const LAST_VERSION: u64 = i64::MAX.unsigned_abs();

/// Settings, and where they are written.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    pub(super) settings: MaintenanceSettings,
    pub(super) places: KeyPlaces,
}

impl Written {
    /// Replaces the settings, and keeps the places of everything else.
    pub(super) fn set(&mut self, other: Self) {
        self.settings = other.settings;
        self.places.extend(other.places);
    }
}

/// The `maintenance` of a project, and where it is written.
#[derive(Debug, Clone, Default)]
pub(super) struct OfProject {
    pub(super) settings: ProjectMaintenance,
    pub(super) places: MaintenancePlaces,
}

pub(super) fn of_project(node: &Node, problems: &mut Vec<Problem>) -> OfProject {
    let mut project = OfProject::default();
    let Some(fields) = Fields::open(node, &OF_PROJECT, problems) else { return project };
    let tables = read(&fields, &KEEP, problems);
    (project.settings.tables, project.places.tables) = (tables.settings, tables.places);
    let layers = fields.get("layers").and_then(|node| entries(node, "`layers`", problems)).unwrap_or_default();
    for entry in layers {
        let Some(fields) = open_refined(&entry.value, &OF_LAYER, problems) else { continue };
        let Written { settings, places } = read(&fields, &KEEP, problems);
        let name = &entry.key;
        project.settings.layers.insert(name.value.clone(), settings);
        project.places.layers.insert(name.value.clone(), Spanned::new(places, name.span.clone()));
    }
    project.settings.after_runs = fields.get("after_runs").and_then(|node| boolean(node, "`after_runs`", problems));
    project.settings.window = fields.get("window").and_then(|node| window(node, problems));
    project.settings.max_bytes =
        fields.get("max_bytes").and_then(|node| size(node, "`max_bytes`", MIN_FILE_BYTES, problems));
    project
}

/// The `maintenance` in the `io` of a stage.
pub(super) fn of_table(node: &Node, problems: &mut Vec<Problem>) -> Written {
    open_refined(node, &OF_TABLE, problems).map(|fields| read(&fields, &KEEP_OF_TABLE, problems)).unwrap_or_default()
}

/// Where `properties` sets a property that means the same as a value of `maintenance`.
pub(super) fn property_places(properties: &Node) -> KeyPlaces {
    let Value::Map(entries) = &properties.value else { return KeyPlaces::new() };
    let place = |property: &'static str| {
        let entry = entries.iter().find(|entry| entry.key.value == property)?;
        Some((property, entry.value.span.clone()))
    };
    PROPERTIES.iter().filter_map(|same| place(same.property)).collect()
}

/// Opens settings that refine those of the project, which has more keys.
fn open_refined<'n>(node: &'n Node, keys: &Keys, problems: &mut Vec<Problem>) -> Option<Fields<'n>> {
    let of_project: Vec<&str> = OF_PROJECT.known.iter().filter(|key| !keys.known.contains(key)).copied().collect();
    let help = "it is of the whole project: move it to `maintenance` in windlass.yaml";
    open(node, keys, &of_project, help, problems)
}

/// Opens a mapping. `help` is for keys that are known `elsewhere`.
fn open<'n>(
    node: &'n Node,
    keys: &Keys,
    elsewhere: &[&str],
    help: &str,
    problems: &mut Vec<Problem>,
) -> Option<Fields<'n>> {
    let before = problems.len();
    let fields = Fields::open(node, keys, problems)?;
    for span in elsewhere.iter().filter_map(|key| fields.key_span(key)) {
        let of_key = |problem: &&mut Problem| problem.labels.first().is_some_and(|label| label.span == *span);
        if let Some(problem) = problems.iter_mut().skip(before).find(of_key) {
            problem.help = Some(help.to_owned());
        }
    }
    Some(fields)
}

/// Reads the keys that the project, layers and stages have in common.
fn read(fields: &Fields<'_>, keep_keys: &Keys, problems: &mut Vec<Problem>) -> Written {
    let mut places = KeyPlaces::new();
    let settings = MaintenanceSettings {
        optimize: fields.get("optimize").map(|node| optimize(node, &mut places, problems)).unwrap_or_default(),
        vacuum: fields.get("vacuum").map(|node| vacuum(node, &mut places, problems)).unwrap_or_default(),
        checkpoint_every: noted(fields, "checkpoint_every", path::CHECKPOINT_EVERY, &mut places)
            .and_then(|node| whole(node, "`checkpoint_every`", 1..=MANY, problems)),
        log_retention: noted(fields, "log_retention", path::LOG_RETENTION, &mut places)
            .and_then(|node| duration(node, "`log_retention`", problems)),
        keep: fields.get("keep").map(|node| keep(node, keep_keys, problems)).unwrap_or_default(),
        readers: fields.get("readers").and_then(|node| choice(node, "`readers`", &READERS, problems)),
    };
    Written { settings, places }
}

/// The value of a key, whose place is noted.
fn noted<'n>(fields: &Fields<'n>, key: &str, path: &'static str, places: &mut KeyPlaces) -> Option<&'n Node> {
    fields.get(key).inspect(|node| drop(places.insert(path, node.span.clone())))
}

fn optimize(node: &Node, places: &mut KeyPlaces, problems: &mut Vec<Problem>) -> OptimizeSettings {
    let (enabled, fields) = switched(node, &OPTIMIZE, problems);
    let mut settings = OptimizeSettings { enabled, ..OptimizeSettings::default() };
    let Some(fields) = fields else { return settings };
    settings.target_file_bytes =
        fields.get("target_file_size").and_then(|node| size(node, "`target_file_size`", MIN_FILE_BYTES, problems));
    settings.small_files = fields.get("small_files").and_then(|node| whole(node, "`small_files`", 1..=MANY, problems));
    settings.deleted_ratio = fields.get("deleted_ratio").and_then(|node| part(node, "`deleted_ratio`", problems));
    settings.zorder =
        noted(&fields, "zorder", path::ZORDER, places).and_then(|node| plain_names(node, "`zorder`", problems));
    settings
}

fn vacuum(node: &Node, places: &mut KeyPlaces, problems: &mut Vec<Problem>) -> VacuumSettings {
    let (enabled, fields) = switched(node, &VACUUM, problems);
    let mut settings = VacuumSettings { enabled, ..VacuumSettings::default() };
    let Some(fields) = fields else { return settings };
    settings.retention =
        noted(&fields, "retention", path::RETENTION, places).and_then(|node| duration(node, "`retention`", problems));
    settings.full_every = fields.get("full_every").and_then(|node| duration(node, "`full_every`", problems));
    settings
}

/// A part of maintenance that can be switched: `on`, `off`, or its settings, of which `enabled` is one.
fn switched<'n>(node: &'n Node, keys: &Keys, problems: &mut Vec<Problem>) -> (Option<bool>, Option<Fields<'n>>) {
    match &node.value {
        Value::Scalar(scalar) if scalar.as_bool().is_some() => (scalar.as_bool(), None),
        Value::Scalar(scalar) if !scalar.is_null() && scalar.as_float().is_none() => {
            (choice(node, keys.what, &SWITCH, problems), None)
        }
        Value::Map(_) => {
            let fields = Fields::open(node, keys, problems);
            let enabled = fields.as_ref().and_then(|fields| fields.get("enabled"));
            (enabled.and_then(|node| boolean(node, "`enabled`", problems)), fields)
        }
        _ => (wrong_type(node, keys.what, "`on`, `off` or a mapping", problems), None),
    }
}

fn keep(node: &Node, keys: &Keys, problems: &mut Vec<Problem>) -> KeepSettings {
    let help = "versions are of one table: write them under `maintenance` in the `io` of its stage";
    let of_table: &[&str] = if keys.known.contains(&"versions") { &[] } else { &["versions"] };
    let Some(fields) = open(node, keys, of_table, help, problems) else { return KeepSettings::default() };
    KeepSettings {
        runs: fields.get("runs").and_then(|node| whole(node, "`runs`", 0..=MANY, problems)),
        days: fields.get("days").and_then(|node| whole(node, "`days`", 0..=MANY_DAYS, problems)),
        versions: fields.get("versions").filter(|_| of_table.is_empty()).and_then(|node| versions(node, problems)),
    }
}

/// A list of versions of a table, each at most once.
fn versions(node: &Node, problems: &mut Vec<Problem>) -> Option<Vec<u64>> {
    let mut found = Vec::new();
    for item in list(node, "`versions`", problems)? {
        let Some(version) = whole(item, "an item of `versions`", 0..=LAST_VERSION, problems) else { continue };
        if found.contains(&version) {
            let message = format!("`versions` names {version} twice");
            problems.push(Problem::new(codes::DUPLICATE_ITEM, message).at(&item.span));
        } else {
            found.push(version);
        }
    }
    Some(found)
}

fn window(node: &Node, problems: &mut Vec<Problem>) -> Option<Window> {
    let text = filled_text(node, "`window`", problems)?;
    let window = Window::parse(&text);
    if window.is_none() {
        let problem = Problem::new(codes::BAD_VALUE, format!("`window` must be a part of the day, not `{text}`"));
        let help = "write its beginning and its end in UTC, such as 01:00-05:00; 22:00-05:00 goes over midnight";
        problems.push(problem.at(&node.span).help(help));
    }
    window
}
