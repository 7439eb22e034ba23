//! Arguments of the commands about tables, contracts, cursors and runs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::project::{BindArgs, name_and_value};

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
    /// Compare two runs: what got slower or bigger and why, and everything that differs
    #[command(after_help = "\
Examples:
  windlass runs diff
  windlass runs diff latest~5 latest --stage daily_totals
  windlass runs diff previous latest -v
  windlass runs diff --target prod --output json")]
    Diff(RunsDiffArgs),
    /// Stop a run on a cluster, and wait until it has stopped
    #[command(after_help = "Example:\n  windlass --cluster http://127.0.0.1:50051 runs cancel latest")]
    Cancel {
        /// The run's id, a prefix of it, or `latest`
        run: String,
        /// Whose runs.
        #[command(flatten)]
        target: RunTargetArgs,
    },
    /// Take up a run whose process ended before it did: over the same pins, without what it has committed
    #[command(after_help = "\
Examples:
  windlass runs resume
  windlass runs resume latest --dry-run

The project must be the one that the run began with. If a later run has begun, there is nothing to be taken up. A scheduler
of a cluster that is started again takes up its runs by itself.")]
    Resume {
        /// The run's id, a prefix of it, or `latest`
        #[arg(default_value = "latest")]
        run: String,
        /// Only show which stages would be executed
        #[arg(long)]
        dry_run: bool,
        /// Print every event of the run as a line of JSON on stdout, and nothing else. Not with `--output json`
        #[arg(long, conflicts_with = "dry_run")]
        events: bool,
        /// Whose runs.
        #[command(flatten)]
        target: RunTargetArgs,
    },
    /// Try again what did not commit in a run: as a new run, over what that one had pinned
    #[command(after_help = "\
Examples:
  windlass runs retry
  windlass runs retry latest -s customer_value

The project may have changed meanwhile, so that a stage with a mistake can be corrected. A later run must not have begun.")]
    Retry {
        /// The run's id, a prefix of it, or `latest`
        #[arg(default_value = "latest")]
        run: String,
        /// Which of its stages to try again; by default all that did not commit
        #[arg(short, long, value_name = "SELECTION")]
        select: Vec<String>,
        /// Only show which stages would be executed
        #[arg(long)]
        dry_run: bool,
        /// Print every event of the run as a line of JSON on stdout, and nothing else. Not with `--output json`
        #[arg(long, conflicts_with = "dry_run")]
        events: bool,
        /// Whose runs.
        #[command(flatten)]
        target: RunTargetArgs,
    },
    /// Print a run's log
    #[command(
        after_help = "Examples:\n  windlass runs log latest --level warn\n  windlass runs log latest --output json"
    )]
    Log {
        /// The run's id, a prefix of it, or `latest`
        #[arg(default_value = "latest")]
        run: String,
        /// The least level of the lines to print; `debug` prints everything. By default `info`, and with `--output json`
        /// everything
        #[arg(long, value_enum)]
        level: Option<LevelArg>,
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
            Self::Diff(args) => &args.target,
            Self::Cancel { target, .. } | Self::Log { target, .. } => target,
            Self::Resume { target, .. } | Self::Retry { target, .. } => target,
        }
    }
}

/// Arguments of `runs diff`.
#[derive(Debug, Args)]
pub(crate) struct RunsDiffArgs {
    /// The run to compare with, usually the older one: its id, a prefix of it, `latest`, `previous`, or `latest~N` for the
    /// Nth before the latest
    #[arg(default_value = "previous")]
    pub(crate) before: String,
    /// The run to compare
    #[arg(default_value = "latest")]
    pub(crate) after: String,
    /// Only this stage, with its plans, volumes and timings, as -v shows them of all stages
    #[arg(long, value_name = "STAGE")]
    pub(crate) stage: Option<String>,
    /// Whose runs.
    #[command(flatten)]
    pub(crate) target: RunTargetArgs,
}

/// The least level of lines of a run's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LevelArg {
    /// Everything, with the progress of stages and what is registered in sessions
    Debug,
    /// What happens to the run and its stages
    Info,
    /// Warnings and failures
    Warn,
    /// Failures
    Error,
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

fn name_and_version(text: &str) -> Result<(String, u64), String> {
    let (name, version) = name_and_value(text)?;
    let version = version.parse().map_err(|_| "write NAME=VERSION with a whole number".to_owned())?;
    Ok((name, version))
}
