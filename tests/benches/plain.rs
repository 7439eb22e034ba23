//! `windlass-bench plain`: the baseline as a process.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use windlass_tests::plain::{PlainEngine, PlainOptions, run_project};

use super::Outcome;

#[derive(Debug, Args)]
pub(crate) struct PlainArgs {
    /// The project's folder.
    #[arg(long)]
    project: PathBuf,
    /// Where tables and caches go.
    #[arg(long)]
    out: PathBuf,
    /// The location of a source in place of the project's; may be given again.
    #[arg(long = "source", value_name = "NAME=DIR", value_parser = key_value)]
    sources: Vec<(String, String)>,
    /// The value of a parameter.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = key_value)]
    params: Vec<(String, String)>,
    /// The number of partitions, if different from the project's.
    #[arg(long)]
    target_partitions: Option<usize>,
    /// The engine's settings.
    #[arg(long, value_enum, default_value_t)]
    engine: Engine,
}

/// The engine settings of the baseline.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Engine {
    /// DataFusion's defaults.
    #[default]
    Stock,
    /// As Windlass sets it.
    Windlass,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Windlass => "windlass",
        }
    }
}

/// `key=value`.
fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(crate) fn run(args: &PlainArgs) -> Outcome {
    let mut options = PlainOptions::new(&args.out);
    options.sources.clone_from(&args.sources);
    options.params.clone_from(&args.params);
    options.target_partitions = args.target_partitions;
    options.engine = match args.engine {
        Engine::Stock => PlainEngine::Stock,
        Engine::Windlass => PlainEngine::Windlass,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(run_project(&args.project, &options))?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}
