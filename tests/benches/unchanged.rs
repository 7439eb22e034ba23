//! `windlass-bench unchanged`: measures a run in which nothing has changed.

use std::path::PathBuf;

use clap::Args;

use super::pipeline::{Programs, strategies, work_folder};
use super::plain::Engine;
use super::summary::{Spread, Table};
use super::trivial::{Shape, project};
use super::{Outcome, machine};

#[derive(Debug, Args)]
pub(crate) struct UnchangedArgs {
    /// The command; by default the one next to this program.
    #[arg(long)]
    windlass: Option<PathBuf>,
    /// Stages of the projects.
    #[arg(long, default_value_t = 100)]
    stages: usize,
    /// Runs that count.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Where the runs write; a folder inside is made and removed again.
    #[arg(long)]
    work: Option<PathBuf>,
}

pub(crate) fn run(args: &UnchangedArgs) -> Outcome {
    let programs = Programs::find(args.windlass.as_deref(), Engine::Stock)?;
    let work = work_folder(args.work.as_deref())?;
    let title = format!("{} stages, each", args.stages);
    let mut table = Table::new(&[&title, "first run, s", "nothing changed, s", "processor, s", "stages reused"]);
    for shape in Shape::ALL {
        let pipeline = project(shape, args.stages, work.path())?;
        let home = work.path().join(format!("home_{shape:?}"));
        let first = programs.run_at(&pipeline, &home, work.path())?;
        let mut again = Vec::new();
        let mut reused = 0;
        for _ in 0..args.runs {
            let sample = programs.run_at(&pipeline, &home, work.path())?;
            eprintln!("{}: {:.2} s", shape.name(), sample.wall);
            if let Some(run_id) = &sample.run_id {
                reused = strategies(&home, run_id)?.iter().filter(|(_, how)| how == "reuse").count();
            }
            again.push(sample);
        }
        table.row([
            shape.name().to_owned(),
            format!("{:.2}", first.wall),
            Spread::of(again.iter().map(|sample| sample.wall)).show(2),
            Spread::of(again.iter().map(|sample| sample.cpu)).show(2),
            format!("{reused} of {}", args.stages),
        ]);
    }
    println!("{}\n### nothing changed\n\n{table}", machine::describe());
    Ok(())
}
