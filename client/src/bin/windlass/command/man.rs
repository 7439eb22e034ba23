//! `windlass man`: manual pages.

use std::fs;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use windlass_base::suggest::did_you_mean;
use windlass_client::document::{TextDocument, WrittenDocument};

use crate::args::{Global, ManArgs, Output};
use crate::failure::CommandError;
use crate::output_file::report_written;
use crate::{output, usage};

/// Prints the page of a command, or writes those of all commands.
pub(crate) fn run(global: &Global, args: &ManArgs) -> Result<(), CommandError> {
    let mut root = usage::command().disable_help_subcommand(true);
    // Gives every command its whole name and the global options.
    root.build();
    if let Some(folder) = &args.to {
        fs::create_dir_all(folder).map_err(|source| CommandError::Write { file: folder.clone(), source })?;
        write_all(&root, "windlass", folder)?;
        let (file, format) = (folder.clone(), "man".to_owned());
        return Ok(report_written(global, &WrittenDocument { file, format, rows: None, bytes: None })?);
    }
    let mut command = &root;
    for name in &args.command {
        let Some(found) = command.find_subcommand(name) else {
            let names = command.get_subcommands().map(Command::get_name);
            let help = did_you_mean(name, "the commands are", names);
            let help = help.unwrap_or_else(|| format!("`{}` has no commands", command.get_name()));
            return Err(CommandError::Usage { message: format!("there is no command `{name}`"), help });
        };
        command = found;
    }
    let text = page(command).map_err(CommandError::Stdout)?;
    match global.output {
        Output::Json => Ok(output::json(&TextDocument { format: "man".to_owned(), text })?),
        _ => Ok(output::text(&text)?),
    }
}

/// Writes the page of `command` and those of its commands.
fn write_all(command: &Command, title: &str, folder: &Path) -> Result<(), CommandError> {
    let file = folder.join(format!("{title}.1"));
    let written = page(command).and_then(|text| fs::write(&file, text));
    written.map_err(|source| CommandError::Write { file, source })?;
    for inner in command.get_subcommands() {
        write_all(inner, &format!("{title}-{}", inner.get_name()), folder)?;
    }
    Ok(())
}

fn page(command: &Command) -> std::io::Result<String> {
    let mut text = Vec::new();
    Man::new(command.clone()).source(concat!("windlass ", env!("CARGO_PKG_VERSION"))).render(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
