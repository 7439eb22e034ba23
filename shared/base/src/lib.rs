//! The foundation of all other crates; it depends on none of them.
//!
//! ```text
//! texts of other processes ─ids→ NodeName, RunId, … fit to be parts of paths          (ids, ids::received)
//! any error ─Coded→ Failure: code, message, help, whether trying again may help        (error)
//!     └ its message ─without_secrets→ what people and files may be told                (secrets)
//! a mistyped name ─did_you_mean→ the nearest valid one                                 (suggest)
//! what decides a result ─of→ identities; what a code version is made of                (identity, code_parts)
//! ```
//!
//! In addition: the settings of sessions as plain values (`config`), and growing the stack for deep recursion
//! (`stack`). Nothing here depends on files, stores, tables or the engine.

pub mod code_parts;
pub mod config;
pub mod error;
pub mod identity;
pub mod ids;
pub mod secrets;
pub mod stack;
pub mod suggest;
