//! Checks that the files of a listing have not changed since they were listed. Readers of text check each file while
//! they read it; the engine's readers do not, and could mix two states of a file.

use std::collections::HashMap;

use datafusion::catalog::TableProvider;
use object_store::ObjectMeta;
use object_store::path::Path as StorePath;
use windlass_project::spec::source::FileFormat;
use windlass_storage::{Location, Stores, content_versions};

use super::files::find;
use super::table::{ListedTable, Scanner};
use crate::session::SessionError;

/// The files of a listing at the time of the listing.
#[derive(Debug)]
pub(super) struct ListingSnapshot {
    pub(super) location: Location,
    pub(super) format: FileFormat,
    pub(super) objects: Vec<ObjectMeta>,
    /// The [`content_versions`] of each.
    pub(super) marks: Vec<Option<String>>,
}

/// Lists the files of `table` again, if it is a listing read by the engine's readers, and compares the listed files. To
/// be called after all rows have been read and before they are used. Files added later are ignored.
///
/// # Errors
/// [`SessionError::FileChanged`] for a changed or missing file, and the store's error if it cannot be listed.
pub async fn check_unchanged(table: &dyn TableProvider, stores: &Stores) -> Result<(), SessionError> {
    let Some(table) = table.downcast_ref::<ListedTable>() else { return Ok(()) };
    match table.scanner {
        Scanner::Records(..) => Ok(()),
        Scanner::Engine(_) => table.snapshot.check(stores).await,
    }
}

impl ListingSnapshot {
    async fn check(&self, stores: &Stores) -> Result<(), SessionError> {
        let changed = |object: &ObjectMeta| SessionError::FileChanged { path: object.location.to_string() };
        let now = match find(stores.store(&self.location)?.as_ref(), &self.location, &self.format).await {
            Err(SessionError::NoFiles { .. } | SessionError::NoSuchLocation { .. }) => {
                return self.objects.first().map_or(Ok(()), |gone| Err(changed(gone)));
            }
            found => found?.objects,
        };
        let marks = content_versions(&self.location, &now).await;
        let now: HashMap<&StorePath, (&ObjectMeta, &Option<String>)> =
            now.iter().zip(&marks).map(|(object, mark)| (&object.location, (object, mark))).collect();
        for (object, mark) in self.objects.iter().zip(&self.marks) {
            let same = now.get(&object.location).is_some_and(|(now, mark_now)| {
                now.size == object.size && now.last_modified == object.last_modified && *mark_now == mark
            });
            if !same {
                return Err(changed(object));
            }
        }
        Ok(())
    }
}
