//! `windlass schema` and `windlass contract` on the project of docs/contracts.md.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use windlass_project::contract::{Contract, ContractType, to_yaml};
use windlass_project::spec::parse_contract;

use crate::command::binary;

const PAGE: &str = include_str!("../../../docs/contracts.md");

/// The blocks of the page in a language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(&fence).skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

fn windlass(project: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.arg("--project").arg(project).args(args).env_remove("WINDLASS_HOME");
    command
}

fn shown(project: &Path, args: &[&str]) -> String {
    String::from_utf8_lossy(&windlass(project, args).assert().success().get_output().stdout).into_owned()
}

#[test]
fn the_project_of_the_page_does_what_the_page_says() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path();
    fs::create_dir_all(project.join("stages")).unwrap();
    fs::create_dir_all(project.join("contracts")).unwrap();
    let (yaml, sql, text) = (blocks("yaml"), blocks("sql"), blocks("text"));
    fs::write(project.join("windlass.yaml"), yaml[0]).unwrap();
    fs::write(project.join("contracts/customer_totals.yaml"), yaml[1]).unwrap();
    fs::write(project.join("stages/customer_totals.sql"), sql[0]).unwrap();
    fs::write(project.join("orders.csv"), "customer_id,amount\n1,2.5\n1,3.5\n2,1\n").unwrap();
    assert_eq!(shown(project, &["schema"]), text[0]);
    windlass(project, &["run"]).assert().success();

    // What is inferred from the table is the contract, except for the descriptions.
    let inferred = shown(project, &["contract", "infer", "customer_totals"]);
    let contract = parse_contract("x.yaml", &inferred).unwrap();
    let written = parse_contract("contracts/customer_totals.yaml", yaml[1]).unwrap();
    let contract = Contract { evolution: written.evolution, ..contract };
    assert_eq!((&contract.key, contract.identity()), (&written.key, written.identity()), "{inferred}");

    fs::write(project.join("contracts/customer_totals.v2.yaml"), yaml[2]).unwrap();
    let names = ["contract", "diff", "customer_totals@1", "customer_totals"];
    assert_eq!(shown(project, &names), text[2]);
    let json: serde_json::Value =
        serde_json::from_str(&shown(project, &[&names[..], &["--output", "json"]].concat())).unwrap();
    assert_eq!((&json["breaking"], json["changes"].as_array().unwrap().len()), (&true.into(), 2));
    let failed = windlass(project, &[&names[..], &["--fail-on-breaking"]].concat()).assert().code(1);
    assert!(String::from_utf8_lossy(&failed.get_output().stderr).contains("WL1004"));
    let unknown = windlass(project, &["contract", "diff", "customer_total", "customer_totals"]).assert().code(1);
    assert!(String::from_utf8_lossy(&unknown.get_output().stderr).contains("did you mean `customer_totals`"));
}

#[test]
fn a_contract_reads_back_as_it_was_written() {
    let text = "name: odd\nversion: 3\nevolution: additive\ndescription: 'it''s: odd'\ncolumns:\n  id: { type: long, nullable: false, \
                semantic_type: customer.id }\n  tags: { type: 'array<struct<a: map<string, double>, b: decimal(10,2)>>' }\n  \
                \"yes\": string\nkey: [id]\npartition_by: [\"yes\"]\n";
    let contract = parse_contract("contracts/odd.yaml", text).unwrap();
    assert_eq!(parse_contract("contracts/odd.yaml", &to_yaml(&contract)).unwrap(), contract);
}

#[test]
fn types_are_read_by_the_names_of_delta_and_of_arrow() {
    for (text, delta) in [
        ("Int64", "long"),
        ("utf8", "string"),
        ("LargeUtf8", "string"),
        ("Float32", "float"),
        ("Date32", "date"),
        ("Timestamp(us, \"UTC\")", "timestamp"),
        ("timestamp", "timestamp"),
        ("Timestamp(us)", "timestamp_ntz"),
        ("Decimal128(10, 2)", "decimal(10,2)"),
        ("List<Utf8>", "array<string>"),
        ("array< struct<a : Int32,b: map<utf8,bool>> >", "array<struct<a: integer, b: map<string, boolean>>>"),
    ] {
        assert_eq!(ContractType::parse(text).map(|found| found.to_string()).as_deref(), Some(delta), "{text}");
    }
    for wrong in [
        "",
        "text",
        "array",
        "array<>",
        "array<long",
        "struct<a>",
        "struct<a: long, a: long>",
        "decimal(39,2)",
        "long long",
    ] {
        assert_eq!(ContractType::parse(wrong), None, "{wrong}");
    }
}
