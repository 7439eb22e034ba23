//! Arguments of `lineage`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::inspect::RunTargetArgs;

/// Arguments of `lineage`.
#[derive(Debug, Args)]
pub(crate) struct LineageArgs {
    /// A table or source, or one of its columns as TABLE.COLUMN
    #[arg(value_name = "TABLE[.COLUMN]")]
    pub(crate) table: String,
    /// Show only what it was made of; by default both sides
    #[arg(long, conflicts_with = "downstream")]
    pub(crate) upstream: bool,
    /// Show only what was made of it
    #[arg(long)]
    pub(crate) downstream: bool,
    /// How many steps to go, on each side; by default all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) depth: Option<u32>,
    /// Draw the tables instead
    #[arg(long, value_enum)]
    pub(crate) format: Option<LineageFormat>,
    /// A file to write the drawing to instead of stdout
    #[arg(long, value_name = "FILE", requires = "format")]
    pub(crate) to: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long, requires = "to")]
    pub(crate) force: bool,
    /// Whose runs.
    #[command(flatten)]
    pub(crate) target: RunTargetArgs,
}

/// The format of a drawing of lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LineageFormat {
    /// Graphviz
    Dot,
    /// Mermaid, for Markdown
    Mermaid,
    /// A picture
    Svg,
}
