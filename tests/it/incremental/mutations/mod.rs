//! Single changes of a project against the versions of its stages' code: one that can change rows must give another
//! version, one that cannot must not.

mod mutants;
mod parts;
mod versions;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use windlass_client::Project;

use mutants::{Mutant, TABLES, classes, that_does_not, that_matters};
use versions::Versions;

/// Changes that are tried, half of them such that matter.
const MUTANTS: u64 = 10_000;

/// Changes that are tried side by side.
const SIDE_BY_SIDE: usize = 4;

/// What is wrong with the versions of a mutant, if anything.
async fn judge(versions: &Versions, before: &BTreeMap<String, String>, mutant: &Mutant) -> Result<(), String> {
    let project = Project::from_files(&mutant.parts.files(), versions.dir(), None, &[]);
    let project = project.map_err(|error| {
        let problems = error.problems().map(ToString::to_string).unwrap_or_default();
        format!("{}: the project is refused: {problems}", mutant.what)
    })?;
    let after = versions.of(&project).await;
    for stage in TABLES {
        let (changed, must) = (before[stage] != after[stage], mutant.affects.contains(&stage));
        // What comes in through a table may change a stage behind it, and need not.
        let may = stage == "top" && mutant.affects.contains(&"totals");
        if changed != must && !may {
            let verb = if changed { "has another" } else { "keeps its" };
            return Err(format!("{}: {stage} {verb} version", mutant.what));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_matters_changes_the_version_and_no_other_does() {
    let dir = tempfile::tempdir().unwrap();
    let versions = Versions::new(dir.path()).await;
    let base = Project::from_files(&parts::base().files(), dir.path(), None, &[]).unwrap();
    let before = versions.of(&base).await;
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let mut wrong = Vec::new();
    let (versions, before) = (Arc::new(versions), Arc::new(before));
    let judged = futures::stream::iter(0..MUTANTS).map(|seed| {
        let (versions, before) = (Arc::clone(&versions), Arc::clone(&before));
        tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(seed);
            let mutant = if seed % 2 == 0 { that_matters(&mut random) } else { that_does_not(&mut random) };
            let problem = judge(&versions, &before, &mutant).await.err();
            (mutant.class, problem.map(|problem| format!("seed {seed}: {problem}")))
        })
    });
    let mut judged = judged.buffer_unordered(SIDE_BY_SIDE);
    while let Some(outcome) = judged.next().await {
        let (class, problem) = outcome.unwrap();
        *seen.entry(class).or_default() += 1;
        wrong.extend(problem);
    }
    println!("{seen:#?}");
    assert!(wrong.is_empty(), "{} of {MUTANTS}, the first:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    assert!(classes().all(|class| seen.get(class).is_some_and(|count| *count > 100)), "{seen:?}");
}
