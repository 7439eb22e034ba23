//! What keeps tables fast and small: the policy under which their files and logs are rewritten and removed.
//!
//! A project gives one, layers and stages refine it, and [`MaintenancePolicy`] is what results for one table: every value is
//! decided. docs/maintenance.md describes the keys.
//!
//! ```text
//! project, layer, stage, table properties: MaintenanceSettings ─over→ one ─policy→ MaintenancePolicy
//! ```

mod settings;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use settings::{
    KeepSettings, KeyPlaces, MaintenancePlaces, MaintenanceSettings, OptimizeSettings, ProjectMaintenance,
    VacuumSettings,
};
pub(crate) use settings::{PROPERTIES, SameProperty, path};

/// The policy of one table, with all defaults applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaintenancePolicy {
    /// Whether a run that has committed is followed by maintenance of the tables that it wrote.
    pub after_runs: bool,
    /// When data files are rewritten, and how.
    pub optimize: OptimizePolicy,
    /// When files that no version needs are removed.
    pub vacuum: VacuumPolicy,
    /// A checkpoint is made when so many commits follow the last one.
    pub checkpoint_every: u64,
    /// Commits of the log stay at least this long.
    pub log_retention: Duration,
    /// Which versions stay besides those of the retention.
    pub keep: KeepPolicy,
    /// Which programs read the table.
    pub readers: Readers,
    /// When maintenance may run by itself, in UTC; `None` is at any time.
    pub window: Option<Window>,
    /// At most so many bytes are rewritten in one turn; `None` is without a limit.
    pub max_bytes: Option<u64>,
}

/// When data files are rewritten, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OptimizePolicy {
    /// Whether files are rewritten at all.
    pub enabled: bool,
    /// Bytes that a rewritten file should come to; `None` is what the stage's writer aims at.
    pub target_file_bytes: Option<u64>,
    /// A partition is compacted when it has more small files than this: files below half of the target.
    pub small_files: u64,
    /// A file is rewritten without its deleted rows when this part of its rows or more is deleted, above 0 and up to 1.
    pub deleted_ratio: f64,
    /// The columns along whose Z-order curve rows are laid out; empty for none.
    pub zorder: Vec<String>,
}

/// When files that no version needs are removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VacuumPolicy {
    /// Whether files are removed at all.
    pub enabled: bool,
    /// Every version that was the newest within this time stays, and so do files that nobody has committed yet.
    pub retention: Duration,
    /// How often the table's folder is listed for files that no log names; removed files need no listing.
    pub full_every: Duration,
}

/// Which versions stay besides those of the retention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepPolicy {
    /// What the newest so many runs of each pipeline have pinned, and their bundles.
    pub runs: u64,
    /// What runs of so many days have pinned, and their bundles.
    pub days: u64,
    /// Versions that stay for ever.
    pub versions: Vec<u64>,
}

/// Which programs read a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readers {
    /// Those that know deletion vectors.
    #[default]
    DeletionVectors,
    /// Any: files with deletion vectors are rewritten.
    Any,
}

impl Readers {
    /// Its name in a project file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeletionVectors => "deletion_vectors",
            Self::Any => "any",
        }
    }
}

/// A part of each day, in UTC. One that begins later than it ends goes over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its first minute, counted from midnight.
    pub from: u16,
    /// The minute after its last.
    pub to: u16,
}

impl Window {
    /// The window in a text such as `22:00-05:00`; the end may be `24:00`. `None` if it is not one, or never open.
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.trim().split_once('-')?;
        let window = Self { from: minute(from.trim())?, to: minute(to.trim())? };
        (window.from != window.to && window.from < DAY_MINUTES).then_some(window)
    }

    /// Whether the window is open at a minute of the day.
    pub fn is_open(&self, minute: u16) -> bool {
        match self.from <= self.to {
            true => (self.from..self.to).contains(&minute),
            false => minute >= self.from || minute < self.to,
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

/// The minute of the day in a text such as `05:30`; midnight at its end is `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let is_one = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_one.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    (minute < 60 && hour * 60 + minute <= DAY_MINUTES).then_some(hour * 60 + minute)
}

const DAY_MINUTES: u16 = 24 * 60;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for MaintenancePolicy {
    fn default() -> Self {
        Self {
            after_runs: false,
            optimize: OptimizePolicy {
                enabled: true,
                target_file_bytes: None,
                small_files: 16,
                deleted_ratio: 0.2,
                zorder: Vec::new(),
            },
            vacuum: VacuumPolicy { enabled: true, retention: 7 * DAY, full_every: DAY },
            checkpoint_every: 50,
            log_retention: 30 * DAY,
            keep: KeepPolicy { runs: 10, days: 7, versions: Vec::new() },
            readers: Readers::default(),
            window: None,
            max_bytes: None,
        }
    }
}

#[cfg(test)]
mod tests;
