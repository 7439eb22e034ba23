//! A plan in a file: what somebody looked at and approved, to be applied only if it is still valid.
//!
//! ```text
//! PlannedRun ─SavedPlan::new→ p.json ─read→ SavedPlan ─┐
//! PlannedRun of the moment ─SavedPlan::new→ SavedPlan ─┴moved→ what is no longer as it was
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use windlass_base::code_parts::CodeParts;
use windlass_base::coded;
use windlass_base::count::counted;
use windlass_base::ids::{NodeName, PipelineName, TableVersion};
use windlass_project::strategy::Strategy;

use super::pins::PinRecord;
use super::plan::{PlanDecision, PlannedRun, StageDecision};
use super::refresh::Refresh;

/// The form of the file that this Windlass writes. A reader refuses greater ones.
pub const SAVED_PLAN_FORMAT: u32 = 1;

/// What a run is to be made from, as it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedRequest {
    /// The target of the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Values of parameters, by name; the others have their defaults.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Locations of sources that were put elsewhere, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, String>,
    /// What is selected; everything if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub select: Vec<String>,
    /// What is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// What is computed from scratch.
    #[serde(default, skip_serializing_if = "Refresh::is_empty")]
    pub refresh: Refresh,
}

/// A plan as `windlass plan --out` writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedPlan {
    /// [`SAVED_PLAN_FORMAT`] of the writer.
    pub format: u32,
    /// The version of Windlass that wrote it.
    pub windlass: String,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// What was asked for, to be asked for again.
    pub request: SavedRequest,
    /// The value of every parameter.
    pub params: BTreeMap<String, Value>,
    /// The hash of everything about the session that can change a plan.
    pub session_identity: String,
    /// What was decided for each stage.
    pub stages: Vec<SavedStage>,
    /// What was to be read, at which state.
    pub pins: Vec<PinRecord>,
    /// What each stage's table had applied.
    pub cursors: Vec<SavedCursor>,
}

/// What was decided for a stage, and for which code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedStage {
    /// The stage.
    pub stage: NodeName,
    /// The hash of all that decides its rows but the data.
    pub code_version: String,
    /// A hash of each part of that, by which it can be told what has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_parts: Option<CodeParts>,
    /// How its rows were to come about.
    pub decision: PlanDecision,
    /// How its table was to be brought up to date, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
}

/// What a stage's table had applied of a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SavedCursor {
    /// The stage.
    pub stage: NodeName,
    /// The source or stage that it reads.
    pub source: NodeName,
    /// The last version applied, or the hash of a listing for files; -1 after a reset, none if there is no cursor.
    pub version: Option<i64>,
}

/// Why a file cannot be applied as a plan.
#[derive(Debug, thiserror::Error)]
pub enum SavedPlanError {
    /// The text is not a saved plan.
    #[error("this is not a saved plan")]
    Unreadable(#[source] serde_json::Error),
    /// It was written by a later version of Windlass.
    #[error("the plan has format {found}, and this version of windlass reads format {SAVED_PLAN_FORMAT}")]
    Later {
        /// Its form.
        found: u32,
    },
}

coded! {
    SavedPlanError {
        Unreadable => "WL0662", "make a new plan with `windlass plan --out FILE`";
        Later => "WL0663", "make a new plan with `windlass plan --out FILE`";
    }
}

impl SavedPlan {
    /// The plan to keep of a request and of what was planned for it.
    pub fn new(request: SavedRequest, planned: &PlannedRun) -> Self {
        let params = match &planned.params {
            Value::Object(params) => params.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            _ => BTreeMap::new(),
        };
        let stage = |decision: &StageDecision| SavedStage {
            stage: decision.stage.clone(),
            code_version: decision.code_version.clone(),
            code_parts: decision.code_parts.clone(),
            decision: decision.decision,
            strategy: decision.strategy,
        };
        Self {
            format: SAVED_PLAN_FORMAT,
            windlass: env!("CARGO_PKG_VERSION").to_owned(),
            pipeline: planned.pipeline.clone(),
            request,
            params,
            session_identity: planned.session_identity.clone(),
            stages: planned.stages.iter().map(stage).collect(),
            pins: planned.pins.clone(),
            cursors: planned.cursors.clone(),
        }
    }

    /// The plan as the text of its file.
    pub fn to_json(&self) -> String {
        // A plan is made of texts and numbers: there is nothing in it that JSON refuses.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The plan that `text` is.
    ///
    /// # Errors
    /// [`SavedPlanError`] if it is none, or one of a later version of Windlass.
    pub fn read(text: &str) -> Result<Self, SavedPlanError> {
        #[derive(Deserialize)]
        struct Form {
            format: u32,
        }
        let Form { format: found } = serde_json::from_str(text).map_err(SavedPlanError::Unreadable)?;
        if found > SAVED_PLAN_FORMAT {
            return Err(SavedPlanError::Later { found });
        }
        serde_json::from_str(text).map_err(SavedPlanError::Unreadable)
    }
}

/// Something that has changed since a plan was saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "moved", rename_all = "snake_case")]
pub enum Moved {
    /// It is another pipeline.
    Pipeline {
        /// That of the plan.
        from: PipelineName,
        /// The one now.
        to: PipelineName,
    },
    /// Another target, selection or refresh is asked for.
    Request,
    /// A parameter has another value.
    Parameter {
        /// The parameter.
        name: String,
        /// Its value in the plan; none if there was no such parameter.
        from: Option<String>,
        /// Its value now.
        to: Option<String>,
    },
    /// The settings of the engine, its version or the functions have changed.
    Session {
        /// The identity in the plan.
        from: String,
        /// The identity now.
        to: String,
    },
    /// What decides the rows of a stage, its data apart, has changed.
    Code {
        /// The stage.
        stage: NodeName,
        /// What of it, as a sentence: `its definition has changed`.
        #[serde(default = "definition_changed")]
        what: String,
    },
    /// A stage that was not in the plan would run.
    NewStage {
        /// The stage.
        stage: NodeName,
    },
    /// A stage of the plan would not run.
    LostStage {
        /// The stage.
        stage: NodeName,
    },
    /// A stage would be decided otherwise.
    Decision {
        /// The stage.
        stage: NodeName,
        /// How, by the plan.
        from: String,
        /// How now.
        to: String,
    },
    /// A source or table is at another state.
    Snapshot {
        /// The source, or the stage whose table is read.
        source: NodeName,
        /// Its state in the plan; none if it was not read.
        from: Option<String>,
        /// Its state now.
        to: Option<String>,
    },
    /// A stage's table has applied something else.
    Cursor {
        /// The stage.
        stage: NodeName,
        /// What it reads.
        source: NodeName,
        /// What it had applied.
        from: Option<i64>,
        /// What it has applied now.
        to: Option<i64>,
    },
}

fn definition_changed() -> String {
    "its definition has changed".to_owned()
}

impl Moved {
    /// The stage that would run otherwise, if it is that.
    fn stage(&self) -> Option<&NodeName> {
        match self {
            Self::NewStage { stage } | Self::LostStage { stage } | Self::Decision { stage, .. } => Some(stage),
            _ => None,
        }
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = || "none".to_owned();
        match self {
            Self::Pipeline { from, to } => write!(f, "pipeline: {from} → {to}"),
            Self::Request => write!(f, "request: another target, selection or refresh than the plan's"),
            Self::Parameter { name, from, to } => {
                let (from, to) = (from.clone().unwrap_or_else(none), to.clone().unwrap_or_else(none));
                write!(f, "parameter {name}: {from} → {to}")
            }
            Self::Session { from, to } => write!(f, "session: identity {from} → {to}"),
            Self::Code { stage, what } => write!(f, "stage {stage}: {what}"),
            Self::NewStage { stage } => write!(f, "stage {stage}: not in the plan"),
            Self::LostStage { stage } => write!(f, "stage {stage}: in the plan, but it would not run"),
            Self::Decision { stage, from, to } => write!(f, "stage {stage}: {from} → {to}"),
            Self::Snapshot { source, from, to } => {
                let unread = || "not read".to_owned();
                write!(
                    f,
                    "source {source}: {} → {}",
                    from.clone().unwrap_or_else(unread),
                    to.clone().unwrap_or_else(unread)
                )
            }
            Self::Cursor { stage, source, from, to } => {
                let shown = |version: &Option<i64>| match version {
                    None => none(),
                    Some(-1) => "reset".to_owned(),
                    Some(version) => version.to_string(),
                };
                write!(f, "cursor of {stage} for {source}: {} → {}", shown(from), shown(to))
            }
        }
    }
}

/// A plan was to be applied that is no longer valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan is no longer valid:{}", listed(.moved))]
pub struct PlanMoved {
    /// What moved; never empty.
    pub moved: Vec<Moved>,
}

fn listed(moved: &[Moved]) -> String {
    moved.iter().map(|moved| format!("\n  {moved}")).collect()
}

coded! {
    struct PlanMoved => "WL0661", "make a new plan with `windlass plan --out FILE`, look at it, and apply that";
}

/// What is no longer as `saved` has it: none if the plan can be applied. The order of lists makes no difference.
pub fn moved(saved: &SavedPlan, now: &SavedPlan) -> Vec<Moved> {
    let mut moved = Vec::new();
    if saved.pipeline != now.pipeline {
        moved.push(Moved::Pipeline { from: saved.pipeline.clone(), to: now.pipeline.clone() });
    }
    let asked = |plan: &SavedPlan| {
        let SavedRequest { target, select, exclude, refresh, .. } = plan.request.clone();
        (target, select, exclude, refresh)
    };
    if asked(saved) != asked(now) {
        moved.push(Moved::Request);
    }
    moved.extend(differences(&saved.params, &now.params).map(|(name, from, to)| Moved::Parameter {
        name: name.clone(),
        from: from.map(shown),
        to: to.map(shown),
    }));
    if saved.session_identity != now.session_identity {
        moved.push(Moved::Session { from: saved.session_identity.clone(), to: now.session_identity.clone() });
    }
    let stages = |plan: &SavedPlan| -> BTreeMap<NodeName, SavedStage> {
        plan.stages.iter().map(|stage| (stage.stage.clone(), stage.clone())).collect()
    };
    for (stage, from, to) in differences(&stages(saved), &stages(now)) {
        moved.extend(moved_stage(stage, from, to));
    }
    let pins = |plan: &SavedPlan| -> BTreeMap<NodeName, PinRecord> {
        plan.pins.iter().map(|pin| (pin.source.clone(), pin.clone())).collect()
    };
    for (source, from, to) in differences(&pins(saved), &pins(now)) {
        // A table is pinned where it is used as it is: that it no longer is has been said of the stage.
        let told = (from.is_none() || to.is_none()) && moved.iter().any(|moved| moved.stage() == Some(source));
        if !told {
            moved.extend(moved_pin(source, from, to));
        }
    }
    let cursors = |plan: &SavedPlan| -> BTreeMap<(NodeName, NodeName), Option<i64>> {
        plan.cursors.iter().map(|at| ((at.stage.clone(), at.source.clone()), at.version)).collect()
    };
    for ((stage, source), from, to) in differences(&cursors(saved), &cursors(now)) {
        let (stage, source) = (stage.clone(), source.clone());
        let (from, to) = (from.copied().flatten(), to.copied().flatten());
        // No entry and an entry without a version say the same.
        if from != to {
            moved.push(Moved::Cursor { stage, source, from, to });
        }
    }
    moved
}

/// The value of a parameter: as plans write it, a mapping of its type and its text.
fn shown(value: &Value) -> String {
    match value.get("value") {
        Some(Value::String(text)) => text.clone(),
        _ => value.to_string(),
    }
}

/// The keys whose values differ in two maps, in order, with the values.
fn differences<'m, K: Ord, V: PartialEq>(
    one: &'m BTreeMap<K, V>,
    other: &'m BTreeMap<K, V>,
) -> impl Iterator<Item = (&'m K, Option<&'m V>, Option<&'m V>)> {
    let keys: BTreeSet<&K> = one.keys().chain(other.keys()).collect();
    let pairs = keys.into_iter().map(move |key| (key, one.get(key), other.get(key)));
    pairs.filter(|(_, from, to)| from != to)
}

fn moved_stage(stage: &NodeName, from: Option<&SavedStage>, to: Option<&SavedStage>) -> Vec<Moved> {
    let stage = stage.clone();
    let (from, to) = match (from, to) {
        (Some(from), Some(to)) => (from, to),
        (None, _) => return vec![Moved::NewStage { stage }],
        (_, None) => return vec![Moved::LostStage { stage }],
    };
    let mut moved = Vec::new();
    moved.extend(moved_code(from, to).map(|what| Moved::Code { stage: stage.clone(), what }));
    let decided = |saved: &SavedStage| match saved.strategy {
        Some(strategy) if strategy.as_str() != saved.decision.as_str() => {
            format!("{} ({})", saved.decision.as_str(), strategy.as_str())
        }
        _ => saved.decision.as_str().to_owned(),
    };
    if (from.decision, from.strategy) != (to.decision, to.strategy) {
        moved.push(Moved::Decision { stage, from: decided(from), to: decided(to) });
    }
    moved
}

/// What of the code of a stage has changed, if anything has.
fn moved_code(from: &SavedStage, to: &SavedStage) -> Option<String> {
    let parts = from.code_parts.as_ref().zip(to.code_parts.as_ref());
    if from.code_version == to.code_version {
        // It says nothing about rows, and whether their key is enforced.
        let (from, to) = parts.filter(|(from, to)| from.incremental != to.incremental)?;
        let switched = |on: bool| if on { "on" } else { "off" };
        return Some(format!("`incremental`: {} → {}", switched(from.incremental), switched(to.incremental)));
    }
    // A plan of an earlier version of Windlass has no parts.
    Some(parts.map_or_else(definition_changed, |(from, to)| to.changed_text(from)))
}

/// How two pins of one source differ in what is read. How the version was chosen does not matter.
fn moved_pin(source: &NodeName, from: Option<&PinRecord>, to: Option<&PinRecord>) -> Option<Moved> {
    let (from, to) = match (from, to) {
        (Some(from), Some(to)) => two_states(from, to)?,
        (from, to) => (from.map(state), to.map(state)),
    };
    Some(Moved::Snapshot { source: source.clone(), from, to })
}

fn two_states(from: &PinRecord, to: &PinRecord) -> Option<(Option<String>, Option<String>)> {
    if from.location != to.location || from.kind != to.kind {
        let place = |pin: &PinRecord| Some(format!("{} at {}", pin.kind, pin.location));
        return Some((place(from), place(to)));
    }
    if from.version != to.version {
        let to = to.version.map_or_else(|| state(to), |version| version.to_string());
        return Some((Some(state(from)), Some(to)));
    }
    if from.content_identity != to.content_identity {
        return Some((Some(files(from)), Some(format!("other files: {}", files(to)))));
    }
    // The same version of a table that was recreated in the same place.
    match (from.committed_at, to.committed_at) {
        (Some(before), Some(after)) if before != after => {
            let at = |pin: &PinRecord, at: chrono::DateTime<chrono::Utc>| {
                Some(format!("{} of {}", state(pin), at.format("%F %T%.3f UTC")))
            };
            Some((at(from, before), at(to, after)))
        }
        _ => None,
    }
}

fn state(pin: &PinRecord) -> String {
    match pin.version {
        Some(TableVersion(version)) => format!("version {version}"),
        None => files(pin),
    }
}

fn files(pin: &PinRecord) -> String {
    format!("{} of {}", counted(pin.files, "file"), counted(pin.bytes, "byte"))
}
