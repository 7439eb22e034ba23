//! Reads a file as a stream of batches.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::internal_err;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpenFuture, FileOpener};
use datafusion::error::Result;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::ObjectStore;

use super::fault::Fault;
use super::input::{Input, for_engine};
use super::rows::{ReadColumns, RecordFormat, Rows};

/// Where a column of the result comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    /// A column of the files.
    File(usize),
    /// A partition column.
    Folder(usize),
}

/// Opens files of records.
#[derive(Debug, Clone)]
pub(super) struct Opener {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) format: RecordFormat,
    pub(super) wanted: ReadColumns,
    /// For each column of the result.
    pub(super) columns: Vec<From>,
    /// The schema of the result.
    pub(super) schema: SchemaRef,
    pub(super) batch_size: usize,
}

impl FileOpener for Opener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let size = file.object_meta.size;
        let within = |place: i64| u64::try_from(place).unwrap_or_default().min(size);
        let (start, end) = file.range.as_ref().map_or((0, size), |range| (within(range.start), within(range.end)));
        let reading = Reading {
            // Whether a line starts exactly at `start` is known from the preceding line break.
            input: Input::new(Arc::clone(&self.store), file.object_meta.clone(), start.saturating_sub(1)),
            rows: Rows::new(self.format, self.wanted.clone())?,
            opener: self.clone(),
            file,
            first: 0,
            end,
            is_in_line: start > 0,
        };
        let batches = futures::stream::try_unfold(reading, async |mut reading: Reading| {
            Ok(reading.next().await?.map(|batch| (batch, reading)))
        });
        Ok(async move { Ok(batches.into_stream().boxed()) }.boxed())
    }
}

/// A file, or a range of it, that is being read.
struct Reading {
    opener: Opener,
    file: PartitionedFile,
    input: Input,
    rows: Rows,
    /// Where the first record starts, and the end of the range: a record belongs to the range in which it starts.
    first: u64,
    end: u64,
    /// Whether the input begins with the rest of a line that starts before the range.
    is_in_line: bool,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.is_in_line {
            if self.input.is_at_end() && self.input.unused().is_empty() {
                return Ok(None);
            }
            self.is_in_line = !self.input.use_up_line();
            if self.is_in_line {
                self.more().await?;
            }
            self.first = self.input.offset();
        }
        loop {
            let within = usize::try_from(self.input.before(self.end)).unwrap_or(usize::MAX);
            let most = self.opener.batch_size;
            match self.rows.read(self.input.unused(), self.input.is_at_end(), within, most) {
                Ok(used) => self.input.use_up(used),
                Err(fault) => return Err(self.refused(fault).await),
            }
            if self.rows.len() >= most {
                return self.batch().map(Some);
            }
            if self.input.is_at_end() || self.input.offset() >= self.end {
                return if self.rows.len() == 0 { Ok(None) } else { self.batch().map(Some) };
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<()> {
        self.input.more().await.map_err(|error| for_engine(&error))
    }

    /// The fault with its file, and with lines counted from the file's start.
    async fn refused(&self, fault: Fault) -> datafusion::error::DataFusionError {
        let before = match self.first {
            0 => Ok(0),
            first => self.input.lines_before(first).await,
        };
        match before {
            Ok(before) => for_engine(&fault.after_lines(before).of_file(&self.file.object_meta.location)),
            Err(error) => for_engine(&error),
        }
    }

    fn batch(&mut self) -> Result<RecordBatch> {
        let (rows, columns) = self.rows.take()?;
        let column = |from: &From| -> Result<ArrayRef> {
            match from {
                From::File(index) => match columns.get(*index) {
                    Some(Some(column)) => Ok(Arc::clone(column)),
                    _ => internal_err!("a column was not read"),
                },
                From::Folder(index) => match self.file.partition_values.get(*index) {
                    Some(value) => value.to_array_of_size(rows),
                    None => internal_err!("a file has no partition values"),
                },
            }
        };
        let columns = self.opener.columns.iter().map(column).collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.opener.schema), columns, &options)?)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::datasource::listing::FileRange;
    use object_store::memory::InMemory;
    use object_store::path::Path as StorePath;
    use object_store::{ObjectStore, ObjectStoreExt};

    use super::super::header::Origin;
    use super::*;

    async fn opener(text: &str, origin: Origin) -> (Opener, PartitionedFile) {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let path = StorePath::from("a.json");
        store.put(&path, text.to_owned().into()).await.unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let file = PartitionedFile::new_from_meta(store.head(&path).await.unwrap());
        let wanted = ReadColumns { schema: Arc::clone(&schema), origin, elsewhere: Vec::new(), read: vec![true] };
        let columns = vec![From::File(0)];
        (Opener { store, format: RecordFormat::Json, wanted, columns, schema, batch_size: 2 }, file)
    }

    async fn values(opener: &Opener, file: &PartitionedFile, start: usize, end: usize) -> Result<Vec<Option<i64>>> {
        let mut file = file.clone();
        file.range = Some(FileRange { start: start as i64, end: end as i64 });
        let batches: Vec<RecordBatch> = opener.open(file)?.await?.try_collect().await?;
        Ok(batches
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>())
            .collect())
    }

    #[tokio::test]
    async fn every_line_is_read_once_wherever_a_file_is_cut() {
        let text = "\u{feff}{\"a\": 1}\r\n\n{\"a\": 2}\n{}\n{\"a\": 4, \"a b\": \"\\n\"}\n{\"a\": null}\n{\"a\": 6}";
        let (opener, file) = opener(text, Origin::Declared).await;
        let all = values(&opener, &file, 0, text.len()).await.unwrap();
        assert_eq!(all, [Some(1), Some(2), None, Some(4), None, Some(6)]);
        for cut in 0..=text.len() {
            let mut parts = values(&opener, &file, 0, cut).await.unwrap();
            parts.extend(values(&opener, &file, cut, text.len()).await.unwrap());
            assert_eq!(parts, all, "{cut}");
        }
    }

    #[tokio::test]
    async fn what_is_refused_is_named_with_its_line_in_the_file() {
        let text = "{\"a\": 1}\n{\"a\": 2}\n\n{\"a\": 2.5}\n{\"a\": 3}\n";
        let (one, file) = opener(text, Origin::Declared).await;
        for start in [0, 3, 11, 19] {
            let refused = values(&one, &file, start, text.len()).await.unwrap_err().to_string();
            assert!(
                refused.contains("`a.json`, line 4: `2.5` does not fit the column `a`, which is long"),
                "{refused}"
            );
        }
        for (record, reason) in [
            ("{\"a\": 1, \"a\": 1}", "the key `a` is a duplicate"),
            ("{\"A\": 1}", "a key `A`, and the column is spelled `a`"),
            ("{\"b\": 1}", "a key `b`, which is not among the columns"),
            ("{\"a\": \"x\"}", "`\"x\"` does not fit"),
            ("{\"a\": [1]}", "`[1]` does not fit"),
            ("[1]", "not a JSON object"),
            ("{\"a\": 1", "EOF"),
            ("{\"a\": 1} {\"a\": 2}", "trailing characters"),
        ] {
            let (one, file) = opener(&format!("{{}}\n{record}\n"), Origin::Found).await;
            let refused = values(&one, &file, 0, 100).await.unwrap_err().to_string();
            assert!(refused.contains("`a.json`, line 2") && refused.contains(reason), "{record}: {refused}");
        }
    }
}
