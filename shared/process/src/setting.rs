//! One setting: its name everywhere, its meaning, its default.

use std::fmt;
use std::path::PathBuf;

use super::error::variable;
use super::value::SettingValue;

/// One setting of a process. `engine-bind` is `--engine-bind`, `WINDLASS_ENGINE_BIND`, and `engine_bind` in a file.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The name, as of the flag, without its dashes.
    pub name: &'static str,
    /// What `--help` shows in the place of a value.
    pub placeholder: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
    /// What holds when nobody sets it.
    pub fallback: Fallback,
    /// What a value looks like.
    pub expected: &'static str,
    /// Whether values are bare numbers in a settings file.
    pub(super) number: bool,
    pub(super) check: fn(&str) -> Result<(), String>,
}

impl Setting {
    /// A setting whose values are read as `T`.
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

/// What holds when nobody sets a setting.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// Nothing: it must be set.
    Required,
    /// Nothing: what it is about is left out.
    Off,
    /// This value.
    Value(&'static str),
    /// A value found out at start.
    Found {
        /// Finds it out; nothing if it cannot.
        find: fn() -> Option<String>,
        /// How it is found, for `--help`.
        how: &'static str,
    },
    /// A value that follows from other settings, as described.
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

/// Where a value was given.
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
