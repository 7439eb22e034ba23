//! What is decided about a stage, and why.

use windlass_base::ids::RunSequence;

use super::*;

fn parts() -> CodeParts {
    CodeParts { definition: "one".to_owned(), incremental: true, ..CodeParts::default() }
}

fn table(version: u64) -> InputFacts {
    let state = InputState::Table { id: "a".to_owned(), version: TableVersion(version) };
    InputFacts {
        name: NodeName::new("orders"),
        state,
        from_version: None,
        to_version: None,
        commit: None,
        only_rewritten: false,
    }
}

fn memory(cursor: i64) -> TableProgress {
    TableProgress {
        version: TableVersion(9),
        last_run: Some(RunSequence(3)),
        run_version: Some(TableVersion(9)),
        code: Some(7),
        code_parts: Some(parts()),
        sources: BTreeMap::from([((NodeName::new("orders"), "a".to_owned()), cursor)]),
        ..TableProgress::default()
    }
}

fn facts<'f>(memory: Option<&'f TableProgress>, input: InputFacts) -> StageFacts<'f> {
    StageFacts {
        incremental: Incremental::Strict,
        mode: WriteMode::Overwrite,
        on_definition_change: OnDefinitionChange::Rebuild,
        code: 7,
        parts: parts(),
        volatile: None,
        memory,
        inputs: vec![input],
        refresh: false,
        interrupted: false,
        keyed: true,
    }
}

/// What is decided and why, with what was missed for a reuse.
fn told(facts: &StageFacts<'_>) -> String {
    match decide(facts) {
        Verdict::Reuse => "reuse".to_owned(),
        Verdict::Done { reason } => format!("done: {reason}"),
        Verdict::Incremental(cursors) => format!("incremental [{}]", cursors.missed.join("; ")),
        Verdict::Full { reason, missed, .. } => format!("full: {reason} [{}]", missed.join("; ")),
        Verdict::Refuse { reason } => format!("refused: {reason}"),
    }
}

#[test]
fn a_table_is_reused_only_if_nothing_has_changed() {
    let known = memory(4);
    assert_eq!(told(&facts(Some(&known), table(4))), "reuse");
    assert_eq!(told(&facts(None, table(4))), "full: its table has no rows of a run yet [table: there is none yet]");
    let never_run = TableProgress { last_run: None, ..memory(4) };
    assert_eq!(told(&facts(Some(&never_run), table(4))), told(&facts(None, table(4))));
    let rewritten = CodeParts { definition: "two".to_owned(), ..parts() };
    let other = StageFacts { code: 8, parts: rewritten, ..facts(Some(&known), table(4)) };
    let reason = "its definition has changed since its rows were computed";
    assert_eq!(told(&other), format!("full: {reason} [code: {reason}]"));
    let refresh = StageFacts { refresh: true, ..facts(Some(&known), table(4)) };
    assert_eq!(told(&refresh), "full: a full refresh was asked for [a full refresh was asked for]");
    let off = StageFacts { incremental: Incremental::Off, ..facts(Some(&known), table(6)) };
    assert_eq!(
        told(&off),
        "full: `orders` has changed; it does not ask to be incremental [data of orders: version 4 → 6]"
    );
    let append = StageFacts { mode: WriteMode::Append, ..off };
    assert_eq!(told(&append), "full: every run adds its rows [table: every run adds to it]");
}

#[test]
fn what_others_did_to_a_table_is_undone_by_key_or_the_table_is_made_again() {
    let foreign = TableProgress { foreign: Some(TableVersion(10)), ..memory(4) };
    let facts = || facts(Some(&foreign), table(4));
    let Verdict::Incremental(cursors) = decide(&facts()) else { panic!("not incremental") };
    assert_eq!((cursors.repair, cursors.changed.len()), (Some(TableVersion(9)), 0));
    let reason = "another program changed its table in version 10";
    assert_eq!(told(&facts()), format!("incremental [table: {reason}]"));
    let auto = StageFacts { incremental: Incremental::Auto, ..facts() };
    assert_eq!(told(&auto), format!("full: {reason} [table: {reason}]"));
    let refused = format!("refused: {reason}");
    assert_eq!(told(&StageFacts { keyed: false, ..facts() }), refused);
    let forgotten = TableProgress { run_version: None, ..foreign.clone() };
    assert_eq!(told(&StageFacts { memory: Some(&forgotten), ..facts() }), refused);
    let redefined = TableProgress { redefined: true, ..foreign.clone() };
    assert_eq!(told(&StageFacts { memory: Some(&redefined), ..facts() }), refused);
}

#[test]
fn a_change_of_the_code_is_told_by_its_part() {
    let known = memory(4);
    let full = |reason: &str| format!("full: {reason} [code: {reason}]");
    let rewritten = CodeParts { definition: "two".to_owned(), ..parts() };
    let other = StageFacts { code: 8, parts: rewritten, ..facts(Some(&known), table(4)) };
    assert_eq!(told(&other), full("its definition has changed since its rows were computed"));
    let refuse = StageFacts { on_definition_change: OnDefinitionChange::Refuse, ..other };
    assert_eq!(told(&refuse), "refused: its definition has changed since its rows were computed");
    let set = CodeParts { settings: "other".to_owned(), ..parts() };
    let other = StageFacts { code: 8, parts: set, ..facts(Some(&known), table(4)) };
    assert_eq!(told(&other), full("a setting of the session has changed since its rows were computed"));
    let old = TableProgress { code_parts: None, ..memory(4) };
    let other = StageFacts { code: 8, ..facts(Some(&old), table(4)) };
    assert!(told(&other).starts_with("full: its rows were made by an earlier version of windlass"), "{}", told(&other));
}

#[test]
fn a_table_whose_key_nobody_has_looked_at_is_not_brought_up_to_date() {
    let unchecked = CodeParts { incremental: false, ..parts() };
    let known = TableProgress { code_parts: Some(unchecked), ..memory(4) };
    for version in [4, 6] {
        let reason = "`incremental` was off when its rows were made, and its key could be null";
        assert_eq!(told(&facts(Some(&known), table(version))), format!("full: {reason} [code: {reason}]"));
        let append = StageFacts { mode: WriteMode::Append, ..facts(Some(&known), table(version)) };
        let reason = "`incremental` was off when its rows were made, and every run added all of its rows";
        assert_eq!(told(&append), format!("full: {reason} [code: {reason}]"));
    }
    let off = StageFacts { incremental: Incremental::Off, ..facts(Some(&known), table(4)) };
    assert_eq!(decide(&off), Verdict::Reuse);
}

#[test]
fn changes_begin_behind_the_cursor() {
    let known = memory(4);
    let Verdict::Incremental(cursors) = decide(&facts(Some(&known), table(6))) else { panic!("not incremental") };
    assert_eq!(cursors.tables, BTreeMap::from([(NodeName::new("orders"), TableVersion(4))]));
    assert!(cursors.again.is_empty());
    assert_eq!(told(&facts(Some(&known), table(6))), "incremental [data of orders: version 4 → 6]");
    let behind = told(&facts(Some(&known), table(3)));
    assert_eq!(behind, "refused: `orders` is read at version 3, and version 4 is already applied");
    let reset = told(&facts(Some(&memory(RESET)), table(4)));
    assert_eq!(reset, "full: the cursor of `orders` was reset [data of orders: the cursor was reset]");
    let other = InputFacts { name: NodeName::new("rates"), ..table(4) };
    assert_eq!(told(&facts(Some(&known), other)), "refused: `rates` is read for the first time");
}

#[test]
fn a_table_of_this_run_is_read_behind_what_is_taken_in_of_it() {
    let pending = |name: &str| InputFacts { name: NodeName::new(name), state: InputState::Pending, ..table(0) };
    let known = memory(4);
    let missed = "incremental [data of orders: this run brings it up to date]";
    assert_eq!(told(&facts(Some(&known), pending("orders"))), missed);
    assert_eq!(told(&facts(Some(&known), pending("rates"))), "refused: `rates` is read for the first time");
    let reset = told(&facts(Some(&memory(RESET)), pending("orders")));
    assert_eq!(reset, "full: the cursor of `orders` was reset [data of orders: the cursor was reset]");
}

#[test]
fn files_are_taken_in_by_their_listing() {
    let files = |mark| InputFacts { state: InputState::Files { mark }, ..table(0) };
    let known = TableProgress { files: BTreeMap::from([(NodeName::new("orders"), 5)]), ..memory(4) };
    assert_eq!(told(&facts(Some(&known), files(5))), "reuse");
    assert_eq!(told(&facts(Some(&known), files(6))), "incremental [data of orders: its files have changed]");
    assert_eq!(told(&facts(Some(&memory(4)), files(5))), "refused: `orders` is read for the first time");
    let reset = TableProgress { files: BTreeMap::from([(NodeName::new("orders"), RESET)]), ..memory(4) };
    assert!(told(&facts(Some(&reset), files(5))).starts_with("full: the cursor of `orders` was reset"));
}

/// The version that is applied and the versions that are applied once more, first and last.
fn once_more(memory: &TableProgress, input: InputFacts) -> (u64, Option<(u64, u64)>) {
    let Verdict::Incremental(cursors) = decide(&facts(Some(memory), input)) else { panic!("not incremental") };
    let again = cursors.again.values().next().map(|again| (again.first.0, again.last.0));
    (cursors.tables.values().next().unwrap().0, again)
}

#[test]
fn a_cursor_that_is_set_back_does_not_make_rows_of_the_table_new_again() {
    let key = (NodeName::new("orders"), "a".to_owned());
    let set_back = TableProgress { applied: BTreeMap::from([(key, 4)]), ..memory(1) };
    assert_eq!(once_more(&set_back, table(6)), (4, Some((2, 4))));
    // Nothing is new, and what is applied once more is still looked at.
    assert_eq!(once_more(&set_back, table(4)), (4, Some((2, 4))));
    let missed = "data of orders: its changes from version 2 to 4 are applied once more";
    assert_eq!(told(&facts(Some(&set_back), table(6))), format!("incremental [{missed}]"));
    let append = StageFacts { mode: WriteMode::Append, ..facts(Some(&set_back), table(6)) };
    let reason = "changes of `orders` that are in its rows are applied once more, and rows can only be added to it";
    assert_eq!(told(&append), format!("full: {reason} [{missed}]"));
}

#[test]
fn a_range_that_was_asked_for_never_moves_the_cursor_back() {
    let known = memory(4);
    let asked = |from: u64, to: Option<u64>, version: u64| InputFacts {
        from_version: Some(TableVersion(from)),
        to_version: to.map(TableVersion),
        ..table(version)
    };
    assert_eq!(once_more(&known, asked(2, None, 4)), (4, Some((2, 4))));
    assert_eq!(once_more(&known, asked(2, Some(3), 4)), (4, Some((2, 3))));
    assert_eq!(once_more(&known, asked(2, Some(6), 6)), (4, Some((2, 4))));
    assert_eq!(once_more(&known, asked(0, Some(3), 6)), (4, Some((0, 3))));
    assert_eq!(once_more(&known, asked(6, Some(6), 6)), (4, None), "nothing between is left out");
}

#[test]
fn another_history_of_the_same_table_is_not_read_on() {
    let key = (NodeName::new("orders"), "a".to_owned());
    let known = TableProgress {
        commits: BTreeMap::from([(key.clone(), 77)]),
        applied: BTreeMap::from([(key, 4)]),
        ..memory(4)
    };
    let of = |commit| InputFacts { commit, ..table(4) };
    assert_eq!(decide(&facts(Some(&known), of(Some(77)))), Verdict::Reuse);
    assert_eq!(decide(&facts(Some(&known), of(None))), Verdict::Reuse, "the log does not tell");
    let refused =
        "refused: `orders` has another history than the one that was applied: its version 4 is another commit";
    assert_eq!(told(&facts(Some(&known), of(Some(78)))), refused);
    let later = InputFacts { commit: Some(78), ..table(9) };
    assert_eq!(told(&facts(Some(&known), later)), refused);
}

#[test]
fn what_an_interrupted_run_has_committed_is_not_done_again() {
    let known = memory(4);
    let append = |input: InputFacts| StageFacts {
        incremental: Incremental::Off,
        mode: WriteMode::Append,
        interrupted: true,
        ..facts(Some(&known), input)
    };
    let done = "done: a run that was interrupted has committed its rows";
    assert_eq!(told(&append(table(4))), done);
    assert_eq!(told(&StageFacts { refresh: true, ..append(table(4)) }), done);
    let adds = "full: every run adds its rows [table: every run adds to it]";
    assert_eq!(told(&StageFacts { interrupted: false, ..append(table(4)) }), adds);
    assert_eq!(told(&StageFacts { code: 8, ..append(table(4)) }), adds);
    assert_eq!(told(&append(table(5))), adds, "that is another run");
    let new = told(&StageFacts { memory: None, ..append(table(4)) });
    assert_eq!(new, "full: its table has no rows of a run yet [table: there is none yet]");
    let named = TableProgress { run_id: Some("r1".into()), ..memory(4) };
    let done_by = told(&StageFacts { memory: Some(&named), ..append(table(4)) });
    assert_eq!(done_by, "done: run r1, which was interrupted, has committed its rows");

    let volatile = |interrupted| StageFacts {
        volatile: Some("it calls `now`".to_owned()),
        interrupted,
        ..facts(Some(&known), table(4))
    };
    assert_eq!(told(&volatile(true)), done);
    assert_eq!(told(&volatile(false)), "full: it calls `now` [code: it calls `now`]");
    let foreign = TableProgress { foreign: Some(TableVersion(10)), ..memory(4) };
    let changed = StageFacts { memory: Some(&foreign), keyed: false, ..volatile(true) };
    assert_eq!(told(&changed), "refused: another program changed its table in version 10");
    // Where a run has nothing to do if nothing has changed, it does not matter.
    assert_eq!(decide(&StageFacts { interrupted: true, ..facts(Some(&known), table(4)) }), Verdict::Reuse);
}

#[test]
fn another_table_under_the_same_name_is_not_mixed_with_the_old_rows() {
    let known = memory(4);
    let state = InputState::Table { id: "b".to_owned(), version: TableVersion(4) };
    let other = InputFacts { state, ..table(4) };
    let reason = "is another table than the one that was applied";
    assert_eq!(told(&facts(Some(&known), other.clone())), format!("refused: `orders` {reason}"));
    let auto = StageFacts { incremental: Incremental::Auto, ..facts(Some(&known), other) };
    assert_eq!(told(&auto), format!("full: `orders` {reason} [data of orders: it {reason}]"));
}
