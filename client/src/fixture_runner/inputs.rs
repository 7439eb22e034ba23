//! The inputs of a fixture on disk: Delta tables with change feeds, and folders of texts.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use datafusion::error::Result as EngineResult;
use windlass_base::ids::NodeName;
use windlass_delta::sample::SampleTable;
use windlass_engine::session::{batch_of, scalar_of, schema_of};
use windlass_project::fixture_tests::{Fixture, Input, InputChange};
use windlass_project::literal_rows::{Cell, Row};
use windlass_storage::Location;

use super::FixtureError;

/// The inputs of one fixture.
pub(super) struct Inputs {
    tables: BTreeMap<NodeName, Table>,
}

enum Table {
    Delta { table: SampleTable, key: Vec<usize> },
    Texts { folder: PathBuf },
}

/// The folder of an input.
pub(super) fn folder_of(dir: &Path, name: &NodeName) -> PathBuf {
    dir.join("given").join(name.as_str())
}

impl Inputs {
    /// Creates every input, without rows.
    pub(super) async fn create(dir: &Path, fixture: &Fixture) -> Result<Self, FixtureError> {
        let mut tables = BTreeMap::new();
        for (name, input) in &fixture.inputs {
            let folder = folder_of(dir, name);
            fs::create_dir_all(&folder).map_err(|source| FixtureError::Folder { path: folder.clone(), source })?;
            let table = match input {
                Input::Texts => Table::Texts { folder },
                Input::Table { columns, key } => {
                    let table = SampleTable::create(&Location::from_path(&folder)?, &schema_of(columns)).await?;
                    let place = |name: &String| columns.iter().position(|(column, _)| column == name);
                    Table::Delta { table, key: key.iter().filter_map(place).collect() }
                }
            };
            tables.insert(name.clone(), table);
        }
        Ok(Self { tables })
    }

    /// Applies a change to an input.
    pub(super) async fn change(&mut self, name: &NodeName, change: &InputChange) -> Result<(), FixtureError> {
        match self.tables.get_mut(name) {
            Some(Table::Delta { table, key }) => change_table(table, key, change).await,
            Some(Table::Texts { folder }) => {
                change_texts(folder, change).map_err(|source| FixtureError::Folder { path: folder.clone(), source })
            }
            None => Ok(()),
        }
    }
}

async fn change_table(table: &mut SampleTable, key: &[usize], change: &InputChange) -> Result<(), FixtureError> {
    let schema = table.schema().clone();
    let batch = |rows: &[Row]| batch_of(&schema, rows).map_err(FixtureError::Rows);
    let pattern = |cells: Vec<(usize, &Cell)>| {
        let field = |(place, cell): (usize, &Cell)| {
            let field = schema.field(place);
            Ok((field.name().clone(), scalar_of(cell, field.data_type())?))
        };
        cells.into_iter().map(field).collect::<EngineResult<Vec<_>>>().map_err(FixtureError::Rows)
    };
    if let Some(rows) = &change.replace {
        table.replace(batch(rows)?).await?;
    }
    let deleted = change.delete.iter().map(|cells| pattern(cells.iter().map(|(place, cell)| (*place, cell)).collect()));
    table.delete(deleted.collect::<Result<_, _>>()?).await?;
    // Of several rows with the same key the last one wins; readers of the changes compute net changes.
    let key_of =
        |row: &Row| key.iter().filter_map(|place| Some((*place, row.get(*place)?.clone()))).collect::<Vec<_>>();
    let mut rows: Vec<Row> = Vec::new();
    for row in &change.upsert {
        rows.retain(|other| key_of(other) != key_of(row));
        rows.push(row.clone());
    }
    let replaced = rows.iter().map(|row| pattern(key.iter().map(|place| (*place, &row[*place])).collect()));
    table.delete(replaced.collect::<Result<_, _>>()?).await?;
    for added in [&rows, &change.insert].into_iter().filter(|rows| !rows.is_empty()) {
        table.append(batch(added)?).await?;
    }
    Ok(())
}

/// Rows of text files are a path and a content.
fn change_texts(folder: &Path, change: &InputChange) -> io::Result<()> {
    let written = [change.replace.as_deref().unwrap_or_default(), &change.upsert, &change.insert];
    if change.replace.is_some() {
        fs::remove_dir_all(folder)?;
        fs::create_dir_all(folder)?;
    }
    let deleted: Vec<&[(usize, Cell)]> = change.delete.iter().map(Vec::as_slice).collect();
    if !deleted.is_empty() {
        for path in paths_below(folder)? {
            let relative = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
            let content = fs::read_to_string(&path)?;
            let is = |(place, cell): &(usize, Cell)| match cell {
                Cell::Text(text) => *text == if *place == 0 { &relative } else { &content }[..],
                _ => false,
            };
            if deleted.iter().any(|pattern| pattern.iter().all(is)) {
                fs::remove_file(&path)?;
            }
        }
    }
    for row in written.into_iter().flatten() {
        let [Cell::Text(path), Cell::Text(content)] = row.as_slice() else { continue };
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, content)?;
    }
    Ok(())
}

fn paths_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() { waiting.push(path) } else { found.push(path) }
        }
    }
    Ok(found)
}
