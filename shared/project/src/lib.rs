//! Turns the files of a project into the graph of its stages: texts in, typed values or a list of all problems out.
//!
//! ```text
//! project files ─parse→ PipelineSpec: as written, every value with its source span    (spec)
//!     ─resolve→ PipelineGraph: dependencies from the SQL, order, selection, drawings   (graph)
//!         tags and their policy · contracts of columns · expectations of rows          (tag, contract, expect)
//!         how tables are maintained                                                    (maintenance)
//! project files with tests/ ─check_with_fixtures→ Fixture: given and expected rows     (fixture_tests, literal_rows, strategy)
//! ```
//!
//! No runtime, no engine, no store: this crate only parses text, as its Cargo.toml shows.

pub mod contract;
pub mod expect;
pub mod fixture_tests;
pub mod graph;
pub mod literal_rows;
pub mod maintenance;
pub mod spec;
pub mod strategy;
pub mod tag;
