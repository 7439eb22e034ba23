//! Checks the locations of exports: no two in the same folder, and none where a table or a source is.
//!
//! This is checked for the project itself, for each of its targets, and between them: a target with another table but
//! the same folder would replace the rows of the other table.

use std::collections::{BTreeMap, BTreeSet};

use windlass_base::ids::NodeName;

use crate::spec::pipeline::StageSpec;
use crate::spec::source::SourceKind;
use crate::spec::table::{Export, Materialize};
use crate::spec::{PipelineSpec, Problem, Span, TargetSpec, codes};

/// Reports exports that conflict with each other, with a table or with a source.
pub(super) fn check(spec: &PipelineSpec) -> Vec<Problem> {
    let all = WriteLocations::of(spec);
    let mut problems = Vec::new();
    for (index, export) in all.exports.iter().enumerate() {
        for other in &all.exports[index + 1..] {
            problems.extend(conflict(export, other, spec));
        }
        for table in all.tables.iter().filter(|table| table.folder.touches(&export.folder)) {
            let message = format!("{} is written to where the table `{}` is", export.describe(), table.stage);
            let problem =
                Problem::new(codes::EXPORT_IN_TABLE, message).label(export.span, "the export is written here");
            problems.push(problem.label(table.span, "and the table here").help(OWN_FOLDER));
        }
        problems.extend(spec.sources.iter().filter(|source| is_read(&source.kind, export)).map(|source| {
            let message =
                format!("{} is written to where the source `{}` is read", export.describe(), source.name.value);
            let problem =
                Problem::new(codes::EXPORT_IN_TABLE, message).label(export.span, "the export is written here");
            problem.label(&source.name.span, "and this is read there").help(OWN_FOLDER)
        }));
    }
    // Instances of a sub-DAG, and several targets, have the same problems.
    let mut seen = BTreeSet::new();
    problems.retain(|problem| seen.insert(problem.message.clone()));
    problems
}

const OWN_FOLDER: &str = "give the export a separate folder";

/// Everything that is written, with the targets that it applies to.
#[derive(Default)]
struct WriteLocations<'s> {
    exports: Vec<ExportLocation<'s>>,
    tables: Vec<TableLocation<'s>>,
}

struct ExportLocation<'s> {
    stage: &'s NodeName,
    export: &'s Export,
    folder: Folder,
    span: &'s Span,
    /// The table that is exported.
    table: TableIdentity<'s>,
    /// The targets; `None` is the project without one.
    targets: BTreeSet<Option<&'s str>>,
}

struct TableLocation<'s> {
    stage: &'s NodeName,
    folder: Folder,
    span: &'s Span,
}

/// The identity of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum TableIdentity<'s> {
    /// A table at an explicit location.
    Location(&'s str),
    /// The stage's table in a home.
    Home(Option<&'s str>),
}

impl<'s> WriteLocations<'s> {
    fn of(spec: &'s PipelineSpec) -> Self {
        let mut places = Self::default();
        let mut tables = BTreeMap::new();
        let stages = || spec.stages.iter().filter(|stage| stage.materialize == Materialize::Table);
        let targets = spec.targets.iter().map(|(name, target)| (Some(name.as_str()), Some(target)));
        for (name, target) in std::iter::once((None, None)).chain(targets) {
            for stage in stages() {
                let table = places.add_exports(stage, name, target);
                if let Some((location, span)) = table {
                    tables.entry((&stage.name.value, location)).or_insert(span);
                }
            }
        }
        let place = |((stage, location), span)| TableLocation { stage, folder: Folder::of(location), span };
        places.tables = tables.into_iter().map(place).collect();
        places
    }

    /// Adds the exports of a stage with a target. Returns the location of its table, if it has an explicit one.
    fn add_exports(
        &mut self,
        stage: &'s StageSpec,
        name: Option<&'s str>,
        target: Option<&'s TargetSpec>,
    ) -> Option<(&'s str, &'s Span)> {
        let change = target.and_then(|target| target.datasets.get(&stage.name.value));
        let moved = change.and_then(|change| change.location.as_ref());
        let own = || Some((stage.table.location.as_deref()?, stage.location_span.as_ref().unwrap_or(&stage.name.span)));
        let location = moved.map(|location| (location.value.as_str(), &location.span)).or_else(own);
        let table = match location {
            Some((location, _)) => TableIdentity::Location(location),
            None => TableIdentity::Home(target.and_then(|target| target.home.as_deref())),
        };
        let (exports, spans) = match change.and_then(|change| Some((change.exports.as_ref()?, &change.export_spans))) {
            Some((exports, spans)) => (exports, spans),
            None => (&stage.table.exports, &stage.export_spans),
        };
        for (export, span) in exports.iter().zip(spans).filter(|(export, _)| export.is_files()) {
            let known = self
                .exports
                .iter_mut()
                .find(|known| known.stage == &stage.name.value && known.export == export && known.table == table);
            match known {
                Some(known) => drop(known.targets.insert(name)),
                None => self.exports.push(ExportLocation {
                    stage: &stage.name.value,
                    export,
                    folder: Folder::of(&export.location),
                    span,
                    table,
                    targets: BTreeSet::from([name]),
                }),
            }
        }
        location
    }
}

impl ExportLocation<'_> {
    fn describe(&self) -> String {
        format!("the export `{}` of `{}`", self.export.name, self.stage)
    }
}

/// The conflict between two exports, if any.
fn conflict(one: &ExportLocation<'_>, other: &ExportLocation<'_>, spec: &PipelineSpec) -> Option<Problem> {
    if !one.folder.touches(&other.folder) {
        return None;
    }
    let is_same = (one.stage, &one.export.name) == (other.stage, &other.export.name);
    // The same export in several targets may have different options for the same table.
    if is_same && one.table == other.table && one.folder == other.folder {
        return None;
    }
    let how = if one.folder == other.folder { "to the same folder" } else { "to folders one of which is in the other" };
    if !one.targets.is_disjoint(&other.targets) {
        let message = format!("{} and {} write {how}", one.describe(), other.describe());
        let problem = Problem::new(codes::EXPORT_TWICE, message).label(one.span, "one writes here");
        return Some(problem.label(other.span, "the other here").help(OWN_FOLDER));
    }
    let target = |place: &ExportLocation<'_>| place.targets.iter().next().copied().flatten().map(str::to_owned);
    let named = |target: &Option<String>| match target {
        Some(target) => format!("with the target `{target}`"),
        None => "without a target".to_owned(),
    };
    let (first, second) = (target(one), target(other));
    let message =
        format!("{}, {}, and {}, {}, write {how}", one.describe(), named(&first), other.describe(), named(&second));
    let problem = Problem::new(codes::EXPORT_TARGETS, message).label(one.span, format!("written {}", named(&first)));
    let elsewhere = second.as_ref().and_then(|target| spec.target_spans.get(target));
    let place = if one.span == other.span { elsewhere.unwrap_or(other.span) } else { other.span };
    let problem = problem.label(place, format!("and {}, of another table", named(&second)));
    let target = second.or(first).unwrap_or_default();
    Some(problem.help(format!(
        "give the dataset `{}` separate `exports` in the target `{target}`, or `exports: []`",
        other.stage
    )))
}

/// Whether a source would read the files of an export as its own.
fn is_read(kind: &SourceKind, export: &ExportLocation<'_>) -> bool {
    match kind {
        SourceKind::Delta(source) => Folder::of(&source.location).touches(&export.folder),
        SourceKind::Listing(source) => {
            source.format.name() == export.export.saver && export.folder.is_in(&Folder::of(&source.location))
        }
        _ => false,
    }
}

/// A location compared by its text only. Other spellings of the same location are detected when the run is planned.
#[derive(Debug, PartialEq, Eq)]
struct Folder {
    /// The scheme and host of a URL, `/` for absolute paths, nothing for relative ones.
    root: String,
    parts: Vec<String>,
}

impl Folder {
    fn of(text: &str) -> Self {
        let text = text.trim();
        let text = text.strip_prefix("file://").unwrap_or(text);
        let (root, path) = match text.split_once("://") {
            Some((scheme, rest)) => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                (format!("{}://{host}", scheme.to_ascii_lowercase()), path)
            }
            None if text.starts_with('/') => ("/".to_owned(), text),
            None => (String::new(), text),
        };
        let mut parts: Vec<String> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." if parts.last().is_some_and(|last| last != "..") => drop(parts.pop()),
                // Above the root of a store, or of the disk, there is nothing.
                ".." if !root.is_empty() => {}
                part => parts.push(part.to_owned()),
            }
        }
        Self { root, parts }
    }

    fn is_in(&self, other: &Self) -> bool {
        self.root == other.root && self.parts.starts_with(&other.parts)
    }

    fn touches(&self, other: &Self) -> bool {
        self.is_in(other) || other.is_in(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Folder;

    #[test]
    fn folders_are_compared_by_their_parts() {
        let same = |a: &str, b: &str| assert_eq!(Folder::of(a), Folder::of(b), "{a} {b}");
        same("out", "./out/");
        same("out", "x/../out");
        same("../out", "./../out");
        same("/a/b", "file:///a//b");
        same("s3://lake/a", "S3://lake/a/");
        let touch = |a: &str, b: &str| Folder::of(a).touches(&Folder::of(b));
        assert!(touch("out", "out/csv") && touch("out/csv", "out") && touch(".", "out"));
        assert!(!touch("out", "outer") && !touch("out", "/out") && !touch("s3://a/x", "s3://b/x"));
        assert!(!touch("../out", "out") && !touch("out/csv", "out/json"));
    }
}
