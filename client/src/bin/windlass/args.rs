//! What the command takes.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use windlass_base::ids::NodeName;
use windlass_evidence::artifact::Refresh;

/// Declarative data pipelines over Delta Lake tables, run on Ballista and DataFusion.
#[derive(Debug, Parser)]
#[command(name = "windlass", version, max_term_width = 110, propagate_version = true)]
#[command(after_help = "\
Examples:
  windlass init my_project          make a small project that runs
  windlass check                    say everything that is wrong with the project
  windlass run -s '+daily_totals'   build one table and whatever it needs
  windlass query 'SELECT count(*) FROM daily_totals'

Exit codes: 0 done, 1 the project or the run failed, 2 wrong usage.")]
pub(crate) struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What holds for every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The project's folder; by default the nearest one upwards with a windlass.yaml
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    /// Where state, bundles and tables go; by default .windlass in the project
    #[arg(long, global = true, value_name = "DIR", env = "WINDLASS_HOME")]
    pub(crate) home: Option<String>,
    /// The address of a cluster to work on, such as http://windlass-scheduler:50051; by default everything happens in
    /// this process
    #[arg(long, global = true, value_name = "URL", env = "WINDLASS_CLUSTER")]
    pub(crate) cluster: Option<String>,
    /// Tables for people, or one JSON document on stdout and nothing else
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// Log what the engine does to stderr: -v warnings, -vv information, -vvv all
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// Comma-separated values (`query` only)
    Csv,
    /// A Parquet file (`query` with `--to` only)
    Parquet,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a small project that runs
    #[command(after_help = "Example:\n  windlass init my_project && cd my_project && windlass run")]
    Init(InitArgs),
    /// Say everything that is wrong with the project, without reading any data
    #[command(after_help = "Example:\n  windlass check --project examples/code_graph --output json")]
    Check(BindArgs),
    /// List the sources and stages
    #[command(after_help = "Example:\n  windlass ls -s 'tag:layer=semantic+'")]
    Ls(LsArgs),
    /// Show the semantic registry: every semantic id, what it stands for, who makes it and who reads it
    #[command(after_help = "Example:\n  windlass registry --lineage --output json")]
    Registry(RegistryArgs),
    /// Show the columns that each stage's table has or will have, and what its contract says of them
    #[command(after_help = "Example:\n  windlass schema -s daily_totals")]
    Schema(SelectArgs),
    /// Write a schema contract from what is there, or compare two
    #[command(
        subcommand,
        after_help = "Example:\n  windlass contract infer daily_totals --to contracts/daily_totals.yaml"
    )]
    Contract(ContractCommand),
    /// Run the project's fixtures: given rows through its stages, compared with the rows that are expected
    #[command(after_help = "\
Examples:
  windlass test
  windlass test -s 'refunds*' --keep

Fixtures are the files tests/*.yaml. They run in this process, on tables in a temporary folder: neither the project's
sources nor its home are touched. Exit codes: 0 all passed or there are none, 1 one failed, 2 wrong usage.")]
    Test(TestArgs),
    /// Draw the pipeline
    #[command(after_help = "Example:\n  windlass graph --format svg --to pipeline.svg")]
    Graph(GraphArgs),
    /// Show what a run would do: pins, order, columns and reasons
    #[command(after_help = "\
Examples:
  windlass plan -s '+daily_totals'
  windlass plan --out plan.json && windlass apply plan.json")]
    Plan(PlanArgs),
    /// Run the pipeline, or the selected part of it
    #[command(after_help = "\
Examples:
  windlass run
  windlass run -s '+cpg_edges' --exclude 'tag:layer=summary'
  windlass run --source source_files=/path/to/code --param max_candidates=3
  windlass run --full-refresh
  windlass run -s daily_totals --from-version orders=12 --to-version orders=15")]
    Run(RunArgs),
    /// Carry out a plan that `plan --out` has saved, unless something has changed since
    #[command(after_help = "Example:\n  windlass plan --out plan.json && windlass apply plan.json")]
    Apply(ApplyArgs),
    /// Look at this machine, the home and the sources for whatever would stop a run
    #[command(after_help = "\
Example:
  windlass doctor --output json

It writes an object into the home and removes it again. Credentials are named, never shown.")]
    Doctor(BindArgs),
    /// List the tables that the stages write, as they are now
    #[command(after_help = "Example:\n  windlass tables --cluster http://127.0.0.1:50051")]
    Tables(BindArgs),
    /// Show how far each table has come, or set that by hand
    #[command(subcommand, after_help = "Example:\n  windlass cursors ls")]
    Cursors(CursorsCommand),
    /// Show what the runs under way have pinned
    #[command(subcommand, after_help = "Example:\n  windlass pins ls")]
    Pins(PinsCommand),
    /// Look at past and present runs
    #[command(subcommand, after_help = "Example:\n  windlass runs list")]
    Runs(RunsCommand),
    /// Show a plan of a stage as a run kept it
    #[command(after_help = "Example:\n  windlass explain latest cpg_edges --plan analyzed")]
    Explain(ExplainArgs),
    /// Ask the project's tables and sources a question in SQL
    #[command(after_help = "\
Examples:
  windlass query 'SELECT kind, count(*) FROM cpg_nodes GROUP BY kind'
  windlass query 'SELECT * FROM cpg_edges' --output parquet --to edges.parquet
  windlass query 'SELECT * FROM repo_summary' --as-of-run latest
  windlass query --file question.sql")]
    Query(QueryArgs),
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The folder to make; it must be empty or not exist
    pub(crate) dir: PathBuf,
    /// The pipeline's name; by default the folder's
    #[arg(long)]
    pub(crate) name: Option<String>,
}

/// What is settled before a project is looked at.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct BindArgs {
    /// A target of the project, such as dev or prod
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<String>,
    /// The value of a parameter; may be given again
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(crate) params: Vec<(String, String)>,
    /// The location of a source, instead of the project's; may be given again
    #[arg(long = "source", value_name = "NAME=LOCATION", value_parser = name_and_value)]
    pub(crate) sources: Vec<(String, String)>,
}

/// Which part of a project is meant.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SelectArgs {
    /// Names, tags and their neighbours: m, +m, m+, 2+m, @m, tag:k=v; a comma intersects, a space unites
    #[arg(short, long, value_name = "SELECTION")]
    pub(crate) select: Vec<String>,
    /// What to leave out of it
    #[arg(long, value_name = "SELECTION")]
    pub(crate) exclude: Vec<String>,
    /// What is settled before.
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
    /// Names of fixtures, or globs of names; all of them if left out
    #[arg(short, long, value_name = "GLOB")]
    pub(crate) select: Vec<String>,
    /// End at the first fixture that fails
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Keep the tables and bundles of every fixture, and say where they are
    #[arg(long)]
    pub(crate) keep: bool,
    /// A target of the project, such as dev or prod
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<String>,
}

/// Arguments of `graph`.
#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// The drawing's form
    #[arg(long, value_enum, default_value_t = GraphFormat::Mermaid)]
    pub(crate) format: GraphFormat,
    /// Draw each instance of a sub-DAG as one node
    #[arg(long)]
    pub(crate) fold: bool,
    /// A file to write to instead of stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "to")]
    pub(crate) force: bool,
    /// What is settled before.
    #[command(flatten)]
    pub(crate) bind: BindArgs,
}

/// What `windlass registry` is given.
#[derive(Debug, Args)]
pub(crate) struct RegistryArgs {
    /// Say of each column which columns it is made of; for that, the sources are looked at and the stages planned
    #[arg(long)]
    pub(crate) lineage: bool,
    /// What is settled before.
    #[command(flatten)]
    pub(crate) bind: BindArgs,
}

/// The form of a drawing.
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

/// What to compute anew.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Refresh")]
pub(crate) struct RefreshArgs {
    /// Compute all rows of the selected stages, or of those that SELECTION means, instead of what has changed
    #[arg(long, value_name = "SELECTION", num_args = 0..=1, default_missing_value = Refresh::EVERYTHING)]
    pub(crate) full_refresh: Vec<String>,
    /// Take in the changes behind this version of a source, whatever the stage has taken in; for one selected stage
    #[arg(long, value_name = "[SOURCE=]VERSION", value_parser = source_and_version)]
    pub(crate) from_version: Vec<(Option<NodeName>, u64)>,
    /// Take in the changes up to this version of a source instead of the newest; for one selected stage
    #[arg(long, value_name = "[SOURCE=]VERSION", value_parser = source_and_version)]
    pub(crate) to_version: Vec<(Option<NodeName>, u64)>,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// What to plan.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// A file to save the plan to, for `windlass apply`; an older plan there is replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the file even if it holds something else than a plan
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// What to compute anew.
    #[command(flatten)]
    pub(crate) refresh: RefreshArgs,
}

/// How a run is to behave, and how it is shown.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct BehaviourArgs {
    /// End the run at the first failure
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// How many stages may run side by side
    #[arg(long, value_name = "N")]
    pub(crate) max_parallel: Option<usize>,
    /// Print every event of the run as a line of JSON on stdout
    #[arg(long)]
    pub(crate) events: bool,
}

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The file that holds the plan
    pub(crate) plan: PathBuf,
    /// How the run is to behave.
    #[command(flatten)]
    pub(crate) behaviour: BehaviourArgs,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// What to run.
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// How the run is to behave.
    #[command(flatten)]
    pub(crate) behaviour: BehaviourArgs,
    /// What to compute anew.
    #[command(flatten)]
    pub(crate) refresh: RefreshArgs,
}

/// The commands about contracts.
#[derive(Debug, Subcommand)]
pub(crate) enum ContractCommand {
    /// Write the contract that a stage's table or a source keeps as it is now
    #[command(after_help = "Example:\n  windlass contract infer daily_totals --to contracts/daily_totals.yaml")]
    Infer(InferArgs),
    /// Compare two contracts, each a file or NAME@VERSION of the project: what has changed, and what that breaks
    #[command(after_help = "\
Examples:
  windlass contract diff orders@1 orders
  windlass contract diff old/orders.yaml contracts/orders.yaml --fail-on-breaking")]
    Diff(ContractDiffArgs),
}

/// Arguments of `contract infer`.
#[derive(Debug, Args)]
pub(crate) struct InferArgs {
    /// The stage or source
    pub(crate) table: String,
    /// A file to write to instead of stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "to")]
    pub(crate) force: bool,
    /// What is settled before.
    #[command(flatten)]
    pub(crate) bind: BindArgs,
}

/// Arguments of `contract diff`.
#[derive(Debug, Args)]
pub(crate) struct ContractDiffArgs {
    /// The older one
    pub(crate) old: String,
    /// The newer one
    pub(crate) new: String,
    /// Exit with 1 if a change breaks those who rely on the older one
    #[arg(long)]
    pub(crate) fail_on_breaking: bool,
}

/// The commands about cursors.
#[derive(Debug, Subcommand)]
pub(crate) enum CursorsCommand {
    /// List the last run of each table and what it has taken in of each source, by the table's own log
    #[command(after_help = "Example:\n  windlass cursors ls --output json")]
    Ls(BindArgs),
    /// Show the cursors of one stage
    #[command(after_help = "Example:\n  windlass cursors show daily_totals")]
    Show {
        /// The stage
        stage: String,
        /// What is settled before.
        #[command(flatten)]
        bind: BindArgs,
    },
    /// Forget what a stage's table has taken in, or set it to a version, so that the next run computes it anew
    #[command(after_help = "\
Examples:
  windlass cursors reset daily_totals --yes
  windlass cursors reset daily_totals --source orders --to 12 --reason 'orders of May were wrong' --yes")]
    Reset(ResetArgs),
}

/// Arguments of `cursors reset`.
#[derive(Debug, Args)]
pub(crate) struct ResetArgs {
    /// The stage
    pub(crate) stage: String,
    /// Only what it reads under this name; by default everything that it reads
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// The version that shall count as taken in; by default nothing at all
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<u64>,
    /// Why, for the table's history
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Do it
    #[arg(long)]
    pub(crate) yes: bool,
    /// A target of the project, such as dev or prod
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<String>,
}

impl ResetArgs {
    /// What is settled before. Where a source is cannot be said here: `--source` means another thing.
    pub(crate) fn bind(&self) -> BindArgs {
        BindArgs { target: self.target.clone(), ..BindArgs::default() }
    }
}

/// The commands about pins.
#[derive(Debug, Subcommand)]
pub(crate) enum PinsCommand {
    /// List the versions that runs under way have pinned
    #[command(after_help = "Example:\n  windlass pins ls")]
    Ls(BindArgs),
}

/// The commands about runs.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List runs, the newest first
    #[command(after_help = "Example:\n  windlass runs list --limit 5")]
    List {
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show one run: its stages, rows, times and failures
    #[command(after_help = "Example:\n  windlass runs show latest")]
    Show {
        /// The run's id, its beginning, or `latest`
        #[arg(default_value = "latest")]
        run: String,
    },
    /// Stop a run on a cluster, and wait until it has stopped
    #[command(after_help = "Example:\n  windlass --cluster http://127.0.0.1:50051 runs cancel latest")]
    Cancel {
        /// The run's id, its beginning, or `latest`
        run: String,
    },
    /// Print a run's log
    #[command(after_help = "Example:\n  windlass runs log latest --output json")]
    Log {
        /// The run's id, its beginning, or `latest`
        #[arg(default_value = "latest")]
        run: String,
    },
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The run's id, its beginning, or `latest`
    pub(crate) run: String,
    /// The stage
    pub(crate) stage: String,
    /// Which plan
    #[arg(long, value_enum, default_value_t = PlanKind::Analyzed)]
    pub(crate) plan: PlanKind,
}

/// The plans that a run keeps of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanKind {
    /// As it follows from the SQL
    Logical,
    /// After the optimizer
    Optimized,
    /// As one process would run it
    Physical,
    /// Cut into the cluster's stages
    Distributed,
    /// With what each operator measured
    Analyzed,
}

/// Arguments of `query`.
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// The question: one SELECT
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub(crate) sql: Option<String>,
    /// A file that holds the question
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The most rows to give; 0 gives all. Unless said, all are given, but a table on stdout ends after 1000
    #[arg(long, value_name = "ROWS")]
    pub(crate) limit: Option<usize>,
    /// Read a table or Delta source at that version; may be given again
    #[arg(long = "at", value_name = "NAME=VERSION", value_parser = name_and_version)]
    pub(crate) versions: Vec<(String, u64)>,
    /// Read everything at the versions that a run read and wrote: its id, the beginning of one, or `latest`
    #[arg(long, value_name = "RUN", conflicts_with = "versions")]
    pub(crate) as_of_run: Option<String>,
    /// A file to write to instead of stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "to")]
    pub(crate) force: bool,
    /// What is settled before.
    #[command(flatten)]
    pub(crate) bind: BindArgs,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
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

fn name_and_version(text: &str) -> Result<(String, u64), String> {
    let (name, version) = name_and_value(text)?;
    let version = version.parse().map_err(|_| "write NAME=VERSION with a whole number".to_owned())?;
    Ok((name, version))
}
