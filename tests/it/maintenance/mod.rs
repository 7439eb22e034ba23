//! Maintenance of real tables: nothing that anybody needs is removed, and no row changes, whatever happens beside it.
//!
//! ```text
//! runs ─→ versions ─→ a turn ─→ versions that are kept read as before, and the folder has nothing else
//!                     races (state), kills (history, kills, failpoints), other writers (compact)
//! ```

mod after_runs;
mod compact;
mod conflicts;
mod direct;
#[cfg(debug_assertions)]
mod failpoints;
mod history;
mod kills;
mod lab;
mod log;
mod paused;
mod races;
mod two_executors;
mod vacuum;
