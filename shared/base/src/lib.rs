//! The foundation of all other crates; it depends on none of them.
//!
//! ```text
//! texts of other processes ─ids→ NodeName, RunId, … that are safe in paths             (ids, ids::received)
//! any error ─coded!→ Coded ─?→ Failure: code, message, help, whether to retry          (coded, error)
//!     └ its message ─without_engine_terms, without_secrets→ text to show and store     (engine_terms, secrets)
//!     └ of the engine about a value ─FailedCast::of→ the same in plain words               (failed_cast)
//! a panic ─install, catch→ a report in a file, and an error with a code              (panics)
//! a mistyped name ─did_you_mean→ the nearest valid one                                 (suggest)
//! a number and a noun ─counted→ `1 row`, `1,200 rows`                                  (count)
//! what determines a result ─of→ identities; the parts of a code version                (identity, code_parts)
//! ```
//!
//! In addition: the settings of sessions as plain values (`config`), growing the stack for deep recursion (`stack`), and
//! points at which tests end a process (`failpoint`). Nothing here depends on files, stores, tables or the engine.

pub mod code_parts;
mod coded;
pub mod config;
pub mod count;
pub mod engine_terms;
pub mod error;
pub mod failed_cast;
pub mod failpoint;
pub mod identity;
pub mod ids;
pub mod panics;
pub mod secrets;
pub mod stack;
pub mod suggest;
