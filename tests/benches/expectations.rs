//! `windlass-bench expectations`: measures the cost of expectations.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::pipeline::{Pipeline, Programs, Side, work_folder};
use super::plain::Engine;
use super::summary::{Spread, Table};
use super::{Outcome, machine};

/// The query of the stage: every line, with typical warehouse columns.
const QUERY: &str = "SELECT *, l_extendedprice * (1 - l_discount) AS revenue, \
                     l_receiptdate - l_shipdate AS days_on_the_way FROM lineitem\n";

/// Sets of expectations that all rows satisfy, from cheap to expensive.
const SETS: [(&str, &str); 4] = [
    ("none", ""),
    (
        "8 of single rows",
        "  - { not_null: [l_orderkey, l_linenumber, l_quantity] }
  - { range: { column: l_quantity, min: 1, max: 50 } }
  - { range: { column: l_discount, min: 0, max: 0.1 } }
  - { accepted_values: { column: l_returnflag, values: [A, N, R] } }
  - { accepted_values: { column: l_linestatus, values: [F, O] } }
  - { sql: l_shipdate < l_receiptdate, name: shipped_before_received }
  - { sql: revenue > 0, name: revenue_is_positive }
  - { row_count: { min: 1 } }
",
    ),
    ("a regular expression", "  - { matches: { column: l_shipmode, pattern: '[A-Z ]+' } }\n"),
    ("a unique key of two columns", "  - { unique: [l_orderkey, l_linenumber] }\n"),
];

#[derive(Debug, Args)]
pub(crate) struct ExpectationsArgs {
    /// The command; by default the one next to this program.
    #[arg(long)]
    windlass: Option<PathBuf>,
    /// The folder of TPC-H's Parquet files; only `lineitem` is used.
    #[arg(long)]
    tpch: PathBuf,
    /// Runs of each.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Where everything is written; a folder inside is made and removed again.
    #[arg(long)]
    work: Option<PathBuf>,
}

pub(crate) fn run(args: &ExpectationsArgs) -> Outcome {
    let programs = Programs::find(args.windlass.as_deref(), Engine::Stock)?;
    let work = work_folder(args.work.as_deref())?;
    let pipelines = SETS
        .iter()
        .enumerate()
        .map(|(index, (name, expect))| project(index, name, expect, &args.tpch, work.path()))
        .collect::<Outcome<Vec<Pipeline>>>()?;
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); SETS.len()];
    // By turns, so that whatever else the machine does falls on all of them.
    for _ in 0..args.runs {
        for (pipeline, seconds) in pipelines.iter().zip(&mut seconds) {
            let sample = programs.run(Side::Windlass, pipeline, work.path())?;
            let stage = sample.stages.first().ok_or("the run has no stage")?;
            eprintln!("{}: {:.2} s", pipeline.name, stage.seconds);
            seconds.push(stage.seconds);
        }
    }
    let base = seconds.first().cloned().unwrap_or_default();
    let mut table = Table::new(&["expectations", "the stage, s", "of its time without"]);
    for (pipeline, seconds) in pipelines.iter().zip(&seconds) {
        let shares = seconds.iter().zip(&base).map(|(with, without)| with / without);
        table.row([pipeline.name.clone(), Spread::of(seconds.iter().copied()).show(2), Spread::of(shares).show(2)]);
    }
    println!("{}\n### expectations\n\n{table}", machine::describe());
    Ok(())
}

fn project(index: usize, name: &str, expect: &str, tpch: &Path, work: &Path) -> Outcome<Pipeline> {
    let project = work.join(format!("project_{index}"));
    fs::create_dir_all(project.join("stages"))?;
    let manifest = "name: expectations\nsources:\n  lineitem: { kind: listing, format: parquet, location: lineitem }\n";
    fs::write(project.join("windlass.yaml"), manifest)?;
    let header = match expect {
        "" => String::new(),
        expect => format!("/* windlass\nexpect:\n{expect}*/\n"),
    };
    fs::write(project.join("stages/lines.sql"), header + QUERY)?;
    let lineitem = std::path::absolute(tpch.join("lineitem"))?;
    let sources = vec![("lineitem".to_owned(), lineitem.display().to_string())];
    Ok(Pipeline { name: name.to_owned(), project, sources })
}
