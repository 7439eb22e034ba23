//! Two plans laid side by side by the kinds of their operators, and what differs.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::document::{PlanChange, PlanChangeKind};
use super::plan_detail;
use super::plan_tree::{PlanNode, Section, parse};
use super::words::short;

/// So far down an operator is looked for if others may have been put above it, or taken away.
const FARTHEST: usize = 8;

/// What differs between two plan texts of a stage.
pub(super) fn changes(before: &str, after: &str) -> Vec<PlanChange> {
    if before == after {
        return Vec::new();
    }
    let (before, after) = (parse(before), parse(after));
    let mut old: BTreeMap<&str, &Section> = before.iter().map(|section| (section.key(), section)).collect();
    let empty = Section::default();
    let mut changes = Vec::new();
    for section in &after {
        let partner = old.remove(section.key()).unwrap_or(&empty);
        changes.extend(Alignment::of(partner, section));
    }
    for section in before.iter().filter(|section| old.contains_key(section.key())) {
        changes.extend(Alignment::of(section, &empty));
    }
    changes
}

/// Two sections of plans, and what differs in them so far.
struct Alignment<'t> {
    before: &'t Section,
    after: &'t Section,
    changes: Vec<PlanChange>,
}

impl<'t> Alignment<'t> {
    fn of(before: &'t Section, after: &'t Section) -> Vec<PlanChange> {
        let mut alignment = Self { before, after, changes: Vec::new() };
        alignment.lists(&before.roots, &after.roots);
        alignment.changes
    }

    fn pair(&self, old: usize, new: usize) -> (&'t PlanNode, &'t PlanNode) {
        (&self.before.nodes[old], &self.after.nodes[new])
    }

    fn push(&mut self, kind: PlanChangeKind, old: Option<usize>, new: Option<usize>) {
        let (older, newer) = (self.before, self.after);
        let before = old.map(|index| &older.nodes[index]);
        let after = new.map(|index| &newer.nodes[index]);
        let Some(shown) = after.or(before) else { return };
        let parts = match (before, after) {
            (Some(before), Some(after)) if before.operator == after.operator => plan_detail::changes(before, after),
            _ => Vec::new(),
        };
        self.changes.push(PlanChange {
            kind,
            section: newer.name.clone().or_else(|| older.name.clone()),
            operator: shown.operator.clone(),
            before: before.map(|node| node.line.clone()),
            after: after.map(|node| node.line.clone()),
            parts,
        });
    }

    /// Lays the trees below two operators side by side.
    fn trees(&mut self, old: usize, new: usize) {
        let (before, after) = self.pair(old, new);
        if before.fingerprint == after.fingerprint {
            return;
        }
        if before.operator == after.operator {
            return self.same_kind(old, new);
        }
        let (added, removed) = (chain(self.after, new, &before.operator), chain(self.before, old, &after.operator));
        match (added, removed) {
            _ if before.is_join() && after.is_join() => {
                self.push(PlanChangeKind::Replaced, Some(old), Some(new));
                self.lists(&before.children, &after.children);
            }
            (Some(added), removed) if removed.as_ref().is_none_or(|removed| added.len() <= removed.len()) => {
                let below = self.skip(PlanChangeKind::Added, &added);
                self.trees(old, below.unwrap_or(new));
            }
            (_, Some(removed)) => {
                let below = self.skip(PlanChangeKind::Removed, &removed);
                self.trees(below.unwrap_or(old), new);
            }
            _ => {
                self.push(PlanChangeKind::Replaced, Some(old), Some(new));
                self.lists(&before.children, &after.children);
            }
        }
    }

    /// Notes the operators of a chain but the last, which it returns.
    fn skip(&mut self, kind: PlanChangeKind, chain: &[usize]) -> Option<usize> {
        let (last, skipped) = chain.split_last()?;
        for index in skipped {
            match kind {
                PlanChangeKind::Removed => self.push(kind, Some(*index), None),
                _ => self.push(kind, None, Some(*index)),
            }
        }
        Some(*last)
    }

    fn same_kind(&mut self, old: usize, new: usize) {
        let (before, after) = self.pair(old, new);
        if before.is_join() && after.is_join() && self.joined_otherwise(old, new) {
            return;
        }
        if before.line != after.line {
            self.push(kind_of_detail(before, after), Some(old), Some(new));
        }
        self.lists(&before.children, &after.children);
    }

    /// Notes that a join reads the same inputs in another order. Whether it does.
    fn joined_otherwise(&mut self, old: usize, new: usize) -> bool {
        let (before, after) = (self.before.inputs(old), self.after.inputs(new));
        let sorted = |inputs: &[String]| {
            let mut inputs = inputs.to_vec();
            inputs.sort_unstable();
            inputs
        };
        if before == after || sorted(&before) != sorted(&after) {
            return false;
        }
        let (was, is) = self.pair(old, new);
        let ([was_left, was_right], [is_left, is_right]) = (was.children.as_slice(), is.children.as_slice()) else {
            return false;
        };
        let are_same = |one: usize, other: usize| self.before.inputs(one) == self.after.inputs(other);
        if are_same(*was_left, *is_right) && are_same(*was_right, *is_left) {
            self.push(PlanChangeKind::SidesSwapped, Some(old), Some(new));
            self.trees(*was_right, *is_left);
            self.trees(*was_left, *is_right);
            return true;
        }
        self.push(PlanChangeKind::JoinOrder, Some(old), Some(new));
        if let Some(change) = self.changes.last_mut() {
            change.before = Some(before.join(", "));
            change.after = Some(after.join(", "));
            change.parts.clear();
        }
        true
    }

    /// Lays the inputs of two operators side by side, in order.
    fn lists(&mut self, old: &[usize], new: &[usize]) {
        if old.len() == new.len() {
            old.iter().zip(new).for_each(|(old, new)| self.trees(*old, *new));
            return;
        }
        let (mut i, mut j) = (0, 0);
        for (at, with) in self.matching(old, new) {
            self.rest(&old[i..at], &new[j..with]);
            self.trees(old[at], new[with]);
            (i, j) = (at + 1, with + 1);
        }
        self.rest(&old[i..], &new[j..]);
    }

    fn rest(&mut self, gone: &[usize], come: &[usize]) {
        gone.iter().for_each(|index| self.push(PlanChangeKind::Removed, Some(*index), None));
        come.iter().for_each(|index| self.push(PlanChangeKind::Added, None, Some(*index)));
    }

    /// The places of operators of the same kind that can be laid side by side in order; equal trees count more.
    fn matching(&self, old: &[usize], new: &[usize]) -> Vec<(usize, usize)> {
        let value = |i: usize, j: usize| {
            let (before, after) = self.pair(old[i], new[j]);
            let (same_tree, same_kind) = (before.fingerprint == after.fingerprint, before.operator == after.operator);
            usize::from(same_tree) + usize::from(same_kind)
        };
        let mut best = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
        for i in (0..old.len()).rev() {
            for j in (0..new.len()).rev() {
                let without = best[i + 1][j].max(best[i][j + 1]);
                best[i][j] = match value(i, j) {
                    0 => without,
                    value => without.max(best[i + 1][j + 1] + value),
                };
            }
        }
        let (mut i, mut j, mut found) = (0, 0, Vec::new());
        while i < old.len() && j < new.len() {
            let value = value(i, j);
            if value > 0 && best[i][j] == best[i + 1][j + 1] + value {
                found.push((i, j));
                (i, j) = (i + 1, j + 1);
            } else if best[i][j] == best[i + 1][j] {
                i += 1;
            } else {
                j += 1;
            }
        }
        found
    }
}

/// The operators from `from` down to the first of a kind, as long as each has only one input.
fn chain(section: &Section, from: usize, operator: &str) -> Option<Vec<usize>> {
    let mut chain = vec![from];
    let mut at = from;
    for _ in 0..FARTHEST {
        let [below] = section.nodes[at].children.as_slice() else { return None };
        at = *below;
        chain.push(at);
        if section.nodes[at].operator == operator {
            return Some(chain);
        }
    }
    None
}

/// What another line of an operator means.
fn kind_of_detail(before: &PlanNode, after: &PlanNode) -> PlanChangeKind {
    if before.is_scan() {
        let (was, is) = (plan_detail::pushed_filters(before), plan_detail::pushed_filters(after));
        match was.len().cmp(&is.len()) {
            Ordering::Greater => return PlanChangeKind::PushDownLost,
            Ordering::Less => return PlanChangeKind::PushDownGained,
            Ordering::Equal => {}
        }
    }
    let mode = |node: &PlanNode| plan_detail::parts(node).remove("mode");
    match before.is_join() && mode(before) != mode(after) {
        true => PlanChangeKind::JoinMode,
        false => PlanChangeKind::Detail,
    }
}

/// A change as a sentence.
pub(super) fn told(change: &PlanChange) -> String {
    let operator = &change.operator;
    let line = |line: &Option<String>| line.as_deref().map_or("none".to_owned(), short);
    let (before, after) = (line(&change.before), line(&change.after));
    let part = |names: &[&str]| {
        let parts = change.parts.iter().filter(|part| names.is_empty() || names.contains(&part.name.as_str()));
        let told = parts.map(|part| match part.name.as_str() {
            "" => format!("{}, before {}", line(&part.after), line(&part.before)),
            name => format!("{name} is {}, before {}", line(&part.after), line(&part.before)),
        });
        told.collect::<Vec<_>>().join("; ")
    };
    match change.kind {
        PlanChangeKind::Added => format!("{after} was added"),
        PlanChangeKind::Removed => format!("{before} is gone"),
        PlanChangeKind::Replaced => format!("{after} is in the place of {before}"),
        PlanChangeKind::Detail => format!("{operator}: {}", part(&[])),
        PlanChangeKind::JoinOrder => format!("the tables are joined in the order {after}, before {before}"),
        PlanChangeKind::SidesSwapped => format!("the sides of {operator} have changed places: {after}"),
        PlanChangeKind::JoinMode => format!("{operator}: {}", part(&["mode"])),
        PlanChangeKind::PushDownLost => {
            format!("a filter is no longer part of the scan: {}", part(&plan_detail::PUSHED))
        }
        PlanChangeKind::PushDownGained => {
            format!("a filter has become part of the scan: {}", part(&plan_detail::PUSHED))
        }
    }
}
