//! Which columns the files of a source have.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::Session;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};
use windlass_storage::Location;

use super::fault::Fault;
use super::header::{self, Origin};
use super::infer::{self, CsvLook, JsonLook, Look};
use super::input::Input;
use super::rows::RecordFormat;
use crate::session::SessionError;

/// Bytes that are looked at of all files together, unless there are so many that each has a right to more.
const LOOKED_AT: u64 = 64 * 1024 * 1024;
const LEAST_OF_A_FILE: u64 = 64 * 1024;

/// Files of records, and what is known of their columns.
pub(in crate::session) struct Files<'a> {
    pub(in crate::session) store: &'a Arc<dyn ObjectStore>,
    pub(in crate::session) location: &'a Location,
    pub(in crate::session) objects: &'a [ObjectMeta],
    pub(in crate::session) format: RecordFormat,
    /// Columns that come from elsewhere, whatever the files say.
    pub(in crate::session) elsewhere: &'a [String],
}

impl Files<'_> {
    /// The columns that the files have, by their names and by the looks of their values.
    ///
    /// # Errors
    /// [`SessionError`] with the file, and mostly the line, that does not go with what is before it.
    pub(in crate::session) async fn found(&self, state: &dyn Session) -> Result<SchemaRef, SessionError> {
        let most = (LOOKED_AT / self.objects.len().max(1) as u64).max(LEAST_OF_A_FILE);
        match self.format {
            RecordFormat::Csv { has_header, delimiter } => {
                let looks = self.looks(state, most, || CsvLook::new(delimiter, has_header, true)).await?;
                self.csv_schema(looks)
            }
            RecordFormat::Json => {
                let looks = self.looks(state, most, || JsonLook::new(true)).await?;
                self.json_schema(looks)
            }
        }
    }

    /// Checks that the files have the columns of `schema`, which the project declares.
    ///
    /// # Errors
    /// As [`Files::found`].
    pub(in crate::session) async fn check(&self, state: &dyn Session, schema: &Schema) -> Result<(), SessionError> {
        match self.format {
            RecordFormat::Csv { has_header: true, delimiter } => {
                let looks = self.looks(state, u64::MAX, || CsvLook::new(delimiter, true, false)).await?;
                for (object, look) in self.objects.iter().zip(looks) {
                    if let Some(names) = &look.names {
                        let places = header::places(names, schema, Origin::Declared, self.elsewhere);
                        places.map_err(|fault| fault.of_file(&object.location))?;
                    }
                }
                Ok(())
            }
            // The first record of each file says when it is read.
            RecordFormat::Csv { has_header: false, .. } => Ok(()),
            RecordFormat::Json => self.check_keys(schema).await,
        }
    }

    /// A look at up to `most` bytes of each file, in the files' order.
    async fn looks<L: Look + Send>(
        &self,
        state: &dyn Session,
        most: u64,
        look: impl Fn() -> L,
    ) -> Result<Vec<L>, SessionError> {
        let at_once = state.config_options().execution.meta_fetch_concurrency.get();
        // Collected first: a stream over the lazy iterator would borrow it for longer than the compiler can prove.
        let looks: Vec<_> = self.objects.iter().map(|object| self.look_at(object, most, look())).collect();
        futures::stream::iter(looks).buffered(at_once).try_collect().await
    }

    async fn look_at<L: Look>(&self, object: &ObjectMeta, most: u64, mut look: L) -> Result<L, SessionError> {
        let mut input = Input::new(Arc::clone(self.store), object.clone(), 0);
        while !input.is_at_end() && (input.offset() < most || !look.has_seen()) {
            input.more().await?;
            let used = look.look(input.unused(), input.is_at_end());
            input.use_up(used.map_err(|fault| fault.of_file(&object.location))?);
            if most == u64::MAX && look.has_seen() {
                break;
            }
        }
        Ok(look)
    }

    fn csv_schema(&self, looks: Vec<CsvLook>) -> Result<SchemaRef, SessionError> {
        let mut known: Option<(Vec<String>, Vec<infer::Kind>)> = None;
        for (object, look) in self.objects.iter().zip(looks) {
            let Some(names) = look.names else { continue };
            let Some((first, kinds)) = &mut known else {
                if let Some(index) = names.iter().position(String::is_empty) {
                    let reason = format!("has no name for its column {}", index + 1);
                    return Err(Fault::Columns { reason }.of_file(&object.location));
                }
                let own = names.into_iter().zip(look.kinds).filter(|(name, _)| !self.elsewhere.contains(name));
                known = Some(own.unzip());
                continue;
            };
            let schema = infer::csv_schema(first, kinds);
            let places = header::places(&names, &schema, Origin::Found, self.elsewhere);
            let places = places.map_err(|fault| fault.of_file(&object.location))?;
            for (kind, place) in kinds.iter_mut().zip(places) {
                *kind = kind.and(look.kinds[place]);
            }
        }
        let (names, kinds) = known.ok_or_else(|| self.without_columns())?;
        Ok(Arc::new(infer::csv_schema(&names, &kinds)))
    }

    fn json_schema(&self, looks: Vec<JsonLook>) -> Result<SchemaRef, SessionError> {
        let mut fields = Vec::new();
        for (object, look) in self.objects.iter().zip(looks) {
            fields = infer::in_common(fields, look.fields).map_err(|unlike| SessionError::SchemaConflict {
                file: object.location.to_string(),
                reason: format!("`{}` is {} there, and {} in files before it", unlike.place, unlike.now, unlike.before),
            })?;
        }
        if fields.is_empty() {
            return Err(self.without_columns());
        }
        Ok(Arc::new(Schema::new(infer::fields_of(&fields))))
    }

    /// Reads records until each column of `schema` was a key of one.
    async fn check_keys(&self, schema: &Schema) -> Result<(), SessionError> {
        let is_seen = |look: &JsonLook, name: &String| look.fields.iter().any(|(key, _)| key == name);
        let mut missing: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
        let (mut looked_at, mut similar, mut has_records) = (0, None, false);
        for object in self.objects {
            let mut look = JsonLook::new(false);
            let mut input = Input::new(Arc::clone(self.store), object.clone(), 0);
            while !input.is_at_end() {
                input.more().await?;
                let used = look.look(input.unused(), input.is_at_end());
                input.use_up(used.map_err(|fault| fault.of_file(&object.location))?);
                missing.retain(|name| !is_seen(&look, name));
                if missing.is_empty() || looked_at + input.offset() > LOOKED_AT {
                    return Ok(());
                }
            }
            looked_at += object.size;
            has_records |= look.has_seen();
            let key = look.fields.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(missing[0]));
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
        Fault::Columns { reason: "has nothing that would say which columns there are".to_owned() }.of_file(&file)
    }
}
