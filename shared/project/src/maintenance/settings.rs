//! What a project, its layers and its stages say about maintenance, and the policy that results.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{KeepPolicy, MaintenancePolicy, OptimizePolicy, Readers, VacuumPolicy, Window};
use crate::spec::duration::parse_interval;
use crate::spec::{Span, Spanned};

/// What is said for some tables; a key that is left out is decided by what is less specific.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MaintenanceSettings {
    /// When data files are rewritten, and how.
    pub optimize: OptimizeSettings,
    /// When files that no version needs are removed.
    pub vacuum: VacuumSettings,
    /// [`MaintenancePolicy::checkpoint_every`].
    pub checkpoint_every: Option<u64>,
    /// [`MaintenancePolicy::log_retention`].
    pub log_retention: Option<Duration>,
    /// Which versions stay besides those of the retention.
    pub keep: KeepSettings,
    /// [`MaintenancePolicy::readers`].
    pub readers: Option<Readers>,
}

/// What is said about rewriting data files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OptimizeSettings {
    /// [`OptimizePolicy::enabled`].
    pub enabled: Option<bool>,
    /// [`OptimizePolicy::target_file_bytes`].
    pub target_file_bytes: Option<u64>,
    /// [`OptimizePolicy::small_files`].
    pub small_files: Option<u64>,
    /// [`OptimizePolicy::deleted_ratio`].
    pub deleted_ratio: Option<f64>,
    /// [`OptimizePolicy::zorder`].
    pub zorder: Option<Vec<String>>,
}

/// What is said about removing files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VacuumSettings {
    /// [`VacuumPolicy::enabled`].
    pub enabled: Option<bool>,
    /// [`VacuumPolicy::retention`].
    pub retention: Option<Duration>,
    /// [`VacuumPolicy::full_every`].
    pub full_every: Option<Duration>,
}

/// What is said about versions that stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeepSettings {
    /// [`KeepPolicy::runs`].
    pub runs: Option<u64>,
    /// [`KeepPolicy::days`].
    pub days: Option<u64>,
    /// [`KeepPolicy::versions`], only for a single table.
    pub versions: Option<Vec<u64>>,
}

/// The `maintenance` of a project.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProjectMaintenance {
    /// For all tables.
    pub tables: MaintenanceSettings,
    /// For the tables of a layer: those of stages whose tag `layer` has that value.
    pub layers: BTreeMap<String, MaintenanceSettings>,
    /// [`MaintenancePolicy::after_runs`].
    pub after_runs: Option<bool>,
    /// [`MaintenancePolicy::window`].
    pub window: Option<Window>,
    /// [`MaintenancePolicy::max_bytes`].
    pub max_bytes: Option<u64>,
}

/// Where values are written, by their paths in `maintenance`; and, by their names, the table properties that mean the same.
pub type KeyPlaces = BTreeMap<&'static str, Span>;

/// Where the `maintenance` of a project is written.
#[derive(Debug, Clone, Default)]
pub struct MaintenancePlaces {
    /// What is for all tables.
    pub tables: KeyPlaces,
    /// What is for a layer, with the place of its name.
    pub layers: BTreeMap<String, Spanned<KeyPlaces>>,
}

/// The paths of values in `maintenance` that problems point at.
pub(crate) mod path {
    pub(crate) const ZORDER: &str = "optimize.zorder";
    pub(crate) const RETENTION: &str = "vacuum.retention";
    pub(crate) const LOG_RETENTION: &str = "log_retention";
    pub(crate) const CHECKPOINT_EVERY: &str = "checkpoint_every";
}

/// A table property that means the same as a value of `maintenance`.
pub(crate) struct SameProperty {
    /// The property's name.
    pub(crate) property: &'static str,
    /// The path of the value.
    pub(crate) path: &'static str,
}

/// The table properties that mean the same as values of `maintenance`. Other programs that maintain the table follow them.
pub(crate) const PROPERTIES: [SameProperty; 3] = [
    SameProperty { property: "delta.deletedFileRetentionDuration", path: path::RETENTION },
    SameProperty { property: "delta.logRetentionDuration", path: path::LOG_RETENTION },
    SameProperty { property: "delta.checkpointInterval", path: path::CHECKPOINT_EVERY },
];

impl SameProperty {
    /// What the properties of a table say, and nothing else. Values that are not valid are left out: whoever writes the table
    /// refuses them.
    pub(crate) fn read(&self, properties: &BTreeMap<String, String>) -> Option<MaintenanceSettings> {
        let text = properties.get(self.property)?;
        let mut settings = MaintenanceSettings::default();
        match self.path {
            path::RETENTION => settings.vacuum.retention = Some(parse_interval(text)?),
            path::LOG_RETENTION => settings.log_retention = Some(parse_interval(text)?),
            _ => settings.checkpoint_every = Some(text.parse::<u64>().ok().filter(|every| *every > 0)?),
        }
        Some(settings)
    }
}

impl MaintenanceSettings {
    /// What the properties of a table say.
    pub fn of_properties(properties: &BTreeMap<String, String>) -> Self {
        let read = PROPERTIES.iter().filter_map(|same| same.read(properties));
        read.fold(Self::default(), |all, one| all.over(&one))
    }

    /// These settings, key by key, and those of `base` for keys that they leave out.
    #[must_use]
    pub fn over(&self, base: &Self) -> Self {
        let (optimize, vacuum, keep) = (&self.optimize, &self.vacuum, &self.keep);
        Self {
            optimize: OptimizeSettings {
                enabled: optimize.enabled.or(base.optimize.enabled),
                target_file_bytes: optimize.target_file_bytes.or(base.optimize.target_file_bytes),
                small_files: optimize.small_files.or(base.optimize.small_files),
                deleted_ratio: optimize.deleted_ratio.or(base.optimize.deleted_ratio),
                zorder: optimize.zorder.clone().or_else(|| base.optimize.zorder.clone()),
            },
            vacuum: VacuumSettings {
                enabled: vacuum.enabled.or(base.vacuum.enabled),
                retention: vacuum.retention.or(base.vacuum.retention),
                full_every: vacuum.full_every.or(base.vacuum.full_every),
            },
            checkpoint_every: self.checkpoint_every.or(base.checkpoint_every),
            log_retention: self.log_retention.or(base.log_retention),
            keep: KeepSettings {
                runs: keep.runs.or(base.keep.runs),
                days: keep.days.or(base.keep.days),
                versions: keep.versions.clone().or_else(|| base.keep.versions.clone()),
            },
            readers: self.readers.or(base.readers),
        }
    }

    /// The policy of a table for which this is said, with the defaults for everything else.
    ///
    /// A version can only be read with its log, so the default of either retention makes room for the other: that of the log
    /// is not shorter than the retention of files that is given, and that of files not longer than that of the log.
    pub fn policy(&self) -> MaintenancePolicy {
        let defaults = MaintenancePolicy::default();
        let (optimize, vacuum, keep) = (&self.optimize, &self.vacuum, &self.keep);
        let least = vacuum.retention.unwrap_or_default();
        let log_retention = self.log_retention.unwrap_or_else(|| defaults.log_retention.max(least));
        MaintenancePolicy {
            optimize: OptimizePolicy {
                enabled: optimize.enabled.unwrap_or(defaults.optimize.enabled),
                target_file_bytes: optimize.target_file_bytes.or(defaults.optimize.target_file_bytes),
                small_files: optimize.small_files.unwrap_or(defaults.optimize.small_files),
                deleted_ratio: optimize.deleted_ratio.unwrap_or(defaults.optimize.deleted_ratio),
                zorder: optimize.zorder.clone().unwrap_or(defaults.optimize.zorder),
            },
            vacuum: VacuumPolicy {
                enabled: vacuum.enabled.unwrap_or(defaults.vacuum.enabled),
                retention: vacuum.retention.unwrap_or_else(|| defaults.vacuum.retention.min(log_retention)),
                full_every: vacuum.full_every.unwrap_or(defaults.vacuum.full_every),
            },
            checkpoint_every: self.checkpoint_every.unwrap_or(defaults.checkpoint_every),
            log_retention,
            keep: KeepPolicy {
                runs: keep.runs.unwrap_or(defaults.keep.runs),
                days: keep.days.unwrap_or(defaults.keep.days),
                versions: keep.versions.clone().unwrap_or(defaults.keep.versions),
            },
            readers: self.readers.unwrap_or(defaults.readers),
            ..defaults
        }
    }
}
