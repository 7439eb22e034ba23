//! `windlass graph`: the pipeline as a drawing.

use windlass_project::graph::draw::DrawFormat;

use super::open_project;
use crate::args::{Global, GraphArgs, GraphFormat, Output};
use crate::failure::CommandError;
use crate::output;
use crate::output_file::OutputFile;

/// Draws the pipeline to a file or stdout. `--output json` draws it as JSON.
pub(crate) fn run(global: &Global, args: &GraphArgs) -> Result<(), CommandError> {
    let project = open_project(global, &args.bind)?;
    let format = match args.format {
        _ if global.output == Output::Json => DrawFormat::Json,
        GraphFormat::Dot => DrawFormat::Dot,
        GraphFormat::Mermaid => DrawFormat::Mermaid,
        GraphFormat::Svg => DrawFormat::Svg,
        GraphFormat::Json => DrawFormat::Json,
    };
    let drawing = match args.fold {
        true => project.graph.draw_folded(format),
        false => project.graph.draw(format, None),
    };
    match &args.to {
        Some(file) => {
            OutputFile::write(file, args.force, &drawing)?;
        }
        None => output::text(&drawing)?,
    }
    Ok(())
}
