//! Whether a stage's table can be used as it is, brought up to date, or must be computed again: decided from what the
//! table remembers and what its inputs are now. Pure: no engine, no store.

use std::collections::BTreeMap;

use windlass_base::code_parts::CodeParts;
use windlass_base::ids::{NodeName, TableVersion};
use windlass_delta::cursor::{RESET, TableProgress};
use windlass_evidence::artifact::Cause;
use windlass_project::spec::table::{Incremental, OnDefinitionChange, WriteMode};

/// What is known of a stage when it is decided about.
#[derive(Debug, Clone)]
pub struct StageFacts<'f> {
    /// Whether it asks to be incremental.
    pub incremental: Incremental,
    /// Whether every run adds rows.
    pub mode: WriteMode,
    /// What happens to the rows of a former definition.
    pub on_definition_change: OnDefinitionChange,
    /// Its definition, as the table's transaction writes it.
    pub code: i64,
    /// What that is made of.
    pub parts: CodeParts,
    /// Why its rows differ from run to run though nothing has changed, if they do.
    pub volatile: Option<String>,
    /// What its table remembers; `None` if there is no table.
    pub memory: Option<&'f TableProgress>,
    /// What it reads, views and caches seen through.
    pub inputs: Vec<InputFacts>,
    /// Whether someone asked for all rows to be computed again.
    pub refresh: bool,
    /// Whether the run that committed last never came to its end.
    pub interrupted: bool,
    /// Whether its rows are told apart by a key.
    pub keyed: bool,
}

/// What is known of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFacts {
    /// The name under which it is read.
    pub name: NodeName,
    /// Its state.
    pub state: InputState,
    /// The first version whose changes someone asked to apply, again or not.
    pub from_version: Option<TableVersion>,
    /// The last such version.
    pub to_version: Option<TableVersion>,
    /// The commit by which its log has the version that the last run took in; `None` if the log does not tell any more.
    pub commit: Option<i64>,
    /// Whether all that was committed to it since the last run leaves its rows as they are, which is known where the stage
    /// would compute all rows otherwise.
    pub only_rewritten: bool,
}

/// The state of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputState {
    /// A Delta table at a version.
    Table {
        /// The table's id.
        id: String,
        /// The version.
        version: TableVersion,
    },
    /// A table that a stage of this run has yet to bring up to date.
    Pending,
    /// Files as they are listed, as the table's transaction writes their listing.
    Files {
        /// The listing.
        mark: i64,
    },
}

/// What is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The table is as a run would make it.
    Reuse,
    /// A run that was interrupted has committed the rows of this one, which has to say so in the table.
    Done {
        /// Why, as a sentence about the stage.
        reason: String,
    },
    /// Only changes of its inputs are missing.
    Incremental(Cursors),
    /// All rows are computed.
    Full {
        /// Why, in a word.
        cause: Cause,
        /// Why, as a sentence about the stage.
        reason: String,
        /// What of the reuse key had changed.
        missed: Vec<String>,
    },
    /// The stage may not be computed again unless someone asks for it.
    Refuse {
        /// Why.
        reason: String,
    },
}

/// Versions of a table whose changes are applied already and are applied once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// The first of them.
    pub first: TableVersion,
    /// The last.
    pub last: TableVersion,
}

/// Where the changes of each input begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursors {
    /// The version of each table up to which changes are applied.
    pub tables: BTreeMap<NodeName, TableVersion>,
    /// What comes once more of the tables whose cursor was set back, or of which a range was asked for.
    pub again: BTreeMap<NodeName, Again>,
    /// Inputs that have changed, or may have by the time they are read.
    pub changed: Vec<NodeName>,
    /// Sources of files that have changed, with the listing that is applied.
    pub files: BTreeMap<NodeName, i64>,
    /// The version of the stage's table after which others have changed rows: what they touched is computed again.
    pub repair: Option<TableVersion>,
    /// What of the reuse key had changed.
    pub missed: Vec<String>,
}

/// Decides about a stage.
pub fn decide(facts: &StageFacts<'_>) -> Verdict {
    let full = |cause: Cause, reason: &str, missed: &str| Verdict::Full {
        cause,
        reason: reason.to_owned(),
        missed: vec![missed.to_owned()],
    };
    // What would compute all rows although nobody asked for it.
    let unasked = |cause: Cause, reason: String, missed: String| match facts.incremental {
        Incremental::Strict => Verdict::Refuse { reason },
        Incremental::Auto | Incremental::Off => Verdict::Full { cause, reason, missed: vec![missed] },
    };
    let adds_in_every_run = facts.mode == WriteMode::Append && facts.incremental == Incremental::Off;
    if adds_in_every_run && let Some(done) = done_before(facts) {
        return done;
    }
    if facts.refresh {
        return full(Cause::FullRefresh, "a full refresh was asked for", "a full refresh was asked for");
    }
    let Some(memory) = facts.memory.filter(|memory| memory.last_run.is_some()) else {
        return full(Cause::NotBuilt, "its table has no rows of a run yet", "table: there is none yet");
    };
    if adds_in_every_run {
        return full(Cause::EveryRun, "every run adds its rows", "table: every run adds to it");
    }
    let mut cursors = Cursors::default();
    if let Some(version) = memory.foreign {
        let reason = format!("another program changed its table in version {version}");
        let told_by_feed = facts.incremental == Incremental::Strict && facts.keyed && !memory.redefined;
        match memory.run_version.filter(|_| told_by_feed) {
            Some(own) => (cursors.repair, cursors.missed) = (Some(own), vec![format!("table: {reason}")]),
            None => return unasked(Cause::ForeignChange, reason.clone(), format!("table: {reason}")),
        }
    }
    if let Some(reason) = other_code(facts, memory) {
        return match facts.on_definition_change {
            OnDefinitionChange::Rebuild => full(Cause::CodeChanged, &reason, &format!("code: {reason}")),
            OnDefinitionChange::Refuse => Verdict::Refuse { reason },
        };
    }
    if let Some(volatile) = &facts.volatile {
        if let Some(done) = done_before(facts) {
            return done;
        }
        return full(Cause::Volatile, volatile, &format!("code: {volatile}"));
    }
    for input in &facts.inputs {
        match look_at(input, memory) {
            Look::Same => {}
            Look::Changed { cursor, what } => {
                cursors.tables.extend(cursor.map(|cursor| (input.name.clone(), cursor)));
                cursors.changed.push(input.name.clone());
                cursors.missed.push(what);
            }
            Look::Again { cursor, again, what } => {
                cursors.tables.insert(input.name.clone(), cursor);
                cursors.again.insert(input.name.clone(), again);
                cursors.changed.push(input.name.clone());
                cursors.missed.push(what);
            }
            Look::FilesChanged { mark, what } => {
                cursors.files.insert(input.name.clone(), mark);
                cursors.changed.push(input.name.clone());
                cursors.missed.push(what);
            }
            Look::Reset => {
                let reason = format!("the cursor of `{}` was reset", input.name);
                let missed = format!("data of {}: the cursor was reset", input.name);
                return full(Cause::CursorReset, &reason, &missed);
            }
            Look::Unknown { why } => {
                let (reason, missed) = (format!("`{}` {why}", input.name), format!("data of {}: it {why}", input.name));
                return unasked(Cause::InputReplaced, reason, missed);
            }
        }
    }
    if cursors.changed.is_empty() && cursors.repair.is_none() {
        return Verdict::Reuse;
    }
    if let Some(name) = cursors.again.keys().next().filter(|_| facts.mode == WriteMode::Append) {
        let reason =
            format!("changes of `{name}` that are in its rows are applied once more, and rows can only be added to it");
        return Verdict::Full { cause: Cause::AppliedAgain, reason, missed: cursors.missed };
    }
    match facts.incremental {
        Incremental::Off => Verdict::Full {
            cause: Cause::DataChanged,
            reason: format!("{}; it does not ask to be incremental", changed_text(&cursors.changed)),
            missed: cursors.missed,
        },
        Incremental::Auto | Incremental::Strict => Verdict::Incremental(cursors),
    }
}

/// Why the rows of the table are not what the stage's code makes of its inputs, if they are not.
fn other_code(facts: &StageFacts<'_>, memory: &TableProgress) -> Option<String> {
    if memory.code != Some(facts.code) {
        return Some(facts.parts.reason(memory.code_parts.as_ref()));
    }
    // Only what is incremental refuses nulls in keys, and makes the rows of every run those of a whole.
    let unchecked =
        facts.incremental != Incremental::Off && !memory.code_parts.as_ref().is_some_and(|parts| parts.incremental);
    let since = match facts.mode {
        WriteMode::Append => "every run added all of its rows",
        _ => "its key could be null",
    };
    unchecked.then(|| format!("`incremental` was off when its rows were made, and {since}"))
}

/// Whether a run that was interrupted has committed what this run is to do: this one carries it on then, also where every
/// run has something to do. With another definition or other inputs it is a run of its own.
fn done_before(facts: &StageFacts<'_>) -> Option<Verdict> {
    let memory = facts.memory.filter(|memory| facts.interrupted && memory.last_run.is_some())?;
    if facts.mode != WriteMode::Append && memory.foreign.is_some() {
        return None;
    }
    let same = |input: &InputFacts| input.from_version.is_none() && matches!(look_at(input, memory), Look::Same);
    let carries_on = memory.code == Some(facts.code) && facts.inputs.iter().all(same);
    carries_on.then(|| Verdict::Done {
        reason: match &memory.run_id {
            Some(run) => format!("run {run}, which was interrupted, has committed its rows"),
            None => "a run that was interrupted has committed its rows".to_owned(),
        },
    })
}

/// What has changed, as the beginning of a sentence.
pub fn changed_text(changed: &[NodeName]) -> String {
    let names: Vec<String> = changed.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [one] => format!("{one} has changed"),
        [first @ .., last] => format!("{} and {last} have changed", first.join(", ")),
        [] => "nothing has changed".to_owned(),
    }
}

/// What an input shows.
enum Look {
    Same,
    Changed { cursor: Option<TableVersion>, what: String },
    Again { cursor: TableVersion, again: Again, what: String },
    FilesChanged { mark: i64, what: String },
    Reset,
    Unknown { why: String },
}

fn look_at(input: &InputFacts, memory: &TableProgress) -> Look {
    let name = &input.name;
    match &input.state {
        InputState::Pending => look_at_pending(input, memory),
        InputState::Files { mark } => match memory.files.get(name) {
            None => Look::Unknown { why: "is read for the first time".to_owned() },
            Some(&RESET) => Look::Reset,
            Some(taken) if taken == mark => Look::Same,
            Some(taken) => Look::FilesChanged { mark: *taken, what: format!("data of {name}: its files have changed") },
        },
        InputState::Table { id, version } => look_at_table(input, id, *version, memory),
    }
}

/// A table that is brought up to date before it is read: its cursor belongs to the table that it is by then.
fn look_at_pending(input: &InputFacts, memory: &TableProgress) -> Look {
    let name = &input.name;
    let what = format!("data of {name}: this run brings it up to date");
    let known: Vec<_> = memory.sources.iter().filter(|((source, _), _)| source == name).collect();
    match known.as_slice() {
        [] => Look::Unknown { why: "is read for the first time".to_owned() },
        [(key, cursor)] => match u64::try_from(**cursor).map(TableVersion) {
            Ok(cursor) => {
                let taken = memory.applied_version(key, cursor);
                match again(input, cursor, taken) {
                    Some(again) => Look::Again { cursor: taken, again, what },
                    None => Look::Changed { cursor: Some(taken), what },
                }
            }
            Err(_) => Look::Reset,
        },
        _ => Look::Changed { cursor: None, what },
    }
}

fn look_at_table(input: &InputFacts, id: &str, version: TableVersion, memory: &TableProgress) -> Look {
    let name = &input.name;
    let key = (name.clone(), id.to_owned());
    let Some(cursor) = memory.sources.get(&key) else {
        let why = match memory.sources.keys().any(|(source, _)| source == name) {
            true => "is another table than the one that was applied",
            false => "is read for the first time",
        };
        return Look::Unknown { why: why.to_owned() };
    };
    let Ok(cursor) = u64::try_from(*cursor).map(TableVersion) else { return Look::Reset };
    let taken = memory.applied_version(&key, cursor);
    if taken > version {
        let why = format!("is read at version {version}, and version {taken} is already applied");
        return Look::Unknown { why };
    }
    if let (Some(read), Some(now)) = (memory.commits.get(&key), input.commit)
        && *read != now
    {
        let last = memory.applied.get(&key).copied().unwrap_or_default();
        let why = format!("has another history than the one that was applied: its version {last} is another commit");
        return Look::Unknown { why };
    }
    if let Some(again) = again(input, cursor, taken) {
        let Again { first, last } = again;
        let what = format!("data of {name}: its changes from version {first} to {last} are applied once more");
        return Look::Again { cursor: taken, again, what };
    }
    if taken == version || input.only_rewritten {
        return Look::Same;
    }
    Look::Changed { cursor: Some(taken), what: format!("data of {name}: version {taken} → {version}") }
}

/// What of an input that is applied up to `taken` is applied once more, its cursor being at `cursor`.
fn again(input: &InputFacts, cursor: TableVersion, taken: TableVersion) -> Option<Again> {
    let set_back = (cursor < taken).then_some(Again { first: TableVersion(cursor.0 + 1), last: taken });
    let asked =
        input.from_version.map(|first| Again { first, last: input.to_version.map_or(taken, |to| to.min(taken)) });
    match (set_back, asked.filter(|asked| asked.first <= asked.last)) {
        (Some(one), Some(other)) => Some(Again { first: one.first.min(other.first), last: one.last.max(other.last) }),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
