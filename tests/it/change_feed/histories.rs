//! Random histories of a table and of a reader that follows it, on metadata only, against a model with every row.
//!
//! Every version's changes reach the reader once and in order, or the reader learns why they cannot. `WINDLASS_FEED_HISTORIES`
//! raises the number of histories.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use windlass_delta::changes::range::{ChangeKind, ChangeRange, CommitFacts, LogFacts, NeededFile, RowsRead, plan};
use windlass_delta::changes::{ChangeError, FileAction, Gap, TableMetadata, VectorDescriptor};

/// The next step of the table or its reader. Numbers select one of the candidates, modulo how many there are.
#[derive(Debug, Clone)]
enum Step {
    Append {
        files: u8,
    },
    Overwrite,
    /// Rows are deleted from a file, which is rewritten; the commit records its changes or not.
    Rewrite {
        file: u8,
        keep: u8,
        recorded: bool,
    },
    /// Rows of a file are marked as deleted, and others as no longer deleted.
    Mark {
        file: u8,
        rows: u8,
    },
    Optimize,
    Restore {
        version: u8,
    },
    Feed {
        on: bool,
    },
    AddColumn,
    DropColumn,
    Replace,
    CleanLog {
        before: u8,
    },
    Vacuum {
        before: u8,
    },
    /// The reader consumes what exists, up to a version that may be the newest.
    Read {
        behind: u8,
    },
    /// The reader does the same and dies before its cursor moves.
    Crash {
        behind: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1..3u8).prop_map(|files| Step::Append { files }),
        1 => Just(Step::Overwrite),
        3 => (any::<u8>(), any::<u8>(), any::<bool>())
            .prop_map(|(file, keep, recorded)| Step::Rewrite { file, keep, recorded }),
        4 => (any::<u8>(), any::<u8>()).prop_map(|(file, rows)| Step::Mark { file, rows }),
        2 => Just(Step::Optimize),
        1 => any::<u8>().prop_map(|version| Step::Restore { version }),
        1 => prop::bool::weighted(0.6).prop_map(|on| Step::Feed { on }),
        1 => Just(Step::AddColumn),
        1 => prop::bool::weighted(0.3).prop_map(|drop| if drop { Step::DropColumn } else { Step::AddColumn }),
        1 => prop::bool::weighted(0.2).prop_map(|replace| if replace { Step::Replace } else { Step::Optimize }),
        1 => any::<u8>().prop_map(|before| Step::CleanLog { before }),
        1 => any::<u8>().prop_map(|before| Step::Vacuum { before }),
        6 => (0..3u8).prop_map(|behind| Step::Read { behind }),
        2 => (0..3u8).prop_map(|behind| Step::Crash { behind }),
    ]
}

/// Rows by their number.
type Rows = BTreeSet<u32>;

/// A file of a version: its path, and which of its rows are deleted.
type Snapshot = BTreeMap<String, BTreeSet<u16>>;

/// Why a version cannot be read, as the model describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Gap,
    FeedOff,
    Columns,
    Replaced,
    Vacuumed,
}

#[derive(Default)]
struct World {
    /// The rows of each data file by position, and of each change data file with whether they were inserted or deleted.
    data: BTreeMap<String, Vec<u32>>,
    recorded: BTreeMap<String, Vec<(u32, bool)>>,
    commits: Vec<CommitFacts>,
    snapshots: Vec<Snapshot>,
    metadata: Vec<TableMetadata>,
    /// By version: why its changes alone could never be read, and the files that hold them.
    broken: Vec<Option<Trouble>>,
    needs: Vec<BTreeSet<String>>,
    oldest_log: usize,
    vacuumed: BTreeSet<String>,
    next_row: u32,
    next_file: u32,
    cursor: usize,
    consumed: Rows,
    /// The versions whose changes were consumed, in order; a rebuild starts over.
    seen: Vec<u64>,
    reads: usize,
    refusals: BTreeMap<Trouble, usize>,
}

fn table(id: u32, columns: &[String], feed: bool) -> TableMetadata {
    let fields: Vec<_> = columns
        .iter()
        .map(|name| serde_json::json!({"name": name, "type": "long", "nullable": true, "metadata": {}}))
        .collect();
    TableMetadata {
        id: format!("table-{id}"),
        schema_string: serde_json::json!({"type": "struct", "fields": fields}).to_string(),
        partition_columns: Vec::new(),
        configuration: [("delta.enableChangeDataFeed".to_owned(), feed.to_string())].into(),
    }
}

fn columns(metadata: &TableMetadata) -> Vec<String> {
    let schema: serde_json::Value = serde_json::from_str(&metadata.schema_string).unwrap();
    schema["fields"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
}

/// A vector whose text says which rows it marks.
fn vector(rows: &BTreeSet<u16>) -> Option<VectorDescriptor> {
    let text = rows.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    (!rows.is_empty()).then(|| VectorDescriptor {
        storage_type: "u".to_owned(),
        path_or_inline_dv: text,
        offset: None,
        size_in_bytes: 1,
        cardinality: rows.len() as i64,
    })
}

fn positions(vector: &VectorDescriptor) -> BTreeSet<u16> {
    vector.path_or_inline_dv.split(',').map(|row| row.parse().unwrap()).collect()
}

fn fact(path: &str, deleted: &BTreeSet<u16>, data_change: bool) -> FileAction {
    FileAction { path: path.to_owned(), data_change, deletion_vector: vector(deleted), ..FileAction::default() }
}

impl World {
    fn new() -> Self {
        let mut world = Self::default();
        let metadata = table(0, &["a".to_owned()], true);
        let commit = CommitFacts { table: Some(metadata.clone()), ..CommitFacts::default() };
        world.commit(commit, Snapshot::new(), metadata, None);
        world
    }

    fn newest(&self) -> usize {
        self.commits.len() - 1
    }

    fn now(&self) -> (&Snapshot, &TableMetadata) {
        (&self.snapshots[self.newest()], &self.metadata[self.newest()])
    }

    /// The rows of a version.
    fn rows(&self, version: usize) -> Rows {
        let rows_of = |(path, deleted): (&String, &BTreeSet<u16>)| {
            let rows = self.data[path].iter().enumerate();
            rows.filter(|(at, _)| !deleted.contains(&(*at as u16))).map(|(_, row)| *row).collect::<Vec<_>>()
        };
        self.snapshots[version].iter().flat_map(rows_of).collect()
    }

    fn commit(
        &mut self,
        mut commit: CommitFacts,
        snapshot: Snapshot,
        metadata: TableMetadata,
        trouble: Option<Trouble>,
    ) {
        commit.written = self.commits.len() as i64 * 1000;
        let needs = match commit.recorded.is_empty() {
            false => commit.recorded.iter().map(|file| file.path.clone()).collect(),
            true => {
                let is_same = |file: &&FileAction| commit.adds.contains(file) && commit.removes.contains(file);
                let files = commit.adds.iter().chain(&commit.removes).filter(|file| file.data_change && !is_same(file));
                files.map(|file| file.path.clone()).collect()
            }
        };
        self.needs.push(needs);
        self.broken.push(trouble.or((!metadata.has_feed()).then_some(Trouble::FeedOff)));
        self.commits.push(commit);
        self.snapshots.push(snapshot);
        self.metadata.push(metadata);
    }

    fn new_file(&mut self, rows: Vec<u32>) -> String {
        self.next_file += 1;
        let path = format!("f{}", self.next_file);
        self.data.insert(path.clone(), rows);
        path
    }

    fn new_rows(&mut self, count: u32) -> Vec<u32> {
        let first = self.next_row;
        self.next_row += count;
        (first..self.next_row).collect()
    }

    fn chosen_file(&self, file: u8) -> Option<(String, BTreeSet<u16>)> {
        let (snapshot, _) = self.now();
        let index = usize::from(file).checked_rem(snapshot.len())?;
        snapshot.iter().nth(index).map(|(path, deleted)| (path.clone(), deleted.clone()))
    }

    fn go(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let (snapshot, metadata) = (self.now().0.clone(), self.now().1.clone());
        match step {
            Step::Append { files } => {
                let (mut commit, mut after) = (CommitFacts::default(), snapshot);
                for _ in 0..*files {
                    let rows = self.new_rows(3);
                    let path = self.new_file(rows);
                    commit.adds.push(fact(&path, &BTreeSet::new(), true));
                    after.insert(path, BTreeSet::new());
                }
                self.commit(commit, after, metadata, None);
            }
            Step::Overwrite => {
                let rows = self.new_rows(4);
                let path = self.new_file(rows);
                self.exchange(snapshot, [(path, BTreeSet::new())].into(), metadata, None);
            }
            Step::Rewrite { file, keep, recorded } => self.rewrite(*file, *keep, *recorded),
            Step::Mark { file, rows } => {
                let Some((path, old)) = self.chosen_file(*file) else { return Ok(()) };
                let all = 0..self.data[&path].len() as u16;
                let new: BTreeSet<u16> = all.filter(|row| rows & (1 << (row % 8)) != 0).collect();
                let commit = CommitFacts {
                    adds: vec![fact(&path, &new, true)],
                    removes: vec![fact(&path, &old, true)],
                    ..CommitFacts::default()
                };
                let mut after = snapshot;
                after.insert(path, new);
                self.commit(commit, after, metadata, None);
            }
            Step::Optimize => {
                let rows: Vec<u32> = self.rows(self.newest()).into_iter().collect();
                let path = self.new_file(rows);
                let commit = CommitFacts {
                    adds: vec![fact(&path, &BTreeSet::new(), false)],
                    removes: snapshot.iter().map(|(path, deleted)| fact(path, deleted, false)).collect(),
                    ..CommitFacts::default()
                };
                self.commit(commit, [(path, BTreeSet::new())].into(), metadata, None);
            }
            Step::Restore { version } => {
                let version = usize::from(*version) % self.commits.len();
                let there = |path: &String| !self.vacuumed.contains(path);
                if self.snapshots[version].keys().all(there) && self.metadata[version].id == metadata.id {
                    self.exchange(snapshot, self.snapshots[version].clone(), metadata, None);
                }
            }
            Step::Feed { on } => {
                let set = table(id_of(&metadata), &columns(&metadata), *on);
                self.set(set, snapshot, None);
            }
            Step::AddColumn => {
                let mut columns = columns(&metadata);
                columns.push(format!("c{}", self.commits.len()));
                self.set(table(id_of(&metadata), &columns, metadata.has_feed()), snapshot, None);
            }
            Step::DropColumn => {
                let mut columns = columns(&metadata);
                columns.remove(0);
                if !columns.is_empty() {
                    let set = table(id_of(&metadata), &columns, metadata.has_feed());
                    self.set(set, snapshot, Some(Trouble::Columns));
                }
            }
            Step::Replace => {
                let set = table(id_of(&metadata) + 1, &columns(&metadata), metadata.has_feed());
                self.exchange(snapshot, Snapshot::new(), set.clone(), Some(Trouble::Replaced));
                if let Some(commit) = self.commits.last_mut() {
                    commit.table = Some(set);
                }
            }
            Step::CleanLog { before } => {
                self.oldest_log = self.oldest_log.max(usize::from(*before) % self.commits.len());
            }
            Step::Vacuum { before } => {
                let kept = usize::from(*before) % self.commits.len();
                let live: BTreeSet<&String> = self.snapshots[kept..].iter().flat_map(BTreeMap::keys).collect();
                let data = self.data.keys().filter(|path| !live.contains(path)).cloned();
                let recorded =
                    self.commits[..kept].iter().flat_map(|commit| &commit.recorded).map(|file| file.path.clone());
                let gone: Vec<String> = data.chain(recorded).collect();
                self.vacuumed.extend(gone);
            }
            Step::Read { behind } => self.read(*behind, true)?,
            Step::Crash { behind } => self.read(*behind, false)?,
        }
        Ok(())
    }

    /// Commits that the files `after` replace those of `before`, as overwrites and restores do.
    fn exchange(&mut self, before: Snapshot, after: Snapshot, metadata: TableMetadata, trouble: Option<Trouble>) {
        let changed = |one: &Snapshot, other: &Snapshot| -> Vec<FileAction> {
            one.iter()
                .filter(|(path, deleted)| other.get(*path) != Some(deleted))
                .map(|(path, deleted)| fact(path, deleted, true))
                .collect()
        };
        let commit =
            CommitFacts { adds: changed(&after, &before), removes: changed(&before, &after), ..CommitFacts::default() };
        self.commit(commit, after, metadata, trouble);
    }

    fn rewrite(&mut self, file: u8, keep: u8, recorded: bool) {
        let Some((path, deleted)) = self.chosen_file(file) else { return };
        let (mut after, metadata) = (self.now().0.clone(), self.now().1.clone());
        let live = self.data[&path].clone().into_iter().enumerate();
        let live: Vec<u32> = live.filter(|(at, _)| !deleted.contains(&(*at as u16))).map(|(_, row)| row).collect();
        let (kept, gone): (Vec<_>, Vec<_>) = live.iter().enumerate().partition(|(at, _)| keep & (1 << (at % 8)) != 0);
        let rows: Vec<u32> = kept.into_iter().map(|(_, row)| *row).collect();
        let added = self.new_rows(1);
        let new = self.new_file(rows.iter().chain(&added).copied().collect());
        after.remove(&path);
        after.insert(new.clone(), BTreeSet::new());
        let mut commit = CommitFacts {
            adds: vec![fact(&new, &BTreeSet::new(), true)],
            removes: vec![fact(&path, &deleted, true)],
            ..CommitFacts::default()
        };
        if recorded {
            let changes =
                gone.into_iter().map(|(_, row)| (*row, false)).chain(added.into_iter().map(|row| (row, true)));
            let name = format!("_change_data/{new}");
            self.recorded.insert(name.clone(), changes.collect());
            commit.recorded.push(fact(&name, &BTreeSet::new(), false));
        }
        self.commit(commit, after, metadata, None);
    }

    /// Commits only metadata.
    fn set(&mut self, metadata: TableMetadata, snapshot: Snapshot, trouble: Option<Trouble>) {
        let commit = CommitFacts { table: Some(metadata.clone()), ..CommitFacts::default() };
        self.commit(commit, snapshot, metadata, trouble);
    }

    /// What a reader finds in the log between its cursor and `to`.
    fn facts(&self, to: usize) -> LogFacts {
        let first = self.cursor + 1;
        let there = first.max(self.oldest_log)..=to;
        let commits = there.map(|version| (version as u64, self.commits[version].clone())).collect();
        // Clean-up leaves a checkpoint at the oldest version. What is true there was true before, unless it was set
        // there.
        let before = match self.cursor >= self.oldest_log {
            true => Some(self.metadata[self.cursor].clone()),
            false if first == self.oldest_log && self.commits[first].table.is_none() => {
                Some(self.metadata[first].clone())
            }
            false => None,
        };
        LogFacts { table: "t".to_owned(), newest: self.newest() as u64, before, commits }
    }

    /// Everything that prevents reading up to `to`, according to the model.
    fn troubles(&self, to: usize) -> BTreeSet<Trouble> {
        let first = self.cursor + 1;
        let mut troubles: BTreeSet<Trouble> = self.broken[first..=to].iter().flatten().copied().collect();
        let unknown = first == self.oldest_log && self.commits[first].table.is_some();
        if first < self.oldest_log || unknown {
            troubles.insert(Trouble::Gap);
        }
        if self.needs[first..=to].iter().flatten().any(|path| self.vacuumed.contains(path)) {
            troubles.insert(Trouble::Vacuumed);
        }
        troubles
    }

    fn read(&mut self, behind: u8, commits: bool) -> Result<(), TestCaseError> {
        let to = self.newest().saturating_sub(usize::from(behind)).max(self.cursor);
        let troubles = if to == self.cursor { BTreeSet::new() } else { self.troubles(to) };
        let facts = if to == self.cursor {
            let before = Some(self.metadata[self.cursor].clone());
            LogFacts { table: "t".to_owned(), newest: self.newest() as u64, before, commits: BTreeMap::new() }
        } else {
            self.facts(to)
        };
        let planned = plan(self.cursor as u64 + 1, to as u64, &facts).and_then(|range| {
            range.check_files(|file| match file {
                NeededFile::Data(path) => !self.vacuumed.contains(*path),
                NeededFile::Vector(_) => true,
            })?;
            Ok(range)
        });
        self.reads += 1;
        match planned {
            Ok(range) => {
                prop_assert!(troubles.is_empty(), "read despite {troubles:?}");
                let rows = self.apply(&range)?;
                prop_assert_eq!(&rows, &self.rows(to), "versions {} to {}", range.first, range.last);
                prop_assert_eq!(range.metadata, self.metadata[to].clone());
                if commits {
                    self.seen.extend(range.first..=range.last);
                    self.consumed = rows;
                    self.cursor = to;
                }
            }
            Err(error) => {
                let reported = match &error {
                    ChangeError::CursorGap { gap: Gap::Missing { .. }, .. } => Trouble::Gap,
                    ChangeError::FeedDisabled { .. } => Trouble::FeedOff,
                    ChangeError::SchemaChanged { .. } => Trouble::Columns,
                    ChangeError::TableReplaced { .. } => Trouble::Replaced,
                    ChangeError::Vacuumed { .. } => Trouble::Vacuumed,
                    other => return Err(TestCaseError::fail(format!("unexpected: {other}"))),
                };
                prop_assert!(troubles.contains(&reported), "{error}, but the troubles are {troubles:?}");
                *self.refusals.entry(reported).or_default() += 1;
                // The reader rebuilds.
                if commits {
                    self.seen = vec![to as u64];
                    self.consumed = self.rows(to);
                    self.cursor = to;
                }
            }
        }
        let ordered = self.seen.windows(2).all(|pair| pair[1] == pair[0] + 1);
        prop_assert!(ordered, "versions were skipped or repeated: {:?}", self.seen);
        Ok(())
    }

    /// The reader's rows after it has consumed `range`: rows can be inserted only if absent and deleted only if
    /// present.
    fn apply(&self, range: &ChangeRange) -> Result<Rows, TestCaseError> {
        let mut rows = self.consumed.clone();
        let mut last = (range.first, 0);
        for version in range.first..=range.last {
            let files: Vec<_> = range.files.iter().filter(|changed| changed.version == version).collect();
            let mut changes = Vec::new();
            for changed in files {
                prop_assert!(changed.version >= last.0, "out of order");
                last = (changed.version, changed.timestamp);
                prop_assert_eq!(changed.timestamp, changed.version as i64 * 1000);
                match changed.kind {
                    ChangeKind::Recorded => changes.extend(self.recorded[&changed.file.path].iter().copied()),
                    kind => {
                        let data = self.data[&changed.file.path].iter().enumerate();
                        let is_read = |at: usize| match &changed.rows {
                            RowsRead::All => true,
                            RowsRead::Without(without) => !positions(without).contains(&(at as u16)),
                            RowsRead::Within { within, without } => {
                                let without = without.as_ref().map(positions).unwrap_or_default();
                                positions(within).contains(&(at as u16)) && !without.contains(&(at as u16))
                            }
                        };
                        let read = data.filter(|(at, _)| is_read(*at));
                        changes.extend(read.map(|(_, row)| (*row, kind == ChangeKind::Insert)));
                    }
                }
            }
            // A row that only moves to another file is deleted and inserted.
            for (row, came) in &changes {
                if !came {
                    prop_assert!(rows.remove(row), "row {row} went, but was not there in version {version}");
                }
            }
            for (row, came) in &changes {
                if *came {
                    prop_assert!(rows.insert(*row), "row {row} came twice in version {version}");
                }
            }
        }
        Ok(rows)
    }
}

fn id_of(metadata: &TableMetadata) -> u32 {
    metadata.id.trim_start_matches("table-").parse().unwrap()
}

#[test]
fn every_version_is_read_once_and_in_order_or_refused() {
    let cases = std::env::var("WINDLASS_FEED_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(2_000);
    let mut runner = TestRunner::new(Config { cases, ..Config::default() });
    let totals = std::cell::RefCell::new((0, BTreeMap::<Trouble, usize>::new()));
    runner
        .run(&prop::collection::vec(step(), 1..60), |steps| {
            let mut world = World::new();
            for step in &steps {
                world.go(step)?;
            }
            // The reader catches up whatever has happened.
            world.read(0, true)?;
            world.read(0, true)?;
            prop_assert_eq!(&world.consumed, &world.rows(world.newest()));
            let mut totals = totals.borrow_mut();
            totals.0 += world.reads;
            world.refusals.iter().for_each(|(trouble, count)| *totals.1.entry(*trouble).or_default() += count);
            Ok(())
        })
        .unwrap();
    let (reads, refusals) = totals.into_inner();
    println!("{cases} histories, {reads} reads, refusals: {refusals:?}");
    let every = [Trouble::Gap, Trouble::FeedOff, Trouble::Columns, Trouble::Replaced, Trouble::Vacuumed];
    assert!(every.iter().all(|trouble| refusals.get(trouble).is_some_and(|count| *count > 20)), "{refusals:?}");
    assert!(reads > refusals.values().sum::<usize>() * 2, "hardly anything was read");
}
