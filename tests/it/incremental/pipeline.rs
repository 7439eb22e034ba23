//! A generated project: its sources, and stages that read them and each other.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use windlass_client::Project;

use super::INCREMENTAL;
use super::relation::{Column, Draw, Kind, MAX_ROWS, Relation};
use super::source::{Source, items, links, notes, teams};
use super::templates::TEMPLATES;

/// What a stage asks for with `incremental`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Off,
    Auto,
    Strict,
}

/// A generated stage.
#[derive(Debug, Clone)]
pub(super) struct StageDef {
    pub(super) name: String,
    /// The template that its query comes from.
    pub(super) template: &'static str,
    sql: String,
    columns: Vec<Column>,
    pub(super) key: Vec<String>,
    partition_by: Vec<String>,
    pub(super) wish: Wish,
    pub(super) merge: &'static str,
    pub(super) view: bool,
    /// The condition with which its definition was narrowed after it had run.
    narrowed: Option<String>,
}

/// A generated project on disk.
pub(super) struct Pipeline {
    pub(super) dir: PathBuf,
    pub(super) sources: Vec<Source>,
    pub(super) stages: Vec<StageDef>,
    name: String,
    seed: u64,
    partitions: usize,
    /// Whether its sources hold -0.0 and NaN.
    pub(super) odd_floats: bool,
}

impl StageDef {
    /// A stage with a row for each file of a source: the only kind whose rows are replaced file by file, which the templates
    /// rarely lead to.
    fn of_files(name: String, files: &Relation) -> Self {
        Self {
            name,
            template: "project",
            sql: format!("SELECT a.path AS k1, a.size AS v1 FROM {} AS a", files.name),
            columns: vec![Column::new("k1", Kind::Text, false), Column::new("v1", Kind::Int, true)],
            key: vec!["k1".to_owned()],
            partition_by: Vec::new(),
            wish: Wish::Strict,
            merge: "auto",
            view: false,
            narrowed: None,
        }
    }

    /// Its query.
    pub(super) fn sql(&self) -> String {
        match &self.narrowed {
            Some(condition) => format!("SELECT * FROM (\n{}\n) AS w WHERE {condition}", self.sql),
            None => self.sql.clone(),
        }
    }

    /// Its file.
    fn text(&self) -> String {
        if self.view {
            return format!("/* windlass\nmaterialize: view\n*/\n{}\n", self.sql());
        }
        let mut io = format!("location: tables/{}, key: [{}]", self.name, self.key.join(", "));
        if !self.partition_by.is_empty() {
            write!(io, ", partition_by: [{}]", self.partition_by.join(", ")).unwrap();
        }
        if INCREMENTAL {
            match self.wish {
                Wish::Off => {}
                Wish::Auto => io.push_str(", incremental: auto"),
                Wish::Strict => io.push_str(", incremental: strict"),
            }
            if self.wish != Wish::Off {
                write!(io, ", merge: {}", self.merge).unwrap();
            }
        }
        format!("/* windlass\nio: {{ {io} }}\n*/\n{}\n", self.sql())
    }

    /// A condition that omits some of its rows, written so that a change of it may be late in a long list.
    fn narrowing(&self, random: &mut StdRng) -> String {
        let column = self.columns.iter().find(|column| column.name == self.key[0]).unwrap();
        let (name, last) = (&column.name, column.kind.literal(random));
        let others: Vec<String> = (0..7)
            .map(|n| match column.kind {
                Kind::Int => format!("{}", 500 + n),
                Kind::Day => format!("DATE '1990-01-0{}'", n + 1),
                _ => format!("'none {n}'"),
            })
            .collect();
        match random.random_range(0..3) {
            0 => format!("w.{name} <> {last}"),
            1 => format!("w.{name} NOT IN ({}, {last})", others.join(", ")),
            _ => format!(
                "NOT EXISTS (SELECT 1 FROM (VALUES ({}), ({last})) AS listed (item) WHERE listed.item = w.{name})",
                others.join("), (")
            ),
        }
    }

    /// A condition that some of its rows probably satisfy.
    pub(super) fn key_condition(&self, random: &mut StdRng) -> String {
        let column = self.columns.iter().find(|column| column.name == self.key[0]).unwrap();
        match column.kind {
            Kind::Int if random.random_bool(0.5) => format!("{} % 2 = 0", column.name),
            kind => format!("{} >= {}", column.name, kind.literal(random)),
        }
    }

    fn relation(&self, rows: usize) -> Relation {
        Relation { name: self.name.clone(), columns: self.columns.clone(), key: self.key.clone(), rows, derived: true }
    }
}

impl Pipeline {
    /// A project of one to five stages below `dir`, its sources filled; and what happened to them.
    pub(super) async fn generate(seed: u64, dir: &Path, partitions: usize, random: &mut StdRng) -> (Self, Vec<String>) {
        let mut sources = vec![items(dir, random)];
        match random.random_range(0..4) {
            0 => sources.push(links(dir, random)),
            1 => sources.push(teams(dir, random)),
            2 => sources.extend([links(dir, random), teams(dir, random)]),
            _ => sources.extend([teams(dir, random), notes(dir)]),
        }
        let odd_floats = random.random_bool(ODD_FLOATS);
        let mut reported = if odd_floats { vec!["with odd floats".to_owned()] } else { Vec::new() };
        for source in &mut sources {
            source.odd_floats = odd_floats;
            reported.push(source.create(random).await);
        }
        let relations = sources.iter().map(|source| source.relation.clone()).collect();
        let mut stages = stages(relations, random);
        if let Some(notes) = sources.iter().find(|source| source.texts).filter(|_| seed.is_multiple_of(2)) {
            stages.push(StageDef::of_files(format!("stage_{}", stages.len() + 1), &notes.relation));
        }
        let name = format!("sequence_{seed}");
        let pipeline = Self { dir: dir.to_owned(), sources, stages, name, seed, partitions, odd_floats };
        (pipeline, reported)
    }

    /// Writes the project's files and reads them as a client does.
    pub(super) fn open(&self) -> Project {
        fs::create_dir_all(self.dir.join("stages")).unwrap();
        let mut manifest = format!("name: {}\nsources:\n", self.name);
        self.sources.iter().for_each(|source| manifest.push_str(&source.yaml()));
        // Batches are as small as the tables, so that operators see several.
        writeln!(manifest, "session: {{ target_partitions: {}, batch_size: {BATCH_SIZE} }}", self.partitions).unwrap();
        manifest.push_str("run: { max_parallel_stages: 2, retries: 1 }\n");
        manifest.push_str(&self.maintenance());
        fs::write(self.dir.join("windlass.yaml"), manifest).unwrap();
        for stage in &self.stages {
            fs::write(self.dir.join(format!("stages/{}.sql", stage.name)), stage.text()).unwrap();
        }
        Project::open(&self.dir, None, &[]).unwrap_or_else(|error| {
            let problems = error.problems().map(ToString::to_string).unwrap_or_default();
            panic!("the generated project is refused: {error}\n{problems}")
        })
    }

    /// A policy of maintenance under which nothing stays by its age, and which the seed decides otherwise.
    fn maintenance(&self) -> String {
        let pick = |of: u64, values: [&'static str; 2]| values[(self.seed / of % 2) as usize];
        format!(
            "maintenance:\n  optimize: {{ small_files: {}, deleted_ratio: {} }}\n  vacuum: {{ retention: 0s, full_every: {} }}\n  \
             checkpoint_every: {}\n  log_retention: 0s\n  keep: {{ runs: 1, days: 0 }}\n  readers: {}\n",
            pick(1, ["1", "3"]),
            pick(2, ["0.01", "0.5"]),
            pick(4, ["0s", "1d"]),
            pick(8, ["3", "20"]),
            pick(16, ["deletion_vectors", "any"]),
        )
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The table of a stage.
    pub(super) fn table(&self, stage: &StageDef) -> PathBuf {
        self.dir.join("tables").join(&stage.name)
    }

    pub(super) fn stage(&self, name: &str) -> Option<&StageDef> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// Makes a stage that reads a view or texts ask for `auto` instead of `strict`; returns whether it did not before.
    ///
    /// What a view computes can be what another stage joins on, which no template anticipates, and changed files can be
    /// traced only where each row is derived from one of them.
    pub(super) fn relent(&mut self, name: &str) -> bool {
        let graph = self.open().graph;
        let reads = graph.reads(&name.into());
        let may_be_refused = reads
            .iter()
            .any(|read| read.as_str() == "notes" || self.stage(read.as_str()).is_some_and(|stage| stage.view));
        let stage = self.stages.iter_mut().find(|stage| stage.name == name && stage.wish == Wish::Strict);
        let Some(stage) = stage.filter(|_| may_be_refused) else { return false };
        stage.wish = Wish::Auto;
        true
    }

    /// The stages that have tables.
    pub(super) fn tables(&self) -> impl Iterator<Item = &StageDef> {
        self.stages.iter().filter(|stage| !stage.view)
    }

    /// Changes the definition of a stage, or reverts the last change; returns a description and the stages whose code
    /// has changed.
    pub(super) fn redefine(&mut self, random: &mut StdRng) -> (String, Vec<String>) {
        let index = random.random_range(0..self.stages.len());
        let stage = &mut self.stages[index];
        let former = stage.narrowed.clone();
        while stage.narrowed == former {
            stage.narrowed =
                if former.is_some() && random.random_bool(0.4) { None } else { Some(stage.narrowing(random)) };
        }
        let reported = format!("{} is now {}", stage.name, stage.sql());
        let changed = self.readers_through_views(index);
        (reported, changed)
    }

    /// The stages whose code a stage is part of: itself, or those that read it, if it is a view.
    fn readers_through_views(&self, index: usize) -> Vec<String> {
        let graph = self.open().graph;
        let mut changed = Vec::new();
        let mut waiting = vec![self.stages[index].name.clone()];
        while let Some(name) = waiting.pop() {
            if self.stage(&name).is_some_and(|stage| stage.view) {
                waiting.extend(graph.readers(&name.as_str().into()).iter().map(ToString::to_string));
            } else {
                changed.push(name);
            }
        }
        changed
    }
}

/// The share of sequences whose sources hold -0.0 and NaN.
const ODD_FLOATS: f64 = 0.25;

/// Rows in a batch.
pub(super) const BATCH_SIZE: usize = 64;

/// One to five stages; later ones usually read earlier ones.
fn stages(relations: Vec<Relation>, random: &mut StdRng) -> Vec<StageDef> {
    let count = random.random_range(1..=4);
    let mut draw = Draw { random: StdRng::from_rng(random), relations };
    let mut stages: Vec<StageDef> = Vec::new();
    while stages.len() < count {
        let (template, make) = draw.pick(&TEMPLATES);
        let Some(query) = make(&mut draw) else { continue };
        if query.rows > MAX_ROWS * 2 {
            continue;
        }
        let name = format!("stage_{}", stages.len() + 1);
        let wish = match draw.upto(19) {
            0 => Wish::Off,
            1 | 2 => Wish::Auto,
            _ if !query.traceable => Wish::Auto,
            _ => Wish::Strict,
        };
        let mut partition_by = query.partition_by;
        if partition_by.is_empty() && draw.chance(0.15) {
            let can = |column: &&Column| column.kind.is_key() && query.columns.len() > 1;
            partition_by.extend(query.columns.iter().find(can).map(|column| column.name.clone()));
        }
        // A table needs a column that is not a partition's.
        if query.columns.len() <= partition_by.len() {
            partition_by.clear();
        }
        let stage = StageDef {
            name,
            template,
            sql: query.sql,
            columns: query.columns,
            key: query.key,
            partition_by,
            wish,
            merge: draw.pick(&["rewrite", "deletion_vectors", "auto"]),
            // Its readers would not be traceable either.
            view: query.traceable && stages.len() + 1 < count && draw.chance(0.2),
            narrowed: None,
        };
        draw.relations.push(stage.relation(query.rows));
        stages.push(stage);
    }
    stages
}
