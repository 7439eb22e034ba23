//! `windlass test`: the project's fixtures on an engine in this process.

use std::time::Instant;

use windlass_client::document::TestDocument;
use windlass_client::fixture_runner::{FixtureOptions, FixtureReport, Fixtures};

use super::project_dir;
use crate::args::{Global, Output, TestArgs};
use crate::failure::CommandError;
use crate::output::{self, duration};

/// Runs the fixtures and prints each report as it ends.
pub(crate) async fn run(global: &Global, args: &TestArgs) -> Result<(), CommandError> {
    if global.cluster.is_some() {
        return Err(CommandError::Usage {
            message: "fixtures run in this process, not on a cluster".to_owned(),
            help: "leave `--cluster` out, and WINDLASS_CLUSTER".to_owned(),
        });
    }
    let began = Instant::now();
    let fixtures = Fixtures::open(&project_dir(global)?, args.target.as_deref())?;
    let options = FixtureOptions { names: args.select.clone(), fail_fast: args.fail_fast, keep: args.keep };
    let as_json = global.output == Output::Json;
    let mut broken = Ok(());
    let on_report = |report: &FixtureReport| {
        let text = report.to_string();
        let said = if as_json { progress(&text) } else { output::text(&text) };
        if broken.is_ok() {
            broken = said;
        }
    };
    let reports = fixtures.run(&options, on_report).await?;
    broken?;
    let failed = reports.iter().filter(|report| !report.passed).count();
    let passed = reports.len() - failed;
    let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    if as_json {
        let pipeline = fixtures.project.graph.name.clone();
        output::json(&TestDocument { pipeline, passed, failed, duration_ms: took, fixtures: reports })?;
    } else if fixtures.list.is_empty() {
        output::text("the project has no fixtures: write tests/NAME.yaml with `given` and `expect`\n")?;
    } else {
        output::text(&format!("\n{passed} passed, {failed} failed in {}\n", duration(took)))?;
    }
    if failed == 0 { Ok(()) } else { Err(CommandError::FixturesFailed) }
}

/// The first line of a report, on stderr.
fn progress(text: &str) -> std::io::Result<()> {
    output::note(text.lines().next().unwrap_or_default());
    Ok(())
}
