//! `windlass-bench upsert`: a keyed stage's distributed upsert against deltalake's single-process merge, on equal tables.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use datafusion::dataframe::DataFrameWriteOptions;

use super::change::{Shape, greatest, update};
use super::incremental::block_on;
use super::lake::{self, open, provider, session};
use super::measure::{measure, settle};
use super::pipeline::{Pipeline, Programs, work_folder};
use super::plain::Engine;
use super::summary::{Spread, Table};
use super::{Outcome, machine};

/// What identifies a line.
const KEY: &str = "l_orderkey,l_linenumber";

#[derive(Debug, Args)]
pub(crate) struct UpsertArgs {
    /// The command; by default the one next to this program.
    #[arg(long)]
    windlass: Option<PathBuf>,
    /// The folder of TPC-H's Parquet files; only `lineitem` is used.
    #[arg(long)]
    tpch: PathBuf,
    /// How many of a thousand rows change.
    #[arg(long, default_value_t = 10)]
    per_mille: u32,
    /// Where the changed rows are.
    #[arg(long, value_enum, default_value_t = Shape::Scattered)]
    shape: Shape,
    /// Ways in which the stage is written.
    #[arg(long, value_delimiter = ',', default_value = "rewrite,deletion_vectors")]
    merge: Vec<String>,
    /// Runs of each side.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Where everything is written; a folder inside is made and removed again.
    #[arg(long)]
    work: Option<PathBuf>,
}

/// What one upsert took.
struct Taken {
    wall: f64,
    cpu: f64,
    peak: u64,
}

pub(crate) fn run(args: &UpsertArgs) -> Outcome {
    if args.runs == 0 {
        return Err("`--runs` must be at least 1".into());
    }
    let programs = Programs::find(args.windlass.as_deref(), Engine::Stock)?;
    let work = work_folder(args.work.as_deref())?;
    let work = work.path();
    let source = work.join("lineitem");
    eprintln!("making the source");
    block_on(lake::make(&args.tpch.join("lineitem"), &source))?;
    let mut homes = Vec::new();
    for merge in &args.merge {
        eprintln!("the first run, {merge}");
        let pipeline = project(merge, &source, work)?;
        let home = work.join(format!("home_{merge}"));
        programs.run_at(&pipeline, &home, work)?;
        // Every run starts from a copy of the state that the first one left, in the same place.
        let first = home.with_extension("first");
        fs::rename(&home, &first)?;
        homes.push((merge.clone(), pipeline, home, first));
    }
    let Some((.., first)) = homes.first() else { return Err("`--merge` names no way".into()) };
    // deltalake merges into the table that a first run wrote.
    let before = work.join("before");
    lake::copy(&first.join("tables/lines"), &before)?;
    eprintln!("changing the source");
    let changes = work.join("changes");
    let changed = block_on(change(&source, args, &changes))?;

    let mut taken: Vec<(String, Vec<Taken>)> = homes.iter().map(|(merge, ..)| (merge.clone(), Vec::new())).collect();
    let mut merged = Vec::new();
    for _ in 0..args.runs {
        merged.push(deltalake(&programs.plain, &before, &changes, work)?);
        for ((_, taken), (merge, pipeline, home, first)) in taken.iter_mut().zip(&homes) {
            lake::put(first, home)?;
            let sample = programs.run_at(pipeline, home, work)?;
            eprintln!("windlass, {merge}: {:.2} s", sample.wall);
            if block_on(lake::checksum(&home.join("tables/lines")))? != block_on(lake::checksum(&source))? {
                return Err(format!("the table that `{merge}` wrote differs from its source").into());
            }
            taken.push(Taken { wall: sample.wall, cpu: sample.cpu, peak: sample.peak });
        }
    }
    println!("{}- changed: {changed} rows, {}\n", machine::describe(), args.shape.name());
    println!("### upsert\n\n{}", report(&taken, &merged));
    Ok(())
}

/// A project of one keyed stage that is its source.
fn project(merge: &str, source: &Path, work: &Path) -> Outcome<Pipeline> {
    let project = work.join(format!("project_{merge}"));
    fs::create_dir_all(project.join("stages"))?;
    let manifest = "name: upsert\nsources:\n  lineitem: { kind: delta, location: lineitem }\n";
    fs::write(project.join("windlass.yaml"), manifest)?;
    let key = KEY.replace(',', ", ");
    let header = format!("/* windlass\nio: {{ key: [{key}], incremental: strict, merge: {merge} }}\n*/\n");
    fs::write(project.join("stages/lines.sql"), header + "SELECT * FROM lineitem\n")?;
    let sources = vec![("lineitem".to_owned(), source.display().to_string())];
    Ok(Pipeline { name: merge.to_owned(), project, sources })
}

/// Changes the source, and writes its current rows to Parquet files. Returns their number.
async fn change(source: &Path, args: &UpsertArgs, changes: &Path) -> Outcome<usize> {
    let most = greatest(source, "l_orderkey").await?;
    let predicate = args.shape.predicate("l_orderkey", most, args.per_mille);
    let changed = update(source, &predicate, &[("l_quantity", "l_quantity + 1")]).await?;
    let ctx = session();
    ctx.register_table("lineitem", provider(&ctx, &open(source).await?).await?)?;
    let rows = ctx.sql(&format!("SELECT * FROM lineitem WHERE {predicate}")).await?;
    let folder = changes.to_str().ok_or("the folder's name is not UTF-8")?;
    rows.write_parquet(&format!("{folder}/"), DataFrameWriteOptions::new(), None).await?;
    Ok(changed)
}

/// The same changes merged into a copy of the table by deltalake, in a separate process.
fn deltalake(program: &Path, before: &Path, changes: &Path, work: &Path) -> Outcome<Taken> {
    let folder = tempfile::tempdir_in(work)?;
    let target = folder.path().join("table");
    lake::copy(before, &target)?;
    settle()?;
    let mut command = Command::new(program);
    command.args([OsStr::new("merge"), OsStr::new("--target"), target.as_os_str()]);
    command.args([OsStr::new("--changes"), changes.as_os_str(), OsStr::new("--key"), OsStr::new(KEY)]);
    let measured = measure(command, folder.path())?;
    eprintln!("deltalake: {:.2} s, {} rows", measured.wall, measured.stdout.trim());
    Ok(Taken { wall: measured.wall, cpu: measured.cpu, peak: measured.peak })
}

fn report(taken: &[(String, Vec<Taken>)], merged: &[Taken]) -> Table {
    const MIB: f64 = 1024.0 * 1024.0;
    let mut table = Table::new(&["", "wall, s", "wall / deltalake's", "processor, s", "peak memory, MiB"]);
    let mut row = |name: String, of: &[Taken]| {
        let ratio = Spread::of(of.iter().zip(merged).map(|(ours, theirs)| ours.wall / theirs.wall));
        table.row([
            name,
            Spread::of(of.iter().map(|taken| taken.wall)).show(2),
            ratio.show(2),
            Spread::of(of.iter().map(|taken| taken.cpu)).show(2),
            Spread::of(of.iter().map(|taken| taken.peak as f64 / MIB)).show(0),
        ]);
    };
    row("deltalake's merge".to_owned(), merged);
    for (merge, taken) in taken {
        row(format!("Windlass, `merge: {merge}`"), taken);
    }
    table
}
