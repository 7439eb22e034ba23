//! The `windlass` command.
//!
//! ```text
//! arguments ─args→ Cli ─command/*→ the client library ─→ output (stdout) and progress (stderr)
//!     │                                   └─ failure → exit code
//!     └─servers→ a scheduler or an executor, until a signal ends it
//! ```

mod args;
mod command;
mod failure;
mod output;
mod output_file;
mod progress;
mod servers;
mod summary;
mod usage;

use std::ffi::OsString;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;
use windlass_base::panics;
use windlass_base::secrets::DiscreetStderr;
use windlass_base::stack::{THREAD_STACK_BYTES, with_large_stack};

use crate::args::{Command, Global, Output};
use crate::failure::CommandError;
use crate::output::Layout;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(debug_assertions)]
    if let Err(error) = windlass_base::failpoint::arm() {
        eprintln!("{error}");
        return ExitCode::from(2);
    }
    let args: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = servers::main(&args) {
        return code;
    }
    let cli = match usage::parse(&args) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    log_to_stderr(cli.global.verbose);
    let as_json = cli.global.output == Output::Json;
    panics::install("windlass", env!("CARGO_PKG_VERSION"), failure::log_panic);
    let work = || {
        tokio::runtime::Builder::new_multi_thread()
            .thread_stack_size(THREAD_STACK_BYTES)
            .enable_all()
            .build()
            .map_err(CommandError::Stdout)
            .and_then(|runtime| runtime.block_on(dispatch(&cli.global, cli.command)))
    };
    let outcome = panics::catch(|| with_large_stack(work));
    match outcome.unwrap_or_else(|panic| Err(panic.into())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print(as_json);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn dispatch(global: &Global, command: Command) -> Result<(), CommandError> {
    usage::check(global, &command)?;
    match command {
        Command::Init(args) => command::init::run(global, &args),
        Command::Check(args) => command::check::run(global, &args),
        Command::Ls(args) => command::ls::run(global, &args),
        Command::Registry(args) => command::registry::run(global, &args).await,
        Command::Lineage(args) => command::lineage::run(global, &args).await,
        Command::Graph(args) => command::graph::run(global, &args),
        Command::Schema(args) => command::schema::run(global, &args).await,
        Command::Contract(args) => command::contract::run(global, &args).await,
        Command::Plan(args) => command::plan::run(global, &args).await,
        Command::Run(args) => command::run::run(global, &args).await,
        Command::Apply(args) => command::apply::run(global, &args).await,
        Command::Test(args) => command::test::run(global, &args).await,
        Command::Doctor(args) => command::doctor::run(global, &args).await,
        Command::Tables(args) => command::tables::run(global, &args).await,
        Command::Cursors(args) => command::cursors::run(global, &args).await,
        Command::Maintain(args) => command::maintain::run(global, &args).await,
        Command::Tag(args) => command::tag::run(global, args).await,
        Command::Pins(args) => command::pins::run(global, &args).await,
        Command::Runs(args) => command::runs::run(global, &args).await,
        Command::Ui(args) => command::ui::run(global, &args).await,
        Command::Explain(args) => command::explain::run(global, &args).await,
        Command::Query(args) => command::query::run(global, &args).await,
        Command::Clean(args) => command::clean::run(global, &args).await,
        Command::Scheduler(_) | Command::Executor(_) => Err(CommandError::Usage {
            message: "a server does not take the options of the command".to_owned(),
            help: "write the server first: `windlass scheduler --home DIR`, `windlass executor --scheduler HOST:PORT`"
                .to_owned(),
        }),
        Command::Completions(args) => command::completions::run(global, &args),
        Command::Man(args) => command::man::run(global, &args),
    }
}

/// Logs to stderr: nothing by default, because everything that users must know is reported as progress or as an error.
fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => "off",
        1 => "warn",
        2 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("WINDLASS_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let colour = Layout::stderr().colour;
    tracing_subscriber::fmt().with_ansi(colour).with_env_filter(filter).with_writer(DiscreetStderr::default).init();
}
