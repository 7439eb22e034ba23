//! Whether the files of a listing are still what they were when they were listed. Readers of text ask for each file while
//! they read it; the engine's readers do not, and would take a part of a file from one state and a part from another.

use std::collections::HashMap;

use datafusion::catalog::TableProvider;
use object_store::ObjectMeta;
use object_store::path::Path as StorePath;
use windlass_project::spec::source::FileFormat;
use windlass_storage::{Location, Stores, content_versions};

use super::files::find;
use super::table::{ListedTable, Scanner};
use crate::session::SessionError;

/// The files of a listing as they were when it was made.
#[derive(Debug)]
pub(super) struct ListingSnapshot {
    pub(super) location: Location,
    pub(super) format: FileFormat,
    pub(super) objects: Vec<ObjectMeta>,
    /// What [`content_versions`] says of each.
    pub(super) marks: Vec<Option<String>>,
}

/// Lists the files of `table` once more, if it is a listing that readers of the engine read, and compares those that were
/// there: to be called when all rows have been read and before anything is made of them. Files that came later are not
/// looked at.
///
/// # Errors
/// [`SessionError::FileChanged`] for a file that is another one or gone, and what the store says if it cannot be listed.
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
            Err(SessionError::NoFiles { .. }) => return self.objects.first().map_or(Ok(()), |gone| Err(changed(gone))),
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
