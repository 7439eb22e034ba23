//! Arguments read, and what is wrong with them said like every other error: with its code, and as JSON if that is asked for.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ColorChoice, Command, CommandFactory, FromArgMatches};

use crate::args::{BehaviourArgs, Cli, Command as Subcommand, Global, Output, RunsCommand};
use crate::failure::CommandError;
use crate::output::{Layout, note};

/// Help is not wider than this, whatever the terminal is.
const HELP_COLUMNS: usize = 110;

/// The command, as its help, its completions and its manual show it.
pub(crate) fn command() -> Command {
    let layout = Layout::stdout();
    let colour = if layout.colour { ColorChoice::Always } else { ColorChoice::Never };
    let command = Cli::command().color(colour);
    match layout.width {
        Some(width) => command.term_width(width.min(HELP_COLUMNS)),
        None => command,
    }
}

/// The arguments, or the exit code of a process that has nothing more to do: it has printed its help, or why the arguments
/// are wrong.
pub(crate) fn parse(args: &[OsString]) -> Result<Cli, ExitCode> {
    let parsed = command().try_get_matches_from(args).and_then(|matches| {
        let mut cli = Cli::from_arg_matches(&matches)?;
        cli.global.is_home_option = matches.value_source("home") == Some(ValueSource::CommandLine);
        Ok(cli)
    });
    parsed.map_err(|error| {
        if !error.use_stderr() {
            // There is nobody to tell if stdout is closed.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        let wrong = wrong(&error);
        if asks_for_json(args) {
            wrong.print(true);
        } else {
            let text = match Layout::stderr().colour {
                true => error.render().ansi().to_string(),
                false => error.render().to_string(),
            };
            let code = windlass_base::error::Coded::code(&wrong);
            note(text.trim_end().replacen("error:", &format!("error[{code}]:"), 1));
        }
        ExitCode::from(wrong.exit_code())
    })
}

/// What is wrong with the arguments, in a sentence.
fn wrong(error: &clap::Error) -> CommandError {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let message = "a command is missing".to_owned();
        return CommandError::Usage { message, help: "`windlass --help` lists the commands".to_owned() };
    }
    let text = error.render().to_string();
    let mut paragraphs = text
        .trim_start_matches("error: ")
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    let message = paragraphs.next().unwrap_or_default();
    CommandError::Usage { message, help: paragraphs.collect::<Vec<_>>().join("; ") }
}

/// Whether arguments that cannot be read as a whole ask for JSON.
fn asks_for_json(args: &[OsString]) -> bool {
    let texts: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).collect();
    texts.contains(&"--output=json") || texts.windows(2).any(|pair| pair == ["--output", "json"])
}

/// What is wrong with options that are right one by one.
///
/// # Errors
/// [`CommandError::Usage`].
pub(crate) fn check(global: &Global, command: &Subcommand) -> Result<(), CommandError> {
    let usage =
        |message: &str, help: &str| Err(CommandError::Usage { message: message.to_owned(), help: help.to_owned() });
    if matches!(global.output, Output::Csv | Output::Parquet) && !matches!(command, Subcommand::Query(_)) {
        return usage("only `query` can write csv or parquet", "choose `--output table` or `--output json`");
    }
    if matches!(command, Subcommand::Ui(_)) && global.output == Output::Json {
        return usage(
            "`ui` prints no document, but serves pages",
            "`windlass runs list` and `runs show` print documents",
        );
    }
    if global.is_home_option && global.cluster.is_some() {
        return usage(
            "`--home` is a folder of this process, and a cluster has its own home",
            "leave one of `--home` and `--cluster` out, or unset WINDLASS_CLUSTER",
        );
    }
    if matches!(command, Subcommand::Maintain(args) if args.folder.is_some()) && global.project.is_some() {
        return usage("the project's folder is given twice", "leave out `--project`, or the folder after `maintain`");
    }
    if behaviour(command).is_some_and(|behaviour| behaviour.max_parallel == Some(0)) {
        return usage("`--max-parallel 0` would run nothing", "give a number of stages from 1 on, or leave it out");
    }
    if prints_events(command) && global.output == Output::Json {
        return usage(
            "`--events` prints a line for every event, and `--output json` a single document",
            "leave one of them out; `windlass runs show` has the document afterwards",
        );
    }
    Ok(())
}

fn prints_events(command: &Subcommand) -> bool {
    match command {
        Subcommand::Runs(RunsCommand::Resume { events, .. } | RunsCommand::Retry { events, .. }) => *events,
        _ => behaviour(command).is_some_and(|behaviour| behaviour.events),
    }
}

fn behaviour(command: &Subcommand) -> Option<&BehaviourArgs> {
    match command {
        Subcommand::Run(args) => Some(&args.behaviour),
        Subcommand::Apply(args) => Some(&args.behaviour),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_arguments_is_consistent() {
        command().debug_assert();
    }
}
