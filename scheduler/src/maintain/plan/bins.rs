//! Files in bins, and how many bins fit into a turn.

use bytesize::ByteSize;
use windlass_evidence::artifact::MaintenanceKind;

use super::files::DataFile;
use super::{Bin, MaintenanceFacts, PlannedAction, Rewrite, Work};

/// How much goes into a bin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity {
    /// Bytes to write.
    live: u64,
    /// Bytes to read: a bin that is more than a turn may rewrite would never be.
    bytes: u64,
}

impl Capacity {
    /// A capacity of so many bytes to write.
    pub(super) fn of(facts: &MaintenanceFacts<'_>, live: u64) -> Self {
        Self { live, bytes: facts.policy.max_bytes.unwrap_or(u64::MAX) }
    }
}

/// Files that are to become one or few.
#[derive(Debug, Clone, Default)]
pub(super) struct Packed<'f> {
    /// The files, by path.
    pub files: Vec<DataFile<'f>>,
    /// Bytes that a rewrite of them would write.
    pub live: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl<'f> Packed<'f> {
    /// The bin as it is rewritten.
    fn bin(&self) -> Bin {
        Bin { files: self.files.iter().map(|file| file.facts.path.clone()).collect(), bytes: self.bytes }
    }

    fn has_room(&self, live: u64, bytes: u64, capacity: Capacity) -> bool {
        self.live.saturating_add(live) <= capacity.live && self.bytes.saturating_add(bytes) <= capacity.bytes
    }

    fn add(&mut self, file: DataFile<'f>) {
        self.live = self.live.saturating_add(file.live);
        self.bytes = self.bytes.saturating_add(file.facts.bytes);
        self.files.push(file);
    }
}

/// Puts files of one partition, which come by path, into bins: each into the first one where it fits. So at most one bin is
/// less than half full, and what is written from the others is not too small again. A file that is larger than a bin has one
/// to itself.
pub(super) fn pack<'f>(files: impl IntoIterator<Item = DataFile<'f>>, capacity: Capacity) -> Vec<Packed<'f>> {
    let files: Vec<DataFile<'f>> = files.into_iter().collect();
    let mut least = vec![(u64::MAX, u64::MAX); files.len()];
    let mut smallest = (u64::MAX, u64::MAX);
    for (least, file) in least.iter_mut().zip(&files).rev() {
        smallest = (smallest.0.min(file.live), smallest.1.min(file.facts.bytes));
        *least = smallest;
    }
    let mut bins: Vec<Packed<'f>> = Vec::new();
    // Before this bin, none has room for any file that is left: so thousands of files are not compared with thousands of bins.
    let mut open = 0;
    for (file, (live, bytes)) in files.into_iter().zip(least) {
        while bins.get(open).is_some_and(|bin| !bin.has_room(live, bytes, capacity)) {
            open += 1;
        }
        match bins.iter_mut().skip(open).find(|bin| bin.has_room(file.live, file.facts.bytes, capacity)) {
            Some(bin) => bin.add(file),
            None => {
                let mut bin = Packed::default();
                bin.add(file);
                bins.push(bin);
            }
        }
    }
    bins
}

/// The bytes that may still be rewritten in this turn.
#[derive(Debug)]
pub(super) struct Budget {
    left: Option<u64>,
    whole: Option<u64>,
}

/// The part of a rewrite that fits into a turn.
#[derive(Debug)]
pub(super) struct Share {
    /// The bins of this turn.
    bins: Vec<Bin>,
    /// Their files.
    files: u64,
    /// Their bytes.
    bytes: u64,
    /// That something is put off, and why; `None` if nothing is.
    put_off: Option<String>,
}

impl Share {
    /// The rewrite of these files: due, unless all of them are put off.
    pub(super) fn planned(self, kind: MaintenanceKind, why: String, zorder: &[String], target: u64) -> PlannedAction {
        let reason = match self.put_off {
            Some(put_off) => format!("{why}; {put_off}"),
            None => why,
        };
        if self.bins.is_empty() {
            return PlannedAction::not_due(kind, reason);
        }
        let rewrite = Rewrite { bins: self.bins, zorder: zorder.to_vec(), target_file_bytes: target };
        PlannedAction::due(kind, reason, Work::Rewrite(rewrite)).with_estimate(self.files, self.bytes)
    }
}

impl Budget {
    /// The budget of a turn.
    pub(super) fn of(facts: &MaintenanceFacts<'_>) -> Self {
        Self { left: facts.budget, whole: facts.policy.max_bytes }
    }

    /// Takes the bins that fit, in their order. One that does not is left to another turn, and so does not stop those that
    /// come after it.
    pub(super) fn take(&mut self, packed: &[Packed<'_>]) -> Share {
        let bins: Vec<Bin> = packed.iter().map(Packed::bin).collect();
        let all = bins.iter().fold(0, |sum: u64, bin| sum.saturating_add(bin.bytes));
        let smallest = bins.iter().map(|bin| bin.bytes).min().unwrap_or(0);
        let before = self.left;
        let mut share = Share { bins: Vec::new(), files: 0, bytes: 0, put_off: None };
        for bin in bins {
            if let Some(left) = self.left {
                let Some(rest) = left.checked_sub(bin.bytes) else { continue };
                self.left = Some(rest);
            }
            share.files += bin.files.len() as u64;
            share.bytes = share.bytes.saturating_add(bin.bytes);
            share.bins.push(bin);
        }
        if let Some(before) = before
            && share.bytes < all
        {
            share.put_off = Some(self.put_off(before, &share, all, smallest));
        }
        share
    }

    fn put_off(&self, before: u64, share: &Share, all: u64, smallest: u64) -> String {
        let done = match share.bins.is_empty() {
            true => format!("none of {} in this turn", ByteSize(all)),
            false => format!("{} of {} in this turn", ByteSize(share.bytes), ByteSize(all)),
        };
        let limit = match self.whole {
            Some(whole) if before < whole => {
                format!("{} are left of `max_bytes`, {}", ByteSize(before), ByteSize(whole))
            }
            Some(whole) => format!("`max_bytes` is {}", ByteSize(whole)),
            None => format!("{} may still be rewritten", ByteSize(before)),
        };
        match share.bins.is_empty() {
            true => format!("{done}: {limit}, and at least {} are rewritten at a time", ByteSize(smallest)),
            false => format!("{done}: {limit}"),
        }
    }
}
