//! Writes the rows of a query in one format.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::json::writer::JsonArray;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::arrow::{csv, json};
use datafusion::parquet::arrow::ArrowWriter;

use crate::args::Output;
use crate::output::{Cell, Layout, Table, prose};

pub(super) type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Writes batches in one format.
pub(super) trait Sink {
    /// Takes some rows.
    fn take(&mut self, batch: RecordBatch) -> Result<(), Fault>;
    /// Writes what is left.
    fn end(self: Box<Self>) -> Result<(), Fault>;
}

/// What writes rows with these `columns` to `out` in a format; tables are laid out as `layout` says.
pub(super) fn sink(
    format: Output,
    out: Box<dyn Write + Send>,
    columns: &SchemaRef,
    layout: Layout,
) -> Result<Box<dyn Sink>, Fault> {
    Ok(match format {
        Output::Table => {
            let columns: Vec<_> = columns.fields().iter().map(|field| prose(field.name())).collect();
            Box::new(Pretty { out, layout, table: Table::new(columns).framed() })
        }
        Output::Json => Box::new(Json(json::WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(out))),
        Output::Csv => Box::new(Csv::with_header(out, columns)?),
        Output::Parquet => Box::new(Parquet(ArrowWriter::try_new(out, Arc::clone(columns), None)?)),
    })
}

struct Pretty {
    out: Box<dyn Write + Send>,
    layout: Layout,
    table: Table,
}

impl Sink for Pretty {
    fn take(&mut self, batch: RecordBatch) -> Result<(), Fault> {
        let options = FormatOptions::default();
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| column.value(row).try_to_string().map(Cell::from));
            self.table.push(cells.collect::<Result<_, _>>()?);
        }
        Ok(())
    }

    fn end(mut self: Box<Self>) -> Result<(), Fault> {
        self.out.write_all(self.table.render(self.layout).as_bytes())?;
        Ok(self.out.flush()?)
    }
}

struct Json(json::Writer<Box<dyn Write + Send>, JsonArray>);

impl Sink for Json {
    fn take(&mut self, batch: RecordBatch) -> Result<(), Fault> {
        Ok(self.0.write(&batch)?)
    }

    fn end(mut self: Box<Self>) -> Result<(), Fault> {
        self.0.finish()?;
        let mut out = self.0.into_inner();
        writeln!(out)?;
        Ok(out.flush()?)
    }
}

struct Csv(csv::Writer<Box<dyn Write + Send>>);

impl Csv {
    /// The header is written even without rows. It is text, whatever the columns are.
    fn with_header(mut out: Box<dyn Write + Send>, columns: &Schema) -> Result<Self, Fault> {
        let names = columns.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true));
        let names = RecordBatch::new_empty(Arc::new(Schema::new(names.collect::<Vec<_>>())));
        csv::WriterBuilder::new().with_header(true).build(&mut out).write(&names)?;
        Ok(Self(csv::WriterBuilder::new().with_header(false).build(out)))
    }
}

impl Sink for Csv {
    fn take(&mut self, batch: RecordBatch) -> Result<(), Fault> {
        Ok(self.0.write(&batch)?)
    }

    fn end(self: Box<Self>) -> Result<(), Fault> {
        self.0.into_inner().flush()?;
        Ok(())
    }
}

struct Parquet(ArrowWriter<Box<dyn Write + Send>>);

impl Sink for Parquet {
    fn take(&mut self, batch: RecordBatch) -> Result<(), Fault> {
        Ok(self.0.write(&batch)?)
    }

    fn end(self: Box<Self>) -> Result<(), Fault> {
        self.0.close()?;
        Ok(())
    }
}
