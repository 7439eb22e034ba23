//! The arguments of the command.

use std::ffi::OsString;
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

Text adapts to the terminal: COLUMNS sets another width, NO_COLOR turns colours off, CLICOLOR_FORCE=1 turns them on
where there is no terminal.

Exit codes: 0 done, 1 the project or the run failed, 2 wrong usage, 70 a defect of windlass.")]
pub(crate) struct Cli {
    /// Global options.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Global options.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The project's folder; by default the nearest parent with a windlass.yaml
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    /// Where state, bundles and tables are stored; by default .windlass in the project. Not with --cluster
    #[arg(long, global = true, value_name = "DIR", env = "WINDLASS_HOME")]
    pub(crate) home: Option<String>,
    /// The address of a cluster, such as http://windlass-scheduler:50051; by default everything runs in this process
    #[arg(long, global = true, value_name = "URL", env = "WINDLASS_CLUSTER")]
    pub(crate) cluster: Option<String>,
    /// The engine of this process: `local` runs each plan as a whole, `cluster` in tasks, as a cluster does
    #[arg(long, global = true, value_enum, default_value_t = EngineArg::Local, env = "WINDLASS_ENGINE")]
    pub(crate) engine: EngineArg,
    /// The output format: text tables, or a single JSON document on stdout
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// Show details, and log to stderr: -v warnings, -vv information, -vvv everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Whether `home` is given as an option, not by its variable.
    #[arg(skip)]
    pub(crate) is_home_option: bool,
}

/// The engine of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineArg {
    /// DataFusion, each plan as a whole
    Local,
    /// Ballista, with a scheduler and an executor
    Cluster,
}

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Text tables
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
    /// Create a small project that runs
    #[command(after_help = "Example:\n  windlass init my_project && cd my_project && windlass run")]
    Init(InitArgs),
    /// Report every problem of the project, without reading any data
    #[command(after_help = "Example:\n  windlass check --project examples/code_graph --output json")]
    Check(BindArgs),
    /// List the sources and stages
    #[command(after_help = "Example:\n  windlass ls -s 'tag:layer=semantic+'")]
    Ls(LsArgs),
    /// Show the semantic registry: every semantic id, what it stands for, its producer and its readers
    #[command(after_help = "Example:\n  windlass registry --lineage --output json")]
    Registry(RegistryArgs),
    /// Show the columns of each stage's table, built or not, with the properties given by contracts
    #[command(after_help = "Example:\n  windlass schema -s daily_totals")]
    Schema(SelectArgs),
    /// Infer a schema contract from a table or source, or compare two contracts
    #[command(
        subcommand,
        after_help = "Example:\n  windlass contract infer daily_totals --to contracts/daily_totals.yaml"
    )]
    Contract(ContractCommand),
    /// Run the project's fixture tests: stages over given rows, compared with expected rows
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
  windlass plan daily_totals
  windlass plan --out plan.json && windlass apply plan.json")]
    Plan(PlanArgs),
    /// Run the pipeline, or a selected part of it
    #[command(after_help = "\
Examples:
  windlass run
  windlass run -s '+cpg_edges' --exclude 'tag:layer=summary'
  windlass run --source source_files=/path/to/code --param max_candidates=3
  windlass run --full-refresh
  windlass run -s daily_totals --from-version orders=12 --to-version orders=15")]
    Run(RunArgs),
    /// Execute a plan saved with `plan --out`, unless something has changed since
    #[command(after_help = "Example:\n  windlass plan --out plan.json && windlass apply plan.json")]
    Apply(ApplyArgs),
    /// Check this machine, the home and the sources for anything that would stop a run
    #[command(after_help = "\
Example:
  windlass doctor --output json

It writes an object into the home and removes it again. Credentials are named, never shown.")]
    Doctor(BindArgs),
    /// List the current tables of the stages
    #[command(after_help = "Example:\n  windlass tables --cluster http://127.0.0.1:50051")]
    Tables(BindArgs),
    /// Show how far each table has consumed its sources, or reset cursors
    #[command(subcommand, after_help = "Example:\n  windlass cursors ls")]
    Cursors(CursorsCommand),
    /// Show what active runs have pinned
    #[command(subcommand, after_help = "Example:\n  windlass pins ls")]
    Pins(PinsCommand),
    /// Show past and active runs
    #[command(subcommand, after_help = "Example:\n  windlass runs list")]
    Runs(RunsCommand),
    /// Show a plan of a stage from a run's bundle
    #[command(after_help = "\
Examples:
  windlass explain latest cpg_edges --plan analyzed
  windlass explain latest cpg_edges --target prod")]
    Explain(ExplainArgs),
    /// Query the project's tables and sources with SQL
    #[command(after_help = "\
Examples:
  windlass query 'SELECT kind, count(*) FROM cpg_nodes GROUP BY kind'
  windlass query 'SELECT * FROM cpg_edges' --output parquet --to edges.parquet
  windlass query 'SELECT * FROM repo_summary' --as-of-run latest
  windlass query --file question.sql")]
    Query(QueryArgs),
    /// Run the scheduler of a cluster: `windlass scheduler --help` shows its settings
    #[command(disable_help_flag = true)]
    Scheduler(ServerArgs),
    /// Run an executor of a cluster: `windlass executor --help` shows its settings
    #[command(disable_help_flag = true)]
    Executor(ServerArgs),
    /// Print completions for a shell
    #[command(after_help = "\
Examples:
  windlass completions bash > ~/.local/share/bash-completion/completions/windlass
  windlass completions zsh > ~/.zfunc/_windlass
  windlass completions fish > ~/.config/fish/completions/windlass.fish")]
    Completions(CompletionsArgs),
    /// Print the manual page of a command, or write all of them to a folder
    #[command(after_help = "\
Examples:
  windlass man run | man -l -
  windlass man --to ~/.local/share/man/man1")]
    Man(ManArgs),
}

/// Arguments of a server, which parses them itself.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The settings of the server
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) settings: Vec<OsString>,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command, such as `runs list`; by default the page about windlass itself
    pub(crate) command: Vec<String>,
    /// A folder to write the pages of all commands to; those that are there are replaced
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) to: Option<PathBuf>,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The folder to create; it must be empty or not exist
    pub(crate) dir: PathBuf,
    /// The pipeline's name; by default the folder's
    #[arg(long)]
    pub(crate) name: Option<String>,
}

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
    /// Draw each instance of a sub-DAG as one node
    #[arg(long)]
    pub(crate) fold: bool,
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

/// The commands about contracts.
#[derive(Debug, Subcommand)]
pub(crate) enum ContractCommand {
    /// Write a contract that describes the current table of a stage, or a source
    #[command(after_help = "Example:\n  windlass contract infer daily_totals --to contracts/daily_totals.yaml")]
    Infer(InferArgs),
    /// Compare two contracts, each a file or NAME@VERSION of the project: what has changed, and which changes are
    /// breaking
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
    /// A file to write to instead of stdout. A file that exists is left as it is, with all that was written by hand
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    /// Replace the whole file if it exists, with the descriptions and semantic types that were written there by hand
    #[arg(long, requires = "to")]
    pub(crate) force: bool,
    /// How the project is bound.
    #[command(flatten)]
    pub(crate) bind: BindArgs,
}

/// Arguments of `contract diff`.
#[derive(Debug, Args)]
pub(crate) struct ContractDiffArgs {
    /// The older contract
    pub(crate) old: String,
    /// The newer contract
    pub(crate) new: String,
    /// Exit with 1 if there is a breaking change
    #[arg(long)]
    pub(crate) fail_on_breaking: bool,
}

/// The commands about cursors.
#[derive(Debug, Subcommand)]
pub(crate) enum CursorsCommand {
    /// List the last run of each table and how far it has consumed each source, according to the table's log
    #[command(after_help = "Example:\n  windlass cursors ls --output json")]
    Ls(BindArgs),
    /// Show the cursors of one stage
    #[command(after_help = "Example:\n  windlass cursors show daily_totals")]
    Show {
        /// The stage
        stage: String,
        /// How the project is bound.
        #[command(flatten)]
        bind: BindArgs,
    },
    /// Reset the cursors of a stage's table, or set them to a version; the next run recomputes what follows
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
    /// Only the source or stage with this name; by default everything that it reads
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// The version that counts as consumed; by default none
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<u64>,
    /// The reason, for the table's history
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
    /// How the project is bound. Sources cannot be relocated here, because `--source` has another meaning.
    pub(crate) fn bind(&self) -> BindArgs {
        BindArgs { target: self.target.clone(), ..BindArgs::default() }
    }
}

/// The commands about pins.
#[derive(Debug, Subcommand)]
pub(crate) enum PinsCommand {
    /// List the versions that active runs have pinned
    #[command(after_help = "Example:\n  windlass pins ls")]
    Ls(BindArgs),
}

/// The target whose runs are meant.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RunTargetArgs {
    /// A target of the project, such as dev or prod: its home, and of the runs there those with this target
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<String>,
}

impl RunTargetArgs {
    /// How the project is bound.
    pub(crate) fn bind(&self) -> BindArgs {
        BindArgs { target: self.target.clone(), ..BindArgs::default() }
    }
}

/// The commands about runs.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List runs, newest first
    #[command(after_help = "Examples:\n  windlass runs list --limit 5\n  windlass runs list --target prod")]
    List {
        /// The maximum number of runs
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Whose runs.
        #[command(flatten)]
        target: RunTargetArgs,
    },
    /// Show one run: its target and selection, its stages, rows, times and failures
    #[command(after_help = "Example:\n  windlass runs show latest")]
    Show {
        /// The run's id, a prefix of it, or `latest`
        #[arg(default_value = "latest")]
        run: String,
        /// Whose runs.
        #[command(flatten)]
        target: RunTargetArgs,
    },
    /// Stop a run on a cluster, and wait until it has stopped
    #[command(after_help = "Example:\n  windlass --cluster http://127.0.0.1:50051 runs cancel latest")]
    Cancel {
        /// The run's id, a prefix of it, or `latest`
        run: String,
        /// Whose runs.
        #[command(flatten)]
        target: RunTargetArgs,
    },
    /// Print a run's log
    #[command(after_help = "Example:\n  windlass runs log latest --output json")]
    Log {
        /// The run's id, a prefix of it, or `latest`
        #[arg(default_value = "latest")]
        run: String,
        /// Whose runs.
        #[command(flatten)]
        target: RunTargetArgs,
    },
}

impl RunsCommand {
    /// Whose runs.
    pub(crate) fn target(&self) -> &RunTargetArgs {
        match self {
            Self::List { target, .. } | Self::Show { target, .. } => target,
            Self::Cancel { target, .. } | Self::Log { target, .. } => target,
        }
    }
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The run's id, a prefix of it, or `latest`
    pub(crate) run: String,
    /// The stage
    pub(crate) stage: String,
    /// Which plan
    #[arg(long, value_enum, default_value_t = PlanKind::Analyzed)]
    pub(crate) plan: PlanKind,
    /// Whose runs.
    #[command(flatten)]
    pub(crate) target: RunTargetArgs,
}

/// The plans of a stage in a run's bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanKind {
    /// The plan of the SQL
    Logical,
    /// After the optimizer
    Optimized,
    /// The physical plan
    Physical,
    /// The plan split into the cluster's stages
    Distributed,
    /// The plan with the metrics of each operator
    Analyzed,
}

/// Arguments of `query`.
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// The query: one SELECT
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub(crate) sql: Option<String>,
    /// A file with the query
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The maximum number of rows; 0 means all. By default all, except that a table on stdout ends after 1000
    #[arg(long, value_name = "ROWS")]
    pub(crate) limit: Option<usize>,
    /// Read a table, quarantine or Delta source at this version; may be repeated
    #[arg(long = "at", value_name = "NAME=VERSION", value_parser = name_and_version)]
    pub(crate) versions: Vec<(String, u64)>,
    /// Read everything at the versions that a run read and wrote: its id, a prefix of it, or `latest`
    #[arg(long, value_name = "RUN", conflicts_with = "versions")]
    pub(crate) as_of_run: Option<String>,
    /// A file to write to instead of stdout, with all rows unless `--limit` is given
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long, requires = "to")]
    pub(crate) force: bool,
    /// How the project is bound.
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
