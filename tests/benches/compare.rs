//! `windlass-bench compare`: runs both sides alternately, and prints a report.

use std::path::{Path, PathBuf};

use clap::Args;
use windlass_client::Project;
use windlass_project::spec::source::SourceKind;

use super::pipeline::{Pipeline, Programs, Sample, Side, StageSample, work_folder};
use super::plain::Engine;
use super::summary::{Spread, Table};
use super::trivial::{Shape, project};
use super::{Outcome, machine};

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The command; by default the one next to this program.
    #[arg(long)]
    windlass: Option<PathBuf>,
    /// Where the example projects are.
    #[arg(long, default_value = "examples")]
    examples: PathBuf,
    /// The project of the 22 queries of TPC-H.
    #[arg(long, default_value = "tests/benches/tpch_queries")]
    queries: PathBuf,
    /// Run the TPC-H pipeline, and the 22 queries of TPC-H, over the tables in this folder.
    #[arg(long)]
    tpch: Option<PathBuf>,
    /// Run the code_graph pipeline over the source code in this folder.
    #[arg(long)]
    code: Option<PathBuf>,
    /// Stages of the trivial projects; below 2 they are omitted.
    #[arg(long, default_value_t = 20)]
    trivial: usize,
    /// Runs of each side that count.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Runs of each side before that, which do not count.
    #[arg(long, default_value_t = 1)]
    warmups: usize,
    /// The engine settings of the baseline.
    #[arg(long, value_enum, default_value_t)]
    engine: Engine,
    /// Where the runs write; a folder inside is made and removed again.
    #[arg(long)]
    work: Option<PathBuf>,
}

pub(crate) fn run(args: &CompareArgs) -> Outcome {
    if args.runs == 0 {
        return Err("`--runs` must be at least 1".into());
    }
    let programs = Programs::find(args.windlass.as_deref(), args.engine)?;
    let work = work_folder(args.work.as_deref())?;
    println!("{}- base line: engine settings `{}`\n", machine::describe(), args.engine.name());
    let mut differing = Vec::new();
    for pipeline in pipelines(args)? {
        let pairs = pairs(args, &programs, &pipeline, work.path())?;
        println!("### {}\n\n{}\n{}", pipeline.name, totals(&pairs), stages(&pairs));
        println!("Geometric mean of the stages' ratios: {:.2}\n", geometric_mean(&pairs));
        differing.extend(different_rows(&pairs).into_iter().map(|stage| format!("{} / {stage}", pipeline.name)));
    }
    if args.trivial >= 2 {
        println!("### fixed cost of a stage\n\n{}", trivial(args, &programs, work.path())?);
    }
    if differing.is_empty() {
        return Ok(());
    }
    Err(format!("the sides wrote different numbers of rows: {}", differing.join(", ")).into())
}

fn pipelines(args: &CompareArgs) -> Outcome<Vec<Pipeline>> {
    let mut pipelines = Vec::new();
    if let Some(code) = &args.code {
        let is_code = |kind: &SourceKind| matches!(kind, SourceKind::TextFiles(_));
        pipelines.push(pipeline(&args.examples.join("code_graph"), "code_graph", is_code, |_| code.clone())?);
    }
    if let Some(data) = &args.tpch {
        let place = |source: &str| data.join(source);
        pipelines.push(pipeline(&args.examples.join("tpch"), "tpch", |_| true, place)?);
        pipelines.push(pipeline(&args.queries, "the queries of TPC-H", |_| true, place)?);
    }
    Ok(pipelines)
}

/// The project in a folder; the sources that are `moved` are where `place` says.
fn pipeline(
    project: &Path,
    name: &str,
    moved: impl Fn(&SourceKind) -> bool,
    place: impl Fn(&str) -> PathBuf,
) -> Outcome<Pipeline> {
    let graph = Project::open(project, None, &[])?.graph;
    let mut sources = Vec::new();
    for (source, _) in graph.sources.iter().filter(|(_, spec)| moved(&spec.kind)) {
        let location = place(source.as_str());
        if !location.exists() {
            return Err(format!("`{}` is not there", location.display()).into());
        }
        sources.push((source.to_string(), location.display().to_string()));
    }
    Ok(Pipeline { name: name.to_owned(), project: project.to_owned(), sources })
}

/// One run of each side.
struct Pair {
    windlass: Sample,
    plain: Sample,
}

impl Pair {
    fn side(&self, side: Side) -> &Sample {
        match side {
            Side::Windlass => &self.windlass,
            Side::Plain => &self.plain,
        }
    }

    /// Runs both sides, `first` before the other, so that neither always finds the machine as the other left it.
    fn run(programs: &Programs, first: Side, pipeline: &Pipeline, work: &Path) -> Outcome<Self> {
        let run = |side| programs.run(side, pipeline, work);
        Ok(match first {
            Side::Windlass => {
                let windlass = run(Side::Windlass)?;
                Self { windlass, plain: run(Side::Plain)? }
            }
            Side::Plain => {
                let plain = run(Side::Plain)?;
                Self { windlass: run(Side::Windlass)?, plain }
            }
        })
    }
}

fn first(turn: usize) -> Side {
    if turn.is_multiple_of(2) { Side::Windlass } else { Side::Plain }
}

fn pairs(args: &CompareArgs, programs: &Programs, pipeline: &Pipeline, work: &Path) -> Outcome<Vec<Pair>> {
    let mut pairs = Vec::with_capacity(args.runs);
    for turn in 0..args.warmups + args.runs {
        let pair = Pair::run(programs, first(turn), pipeline, work)?;
        let note = if turn < args.warmups { " (warm-up)" } else { "" };
        let (windlass, plain) = (pair.windlass.wall, pair.plain.wall);
        eprintln!("{}: windlass {windlass:.2} s, plain {plain:.2} s{note}", pipeline.name);
        if turn >= args.warmups {
            pairs.push(pair);
        }
    }
    Ok(pairs)
}

fn totals(pairs: &[Pair]) -> Table {
    const MIB: f64 = 1024.0 * 1024.0;
    let mut table = Table::new(&["", "Windlass", "plain", "ratio, pair by pair"]);
    let mut line = |name: &str, digits, number: &dyn Fn(&Sample) -> f64| {
        let side = |side| Spread::of(pairs.iter().map(|pair| number(pair.side(side)))).show(digits);
        let ratio = Spread::of(pairs.iter().map(|pair| number(&pair.windlass) / number(&pair.plain)));
        table.row([name.to_owned(), side(Side::Windlass), side(Side::Plain), ratio.show(2)]);
    };
    line("wall, s", 2, &|sample| sample.wall);
    line("processor, s", 2, &|sample| sample.cpu);
    line("peak memory, MiB", 0, &|sample| sample.peak as f64 / MIB);
    table
}

/// The median seconds of a stage on either side.
fn seconds(pairs: &[Pair], stage: &str, side: Side) -> Spread {
    let samples = pairs.iter().filter_map(|pair| find(pair.side(side), stage));
    Spread::of(samples.map(|sample| sample.seconds))
}

/// Of the ratios of medians of all stages that write rows on both sides.
fn geometric_mean(pairs: &[Pair]) -> f64 {
    let ratio = |stage: String| {
        pairs.iter().find_map(|pair| find(&pair.plain, &stage)?.rows)?;
        let median = |side| seconds(pairs, &stage, side).median();
        Some(median(Side::Windlass)? / median(Side::Plain)?)
    };
    let logarithms: Vec<f64> = stage_names(pairs).into_iter().filter_map(ratio).map(f64::ln).collect();
    (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp()
}

fn stages(pairs: &[Pair]) -> Table {
    let mut table = Table::new(&["stage", "rows", "Windlass, s", "plain, s", "ratio of medians"]);
    for stage in stage_names(pairs) {
        let (windlass, plain) = (seconds(pairs, &stage, Side::Windlass), seconds(pairs, &stage, Side::Plain));
        let rows = pairs.iter().find_map(|pair| find(&pair.plain, &stage)?.rows);
        let ratio = windlass.median().zip(plain.median()).filter(|_| rows.is_some());
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        table.row([
            stage.clone(),
            or_dash(rows.map(|rows| rows.to_string())),
            windlass.show(2),
            plain.show(2),
            or_dash(ratio.map(|(windlass, plain)| format!("{:.2}", windlass / plain))),
        ]);
    }
    table
}

/// The stages of the first pair: those of the baseline in order, then others.
fn stage_names(pairs: &[Pair]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for pair in pairs.iter().take(1) {
        for sample in pair.plain.stages.iter().chain(&pair.windlass.stages) {
            if !names.contains(&sample.stage) {
                names.push(sample.stage.clone());
            }
        }
    }
    names
}

fn find<'s>(sample: &'s Sample, stage: &str) -> Option<&'s StageSample> {
    sample.stages.iter().find(|sample| sample.stage == stage)
}

/// The stages for which both sides report different row counts.
fn different_rows(pairs: &[Pair]) -> Vec<String> {
    let rows = |sample: &Sample, stage: &str| find(sample, stage).and_then(|sample| sample.rows);
    let differs = |pair: &Pair, stage: &str| {
        rows(&pair.windlass, stage).zip(rows(&pair.plain, stage)).is_some_and(|(windlass, plain)| windlass != plain)
    };
    stage_names(pairs).into_iter().filter(|stage| pairs.iter().any(|pair| differs(pair, stage))).collect()
}

fn trivial(args: &CompareArgs, programs: &Programs, work: &Path) -> Outcome<Table> {
    let mut table = Table::new(&[
        "a stage",
        "Windlass, ms a stage",
        "plain, ms a stage",
        "Windlass, s for one",
        "plain, s for one",
    ]);
    for shape in Shape::ALL {
        let (one, many) = (project(shape, 1, work)?, project(shape, args.trivial, work)?);
        let ones = pairs(args, programs, &one, work)?;
        let manies = pairs(args, programs, &many, work)?;
        let wall = |pair: &Pair, side| pair.side(side).wall;
        let slope = |side| {
            let both = ones.iter().zip(&manies);
            Spread::of(
                both.map(|(one, many)| (wall(many, side) - wall(one, side)) * 1000.0 / (args.trivial - 1) as f64),
            )
        };
        let start = |side| Spread::of(ones.iter().map(|pair| wall(pair, side)));
        table.row([
            shape.name().to_owned(),
            slope(Side::Windlass).show(1),
            slope(Side::Plain).show(1),
            start(Side::Windlass).show(2),
            start(Side::Plain).show(2),
        ]);
    }
    Ok(table)
}
