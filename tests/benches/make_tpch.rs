//! Generates the tables of TPC-H as Parquet files.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::record_batch::RecordBatchReader;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use tpchgen::generators as rows;
use tpchgen_arrow as arrow;

use super::Outcome;

/// Files that a big table has at least.
const MIN_FILES: i32 = 4;

type Reader = Box<dyn RecordBatchReader>;

/// A table: its name, whether it grows with the scale factor, and the rows of part `i` of `n`, counted from 1.
struct Table {
    name: &'static str,
    big: bool,
    read: fn(f64, i32, i32) -> Reader,
}

const TABLES: [Table; 8] = [
    Table {
        name: "lineitem",
        big: true,
        read: |scale, part, parts| {
            Box::new(arrow::LineItemArrow::new(rows::LineItemGenerator::new(scale, part, parts)))
        },
    },
    Table {
        name: "orders",
        big: true,
        read: |scale, part, parts| Box::new(arrow::OrderArrow::new(rows::OrderGenerator::new(scale, part, parts))),
    },
    Table {
        name: "partsupp",
        big: true,
        read: |scale, part, parts| {
            Box::new(arrow::PartSuppArrow::new(rows::PartSuppGenerator::new(scale, part, parts)))
        },
    },
    Table {
        name: "part",
        big: true,
        read: |scale, part, parts| Box::new(arrow::PartArrow::new(rows::PartGenerator::new(scale, part, parts))),
    },
    Table {
        name: "customer",
        big: true,
        read: |scale, part, parts| {
            Box::new(arrow::CustomerArrow::new(rows::CustomerGenerator::new(scale, part, parts)))
        },
    },
    Table {
        name: "supplier",
        big: false,
        read: |scale, part, parts| {
            Box::new(arrow::SupplierArrow::new(rows::SupplierGenerator::new(scale, part, parts)))
        },
    },
    Table {
        name: "nation",
        big: false,
        read: |scale, part, parts| Box::new(arrow::NationArrow::new(rows::NationGenerator::new(scale, part, parts))),
    },
    Table {
        name: "region",
        big: false,
        read: |scale, part, parts| Box::new(arrow::RegionArrow::new(rows::RegionGenerator::new(scale, part, parts))),
    },
];

/// One file to write.
struct Job {
    table: &'static Table,
    part: i32,
    parts: i32,
}

/// Makes the tables at a scale factor, a folder each below `out`. A folder appears once all of its files are written.
pub(crate) fn make(scale: f64, out: &Path) -> Outcome {
    if !(scale.is_finite() && scale > 0.0) {
        return Err("the scale factor must be a number above 0".into());
    }
    let missing: Vec<&'static Table> = TABLES.iter().filter(|table| !out.join(table.name).exists()).collect();
    let mut jobs = VecDeque::new();
    for table in &missing {
        fs::create_dir_all(partial(out, table))?;
        // More files as the tables grow, each of the size it has at scale factor 1.
        let parts = if table.big { (MIN_FILES * scale.round() as i32).max(MIN_FILES) } else { 1 };
        jobs.extend((1..=parts).map(|part| Job { table, part, parts }));
    }
    work_off(jobs, scale, out)?;
    for table in missing {
        fs::rename(partial(out, table), out.join(table.name))?;
    }
    Ok(())
}

fn partial(out: &Path, table: &Table) -> std::path::PathBuf {
    out.join(format!(".{}.partial", table.name))
}

/// Writes the files, as many at a time as there are cores.
fn work_off(jobs: VecDeque<Job>, scale: f64, out: &Path) -> Outcome {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = Mutex::new(jobs);
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        let work = || -> Outcome {
            while let Some(job) = next() {
                write(&job, scale, out)?;
            }
            Ok(())
        };
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for handle in handles {
            handle.join().map_err(|_| "a generator panicked")??;
        }
        Ok(())
    })
}

fn write(job: &Job, scale: f64, out: &Path) -> Outcome {
    let reader = (job.table.read)(scale, job.part, job.parts);
    let path = partial(out, job.table).join(format!("{}-{:04}.parquet", job.table.name, job.part));
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    // Without the Arrow schema the files are like those of any other writer: plain strings, no view types.
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(File::create(&path)?, Arc::clone(&reader.schema()), options)?;
    for batch in reader {
        writer.write(&batch?)?;
    }
    writer.close()?;
    Ok(())
}
