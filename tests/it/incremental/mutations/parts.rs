//! A project in parts that can be changed individually, and assembled in any order.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use windlass_project::spec::ProjectFiles;

/// A key of a YAML mapping with its value, in one line.
type Entry = (String, String);

/// A top-level key of `windlass.yaml`.
#[derive(Debug, Clone)]
pub(super) enum Section {
    Line(Entry),
    /// A mapping of flow mappings.
    Nested(String, Vec<(String, Vec<Entry>)>),
    Flow(String, Vec<Entry>),
}

/// A stage's file.
#[derive(Debug, Clone)]
pub(super) struct StageFile {
    pub(super) name: &'static str,
    pub(super) folder: String,
    pub(super) header: Vec<Entry>,
    pub(super) io: Vec<Entry>,
    pub(super) sql: String,
    /// Comments to put into the header.
    pub(super) notes: Vec<String>,
}

/// A whole project.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) manifest: Vec<Section>,
    pub(super) stages: Vec<StageFile>,
    /// Comments to insert between the lines of the manifest, with their positions.
    pub(super) notes: Vec<(usize, String)>,
}

fn entries(of: &[(&str, &str)]) -> Vec<Entry> {
    of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn nested(key: &str, of: &[(&str, &[(&str, &str)])]) -> Section {
    Section::Nested(key.to_owned(), of.iter().map(|(key, inner)| ((*key).to_owned(), entries(inner))).collect())
}

/// The project that all mutants are mutants of.
pub(super) fn base() -> Parts {
    let manifest = vec![
        Section::Line(("name".to_owned(), "mutants".to_owned())),
        Section::Line(("description".to_owned(), "What changes a stage and what does not".to_owned())),
        nested(
            "sources",
            &[
                ("orders", &[("kind", "delta"), ("location", "orders"), ("description", "All orders")]),
                ("customers", &[("kind", "delta"), ("location", "customers"), ("tags", "{ layer: raw }")]),
                (
                    "rates",
                    &[
                        ("kind", "listing"),
                        ("format", "csv"),
                        ("location", "rates.csv"),
                        ("has_header", "true"),
                        ("delimiter", "\",\""),
                        ("schema", "{ currency: string, rate: double }"),
                    ],
                ),
                (
                    "notes",
                    &[
                        ("kind", "text_files"),
                        ("location", "notes"),
                        ("include", "[\"**/*.txt\"]"),
                        ("max_file_bytes", "1MiB"),
                    ],
                ),
            ],
        ),
        nested(
            "params",
            &[
                ("least", &[("type", "long"), ("default", "3"), ("description", "The least amount")]),
                ("label", &[("type", "string"), ("default", "paid")]),
                ("unused", &[("type", "long"), ("default", "1")]),
            ],
        ),
        Section::Flow(
            "session".to_owned(),
            entries(&[("target_partitions", "2"), ("batch_size", "1024"), ("parquet_pushdown", "true")]),
        ),
        Section::Flow("run".to_owned(), entries(&[("max_parallel_stages", "2"), ("retries", "1")])),
    ];
    let stage = |name, header: &[(&str, &str)], io: &[(&str, &str)], sql: &str| StageFile {
        name,
        folder: "stages".to_owned(),
        header: entries(header),
        io: entries(io),
        sql: sql.to_owned(),
        notes: Vec::new(),
    };
    let view = &[("materialize", "view"), ("description", "A view")];
    let stages = vec![
        stage(
            "paid",
            view,
            &[],
            "SELECT o.id, o.customer, o.amount, o.day FROM orders AS o WHERE o.amount >= $least AND o.status = 'paid'",
        ),
        stage("spare", view, &[], "SELECT c.id, c.name FROM customers AS c WHERE c.region = 'north'"),
        stage(
            "totals",
            &[("description", "Sums"), ("tags", "{ layer: mart }"), ("retries", "2")],
            &[("key", "[customer]"), ("not_null", "[customer]")],
            "SELECT p.customer, sum(p.amount) AS total, count(*) AS orders FROM paid AS p \
             WHERE p.day > DATE '2026-01-03' GROUP BY p.customer HAVING count(*) > 1",
        ),
        stage(
            "named",
            &[("description", "With names")],
            &[("key", "[id]"), ("partition_by", "[region]"), ("constraints", "{ some: twice > 0 }")],
            "SELECT p.id, c.name, c.region, p.amount * 2 AS twice FROM paid AS p JOIN customers AS c \
             ON p.customer = c.id WHERE c.region <> 'nowhere'",
        ),
        stage(
            "converted",
            &[],
            &[("key", "[id]")],
            "SELECT o.id, o.amount * r.rate AS converted, $label AS label FROM orders AS o LEFT JOIN rates AS r \
             ON o.currency = r.currency WHERE o.amount > 5 OR r.rate < 2",
        ),
        stage(
            "lengths",
            &[("tags", "{ layer: text, kind: table }")],
            &[("key", "[path]")],
            "SELECT n.path, character_length(n.content) AS letters FROM notes AS n WHERE n.size < 100",
        ),
        stage("top", &[], &[("key", "[customer]")], "SELECT t.customer, t.total FROM totals AS t WHERE t.total > 10"),
    ];
    Parts { manifest, stages, notes: Vec::new() }
}

impl Parts {
    pub(super) fn stage(&mut self, name: &str) -> &mut StageFile {
        self.stages.iter_mut().find(|stage| stage.name == name).unwrap()
    }

    /// The entries of a top-level flow mapping.
    pub(super) fn flow(&mut self, wanted: &str) -> &mut Vec<Entry> {
        let found = self.manifest.iter_mut().find_map(|section| match section {
            Section::Flow(key, entries) if key == wanted => Some(entries),
            _ => None,
        });
        found.unwrap()
    }

    /// The members of a top-level mapping of mappings.
    pub(super) fn members(&mut self, wanted: &str) -> &mut Vec<(String, Vec<Entry>)> {
        let found = self.manifest.iter_mut().find_map(|section| match section {
            Section::Nested(key, members) if key == wanted => Some(members),
            _ => None,
        });
        found.unwrap()
    }

    pub(super) fn member(&mut self, section: &str, name: &str) -> &mut Vec<Entry> {
        self.members(section).iter_mut().find_map(|(key, of)| (key == name).then_some(of)).unwrap()
    }

    /// Reorders the keys of every mapping.
    pub(super) fn shuffle(&mut self, random: &mut StdRng) {
        self.manifest.shuffle(random);
        for section in &mut self.manifest {
            match section {
                Section::Line(_) => {}
                Section::Flow(_, entries) => entries.shuffle(random),
                Section::Nested(_, members) => {
                    members.shuffle(random);
                    members.iter_mut().for_each(|(_, entries)| entries.shuffle(random));
                }
            }
        }
        for stage in &mut self.stages {
            stage.header.shuffle(random);
            stage.io.shuffle(random);
        }
    }

    /// The project's files.
    pub(super) fn files(&self) -> ProjectFiles {
        let mut files = ProjectFiles::new();
        files.insert("windlass.yaml", &self.manifest_text());
        for stage in &self.stages {
            files.insert(format!("{}/{}.sql", stage.folder, stage.name), &stage.text());
        }
        files
    }

    fn manifest_text(&self) -> String {
        let mut lines = Vec::new();
        for section in &self.manifest {
            match section {
                Section::Line((key, value)) => lines.push(format!("{key}: {value}")),
                Section::Flow(key, entries) => lines.push(format!("{key}: {}", flow(entries))),
                Section::Nested(key, members) => {
                    lines.push(format!("{key}:"));
                    lines.extend(members.iter().map(|(key, entries)| format!("  {key}: {}", flow(entries))));
                }
            }
        }
        for (place, note) in &self.notes {
            lines.insert(place % (lines.len() + 1), note.clone());
        }
        lines.join("\n") + "\n"
    }
}

impl StageFile {
    fn text(&self) -> String {
        let mut lines: Vec<String> = self.header.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        if !self.io.is_empty() {
            lines.push("io:".to_owned());
            lines.extend(self.io.iter().map(|(key, value)| format!("  {key}: {value}")));
        }
        lines.extend(self.notes.iter().cloned());
        if lines.is_empty() { self.sql.clone() } else { format!("/* windlass\n{}\n*/\n{}", lines.join("\n"), self.sql) }
    }

    pub(super) fn tokens(&self) -> Vec<Token> {
        Tokenizer::new(&GenericDialect {}, &self.sql).tokenize().unwrap()
    }

    pub(super) fn set_tokens(&mut self, tokens: &[Token]) {
        self.sql = tokens.iter().map(ToString::to_string).collect();
    }
}

fn flow(entries: &[Entry]) -> String {
    let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    format!("{{ {} }}", entries.join(", "))
}

/// Sets the value of a key, which may be new.
pub(super) fn set(entries: &mut Vec<Entry>, key: &str, value: impl Into<String>) {
    let value = value.into();
    match entries.iter_mut().find(|(known, _)| known == key) {
        Some((_, old)) => *old = value,
        None => entries.push((key.to_owned(), value)),
    }
}

/// A few words that have no meaning to any parser.
pub(super) fn words(random: &mut StdRng) -> String {
    let word = |random: &mut StdRng| -> String {
        (0..random.random_range(2..9)).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect()
    };
    let words: Vec<String> = (0..random.random_range(1..5)).map(|_| format!("x{}", word(random))).collect();
    words.join(" ")
}
