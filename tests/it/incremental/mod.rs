//! Incremental runs against full rebuilds: random pipelines over real tables, random changes, random runs.
//!
//! ```text
//! seed ─→ sources (source) and stages (templates, pipeline) ─→ Sequence
//!     changes of sources, and what else comes from outside ─→ run: whole, partial, cancelled, killed ─→ tables = SQL over the sources as they are (oracle)
//!     …
//! ```
//!
//! A failure prints its seed: `WINDLASS_SEED=<n>` replays that one alone and leaves its folder; `WINDLASS_SEEDS=<n>` plays
//! so many of them.

mod carried;
mod coverage;
mod cursor_reset;
mod documentation;
mod exact;
mod followed;
mod keys;
mod mutations;
mod one_source;
mod oracle;
mod pipeline;
mod quarantine;
mod rebuilt;
mod relation;
mod sequence;
mod source;
pub(crate) mod tables;
mod templates;
mod totals;
mod touched;
mod values;

use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use tempfile::TempDir;
use windlass_base::config::SessionSettings;
use windlass_client::Windlass;
use windlass_client::embedded::{EmbeddedConfig, EngineKind};
use windlass_storage::Location;

use coverage::Coverage;
use sequence::{Arena, Sequence};
use templates::TEMPLATES;

/// Whether stages ask for incremental runs. If not, the same sequences test full runs.
const INCREMENTAL: bool = true;

/// The sequences of an ordinary test run.
const SEEDS: u64 = 300;

/// Sequences that run in parallel.
const SIDE_BY_SIDE: usize = 3;

/// Partitions of the sessions; the seed of a sequence selects one of these numbers.
const PARTITIONS: [usize; 3] = [1, 2, 3];

/// An embedded Windlass that many sequences use one after the other, each with its own pipeline name.
async fn arena(engine: EngineKind, partitions: usize, home: &TempDir) -> Arena {
    let home = home.path().join(format!("home_{engine:?}_{partitions}"));
    std::fs::create_dir_all(&home).unwrap();
    let session = SessionSettings {
        target_partitions: partitions,
        batch_size: pipeline::BATCH_SIZE,
        // Although they are small, plans with all these numbers of partitions are to be covered.
        partition_bytes: 1,
        ..SessionSettings::default()
    };
    let config = EmbeddedConfig { engine, ..EmbeddedConfig::new(Location::from_path(&home).unwrap(), session) };
    Arena { windlass: Windlass::embedded(config).await.unwrap(), home, partitions }
}

/// Runs the sequence of a seed: returns what it has covered, or what failed after which steps.
async fn play(seed: u64, arena: &Arena, keep: bool) -> Result<Coverage, String> {
    let mut dir = tempfile::tempdir().unwrap();
    dir.disable_cleanup(keep);
    let mut sequence = Sequence::new(seed, arena, dir.path()).await;
    let outcome = std::panic::AssertUnwindSafe(sequence.play()).catch_unwind().await;
    let problem = match outcome {
        Ok(Ok(())) if !keep => return Ok(sequence.coverage),
        Ok(Ok(())) => {
            println!("{}\nits folder is {}", sequence.trace.join("\n"), dir.path().display());
            return Ok(sequence.coverage);
        }
        Ok(Err(problem)) => problem,
        Err(panic) => {
            let printed = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            format!("a panic: {}", printed.unwrap_or("of another type"))
        }
    };
    let replay = format!("WINDLASS_SEED={seed} cargo test --test it -- incremental::random_sequences --nocapture");
    let kept = if keep { format!("its folder is {}\n", dir.path().display()) } else { String::new() };
    Err(format!("seed {seed}: {problem}\n\nafter\n{}\n\nreplay: {replay}\n{kept}", sequence.trace.join("\n")))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_sequences_leave_the_tables_that_a_rebuild_would() {
    let homes = tempfile::tempdir().unwrap();
    let mut arenas = Vec::new();
    for engine in [EngineKind::Local, EngineKind::Cluster] {
        for partitions in PARTITIONS {
            arenas.push(Arc::new(arena(engine, partitions, &homes).await));
        }
    }
    let only = number("WINDLASS_SEED");
    let seeds = only.map_or(0..number("WINDLASS_SEEDS").unwrap_or(SEEDS), |seed| seed..seed + 1);
    let played = futures::stream::iter(seeds.clone()).map(|seed| {
        let arena = Arc::clone(&arenas[(seed % arenas.len() as u64) as usize]);
        async move { tokio::spawn(async move { play(seed, &arena, only.is_some()).await }).await.unwrap() }
    });
    let outcomes: Vec<Result<Coverage, String>> = played.buffer_unordered(SIDE_BY_SIDE).collect().await;

    let mut coverage = Coverage::default();
    let mut failures = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(met) => coverage.add(met),
            Err(failure) => failures.push(failure),
        }
    }
    println!("{coverage:#?}");
    let count = failures.len();
    let heads: Vec<&str> = failures.iter().filter_map(|failure| failure.lines().next()).collect();
    let first = failures[..count.min(3)].join("\n");
    assert!(failures.is_empty(), "{count} of {seeds:?} failed:\n{}\n\nthe first:\n{first}", heads.join("\n"));
    if only.is_none() && seeds.end >= SEEDS {
        let missing = coverage.missing(TEMPLATES.iter().map(|(name, _)| *name), INCREMENTAL);
        assert!(missing.is_empty(), "never met: {missing:?}");
    }
}
