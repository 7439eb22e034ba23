//! Arguments of `clean`.

use clap::Args;

use super::project::BindArgs;

/// Arguments of `clean`.
#[derive(Debug, Args)]
pub(crate) struct CleanArgs {
    /// Only show what would be removed, with its size
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also remove tables of this pipeline whose stages no longer exist; needs `--yes`
    #[arg(long)]
    pub(crate) tables: bool,
    /// Remove such tables without asking again
    #[arg(long)]
    pub(crate) yes: bool,
    /// Keep the bundles of so many of the newest runs, instead of as many as the project says
    #[arg(long, value_name = "RUNS")]
    pub(crate) keep_runs: Option<u64>,
    /// Keep the bundles of runs of so many days, instead of as many as the project says
    #[arg(long, value_name = "DAYS")]
    pub(crate) keep_days: Option<u64>,
    /// A target of the project, such as dev or prod: its home
    #[arg(long, value_name = "NAME")]
    pub(crate) target: Option<String>,
}

impl CleanArgs {
    /// How the project is bound.
    pub(crate) fn bind(&self) -> BindArgs {
        BindArgs { target: self.target.clone(), ..BindArgs::default() }
    }
}
