//! Determines the columns of the files of a source.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::Session;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};
use windlass_storage::Location;

use super::fault::Fault;
use super::header::{self, Origin};
use super::infer::{self, CsvSampler, JsonSampler, Sampler};
use super::input::Input;
use super::rows::RecordFormat;
use crate::session::SessionError;

/// The number of bytes sampled from all files together, unless the minimum per file requires more.
const SAMPLE_BYTES: u64 = 64 * 1024 * 1024;
const MIN_SAMPLE_BYTES_PER_FILE: u64 = 64 * 1024;

/// Files of records, with what is known about their columns.
pub(in crate::session) struct Files<'a> {
    pub(in crate::session) store: &'a Arc<dyn ObjectStore>,
    pub(in crate::session) location: &'a Location,
    pub(in crate::session) objects: &'a [ObjectMeta],
    pub(in crate::session) format: RecordFormat,
    /// Columns with another origin, which are ignored in the files.
    pub(in crate::session) elsewhere: &'a [String],
}

impl Files<'_> {
    /// The columns of the files, by name, with types inferred from sampled values.
    ///
    /// # Errors
    /// [`SessionError`] with the file, and usually the line, that is incompatible with earlier values.
    pub(in crate::session) async fn inferred_schema(&self, state: &dyn Session) -> Result<SchemaRef, SessionError> {
        let most = (SAMPLE_BYTES / self.objects.len().max(1) as u64).max(MIN_SAMPLE_BYTES_PER_FILE);
        match self.format {
            RecordFormat::Csv { has_header, delimiter } => {
                let samples = self.sample_files(state, most, || CsvSampler::new(delimiter, has_header, true)).await?;
                self.csv_schema(samples)
            }
            RecordFormat::Json => {
                let samples = self.sample_files(state, most, || JsonSampler::new(true)).await?;
                self.json_schema(samples)
            }
        }
    }

    /// Checks that the files have the columns of `schema`, which the project declares.
    ///
    /// # Errors
    /// As [`Files::inferred_schema`].
    pub(in crate::session) async fn check(&self, state: &dyn Session, schema: &Schema) -> Result<(), SessionError> {
        match self.format {
            RecordFormat::Csv { has_header: true, delimiter } => {
                let samples = self.sample_files(state, u64::MAX, || CsvSampler::new(delimiter, true, false)).await?;
                for (object, sampler) in self.objects.iter().zip(samples) {
                    if let Some(names) = &sampler.names {
                        let places = header::places(names, schema, Origin::Declared, self.elsewhere);
                        places.map_err(|fault| fault.of_file(&object.location))?;
                    }
                }
                Ok(())
            }
            // This is checked when the first record of each file is read.
            RecordFormat::Csv { has_header: false, .. } => Ok(()),
            RecordFormat::Json => self.check_keys(schema).await,
        }
    }

    /// Samples up to `most` bytes of each file, in the files' order.
    async fn sample_files<L: Sampler + Send>(
        &self,
        state: &dyn Session,
        most: u64,
        sampler: impl Fn() -> L,
    ) -> Result<Vec<L>, SessionError> {
        let at_once = state.config_options().execution.meta_fetch_concurrency.get();
        // Collected first: a stream over the lazy iterator would borrow it for longer than the compiler can prove.
        let samples: Vec<_> = self.objects.iter().map(|object| self.sample_file(object, most, sampler())).collect();
        futures::stream::iter(samples).buffered(at_once).try_collect().await
    }

    async fn sample_file<L: Sampler>(&self, object: &ObjectMeta, most: u64, mut sampler: L) -> Result<L, SessionError> {
        let mut input = Input::new(Arc::clone(self.store), object.clone(), 0);
        while !input.is_at_end() && (input.offset() < most || !sampler.has_records()) {
            input.more().await?;
            let used = sampler.observe(input.unused(), input.is_at_end());
            input.use_up(used.map_err(|fault| fault.of_file(&object.location))?);
            if most == u64::MAX && sampler.has_records() {
                break;
            }
        }
        Ok(sampler)
    }

    fn csv_schema(&self, samples: Vec<CsvSampler>) -> Result<SchemaRef, SessionError> {
        let mut known: Option<(Vec<String>, Vec<infer::Kind>)> = None;
        for (object, sampler) in self.objects.iter().zip(samples) {
            let Some(names) = sampler.names else { continue };
            let Some((first, kinds)) = &mut known else {
                if let Some(index) = names.iter().position(String::is_empty) {
                    let reason = format!("has no name for its column {}", index + 1);
                    return Err(Fault::Columns { reason }.of_file(&object.location));
                }
                let own = names.into_iter().zip(sampler.kinds).filter(|(name, _)| !self.elsewhere.contains(name));
                known = Some(own.unzip());
                continue;
            };
            let schema = infer::csv_schema(first, kinds);
            let places = header::places(&names, &schema, Origin::Found, self.elsewhere);
            let places = places.map_err(|fault| fault.of_file(&object.location))?;
            for (kind, place) in kinds.iter_mut().zip(places) {
                *kind = kind.and(sampler.kinds[place]);
            }
        }
        let (names, kinds) = known.ok_or_else(|| self.without_columns())?;
        Ok(Arc::new(infer::csv_schema(&names, &kinds)))
    }

    fn json_schema(&self, samples: Vec<JsonSampler>) -> Result<SchemaRef, SessionError> {
        let mut fields = Vec::new();
        for (object, sampler) in self.objects.iter().zip(samples) {
            fields = infer::common_fields(fields, sampler.fields).map_err(|conflict| SessionError::SchemaConflict {
                file: object.location.to_string(),
                reason: format!(
                    "`{}` is {} there, and {} in files before it",
                    conflict.place, conflict.now, conflict.before
                ),
            })?;
        }
        if fields.is_empty() {
            return Err(self.without_columns());
        }
        Ok(Arc::new(Schema::new(infer::fields_of(&fields))))
    }

    /// Reads records until each column of `schema` was found.
    async fn check_keys(&self, schema: &Schema) -> Result<(), SessionError> {
        let is_seen = |sampler: &JsonSampler, name: &String| sampler.fields.iter().any(|(key, _)| key == name);
        let mut missing: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
        let (mut sampled_bytes, mut similar, mut has_records) = (0, None, false);
        for object in self.objects {
            let mut sampler = JsonSampler::new(false);
            let mut input = Input::new(Arc::clone(self.store), object.clone(), 0);
            while !input.is_at_end() {
                input.more().await?;
                let used = sampler.observe(input.unused(), input.is_at_end());
                input.use_up(used.map_err(|fault| fault.of_file(&object.location))?);
                missing.retain(|name| !is_seen(&sampler, name));
                if missing.is_empty() || sampled_bytes + input.offset() > SAMPLE_BYTES {
                    return Ok(());
                }
            }
            sampled_bytes += object.size;
            has_records |= sampler.has_records();
            let key = sampler.fields.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(missing[0]));
            similar = similar.or(key.map(|(key, _)| key));
        }
        match has_records {
            true => Err(SessionError::NoSuchColumn {
                location: self.location.to_string(),
                column: missing[0].clone(),
                similar,
            }),
            false => Ok(()),
        }
    }

    fn without_columns(&self) -> SessionError {
        let file = self.objects.first().map_or_else(|| self.location.to_string(), |object| object.location.to_string());
        Fault::Columns { reason: "has nothing that defines its columns".to_owned() }.of_file(&file)
    }
}
