//! `windlass graph`: the pipeline as a drawing.

use windlass_client::document::WrittenDocument;
use windlass_project::graph::draw::DrawFormat;

use super::open_project;
use crate::args::{Global, GraphArgs, GraphFormat, Output};
use crate::failure::CommandError;
use crate::output;
use crate::output_file::{OutputFile, report_written};

/// Draws the pipeline to a file or stdout. On stdout `--output json` draws it as JSON, whatever the format.
pub(crate) fn run(global: &Global, args: &GraphArgs) -> Result<(), CommandError> {
    let project = open_project(global, &args.bind)?;
    let as_json = global.output == Output::Json;
    let format = match args.format {
        _ if as_json && args.to.is_none() => DrawFormat::Json,
        None if as_json => DrawFormat::Json,
        None | Some(GraphFormat::Mermaid) => DrawFormat::Mermaid,
        Some(GraphFormat::Dot) => DrawFormat::Dot,
        Some(GraphFormat::Svg) => DrawFormat::Svg,
        Some(GraphFormat::Json) => DrawFormat::Json,
    };
    // A picture is looked at as a whole; the other formats are read by programs, which expect the stages.
    let is_folded = args.fold || (format == DrawFormat::Svg && !args.unfold);
    let drawing = match is_folded {
        true => project.graph.draw_folded(format),
        false => project.graph.draw(format, None),
    };
    match &args.to {
        Some(file) => {
            let bytes = OutputFile::write(file, args.force, &drawing)?;
            let (file, format) = (file.clone(), format.to_string());
            report_written(global, &WrittenDocument { file, format, rows: None, bytes })?;
        }
        None => output::text(&drawing)?,
    }
    Ok(())
}
