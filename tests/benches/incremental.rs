//! `windlass-bench incremental`: compares incremental runs with full runs.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::change::{Shape, change_code, change_tpch};
use super::pipeline::{Pipeline, Programs, Sample, strategies, work_folder};
use super::plain::Engine;
use super::summary::{Spread, Table};
use super::{Outcome, lake, machine};

/// The tables of TPC-H that the example reads.
const TABLES: [&str; 6] = ["lineitem", "orders", "customer", "supplier", "nation", "region"];

#[derive(Debug, Args)]
pub(crate) struct IncrementalArgs {
    /// The command; by default the one next to this program.
    #[arg(long)]
    windlass: Option<PathBuf>,
    /// Where the example projects are.
    #[arg(long, default_value = "examples")]
    examples: PathBuf,
    /// Run the TPC-H pipeline over Delta tables created from the Parquet files in this folder.
    #[arg(long)]
    tpch: Option<PathBuf>,
    /// Run the code_graph pipeline over a copy of the source code in this folder.
    #[arg(long)]
    code: Option<PathBuf>,
    /// How many of a thousand rows, or files of code, change.
    #[arg(long, default_value_t = 10)]
    per_mille: u32,
    /// How the stages of the TPC-H pipeline ask for incremental runs (`auto`, `strict`).
    #[arg(long, default_value = "strict")]
    wish: String,
    /// Pairs of runs.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Where everything is written; a folder inside is made and removed again.
    #[arg(long)]
    work: Option<PathBuf>,
}

/// A pipeline to measure: its project, its data, and how that changes.
struct Case {
    name: &'static str,
    project: PathBuf,
    data: PathBuf,
    home: PathBuf,
    sources: Vec<String>,
    /// Names of the sources that are folders below `data`; if there is none, `data` itself is the only one.
    nested: bool,
}

impl Case {
    fn pipeline(&self, data: &Path) -> Pipeline {
        let place = |source: &String| if self.nested { data.join(source) } else { data.to_owned() };
        let sources = self.sources.iter().map(|source| (source.clone(), place(source).display().to_string())).collect();
        Pipeline { name: self.name.to_owned(), project: self.project.clone(), sources }
    }

    fn change(&self, data: &Path, shape: Shape, per_mille: u32) -> Outcome<usize> {
        match self.nested {
            true => block_on(change_tpch(data, shape, per_mille)),
            false => change_code(data, shape, per_mille),
        }
    }
}

/// What a first run read, and the home that it left.
struct First {
    home: PathBuf,
    data: PathBuf,
}

/// A run over changed data, incremental or full, with the strategies of the incremental one.
struct Pair {
    incremental: Sample,
    full: Sample,
    how: Vec<(String, String)>,
}

pub(crate) fn run(args: &IncrementalArgs) -> Outcome {
    if args.runs == 0 {
        return Err("`--runs` must be at least 1".into());
    }
    let programs = Programs::find(args.windlass.as_deref(), Engine::Stock)?;
    let work = work_folder(args.work.as_deref())?;
    println!("{}- changed: {} of 1000\n", machine::describe(), args.per_mille);
    for case in cases(args, work.path())? {
        eprintln!("{}: the first run", case.name);
        let first =
            First { home: work.path().join(format!("{}_first", case.name)), data: case.data.with_extension("first") };
        programs.run_at(&case.pipeline(&case.data), &case.home, work.path())?;
        // A stage knows its tables and sources by their places, so each pair of runs starts from copies in the same ones.
        fs::rename(&case.home, &first.home)?;
        fs::rename(&case.data, &first.data)?;
        for shape in Shape::ALL {
            let mut pairs = Vec::new();
            let mut changed = 0;
            for turn in 0..args.runs {
                let (pair, count) = pair(args, &programs, &case, &first, shape, turn)?;
                pairs.push(pair);
                changed = count;
            }
            println!(
                "### {}, {}: {changed} changed\n\n{}\n{}",
                case.name,
                shape.name(),
                totals(&pairs),
                stages(&pairs)
            );
        }
    }
    Ok(())
}

fn cases(args: &IncrementalArgs, work: &Path) -> Outcome<Vec<Case>> {
    let mut cases = Vec::new();
    if let Some(tpch) = &args.tpch {
        let data = work.join("tpch_data");
        for table in TABLES {
            eprintln!("making the table {table}");
            block_on(lake::make(&tpch.join(table), &data.join(table)))?;
        }
        let project = work.join("tpch");
        over_tables(&args.examples.join("tpch"), &project, &args.wish)?;
        let sources = TABLES.map(str::to_owned).to_vec();
        let home = work.join("tpch_home");
        cases.push(Case { name: "tpch", project, data, home, sources, nested: true });
    }
    if let Some(code) = &args.code {
        let data = work.join("code_data");
        lake::copy_files(code, &data)?;
        let project = args.examples.join("code_graph");
        let sources = vec!["source_files".to_owned()];
        let home = work.join("code_home");
        cases.push(Case { name: "code_graph", project, data, home, sources, nested: false });
    }
    Ok(cases)
}

/// A copy of the TPC-H project that reads Delta tables, and whose stages ask for incremental runs.
fn over_tables(from: &Path, to: &Path, wish: &str) -> Outcome {
    fs::create_dir_all(to.join("stages"))?;
    let manifest = fs::read_to_string(from.join("windlass.yaml"))?;
    let mut lines: Vec<String> = manifest.lines().map(str::to_owned).collect();
    for line in &mut lines {
        if let Some((name, _)) = line.split_once(": { kind: listing") {
            *line = format!("{name}: {{ kind: delta, location: data/{} }}", name.trim());
        }
        if line == "defaults:" {
            line.push_str(&format!("\n  incremental: {wish}"));
        }
    }
    fs::write(to.join("windlass.yaml"), lines.join("\n") + "\n")?;
    for stage in fs::read_dir(from.join("stages"))? {
        let stage = stage?;
        fs::copy(stage.path(), to.join("stages").join(stage.file_name()))?;
    }
    Ok(())
}

/// Changes a copy of the data, then runs both ways, each first at every other turn.
fn pair(
    args: &IncrementalArgs,
    programs: &Programs,
    case: &Case,
    first: &First,
    shape: Shape,
    turn: usize,
) -> Outcome<(Pair, usize)> {
    let folder = tempfile::tempdir_in(first.home.parent().unwrap_or(Path::new(".")))?;
    let full_home = folder.path().join("full");
    lake::put(&first.home, &case.home)?;
    lake::put(&first.data, &case.data)?;
    let changed = case.change(&case.data, shape, args.per_mille)?;
    let pipeline = case.pipeline(&case.data);
    let run = |home: &Path| programs.run_at(&pipeline, home, folder.path());
    let (incremental, full) = if turn.is_multiple_of(2) {
        let incremental = run(&case.home)?;
        (incremental, run(&full_home)?)
    } else {
        let full = run(&full_home)?;
        (run(&case.home)?, full)
    };
    eprintln!("{} {}: incremental {:.2} s, full {:.2} s", case.name, shape.name(), incremental.wall, full.wall);
    let different = block_on(lake::different_tables(&case.home, &full_home))?;
    if !different.is_empty() {
        return Err(format!("the tables differ: {}", different.join(", ")).into());
    }
    let how = match &incremental.run_id {
        Some(run_id) => strategies(&case.home, run_id)?,
        None => Vec::new(),
    };
    Ok((Pair { incremental, full, how }, changed))
}

fn totals(pairs: &[Pair]) -> Table {
    const MIB: f64 = 1024.0 * 1024.0;
    let mut table = Table::new(&["", "incremental", "full", "full / incremental, pair by pair"]);
    let mut line = |name: &str, digits, number: &dyn Fn(&Sample) -> f64| {
        let incremental = Spread::of(pairs.iter().map(|pair| number(&pair.incremental))).show(digits);
        let full = Spread::of(pairs.iter().map(|pair| number(&pair.full))).show(digits);
        let ratio = Spread::of(pairs.iter().map(|pair| number(&pair.full) / number(&pair.incremental)));
        table.row([name.to_owned(), incremental, full, ratio.show(2)]);
    };
    line("wall, s", 2, &|sample| sample.wall);
    line("processor, s", 2, &|sample| sample.cpu);
    line("peak memory, MiB", 0, &|sample| sample.peak as f64 / MIB);
    table
}

fn stages(pairs: &[Pair]) -> Table {
    let mut table = Table::new(&["stage", "how", "incremental, s", "full, s", "rows written", "rows of a full run"]);
    let Some(first) = pairs.first() else { return table };
    for sample in &first.full.stages {
        let name = &sample.stage;
        let of = |sample: &Sample| sample.stages.iter().find(|stage| stage.stage == *name).cloned();
        let seconds = |side: fn(&Pair) -> &Sample| {
            let seconds = pairs.iter().filter_map(|pair| of(side(pair))).map(|stage| stage.seconds);
            Spread::of(seconds).show(2)
        };
        let rows =
            |sample: &Sample| of(sample).and_then(|stage| stage.rows).map_or("–".to_owned(), |rows| rows.to_string());
        let how = first.how.iter().find(|(stage, _)| stage == name).map_or("–", |(_, how)| how.as_str());
        table.row([
            name.clone(),
            how.to_owned(),
            seconds(|pair| &pair.incremental),
            seconds(|pair| &pair.full),
            rows(&first.incremental),
            rows(&first.full),
        ]);
    }
    table
}

/// The outcome of something that waits.
pub(crate) fn block_on<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    tokio::runtime::Runtime::new()?.block_on(work)
}
