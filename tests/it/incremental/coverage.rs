//! What a set of sequences has covered: without coverage they prove nothing.

use std::collections::BTreeMap;

use windlass_evidence::artifact::StageLineage;
use windlass_project::strategy::Strategy;

use super::sequence::{MAINTENANCE, OUTSIDE};

/// Counts of what has been covered.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    /// Stages by template.
    pub(super) templates: BTreeMap<&'static str, u64>,
    /// Stages of runs by strategy, and those reused as `reuse`.
    pub(super) strategies: BTreeMap<&'static str, u64>,
    /// Sequences over sources with -0.0 and NaN.
    pub(super) odd_floats: u64,
    /// Tables compared.
    pub(super) tables: u64,
    /// Runs that were cancelled before they had ended.
    pub(super) cancelled: u64,
    /// Stages over views that `strict` refused, and that continued with `auto`.
    pub(super) refused: u64,
    /// Processes that were killed before their run had ended.
    pub(super) killed: u64,
    /// Stages that were correctly refused because of their keys.
    pub(super) keys_refused: u64,
    /// External events (cursors set back, commits of others, invalid keys), and maintenance.
    pub(super) outside: BTreeMap<&'static str, u64>,
}

impl Coverage {
    pub(super) fn of_templates(templates: impl Iterator<Item = &'static str>) -> Self {
        let mut coverage = Self::default();
        templates.for_each(|template| *coverage.templates.entry(template).or_default() += 1);
        coverage
    }

    /// What a run did for a stage.
    pub(super) fn decided(&mut self, lineage: &StageLineage) {
        let how = match lineage.strategy {
            _ if lineage.reuse.hit => "reuse",
            Some(strategy) => strategy.as_str(),
            None => "none",
        };
        *self.strategies.entry(how).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: Self) {
        other.templates.into_iter().for_each(|(name, count)| *self.templates.entry(name).or_default() += count);
        other.strategies.into_iter().for_each(|(name, count)| *self.strategies.entry(name).or_default() += count);
        self.odd_floats += other.odd_floats;
        self.tables += other.tables;
        self.refused += other.refused;
        self.cancelled += other.cancelled;
        self.killed += other.killed;
        self.keys_refused += other.keys_refused;
        other.outside.into_iter().for_each(|(what, count)| *self.outside.entry(what).or_default() += count);
    }

    /// What has not been covered and should have been.
    pub(super) fn missing(&self, templates: impl Iterator<Item = &'static str>, incremental: bool) -> Vec<String> {
        let mut missing: Vec<String> = templates
            .filter(|name| !self.templates.contains_key(name))
            .map(|name| format!("template {name}"))
            .collect();
        if incremental {
            let strategies = [
                Strategy::Append,
                Strategy::RowWise,
                Strategy::AffectedKeys,
                Strategy::PartitionReplace,
                Strategy::ChangedFiles,
                Strategy::Full,
            ];
            let names = strategies.iter().map(|strategy| strategy.as_str()).chain(["reuse"]);
            missing.extend(
                names.filter(|name| !self.strategies.contains_key(name)).map(|name| format!("strategy {name}")),
            );
        }
        if incremental {
            let outside = OUTSIDE.iter().filter(|what| !self.outside.contains_key(*what));
            missing.extend(outside.map(|what| (*what).to_owned()));
        }
        let maintenance = MAINTENANCE.iter().filter(|what| !self.outside.contains_key(*what));
        missing.extend(maintenance.map(|what| (*what).to_owned()));
        if self.keys_refused == 0 {
            missing.push("a stage that was refused because of its keys".to_owned());
        }
        if self.odd_floats == 0 {
            missing.push("floats that are equal in one place only".to_owned());
        }
        if self.cancelled == 0 {
            missing.push("a cancelled run".to_owned());
        }
        if self.killed == 0 {
            missing.push("a killed run".to_owned());
        }
        missing
    }
}
