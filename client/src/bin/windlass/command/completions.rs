//! `windlass completions`: completions for shells.

use clap_complete::generate;
use windlass_client::document::TextDocument;

use crate::args::{CompletionsArgs, Global, Output};
use crate::failure::CommandError;
use crate::{output, usage};

/// Prints the completions for a shell.
pub(crate) fn run(global: &Global, args: &CompletionsArgs) -> Result<(), CommandError> {
    let mut script = Vec::new();
    generate(args.shell, &mut usage::command(), "windlass", &mut script);
    let text = String::from_utf8_lossy(&script).into_owned();
    match global.output {
        Output::Json => Ok(output::json(&TextDocument { format: args.shell.to_string(), text })?),
        _ => Ok(output::text(&text)?),
    }
}
