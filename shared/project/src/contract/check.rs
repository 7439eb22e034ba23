//! Checks actual columns against a contract.

use std::fmt;

use super::{Contract, ContractType, Evolution};

/// A column of an existing table or of a query's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name.
    pub name: String,
    /// The type as Delta stores it.
    pub data_type: ContractType,
    /// Whether it may be null. For columns of a query this is not known before its rows are computed.
    pub nullable: bool,
}

/// The columns of a query that are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractProjection {
    /// The columns in the order in which they are written.
    pub columns: Vec<ProjectedColumn>,
}

/// A column that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectedColumn {
    /// The name.
    pub name: String,
    /// The type that it is cast to; none if it has it already.
    pub cast: Option<ContractType>,
}

impl ContractProjection {
    /// Whether the columns are written exactly as the query returns them.
    pub fn changes_nothing(&self, columns: &[Column]) -> bool {
        self.columns.len() == columns.len()
            && self
                .columns
                .iter()
                .zip(columns)
                .all(|(projected, column)| projected.cast.is_none() && projected.name == column.name)
    }
}

/// The rule that a column violates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A column of the contract is missing.
    Missing,
    /// An existing column is not in the contract.
    Extra,
    /// The type differs, and cannot be widened to that of the contract.
    Type,
    /// The table would gain a column.
    Added,
    /// The table would gain a column that must not be null.
    AddedNotNull,
    /// The table would lose a column.
    Dropped,
    /// The table's column is never null, and the contract says that it may.
    Relaxed,
    /// The table's column may be null, and the contract says that it must not.
    Tightened,
}

/// A column that does not satisfy the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The column.
    pub column: String,
    /// Its actual type and nullability, if it exists.
    pub found: Option<(ContractType, bool)>,
    /// What the contract requires, if it contains the column.
    pub wanted: Option<(ContractType, bool)>,
    /// The violated rule.
    pub rule: Rule,
    /// The policy of the contract.
    pub evolution: Evolution,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (column, policy) = (&self.column, self.evolution);
        let text = |side: &Option<(ContractType, bool)>| match side {
            Some((data_type, true)) => data_type.to_string(),
            Some((data_type, false)) => format!("{data_type} not null"),
            None => "nothing".to_owned(),
        };
        let (found, wanted) = (text(&self.found), text(&self.wanted));
        match self.rule {
            Rule::Missing => write!(f, "`{column}` is missing: the contract has it as {wanted}"),
            Rule::Extra => write!(f, "`{column}` ({found}) is not in the contract, whose policy is `{policy}`"),
            Rule::Type => write!(f, "`{column}` is {found}, and the contract has it as {wanted} under `{policy}`"),
            Rule::Added => {
                write!(f, "`{column}` ({wanted}) is not in the table, which may not change under `{policy}`")
            }
            Rule::AddedNotNull => {
                write!(
                    f,
                    "`{column}` ({wanted}) is not in the table, which may gain only columns that can be null under `{policy}`"
                )
            }
            Rule::Dropped => write!(f, "`{column}` ({found}) is in the table and would be lost under `{policy}`"),
            Rule::Relaxed => {
                write!(
                    f,
                    "`{column}` is {found} in the table, and the contract has it as {wanted} under `{policy}`, so readers could see nulls"
                )
            }
            Rule::Tightened => {
                write!(f, "`{column}` is {found} in the table, and the contract has it as {wanted} under `{policy}`")
            }
        }
    }
}

impl Contract {
    /// Projects the columns of a query to those of the contract, or returns every violation. Nulls are checked only
    /// when rows are written.
    ///
    /// # Errors
    /// Every [`Violation`].
    pub fn project(&self, columns: &[Column]) -> Result<ContractProjection, Vec<Violation>> {
        let mut violations = Vec::new();
        let mut projected = Vec::new();
        for wanted in &self.columns {
            let found = columns.iter().find(|column| column.name == wanted.name);
            let same = found.is_some_and(|found| found.data_type == wanted.data_type);
            let wider = found.is_some_and(|found| found.data_type.widens_to(&wanted.data_type));
            if same || (wider && self.evolution != Evolution::Exact) {
                let cast = (!same).then(|| wanted.data_type.clone());
                projected.push(ProjectedColumn { name: wanted.name.clone(), cast });
            } else {
                let rule = if found.is_some() { Rule::Type } else { Rule::Missing };
                violations.push(self.violation(rule, found, Some((&wanted.data_type, wanted.nullable)), &wanted.name));
            }
        }
        for extra in columns.iter().filter(|column| self.column(&column.name).is_none()) {
            match self.evolution {
                Evolution::Exact => violations.push(self.violation(Rule::Extra, Some(extra), None, &extra.name)),
                Evolution::Additive => projected.push(ProjectedColumn { name: extra.name.clone(), cast: None }),
                Evolution::IgnoreExtra => {}
            }
        }
        if !violations.is_empty() {
            return Err(violations);
        }
        if self.evolution != Evolution::IgnoreExtra && projected.iter().all(|column| column.cast.is_none()) {
            // Nothing to change: keep the query's order.
            projected =
                columns.iter().map(|column| ProjectedColumn { name: column.name.clone(), cast: None }).collect();
        }
        Ok(ContractProjection { columns: projected })
    }

    /// Every violation if a table with the columns `table` changed to the columns `new`, which are those of
    /// [`Contract::project`] with the nullability of the contract.
    pub fn check_evolution(&self, table: &[Column], new: &[Column]) -> Vec<Violation> {
        let mut violations = Vec::new();
        let exact = self.evolution == Evolution::Exact;
        for wanted in new {
            let side = Some((&wanted.data_type, wanted.nullable));
            let mut broken = |rule, found| violations.push(self.violation(rule, found, side, &wanted.name));
            let Some(found) = table.iter().find(|column| column.name == wanted.name) else {
                match (exact, wanted.nullable) {
                    (true, _) => broken(Rule::Added, None),
                    (false, false) => broken(Rule::AddedNotNull, None),
                    (false, true) => {}
                }
                continue;
            };
            let same = found.data_type == wanted.data_type;
            if !same && (exact || !found.data_type.widens_to(&wanted.data_type)) {
                broken(Rule::Type, Some(found));
            } else if !found.nullable && wanted.nullable {
                broken(Rule::Relaxed, Some(found));
            } else if found.nullable && !wanted.nullable && exact {
                broken(Rule::Tightened, Some(found));
            }
        }
        let gone = table.iter().filter(|column| !new.iter().any(|other| other.name == column.name));
        violations.extend(gone.map(|column| self.violation(Rule::Dropped, Some(column), None, &column.name)));
        violations
    }

    fn violation(
        &self,
        rule: Rule,
        found: Option<&Column>,
        wanted: Option<(&ContractType, bool)>,
        column: &str,
    ) -> Violation {
        Violation {
            column: column.to_owned(),
            found: found.map(|column| (column.data_type.clone(), column.nullable)),
            wanted: wanted.map(|(data_type, nullable)| (data_type.clone(), nullable)),
            rule,
            evolution: self.evolution,
        }
    }
}
