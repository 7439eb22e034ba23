//! Following tables and columns from run to run.

use std::collections::{BTreeMap, BTreeSet};

use windlass_base::ids::NodeName;

use super::document::{ColumnEdge, Lineage, LineageEdge, LineageTable, Side};
use super::{Known, LineageMap};

/// What is asked.
#[derive(Debug, Clone)]
pub struct LineageQuestion {
    /// The table or source.
    pub table: NodeName,
    /// One of its columns; all tables as such if none.
    pub column: Option<String>,
    /// Whether to tell what it was made of.
    pub upstream: bool,
    /// Whether to tell what was made of it.
    pub downstream: bool,
    /// How many steps to go, on each side; all if none.
    pub depth: Option<u32>,
}

/// The tables that were found, with their sides and distances.
type Found = BTreeMap<NodeName, (Side, u32)>;
/// A column of a table.
type Place = (NodeName, String);

impl LineageMap {
    /// Answers a question. Of columns direct uses are followed from table to table; an indirect use is shown where it is met.
    pub fn trace(&self, question: &LineageQuestion) -> Lineage {
        let mut found = Found::from([(question.table.clone(), (Side::Asked, 0))]);
        let mut columns = BTreeSet::new();
        for side in [Side::Upstream, Side::Downstream] {
            let is_asked = match side {
                Side::Upstream => question.upstream,
                _ => question.downstream,
            };
            match &question.column {
                _ if !is_asked => {}
                None => self.tables(question, side, &mut found),
                Some(column) => self.columns_of(question, column, side, &mut found, &mut columns),
            }
        }
        let mut tables: Vec<LineageTable> =
            found.iter().map(|(name, (side, distance))| self.table(name, *side, *distance)).collect();
        tables.sort_by(|a, b| (a.side, a.distance, &a.name).cmp(&(b.side, b.distance, &b.name)));
        Lineage {
            table: question.table.clone(),
            column: question.column.clone(),
            edges: self.edges(&found, &columns, question.column.is_some()),
            tables,
            columns: columns.into_iter().collect(),
        }
    }

    fn table(&self, name: &NodeName, side: Side, distance: u32) -> LineageTable {
        let known = self.stages.get(name);
        let read = self.stages.values().flat_map(|known| &known.lineage.inputs).filter(|input| input.name == *name);
        let version = match known {
            Some(known) => known.lineage.output_version,
            None => read.filter_map(|input| input.version).max(),
        };
        LineageTable {
            name: name.clone(),
            side,
            distance,
            version,
            run_id: known.and_then(|known| known.made_by.clone()),
            location: known.map(|known| known.lineage.location.clone()),
        }
    }

    /// The tables on a side of the one that was asked about.
    fn tables(&self, question: &LineageQuestion, side: Side, found: &mut Found) {
        let mut edge = vec![question.table.clone()];
        let mut distance = 0;
        while !edge.is_empty() && question.depth.is_none_or(|depth| distance < depth) {
            distance += 1;
            let next: Vec<NodeName> = edge.iter().flat_map(|name| self.beside(name, side)).collect();
            edge = next.into_iter().filter(|name| note(found, name, side, distance)).collect();
        }
    }

    /// What a table was made of, or what was made of it.
    fn beside(&self, name: &NodeName, side: Side) -> Vec<NodeName> {
        if side == Side::Upstream {
            return self.stages.get(name).into_iter().flat_map(inputs_of).cloned().collect();
        }
        let readers = self.stages.iter().filter(|(_, known)| inputs_of(known).any(|input| input == name));
        readers.map(|(reader, _)| reader.clone()).collect()
    }

    /// The columns on a side of the one that was asked about, and their tables.
    fn columns_of(
        &self,
        question: &LineageQuestion,
        column: &str,
        side: Side,
        found: &mut Found,
        columns: &mut BTreeSet<ColumnEdge>,
    ) {
        let all: Vec<ColumnEdge> = self.stages.iter().flat_map(|(name, known)| column_edges(name, known)).collect();
        let mut seen = BTreeSet::from([(question.table.clone(), column.to_owned())]);
        let mut edge: Vec<Place> = seen.iter().cloned().collect();
        let mut distance = 0;
        while !edge.is_empty() && question.depth.is_none_or(|depth| distance < depth) {
            distance += 1;
            let mut next = Vec::new();
            for used in all.iter().filter(|used| edge.iter().any(|place| touches(used, place, side))) {
                columns.insert(used.clone());
                let (table, follow) = match side {
                    Side::Upstream => (&used.from, Some(&used.from_column)),
                    _ => (&used.to, used.to_column.as_ref()),
                };
                note(found, table, side, distance);
                if let Some(column) = follow.filter(|_| used.direct) {
                    let place = (table.clone(), column.clone());
                    if seen.insert(place.clone()) {
                        next.push(place);
                    }
                }
            }
            edge = next;
        }
    }

    /// The edges between the tables that were found; of a column those that its columns use.
    fn edges(&self, found: &Found, columns: &BTreeSet<ColumnEdge>, of_column: bool) -> Vec<LineageEdge> {
        let stages = self.stages.iter().filter(|(name, _)| found.contains_key(*name));
        let edges = stages.flat_map(|(to, known)| {
            inputs_of(known).map(move |from| LineageEdge {
                from: from.clone(),
                from_version: version_read(known, from),
                to: to.clone(),
                to_version: known.lineage.output_version,
                run_id: known.made_by.clone(),
            })
        });
        let is_shown = |edge: &LineageEdge| match of_column {
            true => columns.iter().any(|used| used.from == edge.from && used.to == edge.to),
            false => found.contains_key(&edge.from),
        };
        edges.filter(is_shown).collect()
    }
}

/// What a stage has read: its inputs, and rows of the project that its columns use.
fn inputs_of(known: &Known) -> impl Iterator<Item = &NodeName> {
    let inputs = known.lineage.inputs.iter().map(|input| &input.name);
    let used = known.lineage.columns.iter().flat_map(|columns| {
        columns.columns.iter().flat_map(|column| &column.origins).chain(&columns.rows).map(|origin| &origin.table)
    });
    let all: BTreeSet<&NodeName> = inputs.chain(used).collect();
    all.into_iter()
}

fn version_read(known: &Known, name: &NodeName) -> Option<windlass_base::ids::TableVersion> {
    known.lineage.inputs.iter().find(|input| input.name == *name)?.version
}

/// Notes a table, unless it is known already; answers whether it was not.
fn note(found: &mut Found, name: &NodeName, side: Side, distance: u32) -> bool {
    let is_new = !found.contains_key(name);
    if is_new {
        found.insert(name.clone(), (side, distance));
    }
    is_new
}

/// On what the columns of a stage depend.
fn column_edges(name: &NodeName, known: &Known) -> Vec<ColumnEdge> {
    let Some(lineage) = &known.lineage.columns else { return Vec::new() };
    let of_columns = lineage.columns.iter().map(|column| (Some(&column.name), &column.origins));
    let edges = of_columns.chain([(None, &lineage.rows)]).flat_map(|(column, origins)| {
        origins.iter().map(move |origin| ColumnEdge {
            from: origin.table.clone(),
            from_column: origin.column.clone(),
            to: name.clone(),
            to_column: column.cloned(),
            how: origin.how,
            direct: origin.how.is_direct(),
        })
    });
    edges.collect()
}

/// Whether a use is one of, or one by, a column. What decides about all rows is used by every column.
fn touches(used: &ColumnEdge, (table, column): &Place, side: Side) -> bool {
    match side {
        Side::Upstream => used.to == *table && used.to_column.as_ref().is_none_or(|to| to == column),
        _ => used.from == *table && used.from_column == *column,
    }
}
