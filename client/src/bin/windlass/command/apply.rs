//! `windlass apply`: executes a saved plan, if it is still valid.

use windlass_client::error::ClientError;
use windlass_client::{Project, RunOptions};
use windlass_evidence::artifact::SavedPlan;

use super::run::run_and_print;
use super::{project_dir, start};
use crate::args::{ApplyArgs, Global};
use crate::failure::CommandError;

/// Runs the plan with its selection, parameters, target and sources. The scheduler compares the plan with what the run
/// would do while no other run of the pipeline can start.
pub(crate) async fn run(global: &Global, args: &ApplyArgs) -> Result<(), CommandError> {
    let text =
        std::fs::read_to_string(&args.plan).map_err(|source| CommandError::Read { file: args.plan.clone(), source })?;
    let plan = SavedPlan::read(&text)
        .map_err(|error| CommandError::NotAPlan { file: args.plan.clone(), source: ClientError::from(error) })?;
    let project = Project::open_for(&project_dir(global)?, &plan)?;
    let options = RunOptions {
        fail_fast: args.behaviour.fail_fast.then_some(true),
        max_parallel: args.behaviour.max_parallel,
        priority: args.behaviour.priority,
        no_wait: args.behaviour.no_wait,
        ..RunOptions::apply(plan)
    };
    let windlass = start(global, &project).await?;
    run_and_print(global, windlass, &project, &options, args.behaviour.events).await
}
