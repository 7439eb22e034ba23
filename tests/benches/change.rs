//! Changes a fraction of the rows, scattered or clustered.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;

use super::Outcome;
use super::lake::{open, provider, session};

/// Where the changed rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// All over the table: every file has some.
    Scattered,
    /// Next to each other: few files have them all.
    Clustered,
}

impl Shape {
    pub(crate) const ALL: [Self; 2] = [Self::Scattered, Self::Clustered];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scattered => "scattered",
            Self::Clustered => "clustered",
        }
    }

    /// The rows of a table in SQL, a `per_mille` of them, by a column of numbers from 1 to `most`.
    pub(crate) fn predicate(self, column: &str, most: i64, per_mille: u32) -> String {
        let per_mille = i64::from(per_mille);
        match self {
            // A prime spreads neighbours.
            Self::Scattered => format!("({column} * 7919) % 1000 < {per_mille}"),
            Self::Clustered => {
                let first = most / 2;
                format!("{column} >= {first} AND {column} < {}", first + (most * per_mille / 1000).max(1))
            }
        }
    }
}

/// The largest value of a column of numbers.
pub(crate) async fn greatest(table: &Path, column: &str) -> Outcome<i64> {
    let ctx = session();
    ctx.register_table("t", provider(&ctx, &open(table).await?).await?)?;
    let rows = ctx.sql(&format!("SELECT CAST(max({column}) AS BIGINT) FROM t")).await?.collect().await?;
    let value = rows.iter().find(|batch| batch.num_rows() > 0).map(|batch| batch.column(0).clone());
    let value = value.ok_or("the table has no rows")?;
    Ok(value.as_primitive::<Int64Type>().value(0))
}

/// Updates rows of a table with deltalake's own operation: columns, and what each becomes. Says how many there were.
pub(crate) async fn update(table: &Path, predicate: &str, set: &[(&str, &str)]) -> Outcome<usize> {
    let mut update = open(table).await?.update().with_session_state(Arc::new(session().state()));
    update = update.with_predicate(predicate);
    for (column, value) in set {
        update = update.with_update(*column, *value);
    }
    Ok(update.await?.1.num_updated_rows)
}

/// The lines and the orders of TPC-H below `data`, changed. Says how many rows were.
pub(crate) async fn change_tpch(data: &Path, shape: Shape, per_mille: u32) -> Outcome<usize> {
    let most = greatest(&data.join("orders"), "o_orderkey").await?;
    let lines = shape.predicate("l_orderkey", most, per_mille);
    let price = [("l_quantity", "l_quantity + 1"), ("l_extendedprice", "l_extendedprice + 1")];
    let changed = update(&data.join("lineitem"), &lines, &price).await?;
    let orders = shape.predicate("o_orderkey", most, per_mille);
    Ok(changed + update(&data.join("orders"), &orders, &[("o_totalprice", "o_totalprice + 1")]).await?)
}

/// Adds a function to a share of the source files below `folder`. Says how many files that are.
pub(crate) fn change_code(folder: &Path, shape: Shape, per_mille: u32) -> Outcome<usize> {
    let mut files = Vec::new();
    find_code(folder, &mut files)?;
    files.sort_unstable();
    let count = (files.len() * per_mille as usize).div_ceil(1000);
    let step = files.len() / count.max(1);
    let first = files.len() / 2;
    for index in 0..count {
        let file = match shape {
            Shape::Scattered => &files[index * step],
            Shape::Clustered => &files[(first + index) % files.len()],
        };
        let mut text = fs::read(file)?;
        let python = file.extension().is_some_and(|extension| extension == "py");
        text.extend_from_slice(if python {
            b"\ndef added_here(one):\n    return one\n"
        } else {
            b"\nfn added_here(one: u8) -> u8 {\n    one\n}\n"
        });
        // The copy may be a link.
        fs::remove_file(file)?;
        fs::write(file, text)?;
    }
    Ok(count)
}

fn find_code(folder: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find_code(&entry.path(), files)?;
        } else if entry.path().extension().is_some_and(|extension| extension == "rs" || extension == "py") {
            files.push(entry.path());
        }
    }
    Ok(())
}
