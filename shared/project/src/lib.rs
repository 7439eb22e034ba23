//! A project from its files to the graph of its stages: texts and values in, values or every problem at once out.
//!
//! ```text
//! project files ─parse→ PipelineSpec: as written, every value with its source span    (spec)
//!     ─resolve→ PipelineGraph: dependencies from the SQL, order, selection, drawings   (graph)
//!         tags and their policy · contracts of columns · expectations of rows          (tag, contract, expect)
//! project files with tests/ ─check_with_fixtures→ Fixture: rows given and expected     (fixture_tests, literal_rows, strategy)
//! ```
//!
//! No runtime, no engine, no store: whoever can parse text can depend on this crate, and Cargo.toml shows it.

pub mod contract;
pub mod expect;
pub mod fixture_tests;
pub mod graph;
pub mod literal_rows;
pub mod spec;
pub mod strategy;
pub mod tag;
