//! The layers of settings: flags override the environment, which overrides the file, which overrides the defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{ProcessError, variable};
use super::file;
use super::redact::redacted;
use super::setting::{Fallback, Origin, Setting};
use super::value::{Period, SettingValue, Size};

/// The minimum size limit of messages between the engine's processes.
const MIN_MESSAGE: u64 = 1 << 20;
/// The maximum.
const MAX_MESSAGE: u64 = 2 << 30;

/// A value as given, with its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// The effective settings of a process, with their origins.
#[derive(Debug, Clone)]
pub struct Values {
    pub(super) settings: &'static [Setting],
    given: BTreeMap<&'static str, Given>,
}

/// Where flags and variables come from. An empty variable counts as unset.
pub(super) struct Layers<'l> {
    pub(super) flag: &'l dyn Fn(&str) -> Option<String>,
    pub(super) environment: &'l dyn Fn(&str) -> Option<String>,
    pub(super) file: Option<&'l Path>,
}

impl Values {
    /// Merges the layers and validates every value.
    pub(super) fn read(settings: &'static [Setting], layers: &Layers<'_>) -> Result<Self, ProcessError> {
        let mut in_file = match layers.file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| ProcessError::Unreadable { path: path.to_owned(), source })?;
                file::parse(path, &text, settings)?
            }
            None => BTreeMap::new(),
        };
        let mut given = BTreeMap::new();
        for setting in settings {
            let name = setting.name;
            let from_file = in_file.remove(name).map(|(text, line)| {
                let path = layers.file.map(PathBuf::from).unwrap_or_default();
                Given { text, origin: Origin::File { path, line } }
            });
            let found = (layers.flag)(name)
                .map(|text| Given { text, origin: Origin::Flag(name) })
                .or_else(|| {
                    let text = (layers.environment)(&variable(name)).filter(|text| !text.is_empty())?;
                    Some(Given { text, origin: Origin::Environment(name) })
                })
                .or(from_file)
                .or_else(|| Some(Given { text: default_of(setting)?, origin: Origin::Default }));
            if let Some(found) = found {
                (setting.check)(&found.text).map_err(|reason| bad_value(setting, &found, &reason))?;
                given.insert(name, found);
            }
        }
        Ok(Self { settings, given })
    }

    /// The value of `name`, if it is set or has a default.
    ///
    /// # Errors
    /// [`ProcessError::BadValue`] if it is not a `T`.
    pub fn get<T: SettingValue>(&self, name: &'static str) -> Result<Option<T>, ProcessError> {
        let (Some(setting), Some(given)) = (self.setting(name), self.given.get(name)) else { return Ok(None) };
        T::parse(&given.text).map(Some).map_err(|reason| bad_value(setting, given, &reason))
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// [`ProcessError::Missing`] if it has none, else as [`Values::get`].
    pub fn required<T: SettingValue>(&self, name: &'static str) -> Result<T, ProcessError> {
        self.get(name)?.ok_or(ProcessError::Missing { name, expected: T::EXPECTED })
    }

    /// The value of `name`, a duration of a second or more: what the engine counts in seconds.
    ///
    /// # Errors
    /// As [`Values::required`], and if it is less.
    pub fn seconds(&self, name: &'static str) -> Result<Duration, ProcessError> {
        let Period(duration) = self.required(name)?;
        match duration.as_secs() {
            0 => Err(self.refuse(name, "it is counted in whole seconds", "a duration of at least `1s`")),
            _ => Ok(duration),
        }
    }

    /// The value of `message-limit`, in bytes.
    ///
    /// # Errors
    /// As [`Values::required`], and if it is too small for a task or larger than a message can be.
    pub fn message_limit(&self) -> Result<usize, ProcessError> {
        let limit: Size = self.required("message-limit")?;
        match limit.0 {
            MIN_MESSAGE..=MAX_MESSAGE => Ok(limit.as_usize()),
            _ => Err(self.refuse("message-limit", "", "a size from `1MiB` to `2GiB`")),
        }
    }

    /// The origin of the value of `name`, for messages.
    pub fn origin(&self, name: &str) -> Origin {
        self.given.get(name).map_or(Origin::Default, |given| given.origin.clone())
    }

    /// Sets `name` to a value derived from other settings, unless it has one.
    pub fn derive(&mut self, name: &'static str, text: impl Into<String>) {
        self.given.entry(name).or_insert_with(|| Given { text: text.into(), origin: Origin::Default });
    }

    /// An error for a value that is well-formed but invalid.
    pub fn refuse(&self, name: &'static str, reason: impl Into<String>, expected: &'static str) -> ProcessError {
        let value = self.given.get(name).map(|given| redacted(&given.text)).unwrap_or_default();
        ProcessError::BadValue { name, value, origin: self.origin(name), reason: reason.into(), expected }
    }

    pub(super) fn given(&self, name: &str) -> Option<&Given> {
        self.given.get(name)
    }

    /// The first required setting that is missing.
    pub(super) fn missing(&self) -> Option<&'static Setting> {
        self.settings
            .iter()
            .find(|setting| matches!(setting.fallback, Fallback::Required) && !self.given.contains_key(setting.name))
    }

    fn setting(&self, name: &str) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }
}

fn default_of(setting: &Setting) -> Option<String> {
    match setting.fallback {
        Fallback::Required | Fallback::Off | Fallback::Derived(_) => None,
        Fallback::Value(text) => Some(text.to_owned()),
        Fallback::Found { find, .. } => find(),
    }
}

fn bad_value(setting: &Setting, given: &Given, reason: &str) -> ProcessError {
    ProcessError::BadValue {
        name: setting.name,
        value: redacted(&given.text),
        origin: given.origin.clone(),
        reason: redacted(reason),
        expected: setting.expected,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use windlass_base::error::Coded;

    use super::*;

    static SETTINGS: [Setting; 4] = [
        Setting::new::<Period>("drain-deadline", "DURATION", Fallback::Value("60s"), "How long to drain."),
        Setting::new::<Size>("memory", "SIZE", Fallback::Off, "Memory."),
        Setting::new::<u16>("flight-port", "PORT", Fallback::Value("50052"), "A port."),
        Setting::new::<String>("scheduler", "HOST", Fallback::Required, "The scheduler."),
    ];

    fn read(flag: Option<&str>, variable: Option<&str>, file: Option<&str>) -> Result<Values, ProcessError> {
        let folder = tempfile_folder();
        let path = folder.join("windlass.toml");
        if let Some(text) = file {
            fs::write(&path, text).unwrap();
        }
        let flags = |name: &str| (name == "drain-deadline").then_some(flag).flatten().map(str::to_owned);
        let variables =
            |name: &str| (name == "WINDLASS_DRAIN_DEADLINE").then_some(variable).flatten().map(str::to_owned);
        let layers = Layers { flag: &flags, environment: &variables, file: file.map(|_| path.as_path()) };
        let read = Values::read(&SETTINGS, &layers);
        fs::remove_dir_all(&folder).unwrap();
        read
    }

    fn tempfile_folder() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("windlass-settings-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn the_highest_layer_with_a_value_wins() {
        let file = "\ndrain_deadline = \"3s\"\n";
        for flag in [None, Some("1s")] {
            for variable in [None, Some(""), Some("2s")] {
                for file in [None, Some(file)] {
                    let values = read(flag, variable, file).unwrap();
                    let (wanted, origin) = match (flag, variable.filter(|text| !text.is_empty()), file) {
                        (Some(text), _, _) => (text, "from --drain-deadline".to_owned()),
                        (_, Some(text), _) => (text, "from WINDLASS_DRAIN_DEADLINE".to_owned()),
                        (_, _, Some(_)) => ("3s", "windlass.toml:2".to_owned()),
                        _ => ("60s", "default".to_owned()),
                    };
                    let found = values.required::<Period>("drain-deadline").unwrap();
                    assert_eq!(found, Period::parse(wanted).unwrap());
                    assert!(values.origin("drain-deadline").to_string().ends_with(&origin));
                }
            }
        }
    }

    #[test]
    fn a_bad_value_in_the_winning_layer_names_the_layer() {
        let message = |result: Result<Values, ProcessError>| {
            let error = result.unwrap_err();
            assert_eq!(error.code().0, "WL0904");
            error.to_string()
        };
        assert!(message(read(Some("soon"), None, None)).contains("(from --drain-deadline)"));
        assert!(message(read(None, Some("soon"), None)).contains("(from WINDLASS_DRAIN_DEADLINE)"));
        assert!(message(read(None, None, Some("drain_deadline = \"soon\""))).contains("windlass.toml:1)"));
        // A number is not a duration: the unit is missing.
        assert!(message(read(None, None, Some("\n\ndrain_deadline = 30"))).contains("windlass.toml:3)"));
        assert!(message(read(None, None, Some("flight_port = 70000"))).contains("`70000`"));
        assert!(!message(read(None, None, Some("scheduler = \"http://a:hunter2@b\""))).contains("hunter2"));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_setting() {
        for (text, line, hint) in [
            ("memory = 4096\ndrain_dedline = \"1s\"", 2, "did you mean `drain_deadline`?"),
            ("drain-deadline = \"1s\"", 1, "did you mean `drain_deadline`?"),
            ("# nothing\n\nxyz = 1", 3, "the settings are: `drain_deadline`"),
        ] {
            let error = read(None, None, Some(text)).unwrap_err();
            assert_eq!(error.code().0, "WL0903");
            assert!(error.to_string().contains(&format!("windlass.toml:{line}: ")), "{error}");
            assert!(error.help().unwrap().contains(hint), "{:?}", error.help());
        }
    }

    #[test]
    fn anything_but_flat_toml_is_named_with_its_line() {
        for (text, line) in [("memory = ", 1), ("a = 1\nb c", 2), ("\n[memory]\nx = 1", 2), ("memory = [1]", 1)] {
            let error = read(None, None, Some(text)).unwrap_err();
            assert!(error.to_string().contains(&format!("windlass.toml:{line}: ")), "{error}");
        }
    }

    #[test]
    fn a_required_setting_is_asked_for_by_all_its_names() {
        let values = read(None, None, None).unwrap();
        assert_eq!(values.missing().map(|setting| setting.name), Some("scheduler"));
        let error = values.required::<String>("scheduler").unwrap_err();
        let help = error.help().unwrap();
        assert!(help.contains("`--scheduler`") && help.contains("WINDLASS_SCHEDULER") && help.contains("`scheduler`"));
    }
}
