//! What changed between two listings of a store.

use std::collections::BTreeMap;

use super::store::{Change, Entry, Revision};

/// The keys under a prefix as they were last seen.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<String, Revision>);

impl Seen {
    /// What was seen first: nothing of it is a change.
    pub(super) fn new(entries: &[Entry]) -> Self {
        Self(entries.iter().map(|e| (e.key.clone(), e.revision)).collect())
    }

    /// What is different now, deletions first; after that, what is now has been seen.
    pub(super) fn changes(&mut self, entries: Vec<Entry>) -> Vec<Change> {
        let now = Self::new(&entries);
        let gone = self.0.keys().filter(|key| !now.0.contains_key(*key));
        let mut changes: Vec<Change> = gone.map(|key| Change::Deleted { key: key.clone() }).collect();
        let mut put: Vec<Entry> = entries.into_iter().filter(|e| self.0.get(&e.key) != Some(&e.revision)).collect();
        put.sort_by_key(|entry| entry.revision);
        changes.extend(put.into_iter().map(Change::Put));
        *self = now;
        changes
    }

    /// Adds a change to what was seen.
    pub(super) fn note(&mut self, change: &Change) {
        match change {
            Change::Put(entry) => self.0.insert(entry.key.clone(), entry.revision),
            Change::Deleted { key } => self.0.remove(key),
        };
    }
}
