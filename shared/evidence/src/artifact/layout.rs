//! Where the parts of a bundle lie, relative to the store that holds the bundles.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use windlass_base::ids::{NodeName, RunId};

/// The folder that holds one folder a run.
pub const RUNS_PREFIX: &str = "runs";

/// The plan texts that a bundle keeps of each stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanText {
    /// The logical plan as it follows from the SQL.
    Logical,
    /// The logical plan after the optimizer.
    Optimized,
    /// The physical plan of one process.
    Physical,
    /// The physical plan cut into the engine's stages.
    Distributed,
    /// The distributed plan with what each operator measured.
    Analyzed,
}

impl PlanText {
    /// All of them, in the order in which a query passes through them.
    pub const ALL: [Self; 5] = [Self::Logical, Self::Optimized, Self::Physical, Self::Distributed, Self::Analyzed];

    /// The name as the command and the file write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logical => "logical",
            Self::Optimized => "optimized",
            Self::Physical => "physical",
            Self::Distributed => "distributed",
            Self::Analyzed => "analyzed",
        }
    }
}

/// The object paths of one run's bundle, `/`-separated and relative.
///
/// ```
/// use windlass_evidence::artifact::{PlanText, RunLayout};
///
/// let layout = RunLayout::new("0192".into());
/// assert_eq!(layout.run(), "runs/0192/run.json");
/// assert_eq!(layout.plan_text(&"edges".into(), PlanText::Analyzed), "runs/0192/stages/edges/analyzed.txt");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLayout {
    folder: String,
}

impl RunLayout {
    /// The layout of the bundle of `run_id`.
    pub fn new(run_id: RunId) -> Self {
        Self { folder: format!("{RUNS_PREFIX}/{}", segment(run_id.as_str())) }
    }

    /// The folder of the bundle.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The run itself: a `RunRecord`.
    pub fn run(&self) -> String {
        self.file("run.json")
    }

    /// What was asked for: a `RunRequestRecord`.
    pub fn request(&self) -> String {
        self.file("request.json")
    }

    /// The versions that the run reads: a `PinsRecord`.
    pub fn pins(&self) -> String {
        self.file("pins.json")
    }

    /// What was decided for each stage: a `PlanRecord`.
    pub fn plan(&self) -> String {
        self.file("plan.json")
    }

    /// What each version was made of: a `LineageRecord`.
    pub fn lineage(&self) -> String {
        self.file("lineage.json")
    }

    /// The tables as they were registered: a `RegistrationsRecord`.
    pub fn registrations(&self) -> String {
        self.file("registrations.json")
    }

    /// The structured log: one `LogEvent` a line.
    pub fn log(&self) -> String {
        self.file("log.jsonl")
    }

    /// A stage's attempts and tasks: a `StageRecord`.
    pub fn stage(&self, stage: &NodeName) -> String {
        self.stage_file(stage, "stage.json")
    }

    /// A stage's operator metrics, an Arrow IPC file.
    pub fn metrics(&self, stage: &NodeName) -> String {
        self.stage_file(stage, "metrics.arrow")
    }

    /// One of a stage's plan texts.
    pub fn plan_text(&self, stage: &NodeName, text: PlanText) -> String {
        self.stage_file(stage, &format!("{}.txt", text.as_str()))
    }

    /// Whether a path below the folder of a bundle is one of a part of it.
    pub fn is_part(path: &str) -> bool {
        let of_stage = |name: &str| {
            matches!(name, "stage.json" | "metrics.arrow")
                || PlanText::ALL.iter().any(|text| name.strip_suffix(".txt") == Some(text.as_str()))
        };
        match path.split('/').collect::<Vec<_>>().as_slice() {
            [name] => PARTS.contains(name),
            ["stages", stage, name] => is_segment(stage) && of_stage(name),
            _ => false,
        }
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    fn stage_file(&self, stage: &NodeName, name: &str) -> String {
        format!("{}/stages/{}/{name}", self.folder, segment(stage.as_str()))
    }
}

/// The parts of a bundle that are not of one stage.
const PARTS: [&str; 7] =
    ["run.json", "request.json", "pins.json", "plan.json", "lineage.json", "registrations.json", "log.jsonl"];

/// Whether a text can be what [`segment`] made of a name.
fn is_segment(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'=');
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(is_plain)
}

/// A name as one segment of a path: letters, digits, `_`, `-` and inner dots stay, any other byte becomes `=` and two
/// hexadecimal digits.
pub fn segment(name: &str) -> String {
    let mut segment = String::with_capacity(name.len());
    for (position, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (byte == b'.' && position > 0) {
            segment.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(segment, "={byte:02X}");
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::{PlanText, RunLayout, segment};

    #[test]
    fn a_name_never_leaves_its_folder() {
        assert_eq!(segment("cpg_nodes"), "cpg_nodes");
        assert_eq!(segment("v1.2-a"), "v1.2-a");
        assert_eq!(segment("../x"), "=2E.=2Fx");
        assert_eq!(segment("=2F"), "=3D2F");
        assert_eq!(segment("größe"), "gr=C3=B6=C3=9Fe");
    }

    #[test]
    fn the_parts_of_a_bundle_are_known() {
        let layout = RunLayout::new("0192".into());
        let stage = "größe".into();
        let mut paths = vec![
            layout.run(),
            layout.request(),
            layout.pins(),
            layout.plan(),
            layout.lineage(),
            layout.registrations(),
            layout.log(),
            layout.stage(&stage),
            layout.metrics(&stage),
        ];
        paths.extend(PlanText::ALL.map(|text| layout.plan_text(&stage, text)));
        for path in paths {
            assert!(RunLayout::is_part(path.strip_prefix("runs/0192/").unwrap()), "{path}");
        }
        for path in
            ["", "run.json/", "other.json", "stages/a", "stages/../stage.json", "stages/a/b/stage.json", "a/run.json"]
        {
            assert!(!RunLayout::is_part(path), "{path}");
        }
    }
}
