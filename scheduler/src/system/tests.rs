//! Which runs a question needs.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use windlass_base::config::SessionSettings;
use windlass_base::ids::RunId;
use windlass_engine::function::Functions;
use windlass_engine::session::{Sessions, sql_plan};
use windlass_evidence::system::SystemTable;

use super::choice::Candidates;
use super::demand::demands;
use super::{register_unread, schema};

/// The id of the run `number`, made at the beginning of 2026 and ten days later for each number.
fn id(number: usize) -> String {
    let first: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    let made_at = first + TimeDelta::days(10) * i32::try_from(number).unwrap();
    format!("{:012x}{number:020x}", made_at.timestamp_millis())
}

/// Which of five runs are read for `table`, if every bundle that is read has a row.
async fn read_for(sql: &str, table: SystemTable) -> Vec<usize> {
    let sessions = Sessions::new(SessionSettings::default(), Functions::standard()).unwrap();
    let context = sessions.context().unwrap();
    register_unread(&context, &BTreeSet::from(SystemTable::ALL)).unwrap();
    let state = context.state();
    let plan = sql_plan(&state, sql).await.unwrap();
    let demands = demands(&state.optimize(&plan).unwrap());
    let other_folders = ["notes", "0192"].map(RunId::from);
    let candidates = Candidates::new((0..5).map(|number| RunId::new(id(number))).chain(other_folders).collect());
    let mut choice = candidates.choose(&state, &schema(table), table, &demands);
    let mut read = Vec::new();
    for (place, candidate) in candidates.all().iter().enumerate() {
        if choice.wants(place, candidate) {
            choice.found(candidate);
            read.push((0..5).find(|number| id(*number) == candidate.id.as_str()).unwrap());
        }
    }
    read.sort_unstable();
    read
}

#[tokio::test]
async fn a_question_reads_the_runs_that_it_can_use() {
    let [first, second, third, .., last] = [0, 1, 2, 3, 4].map(id);
    let all: &[usize] = &[0, 1, 2, 3, 4];
    let of_runs = "SELECT * FROM windlass.runs";
    let cases: Vec<(String, &[usize])> = vec![
        (of_runs.to_owned(), all),
        (format!("{of_runs} WHERE run_id = '{third}'"), &[2]),
        (format!("{of_runs} WHERE run_id >= '{third}'"), &[2, 3, 4]),
        (format!("{of_runs} WHERE run_id > '{third}' AND run_id < '{last}'"), &[3]),
        (format!("{of_runs} WHERE run_id IN ('{first}', '{last}')"), &[0, 4]),
        (format!("{of_runs} WHERE run_id = '{first}' OR status = 'failed' AND run_id = '{second}'"), &[0, 1]),
        (format!("{of_runs} WHERE run_id = '{first}' OR status = 'failed'"), all),
        (format!("{of_runs} WHERE status = 'failed'"), all),
        (format!("{of_runs} WHERE false"), &[]),
        // The clocks that make ids and starts are a day apart at most.
        (format!("{of_runs} WHERE started_at >= TIMESTAMP '2026-01-31T00:00:00Z'"), &[3, 4]),
        (format!("{of_runs} WHERE started_at >= TIMESTAMP '2026-01-31T12:00:00Z'"), &[3, 4]),
        (format!("{of_runs} WHERE started_at > TIMESTAMP '2026-02-01T12:00:00Z'"), &[4]),
        (format!("{of_runs} WHERE started_at < TIMESTAMP '2026-01-10T00:00:00Z'"), &[0]),
        (format!("{of_runs} WHERE started_at BETWEEN '2026-01-20T00:00:00Z' AND '2026-01-22T00:00:00Z'"), &[2]),
        (format!("{of_runs} WHERE CAST(started_at AS DATE) >= DATE '2026-02-05'"), &[4]),
        (format!("{of_runs} WHERE CAST(started_at AS TIME) > TIME '12:00:00'"), all),
        (format!("{of_runs} ORDER BY started_at DESC LIMIT 1"), &[4]),
        (format!("{of_runs} ORDER BY started_at DESC, run_id LIMIT 2"), &[3, 4]),
        (format!("{of_runs} ORDER BY run_id DESC LIMIT 1 OFFSET 1"), &[3, 4]),
        (format!("{of_runs} LIMIT 1"), &[4]),
        ("SELECT r.status FROM windlass.runs AS r ORDER BY r.started_at DESC LIMIT 1".to_owned(), &[4]),
        (format!("SELECT count(*) FROM ({of_runs} ORDER BY started_at DESC LIMIT 2) AS newest"), &[3, 4]),
        (format!("{of_runs} ORDER BY started_at LIMIT 1"), all),
        (format!("{of_runs} ORDER BY duration_ms DESC LIMIT 1"), all),
        (format!("{of_runs} WHERE status = 'failed' ORDER BY started_at DESC LIMIT 1"), all),
        (format!("{of_runs} WHERE run_id = '{first}' UNION ALL {of_runs} WHERE run_id = '{last}'"), &[0, 4]),
        (format!("{of_runs} WHERE run_id = '{first}' UNION ALL ({of_runs} ORDER BY started_at DESC LIMIT 1)"), all),
        (format!("SELECT (SELECT max(status) FROM windlass.runs WHERE run_id = '{second}') AS status"), &[1]),
        ("SELECT count(*) FROM windlass.stages".to_owned(), &[]),
    ];
    for (sql, expected) in cases {
        assert_eq!(read_for(&sql, SystemTable::Runs).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn other_tables_are_chosen_by_the_run_and_its_start() {
    let [_, second, ..] = [0, 1, 2, 3, 4].map(id);
    let all: &[usize] = &[0, 1, 2, 3, 4];
    let cases: Vec<(String, SystemTable, &[usize])> = vec![
        ("SELECT * FROM windlass.stages ORDER BY run_started_at DESC LIMIT 1".to_owned(), SystemTable::Stages, all),
        (
            "SELECT * FROM windlass.stages WHERE run_started_at > TIMESTAMP '2026-02-05T00:00:00Z'".to_owned(),
            SystemTable::Stages,
            &[4],
        ),
        // When a stage began says little of when its run did.
        (
            "SELECT * FROM windlass.attempts WHERE started_at > TIMESTAMP '2026-02-05T00:00:00Z'".to_owned(),
            SystemTable::Attempts,
            all,
        ),
        (
            format!(
                "SELECT t.stage FROM windlass.tasks AS t JOIN windlass.runs AS r ON t.run_id = r.run_id \
                 WHERE r.run_id = '{second}'"
            ),
            SystemTable::Tasks,
            &[1],
        ),
        (format!("SELECT * FROM windlass.maintenance WHERE turn = '{second}'"), SystemTable::Maintenance, &[1]),
    ];
    for (sql, table, expected) in cases {
        assert_eq!(read_for(&sql, table).await, expected, "{sql}");
    }
}
