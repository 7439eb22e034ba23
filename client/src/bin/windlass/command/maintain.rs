//! `windlass maintain`: a turn of maintenance over the project's tables.

use windlass_client::{MaintainHandle, MaintainOptions};
use windlass_evidence::artifact::MaintenanceRecord;

use super::run::stop_on_signal;
use super::{open_project, start, start_reading};
use crate::args::{Global, MaintainArgs, Output};
use crate::failure::CommandError;
use crate::output::{self, Layout};
use crate::progress::TurnProgress;
use crate::summary::maintenance::{has_failed, summary};

/// Maintains the selected tables. Ctrl-C stops after what is just being done; a second one ends the process.
pub(crate) async fn run(global: &Global, args: &MaintainArgs) -> Result<(), CommandError> {
    let folder = args.folder.clone().or_else(|| global.project.clone());
    let global = &Global { project: folder, ..global.clone() };
    let project = open_project(global, &args.select.bind)?;
    let options = MaintainOptions {
        select: args.select.select.clone(),
        exclude: args.select.exclude.clone(),
        params: args.select.bind.params.clone(),
        only: args.only.iter().flat_map(|action| action.kinds()).copied().collect(),
        dry_run: args.dry_run,
    };
    let windlass = match args.dry_run {
        true => start_reading(global, &project).await?,
        false => start(global, &project).await?,
    };
    let outcome = async {
        let handle = windlass.maintain(&project, &options).await?;
        let cancel = handle.cancel_token();
        stop_on_signal(cancel.clone());
        let progress = if args.dry_run { TurnProgress::silent() } else { TurnProgress::new() };
        Ok::<_, CommandError>((follow(handle, progress).await?, cancel.is_cancelled()))
    };
    let outcome = outcome.await;
    windlass.stop().await;
    let (record, was_stopped) = outcome?;
    match global.output {
        Output::Json => output::json(&record)?,
        _ => output::text(&summary(&record, global.verbose > 0, Layout::stdout()))?,
    }
    if was_stopped || has_failed(&record) { Err(CommandError::TurnEnded) } else { Ok(()) }
}

async fn follow(mut handle: MaintainHandle, mut progress: TurnProgress) -> Result<MaintenanceRecord, CommandError> {
    let mut time = tokio::time::interval(progress.period());
    loop {
        tokio::select! {
            event = handle.events.recv() => {
                let Some(event) = event else { break };
                progress.show(&event);
            }
            _ = time.tick() => progress.tick(),
        }
    }
    progress.end();
    Ok(handle.wait().await?)
}
