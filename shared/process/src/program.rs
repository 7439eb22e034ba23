//! A server process from its arguments to its exit code.

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use windlass_base::panics::{self, PanicReport};

use super::error::{ProcessError, variable};
use super::failure::ProcessFailure;
use super::health_check;
use super::layers::{Layers, Values};
use super::print::config_text;
use super::setting::{Fallback, Setting};

/// Names the settings file.
const CONFIG: &str = "config";
const PRINT: &str = "print-config";
const HEALTH: &str = "healthcheck";
/// The setting with the address for `--healthcheck`.
const HTTP_BIND: &str = "http-bind";

/// A server process: its name, its description, and its settings.
#[derive(Debug)]
pub struct Program {
    /// Its name: of the link under which it is called, in logs and in traces.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// A command line that works, for `--help`.
    pub example: &'static str,
    /// Everything that can be set.
    pub settings: &'static [Setting],
    /// The variables with credentials that it takes besides those of object stores.
    pub credentials: &'static [&'static str],
    /// Derives settings from other settings, before anything is printed or run.
    pub derive: fn(&mut Values) -> Result<(), ProcessError>,
}

/// Logs a panic of any thread.
fn log_panic(report: &PanicReport) {
    let file = report.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    tracing::error!(message = %report.message, place = %report.place, report = %file, "panicked: please report it");
}

impl Program {
    /// Parses the arguments of a process, the first of which is how it was called, then acts on them: `run` with the
    /// effective settings, or `--print-config` or `--healthcheck`. Reports errors on stderr.
    pub fn main(
        &self,
        args: impl IntoIterator<Item = OsString>,
        run: impl FnOnce(Values) -> Result<(), ProcessFailure>,
    ) -> ExitCode {
        panics::install(self.name, env!("CARGO_PKG_VERSION"), log_panic);
        let matches = match self.command().try_get_matches_from(args) {
            Ok(matches) => matches,
            Err(error) => {
                // There is nobody to notify if the terminal is gone.
                let _ = error.print();
                return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
            }
        };
        match panics::catch(|| self.act(&matches, run)) {
            Ok(Ok(code)) => code,
            Ok(Err(failure)) => {
                eprintln!("{failure}");
                failure.exit_code()
            }
            Err(panic) => {
                eprintln!("{}", ProcessFailure::new(panic));
                ExitCode::from(panics::EXIT_CODE)
            }
        }
    }

    fn act(
        &self,
        matches: &ArgMatches,
        run: impl FnOnce(Values) -> Result<(), ProcessFailure>,
    ) -> Result<ExitCode, ProcessFailure> {
        let environment = |name: &str| std::env::var(name).ok();
        let mut values = self.values(matches, &environment)?;
        if matches.get_flag(HEALTH) {
            return Ok(health_check::probe(values.required::<SocketAddr>(HTTP_BIND)?));
        }
        (self.derive)(&mut values)?;
        if let Some(setting) = values.missing() {
            return Err(ProcessError::Missing { name: setting.name, expected: setting.expected }.into());
        }
        if matches.get_flag(PRINT) {
            let text = config_text(&values, self.credentials, &|name| {
                std::env::var_os(name).is_some_and(|value| !value.is_empty())
            });
            let _ = std::io::stdout().write_all(text.as_bytes());
            return Ok(ExitCode::SUCCESS);
        }
        run(values)?;
        Ok(ExitCode::SUCCESS)
    }

    fn values(
        &self,
        matches: &ArgMatches,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Values, ProcessError> {
        let flag = |name: &str| matches.get_one::<String>(name).cloned();
        let in_environment = || environment(&variable(CONFIG)).filter(|path| !path.is_empty()).map(PathBuf::from);
        let file = matches.get_one::<OsString>(CONFIG).map(PathBuf::from).or_else(in_environment);
        Values::read(self.settings, &Layers { flag: &flag, environment, file: file.as_deref() })
    }

    /// The command line.
    fn command(&self) -> Command {
        let settings = self.settings.iter().map(|setting| {
            let fallback = match setting.fallback {
                Fallback::Off => String::new(),
                Fallback::Required => " [required]".to_owned(),
                other => format!(" [default: {other}]"),
            };
            Arg::new(setting.name)
                .long(setting.name)
                .value_name(setting.placeholder)
                .help(format!("{}{fallback}", setting.help))
        });
        let switch = |name, help| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
        Command::new(self.name)
            .about(self.about)
            .version(env!("CARGO_PKG_VERSION"))
            .args(settings)
            .arg(
                Arg::new(CONFIG)
                    .long(CONFIG)
                    .value_name("FILE")
                    .value_parser(clap::value_parser!(OsString))
                    .help("A TOML file with settings: the flags' names, with `_` for `-`"),
            )
            .arg(switch(PRINT, "Print the settings that hold and where each was given, and end"))
            .arg(switch(HEALTH, "Ask the process that runs with the same --http-bind whether it is ready, and end"))
            .after_help(format!(
                "Each setting can also be given in the environment, as WINDLASS_ and the flag's name in upper case \
                 (WINDLASS_HTTP_BIND), or in the file. A flag holds before the environment, and that before the file.\n\
                 Credentials for object stores come from the environment alone (AWS_ACCESS_KEY_ID, ...).\n\n\
                 Example:\n  {}",
                self.example
            ))
    }
}
