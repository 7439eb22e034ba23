//! Twelve types against twelve, null or not, under every policy, as docs/contracts.md says.

use windlass_project::contract::{Column, Contract, ContractColumn, ContractType, Evolution};

use super::pages::widens;

/// Types by Delta's name.
const TYPES: [&str; 12] = [
    "byte",
    "short",
    "integer",
    "long",
    "float",
    "double",
    "decimal(12,2)",
    "boolean",
    "string",
    "binary",
    "date",
    "timestamp_ntz",
];

fn parsed(text: &str) -> ContractType {
    ContractType::parse(text).unwrap()
}

fn contract(evolution: Evolution, data_type: &str, nullable: bool) -> Contract {
    let column = ContractColumn {
        name: "x".to_owned(),
        data_type: parsed(data_type),
        nullable,
        description: None,
        semantic_type: None,
    };
    Contract {
        name: "c".to_owned(),
        version: 1,
        description: None,
        evolution,
        columns: vec![column],
        key: Vec::new(),
        partition_by: Vec::new(),
    }
}

#[test]
fn every_pair_of_types_is_accepted_or_refused_as_documented() {
    let policies = [Evolution::Exact, Evolution::Additive, Evolution::IgnoreExtra];
    for from in TYPES {
        for to in TYPES {
            for evolution in policies {
                for (here, wanted) in [(false, false), (false, true), (true, false), (true, true)] {
                    let contract = contract(evolution, to, wanted);
                    let column = |data_type: &str, nullable| Column {
                        name: "x".to_owned(),
                        data_type: parsed(data_type),
                        nullable,
                    };
                    let fits = from == to || (evolution != Evolution::Exact && widens(from, to));
                    let case = format!("{from} {here} → {to} {wanted} under {evolution}");
                    match contract.project(&[column(from, here)]) {
                        Ok(_) => assert!(fits, "{case} fits"),
                        Err(violations) => {
                            assert!(!fits, "{case} does not fit");
                            let text = violations[0].to_string();
                            for part in ["`x`", from, to, evolution.as_str()] {
                                assert!(text.contains(part), "{case}: {text}");
                            }
                        }
                    }
                    // For a table, which columns may be null is known.
                    let null = here == wanted || (here && !wanted && evolution != Evolution::Exact);
                    let violations = contract.check_evolution(&[column(from, here)], &[column(to, wanted)]);
                    assert_eq!(violations.is_empty(), fits && null, "{case}: {violations:?}");
                }
            }
        }
    }
}
