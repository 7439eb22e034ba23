//! The sources: small Delta tables and a folder of texts, and everything that happens to them between runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, Int64Builder, ListBuilder, RecordBatch,
    StringArray,
};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::prelude::{SessionContext, col, lit};
use deltalake::kernel::{ArrayType, DataType as DeltaType};
use deltalake::protocol::SaveMode;
use deltalake::{DeltaResult, DeltaTable};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::relation::{Column, Kind, Relation, TEXTS};
use super::tables::{Rows, load, open, plain_session};

/// Days since 1970 of 2026-01-01.
const FIRST_DAY: i32 = 20_454;

/// Ids that a keyed source may have: few, so that changes affect the same rows.
const IDS: i64 = 40;

/// A value of a column.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Null,
    Int(i64),
    Text(&'static str),
    Half(f64),
    Day(i32),
    Flag(bool),
    List(Vec<i64>),
}

type Row = Vec<Value>;

/// A way in which a source's key is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrokenKey {
    /// Two rows have it.
    Twice,
    /// It is null.
    Null,
}

impl BrokenKey {
    pub(super) const ALL: [Self; 2] = [Self::Twice, Self::Null];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Twice => "two rows of a key",
            Self::Null => "a key that is null",
        }
    }
}

/// A source of a generated project.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) relation: Relation,
    pub(super) folder: PathBuf,
    /// The table's partition columns; none for texts.
    partition_by: Vec<String>,
    pub(super) texts: bool,
    /// Whether its floats are sometimes -0.0 or NaN.
    pub(super) odd_floats: bool,
}

/// Items: keyed, with a column of every kind.
pub(super) fn items(dir: &Path, random: &mut StdRng) -> Source {
    let columns = [
        ("id", Kind::Int),
        ("team", Kind::Int),
        ("name", Kind::Text),
        ("amount", Kind::Half),
        ("day", Kind::Day),
        ("flag", Kind::Flag),
        ("marks", Kind::List),
    ];
    let partition_by = [&[] as &[&str], &[], &["name"], &["day"], &["flag"], &["name", "team"]].choose(random).unwrap();
    Source::new(dir, "items", &columns, true, partition_by)
}

/// Links between items: a bag, in which rows may be equal.
pub(super) fn links(dir: &Path, random: &mut StdRng) -> Source {
    let columns = [("src", Kind::Int), ("dst", Kind::Int), ("kind", Kind::Text), ("weight", Kind::Int)];
    let partition_by = [&[] as &[&str], &[], &["kind"]].choose(random).unwrap();
    Source::new(dir, "links", &columns, false, partition_by)
}

/// Teams: keyed, few.
pub(super) fn teams(dir: &Path, random: &mut StdRng) -> Source {
    let columns = [("team", Kind::Int), ("region", Kind::Text), ("title", Kind::Text), ("factor", Kind::Half)];
    let partition_by = [&[] as &[&str], &[], &["region"]].choose(random).unwrap();
    let mut source = Source::new(dir, "teams", &columns, true, partition_by);
    source.relation.rows = 10;
    source
}

/// A folder of texts.
pub(super) fn notes(dir: &Path) -> Source {
    let column = |name, kind, nullable| Column::new(name, kind, nullable);
    let relation = Relation {
        name: "notes".to_owned(),
        columns: vec![
            column("path", Kind::Text, false),
            column("size", Kind::Int, false),
            column("content", Kind::Text, true),
        ],
        key: vec!["path".to_owned()],
        rows: 8,
        derived: false,
    };
    Source { relation, folder: dir.join("notes"), partition_by: Vec::new(), texts: true, odd_floats: false }
}

impl Source {
    fn new(dir: &Path, name: &str, columns: &[(&str, Kind)], keyed: bool, partition_by: &[&str]) -> Self {
        let key = if keyed { vec![columns[0].0.to_owned()] } else { Vec::new() };
        let columns =
            columns.iter().map(|(name, kind)| Column::new(*name, *kind, !key.iter().any(|key| key == name))).collect();
        let relation = Relation { name: name.to_owned(), columns, key, rows: IDS as usize, derived: false };
        let partition_by = partition_by.iter().map(ToString::to_string).collect();
        Self { relation, folder: dir.join(name), partition_by, texts: false, odd_floats: false }
    }

    /// Its line in `windlass.yaml`.
    pub(super) fn yaml(&self) -> String {
        let kind = if self.texts { "text_files" } else { "delta" };
        format!("  {name}: {{ kind: {kind}, location: {name} }}\n", name = self.relation.name)
    }

    /// All rows that it has now.
    pub(super) async fn rows(&self) -> Rows {
        if self.texts { self.read_texts() } else { load(&open(&self.folder).await).await }
    }

    /// Makes it, with some rows or none.
    pub(super) async fn create(&self, random: &mut StdRng) -> String {
        fs::create_dir_all(&self.folder).unwrap();
        if self.texts {
            return (0..3).map(|_| self.write_text(random)).collect::<Vec<_>>().join("; ");
        }
        let columns = self
            .relation
            .columns
            .iter()
            .map(|column| deltalake::kernel::StructField::new(column.name.clone(), delta_type(column.kind), true));
        let table = open(&self.folder).await;
        table
            .create()
            .with_columns(columns)
            .with_partition_columns(self.partition_by.clone())
            .with_configuration([("delta.enableChangeDataFeed", Some("true"))])
            .await
            .unwrap();
        let partitions = self.partition_by.join(", ");
        let first = if random.random_bool(0.85) { self.append(random, 25).await.unwrap() } else { "empty".to_owned() };
        format!("{} partitioned by ({partitions}): {first}", self.relation.name)
    }

    /// Changes it in some way, and returns a description.
    pub(super) async fn mutate(&self, random: &mut StdRng) -> String {
        if self.texts {
            return self.change_texts(random);
        }
        let done = match random.random_range(0..100) {
            0..25 => self.append(random, 8).await,
            25..42 => self.delete(random).await,
            42..60 => self.update(random).await,
            60..75 => self.upsert(random).await,
            75..82 => self.overwrite(random).await,
            82..90 => self.optimize().await,
            _ => self.restore(random).await,
        };
        let done = done.unwrap_or_else(|error| panic!("a change of {} failed: {error}", self.relation.name));
        let version = open(&self.folder).await.version();
        format!("{} v{}: {done}", self.relation.name, version.map_or(0, |version| version))
    }

    async fn append(&self, random: &mut StdRng, most: usize) -> DeltaResult<String> {
        let rows = self.new_rows(random, most).await;
        let count = rows.len();
        if count > 0 {
            let batch = self.batch(&rows);
            open(&self.folder).await.write(vec![batch]).with_save_mode(SaveMode::Append).await?;
        }
        Ok(format!("append {count} rows"))
    }

    async fn delete(&self, random: &mut StdRng) -> DeltaResult<String> {
        let table = open(&self.folder).await;
        if random.random_bool(0.05) {
            table.delete().await?;
            return Ok("delete all".to_owned());
        }
        let predicate = self.predicate(random);
        table.delete().with_predicate(predicate.as_str()).await?;
        Ok(format!("delete where {predicate}"))
    }

    async fn update(&self, random: &mut StdRng) -> DeltaResult<String> {
        let predicate = self.predicate(random);
        let changeable: Vec<&Column> =
            self.relation.columns.iter().filter(|column| column.nullable && column.kind != Kind::List).collect();
        let column = changeable.choose(random).unwrap();
        let name = column.name.as_str();
        let value = match (column.kind, random.random_range(0..5)) {
            // An update that changes nothing.
            (_, 0) => name.to_owned(),
            (Kind::Int, 1) => format!("{name} + 1"),
            (Kind::Half, 1) => format!("{name} + 0.5"),
            (Kind::Flag, 1) => format!("NOT {name}"),
            (kind, _) => format!("CAST({} AS {})", self.literal(kind, random), sql_type(kind)),
        };
        let update = open(&self.folder).await.update().with_predicate(predicate.as_str());
        update.with_update(name, value.as_str()).await?;
        Ok(format!("update {name} = {value} where {predicate}"))
    }

    /// A merge by the key: updates, inserts, and sometimes deletes; for a bag, an append.
    async fn upsert(&self, random: &mut StdRng) -> DeltaResult<String> {
        let Some(key) = self.relation.key.first() else { return self.append(random, 5).await };
        let mut ids: Vec<i64> = (0..self.domain()).collect();
        ids.shuffle(random);
        ids.truncate(random.random_range(1..8));
        let rows: Vec<Row> = ids.iter().map(|id| self.row(random, Some(*id))).collect();
        let frame = SessionContext::new().read_batch(self.batch(&rows))?;
        let columns: Vec<String> = self.relation.columns.iter().map(|column| column.name.clone()).collect();
        let merge = open(&self.folder).await.merge(frame, format!("target.{key} = source.{key}"));
        let mut merge = merge.with_source_alias("source").with_target_alias("target");
        let deletes = random.random_bool(0.3);
        if deletes {
            merge = merge.when_matched_delete(|delete| delete.predicate(format!("source.{key} % 2 = 0")))?;
        }
        let from_source = |column: &str| format!("source.{column}");
        let merge = merge
            .when_matched_update(|update| {
                columns.iter().fold(update, |update, column| update.update(column.as_str(), from_source(column)))
            })?
            .when_not_matched_insert(|insert| {
                columns.iter().fold(insert, |insert, column| insert.set(column.as_str(), from_source(column)))
            })?;
        merge.await?;
        Ok(format!("upsert {ids:?}{}", if deletes { ", matched even ones deleted" } else { "" }))
    }

    async fn overwrite(&self, random: &mut StdRng) -> DeltaResult<String> {
        let mut ids: Vec<i64> = (0..self.domain()).collect();
        ids.shuffle(random);
        ids.truncate(random.random_range(0..20));
        let rows: Vec<Row> = ids.iter().map(|id| self.row(random, Some(*id))).collect();
        let write = open(&self.folder).await.write(vec![self.batch(&rows)]);
        write.with_save_mode(SaveMode::Overwrite).await?;
        Ok(format!("overwrite with {} rows", rows.len()))
    }

    async fn optimize(&self) -> DeltaResult<String> {
        let (_, metrics) = open(&self.folder).await.optimize().await?;
        Ok(format!("optimize {} files to {}", metrics.num_files_removed, metrics.num_files_added))
    }

    async fn restore(&self, random: &mut StdRng) -> DeltaResult<String> {
        let table = open(&self.folder).await;
        let newest = table.version().unwrap_or_default();
        if newest == 0 {
            return Ok("nothing to restore".to_owned());
        }
        let version = random.random_range(newest.saturating_sub(4)..newest);
        table.restore().with_version_to_restore(version).await?;
        // The version may be one with a broken key.
        Ok(format!("restore v{version}; {}", self.repair().await))
    }

    /// Whether it has a key that can be broken.
    pub(super) fn can_break(&self) -> bool {
        !self.texts && self.relation.is_keyed()
    }

    /// Appends a row that breaks the key: one more of an id, the same row or, if `otherwise`, perhaps another; or one
    /// without an id. Returns a description; none if there is no row yet.
    pub(super) async fn break_key(&self, how: BrokenKey, otherwise: bool, random: &mut StdRng) -> Option<String> {
        let key = self.relation.key.first()?;
        let table = open(&self.folder).await;
        let batch = match how {
            BrokenKey::Null => {
                let mut row = self.row(random, Some(0));
                row[0] = Value::Null;
                self.batch(&[row])
            }
            BrokenKey::Twice => {
                let id = *ids(&table, key).await.choose(random)?;
                if otherwise && random.random_bool(0.5) {
                    self.batch(&[self.row(random, Some(id))])
                } else {
                    let rows = load(&table).await;
                    let ctx = plain_session();
                    let frame = ctx.read_table(rows.table()).unwrap().filter(col(key).eq(lit(id))).unwrap();
                    let rows = frame.collect().await.unwrap();
                    concat_batches(&rows[0].schema(), &rows).unwrap()
                }
            }
        };
        let reported = format!("{}: {} ({} rows)", self.relation.name, how.as_str(), batch.num_rows());
        table.write(vec![batch]).with_save_mode(SaveMode::Append).await.unwrap();
        Some(reported)
    }

    /// Deletes the rows that break the key; returns how many ids they had.
    pub(super) async fn repair(&self) -> String {
        let Some(key) = self.relation.key.first().filter(|_| !self.texts) else {
            return "nothing to repair".to_owned();
        };
        let table = open(&self.folder).await;
        let rows = load(&table).await;
        let ctx = plain_session();
        let frame = ctx.read_table(rows.table()).unwrap();
        let counted = frame.aggregate(vec![col(key)], vec![count(lit(1)).alias("n")]).unwrap();
        let broken = counted.filter(col(key).is_null().or(col("n").gt(lit(1)))).unwrap().collect().await.unwrap();
        let ids =
            broken.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>());
        let ids: Vec<Option<i64>> = ids.collect();
        if ids.is_empty() {
            return "nothing to repair".to_owned();
        }
        let condition = |id: &Option<i64>| match id {
            Some(id) => format!("{key} = {id}"),
            None => format!("{key} IS NULL"),
        };
        let predicate = ids.iter().map(condition).collect::<Vec<_>>().join(" OR ");
        table.delete().with_predicate(predicate.as_str()).await.unwrap();
        format!("{} repaired: delete where {predicate}", self.relation.name)
    }

    /// How many ids this source can have.
    fn domain(&self) -> i64 {
        if self.relation.name == "teams" { 9 } else { IDS }
    }

    /// Up to `most` rows that can be added: their ids are free, if it has ids.
    async fn new_rows(&self, random: &mut StdRng, most: usize) -> Vec<Row> {
        let count = random.random_range(1..=most);
        let Some(key) = self.relation.key.first() else {
            return (0..count).map(|_| self.row(random, None)).collect();
        };
        let taken = ids(&open(&self.folder).await, key).await;
        let mut free: Vec<i64> = (0..self.domain()).filter(|id| !taken.contains(id)).collect();
        free.shuffle(random);
        free.truncate(count);
        free.into_iter().map(|id| self.row(random, Some(id))).collect()
    }

    fn row(&self, random: &mut StdRng, id: Option<i64>) -> Row {
        let keyed = self.relation.is_keyed();
        let columns = self.relation.columns.iter().enumerate();
        columns
            .map(|(index, column)| match id {
                Some(id) if keyed && index == 0 => Value::Int(id),
                _ => self.value(random, column.kind),
            })
            .collect()
    }

    /// A value of a column.
    fn value(&self, random: &mut StdRng, kind: Kind) -> Value {
        match kind {
            Kind::Half if self.odd_floats && random.random_bool(0.3) => {
                Value::Half(*[-0.0, 0.0, f64::NAN].choose(random).unwrap())
            }
            kind => value(random, kind),
        }
    }

    /// A value of a column in SQL.
    fn literal(&self, kind: Kind, random: &mut StdRng) -> String {
        match kind {
            Kind::Half if self.odd_floats && random.random_bool(0.3) => {
                format!("'{}'", ["-0.0", "0.0", "NaN"].choose(random).unwrap())
            }
            kind => kind.literal(random),
        }
    }

    /// Which rows a change is about.
    fn predicate(&self, random: &mut StdRng) -> String {
        let columns: Vec<&Column> = self.relation.columns.iter().filter(|column| column.kind != Kind::List).collect();
        let column = columns.choose(random).unwrap();
        let name = &column.name;
        let literal = column.kind.literal(random);
        match (column.kind, random.random_range(0..5)) {
            (Kind::Flag, 0..3) => name.clone(),
            (Kind::Flag, _) => format!("{name} IS NULL"),
            (_, 0) => format!("{name} IS NULL"),
            (Kind::Int, 1) => format!("{name} % 3 = 1"),
            (kind, 2) => format!("{name} < CAST({literal} AS {})", sql_type(kind)),
            (kind, _) => format!("{name} = CAST({literal} AS {})", sql_type(kind)),
        }
    }

    fn batch(&self, rows: &[Row]) -> RecordBatch {
        let columns = self.relation.columns.iter().enumerate().map(|(index, column)| {
            let values: Vec<&Value> = rows.iter().map(|row| &row[index]).collect();
            (column.name.as_str(), array(column.kind, &values), true)
        });
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    fn write_text(&self, random: &mut StdRng) -> String {
        let name = format!("n{}.txt", random.random_range(0..8));
        let words: Vec<&str> = (0..random.random_range(0..5)).map(|_| *TEXTS.choose(random).unwrap()).collect();
        fs::write(self.folder.join(&name), words.join(" ")).unwrap();
        format!("write {name}: {words:?}")
    }

    fn change_texts(&self, random: &mut StdRng) -> String {
        let mut names: Vec<PathBuf> = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort_unstable();
        let last = names.len() == 1;
        let removes = !last && random.random_bool(0.3);
        // A source of files that has none is refused.
        match names.choose(random).filter(|_| removes) {
            Some(name) => {
                fs::remove_file(name).unwrap();
                format!("remove {}", name.file_name().unwrap().display())
            }
            None => self.write_text(random),
        }
    }

    fn read_texts(&self) -> Rows {
        let mut files: Vec<(String, String)> = fs::read_dir(&self.folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        files.sort_unstable();
        let sizes = files.iter().map(|(_, content)| content.len() as i64);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("path", Arc::new(StringArray::from_iter_values(files.iter().map(|(path, _)| path)))),
            ("size", Arc::new(Int64Array::from_iter_values(sizes))),
            ("content", Arc::new(StringArray::from_iter_values(files.iter().map(|(_, content)| content)))),
        ];
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
        let batch = batch.unwrap();
        Rows { schema: batch.schema(), batches: vec![batch] }
    }
}

/// The ids that a table has.
async fn ids(table: &DeltaTable, key: &str) -> Vec<i64> {
    let rows = load(table).await;
    let column = |batch: &RecordBatch| cast(batch.column_by_name(key).unwrap(), &DataType::Int64).unwrap();
    rows.batches.iter().flat_map(|batch| column(batch).as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn value(random: &mut StdRng, kind: Kind) -> Value {
    if random.random_bool(0.12) {
        return Value::Null;
    }
    match kind {
        Kind::Int => Value::Int(random.random_range(0..9)),
        Kind::Text => Value::Text(TEXTS.choose(random).unwrap()),
        Kind::Half | Kind::Ratio => Value::Half(f64::from(random.random_range(-4..8)) / 2.0),
        Kind::Day => Value::Day(FIRST_DAY + random.random_range(0..6)),
        Kind::Flag => Value::Flag(random.random_bool(0.5)),
        Kind::List => Value::List((0..5).filter(|_| random.random_bool(0.35)).collect()),
    }
}

/// A column of values, all of one kind or null.
fn array(kind: Kind, values: &[&Value]) -> ArrayRef {
    macro_rules! values_of {
        ($variant:ident, $array:ty) => {
            Arc::new(
                values
                    .iter()
                    .map(|value| if let Value::$variant(value) = value { Some(value.to_owned()) } else { None })
                    .collect::<$array>(),
            )
        };
    }
    match kind {
        Kind::Int => values_of!(Int, Int64Array),
        Kind::Text => values_of!(Text, StringArray),
        Kind::Half | Kind::Ratio => values_of!(Half, Float64Array),
        Kind::Day => values_of!(Day, Date32Array),
        Kind::Flag => values_of!(Flag, BooleanArray),
        Kind::List => {
            let mut lists = ListBuilder::new(Int64Builder::new());
            for value in values {
                match value {
                    Value::List(list) => lists.append_value(list.iter().copied().map(Some)),
                    _ => lists.append_null(),
                }
            }
            Arc::new(lists.finish())
        }
    }
}

fn delta_type(kind: Kind) -> DeltaType {
    match kind {
        Kind::Int => DeltaType::LONG,
        Kind::Text => DeltaType::STRING,
        Kind::Half | Kind::Ratio => DeltaType::DOUBLE,
        Kind::Day => DeltaType::DATE,
        Kind::Flag => DeltaType::BOOLEAN,
        Kind::List => DeltaType::from(ArrayType::new(DeltaType::LONG, true)),
    }
}

fn sql_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "BIGINT",
        Kind::Text => "VARCHAR",
        Kind::Half | Kind::Ratio => "DOUBLE",
        Kind::Day => "DATE",
        Kind::Flag => "BOOLEAN",
        Kind::List => "BIGINT[]",
    }
}
