//! Turns beside runs and pins, stopped at the points where they could miss one another.

use std::sync::Arc;
use std::time::Duration;

use windlass_base::error::Coded;
use windlass_base::ids::TableVersion;
use windlass_client::Project;
use windlass_evidence::artifact::{MaintenanceKind, NewMark, PinHolder};
use windlass_scheduler::maintain::{self, set_mark};
use windlass_scheduler::state::StateStore;

use super::direct::{Direct, succeeded};
use super::history::{History, listed, names};
use super::lab::{NOTHING_BY_TIME, action, failures, numbers, of};
use super::paused::{Paused, Point};
use crate::delta_read::tables::append;

const LEASES: &str = "maintenance/";
/// The source of the pipelines that write.
const T: &str = "t: { kind: delta, location: t }";

/// A scheduler with stops, and a project whose table `events` has `versions` versions with rows.
async fn lab(mode: &str, maintenance: &str, versions: i64) -> (Direct, Arc<Paused>, Project) {
    let state = Arc::new(Paused::default());
    let direct = Direct::with_state(Arc::clone(&state) as Arc<dyn StateStore>);
    direct.make_source().await;
    let project = direct.project("writer", T, maintenance, &[("events", mode, "SELECT id, g, v FROM t")]);
    for version in 0..versions {
        append(&direct.dir().join("t"), numbers(version * 10 + 10..version * 10 + 20), &[]).await;
        direct.run(&project).await;
    }
    (direct, state, project)
}

fn new_mark(name: &str, version: u64) -> NewMark {
    NewMark {
        name: name.to_owned(),
        tag: false,
        table: "events".into(),
        version: Some(TableVersion(version)),
        expires_at: None,
        reason: None,
    }
}

/// Time in which nothing may happen.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(600)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_has_not_looked_yet_sees_what_a_run_has_pinned() {
    let (direct, state, project) = lab("mode: overwrite", NOTHING_BY_TIME, 3).await;
    let folder = direct.table("events");
    let history = History::read(&folder);
    let events = format!("events: {{ kind: delta, location: {}, version: 2 }}", folder.display());
    let reader = direct.project("reader", &events, "", &[("copy", "mode: overwrite", "SELECT id, g, v FROM events")]);

    let granted = state.stop(Point::Granted, LEASES);
    let turn = direct.start_turn(&project, &[]);
    granted.reached().await;
    // The run asks for leases when it has written down what it has pinned.
    let asks = state.stop(Point::Listing, LEASES);
    let run = direct.start(&reader);
    asks.reached().await;
    asks.release();
    a_while().await;
    assert!(!run.is_finished(), "the run did not wait for the end of the turn");
    granted.release();
    let record = turn.ended.await.unwrap().unwrap();
    assert_eq!(failures(&record), Vec::<String>::new());
    let kept = &of(&record, "events").kept;
    let by_run = |held: &windlass_evidence::artifact::KeptVersion| {
        held.version == TableVersion(2) && matches!(held.by, PinHolder::ActiveRun { .. })
    };
    assert!(kept.iter().any(by_run), "the turn did not see the run: {kept:?}");
    succeeded(run).await;
    let rows = direct.rows(&reader, "SELECT * FROM copy").await;
    assert_eq!(rows.len(), 30, "the rows of version 2: {rows:?}");
    assert!(history.of(2).is_subset(&names(&folder)), "files of the pinned version were removed");
    assert!(!history.of(1).is_subset(&names(&folder)), "files of version 1, which nothing keeps, are all there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_turn_has_not_seen_waits_for_it_and_pins_anew() {
    let policy = format!("optimize: {{ small_files: 1 }}, {NOTHING_BY_TIME}");
    let (direct, state, project) = lab("mode: append", &policy, 3).await;
    let folder = direct.table("events");
    let history = History::read(&folder);
    let newest = history.newest();
    let rows = direct.rows(&project, "SELECT * FROM events").await;
    let events = format!("events: {{ kind: delta, location: {} }}", folder.display());
    let reader = direct.project("reader", &events, "", &[("copy", "mode: overwrite", "SELECT id, g, v FROM events")]);

    // The run has pinned the newest version in its plan, and has not written that down.
    let planned = state.stop(Point::Reading, "pipelines/reader/sequence");
    let run = direct.start(&reader);
    planned.reached().await;
    let releasing = state.stop(Point::Releasing, LEASES);
    let turn = direct.start_turn(&project, &[]);
    releasing.reached().await;
    assert!(
        history.of(newest).is_disjoint(&names(&folder)),
        "the turn has replaced and removed all files: {:?}",
        listed(&folder)
    );
    planned.release();
    a_while().await;
    assert!(!run.is_finished(), "the run did not wait for the end of the turn");
    releasing.release();
    let record = turn.ended.await.unwrap().unwrap();
    assert_eq!(failures(&record), Vec::<String>::new());
    succeeded(run).await;
    assert_eq!(direct.rows(&reader, "SELECT * FROM copy").await, rows);
    assert_eq!(direct.rows(&project, "SELECT * FROM events").await, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pin_is_set_during_a_turn_and_one_that_was_set_before_counts() {
    let (direct, state, project) = lab("mode: overwrite", NOTHING_BY_TIME, 3).await;
    let folder = direct.table("events");
    let history = History::read(&folder);
    // Set before: the turn is refused the table meanwhile, and sees the pin afterwards.
    let setting = state.stop(Point::Releasing, LEASES);
    let pin = tokio::spawn({
        let (scheduler, request) = (Arc::clone(&direct.scheduler), direct.request(&project));
        async move { set_mark(&scheduler, &request, new_mark("one", 1)).await }
    });
    setting.reached().await;
    let before = listed(&folder);
    let record = direct.turn(&project).await;
    let failure = of(&record, "events").failure.clone();
    assert_eq!(failure.as_ref().map(|failure| failure.code.as_str()), Some("WL0683"), "{record:?}");
    assert_eq!(listed(&folder), before);
    setting.release();
    assert_eq!(pin.await.unwrap().unwrap().version, TableVersion(1));

    // During a turn: refused, and nothing is left of it.
    let granted = state.stop(Point::Granted, LEASES);
    let turn = direct.start_turn(&project, &[]);
    granted.reached().await;
    let refused = set_mark(&direct.scheduler, &direct.request(&project), new_mark("two", 2)).await.unwrap_err();
    assert_eq!(refused.code().0, "WL0683", "{refused}");
    granted.release();
    let record = turn.ended.await.unwrap().unwrap();
    assert_eq!(failures(&record), Vec::<String>::new());
    let expected: std::collections::BTreeSet<String> = history.of(1).union(&history.of(3)).cloned().collect();
    assert_eq!(names(&folder), expected, "{:?}", of(&record, "events"));

    // Afterwards the version is gone, and that is said.
    let gone = set_mark(&direct.scheduler, &direct.request(&project), new_mark("two", 2)).await.unwrap_err();
    assert_eq!(gone.code().0, "WL0684", "{gone}");
    let marks = maintain::marks(&direct.scheduler, &direct.request(&project).home).await.unwrap();
    assert_eq!(marks.iter().map(|mark| mark.name.as_str()).collect::<Vec<_>>(), ["one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_gives_way_to_a_run_of_its_pipeline() {
    let policy = format!("optimize: {{ small_files: 1 }}, {NOTHING_BY_TIME}");
    let (direct, state, project) = lab("mode: append", &policy, 3).await;
    let folder = direct.table("events");
    let before = listed(&folder);
    let rows = direct.rows(&project, "SELECT * FROM events").await.len();
    let granted = state.stop(Point::Granted, LEASES);
    let turn = direct.start_turn(&project, &[]);
    granted.reached().await;
    append(&direct.dir().join("t"), numbers(90..100), &[]).await;
    let run = direct.start(&project);
    a_while().await;
    assert!(!run.is_finished(), "the run did not wait for the end of the turn");
    granted.release();
    let record = turn.ended.await.unwrap().unwrap();
    let failures = failures(&record);
    assert!(!failures.is_empty() && failures.iter().all(|failure| failure.contains("WL0688")), "{failures:?}");
    succeeded(run).await;
    let after = listed(&folder);
    assert!(before.keys().all(|path| after.contains_key(path)), "a turn that was stopped removed files");
    // The run appends all rows of `t` again.
    let now = direct.rows(&project, "SELECT * FROM events").await;
    assert_eq!(now.len(), rows + 50);

    let record = direct.turn(&project).await;
    assert_eq!(super::lab::failures(&record), Vec::<String>::new());
    assert!(action(&record, "events", MaintenanceKind::Compact).outcome.is_some(), "{record:?}");
    assert_eq!(direct.rows(&project, "SELECT * FROM events").await, now);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_during_a_run_is_refused_and_removes_nothing_that_is_staged() {
    let (direct, state, project) = lab("mode: overwrite", NOTHING_BY_TIME, 2).await;
    let folder = direct.table("events");
    append(&direct.dir().join("t"), numbers(90..100), &[]).await;
    let committed = names(&folder);
    let staged = state.stop_at(Point::Writing, "runs/", "execution_succeeded");
    let run = direct.start(&project);
    staged.reached().await;
    let before = listed(&folder);
    assert!(names(&folder).len() > committed.len(), "nothing is staged: {before:?}");
    let refused = direct.start_turn(&project, &[]).ended.await.unwrap().unwrap_err();
    assert_eq!(refused.code().0, "WL0606", "{refused}");
    assert_eq!(listed(&folder), before);
    staged.release();
    succeeded(run).await;
    let rows = direct.rows(&project, "SELECT * FROM events").await;
    assert_eq!(rows.len(), 40);
    let record = direct.turn(&project).await;
    assert_eq!(failures(&record), Vec::<String>::new());
    let history = History::read(&folder);
    assert_eq!(names(&folder), history.of(history.newest()));
    assert_eq!(direct.rows(&project, "SELECT * FROM events").await, rows);
}
