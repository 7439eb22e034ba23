//! `windlass-bench`: data, baseline and comparison of the benchmarks. `make bench` calls it; docs/benchmark-method.md
//! explains what it measures.
//!
//! The base line runs in a separate process, this program as `windlass-bench plain`, so that its time and memory can be
//! compared with those of `windlass run`.

mod change;
mod compare;
mod expectations;
mod incremental;
mod lake;
mod machine;
mod maintain;
mod make_tpch;
mod measure;
mod merge;
mod pipeline;
mod plain;
mod summary;
mod trivial;
mod unchanged;
mod upsert;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

// The allocator of the `windlass` command, so that both sides have the same.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The result of a command of this program; errors are human-readable.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Debug, Parser)]
#[command(name = "windlass-bench", about = "Data, base line and comparison of Windlass's benchmarks")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the tables of TPC-H as Parquet files, a folder a table.
    Data {
        /// The scale factor: 1 is 6 million lines.
        #[arg(long, default_value_t = 1.0)]
        scale: f64,
        /// Where the folders are created. An existing table is kept.
        out: PathBuf,
    },
    /// Run a project with plain DataFusion and deltalake; the result is printed to stdout as JSON.
    Plain(plain::PlainArgs),
    /// Run pipelines with Windlass and with the baseline, alternately; a report in Markdown is printed to stdout.
    Compare(compare::CompareArgs),
    /// Change a fraction of the rows, and compare an incremental run with a full run.
    Incremental(incremental::IncrementalArgs),
    /// Upsert a share of a table's rows with Windlass and with deltalake's own merge.
    Upsert(upsert::UpsertArgs),
    /// Merge changed rows into a table with deltalake's own operation.
    Merge(merge::MergeArgs),
    /// Compact a table of small files and lay it out with Windlass and with deltalake's own optimize, and query the results.
    Maintain(maintain::MaintainArgs),
    /// Optimize a table with deltalake's own operation.
    Optimize(maintain::OptimizeArgs),
    /// Write every line of TPC-H with and without expectations, alternately.
    Expectations(expectations::ExpectationsArgs),
    /// Run a project of many stages a second time, with nothing changed.
    Unchanged(unchanged::UnchangedArgs),
}

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Data { scale, out } => make_tpch::make(scale, &out),
        Command::Plain(args) => plain::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Incremental(args) => incremental::run(&args),
        Command::Upsert(args) => upsert::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Maintain(args) => maintain::run(&args),
        Command::Optimize(args) => maintain::optimize(&args),
        Command::Expectations(args) => expectations::run(&args),
        Command::Unchanged(args) => unchanged::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("windlass-bench: {}", windlass_base::error::full_message(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
