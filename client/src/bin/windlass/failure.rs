//! Why a command failed, and how it is reported.

use std::io;
use std::path::PathBuf;

use windlass_base::coded;
use windlass_base::error::{Coded, full_message};
use windlass_base::ids::{NodeName, RunId};
use windlass_base::panics::{self, PanicError, PanicReport};
use windlass_client::document::{ErrorDocument, MovedDocument};
use windlass_client::error::ClientError;
use windlass_delta::write::WriteError;
use windlass_evidence::artifact::Moved;
use windlass_project::spec::{Problems, RenderStyle};
use windlass_ui::UiError;

use crate::output::{self, Layout, Tone};

/// The codes of errors that a panic has caused, of a task or of the driver of a run.
const PANICKED: [&str; 3] = ["WL0504", "WL0652", "WL0653"];

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// An error of the library.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The project has problems.
    #[error(transparent)]
    Project(#[from] Problems),
    /// The pages cannot be served.
    #[error(transparent)]
    Ui(#[from] UiError),
    /// `init` was given a folder that is not empty.
    #[error("the folder {} is not empty", .folder.display())]
    FolderInUse {
        /// The folder.
        folder: PathBuf,
    },
    /// A file cannot be written.
    #[error("{} cannot be written", .file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The system's message.
        #[source]
        source: io::Error,
    },
    /// A file already exists, and must not be replaced.
    #[error("{} exists already", .file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// A file cannot be read.
    #[error("{} cannot be read", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's message.
        #[source]
        source: io::Error,
    },
    /// `doctor` found something that would stop a run, which has already been printed.
    #[error("{} failed", output::counted(*.failed, "check"))]
    Unwell {
        /// How many checks failed.
        failed: usize,
    },
    /// Something of a home was not removed, which has already been printed.
    #[error("{} could not be removed", output::counted(*.failed, "item"))]
    NotCleaned {
        /// How many items were not.
        failed: usize,
    },
    /// Stdout cannot be written.
    #[error("the output cannot be written")]
    Stdout(#[from] io::Error),
    /// The rows cannot be converted to the requested format.
    #[error("the rows cannot be written as {form}")]
    Form {
        /// The form.
        form: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The run has no such plan of such a stage.
    #[error("run {run} has no {which} plan of a stage `{stage}`")]
    NoPlan {
        /// The run.
        run: RunId,
        /// The stage.
        stage: NodeName,
        /// Which plan.
        which: &'static str,
        /// Why not, or what there is.
        help: Option<String>,
    },
    /// The plan has no such stage.
    #[error("the plan has no stage `{stage}`")]
    NotPlanned {
        /// The requested name.
        stage: String,
        /// The most similar name.
        help: Option<String>,
    },
    /// A version is given of something that has none.
    #[error("`{name}` cannot be read at a version: {reason}")]
    NoVersions {
        /// The requested name.
        name: String,
        /// What it is.
        reason: &'static str,
        /// What to name instead.
        help: Option<String>,
    },
    /// A stage has no cursors.
    #[error("no stage `{stage}` keeps a table from run to run")]
    NoCursors {
        /// The requested name.
        stage: String,
        /// The stages that do.
        help: Option<String>,
    },
    /// A file is not a saved plan, or not one that can be read.
    #[error("{} cannot be applied", .file.display())]
    NotAPlan {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: ClientError,
    },
    /// A table has a column that no contract can name.
    #[error("no contract can be written for `{table}`")]
    NoContract {
        /// The table.
        table: String,
        /// Which column, and why.
        #[source]
        source: WriteError,
    },
    /// There is no such contract.
    #[error("`{reference}` is neither a file nor a contract of the project")]
    UnknownContract {
        /// The requested name.
        reference: String,
        /// The most similar name.
        help: Option<String>,
    },
    /// A contract breaks users of an older version.
    #[error("{} from `{old}` to `{new}` {} breaking", output::counted(*.count, "change"), if *.count == 1 { "is" } else { "are" })]
    Breaking {
        /// The older one.
        old: String,
        /// The newer one.
        new: String,
        /// The number of breaking changes.
        count: usize,
    },
    /// Options that are wrong or cannot be combined.
    #[error("{message}")]
    Usage {
        /// What does not fit.
        message: String,
        /// What to write instead.
        help: String,
    },
    /// Fixtures failed, which has already been reported.
    #[error("not all fixtures passed")]
    FixturesFailed,
    /// The command panicked.
    #[error(transparent)]
    Panic(#[from] PanicError),
    /// The run ended unsuccessfully, which has already been reported.
    #[error("the run did not succeed")]
    RunEnded,
    /// The turn of maintenance was stopped or did not succeed, which has already been reported.
    #[error("not all of the maintenance was done")]
    TurnEnded,
    /// A pin was to be released and a tag has the name, or the other way round.
    #[error("`{name}` is a {}", if *.is_tag { "tag, not a pin" } else { "pin, not a tag" })]
    OtherMark {
        /// The name.
        name: String,
        /// Whether it is a tag.
        is_tag: bool,
    },
}

impl CommandError {
    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::Panic(_) => panics::EXIT_CODE,
            _ => 1,
        }
    }

    /// Prints the error: on stderr as text, or on stdout as the only JSON document if `as_json`.
    pub(crate) fn print(&self, as_json: bool) {
        if matches!(
            self,
            Self::RunEnded | Self::TurnEnded | Self::FixturesFailed | Self::Unwell { .. } | Self::NotCleaned { .. }
        ) {
            return;
        }
        // A document that has begun cannot be followed by another one.
        if as_json && !output::has_printed() {
            // There is nobody to notify if stdout is gone as well.
            let _ = output::json(&self.document());
            return;
        }
        let layout = Layout::stderr();
        match self.problems() {
            Some(problems) => output::note(problems.render(style(layout))),
            None => {
                let head = layout.paint(Tone::Bad, &format!("error[{}]:", self.code()));
                output::note(format_args!("{head} {}", full_message(self)));
                if let Some(help) = self.help() {
                    output::note(format_args!("  help: {help}"));
                }
                if let Some(report) = panic_report(self.code().0) {
                    output::note(format_args!("  {report}"));
                }
            }
        }
    }

    fn document(&self) -> ErrorDocument {
        let moved = |moved: &Moved| MovedDocument { moved: moved.clone(), message: moved.to_string() };
        ErrorDocument {
            error: self.to_failure(),
            problems: self.problems().map(Problems::reports),
            moved: self.moved().map(|list| list.iter().map(moved).collect()),
        }
    }

    /// What has changed since a plan was saved, if that is the error.
    fn moved(&self) -> Option<&[Moved]> {
        match self {
            Self::Client(error) => error.moved(),
            _ => None,
        }
    }

    fn problems(&self) -> Option<&Problems> {
        match self {
            Self::Project(problems) => Some(problems),
            Self::Client(error) => error.problems(),
            _ => None,
        }
    }
}

/// Logs a panic of any thread. Its consequence, if there is one, is reported as an error of the command.
pub(crate) fn log_panic(report: &PanicReport) {
    tracing::error!(message = %report.message, place = %report.place, "panicked");
}

/// The file with the report of a panic, if `code` is that of an error that a panic has caused.
pub(crate) fn panic_report(code: &str) -> Option<String> {
    let file = PANICKED.contains(&code).then(panics::last_file).flatten()?;
    Some(format!("please send the report in {}", file.display()))
}

fn style(layout: Layout) -> RenderStyle {
    RenderStyle { colour: layout.colour, width: layout.prose_width(), ..RenderStyle::default() }
}

coded! {
    CommandError {
        Client => inner;
        Project => inner;
        Ui => inner;
        Panic => inner;
        NoContract { source } => inner;
        NotAPlan { source } => inner;
        FolderInUse => "WL0701", "name a folder that does not exist yet";
        Write => "WL0702", "check that the folder exists and can be written";
        Read => "WL0703", "check the file's name";
        Stdout => "WL0704";
        Form => "WL0705", "choose another `--output`, or cast the columns that it cannot represent";
        Usage { help } => "WL0706", help;
        RunEnded => "WL0707";
        TurnEnded => "WL0743";
        OtherMark { name, is_tag } => "WL0744", match is_tag {
            true => format!("tags are removed with `windlass tag rm {name}`"),
            false => format!("pins are released with `windlass pins release {name}`"),
        };
        NoPlan { run, help } => "WL0708",
            help.clone().unwrap_or_else(|| format!("`windlass runs show {run}` lists the stages of the run"));
        NoCursors { help } => "WL0709", help;
        NotPlanned { help } => "WL0741", help.as_deref().unwrap_or("`windlass ls` lists the stages");
        NoVersions { help } => "WL0742", help.as_deref().unwrap_or("`windlass tables` lists the tables");
        Exists => "WL0719", "name another file, or give `--force` to replace this one";
        Unwell => "WL0724";
        NotCleaned => "WL0725", "clean again when the reasons are gone: what is left is removed then";
        UnknownContract { help } => "WL1003",
            help.as_deref().unwrap_or("name a file, or NAME or NAME@VERSION of the project");
        Breaking => "WL1004", "keep the older version for its readers, or tell them";
        FixturesFailed => "WL1064";
    }
}
