//! One setting: its name in all layers, its meaning, its default.

use std::fmt;
use std::path::PathBuf;

use super::error::variable;
use super::value::SettingValue;

/// One setting of a process. `engine-bind` is `--engine-bind`, `WINDLASS_ENGINE_BIND`, and `engine_bind` in a file.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The name of the flag, without its dashes.
    pub name: &'static str,
    /// The placeholder for the value in `--help`.
    pub placeholder: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
    /// The default.
    pub fallback: Fallback,
    /// What a value looks like.
    pub expected: &'static str,
    /// Whether values are bare numbers in a settings file.
    pub(super) number: bool,
    pub(super) check: fn(&str) -> Result<(), String>,
}

impl Setting {
    /// A setting whose values are parsed as `T`.
    pub const fn new<T: SettingValue>(
        name: &'static str,
        placeholder: &'static str,
        fallback: Fallback,
        help: &'static str,
    ) -> Self {
        Self { name, placeholder, help, fallback, expected: T::EXPECTED, number: T::NUMBER, check: check::<T> }
    }
}

fn check<T: SettingValue>(text: &str) -> Result<(), String> {
    T::parse(text).map(drop)
}

/// The default of a setting.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// None: it is required.
    Required,
    /// None: it is optional.
    Off,
    /// This value.
    Value(&'static str),
    /// A value determined at startup.
    Found {
        /// Determines the value; `None` if that is not possible.
        find: fn() -> Option<String>,
        /// How it is determined, for `--help`.
        how: &'static str,
    },
    /// A value derived from other settings, as described.
    Derived(&'static str),
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Required => "required",
            Self::Off => "none",
            Self::Value(text) | Self::Found { how: text, .. } | Self::Derived(text) => text,
        })
    }
}

/// The origin of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// On the command line, by the flag of the setting with this name.
    Flag(&'static str),
    /// In the environment, by the variable of the setting with this name.
    Environment(&'static str),
    /// In the settings file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from one.
        line: usize,
    },
    /// Nowhere: it is the default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "from --{name}"),
            Self::Environment(name) => write!(f, "from {}", variable(name)),
            Self::File { path, line } => write!(f, "from {}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}
