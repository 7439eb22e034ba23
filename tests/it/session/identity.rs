//! The session identity: equal if and only if sessions plan in the same way, in any process.

use std::process::Command;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use windlass_base::config::SessionSettings;
use windlass_base::identity::SessionIdentity;
use windlass_engine::function::Functions;
use windlass_engine::session::Sessions;

const PRINTS: &str = "session::identity::prints_the_identity_for_another_process";
const MARK: &str = "session identity: ";

fn settings() -> SessionSettings {
    SessionSettings { target_partitions: 4, ..SessionSettings::default() }
}

fn identity(settings: SessionSettings, functions: Functions) -> SessionIdentity {
    Sessions::new(settings, functions).unwrap().session_identity().clone()
}

fn function(name: &str) -> ScalarUDF {
    let itself = Arc::new(|args: &[ColumnarValue]| Ok(args[0].clone()));
    create_udf(name, vec![DataType::Int64], DataType::Int64, Volatility::Immutable, itself)
}

#[test]
fn the_order_in_which_functions_are_added_does_not_matter() {
    let one = Functions::standard().with_scalar(function("a")).with_scalar(function("b"));
    let other = Functions::default().with_scalar(function("b"));
    let other = Functions::standard()
        .scalar
        .into_iter()
        .fold(other, |functions, standard| functions.with_scalar(standard.as_ref().clone()));
    let mut other = other.with_scalar(function("a"));
    for standard in Functions::standard().records() {
        other = other.with_version(&standard.name, standard.version);
    }
    assert_eq!(identity(settings(), one), identity(settings(), other));
}

#[test]
fn everything_that_affects_a_plan_or_a_result_changes_the_identity() {
    let base = identity(settings(), Functions::standard());
    let others = [
        identity(SessionSettings { target_partitions: 5, ..settings() }, Functions::standard()),
        identity(SessionSettings { batch_size: 1024, ..settings() }, Functions::standard()),
        identity(SessionSettings { parquet_pushdown: false, ..settings() }, Functions::standard()),
        identity(SessionSettings { normalize_identifiers: false, ..settings() }, Functions::standard()),
        identity(settings(), Functions::default()),
        identity(settings(), Functions::standard().with_scalar(function("a"))),
        identity(settings(), Functions::standard().with_version("stable_id", 2)),
    ];
    for (i, other) in others.iter().enumerate() {
        assert_ne!(&base, other, "variation {i}");
        assert!(others.iter().skip(i + 1).all(|another| another != other), "variation {i}");
    }
}

#[test]
fn settings_of_the_machine_do_not_change_the_identity() {
    let spill = tempfile::tempdir().unwrap();
    let elsewhere = SessionSettings {
        metadata_cache_bytes: 1 << 20,
        memory_limit_bytes: Some(1 << 30),
        spill_dir: Some(spill.path().to_owned()),
        message_limit_bytes: 16 << 20,
        ..settings()
    };
    assert_eq!(identity(settings(), Functions::standard()), identity(elsewhere, Functions::standard()));
}

#[test]
fn every_session_has_the_same_id() {
    let sessions = Sessions::new(settings(), Functions::standard()).unwrap();
    let ids = [sessions.context().unwrap().session_id(), sessions.context().unwrap().session_id()];
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0], sessions.session_id());
}

/// Not a separate test: the next one runs it in another process.
#[test]
fn prints_the_identity_for_another_process() {
    println!("{MARK}{}", identity(settings(), Functions::standard()));
}

#[test]
fn another_process_with_another_environment_has_the_same_identity() {
    let elsewhere = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", PRINTS, "--nocapture", "--test-threads=1"])
        .current_dir(elsewhere.path())
        .env("DATAFUSION_EXECUTION_BATCH_SIZE", "17")
        .env("TZ", "Pacific/Auckland")
        .env("LC_ALL", "C")
        .env("TOKIO_WORKER_THREADS", "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let there = printed.lines().find_map(|line| line.split_once(MARK)).map(|(_, identity)| identity.trim());
    assert_eq!(there, Some(identity(settings(), Functions::standard()).as_str()), "{printed}");
}
