//! The arguments of the command: the global ones, and those of each subcommand.

mod clean;
mod inspect;
mod lineage;
mod maintenance;
mod project;
mod ui;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use clean::CleanArgs;
pub(crate) use inspect::{
    ContractCommand, ContractDiffArgs, CursorsCommand, ExplainArgs, InferArgs, LevelArg, PlanKind, QueryArgs,
    ResetArgs, RunsCommand, RunsDiffArgs,
};
pub(crate) use lineage::{LineageArgs, LineageFormat};
pub(crate) use maintenance::{MaintainArgs, NamedArgs, PinArgs, PinsCommand, TableAt, TagArgs, TagCommand};
pub(crate) use project::{
    ApplyArgs, BehaviourArgs, BindArgs, GraphArgs, GraphFormat, LsArgs, PlanArgs, RefreshArgs, RegistryArgs, RunArgs,
    SelectArgs, TestArgs,
};
pub(crate) use ui::UiArgs;

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
    /// The address of a cluster, such as http://windlass-scheduler:50051, or all of its schedulers' separated by commas; by
    /// default everything runs in this process
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
    /// Show what a table or one of its columns was made of, and what was made of it, by the newest runs
    #[command(after_help = "\
Examples:
  windlass lineage daily_totals
  windlass lineage daily_totals.total --upstream --output json
  windlass lineage orders --downstream --depth 2
  windlass lineage daily_totals --format svg --to lineage.svg

`windlass registry --lineage` shows the columns of stages that were never run.")]
    Lineage(LineageArgs),
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
    /// Keep the tables fast and small: compact files, remove what no version needs, clean logs
    #[command(after_help = "\
Examples:
  windlass maintain --dry-run
  windlass maintain -s 'orders_clean daily_totals' --only compact,vacuum
  windlass maintain path/to/project --output json

Policies in the project say what is due. What a run, a cursor, a pin or a tag needs is never removed.")]
    Maintain(MaintainArgs),
    /// Show which versions of tables are kept, and by what; set and release pins
    #[command(subcommand, after_help = "Example:\n  windlass pins ls")]
    Pins(PinsCommand),
    /// Give a version of a table a name, under which it is kept until the tag is removed
    #[command(after_help = "\
Examples:
  windlass tag daily_totals@12 june
  windlass tag daily_totals june --reason 'the report of June'
  windlass tag ls
  windlass tag rm june

A table that is itself called ls or rm is written with its version.")]
    Tag(TagArgs),
    /// Show past and active runs
    #[command(subcommand, after_help = "Example:\n  windlass runs list")]
    Runs(RunsCommand),
    /// Show the runs, tables and lineage of the home as pages for a browser, until Ctrl-C
    #[command(after_help = "\
Examples:
  windlass ui
  windlass ui --port 0
  windlass --cluster http://127.0.0.1:50051 ui")]
    Ui(UiArgs),
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
  windlass query 'SELECT * FROM windlass.runs ORDER BY started_at DESC LIMIT 10'
  windlass query --file question.sql")]
    Query(QueryArgs),
    /// Remove what the home keeps and nothing needs any more: bundles of old runs, what killed runs have left
    #[command(after_help = "\
Examples:
  windlass clean --dry-run
  windlass clean --keep-runs 20 --keep-days 30
  windlass clean --tables --yes

The bundle of the newest run always stays, and so do those of the runs that made the current tables, whose plans `explain`
shows.")]
    Clean(CleanArgs),
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
