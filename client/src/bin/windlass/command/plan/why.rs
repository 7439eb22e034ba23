//! Why a stage is decided about as it is, in a few words.

use windlass_evidence::artifact::{Cause, PlanDecision, StageDecision};

/// The reason in a few words; the sentence of plans that give no cause.
pub(super) fn why(stage: &StageDecision) -> String {
    let Some(cause) = stage.cause else { return stage.reason.clone() };
    let inputs = listed(&changed_inputs(stage));
    let text = match cause {
        Cause::UpToDate => match stage.exports.as_slice() {
            [] => "nothing has changed".to_owned(),
            [one] => format!("nothing has changed; writes export {one}"),
            several => format!("nothing has changed; writes exports {}", several.join(", ")),
        },
        Cause::DoneBefore => "done by an interrupted run".to_owned(),
        Cause::NotBuilt => "not built yet".to_owned(),
        Cause::FullRefresh => "full refresh".to_owned(),
        Cause::EveryRun => "every run adds rows".to_owned(),
        Cause::ForeignChange => "changed by another program".to_owned(),
        Cause::CodeChanged => "definition changed".to_owned(),
        Cause::Volatile => "differs in every run".to_owned(),
        Cause::DataChanged => format!("{inputs} changed"),
        Cause::InputReplaced => format!("{inputs} replaced or new"),
        Cause::CursorReset => format!("cursor reset: {inputs}"),
        Cause::AppliedAgain => format!("applied again: {inputs}"),
        Cause::NotTraceable => format!("{inputs} changed, not traceable"),
        Cause::View => "computed by its readers".to_owned(),
        Cause::Cache => "for this run only".to_owned(),
        Cause::Refused => "may not be computed".to_owned(),
    };
    match stage.strategy.filter(|_| stage.decision == PlanDecision::Incremental) {
        Some(strategy) => format!("{text}: {}", strategy.as_str()),
        None => text,
    }
}

/// The inputs that have changed, as the verdict about the table names them.
fn changed_inputs(stage: &StageDecision) -> Vec<&str> {
    let missed = stage.reuse.iter().flat_map(|reuse| &reuse.missed);
    missed.filter_map(|missed| Some(missed.strip_prefix("data of ")?.split_once(':')?.0)).collect()
}

fn listed(inputs: &[&str]) -> String {
    match inputs {
        [] => "inputs".to_owned(),
        [one] => (*one).to_owned(),
        [one, other] => format!("{one}, {other}"),
        [one, others @ ..] => format!("{one} and {} more", others.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_that_are_written_again_are_named() {
        let mut stage = StageDecision::new("a".into(), PlanDecision::Reuse, Cause::UpToDate, String::new());
        let mut told = |exports: &[&str]| {
            stage.exports = exports.iter().map(|export| (*export).to_owned()).collect();
            why(&stage)
        };
        assert_eq!(told(&[]), "nothing has changed");
        assert_eq!(told(&["csv"]), "nothing has changed; writes export csv");
        assert_eq!(told(&["csv", "json"]), "nothing has changed; writes exports csv, json");
    }
}
