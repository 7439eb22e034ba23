//! `windlass-bench maintain`: compaction and Z-order of Windlass against deltalake's own, on equal tables, and what the
//! layouts are worth to queries.

use std::ffi::OsStr;
use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionContext;
use deltalake::operations::optimize::OptimizeType;

use super::change::greatest;
use super::incremental::block_on;
use super::lake::{self, open, provider, session};
use super::measure::{Measured, measure, settle};
use super::pipeline::{Pipeline, Programs, work_folder};
use super::plain::Engine;
use super::summary::{Spread, Table};
use super::{Outcome, machine};

/// What rows are laid out by.
const COLUMNS: &[&str] = &["l_shipdate", "l_partkey"];

/// Queries of a kind.
const QUERIES: i64 = 5;

/// The tables that are asked, as the report names them.
const LAYOUTS: [&str; 3] = ["before", "Windlass", "deltalake"];

#[derive(Debug, Args)]
pub(crate) struct MaintainArgs {
    /// The command; by default the one next to this program.
    #[arg(long)]
    windlass: Option<PathBuf>,
    /// The folder of TPC-H's Parquet files; only `lineitem` is used.
    #[arg(long)]
    tpch: PathBuf,
    /// The size of the files that the table is first written as, in KiB.
    #[arg(long, default_value_t = 1024)]
    small_kib: u64,
    /// The size that files should have afterwards, in KiB.
    #[arg(long, default_value_t = 16 * 1024)]
    target_kib: u64,
    /// Runs of each side, and rounds of the queries.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Where everything is written; a folder inside is made and removed again.
    #[arg(long)]
    work: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct OptimizeArgs {
    /// The table's folder.
    #[arg(long)]
    table: PathBuf,
    /// The size that files should have, in KiB.
    #[arg(long)]
    target_kib: u64,
    /// Columns to lay rows out by; without any, small files are written together.
    #[arg(long, value_delimiter = ',')]
    zorder: Vec<String>,
}

/// What is done to the table.
struct Action {
    /// Its name on the command line.
    name: &'static str,
    /// The project whose policy asks for it.
    pipeline: Pipeline,
    /// The columns to lay rows out by.
    zorder: &'static [&'static str],
}

/// What one side took for an action, and how many files it left.
struct Taken {
    measured: Measured,
    files: usize,
}

/// A pair of runs.
struct Pair {
    ours: Taken,
    theirs: Taken,
}

/// The table of small files that every run starts from, and where the two sides work on copies of it.
struct Bench<'w> {
    programs: Programs,
    work: &'w Path,
    target_kib: u64,
    /// The home that the run left.
    first: PathBuf,
    /// Where the run left it, and Windlass's copies go.
    home: PathBuf,
    /// Where deltalake's copies of the table go.
    copy: PathBuf,
    files: usize,
    checksum: String,
}

pub(crate) fn run(args: &MaintainArgs) -> Outcome {
    if args.runs == 0 {
        return Err("`--runs` must be at least 1".into());
    }
    let work = work_folder(args.work.as_deref())?;
    let work = work.path();
    let mut actions = Vec::new();
    for (name, zorder) in [("compact", &[] as &[&str]), ("zorder", COLUMNS)] {
        actions.push(Action { name, pipeline: project(name, zorder, args, work)?, zorder });
    }
    let first = actions.first().ok_or("there is nothing to do")?;
    let bench = Bench::prepare(args, &first.pipeline, work)?;
    let mut tables = Vec::new();
    for action in &actions {
        let pairs = (0..args.runs).map(|turn| bench.pair(action, turn)).collect::<Outcome<Vec<Pair>>>()?;
        tables.push(report(action, bench.files, &pairs));
    }
    // What the last runs left is laid out.
    let layouts = [table_of(&bench.first), table_of(&bench.home), bench.copy.clone()];
    let asked = block_on(ask_all(&layouts, args.runs))?;
    println!("{}- files: {} KiB, then {} KiB\n", machine::describe(), args.small_kib, args.target_kib);
    for (action, table) in actions.iter().zip(&tables) {
        println!("### {}\n\n{table}", action.name);
    }
    println!("### queries\n\n{asked}");
    Ok(())
}

/// deltalake's own operation as a process.
pub(crate) fn optimize(args: &OptimizeArgs) -> Outcome {
    block_on(async {
        let kind = match args.zorder.is_empty() {
            true => OptimizeType::Compact,
            false => OptimizeType::ZOrder(args.zorder.clone()),
        };
        let target =
            NonZeroU64::new(args.target_kib.saturating_mul(1024)).ok_or("`--target-kib` must be at least 1")?;
        // As Windlass compresses, and everything else as deltalake does by itself.
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let table = open(&args.table).await?;
        let optimized = table.optimize().with_type(kind).with_target_size(target).with_writer_properties(properties);
        let (_, metrics) = optimized.await?;
        println!("{} files became {}", metrics.num_files_removed, metrics.num_files_added);
        Ok(())
    })
}

/// A project of one stage that writes its source as small files, with a policy for its table.
fn project(name: &str, zorder: &[&str], args: &MaintainArgs, work: &Path) -> Outcome<Pipeline> {
    let project = work.join(format!("project_{name}"));
    fs::create_dir_all(project.join("stages"))?;
    // The same name: both projects maintain the table that one of them has written.
    let manifest = "name: maintain\nsources:\n  lineitem: { kind: listing, format: parquet, location: lineitem }\n";
    fs::write(project.join("windlass.yaml"), manifest)?;
    let stage = format!(
        "/* windlass\nio:\n  target_file_size: {}KiB\n  maintenance:\n    optimize: {{ target_file_size: {}KiB, \
         small_files: 1, zorder: [{}] }}\n*/\nSELECT * FROM lineitem\n",
        args.small_kib,
        args.target_kib,
        zorder.join(", "),
    );
    fs::write(project.join("stages/lines.sql"), stage)?;
    let lineitem = std::path::absolute(args.tpch.join("lineitem"))?;
    let sources = vec![("lineitem".to_owned(), lineitem.display().to_string())];
    Ok(Pipeline { name: name.to_owned(), project, sources })
}

/// The stage's table in a home.
fn table_of(home: &Path) -> PathBuf {
    home.join("tables/lines")
}

/// The number of a table's files.
async fn files(table: &Path) -> Outcome<usize> {
    Ok(open(table).await?.snapshot()?.log_data().num_files())
}

impl<'w> Bench<'w> {
    fn prepare(args: &MaintainArgs, pipeline: &Pipeline, work: &'w Path) -> Outcome<Self> {
        let programs = Programs::find(args.windlass.as_deref(), Engine::Stock)?;
        eprintln!("writing the table");
        let home = work.join("home");
        programs.run_at(pipeline, &home, work)?;
        // Every run starts from a copy of the state that the first one left, in the same place.
        let first = work.join("first");
        fs::rename(&home, &first)?;
        let table = table_of(&first);
        let (files, checksum) = (block_on(files(&table))?, block_on(lake::checksum(&table))?);
        let copy = work.join("copy");
        Ok(Self { programs, work, target_kib: args.target_kib, first, home, copy, files, checksum })
    }

    /// Both sides, in an order that changes with every turn.
    fn pair(&self, action: &Action, turn: usize) -> Outcome<Pair> {
        if turn.is_multiple_of(2) {
            let theirs = self.deltalake(action)?;
            Ok(Pair { ours: self.windlass(action)?, theirs })
        } else {
            let ours = self.windlass(action)?;
            Ok(Pair { ours, theirs: self.deltalake(action)? })
        }
    }

    fn windlass(&self, action: &Action) -> Outcome<Taken> {
        lake::put(&self.first, &self.home)?;
        settle()?;
        let mut command = Command::new(&self.programs.windlass);
        command.args([OsStr::new("--project"), action.pipeline.project.as_os_str(), OsStr::new("maintain")]);
        command.args([OsStr::new("--home"), self.home.as_os_str(), OsStr::new("--only"), OsStr::new(action.name)]);
        for (name, location) in &action.pipeline.sources {
            command.arg("--source").arg(format!("{name}={location}"));
        }
        let measured = measure(command, self.work)?;
        self.taken("windlass", action, &table_of(&self.home), measured)
    }

    fn deltalake(&self, action: &Action) -> Outcome<Taken> {
        lake::put(&table_of(&self.first), &self.copy)?;
        settle()?;
        let mut command = Command::new(&self.programs.plain);
        command.args([OsStr::new("optimize"), OsStr::new("--table"), self.copy.as_os_str()]);
        command.arg("--target-kib").arg(self.target_kib.to_string());
        if !action.zorder.is_empty() {
            command.arg("--zorder").arg(action.zorder.join(","));
        }
        let measured = measure(command, self.work)?;
        self.taken("deltalake", action, &self.copy, measured)
    }

    /// What a side took, once it is certain that it did something and that the rows are the same.
    fn taken(&self, side: &str, action: &Action, table: &Path, measured: Measured) -> Outcome<Taken> {
        let files = block_on(files(table))?;
        eprintln!("{side}, {}: {:.2} s, {} files became {files}", action.name, measured.wall, self.files);
        if files >= self.files {
            return Err(format!(
                "`{}` of {side} left {files} files of {}; choose a smaller `--small-kib` or a larger \
                 `--target-kib`",
                action.name, self.files
            )
            .into());
        }
        if block_on(lake::checksum(table))? != self.checksum {
            return Err(format!("`{}` of {side} has changed the rows of the table", action.name).into());
        }
        Ok(Taken { measured, files })
    }
}

fn report(action: &Action, before: usize, pairs: &[Pair]) -> Table {
    const MIB: f64 = 1024.0 * 1024.0;
    let mut table = Table::new(&[
        "",
        "wall, s",
        "wall / deltalake's",
        "processor, s",
        "peak memory, MiB",
        "files before",
        "files after",
    ]);
    let mut row = |name: String, side: &dyn Fn(&Pair) -> &Taken| {
        let of = |number: &dyn Fn(&Taken) -> f64| Spread::of(pairs.iter().map(|pair| number(side(pair))));
        let ratio = pairs.iter().map(|pair| side(pair).measured.wall / pair.theirs.measured.wall);
        table.row([
            name,
            of(&|taken| taken.measured.wall).show(2),
            Spread::of(ratio).show(2),
            of(&|taken| taken.measured.cpu).show(2),
            of(&|taken| taken.measured.peak as f64 / MIB).show(0),
            before.to_string(),
            of(&|taken| taken.files as f64).show(0),
        ]);
    };
    row("deltalake's optimize".to_owned(), &|pair| &pair.theirs);
    row(format!("Windlass, `--only {}`", action.name), &|pair| &pair.ours);
    table
}

/// Queries that differ only in the values that they look for.
struct Kind {
    name: &'static str,
    predicates: Vec<String>,
}

/// Points and ranges of both columns, spread over their values.
fn kinds(parts: i64) -> [Kind; 4] {
    // The lines of TPC-H were shipped from 1992 to 1998, at any scale factor.
    let kind =
        |name, predicate: &dyn Fn(i64) -> String| Kind { name, predicates: (0..QUERIES).map(predicate).collect() };
    let part = |index: i64| parts * (2 * index + 1) / (2 * QUERIES);
    [
        kind("a day of `l_shipdate`", &|index| format!("l_shipdate = DATE '{}-0{}-15'", 1993 + index, 2 + index)),
        kind("a week of `l_shipdate`", &|index| {
            let (year, day) = (1993 + index, 11 + index);
            format!("l_shipdate >= DATE '{year}-09-{day}' AND l_shipdate < DATE '{year}-09-{}'", day + 7)
        }),
        kind("one `l_partkey`", &|index| format!("l_partkey = {}", part(index))),
        kind("a thousandth of `l_partkey`", &|index| {
            let first = part(index);
            format!("l_partkey >= {first} AND l_partkey < {}", first + (parts / 1000).max(1))
        }),
    ]
}

/// What a query gave, and what it took.
struct Answer {
    rows: String,
    files: usize,
    seconds: f64,
}

/// Asks all tables the same, by turns. A first round does not count.
async fn ask_all(layouts: &[PathBuf; 3], rounds: usize) -> Outcome<Table> {
    let kinds = kinds(greatest(&layouts[0], "l_partkey").await?);
    let mut sessions = Vec::new();
    for folder in layouts {
        let ctx = session();
        ctx.register_table("t", provider(&ctx, &open(folder).await?).await?)?;
        sessions.push(ctx);
    }
    let columns = ["files read", "ms"].iter().flat_map(|what| LAYOUTS.map(|layout| format!("{what}, {layout}")));
    let columns: Vec<String> = columns.collect();
    let head: Vec<&str> = std::iter::once("a query for").chain(columns.iter().map(String::as_str)).collect();
    let mut table = Table::new(&head);
    for kind in &kinds {
        let mut files = [0; LAYOUTS.len()];
        let mut seconds: [Vec<f64>; LAYOUTS.len()] = Default::default();
        for round in 0..=rounds {
            let mut sums = [0.0; LAYOUTS.len()];
            files = [0; LAYOUTS.len()];
            for predicate in &kind.predicates {
                let mut rows: Option<String> = None;
                for (index, ctx) in sessions.iter().enumerate() {
                    let answer = ask(ctx, predicate).await?;
                    if rows.get_or_insert_with(|| answer.rows.clone()) != &answer.rows {
                        return Err(format!("the tables differ where {predicate}").into());
                    }
                    files[index] += answer.files;
                    sums[index] += answer.seconds;
                }
            }
            if round > 0 {
                seconds.iter_mut().zip(sums).for_each(|(seconds, sum)| seconds.push(sum));
            }
        }
        let a_query = |sum: f64| sum / QUERIES as f64;
        let scanned = files.iter().map(|files| format!("{:.1}", a_query(*files as f64)));
        let times = seconds.iter().map(|all| Spread::of(all.iter().map(|sum| a_query(*sum) * 1000.0)).show(1));
        table.row(std::iter::once(kind.name.to_owned()).chain(scanned).chain(times));
    }
    Ok(table)
}

/// Asks one table.
async fn ask(ctx: &SessionContext, predicate: &str) -> Outcome<Answer> {
    let started = Instant::now();
    let frame = ctx.sql(&format!("SELECT count(*), sum(l_extendedprice) FROM t WHERE {predicate}")).await?;
    let task = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await?;
    let rows = collect(Arc::clone(&plan), task).await?;
    let seconds = started.elapsed().as_secs_f64();
    let files = scanned(plan.as_ref()).ok_or("the plan does not tell how many files it has read")?;
    Ok(Answer { rows: pretty_format_batches(&rows)?.to_string(), files, seconds })
}

/// The files that the scans of a plan have read; none if no scan tells.
fn scanned(plan: &dyn ExecutionPlan) -> Option<usize> {
    let own = plan.metrics().and_then(|metrics| metrics.sum_by_name("count_files_scanned"));
    let below = plan.children().into_iter().filter_map(|child| scanned(child.as_ref()));
    own.map(|files| files.as_usize()).into_iter().chain(below).reduce(|one, other| one + other)
}
