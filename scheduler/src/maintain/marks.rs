//! Pins and tags: versions of tables that people keep.

use chrono::Utc;
use tokio_util::sync::CancellationToken;
use windlass_base::failpoint;
use windlass_base::suggest::did_you_mean;
use windlass_delta::maintenance::missing_files;
use windlass_delta::pin::pin;
use windlass_evidence::artifact::{NewMark, VersionMark};
use windlass_project::spec::source::PinAt;
use windlass_storage::Location;

use super::gate::TableLease;
use super::{MaintainError, tables};
use crate::Scheduler;
use crate::home::Home;
use crate::plan::PlanRequest;
use crate::record::BundleStore;
use crate::state::ProcessIdentity;

/// The pins and tags of a home, by name.
///
/// # Errors
/// [`MaintainError::Record`] if they cannot be read.
pub async fn marks(scheduler: &Scheduler, home: &Home) -> Result<Vec<VersionMark>, MaintainError> {
    Ok(BundleStore::open(scheduler.sessions.stores(), home.root())?.marks().await?)
}

/// Sets a pin or a tag on a version whose files all exist.
///
/// # Errors
/// [`MaintainError::NoTable`], [`MaintainError::MarkTaken`], [`MaintainError::Incomplete`], [`MaintainError::Held`] while
/// the table is being maintained, and [`MaintainError::Delta`] for a version that the log does not tell.
pub async fn set_mark(
    scheduler: &Scheduler,
    request: &PlanRequest,
    mark: NewMark,
) -> Result<VersionMark, MaintainError> {
    let all = tables::all(request)?;
    let Some(table) = all.iter().find(|table| table.name == mark.table) else {
        let help = did_you_mean(mark.table.as_str(), "it writes", all.iter().map(|table| table.name.as_str()));
        return Err(MaintainError::NoTable { table: mark.table, help });
    };
    // A turn that has asked already what keeps versions must not miss this one.
    let lost = CancellationToken::new();
    let lease = TableLease::take(scheduler, &table.location, &request.run, "a pin is set", lost).await?;
    let lease = lease.map_err(|held| MaintainError::Held { table: table.name.clone(), held: Box::new(held) })?;
    let set = set(scheduler, request, mark, &table.location).await;
    lease.release().await;
    set
}

async fn set(
    scheduler: &Scheduler,
    request: &PlanRequest,
    mark: NewMark,
    location: &Location,
) -> Result<VersionMark, MaintainError> {
    let stores = scheduler.sessions.stores();
    let at = mark.version.map_or(PinAt::Latest, |version| PinAt::Version(version.0));
    let table = pin(location, at, stores).await?;
    let missing = missing_files(&table, stores).await?;
    if let Some(first) = missing.first() {
        return Err(MaintainError::Incomplete {
            table: mark.table,
            version: table.version(),
            missing: missing.len(),
            first: first.clone(),
        });
    }
    let mark = VersionMark {
        name: mark.name,
        tag: mark.tag,
        table: mark.table,
        location: location.to_string(),
        version: table.version(),
        created_at: Utc::now(),
        expires_at: mark.expires_at,
        reason: mark.reason,
        by: ProcessIdentity::current().to_string(),
    };
    let bundles = BundleStore::open(stores, request.home.root())?;
    failpoint!("marks.set.before");
    let created = bundles.create_mark(&mark).await?;
    failpoint!("marks.set.after");
    match created {
        Ok(()) => Ok(mark),
        Err(VersionMark { name, table, version, .. }) => Err(MaintainError::MarkTaken { name, table, version }),
    }
}

/// Removes a pin or a tag; gives what it was.
///
/// # Errors
/// [`MaintainError::NoSuchMark`] if there is none of that name.
pub async fn release_mark(scheduler: &Scheduler, home: &Home, name: &str) -> Result<VersionMark, MaintainError> {
    let bundles = BundleStore::open(scheduler.sessions.stores(), home.root())?;
    failpoint!("marks.released.before");
    let removed = bundles.remove_mark(name).await?;
    failpoint!("marks.released.after");
    match removed {
        Some(mark) => Ok(mark),
        None => {
            let marks = bundles.marks().await?;
            let help = did_you_mean(name, "there are", marks.iter().map(|mark| mark.name.as_str()));
            Err(MaintainError::NoSuchMark { name: name.to_owned(), help })
        }
    }
}
