//! Single changes of a project that has run: a stage whose rows they can change must be recomputed, any other is reused
//! as it is.

mod mutants;
mod parts;
mod shapes;
mod variants;
mod versions;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use windlass_client::Project;

use mutants::{Mutant, TABLES, classes, that_does_not, that_matters};
use shapes::{Reshaped, reshaped};
use versions::{Verdicts, Versions};

/// Changes that are tried in an ordinary test run, half of which matter; `WINDLASS_MUTANTS=<n>` tries more.
const MUTANTS: u64 = 10_000;

/// Mutants that are judged in parallel.
const SIDE_BY_SIDE: usize = 4;

/// What is wrong with what would happen to a mutant's stages, if anything.
async fn judge(versions: &Versions, mutant: &Mutant) -> Result<(), String> {
    let project = Project::from_files(&mutant.parts.files(), versions.dir(), None, &[]);
    let project = project.map_err(|error| {
        let problems = error.problems().map(ToString::to_string).unwrap_or_default();
        format!("{}: the project is refused: {problems}", mutant.what)
    })?;
    let reused = match versions.of(&project).await {
        Verdicts::Reused(reused) => reused,
        // A project that does not run reuses nothing.
        Verdicts::Refused if mutant.affects.is_empty() => return Err(format!("{}: it is refused", mutant.what)),
        Verdicts::Refused => return Ok(()),
    };
    for stage in TABLES {
        let (missed, must) = (!reused[stage], mutant.affects.contains(&stage));
        // A stage after one that is recomputed depends on its result.
        let may = stage == "top" && mutant.affects.contains(&"totals");
        if missed != must && !may {
            let verdict = if missed { "is computed again" } else { "is used as it is" };
            return Err(format!("{}: {stage} {verdict}", mutant.what));
        }
    }
    Ok(())
}

/// What is wrong with the code version of a query that was changed in a way that matters or does not, if anything.
async fn judge_reshaped(versions: &Versions, matters: bool, reshaped: &Reshaped) -> Result<(), String> {
    let what = &reshaped.what;
    let of = async |sql: &str| {
        let project = Project::from_files(&shapes::project(sql).files(), versions.dir(), None, &[]);
        match project {
            Ok(project) => versions.code(&project).await,
            Err(_) => None,
        }
    };
    let Some(base) = of(reshaped.base).await else { return Err(format!("{what}: even before, it is refused")) };
    match (of(&reshaped.sql).await, matters) {
        // A project that does not run reuses nothing.
        (None, true) => Ok(()),
        (None, false) => Err(format!("{what}: it is refused")),
        (Some(code), _) if (code != base) == matters => Ok(()),
        (Some(_), true) => Err(format!("{what}: the code version is the same")),
        (Some(_), false) => Err(format!("{what}: the code version is another")),
    }
}

/// Judges the mutant of a seed: returns the kind of change, and what is wrong with what would happen to it.
async fn judge_seed(versions: &Versions, seed: u64) -> (&'static str, Result<(), String>) {
    let mut random = StdRng::seed_from_u64(seed);
    match seed % 4 {
        0 | 1 => {
            let mutant = if seed.is_multiple_of(2) { that_matters(&mut random) } else { that_does_not(&mut random) };
            (mutant.class, judge(versions, &mutant).await)
        }
        rest => {
            let matters = rest == 2;
            let reshaped = reshaped(matters, &mut random);
            let class = if matters { "any part of a query" } else { "other words for a query" };
            (class, judge_reshaped(versions, matters, &reshaped).await)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_every_shape_changes_the_code_version() {
    let dir = tempfile::tempdir().unwrap();
    let versions = Versions::new(dir.path()).await;
    let mut wrong = Vec::new();
    for (matters, reshaped) in shapes::all(&mut StdRng::seed_from_u64(1)) {
        wrong.extend(judge_reshaped(&versions, matters, &reshaped).await.err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_relevant_changes_miss_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let versions = Versions::new(dir.path()).await;
    let base = Project::from_files(&parts::base().files(), dir.path(), None, &[]).unwrap();
    versions.build(&base).await;
    let versions = Arc::new(versions);
    let mutants = super::number("WINDLASS_MUTANTS").unwrap_or(MUTANTS);
    let judged = futures::stream::iter(0..mutants).map(|seed| {
        let versions = Arc::clone(&versions);
        let judge = async move {
            let (class, verdict) = judge_seed(&versions, seed).await;
            (class, verdict.map_err(|problem| format!("seed {seed}: {problem}")))
        };
        async move { tokio::spawn(judge).await.unwrap() }
    });
    let judged: Vec<(&'static str, Result<(), String>)> = judged.buffer_unordered(SIDE_BY_SIDE).collect().await;
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (class, verdict) in judged {
        *seen.entry(class).or_default() += 1;
        wrong.extend(verdict.err());
    }
    println!("{seen:#?}");
    assert!(wrong.is_empty(), "{} of {mutants}, the first:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    assert!(classes().all(|class| seen.get(class).is_some_and(|count| *count > mutants / 100)), "{seen:?}");
}
