//! Arguments of the commands that check, draw, plan and run a project.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::Refresh;

/// How the project is bound.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct BindArgs {
    /// A target of the project, such as dev or prod
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<String>,
    /// The value of a parameter; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) params: Vec<(String, String)>,
    /// The location of a source, instead of the project's; may be repeated
    #[arg(long = "source", value_name = "NAME=LOCATION", value_parser = name_and_value)]
    pub(crate) sources: Vec<(String, String)>,
}

/// Which part of a project is selected.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SelectArgs {
    /// Names, tags and their neighbours: m, +m, m+, 2+m, @m, tag:k=v; comma means intersection, space means union
    #[arg(short, long, value_name = "SELECTION")]
    pub(crate) select: Vec<String>,
    /// What to exclude
    #[arg(long, value_name = "SELECTION")]
    pub(crate) exclude: Vec<String>,
    /// How the project is bound.
    #[command(flatten)]
    pub(crate) bind: BindArgs,
}

/// Arguments of `ls`.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// What to list.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
}

/// Arguments of `test`.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Names of fixtures, or globs of names; by default all
    #[arg(short, long, value_name = "GLOB")]
    pub(crate) select: Vec<String>,
    /// Stop at the first fixture that fails
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Keep the tables and bundles of every fixture, and print their location
    #[arg(long)]
    pub(crate) keep: bool,
    /// A target of the project, such as dev or prod
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<String>,
}

/// Arguments of `graph`.
#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// The format of the drawing; by default mermaid, with `--output json` json
    #[arg(long, value_enum)]
    pub(crate) format: Option<GraphFormat>,
    /// Draw each instance of a sub-DAG as one node; the default for svg
    #[arg(long)]
    pub(crate) fold: bool,
    /// Draw the stages of each instance of a sub-DAG; the default for other formats
    #[arg(long, conflicts_with = "fold")]
    pub(crate) unfold: bool,
    /// A file to write to instead of stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long, requires = "to")]
    pub(crate) force: bool,
    /// How the project is bound.
    #[command(flatten)]
    pub(crate) bind: BindArgs,
}

/// Arguments of `registry`.
#[derive(Debug, Args)]
pub(crate) struct RegistryArgs {
    /// Show for each column which columns it is derived from; this accesses the sources and plans the stages
    #[arg(long)]
    pub(crate) lineage: bool,
    /// How the project is bound.
    #[command(flatten)]
    pub(crate) bind: BindArgs,
}

/// The format of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// Graphviz
    Dot,
    /// Mermaid, for Markdown
    Mermaid,
    /// A picture
    Svg,
    /// Nodes and edges
    Json,
}

/// What to recompute.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Refresh")]
pub(crate) struct RefreshArgs {
    /// Compute all rows of the selected stages, or of those in SELECTION, instead of only what has changed
    #[arg(long, value_name = "SELECTION", num_args = 0..=1, default_missing_value = Refresh::EVERYTHING)]
    pub(crate) full_refresh: Vec<String>,
    /// Apply the changes of a source starting at this version, whatever the stage has consumed; for one selected stage
    #[arg(long, value_name = "[SOURCE=]VERSION", value_parser = source_and_version)]
    pub(crate) from_version: Vec<(Option<NodeName>, u64)>,
    /// Apply the changes of a source up to this version instead of the newest; for one selected stage
    #[arg(long, value_name = "[SOURCE=]VERSION", value_parser = source_and_version)]
    pub(crate) to_version: Vec<(Option<NodeName>, u64)>,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Show all that is planned for this stage. The others are planned as well, since what they do decides about it
    #[arg(conflicts_with = "out")]
    pub(crate) stage: Option<String>,
    /// What to plan.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// A file to save the plan to, for `windlass apply`; an earlier plan is replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the file even if it is not a plan
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// What to recompute.
    #[command(flatten)]
    pub(crate) refresh: RefreshArgs,
}

/// Options of a run, and how it is shown.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct BehaviourArgs {
    /// End the run at the first failure
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// How many stages may run in parallel, at least 1
    #[arg(long, value_name = "N")]
    pub(crate) max_parallel: Option<usize>,
    /// On a cluster that has other runs to do first, start before those with a lower priority
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) priority: i32,
    /// Fail if the cluster has other runs to do first, instead of waiting for them
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Print every event of the run as a line of JSON on stdout, and nothing else. Not with `--output json`
    #[arg(long)]
    pub(crate) events: bool,
}

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The file with the plan
    pub(crate) plan: PathBuf,
    /// Options of the run.
    #[command(flatten)]
    pub(crate) behaviour: BehaviourArgs,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// What to run.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// Options of the run.
    #[command(flatten)]
    pub(crate) behaviour: BehaviourArgs,
    /// What to recompute.
    #[command(flatten)]
    pub(crate) refresh: RefreshArgs,
}

pub(super) fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn source_and_version(text: &str) -> Result<(Option<NodeName>, u64), String> {
    let (source, version) = match text.rsplit_once('=') {
        Some((source, version)) if !source.is_empty() => (Some(NodeName::new(source)), version),
        Some(_) => return Err("write SOURCE=VERSION".to_owned()),
        None => (None, text),
    };
    let version = version.parse().map_err(|_| "write VERSION or SOURCE=VERSION with a whole number".to_owned())?;
    Ok((source, version))
}
