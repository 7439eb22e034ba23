use chrono::{TimeZone, Utc};
use windlass_base::error::Failure;
use windlass_base::ids::{RunSequence, TableVersion};
use windlass_evidence::artifact::{BUNDLE_FORMAT, EngineVersions, Refresh};

use super::*;
use crate::output::width_of;

fn stage(name: &str, status: StageStatus, attempts: u32, duration_ms: u64) -> StageSummary {
    StageSummary {
        stage: name.into(),
        status,
        attempts,
        receipt: None,
        strategy: None,
        touched: None,
        from_changes: false,
        fallback: None,
        duration_ms,
        failure: None,
        skipped_because_of: None,
    }
}

/// A stage that committed `kib` KiB of rows to a version: written, changed and in the table.
fn committed(
    name: &str,
    strategy: Option<Strategy>,
    version: u64,
    (rows, changed_rows, table_rows): (u64, Option<u64>, u64),
    kib: u64,
    duration_ms: u64,
) -> StageSummary {
    let receipt = StageReceipt {
        version: TableVersion(version),
        rows,
        changed_rows,
        table_rows: Some(table_rows),
        bytes: kib * 1_024,
        files: 1,
        outcome: ReceiptOutcome::Committed,
    };
    StageSummary { receipt: Some(receipt), strategy, ..stage(name, StageStatus::Committed, 1, duration_ms) }
}

/// A run in which every end that stages can come to occurs, and one of them is a cache.
fn record() -> RunRecord {
    let mut reused = committed("orders_clean", None, 7, (0, None, 1_204), 0, 0);
    if let Some(receipt) = &mut reused.receipt {
        receipt.outcome = ReceiptOutcome::Reused;
    }
    let failure = Failure {
        code: "WL0501".to_owned(),
        message: "no".to_owned(),
        help: Some("do it again".to_owned()),
        retryable: false,
    };
    let full = committed("totals_of_each_day", Some(Strategy::Full), 9, (365, None, 365), 3, 2_000);
    let stages = vec![
        reused,
        committed("prices_of_this_run", None, 0, (12, None, 12), 1, 20),
        committed("totals_of_each_customer", Some(Strategy::AffectedKeys), 4, (40, Some(3), 80), 2, 1_500),
        StageSummary { attempts: 2, ..full },
        StageSummary { failure: Some(failure), ..stage("report", StageStatus::Failed, 3, 100) },
        StageSummary { skipped_because_of: Some("report".into()), ..stage("letters", StageStatus::Skipped, 0, 0) },
    ];
    let version = || "1".to_owned();
    let at = |seconds| Utc.timestamp_opt(seconds, 0).single().unwrap_or_default();
    RunRecord {
        format: BUNDLE_FORMAT,
        run_id: "r1".into(),
        sequence: RunSequence(3),
        pipeline: "shop".into(),
        project_fingerprint: String::new(),
        versions: EngineVersions {
            windlass: version(),
            ballista: version(),
            datafusion: version(),
            deltalake: version(),
        },
        session_identity: String::new(),
        params: Default::default(),
        target: None,
        select: None,
        exclude: None,
        refresh: Refresh::default(),
        host: "here".to_owned(),
        started_at: at(0),
        ended_at: Some(at(5)),
        status: RunStatus::Failed,
        stages,
        warnings: Vec::new(),
        resumptions: Vec::new(),
        retry_of: None,
    }
}

/// The summary at a width, after an empty line.
fn shown(width: usize) -> String {
    let text = summary(&record(), "/bundles/r1", Layout { width: Some(width), colour: false });
    for line in text.lines() {
        assert!(width_of(line) <= width, "{line}");
    }
    text
}

#[test]
fn a_narrow_summary_leaves_out_what_matters_least() {
    assert_eq!(
        shown(60),
        r"
STAGE             STATUS     WRITTEN  CHANGED  TOTAL    TIME
orders_clean      reused           -        -  1,204       -
prices_of_this_   committed       12        -      -   20 ms
run
totals_of_each_   committed       40        3     80   1.5 s
customer
totals_of_each_   committed      365      all    365   2.0 s
day
report            failed           -        -      -  100 ms
letters           skipped          -        -      -       -

report failed: no [WL0501]
  help: do it again

letters was skipped: it needs report

3 stages run, 1 reused, 1 failed, 1 skipped: 417 rows
written, 3 changed, all of 1 table replaced, 1,649 rows in
all tables; 6.00 KiB in 5.0 s
run r1 failed
bundle /bundles/r1
"
    );
}

#[test]
fn a_summary_breaks_names_before_it_leaves_out_how_tables_were_updated_and_versions_before_that() {
    assert_eq!(
        shown(80),
        r"
STAGE                  STATUS     STRATEGY       WRITTEN  CHANGED  TOTAL    TIME
orders_clean           reused     -                    -        -  1,204       -
prices_of_this_run     committed  -                   12        -      -   20 ms
totals_of_each_        committed  affected_keys       40        3     80   1.5 s
customer
totals_of_each_day     committed  full               365      all    365   2.0 s
report                 failed     -                    -        -      -  100 ms
letters                skipped    -                    -        -      -       -

report failed: no [WL0501]
  help: do it again

letters was skipped: it needs report

3 stages run, 1 reused, 1 failed, 1 skipped: 417 rows written, 3 changed, all of
1 table replaced, 1,649 rows in all tables; 6.00 KiB in 5.0 s
run r1 failed
bundle /bundles/r1
"
    );
}

#[test]
fn a_wide_summary_has_everything() {
    assert_eq!(
        shown(120),
        r"
STAGE                    STATUS     STRATEGY       VERSION  WRITTEN  CHANGED  TOTAL      SIZE    TIME  TRIES
orders_clean             reused     -                    7        -        -  1,204         -       -      -
prices_of_this_run       committed  -                    0       12        -      -  1.00 KiB   20 ms      1
totals_of_each_customer  committed  affected_keys        4       40        3     80  2.00 KiB   1.5 s      1
totals_of_each_day       committed  full                 9      365      all    365  3.00 KiB   2.0 s      2
report                   failed     -                    -        -        -      -         -  100 ms      3
letters                  skipped    -                    -        -        -      -         -       -      -

report failed: no [WL0501]
  help: do it again

letters was skipped: it needs report

3 stages run, 1 reused, 1 failed, 1 skipped: 417 rows written, 3 changed, all of 1 table replaced, 1,649 rows in all
tables; 6.00 KiB in 5.0 s
run r1 failed
bundle /bundles/r1
"
    );
}

#[test]
fn colours_tell_how_stages_ended() {
    let coloured = summary(&record(), "/bundles/r1", Layout { width: Some(80), colour: true });
    for word in ["\x1b[2mreused\x1b[0m", "\x1b[32mcommitted\x1b[0m", "\x1b[31mfailed\x1b[0m", "\x1b[33mskipped\x1b[0m"]
    {
        assert!(coloured.contains(word), "{word:?}: {coloured}");
    }
    let codes = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];
    let plain = codes.iter().fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(plain, shown(80));
}
